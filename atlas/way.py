"""What may be closed or surcharged, and what a path is: closures, surcharges, legs, paths and their lines."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path as FilePath

import numpy as np
from shapely.geometry import LineString

from atlas import geo
from atlas.errors import BadInput, UnknownName, nearest
from atlas.layers import Layers
from atlas.network import Network
from atlas.network_edges import MODES, PORT, RAIL, ROAD, SEA

SHORT_ACCESS_KM = 5.0  # a way to the rail terminal shorter than this is told as part of the rail leg
MOST_SURCHARGE_USD_T = 1e6  # many times the value of the goods: more would only blur the solver's tolerances
AMOUNT = f"expected USD per gross tonne, a number from 0 to {MOST_SURCHARGE_USD_T:,.0f}"


@dataclass(frozen=True)
class Closures:
    """What is closed for one question, and what is opened that is shut by default. Borders are `AAA-BBB`, sorted."""

    passages: frozenset[str] = frozenset()
    ports: frozenset[str] = frozenset()
    borders: frozenset[str] = frozenset()
    opened: frozenset[str] = frozenset()

    @classmethod
    def of(cls, close: Iterable[str], open: Iterable[str], layers: Layers) -> Closures:
        """Read ids of passages, ports and borders; raises BadInput (UnknownName for one) listing every unknown id."""
        found: dict[str, set[str]] = {"passage": set(), "port": set(), "border": set()}
        opened: set[str] = set()
        unknown: list[UnknownName] = []
        for text, target in [(t, None) for t in close] + [(t, opened) for t in open]:
            try:
                kind, name = identify(text, layers)
                (found[kind] if target is None else target).add(name)
            except UnknownName as error:
                unknown.append(error)
        if len(unknown) == 1:
            raise unknown[0]
        if unknown:
            raise BadInput([problem for error in unknown for problem in error.problems])
        return cls(frozenset(found["passage"]), frozenset(found["port"]), frozenset(found["border"]), frozenset(opened))


def identify(text: str, layers: Layers) -> tuple[str, str]:
    """Return (kind, id) of a passage, port or border in any case; raises UnknownName with the nearest ids."""
    name = str(text).strip()
    if name.lower() in layers.passages.index:
        return "passage", name.lower()
    if name.upper() in layers.ports.index:
        return "port", name.upper()
    borders = known_borders(layers.directory("network"))
    parts = name.upper().split("-")
    if len(parts) == 2 and "-".join(sorted(parts)) in borders:
        return "border", "-".join(sorted(parts))
    known = [*layers.passages.index, *layers.ports.index, *borders]
    turned = nearest("-".join(sorted(parts)), borders) if len(parts) == 2 else []
    raise UnknownName("passage, port or border", name, list(dict.fromkeys([*nearest(name, known), *turned]))[:3])


def read_surcharges(given: Mapping[str, float] | Iterable[str], layers: Layers) -> dict[str, float]:
    """Return surcharges in USD per gross tonne by passage, sorted by id.

    `given` maps ids of passages to amounts, or lists texts `PASSAGE=USD_T`. Raises BadInput (UnknownName for one
    unknown passage) listing every unknown id, amount that is none, and passage named twice.
    """
    found: dict[str, float] = {}
    wrong: list[BadInput] = []
    for text, amount in given.items() if isinstance(given, Mapping) else _pairs(given, wrong):
        name = str(text).strip().lower()
        if name not in layers.passages.index:
            wrong.append(UnknownName("passage", str(text).strip(), nearest(name, layers.passages.index)))
        if name in found:
            wrong.append(BadInput(f"surcharge of {name}: given twice, expected one sum"))
        usd_t = amount_usd_t(amount)
        if usd_t is None:
            wrong.append(BadInput(f"surcharge of {name[:40]}: {AMOUNT}, found {str(amount)[:40]!r}"))
        found[name] = usd_t or 0.0
    if len(wrong) == 1:
        raise wrong[0]
    if wrong:
        raise BadInput([problem for error in wrong for problem in error.problems])
    return dict(sorted(found.items()))


def _pairs(texts: Iterable[str], wrong: list[BadInput]) -> list[tuple[str, str]]:
    """Return (passage, amount) of each text `PASSAGE=USD_T`."""
    pairs = []
    for text in texts:
        name, equals, amount = str(text).partition("=")
        if equals and name.strip():
            pairs.append((name, amount))
        else:
            wrong.append(BadInput(f"surcharge {str(text)[:60]!r}: expected PASSAGE=USD_T, such as suez=5"))
    return pairs


def amount_usd_t(value: object) -> float | None:
    """Return a surcharge as a number from 0 to MOST_SURCHARGE_USD_T, None if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        usd_t = float(value)
    except (ValueError, OverflowError):
        return None
    return usd_t + 0.0 if 0 <= usd_t <= MOST_SURCHARGE_USD_T else None


def summed(charges: Iterable[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    """Return what all charges on each passage come to, sorted by id, without those of nothing; their order is free."""
    by_passage: dict[str, list[float]] = {}
    for name, usd_t in charges:
        by_passage.setdefault(name, []).append(usd_t)
    totals = ((name, math.fsum(parts)) for name, parts in sorted(by_passage.items()))
    return tuple((name, usd_t) for name, usd_t in totals if usd_t)


@lru_cache(maxsize=8)
def known_borders(directory: FilePath) -> tuple[str, ...]:
    """Return the ids of all borders that rail or road cross, sorted."""
    rows = (directory / "borders.csv").read_text(encoding="utf-8").splitlines()[1:]
    return tuple(sorted(row.split(",", 1)[0] for row in rows if row))


@dataclass(frozen=True)
class Leg:
    """One mode's part of a path; `port` legs are handling and dwell. USD per tonne of the commodity.

    `line` has the continuous longitudes of the whole path; it is drawn for routes only and empty elsewhere.
    """

    mode: str
    start: str
    end: str
    distance_km: float
    days: float
    cost_usd_t: float
    line: LineString = field(default=LineString(), compare=False)


@dataclass(frozen=True)
class Path:
    """A path of the query graph with what it passes, in order. Node and edge numbers belong to its network."""

    nodes: tuple[int, ...]
    edges: tuple[int, ...]
    passages: tuple[str, ...]
    ports: tuple[str, ...]
    borders: tuple[str, ...]
    countries: tuple[str, ...]
    legs: tuple[Leg, ...]
    distance_km: float
    days: float
    cost_usd_t: float
    route_id: str


def describe(network: Network, nodes: list[int], edges: list[int], cost: np.ndarray, names: tuple[str, str]) -> Path:
    """Make a Path from nodes and edges in travel order; `cost` is USD/t of each edge, `names` the two ends."""
    e = network.edges
    passages: list[str] = []
    ports: list[str] = []
    borders: list[str] = []
    countries: list[str] = []
    # Plain lists: one look-up of an array's element costs as much as ten of a list's.
    columns = [c[edges].tolist() for c in (e.passages, e.port, e.border, e.u, e.country, e.other_country)]
    for node, bits, port, border, u, here, there in zip(nodes[:-1], *columns, strict=True):
        if bits:
            passages += [p for i, p in enumerate(network.passage_ids) if bits >> i & 1 and p not in passages]
        if port >= 0:
            ports += [p for p in (network.port_ids[port],) if p not in ports]
        if border >= 0:
            borders += [b for b in (network.border_ids[border],) if b not in borders]
        for number in (here, there) if u == node else (there, here):
            if number >= 0 and network.country_ids[number] not in countries:
                countries.append(network.country_ids[number])
    km, days = e.km[edges], e.days[edges]
    legs = _legs(network, nodes, edges, cost, names)
    modes = [*e.mode[edges].tolist(), -1]
    places = network.xy[nodes].tolist()
    told = "".join(f"{lon:.3f},{lat:.3f},{mode};" for (lon, lat), mode in zip(places, modes, strict=True))
    digest = hashlib.sha256(told.encode())
    return Path(
        tuple(nodes), tuple(edges), tuple(passages), tuple(ports), tuple(borders), tuple(countries), legs,
        float(np.sum(km)), float(np.sum(days)), float(np.sum(cost)), "r" + digest.hexdigest()[:14],
    )


def _spans(network: Network, edges: Sequence[int]) -> list[tuple[int, int, int]]:
    """Return (mode, first step, step after the last) of each leg."""
    e = network.edges
    modes = [int(e.mode[edge]) for edge in edges]
    for i, edge in enumerate(edges):  # short ways to a rail terminal belong to the train
        if e.access[edge] and modes[i] == ROAD and e.km[edge] < SHORT_ACCESS_KM:
            beside = [modes[j] for j in (i - 1, i + 1) if 0 <= j < len(edges)]
            modes[i] = RAIL if RAIL in beside else modes[i]
    starts = [i for i in range(len(edges)) if i == 0 or modes[i] != modes[i - 1]]
    return [(modes[i], i, j) for i, j in zip(starts, [*starts[1:], len(edges)], strict=True)] if edges else []


def _legs(
    network: Network, nodes: list[int], edges: list[int], cost: np.ndarray, names: tuple[str, str]
) -> tuple[Leg, ...]:
    e = network.edges
    port_at = network.port_at
    legs = []
    for mode, i, j in _spans(network, edges):
        part = edges[i:j]
        first = names[0] if i == 0 else _name(network, nodes[i], port_at)
        last = names[1] if j == len(edges) else _name(network, nodes[j], port_at)
        legs.append(Leg(MODES[mode], first, last, float(np.sum(e.km[part])), float(np.sum(e.days[part])),
                        float(np.sum(cost[i:j]))))
    return tuple(leg for leg in legs if _told(leg.distance_km, leg.cost_usd_t))


def _told(distance_km: float, cost_usd_t: float) -> bool:
    return distance_km > 0 or cost_usd_t > 0


def _name(network: Network, node: int, port_at: dict[int, str]) -> str:
    if node < len(network.port_ids):
        return network.port_ids[node]
    if node in port_at:
        return port_at[node]
    lon, lat = network.xy[node]
    return f"{lon:.3f},{lat:.3f}"


def path_line(network: Network, path: Path) -> LineString:
    """Return a path's line with continuous longitudes (they may pass 180); empty for a path without length."""
    xy, _ = _points(network, path)
    return _line(xy)


def drawn_legs(network: Network, path: Path, cost: np.ndarray) -> tuple[Leg, ...]:
    """Return the path's legs with their lines; `cost` is USD/t of each edge of the network."""
    xy, first = _points(network, path)
    edges, km = path.edges, network.edges.km
    spans = [(i, j) for _, i, j in _spans(network, edges)
             if _told(float(np.sum(km[list(edges[i:j])])), float(np.sum(cost[list(edges[i:j])])))]
    return tuple(replace(leg, line=_line(xy[first[i]:first[j]]))
                 for leg, (i, j) in zip(path.legs, spans, strict=True))


def _points(network: Network, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return (points of all edges in travel order, longitudes continuous; where each edge's points begin)."""
    parts = []
    for node, edge in zip(path.nodes[:-1], path.edges, strict=True):
        line = network.line(edge)
        parts.append(line if int(network.edges.u[edge]) == node else line[::-1])
    first = np.r_[0, np.cumsum([len(part) for part in parts])].astype(int)
    return geo.unwrap(np.vstack(parts)) if parts else np.empty((0, 2)), first


def _line(xy: np.ndarray) -> LineString:
    """Return points as a line without those that stand still."""
    if len(xy) < 2:
        return LineString()
    moved = np.r_[True, np.abs(np.diff(xy, axis=0)).max(axis=1) > 1e-9]
    return LineString(xy[moved]) if moved.sum() > 1 else LineString()


def needs(mode: int) -> str:
    """Return the name of a mode's setting: handling in ports belongs to the sea."""
    return "sea" if mode in (SEA, PORT) else MODES[mode]

"""The multimodal network: sea, rail and road reduced to one query graph, with what each edge costs and takes.

`load` reads `layers/network/`, prices its edges with the constants of `layers.transport`, ports and passages, and joins
facilities that the build did not know. A network is never changed: `with_points` makes a new one.

Facilities and markets have a node to leave from and one to arrive at, so no path leads through them; ports have one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from atlas import geo
from atlas.land_graph import LandGraph
from atlas.layers import Layers

SEA, RAIL, ROAD, PORT, AIR = range(5)
MODES = ("sea", "rail", "road", "port", "air")
LOCAL_KM = 25.0  # places this near to each other are joined directly, by local roads
LOCAL_DETOUR = 1.3  # road km per straight km
REACH_KM = {"rail": 200.0, "road": 900.0}


@dataclass(frozen=True)
class Place:
    """A facility, market, port or attached point: its nodes to leave and arrive, coordinates, country, snap km."""

    leave: int
    arrive: int
    lon: float
    lat: float
    country: str
    snap_km: float


@dataclass(frozen=True)
class Edges:
    """Edges of the query graph as columns; a one-way edge runs from u to v only, all others both ways."""

    u: NDArray[np.int32]
    v: NDArray[np.int32]
    mode: NDArray[np.int8]
    km: NDArray[np.float64]
    usd_t: NDArray[np.float64]  # per gross tonne: freight, handling, tolls, border cost
    days: NDArray[np.float64]
    country: NDArray[np.int16]  # position in country_ids, -1 at sea
    other_country: NDArray[np.int16]  # the far side of a border
    port: NDArray[np.int16]
    border: NDArray[np.int16]
    passages: NDArray[np.uint64]  # bit i: passage_ids[i]
    one_way: NDArray[np.bool_]
    access: NDArray[np.bool_]  # from a place to a rail node: open whenever rail is
    line: NDArray[np.int32]  # position in lines, -1 a straight stroke

    def __len__(self) -> int:
        return len(self.u)


@dataclass(frozen=True)
class Lines:
    """Packed lines of one file (integer steps) or plain ones."""

    start: NDArray[np.int32]
    steps: NDArray[np.int32]
    scale: float

    def line(self, i: int) -> NDArray[np.float64]:
        """Return the coordinates of line i, longitudes continuous."""
        return np.asarray(np.cumsum(self.steps[self.start[i]:self.start[i + 1]], axis=0) / self.scale)


@dataclass(frozen=True)
class Network:
    """The query graph; see `Edges`. Node and edge numbers hold within one network only."""

    xy: NDArray[np.float64]
    edges: Edges
    places: Mapping[str, Place]
    country_ids: tuple[str, ...]
    port_ids: tuple[str, ...]
    border_ids: tuple[str, ...]
    passage_ids: tuple[str, ...]
    closed_borders: frozenset[str]
    files: tuple[Lines, ...]
    extra_lines: tuple[NDArray[np.float64], ...]
    land: Mapping[str, LandGraph]
    land_nodes: Mapping[str, tuple[NDArray[np.int32], NDArray[np.int64]]]  # mode: query nodes, their graph nodes
    layers: Layers

    @cached_property
    def port_at(self) -> dict[int, str]:
        """The port that a query node leaves."""
        ports = set(self.port_ids)
        return {place.leave: name for name, place in self.places.items() if name in ports}

    def line(self, edge: int) -> NDArray[np.float64]:
        """Return the coordinates of an edge from u to v."""
        number = int(self.edges.line[edge])
        if number < 0:
            return np.asarray(self.xy[[self.edges.u[edge], self.edges.v[edge]]])
        for file in self.files:
            if number < len(file.start) - 1:
                return file.line(number)
            number -= len(file.start) - 1
        return self.extra_lines[number]

    def with_points(self, points: Mapping[str, tuple[float, float, str | None]]) -> Network:
        """Return a network with more places {id: (lon, lat, country or None)}; None: the country that holds the point."""
        return _joined(self, points)


class _Draft:
    """Edges being collected; columns that are not named take their neutral value."""

    def __init__(self, layers: Layers) -> None:
        self.layers, self.c = layers, layers.constants
        self.columns: dict[str, list[NDArray[np.generic]]] = {}
        self.neutral = {"u": 0, "v": 0, "mode": 0, "km": 0.0, "usd_t": 0.0, "days": 0.0, "country": -1,
                        "other_country": -1, "port": -1, "border": -1, "passages": np.uint64(0), "one_way": False,
                        "access": False, "line": -1}

    def add(self, count: int, **given: object) -> None:
        """Add `count` edges."""
        if count:
            for name, neutral in self.neutral.items():
                value = np.broadcast_to(np.asarray(given.get(name, neutral)), (count,))
                self.columns.setdefault(name, []).append(value)

    def add_road(self, codes: Sequence[str], km: NDArray[np.float64], handling: bool = False, **given: object) -> None:
        """Add road edges, priced by country; with `handling` each ends with a lift to or from rail and the wait there."""
        lift = float(self.c["rail_handling_usd_t"]) if handling else 0.0
        wait = float(self.c["rail_dwell_days"]) if handling else 0.0
        self.add(len(km), mode=ROAD, km=km, usd_t=km * road_rates(self.c, codes) + lift,
                 days=km / float(self.c["road_speed_km_day"]) + wait, access=handling, **given)

    def edges(self) -> Edges:
        """Return all edges."""
        kinds = {"u": np.int32, "v": np.int32, "mode": np.int8, "country": np.int16, "other_country": np.int16,
                 "port": np.int16, "border": np.int16, "passages": np.uint64, "line": np.int32}
        return Edges(**{n: np.concatenate(c).astype(kinds.get(n, c[0].dtype)) for n, c in self.columns.items()})


def road_rates(constants: pd.Series, codes: Sequence[str]) -> NDArray[np.float64]:
    """Return road freight in USD per gross tonne and km for each country."""
    rate = {"CHN": "road_freight_chn_usd_t_km", "MMR": "road_freight_mmr_chn_usd_t_km"}
    return np.array([float(constants[rate.get(code, "road_freight_usd_t_km")]) for code in codes])


def load(layers: Layers) -> Network:
    """Load the network of `layers/network/` for these layers; places it does not know are joined now."""
    directory = layers.directory("network")
    stored = {name: _read(directory / f"{name}.npz") for name in ("sea", "rail", "road", "places")}
    borders = pd.read_csv(directory / "borders.csv", dtype="str", keep_default_na=False).set_index("id").sort_index()
    draft = _Draft(layers)
    sea, places = stored["sea"], stored["places"]
    country_ids = tuple(str(c) for c in stored["road"]["countries"])
    port_ids = tuple(str(p) for p in sea["ports"])
    border_ids = tuple(str(b) for b in borders.index)
    known = _known_places(layers, places)
    is_port = places["kind"] == "port"
    hubs = len(sea["xy"])  # place i leaves from node hubs + i
    arrivals = hubs + len(places["id"])
    first = {"rail": arrivals + len(places["id"])}
    first["road"] = first["rail"] + len(stored["rail"]["xy"])
    xy = np.vstack([sea["xy"], places["xy"], places["xy"], stored["rail"]["xy"], stored["road"]["xy"]])
    arrive = np.where(is_port, hubs + np.arange(len(is_port)), arrivals + np.arange(len(is_port)))
    _add_sea(draft, sea)
    _add_ports(draft, layers, port_ids, places, hubs, country_ids)
    files = [_lines(sea, 1e5)]
    for mode in ("rail", "road"):
        _add_land(draft, mode, stored[mode], first[mode], border_ids, borders, country_ids,
                  sum(len(f.start) - 1 for f in files))
        files.append(_lines(stored[mode], 1e3))
        _add_access(draft, mode, stored[mode], places, first[mode], hubs, arrive, known, country_ids)
    _add_transfers(draft, stored, first, country_ids)
    table, missing = _places(layers, places, known, stored, hubs, arrive)
    land = {mode: LandGraph(directory / f"{mode}_graph.npz") for mode in ("rail", "road")}
    land_nodes = {mode: (np.arange(first[mode], first[mode] + len(stored[mode]["xy"]), dtype=np.int32),
                         stored[mode]["graph_node"].astype(np.int64)) for mode in ("rail", "road")}
    _add_local(draft, list(table.values()), list(table.values()), country_ids, near_ports=True,
               ports={i for i in port_ids if i in table}, ids=list(table))
    network = Network(
        xy=xy, edges=draft.edges(), places=table, country_ids=country_ids, port_ids=port_ids, border_ids=border_ids,
        passage_ids=tuple(str(p) for p in sea["passages"]),
        closed_borders=frozenset(borders.index[borders["open"] == "no"]), files=tuple(files), extra_lines=(),
        land=land, land_nodes=land_nodes, layers=layers,
    )
    return network.with_points(missing) if missing else network


def _read(path: Path) -> dict[str, NDArray[np.generic]]:
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def _lines(stored: Mapping[str, NDArray[np.generic]], scale: float) -> Lines:
    return Lines(stored["line_start"], stored["line_step"], scale)


def _wanted(layers: Layers) -> pd.DataFrame:
    frames = [frame[["country", "lon", "lat"]] for frame in (layers.ports, layers.facilities, layers.markets)]
    return pd.concat([pd.DataFrame(f) for f in frames])


def _known_places(layers: Layers, places: Mapping[str, NDArray[np.generic]]) -> NDArray[np.bool_]:
    """Tell which stored places are still where the build found them."""
    wanted = _wanted(layers).reindex([str(i) for i in places["id"]])
    same = np.isclose(wanted[["lon", "lat"]].to_numpy(dtype=float), places["xy"], atol=1e-9).all(axis=1)
    return np.asarray(same & (wanted["country"].to_numpy() == places["country"]))


def _add_sea(draft: _Draft, sea: Mapping[str, NDArray[np.generic]]) -> None:
    passages = draft.layers.passages
    km = sea["km"].astype(float)
    tags = np.zeros(len(km), dtype=np.uint64)
    usd, days = km * float(draft.c["sea_freight_usd_t_km"]), km / float(draft.c["sea_speed_km_day"])
    for edge, passage in sea["crossing"]:
        name = str(sea["passages"][passage])
        tags[edge] |= np.uint64(1) << np.uint64(passage)
        if name in passages.index:
            usd[edge] += float(passages.at[name, "toll_usd_t"])
            days[edge] += float(passages.at[name, "delay_days"])
    draft.add(len(km), u=sea["a"], v=sea["b"], mode=SEA, km=km, usd_t=usd, days=days, passages=tags,
              line=np.arange(len(km)))


def _add_ports(
    draft: _Draft, layers: Layers, port_ids: tuple[str, ...], places: Mapping[str, NDArray[np.generic]], hubs: int,
    country_ids: tuple[str, ...],
) -> None:
    kept = [i for i, port in enumerate(port_ids) if port in layers.ports.index]
    rows = layers.ports.loc[[port_ids[i] for i in kept]]
    codes = [str(places["country"][i]) for i in kept]
    draft.add(len(kept), u=np.array(kept) + hubs, v=kept, mode=PORT, usd_t=rows["handling_usd_t"].to_numpy(float),
              days=rows["dwell_days"].to_numpy(float), port=kept, country=_numbers(codes, country_ids))


def _numbers(codes: Sequence[str], country_ids: tuple[str, ...]) -> NDArray[np.int64]:
    position = {code: i for i, code in enumerate(country_ids)}
    return np.array([position.get(code, -1) for code in codes], dtype=np.int64)


def _add_land(
    draft: _Draft, mode: str, stored: Mapping[str, NDArray[np.generic]], first: int, border_ids: tuple[str, ...],
    borders: pd.DataFrame, country_ids: tuple[str, ...], line: int,
) -> None:
    km, country = stored["km"].astype(float), stored["country"].astype(np.int64)
    inside = country[stored["a"]]
    place = {"u": stored["a"] + first, "v": stored["b"] + first, "country": inside, "line": np.arange(len(km)) + line}
    if mode == "rail":
        draft.add(len(km), mode=RAIL, km=km, usd_t=km * float(draft.c["rail_freight_usd_t_km"]),
                  days=km / float(draft.c["rail_speed_km_day"]), **place)
    else:
        draft.add_road([country_ids[c] for c in inside], km, **place)
    one, other = stored["post"].T
    codes = [(country_ids[i], country_ids[j]) for i, j in zip(country[one], country[other], strict=True)]
    names = ["-".join(sorted(pair)) for pair in codes]
    extra_usd, extra_days = border_terms(draft.layers, names, borders, mode)
    post_km = stored["post_km"].astype(float)
    rate = road_rates(draft.c, [pair[0] for pair in codes]) if mode == "road" else float(draft.c["rail_freight_usd_t_km"])
    draft.add(len(names), u=one + first, v=other + first, mode=RAIL if mode == "rail" else ROAD, km=post_km,
              usd_t=post_km * rate + extra_usd, days=post_km / float(draft.c[f"{mode}_speed_km_day"]) + extra_days,
              country=country[one], other_country=country[other], border=[border_ids.index(name) for name in names])


def border_terms(
    layers: Layers, names: Sequence[str], borders: pd.DataFrame, mode: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (USD per gross tonne, days) that each border crossing of a mode adds."""
    c, union = layers.constants, layers.bloc("eu27")
    usd, days = [], []
    for name in names:
        pair = set(name.split("-"))
        extra = float(borders.at[name, "extra_usd_t"])
        if mode == "rail" and borders.at[name, "gauge_break"] == "yes":
            usd.append(extra + (0.0 if pair <= union else float(c["border_cost_usd_t"])))
            days.append(float(c["border_delay_gauge_days"]))
            continue
        kind = "_open" if pair <= union else "_mmr_chn" if pair == {"MMR", "CHN"} else ""
        usd.append(extra + float(c["border_cost_open_usd_t" if kind == "_open" else "border_cost_usd_t"]))
        days.append(float(c[f"border_delay{kind}_days"]))
    return np.array(usd), np.array(days)


def _add_access(
    draft: _Draft, mode: str, stored: Mapping[str, NDArray[np.generic]], places: Mapping[str, NDArray[np.generic]],
    first: int, hubs: int, arrive: NDArray[np.int64], known: NDArray[np.bool_], country_ids: tuple[str, ...],
) -> None:
    snap, rail = stored["snap"].astype(np.int64), mode == "rail"
    for port in (True, False):
        held = np.flatnonzero((snap >= 0) & known & ((places["kind"] == "port") == port))
        codes = [str(c) for c in places["country"][held]]
        common = {"country": _numbers(codes, country_ids), "handling": rail, "one_way": not port}
        km = stored["snap_km"][held].astype(float)
        draft.add_road(codes, km, u=held + hubs, v=snap[held] + first, **common)
        if not port:
            draft.add_road(codes, km, u=snap[held] + first, v=arrive[held], **common)


def _add_transfers(
    draft: _Draft, stored: Mapping[str, Mapping[str, NDArray[np.generic]]], first: Mapping[str, int],
    country_ids: tuple[str, ...],
) -> None:
    """Let goods change between rail and road near road posts."""
    rail = stored["rail"]
    inside = rail["country"][rail["transfer_rail"]].astype(np.int64)
    draft.add_road([country_ids[c] for c in inside], rail["transfer_km"].astype(float), handling=True, country=inside,
                   u=rail["transfer_road"] + first["road"], v=rail["transfer_rail"] + first["rail"])


def _places(
    layers: Layers, places: Mapping[str, NDArray[np.generic]], known: NDArray[np.bool_],
    stored: Mapping[str, Mapping[str, NDArray[np.generic]]], hubs: int, arrive: NDArray[np.int64],
) -> tuple[dict[str, Place], dict[str, tuple[float, float, str | None]]]:
    """Return the stored places of these layers, and those still to be joined."""
    snaps = np.stack([np.where(stored[m]["snap"] >= 0, stored[m]["snap_km"], np.inf) for m in ("road", "rail")])
    near = snaps.min(axis=0)
    table = {}
    for i in np.flatnonzero(known):
        lon, lat = places["xy"][i]
        table[str(places["id"][i])] = Place(hubs + int(i), int(arrive[i]), float(lon), float(lat),
                                            str(places["country"][i]), float(near[i]))
    wanted = _wanted(layers)
    rest = wanted[~wanted.index.isin(list(table))]
    missing: dict[str, tuple[float, float, str | None]] = {
        str(i): (float(row.lon), float(row.lat), str(row.country)) for i, row in zip(rest.index, rest.itertuples(), strict=True)
        if np.isfinite(row.lon)}
    return dict(sorted(table.items())), missing


def _add_local(
    draft: _Draft, new: Sequence[Place], places: Sequence[Place], country_ids: tuple[str, ...], *, near_ports: bool,
    ports: set[str], ids: Sequence[str],
) -> None:
    """Join places of one country that lie within LOCAL_KM, and places far from any network to their nearest port."""
    index = geo.NearestIndex([p.lon for p in places], [p.lat for p in places])
    found: set[tuple[int, int, float]] = set()
    at_port = [i for i, name in enumerate(ids) if name in ports]
    for place in new:
        for j in index.within(place.lon, place.lat, LOCAL_KM):
            other = places[j]
            if other.country == place.country:
                km = LOCAL_DETOUR * float(geo.geodesic_km(place.lon, place.lat, other.lon, other.lat))
                found.add((place.leave, other.arrive, km))
                found.add((other.leave, place.arrive, km))
        if near_ports and place.snap_km > LOCAL_KM:
            home = [i for i in at_port if places[i].country == place.country and places[i] is not place]
            if home:
                away = geo.geodesic_km(place.lon, place.lat, [places[i].lon for i in home], [places[i].lat for i in home])
                km, other = float(away.min()), places[home[int(away.argmin())]]
                if km < place.snap_km:
                    found |= {(place.leave, other.arrive, km), (other.leave, place.arrive, km)}
    rows = sorted((u, v, km) for u, v, km in found if u != v)
    if rows:
        u, v, km = (np.array(column) for column in zip(*rows, strict=True))
        country = {p.leave: p.country for p in places} | {p.leave: p.country for p in new}
        codes = [country[int(i)] for i in u]
        draft.add_road(codes, km, u=u, v=v, one_way=True, country=_numbers(codes, country_ids))


def _joined(network: Network, points: Mapping[str, tuple[float, float, str | None]]) -> Network:
    layers, draft = network.layers, _Draft(network.layers)
    xy, lines = list(network.xy), list(network.extra_lines)
    base = sum(len(f.start) - 1 for f in network.files)
    ordered = sorted(points.items())
    blank = [i for i, (_, point) in enumerate(ordered) if not point[2]]
    looked = geo.country_of([ordered[i][1][:2] for i in blank], layers.countries, max_km=60.0) if blank else []
    country_at = dict(zip(blank, looked, strict=True))
    places, new = dict(network.places), []
    for i, (name, (lon, lat, given)) in enumerate(ordered):
        country = given or country_at[i]
        leave, arrive = len(xy), len(xy) + 1
        xy += [np.array([lon, lat])] * 2
        snap_km = np.inf
        for mode in ("road", "rail"):
            nodes, graph_nodes = network.land_nodes[mode]
            met = network.land[mode].join(lon, lat, country, graph_nodes, REACH_KM[mode]) if country else None
            if met is None:
                continue
            snap_km = min(snap_km, met.snap_km)
            on_graph = len(xy)
            xy.append(np.array(met.xy))
            inside = _numbers([country], network.country_ids)[0]
            for u, v in ((leave, on_graph), (on_graph, arrive)):
                draft.add_road([country], np.array([met.snap_km]), handling=mode == "rail", u=u, v=v, one_way=True,
                               country=inside)
            ends = _query_nodes(nodes, graph_nodes, met.targets)
            common = {"u": on_graph, "v": ends, "country": inside, "line": np.arange(len(ends)) + base + len(lines)}
            lines += met.lines
            if mode == "rail":
                draft.add(len(ends), mode=RAIL, km=met.km, usd_t=met.km * float(draft.c["rail_freight_usd_t_km"]),
                          days=met.km / float(draft.c["rail_speed_km_day"]), **common)
            else:
                draft.add_road([country] * len(ends), met.km, **common)
        places[name] = Place(leave, arrive, lon, lat, country, float(snap_km))
        new.append(places[name])
    ids = list(places)
    _add_local(draft, new, list(places.values()), network.country_ids, near_ports=True,
               ports=set(network.port_ids) & set(ids), ids=ids)
    added = draft.edges()
    edges = Edges(**{n: np.concatenate([getattr(network.edges, n), getattr(added, n)]) for n in draft.neutral})
    return replace(network, xy=np.array(xy), edges=edges, places=dict(sorted(places.items())), extra_lines=tuple(lines))


def _query_nodes(
    nodes: NDArray[np.int32], graph_nodes: NDArray[np.int64], targets: NDArray[np.int64]
) -> NDArray[np.int32]:
    order = np.argsort(graph_nodes)
    return np.asarray(nodes[order[np.searchsorted(graph_nodes[order], targets)]])

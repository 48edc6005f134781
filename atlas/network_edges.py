"""Edges of the query graph: their columns, and what each costs and takes by the constants of the layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from atlas import geo
from atlas.errors import LayerError
from atlas.layers import Layers

SEA, RAIL, ROAD, PORT, AIR = range(5)
MODES = ("sea", "rail", "road", "port", "air")
LOCAL_KM = 25.0  # places this near to each other are joined directly, by local roads
EFTA = frozenset({"CHE", "ISL", "LIE", "NOR"})  # customs at their borders with the EU take hours
LOCAL_WET_KM = 10.0  # a road to the nearest port leads over no more water than this
PASSAGES_MOST = 64  # a bit of an edge's passages for each
LOCAL_DETOUR = 1.3  # road km per straight km


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


class Draft:
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

    def add_road(
        self, codes: Sequence[str], km: NDArray[np.float64], handling: bool = False, to_rail: bool = False,
        **given: object,
    ) -> None:
        """Add road edges, priced by country; with `handling` each has a lift to or from rail and the wait there.

        These, and with `to_rail` others on the way there, are open whenever rail is.
        """
        lift = float(self.c["rail_handling_usd_t"]) if handling else 0.0
        wait = float(self.c["rail_dwell_days"]) if handling else 0.0
        self.add(len(km), mode=ROAD, km=km, usd_t=km * road_rates(self.c, codes) + lift,
                 days=km / float(self.c["road_speed_km_day"]) + wait, access=handling or to_rail, **given)

    def edges(self) -> Edges:
        """Return all edges."""
        kinds = {"u": np.int32, "v": np.int32, "mode": np.int8, "country": np.int16, "other_country": np.int16,
                 "port": np.int16, "border": np.int16, "passages": np.uint64, "line": np.int32}
        return Edges(**{n: np.concatenate(c).astype(kinds.get(n, c[0].dtype)) for n, c in self.columns.items()})


def road_rates(constants: pd.Series, codes: Sequence[str]) -> NDArray[np.float64]:
    """Return road freight in USD per gross tonne and km for each country."""
    rate = {"CHN": "road_freight_chn_usd_t_km", "MMR": "road_freight_mmr_chn_usd_t_km"}
    return np.array([float(constants[rate.get(code, "road_freight_usd_t_km")]) for code in codes])


def packed_lines(stored: Mapping[str, NDArray[np.generic]], scale: float) -> Lines:
    """Return the packed lines of a stored file."""
    return Lines(stored["line_start"].astype(np.int32), stored["line_step"].astype(np.int32), scale)


def add_sea(draft: Draft, sea: Mapping[str, NDArray[np.generic]]) -> tuple[str, ...]:
    """Add sea lanes, with the tolls and delays of the passages they cross; returns the passages by position of bit.

    Passages that the network was not built with, such as a user's own, get their lanes now, by their gate lines.
    """
    passages, built = draft.layers.passages, [str(p) for p in sea["passages"]]
    own = [str(p) for p in passages.index if str(p) not in built]
    names = (*built, *own)
    if len(names) > PASSAGES_MOST:
        raise LayerError(f"passages: {len(own)} of your own with {len(built)} of the network; "
                         f"expected {PASSAGES_MOST} at most")
    km = sea["km"].astype(float)
    tags = np.zeros(len(km), dtype=np.uint64)
    usd, days = km * float(draft.c["sea_freight_usd_t_km"]), km / float(draft.c["sea_speed_km_day"])
    crossing = [(int(edge), int(passage)) for edge, passage in sea["crossing"]]
    for edge, passage in [*crossing, *_crossed(sea, passages.geometry[own], len(built))]:
        name = names[passage]
        tags[edge] |= np.uint64(1) << np.uint64(passage)
        if name in passages.index:
            usd[edge] += float(passages.at[name, "toll_usd_t"])
            days[edge] += float(passages.at[name, "delay_days"])
    draft.add(len(km), u=sea["a"], v=sea["b"], mode=SEA, km=km, usd_t=usd, days=days, passages=tags,
              line=np.arange(len(km)))
    return names


def _crossed(sea: Mapping[str, NDArray[np.generic]], gates: gpd.GeoSeries, first: int) -> list[tuple[int, int]]:
    """Return (edge, passage) for each sea lane that crosses a gate line; the first gate is passage `first`."""
    if not len(gates):
        return []
    lines = packed_lines(sea, 1e5)
    tree = shapely.STRtree([shapely.LineString(lines.line(i)) for i in range(len(lines.start) - 1)])
    found = set()
    for n, gate in enumerate(gates):
        for turn in (0.0, 360.0, -360.0):
            moved = shapely.transform(gate, lambda xy, turn=turn: xy + [turn, 0.0])
            found |= {(int(i), first + n) for i in tree.query(moved, predicate="intersects")}
    return sorted(found)


def add_ports(
    draft: Draft, layers: Layers, port_ids: tuple[str, ...], places: Mapping[str, NDArray[np.generic]], hubs: int,
    country_ids: tuple[str, ...],
) -> None:
    """Join each port's land node to its sea node: handling and dwell."""
    kept = [i for i, port in enumerate(port_ids) if port in layers.ports.index]
    rows = layers.ports.loc[[port_ids[i] for i in kept]]
    codes = [str(places["country"][i]) for i in kept]
    draft.add(len(kept), u=np.array(kept) + hubs, v=kept, mode=PORT, usd_t=rows["handling_usd_t"].to_numpy(float),
              days=rows["dwell_days"].to_numpy(float), port=kept, country=country_numbers(codes, country_ids))


def country_numbers(codes: Sequence[str], country_ids: tuple[str, ...]) -> NDArray[np.int64]:
    """Return the position of each country code, -1 for an unknown one."""
    position = {code: i for i, code in enumerate(country_ids)}
    return np.array([position.get(code, -1) for code in codes], dtype=np.int64)


def add_land(
    draft: Draft, mode: str, stored: Mapping[str, NDArray[np.generic]], first: int, border_ids: tuple[str, ...],
    borders: pd.DataFrame, country_ids: tuple[str, ...], line: int,
) -> None:
    """Add the legs inside countries and the border posts of one mode."""
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
    by_rail = float(draft.c["rail_freight_usd_t_km"])
    rate = road_rates(draft.c, [pair[0] for pair in codes]) if mode == "road" else by_rail
    draft.add(len(names), u=one + first, v=other + first, mode=RAIL if mode == "rail" else ROAD, km=post_km,
              usd_t=post_km * rate + extra_usd, days=post_km / float(draft.c[f"{mode}_speed_km_day"]) + extra_days,
              country=country[one], other_country=country[other], border=[border_ids.index(name) for name in names])


def border_terms(
    layers: Layers, names: Sequence[str], borders: pd.DataFrame, mode: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (USD per gross tonne, days) that each border crossing of a mode adds."""
    c, union = layers.constants, layers.bloc("eu27")
    green = [union | EFTA, frozenset({"CAN", "USA"})]
    usd, days = [], []
    for name in names:
        pair = set(name.split("-"))
        extra = float(borders.at[name, "extra_usd_t"])
        if mode == "rail" and borders.at[name, "gauge_break"] == "yes":
            usd.append(extra + (0.0 if pair <= union else float(c["border_cost_usd_t"])))
            days.append(float(c["border_delay_gauge_days"]))
            continue
        kind = "_mmr_chn" if pair == {"MMR", "CHN"} else "_green" if any(pair <= bloc for bloc in green) else ""
        kind = "_open" if pair <= union else kind
        usd.append(extra + float(c["border_cost_open_usd_t" if kind == "_open" else "border_cost_usd_t"]))
        days.append(float(c[f"border_delay{kind}_days"]))
    return np.array(usd), np.array(days)


def add_access(
    draft: Draft, mode: str, stored: Mapping[str, NDArray[np.generic]], places: Mapping[str, NDArray[np.generic]],
    first: int, hubs: int, arrive: NDArray[np.int64], known: NDArray[np.bool_], country_ids: tuple[str, ...],
) -> None:
    """Join ports both ways, facilities and markets one way each, to the network of one mode."""
    snap, rail = stored["snap"].astype(np.int64), mode == "rail"
    for port in (True, False):
        held = np.flatnonzero((snap >= 0) & known & ((places["kind"] == "port") == port))
        codes = [str(c) for c in places["country"][held]]
        inside = country_numbers(codes, country_ids)
        km = stored["snap_km"][held].astype(float)
        on_graph = snap[held] + first
        draft.add_road(codes, km, rail, u=held + hubs, v=on_graph, country=inside, one_way=not port)
        if not port:
            draft.add_road(codes, km, rail, u=on_graph, v=arrive[held], country=inside, one_way=True)


def add_transfers(
    draft: Draft, stored: Mapping[str, Mapping[str, NDArray[np.generic]]], first: Mapping[str, int],
    country_ids: tuple[str, ...],
) -> None:
    """Let goods change between rail and road near road posts."""
    rail = stored["rail"]
    inside = rail["country"][rail["transfer_rail"]].astype(np.int64)
    draft.add_road([country_ids[c] for c in inside], rail["transfer_km"].astype(float), handling=True, country=inside,
                   u=rail["transfer_road"] + first["road"], v=rail["transfer_rail"] + first["rail"])


def add_local(
    draft: Draft, new: Sequence[Place], places: Mapping[str, Place], ports: frozenset[str], country_ids: tuple[str, ...]
) -> None:
    """Join places of one country that lie within LOCAL_KM, and places far from any network to their nearest port."""
    every = list(places.values())
    index = geo.NearestIndex([p.lon for p in every], [p.lat for p in every])
    found: set[tuple[int, int, float]] = set()
    for place in new:
        for j in index.within(place.lon, place.lat, LOCAL_KM):
            other = every[j]
            if place.country and other.country == place.country:
                km = LOCAL_DETOUR * float(geo.geodesic_km(place.lon, place.lat, other.lon, other.lat))
                found.add((place.leave, other.arrive, km))
                found.add((other.leave, place.arrive, km))
        home = [places[name] for name in sorted(ports) if places[name].country == place.country]
        if place.country and place.snap_km > LOCAL_KM and home and place not in home:
            away = geo.geodesic_km(place.lon, place.lat, [p.lon for p in home], [p.lat for p in home])
            port, km = home[int(away.argmin())], float(away.min())
            stroke = geo.unwrap([(place.lon, place.lat), (port.lon, port.lat)])
            wet_km = km - geo.land_km(stroke, draft.layers.countries) if LOCAL_KM < km < place.snap_km else 0.0
            if km < place.snap_km and wet_km <= LOCAL_WET_KM:
                found |= {(place.leave, port.arrive, km), (port.leave, place.arrive, km)}
    rows = sorted((start, end, km) for start, end, km in found if start != end)
    if rows:
        u, v, length = (np.array(column) for column in zip(*rows, strict=True))
        country = {place.leave: place.country for place in every}
        codes = [country[int(i)] for i in u]
        draft.add_road(codes, length, u=u, v=v, one_way=True, country=country_numbers(codes, country_ids))



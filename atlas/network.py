"""The multimodal network: sea, rail and road reduced to one query graph, with what each edge costs and takes.

`load` reads `layers/network/`, prices its edges with the constants of `layers.transport`, ports and passages, and joins
facilities that the build did not know. A network is never changed: `with_points` makes a new one.

Facilities and markets have a node to leave from and one to arrive at, so no path leads through them; ports have one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from atlas import geo, local_access
from atlas.config import settings as read_settings
from atlas.land_graph import LandGraph
from atlas.land_joins import Ends, LandJoins
from atlas.layers import Layers
from atlas.local_access import NEEDED_KM, NO_ROADS, LocalRoads
from atlas.network_edges import (
    Draft,
    Edges,
    Lines,
    Place,
    add_access,
    add_land,
    add_local,
    add_ports,
    add_sea,
    add_transfers,
    packed_lines,
)
from atlas.sea_joins import SeaJoins, SeaLanes


@dataclass(frozen=True)
class Posts:
    """Border crossings of one mode: the graph nodes on both sides (n, 2), km between them (n,)."""

    ends: NDArray[np.int64]
    km: NDArray[np.float64]


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
    sea: SeaLanes
    local: LocalRoads = field(default=NO_ROADS)
    lane_of: Mapping[int, int] = field(default_factory=dict)  # edges that are parts of a sea lane: that lane

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

    def far_facilities(self) -> pd.Series:
        """Return snap km by id of the operating facilities that need local roads, the farthest first."""
        status = self.layers.facilities["status"]
        snap_km = pd.Series({str(i): self.places[str(i)].snap_km for i in status.index[status == "operating"]
                             if i in self.places}, dtype=float)
        return snap_km[snap_km > NEEDED_KM].sort_values(ascending=False, kind="stable")

    def posts(self, mode: str) -> Posts:
        """Return the border crossings of rail or road between nodes of that mode's graph."""
        nodes, graph_nodes = self.land_nodes[mode]
        e, low, high = self.edges, int(nodes.min()), int(nodes.max())
        post = np.flatnonzero((e.border >= 0) & (e.u >= low) & (e.u <= high) & (e.v >= low) & (e.v <= high))
        return Posts(graph_nodes[np.c_[e.u[post], e.v[post]] - low], e.km[post])

    def border_points(self) -> dict[str, NDArray[np.float64]]:
        """Return (lon, lat) of the crossings of each border that rail or road can take, by border id (n, 2)."""
        e = self.edges
        post = np.flatnonzero(e.border >= 0)
        middle = (self.xy[e.u[post]] + self.xy[e.v[post]]) / 2
        return {self.border_ids[k]: np.unique(middle[e.border[post] == k], axis=0) for k in np.unique(e.border[post])}

    def with_points(self, points: Mapping[str, tuple[float, float, str | None]]) -> Network:
        """Return a network with more places {id: (lon, lat, country or None)}; None: whose land the point is."""
        return _joined(self, points)

    def with_sea_joins(self, ids: Sequence[str]) -> Network:
        """Return a network in which these places reach ports and sea lanes within 60 km, without roads."""
        return _sea_joined(self, ids)


def load(layers: Layers, local: LocalRoads | None = None) -> Network:
    """Load the network of `layers/network/` for these layers; places it does not know are joined now.

    `local` are the local roads in use: by default those kept in the user's cache folder, `NO_ROADS` for none.
    """
    local = local_access.read_all(read_settings(), layers) if local is None else local
    directory = layers.directory("network")
    stored = {name: _read(directory / f"{name}.npz") for name in ("sea", "rail", "road", "places")}
    borders = pd.read_csv(directory / "borders.csv", dtype="str", keep_default_na=False).set_index("id").sort_index()
    draft = Draft(layers)
    sea, places = stored["sea"], stored["places"]
    country_ids = tuple(str(c) for c in stored["road"]["countries"])
    port_ids = tuple(str(p) for p in sea["ports"])
    border_ids = tuple(str(b) for b in borders.index)
    known = _known_places(layers, places, local)
    is_port = places["kind"] == "port"
    hubs = len(sea["xy"])  # place i leaves from node hubs + i
    arrivals = hubs + len(places["id"])
    first = {"rail": arrivals + len(places["id"])}
    first["road"] = first["rail"] + len(stored["rail"]["xy"])
    xy = np.vstack([sea["xy"], places["xy"], places["xy"], stored["rail"]["xy"], stored["road"]["xy"]])
    arrive = np.where(is_port, hubs + np.arange(len(is_port)), arrivals + np.arange(len(is_port)))
    passage_ids = add_sea(draft, sea)
    add_ports(draft, layers, port_ids, places, hubs, country_ids)
    files = [packed_lines(sea, 1e5)]
    for mode in ("rail", "road"):
        add_land(draft, mode, stored[mode], first[mode], border_ids, borders, country_ids,
                  sum(len(f.start) - 1 for f in files))
        files.append(packed_lines(stored[mode], 1e3))
        add_access(draft, mode, stored[mode], places, first[mode], hubs, arrive, known, country_ids)
    add_transfers(draft, stored, first, country_ids)
    table, missing = _places(layers, places, known, stored, hubs, arrive)
    land = {mode: LandGraph(directory / f"{mode}_graph.npz") for mode in ("rail", "road")}
    land_nodes = {mode: (np.arange(first[mode], first[mode] + len(stored[mode]["xy"]), dtype=np.int32),
                         stored[mode]["graph_node"].astype(np.int64)) for mode in ("rail", "road")}
    add_local(draft, list(table.values()), table, frozenset(port_ids) & set(table), country_ids)
    network = Network(
        xy=xy, edges=draft.edges(), places=table, country_ids=country_ids, port_ids=port_ids, border_ids=border_ids,
        passage_ids=passage_ids,
        closed_borders=frozenset(borders.index[borders["open"] == "no"]), files=tuple(files), extra_lines=(),
        land=land, land_nodes=land_nodes, layers=layers, local=local,
        sea=SeaLanes(files[0], sea["over_km"].astype(float), tuple(map(str, sea["waterways"])),
                     sea["river_edge"].astype(np.int32)),
    )
    return network.with_points(missing) if missing else network


def _read(path: Path) -> dict[str, NDArray[np.generic]]:
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def _wanted(layers: Layers) -> pd.DataFrame:
    frames = [frame[["country", "lon", "lat"]] for frame in (layers.ports, layers.facilities, layers.markets)]
    return pd.concat([pd.DataFrame(f) for f in frames])


def _known_places(
    layers: Layers, places: Mapping[str, NDArray[np.generic]], local: LocalRoads
) -> NDArray[np.bool_]:
    """Tell which stored places are still where the build found them and have no local roads."""
    wanted = _wanted(layers).reindex([str(i) for i in places["id"]])
    same = np.isclose(wanted[["lon", "lat"]].to_numpy(dtype=float), places["xy"], atol=1e-9).all(axis=1)
    rows = zip(places["xy"].tolist(), places["country"].tolist(), places["kind"].tolist(), strict=True)
    plain = [kind == "port" or local.at(lon, lat, country) is None for (lon, lat), country, kind in rows]
    return np.asarray(same & (wanted["country"].to_numpy() == places["country"]) & plain)


def _places(
    layers: Layers, places: Mapping[str, NDArray[np.generic]], known: NDArray[np.bool_],
    stored: Mapping[str, Mapping[str, NDArray[np.generic]]], hubs: int, arrive: NDArray[np.int64],
) -> tuple[dict[str, Place], dict[str, tuple[float, float, str | None]]]:
    """Return the stored places of these layers, and those still to be joined."""
    node = {mode: stored[mode]["snap"].astype(np.int64) for mode in ("road", "rail")}
    snaps = np.stack([np.where(node[mode] >= 0, stored[mode]["snap_km"], np.inf) for mode in node])
    near = snaps.min(axis=0)
    table = {}
    for i in np.flatnonzero(known):
        lon, lat = places["xy"][i]
        table[str(places["id"][i])] = Place(hubs + int(i), int(arrive[i]), float(lon), float(lat),
                                            str(places["country"][i]), float(near[i]))
    wanted = _wanted(layers)
    rest = wanted[~wanted.index.isin(list(table))]
    missing: dict[str, tuple[float, float, str | None]] = {
        str(i): (float(lon), float(lat), str(country))
        for i, country, lon, lat in zip(rest.index, rest["country"], rest["lon"], rest["lat"], strict=True)
        if np.isfinite(lon)}
    return dict(sorted(table.items())), missing


def _joined(network: Network, points: Mapping[str, tuple[float, float, str | None]]) -> Network:
    layers, draft = network.layers, Draft(network.layers)
    xy, lines = list(network.xy), list(network.extra_lines)
    base = sum(len(f.start) - 1 for f in network.files)
    ordered = sorted(points.items())
    blank = [i for i, (_, point) in enumerate(ordered) if not point[2]]
    looked = geo.country_of([ordered[i][1][:2] for i in blank], layers.countries, max_km=60.0) if blank else []
    country_at = dict(zip(blank, looked, strict=True))
    places, new = dict(network.places), []
    joins = LandJoins(draft, xy, lines, base, network.land, network.land_nodes, network.country_ids, network.places)
    for i, (name, (lon, lat, given)) in enumerate(ordered):
        country = given or country_at[i]
        ends = Ends(joins.node(lon, lat), joins.node(lon, lat), lon, lat, country)
        snap_km = joins.join(ends, network.local.at(lon, lat, country))
        places[name] = Place(ends.leave, ends.arrive, lon, lat, country, snap_km)
        new.append(places[name])
    add_local(draft, new, places, frozenset(network.port_ids) & set(places), network.country_ids)
    return replace(_extended(network, draft, xy, lines), places=dict(sorted(places.items())))


def _sea_joined(network: Network, ids: Sequence[str]) -> Network:
    xy, lines = list(network.xy), list(network.extra_lines)
    base = sum(len(f.start) - 1 for f in network.files)
    ports = {name: network.places[name] for name in network.port_ids if name in network.places}
    joins = SeaJoins(network.layers, network.sea, network.edges, network.places, ports, network.passage_ids, xy, lines,
                     base)
    for name in ids:
        joins.join(name)
    joins.cut_lanes()
    lane_of = {len(network.edges) + position: lane for position, lane in joins.lane_of.items()}
    return replace(_extended(network, joins.draft, xy, lines), lane_of=lane_of)


def _extended(
    network: Network, draft: Draft, xy: list[NDArray[np.float64]], lines: list[NDArray[np.float64]]
) -> Network:
    """Return the network with the draft's edges, and nodes and lines in place of its own."""
    if not draft.columns:
        return replace(network, xy=np.array(xy), extra_lines=tuple(lines))
    added = draft.edges()
    edges = Edges(**{n: np.concatenate([getattr(network.edges, n), getattr(added, n)]) for n in draft.neutral})
    return replace(network, xy=np.array(xy), edges=edges, extra_lines=tuple(lines))

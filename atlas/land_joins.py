"""Join places to the rail and road graphs: straight to the nearest node, or over local roads where they are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas import geo
from atlas.land_graph import Joins, LandGraph
from atlas.local_access import NEEDED_KM, Access, Exit, ModeAccess
from atlas.network_edges import RAIL, Draft, Place, country_numbers

REACH_KM = {"rail": 200.0, "road": 900.0}
LOOK_KM, WET_KM = 15.0, 10.0  # a straight join this long must not lead over this much water
JUNCTION_KM = 10.0  # how far a junction of local roads may lie from the trunk graph after that was rebuilt


@dataclass(frozen=True)
class Ends:
    """A place being joined: the nodes to leave from and to arrive at, where it is, its country."""

    leave: int
    arrive: int
    lon: float
    lat: float
    country: str


class LandJoins:
    """Nodes, lines and edges being added to a network. `xy` and `lines` are those it has, and grow."""

    def __init__(
        self, draft: Draft, xy: list[NDArray[np.float64]], lines: list[NDArray[np.float64]], first_line: int,
        land: Mapping[str, LandGraph], land_nodes: Mapping[str, tuple[NDArray[np.int32], NDArray[np.int64]]],
        country_ids: tuple[str, ...], places: Mapping[str, Place],
    ) -> None:
        self.draft, self.xy, self.lines, self._first_line = draft, xy, lines, first_line
        self._land, self._land_nodes = land, land_nodes
        self._country_ids, self._places = country_ids, places
        self._met: dict[str, dict[int, int]] = {mode: {} for mode in land}  # by mode: graph node, node given to it

    def node(self, lon: float, lat: float) -> int:
        """Add a node and return its number."""
        self.xy.append(np.array([lon, lat]))
        return len(self.xy) - 1

    def join(self, ends: Ends, access: Access | None) -> float:
        """Join a place to rail and road; returns the km to the nearest of them, inf where there is none."""
        snap_km = np.inf
        road = access.modes.get("road") if access is not None else None
        for mode in ("road", "rail"):
            part = access.modes.get(mode) if access is not None else None
            if part is not None and self._over_local(mode, ends, part):
                snap_km = min(snap_km, part.snap_km)
            elif mode == "rail" and road is not None and self._rail_by_road(ends, road):
                continue  # the place's own snap is that of its road
            else:
                snap_km = min(snap_km, self._straight(mode, ends))
        return float(snap_km)

    def _meet(
        self, mode: str, lon: float, lat: float, country: str, reach_km: float, on_edges: bool = False
    ) -> Joins | None:
        if not country:
            return None
        more = np.array(sorted(self._met[mode]), dtype=np.int64)  # so that two new places see each other
        return self._land[mode].join(lon, lat, country, self._land_nodes[mode][1], reach_km, on_edges, more)

    def _junction(self, mode: str, way_out: Exit, country: str) -> Joins | None:
        return self._meet(mode, way_out.lon, way_out.lat, country, JUNCTION_KM, on_edges=True)

    def _straight(self, mode: str, ends: Ends) -> float:
        met = self._meet(mode, ends.lon, ends.lat, ends.country, REACH_KM[mode])
        if met is None or self._over_water(ends, met):
            return np.inf
        on_graph = self.node(*met.xy)
        self._access(mode, ends, on_graph, met.snap_km)
        self._onward(mode, ends, on_graph, met)
        return met.snap_km

    def _over_water(self, ends: Ends, met: Joins) -> bool:
        """Tell whether a long way to the network would lead over water."""
        if met.snap_km <= LOOK_KM:
            return False
        stroke = geo.unwrap([(ends.lon, ends.lat), met.xy])
        return met.snap_km - geo.land_km(stroke, self.draft.layers.countries) > WET_KM

    def _over_local(self, mode: str, ends: Ends, part: ModeAccess) -> bool:
        """Join a place over its local ways; False, with nothing added, if none of them still meets the network."""
        met = [(e, self._junction(mode, e, ends.country)) for e in part.exits if e.kind == "trunk"]
        junctions = [(e, m) for e, m in met if m is not None]
        ports = [e for e in part.exits if e.kind == "port" and e.port in self._places]
        if not junctions and not ports:
            return False
        start = self.node(part.lon, part.lat)
        self._access(mode, ends, start, part.snap_km)
        for way_out, junction in junctions:
            on_graph, line = self.node(*junction.xy), np.vstack([way_out.line, junction.xy])
            self._ways(mode, ends, start, np.array([on_graph]), np.array([way_out.km + junction.snap_km]), [line])
            self._onward(mode, ends, on_graph, junction)
        for way_out in ports:
            self._to_port(mode, ends, start, way_out)
        return True

    def _to_port(self, mode: str, ends: Ends, start: int, way_out: Exit) -> None:
        port = self._places[way_out.port].leave
        km = np.array([way_out.km])
        if mode == "road":
            self._ways(mode, ends, start, np.array([port]), km, [way_out.line])
            return
        quay = self.node(way_out.lon, way_out.lat)
        self._ways(mode, ends, start, np.array([quay]), km, [way_out.line])
        self.draft.add_road([ends.country], np.zeros(1), handling=True, u=quay, v=port, country=self._inside(ends))

    def _rail_by_road(self, ends: Ends, road: ModeAccess) -> bool:
        """Join a place to the railway over its local roads; False, with nothing added, if it is nearer straight.

        Without this a place with roads of its own would still reach the railway over open country.
        """
        straight = self._meet("rail", ends.lon, ends.lat, ends.country, REACH_KM["rail"])
        if straight is not None and straight.snap_km <= NEEDED_KM:
            return False
        found = [(e, self._junction("rail", e, ends.country)) for e in road.exits if e.kind == "railhead"]
        if not found:
            found = [(e, self._meet("rail", e.lon, e.lat, ends.country, REACH_KM["rail"])) for e in road.exits
                     if e.kind == "trunk"]
        ways = [(e.km + m.snap_km, e, m) for e, m in found if m is not None]
        if not ways:
            return False
        km, way_out, met = min(ways, key=lambda way: way[0])
        gate, on_graph = self.node(road.lon, road.lat), self.node(*met.xy)
        for u, v in ((ends.leave, gate), (gate, ends.arrive)):
            self.draft.add_road([ends.country], np.array([road.snap_km]), to_rail=True, u=u, v=v, one_way=True,
                                country=self._inside(ends))
        self.draft.add_road([ends.country], np.array([km]), handling=True, u=gate, v=on_graph,
                            country=self._inside(ends), line=self._line(np.vstack([way_out.line, met.xy])))
        self._onward("rail", ends, on_graph, met)
        return True

    def _inside(self, ends: Ends) -> int:
        return int(country_numbers([ends.country], self._country_ids)[0])

    def _access(self, mode: str, ends: Ends, node: int, km: float) -> None:
        """Add the road from a place to a node of the mode and the one back; with a lift where that is rail."""
        for u, v in ((ends.leave, node), (node, ends.arrive)):
            self.draft.add_road([ends.country], np.array([km]), handling=mode == "rail", u=u, v=v, one_way=True,
                                country=self._inside(ends))

    def _onward(self, mode: str, ends: Ends, on_graph: int, met: Joins) -> None:
        """Add the ways from a node of the trunk graph to the nodes of the query graph that are met first."""
        nodes, graph_nodes = self._land_nodes[mode]
        order = np.argsort(graph_nodes)
        at = order[np.searchsorted(graph_nodes[order], met.targets).clip(max=len(order) - 1)]
        given = [self._met[mode].get(int(target), int(nodes[i])) for target, i in zip(met.targets, at, strict=True)]
        self._ways(mode, ends, on_graph, np.array(given, dtype=np.int64), met.km, met.lines)
        if met.start >= 0 and met.start not in graph_nodes:
            self._met[mode].setdefault(met.start, on_graph)

    def _line(self, shape: NDArray[np.float64]) -> int:
        self.lines.append(shape)
        return self._first_line + len(self.lines) - 1

    def _ways(
        self, mode: str, ends: Ends, start: int, stops: NDArray[np.signedinteger], km: NDArray[np.float64],
        lines: list[NDArray[np.float64]],
    ) -> None:
        """Add edges of a mode, both ways, from one node to others."""
        common: dict[str, Any] = {"u": start, "v": stops, "country": self._inside(ends),
                                  "line": [self._line(line) for line in lines]}
        if mode == "rail":
            self.draft.add(len(km), mode=RAIL, km=km, usd_t=km * float(self.draft.c["rail_freight_usd_t_km"]),
                           days=km / float(self.draft.c["rail_speed_km_day"]), **common)
        else:
            self.draft.add_road([ends.country] * len(km), km, **common)

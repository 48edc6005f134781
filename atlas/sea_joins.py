"""Sea lanes as the build left them, and how a point joins them when it lies at sea or must go by sea alone.

A stroke from a point to a lane or port, and each part of a lane that it cuts, bears the passages whose gate it crosses:
no join is a way round a closed gate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.ops import substring

from atlas import geo
from atlas.layers import Layers
from atlas.network_edges import PORT, SEA, Draft, Edges, Lines, Place, road_rates

SEA_REACH_KM = 60.0  # how far a point may lie from a port or sea lane when it must go by sea alone
COAST_KM = 3.0  # a stroke may cross this much land: the outlines of countries are coarse
LANES = 12  # a point joins at most this many lanes


@dataclass(frozen=True)
class SeaLanes:
    """The sea edges of the network, numbers 0 to n - 1: lines, km over land outside the listed waterways (n,).

    `waterway_edges` (m, 2) tells which edge uses which of the listed canals, rivers and harbours.
    """

    lines: Lines
    over_land_km: NDArray[np.float64]
    waterway_ids: tuple[str, ...]
    waterway_edges: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.over_land_km)

    def waterways(self, edges: Sequence[int]) -> tuple[str, ...]:
        """Return the listed waterways that these edges use, sorted."""
        rows = self.waterway_edges[np.isin(self.waterway_edges[:, 0], list(edges))]
        return tuple(self.waterway_ids[i] for i in np.unique(rows[:, 1]))

    @cached_property
    def shapes(self) -> NDArray[np.object_]:
        """The lines of all edges, longitudes continuous."""
        return np.array([shapely.LineString(self.lines.line(i)) for i in range(len(self))], dtype=object)

    @cached_property
    def _tree(self) -> shapely.STRtree:
        return shapely.STRtree(self.shapes)

    def near(self, lon: float, lat: float, reach_km: float) -> list[tuple[float, int, float, float]]:
        """Return (km, edge, share along it, lon of the point in the edge's own turn) of lanes within reach, sorted."""
        squeeze, dy = max(float(np.cos(np.radians(lat))), 0.05), reach_km / 110.0
        found = []
        for turn in (0.0, 360.0, -360.0):
            here = lon + turn
            for edge in self._tree.query(shapely.box(here - dy / squeeze, lat - dy, here + dy / squeeze, lat + dy)):
                flat = shapely.transform(self.shapes[edge], lambda xy, x=here: (xy - (x, lat)) * (squeeze, 1.0))
                share = float(shapely.line_locate_point(flat, shapely.Point(0.0, 0.0), normalized=True))
                foot = self.shapes[edge].interpolate(share, normalized=True)
                km = float(geo.geodesic_km(here, lat, foot.x, foot.y))
                if km <= reach_km:
                    found.append((km, int(edge), share, here))
        return sorted(found)


class SeaJoins:
    """Nodes, edges and lines being added to a network so that places reach the sea without roads."""

    def __init__(
        self, layers: Layers, lanes: SeaLanes, edges: Edges, places: Mapping[str, Place], ports: Mapping[str, Place],
        passage_ids: Sequence[str], xy: list[NDArray[np.float64]], lines: list[NDArray[np.float64]], first_line: int,
    ) -> None:
        self.draft, self.xy, self.lines = Draft(layers), xy, lines
        self._layers, self._lanes, self._edges, self._places = layers, lanes, edges, places
        self._ports, self._first_line = list(ports.values()), first_line
        self._gates = {name: layers.passages.geometry[name] for name in passage_ids if name in layers.passages.index}
        self._bit = {name: np.uint64(1) << np.uint64(i) for i, name in enumerate(passage_ids)}
        self._cuts: dict[int, list[tuple[float, int]]] = {}
        self._count = 0
        self.lane_of: dict[int, int] = {}  # position of an added edge: the lane it is a part of

    def join(self, name: str) -> None:
        """Join a place: to lanes over water where it floats, else to the nearest port within reach as if by road."""
        place = self._places[name]
        afloat = not geo.country_of([(place.lon, place.lat)], self._layers.countries)[0]
        if afloat and self._to_lanes(place, over_water=True):
            return
        if not self._to_ports(place):
            self._to_lanes(place, over_water=False)

    def _to_ports(self, place: Place) -> bool:
        harbours = geo.NearestIndex([p.lon for p in self._ports], [p.lat for p in self._ports])
        position, away = harbours.query(place.lon, place.lat)  # only the nearest: another may lie behind a gate
        near = [self._ports[int(position[0])]] if away[0] <= SEA_REACH_KM else []
        c = self.draft.c
        for port in near:
            km = float(geo.geodesic_km(place.lon, place.lat, port.lon, port.lat))
            tags = self._tags(geo.unwrap([(place.lon, place.lat), (port.lon, port.lat)]), self._gates)[0]
            for u, v in ((place.leave, port.leave), (port.leave, place.arrive)):
                self._count += 1
                self.draft.add(1, u=u, v=v, mode=PORT, km=km, usd_t=km * road_rates(c, [port.country]),
                               days=km / float(c["road_speed_km_day"]), one_way=True, passages=tags)
        return bool(near)

    def _to_lanes(self, place: Place, over_water: bool) -> bool:
        joined = 0
        for km, edge, share, lon in self._lanes.near(place.lon, place.lat, SEA_REACH_KM):
            foot = shapely.get_coordinates(self._lanes.shapes[edge].interpolate(share, normalized=True))[0]
            stroke = np.array([(lon, place.lat), foot])
            if over_water and geo.land_km(stroke, self._layers.countries) > COAST_KM:
                continue
            met = len(self.xy)
            self.xy.append(foot)
            self._cuts.setdefault(edge, []).append((share, met))
            for u, v, line in ((place.leave, met, stroke), (met, place.arrive, stroke[::-1])):
                self._sea(u, v, line, km, self._gates, one_way=True)
            joined += 1
            if joined == LANES:
                break
        return joined > 0

    def cut_lanes(self) -> None:
        """Add the parts of every lane that places have joined, from end to end."""
        for edge, cuts in sorted(self._cuts.items()):
            shape, e = self._lanes.shapes[edge], self._edges
            bits = int(e.passages[edge])
            gates = {name: gate for name, gate in self._gates.items() if bits & int(self._bit[name])}
            marks = [(0.0, int(e.u[edge])), *sorted(cuts), (1.0, int(e.v[edge]))]
            for (start, u), (end, v) in zip(marks[:-1], marks[1:], strict=True):
                part = substring(shape, start, end, normalized=True)
                xy = shapely.get_coordinates(part)
                self.lane_of[self._count] = edge
                self._sea(u, v, np.vstack([xy, xy]) if len(xy) < 2 else xy, geo.line_km(xy), gates)

    def _sea(
        self, u: int, v: int, line: NDArray[np.float64], km: float, gates: Mapping[str, shapely.Geometry],
        one_way: bool = False,
    ) -> None:
        c = self.draft.c
        self._count += 1
        tags, usd_t, days = self._tags(line, gates)
        self.draft.add(1, u=u, v=v, mode=SEA, km=km, usd_t=km * float(c["sea_freight_usd_t_km"]) + usd_t,
                       days=km / float(c["sea_speed_km_day"]) + days, one_way=one_way, passages=tags,
                       line=self._first_line + len(self.lines))
        self.lines.append(line)

    def _tags(
        self, line: NDArray[np.float64], gates: Mapping[str, shapely.Geometry]
    ) -> tuple[np.uint64, float, float]:
        """Return (bits, tolls in USD/t, days of delay) of the gates a line crosses."""
        tags, usd_t, days = np.uint64(0), 0.0, 0.0
        shape, passages = shapely.LineString(line), self._layers.passages
        for name, gate in gates.items():
            if any(shape.intersects(shapely.transform(gate, lambda xy, by=by: xy + (by, 0.0)))
                   for by in (0.0, 360.0, -360.0)):
                tags |= self._bit[name]
                usd_t += float(passages.at[name, "toll_usd_t"])
                days += float(passages.at[name, "delay_days"])
        return tags, usd_t, days

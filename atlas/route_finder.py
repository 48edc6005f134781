"""One route between two places or points, with alternatives, as `atlas route` and /api/route tell it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra
from shapely.geometry import LineString, mapping

from atlas import geo
from atlas.alternatives import different_ways
from atlas.errors import BadInput, UnknownName, nearest
from atlas.layers import Layers
from atlas.network import Network
from atlas.network_edges import AIR, MODES, RAIL, ROAD, SEA
from atlas.way import Closures, Leg, Path, drawn_legs, needs, read_surcharges

MODE_NAMES = ("sea", "rail", "road", "air")
MAX_ALTERNATIVES = 10
DECIMALS = 5
COASTLINE = "GSHHG 2.3.6 (high and intermediate resolution) and Natural Earth 1:10 million"


class Router(Protocol):
    """What a search needs of `routing.Router`, where each of these is described."""

    network: Network
    layers: Layers

    def attach(self, points: Mapping[str, tuple[float, float, str | None]]) -> Router: ...
    def by_sea_from(self, ids: Iterable[str]) -> Router: ...
    def blocked(self, closures: Closures) -> NDArray[np.bool_]: ...
    def passing(self, kind: str, name: str) -> NDArray[np.bool_]: ...
    def edge_cost(self, commodity: str, surcharges: Mapping[str, float] | None = None) -> NDArray[np.float64]: ...
    def day_cost(self, commodity: str) -> float: ...
    def matrix(
        self, weight: NDArray[np.float64], blocked: NDArray[np.bool_], backward: bool = False
    ) -> tuple[csr_matrix, NDArray[np.int64]]: ...
    def edges_between(self, nodes: Sequence[int], open_arcs: NDArray[np.int64]) -> list[int]: ...
    def describe(
        self, nodes: list[int], edges: list[int], cost: NDArray[np.float64], names: tuple[str, str]
    ) -> Path: ...
    def geometry(self, path: Path) -> LineString: ...


@dataclass(frozen=True)
class Route:
    """A way between two places; a route that does not exist has a reason and no length."""

    reachable: bool
    reason: str
    distance_km: float | None
    days: float | None
    cost_usd_t: float | None
    passages: tuple[str, ...]
    ports: tuple[str, ...]
    borders: tuple[str, ...]
    countries: tuple[str, ...]
    snap_km: tuple[float, float]
    legs: tuple[Leg, ...]
    line: LineString
    certificate: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the fields of `route --json`; the geometry is cut at the antimeridian."""
        legs = [{"mode": leg.mode, "from": leg.start, "to": leg.end, "distance_km": leg.distance_km, "days": leg.days,
                 "cost_usd_t": leg.cost_usd_t, "geometry": _geometry(leg.line)} for leg in self.legs]
        return {
            "reachable": self.reachable, "reason": self.reason, "distance_km": self.distance_km, "days": self.days,
            "cost_usd_t": self.cost_usd_t, "passages": list(self.passages), "ports": list(self.ports),
            "borders": list(self.borders), "countries": list(self.countries), "snap_km": list(self.snap_km),
            "legs": legs, "geometry": _geometry(self.line), "certificate": dict(self.certificate),
        }


def _geometry(line: LineString) -> dict[str, Any] | None:
    if line.is_empty:
        return None
    member: dict[str, Any] = mapping(geo.split_antimeridian(line))

    def rounded(item: Any) -> Any:
        return [rounded(i) for i in item] if isinstance(item, list | tuple) else round(float(item), DECIMALS)

    return {"type": member["type"], "coordinates": rounded(member["coordinates"])}


def find(
    router: Router, a: str | tuple[float, float], b: str | tuple[float, float], *, commodity: str = "magnet",
    modes: Sequence[str] = ("sea", "rail", "road"), close: Iterable[str] = (), open: Iterable[str] = (),
    alternatives: int = 1, surcharges: Mapping[str, float] | Iterable[str] = (),
) -> list[Route]:
    """Return up to `alternatives` routes from a to b, cheapest first; a lone unreachable one if there is none.

    a and b are ids of facilities, markets or ports, or (lon, lat), or a text `lon,lat`; `surcharges` are USD per gross
    tonne by passage, or texts `PASSAGE=USD_T`. Raises BadInput with every problem of the question.
    """
    problems: list[str] = []
    wrong = sorted({m for m in modes if m not in MODE_NAMES})
    problems += [str(UnknownName("mode", m, nearest(m, MODE_NAMES) or MODE_NAMES)) for m in wrong]
    if not modes:
        problems.append("modes: none given; there are " + ", ".join(MODE_NAMES))
    if not 1 <= alternatives <= MAX_ALTERNATIVES:
        problems.append(f"alternatives must be 1 to {MAX_ALTERNATIVES}, not {alternatives}")
    points: dict[str, tuple[float, float, str | None]] = {}
    names = [_end(router, end, points, problems) for end in (a, b)]
    closures = Closures()
    charges: Mapping[str, float] = {}
    try:
        router.edge_cost(commodity)
    except BadInput as error:
        problems += error.problems
    try:
        closures = Closures.of(close, open, router.layers)
    except BadInput as error:
        problems += error.problems
    try:
        charges = read_surcharges(surcharges, router.layers)
    except BadInput as error:
        problems += error.problems
    if problems:
        raise BadInput(problems)
    router = router.attach(points)
    if "sea" in modes:
        by_sea = names if "rail" not in modes and "road" not in modes else _afloat(router, points)
        router = router.by_sea_from(by_sea) if by_sea else router
    return _search(router, (names[0], names[1]), commodity, frozenset(modes), closures, alternatives, charges)


def _afloat(router: Router, points: Mapping[str, tuple[float, float, str | None]]) -> list[str]:
    """Return the points that lie in no country, or that no rail or road is near."""
    held = geo.country_of([point[:2] for point in points.values()], router.layers.countries) if points else []
    places = router.network.places
    return [name for name, country in zip(points, held, strict=True)
            if not country or not np.isfinite(places[name].snap_km)]


def _end(
    router: Router, end: str | tuple[float, float], points: dict[str, tuple[float, float, str | None]],
    problems: list[str],
) -> str:
    places = router.network.places
    if isinstance(end, str):
        found = next((name for name in (end, end.strip().lower(), end.strip().upper()) if name in places), None)
        if found:
            return found
        lonlat = geo.parse_lonlat(end)
        if lonlat is None:
            problems.append(str(UnknownName("facility or port", end, nearest(end, places))))
            return end
    else:
        lonlat = geo.parse_lonlat(",".join(map(str, end)))
        if lonlat is None:
            problems.append(f"not a longitude and latitude: {end!r}")
            return str(end)
    name = f"{lonlat[0]:.10g},{lonlat[1]:.10g}"
    points[name] = (*lonlat, None)
    return name


def _search(
    router: Router, names: tuple[str, str], commodity: str, modes: frozenset[str], closures: Closures, wanted: int,
    charges: Mapping[str, float],
) -> list[Route]:
    network = router.network
    start, goal = (network.places[name] for name in names)
    blocked = router.blocked(closures) | ~_allowed(network, modes)
    weight = router.edge_cost(commodity, charges)
    paths = different_ways(
        lambda look, shut: _cheapest(router, start.leave, goal.arrive, look, shut, weight, names), weight, blocked,
        network.edges.km, np.isin(network.edges.mode, (RAIL, ROAD)), router.passing,
        frozenset(names) & frozenset(network.port_ids), wanted,
    )
    if modes == {"sea"}:  # two points beside one port are joined past its quay, which is no way by sea
        paths = [path for path in paths if not path.edges or (network.edges.mode[list(path.edges)] == SEA).any()]
    routes = [_told(router, path, names, weight) for path in paths]
    if "air" in modes:
        routes.append(_flight(router, names, commodity))
    routes.sort(key=lambda route: route.cost_usd_t or 0.0)
    return routes[:wanted] or [_unreachable(router, names, blocked, closures, modes)]


def _allowed(network: Network, modes: frozenset[str]) -> NDArray[np.bool_]:
    names = np.array([needs(i) in modes for i in range(len(MODES))])
    return np.asarray(names[network.edges.mode] | (network.edges.access & ("rail" in modes)))


def _cheapest(
    router: Router, start: int, goal: int, look: NDArray[np.float64], blocked: NDArray[np.bool_],
    cost: NDArray[np.float64], names: tuple[str, str],
) -> Path | None:
    """Return the way that looks cheapest, described with what it costs."""
    matrix, arcs = router.matrix(look, blocked)
    _, before = dijkstra(matrix, indices=start, return_predecessors=True)
    nodes = [goal]
    while nodes[-1] != start:
        step = int(before[nodes[-1]])
        if step < 0:
            return None
        nodes.append(step)
    nodes.reverse()
    return router.describe(nodes, router.edges_between(nodes, arcs), cost, names)


def _told(router: Router, path: Path, names: tuple[str, str], cost: NDArray[np.float64]) -> Route:
    km, ports = router.network.edges.km, router.network.port_ids
    # The first and last edge of a place that is no port are its joins to the network.
    snap = [float(km[path.edges[i]]) if path.edges and name not in ports else 0.0
            for i, name in zip((0, -1), names, strict=True)]
    legs = drawn_legs(router.network, path, cost)
    return Route(True, "", path.distance_km, path.days, path.cost_usd_t, path.passages, path.ports, path.borders,
                 path.countries, (snap[0], snap[1]), legs, router.geometry(path), _certificate(router, path, legs))


def _certificate(router: Router, path: Path, legs: Sequence[Leg]) -> dict[str, Any]:
    """Return what a check of the route against a coastline should find; the build measured it edge by edge.

    `unchecked_km` are strokes by which a point joins the lanes, which no coastline has seen. `length_error_share` is
    the worst difference between a sea leg's km and the geodesic length of its drawn line.
    """
    lanes, sea = router.network.sea, [leg for leg in legs if leg.mode == MODES[SEA]]
    lane_of = router.network.lane_of
    edges = [lane_of.get(edge, edge) for edge in path.edges]
    strokes = [edge for edge, lane in zip(path.edges, edges, strict=True)
               if lane >= len(lanes) and router.network.edges.mode[edge] == SEA]
    edges = sorted({lane for lane in edges if lane < len(lanes)})
    errors = [abs(geo.line_km(leg.line) - leg.distance_km) / max(leg.distance_km, 1.0) for leg in sea]
    return {
        "sea_km": sum(leg.distance_km for leg in sea), "over_land_km": float(lanes.over_land_km[edges].sum()),
        "unchecked_km": float(router.network.edges.km[strokes].sum()), "waterways": list(lanes.waterways(edges)),
        "length_error_share": max(errors, default=0.0), "coastline": COASTLINE,
    }


def _flight(router: Router, names: tuple[str, str], commodity: str) -> Route:
    """Return the direct flight: great circle, flat rate, waiting time; magnets pay for shielding."""
    c, ends = router.layers.constants, [router.network.places[name] for name in names]
    line = _great_circle((ends[0].lon, ends[0].lat), (ends[1].lon, ends[1].lat))
    km = float(geo.geodesic_km(ends[0].lon, ends[0].lat, ends[1].lon, ends[1].lat))
    days = km / float(c["air_speed_km_day"]) + float(c["air_fixed_days"])
    uplift = 1.0 + (float(c["air_magnet_uplift_share"]) if commodity == "magnet" else 0.0)
    freight = km * float(c["air_freight_usd_t_km"]) * uplift * float(c[f"gross_t_per_t_{commodity}"])
    cost = freight + days * router.day_cost(commodity)
    countries = tuple(dict.fromkeys(end.country for end in ends if end.country))
    leg = Leg(MODES[AIR], names[0], names[1], km, days, cost, line)
    return Route(True, "", km, days, cost, (), (), (), countries, (0.0, 0.0), (leg,), line)


def _great_circle(start: tuple[float, float], end: tuple[float, float], points: int = 63) -> LineString:
    """Return the shortest line between two points, longitudes continuous."""
    if float(geo.geodesic_km(*start, *end)) < 1e-6:
        return LineString()
    return LineString(geo.unwrap(np.vstack([start, geo.geodesic_points(start, end, points), end])))


def _unreachable(
    router: Router, names: tuple[str, str], blocked: NDArray[np.bool_], closures: Closures, modes: frozenset[str]
) -> Route:
    network, e = router.network, router.network.edges
    weight = np.ones(len(e))
    there = [np.isfinite(dijkstra(router.matrix(weight, blocked, backward=back)[0], indices=node, unweighted=True))
             for node, back in ((network.places[names[0]].leave, False), (network.places[names[1]].arrive, True))]
    by = " and ".join(m for m in MODE_NAMES if m in modes)
    shut = router.blocked(closures)
    found: list[str] = []
    reached = dijkstra(router.matrix(weight, ~_allowed(network, modes))[0], indices=network.places[names[0]].leave,
                       unweighted=True)
    joined = np.isfinite(reached[network.places[names[1]].arrive])  # with everything open
    for inside in there[::-1] if joined else []:
        rim = shut & _allowed(network, modes) & (inside[e.u] != inside[e.v])
        found = _things(network, rim, closures)
        if found:
            break
    if found:
        reason = f"no path from {names[0]} to {names[1]} by {by}: {', '.join(found)} closed"
    elif modes <= {"sea"} and any(int(near.sum()) <= 1 for near in there):
        alone = names[0] if int(there[0].sum()) <= 1 else names[1]
        reason = f"no path by sea: {alone} is more than 60 km from any port or sea lane"
    else:
        reason = f"no path from {names[0]} to {names[1]} by {by}: the network does not join them"
    return Route(False, reason, None, None, None, (), (), (), (), (0.0, 0.0), (), LineString())


def _things(network: Network, rim: NDArray[np.bool_], closures: Closures) -> list[str]:
    """Name the closed passages, ports and borders among edges."""
    e = network.edges
    bits = int(np.bitwise_or.reduce(e.passages[rim])) if rim.any() else 0
    passages = [name for i, name in enumerate(network.passage_ids) if bits >> i & 1]
    ports = [network.port_ids[i] for i in np.unique(e.port[rim]) if i >= 0]
    borders = [network.border_ids[i] for i in np.unique(e.border[rim]) if i >= 0]
    named: Mapping[str, frozenset[str]] = {"passages": closures.passages, "ports": closures.ports,
                                           "borders": closures.borders}
    asked = [n for n in [*passages, *ports, *borders] if any(n in group for group in named.values())]
    shut = [name for name in borders if name in network.closed_borders]
    return asked or [*passages, *shut]


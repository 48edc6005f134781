"""Join ports to the sea lanes over water, and cut the corners of the lanes that no land asks for (build only)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace

import click
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import dijkstra
from shapely.ops import substring

from atlas import geo
from atlas.build_sea import Lanes, waterway_of
from atlas.build_water import Water, drawn, shared_water, workers

HARBOUR_KM = 25.0  # how far inland of the guard's coast a port may stand
FROM_KM = (0.0, 2.0, 5.0, 10.0)  # the nearest water may be a pond: then the water beyond these
RIVER_KM = 8.0  # a port in a waterway joins a lane of the river this near
LANE_WINDOWS_KM = (30.0, 90.0, 250.0, 500.0)  # how far from a port its lane to the network is looked for, in turn
JOIN_AT_VERTEX_KM = 3.0
PILOT_SHARE = 0.02  # of the lane of a port that floats is its own; from there on ships may take another
# Ports up a river that the source does not have: its name, and its course from the port to the sea.
RIVERS = {
    "BDCGP": ("karnaphuli", [(91.81, 22.25), (91.79, 22.20)]),
    "CDMAT": ("congo", [(13.25, -5.86), (13.06, -5.87), (12.80, -5.95), (12.50, -6.02), (12.25, -6.06)]),
    "CNFOC": ("min river", [(119.50, 26.05), (119.65, 26.13), (119.78, 26.12)]),
    "INCCU": ("hooghly", [(88.17, 22.48), (88.11, 22.46), (88.10, 22.29), (88.18, 22.19), (88.05, 22.02),
                          (88.02, 21.65), (87.98, 21.35)]),
    "NLAMS": ("north sea canal", [(4.75, 52.43), (4.60, 52.465), (4.52, 52.465)]),
    "PLSZZ": ("oder lagoon", [(14.59, 53.53), (14.58, 53.63), (14.42, 53.73), (14.28, 53.87), (14.27, 53.95)]),
    "RUKGD": ("kaliningrad sea canal", [(20.38, 54.70), (20.10, 54.68), (19.93, 54.65), (19.85, 54.64)]),
    "RUMMK": ("kola bay", [(33.03, 69.04), (33.10, 69.08), (33.38, 69.13), (33.50, 69.20), (33.53, 69.30)]),
    "THBKK": ("chao phraya", [(100.54, 13.66), (100.59, 13.60), (100.60, 13.50)]),
    "USCRP": ("corpus christi ship channel", [(-97.20, 27.82), (-97.05, 27.835), (-96.98, 27.80)]),
    "USJAX": ("saint johns river", [(-81.61, 30.39), (-81.50, 30.39), (-81.37, 30.40)]),
    "USPDX": ("columbia", [(-122.80, 45.86), (-122.90, 46.08), (-123.18, 46.17), (-123.43, 46.23), (-123.80, 46.22),
                           (-124.08, 46.25)]),
    "USPHL": ("delaware", [(-75.25, 39.86), (-75.42, 39.80), (-75.54, 39.65), (-75.55, 39.45), (-75.32, 39.20),
                           (-75.10, 38.95), (-74.97, 38.77)]),
    "USSAV": ("savannah river", [(-81.08, 32.09), (-80.97, 32.08), (-80.83, 32.03)]),
    "VNSGN": ("saigon river", [(106.76, 10.68), (106.87, 10.58), (106.95, 10.45), (107.00, 10.30)]),
}
# Corners are cut where ships have sea room: clear of the coast, out of the ice, and by what is worth it.
SEA_ROOM_DEG = 0.02
ICE_FREE_LAT = (-58.0, 66.0)
WORTH_SHARE = 2e-4
ROUNDS = 14
# Closed together they change what the ways past the others are worth.
PAIRS_SHUT = [("suez", "panama"), ("malacca", "sunda"), ("malacca", "singapore"), ("suez", "cape-of-good-hope"),
              ("panama", "magellan"), ("northwest", "northern-sea-route"), ("danish-straits", "gibraltar")]
# Where a corner stands off a coast, a way along the coast is looked for this far to either side of it.
BEND_KM, BEND_WORTH_KM, SHORE_DEG = 120.0, 4.0, 0.002


def harbour(port: str) -> str:
    """Return the waterway name of the stretch between a port and open water."""
    return f"harbour {port}"


def with_ports(lanes: Lanes, ports: pd.DataFrame, water: Water) -> Lanes:
    """Give each port (index LOCODE; lon, lat) one lane over water to the network; port i becomes vertex i.

    A port is a leaf, so it can never be a way round a gate. Where it stands on land the stretch to the water beside it
    is listed as its harbour.
    """
    count = len(ports)
    xy = [*ports[["lon", "lat"]].to_numpy(dtype=float), *lanes.xy]
    pairs, river = lanes.pairs + count, list(lanes.river)
    lines = np.array([shapely.LineString(line) for line in lanes.lines()], dtype=object)
    tree = shapely.STRtree(lines)
    cuts: dict[int, list[tuple[float, int]]] = {}
    new: list[tuple[int, int, str]] = []
    for i, port in enumerate(ports.index):
        run, segment, share = _lane(xy[i], str(port), lines, tree, lanes, water)
        marks = [i]
        for point in run[1:-1]:
            xy.append(point)
            marks.append(len(xy) - 1)
        ends = pairs[segment]
        gap = geo.geodesic_km(*run[-1], *np.array([xy[e] for e in ends]).T)
        if gap.min() < JOIN_AT_VERTEX_KM and not water.touches([drawn(run[-2], xy[int(ends[gap.argmin()])])])[0]:
            marks.append(int(ends[gap.argmin()]))
        else:
            xy.append(run[-1])
            marks.append(len(xy) - 1)
            cuts.setdefault(segment, []).append((share, marks[-1]))
        for a, b in zip(marks[:-1], marks[1:], strict=True):
            over = water.touches([drawn(xy[a], xy[b])])[0]
            inside = RIVERS[port][0] if port in RIVERS else waterway_of(np.array([xy[a], xy[b]]))
            new.append((a, b, (inside or harbour(str(port))) if over else ""))
    kept = np.ones(len(pairs), dtype=bool)
    for segment, marks_on in cuts.items():
        kept[segment] = False
        chain = [int(pairs[segment, 0]), *[node for _, node in sorted(marks_on)], int(pairs[segment, 1])]
        new += [(a, b, str(lanes.river[segment])) for a, b in zip(chain[:-1], chain[1:], strict=True)]
    out = np.array(xy)
    out[:, 0] = (out[:, 0] + 180.0) % 360.0 - 180.0
    return Lanes(out, np.vstack([pairs[kept], np.array([(a, b) for a, b, _ in new], dtype=np.int64)]),
                 np.array([*np.array(river, dtype=object)[kept], *[name for _, _, name in new]], dtype=object))


def _lane(
    port: NDArray[np.float64], name: str, lines: NDArray[np.object_], tree: shapely.STRtree, lanes: Lanes, water: Water
) -> tuple[NDArray[np.float64], int, float]:
    """Return (line from the port to the network, the segment it ends on, the share along that segment)."""
    if name not in RIVERS and waterway_of(port[None, :]):
        near, share, far = _beside(port, RIVER_KM, lines, tree)
        if len(near):
            best = int(far.argmin())
            point = shapely.get_coordinates(shapely.line_interpolate_point(lines[near[best]], share[best], True))[0]
            return np.vstack([port, point]), int(near[best]), float(share[best])
    course = np.array([port, *(RIVERS[name][1] if name in RIVERS else [])])
    starts = [start for start in (water.nearest(course[-1], HARBOUR_KM, km) for km in FROM_KM) if start is not None]
    if not starts:
        raise ValueError(f"{name}: no water within {HARBOUR_KM:g} km; give it a course in RIVERS")
    for window in LANE_WINDOWS_KM:
        for afloat in starts:
            found = _to_lane(afloat, window, lines, tree, water)
            if found is not None:
                line, segment, share_of = found
                head = course[:-1] if np.allclose(afloat, course[-1]) else course
                if not len(head):  # a port that floats: its own stroke ends where the pilot leaves
                    line = np.insert(line, 1, line[0] + PILOT_SHARE * (line[1] - line[0]), axis=0)
                return np.vstack([head, line]), segment, share_of
    raise ValueError(f"{name}: no sea lane within {LANE_WINDOWS_KM[-1]:g} km over water")


def _to_lane(
    afloat: NDArray[np.float64], window_km: float, lines: NDArray[np.object_], tree: shapely.STRtree, water: Water
) -> tuple[NDArray[np.float64], int, float] | None:
    """Return (line over water to the lane that is nearest by water, its segment, the share along it), or None."""
    near, share, far = _beside(afloat, window_km, lines, tree)
    if not len(near):
        return None
    order = np.argsort(far, kind="stable")[:60]
    near, share = near[order], share[order]
    points = shapely.get_coordinates(shapely.line_interpolate_point(lines[near], share, normalized=True))
    points[:, 0] = afloat[0] + (points[:, 0] - afloat[0] + 180.0) % 360.0 - 180.0
    if not water.touches([drawn(afloat, points[0])])[0]:
        return np.vstack([afloat, points[0]]), int(near[0]), float(share[0])
    found = water.way(afloat, points, pad_km=window_km / 3, limit_km=3 * window_km)
    return None if found is None else (found[1], int(near[found[0]]), float(share[found[0]]))


def _beside(
    point: NDArray[np.float64], reach_km: float, lines: NDArray[np.object_], tree: shapely.STRtree
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Return (segments within reach, share along each of the point nearest to ours, km to it)."""
    lon, lat = point
    squeeze, dy = max(float(np.cos(np.radians(lat))), 0.1), reach_km / 111.2
    window = shapely.box(lon - dy / squeeze, lat - dy, lon + dy / squeeze, lat + dy)
    near = np.sort(tree.query(window))
    local = shapely.transform(lines[near], lambda c: (c - [lon, lat]) * [squeeze, 1.0])
    origin = shapely.Point(0.0, 0.0)
    far = shapely.distance(local, origin) * 111.2
    share = shapely.line_locate_point(local, origin, normalized=True)
    kept = far <= reach_km
    return near[kept], share[kept], far[kept]


def straightened(lanes: Lanes, ports: int, shut: NDArray[np.object_], water: Water, processes: int = 2) -> Lanes:
    """Add the lanes that ships would take instead of corners on the shortest ways between ports.

    `shut` are the gates that are closed by default: ways with and without them are both straightened. Where two
    segments of a shortest way meet at a corner, the geodesic between their far ends becomes a lane if it keeps clear of
    land and out of the ice; repeated until no corner is left to cut. Corners that stand off a coast are then cut by a
    way along it, and what that opens is straightened again.
    """
    gates = shapely.STRtree(shut)
    lanes = _cut_corners(lanes, ports, gates, water)
    return _cut_corners(_along_coasts(lanes, ports, gates, water, processes), ports, gates, water)


def _masks(lanes: Lanes, gates: shapely.STRtree) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the lanes that are open by default, and all."""
    closed = _crosses(lanes.lines(), gates)
    return ~closed, np.ones(len(closed), dtype=bool)


def _cut_corners(lanes: Lanes, ports: int, gates: shapely.STRtree, water: Water) -> Lanes:
    tried: set[tuple[int, int]] = {(int(min(p)), int(max(p))) for p in lanes.pairs}
    for _ in range(ROUNDS):
        found = {corner for mask in _masks(lanes, gates) for corner in _corners(lanes, mask, ports)}
        new = sorted({(a, c) for a, _, c in found} - tried)
        tried |= set(new)
        new = _clear(lanes.xy, new, water)
        if not new:
            return lanes
        lanes = replace(lanes, pairs=np.vstack([lanes.pairs, np.array(new, dtype=np.int64)]),
                        river=np.r_[lanes.river, np.full(len(new), "", dtype=object)])
    return lanes


def _along_coasts(lanes: Lanes, ports: int, gates: shapely.STRtree, water: Water, processes: int) -> Lanes:
    """Add ways along the coast for corners that stand off it: from one side of the corner to the other over water."""
    found = sorted({corner for mask in _masks(lanes, gates) for corner in _corners(lanes, mask, ports)})
    a, b, c = np.array(found, dtype=np.int64).T
    legs = [geo.geodesic_km(*lanes.xy[b].T, *lanes.xy[end].T) for end in (a, c)]
    sides = []
    for end, km in zip((a, c), legs, strict=True):
        to = lanes.xy[end].copy()
        to[:, 0] = lanes.xy[b, 0] + (to[:, 0] - lanes.xy[b, 0] + 180.0) % 360.0 - 180.0
        sides.append(lanes.xy[b] + (to - lanes.xy[b]) * np.minimum(1.0, BEND_KM / np.maximum(km, 1e-6))[:, None])
    around = np.minimum(legs[0], BEND_KM) + np.minimum(legs[1], BEND_KM)
    saved = around - geo.geodesic_km(*sides[0].T, *sides[1].T)
    order = np.argsort(-saved, kind="stable")
    chosen: list[int] = []
    at_corner: dict[int, list[int]] = {}
    for k in order[saved[order] > BEND_WORTH_KM]:  # of corners alike the one that saves most
        alike = [j for j in at_corner.get(int(b[k]), []) if _apart_km(sides, j, k) < BEND_KM / 3]
        if not alike and ICE_FREE_LAT[0] < lanes.xy[b[k], 1] < ICE_FREE_LAT[1]:
            chosen.append(int(k))
            at_corner.setdefault(int(b[k]), []).append(int(k))
    with workers(water, processes) as pool:
        jobs = [(sides[0][k], sides[1][k], float(around[k])) for k in chosen]
        found_ways = pool.map(_bend, jobs, chunksize=8)
        with click.progressbar(found_ways, length=len(jobs), label="ways along coasts", file=sys.stderr) as shown:
            ways = list(shown)
    xy, pairs = list(lanes.xy), []
    for k, way in zip(chosen, ways, strict=True):
        if way is not None:
            inner = list(range(len(xy), len(xy) + len(way)))
            xy += list(way)
            run = [int(a[k]), *inner, int(c[k])]
            pairs += list(zip(run[:-1], run[1:], strict=True))
    out = np.array(xy)
    out[:, 0] = (out[:, 0] + 180.0) % 360.0 - 180.0
    clear = _clear(out, pairs, water, SHORE_DEG)
    return Lanes(out, np.vstack([lanes.pairs, np.array(clear, dtype=np.int64).reshape(-1, 2)]),
                 np.r_[lanes.river, np.full(len(clear), "", dtype=object)])


def _apart_km(sides: list[NDArray[np.float64]], j: int, k: int) -> float:
    """Return how far the two ends of one bend lie from those of another, either way round."""
    straight = [float(geo.geodesic_km(*sides[i][j], *sides[i][k])) for i in (0, 1)]
    turned = [float(geo.geodesic_km(*sides[i][j], *sides[1 - i][k])) for i in (0, 1)]
    return min(max(straight), max(turned))


def _bend(job: tuple[NDArray[np.float64], NDArray[np.float64], float]) -> NDArray[np.float64] | None:
    """Return the way over water from one side of a corner to the other, None if it is no shorter than the corner."""
    start, end, around_km = job
    limit = around_km - BEND_WORTH_KM / 2
    way = shared_water().way(start, end[None, :], 0.3 * BEND_KM, limit, SEA_ROOM_DEG / 2, (90, 200))
    return None if way is None else way[1]


def _crosses(lines: list[NDArray[np.float64]], gates: shapely.STRtree) -> NDArray[np.bool_]:
    found = np.zeros(len(lines), dtype=bool)
    found[gates.query([shapely.LineString(line) for line in lines], predicate="intersects")[0]] = True
    return found


def graph_of(lanes: Lanes, mask: NDArray[np.bool_]) -> csr_matrix:
    """Return the km of the lanes that the mask leaves, both ways."""
    a, b = lanes.pairs[mask].T
    km = geo.geodesic_km(*lanes.xy[a].T, *lanes.xy[b].T)
    order = np.lexsort((km, np.maximum(a, b), np.minimum(a, b)))
    low, high = np.minimum(a, b)[order], np.maximum(a, b)[order]
    first = np.r_[True, (np.diff(low) != 0) | (np.diff(high) != 0)]
    size = len(lanes.xy)
    return coo_matrix((np.maximum(km[order][first], 1e-6), (low[first], high[first])), shape=(size, size)).tocsr()


def _ways(lanes: Lanes, mask: NDArray[np.bool_], ports: int) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int64]]]:
    """Yield for each port (the vertex before each vertex, the vertices on the shortest ways to other ports)."""
    size = len(lanes.xy)
    _, before = dijkstra(graph_of(lanes, mask), directed=False, indices=np.arange(ports), return_predecessors=True)
    for row in before:
        used, front = np.zeros(size, dtype=bool), np.arange(ports)
        front = front[row[front] >= 0]
        while len(front):
            used[front] = True
            front = np.unique(row[front])
            front = front[(row[front] >= 0) & ~used[front]]
        yield row, np.flatnonzero(used)


def worn(lanes: Lanes, ports: int, kept: int, passages: list[tuple[str, ...]]) -> Lanes:
    """Drop lanes that no shortest way between ports takes, whichever passage is closed; the first `kept` stay.

    `passages` are those that each lane crosses.
    """
    size, ids = len(lanes.xy), sorted({name for names in passages for name in names})
    low, high = np.sort(lanes.pairs, axis=1).T
    taken: set[int] = set()
    for shut in [(), *((name,) for name in ids), *PAIRS_SHUT]:
        mask = np.array([not set(shut) & set(names) for names in passages])
        for row, nodes in _ways(lanes, mask, ports):
            up = row[nodes].astype(np.int64)
            taken |= set((np.minimum(nodes, up) * size + np.maximum(nodes, up)).tolist())
    used = np.isin(low * size + high, np.array(sorted(taken), dtype=np.int64))
    used[:kept] = True
    return Lanes(lanes.xy, lanes.pairs[used], lanes.river[used])


def _corners(lanes: Lanes, mask: NDArray[np.bool_], ports: int) -> set[tuple[int, int, int]]:
    """Return (before, corner, after) of the shortest ways between ports where a way bends."""
    size = len(lanes.xy)
    triples: set[int] = set()
    for row, c in _ways(lanes, mask, ports):
        b = row[c].astype(np.int64)
        a = np.where(b >= 0, row[b], -1).astype(np.int64)
        met = (a >= 0) & (b >= ports) & (a >= ports) & (c >= ports)
        a, b, c = a[met], b[met], c[met]
        low, high = np.minimum(a, c), np.maximum(a, c)
        triples |= set(((low * size + b) * size + high).tolist())
    every = np.array(sorted(triples), dtype=np.int64)
    a, b, c = every // size // size, every // size % size, every % size
    legs = geo.geodesic_km(*lanes.xy[a].T, *lanes.xy[b].T) + geo.geodesic_km(*lanes.xy[b].T, *lanes.xy[c].T)
    saved = legs - geo.geodesic_km(*lanes.xy[a].T, *lanes.xy[c].T)
    worth = saved > np.maximum(WORTH_SHARE * legs, 0.05)
    return set(zip(a[worth].tolist(), b[worth].tolist(), c[worth].tolist(), strict=True))


def _clear(
    xy: NDArray[np.float64], pairs: list[tuple[int, int]], water: Water, room_deg: float = SEA_ROOM_DEG
) -> list[tuple[int, int]]:
    """Return the pairs whose geodesic keeps clear of land and ice; near its ends it may come as near as they lie."""
    if not pairs:
        return []
    lines = [drawn(xy[a], xy[b]) for a, b in pairs]
    cold = np.array([line[:, 1].min() < ICE_FREE_LAT[0] or line[:, 1].max() > ICE_FREE_LAT[1] for line in lines])
    warm_ends = np.array([ICE_FREE_LAT[0] < xy[[a, b], 1].min() and xy[[a, b], 1].max() < ICE_FREE_LAT[1]
                          for a, b in pairs])
    free = ~water.touches(lines, 0.0) & ~(cold & warm_ends)
    roomy = ~water.touches([_inner(line) for line in lines], room_deg)
    return [pair for pair, kept in zip(pairs, free & roomy, strict=True) if kept]


def _inner(line: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a line without its first and last 15 % (at least a stroke remains)."""
    return np.asarray(shapely.get_coordinates(substring(shapely.LineString(line), 0.15, 0.85, normalized=True)))

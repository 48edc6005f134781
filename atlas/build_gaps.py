"""Close the gaps of the rail and road graphs (build only): the source is cut in many places where the line goes on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components, dijkstra

from atlas import geo
from atlas.build_water import Water

# Short gaps are closed anywhere, longer ones between large pieces of one country, with straight links.
SHORT_GAP_KM, LONG_GAP_KM, GAP_DETOUR = 1.0, 22.0, 1.2
# A railway that ends and goes on beyond a gap: ends that point at each other this near, and far apart by rail.
ENDS_KM, STUB_KM, TURN_DEG = 25.0, 5.0, 50.0
FAR_SHARE, FAR_KM, LOOK_KM = 20.0, 120.0, 400.0
# Links over more water than this are kept only where there is a bridge, tunnel, ferry or a road along the coast.
WET_KM, CROSSING_KM = 1.0, 12.0
CROSSINGS = {  # what is there: middle (lon, lat)
    "Confederation Bridge": (-63.76, 46.21), "Great Belt bridge": (10.98, 55.33), "Great Seto Bridge": (133.82, 34.38),
    "Kerch bridge": (36.57, 45.27), "Krk bridge": (14.25, 45.14), "San Juanico bridge": (124.99, 11.36),
    "Florianopolis bridge": (-48.56, -27.58), "Malahide viaduct": (-6.155, 53.465), "Thanlwin bridge": (97.61, 16.50),
    "Zhoushan bridges": (122.04, 29.95), "Barelang bridges": (104.19, 1.05), "Remutaka tunnel": (174.92, -41.12),
    "Froya tunnel": (8.98, 63.46), "Biliran bridge": (124.53, 11.46),
    "Hainan Strait ferry": (110.15, 20.15), "Messina ferry": (15.615, 38.24), "Chacao ferry": (-73.75, -41.82),
    "Batangas ferry": (121.01, 13.57), "Igoumenitsa ferry": (20.17, 39.45), "Bali ferry": (114.41, -8.19),
    "Muhu ferry": (23.33, 58.57), "Shodoshima ferry": (134.16, 34.44), "Fuerteventura ferry": (-13.85, 28.79),
    "Mallaig ferry": (-5.68, 57.28), "Saint Lawrence ferry": (-70.85, 46.95),
    "Uchiura Bay coast": (140.85, 42.45), "Tsugaru coast": (140.94, 41.62), "Yilan coast": (121.90, 24.93),
    "Salalah coast": (54.65, 17.02), "Palu coast": (119.79, -0.67),
}

Links = list[tuple[int, int]]


def mend(
    xy: NDArray[np.float64], tag: NDArray[np.int64], low: NDArray[np.int64], high: NDArray[np.int64],
    km: NDArray[np.float64], large_km: float, water: Water, ends: bool,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Close the gaps of a graph; returns its edges with the links added. `ends`: railways that go on beyond a gap."""
    low, high, km = _with_links(xy, low, high, km, _short_links(xy, components(len(xy), low, high)))
    home = tag[low] == tag[high]
    label = components(len(xy), low[home], high[home])
    total = np.bincount(label[low[home]], weights=km[home], minlength=label.max() + 1)
    links: Links = []
    for country in np.unique(tag):
        inside = np.flatnonzero((tag == country) & (total[label] >= large_km))
        pieces = sorted(np.unique(label[inside]).tolist(), key=lambda piece: (-total[piece], piece))
        for k, piece in enumerate(pieces[1:], start=1):  # each to the nearest of the larger ones
            own, others = inside[label[inside] == piece], inside[np.isin(label[inside], pieces[:k])]
            where, gap = geo.NearestIndex(*xy[others].T).query(*xy[own].T)
            if gap.min() <= LONG_GAP_KM:
                links.append((int(own[gap.argmin()]), int(others[where[gap.argmin()]])))
    low, high, km = _with_links(xy, low, high, km, _passable(xy, links, water))
    if ends:
        low, high, km = _with_links(xy, low, high, km, _passable(xy, _facing_ends(xy, tag, low, high, km), water))
    return low, high, km


def components(size: int, a: NDArray[np.signedinteger], b: NDArray[np.signedinteger]) -> NDArray[np.int32]:
    """Return the connected component of every node."""
    matrix = coo_matrix((np.ones(len(a), dtype=np.int8), (a, b)), shape=(size, size))
    return np.asarray(connected_components(matrix, directed=False)[1])


def _passable(xy: NDArray[np.float64], links: Links, water: Water) -> Links:
    """Return the links that stay on land, and those over water where a listed crossing is."""
    if not links:
        return []
    lines = [xy[list(link)] for link in links]
    wet = np.array([geo.line_km(line) for line in lines]) - water.over_km(lines)
    known = geo.NearestIndex(*np.array(list(CROSSINGS.values())).T)
    near = known.query(*np.array([line.mean(axis=0) for line in lines]).T)[1] <= CROSSING_KM
    return [link for link, w, n in zip(links, wet, near, strict=True) if w <= WET_KM or n]


def _short_links(xy: NDArray[np.float64], label: NDArray[np.int32]) -> Links:
    """Return the shortest link up to SHORT_GAP_KM between each two pieces that come so near."""
    where, gap = geo.NearestIndex(xy[:, 0], xy[:, 1]).query(xy[:, 0], xy[:, 1], k=24)
    start, rank = np.nonzero((gap <= SHORT_GAP_KM) & (label[where] != label[:, None]))
    end, gap = where[start, rank], gap[start, rank]
    pair = np.sort(np.c_[label[start], label[end]], axis=1)
    order = np.lexsort((np.maximum(start, end), np.minimum(start, end), gap, pair[:, 1], pair[:, 0]))
    first = np.r_[True, (np.diff(pair[order], axis=0) != 0).any(axis=1)]
    return [(int(start[i]), int(end[i])) for i in order[first]]


def _facing_ends(
    xy: NDArray[np.float64], tag: NDArray[np.int64], low: NDArray[np.int64], high: NDArray[np.int64],
    km: NDArray[np.float64],
) -> Links:
    """Return links between line ends of one country that point at each other over a gap and are far apart by rail."""
    home = tag[low] == tag[high]
    low, high, km, size = low[home], high[home], km[home], len(xy)
    graph = coo_matrix((np.r_[km, km], (np.r_[low, high], np.r_[high, low])), shape=(size, size)).tocsr()
    degree = np.diff(graph.indptr)
    tips = {int(end): _stub(graph, degree, xy, int(end)) for end in np.flatnonzero(degree == 1)}
    tips = {end: (length, heading) for end, (length, heading) in tips.items() if length >= STUB_KM}
    found: list[tuple[float, int, int]] = []
    for country in np.unique(tag[list(tips)]):
        own = np.array([end for end in tips if tag[end] == country])
        if len(own) < 2:
            continue
        inside = np.flatnonzero(tag == country)
        place = np.full(size, -1)
        place[inside] = np.arange(len(inside))
        part = graph[inside][:, inside]
        where, gap = geo.NearestIndex(xy[own, 0], xy[own, 1]).query(xy[own, 0], xy[own, 1], k=min(6, len(own)))
        for i, start in enumerate(own):
            near = [(float(g), int(own[j])) for j, g in zip(where[i], gap[i], strict=True)
                    if own[j] > start and g <= ENDS_KM and _faces(xy, tips, int(start), int(own[j]))]
            if near:
                far = dijkstra(part, directed=False, indices=place[start], limit=LOOK_KM)
                found += [(g, int(start), end) for g, end in near if far[place[end]] > max(FAR_SHARE * g, g + FAR_KM)]
    links: Links = []
    taken: set[int] = set()
    for _, start, end in sorted(found):
        if start not in taken and end not in taken:
            links.append((start, end))
            taken |= {start, end}
    return links


def _stub(
    graph: csr_matrix, degree: NDArray[np.int32], xy: NDArray[np.float64], end: int
) -> tuple[float, float]:
    """Return (km from a line's end to its first junction, the heading in degrees in which the end points)."""
    before, here, length, origin = -1, end, 0.0, end
    while length < STUB_KM * 4 and (here == end or degree[here] == 2):
        row = slice(graph.indptr[here], graph.indptr[here + 1])
        ahead = [(int(n), float(w)) for n, w in zip(graph.indices[row], graph.data[row], strict=True) if n != before]
        if not ahead:
            break
        before, here, length = here, ahead[0][0], length + ahead[0][1]
        origin = here if length <= 3.0 or origin == end else origin
    return length, _heading(xy[origin], xy[end])


def _heading(start: NDArray[np.float64], end: NDArray[np.float64]) -> float:
    east = (end[0] - start[0]) * np.cos(np.radians(start[1]))
    return float(np.degrees(np.arctan2(east, end[1] - start[1])))


def _faces(xy: NDArray[np.float64], tips: dict[int, tuple[float, float]], start: int, end: int) -> bool:
    to = _heading(xy[start], xy[end])
    turns = [abs((tips[tip][1] - way + 180.0) % 360.0 - 180.0) for tip, way in ((start, to), (end, to + 180.0))]
    return max(turns) <= TURN_DEG


def _with_links(
    xy: NDArray[np.float64], low: NDArray[np.int64], high: NDArray[np.int64], km: NDArray[np.float64], links: Links
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    pair = np.sort(np.array(links, dtype=np.int64).reshape(-1, 2), axis=1)
    gap = geo.geodesic_km(*xy[pair[:, 0]].T, *xy[pair[:, 1]].T)
    return np.r_[low, pair[:, 0]], np.r_[high, pair[:, 1]], np.r_[km, np.maximum(gap * GAP_DETOUR, 0.05)]

"""Make the rail and road graphs of the atlas from the world graphs that `scgraph_data` ships (build only).

The source files are Python literals; they are parsed, never imported. Coordinates there are [lat, lon].
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components

from atlas import geo

POST_SPACING_KM = {"rail": 30.0, "road": 45.0}
USEFUL_KM = {"rail": 60.0, "road": 40.0}  # a smaller piece of network is an island of the source
HIDDEN_ISLAND_KM = 2.0
# The source is cut in many places where the line goes on. Gaps are closed with straight links: short ones anywhere,
# longer ones between large pieces of one country (these include bridges and short ferries).
SHORT_GAP_KM, LONG_GAP_KM, GAP_DETOUR = 1.0, 22.0, 1.2

# Ways that exist and that the source lacks: mode, new end (lon, lat), junction with the source's network, km.
ADDED_TRACKS = [
    ("rail", (109.98, 41.77), (109.82, 40.67), 146.0),  # Baotou to Bayan Obo
    ("rail", (121.33, -28.88), (121.46, -30.75), 259.0),  # Kalgoorlie to Leonora
    ("rail", (29.43, 40.80), (28.77, 41.02), 76.0),  # Marmaray: Halkali to Gebze
    ("road", (95.72, 56.19), (94.78, 55.77), 80.0),  # Kansk to Krasnoyarsk
]


@dataclass(frozen=True)
class LandGraph:
    """One mode's cleaned graph: nodes (lon, lat) with a country each, undirected edges a < b with km."""

    mode: str
    xy: NDArray[np.float64]
    country: NDArray[np.int16]  # position in `countries`, -1 none
    countries: list[str]
    a: NDArray[np.int32]
    b: NDArray[np.int32]
    km: NDArray[np.float64]


def read_literals(path: Path) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Parse a scgraph_data file into nodes (n, 2) as (lon, lat) and arcs (from, to, km)."""
    text = path.read_text(encoding="utf-8")
    found = {name: re.search(rf"^{name}\s*=\s*(\[.*\])\s*$", text, re.MULTILINE) for name in ("graph", "nodes")}
    if found["graph"] is None or found["nodes"] is None:
        raise ValueError(f"{path.name}: no lines `graph=` and `nodes=`")
    xy = np.array(json.loads(found["nodes"].group(1)), dtype=float)[:, ::-1].copy()
    start: list[int] = []
    end: list[int] = []
    km: list[float] = []
    for i, row in enumerate(found["graph"].group(1)[1:-1].split("}")[:-1]):
        for item in row[row.index("{") + 1:].split(","):
            if item.strip():
                neighbour, length = item.split(":")
                start.append(i)
                end.append(int(neighbour))
                km.append(float(length))
    return xy, np.array(start), np.array(end), np.array(km)


def clean(mode: str, path: Path, countries: gpd.GeoDataFrame) -> LandGraph:
    """Read one mode, drop self loops, doubled arcs and islands, and tag nodes with their country."""
    xy, start, end, km = read_literals(path)
    for _, new_end, junction, length in [track for track in ADDED_TRACKS if track[0] == mode]:
        node = geo.NearestIndex(xy[:, 0], xy[:, 1]).query(*junction)[0][0]
        start, end, km = np.r_[start, len(xy)], np.r_[end, node], np.r_[km, length]
        xy = np.vstack([xy, new_end])
    low, high = np.minimum(start, end), np.maximum(start, end)
    order = np.lexsort((km, high, low))
    low, high, km = low[order], high[order], km[order]
    first = np.r_[True, (low[1:] != low[:-1]) | (high[1:] != high[:-1])] & (low != high)
    low, high, km = low[first], high[first], km[first]
    # A length below the straight line is rounding or an error of the source.
    straight = geo.geodesic_km(xy[low, 0], xy[low, 1], xy[high, 0], xy[high, 1])
    km = np.maximum(km, straight)
    label = components(len(xy), low, high)
    total = np.bincount(label[low], weights=km, minlength=label.max() + 1)
    keep = total[label] >= HIDDEN_ISLAND_KM
    number = np.cumsum(keep) - 1
    edge = keep[low]
    xy, low, high, km = xy[keep], number[low[edge]], number[high[edge]], km[edge]
    tag = tag_countries(xy, countries)
    low, high, km = mend(xy, tag, low, high, km, USEFUL_KM[mode])
    # Nodes in order of country, so that a country is a slice.
    order = np.lexsort((np.arange(len(xy)), tag))
    place = np.empty(len(xy), dtype=np.int64)
    place[order] = np.arange(len(xy))
    low, high = place[low], place[high]
    a, b = np.minimum(low, high), np.maximum(low, high)
    order = np.lexsort((b, a))
    back = place.argsort()
    return LandGraph(mode, xy[back], tag[back].astype(np.int16), [str(c) for c in countries.index],
                     a[order].astype(np.int32), b[order].astype(np.int32), np.round(km[order], 3))


def mend(
    xy: NDArray[np.float64], tag: NDArray[np.int64], low: NDArray[np.int64], high: NDArray[np.int64],
    km: NDArray[np.float64], large_km: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Close the gaps of a graph; returns its edges with the links added."""
    label = components(len(xy), low, high)
    links = _short_links(xy, label)
    low, high, km = _with_links(xy, low, high, km, links)
    home = tag[low] == tag[high]
    label = components(len(xy), low[home], high[home])
    total = np.bincount(label[low[home]], weights=km[home], minlength=label.max() + 1)
    links = []
    for country in np.unique(tag):
        inside = np.flatnonzero((tag == country) & (total[label] >= large_km))
        pieces = sorted(np.unique(label[inside]).tolist(), key=lambda piece: (-total[piece], piece))
        for k, piece in enumerate(pieces[1:], start=1):  # each to the nearest of the larger ones
            own, others = inside[label[inside] == piece], inside[np.isin(label[inside], pieces[:k])]
            where, gap = geo.NearestIndex(*xy[others].T).query(*xy[own].T)
            if gap.min() <= LONG_GAP_KM:
                links.append((int(own[gap.argmin()]), int(others[where[gap.argmin()]])))
    return _with_links(xy, low, high, km, links)


def _short_links(xy: NDArray[np.float64], label: NDArray[np.int32]) -> list[tuple[int, int]]:
    """Return the shortest link up to SHORT_GAP_KM between each two pieces that come so near."""
    where, gap = geo.NearestIndex(xy[:, 0], xy[:, 1]).query(xy[:, 0], xy[:, 1], k=24)
    start, rank = np.nonzero((gap <= SHORT_GAP_KM) & (label[where] != label[:, None]))
    end, gap = where[start, rank], gap[start, rank]
    pair = np.sort(np.c_[label[start], label[end]], axis=1)
    order = np.lexsort((np.maximum(start, end), np.minimum(start, end), gap, pair[:, 1], pair[:, 0]))
    first = np.r_[True, (np.diff(pair[order], axis=0) != 0).any(axis=1)]
    return [(int(start[i]), int(end[i])) for i in order[first]]


def _with_links(
    xy: NDArray[np.float64], low: NDArray[np.int64], high: NDArray[np.int64], km: NDArray[np.float64],
    links: list[tuple[int, int]],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    pair = np.sort(np.array(links, dtype=np.int64).reshape(-1, 2), axis=1)
    gap = geo.geodesic_km(*xy[pair[:, 0]].T, *xy[pair[:, 1]].T)
    return np.r_[low, pair[:, 0]], np.r_[high, pair[:, 1]], np.r_[km, np.maximum(gap * GAP_DETOUR, 0.05)]


def components(size: int, a: NDArray[np.signedinteger], b: NDArray[np.signedinteger]) -> NDArray[np.int32]:
    """Return the connected component of every node."""
    matrix = coo_matrix((np.ones(len(a), dtype=np.int8), (a, b)), shape=(size, size))
    return np.asarray(connected_components(matrix, directed=False)[1])


def tag_countries(xy: NDArray[np.float64], countries: gpd.GeoDataFrame) -> NDArray[np.int64]:
    """Return for each point the position of the country that holds it, else of the nearest one."""
    parts, owner = shapely.get_parts(countries.geometry.to_numpy(), return_index=True)
    cells, cell_owner = _cells(parts, owner)
    points = shapely.points(xy)
    tree = shapely.STRtree(points)
    shapely.prepare(cells)
    cell, point = tree.query(cells, predicate="intersects")
    tag = np.full(len(xy), -1, dtype=np.int64)
    order = np.lexsort((-cell_owner[cell], point))
    tag[point[order]] = cell_owner[cell[order]]
    loose = np.flatnonzero(tag < 0)
    if len(loose):
        tag[loose] = cell_owner[shapely.STRtree(cells).nearest(points[loose])]
    return tag


def _cells(parts: NDArray[np.object_], owner: NDArray[np.int64]) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    """Cut large polygons into 5-degree cells: a point test then meets few vertices."""
    cells, owners = [], []
    for part, who in zip(parts, owner, strict=True):
        west, south, east, north = part.bounds
        if max(east - west, north - south) <= 6.0:
            cells.append(part)
            owners.append(int(who))
            continue
        for lon in np.arange(np.floor(west / 5) * 5, east, 5.0):
            for lat in np.arange(np.floor(south / 5) * 5, north, 5.0):
                piece = shapely.clip_by_rect(part, lon, lat, lon + 5.0, lat + 5.0)
                for area in shapely.get_parts(piece):
                    if area.geom_type == "Polygon" and area.area > 0:
                        cells.append(area)
                        owners.append(int(who))
    return np.array(cells, dtype=object), np.array(owners)


@dataclass(frozen=True)
class Posts:
    """Border posts of one mode: the node on each side, the countries, the km between the two nodes."""

    a: NDArray[np.int64]
    b: NDArray[np.int64]
    km: NDArray[np.float64]


def inner_edges(graph: LandGraph) -> NDArray[np.bool_]:
    """Tell which edges stay inside one country."""
    return np.asarray(graph.country[graph.a] == graph.country[graph.b])


def inner_components(graph: LandGraph) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Return (component within its country, total km of it) for every node."""
    inside = inner_edges(graph)
    label = components(len(graph.xy), graph.a[inside], graph.b[inside])
    total = np.bincount(label[graph.a[inside]], weights=graph.km[inside], minlength=label.max() + 1)
    return label, np.asarray(total[label], dtype=float)


def border_posts(graph: LandGraph, reach_km: NDArray[np.float64]) -> Posts:
    """Choose crossing edges as posts, at most one per spacing and pair of countries, best connected first."""
    crossing = np.flatnonzero(~inner_edges(graph))
    pair = np.sort(np.c_[graph.country[graph.a[crossing]], graph.country[graph.b[crossing]]], axis=1)
    worth = np.minimum(reach_km[graph.a[crossing]], reach_km[graph.b[crossing]])
    useful = worth >= USEFUL_KM[graph.mode] / 4
    middle = geo.sphere_xyz(*_middle(graph, crossing).T)
    chosen: list[int] = []
    step = POST_SPACING_KM[graph.mode] / geo.EARTH_RADIUS_KM
    for code in np.unique(pair[useful], axis=0):
        of_pair = np.flatnonzero(useful & (pair == code).all(axis=1))
        # Larger networks on both sides first, then shorter crossings, then position: a fixed order.
        order = of_pair[np.lexsort((of_pair, graph.km[crossing[of_pair]], -np.round(worth[of_pair], -3)))]
        kept: list[int] = []
        for i in order:
            if not kept or np.linalg.norm(middle[kept] - middle[i], axis=1).min() > step:
                kept.append(int(i))
        chosen += kept
    edges = crossing[np.array(sorted(chosen), dtype=np.int64)]
    return Posts(graph.a[edges].astype(np.int64), graph.b[edges].astype(np.int64), graph.km[edges])


def _middle(graph: LandGraph, edges: NDArray[np.int64]) -> NDArray[np.float64]:
    start, end = graph.xy[graph.a[edges]], graph.xy[graph.b[edges]].copy()
    end[:, 0] -= 360.0 * np.round((end[:, 0] - start[:, 0]) / 360.0)
    return np.asarray((start + end) / 2.0)


def inner_matrix(graph: LandGraph) -> csr_matrix:
    """Return the graph of all countries side by side, no edge across a border."""
    inside = inner_edges(graph)
    size = len(graph.xy)
    km = np.maximum(graph.km[inside], 1e-3)
    return coo_matrix((km, (graph.a[inside], graph.b[inside])), shape=(size, size)).tocsr()


def snap(
    graph: LandGraph, lon: NDArray[np.float64], lat: NDArray[np.float64], country: list[str],
    usable: NDArray[np.bool_], limit_km: float,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return for each point (nearest usable node of its own country or -1, km to it)."""
    node, far = np.full(len(lon), -1, dtype=np.int64), np.full(len(lon), np.inf)
    position = {code: i for i, code in enumerate(graph.countries)}
    codes = np.array([position.get(code, -9) for code in country])
    for code in np.unique(codes):
        candidates = np.flatnonzero((graph.country == code) & usable)
        points = np.flatnonzero(codes == code)
        if not len(candidates):
            continue
        where, km = geo.NearestIndex(*graph.xy[candidates].T).query(lon[points], lat[points])
        close = km <= limit_km
        node[points[close]] = candidates[where[close]]
        far[points[close]] = km[close]
    return node, far

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

from atlas import geo
from atlas.build_gaps import components, mend
from atlas.build_water import Water

POST_SPACING_KM = {"rail": 30.0, "road": 45.0}
FINE_BORDERS, FINE_SPACING_KM = ("CHN-MMR", "CHN-LAO"), 8.0  # where each post serves mines of its own
USEFUL_KM = {"rail": 60.0, "road": 40.0}  # a smaller piece of network is an island of the source
LINK_KM = 25.0  # unless it is as long as this and leads to a border post
HIDDEN_ISLAND_KM = 2.0

# The source keeps few points of a road, so its lengths lack the bends: about 1.02 km for a straight km of long edges.
# Floor for edges this long, fitted to every second road of tests/data/land_distances.csv (bias -4.7 % before, -0.4 %
# after; on the others, held back, -3.2 % and 0.2 %). Railways, at -1 %, are left as they are.
WINDING_KM, WINDING = 3.0, {"road": 1.08, "rail": 1.0}

# Ways that exist and that the source lacks, as chains: mode, points (lon, lat), km between them. A point joins the node
# that is there (within 2 km), else it becomes one; the first joins the nearest node.
ADDED_TRACKS = [
    ("rail", [(109.82, 40.67), (109.98, 41.77)], [146.0]),  # Baotou to Bayan Obo
    ("rail", [(121.46, -30.75), (121.33, -28.88)], [259.0]),  # Kalgoorlie to Leonora
    ("rail", [(28.77, 41.02), (29.43, 40.80)], [76.0]),  # Marmaray: Halkali to Gebze
    ("rail", [(96.48, 17.32), (96.47, 17.34), (96.48, 17.38), (96.51, 17.44)], [2.5, 4.7, 7.5]),  # Yangon to Mandalay:
    ("rail", [(96.26, 19.51), (96.21, 19.74)], [27.0]),  # pieces of one line
    ("rail", [(96.20, 19.74), (96.19, 19.80), (96.20, 19.85), (96.20, 19.89), (96.06, 20.72), (96.06, 20.81),
              (96.06, 20.85), (96.05, 20.94), (96.13, 21.32), (96.06, 21.82), (96.08, 21.94)],
     [7.0, 5.7, 4.6, 98.0, 10.4, 4.6, 10.4, 45.0, 58.0, 13.8]),
    ("rail", [(17.828, 68.396), (17.559, 68.449), (17.468, 68.45), (17.42, 68.43)], [13.0, 3.9, 2.6]),  # Ofotbanen
    ("rail", [(-47.893, -22.029), (-47.787, -22.331)], [38.0]),  # Sao Carlos to Itirapina
    ("rail", [(-66.40, 50.21), (-66.92, 52.90), (-66.82, 54.80)], [360.0, 213.0]),  # Sept-Iles to Schefferville
    ("rail", [(10.982, 55.339), (10.853, 55.30)], [9.5]),  # Great Belt
    ("rail", [(12.683, 56.059), (12.704, 56.035)], [3.2]), ("rail", [(12.953, 56.136), (12.946, 56.132)], [0.7]),
    ("rail", [(11.469, 63.998), (11.436, 63.985)], [2.4]),  # Steinkjer
    ("rail", [(140.376, 42.217), (140.569, 42.11)], [21.0]),  # Yakumo to Mori
    ("rail", [(16.076, 39.115), (15.882, 39.545)], [54.0]),  # Calabrian coast
    ("rail", [(-68.155, 47.328), (-68.586, 47.301)], [37.0]),  # Edmundston to Quebec
    ("rail", [(23.517, 55.82), (23.519, 55.818)], [0.4]),  # Siauliai
    ("rail", [(68.243, 25.337), (68.291, 25.364)], [6.2]),  # Kotri bridge
    ("rail", [(46.752, 24.651), (46.757, 24.853)], [24.0]),  # Riyadh
    ("road", [(94.78, 55.77), (95.72, 56.19)], [80.0]),  # Kansk to Krasnoyarsk
    ("road", [(100.929, 13.029), (100.931, 13.001)], [3.3]),  # Laem Chabang
    ("road", [(22.182, 65.793), (22.656, 65.91), (24.127, 65.842)], [26.0, 70.0]),  # E4 at Tore, where the E10 begins
    ("road", [(24.443, 65.826), (24.56, 65.74), (24.91, 65.65)], [12.0, 22.0]),  # E8 by Kemi
    ("road", [(97.435, 25.351), (98.13, 25.88), (98.32, 25.60), (98.47, 25.45), (98.49, 25.02)],
     [135.0, 55.0, 30.0, 58.0]),  # Waingmaw, Chipwi, Pangwa, Diantan, Tengchong: the road of Kachin's clay
    ("road", [(97.235, 24.26), (97.45, 24.25), (97.70, 24.20), (97.792, 24.173)], [26.0, 31.0, 12.0]),  # Bhamo to Lweje
    ("road", [(98.896, 20.30), (99.26, 20.53), (99.904, 20.452)], [48.0, 78.0]),  # Mong Hsat to Tachileik
    ("road", [(-69.72, 48.14), (-68.236, 49.21), (-66.38, 50.20)], [195.0, 232.0]),  # north shore of the St Lawrence
    ("road", [(76.562, 8.924), (76.545, 8.937)], [2.6]), ("road", [(76.309, 9.841), (76.275, 9.816)], [5.2]),  # NH66
    ("road", [(76.282, 9.942), (76.289, 9.959)], [2.2]),
    ("road", [(18.765, -32.908), (17.988, -32.922)], [85.0]),  # Piketberg to Vredenburg
    ("road", [(46.12, -22.40), (46.08, -25.17), (46.99, -25.03)], [385.0, 110.0]),  # RN13, Ihosy to Tolagnaro
    ("road", [(5.53, 60.421), (5.629, 60.423)], [5.8]), ("road", [(10.885, 63.491), (10.912, 63.465)], [3.5]),  # Norway
    ("road", [(174.751, -36.815), (174.748, -36.843)], [3.3]),  # Auckland
    ("road", [(121.78, -32.20), (121.89, -33.86)], [204.0]),  # Norseman to Esperance
    ("road", [(106.92, 47.90), (108.36, 46.36), (110.14, 44.89), (111.90, 43.72)], [235.0, 219.0, 209.0]),  # Gobi road
]
# Published lengths of ways that the source draws nearly straight: mode, the two ends of the edge, km.
MEASURED = [
    ("road", (113.45, 52.14), (107.65, 51.84), 640.0),  # R258 between Ulan-Ude and Chita: 665 km in all
    ("road", (97.39, 22.62), (96.80, 22.33), 95.0), ("road", (97.70, 22.90), (97.39, 22.62), 62.0),  # Mandalay to Muse:
    ("road", (97.97, 24.00), (97.97, 23.31), 105.0), ("road", (97.97, 23.31), (97.77, 23.06), 48.0),  # 460 km in all
]


# Not a network: the roads of Greenland end with the town; between Sao Luis and Fortaleza the metre gauge is not worked
# through from the broad gauge that it seems to meet.
DROPPED_COUNTRIES = ("GRL",)
DROPPED_TRACKS = [("rail", (-43.9, -6.0, -38.0, -2.5))]
# Long edges get nodes in between, so that places and branches meet them where they pass.
INNER_KM, LONG_EDGE_KM = 20.0, 30.0
# A straight join to the network this long must not lead over this much water.
JOIN_LOOK_KM, JOIN_WET_KM = 15.0, 10.0


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


def clean(mode: str, path: Path, countries: gpd.GeoDataFrame, water: Water) -> LandGraph:
    """Read one mode, drop self loops, doubled arcs and islands, and tag nodes with their country."""
    xy, start, end, km = read_literals(path)
    xy, start, end, km = _with_tracks(mode, xy, start, end, km)
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
    low, high, km = mend(xy, tag, low, high, km, USEFUL_KM[mode], water, ends=mode == "rail")
    straight = geo.geodesic_km(*xy[low].T, *xy[high].T)
    km = np.where(straight >= WINDING_KM, np.maximum(km, WINDING[mode] * straight), km)
    km = _measured(mode, xy, low, high, km)
    xy, tag, low, high, km = _without(mode, xy, tag, low, high, km, [str(c) for c in countries.index])
    xy, tag, low, high, km = _with_inner_nodes(xy, tag, low, high, km, countries, water)
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


def _with_tracks(
    mode: str, xy: NDArray[np.float64], start: NDArray[np.int64], end: NDArray[np.int64], km: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return the graph with the tracks that the source lacks."""
    for _, points, lengths in [track for track in ADDED_TRACKS if track[0] == mode]:
        index, nodes = geo.NearestIndex(xy[:, 0], xy[:, 1]), []
        for number, point in enumerate(points):
            found, away = index.query(*point)
            if number and away[0] > 2.0:
                nodes.append(len(xy))
                xy = np.vstack([xy, point])
            else:
                nodes.append(int(found[0]))
        start, end, km = np.r_[start, nodes[:-1]], np.r_[end, nodes[1:]], np.r_[km, lengths]
    return xy, start, end, km


Graph = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]


def _without(
    mode: str, xy: NDArray[np.float64], tag: NDArray[np.int64], low: NDArray[np.int64], high: NDArray[np.int64],
    km: NDArray[np.float64], codes: list[str],
) -> Graph:
    """Drop what is no network, and the nodes that are left without an edge."""
    gone = np.isin(tag, [codes.index(code) for code in DROPPED_COUNTRIES])
    drop = gone[low] | gone[high]
    for _, (west, south, east, north) in [box for box in DROPPED_TRACKS if box[0] == mode]:
        inside = (west <= xy[:, 0]) & (xy[:, 0] <= east) & (south <= xy[:, 1]) & (xy[:, 1] <= north)
        drop |= inside[low] & inside[high]
    low, high, km = low[~drop], high[~drop], km[~drop]
    kept = np.zeros(len(xy), dtype=bool)
    kept[np.r_[low, high]] = True
    number = np.cumsum(kept) - 1
    return xy[kept], tag[kept], number[low], number[high], km


def _with_inner_nodes(
    xy: NDArray[np.float64], tag: NDArray[np.int64], low: NDArray[np.int64], high: NDArray[np.int64],
    km: NDArray[np.float64], countries: gpd.GeoDataFrame, water: Water,
) -> Graph:
    """Cut long edges at points on land that lie in the countries of their ends; lengths are shared out evenly."""
    start, step = xy[low], xy[high] - xy[low]
    step[:, 0] -= 360.0 * np.round(step[:, 0] / 360.0)
    straight = geo.geodesic_km(*start.T, *(start + step).T)
    long = np.flatnonzero(straight >= LONG_EDGE_KM)
    count = np.ceil(straight[long] / INNER_KM).astype(np.int64) - 1
    edge = np.repeat(long, count)
    share = (np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count) + 1) / (np.repeat(count, count) + 1)
    points = start[edge] + share[:, None] * step[edge]
    points[:, 0] = geo.wrap_lon(points[:, 0])
    owner = tag_countries(points, countries)
    first, second = owner == tag[low[edge]], owner == tag[high[edge]]
    same = tag[low[edge]] == tag[high[edge]]
    good = water.on_land(points) & (first | second)
    # Across a border the points before it belong to one country and those behind it to the other, else none is used.
    turns = np.zeros(len(km), dtype=np.int64)
    np.add.at(turns, edge[1:], ((edge[1:] == edge[:-1]) & ~same[1:] & first[1:] & second[:-1]).astype(np.int64))
    good &= turns[edge] == 0
    edge, share, points, owner = edge[good], share[good], points[good], owner[good]
    place = len(xy) + np.arange(len(edge))
    ends = np.unique(edge)
    marks = np.lexsort((np.r_[np.zeros(len(ends)), share, np.ones(len(ends))], np.r_[ends, edge, ends]))
    chain_edge = np.r_[ends, edge, ends][marks]
    chain_share = np.r_[np.zeros(len(ends)), share, np.ones(len(ends))][marks]
    chain_node = np.r_[low[ends], place, high[ends]][marks]
    link = chain_edge[1:] == chain_edge[:-1]
    whole = np.ones(len(km), dtype=bool)
    whole[ends] = False
    new_km = km[chain_edge[1:]] * np.diff(chain_share)
    return (np.vstack([xy, points]), np.r_[tag, owner], np.r_[low[whole], chain_node[:-1][link]],
            np.r_[high[whole], chain_node[1:][link]], np.r_[km[whole], new_km[link]])


def _measured(
    mode: str, xy: NDArray[np.float64], low: NDArray[np.int64], high: NDArray[np.int64], km: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the lengths with those that are published; raises ValueError if the source no longer has such an edge."""
    km = km.copy()
    for _, one, other, length in [way for way in MEASURED if way[0] == mode]:
        near = [geo.geodesic_km(xy[side, 0], xy[side, 1], *point) < 3.0 for side, point in
                ((low, one), (high, other), (high, one), (low, other))]
        edges = np.flatnonzero((near[0] & near[1]) | (near[2] & near[3]))
        if not len(edges):
            raise ValueError(f"no {mode} edge between {one} and {other}")
        km[edges] = length
    return km


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
    for code in np.unique(pair[useful], axis=0):
        fine = "-".join(sorted(graph.countries[c] for c in code)) in FINE_BORDERS
        step = (FINE_SPACING_KM if fine else POST_SPACING_KM[graph.mode]) / geo.EARTH_RADIUS_KM
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
    usable: NDArray[np.bool_], limit_km: float, water: Water | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return for each point (nearest usable node of its own country or -1, km to it).

    With `water` a long way to it must not lead over water.
    """
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
    if water is not None:
        look = np.flatnonzero((node >= 0) & (far > JOIN_LOOK_KM))
        lines = [geo.unwrap([(lon[i], lat[i]), graph.xy[node[i]]]) for i in look]
        wet = far[look] - water.over_km(lines) > JOIN_WET_KM
        node[look[wet]], far[look[wet]] = -1, np.inf
    return node, far

"""Make the sea graph of the atlas from the marine network that the `searoute` package ships (build only).

Edges over land are dropped, longitudes brought into +-180 and joined there, every port gets a lane of its own to the
network, edges are tagged with the passages whose gate they cross, and runs of degree-2 nodes become one edge with its
geometry kept.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from atlas import geo

# Waterways the source lacks, as (lon, lat) runs that end on nodes of the source.
ADDED_LANES = {
    "kiel canal": [(9.0433, 53.8704), (9.15, 53.89), (9.32, 54.06), (9.40, 54.20), (9.68, 54.32), (9.98, 54.36),
                   (10.15, 54.37), (10.22, 54.42), (10.31, 54.45)],
}
# Over land on purpose: canals and rivers that sea ships use (west, south, east, north).
WATERWAYS = {
    "suez": (32.0, 29.4, 33.0, 31.5), "panama": (-80.1, 8.7, -79.3, 9.6), "kiel": (8.9, 53.7, 10.4, 54.6),
    "elbe": (8.6, 53.4, 10.1, 54.0), "weser": (8.1, 53.0, 8.9, 53.9), "scheldt": (3.3, 51.1, 4.5, 51.6),
    "maas": (3.9, 51.8, 4.6, 52.1), "thames": (-0.2, 51.4, 1.2, 51.6), "humber": (-1.0, 53.5, 0.2, 53.8),
    "gironde": (-1.4, 44.8, -0.5, 45.7), "saint lawrence": (-80.0, 43.0, -64.0, 50.5),
    "great lakes": (-92.5, 41.2, -76.0, 49.0), "mississippi": (-91.5, 28.8, -89.0, 30.6),
    "hooghly": (87.8, 21.5, 88.5, 22.7), "pearl": (113.2, 22.0, 114.2, 23.2), "yangtze": (118.0, 31.0, 122.2, 32.5),
    "parana": (-60.9, -34.9, -57.8, -32.0), "amazon": (-60.5, -4.0, -47.5, 1.5), "bosporus": (28.8, 40.9, 29.3, 41.4),
    "dardanelles": (26.0, 39.9, 27.2, 40.6), "don": (39.0, 46.9, 40.0, 47.4), "neva": (29.6, 59.7, 30.4, 60.1),
    "columbia": (-124.2, 45.4, -122.5, 46.4), "delaware": (-75.7, 38.7, -74.9, 40.1), "congo": (12.2, -6.2, 13.6, -5.6),
    "orinoco": (-63.0, 8.0, -60.0, 9.9), "savannah": (-81.3, 31.9, -80.7, 32.3), "saigon": (106.6, 10.2, 107.2, 10.9),
}
LAND_LIMIT_KM = 20.0  # a segment outside the waterways with more than this over land is an error of the source
CONNECTOR_REACH_KM = 400.0


@dataclass(frozen=True)
class SeaGraph:
    """Contracted sea graph: node coordinates, edges with km, passages and full geometry, one node per port."""

    xy: NDArray[np.float64]
    ports: list[str]  # node i is ports[i] for i < len(ports)
    a: NDArray[np.int32]
    b: NDArray[np.int32]
    km: NDArray[np.float64]
    passages: list[tuple[str, ...]]
    lines: list[NDArray[np.float64]]  # continuous longitudes, from a to b


def read_segments(path: Path) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Read the marine network into unique vertices (n, 2) and segments (m, 2), longitudes in [-180, 180)."""
    runs: list[list[tuple[float, float]]] = list(ADDED_LANES.values())
    for feature in json.loads(path.read_text(encoding="utf-8"))["features"]:
        geometry = feature["geometry"]
        parts = [geometry["coordinates"]] if geometry["type"] == "LineString" else geometry["coordinates"]
        runs += [[(point[0], point[1]) for point in part] for part in parts]
    numbers: dict[tuple[float, float], int] = {}
    pairs: set[tuple[int, int]] = set()
    for run in runs:
        ids = [numbers.setdefault((round((lon + 180.0) % 360.0 - 180.0, 5), round(lat, 5)), len(numbers))
               for lon, lat in run]
        pairs |= {(min(i, j), max(i, j)) for i, j in zip(ids[:-1], ids[1:], strict=True) if i != j}
    xy = np.array(list(numbers), dtype=float)
    return _joined(xy, np.array(sorted(pairs), dtype=np.int64))


def _joined(xy: NDArray[np.float64], pairs: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Join the ends of the added lanes to the nearest vertex of the source (within 15 km)."""
    count = sum(len(run) for run in ADDED_LANES.values())
    ends = [i for i in range(count) if (pairs == i).sum() == 1]
    index = geo.NearestIndex(xy[count:, 0], xy[count:, 1])
    extra = []
    for end in ends:
        position, distance = index.query(xy[end, 0], xy[end, 1])
        if distance[0] > 15.0:
            raise ValueError(f"added lane ends {distance[0]:.0f} km from the network")
        extra.append((end, count + int(position[0])))
    return xy, np.vstack([pairs, np.array(extra, dtype=np.int64).reshape(-1, 2)])


def segment_lines(xy: NDArray[np.float64], pairs: NDArray[np.int64]) -> NDArray[np.object_]:
    """Return a LineString per segment; where it crosses the antimeridian its longitudes go past 180."""
    start, end = xy[pairs[:, 0]], xy[pairs[:, 1]].copy()
    step = end[:, 0] - start[:, 0]
    end[:, 0] -= 360.0 * np.round(step / 360.0)
    return np.asarray(shapely.linestrings(np.stack([start, end], axis=1)))


def land_km(lines: NDArray[np.object_], land: NDArray[np.object_]) -> NDArray[np.float64]:
    """Return the km of each line over the land polygons (local scale at the line's middle latitude)."""
    tree = shapely.STRtree(land)
    found = np.zeros(len(lines))
    lines = np.asarray(lines, dtype=object)
    for shift in (0.0, 360.0, -360.0):
        moved = shapely.transform(lines, lambda c, s=shift: c + [s, 0.0])
        line, polygon = tree.query(moved, predicate="intersects")
        inside = shapely.intersection(moved[line], land[polygon])
        for i, piece in zip(line, inside, strict=True):
            if not piece.is_empty:
                found[i] += geo.line_km(_lines_of(piece))
    return found


def _lines_of(piece: shapely.Geometry) -> shapely.Geometry:
    parts = [part for part in shapely.get_parts(piece) if part.geom_type == "LineString"]
    return shapely.MultiLineString(parts)


def in_waterway(lines: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Tell which lines lie wholly inside a named canal or river."""
    boxes = shapely.STRtree([shapely.box(*bounds) for bounds in WATERWAYS.values()])
    line, _ = boxes.query(lines, predicate="within")
    inside = np.zeros(len(lines), dtype=bool)
    inside[line] = True
    return inside


def build_sea(source: Path, ports: pd.DataFrame, passages: gpd.GeoDataFrame, land: NDArray[np.object_]) -> SeaGraph:
    """Build the sea graph from the source file, the ports (index LOCODE; lon, lat), the gates and land polygons."""
    xy, pairs = read_segments(source)
    lines = segment_lines(xy, pairs)
    bad = (land_km(lines, land) > LAND_LIMIT_KM) & ~in_waterway(lines)
    pairs = pairs[~bad]
    graph = coo_matrix((np.ones(len(pairs)), pairs.T), shape=(len(xy), len(xy)))
    _, label = connected_components(graph, directed=False)
    main = np.bincount(label[pairs[:, 0]]).argmax()
    pairs = pairs[label[pairs[:, 0]] == main]
    xy, pairs = connect_ports(xy, pairs, ports, land)
    lines = segment_lines(xy, pairs)
    tags = tag_passages(lines, passages)
    return contract(xy, pairs, tags, [str(p) for p in ports.index])


def tag_passages(lines: NDArray[np.object_], passages: gpd.GeoDataFrame) -> list[tuple[str, ...]]:
    """Return for each line the sorted ids of the passages whose gate it crosses."""
    found: list[set[str]] = [set() for _ in lines]
    tree = shapely.STRtree(lines)
    for gate, line in zip(passages.index, passages.geometry, strict=True):
        for shift in (0.0, 360.0, -360.0):
            moved = shapely.transform(line, lambda c, s=shift: c + [s, 0.0])
            for i in tree.query(moved, predicate="intersects"):
                found[i].add(str(gate))
    return [tuple(sorted(tags)) for tags in found]


def connect_ports(
    xy: NDArray[np.float64], pairs: NDArray[np.int64], ports: pd.DataFrame, land: NDArray[np.object_]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Give each port one lane to the point of the network that is nearest over water.

    A port is a leaf of the sea graph, so its lane can never be a way round a gate. New nodes come first: port i is i.
    """
    lines = segment_lines(xy, pairs)
    tree = shapely.STRtree(lines)
    count = len(ports)
    nodes = [*zip(ports["lon"].astype(float), ports["lat"].astype(float), strict=True), *map(tuple, xy)]
    cuts: dict[int, list[tuple[float, int]]] = {}
    lanes: list[tuple[int, int]] = []
    for i in range(count):
        segment, share, point = _best_join(nodes[i], lines, tree, land)
        ends = pairs[segment] + count
        step = geo.geodesic_km([point[0]] * 2, [point[1]] * 2, [nodes[e][0] for e in ends], [nodes[e][1] for e in ends])
        if step.min() < 5.0:
            lanes.append((i, int(ends[step.argmin()])))
            continue
        nodes.append(((point[0] + 180.0) % 360.0 - 180.0, point[1]))
        cuts.setdefault(segment, []).append((share, len(nodes) - 1))
        lanes.append((i, len(nodes) - 1))
    kept = np.ones(len(pairs), dtype=bool)
    for segment, marks in cuts.items():
        kept[segment] = False
        chain = [int(pairs[segment, 0]) + count, *[node for _, node in sorted(marks)], int(pairs[segment, 1]) + count]
        lanes += list(zip(chain[:-1], chain[1:], strict=True))
    return np.array(nodes), np.vstack([pairs[kept] + count, np.array(lanes, dtype=np.int64)])


def _best_join(
    port: tuple[float, float], lines: NDArray[np.object_], tree: shapely.STRtree, land: NDArray[np.object_]
) -> tuple[int, float, tuple[float, float]]:
    """Return (segment, share along it, point) with the least km, each km over land counted five times."""
    lon, lat = port
    squeeze = max(float(np.cos(np.radians(lat))), 0.1)
    dy = CONNECTOR_REACH_KM / 111.0
    window = shapely.box(lon - dy / squeeze, lat - dy, lon + dy / squeeze, lat + dy)
    near = np.sort(tree.query(window))
    local = shapely.transform(lines[near], lambda c: (c - [lon, lat]) * [squeeze, 1.0])
    share = shapely.line_locate_point(local, shapely.Point(0.0, 0.0), normalized=True)
    order = np.argsort(shapely.distance(local, shapely.Point(0.0, 0.0)), kind="stable")[:25]
    close = land[shapely.STRtree(land).query(window)]
    points = shapely.get_coordinates(shapely.line_interpolate_point(lines[near], share, normalized=True))
    joins = shapely.linestrings([[port, points[k]] for k in order])
    length = geo.geodesic_km(np.full(len(order), lon), np.full(len(order), lat), points[order, 0], points[order, 1])
    best = int(np.argmin(length + 4.0 * land_km(joins, close)))
    k = order[best]
    return int(near[k]), float(share[k]), (float(points[k, 0]), float(points[k, 1]))


def contract(
    xy: NDArray[np.float64], pairs: NDArray[np.int64], tags: list[tuple[str, ...]], ports: list[str]
) -> SeaGraph:
    """Join runs of degree-2 nodes into one edge each, gates counted, geometry kept; dead ends without a port go."""
    count = len(ports)
    around: dict[int, dict[int, int]] = {}
    for edge, (i, j) in enumerate(pairs.tolist()):
        around.setdefault(i, {})[j] = edge
        around.setdefault(j, {})[i] = edge
    loose = [n for n in around if n >= count and len(around[n]) == 1]
    while loose:
        node = loose.pop()
        for other in around.pop(node, {}):
            around[other].pop(node)
            if other >= count and len(around[other]) == 1:
                loose.append(other)
    kept = sorted(n for n in around if n < count or len(around[n]) > 2)
    number = {n: i for i, n in enumerate(kept)}
    best: dict[tuple[int, int, tuple[str, ...]], tuple[float, list[int]]] = {}
    for start in kept:
        for first in sorted(around[start]):
            run, met = [start, first], set(tags[around[start][first]])
            while run[-1] not in number:
                following = next(n for n in around[run[-1]] if n != run[-2])
                met |= set(tags[around[run[-1]][following]])
                run.append(following)
            if run[0] >= run[-1]:
                continue
            line = xy[run]
            km = float(geo.geodesic_km(line[:-1, 0], line[:-1, 1], line[1:, 0], line[1:, 1]).sum())
            key = (number[run[0]], number[run[-1]], tuple(sorted(met)))
            if key not in best or (km, run) < best[key]:
                best[key] = (km, run)
    keys = sorted(best)
    return SeaGraph(
        xy=xy[kept], ports=ports,
        a=np.array([k[0] for k in keys], dtype=np.int32), b=np.array([k[1] for k in keys], dtype=np.int32),
        km=np.array([best[k][0] for k in keys]), passages=[k[2] for k in keys],
        lines=[geo.unwrap(xy[best[k][1]]) for k in keys],
    )

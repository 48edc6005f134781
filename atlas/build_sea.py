"""Make the sea graph of the atlas from the marine network that the `searoute` package ships (build only).

Longitudes are brought into +-180 and joined there. A lane that comes on land is led round it over water, kept where it
is a canal or river that sea ships use, and dropped otherwise. Every port gets a lane of its own over water, corners
that no land asks for are cut (`build_lanes`), edges are tagged with the passages whose gate they cross, and runs of
degree-2 nodes become one edge with its geometry kept.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import click
import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from atlas import geo
from atlas.build_water import MARGIN_DEG, Water, drawn, shared_water, workers

# Waterways the source lacks, as (lon, lat) runs whose ends join the nearest vertex of the source.
ADDED_LANES = {
    "kiel canal": [(9.0433, 53.8704), (9.15, 53.89), (9.32, 54.06), (9.40, 54.20), (9.68, 54.32), (9.98, 54.36),
                   (10.15, 54.37), (10.22, 54.42), (10.31, 54.45)],
}
# Where canals and rivers that sea ships use may be drawn over land (west, south, east, north).
WATERWAYS = {
    "suez canal": (32.0, 29.4, 33.0, 31.5), "panama canal": (-80.1, 8.7, -79.3, 9.6),
    "kiel canal": (8.9, 53.7, 10.4, 54.6), "elbe": (8.6, 53.4, 10.1, 54.0), "weser": (8.1, 53.0, 8.9, 53.9),
    "scheldt": (3.3, 51.1, 4.5, 51.6), "maas": (3.9, 51.8, 4.6, 52.1), "thames": (-0.2, 51.4, 1.2, 51.6),
    "humber": (-1.0, 53.5, 0.2, 53.8), "gironde": (-1.4, 44.8, -0.5, 45.7),
    "saint lawrence": (-75.0, 44.9, -64.0, 50.5), "mississippi": (-91.5, 28.8, -89.0, 30.6),
    "pearl river": (113.2, 22.0, 114.2, 23.2), "yangtze": (118.0, 31.0, 122.2, 32.5),
    "parana": (-60.9, -34.9, -57.8, -32.0), "amazon": (-60.5, -4.0, -47.5, 1.5),
    "bosporus": (28.8, 40.9, 29.3, 41.4), "dardanelles": (26.0, 39.9, 27.2, 40.6), "don": (39.0, 46.9, 40.0, 47.4),
    "neva": (29.6, 59.7, 30.4, 60.1), "delaware": (-75.7, 38.7, -74.9, 40.1), "orinoco": (-63.0, 8.0, -60.0, 9.9),
    "houston ship channel": (-95.4, 29.3, -94.6, 29.9), "cape cod canal": (-70.8, 41.6, -70.4, 41.9),
    "chesapeake and delaware canal": (-76.1, 39.4, -75.5, 39.6),
}
MOVE_KM = 12.0  # how far a vertex of the source that lies on land may be moved to water
MOUTH_KM = 25.0  # how far the water may be from the end of a canal or river of the source
DETOUR, DETOUR_KM = 2.5, 60.0  # a way round land longer than this share and these km is no mending of one lane
KEEP_SHARE, KEEP_KM = 1.3, 5.0  # in a waterway: a way over water longer than this leaves the lane on its river


@dataclass(frozen=True)
class Lanes:
    """Sea lanes as vertices and segments; `river` names the waterway of a segment over land on purpose, else ""."""

    xy: NDArray[np.float64]
    pairs: NDArray[np.int64]
    river: NDArray[np.object_]

    def lines(self) -> list[NDArray[np.float64]]:
        """Return each segment as it is drawn, longitudes continuous."""
        return [drawn(self.xy[i], self.xy[j]) for i, j in self.pairs]


@dataclass(frozen=True)
class SeaGraph:
    """Contracted sea graph: node coordinates, edges with km, passages, waterways and geometry, one node per port."""

    xy: NDArray[np.float64]
    ports: list[str]  # node i is ports[i] for i < len(ports)
    a: NDArray[np.int32]
    b: NDArray[np.int32]
    km: NDArray[np.float64]
    passages: list[tuple[str, ...]]
    rivers: list[tuple[str, ...]]
    over_km: NDArray[np.float64]  # over land outside the named waterways
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


def waterway_of(line: NDArray[np.float64]) -> str:
    """Return the waterway whose box holds a line whole, "" if none does."""
    (west, south), (east, north) = line.min(axis=0), line.max(axis=0)
    for name, (w, s, e, n) in WATERWAYS.items():
        if w <= west and s <= south and east <= e and north <= n:
            return name
    return ""


def mended(xy: NDArray[np.float64], pairs: NDArray[np.int64], water: Water, processes: int = 2) -> Lanes:
    """Lead segments that come on land round it; keep canals and rivers; drop what crosses land for good."""
    xy, kept = _afloat(xy, water)
    pairs = pairs[kept[pairs].all(axis=1)]
    lines = [drawn(xy[i], xy[j]) for i, j in pairs]
    bad = water.touches(lines)
    new_xy, new_pairs = list(xy), [tuple(pair) for pair in pairs[~bad]]
    river = [""] * len(new_pairs)
    with workers(water, processes) as pool:
        found = pool.map(_led, [lines[k] for k in np.flatnonzero(bad)], chunksize=8)
        with click.progressbar(found, length=int(bad.sum()), label="lanes off the land", file=sys.stderr) as shown:
            ways = list(shown)
    for k, pieces in zip(np.flatnonzero(bad), ways, strict=True):
        last = int(pairs[k, 0])
        for number, (name, line) in enumerate(pieces):
            inner = list(range(len(new_xy), len(new_xy) + len(line) - 2))
            new_xy += list(line[1:-1])
            if number < len(pieces) - 1:
                new_xy.append(line[-1])
            run = [last, *inner, len(new_xy) - 1 if number < len(pieces) - 1 else int(pairs[k, 1])]
            last = run[-1]
            new_pairs += list(zip(run[:-1], run[1:], strict=True))
            river += [name] * (len(run) - 1)
    out = np.array(new_xy)
    out[:, 0] = (out[:, 0] + 180.0) % 360.0 - 180.0
    return main_piece(Lanes(out, np.array(new_pairs, dtype=np.int64), np.array(river, dtype=object)))


def _led(line: NDArray[np.float64]) -> list[tuple[str, NDArray[np.float64]]]:
    """Return the pieces (waterway or "", line) that stand for a segment which comes on land; none if it is dropped."""
    water, km = shared_water(), geo.line_km(line)
    head: list[tuple[str, NDArray[np.float64]]] = []
    tail: list[tuple[str, NDArray[np.float64]]] = []
    start, end = line[0], line[-1]
    name = waterway_of(line)
    if not name:  # from the land end of a canal or river to the water beside it first
        for point, pieces in ((start, head), (end, tail)):
            inside = waterway_of(point[None, :])
            beside = water.nearest(point, MOUTH_KM) if inside and water.on_land(point[None, :])[0] else None
            if beside is not None:
                pieces.append((inside, np.vstack([point, beside] if pieces is head else [beside, point])))
        start, end = (head[0][1][-1] if head else start), (tail[0][1][0] if tail else end)
    most = max(KEEP_SHARE * km, km + KEEP_KM) if name else max(DETOUR * km, km + DETOUR_KM)
    way = water.way(start, end[None, :], pad_km=max(0.35 * km, 15.0), limit_km=most)
    if way is not None:
        return [*head, ("", way[1]), *tail]
    return [(name, line[[0, -1]])] if name else []


def _afloat(xy: NDArray[np.float64], water: Water) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Move vertices on land to the water beside them; tell which remain (in a waterway a vertex may lie on land)."""
    xy, kept = xy.copy(), np.ones(len(xy), dtype=bool)
    for i in np.flatnonzero(water.on_land(xy, MARGIN_DEG)):
        if waterway_of(xy[i][None, :]):
            continue
        moved = water.nearest(xy[i], MOVE_KM)
        if moved is None:
            kept[i] = False
        else:
            xy[i] = moved
    return xy, kept


def main_piece(lanes: Lanes) -> Lanes:
    """Return the connected piece with the most segments."""
    graph = coo_matrix((np.ones(len(lanes.pairs)), lanes.pairs.T), shape=(len(lanes.xy), len(lanes.xy)))
    label = connected_components(graph, directed=False)[1][lanes.pairs[:, 0]]
    kept = label == np.bincount(label).argmax()
    return Lanes(lanes.xy, lanes.pairs[kept], lanes.river[kept])


def tag_passages(lines: list[NDArray[np.float64]], passages: gpd.GeoDataFrame) -> list[tuple[str, ...]]:
    """Return for each line the sorted ids of the passages whose gate it crosses."""
    found: list[set[str]] = [set() for _ in lines]
    tree = shapely.STRtree([shapely.LineString(line) for line in lines])
    for gate, line in zip(passages.index, passages.geometry, strict=True):
        for shift in (0.0, 360.0, -360.0):
            moved = shapely.transform(line, lambda c, s=shift: c + [s, 0.0])
            for i in tree.query(moved, predicate="intersects"):
                found[i].add(str(gate))
    return [tuple(sorted(tags)) for tags in found]


def contract(
    lanes: Lanes, tags: list[tuple[str, ...]], ports: list[str], over_km: NDArray[np.float64]
) -> SeaGraph:
    """Join runs of degree-2 nodes into one edge each, gates counted, geometry kept; dead ends without a port go.

    `over_km` is each segment's km over land outside the named waterways.
    """
    count, xy = len(ports), lanes.xy
    around: dict[int, dict[int, int]] = {}
    for edge, (i, j) in enumerate(lanes.pairs.tolist()):
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
    best: dict[tuple[int, int, tuple[str, ...]], tuple[float, list[int], list[int]]] = {}
    for start in kept:
        for first in sorted(around[start]):
            run = [start, first]
            while run[-1] not in number:
                run.append(next(n for n in around[run[-1]] if n != run[-2]))
            if run[0] >= run[-1]:
                continue
            edges = [around[i][j] for i, j in zip(run[:-1], run[1:], strict=True)]
            line = xy[run]
            km = float(geo.geodesic_km(line[:-1, 0], line[:-1, 1], line[1:, 0], line[1:, 1]).sum())
            met = tuple(sorted({tag for edge in edges for tag in tags[edge]}))
            key = (number[run[0]], number[run[-1]], met)
            if key not in best or (km, run) < best[key][:2]:
                best[key] = (km, run, edges)
    keys = sorted(best)
    return SeaGraph(
        xy=xy[kept], ports=ports,
        a=np.array([k[0] for k in keys], dtype=np.int32), b=np.array([k[1] for k in keys], dtype=np.int32),
        km=np.array([best[k][0] for k in keys]), passages=[k[2] for k in keys],
        rivers=[tuple(sorted({str(name) for name in lanes.river[best[k][2]]} - {""})) for k in keys],
        over_km=np.array([over_km[best[k][2]].sum() for k in keys]), lines=[_drawn_run(xy[best[k][1]]) for k in keys],
    )


def _drawn_run(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    parts = [drawn(start, end) for start, end in zip(xy[:-1], xy[1:], strict=True)]
    return geo.unwrap(np.vstack([parts[0], *[part[1:] for part in parts[1:]]]))

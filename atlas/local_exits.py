"""Join one mode's local graph to a place and to the trunk network: nearest node, ways out, their lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import networkx as nx
import numpy as np
import osmnx as ox
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components, dijkstra
from shapely.geometry import MultiPoint

from atlas import geo
from atlas.local_access import Exit, ModeAccess

NEAR_KM = {"road": 5.0, "rail": 10.0}  # plus the precision of coordinates: beyond, a way is not the place's
GAP_KM = (1.0, 5.0)  # from a node of the trunk graph to the local way that is the same road; the second if need be
PORT_GAP_KM = 10.0  # from a port's point, which may lie off the quay, to the local ways
MOST_JUNCTIONS = 4
LONGEST_KM = 0.5
WORDS = {"road": "roads", "rail": "railways"}


@dataclass(frozen=True)
class Ground:
    """What a local graph has to join: the place, nodes (n, 2) of the trunk graphs, a port (id, lon, lat).

    `between` are points on long edges of the trunk graph, for ways that meet none of its nodes.
    """

    lon: float
    lat: float
    precision_km: float
    trunk: NDArray[np.float64]
    between: NDArray[np.float64]
    railheads: NDArray[np.float64]  # nodes of the rail trunk graph that a road may lead to
    port: tuple[str, float, float] | None


@dataclass(frozen=True)
class LocalGraph:
    """A graph of one mode, not simplified, with its arrays: node ids, lon and lat (n, 2), lengths both ways in km."""

    mode: str
    projected: nx.MultiDiGraph
    ids: NDArray[np.int64]
    xy: NDArray[np.float64]
    matrix: csr_matrix
    label: NDArray[np.int32]

    @classmethod
    def of(cls, graph: nx.MultiDiGraph, mode: str) -> LocalGraph:
        """Return the arrays of a graph. One-way streets count both ways, as on the trunk graph."""
        ids = np.array(list(graph.nodes), dtype=np.int64)
        xy = np.array([(data["x"], data["y"]) for _, data in graph.nodes(data=True)], dtype=float)
        number = {node: i for i, node in enumerate(graph.nodes)}
        shortest: dict[tuple[int, int], float] = {}
        for u, v, length in graph.edges(data="length"):
            pair = (number[u], number[v]) if number[u] < number[v] else (number[v], number[u])
            shortest[pair] = min(max(float(length) / 1000.0, 1e-6), shortest.get(pair, np.inf))
        a, b = np.array(list(shortest), dtype=np.int64).reshape(-1, 2).T
        matrix = coo_matrix((np.array(list(shortest.values())), (a, b)), shape=(len(ids), len(ids))).tocsr()
        label = connected_components(matrix, directed=False)[1]
        return cls(mode, ox.project_graph(graph), ids, xy, matrix, label)

    def nearest(self, piece: int, xy: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return for points (n, 2) in lon, lat the nearest node (its position) of a piece, and the km to it."""
        inside = np.flatnonzero(self.label == piece)
        points, _ = ox.projection.project_geometry(MultiPoint(xy), to_crs=self.projected.graph["crs"])
        x, y = np.array([(point.x, point.y) for point in points.geoms]).T
        nodes, metres = ox.distance.nearest_nodes(self.projected.subgraph(self.ids[inside].tolist()), x, y,
                                                  return_dist=True)
        order = np.argsort(self.ids[inside])
        where = inside[order[np.searchsorted(self.ids[inside][order], nodes)]]
        return where, np.asarray(metres, dtype=float) / 1000.0


def densified(graph: nx.MultiDiGraph) -> nx.MultiDiGraph:
    """Return a graph, not simplified, whose long straight stretches have points every LONGEST_KM, with negative ids.

    So a place or a junction beside the middle of a stretch finds a node there; simplifying takes the others out again.
    """
    dense, added = graph.copy(), {}
    lowest = min(0, *graph.nodes)  # a file not yet uploaded has negative ids of its own
    for u, v, key, data in graph.edges(keys=True, data=True):
        count = int(float(data["length"]) / 1000.0 // LONGEST_KM)
        if not count or u == v:
            continue
        low, high = min(u, v), max(u, v)
        if (low, high) not in added:  # the way back runs over the same points
            start, end = (np.array([graph.nodes[n]["x"], graph.nodes[n]["y"]]) for n in (low, high))
            shares = np.arange(1, count + 1) / (count + 1)
            ids = [lowest - i for i in range(1, count + 1)]
            lowest = ids[-1]
            dense.add_nodes_from((n, {"x": x, "y": y}) for n, (x, y)
                                 in zip(ids, (start + shares[:, None] * (end - start)).tolist(), strict=True))
            added[low, high] = ids
        run = [low, *added[low, high], high][:: 1 if u == low else -1]
        dense.remove_edge(u, v, key)
        for a, b in pairwise(run):
            dense.add_edge(a, b, **{**data, "length": float(data["length"]) / (len(run) - 1)})
    return dense


@dataclass(frozen=True)
class _Tree:
    """Shortest ways from the node nearest to the place."""

    local: LocalGraph
    piece: int
    start: int
    km: NDArray[np.float64]
    before: NDArray[np.int32]

    def run(self, node: int) -> list[int]:
        nodes = [node]
        while nodes[-1] != self.start:
            nodes.append(int(self.before[nodes[-1]]))
        return nodes[::-1]

    def exit(self, kind: str, node: int, xy: NDArray[np.float64], port: str = "") -> Exit:
        line = np.asarray(np.round(np.vstack([self.local.xy[self.run(node)], xy]), 6), dtype=np.float64)
        return Exit(kind, float(xy[0]), float(xy[1]), geo.line_km(line), line, port)


def ends_of(local: LocalGraph, ground: Ground) -> tuple[ModeAccess, list[int]] | str:
    """Return how a place uses a local graph, with the ids of nodes that must be kept; or a text that says why not.

    Of the connected pieces near the place it takes the nearest one that leads to the port, else to the trunk graph.
    """
    away = geo.geodesic_km(ground.lon, ground.lat, local.xy[:, 0], local.xy[:, 1])
    near = np.full(local.label.max() + 1, np.inf)
    np.minimum.at(near, local.label, away)
    limit = NEAR_KM[local.mode] + ground.precision_km
    word = WORDS[local.mode]
    if near.min() > limit:
        return f"the nearest of the {word} is {near.min():.1f} km away"
    fallback: tuple[ModeAccess, list[int]] | None = None
    for piece in (int(p) for p in np.argsort(near, kind="stable") if near[p] <= limit):
        start = int(np.flatnonzero(local.label == piece)[away[local.label == piece].argmin()])
        km, before = dijkstra(local.matrix, directed=False, indices=start, return_predecessors=True)
        found = list(_exits(_Tree(local, piece, start, km, before), ground))
        ways = tuple(e for e, _ in found)
        lon, lat = (float(x) for x in np.round(local.xy[start], 6))
        marked = [int(local.ids[i]) for i in (start, *(node for _, node in found))]
        answer = ModeAccess(lon, lat, float(away[start]), ways), marked
        kinds = {e.kind for e in ways}
        if "port" in kinds or (ground.port is None and "trunk" in kinds):
            return answer
        if "trunk" in kinds and fallback is None:
            fallback = answer
    return fallback or f"the {word} near it end before the trunk network"


def _exits(tree: _Tree, ground: Ground) -> Iterator[tuple[Exit, int]]:
    """Yield the ways out with the local node of each: port, junctions that are met first, a railhead."""
    if ground.port is not None:
        name, *point = ground.port
        where, gap = tree.local.nearest(tree.piece, np.array([point]))
        if gap[0] <= PORT_GAP_KM:
            yield tree.exit("port", int(where[0]), np.array(point), name), int(where[0])
    junctions = list(_met_first(tree, ground.trunk, MOST_JUNCTIONS))
    # The trunk graph's long edges are straight where the road is not, so they only count where no node is met.
    junctions = junctions or list(_met_first(tree, ground.between, MOST_JUNCTIONS))
    for kind, met in (("trunk", junctions), ("railhead", list(_met_first(tree, ground.railheads, 1)))):
        for node, xy in met:
            yield tree.exit(kind, node, xy), node


def _met_first(
    tree: _Tree, nodes: NDArray[np.float64], most: int
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Yield (local node, trunk node) pairs, nearest by way first; what lies behind one of them is left out."""
    if not len(nodes):
        return
    where, gap = tree.local.nearest(tree.piece, nodes)
    reach = next((km for km in GAP_KM if (gap <= km).any()), 0.0)
    kept = np.flatnonzero(gap <= reach)
    met: set[int] = set()
    for i in kept[np.argsort(tree.km[where[kept]] + gap[kept], kind="stable")].tolist():
        node = int(where[i])
        if not met & set(tree.run(node)):
            met.add(node)
            yield node, nodes[i]
        if len(met) == most:
            return

"""Reduce a graph to exact distances between terminals: the query graph's edges (build only)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

MIN_GAIN = 24  # a hub is worth its node when it lies on at least this many remaining shortest paths
MAX_HUBS = 150


@dataclass(frozen=True)
class Overlay:
    """Edges of the reduced graph: positions in `nodes`, km, and the run of graph nodes each stands for."""

    nodes: NDArray[np.int64]  # graph node of every overlay node: the terminals first, in order, then hubs
    a: NDArray[np.int64]
    b: NDArray[np.int64]
    km: NDArray[np.float64]
    runs: list[NDArray[np.int64]]  # graph nodes from a to b


def overlay(graph: csr_matrix, terminals: NDArray[np.int64]) -> Overlay:
    """Return the smallest set of edges that keeps every shortest distance between distinct terminal nodes.

    A pair whose shortest path passes another overlay node needs no edge. Hubs, the nodes most paths share, are added
    while that saves edges. Distances in the overlay equal those in `graph` (symmetric, km).
    """
    nodes = [int(n) for n in terminals]
    distance, before = dijkstra(graph, directed=False, indices=nodes, return_predecessors=True)
    left = np.argwhere(np.triu(np.isfinite(distance[:, nodes]), 1))
    left = left[_unbroken(before, nodes, left)]
    reach = distance[:, nodes]
    while len(left) > MIN_GAIN and len(nodes) - len(terminals) < MAX_HUBS:
        count = _visits(before, nodes, left, graph.shape[0])
        hub = int(count.argmax())
        if count[hub] < MIN_GAIN:
            break
        far, back = dijkstra(graph, directed=False, indices=[hub], return_predecessors=True)
        there = far[0, nodes[: len(reach)]]
        through = there[left[:, 0]] + there[left[:, 1]]
        left = left[through > reach[left[:, 0], left[:, 1]] * (1 + 1e-9) + 1e-6]
        nodes.append(hub)
        distance, before = np.vstack([distance, far]), np.vstack([before, back])
    return _edges(distance, before, np.array(nodes, dtype=np.int64))


def _unbroken(before: NDArray[np.int32], nodes: list[int], pairs: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which pairs have no other terminal on their path."""
    stop = np.zeros(before.shape[1], dtype=bool)
    stop[nodes] = True
    last = np.array(nodes)[pairs[:, 1]]
    row = pairs[:, 0]
    current = before[row, last]
    active = np.flatnonzero(~stop[current])
    while len(active):
        current[active] = before[row[active], current[active]]
        active = active[~stop[current[active]]]
    return np.asarray(current == np.array(nodes)[row])


def _visits(
    before: NDArray[np.int32], nodes: list[int], pairs: NDArray[np.int64], size: int
) -> NDArray[np.int64]:
    """Count for each graph node the pairs whose path has it inside."""
    count = np.zeros(size, dtype=np.int64)
    first = np.array(nodes)[pairs[:, 0]]
    row = pairs[:, 0]
    current = before[row, np.array(nodes)[pairs[:, 1]]]
    active = np.flatnonzero(current != first)
    while len(active):
        count += np.bincount(current[active], minlength=size)
        current[active] = before[row[active], current[active]]
        active = active[current[active] != first[active]]
    return count


def _edges(distance: NDArray[np.float64], before: NDArray[np.int32], nodes: NDArray[np.int64]) -> Overlay:
    position = np.full(before.shape[1], -1, dtype=np.int64)
    position[nodes] = np.arange(len(nodes))
    ends_a, ends_b, length, runs = [], [], [], []
    for i, start in enumerate(nodes.tolist()):
        for j in range(i + 1, len(nodes)):
            if not np.isfinite(distance[i, nodes[j]]):
                continue
            run = [int(nodes[j])]
            while True:
                node = int(before[i, run[-1]])
                run.append(node)
                if position[node] >= 0:
                    break
            if run[-1] == start:
                ends_a.append(i)
                ends_b.append(j)
                length.append(distance[i, nodes[j]])
                runs.append(np.array(run[::-1], dtype=np.int64))
    return Overlay(nodes, np.array(ends_a, dtype=np.int64), np.array(ends_b, dtype=np.int64),
                   np.array(length, dtype=float), runs)

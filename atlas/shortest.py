"""Shortest km between many places of any undirected network: runs of degree-2 nodes are contracted first.

Most vertices of a sea, rail or road network only bend a line. Without them the compiled search of SciPy visits a
fraction of the nodes, and the distances between the nodes that remain are the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components, dijkstra


@dataclass(frozen=True)
class Contracted:
    """A network without its bends: the nodes that remain (n,), and lengths between them (n, n), both ways."""

    nodes: NDArray[np.int64]
    graph: csr_matrix

    def positions(self, nodes: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return where nodes of the network stand in `nodes`; they must have been kept."""
        return np.searchsorted(self.nodes, nodes)


def contracted(
    size: int, a: NDArray[np.integer], b: NDArray[np.integer], km: NDArray[np.float64], kept: NDArray[np.integer]
) -> Contracted:
    """Contract a network of `size` nodes and edges a - b of `km`; the nodes `kept` stay, and all that are no bends."""
    degree = np.bincount(a, minlength=size) + np.bincount(b, minlength=size)
    bend = degree == 2
    bend[kept] = False
    inner, outer = bend[a] & bend[b], ~bend[a] & ~bend[b]
    rim = ~inner & ~outer  # from a bend to a node that remains
    bends = np.flatnonzero(bend)
    place = np.cumsum(bend) - 1
    runs, label = connected_components(
        coo_matrix((np.ones(int(inner.sum()), dtype=np.int8), (place[a[inner]], place[b[inner]])),
                   shape=(len(bends), len(bends))), directed=False)
    # A run's length is that of all edges in it; its two rim edges lead to its ends.
    swap = bend[a[rim]]
    tip, run = np.where(swap, b[rim], a[rim]), label[place[np.where(swap, a[rim], b[rim])]]
    length = np.bincount(label[place[a[inner]]], weights=km[inner], minlength=runs)
    length += np.bincount(run, weights=km[rim], minlength=runs)
    order = np.argsort(run, kind="stable")
    pair = tip[order].reshape(-1, 2)  # a ring without a node that remains has no rim: nothing leads there
    low = np.r_[a[outer], pair[:, 0]]
    high = np.r_[b[outer], pair[:, 1]]
    weight = np.r_[km[outer], length[run[order][::2]]]
    nodes = np.flatnonzero(~bend & (degree > 0) | np.isin(np.arange(size), kept))
    number = np.zeros(size, dtype=np.int64)
    number[nodes] = np.arange(len(nodes))
    return Contracted(nodes, symmetric(len(nodes), number[low], number[high], weight))


def symmetric(size: int, a: NDArray[np.integer], b: NDArray[np.integer], km: NDArray[np.float64]) -> csr_matrix:
    """Return the matrix of an undirected network; of parallel edges the shortest counts, loops are left out."""
    low, high = np.minimum(a, b), np.maximum(a, b)
    order = np.lexsort((km, high, low))
    low, high, km = low[order], high[order], km[order]
    first = np.r_[True, (low[1:] != low[:-1]) | (high[1:] != high[:-1])] & (low != high) if len(low) else low == high
    low, high, km = low[first], high[first], np.maximum(km[first], 1e-9)
    return coo_matrix((np.r_[km, km], (np.r_[low, high], np.r_[high, low])), shape=(size, size)).tocsr()


def matrix_km(
    size: int, a: NDArray[np.integer], b: NDArray[np.integer], km: NDArray[np.float64],
    origins: NDArray[np.integer], destinations: NDArray[np.integer],
) -> NDArray[np.float64]:
    """Return shortest km (origins, destinations) over undirected edges a - b; inf where nothing leads."""
    small = contracted(size, a, b, km, np.union1d(origins, destinations))
    starts, which = np.unique(origins, return_inverse=True)
    far = dijkstra(small.graph, directed=True, indices=small.positions(starts))
    return np.asarray(far[which][:, small.positions(destinations)])

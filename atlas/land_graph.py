"""The whole rail and road graphs, read when a point has to be joined to them at run time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components, dijkstra

from atlas import geo


@dataclass(frozen=True)
class Joins:
    """How a point meets one mode: the point on the graph, km to it, and exact ways on to nodes of the query graph."""

    xy: tuple[float, float]
    snap_km: float
    targets: NDArray[np.int64]  # graph nodes
    km: NDArray[np.float64]
    lines: list[NDArray[np.float64]]


@dataclass(frozen=True)
class Part:
    """Some countries of a graph: nodes (n,), lon and lat (n, 2), country codes (n,); edges (m, 2), km (m,)."""

    ids: NDArray[np.int64]
    xy: NDArray[np.float64]
    country: NDArray[np.str_]
    ends: NDArray[np.int64]
    km: NDArray[np.float64]


class LandGraph:
    """One mode's stored graph, `layers/network/MODE_graph.npz`; nodes are sorted by country."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @cached_property
    def _data(self) -> dict[str, NDArray[np.generic]]:
        with np.load(self._path, allow_pickle=False) as stored:
            data = {name: stored[name] for name in stored.files}
        data["a"] = np.cumsum(data.pop("a_step"), dtype=np.int64)
        data["b"] = data["a"] + data.pop("b_minus_a")
        return data

    def _country(self, country: str) -> tuple[int, NDArray[np.float64], csr_matrix] | None:
        codes = self._data["countries"].tolist()
        if country not in codes:
            return None
        low, high = (int(n) for n in self._data["first_node"][codes.index(country):][:2])
        if high - low < 2:
            return None
        first, last = np.searchsorted(self._data["a"], [low, high])
        a, b = self._data["a"][first:last] - low, self._data["b"][first:last] - low
        km = np.maximum(self._data["km_100"][first:last].astype(float) / 100.0, 1e-3)
        matrix = coo_matrix((km, (a, b)), shape=(high - low, high - low)).tocsr()
        return low, self._data["xy"][low:high].astype(float) / 1000.0, matrix

    def part(self, countries: Sequence[str]) -> Part:
        """Return the nodes of some countries, in order of their numbers, and the edges between them."""
        codes, first = self._data["countries"].astype("str"), self._data["first_node"].astype(np.int64)
        owner = np.repeat(np.arange(len(codes)), np.diff(first))
        kept = np.isin(codes, list(countries))[owner]
        ids = np.arange(first[0], first[0] + len(owner))[kept]
        ends = np.c_[self._data["a"], self._data["b"]]
        inside = np.isin(ends, ids).all(axis=1)
        return Part(ids, self._data["xy"][ids].astype(float) / 1000.0, codes[owner[kept]], ends[inside],
                    self._data["km_100"][inside].astype(float) / 100.0)

    def usable(self, country: str, known: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return (n, 2) lon, lat of the country's nodes whose piece of network holds a node of `known`."""
        found = self._country(country)
        if found is None:
            return np.empty((0, 2))
        low, xy, matrix = found
        return np.asarray(xy[_leading(low, matrix, known)[1]])

    def join(self, lon: float, lat: float, country: str, known: NDArray[np.int64], reach_km: float) -> Joins | None:
        """Join a point to the nearest piece of its country's network that holds a node of `known` (graph nodes).

        None if there is none within `reach_km`. The ways on are exact distances to those known nodes that are met
        first; the others lie behind them.
        """
        found = self._country(country)
        if found is None:
            return None
        low, xy, matrix = found
        inside, usable = _leading(low, matrix, known)
        if not len(inside):
            return None
        where, far = geo.NearestIndex(xy[usable, 0], xy[usable, 1]).query(lon, lat)
        if far[0] > reach_km:
            return None
        start = int(usable[where[0]])
        distance, before = dijkstra(matrix, directed=False, indices=start, return_predecessors=True)
        stop = np.zeros(len(xy), dtype=bool)
        stop[inside] = True
        targets, km, lines = [], [], []
        for node in inside.tolist():
            if not np.isfinite(distance[node]):
                continue
            run = [node]
            while run[-1] != start:
                run.append(int(before[run[-1]]))
                if stop[run[-1]]:
                    break
            if run[-1] == start:
                targets.append(node + low)
                km.append(float(distance[node]))
                lines.append(xy[run[::-1]])
        point = (float(xy[start, 0]), float(xy[start, 1]))
        return Joins(point, float(far[0]), np.array(targets, dtype=np.int64), np.array(km), lines)


def _leading(
    low: int, matrix: csr_matrix, known: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Return the known nodes of a country, counted from its first, and all nodes connected with one of them."""
    inside = known[(known >= low) & (known < low + matrix.shape[0])] - low
    _, label = connected_components(matrix, directed=False)
    return inside, np.flatnonzero(np.isin(label, label[inside]))

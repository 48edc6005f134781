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
    start: int  # graph node, -1 between two
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
        self._pieces: dict[str, _Piece | None] = {}

    @cached_property
    def _data(self) -> dict[str, NDArray[np.generic]]:
        with np.load(self._path, allow_pickle=False) as stored:
            data = {name: stored[name] for name in stored.files}
        data["a"] = np.cumsum(data.pop("a_step"), dtype=np.int64)
        data["b"] = data["a"] + data.pop("b_minus_a")
        return data

    def _country(self, country: str) -> _Piece | None:
        if country not in self._pieces:
            self._pieces[country] = self._read_country(country)
        return self._pieces[country]

    def _read_country(self, country: str) -> _Piece | None:
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
        label = connected_components(matrix, directed=False)[1]
        return _Piece(low, self._data["xy"][low:high].astype(float) / 1000.0, matrix, label)

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
        piece = self._country(country)
        return np.empty((0, 2)) if piece is None else np.asarray(piece.xy[piece.leading(known)[1]])

    def between(self, country: str, known: NDArray[np.int64], step_km: float) -> NDArray[np.float64]:
        """Return (n, 2) lon, lat of points on the long edges of those nodes, `step_km` apart."""
        piece = self._country(country)
        if piece is None:
            return np.empty((0, 2))
        start, end, km = piece.edges(piece.leading(known)[1])
        count = (km // step_km).astype(np.int64)
        number = np.repeat(np.arange(len(km)), count)
        nth = np.arange(len(number)) - np.repeat(np.cumsum(count) - count, count) + 1
        share = (nth / (count[number] + 1))[:, None]
        return np.asarray(piece.xy[start[number]] * (1 - share) + piece.xy[end[number]] * share)

    def join(
        self, lon: float, lat: float, country: str, known: NDArray[np.int64], reach_km: float, on_edges: bool = False,
        more: NDArray[np.int64] | None = None,
    ) -> Joins | None:
        """Join a point to the nearest piece of its country's network that holds a node of `known` (graph nodes).

        None if there is none within `reach_km`. The ways on are exact distances to those nodes of `known`, and of
        `more`, that are met first; the others lie behind them. With `on_edges` it may meet the network between nodes.
        """
        piece = self._country(country)
        if piece is None:
            return None
        inside, usable = piece.leading(known)
        if more is not None:
            inside = np.union1d(inside, piece.leading(more)[0])
        if not len(inside):
            return None
        if on_edges:
            start, xy, matrix = piece.split(usable, lon, lat, reach_km)
        else:
            start, xy, matrix = piece.nearest(usable, lon, lat), piece.xy, piece.matrix
        point = (float(xy[start, 0]), float(xy[start, 1]))
        far_km = float(geo.NearestIndex(*point).query(lon, lat)[1][0])
        if far_km > reach_km:
            return None
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
                targets.append(node + piece.low)
                km.append(float(distance[node]))
                lines.append(xy[run[::-1]])
        node = start + piece.low if start < len(piece.xy) else -1
        return Joins(point, node, far_km, np.array(targets, dtype=np.int64), np.array(km), lines)


@dataclass(frozen=True)
class _Piece:
    """One country's part of a graph: its first node's number, lon and lat (n, 2), lengths in km, connected pieces."""

    low: int
    xy: NDArray[np.float64]
    matrix: csr_matrix
    label: NDArray[np.int32]

    def leading(self, known: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
        """Return the known nodes of the country, counted from its first, and all nodes connected with one of them."""
        inside = known[(known >= self.low) & (known < self.low + len(self.xy))] - self.low
        return inside, np.flatnonzero(np.isin(self.label, self.label[inside]))

    def nearest(self, usable: NDArray[np.intp], lon: float, lat: float) -> int:
        """Return the nearest of some nodes."""
        here = geo.sphere_xyz(lon, lat)[0]  # a search tree would take longer to grow than one look at all of them
        return int(usable[((geo.sphere_xyz(*self.xy[usable].T) - here) ** 2).sum(axis=1).argmin()])

    def edges(self, usable: NDArray[np.intp]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Return the edges between some nodes: both ends, km."""
        row, col, km = self._links
        kept = np.isin(self.label[row], np.unique(self.label[usable]))
        return row[kept], col[kept], km[kept]

    @cached_property
    def _links(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        links = self.matrix.tocoo()
        return links.row.astype(np.int64), links.col.astype(np.int64), links.data

    def split(
        self, usable: NDArray[np.intp], lon: float, lat: float, reach_km: float
    ) -> tuple[int, NDArray[np.float64], csr_matrix]:
        """Return the nearest point on an edge as a node, with coordinates and lengths that hold it.

        Beyond `reach_km` it may be the nearest node instead.
        """
        row, col, lengths = self._links
        y, margin = self.xy[:, 1], reach_km / 100.0
        close = (np.minimum(y[row], y[col]) < lat + margin) & (np.maximum(y[row], y[col]) > lat - margin)
        close[close] = np.isin(self.label[row[close]], np.unique(self.label[usable]))
        a, b, km = row[close], col[close], lengths[close]
        if not len(a):
            return self.nearest(usable, lon, lat), self.xy, self.matrix
        flat = np.array([np.cos(np.radians(lat)), 1.0])
        start, step = self.xy[a] - (lon, lat), self.xy[b] - self.xy[a]
        for delta in (start, step):
            delta[:, 0] -= 360.0 * np.round(delta[:, 0] / 360.0)
        p, d = start * flat, step * flat
        share = np.clip(-(p * d).sum(axis=1) / np.maximum((d * d).sum(axis=1), 1e-18), 0.0, 1.0)
        i = int(((p + share[:, None] * d) ** 2).sum(axis=1).argmin())
        if share[i] in (0.0, 1.0):
            return int(a[i] if share[i] == 0.0 else b[i]), self.xy, self.matrix
        size = len(self.xy)
        row, col = np.r_[row, size, size], np.r_[col, a[i], b[i]]
        lengths = np.r_[lengths, max(share[i] * km[i], 1e-6), max((1 - share[i]) * km[i], 1e-6)]
        met = self.xy[a[i]] + share[i] * step[i]
        return size, np.vstack([self.xy, met]), coo_matrix((lengths, (row, col)), shape=(size + 1, size + 1)).tocsr()

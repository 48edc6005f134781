"""Closures in, tables of cost, distance and time out: many-to-many at once, paths traced on demand.

A closure is a mask on the edges of one call, a surcharge an extra on them; nothing is ever changed or kept.
`cost_usd_t` is USD per tonne of the commodity's own basis: freight, handling, tolls, border cost and surcharges on the
gross weight, and days x value x carrying rate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra
from shapely.geometry import LineString

from atlas.errors import BadInput, UnknownName, nearest
from atlas.layers import Layers
from atlas.network import Network, load
from atlas.route_finder import Route, find
from atlas.way import AMOUNT, Closures, Leg, Path, amount_usd_t, describe, path_line

__all__ = ["COMMODITIES", "Closures", "Leg", "Path", "Route", "Router", "Table"]

COMMODITIES = ("concentrate", "oxide", "metal", "magnet", "scrap")
KINDS = ("passage", "port", "border")
NOTHING_CLOSED = Closures()
TIE_SHARE = 1e-9  # equal ways are told apart by this part of an edge's cost

Thing = tuple[str, str]


@dataclass(frozen=True)
class _Trees:
    """Shortest-path trees cut down to what the asked ends need; entry i leads to `up[i]` over `edge[i]`."""

    node: NDArray[np.int32]
    up: NDArray[np.int32]
    edge: NDArray[np.int32]
    backward: bool  # grown from destinations


@dataclass(frozen=True)
class Table:
    """Answers for origins x destinations; inf where there is no path. Arrays have shape (origins, destinations).

    `steered_cost` has the tolls of the call, `cost_usd_t` never; both have its surcharges. `uses[(kind, id)]` tells
    which paths pass a thing.
    """

    origins: tuple[str, ...]
    destinations: tuple[str, ...]
    cost_usd_t: NDArray[np.float64]
    distance_km: NDArray[np.float64]
    days: NDArray[np.float64]
    steered_cost: NDArray[np.float64]
    uses: Mapping[Thing, NDArray[np.bool_]]
    _router: Router = field(repr=False)
    _edge_cost: NDArray[np.float64] = field(repr=False)
    _trees: tuple[_Trees, ...] = field(repr=False)
    _tree: NDArray[np.int16] = field(repr=False)
    _end: NDArray[np.int32] = field(repr=False)

    def trace(self, i: int, j: int) -> Path:
        """Return the path from origin i to destination j; raises LookupError if there is none."""
        entry = int(self._end[i, j])
        if entry < 0:
            raise LookupError(f"no path from {self.origins[i]} to {self.destinations[j]}")
        tree = self._trees[self._tree[i, j]]
        nodes, edges = [int(tree.node[entry])], []
        while tree.up[entry] != entry:
            edges.append(int(tree.edge[entry]))
            entry = int(tree.up[entry])
            nodes.append(int(tree.node[entry]))
        if not tree.backward:
            nodes, edges = nodes[::-1], edges[::-1]
        return self._router.describe(nodes, edges, self._edge_cost, (self.origins[i], self.destinations[j]))

    def geometry(self, path: Path) -> LineString:
        """Return a path's line with continuous longitudes."""
        return self._router.geometry(path)


class Router:
    """Finds ways through one network for the layers it was loaded with. Holds no state of any question."""

    def __init__(self, network: Network, layers: Layers) -> None:
        self.network, self.layers = network, layers
        e = network.edges
        both = np.flatnonzero(~e.one_way)
        start, end = np.r_[e.u, e.v[both]].astype(np.int64), np.r_[e.v, e.u[both]].astype(np.int64)
        edge = np.r_[np.arange(len(e)), both]
        order = np.lexsort((edge, end, start))
        self._start, self._stop, self._edge = start[order], end[order], edge[order]
        self._key = self._start * len(network.xy) + self._stop
        self._flip = np.lexsort((self._start, self._stop))  # arcs sorted by their end
        twin = np.r_[False, self._key[1:] == self._key[:-1]]
        self._twins = np.flatnonzero(twin | np.r_[twin[1:], False])
        self._costs = {name: self._edge_cost(name) for name in COMMODITIES}
        spread = (np.arange(len(e), dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)
        self._tie = 1.0 + TIE_SHARE * spread.astype(float) / 2**24
        bits = {name: np.uint64(1) << np.uint64(i) for i, name in enumerate(network.passage_ids)}
        self._bits = bits
        shut = layers.passages.index[~layers.passages["default_open"].astype(bool)]
        self._shut_passages, self._shut_borders = frozenset(map(str, shut)), network.closed_borders

    @classmethod
    def open(cls, layers: Layers) -> Router:
        """Load the network of these layers and return its router."""
        return cls(load(layers), layers)

    def attach(self, points: Mapping[str, tuple[float, float, str | None]]) -> Router:
        """Return a router that also knows these points {id: (lon, lat, ISO3 or None)}."""
        return Router(self.network.with_points(points), self.layers) if points else self

    def by_sea_from(self, ids: Iterable[str]) -> Router:
        """Return a router in which these places also reach ports and sea lanes within 60 km without roads."""
        inland = [name for name in ids if name not in self.network.port_ids]
        return Router(self.network.with_sea_joins(inland), self.layers) if inland else self

    def route(
        self, a: str | tuple[float, float], b: str | tuple[float, float], *, commodity: str = "magnet",
        modes: Sequence[str] = ("sea", "rail", "road"), close: Iterable[str] = (), open: Iterable[str] = (),
        alternatives: int = 1, surcharges: Mapping[str, float] | Iterable[str] = (),
    ) -> Route | list[Route]:
        """Return the best route from a to b, or a list of them if `alternatives` > 1; see `route_finder.find`."""
        routes = find(self, a, b, commodity=commodity, modes=modes, close=close, open=open, alternatives=alternatives,
                      surcharges=surcharges)
        return routes if alternatives > 1 else routes[0]

    def day_cost(self, commodity: str) -> float:
        """Return what a day under way costs, in USD per tonne: value x carrying rate."""
        c = self.layers.constants
        return float(c[f"value_usd_t_{commodity}"]) * float(c["carrying_rate_per_year"]) / 365.0

    def _edge_cost(self, commodity: str) -> NDArray[np.float64]:
        e, gross = self.network.edges, float(self.layers.constants[f"gross_t_per_t_{commodity}"])
        return np.asarray(e.usd_t * gross + e.days * self.day_cost(commodity))

    def edge_cost(self, commodity: str, surcharges: Mapping[str, float] | None = None) -> NDArray[np.float64]:
        """Return USD per tonne of every edge of the network.

        `surcharges` (USD per gross tonne by passage) fall on each edge that crosses the passage's gate. Raises
        UnknownName, BadInput for an amount that is none.
        """
        if commodity not in self._costs:
            raise UnknownName("commodity", commodity, nearest(commodity, COMMODITIES) or COMMODITIES)
        cost = self._costs[commodity]
        gross = float(self.layers.constants[f"gross_t_per_t_{commodity}"])
        for name, usd_t in sorted((surcharges or {}).items()):
            amount = amount_usd_t(usd_t)
            if amount is None:
                raise BadInput(f"surcharge of {name}: {AMOUNT}, found {usd_t!r}")
            cost = cost + self.passing("passage", name) * (amount * gross)
        return cost

    def passing(self, kind: str, name: str) -> NDArray[np.bool_]:
        """Tell which edges pass a passage, port or border; raises UnknownName."""
        e, n = self.network.edges, self.network
        if kind == "passage" and name in self._bits:
            return np.asarray(e.passages & self._bits[name]).astype(bool)
        known: Mapping[str, tuple[str, ...]] = {"passage": n.passage_ids, "port": n.port_ids, "border": n.border_ids}
        if kind not in known:
            raise UnknownName("kind", kind, KINDS)
        if name not in known[kind]:
            raise UnknownName(kind, name, nearest(name, known[kind]))
        column = e.port if kind == "port" else e.border
        return np.asarray(column == known[kind].index(name))

    def blocked(self, closures: Closures, avoid: frozenset[str] = frozenset()) -> NDArray[np.bool_]:
        """Tell which edges are shut by closures, by default, or because they lie in a country to avoid."""
        e, n = self.network.edges, self.network
        bits = np.uint64(0)
        for name in closures.passages | (self._shut_passages - closures.opened):
            bits |= self._bits.get(name, np.uint64(0))
        shut = (e.passages & bits) != 0
        if closures.ports:
            shut |= np.isin(e.port, [i for i, p in enumerate(n.port_ids) if p in closures.ports])
        borders = closures.borders | (self._shut_borders - closures.opened)
        shut |= np.isin(e.border, [i for i, b in enumerate(n.border_ids) if b in borders])
        if avoid:
            codes = [i for i, c in enumerate(n.country_ids) if c in avoid]
            shut |= np.isin(e.country, codes) | np.isin(e.other_country, codes)
        return np.asarray(shut)

    def table(
        self, origins: Sequence[str], destinations: Sequence[str], commodity: str, closures: Closures = NOTHING_CLOSED,
        tolls: Mapping[Thing, float] | None = None, watch: Sequence[Thing] = (),
        avoid_countries: frozenset[str] = frozenset(), surcharges: Mapping[str, float] | None = None,
    ) -> Table:
        """Return the cheapest ways from all origins to all destinations (ids of facilities, markets, ports, points).

        `tolls` (USD/t by (kind, id)) steer the choice only; `surcharges` (USD per gross tonne by passage) steer it and
        are paid at each crossing. No lane uses land or ports of `avoid_countries`, except of a country it starts or
        ends in. Raises UnknownName for an unknown id, kind or commodity, BadInput for a wrong amount.
        """
        cost = self.edge_cost(commodity, surcharges)
        self.require([*origins, *destinations])
        steered = cost.copy()
        for (kind, name), usd in (tolls or {}).items():
            steered += self.passing(kind, name) * usd
        marks = [self.passing(kind, name) for kind, name in watch]
        shape = (len(origins), len(destinations))
        values = np.full((4, *shape), np.inf)
        uses = np.zeros((len(marks), *shape), dtype=bool)
        tree_of, end_of = np.zeros(shape, dtype=np.int16), np.full(shape, -1, dtype=np.int32)
        trees: list[_Trees] = []
        places, avoid = self.network.places, frozenset(avoid_countries)
        rows = _groups([places[o].country for o in origins], avoid)
        columns = _groups([places[d].country for d in destinations], avoid)
        for row_country, row in rows.items():
            for column_country, column in columns.items():
                blocked = self.blocked(closures, avoid - {row_country, column_country})
                leave = np.array([places[origins[i]].leave for i in row])
                arrive = np.array([places[destinations[j]].arrive for j in column])
                tree, entry = self._grow(leave, arrive, steered, blocked)
                cells = np.ix_(row, column)
                found = entry >= 0
                sums, passed = _sums(tree, [steered, cost, self.network.edges.km, self.network.edges.days], marks)
                for k in range(4):
                    values[k][cells] = np.where(found, sums[k][entry], np.inf)
                for k in range(len(marks)):
                    uses[k][cells] = np.where(found, passed[k][entry], False)
                tree_of[cells], end_of[cells] = len(trees), entry
                trees.append(tree)
        return Table(
            tuple(origins), tuple(destinations), values[1], values[2], values[3], values[0],
            {thing: uses[k] for k, thing in enumerate(watch)}, self, cost, tuple(trees), tree_of, end_of,
        )

    def require(self, ids: Sequence[str]) -> None:
        """Raise BadInput (UnknownName for one) if an id is no place of this network."""
        unknown = sorted({str(i) for i in ids if i not in self.network.places})
        errors = [UnknownName("place", name, nearest(name, self.network.places)) for name in unknown[:20]]
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise BadInput([problem for error in errors for problem in error.problems])

    def matrix(
        self, weight: NDArray[np.float64], blocked: NDArray[np.bool_], backward: bool = False
    ) -> tuple[csr_matrix, NDArray[np.int64]]:
        """Return (weights of the open arcs, their numbers); arcs from end to start with `backward`."""
        size = len(self.network.xy)
        value = (np.maximum(weight, 1e-9) * self._tie)[self._edge]
        keep = ~blocked[self._edge]
        t = self._twins[keep[self._twins]]
        if len(t):  # of parallel arcs only the cheapest open one
            order = np.lexsort((value[t], self._key[t]))
            later = np.r_[False, self._key[t][order][1:] == self._key[t][order][:-1]]
            keep[t[order][later]] = False
        if backward:
            arcs = self._flip[keep[self._flip]]
            head, tail = self._stop[arcs], self._start[arcs]
        else:
            arcs = np.flatnonzero(keep)
            head, tail = self._start[arcs], self._stop[arcs]
        pointer = np.r_[0, np.cumsum(np.bincount(head, minlength=size))]
        return csr_matrix((value[arcs], tail, pointer), shape=(size, size)), np.flatnonzero(keep)

    def _grow(
        self, leave: NDArray[np.int64], arrive: NDArray[np.int64], weight: NDArray[np.float64],
        blocked: NDArray[np.bool_],
    ) -> tuple[_Trees, NDArray[np.int32]]:
        """Return trees and the entry of every pair (-1: no path), grown from the side with fewer nodes."""
        backward = len(np.unique(arrive)) < len(np.unique(leave))
        matrix, open_arcs = self.matrix(weight, blocked, backward)
        roots, tips = (arrive, leave) if backward else (leave, arrive)
        root, which = np.unique(roots, return_inverse=True)
        _, before = dijkstra(matrix, directed=True, indices=root, return_predecessors=True)
        tree, position = self._cut(before, root, np.unique(tips), open_arcs, backward)
        entry = position.reshape(before.shape)[which][:, tips]
        return tree, entry.T if backward else entry

    def _cut(
        self, before: NDArray[np.int32], root: NDArray[np.int64], tips: NDArray[np.int64], open_arcs: NDArray[np.int64],
        backward: bool,
    ) -> tuple[_Trees, NDArray[np.int32]]:
        """Keep only the tree entries that lie between the roots and the tips."""
        count, size = before.shape
        flat = before.ravel()
        needed = np.zeros(count * size, dtype=bool)
        base = np.arange(count, dtype=np.int64)[:, None] * size
        ends = np.concatenate([(base + tips[None, :]).ravel(), base[:, 0] + root])
        is_root, mark = np.zeros(count * size, dtype=bool), np.empty(count * size, dtype=np.int32)
        is_root[base[:, 0] + root] = True
        front = ends[(flat[ends] >= 0) | is_root[ends]]
        while len(front):
            needed[front] = True
            front = front[~is_root[front]]
            front = front - front % size + flat[front]
            front = front[~needed[front]]
            mark[front] = np.arange(len(front), dtype=np.int32)  # each node once: the last to write stays
            front = front[mark[front] == np.arange(len(front))]
        kept = np.flatnonzero(needed)
        position = np.full(count * size, -1, dtype=np.int32)
        position[kept] = np.arange(len(kept), dtype=np.int32)
        rooted = is_root[kept]
        node, above = kept % size, flat[kept].astype(np.int64)
        up = np.where(rooted, np.arange(len(kept)), position[np.where(rooted, kept, kept - node + above)])
        key = np.where(backward, node * size + above, above * size + node)[~rooted]
        edge = np.full(len(kept), -1, dtype=np.int32)
        edge[~rooted] = self._edge[open_arcs[np.searchsorted(self._key[open_arcs], key)]]
        return _Trees(node.astype(np.int32), up.astype(np.int32), edge, backward), position

    def edges_between(self, nodes: Sequence[int], open_arcs: NDArray[np.int64]) -> list[int]:
        """Return the edge of each step between nodes, among the arcs that `matrix` kept."""
        key = np.array(nodes[:-1], dtype=np.int64) * len(self.network.xy) + np.array(nodes[1:], dtype=np.int64)
        return [int(i) for i in self._edge[open_arcs[np.searchsorted(self._key[open_arcs], key)]]]

    def describe(
        self, nodes: list[int], edges: list[int], cost: NDArray[np.float64], names: tuple[str, str]
    ) -> Path:
        """Return a Path for nodes and edges in travel order; `cost` is USD/t of every edge of the network."""
        return describe(self.network, nodes, edges, cost[edges], names)

    def geometry(self, path: Path) -> LineString:
        """Return a path's line with continuous longitudes (they may pass 180)."""
        return path_line(self.network, path)


def _groups(countries: Sequence[str], avoid: frozenset[str]) -> dict[str, NDArray[np.int64]]:
    """Return positions by country where it is one to avoid, all others under the empty name."""
    names = np.array([c if c in avoid else "" for c in countries], dtype=object)
    return {str(name): np.flatnonzero(names == name) for name in sorted(set(names))}


def _sums(
    tree: _Trees, columns: Sequence[NDArray[np.float64]], marks: Sequence[NDArray[np.bool_]]
) -> tuple[list[NDArray[np.float64]], list[NDArray[np.bool_]]]:
    """Add edge columns, and join marks, along the way from each entry to its root (pointer doubling)."""
    inner = tree.edge >= 0
    sums = [np.where(inner, column[tree.edge], 0.0) for column in columns]
    passed = [inner & mark[tree.edge] for mark in marks]
    up = tree.up.copy()
    while True:
        for total in sums:
            total += total[up]
        for mark in passed:
            mark |= mark[up]
        further = up[up]
        if np.array_equal(further, up):
            return sums, passed
        up = further

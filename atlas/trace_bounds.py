"""The least and the most of a place's material that could be of an origin, whatever is mixed with what.

Mixing in proportion is one way to tell whose material is in a magnet. Plants may also keep lots apart and sell the
Chinese ones to some buyers and the rest to others. So label the tonnes of an origin: f on every arc, 0 <= f <= the
arc's tonnes. What leaves an origin's plants is labelled whole, what leaves others of the stage not at all. At every
plant between, labels lose in the process as the rest does: sum of f out = yield x sum of f in, with yield = tonnes out
/ tonnes in, oxide left over, metal put into stock and swarf counting as outputs. The least and the most f that enters
the place are two small linear programmes. Proportional mixing satisfies all of it, so its share lies between them.
Elements are told apart, and lots of each are free on their own.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from atlas import solver
from atlas.trace_arcs import Network, place
from atlas.trace_shares import Material, Shares
from atlas.trace_target import Target

# What the solver's tolerance may make of 0 or 1.
EXACT = 1e-9
ABOVE, BELOW, DEPENDS = "above whatever the mixing", "below whatever the mixing", "cannot be told: depends on mixing"


@dataclass(frozen=True)
class Bounds:
    """Least and most share of an origin beside the proportional one."""

    least: float
    share: float
    most: float

    def verdict(self, threshold: float) -> str:
        """Say on which side of a threshold the share lies."""
        if self.least > threshold:
            return ABOVE
        return BELOW if self.most < threshold else DEPENDS


class Mixing:
    """All ways to mix between the nodes where a stage ends (`fixed`) and a place (`target`), both (n,) bool.

    `share_range` asks for an origin. Nodes upstream of the place are free, up to the first fixed ones.
    """

    def __init__(self, net: Network, target: np.ndarray, fixed: np.ndarray) -> None:
        n = len(net.nodes)
        free = _upstream(net, target, fixed)
        # Heads that are only the place itself need no balance: one node stands for all of them.
        kept = target[net.head] | free[net.head]
        labelled = kept & fixed[net.tail]
        self._origin, self._origin_t = net.tail[labelled], net.t[labelled]
        self._origin_head = net.head[labelled]
        self._enters = target[net.head[labelled]] & ~target[net.tail[labelled]]
        self.taken_t = float(net.t[net.entering(target)].sum())
        inside = kept & ~labelled
        sink = np.where(free[net.head], net.head, n)[inside]
        code, at = np.unique(net.tail[inside] * (n + 1) + sink, return_inverse=True)
        self._tail, self._head = code // (n + 1), code % (n + 1)
        t = np.bincount(at, net.t[inside], minlength=len(code))
        # A free head may be the place too, as a magnet plant that takes back its own swarf is.
        known = np.append(target, True)
        self._counts = known[self._head] & ~known[self._tail]
        nodes = np.flatnonzero(free)
        self._row = np.full(n + 1, -1)
        self._row[nodes] = np.arange(len(nodes))
        rate = net.out_t[nodes] / np.where(net.into_t[nodes] > 0, net.into_t[nodes], 1.0)
        elsewhere = net.out_t[nodes] - np.bincount(self._row[self._tail], t, minlength=len(nodes))
        self._rate = rate
        columns = np.arange(len(code))
        into = self._row[self._head] >= 0
        rows = np.concatenate([self._row[self._tail], self._row[self._head][into], np.arange(len(nodes))])
        cols = np.concatenate([columns, columns[into], len(code) + np.arange(len(nodes))])
        values = np.concatenate([np.ones(len(code)), -rate[self._row[self._head][into]], np.ones(len(nodes))])
        self._matrix = sparse.csc_matrix((values, (rows, cols)), shape=(len(nodes), len(code) + len(nodes)))
        self._upper = np.concatenate([t, np.maximum(elsewhere, 0.0)])

    def share_range(self, origin: np.ndarray) -> tuple[float, float]:
        """Return the least and most share of the place that can be of the nodes in `origin` (n,) bool."""
        if self.taken_t <= 0:
            return 0.0, 0.0
        mine = origin[self._origin]
        if not mine.any():
            return 0.0, 0.0
        if mine.all():
            return 1.0, 1.0
        direct = float(self._origin_t[mine & self._enters].sum())
        row = self._row[self._origin_head]
        held = mine & (row >= 0)
        given = np.bincount(row[held], self._origin_t[held], minlength=len(self._rate)) * self._rate
        if not given.any():
            return direct / self.taken_t, direct / self.taken_t
        ends = []
        for sign in (1.0, -1.0):
            cost = np.zeros(len(self._upper))
            cost[: len(self._counts)] = sign * self._counts
            lower = np.zeros(len(cost))
            lp = solver.LinearProgramme(cost, lower, self._upper, self._matrix, given, given)
            ends.append((direct + sign * solver.solve(lp).objective) / self.taken_t)
        return _exact(ends[0]), _exact(ends[1])


def _exact(share: float) -> float:
    """Return a share within 0 and 1, and 0 or 1 where the solver means it."""
    if share < EXACT:
        return 0.0
    return 1.0 if share > 1 - EXACT else share


def _upstream(net: Network, target: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """Return the free nodes from which the target can be reached (n,) bool."""
    from_head = sparse.csr_matrix((np.ones(len(net.t)), (net.head, net.tail)), shape=(len(net.nodes),) * 2)
    seen = np.zeros(len(net.nodes), dtype=bool)
    front = target.copy()
    while front.any():
        reached = (from_head.T @ front.astype(float) > 0) & ~fixed & ~seen
        seen |= reached
        front = reached
    return seen


class Finder:
    """Finds the bounds of origins for a place in one state; programmes are made once a stage and element."""

    def __init__(self, material: Material, target: Target, elements: tuple[str, ...]) -> None:
        self.material, self.target = material, target
        self.elements = elements
        self._made: dict[tuple[str, str], tuple[Network, np.ndarray, Mixing]] = {}

    def countries(self, stage: str, shares: Shares) -> dict[str, Bounds]:
        """Return the bounds of every country that has a share; scrap and stocks are no country's."""
        found = {c: t for c, t in shares.by_country.items() if c in self._countries}
        return {c: self.origin(stage, frozenset({c}), t, collected=False) for c, t in found.items()}

    def origin(self, stage: str, countries: frozenset[str], share: float, *, collected: bool) -> Bounds:
        """Return the bounds of the plants of some countries; `collected` counts the scrap and stocks there too."""
        kinds = ("market", "stock") if collected else ()

        def chosen(node: str) -> bool:
            own = self.material.kind(node) not in ("market", "stock") or self.material.kind(node) in kinds
            return own and self.material.country.get(place(node), "") in countries

        return self._bounds(stage, chosen, share)

    def facility(self, stage: str, unit: str, share: float) -> Bounds:
        """Return the bounds of one plant, stock or market that collects scrap."""
        return self._bounds(stage, lambda node: place(node) == unit, share)

    def recycled(self, stage: str, share: float) -> Bounds:
        """Return the bounds of end-of-life scrap."""
        return self._bounds(stage, lambda node: self.material.kind(node) == "market", share)

    def has(self, stage: str, unit: str) -> bool:
        """Whether a plant decides a stage, or something is scrap or stock, so that it can be an origin there."""
        for e in self.elements:
            net = self.material.network(e)
            own = np.array([self.material.kind(n) in ("market", "stock") for n in net.nodes], dtype=bool)
            if (net.of(frozenset({unit})) & (own | self.material.stage_nodes(net, stage))).any():
                return True
        return False

    @property
    def _countries(self) -> frozenset[str]:
        return frozenset(self.material.country.values())

    def _at(self, stage: str, element: str) -> tuple[Network, np.ndarray, Mixing]:
        if (stage, element) not in self._made:
            net = self.material.network(element)
            fixed = self.material.stage_nodes(net, stage) | net.sources
            self._made[stage, element] = net, fixed, Mixing(net, net.of(self.target.ids), fixed)
        return self._made[stage, element]

    def _bounds(self, stage: str, chosen: Callable[[str], bool], share: float) -> Bounds:
        if share <= 0:
            return Bounds(0.0, 0.0, 0.0)  # no way leads from there to the place, so nothing can be of it
        least = most = whole = 0.0
        for e in self.elements:
            net, fixed, mixing = self._at(stage, e)
            if mixing.taken_t <= 0:
                continue
            origin = fixed & np.array([chosen(n) for n in net.nodes], dtype=bool)
            low, high = mixing.share_range(origin)
            least, most = least + low * mixing.taken_t, most + high * mixing.taken_t
            whole += mixing.taken_t
        return Bounds(min(least / whole, share), min(share, 1.0), min(max(most / whole, share), 1.0))

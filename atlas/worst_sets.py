"""The worst sets of a size, exactly: best-first over groups, bounded by what losing the whole group would cost.

V(S) is the optimum of the programme with all of S lost; it only rises with S. So V of everything that a branch may
still lose bounds each of its sets from above. A branch is a few things lost for sure and groups of which some more
are to be lost; the one with the highest bound is looked at first, and split. When it has nothing left to choose, its
bound is its value, no other branch can beat it, and it is the worst set. Going on gives the second worst, and so on.

Many a V needs no solve: an optimum that uses nothing of T is still one when T is lost too, and between two sets with
the same V all have it.
"""

import heapq
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field

# Two values nearer than this, relative to the larger, count as the same.
SAME = 1e-9


@dataclass(frozen=True)
class Value:
    """V of a set, and which of all candidates its optimum uses (numbers)."""

    v: float
    used: frozenset[int]


@dataclass(frozen=True)
class Ranked:
    """A set of candidates (numbers, sorted) and its V; `proved` that no other set beats those not above it."""

    members: tuple[int, ...]
    v: float
    proved: bool


# Some of a group: members by importance, and how many of them are lost.
Group = tuple[tuple[int, ...], int]


@dataclass(order=True)
class _Branch:
    """Some things lost for sure and groups to choose from; ordered so that the highest bound comes first."""

    minus_bound: float
    choices: int
    number: int
    lost: tuple[int, ...] = field(compare=False)
    groups: tuple[Group, ...] = field(compare=False)
    known: bool = field(compare=False, default=False)

    @property
    def whole(self) -> frozenset[int]:
        return frozenset(self.lost).union(*(g for g, _ in self.groups))


class Solved:
    """Values known so far, and those that follow from them without a solve."""

    def __init__(self) -> None:
        self.values: dict[frozenset[int], Value] = {}
        self._bits: list[tuple[int, int, Value]] = []

    def add(self, s: frozenset[int], value: Value) -> None:
        """Take in a solved set."""
        if s not in self.values:
            self.values[s] = value
            self._bits.append((_mask(s), _mask(value.used), value))

    def find(self, s: frozenset[int]) -> Value | None:
        """Return the value of a set where it is known or follows, else None."""
        if s in self.values:
            return self.values[s]
        m = _mask(s)
        above: Value | None = None
        below: Value | None = None
        for bits, used, value in self._bits:
            if bits & ~m == 0:
                if used & m == 0:
                    return value
                if below is None or value.v > below.v:
                    below = value
            elif m & ~bits == 0 and (above is None or value.v < above.v):
                above = value
        if above and below and above.v - below.v <= SAME * max(abs(above.v), 1.0):
            return Value(below.v, below.used | above.used)
        return None


class Search:
    """The worst sets of `size` among candidates 0 to n - 1.

    `ask` returns a set whose value is wanted, None when there is none to ask for now; `tell` takes a value. `worst`
    lists the sets found, worst first. `alike` says of which pairs only one can be lost (a plant and its whole stage);
    `sorts` of what sort each candidate is: groups are split by sort first, since things that replace each other cost
    less when all are lost than as many things of which each stops a chain of its own.
    """

    def __init__(
        self,
        n: int,
        size: int,
        alike: Iterable[tuple[int, int]] = (),
        wanted: int = 1,
        enough: float | None = None,
        sorts: Sequence[Hashable] = (),
    ) -> None:
        self.n, self.size, self.wanted, self.enough = n, size, wanted, enough
        self._sort = list(sorts) or [0] * n
        self.solved = Solved()
        self.worst: list[Ranked] = []
        self.solves = 0
        self._alike = {frozenset(p) for p in alike}
        self._score = [0.0] * n
        self._heap: list[_Branch] = []
        self._waiting: dict[frozenset[int], list[_Branch]] = {}
        self._number = 0
        self._ahead: list[frozenset[int]] = [frozenset(), *(frozenset({i}) for i in range(n)), frozenset(range(n))]
        self._asked: set[frozenset[int]] = set()
        self._started = False
        self._leaves: dict[tuple[int, ...], float] = {}

    @property
    def bound(self) -> float:
        """What no set that is not yet listed can exceed."""
        waiting = [-b.minus_bound for branches in self._waiting.values() for b in branches]
        heap = [-self._heap[0].minus_bound] if self._heap else []
        everything = self.solved.values.get(frozenset(range(self.n)))
        if not self._started:
            return everything.v if everything else float("inf")
        return max([*heap, *waiting], default=-float("inf"))

    @property
    def best(self) -> Ranked | None:
        """The worst set found so far, proved or not."""
        if self.worst:
            return self.worst[0]
        if not self._leaves:
            return None
        members = max(self._leaves, key=lambda m: (self._leaves[m], m))
        return Ranked(members, self._leaves[members], False)

    @property
    def gap(self) -> float:
        """How far the worst set may be off, as a part of its rise over nothing lost; 0 where it is proved."""
        best = self.best
        nothing = self.solved.values.get(frozenset())
        if best is None or nothing is None:
            return float("inf")
        if self.worst:
            return 0.0
        return max(self.bound - best.v, 0.0) / max(best.v - nothing.v, 1e-9)

    @property
    def finished(self) -> bool:
        """Whether all that is wanted is found, or there is nothing more."""
        if len(self.worst) >= self.wanted or (self._started and not self._heap and not self._waiting):
            return True
        if self.enough is None:
            return False
        best = self.best
        return bool((best and best.v >= self.enough) or (self._started and self.bound < self.enough))

    def ranked(self, top: int) -> list[Ranked]:
        """Return the sets listed, and after them others whose value is known, worst first; at most `top`."""
        listed = {r.members for r in self.worst}
        rest = [Ranked(m, v, False) for m, v in self._leaves.items() if m not in listed]
        rest.sort(key=lambda r: (-r.v, r.members))
        return [*self.worst, *rest][:top]

    def ask(self) -> frozenset[int] | None:
        """Return a set to be solved, None when nothing can be asked before more is told (or all is done)."""
        while self._ahead:
            s = self._ahead.pop(0)
            if s not in self._asked and self.solved.find(s) is None:
                self._asked.add(s)
                return s
        if not self._started:
            first = (frozenset(), *(frozenset({i}) for i in range(self.n)))
            if any(self.solved.find(s) is None for s in first):
                return None
            self._start()
        while not self.finished and self._heap:
            branch = heapq.heappop(self._heap)
            if branch.known:
                if not branch.groups and -branch.minus_bound < self._waiting_bound() - self._slack():
                    heapq.heappush(self._heap, branch)  # what is being solved may still beat it
                    return None
                self._go_on(branch)
                continue
            s = branch.whole
            value = self.solved.find(s)
            if value is not None:
                self._learn(branch, value)
                continue
            self._waiting.setdefault(s, []).append(branch)
            if s not in self._asked:
                self._asked.add(s)
                return s
        return None

    def tell(self, s: frozenset[int], value: Value) -> None:
        """Take in the value of a set that was asked for."""
        self.solves += 1
        self.remember(s, value)
        self._asked.discard(s)

    def remember(self, s: frozenset[int], value: Value) -> None:
        """Take in a value from before."""
        self.solved.add(s, value)
        members = tuple(sorted(s))
        if len(s) == self.size and not self._nested(members):
            self._leaves[members] = value.v
        for branch in self._waiting.pop(s, []):
            self._learn(branch, value)

    def _start(self) -> None:
        self._started = True
        nothing = self.solved.find(frozenset())
        assert nothing is not None
        for i in range(self.n):
            single = self.solved.find(frozenset({i}))
            assert single is not None
            self._score[i] = max(single.v - nothing.v, 0.0)
        order = tuple(sorted(range(self.n), key=lambda i: (-self._score[i], i)))
        self._ahead.append(self._first_guess(order))
        if self.size <= self.n:
            self._push((), ((order, self.size),), float("inf"))

    def _first_guess(self, order: Sequence[int]) -> frozenset[int]:
        """Return the things that cost most alone, one of each sort first: a set to begin with."""
        chosen: list[int] = []
        for fresh in (True, False):
            for i in order:
                new = self._sort[i] not in {self._sort[j] for j in chosen}
                apart = all(frozenset((i, j)) not in self._alike for j in chosen)
                if i not in chosen and len(chosen) < self.size and apart and new >= fresh:
                    chosen.append(i)
        return frozenset(chosen)

    def _waiting_bound(self) -> float:
        return max((-b.minus_bound for branches in self._waiting.values() for b in branches), default=-float("inf"))

    def _slack(self) -> float:
        return SAME * max(abs(self.worst[0].v) if self.worst else 1.0, 1.0)

    def _nested(self, members: tuple[int, ...]) -> bool:
        return any(frozenset((a, b)) in self._alike for k, a in enumerate(members) for b in members[k + 1 :])

    def _push(self, lost: tuple[int, ...], groups: tuple[Group, ...], bound: float) -> None:
        """Put a branch on the heap; groups of which all are lost are lost for sure."""
        sure = [i for g, r in groups if len(g) == r for i in g]
        lost = tuple(sorted((*lost, *sure)))
        if self._nested(lost):
            return  # one goes with the other: the same as a smaller set
        open_groups = tuple((g, r) for g, r in groups if 0 < r < len(g))
        self._number += 1
        choices = sum(r for _, r in open_groups)
        heapq.heappush(self._heap, _Branch(-bound, choices, self._number, lost, open_groups))

    def _learn(self, branch: _Branch, value: Value) -> None:
        """Put a branch back with the value of all that it may lose as its bound."""
        if not branch.groups:
            self._leaves[branch.lost] = value.v
        branch.minus_bound, branch.known = -min(value.v, -branch.minus_bound), True
        heapq.heappush(self._heap, branch)

    def _go_on(self, branch: _Branch) -> None:
        """List a branch that has nothing left to choose; split another at the group that weighs most."""
        bound = -branch.minus_bound
        if not branch.groups:
            self.worst.append(Ranked(branch.lost, bound, True))
            return
        if branch.choices == 1:
            branch = self._known_apart(branch)
            if not branch.groups:
                return
        weight = self._weights(branch.lost)
        at = max(range(len(branch.groups)), key=lambda k: sum(weight(i) for i in branch.groups[k][0]))
        members, r = branch.groups[at]
        first, second = self._split(members, weight)
        rest = branch.groups[:at] + branch.groups[at + 1 :]
        for part in range(max(0, r - len(second)), min(r, len(first)) + 1):
            more = tuple(g for g in ((first, part), (second, r - part)) if g[1])
            self._push(branch.lost, rest + more, bound)

    def _known_apart(self, branch: _Branch) -> _Branch:
        """Put sets of a branch with one choice left whose value is known on the heap; return it with the others."""
        [(members, _)] = branch.groups
        unknown = []
        for i in members:
            value = self.solved.find(frozenset((*branch.lost, i)))
            if value is None:
                unknown.append(i)
            else:
                self._push(branch.lost, (((i,), 1),), value.v)
        if len(unknown) == len(members):
            return branch
        if len(unknown) == 1:
            self._push(branch.lost, ((tuple(unknown), 1),), -branch.minus_bound)
        groups = ((tuple(unknown), 1),) if len(unknown) > 1 else ()
        return _Branch(branch.minus_bound, 1, branch.number, branch.lost, groups, True)

    def _split(
        self, members: tuple[int, ...], weight: Callable[[int], float]
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Split a group: what weighs nothing off, then the heaviest sort, then the heavier half of one sort."""
        members = tuple(sorted(members, key=lambda i: (-weight(i), i)))
        heavy = tuple(i for i in members if weight(i) > 0)
        if 0 < len(heavy) < len(members):
            return heavy, tuple(i for i in members if weight(i) <= 0)
        total: dict[Hashable, float] = {}
        for i in members:
            total[self._sort[i]] = total.get(self._sort[i], 0.0) + weight(i)
        if len(total) > 1:
            chosen = max(total, key=lambda k: (total[k], str(k)))
            return (
                tuple(i for i in members if self._sort[i] == chosen),
                tuple(i for i in members if self._sort[i] != chosen),
            )
        cut = _half([weight(i) for i in members])
        return members[:cut], members[cut:]

    def _weights(self, lost: tuple[int, ...]) -> Callable[[int], float]:
        """Return what each candidate is worth once `lost` is gone: nothing where the optimum does not use it."""
        if not lost:
            return lambda i: self._score[i]
        base = self.solved.find(frozenset(lost))
        if base is None:
            return lambda i: self._score[i]

        def worth(i: int) -> float:
            if i not in base.used:
                return 0.0
            more = self.solved.values.get(frozenset((*lost, i)))
            return max(more.v - base.v, 0.0) if more else self._score[i]

        return worth


def _half(weights: Sequence[float]) -> int:
    """Return how many of the first members hold half of the weight; at least one, and not all."""
    total, found = sum(weights), 0.0
    for k, w in enumerate(weights[:-1]):
        found += w
        if total > 0 and found >= total / 2:
            return k + 1
    return max(1, len(weights) // 2) if total <= 0 else max(1, len(weights) - 1)


def _mask(s: Iterable[int]) -> int:
    made = 0
    for i in s:
        made |= 1 << i
    return made

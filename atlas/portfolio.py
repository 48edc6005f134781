"""The best portfolio of projects under a budget, with a proof: cuts from solved choices, and a master over yes and no.

V, the optimum of the programme, is convex in what is built, so every solved choice z gives a plane that lies nowhere
above it: V(w) >= V(z) + sum of price x (w - z). The least over all affordable w of the highest plane is a bound that
no portfolio beats. The master finds it and the portfolio where it lies; that is solved and gives the next plane, until
bound and best meet.

A mine without a separator is worth nothing, so at a bare choice the duals say little of what comes in a chain. Beside
each choice the master proposes, a point a little way inside is solved too, where some of everything is there: its plane
holds as well, and says what a chain is worth.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from atlas.errors import SolverFailure
from atlas.projects import Built, Yard

Progress = Callable[[int, int, str], None]
# Best and bound have met when they differ by this part of what all projects together take off the objective.
GAP = 0.002
MOST_SOLVES = 80
IDLE_T = 1e-6
MUSD = 1e6
# The inner point: so much of the proposed choice, the rest of a world where this part of every project is there.
TOWARDS, CORE_SHARE = 0.8, 0.3


@dataclass(frozen=True)
class Portfolio:
    """What to build for a budget: `chosen` ids, what that comes to, and how sure it is that nothing better exists.

    `bound_usd` is what no affordable choice goes below; `gap_share` the distance of best and bound, as a part of what
    all projects together would take off the objective; `proved` whether that is within GAP. `solves` counts programmes
    solved for it.
    """

    budget_usd: float
    chosen: tuple[str, ...]
    capex_usd: float
    best: Built
    bound_usd: float
    gap_share: float
    solves: int

    @property
    def proved(self) -> bool:
        """Whether the best is proved to be so, within GAP."""
        return self.gap_share <= GAP


def best_portfolio(
    yard: Yard,
    capex_usd: Mapping[str, float],
    budget_usd: float,
    known: Iterable[Built] = (),
    *,
    gap: float = GAP,
    most_solves: int = MOST_SOLVES,
    progress: Progress | None = None,
) -> Portfolio:
    """Return the affordable choice with the least objective, or the best found in `most_solves` and its bound.

    `capex_usd` by project; `known` are choices solved before, whose planes are used. Money that is not needed is not
    spent: projects that stand idle are left out, and the dearest of the others as long as best and bound still meet.
    """
    ids, start = yard.projects, yard.solves
    cost = np.array([capex_usd[p] for p in ids]) / MUSD
    none, everything = yard.build(()), yard.build(ids)
    whole = max(none.objective_usd - everything.objective_usd, 1.0)
    planes = Planes(ids, none.objective_usd)
    best, bound = none, everything.objective_usd
    for b in (none, everything, *known):
        planes.add(b)
        if _affordable(b, capex_usd, budget_usd) and b.objective_usd < best.objective_usd:
            best = b
    planes.add(yard.build(dict.fromkeys(ids, CORE_SHARE)))
    while (best.objective_usd - bound) / whole > gap / 2 and yard.solves - start < most_solves:
        chosen, lowest = planes.lowest(cost, budget_usd / MUSD)
        bound = max(bound, lowest)
        if (best.objective_usd - bound) / whole <= gap / 2:
            break
        before = yard.solves
        inside = {p: TOWARDS * (p in chosen) + (1 - TOWARDS) * CORE_SHARE for p in ids}
        for b in (yard.build(chosen), yard.build(inside)):
            planes.add(b)
            if _affordable(b, capex_usd, budget_usd) and b.objective_usd < best.objective_usd:
                best = b
        if yard.solves == before:
            break  # solved before: its planes are there already, so bound and best differ by rounding alone
        if progress:
            left = max((best.objective_usd - bound) / whole, 0.0)
            progress(yard.solves - start, most_solves, f"portfolio, gap {100 * left:.1f} %")
    best = _cheaper(yard, best, capex_usd, min(bound, best.objective_usd) + gap * whole)
    used = tuple(p for p in ids if best.share[p] > 0 and best.output_t[p] > IDLE_T)
    return Portfolio(
        budget_usd=budget_usd,
        chosen=used,
        capex_usd=float(sum(capex_usd[p] for p in used)),
        best=best,
        bound_usd=min(bound, best.objective_usd),
        gap_share=max((best.objective_usd - bound) / whole, 0.0),
        solves=yard.solves - start,
    )


def _cheaper(yard: Yard, best: Built, capex_usd: Mapping[str, float], limit_usd: float) -> Built:
    """Return the choice without what it can miss, dearest first, as long as its objective keeps to the limit."""
    ids = yard.projects
    for p in sorted(ids, key=lambda p: (-capex_usd[p], p)):
        if not best.share[p] or not capex_usd[p] or best.output_t[p] <= IDLE_T:
            continue
        if best.objective_usd - best.price_usd[p] > limit_usd:
            continue  # its duals prove that it cannot be missed
        less = yard.build([q for q in ids if best.share[q] and q != p])
        if less.objective_usd <= limit_usd:
            best = less
    return best


def _affordable(b: Built, capex_usd: Mapping[str, float], budget_usd: float) -> bool:
    whole = all(z in (0.0, 1.0) for z in b.share.values())
    # The integer programme keeps its budget, in million USD, to a millionth.
    return whole and sum(capex_usd[p] for p, z in b.share.items() if z) <= budget_usd + 10.0


class Planes:
    """The planes of choices solved so far, in million USD below the objective with nothing built.

    They hold for choices that build each project whole or not at all, though what was solved may lie between.
    """

    def __init__(self, ids: tuple[str, ...], none_usd: float) -> None:
        self.ids, self.none_usd = ids, none_usd
        self.slope: list[np.ndarray] = []
        self.height: list[float] = []

    def add(self, b: Built) -> None:
        """Take in the plane of a solved choice."""
        self.slope.append(np.array([b.price_usd[p] for p in self.ids]) / MUSD)
        self.height.append((b.plane_usd - self.none_usd) / MUSD)

    def floor_usd(self, share: Mapping[str, float]) -> float:
        """Return what no optimum of the choice `share` goes below: its height on the highest plane."""
        z = np.array([share[p] for p in self.ids])
        return self.none_usd + float((np.array(self.slope) @ z + np.array(self.height)).max()) * MUSD

    def lowest(self, cost: np.ndarray, budget: float) -> tuple[list[str], float]:
        """Return the affordable choice where the highest plane is lowest, and how low it is there, USD."""
        n = len(self.ids)
        # theta - slope @ z >= height for every plane; theta is the last variable.
        rows = sparse.csr_matrix(np.hstack([-np.array(self.slope), np.ones((len(self.slope), 1))]))
        limits: list[Any] = [LinearConstraint(rows, np.array(self.height), np.inf)]
        limits.append(LinearConstraint(np.append(cost, 0.0)[None, :], -np.inf, budget))
        found = milp(
            np.append(np.zeros(n), 1.0), integrality=np.append(np.ones(n), 0),
            bounds=Bounds(np.append(np.zeros(n), -np.inf), np.append(np.ones(n), np.inf)),
            constraints=limits, options={"mip_rel_gap": 1e-6},
        )  # fmt: skip
        if found.x is None:
            raise SolverFailure(f"the choice of a portfolio found no optimum: {found.message}")
        chosen = [p for p, z in zip(self.ids, found.x[:n], strict=True) if z > 0.5]
        lowest = found.mip_dual_bound if found.mip_dual_bound is not None else found.fun
        return chosen, self.none_usd + float(min(lowest, found.fun)) * MUSD

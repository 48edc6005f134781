"""The value of losing a set of things: the optimum of the one programme, as worst sets and minimum cuts price it."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from atlas.candidates import Candidate
from atlas.errors import SolverFailure, SolverTimeUp
from atlas.losses import Lens
from atlas.model import Programme
from atlas.readback import LEAST_FLOW_T
from atlas.scenario import from_specs
from atlas.solver import LinearProgramme
from atlas.solving import State, solve_halted
from atlas.study import Study
from atlas.world import World

# How much heavier a tonne short weighs where the bloc lacks it, unless told otherwise.
BLOC_WEIGHT = 10.0
# Weighted penalties are larger than the solver takes with its tolerances, so costs are stated in 1,024 USD: a power of
# two rounds nothing.
SCALE = 2.0**-10


@dataclass(frozen=True)
class Question:
    """What sets are valued by: the lens of a bloc and element, what may be lost, and the price put on shortage.

    `weight` multiplies the penalty of the bloc's shortage of magnets that hold the element. With `cut` the value is
    instead the least that the bloc can be short of, in tonnes through the lens, whatever anything costs and whoever
    else goes without; what a user who steps down a grade then lacks of the element counts as short.
    """

    lens: Lens
    candidates: tuple[Candidate, ...]
    weight: float = BLOC_WEIGHT
    cut: bool = False

    def price(self, world: World) -> Callable[[Programme], LinearProgramme]:
        """Return what puts this question's objective on a programme."""
        country = world.markets["country"].to_dict()

        def priced(programme: Programme) -> LinearProgramme:
            c, lp = programme.columns, programme.lp
            kind, unit, grade = (c[name].to_numpy() for name in ("kind", "unit", "key"))
            at = np.flatnonzero((kind == "short") | (kind == "down"))
            inside = np.array([country[u] in self.lens.countries for u in unit[at]])
            at = at[inside]
            if not self.cut:
                at = at[(kind[at] == "short") & np.array([self.lens.holds(g) for g in grade[at]], dtype=bool)]
                cost = lp.cost * SCALE
                cost[at] *= self.weight
                return dataclasses.replace(lp, cost=cost, offset=lp.offset * SCALE)
            cost = np.zeros(len(lp.cost))
            for k in at.tolist():
                held = self.lens.content["magnet", grade[k]]
                lower = world.grade_below.get(grade[k], "") if kind[k] == "down" else ""
                # A lower grade may hold more of an element: that makes up for no shortage elsewhere.
                cost[k] = max(held - (self.lens.content["magnet", lower] if lower else 0.0), 0.0)
            return dataclasses.replace(lp, cost=cost, offset=0.0, first=None)

        return priced


def value(holds: tuple[Study, Question], lost: Sequence[int]) -> dict[str, Any]:
    """Return V of the candidates `lost` (numbers) as a record: `v` and `used`, the numbers the optimum uses."""
    study, q = holds
    specs = sorted({s for i in lost for s in q.candidates[i].halts})
    stage = study.ground.stage
    price = q.price(stage.world)

    def whole(programme: Programme) -> LinearProgramme:
        return dataclasses.replace(price(programme), first=None)

    def solved(stated: Callable[[Programme], LinearProgramme]) -> State:
        return solve_halted(
            stage.frame(study.ground.calibration), stage.router, from_specs(specs, study.names), study.blocs,
            study.before, study.settings.solve_time_limit_s, fair=False, price=stated,
        )  # fmt: skip

    try:
        state = solved(price)
    except SolverTimeUp:
        raise
    except SolverFailure:  # a search of thousands of programmes should not end with one: all columns from the start
        state = solved(whole)
    v = float(state.optimum.objective) / (1.0 if q.cut else SCALE)
    return {"v": v, "used": used(stage.world, state, q.candidates)}


def used(world: World, state: State, candidates: Sequence[Candidate]) -> list[int]:
    """Return the numbers of those candidates that a solved state uses at all."""
    c, x = state.programme.columns, state.optimum.x
    kind, unit = c["kind"].to_numpy(), c["unit"].to_numpy()
    running = np.flatnonzero(np.isin(kind, ["normal", "surge"]) & (x > LEAST_FLOW_T))
    units = set(unit[running])
    t = state.option_t
    flowing = np.flatnonzero(t > LEAST_FLOW_T)
    lanes = world.lanes.iloc[state.routes.lane[flowing]]
    abroad = (lanes["from_country"] != lanes["to_country"]).to_numpy()
    exporters = set(lanes["from_country"].to_numpy()[abroad])
    units |= set(lanes["from_id"]) | set(lanes["to_id"])  # what moves less than a unit's rounding counts too
    carriers = any(k.kind in ("port", "passage", "border") for k in candidates)
    passed: set[str] = set()
    for option in flowing.tolist() if carriers else ():
        path = state.routes.path(option)
        passed.update(f"passage:{i}" for i in path.passages)
        passed.update(f"port:{i}" for i in path.ports)
        passed.update(f"border:{i}" for i in path.borders)
    found = []
    for n, k in enumerate(candidates):
        if k.kind == "exports":
            hit = k.country in exporters
        else:
            hit = bool(k.units & units) if k.units else k.id in passed
        if hit:
            found.append(n)
    return found


def alike(candidates: Sequence[Candidate]) -> list[tuple[int, int]]:
    """Return pairs of which one holds the other, so that losing both is losing the larger: (number, number)."""
    return [
        (a, b)
        for a, x in enumerate(candidates)
        for b, y in enumerate(candidates)
        if a != b and x.units and x.units < y.units | ({""} if x.units == y.units and a < b else set())
    ]

"""From a world, its routes and a scenario to an optimum: calibration, the baseline, and any halted state.

Partial halts of a port, passage or border cap the total over all routes; routes are then added by pricing - the
cheapest way with the cap's dual as a toll - until none has a negative reduced cost, so the optimum is over all routes.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from atlas.calibration import read_calibration, state_calibration
from atlas.detour import detours
from atlas.errors import SolverFailure
from atlas.fair import share_evenly
from atlas.frame import Frame, Limits, state
from atlas.lane_routes import LaneRouter, RouteSet, Thing, Way
from atlas.model import Baseline, Cap, Programme, Skeleton
from atlas.restriction import LaneCap, Restriction, partial_things, restrict
from atlas.routing import Closures
from atlas.scenario import Scenario
from atlas.solver import LinearProgramme, Optimum, solve

OPEN: tuple[Way, ...] = (Way(),)
# A route enters when it would save this much, USD/t: below it lies the solver's own tolerance.
PRICING_TOLERANCE_USD_T = 1e-6
PRICING_ROUNDS = 60


@dataclass(frozen=True)
class State:
    """A solved state: programme, optimum, the routes it chose from, and what was taken away."""

    programme: Programme
    optimum: Optimum
    routes: RouteSet
    restriction: Restriction | None
    limits: pd.DataFrame

    @property
    def option_t(self) -> np.ndarray:
        """Tonnes over each route option (options,)."""
        option = self.programme.columns["option"].to_numpy()
        flow = option >= 0
        option = option[flow]
        return np.bincount(option, self.optimum.x[flow], minlength=len(self.routes.lane))

    def lane_t(self, n_lanes: int) -> np.ndarray:
        """Tonnes on each lane (lanes,)."""
        return np.bincount(self.routes.lane, self.option_t, minlength=n_lanes)


def calibrate(s: Skeleton, routes: RouteSet, blocs: Mapping[str, frozenset[str]], time_limit_s: float) -> Baseline:
    """Find the baseline of the calibrated year and the corrections that hold it."""
    programme = state_calibration(s, routes.options, blocs)
    return read_calibration(s, routes.options, programme, solve(programme.lp, time_limit_s), blocs)


def solve_open(f: Frame, router: LaneRouter, time_limit_s: float) -> State:
    """Solve the state without halts."""
    routes = open_routes(router)
    programme = state(f, routes.options)
    optimum = share_evenly(programme, solve(programme.lp, time_limit_s), time_limit_s)
    return State(programme, optimum, routes, None, f.limits)


def open_routes(router: LaneRouter) -> RouteSet:
    """Return every lane's cheapest route on the open network."""
    return router.routes(np.zeros(len(router.world.lanes), dtype=np.int64), OPEN)


def solve_halted(
    f: Frame,
    router: LaneRouter,
    scenario: Scenario,
    blocs: Mapping[str, frozenset[str]],
    before: State,
    time_limit_s: float,
    *,
    fair: bool = True,
    price: Callable[[Programme], LinearProgramme] | None = None,
) -> State:
    """Solve the state under `scenario`, with `before` the state without halts of the same world.

    Without `fair` shortages that cost the same may fall on any of those who share them: the optimum is the same.
    `price` may put another objective on the programme, for whole halts only (routes are chosen by their real cost).
    """
    world, limits = f.skeleton.world, before.limits
    watch = partial_things(scenario.halts)
    lane_t = before.lane_t(len(world.lanes))
    uses = _lane_uses(router, watch)
    surge = (limits["limit_t"] / limits["normal_t"].where(limits["normal_t"] > 0)).fillna(1.0).to_dict()
    r = restrict(world, scenario, blocs, lane_t, uses, surge)
    routes = _first_routes(router, r, watch)
    evading = detours(router, r, scenario, blocs, lane_t, watch)
    if evading:
        routes = routes.plus(evading[0])
        r = dataclasses.replace(r, caps=(*r.caps, *evading[1]))
    for _ in range(PRICING_ROUNDS):
        caps = [Cap(c.name, _cap_mask(c, routes), c.limit_t) for c in r.caps]
        programme = state(f, routes.options, Limits(r.unit_lost, caps))
        optimum = solve(programme.lp if price is None else price(programme), time_limit_s)
        extra = _priced(router, r, programme, optimum, routes, watch)
        if extra is None:
            shared = share_evenly(programme, optimum, time_limit_s) if fair else optimum
            return State(programme, shared, routes, r, limits)
        routes = routes.plus(extra)
    raise SolverFailure(f"routes were still being added after {PRICING_ROUNDS} rounds of pricing")


def _first_routes(router: LaneRouter, r: Restriction, watch: list[Thing]) -> RouteSet:
    """Return each lane's cheapest way, and beside it the way round everything that is halted in part."""
    routes = router.routes(r.way_of_lane, r.ways, watch)
    if not watch:
        return routes
    shut = {kind: frozenset(i for k, i in watch if k == kind) for kind in ("passage", "port", "border")}
    ways = tuple(
        dataclasses.replace(
            w,
            closures=Closures(
                passages=w.closures.passages | shut["passage"],
                ports=w.closures.ports | shut["port"],
                borders=w.closures.borders | shut["border"],
                opened=w.closures.opened,
            ),
        )
        for w in r.ways
    )
    around = router.routes(r.way_of_lane, ways, watch)
    crossing = np.zeros(len(r.way_of_lane), dtype=bool)
    for thing in watch:
        crossing[routes.lane[routes.uses[thing]]] = True
    return routes.plus(around.only(crossing[around.lane]))


def _lane_uses(router: LaneRouter, watch: list[Thing]) -> dict[Thing, np.ndarray]:
    n = len(router.world.lanes)
    if not watch:
        return {}
    routes = router.routes(np.zeros(n, dtype=np.int64), OPEN, watch)
    out = {}
    for thing in watch:
        used = np.zeros(n, dtype=bool)
        used[routes.lane] = routes.uses[thing]
        out[thing] = used
    return out


def _cap_mask(cap: LaneCap, routes: RouteSet) -> np.ndarray:
    mask = cap.lanes[routes.lane]
    if cap.detours is not None:
        mask = mask & (routes.detour == cap.detours)
    return mask & routes.uses[cap.thing] if cap.thing else mask


def _priced(
    router: LaneRouter,
    r: Restriction,
    programme: Programme,
    optimum: Optimum,
    routes: RouteSet,
    watch: list[Thing],
) -> RouteSet | None:
    """Return routes with a negative reduced cost, or None."""
    on_things = [c for c in r.caps if c.thing]
    if not on_things:
        return None
    duals = dict(zip(programme.rows["a"], optimum.y, strict=True))
    tolls = {c.name: max(0.0, -float(duals[c.name])) for c in on_things}
    if not any(tolls.values()):
        return None
    way_of_lane, ways = _tolled(r, on_things, tolls)
    found = router.routes(way_of_lane, ways, watch)
    toll_of = np.zeros(len(found.lane))
    toll_now = np.zeros(len(routes.lane))
    for c in on_things:
        toll_of += tolls[c.name] * (c.lanes[found.lane] & found.uses[c.thing])  # type: ignore[index]
        toll_now += tolls[c.name] * (c.lanes[routes.lane] & routes.uses[c.thing])  # type: ignore[index]
    best = np.full(len(r.way_of_lane), np.inf)
    legal = ~routes.detour
    np.minimum.at(best, routes.lane[legal], (routes.freight_usd_t + toll_now)[legal])
    better = found.freight_usd_t + toll_of < best[found.lane] - PRICING_TOLERANCE_USD_T
    return found.only(better) if better.any() else None


def _tolled(r: Restriction, caps: list[LaneCap], tolls: Mapping[str, float]) -> tuple[np.ndarray, tuple[Way, ...]]:
    bits = np.zeros(len(r.way_of_lane), dtype=np.int64)
    for k, c in enumerate(caps):
        bits |= c.lanes.astype(np.int64) << k
    pair = np.stack([r.way_of_lane, bits], axis=1)
    kinds, group = np.unique(pair, axis=0, return_inverse=True)
    ways: list[Way] = []
    blocked = []
    for k, (w, pattern) in enumerate(kinds.tolist()):
        sums: dict[Thing, float] = {}
        for n, c in enumerate(caps):
            if pattern >> n & 1 and c.thing:
                sums[c.thing] = sums.get(c.thing, 0.0) + tolls[c.name]
        base = r.ways[w] if w >= 0 else Way()
        if w < 0:
            blocked.append(k)
        ways.append(dataclasses.replace(base, tolls=tuple(sorted(sums.items()))))
    way_of_lane = group.reshape(-1).astype(np.int64)
    way_of_lane[np.isin(way_of_lane, blocked)] = -1
    return way_of_lane, tuple(ways)

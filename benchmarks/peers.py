"""The same programme stated by others: linopy, PyPSA and the dense form. Part `peers` of `benchmarks.model`.

Optima must agree to 1e-6. Times are medians of runs that take turns in one process, after a warm-up; routing is left
out on both sides: both get each lane's cost ready-made, and ways are traced beforehand.
"""

import dataclasses
import gc
import logging
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from atlas.fair import share_evenly
from atlas.frame import Limits, state
from atlas.frame import frame as frame_of
from atlas.model import Cap, skeleton
from atlas.readback import read
from atlas.restriction import restrict
from atlas.solver import LinearProgramme, Optimum, solve
from atlas.solving import State, solve_halted
from atlas.study import Study
from atlas.study import open as open_study
from atlas.way import Closures
from benchmarks.model import Clock, Report, progress, solver_clock
from benchmarks.peers_tables import Question, lane_costs, tables

RUNS, SAME, LESS = 5, 1e-6, 5
BASELINE = "baseline"
HALTS = ("country:CHN/magnet", "border:CHN-MMR", "facility:lynas-kuantan", "passage:malacca",
         "country:CHN:USA@0.5/magnet")  # fmt: skip
TIMED = (BASELINE, "country:CHN/magnet", "border:CHN-MMR", "passage:malacca")
IN_PYPSA = (BASELINE, "country:CHN/magnet", "country:CHN:USA@0.5/magnet")
DENSE = (BASELINE, "country:CHN/magnet", "border:CHN-MMR", "facility:lynas-kuantan", "passage:malacca")


def compare(report: Report) -> None:
    """Print everything: optima of linopy, times beside it, PyPSA, the dense form."""
    # PyPSA brings pyarrow, and pandas then keeps texts in Arrow; the atlas alone does not bring it.
    pd.options.mode.string_storage = "python"
    for name in ("linopy", "pypsa"):
        logging.getLogger(name).setLevel(logging.ERROR)
    study = open_study()
    study.solve()
    ours = {BASELINE: study.before} | {halt: _ours(study, halt) for halt in HALTS}
    asked = _questions(study)
    with solver_clock() as clock:
        in_linopy(report, study, asked, ours)
        for name in TIMED:
            times(report, study, clock, asked[name], ours[name])
    in_pypsa(report, study, asked, ours)
    in_dense(report, study, ours)


def _ours(study: Study, halt: str) -> State:
    stage = study._own
    frame = stage.frame(study.calibration)
    return solve_halted(frame, stage.router, study.question([halt]), study.blocs, study.before, 60.0)


def _questions(study: Study) -> dict[str, Question]:
    """Return what is asked, as a peer would put it: closed lanes without a cost, lost units, caps on lanes."""
    from benchmarks import peers_linopy

    router, world = study._own.router, study._own.world
    lanes = world.lanes
    exported = ((lanes["commodity"] == "magnet") & (lanes["from_country"] == "CHN")).to_numpy()
    abroad = exported & (lanes["to_country"] != "CHN").to_numpy()
    to_usa = exported & (lanes["to_country"] == "USA").to_numpy()
    free = lane_costs(router)
    t = tables(world, study.calibration, Question(BASELINE, free))
    flow = peers_linopy.solve(t, world)[1]["flow"]
    sold = float(np.bincount(t.pieces["lane"], flow, minlength=len(lanes))[to_usa].sum())
    return {
        BASELINE: Question(BASELINE, free),
        HALTS[0]: Question(HALTS[0], np.where(abroad, np.nan, free)),
        HALTS[1]: Question(HALTS[1], lane_costs(router, Closures(borders=frozenset({"CHN-MMR"})))),
        HALTS[2]: Question(HALTS[2], free, unit_lost={"lynas-kuantan": 1.0}),
        HALTS[3]: Question(HALTS[3], lane_costs(router, Closures(passages=frozenset({"malacca"})))),
        HALTS[4]: Question(HALTS[4], free, caps=[("half to the USA", to_usa, 0.5 * sold)]),
    }


def in_linopy(report: Report, study: Study, asked: dict[str, Question], ours: dict[str, State]) -> None:
    """Compare the optimum of each question."""
    import linopy

    from benchmarks import peers_linopy

    world = study._own.world
    with linopy.options as options:
        options.set_value(semantics="v1")
        m = peers_linopy.build(tables(world, study.calibration, asked[BASELINE]), world).matrices
        shape, entries = m.A.shape, m.A.nnz
    lp = ours[BASELINE].programme.lp
    print(f"linopy {linopy.__version__}, from the tables: {shape[0]} rows, {shape[1]} columns, {entries} entries; "
          f"ours {lp.matrix.shape[0]}, {lp.matrix.shape[1]}, {lp.matrix.nnz}")  # fmt: skip
    for name, question in asked.items():
        value = peers_linopy.solve(tables(world, study.calibration, question), world)[0]
        own = ours[name].optimum.objective
        print(f"  {name}: linopy {value:.10g} USD, ours {own:.10g} USD")
        report.add(f"linopy's optimum, {name}: relative difference", abs(value - own) / abs(own), "", SAME)


def times(report: Report, study: Study, clock: Clock, question: Question, state_of: State) -> None:
    """Time a question on both sides: outside HiGHS's own run, and in all."""
    from benchmarks import peers_linopy

    world, baseline = study._own.world, study.calibration

    def linopy() -> Any:
        return peers_linopy.solve(tables(world, baseline, question), world)

    ask = _asking(study, question.name, state_of)

    def anew(first: bool) -> Optimum:
        return solve(ask(frame_of(skeleton(world), baseline), first).programme.lp)

    def running(first: bool) -> Any:
        made = ask(study._own.frame(baseline), first)
        optimum = share_evenly(made.programme, solve(made.programme.lp), 60.0)
        return read(world, dataclasses.replace(made, optimum=optimum))

    def arrays(first: bool) -> Optimum:
        return solve(ask(study._own.frame(baseline), first).programme.lp)

    sides: dict[str, Callable[[], Any]] = {"linopy": linopy}
    for what, side in (("anew", anew), ("arrays", arrays), ("running", running)):
        sides |= {f"{what}, full": lambda side=side: side(False), what: lambda side=side: side(True)}
    spent: dict[str, list[tuple[float, float]]] = {k: [] for k in sides}
    for n in range(RUNS + 1):
        for k, (name, side) in enumerate(sides.items()):
            progress(n * len(sides) + k, (RUNS + 1) * len(sides), question.name)
            gc.collect()
            clock.reset()
            start = time.perf_counter()
            side()
            whole = time.perf_counter() - start
            if n:  # the first turn warms up
                spent[name].append((whole - clock.run_s, whole))
    progress(1, 1, question.name)
    outside = {k: statistics.median(o for o, _ in v) for k, v in spent.items()}
    whole = {k: statistics.median(w for _, w in v) for k, v in spent.items()}
    report.add(f"{question.name}: linopy, tables to arrays, outside HiGHS's run", 1000 * outside["linopy"], "ms")
    for side, what, bound in (
        ("running", "ours, question to Reading in a running study", LESS),
        ("arrays", "ours, question to arrays in a running study", None),
        ("anew", "ours, tables to arrays, everything made anew", LESS),
    ):
        report.add(f"  {what}", 1000 * outside[f"{side}, full"], "ms")
        report.add("    times less than linopy", outside["linopy"] / outside[f"{side}, full"], "x", bound, least=True)
        report.add("    the same with columns priced in", outside["linopy"] / outside[side], "x")
    report.add("  the whole, HiGHS's run included: linopy", 1000 * whole["linopy"], "ms")
    for side, what in (("running", "question to Reading"), ("anew", "everything made anew, to arrays")):
        for name, how in ((f"{side}, full", "all columns in one run"), (side, "columns priced in")):
            report.add(f"    ours, {what}, {how}", 1000 * whole[name], "ms")
            report.add("      share of linopy's", whole[name] / whole["linopy"], "", 1.0)


def _asking(study: Study, name: str, found: State) -> Callable[[Any, bool], State]:
    """Return how a question becomes a stated programme, its routes known; `first`: columns are priced in."""
    world, before = study._own.world, study.before
    scenario = study.question([] if name == BASELINE else [name])
    limits = before.limits
    lane_t = before.lane_t(len(world.lanes))
    surge = (limits["limit_t"] / limits["normal_t"].where(limits["normal_t"] > 0)).fillna(1.0).to_dict()

    def ask(frame: Any, first: bool) -> State:
        r = None if name == BASELINE else restrict(world, scenario, study.blocs, lane_t, {}, surge)
        caps = [Cap(c.name, c.lanes[found.routes.lane], c.limit_t) for c in r.caps] if r else []
        programme = state(frame, found.routes.options, Limits(r.unit_lost if r else {}, caps))
        if not first:
            whole: LinearProgramme = dataclasses.replace(programme.lp, first=None)
            programme = dataclasses.replace(programme, lp=whole)
        return State(programme, found.optimum, found.routes, r, frame.limits)

    return ask


def in_pypsa(report: Report, study: Study, asked: dict[str, Question], ours: dict[str, State]) -> None:
    """Compare the optimum of the programme as a network."""
    import pypsa

    from benchmarks import peers_pypsa

    world = study._own.world
    print(f"PyPSA {pypsa.__version__}: the whole programme as a network of one snapshot; no term is left out")
    for name in IN_PYPSA:
        start = time.perf_counter()
        value, counts = peers_pypsa.solve(tables(world, study.calibration, asked[name]), world)
        spent = time.perf_counter() - start
        own = ours[name].optimum.objective
        parts = ", ".join(f"{v} {k}" for k, v in counts.items())
        print(f"  {name}: PyPSA {value:.10g} USD, ours {own:.10g} USD; {parts}; {spent:.0f} s")
        report.add(f"PyPSA's optimum, {name}: relative difference", abs(value - own) / abs(own), "", SAME)


def in_dense(report: Report, study: Study, ours: dict[str, State]) -> None:
    """Compare the market form with the dense form: its optimum, size and time."""
    from benchmarks.peers_dense import dense

    for name in DENSE:
        found = ours[name]
        lp = dataclasses.replace(found.programme.lp, first=None)
        big = dense(study._own.world, found.programme, found.routes.lane)
        sides = {}
        for what, programme in (("market", lp), ("dense", big)):
            start = time.perf_counter()
            sides[what] = solve(programme, 300.0).objective, time.perf_counter() - start
        print(f"  {name}: market form {lp.matrix.shape[0]} x {lp.matrix.shape[1]}, {sides['market'][1]:.2f} s; "
              f"dense form {big.matrix.shape[0]} x {big.matrix.shape[1]}, {sides['dense'][1]:.2f} s")  # fmt: skip
        off = abs(sides["dense"][0] - sides["market"][0]) / abs(sides["market"][0])
        report.add(f"dense form's optimum, {name}: relative difference", off, "", SAME)
        if name in (HALTS[0], HALTS[1]):
            alone = solve(dense(study._own.world, found.programme, found.routes.lane, each_short=True), 300.0).objective
            report.add("  did the sectors of a class not share what is short: objective lower by",
                       100 * (sides["market"][0] - alone) / abs(sides["market"][0]), "%")  # fmt: skip

"""One linear programme through HiGHS: dual simplex, one thread, fixed seed; no answer leaves here unproved.

`solve` runs HiGHS in this process, or through whatever `run_with` has set: a server keeps the solver in a process of
its own (`solver_process`), so that a crash in compiled code costs one answer and not the server. That choice belongs to
the running program, as its logging does: the answer is the same to the last bit either way, so it is no part of a study
and no argument that every room would have to hand on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import highspy
import numpy as np

from atlas.background import current
from atlas.errors import SolverFailure, SolverTimeUp

if TYPE_CHECKING:  # the solver's own process needs no SciPy
    from scipy import sparse

# What an answer may miss its own programme by, relative to the size of the terms; HiGHS works to 1e-9.
TOLERANCE = 1e-6


@dataclass(frozen=True)
class LinearProgramme:
    """Minimise cost @ x + offset, row_lower <= matrix @ x <= row_upper, lower <= x <= upper (matrix is CSC).

    `first` (n,) bool marks the columns to start with where most of the others will not be needed: they are priced
    against the duals and enter as they pay, so the optimum is that of the whole programme.
    """

    cost: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    matrix: sparse.csc_matrix
    row_lower: np.ndarray
    row_upper: np.ndarray
    offset: float = 0.0
    first: np.ndarray | None = None


@dataclass(frozen=True)
class Optimum:
    """A solved programme: x (n,), row duals y (m,), reduced costs d (n,), objective (offset included).

    `basic` says which columns, then which rows, are in the basis (n + m,); none where the solver did not say.
    """

    x: np.ndarray
    y: np.ndarray
    d: np.ndarray
    objective: float
    basic: np.ndarray


Runner = Callable[[LinearProgramme, float], Optimum]
_runner: Runner | None = None


def run_with(runner: Runner | None) -> None:
    """Let `solve` run through `runner` from now on, for all threads; None: in this process, as at the start."""
    global _runner
    _runner = runner


def runs_elsewhere() -> bool:
    """Return whether `solve` runs through what `run_with` has set, not in this process."""
    return _runner is not None


def solve(lp: LinearProgramme, time_limit_s: float = 60.0) -> Optimum:
    """Solve `lp`.

    Raises SolverTimeUp when `time_limit_s` is over, SolverFailure when there is no optimum, when the solver stops or
    dies, or when what it returns is not the optimum of `lp`; Cancelled when background work was told to stop.
    """
    work = current()
    if work is not None:
        work.check()
    own = work.solve if work is not None else None
    return (own or _runner or solve_here)(lp, time_limit_s)


def solve_here(lp: LinearProgramme, time_limit_s: float = 60.0) -> Optimum:
    """Solve `lp` in this process; see `solve`."""
    try:
        answer = highs(arrays_of(lp), time_limit_s)
    except SolverFailure:
        raise
    except Exception as e:
        raise SolverFailure(f"the solver stopped: {type(e).__name__}: {e}") from e
    return proved(lp, answer)


def arrays_of(lp: LinearProgramme) -> dict[str, np.ndarray]:
    """Return a programme as the plain arrays that `highs` takes; the offset stays behind."""
    real = {k: getattr(lp, k) for k in ("cost", "lower", "upper", "row_lower", "row_upper")} | {"value": lp.matrix.data}
    whole = {"start": lp.matrix.indptr, "index": lp.matrix.indices}
    if lp.first is not None:
        whole["first"] = np.flatnonzero(lp.first)
    return {k: np.asarray(v, dtype=np.float64) for k, v in real.items()} | {
        k: np.asarray(v, dtype=np.int32) for k, v in whole.items()
    }


# A column enters when its reduced cost is below this; HiGHS's own tolerance is 1e-9.
ENTERING = -1e-8


# The power of two by which costs are scaled where HiGHS gives up on them as they are.
OBJECTIVE_SCALE = -10


def highs(arrays: Mapping[str, np.ndarray], time_limit_s: float) -> dict[str, np.ndarray]:
    """Run HiGHS on the arrays of a programme: x (n,), row duals y (m,), reduced costs d (n,), objective (1,), basis.

    `basis` numbers the basic columns and, after them, rows (m,). Raises SolverTimeUp or SolverFailure where HiGHS
    proves no optimum.
    """
    a, n = arrays, len(arrays["cost"])
    column = np.repeat(np.arange(n), np.diff(a["start"]))
    chosen = a.get("first", np.arange(n, dtype=np.int32))
    h = _loaded(a, chosen, time_limit_s)
    _run(h, time_limit_s)
    rest = np.setdiff1d(np.arange(n, dtype=np.int32), chosen)
    while len(rest):
        y = np.array(h.getSolution().row_dual)
        price = a["cost"] - np.bincount(column, a["value"] * y[a["index"]], minlength=n)
        enter = rest[(price[rest] < ENTERING) & (a["upper"][rest] > a["lower"][rest])]
        if not len(enter):
            break
        start, index, value = _columns(a, enter)
        price, low, high = (a[k][enter] for k in ("cost", "lower", "upper"))
        h.addCols(len(enter), price, low, high, len(value), start[:-1], index, value)
        chosen, rest = np.concatenate([chosen, enter]), np.setdiff1d(rest, enter)
        # Columns have ends, so those that entered can stand at theirs and the dual simplex goes on where it was.
        try:
            _run(h, time_limit_s)
        except SolverTimeUp:
            raise
        except SolverFailure:  # HiGHS sometimes gives up on a basis that was handed on
            chosen = np.arange(n, dtype=np.int32)
            h = _loaded(a, chosen, time_limit_s)
            _run(h, time_limit_s)
            break
    return _answer(h, a, chosen, column)


def _loaded(a: Mapping[str, np.ndarray], chosen: np.ndarray, time_limit_s: float) -> highspy.Highs:
    """Return HiGHS with the chosen columns of a programme."""
    h = highspy.Highs()
    for option, value in (
        ("output_flag", False),
        ("solver", "simplex"),
        ("presolve", "off"),
        ("simplex_strategy", 1),
        ("threads", 1),
        ("parallel", "off"),
        ("random_seed", 0),
        ("time_limit", float(time_limit_s)),
        ("primal_feasibility_tolerance", 1e-9),
        ("dual_feasibility_tolerance", 1e-9),
    ):
        h.setOptionValue(option, value)
    n, m = len(chosen), len(a["row_lower"])
    start, index, entries = _columns(a, chosen)
    # Arrays in one call: filling a HighsLp field by field goes number by number, 10 ms on the real programme.
    passed = h.passModel(
        n, m, len(entries), int(highspy.MatrixFormat.kColwise), int(highspy.ObjSense.kMinimize), 0.0,
        a["cost"][chosen], a["lower"][chosen], a["upper"][chosen], a["row_lower"], a["row_upper"],
        start, index, entries, np.zeros(n, dtype=np.int32),
    )  # fmt: skip
    if passed == highspy.HighsStatus.kError:
        raise SolverFailure("the solver refused the programme")
    return h


def _run(h: highspy.Highs, time_limit_s: float) -> None:
    """Run to the optimum. Raises SolverTimeUp or SolverFailure."""
    ran = h.run()
    status = h.getModelStatus()
    # HiGHS sometimes gives up from one start and not from another, or on large costs and not on the same ones scaled.
    gave_up = {getattr(highspy.HighsModelStatus, k) for k in ("kSolveError", "kUnknown", "kNotset")}
    for option, value in (("presolve", "on"), ("user_objective_scale", OBJECTIVE_SCALE)):
        if status not in gave_up:
            break
        h.clearSolver()
        h.setOptionValue(option, value)
        ran = h.run()
        status = h.getModelStatus()
    if status == highspy.HighsModelStatus.kTimeLimit:
        raise SolverTimeUp(f"no optimum within {time_limit_s:g} s")
    if ran == highspy.HighsStatus.kError or status != highspy.HighsModelStatus.kOptimal:
        raise SolverFailure(f"the solver found no optimum: {h.modelStatusToString(status)}")


def _columns(a: Mapping[str, np.ndarray], chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return start, index and value of the chosen columns of a matrix by columns."""
    size = np.diff(a["start"])[chosen]
    start = np.concatenate([[0], np.cumsum(size)]).astype(np.int32)
    at = np.repeat(a["start"][chosen] - start[:-1], size) + np.arange(start[-1], dtype=np.int32)
    return start, a["index"][at], a["value"][at]


def _answer(
    h: highspy.Highs, a: Mapping[str, np.ndarray], chosen: np.ndarray, column: np.ndarray
) -> dict[str, np.ndarray]:
    """Return what HiGHS found on the chosen columns as an answer for all; those left out stay at their lower bound."""
    s, n = h.getSolution(), len(a["cost"])
    y = np.array(s.row_dual, dtype=np.float64)
    x, d = a["lower"].copy(), a["cost"] - np.bincount(column, a["value"] * y[a["index"]], minlength=n)
    x[chosen], d[chosen] = s.col_value, s.col_dual
    basis_known, found = h.getBasicVariables()  # type: ignore[attr-defined]  # not in its stubs
    basis = np.array(found if basis_known == highspy.HighsStatus.kOk else [], dtype=np.int64)
    rows = n - 1 - basis  # HiGHS has row k as -1 - k
    basis = np.where(basis >= 0, chosen[np.maximum(basis, 0)], rows).astype(np.int32)
    return {"x": x, "y": y, "d": d, "objective": np.array([h.getInfo().objective_function_value]), "basis": basis}


def proved(lp: LinearProgramme, answer: Mapping[str, np.ndarray]) -> Optimum:
    """Return what a solver answered as the optimum of `lp`, after checking that it is; raises SolverFailure if not.

    Checked to TOLERANCE: lengths, finite numbers, bounds and rows, the objective, reduced costs, the duality gap.
    """
    n, m = len(lp.cost), len(lp.row_lower)
    for name, shape in (("x", (n,)), ("y", (m,)), ("d", (n,)), ("objective", (1,))):
        found = answer.get(name)
        if found is None or found.shape != shape:
            size = "nothing" if found is None else f"{found.size} numbers"
            raise SolverFailure(f"the solver returned {size} for {name}; expected {shape[0]}")
        if not np.isfinite(found).all():
            raise SolverFailure("the solver returned numbers that are not finite")
    x, y, d, basis = answer["x"], answer["y"], answer["d"], answer.get("basis", np.zeros(0, dtype=np.int32))
    if len(basis) and (len(basis) != m or basis.min() < 0 or basis.max() >= n + m):
        raise SolverFailure("the solver returned a basis that is none of its programme")
    basic = np.zeros(n + m, dtype=bool)
    basic[basis] = True
    size = abs(lp.matrix)
    worth = 1 + float(np.abs(lp.cost) @ np.abs(x))
    value = float(lp.cost @ x)
    if not (
        _within(x, lp.lower, lp.upper, 1 + np.abs(x))
        and _within(lp.matrix @ x, lp.row_lower, lp.row_upper, 1 + size @ np.abs(x))
        and abs(float(answer["objective"][0]) - value) <= TOLERANCE * worth
    ):
        raise SolverFailure("the solver returned an answer that does not satisfy its own programme; nothing is shown")
    price_size = 1 + np.abs(lp.cost) + size.T @ np.abs(y)
    reduced = lp.cost - lp.matrix.T @ y
    bound = _dual_value(d, lp.lower, lp.upper, price_size)
    bound += _dual_value(y, lp.row_lower, lp.row_upper, 1 + np.abs(y).max(initial=0.0))
    if not (np.abs(d - reduced) <= TOLERANCE * price_size).all() or not abs(value - bound) <= TOLERANCE * worth:
        raise SolverFailure("the solver returned an answer that is not the optimum of its programme; nothing is shown")
    return Optimum(x, y, d, value + lp.offset, basic)


def _within(values: np.ndarray, low: np.ndarray, high: np.ndarray, size: np.ndarray) -> bool:
    slack = TOLERANCE * size
    return bool(((values >= low - slack) & (values <= high + slack)).all())


def _dual_value(price: np.ndarray, low: np.ndarray, high: np.ndarray, size: np.ndarray | float) -> float:
    """Return what prices are worth at the bounds they hold; minus infinity for a price on a bound that is not there."""
    held = np.where(price > 0, low, high)
    free = ~np.isfinite(held)
    if (np.abs(price) > TOLERANCE * size)[free].any():
        return -np.inf
    return float(price[~free] @ held[~free])

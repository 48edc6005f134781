"""One linear programme through HiGHS: dual simplex, one thread, fixed seed."""

from dataclasses import dataclass

import highspy
import numpy as np
from scipy import sparse

from atlas.errors import SolverFailure


@dataclass(frozen=True)
class LinearProgramme:
    """Minimise cost @ x + offset, row_lower <= matrix @ x <= row_upper, lower <= x <= upper (matrix is CSC)."""

    cost: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    matrix: sparse.csc_matrix
    row_lower: np.ndarray
    row_upper: np.ndarray
    offset: float = 0.0


@dataclass(frozen=True)
class Optimum:
    """A solved programme: x (n,), row duals y (m,), reduced costs d (n,), objective (offset included)."""

    x: np.ndarray
    y: np.ndarray
    d: np.ndarray
    objective: float


def solve(lp: LinearProgramme, time_limit_s: float = 60.0) -> Optimum:
    """Solve `lp`; raises SolverFailure when HiGHS does not prove an optimum or returns numbers that are not finite."""
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
    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = len(lp.cost), len(lp.row_lower)
    model.col_cost_, model.col_lower_, model.col_upper_ = lp.cost, lp.lower, lp.upper
    model.row_lower_, model.row_upper_ = lp.row_lower, lp.row_upper
    model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    model.a_matrix_.start_ = lp.matrix.indptr
    model.a_matrix_.index_ = lp.matrix.indices
    model.a_matrix_.value_ = lp.matrix.data
    try:
        passed = h.passModel(model)
        ran = h.run()
        status = h.getModelStatus()
    except Exception as e:
        raise SolverFailure(f"the solver stopped: {e}") from e
    if (
        passed == highspy.HighsStatus.kError
        or ran == highspy.HighsStatus.kError
        or status != highspy.HighsModelStatus.kOptimal
    ):
        raise SolverFailure(f"the solver found no optimum: {h.modelStatusToString(status)}")
    s = h.getSolution()
    x, y, d = np.array(s.col_value), np.array(s.row_dual), np.array(s.col_dual)
    if not (np.isfinite(x).all() and np.isfinite(y).all() and np.isfinite(d).all()):
        raise SolverFailure("the solver returned numbers that are not finite")
    return Optimum(x, y, d, float(lp.cost @ x) + lp.offset)

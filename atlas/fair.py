"""Share what is short evenly among buyers that are alike.

Inside one step of the shortage penalty any split costs the same, and a simplex optimum gives it all to one buyer. The
second programme here stays on the face of optima that the first one proved: columns with a price of their own stay
where they are, rows and bounds hold as before, and only the rest may move - toward equal shares of each step.
"""

import dataclasses

import numpy as np
import pandas as pd
from scipy import sparse

from atlas.errors import SolverFailure, SolverTimeUp
from atlas.model import Programme
from atlas.solver import LinearProgramme, Optimum, solve

# A column whose reduced cost is below this, USD/t, may move: ties are broken by up to 0.03 USD/t (`TIE_SHARE`).
FACE_USD_T = 0.05
# Parts into which a step is cut, each dearer than the one before: shares then differ by a part of a step at most.
PARTS = 60
# What a reduced cost weighs beside a part, per USD/t: ties stay broken as the first programme broke them, and no sum of
# such costs along a chain outweighs an uneven part.
TIE_WEIGHT = 2.0


def share_evenly(programme: Programme, optimum: Optimum, time_limit_s: float) -> Optimum:
    """Return the optimum with tied shortages shared evenly; the same one where nothing is tied.

    The objective moves by FACE_USD_T for each tonne moved at most. Should the second programme fail, the first optimum
    stands: it is an optimum all the same. Time decides nothing: raises SolverTimeUp when `time_limit_s` is over.
    """
    tied = _tied(programme, optimum)
    if not len(tied):
        return optimum
    lp, x = programme.lp, optimum.x
    d = lp.cost - lp.matrix.T @ optimum.y
    free = np.flatnonzero((np.abs(d) <= FACE_USD_T) & (lp.upper > lp.lower))
    matrix = lp.matrix[:, free]
    rows = np.flatnonzero(np.diff(matrix.tocsr().indptr) > 0)
    fixed = lp.matrix @ x - matrix @ x[free]
    at = np.searchsorted(free, tied)
    width = lp.upper[tied] / PARTS
    split = matrix[:, at]
    parts = sparse.hstack([matrix, *([split] * PARTS)]).tocsc()[rows]
    upper = lp.upper[free].copy()
    upper[at] = 0.0
    # A row may use its slack as before, but a tied row stays tied: its dual has a price.
    dear = np.abs(optimum.y) > FACE_USD_T
    priced = dear[rows]
    activity = (lp.matrix @ x)[rows] - fixed[rows]
    # What a tonne costs beside the rows that stay where they are: a row that may move has a small price of its own.
    tie = TIE_WEIGHT * (d + lp.matrix.T @ np.where(dear | (lp.row_lower == lp.row_upper), 0.0, optimum.y))
    second = LinearProgramme(
        cost=np.concatenate([tie[free], *(k + tie[tied] for k in range(PARTS))]),
        lower=np.concatenate([lp.lower[free], np.zeros(len(tied) * PARTS)]),
        upper=np.concatenate([upper, np.tile(width, PARTS)]),
        matrix=parts,
        row_lower=np.where(priced, activity, lp.row_lower[rows] - fixed[rows]),
        row_upper=np.where(priced, activity, lp.row_upper[rows] - fixed[rows]),
    )
    try:
        found = solve(second, time_limit_s)
    except SolverTimeUp:
        raise
    except SolverFailure:
        return optimum
    moved = x.copy()
    moved[free] = found.x[: len(free)]
    moved[tied] = found.x[len(free) :].reshape(PARTS, len(tied)).sum(axis=0)
    objective = float(lp.cost @ moved) + lp.offset
    return dataclasses.replace(optimum, x=moved, objective=objective)


def _tied(programme: Programme, optimum: Optimum) -> np.ndarray:
    """Return the shortage columns of every step that several markets share unevenly though it costs them the same."""
    c, lp = programme.columns, programme.lp
    at = np.flatnonzero((c["kind"] == "short").to_numpy())
    at = at[lp.upper[at] > 0]
    d = lp.cost[at] - lp.matrix[:, at].T @ optimum.y
    at = at[np.abs(d) <= FACE_USD_T]
    if len(at) < 2:
        return at[:0]
    frame = pd.DataFrame(
        {
            "grade": c["key"].to_numpy()[at],
            "step": c["step"].to_numpy()[at],
            "priority_class": c["priority_class"].to_numpy()[at],
            "share": optimum.x[at] / lp.upper[at],
        }
    )
    share = frame.groupby(["grade", "step", "priority_class"])["share"]
    uneven = (share.transform("max") - share.transform("min")) > 1.0 / PARTS
    return at[uneven.to_numpy()]

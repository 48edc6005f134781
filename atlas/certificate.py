"""Prove an optimum without a solver: residuals and duality gap of a stored programme, and that flows are its own.

Nothing here imports the model. `check_arrays` is what every solve runs; the rest belongs to `--check`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from atlas.balances import ENDS, capacity_problems, flow_problems

__all__ = ["capacity_problems", "check_arrays", "flow_problems", "link_problems", "programme_certificate"]


def programme_certificate(
    cost: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    matrix: sparse.csc_matrix,
    row_lower: np.ndarray,
    row_upper: np.ndarray,
    offset: float,
    x: np.ndarray,
    y: np.ndarray,
) -> dict[str, float]:
    """Return primal_residual, dual_residual and gap of min cost @ x + offset with row and column bounds.

    Residuals are relative to 1 + max|finite rhs| and 1 + max|cost|, the gap to 1 + |objective|. The dual objective is
    a true lower bound: a reduced cost that no finite bound can carry counts as dual residual.
    """
    ax = matrix @ x
    miss = [row_lower - ax, ax - row_upper, lower - x, x - upper]
    primal = max((float(np.max(m[np.isfinite(m)], initial=0.0)) for m in miss), default=0.0)
    finite = np.concatenate([b[np.isfinite(b)] for b in (row_lower, row_upper)])
    d = cost - matrix.T @ y
    dual = max(_unbounded(d, lower, upper), _unbounded(y, row_lower, row_upper))
    bound = offset + _support(d, lower, upper) + _support(y, row_lower, row_upper)
    objective = float(cost @ x) + offset
    return {
        "primal_residual": primal / (1 + float(np.max(np.abs(finite), initial=0.0))),
        "dual_residual": dual / (1 + float(np.max(np.abs(cost), initial=0.0))),
        "gap": abs(objective - bound) / (1 + abs(objective)),
    }


def _unbounded(d: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> float:
    free_below = np.where(np.isfinite(lower), 0.0, np.maximum(d, 0.0))
    free_above = np.where(np.isfinite(upper), 0.0, np.maximum(-d, 0.0))
    return float(max(free_below.max(initial=0.0), free_above.max(initial=0.0)))


def _support(d: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> float:
    low, high = np.where(np.isfinite(lower), lower, 0.0), np.where(np.isfinite(upper), upper, 0.0)
    return float(np.sum(np.where(d > 0, d * low, d * high)))


def check_arrays(arrays: Mapping[str, Any]) -> dict[str, float]:
    """Return the certificate of one stored state (keys as `programme_arrays` writes them)."""
    matrix = _matrix(arrays)
    names = ("cost", "lower", "upper")
    c, low, high = (np.asarray(arrays[k], dtype=float) for k in names)
    rl, ru = np.asarray(arrays["row_lower"], dtype=float), np.asarray(arrays["row_upper"], dtype=float)
    return programme_certificate(
        c, low, high, matrix, rl, ru, float(arrays["offset"]), np.asarray(arrays["x"]), np.asarray(arrays["y"])
    )


def _matrix(arrays: Mapping[str, Any]) -> sparse.csc_matrix:
    shape = tuple(int(k) for k in arrays["matrix_shape"])
    return sparse.csc_matrix((arrays["matrix_data"], arrays["matrix_indices"], arrays["matrix_indptr"]), shape=shape)


def link_problems(
    arrays: Mapping[str, Any], f: pd.DataFrame, demand_t: float, shortage_t: float, *, lanes: bool = True
) -> list[str]:
    """Return where the flows of one state are not those of its stored programme, in words.

    The programme carries no names, but its shape tells: what must be met (rows with one positive right-hand side) is
    the demand, columns that meet it out of nothing are shortage, and equal columns are one lane's. With `lanes`, each
    lane of oxide and metal must be found among their sums.
    """
    matrix, x = _matrix(arrays), np.asarray(arrays["x"], dtype=float)
    low, high = np.asarray(arrays["row_lower"], dtype=float), np.asarray(arrays["row_upper"], dtype=float)
    due = (low == high) & (low > 0)
    problems = []
    if abs(low[due].sum() - demand_t) > 1e-5 * demand_t + 1e-2:
        problems.append(f"the programme is to meet {low[due].sum():.6g} t, the summary tells of {demand_t:.6g} t")
    met = sparse.csr_matrix(due.astype(float)) @ matrix
    from_nothing = np.asarray(matrix.minimum(0.0).sum(axis=0)).ravel() == 0
    missing = float((np.asarray(met.todense()).ravel() * from_nothing) @ x)
    if abs(missing - shortage_t) > 1e-5 * shortage_t + 1e-2:
        problems.append(f"{missing:.6g} t are short in the programme, {shortage_t:.6g} t in the summary")
    if not lanes:
        return problems
    sums = _lane_sums(matrix, x)
    moved = f[f["commodity"].isin(["oxide", "metal"]) & ~f["to_id"].isin(ENDS)]
    t = moved.groupby(["commodity", "element", "from_id", "to_id"])["tonnes"].sum()
    near = np.searchsorted(sums, t.to_numpy())
    miss = np.minimum(
        np.abs(sums[np.clip(near, 0, len(sums) - 1)] - t), np.abs(sums[np.clip(near - 1, 0, len(sums) - 1)] - t)
    )
    lost = t[(miss > 1e-9 * t + 1e-5).to_numpy()]
    return problems + [
        f"{x:.9g} t of {e} {c} from {a} to {b} are no flow of the programme"
        for (c, e, a, b), x in lost.head(20).items()
    ]


def _lane_sums(matrix: sparse.csc_matrix, x: np.ndarray) -> np.ndarray:
    """Return the sum of x over each group of equal columns, sorted."""
    weight = np.random.default_rng(0).random(matrix.shape[0])  # equal columns have equal sums, others hardly
    marks = np.round(np.asarray(matrix.T @ weight), 12)
    _, group = np.unique(marks, return_inverse=True)
    return np.sort(np.bincount(group, x))

"""The price of scarcity: what one more tonne of a commodity is worth at a place, from the duals of the programme.

It is a marginal value in the programme's own terms - processing, freight, duty, friction, home and contract charges,
corrections, shortage penalties - not a market price. A price holds for small changes only, and at a kink for one
direction only: `holds` says for which. The baseline stands on kinks nearly everywhere, because new partners cost more
than old ones.
"""

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.linalg import splu
from threadpoolctl import threadpool_limits

from atlas.model import Skeleton
from atlas.solver import LinearProgramme, Optimum

# The row of a unit or market whose dual prices what comes in, by commodity.
PRICED_ROWS = {"concentrate": "ox", "oxide": "met", "metal": "mag", "magnet": "market", "scrap": "ox"}
_TOLERANCE = 1e-9


def prices(s: Skeleton, lp: LinearProgramme, optimum: Optimum, lanes: pd.DataFrame) -> pd.DataFrame:
    """Return commodity, element, grade, place (country), price_usd_t, holds and inflow t, one row a place.

    `lanes` are a reading's lanes with tonnes `t`. The price is that of a tonne delivered to the place's users, weighted
    by what they take; places that take nothing are left out, but for markets. `holds` is `both`, `more` (for one more
    tonne only), `less` or `neither`.
    """
    value, row = _values(s, optimum.y[: len(s.rows)])
    all_lanes = s.world.lanes
    taken = np.bincount(lanes["lane"], lanes["t"], minlength=len(all_lanes)) if len(lanes) else np.zeros(len(all_lanes))
    magnet = (all_lanes["commodity"] == "magnet").to_numpy()
    table = pd.DataFrame(
        {
            "commodity": all_lanes["commodity"],
            "element": all_lanes["element"],
            "grade": all_lanes["grade"].where(magnet, ""),
            "place": all_lanes["to_country"],
            "to_id": all_lanes["to_id"],
            "price": value,
            "row": row,
            "t": taken,
        }
    )
    used = table[(table["t"] > 0) | magnet].copy()
    # Concentrate of several mines and scrap of several grades meet in one place at prices of their own.
    used["weight"] = used["t"].where(used["t"] > 0, 1e-9)
    used["worth"] = used["price"] * used["weight"]
    keys = ["commodity", "element", "grade", "place"]
    up, down = kinks(lp, optimum, used["row"].to_numpy())
    used["up"], used["down"] = up, down
    g = used.groupby(keys, sort=True)
    sums = {k: (k, "sum") for k in ("worth", "weight", "t")}
    out = g.agg(**sums, up=("up", "any"), down=("down", "any"))
    out["price_usd_t"] = out["worth"] / out["weight"]
    out["holds"] = np.select(
        [out["up"] & out["down"], out["up"], out["down"]], ["neither", "less", "more"], "both"
    )  # a kink upward means that the price is known for less only
    return out.reset_index()[[*keys, "price_usd_t", "holds", "t"]]


def _values(s: Skeleton, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what a tonne on each lane is worth at its end, and the row that prices it (lanes,)."""
    m = s.lane_matrix
    lanes = s.world.lanes
    names = pd.Index(s.rows["a"].unique())
    row_name = names.get_indexer(s.rows["a"])
    end = names.get_indexer(lanes["to_id"])
    column = np.repeat(np.arange(m.shape[1]), np.diff(m.indptr))
    at_end = row_name[m.indices] == end[column]
    value = np.bincount(column[at_end], m.data[at_end] * y[m.indices[at_end]], minlength=m.shape[1])
    kind = s.rows["kind"].to_numpy(dtype=object)
    wanted = lanes["commodity"].map(PRICED_ROWS).to_numpy(dtype=object)
    # A unit that blends (alloy, powder) books metal in its own rows.
    prices_it = at_end & (
        (kind[m.indices] == wanted[column]) | ((wanted[column] == "mag") & (kind[m.indices] == "met"))
    )
    row = np.full(m.shape[1], -1, dtype=np.int64)
    row[column[prices_it]] = m.indices[prices_it]
    return value, row


def kinks(lp: LinearProgramme, optimum: Optimum, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each row number whether its dual fails for one more tonne, and for one less (bool arrays).

    A dual holds in a direction while the basis stays feasible along it: no basic variable that already lies on a bound
    may be pushed over it. Rows of -1 are at a kink both ways: nothing is known of them.
    """
    known = np.unique(rows[rows >= 0])
    basis = np.flatnonzero(optimum.basic)
    m = lp.matrix.shape[0]
    if len(basis) != m:
        everywhere = np.ones(len(rows), dtype=bool)
        return everywhere, everywhere.copy()
    square = sparse.hstack([lp.matrix, -sparse.identity(m)]).tocsc()[:, basis]
    activity = lp.matrix @ optimum.x
    x = np.concatenate([optimum.x, activity])[basis]
    low = np.concatenate([lp.lower, lp.row_lower])[basis]
    high = np.concatenate([lp.upper, lp.row_upper])[basis]
    scale = _TOLERANCE * (1 + np.abs(x))
    at_low, at_high = x - low <= scale, high - x <= scale
    factor = splu(square)
    # Threads of the dense kernels wait on each other for longer than the work takes.
    up: dict[int, bool] = {-1: True}
    down: dict[int, bool] = {-1: True}
    for start in range(0, len(known), 256):
        part = known[start : start + 256]
        unit = np.zeros((m, len(part)), order="F")  # SuperLU is several times slower on rows
        unit[part, np.arange(len(part))] = 1.0
        with threadpool_limits(1):
            step = factor.solve(unit)
        small = 1e-9 * np.maximum(np.abs(step).max(axis=0), 1.0)
        falls, rises = step < -small, step > small
        stuck_up = (falls & at_low[:, None]) | (rises & at_high[:, None])
        stuck_down = (rises & at_low[:, None]) | (falls & at_high[:, None])
        up |= dict(zip(part.tolist(), stuck_up.any(axis=0).tolist(), strict=True))
        down |= dict(zip(part.tolist(), stuck_down.any(axis=0).tolist(), strict=True))
    return np.array([up[r] for r in rows.tolist()]), np.array([down[r] for r in rows.tolist()])


_Prices = dict[str, dict[str, dict[str, float]]]
_Kinks = dict[str, dict[str, dict[str, str]]]


def nested(table: pd.DataFrame) -> tuple[_Prices, _Kinks]:
    """Return prices and kinks as {commodity: {element, grade or "all": {country: ...}}}; kinks where there is one."""
    price: _Prices = {}
    kink: _Kinks = {}
    for r in table.itertuples():
        what = str(r.element or r.grade or "all")
        price.setdefault(str(r.commodity), {}).setdefault(what, {})[str(r.place)] = float(r.price_usd_t)
        if r.holds != "both":
            kink.setdefault(str(r.commodity), {}).setdefault(what, {})[str(r.place)] = str(r.holds)
    return price, kink

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

_TOLERANCE = 1e-9


def prices(s: Skeleton, lp: LinearProgramme, optimum: Optimum, lanes: pd.DataFrame) -> pd.DataFrame:
    """Return commodity, element, grade, place (country), price_usd_t, holds and inflow t, one row a place.

    `lanes` are a reading's lanes with tonnes `t`. The price is that of a tonne delivered to the place's users, weighted
    by what they take; places that take nothing are left out, but for markets. `holds` is `both`, `more` (for one more
    tonne only), `less` or `neither`.
    """
    ends = _ends(s)
    all_lanes = s.world.lanes
    taken = np.bincount(lanes["lane"], lanes["t"], minlength=len(all_lanes)) if len(lanes) else np.zeros(len(all_lanes))
    magnet = (all_lanes["commodity"] == "magnet").to_numpy()
    table = pd.DataFrame(
        {
            "commodity": all_lanes["commodity"],
            "element": all_lanes["element"],
            "grade": all_lanes["grade"].where(magnet, ""),
            "place": all_lanes["to_country"],
            "what": all_lanes["mine"] + all_lanes["grade"],
            "to_id": all_lanes["to_id"],
            "price": ends.T @ optimum.y[: len(s.rows)],
            "t": taken,
        }
    )
    used = table[(table["t"] > 0) | magnet].copy()
    # Concentrate of several mines and scrap of several grades meet in one place at prices of their own.
    used["weight"] = used["t"].where(used["t"] > 0, 1e-9)
    used["worth"] = used["price"] * used["weight"]
    keys = ["commodity", "element", "grade", "place"]
    # Lanes that bring the same to one user are one direction.
    alike = used.groupby(["commodity", "element", "what", "to_id"], sort=False).ngroup().to_numpy()
    first = np.unique(alike, return_index=True)[1]
    up, down = kinks(lp, optimum, ends[:, used.index.to_numpy()[first]])
    used["up"], used["down"] = up[alike], down[alike]
    g = used.groupby(keys, sort=True)
    sums = {k: (k, "sum") for k in ("worth", "weight", "t")}
    out = g.agg(**sums, up=("up", "any"), down=("down", "any"))
    out["price_usd_t"] = out["worth"] / out["weight"]
    out["holds"] = np.select(
        [out["up"] & out["down"], out["up"], out["down"]], ["neither", "less", "more"], "both"
    )  # a kink upward means that the price is known for less only
    return out.reset_index()[[*keys, "price_usd_t", "holds", "t"]]


def _ends(s: Skeleton) -> sparse.csc_matrix:
    """Return what a tonne on each lane enters in the rows of the place where it ends (rows, lanes)."""
    m = s.lane_matrix
    names = pd.Index(s.rows["a"].unique())
    row_name = names.get_indexer(s.rows["a"])
    end = names.get_indexer(s.world.lanes["to_id"])
    column = np.repeat(np.arange(m.shape[1]), np.diff(m.indptr))
    at_end = row_name[m.indices] == end[column]
    return sparse.csc_matrix((m.data[at_end], (m.indices[at_end], column[at_end])), shape=m.shape)


def kinks(lp: LinearProgramme, optimum: Optimum, directions: sparse.csc_matrix) -> tuple[np.ndarray, np.ndarray]:
    """Return for each direction whether the duals fail for more along it, and whether for less (bool arrays).

    `directions` (rows, n) say what is wanted of each of the first rows. A dual holds in a direction while the basis
    stays feasible along it: no basic variable that already lies on a bound may be pushed over it. Where no basis is
    known, and for a direction of nothing, everything is a kink.
    """
    basis = np.flatnonzero(optimum.basic)
    m, n = lp.matrix.shape[0], directions.shape[1]
    up, down = np.ones(n, dtype=bool), np.ones(n, dtype=bool)
    if len(basis) != m:
        return up, down
    square = sparse.hstack([lp.matrix, -sparse.identity(m)]).tocsc()[:, basis]
    activity = lp.matrix @ optimum.x
    x = np.concatenate([optimum.x, activity])[basis]
    low = np.concatenate([lp.lower, lp.row_lower])[basis]
    high = np.concatenate([lp.upper, lp.row_upper])[basis]
    scale = _TOLERANCE * (1 + np.abs(x))
    at_low, at_high = (x - low <= scale)[:, None], (high - x <= scale)[:, None]
    factor = splu(square)
    some = np.flatnonzero(np.diff(directions.indptr))
    for start in range(0, len(some), 256):
        part = some[start : start + 256]
        wanted = np.zeros((m, len(part)), order="F")  # SuperLU is several times slower on rows
        wanted[: directions.shape[0]] = directions[:, part].toarray()
        # Threads of the dense kernels wait on each other for longer than the work takes.
        with threadpool_limits(1):
            step = factor.solve(wanted)
        small = 1e-9 * np.maximum(np.abs(step).max(axis=0), 1.0)
        falls, rises = step < -small, step > small
        up[part] = ((falls & at_low) | (rises & at_high)).any(axis=0)
        down[part] = ((rises & at_low) | (falls & at_high)).any(axis=0)
    return up, down


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

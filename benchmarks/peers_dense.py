"""The dense form: every plant sells to every demand row (country x sector x grade) that its grade may serve.

Made from a stated programme by taking its market rows away: a lane of magnets becomes one column for each demand row of
its own grade and of grades that may step to it, and a row for each demand row must be met, short by itself. Friction,
contracts and the home charge stay by plant and country x grade: where a lane's flow is in pieces, a row makes its
deliveries their sum.
"""

import dataclasses

import numpy as np
import pandas as pd
from scipy import sparse

from atlas.model import Programme
from atlas.solver import LinearProgramme
from atlas.world import World


def dense(world: World, programme: Programme, option_lane: np.ndarray, *, each_short: bool = False) -> LinearProgramme:
    """Return the dense form of a stated programme; `option_lane` (options,) is the lane of each of its options.

    What may take the next lower grade is capped by demand row. The rows of a class share what is short there, as in the
    market form; with `each_short` every row has steps of shortage of its own, and tiers must be of one market each.
    """
    lp, columns, lanes = programme.lp, programme.columns, world.lanes
    kind, option = columns["kind"].to_numpy(), columns["option"].to_numpy()
    lane = np.where((kind == "flow") & (option >= 0), option_lane[option], -1)
    sells = (lane >= 0) & (lanes["commodity"] == "magnet").to_numpy()[lane]
    shut = (kind == "flow") & (option < 0)  # a lane without a way: nothing is allowed on it
    kept = ~sells & ~shut & ~np.isin(kind, ["down", "up", "short"])
    elsewhere = (programme.rows["kind"] != "market").to_numpy()
    d = world.demand.reset_index(drop=True)

    piece = pd.DataFrame({"column": np.flatnonzero(sells), "lane": lane[sells]})
    piece["market"], piece["take"] = (lanes[c].to_numpy()[piece["lane"]] for c in ("to_id", "grade"))
    whole = piece.groupby("lane")["column"].transform("size") == 1
    straight = piece[whole].merge(_wants(world, d), on=["market", "take"])
    linked = piece[~whole].drop_duplicates("lane").merge(_wants(world, d), on=["market", "take"])
    link = pd.Index(piece.loc[~whole, "lane"].unique())
    cap = (d["demand_t"] * d["step_down_share"])[d["step_down_share"] > 0]
    cap_of = pd.Series(np.arange(len(cap)), index=cap.index)

    sizes = [int(elsewhere.sum()), len(d), len(link), len(cap)]
    at_demand, at_link, at_cap, rows = np.cumsum(sizes)
    n, m = len(straight), len(straight) + len(linked)
    delivered = pd.concat([straight, linked], ignore_index=True)
    down = np.flatnonzero((delivered["how"] == "down").to_numpy())
    entries = [
        (at_demand + delivered["row"], np.arange(m), 1.0),
        (at_link + link.get_indexer(linked["lane"]), np.arange(n, m), -1.0),
        (at_cap + cap_of[delivered["row"].to_numpy()[down]], down, 1.0),
    ]
    pieces = piece[~whole]
    short = _each_short(d, columns, lp) if each_short else _shared_short(d, columns, lp)
    old = lp.matrix.tocsr()[elsewhere].tocsc()
    matrix = sparse.hstack(
        [
            _below(old[:, kept], rows),
            _below(old[:, pieces["column"]], rows)
            + _entries([(at_link + link.get_indexer(pieces["lane"]), np.arange(len(pieces)), 1.0)], rows, len(pieces)),
            _below(sparse.hstack([old[:, straight["column"]], sparse.csc_matrix((sizes[0], len(linked)))]), rows)
            + _entries(entries, rows, m),
            _entries([(at_demand + short.row, short.column, short.weight)], rows, len(short.cost)),
        ]
    ).tocsc()
    of = lambda bound: [bound[kept], bound[pieces["column"]]]  # noqa: E731
    sold = np.concatenate([lp.cost[straight["column"]] + straight["extra"], linked["extra"]])
    cost = np.concatenate([*of(lp.cost), sold, short.cost])
    upper = [*of(lp.upper), np.full(m, np.inf), short.upper]
    need, zero = d["demand_t"].to_numpy(), np.zeros(len(link))
    return LinearProgramme(
        cost=cost,
        lower=np.zeros(len(cost)),
        upper=np.concatenate(upper),
        matrix=matrix,
        row_lower=np.concatenate([lp.row_lower[elsewhere], need, zero, np.full(len(cap), -np.inf)]),
        row_upper=np.concatenate([lp.row_upper[elsewhere], need, zero, cap.to_numpy()]),
        offset=lp.offset,
    )


@dataclasses.dataclass(frozen=True)
class _Short:
    """Columns of shortage: `cost` and `upper` of each; entries on demand rows as `row`, `column`, `weight`."""

    cost: np.ndarray
    upper: np.ndarray
    row: np.ndarray
    column: np.ndarray
    weight: np.ndarray


def _shared_short(d: pd.DataFrame, columns: pd.DataFrame, lp: LinearProgramme) -> _Short:
    """Return the programme's own columns of shortage, each spread over the demand rows of its tier."""
    tier = ["pool", "grade", "priority_class"]
    at = np.flatnonzero((columns["kind"] == "short").to_numpy())
    own = pd.DataFrame(columns.iloc[at][["unit", "key", "priority_class"]].to_numpy(), columns=tier)
    weight = d["demand_t"] / d.groupby(tier)["demand_t"].transform("sum")
    rows = d[tier].assign(row=np.arange(len(d)), weight=weight).astype({"priority_class": object})
    met = own.assign(column=np.arange(len(at))).merge(rows, on=tier)
    return _Short(lp.cost[at], lp.upper[at], *(met[c].to_numpy() for c in ("row", "column", "weight")))


def _each_short(d: pd.DataFrame, columns: pd.DataFrame, lp: LinearProgramme) -> _Short:
    """Return columns of shortage for each demand row by itself, in equal steps."""
    price = columns.assign(cost=lp.cost)[columns["kind"] == "short"].drop_duplicates(["priority_class", "step"])
    price = price.pivot(index="priority_class", columns="step", values="cost")
    n, k = len(d), price.shape[1]
    cost = price.loc[d["priority_class"]].to_numpy().ravel()
    upper = np.repeat(d["demand_t"].to_numpy() / k, k)
    return _Short(cost, upper, np.repeat(np.arange(n), k), np.arange(n * k), np.ones(n * k))


def _wants(world: World, d: pd.DataFrame) -> pd.DataFrame:
    """Return who may take what: market, grade taken, demand row, extra cost, and how (own, down, up)."""
    own = d.assign(take=d["grade"], extra=0.0, how="own")
    below, above = (d["grade"].map(dict(g)) for g in (world.grade_below, world.grade_above))
    down = d.assign(take=below, extra=world.parameters.get("step_down_usd_t", 0.0), how="down")
    up = d.assign(take=above, extra=world.parameters.get("step_up_usd_t", 0.0), how="up")
    whole = pd.concat([own, down[d["step_down_share"] > 0], up]).rename_axis("row").reset_index()
    return whole.dropna(subset=["take"])[["market", "take", "row", "extra", "how"]].astype({"take": object})


def _below(matrix: sparse.spmatrix, rows: int) -> sparse.csc_matrix:
    """Return a matrix with empty rows added below."""
    return sparse.vstack([matrix, sparse.csc_matrix((rows - matrix.shape[0], matrix.shape[1]))]).tocsc()


def _entries(
    parts: list[tuple[np.ndarray, np.ndarray, float | np.ndarray]], rows: int, columns: int
) -> sparse.csc_matrix:
    """Return a matrix from (rows, columns, value) of its parts."""
    r, c = (np.concatenate([np.asarray(p[k], dtype=np.int64) for p in parts]) for k in (0, 1))
    v = np.concatenate([np.broadcast_to(p[2], len(p[1])) for p in parts])
    return sparse.csc_matrix((v, (r, c)), shape=(rows, columns))

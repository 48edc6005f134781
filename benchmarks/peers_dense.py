"""The dense form: every plant sells to every demand row (country x sector x grade) that its grade may serve.

Made from a stated programme by taking its market rows away: a lane of magnets becomes one column for each demand row of
its own grade and of grades that may step to it, and a row for each demand row must be met, short by itself. Friction,
contracts and the home charge stay by plant and country x grade: where a lane's flow is in pieces, a row makes its
deliveries their sum.
"""

import numpy as np
import pandas as pd
from scipy import sparse

from atlas.model import Programme
from atlas.solver import LinearProgramme
from atlas.world import World


def dense(world: World, programme: Programme, option_lane: np.ndarray, *, by_row: bool = False) -> LinearProgramme:
    """Return the dense form of a stated programme; `option_lane` (options,) is the lane of each of its options.

    What may take the next lower grade is capped by market and grade, as in the market form; with `by_row` by demand
    row. Tiers of shortage must be of one market each.
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
    steps = d.index[d["step_down_share"] > 0]
    held = steps.to_numpy() if by_row else pd.MultiIndex.from_frame(d.loc[steps, ["market", "grade"]]).factorize()[0]
    cap = (d["demand_t"] * d["step_down_share"])[steps].groupby(held).sum()
    cap_of = pd.Series(cap.index.get_indexer(held), index=steps)

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
    price = columns.assign(cost=lp.cost)[kind == "short"].drop_duplicates(["priority_class", "step"])
    price = price.pivot(index="priority_class", columns="step", values="cost")
    k = price.shape[1]
    old = lp.matrix.tocsr()[elsewhere].tocsc()
    matrix = sparse.hstack(
        [
            _below(old[:, kept], rows),
            _below(old[:, pieces["column"]], rows)
            + _entries([(at_link + link.get_indexer(pieces["lane"]), np.arange(len(pieces)), 1.0)], rows, len(pieces)),
            _below(sparse.hstack([old[:, straight["column"]], sparse.csc_matrix((sizes[0], len(linked)))]), rows)
            + _entries(entries, rows, m),
            _entries([(at_demand + np.repeat(np.arange(len(d)), k), np.arange(len(d) * k), 1.0)], rows, len(d) * k),
        ]
    ).tocsc()
    of = lambda bound: [bound[kept], bound[pieces["column"]]]  # noqa: E731
    sold = np.concatenate([lp.cost[straight["column"]] + straight["extra"], linked["extra"]])
    cost = np.concatenate([*of(lp.cost), sold, price.loc[d["priority_class"]].to_numpy().ravel()])
    upper = [*of(lp.upper), np.full(m, np.inf), np.repeat(d["demand_t"].to_numpy() / k, k)]
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


def _entries(parts: list[tuple[np.ndarray, np.ndarray, float]], rows: int, columns: int) -> sparse.csc_matrix:
    """Return a matrix from (rows, columns, value) of its parts."""
    r, c = (np.concatenate([np.asarray(p[k], dtype=np.int64) for p in parts]) for k in (0, 1))
    v = np.concatenate([np.full(len(p[1]), p[2]) for p in parts])
    return sparse.csc_matrix((v, (r, c)), shape=(rows, columns))

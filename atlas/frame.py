"""The one programme, stated for any state of the world.

A `Frame` is the programme with nothing halted. A halt changes bounds and costs only, so the matrix is built once for a
world; just partial halts add rows, and routes beyond a lane's first add columns. Each lane's flow is split by price
into pieces: what is under contract, what else moved in the calibrated year, and what is new.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import sparse

from atlas.model import Baseline, Cap, Options, Programme, Skeleton, penalties
from atlas.solver import LinearProgramme
from atlas.world import World


@dataclass(frozen=True)
class Limits:
    """What a scenario takes away: `unit_lost` share of each unit's limit, `caps` over the options."""

    unit_lost: Mapping[str, float] = field(default_factory=dict)
    caps: Sequence[Cap] = ()


@dataclass(frozen=True)
class Frame:
    """The programme of a world with nothing halted.

    Columns: `new` pieces of all lanes, `old` pieces of lanes that moved something, `contract` pieces, then the
    skeleton's other columns. Arrays over lanes: `old_t`, `contract_t`, `friction_usd_t`, `breach_usd_t`,
    `correction_usd_t`, and `most_t`, more than a lane's origin can ever send: it never binds, but spares the solver
    columns without an end. `old` and `contract` number the lanes with such a piece; `group` numbers lanes by what they
    bring where, and from where. `limits` has normal_t and limit_t by unit; `other_cost` and `other_upper` run over the
    other columns.
    """

    skeleton: Skeleton
    limits: pd.DataFrame
    matrix: sparse.csc_matrix = field(repr=False)
    columns: pd.DataFrame = field(repr=False)
    old: np.ndarray
    contract: np.ndarray
    old_t: np.ndarray
    contract_t: np.ndarray
    friction_usd_t: np.ndarray
    breach_usd_t: np.ndarray
    correction_usd_t: np.ndarray
    other_cost: np.ndarray
    other_upper: np.ndarray
    row_lower: np.ndarray
    row_upper: np.ndarray
    offset: float
    unit_at: Mapping[str, np.ndarray]
    unit_of: Mapping[str, np.ndarray]
    most_t: np.ndarray
    group: tuple[np.ndarray, np.ndarray]


def frame(s: Skeleton, baseline: Baseline) -> Frame:
    """State the programme of `s` with the calibrated `baseline`, nothing halted, routes still to be priced."""
    world, u, other = s.world, s.world.units, s.other
    limits = unit_limits(world, baseline)
    x0 = np.array([baseline.lane_t.get(k, 0.0) for k in s.lane_key])
    contract_t = contracted(s, baseline, x0)
    old_t = x0 - contract_t
    old, contract = np.flatnonzero(old_t > 0), np.flatnonzero(contract_t > 0)
    breach = _by_commodity(world, "contract_charge_usd_t")

    kind = other["kind"].to_numpy()
    cost, upper = penalties(world, other), other["upper"].to_numpy(dtype=float).copy()
    correction = _unit_corrections(world, baseline)
    idle = u["stage"].map({k: world.parameter(f"idle_usd_t_{k}") for k in u["stage"].unique()}).to_numpy(dtype=float)
    process = u["process_usd_t"].to_numpy(dtype=float)
    premium = 1 + world.parameter("surge_premium_share")
    position = {str(i): k for k, i in enumerate(u.index)}
    at = {name: np.flatnonzero(kind == name) for name in ("normal", "surge")}
    of = {name: np.array([position[x] for x in other["unit"].to_numpy()[at[name]]], dtype=np.int64) for name in at}
    cost[at["normal"]] = (process + correction - idle)[of["normal"]]
    cost[at["surge"]] = (process * premium + correction)[of["surge"]]
    cost[kind == "divert"] = world.parameter("home_charge_usd_t")
    cost[kind == "down"] = world.parameters.get("step_down_usd_t", 0.0)
    cost[kind == "up"] = world.parameters.get("step_up_usd_t", 0.0)
    for n in np.flatnonzero(kind == "make"):
        cost[n] += baseline.make_correction.get(f"{other.at[n, 'unit']}|{other.at[n, 'key']}", 0.0)

    row_lower, row_upper = s.row_lower.copy(), s.row_upper.copy()
    home = np.flatnonzero((s.rows["kind"] == "home").to_numpy())
    place = pd.MultiIndex.from_arrays([s.rows[c].to_numpy()[home] for c in ("a", "b")])
    row_lower[home] = home_sales(world, x0).reindex(place).fillna(0.0).to_numpy()
    stock = np.flatnonzero((s.rows["kind"] == "stock").to_numpy())
    row_upper[stock] = np.minimum(row_upper[stock], baseline.stock_t)

    most_t, upper = _most(world, limits, other, upper)
    lane = np.concatenate([np.arange(len(x0)), old, contract])
    piece = np.repeat(["new", "old", "contract"], [len(x0), len(old), len(contract)])
    columns = pd.concat(
        [
            pd.DataFrame({"kind": "flow", "unit": "", "key": piece, "option": -1, "step": -1, "priority_class": 0}),
            other[["kind", "unit", "key", "step", "priority_class"]].assign(option=-1),
        ],
        ignore_index=True,
    )
    return Frame(
        skeleton=s,
        limits=limits,
        matrix=sparse.hstack([s.lane_matrix[:, lane], s.other_matrix]).tocsc(),
        columns=columns,
        old=old,
        contract=contract,
        old_t=old_t,
        contract_t=contract_t,
        friction_usd_t=_friction(world),
        breach_usd_t=breach,
        correction_usd_t=np.array([baseline.lane_correction.get(k, 0.0) for k in s.lane_key]),
        other_cost=cost,
        other_upper=upper,
        row_lower=row_lower,
        row_upper=row_upper,
        offset=float((idle * limits["normal_t"].to_numpy()).sum() + (breach * contract_t).sum()),
        unit_at=at,
        unit_of=of,
        most_t=most_t,
        group=_groups(world),
    )


def state(f: Frame, options: Options, limits: Limits | None = None) -> Programme:
    """State the programme with each lane on its `options`, and with `limits` taken away.

    A lane without an option stays in the programme with nothing allowed on it, so that all states are of one shape.
    """
    limits = limits or Limits()
    s, n = f.skeleton, len(f.old_t)
    legal = np.flatnonzero(~options.detour) if options.detour is not None else np.arange(len(options.lane))
    lanes_used, at = np.unique(options.lane[legal], return_index=True)
    at = legal[at]
    first = np.full(n, -1, dtype=np.int64)
    first[lanes_used] = at
    more = np.setdiff1d(np.arange(len(options.lane)), at)
    lane_cost = np.where(first >= 0, options.cost_usd_t[first] * s.tie + f.correction_usd_t, 0.0)
    open_lane = first >= 0
    fresh = np.where(open_lane, f.most_t, 0.0)

    upper = [fresh, (f.old_t * open_lane)[f.old], (f.contract_t * open_lane)[f.contract]]
    cost = [
        lane_cost + f.friction_usd_t,
        lane_cost[f.old],
        (lane_cost - f.breach_usd_t)[f.contract],
    ]
    option = [first, first[f.old], first[f.contract], np.full(len(f.other_cost), -1, dtype=np.int64)]
    other_upper = f.other_upper.copy()
    lost = np.array([limits.unit_lost.get(str(i), 0.0) for i in f.limits.index])
    allowed = (1 - lost) * f.limits["limit_t"].to_numpy()
    normal = np.minimum(f.limits["normal_t"].to_numpy(), allowed)
    other_upper[f.unit_at["normal"]] = normal[f.unit_of["normal"]]
    other_upper[f.unit_at["surge"]] = (allowed - normal)[f.unit_of["surge"]]
    matrix, columns, rows = f.matrix, f.columns, s.rows
    row_lower, row_upper = f.row_lower, f.row_upper
    cost.append(f.other_cost)
    upper.append(other_upper)
    if len(more):
        extra = _more_routes(f, options, more)
        matrix = sparse.bmat([[matrix, extra.own], [extra.base, extra.shared]]).tocsc()
        cost.append(extra.cost)
        upper.append(extra.upper)
        option.append(extra.option)
        columns = pd.concat([columns, extra.columns], ignore_index=True)
        rows = pd.concat([rows, extra.rows], ignore_index=True)
        row_lower = np.concatenate([row_lower, np.full(len(extra.rows), -np.inf)])
        row_upper = np.concatenate([row_upper, extra.row_upper])
    options_of_columns = np.concatenate(option)
    if limits.caps:
        flowing = np.flatnonzero(options_of_columns >= 0)
        lines = []
        for cap in limits.caps:
            hit = flowing[cap.mask[options_of_columns[flowing]]]
            lines.append(sparse.csr_matrix((np.ones(len(hit)), (np.zeros(len(hit), dtype=np.int64), hit)),
                                           shape=(1, len(options_of_columns))))  # fmt: skip
        matrix = sparse.vstack([matrix, *lines]).tocsc()
        named = pd.DataFrame({"kind": "cap", "a": [c.name for c in limits.caps], "b": ""})
        rows = pd.concat([rows, named], ignore_index=True)
        row_lower = np.concatenate([row_lower, np.full(len(limits.caps), -np.inf)])
        row_upper = np.concatenate([row_upper, [c.limit_t for c in limits.caps]])
    lp = LinearProgramme(
        cost=np.concatenate(cost),
        lower=np.zeros(len(options_of_columns)),
        upper=np.concatenate(upper),
        matrix=matrix,
        row_lower=row_lower,
        row_upper=row_upper,
        offset=f.offset,
        first=_first_columns(f, np.where(open_lane, lane_cost, np.inf), len(options_of_columns)),
    )
    return Programme(lp, columns.assign(option=options_of_columns), rows)


# Of each grade or element, a place starts with this many of its cheapest sources, in China and elsewhere.
FIRST_SOURCES = 3


def _first_columns(f: Frame, lane_cost: np.ndarray, columns: int) -> np.ndarray:
    """Return the columns to start with: all but new lanes of metal and magnets that hardly pay (columns,)."""
    first = np.ones(columns, dtype=bool)
    n = len(lane_cost)
    into, out = f.group
    first[:n] = (f.old_t + f.contract_t > 0) | (into < 0)
    first[:n] |= (_rank(into, lane_cost) < FIRST_SOURCES) | (_rank(out, lane_cost) < 1)
    return first


def _rank(group: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """Return the place of each entry in its group by cost, from 0."""
    order = np.lexsort((cost, group))
    starts = np.flatnonzero(np.r_[True, np.diff(group[order]) != 0])
    rank = np.empty(len(cost), dtype=np.int64)
    rank[order] = np.arange(len(cost)) - np.repeat(starts, np.diff(np.r_[starts, len(cost)]))
    return rank


def _groups(world: World) -> tuple[np.ndarray, np.ndarray]:
    """Return lanes of metal and magnets numbered by (what, destination, from China or not) and by (what, origin)."""
    lanes = world.lanes
    names = ("commodity", "element", "grade", "to_id", "from_id")
    code = {c: pd.factorize(lanes[c])[0].astype(np.int64) for c in names}
    many = lanes["commodity"].isin(["metal", "magnet"]).to_numpy()
    home = (lanes["from_country"] == "CHN").to_numpy().astype(np.int64)
    what = (code["commodity"] * 100 + code["element"]) * 100 + code["grade"]
    into = (what * 2 + home) * 100_000 + code["to_id"]
    out = what * 100_000 + code["from_id"]
    return np.where(many, into, -1), np.where(many, out, -1)


def _most(world: World, limits: pd.DataFrame, other: pd.DataFrame, upper: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return more than each lane's origin can send (lanes,), and the columns' upper bounds with what units can do."""
    most = limits["limit_t"].to_dict() | world.markets["eol_reo_t"].to_dict()
    for r in world.releases:
        for place, _, t, _ in r.columns:
            if place in most:
                most[place] += t
    room = {k: 1.01 * float(t) + 1 for k, t in most.items()}
    own = other["unit"].map(lambda i: room.get(i, np.inf)).to_numpy(dtype=float)
    bounded = other["kind"].isin(["make", "loss", "surplus", "divert", "stock"]).to_numpy()
    return world.lanes["from_id"].map(room).to_numpy(dtype=float), np.where(bounded, np.minimum(upper, own), upper)


@dataclass(frozen=True)
class _More:
    """Columns of routes beyond a lane's first, and the rows that hold a lane's pieces over all its routes."""

    own: sparse.csc_matrix
    base: sparse.csr_matrix
    shared: sparse.csr_matrix
    cost: np.ndarray
    upper: np.ndarray
    option: np.ndarray
    columns: pd.DataFrame
    rows: pd.DataFrame
    row_upper: np.ndarray


def _more_routes(f: Frame, options: Options, more: np.ndarray) -> _More:
    s, n = f.skeleton, len(f.old_t)
    lane = options.lane[more]
    route_cost = options.cost_usd_t[more] * s.tie[lane] + f.correction_usd_t[lane]
    legal = ~options.detour[more] if options.detour is not None else np.ones(len(more), dtype=bool)
    pieces = [("new", np.arange(len(more)), route_cost + f.friction_usd_t[lane], np.full(len(more), np.inf))]
    rows: list[tuple[str, str]] = []
    row_upper: list[float] = []
    at_base: list[tuple[int, int]] = []
    at_own: list[tuple[int, int]] = []
    start = len(more)
    for name, t, place, breach in (
        ("old", f.old_t, f.old, 0.0),
        ("contract", f.contract_t, f.contract, f.breach_usd_t[lane]),
    ):
        which = np.flatnonzero(legal & (t[lane] > 0))
        pieces.append((name, which, (route_cost - breach)[which], t[lane][which]))
        for k in np.unique(lane[which]):
            row = len(rows)
            rows.append((name, str(s.lane_key[k])))
            row_upper.append(t[k])
            offset = n + (0 if name == "old" else len(f.old))
            at_base.append((row, offset + int(np.searchsorted(place, k))))
            at_own += [(row, start + int(j)) for j in np.flatnonzero(lane[which] == k)]
        start += len(which)
    chosen = np.concatenate([p[1] for p in pieces])
    base = np.array(at_base, dtype=np.int64).reshape(-1, 2)
    own = np.array(at_own, dtype=np.int64).reshape(-1, 2)
    return _More(
        own=s.lane_matrix[:, lane[chosen]],
        base=sparse.csr_matrix((np.ones(len(base)), (base[:, 0], base[:, 1])), shape=(len(rows), f.matrix.shape[1])),
        shared=sparse.csr_matrix((np.ones(len(own)), (own[:, 0], own[:, 1])), shape=(len(rows), len(chosen))),
        cost=np.concatenate([p[2] for p in pieces]),
        upper=np.concatenate([p[3] for p in pieces]),
        option=more[chosen],
        columns=pd.DataFrame(
            {
                "kind": "flow",
                "unit": "",
                "key": np.repeat([p[0] for p in pieces], [len(p[1]) for p in pieces]),
                "option": -1,
                "step": -1,
                "priority_class": 0,
            }
        ),  # fmt: skip
        rows=pd.DataFrame([("piece", b, a) for a, b in rows], columns=["kind", "a", "b"]),
        row_upper=np.array(row_upper, dtype=float),
    )


def unit_limits(world: World, baseline: Baseline) -> pd.DataFrame:
    """Return normal_t and limit_t by unit: baseline output, and with surge but never above nameplate.

    A unit absent from the calibrated year, or changed since, is normal at the output its row says.
    """
    u = world.units
    calibrated = {k: v for k, v in baseline.unit_t.items() if not (k in u.index and u.at[k, "changed"])}
    normal = np.array(
        [calibrated.get(str(i), t if np.isfinite(t) else 0.0) for i, t in zip(u.index, u["target_t"], strict=True)]
    )
    capacity = u["capacity_t"].to_numpy(dtype=float)
    surge = u["stage"].map({k: surge_share(world, k) for k in u["stage"].unique()}).to_numpy(dtype=float)
    limit = np.minimum(capacity, normal * (1 + surge))
    return pd.DataFrame({"normal_t": normal, "limit_t": np.maximum(limit, normal)}, index=u.index)


def surge_share(world: World, stage: str) -> float:
    """Return how far above its normal output a unit of `stage` can go, as a share of it."""
    return world.parameters.get(f"surge_share_{stage}", world.parameter("surge_share"))


def contracted(s: Skeleton, baseline: Baseline, x0: np.ndarray) -> np.ndarray:
    """Return the part of each lane's calibrated flow that is under contract, t (lanes,).

    By default a share of it by commodity; named contracts hold whole.
    """
    share = _by_commodity(s.world, "contract_share")
    named = np.array([baseline.contract_t.get(k, 0.0) for k in s.lane_key])
    return np.minimum(np.maximum(share * x0, named), x0)


def home_sales(world: World, x0: np.ndarray) -> pd.Series:
    """Return each plant's magnet sales inside its country in the calibrated year, t by unit and grade."""
    lanes = world.lanes
    inside = ((lanes["commodity"] == "magnet") & (lanes["from_country"] == lanes["to_country"])).to_numpy()
    return pd.Series(x0[inside]).groupby([lanes[c].to_numpy()[inside] for c in ("from_id", "grade")]).sum()


def _by_commodity(world: World, name: str) -> np.ndarray:
    """Return the parameter `name_COMMODITY` of each lane, 0 where there is none (lanes,)."""
    commodity = world.lanes["commodity"]
    value = {c: world.parameters.get(f"{name}_{c}", 0.0) for c in commodity.unique()}
    return commodity.map(value).to_numpy(dtype=float)


def _unit_corrections(world: World, baseline: Baseline) -> np.ndarray:
    u = world.units
    own = pd.Series([baseline.unit_correction.get(str(i), np.nan) for i in u.index], index=u.index)
    mean = own.groupby([u["stage"], u["country"]]).transform("mean")
    return own.fillna(mean).fillna(0.0).to_numpy(dtype=float)


def _friction(world: World) -> np.ndarray:
    lanes, u = world.lanes, world.units
    per_t = _by_commodity(world, "friction_usd_t")
    new = set(u.index[u["new"]])
    fresh = lanes["from_id"].isin(new) | lanes["to_id"].isin(new)
    return np.where(fresh, 0.0, per_t)

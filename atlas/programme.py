"""From skeleton, routes and halts to the two programmes: the one that calibrates and the one that answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import sparse

from atlas.model import Baseline, Cap, Options, Programme, Skeleton, penalties
from atlas.solver import LinearProgramme, Optimum
from atlas.world import World


@dataclass(frozen=True)
class Limits:
    """What a scenario takes away: `unit_lost` share of each unit's limit, `caps` over the options."""

    unit_lost: Mapping[str, float] = field(default_factory=dict)
    caps: Sequence[Cap] = ()


def feed_correction(world: World) -> np.ndarray:
    """Return the calibration charge on lanes that leave the named feeds of their origin, USD/t (lanes,)."""
    u, lanes = world.units, world.lanes
    charge = world.parameter("target_weight_usd_t_feed")
    closed = {str(i): set(f) for i, f, o in zip(u.index, u["feeds"], u["feeds_open"], strict=True) if f and not o}
    plain = lanes["commodity"].isin(["concentrate", "oxide", "metal"])
    off = [i in closed and j not in closed[i] for i, j in zip(lanes["from_id"], lanes["to_id"], strict=True)]
    return np.where(plain & np.array(off, dtype=bool), charge, 0.0)


def target_mask(world: World, target: pd.Series, blocs: Mapping[str, frozenset[str]]) -> np.ndarray:
    """Return which lanes a target of trade or of a facility's oxide sales counts (bool over lanes)."""
    lanes = world.lanes
    mask = lanes["commodity"] == target["commodity"]
    if target["element"]:
        mask &= lanes["element"].isin(["Nd", "Pr"] if target["element"] == "NdPr" else [target["element"]])
    if target["facility"]:
        return (mask & (lanes["from_id"] == target["facility"])).to_numpy(dtype=bool)
    mask &= lanes["from_country"] != lanes["to_country"]
    for side, column in (("from_country", "from_country"), ("to", "to_country")):
        name = str(target[side])
        if name != "*":
            mask &= lanes[column].isin(blocs[name]) if name in blocs else lanes[column] == name
    return mask.to_numpy(dtype=bool)


def state_calibration(s: Skeleton, options: Options, blocs: Mapping[str, frozenset[str]]) -> Programme:
    """State the calibrating programme: real costs, capacities and soft targets; no friction, no surge.

    `columns` lists options, other columns, then `over`/`under` by target; rows of targets follow the skeleton's.
    """
    world, u = s.world, s.world.units
    keep = s.other["kind"].isin(["normal", "make", "loss", "surplus", "stock", "short"]).to_numpy()
    other = s.other[keep].reset_index(drop=True)
    other_matrix = s.other_matrix[:, keep]
    upper = other["upper"].to_numpy(dtype=float).copy()
    normal = (other["kind"] == "normal").to_numpy()
    upper[normal] = u.loc[other.loc[normal, "unit"], "capacity_t"].to_numpy(dtype=float)
    cost = penalties(world, other)
    cost[normal] = u.loc[other.loc[normal, "unit"], "process_usd_t"].to_numpy(dtype=float)
    lane_cost = options.cost_usd_t * s.tie[options.lane] + feed_correction(world)[options.lane]

    names, weights, goals = [], [], []
    lane_rows = [sparse.csr_matrix((0, len(options.lane)))]
    other_rows = [sparse.csr_matrix((0, len(other)))]
    at = {x: k for k, x in enumerate(other["unit"].where(normal, ""))}
    for i, unit in u.iterrows():
        if np.isfinite(unit["target_t"]):
            names.append(f"unit:{i}")
            kind = "carbonate" if unit["product"] == "carbonate" else unit["stage"]
            weights.append(world.parameter(f"target_weight_usd_t_{kind}"))
            goals.append(float(unit["target_t"]))
            lane_rows.append(sparse.csr_matrix((1, len(options.lane))))
            other_rows.append(sparse.csr_matrix(([1.0], ([0], [at[str(i)]])), shape=(1, len(other))))
    for name, t in world.targets.iterrows():
        if t["kind"] not in ("trade", "oxide") or t["role"] != "fitted":
            continue
        names.append(f"trade:{name}")
        weights.append(world.parameter(f"target_weight_usd_t_{t['kind']}"))
        goals.append(float(t["tonnes"]))
        mask = target_mask(world, t, blocs)[options.lane].astype(float)
        lane_rows.append(sparse.csr_matrix(mask[None, :]))
        other_rows.append(sparse.csr_matrix((1, len(other))))
    n = len(names)
    target_block = sparse.hstack([sparse.vstack(lane_rows), sparse.vstack(other_rows), -sparse.eye(n), sparse.eye(n)])
    main_block = sparse.hstack([s.lane_matrix[:, options.lane], other_matrix, sparse.csc_matrix((len(s.rows), 2 * n))])
    w = np.array(weights)
    columns = pd.concat(
        [
            pd.DataFrame({"kind": "flow", "unit": "", "key": "", "option": np.arange(len(options.lane))}),
            other[["kind", "unit", "key", "step", "priority_class"]].assign(option=-1),
            pd.DataFrame({"kind": ["over"] * n + ["under"] * n, "unit": names * 2, "key": "", "option": -1}),
        ],
        ignore_index=True,
    )
    lp = LinearProgramme(
        cost=np.concatenate([lane_cost, cost, w, w]),
        lower=np.zeros(len(columns)),
        upper=np.concatenate([np.full(len(options.lane), np.inf), upper, np.full(2 * n, np.inf)]),
        matrix=sparse.vstack([main_block, target_block]).tocsc(),
        row_lower=np.concatenate([s.row_lower, goals]),
        row_upper=np.concatenate([s.row_upper, goals]),
    )
    rows = pd.concat([s.rows, pd.DataFrame({"kind": "target", "a": names, "b": ""})], ignore_index=True)
    return Programme(lp, columns, rows)


def read_calibration(
    s: Skeleton, options: Options, p: Programme, optimum: Optimum, blocs: Mapping[str, frozenset[str]]
) -> Baseline:
    """Turn the calibrated optimum into baseline flows and fixed corrections (the duals of its targets)."""
    world = s.world
    n_rows = len(s.rows)
    pull = dict(zip(p.rows["a"][n_rows:], -optimum.y[n_rows:], strict=True))
    flows = optimum.x[: len(options.lane)]
    flows = np.where(flows > 1e-7, flows, 0.0)
    lane_t = {s.lane_key[k]: float(t) for k, t in zip(options.lane, flows, strict=True) if t > 0}
    lane_correction = feed_correction(world)
    for name, t in world.targets.iterrows():
        value = pull.get(f"trade:{name}", 0.0)
        if value:
            lane_correction = lane_correction + value * target_mask(world, t, blocs)
    unit_correction = {str(i): float(pull.get(f"unit:{i}", 0.0)) for i in world.units.index}
    kinds = p.columns["kind"]
    normal = (kinds == "normal").to_numpy()
    unit_t = dict(zip(p.columns.loc[normal, "unit"], np.maximum(optimum.x[normal], 0.0), strict=True))
    totals = sum(k.startswith("trade:") for k in pull)
    tuned = [
        f"{len(unit_correction)} unit outputs and {totals} trade and sales totals of 2024 held by cost corrections"
    ]
    for name, value in sorted(pull.items()):
        if abs(value) > 1:
            tuned.append(f"{name}: {value:+.0f} USD/t")
    tuned.append(
        f"lanes outside the named feeds of their origin: {world.parameter('target_weight_usd_t_feed'):+.0f} USD/t"
    )
    return Baseline(
        lane_t=lane_t,
        unit_t={k: float(v) for k, v in unit_t.items()},
        unit_correction=unit_correction,
        lane_correction={k: float(v) for k, v in zip(s.lane_key, lane_correction, strict=True) if v},
        stock_t=float(optimum.x[(kinds == "stock").to_numpy()].sum()),
        tuned=tuple(tuned),
    )


def unit_limits(world: World, baseline: Baseline) -> pd.DataFrame:
    """Return normal_t and limit_t by unit: baseline output, and with surge but never above nameplate.

    A unit absent from the calibrated year is normal at its ramped target.
    """
    u = world.units
    normal = np.array(
        [baseline.unit_t.get(str(i), t if np.isfinite(t) else 0.0) for i, t in zip(u.index, u["target_t"], strict=True)]
    )
    capacity = u["capacity_t"].to_numpy(dtype=float)
    limit = np.minimum(capacity, normal * (1 + world.parameter("surge_share")))
    return pd.DataFrame({"normal_t": normal, "limit_t": np.maximum(limit, normal)}, index=u.index)


def state(s: Skeleton, options: Options, baseline: Baseline, limits: Limits | None = None) -> Programme:
    """State the one programme for any state of the world, with `limits` taken away from it."""
    limits = limits or Limits()
    world, u, other = s.world, s.world.units, s.other
    unit = unit_limits(world, baseline)
    kind = other["kind"].to_numpy()
    upper = other["upper"].to_numpy(dtype=float).copy()
    cost = penalties(world, other)
    correction = _unit_corrections(world, baseline)
    idle = world.parameter("idle_usd_t")
    lost = np.array([limits.unit_lost.get(str(i), 0.0) for i in u.index])
    allowed = (1 - lost) * unit["limit_t"].to_numpy()
    first = np.minimum(unit["normal_t"].to_numpy(), allowed)
    process = u["process_usd_t"].to_numpy(dtype=float)
    position = {str(i): k for k, i in enumerate(u.index)}
    for name, bound, price in (
        ("normal", first, process + correction - idle),
        ("surge", allowed - first, process * (1 + world.parameter("surge_premium_share")) + correction),
    ):
        at = np.flatnonzero(kind == name)
        which = np.array([position[x] for x in other["unit"].to_numpy()[at]], dtype=np.int64)
        upper[at], cost[at] = bound[which], price[which]
    cost[kind == "divert"] = world.parameter("home_charge_usd_t")
    offset = idle * float(unit["normal_t"].sum())

    x0 = np.array([baseline.lane_t.get(k, 0.0) for k in s.lane_key])
    lane_correction = np.array([baseline.lane_correction.get(k, 0.0) for k in s.lane_key])
    friction = _friction(world)
    lane = options.lane
    route_cost = options.cost_usd_t * s.tie[lane] + lane_correction[lane]
    routes = np.bincount(lane, minlength=len(x0))
    split = (x0[lane] > 0) & (routes[lane] == 1)
    shared = (x0[lane] > 0) & (routes[lane] > 1)
    old = np.flatnonzero(split)
    shared_lanes = np.unique(lane[shared])
    flow_option = np.concatenate([np.arange(len(lane)), old])
    flow_cost = np.concatenate([route_cost + np.where(shared, 0.0, friction[lane]), route_cost[old]])
    flow_upper = np.concatenate([np.full(len(lane), np.inf), x0[lane[old]]])

    row_lower, row_upper = s.row_lower.copy(), s.row_upper.copy()
    home = np.flatnonzero((s.rows["kind"] == "home").to_numpy())
    row_upper[home] = foreign_sales(world, baseline, x0).reindex(s.rows["a"].to_numpy()[home]).fillna(0.0).to_numpy()
    stock = np.flatnonzero((s.rows["kind"] == "stock").to_numpy())
    row_upper[stock] = np.minimum(row_upper[stock], baseline.stock_t)

    n_flow, n_other, n_new = len(flow_option), len(other), len(shared_lanes)
    new_flow = sparse.csr_matrix(_selector(shared_lanes, lane)[:, flow_option] if n_new else (0, n_flow))
    blocks = [
        sparse.hstack([s.lane_matrix[:, lane[flow_option]], s.other_matrix, sparse.csc_matrix((len(s.rows), n_new))]),
        sparse.hstack([new_flow, sparse.csr_matrix((n_new, n_other)), -sparse.eye(n_new)]),
    ]
    for cap in limits.caps:
        line = sparse.csr_matrix(cap.mask[flow_option].astype(float)[None, :])
        blocks.append(sparse.hstack([line, sparse.csr_matrix((1, n_other + n_new))]))
    columns = pd.concat(
        [
            pd.DataFrame({"kind": "flow", "unit": "", "key": "", "option": flow_option}),
            other[["kind", "unit", "key", "step", "priority_class"]].assign(option=-1),
            pd.DataFrame({"kind": "new", "unit": "", "key": s.lane_key[shared_lanes], "option": -1}),
        ],
        ignore_index=True,
    )
    rows = pd.concat(
        [
            s.rows,
            pd.DataFrame({"kind": "new", "a": s.lane_key[shared_lanes], "b": ""}),
            pd.DataFrame({"kind": "cap", "a": [c.name for c in limits.caps], "b": ""}),
        ],
        ignore_index=True,
    )
    lp = LinearProgramme(
        cost=np.concatenate([flow_cost, cost, friction[shared_lanes]]),
        lower=np.zeros(n_flow + n_other + n_new),
        upper=np.concatenate([flow_upper, upper, np.full(n_new, np.inf)]),
        matrix=sparse.vstack(blocks).tocsc(),
        row_lower=np.concatenate([row_lower, np.full(n_new + len(limits.caps), -np.inf)]),
        row_upper=np.concatenate([row_upper, x0[shared_lanes], [c.limit_t for c in limits.caps]]),
        offset=offset,
    )
    return Programme(lp, columns, rows)


def foreign_sales(world: World, baseline: Baseline, x0: np.ndarray) -> pd.Series:
    """Return each plant's magnet sales outside its country in the calibrated year, t by unit."""
    lanes = world.lanes
    abroad = ((lanes["commodity"] == "magnet") & (lanes["from_country"] != lanes["to_country"])).to_numpy()
    return pd.Series(x0[abroad]).groupby(lanes["from_id"].to_numpy()[abroad]).sum()


def _selector(chosen: np.ndarray, lane: np.ndarray) -> sparse.csc_matrix:
    row = {int(k): r for r, k in enumerate(chosen)}
    hit = np.array([row.get(int(k), -1) for k in lane], dtype=np.int64)
    at = np.flatnonzero(hit >= 0)
    return sparse.csc_matrix((np.ones(len(at)), (hit[at], at)), shape=(len(chosen), len(lane)))


def _unit_corrections(world: World, baseline: Baseline) -> np.ndarray:
    u = world.units
    own = pd.Series([baseline.unit_correction.get(str(i), np.nan) for i in u.index], index=u.index)
    mean = own.groupby([u["stage"], u["country"]]).transform("mean")
    return own.fillna(mean).fillna(0.0).to_numpy(dtype=float)


def _friction(world: World) -> np.ndarray:
    lanes, u = world.lanes, world.units
    per_t = lanes["commodity"].map({c: world.parameter(f"friction_usd_t_{c}") for c in lanes["commodity"].unique()})
    new = set(u.index[u["new"]])
    fresh = lanes["from_id"].isin(new) | lanes["to_id"].isin(new)
    return per_t.where(~fresh, 0.0).to_numpy(dtype=float)

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
    # The target binds in the fit, not the nameplate: a unit full to the brim would have a dual of any size.
    room = np.fmax(u["capacity_t"], 1.05 * u["target_t"].fillna(0.0))
    upper[normal] = room.loc[other.loc[normal, "unit"]].to_numpy(dtype=float)
    cost = penalties(world, other)
    cost[normal] = u.loc[other.loc[normal, "unit"], "process_usd_t"].to_numpy(dtype=float)
    lane_cost = options.cost_usd_t * s.tie[options.lane] + feed_correction(world)[options.lane]

    targets = _targets(world, other, options, blocs)
    n = len(targets)
    slope, width = _penalty_steps(world, targets)
    steps = slope.shape[1]
    lane_block = sparse.vstack([sparse.csr_matrix((0, len(options.lane))), *(t.lanes for t in targets)])
    other_block = sparse.vstack([sparse.csr_matrix((0, len(other))), *(t.other for t in targets)])
    miss = sparse.kron(sparse.eye(n), np.ones((1, steps))) if n else sparse.csr_matrix((0, 0))
    target_block = sparse.hstack([lane_block, other_block, -miss, miss])
    empty = sparse.csc_matrix((len(s.rows), 2 * n * steps))
    main_block = sparse.hstack([s.lane_matrix[:, options.lane], other_matrix, empty])
    goals = np.array([t.goal for t in targets])
    names = [t.name for t in targets]
    columns = pd.concat(
        [
            pd.DataFrame({"kind": "flow", "unit": "", "key": "", "option": np.arange(len(options.lane))}),
            other[["kind", "unit", "key", "step", "priority_class"]].assign(option=-1),
            pd.DataFrame(
                {"kind": ["over"] * (n * steps) + ["under"] * (n * steps), "unit": "", "key": "", "option": -1}
            ),
        ],
        ignore_index=True,
    )
    lp = LinearProgramme(
        cost=np.concatenate([lane_cost, cost, slope.ravel(), slope.ravel()]),
        lower=np.zeros(len(columns)),
        upper=np.concatenate([np.full(len(options.lane), np.inf), upper, width.ravel(), width.ravel()]),
        matrix=sparse.vstack([main_block, target_block]).tocsc(),
        row_lower=np.concatenate([s.row_lower, goals]),
        row_upper=np.concatenate([s.row_upper, goals]),
    )
    rows = pd.concat([s.rows, pd.DataFrame({"kind": "target", "a": names, "b": ""})], ignore_index=True)
    return Programme(lp, columns, rows)


@dataclass(frozen=True)
class _Target:
    """One soft target: a row over options and one over the other columns, its goal, its full weight (USD/t)."""

    name: str
    lanes: sparse.csr_matrix
    other: sparse.csr_matrix
    goal: float
    size: float
    weight: float


# A miss is cheap at first and dear in the end, near a square: equal pulls then share a misfit, and the duals that
# become corrections are as small as the data allow instead of anything up to the weight.
_MISS_PARTS = np.array([0.001, 0.001, 0.002, 0.004, 0.012])
_MISS_SLOPES = np.array([0.01, 0.03, 0.08, 0.2, 0.45, 1.0])


def _penalty_steps(world: World, targets: Sequence[_Target]) -> tuple[np.ndarray, np.ndarray]:
    """Return slope (USD/t) and width (t) of each part of a miss, by target (n, parts)."""
    size = np.array([max(t.size, 1.0) for t in targets]).reshape(-1, 1)
    weight = np.array([t.weight for t in targets]).reshape(-1, 1)
    parts = np.append(_MISS_PARTS, np.inf).reshape(1, -1)
    return weight * _MISS_SLOPES, size * parts


def _targets(world: World, other: pd.DataFrame, options: Options, blocs: Mapping[str, frozenset[str]]) -> list[_Target]:
    u, lanes = world.units, world.lanes
    at = {(k, x, g): n for n, (k, x, g) in enumerate(zip(other["kind"], other["unit"], other["key"], strict=True))}
    none_lane = sparse.csr_matrix((1, len(options.lane)))
    none_other = sparse.csr_matrix((1, len(other)))

    def over_other(entries: Mapping[int, float]) -> sparse.csr_matrix:
        values, columns = list(entries.values()), list(entries)
        return sparse.csr_matrix((values, ([0] * len(values), columns)), shape=(1, len(other)))

    def over_lanes(mask: np.ndarray) -> sparse.csr_matrix:
        return sparse.csr_matrix(mask[options.lane].astype(float)[None, :])

    found = []
    mix_weight = world.parameters.get("target_weight_usd_t_mix", 0.0)
    exported = world.parameters.get("export_share_chn_magnet", 0.0)
    abroad = (lanes["commodity"] == "magnet") & (lanes["from_country"] != lanes["to_country"])
    for i, unit in u.iterrows():
        goal = float(unit["target_t"])
        normal = at["normal", str(i), ""]
        if np.isfinite(goal):
            kind = "carbonate" if unit["product"] == "carbonate" else unit["stage"]
            weight = world.parameter(f"target_weight_usd_t_{kind}")
            found.append(_Target(f"unit:{i}", none_lane, over_other({normal: 1.0}), goal, goal, weight))
        if unit["product"] != "sintered" or not np.isfinite(goal) or not mix_weight:
            continue
        if unit["country"] == "CHN" and exported:
            mask = (abroad & (lanes["from_id"] == i)).to_numpy()
            found.append(
                _Target(f"export:{i}", over_lanes(mask), over_other({normal: -exported}), 0.0, goal, mix_weight)
            )
        elif unit["country"] != "CHN":
            for g in unit["grades"]:
                share = world.parameters.get(f"grade_share_abroad_{g.lower()}")
                if share is not None:
                    row = over_other({at["make", str(i), g]: 1.0, normal: -share})
                    found.append(_Target(f"grade:{i}|{g}", none_lane, row, 0.0, goal, mix_weight))
    for name, t in world.targets.iterrows():
        if t["kind"] in ("trade", "oxide") and t["role"] == "fitted":
            weight = world.parameter(f"target_weight_usd_t_{t['kind']}")
            mask = over_lanes(target_mask(world, t, blocs))
            found.append(_Target(f"trade:{name}", mask, none_other, float(t["tonnes"]), float(t["tonnes"]), weight))
    return found


def read_calibration(
    s: Skeleton, options: Options, p: Programme, optimum: Optimum, blocs: Mapping[str, frozenset[str]]
) -> Baseline:
    """Turn the calibrated optimum into baseline flows and fixed corrections (the duals of its targets)."""
    world, lanes = s.world, s.world.lanes
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
    abroad = (lanes["commodity"] == "magnet") & (lanes["from_country"] != lanes["to_country"])
    exporter = lanes["from_id"].map({k.removeprefix("export:"): v for k, v in pull.items() if k.startswith("export:")})
    lane_correction = lane_correction + exporter.where(abroad, 0.0).fillna(0.0).to_numpy(dtype=float)
    make_correction = {k.removeprefix("grade:"): float(v) for k, v in pull.items() if k.startswith("grade:")}
    unit_correction = {}
    exported = world.parameters.get("export_share_chn_magnet", 0.0)
    for i, unit in world.units.iterrows():
        value = pull.get(f"unit:{i}", 0.0) - exported * pull.get(f"export:{i}", 0.0)
        for g in unit["grades"]:
            share = world.parameters.get(f"grade_share_abroad_{g.lower()}", 0.0)
            value -= share * make_correction.get(f"{i}|{g}", 0.0)
        unit_correction[str(i)] = float(value)
    kinds = p.columns["kind"]
    normal = (kinds == "normal").to_numpy()
    unit_t = dict(zip(p.columns.loc[normal, "unit"], np.maximum(optimum.x[normal], 0.0), strict=True))
    return Baseline(
        lane_t=lane_t,
        unit_t={k: float(v) for k, v in unit_t.items()},
        unit_correction=unit_correction,
        lane_correction={k: float(v) for k, v in zip(s.lane_key, lane_correction, strict=True) if v},
        make_correction=make_correction,
        stock_t=float(optimum.x[(kinds == "stock").to_numpy()].sum()),
        tuned=_tuned(world, pull),
    )


def _tuned(world: World, pull: Mapping[str, float]) -> tuple[str, ...]:
    """Say what was fitted: counts first, then each correction that matters, then the charge on unnamed partners."""
    count = {k: sum(x.startswith(k + ":") for x in pull) for k in ("unit", "trade", "grade", "export")}
    lines = [
        f"held by cost corrections at 2024: {count['unit']} unit outputs, {count['trade']} trade and sales totals, "
        f"{count['grade']} grade shares, {count['export']} export shares"
    ]
    lines += [f"{name}: {value:+.0f} USD/t" for name, value in sorted(pull.items()) if abs(value) > 1]
    feed = world.parameter("target_weight_usd_t_feed")
    return (*lines, f"lanes outside the named feeds of their origin: {feed:+.0f} USD/t")


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
    idle = u["stage"].map({k: world.parameter(f"idle_usd_t_{k}") for k in u["stage"].unique()}).to_numpy(dtype=float)
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
    for n in np.flatnonzero(kind == "make"):
        cost[n] += baseline.make_correction.get(f"{other.at[n, 'unit']}|{other.at[n, 'key']}", 0.0)
    offset = float((idle * unit["normal_t"].to_numpy()).sum())

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
    plants = s.rows["a"].to_numpy()[home]
    # A new plant breaks no promise to home buyers by selling abroad.
    promised = np.where(u.loc[plants, "new"].to_numpy(dtype=bool), np.inf, 0.0)
    row_upper[home] = foreign_sales(world, baseline, x0).reindex(plants).fillna(0.0).to_numpy() + promised
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

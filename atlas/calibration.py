"""The programme that calibrates: soft targets in, baseline flows and the cost corrections that hold them out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from atlas.model import Baseline, Options, Programme, Skeleton, penalties
from atlas.solver import LinearProgramme, Optimum
from atlas.world import World


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
        mask &= lanes["element"].isin(world.chain.of(str(target["element"])))
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
        for g in unit["grades"]:
            share = usual_share(world, str(unit["country"]), g)
            if share:
                row = over_other({at["make", str(i), g]: 1.0, normal: -share})
                found.append(_Target(f"grade:{i}|{g}", none_lane, row, 0.0, goal, mix_weight))
    for name, t in world.targets.iterrows():
        if t["kind"] in ("trade", "oxide") and t["role"] == "fitted":
            weight = world.parameter(f"target_weight_usd_t_{t['kind']}")
            mask = over_lanes(target_mask(world, t, blocs))
            found.append(_Target(f"trade:{name}", mask, none_other, float(t["value"]), float(t["value"]), weight))
    return found


def usual_share(world: World, country: str, grade: str) -> float:
    """Return the usual part of a grade in a sintered magnet plant of a country, 0 where none is known."""
    where = "chn" if country == "CHN" else "abroad"
    return world.parameters.get(f"grade_share_{where}_{grade.lower()}", 0.0)


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
            share = usual_share(world, str(unit["country"]), g)
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

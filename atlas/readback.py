"""From an optimum to tables: flows with their routes, balances closed, units, shortage by demand row."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from atlas.routing import Path
from atlas.solving import State
from atlas.world import World

# Tonnes below which a flow is the solver's rounding, not a shipment.
LEAST_FLOW_T = 1e-6
FLOW_COLUMNS: tuple[str, ...] = (
    "state", "commodity", "element", "grade", "from_id", "from_country", "to_id", "to_country", "tonnes", "distance_km",
    "days", "cost_usd_t", "passages", "ports", "borders", "route_id", "tariff_usd_t", "via",
)  # fmt: skip


@dataclass(frozen=True)
class Reading:
    """One state read back.

    `flows` has FLOW_COLUMNS without `state`; `lanes` the positive options with their lane columns and `t`; `units`
    (normal_t, limit_t, output_t, unit) by id; `demand` the world's demand rows with short_t; `paths` by route id;
    `make` finished magnets by (plant, grade); `spend_usd` freight, processing and tariffs.
    """

    flows: pd.DataFrame
    lanes: pd.DataFrame
    units: pd.DataFrame
    demand: pd.DataFrame
    make: pd.Series
    other: pd.DataFrame
    paths: Mapping[str, Path]
    spend_usd: float
    objective_usd: float


def read(world: World, state: State) -> Reading:
    """Read a solved state back into tables."""
    columns, x = state.programme.columns, state.optimum.x
    other = columns.assign(t=x)[(columns["kind"] != "flow").to_numpy()]
    other = other[other["t"] > LEAST_FLOW_T]
    option_t = state.option_t
    used = np.flatnonzero(option_t > LEAST_FLOW_T)
    lanes = world.lanes.iloc[state.routes.lane[used]].reset_index(drop=True)
    lanes["lane"], lanes["option"], lanes["t"] = state.routes.lane[used], used, option_t[used]
    paths: dict[str, Path] = {}
    lanes = pd.concat([lanes, _routes(state, used, paths)], axis=1)
    demand = _shortage(world, other)
    units = _units(world, state, other)
    make = other[other["kind"] == "make"].set_index(["unit", "key"])["t"]
    moved = pd.concat([lanes, _released(world, other)], ignore_index=True)
    flows = pd.concat([_flow_rows(world, moved, demand), _closing_rows(world, moved, other, make)], ignore_index=True)
    keys = ["commodity", "element", "grade", "from_id", "to_id", "route_id"]
    flows = flows.sort_values(keys, kind="stable").reset_index(drop=True)
    return Reading(
        flows=flows,
        lanes=lanes,
        units=units,
        demand=demand,
        make=make,
        other=other,
        paths=paths,
        spend_usd=_spend(world, lanes, units, other),
        objective_usd=state.optimum.objective,
    )


def _routes(state: State, used: np.ndarray, paths: dict[str, Path]) -> pd.DataFrame:
    rows = []
    for option in used.tolist():
        path = state.routes.path(option)
        route_id = path.route_id
        paths.setdefault(route_id, path)
        rows.append(
            (
                float(state.routes.distance_km[option]),
                float(state.routes.days[option]),
                float(state.routes.freight_usd_t[option]),
                float(state.routes.tariff_usd_t[option]),
                ";".join(path.passages),
                ";".join(path.ports),
                ";".join(path.borders),
                route_id,
                state.routes.hub(option),
            )
        )
    names = ["distance_km", "days", "cost_usd_t", "tariff_usd_t", "passages", "ports", "borders", "route_id", "via"]
    return pd.DataFrame(rows, columns=names)


def _released(world: World, other: pd.DataFrame) -> pd.DataFrame:
    """Return stock that is let go as lanes without a way: it lies where it is used."""
    rows = []
    of = {r.name: r for r in world.releases}
    country = world.units["country"].to_dict() | world.markets["country"].to_dict()
    for r in other[other["kind"] == "release"].itertuples():
        name, _, what = str(r.key).partition("|")
        commodity, place = of[name].commodity, str(r.unit)
        row: dict[str, object] = dict.fromkeys(("element", "grade", "mine", "passages", "ports", "borders"), "")
        row |= dict.fromkeys(("distance_km", "days", "cost_usd_t", "tariff_usd_t"), 0.0)
        row |= {"commodity": commodity, "from_id": name, "to_id": place, "t": float(r.t), "route_id": "", "via": ""}
        row |= {"from_country": of[name].country or country[place], "to_country": country[place], "lane": -1}
        kind = {"magnet": "grade", "concentrate": "mine"}.get(commodity, "element")
        rows.append(row | {kind: what})
    return pd.DataFrame(rows)


def _shortage(world: World, other: pd.DataFrame) -> pd.DataFrame:
    """Return demand rows with short_t, stepped_t (met by the next lower grade) and upped_t (met by a dearer one).

    Each class's shortage in a pool of markets falls on its demand rows pro rata (equal steps are equally short).
    """
    d = world.demand.copy()
    keys = ["pool", "grade", "priority_class"]
    short = other[other["kind"] == "short"].groupby(["unit", "key", "priority_class"])["t"].sum().rename("short")
    short.index.names = keys
    total = d.groupby(keys)["demand_t"].transform("sum")
    found = d[keys].merge(short.reset_index(), on=keys, how="left")["short"].fillna(0.0).to_numpy()
    d["short_t"] = np.minimum(found * (d["demand_t"] / total).to_numpy(), d["demand_t"].to_numpy())
    served = (d["demand_t"] - d["short_t"]).to_numpy()
    allowed = np.minimum((d["demand_t"] * d["step_down_share"]).to_numpy(), served)
    place = pd.MultiIndex.from_frame(d[["market", "grade"]])
    d["stepped_t"] = _fill(_by_place(other, "down", place), place, allowed, served)
    d["upped_t"] = _fill(_by_place(other, "up", place), place, served, served)
    return d


def _by_place(other: pd.DataFrame, kind: str, place: pd.MultiIndex) -> np.ndarray:
    """Return the tonnes of a kind of column at the (market, grade) of each demand row (rows,)."""
    part = other[other["kind"] == kind]
    return part.groupby(["unit", "key"])["t"].sum().reindex(place).fillna(0.0).to_numpy(dtype=float)


def _fill(t: np.ndarray, place: pd.MultiIndex, first: np.ndarray, most: np.ndarray) -> np.ndarray:
    """Spread tonnes of a place over its rows: pro rata up to `first`, what is left pro rata up to `most` (rows,)."""
    code = place.factorize()[0]
    first_sum, most_sum = (np.bincount(code, x)[code] for x in (first, most))
    t = np.minimum(t, most_sum)
    within = np.where(first_sum > 0, np.minimum(t / np.maximum(first_sum, 1e-300), 1.0), 0.0) * first
    rest = np.maximum(t - first_sum, 0.0) / np.maximum(most_sum - first_sum, 1e-300)
    return within + np.where(t > first_sum, rest, 0.0) * (most - first)


def _units(world: World, state: State, other: pd.DataFrame) -> pd.DataFrame:
    made = other[other["kind"].isin(["normal", "surge"])].groupby("unit")["t"].sum()
    u = state.limits.copy()
    u["output_t"] = made.reindex(u.index).fillna(0.0)
    stage = world.units["stage"]
    u["unit"] = stage.map(
        {"mine": "t_reo", "separation": "t_reo", "metal": "t_metal", "magnet": "t_magnet", "recycling": "t_reo"}
    )
    if state.restriction:
        kept = [1 - state.restriction.unit_lost.get(str(i), 0.0) for i in u.index]
        u["limit_t"] = u["limit_t"] * kept
    return u


def _flow_rows(world: World, lanes: pd.DataFrame, demand: pd.DataFrame) -> pd.DataFrame:
    route = ["distance_km", "days", "cost_usd_t", "tariff_usd_t", "passages", "ports", "borders", "via", "route_id"]
    ends = ["commodity", "element", "grade", "from_id", "from_country", "to_id", "to_country"]
    to_plant = lanes["to_id"].isin(world.units.index)
    plain = lanes[~lanes["commodity"].isin(["magnet", "scrap"]) | (to_plant & (lanes["commodity"] == "magnet"))]
    rows = [plain[[*ends, *route]].assign(tonnes=plain["t"])]
    scrap = lanes[lanes["commodity"] == "scrap"]
    for e in world.elements:
        part = scrap["t"] * world.scrap_mix.loc[scrap["grade"], e].to_numpy()
        rows.append(scrap[[*ends, *route]].assign(element=e, grade="", tonnes=part))
    magnets = lanes[lanes["commodity"] == "magnet"].drop(columns=["element"])
    own = demand.assign(served_t=demand["demand_t"] - demand["short_t"] - demand["stepped_t"] - demand["upped_t"])
    parts = [own]
    for column, to in (("stepped_t", world.grade_below), ("upped_t", world.grade_above)):
        part = demand[demand[column] > 0]
        parts.append(part.assign(served_t=part[column], grade=part["grade"].map(to)))
    served = pd.concat(parts, ignore_index=True)
    whole = served.groupby(["market", "grade"])["served_t"].transform("sum")
    served["part"] = (served["served_t"] / whole.where(whole > 0)).fillna(0.0)
    m = magnets.merge(
        served[["market", "grade", "demand_id", "part"]], left_on=["to_id", "grade"], right_on=["market", "grade"]
    )
    m = m.assign(element="", to_id=m["demand_id"], tonnes=m["t"] * m["part"])
    rows.append(m[[*ends, *route, "tonnes"]])
    f = pd.concat(rows, ignore_index=True)
    f = f.groupby([*ends, "route_id"], as_index=False, sort=False).agg(
        {**dict.fromkeys(route[:-1], "first"), "tonnes": "sum"}
    )
    return f[f["tonnes"] > LEAST_FLOW_T][[c for c in FLOW_COLUMNS if c != "state"]]


def _closing_rows(world: World, lanes: pd.DataFrame, other: pd.DataFrame, make: pd.Series) -> pd.DataFrame:
    """Make the rows to surplus, stock and loss that close each unit's balance."""
    rows: list[tuple[str, str, str, str, float]] = []
    for kind, commodity, end in (("surplus", "oxide", "surplus"), ("stock", "metal", "stock")):
        for r in other[other["kind"] == kind].itertuples():
            rows.append((commodity, str(r.key), str(r.unit), end, float(r.t)))
    for r in other[other["kind"] == "loss"].itertuples():
        for e in world.elements:
            rows.append(("scrap", e, str(r.unit), "loss", float(r.t) * float(world.scrap_mix.at[r.key, e])))
    u = world.units
    booked = u[
        (u["stage"].isin(["separation", "recycling"]) & (u["product"] != "carbonate")) | (u["product"] == "metal")
    ]
    # A maker's own stock is let go beside what it makes, and is no input of it.
    own = (lanes["lane"] == -1) & (lanes["commodity"] == lanes["to_id"].map(u["product"]))
    into, out = _element_flows(world, lanes[~own], "to_id"), _element_flows(world, lanes, "from_id")
    stock = lanes[own].pivot_table(index="to_id", columns="element", values="t", aggfunc="sum")
    kept = other[other["kind"].isin(["surplus", "stock"])].pivot_table(
        index="unit", columns="key", values="t", aggfunc="sum"
    )
    into, out, kept, stock = (
        x.reindex(index=booked.index, columns=list(world.elements)).fillna(0.0) for x in (into, out, kept, stock)
    )
    smelts = (booked["stage"] == "metal").to_numpy()
    left = into.to_numpy() * np.where(smelts[:, None], world.metal_per_oxide, 1.0) - out.to_numpy() - kept.to_numpy()
    left += stock.to_numpy()
    for n, i in enumerate(booked.index):
        rows += [
            ("metal" if smelts[n] else "oxide", e, str(i), "loss", float(left[n, k]))
            for k, e in enumerate(world.elements)
        ]
    f = pd.DataFrame(rows, columns=["commodity", "element", "from_id", "to_id", "tonnes"])
    f = f.groupby(["commodity", "element", "from_id", "to_id"], as_index=False)["tonnes"].sum()
    f = f[f["tonnes"] > LEAST_FLOW_T]
    f["from_country"] = f["from_id"].map(u["country"])
    f = f.assign(grade="", to_country="", passages="", ports="", borders="", route_id="", via="")
    for c in ("distance_km", "days", "cost_usd_t", "tariff_usd_t"):
        f[c] = 0.0
    return f[[c for c in FLOW_COLUMNS if c != "state"]]


def _element_flows(world: World, lanes: pd.DataFrame, side: str) -> pd.DataFrame:
    """Return tonnes of each element into or out of each unit (index id, columns `elements`), in the unit's own form."""
    moved = lanes[lanes["commodity"] != "magnet"]
    t, commodity = moved["t"].to_numpy(), moved["commodity"].to_numpy(dtype=object)
    parts = np.zeros((len(moved), len(world.elements)))
    ore, scrap = commodity == "concentrate", commodity == "scrap"
    parts[ore] = world.units.loc[moved.loc[ore, "mine"], list(world.elements)].to_numpy(dtype=float)
    parts[scrap] = world.scrap_mix.loc[moved.loc[scrap, "grade"], list(world.elements)].to_numpy(dtype=float)
    for k, e in enumerate(world.elements):
        parts[(moved["element"] == e).to_numpy(), k] = 1.0
    if side == "from_id":
        # A powder recycler's books are in oxide.
        powder = (commodity == "metal") & (moved["from_id"].map(world.units["stage"]) == "recycling").to_numpy()
        parts[powder] /= world.metal_per_oxide
    return pd.DataFrame(parts * t[:, None], columns=list(world.elements)).groupby(moved[side].to_numpy()).sum()


def _spend(world: World, lanes: pd.DataFrame, units: pd.DataFrame, other: pd.DataFrame) -> float:
    freight = float((lanes["t"] * (lanes["cost_usd_t"] + lanes["tariff_usd_t"])).sum())
    surge = other[other["kind"] == "surge"].set_index("unit")["t"].reindex(units.index).fillna(0.0)
    process = world.units["process_usd_t"]
    premium = world.parameter("surge_premium_share")
    return freight + float((process * (units["output_t"] + premium * surge)).sum())


def change_id(*parts: str) -> str:
    """Return a short stable id for a lane's change."""
    return "c" + hashlib.sha1("|".join(parts).encode()).hexdigest()[:12]


def changes(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Compare two states' flows lane by lane: lost, reduced, kept, grown or new, with the route to draw."""
    keys = ["from_id", "from_country", "to_id", "to_country", "commodity", "element", "grade"]

    def totals(flows: pd.DataFrame, name: str) -> pd.DataFrame:
        real = flows[flows["route_id"] != ""].sort_values("tonnes", ascending=False, kind="stable")
        return real.groupby(keys, sort=False).agg(**{name: ("tonnes", "sum"), f"{name}_route": ("route_id", "first")})

    c = totals(before, "baseline_t").join(totals(after, "halted_t"), how="outer").reset_index()
    c[["baseline_t", "halted_t"]] = c[["baseline_t", "halted_t"]].fillna(0.0)
    c["change_t"] = c["halted_t"] - c["baseline_t"]
    still = np.abs(c["change_t"]) <= np.maximum(1e-6 * c["baseline_t"], 1e-3)
    lost, fresh = c["halted_t"] <= 1e-6, c["baseline_t"] <= 1e-6
    c["kind"] = np.select([still, lost, fresh, c["change_t"] < 0], ["kept", "lost", "new", "reduced"], "grown")
    c["route_id"] = c["halted_t_route"].where(c["halted_t_route"].notna() & ~lost, c["baseline_t_route"])
    c["id"] = [
        change_id(*map(str, r))
        for r in c[["from_id", "to_id", "commodity", "element", "grade"]].itertuples(index=False)
    ]
    wanted = ["id", *keys, "baseline_t", "halted_t", "change_t", "kind", "route_id"]
    return (
        c[wanted]
        .sort_values(["commodity", "element", "grade", "from_id", "to_id"], kind="stable")
        .reset_index(drop=True)
    )

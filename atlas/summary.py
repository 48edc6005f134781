"""The figures of an answer: `solve --json`, who replaces whom, where a bloc's magnets come from, one sentence."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.linalg import spsolve

from atlas.readback import Reading
from atlas.world import STAGES, World, recipe_of


def rounded(value: Any, digits: int = 6) -> Any:
    """Return `value` with every float at `digits` significant digits, through dicts and lists."""
    if isinstance(value, Mapping):
        return {str(k): rounded(v, digits) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(v, digits) for v in value]
    if isinstance(value, (float, np.floating)):
        if not math.isfinite(value):
            return None
        return float(f"{float(value):.{digits}g}") + 0.0
    return int(value) if isinstance(value, np.integer) else value


def state_summary(world: World, r: Reading, bloc: frozenset[str], usgs_share: pd.Series) -> dict[str, Any]:
    """Return S of the contract for one state; `usgs_share` is USGS over atlas basis by mine."""
    moved = r.lanes["t"].sum()
    short = r.demand.assign(supplied_t=r.demand["demand_t"] - r.demand["short_t"])
    demand_t, shortage_t = float(short["demand_t"].sum()), float(short["short_t"].sum())
    inside = short[short["country"].isin(bloc)]
    output = stage_output(world, r)
    units = r.units.join(world.units[["stage", "country"]])
    mines = units[units["stage"] == "mine"]
    usgs = (mines["output_t"] * usgs_share.reindex(mines.index).fillna(1.0)).groupby(mines["country"]).sum()
    return {
        "status": "optimal",
        "objective_usd": r.objective_usd,
        "spend_usd": r.spend_usd,
        "unit_spend_usd_t": r.spend_usd / max(demand_t - shortage_t, 1e-9),
        "mean_days": float((r.lanes["t"] * r.lanes["days"]).sum() / moved) if moved else 0.0,
        "mean_km": float((r.lanes["t"] * r.lanes["distance_km"]).sum() / moved) if moved else 0.0,
        "demand_t": demand_t,
        "supplied_t": demand_t - shortage_t,
        "shortage_t": shortage_t,
        "shortage_by_country": _sums(short, "country", "short_t"),
        "shortage_by_sector": _sums(short, "sector", "short_t"),
        "shortage_by_grade": _sums(short, "grade", "short_t"),
        "step_down_by_grade": _sums(short, "grade", "stepped_t"),
        "step_up_by_grade": _sums(short, "grade", "upped_t"),
        "buyers": _buyers(world, r),
        "transshipped_t": _positive(r.lanes[r.lanes["via"] != ""].groupby("via")["t"].sum()),
        "released_t": _released(r.other),
        "bloc_supplied_share": _ratio(inside["supplied_t"].sum(), inside["demand_t"].sum()),
        "bloc_origin_share": origin_shares(world, r, bloc),
        "stage_output_t": {s: _positive(output[output["stage"] == s].groupby("country")["t"].sum()) for s in STAGES},
        "mine_output_usgs_t": _positive(usgs),
        "stage_output_element_t": _by_element(world, r),
        "imports_t": _imports(r.lanes),
        "imports_element_t": _imports(
            r.flows[r.flows["route_id"] != ""].rename(columns={"tonnes": "t"}), by_element=True
        ),
        "hhi": {s: _hhi(output[output["stage"] == s].groupby("country")["t"].sum()) for s in STAGES},
        "throughput_t": throughput(r.lanes),
    }


def _buyers(world: World, r: Reading) -> dict[str, dict[str, Any]]:
    """Return each buyer's demand, what it gets and from whom, and how far its magnets travel."""
    out = {}
    own = r.demand[r.demand["market"].isin(world.markets.index[world.markets["buyer"]])]
    for b in own.itertuples():
        got = r.lanes[(r.lanes["commodity"] == "magnet") & (r.lanes["to_id"] == b.market)]
        t = got["t"]
        out[str(b.demand_id)] = {
            "country": b.country,
            "sector": b.sector,
            "grade": b.grade,
            "priority_class": int(b.priority_class),
            "demand_t": float(b.demand_t),
            "supplied_t": float(b.demand_t - b.short_t),
            "shortage_t": float(b.short_t),
            "step_down_t": float(b.stepped_t),
            "by_supplier_t": _positive(t.groupby(got["from_id"]).sum()),
            "by_country_t": _positive(t.groupby(got["from_country"]).sum()),
            "from_stock_t": max(float(b.demand_t - b.short_t - t.sum()), 0.0),
            "mean_days": _ratio(float((t * got["days"]).sum()), float(t.sum())),
            "delivery_usd_t": _ratio(float((t * (got["cost_usd_t"] + got["tariff_usd_t"])).sum()), float(t.sum())),
        }
    return out


def _released(other: pd.DataFrame) -> dict[str, float]:
    """Return tonnes of stock let go, by release."""
    part = other[other["kind"] == "release"]
    return _positive(part["t"].groupby([str(k).partition("|")[0] for k in part["key"]]).sum())


def stage_output(world: World, r: Reading) -> pd.DataFrame:
    """Return output by unit in its stage's unit (stage, id, country, t); separation counts oxide drawn."""
    u = world.units
    lanes = r.lanes
    drawn = lanes[lanes["commodity"] == "oxide"].groupby("from_id")["t"].sum()
    rows = []
    for stage in STAGES:
        ids = u.index[u["stage"] == stage]
        if stage == "separation":
            ids = ids[u.loc[ids, "product"] == "oxide"]
            t = drawn.reindex(ids).fillna(0.0)
        elif stage == "metal":
            ids = ids[u.loc[ids, "product"] == "metal"]
            t = r.units.loc[ids, "output_t"]
        else:
            t = r.units.loc[ids, "output_t"]
        rows.append(
            pd.DataFrame({"stage": stage, "id": ids, "country": u.loc[ids, "country"].to_numpy(), "t": t.to_numpy()})
        )
    return pd.concat(rows, ignore_index=True)


def _by_element(world: World, r: Reading) -> dict[str, dict[str, dict[str, float]]]:
    u, lanes = world.units, r.lanes
    out: dict[str, dict[str, dict[str, float]]] = {s: {} for s in STAGES}
    mines = u.index[u["stage"] == "mine"]
    for e in world.elements:
        t = r.units.loc[mines, "output_t"] * u.loc[mines, e]
        out["mine"][e] = _positive(t.groupby(u.loc[mines, "country"]).sum())
        for stage, commodity, product in (
            ("separation", "oxide", "oxide"),
            ("metal", "metal", "metal"),
            ("recycling", "oxide", "oxide"),
        ):
            ids = u.index[(u["stage"] == stage) & (u["product"] == product)]
            part = lanes[lanes["from_id"].isin(ids) & (lanes["commodity"] == commodity) & (lanes["element"] == e)]
            made = part.groupby("from_country")["t"].sum()
            if stage == "metal":
                stored = r.other[(r.other["kind"] == "stock") & (r.other["key"] == e)]
                made = made.add(stored.groupby(stored["unit"].map(u["country"]))["t"].sum(), fill_value=0.0)
            out[stage][e] = _positive(made)
    made = r.make.rename("t").reset_index()
    made.columns = ["unit", "grade", "t"]
    recipe = [recipe_of(p) for p in made["unit"].map(u["product"])]
    content = world.recipes.reindex(pd.MultiIndex.from_arrays([recipe, made["grade"]]))
    country = made["unit"].map(u["country"]).to_numpy()
    for k in world.recipe_keys:
        out["magnet"][k] = _positive((made["t"] * content[k].to_numpy()).groupby(country).sum())
    return out


def _imports(lanes: pd.DataFrame, *, by_element: bool = False) -> dict[str, Any]:
    crossing = lanes[lanes["from_country"] != lanes["to_country"]]
    levels = ["to_country", "commodity"]
    if by_element:
        crossing = crossing[crossing["element"] != ""]
        levels.append("element")
    tree: dict[str, Any] = {}
    for key, t in crossing.groupby([*levels, "from_country"])["t"].sum().items():
        node = tree
        for k in key[:-1]:
            node = node.setdefault(k, {})
        node[key[-1]] = float(t)
    return tree


def throughput(lanes: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Return tonnes through each passage, port and border that carries any."""
    out: dict[str, dict[str, float]] = {}
    for kind, column in (("passage", "passages"), ("port", "ports"), ("border", "borders")):
        used = lanes[lanes[column] != ""]
        t = used.assign(thing=used[column].str.split(";")).explode("thing").groupby("thing")["t"].sum()
        out[kind] = _positive(t)
    return out


def origin_shares(world: World, r: Reading, bloc: frozenset[str]) -> dict[str, float]:
    """Return the part of the bloc's delivered magnets whose stage ran inside the bloc, by proportional trace.

    Shares follow the mass of the elements modelled; recycled material is traced through its loop, end-of-life scrap
    counts where it was collected, and recyclers count as the separation stage.
    """
    lanes, u = r.lanes, world.units
    delivered = lanes[(lanes["commodity"] == "magnet") & lanes["to_country"].isin(bloc)]
    if delivered.empty:
        return dict.fromkeys(("mine", "separation", "metal", "magnet"), 0.0)
    upstream = lanes[lanes["commodity"] != "magnet"].copy()
    upstream["mass"] = upstream["t"].where(upstream["commodity"] != "concentrate", 0.0)
    ore = upstream["commodity"] == "concentrate"
    basket = u.loc[upstream.loc[ore, "mine"], list(world.elements)].to_numpy(dtype=float).sum(axis=1)
    upstream.loc[ore, "mass"] = upstream.loc[ore, "t"].to_numpy() * basket
    nodes = pd.Index(sorted(set(upstream["from_id"]) | set(upstream["to_id"]) | set(delivered["from_id"])))
    a, b = nodes.get_indexer(upstream["from_id"]), nodes.get_indexer(upstream["to_id"])
    total = np.bincount(b, upstream["mass"], minlength=len(nodes))
    weight = upstream["mass"].to_numpy() / np.maximum(total[b], 1e-12)
    mix = sparse.csr_matrix((weight, (b, a)), shape=(len(nodes), len(nodes)))
    stage = pd.Series(nodes.map(u["stage"]), index=nodes)
    product = pd.Series(nodes.map(u["product"]), index=nodes)
    country = pd.Series(nodes.map(u["country"].to_dict() | world.markets["country"].to_dict()), index=nodes)
    source = {
        "mine": total <= 1e-12,
        "separation": (stage.isin(["separation", "recycling"]) & (product != "carbonate")).to_numpy()
        | (total <= 1e-12),
        "metal": ((stage == "metal") & (product == "metal")).to_numpy()
        | ((stage == "recycling") & (product != "oxide")).to_numpy()
        | (total <= 1e-12),
    }
    home = country.isin(bloc).to_numpy(dtype=float)
    sold = delivered.groupby("from_id")["t"].sum()
    part = sold / sold.sum()
    shares = {}
    for name, fixed in source.items():
        free = sparse.diags((~fixed).astype(float))
        values = spsolve((sparse.eye(len(nodes)) - free @ mix).tocsc(), np.where(fixed, home, 0.0))
        shares[name] = float((part * pd.Series(values, index=nodes).reindex(part.index)).sum())
    shares["magnet"] = float(part[[country[i] in bloc for i in part.index]].sum())
    return {k: min(max(v, 0.0), 1.0) for k, v in shares.items()}


def replaced(before: pd.DataFrame, after: pd.DataFrame) -> list[dict[str, Any]]:
    """Match each importer's lost tonnes to its gains, pro rata, by commodity (own country counts as a source)."""
    keys = ["to_country", "commodity", "from_country"]
    b, a = (x.groupby(keys)["t"].sum() for x in (before, after))
    change = a.sub(b, fill_value=0.0)
    rows = []
    for (importer, commodity), part in change.groupby(level=[0, 1]):
        d = part.droplevel([0, 1])
        gains, losses = d[d > 1e-3], -d[d < -1e-3]
        if gains.empty or losses.empty:
            continue
        matched = min(gains.sum(), losses.sum())
        for lost, x in losses.items():
            for found, y in gains.items():
                t = float(matched * x / losses.sum() * y / gains.sum())
                if t > 1e-3:
                    rows.append(
                        {
                            "importer": importer,
                            "commodity": commodity,
                            "from_country": lost,
                            "to_country": found,
                            "tonnes": t,
                        }
                    )
    return sorted(
        rows,
        key=lambda row: (-row["tonnes"], row["importer"], row["commodity"], row["from_country"], row["to_country"]),
    )


def sentence(baseline: Mapping[str, Any], halted: Mapping[str, Any], what: str, bloc: str) -> str:
    """Say an answer in one sentence with figures; `what` names what is halted, empty for the baseline."""
    inside, freight = "made inside it", "in freight, processing and duty"
    if not what:
        share = baseline["bloc_origin_share"]["magnet"]
        return (
            f"In 2024's pattern {baseline['supplied_t']:,.0f}\u00a0t of magnets a year reach their users over "
            f"{baseline['mean_km']:,.0f}\u00a0km on average; {share * 100:.0f}\u00a0% of what {bloc} buys is {inside}."
        )
    more = max(halted["shortage_t"] - baseline["shortage_t"], 0.0)
    extra = halted["unit_spend_usd_t"] - baseline["unit_spend_usd_t"]
    change = f"{abs(extra):,.0f}\u00a0USD ({abs(extra) / baseline['unit_spend_usd_t'] * 100:.1f}\u00a0%)"
    cost = f"a delivered tonne costs {change} {'more' if extra >= 0 else 'less'} {freight}"
    part = more / halted["demand_t"]
    short = f"{more:,.0f}\u00a0t of magnets a year stay short ({part * 100:.1f}\u00a0% of world demand)"
    met, origin = halted["bloc_supplied_share"], halted["bloc_origin_share"]["magnet"]
    return (
        f"With {what}, {short if more > 0.5 else 'no magnet stays short'}; {bloc} still gets "
        f"{met * 100:.0f}\u00a0% of its demand, {origin * 100:.0f}\u00a0% of it {inside}, and {cost}."
    )


def _sums(frame: pd.DataFrame, key: str, value: str) -> dict[str, float]:
    return {str(k): float(v) for k, v in frame.groupby(key)[value].sum().items() if v > 1e-6}


def _positive(series: pd.Series) -> dict[str, float]:
    return {str(k): float(v) for k, v in series.sort_index().items() if v > 1e-6}


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else 0.0


def _hhi(t: pd.Series) -> float:
    return float(((t / t.sum()) ** 2).sum()) if t.sum() > 0 else 0.0

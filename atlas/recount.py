"""Count again what a summary says, from flows and layers alone: demand met and missed, trade, traffic, output, cost."""

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from atlas.balances import ENDS, Chemistry, open_limits, outputs, own_stock
from atlas.chain import chain_of
from atlas.layers import Layers

DIGITS = 1e-5  # the summary is rounded to 6 significant digits
LEAST_T = 1e-2  # of sums over flows whose least are not written
EVEN_SHARE = 0.01  # equal buyers differ by at most a point
STAGES = ("mine", "separation", "metal", "magnet", "recycling")


def demand_rows(layers: Layers) -> pd.DataFrame:
    """Return the demand of each demand row in each grade.

    Columns: demand_id, country, sector, grade, demand_t, step_t (the part that may take the next lower grade),
    priority_class.
    """
    d = pd.DataFrame(layers.demand[["country", "sector", "demand_t"]]).rename_axis("demand_id").reset_index()
    d["material"] = layers.demand["material"].to_numpy() if "material" in layers.demand else ""
    shares = layers.sector_grades.reset_index().reindex(columns=["sector", "grade", "share", "step_down_share"])
    grade_of = chain_of(layers).materials  # a demand row may name a material; else its sector's grades say
    apart = d["material"].isin(list(grade_of))
    own = d[apart].assign(grade=d["material"].map(grade_of), share=1.0, step_down_share=0.0)
    d = pd.concat([d[~apart].merge(shares, on="sector"), own], ignore_index=True)
    d["demand_t"] = d["demand_t"].astype(float) * d["share"].astype(float)
    d["step_t"] = d["demand_t"] * d["step_down_share"].astype(float).fillna(0.0)
    d["priority_class"] = d["sector"].map(layers.sectors["priority_class"])
    return d.drop(columns=["share", "step_down_share", "material"])


def other_grades(layers: Layers) -> dict[str, tuple[str, bool]]:
    """Return which grade each grade's buyers may take instead, and whether all of them may (a better one) or a part."""
    found: dict[str, tuple[str, bool]] = {}
    for column, whole in (("steps_down_to", False), ("steps_up_to", True)):
        if column in layers.grades:
            found |= {str(g): (str(to), whole) for g, to in layers.grades[column].fillna("").items() if to}
    return found


def demand_problems(
    f: pd.DataFrame, layers: Layers, stated: Mapping[str, Any], *, plain: bool = True, ranked: bool = True
) -> list[str]:
    """Return where one state's deliveries and stated shortages do not make up the layers' demand, in words.

    Not `plain`: demand is not just that of the layers, so only what holds for any demand is judged. Not `ranked`: the
    layers' priority classes do not hold.
    """
    magnets = f[(f["commodity"] == "magnet") & ~own_stock(f, layers)]
    d = demand_rows(layers)
    sector = d.drop_duplicates("demand_id").set_index("demand_id")["sector"]
    delivered = magnets.assign(sector=magnets["to_id"].map(sector), country=magnets["to_country"])
    problems = []
    total, short_t = float(delivered["tonnes"].sum()), float(stated["shortage_t"])
    problems += _unlike("supplied_t", stated["supplied_t"], total, LEAST_T)
    problems += _unlike("demand_t", stated["demand_t"], total + short_t, LEAST_T)
    for by in ("country", "sector", "grade"):
        whole = sum(map(float, stated.get(f"shortage_by_{by}", {}).values()))
        problems += _unlike(f"the sum of shortage_by_{by}", whole, short_t, LEAST_T)
    if not plain:
        return problems
    problems += _unlike("demand_t", stated["demand_t"], float(d["demand_t"].sum()), LEAST_T)
    for by in ("country", "sector"):
        need, got = d.groupby(by)["demand_t"].sum(), delivered.groupby(by)["tonnes"].sum()
        short = pd.Series(stated.get(f"shortage_by_{by}", {}), dtype=float)
        for k in sorted(set(need.index) | set(got.index) | set(short.index)):
            found = float(need.get(k, 0.0)) - float(got.get(k, 0.0))
            problems += _unlike(f"shortage_by_{by} of {k}", short.get(k, 0.0), found, LEAST_T)
    told, taken = _grade_problems(d, delivered, layers, stated)
    keys = ["demand_id", "grade"]
    # A better grade may take a buyer's whole demand, a lower one only the part of it that may step down.
    all_may = [g for g, (_, whole) in other_grades(layers).items() if whole]
    may = d["demand_t"].where(d["grade"].isin(all_may), d["step_t"])
    instead = d.assign(demand_t=may, grade=d["grade"].map(taken)).dropna(subset=["grade"])
    need = pd.concat([d, instead]).groupby(keys)["demand_t"].sum()
    got = delivered.rename(columns={"to_id": "demand_id"}).groupby(keys)["tonnes"].sum()
    most = need.reindex(got.index).fillna(0.0)
    over = got > most * (1 + 1e-6) + LEAST_T
    told += [f"{' '.join(k)}: gets {got[k]:.6g} t of a demand of {most[k]:.6g} t" for k in got.index[over]]
    whole, all_got = d.groupby("demand_id")["demand_t"].sum(), got.groupby("demand_id").sum()
    over = all_got > whole.reindex(all_got.index).fillna(0.0) * (1 + 1e-6) + LEAST_T
    told += [f"{k}: gets {all_got[k]:.6g} t of a demand of {whole.get(k, 0.0):.6g} t" for k in all_got.index[over]]
    return problems + told + (_uneven(d, got, {*taken, *taken.values()}) if ranked else [])


def _grade_problems(
    d: pd.DataFrame, delivered: pd.DataFrame, layers: Layers, stated: Mapping[str, Any]
) -> tuple[list[str], dict[str, str]]:
    """Return where grades do not add up, and which grade was taken instead of another.

    What is met of a grade's demand and not delivered in it must have come in the grade that its buyers may take.
    """
    need, may = d.groupby("grade")["demand_t"].sum(), d.groupby("grade")["step_t"].sum()
    got, instead = delivered.groupby("grade")["tonnes"].sum(), other_grades(layers)
    short = stated.get("shortage_by_grade", {})
    left = sorted({*need.index, *got.index, *short})
    used = dict.fromkeys(left, 0.0)
    taken: dict[str, str] = {}
    problems = []
    while left:
        # First the grades that stand in for none that is still to come.
        behind = {instead[g][0] for g in left if g in instead}
        g = next((x for x in left if x not in behind), left[0])
        left.remove(g)
        whole, came = float(need.get(g, 0.0)), float(got.get(g, 0.0)) - used[g]
        other = whole - float(short.get(g, 0.0)) - came
        to, all_may = instead.get(g, ("", False))
        most = (whole if all_may else float(may.get(g, 0.0))) if to in used else 0.0
        slack = LEAST_T * 5 + DIGITS * whole
        if not -slack <= other <= most + slack:
            problems.append(
                f"shortage_by_grade of {g} is stated as {short.get(g, 0.0):.6g}, but of {whole:.6g} t needed "
                f"{came:.6g} t come, and {most:.6g} t may be of another grade"
            )
        if other > slack and to in used:
            taken[g] = to
            used[to] += other
    return problems, taken


def _uneven(d: pd.DataFrame, got: pd.Series, skip: Collection[str]) -> list[str]:
    """Return where buyers of one country, grade and class share a shortage unlike; grades of `skip` stay out."""
    t = d[(d["demand_t"] > 1.0) & ~d["grade"].isin(list(skip))].set_index(["demand_id", "grade"])
    share = (got.reindex(t.index).fillna(0.0) / t["demand_t"]).rename("share")
    by = share.to_frame().join(t).groupby(["country", "grade", "priority_class"])["share"]
    least, most = by.min(), by.max()
    return [
        f"buyers of {g} of class {k} in {c} share unlike: {least[c, g, k]:.3f} to {most[c, g, k]:.3f} of demand"
        for c, g, k in least.index[most - least > EVEN_SHARE]
    ]


def figure_problems(
    f: pd.DataFrame, layers: Layers, stated: Mapping[str, Any], *, bloc: Collection[str], judged: bool = True
) -> list[str]:
    """Return where the summary of one state says something else than its flows, in words.

    Not `judged`: some units or demands are not those of the layers, so only what flows alone tell is counted.
    """
    moved = f[~f["to_id"].isin(ENDS) & ~own_stock(f, layers)]
    sent = moved[moved["route_id"] != ""]
    t = sent["tonnes"]
    magnets = moved[moved["commodity"] == "magnet"]
    into = magnets[magnets["to_country"].isin(list(bloc))]
    made = into[into["from_id"].isin(layers.facilities.index)]  # not a stock's: nobody says where it was made
    inside = made.loc[made["from_country"].isin(list(bloc)), "tonnes"].sum()
    levels = ["to_country", "commodity", "element", "from_country"]
    found: dict[str, Any] = {
        "mean_days": float((t * sent["days"]).sum() / max(t.sum(), 1e-9)),
        "mean_km": float((t * sent["distance_km"]).sum() / max(t.sum(), 1e-9)),
        "imports_t": imports(moved, [k for k in levels if k != "element"]),
        "imports_element_t": imports(moved[moved["element"] != ""], levels),
        "throughput_t": {k: _traffic(moved, f"{k}s") for k in ("passage", "port", "border")},
    }
    least = {"mean_days": 1e-6, "mean_km": 1e-6, "bloc_origin_share": 2e-6}
    if judged:
        output = stage_outputs(f, layers)
        found["stage_output_t"] = {s: t.groupby("country")["t"].sum().to_dict() for s, t in output.items()}
        found["hhi"] = {s: _hhi(t.groupby("country")["t"].sum()) for s, t in output.items()}
        found["mine_output_usgs_t"] = _usgs(output["mine"], layers)
        found["stage_output_element_t"] = _by_element(f, layers)
        need = demand_rows(layers)
        whole = float(need.loc[need["country"].isin(list(bloc)), "demand_t"].sum())
        found["bloc_supplied_share"] = _part(into["tonnes"].sum(), whole)
        found["bloc_origin_share"] = {"magnet": _part(inside, made["tonnes"].sum())}
        least |= {"hhi": 2e-6, "bloc_supplied_share": 2e-6}
    problems: list[str] = []
    for name, value in found.items():
        if name in stated:
            for path, a, b in _pairs(stated[name], value, name):
                problems += _unlike(path, a, b, least.get(name, LEAST_T))
    return problems


def spend_problems(f: pd.DataFrame, layers: Layers, stated: Mapping[str, Any], units: pd.DataFrame) -> list[str]:
    """Return whether freight, tariffs and processing of one state come to another sum than stated.

    `units` has normal_t by id. Output above normal costs a premium; a magnet plant below normal may have paid it too,
    up to its surge, to sell more abroad, so the sum is known to within that.
    """
    moved = f[~f["to_id"].isin(ENDS)]
    freight = float((moved["tonnes"] * (moved["cost_usd_t"] + moved.get("tariff_usd_t", 0.0))).sum())
    fac, made = layers.facilities, outputs(f, layers)
    costs = layers.costs.set_index(["stage", "product", "country"])["cost_usd_t"].astype(float).to_dict()
    kind = zip(*(fac.loc[made.index, k].astype(str) for k in ("stage", "product", "country")), strict=True)
    process = pd.Series([costs.get(k, costs.get((*k[:2], "*"), math.nan)) for k in kind], index=made.index)
    normal = units["normal_t"].astype(float).reindex(made.index).fillna(0.0)
    above = (made - normal).clip(lower=0.0)
    room = (open_limits(layers, units).reindex(made.index).fillna(0.0) - normal).clip(lower=0.0)
    most = above.where(fac.loc[made.index, "stage"] != "magnet", np.minimum(room, made))
    premium = float(layers.parameters["surge_premium_share"])
    least, top = (freight + float((process * (made + premium * s)).sum()) for s in (above, np.maximum(most, above)))
    said = float(stated["spend_usd"])
    problems = []
    if not least * (1 - DIGITS) <= said <= top * (1 + DIGITS):
        problems.append(f"spend_usd is stated as {said:.6g}, but comes to {least:.6g}")
    per_t = said / max(float(stated["supplied_t"]), 1e-9)
    return problems + _unlike("unit_spend_usd_t", stated["unit_spend_usd_t"], per_t, 1e-6, digits=2 * DIGITS)


def imports(f: pd.DataFrame, levels: list[str]) -> dict[str, Any]:
    """Return tonnes that cross a border between seller and buyer, nested by `levels`."""
    crossing = f[f["from_country"] != f["to_country"]]
    tree: dict[str, Any] = {}
    for key, t in crossing.groupby(levels)["tonnes"].sum().items():
        node = tree
        for k in key[:-1]:
            node = node.setdefault(k, {})
        node[key[-1]] = float(t)
    return tree


def stage_outputs(f: pd.DataFrame, layers: Layers) -> dict[str, pd.DataFrame]:
    """Return output by stage, each a table (id, country, t): separation in oxide drawn, metal made from oxide."""
    fac, made = layers.facilities, outputs(f, layers)
    drawn = f[(f["commodity"] == "oxide") & ~f["to_id"].isin(ENDS)].groupby("from_id")["tonnes"].sum()
    tables = {}
    for stage in STAGES:
        t = drawn if stage == "separation" else made
        t = t[(fac["stage"].reindex(t.index) == stage).to_numpy()]
        if stage == "metal":
            t = t[(fac["product"].reindex(t.index) == "metal").to_numpy()]
        tables[stage] = pd.DataFrame({"country": fac["country"].reindex(t.index), "t": t})
    return tables


def _by_element(f: pd.DataFrame, layers: Layers) -> dict[str, Any]:
    fac, c = layers.facilities, Chemistry(layers)
    real = f[~f["to_id"].isin(["surplus", "loss"])]
    # What mines and magnet plants let go of stock of their own they did not make.
    own = real[own_stock(real, layers) & real["commodity"].isin(["concentrate", "magnet"])]
    off = own.assign(from_id=own["to_id"], from_country=own["to_country"], tonnes=-own["tonnes"])
    real = pd.concat([real.drop(index=own.index), off])
    stage, product = (real["from_id"].map(fac[k].astype(str).to_dict()) for k in ("stage", "product"))
    tree: dict[str, Any] = {s: {} for s in STAGES}
    ore = real[(stage == "mine") & (real["commodity"] == "concentrate")]
    made = (stage.isin(["separation", "recycling"]) & (real["commodity"] == "oxide") & (product == "oxide")) | (
        (product == "metal") & (stage == "metal") & (real["commodity"] == "metal")
    )
    for e in c.elements:
        t = ore["tonnes"] * c.baskets[e].reindex(ore["from_id"]).to_numpy()
        tree["mine"][e] = t.groupby(ore["from_country"]).sum().to_dict()
        for s in ("separation", "metal", "recycling"):
            part = real[made & (stage == s) & (real["element"] == e)]
            tree[s][e] = part.groupby("from_country")["tonnes"].sum().to_dict()
    sold = real[real["commodity"] == "magnet"]
    by = [product[sold.index], sold["grade"], sold["from_country"]]
    for (p, g, country), t in sold["tonnes"].groupby(by).sum().items():
        for k in c.keys:
            there = tree["magnet"].setdefault(k, {})
            there[country] = there.get(country, 0.0) + t * c.blanks(p) * c.content.get((g, k), 0.0)
    return tree


def _usgs(mines: pd.DataFrame, layers: Layers) -> dict[str, float]:
    fac = layers.facilities.loc[mines.index]
    share = (fac["usgs_output_t"] / fac["output_t"].where(fac["output_t"] > 0)).astype(float).fillna(1.0)
    return (mines["t"] * share).groupby(mines["country"]).sum().to_dict()


def _traffic(f: pd.DataFrame, column: str) -> dict[str, float]:
    through: dict[str, float] = {}
    for things, t in zip(f[column], f["tonnes"], strict=True):
        for thing in things.split(";") if things else ():
            through[thing] = through.get(thing, 0.0) + t
    return through


def _hhi(t: pd.Series) -> float:
    return float(((t / t.sum()) ** 2).sum()) if t.sum() > 0 else 0.0


def _part(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else 0.0


def _pairs(stated: Any, found: Any, path: str) -> Iterator[tuple[str, float, float]]:
    """Yield (path, stated, found) for each figure of two trees; what one lacks is 0."""
    if isinstance(stated, Mapping) or isinstance(found, Mapping):
        a, b = (x if isinstance(x, Mapping) else {} for x in (stated, found))
        # A share of a stage that is not counted here stays out; a place that carries nothing is left out of a tree.
        names = set(b) if path == "bloc_origin_share" else {*a, *b}
        for k in sorted(map(str, names)):
            yield from _pairs(a.get(k, 0.0), b.get(k, 0.0), f"{path} of {k}" if path in _TREES else f"{path}, {k}")
    else:
        yield path, float(stated or 0.0), float(found or 0.0)


_TREES = {"imports_t", "imports_element_t", "throughput_t", "stage_output_t", "stage_output_element_t"}


def _unlike(name: str, stated: Any, found: float, least: float, *, digits: float = DIGITS) -> list[str]:
    if math.isclose(float(stated), found, rel_tol=digits, abs_tol=least):
        return []
    return [f"{name} is stated as {float(stated):.6g}, but comes to {found:.6g}"]

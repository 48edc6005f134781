"""The figures of an answer for a report: `solve --json`, and what readers ask of it as rows, the largest first."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from atlas.answer_words import rises
from atlas.halt_words import country_name, describe
from atlas.report_tree import Listed
from atlas.summary import rounded
from atlas.thing_lanes import place_name
from atlas.world import COMMODITIES, STAGES

ROWS_MOST = 40
LEAST_T = 0.5
BLOC_WORDS = {
    "us-allies": "the United States and its allies",
    "us-allies-core": "the United States and its core allies",
    "eu27": "the European Union",
    "quad": "the Quad",
    "five-eyes": "the Five Eyes",
    "g7": "the G7",
    "nato": "NATO",
    "msp": "the Minerals Security Partnership",
    "us-fta": "the trade partners of the United States",
    "brics": "the BRICS",
    "prc": "China with Hong Kong and Macao",
}
STAGE_WORDS = {
    "mine": "Mining",
    "separation": "Separation",
    "metal": "Metal making",
    "magnet": "Magnet making",
    "recycling": "Recycling",
    "demand": "Demand",
}
GOODS = {"concentrate": "concentrate", "oxide": "oxides", "metal": "metal", "magnet": "magnets", "scrap": "scrap"}
UNNAMED = ("", "halts", "scenario", "baseline")

SHORT = ("country", "name", "before_t", "after_t", "rise_t", "demand_t", "share", "allied")
SECTOR = ("sector", "name", "before_t", "after_t", "rise_t", "demand_t", "share")
FLOW = ("commodity", "goods", "from_country", "from_name", "to_country", "to_name", "before_t", "after_t", "change_t")
LANE = (
    "id",
    "from_name",
    "from_country_name",
    "to_name",
    "to_country_name",
    "commodity",
    "goods",
    "element",
    "grade",
    "before_t",
    "after_t",
    "change_t",
    "kind",
)
THROUGH = ("id", "name", "before_t", "after_t", "change_t")
UNIT = (
    "id",
    "name",
    "country",
    "country_name",
    "stage",
    "stage_name",
    "before_t",
    "after_t",
    "change_t",
    "limit_t",
    "allied",
    "unit",
)
STAGE = ("stage", "name", "before_share", "after_share", "change_share")
ORIGIN = ("country", "name", "before_t", "after_t", "change_t", "before_share", "after_share", "allied")
REPLACED = (
    "importer",
    "importer_name",
    "commodity",
    "goods",
    "from_country",
    "from_name",
    "to_country",
    "to_name",
    "tonnes",
    "allied",
)
PRICE = ("goods", "place", "place_name", "before_usd_t", "after_usd_t", "rise_usd_t", "places")


def outcome_figures(outcome: Any) -> dict[str, Any]:
    """Return the figures of an answer as plain values: those of `solve --json`, and rows beside them."""
    s = outcome.summary
    before, after = s["baseline"], s["halted"]
    replaced = s["replaced"]
    whole = sum(r["tonnes"] for r in replaced)
    allied = sum(r["tonnes"] for r in replaced if r["to_country"] in outcome.bloc_countries)
    lanes = lane_rows(outcome)
    units = unit_rows(outcome)
    risen = [r for r in units if r["after_t"] >= 0.999 * r["limit_t"] > 0.5 and r["before_t"] < 0.999 * r["limit_t"]]
    changed = [r for r in lanes if r["kind"] != "kept"]
    traffic = any(
        abs(after["throughput_t"].get(kind, {}).get(i, 0.0) - before["throughput_t"].get(kind, {}).get(i, 0.0))
        > LEAST_T
        for kind in ("passage", "port", "border")
        for i in {*before["throughput_t"].get(kind, {}), *after["throughput_t"].get(kind, {})}
    )
    more: dict[str, Any] = {
        "what": what_words(outcome),
        "halt_list": " · ".join(outcome.scenario.specs) or "none",
        "bloc_name": bloc_words(outcome.bloc),
        "bloc_size": len(outcome.bloc_countries),
        "is_baseline": _unchanged(outcome),
        "sources_change": any(abs(r["change_t"]) > LEAST_T for r in changed),
        "routes_change": traffic,
        "delta": {
            k: after[k] - before[k]
            for k in (
                "shortage_t",
                "spend_usd",
                "unit_spend_usd_t",
                "mean_days",
                "mean_km",
                "bloc_supplied_share",
                "supplied_t",
                "demand_t",
            )
        }
        | {
            "shortage_share": (after["shortage_t"] - before["shortage_t"]) / max(after["demand_t"], 1e-9),
            "unit_spend_share": (after["unit_spend_usd_t"] - before["unit_spend_usd_t"])
            / max(before["unit_spend_usd_t"], 1e-9),
            "bloc_magnet_share": after["bloc_origin_share"]["magnet"] - before["bloc_origin_share"]["magnet"],
        },
        "after_shortage_share": after["shortage_t"] / max(after["demand_t"], 1e-9),
        "step_down_t": sum(after["step_down_by_grade"].values()) - sum(before["step_down_by_grade"].values()),
        "replaced_t": whole,
        "replaced_allied_t": allied,
        "replaced_allied_share": allied / whole if whole > LEAST_T else 0.0,
        "changed_t": sum(abs(r["change_t"]) for r in changed) / 2,
        "changed_lanes": len(changed),
        "lost_t": -sum(min(r["change_t"], 0.0) for r in changed),
        "found_t": sum(max(r["change_t"], 0.0) for r in changed),
        "short_countries": short_rows(outcome),
        "short_sectors": sector_rows(outcome),
        "replaced_top": Listed([_replaced(r, outcome) for r in replaced[:ROWS_MOST]], REPLACED),
        "changes": Listed(sorted(changed, key=lambda r: (-abs(r["change_t"]), r["id"]))[:ROWS_MOST], LANE),
        "flows": flow_rows(outcome),
        "passages": through_rows(outcome, "passage"),
        "passages_changed": Listed(
            [r for r in through_rows(outcome, "passage") if abs(r["change_t"]) > LEAST_T], THROUGH
        ),
        "ports": through_rows(outcome, "port"),
        "facilities": Listed([r for r in units if abs(r["change_t"]) > LEAST_T][:ROWS_MOST], UNIT),
        "at_limit": Listed(sorted(risen, key=lambda r: (-r["after_t"], r["id"]))[:ROWS_MOST], UNIT),
        "at_limit_count": len(risen),
        "stages": stage_rows(outcome),
        "origins": origin_rows(outcome),
        "prices": price_rows(outcome),
    }
    made = rounded(more)
    for k, v in more.items():  # rounding makes plain lists: say again what their rows hold
        if isinstance(v, Listed):
            made[k] = Listed(made[k], v.fields)
    return {**s, **made}


def what_words(outcome: Any) -> str:
    """Return what is halted or changed, in words that can begin a sentence after `with`."""
    name = outcome.scenario.name
    if name not in UNNAMED:
        return f"the scenario “{name}”"
    said = [describe(h, outcome.layers) for h in outcome.scenario.specs]
    if not said:
        return "nothing halted"
    words = said[0] if len(said) == 1 else ", ".join(said[:-1]) + " and " + said[-1]
    return f"{words} halted" if len(words) < 200 else f"{said[0]} and others halted"


def bloc_words(bloc: str) -> str:
    """Return a bloc's name for a sentence."""
    return BLOC_WORDS.get(bloc, f"the bloc {bloc}")


def _unchanged(outcome: Any) -> bool:
    return bool(getattr(outcome, "is_baseline", not outcome.scenario.specs))


def _demand(outcome: Any, key: str) -> Mapping[str, float]:
    table = outcome.halted.reading.demand
    return {str(k): float(v) for k, v in table.groupby(key)["demand_t"].sum().items()}


def short_rows(outcome: Any) -> Listed:
    """Return the countries whose magnets are short in either state."""
    s, demand = outcome.summary, _demand(outcome, "country")
    rows = _risen(s, "shortage_by_country", demand, "country", lambda k: country_name(k, outcome.layers))
    return Listed([r | {"allied": r["country"] in outcome.bloc_countries} for r in rows], SHORT)


def sector_rows(outcome: Any) -> Listed:
    """Return the sectors whose magnets are short in either state."""
    sectors = getattr(outcome.layers, "sectors", None)
    names = sectors["name"].to_dict() if sectors is not None else {}
    return Listed(
        _risen(
            outcome.summary,
            "shortage_by_sector",
            _demand(outcome, "sector"),
            "sector",
            lambda k: str(names.get(k, k.replace("_", " "))),
        ),
        SECTOR,
    )


def _risen(
    s: Mapping[str, Any], table: str, demand: Mapping[str, float], key: str, name: Callable[[str], str]
) -> list[dict[str, Any]]:
    before, after = s["baseline"][table], s["halted"][table]
    rows = []
    for k in sorted({*before, *after}):
        a, b = before.get(k, 0.0), after.get(k, 0.0)
        if max(a, b) > LEAST_T:
            d = demand.get(k, 0.0)
            rows.append(
                {
                    key: k,
                    "name": name(k),
                    "before_t": a,
                    "after_t": b,
                    "rise_t": b - a,
                    "demand_t": d,
                    "share": min(b / d, 1.0) if d else 0.0,
                }
            )
    return sorted(rows, key=lambda r: (-r["after_t"], r[key]))


def _replaced(r: Mapping[str, Any], outcome: Any) -> dict[str, Any]:
    layers = outcome.layers
    return {
        "importer": r["importer"],
        "importer_name": country_name(r["importer"], layers),
        "commodity": r["commodity"],
        "goods": GOODS[r["commodity"]],
        "from_country": r["from_country"],
        "from_name": country_name(r["from_country"], layers),
        "to_country": r["to_country"],
        "to_name": country_name(r["to_country"], layers),
        "tonnes": r["tonnes"],
        "allied": r["to_country"] in outcome.bloc_countries,
    }


def lane_rows(outcome: Any) -> list[dict[str, Any]]:
    """Return a row for each lane: from, to, commodity, element, grade, tonnes before and after, kind of change."""
    layers, rows = outcome.layers, []
    table = outcome.changes
    ids = table["id"] if "id" in table else table["route_id"]
    for i, r in zip(ids, table.to_dict("records"), strict=True):
        rows.append(
            {
                "id": str(i),
                "from_name": place_name(str(r["from_id"]), str(r["from_country"]), layers),
                "from_country_name": country_name(str(r["from_country"]), layers),
                "to_name": place_name(str(r["to_id"]), str(r["to_country"]), layers),
                "to_country_name": country_name(str(r["to_country"]), layers),
                "commodity": str(r["commodity"]),
                "goods": GOODS.get(str(r["commodity"]), str(r["commodity"])),
                "element": str(r["element"] or ""),
                "grade": str(r["grade"] or ""),
                "before_t": float(r["baseline_t"]),
                "after_t": float(r["halted_t"]),
                "change_t": float(r["change_t"]),
                "kind": str(r["kind"]),
            }
        )
    return rows


def flow_rows(outcome: Any) -> Listed:
    """Return tonnes between countries by commodity in both states; own country left out; the largest first."""
    flows = outcome.flows
    crossing = flows[(flows["route_id"] != "") & (flows["from_country"] != flows["to_country"])]
    t = (
        crossing.groupby(["commodity", "from_country", "to_country", "state"])["tonnes"]
        .sum()
        .unstack("state", fill_value=0.0)
    )
    rows = []
    for (commodity, a, b), r in t.iterrows():
        was, now = float(r.get("baseline", 0.0)), float(r.get("halted", 0.0))
        rows.append(
            {
                "commodity": commodity,
                "goods": GOODS.get(commodity, commodity),
                "from_country": a,
                "from_name": country_name(a, outcome.layers),
                "to_country": b,
                "to_name": country_name(b, outcome.layers),
                "before_t": was,
                "after_t": now,
                "change_t": now - was,
            }
        )
    rows.sort(key=lambda r: (-max(r["before_t"], r["after_t"]), r["commodity"], r["from_country"], r["to_country"]))
    return Listed(rows[: 4 * ROWS_MOST], FLOW)


def through_rows(outcome: Any, kind: str) -> Listed:
    """Return passages or ports with their traffic in both states, the largest change first."""
    before, after = (outcome.summary[s]["throughput_t"].get(kind, {}) for s in ("baseline", "halted"))
    table = outcome.layers.passages if kind == "passage" else outcome.layers.ports
    rows = []
    for i in sorted({*before, *after}):
        a, b = before.get(i, 0.0), after.get(i, 0.0)
        name = str(table.at[i, "name"]) if i in table.index else i
        rows.append({"id": i, "name": name, "before_t": a, "after_t": b, "change_t": b - a})
    return Listed(sorted(rows, key=lambda r: (-abs(r["change_t"]), -r["before_t"], r["id"])), THROUGH)


def unit_rows(outcome: Any) -> list[dict[str, Any]]:
    """Return the plants and mines that run in either state, the largest change first."""
    known, rows = outcome.layers.facilities, []
    for i, r in outcome.facilities.iterrows():
        f = known.loc[i] if i in known.index else {}
        a, b = float(r["baseline_t"]), float(r["halted_t"])
        limit = float(r["limit_t"]) if pd.notna(r["limit_t"]) else 0.0
        stage, country = str(f.get("stage", "")), str(f.get("country", ""))
        rows.append(
            {
                "id": str(i),
                "name": str(f.get("name", i)),
                "country": country,
                "country_name": country_name(country, outcome.layers),
                "stage": stage,
                "stage_name": STAGE_WORDS.get(stage, stage),
                "before_t": a,
                "after_t": b,
                "change_t": b - a,
                "limit_t": limit,
                "allied": country in outcome.bloc_countries,
                "unit": str(r["unit"]),
            }
        )
    return sorted(rows, key=lambda r: (-abs(r["change_t"]), r["id"]))


def stage_rows(outcome: Any) -> Listed:
    """Return the bloc's part of what its delivered magnets went through, by stage, before and after."""
    before, after = (outcome.summary[s]["bloc_origin_share"] for s in ("baseline", "halted"))
    return Listed(
        [
            {
                "stage": k,
                "name": STAGE_WORDS[k],
                "before_share": before.get(k, 0.0),
                "after_share": after.get(k, 0.0),
                "change_share": after.get(k, 0.0) - before.get(k, 0.0),
            }
            for k in STAGES
            if k in before
        ],
        STAGE,
    )


def origin_rows(outcome: Any, commodity: str = "magnet", importers: Sequence[str] | None = None) -> Listed:
    """Return where the bloc's (or some countries') tonnes of a commodity come from, own country included."""
    inside = outcome.bloc_countries if importers is None else set(importers)
    flows = outcome.flows
    chosen = flows[(flows["commodity"] == commodity) & flows["to_country"].isin(inside) & (flows["route_id"] != "")]
    t = chosen.groupby(["from_country", "state"])["tonnes"].sum().unstack("state", fill_value=0.0)
    total = {s: float(t[s].sum()) if s in t else 0.0 for s in ("baseline", "halted")}
    rows = []
    for country, r in t.iterrows():
        a, b = float(r.get("baseline", 0.0)), float(r.get("halted", 0.0))
        rows.append(
            {
                "country": country,
                "name": country_name(str(country), outcome.layers),
                "before_t": a,
                "after_t": b,
                "change_t": b - a,
                "before_share": a / total["baseline"] if total["baseline"] else 0.0,
                "after_share": b / total["halted"] if total["halted"] else 0.0,
                "allied": country in outcome.bloc_countries,
            }
        )
    return Listed(sorted(rows, key=lambda r: (-max(r["before_t"], r["after_t"]), r["country"])), ORIGIN)


def price_rows(outcome: Any) -> Listed:
    """Return where the price of scarcity rose most, by commodity with its element or grade."""
    layers = outcome.layers
    return Listed(
        [
            {
                "goods": r.goods,
                "place": r.place,
                "place_name": country_name(r.place, layers),
                "before_usd_t": r.before,
                "after_usd_t": r.after,
                "rise_usd_t": r.after - r.before,
                "places": r.places,
            }
            for r in rises(outcome.summary)
        ],
        PRICE,
    )


def domain_of(layers: Any) -> Callable[[str], tuple[str, Sequence[str]] | None]:
    """Return which names each table of an answer may have, by its path: what is not in it is nought."""
    countries = [str(c) for c in layers.countries.index]
    sectors = [str(s) for s in getattr(layers, "sectors", layers.demand).index] if hasattr(layers, "sectors") else []
    grades = [str(g) for g in getattr(layers, "grades", pd.DataFrame()).index]
    things = {"passage": [str(i) for i in layers.passages.index], "port": [str(i) for i in layers.ports.index]}
    goods = list(COMMODITIES)

    def domain(path: str) -> tuple[str, Sequence[str]] | None:
        name, _, last = path.rpartition(".")
        above = name.rpartition(".")[2]
        if last in ("shortage_by_country", "mine_output_usgs_t") or above == "stage_output_t":
            return "figure", countries
        if last == "shortage_by_sector":
            return "figure", sectors
        if last in ("shortage_by_grade", "step_down_by_grade", "step_up_by_grade"):
            return "figure", grades
        if above == "throughput_t" and last in things:
            return "figure", things[last]
        if last == "imports_t":
            return "table", countries
        if above == "imports_t":
            return "table", goods
        if name.rpartition(".")[0].endswith(".imports_t"):
            return "figure", countries
        return None

    return domain

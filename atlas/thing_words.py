"""Facilities, companies, countries, ports and passages in words: one sentence first, then facts and rows of tables."""

import math
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from atlas.facility_facts import FacilityFacts
from atlas.facility_filter import PLANNED
from atlas.halt_words import country_name, describe
from atlas.page_text import text
from atlas.place_facts import CountryFacts, OperatorFacts, ThroughFacts
from atlas.render_data import web_address
from atlas.render_explore import UNITS, percent, share_bar, swatch, tonnes
from atlas.render_style import COMMODITY_LABELS, STAGES

Row = dict[str, Any]
NAMED = 3  # takers named in a sentence


def facility_sentence(f: FacilityFacts, outcome: Any) -> str:
    """Say what a facility is, what it makes, and how the model sees it."""
    r, layers = f.row, outcome.layers
    unit = UNITS.get(r["unit"], r["unit"])
    country = country_name(r["country"], layers)
    what = text(f"things.a.{r['stage']}")
    owner = f" of {r['operator']}" if r.get("operator") else ""
    status = text(f"explore.status.{r['status']}")
    first = f"{r['name']} is {what}{owner} in {country}, {status}"
    size = f"{tonnes(r['capacity_t'])} {unit} a year" if r["capacity_t"] else "a capacity that nobody publishes"
    first += f", with {size}."
    if not f.made:
        return f"{first} {_why_not(f, outcome)}"
    base, now = f.made["baseline_t"], f.made["halted_t"]
    if base <= 0 and now <= 0:
        return f"{first} In the model's {outcome.year} it makes nothing."
    made = f"In the model's {outcome.year} it makes {tonnes(base)} {unit}"
    if f.state == "halted":
        made += f" without the halt and {tonnes(now)} {unit} with it"
    first_taker = f.customers[0] if f.customers else None
    if first_taker:
        goods = COMMODITY_LABELS[first_taker["commodity"]].lower()
        made += f"; {first_taker['name']} takes {percent(first_taker['share'])} of its {goods} from here"
    return f"{first} {made}."


def _why_not(f: FacilityFacts, outcome: Any) -> str:
    r = f.row
    if not f.is_modelled:
        note = f": {r['model_note']}" if r.get("model_note") else ""
        return f"The model does not run it{note}."
    if r["status"] in PLANNED:
        start = f", and starts in {int(r['start_year'])} by plan" if r.get("start_year") else ""
        return f"It does not run in the model's {outcome.year}{start}."
    return f"It does not run in the model's {outcome.year}."


def loss_sentence(loss: Mapping[str, float] | None, bloc: str) -> str:
    """Say what a bloc loses without a thing, where that is known; empty where it is not."""
    if loss is None:
        return ""
    if loss["lost_t"] < 0.5 and loss["short_t"] < 0.5:
        return f"If it alone halts, {bloc} loses no magnets."
    return (
        f"If it alone halts, {bloc} loses {tonnes(loss['lost_t'])} t of magnets a year "
        f"({percent(loss['lost_share'])} of its supply); {tonnes(max(loss['short_t'], 0.0))} t stay short."
    )


def facility_facts_rows(f: FacilityFacts, outcome: Any) -> list[Row]:
    """Return the facts of a facility as (label, value, address) rows; what nobody knows is left out."""
    r, unit = f.row, UNITS.get(f.row["unit"], f.row["unit"])
    layers = outcome.layers
    rows: list[Row] = []

    def add(key: str, value: Any, href: str = "") -> None:
        if value not in (None, "", [], ()):
            rows.append({"label": text(f"things.fact.{key}"), "value": value, "href": href})

    add("stage", text(f"explore.one.{r['stage']}") + f" ({r['product']})")
    add("status", text(f"explore.status.{r['status']}"))
    add("dates", _dates(r))
    names = layers.operators["name"].to_dict()
    add("operator", r.get("operator"))
    for i in r["operator_ids"]:
        add("owner", names.get(i, i), f"/operator/{quote(i)}")
    add("country", country_name(r["country"], layers), f"/country/{quote(r['country'])}")
    add("capacity", f"{tonnes(r['capacity_t'])} {unit} a year" if r["capacity_t"] is not None else "not published")
    if r["output_t"] is not None:
        year = f" ({int(r['output_year'])})" if r.get("output_year") else ""
        add("output", f"{tonnes(r['output_t'])} {unit}{year}")
    add("reported", r.get("reported"))
    if f.made:
        add("modelled", f"{tonnes(f.made['baseline_t'])} {unit}, at most {tonnes(f.made['limit_t'])} with its surge")
    if f.state == "halted" and f.made:
        add("halted", f"{tonnes(f.made['halted_t'])} {unit}")
    add("elements", ", ".join(f.elements))
    add("basket", ", ".join(f"{e} {percent(s)}" for e, s in f.basket.items()))
    add("grades", ", ".join(r["grades"]))
    add("mineral", (r.get("mineral") or "").replace("-", " "))
    add("accepts", ", ".join(r.get("accepts") or []))
    add("feeds_text", r.get("feeds_text"))
    if f.process_usd_t is not None:
        add("process", f"{f.process_usd_t:,.0f} USD/t of output")
    for c in f.capex:
        add("capex", f"{c['published']} ({int(c['year'])}), for {c['covers']}")
    title = f.source.get("title") or r["source_id"]
    add("source", title, web_address(f.source.get("url")) or "")
    add("confidence", text(f"explore.confidence.{r['confidence']}"))
    add("precision", f"the true place lies within {r['coord_precision_km']:g} km of the point")
    add("roads", text("things.roads_yes") if f.local_roads else text("things.roads_no"))
    add("notes", r.get("notes"))
    return rows


def _dates(r: Mapping[str, Any]) -> str:
    start, end = r.get("start_year"), r.get("end_year")
    parts = [f"from {int(start)}"] if start else []
    return " ".join([*parts, *([f"to {int(end)}"] if end else [])])


def lane_rows(records: Sequence[Row], outcome: Any, own: str = "") -> list[Row]:
    """Return lanes as a table shows them: ends with addresses, goods, figures; `place` is the end that is not `own`."""
    layers = outcome.layers
    passages = layers.passages["name"].to_dict()
    found = []
    for r in records:
        ends = {s: (r[f"{s}_name"], _end_address(r[f"{s}_id"], r[f"{s}_country"], layers)) for s in ("from", "to")}
        found.append({
            "from": ends["from"], "to": ends["to"],
            "from_country": country_name(r["from_country"], layers),
            "to_country": country_name(r["to_country"], layers),
            "place": r["from_id"] if r["from_id"] != own else r["to_id"],
            "goods": COMMODITY_LABELS[r["commodity"]] + (f", {r['what']}" if r["what"] else ""),
            "tonnes": tonnes(r["tonnes"]), "t": f"{r['tonnes']:.6g}",
            "before": tonnes(r["baseline_t"]), "before_t": f"{r['baseline_t']:.6g}",
            "km": f"{r['distance_km']:,.0f}", "days": f"{r['days']:.1f}", "usd": f"{r['cost_usd_t']:,.0f}",
            "passages": [(passages.get(p, p), f"/passage/{quote(p)}") for p in r["passages"]],
            "share": percent(r["share_of_taken"]) if "share_of_taken" in r else "",
        })  # fmt: skip
    return found


def _end_address(place: str, country: str, layers: Any) -> str:
    if place in layers.facilities.index:
        return f"/facility/{quote(place)}"
    return f"/country/{quote(country)}" if country in layers.countries.index else ""


def customer_rows(records: Sequence[Row], layers: Any, most: int = 15) -> list[Row]:
    """Return who depends on a unit: what each takes and the part that is of its whole intake."""
    return [
        {
            "name": r["name"], "href": _end_address(r["id"], r["country"], layers),
            "country": country_name(r["country"], layers), "goods": COMMODITY_LABELS[r["commodity"]],
            "tonnes": tonnes(r["tonnes"]), "t": f"{r['tonnes']:.6g}", "share": percent(r["share"]),
            "share_value": f"{r['share']:.6f}", "bar": share_bar(r["share"]), "place": r["id"],
        }
        for r in records[:most]
    ]  # fmt: skip


def unit_rows(records: Sequence[Row], layers: Any) -> list[Row]:
    """Return facilities as a short table shows them."""
    found = []
    for r in records:
        row = {
            "id": r["id"], "name": r["name"], "href": f"/facility/{quote(r['id'])}",
            "swatch": swatch(r["stage"], r["status"]), "stage": text(f"explore.one.{r['stage']}"),
            "country": country_name(r["country"], layers), "status": text(f"explore.status.{r['status']}"),
            "start": f"{int(r['start_year'])}" if r.get("start_year") else "–",
            "capacity": tonnes(r["capacity_t"]), "t": f"{r['capacity_t']:.6g}" if r["capacity_t"] is not None else "",
            "unit": UNITS.get(r["unit"], r["unit"]), "operator": r["operator"],
        }  # fmt: skip
        if "distance_km" in r:
            row["km"] = f"{r['distance_km']:,.0f}"
        if "halted_t" in r:
            row |= {"model": tonnes(r["baseline_t"]), "after": tonnes(r["halted_t"])}
        found.append(row)
    return found


def country_sentence(c: CountryFacts, outcome: Any) -> str:
    """Say what part of the world's stages a country has, and what it uses."""
    made = [(s["stage"], s[f"{c.state}_share"]) for s in c.stages if s[f"{c.state}_share"] > 0.0005]
    demand = sum(d["demand_t"] for d in c.demand)
    halt = " with the halt" if c.state == "halted" else ""
    if made:
        told = _listed([f"{percent(s)} of {text(f'things.output.{k}')}" for k, s in made])
        first = f"In the model's {outcome.year}{halt}, {c.name} makes {told} of the world"
    else:
        first = f"In the model's {outcome.year}{halt}, {c.name} makes nothing of the rare-earth chain"
    first += f"; it uses {tonnes(demand)} t of magnets a year" if demand > 0 else ""
    if c.shortage_t > 0.5:
        first += f", of which {tonnes(c.shortage_t)} t stay short"
    return first + "."


def _listed(parts: Sequence[str]) -> str:
    """Return parts as a list in words, the last with `and`."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def stage_rows(c: CountryFacts) -> list[Row]:
    """Return a country's stages as a table shows them."""
    units = {"mine": "t REO", "separation": "t oxide", "metal": "t metal", "magnet": "t magnets", "recycling": "t REO"}
    return [
        {
            "stage": text(f"explore.stage.{s['stage']}"), "swatch": swatch(s["stage"], "operating"),
            "units": s["units"], "unit": units[s["stage"]],
            "before": tonnes(s["baseline_t"]), "after": tonnes(s["halted_t"]),
            "share": percent(s[f"{c.state}_share"]), "bar": share_bar(s[f"{c.state}_share"]),
            "capacity": tonnes(s["capacity_t"]), "capacity_share": percent(s["capacity_share"]),
            "planned": tonnes(s["planned_t"]),
        }
        for s in c.stages
    ]  # fmt: skip


def trade_rows(trade: Sequence[Row]) -> list[Row]:
    """Return trade by commodity with its partners."""
    return [
        {
            "goods": COMMODITY_LABELS[g["commodity"]], "tonnes": tonnes(g["tonnes"]),
            "partners": [
                {"name": p["name"], "href": f"/country/{quote(p['country'])}", "tonnes": tonnes(p["tonnes"]),
                 "t": f"{p['tonnes']:.6g}", "share": percent(p["share"]), "bar": share_bar(p["share"])}
                for p in g["partners"]
            ],
        }
        for g in trade
    ]  # fmt: skip


def demand_rows(c: CountryFacts) -> list[Row]:
    """Return a country's demand by sector."""
    whole = sum(d["demand_t"] for d in c.demand) or math.inf
    return [
        {"name": d["name"], "tonnes": tonnes(d["demand_t"]), "t": f"{d['demand_t']:.6g}",
         "share": percent(d["demand_t"] / whole), "bar": share_bar(d["demand_t"] / whole)}
        for d in c.demand
    ]  # fmt: skip


def preset_rows(specs: Sequence[str], layers: Any, tail: str) -> list[Row]:
    """Return halts in words with the address of their map."""
    return [{"text": describe(s, layers), "href": f"/map?halt={quote(s, safe=':/@,')}{tail}"} for s in specs]


def operator_sentence(o: OperatorFacts, outcome: Any) -> str:
    """Say what units a company has and what part of each stage they make."""
    made = [(s["stage"], s["share"]) for s in o.by_stage if s["share"] > 0.0005]
    home = f" of {country_name(o.country, outcome.layers)}" if o.country else ""
    count = f"{len(o.units)} unit" + ("" if len(o.units) == 1 else "s")
    told = _listed([f"{percent(s)} of {text(f'things.output.{k}')}" for k, s in made])
    halt = " with the halt" if o.state == "halted" else ""
    second = f"in the model's {outcome.year}{halt} they make {told} of the world"
    if not told:
        second = "none of them runs in the model"
    return f"{o.name}{home} has a part in {count}; {second}."


def operator_stage_rows(o: OperatorFacts) -> list[Row]:
    """Return a company's stages as a table shows them."""
    unit = {"metal": "t metal", "magnet": "t magnets"}
    return [
        {"stage": text(f"explore.stage.{s['stage']}"), "swatch": swatch(s["stage"], "operating"), "units": s["units"],
         "capacity": tonnes(s["capacity_t"]), "tonnes": tonnes(s["tonnes"]), "unit": unit.get(s["stage"], "t REO"),
         "share": percent(s["share"]), "bar": share_bar(s["share"])}
        for s in sorted(o.by_stage, key=lambda s: STAGES.index(s["stage"]))
    ]  # fmt: skip


def through_sentence(t: ThroughFacts, outcome: Any) -> str:
    """Say what passes a port or passage and for whom that is most."""
    name = t.row["name"]
    if t.baseline_t <= 0 and t.halted_t <= 0:
        shut = " It is shut unless opened." if t.row.get("default_open") in (False, "no") else ""
        return f"{name}: nothing of the rare-earth chain passes here in the model's {outcome.year}.{shut}"
    first = f"{name}: {tonnes(t.baseline_t)} t of rare-earth goods pass here in the model's {outcome.year}"
    if t.state == "halted":
        first += f", and {tonnes(t.halted_t)} t with the halt"
    big = [d for d in t.dependents if d["share"] >= 0.5][:NAMED]
    if big:
        goods = [(percent(d["share"]), COMMODITY_LABELS[d["commodity"]].lower(), d["name"]) for d in big]
        first += ", among them " + _listed([f"{share} of the {what} for {to}" for share, what, to in goods])
    return first + "."


def dependent_rows(t: ThroughFacts, most: int = 25) -> list[Row]:
    """Return for whom what part comes this way."""
    return [
        {"name": d["name"], "href": f"/country/{quote(d['country'])}", "goods": COMMODITY_LABELS[d["commodity"]],
         "tonnes": tonnes(d["tonnes"]), "t": f"{d['tonnes']:.6g}", "share": percent(d["share"]),
         "share_value": f"{d['share']:.6f}", "bar": share_bar(d["share"])}
        for d in t.dependents[:most]
    ]  # fmt: skip


def commodity_rows(t: ThroughFacts) -> list[Row]:
    """Return what passes by commodity, before and after."""
    return [
        {"goods": COMMODITY_LABELS[c["commodity"]], "before": tonnes(c["baseline_t"]), "after": tonnes(c["halted_t"])}
        for c in t.by_commodity
    ]

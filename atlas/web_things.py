"""A page for each thing, and the same as JSON: facility, company, country, port, passage, in the state of a halt."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import pandas as pd
from flask import Blueprint, Response, current_app, request
from markupsafe import Markup

from atlas.errors import nearest
from atlas.facility_facts import facility_facts
from atlas.facility_filter import PLANNED
from atlas.halt_words import describe
from atlas.known_losses import known_loss
from atlas.page_text import text
from atlas.place_facts import country_facts, operator_facts, through_facts
from atlas.render import environment
from atlas.render_data import Json, json_text
from atlas.render_explore import UNITS, figure, looks, path_key, paths, ramp_plot, stage_key, tonnes
from atlas.render_style import ATTRIBUTION
from atlas.summary import rounded
from atlas.thing_lanes import place_name
from atlas.thing_words import (
    commodity_rows,
    country_sentence,
    customer_rows,
    demand_rows,
    dependent_rows,
    facility_facts_rows,
    facility_sentence,
    lane_rows,
    loss_sentence,
    operator_sentence,
    operator_stage_rows,
    preset_rows,
    stage_rows,
    through_sentence,
    trade_rows,
    unit_rows,
)
from atlas.web_answers import Document
from atlas.web_errors import Failure, NotFound
from atlas.web_formats import json_document
from atlas.web_map import land_digest
from atlas.web_pages import html_document, nav
from atlas.web_query import Query, halt_query

PLACES_MOST = 60  # places named on the map of one thing, those with most tonnes
KINDS = ("facility", "port", "passage", "country", "operator")

things = Blueprint("things", __name__)


@dataclass(frozen=True)
class Asked:
    """What a page is asked for: the kind of thing, its id, and the state to show it in."""

    kind: str
    id: str
    query: Query

    @property
    def tail(self) -> str:
        """The state as the rest of an address, beginning with `&`, empty for the baseline of the usual bloc."""
        parts = self.query.parts
        return "&" + urlencode(parts, safe=":/@,") if parts else ""


@things.get("/facility/<thing>")
def facility_page(thing: str) -> Response:
    """Show a facility: what it is, its inputs and outputs, who depends on it."""
    return _page("facility", thing)


@things.get("/port/<thing>")
def port_page(thing: str) -> Response:
    """Show a port: what passes it and for whom."""
    return _page("port", thing)


@things.get("/passage/<thing>")
def passage_page(thing: str) -> Response:
    """Show a passage: what passes it and for whom."""
    return _page("passage", thing)


@things.get("/country/<thing>")
def country_page(thing: str) -> Response:
    """Show a country: its stages, trade, demand and facilities."""
    return _page("country", thing)


@things.get("/operator/<thing>")
def operator_page(thing: str) -> Response:
    """Show a company: its units and who takes from them."""
    return _page("operator", thing)


@things.get("/api/facility/<thing>")
def facility_json(thing: str) -> Response:
    """Return what a facility's page shows."""
    return _json("facility", thing)


@things.get("/api/port/<thing>")
def port_json(thing: str) -> Response:
    """Return what a port's page shows."""
    return _json("port", thing)


@things.get("/api/passage/<thing>")
def passage_json(thing: str) -> Response:
    """Return what a passage's page shows."""
    return _json("passage", thing)


@things.get("/api/country/<thing>")
def country_json(thing: str) -> Response:
    """Return what a country's page shows."""
    return _json("country", thing)


@things.get("/api/operator/<thing>")
def operator_json(thing: str) -> Response:
    """Return what a company's page shows."""
    return _json("operator", thing)


def _atlas() -> Any:
    """Return what the application holds: study, settings, answers, assets, send."""
    return current_app.extensions["atlas"]


def _tables(layers: Any) -> dict[str, pd.DataFrame]:
    """Return the layer that holds each kind of thing."""
    return {"facility": layers.facilities, "port": layers.ports, "passage": layers.passages,
            "country": layers.countries, "operator": layers.operators}  # fmt: skip


def _asked(kind: str, thing: str, more: Iterable[str] = ()) -> Asked:
    """Return what is asked for; raises NotFound for an id that the layers do not have.

    `more` are parameters that are taken and say nothing: those by which the map is looked at.
    """
    table = _tables(_atlas().study.layers)[kind]
    found = thing.strip()
    found = found.upper() if kind in ("country", "port") else found.lower()
    query = halt_query(request, _atlas().settings, more=more)
    if found not in table.index:
        raise NotFound(kind, thing[:80], near(kind, thing))
    return Asked(kind, found, query)


def near(kind: str, thing: str) -> list[str]:
    """Return the ids of a kind that an unknown one may mean, by id or by name."""
    table = _tables(_atlas().study.layers)[kind]
    names = {str(n): str(i) for i, n in table["name"].items()}
    by_name = [names[n] for n in nearest(thing[:80], names, 5)]
    return list(dict.fromkeys([*nearest(thing[:80], map(str, table.index), 5), *by_name]))[:6]


def _kept(asked: Asked, form: str, make: Callable[[Asked, Any], Document]) -> Response:
    atlas = _atlas()
    question = atlas.answers.question(asked.query)

    def made() -> Document:
        with atlas.timed("solve"):
            outcome = atlas.answers.outcome(question, asked.query.bloc, request.remote_addr or "")
        with atlas.timed("draw"):
            return make(asked, outcome)

    # A page holds its state in its links: two ways to ask for one state are two pages. So are those before and after
    # somebody had all losses solved.
    spec = f"{asked.kind}:{asked.id}"
    known = asked.kind != "operator" and known_loss(atlas.study, spec, asked.query.bloc) is not None
    key = ("thing", form, asked, known, atlas.answers.key(question, asked.query.bloc))
    response: Response = atlas.send(atlas.answers.documents.get(key, made))
    return response


def _json(kind: str, thing: str) -> Response:
    def make(asked: Asked, outcome: Any) -> Document:
        state = {"halts": list(outcome.summary["scenario"]["halts"]), "bloc": outcome.bloc}
        return json_document(rounded(_facts(asked, outcome).to_json() | state))

    return _kept(_asked(kind, thing), "json", make)


def _facts(asked: Asked, outcome: Any) -> Any:
    study = _atlas().study
    if asked.kind == "facility":
        return facility_facts(study, outcome, asked.id)
    if asked.kind == "country":
        return country_facts(study, outcome, asked.id)
    if asked.kind == "operator":
        return operator_facts(outcome, asked.id)
    return through_facts(study, outcome, asked.kind, asked.id)


def _page(kind: str, thing: str) -> Response:
    try:
        asked = _asked(kind, thing, ("view",))
    except NotFound as error:
        return _missing(kind, error)
    show = {"facility": _facility, "country": _country, "operator": _operator}.get(kind, _through)
    template = kind if kind in ("facility", "country", "operator") else "through"
    return _kept(asked, "page", lambda a, outcome: _drawn(a, outcome, f"{template}.html", show(a, outcome)))


def _missing(kind: str, error: NotFound) -> Response:
    """Return the page that says that there is no such thing, with the nearest as links."""
    names = _tables(_atlas().study.layers)[kind]["name"]
    offered = [(f"/{kind}/{quote(i)}", str(names[i])) for i in error.nearest]
    failed = Failure(404, error.problems[0], error.problems)
    html = environment().get_template("thing_missing.html").render(
        nav=nav("/facilities"), base=_atlas().assets.base, failed=failed, offered=offered, name=error.name, kind=kind
    )
    request.environ["atlas.reason"] = failed.error
    response: Response = _atlas().send(html_document(html), 404, cache="no-store")
    return response


def _drawn(asked: Asked, outcome: Any, template: str, values: dict[str, Any]) -> Document:
    halts = [describe(h, outcome.layers) for h in outcome.summary["scenario"]["halts"]]
    drawing = values.pop("drawing")
    data = drawing | {
        "land": {"href": f"/basemap/{land_digest(_atlas())}.json"}, "allies": sorted(outcome.bloc_countries),
        "looks": looks(),
    }  # fmt: skip
    html = environment().get_template(template).render(
        nav=nav("/facilities"), base=_atlas().assets.base, kind=asked.kind, id=asked.id, tail=asked.tail,
        state="?" + asked.tail[1:] if asked.tail else "", halts=halts, halted=values["told"].state == "halted",
        bloc=outcome.bloc, year=outcome.year, key=path_key(), places_key=stage_key(), attribution=ATTRIBUTION,
        has_map=bool(drawing["box"]), folium=figure("AtlasThing", f"Map: {values['name']}").parts(),
        data=Markup(json_text(data)), api=f"/api/{asked.kind}/{quote(asked.id)}"
        + ("?" + asked.tail[1:] if asked.tail else ""), **values,
    )  # fmt: skip
    return html_document(html)


def _drawing(outcome: Any, moved: pd.DataFrame, own: Iterable[str], state: str = "") -> Json:
    """Return what the map of one thing draws: paths, and the places at their ends, those of the thing marked."""
    layers, own = outcome.layers, list(own)
    through: dict[str, float] = {}
    country: dict[str, str] = {}
    for side in ("from", "to"):
        for i, t in moved.groupby(f"{side}_id")["tonnes"].sum().items():
            through[str(i)] = max(through.get(str(i), 0.0), float(t))
        country |= dict(zip(moved[f"{side}_id"], moved[f"{side}_country"], strict=True))
    ids = sorted(set(through) - set(own), key=lambda i: (-through[i], i))[:PLACES_MOST]
    ends = []
    for i in [*own, *ids]:
        is_unit = i in layers.facilities.index
        if not is_unit and i not in layers.markets.index:
            continue
        row = layers.facilities.loc[i] if is_unit else layers.markets.loc[i]
        address = f"/facility/{quote(i)}" if is_unit else f"/country/{quote(str(row['country']))}"
        ends.append({
            "id": i, "name": place_name(i, str(row["country"]), layers), "kind": row["stage"] if is_unit else "demand",
            "at": [round(float(row["lon"]), 4), round(float(row["lat"]), 4)], "href": address + state,
            "t": float(f"{through.get(i, 0.0):.4g}"), "own": i in own,
            "hollow": bool(is_unit and row["status"] in PLANNED),
        })  # fmt: skip
    return paths(outcome, moved, ends)


def _state(asked: Asked) -> str:
    return "?" + asked.tail[1:] if asked.tail else ""


def _facility(asked: Asked, outcome: Any) -> dict[str, Any]:
    f = facility_facts(_atlas().study, outcome, asked.id)
    layers, unit = outcome.layers, UNITS.get(f.row["unit"], f.row["unit"])
    return {
        "told": f, "name": f.row["name"], "sentence": facility_sentence(f, outcome),
        "loss": loss_sentence(f.loss, outcome.bloc), "facts": facility_facts_rows(f, outcome),
        "plot": ramp_plot(f.ramp, unit, f.row["name"]), "unit": unit,
        "inputs": lane_rows(f.inputs, outcome, asked.id), "outputs": lane_rows(f.outputs, outcome, asked.id),
        "closing": [
            (text(f"things.end.{c['end']}"), c["commodity"], c["what"], tonnes(c["tonnes"])) for c in f.closing
        ],
        "customers": customer_rows(f.customers, layers), "projects": unit_rows(f.projects, layers),
        "same_site": unit_rows(f.same_site, layers), "same_operator": unit_rows(f.same_operator, layers),
        "drawing": _drawing(outcome, f.moved, [asked.id], _state(asked)), "halt": f"facility:{asked.id}",
        "runs": bool(f.made),
    }  # fmt: skip


def _country(asked: Asked, outcome: Any) -> dict[str, Any]:
    c = country_facts(_atlas().study, outcome, asked.id)
    layers = outcome.layers
    loss = loss_sentence(c.loss, outcome.bloc).replace("it alone halts", "its exports alone halt")
    return {
        "told": c, "name": c.name, "sentence": country_sentence(c, outcome), "loss": loss, "stages": stage_rows(c),
        "trades": [(text("things.imports"), trade_rows(c.imports)), (text("things.exports"), trade_rows(c.exports))],
        "demand": demand_rows(c), "units": unit_rows(c.facilities, layers), "blocs": c.blocs,
        "presets": preset_rows(c.presets, layers, asked.tail),
        "drawing": _drawing(outcome, c.moved, [r["id"] for r in c.facilities], _state(asked)),
    }  # fmt: skip


def _operator(asked: Asked, outcome: Any) -> dict[str, Any]:
    o = operator_facts(outcome, asked.id)
    return {
        "told": o, "name": o.name, "sentence": operator_sentence(o, outcome), "stages": operator_stage_rows(o),
        "units": unit_rows(o.units, outcome.layers), "customers": customer_rows(o.customers, outcome.layers, 25),
        "drawing": _drawing(outcome, o.moved, [r["id"] for r in o.units], _state(asked)),
        "halt": f"operator:{asked.id}", "runs": any(r["baseline_t"] for r in o.units),
    }  # fmt: skip


def _through(asked: Asked, outcome: Any) -> dict[str, Any]:
    t = through_facts(_atlas().study, outcome, asked.kind, asked.id)
    drawing = _drawing(outcome, t.moved, (), _state(asked))
    table = _tables(outcome.layers)[asked.kind]
    shape = table.geometry[asked.id]
    if asked.kind == "passage":
        lines = getattr(shape, "geoms", [shape])
        drawing["gates"] = [[[round(x, 3), round(y, 3)] for x, y in line.coords] for line in lines]
        west, south, east, north = shape.bounds
    else:
        port = {"id": asked.id, "name": str(t.row["name"]), "kind": "demand", "at": [shape.x, shape.y], "own": True}
        drawing["places"] = [port, *drawing["places"]]
        west, south, east, north = shape.x - 3, shape.y - 3, shape.x + 3, shape.y + 3
    drawing["box"] = drawing["box"] or [west, south, east, north]
    country = str(t.row.get("country") or "")
    home = str(outcome.layers.countries["name"].get(country, country))
    return {
        "told": t, "name": t.row["name"], "sentence": through_sentence(t, outcome),
        "loss": loss_sentence(t.loss, outcome.bloc).replace("it alone halts", "it alone closes"),
        "goods": commodity_rows(t), "dependents": dependent_rows(t), "lanes": lane_rows(t.lanes, outcome),
        "left": t.lanes_left, "drawing": drawing, "halt": f"{asked.kind}:{asked.id}",
        "runs": bool(t.baseline_t or t.halted_t),
        "country": (home, f"/country/{quote(country)}") if country else None,
        "facts": [(text(f"things.fact.{k}"), f"{t.row[k]:g}") for k in
                  ("handling_usd_t", "dwell_days", "toll_usd_t", "delay_days", "transits_per_day")
                  if t.row.get(k) is not None],
    }  # fmt: skip

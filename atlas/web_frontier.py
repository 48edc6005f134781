"""The pages of the frontier and of the worth of one more tonne, and their JSON: long work, done in the background."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, current_app, request

from atlas.allied import SINCE, element_choices, element_keys
from atlas.answer_tables import FRONTIER_COLUMNS, WORTH_COLUMNS, frontier_table, worth_table
from atlas.chain import chain_of
from atlas.errors import BadInput, UnknownName, nearest
from atlas.frontier import OUTSIDE_CHINA, POINTS, POINTS_MOST, Frontier, frontier
from atlas.frontier_words import percent, sentence, share_title, thousands, worth_sentence
from atlas.halt_words import country_name, describe
from atlas.render import environment
from atlas.render_frontier import NARROW, WIDE, frontier_plot, panels, worth_plot
from atlas.shadow import TOP, TOP_MOST, UNIT_OF, Worth, worth
from atlas.web_answers import Document
from atlas.web_formats import csv_document, json_document
from atlas.web_job_queue import Job
from atlas.web_jobs import asked_job, page_of, result_of
from atlas.web_pages import html_document, nav
from atlas.web_query import parameters, single
from atlas.world import STAGES

FRONTIER_PARAMETERS = ("bloc", "element", "halt", "trusted", "since", "points")
WORTH_PARAMETERS = ("bloc", "halt", "stage", "top")

frontiers = Blueprint("frontiers", __name__)

# Halts that the forms offer where the layers know every name.
HALTS: tuple[tuple[str, str], ...] = (
    ("nothing halted", ""),
    ("China sells no magnets", "country:CHN/magnet"),
    ("China sells nothing", "country:CHN"),
    ("China holds back Dy and Tb", "country:CHN/Dy,Tb"),
    ("no separation in China", "stage:CHN/separation"),
    ("no metal making in China", "stage:CHN/metal"),
)
WORTH_HALT = "country:CHN/magnet"  # without a halt nothing is short and nothing is worth a tonne more


@dataclass(frozen=True)
class Ask:
    """What an address asks: bloc, halts in canonical form, and what the frontier or the worth want besides."""

    bloc: str
    halts: tuple[str, ...]
    element: str = "all"
    trusted: str = OUTSIDE_CHINA
    since: str = "mine"
    number: int = 0
    stages: tuple[str, ...] = ()


@frontiers.get("/frontier")
def frontier_page() -> Response:
    """Show how allied a bloc's magnets can be and at what cost."""
    atlas, ask = _atlas(), _frontier_ask()
    job = _frontier_job(ask)

    def make(found: Frontier) -> Document:
        return html_document(
            environment().get_template("frontier.html").render(
                nav=nav("/frontier"), base=atlas.assets.base, here="/frontier", ask=ask, f=found,
                p=_frontier_parts(found), form=_form(ask, atlas.study), json=_address("/api/frontier", ask),
                csv=_address("/api/frontier.csv", ask),
            )
        )  # fmt: skip

    return page_of(job, f"Frontier of {ask.bloc}", "/frontier", make)


def begin_frontier() -> tuple[Job, str]:
    """Return the work of the frontier that the address asks for, and its title."""
    ask = _frontier_ask()
    return _frontier_job(ask), f"Frontier of {ask.bloc}"


@frontiers.get("/api/frontier")
def frontier_json() -> Response:
    """Return what `atlas frontier --json` prints."""
    return _sent(json_document(result_of(_frontier_job(_frontier_ask())).to_json()))


@frontiers.get("/api/frontier.csv")
def frontier_csv() -> Response:
    """Return the points of a frontier as a table."""
    told = result_of(_frontier_job(_frontier_ask())).to_json()
    return _sent(csv_document(frontier_table(told), "frontier", FRONTIER_COLUMNS))


@frontiers.get("/worth")
def worth_page() -> Response:
    """Show what one more tonne is worth, by stage and place."""
    atlas, ask = _atlas(), _worth_ask(WORTH_HALT)
    job = _worth_job(ask)

    def make(found: Worth) -> Document:
        return html_document(
            environment().get_template("worth.html").render(
                nav=nav("/worth"), base=atlas.assets.base, here="/worth", ask=ask, w=found,
                p=_worth_parts(found, atlas.study.layers), form=_form(ask, atlas.study),
                json=_address("/api/worth", ask), csv=_address("/api/worth.csv", ask),
            )
        )  # fmt: skip

    return page_of(job, "What one more tonne is worth", "/worth", make)


def begin_worth() -> tuple[Job, str]:
    """Return the work on what a tonne is worth that the address asks for, and its title."""
    return _worth_job(_worth_ask(WORTH_HALT)), "What one more tonne is worth"


@frontiers.get("/api/worth")
def worth_json() -> Response:
    """Return what `atlas worth --json` prints."""
    return _sent(json_document(result_of(_worth_job(_worth_ask(""))).to_json()))


@frontiers.get("/api/worth.csv")
def worth_csv() -> Response:
    """Return the worth of a tonne at each unit as a table."""
    told = result_of(_worth_job(_worth_ask(""))).to_json()
    return _sent(csv_document(worth_table(told), "worth", WORTH_COLUMNS))


def _atlas() -> Any:
    """Return what the application holds: study, settings, jobs, assets, send."""
    return current_app.extensions["atlas"]


def _frontier_ask() -> Ask:
    atlas = _atlas()
    found = parameters(request, FRONTIER_PARAMETERS, atlas.settings)
    problems: list[str] = []
    element = single(found, "element", "all", problems)
    trusted = single(found, "trusted", OUTSIDE_CHINA, problems)
    since = single(found, "since", "mine", problems)
    points = _number(single(found, "points", str(POINTS), problems), "points", 3, POINTS_MOST, problems)
    bloc, halts = _bloc(found, problems), _halts(found, problems)
    if trusted not in (OUTSIDE_CHINA, "bloc", *atlas.study.blocs):
        known = [OUTSIDE_CHINA, "bloc", *atlas.study.blocs]
        problems += UnknownName("bloc", trusted, nearest(trusted, known) or sorted(known)).problems
    if since not in SINCE:
        problems += UnknownName("stage", since, nearest(since, SINCE) or list(SINCE)).problems
    try:
        keys = element_keys(element, chain_of(atlas.study.layers))
        element = keys[0] if len(keys) == 1 else "all"
    except UnknownName as e:
        problems += e.problems
    if problems:
        raise BadInput(problems)
    return Ask(bloc, halts, element, trusted, since, points)


def _worth_ask(default: str) -> Ask:
    found = parameters(request, WORTH_PARAMETERS, _atlas().settings)
    problems: list[str] = []
    top = _number(single(found, "top", str(TOP), problems), "top", 0, TOP_MOST, problems)
    stages = tuple(dict.fromkeys(found.get("stage", ())))
    for s in stages:
        if s not in STAGES:
            problems += UnknownName("stage", s, nearest(s, STAGES) or list(STAGES)).problems
    # An empty halt in the address is a choice: nothing halted.
    if default and "halt" not in request.args:
        found["halt"] = [default]
    bloc, halts = _bloc(found, problems), _halts(found, problems)
    if problems:
        raise BadInput(problems)
    return Ask(bloc, halts, number=top, stages=stages)


def _bloc(found: Mapping[str, list[str]], problems: list[str]) -> str:
    bloc, blocs = single(found, "bloc", "us-allies", problems), _atlas().study.blocs
    if bloc not in blocs:
        problems += UnknownName("bloc", bloc, nearest(bloc, blocs) or sorted(blocs)).problems
    return bloc


def _halts(found: Mapping[str, list[str]], problems: list[str]) -> tuple[str, ...]:
    try:
        return tuple(_atlas().study.question(found.get("halt", [])).specs)
    except BadInput as e:
        problems += e.problems
        return ()


def _number(text: str, name: str, low: int, high: int, problems: list[str]) -> int:
    if text.isascii() and text.isdigit() and len(text) < 10 and low <= int(text) <= high:
        return int(text)
    problems.append(f"{name} {text[:20]!r}: expected a whole number from {low} to {high}")
    return low


def _frontier_job(ask: Ask) -> Job:
    atlas = _atlas()

    def make(progress: Any) -> Frontier:
        return frontier(atlas.study, ask.bloc, ask.element, ask.halts, ask.number, progress, ask.trusted, ask.since)

    return asked_job("frontier", ("frontier", ask), make)


def _worth_job(ask: Ask) -> Job:
    atlas = _atlas()

    def make(progress: Any) -> Worth:
        return worth(atlas.study, ask.halts, ask.bloc, ask.stages, ask.number, progress)

    return asked_job("worth", ("worth", ask), make)


def _sent(document: Document) -> Response:
    response: Response = _atlas().send(document)
    return response


def _address(path: str, ask: Ask) -> str:
    parts = [("bloc", ask.bloc), *(("halt", h) for h in ask.halts)]
    if path.startswith("/api/frontier"):
        parts += [("element", ask.element), ("trusted", ask.trusted), ("since", ask.since)]
    return f"{path}?{urlencode(parts)}"


def _form(ask: Ask, study: Any) -> dict[str, Any]:
    """Return the choices of the form, with those of the page marked."""
    halts = []
    for words, spec in HALTS:
        try:
            specs = tuple(study.question([spec] if spec else []).specs)
        except BadInput:  # a name that these layers do not have
            continue
        halts.append((spec, words, specs == ask.halts))
    if not any(chosen for *_, chosen in halts) and len(ask.halts) == 1:
        halts.append((ask.halts[0], describe(ask.halts[0], study.layers), True))
    trusted = [(OUTSIDE_CHINA, "outside China"), ("bloc", f"inside {ask.bloc}")]
    trusted += [(b, f"inside {b}") for b in sorted(study.blocs) if b != ask.bloc]
    return {
        "blocs": [(b, b == ask.bloc) for b in sorted(study.blocs)],
        "elements": [(e, e == ask.element) for e in element_choices(chain_of(study.layers))],
        "halts": halts,
        "more": ask.halts if len(ask.halts) > 1 else (),
        "trusted": [(t, words, t == ask.trusted) for t, words in trusted],
        "since": [(s, s == ask.since) for s in SINCE],
    }


def _frontier_parts(f: Frontier) -> dict[str, Any]:
    layers = _atlas().study.layers
    rows = []
    for r in f.kept.itertuples():
        origins = [getattr(r, f"origin_{s}") for s in SINCE]
        cells = [
            (r.allied_share, percent(r.allied_share)), (r.allied_demand_share, percent(r.allied_demand_share)),
            (r.bloc_shortage_t, f"{r.bloc_shortage_t:,.0f}"), (r.bloc_shortage_share, percent(r.bloc_shortage_share)),
            (r.shortage_t, f"{r.shortage_t:,.0f}"), (r.unit_spend_usd_t, f"{r.unit_spend_usd_t:,.0f}"),
            (r.bloc_days, f"{r.bloc_days:.1f}"), *((o, percent(o, 0)) for o in origins),
            (r.price_usd_t, thousands(r.price_usd_t)),
        ]  # fmt: skip
        rows.append({"cells": cells, "binds": r.binds, "part": percent(r.binds_share, 0) if r.binds else ""})
    return {
        "sentence": sentence(f, layers),
        "title": share_title(f),
        "plots": [frontier_plot(f, WIDE), frontier_plot(f, NARROW)],
        "panels": panels(f),
        "rows": rows,
        "gap": f"{100 * f.gap_share:.2g}",
    }


def _worth_parts(w: Worth, layers: Any) -> dict[str, Any]:
    names = {str(c): country_name(str(c), layers) for c in w.units["country"].unique()}
    worthy = w.units[w.units["value_usd_t"] > 1.0]
    rows = []
    for r in worthy.rename_axis("unit_id").reset_index().itertuples():
        held = "" if r.kink != r.kink else "kink" if r.kink else "yes" if r.agrees else "no"
        rows.append(
            {
                "id": r.unit_id, "name": r.name, "stage": r.stage, "place": names[str(r.country)],
                "cells": [
                    (r.limit_t, _tonnes(r.limit_t)), (r.value_usd_t, f"{r.value_usd_t:,.0f}"),
                    (r.plus_usd_t, _figure(r.plus_usd_t)), (r.minus_usd_t, _figure(r.minus_usd_t)),
                    (r.world_t, _figure(r.world_t, 2)), (r.bloc_t, _figure(r.bloc_t, 2)),
                ],
                "held": held,
            }
        )  # fmt: skip
    places = [
        {"stage": r.stage, "place": names[str(r.country)], "units": r.units, "best": r.best,
         "cells": [(r.limit_t, _tonnes(r.limit_t)), (r.value_usd_t, f"{r.value_usd_t:,.0f}"),
                   (r.rent_usd, f"{r.rent_usd / 1e6:,.1f}")]}
        for r in w.places[w.places["value_usd_t"] > 1.0].itertuples()
    ]  # fmt: skip
    return {
        "sentence": worth_sentence(w, layers),
        "plots": [worth_plot(w, names, WIDE), worth_plot(w, names, NARROW)] if len(worthy) else [],
        "rows": rows,
        "places": places,
        "units": UNIT_OF,
    }


def _tonnes(t: float) -> str:
    return f"{t:,.{0 if t >= 10 else 1}f}"


def _figure(value: float, digits: int = 0) -> str:
    return "" if value != value else f"{value + 0.0:,.{digits}f}".replace("-0.00", "0.00")

"""The page of concentration by stage and element, and its JSON."""

from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, current_app, request

from atlas.answer_tables import CONCENTRATION_COLUMNS, concentration_table
from atlas.chain import chain_of
from atlas.concentration import Report, concentration, keys_of
from atlas.errors import BadInput, UnknownName, nearest
from atlas.render import environment
from atlas.render_concentration import key_words, page_parts
from atlas.web_answers import Document
from atlas.web_formats import csv_document, json_document
from atlas.web_pages import html_document, nav
from atlas.web_query import Query, parameters, single

PARAMETERS = ("element", "halt")

concentrations = Blueprint("concentrations", __name__)


@concentrations.get("/concentration")
def concentration_page() -> Response:
    """Show how concentrated each stage and element is, beside published measures."""
    atlas = _atlas()
    element, halts = _ask()
    tail = f"?{urlencode(_parts(element, halts))}" if element or halts else ""

    def make() -> Document:
        made = page_parts(_measured(element, halts))
        template = environment().get_template("concentration.html")
        return html_document(
            template.render(
                nav=nav("/concentration"), base=atlas.assets.base, here="/concentration", p=made, halts=halts,
                element=element, keys=key_words(chain_of(atlas.study.layers)), json=f"/api/concentration{tail}",
                csv=f"/api/concentration.csv{tail}",
            )
        )  # fmt: skip

    return atlas.send(atlas.answers.documents.get(("concentration", "page", element, halts), make))


@concentrations.get("/api/concentration")
def concentration_json() -> Response:
    """Return what `atlas concentration --json` prints."""
    atlas = _atlas()
    element, halts = _ask()

    def make() -> Document:
        return json_document(_measured(element, halts).to_json())

    return atlas.send(atlas.answers.documents.get(("concentration", "json", element, halts), make))


@concentrations.get("/api/concentration.csv")
def concentration_csv() -> Response:
    """Return the measures of each stage and element as a table."""
    atlas = _atlas()
    element, halts = _ask()

    def make() -> Document:
        table = concentration_table(_measured(element, halts).to_json())
        return csv_document(table, "concentration", CONCENTRATION_COLUMNS)

    return atlas.send(atlas.answers.documents.get(("concentration", "csv", element, halts), make))


def _atlas() -> Any:
    """Return what the application holds: study, settings, answers, assets, send."""
    return current_app.extensions["atlas"]


def _ask() -> tuple[str, tuple[str, ...]]:
    """Return the element (empty for all) and the halts that an address names; raises BadInput."""
    atlas = _atlas()
    found = parameters(request, PARAMETERS, atlas.settings)
    problems: list[str] = []
    element = single(found, "element", "", problems)
    known = keys_of(chain_of(atlas.study.layers))
    if element and element not in known:
        problems += UnknownName("element", element, nearest(element, known) or known).problems
    halts: tuple[str, ...] = ()
    try:
        halts = tuple(atlas.study.question(found.get("halt", [])).specs)
    except BadInput as e:
        problems += e.problems
    if problems:
        raise BadInput(problems)
    return element, halts


def _parts(element: str, halts: tuple[str, ...]) -> list[tuple[str, str]]:
    return [("element", element)] * bool(element) + [("halt", h) for h in halts]


def _measured(element: str, halts: tuple[str, ...]) -> Report:
    """Return the report; a solve waits for its place like every other answer."""
    atlas = _atlas()
    question = atlas.answers.question(Query(halts))
    with atlas.timed("solve"):
        atlas.answers.outcome(question, "us-allies", request.remote_addr or "")
    with atlas.timed("measure"):
        return concentration(atlas.study, halts, element=element)

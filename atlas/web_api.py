"""The interface for programs: answers, names and routes under /api, and /healthz. Layers stand in `web_layers`."""

import platform
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, current_app, request

from atlas import __version__
from atlas.answer_tables import FIND_COLUMNS, ROUTE_COLUMNS, SUMMARY_COLUMNS, route_table, summary_table
from atlas.errors import BadInput
from atlas.web_answers import Document
from atlas.web_formats import CSV_TYPE, GEOJSON_TYPE, JSON_TYPE, csv_document, json_document
from atlas.web_query import Query, halt_query, parameters, scenario_body, single
from atlas.web_route_query import PARAMETERS, read_route

__all__ = ["CSV_TYPE", "GEOJSON_TYPE", "JSON_TYPE", "api"]

FIND_PARAMETERS = ("q", "text", "kind")

api = Blueprint("api", __name__)


def _atlas() -> Any:
    """Return what the application holds."""
    return current_app.extensions["atlas"]


@api.get("/healthz")
def healthz() -> Response:
    """Say that the server runs, and which versions."""
    study = _atlas().study
    versions = {"ok": True, "atlas": __version__, "python": platform.python_version(), "year": study.year,
                "layers": study.layers.digest}  # fmt: skip
    return _atlas().send(json_document(versions), cache="no-store")


@api.get("/api/solve")
def solve_get() -> Response:
    """Solve the halts of the address."""
    return _solved(halt_query(request, _atlas().settings), "summary", json_document)


@api.get("/api/solve.csv")
def solve_csv() -> Response:
    """Return the figures of an answer as one long table."""
    return _solved(
        halt_query(request, _atlas().settings), "summary csv",
        lambda summary: csv_document(summary_table(summary), "solve", SUMMARY_COLUMNS),
    )  # fmt: skip


@api.post("/api/solve")
def solve_post() -> Response:
    """Solve the scenario in the body."""
    return _solved(scenario_body(request, _atlas().settings), "summary", json_document)


def _solved(query: Query, form: str, write: Callable[[Any], Document]) -> Response:
    atlas = _atlas()
    question = atlas.answers.question(query)

    def make() -> Document:
        with atlas.timed("solve"):
            outcome = atlas.answers.outcome(question, query.bloc, request.remote_addr or "")
        return write(outcome.summary)

    return atlas.send(atlas.answers.documents.get((form, atlas.answers.key(question, query.bloc)), make))


@api.get("/api/find")
def find() -> Response:
    """Find ids by name: `q` (or `text`, as the command calls it), and kinds as a comma list."""
    return _atlas().send(json_document(_found().to_dict("records")))


@api.get("/api/find.csv")
def find_csv() -> Response:
    """Find ids by name, as a table."""
    return _atlas().send(csv_document(_found(), "find", FIND_COLUMNS))


def _found() -> Any:
    """Return what a search finds, best first."""
    atlas = _atlas()
    found = parameters(request, FIND_PARAMETERS, atlas.settings)
    problems: list[str] = []
    text = single(found, "q", "", problems) or single(found, "text", "", problems)
    if not text:
        problems.append("q: expected a text to look for")
    if problems:
        raise BadInput(problems)
    kinds = [k.strip() for v in found.get("kind", []) for k in v.split(",") if k.strip()]
    return atlas.study.find(text, kinds or None)[list(FIND_COLUMNS)]


@api.get("/api/route")
def route() -> Response:
    """Return the best path between two places, or several."""
    several, ways = _ways()
    return _atlas().send(json_document(ways if several else ways[0]))


@api.get("/api/route.csv")
def route_csv() -> Response:
    """Return the legs of the best path, or of several, as a table."""
    return _atlas().send(csv_document(route_table(_ways()[1]), "route", ROUTE_COLUMNS))


def _ways() -> tuple[bool, list[dict[str, Any]]]:
    """Return whether several ways are asked for, and those there are, cheapest first."""
    atlas = _atlas()
    found = parameters(request, PARAMETERS, atlas.settings)
    problems: list[str] = []
    query = read_route(found, problems)
    with atlas.timed("route"):
        return query.alternatives > 1, [r.to_json() for r in query.ask(atlas.study, problems)]

"""The interface for programs: JSON and GeoJSON under /api, and /healthz."""

import json
import platform
from typing import Any

from flask import Blueprint, Response, current_app, request

from atlas import __version__
from atlas.errors import BadInput, nearest
from atlas.export import LAYERS, layer_text
from atlas.web_answers import Document
from atlas.web_errors import NotFound
from atlas.web_query import Query, halt_query, parameters, scenario_body, single
from atlas.web_route_query import PARAMETERS, read_route

JSON_TYPE = "application/json"
GEOJSON_TYPE = "application/geo+json"

api = Blueprint("api", __name__)


def _atlas() -> Any:
    """Return what the application holds."""
    return current_app.extensions["atlas"]


def _json(value: Any) -> Document:
    return Document.of(json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":")), JSON_TYPE)


@api.get("/healthz")
def healthz() -> Response:
    """Say that the server runs, and which versions."""
    study = _atlas().study
    versions = {"ok": True, "atlas": __version__, "python": platform.python_version(), "year": study.year,
                "layers": study.layers.digest}  # fmt: skip
    return _atlas().send(_json(versions), cache="no-store")


@api.get("/api/solve")
def solve_get() -> Response:
    """Solve the halts of the address."""
    return _solved(halt_query(request, _atlas().settings))


@api.post("/api/solve")
def solve_post() -> Response:
    """Solve the scenario in the body."""
    return _solved(scenario_body(request, _atlas().settings))


def _solved(query: Query) -> Response:
    atlas = _atlas()
    question = atlas.answers.question(query)

    def make() -> Document:
        with atlas.timed("solve"):
            return _json(atlas.answers.outcome(question, query.bloc, request.remote_addr or "").summary)

    return atlas.send(atlas.answers.documents.get(("summary", atlas.answers.key(question, query.bloc)), make))


@api.get("/api/layers/<name>.geojson")
def layer(name: str) -> Response:
    """Return a layer as GeoJSON, with the results of the halts."""
    atlas = _atlas()
    if name not in LAYERS:
        raise NotFound("layer", name, nearest(name, LAYERS) or LAYERS)
    query = halt_query(request, atlas.settings)
    question = atlas.answers.question(query)

    def make() -> Document:
        with atlas.timed("solve"):
            outcome = atlas.answers.outcome(question, query.bloc, request.remote_addr or "")
        with atlas.timed("write"):
            return Document.of(layer_text(outcome, name), GEOJSON_TYPE)

    return atlas.send(atlas.answers.documents.get(("layer", name, atlas.answers.key(question, query.bloc)), make))


@api.get("/api/find")
def find() -> Response:
    """Find ids by name: `q` (or `text`, as the command calls it), and kinds as a comma list."""
    atlas = _atlas()
    found = parameters(request, ("q", "text", "kind"), atlas.settings)
    problems: list[str] = []
    text = single(found, "q", "", problems) or single(found, "text", "", problems)
    if not text:
        problems.append("q: expected a text to look for")
    if problems:
        raise BadInput(problems)
    kinds = [k.strip() for v in found.get("kind", []) for k in v.split(",") if k.strip()]
    hits = atlas.study.find(text, kinds or None)
    return atlas.send(_json(hits[["id", "kind", "name", "country"]].to_dict("records")))


@api.get("/api/route")
def route() -> Response:
    """Return the best path between two places, or several."""
    atlas = _atlas()
    found = parameters(request, PARAMETERS, atlas.settings)
    problems: list[str] = []
    query = read_route(found, problems)
    with atlas.timed("route"):
        answers = [r.to_json() for r in query.ask(atlas.study, problems)]
    return atlas.send(_json(answers if query.alternatives > 1 else answers[0]))

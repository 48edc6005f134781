"""The scenarios that come with the layers, for programs: a list, and each as JSON or as its file."""

from typing import Any

from flask import Blueprint, Response, current_app, request

from atlas.errors import BadInput, nearest
from atlas.export_geojson import plain
from atlas.web_answers import Document
from atlas.web_errors import NotFound
from atlas.web_formats import TOML_TYPE, attached, json_document
from atlas.web_query import parameters

scenarios = Blueprint("scenarios", __name__)


@scenarios.get("/api/scenarios")
def scenario_list() -> Response:
    """List the scenarios of the layers, by title."""
    atlas = _atlas()
    parameters(request, (), atlas.settings)
    return _sent(json_document([about(n, atlas.answers) for n in atlas.answers.scenarios]))


@scenarios.get("/api/scenarios/<name>")
def scenario_json(name: str) -> Response:
    """Return a scenario as JSON: what POST /api/solve takes."""
    path = _file(name)
    try:
        return _sent(json_document(_plain({"name": path.stem} | _atlas().answers.stored(name))))
    except BadInput:  # its file cannot be read: nothing to do with what was asked
        raise NotFound("scenario", name, ()) from None


@scenarios.get("/api/scenarios/<name>.toml")
def scenario_toml(name: str) -> Response:
    """Return a scenario as its file."""
    return _sent(Document.of(_file(name).read_bytes(), TOML_TYPE, (attached(f"{name}.toml"),)))


def _atlas() -> Any:
    """Return what the application holds: study, settings, answers, assets, send."""
    return current_app.extensions["atlas"]


def _sent(document: Document) -> Response:
    response: Response = _atlas().send(document)
    return response


def _file(name: str) -> Any:
    """Return the file of a scenario; one that is not known is not found."""
    atlas = _atlas()
    found = atlas.study.layers.scenarios
    if name not in found:
        raise NotFound("scenario", name, nearest(name, found) or sorted(found))
    parameters(request, (), atlas.settings)
    return found[name]


def about(name: str, answers: Any) -> dict[str, Any]:
    """Return what a list tells of a scenario; one whose file cannot be read has its name alone."""
    try:
        told = _plain(answers.stored(name))
    except BadInput:
        told = {}
    rows = told.get("halt")
    rows = rows if isinstance(rows, list) else []
    start, days = told.get("start"), told.get("days")
    return {
        "name": name,
        "title": answers.scenarios[name],
        "note": str(told.get("note", "")).strip(),
        "start": start if isinstance(start, str) else None,
        "days": days if isinstance(days, int) else None,
        "halts": [str(r["spec"]) for r in rows if isinstance(r, dict) and "spec" in r],
        "changes": sorted(k for k in told if k not in ("name", "note", "start", "days")),
        "json": f"/api/scenarios/{name}",
        "toml": f"/api/scenarios/{name}.toml",
        "solve": f"/api/solve?scenario={name}",
        "map": f"/map?scenario={name}",
    }


def _plain(value: Any) -> Any:
    """Return TOML as JSON knows it: dates as text."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return plain(value)

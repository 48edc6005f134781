"""The interface for programs: JSON and GeoJSON under /api, and /healthz."""

import json
import platform
from typing import Any

from flask import Blueprint, Response, current_app, request

from atlas import __version__
from atlas.errors import BadInput, nearest
from atlas.export import LAYERS, layer_text
from atlas.geo import parse_lonlat
from atlas.web_answers import Document
from atlas.web_errors import NotFound
from atlas.web_query import Query, halt_query, parameters, scenario_body, single

MODES = ("sea", "rail", "road", "air")
COMMODITIES = ("concentrate", "oxide", "metal", "magnet")
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
    names = ("from", "to", "close", "open", "modes", "commodity", "alternatives")
    found = parameters(request, names, atlas.settings)
    problems: list[str] = []
    ends = [_place(single(found, side, "", problems), side, problems) for side in ("from", "to")]
    modes = [m.strip() for m in single(found, "modes", "sea,rail,road", problems).split(",") if m.strip()]
    commodity = single(found, "commodity", "magnet", problems)
    problems += [f"unknown mode {m[:40]!r}; known: {', '.join(MODES)}" for m in modes if m not in MODES]
    if commodity not in COMMODITIES:
        problems.append(
            f"unknown commodity {commodity[:40]!r}; "
            f"nearest: {', '.join(nearest(commodity, COMMODITIES) or COMMODITIES)}"
        )
    count = single(found, "alternatives", "1", problems)
    if not (count.isascii() and count.isdigit() and 1 <= int(count[:9]) <= 10):
        problems.append(f"alternatives: {count[:20]!r} is not a whole number from 1 to 10")
    if problems:
        raise BadInput(problems)
    with atlas.timed("route"):
        best = atlas.study.route(
            ends[0], ends[1], close=tuple(found.get("close", ())), open=tuple(found.get("open", ())),
            modes=tuple(modes), commodity=commodity, alternatives=int(count),
        )  # fmt: skip
    several = isinstance(best, list)
    answers = [r.to_json() for r in (best if several else [best])]
    return atlas.send(_json(answers if int(count) > 1 else answers[0]))


def _place(text: str, side: str, problems: list[str]) -> str | tuple[float, float]:
    """Return an id, or (lon, lat) of a text with a comma."""
    if not text:
        problems.append(f"{side}: expected a facility, a port or lon,lat")
        return ""
    if "," not in text:
        return text
    point = parse_lonlat(text)
    if point is None:
        problems.append(f"{side}: {text[:60]!r} is not lon,lat in degrees")
        return ""
    return point

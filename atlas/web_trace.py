"""The page of a trace, its JSON and the GeoJSON of its paths."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from flask import Blueprint, Response, current_app, redirect, request
from markupsafe import Markup
from werkzeug.wrappers import Response as AnyResponse

from atlas.answer_tables import TRACE_COLUMNS, trace_table
from atlas.chain import chain_of
from atlas.errors import BadInput, UnknownName, nearest
from atlas.export_trace import trace_geojson
from atlas.halt_words import country_name
from atlas.render import environment
from atlas.render_trace import page
from atlas.trace import DIRECTIONS, Trace, groups, trace
from atlas.trace_target import known_ids
from atlas.web_answers import Document
from atlas.web_errors import NotFound
from atlas.web_formats import GEOJSON_TYPE, attached, csv_document, json_document
from atlas.web_pages import html_document, nav
from atlas.web_query import Query, parameters, single

PARAMETERS = ("element", "halt", "scenario", "bloc", "direction", "origin", "threshold")
# name, id, what is asked besides; shown where the layers know the id
EXAMPLES: tuple[tuple[str, str, Mapping[str, str]], ...] = (
    ("Germany's demand", "DEU", {"direction": "both"}),
    ("Dy in the magnets of Japan's electric cars", "jpn-ev", {"element": "Dy"}),
    ("Vacuumschmelze Hanau, against 0.1 % Chinese content", "vac-hanau", {"origin": "CHN", "threshold": "0.001"}),
    ("Lynas Malaysia, downstream", "lynas-kuantan", {"direction": "down"}),
    ("Mountain Pass, downstream", "mountain-pass-mine", {"direction": "down"}),
)

tracing = Blueprint("tracing", __name__)


@dataclass(frozen=True)
class TraceQuery:
    """A question of a trace as an address asks it."""

    halts: Query
    element: str = "all"
    direction: str | None = None
    origin: str = ""
    threshold: float | None = None

    def address(self, **changed: str) -> str:
        """Return the query string that asks the same, with parts changed."""
        q = self.halts
        asked = {
            "element": self.element if self.element != "all" else "",
            "bloc": q.bloc if q.bloc != "us-allies" else "",
            "direction": self.direction or "",
            "origin": self.origin,
            "threshold": f"{self.threshold:g}" if self.threshold is not None else "",
            "scenario": q.named,
        } | changed
        found = [(k, v) for k, v in asked.items() if v] + [("halt", h) for h in q.halts]
        return "?" + urlencode(found) if found else ""


@tracing.get("/trace")
def trace_start() -> AnyResponse:
    """Show the form to choose what to trace, or go to what it chose."""
    atlas = _atlas()
    found = parameters(request, ("id", *PARAMETERS), atlas.settings)
    problems: list[str] = []
    asked = single(found, "id", "", problems)
    query = _read(found, problems)
    if asked:
        return redirect(f"/trace/{quote(asked, safe='')}{query.address()}")

    def make() -> Document:
        examples = [(title, f"/trace/{i}?{urlencode(list(more.items()))}") for title, i, more in EXAMPLES if _known(i)]
        template = environment().get_template("trace_start.html")
        return html_document(
            template.render(
                nav=nav("/chokepoints"), here="/trace", base=atlas.assets.base, form=_form(query, ""), examples=examples
            )
        )

    return atlas.send(atlas.answers.documents.get(("trace", "start", query.address()), make))


@tracing.get("/trace/<place>")
def trace_page(place: str) -> Response:
    """Show where the material of a place comes from, and where it goes."""
    query = _asked()

    def make() -> Document:
        atlas, made = _atlas(), _traced(place, query)
        with atlas.timed("draw"):
            tail = query.address()
            links = [
                {"href": f"/api/trace/{quote(made.target.id)}{tail}", "text": "The same as JSON", "download": False},
                {"href": f"/api/trace/{quote(made.target.id)}.csv{tail}", "text": "Shares (CSV)", "download": True},
                {"href": f"/api/trace/{quote(made.target.id)}.geojson{tail}", "text": "Paths (GeoJSON)",
                 "download": True},
            ]  # fmt: skip
            frame = {"nav": nav("/chokepoints"), "form": _form(query, made.target.id), "links": links}
            return html_document(page(made, frame, atlas.assets.base))

    return _kept("page", place, query, make)


@tracing.get("/api/trace/<place>")
def trace_json(place: str) -> Response:
    """Return what `atlas trace --json` prints."""
    query = _asked()

    return _kept("json", place, query, lambda: json_document(_traced(place, query).to_json()))


@tracing.get("/api/trace/<place>.csv")
def trace_shares(place: str) -> Response:
    """Return the shares of a trace as a table."""
    query = _asked()

    def make() -> Document:
        made = _traced(place, query)
        return csv_document(trace_table(made), f"trace-{made.target.id}", TRACE_COLUMNS)

    return _kept("csv", place, query, make)


@tracing.get("/api/trace/<place>.geojson")
def trace_paths(place: str) -> Response:
    """Return the paths of a trace as GeoJSON."""
    query = _asked()

    def make() -> Document:
        made = _traced(place, query)
        return Document.of(trace_geojson(made), GEOJSON_TYPE, (attached(f"trace-{made.target.id}.geojson"),))

    return _kept("geojson", place, query, make)


def _atlas() -> Any:
    """Return what the application holds: study, settings, answers, assets, send."""
    return current_app.extensions["atlas"]


def _kept(kind: str, place: str, query: TraceQuery, make: Any) -> Response:
    atlas = _atlas()
    question = atlas.answers.question(query.halts)
    key = ("trace", kind, place, query, atlas.answers.key(question, query.halts.bloc))
    return atlas.send(atlas.answers.documents.get(key, make))


def _traced(place: str, query: TraceQuery) -> Trace:
    """Return the trace of a place; an id in a path that is not known is not found."""
    atlas = _atlas()
    question = atlas.answers.question(query.halts)
    with atlas.timed("solve"):
        outcome = atlas.answers.outcome(question, query.halts.bloc, request.remote_addr or "")
    with atlas.timed("trace"):
        try:
            return trace(outcome, place, query.element, query.direction, query.origin, query.threshold)
        except UnknownName as error:
            if error.name == place.strip()[:80] and error.what.startswith("facility"):
                raise NotFound(error.what, error.name, error.nearest) from None
            raise


def _asked() -> TraceQuery:
    found = parameters(request, PARAMETERS, _atlas().settings)
    problems: list[str] = []
    query = _read(found, problems)
    try:
        _atlas().answers.question(query.halts)
    except BadInput as error:
        problems += error.problems
    if problems:
        raise BadInput(list(dict.fromkeys(problems)))
    return query


def _read(found: Mapping[str, list[str]], problems: list[str]) -> TraceQuery:
    """Return the question that parameters ask; what is wrong goes to `problems`."""
    settings, halts = _atlas().settings, found.get("halt", [])
    if len(halts) > settings.max_halts:
        problems.append(f"{len(halts)} halts: expected {settings.max_halts} at most")
    element = single(found, "element", "all", problems)
    known = groups(chain_of(_atlas().study.layers))
    if element not in known:
        problems.append(f"unknown element {element[:40]!r}; nearest: {', '.join(nearest(element, known) or known)}")
    direction = single(found, "direction", "", problems) or None
    if direction is not None and direction not in DIRECTIONS:
        problems.append(f"direction {direction[:40]!r}: expected {', '.join(DIRECTIONS)}")
    text, threshold = single(found, "threshold", "", problems), None
    if text:
        try:
            threshold = float(text)
        except ValueError:
            threshold = math.nan
        if not 0 < threshold < 1:
            problems.append(f"threshold {text[:40]!r}: expected a share over 0 and below 1")
            threshold = None
    bloc = single(found, "bloc", "us-allies", problems)
    asked = Query(tuple(halts), bloc, named=single(found, "scenario", "", problems))
    return TraceQuery(asked, element, direction, single(found, "origin", "", problems), threshold)


def _known(place: str) -> bool:
    study = _atlas().study
    fac = study.layers.facilities
    return place in fac.index or place in study.layers.demand.index or place in set(study.layers.demand["country"])


def _form(query: TraceQuery, place: str) -> Markup:
    """Return the form as the question fills it."""
    study = _atlas().study
    layers = study.layers
    world = study.ground.stage.world
    fac = layers.facilities["name"]
    names = {i: str(fac.get(i, "")) for i in known_ids(layers, world)}
    names |= {c: country_name(c, layers) for c in sorted(set(world.markets["country"]))}
    return Markup(
        environment().get_template("trace_form.html").render(
            place=place,
            names=[(i, n) for i, n in names.items() if n],
            q=query,
            threshold=f"{query.threshold:g}" if query.threshold is not None else "",
            elements=list(groups(chain_of(layers))),
            blocs=layers.bloc_names,
            directions=[("", "as fits"), ("up", "upstream"), ("down", "downstream"), ("both", "both")],
        )
    )  # fmt: skip

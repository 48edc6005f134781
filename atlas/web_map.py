"""The map pages: baseline, a halt, a map for other pages, the scenarios; the address holds the whole state."""

import math
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, current_app, request
from markupsafe import Markup

from atlas.errors import BadInput, nearest
from atlas.render import environment, page
from atlas.render_data import basemap, json_text
from atlas.render_style import COMMODITIES, STAGES
from atlas.web_answers import Document
from atlas.web_builder import halt_builder, stories
from atlas.web_errors import NotFound
from atlas.web_pages import html_document, nav
from atlas.web_query import Query, halt_query, parameters

# How the map is looked at: scripts read these from the address and keep them in it, the answer does not depend on them.
LOOKS = ("colour", "off", "also", "at", "swipe")
SWITCHES = (
    *(f"flow-{c}" for c in COMMODITIES), *(f"stage-{s}" for s in (*STAGES, "demand", "idle", "buyer")),
    "ports", "passages", "labels",
)  # fmt: skip
SCRIPTS = ("map-near.js", "map-share.js")
USUAL_BLOC = "us-allies"
GIS_FORMS = (("geojson", "GeoJSON"), ("fgb", "FlatGeobuf"), ("parquet", "GeoParquet"), ("csv", "CSV"))

maps = Blueprint("maps", __name__)


@maps.get("/")
def index() -> Response:
    """Show the baseline and the halt builder."""
    parameters(request, LOOKS, _atlas().settings)
    check_looks()
    return _map_page(Query(view="before"), "/")


@maps.get("/map")
def halt_map() -> Response:
    """Show a halt; the address holds the whole state."""
    query = halt_query(request, _atlas().settings, more=("view", *LOOKS))
    check_looks()
    return _map_page(query, "/map")


@maps.get("/embed/map")
def embedded_map() -> Response:
    """Show a map that may stand in any other page: title, sentence, legend, and a link back to the atlas."""
    query = halt_query(request, _atlas().settings, more=("view", *LOOKS))
    check_looks()
    return _map_page(query, "/embed/map")


@maps.get("/basemap/<digest>.json")
def land(digest: str) -> Response:
    """Return the outlines of countries, at an address that changes with the layers."""
    atlas = _atlas()
    parameters(request, (), atlas.settings)
    if digest != land_digest(atlas):
        raise NotFound("basemap", digest, [land_digest(atlas)])
    made = atlas.answers.documents.get(
        ("land", digest), lambda: Document.of(json_text(basemap(atlas.study.layers)), "application/json")
    )
    response: Response = atlas.send(made, cache="public, max-age=31536000, immutable")
    return response


@maps.get("/scenarios")
def scenario_page() -> Response:
    """List the scenarios that come with the layers: what each tells and what it closes."""
    atlas = _atlas()
    parameters(request, (), atlas.settings)

    def make() -> Document:
        html = environment().get_template("scenarios.html").render(
            nav=nav("/scenarios"), base=atlas.assets.base, stories=stories()
        )
        return html_document(html)

    response: Response = atlas.send(atlas.answers.documents.get("/scenarios", make))
    return response


def _atlas() -> Any:
    """Return what the application holds: study, settings, answers, assets, send."""
    return current_app.extensions["atlas"]


def land_digest(atlas: Any) -> str:
    """Return what names the basemap of these layers in an address."""
    return str(atlas.study.layers.digest)[:16]


def check_looks() -> None:
    """Check how the map is to be looked at; raises BadInput with all problems."""
    found = request.args
    problems = [f"{n}: given {len(found.getlist(n))} times, expected once" for n in LOOKS if len(found.getlist(n)) > 1]
    for name in ("off", "also"):
        for key in found.get(name, "").split(","):
            if key.strip() and key.strip() not in SWITCHES:
                near = nearest(key, SWITCHES) or SWITCHES
                problems.append(f"{name}: unknown layer {key.strip()[:40]!r}; nearest: {', '.join(near)}")
    if found.get("colour", "").strip() not in ("", "commodity", "source"):
        problems.append(f"colour: {found['colour'][:40]!r}, expected commodity or source")
    if found.get("swipe", "").strip() and not 0 <= _number(found["swipe"]) <= 100:
        problems.append(f"swipe: {found['swipe'][:40]!r}, expected 0 to 100")
    if found.get("at", "").strip():
        at = [_number(v) for v in found["at"].split(",")]
        if len(at) != 3 or not (-360 <= at[0] <= 360 and -90 <= at[1] <= 90 and 0 <= at[2] <= 20):
            problems.append(f"at: {found['at'][:60]!r}, expected lon,lat,zoom such as 103.4,4,9")
    if problems:
        raise BadInput(problems)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _map_page(query: Query, path: str) -> Response:
    atlas = _atlas()
    question = atlas.answers.question(query)
    view = query.view if not question.is_baseline else "before"
    buyers = tuple(map(str, getattr(query, "buyers", ())))
    key = ("page", path, atlas.answers.key(question, query.bloc), query.view, buyers)

    def make() -> Document:
        with atlas.timed("solve"):
            outcome = atlas.answers.outcome(question, query.bloc, request.remote_addr or "")
        with atlas.timed("draw"):
            html = page(
                outcome, view=view, standalone=False, asset_base=atlas.assets.base, tiles=atlas.settings.tiles,
                land=f"/basemap/{land_digest(atlas)}.json", frame=_frame(outcome, query, path),
            )  # fmt: skip
            embedded = path.startswith("/embed/")
            return html_document(html, atlas.settings.tiles, ancestors="*" if embedded else "'self'")

    response: Response = atlas.send(atlas.answers.documents.get(key, make))
    return response


def _frame(outcome: Any, query: Query, path: str) -> dict[str, Any]:
    """Return what the web adds to a map: navigation, builder, links."""
    halts = list(outcome.summary["scenario"]["halts"])
    if query.named:  # the halts of the scenario itself stand in its file
        halts = list(_atlas().study.question(query.halts).specs) if query.halts else []
    rest = [("buyer", str(b)) for b in getattr(query, "buyers", ())] + [("open", o) for o in query.opened]
    rest += [("on", query.on.isoformat())] if query.on else []
    own_bloc = [("bloc", query.bloc)] if query.bloc != USUAL_BLOC else []
    own_name = [("scenario", query.named)] if query.named else []
    address = urlencode(own_name + [("halt", h) for h in halts] + rest + own_bloc)
    tail = f"?{address}" if address else ""
    if path.startswith("/embed/"):
        return {"embedded": f"/map{tail}" if tail else "/", "scripts": ("map-near.js",)}
    names = (("facilities", "Facilities"), ("flows", "Flows"), ("changes", "Changes"))
    links = [{"href": f"/api/solve{tail}", "text": "All figures (JSON)", "download": False}]
    links += [{"href": f"/api/layers/all.gpkg{tail}", "text": "All layers for GIS (GeoPackage)", "download": True}]
    for n, t in names:
        links += [{"href": f"/api/layers/{n}.{form}{tail}", "text": f"{t} ({said})", "download": True}
                  for form, said in GIS_FORMS]  # fmt: skip
    links += [{"href": f"/map.{form}{tail}", "text": f"Picture for print ({form.upper()})", "download": False}
              for form in ("png", "svg", "pdf")]  # fmt: skip
    if halts and not query.named and not rest:  # a brief is of halts alone
        brief = urlencode([("report", "brief"), *(("halt", h) for h in halts), *own_bloc])
        links += [{"href": f"/reports?{brief}", "text": "Make a brief of two pages", "download": False}]
    case = [f"scenario:{query.named}"] * bool(query.named) + halts + [f"open:{o}" for o in query.opened]
    day = [("on", query.on.isoformat())] if query.on else []
    return {
        "compare": "/compare?" + urlencode([("case", ";".join(case)), *own_bloc, *day], safe=":/;,@") if case else "",
        "nav": nav("/" if path == "/" else "/map"),
        "builder": Markup(halt_builder(halts, query.bloc, rest, bool(halts or query.named), query.named)),
        "builder_first": path == "/",
        "links": links,
        "scripts": ("builder.js", *SCRIPTS, "map-go.js"),
    }

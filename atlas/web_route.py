"""The page of routes and its GeoJSON: the same question as /api/route, drawn and told."""

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, Response, current_app, request
from markupsafe import Markup

from atlas.errors import BadInput
from atlas.export_route import route_text
from atlas.render import ONLINE_TILES, environment
from atlas.render_data import json_text
from atlas.render_route import data_text, route_legend, route_map, route_payload
from atlas.render_route_words import place_name, route_words, thing_name
from atlas.render_style import ATTRIBUTION
from atlas.web_answers import Document
from atlas.web_api import GEOJSON_TYPE
from atlas.web_pages import html_document, nav
from atlas.web_query import parameters
from atlas.web_route_query import COMMODITIES, MODES, PARAMETERS, RouteQuery, is_place, named_like, read_route

# title, question; shown where the layers know every name
EXAMPLES: tuple[tuple[str, RouteQuery], ...] = (
    ("Lynas Malaysia to Yokohama", RouteQuery("lynas-kuantan", "JPYOK", alternatives=3)),
    ("Shanghai to Los Angeles by sea", RouteQuery("CNSHA", "USLAX", modes=("sea",), alternatives=3)),
    ("Ganzhou to Hanau with Suez closed", RouteQuery("114.93,25.83", "vac-hanau", ("suez",), alternatives=3)),
)

routes = Blueprint("routes", __name__)


@routes.get("/route")
def route_page() -> Response:
    """Draw the best route of a question and the ways beside it; without one, the form and examples."""
    atlas = _atlas()
    problems: list[str] = []
    query = RouteQuery(alternatives=3)
    try:
        found = parameters(request, PARAMETERS, atlas.settings)
        if found:
            query = read_route(found, problems)
            query.check(atlas.study, problems, whole=False)
    except BadInput as error:
        problems += error.problems
    if not problems:
        def make() -> Document:
            return _page(query, _asked(query) if query.complete else [])

        try:
            return atlas.send(atlas.answers.documents.get(("route", "page", query), make))
        except BadInput as error:
            problems += error.problems
    return atlas.send(_page(query, [], list(dict.fromkeys(problems))), 400, cache="no-store")


@routes.get("/api/route.geojson")
def route_geojson() -> Response:
    """Return the routes of a question and their legs as GeoJSON."""
    atlas = _atlas()
    problems: list[str] = []
    query = read_route(parameters(request, PARAMETERS, atlas.settings), problems)
    query.check(atlas.study, problems)
    if problems:
        raise BadInput(dict.fromkeys(problems))

    def make() -> Document:
        name = ("Content-Disposition", 'attachment; filename="route.geojson"')
        return Document.of(route_text(_asked(query)), GEOJSON_TYPE, (name,))

    return atlas.send(atlas.answers.documents.get(("route", "geojson", query), make))


def _atlas() -> Any:
    """Return what the application holds: study, settings, answers, assets, send."""
    return current_app.extensions["atlas"]


def _asked(query: RouteQuery) -> list[Any]:
    with _atlas().timed("route"):
        return query.ask(_atlas().study)


def _page(query: RouteQuery, found: Sequence[Any], problems: Sequence[str] = ()) -> Document:
    """Return the page: a result, a form to begin with, or what was wrong beside the form as it was sent."""
    atlas = _atlas()
    layers, tiles = atlas.study.layers, atlas.settings.tiles
    ends = (query.start, query.end)
    words = route_words(found, layers, ends, commodity=query.commodity, close=query.close, open=query.open,
                        surcharge=query.surcharge, wanted=query.alternatives) if found else None  # fmt: skip
    reachable = [r for r in found if r.reachable]
    label = f"Map: {words.title}" if words else "Map: ports and passages to choose from"
    with atlas.timed("draw"):
        html = environment().get_template("route.html").render(
            nav=nav("/route"),
            base=atlas.assets.base,
            words=words,
            problems=problems,
            offers=_offers(query) if problems else [],
            form=_form(query, folded=words is not None and words.reachable),
            examples=[] if words else [(title, q.address()) for title, q in EXAMPLES if _known(q)],
            address=query.address(),
            json_address=query.address("/api/route"),
            csv_address=query.address("/api/route.csv"),
            geojson_address=query.address("/api/route.geojson"),
            legend=route_legend(pick=not found),
            data=data_text(route_payload(reachable, layers, ends, query.close, not found, query.open)),
            folium=route_map(label, ONLINE_TILES if tiles else None).parts(),
            attribution=ATTRIBUTION,
        )  # fmt: skip
        return html_document(html, tiles)


def _form(query: RouteQuery, folded: bool) -> Markup:
    """Return the form as the question fills it."""
    study = _atlas().study
    layers = study.layers
    shut = [str(i) for i, o in layers.passages["default_open"].items() if not o]
    ends = [(name, label, value, place_name(value, layers) if value else "")
            for name, label, value in (("from", "From", query.start), ("to", "To", query.end))]  # fmt: skip
    return Markup(
        environment().get_template("route_form.html").render(
            folded=folded,
            ends=[(n, label, v, "" if said == v else said) for n, label, v, said in ends],
            close=[(i, thing_name(i, layers)) for i in query.close],
            open=[(i, thing_name(i, layers), i in query.open) for i in dict.fromkeys([*shut, *query.open])],
            surcharges=query.surcharge,
            modes=[(m, m in query.modes) for m in MODES],
            commodities=COMMODITIES,
            commodity=query.commodity,
            counts=sorted({1, 2, 3, 5, 10, query.alternatives}),
            count=query.alternatives,
            names=Markup(json_text(_closable(study))),
        )
    )  # fmt: skip


def _closable(study: Any) -> list[list[str]]:
    """Return id, name and kind of everything that can be closed."""
    layers = study.layers
    found = [[str(i), str(n), "passage"] for i, n in layers.passages["name"].items()]
    found += [[str(i), str(n), "port"] for i, n in layers.ports["name"].items()]
    return found + [[b, thing_name(b, layers).removeprefix("border "), "border"] for b in sorted(study.names.border)]


def _known(query: RouteQuery) -> bool:
    """Return whether a shipped example fits these layers."""
    layers = _atlas().study.layers
    known = all(is_place(end, layers) for end in (query.start, query.end))
    return known and set(query.close) <= set(layers.passages.index)


def _offers(query: RouteQuery) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """Return, for each end that is not known, names like it as (name, id, address with it put right)."""
    study = _atlas().study
    offers = []
    for side, text in (("start", query.start), ("end", query.end)):
        if text and not is_place(text, study.layers):
            found = [(name, i, query.address(**{side: i})) for i, name in named_like(text, study)]
            if found:
                offers.append((text, found))
    return offers

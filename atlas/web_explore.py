"""Exploring the facilities: a page whose map and table are twins, filters in the address, and the same as data."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any
from urllib.parse import urlencode
from weakref import WeakKeyDictionary

import geopandas as gpd
import pandas as pd
from flask import Blueprint, Response, current_app, request
from markupsafe import Markup

from atlas import geo
from atlas.errors import BadInput
from atlas.export import ATTRIBUTION
from atlas.export_geojson import collection_text, plain
from atlas.facility_filter import COLUMNS, ONE, SEVERAL, Facilities, FacilityFilter
from atlas.page_text import text
from atlas.render import environment
from atlas.render_data import json_text
from atlas.render_explore import figure, looks, places, size_key, stage_key, table_rows, total_lines
from atlas.render_style import ATTRIBUTION as CREDITS
from atlas.web_answers import Document
from atlas.web_formats import GEOJSON_TYPE, attached, csv_document, json_document
from atlas.web_map import land_digest
from atlas.web_pages import html_document, nav
from atlas.web_query import Query, parameters, single

PARAMETERS = (*SEVERAL, *ONE, "text")
_PREPARED: WeakKeyDictionary[Any, Facilities] = WeakKeyDictionary()

explore = Blueprint("explore", __name__)


@explore.get("/facilities")
def facilities_page() -> Response:
    """Show the facilities that a filter leaves, on a map and in a table; `part=list` is what its script puts in."""
    problems: list[str] = []
    part = single(parameters(request, (*PARAMETERS, "part"), _atlas().settings), "part", "", problems)
    if problems or part not in ("", "list"):
        raise BadInput(problems or f"part {part[:40]!r}: expected list")
    if part:
        return _kept("part", lambda asked: html_document(_template("explore_list.html", _shown(asked))), ("part",))
    return _kept("page", _page)


@explore.get("/api/facilities")
def facilities_json() -> Response:
    """Return the facilities that a filter leaves, with totals and what each further choice would leave."""
    return _kept("json", lambda asked: json_document(_told(asked)))


@explore.get("/api/facilities.csv")
def facilities_csv() -> Response:
    """Return the facilities that a filter leaves as a table."""
    return _kept("csv", lambda asked: csv_document(_columns(asked), "facilities", COLUMNS))


@explore.get("/api/facilities.geojson")
def facilities_geojson() -> Response:
    """Return the facilities that a filter leaves as points."""
    return _kept("geojson", _points)


def _atlas() -> Any:
    """Return what the application holds: study, settings, answers, assets, send."""
    return current_app.extensions["atlas"]


def facilities() -> Facilities:
    """Return the facilities of the study with what the baseline makes of each; prepared once for an application."""
    atlas = _atlas()
    if atlas not in _PREPARED:
        query = Query()
        outcome = atlas.answers.outcome(atlas.answers.question(query), query.bloc, request.remote_addr or "")
        _PREPARED[atlas] = Facilities(outcome.layers, outcome.facilities["baseline_t"].to_dict())
    return _PREPARED[atlas]


def _kept(form: str, make: Callable[[FacilityFilter], Document], more: Sequence[str] = ()) -> Response:
    atlas = _atlas()
    asked = facilities().read(parameters(request, (*PARAMETERS, *more), atlas.settings))
    response: Response = atlas.send(atlas.answers.documents.get(("facilities", form, asked), lambda: make(asked)))
    return response


def address(asked: FacilityFilter, path: str = "/facilities") -> str:
    """Return the address that asks for the same."""
    return path + ("?" + urlencode(asked.asked) if asked.asked else "")


def _page(asked: FacilityFilter) -> Document:
    shown = _shown(asked)
    land = {"land": {"href": f"/basemap/{land_digest(_atlas())}.json"}, "looks": looks()}
    html = _template(
        "explore.html",
        shown
        | {
            "nav": nav("/facilities"),
            "choices": _choices(asked, shown["facets"]),
            "folium": figure("AtlasExplore", text("explore.map_label")).parts(),
            "data": Markup(json_text(land)),
            "key": stage_key(),
            "sizes": size_key(),
            "attribution": CREDITS,
        },
    )
    return html_document(html)


def _template(name: str, values: dict[str, Any]) -> str:
    made: str = environment().get_template(name).render(base=_atlas().assets.base, **values)
    return made


def _shown(asked: FacilityFilter) -> dict[str, Any]:
    """Return what a filter shows: rows, totals, the parts of the filter, counts, downloads."""
    known = facilities()
    rows = known.select(asked)
    facets = known.facets(asked)
    live = {"asked": asked.asked, "facets": facets, "places": places(rows)}
    return {
        "asked": asked.asked,
        "rows": table_rows(rows, known.countries),
        "totals": total_lines(known.totals(rows)),
        "count": len(rows),
        "whole": len(known.table),
        "facets": facets,
        "chips": [
            {"text": f"{text(f'explore.filter.{n}')}: {_label(n, v)}", "href": address(asked.without(n, v))}
            for n, v in asked.asked
        ],
        "year": _atlas().study.year,
        "downloads": [(kind, address(asked, f"/api/facilities{end}")) for kind, end in
                      (("CSV", ".csv"), ("GeoJSON", ".geojson"), ("JSON", ""))],
        "live": Markup(json_text(live)),
    }  # fmt: skip


def _label(name: str, value: str) -> str:
    """Return a choice in words."""
    known = facilities()
    if name in ("stage", "status", "confidence"):
        return str(text(f"explore.{name}.{value}"))
    return {"country": known.countries, "operator": known.operators}.get(name, {}).get(value, value)


def _choices(asked: FacilityFilter, facets: dict[str, dict[str, int]]) -> dict[str, list[dict[str, Any]]]:
    """Return every filter's choices with their counts; countries and operators by name."""
    found = {}
    for name, counts in facets.items():
        now = getattr(asked, name)
        chosen = set(now if isinstance(now, tuple) else (now,))
        counts = counts | {v: 0 for v in chosen if v and v not in counts}
        made = [{"value": v, "text": _label(name, v), "count": n, "chosen": v in chosen} for v, n in counts.items()]
        found[name] = sorted(made, key=lambda c: str(c["text"]).casefold()) if name in ONE else made
    return found


def _columns(asked: FacilityFilter) -> pd.DataFrame:
    """Return the rows of a selection with the columns of a download."""
    rows = facilities().select(asked)
    return rows.assign(elements=rows["made"])[list(COLUMNS)]


def _told(asked: FacilityFilter) -> dict[str, Any]:
    known = facilities()
    rows = _columns(asked)
    totals = [asdict(t) for t in known.totals(known.select(asked))]
    lists = ("operator_ids", "elements", "grades")
    return {
        "filter": {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(asked).items()},
        "count": len(rows),
        "totals": totals,
        "facets": known.facets(asked),
        "facilities": [
            {k: list(v) if k in lists else plain(v) for k, v in r.items()} for r in rows.to_dict("records")
        ],
    }


def _points(asked: FacilityFilter) -> Document:
    rows = _columns(asked).set_index("id", drop=False)
    table = gpd.GeoDataFrame(rows, geometry=gpd.points_from_xy(rows["lon"], rows["lat"]), crs=geo.CRS)
    members = {"name": "facilities", "attribution": ATTRIBUTION}
    return Document.of(collection_text(table, members), GEOJSON_TYPE, (attached("facilities.geojson"),))

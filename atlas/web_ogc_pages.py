"""The pages of OGC API - Features for people: the same documents in the frame of the atlas, with a map of features."""

from collections.abc import Iterable, Mapping
from typing import Any

from markupsafe import Markup

from atlas.export_geojson import plain
from atlas.export_tables import ATTRIBUTION
from atlas.page_text import text
from atlas.render import environment
from atlas.render_data import json_text
from atlas.web_documents import Document
from atlas.web_map import land_digest
from atlas.web_ogc_address import HTML_TYPE, Links
from atlas.web_ogc_documents import COLLECTION_TITLES
from atlas.web_ogc_features import Features
from atlas.web_pages import html_document, nav
from atlas.web_query import Query

CELL_MOST = 90  # characters of a cell in a table of many features; the page of a feature shows all
EXAMPLE = "halt=country:CHN/magnet"

Parameters = Iterable[tuple[str, str]]


def document_page(
    resource: str, links: Links, query: Query, told: Mapping[str, Any], atlas: Any, collection: str = ""
) -> Document:
    """Return the page of a document without features: landing page, conformance, collections, the interface."""
    return _page(resource, links, query, told, atlas, collection)


def features_page(
    links: Links, query: Query, told: Mapping[str, Any], atlas: Any, place: tuple[str, str], given: Parameters,
    features: Features, rows: Iterable[int],
) -> Document:  # fmt: skip
    """Return the page of some features, or of one: a map, a table, and links; `place` is (collection, feature id).

    `told` are the members of the JSON beside its features.
    """
    name, feature_id = place
    shown = list(map(int, rows))
    part = features.properties.iloc[shown]
    columns = {str(c): [plain(v) for v in part[c].tolist()] for c in part.columns}
    path = f"collections/{name}/items"
    # The map reads longitude and latitude, whatever the rest of the address asks for.
    asked = [(n, v) for n, v in given if n not in ("f", "crs")]
    data = links.href(f"{path}/{feature_id}" if feature_id else path, [*asked, ("f", "json")])
    table = [
        {"id": features.ids[row], "href": links.href(f"{path}/{features.ids[row]}", [("f", "html")]),
         "cells": [_cell(columns[c][n], feature_id == "") for c in columns]}
        for n, row in enumerate(shown)
    ]  # fmt: skip
    settings = {"land": f"/basemap/{land_digest(atlas)}.json", "features": data, "label": text("ogc.map_label")}
    return _page(
        "item" if feature_id else "items", links, query, told, atlas, name,
        feature=feature_id, fields=[features.fields[c] for c in columns], rows=table,
        settings=Markup(json_text(settings)),
        numeric=[features.fields[c].type in ("int", "float") for c in columns],
    )  # fmt: skip


def _page(
    resource: str, links: Links, query: Query, told: Mapping[str, Any], atlas: Any, collection: str, **more: Any
) -> Document:
    html = environment().get_template(f"ogc_{resource}.html").render(
        nav=nav("/data"), base=atlas.assets.base, told=told, links=links, state=query.parts, name=collection,
        title=COLLECTION_TITLES.get(collection, ""), crumbs=_crumbs(links, collection, resource),
        json=_json(told), turn={r: _rel(told, r) for r in ("next", "prev")}, attribution=ATTRIBUTION,
        example=links.root.rpartition("/ogc")[0] + "/ogc/" + EXAMPLE if not query.parts else "",
        **({"feature": "", "rows": [], "fields": [], "numeric": [], "settings": Markup("")} | more),
    )  # fmt: skip
    return html_document(html)


def _crumbs(links: Links, collection: str, resource: str) -> list[tuple[str, str]]:
    """Return (words, address) of the pages above one."""
    found = [] if resource == "landing" else [(text("ogc.crumb_landing"), links.href("", [("f", "html")]))]
    if collection:
        found.append((text("ogc.crumb_collections"), links.href("collections", [("f", "html")])))
        if resource != "collection":
            found.append((collection, links.href(f"collections/{collection}", [("f", "html")])))
        if resource == "item":
            found.append((text("ogc.crumb_items"), links.href(f"collections/{collection}/items", [("f", "html")])))
    return found


def _json(told: Mapping[str, Any]) -> str:
    """Return the address of the same as JSON."""
    return next((str(k["href"]) for k in told.get("links", ()) if k["rel"] in ("self", "alternate")
                 and k["type"] != HTML_TYPE), "")  # fmt: skip


def _rel(told: Mapping[str, Any], rel: str) -> str:
    return next((str(k["href"]) for k in told.get("links", ()) if k["rel"] == rel), "")


def _cell(value: Any, short: bool) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.6g}" if abs(value) >= 1 else f"{value:.4g}"
    made = str(value)
    return f"{made[: CELL_MOST - 1]}…" if short and len(made) > CELL_MOST else made

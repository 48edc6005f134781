"""OGC API - Features under /ogc, over the layers of the atlas and over the results of any halt.

A small blueprint of our own rather than pygeoapi's core (0.21 was read) behind our routes. Its collections are
providers named in a configuration that is read when its API is made, and so are the OpenAPI document and the address
that all links begin with: here collections belong to a state (a halt, a scenario, a bloc) that every request names
anew, and the address is the one that the client asked. Its pages load scripts from other hosts, its Flask application
reads the environment at import, it brings rasterio, SQLAlchemy, tinydb, Babel and a dozen more, and it would write
features with its own encoder instead of the one that all exports of the atlas share. What is left, the parameters and
documents of Parts 1 and 2 of the standard, stands in the `web_ogc_` modules and is held against the abstract tests of
the standard in `tests/test_ogc.py`. Only what is tested there is claimed.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from flask import Blueprint, Flask, Response, current_app, request
from werkzeug.exceptions import NotFound as PathNotFound

from atlas.errors import BadInput, nearest
from atlas.export_fields import Field, fields_of
from atlas.export_tables import layer_table
from atlas.web_answers import Document
from atlas.web_errors import OGC_ROOT as ROOT
from atlas.web_errors import NotFound
from atlas.web_formats import json_document
from atlas.web_ogc_address import (
    GEOJSON_TYPE,
    JSON_TYPE,
    OPENAPI_TYPE,
    SCHEMA_TYPE,
    Links,
    Place,
    read_form,
    read_path,
    read_state,
)
from atlas.web_ogc_documents import COLLECTIONS, collection, collections, conformance, item, items, landing
from atlas.web_ogc_documents import queryables as queryables_of
from atlas.web_ogc_documents import schema as schema_of
from atlas.web_ogc_features import Features, Sets, collection_text
from atlas.web_ogc_openapi import openapi_document
from atlas.web_ogc_pages import document_page, features_page
from atlas.web_ogc_query import CRS84, Asked, read_crs, read_items

PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "items": ("f", "bbox", "bbox-crs", "crs", "datetime", "limit", "offset"),
    "item": ("f", "crs"),
}

ogc = Blueprint("ogc", __name__)


class Service:
    """One state of the service as a request asks for it: its question, its links, the features of its collections."""

    def __init__(self, place: Place, atlas: Any, sets: Sets) -> None:
        self.place, self.atlas, self.sets = place, atlas, sets
        if place.collection and place.collection not in COLLECTIONS:
            raise NotFound("collection", place.collection, nearest(place.collection, COLLECTIONS) or COLLECTIONS)
        known = PARAMETERS.get(place.resource, ("f",))
        filters = self.filters(place.collection) if place.resource == "items" else {}
        self.query, self.found = read_state(place, request, (*known, *filters), atlas.settings)
        self.question = atlas.answers.question(self.query)
        self.links = Links.of(request, self.query)
        self.form = read_form(self.found, request)
        if place.collection and place.collection not in self.offered:
            raise NotFound("collection of the baseline", place.collection, self.offered)

    @property
    def offered(self) -> tuple[str, ...]:
        """The collections of this state; without any halt nothing changes, so `changes` is left out."""
        return tuple(c for c in COLLECTIONS if c != "changes" or not self.question.is_baseline)

    @property
    def given(self) -> list[tuple[str, str]]:
        """The parameters of the request beside its state."""
        return [(n, v) for n, values in self.found.items() for v in values]

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells the answer to this request from all others."""
        answer = self.atlas.answers.key(self.question, self.query.bloc)
        return ("ogc", self.links.root, answer, self.place, self.form, *self.given)

    def features(self, name: str) -> Features:
        """Return the features of a collection, those of an answer solved now or remembered."""
        atlas, question = self.atlas, self.question
        if name == "countries":
            layers = atlas.study.layers
            return self.sets.get(name, lambda: Features(layers.countries.sort_index(), self._fields(name)))
        with atlas.timed("solve"):
            outcome = atlas.answers.outcome(question, self.query.bloc, request.remote_addr or "")

        def make() -> Features:
            table = layer_table(outcome, name)
            if name == "flows" and question.is_baseline:
                table = table[table["state"] == "baseline"]  # both states are the same
            return Features(table, self._fields(name))

        with atlas.timed("features"):
            return self.sets.get((name, atlas.answers.key(question, self.query.bloc)), make)

    def _fields(self, name: str) -> Mapping[str, Field]:
        """Return the fields of a collection, none where there is no such collection."""
        return fields_of(name, self.atlas.study.layers.schema) if name in COLLECTIONS else {}

    def filters(self, name: str) -> dict[str, Field]:
        """Return the fields that features can be chosen by: all that they have, the id left out."""
        own = "iso3" if name == "countries" else "id"
        return {n: f for n, f in self._fields(name).items() if n != own}


@ogc.record
def _hold(state: Any) -> None:
    """Give each application its own features."""
    app: Flask = state.app
    app.extensions["atlas.ogc"] = Sets()


@ogc.get(f"{ROOT}/")
def root() -> Response:
    """Answer the landing page of the baseline, or of the state in the query."""
    return _answer("")


@ogc.get(f"{ROOT}/<path:rest>")
def resource(rest: str) -> Response:
    """Answer any other resource: state in the path first, then the path of the standard."""
    return _answer(rest)


@ogc.after_request
def open_to_others(response: Response) -> Response:
    """Let pages of other sites read the answer where the settings say so; reading changes nothing here."""
    allowed = {o.strip().rstrip("/") for o in current_app.extensions["atlas"].settings.ogc_origins.split(",")} - {""}
    if not allowed:
        return response
    origin = request.headers.get("Origin", "")
    response.headers.add("Vary", "Origin")
    if "*" in allowed or origin in allowed:
        response.headers["Access-Control-Allow-Origin"] = "*" if "*" in allowed else origin
        response.headers["Access-Control-Expose-Headers"] = "Content-Crs, ETag, Link, Retry-After"
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        if request.method == "OPTIONS":
            response.headers["Access-Control-Allow-Methods"] = "GET, HEAD, OPTIONS"
            response.headers["Access-Control-Allow-Headers"] = "Accept, If-None-Match"
            response.headers["Access-Control-Max-Age"] = "86400"
    return response


def _answer(path: str) -> Response:
    place = read_path(path)
    if place is None:
        raise PathNotFound
    atlas = current_app.extensions["atlas"]
    service = Service(place, atlas, current_app.extensions["atlas.ogc"])
    make, crs = ANSWERS[place.resource](service)
    response: Response = atlas.send(atlas.answers.documents.get(service.key, make))
    response.headers["Vary"] = "Accept, Accept-Encoding"
    if crs:
        response.headers["Content-Crs"] = f"<{crs}>"
    return response


Made = tuple[Callable[[], Document], str]


def _page_or_json(service: Service, told: Callable[[], dict[str, Any]], kind: str = JSON_TYPE) -> Made:
    def make() -> Document:
        if service.form == "html":
            return _page(service, told())
        return _typed(told(), kind)

    return make, ""


def _typed(value: Any, kind: str) -> Document:
    made = json_document(value)
    return Document.of(made.body, kind)


def _page(service: Service, told: dict[str, Any]) -> Document:
    place = service.place
    resource = "api" if place.resource == "api_page" else place.resource
    return document_page(resource, service.links, service.query, told, service.atlas, place.collection)


def _features_page(service: Service, told: dict[str, Any], features: Features, rows: Any) -> Document:
    place = (service.place.collection, service.place.feature)
    return features_page(service.links, service.query, told, service.atlas, place, service.given, features, rows)


def _landing(service: Service) -> Made:
    return _page_or_json(service, lambda: landing(service.links, service.query, service.form))


def _conformance(service: Service) -> Made:
    return _page_or_json(service, lambda: conformance(service.links, service.form))


def _api_document(service: Service) -> dict[str, Any]:
    return openapi_document(service.links, service.query, {n: service.filters(n) for n in service.offered})


def _api(service: Service) -> Made:
    if service.found.get("f") == ["html"]:
        return _api_page(service)
    return lambda: _typed(_api_document(service), OPENAPI_TYPE), ""


def _api_page(service: Service) -> Made:
    return lambda: _page(service, _api_document(service)), ""


def _collections(service: Service) -> Made:
    return _page_or_json(
        service, lambda: collections(service.links, {n: service.features(n) for n in service.offered}, service.form)
    )


def _collection(service: Service) -> Made:
    name = service.place.collection
    return _page_or_json(service, lambda: collection(service.links, name, service.features(name), service.form))


def _queryables(service: Service) -> Made:
    name = service.place.collection
    return lambda: _typed(queryables_of(service.links, name, service.filters(name)), SCHEMA_TYPE), ""


def _schema(service: Service) -> Made:
    name = service.place.collection
    return lambda: _typed(schema_of(service.links, name, service.features(name)), SCHEMA_TYPE), ""


def _items(service: Service) -> Made:
    problems: list[str] = []
    own = {n: v for n, v in service.found.items() if n != "f"}
    asked = read_items(own, service.filters(service.place.collection), problems)
    if problems:
        raise BadInput(problems)
    return partial(_items_document, service, asked), asked.crs


def _items_document(service: Service, asked: Asked) -> Document:
    name = service.place.collection
    features = service.features(name)
    rows = features.chosen(asked)
    shown = rows[asked.offset : asked.offset + asked.limit]
    turn = (asked.offset, asked.limit, len(rows))
    members = {
        "links": items(service.links, name, service.given, service.form, turn),
        "timeStamp": dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "numberMatched": len(rows),
        "numberReturned": len(shown),
    }
    if service.form == "html":
        return _features_page(service, members, features, shown)
    with service.atlas.timed("write"):
        box = {"bbox": found} if asked.crs == CRS84 and (found := features.bbox(shown)) else {}
        return Document.of(collection_text(members | box, features.texts(shown, asked.crs)), GEOJSON_TYPE)


def _item(service: Service) -> Made:
    problems: list[str] = []
    crs = read_crs("crs", service.found.get("crs", [CRS84])[0], problems)
    if len(service.found.get("crs", [])) > 1:
        problems.append("crs: given more than once")
    if problems:
        raise BadInput(problems)
    name, feature_id = service.place.collection, service.place.feature
    features = service.features(name)
    row = features.row(feature_id)
    if row is None:
        raise NotFound("feature", feature_id, nearest(feature_id, features.ids[:5000]))
    found = {"links": item(service.links, name, feature_id, service.given, service.form)}

    def make() -> Document:
        if service.form == "html":
            return _features_page(service, found, features, [row])
        links = json_document(found).body.decode()[1:-1]
        return Document.of(f"{features.texts(np.array([row]), crs)[0]},{links}}}", GEOJSON_TYPE)

    return make, crs


ANSWERS: Mapping[str, Callable[[Service], Made]] = {
    "landing": _landing,
    "api": _api,
    "api_page": _api_page,
    "conformance": _conformance,
    "collections": _collections,
    "collection": _collection,
    "queryables": _queryables,
    "schema": _schema,
    "items": _items,
    "item": _item,
}

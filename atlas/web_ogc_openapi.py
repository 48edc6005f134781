"""The OpenAPI 3.0 document of one state of the service: every path of every collection, with its parameters.

Paths are written out by collection, since clients (GDAL, QGIS) look here for what each can be filtered by.
"""

from collections.abc import Mapping
from typing import Any

from atlas import __version__
from atlas.export_fields import Field
from atlas.web_ogc_address import FORMS, GEOJSON_TYPE, HTML_TYPE, JSON_TYPE, OPENAPI_TYPE, SCHEMA_TYPE, Links
from atlas.web_ogc_documents import COLLECTION_TITLES, JSON_TYPES, TITLE, state_words
from atlas.web_ogc_query import CRS, CRS84, LIMIT, MOST
from atlas.web_query import Query

Schema = dict[str, Any]

REFUSALS: Mapping[int, str] = {
    400: "A parameter is not known or has a wrong value; every problem is told.",
    404: "There is no such thing at this address.",
    405: "This address takes GET, HEAD and OPTIONS only.",
    429: "Too many requests from one address; Retry-After says when to come back.",
    500: "A fault of the server, which is logged.",
    503: "The server is busy solving; Retry-After says when to come back.",
    504: "No answer in time; it is worked on, and Retry-After says when to come back.",
}
_TEXT: Schema = {"type": "string"}


def openapi_document(links: Links, query: Query, fields: Mapping[str, Mapping[str, Field]]) -> dict[str, Any]:
    """Return the document for a state; `fields` are those of each collection offered, by name."""
    paths: dict[str, Any] = {
        "/": _get("landing", "Landing page", ("f",), {JSON_TYPE: "Landing"}),
        "/api": _get("api", "This document", (), {OPENAPI_TYPE: "Document"}, html=False),
        "/api.html": _get("apipage", "This document for people", (), {}),
        "/conformance": _get("conformance", "Conformance classes", ("f",), {JSON_TYPE: "Conformance"}),
        "/collections": _get("collections", "The collections", ("f",), {JSON_TYPE: "Collections"}),
    }
    for name, own in fields.items():
        path, title = f"/collections/{name}", COLLECTION_TITLES[name]
        paths[path] = _get(f"{name}_collection", f"What the collection is: {title}", ("f",), {JSON_TYPE: "Collection"})
        for part in ("queryables", "schema"):
            paths[f"{path}/{part}"] = _get(
                f"{name}_{part}", f"{title}: {part}", (), {SCHEMA_TYPE: "Document"}, html=False
            )
        many = _get(
            f"{name}_items", title, ("f", "bbox", "bbox-crs", "crs", "datetime", "limit", "offset"),
            {GEOJSON_TYPE: "FeatureCollection"}, crs=True,
        )  # fmt: skip
        many["get"]["parameters"] += [_filter(f, n) for n, f in own.items()]
        paths[f"{path}/items"] = many
        one = _get(f"{name}_item", f"One feature: {title}", ("f", "crs"), {GEOJSON_TYPE: "Feature"}, crs=True)
        one["get"]["parameters"] += [{"name": "featureId", "in": "path", "required": True, "schema": _TEXT}]
        paths[f"{path}/items/{{featureId}}"] = one
    return {
        "openapi": "3.0.3",
        "info": {
            "title": TITLE, "version": __version__,
            "description": f"OGC API - Features over the layers of the atlas. State: {state_words(query)}.",
            "license": {"name": "Apache 2.0 (the program); the data: see attribution of each collection"},
        },
        "servers": [{"url": links.root, "description": "This state"}],
        "tags": [{"name": "Features"}],
        "paths": paths,
        "components": {"parameters": _parameters(), "schemas": _schemas(), "headers": _headers(),
                       "responses": {str(s): _refusal(s) for s in REFUSALS}},
    }  # fmt: skip


def _get(
    name: str,
    summary: str,
    parameters: tuple[str, ...],
    content: dict[str, str],
    *,
    html: bool = True,
    crs: bool = False,
) -> dict[str, Any]:
    """Return a path with its operation; `content` names the schema of each type that it answers with."""
    told: Schema = {kind: {"schema": _ref("schemas", schema)} for kind, schema in content.items()}
    if html:
        told[HTML_TYPE] = {"schema": _TEXT}
    headers = {"ETag": _ref("headers", "ETag")} | ({"Content-Crs": _ref("headers", "Content-Crs")} if crs else {})
    statuses = [s for s in REFUSALS if s != 404 or "_" in name]
    return {
        "get": {
            "operationId": name, "summary": summary, "tags": ["Features"],
            "parameters": [_ref("parameters", p) for p in parameters],
            "responses": {
                "200": {"description": summary, "content": told, "headers": headers},
                "304": {"description": "It is what was sent before, by the tag in If-None-Match."},
            } | {str(s): _ref("responses", str(s)) for s in statuses},
        }
    }  # fmt: skip


def _ref(kind: str, name: str) -> Schema:
    return {"$ref": f"#/components/{kind}/{name}"}


def _filter(field: Field, name: str) -> Schema:
    """Return the parameter that chooses features by a property."""
    said = f"{field.description} [{field.unit}]" if field.unit else field.description
    return {
        "name": name, "in": "query", "required": False, "style": "form", "explode": False,
        "description": f"Only features with this value. {said}".strip(),
        "schema": {"type": JSON_TYPES.get(field.type, "string")},
    }  # fmt: skip


def _parameters() -> Schema:
    def one(name: str, about: str, schema: Schema) -> Schema:
        return {
            "name": name, "in": "query", "required": False, "style": "form", "explode": False, "description": about,
            "schema": schema,
        }  # fmt: skip

    crs = {"type": "string", "format": "uri", "enum": list(CRS), "default": CRS84}
    return {
        "f": one("f", "The form of the answer; else what the header Accept likes best.",
                 {"type": "string", "enum": list(FORMS)}),
        "bbox": one(
            "bbox",
            "Only features whose geometry meets this box: west, south, east, north in degrees (with bbox-crs in that "
            "system, its axis order). West beyond east means across the antimeridian. Heights say nothing.",
            {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 6},
        ),
        "bbox-crs": one("bbox-crs", "The coordinate reference system of bbox.", crs),
        "crs": one("crs", "The coordinate reference system of the answer; EPSG:4326 has latitude first.", crs),
        "datetime": one(
            "datetime",
            "Only features that exist then: a time, a day, or an interval of two, either end open (two dots). Features "
            "without time always fit.",
            _TEXT,
        ),
        "limit": one("limit", f"Features of a page; more than {MOST} are {MOST}.",
                     {"type": "integer", "minimum": 1, "maximum": MOST, "default": LIMIT}),
        "offset": one("offset", "Features to leave out at the beginning.",
                      {"type": "integer", "minimum": 0, "default": 0}),
    }  # fmt: skip


def _headers() -> Schema:
    return {
        "ETag": {"description": "What tells this answer from another.", "schema": _TEXT},
        "Content-Crs": {"description": "The coordinate reference system of the answer, in <>.", "schema": _TEXT},
        "Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}},
    }


def _refusal(status: int) -> Schema:
    made: Schema = {
        "description": REFUSALS[status],
        "content": {JSON_TYPE: {"schema": _ref("schemas", "Exception")}, HTML_TYPE: {"schema": _TEXT}},
    }
    if status in (429, 503, 504):
        made["headers"] = {"Retry-After": _ref("headers", "Retry-After")}
    return made


def _record(properties: Schema, required: tuple[str, ...]) -> Schema:
    return {"type": "object", "required": list(required), "properties": properties}


def _schemas() -> Schema:
    """Return the schemas of the standard (its Annex of OpenAPI fragments), as far as they are used."""
    many_links = {"type": "array", "items": _ref("schemas", "Link")}
    whole = {"type": "integer", "minimum": 0}
    extent = {
        "type": "object",
        "properties": {
            "spatial": _record(
                {"bbox": {"type": "array", "minItems": 1,
                          "items": {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 6}},
                 "crs": {"type": "string", "enum": [CRS84]}}, ("bbox",)),
            "temporal": _record(
                {"interval": {"type": "array", "minItems": 1,
                              "items": {"type": "array", "minItems": 2, "maxItems": 2,
                                        "items": {"type": "string", "format": "date-time", "nullable": True}}},
                 "trs": _TEXT}, ("interval",)),
        },
    }  # fmt: skip
    geometry = {
        "type": "object", "nullable": True, "required": ["type", "coordinates"],
        "properties": {
            "type": {"type": "string", "enum": ["Point", "MultiPoint", "LineString", "MultiLineString", "Polygon",
                                                "MultiPolygon"]},
            "coordinates": {"type": "array", "items": {}, "minItems": 1},
        },
    }  # fmt: skip
    feature = {
        "type": {"type": "string", "enum": ["Feature"]}, "id": _TEXT, "geometry": geometry,
        "properties": {"type": "object", "nullable": True}, "links": many_links,
    }  # fmt: skip
    return {
        "Link": _record(
            {"href": _TEXT, "rel": _TEXT, "type": _TEXT, "title": _TEXT, "hreflang": _TEXT}, ("href", "rel", "type")
        ),
        "Exception": _record({"code": _TEXT, "description": _TEXT}, ("code",)),
        "Document": {"type": "object"},
        "Landing": _record(
            {"title": _TEXT, "description": _TEXT, "attribution": _TEXT, "links": many_links}, ("links",)
        ),
        "Conformance": _record({"conformsTo": {"type": "array", "items": _TEXT}, "links": many_links}, ("conformsTo",)),
        "Collections": _record(
            {"links": many_links, "crs": {"type": "array", "items": _TEXT},
             "collections": {"type": "array", "items": _ref("schemas", "Collection")}},
            ("links", "collections"),
        ),
        "Collection": _record(
            {"id": _TEXT, "title": _TEXT, "description": _TEXT, "attribution": _TEXT, "links": many_links,
             "extent": extent, "itemType": {"type": "string", "default": "feature"},
             "crs": {"type": "array", "items": _TEXT, "default": [CRS84]}, "storageCrs": _TEXT},
            ("id", "links"),
        ),
        "Feature": _record(feature, ("type", "geometry", "properties")),
        "FeatureCollection": _record(
            {"type": {"type": "string", "enum": ["FeatureCollection"]}, "links": many_links,
             "timeStamp": {"type": "string", "format": "date-time"}, "numberMatched": whole, "numberReturned": whole,
             "features": {"type": "array", "items": _ref("schemas", "Feature")}},
            ("type", "features"),
        ),
    }  # fmt: skip

"""The documents of OGC API - Features beside its features: landing page, conformance, collections, schemas."""

from collections.abc import Iterable, Mapping
from typing import Any

from atlas.export_fields import Field
from atlas.export_tables import ATTRIBUTION, LAYERS, TITLES
from atlas.web_ogc_address import (
    GEOJSON_TYPE,
    HTML_TYPE,
    JSON_TYPE,
    OPENAPI_TYPE,
    SCHEMA_TYPE,
    Links,
)
from atlas.web_ogc_features import Features
from atlas.web_ogc_query import CRS, CRS84
from atlas.web_query import Query

COLLECTIONS = (*LAYERS, "countries")
COLLECTION_TITLES: Mapping[str, str] = TITLES | {"countries": "Outlines of countries, generalised for 1:50 million"}
TITLE = "Rare-earth supply-network atlas"
ODBL = "https://opendatacommons.org/licenses/odbl/1-0/"
OF_ROUTES = ("network", "flows", "changes")  # whose geometry is under the ODbL

_PART_1 = "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/"
CONFORMANCE = (
    f"{_PART_1}core",
    f"{_PART_1}oas30",
    f"{_PART_1}html",
    f"{_PART_1}geojson",
    "http://www.opengis.net/spec/ogcapi-features-2/1.0/conf/crs",
)
QUERYABLES_REL = "http://www.opengis.net/def/rel/ogc/1.0/queryables"
GREGORIAN = "http://www.opengis.net/def/uom/ISO-8601/0/Gregorian"
JSON_TYPES = {"int": "integer", "float": "number", "bool": "boolean"}  # all others are text


def state_words(query: Query) -> str:
    """Return the state of a service in words: its halts and whatever else its address says."""
    return "; ".join(f"{name} {value}" for name, value in query.parts) or "baseline"


def landing(links: Links, query: Query, form: str) -> dict[str, Any]:
    """Return the landing page."""
    return {
        "title": TITLE,
        "description": "Facilities, ports, passages, lanes and flows of rare earths, and what changes under halts: "
        f"{state_words(query)}. Tonnes are a year's.",
        "attribution": ATTRIBUTION,
        "links": [
            *links.both(form, JSON_TYPE, "This page", ""),
            links.to("service-desc", OPENAPI_TYPE, "The interface as OpenAPI 3.0", "api"),
            links.to("service-doc", HTML_TYPE, "The interface for people", "api.html"),
            links.to("conformance", JSON_TYPE, "Conformance classes", "conformance"),
            links.to("data", JSON_TYPE, "Collections", "collections"),
        ],
    }


def conformance(links: Links, form: str) -> dict[str, Any]:
    """Return the conformance classes that the service claims."""
    return {"conformsTo": list(CONFORMANCE), "links": links.both(form, JSON_TYPE, "This page", "conformance")}


def collections(links: Links, found: Mapping[str, Features], form: str) -> dict[str, Any]:
    """Return the list of collections."""
    return {
        "links": links.both(form, JSON_TYPE, "Collections", "collections"),
        "crs": list(CRS),
        "collections": [collection(links, name, features, form) for name, features in found.items()],
    }


def collection(links: Links, name: str, features: Features, form: str) -> dict[str, Any]:
    """Return what a collection is: extent, coordinate reference systems, where its features and schemas stand."""
    path, title = f"collections/{name}", COLLECTION_TITLES[name]
    extent: dict[str, Any] = {}
    if features.extent:
        extent["spatial"] = {"bbox": [features.extent], "crs": CRS84}
    if features.years is not None:
        first = [int(y) for y in features.years[0].tolist() if y == y]
        extent["temporal"] = {"interval": [[f"{min(first)}-01-01T00:00:00Z" if first else None, None]],
                              "trs": GREGORIAN}  # fmt: skip
    more = [links.to("license", HTML_TYPE, "Open Database Licence 1.0")] if name in OF_ROUTES else []
    for link in more:
        link["href"] = ODBL
    return {
        "id": name,
        "title": name.capitalize(),
        "description": title,
        "attribution": ATTRIBUTION,
        "extent": extent,
        "itemType": "feature",
        "crs": list(CRS),
        "storageCrs": CRS84,
        "links": [
            *links.both(form, JSON_TYPE, "This collection", path),
            links.to("items", GEOJSON_TYPE, "Features (JSON)", f"{path}/items", parameters=[("f", "json")]),
            links.to("items", HTML_TYPE, "Features (HTML)", f"{path}/items", parameters=[("f", "html")]),
            links.to(QUERYABLES_REL, SCHEMA_TYPE, "Properties to filter by", f"{path}/queryables"),
            links.to("describedby", SCHEMA_TYPE, "Schema of the features", f"{path}/schema"),
            *more,
        ],
    }


def queryables(links: Links, name: str, fields: Mapping[str, Field]) -> dict[str, Any]:
    """Return the properties that features can be chosen by, as JSON Schema."""
    properties = {n: _property(f) for n, f in fields.items()}
    return _schema(links.href(f"collections/{name}/queryables"), name, properties) | {"additionalProperties": False}


def schema(links: Links, name: str, features: Features) -> dict[str, Any]:
    """Return the schema of the features of a collection: properties with heading, unit and meaning, and geometry."""
    kind = features.geometry_type.lower().replace("unknown", "any")
    properties: dict[str, Any] = {
        "id": {"title": "Id", "type": "string", "x-ogc-role": "id"},
        "geometry": {"title": "Geometry", "format": f"geometry-{kind}", "x-ogc-role": "primary-geometry"},
    }
    roles = {"start_year": "primary-interval-start", "end_year": "primary-interval-end"}
    for n, f in features.fields.items():
        properties[n] = _property(f) | ({"x-ogc-role": roles[n]} if n in roles else {})
    return _schema(links.href(f"collections/{name}/schema"), name, properties)


def items(
    links: Links, name: str, given: Iterable[tuple[str, str]], form: str, page: tuple[int, int, int]
) -> list[dict[str, Any]]:
    """Return the links of a page of features; `page` is (offset, limit, how many there are in all)."""
    offset, limit, matched = page
    path = f"collections/{name}/items"
    asked = [(n, v) for n, v in given if n not in ("f", "offset", "limit")]
    # As it was asked: a client that knows its own address finds it again.
    found: list[dict[str, Any]] = links.both(form, GEOJSON_TYPE, "This page", path, given)
    kind = GEOJSON_TYPE if form == "json" else HTML_TYPE

    def turn(rel: str, title: str, at: int, size: int) -> dict[str, Any]:
        tail = [*asked, ("limit", str(size)), *([("offset", str(at))] if at else []), ("f", form)]
        return links.to(rel, kind, title, path, parameters=tail)

    if offset + limit < matched:
        found.append(turn("next", "Next page", offset + limit, limit))
    if offset > 0:
        found.append(turn("prev", "Previous page", max(0, offset - limit), limit))
    return [*found, links.to("collection", JSON_TYPE, "The collection", f"collections/{name}")]


def item(links: Links, name: str, feature_id: str, given: Iterable[tuple[str, str]], form: str) -> list[dict[str, Any]]:
    """Return the links of a feature."""
    path = f"collections/{name}/items/{feature_id}"
    return [
        *links.both(form, GEOJSON_TYPE, "This feature", path, given),
        links.to("collection", JSON_TYPE, "The collection", f"collections/{name}"),
    ]


def _property(field: Field) -> dict[str, Any]:
    made: dict[str, Any] = {"title": field.alias or field.name, "type": JSON_TYPES.get(field.type, "string")}
    if field.description:
        made["description"] = field.description
    if field.unit:
        made["x-ogc-unit"] = field.unit
    if field.type == "date":
        made["format"] = "date"
    return made


def _schema(address: str, name: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": address,
        "title": name.capitalize(),
        "description": COLLECTION_TITLES[name],
        "type": "object",
        "properties": properties,
    }

"""Shapes of the answers of /api as JSON Schema: a small notation for records, and those of answers, routes and layers.

A record knows all its fields and no other, so that an answer that breaks the contract is seen. Units stand in the names
of fields and, by them, in the descriptions.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from atlas.answer_tables import UNITS
from atlas.world import COMMODITIES, STAGES

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
INTEGER: Schema = {"type": "integer"}
COUNT: Schema = {"type": "integer", "minimum": 0}
FLAG: Schema = {"type": "boolean"}
SHARE: Schema = {"type": "number", "minimum": -1e-6, "maximum": 1.000001, "description": "a share, 0 to 1"}
COUNTRY: Schema = {"type": "string", "pattern": "^[A-Z]{3}$", "description": "ISO 3166-1 alpha-3"}
DAY: Schema = {"type": "string", "format": "date"}
YEAR: Schema = {"type": "integer", "minimum": 1850, "maximum": 2150}
CODES: dict[str, Schema] = {
    "text": TEXT, "number": NUMBER, "integer": INTEGER, "count": COUNT, "flag": FLAG, "share": SHARE,
    "country": COUNTRY, "day": DAY, "year": YEAR,
}  # fmt: skip
STATES = ("baseline", "halted")
CELL: Schema = {"type": ["string", "number", "boolean", "array", "null"]}
GEOMETRIES = ("Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon")


def record(
    fields: str = "", nested: Mapping[str, Schema] | None = None, /, *, maybe: str = "", **more: Schema
) -> Schema:
    """Return the schema of an object with exactly these fields, all of them there.

    `fields` is a list `name:code` of CODES, a `?` after the code lets it be null; `nested` and `more` are fields with
    schemas of their own. Those named in `maybe` may be left out.
    """
    properties: dict[str, Schema] = {}
    for item in fields.split():
        name, _, code = item.partition(":")
        made = dict(CODES[code.rstrip("?")])
        unit = next((u for end, u in UNITS if name.endswith(end)), "") if made.get("type") == "number" else ""
        if unit and "description" not in made:
            made["description"] = unit
        properties[name] = nullable(made) if code.endswith("?") else made
    properties |= {**(nested or {}), **more}
    required = [name for name in properties if name not in maybe.split()]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def nullable(schema: Schema) -> Schema:
    """Return the schema that takes null as well."""
    if isinstance(schema.get("type"), str) and "enum" not in schema:
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def listed(schema: Schema, least: int = 0) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": schema} | ({"minItems": least} if least else {})


def one_of(names: Sequence[str], description: str = "") -> Schema:
    """Return the schema of a text that is one of these."""
    return {"type": "string", "enum": list(names)} | ({"description": description} if description else {})


def by(key: str, *levels: Schema | str) -> Schema:
    """Return the schema of an object with names as keys, nested: `by("country", "commodity", NUMBER)`."""
    inner = levels[0] if len(levels) == 1 else by(str(levels[0]), *levels[1:])
    made: Schema = {"type": "object", "description": f"by {key}", "additionalProperties": inner}
    if key == "country":
        made["propertyNames"] = {"pattern": "^[A-Z]{3}$"}
    elif key in KEYS:
        made["propertyNames"] = {"enum": list(KEYS[key])}
    return made


KEYS: Mapping[str, Sequence[str]] = {"stage": STAGES, "commodity": COMMODITIES}


def ref(name: str) -> Schema:
    """Return a reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def collection(properties: Schema, kind: Schema | None = None) -> Schema:
    """Return the schema of a GeoJSON FeatureCollection (RFC 7946) with features of these properties."""
    box = {"type": "array", "items": NUMBER, "minItems": 4, "maxItems": 4}
    feature = record(
        type={"const": "Feature"}, id=TEXT, bbox=box, geometry=nullable(kind or ref("Geometry")), properties=properties,
        maybe="bbox",
    )  # fmt: skip
    return {
        "type": "object",
        "description": "RFC 7946, coordinates lon, lat (EPSG:4326), lines cut at the antimeridian",
        "properties": {
            "type": {"const": "FeatureCollection"}, "features": listed(feature), "bbox": box, "name": TEXT,
            "title": TEXT, "attribution": TEXT, "licence": TEXT,
        },
        "required": ["type", "features"],
    }  # fmt: skip


def basic_schemas() -> dict[str, Schema]:
    """Return errors, geometry, answers of halts, names, routes, layers and scenarios, by name."""
    return {
        "Error": _error(),
        "Health": record("atlas:text python:text year:year layers:text", ok={"const": True}),
        "Geometry": _geometry(),
        "Solve": _solve(),
        "State": _state(),
        "Certificate": record("primal_residual:number dual_residual:number gap:number"),
        "Buyer": _buyer(),
        "Found": listed(record("id:text name:text", kind=one_of(FIND_KINDS), country=_maybe_country())),
        "Route": _route(),
        "RoutePlaces": collection(_route_properties()),
        "Layers": _layers(),
        "Rows": listed({"type": "object", "additionalProperties": CELL}),
        "Places": collection({"type": "object"}),
        "Flows": collection(_flow_properties()),
        "Changes": collection(_change_properties()),
        "Scenarios": listed(_scenario_told()),
    }  # fmt: skip


FIND_KINDS = ("facility", "site", "operator", "port", "passage", "country", "bloc", "scenario")


def _maybe_country() -> Schema:
    return {"type": "string", "pattern": "^([A-Z]{3})?$", "description": "ISO 3166-1 alpha-3, empty where none"}


def _error() -> Schema:
    return {
        **record("error:text", ok={"const": False}, problems=listed(TEXT), status={"type": "integer", "minimum": 400}),
        "description": "What was wrong: in one line, and every problem with the nearest known names.",
    }


def _geometry() -> Schema:
    return {
        "type": "object",
        "description": "a GeoJSON geometry",
        "properties": {"type": one_of(GEOMETRIES), "coordinates": {"type": "array"}},
        "required": ["type", "coordinates"],
        "additionalProperties": False,
    }


def _solve() -> Schema:
    replaced = record("importer:country from_country:country to_country:country tonnes:number",
                      commodity=one_of(COMMODITIES))  # fmt: skip
    scenario = {
        **record(
            "name:text year:year on:day?", halts=listed(TEXT), surcharges=listed({"type": "object"}),
        ),
        # Whatever more the scenario changes: opened passages, tariffs, buyers and so on, as it was read.
        "additionalProperties": True,
    }  # fmt: skip
    both = {s: ref("State") for s in STATES}
    return {
        **record("bloc:text", both, scenario=scenario, certificate=record("", {s: ref("Certificate") for s in STATES}),
                 replaced=listed(replaced), tuned=listed(TEXT)),
        "description": "Both states of the world side by side, as `atlas solve --json`: annual rates, tonnes a year, "
                       "six significant digits.",
    }  # fmt: skip


def _state() -> Schema:
    country = by("country", NUMBER)
    origin = dict.fromkeys(("mine", "separation", "metal", "magnet"), SHARE)
    confidence = dict.fromkeys(("all", *STAGES, "demand"), SHARE)
    return record(
        "objective_usd:number spend_usd:number unit_spend_usd_t:number mean_days:number mean_km:number "
        "demand_t:number supplied_t:number shortage_t:number bloc_supplied_share:share",
        status={"const": "optimal"},
        shortage_by_country=country, shortage_by_sector=by("sector", NUMBER), shortage_by_grade=by("grade", NUMBER),
        step_down_by_grade=by("grade", NUMBER), step_up_by_grade=by("grade", NUMBER),
        buyers=by("buyer", ref("Buyer")), transshipped_t=country, released_t=by("release", NUMBER),
        bloc_origin_share=record("", origin), stage_output_t=by("stage", country), mine_output_usgs_t=country,
        stage_output_element_t=by("stage", "element", country),
        imports_t=by("country", "commodity", country),
        imports_element_t=by("country", "commodity", "element", country),
        hhi=by("stage", SHARE),
        throughput_t=record(passage=by("passage", NUMBER), port=by("port", NUMBER), border=by("border", NUMBER)),
        confidence_c_share=record("", confidence),
        prices_usd_t=by("commodity", "element, grade or all", country),
        price_kinks=by("commodity", "element, grade or all", by("country", one_of(("more", "less", "neither")))),
    )  # fmt: skip


def _buyer() -> Schema:
    return record(
        "country:country sector:text grade:text priority_class:integer demand_t:number supplied_t:number "
        "shortage_t:number step_down_t:number from_stock_t:number mean_days:number delivery_usd_t:number",
        by_supplier_t=by("facility", NUMBER), by_country_t=by("country", NUMBER),
    )  # fmt: skip


def _route() -> Schema:
    leg = record("from:text to:text distance_km:number days:number cost_usd_t:number",
                 mode=one_of(LEG_MODES), geometry=nullable(ref("Geometry")))  # fmt: skip
    return {
        **record(
            "reachable:flag reason:text distance_km:number? days:number? cost_usd_t:number?",
            passages=listed(TEXT), ports=listed(TEXT), borders=listed(TEXT), countries=listed(COUNTRY),
            snap_km={"type": "array", "items": NUMBER, "minItems": 2, "maxItems": 2}, legs=listed(leg),
            geometry=nullable(ref("Geometry")), certificate={"type": "object"},
        ),
        "description": "The cheapest way; `reachable` false with a reason where there is none, and then no length.",
    }  # fmt: skip


LEG_MODES = ("sea", "rail", "road", "air", "port", "border")


def _route_properties() -> Schema:
    lists = {"passages": TEXT, "ports": TEXT, "borders": TEXT, "countries": TEXT}
    return record("way:count from:text to:text distance_km:number days:number cost_usd_t:number", lists,
                  kind=one_of(("way", "leg")), mode=one_of(("", *LEG_MODES)))  # fmt: skip


def _flow_properties() -> Schema:
    return record(
        "lane_id:text element:text grade:text from_id:text from_country:text to_id:text to_country:text tonnes:number "
        "distance_km:number? days:number? cost_usd_t:number? passages:text ports:text borders:text route_id:text "
        "tariff_usd_t:number? via:text ends_confidence:text ends_source_ids:text",
        state=one_of(STATES), commodity=one_of(COMMODITIES),
    )  # fmt: skip


def _change_properties() -> Schema:
    return record(
        "lane_id:text from_id:text from_country:text to_id:text to_country:text element:text grade:text "
        "baseline_t:number halted_t:number change_t:number route_id:text ends_confidence:text ends_source_ids:text",
        commodity=one_of(COMMODITIES), kind=one_of(("lost", "reduced", "kept", "grown", "new")),
    )  # fmt: skip


def _layers() -> Schema:
    column = record("name:text unit:text required:flag allowed:text references:text description:text",
                    type=one_of(("str", "int", "float", "bool", "date", "list", "geometry")))  # fmt: skip
    layer = record("name:text count:count key:text on_confidence_c_share:share? json:text csv:text geojson:text?",
                   columns=listed(column, 1))  # fmt: skip
    shown = record("name:text title:text csv:text geojson:text gpkg:text fgb:text parquet:text")
    return record("year:year digest:text", layers=listed(layer, 1), map_layers=listed(shown, 1))


def _scenario_told() -> Schema:
    return record(
        "name:text title:text note:text start:text? days:integer? json:text toml:text solve:text map:text",
        halts=listed(TEXT), changes=listed(TEXT),
    )  # fmt: skip

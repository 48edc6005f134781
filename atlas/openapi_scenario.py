"""A scenario as JSON Schema: what POST /api/solve takes, table by table, as `scenario` and `scenario_tables` read it.

Fields that may be left out may be null. `test_openapi` holds the fields against those that the reader knows.
"""

from typing import Any

from atlas.openapi_parameters import HALT_PATTERN, Names
from atlas.openapi_schemas import COUNTRY, FLAG, NUMBER, TEXT, Schema, listed, nullable, one_of
from atlas.scenario import MOST_DAYS, MOST_TARIFF_PCT
from atlas.scenario_tables import MOST_COVER_DAYS, MOST_DRAW, MOST_PARAMETER, MOST_T, TRADED
from atlas.way import MOST_SURCHARGE_USD_T
from atlas.world import COMMODITIES

DAY: Schema = {"anyOf": [{"type": "string", "format": "date"}, {"enum": ["", None]}]}
WORDS: Schema = nullable(TEXT)
LIST: Schema = {"type": ["array", "string", "null"], "items": TEXT, "description": "a list, or one text with commas"}
BUYER_ID: Schema = {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,59}$"}
TONNES: Schema = {"type": "number", "exclusiveMinimum": 0, "maximum": MOST_T}
ANYBODY: Schema = nullable({**TEXT, "description": "a country or bloc; `*` is all"})


def scenario_schema(study: Any, names: Names) -> Schema:
    """Return the schema of a scenario for the layers of a study."""
    grades, sectors = _ids(study, "grades"), _ids(study, "sectors")
    grade = one_of(grades) if grades else TEXT
    sector = one_of(sectors) if sectors else TEXT
    either_holder = [{"required": ["country"]}, {"required": ["facility"]}]
    either_buyer = [{"required": ["sector"]}, {"required": ["buyer"]}]
    either_amount = [{"required": ["usd_t"]}, {"required": ["hull_value_pct"]}]
    tables = {
        "halt": _row("spec", {"spec": {"type": "string", "pattern": HALT_PATTERN, "maxLength": 300},
                              "instrument": WORDS, "transit": nullable(FLAG)}, dated=True),
        "licence": _row("exporter share_granted", {
            "exporter": TEXT, "importer": WORDS, "commodities": LIST, "elements": LIST,
            "share_granted": _number(0, 1), "delay_days": nullable(_number(0, MOST_DAYS))}, dated=True),
        "surcharge": _row("passage", {
            "passage": one_of(names.passages), "usd_t": _number(0, MOST_SURCHARGE_USD_T),
            "hull_value_pct": _number(0, 100)}, dated=True, either=either_amount),
        "tariff": _row("commodity rate_pct", {
            "importer": ANYBODY, "exporter": ANYBODY, "commodity": one_of(COMMODITIES),
            "rate_pct": _number(0, MOST_TARIFF_PCT)}, dated=True),
        "facility": _facility(study),
        "demand": _row("change_pct", {"country": WORDS, "sector": WORDS, "change_pct": _number(-100, 1000)}),
        "buyer": _row("id lon lat sector grade tonnes", {
            "id": BUYER_ID, "lon": _number(-180, 180), "lat": _number(-90, 90), "sector": sector, "grade": grade,
            "tonnes": TONNES, "cover_days": nullable(_number(0, MOST_COVER_DAYS)), "country": WORDS}),
        "contract": _row("buyer supplier tonnes", {
            "buyer": TEXT, "supplier": TEXT, "commodity": WORDS, "grade": WORDS, "tonnes": TONNES, "until": DAY}),
        "stock": _row("commodity tonnes", {
            "country": COUNTRY, "facility": TEXT, "commodity": one_of(TRADED), "tonnes": TONNES, "element": WORDS,
            "grade": WORDS, "release_from": DAY}, either=either_holder),
        "priority": _row("class", {
            "sector": sector, "buyer": BUYER_ID, "class": {"type": "integer", "enum": [1, 2, 3]}}, either=either_buyer),
    }  # fmt: skip
    transshipment = {
        "type": "object",
        "properties": {"allowed": FLAG, "via": nullable(listed(COUNTRY)), "note": WORDS, "source": WORDS},
        "required": ["allowed"],
        "additionalProperties": False,
    }
    fields = {
        "name": TEXT, "note": TEXT, "start": DAY,
        "days": {"type": ["integer", "null"], "minimum": 1, "maximum": MOST_DAYS}, "transit": nullable(FLAG),
        **{name: nullable(listed(row)) for name, row in tables.items()},
        "open": {"type": ["array", "string", "null"], "items": one_of(names.passages)},
        "transshipment": {"anyOf": [FLAG, transshipment, {"type": "null"}]},
        "draw": {"type": ["integer", "null"], "minimum": 0, "maximum": MOST_DRAW},
        "parameters": {"type": ["object", "null"],
                       "additionalProperties": _number(0, MOST_PARAMETER)},
    }  # fmt: skip
    return {
        "type": "object",
        "description": "A scenario as in its file, dates as text. It must change something.",
        "properties": fields,
        "additionalProperties": False,
        "examples": [scenario_example(names)],
    }


def scenario_example(names: Names) -> dict[str, Any]:
    """Return a scenario that the layers of a study can answer."""
    return {"name": "An example", "halt": [{"spec": h} for h in names.halts[:2]]}


def _row(
    required: str, fields: dict[str, Schema], *, dated: bool = False, either: list[Schema] | None = None
) -> Schema:
    """Return the schema of one row; every row may carry a note and a source."""
    own = fields | ({"from": DAY, "to": DAY} if dated else {}) | {"note": WORDS, "source": WORDS}
    made: Schema = {"type": "object", "properties": own, "required": required.split(), "additionalProperties": False}
    return made | ({"oneOf": either} if either else {})


def _number(low: float, high: float) -> Schema:
    return {**NUMBER, "minimum": low, "maximum": high}


def _ids(study: Any, layer: str) -> list[str]:
    table = getattr(study.layers, layer, None)
    return [] if table is None else sorted(map(str, table.index))


def _facility(study: Any) -> Schema:
    """Return the schema of a facility row: the columns of the layer, numbers as numbers or as text."""
    schema = getattr(study.layers, "schema", None)
    if schema is None:
        return {"type": "object"}
    types: dict[str, Any] = {
        "int": ["number", "string", "null"], "float": ["number", "string", "null"], "list": ["array", "string", "null"],
        "bool": ["boolean", "string", "null"],
    }  # fmt: skip
    columns = {
        c.column: {"type": types.get(c.type, ["string", "null"]), "description": c.description}
        | ({"items": TEXT} if c.type == "list" else {})
        for c in schema.of("facilities").values()
        if c.type != "geometry"
    }
    columns["id"] = {**columns["id"], "type": "string", "minLength": 1}
    return {"type": "object", "properties": columns, "required": ["id"], "additionalProperties": False}

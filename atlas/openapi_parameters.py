"""The parameters of /api, each known once: what it may be by the tables of the code and the names of the layers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from atlas.allied import SINCE, element_choices
from atlas.candidates import KINDS
from atlas.chain import Chain, chain_of
from atlas.chokepoints import LARGEST
from atlas.compare import LEAST, MOST
from atlas.concentration import keys_of
from atlas.config import Settings
from atlas.errors import BadInput
from atlas.export import LAYERS
from atlas.facility_filter import CONFIDENCES, STATUSES
from atlas.frontier import OUTSIDE_CHINA, POINTS, POINTS_MOST
from atlas.halt import KINDS as HALT_KINDS
from atlas.losses import ALL, GOODS
from atlas.openapi_schemas import DAY, FIND_KINDS, Schema, one_of
from atlas.render import VIEWS
from atlas.report_file import shipped
from atlas.shadow import TOP, TOP_MOST
from atlas.trace import DIRECTIONS, groups
from atlas.web_chokepoints import ROWS_MOST
from atlas.web_compare import CASE_LENGTH, SHOWN
from atlas.web_nearby import LEAST_ZOOM, MOST_ZOOM
from atlas.web_projects import LAST_YEAR, MOST_MUSD
from atlas.web_query import BUYER_PARTS, MOST_BUYERS
from atlas.web_route_query import COMMODITIES, DEFAULT_COMMODITY, DEFAULT_MODES, MODES, MOST_WAYS
from atlas.web_search import LIMIT, LIMIT_MOST, LONGEST
from atlas.world import CALIBRATED_YEAR, STAGES

HALT_PATTERN = rf"^\s*(({'|'.join(HALT_KINDS)}):[^:@/]+.*|[A-Z]{{3}}>[^>]+)$"
BUYER_TEXT = f"A magnet buyer of one's own: `{','.join(BUYER_PARTS)}`, then suppliers as `PLANT:TONNES`."
BOX_PATTERN = r"^-?\d+(\.\d+)?(,-?\d+(\.\d+)?){3}$"
SURCHARGE_PATTERN = r"^[^=]+=.+$"
# Halts, places and names to show in examples, the first that the layers know; then whatever they hold.
HALTS = ("country:CHN/magnet", "passage:malacca", "stage:CHN/metal@0.5", "facility:lynas-kuantan", "passage:strait")
PLACES = (("lynas-kuantan", "JPYOK"), ("kuantan", "JPTYO"))
SCENARIO_NAMES = ("china-cuts-off-allies", "malacca-closes", "stuttgart-buyer")


@dataclass(frozen=True)
class Names:
    """What the layers of a study know, as far as parameters list it, and examples that work with them."""

    blocs: tuple[str, ...]
    passages: tuple[str, ...]
    scenarios: tuple[str, ...]
    layers: tuple[str, ...]
    halts: tuple[str, ...]
    bloc: str
    scenario: str
    places: tuple[str, str]
    facility: str
    country: str
    operator: str
    buyer: str
    chain: Chain

    @classmethod
    def of(cls, study: Any) -> "Names":
        """Collect the names of a study."""
        layers = study.layers
        blocs = tuple(sorted(layers.bloc_names))
        facilities, ports = [str(i) for i in layers.facilities.index], [str(i) for i in layers.ports.index]
        known = [p for p in PLACES if p[0] in facilities and p[1] in ports]
        scenarios = tuple(sorted(layers.scenarios))
        named = [s for s in SCENARIO_NAMES if s in scenarios] or list(scenarios)
        schema = getattr(layers, "schema", None)
        return cls(
            blocs=blocs,
            passages=tuple(sorted(map(str, layers.passages.index))),
            scenarios=scenarios,
            layers=tuple(schema.layers) if schema is not None else (),
            halts=tuple(h for h in HALTS if _fits(h, study)) or (f"facility:{facilities[0]}",),
            bloc="us-allies" if "us-allies" in blocs else blocs[0],
            scenario=named[0] if named else "",
            places=known[0] if known else (facilities[0], ports[0] if ports else facilities[-1]),
            facility=known[0][0] if known else facilities[0],
            country=str(layers.facilities["country"].iloc[0]),
            operator=next((str(i) for ids in layers.facilities["operator_ids"] for i in ids), ""),
            buyer=_buyer(layers),
            chain=chain_of(layers),
        )


def _buyer(layers: Any) -> str:
    """Return a buyer that the layers can place: that of the README, or one of the first sector and grade."""
    sectors = getattr(layers, "sectors", None)
    grades = getattr(layers, "grades", None)
    if sectors is None or grades is None:
        return ""
    usual = "automotive_other" in sectors.index and "SH" in grades.index
    sector, grade = ("automotive_other", "SH") if usual else (sectors.index[0], grades.index[0])
    return f"stuttgart-works,9.18,48.78,{sector},{grade},300,60"


def _fits(halt: str, study: Any) -> bool:
    """Return whether the layers know every name of a halt."""
    try:
        study.question((halt,))
    except BadInput:
        return False
    return True


def parameters(names: Names, settings: Settings) -> dict[str, Schema]:
    """Return every parameter by key; a key is a name, or `operation.name` where the name means something else there."""
    text = {"type": "string", "minLength": 1, "maxLength": settings.max_text_length}
    halt = {**text, "pattern": HALT_PATTERN}
    elements = (ALL, *names.chain.tokens)
    share = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
    case = {"type": "string", "minLength": 1, "maxLength": CASE_LENGTH}
    buyer = {"type": "string", "minLength": 1, "maxLength": settings.max_text_length}
    start, end = names.places
    made = {
        "halt": _many("halt", "Halts, once for each: `KIND:TARGET[:DESTINATION][@SHARE][/FILTER]`.", halt,
                      [names.halts[0]], most=settings.max_halts),
        "scenario": _one("scenario", "A scenario of the layers; see /api/scenarios.", one_of(names.scenarios)),
        "bloc": _one("bloc", "The bloc whose supply is looked at.", one_of(names.blocs), default="us-allies"),
        "on": _one("on", "The day whose dated halts apply; the scenario's start where none is given.", DAY),
        "open": _many("open", "Passages to open that are shut.", one_of(names.passages)),
        "buyer": _many("buyer", BUYER_TEXT, buyer, most=MOST_BUYERS),
        "one.buyer": _one("buyer", BUYER_TEXT, buyer, names.buyer, required=True),
        "suggest.q": _one("q", "A text, however short.", {**text, "maxLength": LONGEST}, "ly", required=True),
        "suggest.limit": _one("limit", "Most hits.", _whole(1, LIMIT_MOST), default=LIMIT),
        "facilities.stage": _commas("stage", "Any of these stages.", one_of(STAGES), ["magnet"]),
        "facilities.status": _commas("status", "Any of these.", one_of(STATUSES)),
        "facilities.element": _commas("element", "Any of what it makes or holds.", one_of(names.chain.elements)),
        "facilities.confidence": _commas("confidence", "Any of these; C is an estimate.", one_of(CONFIDENCES)),
        "facilities.country": _one("country", "A country, ISO 3166-1 alpha-3.", {"type": "string", "minLength": 3}),
        "facilities.bloc": _one("bloc", "A bloc of countries.", one_of(names.blocs)),
        "facilities.operator": _one("operator", "A company, by its id.", text),
        "facilities.text": _one("text", "Words of names, ids, owners.", text),
        "nearby.bbox": _one("bbox", "`west,south,east,north` in degrees.",
                            {"type": "string", "pattern": BOX_PATTERN}, "103,3,104,4", required=True),
        "nearby.zoom": _one("zoom", "As of a web map.", {"type": "number", "minimum": LEAST_ZOOM,
                                                         "maximum": MOST_ZOOM}, 9, required=True),
        "path.job": _path("ticket_id", "What starting it said.", {"type": "string", "minLength": 1}, ""),
        "find.q": _one("q", "A text to look for in ids and names.", text, example="lynas"),
        "find.text": _one("text", "The same as `q`, which holds where both are given.", text),
        "find.kind": _commas("kind", "Kinds of things to look for.", one_of(FIND_KINDS), ["facility", "operator"]),
        "route.from": _one("from", "Where to start: a facility, a port or `lon,lat`.", text, start, required=True),
        "route.to": _one("to", "Where to go: a facility, a port or `lon,lat`.", text, end, required=True),
        "route.close": _many("close", "What to close: a passage, a port or a border `AAA-BBB`.", text),
        "route.surcharge": _many("surcharge", "`PASSAGE=USD_T`: what each gross tonne pays there.",
                                 {**text, "pattern": SURCHARGE_PATTERN}),
        "route.modes": _commas("modes", f"Ways to go; {','.join(DEFAULT_MODES)} where none is given.", one_of(MODES)),
        "route.commodity": _one("commodity", "What is carried: it sets the value of time.", one_of(COMMODITIES),
                                default=DEFAULT_COMMODITY),
        "route.alternatives": _one("alternatives", "How many ways; over 1 the answer is a list.", _whole(1, MOST_WAYS),
                                   default=1),
        "trace.element": _one("element", "The element traced.", one_of(tuple(groups(names.chain))), default="all"),
        "trace.direction": _one("direction", "Where to look; as fits the place where none is given.",
                                one_of(DIRECTIONS)),
        "trace.origin": _one("origin", "Bounds for this origin too: a country, bloc, facility or `recycled`.", text),
        "trace.threshold": _one("threshold", "A share to hold the origin against.", share),
        "chokepoints.element": _one("element", "The element whose loss counts.", one_of(elements), default=ALL),
        "chokepoints.commodity": _one("commodity", "The goods whose loss counts; sets know magnets alone.",
                                      one_of(GOODS), default="magnet"),
        "chokepoints.size": _one("size", "How many things are lost together.", _whole(1, LARGEST), default=1),
        "chokepoints.among": _commas("among", "Kinds of things that may be lost.", one_of(KINDS)),
        "chokepoints.top": _one("top", "The first so many rows; all where none is given.", _whole(1, ROWS_MOST), 20),
        "chokepoints.cut": _one("cut", "The fewest things that leave the bloc less than this share of its demand.",
                                share),
        "frontier.element": _one("element", "The content that is counted.", one_of(element_choices(names.chain)),
                                 default="all"),
        "frontier.trusted": _one("trusted", "Whose content is allied: what is outside China, the bloc, another bloc.",
                                 one_of((OUTSIDE_CHINA, "bloc", *names.blocs)), default=OUTSIDE_CHINA),
        "frontier.since": _one("since", "The stage from which on content is followed.", one_of(SINCE), default="mine"),
        "frontier.points": _one("points", "Most points to trace.", _whole(3, POINTS_MOST), default=POINTS),
        "worth.stage": _many("stage", "Stages to value; all where none is given.", one_of(STAGES)),
        "worth.top": _one("top", "How many of the most valuable to check by solving.", _whole(0, TOP_MOST),
                          default=TOP),
        "fixes.halt": _many("halt", "Halts, once for each; at least one.", halt, [names.halts[0]], required=True,
                            most=settings.max_halts),
        "report.report": _one("report", "A report that comes with the atlas.", one_of(tuple(shipped())), "brief",
                              required=True),
        "report.halt": _many("halt", "Halts of a brief, once for each.", halt, [names.halts[0]],
                             most=settings.max_halts),
        "report.country": _one("country", "The country of a profile, ISO 3166-1 alpha-3.", text, default=names.country),
        "fixes.by": _one("by", "Only what is there by this year.", _whole(CALIBRATED_YEAR + 1, LAST_YEAR)),
        "fixes.budget": _one("budget", "Million USD to choose projects for.",
                             {"type": "number", "exclusiveMinimum": 0, "maximum": MOST_MUSD}),
        "fixes.all": _one("all", "1: projects of all countries, not of the bloc alone.",
                          {"type": "integer", "enum": [0, 1]}, default=0),
        "concentration.element": _one("element", "One element; all where none is given.", one_of(keys_of(names.chain))),
        "compare.case": _many("case", "A case: `baseline`, halts with semicolons, `scenario:NAME`, `open:ID`.", case,
                              ["baseline", names.halts[0]], required=True, least=LEAST, most=MOST),
        "compare.view": _one("view", "Of the page; says nothing here.", one_of(VIEWS)),
        "compare.show": _one("show", "Of the page; says nothing here.", one_of(SHOWN)),
        "path.place": _path("place", "A facility, site, country (its demand), market or demand row.", text,
                            names.facility),
        "path.facility": _path("thing", "A facility, by its id.", text, names.facility),
        "path.port": _path("thing", "A port, UN/LOCODE.", text, names.places[1]),
        "path.passage": _path("thing", "A passage.", one_of(names.passages), names.passages[0]),
        "path.country": _path("thing", "A country, ISO 3166-1 alpha-3.", text, names.country),
        "path.operator": _path("thing", "A company, by its id.", text, names.operator),
        "path.map_layer": _path("name", "A layer of the map.", one_of(LAYERS), "facilities"),
        "layers.wkt": _one("wkt", "1: with the lines of flows and changes as well-known text, which are long.",
                           {"type": "integer", "enum": [0, 1]}, default=0),
        "path.packed_layer": _path("name", "A layer of the map, or all.", one_of((*LAYERS, "all")), "facilities"),
        "path.layer": _path("name", "A layer; see /api/layers.", _named(names.layers, text), "facilities"),
        "path.scenario": _path("name", "A scenario; see /api/scenarios.", _named(names.scenarios, text),
                               names.scenario),
    }  # fmt: skip
    return {key: p for key, p in made.items() if p["schema"].get("enum") != []}


def _named(known: Sequence[str], text: Schema) -> Schema:
    """Return a name of those known, any text where the layers have none."""
    return one_of(known) if known else text


def _one(
    name: str, description: str, schema: Schema, example: Any = None, *, required: bool = False, default: Any = None
) -> Schema:
    """Return a parameter of the address that stands once."""
    fits = default is not None and default in schema.get("enum", [default])
    found = {**schema, "default": default} if fits else schema
    made: Schema = {"name": name, "in": "query", "description": description, "schema": found}
    made |= {"required": True} if required else {"allowEmptyValue": True}
    return made if example is None else made | {"example": example}


def _many(
    name: str, description: str, item: Schema, example: Sequence[str] = (), *, required: bool = False, least: int = 0,
    most: int = 0,
) -> Schema:  # fmt: skip
    """Return a parameter that stands once for each of its values."""
    schema: Schema = {"type": "array", "items": item}
    schema |= {"minItems": max(least, int(required))} if least or required else {}
    schema |= {"maxItems": most} if most else {}
    made: Schema = {"name": name, "in": "query", "description": description, "schema": schema}
    made |= {"required": True} if required else {}
    return made | {"style": "form", "explode": True} | ({"example": list(example)} if example else {})


def _commas(name: str, description: str, item: Schema, example: Sequence[str] = ()) -> Schema:
    """Return a parameter whose values stand in one text with commas."""
    schema = {"type": "array", "items": item, "minItems": 1}
    made: Schema = {"name": name, "in": "query", "description": description, "schema": schema}
    return made | {"style": "form", "explode": False} | ({"example": list(example)} if example else {})


def _path(name: str, description: str, schema: Schema, example: str) -> Schema:
    """Return a part of the path."""
    made: Schema = {"name": name, "in": "path", "required": True, "description": description, "schema": schema}
    return made | ({"example": example} if example else {})


def _whole(low: int, high: int) -> Schema:
    return {"type": "integer", "minimum": low, "maximum": high}

"""The operations of /api: path, what each is for, its parameters and the forms of its answer, in one table.

`test_openapi` holds the table against the routes of the application, both ways: a new route needs its line here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from atlas.answer_tables import (
    CONCENTRATION_COLUMNS,
    FIND_COLUMNS,
    FIXES_COLUMNS,
    FRONTIER_COLUMNS,
    ROUTE_COLUMNS,
    SUMMARY_COLUMNS,
    TRACE_COLUMNS,
    VALIDATION_COLUMNS,
    WORTH_COLUMNS,
)
from atlas.buyer_risk import COLUMNS as BUYER_COLUMNS
from atlas.facility_filter import COLUMNS as FACILITY_COLUMNS
from atlas.openapi_schemas import Schema, ref
from atlas.web_formats import CSV_TYPE, FILE_TYPES, GEOJSON_TYPE, JSON_TYPE, TOML_TYPE, ZIP_TYPE
from atlas.web_metrics import CONTENT_TYPE_LATEST as METRICS_TYPE

# Group of operations -> what it is about.
GROUPS: Mapping[str, str] = {
    "Answers": "What a halt or a scenario does: both states side by side.",
    "Findings": "What costs most to lose, where material comes from, what would help. Long work: a request waits, "
                "then 503 says when to ask again; the work goes on.",
    "Long work": "The same work as of the findings, started, looked after and taken back.",
    "Routes and names": "Ways between two places, ids by name.",
    "Layers": "What the atlas knows and rests on, and what a map shows.",
    "Server": "Whether it runs, its figures, this document.",
}  # fmt: skip
ANSWER = ("halt", "scenario", "bloc", "on", "open", "buyer")
FIND = ("find.q", "find.text", "find.kind")
ROUTE = ("route.from", "route.to", "route.close", "open", "route.surcharge", "route.modes", "route.commodity",
         "route.alternatives")  # fmt: skip
TRACE = ("path.place", "trace.element", "halt", "scenario", "bloc", "trace.direction", "trace.origin",
         "trace.threshold")  # fmt: skip
CHOKEPOINTS = ("bloc", "chokepoints.element", "chokepoints.commodity", "chokepoints.size", "chokepoints.among",
               "chokepoints.top", "chokepoints.cut")  # fmt: skip
FRONTIER = ("bloc", "frontier.element", "halt", "frontier.trusted", "frontier.since", "frontier.points")
WORTH = ("bloc", "halt", "worth.stage", "worth.top")
FIXES = ("fixes.halt", "bloc", "fixes.by", "fixes.budget", "fixes.all")
CONCENTRATION = ("concentration.element", "halt")
FACILITIES = tuple(f"facilities.{p}" for p in ("stage", "status", "element", "confidence", "country", "bloc",
                                              "operator", "text"))  # fmt: skip
BUYER = ("one.buyer", "bloc")
REPORT = ("report.report", "report.halt", "bloc", "report.country")
COMPARE = ("compare.case", "bloc", "on", "compare.view", "compare.show")


@dataclass(frozen=True)
class Operation:
    """One path and method: `answer` is the schema of its body, `columns` those of a table where they never change."""

    path: str
    id: str
    group: str
    summary: str
    parameters: tuple[str, ...] = ()
    kind: str = JSON_TYPE
    answer: Schema = field(default_factory=dict)
    method: str = "get"
    columns: tuple[str, ...] = ()
    body: str = ""
    status: int = 200
    kept: bool = True  # whether the answer has a tag to ask again by
    works: bool = True  # whether anything is worked out, so that the server may be too busy
    checked: bool = True  # whether an unknown parameter is refused


TABLE: Schema = {"type": "string"}
FILE: Schema = {"type": "string", "format": "binary"}
ROUTES: Schema = {"anyOf": [ref("Route"), {"type": "array", "items": ref("Route")}]}


def operations() -> list[Operation]:
    """Return every operation, in the order of the page."""
    return [
        Operation("/api/solve", "solve", "Answers", "Solve the halts of the address", ANSWER, answer=ref("Solve")),
        Operation("/api/solve", "solve_scenario", "Answers", "Solve the scenario in the body",
                  tuple(p for p in ANSWER if p != "scenario"), answer=ref("Solve"), method="post", body="Scenario"),
        _csv("/api/solve.csv", "solve", "Answers", "Every figure of an answer as one long table", ANSWER,
             SUMMARY_COLUMNS),
        Operation("/api/compare", "compare", "Answers", "Two to four cases side by side", COMPARE,
                  answer=ref("Comparison")),
        _csv("/api/compare.csv", "compare", "Answers", "Two to four cases as a table, a column each", COMPARE),
        Operation("/api/scenarios", "scenarios", "Answers", "The scenarios that come with the layers",
                  answer=ref("Scenarios"), works=False),
        Operation("/api/scenarios/{name}", "scenario", "Answers", "A scenario as JSON: what POST /api/solve takes",
                  ("path.scenario",), answer=ref("Scenario"), works=False),
        Operation("/api/scenarios/{name}.toml", "scenario_toml", "Answers", "A scenario as its file",
                  ("path.scenario",), TOML_TYPE, TABLE, works=False),
        Operation("/api/chokepoints", "chokepoints", "Findings", "What costs a bloc most to lose: one thing, sets, "
                  "the fewest that bring it down", CHOKEPOINTS, answer=ref("Chokepoints")),
        _csv("/api/chokepoints.csv", "chokepoints", "Findings", "Chokepoints as a table", _but(CHOKEPOINTS, "cut")),
        _places("/api/chokepoints.geojson", "chokepoints", "Findings", "Chokepoints on a map, one thing at a time",
                _but(CHOKEPOINTS, "size", "cut"), "ChokepointPlaces"),
        Operation("/api/trace/{place}", "trace", "Findings", "Where a place's material comes from and where it goes",
                  TRACE, answer=ref("Trace")),
        _csv("/api/trace/{place}.csv", "trace", "Findings", "The shares of a trace as a table", TRACE, TRACE_COLUMNS),
        _places("/api/trace/{place}.geojson", "trace", "Findings", "The paths of a trace", TRACE, "TracePaths"),
        Operation("/api/frontier", "frontier", "Findings", "How allied a bloc's magnets can be, and at what cost",
                  FRONTIER, answer=ref("Frontier")),
        _csv("/api/frontier.csv", "frontier", "Findings", "The points of a frontier as a table", FRONTIER,
             FRONTIER_COLUMNS),
        Operation("/api/worth", "worth", "Findings", "What one more tonne is worth, by stage and place", WORTH,
                  answer=ref("Worth")),
        _csv("/api/worth.csv", "worth", "Findings", "The worth of a tonne at each unit as a table", WORTH,
             WORTH_COLUMNS),
        Operation("/api/fixes", "fixes", "Findings", "Which projects would take shortage away", FIXES,
                  answer=ref("Fixes")),
        _csv("/api/fixes.csv", "fixes", "Findings", "The projects as a table", FIXES, FIXES_COLUMNS),
        Operation("/api/concentration", "concentration", "Findings", "How concentrated each stage and element is",
                  CONCENTRATION, answer=ref("Concentration")),
        _csv("/api/concentration.csv", "concentration", "Findings", "Concentration as a table", CONCENTRATION,
             CONCENTRATION_COLUMNS),
        Operation("/api/validate", "validate", "Findings", "The model against published figures",
                  answer=ref("Validation")),
        _csv("/api/validate.csv", "validate", "Findings", "Published figures beside the model's as a table", (),
             VALIDATION_COLUMNS),
        Operation("/api/route", "route", "Routes and names", "The cheapest way between two places, or several", ROUTE,
                  answer=ROUTES),
        _csv("/api/route.csv", "route", "Routes and names", "The legs of a way as a table", ROUTE, ROUTE_COLUMNS),
        _places("/api/route.geojson", "route", "Routes and names", "Ways and their legs on a map", ROUTE,
                "RoutePlaces"),
        Operation("/api/find", "find", "Routes and names", "Ids by name, best first", FIND, answer=ref("Found"),
                  works=False),
        _csv("/api/find.csv", "find", "Routes and names", "Ids by name as a table", FIND, FIND_COLUMNS, works=False),
        Operation("/api/layers", "layers", "Layers", "Every layer with its columns, and the layers of a map",
                  answer=ref("Layers"), works=False),
        _places("/api/layers/{name}.geojson", "layer", "Layers", "A layer of the map with the results of the halts",
                ("path.map_layer", *ANSWER), "Places"),
        _csv("/api/layers/{name}.csv", "layer", "Layers", "A layer of the map as a table; flows as in `flows.csv`",
             ("path.map_layer", *ANSWER, "layers.wkt")),
        Operation("/api/layers/{name}.gpkg", "layer_gpkg", "Layers",
                  "A layer of the map, or `all` of them, as a GeoPackage with styles, for QGIS, ArcGIS and GDAL",
                  ("path.packed_layer", *ANSWER), FILE_TYPES["gpkg"], FILE),
        Operation("/api/layers/all.zip", "layers_zip", "Layers",
                  "All layers as a GeoPackage with its QGIS project beside it", ANSWER, ZIP_TYPE, FILE),
        Operation("/api/layers/{name}.fgb", "layer_fgb", "Layers", "A layer of the map as FlatGeobuf",
                  ("path.map_layer", *ANSWER), FILE_TYPES["fgb"], FILE),
        Operation("/api/layers/{name}.parquet", "layer_parquet", "Layers", "A layer of the map as GeoParquet",
                  ("path.map_layer", *ANSWER), FILE_TYPES["parquet"], FILE),
        Operation("/api/layers/{name}/rows.json", "rows", "Layers", "The rows of a layer", ("path.layer",),
                  answer=ref("Rows"), works=False),
        _csv("/api/layers/{name}/rows.csv", "rows", "Layers", "The rows of a layer as CSV", ("path.layer",),
             works=False),
        _places("/api/layers/{name}/rows.geojson", "rows", "Layers", "The rows of a layer that has places",
                ("path.layer",), "Places", works=False),
        *_exploring(),
        *_jobs(),
        Operation("/api/openapi.json", "openapi", "Server", "This document", answer={"type": "object"}, works=False),
        Operation("/healthz", "healthz", "Server", "Whether the server runs, and which versions",
                  answer=ref("Health"), kept=False, works=False, checked=False),
        Operation("/metrics", "metrics", "Server", "Figures of the running server for Prometheus", (),
                  METRICS_TYPE, TABLE, kept=False, works=False, checked=False),
    ]  # fmt: skip


def _exploring() -> list[Operation]:
    group = "Routes and names"
    return [
        Operation("/api/suggest", "suggest", group, "What a text may mean, with the address of its page",
                  ("suggest.q", "suggest.limit"), answer=ref("Suggestions")),
        Operation("/api/facilities", "facilities", "Layers", "Facilities by what one asks of them, with totals",
                  FACILITIES, answer=ref("Facilities")),
        _csv("/api/facilities.csv", "facilities", "Layers", "Facilities as a table", FACILITIES, FACILITY_COLUMNS),
        _places("/api/facilities.geojson", "facilities", "Layers", "Facilities as points", FACILITIES,
                "FacilityPlaces"),
        _places("/api/nearby.geojson", "nearby", "Layers", "Land, railways and roads within a box, for close-ups",
                ("nearby.bbox", "nearby.zoom"), "Near"),
        *_things(),
    ]  # fmt: skip


def _things() -> list[Operation]:
    told = (
        ("facility", "Facility", "A facility: what it is, its inputs and outputs, who depends on it"),
        ("operator", "Company", "A company: its units and who takes from them"),
        ("country", "Country", "A country: its stages, trade, demand and facilities"),
        ("port", "Through", "A port: what passes it and for whom"),
        ("passage", "Through", "A passage: what passes it and for whom"),
    )
    return [
        Operation(f"/api/{kind}/{{thing}}", kind, "Layers", summary, (f"path.{kind}", *ANSWER), answer=ref(shape))
        for kind, shape, summary in told
    ]


def _jobs() -> list[Operation]:
    return [
        Operation("/api/buyer", "buyer", "Findings", "What each halt leaves missing to a magnet buyer of one's own",
                  BUYER, answer=ref("BuyerRisk")),
        _csv("/api/buyer.csv", "buyer", "Findings", "A buyer's risk as a table, the most harmful halt first", BUYER,
             BUYER_COLUMNS),
        Operation("/api/reports", "report", "Findings", "A shipped report: its files and their addresses",
                  REPORT, answer=ref("Report")),
        Operation("/api/jobs", "jobs", "Long work", "What the server works on, and what of it is yours",
                  answer=ref("Jobs"), kept=False, works=False),
        Operation("/api/jobs", "start_job", "Long work", "Start long work; its place says how far it is",
                  answer=ref("Job"), method="post", body="JobToStart", status=202, kept=False, works=False),
        Operation("/api/jobs/{ticket_id}", "job", "Long work", "How far a piece of work is", ("path.job",),
                  answer=ref("Job"), kept=False, works=False),
        Operation("/api/jobs/{ticket_id}", "cancel_job", "Long work", "Take work back: it stops when nobody wants it",
                  ("path.job",), answer=ref("Job"), method="delete", kept=False, works=False),
    ]  # fmt: skip


def _but(keys: tuple[str, ...], *names: str) -> tuple[str, ...]:
    """Return parameters without those of these names."""
    return tuple(k for k in keys if k.rpartition(".")[2] not in names)


def _csv(
    path: str, name: str, group: str, summary: str, parameters: tuple[str, ...], columns: tuple[str, ...] = (),
    **more: Any,
) -> Operation:  # fmt: skip
    """Return the form of a resource as a table."""
    return Operation(path, f"{name}_csv", group, summary, parameters, CSV_TYPE, TABLE, columns=columns, **more)


def _places(
    path: str, name: str, group: str, summary: str, parameters: tuple[str, ...], schema: str, **more: Any
) -> Operation:
    """Return the form of a resource for a map."""
    return Operation(path, f"{name}_geojson", group, summary, parameters, GEOJSON_TYPE, ref(schema), **more)

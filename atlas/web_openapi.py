"""The OpenAPI document of /api, made from the code's own tables and the names of the layers, and the page to try it."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, current_app, request

from atlas import __version__
from atlas.config import Settings
from atlas.errors import BadInput, UnknownName, nearest
from atlas.export import ATTRIBUTION
from atlas.openapi_explore import explore_schemas
from atlas.openapi_findings import finding_schemas
from atlas.openapi_page import page_groups
from atlas.openapi_parameters import Names, parameters
from atlas.openapi_paths import GROUPS, Operation, operations
from atlas.openapi_scenario import scenario_example, scenario_schema
from atlas.openapi_schemas import Schema, basic_schemas, ref
from atlas.openapi_things import thing_schemas
from atlas.render import environment
from atlas.web_answers import Document
from atlas.web_errors import RETRY_AFTER_S
from atlas.web_formats import CSV_TYPE, JSON_TYPE, alternates, json_document
from atlas.web_pages import html_document, nav
from atlas.web_query import parameters as read_parameters
from atlas.web_query import single

openapi = Blueprint("openapi", __name__)

DESCRIPTION = (
    "Where rare-earth material flows, and where it goes instead when something is halted. Every resource has the form "
    "of its address: `/api/x` is JSON, `/api/x.csv` a table, `/api/x.geojson` a map layer. Units stand in the names of "
    "fields: `_t` tonnes a year, `_usd_t` USD a tonne, `_share` 0 to 1. Unknown parameters and names are refused with "
    "the nearest known ones; a blank parameter is one left out. Answers carry a tag (ETag): asked for again with "
    "If-None-Match, an answer that is the same is 304 without a body."
)
# Status -> what it says; which an operation may answer is decided in `_responses`.
REFUSALS: Mapping[int, str] = {
    400: "Something asked for is not known, cannot be read or does not fit; every problem is listed.",
    403: "The request comes from a page of another site.",
    404: "There is no such thing at this address, or the question has no answer.",
    413: "The body is larger than the server reads.",
    429: "This address asks for more than it may; Retry-After says when to ask again.",
    503: "The server is busy, or long work is not done yet; Retry-After says when to ask again.",
    504: "The answer takes longer than a request may wait; it is still worked on and will be kept.",
}


@openapi.get("/api/openapi.json")
def openapi_json() -> Response:
    """Return the OpenAPI document."""
    atlas = _atlas()
    read_parameters(request, (), atlas.settings)
    return _sent(atlas.answers.documents.get("/api/openapi.json", lambda: json_document(_document())))


@openapi.get("/api")
def api_page() -> Response:
    """Show the operations and let a reader try each; `op` names one to unfold."""
    atlas = _atlas()
    problems: list[str] = []
    chosen = single(read_parameters(request, ("op",), atlas.settings), "op", "", problems)
    known = [op.id for op in operations()]
    if chosen and chosen not in known:
        problems += UnknownName("operation", chosen, nearest(chosen, known) or known).problems
    if problems:
        raise BadInput(problems)

    def make() -> Document:
        return html_document(
            environment().get_template("api.html").render(
                nav=nav("/data"), base=atlas.assets.base, groups=page_groups(_document()), chosen=chosen
            )
        )  # fmt: skip

    return _sent(atlas.answers.documents.get(("/api", chosen), make))


@openapi.after_app_request
def other_forms(response: Response) -> Response:
    """Name the other forms of a page in its header Link, for programs and for browsers that offer them."""
    if response.status_code == 200 and response.mimetype == "text/html":
        for address, kind in alternates(request.path, request.query_string.decode("ascii", "ignore")):
            response.headers.add("Link", f'<{address}>; rel="alternate"; type="{kind}"')
    return response


def openapi_document(study: Any, settings: Settings) -> dict[str, Any]:
    """Return the OpenAPI document for the layers of a study."""
    names = Names.of(study)
    known = parameters(names, settings)
    paths: dict[str, dict[str, Any]] = {}
    for op in operations():
        paths.setdefault(op.path, {})[op.method] = _operation(op, known, names)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Rare-earth supply-network atlas", "version": __version__, "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "x-attribution": ATTRIBUTION,
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": about} for name, about in GROUPS.items()],
        "paths": paths,
        "components": {
            "schemas": basic_schemas() | finding_schemas(names.chain) | explore_schemas(names.chain)
            | thing_schemas(names.chain)
            | {"Scenario": scenario_schema(study, names)},
            "parameters": {_component(key): p for key, p in known.items()},
            "headers": HEADERS,
            "responses": {str(status): _refusal(status) for status in REFUSALS},
        },
    }  # fmt: skip


HEADERS: dict[str, Schema] = {
    "ETag": {"description": "What tells this answer from another.", "required": True, "schema": {"type": "string"}},
    "Cache-Control": {"required": True, "schema": {"type": "string"}},
    "Server-Timing": {"description": "What the time went into.", "required": True, "schema": {"type": "string"}},
    "Content-Disposition": {"description": "The name of the download.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds.", "required": True, "schema": {"type": "integer", "minimum": 1}},
}  # fmt: skip


def _atlas() -> Any:
    """Return what the application holds: study, settings, answers, assets, send."""
    return current_app.extensions["atlas"]


def _sent(document: Document) -> Response:
    response: Response = _atlas().send(document)
    return response


def _document() -> dict[str, Any]:
    atlas = _atlas()
    return openapi_document(atlas.study, atlas.settings)


def _component(key: str) -> str:
    return key.replace(".", "-")


def _operation(op: Operation, known: Mapping[str, Schema], names: Names) -> dict[str, Any]:
    own = [{"$ref": f"#/components/parameters/{_component(k)}"} for k in op.parameters if k in known]
    made: dict[str, Any] = {"operationId": op.id, "tags": [op.group], "summary": op.summary, "parameters": own}
    if op.body:
        value = scenario_example(names) if op.body == "Scenario" else {"kind": "worth", "halt": list(names.halts[:1])}
        example = {"example": {"value": value}}
        made["requestBody"] = {
            "required": True, "content": {JSON_TYPE: {"schema": ref(op.body), "examples": example}},
        }  # fmt: skip
    return made | {"responses": _responses(op)}


def _responses(op: Operation) -> dict[str, Any]:
    headers = ["Cache-Control", "Server-Timing"] + (["ETag"] if op.kept else [])
    kind = op.kind
    content: dict[str, Any] = {kind: {"schema": op.answer}}
    if op.columns:
        content[kind]["x-columns"] = list(op.columns)
    if op.kind == CSV_TYPE:
        headers.append("Content-Disposition")
    found: dict[str, Any] = {
        str(op.status): {"description": op.summary, "content": content, "headers": {h: _header(h) for h in headers}}
    }
    if op.kept and op.method == "get":
        found["304"] = {"description": "The answer is the one whose tag was sent with If-None-Match."}
    return found | {str(s): {"$ref": f"#/components/responses/{s}"} for s in _statuses(op)}


def _statuses(op: Operation) -> list[int]:
    """Return the refusals that an operation may answer."""
    found = [400, 429, 503] if op.checked else [429, 503]
    found += [404] if "{" in op.path or op.group == "Findings" else []
    found += [504] if op.works else []
    found += [403] if op.method != "get" else []
    found += [413] if op.body else []
    return sorted(found)


def _header(name: str) -> Schema:
    return {"$ref": f"#/components/headers/{name}"}


def _refusal(status: int) -> dict[str, Any]:
    names = ["Cache-Control", "Server-Timing"] + (["Retry-After"] if status in RETRY_AFTER_S else [])
    return {
        "description": REFUSALS[status],
        "content": {JSON_TYPE: {"schema": ref("Error")}},
        "headers": {n: _header(n) for n in names},
    }

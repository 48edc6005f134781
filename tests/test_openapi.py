"""The OpenAPI document: it is one, it says what the application does, and its examples work."""

import csv
import io
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from fake_outcome import fake_study
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from small_study import small_study
from test_schemathesis import LONG  # asked there with their examples

from atlas import scenario, scenario_rows, scenario_tables
from atlas.config import settings
from atlas.errors import BadInput
from atlas.openapi_page import control, example_address, page_groups
from atlas.openapi_paths import Operation, operations
from atlas.openapi_schemas import by, record
from atlas.web import create_app
from atlas.web_openapi import openapi_document

# Parameters that are read and always refused: the document leaves them out.
REFUSED = {
    ("/api/solve", "post"): {"scenario"},
    ("/api/chokepoints.csv", "get"): {"cut"},
    ("/api/chokepoints.geojson", "get"): {"size", "cut"},
}
BY_ID = {o.id: o for o in operations()}


@pytest.fixture(scope="module")
def app() -> Iterator[Any]:
    made = create_app(small_study(), settings({}, job_wait_s=300, solves_per_minute=0, requests_per_minute=0))
    yield made
    made.extensions["atlas"].close()


@pytest.fixture(scope="module")
def client(app: Any) -> Any:
    return app.test_client()


@pytest.fixture(scope="module")
def document(client: Any) -> Any:
    return client.get("/api/openapi.json").get_json()


def test_the_document_is_one(document: Any) -> None:
    validate(document)
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_other_layers_have_a_document_too() -> None:
    validate(openapi_document(fake_study(), settings({})))


def test_the_document_and_the_application_know_the_same_operations(app: Any, document: Any) -> None:
    """A route without a line in `openapi_paths` fails here, and a line without a route."""
    routes = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/") or rule.rule in ("/healthz", "/metrics")
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    told = {(path, method) for path, methods in document["paths"].items() for method in methods}
    assert told == routes


def test_ids_are_used_once() -> None:
    assert len(BY_ID) == len(operations())
    assert all(re.fullmatch("[a-z_]+", i) for i in BY_ID)


def own(document: Any, op: Operation) -> list[dict[str, Any]]:
    held = document["components"]["parameters"]
    return [held[p["$ref"].rpartition("/")[2]] for p in document["paths"][op.path][op.method]["parameters"]]


def started(client: Any, path: str) -> str:
    """Return the address of a piece of work that was started."""
    assert path == "/api/jobs/{ticket_id}"
    return client.post("/api/jobs", json={"kind": "worth", "halt": "country:CHN/magnet"}).headers["Location"]


def asked(client: Any, document: Any, op: Operation) -> Any:
    """Ask the example of an operation."""
    address = example_address(op.path, own(document, op)) or started(client, op.path)
    if not op.body:
        return client.open(address, method=op.method.upper())
    content = document["paths"][op.path][op.method]["requestBody"]["content"]["application/json"]
    return client.open(address, method=op.method.upper(), json=content["examples"]["example"]["value"])


@pytest.mark.parametrize("name", sorted(i for i, o in BY_ID.items() if not re.search(LONG, o.path)))
def test_every_example_is_answered_as_documented(name: str, client: Any, document: Any) -> None:
    op = BY_ID[name]
    response = asked(client, document, op)
    assert response.status_code in (200, 201, 202), response.text[:300]
    told = document["paths"][op.path][op.method]["responses"][str(response.status_code)]
    assert response.content_type in told["content"]
    content = told["content"][response.content_type]
    if "json" in response.content_type:
        schema = {**content["schema"], "components": document["components"]}
        errors = list(Draft202012Validator(schema).iter_errors(response.get_json(force=True)))
        assert not errors, errors[0].message
    if response.content_type.startswith("text/csv"):
        head = next(csv.reader(io.StringIO(response.text)))
        assert head == content.get("x-columns", head)
        assert len(set(head)) == len(head)
    for header in told["headers"]:
        assert header in response.headers


@pytest.mark.parametrize("name", sorted(BY_ID))
def test_parameters_are_those_that_are_read(name: str, client: Any, document: Any) -> None:
    """An unknown parameter is refused with the known ones: they are the documented ones."""
    op = BY_ID[name]
    path = example_address(op.path, [p for p in own(document, op) if p["in"] == "path"]) or started(client, op.path)
    response = client.open(path, method=op.method.upper(), query_string={"qqqqqqqq": "1"}, json={} if op.body else None)
    if not op.checked:
        assert response.status_code == 200
        return
    assert response.status_code == 400
    known = re.search(r"known: ([^;]*)", response.get_json()["problems"][0])
    read = {k.strip() for k in known[1].split(",") if k.strip()} if known else set()
    told = {p["name"] for p in own(document, op) if p["in"] == "query"}
    assert told == read - REFUSED.get((op.path, op.method), set())


def test_a_blank_parameter_is_left_out(client: Any) -> None:
    assert client.get("/api/concentration?element=&halt=").data == client.get("/api/concentration").data
    assert client.get("/api/facilities?element=,,&stage=+").data == client.get("/api/facilities").data


def test_fields_of_a_scenario_are_those_that_are_read(document: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every table's fields stand in the schema, and no other."""
    read: dict[str, set[str]] = defaultdict(set)

    def note(row: Any, known: Any, where: str, problems: list[str]) -> None:
        read[where.split()[0]] |= {*known, "note", "source"}

    monkeypatch.setattr(scenario, "known_fields", note)
    monkeypatch.setattr(scenario_tables, "known_fields", note)
    schema = document["components"]["schemas"]["Scenario"]
    tables = {k: s for k, s in schema["properties"].items() if "items" in s and "properties" in s["items"]}
    raw = {k: [{}] for k in tables} | {"transshipment": {"allowed": True}}
    with pytest.raises(BadInput):
        scenario.from_dict(raw, small_study().names)
    assert set(schema["properties"]) == scenario._FIELDS
    told = {k: set(s["items"]["properties"]) for k, s in tables.items()}
    told["transshipment"] = set(schema["properties"]["transshipment"]["anyOf"][1]["properties"])
    columns = small_study().layers.schema.of("facilities")
    assert told.pop("facility") == {c.column for c in columns.values() if c.type != "geometry"}
    assert told == read


def test_notes_and_sources_are_texts() -> None:
    problems: list[str] = []
    scenario_rows.known_fields({"note": 5, "source": None}, (), "halt 1", problems)
    assert problems == ["halt 1: note: expected a text, found 5"]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"id": "new-mine", "name": {}}, "facility 1: name: expected a text, found a table"),
        ({"id": "new-mine", "lon": True}, "facility 1: lon: expected a number, found True"),
        ({"id": "new-mine", "grades": [1]}, "facility 1: grades: expected a list of texts, found a list"),
        ({"id": "new-mine", "capacity": 1}, "facility 1: unknown column `capacity`; did you mean capacity_t"),
        ({"name": "no id"}, "facility 1: expected an `id`"),
    ],
)
def test_a_facility_row_is_refused_with_its_place(row: Any, says: str, client: Any) -> None:
    response = client.post("/api/solve", json={"facility": [row]})
    assert response.status_code == 400
    assert response.get_json()["problems"][0].startswith(says)


def test_an_empty_value_of_a_facility_row_is_left_out(client: Any) -> None:
    row = {"id": "new-magnets", "stage": "magnet", "product": "sintered", "country": "DEU", "lon": 9.2, "lat": 48.8,
           "unit": "t_magnet", "capacity_t": 900, "output_t": 900, "start_year": 2020, "grades": ["SH", "standard"]}  # fmt: skip
    bare = client.post("/api/solve", json={"facility": [row]})
    assert bare.status_code == 200, bare.text
    filled = client.post("/api/solve", json={"facility": [row | {"operator": None, "notes": None, "feeds": None}]})
    assert filled.get_json()["halted"] == bare.get_json()["halted"]
    assert "DEU" in bare.get_json()["halted"]["stage_output_t"]["magnet"]


def test_open_passages_of_body_and_address_go_together(client: Any) -> None:
    """A text is one passage, not its letters; what is no list is refused whatever the address says."""
    asked = {"name": "x", "open": "northern-sea-route"}
    assert client.post("/api/solve?open=northwest", json=asked).status_code == 200
    assert client.post("/api/solve?open=northwest", json=asked | {"open": {}}).status_code == 400


def test_schemas_know_their_fields() -> None:
    schema = record("bloc:text cost_usd_t:number gap_share:share?", maybe="bloc", tonnes=by("country", {"type": "number"}))
    assert schema["required"] == ["cost_usd_t", "gap_share", "tonnes"]
    assert schema["properties"]["cost_usd_t"]["description"] == "USD/t"
    check = Draft202012Validator(schema)
    good = {"cost_usd_t": 1.0, "gap_share": None, "tonnes": {"CHN": 1}}
    assert check.is_valid(good)
    for bad in (good | {"more": 1}, good | {"cost_usd_t": "1"}, good | {"gap_share": 1.5}, good | {"tonnes": {"chn": 1}}, {"cost_usd_t": 1}):
        assert not check.is_valid(bad), bad


def test_strict_schemas_catch_a_breach(client: Any, document: Any) -> None:
    """A renamed, missing or additional figure of an answer is seen."""
    answer = client.get("/api/solve?halt=country:CHN/magnet").get_json()
    check = Draft202012Validator({"$ref": "#/components/schemas/Solve", "components": document["components"]})
    assert check.is_valid(answer)
    for change in (
        lambda a: a["halted"].pop("shortage_t"),
        lambda a: a["halted"].update(shortage=1.0),
        lambda a: a["baseline"].update(status="feasible"),
        lambda a: a["halted"]["hhi"].update(mine=1.2),
        lambda a: a["halted"]["imports_t"].update(Germany={}),
        lambda a: a["certificate"]["halted"].update(gap="0"),
        lambda a: a["replaced"].append({"importer": "USA"}),
    ):
        changed = json.loads(json.dumps(answer))
        change(changed)
        assert not check.is_valid(changed)


@pytest.mark.slow
def test_answers_of_the_shipped_world_fit(study: Any) -> None:
    """The world that is shipped has everything the small one lacks: samarium, contracts, buyers, every scenario."""
    client = create_app(study, settings({}, solves_per_minute=0)).test_client()
    document = client.get("/api/openapi.json").get_json()
    validate(document)
    asked = {
        "/api/solve?halt=country:CHN/magnet": "Solve", "/api/solve?scenario=stuttgart-buyer-stock": "Solve",
        "/api/validate": "Validation", "/api/concentration": "Concentration", "/api/layers": "Layers",
        "/api/trace/DEU?origin=CHN&threshold=0.1": "Trace", "/api/trace/DEU.geojson": "TracePaths",
        "/api/compare?case=passage:malacca&case=passage:suez": "Comparison", "/api/facilities": "Facilities",
        "/api/route?from=CNSHA&to=SADMM&modes=sea&close=hormuz": "Route",
    }  # fmt: skip
    asked |= {f"/api/scenarios/{name}": "Scenario" for name in study.layers.scenarios}
    for address, name in asked.items():
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        errors = list(Draft202012Validator(schema).iter_errors(client.get(address).get_json(force=True)))
        assert not errors, (address, errors[0].message)


# ---- the page


def test_the_page_offers_every_operation(client: Any, document: Any) -> None:
    text = client.get("/api").text
    for op in operations():
        assert f'<details class="op" id="{op.id}" data-method="{op.method.upper()}" data-path="{op.path}">' in text
    assert " style=" not in text
    assert not re.search(r"<script(?! (src=|type=\"application/json\"))", text)
    groups = page_groups(document)
    assert sum(len(g["operations"]) for g in groups) == len(operations())


def test_the_page_unfolds_what_its_address_names(client: Any) -> None:
    assert 'id="route" data-method="GET" data-path="/api/route" open>' in client.get("/api?op=route").text
    response = client.get("/api?op=rout", headers={"Accept": "application/json"})
    assert response.status_code == 400
    assert "route" in response.get_json()["error"]


def test_links_of_the_page_lead_somewhere(client: Any) -> None:
    text = client.get("/api").text
    links = re.findall(r'<a class="example" href="([^"]+)"', text)
    assert len(links) == sum(o.method == "get" and "ticket" not in o.path for o in operations())
    for href in links:
        if not re.search(LONG, href):
            assert client.get(href.replace("&amp;", "&")).status_code == 200, href


def test_controls_fit_their_parameters(document: Any) -> None:
    kinds = {k: control(p)["kind"] for k, p in document["components"]["parameters"].items()}
    assert kinds["halt"] == "lines"
    assert kinds["bloc"] == "select"
    assert kinds["on"] == "date"
    assert kinds["open"] == "list"
    assert kinds["route-modes"] == "boxes"
    assert kinds["frontier-points"] == "number"
    assert kinds["path-place"] == "text"

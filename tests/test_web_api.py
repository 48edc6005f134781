"""The interface for programs: the same figures in every form, tables that spreadsheets may open, what docs/api.md shows."""

import csv
import io
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
import pytest
from rfc7946 import problems
from small_study import small_study

from atlas import web_formats
from atlas.answer_tables import FIXES_COLUMNS, concentration_table, route_table, summary_table
from atlas.config import settings
from atlas.export import FLOW_COLUMNS
from atlas.export_csv import csv_text
from atlas.web import create_app
from atlas.web_formats import ALTERNATES, alternates, attached

HALT = "halt=country:CHN"
DOCS = Path(__file__).resolve().parent.parent / "docs" / "api.md"


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    app = create_app(small_study(), settings({}, solves_per_minute=0, requests_per_minute=0))
    yield app.test_client()
    app.extensions["atlas"].close()


def rows(response: Any) -> list[dict[str, str]]:
    assert response.status_code == 200, response.text
    assert response.content_type == "text/csv; charset=utf-8"
    assert re.fullmatch(r'attachment; filename="[\w.-]+\.csv"', response.headers["Content-Disposition"])
    return list(csv.DictReader(io.StringIO(response.text, newline="")))


# ---- CSV


def test_csv_is_that_of_the_standard() -> None:
    table = pd.DataFrame({"a": ['say "x"', "two\nlines", "plain"], "n_t": [1.5, float("nan"), 2], "list": [("x", "y"), (), ("z",)]})
    assert csv_text(table) == 'a,n_t,list\r\n"say ""x""",1.5,x;y\r\n"two\nlines",,\r\nplain,2.0,z\r\n'
    assert csv_text(pd.DataFrame(), ("a", "b")) == "a,b\r\n"
    assert csv_text(pd.DataFrame({"ok": [True, None], "b": [1, 2]}), ("b", "ok")) == "b,ok\r\n1,true\r\n2,\r\n"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-cmd", "@SUM(A1)", "\tx", "\rx", "=HYPERLINK(\"http://x\")"])
def test_no_cell_is_a_formula(text: str) -> None:
    made = csv_text(pd.DataFrame({"name": [text], "change_t": [-5.0]}))
    found = next(csv.DictReader(io.StringIO(made, newline="")))
    assert found == {"name": f"'{text}", "change_t": "-5.0"}


def test_names_of_downloads_are_plain() -> None:
    assert attached('a"b\r\n/../ü.csv') == ("Content-Disposition", 'attachment; filename="a-b-..-.csv"')
    assert attached("...") == ("Content-Disposition", 'attachment; filename="download"')


# ---- the same figures in every form


def test_the_long_table_holds_every_figure(client: Any) -> None:
    told = client.get(f"/api/solve?{HALT}").get_json()
    table = rows(client.get(f"/api/solve.csv?{HALT}"))
    found = {(r["state"], r["measure"], r["key"]): (float(r["value"]), r["unit"]) for r in table}
    assert len(found) == len(table)
    assert found["halted", "shortage_t", ""] == (told["halted"]["shortage_t"], "t/year")
    assert found["baseline", "unit_spend_usd_t", ""] == (told["baseline"]["unit_spend_usd_t"], "USD/t")
    assert found["baseline", "imports_t", "DEU/magnet/CHN"] == (told["baseline"]["imports_t"]["DEU"]["magnet"]["CHN"], "t/year")
    assert found["halted", "bloc_origin_share", "mine"][1] == "share"
    assert found["halted", "mean_days", ""][1] == "days"
    first = told["replaced"][0]
    key = "/".join((first["importer"], first["commodity"], first["from_country"], first["to_country"]))
    assert found["halted", "replaced_t", key] == (first["tonnes"], "t/year")
    numbers = [v for state in ("baseline", "halted") for v in leaves(told[state])] + leaves(told["certificate"])
    assert len(table) == len(numbers) + len(told["replaced"])


def leaves(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [v for inside in value.values() for v in leaves(inside)]
    return [value] if isinstance(value, int | float) else []


def test_a_buyer_has_figures_in_its_units() -> None:
    state = {"buyers": {"works": {"supplied_t": 3.0, "mean_days": 20.0, "priority_class": 1, "sector": "ev", "by_supplier_t": {"a-b": 3.0}}}}
    told = {"baseline": state, "halted": {}, "certificate": {"baseline": {}, "halted": {}}, "replaced": []}
    table = summary_table(told)
    assert table[["key", "value", "unit"]].to_numpy().tolist() == [
        ["works/supplied_t", 3.0, "t/year"], ["works/mean_days", 20.0, "days"], ["works/priority_class", 1, ""],
        ["works/by_supplier_t/a-b", 3.0, "t/year"],
    ]  # fmt: skip


def test_flows_have_the_columns_of_the_contract(client: Any) -> None:
    table = rows(client.get(f"/api/layers/flows.csv?{HALT}"))
    assert tuple(table[0])[: len(FLOW_COLUMNS)] == FLOW_COLUMNS
    magnets = [r for r in table if r["state"] == "baseline" and r["commodity"] == "magnet" and r["to_id"] not in ("surplus", "stock", "loss")]
    told = client.get("/api/solve").get_json()["baseline"]
    assert sum(float(r["tonnes"]) for r in magnets) == pytest.approx(told["supplied_t"], rel=1e-5)


@pytest.mark.parametrize("name", ["flows", "changes"])
def test_a_table_has_its_lines_where_they_are_asked_for(name: str, client: Any) -> None:
    plain = rows(client.get(f"/api/layers/{name}.csv?{HALT}"))
    lines = rows(client.get(f"/api/layers/{name}.csv?{HALT}&wkt=1"))
    assert [{k: v for k, v in r.items() if k != "wkt"} for r in lines] == plain
    assert {r["wkt"].split("(")[0].strip() for r in lines} >= {"LINESTRING", "MULTILINESTRING"}
    assert client.get(f"/api/layers/{name}.csv?{HALT}&wkt=yes").status_code == 400


@pytest.mark.parametrize("name", ["facilities", "ports", "passages", "changes"])
def test_a_map_layer_is_the_same_as_table_and_map(name: str, client: Any) -> None:
    table = rows(client.get(f"/api/layers/{name}.csv?{HALT}"))
    features = client.get(f"/api/layers/{name}.geojson?{HALT}").get_json(force=True)["features"]
    assert [r["id"] for r in table] == [f["id"] for f in features]
    for row, feature in zip(table, features, strict=True):
        for key in ("baseline_t", "halted_t"):
            value = feature["properties"][key]
            assert row[key] == ("" if value is None else repr(float(value)))
    assert ("wkt" in table[0]) == (name == "passages")


def test_unknown_layers_are_not_found_with_the_nearest(client: Any) -> None:
    for path in ("/api/layers/facilites.csv", "/api/layers/facilites.geojson", "/api/layers/facilites/rows.csv", "/api/layers/facilites/rows.json"):
        response = client.get(path)
        assert response.status_code == 404
        assert "facilities" in response.get_json()["error"]


def test_rows_of_every_layer(client: Any) -> None:
    """As many as the layer holds, the columns those of the schema, the same in each form."""
    index = client.get("/api/layers").get_json()
    layers = small_study().layers
    assert [a["name"] for a in index["layers"]] == list(layers.schema.layers)
    for about in index["layers"]:
        told = client.get(about["json"]).get_json()
        assert len(told) == about["count"] == len(layers.table(about["name"]))
        columns = [c["name"] for c in about["columns"] if c["type"] != "geometry"]
        if told:
            assert list(told[0]) == columns
        head = next(csv.reader(io.StringIO(client.get(about["csv"]).text, newline="")))
        assert head == columns
        if about["geojson"]:
            places = client.get(about["geojson"])
            if about["name"] != "countries":  # Antarctica goes round the pole
                assert not problems(places.text)
            assert len(places.get_json(force=True)["features"]) == about["count"]
        else:
            assert client.get(about["json"].replace(".json", ".geojson")).status_code == 404


def test_rows_are_typed(client: Any) -> None:
    told = {r["id"]: r for r in client.get("/api/layers/facilities/rows.json").get_json()}
    mine = told["bayan-obo"]
    assert isinstance(mine["start_year"], int)
    assert mine["end_year"] is None
    assert isinstance(mine["feeds"], list)
    table = {r["id"]: r for r in rows(client.get("/api/layers/facilities/rows.csv"))}
    assert table["bayan-obo"]["start_year"] == str(mine["start_year"])
    assert table["bayan-obo"]["end_year"] == ""


def test_a_trace_as_table(client: Any) -> None:
    told = client.get("/api/trace/DEU").get_json()
    table = rows(client.get("/api/trace/DEU.csv"))
    found = {r["id"]: float(r["share"]) for r in table if (r["direction"], r["stage"], r["by"]) == ("up", "mine", "country")}
    assert found == pytest.approx(told["upstream"]["mine"]["by_country"])
    assert client.get("/api/trace/nobody.csv").status_code == 404


def test_a_route_as_table(client: Any) -> None:
    told = client.get("/api/route?from=lynas-kuantan&to=JPYOK&alternatives=2").get_json()
    table = rows(client.get("/api/route.csv?from=lynas-kuantan&to=JPYOK&alternatives=2"))
    for way, route in enumerate(told, 1):
        own = [r for r in table if r["way"] == str(way)]
        assert sum(float(r["distance_km"]) for r in own) == pytest.approx(route["distance_km"])
        assert [r["mode"] for r in own] == [leg["mode"] for leg in route["legs"]]
    assert len(route_table([{"reachable": False, "legs": []}])) == 0
    assert rows(client.get("/api/route.csv?from=CNSHA&to=SADMM&modes=sea&close=hormuz")) == []


def test_concentration_and_accuracy_as_tables(client: Any) -> None:
    told = client.get("/api/concentration").get_json()
    table = rows(client.get("/api/concentration.csv"))
    assert len(table) == len(told["stages"])
    assert float(table[0]["top1_share"]) == told["stages"][0]["top1_share"]
    assert table[0]["top1_country"] == told["stages"][0]["countries"][0]["country"]
    empty = {**told["stages"][0], "countries": []}
    assert concentration_table({"stages": [empty]})["top1_country"].tolist() == [""]
    checked = client.get("/api/validate").get_json()
    assert [r["id"] for r in rows(client.get("/api/validate.csv"))] == [r["id"] for r in checked["rows"]]


def test_long_work_as_tables(client: Any) -> None:
    for name, key, extra in (("frontier", "points", ""), ("worth", "units", ""), ("fixes", "projects", "&budget=1000")):
        told = client.get(f"/api/{name}?{HALT}{extra}").get_json()
        table = rows(client.get(f"/api/{name}.csv?{HALT}{extra}"))
        assert len(table) == len(told[key]) > 0
        if name == "fixes":
            assert tuple(table[0]) == FIXES_COLUMNS
            assert [float(r["alone_bloc_t"]) for r in table] == [p["alone"]["bloc_t"] for p in told["projects"]]
            assert {r["id"] for r in table if r["chosen"] == "true"} == set(told["portfolio"]["chosen"])
    assert client.get("/api/fixes.csv").status_code == 400


# ---- scenarios


def test_scenarios_are_listed_and_solve(client: Any) -> None:
    found = client.get("/api/scenarios").get_json()
    named = {s["name"]: s for s in found}
    assert set(named) == set(small_study().layers.scenarios)
    april = named["april-2025"]
    assert april["title"] == "China's licences of April 2025"
    assert (april["start"], april["days"]) == ("2025-05-01", 90)
    assert april["halts"] == ["country:CHN/Dy,Sm,Tb", "country:CHN@0.74/magnet"]
    for name in ("april-2025", "malacca-closes", "new-us-magnets", "red-sea-war-risk-2024"):
        body = client.get(named[name]["json"]).get_json()
        posted = client.post("/api/solve", json=body)
        assert posted.status_code == 200, posted.text
        assert posted.get_json()["halted"] == client.get(named[name]["solve"]).get_json()["halted"]
        assert client.get(named[name]["toml"]).text == small_study().layers.scenarios[name].read_text(encoding="utf-8")


def test_unknown_scenarios_are_not_found(client: Any) -> None:
    for path in ("/api/scenarios/malaca-closes", "/api/scenarios/malaca-closes.toml", "/api/scenarios/..%2f..%2fsettings"):
        assert client.get(path).status_code == 404
    assert "malacca-closes" in client.get("/api/scenarios/malaca-closes").get_json()["error"]


# ---- the other forms of a page


def test_pages_name_their_other_forms(client: Any) -> None:
    response = client.get("/map?halt=passage:malacca&view=before&bloc=eu27")
    links = re.findall(r'<([^>]+)>; rel="alternate"; type="([^"]+)"', ", ".join(response.headers.getlist("Link")))
    assert links == [
        ("/api/solve?halt=passage:malacca&bloc=eu27", "application/json"),
        ("/api/solve.csv?halt=passage:malacca&bloc=eu27", "text/csv"),
        ("/api/layers/changes.geojson?halt=passage:malacca&bloc=eu27", "application/geo+json"),
    ]
    for address, kind in links:
        found = client.get(address)
        assert found.status_code == 200
        assert found.mimetype == kind
    assert "Link" not in client.get("/about").headers


def test_every_alternate_is_an_address_of_the_interface(client: Any) -> None:
    rules = {re.sub(r"<\w+>", "*", r.rule) for r in client.application.url_map.iter_rules()}
    for page, forms, _ in ALTERNATES:
        assert page in rules
        for form in filter(None, forms):
            assert form.replace("changes", "*") in rules


def test_alternates_of_an_id() -> None:
    assert alternates("/trace/a b", "element=Dy&junk=1") == [
        ("/api/trace/a%20b?element=Dy", "application/json"), ("/api/trace/a%20b.csv?element=Dy", "text/csv"),
        ("/api/trace/a%20b.geojson?element=Dy", "application/geo+json"),
    ]  # fmt: skip
    assert alternates("/trace/", "") == alternates("/trace/a/b", "") == alternates("/tracex", "") == []
    assert alternates("/map", "halt=%0d%0aSet-Cookie:x")[0][0] == "/api/solve?halt=%0D%0ASet-Cookie:x"


def test_json_is_strict() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        web_formats.json_document({"x": float("nan")})


# ---- docs/api.md


def test_curl_lines_of_the_docs_work(client: Any) -> None:
    lines = re.findall(r"^curl .*$", DOCS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert len(lines) >= 6
    for line in lines:
        words = shlex.split(line)[1:]
        address = next(w for w in words if w.startswith("http://127.0.0.1:8000"))
        parts = urlsplit(address)
        body = words[words.index("--data") + 1] if "--data" in words else None
        headers = dict(w.split(": ", 1) for k, w in zip(words, words[1:], strict=False) if k == "-H")
        response = client.open(
            f"{parts.path}?{parts.query}", method="POST" if body else "GET", data=body, headers=headers
        )
        assert response.status_code == 200, line


def test_python_of_the_docs_works(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples run as they stand, their requests answered by the application."""

    def opened(asked: Any, *_: Any, **__: Any) -> Any:
        address = asked if isinstance(asked, str) else asked.full_url
        parts, body = urlsplit(address), None if isinstance(asked, str) else asked.data
        response = client.open(f"{parts.path}?{parts.query}", method="POST" if body else "GET", data=body)
        assert response.status_code == 200, response.text
        return io.BytesIO(response.data)

    monkeypatch.setattr("urllib.request.urlopen", opened)
    monkeypatch.setattr(pd, "read_csv", lambda address, read=pd.read_csv: read(opened(address)))
    code = "\n".join(re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), flags=re.DOTALL))
    space: dict[str, Any] = {}
    exec(code, space)
    assert space["answer"]["scenario"]["halts"] == ["country:CHN/magnet"]
    assert space["both"]["scenario"]["halts"] == ["passage:malacca", "passage:suez"]
    assert {"baseline", "halted"} == set(space["flows"]["state"])
    assert len(space["rows"]) == len(small_study().layers.facilities)


def test_the_error_of_the_docs_has_the_shape(client: Any) -> None:
    shown = json.loads(re.search(r"```json\n(.*?)```", DOCS.read_text(encoding="utf-8"), flags=re.DOTALL)[1])  # type: ignore[index]
    response = client.get("/api/solve?halt=country:CHX")
    assert response.status_code == shown["status"] == 400
    assert set(response.get_json()) == set(shown)


def test_the_docs_name_every_resource(client: Any) -> None:
    text = DOCS.read_text(encoding="utf-8")
    told = client.get("/api/openapi.json").get_json()["paths"]
    stems = {re.sub(r"(\.csv|\.geojson|\.toml|\.json|\.gpkg|\.fgb|\.parquet)$", "", re.sub(r"\{\w+\}", "*", p)) for p in told}
    named = {re.sub(r"(\.csv|\.geojson|\.json|\.gpkg)$", "", re.sub(r"\b(ID|NAME)\b", "*", p)) for p in re.findall(r"/api/[\w/.-]+", text)}
    assert not {s for s in stems if s.startswith("/api/")} - named

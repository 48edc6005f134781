"""Facilities under filters: the page, its part for the script, JSON, CSV and GeoJSON say the same."""

import csv
import io
import json
import re
from typing import Any

import pytest
from fake_outcome import HOSTILE, fake_study
from rfc7946 import problems

from atlas.config import settings
from atlas.facility_filter import COLUMNS, Facilities, FacilityFilter
from atlas.web import create_app


@pytest.fixture(scope="module")
def app() -> Any:
    made = create_app(fake_study(), settings({}))
    yield made
    made.extensions["atlas"].close()


@pytest.fixture
def client(app: Any) -> Any:
    return app.test_client()


@pytest.fixture(scope="module")
def known() -> Facilities:
    return Facilities(fake_study().layers)


def ids(client: Any, query: str) -> list[str]:
    return [f["id"] for f in client.get(f"/api/facilities?{query}").get_json()["facilities"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("stage=metal", {"baotou-metal"}),
        ("stage=metal,recycling&country=CHN", {"baotou-metal"}),
        ("country=aus", {"mt-weld"}),
        ("bloc=us-allies&stage=mine", {"mt-weld", "mountain-pass"}),
        ("operator=lynas", {"kuantan", "mt-weld"}),
        ("status=planned&status=construction", {"javascript-mine", "fort-worth"}),
        ("confidence=A&stage=magnet", {"hanau-magnet", "fort-worth"}),
        ("text=LYNAS+malaysia", {"kuantan"}),
        ("text=germany", {"hanau-magnet"}),
        ("element=Sm", set()),
        ("stage=metal&country=DEU", set()),
    ],
)
def test_a_filter_leaves_what_fits(client: Any, query: str, expected: set[str]) -> None:
    assert set(ids(client, query)) == expected


@pytest.mark.parametrize("query", ["", "stage=mine", "bloc=us-allies", "text=ganzhou", "operator=lynas", "element=Sm"])
def test_all_forms_show_the_same_rows(client: Any, query: str) -> None:
    told = client.get(f"/api/facilities?{query}").get_json()
    expected = [f["id"] for f in told["facilities"]]
    assert told["count"] == len(expected)
    page = client.get(f"/facilities?{query}").text
    assert re.findall(r'<tr id="f-([^"]+)"', page) == expected
    assert re.findall(r'<tr id="f-([^"]+)"', client.get(f"/facilities?part=list&{query}").text) == expected
    live = json.loads(re.search(r'class="live">(.*?)</script>', page, re.DOTALL).group(1))
    assert {p["id"] for p in live["places"]} == set(expected)
    rows = list(csv.DictReader(io.StringIO(client.get(f"/api/facilities.csv?{query}").text)))
    assert [r["id"] for r in rows] == expected
    text = client.get(f"/api/facilities.geojson?{query}").text
    assert not problems(text)
    assert [f["id"] for f in json.loads(text)["features"]] == expected


def test_a_table_without_rows_has_its_columns(client: Any) -> None:
    assert client.get("/api/facilities.csv?element=Sm").text.strip() == ",".join(COLUMNS)


@pytest.mark.parametrize("query", ["", "stage=mine", "bloc=us-allies&status=operating", "country=CHN&element=Nd"])
def test_counts_tell_what_each_choice_leaves(known: Facilities, query: str) -> None:
    """A count is the number of rows that the filter shows with that choice in place of those of its kind."""
    found = {k: [v] for k, v in (p.split("=") for p in query.split("&") if p)}
    for name, counts in known.facets(known.read(found)).items():
        for value, n in counts.items():
            assert n == len(known.select(known.read(found | {name: [value]}))), (name, value)


def test_totals_add_up_by_stage(client: Any) -> None:
    told = client.get("/api/facilities").get_json()
    for total in told["totals"]:
        own = [f for f in told["facilities"] if f["stage"] == total["stage"]]
        assert total["count"] == len(own)
        assert total["output_t"] == pytest.approx(sum(f["output_t"] or 0 for f in own))
        running = [f["capacity_t"] or 0 for f in own if f["status"] in ("operating", "commissioning")]
        assert total["running_t"] == pytest.approx(sum(running))


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("stage=mina", "nearest: mine"),
        ("stage=mine&stage=magnets", "nearest: magnet"),
        ("country=CHIN", "nearest: CHN (China)"),
        ("bloc=us-ally", "nearest: us-allies"),
        ("operator=lynass", "nearest: lynas"),
        ("status=plannd", "nearest: planned"),
        ("element=Xx", "nearest: Nd"),
        ("confidence=D", "nearest: A"),
        ("country=CHN,USA", "expected one"),
        ("colour=red", "unknown parameter"),
        ("text=a&text=b", "expected once"),
    ],
)
@pytest.mark.parametrize("path", ["/facilities", "/facilities?part=list", "/api/facilities", "/api/facilities.geojson"])
def test_what_is_not_known_is_refused_with_what_is_near(client: Any, path: str, query: str, said: str) -> None:
    response = client.get(f"{path}{'&' if '?' in path else '?'}{query}")
    assert response.status_code == 400
    assert said in response.text


def test_every_problem_is_told(client: Any) -> None:
    assert len(client.get("/api/facilities?stage=x&country=QQQ&bloc=y").get_json()["problems"]) == 3


def test_nothing_found_says_so_and_leads_back(client: Any) -> None:
    page = client.get("/facilities?element=Sm").text
    assert "No facility fits" in page
    assert '<a class="go" href="/facilities">' in page


def test_filters_that_are_set_can_be_taken_away(client: Any) -> None:
    page = client.get("/facilities?stage=mine&bloc=us-allies").text
    assert 'href="/facilities?bloc=us-allies"' in page
    assert 'href="/facilities?stage=mine"' in page
    asked = FacilityFilter(stage=("mine", "magnet"), bloc="us-allies")
    assert asked.without("stage", "mine") == FacilityFilter(stage=("magnet",), bloc="us-allies")


def test_hostile_names_stay_text(client: Any) -> None:
    for path in ("/facilities", "/facilities?part=list", "/search?q=evil"):
        page = client.get(path).text
        assert "<img src=x" not in page
        assert "Evil" in page
    row = next(f for f in client.get("/api/facilities").get_json()["facilities"] if f["id"] == "serra-verde")
    assert row["name"] == HOSTILE
    assert "<b>" not in client.get("/facilities?text=%3Cb%3Ezz").text


def test_the_answer_is_kept(client: Any) -> None:
    first = client.get("/facilities?stage=mine")
    again = client.get("/facilities?stage=mine", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304

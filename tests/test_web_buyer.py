"""A magnet buyer of one's own over HTTP: in the address of a map, as a form, its risk as page, JSON and CSV."""

import csv
import html
import io
import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import pytest

from atlas import web_buyer
from atlas.config import settings
from atlas.errors import BadInput
from atlas.web import create_app
from atlas.web_query import buyer_rows
from tests.small_study import small_study

BUYER = "stuttgart-works,9.18,48.78,automotive_other,SH,300,60"


CASES = web_buyer._cases


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """A client of an application that tries a few halts only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(web_buyer, "_cases", lambda: CASES()[:4])
        yield _client()


def _client() -> Any:
    return create_app(small_study(), settings({}, job_wait_s=120.0)).test_client()


def page(client: Any, path: str) -> Any:
    """Return a page once its work is done."""
    for _ in range(300):
        answer = client.get(path)
        if answer.status_code != 202:
            return answer
        time.sleep(0.1)
    raise AssertionError("the work never ends")


def test_a_buyer_in_an_address_is_a_row_of_a_scenario() -> None:
    found = buyer_rows(["My plant!,9.18,48.78,ev,SH,300,60,vac-hanau:100,yunsheng-ningbo:50"])
    assert found["buyer"] == [
        {"id": "my-plant", "lon": 9.18, "lat": 48.78, "sector": "ev", "grade": "SH", "tonnes": 300.0, "cover_days": 60.0}
    ]
    assert [(c["buyer"], c["supplier"], c["tonnes"]) for c in found["contract"]] == [
        ("my-plant", "vac-hanau", 100.0), ("my-plant", "yunsheng-ningbo", 50.0),
    ]  # fmt: skip
    assert buyer_rows([BUYER.removesuffix(",60")])["buyer"][0].keys() == {"id", "lon", "lat", "sector", "grade", "tonnes"}


@pytest.mark.parametrize("text", ["", "a", "a,1,2,ev,SH", "a,1,2,ev,SH,1,2,3", "a,1,x:2,ev,SH,1", ",1,2,ev,SH,1", "a,b:c"])
def test_what_is_no_buyer_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="expected id,lon,lat"):
        buyer_rows([text])


def test_all_problems_come_at_once_with_the_nearest_names(client: Any) -> None:
    asked = "a,9.18,nan,evv,SHH,-5,x,vac-hanua:10"
    for path in ("/api/solve", "/api/buyer", "/api/buyer.csv"):
        answer = client.get(path, query_string={"buyer": asked})
        assert answer.status_code == 400
        said = " ".join(answer.get_json()["problems"])
        for part in ("lat: expected", "nearest: ev", "nearest: SH", "tonnes: expected", "cover_days: expected", "nearest: vac-hanau"):
            assert part in said, path
    many = client.get("/api/solve", query_string=[("buyer", f"b{n},9,48,ev,SH,1") for n in range(11)])
    assert many.status_code == 400
    assert "11 buyers" in many.get_json()["error"]
    assert client.get("/api/buyer").status_code == 400
    assert client.get("/api/buyer", query_string=[("buyer", BUYER), ("buyer", BUYER)]).status_code == 400


def test_a_map_and_its_json_hold_the_buyer(client: Any) -> None:
    asked = {"halt": "country:CHN/magnet", "buyer": BUYER}
    body = client.get("/api/solve", query_string=asked).get_json()
    assert body["halted"]["buyers"]["stuttgart-works"]["shortage_t"] > 0
    assert body["scenario"]["buyers"][0]["cover_days"] == 60
    shown = client.get("/map", query_string=asked)
    assert shown.status_code == 200
    links = [html.unescape(x) for x in re.findall(r'href="(/api/solve[^"]*)"', shown.text)]
    assert [parse_qs(urlsplit(x).query)["buyer"] for x in links] == [[BUYER]] * len(links)
    posted = client.post("/api/solve", query_string={"buyer": BUYER}, json={"halt": [{"spec": "country:CHN/magnet"}]})
    assert posted.get_json()["halted"]["buyers"] == body["halted"]["buyers"]
    for wrong in (5, "x", {"id": 1}):
        answer = client.post("/api/solve", query_string={"buyer": BUYER}, json={"buyer": wrong})
        assert answer.status_code == 400


def test_the_form_leads_to_an_address_with_all_of_it(client: Any) -> None:
    form = client.get("/buyer")
    assert form.status_code == 200
    for part in ('name="place"', ">Electric vehicles (traction)<", "Super hot (SH, 150 C)", "1.6 % Dy", 'value="vac-hanau"'):
        assert part in form.text
    sent = {
        "name": "My plant", "place": "stuttgart", "sector": "ev", "grade": "UH", "tonnes": "1,200", "cover_days": "30",
        "supplier": "vac-hanau", "supplied_t": "100", "bloc": "eu27",
    }  # fmt: skip
    answer = client.get("/buyer", query_string=sent)
    assert answer.status_code == 302
    asked = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert asked == {"buyer": ["my-plant,9.2,48.78,ev,UH,1200,30,vac-hanau:100"], "bloc": ["eu27"]}
    for place, point in (("9.18, 48.78", "9.18,48.78"), ("vac-hanau", "8.9"), ("DEHAM", "9."), ("-83.05;42.33", "-83.05,42.33")):
        made = client.get("/buyer", query_string=sent | {"place": place}).headers["Location"]
        assert f"my-plant,{point}" in parse_qs(urlsplit(made).query)["buyer"][0]


def test_a_form_that_cannot_be_read_comes_back_with_what_was_said(client: Any) -> None:
    answer = client.get("/buyer", query_string={"name": "<b>x</b>", "place": "Stutgart", "grade": "SH", "supplied_t": "5"})
    assert answer.status_code == 400
    text = html.unescape(answer.text)
    assert "unknown place 'Stutgart'; nearest: Stuttgart" in text
    assert "Tonnes a year: expected, but left empty" in text
    assert "expected tonnes a year for each supplier" in text
    assert 'value="&lt;b&gt;x&lt;/b&gt;"' in answer.text
    assert "<b>x" not in answer.text
    bad = client.get("/buyer", query_string={"buyer": "x,9.18,48.78,evv,SH,300"})
    assert bad.status_code == 400
    assert "nearest: ev" in bad.text


def test_the_risk_as_page_json_and_csv(client: Any) -> None:
    shown = page(client, f"/buyer?buyer={BUYER}")
    assert shown.status_code == 200
    text = html.unescape(shown.text)
    body = client.get("/api/buyer", query_string={"buyer": BUYER}).get_json()
    assert body["sentence"] in text
    assert text.index(body["sentence"]) < text.index("<table")
    assert len(body["cases"]) == 4
    rows = list(csv.DictReader(io.StringIO(client.get("/api/buyer.csv", query_string={"buyer": BUYER}).text)))
    assert [r["case"] for r in rows] == [c["case"] for c in body["cases"]]
    assert float(rows[0]["short_t"]) == pytest.approx(body["cases"][0]["short_t"], rel=1e-4)
    links = re.findall(r'<th scope="row"><a href="(/map[^"]*)">', shown.text)
    assert len(links) == len(body["cases"])
    for link in links[:2]:
        address = html.unescape(link)
        assert parse_qs(urlsplit(address).query)["buyer"] == [BUYER]
        solved = client.get(address.replace("/map", "/api/solve")).get_json()["halted"]["buyers"]["stuttgart-works"]
        assert solved["shortage_t"] == pytest.approx(body["cases"][links.index(link)]["short_t"], abs=1e-3)
    for svg in re.findall(r"<svg class=\"plot.*?</svg>", shown.text, re.S):
        ElementTree.fromstring(svg)
    assert "Stock lasts" in text
    assert "plain arithmetic" in text
    assert "style=" not in shown.text


def test_a_buyer_at_sea_is_refused_in_words(client: Any) -> None:
    answer = page(client, "/buyer?buyer=at-sea,-40,30,ev,SH,10")
    assert answer.status_code == 400
    assert "no country at -40, 30" in answer.text


def test_it_is_a_job_of_its_kind(client: Any) -> None:
    made = client.post("/api/jobs", json={"kind": "buyer-risk", "buyer": BUYER})
    assert made.status_code == 202
    assert made.get_json()["kind"] == "buyer-risk"
    assert made.get_json()["address"] == f"/buyer?buyer={BUYER}"
    assert made.get_json()["title"] == "Risk of stuttgart-works"
    assert client.post("/api/jobs", json={"kind": "buyer-risk"}).status_code == 400


def test_it_is_tried_with_ready_halts_and_scenarios_of_halts_alone(client: Any) -> None:
    with client.application.app_context():
        cases = CASES()
    assert len({c.id for c in cases}) == len(cases) >= 12
    assert len({c.question.specs for c in cases}) == len(cases)
    assert {"country:CHN/magnet", "scenario:china-halts-everything"} <= {c.id for c in cases}
    assert all(c.question.only_halts and c.question.halts for c in cases)
    assert not any(c.id.startswith(("scenario:stuttgart", "scenario:new-us")) for c in cases)

"""The web atlas over the shipped layers: presets, sizes, times, agreement with the study."""

import json
import re
import time
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from flask.testing import FlaskClient

from atlas import web
from atlas.config import settings
from atlas.render import page
from atlas.render_data import payload
from atlas.web_pages import PRESETS


@pytest.fixture(scope="module")
def client(study: Any) -> Iterator[FlaskClient]:
    with web.create_app(study, settings({})).test_client() as c:
        yield c


def page_data(html: str) -> dict[str, Any]:
    return json.loads(re.search(r'id="atlas-data">(.*?)</script>', html, flags=re.DOTALL)[1])  # type: ignore[index]


def test_every_preset_is_offered(client: FlaskClient) -> None:
    text = unescape(client.get("/").text)
    for title, _ in PRESETS:
        assert title in text
    assert client.get(re.findall(r'<li><a href="(/map[^"]+)"', text)[0]).status_code == 200


@pytest.mark.slow
def test_every_preset_and_scenario_answers(client: FlaskClient) -> None:
    text = unescape(client.get("/").text)
    for path in re.findall(r'<li><a href="(/map[^"]+)"', text):
        response = client.get(path)
        assert response.status_code == 200, path
        assert "Change the halt" in response.text


def test_a_repeated_halt_is_far_quicker_than_a_new_one(client: FlaskClient) -> None:
    client.get("/")
    path = "/map?halt=facility:mountain-pass-mine@0.37"
    start = time.perf_counter()
    assert client.get(path).status_code == 200
    first = time.perf_counter() - start
    start = time.perf_counter()
    assert client.get(path).status_code == 200
    assert time.perf_counter() - start < first / 5


def test_page_is_small_and_compressed(client: FlaskClient) -> None:
    response = client.get("/map?halt=country:CHN/magnet", headers={"Accept-Encoding": "gzip"})
    assert len(response.data) < 1_000_000


def test_standalone_page_is_small_and_repeatable(study: Any) -> None:
    outcome = study.solve(["country:CHN/magnet"])
    first = page(outcome)
    assert page(outcome) == first
    assert len(first.encode()) <= 4_000_000


def test_map_shows_the_tonnes_of_the_flows(study: Any) -> None:
    outcome = study.solve(["passage:malacca"])
    data = payload(outcome)
    assert data["drawn"]["share"] > 0.995
    for column, state in ((2, "baseline"), (3, "halted")):
        routed = outcome.flows[(outcome.flows["state"] == state) & (outcome.flows["route_id"] != "")]["tonnes"].sum()
        assert sum(w[column] for w in data["ways"]) == pytest.approx(routed, rel=0.005)
    malacca = next(p for p in data["passages"] if p["id"] == "malacca")
    assert malacca["halted_t"] == 0 < malacca["baseline"]
    assert all(p.get("at") for p in data["places"])
    assert len([p for p in data["places"] if "status" in p]) == len(study.layers.facilities)


def test_figures_agree_between_page_api_and_study(client: FlaskClient, study: Any) -> None:
    spec = "country:CHN/magnet"
    summary = study.solve([spec]).summary
    assert client.get(f"/api/solve?halt={spec}").get_json() == summary
    assert f"{summary['halted']['shortage_t']:,.0f}\u00a0t" in client.get(f"/map?halt={spec}").text


def test_other_blocs_and_opened_passages(client: FlaskClient) -> None:
    assert "Countries of eu27" in client.get("/map?halt=country:CHN/magnet&bloc=eu27").text
    text = client.get("/map?open=northern-sea-route&halt=passage:suez").text
    assert 'type="hidden" name="open" value="northern-sea-route"' in text


def test_data_page_lists_every_layer(client: FlaskClient, study: Any) -> None:
    text = client.get("/data").text
    assert all(f'<th scope="row">{name}</th>' in text for name in study.layers.schema.layers)


def test_unreachable_route_is_an_answer(client: FlaskClient) -> None:
    body = client.get("/api/route?from=CNSHA&to=SADMM&modes=sea&close=hormuz").get_json()
    assert body["reachable"] is False
    assert "hormuz" in body["reason"]


@pytest.mark.parametrize(
    "query",
    ["halt=country:CNH", "halt=passage:malaca", "halt=facility:x@1.5", "halt=passage:malacca@nan", "halt=stage:CHN/demand",
     "halt=port:XXXXX", "halt=%3C/script%3E%3Cimg+src=x+onerror=alert(1)%3E", "halt=country:", "halt=:", "halt=country:CHN@0"],
)  # fmt: skip
def test_bad_halts_are_refused_everywhere(client: FlaskClient, query: str) -> None:
    for path in ("/map", "/api/solve", "/api/layers/flows.geojson"):
        response = client.get(f"{path}?{query}")
        assert response.status_code == 400, response.text[:200]
        assert response.mimetype != "text/html" or "<img" not in response.text

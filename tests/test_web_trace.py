"""The pages of traces: form, page, JSON, GeoJSON, refusals, hostile ids."""

import json
import re
from collections.abc import Iterator
from html import unescape
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import pytest
import rfc7946
from flask.testing import FlaskClient

from atlas import web
from atlas.config import settings
from atlas.render import csp_hashes
from atlas.render_arcs import decode
from atlas.web_trace import EXAMPLES

HOSTILE_IDS = (
    "<script>alert(1)</script>", "../../etc/passwd", "vac-hanau' OR 1=1", "{{7*7}}", "%00", "a" * 5000, "é\u202e",
    "vac-hanau.geojson.geojson", "-", " ", "stock-x", "|", "vac-hanau|out", "surplus", "loss", "recycled",
)  # fmt: skip


@pytest.fixture(scope="module")
def client(study: Any) -> Iterator[FlaskClient]:
    with web.create_app(study, settings({})).test_client() as c:
        yield c


def data(html: str) -> dict[str, Any]:
    return json.loads(re.search(r'id="atlas-data">(.*?)</script>', html, flags=re.DOTALL)[1])  # type: ignore[index]


def shown(html: str) -> str:
    """Return the text a reader sees."""
    body = re.sub(r"<(script|style)\b.*?</\1>", " ", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", body)))


def test_start_offers_places_and_examples(client: FlaskClient) -> None:
    response = client.get("/trace")
    assert response.status_code == 200
    for name in ("vac-hanau", "DEU", "bayan-obo"):
        assert f'<option value="{name}">' in response.text
    links = re.findall(r'<li><a href="(/trace/[^"]+)"', response.text)
    assert len(links) == len(EXAMPLES)
    for link in links:
        assert client.get(unescape(link)).status_code == 200, link


def test_form_leads_to_the_page(client: FlaskClient) -> None:
    response = client.get("/trace?id=vac-hanau&element=Dy&bloc=eu27&threshold=0.001&halt=country:CHN/magnet&origin=&direction=")
    assert response.status_code == 302
    assert response.location == "/trace/vac-hanau?element=Dy&bloc=eu27&threshold=0.001&halt=country%3ACHN%2Fmagnet"


def test_form_never_leads_elsewhere(client: FlaskClient) -> None:
    for asked in ("//evil.example/x", "https://evil.example", "\\\\evil"):
        location = client.get("/trace", query_string={"id": asked}).location
        assert location.startswith("/trace/")
        assert "//" not in location


def test_page_shows_sentence_tables_diagram_and_map(client: FlaskClient) -> None:
    response = client.get("/trace/DEU?element=Dy&threshold=0.001", headers={"Accept-Encoding": "gzip"})
    assert response.status_code == 200
    assert len(response.data) < 1_500_000
    html = client.get("/trace/DEU?element=Dy&threshold=0.001").text
    text = shown(html)
    assert "Germany gets magnets with" in text
    assert "Against a threshold of 0.1" in text
    for stage in ("Mined", "Separated", "Made into metal", "Made into magnets", "Recycled last"):
        assert stage in text
    assert html.count('table class="sortable') >= 8
    figures = [float(v) for v in re.findall(r'data-value="([^"]+)"', html)]
    assert len(figures) > 100
    svg = re.search(r'<svg class="sankey".*?</svg>', html, flags=re.DOTALL)
    assert svg
    ElementTree.fromstring(svg[0])
    drawn = data(html)
    assert drawn["stretches"]
    assert all(-90 <= lat <= 90 for s in drawn["stretches"] for _, lat in decode(s["line"]).tolist())
    assert all(len(s["strands"]) >= 1 and sum(w for _, _, w in s["strands"]) < 12 for s in drawn["stretches"])
    assert {"Users in Germany"} == {p["name"] for p in drawn["places"] if p["kind"] == "demand" and p["t"] > 100}


def test_policy_lets_the_page_run_and_nothing_else(client: FlaskClient) -> None:
    response = client.get("/trace/vac-hanau")
    policy = response.headers["Content-Security-Policy"]
    scripts, styles = csp_hashes(response.text)
    assert all(h in policy for h in (*scripts, *styles))
    assert "unsafe" not in policy
    assert not re.search(r'\son\w+="', response.text)
    assert not re.search(r'\sstyle="', response.text)


def test_json_is_that_of_the_command_and_links_hold(client: FlaskClient) -> None:
    html = client.get("/trace/vac-hanau?direction=both").text
    links = re.findall(r'href="(/api/trace/[^"]+)"', html)
    assert len(links) == 3
    assert client.get(unescape(links[1])).mimetype == "text/csv"
    told = client.get(unescape(links[0])).json
    assert told["id"] == "vac-hanau"
    assert told["upstream"]
    assert told["downstream"]
    response = client.get(unescape(links[2]))
    assert response.mimetype == "application/geo+json"
    assert not rfc7946.problems(response.text)
    directions = {f["properties"]["direction"] for f in response.json["features"]}
    assert directions == {"up", "down"}


def test_halt_and_stored_scenario(client: FlaskClient, study: Any) -> None:
    text = shown(client.get("/trace/jpn-ev?element=Dy&halt=country:CHN/Dy,magnet").text)
    assert "Baseline" in text
    name = sorted(study.layers.scenarios)[0]
    assert client.get(f"/api/trace/DEU?scenario={name}").status_code == 200


@pytest.mark.parametrize("asked", HOSTILE_IDS)
@pytest.mark.parametrize("path", ["/trace/{}", "/api/trace/{}", "/api/trace/{}.geojson"])
def test_hostile_ids_are_not_found_and_stay_text(client: FlaskClient, asked: str, path: str) -> None:
    response = client.get(path.format(quote(asked, safe="")))
    assert response.status_code in (400, 404), asked
    assert "<script>alert" not in response.text
    assert "49" not in re.findall(r"unknown [^;]*", response.text)
    if path.startswith("/api"):
        assert response.json["ok"] is False
        assert response.json["status"] == response.status_code


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("element=Xx&threshold=2&halt=passage:malaca&direction=left", 400, ("Xx", "threshold", "malacca", "direction")),
        ("bloc=nobody", 400, ("nobody",)),
        ("origin=CHM", 400, ("CHN",)),
        ("origin=<b>", 400, ("origin",)),
        ("threshold=nan", 400, ("threshold",)),
        ("threshold=1e999", 400, ("threshold",)),
        ("elemnt=Dy", 400, ("element",)),
        ("element=Dy&element=Nd", 400, ("once",)),
        ("scenario=../../etc/passwd", 400, ("scenario",)),
    ],
)
def test_what_is_refused(client: FlaskClient, query: str, status: int, words: tuple[str, ...]) -> None:
    response = client.get(f"/api/trace/DEU?{query}")
    assert response.status_code == status
    said = " ".join(response.json["problems"])
    assert all(w in said for w in words), said
    page = client.get(f"/trace/DEU?{query}")
    assert page.status_code == status
    assert "<b>" not in page.text.split("<main", 1)[1].split("unknown origin", 1)[-1][:80]


def test_what_has_no_answer_says_why(client: FlaskClient) -> None:
    response = client.get("/api/trace/mp-independence")
    assert response.status_code == 404
    assert "does not run in 2024" in response.json["error"]
    assert client.get("/trace/ATA").status_code == 404

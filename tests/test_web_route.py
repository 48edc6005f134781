"""The page of routes: the twin of /api/route, its form, its refusals, what its map draws."""

import json
import re
from collections.abc import Iterator
from html import unescape
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import numpy as np
import pytest
import rfc7946
from fake_outcome import HOSTILE, fake_layers, fake_study
from flask.testing import FlaskClient
from shapely.geometry import LineString

from atlas import web
from atlas.config import settings
from atlas.render import csp_hashes
from atlas.render_arcs import decode
from atlas.render_route import LINE_DECIMALS, NAMED_FIRST, route_payload
from atlas.render_route_words import (
    HARBOUR,
    WATERWAYS,
    listed,
    place_name,
    route_words,
    thing_name,
    waterway_names,
    with_article,
)
from atlas.web_route import EXAMPLES
from atlas.web_route_query import RouteQuery, read_route

PACIFIC = "from=CNSHA&to=USLAX&modes=sea&alternatives=3"
HANAU = "from=114.93,25.83&to=vac-hanau&close=suez&alternatives=3"
SHUT = "from=CNSHA&to=SADMM&modes=sea&close=hormuz"


@pytest.fixture(scope="module")
def client(study: Any) -> Iterator[FlaskClient]:
    with web.create_app(study, settings({})).test_client() as c:
        yield c


@pytest.fixture
def fake_client() -> FlaskClient:
    return web.create_app(fake_study(), settings({})).test_client()


def data(html: str) -> dict[str, Any]:
    return json.loads(re.search(r'id="atlas-data">(.*?)</script>', html, flags=re.DOTALL)[1])  # type: ignore[index]


def shown(html: str) -> str:
    """Return the text a reader sees."""
    body = re.sub(r"<(script|style)\b.*?</\1>", " ", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", body)))


# ---- the question


def test_address_is_the_shortest_and_reads_back() -> None:
    query = RouteQuery("CNSHA", "8.9,50.1", ("suez", "CHN-MMR"), ("northwest",), ("sea", "air"), "oxide", 5)
    address = query.address("/api/route")
    assert address.startswith("/api/route?from=CNSHA&to=8.9,50.1&close=suez&close=CHN-MMR")
    problems: list[str] = []
    assert read_route(parse_qs(urlsplit(address).query), problems) == query
    assert not problems
    assert RouteQuery("a", "b").address() == "/route?from=a&to=b"
    assert RouteQuery().address() == "/route"


def test_plain_form_and_short_address_ask_the_same() -> None:
    short, plain = ({"modes": ["sea,rail"], "close": ["suez,panama"]}, {"modes": ["rail", "sea"], "close": ["suez", "panama"]})
    assert read_route(short, []) == read_route(plain, [])
    assert read_route({"close": ["suez; panama;CHN-MMR, suez"], "open": ["northwest;;"]}, []) == RouteQuery(
        close=("suez", "panama", "CHN-MMR"), open=("northwest",))  # fmt: skip


def test_what_cannot_be_used_falls_back_and_is_told() -> None:
    problems: list[str] = []
    query = read_route({"modes": ["see"], "commodity": ["magnets"], "alternatives": ["99"]}, problems)
    assert query == RouteQuery()
    assert len(problems) == 3


# ---- the page


def test_page_and_json_are_twins(client: FlaskClient) -> None:
    text = client.get(f"/route?{HANAU}").text
    link = re.search(r'href="(/api/route\?[^"]+)"', text)[1]  # type: ignore[index]
    routes = client.get(unescape(link)).get_json()
    assert routes == client.get(f"/api/route?{HANAU}").get_json()
    told, best = shown(text), routes[0]
    for figure in (f"{best['distance_km']:,.0f} km", f"{best['days']:.1f} days", f"{best['cost_usd_t']:,.0f} USD"):
        assert figure in told
    assert "With the Suez Canal closed" in told
    assert told.count(": handling and waiting") == sum(leg["mode"] == "port" for r in routes for leg in r["legs"])
    assert f"{routes[1]['distance_km'] - best['distance_km']:+,.0f} km".replace("-", "−") in told
    assert "Germany – Netherlands" in told
    for words in ("Certificate", "Way to the network", "not quotations", "Address of this page"):
        assert words in told


def test_certificate_is_told_where_the_route_has_one() -> None:
    told = {"reachable": True, "reason": "", "distance_km": 10.0, "days": 1.0, "cost_usd_t": 5.0, "passages": [], "ports": ["DEHAM"],
            "borders": [], "countries": [], "snap_km": [0.25, 0.0], "legs": [{"mode": "sea", "from": "a", "to": "b",
            "distance_km": 10.0, "days": 1.0, "cost_usd_t": 5.0}],
            "certificate": {"sea_km": 10.0, "over_land_km": 0.0, "waterways": ["harbour DEHAM", "harbour GLJJU", "suez canal"], "length_error_share": 1e-5,
                            "coastline": "a coast"}}  # fmt: skip
    words = route_words([SimpleNamespace(to_json=lambda: told)], fake_layers(), ("a", "b"))
    rows = dict(words.ways[0].certificate)
    assert rows["Way to the network"] == "0.2 km at the start, 0 km at the end"
    assert rows["Sea lanes over land, outside canals, rivers and harbours"] == "0 km"
    assert rows["Canals, rivers and harbours used"] == "Suez Canal, harbour of Hamburg"
    assert rows["Length of sea lanes told against the line drawn"] == "differs by 0.001 %"
    assert rows["Sea lanes compared with"] == "a coast"
    assert "From a point to the lanes, not compared" not in rows
    told["certificate"]["unchecked_km"] = 12.5  # type: ignore[index]
    rows = dict(route_words([SimpleNamespace(to_json=lambda: told)], fake_layers(), ("a", "b")).ways[0].certificate)
    assert rows["From a point to the lanes, not compared"] == "12.5 km"
    told["certificate"] |= {"sea_km": 0.0, "waterways": []}  # type: ignore[operator]
    rows = dict(route_words([SimpleNamespace(to_json=lambda: told)], fake_layers(), ("a", "b")).ways[0].certificate)
    assert rows["Sea lanes"] == "0 km"
    assert list(rows) == ["Way to the network", "Sea lanes", "Countries", "Land borders crossed"]


def test_empty_page_has_a_form_and_examples_that_answer(client: FlaskClient) -> None:
    response = client.get("/route")
    assert response.status_code == 200
    for name in ("from", "to", "close", "open", "modes", "commodity", "alternatives"):
        assert f'name="{name}"' in response.text
    hrefs = [unescape(h) for h in re.findall(r'<li><a href="(/route[^"]+)"', response.text)]
    assert len(hrefs) == len(EXAMPLES) == 3
    for href in hrefs:
        page = client.get(href)
        assert page.status_code == 200
        assert data(page.text)["ways"], href


def test_half_a_question_is_a_form_half_filled(client: FlaskClient) -> None:
    response = client.get("/route?from=CNSHA&close=suez")
    assert response.status_code == 200
    assert 'value="CNSHA"' in response.text
    assert re.search(r'name="close" value="suez" checked', response.text)


def test_plain_form_sends_what_the_page_reads(client: FlaskClient) -> None:
    """As a browser without scripts sends it: every box, blanks too."""
    plain = client.get("/route?from=CNSHA&to=USLAX&close=&modes=sea&commodity=magnet&alternatives=3")
    assert plain.status_code == 200
    assert data(plain.text) == data(client.get(f"/route?{PACIFIC}").text)


def test_unknown_names_keep_the_form_and_offer_names(client: FlaskClient) -> None:
    response = client.get("/route?from=kuantn&to=Yokohama&close=suezz&modes=sea,road&commodity=oxide")
    assert response.status_code == 400
    assert response.headers["Cache-Control"] == "no-store"
    text = response.text
    for kept in ('value="kuantn"', 'value="Yokohama"', 'value="suezz" checked', "<option selected>oxide"):
        assert kept in text
    assert not re.search(r'value="rail" checked', text)
    assert "nearest: MYKUA, " in shown(text)
    assert "unknown facility or port 'Yokohama'; nearest: JPYOK" in shown(text)
    offers = [unescape(h) for h in re.findall(r'<a href="(/route\?[^"]+)">', text)]
    assert any("from=lynas-kuantan&to=Yokohama" in h for h in offers)
    assert any("to=JPYOK" in h for h in offers)


WRONG = "from=nowhere&to=SADMMX&modes=boat&close=foo&alternatives=99&surcharge=suess=5"


def test_every_problem_is_told_at_once(client: FlaskClient) -> None:
    problems = client.get(f"/api/route?{WRONG}").get_json()["problems"]
    assert len(problems) == 6
    for part in ("'nowhere'; expected a facility or port id, or lon,lat; try `atlas find`", "'SADMMX'; nearest: SADMM",
                 "mode 'boat'; known: sea, rail", "'foo'; expected a passage or port id", "'99' is not", "'suess'; nearest: suez"):  # fmt: skip
        assert sum(part in p for p in problems) == 1, part
    assert client.get(f"/api/route.geojson?{WRONG}").get_json()["problems"] == problems
    page = client.get(f"/route?{WRONG}")
    assert page.status_code == 400
    assert all(p in shown(page.text) for p in problems)
    missing = client.get("/api/route?modes=boat").get_json()["problems"]
    assert len(missing) == 3
    assert len(client.get("/api/route?from=nowhere&to=nowhere").get_json()["problems"]) == 1
    assert shown(client.get("/route?from=nowhere&modes=boat").text).count("unknown") == 2


@pytest.mark.parametrize(("text", "near"), [("Fremantel", "AUFRE"), ("rotterdm", "NLRTM"), ("shanghay", "CNSHA"), ("CNSHX", "CNSHA")])
def test_an_end_that_is_a_name_is_met_by_name(client: FlaskClient, text: str, near: str) -> None:
    problem = client.get(f"/api/route?from={text}&to=USLAX").get_json()["problems"][0]
    assert f"nearest: {near}" in problem


def test_nothing_is_offered_for_what_is_like_nothing(client: FlaskClient) -> None:
    for text in ("nowhere", "xyz", "--"):
        page = client.get(f"/route?from={text}&to=CNSHA")
        assert page.status_code == 400
        assert "did you mean" not in page.text
        assert "expected a facility or port id" in shown(page.text)


@pytest.mark.parametrize(
    "query",
    ["from=CNSHA&to=USLAX&modes=see", "from=CNSHA&to=USLAX&alternatives=0", "from=1,2,3&to=CNSHA", "frm=CNSHA", "from=%ff",
     "from=a%00b", "from=" + "x" * 500, "from=CNSHA&from=CNNGB&to=USLAX", "from=CNSHA&to=USLAX&open=nowhere"],
)  # fmt: skip
def test_bad_questions_are_pages_that_say_why(client: FlaskClient, query: str) -> None:
    for path in ("/route", "/api/route.geojson"):
        assert client.get(f"{path}?{query}").status_code == 400
    assert 'class="problems"' in client.get(f"/route?{query}").text


def test_no_way_is_an_answer_without_a_line(client: FlaskClient) -> None:
    response = client.get(f"/route?{SHUT}")
    assert response.status_code == 200
    told, drawn = shown(response.text), data(response.text)
    assert "There is no path from Shanghai to Dammam by sea while the Strait of Hormuz is closed." in told
    assert drawn["ways"] == []
    assert [e["name"] for e in drawn["ends"]] == ["Shanghai", "Dammam"]
    assert [c["name"] for c in drawn["closed"]] == ["Strait of Hormuz"]
    assert not re.search(r"\d km", told)
    collection = client.get(f"/api/route.geojson?{SHUT}").get_json()
    assert collection["features"] == []
    assert "hormuz" in collection["reason"]


def test_same_place_is_told(client: FlaskClient) -> None:
    assert "nothing to travel" in shown(client.get("/route?from=CNSHA&to=CNSHA").text)


def test_what_is_closed_and_opened_is_said(client: FlaskClient) -> None:
    told = shown(client.get("/route?from=CNSHA&to=NLRTM&modes=sea&close=suez&close=CNNGB&open=northern-sea-route").text)
    assert "With the Suez Canal and the port of Ningbo-Zhoushan closed and the Northern Sea Route opened:" in told
    assert "through" in told


def test_flights_say_what_magnets_need(client: FlaskClient) -> None:
    told = shown(client.get("/route?from=CNSHA&to=USLAX&modes=air").text)
    for words in ("packing instruction 953", "0.00525 gauss at 4.6 m", "0.002 gauss at 2.1 m", "30 % dearer"):
        assert words in told
    assert "gauss" not in shown(client.get(f"/route?{PACIFIC}").text)


# ---- the map


def test_the_pacific_is_one_line_on_the_map_and_two_parts_in_files(client: FlaskClient) -> None:
    drawn = data(client.get(f"/route?{PACIFIC}").text)
    for way in drawn["ways"]:
        assert len(way["legs"]) == 1
        lon = decode(way["legs"][0]["line"], LINE_DECIMALS)[:, 0]
        assert np.abs(np.diff(lon)).max() < 180
        assert lon.min() > 100
        assert lon.max() > 230
    west, _, east, _ = drawn["box"]
    assert 115 < west < east < 250
    assert client.get(f"/api/route?{PACIFIC}").get_json()[0]["geometry"]["type"] == "MultiLineString"
    text = client.get(f"/api/route.geojson?{PACIFIC}").text
    assert rfc7946.problems(text) == []
    way = next(f for f in json.loads(text)["features"] if f["id"] == "way-1")
    assert len(way["geometry"]["coordinates"]) == 2


def test_legs_of_a_way_add_up_in_the_file(client: FlaskClient) -> None:
    collection = client.get(f"/api/route.geojson?{HANAU}").get_json()
    assert "OpenStreetMap" in collection["attribution"]
    rows = [f["properties"] for f in collection["features"]]
    for way in (r for r in rows if r["kind"] == "way"):
        legs = [r for r in rows if r["kind"] == "leg" and r["way"] == way["way"]]
        for key in ("distance_km", "days", "cost_usd_t"):
            assert sum(leg[key] for leg in legs) == pytest.approx(way[key])
        assert (way["from"], way["to"]) == (legs[0]["from"], legs[-1]["to"])


def test_marks_stand_where_the_way_passes(client: FlaskClient) -> None:
    way = data(client.get(f"/route?{HANAU}").text)["ways"][0]
    line = LineString(np.vstack([decode(leg["line"], LINE_DECIMALS) for leg in way["legs"]]))
    kinds = [m["kind"] for m in way["marks"]]
    assert kinds.count("end") == 2
    assert {"port", "passage", "border"} <= set(kinds)
    for mark in way["marks"]:
        near = 0.6 if mark["kind"] in ("border", "passage") else 0.2
        assert line.distance(LineString([mark["at"], mark["at"]])) < near, mark["name"]


def test_each_leg_is_drawn_in_its_mode() -> None:
    legs = (
        SimpleNamespace(mode="road", line=LineString([(170, 0), (175, 1)])),
        SimpleNamespace(mode="port", line=None),
        SimpleNamespace(mode="sea", line=LineString([(175, 1), (190, 5)])),
    )
    route = SimpleNamespace(legs=legs, line=LineString([(170, 0), (175, 1), (190, 5)]), ports=(), passages=(), borders=())
    payload = route_payload([route], fake_layers(), ("170,0", "-170,5"))
    assert [leg["mode"] for leg in payload["ways"][0]["legs"]] == ["road", "sea"]
    assert decode(payload["ways"][0]["legs"][1]["line"], LINE_DECIMALS)[-1].tolist() == [190, 5]
    assert [m["at"] for m in payload["ways"][0]["marks"]] == [[170, 0], [190, 5]]
    assert payload["box"] == [170, 0, 190, 5]


def test_straits_between_continents_are_named_first_and_shut_ones_look_so(client: FlaskClient) -> None:
    page = client.get("/route")
    drawn = {p["name"]: p for p in data(page.text)["passages"]}
    assert "Passage shut unless opened" in shown(page.text)
    first = [drawn.pop(n)["rank"] for n in ("Suez Canal", "Strait of Malacca", "Singapore Strait", "Taiwan Strait", "Sunda Strait",
             "Strait of Hormuz", "Panama Canal", "Strait of Gibraltar", "Bab el-Mandeb")]  # fmt: skip
    assert len(first) == len(NAMED_FIRST)
    assert min(first) > max(p["rank"] for p in drawn.values())
    assert {n for n, p in drawn.items() if p["shut"]} == {"Northern Sea Route", "Northwest Passage"}
    opened = data(client.get("/route?from=CNSHA&open=northwest&close=suez").text)
    assert [p["name"] for p in opened["passages"] if p["shut"]] == ["Northern Sea Route"]
    assert "Suez Canal" not in {p["name"] for p in opened["passages"]}
    assert [p["name"] for p in opened["closed"]] == ["Suez Canal"]
    assert "unless opened" not in shown(client.get(f"/route?{PACIFIC}").text)


# ---- words


def test_names_in_words(study: Any) -> None:
    layers = study.layers
    assert place_name("cnsha", layers) == "Shanghai"
    assert place_name("-70.5,-33", layers) == "33° S, 70.5° W"
    assert place_name("nowhere", layers) == "nowhere"
    assert thing_name("MMR-CHN", layers) == "border China – Myanmar"
    assert thing_name("sgsin", layers) == "port of Singapore"
    assert [with_article(n) for n in ("Suez Canal", "Bab el-Mandeb")] == ["the Suez Canal", "Bab el-Mandeb"]
    assert [listed(list(n)) for n in ("", "a", "ab", "abc")] == ["", "a", "a and b", "a, b and c"]


def test_every_waterway_has_words(study: Any) -> None:
    layers = study.layers
    features = json.loads((layers.directory("network") / "waterways.geojson").read_text(encoding="utf-8"))["features"]
    names = sorted({f["properties"]["name"] for f in features})
    assert set(WATERWAYS) <= set(names)
    told = waterway_names(names, [n.removeprefix(HARBOUR) for n in names if n.startswith(HARBOUR)], layers)
    assert len(set(told)) == len(told) == len(names)
    for words in ("Suez Canal", "Elbe", "Saint Lawrence", "Nieuwe Maas", "Río de la Plata and Paraná", "harbour of Fremantle"):
        assert words in told
    assert all(t[0].isupper() or t.startswith("harbour of ") for t in told)
    assert waterway_names(["harbour AUFRE", "harbour GLJJU"], ["AUFRE", "NLRTM"], layers) == ["harbour of Fremantle"]


def test_certificate_of_a_voyage_names_no_ids(client: FlaskClient) -> None:
    told = shown(client.get("/route?from=AUFRE&to=NLRTM&modes=sea").text)
    assert re.search(r"harbours used Nieuwe Maas, Suez Canal(, harbour of \w+)* Length of sea lanes", told)
    land = shown(client.get("/route?from=xtc-baotou&to=atm-baotou").text)
    assert "Certificate" in land
    assert "compared with" not in land


# ---- safety, caching


def test_hostile_text_stays_text(fake_client: FlaskClient, client: FlaskClient) -> None:
    evil = quote(HOSTILE)
    asked = ["/route", f"/route?from={evil}", f"/route?close={evil}", f"/route?{evil}=1", f"/route?commodity={evil}"]
    for c, paths in ((fake_client, asked), (client, [*asked, f"/route?from={evil}&to=CNSHA", f"/route?from=CNSHA&to=USLAX&open={evil}"])):
        for path in paths:
            response = c.get(path)
            assert response.status_code in (200, 400), path
            assert "<img" not in response.text
            assert "</script><" not in response.text.replace("</script></", "")


def test_every_link_of_the_page_leads_somewhere(client: FlaskClient) -> None:
    for page in ("/route", f"/route?{PACIFIC}", f"/route?{SHUT}", "/about"):
        for found in set(re.findall(r'(?:href|src|action)="(/[^"]*)"', client.get(page).text)):
            assert client.get(unescape(found)).status_code == 200, found


def test_page_is_kept_compressed_and_closed_to_other_hosts(client: FlaskClient) -> None:
    path = f"/route?{PACIFIC}"
    first = client.get(path, headers={"Accept-Encoding": "gzip"})
    assert first.headers["Content-Encoding"] == "gzip"
    assert len(first.data) < 200_000
    again = client.get(path, headers={"Accept-Encoding": "gzip", "If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    plain = client.get(path)
    scripts, styles = csp_hashes(plain.text)
    policy = plain.headers["Content-Security-Policy"]
    assert len(scripts) == 1
    assert all(h in policy for h in (*scripts, *styles))
    assert "unsafe" not in policy
    assert not re.findall(r'(?:src|href)="https?:', plain.text)
    assert not re.search(r"<[a-z]+[^>]*\s(?:style|on[a-z]+)=", plain.text)


def test_pages_link_to_routes(client: FlaskClient) -> None:
    for path in ("/", "/data", "/route"):
        assert 'href="/route"' in client.get(path).text

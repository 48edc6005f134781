"""The web atlas over an invented study: pages, API, refusals, limits, headers."""

import gzip
import json
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from fake_outcome import HOSTILE, FakeStudy, fake_study
from flask.testing import FlaskClient

from atlas import web
from atlas.config import settings
from atlas.errors import SolverFailure
from atlas.render import csp_hashes
from atlas.web_errors import STATUS, failure

MAGNET = "/map?halt=country:CHN/magnet"


@pytest.fixture
def study() -> FakeStudy:
    return fake_study()


@pytest.fixture
def client(study: FakeStudy) -> Iterator[FlaskClient]:
    with web.create_app(study, settings({})).test_client() as c:
        yield c


def client_with(study: FakeStudy, **changed: Any) -> FlaskClient:
    return web.create_app(study, settings({}, **changed)).test_client()


def refused(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text[:300]
    body = response.get_json()
    assert set(body) == {"ok", "error", "problems", "status"}
    assert body["ok"] is False
    assert body["status"] == status
    assert body["error"]
    assert body["problems"]
    return body


# ---- pages


@pytest.mark.parametrize("path", ["/", MAGNET, "/map", "/data", "/about"])
def test_pages_answer(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 200
    assert response.mimetype == "text/html"
    assert "Rare-earth atlas" in response.text


def test_links_lead_somewhere(client: FlaskClient) -> None:
    """Nothing is linked that does not exist."""
    import html
    import re

    seen: set[str] = set()
    for path in ("/", MAGNET, "/data", "/about", "/map?halt=passage:malacca&bloc=prc"):
        for found in re.findall(r'(?:href|src|action)="(/[^"]*)"', client.get(path).text):
            seen.add(html.unescape(found))
    seen = {s for s in seen if "/network." not in s and "NLRTM" not in s}  # no network, no Rotterdam are invented
    assert {"/", "/data", "/about", "/map"} <= seen
    # Reports need the real layers (test_web_reports), pictures have tests of their own and take their time.
    seen = {s for s in seen if not s.startswith(("/reports?", "/map.", "/api/layers/all."))}
    for address in sorted(seen):
        assert client.get(address).status_code == 200, address


def test_address_holds_the_state(client: FlaskClient, study: FakeStudy) -> None:
    text = client.get("/map?halt=passage:malacca&halt=country:CHN/magnet&bloc=prc&view=after").text
    assert study.solved == [("country:CHN/magnet", "passage:malacca")]
    assert '"view": "after"' in text
    assert "Countries of prc" in text
    assert text.count('name="halt" value="') == 2


def test_views_in_an_address(client: FlaskClient) -> None:
    assert '"view": "before"' in client.get(MAGNET + "&view=before,after,change").text
    assert '"view": "change"' in client.get(MAGNET).text


def test_bad_address_is_a_page_with_the_problems(client: FlaskClient) -> None:
    response = client.get("/map?halt=country:CNH&view=chagne")
    assert response.status_code == 400
    assert response.mimetype == "text/html"
    assert "chagne" in response.text
    response = client.get("/map?halt=country:CNH&halt=x@1.5")
    assert response.status_code == 400
    for word in ("CNH", "nearest: CHN", "unknown halt kind", 'name="halt" value="x@1.5"'):
        assert word in response.text
    assert client.get("/map?halt=country:CHN&bloc=us-alies").status_code == 400


def test_hostile_text_stays_text(client: FlaskClient) -> None:
    for path in (f"/map?halt={quote(HOSTILE)}", f"/map?halt=country:CHN&bloc={quote(HOSTILE)}", f"/{quote(HOSTILE)}"):
        response = client.get(path)
        assert response.status_code in (400, 404)
        assert "<img" not in response.text
    for path in ("/", MAGNET, "/data"):
        assert "<img" not in client.get(path).text


def test_presets_fit_the_layers(client: FlaskClient) -> None:
    assert "/map?halt=country%3ACHN%2Fmagnet" in client.get("/").text


def test_scenarios_by_name(client: FlaskClient, study: FakeStudy) -> None:
    text = client.get("/map?scenario=china-cuts-off-allies").text
    assert study.solved == [("country:CHN:us-allies",)]
    assert 'name="scenario" value="china-cuts-off-allies"' in text
    assert 'name="halt" value="country:CHN:us-allies"' not in text, "it stands in the scenario"
    assert "/api/solve?scenario=china-cuts-off-allies" in text
    got = client.get("/api/solve?scenario=china-cuts-off-allies&halt=country:CHN/magnet").get_json()
    assert got["scenario"]["halts"] == ["country:CHN/magnet", "country:CHN:us-allies"]
    assert client.get("/api/layers/flows.geojson?scenario=china-cuts-off-allies").status_code == 200
    assert "/map?scenario=china-cuts-off-allies" in client.get("/").text


@pytest.mark.parametrize("name", ["china-cuts-of-allies", "../scenarios/china-cuts-off-allies", "/etc/passwd", "x" * 99])
def test_unknown_scenarios_are_refused(client: FlaskClient, name: str) -> None:
    refused(client.get(f"/api/solve?scenario={quote(name)}"), 400)
    page = client.get(f"/map?scenario={quote(name)}")
    assert page.status_code == 400
    assert "unknown scenario" in page.text


def test_near_scenarios_are_offered(client: FlaskClient) -> None:
    body = refused(client.get("/api/solve?scenario=china-cuts-of-allies"), 400)
    assert "nearest: china-cuts-off-allies" in body["error"]
    posted = client.post("/api/solve?scenario=china-cuts-off-allies", json={"halt": [{"spec": "country:CHN"}]})
    assert "expected one of them" in refused(posted, 400)["error"]
    assert "given 2 times" in refused(client.get("/api/solve?scenario=a&scenario=b"), 400)["error"]


# ---- API


def test_solve_get_and_post_agree(client: FlaskClient) -> None:
    got = client.get("/api/solve?halt=country:CHN/magnet&bloc=us-allies")
    assert got.status_code == 200
    assert got.get_json()["scenario"]["halts"] == ["country:CHN/magnet"]
    posted = client.post("/api/solve", json={"name": "x", "halt": [{"spec": "country:CHN/magnet"}]})
    assert posted.get_json()["halted"] == got.get_json()["halted"]
    assert got.headers["Server-Timing"].startswith("solve;dur=")


def test_find_and_route(client: FlaskClient) -> None:
    assert client.get("/api/find?q=lynas").get_json()[0] == {
        "id": "kuantan",
        "kind": "facility",
        "name": "Lynas Malaysia",
        "country": "MYS",
    }
    assert client.get("/api/find?q=malacca&kind=passage,port").get_json()[0]["id"] == "malacca"
    assert client.get("/api/find?q=nothinglikethis").get_json() == []
    one = client.get("/api/route?from=kuantan&to=-122.5,37.8&close=suez&modes=sea,rail").get_json()
    assert one["reachable"] is True
    assert len(client.get("/api/route?from=kuantan&to=jptyo&alternatives=2").get_json()) == 2


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", ["from: expected", "to: expected"]),
        ("from=kuantn&to=tokyo", ["kuantan"]),
        ("from=1,2,3&to=tokyo", ["lon,lat"]),
        ("from=nan,1&to=tokyo", ["lon,lat"]),
        ("from=kuantan&to=JPTYO&modes=see", ["unknown mode 'see'"]),
        ("from=kuantan&to=JPTYO&commodity=magnets", ["magnet"]),
        ("from=kuantan&to=JPTYO&alternatives=1e9", ["1 to 10"]),
        ("from=kuantan&to=JPTYO&alternatives=²", ["1 to 10"]),
        ("from=kuantan&to=JPTYO&clsoe=suez", ["nearest: close"]),
        ("from=kuantan&from=suez&to=tokyo", ["given 2 times"]),
    ],
)
def test_route_refuses(client: FlaskClient, query: str, words: list[str]) -> None:
    text = " ".join(refused(client.get(f"/api/route?{query}"), 400)["problems"])
    assert all(w in text for w in words), text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/solve?halt=country:CHN@1.5", 400),
        ("/api/solve?halt=country:CHN@nan", 400),
        ("/api/solve?halt=country:CNH", 400),
        ("/api/solve?halts=country:CHN", 400),
        ("/api/solve?halt=country:CHN&on=yesterday", 400),
        ("/api/solve?halt=country:CHN&bloc=nobody", 400),
        ("/api/solve?halt=%ff%fe", 400),
        ("/api/solve?%ff=1", 400),
        ("/api/solve?halt=a%00b", 400),
        ("/api/solve?halt=" + "x" * 5000, 400),
        ("/api/find", 400),
        ("/api/find?q=a&kind=", 200),
        ("/api/nothing", 404),
        ("/api/layers/nothing.geojson", 404),
        ("/api/layers/../../etc/passwd.geojson", 404),
        ("/api/facility/unknown", 404),
        ("/static/x/atlas.css", 404),
        ("/healthz", 200),
    ],
)
def test_status_of_bad_requests(client: FlaskClient, path: str, status: int) -> None:
    response = client.get(path)
    if status == 200:
        assert response.status_code == 200
    else:
        refused(response, status)


def test_nearest_names_are_offered(client: FlaskClient) -> None:
    assert "facilities" in refused(client.get("/api/layers/facilites.geojson"), 404)["error"]
    assert "us-allies" in refused(client.get("/api/solve?bloc=us-alies"), 400)["error"]


def test_ten_thousand_halts_are_refused(client: FlaskClient) -> None:
    many = "&".join(f"halt=facility:f{i}" for i in range(10_000))
    assert "halts at most" in refused(client.get(f"/api/solve?{many}"), 400)["error"]
    body = {"halt": [{"spec": f"facility:f{i}"} for i in range(10_000)]}
    assert "50" in refused(client.post("/api/solve", json=body), 400)["error"]
    assert "halts" in refused(client.get("/api/solve?" + "&".join(["halt=country:CHN"] * 51)), 400)["error"]


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"", "empty"),
        (b"{", "not JSON"),
        (b"[1]", "expected an object"),
        (b"null", "expected an object"),
        (b'{"name": "\xff\xfe"}', "UTF-8"),
        (b'{"days": NaN}', "NaN"),
        (b'{"days": Infinity}', "Infinity"),
        (b'{"days": -Infinity}', "Infinity"),
        (b'{"days": 1e999}', "too large"),
        (b'{"name": 1, "name": 2}', "twice"),
        (b'{"nonsense": 1}', "nonsense"),
        (b"[" * 100_000, "nested"),
        (b'{"a":' * 30 + b"1" + b"}" * 30, "nested"),
        (b"1" * 10_000, ""),
    ],
)
def test_bad_bodies_are_refused(client: FlaskClient, body: bytes, word: str) -> None:
    assert word in refused(client.post("/api/solve", data=body, content_type="application/json"), 400)["error"]


def test_large_body_is_refused(client: FlaskClient) -> None:
    refused(client.post("/api/solve", data=b"x" * 10_000_000, content_type="application/json"), 413)
    body = b'{"name": "' + b"x" * 999_000 + b'"}'
    assert client.post("/api/solve", data=body).status_code in (200, 400), "just below the limit it is read"


def test_other_methods(client: FlaskClient) -> None:
    body = refused(client.put("/api/solve"), 405)
    assert "method" in body["error"]
    assert client.post("/map").status_code == 405
    assert client.head("/").status_code == 200


# ---- layers, caching, compression


def test_layers(client: FlaskClient) -> None:
    for name in ("facilities", "ports", "passages", "flows", "changes"):
        response = client.get(f"/api/layers/{name}.geojson?halt=country:CHN/magnet")
        assert response.mimetype == "application/geo+json"
        body = json.loads(response.data)
        assert body["type"] == "FeatureCollection"
        assert body["features"]
        assert "crs" not in body


def test_etag_and_gzip(client: FlaskClient) -> None:
    path = "/api/layers/facilities.geojson"
    plain = client.get(path)
    packed = client.get(path, headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(packed.data) == plain.data
    assert packed.headers["Vary"] == "Accept-Encoding"
    assert packed.headers["ETag"] != plain.headers["ETag"]
    again = client.get(path, headers={"If-None-Match": plain.headers["ETag"]})
    assert again.status_code == 304
    assert not again.data
    assert client.get(path + "?halt=country:CHN/magnet").headers["ETag"] != plain.headers["ETag"]


def test_assets_never_go_stale(client: FlaskClient) -> None:
    import re

    found = re.findall(r'src="(/static/[0-9a-f]{12}/[^"]+)"', client.get("/").text)
    assert len(found) >= 4
    for path in found:
        assert "immutable" in client.get(path).headers["Cache-Control"]


def test_same_question_is_solved_once(client: FlaskClient, study: FakeStudy) -> None:
    for path in (
        MAGNET,
        MAGNET,
        MAGNET + "&view=after",
        "/api/solve?halt=country:CHN/magnet",
        MAGNET + "&halt=country:CHN/magnet",
    ):
        assert client.get(path).status_code == 200
    assert len(study.solved) == 1


def test_repeated_page_is_not_made_again(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    first = client.get(MAGNET)

    def made_again(*_: object, **__: object) -> None:
        raise AssertionError("a page that is kept was made again")

    monkeypatch.setattr("atlas.web_answers.Document.of", made_again)
    assert client.get(MAGNET).data == first.data


# ---- headers


@pytest.mark.parametrize("path", ["/", MAGNET, "/data", "/about", "/nope", "/api/solve", "/api/nope", "/healthz"])
def test_security_headers(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert "total;dur=" in headers["Server-Timing"]


def test_policy_names_each_inline_script(client: FlaskClient) -> None:
    response = client.get(MAGNET)
    scripts, styles = csp_hashes(response.text)
    assert len(scripts) == 1, "only what Folium makes"
    assert all(h in response.headers["Content-Security-Policy"] for h in (*scripts, *styles))


# ---- limits


def test_time_limit_is_504_and_the_answer_is_kept(study: FakeStudy) -> None:
    study.delay_s = 0.5
    client = client_with(study, solve_time_limit_s=0.1)
    body = refused(client.get("/api/solve?halt=country:CHN/magnet"), 504)
    assert "0.1 s" in body["error"]
    time.sleep(0.8)
    assert client.get("/api/solve?halt=country:CHN/magnet").status_code == 200
    assert len(study.solved) == 1


def test_overload_is_503_with_retry_after(study: FakeStudy) -> None:
    study.delay_s = 0.6
    app = web.create_app(study, settings({}, solve_slots=1, solve_queue=1))
    found: list[Any] = []

    def ask(n: int) -> None:
        found.append(app.test_client().get(f"/api/solve?halt=facility:f{n}"))

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    codes = sorted(r.status_code for r in found)
    assert codes == [200, 200, 503, 503, 503, 503]
    busy = next(r for r in found if r.status_code == 503)
    assert int(busy.headers["Retry-After"]) > 0
    refused(busy, 503)
    assert app.test_client().get("/api/solve?halt=facility:f9").status_code == 200


def test_too_many_new_answers_is_429(study: FakeStudy) -> None:
    client = client_with(study, solves_per_minute=2)
    codes = [client.get(f"/api/solve?halt=facility:f{n}").status_code for n in (1, 2, 3, 1)]
    assert codes == [200, 200, 429, 200], "an answer asked before stays open"
    assert int(client.get("/map?halt=facility:f4").headers["Retry-After"]) > 0


def test_faults_say_little_and_are_logged(study: FakeStudy, caplog: pytest.LogCaptureFixture) -> None:
    client = client_with(study)
    study.fails = SolverFailure("no optimum")
    refused(client.get("/api/solve?halt=facility:a"), 503)
    study.fails = RuntimeError("secret of the house")
    body = refused(client.get("/api/solve?halt=facility:b"), 500)
    assert "secret" not in json.dumps(body)
    assert "secret of the house" in caplog.text
    study.fails = None
    assert client.get("/api/solve?halt=facility:b").status_code == 200, "a failure is not remembered"


def test_every_error_of_the_table_has_a_status() -> None:
    assert failure(RecursionError()).status == 400
    assert failure(ZeroDivisionError()).status == 500
    assert {s for _, s in STATUS} <= {400, 403, 404, 413, 429, 503, 504}


def test_applications_share_nothing() -> None:
    a, b = fake_study(), fake_study()
    client_with(a).get(MAGNET)
    client_with(b).get("/healthz")
    assert a.solved
    assert not b.solved


def test_waitress_options_are_accepted(study: FakeStudy) -> None:
    from waitress.adjustments import Adjustments

    adjustments = Adjustments(port=0, **web.waitress_options(settings({})))
    assert adjustments.threads >= 4
    assert adjustments.ident == "atlas"

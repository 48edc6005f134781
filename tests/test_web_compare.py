"""The page that compares: forms, refusals in their place, JSON, table, links, what is remembered, escaping."""

import csv
import io
import re
import threading
from html import unescape
from typing import Any

import pytest
from fake_outcome import FakeStudy, fake_study

from atlas import web
from atlas.config import settings
from atlas.errors import SolverFailure
from atlas.web_compare import EMBEDDED_MAP

TWO = "case=passage:malacca&case=country:CHN/magnet"


@pytest.fixture
def fake() -> FakeStudy:
    return fake_study()


@pytest.fixture
def client(fake: FakeStudy) -> Any:
    return web.create_app(fake, settings({})).test_client()


def values(text: str) -> list[str]:
    return [unescape(v) for v in re.findall(r'name="case" value="([^"]*)"', text)]


def test_form_without_cases(client: Any, fake: FakeStudy) -> None:
    response = client.get("/compare")
    assert response.status_code == 200
    assert values(response.text) == ["", "", "", ""]
    assert '<option value="scenario:china-cuts-off-allies">' in response.text
    assert '<option value="baseline">' in response.text
    assert fake.solved == []
    for address in re.findall(r'<li><a href="(/compare\?[^"]+)"', response.text):
        assert client.get(unescape(address)).status_code == 200


def test_two_cases(client: Any, fake: FakeStudy) -> None:
    response = client.get(f"/compare?{TWO}")
    assert response.status_code == 200
    text = unescape(response.text)
    assert sorted(fake.solved) == [("country:CHN/magnet",), ("passage:malacca",)]
    assert values(text)[:2] == ["passage:malacca", "country:CHN/magnet"]
    assert f'<iframe src="{EMBEDDED_MAP}?halt=passage%3Amalacca&view=change" loading="lazy"' in text
    assert 'href="/map?halt=country%3ACHN%2Fmagnet"' in text
    assert "frame-src 'self'" in response.headers["Content-Security-Policy"]
    assert len(re.findall(r'<tbody id="', text)) >= 6
    for part in ("figures", "plots", "maps", "flows", "take"):
        assert f'id="{part}"' in text


def test_a_comparison_is_remembered(client: Any, fake: FakeStudy) -> None:
    first = client.get(f"/compare?{TWO}")
    again = client.get(f"/compare?{TWO}", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    assert len(fake.solved) == 2
    client.get("/api/solve?halt=passage:malacca")
    assert len(fake.solved) == 2, "a case and a halt share their answer"


def test_cases_are_solved_at_once(fake: FakeStudy) -> None:
    both = threading.Barrier(2, timeout=10)
    solve = fake.solve

    def wait(*a: Any, **k: Any) -> Any:
        both.wait()
        return solve(*a, **k)

    fake.solve = wait  # type: ignore[method-assign]
    made = web.create_app(fake, settings({}, solve_slots=2)).test_client()
    assert made.get(f"/compare?{TWO}").status_code == 200


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("case=country:XXX&case=passage:suez", "unknown country 'XXX'; nearest: CHN"),
        (
            "case=scenario:china-cuts-of&case=baseline",
            "unknown scenario 'china-cuts-of'; nearest: china-cuts-off-allies",
        ),
        ("case=baseline;passage:suez&case=passage:suez", "the baseline has no halts"),
        ("case=scenario:a;scenario:b&case=baseline", "2 scenarios, expected one"),
        ("case=passage:suez&case=passage:suez", "'passage:suez' is the same as case A"),
        ("case=passage:a;passage:b&case=passage:b;passage:a", "is the same as case A"),
        ("case=baseline&case=a:a&case=a:b&case=a:c&case=a:d", "5 cases: a comparison needs 2 to 4"),
        (f"{TWO}&bloc=us-alies", "unknown bloc 'us-alies'; nearest: us-allies"),
        (f"{TWO}&on=tomorrow", "on: 'tomorrow' is not a day like"),
        (f"{TWO}&on=2024-13-01", "on: '2024-13-01' is not a day like"),
        (f"{TWO}&show=all", "unknown show 'all'"),
        (f"{TWO}&view=chnge", "unknown view 'chnge'; nearest: change"),
    ],
)
def test_what_is_wrong_is_said_beside_the_filled_form(client: Any, fake: FakeStudy, query: str, said: str) -> None:
    response = client.get(f"/compare?{query}")
    assert response.status_code == 400
    assert said in unescape(response.text)
    asked = [p.partition("=")[2] for p in query.split("&") if p.startswith("case=")]
    assert [v for v in values(response.text) if v] == asked
    assert response.headers["Cache-Control"] == "no-store"
    assert fake.solved == []
    told = client.get(f"/api/compare?{query}")
    assert told.status_code == 400
    assert any(said in p for p in told.json["problems"])
    assert client.get(f"/api/compare.csv?{query}").status_code == 400


def test_a_bad_case_names_itself_and_the_others_stand(client: Any) -> None:
    text = unescape(client.get("/compare?case=passage:suez&case=country:XXX").text)
    assert re.search(r'value="country:XXX"[^>]*aria-invalid="true" aria-describedby="said-2"', text)
    assert re.search(r'<ul class="problems" id="said-2"><li>unknown country', text)
    assert not re.search(r'value="passage:suez"[^>]*aria-invalid', text)
    assert client.get("/api/compare?case=passage:suez&case=country:XXX").json["problems"] == [
        "case B: unknown country 'XXX'; nearest: CHN"
    ]


def test_one_case_asks_for_another(client: Any, fake: FakeStudy) -> None:
    response = client.get("/compare?case=passage:suez")
    assert response.status_code == 200
    assert "One case stands here" in response.text
    assert values(response.text)[0] == "passage:suez"
    assert fake.solved == []
    assert client.get("/api/compare?case=passage:suez").status_code == 400
    assert "1 cases: a comparison needs 2 to 4" in client.get("/api/compare?case=passage:suez").json["error"]


def test_unknown_parameters_are_refused(client: Any) -> None:
    assert client.get(f"/compare?{TWO}&casse=x").status_code == 400
    assert "unknown parameter 'casse'; nearest: case" in client.get(f"/api/compare?{TWO}&casse=x").json["error"]


def test_a_case_without_an_answer_keeps_the_form(client: Any, fake: FakeStudy) -> None:
    fake.fails = SolverFailure("no optimum here")
    response = client.get(f"/compare?{TWO}")
    assert response.status_code == 503
    assert response.headers["Retry-After"]
    assert "no optimum here" in response.text
    assert [v for v in values(response.text) if v] == ["passage:malacca", "country:CHN/magnet"]
    assert client.get(f"/api/compare?{TWO}").status_code == 503
    fake.fails = None
    assert client.get(f"/compare?{TWO}").status_code == 200, "a failure is not remembered"


def test_json_and_csv_agree(client: Any) -> None:
    told = client.get(f"/api/compare?{TWO}").json
    assert [c["case"] for c in told["cases"]] == ["passage:malacca", "country:CHN/magnet"]
    assert told["sentence"]
    response = client.get(f"/api/compare.csv?{TWO}")
    assert response.mimetype == "text/csv"
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert len(rows) == len(told["figures"])
    for row, figure in zip(rows, told["figures"], strict=True):
        assert (row["group"], row["key"], row["unit"]) == (figure["group"], figure["key"], figure["unit"])
        for text, value in zip(
            (row["baseline"], row["passage:malacca"], row["country:CHN/magnet"]),
            (figure["baseline"], *figure["values"]), strict=True,
        ):  # fmt: skip
            assert (value is None) == (text == "")
            assert value is None or float(text) == pytest.approx(value)


def test_difference_has_an_address_of_its_own(client: Any) -> None:
    text = client.get(f"/compare?{TWO}&show=differences").text
    assert 'data-show="differences">' in text
    assert re.search(r'data-show="values" href="/compare\?[^"]*#figures" aria-pressed="false"', text)
    assert '<span class="difference">same</span>' in text


def test_a_scenario_with_halts_and_a_day(client: Any) -> None:
    text = unescape(
        client.get(
            "/compare?case=scenario:china-cuts-off-allies;passage:suez&case=baseline&on=2025-05-01&bloc=prc"
        ).text
    )
    assert "/map?scenario=china-cuts-off-allies&halt=passage%3Asuez&on=2025-05-01&bloc=prc" in text
    assert f'src="{EMBEDDED_MAP}?on=2025-05-01&bloc=prc&view=before"' in text, "the baseline has one state"
    assert "<option selected>prc</option>" in text


def test_markup_in_a_case_stays_text(client: Any) -> None:
    response = client.get("/compare?case=%3Cscript%3Ealert(1)%3C/script%3E&case=baseline")
    assert response.status_code == 400
    assert "<script>alert" not in response.text
    assert "<script>alert" not in client.get("/api/compare?case=%3Cscript%3E&case=baseline").text.replace("\\u003c", "")


def test_compare_is_in_the_navigation(client: Any) -> None:
    assert '<a href="/compare" aria-current="page">' in client.get("/compare").text
    assert '<a href="/compare">' in client.get("/about").text


def test_a_known_case_is_a_case_without_a_script(client: Any) -> None:
    """The list to pick from goes along with the typed cases; an empty choice is none."""
    text = client.get("/compare?case=passage:suez&case=&case=&case=&case=").text
    assert values(text)[0] == "passage:suez"
    assert re.search(r'<select id="pick-case" name="case"><option value="">', text)
    both = client.get("/compare?case=passage:suez&case=&case=&case=&case=scenario:china-cuts-off-allies")
    assert both.status_code == 200
    assert 'class="figures"' in both.text


@pytest.mark.parametrize(("at", "status"), [("60,12,4", 200), ("60,12", 400), ("nan,12,4", 400), ("a,b,c", 400)])
def test_where_the_maps_look_is_checked(client: Any, at: str, status: int) -> None:
    assert client.get(f"/compare?{TWO}&at={at}").status_code == status
    assert client.get(f"/api/compare?{TWO}&at={at}").status_code == 400, "figures look nowhere"

"""The pages of what would fix it and of concentration: forms, jobs, plots in words, tables, refusals, escaping."""

import dataclasses
import re
import time
from typing import Any

import pytest
from test_projects import ranked, wide_yard

from atlas import web
from atlas.concentration import Concentration, Published, Report
from atlas.config import settings
from atlas.fixes import Fixes
from atlas.render_concentration import WIDE as CONCENTRATION_WIDE
from atlas.render_concentration import page_parts as concentration_parts
from atlas.render_concentration import share_plot
from atlas.render_projects import NARROW, WIDE, page_parts, project_bars, year_curve


@pytest.fixture(scope="module")
def found() -> Fixes:
    made: Fixes = ranked(*wide_yard(0))
    first = made.rows[0]
    named = dataclasses.replace(first.project, name="A <b>bold</b> & long name of a plant that is cut in plots")
    return dataclasses.replace(made, rows=(dataclasses.replace(first, project=named), *made.rows[1:]))


@pytest.fixture
def client(study: Any, found: Fixes, monkeypatch: pytest.MonkeyPatch) -> Any:
    asked: list[Any] = []

    def fake(study: Any, halts: Any, **more: Any) -> Fixes:
        asked.append((halts, more))
        more["progress"](3, 9, "each alone")
        return found

    monkeypatch.setattr("atlas.web_projects.fixes", fake)
    made = web.create_app(study, settings({})).test_client()
    made.asked = asked
    return made


ADDRESS = "?halt=country:CHN/magnet&bloc=eu27&by=2030&budget=260&all=1"


def test_without_a_halt_there_is_a_form_with_examples(client: Any) -> None:
    text = client.get("/fixes").text
    assert 'name="halt"' in text
    examples = re.findall(r'<li><a href="(/fixes\?[^"]+)"', text)
    assert len(examples) == 4
    assert client.asked == []
    for address in examples:
        assert client.get(address.replace("&amp;", "&")).status_code in (200, 202)


def test_the_page_shows_everything(client: Any, found: Fixes) -> None:
    response = client.get(f"/fixes{ADDRESS}")
    assert response.status_code == 200
    text = response.text
    halts, more = client.asked[0]
    assert halts == ("country:CHN/magnet",)
    assert (more["bloc"], more["by"], more["budget_usd"], more["everywhere"]) == ("eu27", 2030, 260e6, True)
    for r in found.rows[1:]:
        assert r.project.name in text
    assert "A &lt;b&gt;bold&lt;/b&gt; &amp; long name" in text
    assert "<b>bold" not in text
    assert text.count('class="plot ') == 4  # bars and years, wide and narrow
    assert 'class="sortable' in text
    assert "Proved" in text
    assert " style=" not in text
    assert not re.search(r'<script(?! src=| type="application/json")', text)
    assert "halt=country%3ACHN%2Fmagnet" in text  # the JSON of the same question
    assert client.get(f"/fixes{ADDRESS}").text == text
    assert len(client.asked) == 1, "worked on once"


def test_the_json_is_that_of_the_command(client: Any, found: Fixes) -> None:
    assert client.get(f"/api/fixes{ADDRESS}").get_json() == found.to_json()


def test_a_slow_ranking_shows_how_far_it_is(study: Any, monkeypatch: pytest.MonkeyPatch, found: Fixes) -> None:
    def slow(study: Any, halts: Any, **more: Any) -> Fixes:
        more["progress"](3, 9, "each alone")
        time.sleep(0.4)
        return found

    monkeypatch.setattr("atlas.web_projects.fixes", slow)
    monkeypatch.setattr("atlas.web_jobs.PATIENCE_S", 0.1)
    client = web.create_app(study, settings({})).test_client()
    first = client.get("/fixes?halt=country:CHN")
    assert first.status_code == 202
    assert "3 of 9: each alone" in first.text
    time.sleep(0.6)
    assert client.get("/fixes?halt=country:CHN").status_code == 200


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("halt=country:CHX", "CHN"), ("halt=country:CHN&bloc=eu28", "eu27"), ("halt=country:CHN&by=1999", "2025"),
        ("halt=country:CHN&budget=-3", "budget"), ("halt=country:CHN&budget=nan", "budget"),
        ("halt=country:CHN&budget=1e99", "budget"), ("halt=country:CHN&all=2", "0 or 1"),
        ("halt=country:CHN&budgt=3", "budget"), ("halt=country:CHN&by=2030&by=2031", "once"),
    ],
)  # fmt: skip
def test_bad_questions_are_400(client: Any, query: str, said: str) -> None:
    for path in ("/fixes", "/api/fixes"):
        response = client.get(f"{path}?{query}")
        assert response.status_code == 400, path
        assert said in response.text
    assert client.asked == []


def test_the_api_needs_a_halt(client: Any) -> None:
    assert client.get("/api/fixes").status_code == 400


def test_nothing_short_is_said(study: Any, found: Fixes) -> None:
    none = dataclasses.replace(found.none, bloc_short_t=0.0)
    quiet = dataclasses.replace(found, none=none)
    assert "nothing to fix" in quiet.sentence
    assert page_parts(quiet, study.layers)["nothing"]


def test_plots_stay_inside_and_are_told_in_words(found: Fixes) -> None:
    for layout in (WIDE, NARROW):
        for svg in (project_bars(found, found.rows, layout), year_curve(found, layout)):
            named = re.search(r'aria-labelledby="([^"]+)"', svg)
            assert named
            assert all(f'id="{i}"' in svg for i in named[1].split())
            for x, width in re.findall(r'<rect x="(-?[\d.]+)" y="-?[\d.]+" width="([\d.]+)"', svg):
                assert float(x) >= 0
                assert float(x) + float(width) <= layout.width + 0.2
            assert "<b>" not in svg
    bars = project_bars(found, found.rows, WIDE)
    assert bars.count("<rect") == 1 + 2 * len(found.rows)


# ---- concentration


def test_concentration_page_and_json(study: Any) -> None:
    client = web.create_app(study, settings({})).test_client()
    text = client.get("/concentration").text
    assert text.count('class="plot ') == 2
    assert "Beside published measures" in text
    assert 'aria-current="page">Concentration' in text
    assert " style=" not in text
    told = client.get("/api/concentration?element=Dy").get_json()
    assert {s["element"] for s in told["stages"]} == {"Dy"}
    assert client.get("/concentration?element=Xy").status_code == 400
    assert client.get("/concentration?halt=country:CHX").status_code == 400
    assert client.get("/api/concentration?x=1").status_code == 400
    halted = client.get("/concentration?element=Dy&halt=country:CHN").text
    assert "of the world as it is" in halted
    assert "exports of China halted" in halted


def test_names_in_the_concentration_page_stay_text() -> None:
    c = Concentration("mine", "all", "t", 10.0, 10.0, (("AAA", 1.0),), ("x", 1.0), ("y", 1.0))
    p = Published("i", "hhi", "mine", "all", 0.5, 0.6, 2024, "a basis", "", False, "<i>title</i>", "javascript:x", "B")
    parts = concentration_parts(Report((), "", (c,), (p,), {"AAA": "A <b>land</b>"}))
    assert parts["published"][0]["url"] == ""
    assert parts["published"][0]["error"] == "+10.0"
    assert "100" in parts["rows"][0]["top1"][1]
    bare = dataclasses.replace(c, countries=(), demand_t=float("nan"))
    assert "HHI" not in str(share_plot((bare,), ["all"], CONCENTRATION_WIDE))

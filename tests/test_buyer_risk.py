"""What a magnet buyer stands to lose: the same figures as a solve of each halt, the most harmful first, in plain words."""

import json
import math
from typing import Any

import pytest
from click.testing import CliRunner

from atlas import cli
from atlas.background import Background, doing
from atlas.buyer_risk import COLUMNS, BuyerRisk, Case, buyer_risk, stock_days
from atlas.buyer_words import percent, risk_json, sentence
from atlas.config import data_dir
from atlas.errors import BadInput, Cancelled
from atlas.web_query import buyer_rows
from tests.small_study import small_study

BUYER = "my plant in Stuttgart,9.18,48.78,automotive_other,SH,300,60"
HALTS = ("country:CHN/magnet", "stage:CHN/metal@0.5", "passage:malacca")


def cases_of(study: Any, halts: tuple[str, ...] = HALTS) -> list[Case]:
    return [Case(h, f"without {h}", study.question([h]), (("halt", h),)) for h in halts]


@pytest.fixture(scope="module")
def study() -> Any:
    return small_study()


@pytest.fixture(scope="module")
def told() -> list[tuple[int, int, str]]:
    return []


@pytest.fixture(scope="module")
def risk(study: Any, told: list[Any]) -> BuyerRisk:
    asked = study.question((), buyer_rows([BUYER]))
    return buyer_risk(study, asked, cases_of(study), "us-allies", lambda *step: told.append(step))


def test_every_case_is_what_a_solve_with_the_buyer_in_it_says(study: Any, risk: BuyerRisk) -> None:
    rows = risk.cases.set_index("case")
    assert list(risk.cases.columns) == list(COLUMNS)
    for halt in HALTS[:2]:
        summary = study.solve([halt], buyer_rows([BUYER])).summary
        was, now = (summary[s]["buyers"]["my-plant-in-stuttgart"] for s in ("baseline", "halted"))
        row = rows.loc[halt]
        assert row["short_t"] == pytest.approx(now["shortage_t"], abs=1e-3)
        assert row["lost_t"] == pytest.approx(max(was["supplied_t"] - now["supplied_t"], 0.0), abs=1e-3)
        assert row["lower_grade_t"] == pytest.approx(now["step_down_t"], abs=1e-3)
        world = summary["halted"]["shortage_t"] / summary["halted"]["demand_t"]
        assert row["world_short_share"] == pytest.approx(world, abs=1e-5)  # a summary has six digits
        assert row["bloc_short_share"] == pytest.approx(1 - summary["halted"]["bloc_supplied_share"], abs=1e-5)
        assert row["worse_points"] == pytest.approx(100 * (now["shortage_t"] / 300 - world), abs=2e-3)
        if now["supplied_t"] > 1:
            more = now["delivery_usd_t"] - was["delivery_usd_t"]
            assert row["more_usd_t"] == pytest.approx(more, rel=1e-4, abs=1e-2)
        else:
            assert math.isnan(row["more_usd_t"])
    assert {k: risk.today[k] for k in ("demand_t", "grade", "country")} == {"demand_t": 300, "grade": "SH", "country": "DEU"}


def test_the_most_harmful_comes_first(risk: BuyerRisk) -> None:
    short = list(risk.cases["short_share"])
    assert short == sorted(short, reverse=True)
    assert short[0] > 0.5
    assert set(risk.cases["case"]) == set(HALTS)


def test_progress_says_which_halt_is_solved(risk: BuyerRisk, told: list[Any]) -> None:
    assert [d for d, _, _ in told] == list(range(len(HALTS) + 2))[: len(told)]
    assert {t for _, t, _ in told} == {len(HALTS) + 1}
    assert [w for _, _, w in told][1:-1] == [f"without {h}" for h in HALTS]


def test_routes_and_upstream_are_those_of_the_baseline(study: Any, risk: BuyerRisk) -> None:
    assert risk.routes["tonnes"].sum() == pytest.approx(risk.today["supplied_t"], rel=1e-6)
    assert risk.routes.groupby("from_id")["tonnes"].sum().to_dict() == pytest.approx(risk.today["by_supplier_t"], rel=1e-5)
    for by in risk.upstream["all"].values():
        assert sum(by.values()) == pytest.approx(1.0, abs=1e-6)
    magnets = risk.today["by_country_t"].get("CHN", 0.0) / risk.today["supplied_t"]
    assert risk.origin_share("magnet") == pytest.approx(magnets, abs=1e-5)
    assert "Dy" in risk.upstream


def test_the_sentence_holds_the_figures(study: Any, risk: BuyerRisk) -> None:
    text = sentence(risk, study.layers)
    worst = risk.cases.iloc[0]
    assert f"{risk.today['supplied_t']:,.0f} of its 300 t of SH magnets" in text
    assert str(worst["title"]) in text
    assert f"takes {worst['short_t']:,.0f} t, {percent(worst['short_share'])} of its demand" in text
    assert percent(risk.origin_share("separation")) in text
    assert "its stock of 60 days" in text


def test_stock_days_are_plain_arithmetic(risk: BuyerRisk) -> None:
    assert stock_days(60, 1.0) == 60
    assert stock_days(60, 0.25) == 240
    assert math.isnan(stock_days(None, 1.0))
    assert math.isnan(stock_days(60, 0.0))
    for r in risk.cases.itertuples():
        expected = 60 / r.short_share if r.short_share > 0.0005 else math.nan
        assert r.stock_days == pytest.approx(expected, nan_ok=True)


def test_json_is_plain_and_whole(study: Any, risk: BuyerRisk) -> None:
    body = json.loads(json.dumps(risk_json(risk, study.layers), allow_nan=False))
    assert body["buyer"]["id"] == "my-plant-in-stuttgart"
    assert [c["case"] for c in body["cases"]] == list(risk.cases["case"])
    assert body["cases"][0]["halts"]
    assert body["origin_share"]["all"]["magnet"] == pytest.approx(risk.origin_share("magnet"), rel=1e-5)
    assert any(v is None for c in body["cases"] for v in c.values())


def test_it_stops_when_told_to(study: Any) -> None:
    background = Background()
    asked = study.question((), buyer_rows([BUYER]))
    background.stopped.set()
    with doing(background), pytest.raises(Cancelled):
        buyer_risk(study, asked, cases_of(study))


def test_one_buyer_is_expected(study: Any) -> None:
    with pytest.raises(BadInput, match="expected one"):
        buyer_risk(study, study.question(), cases_of(study))
    with pytest.raises(BadInput, match="no country at"):
        buyer_risk(study, study.question((), buyer_rows(["at-sea,-40,30,ev,SH,10"])), [])


@pytest.mark.slow
def test_against_the_command_on_the_shipped_world(study: Any) -> None:
    """The case of the scenario stuttgart-buyer, worked out here and by `atlas solve --json`."""
    from atlas import study as studies

    shipped = studies.open()
    path = data_dir("layers") / "scenarios" / "stuttgart-buyer.toml"
    text = "stuttgart-motors,9.18,48.78,ev,SH,300,yunsheng-ningbo:300"
    asked = shipped.question((), buyer_rows([text]))
    found = buyer_risk(shipped, asked, cases_of(shipped, ("country:CHN/magnet",)))
    made = CliRunner().invoke(cli.main, ["solve", str(path), "--json"])
    assert made.exit_code == 0
    body = json.loads(made.stdout)
    was, now = (body[s]["buyers"]["stuttgart-motors"] for s in ("baseline", "halted"))
    [row] = found.cases.to_dict("records")
    assert row["short_t"] == pytest.approx(now["shortage_t"], abs=1e-3)
    assert row["short_t"] > 100
    assert found.today["by_supplier_t"] == pytest.approx(was["by_supplier_t"], rel=1e-5)
    assert list(found.today["by_supplier_t"]) == ["yunsheng-ningbo"]
    assert row["world_short_share"] == pytest.approx(body["halted"]["shortage_t"] / body["halted"]["demand_t"], abs=1e-5)

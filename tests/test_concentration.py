"""Concentration: shares, HHI and what is left without the largest, by hand, against the summary, and published."""

import json
import math
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner
from invented import Invented, invent, invent_wide

from atlas import cli
from atlas.chain import shipped_chain
from atlas.cli_concentration import concentration_text
from atlas.concentration import (
    ALL,
    MAGNETS,
    Concentration,
    concentration,
    demand_of_stages,
    keys_of,
    made_by_unit,
    measures,
)
from atlas.errors import UnknownName
from atlas.halt import Halt
from atlas.scenario import Scenario
from atlas.summary import state_summary
from atlas.world import STAGES


@pytest.fixture(scope="module")
def simple() -> Invented:
    return invent()


def row(i: Invented, stage: str, key: str = ALL, state: Any = None) -> Concentration:
    rows = measures(i.world, i.read(state or i.before))
    return next(r for r in rows if (r.stage, r.element) == (stage, key))


# ---- by hand


def test_measures_by_hand() -> None:
    c = Concentration("mine", ALL, "t", 1000.0, 500.0, (("AAA", 0.6), ("BBB", 0.3), ("CCC", 0.1)), ("x", 0.4), ("y", 0.4))
    assert c.hhi == pytest.approx(0.36 + 0.09 + 0.01)
    assert [c.top_share(n) for n in (1, 2, 3, 9)] == pytest.approx([0.6, 0.9, 1.0, 1.0])
    assert c.n_minus_1_share == pytest.approx(400 / 500)
    assert [c.measure(m) for m in ("top1", "top3", "hhi", "n_minus_1")] == pytest.approx([0.6, 1.0, 0.46, 0.8])
    bare = Concentration("mine", ALL, "t", 0.0, math.nan, (), ("", math.nan), ("", math.nan))
    assert all(math.isnan(bare.measure(m)) for m in ("top1", "top3", "hhi", "n_minus_1"))
    json.dumps(bare.to_json(), allow_nan=False)


def test_the_simple_world_by_hand(simple: Invented) -> None:
    """AAA mines and smelts for 800 t of magnets, BBB for 400: two thirds and one third of the 1,200 t that are needed."""
    magnets = row(simple, "magnet")
    assert magnets.world_t == pytest.approx(1200.0)
    assert dict(magnets.countries) == pytest.approx({"AAA": 2 / 3, "BBB": 1 / 3})
    assert magnets.hhi == pytest.approx(5 / 9)
    assert magnets.n_minus_1_share == pytest.approx(1 / 3)
    assert magnets.facility == ("a-mag", pytest.approx(2 / 3))
    assert magnets.operator == ("maker", pytest.approx(1.0))
    # Every yield is 1 and nothing is recycled: 1,200 t of magnets ask for 300 t of NdPr at every stage.
    for stage in ("mine", "separation", "metal", "magnet"):
        r = row(simple, stage, MAGNETS)
        assert (r.world_t, r.demand_t) == (pytest.approx(300.0), pytest.approx(300.0)), stage
        assert r.n_minus_1_share == pytest.approx(1 / 3)
    assert row(simple, "mine").world_t == pytest.approx(1500.0)  # REO, of which a fifth is NdPr
    assert math.isnan(row(simple, "mine").n_minus_1_share)


def test_a_halt_changes_supply_and_not_what_is_asked(simple: Invented) -> None:
    cut = simple.halted(Scenario(halts=(Halt("facility", "a-mag"),)))
    before, after = row(simple, "magnet"), row(simple, "magnet", state=cut)
    assert after.countries[0][0] == "BBB"
    assert after.hhi == pytest.approx(1.0)
    assert after.demand_t == before.demand_t
    assert after.n_minus_1_share == pytest.approx(0.0, abs=1e-9)


def test_a_joint_venture_counts_for_each() -> None:
    wide = invent_wide()
    mine = row(wide, "mine")
    output = wide.read(wide.before).units["output_t"]
    # a-mine belongs to maker and digger, a-clay to maker alone, b-mine to digger alone.
    digs, makes = (output["a-mine"] + output[own] for own in ("b-mine", "a-clay"))
    assert digs > makes
    assert mine.operator == ("digger", pytest.approx(digs / output[["a-mine", "a-clay", "b-mine"]].sum()))


def test_recycling_is_taken_off_what_ore_must_give() -> None:
    wide = invent_wide()
    reading = wide.read(wide.before)
    asked = demand_of_stages(wide.world, reading)
    finished = wide.world.demand.groupby("grade")["demand_t"].sum()
    metal = sum(t * wide.world.recipes.loc[("sintered", g), "NdPr"] for g, t in finished.items())
    lanes = reading.lanes
    recycled = lanes.loc[(lanes["from_id"] == "a-rec") & lanes["element"].isin(["Nd", "Pr"]), "t"].sum()
    assert recycled > 100
    assert asked["metal", "NdPr"] == pytest.approx(metal)
    assert asked["separation", "NdPr"] == pytest.approx(metal - recycled)  # every yield of metal making is 1 there
    assert asked["mine", "NdPr"] == pytest.approx((metal - recycled) / 0.95)


# ---- agrees with the summary of an answer


@pytest.mark.parametrize("seed", [0, 3])
def test_what_units_make_sums_to_the_summary(seed: int) -> None:
    wide = invent_wide(seed)
    reading = wide.read(wide.before)
    summary = state_summary(wide.world, reading, frozenset({"AAA"}), pd.Series(dtype=float))
    made = made_by_unit(wide.world, reading)
    made["country"] = made["id"].map(wide.world.units["country"])
    sums = made.groupby(["stage", "key", "country"])["t"].sum()
    for stage in STAGES:
        for c, t in summary["stage_output_t"][stage].items():
            assert sums[stage, ALL, c] == pytest.approx(t, rel=1e-6), (stage, c)
        by_element = summary["stage_output_element_t"][stage]
        for key in shipped_chain().keys:
            parts = [key] if stage == "magnet" else list(shipped_chain().of(key))
            told: dict[str, float] = {}
            for e in parts:
                for c, t in by_element.get(e, {}).items():
                    told[c] = told.get(c, 0.0) + t
            for c, t in told.items():
                assert sums[stage, key, c] == pytest.approx(t, rel=1e-6), (stage, key, c)
    for r in measures(wide.world, reading):
        if r.element == ALL and r.world_t:
            assert r.hhi == pytest.approx(summary["hhi"][r.stage])


@pytest.mark.parametrize("seed", range(4))
def test_shares_keep_to_their_bounds(seed: int) -> None:
    wide = invent_wide(seed)
    for r in measures(wide.world, wide.read(wide.before)):
        if not r.countries:
            continue
        assert sum(s for _, s in r.countries) == pytest.approx(1.0)
        assert 1 / len(r.countries) - 1e-9 <= r.hhi <= r.top_share(1) + 1e-9
        assert r.facility[1] <= r.top_share(1) + 1e-9
        assert r.n_minus_1_share != r.n_minus_1_share or r.n_minus_1_share >= 0


# ---- the shipped world and what is published


def test_the_shipped_baseline_beside_published_figures(study: Any) -> None:
    report = concentration(study)
    at = {(r.stage, r.element): r for r in report.rows}
    assert {k for _, k in at} == set(keys_of(shipped_chain()))
    assert at["separation", "Dy"].hhi == pytest.approx(1.0)
    assert at["separation", "Dy"].n_minus_1_share == pytest.approx(0.0, abs=1e-6)
    assert at["mine", MAGNETS].hhi < at["separation", MAGNETS].hhi < at["metal", MAGNETS].hhi
    fair = [p for p in report.published if not math.isnan(p.model)]
    assert {p.measure for p in fair} == {"top1", "top3", "hhi"}
    held = {p.id: p.error_points for p in fair if not p.fitted}
    assert abs(held["iea-mine-top3-2023"]) < 5
    assert abs(held["iea-separation-top3-2023"]) < 3
    assert abs(held["usgs-mine-hhi-2024"]) < 3
    assert all(p.why_not for p in report.published if math.isnan(p.model))
    assert {p.id for p in report.published} >= set(study.layers.concentration.index)
    text = concentration_text(report)
    assert "not comparable:" in text
    assert "HHI of countries" in text
    json.dumps(report.to_json(), allow_nan=False)


def test_under_a_halt_nothing_published_is_beside_it(study: Any) -> None:
    report = concentration(study, ["country:CHN/magnet"], element="Dy")
    assert report.published == ()
    assert {r.element for r in report.rows} == {"Dy"}
    assert report.sentence.startswith("With exports of China (magnets) halted")


def test_an_unknown_element_is_refused(study: Any) -> None:
    with pytest.raises(UnknownName, match="Dy"):
        concentration(study, element="Dyy")


def test_the_command(study: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atlas.cli_concentration.open_study", lambda obj: study)
    done = CliRunner().invoke(cli.main, ["concentration", "--element", "NdPr", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert [s["stage"] for s in told["stages"]] == list(STAGES)
    done = CliRunner().invoke(cli.main, ["concentration", "--element", "magnets"])
    assert "largest facility" in done.stdout
    monkeypatch.setattr("atlas.cli_concentration.open_study", lambda obj: SimpleNamespace())
    done = CliRunner().invoke(cli.main, ["concentration", "--element", "gold"])
    assert done.exit_code == 2
    assert "nearest" in done.stderr

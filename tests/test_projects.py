"""Projects: what is known of them, one programme for every choice, the ranking, and the best portfolio by brute force."""

import dataclasses
import itertools
import json
import random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from invented import BLOCS, FlatRouter, Invented, _unit, invent, invent_wide, layers

from atlas import cli
from atlas.cli_projects import fixes_text
from atlas.errors import BadInput, UnknownName
from atlas.fixes import fixes, judge
from atlas.frame import frame
from atlas.halt import Halt
from atlas.lane_routes import LaneRouter
from atlas.model import skeleton
from atlas.portfolio import GAP, best_portfolio
from atlas.projects import Project, Yard, pending, project_ground, share_there
from atlas.scenario import Scenario
from atlas.world import build_world

NO_EXPORTS = Scenario(halts=(Halt("country", "AAA"),))
GRADES = ("standard", "UH")


def yard(base: Invented, units: list[dict[str, Any]], question: Scenario = NO_EXPORTS, **more: Any) -> Yard:
    """Return the yard of an invented world with more units that may be built."""
    table = pd.concat([base.layers.facilities, pd.DataFrame(units).set_index("id")]).sort_index()
    made = SimpleNamespace(**(vars(base.layers) | {"facilities": table}))
    ids = [u["id"] for u in units]
    world = build_world(made, 2024, frozenset(ids))
    router = LaneRouter(world, FlatRouter(), np.zeros(len(world.lanes)))  # type: ignore[arg-type]
    stated = frame(skeleton(world), base.calibration)
    return Yard(stated, router, question, BLOCS, frozenset({"BBB"}), ids, 10.0, **more)


def project(i: str, stage: str, capacity_t: float, capex_usd: float, start: int = 2026) -> Project:
    """Return a project with a known cost."""
    return Project(i, i, stage, "", "BBB", "planned", start, capacity_t, capex_usd, True, "B", "", "")


def plant(i: str, capacity_t: float) -> dict[str, Any]:
    return _unit(i, "magnet", "sintered", capacity_t, output_t=capacity_t, grades=GRADES)


def smelter(i: str, capacity_t: float) -> dict[str, Any]:
    return _unit(i, "metal", "metal", capacity_t, output_t=capacity_t)


@pytest.fixture(scope="module")
def simple() -> Invented:
    return invent()


@pytest.fixture(scope="module")
def chain(simple: Invented) -> Yard:
    """BBB alone has ore, separation and metal for 400 t of magnets of the 700 t it needs, and a plant of 480 t."""
    more = [plant("b-new-mag", 400), smelter("b-new-met", 100), _unit("b-new-mine", "mine", "concentrate", 500, output_t=500),
            _unit("b-new-sep", "separation", "oxide", 500, output_t=500)]  # fmt: skip
    return yard(simple, more)


# ---- by hand


def test_with_nothing_built_it_is_the_plain_world(simple: Invented, chain: Yard) -> None:
    plain = simple.halted(NO_EXPORTS)
    none = chain.build(())
    assert none.objective_usd == pytest.approx(plain.optimum.objective, rel=1e-12)
    assert none.short_t == pytest.approx(simple.read(plain).demand["short_t"].sum(), abs=1e-6)
    assert chain.before.optimum.objective == pytest.approx(simple.before.optimum.objective, rel=1e-12)


def test_a_chain_by_hand(chain: Yard) -> None:
    """Ore of 500 t holds 100 t of NdPr, which is 400 t of magnets: BBB is then short of 300 t."""
    none = chain.build(())
    assert none.bloc_short_t == pytest.approx(300.0, abs=1e-3)
    for alone in ("b-new-mag", "b-new-met", "b-new-mine", "b-new-sep"):
        assert chain.build([alone]).bloc_short_t == pytest.approx(300.0, abs=1e-3), alone
    # A second mine with its separation: 200 t of NdPr, but metal makers for 100 t.
    assert chain.build(["b-new-mine", "b-new-sep"]).bloc_short_t == pytest.approx(300.0, abs=1e-3)
    # With metal too the plant binds, at its nameplate of 480 t.
    assert chain.build(["b-new-mine", "b-new-sep", "b-new-met"]).bloc_short_t == pytest.approx(220.0, abs=1e-3)
    everything = chain.build(chain.projects)
    assert everything.bloc_short_t == pytest.approx(0.0, abs=1e-3)
    made = everything.output_t
    assert made["b-new-mag"] + 480 >= 700 - 1e-6


def test_what_is_left_out_pays_no_idle_charge(chain: Yard) -> None:
    """A project that nothing needs changes nothing at all, built or not."""
    alone = chain.build(["b-new-mag"])
    assert alone.objective_usd == pytest.approx(chain.build(()).objective_usd, rel=1e-12)


def test_the_ramp_by_year(simple: Invented) -> None:
    one = [plant("b-new-mag", 1000)]
    built = yard(simple, one)
    p = project("b-new-mag", "magnet", 1000, 1e6, start=2026)
    there = [share_there(p, y, built.world, 1000.0) for y in (2025, 2026, 2027, 2028, 2030)]
    assert there == pytest.approx([0.0, 0.36, 0.72, 1.0, 1.0])  # ramp of 0.3, 0.6 and 0.9, surge of a fifth, nameplate


def test_part_of_a_project_lies_between(simple: Invented) -> None:
    built = yard(simple, [smelter("b-new-met", 100), _unit("b-new-mine", "mine", "concentrate", 500, output_t=500),
                          _unit("b-new-sep", "separation", "oxide", 500, output_t=500)])  # fmt: skip
    values = [built.build(dict.fromkeys(built.projects, z)).objective_usd for z in (0.0, 0.05, 0.1, 0.2, 1.0)]
    assert values == sorted(values, reverse=True)
    # By hand: a tenth of 500 t of ore is 10 t of NdPr, 40 t of magnets more.
    tenth = built.build(dict.fromkeys(built.projects, 0.1))
    assert tenth.bloc_short_t == pytest.approx(260.0, abs=1e-3)


# ---- laws


def wide_yard(seed: int, count: int = 6) -> tuple[Yard, dict[str, float]]:
    rng = random.Random(seed)
    grades = ("standard", "H", "SH", "UH")
    base = invent_wide()
    units = [
        plant("b-new-mag", rng.choice((300, 600, 900))) | {"grades": grades},
        smelter("b-new-met", rng.choice((150, 400))) | {"elements": ("Nd", "Pr", "Dy")},
        _unit("b-new-sep", "separation", "oxide", rng.choice((1500, 3000)), output_t=1500, elements=("Nd", "Pr", "Dy")),
        _unit("b-new-mine", "mine", "concentrate", 2000, output_t=rng.choice((1200, 2000))),
        plant("c-new-mag", rng.choice((300, 700))) | {"grades": grades},
        smelter("c-new-met", rng.choice((100, 300))) | {"elements": ("Nd", "Pr", "Dy")},
    ]
    units[3] |= {"dy_share": 0.03}
    return yard(base, units[:count]), {u["id"]: rng.choice((50e6, 80e6, 130e6, 210e6)) for u in units[:count]}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_the_portfolio_is_that_of_brute_force(seed: int) -> None:
    built, capex = wide_yard(seed)
    subsets = [s for n in range(7) for s in itertools.combinations(built.projects, n)]
    value = {s: built.build(s).objective_usd for s in subsets}
    whole = value[()] - value[built.projects]
    for budget in (40e6, 130e6, 260e6, 420e6, 2e9):
        fresh, _ = wide_yard(seed)
        found = best_portfolio(fresh, capex, budget, gap=1e-9)
        best = min(v for s, v in value.items() if sum(capex[p] for p in s) <= budget)
        assert found.best.objective_usd == pytest.approx(best, abs=1e-6 * whole), budget
        assert found.capex_usd <= budget
        assert found.bound_usd <= best + 1e-6 * whole
        # What stands idle is left out and not missed.
        assert value[found.chosen] == pytest.approx(best, abs=1e-6 * whole)
        assert found.gap_share <= GAP


@pytest.mark.parametrize("seed", range(3))
def test_more_never_costs_more_and_planes_lie_below(seed: int) -> None:
    built, _ = wide_yard(seed)
    rng = random.Random(seed)
    none, everything = built.build(()), built.build(built.projects)
    for _ in range(6):
        some = [p for p in built.projects if rng.random() < 0.5]
        more = sorted({*some, rng.choice(built.projects)})
        a, b = built.build(some), built.build(more)
        tolerance = 1e-7 * abs(a.objective_usd)
        assert b.objective_usd <= a.objective_usd + tolerance
        assert everything.objective_usd <= a.objective_usd + tolerance
        part = built.build({p: rng.random() for p in built.projects})
        for plane in (none, everything, a, part):
            for at in (none, everything, a, b):
                height = plane.plane_usd + sum(plane.price_usd[p] * at.share[p] for p in built.projects)
                assert height <= at.objective_usd + tolerance


def ranked(built: Yard, capex: dict[str, float], **more: Any) -> Any:
    start = dict(zip(built.projects, itertools.cycle((2025, 2026, 2028))))
    projects = [project(p, "magnet", built.limit_t[p], capex[p], start[p]) for p in built.projects]
    told = {"halts": ("country:AAA",), "what": "exports of A halted", "bloc": "pair", "by": None, "everywhere": False,
            "budget_usd": 260e6, "demand_t": 700.0}  # fmt: skip
    return judge(built, projects, **(told | more))


def test_the_ranking_agrees_with_its_own_solves() -> None:
    built, capex = wide_yard(1)
    found = ranked(built, capex)
    none, everything = built.build(()), built.build(built.projects)
    assert found.together.objective_usd >= max(r.alone.objective_usd for r in found.rows)
    for r in found.rows:
        i = r.project.id
        alone, left = built.build([i]), built.build([p for p in built.projects if p != i])
        assert r.alone.objective_usd == pytest.approx(none.objective_usd - alone.objective_usd, abs=10.0), i
        assert r.last.objective_usd == pytest.approx(left.objective_usd - everything.objective_usd, abs=10.0), i
        assert r.per_t == pytest.approx(r.alone.bloc_t / built.limit_t[i])
        assert r.per_musd == pytest.approx(r.alone.bloc_t / (capex[i] / 1e6))
    sums = list(itertools.accumulate(s.added.objective_usd for s in found.steps))
    assert [s.so_far.objective_usd for s in found.steps] == pytest.approx(sums)
    assert sums[-1] <= found.together.objective_usd * (1 + 1e-9)
    years = [g.objective_usd for _, g, _ in found.by_year]
    assert years == sorted(years)
    assert years[-1] == pytest.approx(found.together.objective_usd)
    assert found.by_year[0][0] == 2025
    assert found.by_year[-1][0] == 2030
    assert found.portfolio.best.objective_usd <= min(
        built.build([p]).objective_usd for p in built.projects if capex[p] <= 260e6
    )
    json.dumps(found.to_json(), allow_nan=False)
    text = fixes_text(found, 3)
    assert "3 more in --json" in text
    assert "best portfolio for 260 M USD" in text
    assert max(map(len, text.splitlines())) < 140


def test_a_step_that_is_sure_is_the_best() -> None:
    built, capex = wide_yard(2)
    found = ranked(built, capex)
    there: list[str] = []
    for step in found.steps:
        least = min(built.build([*there, p]).objective_usd for p in built.projects if p not in there)
        there.append(step.project.id)
        if step.sure:
            assert built.build(there).objective_usd == pytest.approx(least)


# ---- what is known of projects


def known_layers() -> Any:
    base = layers()
    rows = [
        _unit("b-plan", "magnet", "sintered", 200, start_year=2027.0, status="planned", grades=GRADES),
        _unit("b-build", "magnet", "sintered", 100, start_year=2026.0, status="construction", grades=GRADES),
        _unit("b-runs", "metal", "metal", 50, start_year=2025.0, status="operating"),
        _unit("b-some-day", "mine", "concentrate", 500, start_year=np.nan, status="planned"),
        _unit("b-vague", "mine", "concentrate", np.nan, start_year=2028.0, status="planned", modelled="no"),
        _unit("b-idle", "mine", "concentrate", 500, start_year=2010.0, status="care_and_maintenance"),
        _unit("a-plan", "magnet", "sintered", 300, start_year=2027.0, status="planned", grades=GRADES),
    ]
    table = pd.concat([base.facilities, pd.DataFrame(rows).set_index("id")]).sort_index()
    base.facilities = table.assign(name=table.index, model_note="")
    capex = [("b-build", 20e6, "whole"), ("a-plan", 90e6, "split")]
    base.capex = pd.DataFrame(capex, columns=["facility", "capex_usd", "basis"]).assign(
        confidence="B", source_id="paper", covers="all of it"
    )
    return base


def test_projects_are_those_to_come_and_nothing_is_dropped_silently() -> None:
    projects, unready = pending(known_layers(), {"BBB"})
    assert [p.id for p in projects] == ["b-build", "b-plan", "b-runs"]
    assert {u.id: u.missing for u in unready} == {
        "b-some-day": ("start year",), "b-vague": ("capacity", "not modelled")
    }  # fmt: skip
    everywhere, _ = pending(known_layers())
    assert [p.id for p in everywhere] == ["a-plan", "b-build", "b-plan", "b-runs"]


def test_capex_is_published_or_the_median_of_its_stage() -> None:
    of = {p.id: p for p in pending(known_layers())[0]}
    assert (of["b-build"].capex_usd, of["b-build"].capex_known) == (20e6, True)
    # 200,000 USD per t from the one plant; what was split by judgement does not count.
    assert (of["b-plan"].capex_usd, of["b-plan"].capex_known, of["b-plan"].capex_confidence) == (40e6, False, "C")
    assert of["b-runs"].still_usd == 0
    assert of["b-runs"].capex_usd == pytest.approx(200_000 * 50)
    assert of["b-runs"].status_words == "running"
    assert of["b-plan"].still_usd == 40e6


def test_the_shipped_capex_rows_fit_their_units(layers: Any) -> None:
    f = layers.facilities
    assert set(layers.capex.index) == set(layers.capex["facility"])
    per_t = layers.capex["capex_usd"] / f["capacity_t"].reindex(layers.capex["facility"]).to_numpy()
    assert per_t.dropna().between(1_000, 500_000).all()
    split = layers.capex[layers.capex["basis"] == "split"]
    assert (split["confidence"] == "C").all()
    # The parts of one sum add up to it.
    assert split.groupby("source_id")["capex_usd"].sum().round(-5).tolist() == [233_300_000, 1_046_800_000]


# ---- the command


@pytest.fixture
def invented_study(monkeypatch: pytest.MonkeyPatch) -> Any:
    found = ranked(*wide_yard(0))
    asked: dict[str, Any] = {}

    def fake(study: Any, halts: Any, scenario: Any, **more: Any) -> Any:
        asked.update(more, halts=halts, scenario=scenario)
        more["progress"](1, 2, "half")
        return found

    monkeypatch.setattr("atlas.fixes.fixes", fake)
    monkeypatch.setattr("atlas.cli_projects.open_study", lambda obj: SimpleNamespace())
    return asked


def test_the_command_passes_everything_on(invented_study: Any) -> None:
    done = CliRunner().invoke(
        cli.main,
        ["fixes", "--halt", "country:AAA", "--bloc", "pair", "--by", "2028", "--all-countries", "--budget-musd", "260",
         "--json"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["portfolio"]["proved"] is True
    assert len(told["projects"]) == 6
    assert invented_study["by"] == 2028
    assert invented_study["everywhere"]
    assert invented_study["budget_usd"] == 260e6
    done = CliRunner().invoke(cli.main, ["fixes", "--halt", "country:AAA", "--top", "2"])
    assert "4 more in --json" in done.stdout
    assert "programmes solved" in done.stdout


def test_bad_questions_are_refused(study: Any) -> None:
    with pytest.raises(UnknownName, match="bloc"):
        fixes(study, ["country:CHN"], bloc="us-alies")
    with pytest.raises(BadInput, match="budget"):
        fixes(study, ["country:CHN"], budget_usd=-1.0)
    with pytest.raises(BadInput, match="2024"):
        fixes(study, ["country:CHN"], by=2020)
    nowhere = {"nowhere": frozenset({"ISL"})}
    bare = SimpleNamespace(question=study.question, blocs=nowhere, layers=study.layers, year=2024)
    with pytest.raises(BadInput, match="no project"):
        fixes(bare, ["country:CHN"], bloc="nowhere")


def test_projects_belong_to_the_calibrated_year(study: Any) -> None:
    later = SimpleNamespace(year=2027, layers=study.layers)
    with pytest.raises(BadInput, match="2027"):
        project_ground(later, Scenario(), ())
    drawn = dataclasses.replace(Scenario(), draw=3)
    with pytest.raises(BadInput, match="draw"):
        project_ground(study, drawn, ())


# ---- the shipped world


@pytest.mark.slow
@pytest.mark.parametrize("spec", ["country:CHN", "country:CHN/Dy,Tb", "passage:malacca@0.5", ""])
def test_with_nothing_built_the_shipped_world_is_as_it_was(study: Any, spec: str) -> None:
    question = study.question([spec] if spec else [])
    projects, _ = pending(study.layers)
    ground = project_ground(study, question, projects)
    made = Yard(ground.stage.frame(ground.calibration), ground.stage.router, question, study.blocs,
                study.blocs["us-allies"], [p.id for p in projects])  # fmt: skip
    plain = study.baseline if question.is_baseline else study.solve(scenario=question).halted
    assert made.build(()).objective_usd == pytest.approx(plain.reading.objective_usd, rel=1e-9)


@pytest.mark.slow
def test_magnet_plants_fix_a_magnet_ban_and_not_a_ban_on_everything(study: Any) -> None:
    magnets = fixes(study, ["country:CHN/magnet"], by=2030, budget_usd=1e9)
    assert magnets.together.bloc_t > 0.8 * magnets.none.bloc_short_t
    assert magnets.rows[0].project.stage == "magnet"
    assert magnets.portfolio is not None
    assert magnets.portfolio.proved
    everything = fixes(study, ["country:CHN"])
    assert everything.together.bloc_t < 0.2 * everything.none.bloc_short_t
    assert everything.steps[0].project.stage == "separation"
    assert everything.steps[1].project.stage == "metal"

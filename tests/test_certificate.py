"""The parts of the check by themselves: duality on small programmes, rules and halts on a few flows, what is passed over."""

import ast
import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import atlas
from atlas.balances import Chemistry, flow_problems, open_limits
from atlas.certificate import check_arrays, link_problems, programme_certificate
from atlas.halt import Halt
from atlas.halt_check import halt_problems, units_lost
from atlas.lane_rules import LaneRules
from atlas.recount import demand_problems, demand_rows, other_grades
from atlas.stored import _judgeable, _open
from atlas.study import Study

CHECKING = ("balances", "lane_rules", "recount", "certificate", "halt_check", "stored")
MODEL = {"model", "frame", "programme", "solving", "world", "readback", "summary", "restriction", "solver", "outcome"}


@pytest.mark.parametrize("name", CHECKING)
def test_the_check_knows_nothing_of_the_model(name: str) -> None:
    tree = ast.parse((Path(atlas.__file__).parent / f"{name}.py").read_text(encoding="utf-8"))
    imported = {n.module.split(".")[-1] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module}
    assert not imported & MODEL


# -- Duality: min x + 2 y, x + y = 3, x <= 2 has x 2, y 1 ---------------------------------------------------------------


def small(x: tuple[float, ...] = (2.0, 1.0), y: float = 2.0, **more: Any) -> dict[str, float]:
    parts: dict[str, Any] = {
        "cost": np.array([1.0, 2.0]), "lower": np.zeros(2), "upper": np.array([2.0, np.inf]),
        "matrix": sparse.csc_matrix(np.ones((1, 2))), "row_lower": np.array([3.0]), "row_upper": np.array([3.0]),
        "offset": 0.0,
    }  # fmt: skip
    return programme_certificate(**(parts | more), x=np.array(x), y=np.array([y]))


def test_an_optimum_is_proved() -> None:
    assert small() == {"primal_residual": 0.0, "dual_residual": 0.0, "gap": 0.0}


def test_what_is_no_optimum_is_not() -> None:
    assert small(x=(1.0, 2.0))["gap"] > 0.1  # feasible, but dearer
    assert small(x=(2.5, 0.5))["primal_residual"] > 0.1  # above its bound
    assert small(y=2.5)["dual_residual"] > 0.1  # no finite bound carries that reduced cost
    assert small(y=1.0)["gap"] > 0.1  # a true bound, but a loose one
    assert small(row_lower=np.array([4.0]), row_upper=np.array([4.0]))["primal_residual"] > 0.1


# -- The programme's flows are the stored ones ----------------------------------------------------------------------------


def programme() -> dict[str, Any]:
    """One market of 10 t: a lane of magnets in two pieces, shortage, and a lane of metal."""
    matrix = sparse.csc_matrix(np.array([[1.0, 1.0, 1.0, 0.0], [-0.3, -0.3, 0.0, 1.0]]))
    return {
        "cost": np.array([1.0, 2.0, 9.0, 1.0]), "lower": np.zeros(4), "upper": np.array([5.0, 4.0, 10.0, np.inf]),
        "row_lower": np.array([10.0, 0.0]), "row_upper": np.array([10.0, 0.0]), "offset": np.array(0.0),
        "matrix_data": matrix.data, "matrix_indices": matrix.indices, "matrix_indptr": matrix.indptr,
        "matrix_shape": np.array(matrix.shape), "x": np.array([5.0, 4.0, 1.0, 2.7]), "y": np.array([9.0, 1.0]),
    }  # fmt: skip


def metal(tonnes: float) -> pd.DataFrame:
    return pd.DataFrame(
        {"commodity": ["metal"], "element": ["Nd"], "from_id": ["a"], "to_id": ["b"], "tonnes": [tonnes]}
    )


def test_flows_and_shortage_are_those_of_the_programme() -> None:
    assert max(check_arrays(programme()).values()) < 1e-12
    assert link_problems(programme(), metal(2.7), 10.0, 1.0) == []
    assert "no flow" in link_problems(programme(), metal(2.6), 10.0, 1.0)[0]
    assert "short in the programme" in link_problems(programme(), metal(2.7), 10.0, 2.0)[0]
    assert "to meet" in link_problems(programme(), metal(2.7), 11.0, 1.0)[0]


# -- Layers and flows ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def flows(study: Study) -> pd.DataFrame:
    return study.solve().flows


def test_layers_without_samarium_are_balanced_too(study: Study, flows: pd.DataFrame) -> None:
    before = dataclasses.replace(
        study.layers,
        facilities=study.layers.facilities.drop(columns="sm_share"),
        grades=study.layers.grades.drop(columns="sm_t_per_t"),
    )
    assert Chemistry(before).elements == ("Nd", "Pr", "Dy", "Tb")
    assert set(Chemistry(before).keys) == {"NdPr", "Dy", "Tb"}
    rest = flows[(flows["element"] != "Sm") & (flows["grade"] != "SmCo")]
    assert flow_problems(rest, before, "baseline") == []
    assert Chemistry(study.layers).elements == ("Nd", "Pr", "Dy", "Tb", "Sm")


def test_the_demand_of_the_layers_is_the_baselines(study: Study, flows: pd.DataFrame) -> None:
    d = demand_rows(study.layers)
    assert d["demand_t"].sum() == pytest.approx(study.layers.demand["demand_t"].sum())
    assert set(d.loc[d["grade"] == "SmCo", "step_t"]) == {0.0}
    assert "SmCo" not in other_grades(study.layers)
    part = flows[flows["state"] == "baseline"]
    stated = study.solve().summary["baseline"]
    assert demand_problems(part, study.layers, stated) == []
    assert demand_problems(part, study.layers, stated | {"shortage_t": stated["shortage_t"] + 50})


def test_every_rule_has_its_say(study: Study, flows: pd.DataFrame) -> None:
    rules = LaneRules(study.layers, 2024)
    assert rules.problems(flows, "baseline") == []
    f = flows[flows["state"] == "baseline"].copy()
    at = f[f["commodity"] == "metal"]["tonnes"].idxmax()
    for column, value, told in (
        ("to_country", "XXX", "to_country is another"),
        ("to_id", "bayan-obo", "no such trade"),
        ("from_id", "nobody", "no such trade"),
        ("tariff_usd_t", 1.0, "the duty"),
    ):
        wrong = f.copy()
        wrong.loc[at, column] = value
        assert any(told in p for p in rules.problems(wrong, "baseline")), column
        if column == "from_id":
            known = LaneRules(study.layers, 2024, frozenset({"nobody"}))
            assert known.problems(wrong, "baseline") == []


def row(state: str, tonnes: float, **more: str) -> dict[str, Any]:
    base = {"commodity": "magnet", "element": "", "grade": "SH", "from_id": "jlmag-ganzhou", "from_country": "CHN",
            "to_id": "usa-ev", "to_country": "USA", "passages": "", "ports": "", "borders": "", "route_id": "r"}  # fmt: skip
    return base | {"state": state, "tonnes": tonnes} | more


@pytest.mark.parametrize(
    ("halt", "more", "most"),
    [
        (Halt("country", "CHN", share=0.4), {}, 60.0),
        (Halt("country", "CHN", "us-allies", 0.4, frozenset({"magnet"})), {}, 60.0),
        (Halt("country", "CHN", elements=frozenset({"Dy"})), {}, 0.0),
        (Halt("country", "CHN", elements=frozenset({"Sm"})), {}, np.inf),
        (Halt("country", "CHN", elements=frozenset({"Dy"})), {"grade": "standard"}, np.inf),
        (Halt("country", "CHN", commodities=frozenset({"oxide"})), {}, np.inf),
        (Halt("country", "CHN", "DEU"), {}, np.inf),
        (Halt("passage", "panama", share=0.5), {"passages": "taiwan;panama"}, 50.0),
        (Halt("port", "USLAX"), {"ports": "CNSHA;USLAX"}, 0.0),
        (Halt("port", "USLAX"), {"ports": "CNSHA;USLGB"}, np.inf),
        (Halt("border", "CHN-MMR", commodities=frozenset({"concentrate"})), {"borders": "CHN-MMR"}, np.inf),
    ],
    ids=lambda v: v.spec if isinstance(v, Halt) else None,
)
def test_a_halt_lets_through_just_its_share(study: Study, halt: Halt, more: dict[str, str], most: float) -> None:
    units = pd.DataFrame({"normal_t": [1.0], "limit_t": [1.0]}, index=["jlmag-ganzhou"])

    def problems(t: float) -> list[str]:
        f = pd.DataFrame([row("baseline", 100.0, **more), row("halted", t, **more)])
        return halt_problems(f, study.layers, [halt], units)

    if np.isfinite(most):
        assert problems(most) == []
        assert halt.spec in problems(most + 1)[0]
    else:
        assert problems(1e4) == []


def test_lost_units_do_not_multiply(study: Study) -> None:
    halts = [Halt("facility", "lynas-kuantan", share=0.5), Halt("operator", "lynas", share=0.3), Halt("stage", "CHN/metal")]
    lost = units_lost(study.layers, halts)
    assert lost["lynas-kuantan"] == 0.5
    assert lost["mt-weld"] == 0.3
    assert units_lost(study.layers, [Halt("facility", "mt-weld", commodities=frozenset({"oxide"}))]) == {}


def test_limits_are_surge_below_nameplate(study: Study) -> None:
    u = study.solve().facilities
    limits = open_limits(study.layers, u)
    assert np.allclose(limits, u["limit_t"], rtol=1e-9)
    assert (limits >= u["normal_t"] - 1e-9).all()


# -- What is passed over ------------------------------------------------------------------------------------------------


def judged(study: Study, flows: pd.DataFrame, **scenario: Any) -> Any:
    said = {"scenario": {"name": "x", "halts": [], "surcharges": [], "year": 2024, "on": None} | scenario}
    return _judgeable(said, SimpleNamespace(flows=flows), study.layers)  # type: ignore[arg-type]


def test_halts_alone_are_judged_whole_and_more_is_passed_over(study: Study, flows: pd.DataFrame) -> None:
    plain = judged(study, flows, opened=["northwest"], transit=["country:ITA"])
    assert plain == _open(plain)
    assert not judged(study, flows, demand=[{}]).demand
    assert judged(study, flows, demand=[{}]).units
    assert not judged(study, flows, facilities=[{}]).units
    assert not judged(study, flows, facilities=[{}]).normal
    assert not judged(study, flows, tariffs=[{}]).duties
    assert not judged(study, flows, transshipment=True).exports
    assert not judged(study, flows, priority=[{}]).priority
    assert judged(study, flows, buyers=[{}]).buyers
    assert judged(study, flows, stocks=[{}]).chemistry
    free = judged(study, flows, something_new=1)
    assert not any(getattr(free, k) for k in ("demand", "units", "duties", "exports", "priority", "chemistry"))
    assert _open(free).chemistry  # the baseline has none of it
    assert not _open(judged(study, flows, draw=0)).chemistry  # but for a draw, which is of both


SCENARIOS: dict[str, dict[str, Any]] = {
    "demand": {"demand": [{"country": "USA", "sector": "*", "change_pct": 10}]},
    "facility": {"facility": [{"id": "mt-weld", "capacity_t": 100000, "output_t": 90000}]},
    "tariff": {"tariff": [{"importer": "USA", "exporter": "CHN", "commodity": "magnet", "rate_pct": 50}]},
    "buyer": {"buyer": [{"id": "stuttgart", "lon": 9.18, "lat": 48.78, "sector": "ev", "grade": "SH", "tonnes": 300}]},
    "transit": {"halt": [{"spec": "country:ITA", "transit": True}]},
    "open": {"open": ["northwest"]},
    "transshipment": {"halt": [{"spec": "country:CHN:USA/magnet"}], "transshipment": True},
    "stock": {"halt": [{"spec": "facility:lynas-kuantan"}], "stock": [{"facility": "lynas-kuantan", "commodity": "oxide", "tonnes": 1000}]},
    "magnets of a plant": {"halt": [{"spec": "country:CHN/magnet"}], "stock": [{"facility": "vac-hanau", "commodity": "magnet", "tonnes": 300}]},
    "stocks of a country": {"halt": [{"spec": "country:CHN"}], "stock": [{"country": "DEU", "commodity": "magnet", "tonnes": 500},
                                                                          {"country": "JPN", "commodity": "metal", "tonnes": 500}]},
    "parameters": {"parameters": {"separation_recovery": 0.97}},
    "draw": {"draw": 3},
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
def test_scenarios_beyond_halts_raise_no_false_alarm(name: str, study: Study, tmp_path: Path) -> None:
    from test_mutations import Folder

    outcome = study.solve(scenario={"name": name} | SCENARIOS[name])
    assert Folder.of(outcome).problems(tmp_path, study.layers) == []

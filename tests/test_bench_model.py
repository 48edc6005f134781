"""What `make bench` compares the model with says the same on the invented world: linopy, PyPSA and the dense form.

linopy and PyPSA are in an environment of their own (extra `peers`), where `make bench` runs these tests too.
"""

import logging
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from invented import Invented, invent, layers, wide_layers

from atlas.halt import Halt
from atlas.scenario import Buyer, Scenario
from atlas.solver import solve
from atlas.solving import State
from atlas.way import Closures
from benchmarks.peers_dense import dense
from benchmarks.peers_tables import Question, lane_costs, tables

ROOT = Path(__file__).resolve().parent.parent
MAGNETS = frozenset({"magnet"})
CASES = ("open", "magnets stay", "half the magnets stay", "strait", "half a plant", "a separator")


def graded() -> Invented:
    """Return the invented world with contracts and a dear grade, part of whose users may take the plain one."""
    base = layers()
    more = {"contract_share_magnet": 0.6, "contract_charge_usd_t_magnet": 50.0, "step_down_usd_t": 30.0}
    demand = pd.DataFrame(
        {"country": ["AAA", "BBB", "BBB"], "sector": ["motors", "motors", "defence"], "demand_t": [450.0, 400.0, 120.0]},
        index=pd.Index(["aaa-motors", "bbb-motors", "bbb-defence"], name="id"),
    )
    shares = pd.DataFrame(
        {
            "sector": ["motors", "motors", "defence"],
            "grade": ["standard", "UH", "UH"],
            "share": [0.8, 0.2, 1.0],
            "step_down_share": [0.0, 0.5, 0.25],
        }
    )
    return invent(
        parameters=pd.concat([base.parameters, pd.Series(more)]),
        grades=base.grades.assign(steps_down_to=["", "standard"]),
        demand=demand,
        sector_grades=shares,
    )


@pytest.fixture(scope="module", params=["plain", "graded"])
def world(request: pytest.FixtureRequest) -> Invented:
    return invent() if request.param == "plain" else graded()


@pytest.fixture
def hushed() -> Iterator[None]:
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def halted(w: Invented, case: str) -> State:
    halts = {
        "magnets stay": Halt("country", "AAA", commodities=MAGNETS),
        "half the magnets stay": Halt("country", "AAA", share=0.5, commodities=MAGNETS),
        "strait": Halt("passage", "strait"),
        "half a plant": Halt("facility", "b-mag", share=0.5),
        "a separator": Halt("facility", "b-sep"),
    }
    return w.before if case == "open" else w.halted(Scenario(halts=(halts[case],)))


def asked(w: Invented, case: str) -> Question:
    lanes, free = w.world.lanes, lane_costs(w.router)
    out = ((lanes["commodity"] == "magnet") & (lanes["from_country"] == "AAA") & (lanes["to_country"] == "BBB")).to_numpy()
    half = 0.5 * float(w.before.lane_t(len(lanes))[out].sum())
    more: dict[str, Any] = {
        "magnets stay": {"cost_usd_t": np.where(out, np.nan, free)},
        "half the magnets stay": {"caps": [("half", out, half)]},
        "strait": {"cost_usd_t": lane_costs(w.router, Closures(passages=frozenset({"strait"})))},
        "half a plant": {"unit_lost": {"b-mag": 0.5}},
        "a separator": {"unit_lost": {"b-sep": 1.0}},
    }
    return Question(**{"name": case, "cost_usd_t": free} | more.get(case, {}))


@pytest.mark.parametrize("case", CASES)
def test_the_dense_form_has_the_same_optimum(world: Invented, case: str) -> None:
    found = halted(world, case)
    assert solve(dense(world.world, found.programme, found.routes.lane)).objective == pytest.approx(
        found.optimum.objective, rel=1e-9
    )


@pytest.mark.parametrize("odd", [False, True], ids=["shares of whole steps", "odd shares"])
@pytest.mark.parametrize(
    "halts",
    [
        (Halt("facility", "a-mag"),),
        (Halt("country", "AAA"),),
        (Halt("country", "AAA", elements=frozenset({"Dy"})), Halt("facility", "b-mag")),
        (Halt("country", "AAA", commodities=MAGNETS), Halt("facility", "c-mag")),
    ],
    ids=lambda halts: "+".join(h.spec for h in halts),
)
def test_each_demand_row_steps_down_by_itself(halts: tuple[Halt, ...], odd: bool) -> None:
    """The market form has a row by market and grade, the dense form one by demand row; buyers share what is short."""
    mix = wide_layers().sector_grades
    if odd:
        mix = mix.assign(step_down_share=mix["step_down_share"].replace({0.1: 0.13, 0.25: 0.62, 0.3: 1.0}))
    w = invent(wide_layers(sector_grades=mix)).with_buyers([Buyer("b-works", 0, 0, "motors", "H", 100.0)])
    found = w.halted(Scenario(halts=halts))
    d = w.read(found).demand
    assert d["stepped_t"].sum() > 1
    left = d["demand_t"] - d["short_t"]
    assert (d["stepped_t"] <= np.minimum(d["demand_t"] * d["step_down_share"], left) + 1e-6).all()
    assert (left < d["demand_t"] * d["step_down_share"] - 1).any(), "some lack so much that less is left to step down"
    each = solve(dense(w.world, found.programme, found.routes.lane)).objective
    assert each == pytest.approx(found.optimum.objective, rel=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_linopy_has_the_same_optimum(world: Invented, case: str, hushed: None) -> None:
    pytest.importorskip("linopy")
    from benchmarks import peers_linopy

    value, x, _ = peers_linopy.solve(tables(world.world, world.calibration, asked(world, case)), world.world)
    found = halted(world, case)
    assert value == pytest.approx(found.optimum.objective, rel=1e-9)
    short = found.programme.columns["kind"].to_numpy() == "short"
    assert x["short"].sum() == pytest.approx(found.optimum.x[short].sum(), abs=1e-4)


def test_linopy_states_as_many_rows_columns_and_entries(world: Invented) -> None:
    linopy = pytest.importorskip("linopy")
    from benchmarks import peers_linopy

    with linopy.options as options:
        options.set_value(semantics="v1")
        m = peers_linopy.build(tables(world.world, world.calibration, asked(world, "open")), world.world).matrices
    lp = world.before.programme.lp
    assert m.A.shape == lp.matrix.shape
    assert m.A.nnz == lp.matrix.nnz
    assert np.allclose(np.sort(m.ub), np.sort(lp.upper))
    assert np.allclose(np.sort(m.c), np.sort(lp.cost))


def test_pypsa_has_the_same_optimum(hushed: None) -> None:
    pytest.importorskip("pypsa")
    from benchmarks import peers_pypsa

    w = graded()
    value, _ = peers_pypsa.solve(tables(w.world, w.calibration, asked(w, "half the magnets stay")), w.world)
    assert value == pytest.approx(halted(w, "half the magnets stay").optimum.objective, rel=1e-9)


def test_make_bench_runs_every_part_and_fails_in_the_end_if_one_did(tmp_path: Path) -> None:
    """With stand-ins for Python that note what they are asked, and fail for one of the parts."""
    make = shutil.which("make") or pytest.skip("no make here")

    def bench(failing: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
        log = tmp_path / "log"
        log.unlink(missing_ok=True)
        for name in ("bin", "peers/bin"):
            python = tmp_path / name / "python"
            python.parent.mkdir(parents=True, exist_ok=True)
            python.write_text(f'#!/bin/sh\necho "$*" >> {log}\ncase "$*" in *{failing}*) exit 1;; esac\n')
            python.chmod(0o755)
        for stamp in (".made", ".serve", ".bench", "peers/.made"):
            (tmp_path / stamp).touch()
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
        done = subprocess.run([make, "bench", f"VENV={tmp_path}"], cwd=ROOT, env=clean, capture_output=True, text=True)
        return done, log.read_text().splitlines()

    done, whole = bench("nothing")
    assert done.returncode == 0, done.stderr
    assert len(whole) >= 5
    for part in whole:
        done, asked = bench(part.split()[-1])
        assert asked == whole
        assert done.returncode != 0
        assert part in done.stderr

"""Singles: by hand on the invented world, against solves of their own, kept and resumed, through the command."""

import csv
import dataclasses
import io
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rfc7946
from click.testing import CliRunner

from atlas import cli, cli_chokepoints, cli_shell, export_chokepoints
from atlas.candidates import KINDS
from atlas.chokepoint_words import cut_sentence, sets_sentence, singles_json, singles_sentence
from atlas.chokepoints import question, worst_sets
from atlas.config import settings
from atlas.errors import BadInput, SolverFailure
from atlas.losses import EFFECTS, account, from_record, lens, to_record
from atlas.many_solves import Crew
from atlas.minimum_cut import minimum_cut
from atlas.readback import read
from atlas.singles import Singles, halted, singles
from tests.invented import invent, invent_wide
from tests.invented_study import study_of


def study_with(world: Any, folder: Path | str = "off") -> Any:
    made = study_of(world)
    made.settings = dataclasses.replace(settings({}), workers=1, cache_dir=str(folder))
    return made


@pytest.fixture(scope="module")
def simple() -> Singles:
    return singles(study_with(invent()))


@pytest.fixture(scope="module")
def wide() -> Singles:
    return singles(study_with(invent_wide()))


def look(found: Singles, bloc: str = "pair", commodity: str = "magnet", element: str = "all") -> Any:
    return lens(found.study.ground.stage.world, found.study.blocs, bloc, commodity, element)


def test_by_hand(simple: Singles) -> None:
    """Without a-mag only b-mag is left, which reaches 480 t with surge; AAA wants 500 t, BBB 700 t.

    The first half of every demand is the cheaper step, so 600 t of the 720 t short fall on both by halves; the rest
    falls on AAA, since b-mag pays a charge on what it takes from home. BBB is left with 350 t, all of b-mag.
    """
    table = simple.table(look(simple)).set_index("id")
    assert table.at["facility:a-mag", "lost_t"] == pytest.approx(350)
    assert table.at["facility:a-mag", "short_t"] == pytest.approx(350)
    assert table.at["facility:a-mag", "world_short_t"] == pytest.approx(720)
    assert table.at["facility:a-mag", "lost_share"] == pytest.approx(0.5)
    assert table.at["facility:a-mag", "replaced_by"] == "less from AAA 300 t, BBB 50 t; 350 t not replaced"


def test_every_candidate_is_of_its_kind(wide: Singles) -> None:
    assert [KINDS.index(c.kind) for c in wide.candidates] == sorted(KINDS.index(c.kind) for c in wide.candidates)
    ids = [c.id for c in wide.candidates]
    assert len(set(ids)) == len(ids)
    units = set(wide.study.ground.stage.world.units.index)
    assert {c.id.partition(":")[2] for c in wide.candidates if c.kind == "facility"} == units
    production = [c for c in wide.candidates if c.kind == "production"]
    assert all(c.units == frozenset().union(*(s.units for s in wide.candidates if s.kind == "stage" and s.country == c.country)) for c in production)
    assert len([c for c in wide.candidates if c.kind == "exports"]) == len(production) == 3


@pytest.mark.parametrize("element", ["all", "Dy", "NdPr"])
@pytest.mark.parametrize("commodity", ["magnet", "metal", "oxide", "concentrate"])
def test_rows_are_what_solves_of_their_own_give(wide: Singles, commodity: str, element: str) -> None:
    """The account against the flows and demand as they are read back."""
    study, seen = wide.study, look(wide, commodity=commodity, element=element)
    world = study.ground.stage.world
    table = wide.table(seen).set_index("id")

    def supply(reading: Any) -> float:
        lanes = reading.lanes[(reading.lanes["commodity"] == commodity) & reading.lanes["to_country"].isin(seen.countries)]
        if commodity == "magnet":
            return float(sum(t * seen.content["magnet", g] for t, g in zip(lanes["t"], lanes["grade"], strict=True)))
        wanted = [e for e in ("Nd", "Pr", "Dy", "Tb", "Sm") if seen.content["oxide", e]]
        if commodity == "concentrate":
            return float((lanes["t"].to_numpy() * world.units.loc[lanes["mine"], wanted].to_numpy(dtype=float).sum(axis=1)).sum())
        return float(lanes.loc[lanes["element"].isin(wanted), "t"].sum())

    before = read(world, study.before)
    for c in [c for c in wide.candidates if not c.idle][::4]:
        after = read(world, halted(study, c.halts))
        row = table.loc[c.id]
        assert row["lost_t"] == pytest.approx(supply(before) - supply(after), abs=1e-3), c.id
        short = {k: r.demand[r.demand["country"].isin(seen.countries) & r.demand["grade"].map(seen.holds)]["short_t"].sum()
                 for k, r in (("before", before), ("after", after))}  # fmt: skip
        assert row["short_t"] == pytest.approx(short["after"] - short["before"], abs=1e-3), c.id
        assert row["world_short_t"] == pytest.approx(after.demand["short_t"].sum() - before.demand["short_t"].sum(), abs=1e-3)


def test_spending_adds_up_to_the_worlds(wide: Singles) -> None:
    world = wide.study.ground.stage.world
    for state in (wide.study.before, halted(wide.study, ["facility:a-mag"])):
        assert account(world, state).spend_usd.sum() == pytest.approx(read(world, state).spend_usd)


def test_what_is_skipped_costs_nothing(wide: Singles) -> None:
    """Skipped because nothing moves through it; the solve agrees."""
    idle = [c for c in wide.candidates if c.idle]
    assert idle
    table = wide.table(look(wide)).set_index("id")
    for c in idle:
        state = halted(wide.study, c.halts)
        assert state.optimum.objective == pytest.approx(wide.study.before.optimum.objective, rel=1e-9)
        assert (table.loc[c.id, [e for e in EFFECTS if e != "lost_share"]].astype(float).abs() < 1e-9).all()
        assert table.at[c.id, "proved_nil"]


def test_worst_comes_first(wide: Singles) -> None:
    for element in ("all", "Dy"):
        lost = wide.table(look(wide, element=element))["lost_t"].to_numpy()
        assert (np.diff(lost) <= 0.1 + 1e-9).all()


def test_a_record_is_the_account(wide: Singles) -> None:
    world = wide.study.ground.stage.world
    made = account(world, halted(wide.study, ["stage:AAA/magnet"]))
    record = json.loads(json.dumps(to_record(made, wide.before, least_t=0.0)))
    again = from_record(record, wide.before)
    for name in ("short", "stepped", "spend_usd", "t_days", "moved_t"):
        a, b = getattr(made, name), getattr(again, name)
        assert b.reindex(a.index).to_numpy() == pytest.approx(a.to_numpy()), name
        assert b.sum() == pytest.approx(a.sum())
    both = made.supply.index.union(again.supply.index)
    assert again.supply.reindex(both).fillna(0.0).to_numpy() == pytest.approx(made.supply.reindex(both).fillna(0.0).to_numpy(), abs=1e-6)


def test_solved_once_and_resumed(tmp_path: Path) -> None:
    """A stop after some solves loses none of them; the second time nothing is solved."""
    study = study_with(invent_wide(), tmp_path)

    class Stop(Exception):
        pass

    def stop(done: int, total: int, what: str) -> None:
        if done == 7:
            raise Stop

    with pytest.raises(Stop):
        singles(study, stop)
    rest = singles(study)
    busy = sum(not c.idle for c in rest.candidates)
    assert rest.solves == busy - 7
    again = singles(study)
    assert again.solves == 0
    pd.testing.assert_frame_equal(rest.table(look(rest)), again.table(look(again)))


def _double(holds: int, task: int) -> int:
    return holds * task


def _fail(holds: int, task: int) -> int:
    raise SolverFailure(f"no optimum for {task}")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_crew_does_all_and_raises_what_the_work_raises(workers: int) -> None:
    with Crew(_double, 3, workers) as crew:
        assert sorted(crew.each(range(7))) == [(n, 3 * n) for n in range(7)]
        told: dict[int, int] = {}
        ahead = iter(range(5))
        crew.drive(lambda: next(ahead, None), told.__setitem__)
        assert told == {n: 3 * n for n in range(5)}
    with Crew(_fail, 3, workers) as crew, pytest.raises(SolverFailure, match="no optimum for 0"):
        list(crew.each([0]))


def test_words(wide: Singles, simple: Singles) -> None:
    seen = look(wide, element="Dy")
    assert singles_sentence(wide, seen).startswith("Losing ")
    assert "Dy in magnets" in singles_sentence(wide, seen)
    made = singles_json(wide, seen, 3)
    assert [r["rank"] for r in made["rows"]] == [1, 2, 3]
    assert {*EFFECTS, "id", "kind", "halts", "replaced_by", "proved_nil"} <= set(made["rows"][0])
    json.dumps(made, allow_nan=False)
    q = question(simple.study, "pair", "all", ("facility",))
    worst = worst_sets(simple.study, q, 2)
    assert sets_sentence(worst).startswith("The worst pair for pair is ")
    assert ("leaves out" in sets_sentence(worst)) == worst.without_best_single


def test_minimum_cut_by_hand() -> None:
    """AAA's 800 t could all go to BBB, which needs 700 t: losing b-mag alone leaves it whole. Both plants are needed."""
    study = study_with(invent())
    asked = question(study, "pair", "all", ("facility",), cut=True)
    found = minimum_cut(study, asked, 0.5)
    assert found.proved
    one = {c.id: minimum_cut(study, dataclasses.replace(asked, candidates=(c,)), 0.5, largest=1) for c in asked.candidates}
    alone = [i for i, f in one.items() if f.members]
    if alone:
        assert len(found.members) == 1
    else:
        assert len(found.members) == 2
        assert found.refuted == 1
    assert found.short_share > 0.5
    assert ("takes" in cut_sentence(found)) == (len(found.members) == 1)
    with pytest.raises(BadInput, match="share 1.5"):
        minimum_cut(study, asked, 1.5)


def test_minimum_cut_equals_brute_force() -> None:
    """The least size of which some set takes the bloc below a share, over all sets."""
    import itertools

    from atlas.set_values import value

    study = study_with(invent_wide())
    asked = question(study, "pair", "Dy", ("facility",), cut=True)
    asked = dataclasses.replace(asked, candidates=asked.candidates[:: max(1, len(asked.candidates) // 9)])
    n = len(asked.candidates)
    for share in (0.9, 0.6, 0.3):
        found = minimum_cut(study, asked, share, largest=3)
        enough = (1 - share) * found.demand_t * (1 + 1e-9)
        sizes = [
            k for k in (1, 2, 3)
            if any(value((study, asked), s)["v"] >= enough for s in itertools.combinations(range(n), k))
        ]  # fmt: skip
        assert (len(found.members) if found.members else None) == (sizes[0] if sizes else None), share


@pytest.fixture
def command(wide: Singles, monkeypatch: pytest.MonkeyPatch) -> Any:
    for room in (cli, cli_shell, cli_chokepoints):
        monkeypatch.setattr(room, "open_study", lambda obj: wide.study)
    return lambda *args: CliRunner().invoke(cli.main, ["chokepoints", *args])


def test_command(command: Any) -> None:
    said = command("--bloc", "pair", "--element", "Dy", "--top", "4")
    assert said.exit_code == 0, said.output
    assert "what replaced it" in said.stdout
    assert max(map(len, said.stdout.splitlines())) <= 120
    found = json.loads(command("--bloc", "pair", "--json", "--top", "5", "--among", "facility").stdout)
    assert len(found["rows"]) == 5
    assert {r["kind"] for r in found["rows"]} == {"facility"}
    pairs = json.loads(command("--bloc", "pair", "--json", "--size", "2", "--top", "3", "--among", "facility").stdout)
    assert pairs["proved"]
    assert all(len(r["members"]) == 2 for r in pairs["rows"])
    assert command("--bloc", "pair", "--size", "2", "--top", "3", "--among", "facility").exit_code == 0
    cut = json.loads(command("--bloc", "pair", "--json", "--cut", "0.5", "--among", "facility").stdout)
    assert cut["proved"] or cut["refuted_size"] > 0


def test_command_refuses_with_all_problems(command: Any) -> None:
    said = command("--bloc", "nobody", "--element", "Xy", "--size", "2", "--among", "plant")
    assert said.exit_code == 2
    assert all(t in said.stderr for t in ("nobody", "Xy", "plant"))
    assert command("--commodity", "oxide", "--size", "2").exit_code == 2
    assert command("--out", "x.txt").exit_code == 2
    assert command("--among", "plants").exit_code == 2


def test_export_as_a_geopackage(wide: Singles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyogrio

    place = lambda *_: None  # noqa: E731  # the invented world lies nowhere
    monkeypatch.setattr(export_chokepoints, "shape", place)
    monkeypatch.setattr(wide.study, "router", SimpleNamespace(network=SimpleNamespace(border_points=dict)), raising=False)
    for room in (cli, cli_shell, cli_chokepoints):
        monkeypatch.setattr(room, "open_study", lambda obj: wide.study)
    out = tmp_path / "c.gpkg"
    said = CliRunner().invoke(cli.main, ["export", "chokepoints", "--bloc", "pair", "--out", str(out)])
    assert said.exit_code == 0, said.output
    table = pyogrio.read_dataframe(out, layer="chokepoints")
    assert len(table) == len(wide.candidates)
    assert {"id", "rank", "lost_t", "halts"} <= set(table.columns)
    refused = CliRunner().invoke(cli.main, ["export", "chokepoints", "--halt", "passage:strait", "--out", str(out)])
    assert refused.exit_code == 2


def test_csv(command: Any, wide: Singles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_chokepoints, "shape", lambda *_: None)  # the invented world lies nowhere
    monkeypatch.setattr(wide.study, "router", SimpleNamespace(network=SimpleNamespace(border_points=dict)), raising=False)
    path = tmp_path / "lost.csv"
    done = command("--bloc", "pair", "--out", str(path))
    assert done.exit_code == 0, done.output
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
    assert [r["rank"] for r in rows[:2]] == ["1", "2"]
    assert all(r["halts"] for r in rows)
    pairs = tmp_path / "pairs.csv"
    assert command("--bloc", "pair", "--size", "2", "--among", "facility", "--out", str(pairs)).exit_code == 0
    assert pairs.read_text(encoding="utf-8").startswith("rank,members,names")


@pytest.mark.slow
def test_shipped_world(study: Any, tmp_path: Path) -> None:
    """All singles in two processes: every kind is there, GeoJSON holds, what China makes of metal costs the allies most."""
    own = dataclasses.replace(study.settings, cache_dir=str(tmp_path), workers=2)
    made = type(study)(study.layers, study.year, own)
    made.__dict__["calibration"] = study.calibration
    found = singles(made)
    assert found.solves >= 300
    assert {c.kind for c in found.candidates} == set(KINDS)
    seen = look(found, "us-allies")
    table = found.table(seen)
    assert table.at[0, "country"] == "CHN"
    first = study.solve(table.at[0, "id"].split(" "))
    assert first.summary["halted"]["bloc_supplied_share"] == pytest.approx(1 - table.at[0, "short_t"] / seen.demand_t(found.study.ground.stage.world), abs=1e-4)
    text = export_chokepoints.chokepoints_geojson(found, seen)
    assert not rfc7946.problems(text)
    collection = json.loads(text)
    assert len(collection["features"]) == len(table)
    other = json.loads(export_chokepoints.chokepoints_geojson(found, look(found, "eu27", element="Dy")))
    assert {f["id"] for f in other["features"]} == {f["id"] for f in collection["features"]}


def children(pid: int) -> list[int]:
    """Return the processes that a process started, where the system tells."""
    return [int(p.parent.name) for p in Path("/proc").glob("[0-9]*/stat") if parent(p) == pid]


def parent(stat: Path) -> int:
    try:
        return int(stat.read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return -1


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc for the processes of a command")
def test_a_killed_process_goes_on(tmp_path: Path) -> None:
    """Kill the command in the middle of all singles, with its processes; the next run solves only the rest."""
    import os
    import signal
    import time

    env = os.environ | {"ATLAS_CACHE_DIR": str(tmp_path), "ATLAS_WORKERS": "2"}
    command = [sys.executable, "-m", "atlas", "chokepoints", "--json"]
    first = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    lines = 0
    while lines < 30 and time.monotonic() < deadline:
        time.sleep(0.5)
        lines = sum(p.read_bytes().count(b"\n") for p in (tmp_path / "findings").glob("singles-*.jsonl")) if (tmp_path / "findings").exists() else 0
    workers = children(first.pid)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert lines >= 30
    assert len(workers) >= 2
    deadline = time.monotonic() + 20
    while any(map(running, workers)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not any(map(running, workers)), "its processes end with it"
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-500:]
    [journal] = (tmp_path / "findings").glob("singles-*.jsonl")
    keys = [json.loads(line)["key"] for line in journal.read_text(encoding="utf-8").splitlines() if line.strip()]
    assert len(keys) - len(set(keys)) <= 4  # at most what was under way is solved again

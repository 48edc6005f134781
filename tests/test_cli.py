"""Commands: what they print where, their exit codes, and one clear line per failure."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result
from fake_outcome import HOSTILE, fake_outcome

from atlas import answer_words, cli, cli_shell, cli_text, study
from atlas.errors import BadInput, NoAnswer, SolverFailure, UnknownName

ROUTE = {
    "reachable": True, "reason": "", "distance_km": 12345.678, "days": 30.25, "cost_usd_t": 210.5, "passages": ["malacca"],
    "ports": ["CNSHA"], "borders": [], "countries": ["CHN"], "snap_km": [0.5, 12.0],
    "legs": [{"mode": "sea", "from": "CNSHA", "to": "NLRTM", "distance_km": 12345.0, "days": 30.0, "cost_usd_t": 200.0}],
    "geometry": {"type": "LineString", "coordinates": [[0, 0], [1, 1]]},
}  # fmt: skip


class FakeStudy:
    """Answers like a Study and keeps what it was asked."""

    def __init__(self, outcome: Any) -> None:
        self.outcome, self.asked, self.layers = outcome, [], outcome.layers
        self.blocs = {name: frozenset[str]() for name in ("us-allies", "nato", "prc")}

    def question(self, halts: Any = (), scenario: Any = None, on: Any = None) -> Any:
        self.asked.append({"halts": tuple(halts), "scenario": scenario, "on": on})
        if "country:CHM" in halts:
            raise BadInput(["halt `country:CHM`: unknown country 'CHM'; nearest: CHN", "halt `x`: expected KIND:TARGET"])
        return SimpleNamespace(name="halts", opened=frozenset())

    def solve(self, scenario: Any = None, bloc: str = "us-allies") -> Any:
        if bloc == "nobody":
            raise UnknownName("bloc", bloc, ["nato"])
        if bloc == "fails":
            raise SolverFailure("the solver found no optimum: Time limit reached")
        if bloc == "breaks":
            raise KeyError("a fault\nof the program")
        return self.outcome

    def route(self, a: Any, b: Any, **how: Any) -> Any:
        self.asked.append({"a": a, "b": b, **how})
        doc = ROUTE if "hormuz" not in how["close"] else ROUTE | {"reachable": False, "reason": "hormuz is closed", "distance_km": None}
        one = SimpleNamespace(to_json=lambda: doc)
        return one if how["alternatives"] == 1 else [one] * how["alternatives"]


@pytest.fixture
def fake(outcome: Any, monkeypatch: Any) -> FakeStudy:
    made = FakeStudy(outcome)
    for room in (cli, cli_shell):
        monkeypatch.setattr(room, "open_study", lambda obj: made)
    return made


def run(*args: str) -> Result:
    return CliRunner().invoke(cli.main, list(args), catch_exceptions=False)


def refused(result: Result, code: int = 2) -> str:
    """Return the one line of a failure."""
    assert result.exit_code == code, result.output
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert "Traceback" not in result.output
    return lines[0]


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["slove"], "unknown command 'slove'; nearest: solve"),
        (["solve", "--hlat", "x"], "--halt"),
        (["find"], "TEXT"),
        (["route", "CNSHA"], "TO"),
        (["--year", "soon", "solve"], "soon"),
        (["solve", "--on", "4 April"], "YYYY-MM-DD"),
        (["solve", "--force"], "--out"),
        (["solve", "--check", "x", "--halt", "passage:suez"], "--check"),
        (["solve", "--halt", "country:CHM"], "nearest: CHN; halt `x`: expected"),
        (["solve", "--bloc", "nobody"], "nearest: nato"),
        (["export", "flow", "--out", "x.csv"], "nearest: flows"),
        (["export", "flows", "--out", "x.shp"], ".geojson"),
        (["export", "all", "--out", "x.csv"], ".gpkg"),
        (["map", "--out", "x.gif"], ".html"),
        (["map"], "--out"),
        (["route", "400,95", "CNSHA"], "not lon,lat"),
        (["route", "1,2,3", "CNSHA"], "not lon,lat"),
        (["route", "nan,2", "CNSHA"], "not lon,lat"),
        (["route", "CNSHA", "NLRTM", "--alternatives", "0"], "--alternatives"),
        (["serve", "--port", "99999"], "--port"),
    ],
)
def test_bad_input_is_one_clear_line_and_2(fake: FakeStudy, args: list[str], text: str) -> None:
    assert text in refused(run(*args))


def test_no_optimum_is_1(fake: FakeStudy) -> None:
    assert "no optimum" in refused(run("solve", "--bloc", "fails"), 1)


def test_a_fault_of_the_program_is_one_line_too(fake: FakeStudy, monkeypatch: Any) -> None:
    line = refused(run("solve", "--bloc", "breaks"), 1)
    assert "unexpected KeyError" in line
    assert "of the program" in line
    monkeypatch.setenv("ATLAS_DEBUG", "1")
    with pytest.raises(KeyError):
        run("solve", "--bloc", "breaks")


def test_help_names_every_command() -> None:
    result = run("--help")
    assert result.exit_code == 0
    for name in ("check", "find", "route", "solve", "map", "export", "roads", "serve", "about"):
        assert re.search(rf"^  {name} ", result.output, re.MULTILINE)
        assert run(name, "--help").exit_code == 0
    assert run().exit_code == 2


def test_solve_json_is_the_summary_exactly(fake: FakeStudy) -> None:
    result = run("solve", "--halt", "country:CHN/magnet", "--halt", "passage:suez", "--on", "2025-05-01", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == fake.outcome.summary
    assert "solved in" in result.stderr
    assert fake.asked[0]["halts"] == ("country:CHN/magnet", "passage:suez")
    assert fake.asked[0]["on"].isoformat() == "2025-05-01"


def test_solve_text_puts_the_sentence_first_and_the_tuned_list_last(fake: FakeStudy) -> None:
    lines = run("solve", "--halt", "country:CHN/magnet").stdout.splitlines()
    assert lines[0] == fake.outcome.sentence
    assert lines[-1].strip() == "baotou-metal: -210 USD/t"
    text = "\n".join(lines)
    for words in ("baseline", "halted", "shortage by sector", "who replaces whom", "through each passage", "primal residual"):
        assert words in text
    assert max(len(line) for line in lines[1:]) <= 100


def test_baseline_text_shows_one_state() -> None:
    alone = fake_outcome(())
    alone.summary["halted"] = alone.summary["baseline"]
    text = cli_text.solve_text(alone)
    assert "baseline" in text
    assert "halted  " not in text
    assert "change" not in text
    assert "none: the baseline" in text


def test_solve_text_tells_buyers_detours_stocks_and_prices() -> None:
    text = cli_text.solve_text(fake_outcome(more=True))
    lines = text.splitlines()
    assert max(len(line) for line in lines[1:]) <= 100
    for words in (
        r"contract +stuttgart-works buys 200 t of SH magnet from ningbo-magnet",
        r"parameter +transshipment_share = 0.5",
        r"transshipment +through VNM",
        r"draw +7",
        r"stuttgart-works +gets, of 300 t SH +300 +45 +-255",
        r" +jpn-magnet +0 +45 +\+45",
        r"SH +the next lower one +0 +120",
        r"Dy metal of JPN +50 +30",
        r"VNM +900",
        r"SH magnet +DEU +900 +1,404,900 +\+1,404,000 +2 +neither exactly",
        r"Dy metal +JPN +8,000 +10,340",
        r"not a market price",
        r"61 % of the tonnes rest on estimates \(C\): mines 33 %",
    ):
        assert re.search(words, text), words
    assert text.index("buyers, t") < text.index("magnet demand, t")


def test_solve_text_leaves_out_what_did_not_happen() -> None:
    text = cli_text.solve_text(fake_outcome())
    for words in ("buyers, t", "taken instead", "let go", "round a ban", "contract", "parameter"):
        assert words not in text
    alone = fake_outcome(())
    alone.summary["halted"] = alone.summary["baseline"]
    assert "price, USD/t" not in cli_text.solve_text(alone)
    assert "rest on estimates" in cli_text.solve_text(alone)


def test_at_most_eight_prices_over_a_thousand() -> None:
    summary = fake_outcome().summary
    before, after = ({f"g{i}": {"DEU": 100.0 + x * i} for i in range(12)} for x in (0, 900))
    summary["baseline"]["prices_usd_t"], summary["halted"]["prices_usd_t"] = {"magnet": before}, {"magnet": after}
    found = answer_words.rises(summary)
    assert [r.what for r in found] == [f"g{i}" for i in range(11, 3, -1)]
    after["g11"] = {"DEU": 100.0 + 900 * 11, "USA": 101.0 + 900 * 11}
    before["g11"]["USA"] = 100.0
    assert answer_words.rises(summary)[0].place == "DEU", "of places alike the one that is shortest"
    assert answer_words.rises(summary)[0].places == 2


def test_names_cannot_break_the_table() -> None:
    text = cli_text.table(("name", "t"), [("a\x1b[31m\nb", "1"), (HOSTILE, "22")])
    assert "\x1b" not in text
    assert len(text.splitlines()) == 4


def test_solve_writes_a_folder_and_refuses_it_the_second_time(fake: FakeStudy, tmp_path: Path, monkeypatch: Any) -> None:
    from atlas import render

    monkeypatch.setattr(render, "page", lambda outcome, **how: "<!doctype html>")
    out = tmp_path / "out"
    assert run("solve", "--halt", "country:CHN/magnet", "--out", str(out)).exit_code == 0
    assert (out / "map.html").read_text() == "<!doctype html>"
    fake.asked.clear()
    assert "--force" in refused(run("solve", "--out", str(out)))
    assert not fake.asked  # refused before anything was solved
    assert run("solve", "--out", str(out), "--force").exit_code == 0


def test_solve_opens_passages(fake: FakeStudy, monkeypatch: Any) -> None:
    monkeypatch.setattr(cli_shell.dataclasses, "replace", lambda q, **changes: q)
    assert run("solve", "--open", "northwest", "--json").exit_code == 0
    assert fake.asked[1]["scenario"]["open"] == ["northwest"]


def test_map_and_export_write_files(fake: FakeStudy, tmp_path: Path, monkeypatch: Any) -> None:
    from atlas import render

    asked: dict[str, Any] = {}
    monkeypatch.setattr(render, "page", lambda outcome, **how: asked.update(how) or "<!doctype html>")
    assert run("map", "--out", str(tmp_path / "m.html"), "--title", "T", "--focus", "-10,30,40,60").exit_code == 0
    assert asked == {"view": "change", "title": "T", "focus": "-10,30,40,60"}
    for suffix in (".geojson", ".gpkg", ".csv"):
        assert run("export", "changes", "--halt", "passage:suez", "--out", str(tmp_path / f"c{suffix}")).exit_code == 0
        assert (tmp_path / f"c{suffix}").stat().st_size > 500


def test_route_takes_negative_coordinates_and_all_options(fake: FakeStudy) -> None:
    result = run(
        "route", "-115.5,35.4", "-.5,-51.5", "--close", "suez", "--close", "CHN-MMR", "--open", "northwest",
        "--modes", "sea, rail", "--commodity", "oxide", "--json",
    )  # fmt: skip
    assert result.exit_code == 0
    assert json.loads(result.stdout) == ROUTE
    asked = fake.asked[0]
    assert (asked["a"], asked["b"]) == ((-115.5, 35.4), (-0.5, -51.5))
    assert asked["close"] == ("suez", "CHN-MMR")
    assert asked["open"] == ("northwest",)
    assert asked["modes"] == ("sea", "rail")
    assert asked["commodity"] == "oxide"


def test_closures_may_be_lists_and_repeated(fake: FakeStudy) -> None:
    run("route", "CNSHA", "NLRTM", "--close", "suez; CHN-MMR,panama", "--close", "SGSIN", "--open", "northwest;northern-sea-route")
    assert fake.asked[-1]["close"] == ("suez", "CHN-MMR", "panama", "SGSIN")
    assert fake.asked[-1]["open"] == ("northwest", "northern-sea-route")


def test_route_in_words_and_alternatives(fake: FakeStudy) -> None:
    text = run("route", "CNSHA", "NLRTM").stdout
    assert text.startswith("12,346 km, 30.2 days, 210.5 USD/t")
    assert "malacca" in text
    assert len(json.loads(run("route", "CNSHA", "NLRTM", "--alternatives", "3", "--json").stdout)) == 3
    assert "way 2" in run("route", "CNSHA", "NLRTM", "--alternatives", "2").stdout


def test_unreachable_is_1_with_the_reason(fake: FakeStudy) -> None:
    result = run("route", "CNSHA", "SADMM", "--modes", "sea", "--close", "hormuz", "--json")
    assert "hormuz is closed" in refused(result, 1)
    answer = json.loads(result.stdout)
    assert answer["reachable"] is False
    assert not answer["distance_km"]


def test_find_by_name() -> None:
    rows = json.loads(run("find", "kuantan", "--json").stdout)
    assert {"id", "kind", "name", "country"} == set(rows[0])
    assert any(r["id"] == "lynas-kuantan" for r in rows)
    only = json.loads(run("find", "kuantan", "--kind", "port", "--json").stdout)
    assert [r["id"] for r in only] == ["MYKUA"]
    assert "nothing is called" in refused(run("find", "qqqqqqqq"), 1)
    assert "unknown kind" in refused(run("find", "x", "--kind", "planet"))


def test_check_lists_layers_and_problems(tmp_path: Path) -> None:
    result = run("check")
    assert result.exit_code == 0, result.output
    rows = result.stdout.split("\n\n")[0].splitlines()[2:]
    counted = {line.split()[0]: line.split()[1:3] for line in rows}
    assert int(counted["facilities"][0]) >= 300
    assert {problems for _, problems in counted.values()} == {"0"}
    assert "kachin-chipwi" in result.stdout.split("\n\n")[1]  # far from the roads known: told, and no problem
    bad = "id,site,name,stage,country,lon,lat\nnew-mine,new-mine,New,mien,CHX,200,95\n"
    (tmp_path / "facilities.csv").write_text(bad)
    line = refused(run("--layers", str(tmp_path), "check"))
    for word in ("new-mine", "mien", "CHX", "200", "95"):
        assert word in line
    assert "new-mine" in refused(run("--layers", str(tmp_path), "find", "x"))


def test_about_names_versions_sources_and_licences() -> None:
    text = run("about").stdout
    for word in ("highspy", "GDAL", "OpenStreetMap contributors", "ODbL", "EUPL-1.2", "Natural Earth", "sha256"):
        assert word in text


def test_check_of_a_stored_folder_refuses_what_is_none(tmp_path: Path) -> None:
    assert "is not a folder" in refused(run("solve", "--check", str(tmp_path / "none")))
    assert "flows.csv" in refused(run("solve", "--check", str(tmp_path)))
    for name, content in (("summary.json", "{"), ("flows.csv", "a,b\n1,2\n"), ("certificate.npz", "no")):
        (tmp_path / name).write_text(content)
    line = refused(run("solve", "--check", str(tmp_path)))
    for name in ("summary.json", "flows.csv", "certificate.npz"):
        assert name in line


def test_a_reader_that_leaves_early_is_no_failure() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "atlas", "find", "magnet"], stdout=write, stderr=subprocess.PIPE, text=True, timeout=60
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_under_standard_output_is_one_line() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "atlas", "find", "kuantan"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.strip() == "error: cannot write the answer: No space left on device"


def test_an_interrupt_is_one_line() -> None:
    script = "import os, signal\nfrom atlas import cli, layers\n" \
             "def stop(path=None): os.kill(os.getpid(), signal.SIGINT)\n" \
             "layers.open_layers = stop\ncli.main(['find', 'x'])"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr.strip()) == (130, "error: interrupted")


def test_output_is_ascii_json_and_survives_any_locale() -> None:
    env = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    for extra in ([], ["--json"]):
        done = subprocess.run([sys.executable, "-m", "atlas", "find", "mine", *extra], capture_output=True, env=env, timeout=60)
        assert done.returncode == 0, done.stderr
        assert done.stdout.isascii()


def test_help_loads_nothing_heavy() -> None:
    """The time itself is in `make bench`; what would cost it is what gets imported."""
    code = (
        "import sys; from atlas.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(*sorted({'pandas', 'geopandas', 'highspy', 'flask', 'folium', 'scipy', 'numpy'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert "Usage" in done.stdout
    assert done.stderr.strip() == ""


def test_a_port_that_is_taken_is_refused_at_once(monkeypatch: Any) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr(cli, "open_study", lambda obj: pytest.fail("the port is looked at first"))
        assert "cannot listen" in refused(run("serve", "--port", str(port)))


def test_study_is_opened_with_the_global_options(monkeypatch: Any, outcome: Any) -> None:
    asked: dict[str, Any] = {}

    def opened(layers: Any, year: int) -> FakeStudy:
        asked.update(layers=layers, year=year)
        return FakeStudy(outcome)

    monkeypatch.setattr(study, "open", opened)
    assert run("--layers", "mine", "--year", "2026", "solve", "--json").exit_code == 0
    assert asked == {"layers": "mine", "year": 2026}


def test_errors_carry_their_exit_code() -> None:
    assert (BadInput("x").exit_code, NoAnswer("x").exit_code, SolverFailure("x").exit_code) == (2, 1, 1)
    assert signal.SIGINT == 2

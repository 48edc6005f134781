"""`atlas export`: every layer in every format, scenarios, and all that is wrong told at once with the nearest names."""

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import pyogrio
import pytest
from click.testing import CliRunner, Result
from small_study import small_study

from atlas import cli, cli_shell, export


@pytest.fixture
def run(monkeypatch: Any) -> Any:
    monkeypatch.setattr(cli_shell, "open_study", lambda obj: small_study())

    def call(*args: str) -> Result:
        return CliRunner().invoke(cli.main, ["export", *args], catch_exceptions=False)

    return call


def test_a_scenario_and_halts_together(run: Any, tmp_path: Path) -> None:
    out = tmp_path / "ports.geojson"
    done = run("ports", "--scenario", "april-2025", "--halt", "passage:malacca", "--on", "2025-06-01", "--out", str(out))
    assert done.exit_code == 0, done.output
    told = json.loads(out.read_text(encoding="utf-8"))["scenario"]
    assert "passage:malacca" in told["halts"]
    assert len(told["halts"]) + len(told.get("licences", [])) > 1
    assert told["on"] == "2025-06-01"


def test_a_scenario_file(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('name = "Mine"\n[[halt]]\nspec = "facility:vac-hanau"\n', encoding="utf-8")
    out = tmp_path / "f.fgb"
    assert run("facilities", "--scenario", str(file), "--out", str(out)).exit_code == 0
    made = pyogrio.read_dataframe(out).set_index("id")
    assert made["halted_t"]["vac-hanau"] == 0.0 < made["baseline_t"]["vac-hanau"]


@pytest.mark.parametrize("suffix", export.SUFFIXES)
def test_every_format_has_every_row(run: Any, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"changes{suffix}"
    assert run("changes", "--halt", "country:CHN/magnet", "--out", str(out)).exit_code == 0
    wanted = export.layer_table(small_study().solve(("country:CHN/magnet",)), "changes")
    if suffix == ".parquet":
        found = gpd.read_parquet(out)
    else:
        found = pyogrio.read_dataframe(out, layer="changes" if suffix in (".gpkg", ".geojson") else None)
    assert sorted(found["id"]) == sorted(wanted.index)
    assert abs(found["halted_t"].astype(float).sum() - wanted["halted_t"].sum()) < 1e-3


def test_all_that_is_wrong_is_told_at_once_with_the_nearest_names(run: Any, tmp_path: Path) -> None:
    said = run("flow", "--halt", "passage:malaca", "--bloc", "us-alies", "--out", str(tmp_path / "x.shp"))
    assert said.exit_code == 2
    lines = [line for line in said.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    for word in ("'flow'", "nearest: flows", ".shp", ".parquet", "malacca", "us-allies"):
        assert word in lines[0], word
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("facilites", "--out", "x.gpkg"), "nearest: facilities"),
        (("chokepoint", "--out", "x.gpkg"), "nearest: chokepoints"),
        (("all", "--out", "x.fgb"), ".gpkg"),
        (("flows", "--out", "no/such/folder/x.fgb"), "does not exist"),
        (("flows", "--scenario", "april-2052", "--out", "x.fgb"), "april-2025"),
        (("flows", "--on", "soon", "--out", "x.fgb"), "YYYY-MM-DD"),
        (("chokepoints", "--scenario", "april-2025", "--out", "x.fgb"), "--scenario"),
    ],
)
def test_bad_input_is_one_clear_line(run: Any, args: tuple[str, ...], words: str) -> None:
    said = run(*args)
    assert said.exit_code == 2, said.output
    assert words in said.stderr
    assert said.stderr.count("error: ") == 1
    assert not Path(args[-1]).exists()

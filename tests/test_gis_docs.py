"""docs/gis.md tells the truth: its commands run, its columns are those of the code, its files exist."""

import io
import re
import shlex
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import gis_fields
import pyogrio
import pytest
from click.testing import CliRunner
from small_study import small_study

from atlas import cli, cli_shell, export, export_stretches, export_tables
from atlas.config import settings
from atlas.web import create_app

DOCS = Path(__file__).resolve().parent.parent / "docs"
GIS = (DOCS / "gis.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GIS, re.DOTALL)


def lines(language: str) -> list[str]:
    return [line for line in "\n".join(blocks(language)).splitlines() if line]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the shell commands of the page were run, on a world of nineteen facilities."""
    made: Path = tmp_path_factory.mktemp("gis")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli_shell, "open_study", lambda obj: small_study())
        patch.chdir(made)
        for line in lines("sh"):
            words = shlex.split(line)
            assert words[:2] == ["atlas", "export"]
            done = CliRunner().invoke(cli.main, words[1:])
            assert done.exit_code == 0, (line, done.output)
    return made


def test_the_shell_commands_write_what_they_name(folder: Path) -> None:
    assert {p.name for p in folder.iterdir()} >= {"halt.gpkg", "halt.qgz", "changes.geojson", "flows.csv"}


def test_the_layers_of_the_page_are_those_of_the_package(folder: Path) -> None:
    told = {n for cell in re.findall(r"^\| (`.*?) \|", GIS, re.MULTILINE) for n in re.findall(r"`(\w+)`", cell)}
    held = set(pyogrio.list_layers(folder / "halt.gpkg")[:, 0]) - {"layer_styles"}
    assert told == held | {"chokepoints"}


def test_the_python_of_the_page_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    monkeypatch.chdir(folder)
    with mpl.rc_context({"backend": "Agg"}):
        names: dict[str, Any] = {}
        for code in blocks("python"):
            exec(compile(code, "gis.md", "exec"), names)
        plt.close("all")
    assert names["lost"]["magnet"] > 0
    assert len(names["joined"])
    assert set(names["stretches"]["kind"]) == {"lost"}


@pytest.mark.skipif(not shutil.which("ogr2ogr"), reason="GDAL's programs are not there (apt install gdal-bin)")
def test_the_gdal_commands_of_the_page_run(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "halt.gpkg", tmp_path)
    assert len(lines("gdal")) >= 3
    for line in lines("gdal"):
        done = subprocess.run(shlex.split(line), capture_output=True, text=True, cwd=tmp_path, check=False, timeout=60)
        assert done.returncode == 0, (line, done.stderr)
    changes = export.layer_table(small_study().solve(("country:CHN/magnet",)), "changes")
    gains = pyogrio.read_dataframe(tmp_path / "gains.geojson", read_geometry=False)
    assert len(gains) == changes["kind"].isin(["grown", "new"]).sum() > 0
    assert pyogrio.read_info(tmp_path / "after.shp")["crs"] is not None


@pytest.mark.slow
def test_the_web_has_the_package_and_its_project_as_one_file() -> None:
    app = create_app(small_study(), settings({}, solves_per_minute=0, requests_per_minute=0))
    client = app.test_client()
    address = "/api/layers/all.zip"
    assert address in GIS
    answer = client.get(address, query_string={"halt": "country:CHN/magnet"})
    assert (answer.status_code, answer.mimetype) == (200, "application/zip")
    with zipfile.ZipFile(io.BytesIO(answer.data)) as packed:
        assert packed.testzip() is None
        assert packed.namelist() == ["atlas.gpkg", "atlas.qgz"]
    assert client.get(address, query_string={"halts": "country:CHN"}).status_code == 400
    assert client.get("/api/layers/ports.zip").status_code == 404


def test_the_columns_are_those_of_the_code() -> None:
    assert gis_fields.PAGE.read_text(encoding="utf-8") == gis_fields.page(), "run: python tests/gis_fields.py"


def test_the_line_of_sources_is_the_one_that_files_carry() -> None:
    assert export_tables.ATTRIBUTION in re.sub(r"\n> ?", " ", GIS)


def test_what_the_page_says_of_simplification_holds() -> None:
    told = re.search(r"simplified \(about (\d+) km and (\d+) km\)", GIS)
    assert told
    for km, degrees in zip(told.groups(), (export_stretches.TOLERANCE_DEG, export_stretches.LAND_TOLERANCE_DEG), strict=True):
        assert round(degrees * 111) == int(km)


def test_pictures_and_pages_exist() -> None:
    for name in re.findall(r"\]\(([\w.-]+)\)", GIS):
        assert (DOCS / name).is_file(), name
    assert (DOCS / "qgis.png").stat().st_size <= 300_000

"""QGIS itself opens the exports: the project, the default styles, the SLDs. Needs QGIS's Python (python3-qgis)."""

import json
import os
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyogrio
import pytest

from atlas import export, render_style
from atlas.export_stretches import TITLES
from atlas.export_symbols import hexed

LOOK = Path(__file__).with_name("qgis_look.py")
PYTHON = "/usr/bin/python3"
KINDS = {"facilities": 0, "ports": 0, "passages": 1, "network": 1, "flows": 1, "changes": 1, "stretches": 1, "backdrop": 2}


@lru_cache(maxsize=1)
def without_qgis() -> bool:
    if not Path(PYTHON).exists():
        return True
    return subprocess.run([PYTHON, "-c", "import qgis.core"], capture_output=True, check=False, timeout=60).returncode != 0


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(without_qgis(), reason="QGIS's Python is not there (apt install python3-qgis qgis-providers)"),
]


def look(what: str, name: str, folder: Path) -> dict[str, Any]:
    """Return what QGIS saw."""
    folder.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder), "QT_QPA_PLATFORM": "offscreen"}
    for key in ("PYTHONPATH", "PYTHONHOME", "PROJ_DATA", "PROJ_LIB", "GDAL_DATA", "VIRTUAL_ENV"):
        env.pop(key, None)
    folder.chmod(0o700)
    done = subprocess.run([PYTHON, str(LOOK), what, name, str(folder)], capture_output=True, text=True, env=env, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found.pop("log") == []
    return found


@pytest.fixture(scope="module")
def package(study: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a GeoPackage of a halt of the shipped world, with its project beside it."""
    path: Path = tmp_path_factory.mktemp("qgis") / "halt of magnets.gpkg"  # with blanks, as people have it
    export.write_layer(study.solve(("country:CHN/magnet",)), "all", path, qgis=True)
    return path


def colours(*names: str) -> set[str]:
    return {hexed(render_style.COLOURS[n]) for n in names}


def test_the_project_opens_ready_styled(package: Path, tmp_path: Path) -> None:
    told = look("project", str(package.with_suffix(".qgz")), tmp_path)
    assert told["read"]
    assert told["crs"] == "EPSG:8857"
    assert "exports of China (magnets)" in told["title"]
    assert "OpenStreetMap contributors, ODbL 1.0" in told["abstract"]
    assert {"Change", "Before", "After", "Places", "Network", "Backdrop"} <= set(told["groups"])
    sources = told["layers"].pop("atlas_sources")
    assert (sources["table"], sources["count"]) == (True, pyogrio.read_info(package, layer="sources")["features"])
    assert told["relations"]["All facilities, planned ones too: source"]
    assert all(told["relations"].values())
    assert all(v["valid"] and v["crs"] == "EPSG:4326" and v["symbols"] and not v["broken"] for v in told["layers"].values())
    assert all(v["renderer"] == "RuleRenderer" for v in told["layers"].values())
    assert "atlas_stretches_change" in told["shown"]
    assert "atlas_stretches_before" not in told["shown"]  # one view at a time
    flows = pyogrio.read_dataframe(package, layer="flows", read_geometry=False)
    for view, state in (("before", "baseline"), ("after", "halted")):
        assert told["layers"][f"atlas_flows_{view}"]["count"] == (flows["state"] == state).sum()
    assert set(told["themes"]) == {"Change", "Before", "After"}
    assert set(told["layouts"]) == {"Change, A3", "Before, A3", "After, A3"}
    assert all(size > 40_000 for size in told["layouts"].values())
    assert "East Asia" in told["bookmarks"]
    for theme, names in (("Before", ("concentrate", "oxide", "metal", "magnet")), ("After", ("concentrate", "oxide", "metal", "magnet"))):
        assert told["themes"][theme]["errors"] == []
        assert colours(*names) <= set(told["themes"][theme]["colours"])
    lost, grown = (hexed(render_style.CHANGES[k][0]) for k in ("lost", "grown-ally"))
    assert {lost, grown} <= set(told["themes"]["Change"]["colours"])


def test_the_project_travels_with_its_package_and_inside_it(package: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for path in (package, package.with_suffix(".qgz")):
        shutil.copy(path, moved)
    for name in (str(moved / package.with_suffix(".qgz").name), f"geopackage:{moved / package.name}?projectName=atlas"):
        told = look("project", name, tmp_path / "seen")
        assert told["read"], name
        assert told["layers"]
        assert all(v["valid"] for v in told["layers"].values()), name


def test_each_layer_opens_with_its_own_style(package: Path, tmp_path: Path) -> None:
    told = look("layers", str(package), tmp_path)
    assert set(told) == {*export.LAYERS, *TITLES} == set(KINDS)
    for name, one in told.items():
        assert one["valid"], name
        assert one["count"] == pyogrio.read_info(package, layer=name, force_feature_count=True)["features"], name
        assert (one["crs"], one["geometry"], one["renderer"]) == ("EPSG:4326", KINDS[name], "RuleRenderer")
        assert one["rules"], name
        assert one["broken"] == [], name
        assert one["drawn"]["errors"] == []
        assert one["aliases"]["id"] == "Id"
        assert one["sld"]["loaded"], (name, one["sld"]["message"])
        assert one["sld"]["rules"] or one["sld"]["renderer"] == "singleSymbol", name
        assert one["sld"]["drawn"]["errors"] == []
    assert told["flows"]["aliases"]["tonnes"] == "Tonnes a year (t/year)"
    assert "route_id" in told["flows"]["hidden"]
    stages = colours(*render_style.STAGES) - colours("recycling")  # few and small on a map of the world
    for drawn in (told["facilities"]["drawn"], told["facilities"]["sld"]["drawn"]):
        assert stages <= set(drawn["colours"])
    for drawn in (told["flows"]["drawn"], told["flows"]["sld"]["drawn"]):
        assert colours("concentrate", "oxide", "metal", "magnet") <= set(drawn["colours"])
    for name in ("passages", "network", "changes", "stretches", "backdrop"):
        for drawn in (told[name]["drawn"], told[name]["sld"]["drawn"]):
            assert len(drawn["colours"]) > 3, name

"""Exports: strict GeoJSON, GeoPackage and CSV; whole or not at all; the same bytes twice."""

import contextlib
import csv
import errno
import json
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import rfc7946
from fake_outcome import HOSTILE
from shapely import wkt
from shapely.geometry import LineString, MultiPolygon, Point, Polygon, box

from atlas import export, export_files, export_geojson
from atlas.errors import BadInput, LayerError, UnknownName, WriteFailure

SOLVED = ("facilities", "ports", "passages", "flows", "changes")


def collection(shapes: dict[str, Any], **columns: list[Any]) -> str:
    table = gpd.GeoDataFrame(columns, index=pd.Index(list(shapes)), geometry=list(shapes.values()), crs="EPSG:4326")
    return export_geojson.collection_text(table)


@pytest.mark.parametrize("layer", SOLVED)
def test_layers_are_strict_geojson(outcome: Any, layer: str) -> None:
    text = export.layer_text(outcome, layer)
    assert rfc7946.problems(text) == []
    doc = json.loads(text)
    for word in ("OpenStreetMap", "ODbL", "EUPL-1.2", "Apache-2.0", "Natural Earth"):
        assert word in doc["attribution"]
    assert doc["scenario"]["halts"] == ["country:CHN/magnet"]
    assert len(doc["features"]) == len(export.layer_table(outcome, layer))


def test_names_come_through_as_they_are(outcome: Any) -> None:
    doc = export.layer_geojson(outcome, "facilities")
    assert {f["id"]: f for f in doc["features"]}["serra-verde"]["properties"]["name"] == HOSTILE


def test_a_line_across_the_pacific_is_split_and_boxed() -> None:
    text = collection({"pacific": LineString([(140, 35), (180, 46), (205, 45), (241.7, 33.7)])})
    assert rfc7946.problems(text) == []
    feature = json.loads(text)["features"][0]
    assert feature["geometry"]["type"] == "MultiLineString"
    assert feature["bbox"] == [140.0, 33.7, -118.3, 46.0]  # west is greater than east, not 340 degrees wide
    assert json.loads(text)["bbox"] == feature["bbox"]


def test_a_world_of_lines_has_an_ordinary_box() -> None:
    text = collection({"a": LineString([(-120, 0), (10, 5)]), "b": LineString([(0, 1), (150, -20)])})
    assert rfc7946.problems(text) == []
    assert json.loads(text)["bbox"] == [-120, -20, 150, 5]


def test_rings_follow_the_right_hand() -> None:
    clockwise = Polygon([(0, 0), (0, 4), (4, 4), (4, 0)], [[(1, 1), (2, 1), (2, 2), (1, 2)]])
    fiji = box(177, -19, 182, -16)
    text = collection({"a": clockwise, "b": MultiPolygon([box(5, 5, 6, 6), clockwise]), "c": fiji})
    assert rfc7946.problems(text) == []
    assert json.loads(text)["features"][2]["bbox"] == [177.0, -19.0, -178.0, -16.0]


def test_numbers_are_finite_and_short() -> None:
    text = collection(
        {"a": Point(1 / 3, -1e-9), "e": Point(-2e-5, 3e-6), "b": Point(190.0, 2.0), "c": None, "d": LineString([(1, 1), (1.00000001, 1)])},
        share=[np.nan, 1.0, np.inf, -np.inf, 0.1], count=np.array([1, 2, 3, 4, 5]),
        when=[pd.NaT, None, pd.Timestamp("2024-07-01"), None, None], elements=[("Nd", "Pr"), (), None, frozenset({"b", "a"}), ()],
    )  # fmt: skip
    assert rfc7946.problems(text) == []
    assert "Infinity" not in text
    assert "NaN" not in text
    features = {f["id"]: f for f in json.loads(text)["features"]}
    assert features["a"]["geometry"]["coordinates"] == [0.333333, 0.0]
    assert '"coordinates":[-0.000020,0.000003]' in text
    assert features["b"]["geometry"]["coordinates"] == [-170.0, 2.0]
    assert features["c"]["geometry"] is None
    assert features["d"]["geometry"] is None  # nothing is left of a line of 1 mm
    assert [f["properties"]["share"] for f in features.values()] == [None, 1.0, None, None, 0.1]
    assert features["a"]["properties"]["elements"] == "Nd;Pr"
    assert features["b"]["properties"]["when"].startswith("2024-07-01")


@pytest.mark.parametrize("bad", [Point(np.inf, 0), Point(0, 91), LineString([(0, 0), (np.inf, 1)])])
def test_coordinates_off_the_globe_are_refused(bad: Any) -> None:
    with pytest.raises(LayerError, match="here"):
        collection({"here": bad})


def test_ids_that_stand_twice_are_refused() -> None:
    table = gpd.GeoDataFrame({"x": [1, 2]}, index=["a", "a"], geometry=[Point(0, 0), Point(1, 1)], crs="EPSG:4326")
    with pytest.raises(LayerError, match="twice"):
        export_geojson.collection_text(table)


def test_lane_ids_join_flows_and_changes_and_are_stable(outcome: Any) -> None:
    flows, changes = export.layer_table(outcome, "flows"), export.layer_table(outcome, "changes")
    assert flows.index.is_unique
    assert changes.index.is_unique
    assert "baotou-metal-hanau-magnet-metal-nd" in changes.index
    shuffled = outcome.flows.sample(frac=1.0, random_state=3)
    outcome.flows = shuffled
    assert set(export.layer_table(outcome, "flows").index) == set(flows.index)


def test_no_function_alters_the_outcome(outcome: Any) -> None:
    before = outcome.flows.copy(), outcome.layers.facilities.copy(), outcome.facilities.copy()
    for layer in SOLVED:
        export.layer_text(outcome, layer)
    pd.testing.assert_frame_equal(outcome.flows, before[0])
    pd.testing.assert_frame_equal(outcome.layers.facilities, before[1])
    pd.testing.assert_frame_equal(outcome.facilities, before[2])


def test_result_folder_is_complete_and_the_same_twice(outcome: Any, tmp_path: Path) -> None:
    for name in ("a", "b"):
        export.write_outcome(outcome, tmp_path / name, page="<!doctype html>\n")
    files = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert files == sorted(export.RESULT_FILES)
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]  # no temporary folder is left
    assert json.loads((tmp_path / "a" / "summary.json").read_text(encoding="utf-8")) == outcome.summary


def test_flows_csv_has_the_columns_of_the_contract_and_full_numbers(outcome: Any, tmp_path: Path) -> None:
    outcome.flows.loc[0, "tonnes"] = 1 / 3
    export.write_outcome(outcome, tmp_path / "out", page="")
    with (tmp_path / "out" / "flows.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert tuple(rows[0])[:16] == (
        "state", "commodity", "element", "grade", "from_id", "from_country", "to_id", "to_country", "tonnes",
        "distance_km", "days", "cost_usd_t", "passages", "ports", "borders", "route_id",
    )  # fmt: skip
    assert float(rows[0]["tonnes"]) == 1 / 3
    assert {r["to_id"] for r in rows if not r["to_country"]} == {"surplus"}


@pytest.mark.parametrize("layer", SOLVED)
def test_gdal_reads_what_was_written(outcome: Any, tmp_path: Path, layer: str) -> None:
    table = export.layer_table(outcome, layer)
    for suffix in export.SUFFIXES:
        export.write_layer(outcome, layer, tmp_path / f"x{suffix}")
    for suffix in (".geojson", ".gpkg", ".fgb"):
        info = pyogrio.read_info(tmp_path / f"x{suffix}", layer=None if suffix == ".geojson" else layer)
        assert info["features"] == len(table)
        assert info["crs"] in ("EPSG:4326", "OGC:CRS84")
        west, _, east, _ = info["total_bounds"]
        assert west >= -180
        assert east <= 180
    read = gpd.read_file(tmp_path / "x.gpkg", layer=layer)
    assert read["id"].tolist() == table.index.tolist()
    kind = {"facilities": "Point", "ports": "Point"}.get(layer, "MultiLineString")
    assert set(read.geometry.dropna().geom_type) == {kind}
    text = pd.read_csv(tmp_path / "x.csv", keep_default_na=False)
    assert text.columns[0] == "id"
    assert text.columns[-1] == "WKT"
    assert not wkt.loads(text["WKT"][0]).is_empty


def test_geopackage_of_all_layers_says_whose_data_it_is(outcome: Any, tmp_path: Path) -> None:
    export.write_layer(outcome, "all", tmp_path / "all.gpkg")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["all.gpkg"]
    assert sorted(pyogrio.list_layers(tmp_path / "all.gpkg")[:, 0]) == sorted(
        [*export.LAYERS, "sources", "stretches", "backdrop", "layer_styles"]
    )
    info = pyogrio.read_info(tmp_path / "all.gpkg", layer="flows")
    assert "OpenStreetMap contributors" in info["layer_metadata"]["attribution"]
    with sqlite3.connect(tmp_path / "all.gpkg") as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert "EUPL-1.2" in file.execute("SELECT metadata FROM gpkg_metadata").fetchone()[0]
    file.close()


def test_layers_without_a_solve_have_no_result_columns(outcome: Any) -> None:
    table = export.layer_table(outcome.layers, "ports")
    assert "baseline_t" not in table
    with pytest.raises(BadInput, match="needs a solved"):
        export.layer_table(outcome.layers, "flows")


def test_unknown_layers_and_files_are_refused(outcome: Any, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="flows"):
        export.write_layer(outcome, "flow", tmp_path / "x.csv")
    for path in (tmp_path / "x.shp", tmp_path / "x", tmp_path / "none/x.csv", ""):
        with pytest.raises(BadInput):
            export.write_layer(outcome, "flows", path)
    with pytest.raises(BadInput, match="name of a folder"):
        export.check_result_folder("")
    with pytest.raises(BadInput, match=r"\.gpkg"):
        export.write_layer(outcome, "all", tmp_path / "x.csv")
    (tmp_path / "d.csv").mkdir()
    with pytest.raises(BadInput, match="folder"):
        export.write_layer(outcome, "flows", tmp_path / "d.csv")


def test_a_full_folder_is_kept_unless_forced(outcome: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export.write_outcome(outcome, out, page="first")
    with pytest.raises(BadInput, match="--force"):
        export.write_outcome(outcome, out, page="second")
    assert (out / "map.html").read_text() == "first"
    export.write_outcome(outcome, out, force=True, page="second")
    assert (out / "map.html").read_text() == "second"
    (out / "thesis.doc").write_text("mine")
    with pytest.raises(BadInput, match=r"thesis\.doc"):
        export.write_outcome(outcome, out, force=True, page="third")
    assert (out / "thesis.doc").read_text() == "mine"
    (tmp_path / "file").write_text("x")
    with pytest.raises(BadInput, match="is a file"):
        export.write_outcome(outcome, tmp_path / "file", page="")


def test_an_empty_folder_and_missing_parents_are_fine(outcome: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    export.write_outcome(outcome, tmp_path / "empty", page="")
    export.write_outcome(outcome, tmp_path / "a" / "b" / "c", page="")
    assert len(list((tmp_path / "a" / "b" / "c").iterdir())) == len(export.RESULT_FILES)
    assert os.stat(tmp_path / "a" / "b" / "c").st_mode & 0o777 == os.stat(tmp_path / "empty").st_mode & 0o777


@pytest.mark.parametrize("stage", ["fsync", "replace", "writer", "gdal"])
def test_a_full_disk_leaves_nothing_half_written(outcome: Any, tmp_path: Path, monkeypatch: Any, stage: str) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def gdal(*args: Any, **kwargs: Any) -> None:
        raise pyogrio.errors.DataLayerError("sqlite3_exec failed: database or disk is full")

    earlier = tmp_path / "earlier"
    export.write_outcome(outcome, earlier, page="kept")
    where = {"fsync": (os, "fsync", full), "replace": (os, "replace", full), "writer": (np, "savez_compressed", full),
             "gdal": (pyogrio, "write_dataframe", gdal)}[stage]  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setattr(*where)
        for target, force in ((tmp_path / "new" / "deep", False), (earlier, True)):
            with pytest.raises(WriteFailure, match=r"cannot write.*(No space left|disk is full)"):
                export.write_outcome(outcome, target, force=force, page="lost")
        if stage != "writer":
            with pytest.raises(WriteFailure):
                export.write_layer(outcome, "flows", tmp_path / "x.gpkg")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["earlier"]
    assert sorted(p.name for p in earlier.iterdir()) == sorted(export.RESULT_FILES)
    assert (earlier / "map.html").read_text() == "kept"


def test_moving_that_fails_halfway_puts_the_earlier_files_back(tmp_path: Path, monkeypatch: Any) -> None:
    names = ["a", "b", "c"]
    export_files.write_folder(tmp_path / "out", {n: lambda p: p.write_text("old") for n in names})
    real, calls = os.replace, []

    def replace(source: Any, target: Any) -> None:
        calls.append(target)
        if len(calls) == 4:  # the second file is on its way in
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(WriteFailure):
        export_files.write_folder(tmp_path / "out", {n: lambda p: p.write_text("new") for n in names})
    assert [(tmp_path / "out" / n).read_text() for n in names] == ["old"] * 3


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Act as a user without rights where the tests run as root, who may write anywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


def test_a_folder_without_permission_is_refused_at_once() -> None:
    # Not below tmp_path: a user without rights may not even look into that.
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o555)
    try:
        with as_nobody():
            with pytest.raises(WriteFailure, match="permission"):
                export.check_result_folder(folder / "out")
            with pytest.raises(WriteFailure, match="permission"):
                export.check_layer_target("flows", folder / "x.csv")
    finally:
        folder.rmdir()


def test_a_thousand_rows_are_written_whole(outcome: Any, tmp_path: Path) -> None:
    """1,000 flow rows over 200 routes of 300 vertices; how long a real folder takes is in `make bench`."""
    many = pd.concat([outcome.flows] * (1000 // len(outcome.flows) + 1), ignore_index=True).iloc[:1000]
    many["to_id"] = [f"{t}-{i}" for i, t in enumerate(many["to_id"])]
    many["route_id"] = [f"r{i % 200}" for i in range(len(many))]
    lines = {  # every fifth one crosses the Pacific
        f"r{i}": LineString(np.column_stack([np.linspace(20, 170 + 70 * (i % 5 == 0), 300), np.sin(np.linspace(0, 9, 300) + i)]))
        for i in range(200)
    }
    outcome.flows, outcome.geometry = many, lambda r: lines.get(r, LineString())
    outcome.changes["route_id"] = "r1"
    export.write_outcome(outcome, tmp_path / "out", page="")
    assert len(pd.read_csv(tmp_path / "out" / "flows.csv")) == 1000
    features = json.loads((tmp_path / "out" / "flows.geojson").read_text())["features"]
    assert sum(f["geometry"]["type"] == "MultiLineString" for f in features) == 200  # each fifth route, over five rows

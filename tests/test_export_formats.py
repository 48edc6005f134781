"""Files for GIS read back by GDAL and Arrow: rows, types, CRS, extents, headings, sources; the same bytes; whole or not.

The build of GDAL inside pyogrio has no Parquet driver, so GeoParquet is read back by geopandas and pyarrow.
"""

import errno
import json
import os
import resource
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyarrow.parquet as pq
import pyogrio
import pytest
import rfc7946
import shapely
from small_study import small_singles, small_study

from atlas import export
from atlas.errors import WriteFailure
from atlas.export_chokepoints import chokepoints_about, chokepoints_table
from atlas.export_fields import fields_of
from atlas.losses import lens

LAYERS = ("facilities", "ports", "passages", "flows", "changes")  # without the network: its 34,000 edges are for slow tests
KINDS = {"facilities": "Point", "ports": "Point", "chokepoints": "Unknown"}


@lru_cache(maxsize=1)
def halted() -> Any:
    return small_study().solve(("country:CHN/magnet",))


@lru_cache(maxsize=8)
def table(layer: str) -> gpd.GeoDataFrame:
    return export.layer_table(halted(), layer)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the GeoPackage of all layers of a halt."""
    path = tmp_path_factory.mktemp("all") / "all.gpkg"
    export.write_layer(halted(), "all", path)
    return path


def held(shapes: Any) -> Any:
    """Return the shapes that are something."""
    return [s for s in shapes if s is not None and not s.is_empty]


def assert_same(found: gpd.GeoDataFrame, wanted: gpd.GeoDataFrame) -> None:
    """Every row, every value and every line is there."""
    found, wanted = found.sort_values("id").reset_index(drop=True), wanted.sort_index()
    assert found["id"].tolist() == wanted.index.tolist()
    assert set(found.columns) >= {"id", *wanted.columns} - {"geometry"}
    for name in wanted.columns.drop("geometry"):
        if wanted[name].dtype.kind == "f":
            assert np.array_equal(found[name].to_numpy(float), wanted[name].to_numpy(float), equal_nan=True), name
    a, b = held(found.geometry), held(wanted.geometry)
    assert len(a) == len(b)
    assert all(shapely.get_num_coordinates(x) == shapely.get_num_coordinates(y) for x, y in zip(a, b, strict=True))
    assert np.allclose(shapely.total_bounds(a), shapely.total_bounds(b))


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("suffix", [".geojson", ".gpkg", ".fgb"])
def test_gdal_reads_every_row_type_crs_and_extent(tmp_path: Path, layer: str, suffix: str) -> None:
    path, wanted = tmp_path / f"x{suffix}", table(layer)
    export.write_layer(halted(), layer, path)
    name = layer if suffix != ".fgb" else None
    info = pyogrio.read_info(path, layer=name, force_total_bounds=True)
    assert info["features"] == len(wanted)
    assert info["crs"] in ("EPSG:4326", "OGC:CRS84")
    if suffix == ".geojson":
        assert rfc7946.problems(path.read_text(encoding="utf-8")) == []
    else:  # GeoJSON has no type of a layer
        assert info["geometry_type"] == KINDS.get(layer, "MultiLineString")
    assert np.allclose(info["total_bounds"], shapely.total_bounds(held(wanted.geometry)), atol=1e-6)
    if suffix != ".geojson":  # rounded to six decimals
        assert_same(pyogrio.read_dataframe(path, layer=name), wanted)


@pytest.mark.parametrize("layer", LAYERS)
def test_geoparquet_has_every_row_and_says_what_it_is(tmp_path: Path, layer: str) -> None:
    path, wanted = tmp_path / "x.parquet", table(layer)
    export.write_layer(halted(), layer, path)
    assert_same(gpd.read_parquet(path), wanted)
    file = pq.ParquetFile(path)
    meta = file.schema_arrow.metadata
    geo = json.loads(meta[b"geo"])
    assert geo["version"] == "1.1.0"
    column = geo["columns"][geo["primary_column"]]
    assert column["covering"]["bbox"]["xmin"] == ["bbox", "xmin"]
    assert column["crs"]["id"] == {"authority": "EPSG", "code": 4326}
    assert b"OpenStreetMap" in meta[b"attribution"]
    assert b"EUPL" in meta[b"licence"]
    assert json.loads(meta[b"scenario"])["halts"] == ["country:CHN/magnet"]
    fields = fields_of(layer, small_study().layers.schema)
    for name in ["id", *wanted.columns.drop("geometry")]:
        told = file.schema_arrow.field(name).metadata
        assert told[b"alias"].decode() == fields[name].alias
        assert told[b"unit"].decode() == fields[name].unit
        assert told[b"description"]
    box = gpd.read_parquet(path, bbox=(100, 20, 145, 46))
    inside = [i for i, s in wanted.geometry.items() if s is not None and s.intersects(shapely.box(100, 20, 145, 46))]
    assert set(inside) <= set(box["id"])
    assert len(box) < len(wanted) or layer in ("flows", "changes")


def test_flatgeobuf_is_indexed_unless_a_row_has_no_place(tmp_path: Path) -> None:
    for layer in ("facilities", "flows"):
        export.write_layer(halted(), layer, tmp_path / f"{layer}.fgb")
    assert pyogrio.read_info(tmp_path / "facilities.fgb")["capabilities"]["fast_spatial_filter"]
    assert not pyogrio.read_info(tmp_path / "flows.fgb")["capabilities"]["fast_spatial_filter"]
    assert table("flows").geometry.isna().any()
    told = pyogrio.read_info(tmp_path / "facilities.fgb")["layer_metadata"]
    assert "ODbL" in told["attribution"]
    assert {"alias", "unit", "description"} <= set(json.loads(told["fields"])[0])


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_of_the_package_is_the_layer_alone(package: Path, layer: str) -> None:
    info = pyogrio.read_info(package, layer=layer, force_total_bounds=True)
    assert info["features"] == len(table(layer))
    assert info["crs"] == "EPSG:4326"
    assert info["geometry_type"] == KINDS.get(layer, "MultiLineString")
    assert_same(pyogrio.read_dataframe(package, layer=layer), table(layer))
    told = info["layer_metadata"]
    assert told["title"] == export.TITLES[layer]
    assert json.loads(told["scenario"])["halts"] == ["country:CHN/magnet"]
    west, south, east, north = 100, 20, 145, 46
    found = pyogrio.read_dataframe(package, layer=layer, bbox=(west, south, east, north))
    wanted = [s for s in held(table(layer).geometry) if s.intersects(shapely.box(west, south, east, north))]
    assert len(found) == len(wanted) > 0


def test_the_network_of_the_package_is_what_carries_something(package: Path) -> None:
    used = pyogrio.read_dataframe(package, layer="network")
    assert ((used["baseline_t"] > 0) | (used["halted_t"] > 0)).all()
    flows = table("flows")
    for state, column in (("baseline", "baseline_t"), ("halted", "halted_t")):
        moved = flows[flows["state"] == state]
        assert np.isclose((used["length_km"] * used[column]).sum(), (moved["tonnes"] * moved["distance_km"]).sum(), rtol=0.01)
    assert "in use" in pyogrio.read_info(package, layer="network")["layer_metadata"]["title"]


def test_before_after_and_change_join_by_lane(package: Path) -> None:
    flows, changes = (pyogrio.read_dataframe(package, layer=n) for n in ("flows", "changes"))
    sums = flows.groupby(["state", "lane_id"])["tonnes"].sum()
    for state, column in (("baseline", "baseline_t"), ("halted", "halted_t")):
        found = changes.set_index("lane_id")[column]
        assert np.allclose(sums[state].reindex(found.index, fill_value=0.0), found, atol=1e-6)


def test_every_column_of_a_package_is_described(package: Path) -> None:
    with closing(sqlite3.connect(package)) as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        told = {(t, c): (n, d) for t, c, n, d in file.execute(
            "SELECT table_name, column_name, name, description FROM gpkg_data_columns")}  # fmt: skip
        extensions = {row[0] for row in file.execute("SELECT extension_name FROM gpkg_extensions")}
        for layer in (*export.LAYERS, "sources"):
            columns = [r[0] for r in file.execute("SELECT name FROM pragma_table_info(?)", (layer,))]
            for column in columns:
                if column not in ("fid", "OGC_FID", "geom"):
                    assert len(told[layer, column][0]) > 1
                    assert told[layer, column][1]
        assert "gpkg_schema" in extensions
        assert told["flows", "tonnes"] == ("Tonnes a year", "[t/year] tonnes a year by this route in this state")


def test_every_source_that_a_row_names_is_in_the_package(package: Path) -> None:
    sources = set(pyogrio.read_dataframe(package, layer="sources", read_geometry=False)["id"])
    named: set[str] = set()
    for layer in export.LAYERS:
        rows = pyogrio.read_dataframe(package, layer=layer, read_geometry=False)
        grounds = "source_id" if "source_id" in rows else "ends_source_ids"
        named |= {i for cell in rows[grounds].dropna() for i in cell.split(";") if i}
        if layer != "network":
            assert rows["confidence" if "confidence" in rows else "ends_confidence"].isin(["A", "B", "C"]).all()
    assert named == sources


def test_the_confidence_of_a_lane_is_that_of_its_worse_end() -> None:
    layers = small_study().layers
    rank = {i: c for part in (layers.facilities, layers.markets, layers.demand) for i, c in part["confidence"].items()}
    rows = list(table("flows").itertuples())
    for row in rows:
        assert row.ends_confidence == max(rank[i] for i in (row.from_id, row.to_id) if i in rank)
    assert {row.ends_confidence for row in rows} > {"C"}


@pytest.mark.parametrize("suffix", export.SUFFIXES)
def test_the_same_input_gives_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for layer in ("facilities", "changes"):
            export.write_layer(halted(), layer, tmp_path / folder / f"{layer}{suffix}")
    for layer in ("facilities", "changes"):
        assert (tmp_path / "a" / f"{layer}{suffix}").read_bytes() == (tmp_path / "b" / f"{layer}{suffix}").read_bytes()


@pytest.mark.slow  # in the light set `test_web_gis` compares two packages
def test_the_package_is_the_same_twice(package: Path, tmp_path: Path) -> None:
    export.write_layer(halted(), "all", tmp_path / "all.gpkg")
    assert package.read_bytes() == (tmp_path / "all.gpkg").read_bytes()


@contextmanager
def room(most_bytes: int) -> Iterator[None]:
    """Let no file grow beyond so many bytes, as on a disk that is full: the system refuses the write itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("most_bytes", [0, 3000, 60_000])
@pytest.mark.parametrize("suffix", export.SUFFIXES)
def test_a_full_disk_is_one_clear_error_and_no_half_file(tmp_path: Path, suffix: str, most_bytes: int) -> None:
    target = tmp_path / f"changes{suffix}"
    target.write_text("earlier")
    outcome = halted()  # opening the study writes files of its own
    with room(most_bytes), pytest.raises(WriteFailure, match="cannot write"):
        export.write_layer(outcome, "changes", target)
    assert target.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("part", [0.3, 0.95])
def test_a_full_disk_leaves_no_half_package(package: Path, tmp_path: Path, part: float) -> None:
    """The disk is full while GDAL writes tables, or later, while views and styles are added."""
    outcome = halted()
    with room(int(part * package.stat().st_size)), pytest.raises(WriteFailure, match="cannot write"):
        export.write_layer(outcome, "all", tmp_path / "all.gpkg")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", export.SUFFIXES)
def test_a_read_only_folder_is_a_clear_error(tmp_path: Path, suffix: str, monkeypatch: Any) -> None:
    def refused(*args: Any, **kwargs: Any) -> Any:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("tempfile.mkdtemp", refused)  # tests may run as root, who may write anywhere
    with pytest.raises(WriteFailure, match=r"cannot write .*Permission denied"):
        export.write_layer(halted(), "changes", tmp_path / f"x{suffix}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow  # the columns are met in `test_singles` as well
def test_chokepoints_in_every_format(tmp_path: Path) -> None:
    from atlas.export_chokepoints import write_singles

    study = small_study()
    look = lens(study.ground.stage.world, study.blocs, "us-allies", "magnet", "all")
    wanted = chokepoints_table(small_singles(), look)
    for suffix in export.SUFFIXES:
        path = tmp_path / f"c{suffix}"
        write_singles(small_singles(), look, path)
        again = path.read_bytes()
        write_singles(small_singles(), look, path)
        assert path.read_bytes() == again
        if suffix == ".geojson":
            assert rfc7946.problems(path.read_text(encoding="utf-8")) == []
        if suffix != ".csv":
            name = "chokepoints" if suffix == ".gpkg" else None
            found = gpd.read_parquet(path) if suffix == ".parquet" else pyogrio.read_dataframe(path, layer=name)
            assert sorted(found["id"]) == sorted(wanted.index)
            assert found.crs == "EPSG:4326"
            assert found["rank"].max() == len(wanted)
    head = (tmp_path / "c.csv").read_text(encoding="utf-8").partition("\n")[0]
    assert head.strip().endswith("WKT")
    assert "us-allies" in chokepoints_about(look)["title"]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("ogrinfo") is None, reason="the programs of GDAL are not installed")
def test_an_ogrinfo_of_the_system_reads_every_layer(package: Path, tmp_path: Path) -> None:
    """An older GDAL than the one inside pyogrio, as QGIS of a distribution has it."""
    for layer in LAYERS:
        export.write_layer(halted(), layer, tmp_path / f"{layer}.fgb")
        for path in (package, tmp_path / f"{layer}.fgb"):
            command = ["ogrinfo", "-ro", "-so", str(path), layer]
            said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
            assert f"Feature Count: {len(table(layer))}" in said, (layer, path.name)
            assert "WGS 84" in said
            kind = KINDS.get(layer, "MultiLineString")
            assert f"Geometry: {'Multi Line String' if kind == 'MultiLineString' else kind}" in said

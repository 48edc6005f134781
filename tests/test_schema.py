"""The schema: it covers every layer file, and a check lists every problem at once."""

import csv

import numpy as np
import pandas as pd
import pytest

from atlas import schema
from atlas.config import data_dir
from atlas.errors import LayerError

SHIPPED = schema.read_schema(data_dir("layers") / "schema.csv")


def table(layer, **columns):
    """Return raw text rows of a layer, the same value in every column not given."""
    n = len(next(iter(columns.values())))
    full = {c: columns.get(c, [""] * n) for c, col in SHIPPED.of(layer).items() if col.type != "geometry"}
    return pd.DataFrame(full, dtype=object)


def small_schema(tmp_path, *lines):
    path = tmp_path / "schema.csv"
    header = "layer,column,type,unit,required,allowed,references,description\n"
    path.write_text(header + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_every_column_of_every_file_is_described():
    for layer in SHIPPED.layers:
        assert SHIPPED.key(layer) in ("id", "iso3")
        if not SHIPPED.is_spatial(layer):
            with (data_dir("layers") / f"{layer}.csv").open(encoding="utf-8") as file:
                assert set(next(csv.reader(file))) == set(SHIPPED.of(layer)), layer
    files = {p.stem for p in data_dir("layers").iterdir() if p.suffix in (".csv", ".geojson")}
    assert files == {*SHIPPED.layers, "schema"}
    assert all(c.description for c in SHIPPED.columns)


def test_units_stand_in_names_and_every_layer_has_a_source():
    for column in SHIPPED.columns:
        if column.column.endswith("_t") and "per" not in column.column and column.type == "float":
            assert column.unit.startswith("usd/t" if "usd" in column.column else "t"), column
        if column.column.endswith("_share"):
            assert column.allowed == "0..1"
    for layer in set(SHIPPED.layers) - {"sources"}:
        assert SHIPPED.of(layer)["source_id"].references == "sources.id"
        assert SHIPPED.of(layer)["confidence"].allowed == "A|B|C"


def test_all_problems_of_a_table_are_listed_at_once():
    rows = table(
        "facilities",
        id=["a-mine", "a-mine", "Bad Id"],
        site=["a", "a", ""],
        stage=["mine", "mien", "mine"],
        lon=["10", "nan", "190"],
        lat=["1.123456", "1e400", "north"],
        start_year=["2001.5", "", "1066"],
        nd_share=["0.1", "1.2", "-inf"],
        confidence=["A", "D", "B"],
        elements=["Nd;Dy@2025", "Dy@25;Xx", "Nd;Nd"],
    )
    _, findings = schema.check_table("facilities", rows, SHIPPED)
    said = {(f.row, f.column): f.problem for f in findings}
    assert "2 times" in said["a-mine", "id"]
    assert "nearest: mine" in said["a-mine", "stage"]
    assert "expected a number from -180 to 180" in said["a-mine", "lon"]
    assert "from -180 to 180" in said["Bad Id", "lon"]
    assert "5 decimals" in [f.problem for f in findings if (f.row, f.column) == ("a-mine", "lat")][0]
    assert "'north'" in said["Bad Id", "lat"]
    assert "whole number" in said["a-mine", "start_year"]
    assert "1066" in said["Bad Id", "start_year"]
    assert ("Bad Id", "id") in said
    assert ("Bad Id", "site") in said
    assert said["a-mine", "confidence"] == "is 'D'; expected one of A, B, C"
    assert "more than once" in said["Bad Id", "elements"]
    assert sum(f.column == "elements" for f in findings) == 3
    assert sum(f.column == "nd_share" for f in findings) == 2
    for f in findings:
        assert f.text.startswith("facilities, row ")


def test_types_of_good_cells():
    rows = table("facilities", id=["a", "b"], start_year=["2001", ""], capacity_t=["5", ""], feeds=["b; c", ""])
    typed, _ = schema.check_table("facilities", rows, SHIPPED)
    assert typed["feeds"].tolist() == [("b", "c"), ()]
    assert typed["capacity_t"].tolist()[0] == 5.0
    assert np.isnan(typed["capacity_t"][1])
    assert np.isnan(typed["start_year"][1])
    full, _ = schema.check_table("demand", table("demand", id=["x"], year=["2024"]), SHIPPED)
    assert full["year"].dtype == "int64"


@pytest.mark.parametrize("cell", ["nan", "inf", "-Infinity", "1_000", "0x10", "1,5", "１", "1e9999", "--1"])
def test_strange_numbers_are_refused(cell):
    _, findings = schema.check_table("demand", table("demand", id=["x"], demand_t=[cell]), SHIPPED)
    assert any(f.column == "demand_t" and cell[:5] in f.problem for f in findings)


def test_control_characters_and_endless_cells_are_refused():
    _, findings = schema.check_table("demand", table("demand", id=["x"], notes=["a\x00b"]), SHIPPED)
    assert any("control character" in f.problem for f in findings)
    _, findings = schema.check_table("demand", table("demand", id=["x"], notes=["a" * 5000]), SHIPPED)
    assert any("5000 characters" in f.problem for f in findings)


def test_columns_missing_unknown_and_twice():
    have = [c for c in SHIPPED.of("demand") if c != "sector"] + ["secter", "lon"]
    said = {(f.column, f.problem) for f in schema.check_columns("demand", have, SHIPPED)}
    assert ("sector", "column is missing") in said
    assert ("secter", "unknown column; nearest: sector") in said
    assert ("lon", "column stands 2 times") in said
    partial = schema.check_columns("demand", ["id", "demand_t"], SHIPPED, partial=True)
    assert partial == []


def test_references_name_the_nearest():
    rows = table("demand", id=["x", "y"], country=["USX", "USA"], sector=["wnd", "wind"])
    known = {"countries.iso3": frozenset({"USA", "CHN"}), "sectors.id": frozenset({"wind", "ev"})}
    findings = schema.check_references("demand", rows, SHIPPED, known)
    assert [(f.row, f.column) for f in findings] == [("x", "country"), ("x", "sector")]
    assert "nearest: wind" in findings[1].problem


def test_dates():
    assert str(schema.date_of("2024")) == "2024-01-01"
    assert str(schema.date_of("2024-02", end=True)) == "2024-02-29"
    assert str(schema.date_of("2024", end=True)) == "2024-12-31"
    assert str(schema.date_of("2025-04-04")) == "2025-04-04"
    for bad in ("", "2024-13", "2025-02-29", "4 April 2025", "20250404"):
        assert schema.date_of(bad) is None


def test_a_broken_schema_is_refused(tmp_path):
    with pytest.raises(LayerError, match="line 3"):
        schema.read_schema(small_schema(tmp_path, "a,id,str,,yes,,,x", "a,b,text,,maybe,,,x"))
    with pytest.raises(LayerError, match="no columns"):
        schema.read_schema(small_schema(tmp_path))
    with pytest.raises(LayerError, match="cannot be read"):
        schema.read_schema(tmp_path / "none.csv")


def test_sorted_keys():
    assert schema.is_sorted(["a", "b", "c"]) == ""
    assert schema.is_sorted(["a", "c", "b"]) == "b"

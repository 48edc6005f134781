"""Default styles: QML and SLD from one description, the table layer_styles, the QGIS project; the same bytes twice."""

import io
import re
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import geopandas as gpd
import pyogrio
import pytest
import shapely
from small_study import small_study

from atlas import export, export_looks, export_stretches, export_styles, render_style
from atlas.chain import shipped_chain
from atlas.errors import BadInput
from atlas.export_fields import EXPORTED, fields_of
from atlas.export_looks import looks, worded
from atlas.export_qgis import about, project_text
from atlas.export_qml import HIDDEN, alias, qml_text
from atlas.export_qml_symbols import amount, expression, tonnes_expression
from atlas.export_sld import CLASSES, OGC, SE, sld_text
from atlas.export_symbols import All, Is, Some, hexed

COLUMN = re.compile(r'"([A-Za-z_]+)"')
HALT = ("country:CHN/magnet",)
ORDER = ["Name", "Description", "Filter", "MaxScaleDenominator", "PointSymbolizer", "LineSymbolizer", "PolygonSymbolizer", "TextSymbolizer"]


@lru_cache(maxsize=1)
def outcome() -> Any:
    return small_study().solve(HALT)


@lru_cache(maxsize=1)
def columns() -> dict[str, list[str]]:
    made = {name: ["id", *export.layer_table(outcome(), name).columns.drop("geometry")] for name in export.LAYERS}
    made |= {name: [f.name for f in fields] for name, fields in export_stretches.FIELDS.items()}
    return made | {"chokepoints": list(fields_of("chokepoints", outcome().layers.schema))}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("styles") / "halt.gpkg"
    export.write_layer(outcome(), "all", path, qgis=True)
    return path


def every_look() -> Iterator[tuple[str, Any]]:
    for layer in (*EXPORTED, *export_stretches.TITLES):
        for look in looks(layer, columns()[layer]):
            yield layer, look


def test_every_exported_layer_has_a_look_and_names_are_told_apart() -> None:
    names = [look.name for _, look in every_look()]
    assert len(names) == len(set(names))
    assert {layer for layer, _ in every_look()} == {*EXPORTED, *export_stretches.TITLES}
    assert all(len(n) <= 30 for n in names)  # the width of the column


def used(look: Any, held: list[str]) -> set[str]:
    """Return the columns that the expressions of a QML and the filters and labels of an SLD name."""
    qml = ET.fromstring(qml_text(look, held, {}).split("\n", 1)[1])
    told = [o.get("value", "") for o in qml.iter("Option") if o.get("name") == "expression"]
    told += [r.get("filter", "") for r in qml.iter("rule")] + [o.text or "" for o in qml.iter("orderByClause")]
    told += [t.get("fieldName", "") for t in qml.iter("text-style")]
    sld = {e.text or "" for e in ET.fromstring(sld_text(look).split("\n", 1)[1]).iter(f"{{{OGC}}}PropertyName")}
    return {c for text in told for c in COLUMN.findall(text)} | sld


def test_looks_need_no_columns_that_a_layer_has_not() -> None:
    for layer, look in every_look():
        assert used(look, columns()[layer]), look.name
        assert used(look, columns()[layer]) <= set(columns()[layer]), look.name


def test_places_are_named_and_the_largest_lie_below() -> None:
    for layer in ("facilities", "ports", "chokepoints"):
        for look in looks(layer, columns()[layer]):
            qml = ET.fromstring(qml_text(look, columns()[layer], {}).split("\n", 1)[1])
            assert qml.findtext("previewExpression") == '"name"'
            if look.geometry == "point":
                (order,) = qml.iter("orderByClause")
                assert (order.get("asc"), order.text) == ("0", amount(look.order))
                assert "_t" in (order.text or "")


def test_layers_without_results_are_drawn_as_well() -> None:
    for layer in ("facilities", "ports", "passages"):
        bare = ["id", *export.layer_table(outcome().layers, layer).columns.drop("geometry")]
        (look,) = looks(layer, bare)
        assert used(look, bare) <= set(bare)


def test_colours_and_shapes_are_those_of_the_web_map(monkeypatch: pytest.MonkeyPatch) -> None:
    (look, *_) = looks("facilities", columns()["facilities"])
    rules = {r.label: r.symbol for r in look.rules}
    for stage in render_style.STAGES:
        mark = rules[render_style.STAGE_LABELS[stage]]
        assert (mark.fill, mark.shape) == (render_style.COLOURS[stage], render_style.SHAPES[stage])
        assert hexed(mark.fill) in sld_text(look)
    monkeypatch.setitem(render_style.COLOURS, "mine", "var(--tone-x, #123456)")
    (again, *_) = looks("facilities", columns()["facilities"])
    assert "18,52,86,255" in qml_text(again, columns()["facilities"], {})
    assert "#123456" in sld_text(again)
    assert "#123456" not in sld_text(look)
    with pytest.raises(ValueError, match="no colour"):
        hexed("var(--tone-orange)")
    # land and sea have no variable with a fallback: they must agree with the style sheet
    sheet = (Path(__file__).parent.parent / "templates/static/frame.css").read_text(encoding="utf-8")
    for name, colour in (("sea", export_looks.SEA), ("land", export_looks.LAND), ("land-ally", export_looks.LAND_BLOC),
                         ("land-halted", export_looks.LAND_HALTED), ("border", export_looks.LAND_EDGE)):  # fmt: skip
        assert f"--{name}: light-dark({colour.lower()}," in sheet


def test_kinds_of_change_are_told_by_dashes_as_well() -> None:
    for layer in ("changes", "stretches"):
        look = looks(layer, columns()[layer])[0]
        lines = {r.label: r.symbol for r in look.rules if r.where is not export_looks.NEVER}
        assert {label for _, _, label in render_style.CHANGES.values()} <= set(lines)
        for colour, dash, label in render_style.CHANGES.values():
            assert (lines[label].colour, bool(lines[label].dash_mm)) == (colour, bool(dash))
    old = looks("changes", [c for c in columns()["changes"] if c != "source"])[0]  # of a file without it
    assert {"Grown", "New"} <= {r.label for r in old.rules}
    assert "source" not in qml_text(old, columns()["changes"], {}).split("<fieldConfiguration")[0]


def test_conditions_and_tonnes_as_qgis_reads_them() -> None:
    where = All((Is("stage", "=", "it's"), Some((Is("a_t", "null"), Is("a_t", "<=", 0.5))), All()))
    assert expression(where) == "\"stage\" = 'it''s' AND (\"a_t\" IS NULL OR \"a_t\" <= 0.5)"
    assert expression(Is("open", "=", False)) == '"open" = false'
    assert expression(All()) == ""
    assert "→" in tonnes_expression(("baseline_t", "halted_t"))


def test_the_classes_of_an_sld_miss_no_tonnes() -> None:
    assert CLASSES[0][0] == 0
    assert [c[1] for c in CLASSES[:-1]] == [c[0] for c in CLASSES[1:]]
    assert all(low < drawn < high for low, high, drawn in CLASSES)


def test_slds_have_the_order_of_the_standard() -> None:
    for _, look in every_look():
        root = ET.fromstring(sld_text(look).split("\n", 1)[1])
        rules = list(root.iter(f"{{{SE}}}Rule"))
        assert rules, look.name
        for rule in rules:
            names = [e.tag.split("}")[1] for e in rule]
            assert names == sorted(names, key=ORDER.index), look.name
            assert names[-1].endswith("Symbolizer")
        for f in root.iter(f"{{{OGC}}}Filter"):
            assert len(f) == 1


def test_the_package_holds_the_styles_that_qgis_looks_for(package: Path) -> None:
    schema = outcome().layers.schema
    with closing(sqlite3.connect(package)) as file:
        held = [r[1] for r in file.execute("PRAGMA table_info(layer_styles)")]
        rows = file.execute("SELECT f_table_name, f_geometry_column, styleName, styleQML, styleSLD, useAsDefault, update_time FROM layer_styles").fetchall()
        kind = file.execute("SELECT data_type FROM gpkg_contents WHERE table_name = 'layer_styles'").fetchone()
        counted = file.execute("SELECT feature_count FROM gpkg_ogr_contents WHERE table_name = 'layer_styles'").fetchone()
        assert file.execute("PRAGMA foreign_key_check").fetchall() == []
    assert held == ["id", "f_table_catalog", "f_table_schema", "f_table_name", "f_geometry_column", "styleName", "styleQML", "styleSLD",
                    "useAsDefault", "description", "owner", "ui", "update_time"]  # fmt: skip
    assert kind == ("attributes",)
    assert counted == (len(rows),)
    assert {r[0] for r in rows} == {*export.LAYERS, *export_stretches.TITLES}
    assert {r[6] for r in rows} == {export_styles.STAMP}
    for layer in {r[0] for r in rows}:
        assert [r[5] for r in rows if r[0] == layer].count(1) == 1, layer
    for layer, geometry, _, qml, sld, *_ in rows:
        assert geometry == "geom"
        ET.fromstring(sld.split("\n", 1)[1])
        root = ET.fromstring(qml.split("\n", 1)[1])
        fields = export_styles.layer_fields(layer, schema)
        aliases = {a.get("field"): a.get("name") for a in root.iter("alias")}
        assert {c: n for c, n in aliases.items() if c not in ("fid", "OGC_FID")} == {c: alias(c, fields) for c in columns()[layer]}
        assert all(aliases[c] for c in columns()[layer])
        hidden = {c.get("name") for c in root.iter("column") if c.get("hidden") == "1" and c.get("type") == "field"}
        assert hidden == set(aliases) & HIDDEN


def test_the_same_input_gives_the_same_bytes(package: Path, tmp_path: Path) -> None:
    export.write_layer(small_study().solve(HALT), "all", tmp_path / "halt.gpkg", qgis=True)
    for name in ("halt.gpkg", "halt.qgz"):
        assert (tmp_path / name).read_bytes() == (package.with_name(name)).read_bytes(), name


def test_a_layer_alone_is_styled_too(tmp_path: Path) -> None:
    export.write_layer(outcome(), "changes", tmp_path / "changes.gpkg")
    with closing(sqlite3.connect(tmp_path / "changes.gpkg")) as file:
        assert file.execute("SELECT f_table_name, useAsDefault FROM layer_styles").fetchall() == [("changes", 1)]
        assert file.execute("SELECT 1 FROM sqlite_master WHERE name = 'qgis_projects'").fetchone() is None


def project(path: Path) -> ET.Element:
    with zipfile.ZipFile(path) as packed:
        (name,) = packed.namelist()
        assert packed.infolist()[0].date_time == (2024, 1, 1, 0, 0, 0)
        return ET.fromstring(packed.read(name).decode().split("\n", 1)[1])


def test_the_project_names_layers_that_are_there(package: Path) -> None:
    root = project(package.with_suffix(".qgz"))
    found = {m.findtext("id"): m.findtext("datasource") or "" for m in root.iter("maplayer")}
    tables = {*pyogrio.list_layers(package)[:, 0]}
    for source in found.values():
        assert source.startswith("./halt.gpkg|layername=")
        assert source.split("|")[1].removeprefix("layername=") in tables
    for tag in ("layer-tree-layer", "visibility-preset/layer", "layerorder/layer"):
        assert {e.get("id") for e in root.iterfind(f".//{tag}")} <= set(found), tag
    assert {p.get("name") for p in root.iter("visibility-preset")} == {"Change", "Before", "After"}
    rules = {m.findtext("id"): len(m.findall("renderer-v2/rules/rule")) for m in root.iter("maplayer")}
    for layer in root.iterfind(".//LayoutItem//layer-tree-layer"):
        order = next(o.get("value", "") for o in layer.iter("Option") if o.get("name") == "legend/node-order")
        assert all(int(k) < rules[layer.get("id")] for k in order.split(","))
    said = root.findtext("projectMetadata/abstract") or ""
    assert "OpenStreetMap contributors, ODbL 1.0" in said
    assert "country:CHN/magnet" in said
    assert outcome().sentence in said


def test_the_project_inside_is_the_one_beside(package: Path) -> None:
    with closing(sqlite3.connect(package)) as file:
        name, content = file.execute("SELECT name, content FROM qgis_projects").fetchone()
    with zipfile.ZipFile(io.BytesIO(bytes.fromhex(content))) as inside, zipfile.ZipFile(package.with_suffix(".qgz")) as beside:
        assert (name, inside.namelist()) == ("atlas", ["atlas.qgs"])
        assert inside.read("atlas.qgs") == beside.read("halt.qgs")


@pytest.mark.slow
def test_the_baseline_opens_with_what_is_before(tmp_path: Path) -> None:
    calm = small_study().solve(())
    export.write_layer(calm, "all", tmp_path / "a.gpkg")
    root = ET.fromstring(project_text(tmp_path / "a.gpkg", "a.gpkg", about(calm), calm.layers.schema).split("\n", 1)[1])
    groups = {g.get("name"): g.get("checked") for g in root.find("layer-tree-group").iter("layer-tree-group")}
    assert (groups["Before"], groups["Change"]) == ("Qt::Checked", "Qt::Unchecked")
    assert "baseline of 2024" in (root.findtext("title") or "")


def test_names_of_files_and_titles_stay_text(package: Path) -> None:
    said = about(outcome())
    hostile = type(said)('<b>"&\' \N{SNOWMAN}', said.sentence, said.halts)
    root = ET.fromstring(project_text(package, "a & <b>.gpkg", hostile, outcome().layers.schema).split("\n", 1)[1])
    assert root.findtext("title") == hostile.title
    assert (root.findtext(".//maplayer/datasource") or "").startswith("./a & <b>.gpkg|")


def test_another_commodity_is_told_in_its_own_words() -> None:
    chain = replace(shipped_chain(), id="gallium", words={"magnets": "wafers", "rare-earth": "gallium"})
    rules = {r.label for look in looks("flows", columns()["flows"]) for r in worded(look, chain).rules}
    assert "Wafers (t wafers a year)" in rules
    assert not any("agnets" in label for label in rules)
    where = next(r.where for r in worded(looks("flows", columns()["flows"])[0], chain).rules if r.label.startswith("Wafers"))
    assert "\"commodity\" = 'magnet'" in expression(where)  # ids stay


def test_a_project_goes_with_all_layers_only(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="all layers"):
        export.write_layer(outcome(), "ports", tmp_path / "ports.gpkg", qgis=True)
    (tmp_path / "all.qgz").mkdir()
    with pytest.raises(BadInput, match="is a folder"):
        export.check_layer_target("all", tmp_path / "all.gpkg", qgis=True)
    assert [p.name for p in tmp_path.iterdir()] == ["all.qgz"]


def along(table: gpd.GeoDataFrame) -> float:
    """Return tonnes times degrees along the lines."""
    return float((table["tonnes"] * shapely.length(table.geometry.to_numpy())).sum())


def test_stretches_carry_what_the_flows_carry() -> None:
    table = export_stretches.stretches_table(outcome())
    assert table.index.is_unique
    flows = export.layer_table(outcome(), "flows")
    for view, state in (("before", "baseline"), ("after", "halted")):
        moved = flows[(flows["state"] == state) & flows.geometry.notna()]
        drawn = table[table["view"] == view]
        for goods in ("concentrate", "oxide", "metal", "magnet"):
            whole, sums = along(moved[moved["commodity"] == goods]), along(drawn[drawn["commodity"] == goods])
            assert sums == pytest.approx(whole, rel=0.03), (view, goods)  # lines are simplified
    change = table[table["view"] == "change"]
    parts = {k: along(change[change["kind"] == k]) for k in ("lost", "reduced", "kept", "grown", "new")}
    before, after = (along(table[table["view"] == v]) for v in ("before", "after"))
    assert parts["lost"] + parts["reduced"] + parts["kept"] == pytest.approx(before, rel=0.03)
    assert parts["kept"] + parts["grown"] + parts["new"] == pytest.approx(after, rel=0.03)
    assert parts["lost"] > 0
    assert set(change.loc[change["kind"].isin(["grown", "new"]), "source"]) <= {"ally", "other"}


def test_strands_lie_side_by_side() -> None:
    table = export_stretches.stretches_table(outcome())
    table["stretch"] = table.index.str.split("-").str[0]
    for _, strands in table.groupby(["view", "stretch"]):
        strands = strands.sort_values("draw_order")
        assert strands["width_mm"].sum() == pytest.approx(strands["whole_mm"].iloc[0], abs=0.01)
        edges = strands["offset_mm"] - strands["width_mm"] / 2
        assert edges.iloc[0] == pytest.approx(-strands["whole_mm"].iloc[0] / 2, abs=0.01)
        ends = (strands["offset_mm"] + strands["width_mm"] / 2).tolist()
        assert edges.tolist()[1:] == pytest.approx(ends[:-1], abs=0.01)
        assert strands["arrow"].sum() == (0 if strands["two_way"].iloc[0] else 1)


def test_gains_say_whether_they_come_from_the_bloc() -> None:
    table = export.layer_table(outcome(), "changes")
    gains = table["kind"].isin(["grown", "new"])
    assert gains.any()
    ally = table["from_country"].isin(outcome().bloc_countries)
    assert (table.loc[gains & ally, "source"] == "ally").all()
    assert (table.loc[gains & ~ally, "source"] == "other").all()
    assert (table.loc[~gains, "source"] == "").all()


def test_the_backdrop_knows_the_halt_and_the_bloc() -> None:
    table = export_stretches.backdrop_table(outcome())
    assert table.at["CHN", "place"] == "halted"
    assert table.at["DEU", "place"] == "bloc"
    assert table.at["sea", "kind"] == "sea"
    assert table.geometry.is_valid.all()


@pytest.mark.slow
def test_the_project_marks_what_a_halt_names(tmp_path: Path) -> None:
    shut = small_study().solve(("passage:malacca", "operator:lynas"))
    export.write_layer(shut, "all", tmp_path / "shut.gpkg", qgis=True)
    root = project(tmp_path / "shut.qgz")
    told = {m.findtext("id"): [r.get("filter", "") for r in m.iterfind("renderer-v2/rules/rule") if r.get("label") == "Named in a halt"]
            for m in root.iter("maplayer")}  # fmt: skip
    assert told["atlas_passages_change"] == ["\"id\" = 'malacca'"]
    (lynas,) = told["atlas_facilities_after"]
    assert set(re.findall(r"'(.*?)'", lynas)) == {"mt-weld", "lynas-kuantan"}
    assert told["atlas_passages_before"] == told["atlas_ports_change"] == []  # nothing is halted yet; no port is
    labels = [r.get("filter", "") for m in root.iter("maplayer") if m.findtext("id") == "atlas_passages_change" for r in m.iterfind("labeling/rules/rule")]
    assert labels[0] == "\"id\" = 'malacca'"
    assert all("\"id\" <> 'malacca'" in f for f in labels[1:])  # one label each

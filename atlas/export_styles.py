"""The looks of all layers inside a GeoPackage: the table `layer_styles`, from which QGIS takes its default styles.

The columns are those that QGIS writes itself. The time is fixed, so that the same input gives the same bytes.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path

from atlas.chain import Chain
from atlas.export_fields import EXPORTED, Field, fields_of
from atlas.export_gpkg import STAMP
from atlas.export_looks import looks, worded
from atlas.export_qml import qml_text
from atlas.export_sld import sld_text
from atlas.export_stretches import FIELDS
from atlas.schema import Schema

STYLES = "layer_styles"
_TABLE = f"""
CREATE TABLE "{STYLES}" ("id" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, "f_table_catalog" TEXT(256),
"f_table_schema" TEXT(256), "f_table_name" TEXT(256), "f_geometry_column" TEXT(256), "styleName" TEXT(30),
"styleQML" TEXT, "styleSLD" TEXT, "useAsDefault" BOOLEAN, "description" TEXT, "owner" TEXT(30), "ui" TEXT(30),
"update_time" DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')))
"""
_ROW = f"""
INSERT INTO "{STYLES}" (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, styleName, styleQML, styleSLD,
useAsDefault, description, owner, ui, update_time) VALUES ('', '', ?, ?, ?, ?, ?, ?, ?, '', NULL, ?)
"""  # noqa: S608  # nothing from outside
_GEOMETRY = "SELECT column_name FROM gpkg_geometry_columns WHERE table_name = ?"


def add_styles(path: Path, layers: Iterable[str], schema: Schema, chain: Chain) -> None:
    """Write the looks of these layers of a GeoPackage into it, the first look of each as its default."""
    with closing(sqlite3.connect(path)) as file, file:
        file.execute(_TABLE)
        said = "Styles of the layers, for QGIS and GeoServer"
        file.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, last_change, srs_id) "
            "VALUES (?, 'attributes', ?, ?, ?, 0)",
            (STYLES, STYLES, said, STAMP),
        )
        count = 0
        for layer in layers:
            columns = table_columns(file, layer)
            geometry = file.execute(_GEOMETRY, (layer,)).fetchone()
            for k, look in enumerate(worded(look, chain) for look in looks(layer, columns)):
                qml = qml_text(look, columns, layer_fields(layer, schema))
                row = (layer, geometry[0], look.name, qml, sld_text(look), int(k == 0), look.title, STAMP)
                file.execute(_ROW, row)
                count += 1
        if file.execute("SELECT 1 FROM sqlite_master WHERE name = 'gpkg_ogr_contents'").fetchone():
            file.execute("INSERT INTO gpkg_ogr_contents (table_name, feature_count) VALUES (?, ?)", (STYLES, count))


def table_columns(file: sqlite3.Connection, layer: str) -> list[str]:
    """Return the columns of a table of a GeoPackage in order, its geometry left out."""
    geometry = {r[0] for r in file.execute(_GEOMETRY, (layer,))}
    names = [r[0] for r in file.execute("SELECT name FROM pragma_table_info(?)", (layer,))]
    return [n for n in names if n not in geometry]


def layer_fields(layer: str, schema: Schema) -> Mapping[str, Field]:
    """Return the fields of a layer that has a look."""
    if layer in FIELDS:
        return {f.name: f for f in FIELDS[layer]}
    return fields_of(layer, schema) if layer in EXPORTED else {}

"""Write GeoPackages: layers with headings and descriptions of their columns, whose data it is, and the sources named.

A result repeats the line of a route in every flow along it. In a package of several layers each route and each lane is
held once, in tables `part_*`, and `flows` and `changes` are spatial views of them: the same rows and columns with exact
lines in a tenth of the space. A layer alone is a plain table.
"""

import sqlite3
import struct
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import geopandas as gpd
import pandas as pd
import pyogrio
import shapely
from shapely.geometry import MultiLineString
from shapely.geometry.base import BaseGeometry

from atlas.errors import WriteFailure
from atlas.export_fields import Field
from atlas.export_tables import as_text, geometry_type, gis_table

STAMP = "2024-01-01T00:00:00.000Z"  # GDAL stamps the time into the file; fixed, the same input gives the same bytes
VIEWS = ("flows", "changes")
SRS = 4326
# What rows of a view have in common, each set of values held once: table -> columns.
SHARED: Mapping[str, tuple[str, ...]] = {
    "part_lanes": ("lane_id", "commodity", "element", "grade", "from_id", "from_country", "to_id", "to_country",
                   "ends_confidence", "ends_source_ids"),
    "part_ways": ("passages", "ports", "borders"),
    "part_routes": ("route_id", "geom"),
}  # fmt: skip
_KINDS = {"float": "REAL", "int": "INTEGER", "bool": "BOOLEAN"}
_SCHEMA_TABLES = (
    "CREATE TABLE gpkg_data_columns (table_name TEXT NOT NULL, column_name TEXT NOT NULL, name TEXT, title TEXT, "
    "description TEXT, mime_type TEXT, constraint_name TEXT, CONSTRAINT pk_gdc PRIMARY KEY (table_name, column_name), "
    "CONSTRAINT gdc_tn UNIQUE (table_name, name))",
    "CREATE TABLE gpkg_data_column_constraints (constraint_name TEXT NOT NULL, constraint_type TEXT NOT NULL, "
    "value TEXT, min NUMERIC, min_is_inclusive BOOLEAN, max NUMERIC, max_is_inclusive BOOLEAN, description TEXT, "
    "CONSTRAINT gdcc_ntv UNIQUE (constraint_name, constraint_type, value))",
    "CREATE TABLE IF NOT EXISTS gpkg_extensions (table_name TEXT, column_name TEXT, extension_name TEXT NOT NULL, "
    "definition TEXT NOT NULL, scope TEXT NOT NULL, CONSTRAINT ge_tce UNIQUE (table_name, column_name, "
    "extension_name))",
    "INSERT INTO gpkg_extensions VALUES ('gpkg_data_columns', NULL, 'gpkg_schema', "
    "'http://www.geopackage.org/spec121/#extension_schema', 'read-write')",
    "INSERT INTO gpkg_extensions VALUES ('gpkg_data_column_constraints', NULL, 'gpkg_schema', "
    "'http://www.geopackage.org/spec121/#extension_schema', 'read-write')",
)

Finish = Callable[[Path], None]
_GDAL = threading.Lock()  # the stamp is a setting of the whole process


@dataclass(frozen=True)
class Sheet:
    """A layer to write: its name, its rows (`layer_table`; a table without geometry becomes one without), its fields.

    `told` is what `export_tables.about` says: title, attribution, licence, scenario.
    """

    name: str
    table: pd.DataFrame
    fields: Sequence[Field]
    told: Mapping[str, Any] = field(default_factory=dict)


def write_gpkg(path: Path, sheets: Iterable[Sheet], *, shared: bool = False, finish: Finish | None = None) -> None:
    """Write layers into one new GeoPackage; with `shared` flows and changes become views of their common parts.

    `finish` gets the path of the file when the layers are in it, before it is moved to its place: to add styles. Raises
    WriteFailure where a layer is missing in the end, and what SQLite and GDAL raise on a full disk.
    """
    with _GDAL:
        _write(path, sheets, shared, finish)


def _write(path: Path, sheets: Iterable[Sheet], shared: bool, finish: Finish | None) -> None:
    views: list[Sheet] = []
    held: list[Sheet] = []
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": STAMP})
    try:
        for sheet in sheets:
            if shared and sheet.name in VIEWS:
                views.append(sheet)
                continue
            _write_table(path, sheet, first=not held)
            held.append(Sheet(sheet.name, pd.DataFrame(), sheet.fields))
        _add_parts(path, views, [*held, *views])
        if finish is not None:
            finish(path)
        found = set(pyogrio.list_layers(path)[:, 0])
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})
    # GDAL repeats the metadata of a reopened GeoPackage in a side file; it is in the GeoPackage already.
    path.with_name(f"{path.name}.aux.xml").unlink(missing_ok=True)
    if not {s.name for s in [*held, *views]} <= found:
        raise WriteFailure(f"{path.name} came out incomplete")


def _write_table(path: Path, sheet: Sheet, first: bool) -> None:
    """Write a layer as a table of its own."""
    told = as_text({"generator": "rare-earth atlas", **sheet.told})
    title = told.get("title", sheet.name)
    if not isinstance(sheet.table, gpd.GeoDataFrame):
        options = {"FID": "fid", "ASPATIAL_VARIANT": "GPKG_ATTRIBUTES", "DESCRIPTION": title}
        pyogrio.write_dataframe(sheet.table, path, layer=sheet.name, driver="GPKG", layer_options=options)
        return
    table = gis_table(sheet.table)
    kind = geometry_type(table)
    whole = {k: v for k, v in told.items() if k not in ("name", "title")}
    pyogrio.write_dataframe(
        table, path, layer=sheet.name, driver="GPKG", geometry_type=kind, promote_to_multi=kind.startswith("Multi"),
        dataset_metadata=whole if first else None, layer_metadata=told,
        layer_options={"FID": "fid", "GEOMETRY_NAME": "geom", "DESCRIPTION": title},
    )  # fmt: skip


def _add_parts(path: Path, views: Sequence[Sheet], described: Sequence[Sheet]) -> None:
    """Add views and the descriptions of columns, all in one transaction."""
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("BEGIN")
        if views:
            _add_views(file, views)
        for statement in _SCHEMA_TABLES:
            file.execute(statement)
        rows = [(s.name, f.name, f.alias, f.alias, f.comment, None, None) for s in described for f in s.fields]
        file.executemany("INSERT INTO gpkg_data_columns VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        file.execute("COMMIT")


def _add_views(file: sqlite3.Connection, views: Sequence[Sheet]) -> None:
    """Write the parts of the views and the views themselves."""
    whole = {sheet.name: gis_table(sheet.table) for sheet in views}
    tables = {name: _with_blobs(table) for name, table in whole.items()}
    places: dict[str, dict[str, list[int]]] = {name: {} for name in tables}
    for part, columns in SHARED.items():
        users = [n for n, t in tables.items() if set(columns) <= set(t.columns)]
        rows: dict[tuple[Any, ...], int] = {}
        for name in users:
            values = zip(*(tables[name][c].tolist() for c in columns), strict=True)
            places[name][part] = [rows.setdefault(row, len(rows) + 1) for row in values]
        kinds = ", ".join(f"{c} {'BLOB' if c == 'geom' else 'TEXT'}" for c in columns)
        file.execute(f"CREATE TABLE {part} (fid INTEGER PRIMARY KEY, {kinds})")
        marks = ", ".join("?" * (len(columns) + 1))
        ordered = ((n, *row) for row, n in rows.items())
        file.executemany(f"INSERT INTO {part} VALUES ({marks})", ordered)  # noqa: S608  # names of ours
    for sheet in views:
        _add_view(file, sheet, tables[sheet.name], places[sheet.name], whole[sheet.name].total_bounds.tolist())


def _add_view(
    file: sqlite3.Connection, sheet: Sheet, table: pd.DataFrame, parts: Mapping[str, list[int]], bounds: list[float]
) -> None:
    """Write the rows that are a layer's own, and the view that joins its parts."""
    name, base = sheet.name, f"part_{sheet.name}"
    home = {c: part for part in parts for c in SHARED[part]}
    own = [f for f in sheet.fields if f.name not in home]
    kinds = [f"{f.name} {_KINDS.get(f.type, 'TEXT')}" for f in own] + [f"{part} INTEGER" for part in parts]
    file.execute(f"CREATE TABLE {base} (fid INTEGER PRIMARY KEY, {', '.join(kinds)})")
    columns = [_cells(table[f.name]) for f in own] + list(parts.values())
    marks = ", ".join("?" * (len(columns) + 1))
    rows = zip(range(1, len(table) + 1), *columns, strict=True)
    file.executemany(f"INSERT INTO {base} VALUES ({marks})", rows)  # noqa: S608  # names of ours
    shown = ", ".join(f"{home.get(f.name, base)}.{f.name} AS {f.name}" for f in sheet.fields)
    joins = " ".join(f"JOIN {part} ON {part}.fid = {base}.{part}" for part in parts)
    shown = f"{base}.fid AS OGC_FID, part_routes.geom AS geom, {shown}"  # GDAL takes OGC_FID for the key of a view
    file.execute(f"CREATE VIEW {name} AS SELECT {shown} FROM {base} {joins}")  # noqa: S608  # names of ours
    told = as_text({"generator": "rare-earth atlas", **sheet.told})
    file.execute(
        "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, last_change, min_x, min_y, max_x, "
        "max_y, srs_id) VALUES (?, 'features', ?, ?, ?, ?, ?, ?, ?, ?)",
        (name, name, told.get("title", name), STAMP, *(None if b != b else b for b in bounds), SRS),
    )
    file.execute("INSERT INTO gpkg_geometry_columns VALUES (?, 'geom', 'MULTILINESTRING', ?, 0, 0)", (name, SRS))
    items = "".join(f'<MDI key="{escape(k)}">{escape(v)}</MDI>' for k, v in sorted(told.items()))
    xml = f"<GDALMultiDomainMetadata><Metadata>{items}</Metadata></GDALMultiDomainMetadata>"
    made = file.execute(
        "INSERT INTO gpkg_metadata (md_scope, md_standard_uri, mime_type, metadata) "
        "VALUES ('dataset', 'http://gdal.org', 'text/xml', ?)", (xml,),
    )  # fmt: skip
    file.execute(
        "INSERT INTO gpkg_metadata_reference VALUES ('table', ?, NULL, NULL, ?, ?, NULL)", (name, STAMP, made.lastrowid)
    )


def _with_blobs(table: gpd.GeoDataFrame) -> pd.DataFrame:
    """Return the table with its geometry as GeoPackage binary in `geom`; rows of one line share one object."""
    lines = table.geometry.to_numpy()
    known: dict[int, bytes | None] = {}
    for line in lines:
        if id(line) not in known:
            known[id(line)] = _blob(line)
    made = pd.DataFrame(table.drop(columns=table.geometry.name))
    made["geom"] = [known[id(line)] for line in lines]
    return made


def _blob(line: BaseGeometry | None) -> bytes | None:
    """Return a line as GeoPackage binary: header with envelope, then WKB, little-endian."""
    if line is None:
        return None
    west, south, east, north = line.bounds
    head = struct.pack("<2sBBi4d", b"GP", 0, 0b11, SRS, west, east, south, north)
    return head + bytes(shapely.to_wkb(MultiLineString(getattr(line, "geoms", [line])), byte_order=1))


def _cells(values: pd.Series) -> list[Any]:
    """Return the values of a column as SQLite takes them."""
    return [None if v is None or v != v else v for v in values.tolist()]

"""The layers for programs: a list of them, their rows, and the layers of a map with the results of halts."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import geopandas as gpd
import pandas as pd
from flask import Blueprint, Response, current_app, request

from atlas import geo
from atlas.errors import BadInput, nearest
from atlas.export import ATTRIBUTION, LAYERS, TITLES, flows_csv, layer_table, layer_text, write_layer
from atlas.export_csv import csv_text
from atlas.export_formats import wkt
from atlas.export_geojson import collection_text, plain
from atlas.export_qgis import packed
from atlas.schema import Column
from atlas.web_answers import Document
from atlas.web_errors import NotFound
from atlas.web_formats import CSV_TYPE, FILE_TYPES, GEOJSON_TYPE, ZIP_TYPE, attached, csv_document, json_document
from atlas.web_query import halt_query, parameters

MAP_FORMS = ("csv", "geojson", *FILE_TYPES)  # of a layer of a map
WITH_LINES = ("passages", "network")  # of these a table without lines says little

layers_api = Blueprint("layers_api", __name__)


@layers_api.get("/api/layers")
def layer_list() -> Response:
    """List the layers with their columns, and the map layers, each with where its forms stand."""
    atlas = _atlas()
    parameters(request, (), atlas.settings)
    return _sent(atlas.answers.documents.get("/api/layers", lambda: json_document(layer_index(atlas.study))))


@layers_api.get("/api/layers/<name>.geojson")
def layer_geojson(name: str) -> Response:
    """Return a map layer as GeoJSON, with the results of the halts."""
    headers = (attached(f"{name}.geojson"),)
    return _result(name, "geojson", lambda outcome: Document.of(layer_text(outcome, name), GEOJSON_TYPE, headers))


@layers_api.get("/api/layers/<name>.csv")
def layer_csv(name: str) -> Response:
    """Return a map layer as CSV, with the results of the halts; `wkt=1` adds the lines of flows and changes."""
    lines = _switch("wkt")
    form = "csv-wkt" if lines else "csv"
    return _result(name, form, lambda outcome: csv_document(result_rows(outcome, name, lines), name), ("wkt",))


@layers_api.get("/api/layers/<name>.gpkg")
def layer_gpkg(name: str) -> Response:
    """Return a map layer, or `all` of them, as a GeoPackage with the results of the halts."""
    return _file(name, "gpkg")


@layers_api.get("/api/layers/all.zip")
def layers_zip() -> Response:
    """Return all layers as a GeoPackage with the results of the halts, and its QGIS project beside it."""
    return _result("all", "zip", _zipped)


@layers_api.get("/api/layers/<name>.fgb")
def layer_fgb(name: str) -> Response:
    """Return a map layer as FlatGeobuf, with the results of the halts."""
    return _file(name, "fgb")


@layers_api.get("/api/layers/<name>.parquet")
def layer_parquet(name: str) -> Response:
    """Return a map layer as GeoParquet, with the results of the halts."""
    return _file(name, "parquet")


@layers_api.get("/api/layers/<name>/rows.json")
def rows_json(name: str) -> Response:
    """Return the rows of a layer as they stand in its file, typed."""
    return _rows(name, "json")


@layers_api.get("/api/layers/<name>/rows.csv")
def rows_csv(name: str) -> Response:
    """Return the rows of a layer as CSV."""
    return _rows(name, "csv")


@layers_api.get("/api/layers/<name>/rows.geojson")
def rows_geojson(name: str) -> Response:
    """Return the rows of a layer that has places as GeoJSON."""
    return _rows(name, "geojson")


def layer_index(study: Any) -> dict[str, Any]:
    """Return what layers there are: rows and columns of each, and the layers of a map."""
    layers = study.layers
    return {
        "year": study.year,
        "digest": layers.digest,
        "layers": [_about(n, layers) for n in layers.schema.layers],
        "map_layers": [
            {"name": n, "title": TITLES[n], **{form: f"/api/layers/{n}.{form}" for form in MAP_FORMS}} for n in LAYERS
        ],
    }


def layer_rows(name: str, layers: Any) -> pd.DataFrame:
    """Return the rows of a layer with the columns of its file in their order, geometry last where it has one."""
    table = layers.table(name)
    if table.index.name and table.index.name not in table.columns:
        table = table.reset_index()
    columns = [c for c, column in layers.schema.of(name).items() if column.type != "geometry"]
    made = pd.DataFrame({c: _typed(table[c], layers.schema.of(name)[c]) for c in columns})
    if places := _places(table):
        return gpd.GeoDataFrame(made, geometry=places, crs=geo.CRS)
    return made


def result_rows(outcome: Any, name: str, lines: bool = False) -> pd.DataFrame:
    """Return a map layer as a table: points by lon and lat, lines as well-known text, of flows and changes if asked.

    Flows have the columns and order of `flows.csv`, before their lines.
    """
    table = flows_csv(outcome) if name == "flows" and not lines else layer_table(outcome, name)
    if name == "flows" and not lines:
        return table
    made = pd.DataFrame(table.drop(columns=table.geometry.name)).reset_index(names="id")
    if name == "flows":
        made = made[list(flows_csv(outcome).columns)]
    if lines or name in WITH_LINES:
        known = {id(g): g for g in table.geometry.to_numpy()}  # flows by one route share its line
        text = {k: wkt(g) for k, g in known.items()}
        made["wkt"] = [text[id(g)] for g in table.geometry.to_numpy()]
    return made


def _switch(name: str) -> bool:
    """Return a parameter that is 0 (or left out) or 1."""
    value = request.args.get(name, "0")
    if value not in ("0", "1"):
        raise BadInput(f"{name}={value[:40]}: expected 0 or 1")
    return value == "1"


def _atlas() -> Any:
    """Return what the application holds: study, settings, answers, assets, send."""
    return current_app.extensions["atlas"]


def _sent(document: Document) -> Response:
    response: Response = _atlas().send(document)
    return response


def _file(name: str, form: str) -> Response:
    """Return a layer as a file that GDAL or Arrow has written."""

    def write(outcome: Any) -> Document:
        with TemporaryDirectory(prefix="atlas-") as folder:
            path = Path(folder) / f"{name}.{form}"
            write_layer(outcome, name, path)
            return Document.of(path.read_bytes(), FILE_TYPES[form], (attached(path.name),))

    return _result(name, form, write)


def _zipped(outcome: Any) -> Document:
    with TemporaryDirectory(prefix="atlas-") as folder:
        package = Path(folder) / "atlas.gpkg"
        write_layer(outcome, "all", package, qgis=True)
        files = {p.name: p.read_bytes() for p in (package, package.with_suffix(".qgz"))}
        return Document.of(packed(files), ZIP_TYPE, (attached("atlas.zip"),))


def _result(name: str, form: str, write: Any, more: Sequence[str] = ()) -> Response:
    atlas = _atlas()
    known = (*LAYERS, "all") if form in ("gpkg", "zip") else LAYERS
    if name not in known:
        raise NotFound("layer", name, nearest(name, known) or known)
    query = halt_query(request, atlas.settings, more=more)
    question = atlas.answers.question(query)

    def make() -> Document:
        with atlas.timed("solve"):
            outcome = atlas.answers.outcome(question, query.bloc, request.remote_addr or "")
        with atlas.timed("write"):
            made: Document = write(outcome)
            return made

    return _sent(atlas.answers.documents.get(("layer", name, form, atlas.answers.key(question, query.bloc)), make))


def _rows(name: str, form: str) -> Response:
    atlas = _atlas()
    layers = atlas.study.layers
    if name not in layers.schema.layers:
        raise NotFound("layer", name, nearest(name, layers.schema.layers) or layers.schema.layers)
    parameters(request, (), atlas.settings)

    def make() -> Document:
        table = layer_rows(name, layers)
        key = layers.schema.key(name)
        if form == "geojson":
            if not isinstance(table, gpd.GeoDataFrame):
                raise NotFound("layer with places", name, _with_places(layers))
            members = {"name": name, "attribution": ATTRIBUTION}
            named = (attached(f"{name}.geojson"),)
            return Document.of(collection_text(table.set_index(key, drop=False), members), GEOJSON_TYPE, named)
        bare = pd.DataFrame(table.drop(columns="geometry", errors="ignore"))
        if form == "csv":
            return Document.of(csv_text(bare), CSV_TYPE, (attached(f"{name}.csv"),))
        cells = {c: [_json(v) for v in bare[c].tolist()] for c in bare.columns}
        return json_document([dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True)])

    return _sent(atlas.answers.documents.get(("rows", name, form), make))


def _about(name: str, layers: Any) -> dict[str, Any]:
    table = layers.table(name)
    columns = layers.schema.of(name)
    on_c = float((table["confidence"] == "C").mean()) if "confidence" in table and len(table) else None
    return {
        "name": name, "count": len(table), "key": layers.schema.key(name), "on_confidence_c_share": on_c,
        "columns": [
            {"name": c.column, "type": c.type, "unit": c.unit, "required": c.required, "allowed": c.allowed,
             "references": c.references, "description": c.description}
            for c in columns.values()
        ],
        "json": f"/api/layers/{name}/rows.json", "csv": f"/api/layers/{name}/rows.csv",
        "geojson": f"/api/layers/{name}/rows.geojson" if name in _with_places(layers) else None,
    }  # fmt: skip


def _with_places(layers: Any) -> list[str]:
    """Return the layers with geometry, or with lon and lat."""
    schema = layers.schema
    return [n for n in schema.layers if schema.is_spatial(n) or {"lon", "lat"} <= set(schema.of(n))]


def _places(table: pd.DataFrame) -> Any:
    """Return the geometry of rows, none for a layer without places."""
    if isinstance(table, gpd.GeoDataFrame):
        return list(table.geometry)
    if {"lon", "lat"} <= set(table.columns):
        known = table["lon"].notna() & table["lat"].notna()
        points = gpd.points_from_xy(table["lon"], table["lat"])
        return [p if k else None for p, k in zip(points, known, strict=True)]
    return None


def _typed(values: pd.Series, column: Column) -> Any:
    """Return the values of a column, whole numbers whole even beside empty cells."""
    if column.type == "int":
        return pd.Series([None if v != v else int(v) for v in values.tolist()], dtype=object)
    return values.to_numpy()


def _json(value: Any) -> Any:
    """Return a cell as JSON has it: lists stay lists, an empty number is null."""
    return list(value) if isinstance(value, tuple) else plain(value)

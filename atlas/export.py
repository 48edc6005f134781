"""Write layers and results for GIS tools: GeoJSON, GeoPackage, FlatGeobuf, GeoParquet, CSV; whole or not at all.

What stands in a layer is `export_tables`, how a format is written `export_gpkg`, `export_formats` and `export_geojson`.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from atlas import export_stretches
from atlas.chain import chain_of
from atlas.errors import BadInput, UnknownName, nearest
from atlas.export_fields import fields_of
from atlas.export_files import check_target_file, check_target_folder, write_file, write_folder
from atlas.export_formats import write_csv, write_fgb, write_parquet
from atlas.export_geojson import Encoded, collection_text
from atlas.export_gpkg import Finish, Sheet, write_gpkg
from atlas.export_network import network_of
from atlas.export_qgis import about as project_about
from atlas.export_qgis import add_project, write_project
from atlas.export_styles import add_styles
from atlas.export_tables import (
    ATTRIBUTION,
    FLOW_COLUMNS,
    LAYERS,
    LICENCE,
    TITLES,
    Shapes,
    about,
    flows_csv,
    lane_ids,
    layer_fields,
    layer_table,
    sources_table,
)  # fmt: skip

__all__ = [
    "ATTRIBUTION", "FLOW_COLUMNS", "LAYERS", "LICENCE", "RESULT_FILES", "SUFFIXES", "TITLES", "check_layer_target",
    "check_result_folder", "check_target_file", "flows_csv", "lane_ids", "layer_geojson", "layer_table", "layer_text",
    "seals", "write_layer", "write_outcome", "write_page", "write_table",
]  # fmt: skip

SUFFIXES = (".geojson", ".gpkg", ".fgb", ".parquet", ".csv")
USED_TITLE = (
    "Network in use: edges that carry something before or after, with the tonnes on them; the layer network alone "
    "holds all edges"
)
SOURCES_TITLE = "Sources that the rows of the other layers name"
RESULT_FILES = (
    "summary.json", "flows.csv", "flows.geojson", "changes.geojson", "facilities.geojson", "atlas.gpkg", "atlas.qgz",
    "map.html", "certificate.npz",
)  # fmt: skip


def layer_text(outcome: Any, layer: str) -> str:
    """Return a layer as RFC 7946 text (see `layer_table`)."""
    return collection_text(layer_table(outcome, layer), about(outcome, layer))


def layer_geojson(outcome: Any, layer: str) -> dict[str, Any]:
    """Return a layer as a strict RFC 7946 FeatureCollection."""
    return json.loads(layer_text(outcome, layer))


def write_layer(outcome: Any, layer: str, path: str | Path, *, qgis: bool = False) -> None:
    """Write one layer to a file of one of SUFFIXES, or `all` of them to one .gpkg; whole or not at all.

    With `qgis` a project (.qgz) is written beside the .gpkg of `all` layers.
    """
    target = check_layer_target(layer, path, qgis=qgis)
    if layer == "all":
        write_file(target, lambda fresh: _write_package(fresh, outcome))
        if qgis:
            write_file(target.with_suffix(".qgz"), lambda fresh: _write_project(fresh, target, outcome))
        return
    write_table(target, layer_table(outcome, layer), layer, about(outcome, layer), getattr(outcome, "layers", outcome))


def write_table(target: Path, table: gpd.GeoDataFrame, layer: str, told: dict[str, Any], layers: Any) -> None:
    """Write the table of a layer to a file of one of SUFFIXES, whole or not at all; `layers` describe and source it."""
    suffix = target.suffix.lower()
    fields = layer_fields(table, layer, layers.schema)
    if suffix == ".gpkg":
        sheets = [Sheet(layer, table, fields, told), *_sources([table], layers)]
        write_file(target, lambda fresh: write_gpkg(fresh, sheets, finish=_finish((layer,), layers)))
    elif suffix == ".fgb":
        write_file(target, lambda fresh: write_fgb(fresh, table, fields, told))
    elif suffix == ".parquet":
        write_file(target, lambda fresh: write_parquet(fresh, table, fields, told))
    elif suffix == ".csv":
        write_file(target, lambda fresh: write_csv(fresh, table))
    else:
        text = collection_text(table, told)
        write_file(target, lambda fresh: _write_text(text, fresh))


def check_layer_target(layer: str, path: str | Path, *, qgis: bool = False) -> Path:
    """Return the path if the layer exists and may be written there; raise before any long computation if not.

    `qgis` asks for a project as well, which only `all` layers have. Raises BadInput with all that is wrong,
    WriteFailure where the folder is not ours to write.
    """
    found: list[BadInput] = []
    if qgis and layer != "all":
        found.append(BadInput("a project of QGIS goes with all layers: `all`"))
    if layer not in (*LAYERS, "all"):
        found.append(UnknownName("layer", layer, nearest(layer, (*LAYERS, "chokepoints", "all")) or LAYERS))
    try:
        target = check_target_file(path, (".gpkg",) if layer == "all" else SUFFIXES)
        if qgis:
            check_target_file(target.with_suffix(".qgz"), (".qgz",))
    except BadInput as error:
        found.append(error)
    if len(found) > 1:
        raise BadInput([p for error in found for p in error.problems])
    if found:
        raise found[0]
    return target


def write_page(path: str | Path, page: str) -> None:
    """Write an HTML page, whole or not at all."""
    write_file(check_target_file(path, (".html",)), lambda fresh: _write_text(page, fresh))


def check_result_folder(out_dir: str | Path, force: bool = False) -> Path:
    """Return the folder if a result may be written there; raise before any long computation if not."""
    return check_target_folder(out_dir, frozenset(RESULT_FILES), force)


def write_outcome(outcome: Any, out_dir: str | Path, force: bool = False, *, page: str | Callable[[], str]) -> None:
    """Write a result folder (RESULT_FILES), whole or not at all; `page` is the map as HTML or what makes it.

    Raises BadInput where the folder holds something (unless `force` and it is an earlier result), WriteFailure where it
    cannot be written.
    """
    folder = check_result_folder(out_dir, force)
    html = page if isinstance(page, str) else page()
    shapes: Shapes = {}
    tables = {name: layer_table(outcome, name, shapes) for name in ("facilities", "flows", "changes")}
    encoded: Encoded = {}
    summary = json.dumps(outcome.summary, ensure_ascii=False, allow_nan=False, indent=1) + "\n"

    def geojson(layer: str) -> Callable[[Path], None]:
        return lambda fresh: _write_text(collection_text(tables[layer], about(outcome, layer), encoded), fresh)

    write_folder(folder, {
        "summary.json": lambda fresh: _write_text(summary, fresh),
        "flows.csv": lambda fresh: flows_csv(outcome).to_csv(fresh, index=False, lineterminator="\n"),
        "flows.geojson": geojson("flows"),
        "changes.geojson": geojson("changes"),
        "facilities.geojson": geojson("facilities"),
        "atlas.gpkg": lambda fresh: _write_package(fresh, outcome, tables),
        "atlas.qgz": lambda fresh: _write_project(fresh, fresh.with_suffix(".gpkg"), outcome),
        "map.html": lambda fresh: _write_text(html, fresh),
        # Last, since it seals the others: `--check` sees a change in any of them.
        "certificate.npz": lambda fresh: np.savez_compressed(
            fresh, allow_pickle=False, **outcome.certificate_arrays, **seals(fresh.parent, outcome.layers.digest)
        ),
    })  # fmt: skip


def seals(folder: Path, layers_digest: str) -> dict[str, np.ndarray]:
    """Return the sha256 of each result file beside the certificate, and of the layers, as arrays of text."""
    names = sorted(p.name for p in folder.iterdir() if p.name in RESULT_FILES and p.name != "certificate.npz")
    sums = [hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in names]
    return {"sealed_files": np.array(names), "sealed_sha256": np.array(sums), "sealed_layers": np.array(layers_digest)}


def _write_package(path: Path, outcome: Any, tables: dict[str, gpd.GeoDataFrame] | None = None) -> None:
    """Write all layers of an outcome into one GeoPackage: of the network what is in use, of the lines each once."""
    names = (*LAYERS, *export_stretches.TITLES)
    write_gpkg(path, _sheets(outcome, tables or {}), shared=True, finish=_finish(names, outcome.layers, outcome))


def _sheets(outcome: Any, tables: dict[str, gpd.GeoDataFrame]) -> Iterator[Sheet]:
    """Yield all layers of an outcome, then the sources; `tables` are those made already."""
    shapes: Shapes = {}
    named: list[pd.DataFrame] = []
    for layer in LAYERS:
        told = about(outcome, layer)
        if layer == "network":
            table, told["title"] = network_of(outcome, used_only=True), USED_TITLE
        else:
            table = tables[layer] if layer in tables else layer_table(outcome, layer, shapes)
        named.append(pd.DataFrame(table[[c for c in ("source_id", "ends_source_ids") if c in table]]))
        yield Sheet(layer, table, layer_fields(table, layer, outcome.layers.schema), told)
    yield from _drawn(outcome)
    yield from _sources(named, outcome.layers)


def _drawn(outcome: Any) -> Iterator[Sheet]:
    """Yield what only a drawing needs: the sums on each stretch, and the countries."""
    made = {"stretches": export_stretches.stretches_table, "backdrop": export_stretches.backdrop_table}
    for name, table in made.items():
        told = {**about(outcome, "flows"), "name": name, "title": export_stretches.TITLES[name]}
        yield Sheet(name, table(outcome), export_stretches.FIELDS[name], told)


def _sources(tables: list[Any], layers: Any) -> list[Sheet]:
    """Return the table of the sources that rows name; none where they name none."""
    rows = sources_table(tables, layers.sources)
    if not len(rows):
        return []
    fields = [f for f in fields_of("sources", layers.schema).values() if f.name in rows]
    return [Sheet("sources", rows, fields, {"title": SOURCES_TITLE})]


def _finish(names: tuple[str, ...], layers: Any, outcome: Any = None) -> Finish:
    """Return what is done to a GeoPackage when its rows are in it: styles are added, and a project of an outcome."""

    def finish(path: Path) -> None:
        add_styles(path, names, layers.schema, chain_of(layers))
        if outcome is not None:
            add_project(path, path.name, project_about(outcome), layers.schema)

    return finish


def _write_project(path: Path, package: Path, outcome: Any) -> None:
    write_project(package, path, project_about(outcome), outcome.layers.schema)


def _write_text(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")

"""Write layers and results for GIS tools: GeoJSON, GeoPackage, CSV.

Nothing is computed here but ids and joins: tables come from the layers and from an outcome, geometry from its routes.
Feature ids are stable: the same lane has the same id in every halt, so before, after and change can be joined.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely
from shapely.geometry.base import BaseGeometry

from atlas import geo, network
from atlas.errors import BadInput, UnknownName, WriteFailure, nearest
from atlas.export_files import check_target_file, check_target_folder, write_file, write_folder
from atlas.export_geojson import Encoded, collection_text, plain
from atlas.export_network import network_table

LAYERS = ("facilities", "ports", "passages", "network", "flows", "changes")
SUFFIXES = (".geojson", ".gpkg", ".csv")

ATTRIBUTION = (
    "Rails and roads (c) OpenStreetMap contributors, ODbL 1.0. "
    "Sea lanes: searoute (Apache-2.0), after Eurostat SeaRoute (EUPL-1.2) and the Oak Ridge network. "
    "Countries and coast: Natural Earth, public domain."
)
LICENCE = "ODbL-1.0 AND EUPL-1.2"  # of the parts that hold routed geometry; figures and facts: see sources.csv
TITLES = {
    "facilities": "Facilities: normal output, limit, use before and after, tonnes a year",
    "ports": "Ports with rare-earth tonnes through them before and after",
    "passages": "Gate lines of passages with rare-earth tonnes through them before and after",
    "network": "Sea lanes, rails and roads that routing uses",
    "flows": "Flows along their routes, one row per route of a lane and state",
    "changes": "Change of each lane: lost, reduced, kept, grown, new",
}
FLOW_COLUMNS = (
    "state", "commodity", "element", "grade", "from_id", "from_country", "to_id", "to_country", "tonnes", "distance_km",
    "days", "cost_usd_t", "passages", "ports", "borders", "route_id",
)  # fmt: skip
LANE = ("from_id", "to_id", "commodity", "element", "grade")
RESULT_FILES = (
    "summary.json", "flows.csv", "flows.geojson", "changes.geojson", "facilities.geojson", "atlas.gpkg", "map.html",
    "certificate.npz",
)  # fmt: skip


Shapes = dict[str, BaseGeometry | None]


def layer_table(outcome: Any, layer: str, shapes: Shapes | None = None) -> gpd.GeoDataFrame:
    """Return a layer as a table indexed by stable feature id, geometry in EPSG:4326, routes cut at the antimeridian.

    `outcome` is an Outcome, or Layers for the layers that need no flows (facilities, ports, passages, network); then
    the columns of results are left out. `shapes` keeps the geometry of routes from one layer to the next. Raises
    UnknownName.
    """
    if layer not in LAYERS:
        raise UnknownName("layer", layer, nearest(layer, (*LAYERS, "all")) or LAYERS)
    if layer in ("flows", "changes"):
        if not hasattr(outcome, "flows"):
            raise BadInput(f"the layer {layer} needs a solved outcome")
        table = _flows(outcome) if layer == "flows" else _changes(outcome)
        return _with_routes(table, outcome, {} if shapes is None else shapes)
    layers = getattr(outcome, "layers", outcome)
    if layer == "network":
        return _network(layers)
    table = getattr(layers, layer).copy()
    if layer == "facilities":
        table = table.rename(columns={"unit": "capacity_unit"})
    if hasattr(outcome, "flows"):
        return _with_facility_results(table, outcome) if layer == "facilities" else _with_traffic(table, outcome, layer)
    return table


def layer_text(outcome: Any, layer: str) -> str:
    """Return a layer as RFC 7946 text (see `layer_table`)."""
    return collection_text(layer_table(outcome, layer), _members(outcome, layer))


def layer_geojson(outcome: Any, layer: str) -> dict[str, Any]:
    """Return a layer as a strict RFC 7946 FeatureCollection."""
    return json.loads(layer_text(outcome, layer))


def write_layer(outcome: Any, layer: str, path: str | Path) -> None:
    """Write one layer to .geojson, .gpkg or .csv, or `all` of them to one .gpkg; whole or not at all."""
    target = check_layer_target(layer, path)
    names = LAYERS if layer == "all" else (layer,)
    suffix = target.suffix.lower()
    if suffix == ".gpkg":
        write_file(target, partial(_write_gpkg, outcome=outcome, names=names))
    elif suffix == ".csv":
        table = layer_table(outcome, layer)
        write_file(target, lambda fresh: _write_csv(table, fresh))
    else:
        text = layer_text(outcome, layer)
        write_file(target, lambda fresh: _write_text(text, fresh))


def check_layer_target(layer: str, path: str | Path) -> Path:
    """Return the path if the layer exists and may be written there; raise before any long computation if not."""
    if layer not in (*LAYERS, "all"):
        raise UnknownName("layer", layer, nearest(layer, (*LAYERS, "chokepoints", "all")) or LAYERS)
    return check_target_file(path, (".gpkg",) if layer == "all" else SUFFIXES)


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
    tables = {name: layer_table(outcome, name, shapes) for name in LAYERS if name != "network"}
    encoded: Encoded = {}
    summary = json.dumps(outcome.summary, ensure_ascii=False, allow_nan=False, indent=1) + "\n"

    def geojson(layer: str) -> Callable[[Path], None]:
        return lambda fresh: _write_text(collection_text(tables[layer], _members(outcome, layer), encoded), fresh)

    write_folder(folder, {
        "summary.json": lambda fresh: _write_text(summary, fresh),
        "flows.csv": lambda fresh: flows_csv(outcome).to_csv(fresh, index=False, lineterminator="\n"),
        "flows.geojson": geojson("flows"),
        "changes.geojson": geojson("changes"),
        "facilities.geojson": geojson("facilities"),
        "atlas.gpkg": lambda fresh: _write_gpkg(fresh, outcome, tuple(tables), tables),
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


def flows_csv(outcome: Any) -> pd.DataFrame:
    """Return the flows in the columns and order of `flows.csv`, numbers not rounded, lists joined by semicolons.

    Columns beyond FLOW_COLUMNS come after them.
    """
    more = [c for c in outcome.flows.columns if c not in FLOW_COLUMNS]
    table = outcome.flows[[*FLOW_COLUMNS, *more]].copy()
    for name in ("passages", "ports", "borders"):
        table[name] = [plain(v) for v in table[name].tolist()]
    return table


def _flows(outcome: Any) -> pd.DataFrame:
    """Return flows_csv indexed by lane, state and route."""
    table = flows_csv(outcome)
    lane = lane_ids(table)
    table.insert(0, "lane_id", lane)
    route = [f"-{r}" if r else "" for r in table["route_id"].fillna("").astype(str)]
    ids = _unique(f"{a}-{s}{r}" for a, s, r in zip(lane, table["state"], route, strict=True))
    return table.set_index(pd.Index(ids, name="id"))


def _changes(outcome: Any) -> pd.DataFrame:
    """Return the changes indexed by lane."""
    table = outcome.changes.drop(columns="id", errors="ignore").copy()
    return table.set_index(pd.Index(_unique(lane_ids(table)), name="id"))


def lane_ids(table: pd.DataFrame) -> list[str]:
    """Return the id of each row's lane: from, to, commodity, element and grade, hyphenated, in lower case."""
    columns = [table[c].fillna("").astype(str).str.lower().tolist() for c in LANE]
    return ["-".join(part for part in row if part) for row in zip(*columns, strict=True)]


def _unique(ids: Any) -> list[str]:
    """Return the ids with -2, -3 ... added to those that stand twice, in order."""
    seen: dict[str, int] = {}
    out = []
    for name in ids:
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return out


def _with_routes(table: pd.DataFrame, outcome: Any, shapes: Shapes) -> gpd.GeoDataFrame:
    """Return the table with the geometry of each row's route; rows of one route share one object."""
    names = table["route_id"].fillna("").astype(str).tolist()
    for name in dict.fromkeys(names):
        if name not in shapes:
            shapes[name] = geo.split_antimeridian(outcome.geometry(name)) if name else None
    lines = gpd.GeoSeries([shapes[n] for n in names], index=table.index, crs=geo.CRS)
    return gpd.GeoDataFrame(table, geometry=lines, crs=geo.CRS)


def _with_facility_results(table: gpd.GeoDataFrame, outcome: Any) -> gpd.GeoDataFrame:
    """Return the facilities with what each makes before and after; null where a facility is not in the model."""
    results = outcome.facilities[["baseline_t", "halted_t", "normal_t", "limit_t", "unit"]]
    return table.join(results)


def _with_traffic(table: gpd.GeoDataFrame, outcome: Any, layer: str) -> gpd.GeoDataFrame:
    """Return ports or passages with the tonnes through each, before and after; 0 where nothing passes."""
    kind = {"ports": "port", "passages": "passage"}[layer]
    for state in ("baseline", "halted"):
        tonnes = outcome.summary[state]["throughput_t"][kind]
        table[f"{state}_t"] = [float(tonnes.get(i, 0.0)) for i in table.index]
    table["change_t"] = table["halted_t"] - table["baseline_t"]
    return table


def _network(layers: Any) -> gpd.GeoDataFrame:
    """Return the edges that routing uses."""
    return network_table(network.load(layers))


def _members(outcome: Any, layer: str) -> dict[str, Any]:
    """Return the extra members of a collection: what it is, for which halts, whose data."""
    members: dict[str, Any] = {"name": layer, "title": TITLES[layer], "attribution": ATTRIBUTION, "licence": LICENCE}
    if hasattr(outcome, "flows"):
        members["scenario"] = outcome.summary["scenario"]
    return members


def _write_text(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _write_csv(table: gpd.GeoDataFrame, path: Path) -> None:
    """Write a table with its id first and its geometry last, as WKT cut at the antimeridian."""
    out = pd.DataFrame(table.drop(columns=table.geometry.name))
    _make_plain(out)
    known: dict[int, str] = {}
    shapes = table.geometry.to_numpy()
    for shape in shapes:
        if id(shape) not in known:
            known[id(shape)] = _wkt(shape)
    out["WKT"] = [known[id(shape)] for shape in shapes]
    out.to_csv(path, index_label="id", lineterminator="\n")


def _wkt(shape: BaseGeometry | None) -> str:
    """Return well-known text to 6 decimals, empty for nothing."""
    if shape is None or shape.is_empty:
        return ""
    return shapely.to_wkt(geo.split_antimeridian(shape), rounding_precision=6)


def _make_plain(table: pd.DataFrame) -> None:
    """Make lists and other Python objects of a table of our own into text, in place."""
    for name in [c for c in table.columns if table[c].dtype == object]:
        table[name] = [plain(v) for v in table[name].tolist()]


def _write_gpkg(
    path: Path, outcome: Any, names: tuple[str, ...], tables: dict[str, gpd.GeoDataFrame] | None = None
) -> None:
    about = {}
    if hasattr(outcome, "flows"):
        about["scenario"] = json.dumps(outcome.summary["scenario"], ensure_ascii=False)
    # One table at a time: together the routes of a state are large.
    found = ((name, tables[name] if tables else layer_table(outcome, name)) for name in names)
    write_gpkg(path, found, TITLES, about)


def write_gpkg(
    path: Path,
    tables: Iterable[tuple[str, gpd.GeoDataFrame]],
    titles: Mapping[str, str],
    about: Mapping[str, str] | None = None,
) -> None:
    """Write named tables into one GeoPackage with title, attribution and licence in its metadata.

    GDAL stamps the time into the file; the stamp is fixed so that the same input gives the same bytes.
    """
    stamp = {"OGR_CURRENT_DATE": "2024-01-01T00:00:00.000Z"}
    told = {"attribution": ATTRIBUTION, "licence": LICENCE, "generator": "rare-earth atlas", **(about or {})}
    names: list[str] = []
    pyogrio.set_gdal_config_options(stamp)
    try:
        for name, made in tables:
            table = _gis_table(made)
            kind = _geometry_type(table)
            pyogrio.write_dataframe(
                table, path, layer=name, driver="GPKG", geometry_type=kind, promote_to_multi=kind.startswith("Multi"),
                dataset_metadata=told if not names else None,
                layer_metadata={"title": titles[name], **told},
                layer_options={"FID": "fid", "GEOMETRY_NAME": "geom", "DESCRIPTION": titles[name]},
            )  # fmt: skip
            names.append(name)
    finally:
        pyogrio.set_gdal_config_options(dict.fromkeys(stamp))
    held = sorted(pyogrio.list_layers(path)[:, 0])
    # GDAL repeats the metadata of a reopened GeoPackage in a side file; it is in the GeoPackage already.
    path.with_name(f"{path.name}.aux.xml").unlink(missing_ok=True)
    if held != sorted(names):
        raise WriteFailure(f"{path.name} came out incomplete")


def _gis_table(table: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return the table with its id as a column, plain values, geometry cut at the antimeridian."""
    known: dict[int, BaseGeometry | None] = {}
    shapes = table.geometry.to_numpy()
    for shape in shapes:
        if id(shape) not in known:
            known[id(shape)] = None if shape is None or shape.is_empty else geo.split_antimeridian(shape)
    out = pd.DataFrame(table.drop(columns=table.geometry.name)).rename_axis("id").reset_index()
    _make_plain(out)
    return gpd.GeoDataFrame(out, geometry=[known[id(shape)] for shape in shapes], crs=geo.CRS)


def _geometry_type(table: gpd.GeoDataFrame) -> str:
    """Return the type of the layer: points stay single, lines and polygons are multi, a mixture has none."""
    kinds = {str(k).removeprefix("Multi") for k in table.geometry.geom_type.dropna().unique()}
    if len(kinds) > 1:
        return "Unknown"
    kind = next(iter(sorted(kinds)), "LineString")
    return kind if kind == "Point" else f"Multi{kind}"

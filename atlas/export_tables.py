"""The exported layers as tables: what the layers say, joined with what an outcome found, and the geometry of routes.

Nothing is computed here but ids and joins. Feature ids are stable: the same lane has the same id in every halt, so
before, after and change can be joined by `lane_id`.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
from shapely.geometry.base import BaseGeometry

from atlas import export_network, geo
from atlas.errors import BadInput, UnknownName, nearest
from atlas.export_fields import Field, fields_of
from atlas.export_geojson import plain

LAYERS = ("facilities", "ports", "passages", "network", "flows", "changes")
ATTRIBUTION = (
    "Rails and roads (c) OpenStreetMap contributors, ODbL 1.0. "
    "Sea lanes: searoute (Apache-2.0), after Eurostat SeaRoute (EUPL-1.2) and the Oak Ridge network. "
    "Countries and coast: Natural Earth, public domain."
)
LICENCE = "ODbL-1.0 AND EUPL-1.2"  # of the parts that hold routed geometry; figures and facts: see sources.csv
TITLES = {
    "facilities": "Facilities: normal output, limit, use before and after, tonnes a year",
    "ports": "Ports with the tonnes through them before and after",
    "passages": "Gate lines of passages with the tonnes through them before and after",
    "network": "Sea lanes, rails and roads that routing uses",
    "flows": "Flows along their routes, one row per route of a lane and state",
    "changes": "Change of each lane: lost, reduced, kept, grown, new",
}
FLOW_COLUMNS = (
    "state", "commodity", "element", "grade", "from_id", "from_country", "to_id", "to_country", "tonnes", "distance_km",
    "days", "cost_usd_t", "passages", "ports", "borders", "route_id",
)  # fmt: skip
LANE = ("from_id", "to_id", "commodity", "element", "grade")
LANE_CLOSED_BY = frozenset({"surplus", "stock", "loss"})  # no place: what closes a balance

Shapes = dict[str, BaseGeometry | None]


def layer_table(outcome: Any, layer: str, shapes: Shapes | None = None) -> gpd.GeoDataFrame:
    """Return a layer as a table indexed by stable feature id, geometry in EPSG:4326, routes cut at the antimeridian.

    `outcome` is an Outcome, or Layers for the layers that need no flows (facilities, ports, passages, network); then
    the columns of results are left out. `shapes` keeps the geometry of routes from one layer to the next. The columns
    are those of `export_fields.fields_of`; whole numbers are Int64 where some are empty. Raises UnknownName.
    """
    if layer not in LAYERS:
        raise UnknownName("layer", layer, nearest(layer, LAYERS) or LAYERS)
    if layer in ("flows", "changes"):
        if not hasattr(outcome, "flows"):
            raise BadInput(f"the layer {layer} needs a solved outcome")
        table = _flows(outcome) if layer == "flows" else _changes(outcome)
        return _with_routes(_with_grounds(table, outcome.layers), outcome, {} if shapes is None else shapes)
    if layer == "network":
        return export_network.network_of(outcome)
    layers = getattr(outcome, "layers", outcome)
    table = getattr(layers, layer).copy()
    if layer == "facilities":
        table = table.rename(columns={"unit": "capacity_unit"})
    for name, field in fields_of(layer, layers.schema).items():
        if field.type == "int" and name in table:  # empty cells had made them floats
            table[name] = table[name].astype("Int64")
    if hasattr(outcome, "flows"):
        return _with_facility_results(table, outcome) if layer == "facilities" else _with_traffic(table, outcome, layer)
    return table


def layer_fields(table: pd.DataFrame, layer: str, schema: Any) -> list[Field]:
    """Return the fields of the columns that a table has, `id` first, in the table's order; geometry left out."""
    known = fields_of(layer, schema)
    held = [c for c in table.columns if c != "geometry" and c != "id"]
    return [known[c] for c in ("id", *held)]


def about(outcome: Any, layer: str) -> dict[str, Any]:
    """Return what an export of a layer tells of itself: name, title, whose data, and for which scenario."""
    told: dict[str, Any] = {"name": layer, "title": TITLES[layer], "attribution": ATTRIBUTION, "licence": LICENCE}
    if hasattr(outcome, "flows"):
        told["scenario"] = outcome.summary["scenario"]
    return told


def as_text(told: Mapping[str, Any]) -> dict[str, str]:
    """Return metadata as text for formats that know only text: what is no text becomes JSON."""
    return {k: v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for k, v in told.items()}


def sources_table(tables: Iterable[pd.DataFrame], sources: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the layer `sources` that the exported rows name, in its order, `id` first."""
    named: set[str] = set()
    for table in tables:
        if "source_id" in table:
            named.update(table["source_id"].dropna().unique())
        if "ends_source_ids" in table:
            named.update(i for joined in table["ends_source_ids"].unique() for i in joined.split(";"))
    return sources[sources.index.isin(named)].rename_axis("id").reset_index()


def flows_csv(outcome: Any) -> pd.DataFrame:
    """Return the flows in the columns and order of `flows.csv`, numbers not rounded, lists joined by semicolons.

    Columns beyond FLOW_COLUMNS come after them.
    """
    more = [c for c in outcome.flows.columns if c not in FLOW_COLUMNS]
    table = outcome.flows[[*FLOW_COLUMNS, *more]].copy()
    for name in ("passages", "ports", "borders"):
        table[name] = [plain(v) for v in table[name].tolist()]
    return table


def lane_ids(table: pd.DataFrame) -> list[str]:
    """Return the id of each row's lane: from, to, commodity, element and grade, hyphenated, in lower case."""
    columns = [table[c].fillna("").astype(str).str.lower().tolist() for c in LANE]
    return ["-".join(part for part in row if part) for row in zip(*columns, strict=True)]


def gis_table(table: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return the table with its id as the first column, plain values, geometry cut at the antimeridian."""
    known: dict[int, BaseGeometry | None] = {}
    shapes = table.geometry.to_numpy()
    for shape in shapes:
        if id(shape) not in known:
            known[id(shape)] = None if shape is None or shape.is_empty else geo.split_antimeridian(shape)
    out = pd.DataFrame(table.drop(columns=table.geometry.name)).rename_axis("id").reset_index()
    make_plain(out)
    return gpd.GeoDataFrame(out, geometry=[known[id(shape)] for shape in shapes], crs=geo.CRS)


def make_plain(table: pd.DataFrame) -> None:
    """Make lists and other Python objects of a table of our own into text, in place."""
    for name in [c for c in table.columns if table[c].dtype == object]:
        table[name] = [plain(v) for v in table[name].tolist()]


def geometry_type(table: gpd.GeoDataFrame) -> str:
    """Return the type of the layer: points stay single, lines and polygons are multi, a mixture has none."""
    kinds = {str(k).removeprefix("Multi") for k in table.geometry.geom_type.dropna().unique()}
    if len(kinds) > 1:
        return "Unknown"
    kind = next(iter(sorted(kinds)), "LineString")
    return kind if kind == "Point" else f"Multi{kind}"


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
    lane = lane_ids(table)
    table.insert(0, "lane_id", lane)
    gains = table["kind"].isin(("grown", "new"))
    bloc = table["from_country"].isin(outcome.bloc_countries)
    table["source"] = np.where(gains, np.where(bloc, "ally", "other"), "")
    return table.set_index(pd.Index(_unique(lane), name="id"))


def _with_grounds(table: pd.DataFrame, layers: Any) -> pd.DataFrame:
    """Return lanes with the worst confidence and the sources of the rows of their two ends.

    An end that no layer knows (a scenario's buyer or new facility) is an estimate: C. What closes a balance is no end.
    """
    rows: dict[str, tuple[str, str]] = {}
    for part in (layers.facilities, layers.markets, layers.demand):
        if {"confidence", "source_id"} <= set(part.columns):
            pairs = zip(part["confidence"].tolist(), part["source_id"].tolist(), strict=True)
            rows.update(zip(part.index.tolist(), pairs, strict=True))
    unknown = ("C", "")
    known: dict[tuple[str, str], tuple[str, str]] = {}
    ends = list(zip(table["from_id"].tolist(), table["to_id"].tolist(), strict=True))
    for pair in dict.fromkeys(ends):
        held = [rows.get(end, unknown) for end in pair if end not in LANE_CLOSED_BY]
        sources = ";".join(dict.fromkeys(s for _, s in held if s))
        known[pair] = max((c for c, _ in held), default=""), sources
    return table.assign(ends_confidence=[known[p][0] for p in ends], ends_source_ids=[known[p][1] for p in ends])


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
    results.insert(2, "change_t", results["halted_t"] - results["baseline_t"])
    return table.join(results)


def _with_traffic(table: gpd.GeoDataFrame, outcome: Any, layer: str) -> gpd.GeoDataFrame:
    """Return ports or passages with the tonnes through each, before and after; 0 where nothing passes."""
    kind = {"ports": "port", "passages": "passage"}[layer]
    for state in ("baseline", "halted"):
        tonnes = outcome.summary[state]["throughput_t"][kind]
        table[f"{state}_t"] = [float(tonnes.get(i, 0.0)) for i in table.index]
    table["change_t"] = table["halted_t"] - table["baseline_t"]
    return table

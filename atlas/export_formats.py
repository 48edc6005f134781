"""Write one layer for other programs: CSV with WKT, FlatGeobuf, GeoParquet."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import shapely
from shapely.geometry.base import BaseGeometry

from atlas import geo
from atlas.export_fields import Field
from atlas.export_tables import as_text, geometry_type, gis_table, make_plain

GEOPARQUET = "1.1.0"


def write_csv(path: Path, table: gpd.GeoDataFrame) -> None:
    """Write a table with its id first and its geometry last, as WKT cut at the antimeridian."""
    out = pd.DataFrame(table.drop(columns=table.geometry.name))
    make_plain(out)
    known: dict[int, str] = {}
    shapes = table.geometry.to_numpy()
    for shape in shapes:
        if id(shape) not in known:
            known[id(shape)] = wkt(shape)
    out["WKT"] = [known[id(shape)] for shape in shapes]
    out.to_csv(path, index_label="id", lineterminator="\n")


def write_fgb(path: Path, table: gpd.GeoDataFrame, fields: Sequence[Field], told: Mapping[str, Any]) -> None:
    """Write FlatGeobuf with a packed R-tree; headings and descriptions of the columns are JSON in its metadata.

    The format indexes no row without a place: where there is one (what closes a balance of flows), the file has all
    rows and no index.
    """
    made = gis_table(table)
    kind = geometry_type(made)
    indexed = not (made.geometry.isna() | made.geometry.is_empty).any()
    known = as_text({"generator": "rare-earth atlas", **told, "fields": _described(fields)})
    pyogrio.write_dataframe(
        made, path, layer=str(told["name"]), driver="FlatGeobuf", geometry_type=kind,
        promote_to_multi=kind.startswith("Multi"), layer_metadata={k: v for k, v in known.items() if k != "name"},
        layer_options={"SPATIAL_INDEX": "YES" if indexed else "NO", "TITLE": known["title"]},
    )  # fmt: skip


def write_parquet(path: Path, table: gpd.GeoDataFrame, fields: Sequence[Field], told: Mapping[str, Any]) -> None:
    """Write GeoParquet 1.1 with a bbox column that readers filter by.

    The metadata of the file holds title, attribution, licence and scenario, that of each column its heading, unit and
    description.
    """
    held = io.BytesIO()
    gis_table(table).to_parquet(held, index=False, write_covering_bbox=True, schema_version=GEOPARQUET)
    made = pq.read_table(held)
    notes = {f["name"]: {k: v for k, v in f.items() if k != "name"} for f in _described(fields)}
    columns = [
        f.with_metadata({**(f.metadata or {}), **notes[f.name]}) if f.name in notes else f for f in made.schema
    ]
    known = as_text({"generator": "rare-earth atlas", **told, "fields": _described(fields)})
    schema = pa.schema(columns, metadata={**made.schema.metadata, **known})
    pq.write_table(made.cast(schema), path, compression="zstd")


def _described(fields: Sequence[Field]) -> list[dict[str, str]]:
    """Return the fields as plain rows."""
    return [{"name": f.name, "alias": f.alias, "unit": f.unit, "description": f.description} for f in fields]


def wkt(shape: BaseGeometry | None) -> str:
    """Return well-known text to 6 decimals, empty for nothing."""
    if shape is None or shape.is_empty:
        return ""
    return str(shapely.to_wkt(geo.split_antimeridian(shape), rounding_precision=6))

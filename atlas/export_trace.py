"""Write a trace: its paths as GeoJSON, its shares as CSV, its page as HTML, its flow diagram as SVG."""

from pathlib import Path
from typing import Any

import geopandas as gpd

from atlas import geo
from atlas.answer_tables import trace_table
from atlas.export import ATTRIBUTION, LICENCE
from atlas.export_csv import csv_text
from atlas.export_files import write_file
from atlas.export_geojson import collection_text
from atlas.trace import Trace
from atlas.trace_paths import lanes

PATH_COLUMNS = (
    "id", "direction", "from_id", "from_country", "to_id", "to_country", "commodity", "tonnes", "share", "route_id",
    "geometry",
)  # fmt: skip


def trace_geojson(trace: Trace) -> str:
    """Return the paths of a trace as a GeoJSON collection, one feature a lane and route; see `paths_table`."""
    members = {
        "name": "trace", "title": f"Paths of {trace.element} traced from {trace.target.id}", "attribution": ATTRIBUTION,
        "licence": LICENCE, "trace": {"id": trace.target.id, "element": trace.element, "bloc": trace.outcome.bloc,
                                      "halts": list(trace.outcome.scenario.specs)},
    }  # fmt: skip
    return collection_text(paths_table(trace), members)


def paths_table(trace: Trace) -> gpd.GeoDataFrame:
    """Return the paths of a trace, a row a lane and route, geometry cut at the antimeridian.

    Indexed by stable ids: direction, from, to, commodity and route. `tonnes` are of the traced elements that reach the
    place (direction up) or left it (down); `share` is their part of all that does.
    """
    rows: list[dict[str, Any]] = []
    for direction, told in (("up", trace.upstream), ("down", trace.downstream)):
        if not told:
            continue
        whole = sum((trace.content_t if direction == "up" else trace.sold_t).values())
        for r in lanes(trace, direction).itertuples():
            rows.append({
                "id": "-".join((direction, r.from_id, r.to_id, r.commodity, r.route_id)).lower(),
                "direction": direction, "from_id": r.from_id, "from_country": r.from_country, "to_id": r.to_id,
                "to_country": r.to_country, "commodity": r.commodity, "tonnes": float(f"{r.t:.6g}"),
                "share": float(f"{r.t / whole:.6g}"), "route_id": r.route_id,
                "geometry": geo.split_antimeridian(trace.outcome.geometry(r.route_id)),
            })  # fmt: skip
    columns = None if rows else list(PATH_COLUMNS)
    return gpd.GeoDataFrame(rows, columns=columns, geometry="geometry", crs=geo.CRS).set_index("id")


def trace_csv(trace: Trace) -> str:
    """Return the shares of a trace as CSV: direction, stage, by, id, name, country, share, least, most, baseline."""
    return csv_text(trace_table(trace))


def write_trace(trace: Trace, path: Path) -> None:
    """Write a trace to .geojson, .csv, .html or .svg, whole or not at all."""
    suffix = path.suffix.lower()
    if suffix == ".geojson":
        text = trace_geojson(trace)
    elif suffix == ".csv":
        text = trace_csv(trace)
    else:
        from atlas.render_trace import diagram, page

        text = page(trace) if suffix == ".html" else str(diagram(trace, "up" if trace.upstream else "down")) + "\n"

    def write(fresh: Path) -> None:
        fresh.write_text(text, encoding="utf-8", newline="\n")

    write_file(path, write)

"""Routes as GeoJSON: a feature for each way and one for each of its legs."""

from collections.abc import Sequence
from typing import Any

import geopandas as gpd
import pandas as pd
from shapely.geometry import LineString

from atlas import geo
from atlas.export import ATTRIBUTION, LICENCE
from atlas.export_geojson import collection_text


def route_text(routes: Sequence[Any]) -> str:
    """Return routes, cheapest first, as a GeoJSON collection cut at the antimeridian.

    `kind` tells a way from its legs: add up the one or the other. Handling in a port is a leg without a place on the
    map. A collection without a way has no features and says why.
    """
    rows: list[dict[str, Any]] = []
    for number, route in enumerate((r for r in routes if r.reachable), 1):
        told = route.to_json()
        start, end = (route.legs[0].start, route.legs[-1].end) if route.legs else ("", "")
        rows.append({
            "id": f"way-{number}", "kind": "way", "way": number, "mode": "", "from": start, "to": end,
            **{k: told[k] for k in ("distance_km", "days", "cost_usd_t", "passages", "ports", "borders", "countries")},
            "geometry": route.line,
        })  # fmt: skip
        for step, (leg, said) in enumerate(zip(route.legs, told["legs"], strict=True), 1):
            rows.append({
                "id": f"way-{number}-leg-{step}", "kind": "leg", "way": number,
                **{k: said[k] for k in ("mode", "from", "to", "distance_km", "days", "cost_usd_t")},
                "passages": [], "ports": [], "borders": [], "countries": [],
                "geometry": getattr(leg, "line", None) or LineString(),
            })  # fmt: skip
    members = {"name": "route", "title": "Routes and their legs", "attribution": ATTRIBUTION, "licence": LICENCE}
    if not rows:
        return collection_text(_table([]), {**members, "reason": routes[0].reason if routes else ""})
    return collection_text(_table(rows), members)


def _table(rows: list[dict[str, Any]]) -> gpd.GeoDataFrame:
    table = pd.DataFrame(rows, columns=None if rows else ["id", "geometry"]).set_index("id")
    return gpd.GeoDataFrame(table, geometry="geometry", crs=geo.CRS)

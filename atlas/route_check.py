"""Check a route from what it says and draws alone: lengths, land under its sea legs, passages, countries, borders.

Nothing of the network or the router is used: the check reads the answer of `atlas route --json` and compares it with
the passages, ports and countries of the layers, the list of canals and rivers in `layers/network/waterways.geojson`,
and a coastline that the caller brings (GSHHG or Natural Earth).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from atlas import geo
from atlas.layers import Layers

WATERWAY_KM = 1.5  # half the width of a listed canal or river
PORT_KM = 1.0  # how far a port may lie from the end of a sea leg
# Lines of land legs are simplified, and roads are told with the bends that the graph does not draw.
SEA_LENGTH_SHARE, LAND_LENGTH_SHARE = 0.002, 0.15
LAND_LENGTH_KM = 15.0


@dataclass(frozen=True)
class Checked:
    """What the check found: km of all sea legs, km of them over land outside the list, worst length error, problems."""

    sea_km: float
    over_land_km: float
    length_error_share: float
    problems: tuple[str, ...]


class Coast:
    """A coastline for checks: land polygons without the listed canals, rivers and harbours."""

    def __init__(self, land: Sequence[BaseGeometry] | NDArray[np.object_], waterways: Path) -> None:
        features = json.loads(waterways.read_text(encoding="utf-8"))["features"]
        self.land = shapely.STRtree(np.asarray(land, dtype=object))
        self._listed = shapely.STRtree([_widened(shape(f["geometry"])) for f in features])

    def over_land_km(self, line: BaseGeometry) -> float:
        """Return the km of a line (longitudes within 180) over land and outside every listed waterway."""
        cells = self.land.geometries[self.land.query(line, predicate="intersects")]
        if not len(cells):
            return 0.0
        dry = line.intersection(shapely.union_all(cells))
        listed = self._listed.geometries[self._listed.query(dry, predicate="intersects")]
        if len(listed):
            dry = dry.difference(shapely.union_all(listed))
        return sum(geo.line_km(part) for part in _parts(dry) if part.geom_type == "LineString")


def strokes(lines: Sequence[NDArray[np.float64]]) -> NDArray[np.object_]:
    """Return every stroke (two points) of lines with continuous longitudes once, within 180 degrees."""
    found = []
    for line in lines:
        ends = np.hstack([line[:-1], line[1:]])
        ends[:, [0, 2]] -= 360.0 * np.floor((ends[:, [0, 2]].mean(axis=1) + 180.0) / 360.0)[:, None]
        found.append(np.where((ends[:, 0] > ends[:, 2])[:, None], ends[:, [2, 3, 0, 1]], ends))
    return np.asarray(shapely.linestrings(np.unique(np.round(np.vstack(found), 5), axis=0).reshape(-1, 2, 2)))


def _parts(geometry: BaseGeometry) -> list[BaseGeometry]:
    return list(shapely.get_parts(geometry))


def _widened(line: BaseGeometry) -> BaseGeometry:
    """Return a line as an area WATERWAY_KM to either side."""
    squeeze = max(float(np.cos(np.radians(line.centroid.y))), 0.05)
    flat = shapely.transform(line, lambda xy: xy * [squeeze, 1.0])
    return shapely.transform(shapely.buffer(flat, WATERWAY_KM / 111.2), lambda xy: xy / [squeeze, 1.0])


def check_route(answer: Mapping[str, Any], layers: Layers, coast: Coast | None = None) -> Checked:
    """Check one reachable answer of `route --json`; without a coast the land under sea legs is not looked at."""
    problems: list[str] = []
    sea = [leg for leg in answer["legs"] if leg["mode"] == "sea"]
    worst, over = 0.0, 0.0
    for leg in answer["legs"]:
        if leg["mode"] in ("port", "air") or leg["geometry"] is None:
            continue
        line = shape(leg["geometry"])
        drawn = sum(geo.line_km(part) for part in _parts(line))
        error = abs(drawn - leg["distance_km"]) / max(leg["distance_km"], 1.0)
        share = SEA_LENGTH_SHARE if leg["mode"] == "sea" else LAND_LENGTH_SHARE
        if leg["mode"] == "sea":
            worst = max(worst, error)
        if error > share and (leg["mode"] == "sea" or abs(drawn - leg["distance_km"]) > LAND_LENGTH_KM):
            problems.append(f"{leg['mode']} {leg['from']} to {leg['to']}: {leg['distance_km']:.1f} km told, "
                            f"{drawn:.1f} km drawn")
        if leg["mode"] == "sea" and coast is not None:
            over += coast.over_land_km(line)
    if over > 0:
        problems.append(f"{over:.2f} km of sea legs over land")
    for name, column in (("distance_km", "distance_km"), ("days", "days"), ("cost_usd_t", "cost_usd_t")):
        total = sum(float(leg[column]) for leg in answer["legs"])
        if not np.isclose(total, answer[name], rtol=1e-9, atol=1e-6):
            problems.append(f"{name}: {answer[name]} told, {total} by its legs")
    problems += _gates(sea, answer, layers) + _ends(sea, layers) + _borders(answer)
    return Checked(sum(leg["distance_km"] for leg in sea), over, worst, tuple(problems))


def _gates(sea: Sequence[Mapping[str, Any]], answer: Mapping[str, Any], layers: Layers) -> list[str]:
    lines = [shape(leg["geometry"]) for leg in sea if leg["geometry"] is not None]
    met = {str(name) for name, gate in layers.passages.geometry.items() for line in lines
           if any(line.intersects(shapely.transform(gate, lambda xy, by=by: xy + [by, 0.0]))
                  for by in (0.0, 360.0, -360.0))}
    told = set(answer["passages"])
    return [f"passages: {', '.join(sorted(met ^ told))} drawn or told, not both"] if met != told else []


def _ends(sea: Sequence[Mapping[str, Any]], layers: Layers) -> list[str]:
    found = []
    for leg in sea:
        xy = shapely.get_coordinates(shape(leg["geometry"])) if leg["geometry"] is not None else np.empty((0, 2))
        for name, point in zip((leg["from"], leg["to"]), (xy[:1], xy[-1:]), strict=True):
            if name in layers.ports.index and len(point):
                port = layers.ports.loc[name]
                away = float(geo.geodesic_km(port["lon"], port["lat"], *point[0]))
                if away > PORT_KM:
                    found.append(f"{name}: the sea leg ends {away:.1f} km away")
    return found


def _borders(answer: Mapping[str, Any]) -> list[str]:
    """Return a problem for each border whose countries are not among those of the route."""
    countries = set(answer["countries"])
    return [f"border {name}: its countries are not on the route" for name in answer["borders"]
            if not set(name.split("-")) <= countries]

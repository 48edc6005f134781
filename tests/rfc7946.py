"""Check a document against RFC 7946, written from the standard and not from the encoder."""

import json
import math
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

KINDS = ("Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon")


def problems(text: str) -> list[str]:
    """Return everything in a FeatureCollection's text that the standard forbids or the contract asks otherwise."""
    found: list[str] = []

    def refuse(value: str) -> Any:
        found.append(f"{value} is not JSON")
        return 0.0

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            found.append(f"a member stands twice among {sorted(made)[:5]}")
        return made

    doc = json.loads(text, parse_constant=refuse, object_pairs_hook=once)
    if doc.get("type") != "FeatureCollection" or not isinstance(doc.get("features"), list):
        return [*found, "not a FeatureCollection"]
    if {"geometry", "properties", "coordinates", "geometries"} & set(doc):
        found.append("a collection with the members of another type (7.1)")
    if re.search(r"[\[,]-?\d(?:\.\d+)?e[-+]?\d+[\],]", text):
        found.append("a coordinate with an exponent, which readers that count decimals misread")
    if "crs" in doc:
        found.append("has a crs member")
    ids = [f.get("id") for f in doc["features"]]
    if not all(isinstance(i, str) and i for i in ids) or len(set(ids)) != len(ids):
        found.append("ids are not unique texts")
    boxes: list[NDArray[np.float64]] = []
    stretches: list[tuple[float, float]] = []
    for f in doc["features"]:
        if f.get("type") != "Feature" or "geometry" not in f or not isinstance(f.get("properties"), dict):
            found.append(f"{f.get('id')}: not a Feature")
            continue
        if {"features", "coordinates", "geometries", "crs"} & set(f):
            found.append(f"{f.get('id')}: a Feature with the members of another type (7.1)")
        for key, value in f["properties"].items():
            if isinstance(value, float) and not math.isfinite(value):
                found.append(f"{f['id']}.{key}: not finite")
        geometry = f["geometry"]
        if geometry is None:
            continue
        wrong = geometry_problems(geometry)
        found += [f"{f['id']}: {p}" for p in wrong]
        if wrong:
            continue
        if "bbox" in f:
            found += [f"{f['id']}: {p}" for p in bbox_problems(f["bbox"], positions(geometry), spans(geometry))]
        boxes.append(positions(geometry))
        stretches += spans(geometry)
    if boxes:
        if "bbox" not in doc:
            found.append("no bbox")
        else:
            found += bbox_problems(doc["bbox"], np.vstack(boxes), stretches)
    return found


def parts(geometry: dict[str, Any]) -> list[tuple[Any, bool]]:
    """Return (coordinates, whether a hole) of every point list, line or ring of a geometry."""
    kind, coordinates = geometry["type"], geometry["coordinates"]
    if kind == "Point":
        return [([coordinates], False)]
    if kind in ("MultiPoint", "LineString"):
        return [(coordinates, False)]
    if kind == "MultiLineString":
        return [(line, False) for line in coordinates]
    return [(r, i > 0) for p in ([coordinates] if kind == "Polygon" else coordinates) for i, r in enumerate(p)]


def positions(geometry: dict[str, Any]) -> NDArray[np.float64]:
    """Return all positions of a geometry, (n, 2)."""
    return np.vstack([np.asarray(part, dtype=float) for part, _ in parts(geometry)])


def geometry_problems(geometry: dict[str, Any]) -> list[str]:
    """Return what is wrong with a geometry object."""
    if geometry.get("type") not in KINDS:
        return [f"type {geometry.get('type')}"]
    if set(geometry) - {"type", "coordinates", "bbox"}:
        return [f"a geometry with {sorted(geometry)}"]
    if not geometry["coordinates"]:
        return ["a geometry without coordinates, which should be null"]
    out = []
    for part, hole in parts(geometry):
        if not all(len(p) == 2 for p in part):
            out.append("a position has not two numbers")
            continue
        xy = np.asarray(part, dtype=float)
        if not np.isfinite(xy).all() or (np.abs(xy) > (180.0, 90.0)).any():
            out.append("a position off the globe")
        if (np.round(xy, 7) != xy).any():
            out.append("more than 7 decimals")
        if "Point" in geometry["type"]:
            continue
        if len(xy) < 2:
            out.append("a line of one position")
        if (np.abs(np.diff(xy[:, 0])) > 180).any():
            out.append("a jump across the antimeridian")
        if "Polygon" in geometry["type"]:
            if len(xy) < 4 or (xy[0] != xy[-1]).any():
                out.append("a ring that is not closed")
            area = float(np.sum(xy[:-1, 0] * xy[1:, 1] - xy[1:, 0] * xy[:-1, 1]))
            if (area > 0) == hole:
                out.append("a ring against the right-hand rule")
    return out


def spans(geometry: dict[str, Any]) -> list[tuple[float, float]]:
    """Return (west, east) of each part: a line or ring runs on between its positions, points do not."""
    found = []
    for part, _ in parts(geometry):
        x = [p[0] for p in part]
        found += [(v, v) for v in x] if "Point" in geometry["type"] else [(min(x), max(x))]
    return found


def narrowest(stretches: list[tuple[float, float]]) -> float:
    """Return the width in degrees of the narrowest box around stretches of longitude, across the antimeridian or not."""
    ordered = sorted(stretches)
    gap, reach = 0.0, ordered[0][1]
    for west, east in ordered[1:]:
        gap, reach = max(gap, west - reach), max(reach, east)
    return 360.0 - max(gap, ordered[0][0] + 360.0 - reach)


def bbox_problems(
    bbox: list[float], points: NDArray[np.float64], stretches: list[tuple[float, float]]
) -> list[str]:
    """Return what is wrong with a bbox that should hold all points tightly, across the antimeridian too (5.2)."""
    if len(bbox) != 4 or not all(math.isfinite(v) for v in bbox):
        return [f"bbox {bbox}"]
    west, south, east, north = bbox
    x, y = points[:, 0], points[:, 1]
    out = []
    if [south, north] != [y.min(), y.max()]:
        out.append(f"bbox {bbox} is not tight north or south")
    inside = (x >= west) & (x <= east) if west <= east else (x >= west) | (x <= east)
    if not inside.all():
        out.append(f"bbox {bbox} leaves points out")
    if not (x == west).any() or not (x == east).any():
        out.append(f"bbox {bbox} is not tight east or west")
    if (east - west if west <= east else east - west + 360.0) > narrowest(stretches) + 1e-6:
        out.append(f"bbox {bbox} is wider than it need be, across the antimeridian")
    return out

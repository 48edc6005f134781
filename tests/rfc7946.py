"""Check a document against RFC 7946, written from the standard and not from the encoder."""

import json
import math
from typing import Any

DEPTH = {"Point": 0, "MultiPoint": 1, "LineString": 1, "MultiLineString": 2, "Polygon": 2, "MultiPolygon": 3}


def problems(text: str) -> list[str]:
    """Return everything in a FeatureCollection's text that the standard forbids or the contract asks otherwise."""
    found: list[str] = []

    def refuse(value: str) -> Any:
        found.append(f"{value} is not JSON")
        return 0.0

    def decimal(value: str) -> float:
        if "." in value and len(value.split(".")[1].split("e")[0]) > 7:
            long.append(value)
        return float(value)

    long: list[str] = []
    doc = json.loads(text, parse_constant=refuse, parse_float=decimal)
    if doc.get("type") != "FeatureCollection":
        found.append("not a FeatureCollection")
    if "crs" in doc:
        found.append("has a crs member")
    ids = [f.get("id") for f in doc["features"]]
    if not all(isinstance(i, str) and i for i in ids) or len(set(ids)) != len(ids):
        found.append("ids are not unique texts")
    boxes = []
    for f in doc["features"]:
        if f.get("type") != "Feature" or "geometry" not in f or not isinstance(f.get("properties"), dict):
            found.append(f"{f.get('id')}: not a Feature")
        for key, value in f["properties"].items():
            if isinstance(value, float) and not math.isfinite(value):
                found.append(f"{f['id']}.{key}: not finite")
        geometry = f["geometry"]
        if geometry is None:
            continue
        found += [f"{f['id']}: {p}" for p in geometry_problems(geometry)]
        if "bbox" in f:
            found += [f"{f['id']}: {p}" for p in bbox_problems(f["bbox"], positions(geometry))]
        boxes += positions(geometry)
    if boxes:
        if "bbox" not in doc:
            found.append("no bbox")
        else:
            found += bbox_problems(doc["bbox"], boxes)
    return found


def coordinate_decimals(text: str) -> int:
    """Return the largest number of decimals of any coordinate."""
    most = 0
    doc = json.loads(text, parse_float=str)
    for f in doc["features"]:
        for x, y in positions(f["geometry"]) if f["geometry"] else []:
            for value in (str(x), str(y)):
                assert "e" not in value.lower(), value
                most = max(most, len(value.partition(".")[2]))
    return most


def positions(geometry: dict[str, Any]) -> list[list[float]]:
    """Return all positions of a geometry."""
    level: list[Any] = [geometry["coordinates"]]
    for _ in range(DEPTH[geometry["type"]]):
        level = [item for items in level for item in items]
    return level


def geometry_problems(geometry: dict[str, Any]) -> list[str]:
    """Return what is wrong with a geometry object."""
    if geometry["type"] not in DEPTH:
        return [f"type {geometry['type']}"]
    out = []
    for p in positions(geometry):
        if len(p) != 2 or not all(isinstance(v, int | float) and math.isfinite(v) for v in p):
            out.append(f"position {p}")
        elif abs(p[0]) > 180 or abs(p[1]) > 90:
            out.append(f"position off the globe {p}")
    kind, coordinates = geometry["type"], geometry["coordinates"]
    lines = {"LineString": [coordinates], "MultiLineString": coordinates}.get(kind, [])
    polygons = {"Polygon": [coordinates], "MultiPolygon": coordinates}.get(kind, [])
    for line in lines:
        if len(line) < 2:
            out.append("line of one position")
        if any(abs(a[0] - b[0]) > 180 for a, b in zip(line, line[1:], strict=False)):
            out.append("line jumps across the antimeridian")
    for polygon in polygons:
        for i, ring in enumerate(polygon):
            if len(ring) < 4 or ring[0] != ring[-1]:
                out.append("ring not closed")
            area = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(ring, ring[1:], strict=False))
            if (area > 0) != (i == 0):
                out.append("ring against the right-hand rule")
    return out


def bbox_problems(bbox: list[float], points: list[list[float]]) -> list[str]:
    """Return what is wrong with a bbox that should hold all points tightly, across the antimeridian too."""
    if len(bbox) != 4 or not all(math.isfinite(v) for v in bbox):
        return [f"bbox {bbox}"]
    west, south, east, north = bbox
    out = []
    if [south, north] != [min(p[1] for p in points), max(p[1] for p in points)]:
        out.append(f"bbox {bbox} is not tight north or south")
    inside = (lambda x: west <= x <= east) if west <= east else (lambda x: x >= west or x <= east)
    if not all(inside(p[0]) for p in points):
        out.append(f"bbox {bbox} leaves points out")
    if not {west, east} <= {p[0] for p in points}:
        out.append(f"bbox {bbox} is not tight east or west")
    return out

"""Write GeoJSON strictly as RFC 7946 asks, for files and for the web.

GDAL's own writer may emit Infinity, a `crs` member, clockwise rings and 15 decimals, so this one is ours: CRS84 without
a `crs` member, right-hand rings, geometry cut at the antimeridian, at most 7 decimals, finite numbers, string ids,
and a bbox whose west edge is greater than its east edge where the data cross the antimeridian.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any, TypeAlias

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from shapely import get_coordinates
from shapely.geometry import LineString, MultiLineString, MultiPoint, MultiPolygon, Point, Polygon
from shapely.geometry.base import BaseGeometry

from atlas import geo
from atlas.errors import LayerError

DECIMALS = 6  # about 0.1 m; RFC 7946 advises no more than 7

# (west, east, south, north) of one part that does not cross the antimeridian
Extent: TypeAlias = tuple[float, float, float, float]
Member: TypeAlias = dict[str, Any]
Moved: TypeAlias = Callable[[NDArray[np.float64]], NDArray[np.float64]]
Encoded: TypeAlias = dict[int, tuple[str, list[Extent]]]  # by identity of the shape


_EXPONENT = re.compile(r"-?\d(?:\.\d+)?e-\d+")
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def collection_text(
    table: gpd.GeoDataFrame, members: Mapping[str, Any] | None = None, encoded: Encoded | None = None
) -> str:
    """Return a FeatureCollection as text, one feature a line.

    `table` is indexed by feature id (made text); every other column becomes a property. `members` are extra members of
    the collection (attribution, licence). `encoded` keeps the text of shapes that several collections share, as long as
    the caller keeps those shapes alive. Longitudes may be continuous beyond +-180. Raises LayerError where a coordinate
    is not a finite number, or an id stands twice.
    """
    ids = [str(i) for i in table.index]
    if len(set(ids)) != len(ids):
        twice = sorted({i for i in ids if ids.count(i) > 1}) if len(ids) < 5000 else []
        raise LayerError(f"feature ids stand twice: {', '.join(twice[:5]) or 'in a large table'}")
    properties = _properties(table.drop(columns=table.geometry.name))
    known: Encoded = {} if encoded is None else encoded  # routes are shared by many flows: encode each once
    features: list[str] = []
    extents: set[Extent] = set()
    for feature_id, props, shape in zip(ids, properties, table.geometry.to_numpy(), strict=True):
        if id(shape) not in known:
            known[id(shape)] = geometry_text(shape, feature_id)
        text, parts = known[id(shape)]
        extents.update(parts)
        box = "" if shape is None or isinstance(shape, Point) or not parts else f',"bbox":{_numbers(bbox(parts))}'
        features.append(
            f'{{"type":"Feature","id":{dump(feature_id)}{box},"geometry":{text},"properties":{dump(props)}}}'
        )
    head = dump({"type": "FeatureCollection", **(members or {})})[:-1]
    if extents:
        head += f',"bbox":{_numbers(bbox(extents))}'
    return head + ',"features":[\n' + ",\n".join(features) + "\n]}\n"


def geometry_text(geometry: BaseGeometry | None, name: str = "geometry") -> tuple[str, list[Extent]]:
    """Return (GeoJSON text, extents of the parts) of a geometry; `null` where nothing is left of it."""
    member, parts = geometry_member(geometry, name)
    return _numbers(member), parts


def _numbers(value: Any) -> str:
    """Return a geometry or bbox as JSON without exponents: 2e-05 is right, but readers that count decimals stumble."""
    text = dump(value)
    return _EXPONENT.sub(lambda m: f"{float(m.group()):.{DECIMALS}f}", text) if "e-" in text else text


def geometry_member(
    geometry: BaseGeometry | None, name: str = "geometry", moved: Moved | None = None
) -> tuple[Member | None, list[Extent]]:
    """Return (GeoJSON geometry object or None, extents of its parts); empty and zero-length geometry gives None.

    `moved` brings (n, 2) coordinates, already cut, rounded and wound, into another reference system. Raises LayerError,
    with `name` in the text, where a coordinate is not finite or a latitude is off the globe.
    """
    if geometry is None or geometry.is_empty:
        return None, []
    raw = get_coordinates(geometry)
    if not np.isfinite(raw).all() or np.abs(raw[:, 1]).max() > 90.0:
        raise LayerError(f"{name}: a coordinate is not a finite number on the globe")
    cut = geo.split_antimeridian(geometry)
    pieces = list(getattr(cut, "geoms", [cut]))
    coordinates: list[Any] = []
    extents: list[Extent] = []
    for piece in pieces:
        positions = _piece(piece, moved)
        if positions is not None:
            coordinates.append(positions)
            extents.append(_extent(positions))
    if not coordinates:
        return None, []
    kind = {Point: "Point", LineString: "LineString", Polygon: "Polygon"}[type(pieces[0])]
    many = isinstance(cut, MultiPoint | MultiLineString | MultiPolygon) and len(coordinates) > 1
    return {"type": f"Multi{kind}" if many else kind, "coordinates": coordinates if many else coordinates[0]}, extents


def bbox(extents: Iterable[Extent]) -> list[float]:
    """Return [west, south, east, north] of parts; west > east where the shortest box crosses the antimeridian.

    The box leaves out the widest gap of longitude that no part covers (RFC 7946, 5.2).
    """
    parts = sorted(extents)
    south, north = min(p[2] for p in parts), max(p[3] for p in parts)
    reach = parts[0][1]
    gap, west, east = 0.0, parts[0][0], parts[0][1]
    for p in parts[1:]:
        if p[0] - reach > gap:
            gap, west, east = p[0] - reach, p[0], reach
        reach = max(reach, p[1])
    if gap <= parts[0][0] + 360.0 - reach:  # the widest gap is the one across the antimeridian: an ordinary box
        west, east = parts[0][0], reach
    return [west, south, east, north]


def dump(value: Any) -> str:
    """Return compact JSON; a number that is not finite raises ValueError rather than pass as Infinity."""
    return _ENCODER.encode(value)


def plain(value: Any) -> Any:
    """Return a property value as JSON knows it: finite number, text, bool or None; lists joined by semicolons."""
    if isinstance(value, str | bool) or value is None:
        return value
    if isinstance(value, tuple | list | set | frozenset):
        return ";".join(str(v) for v in (value if isinstance(value, tuple | list) else sorted(value)))
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if value is pd.NA or value is pd.NaT:
        return None
    return value.isoformat() if isinstance(value, date) else str(value)


def _properties(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return one dict of plain values for each row."""
    columns = {str(c): [plain(v) for v in table[c].tolist()] for c in table.columns}
    names = list(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)] or [{}] * len(table)


def _piece(piece: BaseGeometry, moved: Moved | None) -> list[Any] | None:
    """Return the coordinates of a single-part geometry, None if rounding leaves nothing of it."""
    if isinstance(piece, Point):
        return list(_listed(_rounded(get_coordinates(piece)), moved)[0])
    if isinstance(piece, LineString):
        xy = _without_repeats(_rounded(get_coordinates(piece)))
        return _listed(xy, moved) if len(xy) > 1 else None
    if isinstance(piece, Polygon):
        outer = _ring(piece.exterior, moved, counter_clockwise=True)
        if outer is None:
            return None
        holes = (_ring(hole, moved, counter_clockwise=False) for hole in piece.interiors)
        return [outer, *(hole for hole in holes if hole is not None)]
    raise LayerError(f"GeoJSON layers hold points, lines and polygons, not {piece.geom_type}")


def _ring(ring: BaseGeometry, moved: Moved | None, counter_clockwise: bool) -> list[list[float]] | None:
    """Return a closed ring wound as asked, None if it has no area left after rounding."""
    xy = _without_repeats(_rounded(get_coordinates(ring)))
    if len(xy) < 4:
        return None
    local = xy - xy[0]  # small numbers keep the sign of small areas
    area = float(np.sum(local[:-1, 0] * local[1:, 1] - local[1:, 0] * local[:-1, 1]))
    if area == 0.0:
        return None
    return _listed(xy if (area > 0) == counter_clockwise else xy[::-1], moved)


def _listed(xy: NDArray[np.float64], moved: Moved | None) -> list[list[float]]:
    """Return coordinates as lists, moved where that is asked."""
    found: list[list[float]] = (xy if moved is None else moved(xy)).tolist()
    return found


def _rounded(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return coordinates to DECIMALS, without negative zeros."""
    return np.round(xy[:, :2], DECIMALS) + 0.0


def _without_repeats(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the positions without those equal to the one before."""
    keep = np.ones(len(xy), dtype=bool)
    keep[1:] = (xy[1:] != xy[:-1]).any(axis=1)
    return xy[keep]


def _extent(positions: list[Any]) -> Extent:
    """Return (west, east, south, north) of the coordinates of one part."""
    flat = positions[0] if isinstance(positions[0], list) and isinstance(positions[0][0], list) else positions
    xy = np.atleast_2d(np.asarray(flat, dtype=float))
    west, south = xy.min(axis=0).tolist()
    east, north = xy.max(axis=0).tolist()
    return west, east, south, north

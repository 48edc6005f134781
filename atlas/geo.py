"""Places on the globe: lengths, the antimeridian, nearest points, the country of a point.

Coordinates are (lon, lat) in degrees, EPSG:4326; the ellipsoid is WGS84.
"""

from collections.abc import Callable, Sequence

import geopandas as gpd
import numpy as np
from numpy.typing import ArrayLike, NDArray
from pyproj import CRS as ProjCRS
from pyproj import Geod, Proj
from scipy.spatial import cKDTree
from shapely import GEOSException, STRtree, get_coordinates, make_valid, transform
from shapely import points as shapely_points
from shapely.affinity import translate
from shapely.geometry import (
    LineString,
    MultiLineString,
    MultiPoint,
    MultiPolygon,
    Point,
    Polygon,
    box,
)
from shapely.geometry.base import BaseGeometry

CRS = "EPSG:4326"
EARTH_RADIUS_KM = 6371.0088  # mean radius (IUGG); only nearest-point searches use the sphere

_GEOD = Geod(ellps="WGS84")

FloatArray = NDArray[np.float64]


def geodesic_km(lon1: ArrayLike, lat1: ArrayLike, lon2: ArrayLike, lat2: ArrayLike) -> FloatArray:
    """Return the geodesic length in km between points on WGS84, elementwise and broadcast.

    Longitudes may lie outside +-180. A scalar input gives a zero-dimensional array.
    """
    parts = np.broadcast_arrays(*(np.asarray(v, dtype=float) for v in (lon1, lat1, lon2, lat2)))
    flat = [np.ascontiguousarray(p.ravel()) for p in parts]
    _, _, metres = _GEOD.inv(*flat)
    return np.asarray(metres, dtype=float).reshape(parts[0].shape) / 1000.0


def line_km(coords: ArrayLike | BaseGeometry) -> float:
    """Return the geodesic length in km of a line given as (n, 2) coordinates or as a geometry."""
    if isinstance(coords, BaseGeometry):
        parts = getattr(coords, "geoms", [coords])
        return float(sum(line_km(get_coordinates(p)) for p in parts if not p.is_empty))
    xy = np.asarray(coords, dtype=float)
    if len(xy) < 2:
        return 0.0
    return float(geodesic_km(xy[:-1, 0], xy[:-1, 1], xy[1:, 0], xy[1:, 1]).sum())


def geodesic_points(start: ArrayLike, end: ArrayLike, count: int) -> FloatArray:
    """Return `count` points (count, 2) at equal steps along the geodesic between two points, the ends left out."""
    (lon1, lat1), (lon2, lat2) = np.asarray(start, dtype=float), np.asarray(end, dtype=float)
    return np.asarray(_GEOD.npts(lon1, lat1, lon2, lat2, count), dtype=float).reshape(-1, 2)


def wrap_lon(lon: ArrayLike) -> FloatArray:
    """Return longitudes brought into [-180, 180); 180 itself stays 180."""
    lon = np.asarray(lon, dtype=float)
    wrapped = (lon + 180.0) % 360.0 - 180.0
    return np.where((wrapped == -180.0) & (lon > 0), 180.0, wrapped)


def unwrap(coords: ArrayLike) -> FloatArray:
    """Return (n, 2) coordinates with continuous longitudes: no step is longer than 180 degrees.

    The first longitude is kept; later ones may leave [-180, 180].
    """
    xy = np.array(coords, dtype=float).reshape(-1, 2)
    if len(xy):
        xy[:, 0] = np.unwrap(xy[:, 0], period=360.0)
    return xy


def crs_words(name: str) -> tuple[str, str, bool]:
    """Return well-known text (WKT2), name for people, and whether it is in degrees, of a CRS such as EPSG:8857."""
    known = ProjCRS(name)
    return known.to_wkt("WKT2_2019"), known.name, known.is_geographic


def split_antimeridian(geometry: BaseGeometry) -> BaseGeometry:
    """Return the geometry cut at the antimeridian, every part within [-180, 180] (RFC 7946, 3.1.9).

    Input longitudes are continuous and may exceed 180. Lines and polygons that need a cut become Multi geometries.
    """
    if geometry.is_empty:
        return geometry
    if isinstance(geometry, Point):
        return Point(float(wrap_lon(geometry.x)), geometry.y)
    if isinstance(geometry, MultiPoint):
        return MultiPoint([split_antimeridian(p) for p in geometry.geoms])
    west, _, east, _ = geometry.bounds
    first, last = int(np.floor((west + 180.0) / 360.0)), int(np.ceil((east - 180.0) / 360.0))
    if first >= 0 and last <= 0:
        return geometry
    if isinstance(geometry, LineString | MultiLineString):
        lines = [part for line in getattr(geometry, "geoms", [geometry]) for part in _split_line(get_coordinates(line))]
        return lines[0] if len(lines) == 1 else MultiLineString(lines)
    parts: list[BaseGeometry] = []
    for turn in range(first, max(last, first) + 1):
        window = box(-180.0 + 360.0 * turn, -90.0, 180.0 + 360.0 * turn, 90.0)
        piece = translate(geometry.intersection(window), xoff=-360.0 * turn)
        parts += _polygons(_clamped(piece))
    if not parts:
        return type(geometry)()
    if len(parts) == 1:
        return parts[0]
    return MultiPolygon(parts)


def _split_line(xy: FloatArray) -> list[LineString]:
    """Return a line cut at each meridian 180 + 360 k, in order; a line that doubles back keeps every part."""
    points: list[tuple[float, float]] = [tuple(xy[0])]
    for (x1, y1), (x2, y2) in zip(xy[:-1], xy[1:], strict=True):
        low, high = min(x1, x2), max(x1, x2)
        cuts = [c for c in np.arange(np.ceil((low - 180.0) / 360.0) * 360.0 + 180.0, high, 360.0) if low < c < high]
        for cut in cuts if x1 < x2 else reversed(cuts):
            points.append((float(cut), y1 + (y2 - y1) * (cut - x1) / (x2 - x1)))
        points.append((x2, y2))
    middles = [(a[0] + b[0]) / 2.0 for a, b in zip(points[:-1], points[1:], strict=True)]
    turns = [int(np.floor((m + 180.0) / 360.0)) for m in middles]
    for i in range(1, len(turns)):
        if points[i][0] == points[i + 1][0] and (middles[i] + 180.0) % 360.0 == 0.0:
            turns[i] = turns[i - 1]  # a step along the meridian itself stays with the part before it
    starts = [0] + [i for i in range(1, len(turns)) if turns[i] != turns[i - 1]] + [len(turns)]
    return [
        LineString([(x - 360.0 * turns[a], y) for x, y in points[a : b + 1]])
        for a, b in zip(starts[:-1], starts[1:], strict=True)
    ]


def _clamped(geometry: BaseGeometry) -> BaseGeometry:
    """Return the geometry with longitudes that rounding pushed past +-180 brought back."""
    return transform(geometry, lambda xy: np.column_stack([np.clip(xy[:, 0], -180.0, 180.0), xy[:, 1]]))


def _polygons(piece: BaseGeometry) -> list[BaseGeometry]:
    """Return the polygons of a cut piece; points and edges that only touch are dropped."""
    return [g for g in getattr(piece, "geoms", [piece]) if isinstance(g, Polygon) and g.area > 0]


def country_of(points: ArrayLike, countries: gpd.GeoDataFrame, max_km: float = 0.0) -> list[str]:
    """Return the ISO3 code of the country that holds each (lon, lat), "" where none does.

    `countries` is indexed by iso3. With `max_km` a point off every country takes the nearest within that distance
    (coasts are generalised, harbours lie in the water).
    """
    xy = np.asarray(points, dtype=float).reshape(-1, 2)
    xy = np.column_stack([wrap_lon(xy[:, 0]), xy[:, 1]])
    codes = [str(c) for c in countries.index]
    tree = STRtree(shapely_points(xy))
    held, point = tree.query(countries.geometry.to_numpy(), predicate="intersects")
    found = [""] * len(xy)
    for i, j in sorted(zip(held.tolist(), point.tolist(), strict=True), reverse=True):
        found[j] = codes[i]  # on a shared border the country that comes first in the table holds the point
    if max_km > 0:
        for j in (j for j, code in enumerate(found) if not code):
            found[j] = _nearest_country(float(xy[j, 0]), float(xy[j, 1]), countries, codes, max_km)
    return found


def _nearest_country(lon: float, lat: float, countries: gpd.GeoDataFrame, codes: list[str], max_km: float) -> str:
    """Return the code of the country nearest to a point, "" if none is within `max_km`."""
    dy = max_km / 110.0
    dx = dy / max(float(np.cos(np.radians(lat))), 0.05)
    near = countries.sindex.query(box(lon - dx, lat - dy, lon + dx, lat + dy))
    distances = {codes[i]: distance_km(lon, lat, countries.geometry.iloc[i]) for i in near}
    best = min(distances, key=lambda code: (distances[code], code), default="")
    return best if best and distances[best] <= max_km else ""


def land_km(coords: ArrayLike, countries: gpd.GeoDataFrame) -> float:
    """Return the km of a line (longitudes continuous) over the outlines of countries."""
    line, total = LineString(coords), 0.0
    for turn in (0.0, 360.0, -360.0):
        moved = translate(line, xoff=turn)
        for i in countries.sindex.query(moved, predicate="intersects"):
            total += line_km(moved.intersection(countries.geometry.iloc[i]))
    return total


def distance_km(lon: float, lat: float, geometry: BaseGeometry) -> float:
    """Return the distance in km from a point to a geometry, 0 inside; good to a percent below 1,000 km.

    Works in a local plane (longitudes shrunk by the cosine of the latitude), which is enough for tolerances. Beyond
    some 1,500 km it is the distance to the nearest vertex.
    """
    squeeze = max(float(np.cos(np.radians(lat))), 0.05)
    window = box(lon - 15.0 / squeeze, lat - 15.0, lon + 15.0 / squeeze, lat + 15.0)

    def local(xy: FloatArray) -> FloatArray:
        return np.column_stack([(xy[:, 0] - lon) * squeeze, xy[:, 1] - lat]) * (np.pi / 180.0 * EARTH_RADIUS_KM)

    turns = [geometry if turn == 0 else translate(geometry, xoff=turn) for turn in _turns(window)]
    try:
        close = [part for part in (g.intersection(window) for g in turns if g.intersects(window)) if not part.is_empty]
    except GEOSException:  # outlines that cross themselves; checking first would cost more than the distance
        close = [part for part in (make_valid(g).intersection(window) for g in turns) if not part.is_empty]
    if close:
        return min(float(transform(part, local).distance(Point(0.0, 0.0))) for part in close)
    xy = get_coordinates(geometry)
    return float(geodesic_km(lon, lat, xy[:, 0], xy[:, 1]).min()) if len(xy) else float("inf")


def _turns(window: BaseGeometry) -> list[float]:
    """Return by how many degrees the geometry must be turned to reach the window: 0, and 360 either way if need be."""
    west, _, east, _ = window.bounds
    return [0.0] + ([-360.0] if west < -180.0 else []) + ([360.0] if east > 180.0 else [])


def sphere_xyz(lon: ArrayLike, lat: ArrayLike) -> FloatArray:
    """Return (n, 3) points on the unit sphere."""
    lam, phi = np.radians(np.asarray(lon, dtype=float)), np.radians(np.asarray(lat, dtype=float))
    return np.column_stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)])


class NearestIndex:
    """Nearest of many points on the globe, the antimeridian and the poles included."""

    def __init__(self, lon: ArrayLike, lat: ArrayLike) -> None:
        self._tree = cKDTree(sphere_xyz(np.atleast_1d(lon), np.atleast_1d(lat)))

    def query(self, lon: ArrayLike, lat: ArrayLike, k: int = 1) -> tuple[NDArray[np.intp], FloatArray]:
        """Return (positions, km along the sphere), each (n,) or (n, k)."""
        chord, positions = self._tree.query(sphere_xyz(np.atleast_1d(lon), np.atleast_1d(lat)), k=k)
        return positions, chord_km(chord)

    def within(self, lon: float, lat: float, km: float) -> list[int]:
        """Return the positions of all points within `km`, in ascending order."""
        chord = 2.0 * np.sin(min(km / EARTH_RADIUS_KM, np.pi) / 2.0)
        return sorted(int(i) for i in self._tree.query_ball_point(sphere_xyz(lon, lat)[0], chord))


def chord_km(chord: ArrayLike) -> FloatArray:
    """Return arc lengths in km for chords of the unit sphere."""
    return 2.0 * EARTH_RADIUS_KM * np.arcsin(np.clip(np.asarray(chord, dtype=float) / 2.0, 0.0, 1.0))


def parse_lonlat(text: str) -> tuple[float, float] | None:
    """Return (lon, lat) of a text like `-115.5,35.5`, None if it is not a pair of finite numbers on the globe."""
    parts: Sequence[str] = text.split(",")
    if len(parts) != 2:
        return None
    try:
        lon, lat = float(parts[0]), float(parts[1])
    except ValueError:
        return None
    if not (np.isfinite(lon) and np.isfinite(lat) and -360.0 <= lon <= 360.0 and -90.0 <= lat <= 90.0):
        return None
    # Whole turns change the last bits of a longitude; nine decimals are a tenth of a millimetre.
    lon = float(np.round(wrap_lon(lon), 9))
    return (-180.0 if lon == 180.0 else lon), lat


def projector(definition: str) -> Callable[[ArrayLike], FloatArray]:
    """Return what takes (n, 2) degrees to (n, 2) metres on a map, by a PROJ definition such as `+proj=eqearth`.

    Points that the projection cannot show come out as infinite.
    """
    made = Proj(definition)

    def projected(coords: ArrayLike) -> FloatArray:
        xy = np.asarray(coords, dtype=float).reshape(-1, 2)
        return np.column_stack(made(xy[:, 0], xy[:, 1])) if len(xy) else xy

    return projected

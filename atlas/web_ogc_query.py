"""The parameters of OGC API - Features, read: bbox, datetime, limit, offset, crs and filters by property.

Every reader notes what is wrong in `problems`, so that a client learns all of it at once.
"""

import datetime as dt
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from shapely.geometry import Polygon, box

from atlas.export_fields import Field
from atlas.geo import FloatArray

CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
WGS84 = "http://www.opengis.net/def/crs/EPSG/0/4326"  # latitude first, as EPSG has it
WEB_MERCATOR = "http://www.opengis.net/def/crs/EPSG/0/3857"
CRS = (CRS84, WGS84, WEB_MERCATOR)

LIMIT, MOST = 100, 1000  # features of a page: as a rule, at most
RADIUS_M = 6378137.0  # of the sphere of EPSG:3857
LATITUDE_MOST = 85.0511287798066  # where the square of EPSG:3857 ends

_DAY = r"\d{4}-\d{2}-\d{2}"
_DATE_TIME = re.compile(rf"{_DAY}([Tt]\d{{2}}:\d{{2}}:\d{{2}}(\.\d+)?([Zz]|[+-]\d{{2}}:\d{{2}}))?", re.ASCII)
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}

Interval = tuple[dt.datetime | None, dt.datetime | None]  # both ends belong to it, None is open


@dataclass(frozen=True)
class Asked:
    """What a page of features is asked for; `windows` are boxes in degrees, None where all places will do."""

    windows: tuple[Polygon, ...] | None = None
    during: Interval | None = None
    filters: tuple[tuple[str, object], ...] = ()
    limit: int = LIMIT
    offset: int = 0
    crs: str = CRS84


def read_items(found: Mapping[str, list[str]], fields: Mapping[str, Field], problems: list[str]) -> Asked:
    """Return what the parameters of a page of features ask; notes all that is wrong."""
    one = {name: _once(values, name, problems) for name, values in found.items()}
    crs = read_crs("crs", one.get("crs", CRS84), problems)
    bbox_crs = read_crs("bbox-crs", one.get("bbox-crs", CRS84), problems)
    windows = read_bbox(one["bbox"], bbox_crs, problems) if "bbox" in one else None
    during = read_datetime(one["datetime"], problems) if "datetime" in one else None
    limit = min(_whole("limit", one.get("limit", str(LIMIT)), 1, problems), MOST)
    offset = _whole("offset", one.get("offset", "0"), 0, problems)
    filters = tuple((n, _filter(fields[n], one[n], problems)) for n in one if n in fields)
    return Asked(windows, during, filters, limit, offset, crs)


def read_crs(name: str, text: str, problems: list[str]) -> str:
    """Return a coordinate reference system that is offered."""
    if text not in CRS:
        problems.append(f"{name}: {text[:120]!r} is not offered; expected one of {', '.join(CRS)}")
        return CRS84
    return text


def read_bbox(text: str, crs: str, problems: list[str]) -> tuple[Polygon, ...] | None:
    """Return the boxes in degrees that a `bbox` stands for: two where it crosses the antimeridian.

    Of six numbers the heights say nothing here: no feature has one. A west edge east of the east edge means a box
    across the antimeridian, and so does an edge beyond 180; what lies beyond a pole is cut off.
    """
    try:
        numbers = [float(v) for v in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (4, 6) or not all(map(math.isfinite, numbers)):
        problems.append(f"bbox: {text[:80]!r} is not four or six numbers joined by commas")
        return None
    corners = np.array([numbers[:2], numbers[len(numbers) // 2 :][:2]])
    if crs == WGS84:
        corners = corners[:, ::-1]
    elif crs == WEB_MERCATOR:
        corners = degrees(corners)
    (west, south), (east, north) = corners.tolist()
    if south > north:
        problems.append(f"bbox: {text[:80]!r} has its south edge north of its north edge")
        return None
    south, north = max(south, -90.0), min(north, 90.0)
    if south > north or east - west >= 360.0:
        return (box(-180.0, south, 180.0, north),) if south <= north else ()
    if -180.0 <= west <= east <= 180.0:
        return (box(west, south, east, north),)
    if not -180.0 <= west <= 180.0:
        west = (west + 180.0) % 360.0 - 180.0
    if not -180.0 <= east <= 180.0:
        east = (east + 180.0) % 360.0 - 180.0
    if west <= east:
        return (box(west, south, east, north),)
    return box(west, south, 180.0, north), box(-180.0, south, east, north)


def read_datetime(text: str, problems: list[str]) -> Interval | None:
    """Return the interval of a `datetime`: an instant or a day, or two of them joined by `/`, either end open."""
    parts = text.split("/")
    if len(parts) > 2 or (len(parts) == 1 and parts[0] == ".."):
        problems.append(f"datetime: {text[:80]!r} is neither a time nor an interval such as 2020-01-01/..")
        return None
    ends: list[dt.datetime | None] = []
    for n, part in enumerate(parts):
        if len(parts) == 2 and part in ("", ".."):
            ends.append(None)
            continue
        found = _instant(part)
        if found is None:
            problems.append(f"datetime: {part[:60]!r} is not a time of RFC 3339 such as 2024-07-01T00:00:00Z or a day")
            return None
        ends.append(found[n if len(parts) == 2 else 0])
        if len(parts) == 1:
            ends.append(found[1])
    start, end = ends
    if start and end and start > end:
        problems.append(f"datetime: {text[:80]!r} ends before it starts")
        return None
    return start, end


def _instant(text: str) -> tuple[dt.datetime, dt.datetime] | None:
    """Return the first and the last moment of a time or a day."""
    if not _DATE_TIME.fullmatch(text):
        return None
    try:
        if len(text) == 10:
            day = dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)
            return day, day.replace(hour=23, minute=59, second=59, microsecond=999_999)
        moment = dt.datetime.fromisoformat(text.upper()).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None
    return moment, moment


def degrees(metres: FloatArray) -> FloatArray:
    """Return (n, 2) longitudes and latitudes of (n, 2) metres of EPSG:3857."""
    lat = 90.0 - 2.0 * np.degrees(np.arctan(np.exp(np.clip(-metres[:, 1] / RADIUS_M, -700.0, 700.0))))
    return np.column_stack([np.degrees(metres[:, 0] / RADIUS_M), lat])


def latitude_first(lonlat: FloatArray) -> FloatArray:
    """Return (n, 2) positions of EPSG:4326 in the order of its axes."""
    return lonlat[:, ::-1]


def metres(lonlat: FloatArray) -> FloatArray:
    """Return (n, 2) metres of EPSG:3857, to the centimetre; latitudes beyond its square are brought to its edge."""
    lat = np.radians(np.clip(lonlat[:, 1], -LATITUDE_MOST, LATITUDE_MOST))
    y = RADIUS_M * np.arcsinh(np.tan(lat))
    return np.asarray(np.round(np.column_stack([RADIUS_M * np.radians(lonlat[:, 0]), y]), 2) + 0.0, dtype=float)


def _once(values: list[str], name: str, problems: list[str]) -> str:
    if len(values) > 1:
        problems.append(f"{name}: given {len(values)} times, expected once")
    return values[0]


def _whole(name: str, text: str, least: int, problems: list[str]) -> int:
    if re.fullmatch(r"\d{1,18}", text, re.ASCII) and int(text) >= least:
        return int(text)
    problems.append(f"{name}: {text[:40]!r} is not a whole number of {least} or more")
    return least


def _filter(field: Field, text: str, problems: list[str]) -> object:
    """Return the value that a property must have."""
    if field.type == "bool":
        if text.lower() not in _WORDS:
            problems.append(f"{field.name}: {text[:40]!r} is not true or false")
        return _WORDS.get(text.lower(), False)
    if field.type in ("int", "float"):
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            problems.append(f"{field.name}: {text[:40]!r} is not a number")
        return value
    return text

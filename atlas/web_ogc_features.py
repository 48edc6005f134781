"""The features of one collection in one state: chosen by place, time and property, and written as GeoJSON.

Geometry that several features share (the flows along one route) is held, searched and written once.
"""

import datetime as dt
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from functools import cached_property
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from atlas import geo
from atlas.export_fields import Field
from atlas.export_geojson import DECIMALS, Member, bbox, dump, geometry_member, geometry_text, plain
from atlas.export_tables import geometry_type
from atlas.web_ogc_query import CRS84, WGS84, Asked, Interval, latitude_first, metres

KEPT_BYTES = 150_000_000  # of tables and lines of collections, the oldest go first
CELL_BYTES = 60  # about what a cell of a table takes up
TEXT_BYTES = 8_000_000  # of written geometry that a collection keeps

Rows = NDArray[np.intp]


class Features:
    """A table of features, in degrees, ready to be asked for pages of it.

    `fields` are those of its columns, by name. Lines and polygons are written as Multi geometries, so that all
    features of a collection are of one type, which many clients take from the first.
    """

    def __init__(self, table: gpd.GeoDataFrame, fields: Mapping[str, Field]) -> None:
        self.geometry_type = geometry_type(table)
        shapes = table.geometry.to_numpy()
        self.properties = table.drop(columns=table.geometry.name)
        self.fields = {c: fields.get(c) or _unknown(c) for c in map(str, self.properties.columns)}
        self.ids = [str(i) for i in table.index]
        self._row = {name: n for n, name in enumerate(self.ids)}
        places: dict[int, int] = {}
        distinct: list[BaseGeometry | None] = []
        for shape in shapes:
            if id(shape) not in places:
                places[id(shape)] = len(distinct)
                distinct.append(shape)
        self._shape = np.array([places[id(s)] for s in shapes], dtype=np.intp)
        self._shapes = _cut(distinct)
        self._tree = shapely.STRtree(self._shapes)
        self._texts: dict[tuple[str, int], str] = {}
        self._texts_bytes = 0

    @property
    def size(self) -> int:
        """About how many bytes it takes up."""
        held = 32 * int(shapely.get_num_coordinates(self._shapes).sum()) + CELL_BYTES * self.properties.size
        return held + TEXT_BYTES

    @cached_property
    def extent(self) -> list[float] | None:
        """West, south, east and north of all of it; None where nothing has a place."""
        if not len(self._shapes) or shapely.is_empty(self._shapes).all():
            return None
        west, south, east, north = shapely.total_bounds(self._shapes).tolist()
        return [round(v, 6) for v in (west, south, east, north)] if west == west else None

    @cached_property
    def years(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """First and last year of each feature, NaN where open; None where the collection knows no time."""
        if not {"start_year", "end_year"} <= set(self.fields):
            return None
        first, last = (
            self.properties[c].astype("Float64").to_numpy(dtype=float, na_value=np.nan)
            for c in ("start_year", "end_year")
        )
        return first, last

    def row(self, feature_id: str) -> int | None:
        """Return the position of a feature, None if there is none of that id."""
        return self._row.get(feature_id)

    def chosen(self, asked: Asked) -> Rows:
        """Return the positions of the features that fit, in the order of the table."""
        fits = np.ones(len(self.ids), dtype=bool)
        if asked.windows is not None:
            fits &= np.isin(self._shape, self._within(asked.windows))
        if asked.during is not None and self.years is not None:
            fits &= _intersects(*self.years, asked.during)
        for name, value in asked.filters:
            fits &= self._has(name, value)
        return np.flatnonzero(fits)

    def bbox(self, rows: Rows) -> list[float] | None:
        """Return the box of some features in degrees, its west edge east of its east edge across the antimeridian."""
        parts = shapely.get_parts(self._shapes[np.unique(self._shape[rows])])
        if not len(parts):
            return None
        west, south, east, north = (np.round(v, DECIMALS) + 0.0 for v in shapely.bounds(parts).T)
        boxes = np.unique(np.column_stack([west, east, south, north]), axis=0)
        return bbox((w, e, s, n) for w, e, s, n in boxes.tolist())

    def texts(self, rows: Rows, crs: str = CRS84) -> list[str]:
        """Return features as GeoJSON, one text each without its closing brace, so that members can be added."""
        part = self.properties.iloc[rows]
        columns = {str(c): [plain(v) for v in part[c].tolist()] for c in part.columns}
        values = list(zip(*columns.values(), strict=True)) or [()] * len(rows)
        known: dict[int, str] = {}
        found = []
        for row, cells in zip(rows.tolist(), values, strict=True):
            shape = int(self._shape[row])
            if shape not in known:
                known[shape] = self._written(shape, crs, self.ids[row])
            properties = dump(dict(zip(columns, cells, strict=True)))
            found.append(
                f'{{"type":"Feature","id":{dump(self.ids[row])},"geometry":{known[shape]},"properties":{properties}'
            )
        return found

    def _within(self, windows: tuple[BaseGeometry, ...]) -> Rows:
        found = [self._tree.query(w, predicate="intersects") for w in windows]
        return np.unique(np.concatenate(found)) if found else np.array([], dtype=np.intp)

    @cached_property
    def _columns(self) -> dict[str, list[Any]]:
        return {}

    def _has(self, name: str, value: object) -> NDArray[np.bool_]:
        """Return which features have a value; of a list, which have it among others."""
        if name not in self._columns:
            self._columns[name] = [plain(v) for v in self.properties[name].tolist()]
        cells = self._columns[name]
        if self.fields[name].type == "list":
            return np.array([value in str(c or "").split(";") for c in cells], dtype=bool)
        return np.array([c is not None and c == value for c in cells], dtype=bool)

    def _written(self, shape: int, crs: str, name: str) -> str:
        """Return a geometry as GeoJSON; what is asked for first is kept, as far as there is room."""
        found = self._texts.get((crs, shape))
        if found is None:
            found = self._text(self._shapes[shape], crs, name)
            if self._texts_bytes < TEXT_BYTES:
                self._texts[crs, shape] = found
                self._texts_bytes += len(found)
        return found

    def _text(self, shape: BaseGeometry | None, crs: str, name: str) -> str:
        """Return a geometry as GeoJSON in a coordinate reference system."""
        if crs == CRS84:
            text, parts = geometry_text(shape, name)
            if not parts or not self.geometry_type.startswith("Multi") or text.startswith('{"type":"Multi'):
                return text
            kind, _, inside = text.partition('","coordinates":')
            return f'{{"type":"{self.geometry_type}","coordinates":[{inside[:-1]}]}}' if kind else text
        member, _ = geometry_member(shape, name, latitude_first if crs == WGS84 else metres)
        return "null" if member is None else dump(self._multi(member))

    def _multi(self, member: Member) -> Member:
        if not self.geometry_type.startswith("Multi") or member["type"].startswith("Multi"):
            return member
        return {"type": self.geometry_type, "coordinates": [member["coordinates"]]}


class Sets:
    """The features of the last collections asked for, by state and layer; safe between threads."""

    def __init__(self, most_bytes: int = KEPT_BYTES) -> None:
        self._most = most_bytes
        self._lock = threading.Lock()
        self._making: dict[Hashable, threading.Lock] = {}
        self._kept: OrderedDict[Hashable, Features] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Features]) -> Features:
        """Return the features of `key`, made if they are not there; many who ask at once wait for one of them."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            mine = self._making.setdefault(key, threading.Lock())
        with mine:
            with self._lock:
                if key in self._kept:
                    return self._kept[key]
            made = make()
            with self._lock:
                self._kept[key] = made
                self._making.pop(key, None)
                while sum(f.size for f in self._kept.values()) > self._most and len(self._kept) > 1:
                    self._kept.popitem(last=False)
            return made


def _unknown(name: str) -> Field:
    """Return the field of a column that no list of fields describes: text, as it is written."""
    return Field(name, name, "", "", "str")


def _cut(shapes: list[BaseGeometry | None]) -> NDArray[np.object_]:
    """Return the shapes with those that leave +-180 degrees cut at the antimeridian."""
    made = np.empty(len(shapes), dtype=object)
    made[:] = shapes
    if len(made):
        bounds = shapely.bounds(made)
        for n in np.flatnonzero((bounds[:, 0] < -180.0) | (bounds[:, 2] > 180.0)):
            made[n] = geo.split_antimeridian(made[n])
    return made


def _intersects(first: NDArray[np.float64], last: NDArray[np.float64], during: Interval) -> NDArray[np.bool_]:
    """Return which spans of whole years meet an interval; a year that is not known is open, both: always."""
    start, end = during
    fits = np.ones(len(first), dtype=bool)
    if end is not None:
        fits &= ~(first > end.astimezone(dt.UTC).year)  # NaN is never greater
    if start is not None:
        fits &= ~(last < start.astimezone(dt.UTC).year)
    return fits


def collection_text(members: Mapping[str, Any], features: list[str]) -> str:
    """Return a FeatureCollection of texts as `Features.texts` makes them, with further members."""
    head = json.dumps({"type": "FeatureCollection", **members}, ensure_ascii=False, allow_nan=False)[:-1]
    return head + ',"features":[\n' + ",\n".join(f + "}" for f in features) + "\n]}\n"

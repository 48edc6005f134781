"""What lies around a plant: railways and roads of the network, local roads that were fetched, the outline of land.

`GET /api/nearby.geojson?bbox=W,S,E,N&zoom=Z` answers for close-ups of the map, which has no tiles. A box is widened to
a grid of its zoom, so that near looks at one place are one answer, kept and tagged.
"""

import json
import math
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from flask import Blueprint, Response, current_app, request
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from atlas import local_access
from atlas.errors import BadInput
from atlas.land_graph import LandGraph
from atlas.local_access import MODES
from atlas.web_answers import Document
from atlas.web_formats import GEOJSON_TYPE
from atlas.web_query import parameters, single

nearby = Blueprint("nearby", __name__)

LEAST_ZOOM, MOST_ZOOM = 6.0, 14.0
LOCAL_ZOOM = 8.0  # local roads are a tangle before
WIDEST_DEG = 90.0
MOST_LINES = 1200  # of a mode; the longest are kept and the answer says so
CELL_DEG = 0.5
MOST_GRAPHS = 8  # graphs of local roads kept, by file

Box = tuple[float, float, float, float]


@nearby.get("/api/nearby.geojson")
def nearby_lines() -> Response:
    """Return railways, roads and land within a box, no finer than its zoom shows."""
    atlas = current_app.extensions["atlas"]
    found = parameters(request, ("bbox", "zoom"), atlas.settings)
    problems: list[str] = []
    zoom = _zoom(single(found, "zoom", "", problems), problems)
    box = _box(single(found, "bbox", "", problems), problems)
    if problems or box is None:
        raise BadInput(problems)
    wide = widened(box, zoom)
    level = math.floor(zoom)

    def make() -> Document:
        return Document.of(json.dumps(around(atlas.study, wide, level), separators=(",", ":")), GEOJSON_TYPE)

    response: Response = atlas.send(atlas.answers.documents.get(("nearby", wide, level), make))
    return response


def _zoom(text: str, problems: list[str]) -> float:
    try:
        zoom = float(text)
    except ValueError:
        zoom = math.nan
    if not LEAST_ZOOM <= zoom <= MOST_ZOOM:
        problems.append(f"zoom: {text[:40]!r}, expected {LEAST_ZOOM:g} to {MOST_ZOOM:g}")
        return LEAST_ZOOM
    return zoom


def _box(text: str, problems: list[str]) -> Box | None:
    """Return west, south, east, north with east over west (past 180 where the box crosses the antimeridian)."""
    try:
        west, south, east, north = (float(v) for v in text.split(","))
    except ValueError:
        problems.append(f"bbox: {text[:60]!r}, expected west,south,east,north in degrees")
        return None
    if not (all(map(math.isfinite, (west, south, east, north))) and abs(west) <= 540 and abs(east) <= 540):
        problems.append(f"bbox: {text[:60]!r}, expected longitudes within a turn or so")
        return None
    if not -90 <= south < north <= 90:
        problems.append(f"bbox: south {south:g} and north {north:g}, expected -90 to 90 and south under north")
        return None
    turn = 360.0 * math.floor((west + 180.0) / 360.0)
    west, east = west - turn, east - turn
    if east <= west:
        east += 360.0
    if not 0 < east - west <= WIDEST_DEG:
        problems.append(f"bbox: {east - west:g} degrees wide, expected {WIDEST_DEG:g} at most")
        return None
    return west, south, east, north


def widened(box: Box, zoom: float) -> Box:
    """Return the box out to the grid of its zoom; west stays within a turn of Greenwich."""
    step = 360.0 / 2 ** math.floor(zoom)
    west, south, east, north = box
    return (
        round(math.floor(west / step) * step, 6), max(round(math.floor(south / step) * step, 6), -90.0),
        round(math.ceil(east / step) * step, 6), min(round(math.ceil(north / step) * step, 6), 90.0),
    )  # fmt: skip


def around(study: Any, box: Box, zoom: int) -> dict[str, Any]:
    """Return a FeatureCollection of land (`kind` land), railways and roads (rail, road) and local ones (local_...)."""
    features, left_out = [], 0
    tolerance = 180.0 / 256 / 2**zoom  # half a pixel
    for turn, part in _parts(box):
        clip = shapely.box(*part)
        near = study.layers.countries[study.layers.countries.intersects(clip)]
        for code, outline in near.geometry.items():
            shape = shapely.simplify(shapely.clip_by_rect(outline, *part), tolerance)
            features += _feature(shape, turn, {"kind": "land", "country": str(code)})
        for mode, edges in _trunk(study).items():
            lines, missed = edges.within(part, tolerance)
            left_out += missed
            features += [f for line in lines for f in _feature(line, turn, {"kind": mode})]
        if zoom >= LOCAL_ZOOM:
            for mode, line, facility, source in _local(study, part):
                shape = shapely.simplify(shapely.clip_by_rect(line, *part), tolerance)
                features += _feature(shape, turn, {"kind": f"local_{mode}", "facility": facility, "source": source})
    return {"type": "FeatureCollection", "bbox": list(box), "left_out": left_out, "features": features}


def _parts(box: Box) -> list[tuple[float, Box]]:
    """Return the box cut at the antimeridian, each part within -180 to 180 with the turn that leads back to the box."""
    west, south, east, north = box
    found = []
    for turn in (-360.0, 0.0, 360.0):
        a, b = max(west - turn, -180.0), min(east - turn, 180.0)
        if a < b:
            found.append((turn, (a, south, b, north)))
    return found


def _feature(shape: BaseGeometry, turn: float, told: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the shape as a feature whose longitudes run on across the box; nothing for an empty one."""
    if shape.is_empty:
        return []
    moved = shapely.transform(shape, lambda xy: np.round(xy + [turn, 0.0], 5))
    return [{"type": "Feature", "properties": told, "geometry": json.loads(shapely.to_geojson(moved))}]


class Edges:
    """The straight pieces of a network, found by box through a grid of cells."""

    def __init__(self, xy: NDArray[np.float64], ends: NDArray[np.int64], km: NDArray[np.float64]) -> None:
        # Columns: lon and lat of both ends; a piece over the antimeridian runs on past 180.
        flat = np.c_[xy[ends[:, 0]], xy[ends[:, 1]]].astype(np.float32)
        flat[:, 2] -= 360.0 * np.round((flat[:, 2] - flat[:, 0]) / 360.0)
        cell = self._cell(np.minimum(flat[:, 0], flat[:, 2]), np.minimum(flat[:, 1], flat[:, 3]))
        order = np.argsort(cell, kind="stable")
        self._cells, self._flat, self._km = cell[order], flat[order], km[order].astype(np.float32)
        size = np.abs(flat[:, 2:] - flat[:, :2])
        # The pieces that reach over more than a cell are few: they are looked at every time.
        self._long = np.flatnonzero((size > CELL_DEG).any(axis=1)[order])

    @staticmethod
    def _cell(lon: Any, lat: Any) -> Any:
        columns = round(360.0 / CELL_DEG)
        x = np.clip(np.floor((np.asarray(lon) + 180.0) / CELL_DEG), 0, columns - 1).astype(np.int64)
        return np.floor((np.asarray(lat) + 90.0) / CELL_DEG).astype(np.int64) * columns + x

    def within(self, box: Box, tolerance_deg: float) -> tuple[list[BaseGeometry], int]:
        """Return the lines that meet a box, joined and simplified, and how many were left out: the shortest."""
        west, south, east, north = box
        found = [self._long]
        for row in np.arange(max(south - CELL_DEG, -90.0), north + CELL_DEG, CELL_DEG):
            first, last = self._cell([max(west - CELL_DEG, -180.0), min(east, 179.999)], [row, row])
            found.append(np.arange(*np.searchsorted(self._cells, [first, last + 1])))
        ids = np.unique(np.concatenate(found))
        flat = self._flat[ids]
        low, high = np.minimum(flat[:, :2], flat[:, 2:]), np.maximum(flat[:, :2], flat[:, 2:])
        inside = (high[:, 0] >= west) & (low[:, 0] <= east) & (high[:, 1] >= south) & (low[:, 1] <= north)
        if not inside.any():
            return [], 0
        pieces = shapely.linestrings(flat[inside].astype(float).round(4).reshape(-1, 2, 2))
        whole = shapely.simplify(shapely.line_merge(shapely.multilinestrings(pieces)), tolerance_deg)
        lines = np.asarray(shapely.get_parts(shapely.clip_by_rect(whole, *box)))
        lines = lines[np.argsort(-shapely.length(lines), kind="stable")]
        return list(lines[:MOST_LINES]), max(len(lines) - MOST_LINES, 0)


_LOCK = threading.Lock()
_TRUNK: OrderedDict[str, dict[str, Edges]] = OrderedDict()  # by digest of the layers
_GRAPHS: OrderedDict[tuple[Path, int], list[tuple[str, BaseGeometry]]] = OrderedDict()  # by file and when it was made


def _trunk(study: Any) -> dict[str, Edges]:
    """Return the network's railways and roads, read once; none where the layers have no network."""
    key = str(study.layers.digest)
    with _LOCK:
        if key not in _TRUNK:
            directory, made = study.layers.directory("network"), {}
            for mode in MODES:
                path = Path(directory) / f"{mode}_graph.npz"
                if path.is_file():
                    part = LandGraph(path).part(list(map(str, study.layers.countries.index)))
                    place = np.searchsorted(part.ids, part.ends)
                    made[mode] = Edges(part.xy, place, part.km)
            _TRUNK[key] = made
            while len(_TRUNK) > 2:
                _TRUNK.popitem(last=False)
        return _TRUNK[key]


def _local(study: Any, box: Box) -> list[tuple[str, BaseGeometry, str, str]]:
    """Return (mode, line, facility, source) of fetched local roads and rails that meet a box."""
    place = local_access.folder(study.settings) if hasattr(study, "local_roads") else None
    if place is None:
        return []
    found, clip = [], shapely.box(*box)
    for access in study.local_roads.accesses:
        reach = access.radius_km / 111.0 / max(math.cos(math.radians(access.lat)), 0.1) + 0.1
        if not access.to and not shapely.Point(access.lon, access.lat).buffer(reach).intersects(clip):
            continue
        for mode, lines in _graph(local_access.graph_path(place, access.facility)):
            if lines.intersects(clip):
                found.append((mode, lines, access.facility, access.source))
    return found


def _graph(path: Path) -> list[tuple[str, BaseGeometry]]:
    """Return the lines of a file of local roads by mode, each stretch once; nothing where it cannot be read."""
    import networkx as nx  # only who looks closely waits for it

    try:
        key = (path, path.stat().st_mtime_ns)
        with _LOCK:
            if key in _GRAPHS:
                _GRAPHS.move_to_end(key)
                return _GRAPHS[key]
        graph = nx.read_graphml(path)
    except (OSError, ValueError, KeyError, SyntaxError, nx.NetworkXError):
        return []
    by_mode: dict[str, dict[bytes, BaseGeometry]] = {}
    for u, v, told in graph.edges(data=True):
        if "geometry" in told:
            line = shapely.from_wkt(str(told["geometry"]), on_invalid="ignore")
        else:
            line = shapely.LineString([[float(graph.nodes[n][c]) for c in "xy"] for n in (u, v)])
        if line is not None and not line.is_empty:
            by_mode.setdefault(str(told.get("mode", "road")), {})[shapely.to_wkb(line.normalize())] = line
    made = [
        (mode, shapely.line_merge(shapely.multilinestrings(list(lines.values()))))
        for mode, lines in sorted(by_mode.items())
        if mode in MODES
    ]
    with _LOCK:
        _GRAPHS[key] = made
        while len(_GRAPHS) > MOST_GRAPHS:
            _GRAPHS.popitem(last=False)
    return made

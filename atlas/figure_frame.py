"""The frame of a print map: projection, where the map is cut, which part of the world it shows.

Everything is turned by the central meridian first and cut 180 degrees from it, so that no outline and no line runs
across the map from edge to edge; then it is projected about meridian 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import shapely
from shapely.affinity import translate
from shapely.geometry import LineString, Polygon, box
from shapely.geometry.base import BaseGeometry

from atlas import geo
from atlas.errors import BadInput, nearest

FloatArray = geo.FloatArray

# name -> (PROJ, words, central meridian or None where the box says)
PROJECTIONS: dict[str, tuple[str, str, float | None]] = {
    "equal-earth": ("+proj=eqearth +R=6371008.8", "Equal Earth projection", 11.0),
    "equal-earth-pacific": ("+proj=eqearth +R=6371008.8", "Equal Earth projection, centred on the Pacific", 153.0),
    "robinson": ("+proj=robin +R=6371008.8", "Robinson projection", 11.0),
    "azimuthal": ("+proj=laea +R=6371008.8 +lat_0={lat}", "Lambert azimuthal equal-area projection", None),
}
CHOICES = ("auto", *(p for p in PROJECTIONS if p != "azimuthal"))
SOUTH, NORTH = -57.0, 79.0  # of a world map: no Antarctica
STEP_DEG = 2.0  # straight lines in degrees are bent by the projection: points at least this often
LOCAL_SPAN_DEG = 110.0  # a box wider than this stays in a world projection
_FINE = 4  # decimals of degrees that stretches agree to; see render_arcs


@dataclass(frozen=True)
class Frame:
    """A projection about `lon_0` and a window in its metres (west, south, east, north).

    `name` is a key of PROJECTIONS; `degrees` the box (west, south, east, north; east may exceed 180) that it shows.
    """

    name: str
    lon_0: float
    degrees: tuple[float, float, float, float]
    window: tuple[float, float, float, float]
    lat_0: float = 0.0
    _project: Any = field(default=None, repr=False, compare=False)

    @property
    def is_world(self) -> bool:
        """Whether the whole globe (but Antarctica) is shown."""
        return self.degrees[2] - self.degrees[0] >= 360.0

    @property
    def words(self) -> str:
        """The projection in words."""
        return PROJECTIONS[self.name][1]

    @property
    def aspect(self) -> float:
        """Height of the window over its width."""
        west, south, east, north = self.window
        return (north - south) / (east - west)

    @cached_property
    def _clip(self) -> Polygon:
        """What can be projected, in degrees about the central meridian."""
        reach = 180.0 if self.name != "azimuthal" else 85.0
        south, north = (SOUTH, NORTH) if self.is_world else (-89.0, 89.0)
        if self.name == "azimuthal":
            south, north = max(self.lat_0 - 70.0, -89.0), min(self.lat_0 + 70.0, 89.0)
        return box(-reach, south, reach, north)

    def xy(self, coords: Any) -> FloatArray:
        """Return (n, 2) metres of (n, 2) degrees."""
        turned = np.array(coords, dtype=float).reshape(-1, 2)
        turned[:, 0] = (turned[:, 0] - self.lon_0 + 180.0) % 360.0 - 180.0
        return np.asarray(self._project(turned), dtype=float)

    def holds(self, coords: Any) -> Any:
        """Return whether points in degrees lie in the window, (n,) truth values."""
        at = self.xy(coords)
        west, south, east, north = self.window
        inside = (at[:, 0] > west) & (at[:, 0] < east) & (at[:, 1] > south) & (at[:, 1] < north)
        return inside & np.isfinite(at).all(axis=1)

    def turned(self, geometry: BaseGeometry) -> BaseGeometry:
        """Return a geometry in degrees about the central meridian, cut at the edge of the map and to what is shown."""
        cut = geo.split_antimeridian(translate(geometry, xoff=-self.lon_0))
        west, south, east, north = self._clip.bounds
        w, s, e, n = cut.bounds
        if s < south or n > north or w < west or e > east:
            cut = cut.intersection(self._clip)
        return cut

    def shapes(self, geometries: Sequence[BaseGeometry]) -> list[BaseGeometry]:
        """Return polygons or lines in metres, one for each given (empty where nothing of it is shown)."""
        return [shapely.transform(shapely.segmentize(g, STEP_DEG), self._project) if not g.is_empty else g
                for g in map(self.turned, geometries)]  # fmt: skip

    def lines(self, coords: FloatArray) -> list[FloatArray]:
        """Return the pieces of a line, (n, 2) degrees with continuous longitudes, in metres."""
        line = self.turned(LineString(np.round(coords, _FINE)))
        line = shapely.segmentize(line, STEP_DEG)
        return [np.round(self._project(np.round(shapely.get_coordinates(p), _FINE)), 0)
                for p in shapely.get_parts(line) if isinstance(p, LineString) and p.length > 0]  # fmt: skip

    def crosses(self, coords: FloatArray) -> bool:
        """Return whether a line is cut at the edge of the map."""
        x = np.asarray(coords)[:, 0] - self.lon_0
        turns = np.floor((x + 180.0) / 360.0)
        return bool(turns.min() != turns.max())


def world(name: str) -> Frame:
    """Return the frame of a world map by the name of its projection; raises BadInput."""
    if name not in CHOICES[1:]:
        near = nearest(name, CHOICES) or list(CHOICES)
        raise BadInput(f"unknown projection {name[:60]!r}; nearest: {', '.join(near)}")
    definition, _, lon_0 = PROJECTIONS[name]
    project = geo.projector(definition)
    edge = project([[180.0, 0.0], [0.0, SOUTH], [0.0, NORTH]])
    window = (-float(edge[0, 0]), float(edge[1, 1]), float(edge[0, 0]), float(edge[2, 1]))
    assert lon_0 is not None
    return Frame(name, lon_0, (lon_0 - 180.0, SOUTH, lon_0 + 180.0, NORTH), window, 0.0, project)


def local(degrees: Sequence[float], aspect: float, margin: float = 0.04) -> Frame:
    """Return the frame of a box (west, south, east, north; east may be less than west), widened to an aspect.

    `aspect` is height over width of the paper. Small boxes are drawn in an azimuthal equal-area projection about
    their middle, wide ones in Equal Earth.
    """
    west, south, east, north = map(float, degrees)
    east += 360.0 if east <= west else 0.0
    south, north = max(south, -85.0), min(north, 85.0)
    lon_0, lat_0 = (west + east) / 2.0, round((south + north) / 2.0, 2)
    name = "azimuthal" if east - west <= LOCAL_SPAN_DEG else "equal-earth"
    project = geo.projector(PROJECTIONS[name][0].format(lat=lat_0))
    edge = shapely.segmentize(box(west - lon_0, south, east - lon_0, north), 0.5)
    at = project(shapely.get_coordinates(edge))
    (left, low), (right, high) = at.min(axis=0).tolist(), at.max(axis=0).tolist()
    wide, tall = (right - left) * (1 + margin), (high - low) * (1 + margin)
    wide, tall = max(wide, tall / aspect), max(tall, wide * aspect)
    x, y = (left + right) / 2.0, (low + high) / 2.0
    window = (x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2)
    return Frame(name, lon_0, (west, south, east, north), window, lat_0, project)


def best_world(lines: Sequence[FloatArray], tonnes: Sequence[float]) -> Frame:
    """Return the Equal Earth map that cuts the fewest tonnes: centred near Europe or on the Pacific."""
    frames = [world("equal-earth"), world("equal-earth-pacific")]
    cut = [sum(t for xy, t in zip(lines, tonnes, strict=True) if f.crosses(xy)) for f in frames]
    return frames[int(cut[1] < cut[0])]

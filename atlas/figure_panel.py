"""One map of a print figure: ground, flows, places and names, with an inset of East Asia where the world is shown."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle

from atlas import figure_frame, figure_labels, figure_land, figure_lines, figure_names
from atlas import figure_places as places
from atlas.figure_flows import Bundles, Strands
from atlas.figure_frame import Frame
from atlas.figure_ink import INK, Ink
from atlas.figure_labels import Placed, Room, Ruler
from atlas.figure_legend import overlay
from atlas.render_data import halted_things

Rect = tuple[float, float, float, float]  # left, low, width, height in points of the page
TALL = 1.25  # height of the inset over its width, at most
INSET_DEG = (103.0, 20.0, 144.0, 45.0)  # East Asia: the plants of China, Korea and Japan
LARGE_PT = 3.2  # radius from which a symbol must not be written over
FAR_SHARE = 0.4  # of the map's width
CAPTION, CAPTION_PT = "East Asia", 6.8
FRAME_BUSY = 3.0  # how much names keep off the frame of the inset


@dataclass(frozen=True)
class Scene:
    """What every panel of a figure shares."""

    outcome: Any
    flows: Bundles
    look: Ink
    ruler: Ruler
    commodities: tuple[str, ...]
    colour: str = "commodity"
    _pieces: dict[Any, list[Any]] = field(default_factory=dict, repr=False, compare=False)

    def pieces(self, frame: Frame, arc: int, line: Any) -> list[Any]:
        """Return the pieces of an arc in metres of a frame; panels of one frame share them."""
        key = (frame.name, frame.lon_0, frame.lat_0, frame.degrees, arc)
        if key not in self._pieces:
            self._pieces[key] = frame.lines(line)
        return self._pieces[key]


def draw(figure: Figure, scene: Scene, frame: Frame, view: str, rect: Rect, inset: Rect | None) -> tuple[str, ...]:
    """Draw one map at `rect` and, where given, East Asia at `inset`; return which kinds of flows it shows.

    A small map of the world, which has no inset, names no plant of East Asia: there is no room.
    """
    strands = scene.flows.strands(view, scene.colour)
    axes = _axes(figure, rect, 1)
    if inset is None:
        crowded = figure_frame.local(INSET_DEG, 0.8, 0.0) if frame.is_world else None
        _map(axes, scene, frame, strands, view, rect, crowded=crowded)
        return strands.keys
    inner = figure_frame.local(INSET_DEG, inset[3] / inset[2], 0.0)
    outline = _outline(frame, inner)
    _map(axes, scene, frame, strands, view, rect, inner, inset, outline)
    small = _axes(figure, inset, 3)
    _map(small, scene, inner, strands, view, inset)
    small.add_patch(Rectangle((0, 0), 1, 1, transform=small.transAxes, facecolor="none", edgecolor=INK,
                              linewidth=scene.look.pt(1.2), zorder=9, clip_on=False))  # fmt: skip
    axes.plot(outline[:, 0], outline[:, 1], color=INK, linewidth=scene.look.pt(0.9), zorder=4.2)
    _connect(figure, frame, outline, rect, inset, scene.look)
    size = scene.look.pt(CAPTION_PT)
    small.text(0.0, 1.0, f" {CAPTION} ", transform=small.transAxes, fontsize=size, fontweight="bold", color="white",
               va="top", bbox={"facecolor": INK, "edgecolor": "none", "pad": 0.3 * size}, zorder=9)  # fmt: skip
    return strands.keys


def corner(frame: Frame, rect: Rect, low: float) -> Rect:
    """Return where the inset stands, not below `low`: over the empty south of the Pacific."""
    scale = rect[2] / (frame.window[2] - frame.window[0])

    def x(lon: float) -> float:
        return rect[0] + (float(frame.xy([[lon, -30.0]])[0, 0]) - frame.window[0]) * scale

    def y(lat: float) -> float:
        return rect[1] + (float(frame.xy([[frame.lon_0, lat]])[0, 1]) - frame.window[1]) * scale

    if frame.lon_0 > 90.0:
        wide = x(284.0) - x(180.0)
        tall = min(y(-22.0) - low, TALL * wide)
        return x(180.0), y(-22.0) - tall, wide, tall
    left = rect[0] + 2.0
    wide = max(x(-76.0) - left, 0.24 * rect[2])
    tall = min(y(-8.0) - low, TALL * wide)
    return left, y(-8.0) - tall, wide, tall


def _axes(figure: Figure, rect: Rect, zorder: float) -> Axes:
    wide, tall = (72.0 * v for v in figure.get_size_inches())
    left, low, w, h = rect
    axes: Axes = figure.add_axes((left / wide, low / tall, w / wide, h / tall), zorder=zorder)
    axes.set_facecolor("white")
    return axes


def _outline(frame: Frame, inner: Frame) -> Any:
    """Return the box of the inset's degrees in metres of the main map, closed, from its south-west corner eastwards."""
    w, s, e, n = inner.degrees
    corners = [(w, s), (e, s), (e, n), (w, n), (w, s)]
    sides = [np.linspace(a, b, 20) for a, b in zip(corners[:-1], corners[1:], strict=True)]
    return frame.xy(np.concatenate(sides))


def _connect(figure: Figure, frame: Frame, outline: Any, rect: Rect, inset: Rect, look: Ink) -> None:
    """Join the frame in the main map with the inset: right corners to the corners of the inset's upper edge."""
    at = (outline - np.array(frame.window[:2])) * rect[2] / (frame.window[2] - frame.window[0]) + np.array(rect[:2])
    page = overlay(figure, zorder=2)
    top = inset[1] + inset[3]
    ends = ((inset[0], top), (inset[0] + inset[2], top))
    starts = (at[20], at[40])
    if abs(inset[0] - at[20][0]) > FAR_SHARE * rect[2]:
        return  # too far off for lines across the map: the captions join them
    for start, end in zip(starts, ends, strict=True):
        page.plot([start[0], end[0]], [start[1], end[1]], color=INK, linewidth=look.pt(0.5), alpha=0.75)


def _map(
    axes: Axes, scene: Scene, frame: Frame, strands: Strands, view: str, rect: Rect, hidden: Frame | None = None,
    covered: Rect | None = None, outline: Any = None, crowded: Frame | None = None,
) -> list[Placed]:  # fmt: skip
    """Draw everything on axes; nothing is named that the inset shows (`hidden`) or covers, no plant in `crowded`."""
    outcome, look, size = scene.outcome, scene.look, (rect[2], rect[3])
    stopped = halted_things(outcome)["country"] if view != "before" else []  # nothing is halted yet
    figure_land.draw(axes, outcome.layers, frame, look, outcome.bloc_countries, stopped)
    drawn = figure_lines.draw(axes, frame, strands, look, size, view, scene.pieces)
    corner_m, scale = np.array(frame.window[:2]), size[0] / (frame.window[2] - frame.window[0])

    def where(at: Any) -> tuple[float, float]:
        x, y = (frame.xy([at])[0] - corner_m) * scale
        return float(x), float(y)

    table = places.facilities(outcome, view, scene.commodities)
    spots = places.draw_facilities(axes, frame, table, view, look)
    through = places.passages(outcome, scene.flows)
    gates = places.draw_passages(axes, frame, through[~through["closed"] | (view == "before")], look)
    stops = places.draw_halted(axes, frame, places.halted_points(outcome, through) if view != "before" else [], look)
    buyers = places.draw_buyers(axes, frame, outcome, view, look)
    room = Room(size, look.scale)
    if covered is not None:
        left, low = covered[0] - rect[0], covered[1] - rect[1]
        room.keep_off((left, low, left + covered[2], low + covered[3]))
    if frame.degrees == INSET_DEG:
        wide, tall = scene.ruler.size(CAPTION, FontProperties(size=look.pt(CAPTION_PT), weight="bold"))
        room.keep_off((0.0, size[1] - 2.2 * tall, 1.4 * wide, size[1]))
    if outline is not None:
        room.busy((outline - corner_m) * scale, np.full(len(outline), FRAME_BUSY))
    room.busy(drawn.points, 0.25 + 0.22 * np.minimum(drawn.widths, 5.0))
    for spot in [*spots, *stops, *buyers, *gates]:
        x, y = where(spot.at)
        room.busy(np.array([[x, y]]), np.array([1.5]))
        if spot.radius > look.pt(LARGE_PT) or spot not in spots:
            r = spot.radius * (0.7 if spot in spots else 1.2)
            room.keep_off((x - r, y - r, x + r, y + r))
    shown = [s for s in [*spots, *gates, *stops, *buyers] if hidden is None or not bool(hidden.holds([s.at])[0])]
    names = figure_names.halted(outcome, [s for s in shown if s in stops], where, view, look, through)
    names += figure_names.buyers(outcome, [s for s in shown if s in buyers], where, view, look)
    names += figure_names.countries(outcome, frame, hidden, where, view, look, stopped)
    local = not frame.is_world and frame.degrees != INSET_DEG
    plants = [s for s in shown if s in spots and (crowded is None or not bool(crowded.holds([s.at])[0]))]
    names += figure_names.facilities(table, plants, where, view, look, local)
    names += figure_names.passages(through, [s for s in shown if s in gates], where, view, look)
    stopped_ids = {s.id for s in stops}
    names = [n for n in names if n.weight >= figure_names.FIRST or n.key not in stopped_ids]
    placed = figure_labels.place(names, room, scene.ruler)
    figure_labels.draw(axes, placed, size, look.scale)
    return placed

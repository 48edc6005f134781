"""A map of an outcome for print: world or part of it, before, after, what changes, or all three beside each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle

from atlas import figure_fonts, figure_frame, figure_labels, figure_land, figure_legend, figure_lines, figure_names
from atlas import figure_places as places
from atlas.errors import BadInput, nearest
from atlas.figure_flows import Bundles, Strands, bundles
from atlas.figure_frame import CHOICES, Frame
from atlas.figure_ink import INK, SOFT, Ink, radius_pt
from atlas.figure_labels import Room, Ruler
from atlas.figure_legend import Signs, overlay, write
from atlas.figure_words import (
    VIEW_WORDS,
    footer,
    has_change,
    headline,
    key_figures,
    scale_words,
    shortened,
    standfirst,
    wrapped,
)
from atlas.render import focus_box
from atlas.render_data import halted_things
from atlas.render_style import COMMODITIES

VIEWS = ("before", "after", "change", "all")
LANDSCAPE_IN, PORTRAIT_IN = (11.69, 8.27), (8.27, 11.69)  # A4
SIZE_LEAST_IN, SIZE_MOST_IN = 5.0, 40.0
MARGIN_PT = 26.0
INSET_DEG = (98.0, 19.5, 146.0, 46.5)  # East Asia: China's plants, Korea, Japan
INSET_SCALE = 1.0


@dataclass(frozen=True)
class Scene:
    """What every panel of a figure shares."""

    outcome: Any
    flows: Bundles
    look: Ink
    ruler: Ruler
    commodities: tuple[str, ...]
    fine: float


def draw(
    outcome: Any,
    *,
    view: str = "change",
    title: str | None = None,
    focus: str | Sequence[float] | None = None,
    projection: str = "auto",
    grey: bool = False,
    size_in: tuple[float, float] | None = None,
    commodity: str | Sequence[str] | None = None,
) -> Figure:
    """Return a print map of `outcome` as a matplotlib figure; `figure_save` writes it.

    `view` is before, after, change, or all (three panels with one legend and one scale of widths); an outcome without
    a change has only before. `focus` is a box (west, south, east, north in degrees; east may be less than west), its
    text with commas, a bloc or a country. `projection` is one of figure_frame.CHOICES; auto cuts the fewest tonnes.
    `size_in` is (width, height) in inches, A4 if left out. `commodity` (one or several) leaves out the others. Raises
    BadInput with all problems: unknown words, a size out of range, names with characters that no shipped font has.
    """
    chosen = (commodity,) if isinstance(commodity, str) else tuple(commodity or ())
    check(view, projection, chosen, size_in)
    box = focus_box(focus, outcome) if focus else None
    if not has_change(outcome):
        view = "before"
    with figure_fonts.use():
        scene = Scene(outcome, bundles(outcome, chosen), Ink(grey), Ruler(), chosen, 1.0)
        size = size_in or (PORTRAIT_IN if view == "all" else LANDSCAPE_IN)
        figure = Figure(figsize=size, dpi=100, facecolor="white")
        head = title or headline(outcome)
        problems = figure_names.unprintable(outcome, head)
        if problems:
            raise BadInput(problems)
        figure.set_label(head)
        _page(figure, scene, view, head, box, projection)
    return figure


def check(view: str, projection: str, commodity: Sequence[str], size_in: tuple[float, float] | None) -> None:
    """Check what a map is to look like before anything is solved for it; raises BadInput with all problems."""
    problems = []
    for what, value, known in (
        ("view", view, VIEWS), ("projection", projection, CHOICES),
        *(("commodity", c, COMMODITIES) for c in commodity),
    ):  # fmt: skip
        if value not in known:
            near = nearest(value, known) or list(known)
            problems.append(f"unknown {what} {value[:60]!r}; nearest: {', '.join(near)}")
    if size_in is not None and not all(SIZE_LEAST_IN <= v <= SIZE_MOST_IN for v in size_in):
        problems.append(f"size {size_in[0]:g} x {size_in[1]:g}: expected {SIZE_LEAST_IN:g} to {SIZE_MOST_IN:g} inches")
    if problems:
        raise BadInput(problems)


def _page(figure: Figure, scene: Scene, view: str, head: str, box: list[float] | None, projection: str) -> None:
    """Lay out the page: title, maps, inset, legend, key figures, sources."""
    wide, tall = (72.0 * v for v in figure.get_size_inches())
    page = overlay(figure, (wide, tall))
    inner = wide - 2 * MARGIN_PT
    top = _heading(page, scene, head, wide, tall)
    views = ("before", "after", "change") if view == "all" else (view,)
    legend_tall = 118.0
    foot = 34.0
    space = top - foot - legend_tall
    gap = 14.0
    panel_tall = (space - gap * (len(views) - 1)) / len(views)
    if box is not None:
        frame = figure_frame.local(box, panel_tall / inner)
    elif projection == "auto":
        frame = figure_frame.best_world(scene.flows.lines, list(scene.flows.arc_tonnes))
    else:
        frame = figure_frame.world(projection)
    map_wide = min(inner, panel_tall / frame.aspect) if frame.is_world else inner
    map_tall = map_wide * frame.aspect
    used: dict[str, None] = {}
    y = top
    for name in views:
        left = MARGIN_PT + (inner - map_wide) / 2
        y -= map_tall
        strands = scene.flows.strands(name)
        used |= dict.fromkeys(strands.keys)
        rect = (left, y, map_wide, map_tall)
        _panel(figure, scene, frame, strands, name, rect, inset=frame.is_world and len(views) == 1, foot=foot)
        if len(views) > 1:
            write(page, MARGIN_PT, y + map_tall - 9, VIEW_WORDS[name], 9.0, bold=True)
            y -= gap
    words = scale_words(frame, map_wide)
    signs = _signs(scene)
    stages = sorted(set(places.facilities(scene.outcome, "change", scene.commodities)["stage"]))
    legend_high = min(y - 12.0, foot + legend_tall - 8)
    right = MARGIN_PT + inner * 0.52 if len(views) == 1 and frame.is_world else MARGIN_PT + inner * 0.72
    figure_legend.draw(page, (MARGIN_PT, foot, right, legend_high), list(used), stages, views[-1], signs, scene.look)
    _figures(page, scene, wide - MARGIN_PT - 118, legend_high, 118)
    _footer(page, scene, footer(scene.outcome, words, scene.flows.share_drawn), wide)


def _heading(page: Axes, scene: Scene, head: str, wide: float, tall: float) -> float:
    """Write title and sentence; return the height where the maps may begin."""
    inner, y = wide - 2 * MARGIN_PT, tall - MARGIN_PT - 8.0
    bold, text = FontProperties(size=14.5, weight="bold"), FontProperties(size=8.2)
    for line in wrapped(head, inner, lambda t: scene.ruler.size(t, bold)[0])[:2]:
        write(page, MARGIN_PT, y, line, 14.5, bold=True)
        y -= 17.0
    for line in wrapped(standfirst(scene.outcome), min(inner, 640.0), lambda t: scene.ruler.size(t, text)[0])[:4]:
        write(page, MARGIN_PT, y + 2, line, 8.2, colour=SOFT)
        y -= 10.8
    return y + 4


def _footer(page: Axes, scene: Scene, lines: Sequence[str], wide: float) -> None:
    properties = FontProperties(size=5.3)
    rows = [
        r for line in lines for r in wrapped(line, wide - 2 * MARGIN_PT, lambda t: scene.ruler.size(t, properties)[0])
    ]
    page.plot([MARGIN_PT, wide - MARGIN_PT], [13 + 6.6 * len(rows)] * 2, color=SOFT, linewidth=0.4)
    for k, row in enumerate(rows):
        write(page, MARGIN_PT, 13 + 6.6 * (len(rows) - 1 - k), row, 5.3, colour=SOFT)


def _figures(page: Axes, scene: Scene, x: float, y: float, wide: float) -> None:
    """Write the key figures in a column."""
    small = FontProperties(size=5.6)
    for what, value, beside in key_figures(scene.outcome)[:4]:
        write(page, x, y, what, 6.2, colour=SOFT)
        write(page, x, y - 11.5, value, 11.0, bold=True)
        write(
            page, x, y - 18.5, shortened(beside, wide + 10, lambda t: scene.ruler.size(t, small)[0]), 5.6, colour=SOFT
        )
        y -= 28.5


def _signs(scene: Scene) -> Signs:
    things = halted_things(scene.outcome)
    return Signs(
        bloc=scene.outcome.bloc, halted_country=bool(things["country"]),
        halted_point=any(things[k] for k in ("facility", "port", "passage", "border")), passages=True,
        buyers=bool(scene.outcome.summary["scenario"].get("buyers")),
    )  # fmt: skip


def _axes(figure: Figure, rect: tuple[float, float, float, float], zorder: float) -> Axes:
    wide, tall = (72.0 * v for v in figure.get_size_inches())
    left, low, w, h = rect
    axes: Axes = figure.add_axes((left / wide, low / tall, w / wide, h / tall), zorder=zorder)
    axes.set_facecolor("white")
    return axes


def _panel(
    figure: Figure, scene: Scene, frame: Frame, strands: Strands, view: str, rect: tuple[float, float, float, float],
    inset: bool, foot: float,
) -> None:  # fmt: skip
    """Draw one map, and its inset."""
    axes = _axes(figure, rect, 1)
    inner: Frame | None = None
    corner = (0.0, 0.0, 0.0, 0.0)
    if inset:
        corner = _corner(frame, rect, foot)
        inner = figure_frame.local(INSET_DEG, corner[3] / corner[2], 0.0)
    _map(axes, scene, frame, strands, view, rect, hidden=inner, covered=corner if inset else None)
    if inner is not None:
        small = _axes(figure, corner, 3)
        _map(small, scene, inner, strands, view, corner, hidden=None, covered=None)
        small.add_patch(Rectangle((0, 0), 1, 1, transform=small.transAxes, facecolor="none", edgecolor=INK,
                                  linewidth=1.2, zorder=9, clip_on=False))  # fmt: skip
        _connect(figure, axes, frame, inner, rect, corner)


def _corner(frame: Frame, rect: tuple[float, float, float, float], foot: float) -> tuple[float, float, float, float]:
    """Return where the inset stands (left, low, width, height in points): over the empty south of the Pacific."""
    left, low, wide, _ = rect
    scale = wide / (frame.window[2] - frame.window[0])

    def x(lon: float) -> float:
        return left + (float(frame.xy([[lon, -30.0]])[0, 0]) - frame.window[0]) * scale

    def y(lat: float) -> float:
        return low + (float(frame.xy([[frame.lon_0, lat]])[0, 1]) - frame.window[1]) * scale

    if frame.name == "equal-earth-pacific":
        return x(182.0), foot + 2, x(283.0) - x(182.0), y(-11.0) - foot - 2
    return left + 2, foot + 100, 200.0, 160.0


def _connect(
    figure: Figure, axes: Axes, frame: Frame, inner: Frame, rect: tuple[float, ...], corner: tuple[float, ...]
) -> None:
    """Frame in the main map what the inset shows, and join both."""
    left, low, wide, tall = rect
    window = inner.window
    edge = np.array([[window[0], window[1]], [window[2], window[3]]])
    w, s, e, n = inner.degrees
    outline = frame.xy(np.array([(x, y) for x, y in zip(
        [*np.linspace(w, e, 20), *[e] * 20, *np.linspace(e, w, 20), *[w] * 20],
        [*[s] * 20, *np.linspace(s, n, 20), *[n] * 20, *np.linspace(n, s, 20)], strict=True)]))  # fmt: skip
    axes.plot(outline[:, 0], outline[:, 1], color=INK, linewidth=0.8, zorder=4.2)
    del edge
    at = (outline - np.array(frame.window[:2])) * wide / (frame.window[2] - frame.window[0]) + np.array([left, low])
    page_wide, page_tall = (72.0 * v for v in figure.get_size_inches())
    lines = overlay(figure, (page_wide, page_tall))
    lines.set_zorder(2)
    for start, end in ((at[0], (corner[0], corner[1])), (at[40], (corner[0] + corner[2], corner[1] + corner[3]))):
        lines.plot([start[0], end[0]], [start[1], end[1]], color=INK, linewidth=0.45, alpha=0.7)


def _map(
    axes: Axes, scene: Scene, frame: Frame, strands: Strands, view: str, rect: tuple[float, float, float, float],
    hidden: Frame | None, covered: tuple[float, float, float, float] | None,
) -> None:  # fmt: skip
    """Draw ground, flows, places and names on axes; no plant is named in what the inset shows or covers."""
    outcome, look = scene.outcome, scene.look
    size = (rect[2], rect[3])
    things = halted_things(outcome)
    stopped = things["country"]
    figure_land.draw(axes, outcome.layers, frame, look, outcome.bloc_countries, stopped)
    drawn = figure_lines.draw(axes, frame, strands, look, size, view)
    west, south, east, north = frame.window
    scale = np.array([size[0] / (east - west), size[1] / (north - south)])

    def where(at: Any) -> tuple[float, float]:
        x, y = (frame.xy([at])[0] - np.array([west, south])) * scale
        return float(x), float(y)

    table = places.facilities(outcome, view, scene.commodities)
    spots = places.draw_facilities(axes, frame, table, view, look, 0.72 if frame.is_world else 0.9)
    through = places.passages(outcome)
    gates = places.draw_passages(axes, frame, through[~through["closed"]])
    stops = places.draw_halted(axes, frame, places.halted_points(outcome), look)
    buyers = places.draw_buyers(axes, frame, outcome, view, look)
    room = Room(size)
    if covered is not None:
        room.keep_off((covered[0] - rect[0], covered[1] - rect[1], covered[0] - rect[0] + covered[2],
                       covered[1] - rect[1] + covered[3]))  # fmt: skip
    room.busy(drawn.points, 0.25 + 0.22 * np.minimum(drawn.widths, 5.0))
    for spot in spots:
        x, y = where(spot.at)
        if spot.radius > 3.2:
            room.keep_off((x - 0.7 * spot.radius, y - 0.7 * spot.radius, x + 0.7 * spot.radius, y + 0.7 * spot.radius))
        room.busy(np.array([[x, y]]), np.array([1.5]))
    for spot in [*stops, *buyers, *gates]:
        x, y = where(spot.at)
        r = 0.9 * spot.radius
        room.keep_off((x - r, y - r, x + r, y + r))
    outside = [s for s in [*spots, *gates, *stops] if hidden is None or not bool(hidden.holds([s.at])[0])]
    names = figure_names.halted(outcome, [s for s in stops if s in outside], where, view, look, through)
    names += figure_names.countries(
        outcome, frame, where, view, look, stopped, figures=hidden is not None or not _is_inset(frame)
    )
    names += figure_names.facilities(
        table, [s for s in outside if s.kind == "facility" and s not in stops], where, view
    )
    names += figure_names.passages(through, [s for s in outside if s.kind == "passage"], where, view)
    halted_ids = {s.id for s in stops}
    names = [n for n in names if n.weight >= 100.0 or n.key not in halted_ids]
    figure_labels.draw(axes, figure_labels.place(names, room, scene.ruler), size)


def _is_inset(frame: Frame) -> bool:
    return frame.degrees == INSET_DEG


__all__ = ["VIEWS", "draw", "radius_pt"]

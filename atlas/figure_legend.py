"""The legend of a print map: lines, widths, symbols and signs in columns, on an overlay whose unit is the point."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Circle, Rectangle
from matplotlib.patches import PathPatch as Patch
from matplotlib.path import Path
from matplotlib.transforms import Affine2D

from atlas import figure_ink as ink
from atlas.figure_ink import INK, SOFT, WHITE, Ink, label, radius_pt, width_pt
from atlas.figure_places import marker
from atlas.render_style import STAGE_LABELS, STAGES

HEAD_PT, TEXT_PT, ROW_PT = 6.6, 6.2, 9.6
SAMPLE_PT = 24.0
WIDTHS_T = (1_000, 10_000, 100_000)


@dataclass(frozen=True)
class Signs:
    """What a map shows beside flows and facilities, for its legend."""

    bloc: str = ""
    halted_country: bool = False
    halted_point: bool = False
    passages: bool = False
    buyers: bool = False


def overlay(figure: object, size_pt: tuple[float, float]) -> Axes:
    """Return axes over the whole figure whose unit is the point, origin at the lower left."""
    axes: Axes = figure.add_axes((0.0, 0.0, 1.0, 1.0), zorder=10)  # type: ignore[attr-defined]
    axes.set(xlim=(0, size_pt[0]), ylim=(0, size_pt[1]))
    axes.axis("off")
    axes.patch.set_alpha(0.0)
    return axes


def write(
    axes: Axes, x: float, y: float, text: str, size: float, bold: bool = False, colour: str = INK, **more: Any
) -> None:
    """Write a text with its baseline at a point."""
    properties = FontProperties(size=size, weight="bold" if bold else "normal")
    axes.text(x, y, text, fontproperties=properties, color=colour, va="baseline", zorder=11, **more)


def draw(
    axes: Axes, box: tuple[float, float, float, float], keys: Sequence[str], stages: Sequence[str], view: str,
    signs: Signs, look: Ink, columns: int = 3,
) -> None:  # fmt: skip
    """Draw the legend in a box (left, low, right, high) of points."""
    left, _, right, high = box
    step = (right - left) / columns
    _flows(axes, left, high, keys, view, look)
    _widths(axes, left + step, high, view, look)
    x, y = (left + 2 * step, high) if columns >= 3 else (left, high - (len(keys) + 2.2) * ROW_PT)
    low = _stages(axes, x, y, stages, view, look)
    _signs(axes, left + step, high - 5.4 * ROW_PT, signs, look) if columns >= 3 else _signs(axes, x, low, signs, look)


def _line(axes: Axes, x: float, y: float, key: str, width: float, look: Ink) -> None:
    dash = look.dash(key)
    axes.plot([x, x + SAMPLE_PT], [y, y], color=look.colour(key), linewidth=width, zorder=11,
              linestyle=(0, dash) if dash else "-", solid_capstyle="butt", dash_capstyle="butt")  # fmt: skip


def _flows(axes: Axes, x: float, y: float, keys: Sequence[str], view: str, look: Ink) -> None:
    write(axes, x, y, "What became of the flows" if view == "change" else "Flows by commodity", HEAD_PT, bold=True)
    for key in keys:
        y -= ROW_PT
        _line(axes, x, y + 2.1, key, 1.0 if key == "kept" else 2.6, look)
        write(axes, x + SAMPLE_PT + 5, y, label(key), TEXT_PT)


def _widths(axes: Axes, x: float, y: float, view: str, look: Ink) -> None:
    write(axes, x, y, "Tonnes a year", HEAD_PT, bold=True)
    for tonnes in WIDTHS_T:
        y -= ROW_PT + (1.5 if tonnes == WIDTHS_T[-1] else 0)
        axes.plot([x, x + SAMPLE_PT], [y + 2.1] * 2, color=SOFT, linewidth=width_pt(tonnes), zorder=11,
                  solid_capstyle="butt")  # fmt: skip
        axes.add_patch(Circle((x + SAMPLE_PT + 13, y + 2.1), radius_pt(tonnes) * 0.72, facecolor="none", edgecolor=INK,
                              linewidth=0.6, zorder=11))  # fmt: skip
        write(axes, x + SAMPLE_PT + 24, y, f"{tonnes:,}", TEXT_PT)


def _stages(axes: Axes, x: float, y: float, stages: Sequence[str], view: str, look: Ink) -> float:
    write(axes, x, y, "Facilities" if view != "change" else "Facilities (colour: change of output)", HEAD_PT, bold=True)
    for stage in [s for s in STAGES if s in stages]:
        y -= ROW_PT
        face = look.colour("kept" if view == "change" else stage)
        symbol(axes, x + 6, y + 2.2, marker(stage), 3.1, facecolor=face, edgecolor=INK, linewidth=0.4)
        write(axes, x + 16, y, STAGE_LABELS[stage], TEXT_PT)
    return y - 1.4 * ROW_PT


def symbol(axes: Axes, x: float, y: float, shape: Path, radius: float, **looks: object) -> None:
    """Draw a symbol of so many points at a point of the overlay."""
    path = shape.transformed(Affine2D().scale(radius).translate(x, y))
    axes.add_patch(Patch(path, zorder=11, **looks))


def _signs(axes: Axes, x: float, y: float, signs: Signs, look: Ink) -> None:
    if signs.bloc:
        axes.add_patch(Rectangle((x, y), SAMPLE_PT, 6, facecolor=look.ground(ink.ALLY), zorder=11,
                                 edgecolor=look.ground(ink.BORDER), linewidth=0.5))  # fmt: skip
        write(axes, x + SAMPLE_PT + 5, y, f"Bloc: {signs.bloc}", TEXT_PT)
        y -= ROW_PT
    if signs.halted_country:
        axes.add_patch(Rectangle((x, y), SAMPLE_PT, 6, facecolor=look.ground(ink.HALTED), hatch="/////", zorder=11,
                                 edgecolor=look.stop, linewidth=0.5))  # fmt: skip
        write(axes, x + SAMPLE_PT + 5, y, "Halted country", TEXT_PT)
        y -= ROW_PT
    if signs.halted_point:
        axes.add_patch(Circle((x + 12, y + 2.3), 3.4, facecolor=WHITE, edgecolor=look.stop, linewidth=1.2, zorder=11))
        for ends in ([-2, 2], [2, -2]):
            axes.plot(x + 12 + np.array([-2, 2]), y + 2.3 + np.array(ends), color=look.stop, linewidth=1.2, zorder=11.1)
        write(axes, x + SAMPLE_PT + 5, y, "Halted or closed", TEXT_PT)
        y -= ROW_PT
    if signs.passages:
        for sign in (-1, 1):
            axes.plot(x + 12 + sign * np.array([3.0, 1.1, 1.1, 3.0]), y + 2.3 + np.array([3.0, 1.1, -1.1, -3.0]),
                      color=INK, linewidth=0.95, zorder=11)  # fmt: skip
        write(axes, x + SAMPLE_PT + 5, y, "Strait or canal, tonnes through it", TEXT_PT)
        y -= ROW_PT
    if signs.buyers:
        write(axes, x + 8, y, "★", TEXT_PT + 2)
        write(axes, x + SAMPLE_PT + 5, y, "Your buyers: filled where met", TEXT_PT)

"""The legend of a print map in blocks: flows, widths, facilities, signs; on an overlay whose unit is the point."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Circle, PathPatch, Rectangle
from matplotlib.path import Path
from matplotlib.transforms import Affine2D

from atlas import figure_ink as ink
from atlas.figure_ink import INK, SOFT, WHITE, Ink, label
from atlas.figure_places import FACILITY_SCALE, marker
from atlas.render_data import halted_things
from atlas.render_style import STAGE_LABELS, STAGES, polygon

HEAD_PT, TEXT_PT, ROW_PT = 7.0, 6.6, 10.4
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


def signs_of(outcome: Any, after: bool) -> Signs:
    """Return what a map shows beside flows and facilities; before a halt (not `after`) nothing is halted."""
    things = halted_things(outcome) if after else {}
    return Signs(
        bloc=outcome.bloc, halted_country=bool(things.get("country")),
        halted_point=any(things.get(k) for k in ("facility", "port", "passage", "border")), passages=True,
        buyers=bool(outcome.summary["scenario"].get("buyers")),
    )  # fmt: skip


def overlay(figure: Figure, zorder: float = 10.0) -> Axes:
    """Return axes over the whole figure whose unit is the point, origin at the lower left."""
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0), zorder=zorder)
    wide, tall = (72.0 * v for v in figure.get_size_inches())
    axes.set(xlim=(0, wide), ylim=(0, tall))
    axes.axis("off")
    axes.patch.set_alpha(0.0)
    return axes


def write(
    axes: Axes, x: float, y: float, text: str, size: float, bold: bool = False, colour: str = INK, **more: Any
) -> None:
    """Write a text with its baseline at a point."""
    properties = FontProperties(size=size, weight="bold" if bold else "normal")
    axes.text(x, y, text, fontproperties=properties, color=colour, va="baseline", zorder=11, **more)


class Legend:
    """Draws the blocks of a legend; each method takes the upper left corner and returns how far down it came."""

    def __init__(self, axes: Axes, look: Ink) -> None:
        self.axes, self.look = axes, look
        self.row, self.sample = look.pt(ROW_PT), look.pt(SAMPLE_PT)

    def flows(self, x: float, y: float, title: str, keys: Sequence[str]) -> float:
        """Draw a line for each commodity or kind of change."""
        self._head(x, y, title)
        for key in keys:
            y -= self.row
            dash = self.look.dash(key)
            self.axes.plot(
                [x, x + self.sample], [y + 0.2 * self.row] * 2, color=self.look.colour(key), zorder=11,
                linewidth=self.look.pt(1.0 if key == "kept" else 2.6), linestyle=(0, dash) if dash else "-",
                solid_capstyle="butt", dash_capstyle="butt",
            )  # fmt: skip
            self._say(x + self.sample * 1.2, y, label(key))
        return y

    def widths(self, x: float, y: float) -> float:
        """Draw what widths of flows and sizes of symbols mean."""
        self._head(x, y, "Tonnes a year")
        for tonnes in WIDTHS_T:
            radius = self.look.radius(tonnes) * FACILITY_SCALE
            y -= max(self.row, 0.75 * (self.look.width(tonnes) + self.look.pt(5)))
            middle = y + 0.2 * self.row
            self.axes.plot([x, x + self.sample], [middle] * 2, color=SOFT, linewidth=self.look.width(tonnes), zorder=11,
                           solid_capstyle="butt")  # fmt: skip
            self.axes.add_patch(Circle((x + 1.6 * self.sample, middle), radius, facecolor="none", edgecolor=INK,
                                       linewidth=0.6, zorder=11))  # fmt: skip
            self._say(x + 2.05 * self.sample, y, f"{tonnes:,}")
        return y

    def stages(self, x: float, y: float, title: str, stages: Sequence[str], plain: bool) -> float:
        """Draw the symbol of each stage; `plain` where colour says something else."""
        self._head(x, y, title)
        for stage in [s for s in STAGES if s in stages]:
            y -= self.row
            face = self.look.colour("kept" if plain else stage)
            at = (x + 0.25 * self.sample, y + 0.2 * self.row)
            self._symbol(*at, marker(stage), 3.1, facecolor=face, edgecolor=INK, linewidth=0.4)
            self._say(x + 0.7 * self.sample, y, STAGE_LABELS[stage])
        return y

    def signs(self, x: float, y: float, signs: Signs) -> float:
        """Draw what else stands on the map."""
        look, axes = self.look, self.axes
        self._head(x, y, "Signs")
        for tint, edge, hatch, text in (
            (ink.ALLY, look.ground(ink.BORDER), "", f"Bloc: {signs.bloc}" if signs.bloc else ""),
            (ink.HALTED, look.stop, "/////", "Halted country" if signs.halted_country else ""),
        ):
            if text:
                y -= self.row
                axes.add_patch(Rectangle((x, y), self.sample, look.pt(6), facecolor=look.ground(tint), hatch=hatch,
                                         zorder=11, edgecolor=edge, linewidth=0.5))  # fmt: skip
                self._say(x + self.sample * 1.2, y, text)
        if signs.halted_point:
            y -= self.row
            at = (x + 0.5 * self.sample, y + 0.2 * self.row)
            cross = Path([(-0.6, -0.6), (0.6, 0.6), (-0.6, 0.6), (0.6, -0.6)], [1, 2, 1, 2])
            for shape, face in ((Path.unit_circle(), WHITE), (cross, "none")):
                self._symbol(*at, shape, 3.6, facecolor=face, edgecolor=look.stop, linewidth=look.pt(1.2))
            self._say(x + self.sample * 1.2, y, "Halted or closed")
        if signs.passages:
            y -= self.row
            for side in (-1, 1):
                banks = look.pt(1.0) * np.array([[3.0, 3.0], [1.1, 1.1], [1.1, -1.1], [3.0, -3.0]]) * [side, 1]
                axes.plot(x + 0.5 * self.sample + banks[:, 0], y + 0.2 * self.row + banks[:, 1], color=INK, zorder=11,
                          linewidth=look.pt(0.95))  # fmt: skip
            self._say(x + self.sample * 1.2, y, "Strait or canal")
        if signs.buyers:
            y -= self.row
            star = Path(np.array(polygon("star")) * [1.0, -1.0])
            self._symbol(x + 0.5 * self.sample, y + 0.2 * self.row, star, 3.2, facecolor=INK, edgecolor=INK)
            self._say(x + self.sample * 1.2, y, "Your buyers")
        return y

    def _head(self, x: float, y: float, text: str) -> None:
        write(self.axes, x, y, text, self.look.pt(HEAD_PT), bold=True)

    def _say(self, x: float, y: float, text: str) -> None:
        write(self.axes, x, y, text, self.look.pt(TEXT_PT))

    def _symbol(self, x: float, y: float, shape: Path, radius: float, **looks: Any) -> None:
        path = shape.transformed(Affine2D().scale(self.look.pt(radius)).translate(x, y))
        self.axes.add_patch(PathPatch(path, zorder=11, **looks))

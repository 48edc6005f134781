"""Charts for print: bars, pairs before and after, dumbbells, changes to both sides, shares stacked to a whole.

Each takes names and numbers, draws nothing that needs more than one look, and writes each value at its mark. Colours
can be told apart by the colour-blind and, with `grey`, in grey.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from atlas import figure_fonts
from atlas.errors import BadInput, nearest

KINDS = ("bars", "pairs", "dumbbell", "change", "stacked")
INK, SOFT, RULE = "#1c2733", "#5b6875", "#d5dbe0"
BEFORE, AFTER, LOST, FOUND = "#9fb0bf", "#0b5c8a", "#b4451f", "#1f6fa8"
SERIES = ("#0b5c8a", "#e08e2b", "#5a9e6f", "#8d6bb0", "#c4566b", "#7c7c7c")
GREYS = ("#3c3c3c", "#8a8a8a", "#bdbdbd", "#606060", "#d6d6d6", "#a3a3a3")
SIZE_PT, SMALL_PT = 7.6, 6.8
ROW_PT, HEAD_PT, FOOT_PT = 14.5, 15.0, 4.0
LABEL_SHARE = 0.48  # of the width, at most


@dataclass(frozen=True)
class Chart:
    """What a chart shows: rows of `labels` with one or two `values` each, and the text at each value.

    `values` is (rows, series); `texts` alike; `series` names the columns where there are several.
    """

    kind: str
    labels: Sequence[str]
    values: Sequence[Sequence[float]]
    texts: Sequence[Sequence[str]]
    series: Sequence[str] = ()
    unit: str = ""
    grey: bool = False
    colours: Sequence[str] = field(default_factory=tuple)


def draw(chart: Chart, width_in: float, height_in: float | None = None) -> Figure:
    """Return the chart as a figure `width_in` wide; as tall as its rows need where no height is given.

    Raises BadInput for an unknown kind, no rows, or characters that no shipped font has.
    """
    if chart.kind not in KINDS:
        raise BadInput(f"unknown chart {chart.kind!r}; nearest: {', '.join(nearest(chart.kind, KINDS) or KINDS)}")
    if not chart.labels:
        raise BadInput("a chart without rows")
    problems = figure_fonts.problems({t: t for t in [*chart.labels, *chart.series, chart.unit]})
    if problems:
        raise BadInput(problems)
    tall_pt = 72 * height_in if height_in else needed_pt(chart)
    with figure_fonts.use():
        figure = Figure(figsize=(width_in, tall_pt / 72), dpi=100, facecolor="white")
        figure.set_label(chart.unit or "Chart")
        names = [_short(t, LABEL_SHARE * 72 * width_in) for t in chart.labels]
        left_pt = max(_width(t) for t in names) + 8
        texts = [t for row in chart.texts for t in row]
        right_pt = 6.0 if chart.kind == "stacked" else max((_width(t) for t in texts), default=0.0) + 10
        wide_pt = 72 * width_in
        head = HEAD_PT if len(chart.series) > 1 or chart.unit else 4.0
        inner = max(wide_pt - left_pt - right_pt, 0.2 * wide_pt)
        axes = figure.add_axes(
            (left_pt / wide_pt, FOOT_PT / tall_pt, inner / wide_pt, (tall_pt - head - FOOT_PT) / tall_pt)
        )
        _plain(axes, len(names))
        for n, name in enumerate(names):
            axes.annotate(name, (0, n), (-6, 0), textcoords="offset points", ha="right", va="center",
                          fontsize=SIZE_PT, color=INK, xycoords=("axes fraction", "data"))  # fmt: skip
        values = np.asarray(chart.values, dtype=float).reshape(len(names), -1)
        {"bars": _bars, "pairs": _pairs, "dumbbell": _dumbbell, "change": _change, "stacked": _stacked}[chart.kind](
            axes, chart, values
        )
        _head(figure, chart, (wide_pt, tall_pt), left_pt)
    return figure


def needed_pt(chart: Chart) -> float:
    """Return how tall a chart is that gives each row its room, in points."""
    row = 21.0 if chart.kind == "pairs" else ROW_PT + (3.0 if chart.kind in ("dumbbell", "stacked") else 0.0)
    return HEAD_PT + FOOT_PT + row * max(len(chart.labels), 1)


def _plain(axes: Axes, rows: int) -> None:
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_yticks([])
    axes.set_xticks([])
    axes.set_facecolor("none")
    for side in axes.spines.values():
        side.set_visible(False)


def _colours(chart: Chart) -> Sequence[str]:
    if chart.grey:
        return GREYS
    return chart.colours or ((BEFORE, AFTER) if chart.kind in ("pairs", "dumbbell") else SERIES)


def _bars(axes: Axes, chart: Chart, values: np.ndarray) -> None:
    axes.set_xlim(0, max(values[:, 0].max(), 1e-9))
    axes.barh(range(len(values)), values[:, 0], height=0.62, color=_colours(chart)[0], linewidth=0)
    axes.axvline(0, color=SOFT, linewidth=0.6)
    for n, v in enumerate(values[:, 0]):
        _tell(axes, chart.texts[n][0], v, n)


def _pairs(axes: Axes, chart: Chart, values: np.ndarray) -> None:
    colours = _colours(chart)
    axes.set_xlim(0, max(values.max(), 1e-9))
    axes.axvline(0, color=SOFT, linewidth=0.6)
    for k, shift in enumerate((-0.2, 0.2)):
        axes.barh(np.arange(len(values)) + shift, values[:, k], height=0.36, color=colours[k], linewidth=0)
        for n, v in enumerate(values[:, k]):
            _tell(axes, chart.texts[n][k], v, n + shift, size=SMALL_PT, colour=SOFT if k == 0 else INK)


def _dumbbell(axes: Axes, chart: Chart, values: np.ndarray) -> None:
    colours = _colours(chart)
    axes.set_xlim(-0.02 * max(values.max(), 1e-9), max(values.max(), 1e-9) * 1.02)
    span = axes.get_xlim()[1]
    for n, (a, b) in enumerate(values):
        axes.plot([0, span], [n, n], color=RULE, linewidth=0.5, zorder=1)
        axes.plot([a, b], [n, n], color=SOFT, linewidth=1.6, zorder=2, solid_capstyle="butt")
        axes.plot([a], [n], "o", color=colours[0], markersize=5.5, zorder=3, markeredgewidth=0)
        axes.plot([b], [n], "o", color=colours[1], markersize=5.5, zorder=4, markeredgewidth=0)
        close = abs(a - b) < 0.02 * span
        right, left = (1, 0) if b >= a else (0, 1)
        _tell(axes, chart.texts[n][right], max(a, b), n, gap=6, size=SMALL_PT, colour=INK if right else SOFT)
        if not close and min(a, b) > 0.14 * span:
            _tell(axes, chart.texts[n][left], min(a, b), n, gap=-6, size=SMALL_PT, colour=INK if left else SOFT)
        elif not close and abs(a - b) > 0.25 * span:
            _tell(
                axes,
                chart.texts[n][left],
                min(a, b),
                n - 0.02,
                gap=6,
                size=SMALL_PT,
                colour=INK if left else SOFT,
                raised=True,
            )


def _change(axes: Axes, chart: Chart, values: np.ndarray) -> None:
    v = values[:, 0]
    most = max(np.abs(v).max(), 1e-9)
    low, high = (min(v.min(), 0.0), max(v.max(), 0.0))
    room = max(_width(t[0]) for t in chart.texts) + 10
    box = axes.get_position()
    wide_pt = 72 * axes.figure.get_size_inches()[0] * box.width  # type: ignore[union-attr]
    per_pt = (high - low + 1e-9) / max(wide_pt - (room if low < 0 else 0), 20.0)
    axes.set_xlim(low - (room * per_pt if low < 0 else 0), high if high > 0 else 0.02 * most)
    colours = [GREYS[0] if x < 0 else GREYS[2] for x in v] if chart.grey else [LOST if x < 0 else FOUND for x in v]
    axes.barh(range(len(v)), v, height=0.62, color=colours, linewidth=0)
    axes.axvline(0, color=SOFT, linewidth=0.6)
    for n, x in enumerate(v):
        _tell(axes, chart.texts[n][0], x, n, gap=4 if x >= 0 else -4)


def _stacked(axes: Axes, chart: Chart, values: np.ndarray) -> None:
    colours = _colours(chart)
    axes.set_xlim(0, 1)
    box = axes.get_position()
    wide_pt = 72 * axes.figure.get_size_inches()[0] * box.width  # type: ignore[union-attr]
    for n, row in enumerate(values):
        total, start = row.sum(), 0.0
        for k, v in enumerate(row):
            part = v / total if total > 0 else 0.0
            axes.barh(
                n, part, left=start, height=0.7, color=colours[k % len(colours)], edgecolor="white", linewidth=0.7
            )
            text = chart.texts[n][k]
            if part * wide_pt > _width(text) + 4:
                axes.text(start + part / 2, n, text, ha="center", va="center", fontsize=SMALL_PT,
                          color="white" if _dark(colours[k % len(colours)]) else INK)  # fmt: skip
            start += part


def _dark(colour: str) -> bool:
    r, g, b = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return 0.299 * r + 0.587 * g + 0.114 * b < 140


def _tell(
    axes: Axes,
    text: str,
    x: float,
    y: float,
    gap: float = 4,
    size: float = SIZE_PT,
    colour: str = INK,
    raised: bool = False,
) -> None:
    axes.annotate(
        text, (x, y), (gap, 4.5 if raised else 0), textcoords="offset points", ha="left" if gap > 0 else "right",
        va="center", fontsize=size, color=colour, annotation_clip=False,
    )  # fmt: skip


def _head(figure: Figure, chart: Chart, size_pt: tuple[float, float], left_pt: float) -> None:
    """Write the unit and, where there are several series, what each colour is."""
    wide, tall = size_pt
    page = figure.add_axes((0, 0, 1, 1), zorder=5)
    page.set_xlim(0, wide)
    page.set_ylim(0, tall)
    page.axis("off")
    x, y = left_pt, tall - 7
    colours = _colours(chart)
    for k, name in enumerate(chart.series):
        page.plot([x + 3], [y], "s", color=colours[k % len(colours)], markersize=5, markeredgewidth=0)
        page.text(x + 9, y, name, fontsize=SMALL_PT, color=INK, va="center_baseline")
        x += 9 + _width(name, SMALL_PT) + 11
    if chart.unit:
        page.text(x if chart.series else left_pt, y, chart.unit, fontsize=SMALL_PT, color=SOFT, va="center_baseline")


def _width(text: str, size: float = SIZE_PT) -> float:
    """Return how wide a text is, in points."""
    if not text:
        return 0.0
    return float(TextPath((0, 0), text, size=size, prop=FontProperties(family=figure_fonts.SANS)).get_extents().width)


def _short(text: str, room: float) -> str:
    """Return a label no wider than `room` points, cut and marked so."""
    if _width(text) <= room:
        return text
    while len(text) > 1 and _width(text + "…") > room:
        text = text[:-1]
    return text.rstrip(" ,;(") + "…"

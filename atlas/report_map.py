"""A map to stand in the text of a report: no title and no figures of its own, only the map and a small legend."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from atlas import figure_fonts, figure_frame, figure_names, figure_panel
from atlas import figure_words as words
from atlas.errors import BadInput
from atlas.figure_flows import GOODS, KINDS, bundles
from atlas.figure_ink import Ink
from atlas.figure_labels import Ruler
from atlas.figure_legend import ROW_PT, Legend, overlay, signs_of, write
from atlas.figure_map import PANELS
from atlas.figure_panel import Scene
from atlas.figure_places import facilities
from atlas.render import focus_box

SCALE, PANEL_HEAD_PT = 0.86, 12.0
# Rows the legend may need: kinds of change and the way round a ban, else commodities and a row more; beside the inset
# widths and signs stand below each other.
ROWS_CHANGE, ROWS_GOODS, ROWS_STACKED = 8, 6, 9
LEGEND_HEAD_PT, LEGEND_FOOT_PT, STACK_PT = 12.0, 4.0, 20.0
LOCAL_ASPECT = 0.5


def draw(
    outcome: Any,
    width_in: float,
    *,
    view: str = "change",
    focus: str | Sequence[float] | None = None,
    grey: bool = False,
    commodity: Sequence[str] = (),
    legend: bool = True,
    inset: bool = True,
    aspect: float = LOCAL_ASPECT,
) -> Figure:
    """Return the map as a figure `width_in` wide and as tall as it needs.

    `view` is before, after, change or all (three small maps); without any change it is before. `focus` as in
    `figure_map.draw`; `aspect` is the height of a map of a part of the world over its width. Raises BadInput.
    """
    box = focus_box(focus, outcome) if focus else None
    if not words.has_change(outcome):
        view = "before"
    views = PANELS if view == "all" else (view,)
    with figure_fonts.use():
        problems = figure_names.unprintable(outcome, "")
        if problems:
            raise BadInput(problems)
        look = Ink(grey, SCALE)
        scene = Scene(outcome, bundles(outcome, tuple(commodity)), look, Ruler(), tuple(commodity))
        if box is not None:
            frame = figure_frame.local(box, aspect)
        else:
            frame = figure_frame.best_world(scene.flows.lines, list(scene.flows.arc_tonnes))
        wide = 72.0 * width_in
        high = wide * frame.aspect
        head = PANEL_HEAD_PT if len(views) > 1 else 0.0
        # The inset reaches below the map, beside the legend.
        boxed = inset and frame.is_world and len(views) == 1
        rows = ROWS_STACKED if boxed else ROWS_CHANGE if "change" in views else ROWS_GOODS
        below = look.pt(LEGEND_HEAD_PT + rows * ROW_PT + LEGEND_FOOT_PT) if legend else 2.0
        tall = (high + head) * len(views) + below
        figure = Figure(figsize=(width_in, tall / 72), dpi=100, facecolor="white")
        figure.set_label("Map")
        page, used = overlay(figure), dict[str, None]()
        top, corner = tall, None
        for name in views:
            top -= high + head
            rect = (0.0, top, wide, high)
            corner = figure_panel.corner(frame, rect, 3.0) if boxed else None
            used |= dict.fromkeys(figure_panel.draw(figure, scene, frame, name, rect, corner))
            if head:
                write(page, 0.0, top + high + 2.0, words.VIEW_WORDS[name], look.pt(8.4), bold=True)
        if legend:
            _legend(Legend(page, look), scene, top - look.pt(LEGEND_HEAD_PT), wide, list(used), views, corner)
    return figure


def _legend(
    legend: Legend, scene: Scene, y: float, wide: float, keys: Sequence[str], views: Sequence[str],
    inset: figure_panel.Rect | None,
) -> None:  # fmt: skip
    """Draw the blocks of the legend side by side, beside the inset where there is one."""
    goods = [k for k in GOODS if k in keys and (k != "via" or set(views) != {"change"})]
    kinds = [k for k in KINDS if k in keys and "change" in views]
    changed = tuple(views) == ("change",)
    found = facilities(scene.outcome, "change", scene.commodities)
    stages = sorted(set(found["stage"]))
    signs = signs_of(scene.outcome, after=tuple(views) != ("before",))
    blocks = []
    if goods and not changed:
        blocks.append(lambda x: legend.flows(x, y, "Flows by commodity", goods))
    if kinds:
        blocks.append(lambda x: legend.flows(x, y, "What became of the flows", kinds))
    def widths_and_signs(x: float) -> float:
        return legend.signs(x, legend.widths(x, y) - legend.look.pt(STACK_PT), signs)

    heading = "Facilities, by change" if changed else "Facilities"
    if inset is None:
        blocks.append(lambda x: legend.widths(x, y))
    blocks.append(lambda x: legend.stages(x, y, heading, stages, changed))
    blocks.append(widths_and_signs if inset is not None else lambda x: legend.signs(x, y, signs))
    left, right = 0.0, wide
    if inset is not None and inset[0] > wide / 2:
        right = inset[0] - 6.0
    elif inset is not None:
        left = inset[0] + inset[2] + 8.0
    weights = [1.3] * (goods != [] and not changed) + [1.3] * bool(kinds)  # their words are the longest
    weights += [1.0] * (len(blocks) - len(weights))
    x = left
    for block, weight in zip(blocks, weights, strict=True):
        block(x)
        x += weight * (right - left) / sum(weights)

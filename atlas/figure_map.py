"""A map of an outcome for print: the world or part of it; before, after, what changes, or all three."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from atlas import figure_fonts, figure_frame, figure_names, figure_panel
from atlas import figure_words as text
from atlas.errors import BadInput, nearest
from atlas.figure_flows import GOODS, KINDS, bundles
from atlas.figure_frame import CHOICES, Frame
from atlas.figure_ink import SOFT, Ink
from atlas.figure_labels import Ruler
from atlas.figure_legend import Legend, overlay, signs_of, write
from atlas.figure_panel import Scene
from atlas.figure_places import facilities
from atlas.render import focus_box
from atlas.render_style import COMMODITIES

COLOURS = ("commodity", "source")
VIEWS = ("before", "after", "change", "all")
PANELS = ("before", "after", "change")
LANDSCAPE_IN, PORTRAIT_IN = (11.69, 8.27), (8.27, 11.69)  # A4
SIZE_LEAST_IN, SIZE_MOST_IN = (5.8, 4.0), 40.0
LEADING = 1.38  # from one line of the title to the next
SIGNS_PT = 108.0  # width that the signs need beside the inset
SCALE_LEAST, SCALE_MOST = 0.78, 1.7  # of type and lines, on paper other than A4
# All in points of an A4 page.
MARGIN_PT, GAP_PT = 26.0, 15.0
TITLE_PT, SENTENCE_PT, FOOT_PT, PANEL_PT = 14.5, 8.2, 5.4, 9.0
LEGEND_PT, FIGURES_PT = 93.0, 43.0
WORLD_DEG = 240.0  # a box wider than this is a map of the world
MEASURE_PT = 640.0  # longest line of the sentence under the title


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
    colour: str = "commodity",
) -> Figure:
    """Return a print map of `outcome` as a matplotlib figure; `figure_save` writes it.

    `view` is before, after, change, or all (three panels with one legend and one scale of widths); an outcome without
    a change has only before. `focus` is a box (west, south, east, north in degrees; east may be less than west), its
    text with commas, a bloc or a country. `projection` is one of figure_frame.CHOICES; auto cuts the fewest tonnes.
    `size_in` is (width, height) in inches, A4 if left out. `commodity` (one or several) leaves out the others;
    `colour` says what flows before and after are coloured by, commodity or source (allied or not). Raises
    BadInput with all problems: unknown words, a size out of range, names with characters that no shipped font has.
    """
    chosen = (commodity,) if isinstance(commodity, str) else tuple(commodity or ())
    check(view, projection, chosen, size_in, colour)
    box = focus_box(focus, outcome) if focus else None
    if not text.has_change(outcome):
        view = "before"
    size = size_in or (PORTRAIT_IN if view == "all" else LANDSCAPE_IN)
    usual = PORTRAIT_IN if size[1] > size[0] else LANDSCAPE_IN
    scale = min(size[0] / usual[0], size[1] / usual[1])
    with figure_fonts.use():
        head = title or text.headline(outcome)
        problems = figure_names.unprintable(outcome, head)
        if problems:
            raise BadInput(problems)
        look = Ink(grey, min(max(scale, SCALE_LEAST), SCALE_MOST))
        figure = Figure(figsize=size, dpi=100, facecolor="white")
        figure.set_label(head)
        scene = Scene(outcome, bundles(outcome, chosen), look, Ruler(), chosen, colour)
        _Page(figure, scene, head).draw(PANELS if view == "all" else (view,), box, projection)
    return figure


def check(
    view: str, projection: str, commodity: Sequence[str], size_in: tuple[float, float] | None, colour: str = COLOURS[0]
) -> None:
    """Check what a map is to look like before anything is solved for it; raises BadInput with all problems."""
    problems = []
    for what, value, known in (
        ("view", view, VIEWS), ("projection", projection, CHOICES), ("colour", colour, COLOURS),
        *(("commodity", c, COMMODITIES) for c in commodity),
    ):  # fmt: skip
        if value not in known:
            near = nearest(value, known) or list(known)
            problems.append(f"unknown {what} {value[:60]!r}; nearest: {', '.join(near)}")
    if size_in is not None and not all(a <= v <= SIZE_MOST_IN for a, v in zip(SIZE_LEAST_IN, size_in, strict=True)):
        least = " x ".join(f"{v:g}" for v in SIZE_LEAST_IN)
        problems.append(f"size {size_in[0]:g} x {size_in[1]:g}: expected {least} to {SIZE_MOST_IN:g} inches")
    if problems:
        raise BadInput(problems)


class _Page:
    """Lays out one page: title, maps, inset, legend, key figures, sources. All lengths are points."""

    def __init__(self, figure: Figure, scene: Scene, head: str) -> None:
        self.figure, self.scene, self.head = figure, scene, head
        self.page: Axes = overlay(figure)
        self.wide, self.tall = (72.0 * v for v in figure.get_size_inches())
        self.pt = scene.look.pt
        self.margin = self.pt(MARGIN_PT)
        self.inner = self.wide - 2 * self.margin

    def draw(self, views: Sequence[str], box: list[float] | None, projection: str) -> None:
        """Draw everything."""
        top = self._heading()
        used: dict[str, None] = {}
        gap = self.pt(GAP_PT)
        foot = self.pt(6.0) + self.pt(7.5) * 4
        below = self.pt(LEGEND_PT + FIGURES_PT)
        room = (top - foot - below - gap * len(views)) / len(views)
        frame = self._frame(box, projection, room / self.inner)
        wide = min(self.inner, room / frame.aspect) if frame.is_world else self.inner
        high, left, y = wide * frame.aspect, self.margin + (self.inner - wide) / 2, top
        inset = None
        for view in views:
            y -= high
            rect = (left, y, wide, high)
            if frame.is_world and len(views) == 1:
                inset = figure_panel.corner(frame, rect, foot + self.pt(4))
            used |= dict.fromkeys(figure_panel.draw(self.figure, self.scene, frame, view, rect, inset))
            if len(views) > 1:
                write(
                    self.page, self.margin, y + high - self.pt(6), text.VIEW_WORDS[view], self.pt(PANEL_PT), bold=True
                )
                y -= gap
        y = y + (gap if len(views) > 1 else 0) - self.pt(16)
        self._legend(y, list(used), views, inset)
        self._foot(text.footer(self.scene.outcome, text.scale_words(frame, wide), self.scene.flows.share_drawn))

    def _frame(self, box: list[float] | None, projection: str, aspect: float) -> Frame:
        if box is not None and (box[2] - box[0]) % 360.0 <= WORLD_DEG and box[2] - box[0] < 360.0:
            return figure_frame.local(box, aspect)
        if projection == "auto":
            flows = self.scene.flows
            return figure_frame.best_world(flows.lines, list(flows.arc_tonnes))
        return figure_frame.world(projection)

    def _measure(self, size: float, bold: bool = False) -> Any:
        properties = FontProperties(size=size, weight="bold" if bold else "normal")
        return lambda words: self.scene.ruler.size(words, properties)[0]

    def _heading(self) -> float:
        """Write title and sentence; return the height where the maps may begin."""
        y = self.tall - self.margin - self.pt(8)
        big, small = self.pt(TITLE_PT), self.pt(SENTENCE_PT)
        for line in text.wrapped(self.head, self.inner, self._measure(big, bold=True))[:3]:
            line = text.shortened(line, self.inner, self._measure(big, bold=True))
            write(self.page, self.margin, y, line, big, bold=True)
            y -= LEADING * big
        measure = min(self.inner, self.pt(MEASURE_PT))
        for line in text.wrapped(text.standfirst(self.scene.outcome), measure, self._measure(small)):
            write(self.page, self.margin, y + self.pt(2), line, small, colour=SOFT)
            y -= 1.4 * small
        return y + self.pt(4)

    def _legend(self, y: float, keys: Sequence[str], views: Sequence[str], inset: figure_panel.Rect | None) -> None:
        """Draw the legend below the maps, beside the inset, and the key figures below it."""
        legend, left = Legend(self.page, self.scene.look), self.margin
        right = self.wide - self.margin
        goods = [k for k in GOODS if k in keys and (k != "via" or set(views) != {"change"})]
        kinds = [k for k in KINDS if k in keys and "change" in views]
        changed = tuple(views) == ("change",)
        found = facilities(self.scene.outcome, "change", self.scene.commodities)
        blocks = []
        if goods and not changed:
            blocks.append(lambda x: legend.flows(x, y, f"Flows by {self.scene.colour}", goods))
        if kinds:
            blocks.append(lambda x: legend.flows(x, y, "What became of the flows", kinds))
        blocks.append(lambda x: legend.widths(x, y))
        head = "Facilities, by change" if changed else "Facilities"
        blocks.append(lambda x: legend.stages(x, y, head, sorted(set(found["stage"])), changed))
        signs = signs_of(self.scene.outcome, after=tuple(views) != ("before",))
        low = y - self.pt(LEGEND_PT)
        if inset is not None and inset[0] - left > 0.3 * self.inner:
            right = inset[0] - self.pt(10)
            beyond = inset[0] + inset[2] + self.pt(12)
            if self.wide - self.margin - beyond >= self.pt(SIGNS_PT):
                legend.signs(beyond, y, signs)
            else:  # on upright paper, which has room below
                low = legend.signs(left, y - (len(goods) + len(kinds) + 2) * legend.row, signs) - self.pt(20)
        else:
            left = inset[0] + inset[2] + self.pt(14) if inset is not None else left
            blocks.append(lambda x: legend.signs(x, y, signs))
        for k, block in enumerate(blocks):
            block(left + k * (right - left) / len(blocks))
        self._figures(left, low, right - left)

    def _figures(self, left: float, y: float, wide: float) -> None:
        """Write the key figures in a row."""
        figures = text.key_figures(self.scene.outcome)
        step = wide / len(figures)
        small, rest = self.pt(5.7), self._measure(self.pt(5.7))
        for k, (what, value, beside) in enumerate(figures):
            x = left + k * step
            write(self.page, x, y, what, self.pt(6.4), colour=SOFT)
            write(self.page, x, y - self.pt(14.6), value, self.pt(12), bold=True)
            for n, line in enumerate(text.wrapped(beside, step - self.pt(8), rest)[:2]):
                write(self.page, x, y - self.pt(24.0 + 8.0 * n), line, small, colour=SOFT)

    def _foot(self, lines: Sequence[str]) -> None:
        """Write the question, how sure it is, sources and licences."""
        size, step = self.pt(FOOT_PT), self.pt(7.5)
        rows = [r for line in lines for r in text.wrapped(line, self.inner, self._measure(size))]
        low = self.pt(10.0)
        rule = low + step * len(rows) + self.pt(1)
        self.page.plot([self.margin, self.wide - self.margin], [rule] * 2, color=SOFT, linewidth=0.4)
        for k, row in enumerate(rows):
            write(self.page, self.margin, low + step * (len(rows) - 1 - k), row, size, colour=SOFT)

"""What stands in a drawn figure: its texts with their boxes, measured by the renderer that draws them."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from atlas import figure_fonts

Box = tuple[float, float, float, float]
SLACK_PX = 0.5  # boxes that only touch


def texts(figure: Figure) -> dict[str, Box]:
    """Return every text of a figure (without halos) with left, low, right, high in pixels."""
    found: dict[str, Box] = {}
    with figure_fonts.use():
        renderer: Any = FigureCanvasAgg(figure).get_renderer()
        for n, made in enumerate(_written(figure)):
            extent = made.get_window_extent(renderer)
            found[f"{n} {made.get_text()!r}"] = (extent.x0, extent.y0, extent.x1, extent.y1)
    return found


def _written(figure: Figure) -> Iterator[Text]:
    for axes in figure.axes:
        for made in axes.texts:
            if made.get_gid() != "halo" and made.get_text().strip():
                yield made


def overlaps(figure: Figure) -> list[tuple[str, str]]:
    """Return the pairs of texts that lie on each other."""
    return [
        (a, b)
        for (a, p), (b, q) in combinations(texts(figure).items(), 2)
        if p[0] + SLACK_PX < q[2] and q[0] + SLACK_PX < p[2] and p[1] + SLACK_PX < q[3] and q[1] + SLACK_PX < p[3]
    ]


def outside(figure: Figure) -> list[str]:
    """Return the texts that run off the page."""
    wide, tall = figure.get_size_inches() * figure.dpi
    return [t for t, (x0, y0, x1, y1) in texts(figure).items() if x0 < 0 or y0 < 0 or x1 > wide or y1 > tall]


def names(figure: Figure) -> set[str]:
    """Return the ids of the places that are named on the maps."""
    gids = (str(made.get_gid() or "") for made in _written(figure))
    return {g.removeprefix("name-") for g in gids if g.startswith("name-")}

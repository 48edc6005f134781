"""The map for print as notebooks use it: a Matplotlib figure that shows and saves itself in the shipped fonts."""

from typing import Any

from matplotlib.figure import Figure

from atlas import figure_fonts, figure_save

SCREEN_DPI = 100


class MapFigure(Figure):
    """A Matplotlib figure of a map; `savefig` writes it by the name: PNG, SVG or PDF.

    Text was laid out in the shipped fonts, so it is drawn in them, whoever asks for the drawing.
    """

    def draw(self, renderer: Any) -> None:
        """Draw the figure; see `matplotlib.figure.Figure.draw`."""
        with figure_fonts.use():
            super().draw(renderer)

    def _repr_png_(self) -> bytes:
        """Return what Jupyter shows: by itself it draws figures only once pyplot was imported."""
        return figure_save.picture(self, "png", SCREEN_DPI)


def map_figure(drawn: Figure) -> MapFigure:
    """Return a drawn figure as one that shows itself; it stays the same object."""
    drawn.__class__ = MapFigure
    assert isinstance(drawn, MapFigure)
    return drawn

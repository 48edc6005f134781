"""A drawn figure as a file: PNG, SVG or PDF, the same bytes for the same figure."""

import io
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from atlas import __version__, figure_fonts
from atlas.errors import BadInput
from atlas.export_files import check_target_file, write_file

FORMATS = ("png", "svg", "pdf")
SUFFIXES = tuple(f".{f}" for f in FORMATS)
DPI = 200  # of a PNG; an A4 page is then 2,340 pixels wide
DPI_LEAST, DPI_MOST = 50, 600
SOFTWARE = f"rare-earth atlas {__version__}"


def picture(figure: Figure, form: str, dpi: int = DPI) -> bytes:
    """Return a figure as bytes of `png`, `svg` or `pdf`; nothing in them says when they were made.

    `dpi` is the resolution of a PNG (and of what a PDF or SVG holds as pixels, which is nothing). Raises BadInput.
    """
    if form not in FORMATS:
        raise BadInput(f"unknown picture format {form[:40]!r}; known: {', '.join(FORMATS)}")
    checked_dpi(dpi)
    out = io.BytesIO()
    title = str(figure.get_label() or "Map")
    with figure_fonts.use():
        if form == "png":
            FigureCanvasAgg(figure).print_png(out, metadata=_told(Software=SOFTWARE, Title=title))
        elif form == "svg":
            told = _told(Title=title, Creator=SOFTWARE, Date=None)
            FigureCanvasSVG(figure).print_svg(out, metadata=told)
        else:
            told = _told(Title=title, Creator=SOFTWARE, Producer="matplotlib", CreationDate=None, ModDate=None)
            FigureCanvasPdf(figure).print_pdf(out, metadata=told)
    return out.getvalue()


def checked_dpi(dpi: int) -> int:
    """Return the resolution if a PNG may have it; raises BadInput."""
    if not DPI_LEAST <= dpi <= DPI_MOST:
        raise BadInput(f"dpi: {dpi}, expected {DPI_LEAST} to {DPI_MOST}")
    return dpi


def save(figure: Figure, path: str | Path, dpi: int = DPI) -> Path:
    """Write a figure to a file ending in .png, .svg or .pdf, whole or not at all; return its path.

    Raises BadInput for a name that does not fit and WriteFailure where it cannot be written.
    """
    target = check_target_file(path, SUFFIXES)
    made = picture(figure, target.suffix.lower().lstrip("."), dpi)
    write_file(target, lambda fresh: _write(fresh, made))
    return target


def _told(**metadata: str | None) -> dict[str, Any]:
    return dict(metadata)


def _write(path: Path, made: bytes) -> None:
    path.write_bytes(made)

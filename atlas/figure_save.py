"""A drawn figure as a file: PNG, SVG or PDF, the same bytes for the same figure."""

import io
import re
from pathlib import Path
from typing import Any

from matplotlib.backend_bases import FigureCanvasBase
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
_OUTLINE, _DECIMALS = re.compile(rb' d="[^"]*"'), re.compile(rb"(\.\d\d)\d+")
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
    told: dict[str, Any] = {
        "png": {"Software": SOFTWARE, "Title": title},
        "svg": {"Title": title, "Creator": SOFTWARE, "Date": None},
        "pdf": {"Title": title, "Creator": SOFTWARE, "Producer": "matplotlib", "CreationDate": None, "ModDate": None},
    }
    canvas: FigureCanvasBase = {"png": FigureCanvasAgg, "svg": FigureCanvasSVG, "pdf": FigureCanvasPdf}[form](figure)
    with figure_fonts.use():
        canvas.print_figure(out, format=form, dpi=dpi if form == "png" else 72, metadata=told[form])
    return _rounded(out.getvalue()) if form == "svg" else out.getvalue()


def _rounded(svg: bytes) -> bytes:
    """Return an SVG whose outlines have two decimals of a point instead of six: it is half as large."""
    return _OUTLINE.sub(lambda d: _DECIMALS.sub(rb"\1", d.group()), svg)


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


def _write(path: Path, made: bytes) -> None:
    path.write_bytes(made)

"""Pictures for print at /map.png, /map.svg and /map.pdf: the same questions as /map, laid out for paper."""

import math
from typing import Any

from flask import Blueprint, Response, current_app, request

from atlas.chain import chain_of
from atlas.chain_words import reword_figure
from atlas.errors import BadInput
from atlas.render import MAP_VIEWS
from atlas.render_style import COMMODITIES
from atlas.web_answers import Document
from atlas.web_errors import NotFound
from atlas.web_map import LOOKS, check_looks
from atlas.web_query import Query, halt_query, single

PARAMETERS = ("view", "title", "focus", "projection", "commodity", "grey", "width_mm", "height_mm", "dpi")
VIEWS = (*MAP_VIEWS, "all")
TYPES = {"png": "image/png", "svg": "image/svg+xml", "pdf": "application/pdf"}
DPI_MOST = 300
PIXELS_MOST = 25_000_000  # of a PNG: 100 MB while it is drawn
MM_MOST = 600.0  # of either side
MM_PER_INCH = 25.4
CLOSE_ZOOM = 3.0  # from which the picture shows only the part that the map showed
MAP_PX, TILE_PX = (900.0, 560.0), 256.0  # about what a screen shows of the map

figures = Blueprint("figures", __name__)


@figures.get("/map.<form>")
def picture(form: str) -> Response:
    """Return a halt's map as a picture; its address is that of /map with another ending."""
    if form not in TYPES:
        raise NotFound("picture format", form, list(TYPES))
    from atlas import figure_map, figure_save  # with matplotlib: a server that draws nothing need not load it

    atlas: Any = current_app.extensions["atlas"]
    query = halt_query(request, atlas.settings, more=(*PARAMETERS, *LOOKS), known_views=VIEWS)
    check_looks()
    looks, dpi = _looks(form, query)
    question = atlas.answers.question(query)
    key = ("picture", form, atlas.answers.key(question, query.bloc), *map(str, looks.values()), dpi)

    def make() -> Document:
        with atlas.timed("solve"):
            outcome = atlas.answers.outcome(question, query.bloc, request.remote_addr or "")
        with atlas.timed("draw"):
            figure = reword_figure(figure_map.draw(outcome, **looks), chain_of(outcome.layers))
            made = figure_save.picture(figure, form, dpi)
        return Document.of(made, TYPES[form], (("Content-Disposition", f'inline; filename="atlas-map.{form}"'),))

    response: Response = atlas.send(atlas.answers.documents.get(key, make))
    return response


def _looks(form: str, query: Query) -> tuple[dict[str, Any], int]:
    """Return what `figure_map.draw` takes beside the outcome, and the resolution; raises BadInput with all problems."""
    from atlas import figure_map, figure_save

    found = {name: request.args.getlist(name) for name in (*PARAMETERS, *LOOKS)}
    problems: list[str] = []

    def text(name: str) -> str:
        return single(found, name, "", problems).strip()

    def number(name: str, default: float, least: float, most: float) -> float:
        given = text(name)
        try:
            value = float(given) if given else default
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            problems.append(f"{name}: {given[:40]!r}, expected {least:g} to {most:g}")
            return default
        return value

    view = "all" if query.view in ("swipe", "side") else query.view
    usual = figure_map.PORTRAIT_IN if view == "all" else figure_map.LANDSCAPE_IN
    size = tuple(
        number(name, usual[k] * MM_PER_INCH, figure_map.SIZE_LEAST_IN[k] * MM_PER_INCH, MM_MOST) / MM_PER_INCH
        for k, name in enumerate(("width_mm", "height_mm"))
    )
    dpi = int(number("dpi", figure_save.DPI, figure_save.DPI_LEAST, DPI_MOST))
    if form != "png" and text("dpi"):
        problems.append("dpi: goes with /map.png; an SVG and a PDF have no pixels")
    if form == "png" and size[0] * size[1] * dpi**2 > PIXELS_MOST:
        problems.append(f"{size[0] * dpi:.0f} x {size[1] * dpi:.0f} pixels: expected {PIXELS_MOST:,} at most in all")
    grey = text("grey").lower()
    if grey not in ("", "0", "1", "yes", "no", "true", "false"):
        problems.append(f"grey: {grey[:40]!r}, expected yes or no")
    chosen = tuple(c.strip() for c in text("commodity").split(",") if c.strip())
    off = {k.strip().removeprefix("flow-") for k in text("off").split(",") if k.strip().startswith("flow-")}
    if off and not chosen:
        chosen = tuple(c for c in COMMODITIES if c not in off) or COMMODITIES
    looks: dict[str, Any] = {
        "view": view, "title": text("title") or None, "focus": text("focus") or _seen(text("at")),
        "projection": text("projection") or "auto", "grey": grey in ("1", "yes", "true"), "commodity": chosen,
        "size_in": (size[0], size[1]), "colour": text("colour") or "commodity",
    }  # fmt: skip
    try:
        figure_map.check(view, looks["projection"], chosen, looks["size_in"])
    except BadInput as error:
        problems += error.problems
    if problems:
        raise BadInput(list(dict.fromkeys(problems)))
    return looks, dpi


def _seen(at: str) -> str | None:
    """Return the box that a map at lon,lat,zoom shows, as text; None for a map of the world."""
    if not at:
        return None
    lon, lat, zoom = (float(v) for v in at.split(","))
    if zoom < CLOSE_ZOOM:
        return None
    half = 180.0 * MAP_PX[0] / (TILE_PX * 2**zoom)
    tall = 180.0 * MAP_PX[1] / (TILE_PX * 2**zoom) * math.cos(math.radians(lat))
    return f"{lon - half:.4f},{max(lat - tall, -85.0):.4f},{lon + half:.4f},{min(lat + tall, 85.0):.4f}"

"""Folium pages of an outcome: the map with its legend, words and figures, as one file or for the web atlas."""

import base64
import hashlib
import mimetypes
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
from branca.element import Element
from markupsafe import Markup

from atlas import __version__
from atlas.chain import chain_of
from atlas.chain_words import reworded_page
from atlas.config import data_dir
from atlas.errors import BadInput, nearest
from atlas.page_text import script_texts
from atlas.page_text import text as page_text
from atlas.render_data import json_text, payload
from atlas.render_map import build
from atlas.render_style import ATTRIBUTION, SLATE, closed_swatch, legend, shape_swatch
from atlas.render_words import differs, halt_specs, percent, words

__all__ = ["MAP_VIEWS", "VIEWS", "csp_hashes", "environment", "page"]

VIEWS = ("before", "after", "change")
MAP_VIEWS = (*VIEWS, "swipe", "side")  # the last two show before and after at once
SCRIPTS = (
    "leaflet/leaflet.js", "atlas.js", "map-model.js", "map-popups.js", "map-drawing.js", "map-find.js", "map-twin.js",
    "map-measure.js", "map.js", "sortable.js",
)  # fmt: skip
STYLES = ("frame.css", "leaflet/leaflet.css", "atlas.css", "map.css")
ONLINE_TILES = ("https://tile.openstreetmap.org/{z}/{x}/{y}.png", "© OpenStreetMap contributors")


def page(
    outcome: Any,
    *,
    view: str = "change",
    title: str | None = None,
    focus: str | Sequence[float] | None = None,
    standalone: bool = True,
    asset_base: str | None = None,
    tiles: bool = False,
    land: str = "",
    frame: dict[str, Any] | None = None,
    added: Sequence[Element] = (),
) -> str:
    """Return one HTML page with the Folium map of `outcome`; the same outcome gives the same bytes.

    `view` is one of MAP_VIEWS (an outcome without a halt has only one). `focus` is a box (west, south, east,
    north in degrees; east may be less than west across the antimeridian), its text with commas, a bloc or a country.
    A standalone page holds all it needs and asks no other host; otherwise scripts and styles are linked under
    `asset_base`. `tiles` adds an online background, switched off until chosen. `land` is the address of the basemap
    for a page that does not carry it. `frame` gives the web atlas its navigation, halt builder and links; with
    `embedded` it is a map to stand in another page. `added` are Folium elements to lay over the map; they may not need
    files from other hosts. Raises BadInput for an unknown view or focus.
    """
    if view not in MAP_VIEWS:
        near = nearest(view, MAP_VIEWS)
        raise BadInput(f"unknown view {view[:80]!r}; known: {', '.join(near or MAP_VIEWS)}")
    frame = frame or {}
    text = words(outcome, title)
    views = MAP_VIEWS if _has_halt(outcome) else ("before",)
    view = view if view in views else views[0]
    start = {
        "view": view,
        "views": list(views),
        "live": bool(frame),
        "focus": focus_box(focus, outcome) if focus else None,
        "label": f"Map: {text.title}"[:200].replace("<", ""),
        "attribution": str(Markup(" · ").join(who for _, who in ATTRIBUTION[:3])),
    }
    data = payload(outcome, land) | {"start": start}
    folium_parts = build(start, ONLINE_TILES if tiles else None, buyers=bool(text.buyers), added=added).parts()
    html = (
        environment()
        .get_template("map.html")
        .render(
            words=text,
            view=view,
            views=views,
            folium=folium_parts,
            data=Markup(json_text(data)),
            legend=_legend(),
            detours=bool(data["detours"]),
            bloc=outcome.bloc,
            halted=any(data["halted"].values()),
            period=_when(outcome),
            proof=_proof(outcome),
            drawn_note=_drawn_note(data["drawn"]),
            attribution=ATTRIBUTION,
            version=__version__,
            embedded=frame.get("embedded", ""),
            land=land,
            nothing=bool(halt_specs(outcome)) and not _changed(outcome),
            frame_script=script_tag("frame.js", standalone, asset_base),
            styles=[style_tag(s, standalone, asset_base) for s in STYLES],
            scripts=[script_tag(s, standalone, asset_base) for s in (*SCRIPTS, *frame.get("scripts", ()))],
            policy="@policy@" if standalone else "",
            nav=frame.get("nav"),
            builder=frame.get("builder"),
            builder_first=frame.get("builder_first", False),
            links=frame.get("links"),
            compare=frame.get("compare"),
        )
    )
    html = reworded_page(html, chain_of(outcome.layers))  # before scripts are hashed for the policy
    if standalone:
        images = "img-src data:" + (" https://tile.openstreetmap.org" if tiles else "")
        scripts, styles = csp_hashes(html)
        policy = f"default-src 'none'; {images}; style-src {' '.join(styles)}; script-src {' '.join(scripts)}"
        html = html.replace("@policy@", policy, 1)
    return html


def csp_hashes(html: str) -> tuple[list[str], list[str]]:
    """Return the content-security-policy sources of the inline scripts and of the inline styles of a page."""
    scripts = re.findall(r"<script>(.*?)</script>", html, flags=re.DOTALL)
    styles = re.findall(r"<style>(.*?)</style>", html, flags=re.DOTALL)
    return [_hash_source(s) for s in scripts], [_hash_source(s) for s in styles]


def _hash_source(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


@lru_cache(maxsize=1)
def environment() -> jinja2.Environment:
    """Return the templates, with everything escaped unless it was made safe on purpose."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(data_dir("templates")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=False,
    )
    made.globals.update(t=page_text, js_text=script_texts)
    return made


def focus_box(focus: str | Sequence[float], outcome: Any) -> list[float]:
    """Return west, south, east, north for a box, a bloc or a country; east may exceed 180."""
    if not isinstance(focus, str):
        return _checked_box(list(focus), repr(focus))
    if "," in focus:
        try:
            return _checked_box([float(v) for v in focus.split(",")], focus)
        except ValueError:
            raise BadInput(
                f"focus {focus[:80]!r} is not west,south,east,north in degrees, a bloc or a country"
            ) from None
    layers = outcome.layers
    members = {focus} if focus in layers.countries.index else layers.bloc(focus)
    used = layers.facilities[layers.facilities["country"].isin(members)]
    if len(used):
        west, south, east, north = (float(v) for v in used.total_bounds)
    else:
        west, south, east, north = (float(v) for v in layers.countries.loc[list(members)].total_bounds)
    return [max(west - 3, -180.0), max(south - 3, -84.0), min(east + 3, 180.0), min(north + 3, 84.0)]


def _checked_box(box: list[float], text: str) -> list[float]:
    if len(box) != 4 or not all(-360 <= v <= 540 for v in box) or not -90 <= box[1] < box[3] <= 90 or box[0] == box[2]:
        raise BadInput(f"focus {text[:80]!r} is not west,south,east,north in degrees")
    return box


def _has_halt(outcome: Any) -> bool:
    """Return whether there is a second state to show."""
    return bool(halt_specs(outcome)) or differs(outcome)


def _changed(outcome: Any) -> bool:
    """Return whether a halt moves anything that is shown: tonnes, cost or shortage."""
    flows = outcome.flows
    moved = flows.pivot_table(index=["from_id", "to_id", "commodity"], columns="state", values="tonnes", aggfunc="sum")
    moved = moved.reindex(columns=["baseline", "halted"]).fillna(0.0)
    return differs(outcome) or bool(((moved["baseline"] - moved["halted"]).abs() > 0.5).any())


def _when(outcome: Any) -> str:
    return f"Year {outcome.summary['scenario']['year']}, tonnes a year"


def _proof(outcome: Any) -> str:
    """Return how well the answer is proved."""
    worst = max((float(v) for c in outcome.summary["certificate"].values() for v in c.values()), default=0.0)
    return f"Proved optimal by duality: residuals and gap at most {worst:.0e}." if worst <= 1e-6 else ""


def _drawn_note(drawn: dict[str, Any]) -> str:
    """Return what share of the tonnage the map shows."""
    share = percent(drawn["share"])
    if drawn["flows"] == drawn["of"]:
        return f"All {drawn['of']:,} flows are drawn."
    return f"Drawn: flows of {drawn['min_t']} t a year or more, {share} of the tonnes that move."


def _legend() -> dict[str, Any]:
    """Return the legend with the fills of countries."""
    patch = Markup(
        '<svg class="swatch" width="22" height="14" viewBox="0 0 22 14" aria-hidden="true" focusable="false">'
        '<rect x="1" y="1" width="20" height="12" fill="var({}, {})" stroke="var(--border, #B9C2CB)"/></svg>'
    )
    land = {
        "ally": patch.format("--land-ally", "#DDE9EE"),
        "halted": patch.format("--land-halted", "#F6DAD2"),
        "cross": closed_swatch(),
    }
    return {**legend(), "land": land, "hollow": shape_swatch("circle", SLATE, hollow=True)}


@lru_cache(maxsize=32)
def _asset(name: str) -> str:
    return (data_dir("templates") / "static" / name).read_text(encoding="utf-8")


def style_tag(name: str, standalone: bool, asset_base: str | None) -> Markup:
    """Return a style sheet, linked or put in whole with its pictures."""
    if not standalone:
        return Markup('<link rel="stylesheet" href="{}/{}">').format(asset_base or "", name)
    folder = Path(name).parent

    def inline(match: re.Match[str]) -> str:
        path = data_dir("templates") / "static" / folder / match.group(1)
        if not path.is_file():
            return "none"
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        return f"url(data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()})"

    return Markup("<style>" + re.sub(r"url\(([^)#]+)\)", inline, _asset(name)) + "</style>")


def script_tag(name: str, standalone: bool, asset_base: str | None) -> Markup:
    """Return a script, linked or put in whole (shipped scripts hold no closing tag)."""
    if not standalone:
        return Markup('<script src="{}/{}"></script>').format(asset_base or "", name)
    text = re.sub(r"\n//# sourceMappingURL=.*", "", _asset(name))
    return Markup("<script>" + text.replace("</script", "<\\/script") + "</script>")

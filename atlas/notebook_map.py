"""Maps that show themselves in Jupyter: Folium maps that hold all they need and ask no other host.

A map is drawn anew each time it is shown or saved, with whatever was added to it, so that it never goes stale.
"""

import html
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import folium
import geopandas as gpd
import numpy as np
import shapely
from branca.element import Element, Figure
from shapely import MultiPolygon
from shapely.affinity import translate
from shapely.geometry import mapping
from shapely.geometry.base import BaseGeometry

from atlas.export import write_page
from atlas.render import csp_hashes, script_tag, style_tag
from atlas.render_map import MAP_OPTIONS, AtlasFigure, AtlasMap, count_ids
from atlas.render_style import ATTRIBUTION

Draw = Callable[[Sequence[Element]], str]

HEIGHT_PX = 560
LAND_DEGREES = 0.1  # how far the outlines of countries may be off on a map of lines
ANTARCTICA = -60.0  # nothing leads there
LAND, SHORE, SEA, LINE = "#e9e6df", "#b9b4a8", "#f7f9fb", "#1d2733"
STYLE = (
    "html,body{height:100%;margin:0;font:13px sans-serif}body{display:flex;flex-direction:column}"
    f".folium-map{{flex:1}}.leaflet-container{{background:{SEA}}}p{{margin:4px 8px;color:#444}}"
)
# Inside a script's template literal and inside HTML alike, a character reference is only ever a character.
_REFERENCES = {ord(c): f"&#{ord(c)};" for c in "`$\\{}"}


class Map(folium.Map):
    """A Folium map of the atlas: shows itself in a notebook, `save`s itself, takes more layers with `add_child`.

    What is added may not need files from other hosts (`folium.GeoJson`, `CircleMarker`, `PolyLine` do not; the picture
    of a `Marker` does). `save` writes the page whole or not at all.
    """

    def __init__(self, draw: Draw, title: str) -> None:
        super().__init__(tiles=None)
        self.title = title
        _Page(draw, self).add_child(self)

    def save(self, outfile: Any, close_file: bool = True, **kwargs: Any) -> None:
        """Write the map as a page of its own: to a path that ends in .html, or into an open binary file.

        Raises BadInput for a path that cannot be one, WriteFailure where it cannot be written.
        """
        if isinstance(outfile, str | Path):
            write_page(outfile, self.get_root().render())
        else:
            super().save(outfile, close_file, **kwargs)

    def __repr__(self) -> str:
        return f"<atlas map: {self.title}>"


class _Page(Figure):
    """The root above a map: renders the page that the map stands in."""

    def __init__(self, draw: Draw, shown: Map) -> None:
        super().__init__(height=f"{HEIGHT_PX}px")
        self._draw, self._shown = draw, shown

    def render(self, **kwargs: Any) -> str:
        added = tuple(self._shown._children.values())
        try:
            return self._draw(added)
        finally:
            for child in added:  # drawing hung them under the map of the page
                child._parent = self._shown

    def _repr_html_(self, **kwargs: Any) -> str:
        """Return the page in a frame; what stands behind it is seen where a notebook is not trusted."""
        page, title = html.escape(self.render()), html.escape(self._shown.title)
        return (
            f'<div style="position:relative;width:{self.width};height:{self.height}">'
            "<span>Trust this notebook to see the map (File, Trust Notebook).</span>"
            f'<iframe title="{title}" srcdoc="{page}" allowfullscreen '
            'style="position:absolute;left:0;top:0;width:100%;height:100%;border:0"></iframe></div>'
        )


def lines_map(table: gpd.GeoDataFrame, countries: gpd.GeoDataFrame, title: str) -> Map:
    """Return a map of lines over the countries, drawn with the shipped Leaflet.

    `table` has `geometry`, lines with continuous longitudes (they may pass 180), and a text `label`; it may have
    `colour` and `dash` (as CSS has them), `width_px`, and `kind`, what the colour means.
    """
    return Map(partial(_lines_page, table, countries, title), title)


def _lines_page(table: gpd.GeoDataFrame, countries: gpd.GeoDataFrame, title: str, added: Sequence[Element]) -> str:
    figure = AtlasFigure()
    figure.header._children.clear()
    chart = AtlasMap(location=[20, 60], zoom_start=2, tiles=None, control_scale=True, **MAP_OPTIONS)
    figure.add_child(chart)
    lines = [r for r in table.to_dict("records") if r["geometry"] is not None and not r["geometry"].is_empty]
    bounds = shapely.total_bounds([r["geometry"] for r in lines]) if lines else np.zeros(4)
    west, south, east, north = map(float, bounds)
    chart.add_child(folium.GeoJson(
        {"type": "Feature", "properties": {}, "geometry": mapping(_land(countries, west, east))},
        style_function=lambda _: {"color": SHORE, "weight": 0.7, "fillColor": LAND, "fillOpacity": 1},
        control=False, interactive=False,
    ))  # fmt: skip
    for r in lines:
        chart.add_child(_line(r))
    for child in added:
        chart.add_child(child)
    if lines:
        chart.fit_bounds([[south, west], [north, east]], padding=(20, 20))
    count_ids(figure)
    parts = figure.parts()
    page = "\n".join((
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">', "@policy@",
        f"<title>{html.escape(title)}</title>",
        style_tag("leaflet/leaflet.css", True, None), f"<style>{STYLE}</style>",
        script_tag("leaflet/leaflet.js", True, None), parts["header"], "</head><body>", parts["html"],
        f"<p>{_legend(lines)}{' · '.join(html.escape(who) for _, who in ATTRIBUTION[:3])}</p>",
        f"<script>{parts['script']}</script>", "</body></html>",
    ))  # fmt: skip
    scripts, styles = csp_hashes(page)
    # Leaflet and Folium size what they draw by style attributes; nothing may be fetched.
    rule = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {' '.join(scripts)}"
    return page.replace("@policy@", f'<meta http-equiv="Content-Security-Policy" content="{rule}">', 1)


def _legend(lines: Sequence[Mapping[str, Any]]) -> str:
    kinds = dict.fromkeys((r.get("colour") or LINE, r["kind"]) for r in lines if r.get("kind"))
    marks = (f'<span style="color:{html.escape(c)}">━</span> {html.escape(k)} ' for c, k in kinds)
    return "".join(marks) + ("· " if kinds else "")


def _line(r: dict[str, Any]) -> folium.PolyLine:
    xy = [shapely.get_coordinates(part).round(4) for part in shapely.get_parts(r["geometry"])]
    return folium.PolyLine(
        [part[:, ::-1].tolist() for part in xy], color=r.get("colour") or LINE, weight=r.get("width_px") or 3,
        dash_array=r.get("dash") or None, tooltip=folium.Tooltip(literal(r["label"])),
    )  # fmt: skip


def _land(countries: gpd.GeoDataFrame, west: float, east: float) -> BaseGeometry:
    """Return the land as one geometry, once more on the next turn of the globe where lines reach it."""
    shapes = shapely.simplify(countries.geometry.to_numpy(), LAND_DEGREES)
    parts = shapely.get_parts(shapely.get_parts(shapes))
    parts = parts[(shapely.area(parts) > LAND_DEGREES**2) & (shapely.bounds(parts)[:, 3] > ANTARCTICA)]
    whole = shapely.set_precision(MultiPolygon(list(parts)), 0.01, mode="pointwise")
    turns = [0.0, *[360.0] * (east > 180), *[-360.0] * (west < -180)]
    return MultiPolygon([p for turn in turns for p in translate(whole, turn).geoms])


def literal(text: str) -> str:
    """Return text that may stand in what Folium writes into HTML and into scripts."""
    return html.escape(str(text)).translate(_REFERENCES)

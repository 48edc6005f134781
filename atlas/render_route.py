"""The map and page of a route: what the page's script draws, and where the marks of a route stand.

Longitudes are continuous along a route, so that a way across the Pacific is one line.
"""

from collections.abc import Sequence
from typing import Any

import folium
import numpy as np
import shapely
from folium.elements import MacroElement
from folium.template import Template
from markupsafe import Markup
from shapely.affinity import translate
from shapely.geometry import LineString
from shapely.geometry.base import BaseGeometry

from atlas.geo import parse_lonlat, unwrap
from atlas.halt_words import country_name
from atlas.render_arcs import encode
from atlas.render_data import Json, basemap, json_text
from atlas.render_ink import MAP_INK, PAPER, PURPLE
from atlas.render_map import MAP_OPTIONS, AtlasFigure, AtlasMap, count_ids
from atlas.render_route_words import place_name
from atlas.render_style import (
    ATTRIBUTION,
    MODE_STYLES,
    OTHER_WAY,
    Sample,
    closed_swatch,
    line_swatch,
    mode_swatch,
    shape_swatch,
)

LINE_DECIMALS = 4
BORDER_COLOUR = PURPLE
SHUT_COLOUR = "var(--map-soft, #66727F)"  # a passage that is not used unless opened
SHUT_DASH = (2, 4)
# Where the trade of continents meets: named before busier straits of one sea, in an order that leaves room for each of
# them on a wide window.
NAMED_FIRST = (
    "malacca", "hormuz", "suez", "singapore", "taiwan", "panama", "sunda", "gibraltar", "bab-el-mandeb",
)  # fmt: skip


class RouteData(MacroElement):
    """Starts the drawing of routes with the data that stands in the page."""

    _template = Template(
        """
        {% macro script(this, kwargs) %}
            var {{ this.get_name() }} = AtlasRoute.start(
                {{ this._parent.get_name() }}, "atlas-data", {{ this.start|tojson }}
            );
        {% endmacro %}
        """
    )

    def __init__(self, start: dict[str, Any]) -> None:
        super().__init__()
        self._name = "RouteData"
        self.start = start


def route_map(label: str, tiles: tuple[str, str] | None = None) -> AtlasFigure:
    """Return the figure that holds the map of routes; the same input gives the same bytes."""
    figure = AtlasFigure()
    figure.header._children.clear()  # the template has its own
    chart = AtlasMap(location=[20, 150], zoom_start=2, tiles=None, control_scale=True, prefer_canvas=True,
                     zoom_control=True, **MAP_OPTIONS)  # fmt: skip
    figure.add_child(chart)
    if tiles:
        chart.add_child(folium.TileLayer(tiles=tiles[0], attr=tiles[1], name="Online tiles", overlay=True, show=False))
        chart.add_child(folium.LayerControl(position="topleft"))
    about = str(Markup(" · ").join(who for _, who in ATTRIBUTION[:3]))
    chart.add_child(RouteData({"label": label[:200].replace("<", ""), "attribution": about}))
    count_ids(figure)
    return figure


def route_payload(
    routes: Sequence[Any], layers: Any, ends: tuple[str, str], close: Sequence[str] = (), pick: bool = False,
    open: Sequence[str] = (),
) -> Json:  # fmt: skip
    """Return all that a map of routes draws; `pick` adds every port and passage, to choose from."""
    ways = [_way(r, layers, ends) for r in routes if not r.line.is_empty]
    boxes = np.array([r.line.bounds for r in routes if not r.line.is_empty])
    alone = [] if ways or pick else _ends(ends, layers)
    if len(alone) == 2 and alone[0]["at"] != alone[1]["at"]:  # no way between them: show where they are
        xy = unwrap([end["at"] for end in alone])
        boxes = np.array([[*xy.min(axis=0), *xy.max(axis=0)]])
    closed, opened = ({c.lower() for c in ids} for ids in (close, open))
    shut = {str(i) for i, o in layers.passages["default_open"].items() if not o} - opened
    return {
        "land": basemap(layers),
        "modes": {mode: {"colour": c, "dash": d, "label": t} for mode, (c, d, t) in MODE_STYLES.items()},
        "other": OTHER_WAY,
        "border": BORDER_COLOUR,
        "unused": {"colour": SHUT_COLOUR, "dash": SHUT_DASH},
        "decimals": LINE_DECIMALS,
        "ways": ways,
        "ends": alone,
        "box": [*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist()] if len(boxes) else None,
        "closed": [
            _passage(str(i), row, i in shut) for i, row in layers.passages.iterrows() if i in closed
        ],
        "shut": [_spot(str(row["name"]), row["lon"], row["lat"]) for i, row in layers.ports.iterrows()
                 if str(i).lower() in closed],
        "ports": [{"id": str(i), **_spot(str(row["name"]), row["lon"], row["lat"])}
                  for i, row in layers.ports.iterrows()] if pick else [],
        "passages": [_passage(str(i), row, i in shut)
                     for i, row in layers.passages.iterrows() if i not in closed] if pick else [],
    }  # fmt: skip


def route_legend(pick: bool = False) -> dict[str, Any]:
    """Return the legend of the map of routes; `pick` where it shows every passage."""
    shut = [Sample(line_swatch(SHUT_COLOUR, SHUT_DASH, 2.2), "Passage shut unless opened")] if pick else []
    return {
        "modes": [Sample(mode_swatch(mode), label) for mode, (_, _, label) in MODE_STYLES.items()],
        "marks": [
            Sample(shape_swatch("circle", MAP_INK), "Start and end"),
            Sample(shape_swatch("square", PAPER, 5), "Port used"),
            Sample(shape_swatch("diamond", BORDER_COLOUR, 5), "Border crossed"),
            Sample(line_swatch(MAP_INK, (3, 2), 2.2), "Passage"),
            *shut,
            Sample(closed_swatch(), "Closed"),
        ],
        "other": Sample(line_swatch(OTHER_WAY, (), 2), "Other ways"),
    }


def data_text(payload: Json) -> Markup:
    """Return a payload as JSON that may stand in a page."""
    return Markup(json_text(payload))


def _ends(ends: tuple[str, str], layers: Any) -> list[Json]:
    """Return the places that are known among the ends."""
    found = []
    for text in ends:
        at = parse_lonlat(text) if "," in text else None
        for table in (layers.facilities, layers.ports, layers.markets):
            name = next((n for n in (text, text.lower(), text.upper()) if n in table.index), None)
            if at is None and name is not None:
                at = float(table.at[name, "lon"]), float(table.at[name, "lat"])
        if at is not None:
            found.append(_spot(place_name(text, layers), *at))
    return found


def _way(route: Any, layers: Any, ends: tuple[str, str]) -> Json:
    """Return lines and marks of one route."""
    legs = []
    for leg in route.legs:
        line = getattr(leg, "line", None)
        if line is not None and not line.is_empty:
            legs.append({"mode": leg.mode, "line": _encoded(line)})
    if not legs:  # a route that does not say which part is which
        modes = {leg.mode for leg in route.legs} - {"port"}
        legs = [{"mode": modes.pop() if len(modes) == 1 else "sea", "line": _encoded(route.line)}]
    xy = shapely.get_coordinates(route.line)
    marks = [
        {"kind": "end", **_spot(place_name(name, layers), *at)}
        for name, at in zip(ends, (xy[0], xy[-1]), strict=True)
    ]
    for name in route.ports:
        if name in layers.ports.index and name not in {e.upper() for e in ends}:
            row = layers.ports.loc[name]
            marks.append({"kind": "port", **_spot(str(row["name"]), row["lon"], row["lat"])})
    for name in route.passages:
        row = layers.passages.loc[name]
        at = _crossing(route.line, row.geometry)
        marks.append({"kind": "passage", **_passage(name, row), **_spot(str(row["name"]), *at)})
    for name in route.borders:
        found = _border(xy, name, layers)
        if found is not None:
            names = " – ".join(country_name(c, layers) for c in name.split("-"))
            marks.append({"kind": "border", **_spot(names, *found)})
    return {"legs": legs, "marks": marks}


def _encoded(line: LineString) -> str:
    return encode(shapely.get_coordinates(line), LINE_DECIMALS)


def _spot(name: str, lon: float, lat: float) -> Json:
    return {"name": name, "at": [round(float(lon), 4), round(float(lat), 4)]}


def _passage(name: str, row: Any, shut: bool = False) -> Json:
    """Return a passage with its rank for the space of labels; `shut` ones are not used unless opened."""
    rank = float(np.nan_to_num(float(row.get("transits_per_day") or 0.0)))
    rank = 10_000.0 * (len(NAMED_FIRST) - NAMED_FIRST.index(name)) if name in NAMED_FIRST else rank
    return {"name": str(row["name"]), "gates": _gates(row.geometry), "at": _middle(row.geometry), "rank": rank,
            "shut": shut}


def _gates(gate: BaseGeometry) -> list[Any]:
    lines = [shapely.get_coordinates(g) for g in shapely.get_parts(gate)]
    return [np.round(p, 3).tolist() for p in lines if len(p) > 1]


def _middle(gate: BaseGeometry) -> list[float]:
    """Return where the name of a gate stands: its middle, or the shore of one that runs to the ice."""
    xy = shapely.get_coordinates(shapely.get_parts(gate)[0])
    if np.abs(xy[:, 1]).max() > 55:
        return [round(float(v), 3) for v in xy[np.abs(xy[:, 1]).argmin()]]
    return [round(float(v), 3) for v in (xy[0] + xy[-1]) / 2]


def _crossing(line: LineString, gate: BaseGeometry) -> tuple[float, float]:
    """Return where a line meets a gate, whichever turn of the globe it is on; else the middle of the gate."""
    for turn in (0.0, 360.0, -360.0):
        met = line.intersection(translate(gate, turn))
        if not met.is_empty:
            x, y = shapely.get_coordinates(met)[0]
            return float(x), float(y)
    x, y = _middle(gate)
    return x, y


def _border(xy: np.ndarray, border: str, layers: Any) -> tuple[float, float] | None:
    """Return where a line passes from one country of a border into the other, None where it is not seen to."""
    sides = [layers.countries.geometry.get(c) for c in border.split("-")]
    if len(sides) != 2 or any(s is None for s in sides):
        return None
    lon = (xy[:, 0] + 180.0) % 360.0 - 180.0
    inside = [np.flatnonzero(shapely.contains_xy(s, lon, xy[:, 1])) for s in sides]
    steps: list[tuple[int, int, int]] = []  # how many points lie between, last point before, first point after
    for before, after in (inside, inside[::-1]):
        at = np.searchsorted(before, after) - 1
        steps += [(int(b - before[k]), int(before[k]), int(b)) for k, b in zip(at, after, strict=True) if k >= 0]
    if not steps:
        return None
    _, leave, enter = min(steps)
    middle = xy[leave : enter + 1].mean(axis=0)
    return float(middle[0]), float(middle[1])

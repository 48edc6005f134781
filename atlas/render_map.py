"""The Folium side: a map, layers and a layer control whose scripts are shipped and whose ids are counted.

Folium writes names, popups and properties as HTML; here only constants pass through it, and all data goes as JSON.
"""

from collections.abc import Sequence
from typing import Any

import folium
from branca.element import Element, Figure
from folium.elements import MacroElement
from folium.map import Layer
from folium.template import Template
from markupsafe import Markup

from atlas.render_style import (
    COLOURS,
    COMMODITIES,
    COMMODITY_LABELS,
    INK,
    PAPER,
    SHAPES,
    SLATE,
    STAGE_LABELS,
    STAGES,
    buyer_swatch,
    line_swatch,
    shape_swatch,
)

MAP_OPTIONS: dict[str, Any] = {
    "zoom_snap": 0.25,
    "zoom_delta": 0.5,
    "wheel_px_per_zoom_level": 90,
    "world_copy_jump": True,
    "max_zoom": 10,
    "min_zoom": 0.75,
    "max_bounds_viscosity": 1.0,
    "bounce_at_zoom_limits": False,
}


class AtlasFigure(Figure):
    """The page around the map: parts of it are put into the atlas's own template."""

    def parts(self) -> dict[str, Markup]:
        """Return what Folium made: `header`, `html` and `script`, as text that is safe as it stands."""
        for child in list(self._children.values()):
            child.render()
        return {
            "header": Markup(self.header.render()),
            "html": Markup(self.html.render()),
            "script": Markup(self.script.render()),
        }


class AtlasMap(folium.Map):
    """A Folium map without a tile layer and without files from other hosts.

    The template leaves out what stops people from zooming the page and sizes the map by the style sheet.
    """

    default_js: list[tuple[str, str]] = []
    default_css: list[tuple[str, str]] = []
    _template = Template(
        """
        {% macro html(this, kwargs) %}
            <div class="folium-map" id={{ this.get_name()|tojson }} role="application" aria-label="Map"></div>
        {% endmacro %}

        {% macro script(this, kwargs) %}
            var {{ this.get_name() }} = L.map(
                {{ this.get_name()|tojson }},
                {
                    center: {{ this.location|tojson }},
                    crs: L.CRS.{{ this.crs }},
                    ...{{ this.options|tojavascript }}
                }
            );
            {%- if this.control_scale %}
            L.control.scale({maxWidth: 120, imperial: false}).addTo({{ this.get_name() }});
            {%- endif %}
        {% endmacro %}
        """
    )


class AtlasData(MacroElement):
    """Starts the drawing with the data that stands in the page; `drawer` is the script's object that draws it."""

    _template = Template(
        """
        {% macro script(this, kwargs) %}
            var {{ this.get_name() }} = {{ this.drawer }}.start(
                {{ this._parent.get_name() }}, "atlas-data", {{ this.start|tojson }}
            );
        {% endmacro %}
        """
    )

    def __init__(self, start: dict[str, Any], drawer: str = "Atlas") -> None:
        super().__init__()
        self._name = "AtlasData"
        self.start, self.drawer = start, drawer


class AtlasLayer(Layer):
    """One thing that can be switched on and off: a stage, a commodity, ports, passages, labels."""

    _template = Template(
        """
        {% macro script(this, kwargs) %}
            var {{ this.get_name() }} = {{ this.data.get_name() }}.layer({{ this.kind|tojson }}, {{ this.key|tojson }});
        {% endmacro %}
        """
    )

    def __init__(self, data: AtlasData, kind: str, key: str, name: str, show: bool = True) -> None:
        super().__init__(name=name, overlay=True, control=True, show=show)
        self._name = "AtlasLayer"
        self.data, self.kind, self.key = data, kind, key


class AtlasReady(MacroElement):
    """Tells the page's script that all layers stand and which element is the layer control."""

    _template = Template(
        """
        {% macro script(this, kwargs) %}
            {{ this.data.get_name() }}.ready({{ this.control.get_name() }});
        {% endmacro %}
        """
    )

    def __init__(self, data: AtlasData, control: folium.LayerControl) -> None:
        super().__init__()
        self._name = "AtlasReady"
        self.data, self.control = data, control


def build(
    start: dict[str, Any], tiles: tuple[str, str] | None = None, buyers: bool = False, added: Sequence[Element] = ()
) -> AtlasFigure:
    """Return the figure that holds the map and its layers; `tiles` is (address, attribution) of an optional background.

    `buyers` adds a layer for those of a scenario, `added` what a user lays over the map. Same input, same bytes: ids
    are counted once the tree stands.
    """
    figure = AtlasFigure()
    figure.header._children.clear()  # the template has its own
    chart = AtlasMap(
        location=[20, 150],
        zoom_start=2,
        tiles=None,
        control_scale=True,
        prefer_canvas=True,
        zoom_control=True,
        **MAP_OPTIONS,
    )
    figure.add_child(chart)
    data = AtlasData(start)
    chart.add_child(data)
    for layer in _layers(data, buyers):
        chart.add_child(layer)
    if tiles:
        chart.add_child(folium.TileLayer(tiles=tiles[0], attr=tiles[1], name="Online tiles", overlay=True, show=False))
    control = folium.LayerControl(collapsed=False)
    chart.add_child(control)
    chart.add_child(AtlasReady(data, control))
    for element in added:
        chart.add_child(element)
    count_ids(figure)
    return figure


def _layers(data: AtlasData, buyers: bool) -> list[AtlasLayer]:
    """Return the layers in the order the control lists them, each named by its symbol and a word."""
    found = [
        AtlasLayer(data, "flow", c, line_swatch(COLOURS[c], (), 4) + " " + COMMODITY_LABELS[c]) for c in COMMODITIES
    ]
    # Drawn in this order: symbols of facilities lie above ports and passages.
    found += [
        AtlasLayer(data, "ports", "", shape_swatch("square", PAPER, 4) + " Ports"),
        AtlasLayer(data, "passages", "", line_swatch(INK, (3, 2), 2) + " Passages"),
        AtlasLayer(data, "stage", "demand", shape_swatch("cross", COLOURS["demand"]) + " Demand points"),
        AtlasLayer(data, "stage", "idle", shape_swatch("circle", SLATE, hollow=True) + " Not running", False),
    ]
    found += [AtlasLayer(data, "stage", s, shape_swatch(SHAPES[s], COLOURS[s]) + " " + STAGE_LABELS[s]) for s in STAGES]
    if buyers:
        found.append(AtlasLayer(data, "stage", "buyer", buyer_swatch("met", 6) + " Your buyers"))
    found.append(AtlasLayer(data, "labels", "", "Country names"))
    return found


def count_ids(root: Element) -> None:
    """Replace Folium's random ids by counted ones."""
    number = 0
    stack: list[Element] = [root]
    while stack:
        element = stack.pop()
        element._id = f"{number:03d}"
        number += 1
        stack.extend(reversed(list(element._children.values())))

"""Colours, dashes, widths and sizes of print maps: those of `render_style`, as plain colours and points, or in grey.

A page's colours are variables with a value for pages without a style sheet; paper takes that value. Widths are in
points (1/72 inch). In grey, kinds are told by darkness and dash, which differ for all of them.
"""

import math
import re
from dataclasses import dataclass

from atlas import render_style as style

Dash = tuple[float, ...]

OCEAN, LAND, BORDER, GRATICULE = "#EAF1F5", "#FBFAF7", "#C9CCC8", "#D3DFE6"
ALLY, HALTED, COAST = "#E3EDE4", "#F3D3CA", "#A9B4BA"
WHITE = "#FFFFFF"
# the same in grey
GREY_LAND = {OCEAN: "#F1F1F1", LAND: "#FFFFFF", BORDER: "#C8C8C8", GRATICULE: "#DDDDDD", ALLY: "#E9E9E9",
             HALTED: "#D2D2D2", COAST: "#A4A4A4"}  # fmt: skip

WIDTH_LEAST_PT, WIDTH_AT_100_KT_PT = 0.28, 8.5
KEPT_MOST_PT = 1.0
RADIUS_LEAST_PT, RADIUS_AT_100_KT_PT = 1.9, 7.5

# kind or commodity -> dash in points; colour comes from `render_style`
DASHES: dict[str, Dash] = {
    "lost": (1.6, 1.6),
    "reduced": (5.0, 1.8),
    "new-ally": (7.0, 1.6, 1.4, 1.6),
    "new-other": (7.0, 1.6, 1.4, 1.6),
    "via": (3.0, 1.5),
    "other": (6.0, 1.6),
}
# key -> (lightness 0 black to 1 white, dash) in grey
GREYS: dict[str, tuple[float, Dash]] = {
    "lost": (0.0, (1.4, 1.6)),
    "reduced": (0.35, (5.0, 1.8)),
    "kept": (0.72, ()),
    "grown-ally": (0.0, ()),
    "new-ally": (0.0, (8.0, 1.6)),
    "grown-other": (0.5, ()),
    "new-other": (0.5, (8.0, 1.6, 1.4, 1.6)),
    "via": (0.2, (3.0, 1.5)),
    "ally": (0.0, ()),
    "other": (0.5, (6.0, 1.6)),
    "concentrate": (0.82, ()),
    "oxide": (0.62, ()),
    "metal": (0.4, ()),
    "magnet": (0.0, ()),
    "scrap": (0.5, (2.5, 1.2)),
    "mine": (0.85, ()),
    "separation": (0.62, ()),
    "recycling": (0.5, ()),
    "demand": (0.3, ()),
    "buyer": (1.0, ()),
}


def plain(colour: str) -> str:
    """Return the hex colour of `var(--name, #HEX)` or of a hex colour itself."""
    found = re.search(r"#[0-9A-Fa-f]{6}", colour)
    if found is None:
        raise ValueError(f"no colour in {colour!r}")
    return found.group()


INK, SOFT = plain(style.INK), plain(style.SLATE)
STOP = plain(style.HALT)


@dataclass(frozen=True)
class Ink:
    """The looks of one figure, in colour or in grey; `scale` is 1 on A4 and multiplies type and lines."""

    grey: bool = False
    scale: float = 1.0

    def pt(self, points: float) -> float:
        """Return a length of an A4 page as it is on this paper."""
        return points * self.scale

    def width(self, tonnes: float) -> float:
        """Return the width in points of a flow of so many tonnes a year."""
        return width_pt(tonnes) * self.scale

    def radius(self, tonnes: float) -> float:
        """Return the radius in points of a facility with so much output."""
        return radius_pt(tonnes) * self.scale

    def ground(self, colour: str) -> str:
        """Return a colour of the basemap."""
        return GREY_LAND[colour] if self.grey else colour

    def colour(self, key: str) -> str:
        """Return the colour of a kind of change, a commodity, a source (ally, other) or a stage."""
        if self.grey:
            level = round(255 * GREYS[key][0])
            return f"#{level:02X}{level:02X}{level:02X}"
        if key == "via":
            return plain(style.VIA[0])
        found = style.CHANGES.get(key) or style.SOURCES.get(key) or (style.COLOURS.get(key, ""),)
        return plain(found[0])

    def dash(self, key: str) -> Dash:
        """Return the dash of a kind in points on and off, empty for a whole line."""
        return tuple(self.scale * v for v in (GREYS[key][1] if self.grey else DASHES.get(key, ())))

    @property
    def stop(self) -> str:
        """The colour of what is halted; its cross tells it as well."""
        return "#000000" if self.grey else STOP


def label(key: str) -> str:
    """Return the words of a kind of change, a commodity or a source in a legend."""
    if key == "via":
        return style.VIA[2]
    if key in style.SOURCES:
        return style.SOURCES[key][1]
    return style.CHANGES[key][2] if key in style.CHANGES else style.COMMODITY_LABELS[key]


def width_pt(tonnes: float) -> float:
    """Return the width of so many tonnes a year: it grows with the square root."""
    return max(WIDTH_LEAST_PT, WIDTH_AT_100_KT_PT * math.sqrt(max(tonnes, 0.0) / 100_000))


def radius_pt(tonnes: float) -> float:
    """Return the radius of a facility with so much output: its area grows with the output."""
    return max(RADIUS_LEAST_PT, RADIUS_AT_100_KT_PT * math.sqrt(max(tonnes, 0.0) / 100_000))

"""How things look: colours, shapes, dashes and widths, in one place for the map, its legend and its layer control.

Colours are near those of Okabe and Ito, told apart with any common colour blindness; nothing is told by colour alone.
They are variables of `static/atlas.css`, lighter on a dark ground; the second value is for pages without it.
"""

import math
from dataclasses import dataclass

from markupsafe import Markup

ORANGE, SKY = "var(--tone-orange, #E69F00)", "var(--tone-sky, #56B4E9)"
BLUE, PURPLE = "var(--tone-blue, #0072B2)", "var(--tone-purple, #B6507F)"
GREEN, VERMILION = "var(--tone-green, #009E73)", "var(--tone-vermilion, #C43B00)"
BROWN, VIOLET = "var(--tone-brown, #D55E00)", "var(--tone-violet, #8A3F86)"
GREY, SLATE = "var(--tone-grey, #9AA3AE)", "var(--tone-slate, #4A5764)"
INK, PAPER, HALT = "var(--map-ink, #1F2933)", "var(--paper, #FFFFFF)", "var(--halt, #C00000)"

STAGES = ("mine", "separation", "metal", "magnet", "recycling")
COMMODITIES = ("concentrate", "oxide", "metal", "magnet", "scrap")

# stage or commodity -> colour; a stage has the colour of what it makes
COLOURS = {
    "mine": ORANGE,
    "separation": SKY,
    "metal": BLUE,
    "magnet": PURPLE,
    "recycling": GREEN,
    "concentrate": ORANGE,
    "oxide": SKY,
    "scrap": GREEN,
    "demand": SLATE,
    "buyer": PAPER,
}
SHAPES = {
    "mine": "triangle",
    "separation": "square",
    "metal": "diamond",
    "magnet": "circle",
    "recycling": "pentagon",
    "demand": "cross",
    "buyer": "star",
}
STAGE_LABELS = {
    "mine": "Mines",
    "separation": "Separation",
    "metal": "Metal and alloy",
    "magnet": "Magnet makers",
    "recycling": "Recycling",
}
COMMODITY_LABELS = {
    "concentrate": "Concentrate",
    "oxide": "Oxide",
    "metal": "Metal and alloy",
    "magnet": "Magnets",
    "scrap": "Scrap",
}
COMMODITY_UNITS = {
    "concentrate": "t REO",
    "oxide": "t oxide",
    "metal": "t metal",
    "magnet": "t magnets",
    "scrap": "t REO in scrap",
}

# kind of change on a stretch: colour, dash in pixels, label
CHANGES: dict[str, tuple[str, tuple[int, ...], str]] = {
    "lost": (VERMILION, (2, 5), "Lost: nothing left"),
    "reduced": (ORANGE, (9, 4), "Reduced"),
    "kept": (GREY, (), "Kept"),
    "grown-ally": (BLUE, (), "Grown, allied source"),
    "new-ally": (BLUE, (13, 4, 3, 4), "New, allied source"),
    "grown-other": (VIOLET, (), "Grown, other source"),
    "new-other": (VIOLET, (13, 4, 3, 4), "New, other source"),
}
SOURCES = {"ally": (BLUE, "Allied source"), "other": (BROWN, "Other source")}
VIA = (INK, (6, 3), "Round a ban, by a third country")  # in every view, beside its kind or commodity
# state of a scenario's buyer: colour, part of the star that is filled, label
BUYERS: dict[str, tuple[str, float, str]] = {
    "met": (BLUE, 1.0, "Buyer, met"),
    "part": (ORANGE, 0.5, "Buyer, part short"),
    "none": (VERMILION, 0.0, "Buyer, gets nothing"),
}

# mode of a leg: colour, dash in pixels, label; port handling has no line
MODE_STYLES: dict[str, tuple[str, tuple[int, ...], str]] = {
    "sea": (BLUE, (), "Sea"),
    "rail": (VERMILION, (9, 3), "Rail"),
    "road": (GREEN, (3, 3), "Road"),
    "air": (VIOLET, (12, 4, 2, 4), "Air"),
}
MODE_LABELS = {mode: label for mode, (_, _, label) in MODE_STYLES.items()}
OTHER_WAY = "#7A8590"  # ways that are not chosen: grey, thin, with the dash of their mode

WIDTH_MIN_PX, WIDTH_AT_100_KT_PX = 0.7, 18.0
RADIUS_MIN_PX, RADIUS_AT_100_KT_PX = 3.2, 16.0

ATTRIBUTION = (
    ("Land routes", "© OpenStreetMap contributors, ODbL 1.0"),
    ("Sea routes", "searoute (Apache-2.0), from Eurostat SeaRoute (EUPL-1.2) and Oak Ridge"),
    ("Countries", "Natural Earth, public domain"),
    ("Map", "Leaflet, Folium"),
)


@dataclass(frozen=True)
class Sample:
    """One line of a legend: a drawing and what it means."""

    swatch: Markup
    label: str
    group: str = ""


def width_px(tonnes: float) -> float:
    """Return the width of a flow of so many tonnes a year: it grows with the square root."""
    return max(WIDTH_MIN_PX, WIDTH_AT_100_KT_PX * math.sqrt(max(tonnes, 0.0) / 100_000))


def radius_px(tonnes: float) -> float:
    """Return the radius of a facility with so much output: its area grows with the output."""
    return max(RADIUS_MIN_PX, RADIUS_AT_100_KT_PX * math.sqrt(max(tonnes, 0.0) / 100_000))


def line_swatch(colour: str, dash: tuple[int, ...] = (), width: float = 3.0) -> Markup:
    """Return a short line as SVG; attributes, not styles, so that a strict policy lets it pass."""
    pattern = Markup(' stroke-dasharray="{}"').format(" ".join(map(str, dash))) if dash else ""
    height = max(12, math.ceil(width) + 2)
    return Markup(
        '<svg class="swatch" width="34" height="{h}" viewBox="0 0 34 {h}" aria-hidden="true" focusable="false">'
        '<path d="M1 {m}H33" fill="none" stroke="{c}" stroke-width="{w}"{p}/></svg>'
    ).format(h=height, m=height / 2, c=colour, w=round(width, 1), p=pattern)


def mode_swatch(mode: str) -> Markup:
    """Return the line of a mode of transport as SVG."""
    colour, dash, _ = MODE_STYLES[mode]
    return line_swatch(colour, dash, 3.5)


def closed_swatch() -> Markup:
    """Return the sign of what is halted or closed as SVG."""
    return Markup(
        '<svg class="swatch" width="22" height="18" viewBox="0 0 22 18" aria-hidden="true" focusable="false">'
        '<circle cx="11" cy="9" r="7" fill="none" stroke="{h}" stroke-width="2.2"/>'
        '<path d="M6 4L16 14" stroke="{h}" stroke-width="2.2"/></svg>'
    ).format(h=HALT)


def shape_swatch(shape: str, colour: str, radius: float = 6.0, hollow: bool = False) -> Markup:
    """Return a facility's symbol as SVG."""
    size = math.ceil(2 * radius + 4)
    c = size / 2
    stroke = INK if not hollow else colour
    fill = colour if not hollow else PAPER
    body = {
        "circle": Markup('<circle cx="{c}" cy="{c}" r="{r}"').format(c=c, r=radius * 0.9),
        "cross": Markup('<path d="M{a} {c}H{b}M{c} {a}V{b}"').format(a=c - radius * 0.8, b=c + radius * 0.8, c=c),
    }.get(shape)
    if body is None:
        points = " ".join(f"{c + radius * x:.2f},{c + radius * y:.2f}" for x, y in polygon(shape))
        body = Markup('<polygon points="{}"').format(points)
    return Markup(
        '<svg class="swatch" width="{s}" height="{s}" viewBox="0 0 {s} {s}" aria-hidden="true" focusable="false">'
        '{b} fill="{f}" stroke="{k}" stroke-width="{w}"/></svg>'
    ).format(s=size, b=body, f=fill, k=stroke, w=2.2 if shape == "cross" else 1)


def buyer_swatch(state: str, radius: float = 7.0) -> Markup:
    """Return the star of a buyer as SVG: whole, half or not filled."""
    colour, part, _ = BUYERS[state]
    c = radius * 1.4 + 1.5
    points = [(c + radius * x, c + radius * y) for x, y in polygon("star")]
    half = [*points[5:], points[0]]  # its left side
    outline, inside = (" ".join(f"{x:.2f},{y:.2f}" for x, y in p) for p in (points, points if part == 1 else half))
    fill = Markup('<polygon points="{}" fill="{}"/>').format(inside, colour) if part else Markup("")
    return Markup(
        '<svg class="swatch" width="{s}" height="{s}" viewBox="0 0 {s} {s}" aria-hidden="true" focusable="false">'
        '<polygon points="{o}" fill="{w}"/>{f}'
        '<polygon points="{o}" fill="none" stroke="{k}" stroke-width="1.3"/></svg>'
    ).format(s=round(2 * c, 1), o=outline, f=fill, w=PAPER, k=INK if part else colour)


def polygon(shape: str) -> list[tuple[float, float]]:
    """Return the corners of a symbol around (0, 0) with about the area of a unit circle, y downwards.

    A star's first corner is its top, its sixth the notch at its foot.
    """
    if shape == "star":
        turns = [(k, math.pi * (k / 5 - 0.5)) for k in range(10)]
        return [(round((0.62, 1.4)[k % 2 == 0] * math.cos(t), 3), round((0.62, 1.4)[k % 2 == 0] * math.sin(t), 3))
                for k, t in turns]  # fmt: skip
    corners, turn, reach = {"triangle": (3, 0.0, 1.3), "square": (4, 0.125, 1.2), "diamond": (4, 0.0, 1.25)}.get(
        shape, (5, 0.0, 1.12)
    )
    angles = [2 * math.pi * (k / corners + turn) - math.pi / 2 for k in range(corners)]
    return [(round(reach * math.cos(t), 3), round(reach * math.sin(t), 3)) for t in angles]


def style_sheet() -> dict[str, object]:
    """Return what the page's script needs to draw with the same looks."""
    return {
        "colours": COLOURS,
        "shapes": {stage: (polygon(s) if s not in ("circle", "cross") else s) for stage, s in SHAPES.items()},
        "stages": STAGES,
        "stageLabels": STAGE_LABELS,
        "commodities": COMMODITIES,
        "commodityLabels": COMMODITY_LABELS,
        "commodityUnits": COMMODITY_UNITS,
        "changes": {k: {"colour": c, "dash": d, "label": t} for k, (c, d, t) in CHANGES.items()},
        "via": {"colour": VIA[0], "dash": VIA[1], "label": VIA[2]},
        "buyers": {k: {"colour": c, "part": p, "label": t} for k, (c, p, t) in BUYERS.items()},
        "sources": {k: {"colour": c, "label": t} for k, (c, t) in SOURCES.items()},
        "width": [WIDTH_MIN_PX, WIDTH_AT_100_KT_PX],
        "radius": [RADIUS_MIN_PX, RADIUS_AT_100_KT_PX],
    }


def legend() -> dict[str, list[Sample]]:
    """Return the legend's samples by group."""
    return {
        "changes": [Sample(line_swatch(c, d, 3.5), t) for c, d, t in CHANGES.values()],
        "sources": [Sample(line_swatch(c, (), 3.5), t) for c, t in SOURCES.values()],
        "via": [Sample(line_swatch(VIA[0], VIA[1], 3.5), VIA[2])],
        "buyers": [Sample(buyer_swatch(k), t) for k, (_, _, t) in BUYERS.items()],
        "commodities": [Sample(line_swatch(COLOURS[c], (), 3.5), COMMODITY_LABELS[c]) for c in COMMODITIES],
        "widths": [Sample(line_swatch(SLATE, (), width_px(t)), f"{t:,} t") for t in (1_000, 10_000, 100_000)],
        "sizes": [
            Sample(shape_swatch("circle", PAPER, radius_px(t)), f"{t:,} t") for t in (1_000, 10_000, 100_000)
        ],
    }

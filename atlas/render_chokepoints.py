"""What the page of chokepoints shows: bars of what costs most, a Folium map of the losses, rows of the tables."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pandas as pd
import shapely
from markupsafe import Markup

from atlas.chokepoint_words import LEAST_T, percent
from atlas.chokepoints import WorstSets
from atlas.halt_words import country_name
from atlas.layers import Layers
from atlas.losses import Lens
from atlas.render_data import Json, basemap
from atlas.render_ink import AMBER, BLUE, GREEN, GREY, INK, PURPLE, SKY, SOFT, VERMILION, VIOLET
from atlas.render_ink import TINTS as LOSS_TINTS
from atlas.render_map import MAP_OPTIONS, AtlasData, AtlasFigure, AtlasMap, count_ids
from atlas.render_style import ATTRIBUTION, Sample, line_swatch, polygon, shape_swatch
from atlas.singles import Singles

# kind: symbol, colour (told apart with any common colour blindness), word in the singular
LOOKS: dict[str, tuple[str, str, str]] = {
    "facility": ("circle", BLUE, "facility"),
    "port": ("square", SKY, "port"),
    "passage": ("diamond", PURPLE, "passage"),
    "border": ("cross", GREY, "border"),
    "exports": ("triangle", AMBER, "exports of a country"),
    "production": ("star", VERMILION, "all production of a country"),
    "stage": ("pentagon", GREEN, "a stage of a country"),
}
PASSED: tuple[str, ...] = ("passage", "port", "border")  # what material only passes through
DAYS = VIOLET
BARS = 15
# Least extra spending and days that are drawn.
LEAST_USD, LEAST_DAYS = 500.0, 0.005
# Countries by the part of the supply that is lost with their exports or their production: from, colour.
TINTS = tuple(zip((0.0005, 0.01, 0.1, 0.3), LOSS_TINTS, strict=True))
RADIUS_PX = (3.0, 20.0)  # of what costs no supply, and of the largest loss
WIDTH_PX = (2.2, 9.0)  # of a gate that costs nothing to go round, and of the dearest
COORDINATES = 3


@dataclass(frozen=True)
class Layout:
    """Measures of a plot: whole width, where bars begin and end, height of a row, where the second bars begin and end.

    `above` puts labels above their bars; `chars` is the longest label.
    """

    name: str
    width: int
    left: int
    right: int
    row: int
    second: tuple[int, int]
    above: bool
    chars: int


WIDE = Layout("wide", 1000, 370, 830, 26, (790, 930), False, 46)
NARROW = Layout("narrow", 350, 8, 222, 46, (196, 290), True, 44)


def figure(label: str) -> AtlasFigure:
    """Return the figure that holds the map; the same input gives the same bytes."""
    made = AtlasFigure()
    made.header._children.clear()  # the template has its own
    chart = AtlasMap(location=[20, 100], zoom_start=2, tiles=None, control_scale=True, prefer_canvas=True,
                     zoom_control=True, **MAP_OPTIONS)  # fmt: skip
    made.add_child(chart)
    about = str(Markup(" · ").join(who for _, who in ATTRIBUTION[:3]))
    chart.add_child(AtlasData({"label": label[:200].replace("<", ""), "attribution": about}, "AtlasChokepoints"))
    count_ids(made)
    return made


def loss_plot(table: pd.DataFrame, look: Lens, layout: Layout = WIDE) -> Markup:
    """Return bars of the supply lost with each of the first things of a ranking; empty where nothing is lost."""
    rows = table[table["lost_t"] >= LEAST_T].head(BARS)
    if not len(rows):
        return Markup("")
    most = float(rows["lost_t"].max())
    parts, y = [], 4.0
    for r in rows.itertuples():
        width = max(1.0, (layout.right - layout.left) * r.lost_t / most)
        said = f"{percent(r.lost_share)} · {_tonnes(r.lost_t)}"
        parts.append(_row(layout, y, str(r.kind), str(r.name), f"{r.name}: {said}", [(layout.left, width, "", said)]))
        y += layout.row
    title = f"What costs {look.bloc} most to lose: {look.unit} a year, and the part of its supply"
    said = "; ".join(f"{r.name} {_tonnes(r.lost_t)}" for r in rows.itertuples())
    return _svg(f"losses-{layout.name}", layout, y + 6, title, said, parts)


def detours(table: pd.DataFrame) -> pd.DataFrame:
    """Return the passages, ports and borders that cost most to go round: spending first, then days."""
    part = table[table["kind"].isin(PASSED)]
    part = part[(part["extra_spend_usd"] >= LEAST_USD) | (part["extra_days"] >= LEAST_DAYS)]
    return part.sort_values(["extra_spend_usd", "extra_days", "id"], ascending=[False, False, True]).head(BARS)


def detour_plot(table: pd.DataFrame, look: Lens, layout: Layout = WIDE) -> Markup:
    """Return bars of extra spending and extra days without each passage, port or border; empty where none costs."""
    rows = detours(table)
    if not len(rows):
        return Markup("")
    spend = max(float(rows["extra_spend_usd"].max()), LEAST_USD)
    days = max(float(rows["extra_days"].abs().max()), LEAST_DAYS)
    first, last = layout.left, layout.second[0] - (110 if not layout.above else 78)
    heads = ("million USD a year", "days") if layout.above else ("extra spending, million USD a year", "extra days")
    parts = [_text(x, 14, head, SOFT, size=12) for x, head in zip((first, layout.second[0]), heads, strict=True)]
    y, told = 22.0, []
    for r in rows.itertuples():
        usd, more = float(r.extra_spend_usd), float(r.extra_days)
        long = max(1.0, (last - first) * max(usd, 0.0) / spend)
        late = max(1.0, (layout.second[1] - layout.second[0]) * max(more, 0.0) / days)
        bars = [(first, long, "", _signed(usd / 1e6)), (layout.second[0], late, DAYS, _signed(more))]
        title = f"{r.name}: {_signed(usd / 1e6)} million USD, {_signed(more)} days"
        parts.append(_row(layout, y, str(r.kind), str(r.name), title, bars))
        y += layout.row
        told.append(title)
    title = f"What costs {look.bloc} most to go round: spending and days beside the baseline"
    return _svg(f"detours-{layout.name}", layout, y + 6, title, "; ".join(told), parts)


def plot_legend(kinds: Sequence[str]) -> list[Sample]:
    """Return the symbols of kinds with their words."""
    return [Sample(shape_swatch(*LOOKS[k][:2]), LOOKS[k][2]) for k in LOOKS if k in kinds]


def single_rows(found: Singles, table: pd.DataFrame, bloc: str) -> list[dict[str, Any]]:
    """Return the rows of the table of singles but those that provably cost nothing: [text, number to sort by]."""
    layers = found.study.layers
    halts = {c.id: c.halts for c in found.candidates}
    rows = []
    for n, r in enumerate(table.itertuples(), start=1):
        if r.proved_nil:
            continue
        rows.append({
            "rank": n, "name": capital(str(r.name)), "href": map_address(halts[str(r.id)], bloc),
            "kind": str(r.kind),
            "country": _countries(str(r.country), layers), "why": r.replaced_by,
            "cells": [
                _cell(r.through_t), _cell(r.lost_t), _share(r), _cell(r.short_t), _cell(r.world_short_t), *_extra(r),
            ],
        })  # fmt: skip
    return rows


def set_rows(found: WorstSets) -> list[dict[str, Any]]:
    """Return the rows of the table of sets."""
    look = found.question.lens
    halts = {c.id: c.halts for c in found.question.candidates}
    return [
        {
            "rank": n,
            "names": [capital(str(x)) for x in r.names],
            "href": map_address([h for i in r.members for h in halts[i]], look.bloc),
            "proved": bool(r.proved),
            "cells": [
                (f"{r.v_rise_usd / 1e9:,.2f}", f"{r.v_rise_usd:.0f}"), _cell(r.short_t), _cell(r.lost_t), _share(r),
                _cell(r.stepped_t), _cell(r.world_short_t), *_extra(r),
            ],
        }
        for n, r in enumerate(found.table.itertuples(), start=1)
    ]  # fmt: skip


def map_address(halts: Sequence[str], bloc: str) -> str:
    """Return the address of the map of what is left without `halts`."""
    own = [("bloc", bloc)] if bloc != "us-allies" else []
    return "/map?" + urlencode([("halt", h) for h in sorted(set(halts))] + own)


def map_payload(found: Singles, look: Lens, table: pd.DataFrame) -> Json:
    """Return all that the map draws: countries with their tint, gates, places, each with its facts as text."""
    layers = found.study.layers
    busy = table[~table["proved_nil"]]
    rank = {str(r.id): n for n, r in enumerate(table.itertuples(), start=1)}
    most = max(float(busy["lost_t"].max()) if len(busy) else 0.0, LEAST_T)
    passed = busy[busy["kind"].isin(PASSED)]
    dearest = max(float(passed["extra_spend_usd"].max()) if len(passed) else 0.0, LEAST_USD)

    def told(r: Any) -> Json:
        return {"name": capital(str(r.name)), "kind": str(r.kind), "facts": facts(r, look, rank[str(r.id)])}

    places, gates = [], []
    posts = found.study.router.network.border_points() if (busy["kind"] == "border").any() else {}
    for r in busy.itertuples():
        target = str(r.id).partition(":")[2]
        thin, wide = WIDTH_PX
        width = round(thin + (wide - thin) * math.sqrt(min(max(r.extra_spend_usd / dearest, 0.0), 1.0)), 1)
        radius = _radius(float(r.lost_t), most)
        if r.kind in ("facility", "port"):
            at = (layers.facilities if r.kind == "facility" else layers.ports).geometry[target]
            places.append({**told(r), "at": _at(at), "r": radius, "lost": bool(r.lost_t >= LEAST_T)})
        elif r.kind == "border" and target in posts and (r.lost_t >= LEAST_T or r.extra_spend_usd >= LEAST_USD):
            at = np.round(posts[target], COORDINATES).tolist()
            gates.append({**told(r), "lines": [], "posts": at, "width": width, "r": radius})
        elif r.kind == "passage":
            lines = [shapely.get_coordinates(g) for g in shapely.get_parts(layers.passages.geometry[target])]
            gates.append({**told(r), "lines": [np.round(p, COORDINATES).tolist() for p in lines if len(p) > 1],
                          "posts": [], "width": width, "r": radius})  # fmt: skip
    return {
        "land": basemap(layers),
        "allies": sorted(look.countries),
        "tints": [c for _, c in TINTS],
        "countries": _tinted(busy, look, rank, layers),
        "looks": {k: {"shape": s if s in ("circle", "cross") else polygon(s), "colour": c}
                  for k, (s, c, _) in LOOKS.items()},
        "gates": gates,
        "places": sorted(places, key=lambda p: -p["r"]),
    }  # fmt: skip


def facts(r: Any, look: Lens, rank: int) -> list[list[str]]:
    """Return a row of the ranking as [what, figure] in words."""
    told = [
        ["Rank", str(rank)],
        ["What", LOOKS[str(r.kind)][2] + (f", {r.stage}" if r.stage and r.kind == "facility" else "")],
        *([["Makes or carries now", f"{_tonnes(r.through_t)} a year"]] if math.isfinite(r.through_t) else []),
        ["Lost to the bloc", f"{_tonnes(r.lost_t)} ({_share(r)[0]})"],
        ["Magnets short in it", _tonnes(r.short_t)],
        ["Extra spending", f"{_extra(r)[0][0]} million USD a year"],
        ["Extra days", _extra(r)[1][0]],
    ]
    return [*told, ["Replaced by", str(r.replaced_by)]] if r.replaced_by else told


def map_legend(look: Lens, table: pd.DataFrame) -> list[Sample]:
    """Return what the symbols, widths and tints of the map mean."""
    most = max(float(table["lost_t"].max()) if len(table) else 0.0, LEAST_T)
    colour = LOOKS["facility"][1]
    steps = [s for s in (_even(most), _even(most / 10)) if s >= 1]
    sizes = [Sample(shape_swatch("circle", colour, _radius(s, most)), f"{s:,.0f} t lost") for s in dict.fromkeys(steps)]
    found = [
        *sizes,
        Sample(shape_swatch("circle", colour, RADIUS_PX[0], hollow=True), "facility, no supply lost"),
        Sample(shape_swatch("square", LOOKS["port"][1], 5), "port"),
        Sample(line_swatch(LOOKS["passage"][1], (), 5), "passage: wide where dear to go round"),
        Sample(shape_swatch("cross", LOOKS["border"][1], 5), "border post"),
    ]
    bounds = [f for f, _ in TINTS]
    for n, (low, tint) in enumerate(TINTS):
        text = f"{100 * low:g} to {100 * bounds[n + 1]:g} %" if n + 1 < len(bounds) else f"{100 * low:g} % and more"
        found.append(Sample(line_swatch(tint, (), 11), text))
    return [*found, Sample(line_swatch("var(--land-ally, #DDE9EE)", (), 11), look.bloc)]


def capital(text: str) -> str:
    """Return a text with a large first letter."""
    return text[:1].upper() + text[1:]


def _tinted(busy: pd.DataFrame, look: Lens, rank: Mapping[str, int], layers: Layers) -> list[Json]:
    """Return countries whose exports or production cost the bloc supply, with the class of the larger loss."""
    hit = busy[busy["kind"].isin(("exports", "production"))]
    found = []
    for c, rows in hit.groupby("country", sort=True):
        share = float(rows["lost_share"].max())
        level = sum(share >= low for low, _ in TINTS) - 1
        if level < 0:
            continue
        told: list[list[str]] = []
        for r in rows.sort_values("kind").itertuples():
            word = "Without its exports" if r.kind == "exports" else "Without its production"
            told.append([word, f"{_tonnes(r.lost_t)} lost ({percent(r.lost_share)}), rank {rank[str(r.id)]}"])
            told.append(["", str(r.replaced_by)])
        found.append({"id": str(c), "name": country_name(str(c), layers), "level": level, "share": percent(share),
                      "facts": [f for f in told if f[1]]})  # fmt: skip
    return found


def _row(
    layout: Layout, y: float, kind: str, name: str, title: str, bars: Sequence[tuple[float, float, str, str]]
) -> Markup:
    """Return one thing with its symbol, its name and its bars: (from, width, colour, figure); no colour: its kind's."""
    shape, colour, _ = LOOKS[kind]
    label = capital(name if len(name) <= layout.chars else name[: layout.chars - 1].rstrip(" ,-–") + "…")
    bar = y + (19 if layout.above else 3)
    parts = [_symbol(layout.left - 14, y + 12.5, shape, colour), _text(layout.left - 28, y + 17, label, anchor="end")]
    if layout.above:
        parts = [_symbol(layout.left + 7, y + 9, shape, colour), _text(layout.left + 20, y + 14, label)]
    for start, width, own, said in bars:
        drawn = Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="18" fill="{}"/>')
        parts.append(drawn.format(start, bar, width, own or colour))
        parts.append(_text(start + width + 6, bar + 14, said, SOFT, size=12.5))
    return Markup("<g><title>{}</title>{}</g>").format(title, Markup("").join(parts))


def _symbol(x: float, y: float, shape: str, colour: str, radius: float = 5.5) -> Markup:
    if shape == "circle":
        drawn = Markup('<circle cx="{:.1f}" cy="{:.1f}" r="{}" fill="{}" stroke="{}"/>')
        return drawn.format(x, y, radius, colour, INK)
    if shape == "cross":
        drawn = Markup('<path d="M{:.1f} {:.1f}h{w}m-{h:.1f} -{h:.1f}v{w}" stroke="{c}" stroke-width="2.4"/>')
        return drawn.format(x - radius, y, w=2 * radius, h=radius, c=colour)
    points = " ".join(f"{x + radius * a:.1f},{y + radius * b:.1f}" for a, b in polygon(shape))
    return Markup('<polygon points="{}" fill="{}" stroke="{}"/>').format(points, colour, INK)


def _svg(name: str, layout: Layout, height: float, title: str, described: str, parts: Sequence[Markup]) -> Markup:
    return Markup(
        '<svg class="plot {k}" viewBox="0 0 {w} {h:.0f}" width="{w}" height="{h:.0f}" role="img" '
        'aria-labelledby="{n}-title {n}-desc"><title id="{n}-title">{t}</title><desc id="{n}-desc">{d}</desc>'
        "{body}</svg>"
    ).format(k=layout.name, w=layout.width, h=height, n=name, t=title, d=described, body=Markup("").join(parts))


def _text(x: float, y: float, text: str, colour: str = INK, *, anchor: str = "start", size: float = 13) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" fill="{}" font-size="{}" text-anchor="{}">{}</text>').format(
        x, y, colour, size, anchor, text
    )


def _radius(t: float, most: float) -> float:
    """Return the radius of a circle whose area grows with the loss."""
    least, largest = RADIUS_PX
    return round(max(least, largest * math.sqrt(max(t, 0.0) / most)), 1)


def _even(value: float) -> float:
    """Return a value rounded down to one digit."""
    size = 10.0 ** math.floor(math.log10(max(value, 1e-9)))
    return math.floor(value / size + 1e-9) * size


def _at(point: Any) -> list[float]:
    return [round(float(point.x), COORDINATES), round(float(point.y), COORDINATES)]


def _share(r: Any) -> tuple[str, str]:
    """Return the lost part of the supply as text and as a number to sort by."""
    return percent(_zero(r.lost_share, 5e-4)), f"{r.lost_share:.6f}"


def _extra(r: Any) -> list[tuple[str, str]]:
    """Return extra spending (million USD) and extra days as texts and as numbers to sort by."""
    return [
        (_signed(r.extra_spend_usd / 1e6), f"{r.extra_spend_usd:.0f}"),
        (_signed(r.extra_days), f"{r.extra_days:.4f}"),
    ]


def _countries(codes: str, layers: Layers) -> str:
    return " – ".join(country_name(c, layers) for c in re.split("-", codes)) if codes else ""


def _cell(t: float) -> tuple[str, str]:
    """Return tonnes as text and as a number to sort by."""
    return (_tonnes(t).removesuffix(" t"), f"{t:.3f}") if math.isfinite(t) else ("–", "")


def _tonnes(t: float) -> str:
    """Return tonnes without digits that tell nothing; what is below a rounding is nought."""
    t = _zero(t, LEAST_T)
    return f"{t:,.0f} t"


def _signed(value: float) -> str:
    """Return a change with its sign and three digits or two decimals; nought has no sign."""
    if abs(value) < 0.005:
        return "0"
    return f"{value:+,.{0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2}f}"


def _zero(value: float, least: float) -> float:
    """Return a value, nought (without a sign) where it is nearer to it than `least`."""
    return 0.0 if abs(value) < least else float(value)

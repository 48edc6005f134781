"""The page of a buyer's risk: bars of what each halt leaves missing, tables; SVG without scripts."""

import math
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pandas as pd
from markupsafe import Markup

from atlas.buyer_risk import LEAST_SHARE, ORIGIN, UPSTREAM, BuyerRisk
from atlas.buyer_words import percent, sentence
from atlas.halt_words import country_name
from atlas.render_ink import GREY, INK, LINE, SOFT, VERMILION

BARS = 12  # halts in the plot; the table has them all


@dataclass(frozen=True)
class Layout:
    """Measures of a plot: the whole width, where bars run, the height of a row, whether names stand above bars."""

    name: str
    width: int
    left: int
    right: int
    row: int
    chars: int
    above: bool


WIDE = Layout("wide", 1000, 390, 900, 40, 56, above=False)
NARROW = Layout("narrow", 350, 8, 290, 56, 46, above=True)


def page_parts(r: BuyerRisk, layers: Any, buyer_text: str) -> dict[str, Any]:
    """Return everything the page shows of a risk: sentence, plots, tables; `buyer_text` keeps the buyer in links."""
    hit = r.cases[r.cases["short_share"] > LEAST_SHARE].head(BARS)
    names = layers.facilities["name"]
    return {
        "sentence": sentence(r, layers),
        "bars": [bars(r, hit, layout) for layout in (WIDE, NARROW)] if len(hit) else [],
        "key": [(swatch(VERMILION), "buyer"), (swatch(GREY), "average")],
        "cases": [_case(row, r, buyer_text) for row in r.cases.to_dict("records")],
        "country": country_name(str(r.today["country"]), layers),
        "got": f"{r.today['supplied_t']:,.0f}",
        "lower": f"{r.today['step_down_t']:,.0f}" if r.today["step_down_t"] > LEAST_SHARE * r.buyer.tonnes else "",
        "routes": [
            {
                "id": row["from_id"], "name": str(names.get(row["from_id"], row["from_id"])),
                "country": country_name(row["from_country"], layers), "t": f"{row['tonnes']:,.1f}",
                "share": percent(row["tonnes"] / max(float(r.today["supplied_t"]), 1e-9)),
                "km": f"{row['distance_km']:,.0f}", "days": f"{row['days']:.0f}",
                "cost": f"{row['cost_usd_t'] + row['tariff_usd_t']:,.0f}",
                "passages": ", ".join(str(layers.passages["name"].get(p, p)) for p in _list(row["passages"])) or "–",
                "borders": ", ".join(
                    " – ".join(country_name(c, layers) for c in b.split("-")) for b in _list(row["borders"])
                ) or "–",
            }
            for row in r.routes.to_dict("records")
        ],
        "elements": list(r.upstream),
        "upstream": [
            (s, [percent(r.origin_share(s, e)) if s in by else "–" for e, by in r.upstream.items()]) for s in UPSTREAM
        ],
        "origin": country_name(ORIGIN, layers),
        "trace": f"/trace/{r.buyer.id}",
        "notes": list(r.notes),
        "cover": f"{r.buyer.cover_days:g}" if r.buyer.cover_days else "",
    }  # fmt: skip


def _list(text: str) -> list[str]:
    return [p for p in str(text).split(";") if p]


def _case(row: dict[str, Any], r: BuyerRisk, buyer_text: str) -> dict[str, Any]:
    """Return a case as a row of the table: words, the address of its map, cells with what they sort by."""
    own_bloc = [("bloc", r.bloc)] if r.bloc != "us-allies" else []
    address = urlencode([*r.addresses.get(row["case"], ()), ("buyer", buyer_text), *own_bloc], safe=":,/@")
    cells = [
        (row["short_t"], f"{row['short_t']:,.0f}"), (row["short_share"], percent(row["short_share"])),
        (row["world_short_share"], percent(row["world_short_share"])),
        (row["country_short_share"], percent(row["country_short_share"])),
        (row["worse_points"], _signed(row["worse_points"])),
        (row["lower_grade_t"], f"{row['lower_grade_t']:,.0f}"),
        (row["more_usd_t"], _signed(row["more_usd_t"])),
        (row["days"], "–" if math.isnan(row["days"]) else f"{row['days']:.0f}"),
    ]  # fmt: skip
    if r.buyer.cover_days:
        cells.append((row["stock_days"], "–" if math.isnan(row["stock_days"]) else f"{row['stock_days']:,.0f}"))
    return {"title": row["title"], "href": f"/map?{address}", "cells": [(_key(v), t) for v, t in cells]}


def _key(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6g}"


def _signed(value: float) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:+,.0f}".replace("-", "−") if abs(value) >= 0.5 else "0"


def swatch(colour: str) -> Markup:
    """Return a small square of a colour for a legend."""
    square = '<svg width="14" height="14" aria-hidden="true"><rect width="14" height="14" fill="{}"/></svg>'
    return Markup(square).format(colour)


def bars(r: BuyerRisk, rows: pd.DataFrame, layout: Layout) -> Markup:
    """Return what is missing to the buyer by halt, percent of its demand, with what all buyers miss under it."""
    top, scale = 26, (layout.right - layout.left) / 100
    bottom = top + layout.row * len(rows)
    parts = []
    for p in (0, 25, 50, 75, 100):
        x = layout.left + p * scale
        parts.append(_line(x, top - 6, x, bottom, SOFT if p == 0 else LINE))
        parts.append(_text(x, 14, f"{p} %", SOFT, "middle" if p else "start", 12))
    for n, row in enumerate(rows.to_dict("records")):
        y = top + n * layout.row
        words = str(row["title"])
        words = words if len(words) <= layout.chars else words[: layout.chars - 1].rstrip() + "…"
        if layout.above:
            parts.append(_text(layout.left, y + 13, words))
        else:
            parts.append(_text(layout.left - 10, y + layout.row / 2 + 2, words, anchor="end"))
        at = y + (19 if layout.above else 5)
        mine, all_of = 100 * row["short_share"], 100 * row["world_short_share"]
        parts.append(_rect(layout.left, at, max(mine * scale, 0.8), 15, VERMILION))
        parts.append(_text(layout.left + mine * scale + 6, at + 12, f"{row['short_t']:,.0f} t"))
        parts.append(_rect(layout.left, at + 17, max(all_of * scale, 0.8), 8, GREY))
    told = "; ".join(
        f"{row['title']}: {percent(row['short_share'])} of its demand, all buyers {percent(row['world_short_share'])}"
        for row in rows.to_dict("records")
    )
    return Markup(
        '<svg class="plot {k}" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" aria-labelledby='
        '"risk-{k}-title risk-{k}-desc"><title id="risk-{k}-title">{t}</title>'
        '<desc id="risk-{k}-desc">{d}</desc>{b}</svg>'
    ).format(
        k=layout.name, w=layout.width, h=bottom + 6, t=f"What {r.buyer.id} would lack", d=told, b=Markup("").join(parts)
    )


def _text(x: float, y: float, words: str, colour: str = INK, anchor: str = "start", size: float = 13) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" fill="{}" font-size="{}" text-anchor="{}">{}</text>').format(
        x, y, colour, size, anchor, words
    )


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> Markup:
    return Markup('<path d="M{:.1f} {:.1f}L{:.1f} {:.1f}" stroke="{}" fill="none"/>').format(x1, y1, x2, y2, colour)


def _rect(x: float, y: float, width: float, height: float, colour: str) -> Markup:
    return Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="{}"/>').format(
        x, y, width, height, colour
    )

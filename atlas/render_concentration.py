"""The page of concentration in figures and pictures: bars of country shares by stage and element, without scripts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from atlas.chain import Chain
from atlas.concentration import ALL, MAGNETS, MEASURE_WORDS, Concentration, Published, Report, keys_of
from atlas.render_data import web_address
from atlas.render_ink import BLUE, INK, MARKED, ON, REST, SECOND, SOFT, THIRD
from atlas.render_ink import LINE as GRID
from atlas.world import STAGES

# The largest country, the next two, the rest.
FIRST, MARK = BLUE, MARKED
KEY_WORDS = {ALL: "all, in the stage's unit", MAGNETS: "Nd, Pr, Dy and Tb"}
STAGE_WORDS = {s: {"mine": "mining", "magnet": "magnets"}.get(s, s) for s in STAGES}


def key_words(chain: Chain) -> list[tuple[str, str]]:
    """Return what an element may be, each with its words."""
    return [(k, KEY_WORDS.get(k, k)) for k in keys_of(chain)]


@dataclass(frozen=True)
class _Layout:
    """Measures of a plot: the whole width, where bars run, height of a row."""

    name: str
    width: int
    left: int
    right: int
    row: int


WIDE = _Layout("wide", 1000, 190, 850, 22)
NARROW = _Layout("narrow", 350, 88, 292, 24)


def page_parts(r: Report) -> dict[str, Any]:
    """Return everything the page shows: sentence, plots, tables."""
    keys = list(dict.fromkeys(c.element for c in r.rows))
    fair = [p for p in r.published if not math.isnan(p.model)]
    return {
        "sentence": r.sentence,
        "plots": [share_plot(r.rows, keys, layout) for layout in (WIDE, NARROW)],
        "key": [(swatch(FIRST), "largest country"), (swatch(SECOND), "second"), (swatch(THIRD), "third"),
                (swatch(REST), "the rest"), (line_mark(), "left without the largest, of what demand asks")],
        "rows": [_row(r, c) for c in r.rows],
        "published": [_beside(p) for p in fair],
        "apart": [_beside(p) for p in r.published if math.isnan(p.model)],
        "what": r.what,
    }  # fmt: skip


def swatch(colour: str) -> Markup:
    """Return a coloured square for a legend."""
    return Markup(
        '<svg class="swatch" width="14" height="14" aria-hidden="true" focusable="false">'
        '<rect width="14" height="14" fill="{}"/></svg>'
    ).format(colour)


def line_mark() -> Markup:
    """Return the mark of what is left, for a legend."""
    return Markup(
        '<svg class="swatch" width="14" height="16" aria-hidden="true" focusable="false">'
        '<rect x="5" width="3" height="16" fill="{}"/></svg>'
    ).format(MARK)


def percent(share: float, digits: int = 1) -> str:
    """Return a share in percent, a dash for none."""
    return "–" if math.isnan(share) else f"{100 * share:.{digits}f}\u00a0%"


def share_plot(rows: Sequence[Concentration], keys: Sequence[str], layout: _Layout) -> Markup:
    """Return a bar of country shares for each stage and element, with what is left without the largest marked."""
    at = {(r.stage, r.element): r for r in rows}
    scale, y, parts, told = layout.right - layout.left, 26.0, [], []
    for part in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = layout.left + part * scale
        parts.append(_text(x, 14, f"{100 * part:.0f}\u00a0%", SOFT, anchor="middle", size=11.5))
    for key in keys:
        parts.append(_text(4, y + 13, KEY_WORDS.get(key, key), size=13, weight=650))
        y += 20
        for stage in STAGES:
            c = at.get((stage, key))
            if c is None or not c.countries:
                continue
            parts += _bar(c, layout, y, scale)
            y += layout.row
            said = ", ".join(f"{n} {percent(s)}" for n, s in c.countries[:3])
            told.append(f"{STAGE_WORDS[stage]}, {KEY_WORDS.get(key, key)}: {said}, HHI {c.hhi:.2f}")
        y += 8
    grid = [_rect(layout.left + p * scale, 20, 1, y - 24, GRID) for p in (0.0, 0.25, 0.5, 0.75, 1.0)]
    return Markup(
        '<svg class="plot {k}" viewBox="0 0 {w} {h:.0f}" width="{w}" height="{h:.0f}" role="img" '
        'aria-labelledby="shares-{k}-title shares-{k}-desc"><title id="shares-{k}-title">Shares of countries by stage '
        'and element</title><desc id="shares-{k}-desc">{d}</desc>{b}</svg>'
    ).format(k=layout.name, w=layout.width, h=y, d="; ".join(told), b=Markup("").join([*grid, *parts]))


def _bar(c: Concentration, layout: _Layout, y: float, scale: float) -> list[Markup]:
    thick, x = layout.row - 5, float(layout.left)
    parts = [_text(layout.left - 8, y + thick / 2 + 4, STAGE_WORDS[c.stage], anchor="end", size=12.5)]
    shown = [*c.countries[:3], ("", max(0.0, 1 - c.top_share(3)))]
    for (name, share), colour in zip(shown, (FIRST, SECOND, THIRD)[: len(shown) - 1] + (REST,), strict=True):
        width = share * scale
        parts.append(_rect(x, y, width, thick, colour))
        if name and width > 34:
            ink = ON if colour == FIRST else INK
            parts.append(_text(x + width / 2, y + thick / 2 + 4, name, ink, anchor="middle", size=11.5))
        x += width
    left = c.n_minus_1_share
    if not math.isnan(left):
        at = layout.left + min(left, 1.0) * scale
        parts.append(_rect(at - 1.5, y - 2, 3, thick + 4, MARK))
    parts.append(_text(layout.right + 8, y + thick / 2 + 4, f"HHI {c.hhi:.2f}", SOFT, size=11.5))
    return parts


def _row(r: Report, c: Concentration) -> dict[str, Any]:
    def named(pair: tuple[str, float]) -> str:
        return f"{r.names.get(pair[0], pair[0])} {percent(pair[1])}" if pair[0] else "–"

    return {
        "stage": STAGE_WORDS[c.stage], "element": KEY_WORDS.get(c.element, c.element), "unit": c.unit,
        "made": (c.world_t, f"{c.world_t:,.0f}"), "hhi": (_number(c.hhi), f"{c.hhi:.3f}" if c.countries else "–"),
        "top1": (_number(c.top_share(1)), named(c.countries[0]) if c.countries else "–"),
        "top3": (_number(c.top_share(3)), percent(c.top_share(3))),
        "others": ", ".join(n for n, _ in c.countries[:3]),
        "left": (_number(c.n_minus_1_share), percent(c.n_minus_1_share)),
        "facility": (_number(c.facility[1]), named(c.facility)),
        "operator": (_number(c.operator[1]), named(c.operator)),
    }  # fmt: skip


def _number(value: float) -> float | str:
    return "" if math.isnan(value) else value


def _beside(p: Published) -> dict[str, Any]:
    def value(v: float) -> str:
        return ("–" if math.isnan(v) else f"{v:.3f}") if p.measure == "hhi" else percent(v)

    error = "" if math.isnan(p.model) else f"{p.error_points:+.1f}".replace("-", "−")
    return {
        "what": f"{STAGE_WORDS[p.stage]}, {KEY_WORDS.get(p.element, p.element)}: {MEASURE_WORDS[p.measure]}",
        "basis": p.basis,
        "year": p.year, "published": value(p.published), "model": value(p.model), "error": error,
        "error_value": _number(p.error_points), "role": "fitted" if p.fitted else "held back", "why": p.why_not,
        "source": p.source_title, "url": web_address(p.source_url), "confidence": p.confidence,
    }  # fmt: skip


def _text(
    x: float, y: float, text: str, colour: str = INK, *, anchor: str = "start", size: float = 13, weight: int = 400
) -> Markup:
    return Markup(
        '<text x="{:.1f}" y="{:.1f}" fill="{}" font-size="{}" font-weight="{}" text-anchor="{}">{}</text>'
    ).format(x, y, colour, size, weight, anchor, text)


def _rect(x: float, y: float, w: float, h: float, colour: str) -> Markup:
    return Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="{}"/>').format(x, y, w, h, colour)

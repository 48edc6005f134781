"""The page of a validation in figures and pictures: plots as SVG without scripts, and every number as text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from atlas.render_data import web_address
from atlas.render_ink import BAND as SHADE
from atlas.render_ink import BLUE, DARK, EDGE, INK, PAPER, SOFT, VERMILION
from atlas.render_ink import LINE as GRID
from atlas.validation import NEED_RANGE, limit_words

HELD, FITTED = VERMILION, BLUE  # shape tells them too
BAND = 0.10
SPANS = (0.15, 0.2, 0.3, 0.5, 1.0)  # half widths of the error axis; points beyond are drawn at its end
# Where an element ends: lines of the balance put together, colour (the same in both themes), figures on it, label.
PARTS: tuple[tuple[tuple[str, ...], str, str, str], ...] = (
    (("in_magnets",), "#0072B2", "#FFFFFF", "in finished magnets"),
    (("stock",), "#56B4E9", DARK, "metal to stock"),
    (("surplus",), "#F0E442", DARK, "oxide left over"),
    (("lost_separation",), "#E69F00", DARK, "lost or left unseparated"),
    (("lost_metal",), "#CC79A7", DARK, "lost in metal making"),
    (("lost_recycling", "swarf_lost"), "#8A939C", DARK, "swarf and scrap lost"),
)
CORRECTIONS = 30  # listed on the page; the rest is counted


@dataclass(frozen=True)
class _Layout:
    """Measures of the error plot: the whole width, where the axis runs, the height of a row."""

    name: str
    width: int
    left: int
    right: int
    row: int
    label_chars: int
    above: bool


WIDE = _Layout("wide", 1000, 408, 806, 23, 58, above=False)
NARROW = _Layout("narrow", 350, 14, 336, 46, 54, above=True)


def page_parts(v: Any) -> dict[str, Any]:
    """Return everything the page shows: sentence, plots, tables of text, lists."""
    rows = v.ordered
    told = v.to_json()["tuned"]
    fair = _labelled([r for r in rows if r["comparable"] == "yes" and r["error_share"] == r["error_share"]])
    return {
        "sentence": v.sentence,
        "ok": v.ok,
        "broken": v.broken,
        "year": v.year,
        "plots": [error_plot(fair, WIDE), error_plot(fair, NARROW)] if fair else [],
        "marks": [(mark_swatch("held"), "held back from the fit"), (mark_swatch("fitted"), "fitted")],
        "rows": [_row(r) for r in rows if r["comparable"] == "yes"],
        "apart": [_row(r) for r in rows if r["comparable"] != "yes"],
        "bounds": [_bound(b) for b in v.bounds.to_dict("records")],
        "totals": [
            (_role_words(t), f"{t['count']}", percent(t["median"]), percent(t["worst"]), _named(v.table, t["worst_id"]))
            for t in v.totals.to_dict("records")
        ],
        "confidence": [(c, f"{d['count']:.0f}", percent(d["median"])) for c, d in sorted(v.confidence.items())],
        "closure": _closure(v.closure),
        "told": told["told"],
        "corrections": [(c["what"], f"{c['usd_t']:+,.0f}") for c in told["corrections"][:CORRECTIONS]],
        "more": max(0, told["count"] - CORRECTIONS),
        "count": told["count"],
    }


def figure(value: float, unit: str) -> str:
    """Return a figure for people: a share in percent, tonnes with one decimal below 100."""
    if value != value:
        return "–"
    if unit == "share":
        return f"{100 * value:.1f}\u00a0%"
    return f"{value:,.{0 if abs(value) >= 100 or round(value, 1) == 0 else 1}f}\u00a0t"


def percent(share: float) -> str:
    """Return a share as percent with one decimal, a dash for none."""
    return "–" if share != share else f"{100 * share:.1f}\u00a0%"


def error_words(row: Mapping[str, Any]) -> str:
    """Return a row's error: points for a share, percent for tonnes."""
    if row["error_share"] != row["error_share"]:
        return "–"
    value, unit = (row["error_points"], "points") if row["unit"] == "share" else (100 * row["error_share"], "%")
    text = f"{abs(value):,.1f}\u00a0{unit}"
    return text if round(value, 1) == 0 else f"{'+' if value > 0 else '−'}{text}"


def mark_swatch(role: str) -> Markup:
    """Return the mark of a role for a legend."""
    return Markup(
        '<svg class="swatch" width="18" height="18" viewBox="-9 -9 18 18" aria-hidden="true" focusable="false">{}</svg>'
    ).format(_mark(role, 0, 0))


def error_plot(rows: Sequence[Mapping[str, Any]], layout: _Layout) -> Markup:
    """Return the plot of each row's error in percent, with the band of 10 %, as one SVG with title and description."""
    biggest = sorted(abs(r["error_share"]) for r in rows)
    usual = biggest[int(0.95 * (len(biggest) - 1))]
    span = next((s for s in SPANS if s >= max(usual, biggest[-1] if biggest[-1] <= SPANS[2] else 0)), SPANS[-1])
    top, y, body = 46, 46, []
    x0, scale = (layout.left + layout.right) / 2, (layout.right - layout.left) / 2 / span

    for role in ("held", "fitted"):
        own = [r for r in rows if r["role"] == role]
        if not own:
            continue
        words = "Held back from the fit" if role == "held" else "Fitted"
        body.append(_text(4, y + 18, f"{words} ({len(own)})", weight=650))
        y += 28
        for r in own:
            body.append(_error_row(r, layout, x0, scale, span, y))
            y += layout.row
        y += 6
    height = y + 26
    lines = [_rect(x0 - BAND * scale, top - 4, 2 * BAND * scale, y - top + 4, SHADE)]
    step = 0.05 if span <= 0.2 else 0.1 if span <= 0.3 else 0.25 if span <= 0.5 else 0.5
    most = int(span / step + 1e-9)
    ticks = sorted({round(k * step, 4) for k in range(-most, most + 1)} | {-BAND, BAND})
    shown = [t for t in ticks if abs(t) in (0, BAND) or (abs(abs(t) - BAND) * scale > 34 and abs(t) * scale > 34)]
    for t in shown:
        x = x0 + t * scale
        lines.append(_line(x, top - 4, x, y, EDGE if t == 0 else GRID, 1.4 if t == 0 else 1))
        name = "0" if t == 0 else f"{'+' if t > 0 else '−'}{abs(100 * t):.0f}\u00a0%"
        # At the edge of a narrow plot a centred name would be cut.
        side, edge = (
            ("start", 2.0) if x < 22 else ("end", layout.width - 2.0) if x > layout.width - 22 else ("middle", x)
        )
        lines += [_text(edge, at, name, SOFT, anchor=side, size=12) for at in (top - 10, y + 16)]
    heads = [_text(4, 14, "Error of the model in percent of the published figure", SOFT, size=12)]
    if not layout.above:
        heads.append(_text(layout.right + 26, 36, "model / published", SOFT, size=12))
    held = sum(r["role"] == "held" for r in rows)
    described = (
        f"{len(rows)} figures, {held} of them held back. {sum(abs(r['error_share']) <= BAND for r in rows)} lie within "
        "10 percent. The table below has every number."
    )
    return Markup(
        '<svg class="plot {n}" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" '
        'aria-labelledby="errors-{n}-title errors-{n}-desc"><title id="errors-{n}-title">Error of the model against '
        'each comparable published figure</title><desc id="errors-{n}-desc">{d}</desc>{body}</svg>'
    ).format(n=layout.name, w=layout.width, h=height, d=described, body=Markup("").join([*lines, *heads, *body]))


def _error_row(r: Mapping[str, Any], layout: _Layout, x0: float, scale: float, span: float, y: float) -> Markup:
    error = float(r["error_share"])
    inside = max(-span, min(span, error))
    at = y + (30 if layout.above else layout.row / 2)
    x = x0 + inside * scale
    colour = HELD if r["role"] == "held" else FITTED
    parts = [_line(x0, at, x, at, colour, 2)]
    if inside != error:  # beyond the axis: an arrow at its end, its error in figures beside it
        way = 1 if error > 0 else -1
        tip = [(x + 8 * way, at), (x - 2 * way, at - 6), (x - 2 * way, at + 6)]
        parts.append(Markup('<path d="M{}Z" fill="{}"/>').format("L".join(f"{a:.1f} {b:.1f}" for a, b in tip), colour))
        said, where = f"{100 * error:+,.0f}\u00a0%".replace("-", "−"), at + (14 if layout.above else -4)
        parts.append(_text(x - 8 * way, where, said, colour, size=12, anchor="end" if way > 0 else "start"))
    else:
        parts.append(_mark(str(r["role"]), x, at))
    name = _cut(str(r["label"]), layout.label_chars)
    parts.append(
        _text(4, y + (14 if layout.above else layout.row / 2 + 4), name, INK, size=11.5 if layout.above else 13)
    )
    both = f"{figure(r['model'], r['unit'])} / {figure(r['published'], r['unit'])}"
    if not layout.above:
        parts.append(_text(layout.right + 26, at + 4, both, INK, size=12.5))
    title = f"{r['what']}: model / published {both}, {error_words(r)}"
    return Markup("<g><title>{}</title>{}</g>").format(title, Markup("").join(parts))


def closure_plot(closure: Any) -> Markup:
    """Return stacked bars by element: where what enters ends, in percent, as one SVG."""
    table = closure.table
    left, right, row, width = 34, 346, 34, 350
    parts, y, said = [], 8, []
    for e in table.columns:
        amounts = [max(0.0, float(table.loc[list(ids), e].sum())) for ids, *_ in PARTS]
        whole = sum(amounts)
        parts.append(_text(2, y + 17, e, weight=650))
        x, words = float(left), []
        for (_, colour, ink, label), amount in zip(PARTS, amounts, strict=True):
            if not whole or not amount:
                continue
            share = amount / whole
            w = share * (right - left)
            title = f"{e}, {label}: {amount:,.0f} t of oxide, {100 * share:.1f} %"
            box = Markup('<rect x="{:.2f}" y="{}" width="{:.2f}" height="24" fill="{}" stroke="{}" stroke-width=".8"/>')
            bar = box.format(x, y, max(w - 1, 0.4), colour, EDGE)
            figure_at = (
                _text(x + w / 2, y + 16.5, f"{100 * share:.0f}", ink, anchor="middle", size=12) if w >= 18 else ""
            )
            parts.append(Markup("<g><title>{}</title>{}{}</g>").format(title, bar, figure_at))
            words.append(f"{label} {100 * share:.1f} %")
            x += w
        said.append(f"{e}: {', '.join(words)}")
        y += row
    return Markup(
        '<svg class="plot bars" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" '
        'aria-labelledby="ends-title ends-desc"><title id="ends-title">Where each element ends, percent of what enters'
        '</title><desc id="ends-desc">{d}.</desc>{body}</svg>'
    ).format(w=width, h=y, d=". ".join(said), body=Markup("").join(parts))


def _labelled(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows with a `label`: their words, and the end of their basis where others of the role have the same."""
    said = [(r["what"], r["role"]) for r in rows]
    tail = [f" ({str(r['basis']).rsplit(', ', 1)[-1]})" if said.count(k) > 1 and r["basis"] else ""
            for r, k in zip(rows, said, strict=True)]  # fmt: skip
    return [{**r, "label": f"{r['what']}{t}"} for r, t in zip(rows, tail, strict=True)]


def _closure(c: Any) -> dict[str, Any]:
    elements = list(c.table.columns)
    lines = []
    for line in c.to_json()["lines"]:
        values = [line[e] for e in elements]
        cells = [_amount(v) for v in [*values, sum(values)]]
        sign = {"-": "−", "of": "", "0": ""}.get(line["sign"], line["sign"])
        lines.append({"sign": sign, "what": line["what"], "cells": cells, "sum": line["sign"] in ("=", "0")})
    swatch = (
        '<svg class="swatch" width="16" height="16" aria-hidden="true" focusable="false">'
        '<rect x="0.5" y="0.5" width="15" height="15" fill="{}" stroke="{}"/></svg>'
    )
    low, high = NEED_RANGE
    return {
        "elements": elements,
        "lines": lines,
        "plot": closure_plot(c),
        "legend": [(Markup(swatch).format(colour, EDGE), label) for _, colour, _, label in PARTS],
        "need": [(e, percent(s), low <= s <= high) for e, s in c.need_share.items()],
    }


def _row(r: Mapping[str, Any]) -> dict[str, Any]:
    within = "" if not r["bound"] else "yes" if r["within"] else "no"
    return {
        "what": r["what"],
        "basis": r["basis"],
        "year": r["year"] or "",
        "published": figure(r["published"], r["unit"]),
        "model": figure(r["model"], r["unit"]),
        "error": error_words(r),
        "role": {"held": "held back"}.get(r["role"], r["role"]),
        "bound": r["bound"],
        "within": within,
        "why": "; ".join(str(w) for w in (r["why_not"], r["no_model"]) if w),
        "notes": r["notes"],
        "confidence": r["confidence"],
        "source": r["source_title"] or r["source_id"],
        "url": web_address(r["source_url"]),
    }


def _bound(b: Mapping[str, Any]) -> dict[str, Any]:
    found = limit_words(b["figure"], b["unit"]) if b["figure"] == b["figure"] else "no figure"
    model = figure(b["model"], "share" if b["unit"] == "points" else "t") if b["model"] == b["model"] else ""
    return {**b, "model": model, "found": found, "limit": f"{b['sense']} {limit_words(b['limit'], b['unit'])}"}


def _role_words(t: Mapping[str, Any]) -> str:
    role = "held back" if t["role"] == "held" else str(t["role"])
    return role + {"t": ", tonnes", "share": ", shares"}.get(t["unit"], "")


def _named(table: Any, name: str) -> str:
    hit = table.loc[table["id"] == name, "what"]
    return str(hit.iloc[0]) if len(hit) else ""


def _amount(t: float) -> str:
    text = f"{t:,.0f}" if abs(t) >= 10 else f"{t:.1f}"
    return "0" if not any(c in "123456789" for c in text) else text


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def _mark(role: str, x: float, y: float) -> Markup:
    """Return a filled diamond for what was held back, a ring for what was fitted."""
    if role == "held":
        d = f"M{x:.1f} {y - 6.5:.1f}L{x + 6.5:.1f} {y:.1f}L{x:.1f} {y + 6.5:.1f}L{x - 6.5:.1f} {y:.1f}Z"
        return Markup('<path d="{}" fill="{}"/>').format(d, HELD)
    return Markup('<circle cx="{:.1f}" cy="{:.1f}" r="4.8" fill="{}" stroke="{}" stroke-width="2.4"/>').format(
        x, y, PAPER, FITTED
    )


def _text(
    x: float, y: float, text: str, colour: str = INK, *, anchor: str = "start", size: float = 13, weight: int = 400
) -> Markup:
    return Markup(
        '<text x="{:.1f}" y="{:.1f}" fill="{}" font-size="{}" font-weight="{}" text-anchor="{}">{}</text>'
    ).format(x, y, colour, size, weight, anchor, text)


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float) -> Markup:
    return Markup('<path d="M{:.1f} {:.1f}L{:.1f} {:.1f}" stroke="{}" stroke-width="{}" fill="none"/>').format(
        x1, y1, x2, y2, colour, width
    )


def _rect(x: float, y: float, w: float, h: float, colour: str) -> Markup:
    return Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="{}"/>').format(x, y, w, h, colour)

"""The page of a comparison in figures and pictures: a table with a column a case, plots that need no script."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from atlas.compare import Case, Comparison, Figure
from atlas.compare_words import LETTERS, NBSP, percent, sentence, thing_name, tonnes
from atlas.halt_words import country_name
from atlas.layers import Layers
from atlas.page_text import text
from atlas.render_ink import BLUE, EDGE, GREEN, INK, LINE, PURPLE, SOFT, VERMILION
from atlas.render_style import COMMODITY_LABELS, polygon

COLOURS = (BLUE, VERMILION, GREEN, PURPLE)  # of the cases, each with its shape and letter
SHAPES = ("circle", "square", "triangle", "diamond")
LANE, GAP = 17, 11  # pixels of a case, and between things measured
LABEL = 78  # pixels of a letter with its figure
MOST_BARS = 8
MOST_ROWS = 12  # of a group on the page; JSON and CSV have all
SHARES = (
    ("demand", "met_share"), ("bloc", "bloc_supplied_share"), ("bloc", "allied_share"), ("bloc_origin", "mine"),
    ("bloc_origin", "separation"), ("bloc_origin", "metal"), ("bloc_origin", "magnet"),
)  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """Measures of a plot: width, where its lanes run, whether a name stands above them instead of beside."""

    name: str
    width: int
    left: int
    right: int
    above: bool


WIDE = Layout("wide", 620, 168, 510, above=False)
NARROW = Layout("narrow", 350, 16, 252, above=True)


def page_parts(c: Comparison, layers: Layers) -> dict[str, Any]:
    """Return everything the page shows of a comparison: sentence, key, plots, table, flows that differ."""
    with_baseline = not any(case.is_baseline for case in c.cases)
    return {
        "sentence": sentence(c),
        "key": case_key(c.cases),
        "with_baseline": with_baseline,
        "plots": [p for p in (_shares(c), _shortages(c), _passages(c, layers)) if p],
        "groups": [_group(c, name, layers) for name in dict.fromkeys(f.group for f in c.figures)],
        "pairs": [_pair(c, a, b, layers) for a, b in _pairs(len(c.cases))],
    }


def case_key(cases: Sequence[Case]) -> list[dict[str, Any]]:
    """Return letter, mark, name and text of each case, for a key and the heads of columns."""
    return [
        {"letter": LETTERS[k], "mark": _swatch(k), "label": case.label, "text": case.text}
        for k, case in enumerate(cases)
    ]


def value_text(value: float, unit: str) -> str:
    """Return a figure with its unit, a dash for none."""
    if math.isnan(value):
        return "–"
    made: Callable[[float], str] = {
        "t": tonnes,
        "share": percent,
        "usd": lambda v: f"{v / 1e9:,.3f}{NBSP}bn{NBSP}USD",
        "usd_t": lambda v: f"{v:,.0f}{NBSP}USD/t",
        "days": lambda v: f"{v:.2f}{NBSP}days",
        "km": lambda v: f"{v:,.0f}{NBSP}km",
        "index": lambda v: f"{v:.3f}",
    }[unit]
    return made(value).replace("-", "−")


def difference_text(value: float, unit: str) -> str:
    """Return a difference with its sign and unit; shares in points of a hundred."""
    if math.isnan(value):
        return "–"
    if value == 0:
        return text("compare.same")
    made = {
        "t": lambda v: tonnes(v).lstrip("−"),
        "share": lambda v: f"{100 * v:.{1 if v >= 0.0005 else 2}f}{NBSP}{text('compare.points')}",
        "usd": lambda v: f"{v / 1e6:,.1f}{NBSP}m{NBSP}USD",
        "index": lambda v: f"{v:.4f}",
    }.get(unit, lambda v: value_text(v, unit))
    return ("+" if value > 0 else "−") + made(abs(value))


def _group(c: Comparison, name: str, layers: Layers) -> dict[str, Any]:
    figures = c.group(name)
    title = text(f"compare.group.{name}", bloc=c.bloc)
    if len(figures) > MOST_ROWS:
        title = text("compare.first", title=title, shown=MOST_ROWS, all=len(figures))
    return {
        "id": name.replace("_", "-"),
        "title": title,
        "rows": [_row(f, c.bloc, layers) for f in figures[:MOST_ROWS]],
    }


def _row(f: Figure, bloc: str, layers: Layers) -> dict[str, Any]:
    cells = []
    for k, (value, change) in enumerate(zip(f.values, f.differences(), strict=True)):
        mark = "best" if k in f.best else "worst" if k in f.worst else ""
        cells.append(
            {"value": value_text(value, f.unit), "difference": difference_text(change, f.unit) if k else "",
             "mark": mark, "word": text(f"compare.mark.{mark}") if mark else ""}
        )  # fmt: skip
    return {"name": figure_name(f, bloc, layers), "baseline": value_text(f.baseline, f.unit), "cells": cells}


def figure_name(f: Figure, bloc: str, layers: Layers) -> str:
    """Return what a figure measures, in words."""
    kind = f.group.rpartition("_")[2]
    if f.group in ("bloc_origin", "hhi"):
        return str(text(f"compare.stage.{f.key}"))
    if f.group.startswith(("throughput_", "shortage_by_")):
        return f.key if kind == "grade" else thing_name(kind, f.key, layers)
    return str(text(f"compare.figure.{f.key}", bloc=bloc))


def _pairs(count: int) -> list[tuple[int, int]]:
    return [(a, b) for a in range(1, count + 1) for b in range(a + 1, count + 1)]


def _pair(c: Comparison, a: int, b: int, layers: Layers) -> dict[str, Any]:
    """Return the imports that case `b` has more or less than case `a`."""
    names = [
        (
            country_name(r.importer, layers), COMMODITY_LABELS.get(r.commodity, r.commodity),
            country_name(r.from_country, layers), r.from_country in c.cases[0].bloc_countries,
            value_text(r.before_t, "t"), value_text(r.after_t, "t"), difference_text(r.change_t, "t"), r.change_t,
        )
        for r in c.between(a, b).itertuples()
    ]  # fmt: skip
    keys = ("importer", "commodity", "source", "ally", "before", "after", "change", "change_t")
    first, second = LETTERS[a - 1], LETTERS[b - 1]
    return {
        "id": f"{first}{second}".lower(),
        "title": text("compare.pair", a=first, b=second),
        "heads": (first, second),
        "rows": [dict(zip(keys, n, strict=True)) for n in names],
    }


# ---- plots


def _shares(c: Comparison) -> dict[str, Any] | None:
    found = {(f.group, f.key): f for f in c.figures}
    rows = [found[k] for k in SHARES if k in found and not all(map(math.isnan, found[k].values))]
    named = [(_share_name(f, c.bloc), f.values, f.baseline) for f in rows]
    return _plot("shares", named, "share", 1.0) if named else None


def _share_name(f: Figure, bloc: str) -> str:
    if f.group == "bloc_origin":
        return str(text("compare.inside", stage=text(f"compare.stage.{f.key}")))
    return str(text(f"compare.short.{f.key}", bloc=bloc))


def _shortages(c: Comparison) -> dict[str, Any] | None:
    rows = [(f.key.replace("_", " "), f.values, f.baseline) for f in c.group("shortage_by_sector")[:MOST_BARS]]
    return _plot("sectors", rows, "t") if rows else None


def _passages(c: Comparison, layers: Layers) -> dict[str, Any] | None:
    rows = [
        (thing_name("passage", f.key, layers), f.values, f.baseline) for f in c.group("throughput_passage")[:MOST_BARS]
    ]
    return _plot("passages", rows, "t") if rows else None


def _plot(
    name: str, rows: Sequence[tuple[str, tuple[float, ...], float]], unit: str, top: float = 0.0
) -> dict[str, Any]:
    """Return a plot in both layouts with its words; without `top` the scale ends at the largest value."""
    top = top or max(1e-9, *(v for _, values, base in rows for v in (*values, base) if not math.isnan(v)))
    title, note = text(f"compare.plot.{name}"), text(f"compare.plot.{name}_note")
    drawn = [lanes_plot(name, str(title), rows, unit, top, layout) for layout in (WIDE, NARROW)]
    return {"id": name, "title": title, "note": note, "svgs": drawn}


def lanes_plot(
    name: str, title: str, rows: Sequence[tuple[str, tuple[float, ...], float]], unit: str, top: float, layout: Layout
) -> Markup:
    """Return a plot with a lane for each case of each thing: bars from nought for tonnes, dots for shares.

    The baseline is a line across the lanes; a dot hangs on a thin line to it.
    """
    scale, parts, told = (layout.right - layout.left) / top, [], []
    y = 24.0 if unit == "share" else 6.0
    start = y
    for label, values, base in rows:
        if layout.above:
            parts.append(_text(layout.left, y + 13, label, weight=600))
            y += 19
        else:
            parts += _wrapped(label, layout.left - 12, y + 13)
        tall = LANE * len(values)
        if not math.isnan(base):
            parts.append(_rect(layout.left + base * scale - 1, y - 1, 2, tall + 2, SOFT))
        for k, value in enumerate(values):
            parts += _lane(k, value, base, y + LANE * k, scale, unit, layout)
        told.append(f"{label}: " + ", ".join(f"{LETTERS[k]} {value_text(v, unit)}" for k, v in enumerate(values)))
        y += tall + GAP
    grid = (
        _grid(start, y - GAP, scale, layout)
        if unit == "share"
        else [_rect(layout.left - 1, start, 1, y - GAP - start, EDGE)]
    )
    return Markup(
        '<svg class="plot {k}" viewBox="0 0 {w} {h:.0f}" width="{w}" height="{h:.0f}" role="img" '
        'aria-labelledby="{n}-{k}-title {n}-{k}-desc"><title id="{n}-{k}-title">{t}</title>'
        '<desc id="{n}-{k}-desc">{d}</desc>{b}</svg>'
    ).format(k=layout.name, w=layout.width, h=y, n=name, t=title, d="; ".join(told), b=Markup("").join([*grid, *parts]))


def _lane(k: int, value: float, base: float, y: float, scale: float, unit: str, layout: Layout) -> list[Markup]:
    """Return the bar or the dot of a case with its letter and figure."""
    middle, end = y + LANE / 2, float(layout.left)
    parts: list[Markup] = []
    if not math.isnan(value):
        end = layout.left + round(value * scale, 1)
        if unit != "share":
            parts.append(_rect(layout.left, y + 2, max(value * scale, 0), LANE - 4, COLOURS[k]))
        else:
            if not math.isnan(base) and abs(value - base) * scale > 1:
                a, b = sorted((base, value))
                parts.append(_rect(layout.left + a * scale, middle - 1, (b - a) * scale, 2, COLOURS[k]))
            parts.append(_mark(k, end, middle, 5.5))
    said = f"{LETTERS[k]}{NBSP}{NBSP}{value_text(value, unit)}"
    at_base = layout.left if math.isnan(base) else layout.left + base * scale
    if (
        unit == "share" and at_base - end > 8 and end - layout.left > LABEL
    ):  # the line to the baseline runs to the right
        parts.append(_text(end - 10, middle + 4.5, said, anchor="end", size=12.5))
    else:
        parts.append(_text(max(end, at_base) + 10, middle + 4.5, said, size=12.5))
    return parts


def _grid(top: float, bottom: float, scale: float, layout: Layout) -> list[Markup]:
    parts = []
    for part in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = layout.left + part * scale
        parts.append(_rect(x, top - 4, 1, bottom - top + 6, LINE))
        parts.append(_text(x, 13, f"{100 * part:.0f}{NBSP}%", colour=SOFT, anchor="middle", size=11.5))
    return parts


def _wrapped(label: str, x: float, y: float) -> list[Markup]:
    """Return a name that ends at x, in two lines where it is long."""
    if len(label) <= 23:
        return [_text(x, y, label, anchor="end")]
    cut = label.rfind(" ", 0, 24)
    first, rest = (label[:cut], label[cut + 1 :]) if cut > 0 else (label[:22], label[22:])
    rest = rest if len(rest) <= 24 else rest[:23] + "…"
    return [_text(x, y, first, anchor="end"), _text(x, y + 15, rest, anchor="end")]


def _mark(k: int, x: float, y: float, radius: float) -> Markup:
    shape = SHAPES[k]
    if shape == "circle":
        return Markup('<circle cx="{:.1f}" cy="{:.1f}" r="{}" fill="{}"/>').format(x, y, radius, COLOURS[k])
    points = " ".join(f"{x + radius * a:.1f},{y + radius * b:.1f}" for a, b in polygon(shape))
    return Markup('<polygon points="{}" fill="{}"/>').format(points, COLOURS[k])


def _swatch(k: int) -> Markup:
    return Markup(
        '<svg class="swatch" width="18" height="18" viewBox="0 0 18 18" aria-hidden="true" focusable="false">{}</svg>'
    ).format(_mark(k, 9, 9, 6.5))


def _text(
    x: float, y: float, said: str, *, colour: str = INK, anchor: str = "start", size: float = 13, weight: int = 400
) -> Markup:
    return Markup(
        '<text x="{:.1f}" y="{:.1f}" fill="{}" font-size="{}" font-weight="{}" text-anchor="{}">{}</text>'
    ).format(x, y, colour, size, weight, anchor, said)


def _rect(x: float, y: float, w: float, h: float, colour: str) -> Markup:
    return Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="{}"/>').format(x, y, w, h, colour)

"""Plots of a frontier and of the worth of a tonne: SVG without scripts, wide and narrow, break points numbered."""

import math
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from atlas.frontier import Frontier
from atlas.frontier_words import key_breaks, made_where, percent, thousands
from atlas.render_ink import AMBER, BLUE, GREEN, INK, MARKED, ON, PURPLE, SKY, SOFT
from atlas.render_ink import LINE as GRID
from atlas.shadow import UNIT_OF, Worth

CURVE, MARK = BLUE, MARKED
STAGE_COLOURS = {
    "mine": AMBER, "separation": GREEN, "metal": BLUE, "magnet": PURPLE, "recycling": SKY,
}  # fmt: skip
BADGE = 11  # radius of a number
BARS = 16


@dataclass(frozen=True)
class _Layout:
    """Measures of a plot: the whole width, the frame's left and right edge, its height, characters of a legend line."""

    name: str
    width: int
    left: int
    right: int
    height: int
    chars: int


WIDE = _Layout("wide", 1000, 74, 976, 300, 150)
NARROW = _Layout("narrow", 350, 46, 340, 240, 46)
PANEL_WIDE = _Layout("panel", 320, 58, 310, 150, 40)


@dataclass(frozen=True)
class _Axis:
    """Values to places: from `low` at `start` to `high` at `end`, by the logarithm where `log`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """Return the place of a value, kept inside the axis."""
        low, high = self.low, self.high
        if self.log:
            value, low, high = (math.log10(max(v, 1e-9)) for v in (value, low, high))
        part = (value - low) / (high - low) if high > low else 0.0
        return self.start + min(1.0, max(0.0, part)) * (self.end - self.start)


def frontier_plot(f: Frontier, layout: _Layout = WIDE, *, legend: bool = True) -> Markup:
    """Return what the bloc lacks against its allied share, with the break points numbered and named below."""
    p = f.kept
    breaks = key_breaks(f)
    top = 56 if len(breaks) else 26
    bottom = top + layout.height
    x = _share_axis(f.points, layout.left, layout.right)
    most = _nice(max(float(p["bloc_shortage_share"].max()), 0.01))
    y = _Axis(0.0, most, bottom, top)
    parts = _frame(layout, x, y, top, bottom, "short, of demand", lambda v: percent(v, 0), ticks=5)
    places = [(x.at(s), y.at(v)) for s, v in zip(p["allied_share"], p["bloc_shortage_share"], strict=True)]
    parts.append(_path(places))
    parts += [_dot(*place, title=_point_title(r)) for place, r in zip(places, p.itertuples(), strict=True)]
    first = f.points.iloc[0]
    at_first = x.at(float(first["allied_share"])), y.at(float(first["bloc_shortage_share"]))
    parts.append(_ring(*at_first, "The state as it is: no bound on foreign content"))
    where = (
        _apart([x.at(s) for s in breaks["allied_share"]], 2 * BADGE + 4, layout.left, layout.width - BADGE - 2)
        if len(breaks)
        else []
    )
    lines: list[str] = []
    for n, (r, at) in enumerate(zip(breaks.itertuples(), where, strict=True), start=1):
        px, py = x.at(r.allied_share), y.at(r.bloc_shortage_share)
        parts.append(_line(at, 16 + BADGE, px, py, MARK, 1, dash="3 3"))
        parts.append(_dot(px, py, radius=5, colour=MARK))
        parts.append(_badge(at, 16, n))
        lines.append(break_words(n, r))
    height = bottom + 42
    if legend:
        for text in lines:
            for k, part in enumerate(textwrap.wrap(text, layout.chars)):
                parts.append(_text(6 if k == 0 else 22, height + 12, part, size=12.5))
                height += 17
    title = f"What {f.bloc} lacks against the share made {made_where(f)}"
    described = (
        f"{len(p)} points from {percent(p['allied_share'].iloc[0])} to {percent(p['allied_share'].iloc[-1])}; "
        f"break points: {'; '.join(lines) or 'none'}. The table has every number."
    )
    return _svg(f"frontier-{layout.name}", layout, height + 6, title, described, parts, kind=layout.name)


def break_words(n: int, r: Any) -> str:
    """Return a break point of `key_breaks` in words, as listed under the plot."""
    share = f" ({percent(r.binds_share, 0)} of the jump)" if r.binds_share == r.binds_share else ""
    return f"{n}. Past {percent(r.allied_share)}: {r.binds}{share}; the price rises {_factor(r.climb)}"


def _factor(climb: float) -> str:
    return f"{climb:,.1f}-fold" if climb < 10 else f"{climb:,.0f}-fold"


def panels(f: Frontier) -> list[Markup]:
    """Return small plots of spending, days and the price of the next tonne against the allied share."""
    return [
        _panel(f, "unit_spend_usd_t", "Spending, USD a delivered tonne (world)", lambda v: f"{v:,.0f}"),
        _panel(f, "bloc_days", "Days on the way, mean of all that goes to the bloc", lambda v: f"{v:,.1f}"),
        _panel(f, "price_usd_t", "Price of the next t of foreign content given up, USD", _round, log=True),
    ]


def _round(usd: float) -> str:
    """Return a power of ten in short."""
    return next(
        (f"{usd / size:,.0f}{word}" for size, word in ((1e9, "G"), (1e6, "M"), (1e3, "k")) if usd >= size),
        f"{usd:,.0f}",
    )


def _panel(f: Frontier, column: str, title: str, say: Callable[[float], str], *, log: bool = False) -> Markup:
    layout, p = PANEL_WIDE, f.kept
    values = p[column].to_numpy(dtype=float)
    known = values[np.isfinite(values)]
    if not len(known):
        known = np.array([1.0])
    top, bottom = 26, 26 + layout.height
    x = _share_axis(f.points, layout.left, layout.right)
    if log:
        low = 10.0 ** math.floor(math.log10(max(float(known.min()), 1.0)))
        high = 10.0 ** math.ceil(math.log10(max(float(known.max()), 1.0)))
    else:
        low, high = _span(float(known.min()), float(known.max()))
    y = _Axis(low, max(high, low * 10 if log else high), bottom, top, log)
    parts = [_text(4, 14, title, SOFT, size=12)]
    parts += _frame(layout, x, y, top, bottom, "", say, ticks=4)
    places = []
    for n, (share, value) in enumerate(zip(p["allied_share"], values, strict=True)):
        if value != value:
            continue
        here = (x.at(share), y.at(value))
        places.append(here)
        if log and n + 1 < len(p):  # a price holds up to the next point
            places.append((x.at(p["allied_share"].iloc[n + 1]), here[1]))
    parts.append(_path(places))
    return _svg(f"panel-{column}", layout, bottom + 24, title, f"{len(known)} points.", parts, kind="panel")


def plot_file(f: Frontier) -> str:
    """Return the plot as an SVG file of its own."""
    body = str(frontier_plot(f, WIDE))
    style = ' xmlns="http://www.w3.org/2000/svg" font-family="Helvetica, Arial, sans-serif"'
    return body.replace("<svg", f"<svg{style}", 1) + "\n"


def worth_plot(w: Worth, names: dict[str, str], layout: _Layout = WIDE) -> Markup:
    """Return bars of what one more tonne is worth by stage and place; `names` are countries' names."""
    p = w.places[w.places["value_usd_t"] > 1.0].head(BARS)
    left, right, row = (270, 860, 26) if layout.name == "wide" else (8, 250, 44)
    above = layout.name == "narrow"
    most = float(p["value_usd_t"].max()) if len(p) else 1.0
    parts, y = [], 6.0
    for r in p.itertuples():
        label = f"{str(r.stage).capitalize()}, {names.get(str(r.country), str(r.country))}"
        width = max(1.0, (right - left) * r.value_usd_t / most)
        bar = y + (18 if above else 3)
        title = f"{label}: {r.value_usd_t:,.0f} USD for one more {UNIT_OF[str(r.stage)]} a year"
        body = [
            _text(left if above else left - 10, y + (13 if above else 17), label, anchor="start" if above else "end"),
            Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="18" fill="{}"/>').format(
                left, bar, width, STAGE_COLOURS[str(r.stage)]
            ),
            _text(left + width + 6, bar + 14, thousands(float(r.value_usd_t)), SOFT, size=12.5),
        ]
        parts.append(Markup("<g><title>{}</title>{}</g>").format(title, Markup("").join(body)))
        y += row
    said = "; ".join(f"{r.stage} in {r.country} {r.value_usd_t:,.0f}" for r in p.itertuples())
    title = "What one more tonne is worth, by stage and place, USD"
    return _svg(f"worth-{layout.name}", layout, y + 6, title, f"{said}.", parts, kind=layout.name)


def _share_axis(p: pd.DataFrame, left: float, right: float) -> _Axis:
    low, high = float(p["allied_share"].min()), float(p["allied_share"].max())
    step = 0.05 if high - low < 0.3 else 0.1
    if high - low < 0.02:
        step = 0.01
    return _Axis(
        math.floor(low / step + 1e-9) * step, min(1.0, math.ceil(high / step - 1e-9) * step) or step, left, right
    )


def _frame(
    layout: _Layout, x: _Axis, y: _Axis, top: float, bottom: float, word: str, say: Callable[[float], str], ticks: int
) -> list[Markup]:
    """Return grid lines with their figures, the horizontal axis in percent."""
    parts = []
    for v in _ticks(y, ticks):
        at = y.at(v)
        parts.append(_line(x.start, at, x.end, at, GRID, 1))
        parts.append(_text(x.start - 6, at + 4, say(v), SOFT, size=11.5, anchor="end"))
    for v in _ticks(x, 10 if layout.name == "wide" else 4):
        at = x.at(v)
        parts.append(_line(at, bottom, at, bottom + 5, SOFT, 1))
        side = "end" if at > layout.width - 24 else "middle"
        parts.append(
            _text(
                at if side == "middle" else layout.width - 2,
                bottom + 18,
                percent(v, 0 if x.high - x.low > 0.04 else 1),
                SOFT,
                size=11.5,
                anchor=side,
            )
        )
    parts.append(_line(x.start, bottom, x.end, bottom, SOFT, 1.2))
    if word:
        parts.append(_text(4, top - 10, word, SOFT, size=12))
        middle = (x.start + x.end) / 2
        parts.append(_text(middle, bottom + 36, "allied share of what is received", SOFT, anchor="middle", size=12))
    return parts


def _ticks(axis: _Axis, count: int) -> list[float]:
    if axis.log:
        powers = range(round(math.log10(axis.low)), round(math.log10(axis.high)) + 1)
        step = max(1, math.ceil(len(powers) / count))
        return [10.0**k for k in powers][::step]
    even = _step((axis.high - axis.low) / count)
    first = math.ceil(axis.low / even - 1e-9)
    return [k * even for k in range(first, int(axis.high / even + 1e-9) + 1)]


def _step(raw: float) -> float:
    size = 10.0 ** math.floor(math.log10(max(raw, 1e-12)))
    return next(m * size for m in (1.0, 2.0, 2.5, 5.0, 10.0) if m * size >= raw * (1 - 1e-9))


def _nice(value: float) -> float:
    step = _step(value / 5)
    return math.ceil(value / step - 1e-9) * step


def _span(low: float, high: float) -> tuple[float, float]:
    room = max(0.06 * (high - low), 1e-3 * max(abs(high), 1.0))
    return max(0.0, low - room) if low >= 0 else low - room, high + room


def _apart(places: Sequence[float], least: float, low: float, high: float) -> list[float]:
    """Return places in their order, at least `least` apart and inside the plot, moved as little as that allows."""
    out = list(places)
    for n in range(1, len(out)):
        out[n] = max(out[n], out[n - 1] + least)
    if out and out[-1] > high:
        out[-1] = high
        for n in range(len(out) - 2, -1, -1):
            out[n] = min(out[n], out[n + 1] - least)
    return [max(low, v) for v in out]


def _point_title(r: Any) -> str:
    text = f"{percent(r.allied_share)} allied, {r.bloc_shortage_t:,.0f} t short ({percent(r.bloc_shortage_share)})"
    return f"{text}; past it: {r.binds}" if r.binds else text


def _svg(
    name: str, layout: _Layout, height: float, title: str, described: str, parts: Sequence[Markup], kind: str
) -> Markup:
    return Markup(
        '<svg class="plot {k}" viewBox="0 0 {w} {h:.0f}" width="{w}" height="{h:.0f}" role="img" '
        'aria-labelledby="{n}-title {n}-desc"><title id="{n}-title">{t}</title><desc id="{n}-desc">{d}</desc>'
        "{body}</svg>"
    ).format(k=kind, w=layout.width, h=height, n=name, t=title, d=described, body=Markup("").join(parts))


def _path(places: Sequence[tuple[float, float]]) -> Markup:
    d = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in places) if places else ""
    return Markup('<path d="{}" fill="none" stroke="{}" stroke-width="2" stroke-linejoin="round"/>').format(d, CURVE)


def _dot(x: float, y: float, *, radius: float = 3, colour: str = CURVE, title: str = "") -> Markup:
    mark = Markup('<circle cx="{:.1f}" cy="{:.1f}" r="{}" fill="{}"/>').format(x, y, radius, colour)
    return Markup("<g><title>{}</title>{}</g>").format(title, mark) if title else mark


def _ring(x: float, y: float, title: str) -> Markup:
    return Markup(
        '<g><title>{}</title><circle cx="{:.1f}" cy="{:.1f}" r="7" fill="none" stroke="{}" stroke-width="1.6"/></g>'
    ).format(title, x, y, CURVE)


def _badge(x: float, y: float, n: int) -> Markup:
    return Markup('<circle cx="{:.1f}" cy="{:.1f}" r="{}" fill="{}"/>{}').format(
        x, y, BADGE, MARK, _text(x, y + 4.5, str(n), ON, anchor="middle", size=13, weight=650)
    )


def _text(
    x: float, y: float, text: str, colour: str = INK, *, anchor: str = "start", size: float = 13, weight: int = 400
) -> Markup:
    return Markup(
        '<text x="{:.1f}" y="{:.1f}" fill="{}" font-size="{}" font-weight="{}" text-anchor="{}">{}</text>'
    ).format(x, y, colour, size, weight, anchor, text)


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float, dash: str = "") -> Markup:
    return Markup(
        '<path d="M{:.1f} {:.1f}L{:.1f} {:.1f}" stroke="{}" stroke-width="{}" stroke-dasharray="{}" fill="none"/>'
    ).format(x1, y1, x2, y2, colour, width, dash or "none")

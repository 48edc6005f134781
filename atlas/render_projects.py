"""The page of what would fix it: bars a project, columns a year, tables; SVG without scripts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from atlas.fixes import LEAST_T, Fixes, Gain
from atlas.render_data import web_address
from atlas.render_ink import AMBER, BLUE, INK, SOFT
from atlas.render_ink import LINE as GRID

ALONE, LAST = BLUE, AMBER
BARS = 16  # projects in the plot; the table has them all


@dataclass(frozen=True)
class _Layout:
    """Measures of a plot: the whole width, where bars run, the height of a row, whether names stand above bars."""

    name: str
    width: int
    left: int
    right: int
    row: int
    chars: int
    above: bool


WIDE = _Layout("wide", 1000, 350, 905, 36, 46, above=False)
NARROW = _Layout("narrow", 350, 8, 280, 50, 44, above=True)


def page_parts(f: Fixes, layers: Any) -> dict[str, Any]:
    """Return everything the page shows: sentence, plots, tables."""
    seen = [r for r in f.rows if abs(r.alone.bloc_t) >= LEAST_T or abs(r.last.bloc_t) >= LEAST_T][:BARS]
    return {
        "sentence": f.sentence,
        "nothing": f.none.bloc_short_t < LEAST_T,
        "short": tonnes(f.none.bloc_short_t),
        "together": changed(f.together.bloc_t, f.none.bloc_short_t),
        "world_short": tonnes(f.none.short_t),
        "world_together": changed(f.together.world_t, f.none.short_t),
        "demand": tonnes(f.bloc_demand_t),
        "bars": [project_bars(f, seen, layout) for layout in (WIDE, NARROW)] if seen else [],
        "key": [(swatch(ALONE), "alone"), (swatch(LAST), "last: what would be missing if it alone were left out")],
        "more_bars": sum(abs(r.alone.bloc_t) >= LEAST_T or abs(r.last.bloc_t) >= LEAST_T for r in f.rows) - len(seen),
        "years": [year_curve(f, layout) for layout in (WIDE, NARROW)] if len(f.by_year) > 1 else [],
        "year_rows": [(y, n, tonnes(g.bloc_t), tonnes(g.world_t)) for y, g, n in f.by_year],
        "rows": [_row(r, layers) for r in f.rows],
        "steps": [
            {"name": s.project.name, "stage": s.project.stage, "added": tonnes(s.added.bloc_t),
             "so_far": tonnes(s.so_far.bloc_t), "sure": "yes" if s.sure else "best of those tried"}
            for s in f.steps
        ],
        "portfolio": _portfolio(f),
        "later": [(p.name, p.stage, p.country, f"starts in {p.start_year}") for p in f.later],
        "unready": [(u.name, u.stage, u.country, ", ".join(u.missing)) for u in f.unready],
        "solves": f.solves,
        "spared": f.spared,
    }  # fmt: skip


def tonnes(t: float) -> str:
    """Return tonnes for people: whole from 10 up, one decimal below."""
    text = f"{t:,.0f}" if abs(t) >= 10 or abs(t) < 0.05 else f"{t:,.1f}"
    return ("0" if not any(c in "123456789" for c in text) else text.replace("-", "−")) + "\u00a0t"


def changed(off_t: float, short_t: float) -> str:
    """Return how a shortage changes when so much is taken off it: tonnes with their sign, and percent of it."""
    if abs(off_t) < LEAST_T or short_t < LEAST_T:
        return "by nothing"
    sign = "−" if off_t > 0 else "+"
    return f"by {sign}{tonnes(abs(off_t))} ({sign}{100 * abs(off_t) / short_t:.0f}\u00a0%)"


def musd(usd: float) -> str:
    """Return million USD for people."""
    text = f"{usd / 1e6:,.0f}"
    return text.replace("-", "−") if any(c in "123456789" for c in text) else "0"


def swatch(colour: str) -> Markup:
    """Return a coloured square for a legend."""
    return Markup(
        '<svg class="swatch" width="14" height="14" aria-hidden="true" focusable="false">'
        '<rect width="14" height="14" fill="{}"/></svg>'
    ).format(colour)


def _row(r: Any, layers: Any) -> dict[str, Any]:
    p = r.project
    source = layers.sources.loc[p.capex_source_id] if p.capex_source_id in layers.sources.index else None
    return {
        "id": p.id, "name": p.name, "stage": p.stage, "country": p.country, "status": p.status_words,
        "start": p.start_year, "capacity": (p.capacity_t, tonnes(p.capacity_t)),
        "alone": _gain(r.alone), "last": _gain(r.last), "world": (r.alone.world_t, tonnes(r.alone.world_t)),
        "worth": (r.alone.objective_usd / 1e6, musd(r.alone.objective_usd)),
        "made": (r.output_t, tonnes(r.output_t)), "per_t": (r.per_t, f"{r.per_t:.2f}".replace("-", "−")),
        "capex": (p.capex_usd / 1e6, musd(p.capex_usd)), "estimate": not p.capex_known,
        "confidence": p.capex_confidence, "covers": p.capex_covers,
        "per_musd": (r.per_musd, f"{r.per_musd:.2f}".replace("-", "−")),
        "source": str(source["title"]) if source is not None else "",
        "url": web_address(str(source["url"])) if source is not None else "",
    }  # fmt: skip


def _gain(g: Gain) -> tuple[float, str, bool]:
    return (g.bloc_t, tonnes(g.bloc_t), g.proved)


def _portfolio(f: Fixes) -> dict[str, Any] | None:
    if f.portfolio is None:
        return None
    p = f.portfolio
    of = {r.project.id: r.project for r in f.rows}
    guessed = sum(of[i].still_usd for i in p.chosen if not of[i].capex_known)
    gain = Gain.between(f.none, p.best)
    return {
        "budget": musd(p.budget_usd), "capex": musd(p.capex_usd), "guessed": musd(guessed),
        "bloc": changed(gain.bloc_t, f.none.bloc_short_t), "world": changed(gain.world_t, f.none.short_t),
        "proved": p.proved, "gap": f"{max(100 * p.gap_share, 0.01):.2f}\u00a0%", "best": musd(p.best.objective_usd),
        "bound": musd(p.bound_usd), "solves": p.solves,
        "rows": [
            {"name": of[i].name, "stage": of[i].stage, "country": of[i].country, "start": of[i].start_year,
             "capex": (of[i].still_usd / 1e6, musd(of[i].still_usd)), "estimate": not of[i].capex_known,
             "paid": of[i].still_usd == 0, "made": (p.best.output_t[i], tonnes(p.best.output_t[i]))}
            for i in p.chosen
        ],
    }  # fmt: skip


def project_bars(f: Fixes, rows: Sequence[Any], layout: _Layout) -> Markup:
    """Return bars of the shortage each project takes away alone and last, under one of all together."""
    values = [f.together.bloc_t, *(r.alone.bloc_t for r in rows), *(r.last.bloc_t for r in rows)]
    least, most = min(0.0, *values), max(1.0, *values)
    scale = (layout.right - layout.left) / (most - least)
    zero = layout.left - least * scale
    y = 8.0
    parts: list[Markup] = []
    whole = f"all {len(f.rows)} together"
    y = _bar(parts, layout, y, zero, scale, whole, [(f.together.bloc_t, INK)])
    parts.append(_line(layout.left, y, layout.width - 8, y, GRID))
    y += 6
    for r in rows:
        words = f"{r.project.name} ({r.project.stage})"
        y = _bar(parts, layout, y, zero, scale, words, [(r.alone.bloc_t, ALONE), (r.last.bloc_t, LAST)])
    parts.append(_line(zero, 4, zero, y, SOFT))
    told = f"All together {tonnes(f.together.bloc_t)}. " + "; ".join(
        f"{r.project.name} alone {tonnes(r.alone.bloc_t)}, last {tonnes(r.last.bloc_t)}" for r in rows
    )
    return _svg(f"bars-{layout.name}", layout, y + 6, f"Shortage of {f.bloc} taken away by each project", told, parts)


def _bar(
    parts: list[Markup], layout: _Layout, y: float, zero: float, scale: float, words: str,
    values: Sequence[tuple[float, str]],
) -> float:  # fmt: skip
    """Draw a name and its bars from `y` on; return where the next one begins."""
    thick = (layout.row - (20 if layout.above else 8)) / len(values)
    name = words if len(words) <= layout.chars else words[: layout.chars - 1].rstrip() + "…"
    if layout.above:
        parts.append(_text(layout.left, y + 12, name, size=12.5))
    else:
        parts.append(_text(layout.left - 10, y + layout.row / 2 + 1, name, anchor="end"))
    top = y + (17 if layout.above else 3)
    for n, (value, colour) in enumerate(values):
        x = zero + min(value, 0.0) * scale
        at = top + n * thick
        parts.append(_rect(x, at, max(abs(value) * scale, 0.8), thick - 1, colour))
        size = min(12.5, thick + 1.5)
        end = zero + max(value, 0.0) * scale + 5
        parts.append(_text(end, at + thick / 2 + size * 0.34, tonnes(value), SOFT, size=size))
    return y + layout.row


def year_curve(f: Fixes, layout: _Layout) -> Markup:
    """Return what the projects there by each year take away, as columns against the whole shortage."""
    left, right, top, bottom = (60, layout.width - 12, 34, 214)
    high, low = max(f.none.bloc_short_t, 1.0), min(0.0, *(g.bloc_t for _, g, _ in f.by_year))
    scale = (bottom - top) / (high - low)
    zero = bottom + low * scale
    parts = []
    for part in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = zero - part * high * scale
        parts.append(_line(left, y, right, y, SOFT if part == 0 else GRID))
        parts.append(_text(left - 6, y + 4, f"{part * high:,.0f}", SOFT, anchor="end", size=11.5))
    parts.append(_text(4, 16, "t of magnets a year; the top line is the whole shortage", SOFT, size=12))
    step = (right - left) / len(f.by_year)
    small = layout.above
    for n, (year, gain, there) in enumerate(f.by_year):
        x, value = left + n * step, gain.bloc_t
        tall = max(abs(value) * scale, 0.8)
        parts.append(_rect(x + step * 0.16, zero - max(value, 0.0) * scale, step * 0.68, tall, ALONE))
        above = zero - max(value, 0.0) * scale - 5
        words = f"{value:,.0f}".replace("-", "−") if abs(value) >= LEAST_T else "0"
        if small and abs(value) >= 10_000:  # columns of a phone are narrower than five digits
            words = f"{value / 1e3:.1f}k".replace("-", "−")
        parts.append(_text(x + step / 2, above, words, anchor="middle", size=10.5 if small else 12.5))
        name = f"’{year % 100:02d}" if small else str(year)
        parts.append(_text(x + step / 2, bottom + 16, name, anchor="middle", size=12.5))
        said = f"{there}" if small else f"{there} project{'s' * (there != 1)}"
        parts.append(_text(x + step / 2, bottom + 32, said, SOFT, anchor="middle", size=11.5))
    if small:
        parts.append(_text(left, bottom + 48, "year, and how many projects are there by then", SOFT, size=11.5))
    told = "; ".join(f"by {y} {tonnes(g.bloc_t)} with {n} projects" for y, g, n in f.by_year)
    height = bottom + (54 if layout.above else 40)
    return _svg(f"years-{layout.name}", layout, height, f"Shortage of {f.bloc} taken away by year", told, parts)


def _svg(name: str, layout: _Layout, height: float, title: str, told: str, parts: Sequence[Markup]) -> Markup:
    return Markup(
        '<svg class="plot {k}" viewBox="0 0 {w} {h:.0f}" width="{w}" height="{h:.0f}" role="img" '
        'aria-labelledby="{n}-title {n}-desc"><title id="{n}-title">{t}</title><desc id="{n}-desc">{d}</desc>{b}</svg>'
    ).format(k=layout.name, w=layout.width, h=height, n=name, t=title, d=told, b=Markup("").join(parts))


def _text(x: float, y: float, text: str, colour: str = INK, *, anchor: str = "start", size: float = 13) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" fill="{}" font-size="{:.1f}" text-anchor="{}">{}</text>').format(
        x, y, colour, size, anchor, text
    )


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> Markup:
    return Markup('<path d="M{:.1f} {:.1f}L{:.1f} {:.1f}" stroke="{}" fill="none"/>').format(x1, y1, x2, y2, colour)


def _rect(x: float, y: float, w: float, h: float, colour: str) -> Markup:
    return Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="{}"/>').format(x, y, w, h, colour)

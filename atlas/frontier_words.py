"""A frontier and the worth of a tonne in words: the sentence with figures, the break points worth naming."""

import math
from typing import Any

import numpy as np
import pandas as pd

from atlas.frontier import OUTSIDE_CHINA, Frontier
from atlas.halt_words import country_name, describe
from atlas.layers import Layers
from atlas.shadow import UNIT_OF, Worth

# A bloc counts as not short up to this part of its demand more than at the first point.
NOT_SHORT = 2e-3
BREAKS = 6  # named in a plot or a sentence
_CONTENT = {"all": "rare-earth content"}
_MAKING = {"mine": "mining", "separation": "separation", "metal": "metal making", "magnet": "magnet making",
           "recycling": "recycling"}  # fmt: skip
_SINCE = {
    "mine": "at every stage, mine to magnet", "separation": "from separation on", "metal": "from metal making on",
    "magnet": "as magnets, of metal from anywhere",
}  # fmt: skip


def made_where(f: Frontier) -> str:
    """Return where a stage must run to count, in words."""
    if f.trusted == OUTSIDE_CHINA:
        return "outside China"
    return f"inside {f.bloc if f.trusted == 'bloc' else f.trusted}"


def since_words(f: Frontier) -> str:
    """Return from which stage on it must run there."""
    return _SINCE[f.since]


def share_title(f: Frontier) -> str:
    """Return what the share is a share of: the title of an axis."""
    content = _CONTENT.get(f.element, f.element)
    return f"Share of the {content} of {f.bloc}'s magnets made {made_where(f)} {since_words(f)}"


def state_words(halts: tuple[str, ...], year: int, layers: Layers) -> str:
    """Return the state in words: the pattern of a year, or what is halted."""
    if not halts:
        return f"In {year}'s pattern"
    return "With " + "; ".join(describe(h, layers) for h in halts) + " halted"


def knee(f: Frontier) -> int:
    """Return the last point at which the bloc is no shorter than at the first, of `points`."""
    p = f.points["bloc_shortage_share"]
    within = np.flatnonzero(p <= p.iloc[0] + NOT_SHORT)
    return int(within[-1]) if len(within) else 0


def sentence(f: Frontier, layers: Layers) -> str:
    """Say a frontier in two or three sentences with figures."""
    p, n = f.points, knee(f)
    first, at, last = p.iloc[0], p.iloc[n], p.iloc[-1]
    where = f"made {made_where(f)} {since_words(f)}"
    content = _CONTENT.get(f.element, f.element)
    text = (
        f"{state_words(f.halts, f.year, layers)}, {percent(first['allied_share'])} of the {content} of the magnets "
        f"that {f.bloc} receives can be told to be {where}."
    )
    if len(p) == 1:
        return f"{text} Nothing on the programme's terms changes that."
    more = at["allied_share"] - first["allied_share"] > 5e-4
    if more:
        extra = at["unit_spend_usd_t"] - first["unit_spend_usd_t"]
        cost = (
            "at the same cost"
            if abs(extra) < 0.5
            else f"for {abs(extra):,.0f}\u00a0USD {_more(extra)} a delivered tonne"
        )
        text += (
            f" It can rise to {percent(at['allied_share'])} with nobody in the bloc shorter, {cost} in freight, "
            "processing and duty"
        )
        others = (at["shortage_t"] - at["bloc_shortage_t"]) - (first["shortage_t"] - first["bloc_shortage_t"])
        text += f", while others go short of {others:,.0f}\u00a0t" if others > 0.5 else ""
        text += f"; what ends it: {at['binds']}." if at["binds"] else "."
    else:
        text += " It cannot rise without somebody in the bloc going short."
    if last["allied_share"] > at["allied_share"] + 5e-4:
        without = last["bloc_shortage_share"]
        text += (
            f" Past that the share rises by going without: at {percent(last['allied_share'])} the bloc lacks "
            f"{percent(without)} of its demand."
        )
    return text


def _more(change: float) -> str:
    return "more" if change > 0 else "less"


def key_breaks(f: Frontier, most: int = BREAKS) -> pd.DataFrame:
    """Return the break points worth naming, by share: those where the price climbs most, each name once.

    Columns as `points`, with `climb`, the factor by which the price rises; the knee is always among them.
    """
    p = f.points.copy()
    before = p["price_usd_t"].shift(1)
    p["climb"] = p["price_usd_t"] / before
    p["knee"] = p.index == knee(f)
    p = p[(p["binds"] != "") & ~p["dominated"] & p["climb"].notna() & (p["climb"] > 1)]
    if p.empty:
        return p
    p = p.sort_values(["knee", "climb"], ascending=False, kind="stable").drop_duplicates("binds")
    return p.head(most).sort_values("allied_share", kind="stable").reset_index(drop=True)


def worth_sentence(w: Worth, layers: Layers) -> str:
    """Say what one more tonne is worth in two sentences with figures."""
    state = state_words(w.halts, w.year, layers)
    worthy = w.units[w.units["value_usd_t"] > 1.0]
    if w.shortage_t < 0.5:
        text = f"{state} no magnet stays short"
        if worthy.empty:
            return f"{text}, and no limit of a plant or mine binds: one more tonne anywhere is worth nothing."
    else:
        here = f"{w.bloc_shortage_t:,.0f}\u00a0t of them in {w.bloc}"
        text = f"{state} {w.shortage_t:,.0f}\u00a0t of magnets stay short, {here}"
        if worthy.empty:
            return f"{text}, and no single limit binds: what is missing is missing at several stages at once."
    # The dearest unit may be a plant of one tonne: the place where the most value lies says more.
    top = w.places.sort_values("rent_usd", ascending=False, kind="stable").iloc[0]
    best = w.units.loc[str(top["best"])]
    place = f"{best['name']} ({country_name(str(best['country']), layers)})"
    what = f"one more {UNIT_OF[str(best['stage'])]} a year at {place} is worth {best['value_usd_t']:,.0f}\u00a0USD"
    relief = ""
    if best["world_t"] == best["world_t"] and best["world_t"] > 0.005:
        here = f"{max(best['bloc_t'], 0.0):.2f}\u00a0t of it in the bloc"
        relief = f" and relieves {best['world_t']:.2f}\u00a0t of magnets, {here}"
    most = f"most of the value lies in {_MAKING[str(top['stage'])]} in {country_name(str(top['country']), layers)}"
    held = f" {w.checked - w.kinks} of {w.checked} values checked hold both ways." if w.checked else ""
    return f"{text}; {most}: {what}{relief}.{held}"


def percent(share: float, digits: int = 1) -> str:
    """Return a share as percent, with one more digit below 1 %; a dash for none."""
    if share is None or not math.isfinite(share):
        return "–"
    more = 1 if digits and 0.00005 <= abs(share) < 0.00995 else 0
    return f"{100 * share:.{digits + more}f}\u00a0%"


def thousands(usd: float) -> str:
    """Return USD for people: whole dollars, thousands or millions."""
    if not math.isfinite(usd):
        return "–"
    for size, word in ((1e6, "million"), (1e4, "thousand")):
        if abs(usd) >= size:
            value = usd / (1e6 if word == "million" else 1e3)
            return f"{value:,.1f}\u00a0{word}" if value < 100 else f"{value:,.0f}\u00a0{word}"
    return f"{usd:,.0f}"


def rows_of(f: Frontier) -> list[dict[str, Any]]:
    """Return the kept points as plain rows, for tables."""
    return [{str(k): v for k, v in r.items()} for r in f.kept.to_dict("records")]

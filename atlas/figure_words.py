"""The words of a print map: headline, key figures, scale, sources. Every figure in them is read off the outcome."""

from collections.abc import Callable
from typing import Any

import numpy as np

from atlas import __version__, geo
from atlas.export import ATTRIBUTION
from atlas.figure_frame import Frame
from atlas.halt_words import describe
from atlas.render_cards import baseline_cards, halt_cards
from atlas.render_words import differs, halt_specs

VIEW_WORDS = {"before": "Before", "after": "After", "change": "What changes"}
UNNAMED = ("", "halts", "scenario", "baseline")
HALTS_SAID = 3
CLOSED_KINDS = ("passage", "port", "border")
MODEL = "Flows are the optimum of a model calibrated to 2024, not observed shipments."


def amount(tonnes: float) -> str:
    """Return tonnes with at most three significant digits and thousands apart, without a unit."""
    size = abs(tonnes)
    if size < 0.5:
        return "0"
    digits = int(np.floor(np.log10(size)))
    value = round(tonnes, 2 - digits)
    return (
        f"{value:,.0f}" if size >= 100 or float(value).is_integer() else f"{value:,.{2 - digits if size < 10 else 1}f}"
    )


def moves(before: float, after: float, view: str) -> str:
    """Return tonnes of one view, or before and after where they differ."""
    first, second = amount(before), amount(after)
    if view == "before" or (view != "after" and first == second):
        return f"{first} t"
    return f"{second} t" if view == "after" else f"{first} → {second} t"


def has_change(outcome: Any) -> bool:
    """Return whether there are two states to show."""
    return bool(halt_specs(outcome)) or differs(outcome)


def headline(outcome: Any) -> str:
    """Return a title that says what happens, with its main figure."""
    scenario = outcome.summary["scenario"]
    if not has_change(outcome):
        return f"Rare earths from mine to magnet, {scenario['year']}"
    before, after = outcome.summary["baseline"], outcome.summary["halted"]
    more = after["shortage_t"] - before["shortage_t"]
    name = scenario["name"] if scenario["name"] not in UNNAMED else ""
    specs = halt_specs(outcome)
    said = [describe(h, outcome.layers) for h in specs[:HALTS_SAID]]
    rest = f" and {len(specs) - HALTS_SAID} more" if len(specs) > HALTS_SAID else ""
    whole = [h.partition(":")[0] in CLOSED_KINDS and "@" not in h and "/" not in h for h in specs]
    shut = "closed" if all(whole) else "halted"
    what = name or (f"{_joined(said)}{rest} {shut}" if said else "A changed world")
    what = what[:1].upper() + what[1:]
    if more > 0.5:
        return f"{what}: {amount(more)} t of magnets a year stay short"
    return f"{what}: no magnet stays short"


def _joined(texts: list[str]) -> str:
    return texts[0] if len(texts) == 1 else ", ".join(texts[:-1]) + " and " + texts[-1]


def standfirst(outcome: Any) -> str:
    """Return the sentence under the title."""
    return str(outcome.sentence)


def key_figures(outcome: Any) -> list[tuple[str, str, str]]:
    """Return (what, figure, beside what) of the four figures a reader wants first."""
    cards = halt_cards(outcome) if has_change(outcome) else baseline_cards(outcome)
    return [(c.label, c.value, c.detail) for c in cards[:4]]


def scale_words(frame: Frame, width_pt: float) -> str:
    """Return how large the map is, at a place where that is true."""
    where = 0.0 if frame.is_world else frame.lat_0
    lon = frame.lon_0
    first, second = frame.xy([[lon - 0.5, where], [lon + 0.5, where]])
    drawn_m = float(np.hypot(*(second - first))) / (frame.window[2] - frame.window[0]) * width_pt / 72 * 0.0254
    true_m = 1000.0 * float(geo.geodesic_km(lon - 0.5, where, lon + 0.5, where))
    millions = true_m / drawn_m / 1e6
    at = "along the equator" if where == 0 else f"at {abs(where):.0f}° {'north' if where > 0 else 'south'}"
    said = f"{millions:,.0f}" if millions >= 20 else f"{millions:.1f}"
    return f"{frame.words}; scale {at} 1:{said} million at the size drawn."


def case_words(outcome: Any) -> str:
    """Return which question the map answers: scenario, halts, bloc, day."""
    scenario = outcome.summary["scenario"]
    parts = [f"Scenario: {scenario['name']}." if scenario["name"] not in UNNAMED else ""]
    specs = halt_specs(outcome)
    shown = ", ".join(specs[:8]) + (f" and {len(specs) - 8} more" if len(specs) > 8 else "")
    parts.append(f"Halts: {shown}." if specs else "No halt." if not differs(outcome) else "")
    day = f" on {scenario['on']}" if scenario.get("on") else ""
    parts.append(f"Bloc: {outcome.bloc}. Facilities and demand of {scenario['year']}{day}; tonnes a year.")
    return " ".join(p for p in parts if p)


def footer(outcome: Any, frame_words: str, share_drawn: float) -> list[str]:
    """Return the lines at the foot: the question, how sure it is, sources with their licences, the version."""
    share = outcome.summary["halted"].get("confidence_c_share", {}).get("all")
    sure = f" {100 * share:.0f} % of the tonnes rest on estimates (confidence C)." if share is not None else ""
    left_out = "" if share_drawn > 0.9995 else f" Drawn: {100 * share_drawn:.1f} % of the tonnes that move."
    return [
        f"{case_words(outcome)} {MODEL}{sure}{left_out}",
        f"{ATTRIBUTION} Figures: sources named row by row in the atlas's layers. {frame_words} "
        f"Rare-earth atlas {__version__}.",
    ]


def wrapped(text: str, width: float, measure: Callable[[str], float]) -> list[str]:
    """Return the lines of a text no wider than `width`, as `measure` tells; a word longer than that stays whole."""
    lines: list[str] = []
    for word in text.replace(" %", "\u00a0%").split(" "):
        if lines and measure(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def shortened(text: str, width: float, measure: Callable[[str], float]) -> str:
    """Return the text, cut with an ellipsis where it is wider than `width`."""
    if measure(text) <= width:
        return text
    while text and measure(text + "…") > width:
        text = text[:-1].rstrip()
    return text + "…"

"""A comparison in words: what each case is, and one sentence that says what differs and by how much."""

from collections.abc import Callable, Sequence

from atlas.compare import Comparison, Figure
from atlas.halt_words import country_name, describe
from atlas.layers import Layers

LETTERS = "ABCD"
MOST_NAMED = 3  # halts of a case that its label names
NBSP = "\u00a0"


def case_label(halts: Sequence[str], layers: Layers, title: str = "", opened: Sequence[str] = ()) -> str:
    """Return a case in words: title of its scenario, halts, opened passages; "No halt" for the baseline."""
    parts = [title] if title else []
    parts += [describe(h, layers) for h in halts[:MOST_NAMED]]
    if len(halts) > MOST_NAMED:
        parts.append(f"{len(halts) - MOST_NAMED} more halts")
    parts += [f"{thing_name('passage', p, layers)} open" for p in opened]
    return "; ".join(parts) or "No halt"


def thing_name(kind: str, key: str, layers: Layers) -> str:
    """Return the name of a passage, port, border (`AAA-BBB`) or country by its id."""
    if kind == "border":
        return " – ".join(country_name(c, layers) for c in key.split("-"))
    if kind == "country":
        return country_name(key, layers)
    table = {"passage": layers.passages, "port": layers.ports}.get(kind)
    return str(table.at[key, "name"]) if table is not None and key in table.index else key.replace("_", " ")


def sentence(c: Comparison) -> str:
    """Say in one sentence what differs between the cases, and by how much."""
    short, share = c.figure("demand", "shortage_t"), c.figure("demand", "shortage_share")
    parts = [_shortage(c, short, share)]
    met = c.figure("bloc", "bloc_supplied_share")
    if met.spread:
        parts.append(f"{c.bloc} gets {_values(met, percent)} of its demand")
    unit, days = c.figure("cost", "unit_spend_usd_t"), c.figure("cost", "mean_days")
    if unit.spread:
        told = _values(
            _from_baseline(unit), lambda v: more_or_less(v, f"{abs(v):,.0f}{NBSP}USD", "more", "less", "no more")
        )
        parts.append(f"against the baseline a delivered tonne costs {told}")
    if days.spread:
        told = _values(
            _from_baseline(days), lambda v: more_or_less(v, f"{abs(v):.2f}{NBSP}days", "longer", "shorter", "no longer")
        )
        parts.append(f"goods travel {told}" if unit.spread else f"against the baseline goods travel {told}")
    if not (short.spread or len(parts) > 1):
        parts.append(_only_ways(c))
    return "; ".join(parts) + "."


def _shortage(c: Comparison, short: Figure, share: Figure) -> str:
    low, high = short.values.index(min(short.values)), short.values.index(max(short.values))
    if not short.spread:
        if short.values[0] > 0.5:
            return f"All leave the same shortage, {tonnes(short.values[0])} of magnets a year"
        if len(c.cases) == 2:
            return f"Neither {_named(c, 0)} nor {_named(c, 1)} leaves a magnet short"
        return f"None of the {len(c.cases)} cases leaves a magnet short"
    most = f"{tonnes(short.values[high])} of magnets short a year, {percent(share.values[high])} of world demand"
    least = "none" if short.values[low] < 0.5 else tonnes(short.values[low])
    if len(c.cases) == 2:
        gap = "" if least == "none" else f", {tonnes(short.values[high] - short.values[low])} less"
        return f"{_named(c, high)} leaves {most}, {_named(c, low)} leaves {least}{gap}"
    return f"{_named(c, high)} leaves most, {most}, and {_named(c, low)} least, {least}"


def _only_ways(c: Comparison) -> str:
    through = [f for f in c.group("throughput_passage") if f.spread]
    if not through:
        return "nothing that is measured here differs"
    return f"only the ways of goods differ (straits, canals and capes passed otherwise: {len(through)})"


def _named(c: Comparison, k: int) -> str:
    # Brackets inside a label would stand in brackets.
    return f"{LETTERS[k]} ({c.cases[k].label.replace(' (', ', ').replace(')', '')})"


def _from_baseline(f: Figure) -> Figure:
    return Figure(f.group, f.key, f.unit, f.better, 0.0, tuple(v - f.baseline for v in f.values))


def _values(f: Figure, say: Callable[[float], str]) -> str:
    """Return the figure of two cases, or the lowest and highest of more."""
    if len(f.values) == 2:
        return f"{say(f.values[0])} with {LETTERS[0]} and {say(f.values[1])} with {LETTERS[1]}"
    low, high = f.values.index(min(f.values)), f.values.index(max(f.values))
    return f"between {say(f.values[low])} ({LETTERS[low]}) and {say(f.values[high])} ({LETTERS[high]})"


def more_or_less(value: float, size: str, more: str, less: str, none: str) -> str:
    """Return a size with its direction, `none` for next to nothing."""
    return f"{size} {more if value > 0 else less}" if abs(value) > 5e-3 else none


def tonnes(value: float) -> str:
    """Return tonnes for people: whole from 100 on, tenths below."""
    size = abs(value)
    return f"{value:,.{0 if size >= 100 or size < 0.05 else 1}f}{NBSP}t".replace("-", "−")


def percent(share: float) -> str:
    """Return a share as percent, never rounded up to a whole 100 or down to 0."""
    value = 100 * share
    if 99.95 <= value < 100 - 1e-4:
        return f"99.9{NBSP}%"
    if 1e-4 < abs(value) < 0.05:
        return f"<0.1{NBSP}%" if value > 0 else f"−<0.1{NBSP}%"
    return f"{value:.1f}{NBSP}%".replace("-", "−").replace("100.0", "100")

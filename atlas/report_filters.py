"""How figures are shown in a report: filters with their unit, and the rounding that each one states.

Each takes the value alone, so a check can show a figure again and compare the text.
"""

import math
from collections.abc import Callable
from typing import Any

from atlas.report_tree import Missing, Name, Number, Recorder, Rows

GAP = "\u00a0"
MINUS = "\u2212"
_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def rounded(value: float, digits: int = 3) -> str:
    """Return a size at `digits` significant digits, thousands apart, without decimals from 100 on."""
    size = abs(value)
    if size < 1e-12:
        return "0"
    places = digits - 1 - math.floor(math.log10(size))
    whole = round(size, places)
    shown = f"{whole:,.{max(places, 0)}f}"
    if "." in shown:
        shown = shown.rstrip("0").rstrip(".")
    return f"{MINUS}{shown}" if value < 0 else shown


def plain_tonnes(value: float) -> str:
    """Tonnes at three significant digits, below 100 in whole ones: 55,100; 42; under 1; 0."""
    size = abs(value)
    sign = MINUS if value < 0 else ""
    if size < 0.05:
        return "0"
    if size < 1:
        return f"under{GAP}1" if value > 0 else f"{MINUS}0.{max(round(size * 10), 1)}"
    return f"{sign}{round(size):,}" if size < 100 else f"{sign}{rounded(size)}"


def tonnes(value: float) -> str:
    """As `plain_tonnes`, with the unit t."""
    return f"{plain_tonnes(value)}{GAP}t"


def exact_tonnes(value: float) -> str:
    """Whole tonnes, thousands apart, with the unit t."""
    return f"{MINUS if round(value) < 0 else ''}{abs(round(value)):,}{GAP}t"


def percent(value: float) -> str:
    """Percent of a share of 0 to 1, in whole ones; below 10 % with one decimal; never rounded to none or to all."""
    p = 100 * value
    size = abs(p)
    sign = MINUS if p < 0 else ""
    if size < 1e-4:
        return f"0{GAP}%"
    if size < 0.1:
        return f"under{GAP}0.1{GAP}%"
    if 99.5 <= size < 99.995:
        return f"{sign}over{GAP}99{GAP}%"
    shown = f"{size:.1f}".removesuffix(".0") if size < 9.95 else f"{size:.0f}"
    return f"{sign}{shown}{GAP}%"


def points(value: float) -> str:
    """Difference of two shares in percentage points, whole ones, below 10 with one decimal."""
    p = abs(100 * value)
    shown = "0" if p < 0.05 else f"{p:.1f}".removesuffix(".0") if p < 9.95 else f"{p:.0f}"
    return f"{shown}{GAP}{'percentage point' if shown == '1' else 'percentage points'}"


def usd(value: float) -> str:
    """US dollars at three significant digits, from a million on in millions or billions."""
    size = abs(value)
    sign = MINUS if value < 0 else ""
    for least, word in ((999.5e6, "billion"), (999.5e3, "million")):
        if size >= least:
            return f"{sign}{rounded(size / (1e9 if word == 'billion' else 1e6))}{GAP}{word}{GAP}USD"
    return f"{sign}{'0' if size < 0.5 else rounded(size) if size >= 100 else f'{size:.0f}'}{GAP}USD"


def usd_t(value: float) -> str:
    """US dollars a tonne, as `usd`."""
    return f"{usd(value)}/t"


def days(value: float) -> str:
    """Days, one decimal; below a tenth that is said."""
    if 0 < abs(value) < 0.05:
        return f"under{GAP}0.1{GAP}days"
    shown = f"{abs(value):.1f}".removesuffix(".0")
    return f"{MINUS if value < 0 else ''}{shown}{GAP}{'day' if shown == '1' else 'days'}"


def km(value: float) -> str:
    """Kilometres at three significant digits."""
    return f"{rounded(value) if abs(value) >= 100 else f'{value:.0f}'}{GAP}km"


def number(value: float) -> str:
    """A bare number at three significant digits."""
    return rounded(value)


def index(value: float) -> str:
    """A concentration index of 0 to 1, two decimals."""
    return f"{value:.2f}"


def year(value: float) -> str:
    """A year: no comma."""
    return f"{value:.0f}"


def count(value: float, one: str = "", many: str = "") -> str:
    """A count, in words up to twelve, with its noun."""
    n = round(value)
    shown = _WORDS[n] if 0 <= n < len(_WORDS) else f"{n:,}"
    noun = one if n == 1 else many or (f"{one}s" if one else "")
    return f"{shown}{GAP}{noun}".rstrip(GAP)


def ordinal(value: float) -> str:
    """A place in a ranking: 1st, 2nd, 3rd, 4th."""
    n = round(value)
    ending = "th" if 10 <= n % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n:,}{ending}"


FORMS: dict[str, Callable[..., str]] = {
    "tonnes": tonnes, "plain_tonnes": plain_tonnes, "exact_tonnes": exact_tonnes, "percent": percent, "points": points,
    "usd": usd, "usd_t": usd_t, "days": days, "km": km, "number": number, "index": index, "year": year, "count": count,
    "ordinal": ordinal,
}  # fmt: skip


def change(value: float, unit: str = "plain_tonnes") -> str:
    """A change with its sign, shown by another filter: +4,620 t."""
    shown = FORMS[unit](abs(value))
    if shown.startswith("0") and not any(c in "123456789" for c in shown):
        return f"±{shown}" if shown.strip("0") else "0"
    return f"{MINUS if value < 0 else '+'}{shown}"


FORMS["change"] = change


def show(raw: float | int | str, form: tuple[Any, ...]) -> str:
    """Return the text of a value by its form: what a check compares a quoted text with."""
    if form[0] in ("text", "literal"):
        return str(raw)
    if form[0] == "capital":
        inner = show(raw, form[1:] or ("text",))
        return inner[:1].upper() + inner[1:]
    if form[0] == "short":
        return shorter(str(raw), int(form[1]))
    return FORMS[form[0]](float(raw), *form[1:])


def shorter(text: str, most: int) -> str:
    """Return a name of at most `most` characters, cut at a word and marked so."""
    if len(text) <= most:
        return text
    return text[: most - 1].rsplit(" ", 1)[0].rstrip(" ,;(") + "…"


class Shown:
    """A figure or text as a reader will see it; it is written down as quoted where it is put into the text."""

    def __init__(self, path: str, raw: float | int | str, form: tuple[Any, ...], recorder: Recorder) -> None:
        self.path, self.raw, self.form, self.recorder = path, raw, form, recorder
        self.text = show(raw, form)

    def __str__(self) -> str:
        return self.recorder.quote(self.path, self.raw, self.form, self.text)


def filters(recorder: Recorder) -> dict[str, Callable[..., Any]]:
    """Return the filters of templates; a template has these and no others."""

    def of(name: str) -> Callable[..., Any]:
        def make(value: Any, *given: Any) -> Any:
            if isinstance(value, Missing):
                return value
            if value is None:
                recorder.problem(f"| {name}: the figure is not known here (null)")
                return Missing()
            if not isinstance(value, Number):
                recorder.problem(f"| {name} takes a figure of the results, not {type(value).__name__.lower()}")
                return Missing()
            if name == "change" and given and given[0] not in FORMS:
                recorder.problem(f"| change: unknown filter {given[0]!r}; known: {', '.join(FORMS)}")
                return Missing()
            try:
                return Shown(value.path, float(value), (name, *given), recorder)
            except (TypeError, ValueError) as error:
                recorder.problem(f"| {name}: {error}")
                return Missing()

        return make

    def text(name: str) -> Callable[..., Any]:
        def make(value: Any, *given: Any) -> Any:
            if isinstance(value, Missing):
                return value
            if isinstance(value, Shown):
                return Shown(value.path, value.raw, ("capital", *value.form), recorder) if name == "capital" else value
            if isinstance(value, Name):
                return Shown(value.path, value[:], (name, *given), recorder)
            return str(value)[:1].upper() + str(value)[1:] if name == "capital" else shorter(str(value), *given)

        return make

    def length(value: Any) -> Any:
        if isinstance(value, Rows):
            if list(value._at) == list(range(len(value._value))):
                return Number.of(len(value), f"len({value.path})", recorder)
            rows = ", ".join(f"{value.path}[{n}]" for n in value._at)
            return Number.of(len(value), f"len([{rows}])", recorder)
        return value if isinstance(value, Missing) else len(value)

    def total(rows: Any, name: str) -> Any:
        made: Any = None
        for r in rows:
            made = r.find(name) if made is None else made + r.find(name)
        return Number.of(0.0, "0", recorder) if made is None else made

    def biggest(rows: Any, name: str) -> Any:
        return ordered(rows, name, reverse=True)

    def ordered(rows: Any, name: str, *, reverse: bool = False) -> Any:
        if not isinstance(rows, Rows):
            return rows
        keys = [_raw(r.find(name)) for r in rows]
        at = sorted(range(len(keys)), key=lambda i: keys[i], reverse=reverse)
        return rows.chosen(at)

    def where(rows: Any, name: str, wanted: Any, sign: str = "==") -> Any:
        if not isinstance(rows, Rows):
            return rows
        return rows.chosen([i for i, r in enumerate(rows) if _holds(_raw(r.find(name)), sign, _raw(wanted))])

    def joined(values: Any, last: str = " and ") -> str:
        parts = [str(v) for v in values]
        return parts[0] if len(parts) == 1 else (", ".join(parts[:-1]) + last + parts[-1] if parts else "")

    made = {name: of(name) for name in FORMS}
    made |= {"capital": text("capital"), "short": text("short")}
    made |= {"length": length, "total": total, "biggest": biggest, "ordered": ordered, "where": where, "joined": joined}
    made["field"] = lambda rows, name: [r.find(name) for r in rows]
    made["abs"] = lambda v: -v if isinstance(v, Number) and v < 0 else v
    return made


def _raw(value: Any) -> Any:
    if isinstance(value, Name):
        return value[:]
    return float(value) if isinstance(value, Number) else 0.0 if isinstance(value, Missing) or value is None else value


def _holds(value: Any, sign: str, wanted: Any) -> bool:
    if sign == "in":
        return value in wanted
    if sign == "!=":
        return bool(value != wanted)
    return bool(
        {"==": value == wanted}.get(sign) if sign == "==" else value > wanted if sign == ">" else value < wanted
    )

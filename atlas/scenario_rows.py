"""Single values of a scenario's rows: numbers, dates, texts and names, each checked, none ever a traceback.

Every function appends what is wrong to `problems`, with the place it stands in (`where`), and reads on.
"""

import datetime as dt
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from atlas.errors import UnknownName, nearest

# Names compared, about, after which no nearest ones are offered: for 10,000 rows all wrong it would take minutes.
MOST_COMPARED = 100_000


def shown(value: Any) -> str:
    """Return a value for a message, short whatever it is."""
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, (list, tuple, set, frozenset)):
        return "a list"
    if isinstance(value, int) and value.bit_length() > 100:
        return "a number of more than 30 digits"
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def word(value: Any) -> str:
    """Return a text as it is, anything else as a message shows it."""
    return value if isinstance(value, str) else shown(value)


def tables(value: Any, name: str, problems: list[str]) -> list[Mapping[str, Any]]:
    """Return the rows of a list of tables."""
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(v, Mapping) for v in value):
        inside = type(value[0]).__name__ if isinstance(value, list) and value else type(value).__name__
        problems.append(f"{name}: expected a list of tables, found {inside}")
        return []
    return list(value)


def known_fields(row: Mapping[str, Any], known: Iterable[str], where: str, problems: list[str]) -> None:
    """Refuse the fields of a row that are not among `known`, and a note or source that is no text."""
    known = {*known, "note", "source"}
    problems += [
        f"{where}: {name}: expected a text, found {shown(row[name])}"
        for name in ("note", "source")
        if row.get(name) is not None and not isinstance(row[name], str)
    ]
    for name in sorted({word(k) for k in row} - known):
        unknown("field", name, sorted(known), where, problems)


def unknown(what: str, name: Any, known: Collection[str], where: str, problems: list[str]) -> None:
    """Refuse a name with the nearest of `known`; with all of them where they are few and none is near."""
    name, near = word(name), []
    if len(problems) * len(known) <= MOST_COMPARED:
        near = nearest(name, sorted(known))
    if not near and len(known) <= 8:
        near = sorted(known) if isinstance(known, frozenset) else list(known)
    problems.append(f"{where}: " + UnknownName(what, name, near).problems[0])


def one_of(
    row: Mapping[str, Any], name: str, what: str, known: Collection[str], where: str, problems: list[str]
) -> str | None:
    """Return a field that must be a known name."""
    value = row.get(name)
    if value is None or value == "":
        problems.append(f"{where}: expected `{name}`, a {what}")
    elif not isinstance(value, str):
        problems.append(f"{where}: {name}: expected a text, found {shown(value)}")
    elif value not in known:
        unknown(what, value, known, where, problems)
    else:
        return value
    return None


def maybe_one_of(
    row: Mapping[str, Any], name: str, what: str, known: Collection[str], where: str, problems: list[str]
) -> str:
    """Return a field that may be left out, else must be a known name; "" where it is left out or wrong."""
    if row.get(name) in (None, ""):
        return ""
    return one_of(row, name, what, known, where, problems) or ""


def number(
    row: Mapping[str, Any], name: str, where: str, problems: list[str], *, low: float, high: float, over: bool = False
) -> float | None:
    """Return a number from `low` to `high` (`over`: above `low`); no truth value, text or NaN is one."""
    value = row.get(name)
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high
    if not good or (over and value == low):
        span = f"{'over' if over else 'from'} {low:.12g} to {high:.12g}"
        problems.append(f"{where}: {name}: expected a number {span}, found {shown(value)}")
        return None
    return float(value) + 0.0  # type: ignore[arg-type]  # no -0.0


def texts(value: Any) -> list[str]:
    """Return a list of texts, or one text divided at commas and semicolons."""
    if value is None or value == "":
        return []
    if isinstance(value, (list, tuple)):
        return [word(v) for v in value]
    return re.split(r"[;,]\s*", word(value))


def day_of(value: Any, where: str, problems: list[str]) -> dt.date | None:
    """Return a date given as one or as a text; None where there is none."""
    if value is None or value == "":
        return None
    if isinstance(value, dt.datetime):
        return value.date()
    if isinstance(value, dt.date):
        return value
    try:
        if isinstance(value, str):
            return dt.date.fromisoformat(value)
    except ValueError:
        pass
    problems.append(f"{where}: expected a date YYYY-MM-DD, found {shown(value)}")
    return None


def in_force(row: Mapping[str, Any], where: str, day: dt.date | None, problems: list[str]) -> bool:
    """Return whether `day` lies between the `from` and `to` of a row, both included; always, without a day."""
    begin, end = day_of(row.get("from"), f"{where}: from", problems), day_of(row.get("to"), f"{where}: to", problems)
    if begin and end and end < begin:
        problems.append(f"{where}: `to` {end} lies before `from` {begin}")
    return day is None or ((begin is None or begin <= day) and (end is None or day <= end))

"""Scenarios: dated halts and whatever else changes, from a file, a mapping or specs alone.

Everything wrong with a scenario is collected and raised once, each problem with the nearest known names. Applying a
scenario to the model is in `restriction`.
"""

import dataclasses
import datetime as dt
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from atlas.errors import BadInput, UnknownName, nearest
from atlas.halt import Halt, Names, merge, parse_halt
from atlas.way import MOST_SURCHARGE_USD_T, summed
from atlas.world import COMMODITIES

_TABLES = ("halt", "licence", "surcharge", "tariff", "facility", "demand", "priority")
_FIELDS = {"name", "note", "start", "days", "open", "transit", *_TABLES}
_LATER = {"stock", "buyer", "contract"}
_AMOUNTS = {"usd_t": MOST_SURCHARGE_USD_T, "hull_value_pct": 100.0}  # of a surcharge: how it is given, and at most


@dataclass(frozen=True)
class Surcharge:
    """What all goods pay at each crossing of a passage's gate, in USD per gross tonne.

    `hull_value_pct` is the war-risk premium, in percent of the hull's value, that `usd_t` was reckoned from.
    """

    passage: str
    usd_t: float
    hull_value_pct: float | None = None

    @property
    def words(self) -> str:
        """The surcharge in words, for notes."""
        amount = f"{self.usd_t:,.2f}" if self.usd_t >= 0.01 or not self.usd_t else f"{self.usd_t:.2g}"
        ground = "" if self.hull_value_pct is None else f" ({self.hull_value_pct:g} % of the hull's value)"
        return f"war risk of {amount} USD per gross tonne through {self.passage}{ground}"

    def to_json(self) -> dict[str, Any]:
        """Return passage and usd_t, and hull_value_pct where that was given."""
        return {k: v for k, v in dataclasses.asdict(self).items() if v is not None}


@dataclass(frozen=True)
class Scenario:
    """A scenario: dated halts and whatever else changes.

    `halts` are those in force on `on`, merged and sorted; so are `surcharges`, though all of one passage are paid.
    """

    name: str = "halts"
    note: str = ""
    start: dt.date | None = None
    days: int | None = None
    on: dt.date | None = None
    halts: tuple[Halt, ...] = ()
    transit: frozenset[str] = frozenset()
    opened: frozenset[str] = frozenset()
    surcharges: tuple[Surcharge, ...] = ()
    tariffs: tuple[Mapping[str, Any], ...] = ()
    facilities: tuple[Mapping[str, Any], ...] = ()
    demand: tuple[Mapping[str, Any], ...] = ()
    priority: tuple[Mapping[str, Any], ...] = ()
    dropped: tuple[str, ...] = field(default=(), compare=False)

    @property
    def specs(self) -> tuple[str, ...]:
        """Canonical specs, sorted."""
        return tuple(sorted(h.spec for h in self.halts))

    @property
    def charges(self) -> tuple[tuple[str, float], ...]:
        """What the surcharges come to, USD per gross tonne by passage, sorted; those of nothing left out."""
        return summed((s.passage, s.usd_t) for s in self.surcharges)

    @property
    def is_baseline(self) -> bool:
        """Whether nothing at all changes."""
        changes = (self.halts, self.opened, self.charges, self.tariffs, self.facilities, self.demand, self.priority)
        return not any(changes)

    def plus(self, halts: Iterable[Halt]) -> "Scenario":
        """Return this scenario with more halts."""
        return dataclasses.replace(self, halts=merge([*self.halts, *halts]))

    @property
    def key(self) -> str:
        """A text that is equal for equal scenarios, for caches."""
        return repr(
            (
                self.specs,
                sorted(self.transit),
                sorted(self.opened),
                self.on,
                self.surcharges,
                self.tariffs,
                self.facilities,
                self.demand,
                self.priority,
            )
        )


def from_specs(specs: Iterable[str], names: Names, *, on: dt.date | None = None, name: str = "halts") -> Scenario:
    """Build a scenario from halt specs alone; all problems of all specs are raised at once."""
    return from_dict({"name": name, "halt": [{"spec": s} for s in specs]}, names, on=on, empty_ok=True)


def read_file(path: str | Path, names: Names, *, on: dt.date | None = None) -> Scenario:
    """Read a scenario TOML file; raises BadInput with all its problems."""
    p = Path(path)
    try:
        raw = tomllib.loads(p.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(f"no scenario file {path}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as e:
        raise BadInput(f"scenario {p.name}: {e}") from None
    return from_dict({"name": p.stem} | raw, names, on=on)


def from_dict(raw: Mapping[str, Any], names: Names, *, on: dt.date | None = None, empty_ok: bool = False) -> Scenario:
    """Build a scenario from a mapping shaped like a scenario file; raises BadInput with all its problems."""
    if not isinstance(raw, Mapping):
        raise BadInput(f"scenario: expected an object, found {type(raw).__name__}")
    problems: list[str] = []
    for field_name in sorted(set(map(str, raw)) - _FIELDS):
        if field_name in _LATER:
            problems.append(
                f"`{field_name}`: this version answers {', '.join(_TABLES[:-1])} and {_TABLES[-1]} only"
            )
        else:
            problems += UnknownName("scenario field", field_name, nearest(field_name, sorted(_FIELDS))).problems
    start = _date(raw.get("start"), "start", problems)
    day = on or start
    days = raw.get("days")
    if days is not None and (not isinstance(days, int) or isinstance(days, bool) or not 0 < days <= 36500):
        problems.append(f"days: expected a whole number of days over 0, found {days!r}")
    tables = {t: _tables(raw.get(t), t, problems) for t in _TABLES}
    halts: list[Halt] = []
    dropped: list[str] = []
    for text in ("name", "note"):
        if text in raw and not isinstance(raw[text], str):
            problems.append(f"{text}: expected a text, found {type(raw[text]).__name__}")
    whole = raw.get("transit") is True
    transit: set[str] = set()
    for n, row in enumerate(tables["halt"], 1):
        halt = _halt_row(row, n, names, problems)
        if halt is None:
            continue
        if not _in_force(row, f"halt {n}", day, problems):
            dropped.append(halt.spec)
            continue
        if row.get("transit") or (whole and halt.kind == "country"):
            if halt.kind != "country" or halt.share != 1:
                problems.append(f"halt {n}: transit goes with a country's exports halted whole, not {halt.spec}")
            transit.add(halt.spec)
        halts.append(halt)
    for n, row in enumerate(tables["licence"], 1):
        halt = _licence_row(row, n, names, problems)
        if halt and _in_force(row, f"licence {n}", day, problems):
            halts.append(halt)
    opened = frozenset(_texts(raw.get("open")))
    for o in sorted(opened):
        problems += [p for p in [names.check("passage", o)] if p]
    surcharges, later = _surcharge_rows(tables["surcharge"], names, day, problems)
    dropped += [s.words for s in later]
    tariffs = _tariff_rows(tables["tariff"], names, day, problems)
    demand = _demand_rows(tables["demand"], names, problems)
    priority = _priority_rows(tables["priority"], names, problems)
    if (
        not empty_ok
        and not problems
        and not (halts or dropped or opened or surcharges or tariffs or tables["facility"] or demand or priority)
    ):
        problems.append(f"the scenario changes nothing: expected {', '.join(_TABLES)} or open")
    if problems:
        raise BadInput(problems)
    return Scenario(
        name=str(raw.get("name", "scenario"))[:200],
        note=str(raw.get("note", "")),
        start=start,
        days=days,
        on=day,
        halts=merge(halts),
        transit=frozenset(transit),
        opened=opened,
        surcharges=surcharges,
        tariffs=tariffs,
        facilities=tuple(tables["facility"]),
        demand=demand,
        priority=priority,
        dropped=tuple(sorted(dropped)),
    )


def _tables(value: Any, name: str, problems: list[str]) -> list[Mapping[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(v, Mapping) for v in value):
        inside = type(value[0]).__name__ if isinstance(value, list) and value else type(value).__name__
        problems.append(f"{name}: expected a list of tables, found {inside}")
        return []
    return list(value)


def _date(value: Any, where: str, problems: list[str]) -> dt.date | None:
    if value is None or value == "":
        return None
    if isinstance(value, dt.datetime):
        return value.date()
    if isinstance(value, dt.date):
        return value
    try:
        return dt.date.fromisoformat(str(value))
    except ValueError:
        problems.append(f"{where}: expected a date YYYY-MM-DD, found {value!r}")
        return None


def _in_force(row: Mapping[str, Any], where: str, day: dt.date | None, problems: list[str]) -> bool:
    begin, end = _date(row.get("from"), f"{where}: from", problems), _date(row.get("to"), f"{where}: to", problems)
    if begin and end and end < begin:
        problems.append(f"{where}: `to` {end} lies before `from` {begin}")
    return day is None or ((begin is None or begin <= day) and (end is None or day <= end))


def _unknown_fields(row: Mapping[str, Any], known: set[str], where: str, problems: list[str]) -> None:
    for k in sorted(set(map(str, row)) - known):
        problems.append(f"{where}: " + UnknownName("field", k, nearest(k, sorted(known))).problems[0])


def _halt_row(row: Mapping[str, Any], n: int, names: Names, problems: list[str]) -> Halt | None:
    _unknown_fields(row, {"spec", "from", "to", "instrument", "source", "transit", "note"}, f"halt {n}", problems)
    if not isinstance(row.get("spec"), str):
        problems.append(f"halt {n}: expected `spec`, a text such as country:CHN/magnet")
        return None
    try:
        return parse_halt(row["spec"], names)
    except BadInput as e:
        problems += e.problems
        return None


def _licence_row(row: Mapping[str, Any], n: int, names: Names, problems: list[str]) -> Halt | None:
    known = {
        "exporter",
        "importer",
        "commodities",
        "elements",
        "share_granted",
        "delay_days",
        "from",
        "to",
        "source",
        "note",
    }
    _unknown_fields(row, known, f"licence {n}", problems)
    granted = _number(row, "share_granted", f"licence {n}", problems, low=0.0, high=1.0)
    tokens = [*_texts(row.get("commodities")), *_texts(row.get("elements"))]
    to = str(row.get("importer") or "")
    spec = f"country:{row.get('exporter')}" + (f":{to}" if to not in ("", "*") else "")
    if granted is None or granted >= 1:
        return None
    try:
        return parse_halt(spec + f"@{1 - granted:.12g}" + ("/" + ",".join(tokens) if tokens else ""), names)
    except BadInput as e:
        problems += [f"licence {n}: {p}" for p in e.problems]
        return None


def _texts(value: Any) -> list[str]:
    if value is None or value == "":
        return []
    return [str(v) for v in value] if isinstance(value, (list, tuple)) else re.split(r"[;,]\s*", str(value))


def _number(
    row: Mapping[str, Any], name: str, where: str, problems: list[str], *, low: float, high: float
) -> float | None:
    value = row.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        problems.append(f"{where}: {name}: expected a number from {low:g} to {high:g}, found {value!r}")
        return None
    return float(value)


def _surcharge_rows(
    rows: list[Mapping[str, Any]], names: Names, day: dt.date | None, problems: list[str]
) -> tuple[tuple[Surcharge, ...], list[Surcharge]]:
    """Return the surcharges in force, sorted, and those that are not."""
    found: dict[bool, list[Surcharge]] = {True: [], False: []}
    for n, row in enumerate(rows, 1):
        where, before = f"surcharge {n}", len(problems)
        _unknown_fields(row, {"passage", *_AMOUNTS, "from", "to", "source", "note"}, where, problems)
        passage = row.get("passage")
        if not isinstance(passage, str) or not passage:
            problems.append(f"{where}: expected `passage`, an id such as suez")
        elif problem := names.check("passage", passage):
            problems.append(f"{where}: {problem}")
        given = {k: _number(row, k, where, problems, low=0.0, high=most) for k, most in _AMOUNTS.items()
                 if row.get(k) is not None}  # fmt: skip
        if len(given) != 1:
            amounts = "both" if given else "neither"
            problems.append(f"{where}: expected one of usd_t and hull_value_pct, found {amounts}")
        elif "hull_value_pct" in given and names.hull_usd_t is None:
            problems.append(f"{where}: hull_value_pct: the layers hold no value of a hull; expected usd_t")
        holds = _in_force(row, where, day, problems)
        if len(problems) == before:
            pct = given.get("hull_value_pct")
            usd_t = given.get("usd_t") if pct is None else pct / 100 * (names.hull_usd_t or 0.0)
            found[holds].append(Surcharge(str(passage), (usd_t or 0.0) + 0.0, pct))
    return tuple(sorted(found[True], key=lambda s: (s.passage, s.usd_t, s.hull_value_pct or 0.0))), found[False]


def _tariff_rows(
    rows: list[Mapping[str, Any]], names: Names, day: dt.date | None, problems: list[str]
) -> tuple[Mapping[str, Any], ...]:
    kept = []
    for n, row in enumerate(rows, 1):
        where = f"tariff {n}"
        _unknown_fields(
            row, {"importer", "exporter", "commodity", "rate_pct", "from", "to", "note", "source"}, where, problems
        )
        rate = _number(row, "rate_pct", where, problems, low=0.0, high=1000.0)
        for side in ("importer", "exporter"):
            name = str(row.get(side, "*"))
            if name != "*" and name not in names.country and name not in names.bloc:
                problems.append(
                    f"{where}: " + UnknownName("country or bloc", name, nearest(name, names.country)).problems[0]
                )
        if row.get("commodity") not in COMMODITIES:
            problems.append(f"{where}: " + UnknownName("commodity", str(row.get("commodity")), COMMODITIES).problems[0])
        if _in_force(row, where, day, problems) and rate is not None:
            kept.append(dict(row))
    return tuple(kept)


def _demand_rows(rows: list[Mapping[str, Any]], names: Names, problems: list[str]) -> tuple[Mapping[str, Any], ...]:
    for n, row in enumerate(rows, 1):
        where = f"demand {n}"
        _unknown_fields(row, {"country", "sector", "change_pct", "note", "source"}, where, problems)
        _number(row, "change_pct", where, problems, low=-100.0, high=1000.0)
        for kind, key in (("demand_country", "country"), ("sector", "sector")):
            name = str(row.get(key, "*"))
            if name != "*" and name not in getattr(names, kind):
                problems.append(f"{where}: " + UnknownName(key, name, nearest(name, getattr(names, kind))).problems[0])
    return tuple(dict(r) for r in rows)


def _priority_rows(rows: list[Mapping[str, Any]], names: Names, problems: list[str]) -> tuple[Mapping[str, Any], ...]:
    for n, row in enumerate(rows, 1):
        where = f"priority {n}"
        _unknown_fields(row, {"sector", "class", "note", "source"}, where, problems)
        problem = names.check("sector", str(row.get("sector")))
        if problem:
            problems.append(f"{where}: {problem}")
        if row.get("class") not in (1, 2, 3):
            problems.append(f"{where}: class: expected 1, 2 or 3, found {row.get('class')!r}")
    return tuple(dict(r) for r in rows)

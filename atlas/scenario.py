"""Scenarios: dated halts and whatever else changes, from a file, a mapping or specs alone.

Everything wrong with a scenario is collected and raised once, each problem with the nearest known names. Applying a
scenario to the model is in `restriction`.
"""

import dataclasses
import datetime as dt
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from atlas.errors import BadInput, UnknownName, nearest
from atlas.halt import Halt, Names, merge, parse_halt
from atlas.scenario_rows import day_of, in_force, known_fields, number, shown, tables, texts, unknown, word
from atlas.scenario_tables import (
    Buyer,
    Contract,
    StockRelease,
    buyer_rows,
    contract_rows,
    draw_of,
    parameters_of,
    priority_rows,
    stock_rows,
    transshipment_of,
    with_own_facilities,
)
from atlas.way import MOST_SURCHARGE_USD_T, summed
from atlas.world import COMMODITIES

__all__ = ["Buyer", "Contract", "Scenario", "StockRelease", "Surcharge", "from_dict", "from_specs", "read_file"]

_TABLES = ("halt", "licence", "surcharge", "tariff", "facility", "demand", "buyer", "contract", "stock", "priority")
_CHANGES = (*_TABLES, "open", "transshipment", "draw", "parameters")
_FIELDS = {"name", "note", "start", "days", "transit", *_CHANGES}
MOST_DAYS, MOST_TARIFF_PCT = 36500, 1000.0
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
    `contracts` have not ended and `stocks` are released by `on`; `dropped` says in words what is not in force.
    `transshipment` lets goods go on by way of third countries, those of `via` or, where it is empty, any. `draw` is the
    seed of a draw of uncertain capacities, outputs and baskets, None for none. `parameters` are values by id that hold
    in place of the layer's, each in the unit of its row there. Rows of `priority` have a `sector` or a `buyer`.
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
    buyers: tuple[Buyer, ...] = ()
    contracts: tuple[Contract, ...] = ()
    stocks: tuple[StockRelease, ...] = ()
    transshipment: bool = False
    via: frozenset[str] = frozenset()
    draw: int | None = None
    parameters: tuple[tuple[str, float], ...] = ()
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
    def only_halts(self) -> bool:
        """Whether nothing but halts changes (nothing at all included), so that the laws about the objective hold."""
        tables = (self.tariffs, self.facilities, self.demand, self.priority, self.buyers, self.contracts, self.stocks)
        more = (self.opened, self.charges, self.transshipment, self.parameters, self.draw is not None)
        return not any((*tables, *more))

    @property
    def is_baseline(self) -> bool:
        """Whether nothing at all changes."""
        return self.only_halts and not self.halts

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
                self.buyers,
                self.contracts,
                self.stocks,
                self.transshipment,
                sorted(self.via),
                self.draw,
                self.parameters,
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
    except (OSError, ValueError, RecursionError) as e:  # a ValueError: not UTF-8, not TOML, a number of 5,000 digits
        raise BadInput(f"scenario {p.name}: {e}") from None
    return from_dict({"name": p.stem} | raw, names, on=on)


def from_dict(raw: Mapping[str, Any], names: Names, *, on: dt.date | None = None, empty_ok: bool = False) -> Scenario:
    """Build a scenario from a mapping shaped like a scenario file; raises BadInput with all its problems."""
    if not isinstance(raw, Mapping):
        raise BadInput(f"scenario: expected an object, found {type(raw).__name__}")
    problems: list[str] = []
    for name in sorted({word(k) for k in raw} - _FIELDS):
        problems += UnknownName("scenario field", name, nearest(name, sorted(_FIELDS))).problems
    start = day_of(raw.get("start"), "start", problems)
    day = on or start
    days = raw.get("days")
    if days is not None and (not isinstance(days, int) or isinstance(days, bool) or not 0 < days <= MOST_DAYS):
        problems.append(f"days: expected a whole number of days over 0, found {shown(days)}")
    rows = {t: tables(raw.get(t), t, problems) for t in _TABLES}
    halts: list[Halt] = []
    dropped: list[str] = []
    for text in ("name", "note"):
        if text in raw and not isinstance(raw[text], str):
            problems.append(f"{text}: expected a text, found {type(raw[text]).__name__}")
    whole = _yes(raw.get("transit"), "transit", problems)
    transit: set[str] = set()
    for n, row in enumerate(rows["halt"], 1):
        halt = _halt_row(row, n, names, problems)
        if halt is None:
            continue
        if not in_force(row, f"halt {n}", day, problems):
            dropped.append(halt.spec)
            continue
        if _yes(row.get("transit"), f"halt {n}: transit", problems) or (whole and halt.kind == "country"):
            if halt.kind != "country" or halt.share != 1:
                problems.append(f"halt {n}: transit goes with a country's exports halted whole, not {halt.spec}")
            transit.add(halt.spec)
        halts.append(halt)
    for n, row in enumerate(rows["licence"], 1):
        halt = _licence_row(row, n, names, problems)
        if halt and in_force(row, f"licence {n}", day, problems):
            halts.append(halt)
    opened = frozenset(texts(raw.get("open")))
    for o in sorted(opened):
        problems += [p for p in [names.check("passage", o)] if p]
    surcharges, later = _surcharge_rows(rows["surcharge"], names, day, problems)
    dropped += [s.words for s in later]
    tariffs = _tariff_rows(rows["tariff"], names, day, problems)
    demand = _demand_rows(rows["demand"], names, problems)
    wider = with_own_facilities(names, rows["facility"])
    buyers = buyer_rows(rows["buyer"], wider, problems)
    contracts, ended = contract_rows(rows["contract"], wider, buyers, day, problems)
    stocks, unreleased = stock_rows(rows["stock"], wider, day, problems)
    priority = priority_rows(rows["priority"], names, buyers, problems)
    transshipment, via = transshipment_of(raw.get("transshipment"), names, problems)
    draw = draw_of(raw.get("draw"), problems)
    parameters = parameters_of(raw.get("parameters"), names, problems)
    if problems:
        raise BadInput(problems)
    made = Scenario(
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
        facilities=tuple(rows["facility"]),
        demand=demand,
        priority=priority,
        buyers=tuple(b for b in buyers.values() if b),
        contracts=contracts,
        stocks=stocks,
        transshipment=transshipment,
        via=via,
        draw=draw,
        parameters=parameters,
        dropped=tuple(sorted([*dropped, *ended, *unreleased])),
    )
    if not empty_ok and made.is_baseline and not (made.surcharges or made.dropped):
        raise BadInput(f"the scenario changes nothing: expected {', '.join(_CHANGES[:-1])} or {_CHANGES[-1]}")
    return made


def _yes(value: Any, where: str, problems: list[str]) -> bool:
    if value is not None and not isinstance(value, bool):
        problems.append(f"{where}: expected true or false, found {shown(value)}")
    return value is True


def _text(value: Any, where: str, problems: list[str]) -> None:
    if value is not None and not isinstance(value, str):
        problems.append(f"{where}: expected a text, found {shown(value)}")


def _halt_row(row: Mapping[str, Any], n: int, names: Names, problems: list[str]) -> Halt | None:
    known_fields(row, ("spec", "from", "to", "instrument", "transit"), f"halt {n}", problems)
    _text(row.get("instrument"), f"halt {n}: instrument", problems)
    if not isinstance(row.get("spec"), str):
        problems.append(f"halt {n}: expected `spec`, a text such as country:CHN/magnet")
        return None
    try:
        return parse_halt(row["spec"], names)
    except BadInput as e:
        problems += e.problems
        return None


def _licence_row(row: Mapping[str, Any], n: int, names: Names, problems: list[str]) -> Halt | None:
    known = ("exporter", "importer", "commodities", "elements", "share_granted", "delay_days", "from", "to")
    known_fields(row, known, f"licence {n}", problems)
    granted = number(row, "share_granted", f"licence {n}", problems, low=0.0, high=1.0)
    if row.get("delay_days") is not None:
        number(row, "delay_days", f"licence {n}", problems, low=0.0, high=MOST_DAYS)
    tokens = [*texts(row.get("commodities")), *texts(row.get("elements"))]
    to = word(row.get("importer") or "")
    spec = f"country:{word(row.get('exporter'))}" + (f":{to}" if to not in ("", "*") else "")
    share = 1.0 if granted is None or granted >= 1 else 1 - granted  # names are checked whatever is granted
    try:
        halt = parse_halt(spec + f"@{share:.12g}" + ("/" + ",".join(tokens) if tokens else ""), names)
    except BadInput as e:
        problems += [f"licence {n}: {p}" for p in e.problems]
        return None
    return None if granted is None or granted >= 1 else halt


def _surcharge_rows(
    rows: list[Mapping[str, Any]], names: Names, day: dt.date | None, problems: list[str]
) -> tuple[tuple[Surcharge, ...], list[Surcharge]]:
    """Return the surcharges in force, sorted, and those that are not."""
    found: dict[bool, list[Surcharge]] = {True: [], False: []}
    for n, row in enumerate(rows, 1):
        where, before = f"surcharge {n}", len(problems)
        known_fields(row, ("passage", *_AMOUNTS, "from", "to"), where, problems)
        passage = row.get("passage")
        if not isinstance(passage, str) or not passage:
            problems.append(f"{where}: expected `passage`, an id such as suez")
        elif problem := names.check("passage", passage):
            problems.append(f"{where}: {problem}")
        given = {k: number(row, k, where, problems, low=0.0, high=most) for k, most in _AMOUNTS.items()
                 if row.get(k) is not None}  # fmt: skip
        if len(given) != 1:
            amounts = "both" if given else "neither"
            problems.append(f"{where}: expected one of usd_t and hull_value_pct, found {amounts}")
        elif "hull_value_pct" in given and names.hull_usd_t is None:
            problems.append(f"{where}: hull_value_pct: the layers hold no value of a hull; expected usd_t")
        holds = in_force(row, where, day, problems)
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
        known_fields(row, ("importer", "exporter", "commodity", "rate_pct", "from", "to"), where, problems)
        rate = number(row, "rate_pct", where, problems, low=0.0, high=MOST_TARIFF_PCT)
        for side in ("importer", "exporter"):
            name = word(row.get(side, "*"))
            if name != "*" and name not in names.country and name not in names.bloc:
                unknown("country or bloc", name, names.country | names.bloc, where, problems)
        if row.get("commodity") not in COMMODITIES:
            unknown("commodity", row.get("commodity"), COMMODITIES, where, problems)
        if in_force(row, where, day, problems) and rate is not None:
            kept.append(dict(row))
    return tuple(kept)


def _demand_rows(rows: list[Mapping[str, Any]], names: Names, problems: list[str]) -> tuple[Mapping[str, Any], ...]:
    for n, row in enumerate(rows, 1):
        where = f"demand {n}"
        known_fields(row, ("country", "sector", "change_pct"), where, problems)
        number(row, "change_pct", where, problems, low=-100.0, high=1000.0)
        for kind, key in (("demand_country", "country"), ("sector", "sector")):
            name = word(row.get(key, "*"))
            if name != "*" and name not in getattr(names, kind):
                unknown(key, name, getattr(names, kind), where, problems)
    return tuple(dict(r) for r in rows)

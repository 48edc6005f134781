"""Buyers, contracts, stocks, priorities, transshipment, draws and parameters of a scenario: read and checked.

Each function reads one table or field, appends what is wrong to `problems` and returns the rest in an order of its
own, so that the order of the rows never matters. Nothing here applies anything.
"""

import dataclasses
import datetime as dt
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from atlas.halt import Names
from atlas.scenario_rows import day_of, known_fields, maybe_one_of, number, one_of, shown, unknown
from atlas.world import COMMODITIES

MOST_T = 1e6  # tonnes of one row
MOST_COVER_DAYS = 3650.0
MOST_PARAMETER = 1e9
MOST_DRAW = 2**31 - 1
TRADED: tuple[str, ...] = tuple(c for c in COMMODITIES if c != "scrap")
# What flows.csv writes in place of a facility to close a balance.
RESERVED_IDS = frozenset({"surplus", "stock", "loss"})
# Parameters that no scenario changes, by the beginning of their id, and why.
_FIXED = {
    "target_weight_": "the calibration is not a scenario's to change",
    "metal_per_oxide_": "stoichiometry is not a scenario's to change",
    "shortage_steps": "it shapes the programme itself and is not a scenario's to change",
}
_OVER_ONE = {"shortage_rise"}  # a share of a cost, not of a whole


@dataclass(frozen=True)
class Buyer:
    """Somebody who buys magnets: `tonnes` a year of one grade, finished, for a sector, at a point (EPSG:4326).

    `cover_days` is how long what the buyer holds lasts, None where nobody says. `country` is ISO3, "" where it is to be
    found from the point.
    """

    id: str
    lon: float
    lat: float
    sector: str
    grade: str
    tonnes: float
    cover_days: float | None = None
    country: str = ""


@dataclass(frozen=True)
class Contract:
    """What a buyer takes from a supplier: `tonnes` a year, in the commodity's own unit, up to the day `until`.

    `buyer` is a buyer of the scenario, who takes magnets of `grade`, or a facility, which takes concentrate, oxide or
    metal (`grade` is "" then). `supplier` is a facility or a site.
    """

    buyer: str
    supplier: str
    commodity: str
    grade: str
    tonnes: float
    until: dt.date | None = None

    @property
    def words(self) -> str:
        """The contract in words, for notes."""
        return f"contract of {self.buyer} with {self.supplier}"


@dataclass(frozen=True)
class StockRelease:
    """What a country or a facility lets go from stock: `tonnes` in all, in the commodity's own unit.

    `element` (Nd, NdPr...) goes with oxide and metal, `grade` with magnets; "" is the usual mix. `release_from` is the
    first day, None for any.
    """

    holder: str
    commodity: str
    tonnes: float
    element: str = ""
    grade: str = ""
    release_from: dt.date | None = None

    @property
    def in_country(self) -> bool:
        """Whether the holder is a country, not a facility."""
        return bool(re.fullmatch("[A-Z]{3}", self.holder))

    @property
    def words(self) -> str:
        """The release in words, for notes."""
        kind = self.element or self.grade
        return f"stock of {self.holder} ({kind + ' ' if kind else ''}{self.commodity})"


def with_own_facilities(names: Names, rows: Iterable[Mapping[str, Any]]) -> Names:
    """Return the names with the facilities and sites that a scenario brings itself."""
    ids = {i for r in rows if isinstance(i := r.get("id"), str) and i}
    sites = {s for r in rows if isinstance(s := r.get("site") or r.get("id"), str)}
    return dataclasses.replace(names, facility=names.facility | ids, site=names.site | sites)


def buyer_rows(rows: Sequence[Mapping[str, Any]], names: Names, problems: list[str]) -> dict[str, Buyer | None]:
    """Return the buyers by id, in the order of ids; None for those that something is wrong with."""
    found: dict[str, Buyer | None] = {}
    for n, row in enumerate(rows, 1):
        where, before = f"buyer {n}", len(problems)
        known_fields(row, (f.name for f in dataclasses.fields(Buyer)), where, problems)
        own = _buyer_id(row.get("id"), where, found, names, problems)
        lon = number(row, "lon", where, problems, low=-180.0, high=180.0)
        lat = number(row, "lat", where, problems, low=-90.0, high=90.0)
        sector = one_of(row, "sector", "sector", names.sector, where, problems)
        grade = one_of(row, "grade", "grade", names.grade, where, problems)
        tonnes = number(row, "tonnes", where, problems, low=0.0, high=MOST_T, over=True)
        cover = None
        if row.get("cover_days") is not None:
            cover = number(row, "cover_days", where, problems, low=0.0, high=MOST_COVER_DAYS)
        country = maybe_one_of(row, "country", "country", names.country, where, problems)
        if own is None:
            continue
        found[own] = None
        if len(problems) == before and lon is not None and lat is not None and sector and grade and tonnes:
            found[own] = Buyer(own, lon, lat, sector, grade, tonnes, cover, country)
    return dict(sorted(found.items()))


def _buyer_id(value: Any, where: str, found: Mapping[str, Any], names: Names, problems: list[str]) -> str | None:
    """Return a buyer's id where it can be one, even if it is taken."""
    if not isinstance(value, str) or not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,59}", value):
        problems.append(
            f"{where}: id: expected up to 60 lower-case letters, digits and hyphens, such as turbine-works; "
            f"found {shown(value)}"
        )
        return None
    if value in found:
        problems.append(f"{where}: id: {value} is a buyer in an earlier row")
    if value in RESERVED_IDS:
        problems.append(f"{where}: id: {value} is a word of flows.csv; expected another")
    taken = {
        "facility": names.facility, "site": names.site, "port": names.port, "demand row": names.demand_ids,
        "market": names.market_ids,
    }  # fmt: skip
    kind = next((k for k, ids in taken.items() if value in ids), None)
    if kind:
        problems.append(f"{where}: id: {value} is the id of a {kind}; expected another")
    return value


def contract_rows(
    rows: Sequence[Mapping[str, Any]],
    names: Names,
    buyers: Mapping[str, Buyer | None],
    day: dt.date | None,
    problems: list[str],
) -> tuple[tuple[Contract, ...], list[str]]:
    """Return the contracts in force on `day`, sorted, and in words those that ended before."""
    kept, dropped = [], []
    known_buyers, known_suppliers = names.facility | frozenset(buyers), names.facility | names.site
    for n, row in enumerate(rows, 1):
        where, before = f"contract {n}", len(problems)
        known_fields(row, (f.name for f in dataclasses.fields(Contract)), where, problems)
        buyer = one_of(row, "buyer", "buyer or facility", known_buyers, where, problems)
        supplier = one_of(row, "supplier", "facility or site", known_suppliers, where, problems)
        if buyer and buyer == supplier:
            problems.append(f"{where}: {buyer} has a contract with itself")
        commodity, grade = _goods(row, where, buyer, buyers, names, problems)
        tonnes = number(row, "tonnes", where, problems, low=0.0, high=MOST_T, over=True)
        until = day_of(row.get("until"), f"{where}: until", problems)
        if len(problems) > before or not (buyer and supplier and tonnes):
            continue
        contract = Contract(buyer, supplier, commodity, grade, tonnes, until)
        if until and day and until < day:
            dropped.append(f"{contract.words}: ended {until}")
        else:
            kept.append(contract)
    _not_too_much(kept, buyers, problems)
    return tuple(sorted(kept, key=_order)), dropped


def _goods(
    row: Mapping[str, Any],
    where: str,
    buyer: str | None,
    buyers: Mapping[str, Buyer | None],
    names: Names,
    problems: list[str],
) -> tuple[str, str]:
    """Return commodity and grade of a contract."""
    commodity = "magnet"
    if row.get("commodity") not in (None, ""):
        commodity = one_of(row, "commodity", "commodity", TRADED, where, problems) or ""
    grade = _grade(row, where, commodity, names, problems)
    if buyer is None or not commodity:
        return commodity, grade
    if buyer in buyers:
        if commodity != "magnet":
            problems.append(f"{where}: {buyer} is a buyer of magnets, not of {commodity}")
        own = buyers[buyer]
        return commodity, grade or (own.grade if own else "")
    if commodity == "magnet":
        said = "" if row.get("commodity") else ", the commodity where none is given"
        problems.append(f"{where}: {buyer} is a facility: expected concentrate, oxide or metal, not magnet{said}")
    return commodity, grade


def _grade(row: Mapping[str, Any], where: str, commodity: str | None, names: Names, problems: list[str]) -> str:
    """Return the grade of a row about a commodity, empty where it names none; only magnets have one."""
    grade = maybe_one_of(row, "grade", "grade", names.grade, where, problems)
    if grade and commodity and commodity != "magnet":
        problems.append(f"{where}: grade: goes with magnet, not with {commodity}")
    return grade


def _not_too_much(contracts: Iterable[Contract], buyers: Mapping[str, Buyer | None], problems: list[str]) -> None:
    bought = defaultdict(list)
    for c in contracts:
        bought[c.buyer].append(c.tonnes)
    for i, buyer in buyers.items():
        total = math.fsum(bought.get(i, ()))
        if buyer and total > buyer.tonnes * (1 + 1e-9):
            problems.append(f"contracts of {i}: {total:.12g} t in force, more than the {buyer.tonnes:.12g} t it buys")


def stock_rows(
    rows: Sequence[Mapping[str, Any]], names: Names, day: dt.date | None, problems: list[str]
) -> tuple[tuple[StockRelease, ...], list[str]]:
    """Return the stocks released by `day`, sorted, and in words those that are not yet."""
    kept, dropped = [], []
    known = ("country", "facility", "commodity", "tonnes", "element", "grade", "release_from")
    for n, row in enumerate(rows, 1):
        where, before = f"stock {n}", len(problems)
        known_fields(row, known, where, problems)
        kind = _either(row, "country", "facility", where, problems)
        holder = kind and one_of(row, kind, kind, getattr(names, kind), where, problems)
        commodity = one_of(row, "commodity", "commodity", TRADED, where, problems)
        if commodity == "concentrate" and kind == "country":
            problems.append(f"{where}: concentrate lies with a facility: expected `facility`, not `country`")
        element = maybe_one_of(row, "element", "element", names.chain.tokens, where, problems)
        if element and commodity in ("concentrate", "magnet"):
            problems.append(f"{where}: element: goes with oxide and metal, not with {commodity}")
        grade = _grade(row, where, commodity, names, problems)
        tonnes = number(row, "tonnes", where, problems, low=0.0, high=MOST_T, over=True)
        start = day_of(row.get("release_from"), f"{where}: release_from", problems)
        if len(problems) > before or not (holder and commodity and tonnes):
            continue
        stock = StockRelease(holder, commodity, tonnes, element, grade, start)
        if start and day and day < start:
            dropped.append(f"{stock.words}: not released before {start}")
        else:
            kept.append(stock)
    return tuple(sorted(kept, key=_order)), dropped


def priority_rows(
    rows: Sequence[Mapping[str, Any]], names: Names, buyers: Iterable[str], problems: list[str]
) -> tuple[Mapping[str, Any], ...]:
    """Return rows of `sector` or `buyer`, and `class` (1 is served first), sorted."""
    found: dict[tuple[str, str], int] = {}
    known = {"sector": names.sector, "buyer": frozenset(buyers)}
    for n, row in enumerate(rows, 1):
        where, before = f"priority {n}", len(problems)
        known_fields(row, ("sector", "buyer", "class"), where, problems)
        kind = _either(row, "sector", "buyer", where, problems)
        who = kind and one_of(row, kind, kind, known[kind], where, problems)
        rank = row.get("class")
        if isinstance(rank, bool) or not isinstance(rank, int) or rank not in (1, 2, 3):
            problems.append(f"{where}: class: expected 1, 2 or 3, found {shown(rank)}")
        if len(problems) > before or not (kind and who):
            continue
        if found.setdefault((kind, who), int(rank or 0)) != rank:
            problems.append(f"{where}: {who} is of class {found[kind, who]} in an earlier row, of {rank} here")
    return tuple({kind: who, "class": rank} for (kind, who), rank in sorted(found.items()))


def transshipment_of(value: Any, names: Names, problems: list[str]) -> tuple[bool, frozenset[str]]:
    """Return whether goods may go on by way of third countries, and by which (none named: by any)."""
    if value is None or isinstance(value, bool):
        return bool(value), frozenset()
    where = "transshipment"
    if not isinstance(value, Mapping):
        problems.append(f"{where}: expected true, false or a table with `allowed` and `via`, found {shown(value)}")
        return False, frozenset()
    known_fields(value, ("allowed", "via"), where, problems)
    allowed, via = value.get("allowed"), value.get("via")
    if not isinstance(allowed, bool):
        problems.append(f"{where}: allowed: expected true or false, found {shown(allowed)}")
    if via is not None and not isinstance(via, (list, tuple)):
        problems.append(f"{where}: via: expected a list of countries, found {shown(via)}")
        via = None
    if via and allowed is False:
        problems.append(f"{where}: via: goes with `allowed = true`")
    for country in via or ():
        if not isinstance(country, str) or country not in names.country:
            unknown("country", country, names.country, f"{where}: via", problems)
    return allowed is True, frozenset(c for c in via or () if isinstance(c, str))


def draw_of(value: Any, problems: list[str]) -> int | None:
    """Return the seed of a draw of uncertain capacities, outputs and baskets; None for no draw."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_DRAW:
        problems.append(f"draw: expected a whole number from 0 to {MOST_DRAW}, found {shown(value)}")
        return None
    return value


def parameters_of(value: Any, names: Names, problems: list[str]) -> tuple[tuple[str, float], ...]:
    """Return the parameters that a scenario sets, by id, each in the unit of its row in the layer."""
    if value is None:
        return ()
    if not isinstance(value, Mapping):
        problems.append(f"parameters: expected a table of ids and numbers, found {shown(value)}")
        return ()
    found = {}
    for key in value:
        reason = next((r for p, r in _FIXED.items() if isinstance(key, str) and key.startswith(p)), None)
        if reason:
            problems.append(f"parameters: {key if len(key) <= 80 else key[:77] + '...'}: {reason}")
        elif key not in names.parameter:
            unknown("parameter", key, names.parameter, "parameters", problems)
        else:
            share = key.endswith("_share") or (names.parameter[key] == "share" and key not in _OVER_ONE)
            yielded = key == "blank_to_finished"  # a yield that the recipes divide by
            most = 1.0 if share or yielded else MOST_PARAMETER
            given = number(value, key, "parameters", problems, low=0.0, high=most, over=yielded)
            if given is not None:
                found[key] = given
    return tuple(sorted(found.items()))


def _either(row: Mapping[str, Any], one: str, other: str, where: str, problems: list[str]) -> str:
    """Return which of two fields a row has, "" where it is not exactly one."""
    given = [k for k in (one, other) if row.get(k) not in (None, "")]
    if len(given) != 1:
        found = "both" if given else "neither"
        problems.append(f"{where}: expected one of {one} and {other}, found {found}")
        return ""
    return given[0]


def _order(row: Contract | StockRelease) -> tuple[Any, ...]:
    """Return what rows are sorted by: all their fields, no date first."""
    return tuple(dt.date.min if v is None else v for v in dataclasses.astuple(row))

"""The words and figures beside a map: title, cards and tables, read off an outcome and rounded for people."""

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from atlas.answer_words import (
    KINKS,
    KINKS_SAID,
    MOST_RISES,
    PRICE,
    BuyerLine,
    buyer_lines,
    changed,
    confidence_words,
    released,
    rises,
)
from atlas.chain import chain_of
from atlas.halt_words import country_name, describe
from atlas.render_cards import Bar, Card, baseline_cards, halt_cards, percent, sector_bars, tonnes
from atlas.render_style import COMMODITY_LABELS, buyer_swatch

__all__ = ["Buyer", "Halted", "Table", "Words", "describe", "differs", "halt_specs", "percent", "tonnes", "words"]

MOST_PLACES = 20  # rows of a table of prices
KINK_MARKS = {"more": "+", "less": "−", "neither": "*"}
TELLING = ("transshipment", "draw", "parameter")  # changes that a notice tells of, not a chip
GRADES = ("cerium", "standard", "H", "SH", "UH", "EH", "bonded", "SmCo")  # in the order of columns
PAGED = ("country", "facility", "operator", "passage", "port")  # kinds of things with a page of their own
UNNAMED = ("", "halts", "scenario", "baseline")  # names given where the user gave none


@dataclass(frozen=True)
class Table:
    """A small table: caption, column heads, rows of text; numbers stand right from column `numeric` on."""

    caption: str
    heads: tuple[str, ...]
    rows: list[tuple[str, ...]]
    numeric: int = 1
    note: str = ""
    facilities: tuple[str, ...] = ()  # ids of what the rows are about, where that is facilities


@dataclass(frozen=True)
class Halted:
    """A halt in words, with the page of what it names ("" where there is none) and the plant it names on the map."""

    text: str
    page: str = ""
    facility: str = ""


@dataclass(frozen=True)
class Buyer:
    """A buyer of a scenario: its sign on the map, what it gets in words, and its suppliers."""

    name: str
    swatch: Markup
    state: str
    said: str
    suppliers: Table


@dataclass(frozen=True)
class Words:
    """All text of a page about one outcome."""

    title: str
    sentence: str
    halts: list["Halted"] = field(default_factory=list)
    cards: list[Card] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)  # shortage by sector
    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    buyers: list[Buyer] = field(default_factory=list)
    about: str = ""
    confidence: str = ""


def words(outcome: Any, title: str | None = None) -> Words:
    """Return title, sentence, cards, tables and notes of an outcome."""
    halts = halt_specs(outcome)
    name = outcome.summary["scenario"]["name"]
    head = title or (name if name not in UNNAMED else "") or default_title(outcome)
    return Words(
        title=head,
        sentence=outcome.sentence,
        halts=[_halted(h, outcome) for h in halts],
        cards=halt_cards(outcome) if halts or differs(outcome) else baseline_cards(outcome),
        bars=sector_bars(outcome.summary["halted"]),
        tables=_tables(outcome),
        notes=[n for n in outcome.notes if not n.startswith("transshipment is on")] + _cheaper(outcome),
        changes=[t if k in ("contract", "stock") else f"{k} {t}" for k, t in _changes(outcome) if k not in TELLING],
        notices=_notices(outcome),
        buyers=[_buyer(b, outcome) for b in buyer_lines(outcome.summary)],
        about=str(getattr(outcome.scenario, "note", "") or "").strip(),
        confidence=confidence_words(outcome.summary["halted"]),
    )


def _halted(spec: str, outcome: Any) -> Halted:
    """Return a halt with where to read on about what it names."""
    kind, _, rest = spec.partition(":")
    target = re.split(r"[:@>/]", rest, maxsplit=1)[0]
    kind = "country" if kind == "stage" else kind
    page = f"/{kind}/{quote(target)}" if kind in PAGED else ""
    return Halted(describe(spec, outcome.layers), page, target if kind == "facility" else "")


def _cheaper(outcome: Any) -> list[str]:
    """Return why a delivered tonne may cost less under a halt, where it does."""
    before, after = outcome.summary["baseline"], outcome.summary["halted"]
    if not halt_specs(outcome) or after["unit_spend_usd_t"] >= 0.999 * before["unit_spend_usd_t"]:
        return []
    return [
        "A delivered tonne costs less than before. That is no gain: freight, processing and duty are counted here, "
        "not why buyers took the dearer way in 2024 (contracts, qualification, loyalty), which the fit holds, "
        "nor what stays short."
    ]


def _changes(outcome: Any) -> list[tuple[str, str]]:
    return changed(outcome.summary["scenario"])


def _notices(outcome: Any) -> list[str]:
    """Return what makes this answer another kind of answer: transshipment, a draw, other parameters."""
    told, halted = [], outcome.summary["halted"]
    usual = getattr(outcome.layers, "parameters", {})
    moved = sum(halted.get("transshipped_t", {}).values())
    hubs = outcome.summary["scenario"].get("transshipment")
    if hubs:
        via = [country_name(c, outcome.layers) for c in hubs["via"]] if isinstance(hubs, dict) else []
        did = f"{tonnes(moved)} do" if moved > 0.5 else "nothing does here"
        told.append(
            "Transshipment is on: part of a banned trade may go round the ban through "
            f"{' or '.join(via) or 'third countries'}; {did}."
        )
    draw = outcome.summary["scenario"].get("draw")
    if draw is not None:
        told.append(
            f"Draw {draw}: sizes of plants, outputs, baskets and demand are drawn within "
            "their ranges, not the best estimates."
        )
    other = outcome.summary["scenario"].get("parameters", {})
    if other:
        parts = [f"{k} {v:g}" + (f" (else {usual[k]:g})" if k in usual else "") for k, v in other.items()]
        told.append("Parameters changed: " + ", ".join(parts) + ".")
    return told


def _buyer(b: BuyerLine, outcome: Any) -> Buyer:
    """Return a buyer in words, with its suppliers before and after."""
    names = outcome.layers.facilities["name"]
    halt = bool(halt_specs(outcome)) or differs(outcome)
    got = "nothing" if b.after_t < 0.5 else "all of it" if b.state == "met" else tonnes(b.after_t)
    where = country_name(b.country, outcome.layers)
    said = f"Wants {tonnes(b.wanted_t)} of {b.grade} ({b.sector}, {where}); gets {got}"
    said += f", before {tonnes(b.before_t)}." if halt and abs(b.after_t - b.before_t) > 0.5 else "."
    if b.stepped_t[1] > 0.5:
        said += f" {tonnes(b.stepped_t[1])} of it come as the next lower grade."
    heads = ("Supplier", "Before", "After") if halt else ("Supplier", "Tonnes")
    rows: list[tuple[str, ...]] = [
        (str(names.get(i, i)), tonnes(x), tonnes(y))[: len(heads)] for i, x, y in b.suppliers if max(x, y) > 0.5
    ]
    state = {"met": "met", "part": "part short", "none": "gets nothing"}[b.state]
    return Buyer(b.id, buyer_swatch(b.state), state, said, Table("Suppliers", heads, rows))


def halt_specs(outcome: Any) -> list[str]:
    """Return the canonical halts of an outcome."""
    return list(outcome.summary["scenario"]["halts"])


def differs(outcome: Any) -> bool:
    """Return whether the two states differ though no halt is named (a scenario of tariffs, say)."""
    base, halted = outcome.summary["baseline"], outcome.summary["halted"]
    return bool(base["objective_usd"] != halted["objective_usd"] or base["supplied_t"] != halted["supplied_t"])


def default_title(outcome: Any) -> str:
    """Return a title in words for an outcome without a name."""
    halts = halt_specs(outcome)
    if not halts:
        return f"Rare-earth flows, {outcome.summary['scenario']['year']}"
    shown = [describe(h, outcome.layers) for h in halts[:2]]
    more = f" and {len(halts) - 2} more" if len(halts) > 2 else ""
    return "Halted: " + "; ".join(shown) + more


def _tables(outcome: Any) -> list[Table]:
    """Return the tables under the cards; those without rows are left out."""
    base, halted = outcome.summary["baseline"], outcome.summary["halted"]
    halt = bool(halt_specs(outcome)) or differs(outcome)
    found = [
        _shortage(outcome, halted, "country"),
        _shortage(outcome, halted, "sector"),
        _shortage(outcome, halted, "grade"),
    ]
    if halt:
        found += [_stepped(base, halted), _detours(outcome), _released(outcome)]
        if rises(outcome.summary):
            found += [_risen(outcome), *(_prices(outcome, c) for c in ("magnet", "metal", "oxide"))]
        found.append(_replaced(outcome))
        found.append(_units(outcome))
    found.append(_throughput(outcome, base, halted, "passage", halt))
    found.append(_throughput(outcome, base, halted, "border", halt))
    return [t for t in found if t.rows]


def _shortage(outcome: Any, state: dict[str, Any], by: str) -> Table:
    short = {k: v for k, v in state.get(f"shortage_by_{by}", {}).items() if v > 0.5}
    total = max(float(state["shortage_t"]), 1e-9)
    rows = sorted(short.items(), key=lambda kv: (-kv[1], kv[0]))[:12]
    name = (lambda k: country_name(k, outcome.layers)) if by == "country" else (lambda k: str(k).replace("_", " "))
    return Table(
        f"Short by {by}",
        (by.capitalize(), "Short", "Part"),
        [(name(k), tonnes(v), percent(v / total)) for k, v in rows],
    )


def _stepped(base: dict[str, Any], halted: dict[str, Any]) -> Table:
    rows: list[tuple[str, ...]] = []
    for key, said in (("step_down_by_grade", "lower"), ("step_up_by_grade", "dearer")):
        a, b = base.get(key, {}), halted.get(key, {})
        for g in sorted({*a, *b}, key=lambda g: (-b.get(g, 0.0), g)):
            if max(a.get(g, 0.0), b.get(g, 0.0)) > 0.5:
                rows.append((g, said, tonnes(a.get(g, 0.0)), tonnes(b.get(g, 0.0))))
    note = "What was met by the next lower grade than the one wanted, or by a dearer one. It counts as supplied."
    return Table("Met by another grade", ("Wanted", "Took", "Before", "After"), rows, numeric=2, note=note)


def _detours(outcome: Any) -> Table:
    by_hub = outcome.summary["halted"].get("transshipped_t", {})
    rows: list[tuple[str, ...]] = [
        (country_name(hub, outcome.layers), tonnes(t)) for hub, t in sorted(by_hub.items(), key=lambda r: (-r[1], r[0]))
    ]
    return Table("Went round a ban", ("By way of", "Tonnes"), rows, note="All goods, each in its own tonnes.")


def _released(outcome: Any) -> Table:
    rows: list[tuple[str, ...]] = [
        (what, tonnes(there), tonnes(used)) for what, used, there in released(outcome.summary)
    ]
    return Table("Let go from stock", ("Stock", "There", "Used"), rows)


def _risen(outcome: Any) -> Table:
    """Return where each commodity's price rose most, and what a price is."""
    rows: list[tuple[str, ...]] = [
        (r.goods, country_name(r.place, outcome.layers) + (f" and {r.places - 1} more" if r.places > 1 else ""),
         f"{r.before:,.0f}", _marked(f"{r.after:,.0f}", r.holds))
        for r in rises(outcome.summary, MOST_RISES)
    ]  # fmt: skip
    heads = ("Goods", "Where", "Before", "After")
    return Table(
        "Price of scarcity, USD/t: rose most",
        heads,
        rows,
        numeric=2,
        note=f"{PRICE} {KINKS_SAID} {_marks(rows)}".strip(),
    )


def _prices(outcome: Any, commodity: str) -> Table:
    """Return the prices of a commodity after the halt: a row a country, a column a grade or element."""
    state = outcome.summary["halted"]
    kinds, kinks = state.get("prices_usd_t", {}).get(commodity, {}), state.get("price_kinks", {}).get(commodity, {})
    known = (*chain_of(outcome.layers).elements, *GRADES)
    columns = [k for k in known if k in kinds] + sorted(set(kinds) - {*known})
    flows = outcome.flows[outcome.flows["commodity"] == commodity]
    taken = flows.groupby("to_country")["tonnes"].max().to_dict()
    places = sorted({p for k in columns for p in kinds[k]}, key=lambda p: (-taken.get(p, 0.0), p))
    more = len(places) - MOST_PLACES
    places = places[:MOST_PLACES]
    rows: list[tuple[str, ...]] = [
        (
            country_name(p, outcome.layers),
            *(_marked(_thousands(kinds[k][p]), kinks.get(k, {}).get(p, "")) if p in kinds[k] else "" for k in columns),
        )
        for p in places
    ]
    title = f"Prices of {COMMODITY_LABELS[commodity].lower()} after, thousand USD/t"
    rest = f"The {more} countries that take least are in the JSON. " if more > 0 else ""
    return Table(title, ("Country", *columns), rows, note=rest + _marks(rows))


def _thousands(usd: float) -> str:
    return f"{usd / 1000:,.{0 if abs(usd) >= 99_950 else 1}f}"


def _marked(text: str, holds: str) -> str:
    mark = KINK_MARKS.get(holds, "")
    return f"{text}\u00a0{mark}" if mark else text


def _marks(rows: list[tuple[str, ...]]) -> str:
    """Return what the marks of kinks mean that stand in rows."""
    used = [k for k, mark in KINK_MARKS.items() if any(cell.endswith(f"\u00a0{mark}") for row in rows for cell in row)]
    return "Marks: " + ", ".join(f"{KINK_MARKS[k]} {KINKS[k]}" for k in used) + "." if used else ""


def _replaced(outcome: Any) -> Table:
    rows = sorted(outcome.summary.get("replaced", []), key=lambda r: -r["tonnes"])[:15]
    return Table(
        "Who replaces whom",
        ("Importer", "Commodity", "From", "To", "Tonnes"),
        [
            (
                country_name(r["importer"], outcome.layers),
                COMMODITY_LABELS.get(r["commodity"], r["commodity"]),
                country_name(r["from_country"], outcome.layers),
                country_name(r["to_country"], outcome.layers)
                + (" ★" if r["to_country"] in outcome.bloc_countries else ""),
                tonnes(r["tonnes"]),
            )
            for r in rows
            if r["tonnes"] > 0.5
        ],
        numeric=4,
        note=f"★ in {outcome.bloc}. Losses matched to gains in proportion.",
    )


def _units(outcome: Any) -> Table:
    table = outcome.facilities
    change = (table["halted_t"] - table["baseline_t"]).fillna(0.0)
    order = change.abs().sort_values(ascending=False, kind="stable").index[:12]
    names = outcome.layers.facilities["name"]
    order = [i for i in order if abs(change[i]) > 0.5]
    rows: list[tuple[str, ...]] = [
        (str(names.get(i, i)), tonnes(table.at[i, "baseline_t"]), tonnes(table.at[i, "halted_t"])) for i in order
    ]
    return Table(
        "Output that changes most",
        ("Facility", "Before", "After"),
        rows,
        note="In each stage's own unit (REO, metal or magnets).",
        facilities=tuple(map(str, order)),
    )


def _throughput(outcome: Any, base: dict[str, Any], halted: dict[str, Any], kind: str, halt: bool) -> Table:
    before, after = (s.get("throughput_t", {}).get(kind, {}) for s in (base, halted))
    ids = sorted(set(before) | set(after), key=lambda k: (-max(before.get(k, 0), after.get(k, 0)), k))[:12]
    ids = [k for k in ids if max(before.get(k, 0), after.get(k, 0)) > 0.5]
    passages = outcome.layers.passages
    if kind == "passage":
        name = {k: str(passages.at[k, "name"]) if k in passages.index else k for k in ids}
    else:
        name = {k: " – ".join(country_name(c, outcome.layers) for c in k.split("-")) for k in ids}
    heads = ("Passage" if kind == "passage" else "Border", "Before", "After") if halt else (kind.capitalize(), "Tonnes")
    rows = [(name[k], tonnes(before.get(k, 0)), tonnes(after.get(k, 0)))[: len(heads)] for k in ids]
    return Table(
        "Through straits and canals" if kind == "passage" else "Across land borders",
        heads,
        rows,
        note="All commodities, each in its own tonnes.",
    )

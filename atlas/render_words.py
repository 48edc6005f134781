"""The words and figures beside a map: title, cards and tables, read off an outcome and rounded for people."""

from dataclasses import dataclass, field
from typing import Any

from atlas.halt_words import country_name, describe
from atlas.render_style import COMMODITY_LABELS

UNNAMED = ("", "halts", "scenario", "baseline")  # names given where the user gave none


@dataclass(frozen=True)
class Card:
    """One key figure: what, how much, and a line that sets it in relation."""

    label: str
    value: str
    detail: str = ""
    tone: str = ""  # "bad", "good" or nothing


@dataclass(frozen=True)
class Table:
    """A small table: caption, column heads, rows of text; numbers stand right from column `numeric` on."""

    caption: str
    heads: tuple[str, ...]
    rows: list[tuple[str, ...]]
    numeric: int = 1
    note: str = ""


@dataclass(frozen=True)
class Words:
    """All text of a page about one outcome."""

    title: str
    sentence: str
    halts: list[str] = field(default_factory=list)
    cards: list[Card] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def words(outcome: Any, title: str | None = None) -> Words:
    """Return title, sentence, cards, tables and notes of an outcome."""
    halts = halt_specs(outcome)
    name = outcome.summary["scenario"]["name"]
    head = title or (name if name not in UNNAMED else "") or default_title(outcome)
    return Words(
        title=head,
        sentence=outcome.sentence,
        halts=[describe(h, outcome.layers) for h in halts],
        cards=_halt_cards(outcome) if halts or differs(outcome) else _baseline_cards(outcome),
        tables=_tables(outcome),
        notes=list(outcome.notes),
    )


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


def tonnes(value: float) -> str:
    """Return tonnes for people: 3 significant digits, thousands apart."""
    value = float(value)
    if abs(value) < 0.5:
        return "0\u00a0t"
    digits = 0 if abs(value) >= 100 else 1
    return f"{value:,.{digits}f}\u00a0t"


def percent(share: float) -> str:
    """Return a share of 0 to 1 as percent, never rounded up to a whole 100 or down to 0."""
    value = 100 * float(share)
    if abs(value) < 1e-9:
        return "0 %"
    if 99.95 <= value < 100 - 1e-6:
        return "99.9 %"
    if 1e-9 < value < 0.05:
        return "<0.1 %"
    return f"{value:.1f} %" if value < 99.95 else "100 %"


def money(usd: float) -> str:
    """Return USD in millions or billions."""
    size = abs(usd)
    if size >= 1e9:
        return f"{usd / 1e9:,.2f} bn USD"
    return f"{usd / 1e6:,.1f} m USD" if size >= 1e5 else f"{usd:,.0f} USD"


def signed(value: float, text: str) -> str:
    """Return the text of a magnitude with its sign; "no change" for next to nothing."""
    if abs(value) < 0.05:
        return "no change"
    return ("+" if value > 0 else "−") + text


def _baseline_cards(outcome: Any) -> list[Card]:
    base = outcome.summary["baseline"]
    origin = base.get("bloc_origin_share", {})
    return [
        Card(
            "Magnet demand",
            tonnes(base["demand_t"]),
            f"{percent(base['supplied_t'] / max(base['demand_t'], 1e-9))} supplied",
        ),
        Card("Shortage", tonnes(base["shortage_t"]), "finished magnets a year"),
        Card("Allied demand met", percent(base["bloc_supplied_share"]), f"bloc {outcome.bloc}"),
        Card(
            "Made inside the bloc",
            percent(origin.get("magnet", 0)),
            f"of its magnets; mined inside: {percent(origin.get('mine', 0))}",
        ),
        Card("Cost of supply", f"{base['unit_spend_usd_t']:,.0f} USD/t", "freight, processing, tariffs"),
        Card("On the way", f"{base['mean_days']:.1f} days", f"mean of all flows, {base['mean_km']:,.0f} km"),
    ]


def _halt_cards(outcome: Any) -> list[Card]:
    base, halted = outcome.summary["baseline"], outcome.summary["halted"]
    more = halted["shortage_t"] - base["shortage_t"]
    replaced = outcome.summary.get("replaced", [])
    total = sum(r["tonnes"] for r in replaced)
    allied = sum(r["tonnes"] for r in replaced if r["to_country"] in outcome.bloc_countries)
    unit = halted["unit_spend_usd_t"] - base["unit_spend_usd_t"]
    spend = halted["spend_usd"] - base["spend_usd"]
    days = halted["mean_days"] - base["mean_days"]
    share = halted["shortage_t"] / max(halted["demand_t"], 1e-9)
    met = halted["bloc_supplied_share"] - base["bloc_supplied_share"]
    was, now = (s.get("bloc_origin_share", {}).get("magnet", 0.0) for s in (base, halted))
    return [
        Card(
            "Magnets short",
            tonnes(halted["shortage_t"]),
            f"{percent(share)} of demand; before {tonnes(base['shortage_t'])}",
            "bad" if more > 0.5 else "",
        ),
        Card(
            "Allied demand met",
            percent(halted["bloc_supplied_share"]),
            f"before {percent(base['bloc_supplied_share'])}; bloc {outcome.bloc}",
            "bad" if met < -5e-4 else "",
        ),
        Card(
            "Replaced from allies",
            percent(allied / total) if total > 0.5 else "–",
            f"of {tonnes(total)} replaced, all commodities" if total > 0.5 else "nothing changed supplier",
        ),
        Card("Made inside the bloc", percent(now), f"of its delivered magnets; before {percent(was)}"),
        Card(
            "Cost of supply",
            signed(unit, f"{abs(unit):,.0f} USD/t"),
            f"total spending {signed(spend, money(abs(spend)))}",
            "bad" if unit > 0.005 * base["unit_spend_usd_t"] else "",
        ),
        Card(
            "On the way",
            signed(days, f"{abs(days):.1f} days"),
            f"{halted['mean_days']:.1f} days on average, before {base['mean_days']:.1f}",
            "bad" if days > 0.05 else "",
        ),
    ]


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
    rows: list[tuple[str, ...]] = [
        (str(names.get(i, i)), tonnes(table.at[i, "baseline_t"]), tonnes(table.at[i, "halted_t"]))
        for i in order
        if abs(change[i]) > 0.5
    ]
    return Table(
        "Output that changes most",
        ("Facility", "Before", "After"),
        rows,
        note="In each stage's own unit (REO, metal or magnets).",
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

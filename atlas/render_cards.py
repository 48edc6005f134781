"""Key figures of an outcome as cards and bars, and how figures are written for people."""

from dataclasses import dataclass
from typing import Any

MOST_BARS = 6


@dataclass(frozen=True)
class Card:
    """One key figure: what, how much, and a line that sets it in relation."""

    label: str
    value: str
    detail: str = ""
    tone: str = ""  # "bad", "good" or nothing


@dataclass(frozen=True)
class Bar:
    """One bar of a small chart: what, how much in words, and its length as a part of the longest."""

    label: str
    value: str
    part: float


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


def baseline_cards(outcome: Any) -> list[Card]:
    """Return the key figures of a world without halts."""
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


def halt_cards(outcome: Any) -> list[Card]:
    """Return the key figures of a halt, each beside what it was before."""
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
        _binding(outcome),
    ]


def _binding(outcome: Any) -> Card:
    """Return which plants newly run at their limit: what holds back more supply, as far as plants do."""
    table, known = outcome.facilities, outcome.layers.facilities
    limit = table["limit_t"].fillna(0.0)
    full = (limit > 0.5) & (table["halted_t"].fillna(0.0) >= 0.999 * limit)
    newly = full & (table["baseline_t"].fillna(0.0) < 0.999 * limit)
    ids = limit[newly].sort_values(ascending=False, kind="stable").index
    named = [str(known.at[i, "name"]) for i in ids if i in known.index]
    if not named:
        return Card("At their limit", "no more plants", "none reaches its limit that had room before")
    rest = f" and {len(named) - 2} more" if len(named) > 2 else ""
    count = f"{len(named)} more plants" if len(named) > 1 else "1 more plant"
    return Card("At their limit", count, f"no room left: {', '.join(named[:2])}{rest}")


def sector_bars(state: dict[str, Any]) -> list[Bar]:
    """Return the shortage by sector, the largest first, each as long as its tonnes."""
    short = {k: float(v) for k, v in state.get("shortage_by_sector", {}).items() if v > 0.5}
    rows = sorted(short.items(), key=lambda r: (-r[1], r[0]))[:MOST_BARS]
    return [Bar(str(k).replace("_", " "), tonnes(v), round(v / rows[0][1], 4)) for k, v in rows]

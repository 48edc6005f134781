"""What an answer says beyond totals, as rows for tables: buyers, prices that rose, what else was changed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LEAST_RISE_USD_T = 1000.0
MOST_RISES = 8
SMALL_T = 0.05
FROM_STOCK = "from stock"

PRICE = (
    "A price is what one more tonne would save in the model's own terms, penalties for shortage included; "
    "not a market price."
)
# What a price at a kink holds for, as a word and as an explanation.
KINKS = {"more": "one more only", "less": "one less only", "neither": "neither exactly"}
KINKS_SAID = (
    "A price is exact for small changes of what is wanted there. At a kink only for one tonne more or only for one "
    "less, or for neither: then one more may cost more than the price, one less save less."
)
STAGE_NAMES = {
    "mine": "mines", "separation": "separation", "metal": "metal", "magnet": "magnets", "recycling": "recycling",
    "demand": "demand",
}  # fmt: skip


@dataclass(frozen=True)
class BuyerLine:
    """A buyer of a scenario in both states, tonnes a year; `state` is met, part or none (after).

    `stepped_t` came as the next lower grade (before, after); `suppliers` are (facility, before, after), most first.
    """

    id: str
    country: str
    sector: str
    grade: str
    wanted_t: float
    before_t: float
    after_t: float
    stepped_t: tuple[float, float]
    suppliers: tuple[tuple[str, float, float], ...]
    state: str


@dataclass(frozen=True)
class Rise:
    """A commodity, with its element or grade, where its price rose most; `places` is in how many it rose.

    Of places where it rose alike (within 1 %) the one that is shortest of magnets is named.
    """

    commodity: str
    what: str
    place: str
    before: float
    after: float
    holds: str
    places: int

    @property
    def goods(self) -> str:
        """The goods in words, such as `SH magnet`."""
        return self.commodity if self.what == "all" else f"{self.what} {self.commodity}"


def buyer_lines(summary: Mapping[str, Any]) -> list[BuyerLine]:
    """Return a scenario's buyers, those with the largest shortage first."""
    before, after = (summary[s].get("buyers", {}) for s in ("baseline", "halted"))
    lines = []
    for i in sorted({*before, *after}):
        now = after.get(i) or before[i]
        was = before.get(i) or now
        old, new = _suppliers(was), _suppliers(now)
        from_whom = sorted({*old, *new}, key=lambda s: (-max(old.get(s, 0.0), new.get(s, 0.0)), s))
        wanted, got = now["demand_t"], now["supplied_t"]
        state = "met" if wanted - got <= 1e-3 * wanted else "part" if got > 1e-3 * wanted else "none"
        lines.append(
            BuyerLine(
                i, now["country"], now["sector"].replace("_", " "), now["grade"], wanted, was["supplied_t"], got,
                (was["step_down_t"], now["step_down_t"]),
                tuple((s, old.get(s, 0.0), new.get(s, 0.0)) for s in from_whom), state,
            )
        )  # fmt: skip
    return sorted(lines, key=lambda b: (b.after_t - b.wanted_t, b.id))


def _suppliers(buyer: Mapping[str, Any]) -> dict[str, float]:
    """Return tonnes by supplier; what comes from none is from a stock that was let go."""
    found = dict(buyer["by_supplier_t"])
    rest = buyer["supplied_t"] - sum(found.values())
    if rest > max(SMALL_T, 1e-3 * buyer["supplied_t"]):
        found[FROM_STOCK] = rest
    return found


def rises(summary: Mapping[str, Any], most: int = MOST_RISES) -> list[Rise]:
    """Return where each commodity, by element or grade, rose most in price, over `LEAST_RISE_USD_T`; most first."""
    before, after = (summary[s].get("prices_usd_t", {}) for s in ("baseline", "halted"))
    kinks = summary["halted"].get("price_kinks", {})
    short = summary["halted"].get("shortage_by_country", {})
    found = []
    for commodity, kinds in after.items():
        for what, places in kinds.items():
            old = before.get(commodity, {}).get(what, {})
            rose = {p: v - old[p] for p, v in places.items() if p in old and v - old[p] > LEAST_RISE_USD_T}
            if rose:
                alike = sorted(p for p in rose if rose[p] >= 0.99 * max(rose.values()))
                top = max(alike, key=lambda p: short.get(p, 0.0))
                holds = kinks.get(commodity, {}).get(what, {}).get(top, "both")
                found.append(Rise(commodity, what, top, old[top], places[top], holds, len(rose)))
    return sorted(found, key=lambda r: (r.before - r.after, r.commodity, r.what))[:most]


def confidence_words(state: Mapping[str, Any]) -> str:
    """Return which part of a state's tonnes rests on estimates, in all and by stage; "" where it is not known."""
    share = state.get("confidence_c_share", {})
    if not share:
        return ""
    parts = ", ".join(f"{name} {100 * share[k]:.0f}\u00a0%" for k, name in STAGE_NAMES.items() if k in share)
    return f"{100 * share['all']:.0f}\u00a0% of the tonnes rest on estimates (C): {parts}."


def released(summary: Mapping[str, Any]) -> list[tuple[str, float, float]]:
    """Return each stock that a scenario lets go, in words: (stock, tonnes let go, tonnes there were)."""
    used = summary["halted"].get("released_t", {})
    stocks = summary["scenario"].get("stocks", [])
    by_number = {int(m[1]): t for k, t in used.items() if (m := re.search(r"-(\d+)\Z", k))}
    return [(_stock(s), by_number.get(n, 0.0), float(s["tonnes"])) for n, s in enumerate(stocks, 1)]


def changed(scenario: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what a scenario changes beyond halts and surcharges: (kind, text) a row, buyers left out."""
    told: list[tuple[str, str]] = [("opened", str(o)) for o in scenario.get("opened", ())]
    for c in scenario.get("contracts", ()):
        goods = " ".join(x for x in (c.get("grade", ""), c["commodity"]) if x)
        until = f", until {c['until']}" if c.get("until") else ""
        told.append(("contract", f"{c['buyer']} buys {c['tonnes']:,.6g} t of {goods} from {c['supplier']}{until}"))
    told += [("stock", f"{s['tonnes']:,.6g} t let go: {_stock(s)}") for s in scenario.get("stocks", ())]
    for p in scenario.get("priority", ()):
        told.append(("priority", f"{str(p.get('sector') or p.get('buyer')).replace('_', ' ')}: class {p['class']}"))
    for t in scenario.get("tariffs", ()):
        goods = f"{t.get('commodity', 'goods')} from {t.get('exporter', '*')}"
        told.append(("tariff", f"{t.get('importer', '*')} on {goods}: {t['rate_pct']:g} %".replace("*", "all")))
    told += [("facility", str(f.get("id", ""))) for f in scenario.get("facilities", ())]
    for d in scenario.get("demand", ()):
        who = " ".join(str(d[k]).replace("_", " ") for k in ("country", "sector") if d.get(k))
        told.append(("demand", f"{who.replace('*', 'all') or 'all'}: {d.get('change_pct', 0):+g} %"))
    told += [("parameter", f"{k} = {v:g}") for k, v in scenario.get("parameters", {}).items()]
    hubs = scenario.get("transshipment")
    if hubs:
        via = hubs.get("via", ()) if isinstance(hubs, Mapping) else ()
        told.append(("transshipment", f"through {', '.join(via)}" if via else "through any third country"))
    if scenario.get("draw") is not None:
        told.append(("draw", str(scenario["draw"])))
    return told


def _stock(s: Mapping[str, Any]) -> str:
    """Return a stock in words, such as `Dy oxide of JPN`."""
    kind = s.get("element") or s.get("grade") or ""
    return f"{kind} {s['commodity']} of {s['holder']}".strip()

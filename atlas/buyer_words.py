"""What a buyer's risk is in words, and as plain values for JSON and CSV."""

import math
from typing import Any

import pandas as pd

from atlas.buyer_risk import LEAST_SHARE, ORIGIN, UPSTREAM, BuyerRisk
from atlas.halt_words import country_name
from atlas.summary import rounded


def sentence(r: BuyerRisk, layers: Any) -> str:
    """Return the risk in two sentences with figures: where the magnets come from, and what costs most."""
    b = r.buyer
    countries = sorted(r.today["by_country_t"].items(), key=lambda x: -x[1])
    got = float(r.today["supplied_t"])
    if got < LEAST_SHARE * b.tonnes:
        supply = f"{b.id} gets none of its {b.tonnes:,.0f} t of {b.grade} magnets a year even with nothing halted."
    else:
        first, t = countries[0] if countries else ("", 0.0)
        chinese = r.origin_share("separation")
        supply = (
            f"{b.id} gets {got:,.0f} of its {b.tonnes:,.0f} t of {b.grade} magnets a year, "
            f"{percent(t / got)} from {country_name(first, layers)}; "
            f"{percent(chinese)} of the rare earths in them were separated in {country_name(ORIGIN, layers)}."
        )
    hit = r.cases[r.cases["short_share"] > LEAST_SHARE]
    if not len(r.cases):
        return supply
    if not len(hit):
        return f"{supply} None of the {len(r.cases)} halts looked at leaves it short."
    worst = hit.iloc[0]
    alike = int((hit["short_share"] > worst["short_share"] - LEAST_SHARE).sum()) - 1
    others = f" ({alike} other{'s' * (alike > 1)} as bad)" if alike else ""
    return (
        f"{supply} Of {len(r.cases)} halts looked at, {len(hit)} leave it short. The worst{others}: "
        f"\u201c{worst['title']}\u201d takes {worst['short_t']:,.0f} t, {percent(worst['short_share'])} of its demand, "
        f"while all buyers together lack {percent(worst['world_short_share'])} of theirs{_stock(r, worst)}."
    )


def _stock(r: BuyerRisk, worst: Any) -> str:
    if not math.isfinite(worst["stock_days"]):
        return ""
    return f"; its stock of {r.buyer.cover_days:,.0f} days would make up for that for {worst['stock_days']:,.0f} days"


def percent(share: float) -> str:
    """Return a share as percent: one decimal below 10."""
    value = 100 * share
    return f"{value:.0f} %" if value >= 9.95 or value < 0.05 else f"{value:.1f} %"


def risk_json(r: BuyerRisk, layers: Any) -> dict[str, Any]:
    """Return a risk as plain values, floats at six significant digits; what has no value is null."""
    b = r.buyer
    routes = r.routes[["from_id", "from_country", "tonnes", "distance_km", "days", "cost_usd_t", "tariff_usd_t",
                       "passages", "ports", "borders"]]  # fmt: skip
    cases = []
    for row in r.cases.to_dict("records"):
        plain = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
        cases.append(plain | {"halts": [h for h in str(row["halts"]).split(";") if h]})
    whole = {
        "buyer": {k: v for k, v in vars(b).items() if v is not None},
        "contracts": [
            {"supplier": c.supplier, "commodity": c.commodity, "grade": c.grade, "tonnes": c.tonnes}
            for c in r.contracts
        ],
        "bloc": r.bloc, "year": r.year, "sentence": sentence(r, layers), "today": dict(r.today),
        "routes": routes.to_dict("records"),
        "upstream_share": {e: {s: dict(by[s]) for s in UPSTREAM if s in by} for e, by in r.upstream.items()},
        "origin": ORIGIN,
        "origin_share": {e: {s: r.origin_share(s, e) for s in by} for e, by in r.upstream.items()},
        "cases": cases, "notes": list(r.notes), "solves": r.solves,
    }  # fmt: skip
    found: dict[str, Any] = rounded(whole)
    return found


def risk_table(r: BuyerRisk) -> pd.DataFrame:
    """Return the cases as a table, the most harmful first."""
    return r.cases.copy()

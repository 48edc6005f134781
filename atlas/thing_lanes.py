"""Lanes of one thing: what comes in, what goes out, what passes through, in both states of an answer.

Everything is read from the flows of an outcome; users of a country meet at its market, as on the map.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from atlas.halt_words import country_name

CLOSING = ("surplus", "stock", "loss")  # ends of flows that are no place
LANE = ["from_id", "to_id", "commodity", "what"]
_AVERAGED = ("distance_km", "days", "cost_usd_t")


def routed(outcome: Any) -> pd.DataFrame:
    """Return flows between places, a row per state, lane and route; `what` is the element or the grade."""
    f = outcome.flows
    f = f[~f["to_id"].isin(CLOSING) & (f["tonnes"] > 0)]
    market = {c: i for i, c in outcome.layers.markets["country"].items()}
    users = f["to_id"].isin(outcome.layers.demand.index)
    to_id = f["to_id"].where(~users, f["to_country"].map(market).fillna(f["to_id"]))
    what = f["element"].fillna("").where(f["element"].fillna("") != "", f["grade"].fillna(""))
    kept = ["state", "commodity", "from_id", "from_country", "to_country", "tonnes", *_AVERAGED, "passages", "ports",
            "route_id"]  # fmt: skip
    table = f[kept].assign(to_id=to_id, what=what)
    return table.fillna({"passages": "", "ports": "", "route_id": "", "from_country": "", "to_country": ""})


def shown_state(outcome: Any) -> str:
    """Return the state that a page shows first: the halted one where anything is halted."""
    halted = outcome.summary["scenario"].get("halts") or not getattr(outcome, "is_baseline", True)
    return "halted" if halted else "baseline"


def lanes(outcome: Any, flows: pd.DataFrame, state: str) -> pd.DataFrame:
    """Return a row per lane, most tonnes first: LANE, countries, names, baseline_t and halted_t, km, days, USD/t.

    Averages are weighted by the tonnes of `state`, of the baseline for a lane that is lost; `passages` are those of any
    of its routes.
    """
    columns = [*LANE, "from_country", "to_country", "from_name", "to_name", "baseline_t", "halted_t", "tonnes",
               *_AVERAGED, "passages"]  # fmt: skip
    if flows.empty:
        return pd.DataFrame(columns=columns)
    sums = flows.groupby([*LANE, "state"])["tonnes"].sum().unstack("state").fillna(0.0)
    for s in ("baseline", "halted"):
        if s not in sums:
            sums[s] = 0.0
    lost = sums.index[sums[state] <= 0]
    told = flows[(flows["state"] == state) | pd.MultiIndex.from_frame(flows[LANE]).isin(lost)]
    weighted = told[list(_AVERAGED)].fillna(0.0).multiply(told["tonnes"], axis=0)
    whole = told.groupby(LANE)["tonnes"].sum()
    means = weighted.groupby([told[k] for k in LANE]).sum().div(whole, axis=0)
    first = told.groupby(LANE)[["from_country", "to_country"]].first()
    passed = told.groupby(LANE)["passages"].agg(_joined)
    made = pd.concat([first, sums["baseline"].rename("baseline_t"), sums["halted"].rename("halted_t"),
                      sums[state].rename("tonnes"), means, passed], axis=1).reset_index()  # fmt: skip
    for side in ("from", "to"):
        made[f"{side}_name"] = [
            place_name(i, c, outcome.layers)
            for i, c in zip(made[f"{side}_id"], made[f"{side}_country"], strict=True)
        ]
    order = made.assign(most=made[["tonnes", "baseline_t"]].max(axis=1))
    at = order.sort_values(["tonnes", "most", *LANE], ascending=[False, False, True, True, True, True]).index
    return made.loc[at, columns].reset_index(drop=True)


def _joined(texts: pd.Series) -> tuple[str, ...]:
    return tuple(dict.fromkeys(p for text in texts for p in str(text).split(";") if p))


def place_name(place: str, country: str, layers: Any) -> str:
    """Return the name of an end of a lane: a facility's, or the users of a country."""
    if place in layers.facilities.index:
        return str(layers.facilities.at[place, "name"])
    if place in layers.markets.index:
        return f"Users in {country_name(country, layers)}"
    return place


def shares_taken(flows: pd.DataFrame, made: pd.DataFrame, state: str) -> list[float]:
    """Return for each lane its part of all that its taker takes of that commodity in a state."""
    now = flows[flows["state"] == state]
    whole = now.groupby(["to_id", "commodity"])["tonnes"].sum()
    keys = pd.MultiIndex.from_frame(made[["to_id", "commodity"]])
    total = whole.reindex(keys).to_numpy(dtype=float)
    part = np.divide(made["tonnes"].to_numpy(dtype=float), total, out=np.zeros(len(made)), where=total > 0)
    return [float(v) for v in part]


def customers(flows: pd.DataFrame, own: Sequence[str], state: str, layers: Any) -> list[dict[str, Any]]:
    """Return who takes from these units directly: tonnes by commodity, and the part of what each takes of it."""
    now = flows[flows["state"] == state]
    sold = now[now["from_id"].isin(own) & ~now["to_id"].isin(own)]
    keys = ["to_id", "to_country", "commodity"]
    t = sold.groupby(keys)["tonnes"].sum()
    whole = now.groupby(["to_id", "commodity"])["tonnes"].sum()
    found = [
        {
            "id": i, "name": place_name(i, c, layers), "country": c, "commodity": g, "tonnes": float(v),
            "share": float(v / whole[(i, g)]),
        }
        for (i, c, g), v in t.items()
    ]  # fmt: skip
    return sorted(found, key=lambda r: (-r["share"], -r["tonnes"], r["id"]))


def lane_records(made: pd.DataFrame, shares: Sequence[float] = ()) -> list[dict[str, Any]]:
    """Return lanes as plain values; `shares` are parts of what the taker takes."""
    rows = made.to_dict("records")
    for k, r in enumerate(rows):
        r["passages"] = list(r["passages"])
        if shares:
            r["share_of_taken"] = shares[k]
    return [{str(k): v for k, v in r.items()} for r in rows]

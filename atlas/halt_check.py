"""Whether flows honour halts: each one judged on the flows of both states and the layers alone."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from atlas.balances import ENDS, LEAST_T, Chemistry, open_limits
from atlas.halt import Halt
from atlas.layers import Layers

THINGS = {"port": "ports", "passage": "passages", "border": "borders"}
RELATIVE = 2e-6


def halted_units(layers: Layers, halt: Halt) -> list[str]:
    """Return the facilities that a facility, site, operator or stage halt names."""
    f = layers.facilities
    if halt.kind == "facility":
        hit = f.index == halt.target
    elif halt.kind == "site":
        hit = (f["site"] == halt.target).to_numpy()
    elif halt.kind == "operator":
        hit = np.array([halt.target in ids for ids in f["operator_ids"]], dtype=bool)
    else:
        country, _, stage = halt.target.partition("/")
        hit = ((f["country"] == country) & (f["stage"] == stage)).to_numpy()
    return [str(i) for i in f.index[hit]]


def units_lost(layers: Layers, halts: Iterable[Halt]) -> dict[str, float]:
    """Return the share that each unit loses to halts without a filter, the largest where several name it."""
    lost: dict[str, float] = {}
    for h in halts:
        if h.kind in ("facility", "site", "operator", "stage") and not (h.commodities or h.elements):
            for i in halted_units(layers, h):
                lost[i] = max(lost.get(i, 0.0), h.share)
    return lost


def halt_problems(
    flows: pd.DataFrame, layers: Layers, halts: Iterable[Halt], units: pd.DataFrame, *, exports: bool = True
) -> list[str]:
    """Return which halts the flows of the halted state do not honour, in words.

    `units` has normal_t and limit_t by id. What a halt lets through is at most 1 - share of the same sum over the
    baseline's flows; units without a filter are judged by their limits. Without `exports` halts of a country's exports
    are passed over (goods may go by way of others).
    """
    real = flows[~flows["to_id"].isin(ENDS)]
    before, after = real[real["state"] == "baseline"], real[real["state"] == "halted"]
    problems = []
    for h in halts:
        if h.kind == "country" and not exports:
            continue
        if h.kind in ("facility", "site", "operator", "stage"):
            if h.commodities or h.elements:
                problems += _filtered_units(before, after, layers, h, units)
            elif h.share == 1:
                problems += _dead_units(flows[flows["state"] == "halted"], layers, h)
            continue
        if h.share < 1 and h.elements and "scrap" in h.commodities:
            continue  # a partial halt of scrap counts whole lanes by their grade, which flows no longer tell
        a, b = (part[_covered(part, layers, h, real) & _through(part, layers, h)] for part in (before, after))
        problems += _too_much(h.spec, float(b["tonnes"].sum()), (1 - h.share) * float(a["tonnes"].sum()), b)
    return problems


def _too_much(what: str, t: float, most: float, rows: pd.DataFrame) -> list[str]:
    if t <= most * (1 + RELATIVE) + LEAST_T * 10:
        return []
    top = rows.sort_values("tonnes").iloc[-1]
    example = f", such as {top['commodity']} from {top['from_id']} to {top['to_id']}"
    return [f"{what} is not honoured: {t:.6g} t move, at most {most:.6g} t may{example}"]


def _dead_units(f: pd.DataFrame, layers: Layers, h: Halt) -> list[str]:
    # What a unit had in stock it may sell on, but it makes nothing.
    left = f["to_id"].isin(["loss", "surplus"])
    own = f[f["from_id"].isin(halted_units(layers, h)) & ~left].groupby("from_id")["tonnes"].sum()
    stock = f[f["route_id"] == ""].groupby("to_id")["tonnes"].sum().reindex(own.index).fillna(0.0)
    t = (own - stock)[own - stock > LEAST_T]
    return [f"{h.spec} is not honoured: {i} still makes {x:.6g} t" for i, x in t.items()]


def _filtered_units(
    before: pd.DataFrame, after: pd.DataFrame, layers: Layers, h: Halt, units: pd.DataFrame
) -> list[str]:
    problems = []
    real = pd.concat([before, after])
    ratio = (open_limits(layers, units) / units["normal_t"].astype(float)).fillna(1.0)
    for i in (i for i in halted_units(layers, h) if i in units.index):
        if h.share < 1 and h.elements and "scrap" in h.commodities:
            continue
        a, b = (
            float(part.loc[_covered(part, layers, h, real) & (part["from_id"] == i).to_numpy(), "tonnes"].sum())
            for part in (before, after)
        )
        most = (1 - h.share) * a * float(ratio[i])
        problems += _too_much(f"{h.spec} at {i}", b, most, after[after["from_id"] == i])
    return problems


def _through(f: pd.DataFrame, layers: Layers, h: Halt) -> np.ndarray:
    """Return which flows a halt of a country, port, passage or border touches."""
    if h.kind == "country":
        hit = (f["from_country"] == h.target) & (f["to_country"] != h.target)
        if h.destination:
            blocs: Mapping[str, frozenset[str]] = {b: layers.bloc(b) for b in layers.bloc_names}
            hit &= f["to_country"].isin(blocs.get(h.destination, frozenset({h.destination})))
        return hit.to_numpy()
    return np.array([h.target in x.split(";") for x in f[THINGS[h.kind]]], dtype=bool)


def _covered(f: pd.DataFrame, layers: Layers, h: Halt, real: pd.DataFrame) -> np.ndarray:
    """Return which flows a halt's filter covers.

    An element covers its oxide, its metal and magnets of grades that hold it; concentrate and scrap only if named.
    Ore of a cracking plant counts where all that it takes in holds the element.
    """
    if not h.commodities and not h.elements:
        return np.ones(len(f), dtype=bool)
    if not h.elements:
        return f["commodity"].isin(h.commodities).to_numpy()
    c = Chemistry(layers)
    keys = {k for k, elements in c.keys.items() if set(elements) & h.elements}
    rich = {g for (g, k), t in c.content.items() if k in keys and t > 0}
    named = [e for e in c.elements if e in h.elements]
    holds = set(c.baskets.index[(c.baskets[named] > 0).any(axis=1)])
    ore = real[real["commodity"] == "concentrate"]
    for i in set(ore["from_id"]) - set(layers.facilities.index[layers.facilities["stage"] == "mine"]):
        came = set(ore.loc[ore["to_id"] == i, "from_id"])
        holds = holds | {i} if came and came <= holds else holds - {i}
    own = f["element"].isin(h.elements)
    hit = (f["commodity"].isin(["oxide", "metal"]) & own) | ((f["commodity"] == "magnet") & f["grade"].isin(rich))
    if h.commodities:
        hit |= (f["commodity"] == "concentrate") & f["from_id"].isin(holds)
        hit |= (f["commodity"] == "scrap") & own
        hit &= f["commodity"].isin(h.commodities)
    return hit.to_numpy()

"""A scenario's own buyers: carved out of their country's demand, with markets, suppliers and contracts of their own.

A buyer is a named part of its country x sector x grade, so the totals of the baseline do not move. It starts with its
country's suppliers, in the same proportions, but for what its contracts name; only what it wants beyond the country's
row is new demand. Its lanes are corrected so that they cost in the calibrated year what its country's cost, so that
splitting a market in two changes nothing by itself.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from atlas.errors import BadInput
from atlas.model import Baseline, Options, Skeleton
from atlas.scenario import Buyer, Contract
from atlas.world import World, build_lanes


@dataclass(frozen=True)
class Carved:
    """A world with buyers in it, and what to say about them."""

    world: World
    carved_t: Mapping[str, float]
    notes: tuple[str, ...]


def carve(world: World, buyers: Sequence[Buyer], contracts: Sequence[Contract], classes: Mapping[str, int]) -> Carved:
    """Return `world` with `buyers` (countries known) as markets of their own; `classes` are priorities by buyer id.

    A buyer without a contract shares shortages with its country's market in equal parts; one with contracts stands on
    its own. Raises BadInput where nobody makes what a buyer wants.
    """
    if not buyers:
        return Carved(world, {}, ())
    demand, notes, problems = world.demand.copy(), [], []
    carved: dict[str, float] = {}
    rows = []
    under_contract = {c.buyer for c in contracts}
    classes_of = demand.groupby("sector")["priority_class"].first().to_dict()
    made = {g for grades in world.units["grades"] for g in grades}
    for b in buyers:
        if b.grade not in made:
            problems.append(f"buyer {b.id}: no running plant makes grade {b.grade}")
            continue
        hit = (demand["country"] == b.country) & (demand["sector"] == b.sector) & (demand["grade"] == b.grade)
        hit &= ~demand["market"].isin([x.id for x in buyers])
        there = float(demand.loc[hit, "demand_t"].sum())
        taken = min(b.tonnes, there)
        if taken > 0:
            demand.loc[hit, "demand_t"] *= 1 - taken / there
        if b.tonnes > taken:
            notes.append(
                f"buyer {b.id}: wants {b.tonnes:,.0f} t of {b.grade}, {b.country}'s {b.sector} has {there:,.0f} t; "
                f"{b.tonnes - taken:,.0f} t are new demand"
            )
        carved[b.id] = taken
        home = world.markets.index[(world.markets["country"] == b.country) & ~world.markets["buyer"]]
        rank = classes.get(b.id, int(classes_of.get(b.sector, 2)))
        alone = b.id in under_contract or b.id in classes or not len(home) or b.tonnes > taken
        rows.append(
            {
                "demand_id": b.id,
                "country": b.country,
                "market": b.id,
                "sector": b.sector,
                "grade": b.grade,
                "demand_t": b.tonnes,
                "priority_class": rank,
                "pool": b.id if alone else str(home[0]),
                "step_down_share": _step_down_share(world, b),
            }
        )
    if problems:
        raise BadInput(problems)
    demand = pd.concat([demand[demand["demand_t"] > 0], pd.DataFrame(rows)], ignore_index=True)
    demand = demand.sort_values(["demand_id", "grade"], kind="stable").reset_index(drop=True)
    points = pd.DataFrame(
        {
            "country": [b.country for b in buyers],
            "name": [b.id for b in buyers],
            "lon": [b.lon for b in buyers],
            "lat": [b.lat for b in buyers],
            "eol_reo_t": 0.0,
            "buyer": True,
        },
        index=[b.id for b in buyers],
    )
    markets = pd.concat([world.markets, points]).sort_index(kind="stable")
    made_world = dataclasses.replace(world, markets=markets, demand=demand)
    object.__setattr__(made_world, "lanes", build_lanes(made_world))
    return Carved(made_world, carved, tuple(notes))


def _step_down_share(world: World, b: Buyer) -> float:
    """Return the part of a buyer's tonnes that may take the next lower grade: that of its sector and grade."""
    d = world.demand
    alike = d.loc[(d["sector"] == b.sector) & (d["grade"] == b.grade), "step_down_share"]
    return float(alike.iloc[0]) if len(alike) else 0.0


def carve_baseline(
    baseline: Baseline,
    s: Skeleton,
    options: Options,
    buyers: Sequence[Buyer],
    contracts: Sequence[Contract],
    carved_t: Mapping[str, float],
) -> tuple[Baseline, tuple[str, ...]]:
    """Return the baseline with the buyers' part of each market's trade on lanes of their own, and notes.

    `s` and `options` are of the carved world on the open network. What a contract names and its supplier did not sell
    to the country before is swapped with the supplier's other customers, who get the country's former suppliers, first
    those of the supplier's own country; raises BadInput where the supplier does not make that much of the grade.
    """
    world = s.world
    flow = dict(baseline.lane_t)
    correction = dict(baseline.lane_correction)
    named: dict[str, float] = {}
    notes: list[str] = []
    problems: list[str] = []
    cost = np.full(len(s.lane_key), np.nan)
    cost[options.lane] = options.cost_usd_t * s.tie[options.lane]
    cost_of = dict(zip(s.lane_key.tolist(), cost.tolist(), strict=True))
    plants = world.units.index[world.units["stage"] == "magnet"]

    def key(plant: str, grade: str, market: str) -> str:
        return f"magnet||{grade}||{plant}|{market}"

    for b in buyers:
        home = world.markets.index[(world.markets["country"] == b.country) & ~world.markets["buyer"]]
        if not len(home):
            continue
        m, g = str(home[0]), b.grade
        near = {g, world.grade_below.get(g, g), world.grade_above.get(g, g)}  # what it may take in place of its own
        for p, grade in ((str(p), x) for p in plants for x in sorted(near)):
            mine, country = key(p, grade, b.id), key(p, grade, m)
            gap = cost_of.get(country, np.nan) - cost_of.get(mine, np.nan)
            if np.isfinite(gap):
                correction[mine] = correction.get(country, 0.0) + gap
        makers = [str(p) for p in plants if g in world.units.at[p, "grades"]]
        wanted = _contracted(world, contracts, b, makers, problems)
        limit = min(1.0, carved_t[b.id] / sum(wanted.values())) if wanted else 1.0
        if limit < 1.0:
            notes.append(
                f"contracts of {b.id}: {sum(wanted.values()):,.0f} t, of which {carved_t[b.id]:,.0f} t are held: no "
                "more of its demand is part of the baseline"
            )
        for p, t in wanted.items():
            wanted[p] = t * limit
            _swap(flow, named, p, g, m, t * limit, makers, world, b, problems, notes)
        for p, t in wanted.items():
            flow[key(p, g, b.id)] = flow.get(key(p, g, b.id), 0.0) + t
            flow[key(p, g, m)] = flow.get(key(p, g, m), 0.0) - t
            named[key(p, g, b.id)] = t
        rest = carved_t[b.id] - sum(wanted.values())
        left = {p: max(flow.get(key(p, g, m), 0.0), 0.0) for p in makers}
        whole = sum(left.values())
        for p, t in left.items():
            if t > 0 and rest > 0:
                part = min(rest / whole, 1.0) * t
                flow[key(p, g, b.id)] = flow.get(key(p, g, b.id), 0.0) + part
                flow[key(p, g, m)] -= part
    for c in (c for c in contracts if c.commodity != "magnet"):
        _facility_contract(s, flow, named, c, world, notes)
    if problems:
        raise BadInput(problems)
    flow = {k: t for k, t in flow.items() if t > 1e-7}
    carved = dataclasses.replace(
        baseline,
        lane_t=flow,
        lane_correction={k: v for k, v in correction.items() if v},
        contract_t={k: min(t, flow.get(k, 0.0)) for k, t in named.items()},
    )
    return carved, tuple(notes)


def _contracted(
    world: World, contracts: Sequence[Contract], b: Buyer, makers: Sequence[str], problems: list[str]
) -> dict[str, float]:
    """Return tonnes by plant that a buyer's contracts name; a site's contract goes to its plants by capacity."""
    found: dict[str, float] = {}
    u = world.units
    for c in contracts:
        if c.buyer != b.id:
            continue
        if c.grade and c.grade != b.grade:
            problems.append(f"contract of {b.id} with {c.supplier}: grade {c.grade}, but the buyer buys {b.grade}")
            continue
        own = [p for p in makers if c.supplier in (p, u.at[p, "site"])]
        if not own:
            running = c.supplier in u.index or c.supplier in set(u["site"])
            why = f"makes no {b.grade}" if running else f"does not run in {world.year}"
            problems.append(f"contract of {b.id}: {c.supplier} {why}; expected a magnet plant that makes {b.grade}")
            continue
        size = sum(float(u.at[p, "capacity_t"]) for p in own)
        for p in own:
            found[p] = found.get(p, 0.0) + c.tonnes * float(u.at[p, "capacity_t"]) / size
    return found


def _swap(
    flow: dict[str, float],
    named: Mapping[str, float],
    plant: str,
    grade: str,
    market: str,
    wanted_t: float,
    makers: Sequence[str],
    world: World,
    b: Buyer,
    problems: list[str],
    notes: list[str],
) -> None:
    """Turn enough of a plant's other sales of a grade toward a market that `wanted_t` come from it."""

    def key(p: str, m: str) -> str:
        return f"magnet||{grade}||{p}|{m}"

    missing = wanted_t - flow.get(key(plant, market), 0.0)
    if missing <= 1e-9:
        return
    others = {
        str(m): flow.get(key(plant, str(m)), 0.0)
        for m in world.markets.index
        if str(m) != market and not world.markets.at[m, "buyer"]
    }
    sold = sum(others.values())
    gifts = _gifts(missing, flow, [p for p in makers if p != plant], plant, world, lambda p: key(p, market))
    if missing > sold + 1e-6 or missing > sum(gifts.values()) + 1e-6:
        bound = sum(t for k, t in named.items() if k.startswith(f"magnet||{grade}||{plant}|"))
        problems.append(
            f"contract of {b.id} with {plant}: {wanted_t:,.0f} t of {grade}, but the plant sells "
            f"{sold + wanted_t - missing + bound:,.0f} t of it in {world.year}'s pattern"
            + (f", {bound:,.0f} t of them under other contracts here" if bound else "")
        )
        return
    notes.append(
        f"contract of {b.id} with {plant}: {missing:,.0f} t of {grade} more than it sold to {b.country} before; "
        "swapped with its other customers, who get that country's former suppliers"
    )
    for m, t in others.items():
        if t <= 0:
            continue
        moved = missing * t / sold
        flow[key(plant, m)] -= moved
        flow[key(plant, market)] = flow.get(key(plant, market), 0.0) + moved
        for p, gift in gifts.items():
            part = moved * gift / missing
            flow[key(p, market)] -= part
            flow[key(p, m)] = flow.get(key(p, m), 0.0) + part


def _gifts(
    missing: float,
    flow: Mapping[str, float],
    donors: Sequence[str],
    plant: str,
    world: World,
    key: Callable[[str], str],
) -> dict[str, float]:
    """Return what each donor gives of the `missing` tonnes: those of the plant's own country first, then the others.

    So trade between countries moves only as far as it must.
    """
    country = world.units["country"]
    gifts: dict[str, float] = {}
    for near in (True, False):
        there = {p: t for p in donors if (country[p] == country[plant]) == near and (t := flow.get(key(p), 0.0)) > 0}
        part = min(missing - sum(gifts.values()), sum(there.values())) / max(sum(there.values()), 1e-300)
        gifts |= {p: t * part for p, t in there.items() if part > 0}
    return gifts


def _facility_contract(
    s: Skeleton,
    flow: Mapping[str, float],
    named: dict[str, float],
    c: Contract,
    world: World,
    notes: list[str],
) -> None:
    """Put a plant's contract for concentrate, oxide or metal on what it bought of the supplier already."""
    lanes, u = world.lanes, world.units
    suppliers = {str(i) for i in u.index if c.supplier in (i, u.at[i, "site"])}
    hit = (lanes["commodity"] == c.commodity) & lanes["from_id"].isin(suppliers) & (lanes["to_id"] == c.buyer)
    keys = s.lane_key[hit.to_numpy()].tolist()
    before = {k: flow.get(k, 0.0) for k in keys}
    total = sum(before.values())
    if total <= 0:
        notes.append(f"{c.words}: nothing of it moves in the baseline, so there is nothing to hold")
        return
    for k, t in before.items():
        named[k] = named.get(k, 0.0) + t * min(1.0, c.tonnes / total)
    if c.tonnes > total:
        notes.append(f"{c.words}: {c.tonnes:,.0f} t, of which {total:,.0f} t move in the baseline and are held")

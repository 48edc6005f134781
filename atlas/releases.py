"""Stock that a scenario lets go, as columns of the programme: a supply without cost, used at most once.

A country's stock serves users in that country; a facility's its own works - what it uses, or what it makes and sells.
Without an element or grade the stock is of the usual mix: NdPr as in swarf, or the country's own mix of grades.
"""

import re
from collections.abc import Sequence

import pandas as pd

from atlas.errors import BadInput
from atlas.scenario import StockRelease
from atlas.world import Release, World, pair_parts

_Hit = tuple[tuple[str, str, str], float]
_Column = tuple[str, str, float, tuple[_Hit, ...]]


def releases(world: World, stocks: Sequence[StockRelease]) -> tuple[Release, ...]:
    """Return the releases of `stocks` in `world`; raises BadInput naming each that nobody could use."""
    made, problems = [], []
    for n, s in enumerate(stocks, 1):
        columns = _columns(world, s)
        if not columns:
            problems.append(f"{s.words}: no running plant or market there uses {s.commodity}" + _hint(world, s))
        country = s.holder if s.in_country else str(world.units["country"].get(s.holder, ""))
        kind = "-".join(x.lower() for x in (s.holder, s.element or s.grade, s.commodity) if x)
        made.append(Release(f"stock-{kind}-{n}", s.commodity, country, s.tonnes, tuple(columns)))
    if problems:
        raise BadInput(problems)
    return tuple(made)


def _hint(world: World, s: StockRelease) -> str:
    if s.in_country or s.holder in world.units.index:
        return ""
    return f"; {s.holder} does not run in {world.year}"


def _columns(world: World, s: StockRelease) -> list[_Column]:
    u = world.units
    if s.commodity == "magnet":
        return _magnets(world, s)
    inside = u[u["country"] == s.holder] if s.in_country else u[u.index == s.holder]
    columns: list[_Column] = []
    for i, unit in inside.iterrows():
        i, stage, product = str(i), unit["stage"], unit["product"]
        if s.commodity == "concentrate":
            if stage == "mine":
                columns.append((i, i, s.tonnes, ((("act", i, ""), -1.0),)))
            continue
        for e, part in _mix(world, s).items():
            hits = _uses(world, s, i, stage, product, e)
            if hits:
                columns.append((i, e, s.tonnes * part, tuple(hits)))
    return columns


def _uses(world: World, s: StockRelease, i: str, stage: str, product: str, e: str) -> list[_Hit]:
    """Return the rows that a tonne of stock of element `e` enters at a unit; none where it has no use."""
    pair = world.chain.pair
    pr = float(e == pair[1]) if e in pair else None
    blend: list[_Hit] = []
    if pr is not None:
        least, most = map(world.parameter, world.chain.pair_bounds)
        blend = [(("pr_least", i, ""), pr - least), (("pr_most", i, ""), most - pr)]
    elements = world.units.at[i, "elements"] or world.elements
    own = not s.in_country
    if s.commodity == "oxide":
        if stage == "metal" and product == "metal" and e in elements:
            return [(("met", i, e), float(world.metal_yield[world.elements.index(e)])), *blend]
        if own and stage in ("separation", "recycling") and product == "oxide" and e in elements:
            # What a recycler makes counts as its output; what lay in stock does not.
            return [(("ox", i, e), 1.0), *([(("act", i, ""), -1.0)] if stage == "recycling" else [])]
        return []
    if stage == "magnet" and product != "bonded" and (product == "smco") == (e in world.chain.not_recycled):
        return [(("mag", i, world.chain.key(e)), 1.0), *blend]
    if stage == "metal" and product == "alloy" and e in elements:
        return [(("met", i, e), 1.0)]
    if own and stage == "metal" and product == "metal" and e in elements:
        return [(("met", i, e), 1.0), (("act", i, ""), -1.0)]
    return []


def _mix(world: World, s: StockRelease) -> dict[str, float]:
    """Return the part of each element in a stock of oxide or metal."""
    if s.element not in ("", world.chain.pair_name):
        return {s.element: 1.0}
    # Of a commodity without a pair, a stock that names no element is of the first.
    return pair_parts(world) or {world.elements[0]: 1.0}


def _magnets(world: World, s: StockRelease) -> list[_Column]:
    if not s.in_country:
        grades = [g for g in (world.units.at[s.holder, "grades"] if s.holder in world.units.index else ())
                  if s.grade in ("", g)]  # fmt: skip
        each = s.tonnes / max(len(grades), 1)
        hits = ((("grade", s.holder, g), 1.0) for g in grades)
        return [(s.holder, g, each, (h,)) for g, h in zip(grades, hits, strict=True)]
    d = world.demand[world.demand["country"] == s.holder]
    d = d[d["grade"] == s.grade] if s.grade else d
    part: pd.Series = d.groupby(["market", "grade"])["demand_t"].sum()
    by_grade = part.groupby(level="grade").sum() / part.sum() if len(part) else part
    return [
        (str(m), str(g), s.tonnes * float(by_grade[g]), ((("market", str(m), str(g)), 1.0),)) for m, g in part.index
    ]


def release_of(key: str) -> tuple[str, str]:
    """Return (release name, element or grade) of a release column's key."""
    name, _, what = key.partition("|")
    return name, what


def is_stock(name: str) -> bool:
    """Whether an origin in flows is a stock that was let go."""
    return re.match(r"stock-", name) is not None

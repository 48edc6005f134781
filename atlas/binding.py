"""What begins to bind between two optima of a priced programme: an exact split of the jump of its price, in words.

For the optimum z of cost + price x foreign content, with duals y and reduced costs d, and any feasible z' with more
foreign content, the cost of going on from z' past z splits by complementary slackness into terms that are never
negative, one for each bound and row that z lies on:
    (price - slope from z' to z) x (foreign content given up) = - sum d (z - z') - sum y (rows of z - rows of z')
A term is large where a dear bound was far away at z' and is reached at z: that is what begins to bind.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from atlas.allied import Chain
from atlas.solver import Optimum
from atlas.world import World

_GOODS = {"concentrate": "concentrate", "oxide": "oxide", "metal": "metal", "magnet": "magnets", "scrap": "scrap"}
_MAKING = {"mine": "mining", "separation": "separation", "metal": "metal", "magnet": "magnet", "recycling": "recycling"}
# One unit is named where it explains this part of its group.
DOMINANT = 0.6
_CLASSES = {
    1: "class 1, defence and medicine",
    2: "class 2, cars, motors, wind",
    3: "class 3, electronics and the rest",
}


@dataclass(frozen=True)
class Bind:
    """What begins to bind: in words, the part of the price's jump that it explains, the jump in USD/t.

    `terms` has one row a bound or row: group (words), name (of one unit or place), usd_t (its part of the jump).
    """

    words: str
    share: float
    jump_usd_t: float
    terms: pd.DataFrame


def binds(
    world: World,
    whole: Chain,
    bloc: frozenset[str],
    bloc_name: str,
    before: Any,
    here: Any,
    duals: Optimum,
    price_usd_t: float,
    names: Mapping[str, str],
) -> Bind:
    """Name what begins to bind at `here`, coming from `before` (vertices: optimum, foreign_t, objective_usd).

    `duals` are those of an optimum at `price_usd_t` on the edge that begins at `here`; `names` are words for units.
    """
    lp = whole.lp
    given_up = max(before.foreign_t - here.foreign_t, 1e-12)
    moved = here.optimum.x - before.optimum.x
    reduced = lp.cost + price_usd_t * whole.foreign - lp.matrix.T @ duals.y
    by_column = np.maximum(-reduced * moved, 0.0) / given_up
    by_row = np.maximum(-duals.y * (lp.matrix @ moved), 0.0) / given_up
    slope = (here.objective_usd - before.objective_usd) / given_up
    jump = price_usd_t - slope
    least = 1e-4 * max(float(by_column.sum() + by_row.sum()), 1e-12)
    rows = []
    for n in np.flatnonzero(by_column > least):
        group, name = _column_words(world, whole, int(n), bloc, bloc_name, rising=bool(moved[n] > 0))
        rows.append((group, name, float(by_column[n])))
    for n in np.flatnonzero(by_row > least):
        group, name = _row_words(world, whole.rows.iloc[int(n)], bloc, bloc_name)
        rows.append((group, name, float(by_row[n])))
    terms = pd.DataFrame(rows, columns=["group", "name", "usd_t"]).sort_values("usd_t", ascending=False, kind="stable")
    total = float(by_column.sum() + by_row.sum())
    if terms.empty or total <= 0:
        return Bind("", float("nan"), jump, terms)
    by_group = terms.groupby("group")["usd_t"].sum().sort_values(ascending=False, kind="stable")
    top = str(by_group.index[0])
    own = terms[terms["group"] == top].groupby("name")["usd_t"].sum().sort_values(ascending=False, kind="stable")
    words = top
    if len(own) and str(own.index[0]) and own.iloc[0] >= DOMINANT * by_group.iloc[0]:
        words = f"{top}: {names.get(str(own.index[0]), str(own.index[0]))}"
    return Bind(words, float(by_group.iloc[0]) / total, jump, terms.reset_index(drop=True))


def _side(country: str, bloc: frozenset[str], bloc_name: str) -> str:
    """Return where a country lies; `bloc_name` is empty where all but China counts as allied."""
    if country in bloc:
        return f"inside {bloc_name}" if bloc_name else "outside China"
    return "in China" if country == "CHN" or not bloc_name else f"outside {bloc_name}"


def _within(bloc_name: str) -> str:
    return f"inside {bloc_name}" if bloc_name else "outside China"


def _column_words(
    world: World, whole: Chain, n: int, bloc: frozenset[str], bloc_name: str, *, rising: bool
) -> tuple[str, str]:
    """Return (group in words, one name) of a column that reached its end."""
    column = whole.columns.iloc[n]
    kind, unit, key = str(column["kind"]), str(column["unit"]), str(column["key"])
    u = world.units
    if kind == "flow":
        lane = world.lanes.iloc[int(whole.lane[n])]
        what = _GOODS[str(lane["commodity"])]
        a, b = (_side(str(lane[c]), bloc, bloc_name) for c in ("from_country", "to_country"))
        way = f"{what} from {a.removeprefix('in ').removeprefix('from ')}" if a == "in China" else f"{what} made {a}"
        if rising:
            kept = {"contract": "all that contracts hold", "old": "all that known trade holds"}.get(key, "all there is")
            return f"{kept} of {way} for buyers {b}", ""
        return f"no more {way} given up easily (buyers {b})", ""
    if kind in ("normal", "surge") and unit in u.index:
        making = _MAKING[str(u.at[unit, "stage"])]
        side = _side(str(u.at[unit, "country"]), bloc, bloc_name)
        if rising:
            return f"{making} capacity {side}", unit
        return f"no {making} {side} left to idle", unit
    if kind == "short":
        country = str(world.markets.at[unit, "country"])
        side = _side(country, bloc, bloc_name)
        who = f"class {column['priority_class']}"
        if rising:
            return f"{who} {side}: those that mind least are short", ""
        return f"no shortage {side} left to shift", ""
    if kind == "surplus":
        side = _side(str(u.at[unit, "country"]), bloc, bloc_name)
        return f"{key} oxide left over {side}" + ("" if rising else " is used up"), ""
    if kind == "loss":
        return f"swarf {_side(str(u.at[unit, 'country']), bloc, bloc_name)} is all recycled", unit
    if kind == "down":
        side = _side(str(world.markets.at[unit, "country"]), bloc, bloc_name)
        return f"users {side} take the next lower grade " + ("as far as they may" if rising else "no more"), ""
    if kind == "divert":
        side = _side(str(u.at[unit, "country"]), bloc, bloc_name)
        return f"home buyers of plants {side}", unit
    if kind == "make":
        side = _side(str(u.at[unit, "country"]), bloc, bloc_name)
        return f"no more {key} magnets made {side} to change for others", unit
    if kind == "stock":
        return "metal that goes into stock", ""
    if kind == "up":
        return f"users {_side(str(world.markets.at[unit, 'country']), bloc, bloc_name)} that take a dearer grade", ""
    if kind == "allied":
        return f"allied {_GOODS[key.partition('|')[0]]} that goes elsewhere", ""
    return kind, unit


def _row_words(world: World, row: pd.Series, bloc: frozenset[str], bloc_name: str) -> tuple[str, str]:
    """Return (group in words, one name) of a row that came to bind."""
    kind, a, b = str(row["kind"]), str(row["a"]), str(row["b"])
    u = world.units
    if kind == "allied_lane":
        commodity, _, element = b.partition("|")
        return f"no foreign {element} {_GOODS[commodity]} left between plants {_within(bloc_name)}", ""
    if kind == "allied_unit":
        made = {"separation": "oxide", "recycling": "recycled oxide", "metal": "metal"}[str(u.at[a, "stage"])]
        return f"allied {b} {made} {_within(bloc_name)} is all used", a
    if kind in ("allied_plant", "allied_swarf"):
        return f"allied {b} metal at magnet plants {_within(bloc_name)} is all used", a
    if kind == "allied_sales":
        return "sales of allied magnets to the bloc", a
    if kind in ("pr_least", "pr_most") and a in u.index:
        return f"mix of Nd and Pr that plants {_side(str(u.at[a, 'country']), bloc, bloc_name)} can use", a
    if kind == "home":
        return f"home buyers of magnet plants {_side(str(u.at[a, 'country']), bloc, bloc_name)}", a
    if kind == "eol":
        return f"end-of-life scrap {_side(str(world.markets.at[a, 'country']), bloc, bloc_name)}", ""
    if kind == "step":
        return "grades that users may step down to", ""
    return {"cap": f"the cap of {a}", "stock": "metal that goes into stock", "piece": "known trade"}.get(kind, kind), ""

"""What of a bloc's magnets is allied at every stage: the least foreign content, as linear rows beside the programme.

MEASURE  Content is the mass of chosen elements in finished magnets delivered to the bloc's markets. It is allied if it
was mined (or collected as end-of-life scrap), separated, made into metal and into magnets inside the bloc, and did not
leave the bloc in between; all else is foreign. A plant that takes in both may keep them apart, so the allied part of a
flow is a flow of its own, nested in it:

    allied[l] <= x[l]                                             on every lane l inside the bloc
    allied out <= yield x allied in                               at every unit inside the bloc, by element
    allied sales[u,k] <= content of what plant u sells to the bloc's markets
    foreign content = content of all that is delivered to the bloc - sum of allied sales

Ore lanes of the bloc's mines are allied as they are. These rows state exactly what can be held apart, with about a
thousand rows and columns for the widest bloc: a bound on foreign content stays one small linear programme. The other
way, to weigh what crosses the bloc's border by the content it will have, needs no rows, but counts against the bloc
what it takes in and sells on, and so is only a bound. Proportional mixing (`summary.origin_shares`) is not linear; its
shares stand beside.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from atlas.chain import Chain as Elements
from atlas.errors import UnknownName, nearest
from atlas.model import Programme
from atlas.solver import LinearProgramme
from atlas.world import World, recipe_of

# The first stage that must be allied, for the magnets to count.
SINCE: tuple[str, ...] = ("mine", "separation", "metal", "magnet")


def element_choices(elements: Elements) -> tuple[str, ...]:
    """Return what may be asked for: `all`, or one metal as recipes count it."""
    return ("all", *elements.keys)


def element_keys(element: str, elements: Elements) -> tuple[str, ...]:
    """Return the metals of recipes that `all` or one name stands for; raises UnknownName.

    Nd and Pr are bought and blended as one, so either alone is refused.
    """
    choices = element_choices(elements)
    found = {c.lower(): c for c in choices}.get(element.lower())
    if found is None:
        paired = element.lower() in {e.lower() for e in elements.pair}
        near = [elements.pair_name] if paired else nearest(element, choices)
        raise UnknownName("element", element, near or list(choices))
    return elements.keys if found == "all" else (found,)


@dataclass(frozen=True)
class Chain:
    """A programme with the allied flows of a bloc beside it.

    `lp` is the programme with more rows and columns; `foreign` and `delivered` (columns,) give the foreign and the
    whole content of what the bloc is delivered, t of element in magnets, as sums over columns. `columns` and `rows`
    label all of both as in the programme; allied columns are of kind `allied`, rows of kind `allied_lane`,
    `allied_unit`, `allied_plant`, `allied_swarf` and `allied_sales`. `lane` is the lane of each column, -1 for none.
    """

    lp: LinearProgramme
    foreign: np.ndarray
    delivered: np.ndarray
    columns: pd.DataFrame
    rows: pd.DataFrame
    lane: np.ndarray


class _Rows:
    """Rows `>= 0` over lanes and allied columns, collected entry by entry."""

    def __init__(self) -> None:
        self.names: dict[tuple[str, str, str], int] = {}
        self.on_lanes: list[tuple[int, int, float]] = []
        self.on_allied: list[tuple[int, int, float]] = []
        self.columns: list[tuple[str, str]] = []

    def row(self, kind: str, a: str, b: str) -> int:
        return self.names.setdefault((kind, a, b), len(self.names))

    def column(self, unit: str, key: str) -> int:
        self.columns.append((unit, key))
        return len(self.columns) - 1

    def matrix(self, entries: list[tuple[int, int, float]], columns: int) -> sparse.csc_matrix:
        r, c, v = (np.array(x) for x in zip(*entries, strict=True)) if entries else (np.zeros(0),) * 3
        m = sparse.csc_matrix((v, (r.astype(np.int64), c.astype(np.int64))), shape=(len(self.names), columns))
        m.sum_duplicates()
        return m


def content_share(world: World, unit: str) -> float:
    """Return the part of the metal a magnet plant takes in that ends in its finished magnets."""
    recipe = recipe_of(str(world.units.at[unit, "product"]))
    return world.parameter("blank_to_finished") if recipe == "sintered" else 1.0


def magnet_content(world: World, units: Sequence[str], grades: Sequence[str], keys: Iterable[str]) -> np.ndarray:
    """Return the content of finished magnets by plant and grade, t of the elements of `keys` per t (n,)."""
    product = world.units["product"]
    table = world.recipes[list(keys)].sum(axis=1)
    recipe = pd.MultiIndex.from_arrays([[recipe_of(str(product[u])) for u in units], list(grades)])
    share = {u: content_share(world, u) for u in set(units)}
    return table.reindex(recipe).to_numpy(dtype=float) * np.array([share[u] for u in units], dtype=float)


def chain(
    world: World,
    programme: Programme,
    lane_of_option: np.ndarray,
    bloc: frozenset[str],
    keys: Sequence[str],
    trusted: frozenset[str] | None = None,
    since: str = "mine",
) -> Chain:
    """Return `programme` with the allied flows of `bloc` for the metals `keys` beside it.

    `lane_of_option` is the lane of each route option; `trusted` the countries where stages count as allied (none: the
    bloc itself), from the stage `since` on. The optimum of `Chain.lp` is that of the programme: what is added bears no
    cost and binds nothing until a price is put on `Chain.foreign`.
    """
    rows, lanes = _Rows(), world.lanes
    trusted = bloc if trusted is None else trusted
    inside = (lanes["from_country"].isin(trusted) & lanes["to_country"].isin(trusted)).to_numpy()
    bought = ((lanes["commodity"] == "magnet") & lanes["to_country"].isin(bloc)).to_numpy()
    if since == "mine":
        _ore(world, rows, inside, trusted, keys)
        _scrap(world, rows, inside, keys)
    if since != "magnet":
        _oxide_and_metal(world, rows, inside, keys, since)
    content = np.zeros(len(lanes))
    content[bought] = magnet_content(world, list(lanes["from_id"][bought]), list(lanes["grade"][bought]), keys)
    made = bought & lanes["from_country"].isin(trusted).to_numpy()
    sales = _sales(world, rows, np.flatnonzero(made), keys, free=since == "magnet")
    return _joined(programme, lane_of_option, rows, content, sales)


def _ore(world: World, rows: _Rows, inside: np.ndarray, bloc: frozenset[str], keys: Sequence[str]) -> None:
    """Ore of the bloc's mines on lanes inside the bloc feeds its separators; a cracker has it from the mine itself."""
    lanes, u = world.lanes, world.units
    recovery = world.parameter("separation_recovery")
    for n in np.flatnonzero(inside & (lanes["commodity"] == "concentrate").to_numpy()).tolist():
        mine, to = str(lanes["mine"].iat[n]), str(lanes["to_id"].iat[n])
        if u.at[mine, "country"] not in bloc or u.at[to, "product"] == "carbonate":
            continue
        for e in _elements(world, keys):
            if u.at[mine, e]:
                rows.on_lanes.append((rows.row("allied_unit", to, e), n, recovery * float(u.at[mine, e])))


def _oxide_and_metal(world: World, rows: _Rows, inside: np.ndarray, keys: Sequence[str], since: str) -> None:
    """Allied oxide and metal come from what came in allied; at the first stage that counts, they need no allied input.

    Recyclers count as separation, those that put out metal or powder as metal making too.
    """
    lanes, u = world.lanes, world.units
    stage, product = u["stage"].to_dict(), u["product"].to_dict()
    metal_yield = dict(zip(world.elements, world.metal_yield, strict=True))
    metal_per_oxide = dict(zip(world.elements, world.metal_per_oxide, strict=True))
    goods = ["metal"] if since == "metal" else ["oxide", "metal"]
    wanted = inside & lanes["element"].isin(_elements(world, keys)).to_numpy()
    for n in np.flatnonzero(wanted & lanes["commodity"].isin(goods).to_numpy()).tolist():
        lane = lanes.iloc[n]
        e, a, b = str(lane["element"]), str(lane["from_id"]), str(lane["to_id"])
        c = rows.column(a, f"{lane['commodity']}|{e}|{b}")
        held = rows.row("allied_lane", f"{a}>{b}", f"{lane['commodity']}|{e}")
        rows.on_lanes.append((held, n, 1.0))
        rows.on_allied.append((held, c, -1.0))
        powder = lane["commodity"] == "metal" and stage[a] == "recycling"
        out = 1 / metal_per_oxide[e] if powder else 1.0  # a powder recycler's books are in oxide
        origin = since != "mine" and stage[a] in ("separation", "recycling")
        if not origin and not (since == "metal" and product[a] == "metal"):
            rows.on_allied.append((rows.row("allied_unit", a, e), c, -out))
        if stage[b] == "magnet":
            key = world.chain.key(e)
            rows.on_allied.append((rows.row("allied_plant", b, key), c, content_share(world, b)))
            if product[b] != "bonded" and since == "mine":
                rows.on_allied.append((rows.row("allied_swarf", b, key), c, _swarf_share(world, b, key)))
        else:
            into = metal_yield[e] if lane["commodity"] == "oxide" else 1.0
            rows.on_allied.append((rows.row("allied_unit", b, e), c, into))


def _swarf_share(world: World, plant: str, key: str) -> float:
    """Return the oxide of `key` in a plant's swarf per tonne of that metal taken in: the least over its grades."""
    found = [
        world.recipes.at[("sintered", g), "swarf_reo_t"]
        * world.scrap_mix.loc[g, list(_elements(world, [key]))].sum()
        / world.recipes.at[("sintered", g), key]
        for g in world.units.at[plant, "grades"]
        if world.recipes.at[("sintered", g), key] > 0
    ]
    return float(min(found, default=0.0))


def _scrap(world: World, rows: _Rows, inside: np.ndarray, keys: Sequence[str]) -> None:
    """Allied swarf goes round by element; what is collected inside the bloc is allied as it is."""
    lanes, mix = world.lanes, world.scrap_mix
    recovery = world.parameter("swarf_recovery")
    column: dict[tuple[str, str, str], int] = {}
    for n in np.flatnonzero(inside & (lanes["commodity"] == "scrap").to_numpy()).tolist():
        a, b, g = (str(lanes[c].iat[n]) for c in ("from_id", "to_id", "grade"))
        for key in keys:
            elements = _elements(world, [key])
            part = mix.loc[g, list(elements)]
            whole = float(part.sum())
            if not whole:
                continue
            if a in world.markets.index:
                for e in elements:
                    rows.on_lanes.append((rows.row("allied_unit", b, e), n, recovery * float(part[e])))
                continue
            held = rows.row("allied_lane", f"{a}>{b}", f"scrap|{key}")
            rows.on_lanes.append((held, n, whole))
            if (a, b, key) not in column:
                c = column[a, b, key] = rows.column(a, f"scrap|{key}|{b}")
                rows.on_allied.append((held, c, -1.0))
                rows.on_allied.append((rows.row("allied_swarf", a, key), c, -1.0))
                for e in elements:  # Nd and Pr stand in the same proportion in all scrap
                    rows.on_allied.append((rows.row("allied_unit", b, e), c, recovery * float(part[e]) / whole))


def _sales(world: World, rows: _Rows, sold: np.ndarray, keys: Sequence[str], *, free: bool) -> list[int]:
    """Add the allied sales of each plant to the bloc's markets; return their columns. `free`: of any metal."""
    lanes = world.lanes
    plants, grades = list(lanes["from_id"].iloc[sold]), list(lanes["grade"].iloc[sold])
    columns = []
    for key in keys:
        content = magnet_content(world, plants, grades, [key])
        for plant in sorted({p for p, t in zip(plants, content, strict=True) if t > 0}):
            c = rows.column(plant, f"magnet|{key}|")
            columns.append(c)
            if not free:
                rows.on_allied.append((rows.row("allied_plant", plant, key), c, -1.0))
            rows.on_allied.append((rows.row("allied_sales", plant, key), c, -1.0))
        for n, plant, t in zip(sold.tolist(), plants, content, strict=True):
            if t > 0:
                rows.on_lanes.append((rows.row("allied_sales", plant, key), n, float(t)))
    return columns


def _joined(
    programme: Programme, lane_of_option: np.ndarray, rows: _Rows, content: np.ndarray, sales: list[int]
) -> Chain:
    lp = programme.lp
    n, extra = len(lp.cost), len(rows.columns)
    option = programme.columns["option"].to_numpy()
    lane = np.where(option >= 0, lane_of_option[np.maximum(option, 0)], -1)
    flowing = np.flatnonzero(lane >= 0)
    spread = sparse.csc_matrix((np.ones(len(flowing)), (lane[flowing], flowing)), shape=(len(content), n))
    beside = rows.matrix(rows.on_lanes, len(content)) @ spread
    own = rows.matrix(rows.on_allied, extra)
    delivered = np.concatenate([content @ spread, np.zeros(extra)])
    foreign = delivered.copy()
    foreign[n + np.array(sales, dtype=np.int64)] -= 1.0
    first = np.concatenate([lp.first, np.ones(extra, dtype=bool)]) if lp.first is not None else None
    whole = LinearProgramme(
        cost=np.concatenate([lp.cost, np.zeros(extra)]),
        lower=np.concatenate([lp.lower, np.zeros(extra)]),
        # What can never bind, as on the lanes themselves: no column without an end.
        upper=np.concatenate([lp.upper, np.full(extra, _most(lp))]),
        matrix=sparse.bmat([[lp.matrix, None], [beside, own]]).tocsc(),
        row_lower=np.concatenate([lp.row_lower, np.zeros(len(rows.names))]),
        row_upper=np.concatenate([lp.row_upper, np.full(len(rows.names), np.inf)]),
        offset=lp.offset,
        first=first,
    )
    allied = pd.DataFrame(rows.columns, columns=["unit", "key"]).assign(
        kind="allied", option=-1, step=-1, priority_class=0
    )
    named = pd.DataFrame(list(rows.names), columns=["kind", "a", "b"])
    return Chain(
        lp=whole,
        foreign=foreign,
        delivered=delivered,
        columns=pd.concat([programme.columns, allied], ignore_index=True),
        rows=pd.concat([programme.rows, named], ignore_index=True),
        lane=np.concatenate([lane, np.full(extra, -1, dtype=np.int64)]),
    )


def _most(lp: LinearProgramme) -> float:
    finite = lp.upper[np.isfinite(lp.upper)]
    return 10.0 * float(finite.max(initial=1.0))


def _elements(world: World, keys: Sequence[str]) -> tuple[str, ...]:
    """Return the elements of metals as recipes count them."""
    return tuple(e for e in world.elements if world.chain.key(e) in keys)

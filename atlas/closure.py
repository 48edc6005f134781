"""Where each element goes: a state's tonnes by element from the ore to the magnet, in contained oxide, closed.

All of it is read from a state's lanes, closing rows and finished magnets, stage by stage, each from its own flows: what
a stage passes on and the next takes in are two sums, and `steps` holds how far they are apart. A one-off release of
stock, which no baseline has, enters from outside and would show as a difference.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from atlas.readback import Reading
from atlas.world import World

# id -> sign in the column's sum, what the line says; `=` lines are sums of those above, `of` lines explain one.
LINES: dict[str, tuple[str, str]] = {
    "mined": ("+", "mined, in the ore used"),
    "lost_separation": ("-", "lost or left unseparated"),
    "separated": ("=", "separated"),
    "recycled_swarf": ("+", "recycled from swarf"),
    "recycled_end_of_life": ("+", "recycled from end of life"),
    "surplus": ("-", "oxide left over"),
    "powder": ("-", "recycled as powder, past metal making"),
    "oxide_to_metal": ("=", "oxide to metal making"),
    "lost_metal": ("-", "lost in metal making"),
    "metal": ("=", "metal made"),
    "powder_in": ("+", "recycled powder"),
    "stock": ("-", "metal to stock"),
    "metal_to_magnets": ("=", "metal to magnet plants"),
    "swarf": ("-", "swarf"),
    "in_magnets": ("=", "in finished magnets"),
    "swarf_recycled": ("of", "swarf sent to recyclers"),
    "end_of_life": ("of", "end-of-life scrap sent to recyclers"),
    "lost_recycling": ("of", "lost in recycling"),
    "swarf_lost": ("of", "swarf not recycled"),
    "difference": ("0", "difference: all that enters less all that ends"),
}
# What enters the chain from outside it, and where it ends: the two sums that must agree.
SOURCES = ("mined", "end_of_life")
ENDS = ("in_magnets", "stock", "surplus", "lost_separation", "lost_metal", "lost_recycling", "swarf_lost")


@dataclass(frozen=True)
class Closure:
    """`table` has LINES as index and an element a column, tonnes of contained oxide; `steps` the difference at each
    step (t), `need_share` what all demand would take of Dy, Tb over what this year could supply (by element)."""

    table: pd.DataFrame
    steps: pd.DataFrame
    need_share: pd.Series

    @property
    def worst_share(self) -> float:
        """The largest difference of any step or of the whole, over the element's tonnes that enter."""
        entering = self.table.loc[list(SOURCES)].sum().clip(lower=1.0)
        apart = pd.concat([self.steps, self.table.loc[["difference"]]]).abs().max()
        return float((apart / entering).max())

    def to_json(self) -> dict[str, Any]:
        """Return lines, steps and need as plain values."""
        lines = [
            {"id": i, "sign": LINES[i][0], "what": LINES[i][1], **{e: float(self.table.at[i, e]) for e in self.table}}
            for i in self.table.index
        ]
        return {
            "unit": "t of contained oxide",
            "elements": list(self.table.columns),
            "lines": lines,
            "steps": {str(i): {e: float(v) for e, v in r.items()} for i, r in self.steps.iterrows()},
            "need_share": {str(e): float(v) for e, v in self.need_share.items()},
        }


def closure(world: World, r: Reading) -> Closure:
    """Return the closure table of a state by element, in tonnes of contained oxide."""
    oxide_per_metal = pd.Series(1 / world.metal_per_oxide, index=list(world.elements))
    moved = _Moves(world, r.lanes, oxide_per_metal)
    ended = _Ends(world, r.flows, oxide_per_metal)
    lines: dict[str, pd.Series] = {}
    smelter, separator = "metal/metal", "separation/oxide"

    lines["mined"] = moved.total("concentrate", start="mine")
    lines["lost_separation"] = ended.total("loss", "separation")
    lines["separated"] = moved.total("oxide", start="separation") + ended.total("surplus", "separation")
    recovered = _recovered(moved, ended)
    lines |= recovered
    lines["surplus"] = ended.total("surplus")
    lines["powder"] = lines["powder_in"] = moved.total("metal", start="recycling")
    lines["oxide_to_metal"] = moved.total("oxide", end="metal")
    lines["lost_metal"] = ended.total("loss", "metal")
    lines["stock"] = ended.total("stock")
    lines["metal"] = moved.total("metal", start=smelter) + lines["stock"]
    lines["metal_to_magnets"] = moved.total("metal", end="magnet")
    taken, lines["swarf"] = _made(world, r.make, moved)
    lines["in_magnets"] = taken - lines["swarf"]
    lines["swarf_recycled"] = moved.total("scrap", start="magnet")
    lines["end_of_life"] = moved.total("scrap", start="")
    lines["lost_recycling"] = ended.total("loss", "recycling")
    lines["swarf_lost"] = ended.total("loss", "magnet")
    lines["difference"] = sum(lines[i] for i in SOURCES) - sum(lines[i] for i in ENDS)

    steps = {
        "mines to separation plants": lines["mined"] - moved.total("concentrate", end=separator),
        "separation": lines["mined"] - lines["lost_separation"] - lines["separated"],
        "recycling": lines["swarf_recycled"] + lines["end_of_life"] - lines["lost_recycling"]
        - lines["recycled_swarf"] - lines["recycled_end_of_life"],
        "oxide to metal making": lines["separated"] + lines["recycled_swarf"] + lines["recycled_end_of_life"]
        - lines["surplus"] - lines["powder"] - lines["oxide_to_metal"],
        "metal making": lines["oxide_to_metal"] - lines["lost_metal"] - lines["metal"],
        "metal to magnet plants": lines["metal"] + lines["powder_in"] - lines["stock"] - lines["metal_to_magnets"],
        "magnet making": lines["metal_to_magnets"] - taken,
        "swarf": lines["swarf"] - lines["swarf_recycled"] - lines["swarf_lost"],
    }  # fmt: skip
    table = pd.DataFrame({i: lines[i] for i in LINES}).T.reindex(columns=list(world.elements))
    by_step = pd.DataFrame(steps).T.reindex(columns=list(world.elements))
    return Closure(table, by_step, _need_share(world, r, table, taken))


class _Moves:
    """Lanes with their contained oxide by element, to be summed by the kinds of their ends."""

    def __init__(self, world: World, lanes: pd.DataFrame, oxide_per_metal: pd.Series) -> None:
        commodity = lanes["commodity"].to_numpy(dtype=object)
        part = np.zeros((len(lanes), len(world.elements)))
        ore, scrap = commodity == "concentrate", commodity == "scrap"
        part[ore] = world.units.loc[lanes.loc[ore, "mine"], list(world.elements)].to_numpy(dtype=float)
        part[scrap] = world.scrap_mix.loc[lanes.loc[scrap, "grade"], list(world.elements)].to_numpy(dtype=float)
        form = np.where(commodity == "metal", 1.0, 0.0)
        for k, e in enumerate(world.elements):
            own = (lanes["element"] == e).to_numpy() & np.isin(commodity, ("oxide", "metal"))
            part[own, k] = np.where(form[own] > 0, oxide_per_metal[e], 1.0)
        self.oxide = pd.DataFrame(part * lanes["t"].to_numpy()[:, None], columns=list(world.elements))
        self.commodity = pd.Series(commodity)
        self.from_id, self.to_id = (lanes[c].reset_index(drop=True) for c in ("from_id", "to_id"))
        u = world.units
        kind = {i: f"{s}/{p}" for i, s, p in zip(u.index, u["stage"], u["product"], strict=True)}
        self.start, self.end = (x.map(kind).fillna("") for x in (self.from_id, self.to_id))

    def mask(self, commodity: str, start: str | None = None, end: str | None = None) -> pd.Series:
        """Return which lanes carry a commodity between ends: a stage, a stage/product, or "" for a market."""
        mask = self.commodity == commodity
        for wanted, at in ((start, self.start), (end, self.end)):
            if wanted is not None:
                whole = "/" in wanted or not wanted
                mask &= (at if whole else at.str.partition("/")[0]) == wanted
        return mask

    def total(self, commodity: str, start: str | None = None, end: str | None = None) -> pd.Series:
        """Return contained oxide by element of the lanes of `mask`."""
        return self.oxide[self.mask(commodity, start, end)].sum()

    def by(self, side: str, mask: pd.Series) -> pd.DataFrame:
        """Return contained oxide by unit (rows) and element of the chosen lanes."""
        return self.oxide[mask].groupby(getattr(self, side)[mask]).sum()


class _Ends:
    """The closing rows of flows - surplus, stock, loss - with their contained oxide."""

    def __init__(self, world: World, flows: pd.DataFrame, oxide_per_metal: pd.Series) -> None:
        self.elements = list(world.elements)
        f = flows[flows["to_id"].isin(["surplus", "stock", "loss"])]
        ratio = f["element"].map(oxide_per_metal).where(f["commodity"] == "metal", 1.0)
        self.rows = pd.DataFrame(
            {
                "end": f["to_id"],
                "unit": f["from_id"],
                "stage": f["from_id"].map(world.units["stage"]),
                "element": f["element"],
                "t": f["tonnes"] * ratio,
            }
        )

    def total(self, end: str, stage: str | None = None) -> pd.Series:
        """Return contained oxide by element that ends so, at a stage or at all."""
        rows = self.rows[(self.rows["end"] == end) & ((self.rows["stage"] == stage) if stage else True)]
        return rows.groupby("element")["t"].sum().reindex(self.elements).fillna(0.0)

    def by_unit(self, end: str, stage: str) -> pd.DataFrame:
        """Return contained oxide by unit (rows) and element that ends so at a stage."""
        rows = self.rows[(self.rows["end"] == end) & (self.rows["stage"] == stage)]
        return rows.pivot_table(index="unit", columns="element", values="t", aggfunc="sum")


def _recovered(moved: _Moves, ended: _Ends) -> dict[str, pd.Series]:
    """Return what recyclers pass on, told apart by what they took in (at each plant in proportion)."""
    swarf = moved.by("to_id", moved.mask("scrap", start="magnet"))
    old = moved.by("to_id", moved.mask("scrap", start=""))
    out = [moved.by("from_id", moved.mask(c, start="recycling")) for c in ("oxide", "metal")]
    out.append(ended.by_unit("surplus", "recycling"))
    units = sorted({str(i) for x in (swarf, old, *out) for i in x.index})
    swarf, old, *out = (x.reindex(index=units, columns=moved.oxide.columns).fillna(0.0) for x in (swarf, old, *out))
    made = sum(out[1:], out[0])
    whole = (swarf + old).where(lambda x: x > 0)
    part = (swarf / whole).fillna(0.0)
    return {"recycled_swarf": (made * part).sum(), "recycled_end_of_life": (made * (1 - part)).sum()}


def _made(world: World, make: pd.Series, moved: _Moves) -> tuple[pd.Series, pd.Series]:
    """Return contained oxide by element that finished magnets took and the swarf it left, by the recipes."""
    m = make.rename("t").reset_index()
    m.columns = ["unit", "grade", "t"]
    recipe = magnet_recipes(world, m["unit"].map(world.units["product"]), m["grade"])
    metal_in = moved.by("to_id", moved.mask("metal", end="magnet")).reindex(m["unit"]).fillna(0.0)
    per_oxide = pd.Series(world.metal_per_oxide, index=list(world.elements))
    taken = pd.DataFrame(0.0, index=m.index, columns=list(world.elements))
    for key in recipe.columns.drop("swarf_reo_t"):
        own = [e for e in world.chain.of(str(key)) if e in taken]
        # What a plant takes of NdPr is Nd and Pr as they came in; its recipe names only their sum.
        came = metal_in[own].to_numpy() * per_oxide[own].to_numpy()
        part = came / np.maximum(came.sum(axis=1, keepdims=True), 1e-12)
        used = (m["t"] * recipe[key]).to_numpy()[:, None] * part
        taken[own] += used / per_oxide[own].to_numpy()
    mix = world.scrap_mix.loc[m["grade"], list(world.elements)].to_numpy(dtype=float)
    swarf = mix * (m["t"] * recipe["swarf_reo_t"]).to_numpy()[:, None]
    return taken.sum(), pd.DataFrame(swarf, columns=list(world.elements)).sum()


def magnet_recipes(world: World, product: pd.Series, grade: pd.Series) -> pd.DataFrame:
    """Return the recipe of each product and grade; a product without its own recipe is sintered."""
    known = set(world.recipes.index)
    keys = [(p if (p, g) in known else "sintered", g) for p, g in zip(product, grade, strict=True)]
    index = pd.MultiIndex.from_tuples(keys, names=world.recipes.index.names)
    return world.recipes.reindex(index).reset_index(drop=True)


def _need_share(world: World, r: Reading, table: pd.DataFrame, taken: pd.Series) -> pd.Series:
    """Return need over possible supply: metal for all demand, over what separated and recycled oxide could give."""
    short = r.demand[r.demand["short_t"] > 0]
    any_product = world.recipes.groupby(level=1).first().reindex(short["grade"]).reset_index(drop=True)
    loss = (table.loc["lost_metal"] / table.loc["oxide_to_metal"].where(lambda x: x > 0)).fillna(0.0)
    oxide = table.loc["oxide_to_metal"] + table.loc["surplus"]
    supply = oxide * (1 - loss) + table.loc["powder_in"]
    share = {}
    for e in (e for e in world.elements if e not in (*world.chain.pair, *world.chain.not_recycled)):
        missing = float((short["short_t"].reset_index(drop=True) * any_product[e]).sum())
        need = float(taken[e]) + missing / float(world.metal_per_oxide[world.elements.index(e)])
        share[e] = need / float(supply[e]) if supply[e] > 0 else 0.0
    return pd.Series(share)

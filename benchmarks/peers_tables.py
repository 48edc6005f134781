"""The programme as plain tables: what a modeller who knows only `docs` and the layers would write down first.

Made from a world, its calibrated year and routed lane costs, without `atlas.model` or `atlas.frame`, so that the
peers in this folder state the programme independently. Stocks that a scenario lets go are left out: none of the
questions compared here has any.
"""

import dataclasses
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from atlas.lane_routes import LaneRouter, Way
from atlas.model import Baseline
from atlas.way import Closures
from atlas.world import World

# Ties between equal lanes are broken by a hash of their key, by at most this part of the cost.
TIE = 1e-7
LANE_KEY = ("commodity", "element", "grade", "mine", "from_id", "to_id")


@dataclasses.dataclass(frozen=True)
class Question:
    """What is halted: `cost_usd_t` (lanes,) delivered cost with duty, NaN where closed; units lost; caps on lanes."""

    name: str
    cost_usd_t: np.ndarray
    unit_lost: Mapping[str, float] = dataclasses.field(default_factory=dict)
    caps: Sequence[tuple[str, np.ndarray, float]] = ()


@dataclasses.dataclass(frozen=True)
class Tables:
    """The programme's tables, one row a variable or a row; units tonnes a year and USD.

    `pieces` (flows of lanes split by price: new, old, contract), `units`, `make`, `surplus`, `stock`, `down`, `up`,
    `short` parts of a tier's demand that go short one after the other, `weights` of each part on markets (`market`) and
    on what may still step down there (`step`), `demand` by market and grade, `step` what may step down; rows to close:
    `ox`, `met`, `mag`, `pr`, `carb`, `home`, `eol`, `store`, `caps`; `offset` of the objective.
    """

    pieces: pd.DataFrame
    units: pd.DataFrame
    make: pd.DataFrame
    surplus: pd.DataFrame
    stock: pd.DataFrame
    down: pd.DataFrame
    up: pd.DataFrame
    short: pd.DataFrame
    weights: pd.DataFrame
    demand: pd.Series
    step: pd.Series
    ox: pd.Index
    met: pd.Index
    mag: pd.Index
    pr: pd.Index
    carb: pd.Index
    home: pd.Series
    eol: pd.Series
    store: pd.Series
    caps: pd.Series
    offset: float


def lane_costs(router: LaneRouter, closures: Closures | None = None) -> np.ndarray:
    """Return each lane's delivered cost with duty under closures, USD/t, NaN where there is no way (lanes,)."""
    n = len(router.world.lanes)
    found = router.routes(np.zeros(n, dtype=np.int64), (Way(closures or Closures()),)).options
    cost = np.full(n, np.nan)
    cost[found.lane] = found.cost_usd_t
    return cost


def key_of(lanes: pd.DataFrame) -> pd.Series:
    """Return the text key of each lane, as the calibrated year names it."""
    key = lanes[LANE_KEY[0]].astype(object)
    for column in LANE_KEY[1:]:
        key = key + "|" + lanes[column].astype(object)
    return key


def by_commodity(world: World, name: str) -> pd.Series:
    """Return the parameter `name_COMMODITY` of each lane, 0 where there is none."""
    kinds = world.lanes["commodity"]
    return kinds.map({c: world.parameters.get(f"{name}_{c}", 0.0) for c in kinds.unique()}).astype(float)


def tables(world: World, baseline: Baseline, question: Question) -> Tables:
    """Write the programme of a world, a calibrated year and a question down as tables."""
    units = _units(world, baseline, question)
    pieces, x0, offset = _pieces(world, baseline, question, units)
    u = world.units
    elements = u["elements"].map(lambda e: list(e or world.chain.usual))
    held = elements.rename_axis("unit").explode().rename("element").reset_index()
    held["key"] = held["unit"] + "|" + held["element"]
    of = held["unit"].map
    books = of(u["stage"]).isin(["separation", "recycling"]) & (of(u["product"]) != "carbonate")
    smelts = of(u["stage"]) == "metal"
    makes = smelts & (of(u["product"]) == "metal")

    make = u[["product", "grades"]].explode("grades").dropna().rename(columns={"grades": "grade"})
    make = make.reset_index(names="unit")
    recipe = np.where(make["product"] == "bonded", "bonded", "sintered")
    content = world.recipes.loc[pd.MultiIndex.from_arrays([recipe, make["grade"]])]
    make = pd.concat([make, content.reset_index(drop=True)], axis=1)
    make["key"] = make["unit"] + "|" + make["grade"]
    make["cost"] = make["key"].map(dict(baseline.make_correction)).fillna(0.0).astype(float)
    make["most"] = make["unit"].map(units["most"])
    needs = make.melt("unit", list(world.recipe_keys), "metal", "t")
    needs = needs[needs["t"] > 0].drop_duplicates(["unit", "metal"])

    surplus = held[books].assign(most=held["unit"].map(units["most"]), recycles=of(u["stage"]) == "recycling")
    stores = world.stock.drop_duplicates("country").set_index("country")
    stock = held[makes].assign(country=of(u["country"]), most=of(units["most"]))
    stock = stock[stock["country"].isin(stores.index)]
    kept = [e in stores.at[c, "elements"] for c, e in zip(stock["country"], stock["element"], strict=True)]
    stock = stock[np.array(kept, dtype=bool)]

    d = world.demand
    step = d.assign(limit=d["demand_t"] * d["step_down_share"]).query("limit > 0")
    down = step.groupby(["market", "grade"], as_index=False)["limit"].sum()
    down = down.assign(to=down["grade"].map(dict(world.grade_below))).dropna().astype({"to": str})
    up = d[["market", "grade"]].drop_duplicates()
    up = up.assign(to=up["grade"].map(dict(world.grade_above))).dropna().astype({"to": str}).assign(limit=np.inf)
    for frame in (down, up):
        frame["key"], frame["to_key"] = (frame["market"] + "|" + frame[c] for c in ("grade", "to"))
    own = d["demand_t"].groupby(d["market"] + "|" + d["grade"]).sum()
    demand = own.reindex(own.index.union(down["to_key"]).union(up["to_key"]), fill_value=0.0)

    short, weights = _short(world)

    with_nd = makes & (held["element"] == "Nd")
    pr = pd.Index([*held.loc[with_nd, "unit"], *needs.loc[needs["metal"] == "NdPr", "unit"]])
    crackers = u.index[u["product"] == "carbonate"]
    into = world.lanes[world.lanes["to_id"].isin(crackers)]
    inside = (world.lanes["commodity"] == "magnet") & (world.lanes["from_country"] == world.lanes["to_country"])
    sold = x0[inside].groupby(world.lanes["from_id"] + "|" + world.lanes["grade"]).sum()
    eol = world.markets["eol_reo_t"].astype(float)
    store = pd.Series(dtype=float, index=pd.Index([], dtype=object))
    if len(stores):
        store = stores["max_t"].astype(float).clip(upper=baseline.stock_t)
    names, limits = [c[0] for c in question.caps], [c[2] for c in question.caps]
    return Tables(
        pieces=pieces,
        units=units,
        make=make,
        surplus=surplus.reset_index(drop=True),
        stock=stock.reset_index(drop=True),
        down=down.reset_index(drop=True).assign(cost=world.parameters.get("step_down_usd_t", 0.0)),
        up=up.reset_index(drop=True).assign(cost=world.parameters.get("step_up_usd_t", 0.0)),
        short=short,
        weights=weights,
        demand=demand,
        step=pd.Series(down["limit"].to_numpy(), index=pd.Index(down["key"])),
        ox=pd.Index(held.loc[books, "key"]),
        met=pd.Index(held.loc[smelts, "key"]),
        mag=pd.Index(needs["unit"] + "|" + needs["metal"]),
        pr=pr,
        carb=pd.Index((into["to_id"] + "|" + into["mine"]).unique()),
        home=sold.reindex(pd.Index(make["key"])).fillna(0.0),
        eol=eol[eol > 0],
        store=store,
        caps=pd.Series(limits, index=pd.Index(names, dtype=object), dtype=float),
        offset=offset + float((units["idle"] * units["usual"]).sum()),
    )


def _short(world: World) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return parts of shortage (most, cost) in order, and what each weighs on rows (part, kind, key, weight).

    The users of a tier lack the same share of their demand. Who may step down with share s does so less by every tonne
    that he lacks above 1 - s, so steps of the penalty end there too.
    """
    d = world.demand
    tier = d["pool"] + "|" + d["grade"] + "|" + d["priority_class"].astype(str)
    d = d.assign(tier=tier, key=d["market"] + "|" + d["grade"], whole=d["demand_t"].groupby(tier).transform("sum"))
    d["from"] = (1 - d["step_down_share"]).where(d["step_down_share"] > 0, 2.0)
    steps = int(world.parameter("shortage_steps"))
    whole = d.groupby("tier").agg(whole=("whole", "first"), priority=("priority_class", "first"))
    even = pd.DataFrame({"low": np.arange(steps) / steps}).merge(pd.Series(whole.index, name="tier"), how="cross")
    cut = d.loc[d["from"] < 1, ["tier", "from"]].rename(columns={"from": "low"})
    cut = cut[(cut["low"] * steps - (cut["low"] * steps).round()).abs() > 1e-6]
    short = pd.concat([even, cut]).drop_duplicates().sort_values(["tier", "low"], ignore_index=True)
    short = short.join(whole, on="tier")
    high = short["low"].shift(-1).where(short["tier"] == short["tier"].shift(-1), 1.0)
    rise = np.floor(short["low"] * steps + 1e-6) / max(steps - 1, 1)
    first = short["priority"].map({k: world.parameter(f"shortage_usd_t_class_{k}") for k in (1, 2, 3)})
    short["most"] = (high - short["low"]) * short["whole"]
    short["cost"] = first * (1 + world.parameter("shortage_rise") * rise)
    met = short.rename_axis("part").reset_index().merge(d[["tier", "key", "from", "demand_t"]], on="tier")
    met["weight"] = met["demand_t"] / met["whole"]
    less = met[met["from"] <= met["low"] + 1e-6]
    both = pd.concat([met.assign(kind="market"), less.assign(kind="step")])
    return short[["tier", "most", "cost"]], both.groupby(["kind", "part", "key"], as_index=False)["weight"].sum()


def _units(world: World, baseline: Baseline, question: Question) -> pd.DataFrame:
    """Return each unit's room for normal output and surge, what they cost, and more than it can ever make."""
    u = world.units
    known = pd.Series(dict(baseline.unit_t), dtype=float).reindex(u.index)
    usual = known.where(~u["changed"].astype(bool)).fillna(u["target_t"]).fillna(0.0).astype(float)
    surge = u["stage"].map(lambda s: world.parameters.get(f"surge_share_{s}", world.parameter("surge_share")))
    limit = np.maximum(np.minimum(u["capacity_t"].astype(float), usual * (1 + surge)), usual)
    lost = pd.Series(dict(question.unit_lost), dtype=float).reindex(u.index).fillna(0.0)
    allowed = limit * (1 - lost)
    own = pd.Series(dict(baseline.unit_correction), dtype=float).reindex(u.index)
    correction = own.fillna(own.groupby([u["stage"], u["country"]]).transform("mean")).fillna(0.0)
    idle = u["stage"].map(lambda s: world.parameter(f"idle_usd_t_{s}")).astype(float)
    process = u["process_usd_t"].astype(float)
    return pd.DataFrame(
        {
            "usual": usual,
            "idle": idle,
            "normal": np.minimum(usual, allowed),
            "surge": allowed - np.minimum(usual, allowed),
            "normal_cost": process + correction - idle,
            "surge_cost": process * (1 + world.parameter("surge_premium_share")) + correction,
            "most": 1.01 * limit + 1,
        }
    )


def _pieces(
    world: World, baseline: Baseline, question: Question, units: pd.DataFrame
) -> tuple[pd.DataFrame, pd.Series, float]:
    """Return flows split by price, what lanes carried in the calibrated year, and what all contracts broken cost."""
    lanes, u = world.lanes, world.units
    key = key_of(lanes)
    x0 = key.map(dict(baseline.lane_t)).fillna(0.0).astype(float)
    named = key.map(dict(baseline.contract_t)).fillna(0.0).astype(float)
    contract = np.minimum(np.maximum(by_commodity(world, "contract_share") * x0, named), x0)
    breach = by_commodity(world, "contract_charge_usd_t")
    fresh = u.index[u["new"].astype(bool)]
    friction = by_commodity(world, "friction_usd_t").mask(lanes["from_id"].isin(fresh) | lanes["to_id"].isin(fresh), 0)
    tie = 1 + TIE * np.array([zlib.crc32(k.encode()) for k in key]) / 2**32
    correction = key.map(dict(baseline.lane_correction)).fillna(0.0).astype(float)
    cost = (pd.Series(question.cost_usd_t) * tie + correction).fillna(0.0)
    most = lanes["from_id"].map(pd.concat([units["most"], 1.01 * world.markets["eol_reo_t"].astype(float) + 1]))
    lanes = lanes.assign(lane=np.arange(len(lanes)))
    old = x0 - contract
    parts = [
        lanes.assign(upper=most, price=cost + friction),
        lanes.assign(upper=old, price=cost)[old > 0],
        lanes.assign(upper=contract, price=cost - breach)[contract > 0],
    ]
    pieces = pd.concat(parts, ignore_index=True)
    pieces["upper"] = pieces["upper"].where(np.isfinite(question.cost_usd_t)[pieces["lane"]], 0.0)
    pieces["stage"] = pieces["from_id"].map(u["stage"])
    for name, mask, _ in question.caps:
        pieces[f"cap {name}"] = mask[pieces["lane"]]
    return pieces, x0, float((breach * contract).sum())

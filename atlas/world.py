"""What runs in a year: units, recipes, demand and lanes, made from the layers.

`build_world` turns validated layers and a year into the sets of the programme in `model`. Nothing here knows routes
or halts. Units: tonnes a year; concentrate in contained REO, oxide in oxide, metal in metal, magnets finished.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from atlas.chain import Chain, chain_of, shipped_chain
from atlas.errors import LayerError
from atlas.layers import Layers

COMMODITIES: tuple[str, ...] = ("concentrate", "oxide", "metal", "magnet", "scrap")
STAGES: tuple[str, ...] = ("mine", "separation", "metal", "magnet", "recycling")
CALIBRATED_YEAR = 2024
_NEVER_RUNS = {"closed", "care_and_maintenance"}
_LATER_ONLY = {"construction", "planned"}


@dataclass(frozen=True)
class Release:
    """Stock let go once: at most `tonnes` over all `columns`, and of each element or grade at most its own tonnes.

    `name` names it in rows and flows; `commodity` says what it is; `columns` holds (unit or market, element, grade or
    mine, most tonnes of that at all places together, hits) where hits are ((kind, a, b), coefficient) on rows of the
    programme.
    """

    name: str
    commodity: str
    country: str
    tonnes: float
    columns: tuple[tuple[str, str, float, tuple[tuple[tuple[str, str, str], float], ...]], ...]


@dataclass(frozen=True)
class World:
    """The sets and coefficients of one year.

    `units` is indexed by facility id (stage, product, country, site, operator_ids, capacity_t, target_t, process_usd_t,
    elements, grades, feeds, feeds_open, share of REO by element, new); `markets` by market id; `demand` has one row per
    demand row x grade (demand_id, country, market, sector, grade, demand_t, priority_class); `recipes` by
    (product, grade) with metal per tonne finished (`recipe_keys`) and swarf in REO; `scrap_mix` by grade with the
    oxide part of each element; `lanes` is what `build_lanes` makes. `step_down` by (market, grade) has `to`, the
    next lower grade, and limit_t, the part of its users' demand that may take it; `releases` is stock that a
    scenario lets go (see `releases`). `pool` in demand names the market with which a row shares what is short.
    """

    year: int
    units: pd.DataFrame
    markets: pd.DataFrame
    demand: pd.DataFrame
    recipes: pd.DataFrame
    scrap_mix: pd.DataFrame
    parameters: Mapping[str, float]
    stock: pd.DataFrame
    targets: pd.DataFrame
    lanes: pd.DataFrame = field(repr=False)
    grade_below: Mapping[str, str] = field(default_factory=dict)
    grade_above: Mapping[str, str] = field(default_factory=dict)
    releases: tuple["Release", ...] = ()
    chain: Chain = field(default_factory=shipped_chain)

    @property
    def elements(self) -> tuple[str, ...]:
        """The elements of the chain, in their order."""
        return self.chain.elements

    @property
    def recipe_keys(self) -> tuple[str, ...]:
        """Metals as recipes count them; a pair that is bought and blended as one is one."""
        return self.chain.keys

    def made_by(self, unit: str) -> tuple[str, ...]:
        """Return the elements a unit makes: those its row names, else what is usual in the chain."""
        return self.units.at[unit, "elements"] or self.chain.usual

    @property
    def step_down(self) -> pd.DataFrame:
        """Which (market, grade) may take the next lower grade: `to` and limit_t, over all sectors, sorted."""
        d = self.demand.assign(limit_t=self.demand["demand_t"] * self.demand["step_down_share"])
        keys = ["market", "grade"]
        part = d[d["limit_t"] > 0].groupby(keys)["limit_t"].sum().reset_index()
        part["to"] = part["grade"].map(self.grade_below)
        return part[part["to"].notna()].set_index(keys)[["to", "limit_t"]]

    @property
    def step_up(self) -> list[tuple[str, str, str]]:
        """Which (market, grade) may take a dearer grade, and which: sorted triples."""
        found = self.demand.loc[self.demand["grade"].isin(list(self.grade_above)), ["market", "grade"]]
        pairs = sorted(set(found.itertuples(index=False, name=None)))
        return [(str(m), str(g), self.grade_above[g]) for m, g in pairs]

    def parameter(self, name: str) -> float:
        """Return one parameter by id; a missing one is a layer error."""
        try:
            return float(self.parameters[name])
        except KeyError:
            raise LayerError(f"parameters.csv: no row `{name}`") from None

    @property
    def metal_per_oxide(self) -> np.ndarray:
        """Tonnes of metal per tonne of oxide in the order of `elements`, stoichiometric (n,)."""
        return np.array([self.parameter(f"metal_per_oxide_{e.lower()}") for e in self.elements])

    @property
    def metal_yield(self) -> np.ndarray:
        """Tonnes of metal a plant makes per tonne of oxide in the order of `elements`, losses taken off (n,)."""
        return self.metal_per_oxide * np.array([self.parameter(self.chain.yield_name(e)) for e in self.elements])

    def needs(self, unit: str) -> tuple[str, ...]:
        """Return the metals of `recipe_keys` that the grades of a magnet plant hold."""
        recipe = recipe_of(str(self.units.at[unit, "product"]))
        held = {k for g in self.units.at[unit, "grades"] for k in self._held[recipe, str(g)]}
        return tuple(k for k in self.recipe_keys if k in held)

    @cached_property
    def _held(self) -> dict[tuple[str, str], tuple[str, ...]]:
        """The metals that each recipe holds any of."""
        keys = self.recipe_keys
        rows = zip(self.recipes.index, self.recipes[list(keys)].to_numpy() > 0, strict=True)
        return {key: tuple(k for k, some in zip(keys, row, strict=True) if some) for key, row in rows}


def build_world(
    layers: Layers,
    year: int = CALIBRATED_YEAR,
    added: frozenset[str] = frozenset(),
    changed: frozenset[str] = frozenset(),
) -> World:
    """Build the sets of `year` from `layers`; raises LayerError when a recipe or parameter is missing.

    `added` units came with a user's layers or a scenario: they are new partners to all, at the output their row says.
    `changed` units are known ones whose row says another output than the calibrated one.
    """
    parameters = {str(k): float(v) for k, v in layers.parameters.items()}
    units = _units(layers, year, parameters, added)
    units["changed"] = units.index.isin(list(changed))
    recipes, scrap_mix = _recipes(layers.grades, parameters, chain_of(layers))
    markets = layers.markets.sort_index()
    demand = _demand(layers, markets)
    world = World(
        year=year,
        units=units,
        markets=pd.DataFrame(markets[["country", "name", "lon", "lat", "eol_reo_t"]]).assign(buyer=False),
        demand=demand,
        recipes=recipes,
        scrap_mix=scrap_mix,
        parameters=parameters,
        stock=layers.stock[layers.stock["year"].astype(int) == year] if len(layers.stock) else layers.stock,
        targets=layers.targets.sort_index(),
        lanes=pd.DataFrame(),
        grade_below=_grade_steps(layers.grades, "steps_down_to"),
        grade_above=_grade_steps(layers.grades, "steps_up_to"),
        chain=chain_of(layers),
    )
    object.__setattr__(world, "lanes", build_lanes(world))
    return world


def running(facilities: pd.DataFrame, year: int) -> pd.Series:
    """Return which facilities run in `year`: started by then, not closed or idle, in the model (bool Series)."""
    start = pd.to_numeric(facilities["start_year"], errors="coerce")
    end = pd.to_numeric(facilities["end_year"], errors="coerce")
    status = facilities["status"].astype(str)
    started = (start <= year) | (start.isna() & status.isin(["operating", "commissioning"]))
    later = status.isin(_LATER_ONLY)
    # What was still being planned or built when the facts were compiled cannot have run in the calibrated year.
    started &= ~later | ((year > CALIBRATED_YEAR) & start.notna())
    modelled = facilities["modelled"].astype(str).isin(["yes", "True", "true"])
    return started & ~status.isin(_NEVER_RUNS) & ~(end <= year) & modelled


def ramp_share(age_years: pd.Series | np.ndarray, parameters: Mapping[str, float]) -> np.ndarray:
    """Return the part of its capacity that a new unit makes so many years after its start."""
    return np.select(
        [age_years <= 0, age_years == 1],
        [parameters["ramp_share_year_1"], parameters["ramp_share_year_2"]],
        parameters["ramp_share_full"],
    )


def dated_elements(tokens: tuple[str, ...], year: int, elements: tuple[str, ...]) -> tuple[str, ...]:
    """Return the elements of the chain made in `year` from tokens such as `Nd` or `Dy@2025`."""
    made = []
    for token in tokens:
        element, _, since = str(token).partition("@")
        if element in elements and (not since or int(since) <= year):
            made.append(element)
    return tuple(e for e in elements if e in made)


def _units(layers: Layers, year: int, parameters: Mapping[str, float], added: frozenset[str]) -> pd.DataFrame:
    f = layers.facilities
    f = pd.DataFrame(f.loc[running(f, year)]).sort_index()
    start = pd.to_numeric(f["start_year"], errors="coerce")
    output = pd.to_numeric(f["output_t"], errors="coerce")
    capacity = pd.to_numeric(f["capacity_t"], errors="coerce")
    # A published output of the calibrated year stands; a unit that starts later ramps up by data.
    new = start > CALIBRATED_YEAR
    own = f.index.isin(list(added))
    ramp = ramp_share(year - start, parameters)
    target = output.where(~new, capacity * ramp)
    # A plant that a user brings has no part in the fit; without an output its row means it runs as such plants do.
    target = target.mask(own & output.notna(), output).mask(own & output.isna(), capacity * ramp)
    costs = _process_costs(layers.costs)
    u = pd.DataFrame(
        {
            "stage": f["stage"].astype(str),
            "product": f["product"].astype(str),
            "country": f["country"].astype(str),
            "site": f["site"].astype(str),
            "operator_ids": f["operator_ids"],
            "capacity_t": np.fmax(capacity, target.fillna(0.0)),
            "target_t": target,
            "elements": [dated_elements(e, year, chain_of(layers).elements) for e in f["elements"]],
            "grades": f["grades"],
            "new": new | own,
        },
        index=f.index,
    )
    u["process_usd_t"] = [
        costs.get((s, p, c), costs.get((s, p, "*"), np.nan))
        for s, p, c in zip(u["stage"], u["product"], u["country"], strict=True)
    ]
    bad = u.index[u["process_usd_t"].isna()]
    if len(bad):
        raise LayerError(
            [f"costs.csv: no row for stage {u.at[i, 'stage']}, product {u.at[i, 'product']} ({i})" for i in bad]
        )
    for e in chain_of(layers).elements:
        u[e] = pd.to_numeric(f[chain_of(layers).basket_column(e)], errors="coerce").fillna(0.0)
    ids = set(u.index)
    u["feeds"] = [tuple(x for x in feeds if x in ids) for feeds in f["feeds"]]
    for c in ("accepts", "never_by"):
        u[c] = list(f[c]) if c in f else [()] * len(f)
    u["mineral"] = f["mineral"].astype(str) if "mineral" in f else ""
    u["feeds_open"] = [bool(str(t)) for t in f["feeds_text"].fillna("")]
    return u


def _process_costs(costs: pd.DataFrame) -> dict[tuple[str, str, str], float]:
    c = costs.reset_index()
    return {
        (str(s), str(p), str(n)): float(v)
        for s, p, n, v in zip(c["stage"], c["product"], c["country"], c["cost_usd_t"], strict=True)
    }


def pair_parts(world: World) -> dict[str, float]:
    """Return the usual part of each element in the pair that is bought as one; {} where the chain has none."""
    if not world.chain.pair:
        return {}
    second = world.parameter(world.chain.pair_usual)
    return dict(zip(world.chain.pair, (1 - second, second), strict=True))


def recipe_of(product: str) -> str:
    """Return the recipe of a magnet plant's product: blanks are ground to shape, bonded magnets pressed."""
    return "bonded" if product == "bonded" else "sintered"


def _recipes(
    grades: pd.DataFrame, parameters: Mapping[str, float], chain: Chain
) -> tuple[pd.DataFrame, pd.DataFrame]:
    finished = parameters["blank_to_finished"]
    m = np.array([parameters[f"metal_per_oxide_{e.lower()}"] for e in chain.elements])
    rows, mix = {}, {}
    for g, r in grades.sort_values("rank").iterrows():
        blank = np.array([float(r[chain.recipe_column(k)]) for k in chain.keys])
        by_element = blank
        if chain.pair:
            second = parameters[chain.pair_usual]
            by_element = np.array([blank[0] * (1 - second), blank[0] * second, *blank[1:]])
        oxide = by_element / m
        rows["sintered", g] = [*(blank / finished), oxide.sum() * (1 / finished - 1)]
        # Bonded magnets are pressed to shape: powder and resin, no swarf to speak of.
        rows["bonded", g] = [*blank, 0.0]
        mix[g] = oxide / oxide.sum()
    recipes = pd.DataFrame.from_dict(rows, orient="index", columns=[*chain.keys, "swarf_reo_t"])
    recipes.index = pd.MultiIndex.from_tuples(list(rows), names=["product", "grade"])
    return recipes, pd.DataFrame.from_dict(mix, orient="index", columns=list(chain.elements))


def _grade_steps(grades: pd.DataFrame, column: str) -> dict[str, str]:
    """Return the grade that each grade may step to."""
    if column not in grades:
        return {}
    return {str(g): str(to) for g, to in grades[column].fillna("").items() if to}


def _demand(layers: Layers, markets: pd.DataFrame) -> pd.DataFrame:
    d = pd.DataFrame(layers.demand[["country", "sector", "demand_t"]])
    d["material"] = layers.demand.get("material", "")
    d = d.sort_index().rename_axis("demand_id").reset_index()
    s = layers.sector_grades.reset_index().reindex(columns=["sector", "grade", "share", "step_down_share"])
    grade_of = chain_of(layers).materials
    apart = d[d["material"].isin(list(grade_of))]
    d = d.drop(apart.index).merge(s, on="sector", how="left")
    if len(apart):
        d = pd.concat([d, apart.assign(grade=apart["material"].map(grade_of), share=1.0)])
    d["step_down_share"] = d["step_down_share"].astype(float).fillna(0.0)
    if d["grade"].isna().any():
        missing = sorted(set(d.loc[d["grade"].isna(), "sector"]))
        raise LayerError([f"sector_grades.csv: no grades for sector `{x}`" for x in missing])
    unknown = sorted(set(d["grade"]) - set(map(str, layers.grades.index)))
    if unknown:
        raise LayerError([f"grades.csv: no row `{x}`, which demand needs" for x in unknown])
    d["demand_t"] = d["demand_t"].astype(float) * d["share"].astype(float)
    market_of = pd.Series(markets.index, index=markets["country"])
    d["market"] = d["country"].map(market_of)
    d["pool"] = d["market"]
    d["priority_class"] = d["sector"].map(layers.sectors["priority_class"].astype(int)).astype(int)
    d = d[d["demand_t"] > 0]
    return d.sort_values(["demand_id", "grade"]).reset_index(drop=True)[
        ["demand_id", "country", "market", "sector", "grade", "demand_t", "priority_class", "pool", "step_down_share"]
    ]


def build_lanes(world: World) -> pd.DataFrame:
    """Return every lane of the world, sorted by ids.

    Columns: commodity, element, grade, mine (the origin that concentrate keeps), from_id, to_id, from_country,
    to_country, price_usd_t (value for tariffs). Magnet lanes end at a market, scrap from end-of-life starts at one.
    """
    u, parts = world.units, []
    of = {s: list(u.index[u["stage"] == s]) for s in STAGES}
    product = u["product"].to_dict()
    country = u["country"].to_dict() | world.markets["country"].to_dict()
    separators = [i for i in of["separation"] if product[i] == "oxide"]
    crackers = [i for i in of["separation"] if product[i] == "carbonate"]
    parts += _concentrate_lanes(world, of["mine"], separators, crackers)
    oxide_recyclers = [i for i in of["recycling"] if product[i] == "oxide"]
    chain, made = world.chain, {i: world.made_by(i) for i in u.index}
    needed = {p: world.needs(p) for p in of["magnet"]}
    for e in chain.elements:
        sources = [i for i in separators + oxide_recyclers if e in made[i]]
        makers = [i for i in of["metal"] if product[i] == "metal" and e in made[i]]
        parts.append(_cross(sources, makers, "oxide", element=e))
        parts += _metal_lanes(u, e, made, [p for p in of["magnet"] if chain.key(e) in needed[p]])
    sold = set(zip(world.demand["market"], world.demand["grade"], strict=True))
    sold |= {(m, str(to)) for (m, _), to in world.step_down["to"].items()}
    sold |= {(m, to) for m, _, to in world.step_up}
    for g in world.scrap_mix.index:
        plants = [i for i in of["magnet"] if g in u.at[i, "grades"]]
        parts.append(_cross(plants, [m for m in world.markets.index if (m, g) in sold], "magnet", grade=g))
        # What no recycler takes (samarium-cobalt) is lost as swarf.
        if not any(world.scrap_mix.at[g, e] for e in chain.not_recycled):
            parts.append(_cross([i for i in plants if product[i] != "bonded"], of["recycling"], "scrap", grade=g))
    collected = list(world.markets.index[world.markets["eol_reo_t"] > 0])
    parts.append(_cross(collected, of["recycling"], "scrap", grade=chain.end_of_life_grade))
    lanes = pd.concat([p for p in parts if len(p)], ignore_index=True)
    lanes["from_country"] = lanes["from_id"].map(country)
    lanes["to_country"] = lanes["to_id"].map(country)
    # Some countries (China, of rare earths) let neither concentrate nor scrap out.
    raw = lanes["commodity"].isin(["concentrate", "scrap"])
    leaves = lanes["from_country"].isin(list(chain.keeps_raw)) & (lanes["from_country"] != lanes["to_country"])
    lanes = lanes[~(raw & leaves)].reset_index(drop=True)
    lanes["price_usd_t"] = _prices(lanes, world)
    keys = ["commodity", "element", "grade", "mine", "from_id", "to_id"]
    return lanes.sort_values(keys, kind="stable").reset_index(drop=True)


def _concentrate_lanes(
    world: World, mines: list[str], separators: list[str], crackers: list[str]
) -> list[pd.DataFrame]:
    u, parts = world.units, []
    for m in mines:
        mineral = u.at[m, "mineral"]
        parts.append(_cross([m], _takers(world, m, mineral, separators), "concentrate", mine=m))
        # A cracking plant takes only the mines it is built for.
        for c in (c for c in crackers if c in u.at[m, "feeds"]):
            parts.append(_cross([m], [c], "concentrate", mine=m))
            parts.append(_cross([c], _takers(world, c, mineral, separators), "concentrate", mine=m))
    return parts


def _metal_lanes(
    u: pd.DataFrame, element: str, made: Mapping[str, tuple[str, ...]], plants: list[str]
) -> list[pd.DataFrame]:
    """Return the lanes of one metal to `plants`, the magnet plants whose grades hold it.

    Metal goes to strip casters, powder makers and sintered plants; alloy to sintered plants; powder to bonded ones,
    recycled powder to both.
    """
    stage, product = u["stage"].to_dict(), u["product"].to_dict()
    bonded = [p for p in plants if product[p] == "bonded"]
    sintered = [p for p in plants if product[p] != "bonded"]
    at_metal = [i for i in u.index if stage[i] == "metal" and element in made[i]]
    metal, alloy, powder = ([i for i in at_metal if product[i] == p] for p in ("metal", "alloy", "powder"))
    recycled = [i for i in u.index if stage[i] == "recycling" and product[i] != "oxide" and element in made[i]]
    parts = [
        (metal, alloy + powder + sintered),
        (alloy, sintered),
        (powder, bonded),
        ([i for i in recycled if product[i] == "powder"], bonded),
        (recycled, sintered),
    ]
    return [_cross(origins, targets, "metal", element=element) for origins, targets in parts]


def _takers(world: World, origin: str, mineral: str, separators: list[str]) -> list[str]:
    """Return the separation plants that can take an origin's ore, and are open to it.

    Cracking is made for a mineral; and outside countries that keep raw material at home (China) a mine whose buyers
    are all named is tied to them.
    """
    u = world.units
    free = u.at[origin, "country"] in world.chain.keeps_raw
    tied = not free and u.at[origin, "feeds"] and not u.at[origin, "feeds_open"]
    found = []
    for s in separators:
        accepts = u.at[s, "accepts"]
        fits = not accepts or origin in accepts or (mineral in accepts if mineral else True)
        if fits and (not tied or s in u.at[origin, "feeds"]):
            found.append(s)
    return found


def _cross(
    origins: list[str], targets: list[str], commodity: str, *, element: str = "", grade: str = "", mine: str = ""
) -> pd.DataFrame:
    n, k = len(origins), len(targets)
    frame: dict[str, Any] = {
        "commodity": commodity,
        "element": element,
        "grade": grade,
        "mine": mine,
        "from_id": np.repeat(np.array(origins, dtype=object), k),
        "to_id": np.tile(np.array(targets, dtype=object), n),
    }
    return pd.DataFrame(frame, index=range(n * k)).query("from_id != to_id")


def _prices(lanes: pd.DataFrame, world: World) -> pd.Series:
    plain = lanes["commodity"].isin(["concentrate", "magnet", "scrap"])
    key = "price_usd_t_" + lanes["commodity"]
    key = key.where(plain, key + "_" + lanes["element"].str.lower())
    return key.map({k: world.parameter(k) for k in key.unique()}).astype(float)

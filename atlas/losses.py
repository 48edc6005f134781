"""What a state delivers, by country: the figures by which losses are ranked, for any bloc, commodity and element."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from atlas.errors import BadInput, UnknownName, nearest
from atlas.readback import LEAST_FLOW_T
from atlas.solving import State
from atlas.world import COMMODITIES, World, pair_parts

ALL = "all"
GOODS: tuple[str, ...] = tuple(c for c in COMMODITIES if c != "scrap")
# What a bloc loses: supply through the lens, magnets short and met by a lower grade, the world's shortage, the bloc's
# freight, processing and duty, days of a delivered tonne.
EFFECTS: tuple[str, ...] = (
    "lost_t", "lost_share", "short_t", "stepped_t", "world_short_t", "extra_spend_usd", "extra_days",
)  # fmt: skip
_SUPPLY = ("to_country", "from_country", "commodity", "what")


@dataclass(frozen=True)
class Account:
    """One state in figures that add up over countries.

    `supply` t by (to_country, from_country, commodity, what): what is delivered, domestic deliveries included; `what`
    is the element of concentrate (contained oxide), oxide and metal, the grade of magnets. `short` and `stepped` t by
    (country, grade): demand not met, and demand met by the next lower grade. `spend_usd` and `t_days` by country, where
    delivered (processing where the plant stands); `moved_t` delivered tonnes by country.
    """

    objective_usd: float
    supply: pd.Series
    short: pd.Series
    stepped: pd.Series
    spend_usd: pd.Series
    t_days: pd.Series
    moved_t: pd.Series


def account(world: World, state: State) -> Account:
    """Read the figures of a solved state, without its routes in words."""
    routes, t = state.routes, state.option_t
    used = np.flatnonzero(t > LEAST_FLOW_T)
    t, lane = t[used], routes.lane[used]
    lanes = world.lanes.iloc[lane]
    to = lanes["to_country"].to_numpy(dtype=object)
    delivered = pd.DataFrame({c: lanes[c].to_numpy(dtype=object) for c in ("to_country", "from_country", "commodity")})
    delivered["what"] = np.where(lanes["commodity"] == "magnet", lanes["grade"], lanes["element"])
    delivered["t"] = t
    ore = (lanes["commodity"] == "concentrate").to_numpy()
    parts = [delivered[~ore & (lanes["commodity"] != "scrap").to_numpy()]]
    baskets = world.units.loc[lanes["mine"].to_numpy()[ore], list(world.elements)].to_numpy(dtype=float)
    for k, e in enumerate(world.elements):
        parts.append(delivered[ore].assign(what=e, t=t[ore] * baskets[:, k]))
    columns, x = state.programme.columns, state.optimum.x
    kind, unit = columns["kind"].to_numpy(), columns["unit"].to_numpy()
    key = columns["key"].to_numpy()
    country = world.markets["country"].to_dict()

    def by_grade(name: str) -> pd.Series:
        at = np.flatnonzero((kind == name) & (x > LEAST_FLOW_T))
        where = np.array([country[i] for i in unit[at]], dtype=object)
        made = pd.Series(x[at]).groupby([where, key[at].astype(object)]).sum()
        return made.rename_axis(["country", "grade"])

    freight = t * (routes.freight_usd_t + routes.tariff_usd_t)[used]
    u = world.units
    premium = world.parameter("surge_premium_share")
    process = np.zeros(len(u))
    position = {str(i): n for n, i in enumerate(u.index)}
    for name, factor in (("normal", 1.0), ("surge", 1.0 + premium)):
        at = np.flatnonzero(kind == name)
        np.add.at(process, [position[i] for i in unit[at]], factor * x[at])
    process *= u["process_usd_t"].to_numpy(dtype=float)
    made_at = pd.Series(process).groupby(u["country"].to_numpy()).sum()
    spend = pd.Series(freight).groupby(to).sum().add(made_at, fill_value=0.0)
    return Account(
        objective_usd=state.optimum.objective,
        supply=pd.concat(parts, ignore_index=True).groupby(list(_SUPPLY))["t"].sum(),
        short=by_grade("short"),
        stepped=by_grade("down"),
        spend_usd=spend,
        t_days=pd.Series(t * routes.days[used]).groupby(to).sum(),
        moved_t=pd.Series(t).groupby(to).sum(),
    )


def to_record(found: Account, before: Account, least_t: float = 0.05) -> dict[str, Any]:
    """Return an account as plain data for a journal: supply as changes against `before` of `least_t` and more."""
    change = found.supply.sub(before.supply, fill_value=0.0)
    change = change[change.abs() >= least_t]
    return {
        "objective_usd": float(found.objective_usd),
        "supply_change": [[*map(str, k), float(v)] for k, v in change.items()],
        "short": [[*map(str, k), float(v)] for k, v in found.short.items()],
        "stepped": [[*map(str, k), float(v)] for k, v in found.stepped.items()],
        "by_country": {
            str(c): [float(s.get(c, 0.0)) for s in (found.spend_usd, found.t_days, found.moved_t)]
            for c in sorted(set(found.spend_usd.index) | set(found.moved_t.index))
        },
    }


def from_record(record: Mapping[str, Any], before: Account) -> Account:
    """Return the account of a record; `before` is the one it was written against."""

    def series(rows: list[list[Any]], names: tuple[str, ...]) -> pd.Series:
        if not rows:
            return pd.Series([], index=pd.MultiIndex.from_arrays([[]] * len(names), names=names), dtype=float)
        index = pd.MultiIndex.from_tuples([tuple(r[:-1]) for r in rows], names=names)
        return pd.Series([float(r[-1]) for r in rows], index=index, dtype=float)

    change = series(record["supply_change"], _SUPPLY)
    countries = list(record["by_country"])
    figures = np.array([record["by_country"][c] for c in countries], dtype=float).reshape(-1, 3)
    spend, days, moved = (pd.Series(figures[:, k], index=countries) for k in range(3))
    return Account(
        objective_usd=float(record["objective_usd"]),
        supply=before.supply.add(change, fill_value=0.0),
        short=series(record["short"], ("country", "grade")),
        stepped=series(record["stepped"], ("country", "grade")),
        spend_usd=spend,
        t_days=days,
        moved_t=moved,
    )


@dataclass(frozen=True)
class Lens:
    """What is looked at: a bloc's countries, one commodity, one element (or all)."""

    bloc: str
    countries: frozenset[str]
    commodity: str
    element: str
    content: Mapping[tuple[str, str], float]

    @property
    def unit(self) -> str:
        """What a tonne of its supply is."""
        if self.element == ALL:
            whole = {"magnet": "t of magnets", "concentrate": "t of contained oxide"}
            return whole.get(self.commodity, f"t of {self.commodity}")
        form = {"magnet": "in magnets", "concentrate": "in concentrate, as oxide"}.get(self.commodity, self.commodity)
        return f"t of {self.element} {form}"

    def by_source(self, a: Account) -> pd.Series:
        """Return t delivered into the bloc by (to_country, from_country)."""
        s = a.supply
        s = s[s.index.get_level_values("commodity") == self.commodity]
        s = s[s.index.get_level_values("to_country").isin(self.countries)]
        part = np.array([self.content.get((self.commodity, w), 0.0) for w in s.index.get_level_values("what")])
        return (s * part).groupby(level=["to_country", "from_country"]).sum()

    def supply_t(self, a: Account) -> float:
        """Return t delivered into the bloc."""
        return float(self.by_source(a).sum())

    def short_t(self, a: Account) -> float:
        """Return t of magnets that the bloc's demand is short of, of grades that hold the element."""
        return self._magnets(a.short)

    def stepped_t(self, a: Account) -> float:
        """Return t of the bloc's demand that takes the next lower grade, of grades that hold the element."""
        return self._magnets(a.stepped)

    def demand_t(self, world: World) -> float:
        """Return the bloc's demand for magnets of grades that hold the element, t."""
        d = world.demand[world.demand["country"].isin(self.countries)]
        return float(d.loc[[self.holds(g) for g in d["grade"]], "demand_t"].sum())

    def holds(self, grade: str) -> bool:
        """Return whether a grade of magnets holds the element."""
        return self.content.get(("magnet", grade), 0.0) > 0

    def _magnets(self, by_grade: pd.Series) -> float:
        if not len(by_grade):
            return 0.0
        country, grade = (by_grade.index.get_level_values(n) for n in ("country", "grade"))
        return float(by_grade[country.isin(self.countries) & np.array([self.holds(g) for g in grade])].sum())

    def days(self, a: Account) -> float:
        """Return days on the way of a tonne delivered into the bloc, over all goods."""
        moved = self.of_countries(a.moved_t)
        return self.of_countries(a.t_days) / moved if moved else 0.0

    def effects(self, before: Account, after: Account) -> dict[str, float]:
        """Return what the bloc loses between two states: the figures EFFECTS."""
        had = self.supply_t(before)
        lost = had - self.supply_t(after)
        found = (
            lost,
            lost / had if had else 0.0,
            self.short_t(after) - self.short_t(before),
            self.stepped_t(after) - self.stepped_t(before),
            float(after.short.sum() - before.short.sum()),
            self.of_countries(after.spend_usd) - self.of_countries(before.spend_usd),
            self.days(after) - self.days(before),
        )
        return dict(zip(EFFECTS, found, strict=True))

    def of_countries(self, by_country: pd.Series) -> float:
        """Return the bloc's part of a figure by country."""
        return float(by_country[by_country.index.isin(self.countries)].sum())


def lens(world: World, blocs: Mapping[str, frozenset[str]], bloc: str, commodity: str, element: str) -> Lens:
    """Return what to look at; raises BadInput with every unknown name, or where the element is in none of it."""
    problems = []
    for kind, name, known in (("bloc", bloc, list(blocs)), ("commodity", commodity, list(GOODS)),
                              ("element", element, [ALL, *world.chain.tokens])):  # fmt: skip
        if name not in known:
            problems += UnknownName(kind, name, nearest(name, known) or sorted(known)).problems
    if problems:
        raise BadInput(problems)
    chosen = world.elements if element == ALL else world.chain.of(element)
    content: dict[tuple[str, str], float] = {}
    for good in ("concentrate", "oxide", "metal"):
        content |= {(good, e): float(e in chosen) for e in world.elements}
    part = pair_parts(world)
    for grade in {g for _, g in world.recipes.index}:
        if element == ALL:
            content["magnet", grade] = 1.0
            continue
        # A pressed magnet loses nothing in making, so its recipe is the content of the finished one.
        held = world.recipes.loc[("bonded", grade)]
        content["magnet", grade] = sum(float(held[world.chain.key(e)]) * part.get(e, 1.0) for e in chosen)
    return Lens(bloc, blocs[bloc], commodity, element, content)

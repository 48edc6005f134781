"""A world ready to be solved, and how a question changes it: facilities, demand, duties, behaviour, buyers, stocks."""

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from atlas import geo
from atlas.buyers import carve, carve_baseline
from atlas.changed_layers import changed_layers
from atlas.errors import BadInput
from atlas.frame import Frame, frame
from atlas.lane_routes import LaneRouter
from atlas.layers import Layers
from atlas.model import Baseline, Skeleton, skeleton
from atlas.releases import releases
from atlas.routing import Router
from atlas.scenario import Buyer, Scenario
from atlas.solving import open_routes
from atlas.world import World, build_world

# A buyer's point may lie this far off an outline made for 1:50 million: harbours and islands do.
NEAR_COAST_KM = 30.0


@dataclasses.dataclass(frozen=True)
class Stage:
    """A world ready to be solved: its skeleton and its lane router."""

    world: World
    skeleton: Skeleton
    router: LaneRouter
    _frames: dict[str, Any] = dataclasses.field(default_factory=dict, repr=False, compare=False)

    def frame(self, baseline: Baseline) -> Frame:
        """Return the programme of this world with nothing halted; made once for a baseline."""
        if self._frames.get("of") is not baseline:
            self._frames.update(of=baseline, frame=frame(self.skeleton, baseline))
        made: Frame = self._frames["frame"]
        return made


@dataclasses.dataclass(frozen=True)
class Ground:
    """What a question stands on: a stage, its calibrated baseline, and what to tell of both."""

    stage: Stage
    calibration: Baseline
    notes: tuple[str, ...] = ()


def stage_of(world: World, router: Router, tariff_usd_t: np.ndarray) -> Stage:
    """Return a world ready to be solved."""
    return Stage(world, skeleton(world), LaneRouter(world, router, tariff_usd_t))


def duties(
    layers: Layers,
    blocs: Mapping[str, frozenset[str]],
    world: World,
    year: int,
    added: Sequence[Mapping[str, Any]] = (),
) -> np.ndarray:
    """Return duty in USD/t by lane: that of mid-year, plus the rows `added` by a scenario."""
    table = layers.tariff_table(dt.date(year, 7, 1))
    lanes = world.lanes
    pairs = lanes.groupby(["to_country", "from_country", "commodity"], sort=False).ngroup().to_numpy()
    first = lanes[["to_country", "from_country", "commodity"]].iloc[np.unique(pairs, return_index=True)[1]]
    duty = [0.0 if k[0] == k[1] else table.get(k, 0.0) for k in first.itertuples(index=False, name=None)]
    rate = np.array(duty)[pairs]
    for t in added:
        hit = (lanes["commodity"] == t["commodity"]) & (lanes["from_country"] != lanes["to_country"])
        for side, column in (("importer", "to_country"), ("exporter", "from_country")):
            name = str(t.get(side, "*"))
            if name != "*":
                hit &= lanes[column].isin(blocs.get(name, frozenset({name})))
        rate = rate + float(t["rate_pct"]) * hit.to_numpy()
    return rate / 100 * lanes["price_usd_t"].to_numpy(dtype=float)


def changes_the_world(q: Scenario) -> bool:
    """Whether a question changes more than what halts, openings and surcharges do."""
    return bool(q.facilities or q.demand or q.tariffs or q.priority or q.parameters or q.buyers or q.contracts)


def ground_of(
    layers: Layers,
    year: int,
    router: Router,
    calibration: Baseline,
    blocs: Mapping[str, frozenset[str]],
    added: frozenset[str],
    q: Scenario,
    *,
    buyers_only: bool = False,
) -> Ground:
    """Return the world as the question `q` changes it, nothing halted and no stock let go yet.

    With `buyers_only` just its buyers and contracts are in it: the baseline of an answer about a buyer. Raises BadInput
    with every problem.
    """
    buyers = _located(q.buyers, layers)
    changed_by = dataclasses.replace(q, facilities=(), demand=(), parameters=(), tariffs=()) if buyers_only else q
    if buyers_only:
        changed_by = dataclasses.replace(changed_by, priority=tuple(p for p in q.priority if "buyer" in p))
    altered = changed_layers(layers, changed_by)
    points: dict[str, tuple[float, float, str | None]] = {
        str(i): (float(r.lon), float(r.lat), str(r.country))
        for i, r in altered.facilities.iterrows()
        if i not in layers.facilities.index
    }
    points |= {b.id: (b.lon, b.lat, b.country) for b in buyers}
    given = {str(f["id"]): f for f in changed_by.facilities}
    added = added | (frozenset(given) - frozenset(map(str, layers.facilities.index)))
    changed = frozenset(i for i, f in given.items() if {"output_t", "capacity_t"} & set(f)) - added
    world = build_world(altered, year, added, changed)
    classes = {str(p["buyer"]): int(p["class"]) for p in q.priority if "buyer" in p}
    carved = carve(world, buyers, q.contracts, classes)
    tariffs = duties(altered, blocs, carved.world, year, changed_by.tariffs)
    stage = stage_of(carved.world, router.attach(points) if points else router, tariffs)
    notes = carved.notes
    if q.buyers or q.contracts:
        options = open_routes(stage.router).options
        calibration, more = carve_baseline(
            calibration, stage.skeleton, options, buyers, q.contracts, carved.carved_t
        )
        notes = (*notes, *more)
    return Ground(stage, calibration, notes)


def with_stocks(ground: Ground, q: Scenario, tariff_usd_t: np.ndarray) -> Ground:
    """Return the ground with the stocks that `q` lets go; raises BadInput for one that nobody could use."""
    if not q.stocks:
        return ground
    world = dataclasses.replace(ground.stage.world, releases=releases(ground.stage.world, q.stocks))
    return dataclasses.replace(ground, stage=stage_of(world, ground.stage.router.router, tariff_usd_t))


def _located(buyers: Sequence[Buyer], layers: Layers) -> tuple[Buyer, ...]:
    """Return buyers with the country of their point; raises BadInput where there is none, or another than stated."""
    located, problems = [], []
    points = [(b.lon, b.lat) for b in buyers]
    found = geo.country_of(points, layers.countries, NEAR_COAST_KM) if points else []
    for b, country in zip(buyers, found, strict=True):
        if not country:
            problems.append(f"buyer {b.id}: no country at {b.lon:g}, {b.lat:g} (lon, lat); expected a point on land")
        elif b.country and b.country != country:
            problems.append(f"buyer {b.id}: {b.lon:g}, {b.lat:g} (lon, lat) lies in {country}, not in {b.country}")
        located.append(dataclasses.replace(b, country=b.country or country))
    if problems:
        raise BadInput(problems)
    return tuple(located)

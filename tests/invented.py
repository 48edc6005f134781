"""Small invented worlds: one simple enough to solve by hand, and a wider one in which everything happens.

`invent` is the simple one. Two countries. Chemistry is made trivial: every yield is 1, a tonne of ore holds 0.20 t of NdPr, a tonne of standard
magnet 0.25 t. AAA mines 1,000 t (200 t NdPr, 800 t of magnets), BBB 500 t (400 t of magnets). AAA needs 500 t, BBB
700 t, so AAA sends 300 t. A lane inside a country costs nothing, one across the border 10 USD/t for magnets and 50
for everything else; making a magnet costs 100.

`invent_wide` has three countries, Dy, five grades, three sectors, swarf and recycling, contracts, steps between grades,
all with round numbers, and a seed that changes sizes.
"""

import dataclasses
import functools
import random
from collections.abc import Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from atlas.buyers import carve, carve_baseline
from atlas.frame import Frame, frame
from atlas.lane_routes import LaneRouter
from atlas.model import Baseline, skeleton
from atlas.readback import Reading, read
from atlas.releases import releases
from atlas.routing import Closures
from atlas.scenario import Buyer, Contract, Scenario, StockRelease
from atlas.solving import State, calibrate, open_routes, solve_halted, solve_open
from atlas.world import World, build_world

PENALTY = {1: 4000.0, 2: 1000.0, 3: 800.0}
# A place lies in the country of its id's first letter.
COUNTRY = {"a": "AAA", "b": "BBB", "c": "CCC"}
BLOCS = {"pair": frozenset({"BBB", "CCC"})}


def _unit(i: str, stage: str, product: str, capacity: float, **more: Any) -> dict[str, Any]:
    country = COUNTRY[i[0]]
    ore = {"nd_share": 0.15, "pr_share": 0.05} if stage == "mine" else {}
    base = dict.fromkeys(("nd_share", "pr_share", "dy_share", "tb_share", "sm_share"), 0.0) | {
        "id": i, "site": i, "stage": stage, "product": product, "country": country, "operator_ids": ("maker",),
        "start_year": 2000.0, "end_year": np.nan, "status": "operating", "modelled": "yes", "capacity_t": capacity,
        "output_t": np.nan, "elements": ("Nd", "Pr"), "grades": (), "feeds": (), "feeds_text": "",
    }  # fmt: skip
    return base | ore | more


def layers(**changes: Any) -> SimpleNamespace:
    """Return the invented layers; `changes` replace whole tables."""
    grades = ("standard", "UH")
    units = [
        _unit("a-mine", "mine", "concentrate", 1000),
        _unit("b-mine", "mine", "concentrate", 500),
        _unit("a-sep", "separation", "oxide", 1000),
        _unit("b-sep", "separation", "oxide", 500),
        _unit("a-met", "metal", "metal", 240),
        _unit("b-met", "metal", "metal", 100),
        _unit("a-mag", "magnet", "sintered", 1000, grades=grades),
        _unit("b-mag", "magnet", "sintered", 480, grades=grades),
    ]
    parameters = {
        "blank_to_finished": 1.0, "separation_recovery": 1.0, "swarf_recovery": 1.0, "swarf_pr_in_ndpr": 0.25,
        "ndpr_pr_min": 0.15, "ndpr_pr_max": 0.30, "metal_yield_ndpr": 1.0, "metal_yield_dytb": 1.0, "metal_yield_sm": 1.0, "surge_share": 0.2,
        "surge_premium_share": 0.25, "home_charge_usd_t": 100.0, "idle_usd_t_mine": 1.0, "idle_usd_t_separation": 1.0, "idle_usd_t_metal": 1.0, "idle_usd_t_magnet": 1.0, "shortage_steps": 2.0,
        "shortage_rise": 1.0, "target_weight_usd_t_feed": 0.0, "ramp_share_year_1": 0.3, "ramp_share_year_2": 0.6,
        "ramp_share_full": 0.9, "price_usd_t_concentrate": 0.0, "price_usd_t_magnet": 0.0, "price_usd_t_scrap": 0.0,
    }  # fmt: skip
    parameters |= {f"metal_per_oxide_{e}": 1.0 for e in ("nd", "pr", "dy", "tb", "sm")}
    parameters |= {f"price_usd_t_{c}_{e}": 0.0 for c in ("oxide", "metal") for e in ("nd", "pr", "dy", "tb", "sm")}
    parameters |= {"friction_usd_t_magnet": 7.0} | {
        f"friction_usd_t_{c}": 5.0 for c in ("concentrate", "oxide", "metal", "scrap")
    }
    parameters |= {f"shortage_usd_t_class_{k}": v for k, v in PENALTY.items()}
    stages = [
        ("mine", "concentrate", 0.0),
        ("separation", "oxide", 0.0),
        ("metal", "metal", 0.0),
        ("magnet", "sintered", 100.0),
    ]
    tables: dict[str, Any] = {
        "facilities": pd.DataFrame(units).set_index("id"),
        "parameters": pd.Series(parameters),
        "grades": pd.DataFrame(
            {"rank": [1, 2], "ndpr_t_per_t": [0.25, 0.5], "dy_t_per_t": [0.0, 0.0], "tb_t_per_t": [0.0, 0.0],
             "sm_t_per_t": [0.0, 0.0]},
            index=pd.Index(grades, name="id"),
        ),
        "markets": pd.DataFrame(
            {"country": ["AAA", "BBB"], "name": ["A", "B"], "lon": [0.0, 10.0], "lat": [0.0, 0.0], "eol_reo_t": [0.0, 0.0]},
            index=pd.Index(["a-market", "b-market"], name="id"),
        ),
        "demand": pd.DataFrame(
            {"country": ["AAA", "BBB"], "sector": ["motors", "motors"], "demand_t": [500.0, 700.0]},
            index=pd.Index(["aaa-motors", "bbb-motors"], name="id"),
        ),
        "sector_grades": pd.DataFrame({"sector": ["motors", "defence"], "grade": ["standard", "UH"], "share": [1.0, 1.0]}),
        "sectors": pd.DataFrame({"priority_class": [2, 1]}, index=pd.Index(["motors", "defence"], name="id")),
        "costs": pd.DataFrame(stages, columns=["stage", "product", "cost_usd_t"]).assign(country="*"),
        "stock": pd.DataFrame({"year": pd.Series(dtype=int), "country": pd.Series(dtype=object)}),
        "targets": pd.DataFrame(),
    }  # fmt: skip
    return SimpleNamespace(**(tables | changes))


def wide_layers(seed: int = 0, scale: float = 1.0, **changes: Any) -> SimpleNamespace:
    """Return the layers of the wider world; `seed` over 0 draws other sizes, `scale` multiplies every tonne.

    AAA makes nearly everything, BBB half of what it needs, CCC magnets alone. H, SH and UH hold Dy.
    """
    rng = random.Random(seed)

    def size(t: float) -> float:
        return scale * t * (rng.choice((0.8, 0.9, 1.0, 1.1, 1.3)) if seed else 1.0)

    grades = ("cerium", "standard", "H", "SH", "UH")
    ore = {"a-mine": (0.16, 0.05, 0.012), "a-clay": (0.1, 0.03, 0.04), "b-mine": (0.18, 0.05, 0.002)}
    made = ("Nd", "Pr", "Dy")
    units = [
        _unit("a-mine", "mine", "concentrate", size(9000), operator_ids=("maker", "digger")),
        _unit("a-clay", "mine", "concentrate", size(2500), output_t=scale * 1200),
        _unit("b-mine", "mine", "concentrate", size(3000), operator_ids=("digger",)),
        _unit("a-sep", "separation", "oxide", size(12000), elements=made),
        _unit("a-sep2", "separation", "oxide", size(3000), elements=made),
        _unit("b-sep", "separation", "oxide", size(2500), elements=("Nd", "Pr")),
        _unit("a-met", "metal", "metal", size(2600), elements=made, site="a-works"),
        _unit("b-met", "metal", "metal", size(400), elements=("Nd", "Pr")),
        _unit("a-mag", "magnet", "sintered", size(5000), grades=grades, site="a-works"),
        _unit("a-mag2", "magnet", "sintered", size(2000), grades=("standard", "SH", "UH")),
        _unit("b-mag", "magnet", "sintered", size(1100), grades=("standard", "H", "SH", "UH")),
        _unit("c-mag", "magnet", "sintered", size(500), output_t=scale * 350, grades=("standard", "H", "SH")),
        _unit("a-rec", "recycling", "oxide", size(900), elements=made),
    ]
    for u in units:
        u |= dict(zip(("nd_share", "pr_share", "dy_share"), ore.get(u["id"], (0.0, 0.0, 0.0)), strict=True))
    sectors = {"defence": 1, "motors": 2, "toys": 3}
    demand = {
        "aaa": {"defence": 100, "motors": 2000, "toys": 900},
        "bbb": {"defence": 80, "motors": 1300, "toys": 600},
        "ccc": {"defence": 80, "motors": 1300, "toys": 600},
    }
    rows = [(f"{c}-{s}", c.upper(), s, scale * t) for c, of in demand.items() for s, t in of.items()]
    mix = [
        ("defence", "SH", 0.5, 0.1), ("defence", "UH", 0.5, 0.1), ("motors", "standard", 0.4, 0.0), ("motors", "H", 0.3, 0.3),
        ("motors", "SH", 0.3, 0.25), ("toys", "cerium", 0.5, 0.0), ("toys", "standard", 0.5, 0.0),
    ]  # fmt: skip
    tables: dict[str, Any] = {
        "facilities": pd.DataFrame(units).set_index("id"),
        "parameters": layers().parameters.copy(),
        "grades": pd.DataFrame(
            {"rank": [1, 2, 3, 4, 5], "ndpr_t_per_t": [0.2, 0.3, 0.28, 0.27, 0.25], "dy_t_per_t": [0.0, 0.0, 0.01, 0.02, 0.04],
             "tb_t_per_t": 0.0, "sm_t_per_t": 0.0, "steps_down_to": ["", "", "standard", "H", "SH"],
             "steps_up_to": ["standard", "", "", "", ""]},
            index=pd.Index(grades, name="id"),
        ),
        "markets": pd.DataFrame(
            {"country": ["AAA", "BBB", "CCC"], "name": ["A", "B", "C"], "lon": [0.0, 10.0, 20.0], "lat": [0.0, 0.0, 0.0],
             "eol_reo_t": [scale * 100.0, 0.0, scale * 20.0]},
            index=pd.Index(["a-market", "b-market", "c-market"], name="id"),
        ),
        "demand": pd.DataFrame(rows, columns=["id", "country", "sector", "demand_t"]).set_index("id"),
        "sector_grades": pd.DataFrame(mix, columns=["sector", "grade", "share", "step_down_share"]),
        "sectors": pd.DataFrame({"priority_class": sectors}).rename_axis("id"),
        "costs": pd.concat([layers().costs, pd.DataFrame([("recycling", "oxide", 0.0, "*")], columns=layers().costs.columns)]),
    }  # fmt: skip
    parameters = {
        "blank_to_finished": 0.8, "separation_recovery": 0.95, "swarf_recovery": 0.9, "idle_usd_t_recycling": 1.0,
        "target_weight_usd_t_mine": 400.0, "target_weight_usd_t_magnet": 400.0, "surge_share_mine": 0.1, "surge_share_magnet": 0.25, "shortage_steps": 20.0, "home_charge_usd_t": 20000.0,
        "step_down_usd_t": 500.0, "step_up_usd_t": 60.0, "transshipment_share": 0.3, "transshipment_usd_t_oxide": 30.0,
        "transshipment_usd_t_metal": 30.0, "transshipment_usd_t_magnet": 30.0, "shortage_usd_t_class_1": 16000.0,
        "shortage_usd_t_class_2": 8000.0, "shortage_usd_t_class_3": 4000.0, "shortage_rise": 0.9,
    }  # fmt: skip
    for c, (share, charge) in {
        "concentrate": (0.7, 20.0),
        "oxide": (0.5, 20.0),
        "metal": (0.5, 20.0),
        "magnet": (0.6, 10000.0),
    }.items():
        parameters |= {f"contract_share_{c}": share, f"contract_charge_usd_t_{c}": charge}
    for name, value in (parameters | changes.pop("parameters", {})).items():
        tables["parameters"][name] = value
    return layers(**(tables | changes))


@dataclasses.dataclass(frozen=True)
class FlatPath:
    """A path with nothing on it but the strait, when it crosses."""

    passages: tuple[str, ...]
    ports: tuple[str, ...] = ()
    borders: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    nodes: tuple[int, ...] = ()
    edges: tuple[int, ...] = ()
    legs: tuple[Any, ...] = ()
    distance_km: float = 0.0
    days: float = 0.0
    cost_usd_t: float = 0.0
    route_id: str = ""


class FlatTable:
    """Costs by country pair: home nothing, abroad by the strait and its surcharge, or 4 USD/t more round it."""

    def __init__(
        self,
        origins: list[str],
        destinations: list[str],
        commodity: str,
        tolls: Mapping[Any, float],
        shut: bool,
        charge: float = 0.0,
    ) -> None:
        self.origins, self.destinations = origins, destinations
        abroad = np.array([[o[0] != d[0] for d in destinations] for o in origins])
        around = shut or tolls.get(("passage", "strait"), 0.0) + charge > 4.0
        self.through = abroad & (not around)
        price = 10.0 if commodity == "magnet" else 50.0
        self.cost_usd_t = np.where(abroad, price + (4.0 if around else charge), 0.0)
        self.distance_km, self.days = self.cost_usd_t * 100, self.cost_usd_t
        self.uses = {("passage", "strait"): self.through}

    def trace(self, i: int, j: int) -> FlatPath:
        name = f"{self.origins[i]}>{self.destinations[j]}:{int(self.through[i, j])}"
        return FlatPath(("strait",) if self.through[i, j] else (), route_id=name)


class FlatRouter:
    """Stands in for the router: all that crosses a border crosses one strait, or goes round it."""

    borders: tuple[str, ...] = ("AAA-BBB",)

    def table(
        self,
        origins: list[str],
        destinations: list[str],
        commodity: str,
        closures: Closures | None = None,
        tolls: Mapping[Any, float] | None = None,
        watch: Iterable[Any] = (),
        avoid_countries: frozenset[str] = frozenset(),
        surcharges: Mapping[str, float] | None = None,
    ) -> FlatTable:
        shut = closures is not None and "strait" in closures.passages
        return FlatTable(origins, destinations, commodity, tolls or {}, shut, (surcharges or {}).get("strait", 0.0))


@dataclasses.dataclass(frozen=True)
class Invented:
    """An invented world with its baseline, ready to be halted."""

    layers: Any
    world: World
    frame: Frame
    router: LaneRouter
    calibration: Baseline
    before: State
    notes: tuple[str, ...] = ()

    def halted(self, scenario: Scenario) -> State:
        return solve_halted(self.frame, self.router, scenario, BLOCS, self.before, 10.0)

    def read(self, state: State) -> Reading:
        return read(self.world, state)

    def with_buyers(
        self, buyers: Sequence[Buyer], contracts: Sequence[Contract] = (), classes: Mapping[str, int] | None = None
    ) -> "Invented":
        """Return this world with buyers carved out of it; their ids begin with the letter of their country."""
        located = [dataclasses.replace(b, country=COUNTRY[b.id[0]]) for b in buyers]
        carved = carve(self.world, located, contracts, classes or {})
        s = skeleton(carved.world)
        router = LaneRouter(carved.world, FlatRouter(), np.zeros(len(carved.world.lanes)))  # type: ignore[arg-type]
        options = open_routes(router).options
        calibration, notes = carve_baseline(self.calibration, s, options, located, contracts, carved.carved_t)
        return _ready(self.layers, carved.world, router, calibration, (*carved.notes, *notes))

    def with_stocks(self, stocks: Sequence[StockRelease]) -> "Invented":
        """Return this world with stocks that are let go; its baseline stays the one without."""
        world = dataclasses.replace(self.world, releases=releases(self.world, stocks))
        return dataclasses.replace(self, world=world, frame=frame(skeleton(world), self.calibration))

    def with_parameters(self, **values: float) -> "Invented":
        """Return this world with other behaviour from now on; its calibration stays."""
        parameters = dict(self.world.parameters) | values
        world = dataclasses.replace(self.world, parameters=parameters)
        stated = frame(skeleton(world), self.calibration)
        return dataclasses.replace(self, world=world, frame=stated, before=solve_open(stated, self.router, 10.0))

    def with_classes(self, **classes: int) -> "Invented":
        """Return this world with other priorities of sectors; its calibration stays."""
        found = self.world.demand["sector"].map(classes)
        rank = found.fillna(self.world.demand["priority_class"]).astype(int)
        world = dataclasses.replace(self.world, demand=self.world.demand.assign(priority_class=rank))
        return _ready(self.layers, world, self.router, self.calibration)


def _ready(made: Any, world: World, router: LaneRouter, calibration: Baseline, notes: tuple[str, ...] = ()) -> Invented:
    stated = frame(skeleton(world), calibration)
    return Invented(made, world, stated, router, calibration, solve_open(stated, router, 10.0), notes)


def invent(made: Any = None, **changes: Any) -> Invented:
    """Build, calibrate and solve the invented world, or that of the layers `made`."""
    made = made or layers(**changes)
    world = build_world(made, 2024)
    router = LaneRouter(world, FlatRouter(), np.zeros(len(world.lanes)))  # type: ignore[arg-type]
    calibration = calibrate(skeleton(world), open_routes(router), BLOCS, 10.0)
    return _ready(made, world, router, calibration)


@functools.cache
def invent_wide(seed: int = 0) -> Invented:
    """Return the wider world; made once for each seed."""
    return invent(wide_layers(seed))

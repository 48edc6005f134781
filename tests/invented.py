"""One small invented world, simple enough to solve by hand.

Two countries. Chemistry is made trivial: every yield is 1, a tonne of ore holds 0.20 t of NdPr, a tonne of standard
magnet 0.25 t. AAA mines 1,000 t (200 t NdPr, 800 t of magnets), BBB 500 t (400 t of magnets). AAA needs 500 t, BBB
700 t, so AAA sends 300 t. A lane inside a country costs nothing, one across the border 10 USD/t for magnets and 50
for everything else; making a magnet costs 100.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from atlas.frame import Frame, frame
from atlas.lane_routes import LaneRouter
from atlas.model import Baseline, skeleton
from atlas.routing import Closures
from atlas.scenario import Scenario
from atlas.solving import State, calibrate, open_routes, solve_halted, solve_open
from atlas.world import World, build_world

PENALTY = {1: 4000.0, 2: 1000.0, 3: 800.0}


def _unit(i: str, stage: str, product: str, capacity: float, **more: Any) -> dict[str, Any]:
    country = "AAA" if i.startswith("a") else "BBB"
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


@dataclasses.dataclass(frozen=True)
class FlatPath:
    """A path with nothing on it but the strait, when it crosses."""

    passages: tuple[str, ...]
    ports: tuple[str, ...] = ()
    borders: tuple[str, ...] = ()
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
    """Stands in for the router: two countries and one strait between them."""

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
    """The invented world with its baseline, ready to be halted."""

    world: World
    frame: Frame
    router: LaneRouter
    calibration: Baseline
    before: State

    def halted(self, scenario: Scenario) -> State:
        return solve_halted(self.frame, self.router, scenario, {}, self.before, 10.0)


def invent(**changes: Any) -> Invented:
    """Build, calibrate and solve the invented world."""
    world = build_world(layers(**changes), 2024)  # type: ignore[arg-type]
    s = skeleton(world)
    router = LaneRouter(world, FlatRouter(), np.zeros(len(world.lanes)))  # type: ignore[arg-type]
    calibration = calibrate(s, open_routes(router), {}, 10.0)
    stated = frame(s, calibration)
    return Invented(world, stated, router, calibration, solve_open(stated, router, 10.0))

"""An invented world as a study: what findings ask of one, with nothing read from disk."""

from types import SimpleNamespace
from typing import Any

import pandas as pd

from atlas.config import data_dir
from atlas.halt import Names
from atlas.scenario import from_dict, from_specs
from atlas.schema import read_schema
from tests.invented import BLOCS, COUNTRY, Invented


def study_of(world: Invented) -> Any:
    """Return `world` as a study with the blocs `pair` (BBB, CCC) and `b` (BBB alone); halts may name all it has."""
    w = world.world
    countries = frozenset(COUNTRY.values())
    names = Names(
        facility=frozenset(map(str, w.units.index)),
        site=frozenset(map(str, w.units["site"])),
        operator=frozenset(o for ids in w.units["operator_ids"] for o in ids),
        port=frozenset(),
        passage=frozenset({"strait"}),
        border=frozenset({"AAA-BBB"}),
        country=countries,
        bloc=frozenset({*BLOCS, "b"}),
        sector=frozenset(map(str, w.demand["sector"])),
        demand_country=frozenset(map(str, w.demand["country"])),
    )
    stage = SimpleNamespace(world=w, router=world.router, skeleton=world.frame.skeleton, frame=lambda _: world.frame)

    def question(halts: Any = (), scenario: Any = None, on: Any = None) -> Any:
        return from_dict(scenario, names, on=on) if scenario else from_specs(list(halts), names, on=on)

    return SimpleNamespace(
        blocs={**BLOCS, "b": frozenset({"BBB"})},
        ground=SimpleNamespace(stage=stage, calibration=world.calibration),
        before=world.before,
        settings=SimpleNamespace(solve_time_limit_s=10.0),
        question=question,
        names=names,
        year=2024,
        digest=lambda root: f"invented-{root}",
        baseline=SimpleNamespace(world=w, reading=world.read(world.before)),
        layers=SimpleNamespace(
            facilities=world.layers.facilities.assign(name=[str(i) for i in world.layers.facilities.index]),
            countries=pd.DataFrame({"name": {c: c for c in countries}}),
            ports=pd.DataFrame({"name": [], "country": []}),
            passages=pd.DataFrame({"name": ["the strait"]}, index=["strait"]),
            sources=pd.DataFrame({"title": []}),
            schema=read_schema(data_dir("layers") / "schema.csv"),
        ),
    )

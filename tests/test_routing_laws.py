"""Laws of routing on the shipped network: whatever is closed, asked, shuffled or turned, these hold.

Nothing here knows a length or a price; a law compares two answers, or an answer with the map.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from itertools import combinations
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from click.testing import CliRunner

from atlas import cli, geo
from atlas.errors import BadInput, UnknownName
from atlas.layers import Layers
from atlas.network_edges import SEA
from atlas.routing import COMMODITIES, Closures, Route, Router, Table

ORIGINS = ("lynas-kuantan", "bayan-obo", "mt-weld", "mountain-pass-mine", "kachin-pangwa", "serra-verde",
           "ganzhou-qiandong-separation", "CNSHA", "ZADUR", "RUNVS", "CLVAP", "jpn-market")
DESTINATIONS = ("vac-hanau", "usa-market", "vnm-market", "ind-market", "kaz-market", "zaf-market", "longonjo",
                "NLRTM", "SADMM", "PLGDN", "NZAKL", "BRSSZ")
SEA_ENDS = ("SGSIN", "CNSHA", "RUVVO", "JPYOK", "KRPUS", "AUFRE", "NZAKL", "CLVAP", "CLPUQ", "BRSSZ", "USLAX", "USHOU", "USNYC",
            "NLRTM", "SEGOT", "PLGDN", "ITGOA", "RUTAG", "SADMM", "SAJED", "INMAA", "ZADUR", "MZBEW", "RUMMK", "IDMAK", "PGPOM")
SHARE = 1e-9  # what a cost may seem to fall by: equal ways are told apart by that much
POINTS = ((-115.53, 35.48), (-51.7, -12.3), (116.07, 39.93), (103.37, 3.97), (-0.1, 51.5), (7.123456, 50.987654),
          (-179.9, -17.8), (90.1, 0.3), (151.0, -33.5), (0.0, 0.0), (-180.0, 10.0), (-45.25, 20.5))

# Each sea that gates enclose, with all its ports of the layer. Azov has one and lies behind both gates of the Black Sea.
GULF = ["AEAUH", "AEJEA", "BHKBS", "IQUQR", "IRBND", "KWSAA", "KWSWK", "QAHMD", "SADMM", "SAJUB"]
BLACK = ["BGBOJ", "BGVAR", "GEBUS", "GEPTI", "ROCND", "RUNVS", "RUTAG", "TRSSX", "UAILK", "UAODS"]
MARMARA = ["TRGEM", "TRIST"]
BALTIC = ["EESLM", "EETLL", "FIHEL", "FIKOK", "FIKTK", "LTKLJ", "LVRIX", "PLGDN", "PLGDY", "PLSZZ", "RUKGD", "RULED", "RUULU", "SELLA", "SENRK", "SESTO"]
MEDITERRANEAN = [
    "ALDRZ", "CYLMS", "DZALG", "EGALY", "EGDAM", "EGPSD", "ESALG", "ESBCN", "ESVLC", "FRMRS", "GRPIR", "GRSKG", "HRRJK", "ILASH",
    "ILHFA", "ITGIT", "ITGOA", "ITLIV", "ITNAP", "ITSPE", "ITTRS", "ITVCE", "LBBEY", "LYTIP", "MAPTM", "MEBAR", "MTMAR", "SIKOP",
    "SYLTK", "TNRDS", "TRISK", "TRIZM", "TRMER",
]
RED = ["EGSOK", "JOAQJ", "SAJED", "SAYNB", "SDPZU"]
AZOV = ["RUTAG"]
ENCLOSED = {
    "gulf": (("hormuz",), GULF),
    "black sea by the bosporus": (("bosporus",), BLACK),
    "black sea by the dardanelles": (("dardanelles",), BLACK + MARMARA),
    "baltic": (("danish-straits", "kiel"), BALTIC),
    "mediterranean": (("gibraltar", "suez"), MEDITERRANEAN + BLACK + MARMARA),
    "red sea": (("suez", "bab-el-mandeb"), RED),
}
# Points at sea near the gates: inside, which no ship may reach while they are closed, and outside, which every ship may.
INSIDE = {
    ("hormuz",): [(55.972, 26.457), (56.1, 26.3), (55.4, 25.9), (51.5, 27.0)],
    ("bosporus",): [(29.216, 41.256), (28.904, 41.365), (29.6, 41.4), (33.0, 43.0)],
    ("dardanelles",): [(26.62, 40.36), (26.9, 40.45), (28.0, 40.7)],
    ("danish-straits", "kiel"): [(10.861, 55.18), (10.35, 54.55), (12.8, 55.2), (19.0, 57.0)],
    ("gibraltar", "suez"): [(-5.3, 36.0), (-5.45, 35.95), (32.35, 31.5), (3.0, 38.5)],
    ("suez", "bab-el-mandeb"): [(43.15, 12.8), (42.8, 13.3), (32.56, 29.75), (38.0, 20.0)],
}
OUTSIDE = {
    ("hormuz",): [(56.75, 26.45), (57.0, 26.2)],
    ("bosporus",): [(28.9, 40.9)],
    ("dardanelles",): [(26.1, 40.0), (25.8, 40.0)],
    ("danish-straits", "kiel"): [(10.9, 55.75), (12.65, 55.8), (8.6, 54.0)],
    ("gibraltar", "suez"): [(-6.0, 35.95), (-6.3, 36.0)],
    ("suez", "bab-el-mandeb"): [(43.5, 12.35), (43.9, 12.4)],
}
TURNS = [(point, turn) for point in POINTS for turn in (360.0, -360.0)]


@pytest.fixture(scope="module")
def things(router: Router) -> list[str]:
    """All that can be closed."""
    n = router.network
    return [*n.passage_ids, *n.port_ids, *n.border_ids]


def told(route: Route | list[Route]) -> bytes:
    """Return an answer as it is written."""
    answer = [r.to_json() for r in route] if isinstance(route, list) else route.to_json()
    return json.dumps(answer, allow_nan=False).encode()


def arrays(table: Table) -> list[np.ndarray]:
    return [table.cost_usd_t, table.distance_km, table.days, table.steered_cost]


def kind_of(router: Router, name: str) -> str:
    n = router.network
    return "passage" if name in n.passage_ids else "port" if name in n.port_ids else "border"


def passed(route: Any) -> set[str]:
    return {*route.passages, *route.ports, *route.borders}


def never_lower(after: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Tell where a cost did not fall; no path stays none."""
    return (after >= before * (1 - SHARE)) | np.isinf(after)


def beside(router: Router) -> dict[str, tuple[str, ...]]:
    """Return, for each port itself and for each border the place nearest to a post of it in either country."""
    network, e = router.network, router.network.edges
    names = sorted(network.places)
    country = np.array([network.places[n].country for n in names])
    lon, lat = (np.array([getattr(network.places[n], axis) for n in names]) for axis in ("lon", "lat"))
    found: dict[str, tuple[str, ...]] = {port: (port,) for port in network.port_ids}
    for number, border in enumerate(network.border_ids):
        post = network.xy[e.u[np.flatnonzero(e.border == number)[0]]]
        near = []
        for code in border.split("-"):
            here = np.flatnonzero(country == code)
            if len(here):
                near.append(names[here[np.argmin(geo.geodesic_km(post[0], post[1], lon[here], lat[here]))]])
        found[border] = tuple(near)
    return found


# 1. Closing never lowers a cost, opening never raises one.


def closing_one(router: Router, layers: Layers, commodity: str, names: Sequence[str]) -> int:
    """Close each thing alone and compare; return how many closures cost some pair something.

    A port's own ways and those between the places beside a border are asked too, so that most closures bite.
    """
    extra = beside(router)
    every = sorted({*ORIGINS, *DESTINATIONS, *(p for n in names for p in extra.get(n, ()))})
    row = {name: i for i, name in enumerate(every)}
    base = router.table(every, every, commodity)
    assert np.isfinite(base.cost_usd_t).all()
    bit = 0
    for name in names:
        near = [p for p in extra.get(name, ()) if p not in ORIGINS and p not in DESTINATIONS]
        origins, destinations = [*ORIGINS, *near], [*DESTINATIONS, *near]
        before = base.cost_usd_t[np.ix_([row[o] for o in origins], [row[d] for d in destinations])]
        after = router.table(origins, destinations, commodity, Closures.of([name], [], layers)).cost_usd_t
        fallen = np.argwhere(~never_lower(after, before))
        assert not len(fallen), [(name, commodity, origins[i], destinations[j], before[i, j], after[i, j]) for i, j in fallen[:5]]
        bit += bool((after > before * (1 + SHARE)).any())
    return bit


@pytest.mark.parametrize("commodity", COMMODITIES)
def test_closing_any_passage_never_lowers_a_cost(router: Router, layers: Layers, commodity: str) -> None:
    assert closing_one(router, layers, commodity, router.network.passage_ids) >= 6


@pytest.mark.parametrize(("kind", "commodity"), [("port", "concentrate"), ("port", "magnet"), ("border", "concentrate"), ("border", "magnet")])
def test_closing_a_port_or_a_border_never_lowers_a_cost(router: Router, layers: Layers, kind: str, commodity: str) -> None:
    names = router.network.port_ids if kind == "port" else router.network.border_ids
    some = sorted(np.random.default_rng([11, len(names), len(commodity)]).choice(names, size=90, replace=False).tolist())
    assert closing_one(router, layers, commodity, some) >= 30


@pytest.mark.slow
@pytest.mark.parametrize("commodity", COMMODITIES)
def test_closing_any_port_and_any_border_never_lowers_a_cost(router: Router, layers: Layers, commodity: str) -> None:
    assert closing_one(router, layers, commodity, router.network.port_ids) >= 200
    assert closing_one(router, layers, commodity, router.network.border_ids) >= 80


def closure_sets(router: Router, things: list[str], seed: int, each: int) -> Iterable[tuple[str, ...]]:
    """Yield sets of 2 to 5 things, most of which some pair passes."""
    rng = np.random.default_rng(seed)
    base = router.table(ORIGINS, DESTINATIONS, "magnet")
    used = sorted(set().union(*(passed(base.trace(i, j)) for i in range(len(ORIGINS)) for j in range(len(DESTINATIONS)))))
    for size in (2, 3, 4, 5):
        for _ in range(each):
            pool = [*rng.choice(used, size=size, replace=False), *rng.choice(things, size=2), *rng.choice(router.network.passage_ids, size=2)]
            yield tuple(sorted(rng.choice(sorted(set(map(str, pool))), size=size, replace=False).tolist()))


def monotone(router: Router, layers: Layers, sets: Iterable[tuple[str, ...]], commodity: str) -> None:
    """Compare the costs under every subset of each set with those under the subset that has one thing less."""
    for full in sets:
        cost = {}
        for size in range(len(full) + 1):
            for some in combinations(full, size):
                cost[some] = router.table(ORIGINS, DESTINATIONS, commodity, Closures.of(some, [], layers)).cost_usd_t
                for less in combinations(some, size - 1) if size else ():
                    fallen = np.argwhere(~never_lower(cost[some], cost[less]))
                    assert not len(fallen), [(some, less, ORIGINS[i], DESTINATIONS[j], cost[less][i, j], cost[some][i, j]) for i, j in fallen[:5]]


def test_closing_more_never_lowers_a_cost(router: Router, layers: Layers, things: list[str]) -> None:
    for commodity, seed in (("magnet", 1), ("concentrate", 2)):
        monotone(router, layers, closure_sets(router, things, seed, 2), commodity)


@pytest.mark.slow
@pytest.mark.parametrize("commodity", COMMODITIES)
def test_closing_more_never_lowers_a_cost_at_length(router: Router, layers: Layers, things: list[str], commodity: str) -> None:
    monotone(router, layers, closure_sets(router, things, 100 + len(commodity), 30), commodity)


@pytest.mark.parametrize("commodity", ["concentrate", "magnet"])
def test_opening_never_raises_a_cost(router: Router, layers: Layers, things: list[str], commodity: str) -> None:
    rng = np.random.default_rng(5)
    shut = sorted({*layers.passages.index[~layers.passages["default_open"].astype(bool)], *router.network.closed_borders})
    ends = [*ORIGINS[::2], *DESTINATIONS[::2], "KRPUS", "RUVVO", "UAODS", "SESTO", "JPYOK", "NLRTM"]

    def costs(close: Sequence[str] = (), opened: Sequence[str] = ()) -> np.ndarray:
        return router.table(ends, ends, commodity, Closures.of(close, opened, layers)).cost_usd_t

    base, better = costs(), 0
    for name in shut:
        after = costs(opened=[name])
        assert never_lower(base, after).all(), name
        better += bool((after < base * (1 - SHARE)).any())
    assert better >= 2
    for size in (2, 4, 8, len(shut)):
        opened = rng.choice(shut, size=size, replace=False).tolist()
        close = rng.choice([t for t in things if t not in shut], size=3, replace=False).tolist()
        both, only_open, only_closed = costs(close, opened), costs(opened=opened), costs(close)
        assert never_lower(only_closed, both).all(), (close, opened)
        assert never_lower(both, only_open).all(), (close, opened)
        assert never_lower(only_open, costs(opened=shut)).all(), (close, opened)


def test_opening_what_is_open_changes_nothing_and_closing_wins(router: Router, layers: Layers) -> None:
    base = router.table(ORIGINS, DESTINATIONS, "magnet")
    opened = router.table(ORIGINS, DESTINATIONS, "magnet", Closures.of([], ["suez", "CNSHA", "DEU-FRA"], layers))
    assert all(a.tobytes() == b.tobytes() for a, b in zip(arrays(base), arrays(opened), strict=True))
    closed, both = (router.table(ORIGINS, DESTINATIONS, "magnet", Closures.of(["suez"], how, layers)) for how in ([], ["suez"]))
    assert all(a.tobytes() == b.tobytes() for a, b in zip(arrays(closed), arrays(both), strict=True))


# 2. Closing what is not used changes nothing, to the byte.


def questions(router: Router, seed: int, count: int) -> Iterable[tuple[str, str, dict[str, Any]]]:
    """Yield questions between places of all kinds, with several commodities, modes and closures."""
    rng = np.random.default_rng(seed)
    places, modes = sorted(router.network.places), (["sea", "rail", "road"], ["sea", "rail", "road"], ["rail", "road"], ["sea", "road"])
    ports = list(router.network.port_ids)
    for k in range(count):
        by_sea = k % 4 == 0
        a, b = rng.choice(ports if by_sea else places, size=2, replace=False).tolist()
        close = rng.choice(router.network.passage_ids, size=int(rng.integers(0, 3)), replace=False).tolist()
        yield a, b, {"modes": ["sea"] if by_sea else modes[int(rng.integers(4))], "commodity": str(rng.choice(COMMODITIES[:4])), "close": close}


def unused_changes_nothing(router: Router, things: list[str], seed: int, count: int) -> None:
    rng, near, drawn = np.random.default_rng(seed), list(router.network.passage_ids), 0
    for a, b, how in questions(router, seed + 1, count):
        route = router.route(a, b, **how)
        if not route.reachable:
            continue
        want = told(route)
        # Half of what is closed others pass, or the next best way here does.
        other = router.route(a, b, **{**how, "close": [*how["close"], *list(passed(route))[:1]]})
        near += [n for n in [*route.passages, *route.ports, *route.borders] if n not in near]
        for pool in (sorted(passed(other)), near, things):
            free = [t for t in pool if t not in passed(route) and t not in (a, b)]
            if free:
                name = str(rng.choice(free))
                got = told(router.route(a, b, **{**how, "close": [*how["close"], name]}))
                assert got == want, (a, b, how, name)
                drawn += 1
    assert drawn > 1.5 * count


def test_closing_what_a_route_does_not_use_changes_nothing(router: Router, things: list[str]) -> None:
    unused_changes_nothing(router, things, 21, 250)


@pytest.mark.slow
def test_closing_what_a_route_does_not_use_changes_nothing_at_length(router: Router, things: list[str]) -> None:
    unused_changes_nothing(router, things, 22, 4000)


@pytest.mark.parametrize("commodity", ["concentrate", "magnet"])
def test_closing_what_no_path_of_a_table_uses_changes_nothing(router: Router, layers: Layers, things: list[str], commodity: str) -> None:
    watch = [(kind_of(router, name), name) for name in things]
    base = router.table(ORIGINS, DESTINATIONS, commodity, watch=watch)
    unused = [name for kind, name in watch if not base.uses[kind, name].any()]
    used = [name for kind, name in watch if base.uses[kind, name].any()]
    rng = np.random.default_rng(31)
    assert len(used) > 30
    for name in [*(p for p in router.network.passage_ids if p in unused), *rng.choice(unused, size=50, replace=False).tolist()]:
        after = router.table(ORIGINS, DESTINATIONS, commodity, Closures.of([name], [], layers))
        assert all(a.tobytes() == b.tobytes() for a, b in zip(arrays(base), arrays(after), strict=True)), name
    for name in used:  # where some paths use it, the others stay as they were
        after = router.table(ORIGINS, DESTINATIONS, commodity, Closures.of([name], [], layers))
        same = ~base.uses[kind_of(router, name), name]
        assert all(a[same].tobytes() == b[same].tobytes() for a, b in zip(arrays(base), arrays(after), strict=True)), name
        cells = np.argwhere(same)
        for i, j in cells[rng.choice(len(cells), size=4, replace=False)]:
            assert after.trace(i, j) == base.trace(i, j)
    at_once = Closures.of(unused, [], layers)  # all of them together, too
    after = router.table(ORIGINS, DESTINATIONS, commodity, at_once)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(arrays(base), arrays(after), strict=True))


# 3. Closures of one thread never show in another.


def test_a_hundred_threads_with_closures_of_their_own(router: Router, layers: Layers, things: list[str]) -> None:
    rng = np.random.default_rng(41)
    jobs: list[Any] = []
    for a, b, how in questions(router, 42, 60):
        how = {**how, "close": [*how["close"], *rng.choice(things, size=2).tolist()]}
        jobs.append(lambda a=a, b=b, how=how: told(router.route(a, b, **how)))
    for opened in (["northern-sea-route"], ["northwest"], [], []):
        jobs.append(lambda opened=opened: told(router.route("JPYOK", "NLRTM", modes=["sea"], open=opened)))
        jobs.append(lambda opened=opened: told(router.route("CNSHA", "vac-hanau", alternatives=3, open=opened)))
    for point in POINTS[:4]:
        jobs.append(lambda point=point: told(router.route(point, "NLRTM", close=["suez"])))
    for close in closure_sets(router, things, 43, 7):
        closures = Closures.of(close, [], layers)
        jobs.append(lambda c=closures: b"".join(a.tobytes() for a in arrays(router.table(ORIGINS, DESTINATIONS, "magnet", c))))
    assert len(jobs) == 100
    want = [job() for job in jobs]
    assert len(set(want)) > 60
    start = threading.Barrier(100, timeout=60)

    def run(job: Any) -> bytes:
        start.wait()
        return bytes(job())

    with ThreadPoolExecutor(100) as pool:
        got = list(pool.map(run, jobs))
    assert [k for k in range(100) if got[k] != want[k]] == []
    assert [job() for job in jobs[::7]] == want[::7]  # and nothing is left behind


# 4. A misspelt id is refused with the nearest names.


def misspelt(name: str, rng: np.random.Generator) -> str:
    """Return a name with one character dropped, doubled, swapped or changed."""
    k, how = int(rng.integers(1, len(name) - 1)), int(rng.integers(4))
    return {0: name[:k] + name[k + 1:], 1: name[:k] + name[k] + name[k:], 2: name[:k] + name[k + 1] + name[k] + name[k + 2:],
            3: name[:k] + "q" + name[k + 1:]}[how]


def wrong_ids(router: Router, seed: int, ports: int, borders: int) -> list[tuple[str, str]]:
    """Return (misspelt, meant) of every passage, some ports and some borders."""
    rng, n = np.random.default_rng(seed), router.network
    right = [*n.passage_ids, *rng.choice(n.port_ids, ports, replace=False).tolist(), *rng.choice(n.border_ids, borders, replace=False).tolist()]
    known = {name.casefold() for name in [*n.passage_ids, *n.port_ids, *n.border_ids]}
    known |= {"-".join(reversed(name.split("-"))).casefold() for name in n.border_ids}
    return [(wrong, name) for name in right for wrong in {misspelt(name, rng) for _ in range(3)} if wrong.casefold() not in known]


def test_a_misspelt_closure_is_refused_with_the_nearest_names(router: Router, layers: Layers, things: list[str]) -> None:
    cases = wrong_ids(router, 51, 40, 40)
    assert len(cases) > 200
    for wrong, meant in cases:
        for close, opened in (([wrong], []), ([], [wrong]), (["suez", wrong], ["northwest"])):
            with pytest.raises(UnknownName) as refused:
                Closures.of(close, opened, layers)
            assert refused.value.exit_code == 2
            assert refused.value.name == wrong
            assert refused.value.nearest, (wrong, meant)
            assert set(refused.value.nearest) <= set(things)
            assert "nearest: " in str(refused.value)
        if meant in router.network.passage_ids:
            assert meant in refused.value.nearest, (wrong, refused.value.nearest)


def test_a_misspelt_closure_of_a_route_is_refused(router: Router) -> None:
    for wrong, _ in wrong_ids(router, 52, 6, 6):
        for how in ({"close": [wrong]}, {"open": [wrong]}, {"close": ["malacca", wrong], "alternatives": 2}):
            with pytest.raises(BadInput, match="nearest: ") as refused:
                router.route("CNSHA", "NLRTM", modes=["sea"], **how)
            assert len(refused.value.problems) == 1
            assert repr(wrong) in refused.value.problems[0]


def test_every_misspelt_closure_is_named_at_once(layers: Layers) -> None:
    with pytest.raises(BadInput) as refused:
        Closures.of(["malaca", "suez", "CNSHX", "CHN-MMX"], ["northwst", "KOR-PRX"], layers)
    text = "\n".join(refused.value.problems)
    assert len(refused.value.problems) == 5
    assert all(name in text for name in ("malacca", "CNSHA", "CHN-MMR", "northwest", "KOR-PRK"))


@pytest.mark.parametrize("option", ["--close", "--open"])
@pytest.mark.parametrize(("wrong", "meant"), [("malaca", "malacca"), ("Hormus", "hormuz"), ("northern-sea-rout", "northern-sea-route"),
                                              ("CNSHX", "CNSHA"), ("SGSINN", "SGSIN"), ("CHN-MMX", "CHN-MMR"), ("CHN-USA", "CAN-USA"), ("", "")])
def test_the_command_refuses_a_misspelt_closure(study: Any, monkeypatch: pytest.MonkeyPatch, option: str, wrong: str, meant: str) -> None:
    monkeypatch.setattr(cli, "open_study", lambda obj: study)
    for more in ([], ["--json"]):
        result = CliRunner().invoke(cli.main, ["route", "CNSHA", "NLRTM", option, wrong, *more], catch_exceptions=False)
        assert result.exit_code == 2
        assert result.stdout == ""
        lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1
        assert f"{wrong!r}" in lines[0]
        assert meant in lines[0]
        assert "nearest: " in lines[0] or not wrong


# 5. Row order and whole turns change nothing; nothing given is altered.


def shuffled(layers: Layers, seed: int) -> Layers:
    names = [f.name for f in fields(layers) if isinstance(getattr(layers, f.name), pd.DataFrame)]
    tables = {name: getattr(layers, name).sample(frac=1.0, random_state=seed + i) for i, name in enumerate(names)}
    assert {"facilities", "ports", "markets", "passages", "countries", "transport"} <= set(tables)
    assert list(tables["ports"].index) != list(layers.ports.index)
    return replace(layers, **tables)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_order_of_rows_changes_nothing(router: Router, layers: Layers, things: list[str], seed: int) -> None:
    other = Router.open(shuffled(layers, seed))
    rng = np.random.default_rng(seed)
    for a, b, how in questions(router, 60 + seed, 60):
        how = {**how, "close": [*how["close"], *rng.choice(things, size=1).tolist()]}
        assert told(router.route(a, b, **how)) == told(other.route(a, b, **how)), (a, b, how)
    assert told(router.route(POINTS[0], POINTS[2], alternatives=3)) == told(other.route(POINTS[0], POINTS[2], alternatives=3))
    closures = Closures.of(["suez", "malacca"], [], layers)
    for one, two in zip(arrays(router.table(ORIGINS, DESTINATIONS, "oxide", closures)),
                        arrays(other.table(ORIGINS, DESTINATIONS, "oxide", closures)), strict=True):
        assert one.tobytes() == two.tobytes()


def test_the_order_of_rows_the_build_did_not_know_changes_nothing(layers: Layers) -> None:
    facilities = layers.facilities.copy()
    facilities.loc["vac-hanau", ["lon", "lat"]] = [11.58, 48.14]
    facilities.loc["mt-weld", ["lon", "lat"]] = [122.55, -28.86]
    facilities.loc["bayan-obo", ["lon", "lat"]] = [109.97, 41.78]
    ports = layers.ports.copy()
    ports.loc["NZAKL", ["lon", "lat"]] = [174.79, -36.85]
    moved = replace(layers, facilities=facilities, ports=ports)
    one, other = Router.open(moved), Router.open(shuffled(moved, 9))
    for a, b in (("mt-weld", "vac-hanau"), ("bayan-obo", "vac-hanau"), ("bayan-obo", "CNTXG"), ("mt-weld", "lynas-kuantan"), ("NZAKL", "mt-weld")):
        assert told(one.route(a, b, alternatives=2)) == told(other.route(a, b, alternatives=2)), (a, b)


def test_the_order_of_closures_and_ends_changes_nothing(router: Router, layers: Layers, things: list[str]) -> None:
    for close in closure_sets(router, things, 71, 2):
        for a, b in (("bayan-obo", "vac-hanau"), ("CNSHA", "NLRTM")):
            one = told(router.route(a, b, close=close))
            assert one == told(router.route(a, b, close=[*close[::-1], close[0].lower(), close[-1].upper()]))
    base = router.table(ORIGINS, DESTINATIONS, "metal")
    rng = np.random.default_rng(72)
    row, column = rng.permutation(len(ORIGINS)), rng.permutation(len(DESTINATIONS))
    turned = router.table([ORIGINS[i] for i in row], [DESTINATIONS[j] for j in column], "metal")
    for one, two in zip(arrays(base), arrays(turned), strict=True):
        assert one[np.ix_(row, column)].tobytes() == two.tobytes()


@pytest.mark.parametrize(("point", "turn"), [(p, t) for p, t in TURNS if abs(p[0] + t) <= 360.0], ids=str)
def test_a_whole_turn_of_a_point_changes_nothing(router: Router, point: tuple[float, float], turn: float) -> None:
    lon, lat = point[0] + turn, point[1]
    for modes in (["sea", "rail", "road"], ["sea"]):
        want = router.route(point, "CNSHA", modes=modes)
        turned = router.route((lon, lat), "CNSHA", modes=modes)
        assert turned.to_json() == want.to_json()  # says what differs
        assert told(turned) == told(want)
    assert told(router.route(f"{lon},{lat}", "CNSHA", modes=modes)) == told(want)


@pytest.mark.parametrize("lon", [360.5, -360.5, 475.53, -411.7])
def test_a_point_beyond_a_whole_turn_is_refused_and_never_another_place(router: Router, lon: float) -> None:
    with pytest.raises(BadInput, match="longitude"):
        router.route((lon, 35.5), "CNSHA")


def test_a_point_is_the_same_as_text_and_as_numbers(router: Router) -> None:
    for lon, lat in POINTS[:5]:
        assert told(router.route((lon, lat), "NLRTM")) == told(router.route(f" {lon}, {lat} ", "NLRTM"))


def test_the_antimeridian_is_one_place(router: Router) -> None:
    east, west = router.route((180.0, 10.0), "JPYOK"), router.route((-180.0, 10.0), "JPYOK")
    assert east.to_json() == west.to_json()
    assert told(east) == told(west)


def test_nothing_given_is_altered(layers: Layers) -> None:
    names = [f.name for f in fields(layers) if isinstance(getattr(layers, f.name), pd.DataFrame | pd.Series)]
    tables = {name: getattr(layers, name).copy(deep=True) for name in names}
    router = Router.open(layers)
    e, n = router.network.edges, router.network
    columns = {f.name: getattr(e, f.name).copy() for f in fields(e)}
    nodes, places, costs = n.xy.copy(), dict(n.places), {c: router.edge_cost(c).copy() for c in COMMODITIES}
    close, opened, modes, ends = ["suez", "CNSHA", "CHN-MMR"], ["northwest"], ["sea", "rail", "road"], list(ORIGINS)
    tolls = {("passage", "malacca"): 10.0}
    router.route("bayan-obo", "vac-hanau", close=close, open=opened, modes=modes, alternatives=3)
    router.route(POINTS[0], POINTS[3], close=close, open=opened, modes=modes)
    router.route(POINTS[7], "CNSHA", modes=["sea"])
    router.route("SGSIN", "SADMM", modes=["sea"], close=["hormuz"])
    closures = Closures.of(close, opened, layers)
    table = router.table(ends, DESTINATIONS, "metal", closures, tolls, [("port", "SGSIN")], frozenset({"CHN"}))
    table.geometry(table.trace(0, 0))
    router.attach({"buyer": (9.0, 50.0, None)}).table(["buyer"], ends, "magnet")
    assert (close, opened, modes, ends) == (["suez", "CNSHA", "CHN-MMR"], ["northwest"], ["sea", "rail", "road"], list(ORIGINS))
    assert tolls == {("passage", "malacca"): 10.0}
    for name, before in tables.items():
        after = getattr(layers, name)
        if isinstance(before, pd.Series):
            pd.testing.assert_series_equal(after, before)
        else:
            plain = [pd.DataFrame(t.drop(columns="geometry") if isinstance(t, gpd.GeoDataFrame) else t) for t in (after, before)]
            pd.testing.assert_frame_equal(*plain)
            if isinstance(before, gpd.GeoDataFrame):
                assert (shapely.to_wkb(after.geometry.to_numpy()) == shapely.to_wkb(before.geometry.to_numpy())).all()
    assert all(getattr(e, name).tobytes() == before.tobytes() for name, before in columns.items())
    assert n.xy.tobytes() == nodes.tobytes()
    assert dict(n.places) == places
    assert all(router.edge_cost(c).tobytes() == before.tobytes() for c, before in costs.items())


# 6. Enclosed seas, and gates as they stand on the map.


@pytest.fixture(scope="module")
def gates(layers: Layers) -> dict[str, Any]:
    """Each gate line where it is and one turn to either side."""
    return {str(name): shapely.union_all([shapely.affinity.translate(line, turn) for turn in (0.0, 360.0, -360.0)])
            for name, line in layers.passages.geometry.items()}


def sea_parts(route: Route, layers: Layers) -> list[shapely.LineString]:
    """Cut a route's own line at the harbours where its sea legs begin and end; knows nothing of the network."""
    xy, parts, at = np.array(route.line.coords), [], 0
    for leg in route.legs:
        if leg.mode == "sea":
            cut = []
            for port in (leg.start, leg.end):
                lon, lat = layers.ports.loc[port, ["lon", "lat"]]
                away = geo.geodesic_km(lon, lat, geo.wrap_lon(xy[at:, 0]), xy[at:, 1])
                at += int(np.argmin(away))
                assert away.min() < 0.5, (port, away.min())
                cut.append(at)
            assert cut[0] < cut[1]
            parts.append(shapely.LineString(xy[cut[0]:cut[1] + 1]))
    return parts


def crossed(parts: list[shapely.LineString], gates: dict[str, Any]) -> set[str]:
    return {name for name, line in gates.items() if any(part.intersects(line) for part in parts)}


def drawn(route: Route) -> shapely.Geometry:
    """Return the line as it is written."""
    return shapely.geometry.shape(route.to_json()["geometry"])


@pytest.mark.parametrize(("shut", "ports"), ENCLOSED.values(), ids=ENCLOSED)
def test_an_enclosed_sea_cannot_be_reached_by_sea(router: Router, layers: Layers, shut: tuple[str, ...], ports: list[str]) -> None:
    assert set(ports) <= set(layers.ports.index)
    assert len(ports) >= 8 or ports == RED  # the layer has five there
    for port in ports:
        for a, b in (("SGSIN", port), (port, "SGSIN")):
            route = router.route(a, b, modes=["sea"], close=shut)
            assert not route.reachable, (a, b)
            assert (route.distance_km, route.days, route.cost_usd_t) == (None, None, None)
            assert all(name in route.reason for name in shut), (a, b, route.reason)
            assert a in route.reason
            assert b in route.reason
            assert route.to_json()["geometry"] is None
            assert not route.legs
    other = router.route("SGSIN", ports[0], modes=["sea"], close=[*shut, "torres", "JPYOK", "CHN-MMR"])
    assert other.reason == router.route("SGSIN", ports[0], modes=["sea"], close=shut).reason  # others are not to blame


@pytest.mark.parametrize(("shut", "point"), [(shut, point) for shut, points in INSIDE.items() for point in points], ids=str)
def test_a_point_in_an_enclosed_sea_cannot_be_reached_by_sea(router: Router, shut: tuple[str, ...], point: tuple[float, float]) -> None:
    route = router.route("SGSIN", point, modes=["sea"], close=shut)
    assert not route.reachable, [(leg.mode, leg.start, leg.end, round(leg.distance_km)) for leg in route.legs]
    assert any(name in route.reason for name in shut)


@pytest.mark.parametrize("point", [point for points in INSIDE.values() for point in points], ids=str)
def test_a_point_within_60_km_of_a_lane_is_reached_by_sea(router: Router, point: tuple[float, float]) -> None:
    network = router.network
    near, here = np.inf, shapely.Point(point)
    for edge in np.flatnonzero(network.edges.mode == SEA):
        line = shapely.LineString(network.line(int(edge)))
        if line.distance(here) < 2.0:  # degrees: none of these points is near the antimeridian or a pole
            spot = line.interpolate(line.project(here))
            near = min(near, float(geo.geodesic_km(*point, spot.x, spot.y)))
    assert near < 55
    route = router.route("SGSIN", point, modes=["sea"])
    assert route.reachable, (route.reason, near)


@pytest.mark.parametrize("end", ["bayan-obo", "mountain-pass-mine", (0.0, -89.0)], ids=str)
@pytest.mark.parametrize("close", [["danish-straits", "kiel"], ["hormuz"], ["suez", "bab-el-mandeb"]], ids=str)
def test_a_closure_is_not_blamed_for_what_has_no_way_anyhow(router: Router, end: Any, close: list[str]) -> None:
    for a, b in (("SGSIN", end), (end, "SGSIN")):
        without, under = router.route(a, b, modes=["sea"]), router.route(a, b, modes=["sea"], close=close)
        assert not without.reachable
        assert under.reason == without.reason


@pytest.mark.parametrize(("shut", "point"), [(shut, point) for shut, points in OUTSIDE.items() for point in points], ids=str)
def test_a_point_outside_an_enclosed_sea_is_reached_by_sea(router: Router, gates: dict[str, Any], shut: tuple[str, ...], point: tuple[float, float]) -> None:
    route = router.route("SGSIN", point, modes=["sea"], close=shut)
    assert route.reachable, route.reason
    assert crossed([drawn(route)], gates) == set(route.passages)


@pytest.mark.parametrize(("shut", "ports"), ENCLOSED.values(), ids=ENCLOSED)
def test_an_enclosed_sea_is_joined_within_and_holds_no_other_port(router: Router, layers: Layers, shut: tuple[str, ...], ports: list[str]) -> None:
    apart = [(a, b) for a, b in zip(ports[:-1], ports[1:], strict=True) if not router.route(a, b, modes=["sea"], close=shut).reachable]
    assert not apart
    cut_off = [p for p in layers.ports.index.difference(ports) if not router.route("SGSIN", p, modes=["sea"], close=shut).reachable]
    assert not cut_off


def test_azov_is_shut_by_either_gate(router: Router) -> None:
    for shut in (["bosporus"], ["dardanelles"], ["bosporus", "dardanelles"]):
        for port in AZOV:
            route = router.route("SGSIN", port, modes=["sea"], close=shut)
            assert not route.reachable
            assert any(name in route.reason for name in shut)
            assert router.route("ROCND", port, modes=["sea"], close=shut).reachable


@pytest.mark.parametrize(("shut", "ports"), ENCLOSED.values(), ids=ENCLOSED)
def test_an_enclosed_sea_is_reached_over_land(router: Router, layers: Layers, gates: dict[str, Any], shut: tuple[str, ...], ports: list[str]) -> None:
    for port in ports:
        route = router.route("SGSIN", port, close=shut)
        assert route.reachable, port
        assert not set(shut) & set(route.passages), port
        assert {"rail", "road"} & {leg.mode for leg in route.legs}, port
        assert route.legs[0].mode in {"sea", "port"}
        assert len(set(route.ports)) >= 2  # a ship's harbours at both ends of the first sea leg
        parts = sea_parts(route, layers)
        assert parts
        assert not crossed(parts, {name: gates[name] for name in shut}), port
        assert crossed(parts, gates) == set(route.passages), port


@pytest.mark.parametrize(("port", "shut", "country"), [("SADMM", ["hormuz"], "SAU"), ("AEJEA", ["hormuz"], "ARE"), ("KWSAA", ["hormuz"], "KWT"),
                                                       ("ROCND", ["bosporus"], "ROU"), ("BGVAR", ["bosporus"], "BGR"), ("RUNVS", ["bosporus"], "RUS"),
                                                       ("PLGDN", ["danish-straits", "kiel"], "POL"), ("RULED", ["danish-straits", "kiel"], "RUS"),
                                                       ("SAJED", ["suez", "bab-el-mandeb"], "SAU"), ("EGPSD", ["gibraltar", "suez"], "EGY")])
def test_the_last_leg_into_an_enclosed_sea_is_over_land(router: Router, port: str, shut: list[str], country: str) -> None:
    route = router.route("SGSIN", port, close=shut)
    assert route.legs[-1].mode in {"rail", "road"}
    assert route.legs[-1].end == port
    assert route.countries[-1] == country
    assert port not in route.ports  # no ship calls there


@pytest.mark.parametrize("turn", range(4))
def test_a_ship_passes_exactly_the_gates_its_line_crosses(router: Router, layers: Layers, gates: dict[str, Any], turn: int) -> None:
    rng = np.random.default_rng(80 + turn)
    seen: set[str] = set()
    for k in range(60):
        a, b = rng.choice(SEA_ENDS, size=2, replace=False).tolist()
        close = rng.choice(sorted(gates), size=int(rng.integers(0, 5)), replace=False).tolist()
        opened = ["northern-sea-route", "northwest"] if k % 5 == 0 else []
        route = router.route(a, b, modes=["sea"], close=close, open=opened)
        if not route.reachable:
            assert close
            assert route.to_json()["geometry"] is None
            continue
        met = crossed([drawn(route)], gates)
        assert not met & set(close), (a, b, close)
        assert met == set(route.passages), (a, b, close)
        seen |= met
    assert len(seen) >= 15


def test_no_ship_of_a_table_crosses_a_closed_gate(router: Router, layers: Layers, gates: dict[str, Any]) -> None:
    rng = np.random.default_rng(91)
    network = router.network
    for _ in range(10):
        close = rng.choice(sorted(gates), size=4, replace=False).tolist()
        table = router.table(ORIGINS, DESTINATIONS, "magnet", Closures.of(close, [], layers))
        for i, j in rng.integers(0, len(ORIGINS), size=(15, 2)):
            path = table.trace(int(i), int(j))
            at_sea = [shapely.LineString(network.line(e)) for e in path.edges if network.edges.mode[e] == SEA]
            met = crossed(at_sea, gates)
            assert not met & set(close), (ORIGINS[i], DESTINATIONS[j], close)
            assert met == set(path.passages), (ORIGINS[i], DESTINATIONS[j], close)


# 7. There and back; by way of a port.


def test_there_and_back_is_as_far(router: Router, layers: Layers) -> None:
    rng = np.random.default_rng(95)
    for _ in range(40):
        a, b = rng.choice(SEA_ENDS, size=2, replace=False).tolist()
        close = rng.choice(router.network.passage_ids, size=2, replace=False).tolist()
        there, back = (router.route(*ends, modes=["sea"], close=close) for ends in ((a, b), (b, a)))
        assert there.reachable == back.reachable
        if there.reachable:
            assert there.distance_km == pytest.approx(back.distance_km, rel=1e-9)
            assert there.days == pytest.approx(back.days, rel=1e-9)
            assert there.cost_usd_t == pytest.approx(back.cost_usd_t, rel=1e-9)
            assert set(there.passages) == set(back.passages)
    ends = sorted({*ORIGINS, *DESTINATIONS})
    for commodity in ("concentrate", "magnet"):
        table = router.table(ends, ends, commodity)
        np.testing.assert_allclose(table.cost_usd_t, table.cost_usd_t.T, rtol=1e-9)


@pytest.mark.parametrize("close", [[], ["suez"], ["malacca", "panama", "hormuz"]])
def test_a_way_by_a_port_is_never_cheaper_than_the_best_way(router: Router, layers: Layers, close: list[str]) -> None:
    ports = sorted({*SEA_ENDS, *(d for d in DESTINATIONS if d in router.network.port_ids)})
    closures = Closures.of(close, [], layers)
    direct = router.table(ORIGINS, DESTINATIONS, "magnet", closures).cost_usd_t
    first, second = router.table(ORIGINS, ports, "magnet", closures).cost_usd_t, router.table(ports, DESTINATIONS, "magnet", closures).cost_usd_t
    by_port = (first[:, :, None] + second[None, :, :]).min(axis=1)
    assert (direct <= by_port * (1 + SHARE)).all()


@pytest.mark.parametrize("point", [(56.75, 26.45), (57.0, 26.2), (12.65, 55.8), (122.6, 30.9), (-74.0, 39.6), (90.1, 0.3)], ids=str)
def test_more_modes_never_raise_the_cost_of_a_point_at_sea(router: Router, point: tuple[float, float]) -> None:
    by_sea, by_all = router.route("SGSIN", point, modes=["sea"]), router.route("SGSIN", point)
    assert by_sea.reachable
    assert by_all.reachable
    assert by_all.cost_usd_t <= by_sea.cost_usd_t * (1 + SHARE), [(leg.mode, leg.end, round(leg.distance_km)) for leg in by_all.legs]


def test_more_modes_never_raise_a_cost(router: Router) -> None:
    rng = np.random.default_rng(97)
    places = [*ORIGINS, *DESTINATIONS, *SEA_ENDS]
    for _ in range(40):
        a, b = rng.choice(places, size=2, replace=False).tolist()
        close = rng.choice(router.network.passage_ids, size=2, replace=False).tolist()
        costs = []
        for modes in (["road"], ["road", "rail"], ["road", "rail", "sea"]):
            route = router.route(a, b, modes=modes, close=close)
            costs.append(route.cost_usd_t if route.reachable else np.inf)
        assert costs[2] <= costs[1] * (1 + SHARE)
        assert costs[1] <= costs[0] * (1 + SHARE)

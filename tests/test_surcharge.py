"""War-risk surcharges on passages: what they cost, their laws, how they are given and refused, where they are told."""

import datetime as dt
import json
import math
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from invented import invent

from atlas import cli, export, stored
from atlas.certificate import capacity_problems, flow_problems
from atlas.config import settings
from atlas.errors import BadInput, UnknownName
from atlas.halt import Names
from atlas.route_check import check_route
from atlas.routing import COMMODITIES, Closures, Router
from atlas.scenario import Scenario, Surcharge, from_dict
from atlas.study import Study
from atlas.way import MOST_SURCHARGE_USD_T, read_surcharges, summed
from atlas.web import create_app

FROM = ["CNSHA", "bayan-obo", "lynas-kuantan", "mountain-pass-mine", "SADMM", "ganzhou-qiandong-separation"]
TO = ["NLRTM", "vac-hanau", "usa-market", "deu-market", "jpn-market", "AEJEA", "SGSIN"]
PASSAGES = ["suez", "bab-el-mandeb", "malacca", "panama", "taiwan", "hormuz", "gibraltar"]
HUGE = MOST_SURCHARGE_USD_T


@pytest.fixture(scope="module")
def router(study: Study) -> Router:
    return study.router


def question(*rows: Mapping[str, Any], halts: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"name": "scenario", "surcharge": list(rows), "halt": [{"spec": h} for h in halts]}


def charged(study: Study, usd_t: float, passage: str = "suez", halts: tuple[str, ...] = ()) -> Any:
    return study.solve(scenario=question({"passage": passage, "usd_t": usd_t}, halts=halts))


# Routing

def test_nothing_charged_changes_nothing(router: Router) -> None:
    plain = router.table(FROM, TO, "magnet", watch=[("passage", "suez")])
    for free in ({}, {"suez": 0.0}, {"suez": 0.0, "malacca": 0}):
        same = router.table(FROM, TO, "magnet", watch=[("passage", "suez")], surcharges=free)
        for name in ("cost_usd_t", "steered_cost", "distance_km", "days"):
            assert getattr(same, name).tobytes() == getattr(plain, name).tobytes()
        assert (same.uses[("passage", "suez")] == plain.uses[("passage", "suez")]).all()


@pytest.mark.parametrize("commodity", COMMODITIES)
def test_a_crossing_pays_for_its_gross_weight(router: Router, commodity: str) -> None:
    gross = float(router.layers.constants[f"gross_t_per_t_{commodity}"])
    plain = router.table(["CNSHA", "KRPUS"], ["NLRTM", "JPYOK"], commodity, watch=[("passage", "suez")])
    dear = router.table(["CNSHA", "KRPUS"], ["NLRTM", "JPYOK"], commodity, watch=[("passage", "suez")], surcharges={"suez": 2.5})
    uses = plain.uses[("passage", "suez")]
    assert uses.any()
    assert not uses.all()
    np.testing.assert_allclose(dear.cost_usd_t, plain.cost_usd_t + 2.5 * gross * uses, rtol=1e-9)
    np.testing.assert_array_equal(dear.steered_cost, dear.cost_usd_t)
    for i, j in np.argwhere(uses):
        path = dear.trace(int(i), int(j))
        assert path.nodes == plain.trace(int(i), int(j)).nodes
        assert path.cost_usd_t == pytest.approx(dear.cost_usd_t[i, j], rel=1e-9)
        assert sum(leg.cost_usd_t for leg in path.legs) == pytest.approx(path.cost_usd_t, rel=1e-9)


@pytest.mark.parametrize("passage", PASSAGES)
@pytest.mark.parametrize("commodity", ["concentrate", "magnet"])
def test_more_is_never_cheaper_and_never_dearer_than_closing(router: Router, passage: str, commodity: str) -> None:
    rising = [router.table(FROM, TO, commodity).cost_usd_t]
    rising += [router.table(FROM, TO, commodity, surcharges={passage: usd}).cost_usd_t for usd in (1.0, 20.0, 90.0, 300.0, HUGE)]
    rising.append(router.table(FROM, TO, commodity, Closures(passages=frozenset({passage}))).cost_usd_t)
    for less, more in zip(rising[:-1], rising[1:], strict=True):
        assert (more >= less - 1e-6 * np.abs(less)).all()


@pytest.mark.parametrize("passage", PASSAGES)
def test_a_huge_one_takes_the_ways_of_a_closed_passage(router: Router, passage: str) -> None:
    """Where another way exists it is taken, node by node; where none does, the goods pay and pass."""
    thing = ("passage", passage)
    shut = router.table(FROM, TO, "magnet", Closures(passages=frozenset({passage})))
    dear = router.table(FROM, TO, "magnet", watch=[thing], surcharges={passage: HUGE})
    other = np.isfinite(shut.cost_usd_t)
    np.testing.assert_allclose(dear.cost_usd_t[other], shut.cost_usd_t[other], rtol=1e-9)
    assert not dear.uses[thing][other].any()
    for i, j in np.argwhere(other):
        assert dear.trace(int(i), int(j)).nodes == shut.trace(int(i), int(j)).nodes
    assert np.isfinite(dear.cost_usd_t).all()
    assert dear.uses[thing][~other].all()


def test_by_sea_alone_the_gulf_pays_what_nothing_avoids(router: Router) -> None:
    free = router.route("SADMM", "SGSIN", modes=["sea"])
    dear = router.route("SADMM", "SGSIN", modes=["sea"], surcharges={"hormuz": 1000.0})
    assert "hormuz" in dear.passages
    assert dear.cost_usd_t == pytest.approx(free.cost_usd_t + 1000.0 * router.layers.constants["gross_t_per_t_magnet"])
    assert not router.route("SADMM", "SGSIN", modes=["sea"], close=["hormuz"]).reachable


def test_two_commute_and_both_are_paid(router: Router) -> None:
    one = router.table(FROM, TO, "oxide", surcharges={"suez": 3.1, "bab-el-mandeb": 0.7, "malacca": 11.3})
    two = router.table(FROM, TO, "oxide", surcharges={"malacca": 11.3, "bab-el-mandeb": 0.7, "suez": 3.1})
    assert one.cost_usd_t.tobytes() == two.cost_usd_t.tobytes()
    both = router.route("CNSHA", "NLRTM", modes=["sea"], surcharges=["suez=3", "bab-el-mandeb=4"])
    plain = router.route("CNSHA", "NLRTM", modes=["sea"])
    assert both.cost_usd_t == pytest.approx(plain.cost_usd_t + 7 * router.layers.constants["gross_t_per_t_magnet"])
    assert summed([("suez", 0.1), ("malacca", 0.0), ("suez", 0.2), ("suez", 0.7)]) == (("suez", 1.0),)


def test_tolls_steer_and_surcharges_are_paid_beside_them(router: Router) -> None:
    thing, gross = ("passage", "suez"), float(router.layers.constants["gross_t_per_t_magnet"])
    both = router.table(["CNSHA"], ["NLRTM"], "magnet", tolls={thing: 2.0}, surcharges={"suez": 3.0})
    assert both.steered_cost[0, 0] == pytest.approx(both.cost_usd_t[0, 0] + 2.0)
    assert both.cost_usd_t[0, 0] == pytest.approx(router.table(["CNSHA"], ["NLRTM"], "magnet").cost_usd_t[0, 0] + 3.0 * gross)


def test_a_shut_passage_charges_nobody(router: Router) -> None:
    plain, shut = (router.table(FROM, TO, "magnet", surcharges=c) for c in ({}, {"northern-sea-route": 50.0}))
    assert plain.cost_usd_t.tobytes() == shut.cost_usd_t.tobytes()


def test_threads_do_not_see_each_others_and_nothing_is_kept(router: Router) -> None:
    before = {c: router.edge_cost(c).tobytes() for c in COMMODITIES}
    cases: list[dict[str, float]] = [{}, {"suez": 5.0}, {"suez": 500.0}, {"malacca": 40.0}, {"suez": 40.0, "panama": HUGE}]
    want = [router.table(FROM, TO, "magnet", surcharges=c).cost_usd_t for c in cases]
    assert len({w.tobytes() for w in want}) == len(cases)
    with ThreadPoolExecutor(12) as pool:
        jobs = [(k % len(cases), pool.submit(router.table, FROM, TO, "magnet", surcharges=cases[k % len(cases)])) for k in range(60)]
        for k, job in jobs:
            assert job.result().cost_usd_t.tobytes() == want[k].tobytes()
    assert {c: router.edge_cost(c).tobytes() for c in COMMODITIES} == before


def test_a_route_pays_moves_and_checks(router: Router) -> None:
    plain, low, high = (router.route("CNSHA", "NLRTM", modes=["sea"], surcharges=s) for s in ({}, {"SUEZ": 5}, ["suez=400"]))
    assert low.legs[1].cost_usd_t == pytest.approx(plain.legs[1].cost_usd_t + 5.5)
    assert "suez" in low.passages
    assert "cape-of-good-hope" in high.passages
    assert high.cost_usd_t == router.route("CNSHA", "NLRTM", modes=["sea"], close=["suez"]).cost_usd_t
    for route in (low, high):
        assert check_route(json.loads(json.dumps(route.to_json())), router.layers).problems == ()
    ways = router.route("CNSHA", "NLRTM", modes=["sea"], surcharges=["suez=40"], alternatives=3)
    costs = [w.cost_usd_t for w in ways]
    assert costs == sorted(costs)
    assert len(costs) > 1


def test_wrong_amounts_and_names_are_refused_at_once(router: Router) -> None:
    with pytest.raises(BadInput) as e:
        router.route("CNSHA", "NLRTMX", close=["malaca"],
                     surcharges=["suess=3", "suez=-1", "suez=2", "panama=nan", "taiwan=inf", "korea", "=4", "gibraltar=x"])  # fmt: skip
    text = "; ".join(e.value.problems)
    assert len(e.value.problems) == 10
    for part in ("NLRTM", "malacca", "nearest: suez", "'-1'", "given twice", "'nan'", "'inf'", "'korea'", "'=4'", "'x'", "0 to 1,000,000"):
        assert part in text, part
    with pytest.raises(UnknownName, match="suez"):
        read_surcharges({"suess": 1.0}, router.layers)
    for bad in (-1.0, math.nan, math.inf, HUGE * 2, True, None):
        with pytest.raises(BadInput, match="suez"):
            read_surcharges({"suez": bad}, router.layers)  # type: ignore[dict-item]
        with pytest.raises(BadInput, match="suez"):
            router.table(["CNSHA"], ["NLRTM"], "magnet", surcharges={"suez": bad})  # type: ignore[dict-item]
    with pytest.raises(UnknownName, match="suez"):
        router.table(["CNSHA"], ["NLRTM"], "magnet", surcharges={"suess": 1.0})


# A world solved by hand: AAA sends BBB 300 t of magnets through the strait, or round it for 4 USD/t more.

@pytest.mark.parametrize(("usd_t", "more_usd", "through"), [(0.0, 0.0, True), (3.0, 900.0, True), (50.0, 1200.0, False)])
def test_the_invented_strait(usd_t: float, more_usd: float, through: bool) -> None:
    world = invent()
    state = world.halted(Scenario(surcharges=(Surcharge("strait", usd_t),)))
    assert state.optimum.objective == pytest.approx(world.before.optimum.objective + more_usd, abs=1e-3)
    abroad = np.flatnonzero((state.option_t > 1) & (state.routes.freight_usd_t > 0))
    assert len(abroad)
    assert all((state.routes.path(int(k)).passages == ("strait",)) == through for k in abroad)


# Answers

def test_a_small_one_is_spent_to_the_dollar_and_proved(study: Study) -> None:
    """At 2 USD a tonne no way moves, so the flows pay exactly their crossings."""
    outcome = charged(study, 2.0)
    before, after = outcome.summary["baseline"], outcome.summary["halted"]
    flows = outcome.flows[outcome.flows["route_id"] != ""]
    real = flows[flows["passages"].str.split(";").map(lambda p: "suez" in p)]
    halted = real[real["state"] == "halted"]
    gross = halted["commodity"].map(lambda c: float(study.layers.constants[f"gross_t_per_t_{c}"]))
    paid = float((halted["tonnes"] * gross * 2.0).sum())
    assert paid > 1000
    lane = ["commodity", "element", "grade", "from_id", "to_id", "route_id"]
    both = halted.merge(real[real["state"] == "baseline"], on=lane, suffixes=("", "_before"))
    assert len(both) > 20
    weight = both["commodity"].map(lambda c: float(study.layers.constants[f"gross_t_per_t_{c}"]))
    np.testing.assert_allclose(both["cost_usd_t"], both["cost_usd_t_before"] + 2.0 * weight, rtol=1e-9)
    rise = outcome.halted.reading.objective_usd - outcome.baseline.reading.objective_usd
    assert 0 < rise <= paid * 1.02 + 1
    assert max(v for c in outcome.summary["certificate"].values() for v in c.values()) <= 1e-6
    for state in ("baseline", "halted"):
        assert flow_problems(outcome.flows, study.layers, state) == []
        assert capacity_problems(outcome.flows, study.layers, state) == []
    assert after["supplied_t"] == pytest.approx(before["supplied_t"], rel=1e-6)


@pytest.mark.slow
def test_more_never_lowers_the_objective_and_ends_at_the_closure(study: Study) -> None:
    plain = study.solve()
    steps = [charged(study, usd) for usd in (0.0, 5.0, 60.0, 250.0, HUGE)]
    objective = [plain.halted.reading.objective_usd, *(s.halted.reading.objective_usd for s in steps)]
    for less, more in zip(objective[:-1], objective[1:], strict=True):
        assert more >= less * (1 - 1e-9)
    assert steps[0].is_baseline
    assert steps[0].summary["halted"] == plain.summary["baseline"]
    assert objective[-1] > objective[0]
    shut = study.solve(["passage:suez"])
    assert objective[-1] <= shut.halted.reading.objective_usd * (1 + 1e-9)
    assert objective[-1] == pytest.approx(shut.halted.reading.objective_usd, rel=1e-7)
    told = steps[-1].summary["halted"]["throughput_t"]["passage"]
    assert "suez" not in told
    assert told == pytest.approx(shut.summary["halted"]["throughput_t"]["passage"], rel=1e-4, abs=1)
    for outcome in steps:
        assert json.dumps(outcome.summary["baseline"]) == json.dumps(plain.summary["baseline"])
        assert max(v for c in outcome.summary["certificate"].values() for v in c.values()) <= 1e-6


@pytest.mark.parametrize("halts", [
    pytest.param(("passage:malacca@0.5",), marks=pytest.mark.slow), pytest.param(("passage:suez@0.5",), marks=pytest.mark.slow),
    ("country:CHN@0.5/magnet", "port:MYKUA"),
], ids="+".join)  # fmt: skip
def test_on_top_of_halts_it_never_lowers_the_objective(study: Study, halts: tuple[str, ...]) -> None:
    bare, dear = study.solve(halts), charged(study, 30.0, "bab-el-mandeb", halts)
    assert dear.scenario.specs == bare.scenario.specs
    assert dear.halted.reading.objective_usd >= bare.halted.reading.objective_usd * (1 - 1e-9)
    assert max(v for c in dear.summary["certificate"].values() for v in c.values()) <= 1e-6
    assert flow_problems(dear.flows, study.layers, "halted") == []


def test_order_is_free_and_amounts_tell_answers_apart(study: Study) -> None:
    a, b = {"passage": "suez", "usd_t": 5}, {"passage": "malacca", "usd_t": 2.5}
    one, two = (study.question(scenario=question(*rows)) for rows in ((a, b), (b, a)))
    assert one == two
    assert one.key == two.key
    assert study.solve(scenario=question(a, b)) is study.solve(scenario=question(b, a))
    others = [study.question(scenario=question(*rows)).key for rows in ((a,), (b,), (a | {"usd_t": 6}, b), (a, a, b))]
    assert len({one.key, study.question().key, *others}) == 6
    assert study.question(scenario=question(a, a)).charges == (("suez", 10.0),)
    assert study.question(["passage:panama"], question(a)).charges == (("suez", 5.0),)


def test_it_is_told_in_the_answer_and_the_stored_one_holds(study: Study, tmp_path: Path) -> None:
    outcome = study.solve(scenario=question({"passage": "suez", "usd_t": 5}, {"passage": "malacca", "usd_t": 1, "to": "2023-12-31"}),
                          on=dt.date(2024, 1, 15))  # fmt: skip
    assert outcome.summary["scenario"]["surcharges"] == [{"passage": "suez", "usd_t": 5.0}]
    assert any(t.startswith("war risk of 5.00 USD per gross tonne through suez") for t in outcome.summary["tuned"])
    assert any("through malacca: not in force on 2024-01-15" in t for t in outcome.notes)
    assert outcome.sentence.startswith("With war risk of 5.00 USD per gross tonne through suez, ")
    assert study.solve().summary["scenario"]["surcharges"] == []
    export.write_outcome(outcome, tmp_path / "out", page=lambda: "<!doctype html>")
    found = stored.check_folder(tmp_path / "out", study.layers)
    assert found["ok"], found["problems"]
    both = study.solve(["port:MYKUA"], question({"passage": "suez", "usd_t": 5}))
    assert "halted and war risk of 5.00" in both.sentence


def test_the_shipped_premium_is_a_share_of_the_hull(study: Study) -> None:
    c = study.layers.constants
    outcome = study.solve(scenario="red-sea-war-risk-2024")
    (found,) = outcome.scenario.surcharges
    assert found.passage == "bab-el-mandeb"
    assert found.usd_t == pytest.approx(0.875 / 100 * c["war_risk_hull_usd"] / c["war_risk_carried_t"])
    assert 4 < found.usd_t < 6
    assert "0.875 % of the hull's value" in found.words
    assert [t for t in outcome.notes if "(0.7 % of" in t and "not in force" in t]
    (earlier,) = study.question(scenario="red-sea-war-risk-2024", on=dt.date(2024, 1, 2)).surcharges
    assert earlier.hull_value_pct == 0.7
    told = outcome.summary["halted"]["throughput_t"]["passage"]["bab-el-mandeb"]
    assert told == pytest.approx(outcome.summary["baseline"]["throughput_t"]["passage"]["bab-el-mandeb"], rel=0.05)


# How it is given

NAMES = Names(**(dict.fromkeys(("facility", "site", "operator", "port", "border", "country", "bloc", "sector", "demand_country"),
                               frozenset[str]()) | {"passage": frozenset({"suez", "malacca"})}), hull_usd_t=500.0)  # fmt: skip


def test_all_problems_come_at_once() -> None:
    raw = question(
        {"passage": "suess", "usd_t": -1},
        {"passage": "suez", "usd_t": math.nan},
        {"passage": "suez", "usd_t": 1, "hull_value_pct": 0.5},
        {"passage": "suez"},
        {"usd_t": 1, "from": "soon", "to": "2024-13-01"},
        {"passage": "suez", "usd_t": 1, "from": "2024-02-01", "to": "2024-01-01"},
        {"passage": "suez", "hull_value_pct": 101, "form": 1},
        {"passage": "suez", "usd_t": True},
        {"passage": 7, "usd_t": "5"},
    )
    with pytest.raises(BadInput) as e:
        from_dict(raw, NAMES)
    wanted = ["1: unknown passage 'suess'; nearest: suez", "1: usd_t: expected", "2: usd_t: expected", "3: expected one of usd_t and hull_value_pct, found both",
              "4: expected one of usd_t and hull_value_pct, found neither", "5: expected `passage`", "5: from: expected a date", "5: to: expected a date",
              "6: `to` 2024-01-01 lies before", "7: hull_value_pct: expected a number from 0 to 100", "7: unknown field 'form'; nearest: from",
              "8: usd_t: expected", "9: expected `passage`", "9: usd_t: expected"]  # fmt: skip
    assert len(e.value.problems) == len(wanted)
    assert all(any(p.startswith(f"surcharge {w}") for p in e.value.problems) for w in wanted)


def test_a_premium_needs_the_value_of_a_hull() -> None:
    rows = question({"passage": "suez", "hull_value_pct": 1.0})
    assert from_dict(rows, NAMES).surcharges == (Surcharge("suez", 5.0, 1.0),)
    bare = Names(**{k: getattr(NAMES, k) for k in NAMES.__dataclass_fields__ if k != "hull_usd_t"})
    with pytest.raises(BadInput, match="no value of a hull"):
        from_dict(rows, bare)
    with pytest.raises(BadInput, match="list of tables"):
        from_dict({"surcharge": {"passage": "suez", "usd_t": 1}}, NAMES)


def test_dates_pick_what_is_in_force() -> None:
    raw = question({"passage": "suez", "usd_t": 2, "to": "2023-12-31"}, {"passage": "suez", "usd_t": 3, "from": "2024-01-01", "source": "x"})
    assert from_dict(raw, NAMES, on=dt.date(2023, 12, 1)).charges == (("suez", 2.0),)
    later = from_dict(raw, NAMES, on=dt.date(2024, 1, 1))
    assert later.charges == (("suez", 3.0),)
    assert later.dropped == ("war risk of 2.00 USD per gross tonne through suez",)
    assert from_dict(raw, NAMES).charges == (("suez", 5.0),)


def test_nothing_charged_is_the_baseline_and_says_so() -> None:
    free = from_dict(question({"passage": "suez", "usd_t": -0.0}), NAMES)
    assert free.is_baseline
    assert free.charges == ()
    assert free.surcharges[0].words == "war risk of 0.00 USD per gross tonne through suez"
    assert not from_dict(question({"passage": "suez", "usd_t": 0.004}), NAMES).is_baseline
    assert Surcharge("suez", 0.004).words.startswith("war risk of 0.004 USD")


# Command and web

def test_the_command_takes_surcharges(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "open_study", lambda obj: study)

    def run(*more: str) -> Any:
        return CliRunner().invoke(cli.main, ["route", "CNSHA", "NLRTM", "--modes", "sea", *more, "--json"], catch_exceptions=False)

    plain, low, high = (json.loads(run(*more).stdout) for more in ((), ("--surcharge", "suez=5", "--surcharge", "malacca=0"), ("--surcharge", "suez=500")))
    assert low["cost_usd_t"] == pytest.approx(plain["cost_usd_t"] + 5.5)
    assert "suez" not in high["passages"]
    bad = run("--surcharge", "suess=5", "--surcharge", "suez=much", "--close", "malaca")
    assert bad.exit_code == 2
    assert all(part in bad.stderr for part in ("nearest: suez", "'much'", "nearest: malacca"))


@pytest.fixture(scope="module")
def client(study: Study) -> Iterator[Any]:
    with create_app(study, settings()).test_client() as made:
        yield made


def test_a_body_may_hold_surcharges(client: Any) -> None:
    body = question({"passage": "bab-el-mandeb", "hull_value_pct": 1.0})
    got = client.post("/api/solve", json=body)
    assert got.status_code == 200
    (told,) = got.get_json()["scenario"]["surcharges"]
    assert told["hull_value_pct"] == 1.0
    assert 5 < told["usd_t"] < 6
    assert got.get_json()["halted"]["objective_usd"] >= got.get_json()["baseline"]["objective_usd"]
    bad = client.post("/api/solve", json=question({"passage": "suess", "usd_t": -3}, {"passage": "suez"}))
    assert bad.status_code == 400
    assert len(bad.get_json()["problems"]) == 3


def test_an_address_may_hold_surcharges(client: Any) -> None:
    plain, dear = (client.get(f"/api/route?from=CNSHA&to=NLRTM&modes=sea{more}").get_json() for more in ("", "&surcharge=suez=5&surcharge=malacca%3D1"))
    assert dear["cost_usd_t"] == pytest.approx(plain["cost_usd_t"] + 6.6)
    bad = client.get("/api/route?from=CNSHA&to=NLRTM&surcharge=suess=5,suez=-1,panama")
    assert bad.status_code == 400
    assert len(bad.get_json()["problems"]) == 3
    page = client.get("/route?from=CNSHA&to=NLRTM&modes=sea&surcharge=suez=5").text
    assert "a surcharge of 5 USD per gross tonne on the Suez Canal" in page
    assert 'name="surcharge" value="suez=5" checked' in page
    assert "/api/route?from=CNSHA&amp;to=NLRTM&amp;surcharge=suez=5&amp;modes=sea" in page
    assert client.get("/route?from=CNSHA&to=NLRTM&surcharge=suez%3Cb%3E=5").status_code == 400

"""Laws that hold for any network: on invented worlds by drawn examples, on the shipped one by seeded samples.

The case in which total shortage falls under a halt though the objective rises stands in test_model, worked by hand;
one of the shipped world is here.
"""

import copy
import dataclasses
import os
import random
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from invented import Invented, invent, invent_wide, wide_layers
from scipy import sparse

from atlas.calibration import state_calibration
from atlas.certificate import capacity_problems, flow_problems
from atlas.frame import frame
from atlas.halt import Halt, merge
from atlas.outcome import certify
from atlas.prices import prices
from atlas.readback import Reading
from atlas.scenario import Buyer, Scenario
from atlas.solving import State, open_routes, solve_halted, solve_open
from atlas.study import Study
from atlas.world import World, build_world

few = settings(derandomize=True, deadline=None, max_examples=15, database=None)
RELATIVE = 1e-6

# Halts of the invented world -------------------------------------------------------------------------------------

FILTERS = [
    {}, {"commodities": {"magnet"}}, {"commodities": {"oxide", "metal"}}, {"commodities": {"concentrate", "scrap"}},
    {"elements": {"Dy"}}, {"elements": {"Nd", "Pr"}}, {"commodities": {"magnet"}, "elements": {"Dy"}},
]  # fmt: skip
UNITS = ["a-mine", "a-clay", "b-mine", "a-sep", "b-sep", "a-met", "b-met", "a-mag", "a-mag2", "b-mag", "c-mag", "a-rec"]
TARGETS = [
    *(("country", c, d) for c in ("AAA", "BBB", "CCC") for d in ("", "AAA", "BBB", "CCC", "pair") if c != d),
    *(("facility", i, "") for i in UNITS),
    ("site", "a-works", ""), ("operator", "digger", ""), ("passage", "strait", ""),
    *(("stage", f"{c}/{s}", "") for c in ("AAA", "BBB") for s in ("mine", "separation", "metal", "magnet")),
]  # fmt: skip


def halt(target: tuple[str, str, str], share: float, filtered: Mapping[str, set[str]]) -> Halt:
    return Halt(*target, share, **{k: frozenset(v) for k, v in filtered.items()})


halts = st.builds(halt, st.sampled_from(TARGETS), st.sampled_from([1.0, 0.9, 0.5, 0.2]), st.sampled_from(FILTERS))
chains = st.lists(halts, min_size=3, max_size=4, unique_by=lambda h: h.identity)
worlds = st.integers(0, 5).map(invent_wide)


def scenario(chain: Sequence[Halt]) -> Scenario:
    return Scenario(halts=merge(chain))


# What every state of every world must show -----------------------------------------------------------------------


def unbalanced(layers: Any, reading: Reading) -> list[str]:
    """Return what does not close at a unit, and who makes more than he can."""
    flows = reading.flows.assign(state="x")
    return flow_problems(flows, layers, "x") + capacity_problems(flows, layers, "x")


def undelivered(world: World, reading: Reading) -> list[str]:
    """Return the demand rows whose deliveries in the flows and shortage are not their demand, grade by grade."""
    d = reading.demand.assign(own=lambda d: d["demand_t"] - d["short_t"] - d["stepped_t"] - d["upped_t"])
    steps = [
        (d["grade"], d["own"]),
        (d["grade"].map(world.grade_below), d["stepped_t"]),
        (d["grade"].map(world.grade_above), d["upped_t"]),
    ]
    due = pd.concat([pd.DataFrame({"to_id": d["demand_id"], "grade": g, "t": t}) for g, t in steps])
    due = due.dropna().groupby(["to_id", "grade"])["t"].sum()
    f = reading.flows[reading.flows["commodity"] == "magnet"]
    got = f[f["to_id"].isin(set(d["demand_id"]))].groupby(["to_id", "grade"])["tonnes"].sum()
    gap = got.sub(due, fill_value=0.0)
    wrong = [f"{i}: off by {t:.6g} t" for i, t in gap.items() if abs(t) > 1e-6 * due.get(i, 0.0) + 1e-4]
    for column in ("own", "short_t", "stepped_t", "upped_t"):
        wrong += [
            f"{r.demand_id} {r.grade}: {column} {getattr(r, column):.6g} t" for r in d[d[column] < -1e-6].itertuples()
        ]
    for kind, column in (("down", "stepped_t"), ("up", "upped_t")):
        solved = reading.other.loc[reading.other["kind"] == kind, "t"].sum()
        if abs(solved - d[column].sum()) > 1e-4:
            wrong.append(f"{kind}: {solved:.6g} t in the programme, {d[column].sum():.6g} t in the rows")
    most = np.minimum(d["demand_t"] * d["step_down_share"], d["demand_t"] - d["short_t"])
    wrong += [
        f"{r.demand_id} {r.grade}: steps down with {r.stepped_t:.6g} of {t:.6g} t"
        for r, t in zip(d.itertuples(), most, strict=True)
        if r.stepped_t > t + 1e-4
    ]
    return wrong


def not_lower(after: float, before: float) -> bool:
    return after >= before - RELATIVE * (1 + abs(before))


# On invented worlds ----------------------------------------------------------------------------------------------


@settings(few, max_examples=4)
@given(w=worlds, chain=chains)
def test_what_enters_leaves_and_what_is_wanted_comes_or_is_short(w: Invented, chain: list[Halt]) -> None:
    for state in (w.before, w.halted(scenario(chain))):
        reading = w.read(state)
        assert unbalanced(w.layers, reading) == []
        assert undelivered(w.world, reading) == []
        assert max(certify(state).values()) <= 1e-9
        assert (reading.units["output_t"] <= reading.units["limit_t"] * (1 + 1e-9) + 1e-6).all()


@few
@given(w=worlds, chain=chains)
def test_more_halts_never_lower_the_objective(w: Invented, chain: list[Halt]) -> None:
    cost = w.before.optimum.objective
    for n in range(1, len(chain) + 1):
        now = w.halted(scenario(chain[:n])).optimum.objective
        assert not_lower(now, cost)
        cost = now


@few
@given(w=worlds, chain=chains, order=st.randoms(use_true_random=False))
def test_halts_commute_and_lifting_them_leaves_no_trace(w: Invented, chain: list[Halt], order: random.Random) -> None:
    one = w.halted(scenario(chain))
    turned = list(chain)
    order.shuffle(turned)
    assert w.halted(scenario(turned)).optimum.x.tobytes() == one.optimum.x.tobytes()
    assert w.halted(Scenario()).optimum.x.tobytes() == w.before.optimum.x.tobytes()
    assert w.halted(scenario(chain)).optimum.x.tobytes() == one.optimum.x.tobytes(), "and it is the same on every run"


@few
@given(w=worlds, h=halts, share=st.sampled_from([0.3, 0.6, 0.95]))
def test_a_larger_share_never_costs_less(w: Invented, h: Halt, share: float) -> None:
    smaller, larger = sorted([h.share, share])
    cost = [w.halted(scenario([dataclasses.replace(h, share=x)])).optimum.objective for x in (smaller, larger)]
    assert not_lower(cost[1], cost[0])


TABLES = ("facilities", "grades", "markets", "demand", "sector_grades", "sectors", "costs", "parameters")


@settings(few, max_examples=5)
@given(seed=st.integers(0, 3), chain=chains, order=st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(seed: int, chain: list[Halt], order: random.Random) -> None:
    made = wide_layers(seed)
    for name in TABLES:
        table = getattr(made, name)
        setattr(made, name, table.iloc[order.sample(range(len(table)), len(table))])
    a, b = (w.halted(scenario(chain)) for w in (invent_wide(seed), invent(made)))
    assert a.optimum.x.tobytes() == b.optimum.x.tobytes()
    assert a.optimum.y.tobytes() == b.optimum.y.tobytes()


@settings(few, max_examples=5)
@given(seed=st.integers(0, 3), chain=chains, k=st.sampled_from([0.5, 3.0, 10.0]))
def test_tonnes_scale_with_units(seed: int, chain: list[Halt], k: float) -> None:
    """Only capacities, outputs, demand and scrap are tonnes; costs by tonne stay, so money scales as well."""
    a, b = (w.halted(scenario(chain)) for w in (invent_wide(seed), invent(wide_layers(seed, k))))
    assert b.optimum.objective == pytest.approx(k * a.optimum.objective, rel=1e-9)
    assert np.abs(b.optimum.x - k * a.optimum.x).max() <= 1e-6 * k * a.optimum.x.max()


# Equal buyers ----------------------------------------------------------------------------------------------------


def shares(w: Invented, state: State, by: str) -> pd.DataFrame:
    """Return the part of each (grade, class) that is short, a column for each value of `by`."""
    d = w.read(state).demand.groupby([by, "grade", "priority_class"])[["short_t", "demand_t"]].sum()
    return (d["short_t"] / d["demand_t"]).unstack(by)


def twins(**more: Any) -> Invented:
    """Return a world in which BBB and CCC are the same but for their names: both only buy, and of the same plant."""
    made = wide_layers(**more)
    made.facilities = made.facilities[made.facilities["country"] == "AAA"].drop("a-mag2")
    made.facilities.loc["a-mag", "capacity_t"] = 8000.0
    made.markets = made.markets.assign(eol_reo_t=0.0)
    return invent(made)


@pytest.mark.parametrize(
    "h",
    [
        Halt("country", "AAA", share=0.55, commodities=frozenset({"magnet"})), Halt("stage", "AAA/magnet", share=0.4),
        Halt("country", "AAA", share=0.3, elements=frozenset({"Dy"})), Halt("facility", "a-sep", share=0.75),
    ],
    ids=lambda h: h.spec,
)  # fmt: skip
def test_equal_countries_share_equally(h: Halt) -> None:
    w = twins()
    found = shares(w, w.halted(scenario([h])), "country")[["BBB", "CCC"]]
    assert found.max().max() > 0.02, "somebody must be short"
    assert (found["BBB"] - found["CCC"]).abs().max() <= 0.01


def test_unequal_countries_at_equal_cost_lose_equal_parts() -> None:
    """Three times the demand, the same part of it is short."""
    made = wide_layers()
    demand = made.demand.copy()
    demand.loc[demand["country"] == "CCC", "demand_t"] /= 3
    w = twins(demand=demand)
    found = shares(
        w, w.halted(scenario([Halt("country", "AAA", share=0.45, commodities=frozenset({"magnet"}))])), "country"
    )
    assert found["CCC"].max() > 0.02
    assert (found["BBB"] - found["CCC"]).abs().max() <= 0.01


def test_a_buyer_and_its_own_country_lose_equal_parts() -> None:
    w = twins().with_buyers([Buyer("b-works", 0, 0, "motors", "H", 150.0), Buyer("b-mill", 0, 0, "motors", "H", 90.0)])
    state = w.halted(scenario([Halt("country", "AAA", share=0.5, commodities=frozenset({"magnet"}))]))
    d = w.read(state).demand.query("country == 'BBB' and sector == 'motors' and grade == 'H'").set_index("demand_id")
    part = d["short_t"] / d["demand_t"]
    assert set(part.index) == {"b-works", "b-mill", "bbb-motors"}
    assert part.min() > 0.02
    assert part.max() - part.min() <= 0.01


def test_two_equal_buyers_on_their_own_lose_equal_parts() -> None:
    """A class of their own takes both out of their country's pool; what they share is the step alone."""
    buyers = [Buyer(i, 0, 0, "motors", "H", 100.0) for i in ("b-works", "b-mill")]
    w = twins().with_buyers(buyers, classes={"b-works": 3, "b-mill": 3})
    state = w.halted(scenario([Halt("country", "AAA", share=0.2, commodities=frozenset({"magnet"}))]))
    d = w.read(state).demand.set_index("demand_id").loc[["b-works", "b-mill"]]
    part = d["short_t"] / d["demand_t"]
    assert 0.02 < part.min() < 1
    assert part.max() - part.min() <= 0.01


# Nothing is altered ----------------------------------------------------------------------------------------------


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal to the last bit, through tables, arrays, matrices and dataclasses."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))
    if isinstance(a, (pd.DataFrame, pd.Series)):
        return a.equals(b) and a.index.equals(b.index)
    if sparse.issparse(a):
        return all(same(getattr(a, k), getattr(b, k)) for k in ("data", "indices", "indptr", "shape"))
    if isinstance(a, Mapping):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(map(same, a, b))
    if dataclasses.is_dataclass(a):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a) if f.compare)
    if isinstance(a, SimpleNamespace):
        return same(vars(a), vars(b))
    return type(a).__eq__ is object.__eq__ or bool(a == b)  # what has no value of its own, such as a table of routes


def frozen(value: Any) -> Any:
    """Return a value whose arrays refuse to be written, and whose mappings refuse new entries."""
    if isinstance(value, np.ndarray):
        value.flags.writeable = False
    elif sparse.issparse(value):
        for k in ("data", "indices", "indptr"):
            frozen(getattr(value, k))
    elif isinstance(value, dict):
        return MappingProxyType({k: frozen(v) for k, v in value.items()})
    elif isinstance(value, tuple):
        return tuple(frozen(v) for v in value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        changed = {f.name: frozen(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init}
        return dataclasses.replace(value, **changed)
    return value


def test_no_function_alters_its_input() -> None:
    w = invent(wide_layers(1))
    parts = ("layers", "world", "frame", "calibration", "before")
    before = copy.deepcopy([getattr(w, k) for k in parts])
    w = dataclasses.replace(w, frame=frozen(w.frame), calibration=frozen(w.calibration), before=frozen(w.before))
    question = Scenario(
        halts=merge([Halt("country", "AAA", share=0.6, commodities=frozenset({"magnet"})), Halt("passage", "strait", share=0.5),
                     Halt("facility", "b-mag", share=0.5), Halt("country", "BBB", "CCC")]),
        transshipment=True,
    )  # fmt: skip
    state = w.halted(question)
    reading = w.read(state)
    certify(state)
    prices(w.frame.skeleton, state.programme.lp, state.optimum, reading.lanes)
    solve_open(frame(w.frame.skeleton, w.calibration), w.router, 10.0)
    w.with_buyers([Buyer("b-works", 0, 0, "motors", "H", 150.0)]).halted(question)
    build_world(w.layers, 2026)
    for name, was in zip(parts, before, strict=True):
        now = getattr(w, name)
        assert same(was, now if name in ("layers", "world") else thawed(now)), name
    assert w.halted(question).optimum.x.tobytes() == state.optimum.x.tobytes()


def thawed(value: Any) -> Any:
    """Return what `frozen` froze with plain mappings again."""
    if isinstance(value, MappingProxyType):
        return {k: thawed(v) for k, v in value.items()}
    if isinstance(value, tuple):
        return tuple(thawed(v) for v in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.replace(
            value, **{f.name: thawed(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init}
        )
    return value


# Another process ---------------------------------------------------------------------------------------------------

IN_A_PROCESS = """
import hashlib, sys
from invented import invent, wide_layers
from atlas.halt import Halt
from atlas.scenario import Scenario
w = invent(wide_layers(2))
state = w.halted(Scenario(halts=(Halt("country", "AAA", share=0.5, commodities=frozenset({"magnet", "metal"})),
                                 Halt("passage", "strait", share=0.5))))
text = w.read(state).flows.to_csv(index=False)
print(hashlib.sha256(state.optimum.x.tobytes() + text.encode()).hexdigest())
"""


def printed(code: str, hash_seed: int) -> str:
    """Return what a process of its own prints, with sets in an order of its own."""
    tests = Path(__file__).resolve().parent
    path = os.pathsep.join([str(tests), str(tests.parent), os.environ.get("PYTHONPATH", "")])
    env = os.environ | {"PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True, timeout=300
    )
    return done.stdout


def test_another_process_finds_the_same_bytes() -> None:
    assert len({printed(IN_A_PROCESS, seed) for seed in (1, 2)}) == 1


# The shipped world -----------------------------------------------------------------------------------------------

# What the seeded samples draw from, by kind.
POOL = {
    "country": ["CHN", "CHN/magnet", "CHN/Dy,Tb", "CHN/oxide,metal", "CHN/NdPr", "CHN:USA/magnet", "CHN:us-allies", "CHN:JPN/Dy,Tb,magnet",
                "VNM", "JPN/magnet", "MYS/oxide", "USA/concentrate", "AUS/concentrate", "MMR"],
    "stage": ["CHN/mine", "CHN/separation", "CHN/metal", "CHN/magnet", "CHN/recycling", "MMR/mine", "VNM/metal", "JPN/magnet", "DEU/magnet"],
    "facility": ["lynas-kuantan", "mountain-pass-mine", "mt-weld", "vac-hanau"],
    "operator": ["lynas", "mp-materials"],
    "port": ["MYKUA", "CNSHA", "JPYOK", "DEHAM"],
    "passage": ["malacca", "suez", "panama", "taiwan", "cape-of-good-hope"],
    "border": ["CHN-MMR", "CHN-VNM", "MEX-USA"],
}  # fmt: skip


def sample(rng: random.Random, n: int) -> list[str]:
    """Return `n` halts, each of another kind, with shares and filters."""
    found = []
    for kind in rng.sample(sorted(POOL), n):
        target, _, filtered = rng.choice(POOL[kind]).partition("/")
        if kind == "stage":
            target, filtered = f"{target}/{filtered}", ""
        elif kind != "country":
            filtered = rng.choice(["", "", "magnet", "oxide,metal", "Nd"])
        share = rng.choice(["", "@0.5", "@0.25", "@0.9"])
        found.append(f"{kind}:{target}{share}" + (f"/{filtered}" if filtered else ""))
    return found


def solve(study: Study, question: Scenario) -> State:
    """Solve anew what a study would answer from its memory."""
    stage = study._own
    return solve_halted(stage.frame(study.calibration), stage.router, question, study.blocs, study.before, 60.0)


def check_chain(study: Study, chain: Sequence[str]) -> None:
    """Check a chain of halts on the shipped world: balances, demand, objective, and that no halt leaves a trace."""
    cost = study.baseline.reading.objective_usd
    for n in range(1, len(chain) + 1):
        solved = study.solve(chain[:n]).halted
        assert unbalanced(study.layers, solved.reading) == [], chain[:n]
        assert undelivered(solved.world, solved.reading) == [], chain[:n]
        assert max(solved.certificate.values()) <= 1e-9, chain[:n]
        assert not_lower(solved.reading.objective_usd, cost), chain[:n]
        cost = solved.reading.objective_usd
    turned = solve(study, study.question(list(reversed(chain))))
    assert turned.optimum.x.tobytes() == solved.optimum.x.tobytes(), chain
    assert solve(study, Scenario()).optimum.x.tobytes() == study.before.optimum.x.tobytes()


@pytest.mark.slow
def test_a_chain_of_halts_on_the_shipped_world(study: Study) -> None:
    assert unbalanced(study.layers, study.baseline.reading) == []
    assert undelivered(study.baseline.world, study.baseline.reading) == []
    check_chain(study, ["country:CHN:us-allies@0.5/magnet", "facility:lynas-kuantan@0.5/oxide", "stage:VNM/metal"])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_random_chains_of_halts_on_the_shipped_world(study: Study, seed: int) -> None:
    check_chain(study, sample(random.Random(seed), 4))


@pytest.mark.slow
@pytest.mark.parametrize(
    "halts", [("country:MMR", "port:JPYOK@0.5"), ("border:CHN-MMR", "operator:lynas@0.25")], ids=" ".join
)
def test_harmless_halts_beside_a_harmful_one_find_their_answer(study: Study, halts: tuple[str, ...]) -> None:
    """The solver gave up on these; a halt that adds a row without effect must not take the answer away."""
    check_chain(study, halts)


def another(study: Study, layers: Any) -> Study:
    """Return a study of other layers with the network of this one, where nothing of places and routes differs."""
    made = Study(layers, study.year, dataclasses.replace(study.settings, cache_dir="off"))
    made.__dict__.update(router=study.router, local_roads=study.local_roads, names=study.names)
    return made


QUESTIONS = (
    ["country:CHN/magnet"],
    ["country:CHN/Dy,Tb", "passage:malacca@0.5"],
    ["stage:CHN/separation@0.3", "country:VNM"],
)


def turned(layers: Any, rng: random.Random, names: Sequence[str]) -> Any:
    """Return layers with the rows of some tables in another order."""
    tables = {n: getattr(layers, n) for n in names}
    return dataclasses.replace(layers, **{n: x.iloc[rng.sample(range(len(x)), len(x))] for n, x in tables.items()})


def tables_of(layers: Any) -> list[str]:
    return [
        f.name for f in dataclasses.fields(layers) if isinstance(getattr(layers, f.name), (pd.DataFrame, pd.Series))
    ]


@pytest.mark.slow
def test_the_order_of_rows_changes_nothing_on_the_shipped_world(study: Study) -> None:
    """All tables at once, network and fit made anew."""
    names = tables_of(study.layers)
    assert {"facilities", "demand", "parameters", "markets", "grades", "tariffs", "ports", "blocs", "targets"} <= set(names)
    layers = turned(study.layers, random.Random(11), names)
    plain, other = (
        Study(x, study.year, dataclasses.replace(study.settings, cache_dir="off")) for x in (study.layers, layers)
    )
    for halts in QUESTIONS:
        a, b = plain.solve(halts), other.solve(halts)
        assert a.flows.to_csv(index=False) == b.flows.to_csv(index=False), halts
        assert a.summary == b.summary, halts


@pytest.mark.slow
def test_the_order_of_targets_changes_nothing(study: Study) -> None:
    a, b = (another(study, x)._calibrated for x in (study.layers, turned(study.layers, random.Random(11), ["targets"])))
    one, two = (state_calibration(s.skeleton, open_routes(s.router).options, study.blocs).lp for s in (a, b))
    assert np.array_equal(one.row_lower, two.row_lower)
    assert np.array_equal(one.matrix.indices, two.matrix.indices)


def scaled(layers: Any, k: float) -> Any:
    """Return layers with every tonne multiplied: capacities, outputs, demand, scrap, stock and published trade."""
    tables = {}
    for name, columns in {"facilities": ("capacity_t", "output_t", "usgs_output_t"), "demand": ("demand_t",), "markets": ("eol_reo_t",),
                          "stock": ("max_t",)}.items():  # fmt: skip
        tables[name] = getattr(layers, name).assign(**{c: getattr(layers, name)[c] * k for c in columns})
    tonnes = layers.targets["unit"].str.startswith("t")
    tables["targets"] = layers.targets.assign(value=layers.targets["value"].where(~tonnes, layers.targets["value"] * k))
    return dataclasses.replace(layers, digest=f"{layers.digest} x {k}", **tables)


@pytest.mark.slow
def test_tonnes_scale_with_units_on_the_shipped_world(study: Study) -> None:
    """Ten times everything: ten times the money, and of each flow.

    Up only: the fit takes no published figure for less than a tonne. And where two ways cost just the same (Nd and Pr
    changing places between two stocks, or two plants of one town) either may come out, so a hundredth of the tonnes
    may take another lane - but none another country or user of magnets.
    """
    k, other = 10.0, another(study, scaled(study.layers, 10.0))
    for halts in ([], *QUESTIONS):
        a, b = (s.solve(halts).halted.reading for s in (study, other))
        assert b.objective_usd == pytest.approx(k * a.objective_usd, rel=1e-9)
        assert np.allclose(b.demand["short_t"], k * a.demand["short_t"], rtol=1e-6, atol=1e-3), halts
        for keys in (["commodity", "from_country", "to_country"], ["grade", "to_id"]):
            x, y = (
                r.flows[(r.flows["commodity"] == "magnet") | ("commodity" in keys)].groupby(keys)["tonnes"].sum()
                for r in (a, b)
            )
            assert y.sub(k * x, fill_value=0.0).abs().max() <= 1e-6 * k * x.max(), halts
        lane = ["commodity", "element", "grade", "from_id", "to_id", "route_id"]
        x, y = (r.flows.groupby(lane)["tonnes"].sum() for r in (a, b))
        assert y.sub(k * x, fill_value=0.0).abs().sum() <= 0.01 * k * x.sum(), halts


@pytest.mark.slow
def test_no_question_alters_the_shipped_world(study: Study) -> None:
    layers, stage = study.layers, study._own
    tables = {f.name: getattr(layers, f.name) for f in dataclasses.fields(layers)}
    tables = {k: v for k, v in tables.items() if isinstance(v, (pd.DataFrame, pd.Series))}
    kept = {k: pd.DataFrame(v).drop(columns="geometry", errors="ignore").copy(deep=True) for k, v in tables.items()}
    lanes, demand = stage.world.lanes.copy(deep=True), stage.world.demand.copy(deep=True)
    frozen(stage.frame(study.calibration))
    frozen(study.before)
    before = study.baseline.reading.flows.copy(deep=True)
    raw = {
        "name": "everything", "halt": [{"spec": "country:CHN:USA@0.5/magnet"}, {"spec": "passage:malacca@0.5"}], "transshipment": True,
        "buyer": [{"id": "own", "lon": 9.18, "lat": 48.78, "sector": "ev", "grade": "SH", "tonnes": 300}],
        "stock": [{"country": "JPN", "commodity": "metal", "tonnes": 100}], "parameters": {"step_down_usd_t": 1000},
        "demand": [{"country": "USA", "sector": "*", "change_pct": 5}], "priority": [{"sector": "wind", "class": 1}],
    }  # fmt: skip
    outcome = study.solve(scenario=raw)
    assert outcome.summary["halted"]["status"] == "optimal"
    assert len(outcome.halted.prices)
    for name, table in kept.items():
        assert pd.DataFrame(tables[name]).drop(columns="geometry", errors="ignore").equals(table), name
    assert stage.world.lanes.equals(lanes)
    assert stage.world.demand.equals(demand)
    assert study.baseline.reading.flows.equals(before)


@pytest.mark.slow
def test_equal_buyers_on_the_shipped_world_share_equally(study: Study) -> None:
    """Two of one size at one place, and the country's own sector beside them."""
    point = {"lon": 9.18, "lat": 48.78, "sector": "ev", "grade": "SH"}
    raw = {
        "name": "twins",
        "halt": [{"spec": "country:CHN/magnet"}],
        "buyer": [point | {"id": i, "tonnes": 200} for i in ("one", "two")],
    }
    d = study.solve(scenario=raw).halted.reading.demand.query("country == 'DEU' and sector == 'ev' and grade == 'SH'")
    part = (d["short_t"] / d["demand_t"]).to_numpy()
    assert len(part) == 3
    assert part.min() > 0.02
    assert part.max() - part.min() <= 0.01
    alone = raw | {"priority": [{"buyer": i, "class": 2} for i in ("one", "two")]}
    d = study.solve(scenario=alone).halted.reading.demand.set_index("demand_id").loc[["one", "two"]]
    part = (d["short_t"] / d["demand_t"]).to_numpy()
    assert abs(part[0] - part[1]) <= 0.01


@pytest.mark.slow
def test_total_shortage_can_fall_under_a_halt_on_the_shipped_world_too(study: Study) -> None:
    """With oxide scarce, a ban on Chinese metal and oxide makes fewer tonnes short in all, and still costs more.

    What China no longer sells goes into its own cerium magnets, which take a quarter less NdPr than the hot grades that
    plants abroad would have made of it: more tonnes, but for users of the last class, while motors abroad go without.
    """
    scarce = ["stage:CHN/separation@0.7"]
    before, after = (study.solve(halts).halted.reading for halts in (scarce, [*scarce, "country:CHN/metal,oxide"]))
    assert after.demand["short_t"].sum() < before.demand["short_t"].sum() - 10
    assert after.objective_usd > before.objective_usd
    by_class = [r.demand.groupby("priority_class")["short_t"].sum() for r in (before, after)]
    assert by_class[1][3] < by_class[0][3]
    assert by_class[1][[1, 2]].sum() > by_class[0][[1, 2]].sum()


SHIPPED_IN_A_PROCESS = """
import hashlib
from atlas.study import open as open_study
outcome = open_study().solve(["country:CHN:us-allies@0.5/magnet", "passage:malacca@0.5"])
print(hashlib.sha256(outcome.flows.to_csv(index=False).encode() + repr(outcome.summary).encode()).hexdigest())
"""


@pytest.mark.slow
def test_another_process_finds_the_same_bytes_on_the_shipped_world(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATLAS_CACHE_DIR", "off")
    assert len({printed(SHIPPED_IN_A_PROCESS, seed) for seed in (1, 2)}) == 1

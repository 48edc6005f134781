"""Worst sets: equal to brute force on random functions, on invented worlds and on a cut of the shipped one; resumed."""

import dataclasses
import itertools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from atlas.candidates import set_candidates
from atlas.chokepoints import Question, question, searched, worst_sets
from atlas.config import settings
from atlas.errors import BadInput, NoAnswer
from atlas.many_solves import Crew, workers_of
from atlas.set_values import alike, value
from atlas.worst_sets import SAME, Search, Value
from tests.invented import invent, invent_wide
from tests.invented_study import study_of

Solve = Callable[[frozenset[int]], Value]


def run(search: Search, solve: Solve, ahead: int = 1, seed: int = 0) -> Search:
    """Answer a search as several processes would: up to `ahead` sets at once, told in any order."""
    rng, open_sets = random.Random(seed), []
    while True:
        while len(open_sets) < ahead and (s := search.ask()) is not None:
            open_sets.append(s)
        if not open_sets:
            return search
        s = open_sets.pop(rng.randrange(len(open_sets)))
        search.tell(s, solve(s))


def by_brute_force(n: int, size: int, solve: Solve, pairs: set[frozenset[int]]) -> list[float]:
    """Return the values of all sets of a size without nested members, worst first."""
    found = [
        solve(frozenset(s)).v
        for s in itertools.combinations(range(n), size)
        if not any(frozenset(p) in pairs for p in itertools.combinations(s, 2))
    ]
    return sorted(found, reverse=True)


def chains(n: int, seed: int) -> Solve:
    """Return an interdiction value of the real kind: the cheapest of many ways, each of which uses some candidates."""
    rng = random.Random(seed)
    ways = [(rng.uniform(0, 10), frozenset(rng.sample(range(n), rng.randint(1, 4)))) for _ in range(60)]

    def solve(lost: frozenset[int]) -> Value:
        # Three customers, each served the cheapest way that is left, or short at 50.
        total, held = 0.0, frozenset()
        for k in range(3):
            cost, users = min(
                ((c, u) for c, u in ways[k::3] if not u & lost), default=(50.0, frozenset()), key=lambda w: w[0]
            )
            total, held = total + cost, held | users
        return Value(total, held)

    return solve


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("ahead", [1, 3])
def test_equal_to_brute_force_on_random_chains(size: int, seed: int, ahead: int) -> None:
    solve, n = chains(12, seed), 12
    pairs = {frozenset((0, 1)), frozenset((2, 5))}
    search = Search(n, size, [(0, 1), (2, 5)], wanted=7, sorts=[i % 3 for i in range(n)])
    found = run(search, solve, ahead, seed)
    assert [r.v for r in found.worst] == pytest.approx(by_brute_force(n, size, solve, pairs)[:7])
    assert all(r.proved and len(r.members) == size for r in found.worst)
    assert found.finished
    assert found.gap == 0


def test_the_bound_is_never_below_the_worst_while_searching() -> None:
    solve = chains(12, 3)
    worst = by_brute_force(12, 3, solve, set())[0]
    search = Search(12, 3)
    while (s := search.ask()) is not None:
        search.tell(s, solve(s))
        assert search.bound >= worst - 1e-9 or search.worst
        if search.best and not search.worst:
            gap = (worst - search.best.v) / max(search.best.v - solve(frozenset()).v, 1e-9)
            assert search.gap >= gap - 1e-9


def test_a_search_stops_when_enough_is_lost_or_cannot_be() -> None:
    solve = chains(12, 5)
    worst = by_brute_force(12, 2, solve, set())[0]
    reached = run(Search(12, 2, enough=worst - 1e-6), solve)
    assert reached.best is not None
    assert reached.best.v == pytest.approx(worst)
    refuted = run(Search(12, 2, enough=worst + 1e-3), solve)
    assert refuted.finished
    assert refuted.bound < worst + 1e-3
    assert refuted.solves <= 79  # nothing, 12 singles and 66 pairs at most


def test_few_solves_where_few_things_matter() -> None:
    """Of 40 candidates five matter: the search solves far fewer sets than the 9,880 there are."""

    def solve(lost: frozenset[int]) -> Value:
        return Value(float(sum(2**i for i in lost if i < 5)), frozenset(range(5)) - lost)

    search = run(Search(40, 3), solve)
    assert search.worst[0].members == (2, 3, 4)
    assert search.solves < 80


def study_with(world: Any, folder: Path | str = "off") -> Any:
    made = study_of(world)
    made.settings = dataclasses.replace(settings({}), workers=1, cache_dir=str(folder))
    return made


def asked(study: Any, element: str = "all", **more: Any) -> Question:
    return question(study, "pair", element, ("facility", "stage", "exports", "production"), **more)


@pytest.mark.parametrize(("world", "element", "size"), [
    ("simple", "all", 1), ("simple", "all", 2), ("simple", "all", 3), ("wide", "all", 1), ("wide", "all", 2),
    ("wide", "Dy", 1), pytest.param("wide", "Dy", 2, marks=pytest.mark.slow),
    pytest.param("wide", "all", 3, marks=pytest.mark.slow), pytest.param("wide", "Dy", 3, marks=pytest.mark.slow),
])  # fmt: skip
def test_equal_to_brute_force_on_invented_worlds(world: str, element: str, size: int) -> None:
    study = study_with(invent() if world == "simple" else invent_wide())
    q = asked(study, element)
    if world == "wide":  # every third of many, so that brute force ends
        q = dataclasses.replace(q, candidates=q.candidates[:: max(1, len(q.candidates) // 14)])
    solve = solver(study, q)
    pairs = {frozenset(p) for p in alike(q.candidates)}
    best = by_brute_force(len(q.candidates), size, solve, pairs)
    found = worst_sets(study, q, size, 600.0, top=5)
    nothing = solve(frozenset()).v
    assert found.proved
    assert list(found.table["v_rise_usd"]) == pytest.approx([v - nothing for v in best[:5]], rel=1e-7, abs=1e-4)
    if size == 1:
        assert found.solves <= found.sets + 2  # beside the singles: nothing lost, and everything


def solver(study: Any, q: Question) -> Solve:
    known: dict[frozenset[int], Value] = {}

    def solve(lost: frozenset[int]) -> Value:
        if lost not in known:
            record = value((study, q), sorted(lost))
            known[lost] = Value(record["v"], frozenset(record["used"]))
        return known[lost]

    return solve


def test_what_an_optimum_does_not_use_costs_nothing() -> None:
    """The rule that saves most solves, against solves."""
    study = study_with(invent_wide())
    q = asked(study)
    solve = solver(study, q)
    rng = random.Random(1)
    for _ in range(25):
        lost = frozenset(rng.sample(range(len(q.candidates)), 2))
        base = solve(lost)
        spare = [i for i in range(len(q.candidates)) if i not in base.used | lost]
        more = lost | set(rng.sample(spare, min(2, len(spare))))
        assert solve(more).v == pytest.approx(base.v, rel=SAME * 10)


def test_v_only_rises() -> None:
    study = study_with(invent_wide(1))
    q = asked(study, weight=3.0)
    solve = solver(study, q)
    rng = random.Random(2)
    for _ in range(15):
        lost = frozenset(rng.sample(range(len(q.candidates)), 3))
        smaller = lost - {min(lost)}
        assert solve(smaller).v <= solve(lost).v * (1 + 1e-9) + 1e-6


def test_a_killed_search_goes_on_where_it_was(tmp_path: Path) -> None:
    """Stop a search half-way; the next one solves only the rest."""
    study = study_with(invent_wide(), tmp_path)
    q = asked(study)

    class Killed(Exception):
        pass

    def killer(done: int, total: int, what: str) -> None:
        if done == 20:
            raise Killed

    with pytest.raises(Killed):
        searched(study, q, 2, 600.0, progress=killer)
    [journal] = (tmp_path / "findings").glob("sets-*.jsonl")
    journal.write_bytes(journal.read_bytes() + b'\n{"key": "torn')  # as a kill in the middle of a line leaves it
    fresh = searched(study, dataclasses.replace(q), 2, 600.0)
    whole = searched(study_with(invent_wide()), q, 2, 600.0)
    assert fresh.worst[0] == whole.worst[0]
    assert fresh.solves <= whole.solves - 20 + 2  # a search that knows more may go another way
    again = searched(study, q, 2, 600.0)
    assert again.solves == 0
    assert again.worst[0] == whole.worst[0]


def test_searches_among_other_things_do_not_mix(tmp_path: Path) -> None:
    """What a search among few kinds kept says nothing of others, and must not be read as if they were unused."""
    kept, fresh = study_with(invent_wide(), tmp_path), study_with(invent_wide())
    for cut in (False, True):
        for kinds in (("facility",), ("passage",), ("stage", "facility"), ("passage", "facility", "stage")):
            q = question(kept, "pair", "all", kinds, cut=cut)
            size = min(2, len(q.candidates))
            found, right = searched(kept, q, size, 600.0), searched(fresh, q, size, 600.0)
            assert found.worst[0].v == pytest.approx(right.worst[0].v, rel=1e-9), kinds


@pytest.mark.parametrize("element", ["NdPr", "Nd", "all", "Dy"])
def test_nothing_lost_leaves_nobody_short(element: str) -> None:
    """A lower grade that holds more NdPr makes up for no shortage: the least is never below nought."""
    study = study_with(invent_wide())
    q = asked(study, element, cut=True)
    assert value((study, q), [])["v"] == pytest.approx(0.0, abs=1e-6)


def test_a_search_over_few_things_by_many_workers() -> None:
    """Singles may be told before what nothing lost costs."""
    search = Search(2, 1)
    asked_for = [search.ask(), search.ask(), search.ask()]
    for s in reversed(asked_for[1:]):
        assert s is not None
        search.tell(s, Value(float(len(s)), frozenset()))
        search.ask()
    search.tell(frozenset(), Value(0.0, frozenset({0, 1})))
    run(search, lambda s: Value(float(len(s)), frozenset({0, 1}) - s))
    assert search.finished
    assert search.worst[0].v == 1.0


def test_no_time_is_no_answer(study_small: Any) -> None:
    with pytest.raises(NoAnswer, match="no set of 2 was valued"):
        worst_sets(study_small, asked(study_small), 2, 1e-9)
    for bad in (0.0, -1.0, float("nan")):
        with pytest.raises(BadInput, match="time limit"):
            worst_sets(study_small, asked(study_small), 2, bad)


def test_what_is_asked_for_is_checked(study_small: Any) -> None:
    with pytest.raises(BadInput) as e:
        question(study_small, "nobody", "Xy", ("plant",), 0.0)
    assert len(e.value.problems) == 4
    with pytest.raises(BadInput, match="size 4"):
        worst_sets(study_small, asked(study_small), 4)


@pytest.fixture(scope="module")
def study_small() -> Any:
    return study_with(invent())


@pytest.mark.slow
def test_equal_to_brute_force_on_the_shipped_world(study: Any) -> None:
    """Twenty candidates of every sort, those that cost most among them: all 1,350 sets of up to three are solved."""
    q = question(study, "us-allies", "all")
    heavy = ("stage:CHN/metal", "stage:CHN/magnet", "stage:MMR/mine", "stage:VNM/metal", "stage:JPN/magnet")
    names = {c.id: c for c in q.candidates}
    rest = [c for c in q.candidates if c.id not in heavy]
    chosen = [*(names[i] for i in heavy), *rest[:: len(rest) // 15][:15]]
    q = dataclasses.replace(q, candidates=tuple(chosen))
    every = [s for k in range(4) for s in itertools.combinations(range(len(chosen)), k)]
    values = {}
    with Crew(value, (study, q), workers_of(0)) as crew:
        for n, record in crew.each(every):
            values[every[n]] = record["v"]
    pairs = {frozenset(p) for p in alike(q.candidates)}
    nothing = values[()]
    own = dataclasses.replace(study.settings, cache_dir="off")
    alone = type(study)(study.layers, study.year, own)
    alone.__dict__["calibration"] = study.calibration
    for size in (1, 2, 3):
        best = sorted(
            (v for s, v in values.items() if len(s) == size
             and not any(frozenset(p) in pairs for p in itertools.combinations(s, 2))), reverse=True,
        )  # fmt: skip
        found = worst_sets(alone, q, size, 1800.0, top=5)
        assert found.proved
        assert list(found.table["v_rise_usd"]) == pytest.approx([v - nothing for v in best[:5]], rel=1e-7)
        assert size == 1 or found.solves < len(best)


def test_candidates_of_sets_leave_out_what_never_matters(study_small: Any) -> None:
    from atlas.candidates import candidates

    world, reading = study_small.ground.stage.world, study_small.baseline.reading
    everything = candidates(world, reading, study_small.layers, study_small.names.border)
    chosen = set_candidates(everything, ("facility",), 0.4)
    share = {c.id: c.t / sum(x.t for x in everything if x.kind == "facility" and x.stage == c.stage) for c in everything if c.kind == "facility"}
    assert {c.id for c in chosen} == {i for i, s in share.items() if s >= 0.4}

"""The frontier of a bloc: exact vertices, convex, undominated, and every break point explained by what binds."""

import dataclasses
import functools
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from atlas import study as real
from atlas.allied import SINCE, Chain, chain, element_keys
from atlas.binding import binds
from atlas.chain import shipped_chain
from atlas.errors import BadInput, UnknownName
from atlas.frontier import GOALS, Edge, Vertex, dominated, figures, frontier, solve_priced, traced
from atlas.solver import LinearProgramme, solve
from atlas.summary import origin_shares, state_summary
from tests.invented import invent, invent_wide
from tests.invented_study import study_of

B = frozenset({"BBB"})
PAIR = frozenset({"BBB", "CCC"})


@functools.cache
def wide_curve(bloc: frozenset[str] = B, since: str = "mine") -> tuple[Chain, tuple[Vertex, ...], tuple[Edge, ...]]:
    """Return the whole curve of the wider world: every edge of it proved, or hiding next to nothing."""
    w = invent_wide()
    whole = chain(w.world, w.before.programme, w.before.routes.lane, bloc, element_keys("all", shipped_chain()), since=since)
    vertices, edges, _ = traced(whole, 400, 10.0)
    return whole, vertices, edges


def hidden_usd(edges: tuple[Edge, ...]) -> float:
    """Return how far the curve may lie below the chords that were not looked into, USD."""
    return max((e.gap_t * e.price_usd_t for e in edges if not e.proved), default=0.0)


def with_bound(whole: Chain, most_t: float) -> LinearProgramme:
    """Return the programme with foreign content at most `most_t`, as a row of its own."""
    lp = whole.lp
    return dataclasses.replace(
        lp,
        matrix=sparse.vstack([lp.matrix, sparse.csr_matrix(whole.foreign)]).tocsc(),
        row_lower=np.append(lp.row_lower, -np.inf),
        row_upper=np.append(lp.row_upper, most_t),
    )


def test_the_simple_curve_is_the_one_worked_out_by_hand() -> None:
    # BBB wants 700 t of a quarter NdPr. It makes 400 t from its own 500 t of ore (a fifth of it NdPr, 100 t), which is
    # all its ore allows, and buys 300 t: 75 t of foreign content. To be without, it must go short of 300 t, within the
    # first step of 350 t at 1,000 USD/t; each tonne not bought saves 10 of freight and 100 of making, less 1 for an
    # idle magnet plant and 0.25 for an idle metal plant; oxide is left over. So 891.25 USD/t, over 0.25 t of content.
    w = invent()
    found = frontier(study_of(w), "b", trusted="bloc")
    p = found.points
    assert p["foreign_t"].tolist() == pytest.approx([75.0, 0.0], abs=1e-6)
    assert p["allied_t"].tolist() == pytest.approx([100.0, 100.0])
    assert p["allied_share"].tolist() == pytest.approx([100 / 175, 1.0])
    assert p["allied_demand_share"].tolist() == pytest.approx([100 / 175, 100 / 175])
    assert p["bloc_shortage_t"].tolist() == pytest.approx([0.0, 300.0], abs=1e-6)
    assert p["price_usd_t"].iloc[0] == pytest.approx(891.25 / 0.25, rel=1e-6)
    assert found.gap_share == 0.0


def test_the_curve_is_that_of_a_bound_on_foreign_content() -> None:
    whole, vertices, edges = wide_curve()
    assert all(e.proved or e.gap_t <= 1e-6 * vertices[0].foreign_t for e in edges)
    f, v = (np.array([getattr(x, k) for x in vertices][::-1]) for k in ("foreign_t", "objective_usd"))
    for most in np.linspace(f[0], f[-1], 23):
        exact = solve(with_bound(whole, float(most)), 10.0).objective
        chord = float(np.interp(most, f, v))
        assert exact <= chord * (1 + 1e-7)
        assert exact == pytest.approx(chord, rel=1e-7, abs=hidden_usd(edges))
    assert hidden_usd(edges) < 1e-3 * (v[0] - v[-1])
    # Less than the last vertex has cannot be had: with no price but on foreign content, the least is the same.
    least = solve(dataclasses.replace(whole.lp, cost=whole.foreign, offset=0.0), 10.0)
    assert least.objective == pytest.approx(f[0], abs=1e-6)


def test_the_first_vertex_costs_what_the_state_costs() -> None:
    whole, vertices, _ = wide_curve()
    assert vertices[0].objective_usd == pytest.approx(invent_wide().before.optimum.objective, rel=1e-8)
    assert whole.lp.matrix.shape[0] > invent_wide().before.programme.lp.matrix.shape[0]


@pytest.mark.parametrize("since", SINCE)
def test_the_curve_is_convex_and_its_price_rises_at_every_vertex(since: str) -> None:
    _, vertices, edges = wide_curve(PAIR, since)
    assert len(vertices) > 5
    assert all(a.foreign_t > b.foreign_t and a.objective_usd < b.objective_usd for a, b in pairwise(vertices))
    slopes = [e.price_usd_t for e in edges]
    assert all(b > a for a, b in pairwise(slopes)), "each break point changes the dual"
    for (a, b), e in zip(pairwise(vertices), edges, strict=True):
        rise = (b.objective_usd - a.objective_usd) / (a.foreign_t - b.foreign_t)
        assert e.price_usd_t == pytest.approx(rise, rel=1e-9)


def test_more_stages_that_must_be_allied_never_raise_the_share() -> None:
    foreign = []
    for since in SINCE:
        _, vertices, _ = wide_curve(PAIR, since)
        foreign.append(vertices[0].foreign_t)
    assert all(b <= a + 1e-6 for a, b in pairwise(foreign))
    assert foreign[0] > foreign[-1] + 1.0


def test_made_inside_from_any_metal_is_what_the_bloc_sells_itself() -> None:
    w = invent_wide()
    whole = chain(w.world, w.before.programme, w.before.routes.lane, PAIR, element_keys("all", shipped_chain()), since="magnet")
    x = solve_priced(whole, 0.01, 10.0).x
    lanes = w.read(w.before).lanes
    bought = lanes[(lanes["commodity"] == "magnet") & lanes["to_country"].isin(PAIR)]
    content = w.world.recipes.loc["sintered", ["NdPr", "Dy", "Tb", "Sm"]].sum(axis=1) * 0.8  # blank_to_finished
    t = bought["t"] * bought["grade"].map(content)
    assert whole.delivered @ x == pytest.approx(t.sum())
    assert whole.foreign @ x == pytest.approx(t[~bought["from_country"].isin(PAIR)].sum())


def test_material_of_allied_ore_alone_is_allied_and_what_left_the_bloc_is_not() -> None:
    # In the simple world BBB's own plants run on its own ore: nothing foreign is in them.
    w = invent()
    whole = chain(w.world, w.before.programme, w.before.routes.lane, B, element_keys("NdPr", shipped_chain()))
    x = solve_priced(whole, 0.01, 10.0).x
    allied = whole.columns["kind"].eq("allied") & whole.columns["key"].str.startswith("magnet|")
    assert x[allied.to_numpy()].sum() == pytest.approx(100.0)
    shares = origin_shares(w.world, w.read(w.before), B)
    assert shares["magnet"] == pytest.approx(400 / 700)
    # With its metal maker gone its oxide goes abroad and comes back as metal: foreign, though it mined it.
    study = study_of(w)
    halted = frontier(study, "b", halts=["facility:b-met"], trusted="bloc", points=20)
    assert halted.points["allied_t"].max() == pytest.approx(0.0, abs=1e-6)
    assert frontier(study, "b", halts=["facility:b-met"], trusted="bloc", since="magnet").points["allied_t"].max() > 1.0


@pytest.mark.parametrize("bloc", [B, PAIR])
def test_the_jump_at_a_break_point_is_the_sum_of_what_binds(bloc: frozenset[str]) -> None:
    whole, vertices, edges = wide_curve(bloc)
    w = invent_wide().world
    proved = [n for n in range(1, len(vertices) - 1) if edges[n].proved]
    assert len(proved) > 50
    for n in proved:
        after = edges[n]
        found = binds(w, whole, bloc, "b", vertices[n - 1], vertices[n], after.optimum, after.price_usd_t, {})
        jump = after.price_usd_t - edges[n - 1].price_usd_t
        assert found.jump_usd_t == pytest.approx(jump, rel=1e-6, abs=1e-3)
        assert found.terms["usd_t"].sum() == pytest.approx(jump, rel=2e-2, abs=1.0)
        assert found.words
        assert 0 < found.share <= 1 + 1e-9


def test_a_capacity_that_ends_an_edge_is_named() -> None:
    # With metal of any origin the plants of the pair make more until they are full: c-mag at 437.0625 t, b-mag at 1,100.
    found = frontier(study_of(invent_wide()), "pair", trusted="bloc", since="magnet", points=150)
    columns = invent_wide().before.programme.columns
    for plant, limit in (("c-mag", 437.0625), ("b-mag", 1100.0)):
        (at,) = np.flatnonzero(found.points["binds"] == f"magnet capacity inside pair: {plant}")
        own = (columns["kind"].isin(["normal", "surge"]) & (columns["unit"] == plant)).to_numpy()
        before, here = (v.optimum.x[: len(columns)][own].sum() for v in found.vertices[at - 1 : at + 1])
        assert before < limit - 1.0
        assert here == pytest.approx(limit)


def test_points_are_mutually_undominated_and_dropped_ones_are_beaten() -> None:
    found = frontier(study_of(invent_wide()), "pair", trusted="bloc", points=60)
    assert len(found.kept) + found.dropped == len(found.points)
    assert not dominated(found.kept).any()
    values = np.stack([s * found.points[k].to_numpy(dtype=float) for k, s in GOALS], axis=1)
    for n in np.flatnonzero(found.points["dominated"]):
        assert ((values <= values[n] + 1e-6 * np.abs(values[n])).all(axis=1)).sum() > 1
    table = pd.DataFrame(
        {"allied_share": [0.1, 0.2, 0.2], "bloc_shortage_t": [5.0, 5.0, 6.0], "unit_spend_usd_t": 1.0, "bloc_days": 2.0}
    )
    assert dominated(table).tolist() == [True, False, True]


def test_fewer_points_lie_on_the_whole_curve_and_the_gap_is_told() -> None:
    _, vertices, edges = wide_curve(PAIR)
    few = frontier(study_of(invent_wide()), "pair", trusted="bloc", points=12)
    assert few.solves <= 16
    f, v = (np.array([getattr(x, k) for x in vertices][::-1]) for k in ("foreign_t", "objective_usd"))
    p = few.points
    assert np.interp(p["foreign_t"], f, v) == pytest.approx(
        p["objective_usd"].to_numpy(), rel=1e-7, abs=hidden_usd(edges)
    )
    # No vertex of the whole curve lies farther from the chords, across, than is told.
    across = np.interp([x.objective_usd for x in vertices], p["objective_usd"], p["foreign_t"])
    worst = max(a - x.foreign_t for a, x in zip(across, vertices, strict=True))
    assert 0 < worst <= few.gap_share * p["delivered_t"].iloc[0] * (1 + 1e-6)


def test_figures_of_a_point_are_those_of_a_solved_answer() -> None:
    w = invent_wide()
    state = w.halted(study_of(w).question(["country:AAA@0.4/magnet"]))
    found = figures(w.world, state, state.optimum.x, PAIR)
    usgs = pd.Series(dtype=float)
    s = state_summary(w.world, w.read(state), PAIR, usgs)
    for name in ("shortage_t", "spend_usd", "unit_spend_usd_t", "mean_days"):
        assert found[name] == pytest.approx(s[name], rel=1e-6), name
    assert found["shortage_t"] > 1.0
    for stage, share in s["bloc_origin_share"].items():
        assert found[f"origin_{stage}"] == pytest.approx(share, abs=1e-6)
    at_home = sum(t for c, t in s["shortage_by_country"].items() if c in PAIR)
    assert found["bloc_shortage_t"] == pytest.approx(at_home, rel=1e-6)


def test_a_halt_never_lowers_the_curve() -> None:
    study = study_of(invent_wide())
    _, vertices, edges = wide_curve(PAIR)
    f, v = (np.array([getattr(x, k) for x in vertices][::-1]) for k in ("foreign_t", "objective_usd"))
    halted = frontier(study, "pair", trusted="bloc", points=120, halts=["country:AAA@0.5/magnet"])
    assert halted.halts == ("country:AAA@0.5/magnet",)
    p = halted.points
    at = np.interp(p["foreign_t"], f, v)
    assert (p["objective_usd"] >= at * (1 - 1e-6) - hidden_usd(edges)).all()


def test_one_element_counts_its_own_content_alone() -> None:
    study = study_of(invent_wide())
    whole = frontier(study, "pair", trusted="bloc", points=20).points
    parts = [frontier(study, "pair", e, trusted="bloc", points=20).points for e in ("NdPr", "Dy")]
    assert sum(p["delivered_t"].iloc[0] for p in parts) == pytest.approx(whole["delivered_t"].iloc[0])
    # Dy is mined and separated in AAA alone.
    assert parts[1]["allied_t"].max() == pytest.approx(0.0, abs=1e-9)


def test_json_has_plain_values_and_progress_counts_the_solves() -> None:
    said: list[tuple[int, int, str]] = []
    found = frontier(study_of(invent_wide()), "pair", trusted="bloc", points=10,
                     progress=lambda *x: said.append(x))  # fmt: skip
    j = found.to_json()
    assert j["bloc"] == "pair"
    assert len(j["points"]) + j["dominated"] == len(found.points)
    assert {type(v) for r in j["points"] for v in r.values()} <= {float, int, str, bool, type(None), np.bool_} - {
        np.bool_
    }
    assert said[-1][0] == said[-1][1] == 10


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ({"bloc": "pear"}, UnknownName),
        ({"element": "Ce"}, UnknownName),
        ({"element": "Pr"}, UnknownName),
        ({"trusted": "nobody"}, UnknownName),
        ({"since": "recycling"}, UnknownName),
        ({"points": 2}, BadInput),
        ({"halts": ["facility:z-mine"]}, BadInput),
    ],
)
def test_bad_input_is_refused(words: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        frontier(study_of(invent()), **({"bloc": "b"} | words))


@pytest.mark.slow
@pytest.mark.parametrize(("bloc", "element"), [("us-allies", "all"), ("eu27", "Dy"), ("quad", "NdPr")])
def test_the_real_frontier_is_convex_and_starts_at_the_baseline(bloc: str, element: str) -> None:
    study = real.open()
    found = frontier(study, bloc, element, points=24)
    p = found.points
    assert p["objective_usd"].iloc[0] == pytest.approx(study.before.optimum.objective, rel=1e-6)
    assert p["foreign_t"].is_monotonic_decreasing
    assert p["price_usd_t"].iloc[:-1].is_monotonic_increasing
    assert not dominated(found.kept).any()
    assert p["allied_share"].iloc[-1] > 0.95
    assert all(p["binds"].iloc[1:-1])
    assert found.gap_share < 0.05

"""The programme on the invented world, against answers worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from invented import PENALTY, Invented, invent, layers

from atlas.halt import Halt
from atlas.outcome import certify
from atlas.readback import read
from atlas.scenario import Scenario

MAGNETS = frozenset({"magnet"})
STOP = Halt("country", "AAA", commodities=MAGNETS)


@pytest.fixture(scope="module")
def world() -> Invented:
    return invent()


def lane(w: Invented, state, commodity: str, a: str, b: str) -> float:
    lanes = w.world.lanes
    hit = (lanes["commodity"] == commodity) & (lanes["from_id"] == a) & (lanes["to_id"] == b)
    return float(state.lane_t(len(lanes))[hit.to_numpy()].sum())


def test_baseline_is_what_hand_arithmetic_says(world: Invented) -> None:
    assert lane(world, world.before, "magnet", "a-mag", "a-market") == pytest.approx(500)
    assert lane(world, world.before, "magnet", "a-mag", "b-market") == pytest.approx(300)
    assert lane(world, world.before, "magnet", "b-mag", "b-market") == pytest.approx(400)
    assert lane(world, world.before, "metal", "a-met", "b-mag") == pytest.approx(0, abs=1e-9)
    # 1,200 magnets at 100, 300 over the border at 10; nothing idles, nothing is short.
    assert world.before.optimum.objective == pytest.approx(1200 * 100 + 300 * 10, rel=1e-6)


def test_an_export_halt_by_hand(world: Invented) -> None:
    after = world.halted(Scenario(halts=(STOP,)))
    assert lane(world, after, "magnet", "a-mag", "b-market") == 0
    assert lane(world, after, "magnet", "b-mag", "b-market") == pytest.approx(480)
    assert lane(world, after, "metal", "a-met", "b-mag") == pytest.approx(20)
    shortage = read(world.world, after).demand["short_t"].sum()
    assert shortage == pytest.approx(220)
    change = (
        220 * PENALTY[2]  # the first of two steps of 350 t
        + 80 * 100 * 1.25 - 300 * 100  # surge at a premium, less made in AAA
        + 300 * 1 + 55 * 1  # magnets and metal not made idle their plants
        - 300 * 10 + 20 * (50 + 5) + 80 * 7  # less shipped, metal over the border, friction on both
    )  # fmt: skip
    assert after.optimum.objective - world.before.optimum.objective == pytest.approx(change, rel=1e-6)


def test_a_closed_strait_costs_its_detour(world: Invented) -> None:
    after = world.halted(Scenario(halts=(Halt("passage", "strait"),)))
    assert after.optimum.objective - world.before.optimum.objective == pytest.approx(300 * 4, rel=1e-6)


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_a_strait_halted_in_part_sends_just_the_rest_round(world: Invented, share: float) -> None:
    after = world.halted(Scenario(halts=(Halt("passage", "strait", share=share),)))
    through = after.option_t[after.routes.uses[("passage", "strait")]].sum() if share < 1 else 0.0
    assert through == pytest.approx(300 * (1 - share), abs=1e-6)
    assert after.optimum.objective - world.before.optimum.objective == pytest.approx(300 * share * 4, rel=1e-5)


def test_a_capped_country_sells_that_much(world: Invented) -> None:
    after = world.halted(Scenario(halts=(Halt("country", "AAA", share=0.5, commodities=MAGNETS),)))
    assert lane(world, after, "magnet", "a-mag", "b-market") == pytest.approx(150)


def test_a_unit_halt_cuts_its_limit_with_surge(world: Invented) -> None:
    after = world.halted(Scenario(halts=(Halt("facility", "b-mag", share=0.5),)))
    assert read(world.world, after).units.at["b-mag", "limit_t"] == pytest.approx(240)
    assert lane(world, after, "magnet", "b-mag", "b-market") <= 240 + 1e-9


def test_shares_on_one_unit_do_not_multiply(world: Invented) -> None:
    one = world.halted(Scenario(halts=(Halt("facility", "b-mag", share=0.5),)))
    two = world.halted(Scenario(halts=(Halt("facility", "b-mag", share=0.5), Halt("stage", "BBB/magnet", share=0.3))))
    assert two.optimum.objective == pytest.approx(one.optimum.objective, rel=1e-9)


def test_home_buyers_are_served_before_a_plant_diverts(world: Invented) -> None:
    """With b-mag lost, AAA could sell its 500 home tonnes to BBB; the charge and equal steps keep most at home.

    What it makes above its 800 t, up to 160 t, is free to go abroad beside the 300 t of before.
    """
    after = world.halted(Scenario(halts=(Halt("facility", "b-mag"),)))
    diverted = after.programme.columns.assign(t=after.optimum.x).query("kind == 'divert'")
    diverted = diverted.loc[diverted["unit"] == "a-mag", "t"].sum()
    sold = lane(world, after, "magnet", "a-mag", "b-market")
    assert diverted == pytest.approx(max(0.0, sold - 300 - 160), abs=1e-6)


def test_total_shortage_can_fall_under_a_halt_while_the_objective_rises() -> None:
    """A ban leaves fewer tonnes short and is no gain: tonnes of shortage are not what the programme minimises.

    AAA's 200 t of NdPr are all there is. BBB's defence comes first, and its magnets hold twice the NdPr of plain ones:
    its 300 t take 150 t, and the other 50 t make 200 of the 800 t that AAA's motors want, so 600 t are short. When AAA
    may sell no magnets abroad, its plant makes 600 t of plain ones (a fifth above the 500 t it made) and 500 t are short:
    200 t of motors, but all 300 t of defence. Of class 1 these cost 4,000 to 8,000 USD/t, while class 2 costs 1,000 to
    2,000, so the objective rises.
    """
    demand = pd.DataFrame(
        {"country": ["AAA", "BBB"], "sector": ["motors", "defence"], "demand_t": [800.0, 300.0]},
        index=pd.Index(["aaa-motors", "bbb-defence"], name="id"),
    )
    only_a = layers().facilities.loc[["a-mine", "a-sep", "a-met", "a-mag"]]
    w = invent(demand=demand, facilities=only_a)
    before = read(w.world, w.before)
    after_state = w.halted(Scenario(halts=(STOP,)))
    after = read(w.world, after_state)
    assert before.demand["short_t"].sum() == pytest.approx(600)
    assert after.demand["short_t"].sum() == pytest.approx(500)
    assert after_state.optimum.objective > w.before.optimum.objective


def test_certificates_prove_both_states(world: Invented) -> None:
    for state in (world.before, world.halted(Scenario(halts=(STOP,)))):
        assert all(v <= 1e-9 for v in certify(state).values())


def test_a_certificate_fails_on_a_wrong_answer(world: Invented) -> None:
    import dataclasses

    after = world.halted(Scenario(halts=(STOP,)))
    wrong_x = after.optimum.x.copy()
    wrong_x[int(np.argmax(wrong_x))] -= 50
    wrong = dataclasses.replace(after, optimum=dataclasses.replace(after.optimum, x=wrong_x))
    assert max(certify(wrong).values()) > 1e-4


def test_row_order_changes_nothing(world: Invented) -> None:
    turned = invent(facilities=layers().facilities.iloc[::-1], demand=layers().demand.iloc[::-1])
    a, b = (w.halted(Scenario(halts=(STOP,))) for w in (world, turned))
    assert np.array_equal(a.optimum.x, b.optimum.x)


def test_halts_commute_and_only_add_cost(world: Invented) -> None:
    halts = [STOP, Halt("facility", "b-sep", share=0.4), Halt("passage", "strait")]
    cost = world.before.optimum.objective
    for n in range(1, 4):
        state = world.halted(Scenario(halts=tuple(halts[:n])))
        back = world.halted(Scenario(halts=tuple(reversed(halts[:n]))))
        assert state.optimum.objective >= cost - 1e-6 * abs(cost)
        assert back.optimum.objective == pytest.approx(state.optimum.objective, rel=1e-12)
        cost = state.optimum.objective
    assert world.halted(Scenario()).optimum.objective == pytest.approx(world.before.optimum.objective, rel=1e-12)

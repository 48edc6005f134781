"""How markets and plants behave after a halt: contracts, surge, steps between grades, home use, priorities, buyers,
stocks, third countries, draws and prices - on invented worlds where a hand can follow, then on the shipped one.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from invented import BLOCS, PENALTY, Invented, invent, invent_wide, layers

from atlas import fair
from atlas.balances import flow_problems, outputs
from atlas.detour import useless_hubs
from atlas.errors import BadInput, SolverFailure, SolverTimeUp
from atlas.halt import Halt, merge
from atlas.model import shortage_parts
from atlas.outcome import Outcome
from atlas.prices import prices
from atlas.readback import Reading
from atlas.scenario import Buyer, Contract, Scenario, StockRelease
from atlas.solver import LinearProgramme, solve
from atlas.solving import State, solve_halted
from atlas.study import Study

MAGNETS = frozenset({"magnet"})
DY = frozenset({"Dy"})


def ask(w: Invented, *halts: Halt, **more: Any) -> State:
    return w.halted(Scenario(halts=merge(halts), **more))


def lane_t(w: Invented, state: State, commodity: str, a: str, b: str) -> float:
    lanes = w.world.lanes
    hit = (lanes["commodity"] == commodity) & lanes["from_id"].str.startswith(a) & lanes["to_id"].str.startswith(b)
    return float(state.lane_t(len(lanes))[hit.to_numpy()].sum())


def row(reading: Reading, demand_id: str, grade: str) -> pd.Series:
    d = reading.demand
    return d[(d["demand_id"] == demand_id) & (d["grade"] == grade)].iloc[0]


def lost(reading: Reading, **where: str) -> float:
    """Return the part of some demand that is short."""
    d = reading.demand
    for column, value in where.items():
        d = d[d[column] == value]
    return float(d["short_t"].sum() / d["demand_t"].sum())


# Contracts -------------------------------------------------------------------------------------------------------


def contracted(charge: float) -> Invented:
    """Return the simple world with 60 % of each plant's sales of magnets under contract."""
    made = layers()
    made.parameters["contract_share_magnet"], made.parameters["contract_charge_usd_t_magnet"] = 0.6, charge
    return invent(made)


def test_contracts_are_delivered_before_other_sales() -> None:
    """Of a-mag's 800 t, 300 t at home and 180 t for BBB are under contract; with 600 t left these come whole.

    Home buyers would have kept 500 of the 600 t otherwise: the charge on home buyers is 100, the breach costs 5,000.
    """
    cut = Halt("facility", "a-mag", share=1 - 600 / 960)
    free, bound = (contracted(charge) for charge in (0.0, 5000.0))
    assert lane_t(free, ask(free, cut), "magnet", "a-mag", "b-market") < 180 - 1
    after = ask(bound, cut)
    assert lane_t(bound, after, "magnet", "a-mag", "b-market") >= 180 - 1e-6
    assert lane_t(bound, after, "magnet", "a-mag", "a-market") >= 300 - 1e-6
    pieces = after.programme.columns.assign(t=after.optimum.x, upper=after.programme.lp.upper).query(
        "key == 'contract'"
    )
    assert (pieces["t"] >= pieces["upper"] - 1e-6).all()


def test_a_breach_costs_its_charge() -> None:
    stop = Halt("country", "AAA", commodities=MAGNETS)
    cheap, dear = (contracted(charge) for charge in (0.0, 3000.0))
    assert dear.before.optimum.objective == pytest.approx(cheap.before.optimum.objective, rel=1e-9)
    more = ask(dear, stop).optimum.objective - ask(cheap, stop).optimum.objective
    assert more == pytest.approx(180 * 3000, rel=1e-9)


# Surge -----------------------------------------------------------------------------------------------------------


def test_each_stage_surges_by_its_own_share_and_never_above_nameplate() -> None:
    w = invent_wide()
    u = w.read(w.before).units.join(w.world.units[["stage", "capacity_t"]])
    share = u["stage"].map({"mine": 0.1, "magnet": 0.25}).fillna(0.2)
    assert np.allclose(u["limit_t"], np.minimum(u["capacity_t"], u["normal_t"] * (1 + share)))
    assert u.at["b-mine", "limit_t"] == pytest.approx(1.1 * u.at["b-mine", "normal_t"])
    assert u.at["b-mag", "limit_t"] == 1100.0, "its nameplate"
    after = w.read(ask(w, Halt("country", "AAA", commodities=MAGNETS))).units
    assert after.at["c-mag", "output_t"] == pytest.approx(1.25 * u.at["c-mag", "normal_t"]), (
        "a plant in need runs at its limit"
    )
    assert (after["output_t"] <= after["limit_t"] + 1e-6).all()


# Steps between grades --------------------------------------------------------------------------------------------


def test_a_capped_part_of_demand_takes_the_next_lower_grade_and_no_other() -> None:
    """Nothing with Dy leaves AAA, so motors elsewhere take standard for 30 % of their H, and nobody else can step."""
    w = invent_wide()
    reading = w.read(ask(w, Halt("country", "AAA", elements=DY)))
    for c in ("bbb", "ccc"):
        assert row(reading, f"{c}-motors", "H")["stepped_t"] == pytest.approx(0.3 * 390)
        assert row(reading, f"{c}-motors", "SH")["stepped_t"] == 0, "the next lower grade is H, and there is none"
        assert row(reading, f"{c}-defence", "UH")["short_t"] == pytest.approx(40)
    f = reading.flows[(reading.flows["commodity"] == "magnet") & (reading.flows["to_country"] != "AAA")]
    got = f.groupby(["to_id", "grade"])["tonnes"].sum()
    assert got["bbb-motors", "standard"] == pytest.approx(520 + 117)
    assert "bbb-defence" not in got, "defence would have to step twice"
    down = reading.other[reading.other["kind"] == "down"]
    assert down["t"].sum() == pytest.approx(reading.demand["stepped_t"].sum())


def test_no_one_steps_down_at_a_cost_above_going_without() -> None:
    w = invent_wide().with_parameters(step_down_usd_t=1e6)
    assert w.read(ask(w, Halt("country", "AAA", elements=DY))).demand["stepped_t"].sum() == 0


@pytest.mark.parametrize(
    "h",
    [
        Halt("country", "AAA", elements=DY),
        Halt("facility", "a-mag"),
        Halt("stage", "AAA/magnet", share=0.6),
    ],
    ids=lambda h: h.spec,
)
def test_steps_stay_within_their_part_of_each_row(h: Halt) -> None:
    w = invent_wide()
    d = w.read(ask(w, h)).demand
    assert d["stepped_t"].sum() > 0
    assert (d["short_t"] + d["stepped_t"] + d["upped_t"] <= d["demand_t"] + 1e-6).all()
    assert (d["stepped_t"] <= d["demand_t"] * d["step_down_share"] + 1e-6).all()


def test_a_demand_goes_short_in_steps_cut_where_those_begin_to_lack_who_may_step_down() -> None:
    assert shortage_parts(4, [0.0, 0.5, 1.0]) == [(0, 0.0, 0.25), (1, 0.25, 0.25), (2, 0.5, 0.25), (3, 0.75, 0.25)]
    parts = shortage_parts(4, [0.4, 0.9, 0.4])
    assert [step for step, _, _ in parts] == [0, 0, 1, 2, 2, 3]
    assert [low for _, low, _ in parts] == pytest.approx([0, 0.1, 0.25, 0.5, 0.6, 0.75])
    assert sum(width for _, _, width in parts) == pytest.approx(1)


def test_users_of_cerium_magnets_take_standard_ones_at_a_cost() -> None:
    """a-mag alone makes cerium magnets; without it toys take standard ones, as far as there are any."""
    w = invent_wide()
    stop = Halt("facility", "a-mag"), Halt("country", "BBB", commodities=MAGNETS)
    reading = w.read(ask(w, *stop))
    upped = reading.demand.set_index(["demand_id", "grade"])["upped_t"]
    assert upped.sum() > 1
    assert set(upped[upped > 0].index.get_level_values("grade")) == {"cerium"}
    got = reading.flows.query("commodity == 'magnet' and grade == 'standard'").groupby("to_id")["tonnes"].sum()
    for (i, _), t in upped[upped > 0].items():
        own = row(reading, i, "standard")
        assert got[i] == pytest.approx(t + own["demand_t"] - own["short_t"])
    dear = w.with_parameters(step_up_usd_t=1e6)
    assert dear.read(ask(dear, *stop)).demand["upped_t"].sum() == 0


# Home use and priorities -----------------------------------------------------------------------------------------


def test_home_buyers_come_first_and_the_charge_is_a_parameter() -> None:
    """Half of AAA's main plant is lost: with the charge its own motors get all, without it all lose alike."""
    w, cut = invent_wide(), Halt("facility", "a-mag", share=0.5)
    kept = w.read(ask(w, cut))
    assert lost(kept, country="AAA", sector="motors") == pytest.approx(0, abs=1e-6)
    assert lost(kept, country="CCC", sector="motors") > 0.2
    free = w.with_parameters(home_charge_usd_t=0.0)
    shared = free.read(ask(free, cut))
    assert lost(shared, country="AAA", sector="motors") > 0.02
    assert lost(shared, country="CCC", sector="motors") < lost(kept, country="CCC", sector="motors")
    assert free.before.optimum.objective == pytest.approx(w.before.optimum.objective, rel=1e-9), (
        "no charge without a halt"
    )


def test_sector_priority_says_who_is_short() -> None:
    w, cut = invent_wide(), Halt("facility", "a-mag", share=0.5)
    first = w.read(ask(w, cut))
    turned = w.with_classes(toys=1, defence=3)
    then = turned.read(ask(turned, cut))
    assert lost(first, sector="defence") == pytest.approx(0, abs=1e-6)
    assert lost(first, sector="toys") > 0.5
    assert lost(then, sector="toys") < 0.2
    assert lost(then, sector="defence") > 0.5


def test_a_buyer_may_have_a_class_of_its_own() -> None:
    buyers = [Buyer("c-works", 0, 0, "motors", "H", 100.0)]
    cut = Halt("facility", "a-mag", share=0.5), Halt("country", "AAA", elements=DY, share=0.5)
    plain, first, last = (invent_wide().with_buyers(buyers, classes=c) for c in ({}, {"c-works": 1}, {"c-works": 3}))
    short = [row(w.read(ask(w, *cut)), "c-works", "H")["short_t"] for w in (first, plain, last)]
    assert short[0] == pytest.approx(0, abs=1e-6)
    assert short[0] < short[1] - 1
    assert short[1] < short[2] - 1


# Buyers ----------------------------------------------------------------------------------------------------------


def totals(reading: Reading) -> pd.Series:
    """Return what a buyer must not move: demand, supply, output by unit, trade by country, steps."""
    lanes = reading.lanes.groupby(["commodity", "from_country", "to_country"])["t"].sum()
    d = reading.demand
    sums = {
        f"{c} {g}": t
        for c in ("demand_t", "short_t", "stepped_t", "upped_t")
        for g, t in d.groupby("grade")[c].sum().items()
    }
    trade = {" ".join(map(str, k)): t for k, t in lanes.items()}
    return pd.Series(sums | trade | reading.units["output_t"].to_dict())


def unmoved(a: Reading, b: Reading) -> bool:
    x, y = totals(a).align(totals(b), fill_value=0.0)
    return bool(((x - y).abs() <= 1e-9 * x.abs() + 1e-6).all())


@pytest.mark.parametrize("part", [0.2, 1.0], ids=["in part", "whole"])
@pytest.mark.parametrize(
    "where",
    [("b-works", "motors", "H"), ("a-works2", "toys", "cerium"), ("c-works", "defence", "UH")],
    ids=lambda w: w[0],
)
def test_a_buyer_is_carved_out_and_nothing_moves(where: tuple[str, str, str], part: float) -> None:
    i, sector, grade = where
    w = invent_wide(2)
    t = part * row(w.read(w.before), f"{i[0] * 3}-{sector}", grade)["demand_t"]
    carved = w.with_buyers([Buyer(i, 0, 0, sector, grade, t)])
    assert carved.notes == ()
    assert unmoved(w.read(w.before), carved.read(carved.before))
    assert row(carved.read(carved.before), i, grade)["demand_t"] == pytest.approx(t)
    assert carved.before.optimum.objective == pytest.approx(w.before.optimum.objective, rel=1e-9)


def test_what_a_buyer_wants_beyond_its_countrys_row_is_new_and_said() -> None:
    w = invent_wide()
    more = w.with_buyers([Buyer("b-works", 0, 0, "motors", "H", 400.0)])
    assert any("10 t are new demand" in n for n in more.notes)
    new = more.world.demand["demand_t"].sum() - w.world.demand["demand_t"].sum()
    assert new == pytest.approx(10)


def from_supplier(w: Invented, state: State, supplier: str, buyer: str) -> float:
    return lane_t(w, state, "magnet", supplier, buyer)


@pytest.mark.parametrize(("supplier", "grade"), [("a-mag", "SH"), ("a-mag2", "SH"), ("b-mag", "H"), ("c-mag", "H")])
def test_a_contract_brings_its_supplier_and_holds(supplier: str, grade: str) -> None:
    w, cut = invent_wide(), Halt("country", "AAA", share=0.6, commodities=MAGNETS)
    buyer, contract = (
        Buyer("b-works", 0, 0, "motors", grade, 100.0),
        Contract("b-works", supplier, "magnet", grade, 60.0),
    )
    one, alone = w.with_buyers([buyer], [contract]), w.with_buyers([buyer])
    before = one.read(one.before)
    assert from_supplier(one, one.before, supplier, "b-works") >= 60 - 1e-6
    assert before.demand["short_t"].sum() == pytest.approx(0, abs=1e-6)
    assert np.allclose(w.read(w.before).units["output_t"], before.units["output_t"], rtol=1e-9), (
        "a swap moves no output"
    )
    after = ask(one, cut)
    assert from_supplier(one, after, supplier, "b-works") >= 60 - 1e-6
    short = [row(x.read(s), "b-works", grade)["short_t"] for x, s in ((one, after), (alone, ask(alone, cut)))]
    assert short[0] <= short[1] + 1e-6


def test_a_swap_stays_in_the_suppliers_country_where_it_can() -> None:
    w = invent_wide()
    one = w.with_buyers(
        [Buyer("b-works", 0, 0, "motors", "SH", 100.0)], [Contract("b-works", "a-mag2", "magnet", "SH", 60.0)]
    )
    assert unmoved(w.read(w.before), one.read(one.before))


@pytest.mark.parametrize(
    ("contracts", "said"),
    [
        (
            [Contract("b-works", "c-mag", "magnet", "H", 380.0)],
            "contract of b-works with c-mag: 380 t of H, but the plant sells 350 t of it",
        ),
        ([Contract("b-works", "b-mag", "magnet", "cerium", 10.0)], "grade cerium, but the buyer buys H"),
        ([Contract("b-works", "a-met", "magnet", "H", 10.0)], "a-met makes no H"),
        ([Contract("b-works", "z-mag", "magnet", "H", 10.0)], "z-mag does not run in 2024"),
    ],
    ids=["more than is made", "another grade", "no maker", "not running"],
)
def test_a_contract_that_cannot_be_is_refused_with_figures(contracts: list[Contract], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        invent_wide().with_buyers([Buyer("b-works", 0, 0, "motors", "H", 390.0)], contracts)


def test_two_contracts_with_one_plant_share_what_it_makes() -> None:
    w = invent_wide()
    sold = float(w.read(w.before).make["c-mag", "H"])
    buyers = [Buyer(i, 0, 0, "motors", "H", 300.0) for i in ("b-works", "c-works")]
    most = [Contract(b.id, "c-mag", "magnet", "H", 0.7 * sold) for b in buyers]
    with pytest.raises(BadInput, match="under other contracts here"):
        w.with_buyers(buyers, most)
    both = w.with_buyers(buyers, [dataclasses.replace(c, tonnes=0.5 * sold) for c in most])
    for b in buyers:
        assert from_supplier(both, both.before, "c-mag", b.id) >= 0.5 * sold - 1e-6


def test_a_contract_held_in_part_says_so() -> None:
    w = invent_wide().with_buyers(
        [Buyer("b-works", 0, 0, "motors", "SH", 500.0)], [Contract("b-works", "a-mag", "magnet", "SH", 450.0)]
    )
    assert any("450 t, of which 390 t are held" in n for n in w.notes)


# Stocks ----------------------------------------------------------------------------------------------------------

NO_MAGNETS = (
    Halt("country", "AAA", share=0.6, commodities=MAGNETS),
    Halt("country", "AAA", commodities=frozenset({"metal", "oxide"})),
)
NO_ORE = (Halt("facility", "b-mine", share=0.6), Halt("country", "AAA"))
NO_OXIDE = (Halt("stage", "AAA/separation", share=0.6),)


def let_go(reading: Reading) -> pd.Series:
    """Return tonnes of stock by (origin, element or grade) in the flows."""
    f = reading.flows[reading.flows["from_id"].str.startswith("stock-")]
    return f.assign(what=f["element"] + f["grade"]).groupby(["from_id", "what"])["tonnes"].sum()


@pytest.mark.parametrize(
    ("stock", "halts"),
    [
        (StockRelease("BBB", "metal", 20.0, element="Dy"), NO_MAGNETS), (StockRelease("BBB", "oxide", 30.0, element="Nd"), NO_ORE),
        (StockRelease("CCC", "magnet", 25.0, grade="SH"), NO_MAGNETS), (StockRelease("b-mag", "metal", 15.0), NO_MAGNETS),
        (StockRelease("c-mag", "magnet", 30.0, grade="H"), NO_MAGNETS), (StockRelease("b-sep", "oxide", 40.0), NO_ORE),
        (StockRelease("a-rec", "oxide", 20.0), NO_OXIDE), (StockRelease("b-mine", "concentrate", 50.0), NO_ORE),
    ],
    ids=lambda s: s.words if isinstance(s, StockRelease) else "",
)  # fmt: skip
def test_stock_is_let_go_once_and_every_balance_closes(stock: StockRelease, halts: tuple[Halt, ...]) -> None:
    w = invent_wide()
    with_it = w.with_stocks([stock])
    state, without = ask(with_it, *halts), ask(w, *halts)
    reading = with_it.read(state)
    given = let_go(reading)
    assert 0 < given.sum() <= stock.tonnes + 1e-6
    assert set(given.index.get_level_values("from_id")) == {with_it.world.releases[0].name}
    assert state.optimum.objective < without.optimum.objective
    flows = reading.flows.assign(state="x")
    assert flow_problems(flows, w.layers, "x") == []
    made = outputs(flows, w.layers).reindex(reading.units.index).fillna(0.0)
    assert np.allclose(made, reading.units["output_t"], atol=1e-3)
    more = flows.assign(tonnes=flows["tonnes"].mask(flows["from_id"].str.startswith("stock-"), flows["tonnes"] / 2))
    if stock.commodity != "concentrate" and not (stock.in_country and stock.commodity == "magnet"):
        assert flow_problems(more, w.layers, "x"), "half the stock does not do what all of it did"
    assert ask(with_it).optimum.objective <= w.before.optimum.objective + 1e-6


@pytest.mark.parametrize(
    ("stock", "said"),
    [
        (StockRelease("CCC", "oxide", 10.0, element="Dy"), "no running plant or market there uses oxide"),
        (StockRelease("BBB", "metal", 10.0, element="Sm"), "no running plant or market there uses metal"),
        (StockRelease("b-sep", "oxide", 10.0, element="Dy"), "no running plant or market there uses oxide"),
        (StockRelease("AAA", "magnet", 10.0, grade="EH"), "no running plant or market there uses magnet"),
    ],
    ids=lambda s: s.words if isinstance(s, StockRelease) else "",
)
def test_stock_that_nobody_could_use_is_refused(stock: StockRelease, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        invent_wide().with_stocks([stock])


@pytest.mark.parametrize(
    "stock",
    [StockRelease("AAA", "oxide", 500.0), StockRelease("AAA", "metal", 300.0)],
    ids=["one plant", "two plants"],
)
def test_a_stock_of_the_usual_mix_keeps_its_mix(stock: StockRelease) -> None:
    w = invent_wide().with_stocks([stock])
    given = let_go(w.read(ask(w, Halt("stage", "AAA/separation", share=0.5)))).groupby("what").sum()
    pr = w.world.parameter("swarf_pr_in_ndpr")
    assert given.sum() > 1
    assert given["Nd"] <= (1 - pr) * stock.tonnes + 1e-6
    assert given.get("Pr", 0.0) <= pr * stock.tonnes + 1e-6


def test_a_stock_of_magnets_keeps_its_mix_over_a_country_and_a_buyer_in_it() -> None:
    """The buyer is a market of its own, so each grade may be let go at two places."""
    w = invent_wide().with_buyers([Buyer("b-works", 0, 0, "motors", "H", 100.0)])
    w = w.with_stocks([StockRelease("BBB", "magnet", 200.0)])
    reading = w.read(ask(w, *NO_MAGNETS))
    let = reading.flows[reading.flows["from_id"].str.startswith("stock-")]
    assert set(let.loc[let["grade"] == "H", "to_id"]) > {"b-works"}
    given = let_go(reading)
    need = w.world.demand[w.world.demand["country"] == "BBB"].groupby("grade")["demand_t"].sum()
    for g, t in given.groupby("what").sum().items():
        assert t <= 200 * need[g] / need.sum() + 1e-6, g


# Third countries -------------------------------------------------------------------------------------------------

BAN = Halt("country", "AAA", "BBB", commodities=MAGNETS)


def by_hub(reading: Reading) -> dict[str, float]:
    f = reading.flows
    return f[f["via"] != ""].groupby("via")["tonnes"].sum().to_dict()


def test_banned_goods_pass_third_countries_only_where_a_scenario_says_so() -> None:
    w = invent_wide()
    banned = lane_t(w, w.before, "magnet", "a-", "b-market")
    assert by_hub(w.read(ask(w, BAN))) == {}
    reading = w.read(ask(w, BAN, transshipment=True))
    assert by_hub(reading) == {"CCC": pytest.approx(0.3 * banned)}
    f = reading.flows[reading.flows["via"] != ""]
    assert set(f["from_country"]) == {"AAA"}
    assert set(f["to_country"]) == {"BBB"}
    assert (f["cost_usd_t"] == 20).all(), "over both legs"
    assert (f["tariff_usd_t"] == 30).all(), "and the hub's premium"
    half = w.read(ask(w, dataclasses.replace(BAN, share=0.5), transshipment=True))
    assert sum(by_hub(half).values()) <= 0.3 * 0.5 * banned + 1e-6


@pytest.mark.parametrize(
    "whole", [Halt("country", "AAA", commodities=MAGNETS), Halt("country", "AAA")], ids=lambda h: h.spec
)
def test_a_ban_on_all_destinations_cannot_be_evaded(whole: Halt) -> None:
    w = invent_wide()
    for halts in ([whole], [whole, BAN]):
        assert by_hub(w.read(ask(w, *halts, transshipment=True))) == {}


def test_a_partial_ban_on_all_destinations_counts_what_goes_by_a_hub() -> None:
    w, part = invent_wide(), Halt("country", "AAA", share=0.5, commodities=MAGNETS)
    exported = sum(lane_t(w, w.before, "magnet", "a-", m) for m in ("b-market", "c-market"))
    state = ask(w, part, BAN, transshipment=True)
    assert sum(by_hub(w.read(state)).values()) > 0
    assert sum(lane_t(w, state, "magnet", "a-", m) for m in ("b-market", "c-market")) <= 0.5 * exported + 1e-6


def test_no_hub_is_named_by_a_halt_and_via_narrows_them() -> None:
    w = invent_wide()
    for other in (Halt("country", "CCC"), Halt("country", "AAA", "CCC", commodities=frozenset({"oxide"}))):
        assert by_hub(w.read(ask(w, BAN, other, transshipment=True))) == {}
    assert set(by_hub(w.read(ask(w, BAN, transshipment=True, via=frozenset({"CCC"}))))) == {"CCC"}
    assert by_hub(w.read(ask(w, BAN, transshipment=True, via=frozenset({"BBB"})))) == {}


@pytest.mark.parametrize(
    ("via", "halts", "told"),
    [
        ("CCC", (BAN,), []),
        ("", (BAN,), []),
        ("BBB", (BAN,), ["through BBB: nothing, a halt names it", "no country of `via` is left"]),
        ("BBB CCC ZZZ", (BAN,), ["through BBB: nothing, a halt names it", "through ZZZ: nothing, no market"]),
        ("CCC", (Halt("country", "AAA", "pair"),), ["through CCC: nothing, a halt names it", "no country of `via`"]),
        ("CCC", (Halt("country", "AAA"),), ["no halt bans one destination"]),
    ],
)
def test_countries_that_can_pass_nothing_on_are_told(via: str, halts: tuple[Halt, ...], told: list[str]) -> None:
    asked = Scenario(halts=halts, transshipment=True, via=frozenset(via.split()))
    found = useless_hubs(invent_wide().world, asked, BLOCS)
    assert len(found) == len(told)
    assert all(part in line for part, line in zip(told, found, strict=True))


# Even shares -----------------------------------------------------------------------------------------------------


def test_time_never_decides_how_a_shortage_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second programme has the time limit of the first; out of time is no answer, not another answer."""
    w, cut = invent_wide(), Halt("facility", "a-mag", share=0.5)
    limits: list[float] = []

    def out_of(error: type[SolverFailure]) -> Any:
        def failing(lp: LinearProgramme, time_limit_s: float) -> Any:
            limits.append(time_limit_s)
            raise error("no more")

        return failing

    plain = solve_halted(w.frame, w.router, Scenario(halts=(cut,)), BLOCS, w.before, 10.0, fair=False)
    monkeypatch.setattr(fair, "solve", out_of(SolverFailure))
    assert np.array_equal(ask(w, cut).optimum.x, plain.optimum.x), "the first optimum stands"
    monkeypatch.setattr(fair, "solve", out_of(SolverTimeUp))
    with pytest.raises(SolverTimeUp):
        ask(w, cut)
    assert limits == [10.0, 10.0]
    monkeypatch.undo()
    assert not np.array_equal(ask(w, cut).optimum.x, plain.optimum.x)


# Prices ----------------------------------------------------------------------------------------------------------


def price_table(w: Invented, state: State) -> pd.DataFrame:
    found = prices(w.frame.skeleton, state.programme.lp, state.optimum, w.read(state).lanes)
    return found.set_index(["commodity", "element", "grade", "place"])


def wanted(lp: LinearProgramme, direction: np.ndarray, by: float, base: float | None = None) -> float:
    """Return what it costs, per tonne, to serve `by` tonnes more along a direction of rows; `base` is the optimum."""
    base = solve(lp).objective if base is None else base
    shift = by * np.pad(direction, (0, lp.matrix.shape[0] - len(direction)))
    moved = dataclasses.replace(lp, row_lower=lp.row_lower + shift, row_upper=lp.row_upper + shift)
    try:
        return (solve(moved).objective - base) / by
    except SolverFailure:
        return np.inf  # nobody has room to be short by more


def market_row(skeleton: Any, market: str, grade: str) -> np.ndarray:
    rows = skeleton.rows
    return ((rows["kind"] == "market") & (rows["a"] == market) & (rows["b"] == grade)).to_numpy(dtype=float)


def agree(price: float, holds: str, more: float, less: float) -> None:
    """Assert that a price is what one tonne more, and one less, cost - in the directions it is said to hold in."""
    near = {"rel": 1e-5, "abs": 0.5}
    if holds in ("both", "more") and np.isfinite(more):
        assert more == pytest.approx(price, **near)
    if holds in ("both", "less"):
        assert less == pytest.approx(price, **near)
    if abs(more - less) > 1e-4 * abs(price) + 1:
        assert holds != "both", "a kink must be flagged"
    assert less - 1 <= price <= more + 1, "the optimum is convex in demand"


def test_prices_by_hand() -> None:
    """In the baseline all mines run at their nameplate: one tonne more for BBB is short, one less is made by less.

    More: the first step of shortage, 1,000. Less: a-mag saves 100, less 1 for being idle, and freight of 10; 0.25 t of
    metal is not made, at 1 a tonne. Mines and separation go on: oxide left over costs nothing, idling would. With AAA's
    magnets gone, BBB is short of 220 t in its first step of 350 t, so both ways a tonne is worth 1,000.
    """
    w = invent()
    lp, r = w.before.programme.lp, market_row(w.frame.skeleton, "b-market", "standard")
    more, less = wanted(lp, r, 1e-3), wanted(lp, r, -1e-3)
    assert more == pytest.approx(PENALTY[2], abs=1e-3)
    assert less == pytest.approx(99 + 10 - 0.25, abs=1e-3)
    p = price_table(w, w.before).loc["magnet", "", "standard", "BBB"]
    agree(p["price_usd_t"], p["holds"], more, less)
    assert p["holds"] != "both"
    after = ask(w, Halt("country", "AAA", commodities=MAGNETS))
    p = price_table(w, after).loc["magnet", "", "standard", "BBB"]
    assert p["price_usd_t"] == pytest.approx(PENALTY[2])
    assert p["holds"] == "both"


@pytest.mark.parametrize(
    "h", [None, BAN, Halt("country", "AAA", elements=DY), Halt("stage", "AAA/separation", share=0.4)], ids=str
)
def test_prices_are_what_a_tonne_more_or_less_costs(h: Halt | None) -> None:
    w = invent_wide()
    state = ask(w, h) if h else w.before
    table = price_table(w, state)
    for (_, _, grade, place), p in table.loc[["magnet"]].iterrows():
        r = market_row(w.frame.skeleton, f"{place[0].lower()}-market", grade)
        agree(p["price_usd_t"], p["holds"], wanted(state.programme.lp, r, 1e-3), wanted(state.programme.lp, r, -1e-3))


def test_a_demand_one_tonne_larger_costs_the_price() -> None:
    """The same through the front door: a demand row, not a row of the programme."""
    w, stop = invent(), Halt("country", "AAA", commodities=MAGNETS)
    found = {}
    for t in (-1.0, 0.0, 1.0):
        demand = w.world.demand.copy()
        demand.loc[demand["demand_id"] == "bbb-motors", "demand_t"] += t
        changed = dataclasses.replace(w, world=dataclasses.replace(w.world, demand=demand)).with_parameters()
        found[t] = ask(changed, stop).optimum.objective
    p = price_table(w, ask(w, stop)).loc["magnet", "", "standard", "BBB"]["price_usd_t"]
    assert found[1.0] - found[0.0] == pytest.approx(p, rel=1e-6)
    assert found[0.0] - found[-1.0] == pytest.approx(p, rel=1e-6)


# The shipped world -----------------------------------------------------------------------------------------------

STUTTGART = {"id": "own", "lon": 9.18, "lat": 48.78, "sector": "ev", "grade": "SH", "tonnes": 300}
NO_CHINESE_MAGNETS = [{"spec": "country:CHN/magnet"}]


def posed(study: Study, **raw: Any) -> Outcome:
    return study.solve(scenario={"name": "question", "halt": NO_CHINESE_MAGNETS} | raw)


def test_a_buyer_moves_nothing_on_the_shipped_world(study: Study) -> None:
    outcome = posed(study, buyer=[STUTTGART], contract=[{"buyer": "own", "supplier": "yunsheng-ningbo", "tonnes": 200}])
    assert unmoved(study.baseline.reading, outcome.baseline.reading)
    before, after = (outcome.summary[s]["buyers"]["own"] for s in ("baseline", "halted"))
    assert before["by_supplier_t"]["yunsheng-ningbo"] >= 200 * (1 - 1e-5)
    assert before["shortage_t"] == 0
    assert "CHN" not in after["by_country_t"]
    assert after["supplied_t"] + after["shortage_t"] == pytest.approx(300, rel=1e-5)
    for state in ("baseline", "halted"):
        share = outcome.summary[state]["confidence_c_share"]
        assert set(share) == {"all", "mine", "separation", "metal", "magnet", "recycling", "demand"}
        assert all(0 <= v <= 1 for v in share.values())


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"buyer": [STUTTGART | {"lon": -30, "lat": 40}]}, r"no country at -30, 40 \(lon, lat\)"),
        (
            {"buyer": [STUTTGART], "contract": [{"buyer": "own", "supplier": "noveon-sanmarcos", "tonnes": 200}]},
            r"200 t of SH, but the plant sells \d+ t of it",
        ),
        (
            {"stock": [{"country": "JPN", "commodity": "oxide", "tonnes": 10}]},
            "no running plant or market there uses oxide",
        ),
    ],
    ids=["in the sea", "more than the plant makes", "of no use"],
)
def test_what_cannot_be_is_refused(study: Study, raw: Mapping[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        posed(study, **raw)


def test_parameters_hold_in_the_halted_state_alone(study: Study) -> None:
    outcome = posed(study, parameters={"surge_share_magnet": 0.0, "friction_usd_t_magnet": 5000.0})
    plain = posed(study)
    assert outcome.summary["baseline"] == plain.summary["baseline"]
    assert outcome.summary["halted"] != plain.summary["halted"]
    u = outcome.facilities.join(study.layers.facilities[["stage"]])
    plants = u[u["stage"] == "magnet"]
    assert (plants["halted_t"] <= plants["normal_t"] * (1 + 1e-9) + 1e-6).all()


def check_prices(study: Study, halts: list[str], each: int) -> None:
    """Check the prices of some places of each commodity, of each kind of kink, against one tonne more and one less."""
    solved = study.solve(halts).halted
    s, table, lanes = solved.skeleton, solved.prices, solved.reading.lanes
    base = solve(solved.lp).objective
    of_place = table["t"] > 0.5
    for (commodity, holds), part in table[of_place].groupby(["commodity", "holds"]):
        for p in part.sample(min(each, len(part)), random_state=1).itertuples():
            there = lanes[
                (lanes["commodity"] == commodity) & (lanes["element"] == p.element) & (lanes["to_country"] == p.place)
            ]
            there = there[there["grade"] == p.grade] if commodity == "magnet" else there
            ends = sum(entries(s, int(r.lane)) * r.t for r in there.itertuples()) / there["t"].sum()
            more, less = (wanted(solved.lp, ends, by, base) for by in (1e-3, -1e-3))
            agree(p.price_usd_t, holds, more, less)


def entries(s: Any, lane: int) -> np.ndarray:
    """Return what a tonne on a lane enters in the rows of its end."""
    m, to = s.lane_matrix, s.world.lanes.at[lane, "to_id"]
    column = np.zeros(m.shape[0])
    at = slice(m.indptr[lane], m.indptr[lane + 1])
    column[m.indices[at]] = m.data[at]
    return np.where(s.rows["a"] == to, column, 0.0)


def test_prices_of_magnets_on_the_shipped_world(study: Study) -> None:
    solved = study.solve(["country:CHN/magnet"]).halted
    table = solved.prices.query("commodity == 'magnet' and t > 1")
    base = solve(solved.lp).objective
    markets = solved.world.markets
    for holds in ("both", "neither"):
        p = table[table["holds"] == holds].sample(1, random_state=3).iloc[0]
        market = str(markets.index[markets["country"] == p["place"]][0])
        r = market_row(solved.skeleton, market, p["grade"])
        agree(p["price_usd_t"], holds, wanted(solved.lp, r, 1e-2, base), wanted(solved.lp, r, -1e-2, base))


@pytest.mark.slow
@pytest.mark.parametrize("halts", [[], ["country:CHN/Dy,Tb"], ["stage:CHN/mine@0.3"]], ids=" ".join)
def test_prices_of_everything_on_the_shipped_world(study: Study, halts: list[str]) -> None:
    check_prices(study, halts, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("country", "lon", "lat", "sector", "grade", "part"),
    [
        ("USA", -97.7, 30.3, "defense", "UH", 1.0),
        ("CHN", 121.4, 31.2, "consumer_electronics", "cerium", 0.4),
        ("JPN", 137.0, 35.2, "automotive_other", "bonded", 1.0),
    ],
)
def test_other_buyers_move_nothing_on_the_shipped_world(
    study: Study, country: str, lon: float, lat: float, sector: str, grade: str, part: float
) -> None:
    d = study.baseline.reading.demand
    t = part * float(
        d.loc[(d["country"] == country) & (d["sector"] == sector) & (d["grade"] == grade), "demand_t"].sum()
    )
    outcome = posed(study, buyer=[{"id": "own", "lon": lon, "lat": lat, "sector": sector, "grade": grade, "tonnes": t}])
    assert unmoved(study.baseline.reading, outcome.baseline.reading)


@pytest.mark.slow
def test_a_new_contract_with_a_plant_elsewhere_in_china_moves_no_trade(study: Study) -> None:
    outcome = posed(study, buyer=[STUTTGART], contract=[{"buyer": "own", "supplier": "jlmag-baotou", "tonnes": 250}])
    assert unmoved(study.baseline.reading, outcome.baseline.reading)
    assert outcome.summary["baseline"]["buyers"]["own"]["by_supplier_t"]["jlmag-baotou"] == pytest.approx(250, rel=1e-5)
    assert any("swapped with its other customers" in n for n in outcome.notes)


@pytest.mark.slow
def test_third_countries_on_the_shipped_world(study: Study) -> None:
    ban = [{"spec": "country:CHN:us-allies/magnet"}]
    off, on = (study.solve(scenario={"name": "ban", "halt": ban, "transshipment": x}) for x in (False, True))
    assert off.summary["halted"]["transshipped_t"] == {}
    by_hub = on.summary["halted"]["transshipped_t"]
    inside = study.layers.bloc("us-allies")
    assert by_hub
    assert not set(by_hub) & (inside | {"CHN"})
    f = on.baseline.reading.flows.query("commodity == 'magnet' and from_country == 'CHN'")
    banned = f.loc[f["to_country"].isin(inside), "tonnes"].sum()
    share = float(study.layers.parameters["transshipment_share"])
    assert sum(by_hub.values()) <= share * banned * (1 + 1e-5)
    assert on.summary["halted"]["shortage_t"] < off.summary["halted"]["shortage_t"]
    one = study.solve(scenario={"name": "ban", "halt": ban, "transshipment": {"allowed": True, "via": ["VNM"]}})
    assert set(one.summary["halted"]["transshipped_t"]) == {"VNM"}
    total = study.solve(scenario={"name": "ban", "halt": [*ban, *NO_CHINESE_MAGNETS], "transshipment": True})
    assert total.summary["halted"]["transshipped_t"] == {}


@pytest.mark.slow
def test_draws_are_reproducible_and_each_is_a_world_of_its_own(study: Study) -> None:
    rng = np.random.default_rng(5)
    turned = {n: getattr(study.layers, n) for n in ("facilities", "demand", "sector_grades", "parameter_rows")}
    turned = {n: t.iloc[rng.permutation(len(t))] for n, t in turned.items()}
    other = Study(dataclasses.replace(study.layers, **turned), study.year, study.settings)
    other.__dict__.update(router=study.router, local_roads=study.local_roads, names=study.names)
    one, two = (posed(study, draw=seed) for seed in (1, 2))
    again = posed(other, draw=1)
    assert again.summary == one.summary, "neither another run nor another order of rows matters"
    assert again.flows.to_csv(index=False) == one.flows.to_csv(index=False)
    for outcome in (one, two):
        s = outcome.summary
        assert s["baseline"]["shortage_t"] == pytest.approx(0, abs=1e-3)
        assert s["halted"]["objective_usd"] > s["baseline"]["objective_usd"]
        assert s["tuned"][0].startswith("draw ")
    assert one.summary["baseline"]["stage_output_t"] != two.summary["baseline"]["stage_output_t"]
    assert one.summary["halted"]["shortage_t"] != two.summary["halted"]["shortage_t"]
    assert posed(study).summary["baseline"]["shortage_t"] == pytest.approx(0, abs=1e-3), (
        "what is asked after a draw is not drawn"
    )

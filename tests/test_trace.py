"""Traces: by hand on small networks, laws on the wide invented world, agreement and files on the shipped one."""

import csv
import io
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import rfc7946
from click.testing import CliRunner, Result

from atlas import cli, cli_shell
from atlas.chain import shipped_chain
from atlas.errors import BadInput, NoAnswer, UnknownName
from atlas.export_trace import trace_csv, trace_geojson
from atlas.readback import read
from atlas.render_sankey import Bar, legend, sankey
from atlas.render_trace import diagram, map_payload, page
from atlas.scenario import StockRelease, from_specs
from atlas.summary import origin_shares
from atlas.trace import BEFORE, BEHIND, trace
from atlas.trace_arcs import ENDS, Network, network, place
from atlas.trace_bounds import ABOVE, BELOW, DEPENDS, Bounds, Finder, Mixing
from atlas.trace_paths import lanes, ribbons
from atlas.trace_shares import Material, shares_down, shares_up, spreads, visits
from atlas.trace_target import Target, Unit, find_target, step_of
from atlas.trace_words import sentence, tables, threshold_lines
from tests.invented import invent, invent_wide
from tests.invented_study import study_of

SUMS = 1e-9


def net_of(*arcs: tuple[str, str, float]) -> Network:
    table = pd.DataFrame(arcs, columns=["from_node", "to_node", "t"])
    return network(table.assign(element="Nd"), "Nd")


def at(net: Network, *ids: str) -> np.ndarray:
    return net.of(frozenset(ids))


def share(net: Network, target: str, origin: str) -> float:
    return float(visits(net, at(net, target), net.sources)[net.nodes.index(origin)])


def bounds(net: Network, target: str, origin: str) -> tuple[float, float]:
    return Mixing(net, at(net, target), net.sources).share_range(at(net, origin))


# ---- small networks by hand


def test_two_mines_mix_in_proportion() -> None:
    net = net_of(("m1", "s", 60), ("m2", "s", 40), ("s", "p", 30), ("s", "q", 65), ("m2", "q", 35))
    assert share(net, "p", "m1") == pytest.approx(0.6)
    assert share(net, "q", "m1") == pytest.approx(0.6 * 65 / 100)


def test_swarf_loop_is_solved_and_not_cut() -> None:
    # p takes 95 t from the separation plant and 28 t from the recycler, which takes 25 t of p's swarf and 10 t of
    # end-of-life scrap and loses a fifth: x = 28 / 123 (25 x + 10) / 35, so x = 280 / 3605.
    net = net_of(
        ("m1", "s", 60), ("m2", "s", 40), ("s", "p", 95), ("eol", "rec", 10), ("p", "rec", 25), ("rec", "p", 28),
        ("p", "users", 98),
    )  # fmt: skip
    x = 280 / 3605
    assert share(net, "p", "eol") == pytest.approx(x, rel=1e-12)
    assert share(net, "users", "eol") == pytest.approx(x, rel=1e-12)
    assert share(net, "p", "m1") == pytest.approx(0.6 * (1 - x), rel=1e-12)
    assert share(net, "rec", "eol") == pytest.approx((25 * x + 10) / 35, rel=1e-12)


@pytest.mark.parametrize(
    ("out", "least", "most"),
    [
        # 60 of 100 t are m1's: a buyer of 30 can get none or all of it, one of 50 at least the 10 that 40 cannot cover.
        ([("s", "p", 30), ("s", "q", 70)], 0.0, 1.0),
        ([("s", "p", 50), ("s", "q", 50)], 0.2, 1.0),
        ([("s", "p", 80), ("s", "surplus", 20)], 0.5, 0.75),
        ([("s", "p", 100)], 0.6, 0.6),
        # Half is lost in the process, of each origin alike: 30 of 50 t are m1's.
        ([("s", "p", 30), ("s", "q", 20)], 1 / 3, 1.0),
    ],
)
def test_bounds_of_two_mines(out: list[tuple[str, str, float]], least: float, most: float) -> None:
    net = net_of(("m1", "s", 60), ("m2", "s", 40), *out)
    assert bounds(net, "p", "m1") == pytest.approx((least, most))
    # What is least of the one is what the other leaves at most.
    assert bounds(net, "p", "m2") == pytest.approx((1 - most, 1 - least))


def test_bounds_round_a_swarf_loop() -> None:
    # 60 of the 100 t from outside are m1's; of the 25 t of swarf that come back, none to all can be.
    net = net_of(("m1", "s", 60), ("m2", "s", 40), ("s", "p", 100), ("p", "rec", 25), ("rec", "p", 25), ("p", "u", 100))
    assert share(net, "p", "m1") == pytest.approx(0.6)
    assert bounds(net, "p", "m1") == pytest.approx((60 / 125, 85 / 125))
    assert bounds(net, "u", "m1") == pytest.approx((0.6, 0.6))


def test_what_cannot_reach_a_place_has_no_share_in_it() -> None:
    net = net_of(("m1", "s", 60), ("m2", "t", 40), ("s", "p", 60), ("t", "q", 40))
    assert share(net, "p", "m2") == 0.0
    assert bounds(net, "p", "m2") == (0.0, 0.0)
    assert bounds(net, "p", "m1") == (1.0, 1.0)


def test_downstream_ends_by_hand() -> None:
    net = net_of(("m", "s", 100), ("s", "p", 60), ("s", "surplus", 20), ("p", "u", 45), ("p", "v", 15))
    stops = at(net, "u", "v", "surplus")
    reached, lost = spreads(net, at(net, "m"), stops)
    found = dict(zip(net.nodes, reached.tolist(), strict=True))
    assert {k: found[k] for k in ("u", "v", "surplus")} == pytest.approx({"u": 0.45, "v": 0.15, "surplus": 0.2})
    assert lost.sum() == pytest.approx(0.2)
    # A plant that passes nothing on of an element loses it all.
    dead = net_of(("m", "s", 100))
    assert spreads(dead, at(dead, "m"), np.zeros(2, dtype=bool))[1].sum() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("b", "verdict"),
    [(Bounds(0.002, 0.1, 0.3), ABOVE), (Bounds(0.0, 0.0, 0.0005), BELOW), (Bounds(0.0, 0.1, 0.3), DEPENDS),
     (Bounds(0.0, 0.0, 0.0), BELOW), (Bounds(0.001, 0.1, 0.3), DEPENDS)],
)  # fmt: skip
def test_verdicts(b: Bounds, verdict: str) -> None:
    assert b.verdict(0.001) == verdict


# ---- invented worlds


def material_of(world: Any, state: Any) -> Material:
    return Material(SimpleNamespace(world=world, reading=read(world, state)))  # type: ignore[arg-type]


def place_at(material: Material, *ids: str) -> Target:
    steps = [step_of(material.world, i) if i in material.world.units.index else "demand" for i in ids]
    return Target(ids[0], ids[0], "facility", "", tuple(Unit(i, s) for i, s in zip(ids, steps, strict=True)))


@pytest.fixture(scope="module")
def simple() -> Material:
    world = invent()
    return material_of(world.world, world.before)


@pytest.fixture(scope="module", params=[0, 1, 2])
def wide(request: Any) -> Material:
    world = invent_wide(request.param)
    return material_of(world.world, world.before)


def test_simple_world_by_hand(simple: Material) -> None:
    # BBB needs 700 t of magnets, makes 400 t from its own ore and buys 300 t of AAA, whose ore is its own.
    users = place_at(simple, "bbb-motors")
    for stage in ("mine", "separation", "metal", "magnet"):
        found = shares_up(simple, users, ("Nd", "Pr"), stage, frozenset({"BBB"}))
        assert found.by_country == pytest.approx({"BBB": 4 / 7, "AAA": 3 / 7})
        assert found.bloc_share == pytest.approx(4 / 7)
    plant = place_at(simple, "b-mag")
    finder = Finder(simple, plant, ("Nd", "Pr"))
    for stage in ("mine", "separation", "metal"):
        found = shares_up(simple, plant, ("Nd", "Pr"), stage, frozenset())
        assert found.by_country == pytest.approx({"BBB": 1.0})
        assert found.by_country.get("AAA", 0.0) == 0.0
        none = finder.origin(stage, frozenset({"AAA"}), 0.0, collected=False)
        assert (none.least, none.share, none.most) == (0.0, 0.0, 0.0)
        assert none.verdict(0.001) == BELOW
    down = shares_down(simple, place_at(simple, "a-mine"), ("Nd", "Pr"), "demand", frozenset({"BBB"}))
    assert down.by_country == pytest.approx({"AAA": 5 / 8, "BBB": 3 / 8})
    assert down.bloc_share == pytest.approx(3 / 8)
    assert down.by_sector == pytest.approx({"motors": 1.0})


def test_most_of_an_origin_that_never_arrives_is_zero_by_the_programme_too(simple: Material) -> None:
    net = simple.network("Nd")
    mixing = Mixing(net, at(net, "b-mag"), simple.stage_nodes(net, "mine") | net.sources)
    assert mixing.share_range(at(net, "a-mine")) == (0.0, 0.0)


def test_every_element_balances_at_every_node(wide: Material) -> None:
    for e in ("Nd", "Pr", "Dy"):
        net = wide.network(e)
        kinds = np.array([wide.kind(n) for n in net.nodes])
        inner = (net.into_t > 0) & (net.out_t > 0)
        ratio = net.out_t[inner] / net.into_t[inner]
        assert (ratio <= 1 + 1e-6).all(), e
        assert np.allclose(ratio[kinds[inner] == "magnet"], 1.0, atol=1e-6), e  # swarf that is lost is an arc
        assert np.allclose(ratio[kinds[inner] == "separation"], 0.95, atol=1e-6), e
    assert "Tb" not in set(wide.arcs["element"])


def test_shares_sum_to_one_and_bounds_bracket_for_every_unit(wide: Material) -> None:
    bloc = frozenset({"BBB", "CCC"})
    asked = 0
    for i in [*wide.world.units.index, *wide.sector]:
        target = place_at(wide, str(i))
        for elements in (("Nd", "Pr"), ("Dy",), shipped_chain().elements):
            nets = [wide.network(e) for e in elements]
            if not any((n.t[n.entering(at(n, str(i)))]).any() for n in nets):
                continue
            finder = Finder(wide, target, elements)
            for stage in BEFORE[target.units[0].step]:
                found = shares_up(wide, target, elements, stage, bloc)
                for table in (found.by_facility, found.by_country):
                    assert sum(table.values()) == pytest.approx(1.0, abs=SUMS), (i, stage)
                assert 0 <= found.bloc_share <= 1
                if stage == "recycling":
                    continue
                asked += 1
                for c, b in finder.countries(stage, found).items():
                    assert 0 <= b.least <= b.share <= b.most <= 1, (i, stage, c, b)
                    assert b.share == found.by_country[c]
                if len(elements) == 1:
                    assert_programme_brackets(wide, target, elements[0], stage)
                inside = finder.origin(stage, bloc, found.bloc_share, collected=True)
                outside = finder.origin(stage, frozenset({"AAA"}), 1 - found.bloc_share, collected=True)
                # AAA is the rest of the world, so what it holds at most is what the others leave.
                if 1e-9 < found.bloc_share < 1 - 1e-9:
                    assert inside.least + outside.most == pytest.approx(1.0, abs=1e-6), (i, stage)
    assert asked > 60


def assert_programme_brackets(material: Material, target: Target, element: str, stage: str) -> None:
    """Compare what the programmes find with the proportional share, before anything is cut to fit."""
    net = material.network(element)
    here = net.of(target.ids)
    fixed = material.stage_nodes(net, stage) | net.sources
    mixing, shares = Mixing(net, here, fixed), visits(net, here, fixed)
    for country in ("AAA", "BBB", "CCC"):
        origin = fixed & np.array([material.country.get(place(n), "") == country for n in net.nodes])
        least, most = mixing.share_range(origin)
        assert least - 1e-8 <= float(shares[origin].sum()) <= most + 1e-8, (target.id, element, stage, country)


def test_downstream_sums_to_one_for_every_unit(wide: Material) -> None:
    for i in wide.world.units.index:
        target = place_at(wide, str(i))
        for elements in (("Nd", "Pr"), ("Dy",)):
            nets = [wide.network(e) for e in elements]
            if not any((n.t[n.leaving(at(n, str(i)))]).any() for n in nets):
                continue
            for stage in BEHIND[target.units[0].step]:
                found = shares_down(wide, target, elements, stage, frozenset({"BBB"}))
                for table in (found.by_facility, found.by_country, *([found.by_sector] if stage == "demand" else [])):
                    assert sum(table.values()) == pytest.approx(1.0, abs=SUMS), (i, stage)
                assert set(found.by_country) <= {"AAA", "BBB", "CCC", "users", *ENDS}


def test_upstream_and_downstream_tell_the_same_tonnes(wide: Material) -> None:
    """What a mine sends to a user, asked from either end, swarf loops and losses included."""
    compared = 0
    for e in ("Nd", "Dy"):
        net = wide.network(e)
        for u in (n for n in net.nodes if wide.kind(n) == "demand"):
            here = at(net, u)
            back = visits(net, here, net.sources) * float(net.into_t[here].sum())
            for s in np.flatnonzero(net.sources):
                ahead, _ = spreads(net, at(net, net.nodes[s]), wide.ends(net))
                sent = float(ahead[net.nodes.index(u)]) * float(net.out_t[s])
                assert sent == pytest.approx(float(back[s]), rel=1e-6, abs=1e-9), (e, u, net.nodes[s])
                compared += sent > 0
    assert compared > 20


def test_recycling_is_an_origin_of_its_own(wide: Material) -> None:
    recycler = place_at(wide, "a-rec")
    mined = shares_up(wide, recycler, ("Nd", "Pr", "Dy"), "mine", frozenset())
    assert 0 < mined.by_country["recycled"] < 1
    scrap = {k: v for k, v in mined.by_facility.items() if k.endswith("-market")}
    assert sum(scrap.values()) == pytest.approx(mined.by_country["recycled"])
    made = shares_up(wide, place_at(wide, "a-mag"), ("Nd", "Pr"), "recycling", frozenset({"AAA"}))
    assert set(made.by_facility) == {"a-rec", "primary"}
    assert made.bloc_share == pytest.approx(made.by_facility["a-rec"])


def test_by_mass_of_all_elements_it_is_the_share_of_the_summary(wide: Material) -> None:
    """`solve` mixes all elements by mass; the same system on that network gives its figures."""
    assert_agrees(wide, frozenset({"BBB", "CCC"}), 1e-9)


def assert_agrees(material: Material, bloc: frozenset[str], tolerance: float) -> None:
    """Compare `bloc_origin_share` with visits on one network of mass, which `summary` mixes in each plant's own form."""
    r = material.reading
    moved = r.lanes[r.lanes["commodity"] != "magnet"]
    basket = material.world.units.loc[moved["mine"].where(moved["mine"] != "", moved["from_id"]).where(
        moved["commodity"] == "concentrate", material.world.units.index[0]), list(shipped_chain().elements)].sum(axis=1).to_numpy()
    mass = moved["t"].to_numpy() * np.where(moved["commodity"] == "concentrate", basket, 1.0)
    sold = r.lanes[(r.lanes["commodity"] == "magnet") & r.lanes["to_country"].isin(bloc)]
    rows = pd.DataFrame({"from_node": [*moved["from_id"], *sold["from_id"]],
                         "to_node": [*moved["to_id"], *["the bloc"] * len(sold)], "t": [*mass, *sold["t"]]})  # fmt: skip
    net = network(rows)
    told = origin_shares(material.world, r, bloc)
    home = np.array([material.country.get(place(n), "") in bloc for n in net.nodes])
    for stage in ("mine", "separation", "metal", "magnet"):
        fixed = material.stage_nodes(net, stage) | net.sources
        found = visits(net, at(net, "the bloc"), fixed)
        assert float(found[fixed & home].sum()) == pytest.approx(told[stage], abs=tolerance), stage


def test_stock_let_go_is_an_origin_of_its_own() -> None:
    world = invent_wide(0).with_stocks([StockRelease("BBB", "oxide", 100.0, "Nd"), StockRelease("a-met", "metal", 50.0, "Nd")])
    state = world.halted(from_specs(["stage:AAA/separation@0.5"], study_of(world).names))
    found = material_of(world.world, state)
    stocks = {n for n in found.network("Nd").nodes if found.kind(n) == "stock"}
    assert len(stocks) == 2
    net = found.network("Nd")
    assert "a-met|out" in net.nodes  # it sells its own stock beside what it makes
    metal = shares_up(found, place_at(found, "b-mag"), ("Nd",), "mine", frozenset({"BBB"}))
    assert sum(metal.by_country.values()) == pytest.approx(1.0, abs=SUMS)
    made = shares_up(found, place_at(found, "a-mag"), ("Nd",), "metal", frozenset({"AAA"}))
    assert any(k.startswith("stock-") for k in made.by_facility)
    assert sum(made.by_facility.values()) == pytest.approx(1.0, abs=SUMS)
    lent = [k for k in made.by_facility if k.startswith("stock-")]
    assert all(k in made.by_country for k in lent)


# ---- the shipped world


@pytest.fixture(scope="module")
def shipped(study: Any) -> Any:
    return study.solve()


@pytest.fixture(scope="module")
def germany(shipped: Any) -> Any:
    return trace(shipped, "DEU", threshold=0.001)


def test_a_mass_trace_agrees_with_the_summary_on_the_shipped_world(shipped: Any) -> None:
    material = Material(shipped.baseline)
    for bloc in ("us-allies", "eu27", "prc"):
        assert_agrees(material, shipped.layers.bloc(bloc), 1e-9)


def test_element_by_element_it_is_close_to_the_summary(shipped: Any) -> None:
    """Elements kept apart give nearly the same: Dy is mined elsewhere than Nd, and `solve` mixes them."""
    material = Material(shipped.baseline)
    bloc = shipped.layers.bloc("us-allies")
    told = origin_shares(material.world, material.reading, bloc)
    inside = [i for i in material.sector if material.country[i] in bloc]
    users = Target("bloc", "bloc", "country", "", tuple(Unit(i, "demand") for i in inside))
    for stage in ("mine", "separation", "metal", "magnet"):
        found = shares_up(material, users, shipped_chain().elements, stage, bloc).bloc_share
        assert found == pytest.approx(told[stage], abs=0.03), stage


def test_germany_sums_and_brackets(germany: Any) -> None:
    assert set(germany.upstream) == set(BEFORE["demand"])
    for s in germany.upstream.values():
        assert sum(s.by_country.values()) == pytest.approx(1.0, abs=SUMS)
    for stage, of in germany.bounds.items():
        assert of, stage
        for b in of.values():
            assert 0 <= b.least <= b.share <= b.most <= 1
        assert set(germany.verdicts[stage]) == set(of)
    told = germany.to_json()
    assert told["id"] == "DEU"
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert {"id", "name", "stage", "element", "halts", "bloc", "upstream", "bounds", "downstream", "threshold"} <= set(told)
    assert re.search(r"China", sentence(germany))


def test_a_plant_of_allied_ore_alone_holds_nothing_chinese(shipped: Any) -> None:
    made = trace(shipped, "lynas-kuantan", origin="CHN", threshold=0.001)
    assert made.upstream["mine"].by_country == {"AUS": 1.0}
    b = made.origin_bounds["mine"]
    assert (b.least, b.share, b.most) == (0.0, 0.0, 0.0)
    assert made.verdicts == {"mine": {"CHN": BELOW}}
    assert "None of its ore can be Chinese" in sentence(made)
    bloc = made.bloc_bounds["mine"]
    assert (bloc.least, bloc.share, bloc.most) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize(
    "asked", ["DEU", "vac-hanau", "mountain-pass", "rec-jiangxi", "magnequench-korat", "solikamsk", "deu-market", "jpn-ev"]
)
def test_diagrams_balance_and_parse(shipped: Any, asked: str, direction: str) -> None:
    made = trace(shipped, asked, direction=direction)
    flow = ribbons(made, direction)
    told = made.upstream if direction == "up" else made.downstream
    assert bool(flow.links) == bool(told) or not told
    if not told:
        return
    whole = sum((made.content_t if direction == "up" else made.sold_t).values())
    into: dict[str, float] = {}
    out: dict[str, float] = {}
    for (a, b), t in flow.links.items():
        out[a] = out.get(a, 0.0) + t
        into[b] = into.get(b, 0.0) + t
    for k in set(into) & set(out):
        assert into[k] == pytest.approx(out[k], rel=1e-4), k
    assert sum(t for k, t in out.items() if k not in into) == pytest.approx(whole, rel=1e-5)
    svg = ElementTree.fromstring(str(diagram(made, direction)))
    width, height = (float(v) for v in svg.attrib["viewBox"].split()[2:])
    words = [e for e in svg.iter() if e.tag.endswith("text")]
    assert len(words) > 2
    columns: dict[float, list[float]] = {}
    for e in words:
        x, y, size = (float(e.attrib[k]) for k in ("x", "y", "font-size"))
        assert 0 <= x <= width
        assert 0 <= y <= height
        if size < 12:
            columns.setdefault(x, []).append(y)
    for ys in columns.values():  # labels of a column never touch
        ys.sort()
        assert all(b - a >= 11.2 for a, b in zip(ys, ys[1:], strict=False))


def test_paths_follow_routes_and_never_exceed_flows(shipped: Any, germany: Any) -> None:
    found = lanes(germany, "up")
    assert (found["t"] > 0).all()
    moved = germany.material.arcs.assign(from_id=lambda a: a["from_node"].map(place))
    most = moved[moved["route_id"] != ""].groupby(["from_id", "commodity", "route_id"])["t"].sum()
    for r in found.itertuples():
        assert r.t <= most[r.from_id, r.commodity, r.route_id] * (1 + 1e-9)
    arriving = found[(found["commodity"] == "magnet")]
    assert arriving["t"].sum() == pytest.approx(sum(germany.content_t.values()), rel=1e-6)
    assert set(arriving["to_id"]) == {"deu-market"}


def test_files_of_a_trace(germany: Any, tmp_path: Path) -> None:
    text = trace_geojson(germany)
    assert not rfc7946.problems(text)
    doc = json.loads(text)
    assert "OpenStreetMap" in doc["attribution"]
    assert len({f["id"] for f in doc["features"]}) == len(doc["features"]) > 50
    rows = list(csv.DictReader(io.StringIO(trace_csv(germany))))
    mined = [r for r in rows if r["stage"] == "mine" and r["by"] == "country"]
    assert sum(float(r["share"]) for r in mined) == pytest.approx(1.0, abs=1e-5)
    html = page(germany)
    assert "http-equiv=\"Content-Security-Policy\"" in html
    assert "<nav" not in html
    assert "src=" not in re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)
    assert page(germany) == html
    assert len(map_payload(germany)["stretches"]) > 50
    up, down = tables(germany)
    assert [t.stage for t in up] == list(BEFORE["demand"])
    assert not down
    assert any("below whatever the mixing: " in line and "every other country" in line for line in threshold_lines(germany))


def test_a_halt_shows_both_states(study: Any) -> None:
    outcome = study.solve(["country:CHN/Dy,magnet"])
    made = trace(outcome, "jpn-ev", "Dy")
    assert set(made.before) == set(made.upstream)
    told = made.to_json()
    assert told["halts"] == ["country:CHN/Dy,magnet"]
    assert told["baseline_upstream"]["magnet"]["by_country"] != told["upstream"]["magnet"]["by_country"]
    idle = trace(study.solve(["facility:vac-hanau"]), "vac-hanau")
    assert not idle.upstream
    assert idle.before
    assert any("stands still" in n for n in idle.notes)
    assert sentence(idle)
    html = page(idle)
    assert ">Baseline<" in html
    assert ">Share<" not in html


@pytest.mark.parametrize(
    ("asked", "how", "error", "words"),
    [
        ("vac-hanua", {}, UnknownName, "vac-hanau"),
        ("", {}, UnknownName, "unknown"),
        ("</script>", {}, UnknownName, "unknown"),
        ("DEU", {"element": "Ndd"}, UnknownName, "Nd"),
        ("DEU", {"direction": "sideways", "threshold": 2.0}, BadInput, "direction"),
        ("DEU", {"threshold": 0.0}, BadInput, "threshold"),
        ("DEU", {"origin": "CHM"}, UnknownName, "CHN"),
        ("mp-independence", {}, NoAnswer, "does not run in 2024"),
        ("bayan-obo", {"element": "Sm", "direction": "up"}, None, ""),
        ("ATA", {}, NoAnswer, "no demand"),
        ("vac-hanau", {"element": "Sm"}, NoAnswer, "Sm"),
        ("lynas-kuantan", {"element": "Dy", "direction": "down"}, NoAnswer, "passes on no Dy"),
    ],
)
def test_what_is_refused(shipped: Any, asked: str, how: dict[str, Any], error: Any, words: str) -> None:
    if error is None:
        assert not trace(shipped, asked, **how).upstream
        return
    with pytest.raises(error, match=re.escape(words)):
        trace(shipped, asked, **how)


def test_origins_of_every_kind(shipped: Any) -> None:
    for origin, stages in (
        ("CHN", {"mine", "separation", "metal", "magnet"}), ("us-allies", {"mine", "separation", "metal", "magnet"}),
        ("bayan-obo", {"mine"}), ("rec-jiangxi", {"separation"}), ("vac-hanau", {"magnet"}),
        ("recycled", {"mine", "separation", "metal", "magnet"}),
    ):  # fmt: skip
        made = trace(shipped, "DEU", "Dy", origin=origin, threshold=0.001)
        assert set(made.origin_bounds) == stages, origin
        for b in made.origin_bounds.values():
            assert b.least <= b.share <= b.most
        assert all(set(v) == {origin} for v in made.verdicts.values())
    one = trace(shipped, "DEU", "Dy", origin="bayan-obo").origin_bounds["mine"]
    assert one.share == pytest.approx(trace(shipped, "DEU", "Dy").upstream["mine"].by_facility["bayan-obo"])


def test_targets(shipped: Any) -> None:
    world, layers = shipped.halted.world, shipped.layers
    kinds = {i: find_target(i, layers, world, 2024).kind for i in ("vac-hanau", "mountain-pass", "deu", "deu-market", "deu-ev")}
    assert kinds == {"vac-hanau": "facility", "mountain-pass": "site", "deu": "country", "deu-market": "market", "deu-ev": "demand"}
    both = trace(shipped, "mountain-pass", direction="both")
    assert set(both.upstream) == {"mine"}
    assert set(both.downstream) == set(BEHIND["mine"])
    assert trace(shipped, "mountain-pass-mine").direction == "down"
    country, market = (trace(shipped, i) for i in ("DEU", "deu-market"))
    assert country.upstream["mine"].by_country == market.upstream["mine"].by_country


def test_names_in_a_diagram_stay_text() -> None:
    bars = [Bar("a", 0, "</svg><script>", "<b>&", "china"), Bar("b", 1, "B", "B", "bloc")]
    svg = str(sankey(["Mines", "Users"], bars, {("a", "b"): 5.0}, "<about>"))
    ElementTree.fromstring(svg)
    assert "<script>" not in svg
    assert not sankey(["Mines"], bars[:1], {}, "nothing")
    assert [label for _, label in legend(["bloc", "china"], "quad")] == ["China", "quad"]


def test_small_nodes_are_put_together_and_none_is_lost() -> None:
    bars = [Bar(f"m{k}", 0, f"Mine {k}", f"Mine {k}", "other") for k in range(40)] + [Bar("u", 1, "U", "U", "bloc")]
    links = {(f"m{k}", "u"): 1.0 + (k == 0) * 100 for k in range(40)}
    svg = ElementTree.fromstring(str(sankey(["Mines", "Users"], bars, links, "many")))
    words = [e.text or "" for e in svg.iter() if e.tag.endswith("text")]
    assert any(w.startswith("39 more, other") for w in words), words
    assert len(words) < 14


# ---- the command


def run(study: Any, monkeypatch: Any, *args: str) -> Result:
    monkeypatch.setattr(cli_shell, "open_study", lambda obj: study)
    return CliRunner().invoke(cli.main, ["trace", *args], catch_exceptions=False)


def test_command(study: Any, monkeypatch: Any, tmp_path: Path) -> None:
    done = run(study, monkeypatch, "vac-hanau", "--origin", "CHN", "--threshold", "0.001")
    assert done.exit_code == 0
    assert "mined: country" in done.stdout
    assert "threshold 0.1 %" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 120
    done = run(study, monkeypatch, "vac-hanau", "--json", "--direction", "both")
    assert json.loads(done.stdout)["stage"] == "magnet"
    for name in ("a.geojson", "a.csv", "a.svg", "a.html"):
        done = run(study, monkeypatch, "vac-hanau", "--out", str(tmp_path / name))
        assert done.exit_code == 0, done.stderr
        assert (tmp_path / name).stat().st_size > 500
    ElementTree.parse(tmp_path / "a.svg")


@pytest.mark.parametrize(
    ("args", "code"),
    [(("vac-hanua",), 2), (("mp-independence",), 1), (("DEU", "--element", "Xx"), 2), (("DEU", "--threshold", "3"), 2),
     (("DEU", "--out", "a.txt"), 2), (("DEU", "--halt", "country:CHM"), 2), (("DEU", "--scenario", "no-such"), 2)],
)  # fmt: skip
def test_command_refuses(study: Any, monkeypatch: Any, args: tuple[str, ...], code: int) -> None:
    done = run(study, monkeypatch, *args)
    assert done.exit_code == code, done.output
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert done.stdout == ""

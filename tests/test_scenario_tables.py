"""Buyers, contracts, stocks, priorities, transshipment, draws and parameters of a scenario: read, refused, ordered."""

import datetime as dt
import itertools
import json
import math
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from atlas.chain import shipped_chain
from atlas.errors import BadInput
from atlas.halt import Names
from atlas.layers import Layers
from atlas.scenario import Buyer, Contract, Scenario, StockRelease, from_dict, from_specs, read_file

NAMES = Names(
    facility=frozenset({"lynas-kuantan", "mt-weld", "vac-hanau", "less-common-metals"}),
    site=frozenset({"lynas-kuantan", "mt-weld", "mountain-pass", "vac-hanau"}),
    operator=frozenset({"lynas"}),
    port=frozenset({"MYKUA"}),
    passage=frozenset({"malacca", "northern-sea-route"}),
    border=frozenset({"CHN-MMR"}),
    country=frozenset({"CHN", "USA", "MMR", "DEU", "VNM"}),
    bloc=frozenset({"us-allies"}),
    sector=frozenset({"ev", "wind"}),
    demand_country=frozenset({"USA", "DEU"}),
    grade=frozenset({"standard", "SH", "UH"}),
    parameter={
        "surge_share": "share", "separation_recovery": "share", "shortage_rise": "share", "shortage_steps": "count",
        "friction_usd_t_magnet": "USD/t", "blank_to_finished": "t finished per t blank",
        "metal_per_oxide_nd": "t metal per t oxide", "target_weight_usd_t_mine": "USD/t",
    },
    demand_ids=frozenset({"deu-wind"}),
    market_ids=frozenset({"deu-market"}),
)  # fmt: skip
DAY = dt.date(2025, 6, 1)
WORKS = {"id": "turbine-works", "lon": 9.5, "lat": 53.9, "sector": "wind", "grade": "SH", "tonnes": 100}
DRIVES = {"id": "drive-works", "lon": 11, "lat": 48, "sector": "ev", "grade": "UH", "tonnes": 50, "cover_days": 30, "country": "DEU"}
DEAL = {"buyer": "turbine-works", "supplier": "vac-hanau", "tonnes": 40}
HUGE = 10**5000  # more digits than Python turns into text


def told(raw: Any, on: dt.date | None = DAY) -> list[str]:
    with pytest.raises(BadInput) as e:
        from_dict(raw, NAMES, on=on)
    return e.value.problems


def deals(*rows: dict, buyers: tuple[dict, ...] = (WORKS, DRIVES)) -> dict[str, Any]:
    return {"buyer": list(buyers), "contract": list(rows)}


def kind(value: Any) -> str:
    return type(value).__name__


# Good rows

def test_a_buyer() -> None:
    found = from_dict({"buyer": [WORKS, DRIVES | {"note": "x", "source": "y"}]}, NAMES).buyers
    assert found == (
        Buyer("drive-works", 11.0, 48.0, "ev", "UH", 50.0, 30.0, "DEU"),
        Buyer("turbine-works", 9.5, 53.9, "wind", "SH", 100.0),
    )
    assert all(isinstance(v, float) for v in (found[0].lon, found[0].tonnes, found[0].cover_days))


@pytest.mark.parametrize("more", [{"lon": -180}, {"lon": 180}, {"lat": 90}, {"lat": -90.0}, {"tonnes": 1e6}, {"tonnes": 0.001}, {"cover_days": 0},
                                  {"cover_days": 3650}, {"cover_days": None}, {"country": ""}, {"country": None}, {"id": "7"}, {"id": "a" * 60}])  # fmt: skip
def test_a_buyer_at_the_edge(more: dict) -> None:
    assert len(from_dict({"buyer": [WORKS | more]}, NAMES).buyers) == 1


def test_a_contract_of_a_buyer_is_for_magnets_of_its_grade() -> None:
    found = from_dict(deals(DEAL, DEAL | {"commodity": "magnet", "grade": "UH", "supplier": "mountain-pass", "until": "2026-01-01"}), NAMES).contracts
    assert found == (
        Contract("turbine-works", "mountain-pass", "magnet", "UH", 40.0, dt.date(2026, 1, 1)),
        Contract("turbine-works", "vac-hanau", "magnet", "SH", 40.0),
    )


@pytest.mark.parametrize("commodity", ["concentrate", "oxide", "metal"])
def test_a_facility_buys_what_it_works_on(commodity: str) -> None:
    row = {"buyer": "lynas-kuantan", "supplier": "mt-weld", "commodity": commodity, "tonnes": 900}
    assert from_dict({"contract": [row]}, NAMES).contracts == (Contract("lynas-kuantan", "mt-weld", commodity, "", 900.0),)


def test_stocks() -> None:
    rows = [
        {"country": "CHN", "commodity": "oxide", "tonnes": 10, "element": "Dy"},
        {"country": "CHN", "commodity": "metal", "tonnes": 3, "element": "NdPr", "release_from": DAY},
        {"country": "USA", "commodity": "magnet", "tonnes": 5, "grade": "SH"},
        {"facility": "mt-weld", "commodity": "concentrate", "tonnes": 1e6, "release_from": "2025-06-01"},
    ]
    found = from_dict({"stock": rows}, NAMES, on=DAY).stocks
    assert found == (
        StockRelease("CHN", "metal", 3.0, "NdPr", "", DAY),
        StockRelease("CHN", "oxide", 10.0, "Dy"),
        StockRelease("USA", "magnet", 5.0, "", "SH"),
        StockRelease("mt-weld", "concentrate", 1e6, release_from=DAY),
    )
    assert [s.in_country for s in found] == [True, True, True, False]


@pytest.mark.parametrize("element", sorted(shipped_chain().tokens))
@pytest.mark.parametrize("commodity", ["oxide", "metal"])
def test_a_stock_of_any_element_that_halts_know(element: str, commodity: str) -> None:
    (found,) = from_dict({"stock": [{"country": "USA", "commodity": commodity, "tonnes": 1, "element": element}]}, NAMES).stocks
    assert found.element == element


def test_priorities_of_sectors_and_buyers() -> None:
    rows = [{"sector": "wind", "class": 1, "note": "x"}, {"buyer": "turbine-works", "class": 3}, {"sector": "wind", "class": 1}]
    assert from_dict({"buyer": [WORKS], "priority": rows}, NAMES).priority == (
        {"buyer": "turbine-works", "class": 3},
        {"sector": "wind", "class": 1},
    )


@pytest.mark.parametrize(
    ("given", "allowed", "via"),
    [
        (True, True, set()),
        ({"allowed": True}, True, set()),
        ({"allowed": True, "via": []}, True, set()),
        ({"allowed": True, "via": ["VNM", "MMR", "VNM"], "source": "x"}, True, {"VNM", "MMR"}),
        ({"allowed": False}, False, set()),
        ({"allowed": False, "via": []}, False, set()),
        (False, False, set()),
        (None, False, set()),
    ],
)  # fmt: skip
def test_transshipment(given: Any, allowed: bool, via: set[str]) -> None:
    found = from_dict({"halt": [{"spec": "country:CHN"}], "transshipment": given}, NAMES)
    assert (found.transshipment, found.via) == (allowed, frozenset(via))
    assert found.only_halts is not allowed


@pytest.mark.parametrize("seed", [0, 7, 2**31 - 1])
def test_a_draw(seed: int) -> None:
    found = from_dict({"draw": seed}, NAMES)
    assert found.draw == seed
    assert not found.is_baseline
    assert not found.only_halts


def test_parameters() -> None:
    given = {"surge_share": 1, "friction_usd_t_magnet": 0, "separation_recovery": 0.5, "shortage_rise": 3, "blank_to_finished": 0.7}
    found = from_dict({"parameters": given}, NAMES).parameters
    assert found == tuple(sorted((k, float(v)) for k, v in given.items()))
    assert all(isinstance(v, float) for _, v in found)
    assert from_dict({"parameters": {}, "draw": 1}, NAMES).parameters == ()


def test_a_file_and_json_say_the_same(tmp_path: Path) -> None:
    text = """
transshipment = {allowed = true, via = ["VNM"]}
draw = 3
[parameters]
surge_share = 0.1
[[buyer]]
id = "turbine-works"
lon = 9.5
lat = 53.9
sector = "wind"
grade = "SH"
tonnes = 100
[[contract]]
buyer = "turbine-works"
supplier = "vac-hanau"
tonnes = 40
until = 2026-01-01
[[stock]]
country = "USA"
commodity = "magnet"
tonnes = 5
release_from = 2025-01-01T06:00:00
[[priority]]
buyer = "turbine-works"
class = 1
"""
    (tmp_path / "x.toml").write_text(text)
    posted = json.loads(json.dumps({
        "name": "x", "transshipment": {"allowed": True, "via": ["VNM"]}, "draw": 3, "parameters": {"surge_share": 0.1}, "buyer": [WORKS],
        "contract": [DEAL | {"until": "2026-01-01"}], "priority": [{"class": 1, "buyer": "turbine-works"}],
        "stock": [{"country": "USA", "commodity": "magnet", "tonnes": 5, "release_from": "2025-01-01"}],
    }))  # fmt: skip
    read, sent = read_file(tmp_path / "x.toml", NAMES, on=DAY), from_dict(posted, NAMES, on=DAY)
    assert read == sent
    assert read.key == sent.key


def test_facilities_of_the_scenario_are_known_to_its_other_tables() -> None:
    new = {"id": "new-plant-metal", "site": "new-plant", "stage": "metal"}
    raw = deals({"buyer": "new-plant-metal", "supplier": "mt-weld", "commodity": "oxide", "tonnes": 1}, DEAL | {"supplier": "new-plant"})
    found = from_dict(raw | {"facility": [new], "stock": [{"facility": "new-plant-metal", "commodity": "metal", "tonnes": 1}]}, NAMES)
    assert (len(found.contracts), len(found.stocks)) == (2, 1)
    assert told({"facility": [new], "buyer": [WORKS | {"id": "new-plant-metal"}]}) == ["buyer 1: id: new-plant-metal is the id of a facility; expected another"]


# Rows not in force

def test_a_contract_that_has_ended_is_dropped() -> None:
    raw = deals(DEAL | {"until": "2025-05-31"}, DEAL | {"until": "2025-06-01", "tonnes": 60}, DEAL)
    found = from_dict(raw, NAMES, on=DAY)
    assert [c.tonnes for c in found.contracts] == [40.0, 60.0]
    assert found.dropped == ("contract of turbine-works with vac-hanau: ended 2025-05-31",)
    earlier = deals(DEAL | {"until": "2025-05-31"}, DEAL)
    assert len(from_dict(earlier, NAMES).contracts) == 2
    assert len(from_dict(earlier | {"start": "2025-06-01"}, NAMES).contracts) == 1


def test_a_stock_not_yet_released_is_dropped() -> None:
    row = {"country": "USA", "commodity": "magnet", "tonnes": 5, "grade": "SH", "release_from": "2025-06-02"}
    found = from_dict({"stock": [row, {"facility": "mt-weld", "commodity": "oxide", "tonnes": 1, "release_from": dt.date(2026, 1, 1)}]}, NAMES, on=DAY)
    assert found.stocks == ()
    assert found.dropped == ("stock of USA (SH magnet): not released before 2025-06-02", "stock of mt-weld (oxide): not released before 2026-01-01")
    assert found.is_baseline
    assert len(from_dict({"stock": [row]}, NAMES).stocks) == 1
    assert len(from_dict({"stock": [row]}, NAMES, on=dt.date(2025, 6, 2)).stocks) == 1


def test_what_is_dropped_is_checked_all_the_same() -> None:
    (problem,) = told(deals(DEAL | {"until": "2020-01-01", "supplier": "vac-hanu"}))
    assert problem == "contract 1: unknown facility or site 'vac-hanu'; nearest: vac-hanau"


# Refusals

@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"id": None}, "id: expected up to 60 lower-case letters, digits and hyphens, such as turbine-works; found nothing"),
        ({"id": "Turbine"}, "id: expected up to 60 lower-case"),
        ({"id": "-x"}, "id: expected up to 60"),
        ({"id": "a" * 61}, "id: expected up to 60"),
        ({"id": "a\n"}, "id: expected up to 60"),
        ({"id": 5}, "id: expected up to 60"),
        ({"id": ["a"]}, "found a list"),
        ({"id": "mt-weld"}, "id: mt-weld is the id of a facility; expected another"),
        ({"id": "mountain-pass"}, "id: mountain-pass is the id of a site"),
        ({"id": "deu-wind"}, "id: deu-wind is the id of a demand row"),
        ({"id": "deu-market"}, "id: deu-market is the id of a market"),
        ({"id": "surplus"}, "id: surplus is a word of flows.csv"),
        ({"lon": 180.5}, "lon: expected a number from -180 to 180, found 180.5"),
        ({"lon": "9.5"}, "lon: expected a number from -180 to 180, found '9.5'"),
        ({"lat": -91}, "lat: expected a number from -90 to 90, found -91"),
        ({"lat": None}, "lat: expected a number from -90 to 90, found nothing"),
        ({"sector": "wnd"}, "unknown sector 'wnd'; nearest: wind"),
        ({"sector": ""}, "expected `sector`, a sector"),
        ({"sector": 3}, "sector: expected a text, found 3"),
        ({"grade": "standrd"}, "unknown grade 'standrd'; nearest: standard"),
        ({"grade": "N"}, "unknown grade 'N'; nearest: SH, UH, standard"),
        ({"tonnes": 0}, "tonnes: expected a number over 0 to 1000000, found 0"),
        ({"tonnes": 1000001}, "tonnes: expected a number over 0 to 1000000, found 1000001"),
        ({"tonnes": True}, "tonnes: expected a number over 0 to 1000000, found True"),
        ({"cover_days": -1}, "cover_days: expected a number from 0 to 3650, found -1"),
        ({"cover_days": "month"}, "cover_days: expected a number from 0 to 3650, found 'month'"),
        ({"country": "DEX"}, "unknown country 'DEX'; nearest: DEU"),
        ({"country": 1}, "country: expected a text, found 1"),
        ({"longitude": 3}, "unknown field 'longitude'"),
        ({"tones": 3}, "unknown field 'tones'; nearest: tonnes"),
    ],
)  # fmt: skip
def test_buyer_refusals(more: dict, says: str) -> None:
    (problem,) = told({"buyer": [WORKS | more]})
    assert problem.startswith("buyer 1: ")
    assert says in problem


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (DEAL | {"buyer": "turbin-works"}, "contract 1: unknown buyer or facility 'turbin-works'; nearest: turbine-works"),
        (DEAL | {"buyer": None}, "contract 1: expected `buyer`, a buyer or facility"),
        (DEAL | {"buyer": ["turbine-works"]}, "contract 1: buyer: expected a text, found a list"),
        (DEAL | {"buyer": "mountain-pass", "commodity": "oxide"}, "contract 1: unknown buyer or facility 'mountain-pass'"),
        (DEAL | {"supplier": "drive-works"}, "contract 1: unknown facility or site 'drive-works'"),
        (DEAL | {"supplier": ""}, "contract 1: expected `supplier`, a facility or site"),
        (DEAL | {"commodity": "magnets"}, "contract 1: unknown commodity 'magnets'; nearest: magnet"),
        (DEAL | {"commodity": "scrap"}, "contract 1: unknown commodity 'scrap'; nearest: concentrate, oxide, metal, magnet"),
        (DEAL | {"commodity": "oxide"}, "contract 1: turbine-works is a buyer of magnets, not of oxide"),
        (DEAL | {"grade": "SHH"}, "contract 1: unknown grade 'SHH'; nearest: SH"),
        (DEAL | {"tonnes": 0}, "contract 1: tonnes: expected a number over 0 to 1000000, found 0"),
        (DEAL | {"tonnes": -3}, "contract 1: tonnes: expected a number over 0"),
        (DEAL | {"until": "soon"}, "contract 1: until: expected a date YYYY-MM-DD, found 'soon'"),
        (DEAL | {"until": 2025}, "contract 1: until: expected a date YYYY-MM-DD, found 2025"),
        (DEAL | {"util": "2025-01-01"}, "contract 1: unknown field 'util'; nearest: until"),
        (DEAL | {"buyer": "vac-hanau", "supplier": "mt-weld"}, "contract 1: vac-hanau is a facility: expected concentrate, oxide or metal, not magnet, the commodity where none is given"),
        (DEAL | {"buyer": "vac-hanau", "supplier": "mt-weld", "commodity": "magnet"}, "contract 1: vac-hanau is a facility: expected concentrate, oxide or metal, not magnet"),
        (DEAL | {"buyer": "vac-hanau", "supplier": "mt-weld", "commodity": "metal", "grade": "SH"}, "contract 1: grade: goes with magnet, not with metal"),
        (DEAL | {"buyer": "vac-hanau", "commodity": "metal"}, "contract 1: vac-hanau has a contract with itself"),
        (DEAL | {"tonnes": 100.5}, "contracts of turbine-works: 100.5 t in force, more than the 100 t it buys"),
    ],
)  # fmt: skip
def test_contract_refusals(row: dict, says: str) -> None:
    (problem,) = told(deals(row))
    assert problem == says if says.endswith("magnet") else problem.startswith(says)


def test_the_contracts_of_a_buyer_stay_within_what_it_buys() -> None:
    full = [DEAL | {"tonnes": 0.1} for _ in range(10)]
    assert len(from_dict(deals(*full, buyers=(WORKS | {"tonnes": 1},)), NAMES).contracts) == 10
    over = deals(DEAL | {"tonnes": 60}, DEAL | {"tonnes": 50, "supplier": "mountain-pass"}, DEAL | {"tonnes": 500, "until": "2025-01-01"})
    assert told(over) == ["contracts of turbine-works: 110 t in force, more than the 100 t it buys"]
    assert told(over, on=None) == ["contracts of turbine-works: 610 t in force, more than the 100 t it buys"]


def test_a_buyer_with_a_problem_makes_none_for_those_who_name_it() -> None:
    raw = deals(DEAL, buyers=(WORKS | {"tonnes": -1},)) | {"priority": [{"buyer": "turbine-works", "class": 1}]}
    assert told(raw) == ["buyer 1: tonnes: expected a number over 0 to 1000000, found -1"]


def test_two_buyers_of_one_id() -> None:
    assert told({"buyer": [WORKS, WORKS | {"tonnes": 3}]}) == ["buyer 2: id: turbine-works is a buyer in an earlier row"]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({}, "expected one of country and facility, found neither"),
        ({"country": "USA", "facility": "mt-weld"}, "expected one of country and facility, found both"),
        ({"country": "USB"}, "unknown country 'USB'; nearest: USA"),
        ({"country": "us-allies"}, "unknown country 'us-allies'"),
        ({"country": {"a": 1}}, "country: expected a text, found a table"),
        ({"facility": "mt-wel"}, "unknown facility 'mt-wel'; nearest: mt-weld"),
        ({"country": "USA", "commodity": None}, "expected `commodity`, a commodity"),
        ({"country": "USA", "commodity": "scrap"}, "unknown commodity 'scrap'; nearest: concentrate, oxide, metal, magnet"),
        ({"country": "USA", "commodity": "concentrate"}, "concentrate lies with a facility: expected `facility`, not `country`"),
        ({"country": "USA", "element": "Neodym"}, "unknown element 'Neodym'"),
        ({"country": "USA", "element": 60}, "element: expected a text, found 60"),
        ({"country": "USA", "commodity": "magnet", "element": "Dy"}, "element: goes with oxide and metal, not with magnet"),
        ({"facility": "mt-weld", "commodity": "concentrate", "element": "Dy"}, "element: goes with oxide and metal, not with concentrate"),
        ({"country": "USA", "grade": "SH"}, "grade: goes with magnet, not with oxide"),
        ({"country": "USA", "commodity": "magnet", "grade": "sh1"}, "unknown grade 'sh1'; nearest: SH"),
        ({"country": "USA", "tonnes": 0.0}, "tonnes: expected a number over 0 to 1000000, found 0.0"),
        ({"country": "USA", "release_from": "2025-13-01"}, "release_from: expected a date YYYY-MM-DD, found '2025-13-01'"),
        ({"country": "USA", "to": "2025-01-01"}, "unknown field 'to'"),
    ],
)  # fmt: skip
def test_stock_refusals(row: dict, says: str) -> None:
    (problem,) = told({"stock": [{"commodity": "oxide", "tonnes": 1} | row]})
    assert problem.startswith(f"stock 1: {says}")


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"class": 1}, "priority 2: expected one of sector and buyer, found neither"),
        ({"class": 1, "sector": "ev", "buyer": "turbine-works"}, "priority 2: expected one of sector and buyer, found both"),
        ({"class": 1, "sector": "winds"}, "priority 2: unknown sector 'winds'; nearest: wind"),
        ({"class": 1, "buyer": "mt-weld"}, "priority 2: unknown buyer 'mt-weld'; nearest: turbine-works"),
        ({"class": 0, "sector": "ev"}, "priority 2: class: expected 1, 2 or 3, found 0"),
        ({"class": True, "sector": "ev"}, "priority 2: class: expected 1, 2 or 3, found True"),
        ({"class": 1.0, "sector": "ev"}, "priority 2: class: expected 1, 2 or 3, found 1.0"),
        ({"class": "1", "sector": "ev"}, "priority 2: class: expected 1, 2 or 3, found '1'"),
        ({"sector": "ev"}, "priority 2: class: expected 1, 2 or 3, found nothing"),
        ({"class": 3, "sector": "wind"}, "priority 2: wind is of class 2 in an earlier row, of 3 here"),
        ({"class": 1, "sector": "ev", "rank": 1}, "priority 2: unknown field 'rank'"),
    ],
)  # fmt: skip
def test_priority_refusals(row: dict, says: str) -> None:
    (problem,) = told({"buyer": [WORKS], "priority": [{"sector": "wind", "class": 2}, row]})
    assert problem.startswith(says)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("yes", "transshipment: expected true, false or a table with `allowed` and `via`, found 'yes'"),
        (1, "transshipment: expected true, false or a table"),
        (["VNM"], "transshipment: expected true, false or a table with `allowed` and `via`, found a list"),
        ({}, "transshipment: allowed: expected true or false, found nothing"),
        ({"via": ["VNM"]}, "transshipment: allowed: expected true or false, found nothing"),
        ({"allowed": 1}, "transshipment: allowed: expected true or false, found 1"),
        ({"allowed": False, "via": ["VNM"]}, "transshipment: via: goes with `allowed = true`"),
        ({"allowed": True, "via": "VNM"}, "transshipment: via: expected a list of countries, found 'VNM'"),
        ({"allowed": True, "via": ["VNN"]}, "transshipment: via: unknown country 'VNN'; nearest: VNM"),
        ({"allowed": True, "via": [["VNM"]]}, "transshipment: via: unknown country 'a list'"),
        ({"allowed": True, "by": ["VNM"]}, "transshipment: unknown field 'by'"),
    ],
)  # fmt: skip
def test_transshipment_refusals(given: Any, says: str) -> None:
    (problem,) = told({"transshipment": given})
    assert problem.startswith(says)


@pytest.mark.parametrize("given", [-1, 2**31, 1.0, "7", True, False, [1], {}, math.nan, HUGE], ids=kind)
def test_draw_refusals(given: Any) -> None:
    (problem,) = told({"draw": given})
    assert problem.startswith("draw: expected a whole number from 0 to 2147483647, found ")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"surge_shar": 1}, "parameters: unknown parameter 'surge_shar'; nearest: surge_share"),
        ({"surge_share": 1.01}, "parameters: surge_share: expected a number from 0 to 1, found 1.01"),
        ({"separation_recovery": 2}, "parameters: separation_recovery: expected a number from 0 to 1, found 2"),
        ({"surge_share": -0.1}, "parameters: surge_share: expected a number from 0 to 1, found -0.1"),
        ({"friction_usd_t_magnet": math.inf}, "parameters: friction_usd_t_magnet: expected a number from 0 to 1000000000, found inf"),
        ({"friction_usd_t_magnet": "1"}, "parameters: friction_usd_t_magnet: expected a number from 0 to 1000000000, found '1'"),
        ({"friction_usd_t_magnet": {"value": 1}}, "parameters: friction_usd_t_magnet: expected a number from 0 to 1000000000, found a table"),
        ({"blank_to_finished": 0}, "parameters: blank_to_finished: expected a number over 0 to 1, found 0"),
        ({"shortage_steps": 5}, "parameters: shortage_steps: it shapes the programme itself"),
        ({"target_weight_usd_t_mine": 5}, "parameters: target_weight_usd_t_mine: the calibration is not a scenario's to change"),
        ({"target_weight_x": 5}, "parameters: target_weight_x: the calibration is not"),
        ({"metal_per_oxide_nd": 0.8}, "parameters: metal_per_oxide_nd: stoichiometry is not a scenario's to change"),
        ({7: 1}, "parameters: unknown parameter '7'"),
        ([{"surge_share": 1}], "parameters: expected a table of ids and numbers, found a list"),
        (3, "parameters: expected a table of ids and numbers, found 3"),
    ],
)  # fmt: skip
def test_parameter_refusals(given: Any, says: str) -> None:
    (problem,) = told({"parameters": given})
    assert problem.startswith(says)


def test_all_problems_come_at_once() -> None:
    raw = {
        "buyers": [], "draw": -1, "transshipment": 3, "parameters": {"surge_share": 2, "x": 1}, "start": "soon",
        "buyer": [WORKS | {"lon": 200, "grade": "X1"}, {"id": "turbine-works"}], "contract": [DEAL | {"supplier": "x1", "tonnes": 0}],
        "stock": [{}], "priority": [{"class": 9}], "halt": [{"spec": "passage:malaca"}], "demand": {"country": "USA"},
    }  # fmt: skip
    problems = told(raw)
    wanted = ["unknown scenario field 'buyers'", "start: ", "demand: expected a list of tables", "halt `passage:malaca`", "buyer 1: lon", "buyer 1: unknown grade",
              "buyer 2: id: ", "buyer 2: lon", "buyer 2: lat", "buyer 2: expected `sector`", "buyer 2: expected `grade`", "buyer 2: tonnes",
              "contract 1: unknown facility or site", "contract 1: tonnes", "stock 1: expected one of", "stock 1: expected `commodity`", "stock 1: tonnes",
              "priority 1: expected one of", "priority 1: class", "transshipment: ", "draw: ", "parameters: surge_share", "parameters: unknown parameter 'x'"]  # fmt: skip
    assert len(problems) == len(wanted)
    assert all(p.startswith(w) for p, w in zip(problems, wanted, strict=True))


# Hostile values

NESTED: list = []
for _ in range(100_000):
    NESTED = [NESTED]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, float("1e400"), True, False, "1", [1], [[1]], NESTED, {"a": 1}, {}, HUGE, -HUGE, dt.date(2025, 1, 1), "x" * 100_000], ids=kind)  # fmt: skip
def test_nothing_but_a_number_is_a_number(value: Any) -> None:
    raw = deals(DEAL | {"tonnes": value}) | {"stock": [{"country": "USA", "commodity": "oxide", "tonnes": value}], "parameters": {"surge_share": value, "friction_usd_t_magnet": value}}
    for name in ("lon", "lat", "tonnes", "cover_days"):
        raw["buyer"].append(WORKS | {"id": f"with-{name.replace('_', '-')}", name: value})
    problems = told(raw)
    assert len(problems) == 8
    assert all("expected a number" in p and len(p) < 250 for p in problems)


@pytest.mark.parametrize("value", [math.nan, True, 5, [1], [["x"]], NESTED, {"a": 1}, HUGE, dt.date(2025, 1, 1), "x" * 100_000, "\x00", "ﬁ"], ids=kind)
def test_nothing_but_a_known_name_is_a_name(value: Any) -> None:
    raw = {
        "buyer": [WORKS | {k: value} for k in ("id", "sector", "grade", "country")], "contract": [DEAL | {k: value} for k in ("supplier", "buyer", "commodity", "grade")],
        "stock": [{"country": "USA", "commodity": "magnet", "tonnes": 1} | {k: value} for k in ("country", "commodity", "element", "grade")],
        "priority": [{"class": 1, "sector": value}, {"class": 1, "buyer": value}, {"class": [value], "sector": "ev"}],
        "tariff": [{"importer": value, "exporter": value, "commodity": value, "rate_pct": 1}], "demand": [{"country": value, "sector": value, "change_pct": 1}],
        "open": [value], "licence": [{"exporter": value, "importer": value, "commodities": [value], "share_granted": 0.5}], "transshipment": {"allowed": True, "via": [value]},
        "days": "x", "halt": [{"spec": value}],
    }  # fmt: skip
    problems = told(raw)
    assert len(problems) >= 23
    assert all(len(p) < 500 for p in problems)


@pytest.mark.parametrize("value", [math.nan, True, 5, [1], NESTED, {"a": 1}, HUGE, "2025-02-30", "x" * 100_000], ids=kind)
def test_nothing_but_a_date_is_a_date(value: Any) -> None:
    raw = deals(DEAL | {"until": value}) | {"start": value, "stock": [{"country": "USA", "commodity": "oxide", "tonnes": 1, "release_from": value}], "halt": [{"spec": "country:CHN", "from": value}]}
    problems = told(raw)
    assert len(problems) == 4
    assert all("expected a date" in p and len(p) < 200 for p in problems)


@pytest.mark.parametrize("field", ["buyer", "contract", "stock", "priority"])
@pytest.mark.parametrize("value", [3, True, "x", {"id": "x"}, [3], [[WORKS]], [None], NESTED], ids=kind)
def test_a_table_is_a_list_of_tables(field: str, value: Any) -> None:
    (problem,) = told({field: value})
    assert problem.startswith(f"{field}: expected a list of tables, found ")


def test_fields_that_are_no_texts() -> None:
    assert len(told({5: 1, None: 2, HUGE: 3, "buyer": [WORKS | {5: 1, HUGE: 2}], "stock": [{None: 1, "country": "USA", "commodity": "oxide", "tonnes": 1}]})) == 6


@pytest.mark.parametrize("number", ["9" * 5000, "0x" + "f" * 5000, "1e400", "nan"])
def test_a_file_with_a_number_too_large(tmp_path: Path, number: str) -> None:
    (tmp_path / "x.toml").write_text(f"draw = {number}\n[parameters]\nsurge_share = {number}\n")
    with pytest.raises(BadInput):
        read_file(tmp_path / "x.toml", NAMES)


def test_ten_thousand_rows_are_read_in_good_time() -> None:
    n = 10_000
    good = {
        "buyer": [WORKS | {"id": f"works-{i}"} for i in range(n)], "contract": [DEAL | {"buyer": f"works-{i}"} for i in range(n)],
        "stock": [{"country": "USA", "commodity": "oxide", "tonnes": 1 + i} for i in range(n)], "priority": [{"buyer": f"works-{i}", "class": 1} for i in range(n)],
    }  # fmt: skip
    bad = {
        "buyer": [WORKS | {"id": f"works-{i}", "sector": f"wind-{i}", "grade": f"SH{i}"} for i in range(n)],
        "contract": [{"buyer": f"work-{i}", "supplier": f"mt-wel-{i}", "tonnes": 0} for i in range(n)],
        "stock": [{"facility": f"mt-wel-{i}", "commodity": "oxid"} for i in range(n)], "priority": [{"buyer": f"work-{i}"} for i in range(n)],
        "parameters": {f"surge-{i}": 1 for i in range(n)}, "transshipment": {"allowed": True, "via": ["VN"] * n},
    }  # fmt: skip
    begin = time.process_time()
    assert len(from_dict(good, NAMES, on=DAY).contracts) == n
    assert len(told(bad)) == 12 * n
    assert time.process_time() - begin < 20


# Order, keys and what counts as a change

FULL: dict[str, Any] = {
    "buyer": [WORKS, DRIVES, WORKS | {"id": "a-works"}],
    "contract": [DEAL, DEAL | {"tonnes": 5}, DEAL | {"until": "2026-01-01", "tonnes": 5}, {"buyer": "vac-hanau", "supplier": "mt-weld", "commodity": "oxide", "tonnes": 1}],
    "stock": [{"country": "USA", "commodity": "oxide", "tonnes": 1}, {"country": "USA", "commodity": "oxide", "tonnes": 1, "release_from": "2025-01-01"},
              {"country": "CHN", "commodity": "magnet", "tonnes": 2, "grade": "SH"}, {"country": "CHN", "commodity": "magnet", "tonnes": 2}],
    "priority": [{"sector": "ev", "class": 1}, {"buyer": "a-works", "class": 2}, {"sector": "wind", "class": 3}],
}  # fmt: skip


@pytest.mark.parametrize("table", sorted(FULL))
def test_the_order_of_rows_never_matters(table: str) -> None:
    made = [from_dict(FULL | {table: [dict(reversed(r.items())) for r in rows]}, NAMES, on=DAY) for rows in itertools.permutations(FULL[table])]
    assert all(s == made[0] for s in made)
    assert {s.key for s in made} == {made[0].key}
    assert from_dict(FULL, NAMES, on=DAY).key == made[0].key


def test_the_order_of_parameters_and_of_countries_on_the_way_never_matters() -> None:
    one = from_dict({"parameters": {"surge_share": 0.5, "shortage_rise": 1}, "transshipment": {"allowed": True, "via": ["VNM", "MMR", "USA", "DEU"]}}, NAMES)
    two = from_dict({"transshipment": {"via": ["DEU", "MMR", "USA", "VNM"], "allowed": True}, "parameters": {"shortage_rise": 1.0, "surge_share": 0.5}}, NAMES)
    assert one == two
    assert one.key == two.key


CHANGES: list[dict[str, Any]] = [
    {"buyer": [WORKS]},
    {"buyer": [WORKS | {"cover_days": 0}]},
    {"contract": [{"buyer": "vac-hanau", "supplier": "mt-weld", "commodity": "oxide", "tonnes": 1}]},
    {"stock": [{"country": "USA", "commodity": "oxide", "tonnes": 1}]},
    {"priority": [{"sector": "ev", "class": 1}]},
    {"transshipment": True},
    {"transshipment": {"allowed": True, "via": ["VNM"]}},
    {"draw": 0},
    {"draw": 1},
    {"parameters": {"surge_share": 0}},
    {"parameters": {"shortage_rise": 0}},
    {"open": ["northern-sea-route"]},
    {"surcharge": [{"passage": "malacca", "usd_t": 1}]},
    {"tariff": [{"importer": "USA", "commodity": "magnet", "rate_pct": 10}]},
    {"facility": [{"id": "mt-weld", "output_t": 5}]},
    {"demand": [{"country": "USA", "change_pct": 5}]},
]


@pytest.mark.parametrize("raw", CHANGES, ids=str)
def test_every_change_counts(raw: dict) -> None:
    made = from_dict(raw, NAMES)
    assert not made.is_baseline
    assert not made.only_halts
    assert not made.plus(from_specs(["country:CHN"], NAMES).halts).only_halts


def test_no_two_changes_share_a_key() -> None:
    assert len({from_dict(raw, NAMES).key for raw in CHANGES}) == len(CHANGES)


def test_halts_alone_are_halts_alone() -> None:
    assert Scenario().is_baseline
    assert Scenario().only_halts
    halts = from_dict({"halt": [{"spec": "country:CHN", "transit": True}], "transshipment": False, "parameters": {}, "buyer": [], "contract": []}, NAMES)
    assert halts.only_halts
    assert not halts.is_baseline
    assert halts.key == from_dict({"halt": [{"spec": "country:CHN", "transit": True}]}, NAMES).key


@pytest.mark.parametrize("raw", [{}, {"transshipment": False}, {"parameters": {}}, {"buyer": []}, {"draw": None}])
def test_what_changes_nothing_is_refused(raw: dict) -> None:
    assert told(raw) == ["the scenario changes nothing: expected halt, licence, surcharge, tariff, facility, demand, buyer, contract, stock, priority, open, transshipment, draw or parameters"]
    assert from_dict(raw, NAMES, empty_ok=True).is_baseline


# Names

def test_names_of_the_shipped_layers(layers: Layers) -> None:
    names = Names.of(layers, ())
    assert names.grade == set(layers.grades.index)
    assert set(names.parameter) == set(layers.parameters.index)
    assert names.parameter["surge_share"] == "share"
    assert names.demand_ids == set(layers.demand.index)
    assert names.market_ids == set(layers.markets.index)
    assert from_dict({"parameters": {k: 0.5 for k in names.parameter if not k.startswith(("target_weight_", "metal_per_oxide_", "shortage_steps"))}}, names).parameters
    assert hash(names) == hash(Names.of(layers, ()))


def test_names_of_layers_that_lack_tables(layers: Layers) -> None:
    few = ("facilities", "operators", "ports", "passages", "countries", "blocs", "sectors", "demand", "constants")
    bare = SimpleNamespace(**{k: getattr(layers, k) for k in few})
    names = Names.of(bare, ("CHN-MMR",))  # type: ignore[arg-type]
    assert (names.grade, dict(names.parameter), names.market_ids) == (frozenset(), {}, frozenset())
    bare.parameters = pd.Series({"surge_share": 0.2})
    assert Names.of(bare, ()).parameter == {"surge_share": ""}  # type: ignore[arg-type]
    assert from_dict({"parameters": {"surge_share": 0.5}}, Names.of(bare, ())).parameters == (("surge_share", 0.5),)  # type: ignore[arg-type]

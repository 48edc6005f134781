"""Halt specs and scenarios: parsing, canonical form, refusals."""

import datetime as dt

import pytest

from atlas.errors import BadInput
from atlas.halt import Names, merge, parse_halt
from atlas.scenario import from_dict, from_specs

NAMES = Names(
    facility=frozenset({"lynas-kuantan", "mt-weld"}),
    site=frozenset({"mountain-pass"}),
    operator=frozenset({"lynas"}),
    port=frozenset({"MYKUA"}),
    passage=frozenset({"malacca", "northern-sea-route"}),
    border=frozenset({"CHN-MMR"}),
    country=frozenset({"CHN", "USA", "MMR"}),
    bloc=frozenset({"us-allies"}),
    sector=frozenset({"ev"}),
    demand_country=frozenset({"USA"}),
)


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("country:CHN", "country:CHN"),
        ("country:CHN>USA", "country:CHN:USA"),
        ("country:CHN:us-allies@0.50/magnet", "country:CHN:us-allies@0.5/magnet"),
        ("country:CHN/magnet@0.3", "country:CHN@0.3/magnet"),
        ("country:CHN/magnet,Tb,Dy", "country:CHN/Dy,Tb,magnet"),
        ("country:CHN/NdPr@1", "country:CHN/Nd,Pr"),
        ("stage:CHN/metal@0.5", "stage:CHN/metal@0.5"),
        ("stage:CHN/metal@0.5/Dy", "stage:CHN/metal@0.5/Dy"),
        ("facility:lynas-kuantan@0.5", "facility:lynas-kuantan@0.5"),
        ("site:mountain-pass", "site:mountain-pass"),
        ("operator:lynas", "operator:lynas"),
        ("port:MYKUA", "port:MYKUA"),
        ("passage:malacca", "passage:malacca"),
        ("border:MMR-CHN", "border:CHN-MMR"),
    ],
)  # fmt: skip
def test_canonical_form(given: str, canonical: str) -> None:
    halt = parse_halt(given, NAMES)
    assert halt.spec == canonical
    assert parse_halt(canonical, NAMES) == halt


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("country:CHX", "CHN"),
        ("passage:malaca", "malacca"),
        ("facility:lynas-kuantn", "lynas-kuantan"),
        ("country:CHN@1.5", "over 0 to 1"),
        ("country:CHN@nan", "over 0 to 1"),
        ("country:CHN@0", "over 0 to 1"),
        ("country:CHN@-1", "over 0 to 1"),
        ("country:CHN@0.5@0.6", "at most one"),
        ("country:CHN/", "empty"),
        ("country:CHN/Dysprosium", "commodity or element"),
        ("country:CHN:CHN", "itself"),
        ("port:MYKUA:USA", "destination"),
        ("stage:CHN/demand", "demand"),
        ("stage:CHN", "stage:AAA/STAGE"),
        ("stage:CHN/mettal", "metal"),
        ("planet:mars", "kind"),
        ("nonsense", "expected KIND:TARGET"),
        ("", "expected KIND:TARGET"),
        ("country:" + "X" * 1000, "characters"),
        ("border:CHN-USA", "CHN-MMR"),
    ],
)  # fmt: skip
def test_refusals_name_what_was_expected(given: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        parse_halt(given, NAMES)


def test_all_problems_come_at_once() -> None:
    with pytest.raises(BadInput) as e:
        from_specs(["passage:malaca", "country:CHN@7/Dyy", "port:X"], NAMES)
    assert len(e.value.problems) == 4


def test_the_largest_share_of_like_halts_holds() -> None:
    halts = [parse_halt(s, NAMES) for s in ("country:CHN@0.2", "country:CHN@0.7", "country:CHN@0.5/magnet")]
    assert [h.spec for h in merge(halts)] == ["country:CHN@0.5/magnet", "country:CHN@0.7"]


def test_dates_pick_the_halts_of_the_day() -> None:
    raw = {
        "name": "april",
        "start": "2025-04-04",
        "halt": [
            {"spec": "country:CHN/Dy,Tb", "from": "2025-04-04"},
            {"spec": "country:CHN/magnet", "from": "2025-10-09", "to": "2025-11-10"},
        ],
    }
    assert from_dict(raw, NAMES).specs == ("country:CHN/Dy,Tb",)
    later = from_dict(raw, NAMES, on=dt.date(2025, 10, 20))
    assert later.specs == ("country:CHN/Dy,Tb", "country:CHN/magnet")
    assert from_dict(raw, NAMES).dropped == ("country:CHN/magnet",)


def test_a_licence_is_a_share_withheld() -> None:
    raw = {"licence": [{"exporter": "CHN", "importer": "USA", "commodities": ["magnet"], "share_granted": 0.25}]}
    assert from_dict(raw, NAMES).specs == ("country:CHN:USA@0.75/magnet",)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ({}, "changes nothing"),
        ({"halts": []}, "halt"),
        ({"halt": [{"spec": 3}]}, "expected `spec`"),
        ({"halt": [{"spec": "country:CHN", "form": "2025-01-01"}]}, "from"),
        ({"halt": [{"spec": "country:CHN", "from": "yesterday"}]}, "YYYY-MM-DD"),
        ({"halt": [{"spec": "country:CHN@0.5", "transit": True}]}, "transit"),
        ({"halt": "country:CHN"}, "list of tables"),
        ({"demand": [{"country": "USA", "sector": "cars", "change_pct": 5}]}, "sector"),
        ({"tariff": [{"importer": "USA", "commodity": "magnets", "rate_pct": 10}]}, "commodity"),
        ({"buyer": [{"id": "x"}]}, "buyer 1: lon: expected a number"),
        ({"transit": "yes", "halt": [{"spec": "country:CHN"}]}, "transit: expected true or false"),
        ({"halt": [{"spec": "country:CHN", "transit": 1}]}, "halt 1: transit: expected true or false"),
        ({"open": ["northern-sea-rute"], "halt": []}, "northern-sea-route"),
    ],
)  # fmt: skip
def test_scenario_refusals(raw: dict, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        from_dict(raw, NAMES)

"""What one more tonne is worth: reduced costs against finite differences, kinks marked, tonnes by hand."""

from typing import Any

import numpy as np
import pytest

from atlas import study as real
from atlas.errors import BadInput, UnknownName
from atlas.shadow import KINK, LEAST_USD_T, columns_of, moved, valued, worth
from tests.invented import invent, invent_wide
from tests.invented_study import study_of

HALTS = ("country:AAA/magnet", "stage:AAA/metal@0.6", "stage:AAA/magnet@0.5", "facility:b-met@0.5")


def test_the_value_of_a_tonne_is_the_one_worked_out_by_hand() -> None:
    # With AAA's magnets halted its metal goes to BBB's plant, which fills up at 480 t: 220 of BBB's 700 t are short, in
    # the first step of 350 t at 1,000 USD/t. One tonne more of that plant is a tonne less short; it costs 100 x 1.25 to
    # make at the surge, 7 for a sale beyond the known 400 t, and a quarter tonne of AAA's metal at 50 of freight and 5
    # as a new partner, of which 1 is saved where AAA's metal maker is less idle.
    found = worth(study_of(invent()), ["country:AAA/magnet"], "b")
    assert found.shortage_t == pytest.approx(220.0)
    assert found.bloc_shortage_t == pytest.approx(220.0)
    best = found.units.iloc[0]
    assert found.units.index[0] == "b-mag"
    assert best["limit_t"] == best["output_t"] == pytest.approx(480.0)
    for name in ("value_usd_t", "plus_usd_t", "minus_usd_t"):
        assert best[name] == pytest.approx(1000 - 125 - 7 - (55 - 1) / 4, rel=1e-6), name
    assert best["world_t"] == pytest.approx(1.0)
    assert best["bloc_t"] == pytest.approx(1.0)
    # BBB's metal maker stands at a kink: one tonne more finds no oxide, one tonne less has to be bought from AAA at 55,
    # where a tonne less idle spares 1 that it costs at home.
    kink = found.units.loc["b-met"]
    assert kink["plus_usd_t"] == pytest.approx(0.0, abs=1e-3)
    assert kink["minus_usd_t"] == pytest.approx(55.0, rel=1e-4)
    assert (kink["kink"], kink["agrees"], found.kinks) == (1.0, 1.0, 1)


@pytest.mark.parametrize("halt", HALTS)
def test_values_agree_with_finite_differences_and_kinks_are_marked(halt: str) -> None:
    found = worth(study_of(invent_wide()), [halt], "pair", top=20)
    tested = found.units[found.units["step_t"].notna()]
    assert len(tested) >= 1
    assert (tested["minus_usd_t"] >= tested["plus_usd_t"] - LEAST_USD_T).all(), "the optimum is convex in a limit"
    for r in tested.itertuples():
        apart = abs(r.minus_usd_t - r.plus_usd_t) > max(KINK * max(abs(r.minus_usd_t), abs(r.plus_usd_t)), LEAST_USD_T)
        assert bool(r.kink) == apart
        assert r.agrees == 1.0
        if not apart:
            assert r.value_usd_t == pytest.approx(r.plus_usd_t, rel=KINK, abs=LEAST_USD_T)
            assert r.value_usd_t == pytest.approx(r.minus_usd_t, rel=KINK, abs=LEAST_USD_T)
    assert found.kinks == int(tested["kink"].sum())


def test_a_raised_limit_is_the_programme_of_a_larger_plant() -> None:
    w = invent_wide()
    units = valued(w.world, w.before)
    at = columns_of(w.before.programme, units.index)
    n = units.index.get_loc("c-mag")
    normal, surge = int(at["normal"][n]), int(at["surge"][n])
    more = moved(
        w.before.programme, normal, surge, float(units["normal_t"].iloc[n]), float(units["limit_t"].iloc[n]) + 5
    )
    changed = np.flatnonzero(more.lp.upper != w.before.programme.lp.upper)
    assert changed.tolist() == [surge]
    assert more.lp.upper[surge] - w.before.programme.lp.upper[surge] == pytest.approx(5.0)
    less = moved(w.before.programme, normal, surge, float(units["normal_t"].iloc[n]), 100.0)
    assert (less.lp.upper[normal], less.lp.upper[surge]) == (100.0, 0.0)


def test_places_sum_their_units() -> None:
    found = worth(study_of(invent_wide()), ["country:AAA/magnet"], "pair", top=2)
    u = found.units.dropna(subset=["value_usd_t"])
    for p in found.places.itertuples():
        own = u[(u["stage"] == p.stage) & (u["country"] == p.country)]
        assert p.rent_usd == pytest.approx((own["value_usd_t"] * own["limit_t"]).sum())
        assert p.value_usd_t == pytest.approx(own["value_usd_t"].max())
        assert own.at[p.best, "value_usd_t"] == p.value_usd_t
    assert found.checked <= 2


def test_what_is_halted_whole_has_no_value_and_stands_last() -> None:
    found = worth(study_of(invent_wide()), ["facility:c-mag"], "pair", top=3)
    assert np.isnan(found.units.at["c-mag", "value_usd_t"])
    assert found.units["value_usd_t"].isna().to_numpy().nonzero()[0].min() >= found.units["value_usd_t"].notna().sum()


def test_stages_are_chosen_and_bad_input_is_refused() -> None:
    study: Any = study_of(invent())
    assert set(worth(study, bloc="b", stages=["metal"]).units["stage"]) == {"metal"}
    for words, error in (
        ({"bloc": "pear"}, UnknownName), ({"stages": ["smelting"]}, UnknownName), ({"top": -1}, BadInput),
        ({"halts": ["facility:z-mine"]}, BadInput),
    ):  # fmt: skip
        with pytest.raises(error):
            worth(study, **({"bloc": "b"} | words))


def test_json_says_null_where_nothing_was_checked() -> None:
    j = worth(study_of(invent_wide()), ["country:AAA/magnet"], "pair", top=1).to_json()
    assert j["checked"] == 1
    first, second = j["units"][:2]
    assert first["agrees"] is True
    assert second["agrees"] is None
    assert second["plus_usd_t"] is None
    assert {r["stage"] for r in j["places"]} <= {"mine", "separation", "metal", "magnet", "recycling"}


@pytest.mark.slow
@pytest.mark.parametrize("halt", ["country:CHN/magnet", "country:CHN", "stage:CHN/separation"])
def test_real_values_agree_with_finite_differences_within_one_percent(halt: str) -> None:
    found = worth(real.open(), [halt], "us-allies", top=10)
    tested = found.units[found.units["step_t"].notna()]
    assert len(tested) == 10
    smooth = tested[tested["kink"] == 0.0]
    assert len(smooth) >= 5
    assert (tested["agrees"] == 1.0).all()
    for side in ("plus_usd_t", "minus_usd_t"):
        assert smooth[side].to_numpy() == pytest.approx(smooth["value_usd_t"].to_numpy(), rel=0.01)
    assert (tested["world_t"] >= -1e-6).all()

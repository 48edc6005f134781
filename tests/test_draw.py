"""Draws of what is uncertain: within their ranges, the same by seed, each figure by itself."""

import dataclasses
import math
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from atlas.draw import drawn_layers
from atlas.errors import BadInput, LayerError
from atlas.layer_check import check_layers
from atlas.layers import Layers
from atlas.memory import key

RANGE = {"A": 0.03, "B": 0.10, "C": 0.25}
YIELDS = {"separation_recovery", "swarf_recovery", "metal_yield_ndpr", "metal_yield_dytb", "blank_to_finished"}


def baskets(layers: Layers) -> list[str]:
    return [c for c in layers.facilities.columns if re.fullmatch("[a-z]{1,2}_share", c)]


def ratios(before: pd.Series, after: pd.Series) -> pd.Series:
    """Return the factors of positive figures, in the order of `before`."""
    there = before.notna() & (before > 0)
    return (after.reindex(before.index) / before)[there]


def tables(layers: Layers) -> dict[str, pd.DataFrame]:
    return {name: layers.table(name).reset_index() for name in layers.schema.layers}


def same(a: Layers, b: Layers) -> bool:
    names = ("facilities", "demand", "sector_grades", "parameter_rows")
    return all(getattr(a, n).equals(getattr(b, n)) for n in names)


def test_same_seed_same_world_other_seed_another(layers: Layers) -> None:
    before = layers.facilities.copy(), layers.demand.copy(), layers.digest
    one, again, two = (drawn_layers(layers, s) for s in (7, np.int64(7), 8))
    assert same(one, again)
    assert one.digest == again.digest
    assert not same(one, two)
    assert len({layers.digest, one.digest, two.digest}) == 3
    assert len({key(x) for x in (layers, one, two)}) == 3, "each is calibrated by itself"
    assert layers.facilities.equals(before[0]), "the input is as it was"
    assert layers.demand.equals(before[1])
    assert layers.digest == before[2]
    assert one.parameters.equals(one.parameter_rows["value"])


@pytest.mark.parametrize("seed", [0, 1, -5, 10**30])
def test_ranges_and_bounds_hold(layers: Layers, seed: int) -> None:
    drawn = drawn_layers(layers, seed)
    f, g = layers.facilities, drawn.facilities
    most = 1 + f["confidence"].map(RANGE) + 1e-12
    for column in ("capacity_t", "output_t", "usgs_output_t", *baskets(layers)):
        r = ratios(f[column], g[column])
        assert (r <= most[r.index]).all(), column
        assert (r >= 1 / most[r.index]).all(), column
        assert f[column].isna().equals(g[column].isna())
        assert (g[column][f[column] == 0] == 0).all()
    assert not (g["output_t"] > g["capacity_t"]).any()
    kept = ["capacity_t", "output_t", "usgs_output_t", *baskets(layers)]
    assert g.drop(columns=kept).equals(f.drop(columns=kept)), "nothing else moves"
    assert math.isclose(math.fsum(drawn.demand["demand_t"]), math.fsum(layers.demand["demand_t"]), rel_tol=1e-12)
    d = ratios(layers.demand["demand_t"], drawn.demand["demand_t"])
    assert d.between(1 / 1.25**2, 1.25**2).all()
    s = drawn.sector_grades
    assert s["share"].between(0, 1).all()
    assert np.allclose(s.groupby("sector")["share"].sum(), 1, rtol=0, atol=1e-12)
    p = ratios(layers.parameters, drawn.parameters)
    assert set(p.index[p != 1]) >= YIELDS
    moved = layers.parameters[p.index[p != 1]]
    assert drawn.parameters[moved.index].between(0, 1, inclusive="neither").all()
    odds = (drawn.parameters / (1 - drawn.parameters) / (layers.parameters / (1 - layers.parameters)))[moved.index]
    assert odds.between(1 / 1.25, 1.25).all()
    assert check_layers(tables(drawn), layers.schema) == []


def test_draws_are_triangular_and_unbiased(layers: Layers) -> None:
    """A factor and its inverse are equally likely; rows, columns and seeds share nothing."""
    logs = []
    for seed in range(40):
        r = ratios(layers.facilities["capacity_t"], drawn_layers(layers, seed).facilities["capacity_t"])
        logs.append(np.log(r) / np.log1p(layers.facilities.loc[r.index, "confidence"].map(RANGE)))
    x = np.array(logs)
    assert stats.kstest(x.ravel(), stats.triang(0.5, -1, 2).cdf).pvalue > 0.001
    assert abs(x.mean()) < 4 / math.sqrt(6 * x.size)
    rows = np.corrcoef(x[:, :30].T)
    assert abs(rows[np.triu_indices(30, 1)]).max() < 0.7
    assert abs(rows[np.triu_indices(30, 1)].mean()) < 0.05


def test_capacity_and_output_move_together(layers: Layers) -> None:
    f, g = layers.facilities, drawn_layers(layers, 3).facilities
    both = f[["capacity_t", "output_t"]].gt(0).all(axis=1)
    assert both.sum() > 20
    assert np.allclose((g["output_t"] / g["capacity_t"])[both], (f["output_t"] / f["capacity_t"])[both], rtol=1e-12)
    usgs = f["usgs_output_t"].gt(0) & f["output_t"].gt(0)
    assert np.allclose((g["usgs_output_t"] / g["output_t"])[usgs], (f["usgs_output_t"] / f["output_t"])[usgs], rtol=1e-12)


def test_order_of_rows_changes_nothing(layers: Layers) -> None:
    turned: dict[str, Any] = {n: getattr(layers, n).iloc[::-1] for n in ("facilities", "demand", "sector_grades", "parameter_rows")}
    one, two = drawn_layers(layers, 5), drawn_layers(dataclasses.replace(layers, **turned), 5)
    for n in turned:
        assert getattr(two, n).sort_index().equals(getattr(one, n)), n


def test_one_row_more_changes_no_other_draw(layers: Layers) -> None:
    f = layers.facilities
    fewer = dataclasses.replace(layers, facilities=f.drop(index=f.index[[0, 17]]), demand=layers.demand.iloc[1:])
    one, two = drawn_layers(layers, 5), drawn_layers(fewer, 5)
    pd.testing.assert_frame_equal(one.facilities.loc[two.facilities.index], two.facilities, check_exact=True)
    part = ratios(two.demand["demand_t"], one.demand["demand_t"])
    assert np.allclose(part, part.iloc[0], rtol=1e-12), "only the common scale to the total moves"


def test_a_basket_stays_within_its_tonne(layers: Layers) -> None:
    f = layers.facilities.copy()
    mine = f.index[f["stage"] == "mine"][0]
    f.loc[mine, baskets(layers)] = 0.0
    f.loc[mine, ["nd_share", "pr_share"]] = [0.7, 0.3]
    f.loc[mine, "confidence"] = "C"
    whole = dataclasses.replace(layers, facilities=f)
    sums = [float(drawn_layers(whole, s).facilities.loc[mine, baskets(layers)].sum()) for s in range(20)]
    assert max(sums) <= 1 + 1e-12
    assert min(sums) < 0.99, "less than all of it is as likely as ever"


@pytest.mark.parametrize("seed", [1.0, "1", None, True])
def test_a_seed_is_a_whole_number(layers: Layers, seed: Any) -> None:
    with pytest.raises(BadInput, match="expected a whole number"):
        drawn_layers(layers, seed)


def test_ranges_are_data(layers: Layers) -> None:
    still = layers.parameter_rows.copy()
    still.loc[[f"range_share_{c}" for c in "abc"], "value"] = 0.0
    fixed = dataclasses.replace(layers, parameter_rows=still, parameters=still["value"])
    drawn = drawn_layers(fixed, 1)
    assert drawn.facilities.equals(layers.facilities)
    assert np.allclose(drawn.demand["demand_t"], layers.demand["demand_t"], rtol=1e-14)
    with pytest.raises(LayerError, match="no row `range_share_b`"):
        drawn_layers(dataclasses.replace(layers, parameters=layers.parameters.drop("range_share_b")), 1)
    with pytest.raises(LayerError, match="range_share_a is -2"):
        drawn_layers(dataclasses.replace(layers, parameters=layers.parameters.where(layers.parameters.index != "range_share_a", -2.0)), 1)

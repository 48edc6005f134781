"""The published figures: roles, the held part, what is comparable, units, sources."""

from typing import Any

import pandas as pd
import pytest

# What the calibration pulls at: a row more, or one less, changes the baseline.
PULLED = {
    "chn-eu27-magnets", "chn-ind-magnets", "chn-kor-magnets", "chn-usa-magnets", "lynas-kuantan-ndpr",
    "mountain-pass-ndpr", "red-aluva-ndpr", "silmet-ndpr", "toyotsu-vizag-ndpr", "usa-chn-concentrate",
    "vnm-jpn-magnets", "white-mesa-ndpr",
}  # fmt: skip
STAGE_MAKES = {
    "mine": "concentrate", "separation": "oxide", "metal": "metal", "magnet": "magnet", "recycling": "oxide",
}  # fmt: skip


@pytest.fixture
def targets(layers: Any) -> pd.DataFrame:
    frame: pd.DataFrame = layers.targets
    return frame


def test_at_least_a_third_of_the_comparable_rows_and_ten_are_held(targets: pd.DataFrame) -> None:
    comparable = targets[targets["comparable"] == "yes"]
    held = comparable[comparable["role"] == "held"]
    assert len(held) >= max(10, len(comparable) / 3)
    assert (targets["role"] == "held").sum() >= len(targets) / 3


def test_the_baseline_is_fitted_to_no_other_trade_than_it_says(targets: pd.DataFrame) -> None:
    pulled = targets[targets["kind"].isin(["trade", "oxide"]) & (targets["role"] == "fitted")]
    assert set(pulled.index) == PULLED
    assert (targets.loc[targets["role"] == "fitted", "comparable"] == "yes").all()
    assert targets.loc["chn-magnet-exports", "role"] == "held"


def test_why_not_is_told_exactly_where_a_row_is_not_comparable(targets: pd.DataFrame) -> None:
    assert ((targets["why_not"] != "") == (targets["comparable"] == "no")).all()


def test_units_and_ends_follow_the_kind(targets: pd.DataFrame) -> None:
    shares = targets["kind"].isin(["share", "import_share"])
    assert (shares == (targets["unit"] == "share")).all()
    assert targets.loc[shares, "value"].between(0, 1).all()
    of_stage = targets["kind"].isin(["output", "share"])
    assert (of_stage == (targets["stage"] != "")).all()
    assert (targets.loc[of_stage, "stage"].map(STAGE_MAKES) == targets.loc[of_stage, "commodity"]).all()
    assert ((targets["to"] == "") == of_stage).all()
    assert (targets["from_country"] != "").all()
    assert ((targets["kind"] == "oxide") == (targets["facility"] != "")).all()


def test_an_older_figure_is_comparable_only_as_a_share_that_moves_slowly(targets: pd.DataFrame) -> None:
    old = targets[(targets["year"] != 2024) & (targets["comparable"] == "yes")]
    assert old["unit"].eq("share").all()
    assert old["notes"].str.contains("moves slowly").all()


def test_every_source_is_known_and_estimates_say_so(targets: pd.DataFrame, layers: Any) -> None:
    assert set(targets["source_id"]) <= set(layers.sources.index)
    unsourced = targets["source_id"].isin(["general-knowledge", "atlas-estimate"])
    assert (targets.loc[unsourced, "confidence"] == "C").all()

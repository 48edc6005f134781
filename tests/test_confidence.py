"""The part of an answer that rests on estimates: by hand, and on the shipped layers."""

from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from atlas.confidence import confidence_share

STAGES = ["mine", "separation", "metal", "magnet", "recycling", "demand"]


def indexed(ids: list[str], **columns: list[Any]) -> pd.DataFrame:
    return pd.DataFrame(columns, index=pd.Index(ids, name="id"))


def tiny() -> tuple[Any, Any, Any]:
    """Two mines, a separator, a magnet plant and one that only a scenario knows; two demand rows, one buyer's."""
    units = ["mine-a", "mine-c", "sep-b", "mag-c", "mag-new"]
    world = SimpleNamespace(units=indexed(units, stage=["mine", "mine", "separation", "magnet", "magnet"]))
    reading = SimpleNamespace(
        units=indexed(units, output_t=[300.0, 100.0, 200.0, 30.0, 10.0]),
        demand=pd.DataFrame(
            {
                "demand_id": ["x-ev", "x-ev", "y-ev", "buyer"],
                "demand_t": [10.0, 20.0, 12.0, 6.0],
                "short_t": [0.0, 5.0, 12.0, 1.0],
            }
        ),
    )
    layers = SimpleNamespace(
        facilities=indexed([*units[:4], "idle-c"], confidence=["A", "C", "B", "C", "C"]),
        demand=indexed(["x-ev", "y-ev"], confidence=["B", "C"]),
    )
    return world, reading, layers


def test_by_hand() -> None:
    found = confidence_share(*tiny())
    assert list(found) == ["all", *STAGES]
    # Mines 100 of 400, separation 0 of 200, magnets 40 of 40, delivered 25 on B and 5 to a buyer nobody vouches for.
    assert found["mine"] == 0.25
    assert found["separation"] == 0.0
    assert found["magnet"] == 1.0
    assert found["demand"] == pytest.approx(5 / 30)
    assert found["metal"] == found["recycling"] == 0.0, "nothing moves there"
    assert found["all"] == pytest.approx(145 / 670)


def test_the_three_classes_are_the_whole() -> None:
    parts = [confidence_share(*tiny(), confidence=c) for c in "ABC"]
    assert sum(p["all"] for p in parts) == pytest.approx(1.0)
    assert parts[0]["mine"] == 0.75


def test_nothing_moves() -> None:
    world, reading, layers = tiny()
    reading.units["output_t"] = 0.0
    reading.demand["short_t"] = reading.demand["demand_t"]
    assert set(confidence_share(world, reading, layers).values()) == {0.0}


def test_shipped(study: Any) -> None:
    outcome = study.solve(["country:CHN/magnet"])
    for state in (outcome.baseline, outcome.halted):
        found = confidence_share(state.world, state.reading, study.layers)
        assert list(found) == ["all", *STAGES]
        assert all(0.0 <= v <= 1.0 for v in found.values())
        assert 0.0 < found["all"] < 1.0

"""How much of an answer rests on estimates: tonnes put out by units and taken by buyers, by confidence of rows."""

import pandas as pd

from atlas.layers import Layers
from atlas.readback import Reading
from atlas.world import STAGES, World


def confidence_share(world: World, reading: Reading, layers: Layers, confidence: str = "C") -> dict[str, float]:
    """Return the part of an answer's tonnes that rests on rows of one confidence: `all`, each stage, and `demand`.

    A unit weighs what it put out, a demand row what it was delivered, each in its own unit (`all` adds them as they
    are); a row without tonnes weighs nothing, a stage without any has 0. What a scenario brought and no layer knows is
    an estimate: C.
    """
    made = pd.DataFrame(
        {
            "stage": world.units["stage"].reindex(reading.units.index),
            "grounds": layers.facilities["confidence"].reindex(reading.units.index),
            "t": reading.units["output_t"],
        }
    )
    d = reading.demand
    taken = pd.DataFrame(
        {
            "stage": "demand",
            "grounds": layers.demand["confidence"].reindex(d["demand_id"]).to_numpy(),
            "t": (d["demand_t"] - d["short_t"]).clip(lower=0.0).to_numpy(),
        }
    )
    rows = pd.concat([made, taken], ignore_index=True)
    rows["t_on"] = rows["t"].where(rows["grounds"].fillna("C") == confidence, 0.0)
    by_stage = rows.groupby("stage")[["t", "t_on"]].sum().reindex([*STAGES, "demand"], fill_value=0.0)
    parts = {"all": by_stage.sum()} | {str(k): v for k, v in by_stage.iterrows()}
    return {k: float(v["t_on"] / v["t"]) if v["t"] > 0 else 0.0 for k, v in parts.items()}

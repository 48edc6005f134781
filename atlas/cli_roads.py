"""What `atlas roads` and the end of `atlas check` print."""

import math
from collections.abc import Mapping
from typing import Any

from atlas.cli_text import number, table

WORDS = {"trunk": "junction with the trunk network", "port": "port", "railhead": "railway, by road"}


def access_text(access: Any, trunk_km: float) -> str:
    """Return what is known of a facility's local roads; `trunk_km` is the straight way they replace, nan if unknown."""
    rows = [
        (mode, WORDS[e.kind] + (f" {e.port}" if e.port else ""), f"{e.lon:.3f},{e.lat:.3f}", f"{e.km:.1f}")
        for mode, part in access.modes.items()
        for e in part.exits
    ]
    head = f"{access.facility}: {access.snap_km:.2f} km from local ways"
    if math.isfinite(trunk_km):
        head += f" (before: {trunk_km:.1f} km from the trunk network)"
    source = f"{access.source}, {access.date}; © OpenStreetMap contributors, ODbL 1.0"
    return "\n".join([head, "", table(("mode", "way out to", "at", "km"), rows, left=3), "", source])


def far_text(far_km: Mapping[str, float]) -> str:
    """Return the list of facilities that need local roads, with what to do about it."""
    rows = [(name, f"{km:.1f}") for name, km in far_km.items()]
    if not rows:
        return "every operating facility lies within 10 km of a road or rail"
    head = "operating facilities more than 10 km from any road or rail (atlas roads ID fetches those around it):"
    return f"{head}\n" + table(("facility", "snap km"), rows)


def kept_text(accesses: Any) -> str:
    """Return the list of local roads that are kept."""
    rows = [(a.facility, a.date, a.to or "trunk", number(len(a.modes)), f"{a.snap_km:.2f}") for a in accesses]
    return table(("facility", "made", "to", "modes", "snap km"), rows, left=3)

"""Rare-earth supply network: where the material flows, and what a halt does to it."""

from typing import Any

__version__ = "0.1.0"


def open(layers: Any = None, year: int = 2024) -> Any:
    """Open a study on the shipped layers, or with those at `layers` laid over them; see `study.Study`."""
    from atlas.study import open as open_study

    return open_study(layers, year)

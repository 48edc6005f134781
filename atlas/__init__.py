"""Rare-earth supply network: where the material flows, and what a halt does to it.

    import atlas

    study = atlas.open()                                # the shipped world of 2024
    answer = study.run(halts=["country:CHN/magnet"])    # China stops selling magnets
    print(answer.sentence)
    answer.shortage                                     # a DataFrame: who goes short, by country, sector, grade
    answer.flows                                        # a GeoDataFrame: every flow along its route
    answer.map()                                        # a Folium map, shown by Jupyter
    answer.figure().savefig("halt.png")                 # the map for print
    study.route("lynas-kuantan", "JPYOK").map()         # ways, with closures if you like

`atlas.Study` and `atlas.Answer` say what each of them has; docs/python.md is a tour with a table of all names. Every
error raised on purpose is an `atlas.AtlasError`; what a caller got wrong is an `atlas.BadInput`, whose `problems` lists
everything that is wrong. Importing `atlas` is light: pandas and the rest load with the first `open`.
"""

from typing import TYPE_CHECKING, Any

from atlas.errors import AtlasError, BadInput, NoAnswer, UnknownName, WriteFailure

if TYPE_CHECKING:
    from pathlib import Path

    from atlas.config import Settings
    from atlas.notebook import Study
    from atlas.notebook_answer import Answer

__version__ = "0.1.0"
__all__ = ["Answer", "AtlasError", "BadInput", "NoAnswer", "Study", "UnknownName", "WriteFailure", "open"]

_LAZY = {"Study": "atlas.notebook", "Answer": "atlas.notebook_answer"}


def open(layers: "str | Path | None" = None, year: int = 2024, settings: "Settings | None" = None) -> "Study":
    """Open a study: the shipped layers, or with those at `layers` (a folder) laid over them, in a year.

    Takes about two seconds. `settings` are those of `atlas.config.settings`; left out, ATLAS_* variables hold. Raises
    LayerError (a BadInput) with every problem of the layers, BadInput for a year that is not of 2015 to 2040.

    >>> import atlas
    >>> atlas.open()
    <atlas study of 2024: ... facilities, ... ports, ... passages>
    """
    from atlas.notebook import open as open_study

    return open_study(layers, year, settings)


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        import importlib

        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'atlas' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})

"""A chain small enough to add up by hand, published figures of every kind for it, and a study that holds both.

One mine (1,000 t of REO), two separation plants, a metal maker, two magnet plants, a recycler and two markets; the
tonnes are chosen, not solved, so that every figure can be worked out on paper.
"""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from atlas.chain import shipped_chain

ELEMENTS = shipped_chain().elements

METAL_PER_OXIDE = 0.8  # of every element here
# id: stage, product, country
UNITS = {
    "mine-a": ("mine", "concentrate", "AUS"),
    "sep-a": ("separation", "oxide", "CHN"),
    "sep-b": ("separation", "oxide", "MYS"),
    "metal-a": ("metal", "metal", "CHN"),
    "magnet-a": ("magnet", "sintered", "CHN"),
    "magnet-b": ("magnet", "bonded", "JPN"),
    "recycler-a": ("recycling", "oxide", "CHN"),
}
BASKET = {"Nd": 0.2, "Pr": 0.05, "Dy": 0.01}
# commodity, element, grade, mine, from, from country, to, to country, t
LANES = [
    ("concentrate", "", "", "mine-a", "mine-a", "AUS", "sep-a", "CHN", 800.0),
    ("concentrate", "", "", "mine-a", "mine-a", "AUS", "sep-b", "MYS", 200.0),
    ("oxide", "Nd", "", "", "sep-a", "CHN", "metal-a", "CHN", 144.0),
    ("oxide", "Pr", "", "", "sep-a", "CHN", "metal-a", "CHN", 36.0),
    ("oxide", "Dy", "", "", "sep-a", "CHN", "metal-a", "CHN", 7.2),
    ("oxide", "Nd", "", "", "sep-b", "MYS", "metal-a", "CHN", 36.0),
    ("oxide", "Pr", "", "", "sep-b", "MYS", "metal-a", "CHN", 4.0),
    ("oxide", "Nd", "", "", "recycler-a", "CHN", "metal-a", "CHN", 9.0),
    ("metal", "Nd", "", "", "metal-a", "CHN", "magnet-a", "CHN", 100.0),
    ("metal", "Pr", "", "", "metal-a", "CHN", "magnet-a", "CHN", 25.0),
    ("metal", "Dy", "", "", "metal-a", "CHN", "magnet-a", "CHN", 5.0),
    ("metal", "Nd", "", "", "metal-a", "CHN", "magnet-b", "JPN", 30.0),
    ("magnet", "", "SH", "", "magnet-a", "CHN", "usa-market", "USA", 250.0),
    ("magnet", "", "SH", "", "magnet-a", "CHN", "chn-market", "CHN", 250.0),
    ("magnet", "", "standard", "", "magnet-b", "JPN", "usa-market", "USA", 100.0),
    ("scrap", "", "SH", "", "magnet-a", "CHN", "recycler-a", "CHN", 12.0),
    ("scrap", "", "SH", "", "chn-market", "CHN", "recycler-a", "CHN", 8.0),
]
# commodity, element, from, end, t: what closes each balance (metal in metal, all else in oxide)
ENDS = [
    ("oxide", "Dy", "sep-b", "loss", 2.0),
    ("oxide", "Nd", "sep-a", "loss", 16.0),
    ("oxide", "Pr", "sep-a", "loss", 4.0),
    ("oxide", "Dy", "sep-a", "loss", 0.8),
    ("oxide", "Nd", "sep-b", "loss", 4.0),
    ("oxide", "Pr", "sep-b", "loss", 1.0),
    ("oxide", "Pr", "sep-b", "surplus", 5.0),
    ("oxide", "Nd", "recycler-a", "loss", 11.0),
    ("metal", "Nd", "metal-a", "loss", 1.2),
    ("metal", "Pr", "metal-a", "loss", 1.0),
    ("metal", "Dy", "metal-a", "loss", 0.76),
    ("metal", "Nd", "metal-a", "stock", 20.0),
    ("metal", "Pr", "metal-a", "stock", 6.0),
    ("scrap", "Nd", "magnet-a", "loss", 3.0),
]

TARGETS = [  # id, kind, stage, facility, from, to, commodity, element, value, unit, basis, comparable, role
    ("t-trade", "trade", "", "", "CHN", "USA", "magnet", "", 200.0, "t", "customs", "yes", "held"),
    ("t-all", "trade", "", "", "*", "us-allies", "magnet", "", 400.0, "t", "customs", "yes", "fitted"),
    ("t-element", "trade", "", "", "MYS", "CHN", "oxide", "NdPr", 50.0, "t", "customs", "yes", "held"),
    ("t-blind", "trade", "", "", "CHN", "*", "magnet", "Dy", 3.0, "t", "in the magnets", "yes", "held"),
    ("t-oxide", "oxide", "", "sep-a", "CHN", "*", "oxide", "NdPr", 150.0, "t", "sold", "yes", "fitted"),
    ("t-mine", "output", "mine", "", "AUS", "", "concentrate", "", 1000.0, "t", "REO", "yes", "fitted"),
    ("t-mine-usgs", "output", "mine", "", "*", "", "concentrate", "", 800.0, "t", "USGS REO", "yes", "held"),
    ("t-mine-ree", "output", "mine", "", "AUS", "", "concentrate", "", 250.0, "t", "contained magnet rare earths", "yes",
     "held"),
    ("t-share", "share", "separation", "", "CHN", "", "oxide", "", 0.9, "share", "drawn", "yes", "held"),
    ("t-share-dy", "share", "separation", "", "CHN", "", "oxide", "Dy", 1.0, "share", "drawn", "yes", "held"),
    ("t-imports", "import_share", "", "", "CHN", "USA", "magnet", "", 0.8, "share", "customs", "yes", "held"),
    ("t-gross", "trade", "", "", "AUS", "CHN", "concentrate", "", 5000.0, "t", "gross weight", "no", "held"),
    ("t-none", "import_share", "", "", "CHN", "USA", "oxide", "", 0.5, "share", "customs", "no", "held"),
]  # fmt: skip


def fake_world() -> Any:
    """Return units, recipes and mixes of the chain."""
    units = pd.DataFrame.from_dict(UNITS, orient="index", columns=["stage", "product", "country"])
    for e in ELEMENTS:
        units[e] = np.where(units["stage"] == "mine", BASKET.get(e, 0.0), 0.0)
    recipes = pd.DataFrame(
        {"NdPr": [0.25, 0.3], "Dy": [0.01, 0.0], "Tb": [0.0, 0.0], "swarf_reo_t": [0.03, 0.0]},
        index=pd.MultiIndex.from_tuples([("sintered", "SH"), ("bonded", "standard")], names=["product", "grade"]),
    )
    mix = pd.DataFrame(0.0, index=["SH", "standard"], columns=list(ELEMENTS))
    mix["Nd"] = 1.0
    return SimpleNamespace(
        units=units, recipes=recipes, scrap_mix=mix, metal_per_oxide=np.full(len(ELEMENTS), METAL_PER_OXIDE),
        elements=ELEMENTS, chain=shipped_chain(),
    )


def fake_reading() -> Any:
    """Return lanes, flows and magnets of the chain."""
    names = ["commodity", "element", "grade", "mine", "from_id", "from_country", "to_id", "to_country", "t"]
    lanes = pd.DataFrame(LANES, columns=names)
    moved = lanes.rename(columns={"t": "tonnes"}).assign(route_id="r")
    ends = pd.DataFrame(ENDS, columns=["commodity", "element", "from_id", "to_id", "tonnes"]).assign(
        route_id="", to_country="", grade="", from_country=lambda f: [UNITS[i][2] for i in f["from_id"]]
    )
    make = pd.Series({("magnet-a", "SH"): 500.0, ("magnet-b", "standard"): 100.0})
    make.index.names = ["unit", "key"]
    demand = pd.DataFrame({"grade": ["SH", "standard"], "demand_t": [600.0, 100.0], "short_t": [100.0, 0.0]})
    return SimpleNamespace(lanes=lanes, flows=pd.concat([moved, ends], ignore_index=True), make=make, demand=demand)


def fake_figures() -> dict[str, Any]:
    """Return the parts of S that a validation reads, as they follow from the lanes."""
    return {
        "stage_output_t": {
            "mine": {"AUS": 1000.0}, "separation": {"CHN": 187.2, "MYS": 40.0}, "metal": {"CHN": 186.0},
            "magnet": {"CHN": 500.0, "JPN": 100.0}, "recycling": {"CHN": 9.0},
        },
        "mine_output_usgs_t": {"AUS": 880.0},
        "stage_output_element_t": {
            "mine": {"Nd": {"AUS": 200.0}, "Pr": {"AUS": 50.0}, "Dy": {"AUS": 10.0}, "Tb": {}},
            "separation": {"Nd": {"CHN": 144.0, "MYS": 36.0}, "Pr": {"CHN": 36.0, "MYS": 4.0}, "Dy": {"CHN": 7.2}},
        },
        "imports_t": {
            "CHN": {"concentrate": {"AUS": 800.0}, "oxide": {"MYS": 40.0}},
            "MYS": {"concentrate": {"AUS": 200.0}},
            "JPN": {"metal": {"CHN": 30.0}},
            "USA": {"magnet": {"CHN": 250.0, "JPN": 100.0}},
        },
        "imports_element_t": {"CHN": {"oxide": {"Nd": {"MYS": 36.0}, "Pr": {"MYS": 4.0}}}},
    }  # fmt: skip


def fake_targets() -> pd.DataFrame:
    """Return published figures of every kind, with a hostile note and source."""
    names = ["id", "kind", "stage", "facility", "from_country", "to", "commodity", "element", "value", "unit", "basis",
             "comparable", "role"]  # fmt: skip
    t = pd.DataFrame(TARGETS, columns=names).set_index("id")
    t["year"] = 2024.0
    t["why_not"] = np.where(t["comparable"] == "no", "gross <script>alert(1)</script> weight", "")
    return t.assign(notes="a note <i>", source_id="bad-link", confidence="B")

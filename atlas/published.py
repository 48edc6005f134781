"""A published figure in words, and the model's own figure of the same thing, by kind.

Everything is read from a baseline's summary (S of the contract) and its flows.
"""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from atlas.chain import Chain, shipped_chain
from atlas.errors import LayerError
from atlas.halt_words import country_name
from atlas.layers import Layers
from atlas.world import CALIBRATED_YEAR

KINDS = ("trade", "oxide", "output", "share", "import_share")
GOODS = {"concentrate": "concentrate", "oxide": "oxide", "metal": "metal", "magnet": "magnets", "scrap": "scrap"}
STAGE_WORDS = {
    "mine": "mine output", "separation": "oxide output", "metal": "metal output", "magnet": "magnet output",
    "recycling": "recycled output",
}  # fmt: skip
BLOC_WORDS = {"eu27": "the European Union", "us-allies": "the US allies", "prc": "China with Hong Kong"}


class Figures:
    """The model's figure of any published one, from a baseline's summary and flows."""

    def __init__(
        self, summary: Mapping[str, Any], flows: pd.DataFrame, bloc: Callable[[str], frozenset[str]],
        bloc_names: frozenset[str], chain: Chain | None = None,
    ) -> None:  # fmt: skip
        self.summary, self.flows, self._bloc, self._bloc_names = summary, flows, bloc, bloc_names
        self.chain = chain or shipped_chain()

    def _parts(self, element: str) -> list[str]:
        """Return the elements that a row's word for one means."""
        return list(self.chain.of(element)) or [element]

    def of(self, target: Mapping[str, Any]) -> tuple[float | None, str]:
        """Return the figure, or None and why there is none; raises LayerError for an unknown kind."""
        t = {
            **dict.fromkeys(("stage", "facility", "from_country", "to", "commodity", "element", "basis"), ""),
            **target,
        }
        kind = str(t["kind"])
        if kind not in KINDS:
            raise LayerError(f"targets.csv: kind {kind!r} is not known; known: {', '.join(KINDS)}")
        made: Callable[[Mapping[str, Any]], tuple[float | None, str]] = getattr(self, f"_{kind}")
        return made(t)

    def _inside(self, name: Any) -> Callable[[str], bool]:
        """Return the test whether a country belongs to a name: a country, a bloc, `*` or nothing for all."""
        text = str(name or "*")
        if text == "*":
            return lambda _: True
        if text in self._bloc_names:
            return self._bloc(text).__contains__
        return text.__eq__

    def _imports(self, commodity: str, element: str, start: Any, end: Any) -> tuple[float | None, str]:
        """Return tonnes of a commodity from `start` to `end`, domestic trade left out."""
        if element and commodity in ("magnet", "concentrate"):
            return None, f"{GOODS[commodity]} move whole in the model, not by element"
        parts = self._parts(element)
        sold, bought = self._inside(start), self._inside(end)
        tonnes = 0.0
        for importer, goods in self.summary["imports_element_t" if element else "imports_t"].items():
            if bought(importer):
                node = goods.get(commodity, {})
                for by_country in [node.get(p, {}) for p in parts] if element else [node]:
                    tonnes += sum(t for c, t in by_country.items() if sold(c))
        return tonnes, ""

    def _trade(self, t: Mapping[str, Any]) -> tuple[float | None, str]:
        if not t.get("facility"):
            return self._imports(str(t["commodity"]), str(t["element"]), t["from_country"], t["to"])
        f = self._sales(t)
        if t["element"] and t["commodity"] in ("magnet", "concentrate"):
            return None, f"{GOODS[str(t['commodity'])]} move whole in the model, not by element"
        bought = self._inside(t["to"])
        crossing = (f["from_country"] != f["to_country"]) & f["to_country"].map(bought).astype(bool)
        return float(f.loc[crossing, "tonnes"].sum()), ""

    def _oxide(self, t: Mapping[str, Any]) -> tuple[float | None, str]:
        f = self._sales({**t, "commodity": "oxide"})
        return float(f["tonnes"].sum()), ""

    def _sales(self, t: Mapping[str, Any]) -> pd.DataFrame:
        f = self.flows[(self.flows["from_id"] == t["facility"]) & (self.flows["route_id"] != "")]
        f = f[f["commodity"] == t["commodity"]]
        element = str(t["element"])
        return f[f["element"].isin(self._parts(element))] if element else f

    def _made(self, t: Mapping[str, Any]) -> tuple[dict[str, float] | None, str]:
        """Return output by country of a stage, on the basis of a row."""
        stage, element, basis = str(t["stage"]), str(t["element"]), str(t["basis"]).lower()
        if stage not in self.summary["stage_output_t"]:
            return None, f"the model has no stage {stage!r}"
        by_element = self.summary["stage_output_element_t"].get(stage, {})
        if element or (stage == "mine" and "contained magnet rare earths" in basis):
            wanted = list(by_element) if not element else [element]
            if element and element not in by_element:
                wanted = self._parts(element)
            if element and not set(wanted) & set(by_element):
                return None, f"the model has no {element} at this stage"
            whole: dict[str, float] = {}
            for e in wanted:
                for c, v in by_element.get(e, {}).items():
                    whole[c] = whole.get(c, 0.0) + v
            return whole, ""
        if stage == "mine" and "usgs" in basis:
            return dict(self.summary["mine_output_usgs_t"]), ""
        return dict(self.summary["stage_output_t"][stage]), ""

    def _output(self, t: Mapping[str, Any]) -> tuple[float | None, str]:
        made, why = self._made(t)
        inside = self._inside(t["from_country"])
        return (None, why) if made is None else (sum(v for c, v in made.items() if inside(c)), "")

    def _share(self, t: Mapping[str, Any]) -> tuple[float | None, str]:
        part, why = self._output(t)
        whole, _ = self._output({**t, "from_country": "*"})
        if part is None or not whole:
            return None, why or "the model makes nothing at this stage"
        return part / whole, ""

    def _import_share(self, t: Mapping[str, Any]) -> tuple[float | None, str]:
        goods, element = str(t["commodity"]), str(t["element"])
        part, why = self._imports(goods, element, t["from_country"], t["to"])
        whole, _ = self._imports(goods, element, "*", t["to"])
        if part is None or not whole:
            return None, why or "the model imports none of it"
        return part / whole, ""


def sentence(t: Mapping[str, Any], layers: Layers) -> str:
    """Say a published figure in plain words, without its number."""
    text = _sentence(t, layers)
    return text[:1].upper() + text[1:]


def other_year(year: Any) -> str:
    """Return ` in 2020` for a figure of another year than the calibrated one."""
    return "" if not year or int(year) == CALIBRATED_YEAR else f" in {int(year)}"


def _sentence(t: Mapping[str, Any], layers: Layers) -> str:
    element = str(t.get("element") or "")
    goods = " ".join(x for x in (element, GOODS.get(str(t.get("commodity") or ""), str(t.get("commodity") or ""))) if x)
    start, end = _place(t.get("from_country"), layers), _place(t.get("to"), layers)
    stage = STAGE_WORDS.get(str(t.get("stage")), str(t.get("stage"))) + (f" of {element}" if element else "")
    if t["kind"] == "oxide" or (t["kind"] == "trade" and t.get("facility")):
        named = layers.facilities["name"].get(t["facility"], t["facility"])
        where = f" to {end}" if t["kind"] == "trade" and end else ""
        return f"{named}: {goods} sold{where}"
    if t["kind"] == "trade":
        if not start:
            return f"{_own(end)} imports of {goods}" if end else f"world trade in {goods}"
        return f"{_own(start)} exports of {goods}" + (f" to {end}" if end else "")
    if t["kind"] == "output":
        return f"{_own(start)} {stage}" if start else f"the world's {stage}"
    if t["kind"] == "share":
        return f"{_own(start)} share of the world's {stage}"
    return f"{_own(start)} share of {_own(end) if end else 'all'} imports of {goods}"


def _place(name: Any, layers: Layers) -> str:
    text = str(name or "*")
    if text == "*":
        return ""
    if text in layers.bloc_names:
        return BLOC_WORDS.get(text, text)
    named = country_name(text, layers)
    named = {"United States of America": "United States"}.get(named, named)
    return f"the {named}" if named.startswith("United ") or named in ("Netherlands", "Philippines") else named


def _own(name: str) -> str:
    return f"{name}'" if name.endswith("s") else f"{name}'s"

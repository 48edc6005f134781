"""The chain: which elements the atlas follows, what recipes count as one, and the words for its stages.

Read from a `chain.toml` beside the layers. The shipped one says rare earths; a folder that replaces the layers may
bring another commodity. Ids of stages, products and commodities never change: they are those of the programme.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from atlas.config import data_dir
from atlas.errors import BadInput, nearest

CHAIN_FILE = "chain.toml"
_LISTS = ("elements", "usual", "not_recycled", "keeps_raw")
_TEXTS = ("id", "name", "end_of_life_grade")
_TABLES = ("pair", "metal_yield", "materials", "words")
_ELEMENT = re.compile(r"[A-Z][a-z]?", re.ASCII)


@dataclass(frozen=True)
class Chain:
    """Elements in their order, the pair bought as one (if any), and what else differs between commodities.

    `usual` is what a plant makes whose row names no elements; swarf of a grade that holds `not_recycled` is lost;
    `keeps_raw` are countries that let neither concentrate nor scrap out; `materials` maps the material of a demand row
    to its one grade; `words` maps words of the shipped texts to those of this chain.
    """

    id: str
    name: str
    elements: tuple[str, ...]
    usual: tuple[str, ...] = ()
    pair_name: str = ""
    pair: tuple[str, ...] = ()
    not_recycled: tuple[str, ...] = ()
    keeps_raw: tuple[str, ...] = ()
    end_of_life_grade: str = ""
    metal_yield: Mapping[str, str] = field(default_factory=dict, hash=False)
    materials: Mapping[str, str] = field(default_factory=dict, hash=False)
    words: Mapping[str, str] = field(default_factory=dict, hash=False)

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """Metals as recipes count them: the pair first, then each other element."""
        alone = tuple(e for e in self.elements if e not in self.pair)
        return ((self.pair_name, *alone) if self.pair else alone)

    def key(self, element: str) -> str:
        """Return the recipe's word for an element."""
        return self.pair_name if element in self.pair else element

    def of(self, token: str) -> tuple[str, ...]:
        """Return the elements that a name of this chain means: an element itself, or the pair; () for others."""
        return self.tokens.get(token, ())

    @cached_property
    def tokens(self) -> dict[str, tuple[str, ...]]:
        """What an element may be called -> the elements it means."""
        return {e: (e,) for e in self.elements} | ({self.pair_name: self.pair} if self.pair else {})

    @cached_property
    def pair_bounds(self) -> tuple[str, str]:
        """Names of the parameters that bound the second element's part of the pair, least and most."""
        stem = f"{self.pair_name.lower()}_{self.pair[1].lower()}" if self.pair else ""
        return f"{stem}_min", f"{stem}_max"

    @cached_property
    def pair_usual(self) -> str:
        """Name of the parameter with the second element's part of the pair in recipes and swarf."""
        return f"swarf_{self.pair[1].lower()}_in_{self.pair_name.lower()}" if self.pair else ""

    def yield_name(self, element: str) -> str:
        """Return the parameter with the yield from oxide to metal of an element."""
        return self.metal_yield.get(element, f"metal_yield_{element.lower()}")

    def basket_column(self, element: str) -> str:
        """Return the column of facilities with the element's part of a mine's product."""
        return f"{element.lower()}_share"

    def recipe_column(self, key: str) -> str:
        """Return the column of grades with the metal in a tonne of blank."""
        return f"{key.lower()}_t_per_t"

    @property
    def is_shipped(self) -> bool:
        """Whether this is the chain of the shipped layers: rare earths."""
        return self.id == shipped_chain().id


@lru_cache(maxsize=1)
def shipped_chain() -> Chain:
    """Return the chain of the shipped layers."""
    return read_chain(data_dir("layers") / CHAIN_FILE)


def read_chain(path: Path) -> Chain:
    """Return the chain in a `chain.toml`; raises BadInput with all that is wrong in it."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise BadInput(f"{path}: {error}") from None
    problems = list(_form_problems(found))
    if not problems:
        problems = list(_content_problems(found))
    if problems:
        raise BadInput([f"{path}: {p}" for p in problems])
    pair = found.get("pair", {})
    return Chain(
        id=found["id"],
        name=found["name"],
        elements=tuple(found["elements"]),
        usual=tuple(found.get("usual") or found["elements"]),
        pair_name=pair.get("name", ""),
        pair=tuple(pair.get("elements", ())),
        not_recycled=tuple(found.get("not_recycled", ())),
        keeps_raw=tuple(found.get("keeps_raw", ())),
        end_of_life_grade=found.get("end_of_life_grade", ""),
        metal_yield=dict(found.get("metal_yield", {})),
        materials=dict(found.get("materials", {})),
        words=dict(found.get("words", {})),
    )


def _form_problems(found: Mapping[str, Any]) -> list[str]:
    """Return which settings are unknown, missing or of another type."""
    known = (*_TEXTS, *_LISTS, *_TABLES)
    said = []
    for name in found:
        if name not in known:
            near = nearest(name, known)
            said.append(f"unknown setting {name!r}" + (f"; nearest: {', '.join(near)}" if near else ""))
    said += [f"{n} is missing" for n in ("id", "name", "elements") if not found.get(n)]
    for name in _TEXTS:
        if not isinstance(found.get(name, ""), str):
            said.append(f"{name} is {found[name]!r}; expected text")
    for name in _LISTS:
        value = found.get(name, [])
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            said.append(f"{name} is {value!r}; expected a list of texts")
    for name in _TABLES:
        table = found.get(name, {})
        if not isinstance(table, dict):
            said.append(f"{name} is {table!r}; expected a table")
        elif name != "pair" and not all(isinstance(v, str) for v in table.values()):
            said.append(f"[{name}] expects a text for each name")
    pair = found.get("pair")
    if isinstance(pair, dict) and (
        set(pair) != {"name", "elements"} or not isinstance(pair["name"], str)
        or not isinstance(pair["elements"], list) or len(pair["elements"]) != 2
    ):
        said.append('[pair] expects name = "AB" and elements = ["A", "B"]')
    return said


def _content_problems(found: Mapping[str, Any]) -> list[str]:
    """Return what does not fit together."""
    elements = found["elements"]
    said = [f"element {e!r}: expected a chemical symbol such as Ga" for e in elements if not _ELEMENT.fullmatch(e)]
    if len(set(elements)) < len(elements):
        said.append("elements names one twice")
    named = {
        "usual": found.get("usual", []), "not_recycled": found.get("not_recycled", []),
        "pair": found.get("pair", {}).get("elements", []), "metal_yield": list(found.get("metal_yield", {})),
    }  # fmt: skip
    said += [f"{n} names {e!r}, which is not in elements" for n, given in named.items() for e in given
             if e not in elements]
    if found.get("pair") and list(named["pair"]) != elements[:2]:
        said.append("the elements of [pair] must stand first in elements")
    said += [f"keeps_raw names {c!r}; expected ISO 3166-1 alpha-3 such as CHN" for c in found.get("keeps_raw", [])
             if not re.fullmatch(r"[A-Z]{3}", c)]
    return said


def chain_of(layers: Any) -> Chain:
    """Return the chain of layers, that of the shipped ones where they name none."""
    found: Chain | None = getattr(layers, "chain", None)
    return found or shipped_chain()

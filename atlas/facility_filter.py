"""Facilities by what one asks of them: filters, how many each further choice would leave, totals by stage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pandas as pd

from atlas.chain import Chain, chain_of, shipped_chain
from atlas.errors import BadInput, fold, nearest, unknown_name_text
from atlas.world import STAGES

# What one chooses from; several of the first kind at once (any of them fits), one of the second.
SEVERAL = ("stage", "status", "element", "confidence")
ONE = ("country", "bloc", "operator")
STATUSES = ("operating", "commissioning", "construction", "planned", "care_and_maintenance", "closed")
CONFIDENCES = ("A", "B", "C")
PLANNED = ("construction", "planned")
RUNNING = ("operating", "commissioning")
COLUMNS = (
    "id", "name", "site", "stage", "product", "operator", "operator_ids", "country", "lon", "lat",
    "coord_precision_km", "status", "start_year", "end_year", "unit", "capacity_t", "output_t", "output_year",
    "modelled_output_t", "elements", "grades", "modelled", "confidence", "source", "source_url",
)  # fmt: skip


@dataclass(frozen=True)
class FacilityFilter:
    """What facilities are asked for; an empty part asks for nothing. `text` must stand in names, ids or owners."""

    stage: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    element: tuple[str, ...] = ()
    confidence: tuple[str, ...] = ()
    country: str = ""
    bloc: str = ""
    operator: str = ""
    text: str = ""

    @property
    def asked(self) -> list[tuple[str, str]]:
        """The parts that ask for something, as (name, value), in the order of an address."""
        found: list[tuple[str, str]] = []
        for part in fields(self):
            value = getattr(self, part.name)
            found += [(part.name, v) for v in (value if isinstance(value, tuple) else (value,)) if v]
        return found

    def without(self, name: str, value: str = "") -> "FacilityFilter":
        """Return the filter without one part, or without one value of it."""
        now = getattr(self, name)
        left: Any = tuple(v for v in now if value and v != value) if isinstance(now, tuple) else ""
        return replace(self, **{name: left})


@dataclass(frozen=True)
class Total:
    """One stage of a selection: how many, capacity running and planned, output as published and as modelled."""

    stage: str
    unit: str
    count: int
    running_t: float
    planned_t: float
    output_t: float
    modelled_output_t: float


class Facilities:
    """All facilities, prepared once for many filters. `flows` tells what the model's baseline makes of each."""

    def __init__(self, layers: Any, modelled_output_t: Mapping[str, float] | None = None) -> None:
        table = layers.facilities
        names = layers.operators["name"].to_dict()
        titles, links = layers.sources["title"].to_dict(), layers.sources["url"].to_dict()
        bare = pd.DataFrame(table.drop(columns=table.geometry.name)).rename_axis("id").reset_index()
        bare["modelled_output_t"] = bare["id"].map(dict(modelled_output_t or {})).astype(float)
        bare["source"] = bare["source_id"].map(titles).fillna(bare["source_id"])
        bare["source_url"] = bare["source_id"].map(links).fillna("")
        bare["made"] = elements_made(bare, getattr(layers, "grades", None), chain_of(layers))
        country = layers.countries["name"].to_dict()
        words = zip(bare["id"], bare["name"], bare["site"], bare["operator"], bare["country"], strict=True)
        owners = [" ".join(names.get(i, i) for i in ids) for ids in bare["operator_ids"]]
        bare["words"] = [
            fold(" ".join(map(str, (*w, country.get(w[4], ""), o)))) for w, o in zip(words, owners, strict=True)
        ]
        order = {s: k for k, s in enumerate(STAGES)}
        size = bare["capacity_t"].fillna(bare["output_t"]).fillna(0.0)
        ranked = bare.assign(stage_rank=bare["stage"].map(order), size=-size)
        at = ranked.sort_values(["stage_rank", "size", "id"]).index
        self.table = bare.loc[at].reset_index(drop=True)
        self.chain = chain_of(layers)
        self.blocs = {b: layers.bloc(b) for b in layers.bloc_names}
        self.operators = {str(i): str(n) for i, n in names.items()}
        self.countries = {str(i): str(n) for i, n in country.items()}

    @property
    def known(self) -> dict[str, tuple[str, ...]]:
        """What each filter may ask for."""
        return {
            "stage": STAGES, "status": STATUSES, "element": self.chain.elements, "confidence": CONFIDENCES,
            "country": tuple(self.countries), "bloc": tuple(self.blocs), "operator": tuple(self.operators),
        }  # fmt: skip

    def read(self, found: Mapping[str, Sequence[str]]) -> FacilityFilter:
        """Return the filter that an address asks for; raises BadInput with every value that is not known.

        Several values of a filter come as a comma list or one by one.
        """
        problems: list[str] = []
        parts: dict[str, Any] = {}
        for name, known in self.known.items():
            given = [v.strip() for text in found.get(name, ()) for v in text.split(",") if v.strip()]
            given = [v.upper() if name == "country" else v for v in dict.fromkeys(given)]
            for value in given:
                if value not in known:
                    problems.append(unknown_name_text(name, value, self._near(name, value, known)))
            if name in ONE and len(given) > 1:
                problems.append(f"{name}: {len(given)} given, expected one")
            parts[name] = (given[0] if given else "") if name in ONE else tuple(v for v in known if v in given)
        texts = list(found.get("text", ()))
        if len(texts) > 1:
            problems.append(f"text: given {len(texts)} times, expected once")
        if problems:
            raise BadInput(problems)
        return FacilityFilter(**parts, text=texts[0] if texts else "")

    def _near(self, name: str, value: str, known: Sequence[str]) -> list[str]:
        if name not in ("country", "operator"):
            return nearest(value, known) or list(known)
        names = {n: i for i, n in (self.countries if name == "country" else self.operators).items()}
        return [f"{names[n]} ({n})" for n in nearest(value, names)] or nearest(value, known)

    def select(self, asked: FacilityFilter) -> pd.DataFrame:
        """Return the facilities that fit, by stage, the largest first."""
        return self.table[self._fits(asked)]

    def _fits(self, asked: FacilityFilter, but: str = "") -> np.ndarray:
        t = self.table
        keep = np.ones(len(t), dtype=bool)
        for name in ("stage", "status", "confidence"):
            chosen = getattr(asked, name)
            if chosen and name != but:
                keep &= t[name].isin(chosen).to_numpy()
        if asked.element and but != "element":
            keep &= np.array([bool(set(asked.element) & set(made)) for made in t["made"]], dtype=bool)
        if asked.country and but != "country":
            keep &= (t["country"] == asked.country).to_numpy()
        if asked.bloc and but != "bloc":
            keep &= t["country"].isin(self.blocs[asked.bloc]).to_numpy()
        if asked.operator and but != "operator":
            keep &= np.array([asked.operator in ids for ids in t["operator_ids"]], dtype=bool)
        for word in fold(asked.text).split("-") if asked.text else ():
            keep &= t["words"].str.contains(word, regex=False).to_numpy()
        return keep

    def facets(self, asked: FacilityFilter) -> dict[str, dict[str, int]]:
        """Return for each filter how many facilities each of its choices would show beside the other filters.

        Countries and operators without a facility are left out.
        """
        t = self.table
        found: dict[str, dict[str, int]] = {}
        for name, known in self.known.items():
            part = t[self._fits(asked, but=name)]
            if name == "element":
                counts = pd.Series([e for made in part["made"] for e in made], dtype=object).value_counts()
            elif name == "operator":
                counts = pd.Series([i for ids in part["operator_ids"] for i in ids], dtype=object).value_counts()
            elif name == "bloc":
                counts = pd.Series({b: int(part["country"].isin(c).sum()) for b, c in self.blocs.items()})
            else:
                counts = part[name].value_counts()
            used = self._used(name)
            found[name] = {v: int(counts.get(v, 0)) for v in known if used is None or v in used}
        return found

    def _used(self, name: str) -> set[str] | None:
        """Return the choices that any facility has, None where all of them are shown."""
        if name == "country":
            return set(self.table["country"])
        return {i for ids in self.table["operator_ids"] for i in ids} if name == "operator" else None

    def totals(self, rows: pd.DataFrame) -> list[Total]:
        """Return the totals of a selection by stage and unit; tonnes of two stages do not add up."""
        found = []
        for stage in STAGES:
            for unit, part in rows[rows["stage"] == stage].groupby("unit"):
                running, planned = (part.loc[part["status"].isin(s), "capacity_t"].sum() for s in (RUNNING, PLANNED))
                found.append(
                    Total(stage, str(unit), len(part), float(running), float(planned),
                          float(part["output_t"].sum()), float(part["modelled_output_t"].sum()))
                )  # fmt: skip
        return found


def elements_made(
    table: pd.DataFrame, grades: pd.DataFrame | None = None, chain: Chain | None = None
) -> list[tuple[str, ...]]:
    """Return what each facility makes of the modelled elements, at any time: `Dy@2025` counts as Dy.

    A mine holds what its basket shows; whoever says nothing makes what magnets of its kind hold.
    """
    chain = chain or shipped_chain()
    shares = {e: table[c] for e in chain.elements if (c := chain.basket_column(e)) in table}
    found = []
    for n, row in enumerate(table[["stage", "product", "elements", "grades"]].itertuples(index=False)):
        named = {str(e).partition("@")[0] for e in row.elements}
        if row.stage == "mine" and not named:
            named = {e for e, part in shares.items() if part.iloc[n] > 0}
        elif row.stage == "magnet" and not named:
            named = _in_magnets(str(row.product), row.grades, grades, chain)
        elif not named:
            named = set(chain.usual)
        found.append(tuple(e for e in chain.elements if e in named))
    return found


def _in_magnets(product: str, names: Sequence[str], grades: pd.DataFrame | None, chain: Chain) -> set[str]:
    if product == "smco":
        return set(chain.not_recycled)
    made = set(chain.pair)
    for e in (e for e in chain.usual if e not in chain.pair):
        column = chain.recipe_column(e)
        if grades is not None and column in grades and (grades.loc[grades.index.isin(names), column] > 0).any():
            made.add(e)
    return made

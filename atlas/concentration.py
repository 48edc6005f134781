"""How concentrated a state is: countries, facilities and operators by stage and element, beside published measures."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from atlas.chain import Chain, chain_of
from atlas.errors import UnknownName, nearest
from atlas.halt_words import describe
from atlas.layers import Layers
from atlas.outcome import Solved
from atlas.published import Figures
from atlas.readback import Reading
from atlas.validation import compare
from atlas.world import CALIBRATED_YEAR, STAGES, World, recipe_of

# What an element may be: all in the stage's own unit, the magnet elements together, one of a recipe.
ALL, MAGNETS = "all", "magnets"
TOP = 3
UNITS = {"mine": "t REO", "separation": "t oxide", "metal": "t metal", "magnet": "t magnets", "recycling": "t REO"}
CONTAINED = {
    "mine": "t oxide in ore", "separation": "t oxide", "metal": "t metal", "magnet": "t metal used",
    "recycling": "t oxide",
}  # fmt: skip
MEASURE_WORDS = {
    "top1": "largest country", "top3": "three largest countries", "hhi": "HHI of countries",
    "n_minus_1": "supply left without the largest, of demand",
}  # fmt: skip


def keys_of(chain: Chain) -> tuple[str, ...]:
    """Return what an element may be: all, the usual elements together where that is fewer, each metal of recipes."""
    return (ALL, MAGNETS, *chain.keys) if usual_keys(chain) != chain.keys else (ALL, *chain.keys)


def usual_keys(chain: Chain) -> tuple[str, ...]:
    """Return the metals, as recipes count them, that a plant makes whose row names none."""
    return tuple(dict.fromkeys(chain.key(e) for e in chain.usual))


@dataclass(frozen=True)
class Concentration:
    """One stage and element: `world_t` made, `demand_t` that all demand for magnets asks of the stage (NaN: unknown).

    `countries` holds (ISO3, share), largest first; `facility` and `operator` the largest of each with its share, where
    a joint venture counts for each of its operators. Shares are 0 to 1, `hhi` the sum of squared country shares.
    """

    stage: str
    element: str
    unit: str
    world_t: float
    demand_t: float
    countries: tuple[tuple[str, float], ...]
    facility: tuple[str, float]
    operator: tuple[str, float]

    @property
    def hhi(self) -> float:
        """Sum of squared country shares, 0 to 1; NaN where nothing is made."""
        return sum(s * s for _, s in self.countries) if self.countries else math.nan

    def top_share(self, n: int) -> float:
        """Return the share of the n largest countries; NaN where nothing is made."""
        return sum(s for _, s in self.countries[:n]) if self.countries else math.nan

    @property
    def n_minus_1_share(self) -> float:
        """Supply left without the largest country over demand at this stage; NaN where demand is not known."""
        left = self.world_t * max(1 - self.top_share(1), 0.0)
        return left / self.demand_t if self.demand_t > 0 and self.countries else math.nan

    def measure(self, name: str) -> float:
        """Return a measure by its name in the layer of published ones."""
        return {"top1": self.top_share(1), "top3": self.top_share(TOP), "hhi": self.hhi}.get(
            name, self.n_minus_1_share
        )

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values, None where something is not known."""
        return {
            "stage": self.stage, "element": self.element, "unit": self.unit, "world_t": self.world_t,
            "demand_t": _plain(self.demand_t), "hhi": _plain(self.hhi), "top1_share": _plain(self.top_share(1)),
            "top3_share": _plain(self.top_share(TOP)), "n_minus_1_share": _plain(self.n_minus_1_share),
            "countries": [{"country": c, "share": s} for c, s in self.countries],
            "largest_facility": {"id": self.facility[0], "share": _plain(self.facility[1])},
            "largest_operator": {"id": self.operator[0], "share": _plain(self.operator[1])},
        }  # fmt: skip


@dataclass(frozen=True)
class Published:
    """A published measure beside the model's: `model` and `error_points` are NaN where there is nothing comparable."""

    id: str
    measure: str
    stage: str
    element: str
    published: float
    model: float
    year: int
    basis: str
    why_not: str
    fitted: bool
    source_title: str
    source_url: str
    confidence: str

    @property
    def error_points(self) -> float:
        """The model's figure less the published one, in points of a hundred."""
        return 100 * (self.model - self.published)

    def to_json(self) -> dict[str, Any]:
        """Return the row as plain values."""
        return {
            "id": self.id, "measure": self.measure, "stage": self.stage, "element": self.element,
            "published": self.published, "model": _plain(self.model), "error_points": _plain(self.error_points),
            "year": self.year, "basis": self.basis, "why_not": self.why_not, "fitted": self.fitted,
            "source": self.source_title, "confidence": self.confidence,
        }  # fmt: skip


@dataclass(frozen=True)
class Report:
    """Concentration of a state by stage and element, and `published` measures of the calibrated year's baseline."""

    halts: tuple[str, ...]
    what: str
    rows: tuple[Concentration, ...]
    published: tuple[Published, ...]
    names: Mapping[str, str]

    @property
    def sentence(self) -> str:
        """What stands out, in words."""
        made = [r for r in self.rows if r.world_t > 0 and r.stage != "recycling" and r.element == self.rows[0].element]
        top = max(made, key=lambda r: (r.hhi, r.stage), default=None)
        if top is None:
            return "Nothing is made at any stage."
        first = top.countries[0][0]
        text = (
            f"{f'With {self.what}' if self.halts else f'In {CALIBRATED_YEAR}'}, {_what(top)} is most concentrated: "
            f"{self.names.get(first, first)} has {100 * top.top_share(1):.0f}\u00a0%"
        )
        known = [r for r in self.rows if not math.isnan(r.n_minus_1_share)]
        if not known:
            return text + "."
        least = min(r.n_minus_1_share for r in known)
        places = _places([r for r in known if r.n_minus_1_share < least + 0.005])
        left = "nothing" if least < 0.005 else f"{100 * least:.0f}\u00a0%"
        return text + f"; without its largest country {left} is left of what demand asks of {places}."

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "halts": list(self.halts),
            "sentence": self.sentence,
            "stages": [r.to_json() for r in self.rows],
            "published": [p.to_json() for p in self.published],
        }


def _what(r: Concentration) -> str:
    return f"{_word(r.stage)} of {r.element}" if r.element not in (ALL, MAGNETS) else _word(r.stage)


def _word(stage: str) -> str:
    return {"mine": "mining", "metal": "metal making", "magnet": "magnet making"}.get(stage, stage)


def _places(rows: Sequence[Concentration]) -> str:
    """Return stages with their elements, each stage once: "separation of Dy and Tb"."""
    said = []
    for stage in dict.fromkeys(r.stage for r in rows):
        elements = [r.element for r in rows if r.stage == stage and r.element not in (ALL, MAGNETS)]
        several = f"{', '.join(elements[:-1])} and {elements[-1]}" if len(elements) > 1 else "".join(elements)
        said.append(_word(stage) + (f" of {several}" if several else ""))
    return ", ".join(said)


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def concentration(study: Any, halts: Sequence[str] = (), scenario: Any = None, element: str = "") -> Report:
    """Return the concentration of the baseline, or of the state under halts or a scenario.

    `element` is one of `keys_of`, empty for all of them. Raises UnknownName, BadInput, SolverFailure.
    """
    known = keys_of(chain_of(getattr(study, "layers", None)))
    if element and element not in known:
        raise UnknownName("element", element, nearest(element, known) or known)
    question = study.question(halts, scenario)
    solved: Solved = study.baseline if question.is_baseline else study.solve(scenario=question).halted
    keys = (element,) if element else known
    rows = measures(solved.world, solved.reading, keys)
    published = []
    if question.is_baseline and study.year == CALIBRATED_YEAR:
        everything = rows if not element else measures(solved.world, solved.reading, known)
        chosen = {(r.stage, r.element) for r in rows}
        published = [p for p in _beside(study, everything) if (p.stage, p.element) in chosen]
    layers = study.layers
    names = layers.countries["name"].to_dict() | layers.facilities["name"].to_dict()
    names |= layers.operators["name"].to_dict()
    what = " and ".join(describe(h, layers) for h in question.specs)
    said = {str(k): str(v) for k, v in names.items()}
    return Report(question.specs, f"{what} halted" if what else "", rows, tuple(published), said)


def measures(world: World, reading: Reading, keys: Sequence[str] = ()) -> tuple[Concentration, ...]:
    """Return the concentration of a state by stage and key; a key that no stage makes any of is left out.

    No keys mean all of them.
    """
    made, asked = made_by_unit(world, reading), demand_of_stages(world, reading)
    operators = world.units["operator_ids"].to_dict()
    rows = []
    for key in keys or keys_of(world.chain):
        for stage in STAGES:
            t = made[(made["stage"] == stage) & (made["key"] == key)].set_index("id")["t"]
            t = t[t > 1e-6]
            if t.empty and key not in (ALL, MAGNETS):
                continue
            by_operator: dict[str, float] = {}
            for i, v in t.items():
                for o in operators[i]:
                    by_operator[o] = by_operator.get(o, 0.0) + float(v)
            rows.append(
                Concentration(
                    stage=stage,
                    element=key,
                    unit=UNITS[stage] if key == ALL else CONTAINED[stage],
                    world_t=float(t.sum()),
                    demand_t=asked.get((stage, key), math.nan),
                    countries=tuple(_ranked(t.groupby(world.units["country"].reindex(t.index)).sum(), t.sum())),
                    facility=next(_ranked(t, t.sum()), ("", math.nan)),
                    operator=next(_ranked(pd.Series(by_operator, dtype=float), t.sum()), ("", math.nan)),
                )
            )
    return tuple(rows)


def _ranked(t: pd.Series, whole: float) -> Any:
    """Yield (name, share of the whole), largest first, names in order where equal."""
    for name, v in sorted(t.items(), key=lambda kv: (-kv[1], str(kv[0]))):
        yield str(name), float(v) / float(whole)


def made_by_unit(world: World, reading: Reading) -> pd.DataFrame:
    """Return what each unit makes: stage, key, id, t.

    `all` is in the stage's own unit as in `stage_output_t` of a summary, elements as in `stage_output_element_t`.
    """
    u, lanes, rows = world.units, reading.lanes, []
    output = reading.units["output_t"]
    makes = {"mine": None, "separation": "oxide", "metal": "metal", "magnet": None, "recycling": None}
    for stage, product in makes.items():
        ids = u.index[(u["stage"] == stage) & ((u["product"] == product) if product else True)]
        drawn = lanes[lanes["from_id"].isin(ids) & (lanes["commodity"] == "oxide")]
        whole = drawn.groupby("from_id")["t"].sum() if stage == "separation" else output.reindex(ids)
        rows += [(stage, ALL, i, t) for i, t in whole.items()]
    mines = u.index[u["stage"] == "mine"]
    for e in world.elements:
        rows += [("mine", world.chain.key(e), i, float(output[i]) * float(u.at[i, e])) for i in mines]
        for stage, commodity, product in (
            ("separation", "oxide", "oxide"), ("metal", "metal", "metal"), ("recycling", "oxide", "oxide"),
        ):  # fmt: skip
            ids = u.index[(u["stage"] == stage) & (u["product"] == product)]
            own = lanes[lanes["from_id"].isin(ids) & (lanes["commodity"] == commodity) & (lanes["element"] == e)]
            t = own.groupby("from_id")["t"].sum()
            if stage == "metal":
                kept = reading.other[(reading.other["kind"] == "stock") & (reading.other["key"] == e)]
                t = t.add(kept.groupby("unit")["t"].sum(), fill_value=0.0)
            rows += [(stage, world.chain.key(e), i, v) for i, v in t.items()]
    for (i, g), t in reading.make.items():
        content = world.recipes.loc[(recipe_of(str(u.at[i, "product"])), g)]
        rows += [("magnet", k, i, float(t) * float(content[k])) for k in world.recipe_keys]
    made = pd.DataFrame(rows, columns=["stage", "key", "id", "t"])
    both = made[made["key"].isin(usual_keys(world.chain))].assign(key=MAGNETS)
    return pd.concat([made, both]).groupby(["stage", "key", "id"], as_index=False)["t"].sum()


def demand_of_stages(world: World, reading: Reading) -> dict[tuple[str, str], float]:
    """Return what all demand for magnets, met or not, asks of each stage by key, t in the stage's contained unit.

    Taken back by the recipe of sintered magnets (bonded grades by theirs), the yield of metal making and the recovery
    of separation; what recyclers deliver in this state is taken off what separation and mines are asked for.
    """
    finished = world.demand.groupby("grade")["demand_t"].sum()
    # A grade that only bonded plants make has no swarf.
    sintered = {g for i in world.units.index for g in world.units.at[i, "grades"]
                if recipe_of(str(world.units.at[i, "product"])) == "sintered"}  # fmt: skip
    asked: dict[tuple[str, str], float] = {("magnet", ALL): float(finished.sum())}
    metal = {
        k: sum(
            float(t) * float(world.recipes.loc[("sintered" if g in sintered else "bonded", g), k])
            for g, t in finished.items()
        )
        for k in world.recipe_keys
    }
    # Nd and Pr yield alike; the mean over the two is exact to their difference in molar mass.
    yields = dict(zip(world.elements, world.metal_yield, strict=True))
    per_oxide = {k: yields[world.chain.of(k)[0]] for k in world.recipe_keys}
    lanes, stage = reading.lanes, world.units["stage"].to_dict()
    recycled = dict.fromkeys(world.recipe_keys, 0.0)
    for r in lanes[lanes["commodity"].isin(["oxide", "metal"])].itertuples():
        if stage.get(str(r.from_id)) == "recycling":
            k = world.chain.key(str(r.element))
            recycled[k] += float(r.t) / (per_oxide[k] if r.commodity == "metal" else 1.0)
    recovery = world.parameter("separation_recovery")
    for k in world.recipe_keys:
        oxide = max(metal[k] / per_oxide[k] - recycled[k], 0.0)
        asked |= {("magnet", k): metal[k], ("metal", k): metal[k], ("separation", k): oxide}
        asked["mine", k] = oxide / recovery
    for s in ("mine", "separation", "metal", "magnet"):
        asked[s, MAGNETS] = sum(asked[s, k] for k in usual_keys(world.chain))
        if s in ("separation", "metal"):
            asked[s, ALL] = sum(asked[s, k] for k in world.recipe_keys)
    return asked


def _beside(study: Any, rows: Sequence[Concentration]) -> list[Published]:
    """Return published measures beside the model's: those of the layer, and shares of the largest country."""
    layers: Layers = study.layers
    at = {(r.stage, r.element): r for r in rows}
    found = []
    solved = study.baseline
    summary = study.solve().summary["baseline"]
    usgs = pd.Series(summary["mine_output_usgs_t"], dtype=float)
    for i, p in layers.concentration.sort_index().iterrows():
        key = (str(p["stage"]), str(p["element"]) or ALL)
        model = math.nan
        if p["comparable"] == "yes" and key in at:
            own = at[key]
            if "USGS" in str(p["basis"]):  # the atlas runs more REO at some mines than USGS counts
                own = dataclasses.replace(own, countries=tuple(_ranked(usgs, float(usgs.sum()))))
            model = own.measure(str(p["measure"]))
        found.append(_published(layers, str(i), p, str(p["measure"]), key, float(p["value"]), model, fitted=False))
    figures = Figures(summary, solved.reading.flows, layers.bloc, frozenset(layers.bloc_names), chain_of(layers))
    table = compare(layers, figures)
    for t in table[table["kind"] == "share"].to_dict("records"):
        contained = "contained magnet rare earths" in str(t["basis"]) or "Nd, Pr, Dy, Tb" in str(t["basis"])
        element = chain_of(layers).key(str(t["element"])) if t["element"] else MAGNETS if contained else ALL
        key = (str(t["stage"]), element)
        if key in at and at[key].countries and at[key].countries[0][0] == t["from_country"]:
            model = float(t["model"]) if t["comparable"] == "yes" else math.nan
            found.append(
                _published(
                    layers, str(t["id"]), t, "top1", key, float(t["published"]), model, fitted=t["role"] == "fitted"
                )
            )
    return found


def _published(
    layers: Layers, i: str, row: Mapping[str, Any] | pd.Series, measure: str, key: tuple[str, str], value: float,
    model: float, *, fitted: bool,
) -> Published:  # fmt: skip
    source = layers.sources.loc[str(row["source_id"])]
    return Published(
        id=i, measure=measure, stage=key[0], element=key[1], published=value, model=model, year=int(row["year"]),
        basis=str(row["basis"]), why_not=str(row["why_not"] or ""), fitted=fitted, source_title=str(source["title"]),
        source_url=str(source["url"]), confidence=str(row["confidence"]),
    )  # fmt: skip

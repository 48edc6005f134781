"""How wrong the model is: each published figure beside the baseline's, with its error, and the bounds that must hold.

Figures come from the baseline's summary and flows alone, never from the calibration: a fitted row is judged as a
stranger would judge it.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from atlas.chain import chain_of
from atlas.closure import Closure, closure
from atlas.errors import BadInput, LayerError
from atlas.layers import Layers
from atlas.published import KINDS, STAGE_WORDS, Figures, other_year, sentence
from atlas.summary import rounded
from atlas.world import CALIBRATED_YEAR

if TYPE_CHECKING:
    from atlas.study import Study

COLUMNS = (
    "id", "kind", "stage", "facility", "from_country", "to", "commodity", "element", "what", "basis", "year", "unit",
    "published", "model", "error_share", "error_points", "role", "comparable", "why_not", "no_model", "confidence",
    "source_id", "source_title", "source_url", "notes", "bound", "within",
)  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """A bound on one figure of the model: within `limit` (points, or a share of it) of the range `goal`.

    `cells` says which figure, as a row of targets.csv would. The goal stands here, so that a layer cannot move its own
    aim; rows that publish the goal are marked with the bound, those of other sources are not.
    """

    id: str
    what: str
    cells: Mapping[str, str]
    limit: float
    unit: str
    goal: tuple[float, float]
    ground: str

    def rows(self, table: pd.DataFrame) -> pd.Series:
        """Return which rows of a table of `compare` publish the goal."""
        low, high = self.goal
        mask = (table["comparable"] == "yes") & table["published"].between(low * (1 - 1e-9), high * (1 + 1e-9))
        for column in ("kind", "from_country", "to", "stage", "element"):
            mask &= table[column].fillna("").astype(str) == self.cells[column]
        return mask

    def off(self, model: float) -> float:
        """Return how far a figure lies outside the goal: points as a share of 1, or relative to the nearer end."""
        low, high = self.goal
        near = min(max(model, low), high)
        return abs(model - near) if self.unit == "points" else abs(model / near - 1)


def _china(stage: str, low: float, high: float, ground: str, basis: str = "") -> Rule:
    cells = {"kind": "share", "from_country": "CHN", "to": "", "stage": stage, "element": "", "basis": basis}
    what = f"China's share of the world's {STAGE_WORDS[stage]}"
    return Rule(f"chn-{stage}-share", what, cells, 0.03, "points", (low, high), ground)


def _sold(name: str, what: str, to: str, limit: float, tonnes: float) -> Rule:
    cells = {"kind": "trade", "from_country": "CHN", "to": to, "commodity": "magnet", "stage": "", "element": ""}
    return Rule(name, what, cells, limit, "share", (tonnes, tonnes), f"{tonnes:,.0f} t in 2024, customs of China")


# Bounds on figures, each with its ground: what the calibrated baseline was asked to meet.
RULES: tuple[Rule, ...] = (
    _china("mine", 0.69, 0.69, "69 % on the basis of the USGS", "USGS"),
    _china("separation", 0.91, 0.92, "91 to 92 %, oxide of the magnet elements drawn"),
    _china("metal", 0.94, 0.94, "94 %, metal made from oxide"),
    _china("magnet", 0.94, 0.94, "94 %, finished magnets"),
    _sold("chn-magnet-exports", "China's exports of magnets", "*", 0.05, 58_152.0),
    _sold("chn-usa-magnets", "China's exports of magnets to the United States", "USA", 0.10, 7_444.0),
)
MEDIAN_HELD_AT_MOST = 0.10  # of comparable rows that were held back
HELD_AT_LEAST = 10  # comparable rows held back
HELD_PART_AT_LEAST = 1 / 3  # of all comparable rows
CLOSURE_AT_MOST = 1e-6  # of what enters, by element
NEED_RANGE = (0.9, 1.0)  # of Dy and Tb, of what the year could supply; told, no bound


@dataclass(frozen=True)
class Validation:
    """The model against published figures.

    `table` has COLUMNS, a row a published figure (shares in 0 to 1; `error_share` relative, `error_points` for shares);
    `bounds` id, what, model, figure (how far off), sense, limit, unit, held, rows, ground; `totals` role, unit (empty
    for all), count, median, worst, worst_id, not_computed, of comparable rows and with relative errors; `closure` by
    element; `tuned` what was fitted.
    """

    year: int
    table: pd.DataFrame
    bounds: pd.DataFrame
    totals: pd.DataFrame
    closure: Closure
    tuned: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether every bound holds."""
        return bool(self.bounds["held"].all())

    @property
    def broken(self) -> list[str]:
        """Each bound that does not hold, in words."""
        return [f"{b['what']}: {bound_words(b)}" for b in self.bounds.to_dict("records") if not b["held"]]

    @property
    def median_held(self) -> float:
        """Median relative error of comparable rows held back; NaN if there is none."""
        return float(self._held["median"])

    @property
    def _held(self) -> pd.Series:
        t = self.totals
        return t[(t["role"] == "held") & (t["unit"] == "")].iloc[0]

    @property
    def sentence(self) -> str:
        """How wrong the model is, in one sentence."""
        held = self._held
        if not held["count"]:
            return "No published figure was held back from the fit, so nothing says how wrong the model is."
        return (
            f"Against the {int(held['count'])} comparable published figures that were held back from the fit, the "
            f"model's {self.year} is off by {100 * held['median']:.1f}\u00a0% at the median and by "
            f"{100 * held['worst']:.0f}\u00a0% at the worst."
        )

    @property
    def ordered(self) -> list[dict[str, Any]]:
        """Rows as dicts: comparable first, held back before fitted, the largest error first."""
        t = self.table
        t = t.assign(no=t["comparable"] != "yes", fit=t["role"] != "held", size=-t["error_share"].abs())
        t["size"] = t["size"].where(~t["no"], 0.0)
        return t.sort_values(["no", "fit", "size", "id"], kind="stable")[list(COLUMNS)].to_dict("records")

    @property
    def confidence(self) -> dict[str, dict[str, float]]:
        """Comparable rows held back by the confidence of their source: count and median error."""
        t = self.table
        told = t[(t["comparable"] == "yes") & (t["role"] == "held") & t["error_share"].notna()]
        groups = told.assign(size=told["error_share"].abs()).groupby("confidence")["size"]
        return {str(c): {"count": int(len(g)), "median": float(g.median())} for c, g in groups}

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain values, floats at six significant digits, null where there is no figure."""
        counts, corrections = corrections_of(self.tuned)
        whole = {
            "ok": self.ok,
            "year": self.year,
            "sentence": self.sentence,
            "rows": [_plain(r) for r in self.table.to_dict("records")],
            "bounds": [_plain(r) for r in self.bounds.to_dict("records")],
            "totals": [_plain(r) for r in self.totals.to_dict("records")],
            "confidence": self.confidence,
            "closure": self.closure.to_json(),
            "tuned": {
                "told": counts,
                "count": len(corrections),
                "corrections": [{"what": w, "usd_t": v} for w, v in corrections],
            },
        }
        return rounded(whole)


def validate(study: "Study") -> Validation:
    """Compare the baseline of a study with the published figures of its layers.

    Raises BadInput for a year other than the calibrated one, LayerError for a kind that is not known.
    """
    if study.year != CALIBRATED_YEAR:
        raise BadInput(
            f"published figures are those of {CALIBRATED_YEAR}: year {study.year} has nothing to compare with"
        )
    summary = study.solve().summary["baseline"]
    solved = study.baseline
    figures = Figures(summary, solved.reading.flows, study.layers.bloc, frozenset(study.layers.bloc_names),
                      chain_of(study.layers))
    table = compare(study.layers, figures)
    closed = closure(solved.world, solved.reading)
    return Validation(
        year=study.year,
        table=table[list(COLUMNS)],
        bounds=bounds(table, figures, closed),
        totals=totals(table),
        closure=closed,
        tuned=tuple(study.calibration.tuned),
    )


def compare(layers: Layers, figures: Figures) -> pd.DataFrame:
    """Return the table of a validation: COLUMNS and the columns of targets.csv, a row a published figure."""
    targets = layers.targets
    wrong = sorted({str(k) for k in targets["kind"]} - set(KINDS))
    if wrong:
        raise LayerError([f"targets.csv: kind {k!r} is not known; known: {', '.join(KINDS)}" for k in wrong])
    rows = []
    for name, t in targets.iterrows():
        told = {c: "" if _blank(v) else v for c, v in t.items()}
        model, trouble = figures.of(told)
        published = float(told["value"])
        error = model / published - 1 if model is not None and published else math.nan
        source = layers.sources.loc[told["source_id"]] if told["source_id"] in layers.sources.index else {}
        rows.append(
            {
                **told,
                "id": str(name),
                "what": sentence(told, layers) + other_year(told.get("year")),
                "year": int(told["year"]) if told.get("year") else None,
                "published": published,
                "model": math.nan if model is None else model,
                "error_share": error,
                "error_points": 100 * (model - published)
                if model is not None and told["unit"] == "share"
                else math.nan,
                "no_model": trouble,
                "source_title": str(source.get("title", "")),
                "source_url": str(source.get("url", "")),
                "bound": "",
                "within": None,
            }
        )
    table = pd.DataFrame(rows, columns=list(dict.fromkeys([*COLUMNS, *targets.columns])))
    for rule in RULES if chain_of(layers).is_shipped else ():
        for n in table.index[rule.rows(table)]:
            table.at[n, "bound"] = limit_words(rule.limit, rule.unit)
            table.at[n, "within"] = bool(rule.off(float(table.at[n, "model"])) <= rule.limit + 1e-12)
    return table


def bounds(table: pd.DataFrame, figures: Figures, closed: Closure) -> pd.DataFrame:
    """Return every bound with its figure, limit and whether it holds."""
    found: list[dict[str, Any]] = []

    def add(name: str, what: str, figure: float, limit: float, unit: str, ground: str, **more: Any) -> None:
        sense = more.get("sense", "at most")
        held = figure <= limit + 1e-12 if sense == "at most" else figure >= limit - 1e-12
        rows = list(more.get("rows", ()))
        found.append({"id": name, "what": what, "model": more.get("model", math.nan), "figure": figure, "sense": sense,
                      "limit": limit, "unit": unit, "held": bool(held), "rows": rows, "ground": ground})  # fmt: skip

    rules = RULES if figures.chain.is_shipped else ()  # another commodity has no aims of its own
    for rule in rules:
        model, _ = figures.of(rule.cells)
        model = math.nan if model is None else model
        own = table.loc[rule.rows(table), "id"]
        add(rule.id, rule.what, rule.off(model), rule.limit, rule.unit, rule.ground, rows=own, model=model)
    fair = table[table["comparable"] == "yes"]
    held = fair[fair["role"] == "held"]
    size = held["error_share"].abs()
    add("held-median", "median error of comparable rows held back", float(size.median()), MEDIAN_HELD_AT_MOST, "share",
        "relative errors; a row that the model lacks is left out and counted", rows=held["id"])  # fmt: skip
    least = float(HELD_AT_LEAST if figures.chain.is_shipped else 1)
    add("held-count", "comparable rows held back", float(size.notna().sum()), least, "rows",
        "so that the median says something", sense="at least")  # fmt: skip
    part = len(held) / len(fair) if len(fair) else math.nan
    add("held-part", "comparable rows held back, of all comparable", part, HELD_PART_AT_LEAST, "share",
        "at least a third", sense="at least")  # fmt: skip
    add("closure", "gap in the balance of any element at any step", closed.worst_share, CLOSURE_AT_MOST, "share",
        "nothing is lost without a name")  # fmt: skip
    return pd.DataFrame(found)


def totals(table: pd.DataFrame) -> pd.DataFrame:
    """Return median and worst relative error of comparable rows by role, and how many could not be computed."""
    rows = []
    for role, unit in (("fitted", ""), ("held", ""), ("held", "t"), ("held", "share")):
        own = table[
            (table["comparable"] == "yes")
            & (table["role"] == role)
            & (table["unit"].isin([unit] if unit else ["t", "share"]))
        ]
        size = own.set_index("id")["error_share"].abs().dropna()
        rows.append(
            {
                "role": role,
                "unit": unit,
                "count": len(size),
                "median": float(size.median()) if len(size) else math.nan,
                "worst": float(size.max()) if len(size) else math.nan,
                "worst_id": str(size.idxmax()) if len(size) else "",
                "not_computed": len(own) - len(size),
            }
        )
    return pd.DataFrame(rows)


def limit_words(limit: float, unit: str) -> str:
    """Return a limit for people: `3 points`, `5 %`, `10 rows`."""
    if unit == "points":
        return f"{100 * limit:.1f} points".replace(".0 ", " ")
    if unit == "rows":
        return f"{limit:.0f} rows"
    if 0 < limit < CLOSURE_AT_MOST / 10:
        return "under 0.00001 %"
    return f"{100 * limit:.1f} %".replace(".0 %", " %") if limit >= 0.001 or not limit else f"{100 * limit:.1g} %"


def bound_words(b: Mapping[str, Any]) -> str:
    """Return figure and limit of a bound for people."""
    figure = "no figure" if _blank(b["figure"]) else limit_words(b["figure"], b["unit"])
    return f"{figure}, expected {b['sense']} {limit_words(b['limit'], b['unit'])}"


def corrections_of(tuned: Sequence[str]) -> tuple[list[str], list[tuple[str, float]]]:
    """Return the lines of `tuned` that tell, and its corrections (what, USD/t), largest first."""
    told, found = [], []
    for line in tuned:
        match = re.fullmatch(r"(.+): ([+-]?[\d,.]+) USD/t", line)
        if match:
            found.append((match.group(1), float(match.group(2).replace(",", ""))))
        else:
            told.append(line)
    return told, sorted(found, key=lambda r: (-abs(r[1]), r[0]))


def _blank(value: Any) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with None for what is not there, and `comparable` as true or false."""
    out = {str(k): None if _blank(v) else v for k, v in row.items()}
    if "comparable" in out:
        out["comparable"] = out["comparable"] == "yes"
    return out

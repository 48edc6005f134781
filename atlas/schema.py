"""What each column of each layer is, read from `layers/schema.csv`, and the check of a table against it.

A check lists every problem at once, each with the row, the column, what was found and what was expected. Rules that
need two columns or two layers stand in `layer_check`.
"""

import csv
import dataclasses
import datetime as dt
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from atlas.chain import Chain
from atlas.errors import LayerError, nearest

TYPES = ("str", "int", "float", "bool", "date", "list", "geometry")
TEXT_LIMIT = 4000  # characters of one cell; no fact needs more
_WORDS = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)


class Finding(NamedTuple):
    """One thing that is wrong in a layer."""

    layer: str
    row: str
    column: str
    problem: str

    @property
    def text(self) -> str:
        """Return the finding as one line for people."""
        where = f"{self.layer}, row {self.row}" if self.row else self.layer
        return f"{where}, {self.column}: {self.problem}" if self.column else f"{where}: {self.problem}"


@dataclass(frozen=True)
class Column:
    """One column of a layer, as `schema.csv` states it.

    `allowed` is "" or an enum `a|b`, a range `0..1` with either end open, `dated:a|b` (list items that may carry a
    year, `Dy@2025`), or a pattern `/[a-z-]+/`. `references` lists `layer.column` and literals, joined by `|`.
    """

    layer: str
    column: str
    type: str
    unit: str
    required: bool
    allowed: str
    references: str
    description: str


@dataclass(frozen=True)
class Schema:
    """All columns of all layers, in the order of `schema.csv`."""

    columns: tuple[Column, ...]

    @property
    def layers(self) -> tuple[str, ...]:
        """Return the names of the layers."""
        return tuple(dict.fromkeys(c.layer for c in self.columns))

    def of(self, layer: str) -> dict[str, Column]:
        """Return the columns of one layer by name."""
        return {c.column: c for c in self.columns if c.layer == layer}

    def key(self, layer: str) -> str:
        """Return the column that identifies a row: `id`, for countries `iso3`."""
        return "id" if "id" in self.of(layer) else next(iter(self.of(layer)))

    def is_spatial(self, layer: str) -> bool:
        """Return whether the layer is a GeoJSON file with geometry of its own."""
        return any(c.type == "geometry" for c in self.of(layer).values())


def read_schema(path: Path) -> Schema:
    """Return the schema in a `schema.csv`; raises LayerError with all that is wrong in it."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LayerError(f"the schema {path} cannot be read: {error}") from None
    problems: list[str] = []
    columns: list[Column] = []
    for n, row in enumerate(rows, start=2):
        if row.get("type") not in TYPES or row.get("required") not in ("yes", "no") or not row.get("column"):
            problems.append(f"schema.csv, line {n}: type or required is not one of {', '.join(TYPES)}; yes, no")
            continue
        text = {k: (row.get(k) or "") for k in ("layer", "column", "type", "unit", "allowed", "references")}
        columns.append(Column(**text, required=row["required"] == "yes", description=row.get("description") or ""))
    if problems or not columns:
        raise LayerError(problems or f"the schema {path} holds no columns")
    return Schema(tuple(columns))


def schema_of(schema: Schema, shipped: Chain, chain: Chain) -> Schema:
    """Return the schema for another chain: a basket and a recipe column for each of its elements, and their names."""
    if chain == shipped:
        return schema
    old, new = "|".join(shipped.elements), "|".join(chain.elements)
    baskets = {shipped.basket_column(e): shipped.elements[n:n + 1] for n, e in enumerate(shipped.elements)}
    recipes = {shipped.recipe_column(k) for k in shipped.keys}
    made: list[Column] = []
    for c in schema.columns:
        if c.layer == "facilities" and c.column in baskets:
            if baskets[c.column] == shipped.elements[:1]:
                made += [dataclasses.replace(c, column=chain.basket_column(e), unit="share of the mine's product",
                         description=f"{e} in what the mine makes") for e in chain.elements]  # fmt: skip
        elif c.layer == "grades" and c.column in recipes:
            if c.column == shipped.recipe_column(shipped.keys[0]):
                made += [dataclasses.replace(c, column=chain.recipe_column(k), description=f"{k} in a tonne of blank")
                         for k in chain.keys]  # fmt: skip
        elif c.column == "elements":
            words = c.allowed.removeprefix("dated:")
            made.append(dataclasses.replace(c, allowed=c.allowed.replace(words, new)))
        elif c.column == "element" and c.allowed:
            made.append(dataclasses.replace(c, allowed="|".join(chain.tokens)))
        elif c.column == "material":
            made.append(dataclasses.replace(c, allowed="|".join(chain.materials)))
        else:
            made.append(dataclasses.replace(c, allowed=c.allowed.replace(old, new)))
    return Schema(tuple(made))


def check_columns(layer: str, found: Iterable[str], schema: Schema, partial: bool = False) -> list[Finding]:
    """Return the findings about missing, unknown and repeated columns.

    With `partial` only the key must be there: an overlay keeps the shipped value of a column it does not have.
    """
    known, found = schema.of(layer), list(found)
    findings = [
        Finding(layer, "", c, "column is missing") for c, column in known.items()
        if c not in found and (c == schema.key(layer) if partial else column.type != "geometry")
    ]
    for name in dict.fromkeys(found):
        if found.count(name) > 1:
            findings.append(Finding(layer, "", name, f"column stands {found.count(name)} times"))
        if name not in known:
            near = nearest(name, known)
            findings.append(Finding(layer, "", name[:80], "unknown column" + (f"; nearest: {', '.join(near)}" if near
                                                                              else "")))
    return findings


def check_table(layer: str, raw: pd.DataFrame, schema: Schema) -> tuple[pd.DataFrame, list[Finding]]:
    """Return the table with typed columns, and every problem in it.

    `raw` holds text ("" where empty) and, in spatial layers, geometry. Numbers become float (int where all are there),
    empty ones NaN; lists become tuples; dates stay text. A cell with a problem becomes empty.
    """
    key = schema.key(layer)
    labels = [str(v)[:80] if v else f"line {n}" for n, v in enumerate(raw[key], start=2)]
    findings: list[Finding] = []
    for label in sorted({v for v in labels if labels.count(v) > 1}) if len(set(labels)) < len(labels) else []:
        findings.append(Finding(layer, label, key, f"stands {labels.count(label)} times; expected once"))
    typed: dict[str, object] = {}
    for name, column in schema.of(layer).items():
        if column.type == "geometry":
            continue
        cells = [str(v) for v in raw[name]] if name in raw.columns else [""] * len(raw)
        report = _reporter(findings, layer, labels, name)
        values = _converted(column, cells, report)
        if column.required:
            for n, cell in enumerate(cells):
                if not cell.strip():
                    report(n, f"is empty; expected {_expected(column)}")
        typed[name] = values
    frame = pd.DataFrame(typed, index=raw.index)
    if "geometry" in raw.columns:
        frame["geometry"] = raw["geometry"]
    return frame, findings


def is_sorted(keys: Iterable[str]) -> str:
    """Return "" if the keys ascend, else the first key that stands too late."""
    before = ""
    for key in keys:
        if key < before:
            return key
        before = key
    return ""


def date_of(text: str, end: bool = False) -> dt.date | None:
    """Return the first (or with `end` the last) day of `YYYY`, `YYYY-MM` or `YYYY-MM-DD`; None for anything else."""
    match = _DATE.fullmatch(text.strip())
    if not match:
        return None
    year, month, day = int(match[1]), match[2], match[3]
    try:
        if day:
            return dt.date(year, int(month), int(day))
        if month:
            first = dt.date(year, int(month), 1)
            return _month_end(first) if end else first
        return dt.date(year, 12, 31) if end else dt.date(year, 1, 1)
    except ValueError:
        return None


def _month_end(first: dt.date) -> dt.date:
    return (first.replace(day=28) + dt.timedelta(days=4)).replace(day=1) - dt.timedelta(days=1)


def _reporter(findings: list[Finding], layer: str, labels: list[str], column: str) -> Callable[[int, str], None]:
    """Return a function (row number, problem) that adds a finding."""
    return lambda n, problem: findings.append(Finding(layer, labels[n], column, problem))


def _converted(column: Column, cells: list[str], report: Callable[[int, str], None]) -> object:
    """Return the cells of one column in its type; what does not fit is reported and left empty."""
    if column.type in ("int", "float"):
        numbers = np.array([_number(column, n, cell, report) for n, cell in enumerate(cells)], dtype=float)
        whole = column.type == "int" and len(numbers) > 0 and bool(np.isfinite(numbers).all())
        return numbers.astype("int64") if whole else numbers
    if column.type == "bool":
        return [_boolean(n, cell, report) for n, cell in enumerate(cells)]
    texts = [_text(column, n, cell, report) for n, cell in enumerate(cells)]
    if column.type == "list":
        return pd.Series([_items(column, n, cell, report) for n, cell in enumerate(texts)], dtype=object).to_numpy()
    return texts


def _number(column: Column, n: int, cell: str, report: Callable[[int, str], None]) -> float:
    text = cell.strip()
    if not text:
        return math.nan
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value) or (column.type == "int" and value != int(value)):
        report(n, f"is {text[:80]!r}; expected {_expected(column)}")
        return math.nan
    low, high = bounds(column.allowed)
    if not low <= value <= high:
        report(n, f"is {text[:80]}; expected {_expected(column)}")
    if column.column in ("lon", "lat") and len(text.partition(".")[2]) > 5:
        report(n, f"is {text[:80]}; expected at most 5 decimals")
    return value


def _boolean(n: int, cell: str, report: Callable[[int, str], None]) -> bool:
    word = cell.strip().lower()
    if word not in _WORDS and word:
        report(n, f"is {cell[:80]!r}; expected yes or no")
    return _WORDS.get(word, False)


def _text(column: Column, n: int, cell: str, report: Callable[[int, str], None]) -> str:
    text = cell.strip()
    if not text.isprintable() and any(ord(c) < 32 or ord(c) == 127 for c in text):
        report(n, "holds a control character; expected plain text on one line")
        return ""
    if len(text) > TEXT_LIMIT:
        report(n, f"holds {len(text)} characters; expected at most {TEXT_LIMIT}")
        return ""
    if not text or column.type == "list":
        return text
    if column.type == "date" and date_of(text) is None:
        report(n, f"is {text[:80]!r}; expected a date: YYYY, YYYY-MM or YYYY-MM-DD")
        return ""
    problem = _not_allowed(column, text)
    if problem:
        report(n, problem)
    return text


def _items(column: Column, n: int, text: str, report: Callable[[int, str], None]) -> tuple[str, ...]:
    items = tuple(item.strip() for item in text.split(";") if item.strip())
    for item in items:
        problem = _not_allowed(column, item)
        if problem:
            report(n, problem)
    if len(set(items)) < len(items):
        report(n, f"names {next(i for i in items if items.count(i) > 1)[:80]!r} more than once")
    return items


def _not_allowed(column: Column, text: str) -> str:
    """Return why a text is outside the enum or the pattern of its column, "" if it is fine."""
    allowed = column.allowed
    if not allowed or ".." in allowed:
        return ""
    if allowed.startswith("/"):
        return "" if re.fullmatch(allowed.strip("/"), text) else f"is {text[:80]!r}; expected {_expected(column)}"
    value = text
    if allowed.startswith("dated:"):
        value, at, year = text.partition("@")
        if at and not re.fullmatch(r"(19|20|21)\d\d", year):
            return f"is {text[:80]!r}; expected a year of four digits after @"
    words = allowed.removeprefix("dated:").split("|")
    if value in words:
        return ""
    near = nearest(value, words, n=1)
    return f"is {text[:80]!r}; expected {_expected(column)}" + (f"; nearest: {near[0]}" if near else "")


def bounds(allowed: str) -> tuple[float, float]:
    """Return (low, high) of a range like `0..1` or `0..`; infinite where open or where there is no range."""
    if ".." not in allowed or allowed.startswith("/"):
        return -math.inf, math.inf
    low, _, high = allowed.partition("..")
    return (float(low) if low else -math.inf), (float(high) if high else math.inf)


def _expected(column: Column) -> str:
    """Return what a cell of the column should hold, in words."""
    kinds = {"int": "a whole number", "float": "a number", "date": "a date", "bool": "yes or no"}
    kind = kinds.get(column.type, "text")
    if ".." in column.allowed and not column.allowed.startswith("/"):
        low, high = bounds(column.allowed)
        span = f"from {low:g}" if math.isfinite(low) else ""
        span += f" to {high:g}" if math.isfinite(high) else " up"
        return f"{kind} {span.strip()}" + (f" ({column.unit})" if column.unit else "")
    if column.allowed.startswith("/"):
        return f"text like {column.allowed.strip('/')}"
    if column.allowed:
        return "one of " + ", ".join(column.allowed.removeprefix("dated:").split("|"))
    return kind


def check_references(
    layer: str, table: pd.DataFrame, schema: Schema, known: Mapping[str, frozenset[str]]
) -> list[Finding]:
    """Return a finding for each name in the table that no row of the referred layer has.

    `known` maps `layer.column` to the values there; a referred layer that could not be read is passed over.
    """
    findings: list[Finding] = []
    keys = table[schema.key(layer)]
    for name, column in schema.of(layer).items():
        if not column.references or name not in table.columns:
            continue
        targets = column.references.split("|")
        if not all(t in known for t in targets if "." in t):
            continue
        names = frozenset().union(*(known[t] if "." in t else {t} for t in targets))
        where = " or ".join(t.split(".")[0] if "." in t else repr(t) for t in targets)
        for key, cell in zip(keys, table[name], strict=True):
            for item in cell if isinstance(cell, tuple) else (cell,):
                if item and item not in names:
                    near = nearest(item, names)
                    hint = f"; nearest: {', '.join(near)}" if near else ""
                    findings.append(Finding(layer, str(key), name, f"{item[:80]!r} is not in {where}{hint}"))
    return findings

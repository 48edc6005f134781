"""The layers: files of text in, validated tables out.

`open_layers` reads the shipped layers, lays another directory, a GDAL source or PostGIS over them by id, checks all of
it against `schema.csv` and raises one LayerError that lists every problem.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import geopandas as gpd
import pandas as pd

from atlas.chain import Chain, shipped_chain
from atlas.config import data_dir
from atlas.duty import BASE_DAY, Duties
from atlas.errors import LayerError, UnknownName, nearest
from atlas.finding import Entry, Index
from atlas.geo import CRS
from atlas.layer_check import check_layers
from atlas.layer_files import read_raw
from atlas.schema import Finding, Schema, date_of
from atlas.schema import check_table as check_cells

# Other words people use for a country; the layer has the short English name.
COUNTRY_WORDS = {
    "ARE": ("UAE",), "CHN": ("PRC", "People's Republic of China"), "CIV": ("Ivory Coast",), "COD": ("Congo Kinshasa",),
    "CZE": ("Czech Republic",), "GBR": ("UK", "Britain", "Great Britain"), "KOR": ("South Korea", "Republic of Korea"),
    "MMR": ("Burma", "Myanmar"), "NLD": ("Holland",), "PRK": ("North Korea",), "RUS": ("Russian Federation",),
    "TUR": ("Turkey", "Türkiye"), "TWN": ("Chinese Taipei",), "USA": ("US", "America", "United States of America"),
    "VNM": ("Viet Nam",),
}


@dataclass(frozen=True, eq=False)
class Layers:
    """All layers, validated. Tables are indexed by id (countries by iso3) and sorted by it.

    Empty cells are NaN for numbers, "" for text, () for lists. Units stand in the column names; every row has a
    `source_id` and a `confidence` (A official or company, B trade press or derived, C estimate). Tables are shared:
    treat them as read-only.
    """

    facilities: gpd.GeoDataFrame
    demand: pd.DataFrame
    markets: pd.DataFrame
    sectors: pd.DataFrame
    ports: gpd.GeoDataFrame
    passages: gpd.GeoDataFrame
    countries: gpd.GeoDataFrame
    blocs: pd.DataFrame
    tariffs: pd.DataFrame
    transport: pd.DataFrame
    parameters: pd.Series
    parameter_rows: pd.DataFrame
    grades: pd.DataFrame
    sector_grades: pd.DataFrame
    costs: pd.DataFrame
    stock: pd.DataFrame
    targets: pd.DataFrame
    operators: pd.DataFrame
    conversion: pd.DataFrame
    capex: pd.DataFrame
    concentration: pd.DataFrame
    sources: pd.DataFrame
    schema: Schema
    digest: str
    directories: tuple[Path, ...] = field(default=())
    scenarios: dict[str, Path] = field(default_factory=dict)
    chain: Chain = field(default_factory=shipped_chain)

    def table(self, name: str) -> pd.DataFrame:
        """Return a layer by its name; raises UnknownName."""
        if name not in self.schema.layers:
            raise UnknownName("layer", name, nearest(name, self.schema.layers) or self.schema.layers)
        return self.parameter_rows if name == "parameters" else getattr(self, name)

    def directory(self, name: str) -> Path:
        """Return the directory of that name beside the layer files, such as `network`; an overlay's own comes first."""
        for base in self.directories:
            if (base / name).is_dir():
                return base / name
        return data_dir("layers") / name

    @cached_property
    def constants(self) -> pd.Series:
        """Return the transport constants that routing uses, value by id."""
        return self.transport.loc[self.transport["used"] == "yes", "value"]

    @cached_property
    def bloc_names(self) -> tuple[str, ...]:
        """Return the names of all blocs."""
        return tuple(sorted(set(self.blocs["bloc"])))

    def bloc(self, name: str, on: dt.date | None = None) -> frozenset[str]:
        """Return the countries of a bloc, all of them or those that belonged to it on a day; raises UnknownName."""
        rows = self.blocs[self.blocs["bloc"] == name]
        if rows.empty:
            raise UnknownName("bloc", name, nearest(name, self.bloc_names) or self.bloc_names)
        if on is not None:
            rows = rows[[(date_of(since) or dt.date.min) <= on for since in rows["since"]]]
        return frozenset(str(c) for c in rows["country"])

    def duties(self, on: dt.date | None = None) -> Duties:
        """Return the duties in force on a day, by default 1 July 2024."""
        return Duties(self.tariffs, self.bloc, on or BASE_DAY)

    def tariff_pct(self, importer: str, exporter: str, commodity: str, on: dt.date | None = None) -> float:
        """Return the duty on a commodity in percent of its value, by default of 1 July 2024; 0 at home."""
        return self.duties(on).pct(importer, exporter, commodity)

    def tariff_table(self, on: dt.date | None = None) -> dict[tuple[str, str, str], float]:
        """Return {(importer, exporter, commodity): percent} for all countries with a facility or a market."""
        codes = set(self.facilities["country"]) | set(self.markets["country"]) | set(self.demand["country"])
        return self.duties(on).table(str(c) for c in codes)

    @cached_property
    def _index(self) -> Index:
        return Index(_entries(self))

    def find(self, text: str, kinds: Sequence[str] | None = None) -> pd.DataFrame:
        """Return ids by name: id, kind, name, country, best first, at most 50.

        Kinds are facility, site, operator, port, passage, country, bloc and scenario. Case, accents and small
        misspellings do not matter. Raises BadInput for an empty text, UnknownName for an unknown kind.
        """
        return self._index.find(text, kinds)


def open_layers(path: str | Path | None = None) -> Layers:
    """Return the shipped layers, overlaid by those at `path` (directory, GDAL source or PostGIS address).

    Raises LayerError with every problem of every layer, BadInput if there is nothing to read at `path`.
    """
    tables, findings, made = _read(path)
    if findings:
        raise LayerError([f.text for f in findings])
    return Layers(**_finished(tables, made["schema"]), **made)


def problems(path: str | Path | None = None) -> pd.DataFrame:
    """Return every problem of the layers: layer, row, column, problem."""
    return pd.DataFrame(_read(path)[1], columns=["layer", "row", "column", "problem"], dtype="str")


def check_table(path: str | Path | None = None) -> pd.DataFrame:
    """Return a row per layer: layer, count, problems, free_text_feeds, share_on_c.

    `free_text_feeds` counts facilities whose buyers are named only as text; `share_on_c` is the share of rows with
    confidence C, NaN for layers without one.
    """
    tables, findings, _ = _read(path)
    counted = pd.Series([f.layer for f in findings], dtype="str").value_counts()
    rows = []
    for layer, table in tables.items():
        free = int((table["feeds_text"] != "").sum()) if "feeds_text" in table else 0
        on_c = float((table["confidence"] == "C").mean()) if "confidence" in table and len(table) else float("nan")
        rows.append((layer, len(table), int(counted.get(layer, 0)), free, on_c))
    rows += [(name, 0, int(n), 0, float("nan")) for name, n in counted.items() if name not in tables]
    return pd.DataFrame(rows, columns=["layer", "count", "problems", "free_text_feeds", "share_on_c"])


def _read(path: str | Path | None) -> tuple[dict[str, pd.DataFrame], list[Finding], dict]:
    """Return typed tables with their key as a column, all findings, and what else Layers holds."""
    raw = read_raw(path)
    findings, tables = list(raw.findings), {}
    for layer in raw.schema.layers:
        tables[layer], wrong = check_cells(layer, raw.tables[layer], raw.schema)
        findings += wrong
    findings += check_layers(tables, raw.schema, raw.chain)
    made = {"schema": raw.schema, "digest": raw.digest, "directories": raw.directories, "scenarios": raw.scenarios,
            "chain": raw.chain}  # fmt: skip
    return tables, findings, made


def _finished(tables: dict[str, pd.DataFrame], schema: Schema) -> dict[str, pd.DataFrame | pd.Series]:
    """Return the fields of Layers: tables indexed and sorted, points and outlines as GeoDataFrames."""
    done: dict[str, pd.DataFrame | pd.Series] = {}
    for layer, table in tables.items():
        frame = table.set_index(schema.key(layer)).sort_index()
        if layer in ("facilities", "ports"):
            frame = gpd.GeoDataFrame(frame, geometry=gpd.points_from_xy(frame["lon"], frame["lat"]), crs=CRS)
        elif schema.is_spatial(layer):
            frame = gpd.GeoDataFrame(frame, geometry="geometry", crs=CRS)
        done[layer] = frame
    done["parameter_rows"] = done["parameters"]
    done["parameters"] = done["parameter_rows"]["value"]
    return done


def _entries(layers: Layers) -> list[Entry]:
    """Return everything that can be found by name."""
    operator_names = layers.operators["name"].to_dict()
    found: list[Entry] = []
    facilities = layers.facilities
    for key, row in zip(facilities.index, facilities.to_dict("records"), strict=True):
        operators = tuple(operator_names[i] for i in row["operator_ids"])
        found.append(Entry(key, "facility", row["name"], row["country"], (row["site"], row["operator"], *operators)))
    for site, units in facilities.groupby("site"):
        if len(units) > 1 or site not in facilities.index:
            names = tuple(str(n) for n in units["name"])
            found.append(Entry(str(site), "site", _common_name(names), str(units["country"].iloc[0]), names))
    for kind, table in (("operator", layers.operators), ("port", layers.ports), ("passage", layers.passages)):
        countries = table["country"] if "country" in table else [""] * len(table)
        found += [Entry(str(i), kind, n, c) for i, n, c in zip(table.index, table["name"], countries, strict=True)]
    for code, name in layers.countries["name"].items():
        found.append(Entry(str(code), "country", str(name), str(code), COUNTRY_WORDS.get(str(code), ())))
    found += [Entry(name, "bloc", name.replace("-", " "), "") for name in layers.bloc_names]
    found += [Entry(name, "scenario", _scenario_name(path), "") for name, path in sorted(layers.scenarios.items())]
    return found


def _common_name(names: Sequence[str]) -> str:
    """Return the words all names begin with, the first name if there are none."""
    shared: list[str] = []
    for words in zip(*(n.split() for n in names), strict=False):
        if len(set(words)) > 1:
            break
        shared.append(words[0])
    return " ".join(shared).rstrip(" (,-") or names[0]


def _scenario_name(path: Path) -> str:
    """Return the name written in a scenario file, its file name if there is none to read."""
    import tomllib

    try:
        return str(tomllib.loads(path.read_text(encoding="utf-8")).get("name") or path.stem)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError):
        return path.stem

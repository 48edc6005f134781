"""What a user's own layers do: rows added, replaced and changed, and what to do about each problem and doubt.

Problems come from `layers.problems`; here they get the file and line they stand in and a way out. Doubts are what is
allowed and yet hardly meant: a unit that never runs, a place far from the network, an estimate that no source backs.
"""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from atlas.errors import BadInput, LayerError
from atlas.layer_files import ALWAYS_OVERLAID, layer_path, mode_of, read_raw
from atlas.layers import Layers
from atlas.world import CALIBRATED_YEAR, build_world, running

FAR_KM = 100.0  # from the network: such a way is drawn as a straight road, and is hardly meant
# What a problem says -> what to do about it; the first that fits.
ADVICE: tuple[tuple[str, str], ...] = (
    ("unknown column", "rename or remove the column; layers/schema.csv lists those of each layer"),
    ("column is missing", "add the column; `atlas check --template DIR` writes every header"),
    ("is not in sources", "add a row with that id to your sources.csv, or name a source that is there"),
    ("is not in operators", "add a row with that id to your operators.csv, or leave operator_ids empty"),
    ("is not in facilities", "name units by their id (`atlas find NAME`); your own must stand in facilities.csv"),
    ("is not in countries", "use ISO 3166-1 alpha-3, such as DEU (`atlas find NAME --kind country`)"),
    ("is not in grades", "use an id of grades.csv"),
    ("is not in sectors", "use an id of sectors.csv, or add the sector there and its grades to sector_grades.csv"),
    ("lies in", "check lon and lat (are they swapped?), the country, or raise coord_precision_km"),
    ("has no row in markets", "add a market for the country to markets.csv: the point where its demand ends"),
    ("a second row for", "keep one of the two; a row of the shipped id replaces the shipped row"),
    ("stands", "give each row an id of its own"),
    ("cells; expected", "put text that holds a comma between quotes, and count the commas"),
    ("no layer has this file name", "rename the file, or take it out of the folder"),
    ("is empty; expected", "fill the cell"),
    ("needs its basket", "give the share of each element in what the mine makes; 0 where there is none"),
    ("needs the grades", "name the grades that the plant makes, with semicolons"),
    ("is missing", "add it"),
)


@dataclass(frozen=True)
class OwnFile:
    """What one file of a user's folder does to its layer: ids added, changed with their columns, and repeated as is."""

    name: str
    layer: str
    added: tuple[str, ...]
    changed: Mapping[str, tuple[str, ...]]
    same: tuple[str, ...]
    whole: bool


def advice(problem: str) -> str:
    """Return what to do about a problem, "" where the problem says it all."""
    return next((told for words, told in ADVICE if words in problem), "")


def own_files(folder: Path) -> list[OwnFile]:
    """Return what each layer file of a folder does to the shipped rows."""
    shipped, own = read_raw(None), read_raw(folder)
    replaces = mode_of(folder) == "replace"
    found = []
    for layer in own.schema.layers:
        path = layer_path(folder, layer, own.schema)
        if path is None:
            continue
        whole = replaces and layer not in ALWAYS_OVERLAID
        key = own.schema.key(layer)
        ids = [i for i in rows_of(path, key) if i]
        before = pd.DataFrame() if whole else shipped.tables[layer].drop_duplicates(key).set_index(key)
        after = own.tables[layer].drop_duplicates(key).set_index(key)
        changed, same = {}, []
        for i in ids:
            if i in before.index and i in after.index:
                columns = tuple(c for c in before.columns.intersection(after.columns)
                                if str(before.at[i, c]) != str(after.at[i, c]))  # fmt: skip
                if columns:
                    changed[i] = columns
                else:
                    same.append(i)
        added = tuple(i for i in ids if i not in before.index)
        found.append(OwnFile(path.name, layer, added, changed, tuple(same), whole))
    return found


def rows_of(path: Path, key: str) -> dict[str, int]:
    """Return the line of each id in a layer file: of a CSV its line, of a GeoJSON the number of its feature."""
    found: dict[str, int] = {}
    try:
        if path.suffix == ".geojson":
            features = json.loads(path.read_text(encoding="utf-8-sig"))["features"]
            for n, feature in enumerate(features, 1):
                found.setdefault(str((feature.get("properties") or {}).get(key, "")), n)
            return found
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = [name.strip() for name in next(reader, [])]
            at = header.index(key) if key in header else 0
            for row in reader:
                if len(row) > at:
                    found.setdefault(row[at], reader.line_num)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, csv.Error):
        pass  # what is wrong with the file is told by the check itself
    return found


def problem_lines(folder: Path | None, problems: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return each problem with the file and line it stands in and what to do about it."""
    schema = read_raw(None).schema
    lines: dict[str, tuple[str, dict[str, int]]] = {}
    told = []
    for p in problems:
        layer = str(p["layer"])
        if folder is not None and layer not in lines and layer in schema.layers:
            path = layer_path(folder, layer, schema)
            lines[layer] = (path.name, rows_of(path, schema.key(layer))) if path else ("", {})
        name, at = lines.get(layer, ("", {}))
        n = at.get(str(p["row"]))
        where = f"{name}, {'feature' if name.endswith('json') else 'line'} {n}: " if n else ""
        way = advice(str(p["problem"]))
        place = " ".join(w for w in (layer, str(p["row"]), str(p["column"])) if w)
        told.append(f"{where}{place}: {p['problem']}" + (f" - {way}" if way else ""))
    return told


def doubts(layers: Layers, files: Sequence[OwnFile], snap_km: Mapping[str, float], year: int = CALIBRATED_YEAR
           ) -> Iterator[str]:  # fmt: skip
    """Yield what is allowed and yet hardly meant in one's own rows, each with what to do.

    `snap_km` says how far each place lies from the network. Raises LayerError where the world of `year` cannot be made.
    """
    mine = {f.layer: [*f.added, *f.changed] for f in files}
    fac = layers.facilities
    own = [i for i in mine.get("facilities", ()) if i in fac.index]
    for i in own:
        if snap_km.get(i, 0.0) > FAR_KM:
            yield (f"{i}: lies {snap_km[i]:,.0f} km from any road, rail or port, and is joined by a straight road - "
                   f"check lon and lat, or fetch its roads: atlas roads {i}")
    for i in (i for f in files if f.layer == "ports" for i in f.added):
        yield (f"{i}: ships do not call at a port that the network was not built with; it is reached by road from the "
               "nearest port - halt that one, or build the network anew (make network)")
    world = build_world(layers, year)
    runs = running(fac, year)
    sent, taken = set(world.lanes["from_id"]), set(world.lanes["to_id"])
    for i in own:
        row = fac.loc[i]
        if not runs[i]:
            yield f"{i}: does not run in {year} - {_why_idle(row, year)}"
            continue
        if pd.isna(row["capacity_t"]) and pd.isna(row["output_t"]):
            yield f"{i}: has neither capacity_t nor output_t, so it makes nothing - give one of them"
        if i not in sent:
            yield f"{i}: nobody buys what it makes - {_buyers(row)}"
        if row["stage"] != "mine" and i not in taken:
            yield f"{i}: nobody sells it what it needs - see `accepts`, `elements` and `grades` of its row"
    for layer, ids in mine.items():
        table = layers.table(layer)
        if {"confidence", "source_id"} <= set(table.columns):
            loose = [i for i in ids if i in table.index and table.at[i, "confidence"] in ("A", "B")
                     and not str(layers.sources["url"].get(table.at[i, "source_id"], ""))]  # fmt: skip
            if loose:
                yield (f"{layer}: {_some(loose)} of confidence A or B without an address in sources.csv - "
                       "give the url, or say C for an estimate")
    used = {str(s) for name in layers.schema.layers if "source_id" in layers.table(name).columns
            for s in layers.table(name)["source_id"]}  # fmt: skip
    idle = [i for i in mine.get("sources", ()) if i not in used]
    if idle:
        yield f"sources: no row uses {_some(idle)} - name it in source_id, or take it out"


def _why_idle(row: pd.Series, year: int) -> str:
    if str(row["modelled"]) != "yes":
        return "modelled is no; say yes to have it in the flow model"
    if row["status"] in ("closed", "care_and_maintenance"):
        return f"its status is {row['status']}"
    if row["status"] in ("planned", "construction"):
        return f"it is {row['status']}; ask for a later year (atlas --year {year + 4} solve) or say operating"
    return "see start_year and end_year"


def _buyers(row: pd.Series) -> str:
    if row["stage"] == "magnet":
        return "no market wants its grades; see `grades` of its row and sector_grades.csv"
    return "see product, elements and feeds; a mine whose `feeds` are all named sells to them alone"


def _some(ids: Sequence[str]) -> str:
    return ", ".join(ids[:5]) + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")


def own_folder(address: str | None) -> Path | None:
    """Return the folder of one's own layers, None for the shipped ones alone, a file or a database."""
    path = Path(address) if address and "://" not in address else None
    return path if path is not None and path.is_dir() else None


def world_problem(layers: Layers, year: int = CALIBRATED_YEAR) -> str:
    """Return why no world can be made of the layers, "" where it can."""
    try:
        build_world(layers, year)
    except (LayerError, BadInput) as error:
        missing = "costs.csv" in error.problems[0]
        way = " - add a row for that stage and product, country * for all, to your costs.csv" if missing else ""
        return "; ".join(error.problems) + way
    return ""

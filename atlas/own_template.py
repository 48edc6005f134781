"""A folder to start one's own layers from: every header with an example row, and a README made from the schema."""

import csv
import io
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from atlas.config import data_dir
from atlas.errors import BadInput, nearest
from atlas.export_files import check_target_folder, write_folder
from atlas.schema import Column, Schema, read_schema

# Outlines of countries and the record behind parameters are hardly anybody's to change.
LEFT_OUT = ("countries", "conversion", "concentration")
EXAMPLE: dict[str, dict[str, str]] = {
    "facilities": {
        "id": "my-plant", "site": "my-plant", "name": "My separation plant", "stage": "separation", "product": "oxide",
        "operator": "My company", "country": "DEU", "lon": "9.93", "lat": "51.53", "coord_precision_km": "1",
        "status": "operating", "start_year": "2020", "unit": "t_reo", "capacity_t": "500", "output_t": "400",
        "output_year": "2024", "modelled": "yes", "notes": "An example: put your own in its place.",
        "source_id": "my-source", "confidence": "C",
    },
    "sources": {
        "id": "my-source", "title": "Where my figures come from", "url": "https://example.org/report",
        "publisher": "My company", "licence": "facts cited, text not copied", "accessed": "2026-11",
    },
    "passages": {
        "id": "my-strait", "name": "Bass Strait", "default_open": "yes", "toll_usd_t": "0", "delay_days": "0",
        "width_note": "An example: the gate line from shore to shore.", "source_id": "my-source", "confidence": "C",
    },
    "blocs": {
        "id": "my-bloc-deu", "bloc": "my-bloc", "country": "DEU", "since": "2024", "contested": "no",
        "source_id": "my-source", "confidence": "C",
    },
}  # fmt: skip
GATE = [[146.4, -38.8], [146.4, -41.1]]
SCENARIO = '''name = "My strait closes"
note = "An example: put your own in its place; README of the atlas, Scenarios."

[[halt]]
spec = "passage:my-strait"
'''


def examples() -> tuple[str, ...]:
    """Return the names of the worked examples of other commodities."""
    return tuple(sorted(p.name for p in (data_dir("layers") / "examples").iterdir() if p.is_dir()))


def write_template(folder: str | Path, example: str = "") -> list[str]:
    """Write a folder to start from and return the names of its files; nothing is ever overwritten.

    With `example` it is a copy of a worked example of another commodity. Raises BadInput for a folder that holds
    something or an unknown example, WriteFailure where it cannot be written.
    """
    if example and example not in examples():
        near = nearest(example, examples()) or examples()
        raise BadInput(f"unknown example {example[:80]!r}; nearest: {', '.join(near)}")
    texts = _copied(data_dir("layers") / "examples" / example) if example else template_texts()
    scenarios = {n: t for n, t in texts.items() if "/" in n}
    target = check_target_folder(folder, frozenset())
    write_folder(target, {n: _writer(t) for n, t in texts.items() if n not in scenarios})
    inside = target / "scenarios"
    if scenarios:
        write_folder(inside, {n.partition("/")[2]: _writer(t) for n, t in scenarios.items()})
    return sorted(texts)


def _writer(text: str) -> Callable[[Path], None]:
    return partial(_put, text=text)


def _put(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="")


def _copied(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): p.read_text(encoding="utf-8") for p in files}


def template_texts() -> dict[str, str]:
    """Return the text of each file of the template by name."""
    base = data_dir("layers")
    schema = read_schema(base / "schema.csv")
    texts = {"settings.toml": 'mode = "overlay"   # "replace": each file here stands in place of the shipped one\n',
             "scenarios/my-strait-closes.toml": SCENARIO}  # fmt: skip
    for layer in (n for n in schema.layers if n not in LEFT_OUT):
        columns = [c.column for c in schema.of(layer).values() if c.type != "geometry"]
        if schema.is_spatial(layer):
            texts[f"{layer}.geojson"] = _collection(columns, EXAMPLE[layer])
        else:
            row = EXAMPLE.get(layer) or _first(base / f"{layer}.csv")
            texts[f"{layer}.csv"] = _csv(columns, row)
    texts["README.md"] = readme(schema)
    return texts


def _first(path: Path) -> dict[str, str]:
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.DictReader(file))


def _csv(columns: list[str], row: dict[str, str]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerow(row)
    return text.getvalue()


def _collection(columns: list[str], row: dict[str, str]) -> str:
    feature: dict[str, Any] = {
        "type": "Feature", "properties": {c: row.get(c, "") for c in columns},
        "geometry": {"type": "LineString", "coordinates": GATE},
    }  # fmt: skip
    return json.dumps({"type": "FeatureCollection", "features": [feature]}, indent=1) + "\n"


def readme(schema: Schema) -> str:
    """Return the README of the template: what to do, and every column of every layer as the schema has it."""
    lines = [
        "# My layers", "",
        "`atlas --layers THIS_FOLDER check` says what is wrong and what to do. Delete the files and rows that you do",
        "not need; a row of a shipped id changes that row, a new id adds one, a column left out keeps its value.",
        "Rows called my-... are examples to be replaced; all other rows repeat a shipped one and change nothing.",
    ]  # fmt: skip
    for layer in (n for n in schema.layers if n not in LEFT_OUT):
        suffix = "geojson" if schema.is_spatial(layer) else "csv"
        lines += ["", f"## {layer}.{suffix}", "", *columns_table(schema, layer)]
    return "\n".join(lines) + "\n"


def columns_table(schema: Schema, layer: str) -> list[str]:
    """Return the columns of a layer as lines of a Markdown table."""
    rows = ["| column | needed | holds | what |", "| --- | --- | --- | --- |"]
    for c in schema.of(layer).values():
        rows.append(f"| `{c.column}` | {'yes' if c.required else ''} | {_holds(c)} | {c.description} |")
    return rows


def _holds(c: Column) -> str:
    allowed = c.allowed.removeprefix("dated:").replace("|", ", ")
    text = {"str": "text", "int": "whole number", "float": "number", "bool": "yes or no", "list": "list, by `;`",
            "date": "date", "geometry": "line or outline"}[c.type]  # fmt: skip
    pattern = allowed.startswith("/")
    more = [f"`{allowed.strip('/')}`" if pattern else allowed] if allowed else []
    more += [c.unit] if c.unit else []
    more += [f"an id of {c.references.replace('|', ' or ')}"] if c.references else []
    return ", ".join([text, *more]).replace("|", "\\|")

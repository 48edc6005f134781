"""The same resource in several forms: JSON, CSV and GeoJSON as documents, and where the others of a page stand."""

import json
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import pandas as pd

from atlas.export_csv import csv_text
from atlas.web_answers import Document

JSON_TYPE = "application/json"
GEOJSON_TYPE = "application/geo+json"
CSV_TYPE = "text/csv; charset=utf-8"
TOML_TYPE = "application/toml"
# The forms of a layer that are files for GIS programs, by the ending of their address.
FILE_TYPES = {
    "gpkg": "application/geopackage+sqlite3",
    "fgb": "application/flatgeobuf",
    "parquet": "application/vnd.apache.parquet",
}
ZIP_TYPE = "application/zip"

DOWNLOADS = ("gpkg", "geojson", "fgb", "parquet", "csv")  # all forms of a layer of a map, as pages list them

# The path of a page -> the same as JSON, CSV and GeoJSON ("" where a form would say nothing), and the parameters of the
# page that they know. `*` stands for an id.
HALT_PARAMETERS = ("halt", "scenario", "bloc", "on", "open", "buyer")
ALTERNATES: tuple[tuple[str, tuple[str, str, str], Sequence[str]], ...] = (
    ("/map", ("/api/solve", "/api/solve.csv", "/api/layers/changes.geojson"), HALT_PARAMETERS),
    ("/chokepoints", ("/api/chokepoints", "/api/chokepoints.csv", "/api/chokepoints.geojson"),
     ("bloc", "element", "commodity", "size", "among", "top", "cut")),
    ("/buyer", ("/api/buyer", "/api/buyer.csv", ""), ("buyer", "bloc")),
    ("/frontier", ("/api/frontier", "/api/frontier.csv", ""),
     ("bloc", "element", "halt", "trusted", "since", "points")),
    ("/worth", ("/api/worth", "/api/worth.csv", ""), ("bloc", "halt", "stage", "top")),
    ("/fixes", ("/api/fixes", "/api/fixes.csv", ""), ("halt", "bloc", "by", "budget", "all")),
    ("/concentration", ("/api/concentration", "/api/concentration.csv", ""), ("element", "halt")),
    ("/validate", ("/api/validate", "/api/validate.csv", ""), ()),
    ("/route", ("/api/route", "/api/route.csv", "/api/route.geojson"),
     ("from", "to", "close", "open", "surcharge", "modes", "commodity", "alternatives")),
    ("/compare", ("/api/compare", "/api/compare.csv", ""), ("case", "bloc", "on")),
    ("/trace/*", ("/api/trace/*", "/api/trace/*.csv", "/api/trace/*.geojson"),
     ("element", "halt", "scenario", "bloc", "direction", "origin", "threshold")),
    ("/facilities", ("/api/facilities", "/api/facilities.csv", "/api/facilities.geojson"),
     ("stage", "status", "element", "confidence", "country", "bloc", "operator", "text")),
    *((f"/{kind}/*", (f"/api/{kind}/*", "", ""), HALT_PARAMETERS)
      for kind in ("facility", "operator", "country", "port", "passage")),
    ("/data", ("/api/layers", "", ""), ()),
)  # fmt: skip


def json_document(value: Any) -> Document:
    """Return plain values as JSON; a number that is not finite raises ValueError."""
    return Document.of(json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":")), JSON_TYPE)


def csv_document(table: pd.DataFrame, name: str, columns: Sequence[str] = ()) -> Document:
    """Return a table as CSV that a browser keeps as NAME.csv."""
    return Document.of(csv_text(table, columns), CSV_TYPE, (attached(f"{name}.csv"),))


def attached(name: str) -> tuple[str, str]:
    """Return the header that names a download; whatever is no plain character of a file name becomes a hyphen."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "download"
    return "Content-Disposition", f'attachment; filename="{plain}"'


def alternates(path: str, query: str) -> list[tuple[str, str]]:
    """Return (address, content type) of the other forms of a page, asked for with what the page was asked."""
    for page, forms, known in ALTERNATES:
        start = page.removesuffix("*")
        place = path[len(start) :] if page != start and path.startswith(start) else ""
        if path != page and (not place or "/" in place):
            continue
        asked = urlencode([(k, v) for k, v in parse_qsl(query) if k in known], safe=":,/@")
        types = (JSON_TYPE, CSV_TYPE.partition(";")[0], GEOJSON_TYPE)
        tail = f"?{asked}" if asked else ""
        return [
            (f.replace("*", quote(place, safe="")) + tail, kind) for f, kind in zip(forms, types, strict=True) if f
        ]
    return []

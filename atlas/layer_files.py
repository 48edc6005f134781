"""Reading layer files: CSV, GeoJSON, any GDAL source or PostGIS; overlay by id; the digest of what was read."""

import csv
import hashlib
import json
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from atlas.chain import CHAIN_FILE, Chain, read_chain, shipped_chain
from atlas.config import data_dir
from atlas.errors import BadInput, nearest
from atlas.schema import Finding, Schema, check_columns, is_sorted, read_schema, schema_of

MODES = ("overlay", "replace")
# Never replaced whole: shipped rows that stay refer to sources and countries, and the code needs every constant.
ALWAYS_OVERLAID = ("sources", "countries", "parameters", "transport")
OTHER_FILES = ("README.md", "settings.toml", CHAIN_FILE, "examples", "schema.csv", "scenarios", "network")
DATABASE_PREFIXES = ("postgresql://", "postgres://")
DATABASE_TIMEOUT_S = 10


@dataclass
class RawLayers:
    """Layers as text, before any check of their cells."""

    schema: Schema
    tables: dict[str, pd.DataFrame]
    findings: list[Finding]
    directories: tuple[Path, ...]
    scenarios: dict[str, Path]
    digest: str = ""
    parts: list[bytes] = field(default_factory=list)
    chain: Chain = field(default_factory=shipped_chain)

    def add_to_digest(self, name: str, content: bytes) -> None:
        """Take one input into the digest."""
        self.parts.append(name.encode() + b"\0" + hashlib.sha256(content).digest())


def read_raw(address: str | Path | None) -> RawLayers:
    """Return the shipped layers, overlaid or replaced by what stands at `address`.

    `address` is a directory of layer files, a file that GDAL reads or a PostGIS address. Raises BadInput where there
    is nothing to read; what is wrong inside the files becomes findings.
    """
    base = data_dir("layers")
    raw = RawLayers(read_schema(base / "schema.csv"), {}, [], (base,), {})
    raw.add_to_digest("schema.csv", (base / "schema.csv").read_bytes())
    for layer in raw.schema.layers:
        path = layer_path(base, layer, raw.schema)
        if path is None:
            raw.findings.append(Finding(layer, "", "", f"file {layer}.csv is missing"))
            raw.tables[layer] = _empty(layer, raw.schema)
        else:
            raw.tables[layer] = _read_file(path, layer, raw, must_be_sorted=True)
    raw.add_to_digest(CHAIN_FILE, (base / CHAIN_FILE).read_bytes())
    _add_directories(base, raw)
    if address is not None and str(address).strip():
        _overlay(str(address).strip(), raw)
    raw.digest = hashlib.sha256(b"".join(sorted(raw.parts))).hexdigest()
    return raw


def layer_path(directory: Path, layer: str, schema: Schema) -> Path | None:
    """Return the file of a layer in a directory, None where there is none."""
    path = directory / (f"{layer}.geojson" if schema.is_spatial(layer) else f"{layer}.csv")
    return path if path.is_file() else None


def _overlay(address: str, raw: RawLayers) -> None:
    """Lay what stands at the address over the raw layers, by id."""
    if address.startswith(DATABASE_PREFIXES) or Path(address).is_file():
        for layer, table in _read_tables(address, raw).items():
            raw.add_to_digest(f"table {layer}", table.to_csv().encode())
            raw.tables[layer] = _merged(raw.tables[layer], table, layer, raw)
        return
    directory = Path(address)
    if not directory.is_dir():
        raise BadInput(f"no layers at {address[:200]!r}: it is neither a directory, a file nor a PostGIS address")
    mode = mode_of(directory)
    if (directory / CHAIN_FILE).is_file():
        _take_chain(directory / CHAIN_FILE, mode, raw)
    for entry in sorted(directory.iterdir()):
        stem = entry.name.rpartition(".")[0]
        fits = stem in raw.schema.layers and layer_path(directory, stem, raw.schema) == entry
        if not fits and entry.name not in OTHER_FILES and not entry.name.startswith((".", "LICENSE", "NOTICE")):
            names = [p.name for p in (data_dir("layers")).iterdir()]
            near = ", ".join(nearest(entry.name, names)) or ", ".join(sorted(names))
            raw.findings.append(Finding(entry.name, "", "", f"no layer has this file name; nearest: {near}"))
    own = directory / "schema.csv"
    if own.is_file() and own.read_bytes() != (data_dir("layers") / "schema.csv").read_bytes():
        raw.findings.append(Finding("schema.csv", "", "", "differs from the shipped schema, which always holds"))
    for layer in raw.schema.layers:
        path = layer_path(directory, layer, raw.schema)
        if path is None:
            continue
        whole = mode == "replace" and layer not in ALWAYS_OVERLAID
        table = _read_file(path, layer, raw, must_be_sorted=False, partial=not whole)
        raw.tables[layer] = table if whole else _merged(raw.tables[layer], table, layer, raw)
    _add_directories(directory, raw)
    raw.directories = (directory, *raw.directories)


def _take_chain(path: Path, mode: str, raw: RawLayers) -> None:
    """Take another commodity: its columns into the schema, and every layer that speaks of the shipped one empty."""
    if read_chain(path) == raw.chain:
        return  # a copy of the shipped one changes nothing
    if mode != "replace":
        raise BadInput(f'{path}: stands in place of the shipped chain, so settings.toml needs mode = "replace"')
    raw.chain = read_chain(path)
    raw.add_to_digest(CHAIN_FILE, path.read_bytes())
    raw.schema = schema_of(raw.schema, shipped_chain(), raw.chain)
    for layer in raw.schema.layers:
        if layer not in (*ALWAYS_OVERLAID, "ports", "passages", "blocs"):
            raw.tables[layer] = _empty(layer, raw.schema)
    raw.scenarios.clear()


def mode_of(directory: Path) -> str:
    """Return what `settings.toml` says about overlaying, `overlay` without one."""
    path = directory / "settings.toml"
    if not path.is_file():
        return "overlay"
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise BadInput(f"{path}: {error}") from None
    problems = [
        f"{path}: unknown setting {name!r}; expected mode" for name in settings if name not in ("mode", "name", "note")
    ]
    mode = settings.get("mode", "overlay")
    if mode not in MODES:
        problems.append(f"{path}: mode is {mode!r}; expected overlay or replace")
    if problems:
        raise BadInput(problems)
    return str(mode)


def _merged(shipped: pd.DataFrame, over: pd.DataFrame, layer: str, raw: RawLayers) -> pd.DataFrame:
    """Return the shipped rows with those of `over` put in by id; a column `over` lacks keeps the shipped value."""
    key = raw.schema.key(layer)
    if key not in over.columns or over.empty:
        return shipped
    if over[key].duplicated().any():  # keep them all, so that the check names them
        return pd.concat([shipped[~shipped[key].isin(over[key])], over], ignore_index=True).fillna("")
    old, new = shipped.drop_duplicates(key).set_index(key), over.set_index(key)
    both = new.reindex(columns=old.columns.union(new.columns, sort=False))
    for column in old.columns.difference(new.columns):
        both[column] = old[column].reindex(both.index)
        if column != "geometry":
            both[column] = both[column].fillna("")
    table = pd.concat([old[~old.index.isin(new.index)].astype(object), both.astype(object)])
    return table.sort_index().reset_index(names=key)


def _empty(layer: str, schema: Schema) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype=object) for name in schema.of(layer)})


def _read_file(
    path: Path, layer: str, raw: RawLayers, *, must_be_sorted: bool, partial: bool = False
) -> pd.DataFrame:
    """Return one layer file as text; what is wrong with its form becomes findings."""
    def report(row: str, problem: str) -> None:
        raw.findings.append(Finding(layer, row, "", problem))

    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        report("", f"{path.name} cannot be read as UTF-8: {error}")
        return _empty(layer, raw.schema)
    raw.add_to_digest(f"{path.name}", content)
    table = _read_geojson(text, report) if path.suffix == ".geojson" else _read_csv(text, report)
    if table is None:
        return _empty(layer, raw.schema)
    raw.findings += check_columns(layer, table.columns, raw.schema, partial)
    known = [c for c in dict.fromkeys(table.columns) if c in raw.schema.of(layer) or c == "geometry"]
    table = table.loc[:, ~table.columns.duplicated()][known]
    key = raw.schema.key(layer)
    if key not in table.columns:
        return _empty(layer, raw.schema)
    late = is_sorted(table[key]) if must_be_sorted else ""
    if late:
        report(late[:80], f"rows are not sorted by {key}: {late[:80]!r} stands too late")
    return table


def _read_csv(text: str, report: Callable[[str, str], None]) -> pd.DataFrame | None:
    try:
        rows = list(csv.reader(text.splitlines(keepends=True), strict=True))
    except csv.Error as error:
        report("", f"is not CSV: {error}")
        return None
    if not rows or not any(rows[0]):
        report("", "has no header line")
        return None
    header = [name.strip() for name in rows[0]]
    body: list[list[str]] = []
    for n, row in enumerate(rows[1:], start=2):
        if not row:
            continue
        if len(row) != len(header):
            report(row[0][:80] or f"line {n}", f"line {n} has {len(row)} cells; expected {len(header)}")
            row = (row + [""] * len(header))[: len(header)]
        body.append(row)
    return pd.DataFrame(np.array(body, dtype=object).reshape(len(body), len(header)), columns=header, dtype=object)


def _read_geojson(text: str, report: Callable[[str, str], None]) -> pd.DataFrame | None:
    def refuse(word: str) -> float:
        raise ValueError(f"{word} is not a number of GeoJSON")

    try:
        features = json.loads(text, parse_constant=refuse)["features"]
        rows = [{str(k): _cell(v) for k, v in f["properties"].items()} for f in features]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        report("", f"is not a GeoJSON feature collection: {str(error)[:200]}")
        return None
    try:
        shapes: list[object] = list(shapely.from_geojson(text).geoms)  # the whole file at once, many times faster
    except (shapely.errors.GEOSException, AttributeError):
        shapes = []
    if len(shapes) != len(features):
        shapes = [_shape(feature, rows[n], n, report) for n, feature in enumerate(features)]
    table = pd.DataFrame(rows, dtype=object).fillna("")
    table["geometry"] = pd.Series(shapes, dtype=object)
    return table


def _shape(feature: dict, row: dict[str, str], n: int, report: Callable[[str, str], None]) -> object:
    """Return the geometry of one feature, None and a finding where it cannot be read."""
    try:
        return shapely.from_geojson(json.dumps(feature["geometry"]))
    except (shapely.errors.GEOSException, KeyError, TypeError, ValueError) as error:
        label = str(feature.get("id") or next(iter(row.values()), "") or f"feature {n + 1}")[:80]
        report(label, f"geometry cannot be read: {str(error)[:200]}")
        return None


def _cell(value: object) -> str:
    """Return one value of a GeoJSON or GDAL attribute as the text a CSV would hold."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    if isinstance(value, list | tuple | np.ndarray):
        return ";".join(str(v) for v in value)
    return str(value)


def _read_tables(address: str, raw: RawLayers) -> dict[str, pd.DataFrame]:
    """Return the layers of a GDAL source or a database as text, with findings about their columns."""
    frames = _read_database(address, raw) if address.startswith(DATABASE_PREFIXES) else _read_gdal(address, raw)
    tables = {}
    for layer, frame in frames.items():
        table = _as_text(frame, layer, raw.schema)
        raw.findings += check_columns(layer, table.columns, raw.schema, partial=True)
        tables[layer] = table[[c for c in table.columns if c in raw.schema.of(layer) or c == "geometry"]]
    return tables


def _read_gdal(address: str, raw: RawLayers) -> dict[str, pd.DataFrame]:
    """Return the tables of a GDAL source that are named like a layer, or its only one as facilities."""
    import pyogrio

    try:
        names = [str(row[0]) for row in pyogrio.list_layers(address)]
        chosen = {n: n for n in names if n in raw.schema.layers}
        if not chosen and len(names) == 1:
            chosen = {names[0]: "facilities"}
        if not chosen:
            held, known = ", ".join(names)[:300], ", ".join(raw.schema.layers)
            raise BadInput(f"{address[:200]!r} holds {held}; expected a table named like one of {known}")
        return {layer: gpd.read_file(address, layer=name) for name, layer in chosen.items()}
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, OSError) as error:
        raise BadInput(f"{address[:200]!r} cannot be read: {str(error)[:300]}") from None


def _read_database(address: str, raw: RawLayers) -> dict[str, pd.DataFrame]:
    """Return the tables and views of a PostgreSQL database that are named like a layer, PostGIS geometry included."""
    try:
        import psycopg  # noqa: F401  # the driver that SQLAlchemy loads by name
        import sqlalchemy as sa
    except ImportError:
        raise BadInput("reading layers from PostGIS needs two more packages: pip install sqlalchemy psycopg") from None
    frames: dict[str, pd.DataFrame] = {}
    shown = "the database"  # never the address: it may hold a password
    try:
        url = sa.make_url(address).set(drivername="postgresql+psycopg")
        shown = url.render_as_string(hide_password=True)
        engine = sa.create_engine(url, connect_args={"connect_timeout": DATABASE_TIMEOUT_S}, poolclass=sa.NullPool)
        with engine.connect() as connection:
            columns = connection.execute(sa.text(
                "select table_name, column_name, udt_name from information_schema.columns "
                "where table_schema = any(current_schemas(false)) order by 1, ordinal_position")).fetchall()
            for layer in (name for name in raw.schema.layers if any(c[0] == name for c in columns)):
                query = sa.text(f'select * from "{layer}"')  # noqa: S608  # a name of the schema, never the user's text
                shape = [c[1] for c in columns if c[0] == layer and c[2] == "geometry"]
                if shape:
                    frame = gpd.read_postgis(query, connection, geom_col=shape[0]).rename_geometry("geometry")
                else:
                    frame = pd.read_sql(query, connection)
                frames[layer] = frame
    except (sa.exc.SQLAlchemyError, ValueError) as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0][:300]
        raise BadInput(f"{shown} cannot be read: {reason}") from None
    if not frames:
        raise BadInput(f"{shown} holds no table named like one of {', '.join(raw.schema.layers)}")
    return frames


def _as_text(frame: pd.DataFrame, layer: str, schema: Schema) -> pd.DataFrame:
    """Return a table read by GDAL as text cells, points as lon and lat to 5 decimals where the layer has these."""
    table = pd.DataFrame({c: [_cell(v) for v in frame[c]] for c in frame.columns if c != "geometry"}, dtype=object)
    table = table.drop(columns=[c for c in ("fid", "ogc_fid") if c in table.columns])
    if isinstance(frame, gpd.GeoDataFrame):
        shapes = frame.geometry if frame.crs is None else frame.geometry.to_crs("EPSG:4326")
        if schema.is_spatial(layer):
            table["geometry"] = shapes.to_numpy()
        elif "lon" in schema.of(layer):
            table["lon"] = [f"{g.x:.5f}" if g is not None and g.geom_type == "Point" else "" for g in shapes]
            table["lat"] = [f"{g.y:.5f}" if g is not None and g.geom_type == "Point" else "" for g in shapes]
    return table


def _add_directories(directory: Path, raw: RawLayers) -> None:
    """Take scenarios (those of an overlay over shipped ones of the same name), and the network into the digest."""
    for path in sorted(p for p in (directory / "network").glob("*") if p.is_file()):
        raw.add_to_digest(f"network/{path.name}", path.read_bytes())
    for path in sorted((directory / "scenarios").glob("*.toml")):
        raw.scenarios[path.stem] = path
        raw.add_to_digest(f"scenarios/{path.name}", path.read_bytes())

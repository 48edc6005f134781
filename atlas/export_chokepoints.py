"""Write what costs most to lose: singles as GeoJSON with a feature for each thing, or any ranking as CSV."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import geopandas as gpd
import numpy as np
from numpy.typing import NDArray
from shapely.geometry import MultiPoint
from shapely.geometry.base import BaseGeometry

from atlas import geo
from atlas.candidates import KINDS, Candidate
from atlas.chokepoints import WorstSets
from atlas.errors import BadInput, UnknownName, nearest
from atlas.export import ATTRIBUTION, LICENCE, write_table
from atlas.export_csv import csv_text
from atlas.export_files import write_file
from atlas.export_formats import wkt
from atlas.export_geojson import collection_text
from atlas.layers import Layers
from atlas.losses import Lens
from atlas.singles import Singles


def check_kinds(kinds: Sequence[str]) -> None:
    """Raise BadInput with every unknown kind."""
    problems = [UnknownName("kind", k, nearest(k, KINDS) or KINDS).problems[0] for k in kinds if k not in KINDS]
    if problems:
        raise BadInput(problems)


def chokepoints_table(found: Singles, look: Lens) -> gpd.GeoDataFrame:
    """Return singles as a table for GIS, what costs most first.

    Indexed by the ids of the candidates, the same for every bloc and element. Facilities and ports are points, passages
    their gate lines, borders the posts where land routes cross, countries and stages of a country a point inside it.
    """
    table = found.table(look)
    of = {c.id: c for c in found.candidates}
    posts = found.study.router.network.border_points()
    shapes = [shape(of[i], found.study.layers, posts) for i in table["id"]]
    rows = table.assign(rank=range(1, len(table) + 1), halts=[";".join(of[i].halts) for i in table["id"]])
    for c in rows.select_dtypes("float").columns:
        rows[c] = [float(f"{v:.6g}") for v in rows[c]]
    return gpd.GeoDataFrame(rows.set_index("id"), geometry=shapes, crs=geo.CRS)


def chokepoints_geojson(found: Singles, look: Lens) -> str:
    """Return singles as an RFC 7946 collection; see `chokepoints_table`."""
    return collection_text(chokepoints_table(found, look), chokepoints_about(look))


def chokepoints_about(look: Lens) -> dict[str, str]:
    """Return what an export of singles tells of itself: whose data, and through which lens."""
    return {
        "name": "chokepoints", "title": _title(look), "attribution": ATTRIBUTION, "licence": LICENCE,
        "bloc": look.bloc, "element": look.element, "commodity": look.commodity, "unit": look.unit,
    }  # fmt: skip


def _title(look: Lens) -> str:
    return f"What costs {look.bloc} most to lose: {look.unit}"


def shape(c: Candidate, layers: Layers, posts: Mapping[str, NDArray[np.float64]]) -> BaseGeometry | None:
    """Return where a candidate lies, `posts` are the crossings of borders; None where the layers do not say."""
    _, _, target = c.id.partition(":")
    if c.kind in ("facility", "port", "passage"):
        table = getattr(layers, {"facility": "facilities", "port": "ports", "passage": "passages"}[c.kind])
        found: BaseGeometry = table.geometry[target]
        return found
    if c.kind == "border":
        return MultiPoint(posts[target]) if target in posts else None
    if c.country in layers.countries.index:
        inside: BaseGeometry = layers.countries.geometry[c.country].representative_point()
        return inside
    return None


def singles_csv(found: Singles, look: Lens, places: bool = False) -> str:
    """Return singles as CSV: the columns of `Singles.table`, with rank and halts; with `places` also WKT."""
    halts = {c.id: ";".join(c.halts) for c in found.candidates}
    table = found.table(look)
    table.insert(0, "rank", range(1, len(table) + 1))
    table = table.assign(halts=[halts[i] for i in table["id"]])
    if places:
        table["WKT"] = [wkt(s) for s in chokepoints_table(found, look).geometry]
    return csv_text(table)


def sets_csv(found: WorstSets) -> str:
    """Return worst sets as CSV; members and names are semicolon lists."""
    table = found.table.assign(
        members=[";".join(m) for m in found.table["members"]], names=[";".join(m) for m in found.table["names"]]
    )
    table.insert(0, "rank", range(1, len(table) + 1))
    return csv_text(table)


def write_singles(found: Singles, look: Lens, path: Path) -> None:
    """Write singles to a file of one of `export.SUFFIXES`, whole or not at all.

    A CSV is the ranking as a spreadsheet has it, with the places as WKT.
    """
    if path.suffix.lower() == ".csv":
        _write(singles_csv(found, look, places=True), path)
        return
    write_table(path, chokepoints_table(found, look), "chokepoints", chokepoints_about(look), found.study.layers)


def write_sets(found: WorstSets, path: Path) -> None:
    """Write worst sets to .csv, whole or not at all."""
    _write(sets_csv(found), path)


def _write(text: str, path: Path) -> None:
    def write(fresh: Path) -> None:
        fresh.write_text(text, encoding="utf-8", newline="\n")

    write_file(path, write)

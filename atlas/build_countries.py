"""Make `layers/countries.geojson` and the fine country polygons that tag the land network (build only).

Source: Natural Earth (public domain) by way of the npm package `world-atlas`, which holds it as TopoJSON.
"""

from __future__ import annotations

import json
import subprocess
import tarfile
import tempfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import pycountry
import shapely
from shapely.geometry import Polygon, mapping
from shapely.geometry.base import BaseGeometry

from atlas import geo

WORLD_ATLAS = "world-atlas@2.0.2"
# Natural Earth draws these without an ISO number; the code is the one this atlas files them under.
UNNUMBERED = {"Kosovo": "XKX", "Somaliland": "SOM", "N. Cyprus": "CYP", "Indian Ocean Ter.": "AUS"}
FULL_NAMES = {"USA": "United States", "COD": "DR Congo", "MKD": "North Macedonia", "VIR": "US Virgin Islands",
              "SSD": "South Sudan", "ESH": "Western Sahara", "FLK": "Falkland Islands",
              "SPM": "Saint Pierre and Miquelon"}


def fetch_world_atlas(directory: Path) -> Path:
    """Fetch the pinned world-atlas package with npm into `directory` and return its folder."""
    target = directory / "package"
    if not (target / "countries-10m.json").exists():
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as scratch:
            subprocess.run(["npm", "pack", "--silent", WORLD_ATLAS], cwd=scratch, check=True, capture_output=True)
            with tarfile.open(next(Path(scratch).glob("*.tgz"))) as archive:
                archive.extractall(directory, filter="data")
    return target


def _rings(topology: dict) -> list[np.ndarray]:
    scale, shift = np.array(topology["transform"]["scale"]), np.array(topology["transform"]["translate"])
    return [np.cumsum(np.array(arc), axis=0) * scale + shift for arc in topology["arcs"]]


def _ring(indices: list[int], arcs: list[np.ndarray]) -> np.ndarray:
    parts = [arcs[i] if i >= 0 else arcs[~i][::-1] for i in indices]
    return np.vstack([parts[0], *[part[1:] for part in parts[1:]]])


def _polygons(geometry: dict, arcs: list[np.ndarray]) -> list[Polygon]:
    shapes = [geometry["arcs"]] if geometry["type"] == "Polygon" else geometry.get("arcs", [])
    found: list[Polygon] = []
    for shape in shapes:
        rings = [_unwrapped(ring) for ring in (_ring(r, arcs) for r in shape) if len(ring) >= 4]
        if rings:
            whole = shapely.make_valid(Polygon(rings[0], rings[1:]))
            cut = geo.split_antimeridian(shapely.MultiPolygon(_areas(whole)))
            found += [part for part in _areas(cut) if part.area > 0]
    return found


def _areas(shape: BaseGeometry) -> list[Polygon]:
    """Return the polygons of a geometry, whatever else it holds."""
    parts = [part for member in shapely.get_parts(shape) for part in shapely.get_parts(member)]
    return [part for part in parts if part.geom_type == "Polygon"]


def _unwrapped(ring: np.ndarray) -> np.ndarray:
    """Return a ring with continuous longitudes; one that goes round the pole (Antarctica) is closed over it.

    The package joins rings across the antimeridian, as on a sphere.
    """
    line = geo.unwrap(ring)
    turn = line[-1, 0] - line[0, 0]
    if abs(turn) < 180.0:
        return line
    pole = np.array([[line[-1, 0], -90.0], [line[0, 0], -90.0], line[0]])
    return np.vstack([line, pole])


def iso3_of(numeric: str | None, name: str) -> str | None:
    """Return the ISO 3166-1 alpha-3 code for a Natural Earth unit, or None where it has none."""
    if numeric is not None:
        country = pycountry.countries.get(numeric=f"{int(numeric):03d}")
        if country is not None:
            return country.alpha_3
    return UNNUMBERED.get(name)


def _full_name(code: str, name: str) -> str:
    country = pycountry.countries.get(alpha_3=code)
    return FULL_NAMES.get(code, country.name if "." in name and country is not None else name)


def read_countries(path: Path) -> gpd.GeoDataFrame:
    """Read a world-atlas TopoJSON file into one row per country (index iso3; columns name, geometry; EPSG:4326)."""
    topology = json.loads(path.read_text(encoding="utf-8"))
    arcs = _rings(topology)
    parts: dict[str, list[Polygon]] = {}
    names: dict[str, tuple[float, str]] = {}
    for geometry in topology["objects"]["countries"]["geometries"]:
        name = geometry["properties"]["name"]
        code = iso3_of(geometry.get("id"), name)
        if code is None:
            continue
        polygons = _polygons(geometry, arcs)
        parts.setdefault(code, []).extend(polygons)
        area = sum(polygon.area for polygon in polygons)
        if (name not in UNNUMBERED or code == "XKX") and not names.get(code, (-1.0, ""))[0] >= area:
            names[code] = (area, _full_name(code, name))
    codes = sorted(parts)
    shapes = [shapely.MultiPolygon(_areas(shapely.union_all(parts[code]))) for code in codes]
    frame = gpd.GeoDataFrame({"iso3": codes, "name": [names[code][1] for code in codes]}, geometry=shapes, crs=4326)
    return frame.set_index("iso3")


def write_countries(source: Path, target: Path, tolerance_deg: float = 0.035, decimals: int = 3) -> None:
    """Write the shipped country layer: 1:50m polygons, borders simplified once for both sides, right-hand rings."""
    frame = read_countries(source)
    shapes = shapely.coverage_simplify(frame.geometry.to_numpy(), tolerance_deg)
    shapes = shapely.set_precision(shapes, 10.0**-decimals)
    shapes = shapely.orient_polygons(shapes)
    lines = []
    for code, name, shape in zip(frame.index, frame["name"], shapes, strict=True):
        geometry = mapping(shape)
        text = json.dumps(_rounded(geometry, decimals), separators=(",", ":"))
        properties = {"iso3": code, "name": name, "source_id": "natural-earth", "confidence": "A"}
        feature = {"type": "Feature", "id": code, "properties": properties}
        head = json.dumps(feature, ensure_ascii=False, separators=(",", ":"))
        lines.append(f'{head[:-1]},"geometry":{text}}}')
    body = ",\n".join(lines)
    target.write_text(f'{{"type":"FeatureCollection","features":[\n{body}\n]}}\n', encoding="utf-8")


def _rounded(geometry: dict, decimals: int) -> dict:
    def walk(item: object) -> object:
        if isinstance(item, (tuple, list)):
            return [walk(part) for part in item]
        return round(float(item), decimals)  # type: ignore[arg-type]

    return {"type": geometry["type"], "coordinates": walk(geometry["coordinates"])}

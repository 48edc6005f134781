"""Make the local roads and rails of a facility with OSMnx: fetch or read, cut, join to the trunk network, keep.

This module loads OSMnx; whoever only wants what it made reads `local_access`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import shutil
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax import SAXException

import networkx as nx
import numpy as np
import osmnx as ox
import pandas as pd
import shapely
from shapely.geometry import LineString, MultiPolygon, Point, Polygon

from atlas import geo, local_access
from atlas.config import Settings
from atlas.errors import BadInput, NoAnswer, UnknownName, WriteFailure, nearest
from atlas.layers import Layers
from atlas.local_access import ATTRIBUTION, MODES, NO_ROADS, Access, ModeAccess
from atlas.local_exits import Ground, LocalGraph, densified, ends_of
from atlas.network import Network, load
from atlas.overpass import Say, endpoint, fetch, osmnx_set

# Roads that lorries of a mine use, tracks and unnamed ways included, and the railways that carry freight.
LINKED = ("motorway", "trunk", "primary", "secondary", "tertiary")
ROADS = (*LINKED, *(f"{name}_link" for name in LINKED), "unclassified", "residential", "living_street", "service",
         "track", "road")
THROUGH_ROADS = (*LINKED, *(f"{name}_link" for name in LINKED), "unclassified", "road")
RAILS = ("rail", "narrow_gauge")
LEAST_RADIUS_KM, DETOUR, MARGIN_KM = 10.0, 1.2, 5.0
FILE_FACTOR = 2.0  # of a file more is used, since it costs nobody anything
CORRIDOR_KM = 15.0  # half the width of the corridor to a port
TILE_KM, SPARSE_TILE_KM = 60.0, 100.0  # one request each; main roads and railways are fewer
EDGE_STEP_KM = 0.5  # between two points of a long edge where local ways may meet it
BORDER_TOLERANCE_DEG = 0.05  # outlines are generalised; deeper in another country a road is foreign


@dataclass(frozen=True)
class Asked:
    """One request of a user, checked: the facility's place, the port to reach, the area and where the ways are from."""

    facility: str
    lon: float
    lat: float
    country: str
    precision_km: float
    to: str
    radius_km: float | None  # None: far enough to hold the junction with the trunk network
    source: str
    osm: Path | None


@dataclass(frozen=True)
class Made:
    """Local roads that are kept now; whether they were before; km to the trunk network without them (nan if so)."""

    access: Access
    already: bool
    trunk_km: float


def make(
    layers: Layers, settings: Settings, facility: str, to: str | None = None, radius_km: float | None = None,
    osm: str | Path | None = None, refresh: bool = False, say: Say = lambda text: None,
) -> Made:
    """Make the local roads of a facility and keep them, unless those of the same request are there already.

    Everything kept before stays as it was unless all of it succeeds. Raises BadInput for a wrong id, port, radius, area
    or file, ServerTrouble when the server fails, NoAnswer when its ways do not join the facility to the trunk network.
    """
    place = local_access.folder(settings)
    if place is None:
        raise BadInput("the setting cache_dir is off, so there is nowhere to keep local roads")
    asked = ask(layers, settings, facility, to, radius_km, osm)
    kept = None if refresh else _kept(place, asked, layers)
    if kept is not None:
        return Made(kept, True, float("nan"))
    network = load(layers, NO_ROADS)
    region = area(asked, layers, network)
    if asked.osm is None:
        _check_size(asked, region, settings)
    temporary, staged = local_access.stage(place, asked.facility)
    with temporary:
        fresh = staged.directory / "answers"
        answers = fresh if refresh else _answers(place)
        graph = _read_file(asked.osm) if asked.osm else _fetched(region, settings, answers, say)
        say(f"{len(graph):,} points, {graph.number_of_edges():,} stretches")
        modes, saved = _joined(graph, asked, region.whole, layers, network, say)
        access = Access(
            facility=asked.facility, lon=asked.lon, lat=asked.lat, country=asked.country, source=asked.source,
            date=dt.datetime.now(tz=dt.UTC).date().isoformat(), to=asked.to, radius_km=region.radius_km, modes=modes,
        )
        saved.graph.update(facility=access.facility, source=access.source, date=access.date, attribution=ATTRIBUTION,
                           to=access.to, radius_km=access.radius_km)
        try:
            ox.save_graphml(saved, staged.graph)
        except OSError as error:
            raise WriteFailure(f"cannot write to {place}: {error.strerror or error}") from None
        staged.publish(access)
        _move_answers(fresh, _answers(place))
    return Made(access, False, network.places[asked.facility].snap_km)


def ask(
    layers: Layers, settings: Settings, facility: str, to: str | None = None, radius_km: float | None = None,
    osm: str | Path | None = None,
) -> Asked:
    """Check a request; raises BadInput with all that is wrong with it."""
    known = layers.facilities.index
    problems: list[str] = []
    if facility not in known:
        units = known[layers.facilities["site"] == facility]
        if not len(units):
            problems.append(str(UnknownName("facility", facility, nearest(facility, known))))
        facility = str(units[0]) if len(units) else facility
    port = (to or "").strip().upper()
    if port and port not in layers.ports.index:
        problems.append(str(UnknownName("port", to or "", nearest(port, layers.ports.index))))
    if radius_km is not None and not 0 < radius_km <= 2000:
        problems.append(f"--radius-km is {radius_km:g}; expected more than 0, up to 2000")
    path = Path(osm) if osm is not None else None
    if path is not None and not path.is_file():
        problems.append(f"there is no file {path}")
    elif path is not None and not path.name.endswith((".osm", ".osm.gz", ".osm.bz2", ".xml", ".xml.gz", ".xml.bz2")):
        problems.append(f"{path} is not OSM XML (.osm, .osm.gz, .osm.bz2); `osmium cat` makes it from other formats")
    if problems:
        raise BadInput(problems)
    row = layers.facilities.loc[facility]
    if not np.isfinite(row["lon"]):
        raise BadInput(f"{facility} has no coordinates")
    lon, lat, country = float(row["lon"]), float(row["lat"]), str(row["country"])
    if port and str(layers.ports.at[port, "country"]) != country:
        home = [str(p) for p in layers.ports.index[layers.ports["country"] == country]]
        raise BadInput(f"{port} is not in {country}, where {facility} is: local roads end at the border, which the "
                       f"trunk network crosses" + (f"; ports there: {', '.join(home[:5])}" if home else ""))
    source = f"Overpass {endpoint(settings)}" if path is None else f"file {path.name} sha256 {_hash(path)}"
    precision = float(row["coord_precision_km"]) if np.isfinite(row["coord_precision_km"]) else 0.0
    return Asked(facility, lon, lat, country, precision, port, radius_km, source, path)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _kept(place: Path, asked: Asked, layers: Layers) -> Access | None:
    """Return what is kept if it answers the same request."""
    path = local_access.access_path(place, asked.facility)
    if not path.exists() or not local_access.graph_path(place, asked.facility).exists():
        return None
    try:
        kept = local_access.read(path)
    except BadInput:
        return None
    same = (kept.to, kept.source) == (asked.to, asked.source) and local_access.fits(kept, layers)
    return kept if same and asked.radius_km in (None, kept.radius_km) else None


def _answers(place: Path) -> Path:
    return place.parent / "overpass"


def _move_answers(fresh: Path, answers: Path) -> None:
    """Put answers asked for anew in the place of the old ones; only ever a saving, so a failure is passed over."""
    try:
        for path in fresh.glob("*.json"):
            answers.mkdir(parents=True, exist_ok=True)
            shutil.move(path, answers / path.name)
    except OSError:
        return


@dataclass(frozen=True)
class Region:
    """The area of a request and the part of it near the facility, polygons in lon, lat; radius, or half the width.

    `crs` is the projection, in metres, in which it was made.
    """

    whole: Polygon
    near: Polygon
    radius_km: float
    corridor: bool
    crs: Any


def area(asked: Asked, layers: Layers, network: Network) -> Region:
    """Return the area of a request; raises BadInput for a corridor that crosses the antimeridian."""
    radius_km = asked.radius_km or _usual_radius_km(asked, network)
    here = Point(asked.lon, asked.lat)
    if not asked.to:
        near, crs = _buffered(here, radius_km, None)
        return Region(near, near, radius_km, False, crs)
    lon, lat = (float(layers.ports.at[asked.to, column]) for column in ("lon", "lat"))
    if abs(lon - asked.lon) > 180.0:
        raise BadInput(f"the corridor from {asked.facility} to {asked.to} would cross the antimeridian")
    whole, crs = _buffered(LineString([here, Point(lon, lat)]), radius_km, None)
    return Region(whole, _buffered(here, radius_km, crs)[0], radius_km, True, crs)


def _usual_radius_km(asked: Asked, network: Network) -> float:
    """Return a radius that holds the nearest junction with the trunk network; half the width of a corridor."""
    if asked.to:
        return CORRIDOR_KM
    xy = np.vstack([network.land[mode].usable(asked.country, network.land_nodes[mode][1]) for mode in MODES])
    away = float(geo.geodesic_km(asked.lon, asked.lat, xy[:, 0], xy[:, 1]).min()) if len(xy) else 0.0
    radius_km = max(LEAST_RADIUS_KM, DETOUR * away + MARGIN_KM) * (1 if asked.osm is None else FILE_FACTOR)
    return round(radius_km, 1)


def _buffered(shape: Point | LineString, km: float, crs: Any) -> tuple[Polygon, Any]:
    """Return a shape made wider, and the projection used: `crs`, by default that of the shape's UTM zone."""
    projected, crs = ox.projection.project_geometry(shapely.segmentize(shape, 0.5), to_crs=crs)
    polygon, _ = ox.projection.project_geometry(projected.buffer(km * 1000.0), crs=crs, to_latlong=True)
    return polygon, crs


def _check_size(asked: Asked, region: Region, settings: Settings) -> None:
    """Raise BadInput for an area that is more than one asks a public server for."""
    km2 = ox.projection.project_geometry(region.whole, to_crs=region.crs)[0].area / 1e6
    if km2 <= settings.roads_max_km2:
        return
    which = f"the corridor from {asked.facility} to {asked.to}" if asked.to else f"the area around {asked.facility}"
    raise BadInput(f"{which} has {km2:,.0f} km2 (--radius-km {region.radius_km:g}), more than the "
                   f"{settings.roads_max_km2:,.0f} that a server is asked for (ATLAS_ROADS_MAX_KM2); give "
                   f"{'' if asked.to else '--to PORT, '}a smaller --radius-km, or a file of the region (--osm FILE)")


def _fetched(region: Region, settings: Settings, answers: Path, say: Say) -> nx.MultiDiGraph:
    """Ask the server for the ways of the area: all of them near the facility, main roads and rails along a corridor."""
    parts = [(region.near, "highway", ROADS, TILE_KM), (region.whole, "railway", RAILS, SPARSE_TILE_KM)]
    if region.corridor:
        parts.append((region.whole, "highway", THROUGH_ROADS, SPARSE_TILE_KM))
    areas = [(tile, f'["{key}"~"^({"|".join(values)})$"]') for polygon, key, values, size_km in parts
             for tile in _tiles(polygon, region.crs, size_km)]
    graph = fetch(areas, settings, answers, say)
    if graph is None:
        raise NoAnswer(f"the server has no roads or rails in the area (--radius-km {region.radius_km:g})")
    return graph


def _tiles(polygon: Polygon, crs: Any, size_km: float) -> list[Polygon]:
    """Cut an area into rectangles of equal size, none wider than `size_km`."""
    projected, _ = ox.projection.project_geometry(polygon, to_crs=crs)
    west, south, east, north = projected.bounds
    columns, rows = (max(int(np.ceil(width / 1000.0 / size_km)), 1) for width in (east - west, north - south))
    x, y = np.linspace(west, east, columns + 1), np.linspace(south, north, rows + 1)
    cells = [shapely.box(x[i], y[j], x[i + 1], y[j + 1]) for i in range(columns) for j in range(rows)]
    cut = [projected.intersection(cell) for cell in cells]
    return [ox.projection.project_geometry(piece, crs=crs, to_latlong=True)[0] for piece in cut
            if isinstance(piece, Polygon | MultiPolygon) and piece.area > 0]


def _read_file(path: Path) -> nx.MultiDiGraph:
    """Read the ways of an OSM XML file; raises BadInput when it cannot be read."""
    try:
        with osmnx_set(Settings(), None), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a file that OSMnx wrote reads well enough
            return ox.graph_from_xml(path, simplify=False, retain_all=True)
    except ox._errors.InsufficientResponseError:
        raise NoAnswer(f"{path} holds no ways") from None
    except (SAXException, SyntaxError, OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise BadInput(f"{path} cannot be read as OSM XML with complete ways ({text})") from None


def _joined(
    graph: nx.MultiDiGraph, asked: Asked, whole: Polygon, layers: Layers, network: Network, say: Say
) -> tuple[dict[str, ModeAccess], nx.MultiDiGraph]:
    """Cut the graph, split it by mode and join each part to the place and the trunk network.

    Returns what was found by mode, and the simplified graph of all modes. Raises NoAnswer if no mode joins them.
    """
    trunk, between = {}, {}
    for mode in MODES:
        land, known = network.land[mode], network.land_nodes[mode][1]
        trunk[mode] = _inside(land.usable(asked.country, known), whole)
        between[mode] = _inside(land.between(asked.country, known, EDGE_STEP_KM), whole)
    port = None
    if asked.to:
        port = (asked.to, float(layers.ports.at[asked.to, "lon"]), float(layers.ports.at[asked.to, "lat"]))
    found: dict[str, ModeAccess] = {}
    parts, problems = [], []
    for mode, tag, values in (("road", "highway", ROADS), ("rail", "railway", RAILS)):
        part = _of_mode(graph, tag, values, mode)
        part = _at_home(part, asked.country, whole, layers)
        if not part.number_of_edges():
            problems.append(f"no {mode}s" if mode == "road" else "no railways")
            continue
        part = densified(part)
        local = LocalGraph.of(part, mode)
        railheads = trunk["rail"] if mode == "road" else np.empty((0, 2))
        joined = ends_of(local, Ground(asked.lon, asked.lat, asked.precision_km, trunk[mode], between[mode],
                                     railheads, port))
        marked: Sequence[int] = ()
        if isinstance(joined, str):
            problems.append(joined)
        else:
            found[mode], marked = joined
            say(f"{mode}: {found[mode].snap_km:.2f} km away, {len(found[mode].exits)} ways out")
        nx.set_node_attributes(part, dict.fromkeys(marked, "yes"), "atlas_end")
        parts.append(ox.simplify_graph(part, node_attrs_include=["atlas_end"]))
    if asked.to and not any(e.kind == "port" for part in found.values() for e in part.exits):
        found = {}
        problems.append(f"no way to {asked.to}")
    if not any(e.kind != "railhead" for part in found.values() for e in part.exits):
        raise NoAnswer(f"the ways from {asked.source} do not join {asked.facility} to the trunk network: "
                       f"{'; '.join(problems)}; nothing was changed")
    saved = parts[0]
    for part in parts[1:]:
        saved.add_nodes_from(part.nodes(data=True))
        for u, v, data in part.edges(data=True):  # a road and a rail may join the same two points
            saved.add_edge(u, v, **data)
    return found, saved


def _of_mode(graph: nx.MultiDiGraph, tag: str, values: Sequence[str], mode: str) -> nx.MultiDiGraph:
    edges = [key for *key, value in graph.edges(keys=True, data=tag) if value in values]
    part = graph.edge_subgraph([tuple(key) for key in edges]).copy()
    nx.set_edge_attributes(part, mode, "mode")
    return part


def _at_home(part: nx.MultiDiGraph, country: str, whole: Polygon, layers: Layers) -> nx.MultiDiGraph:
    """Cut a graph to the area, and off where it is well inside another country: borders are for the trunk network."""
    if not len(part):
        return part
    nodes = pd.DataFrame.from_dict(dict(part.nodes(data=True)), orient="index")
    points = shapely.points(nodes["x"], nodes["y"])
    inside = shapely.contains(whole, points)
    pad = shapely.box(*whole.bounds).buffer(1.0, join_style="mitre")
    for code, outline in layers.countries.geometry.items():
        if code != country and outline.intersects(pad):
            foreign = shapely.clip_by_rect(outline, *pad.bounds).buffer(-BORDER_TOLERANCE_DEG)
            inside &= ~shapely.contains(foreign, points)
    return part.subgraph(nodes.index[inside]).copy()


def _inside(xy: np.ndarray, whole: Polygon) -> np.ndarray:
    return xy[shapely.contains_xy(whole, xy[:, 0], xy[:, 1])] if len(xy) else xy

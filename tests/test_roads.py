"""Local roads: fetched politely or read, joined to the trunk network, kept, used from then on; and nothing half done."""

from __future__ import annotations

import dataclasses
import datetime as dt
import gzip
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import osmnx as ox
import pytest
from click.testing import CliRunner, Result
from overpass_stand_in import Region, Server, serving, winding
from shapely.geometry import Point, shape

from atlas import cli, geo, local_access, memory, network
from atlas.config import settings
from atlas.errors import AtlasWarning, BadInput, UnknownName
from atlas.layers import open_layers
from atlas.overpass import slot_pause_s
from atlas.study import Study
from atlas.study import open as open_study

MINE = (122.547, -28.864)  # mt-weld
JUNCTION = (122.383, -28.586)  # the trunk graph's nearest node


def mine_region() -> Region:
    """A haul road from the mine to the highway, roads of the mine, and what must not be used."""
    region = Region()
    gate = (MINE[0] + 0.004, MINE[1] + 0.003)
    region.way(winding(gate, JUNCTION), highway="unclassified", surface="unpaved", name="Haul Road")
    region.way(winding(JUNCTION, (122.30, -28.50), 9), highway="trunk", name="Highway")
    for i in range(4):  # service roads of the mine
        region.way([gate, (gate[0] + 0.01, gate[1] + 0.004 * (i - 1)), (gate[0] + 0.02, gate[1] + 0.006 * i)], highway="service")
    region.way([(MINE[0] - 0.001, MINE[1]), (MINE[0] - 0.002, MINE[1] + 0.001)], highway="track")  # an island, nearer than the gate
    region.way([MINE, JUNCTION], highway="footway")
    region.way([MINE, JUNCTION], highway="proposed")
    return region


@pytest.fixture(autouse=True, scope="module")
def read_once() -> Iterator[None]:
    """Read the shipped layers and trunk network once for all commands of this file: they are not what is tested."""
    shipped = open_layers()
    trunk = network.load(shipped, local_access.NO_ROADS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("atlas.local_roads.load", lambda layers, local: trunk)
        patch.setattr("atlas.study.open_layers", lambda path=None: shipped if path is None else open_layers(path))
        yield


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: Any) -> Path:
    for name, value in {"CACHE_DIR": str(tmp_path / "cache"), "OVERPASS_PAUSE_S": "0", "OVERPASS_RETRY_S": "0"}.items():
        monkeypatch.setenv(f"ATLAS_{name}", value)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "cache" / "roads"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving(mine_region()) as made:
        yield made


@pytest.fixture(scope="module")
def kept(server: Server, tmp_path_factory: Any) -> Path:
    """A cache with the roads of mt-weld in it, to be copied."""
    folder: Path = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"CACHE_DIR": str(folder), "OVERPASS_PAUSE_S": "0", "OVERPASS_URL": server.url}.items():
            patch.setenv(f"ATLAS_{name}", value)
        server.queries.clear()
        result = run("roads", "mt-weld")
        assert result.exit_code == 0, result.output
        assert "0.5" in result.stdout
        assert "before: 34.8 km" in result.stdout
        assert "part 1 of" in result.stderr
        assert "part" not in result.stdout
    return folder / "roads"


@pytest.fixture
def fetched(kept: Path, cache: Path, server: Server, monkeypatch: Any) -> Path:
    shutil.copytree(kept.parent, cache.parent)
    monkeypatch.setenv("ATLAS_OVERPASS_URL", server.url)
    monkeypatch.setattr(server, "fault", "")
    server.queries.clear()
    return cache


def run(*args: str) -> Result:
    return CliRunner().invoke(cli.main, list(args), catch_exceptions=False)


def refused(result: Result, code: int) -> str:
    assert result.exit_code == code, result.output
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert result.stdout == ""
    return lines[0]


def state(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_the_server_is_asked_politely(kept: Path, server: Server) -> None:
    assert 0 < len(server.queries) <= 8
    assert server.status_asked >= len(server.queries)  # a slot is looked for before each request
    assert server.most_at_once == 1
    assert all(agent.startswith("rare-earth-atlas/") for agent in server.agents)
    assert all("[timeout:180]" in query for query in server.queries)
    assert list((kept.parent / "overpass").glob("*.json"))
    assert sorted(p.name for p in kept.iterdir()) == ["mt-weld.access.json", "mt-weld.graphml"]


def test_a_route_follows_the_new_roads_and_its_certificate_adds_up(fetched: Path) -> None:
    opened = open_study()
    before = open_study(settings=settings(cache_dir="off"))
    assert before.router.network.places["mt-weld"].snap_km > 10
    assert opened.router.network.places["mt-weld"].snap_km < 2
    assert opened.router.network.places["mt-weld-2"].snap_km < 2  # the same gate
    answer = opened.route("mt-weld", "AUFRE").to_json()
    assert answer["snap_km"][0] < 2
    line = shape(answer["geometry"])
    haul = winding((MINE[0] + 0.004, MINE[1] + 0.003), JUNCTION)
    assert max(line.distance(Point(xy)) for xy in haul) < 1e-5
    # Its lengths are those of what is drawn: legs add up, and the drawn line is as long but for the trunk's own rounding.
    assert sum(leg["distance_km"] for leg in answer["legs"]) == pytest.approx(answer["distance_km"], rel=1e-9)
    drawn = sum(geo.line_km(part) for part in getattr(line, "geoms", [line]))
    assert 0.9 * answer["distance_km"] < drawn < 1.02 * answer["distance_km"]
    old = before.route("mt-weld", "AUFRE").to_json()
    more = geo.line_km(haul) + answer["snap_km"][0] - old["snap_km"][0]
    assert answer["distance_km"] - old["distance_km"] == pytest.approx(more, abs=0.5)
    assert answer["cost_usd_t"] > old["cost_usd_t"]
    assert answer["days"] > old["days"]


def test_commands_use_them_from_then_on(fetched: Path) -> None:
    answer = json.loads(run("route", "mt-weld", "AUFRE", "--json").stdout)
    assert answer["snap_km"][0] < 2
    listed = run("check").stdout.split("\n\n")[1]
    assert "kachin-chipwi" in listed
    assert not [line for line in listed.splitlines() if line.startswith("mt-weld ")]
    rows = run("roads").stdout
    assert rows.index("mt-weld") < rows.index("kachin-chipwi")
    assert "--refresh" in refused(run("roads", "--refresh"), 2)


def test_a_second_call_asks_nobody(fetched: Path, server: Server) -> None:
    before, asked = state(fetched.parent), server.status_asked
    result = run("roads", "mt-weld")
    assert result.exit_code == 0
    assert "already there" in result.stderr
    assert (len(server.queries), server.status_asked) == (0, asked)
    assert state(fetched.parent) == before
    (fetched / "mt-weld.access.json").unlink()  # the server's answers are remembered apart
    assert run("roads", "mt-weld").exit_code == 0
    assert server.queries == [] or all("railway" in q for q in server.queries)  # that nothing is there, is not
    assert run("roads", "mt-weld", "--refresh").exit_code == 0
    assert server.queries


@pytest.mark.parametrize(
    ("fault", "text"),
    [("500", "HTTP 500"), ("429", "busy (HTTP 429)"), ("504", "busy (HTTP 504)"), ("404", "HTTP 404"), ("slow", "within 1 s"),
     ("garbage", "not OSM data"), ("odd", "not OSM data"), ("cut", "Query timed out"), ("empty", "no roads or rails")],
)  # fmt: skip
def test_trouble_leaves_the_old_state(fetched: Path, server: Server, monkeypatch: Any, fault: str, text: str) -> None:
    monkeypatch.setattr(server, "fault", fault)
    monkeypatch.setenv("ATLAS_OVERPASS_TIMEOUT_S", "1")
    before = state(fetched.parent)
    resolver, kept_settings = socket.getaddrinfo, vars(ox.settings).copy()
    # An answer that was remembered must not hide that the server fails, so a wider area is asked for.
    assert text in refused(run("roads", "mt-weld", *(("--refresh",) if fault in ("500", "empty") else ("--radius-km", "45"))), 1)
    assert state(fetched.parent) == before
    assert server.queries
    if fault in ("429", "504"):
        assert len(server.queries) == 2  # once more
    assert socket.getaddrinfo is resolver
    assert vars(ox.settings) == kept_settings


def test_a_server_out_of_reach_or_without_a_slot(cache: Path, server: Server, monkeypatch: Any) -> None:
    monkeypatch.setenv("ATLAS_OVERPASS_URL", "http://127.0.0.1:9/api")
    assert "cannot be reached" in refused(run("roads", "mt-weld"), 1)
    monkeypatch.setenv("ATLAS_OVERPASS_URL", "nowhere")
    assert "overpass_url" in refused(run("roads", "mt-weld"), 2)
    monkeypatch.setenv("ATLAS_OVERPASS_URL", server.url)
    later = dt.datetime.now(tz=dt.UTC) + dt.timedelta(hours=1)
    monkeypatch.setattr(server, "slots", f"Slot available after: {later:%Y-%m-%dT%H:%M:%SZ}, in 3600 seconds.")
    assert "no free slot" in refused(run("roads", "mt-weld"), 1)
    assert state(cache) == {}


def test_the_status_page_is_understood() -> None:
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    head = "Connected as: 1\nCurrent time: x\nAnnounced endpoint: none\nRate limit: 2\n"
    assert slot_pause_s(head + "1 slots available now.\n", now) == 0
    assert slot_pause_s(head + "Slot available after: 2026-01-01T00:00:09Z, in 9 seconds.\nSlot available after: 2026-01-01T00:01:00Z, in 60 seconds.", now) == 9
    assert slot_pause_s(head + "Currently running queries (pid):\n1 2 3", now) > 0
    assert slot_pause_s(head.replace("2", "0") + "Currently running queries (pid):\n", now) == 0
    assert slot_pause_s("<html>", now) == 0


def test_bad_input_is_told_at_once(cache: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("ATLAS_OVERPASS_URL", "http://127.0.0.1:9/api")
    line = refused(run("roads", "mt-wled", "--to", "AUFRX", "--radius-km", "-4", "--osm", "none.osm"), 2)
    for word in ("mt-weld", "AUFRE", "--radius-km", "none.osm"):
        assert word in line
    assert "is not in AUS" in refused(run("roads", "mt-weld", "--to", "SGSIN"), 2)
    assert "--osm FILE" in refused(run("roads", "mt-weld", "--radius-km", "400"), 2)
    for name, content in (("a.osm", b"<osm><node"), ("b.osm", b""), ("c.osm.gz", b"no gzip"), ("d.osm", b"\xff\xfe\x00")):
        (tmp_path / name).write_bytes(content)
        assert "cannot be read as OSM XML" in refused(run("roads", "mt-weld", "--osm", str(tmp_path / name)), 2)
    (tmp_path / "e.pbf").write_bytes(b"x")
    assert "osmium" in refused(run("roads", "mt-weld", "--osm", str(tmp_path / "e.pbf")), 2)
    monkeypatch.setenv("ATLAS_CACHE_DIR", "off")
    assert "cache_dir is off" in refused(run("roads", "mt-weld"), 2)
    assert state(cache) == {}


def test_roads_that_join_nothing_are_refused(cache: Path, tmp_path: Path) -> None:
    file = tmp_path / "x.osm"
    for points, text in (
        (winding((122.9, -28.9), JUNCTION), "km away"),
        (winding(MINE, (122.48, -28.75)), "end before the trunk network"),
    ):
        region = Region()
        region.way(points, highway="track")
        file.write_text(region.xml())
        assert text in refused(run("roads", "mt-weld", "--osm", str(file)), 1)
    file.write_text(Region().xml())
    assert "no ways" in refused(run("roads", "mt-weld", "--osm", str(file)), 1)
    assert state(cache) == {}


def test_a_file_with_roads_and_rails(cache: Path, tmp_path: Path, study: Study) -> None:
    mine = study.layers.facilities.loc["maoniuping"]
    here = (float(mine["lon"]), float(mine["lat"]))
    region = Region()
    region.way(winding(here, (102.185, 28.537)), highway="tertiary")
    spur = winding((here[0] + 0.01, here[1]), (102.182, 28.281), sway=0.01)
    region.way(spur, railway="rail", service="spur")
    file = tmp_path / "region.osm.gz"
    file.write_bytes(gzip.compress(region.xml().encode()))
    result = run("roads", "maoniuping", "--osm", str(file))
    assert result.exit_code == 0, result.output
    access = local_access.read(cache / "maoniuping.access.json")
    assert set(access.modes) == {"road", "rail"}
    assert access.source.startswith("file region.osm.gz sha256 ")
    opened = open_study()
    answer = opened.route("maoniuping", "baotou-hezong" if "baotou-hezong" in opened.layers.facilities.index else "CNTXG", modes=("rail", "sea")).to_json()
    line = shape(answer["geometry"])
    assert max(line.distance(Point(xy)) for xy in spur) < 1e-5
    assert "already there" in run("roads", "maoniuping", "--osm", str(file)).stderr
    region.way([(102.0, 28.4), (102.01, 28.41)], highway="track")
    file.write_bytes(gzip.compress(region.xml().encode()))
    assert "already there" not in run("roads", "maoniuping", "--osm", str(file)).stderr


def test_the_railway_is_reached_over_the_roads(fetched: Path, cache: Path, tmp_path: Path, study: Study) -> None:
    answer = open_study().route("mt-weld", "AUFRE", modes=("rail", "sea")).to_json()
    assert answer["snap_km"][0] < 2
    line = shape(answer["geometry"])
    assert max(line.distance(Point(xy)) for xy in winding((MINE[0] + 0.004, MINE[1] + 0.003), JUNCTION)) < 1e-5
    mine, region = study.layers.facilities.loc["maoniuping"], Region()
    here, railway, highway = (float(mine["lon"]), float(mine["lat"])), (102.182, 28.281), (102.185, 28.537)
    road = winding(here, railway)
    region.way(road, highway="track")
    region.way(winding(railway, highway), highway="secondary")
    (tmp_path / "x.osm").write_text(region.xml())
    assert "railway, by road" in run("roads", "maoniuping", "--osm", str(tmp_path / "x.osm")).stdout
    answer = open_study().route("maoniuping", "CNTXG", modes=("rail", "sea")).to_json()
    assert answer["snap_km"][0] < 2
    line = shape(answer["geometry"])
    assert max(line.distance(Point(xy)) for xy in road) < 1e-5


def test_a_long_stretch_is_met_in_its_middle(cache: Path, tmp_path: Path) -> None:
    region = Region()
    away = (JUNCTION[0] - MINE[0], JUNCTION[1] - MINE[1])
    start = (MINE[0] - 0.4 * away[0] + 0.004, MINE[1] - 0.4 * away[1])
    region.way([start, JUNCTION], highway="track")  # one stretch of 49 km that passes the mine
    (tmp_path / "x.osm").write_text(region.xml())
    assert run("roads", "mt-weld", "--osm", str(tmp_path / "x.osm")).exit_code == 0
    access = local_access.read(cache / "mt-weld.access.json")
    assert access.snap_km < 0.6
    assert access.modes["road"].exits[0].km == pytest.approx(34.8, abs=0.5)
    assert len(ox.load_graphml(cache / "mt-weld.graphml")) == 3  # both ends, and where the mine joins


def test_a_way_may_meet_the_trunk_road_between_two_nodes(cache: Path, tmp_path: Path, study: Study) -> None:
    land, known = study.router.network.land["road"], study.router.network.land_nodes["road"][1]
    points = land.between("AUS", known, 1.0)
    nodes = land.usable("AUS", known)
    free = geo.NearestIndex(*nodes.T).query(*points.T)[1]
    near = geo.geodesic_km(*MINE, *points.T)
    end = points[np.flatnonzero((free > 8) & (near < 90))[near[(free > 8) & (near < 90)].argmin()]]
    region = Region()
    road = winding(MINE, tuple(end))
    region.way(road, highway="track")
    (tmp_path / "x.osm").write_text(region.xml())
    result = run("roads", "mt-weld", "--osm", str(tmp_path / "x.osm"), "--radius-km", "120")
    assert result.exit_code == 0, result.output
    answer = open_study().route("mt-weld", "AUFRE", modes=("road", "sea")).to_json()
    assert max(shape(answer["geometry"]).distance(Point(xy)) for xy in road) < 1e-5
    met = land.join(*end, "AUS", known, 1.0, on_edges=True)
    assert met is not None
    assert met.snap_km < 0.5
    assert land.join(*end, "AUS", known, 1.0) is None
    ways = np.array([geo.line_km(way) for way in met.lines]) / met.km
    assert ways.max() < 1.05


def test_a_corridor_leads_to_the_port(cache: Path, study: Study, monkeypatch: Any) -> None:
    mine, port = study.layers.facilities.loc["moma-kenmare"], study.layers.ports
    home = port[port["country"] == "MOZ"]
    to = str(home.index[geo.geodesic_km(float(mine["lon"]), float(mine["lat"]), home["lon"], home["lat"]).argmin()])
    start, end = (float(mine["lon"]), float(mine["lat"])), (float(home.at[to, "lon"]), float(home.at[to, "lat"]))
    region = Region()
    road = winding(start, end, 60, 0.02)
    region.way(road, highway="tertiary")
    with serving(region) as server:
        monkeypatch.setenv("ATLAS_OVERPASS_URL", server.url)
        result = run("roads", "moma-kenmare", "--to", to, "--radius-km", "8")
        assert result.exit_code == 0, result.output
        assert "port" in result.stdout
        assert "already there" in run("roads", "moma-kenmare", "--to", to).stderr
        assert any("motorway" in q and "track" not in q for q in server.queries)  # main roads only, far from the mine
    answer = open_study().route("moma-kenmare", to).to_json()
    assert max(shape(answer["geometry"]).distance(Point(xy)) for xy in road) < 1e-5
    assert answer["distance_km"] == pytest.approx(geo.line_km(road), rel=0.02)


def test_the_graph_is_kept_as_graphml(fetched: Path, study: Study) -> None:
    graph = ox.load_graphml(fetched / "mt-weld.graphml")
    assert graph.graph["facility"] == "mt-weld"
    assert graph.graph["source"].startswith("Overpass http://127.0.0.1")
    assert graph.graph["attribution"] == "© OpenStreetMap contributors, ODbL 1.0"
    assert dt.date.fromisoformat(graph.graph["date"])
    nodes, edges = ox.graph_to_gdfs(graph)
    assert str(nodes.crs).lower() == "epsg:4326"
    assert set(edges["mode"]) == {"road"}
    assert not edges["highway"].isin(["footway", "proposed"]).any()
    projected = ox.project_graph(graph)
    assert ox.projection.is_projected(projected.graph["crs"])
    start = ox.distance.nearest_nodes(graph, MINE[0] + 0.004, MINE[1] + 0.003)
    end = ox.distance.nearest_nodes(graph, *JUNCTION)
    way = ox.shortest_path(graph, start, end, weight="length")
    km = sum(min(d["length"] for d in graph[u][v].values()) for u, v in zip(way[:-1], way[1:], strict=True)) / 1000
    access = local_access.read(fetched / "mt-weld.access.json")
    assert km == pytest.approx(access.modes["road"].exits[0].km, rel=0.01)
    again = fetched / "again.graphml"
    ox.save_graphml(graph, again)
    assert nx.utils.graphs_equal(nx.MultiDiGraph(ox.load_graphml(again).edges), nx.MultiDiGraph(graph.edges))


def test_files_that_do_not_fit_are_passed_over_with_a_warning(fetched: Path, study: Study) -> None:
    here, path = settings(cache_dir=str(fetched.parent)), fetched / "mt-weld.access.json"
    whole = path.read_text(encoding="utf-8")
    document = json.loads(whole)
    broken = [whole[:200], "[]", "", "{}", json.dumps(document | {"format": 99}), json.dumps(document | {"modes": {"air": {}}})]
    nan = json.loads(whole)
    nan["modes"]["road"]["exits"][0]["km"] = 1.0
    for text in [*broken, json.dumps(nan), whole.replace("[[", "[[NaN, 2], [", 1)]:
        path.write_text(text, encoding="utf-8")
        with pytest.warns(AtlasWarning, match="cannot be read"):
            assert local_access.read_all(here, study.layers) == local_access.NO_ROADS
    path.write_text(whole, encoding="utf-8")
    moved = study.layers.facilities.copy()
    moved.loc["mt-weld", "lon"] += 0.1
    layers = dataclasses.replace(study.layers, facilities=moved)
    with pytest.warns(AtlasWarning, match="has moved"):
        assert network.load(layers, local_access.read_all(here, layers)).places["mt-weld"].snap_km > 10
    other = dataclasses.replace(study.layers, facilities=moved.drop("mt-weld"))
    assert local_access.read_all(here, other) == local_access.NO_ROADS  # not meant for these layers: no warning
    with pytest.raises(BadInput):
        local_access.read(fetched / "none.access.json")
    path.write_text("{", encoding="utf-8")
    done = subprocess.run([sys.executable, "-m", "atlas", "route", "mt-weld", "AUFRE"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert [line for line in done.stderr.splitlines() if line.startswith("warning: ")][0].count("cannot be read") == 1


def test_the_calibration_of_other_roads_is_not_taken(fetched: Path, study: Study, tmp_path: Path) -> None:
    here = settings(cache_dir=str(fetched.parent))
    roads = Study(study.layers, settings=here).local_roads
    assert roads.digest
    assert memory.key(study.layers, roads.digest) != memory.key(study.layers)
    memory.keep(study.layers, here, study.calibration)
    assert memory.recall(study.layers, here, roads.digest) is None
    assert memory.recall(study.layers, here) == study.calibration


def test_nothing_waits_for_osmnx(fetched: Path) -> None:
    code = "import sys; from atlas import study; s = study.open(); s.router; print({'osmnx', 'networkx', 'sklearn', 'requests'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "set()"


def test_trunk_graphs_work_with_osmnx(study: Study) -> None:
    graph = study.graph("road", countries=("AUS", "NZL"))
    assert graph.graph["crs"] == "epsg:4326"
    assert "OpenStreetMap contributors" in graph.graph["attribution"]
    ox.convert.validate_graph(graph)
    nodes, edges = ox.graph_to_gdfs(graph)
    assert {"x", "y", "country"} <= set(nodes.columns)
    assert set(nodes["country"]) == {"AUS", "NZL"}
    straight = geo.geodesic_km(*nodes.loc[edges.index.get_level_values(0), ["x", "y"]].to_numpy().T,
                               *nodes.loc[edges.index.get_level_values(1), ["x", "y"]].to_numpy().T)
    assert (edges["length"].to_numpy() / 1000 - straight > -0.35).all()  # coordinates are kept to 0.001 degrees
    perth, kalgoorlie = (115.86, -31.95), (121.46, -30.75)
    ends = [ox.distance.nearest_nodes(graph, *xy) for xy in (perth, kalgoorlie)]
    way = ox.shortest_path(graph, *ends, weight="length")
    assert 550e3 < nx.path_weight(graph, way, "length") < 700e3
    assert all(graph.has_edge(v, u) for u, v in list(graph.edges())[:500])
    local = graph.subgraph([n for n, d in graph.nodes(data=True) if np.hypot(d["x"] - perth[0], d["y"] - perth[1]) < 1])
    projected = ox.project_graph(local)
    assert ox.projection.is_projected(projected.graph["crs"])
    x, y = (projected.nodes[ends[0]][c] for c in ("x", "y"))
    assert ox.distance.nearest_nodes(projected, x, y) == ends[0]


def test_trunk_graphs_are_saved_and_joined_at_borders(study: Study, tmp_path: Path) -> None:
    both = study.graph("rail", countries=["KAZ", "UZB"])
    ox.save_graphml(both, tmp_path / "rail.graphml")
    back = ox.load_graphml(tmp_path / "rail.graphml")
    assert (len(back), back.number_of_edges()) == (len(both), both.number_of_edges())
    assert back.graph["attribution"] == both.graph["attribution"]
    crossing = [(u, v) for u, v in both.edges() if both.nodes[u]["country"] != both.nodes[v]["country"]]
    assert crossing
    assert {d for *_, d in both.edges(data="mode")} == {"rail"}
    with pytest.raises(UnknownName, match="nearest: road"):
        study.graph("raod")
    with pytest.raises(UnknownName, match="nearest: AUT"):
        study.graph("road", countries=["AUT", "AUTX"])

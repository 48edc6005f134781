"""Findings from nothing: all singles, worst pairs and triples over processes, and what brute force would take.

`python -m benchmarks.findings [singles] [pairs] [triples]`; all three when none is named. Brute force is timed in the
same call, on sets drawn at random from those of the size, and told for all of them: it is the peer of the search.
"""

import dataclasses
import random
import sys
import tempfile
import time

from atlas.chokepoints import LIMIT_S, question, worst_sets
from atlas.config import settings
from atlas.many_solves import Crew, workers_of
from atlas.set_values import value
from atlas.singles import singles
from atlas.study import Study
from atlas.study import open as open_study
from benchmarks.model import Report, progress

SINGLES_S, GAP = 150.0, 0.05
SAMPLE = 40
LENSES = (("us-allies", "all"), ("eu27", "Dy"), ("quad", "NdPr"))


def fresh(folder: str) -> Study:
    """Return a study that remembers nothing of earlier findings."""
    study = open_study(settings=dataclasses.replace(settings(), cache_dir=folder))
    _ = study.baseline
    return study


def searching(done: int, total: int, what: str) -> None:
    """Show how far a search is, whose end nobody knows."""
    progress(done, total or done + 1, what)


def all_singles(report: Report, study: Study) -> None:
    """Time every single."""
    start = time.perf_counter()
    found = singles(study, progress)
    progress(1, 1, "")
    spent = time.perf_counter() - start
    workers = workers_of(study.settings.workers)
    report.add(f"singles: {found.solves} solves, {workers} processes", spent, "s", SINGLES_S)
    start = time.perf_counter()
    singles(study)
    report.add("  the same again, kept", time.perf_counter() - start, "s")


def sets(report: Report, study: Study, size: int) -> None:
    """Time a search of worst sets and brute force on a sample."""
    for bloc, element in LENSES if size == 2 else LENSES[:1]:
        asked = question(study, bloc, element)
        start = time.perf_counter()
        found = worst_sets(study, asked, size, LIMIT_S[size], 1, searching)
        spent = time.perf_counter() - start
        progress(1, 1, "")
        members = " + ".join(found.table.at[0, "members"])
        report.add(f"sets of {size}, {bloc}, {element}: {members}", spent, "s", LIMIT_S[size])
        report.add("  gap of the proof (0: proved)", found.gap, "", GAP)
        report.add(f"  solves, of {found.sets:,} sets", found.solves, "")
        rng, n = random.Random(size), len(asked.candidates)
        start = time.perf_counter()
        with Crew(value, (study, asked), workers_of(study.settings.workers)) as crew:
            for done, _ in enumerate(crew.each([tuple(rng.sample(range(n), size)) for _ in range(SAMPLE)])):
                progress(done, SAMPLE, "brute force, a sample")
        progress(1, 1, "")
        whole = (time.perf_counter() - start) / SAMPLE * found.sets
        report.add("  brute force over all sets would take", whole / 3600, "h")
        report.add("  brute force over search, time", whole / spent, "x")


def main() -> int:
    """Run the parts that the command names; exit 1 when one is over its bound."""
    parts = sys.argv[1:] or ["singles", "pairs", "triples"]
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        study = fresh(folder)
        if "singles" in parts:
            all_singles(report, study)
        for name, size in (("pairs", 2), ("triples", 3)):
            if name in parts:
                sets(report, study, size)
    return int(any(r["over"] for r in report.rows))


if __name__ == "__main__":
    sys.exit(main())

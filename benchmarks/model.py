"""The model beside its peers, and the times of all single halts: `make bench`, or `python -m benchmarks.model [PART]`.

PART `peers` states the programme in linopy, in PyPSA and in its dense form (needs the extra `peers`); `halts` times
every single halt and the memory of a server; without a part both run. A line over its bound is marked, and the exit
code is then 1. bench_model.json keeps the last figures of both.
"""

import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import highspy

OUT = Path("bench_model.json")
PARTS = ("peers", "halts")


class Report:
    """Lines of the form what, figure, bound; remembers whether all bounds held."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def add(self, what: str, value: float, unit: str, bound: float | None = None, least: bool = False) -> None:
        """Print a figure; with a bound it must not be above it, or below it with `least`."""
        over = bound is not None and not (value >= bound if least else value <= bound)
        limit = "" if bound is None else f"  {'at least' if least else 'at most'} {bound:g}"
        print(f"{what:82} {value:10.4g} {unit:5}{limit}{'  OVER' if over else ''}".rstrip(), flush=True)
        self.rows.append({"what": what, "value": value, "unit": unit, "bound": bound, "over": over})


class Clock:
    """Seconds spent in HiGHS's own run since the last `reset`."""

    def __init__(self) -> None:
        self.run_s = 0.0

    def reset(self) -> None:
        """Start at zero."""
        self.run_s = 0.0


@contextmanager
def solver_clock() -> Iterator[Clock]:
    """Measure HiGHS's own run, whoever calls it in this process."""
    clock, run = Clock(), highspy.Highs.run

    def timed(h: highspy.Highs) -> Any:
        start = time.perf_counter()
        try:
            return run(h)
        finally:
            clock.run_s += time.perf_counter() - start

    highspy.Highs.run = timed
    try:
        yield clock
    finally:
        highspy.Highs.run = run


def progress(done: int, total: int, what: str) -> None:
    """Show a bar on standard error where that is a terminal or a log that may grow."""
    filled = 30 * done // total
    end = "\n" if done == total else ""
    bar = "#" * filled + "." * (30 - filled)
    print(f"\r[{bar}] {done}/{total} {what[:44]:44}", end=end, file=sys.stderr, flush=True)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what compiled code writes to standard output, HiGHS's banner, off it."""
    sys.stdout.flush()
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def main(arguments: list[str]) -> int:
    """Run the parts asked for and return the exit code."""
    parts = arguments or list(PARTS)
    if unknown := [p for p in parts if p not in PARTS]:
        print(f"error: no part {unknown[0]}; expected {' or '.join(PARTS)}", file=sys.stderr)
        return 2
    load = os.getloadavg()[0]
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {load:.1f}\n")
    try:
        known = json.loads(OUT.read_text())
    except (OSError, ValueError):
        known = {}
    over = False
    for part in parts:
        report = Report()
        if part == "peers":
            from benchmarks import peers

            peers.compare(report)
        else:
            from benchmarks import single_halts

            single_halts.measure(report)
        known[part] = report.rows
        OUT.write_text(json.dumps({k: v for k, v in known.items() if k in PARTS}, indent=1) + "\n")
        over |= any(row["over"] for row in report.rows)
    return int(over)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Times and peak memory of the main commands, each in a process of its own: `make bench`.

Prints a table and writes bench.json. Limits are those the project sets itself; a figure over its limit is marked, and
the exit code is then 1. Times depend on the machine and on what else runs on it.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.served import served

ATLAS = [sys.executable, "-m", "atlas"]


def run(arguments: list[str]) -> tuple[float, float]:
    """Return (seconds, peak MB) of one command, process start included; the command must succeed."""
    start = time.perf_counter()
    process = subprocess.Popen([*ATLAS, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - start
    if process.returncode:
        sys.exit(f"error: atlas {' '.join(arguments)} ended with {process.returncode}")
    return seconds, usage.ru_maxrss / 1024


def of_server() -> list[tuple[str, float, float, float | None]]:
    """Return rows for the server: its start, a first page, a new halt, the same halt again, its peak memory."""
    rows: list[tuple[str, float, float, float | None]] = []
    start = time.perf_counter()
    with served() as server:
        get, halts = server.get, ("passage:malacca", "country:CHN/magnet", "facility:lynas-kuantan")
        get("/")
        rows.append(("serve: start and first page", time.perf_counter() - start, server.peaks_mb()[0], 15.0))
        new = [get(f"/api/solve?halt={h}") for h in halts]
        rows.append(("serve: a new halt (worst of 3)", max(new), server.peaks_mb()[0], 2.0))
        again = [get("/api/solve?halt=passage:malacca") for _ in range(5)]
        rows.append(("serve: the same halt again (worst of 5)", max(again), server.peaks_mb()[0], 0.1))
        rows.append(("serve: page of a new halt", get("/map?halt=passage:suez"), server.peaks_mb()[0], None))
    return rows


def main() -> int:
    """Run everything and return the exit code."""
    rows: list[tuple[str, float, float, float | None]] = []
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        os.environ["ATLAS_CACHE_DIR"] = str(out / "cache")  # empty: the first solve calibrates, later ones remember it
        commands: list[tuple[str, list[str], float | None]] = [
            ("atlas --help", ["--help"], 0.3),
            ("atlas check (opens every layer)", ["check"], 5.0),
            ("atlas route mt-weld lynas-kuantan", ["route", "mt-weld", "lynas-kuantan"], None),
            ("atlas solve, nothing remembered", ["solve", "--json"], 10.0),
            ("atlas solve", ["solve", "--json"], 10.0),
            ("atlas solve --halt passage:malacca", ["solve", "--halt", "passage:malacca", "--json"], 10.0),
            ("atlas solve --halt country:CHN/magnet", ["solve", "--halt", "country:CHN/magnet", "--json"], 10.0),
            ("  with --out", ["solve", "--halt", "country:CHN/magnet", "--out", str(out / "halt")], None),
            ("atlas map (halt)", ["map", "--halt", "country:CHN/magnet", "--out", str(out / "halt.html")], None),
            ("atlas export network", ["export", "network", "--out", str(out / "network.gpkg")], None),
        ]
        for name, arguments, limit in commands:
            rows.append((name, *run(arguments), limit))
        sizes = {p.name: p.stat().st_size for p in [*(out / "halt").iterdir(), out / "halt.html", out / "network.gpkg"]}
        rows += of_server()
    load = os.getloadavg()[0]
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {load:.1f}\n")
    width = max(len(r[0]) for r in rows)
    for name, seconds, mb, limit in rows:
        mark = "" if limit is None else f"limit {limit:g} s" + ("  OVER" if seconds > limit else "")
        print(f"{name:{width}}  {seconds:7.2f} s  {mb:6.0f} MB  {mark}".rstrip())
    print()
    for name, size in sorted(sizes.items()):
        limit_mb = 4.0 if name.endswith(".html") else None
        mark = "" if limit_mb is None else f"limit {limit_mb:g} MB" + ("  OVER" if size > limit_mb * 1e6 else "")
        print(f"{name:{width}}  {size / 1e6:7.2f} MB  {mark}".rstrip())
    names = ("what", "seconds", "peak_mb", "limit_s")
    document = {"rows": [dict(zip(names, r, strict=True)) for r in rows], "bytes": sizes}
    Path("bench.json").write_text(json.dumps(document, indent=1) + "\n")
    return int(any(limit is not None and seconds > limit for _, seconds, _, limit in rows))


if __name__ == "__main__":
    sys.exit(main())

"""Times and peak memory of the main commands, each in a process of its own: `make bench`.

Prints a table and writes bench.json. Limits are those the project sets itself; a figure over its limit is marked, and
the exit code is then 1. Times depend on the machine and on what else runs on it.
"""

import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

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


def served() -> list[tuple[str, float, float, float | None]]:
    """Return rows for the server: its start, a first page, a new halt, the same halt again, its peak memory."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    rows: list[tuple[str, float, float, float | None]] = []
    start = time.perf_counter()
    command = [*ATLAS, "serve", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def get(path: str) -> float:
        before = time.perf_counter()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=120) as answer:
            answer.read()
        return time.perf_counter() - before

    try:
        while True:
            try:
                get("/healthz")
                break
            except OSError:
                if process.poll() is not None or time.perf_counter() - start > 120:
                    sys.exit("error: the server did not start")
                time.sleep(0.1)
        get("/")
        rows.append(("serve: start and first page", time.perf_counter() - start, peak_mb(process.pid), 15.0))
        new = [get(f"/api/solve?halt={h}") for h in ("passage:malacca", "country:CHN/magnet", "facility:lynas-kuantan")]
        rows.append(("serve: a new halt (worst of 3)", max(new), peak_mb(process.pid), 2.0))
        again = [get("/api/solve?halt=passage:malacca") for _ in range(5)]
        rows.append(("serve: the same halt again (worst of 5)", max(again), peak_mb(process.pid), 0.1))
        rows.append(("serve: page of a new halt", get("/map?halt=passage:suez"), peak_mb(process.pid), None))
    finally:
        process.terminate()
        process.wait(timeout=20)
    return rows


def peak_mb(pid: int) -> float:
    """Return the peak memory of a running process in MB, 0 where the system does not say."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


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
        rows += served()
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

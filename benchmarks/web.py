"""Load on `atlas serve`, from the load tool locust on the same machine: `python -m benchmarks.web`.

Three phases against one server over the shipped layers: 50 users who click every 20 s (60 % repeated halts, 40 % new
ones), cached pages at 200 a second, and new halts at 25 a second, which is more than it can do. Prints times, statuses
and memory beside the bounds the project sets itself; exit code 1 when one does not hold. The users run under `nice`,
yet on the same cores; what else the machine did is printed too.
"""

import argparse
import collections
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.served import Server, machine_cpu_s, served

HERE = Path(__file__).resolve().parent
USERS, CLICKS_S, CACHED_RATE, OVERLOAD_RATE, PHASE_S = 50, 120, 200, 25, 20
POPULAR = ("/", *(f"/map?halt={h}" for h in ("passage:malacca", "country:CHN/magnet", "country:CHN/Dy,Tb,magnet",
                                             "passage:suez", "facility:lynas-kuantan")))  # fmt: skip
MEDIAN_S, P95_S, FLAT_SHARE, AGAIN_S = 2.0, 6.0, 0.05, 10.0

Rows = list[dict[str, Any]]


class Load:
    """Users of a server, in a process of their own; `rows` waits for the last answer and returns all requests."""

    def __init__(self, server: Server, phase: str, users: int, spawn: float, seconds: float, **more: Any) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._out = Path(self._folder.name) / "rows.jsonl"
        own = {"ATLAS_LOAD_PHASE": phase, "ATLAS_LOAD_OUT": str(self._out), "ATLAS_LOAD_CACHED": json.dumps(POPULAR)}
        own |= {f"ATLAS_LOAD_{k.upper()}": str(v) for k, v in more.items()}
        command = [
            "nice", "-n", "5", sys.executable, "-m", "locust", "-f", str(HERE / "web_users.py"), "--headless",
            "--host", f"http://127.0.0.1:{server.port}", "-u", str(users), "-r", str(spawn), "-t", f"{seconds:g}s",
            "--stop-timeout", "60", "--only-summary", "--loglevel", "ERROR",
        ]  # fmt: skip
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.cpu_s = 0.0
        self._process = subprocess.Popen(command, env=os.environ | own, **silent)

    def ended(self) -> float:
        """Wait until no more requests are sent; return when the last one was."""
        mark = Path(f"{self._out}.ended")
        while not (mark.exists() and mark.stat().st_size) and self._process.poll() is None:
            time.sleep(0.02)
        return float(mark.read_text())

    def rows(self) -> Rows:
        """Return all requests."""
        _, status, usage = os.wait4(self._process.pid, 0)
        self._process.returncode = code = os.waitstatus_to_exitcode(status)
        self.cpu_s = usage.ru_utime + usage.ru_stime
        if not self._out.exists():
            sys.exit(f"error: locust ended with {code}")
        found = [json.loads(line) for line in self._out.read_text(encoding="utf-8").splitlines()]
        self._folder.cleanup()
        return found


class Others:
    """What the machine did beside the server and its users: the noise of the figures."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._begin = time.perf_counter(), machine_cpu_s(), server.cpu_s()

    def told(self, users_s: float) -> None:
        """Print the share of all cores that others took since the start, and that the server took."""
        begin, machine, own = self._begin
        cores_s = (time.perf_counter() - begin) * (os.cpu_count() or 1)
        mine = self.server.cpu_s() - own
        others = max(0.0, machine_cpu_s() - machine - mine - users_s)
        parts = (("the server", mine), ("its users", users_s), ("others", others))
        print("  of the cores' time: " + ", ".join(f"{who} {100 * s / cores_s:.0f} %" for who, s in parts))


class Memory:
    """Memory of the server and its processes, every second."""

    def __init__(self, server: Server) -> None:
        self.server, self.mb, self._on = server, [server.memory_mb()], True
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while self._on:
            time.sleep(1.0)
            self.mb.append(self.server.memory_mb())

    def stop(self) -> list[float]:
        """Stop watching and return what was seen."""
        self._on = False
        self._thread.join()
        return self.mb


def told(title: str, rows: Rows) -> None:
    """Print times by kind, and statuses."""
    print(f"\n{title}: {len(rows)} requests")
    for kind in sorted({r["kind"] for r in rows}) + ["all"]:
        times = sorted(r["s"] for r in rows if kind in (r["kind"], "all"))
        if times:
            parts = (("median", median(times)), ("95 %", share(times, 0.95)), ("worst", times[-1]))
            print(f"  {kind:9}" + "".join(f"{w:>8} {s:6.2f} s" for w, s in parts) + f"   ({len(times)})")
    print("  status:", ", ".join(f"{s}: {n}" for s, n in sorted(statuses(rows).items())))


def statuses(rows: Rows) -> dict[int, int]:
    """Return how often each status came."""
    return dict(collections.Counter(r["status"] for r in rows))


def median(times: list[float]) -> float:
    """Return the median."""
    return statistics.median(times)


def share(times: list[float], part: float) -> float:
    """Return the time that a part of all requests stays within."""
    return sorted(times)[min(len(times) - 1, int(part * len(times)))]


def new_page(server: Server, n: int) -> float:
    """Return how long the page of a new halt takes."""
    return server.get(f"/map?halt=country:CHN@0.{n:06d}/magnet")


def main() -> int:
    """Run the phases and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clicks-s", type=float, default=CLICKS_S, help="length of the phase of 50 users")
    parser.add_argument("--phase-s", type=float, default=PHASE_S, help="length of the other phases")
    asked = parser.parse_args()
    missed: list[str] = []

    def bound(words: str, holds: bool) -> None:
        print(f"  {'holds' if holds else 'MISSED'}: {words}")
        if not holds:
            missed.append(words)

    quiet = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores; load before the start {quiet:.1f}")
    with served() as server:
        for path in POPULAR:
            server.get(path)
        usual = median([new_page(server, n) for n in range(200_001, 200_008)])
        print(f"page of a new halt, alone: {usual:.2f} s; of a repeated one: {server.get(POPULAR[1]):.3f} s")

        watch = Memory(server)
        others, users = Others(server), Load(server, "clicks", USERS, USERS / 20, asked.clicks_s, repeated=0.6)
        rows = users.rows()
        mb = watch.stop()
        told(f"{USERS} users, 20 s between clicks, {asked.clicks_s:g} s", rows)
        others.told(users.cpu_s)
        third = max(1, len(mb) // 3)
        middle, end = statistics.mean(mb[third : 2 * third]), statistics.mean(mb[-third // 2 :])
        print(f"  memory of server and solver, MB: {mb[0]:.0f} at first, {middle:.0f} half-way, {end:.0f} at the end")
        late = mb[-max(2, len(mb) // 4) :]
        grown = statistics.mean(late[len(late) // 2 :]) / statistics.mean(late[: len(late) // 2]) - 1
        times = [r["s"] for r in rows]
        bound("no 5xx, no refusal, no broken connection", set(statuses(rows)) == {200})
        bound(f"median at most {MEDIAN_S:g} s", median(times) <= MEDIAN_S)
        bound(f"95 % within {P95_S:g} s", share(times, 0.95) <= P95_S)
        bound(
            f"memory flat: {100 * grown:+.1f} % in the last quarter, at most {100 * FLAT_SHARE:g} %",
            grown <= FLAT_SHARE,
        )

        others, users = Others(server), Load(server, "cached", 10, 10, asked.phase_s, rate=CACHED_RATE / 10)
        rows = users.rows()
        told(f"cached pages, {CACHED_RATE} a second wanted, {asked.phase_s:g} s", rows)
        others.told(users.cpu_s)
        rate = len(rows) / (max(r["begin"] + r["s"] for r in rows) - min(r["begin"] for r in rows))
        bound(f"{rate:.0f} a second answered with 200", rate >= 0.95 * CACHED_RATE and set(statuses(rows)) == {200})

        others = Others(server)
        flood = Load(server, "overload", 5, 5, asked.phase_s, rate=OVERLOAD_RATE / 5, seed=7)
        ended = flood.ended()
        again, tries = again_usual(server, usual)
        rows = flood.rows()
        refused = [r for r in rows if r["status"] in (429, 503)]
        told(f"overload: {OVERLOAD_RATE} new halts a second, {asked.phase_s:g} s", rows)
        others.told(flood.cpu_s)
        last, worst = max(r["begin"] + r["s"] for r in rows), max((r["s"] for r in refused), default=0.0)
        print(f"  slowest refusal {worst:.2f} s; last answer {last - ended:.1f} s after the last request")
        print(f"  new halts afterwards: {', '.join(tries)}")
        bound("only 200, 429 and 503", set(statuses(rows)) <= {200, 429, 503} and bool(refused))
        bound("each refusal says Retry-After", all(int(r["retry"] or 0) > 0 for r in refused))
        bound(
            f"itself again (twice its usual time) after {again - ended:.1f} s, at most {AGAIN_S:g} s",
            again - ended <= AGAIN_S,
        )
        print(f"  memory of server and solver: {server.memory_mb():.0f} MB")
    print()
    for words in missed:
        print(f"MISSED: {words}")
    return int(bool(missed))


def again_usual(server: Server, usual: float) -> tuple[float, list[str]]:
    """Ask for new halts until one answers in twice its usual time; return when it was asked, and all tries."""
    tries = []
    for n in range(400_000, 400_200):
        begin = time.time()
        try:
            seconds = new_page(server, n)
            tries.append(f"{seconds:.2f} s")
            if seconds <= 2 * usual:
                return begin, tries
        except OSError as error:
            tries.append(str(getattr(error, "code", error)))
        time.sleep(0.25)
    return float("inf"), tries


if __name__ == "__main__":
    sys.exit(main())

"""A server of the atlas in a process of its own, to be timed and weighed."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_S = 120  # a server that does not answer by then has failed


@dataclass(frozen=True)
class Server:
    """A running server: its process and where it listens."""

    pid: int
    port: int

    def get(self, path: str) -> float:
        """Return how long a page takes to come whole, in seconds."""
        start = time.perf_counter()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=120) as answer:
            answer.read()
        return time.perf_counter() - start

    def peaks_mb(self) -> list[float]:
        """Return the peak memory of the server and of the processes it started, 0 where the system does not say."""
        return [_peak_mb(pid) for pid in (self.pid, *_children(self.pid))]

    def memory_mb(self) -> float:
        """Return the memory that the server and the processes it started hold now."""
        return sum(_of_status(pid, "VmRSS") for pid in (self.pid, *_children(self.pid)))

    def cpu_s(self) -> float:
        """Return the processor time that the server and the processes it has now have used."""
        return sum(_cpu_s(pid) for pid in (self.pid, *_children(self.pid)))


def machine_cpu_s() -> float:
    """Return the processor time that everything on this machine has used, 0 where the system does not say."""
    try:
        user, nice, system, _, _, irq, softirq, *_ = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:])
    except (OSError, ValueError):
        return 0.0
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


@contextmanager
def served() -> Iterator[Server]:
    """Start a server on a free port, wait until it answers, and stop it in the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "atlas", "serve", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    server, start = Server(process.pid, port), time.perf_counter()
    try:
        while True:
            try:
                server.get("/healthz")
                break
            except OSError:
                if process.poll() is not None or time.perf_counter() - start > START_S:
                    sys.exit("error: the server did not start")
                time.sleep(0.1)
        yield server
    finally:
        process.terminate()
        process.wait(timeout=40)


def _children(pid: int) -> list[int]:
    try:
        found = [p.read_text() for p in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return []
    return [int(x) for text in found for x in text.split()]


def _cpu_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_mb(pid: int) -> float:
    return _of_status(pid, "VmHWM")


def _of_status(pid: int, name: str) -> float:
    """Return a figure of a process in MB, 0 where the system does not say."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(name + ":")), 0.0)

"""Figures of a running server for Prometheus: requests, solves, jobs, what is kept, memory.

Every application has its own registry. Routes are named by their template, and whatever is no route shares one name,
so that strangers cannot make the list of figures long.
"""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 6, 10, 30, 60)
UNKNOWN_ROUTE = "none"

__all__ = ["CONTENT_TYPE_LATEST", "Metrics", "process_bytes"]


class Metrics:
    """The figures of one application."""

    def __init__(self, now: Mapping[str, tuple[str, Callable[[], float]]]) -> None:
        """Keep a registry; `now` names figures that are read when asked for: help text and how to read each."""
        self.registry = CollectorRegistry()
        here = self.registry
        by, route = ("route", "method", "status"), ("route",)
        self._requests = Counter("atlas_requests", "Requests answered.", by, registry=here)
        self._bytes = Counter("atlas_response_bytes", "Bytes of bodies sent.", route, registry=here)
        self._seconds = Histogram("atlas_request_seconds", "Time to answer.", route, buckets=BUCKETS_S, registry=here)
        words = "Connections closed before they made a whole request."
        self._refused = Counter("atlas_refused_connections", words, ("reason",), registry=here)
        children_words = "Memory of the processes that the server started."
        every = {**now, "atlas_children_memory_bytes": (children_words, lambda: float(_children_bytes()))}
        for name, (words, read) in every.items():
            Gauge(name, words, registry=here).set_function(read)
        ProcessCollector(registry=here)

    def observe(self, environ: Mapping[str, Any], status: int, sent: int, seconds: float) -> None:
        """Count a request."""
        route = str(environ.get("atlas.route") or UNKNOWN_ROUTE)
        method = str(environ.get("REQUEST_METHOD", ""))
        self._requests.labels(route, method if method in METHODS else "other", str(status)).inc()
        self._bytes.labels(route).inc(sent)
        self._seconds.labels(route).observe(seconds)

    def refused(self, reason: str) -> None:
        """Count a connection that was cut: one of a few reasons, never a client's text."""
        self._refused.labels(reason).inc()

    def text(self) -> bytes:
        """Return all figures in the text format of Prometheus."""
        return generate_latest(self.registry)


def _children_bytes() -> int:
    return sum(process_bytes(pid) for pid in children(os.getpid()))


def children(pid: int) -> Iterable[int]:
    """Return the processes that a process started, empty where the system does not say."""
    try:
        lists = [p.read_text() for p in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return []
    return [int(x) for text in lists for x in text.split()]


def process_bytes(pid: int) -> int:
    """Return the resident memory of a process, 0 where the system does not say."""
    try:
        found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return 1024 * int(found[1]) if found else 0

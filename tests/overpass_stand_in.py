"""An Overpass server on this machine that serves an invented region, and the same region as OSM XML."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import quoteattr

import numpy as np

STATUS = """Connected as: 1234
Current time: 2026-01-01T00:00:00Z
Announced endpoint: none
Rate limit: 2
{slots}
Currently running queries (pid, space limit, time limit, start time):
"""


class Region:
    """Ways of an invented region: nodes with ids, ways with tags."""

    def __init__(self) -> None:
        self.nodes: dict[int, tuple[float, float]] = {}
        self.ways: list[tuple[int, list[int], dict[str, str]]] = []

    def way(self, points: Any, **tags: str) -> list[int]:
        """Add a way through (lon, lat) points; a point that is there already is shared."""
        known = {xy: number for number, xy in self.nodes.items()}
        run = []
        for lon, lat in np.round(np.asarray(points, dtype=float), 6).tolist():
            number = known.setdefault((lon, lat), len(known) + 1001)
            self.nodes[number] = (lon, lat)
            run.append(number)
        self.ways.append((len(self.ways) + 501, run, tags))
        return run

    def answer(self, query: str) -> dict[str, Any]:
        """Return the elements an Overpass query of OSMnx asks for: ways of a key that meet the box of its polygon."""
        key, values = re.search(r'way\["(\w+)"~"\^\((.*?)\)\$"\]', query).groups()  # type: ignore[union-attr]
        lat, lon = np.array(re.search(r"poly:'([^']*)'", query).group(1).split(), dtype=float).reshape(-1, 2).T  # type: ignore[union-attr]
        hit, used = [], set()
        for number, run, tags in self.ways:
            xy = np.array([self.nodes[n] for n in run])
            inside = (xy >= (lon.min(), lat.min())).all(1) & (xy <= (lon.max(), lat.max())).all(1)
            if tags.get(key) in values.split("|") and inside.any():
                hit.append({"type": "way", "id": number, "nodes": run, "tags": tags})
                used |= set(run)
        nodes = [{"type": "node", "id": n, "lon": self.nodes[n][0], "lat": self.nodes[n][1]} for n in sorted(used)]
        return {"version": 0.6, "generator": "stand-in", "elements": nodes + hit}

    def xml(self) -> str:
        """Return the region as OSM XML."""
        nodes = [f'<node id="{n}" lat="{lat}" lon="{lon}"/>' for n, (lon, lat) in self.nodes.items()]
        ways = []
        for number, run, tags in self.ways:
            inner = "".join(f'<nd ref="{n}"/>' for n in run)
            inner += "".join(f"<tag k={quoteattr(k)} v={quoteattr(v)}/>" for k, v in tags.items())
            ways.append(f'<way id="{number}">{inner}</way>')
        return '<?xml version="1.0"?><osm version="0.6" generator="test">' + "".join(nodes + ways) + "</osm>"


def winding(start: tuple[float, float], end: tuple[float, float], steps: int = 40, sway: float = 0.008) -> np.ndarray:
    """Return points of a road that sways about the straight line."""
    share = np.linspace(0.0, 1.0, steps)[:, None]
    line = np.array(start) * (1 - share) + np.array(end) * share
    across = np.array([-(end[1] - start[1]), end[0] - start[0]])
    return line + np.sin(share * 5 * np.pi) * sway * across / np.linalg.norm(across)


class Server:
    """What the stand-in was asked, and how it misbehaves: a status code, `garbage`, `cut`, `empty`, `slow`, `odd`."""

    def __init__(self, region: Region) -> None:
        self.region, self.fault, self.slots = region, "", "2 slots available now."
        self.queries: list[str] = []
        self.status_asked, self.agents, self.at_once, self.most_at_once = 0, set[str](), 0, 0
        self.url = ""

    def body(self, query: str) -> tuple[int, bytes]:
        """Return status and body of the answer to a query."""
        if self.fault.isdigit():
            return int(self.fault), b"<html>no</html>"
        if self.fault == "slow":
            time.sleep(1.6)
        document = self.region.answer(query)
        if self.fault == "empty":
            document["elements"] = []
        if self.fault == "cut":
            document |= {"remark": "runtime error: Query timed out in \"query\" at line 1 after 180 seconds.", "elements": document["elements"][:9]}
        if self.fault == "odd":
            document["elements"] = [e for e in document["elements"] if e["type"] == "way"]
        text = json.dumps(document)
        return 200, (text[: len(text) // 2] if self.fault == "garbage" else text).encode()


@contextmanager
def serving(region: Region) -> Iterator[Server]:
    """Serve a region on a free port of this machine."""
    made = Server(region)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.status_asked += 1
            made.agents.add(self.headers["User-Agent"])
            self.give(200, STATUS.format(slots=made.slots).encode())

        def do_POST(self) -> None:
            made.at_once += 1
            made.most_at_once = max(made.most_at_once, made.at_once)
            made.agents.add(self.headers["User-Agent"])
            query = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())["data"][0]
            made.queries.append(query)
            answer = made.body(query)
            made.at_once -= 1
            self.give(*answer)

        def give(self, code: int, body: bytes) -> None:
            try:
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                pass  # the client has given up

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made.url = f"http://127.0.0.1:{server.server_address[1]}/api"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

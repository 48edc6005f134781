"""Hostile requests over a real server: each is refused in the shape of all errors and logged, and the server stays up."""

import http.client
import json
import logging
import random
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from small_study import small_study

from atlas import web, web_server
from atlas.config import settings

JSON = {"Content-Type": "application/json"}


class Target:
    """A running server, what it logged, and a way to ask it."""

    def __init__(self, study: Any) -> None:
        own = settings({}, max_request_bytes=200_000, receive_timeout_s=0.6, idle_timeout_s=0.6, shutdown_s=2.0)
        self.study = study
        self.server = web_server.Server(web.create_app(study, own), own, host="127.0.0.1", port=0)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.lines: list[dict[str, Any]] = []

    def ask(
        self, path: str, method: str = "GET", body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes, http.client.HTTPMessage]:
        """Send a request as it is, without tidying its address."""
        line = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        try:
            line.putrequest(method, path, skip_accept_encoding=True)
            for name, value in {"Accept": "application/json", **(headers or {})}.items():
                line.putheader(name, value)
            if body is not None and "Transfer-Encoding" not in (headers or {}):
                line.putheader("Content-Length", str(len(body)))
            line.endheaders(body)
            answer = line.getresponse()
            return answer.status, answer.read(), answer.headers
        finally:
            line.close()

    def raw(self, sent: bytes) -> bytes:
        """Send bytes and return all that comes back."""
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=10) as line:
            line.sendall(sent)
            found = b""
            try:
                while part := line.recv(65536):
                    found += part
            except ConnectionResetError:
                pass
            return found

    def line(self, request_id: str) -> dict[str, Any]:
        """Return what was logged of a request; its line may come a moment after the answer."""
        for _ in range(100):
            if found := [x for x in list(self.lines) if x.get("id") == request_id]:
                return found[0]
            time.sleep(0.02)
        raise AssertionError("the request was not logged")

    def alive(self) -> bool:
        """Return whether an ordinary request is answered."""
        return self.ask("/healthz")[0] == 200 and self.thread.is_alive()


class Lines(logging.Handler):
    """Takes in what is logged about requests."""

    def __init__(self, into: list[dict[str, Any]]) -> None:
        super().__init__()
        self.into = into

    def emit(self, record: logging.LogRecord) -> None:
        self.into.append(record.fields)  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    made = Target(small_study())
    handler, logger = Lines(made.lines), logging.getLogger("atlas.access")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    made.thread.start()
    yield made
    made.server.stop()
    made.thread.join(10)
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)
    assert not made.thread.is_alive()


def refused(target: Target, status: int, body: bytes, headers: Any, expected: set[int]) -> None:
    assert status in expected, body[:300]
    found = json.loads(body)
    assert set(found) == {"ok", "error", "problems", "status"}
    assert found["status"] == status
    assert found["problems"]
    line = target.line(headers["X-Request-Id"])
    assert line["status"] == status
    assert line["reason"]


# ---- paths

PATHS = [
    "/..%2f..%2fetc%2fpasswd", "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/static/../../pyproject.toml",
    "/static/..%2f..%2fpyproject.toml", "/static/x/..%5c..%5cweb.py", "/static/%00/atlas.css", "/%00", "/map%00.html", "/a%0d%0aSet-Cookie:x=1",
    "/%c0%ae%c0%ae/%c0%ae%c0%ae/etc/passwd", "/%ff%fe", "/%ed%a0%80", "/%f0%9f%a6%84", "/%", "/%zz", "/%u002e", "/api/layers/..%2f..%2fpyproject.toml.geojson",
    "/api/layers/%00.geojson", "/api/layers/.geojson", "/api/trace/..%2f..%2fetc", "/api/trace/%ff", "/api/trace/" + "x" * 5000, "/api/" + "a/" * 5000,
    "/api/trace/%3Cscript%3E", "/api//solve/../nothing", "/api/" + quote("ﷺ" * 500), "/api/*", "/api/solve;x=1", "/api/~root", "/api/solve/..;/",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS, ids=range(len(PATHS)))
def test_tricks_in_paths(target: Target, path: str) -> None:
    status, body, headers = target.ask(path)
    refused(target, status, body, headers, {400, 404})
    assert b"root:" not in body
    assert "Set-Cookie" not in headers
    assert target.alive()


def test_paths_of_slashes_lead_nowhere_else(target: Target) -> None:
    for path in ("//evil.example/%2f..", "///evil.example", "/\\evil.example"):
        status, _, headers = target.ask(path)
        assert status in (200, 400, 404)
        assert "Location" not in headers


# ---- queries

QUERIES = [
    "/api/solve?halt=%ff%fe", "/api/solve?%ff=1", "/api/solve?halt=%00", "/api/solve?halt=country:CHN%0d%0aX: y", "/api/solve?halt=%ed%a0%80",
    "/api/solve?bloc=us-allies&bloc=prc", "/api/solve?on=2025-01-01&on=2025-01-02", "/api/solve?halt=country:CHN@nan", "/api/solve?halt=country:CHN@1e999",
    "/api/solve?halt=country:CHN@-1", "/api/solve?halt=" + "x" * 5000, "/api/solve?" + "&".join(f"halt=facility:f{n}" for n in range(51)),
    "/api/solve?" + "&".join(f"halt=facility:f{n}" for n in range(2000)), "/api/solve?" + "a=1&" * 5000, "/api/solve?halt[]=country:CHN", "/api/solve?HALT=country:CHN",
    "/api/solve?__proto__=1", "/api/solve?halt=country:CHN%26halt%3Dx", "/api/solve?on=" + "9" * 400, "/api/solve?on=0000-00-00", "/api/solve?on=9999999-01-01",
    "/api/route?from=1e400,0&to=0,0", "/api/route?from=inf,nan&to=0,0", "/api/route?from=" + "1," * 90 + "&to=0,0", "/api/find?q=%00", "/api/find?q=" + "%F0%9F%A6%84" * 201,
    "/api/find?q=a&kind=" + quote("../../x"), "/api/solve?scenario=" + quote("../" * 60 + "etc/passwd"), "/api/solve?scenario=%2e%2e%2f", "/api/solve?open=" + quote("' OR 1=1 --"),
]  # fmt: skip


@pytest.mark.parametrize("path", QUERIES, ids=range(len(QUERIES)))
def test_tricks_in_queries(target: Target, path: str) -> None:
    status, body, headers = target.ask(path.replace(" ", "%20"))
    refused(target, status, body, headers, {400})
    assert target.alive()


def test_ten_thousand_halts_in_an_address(target: Target) -> None:
    status, body, headers = target.ask("/api/solve?" + "&".join(f"halt=facility:f{n}" for n in range(10_000)))
    refused(target, status, body, headers, {431})
    assert "65536" in json.loads(body)["error"]
    assert target.alive()


# ---- bodies


def deep(n: int) -> bytes:
    return b'{"a":' * n + b"1" + b"}" * n


BODIES: list[tuple[bytes, dict[str, str], set[int]]] = [
    (b"", JSON, {400}), (b"\x00" * 1000, JSON, {400}), (b"\xff\xfe{\x00}\x00", JSON, {400}), (b"\xef\xbb\xbf{}", JSON, {400}), (b'{"name": "\xed\xa0\x80"}', JSON, {400}),
    (b'{"name": "\\ud800"}', JSON, {400}), (b'{"days": NaN}', JSON, {400}), (b'{"days": -Infinity}', JSON, {400}), (b'{"days": 1e400}', JSON, {400}),
    (b'{"days": ' + b"9" * 5000 + b"}", JSON, {400}), (deep(19_000), JSON, {400}), (b"[" * 199_000, JSON, {400}), (deep(21), JSON, {400}),
    (b'{"halt": [' + b",".join(b'{"spec": "facility:f%d"}' % n for n in range(6000)) + b"]}", JSON, {400}),
    (b'{"halt": [' + b",".join(b'{"spec": "facility:f%d"}' % n for n in range(10_000)) + b"]}", JSON, {413}),
    (b"{" + b",".join(b'"k%d": 1' % n for n in range(10_000)) + b"}", JSON, {400}), (b'{"name": 1, "name": 2}', JSON, {400}), (b'"' + b"x" * 300_000 + b'"', JSON, {413}),
    (b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><x>&e;</x>", {"Content-Type": "application/xml"}, {400}),
    (b"halt=country:CHN", {"Content-Type": "application/x-www-form-urlencoded"}, {400}), (b'{"halt": []}', {"Content-Type": "text/plain"}, {400}),
    (b"--b\r\nContent-Disposition: form-data; name=x; filename=../../x\r\n\r\nx\r\n--b--\r\n", {"Content-Type": "multipart/form-data; boundary=b"}, {400}),
    (b"--" * 50_000, {"Content-Type": "multipart/form-data; boundary=b"}, {400}), (b"cos\nsystem\n(S'id'\ntR.", {"Content-Type": "application/python-pickle"}, {400}),
    (b"\x1f\x8b\x08\x00" + b"\x00" * 100, {**JSON, "Content-Encoding": "gzip"}, {400}), (b'{"halt": [{"spec": "passage:malacca"}]}', {"Content-Type": "application/json; charset=utf-16"}, {200}),
    (b"{}", {"Content-Type": "x" * 5000}, {400}), (b"5\r\n{\"x\":\r\n", {**JSON, "Transfer-Encoding": "chunked"}, {400}), (b"zz\r\n{}\r\n0\r\n\r\n", {**JSON, "Transfer-Encoding": "chunked"}, {400}),
]  # fmt: skip


@pytest.mark.parametrize(("body", "headers", "expected"), BODIES, ids=range(len(BODIES)))
def test_tricks_in_bodies(target: Target, body: bytes, headers: dict[str, str], expected: set[int]) -> None:
    if body.startswith(b"5\r\n"):  # half a chunk: nothing to answer, the connection is closed in time
        head = b"POST /api/solve HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert target.raw(head + body) == b""
        assert target.lines[-1]["cut"] == "slow"
    else:
        status, answer, sent = target.ask("/api/solve", "POST", body, headers)
        if expected == {200}:
            assert status == 200
        else:
            refused(target, status, answer, sent, expected)
    assert target.alive()


# ---- methods and whole requests


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "BREW", "X" * 100])
def test_other_methods_are_named(target: Target, method: str) -> None:
    status, body, headers = target.ask("/api/solve", method)
    refused(target, status, body, headers, {405})
    assert {"GET", "POST"} <= set(headers["Allow"].split(", "))


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n\r\n\r\nGARBAGE\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\nX: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nX\x00Y: z\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /api/solve HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/solve HTTP/1.1\r\nHost: x\r\nContent-Length: 3, 4\r\n\r\n{}",
        b"POST /api/solve HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_requests_that_are_none(target: Target, sent: bytes) -> None:
    answer = target.raw(sent)
    assert answer == b"" or 200 <= int(answer.split(b" ", 2)[1]) < 500, answer[:200]
    assert b"evil.example" not in answer.partition(b"\r\n\r\n")[0]
    assert target.alive()


def test_hosts_are_not_believed(target: Target) -> None:
    for host in ("evil.example", 'x"><script>', "a" * 5000, "[::1", "127.0.0.1:99999999"):
        head = f"GET / HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Host: evil.example\r\nForwarded: host=evil.example\r\nConnection: close\r\n\r\n"
        answer = target.raw(head.encode())
        assert int(answer.split(b" ", 2)[1]) in (200, 400, 404)
        assert b"evil.example" not in answer
        assert b"<script>" not in answer.partition(b"\r\n\r\n")[0]


def test_noise_of_all_kinds(target: Target) -> None:
    """Random bytes, and requests with a byte changed: whatever it is, it is no fault of the server."""
    chance = random.Random(20260607)
    whole = b'POST /api/solve?bloc=us-allies HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: 44\r\n\r\n{"halt": [{"spec": "country:CHN/magnet@0.5"}]}'
    for n in range(150):
        if n % 3 == 0:
            sent = chance.randbytes(chance.randrange(1, 400)) + b"\r\n\r\n"
        else:
            bad = bytearray(whole)
            for _ in range(chance.randrange(1, 4)):
                bad[chance.randrange(len(bad))] = chance.randrange(256)
            sent = bytes(bad)
        with socket.create_connection(("127.0.0.1", target.server.port), timeout=10) as line:
            line.sendall(sent)
            line.settimeout(0.05)
            try:
                answer = line.recv(65536)
            except (TimeoutError, ConnectionResetError):
                continue
        assert not answer or int(answer.split(b" ", 2)[1]) < 502, answer[:200]
        assert not answer or int(answer.split(b" ", 2)[1]) != 500, (sent, answer[:200])
    assert target.alive()


def test_nothing_above_was_a_fault(target: Target) -> None:
    """Runs last: no request of this file ended in 500."""
    assert len(target.lines) > 100
    assert not [x for x in target.lines if x.get("status") == 500]

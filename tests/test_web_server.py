"""The server: codings, headers, limits, log, metrics, slow clients and a clean end; over sockets where it matters."""

import contextlib
import gzip
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import brotli
import pytest
from fake_outcome import FakeStudy, fake_study
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from atlas import config, web, web_log, web_server
from atlas.config import SETTINGS, settings
from atlas.errors import BadInput
from atlas.web_documents import Document, Kept
from atlas.web_errors import TooMany
from atlas.web_limits import asker

HERE = Path(__file__).resolve().parent
MAGNET = "/map?halt=country:CHN/magnet"


@pytest.fixture
def study() -> FakeStudy:
    return fake_study()


@pytest.fixture(scope="module")
def client() -> FlaskClient:
    """A client for what only reads, shared by all tests that have no settings of their own."""
    return client_with(fake_study())


class WholeAnswers(FlaskClient):
    """Takes answers in whole, as a server does: only then is a request over, counted and logged."""

    def open(self, *args: Any, **kwargs: Any) -> Any:
        return super().open(*args, **{"buffered": True, **kwargs})


def client_with(study: FakeStudy, **changed: Any) -> FlaskClient:
    return client_of(web.create_app(study, settings({}, **changed)))


def client_of(app: Flask) -> FlaskClient:
    app.test_client_class = WholeAnswers
    return app.test_client()


@contextlib.contextmanager
def served(study: FakeStudy, **changed: Any) -> Iterator[tuple[web_server.Server, Any]]:
    """Run a server in a thread: the server and its application."""
    own = settings({}, **{"shutdown_s": 2.0, **changed})
    app = web.create_app(study, own)
    server = web_server.Server(app, own, host="127.0.0.1", port=0)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield server, app
    finally:
        server.stop()
        thread.join(10)
        assert not thread.is_alive()


def talk(port: int, sent: bytes, wait_s: float = 5.0) -> bytes:
    """Send bytes to a server and return all that comes until it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=wait_s) as line:
        line.sendall(sent)
        return heard(line)


def heard(line: socket.socket) -> bytes:
    """Return all that comes until the other side closes; fails where it does not in time."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while part := line.recv(65536):
            found += part
    return found


def lines_of(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """Return the fields of what was logged about requests and connections."""
    return [r.fields for r in caplog.records if r.name == "atlas.access"]  # type: ignore[attr-defined]


# ---- codings and tags


@pytest.mark.parametrize(
    ("accepts", "coding"),
    [
        (None, "identity"), ("", "identity"), ("identity", "identity"), ("deflate", "identity"), ("gzip", "gzip"), ("br", "br"),
        ("gzip, deflate, br", "br"), ("gzip;q=1.0, br;q=0.5", "gzip"), ("br;q=0, gzip", "gzip"), ("*", "br"), ("*;q=0.5, br;q=0", "gzip"),
        ("gzip;q=0.5, identity", "identity"), ("br;q=0, *;q=0", "identity"), ("GZIP", "gzip"),
    ],
)  # fmt: skip
def test_coding_is_what_the_client_likes_best(client: FlaskClient, accepts: str | None, coding: str) -> None:
    plain = client.get("/about").data
    response = client.get("/about", headers={"Accept-Encoding": accepts} if accepts is not None else {})
    assert response.headers.get("Content-Encoding", "identity") == coding
    unpack = {"br": brotli.decompress, "gzip": gzip.decompress, "identity": bytes}[coding]
    assert unpack(response.data) == plain
    assert response.headers["Vary"] == "Accept-Encoding"
    assert int(response.headers["Content-Length"]) == len(response.data)


def test_each_coding_has_its_tag_and_is_known_by_it(client: FlaskClient) -> None:
    tags = {}
    for coding in ("identity", "gzip", "br"):
        headers = {"Accept-Encoding": coding}
        tags[coding] = client.get(MAGNET, headers=headers).headers["ETag"]
        again = client.get(MAGNET, headers={**headers, "If-None-Match": tags[coding]})
        assert again.status_code == 304
        assert not again.data
        assert again.headers["Vary"] == "Accept-Encoding"
        assert again.headers["Content-Security-Policy"], "headers of a page hold for what is known too"
    assert len(set(tags.values())) == 3
    assert client.get(MAGNET, headers={"Accept-Encoding": "br", "If-None-Match": tags["gzip"]}).status_code == 200


def test_small_answers_are_not_packed(client: FlaskClient) -> None:
    response = client.get("/api/find?q=nothinglikethis", headers={"Accept-Encoding": "br"})
    assert response.data == b"[]"
    assert "Content-Encoding" not in response.headers


def test_documents_are_packed_once() -> None:
    document = Document.of("word " * 5000, "text/plain")
    assert document.body == b"word " * 5000
    assert document.size < 1000, "only the packed form is kept"
    assert document.packed("gzip") is document.packed("gzip")
    assert document.packed("br") is document.packed("br")
    assert document.coding(parse_accept_header("br;q=0.2, gzip;q=0.3", MIMEAccept)) == "gzip"


def test_kept_documents_stay_within_their_bytes() -> None:
    kept = Kept(10_000)
    for n in range(100):
        kept.get(n, lambda: Document.of(os.urandom(1500), "application/octet-stream"))
    assert kept.size <= 10_000
    assert len(kept) == 6
    assert (kept.hits, kept.misses) == (0, 100)


def test_what_many_ask_for_at_once_is_made_once() -> None:
    kept, made, gate = Kept(10_000), [], threading.Event()

    def slow() -> Document:
        gate.wait(5)
        made.append(1)
        return Document.of("x", "text/plain")

    found: list[Document] = []
    threads = [threading.Thread(target=lambda: found.append(kept.get("key", slow))) for _ in range(8)]
    for t in threads:
        t.start()
    time.sleep(0.1)
    gate.set()
    for t in threads:
        t.join(5)
    assert len(made) == 1
    assert len(found) == 8
    assert len({id(f) for f in found}) == 1


def test_a_failure_is_shared_but_not_kept() -> None:
    kept = Kept(10_000)

    def fails() -> Document:
        raise BadInput("no")

    with pytest.raises(BadInput):
        kept.get("key", fails)
    assert kept.get("key", lambda: Document.of("yes", "text/plain")).body == b"yes"


def test_somebody_elses_limit_is_not_mine() -> None:
    kept, inside, gate, found = Kept(10_000), threading.Event(), threading.Event(), []

    def theirs() -> Document:
        inside.set()
        gate.wait(5)
        raise TooMany("used up")

    def ask() -> None:
        with pytest.raises(TooMany):
            kept.get("key", theirs)

    def mine() -> None:
        found.append(kept.get("key", lambda: Document.of("mine", "text/plain")).body)

    first = threading.Thread(target=ask)
    first.start()
    inside.wait(5)
    second = threading.Thread(target=mine)
    second.start()
    time.sleep(0.1)
    gate.set()
    first.join(5)
    second.join(5)
    assert found == [b"mine"]


def test_head_and_options(client: FlaskClient) -> None:
    for path in ("/", MAGNET, "/api/solve", "/api/layers/ports.geojson", "/healthz"):
        got, head = client.get(path), client.head(path)
        assert (head.status_code, head.data) == (200, b"")
        assert head.headers["Content-Length"] == got.headers["Content-Length"]
        assert head.headers.get("ETag") == got.headers.get("ETag")
        options = client.options(path)
        assert options.status_code == 200
        assert {"GET", "HEAD", "OPTIONS"} <= set(options.headers["Allow"].split(", "))
    assert "POST" in client.options("/api/solve").headers["Allow"]
    assert client.put("/map").headers["Allow"] == "GET, HEAD, OPTIONS"


# ---- headers


@pytest.mark.parametrize("path", ["/", MAGNET, "/api/solve", "/nope", "/healthz", "/metrics"])
def test_every_answer_carries_the_guards(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["X-Frame-Options"] == "SAMEORIGIN"
    assert "base-uri 'none'" in headers["Content-Security-Policy"]
    assert "frame-ancestors" in headers["Content-Security-Policy"]
    assert "camera=()" in headers["Permissions-Policy"]
    assert re.fullmatch(r"[0-9a-f]{16}", headers["X-Request-Id"])
    assert "Strict-Transport-Security" not in headers, "the connection is not encrypted"


def test_strict_transport_only_behind_tls(study: FakeStudy) -> None:
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9"}
    assert "Strict-Transport-Security" not in client_with(study).get("/about", headers=forwarded).headers
    headers = client_with(study, trusted_proxies=1).get("/about", headers=forwarded).headers
    assert headers["Strict-Transport-Security"].startswith("max-age=")


def test_pages_for_other_sites_are_not_forbidden_to_be_shown_there(study: FakeStudy) -> None:
    app = web.create_app(study, settings({}))
    policy = "default-src 'none'; frame-ancestors *"

    @app.get("/embed/test")
    def embedded() -> Any:
        return app.extensions["atlas"].send(
            Document.of("<p>x</p>", "text/html", (("Content-Security-Policy", policy),))
        )

    client = client_of(app)
    first = client.get("/embed/test")
    known = client.get("/embed/test", headers={"If-None-Match": first.headers["ETag"]})
    assert known.status_code == 304
    for headers in (first.headers, known.headers):
        assert headers["Content-Security-Policy"] == policy
        assert "X-Frame-Options" not in headers
        assert headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert client_of(app).get("/embed/other").headers["X-Frame-Options"] == "SAMEORIGIN", (
        "a refusal is no page to embed"
    )


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://localhost"}, 200),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://localhost.evil.example"}, 403),
        ({"Origin": "http://localhost:81"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_other_sites_change_nothing(client: FlaskClient, headers: dict[str, str], status: int) -> None:
    response = client.post("/api/solve", json={"halt": [{"spec": "country:CHN"}]}, headers=headers)
    assert response.status_code == status
    assert client.get("/api/solve?halt=country:CHN", headers=headers).status_code == 200, "reading is for all"
    if status == 403:
        assert response.get_json()["status"] == 403


# ---- limits


def test_requests_a_minute(study: FakeStudy) -> None:
    client = client_with(study, requests_per_minute=3)
    codes = [client.get("/about").status_code for _ in range(5)]
    assert codes == [200, 200, 200, 429, 429]
    refused = client.get("/api/find?q=lynas")
    assert int(refused.headers["Retry-After"]) > 0
    assert "3 requests a minute" in refused.get_json()["error"]
    assert client.get("/about", environ_base={"REMOTE_ADDR": "192.0.2.7"}).status_code == 200, (
        "each address has its own"
    )


def test_addresses_behind_a_proxy_are_told_apart_only_where_it_is_trusted(study: FakeStudy) -> None:
    def codes(**changed: Any) -> list[int]:
        client = client_with(study, requests_per_minute=1, **changed)
        return [client.get("/about", headers={"X-Forwarded-For": f"203.0.113.{n}"}).status_code for n in (1, 2)]

    assert codes() == [200, 429]
    assert codes(trusted_proxies=1) == [200, 200]


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("unix", "unix"),
    ],
)
def test_who_is_counted(address: str, counted: str) -> None:
    assert asker(address) == counted


def test_any_request_past_its_time_is_504_and_what_it_made_is_kept(study: FakeStudy) -> None:
    app, drawn = web.create_app(study, settings({}, request_time_limit_s=0.2)), []
    atlas = app.extensions["atlas"]

    def make() -> Document:
        drawn.append(1)
        time.sleep(0.5)
        return Document.of("drawn", "text/plain")

    @app.get("/slow")
    def slow() -> Any:
        return atlas.send(atlas.answers.documents.get("slow", make))

    client = client_of(app)
    late = client.get("/slow", headers={"Accept": "application/json"})
    assert late.status_code == 504
    assert "0.2 s" in late.get_json()["error"]
    assert int(late.headers["Retry-After"]) > 0
    assert late.headers["X-Content-Type-Options"] == "nosniff"
    assert client.get("/about").status_code == 200, "others are answered"
    time.sleep(0.6)
    assert client.get("/slow").text == "drawn"
    assert len(drawn) == 1


def test_late_requests_take_up_only_so_many_threads(study: FakeStudy) -> None:
    study.delay_s = 1.0
    client = client_with(study, request_time_limit_s=0.02, solve_slots=1, solve_queue=1)
    codes = [client.get(MAGNET).status_code for _ in range(40)]
    assert set(codes) == {503, 504}
    assert codes.count(504) <= 1 + 1 + web_server.SPARE_THREADS + 8
    time.sleep(1.2)
    assert client.get(MAGNET).status_code == 200


def test_who_would_wait_too_long_is_refused_at_once(study: FakeStudy) -> None:
    study.delay_s = 0.3
    app = web.create_app(study, settings({}, solve_slots=1, solve_queue=20, solve_wait_s=0.8))
    assert client_of(app).get("/api/solve?halt=facility:first").status_code == 200
    codes: list[int] = []
    threads = [
        threading.Thread(
            target=lambda n=n: codes.append(client_of(app).get(f"/api/solve?halt=facility:f{n}").status_code)
        )
        for n in range(8)
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert set(codes) == {200, 503}
    assert 2 <= codes.count(200) <= 4


def test_who_has_waited_too_long_makes_room(study: FakeStudy) -> None:
    """Before the pace is known all are let in; those whose turn comes too late are told so, and nothing is solved."""
    study.delay_s = 0.5
    app = web.create_app(study, settings({}, solve_slots=1, solve_queue=20, solve_wait_s=0.75))
    codes: list[int] = []
    threads = [
        threading.Thread(
            target=lambda n=n: codes.append(client_of(app).get(f"/api/solve?halt=facility:f{n}").status_code)
        )
        for n in range(6)
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert set(codes) == {200, 503}
    assert len(study.solved) == codes.count(200) <= 2


def test_waitress_takes_the_options() -> None:
    own = settings({}, max_header_bytes=1000, max_connections=7, trusted_proxies=1)
    options = web.waitress_options(own)
    assert options["connection_limit"] == 7
    assert options["max_request_header_size"] == 1000
    assert options["clear_untrusted_proxy_headers"] is False


# ---- real sockets


def test_half_a_header_is_cut(study: FakeStudy, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), served(study, receive_timeout_s=0.5) as (server, app):
        start = time.monotonic()
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as line:
            line.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
            for _ in range(20):  # a byte now and then does not keep it open
                time.sleep(0.1)
                try:
                    line.sendall(b"X")
                except OSError:
                    break
            assert heard(line) == b""
        assert 0.4 < time.monotonic() - start < 4
        assert urllib.request.urlopen(f"http://127.0.0.1:{server.port}/about", timeout=5).status == 200
        figures = client_of(app).get("/metrics").text
    assert 'atlas_refused_connections_total{reason="slow"} 1.0' in figures
    cut = [x for x in lines_of(caplog) if x.get("cut")]
    assert cut[0]["address"] == "127.0.0.1"
    assert "0.5 s" in cut[0]["reason"]


def test_half_a_body_is_cut_and_named(study: FakeStudy, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), served(study, receive_timeout_s=0.4) as (server, _):
        assert talk(server.port, b'POST /api/solve HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"na') == b""
    cut = [x for x in lines_of(caplog) if x.get("cut")]
    assert (cut[0]["method"], cut[0]["path"]) == ("POST", "/api/solve")
    assert study.solved == []


def test_an_idle_connection_is_closed(study: FakeStudy) -> None:
    with served(study, idle_timeout_s=0.4) as (server, _):
        assert talk(server.port, b"") == b""
        answer = talk(server.port, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 ")


def test_a_slow_client_holds_nobody_up(study: FakeStudy) -> None:
    with served(study, receive_timeout_s=30.0) as (server, _):
        lines = [socket.create_connection(("127.0.0.1", server.port), timeout=5) for _ in range(60)]
        for line in lines:
            line.sendall(b"GET / HTTP/1.1\r\nHo")
        start = time.monotonic()
        assert urllib.request.urlopen(f"http://127.0.0.1:{server.port}/healthz", timeout=5).status == 200
        assert time.monotonic() - start < 2
        for line in lines:
            line.close()


def test_who_does_not_read_holds_nobody_up(study: FakeStudy) -> None:
    with served(study, solve_slots=1, solve_queue=0) as (server, app):
        large = Document.of(os.urandom(17_000_000), "application/octet-stream")
        app.add_url_rule("/large", "large", lambda: app.extensions["atlas"].send(large))
        lines = [socket.create_connection(("127.0.0.1", server.port), timeout=5) for _ in range(9)]
        assert len(lines) > len(server.dispatcher.threads)
        for line in lines:
            line.sendall(3 * b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")  # one after another on one line
        time.sleep(0.5)
        assert urllib.request.urlopen(f"http://127.0.0.1:{server.port}/healthz", timeout=5).status == 200
        for line in lines:
            line.close()


def test_connections_of_one_address_are_limited(study: FakeStudy) -> None:
    with served(study, connections_per_address=3) as (server, app):
        lines = [socket.create_connection(("127.0.0.1", server.port), timeout=5) for _ in range(5)]
        time.sleep(0.3)
        closed = 0
        for line in lines:
            line.settimeout(0.2)
            with contextlib.suppress(TimeoutError):
                closed += line.recv(1) == b""
        assert closed == 2
        for line in lines:
            line.close()
        assert 'reason="connections"} 2.0' in client_of(app).get("/metrics").text


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 5000 + b"\r\n\r\n", 431),
        (b"POST /api/solve HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n", 413),
        (b"POST /api/solve HTTP/1.1\r\nHost: x\r\nContent-Length: nonsense\r\n\r\n", 400),
        (b"POST /api/solve HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    ],
)
def test_what_is_no_request_is_refused_in_the_shape_of_all_errors(
    study: FakeStudy, caplog: pytest.LogCaptureFixture, sent: bytes, status: int
) -> None:
    with caplog.at_level(logging.INFO), served(study, max_header_bytes=2000) as (server, _):
        head, _, body = talk(server.port, sent).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.")
        assert head.split()[1] == str(status).encode()
        found = json.loads(body)
        assert set(found) == {"ok", "error", "problems", "status"}
        assert found["status"] == status
        assert b"X-Content-Type-Options: nosniff" in head
        assert urllib.request.urlopen(f"http://127.0.0.1:{server.port}/healthz", timeout=5).status == 200
    refused = next(x for x in lines_of(caplog) if x["status"] == status)
    assert refused["reason"]


def test_who_sends_too_much_still_reads_why(study: FakeStudy) -> None:
    with served(study, max_request_bytes=1000) as (server, _):
        answer = talk(
            server.port, b"POST /api/solve HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n" + b"x" * 5_000_000
        )
        assert answer.startswith(b"HTTP/1.1 413 ")
        chunks = b"".join(b"1000\r\n" + b"x" * 4096 + b"\r\n" for _ in range(100)) + b"0\r\n\r\n"
        answer = talk(
            server.port, b"POST /api/solve HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
        )
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["status"] == 413
    assert study.solved == []


def test_chunks_without_a_length_are_read(study: FakeStudy) -> None:
    body = b'{"halt": [{"spec": "country:CHN/magnet"}]}'
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    with served(study) as (server, _):
        answer = talk(
            server.port,
            b"POST /api/solve HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            + chunked,
        )
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert study.solved == [("country:CHN/magnet",)]


# ---- log


def test_one_line_a_request(study: FakeStudy, caplog: pytest.LogCaptureFixture) -> None:
    client = client_with(study)
    with caplog.at_level(logging.INFO):
        first, second, bad = client.get(MAGNET), client.get(MAGNET), client.get("/map?halt=country:CNH")
    lines = lines_of(caplog)
    assert [x["status"] for x in lines] == [200, 200, 400]
    assert [x["cached"] for x in lines] == [False, True, None]
    assert lines[0]["id"] == first.headers["X-Request-Id"] != second.headers["X-Request-Id"]
    assert lines[0]["bytes"] == len(first.data)
    assert (lines[0]["method"], lines[0]["path"], lines[0]["query"]) == ("GET", "/map", "halt=country:CHN/magnet")
    assert lines[0]["ms"] > 0
    assert "nearest: CHN" in lines[2]["reason"]
    assert bad.status_code == 400


def test_nobody_writes_lines_of_their_own(study: FakeStudy, tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    own = settings({}, log_file=str(file))
    before = logging.getLogger().level
    web_log.set_up(own)
    try:
        client = client_of(web.create_app(study, own))
        client.get('/a%0a{"time": "forged"}%0d%1b[31m\u2028')
        client.get("/map?halt=" + "x" * 5000)
        client.get("/api/solve?halt=%ff%0aforged")
        client.get("/about", headers={"X-Request-Id": "forged"})
        logging.getLogger("waitress").warning("from the\nserver")
    finally:
        web_log.set_up(settings({}, log_file="off"))
        logging.captureWarnings(False)
        logging.getLogger().setLevel(before)
    raw = file.read_bytes()
    assert all(byte == 10 or 32 <= byte < 127 for byte in raw)
    lines = [json.loads(x) for x in raw.decode().splitlines()]
    assert len(lines) == 5
    assert all(x["time"].endswith("Z") for x in lines)
    assert lines[0]["path"].startswith('/a\n{"time"')
    assert len(lines[1]["query"]) < 350
    assert lines[3]["id"] != "forged"
    assert lines[4] == {**lines[4], "logger": "waitress", "level": "warning", "message": "from the\nserver"}


def test_ids_of_a_trusted_proxy_are_taken_over(study: FakeStudy) -> None:
    client = client_with(study, trusted_proxies=1)
    assert client.get("/about", headers={"X-Request-Id": "edge-77.a"}).headers["X-Request-Id"] == "edge-77.a"
    assert client.get("/about", headers={"X-Request-Id": "a b\tc"}).headers["X-Request-Id"] != "a b\tc"


def test_a_fault_names_its_request(study: FakeStudy, caplog: pytest.LogCaptureFixture) -> None:
    study.fails = RuntimeError("secret of the house")
    response = client_with(study).get("/api/solve?halt=facility:b")
    assert response.status_code == 500
    assert response.headers["X-Request-Id"] in response.get_json()["error"]
    record = next(r for r in caplog.records if r.name == "atlas.web")
    assert record.fields["id"] == response.headers["X-Request-Id"]  # type: ignore[attr-defined]
    line = json.loads(web_log.JsonLines().format(record))
    assert "secret of the house" in line["traceback"]


def test_a_log_that_cannot_be_written_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="log_file"):
        web_log.set_up(settings({}, log_file=str(tmp_path / "no" / "such" / "folder")))
    web_log.set_up(settings({}, log_file="off"))
    logging.captureWarnings(False)
    logging.getLogger().setLevel(logging.WARNING)


# ---- metrics


def test_metrics(study: FakeStudy) -> None:
    client = client_with(study)
    for path in (MAGNET, MAGNET, "/nope/1", "/nope/2", "/api/layers/ports.geojson"):
        client.get(path)
    client.open("/about", method="BREW")
    response = client.get("/metrics")
    assert response.headers["Content-Type"].startswith("text/plain; version=")
    text = response.text
    assert 'atlas_requests_total{method="GET",route="/map",status="200"} 2.0' in text
    assert 'atlas_requests_total{method="GET",route="none",status="404"} 2.0' in text
    assert 'method="other",route="none",status="405"} 1.0' in text
    assert 'route="/api/layers/<name>' in text
    assert "nope" not in text
    assert 'atlas_request_seconds_bucket{le="+Inf",route="/map"} 2.0' in text
    assert "atlas_solves_done 2.0" in text
    assert "atlas_kept_hits 1.0" in text
    for name in (
        "atlas_response_bytes_total",
        "atlas_solves_running",
        "atlas_solves_waiting",
        "atlas_jobs_unfinished",
        "atlas_kept_bytes",
    ):
        assert f"\n{name}" in text
    if Path("/proc/self/status").exists():
        assert "process_resident_memory_bytes" in text
    assert "atlas_requests_total{" not in client_with(fake_study()).get("/metrics").text, "applications share nothing"


def test_metrics_can_be_off(study: FakeStudy) -> None:
    assert client_with(study, metrics=False).get("/metrics").status_code == 404


# ---- the end


def test_stop_finishes_what_is_under_way(study: FakeStudy) -> None:
    study.delay_s = 0.8
    answers: list[bytes] = []
    with served(study, shutdown_s=5.0) as (server, _):
        asked = b"GET /api/solve?halt=facility:a HTTP/1.1\r\nHost: x\r\n\r\n"
        thread = threading.Thread(target=lambda: answers.append(talk(server.port, asked)))
        thread.start()
        time.sleep(0.3)
        server.stop()
        time.sleep(0.2)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port), timeout=1)
        thread.join(5)
    assert answers[0].startswith(b"HTTP/1.1 200 ")


def test_stop_does_not_wait_for_ever(study: FakeStudy) -> None:
    study.delay_s = 3.0
    with (
        served(study, shutdown_s=0.3) as (server, _),
        socket.create_connection(("127.0.0.1", server.port), timeout=5) as line,
    ):
        line.sendall(b"GET /api/solve?halt=facility:a HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.2)
        start = time.monotonic()
        server.stop()
        assert heard(line) == b""
        assert time.monotonic() - start < 2


SCRIPT = """
import sys, time
sys.path[:0] = sys.argv[1:3]
from fake_outcome import fake_study
from atlas import web
from atlas.config import settings
study = fake_study()
study.delay_s = 0.6
web.serve(study, settings=settings({}, port=int(sys.argv[3]), solver_process=False, shutdown_s=10.0))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_signal_ends_a_process_cleanly(number: int) -> None:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(HERE), str(HERE.parent), str(port)], stderr=subprocess.PIPE, text=True
    )
    answers: list[bytes] = []
    try:
        wait_for(port, process)
        asked = b"GET /api/solve?halt=facility:a HTTP/1.1\r\nHost: x\r\n\r\n"
        thread = threading.Thread(target=lambda: answers.append(talk(port, asked, wait_s=20)))
        thread.start()
        time.sleep(0.4)
        process.send_signal(number)
        thread.join(20)
        _, said = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0
    assert answers[0].startswith(b"HTTP/1.1 200 "), "what was under way is finished"
    lines = [json.loads(x) for x in said.splitlines()]
    assert any("1 requests under way" in x.get("message", "") for x in lines)
    assert any(x.get("path") == "/api/solve" and x["status"] == 200 for x in lines)


@pytest.mark.slow
def test_atlas_serve_ends_with_its_solver_and_its_jobs() -> None:
    """The command itself over the shipped layers, with long work under way."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "atlas", "serve", "--port", str(port)],
        stderr=subprocess.PIPE, text=True, env=os.environ | {"ATLAS_SHUTDOWN_S": "5"},
    )  # fmt: skip
    try:
        wait_for(port, process)
        base = f"http://127.0.0.1:{port}"
        assert urllib.request.urlopen(f"{base}/api/solve?halt=passage:malacca", timeout=60).status == 200
        assert urllib.request.urlopen(f"{base}/chokepoints?bloc=us-allies&size=2", timeout=60).status in (200, 202)
        time.sleep(2)
        children = set(descendants(process.pid))
        assert children, "a solver at least"
        start = time.monotonic()
        process.terminate()
        _, said = process.communicate(timeout=30)
        assert time.monotonic() - start < 15
    finally:
        process.kill()
    assert process.returncode == 0, said[-1000:]
    time.sleep(3)
    left = [pid for pid in children if Path(f"/proc/{pid}").exists() and not zombie(pid)]
    assert not left, f"processes left over: {left}"


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5)
            return
        time.sleep(0.05)
    raise AssertionError("the server did not start")


def descendants(pid: int) -> list[int]:
    from atlas.web_metrics import children

    found = list(children(pid))
    return found + [d for c in found for d in descendants(c)]


def zombie(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return ") Z" in Path(f"/proc/{pid}/stat").read_text()
    return True


# ---- settings


def test_docs_list_every_setting_with_its_default() -> None:
    text = (HERE.parent / "docs" / "web.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(ATLAS_\w+)` \| ([^|]+) \|", text, flags=re.MULTILINE))
    said = {name: value.strip().strip("`") for name, value in rows.items()}
    expected = {f"ATLAS_{n.upper()}": shown(d) for n, d, _, _ in SETTINGS}
    assert said == expected


def shown(default: Any) -> str:
    if isinstance(default, bool):
        return "on" if default else "off"
    if isinstance(default, int):
        return f"{default:,}"
    return f"{default:,g}" if isinstance(default, float) else default or "empty"


def test_defaults_stand_in_one_table() -> None:
    assert config.Settings() == settings({})

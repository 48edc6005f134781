"""The server behind `atlas serve`: waitress with deadlines for slow clients, refusals in one shape, and a clean end."""

import contextlib
import ctypes
import gc
import json
import logging
import signal
import socket
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, ThreadedTaskDispatcher, WSGITask

from atlas.config import Settings
from atlas.web_errors import Failure, of_ogc
from atlas.web_headers import CLOSED_POLICY, SECURITY_HEADERS
from atlas.web_log import access, new_id, request_line, text

log = logging.getLogger("atlas.server")

DISCARD_S, DISCARD_BYTES = 2.0, 20_000_000  # what a refused client may go on sending, so that it reads why
SPARE_THREADS = 6  # for pages beside the solves

_M_ARENA_MAX = -8  # of malloc.h

Refused = Callable[[str], None]


def waitress_options(settings: Settings) -> dict[str, Any]:
    """Return how waitress runs the atlas: threads for pages beside the solves, limits on what a client may send."""
    return {
        "threads": settings.solve_slots + settings.solve_queue + SPARE_THREADS,
        "ident": "atlas",
        "max_request_body_size": 10 * settings.max_request_bytes,  # below this the application refuses and says why
        "max_request_header_size": settings.max_header_bytes,
        "connection_limit": settings.max_connections,
        "backlog": min(settings.max_connections, 1024),
        "channel_timeout": max(1, round(settings.idle_timeout_s)),  # whole seconds; `Listener` keeps the very limit
        "cleanup_interval": 5,
        # The largest layer is beyond the usual 16 MB: whoever reads it slowly must not hold a thread up. What waits to
        # be read lies in a temporary file.
        "outbuf_high_watermark": 1 << 30,
        "asyncore_use_poll": True,  # `select` ends at 1024 open files
        "clear_untrusted_proxy_headers": settings.trusted_proxies == 0,
    }


class Refusal(ErrorTask):
    """The answer to a request that the application never sees, in the shape of all errors."""

    def execute(self) -> None:
        """Send status and reason, write the request's line, close the connection."""
        error, channel = self.request.error, self.channel
        words = f"{error.reason.lower()}: {error.body}" if error.code < 500 else HTTPStatus(error.code).phrase.lower()
        request_id = new_id()
        found = Failure(int(error.code), words, [words])
        if error.code == 500:
            found = Failure(500, f"{words} (request {request_id})", [words])
        told = found.ogc_body() if of_ogc(getattr(self.request, "path", "")) else found.body()
        body = json.dumps(told).replace("<", "\\u003c").encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers += [
            ("Content-Type", "application/json"), ("Cache-Control", "no-store"), ("X-Request-Id", request_id),
            ("Content-Security-Policy", CLOSED_POLICY), *SECURITY_HEADERS.items(),
        ]  # fmt: skip
        self.set_close_on_finish()
        self.content_length = len(body)
        channel.discards = True
        self.write(b"" if getattr(self.request, "command", "") == "HEAD" else body)
        seconds = time.time() - self.start_time
        environ = {
            "atlas.request_id": request_id, "atlas.reason": words, "REMOTE_ADDR": channel.addr[0],
            "REQUEST_METHOD": getattr(self.request, "command", ""), "PATH_INFO": getattr(self.request, "path", ""),
            "QUERY_STRING": getattr(self.request, "query", ""),
        }  # fmt: skip
        channel.server.observe(environ, int(error.code), len(body), seconds)
        access.info("refused", extra={"fields": request_line(environ, int(error.code), len(body), seconds)})


class Task(WSGITask):
    """A request for the application; the connection is closed after it when the server is stopping."""

    def start(self) -> None:
        """Begin; see `waitress.task.Task`."""
        super().start()
        if self.channel.server.stopping:
            self.set_close_on_finish()


class Channel(HTTPChannel):
    """A connection: a request must be whole in time, and a refused client is read out so that it sees the answer."""

    task_class = Task
    error_task_class = Refusal

    close_when_flushed: bool = False  # as in waitress, with their types
    will_close: bool = False
    discards = False  # whether what still comes in is thrown away after the answer
    discarding_since = 0.0
    discarded_bytes = 0
    begun = 0.0  # when the first byte of a request that is not whole yet came in

    def readable(self) -> bool:
        """Return whether to read from the client."""
        return bool(self.discarding_since) or super().readable()

    def handle_read(self) -> None:
        """Read a part of a request, or throw it away."""
        if not self.discarding_since:
            super().handle_read()
            self.begun = 0.0 if self.request is None else self.begun or time.time()
            return
        try:
            data = self.recv(65536)
        except OSError:
            data = b""
        self.discarded_bytes += len(data)
        if not data or self.discarded_bytes > DISCARD_BYTES:
            self.handle_close()

    def handle_write(self) -> None:
        """Send what waits to be sent; after a refusal only this side of the connection is closed at first."""
        if not (self.discards and self.close_when_flushed):
            super().handle_write()
            return
        self._flush_exception(self._flush_some)
        if not self.total_outbufs_len and not self.will_close:
            self.close_when_flushed = False
            self.discarding_since = time.time()
            try:
                self.socket.shutdown(socket.SHUT_WR)
            except OSError:
                self.will_close = True
        if self.will_close:
            self.handle_close()

    def late(self, now: float, settings: Settings) -> str:
        """Return why this connection is to be closed, empty if it is not."""
        if self.discarding_since:
            return "refused" if now - self.discarding_since > DISCARD_S else ""
        if self.requests:
            return ""
        if self.begun and now - self.begun > settings.receive_timeout_s:
            return "slow"
        return "idle" if not self.begun and now - self.last_activity > settings.idle_timeout_s else ""


class Listener(TcpWSGIServer):
    """One socket that takes connections in."""

    channel_class = Channel
    stopping = False

    def __init__(self, *arguments: Any, settings: Settings, observe: Any, refused: Refused, **more: Any) -> None:
        self.settings, self.observe, self.refused = settings, observe, refused
        super().__init__(*arguments, **more)

    def handle_accept(self) -> None:
        """Take a connection in, unless its address has too many."""
        before = set(self.active_channels)
        super().handle_accept()
        limit = self.settings.connections_per_address
        if not limit or self.settings.trusted_proxies:  # a proxy has one address for all its clients
            return
        for fileno in set(self.active_channels) - before:
            channel = self.active_channels[fileno]
            if sum(c.addr[0] == channel.addr[0] for c in self.active_channels.values()) > limit:
                self._cut(channel, "connections", f"{limit} connections are the limit for one address")

    def maintenance(self, now: float) -> None:
        """Close connections that are idle, or too slow to send a request."""
        for channel in list(self.active_channels.values()):
            why = channel.late(now, self.settings)
            if why == "slow":
                self._cut(channel, why, f"no whole request within {self.settings.receive_timeout_s:g} s")
            elif why:
                channel.will_close = True

    def _cut(self, channel: Channel, why: str, words: str) -> None:
        channel.will_close = True
        self.refused(why)
        request = channel.request
        fields = {"address": channel.addr[0], "cut": why, "reason": words}
        if getattr(request, "headers_finished", False):
            fields |= {"method": text(getattr(request, "command", "")), "path": text(getattr(request, "path", ""))}
        access.warning("cut", extra={"fields": fields})


class Server:
    """The server: `run` serves until `stop`, or until a signal that `stopped_by_signals` listens for."""

    def __init__(self, app: Any, settings: Settings, host: str | None = None, port: int | None = None) -> None:
        self.settings = settings
        self._map: dict[int, Any] = {}
        options = waitress_options(settings)
        chosen = settings.port if port is None else port
        adjustments = Adjustments(host=host or settings.host, port=chosen, **options)
        self.dispatcher = ThreadedTaskDispatcher()
        self.dispatcher.set_thread_count(adjustments.threads)
        atlas = app.extensions["atlas"]
        self.listeners = [
            Listener(
                app, self._map, dispatcher=self.dispatcher, adj=adjustments, sockinfo=info,
                settings=settings, observe=atlas.metrics.observe, refused=atlas.metrics.refused,
            )
            for info in adjustments.listen
        ]  # fmt: skip
        self._stop = False

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.listeners[0].effective_port)

    def stop(self) -> None:
        """Take no more connections, finish what is under way, and let `run` return; from any thread or a signal."""
        if not self._stop:
            self._stop = True
            self.listeners[0].pull_trigger()

    def run(self) -> bool:
        """Serve; return whether all that was under way when it was stopped was finished in time."""
        look_s = max(0.1, min(2.0, self.settings.receive_timeout_s / 4, self.settings.idle_timeout_s / 4))
        looked = time.monotonic()
        while not self._stop:
            self._turn(look_s)
            if time.monotonic() - looked > look_s:
                looked = time.monotonic()
                self._look()
        for listener in self.listeners:
            listener.stopping = True
            wasyncore.dispatcher.close(listener)  # its own `close` would end the trigger that threads still use
        until = time.monotonic() + self.settings.shutdown_s
        under_way = self._under_way()
        log.info("stopping: %d requests under way", under_way)
        while (under_way := self._under_way()) and time.monotonic() < until:
            self._turn(0.05)
        if under_way:
            log.warning("stopped with %d requests unfinished after %g s", under_way, self.settings.shutdown_s)
        for channel in list(self._channels()):
            channel.handle_close()
        self.dispatcher.shutdown(timeout=0 if under_way else 1)
        for listener in self.listeners:
            listener.trigger.close()
        return not under_way

    def _turn(self, seconds: float) -> None:
        wasyncore.loop(timeout=seconds, map=self._map, use_poll=True, count=1)

    def _look(self) -> None:
        """Close what is late."""
        for listener in self.listeners:
            listener.maintenance(time.time())

    def _channels(self) -> Iterator[Channel]:
        for listener in self.listeners:
            yield from list(listener.active_channels.values())

    def _under_way(self) -> int:
        """Return how many connections still have a request, a part of one, or an answer to send."""
        self._look()
        return sum(
            bool(c.requests or c.total_outbufs_len or c.begun) and not c.will_close and c.connected
            for c in self._channels()
        )


def settle_memory() -> None:
    """Make this process spare with memory, once the study is open: call it before the first request.

    With an arena of malloc for each of many threads, what large tables leave behind is lost several times over.
    """
    with contextlib.suppress(OSError, AttributeError):  # glibc only
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)
    gc.collect()
    gc.freeze()  # layers, network and baseline stay: no collection need look at them again


@contextlib.contextmanager
def stopped_by_signals(server: Server) -> Iterator[None]:
    """Let SIGTERM and SIGINT stop a server; a second one ends the process at once."""

    def stop(number: int, _: Any) -> None:
        for n in (signal.SIGTERM, signal.SIGINT):
            signal.signal(n, signal.SIG_DFL)
        server.stop()

    before = {n: signal.signal(n, stop) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for n, handler in before.items():
            signal.signal(n, handler)

"""What a server refuses whatever is asked: too many requests, requests another site sends, and work without an end."""

import ipaddress
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as WaitTimeout
from typing import Any
from urllib.parse import urlsplit

from flask import Request, request
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from atlas.config import Settings
from atlas.web_errors import CrossSite, Overload, TimeUp, TooMany

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
SPARE_THREADS = 8  # requests past their time that may still be worked on beside those in time

Environ = dict[str, Any]
Answer = tuple[str, list[tuple[str, str]], Iterable[bytes]]


class Rates:
    """How many requests each address may make in a minute."""

    def __init__(self, settings: Settings) -> None:
        self._limit = RateLimitItemPerMinute(settings.requests_per_minute) if settings.requests_per_minute else None
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def check(self, address: str) -> None:
        """Count a request; raises TooMany over the limit."""
        if self._limit is not None and not self._limiter.hit(self._limit, asker(address)):
            raise TooMany(f"{self._limit.amount} requests a minute are the limit for one address")


def asker(address: str) -> str:
    """Return who is counted for an address: of IPv6 a customer's network (/64), who has addresses without end."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 4:
        return address
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, 64), strict=False).network_address)


def check_site(asked: Request) -> None:
    """Refuse what changes something and comes from a page of another site; raises CrossSite."""
    if asked.method in SAFE_METHODS:
        return
    site = asked.headers.get("Sec-Fetch-Site", "").lower()
    if site == "same-origin":  # what the browser itself says
        return
    if site == "cross-site":
        raise CrossSite("the request comes from a page of another site")
    origin = asked.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc.lower() != asked.host.lower():
        raise CrossSite(f"the request comes from {origin[:80]!r}, another site")


def wait_longer(seconds: float) -> None:
    """Let the current request take `seconds` more than others: it waits for long work that has limits of its own."""
    request.environ["atlas.waits_s"] = max(seconds, request.environ.get("atlas.waits_s", 0.0))


class TimeLimit:
    """A WSGI application around another that answers in its place once the time is over.

    Each request is worked on in a thread of its own pool; what is late goes on there, so that what it makes is kept and
    a later request finds it. `late` answers a request with an error instead.
    """

    def __init__(self, app: Any, limit_s: float, threads: int, late: Callable[[Environ, Exception], Answer]) -> None:
        self.app, self.limit_s, self.late = app, limit_s, late
        self._places = threading.BoundedSemaphore(threads + SPARE_THREADS)
        self._pool = _Threads("request")

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Answer a request, with 504 past the limit and 503 when too many late ones are still worked on."""
        if not self._places.acquire(blocking=False):
            return self._instead(environ, start_response, Overload("the server is busy; try again in a few seconds"))
        work: Future[Answer] = Future()
        self._pool.start(lambda: self._work(environ, work))
        waited_s = 0.0
        while True:
            allowed_s = self.limit_s + environ.get("atlas.waits_s", 0.0)
            try:
                status, headers, parts = work.result(timeout=allowed_s - waited_s)
            except WaitTimeout:
                if work.done():
                    raise  # the application's own
                waited_s = allowed_s
                if self.limit_s + environ.get("atlas.waits_s", 0.0) > allowed_s:
                    continue
                error = TimeUp(f"no answer within {allowed_s:g} s; it is still being worked on")
                return self._instead(environ, start_response, error)
            start_response(status, headers)
            return parts

    def _work(self, environ: Environ, work: Future[Answer]) -> None:
        said: list[Any] = []

        def started(status: str, headers: list[tuple[str, str]], *_: Any) -> Callable[[bytes], None]:
            said[:] = [status, headers]
            return lambda data: None  # no application here uses `write`

        try:
            parts = self.app(environ, started)
            work.set_result((said[0], said[1], parts))
        except BaseException as error:
            work.set_exception(error)
        finally:
            self._places.release()

    def _instead(self, environ: Environ, start_response: Any, error: Exception) -> Iterable[bytes]:
        own = {k: v for k, v in environ.items() if k != "wsgi.input"}
        status, headers, parts = self.late(own, error)
        environ["atlas.reason"], environ["atlas.route"] = own.get("atlas.reason"), own.get("atlas.route")
        start_response(status, headers)
        return parts


class _Threads:
    """Threads that work one request after another; one more is started when none is free.

    They are daemons: a request past its time does not keep a server from ending.
    """

    def __init__(self, name: str) -> None:
        self._name, self._free = name, 0
        self._lock = threading.Condition()
        self._waiting: list[Callable[[], None]] = []

    def start(self, work: Callable[[], None]) -> None:
        """Have `work` done at once."""
        with self._lock:
            self._waiting.append(work)
            if self._free >= len(self._waiting):
                self._lock.notify()
                return
        threading.Thread(target=self._run, name=self._name, daemon=True).start()

    def _run(self) -> None:
        while True:
            with self._lock:
                while not self._waiting:
                    self._free += 1
                    found = self._lock.wait(timeout=60)
                    self._free -= 1
                    if not found and not self._waiting:
                        return
                work = self._waiting.pop()
            work()
            del work

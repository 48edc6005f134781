"""The log of a server: one JSON object a line, for every request, refusal and message.

`AccessLog` wraps the application: it gives each request an id, times it and writes its line. Texts that a client sent
are cut and escaped, so that nothing it sends can look like a line of its own.
"""

import contextlib
import datetime as dt
import json
import logging
import logging.handlers
import re
import secrets
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from werkzeug.wsgi import ClosingIterator

from atlas.config import Settings
from atlas.errors import BadInput

Environ = dict[str, Any]
Observer = Callable[[Environ, int, int, float], None]  # request, status, bytes, seconds

access = logging.getLogger("atlas.access")
TEXT_AT_MOST = 300  # characters of a path, a query, a reason
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class JsonLines(logging.Formatter):
    """A record as one line of JSON: when, how grave, who says it, and its fields or its message."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; ASCII only, so control characters and line ends are escaped."""
        when = dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds")
        line = {"time": when.replace("+00:00", "Z"), "level": record.levelname.lower(), "logger": record.name}
        fields = getattr(record, "fields", None)
        line |= fields if fields is not None else {"message": record.getMessage()}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def set_up(settings: Settings) -> None:
    """Send what the server and its libraries say to standard error, or to the file of the settings.

    Raises BadInput for a file that cannot be written.
    """
    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h.formatter, JsonLines)]:
        root.removeHandler(old)
        old.close()
    root.setLevel(logging.INFO)
    # Waitress says this for each request that waits for a thread; /metrics counts what is under way.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    logging.captureWarnings(True)
    if settings.log_file == "off":
        root.addHandler(logging.NullHandler())
        root.setLevel(logging.CRITICAL)
        return
    try:
        # Opened anew when something else has moved it away, so logs can be rotated under a running server.
        file = settings.log_file
        handler = logging.handlers.WatchedFileHandler(file) if file else logging.StreamHandler(sys.stderr)
    except OSError as error:
        raise BadInput(f"log_file {settings.log_file}: {error.strerror or error}") from None
    handler.setFormatter(JsonLines())
    root.addHandler(handler)


def request_line(environ: Environ, status: int, sent: int, seconds: float) -> dict[str, Any]:
    """Return the fields of a request's line."""
    line: dict[str, Any] = {
        "id": environ.get("atlas.request_id", ""),
        "address": environ.get("REMOTE_ADDR", ""),
        "method": str(environ.get("REQUEST_METHOD", ""))[:20],
        "path": text(environ.get("PATH_INFO", "")),
        "query": text(environ.get("QUERY_STRING", "")),
        "status": status,
        "bytes": sent,
        "ms": round(1000 * seconds, 1),
        "cached": environ.get("atlas.cached"),
    }
    reason = environ.get("atlas.reason")
    return line | ({"reason": text(reason)} if reason else {})


def text(value: str) -> str:
    """Return a client's text cut to what a line may hold; its UTF-8 read as such where it is that."""
    with contextlib.suppress(ValueError):
        value = value.encode("latin-1").decode("utf-8")  # WSGI hands bytes over as Latin-1
    return value if len(value) <= TEXT_AT_MOST else f"{value[:TEXT_AT_MOST]}… ({len(value)} characters)"


def new_id() -> str:
    """Return an id for a request."""
    return secrets.token_hex(8)


class AccessLog:
    """A WSGI application around another: request ids, one line a request, and figures for whoever observes."""

    def __init__(self, app: Any, observe: Observer, believe_ids: bool) -> None:
        self.app, self.observe, self.believe_ids = app, observe, believe_ids

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Answer a request; the line is written when its last byte has been handed over."""
        start = time.perf_counter()
        given = environ.get("HTTP_X_REQUEST_ID", "") if self.believe_ids else ""
        request_id = given if _REQUEST_ID.fullmatch(given) else new_id()
        environ["atlas.request_id"] = request_id
        status, sent = 500, 0

        def started(line: str, headers: list[tuple[str, str]], *exc: Any) -> Any:
            nonlocal status
            status = int(line.split(" ", 1)[0])
            return start_response(line, [*headers, ("X-Request-Id", request_id)], *exc)

        def done() -> None:
            seconds = time.perf_counter() - start
            self.observe(environ, status, sent, seconds)
            grave = logging.ERROR if status == 500 else logging.INFO
            access.log(grave, "request", extra={"fields": request_line(environ, status, sent, seconds)})

        def counted(parts: Iterable[bytes]) -> Iterator[bytes]:
            nonlocal sent
            for part in parts:
                sent += len(part)
                yield part

        try:
            parts = self.app(environ, started)
        except BaseException:
            done()
            raise
        close = getattr(parts, "close", None)
        # One part stays one part: the server then knows the length.
        if isinstance(parts, list | tuple):
            sent = sum(map(len, parts))
            return ClosingIterator(parts, [done])
        return ClosingIterator(counted(parts), [c for c in (close, done) if c])

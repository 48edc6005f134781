"""The web atlas: a Flask application over a study, and the server behind `atlas serve`."""

import hashlib
import logging
import mimetypes
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import NotFound as PathNotFound

from atlas.config import Settings, data_dir
from atlas.config import settings as read_settings
from atlas.errors import AtlasError
from atlas.solver_process import use_process
from atlas.web_answers import Answers, Document
from atlas.web_api import JSON_TYPE, api
from atlas.web_chokepoints import chokepoints
from atlas.web_compare import compares
from atlas.web_concentration import concentrations
from atlas.web_errors import failure
from atlas.web_frontier import frontiers
from atlas.web_jobs import Jobs
from atlas.web_pages import error_page, pages
from atlas.web_projects import fixing
from atlas.web_route import routes
from atlas.web_trace import tracing
from atlas.web_validate import accuracy

__all__ = ["create_app", "serve", "waitress_options"]

log = logging.getLogger("atlas.web")

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "SAMEORIGIN",
    "Permissions-Policy": "geolocation=(), camera=(), microphone=()",
}
CLOSED_POLICY = "default-src 'none'; frame-ancestors 'none'"  # of everything that is not a page


class Assets:
    """The shipped scripts, styles and pictures, under an address that changes with them."""

    def __init__(self) -> None:
        root = data_dir("templates") / "static"
        self.files: dict[str, Document] = {}
        digest = hashlib.sha256()
        for path in sorted(p for p in root.rglob("*") if p.is_file()):
            name = path.relative_to(root).as_posix()
            kind = mimetypes.guess_type(name)[0] or "text/plain"
            if kind.startswith("text/"):
                kind += "; charset=utf-8"
            self.files[name] = Document.of(path.read_bytes(), kind)
            digest.update(name.encode() + b"\0" + self.files[name].body)
        self.digest = digest.hexdigest()[:12]
        self.base = f"/static/{self.digest}"


@lru_cache(maxsize=1)
def _assets() -> Assets:
    """Return the shipped files, read once."""
    return Assets()


class Atlas:
    """What the application holds: study, settings, answers, assets."""

    def __init__(self, study: Any, settings: Settings) -> None:
        self.study, self.settings = study, settings
        self.answers, self.assets, self.jobs = Answers(study, settings), _assets(), Jobs(settings)

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Measure a part of a request for its Server-Timing header."""
        start = time.perf_counter()
        try:
            yield
        finally:
            g.setdefault("times", []).append((what, time.perf_counter() - start))

    def send(self, document: Document, status: int = 200, cache: str = "no-cache") -> Response:
        """Return a document as a response: compressed where that is accepted, 304 where it is known."""
        packed = "gzip" in request.accept_encodings and len(document.packed) < len(document.body)
        response = Response(document.packed if packed else document.body, status, content_type=document.mimetype)
        if packed:
            response.headers["Content-Encoding"] = "gzip"
        response.headers["Vary"] = "Accept-Encoding"
        response.headers["Cache-Control"] = cache
        for name, value in document.headers:
            response.headers[name] = value
        if status == 200 and cache != "no-store":
            response.set_etag(document.etag + ("-gz" if packed else ""))
            response.make_conditional(request)
        return response


def create_app(study: Any, settings: Settings | None = None) -> Flask:
    """Return the web atlas of a study; every application stands on its own."""
    settings = settings or read_settings()
    app = Flask("atlas", static_folder=None, template_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_request_bytes
    app.url_map.strict_slashes = False
    atlas = app.extensions["atlas"] = Atlas(study, settings)
    app.register_blueprint(pages)
    app.register_blueprint(api)
    app.register_blueprint(routes)
    app.register_blueprint(accuracy)
    app.register_blueprint(chokepoints)
    app.register_blueprint(frontiers)
    app.register_blueprint(tracing)
    app.register_blueprint(fixing)
    app.register_blueprint(concentrations)
    app.register_blueprint(compares)

    @app.get("/static/<digest>/<path:name>")
    def static_file(digest: str, name: str) -> Response:
        found = atlas.assets.files.get(name) if digest == atlas.assets.digest else None
        if found is None:
            raise PathNotFound
        return atlas.send(found, cache="public, max-age=31536000, immutable")

    @app.before_request
    def begin() -> None:
        g.start = time.perf_counter()

    @app.after_request
    def finish(response: Response) -> Response:
        spent = [*g.get("times", []), ("total", time.perf_counter() - g.get("start", time.perf_counter()))]
        response.headers["Server-Timing"] = ", ".join(f"{what};dur={1000 * s:.1f}" for what, s in spent)
        for name, value in SECURITY_HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Content-Security-Policy", CLOSED_POLICY)
        return response

    @app.errorhandler(Exception)
    def failed(error: Exception) -> Response:
        return _failed(app, atlas, error)

    return app


def _failed(app: Flask, atlas: Atlas, error: Exception) -> Response:
    """Return the answer to an error: JSON for programs, a page for people."""
    found = failure(error)
    if found.status == 500:
        log.exception("error at %s %s", request.method, request.path[:200])
    elif isinstance(error, AtlasError):
        log.info("%s %s: %s", found.status, request.path[:200], found.error[:300])
    accepted = request.headers.get("Accept", "")
    program = "application/json" in accepted and "text/html" not in accepted
    if program or request.path.startswith(("/api", "/healthz", "/static")):
        # Escaped, so that a name with markup stays text even where somebody shows the body as a page.
        document = Document.of(app.json.dumps(found.body()).replace("<", "\\u003c"), JSON_TYPE)
    else:
        document = error_page(found)
    response = atlas.send(document, found.status, cache="no-store")
    response.headers.extend(found.headers)
    return response


def waitress_options(settings: Settings) -> dict[str, Any]:
    """Return how waitress runs the atlas: threads for pages beside the solves, limits on what a client may send."""
    return {
        "threads": settings.solve_slots + settings.solve_queue + 6,
        "ident": "atlas",
        "max_request_body_size": 1_000 * settings.max_request_bytes,  # the application itself refuses
        "max_request_header_size": 1_048_576,  # long addresses reach the application, which names the limit
        "channel_timeout": 60,
    }


def serve(study: Any, host: str | None = None, port: int | None = None, settings: Settings | None = None) -> None:
    """Serve the web atlas until interrupted."""
    from waitress import serve as run

    settings = settings or read_settings(host=host, port=port)
    use_process(settings.solver_process)
    run(
        create_app(study, settings),
        host=host or settings.host,
        port=port or settings.port,
        **waitress_options(settings),
    )

"""The web atlas: a Flask application over a study, and the server behind `atlas serve`."""

import hashlib
import logging
import mimetypes
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import NotFound as PathNotFound
from werkzeug.middleware.proxy_fix import ProxyFix

from atlas import study as studies
from atlas.config import Settings, data_dir
from atlas.config import settings as read_settings
from atlas.solver_process import use_process
from atlas.web_answers import Answers
from atlas.web_api import JSON_TYPE, api
from atlas.web_buyer import buyers
from atlas.web_chokepoints import chokepoints
from atlas.web_compare import compares
from atlas.web_concentration import concentrations
from atlas.web_documents import Document, Kept
from atlas.web_errors import failure, of_ogc
from atlas.web_explore import explore
from atlas.web_figure import figures as pictures
from atlas.web_frontier import frontiers
from atlas.web_headers import guard
from atlas.web_job_queue import Jobs
from atlas.web_jobs_pages import job_pages
from atlas.web_layers import layers_api
from atlas.web_limits import Answer, Rates, TimeLimit, check_site
from atlas.web_log import AccessLog, set_up, text
from atlas.web_map import maps
from atlas.web_metrics import CONTENT_TYPE_LATEST, Metrics
from atlas.web_nearby import nearby
from atlas.web_ogc import ogc
from atlas.web_openapi import openapi
from atlas.web_pages import error_page, pages
from atlas.web_projects import fixing
from atlas.web_reports import reporting
from atlas.web_route import routes
from atlas.web_scenarios import scenarios
from atlas.web_search import searching
from atlas.web_server import SPARE_THREADS, Server, settle_memory, stopped_by_signals, waitress_options
from atlas.web_things import things
from atlas.web_trace import tracing
from atlas.web_validate import accuracy

__all__ = ["application", "create_app", "run", "serve", "waitress_options"]

log = logging.getLogger("atlas.web")


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
        self.refusals = Kept(1_000_000)
        self.rates, self.metrics = Rates(settings), Metrics(self._now())

    def _now(self) -> dict[str, tuple[str, Callable[[], float]]]:
        """Return the figures that are read when somebody asks for them."""
        answers, documents, slots = self.answers, self.answers.documents, self.settings.solve_slots
        return {
            "atlas_solves_running": ("Solves under way.", lambda: min(answers.unfinished, slots)),
            "atlas_solves_waiting": ("Solves that wait for a place.", lambda: max(answers.unfinished - slots, 0)),
            "atlas_solves_done": ("Solves finished since the start.", lambda: answers.solved),
            "atlas_jobs_unfinished": ("Pieces of long work that run or wait.", lambda: self.jobs.unfinished),
            "atlas_kept_documents": ("Answers kept packed.", lambda: len(documents)),
            "atlas_kept_bytes": ("Bytes of these answers.", lambda: documents.size),
            "atlas_kept_hits": ("Requests answered from what is kept.", lambda: documents.hits),
            "atlas_kept_misses": ("Requests for which an answer was made.", lambda: documents.misses),
        }  # fmt: skip

    def close(self) -> None:
        """End what goes on in the background; a closed application answers only what it has kept."""
        self.answers.close()
        self.jobs.close()

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
        coding = document.coding(request.accept_encodings)
        response = Response(document.packed(coding), status, content_type=document.mimetype)
        if coding != "identity":
            response.headers["Content-Encoding"] = coding
        response.headers["Vary"] = "Accept-Encoding"
        response.headers["Cache-Control"] = cache
        for name, value in document.headers:
            response.headers[name] = value
        if status == 200 and cache != "no-store":
            response.set_etag(document.tag(coding))
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
    app.register_blueprint(maps)
    app.register_blueprint(pictures)
    app.register_blueprint(nearby)
    app.register_blueprint(api)
    app.register_blueprint(layers_api)
    app.register_blueprint(scenarios)
    app.register_blueprint(openapi)
    app.register_blueprint(ogc)
    app.register_blueprint(routes)
    app.register_blueprint(accuracy)
    app.register_blueprint(chokepoints)
    app.register_blueprint(frontiers)
    app.register_blueprint(tracing)
    app.register_blueprint(fixing)
    app.register_blueprint(concentrations)
    app.register_blueprint(compares)
    app.register_blueprint(explore)
    app.register_blueprint(searching)
    app.register_blueprint(things)
    app.register_blueprint(buyers)
    app.register_blueprint(job_pages)
    app.register_blueprint(reporting)

    @app.get("/static/<digest>/<path:name>")
    def static_file(digest: str, name: str) -> Response:
        found = atlas.assets.files.get(name) if digest == atlas.assets.digest else None
        if found is None:
            raise PathNotFound
        return atlas.send(found, cache="public, max-age=31536000, immutable")

    @app.before_request
    def begin() -> None:
        g.start = time.perf_counter()
        request.environ["atlas.route"] = request.url_rule.rule if request.url_rule else ""
        atlas.rates.check(request.remote_addr or "")
        check_site(request)

    @app.after_request
    def finish(response: Response) -> Response:
        spent = [*g.get("times", []), ("total", time.perf_counter() - g.get("start", time.perf_counter()))]
        response.headers["Server-Timing"] = ", ".join(f"{what};dur={1000 * s:.1f}" for what, s in spent)
        guard(response, request)
        return response

    @app.get("/metrics")
    def figures() -> Response:
        if not settings.metrics:
            raise PathNotFound
        return Response(atlas.metrics.text(), content_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})

    @app.errorhandler(Exception)
    def failed(error: Exception) -> Response:
        return _failed(app, atlas, error)

    def late(environ: dict[str, Any], error: Exception) -> Answer:
        with app.request_context(environ):
            environ["atlas.route"] = request.url_rule.rule if request.url_rule else ""
            response = finish(_failed(app, atlas, error))
            return response.status, response.get_wsgi_headers(environ).to_wsgi_list(), [response.get_data()]

    wsgi: Any = app.wsgi_app
    if settings.request_time_limit_s:
        threads = settings.solve_slots + settings.solve_queue + SPARE_THREADS
        wsgi = TimeLimit(wsgi, settings.request_time_limit_s, threads, late)
    proxies = settings.trusted_proxies
    wsgi = AccessLog(wsgi, atlas.metrics.observe, believe_ids=proxies > 0)
    app.wsgi_app = ProxyFix(wsgi, x_for=proxies, x_proto=proxies, x_host=proxies) if proxies else wsgi  # type: ignore[method-assign]
    return app


def _failed(app: Flask, atlas: Atlas, error: Exception) -> Response:
    """Return the answer to an error: JSON for programs, a page for people."""
    found = failure(error)
    if found.status == 500:
        request_id = request.environ.get("atlas.request_id", "")
        fields = {"message": "error", "id": request_id, "method": request.method, "path": text(request.path)}
        log.exception("error", extra={"fields": fields})
        found = replace(found, error=f"{found.error} (request {request_id})")
    request.environ["atlas.reason"] = found.error
    accepted = request.headers.get("Accept", "")
    program = "application/json" in accepted and "text/html" not in accepted
    if of_ogc(request.path) and ("text/html" not in accepted or request.args.get("f") == "json"):
        document = Document.of(app.json.dumps(found.ogc_body()).replace("<", "\\u003c"), JSON_TYPE)
    elif program or request.path.startswith(("/api", "/healthz", "/static", "/metrics")):
        # Escaped, so that a name with markup stays text even where somebody shows the body as a page.
        document = Document.of(app.json.dumps(found.body()).replace("<", "\\u003c"), JSON_TYPE)
    elif found.status in (429, 503):
        # Drawn once: a page that says how busy the server is must not keep it busy.
        document = atlas.refusals.get((found.status, found.error), lambda: error_page(found))
        request.environ.pop("atlas.cached", None)
    else:
        document = error_page(found)
    response = atlas.send(document, found.status, cache="no-store")
    response.headers.extend(found.headers)
    return response


def serve(study: Any, host: str | None = None, port: int | None = None, settings: Settings | None = None) -> None:
    """Serve the web atlas of a study until SIGTERM or SIGINT; see `run`."""
    settings = settings or read_settings(host=host, port=port)
    set_up(settings)
    use_process(settings.solver_process)
    run(create_app(study, settings), settings, host, port)


def run(
    app: Flask, settings: Settings, host: str | None = None, port: int | None = None,
    ready: Callable[[], None] = lambda: None,
) -> None:  # fmt: skip
    """Serve an application until SIGTERM or SIGINT; then finish what is under way and end solver and long work.

    `ready` is called when requests are taken. Only in the main thread, which gets the signals.
    """
    settle_memory()
    server = Server(app, settings, host, port)
    with stopped_by_signals(server):
        ready()
        server.run()
        app.extensions["atlas"].close()
        use_process(False)


def application() -> Flask:
    """Return the web atlas of the shipped layers for another WSGI server, settings from the environment."""
    settings = read_settings()
    set_up(settings)
    use_process(settings.solver_process)
    opened = studies.open(settings=settings)
    opened.solve()
    return create_app(opened, settings)

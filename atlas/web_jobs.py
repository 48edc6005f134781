"""Long work as requests see it: done in the background with progress, remembered when done.

A page shows how far the work is and comes back by itself; a program's request waits a while, then is told when to try
again. The queue itself is in `web_job_queue`; docs/jobs.md tells how it all goes.
"""

import math
import re
import secrets
import time
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from flask import Response, current_app, g, request
from werkzeug.wrappers import Response as AnyResponse

from atlas.render import environment
from atlas.web_answers import Document
from atlas.web_errors import Overload, failure
from atlas.web_job_queue import ADDRESS, CANCELLED, RUNNING, WAITING, Job, Jobs, Progress, Ticket
from atlas.web_limits import asker as counted
from atlas.web_limits import wait_longer
from atlas.web_pages import html_document, nav

R = TypeVar("R", bound=AnyResponse)
# What a quick piece of work may take before a page says that it is being worked on.
PATIENCE_S = 1.0
# Who asked for what, as a browser keeps it; a page of another site cannot send it along.
COOKIE, COOKIE_DAYS = "atlas-asker", 30
# How long work is wanted that a link on another site started: the browser comes back at once with its cookie.
RETURN_S = 15.0


def asker() -> str:
    """Return who asks: what the cookie says, "" where there is none."""
    said = g.get("asker") or request.cookies.get(COOKIE, "")
    return str(said) if re.fullmatch(r"[A-Za-z0-9_-]{20,64}", said) else ""


def known_asker() -> str:
    """Return who asks; a new name where the browser has none, which `with_cookie` sends along."""
    if not asker():
        g.asker = secrets.token_urlsafe(24)
    return asker()


def with_cookie(response: R) -> R:
    """Give the browser its name, so that it finds its work again."""
    if request.cookies.get(COOKIE) != asker():
        response.set_cookie(
            COOKIE, asker(), max_age=COOKIE_DAYS * 86400, httponly=True, samesite="Strict", secure=request.is_secure
        )
    return response


def asked_job(kind: str, key: Hashable, make: Callable[[Progress], Any], quick: bool = False) -> Job:
    """Return the job that this request asks for; a page does not start again what its asker has cancelled."""
    jobs: Jobs = current_app.extensions["atlas"].jobs
    anew = request.path.startswith("/api/") or bool(g.get("anew"))
    who = asker() or g.get("counted", "")
    return jobs.get(key, make, kind=kind, asker=who, anew=anew, quick=quick)


def page_of(job: Job, title: str, here: str, make: Callable[[Any], Document]) -> Response:
    """Return the page that `make` draws of the result, or one that says how far the work is and looks again."""
    atlas = current_app.extensions["atlas"]
    if job.finished(PATIENCE_S) and job.state != CANCELLED:
        response: Response = atlas.send(make(job.result))
        return response
    query = request.query_string.decode("ascii", "replace")
    if not asker() and request.headers.get("Sec-Fetch-Site") == "cross-site":
        # The browser keeps its cookie back from a link on another site: whose work this is shows when it looks again.
        job.leased_until = max(job.leased_until, time.monotonic() + RETURN_S)
        return view_page(None, job, title, here)
    ticket = atlas.jobs.ticket(job, known_asker(), f"{request.path}?{query}" if query else request.path, title)
    return with_cookie(view_page(ticket, job, title, here))


def view_page(ticket: Ticket | None, job: Job, title: str, here: str, own_page: bool = False) -> Response:
    """Return the page of a piece of work: how far it is, or how it ended; `own_page` is that at /jobs."""
    atlas = current_app.extensions["atlas"]
    state = ticket.state if ticket is not None else job.state
    going = state in (WAITING, RUNNING)
    html = environment().get_template("job.html").render(
        nav=nav("/jobs" if own_page else here), base=atlas.assets.base, here="" if own_page else here, title=title,
        job=job, ticket=ticket, state=state, going=going, place=atlas.jobs.place(job), own_page=own_page,
        problems=failure(job.error).problems if isinstance(job.error, Exception) else [], said=job.said,
        lasted=duration(job.elapsed_s), left=None if job.left_s is None else duration(job.left_s),
    )  # fmt: skip
    response: Response = atlas.send(html_document(html), 202 if going else 200, cache="no-store")
    if going:
        response.headers["Retry-After"] = "2"
    return response


def duration(seconds: float) -> str:
    """Return a time in words, coarser the longer it is."""
    s = round(seconds)
    if s < 60:
        return f"{s} s"
    return f"{s // 60} min {s % 60} s" if s < 600 else f"{round(s / 60)} min"


def result_of(job: Job) -> Any:
    """Return the result for a program that waits; raises Overload when it takes longer than `job_wait_s`."""
    wait_s = current_app.extensions["atlas"].settings.job_wait_s
    wait_longer(wait_s)
    with job.awaited():
        ended = job.finished(wait_s)
    if not ended:
        job.leased_until = math.inf  # it was told to come back
        raise Overload(f"still working ({job.said}); ask again")
    return job.result


def counted_asker() -> str:
    """Return whom unfinished work is counted for: the browser, or the address of a program without a cookie."""
    return asker() or f"{ADDRESS}{counted(request.remote_addr or '')}"

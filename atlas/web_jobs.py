"""Long work of a server: done in the background with progress, asked for by key, remembered when done.

A page shows how far the work is and comes back by itself; a program's request waits a while, then is told when to try
again. The same question is worked on once, however many ask.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as WaitTimeout
from typing import Any

from flask import Response, current_app

from atlas.config import Settings
from atlas.render import environment
from atlas.web_answers import Document
from atlas.web_errors import Overload
from atlas.web_limits import wait_longer
from atlas.web_pages import html_document, nav

Progress = Callable[[int, int, str], None]
# What a quick piece of work may take before a page says that it is being worked on.
PATIENCE_S = 1.0


class Job:
    """One piece of work: how far it is, and what came of it."""

    def __init__(self) -> None:
        self.done, self.total, self.what = 0, 0, ""
        self.future: Future[Any] = Future()
        self.told = False  # whether somebody was told that it failed

    def progress(self, done: int, total: int, what: str) -> None:
        """Note that `done` of `total` steps are done and what is being worked on."""
        self.done, self.total, self.what = done, total, what

    def finished(self, wait_s: float) -> bool:
        """Return whether the work has ended within `wait_s`, well or not."""
        try:
            self.future.exception(timeout=max(wait_s, 0.0))
        except WaitTimeout:
            return False
        return True

    @property
    def result(self) -> Any:
        """What the work made; raises what it raised. Only of a job that has finished."""
        self.told = True
        return self.future.result(timeout=0)

    @property
    def said(self) -> str:
        """How far the work is, in words."""
        if not self.total:
            return self.what or "waiting for its turn"
        return f"{self.done:,} of {self.total:,}" + (f": {self.what}" if self.what else "")


class Jobs:
    """Work in the background: `job_slots` at once, `job_queue` waiting, the last `jobs_kept` results remembered."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._pool = ThreadPoolExecutor(max_workers=max(1, settings.job_slots), thread_name_prefix="job")
        self._lock = threading.Lock()
        self._jobs: OrderedDict[Hashable, Job] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[Progress], Any]) -> Job:
        """Return the job of `key`; started with `make(progress)` where there is none, or one of whose failure was told.

        Raises Overload when too many are waiting.
        """
        with self._lock:
            job = self._jobs.get(key)
            if job is not None and not (job.told and job.future.done() and job.future.exception() is not None):
                self._jobs.move_to_end(key)
                return job
            running = sum(not j.future.done() for j in self._jobs.values())
            if running >= self.settings.job_slots + self.settings.job_queue:
                raise Overload("the server is busy with long work; try again in a minute")
            job = self._jobs[key] = Job()
            self._pool.submit(_run, job, make)
            done = [k for k, j in self._jobs.items() if j.future.done()]
            for old in done[: max(0, len(self._jobs) - self.settings.jobs_kept)]:
                del self._jobs[old]
            return job

    @property
    def unfinished(self) -> int:
        """Pieces of work that run or wait."""
        with self._lock:
            return sum(not j.future.done() for j in self._jobs.values())

    def close(self) -> None:
        """Start nothing more; what waits is given up."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def known(self, key: Hashable) -> Job | None:
        """Return the job of `key` where there is one; nothing is started."""
        with self._lock:
            return self._jobs.get(key)


def _run(job: Job, make: Callable[[Progress], Any]) -> None:
    try:
        job.future.set_result(make(job.progress))
    except BaseException as error:  # whoever asks for the result gets it
        job.future.set_exception(error)


def page_of(job: Job, title: str, here: str, make: Callable[[Any], Document]) -> Response:
    """Return the page that `make` draws of the result, or one that says how far the work is and looks again."""
    atlas = current_app.extensions["atlas"]
    if job.finished(PATIENCE_S):
        response: Response = atlas.send(make(job.result))
        return response
    html = environment().get_template("working.html").render(
        nav=nav(here), base=atlas.assets.base, title=title, job=job, here=here
    )
    response = atlas.send(html_document(html), 202, cache="no-store")
    response.headers["Retry-After"] = "2"
    return response


def result_of(job: Job) -> Any:
    """Return the result for a program that waits; raises Overload when it takes longer than `job_wait_s`."""
    wait_s = current_app.extensions["atlas"].settings.job_wait_s
    wait_longer(wait_s)
    if not job.finished(wait_s):
        raise Overload(f"still working ({job.said}); ask again")
    return job.result

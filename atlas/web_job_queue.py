"""The queue of a server's long work: places, turns, tickets, and a cancel that ends solves in their middle.

The same work is done once, however many ask for it. Who asks gets a ticket; work that no ticket and nobody who waits
wants any more is stopped. See docs/jobs.md.
"""

import contextlib
import datetime as dt
import math
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as WaitTimeout
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from atlas.background import Background, doing
from atlas.config import Settings
from atlas.errors import Cancelled, SolverFailure
from atlas.solver import runs_elsewhere
from atlas.solver_process import NICED_PROGRAM, SolverProcess
from atlas.web_errors import Overload, TooMany

Progress = Callable[[int, int, str], None]
WAITING, RUNNING, DONE, FAILED, CANCELLED = "waiting", "running", "done", "failed", "cancelled"
ADDRESS = "address "  # begins who is counted by address; no cookie holds a space
# Steps of a piece of work before what is left of it is estimated.
STEPS_BEFORE_ESTIMATE = 2
# Tickets remembered; the oldest of finished work go first.
TICKETS_KEPT = 500
# Small work on what long work has found is done beside it, so that nobody waits minutes for seconds.
QUICK_SLOTS, QUICK_QUEUE = 2, 20
# How long a server that stops waits for its work to end.
CLOSING_S = 5.0


class Job:
    """One piece of work: how far it is, who wants it, and what came of it."""

    def __init__(self, kind: str = "", quick: bool = False) -> None:
        self.kind, self.quick = kind, quick
        self.done, self.total, self.what = 0, 0, ""
        self.future: Future[Any] = Future()
        self.told = False  # whether somebody was told that it failed
        self.background = Background()
        self.wanted: set[str] = set()  # ids of tickets
        self.left: set[str] = set()  # askers who cancelled
        self.waiters = 0
        self.leased_until = -math.inf  # until when it is wanted though nobody is there: who asked was told to come back
        self.asked_at = time.monotonic()
        self.began_at = self.ended_at = math.nan
        self._process: SolverProcess | None = None
        self._turn: Future[Any] | None = None
        self._steps: tuple[float, int, float] | None = None  # first step seen: when and which; when the last one was

    def progress(self, done: int, total: int, what: str) -> None:
        """Note that `done` of `total` steps are done and what is worked on; raises Cancelled when it is to stop."""
        now = time.monotonic()
        if total != self.total or self._steps is None or done < self.done:
            self._steps = now, done, now
        elif done > self.done:
            self._steps = (*self._steps[:2], now)
        self.done, self.total, self.what = done, total, what
        if not self.is_wanted:
            self.background.stopped.set()
        self.background.check()

    @property
    def is_wanted(self) -> bool:
        """Whether anybody still wants what it makes."""
        return bool(self.wanted) or self.waiters > 0 or time.monotonic() < self.leased_until

    @property
    def state(self) -> str:
        """Waiting, running, done, failed or cancelled."""
        if not self.future.done():
            return WAITING if math.isnan(self.began_at) else RUNNING
        error = self.future.exception()
        return DONE if error is None else CANCELLED if isinstance(error, Cancelled) else FAILED

    @property
    def error(self) -> BaseException | None:
        """Why it failed, None while it has not."""
        return self.future.exception() if self.state == FAILED else None

    @property
    def elapsed_s(self) -> float:
        """Seconds that it was worked on; nought while it waits."""
        if math.isnan(self.began_at):
            return 0.0
        return (time.monotonic() if math.isnan(self.ended_at) else self.ended_at) - self.began_at

    @property
    def left_s(self) -> float | None:
        """Seconds that are left if it goes on as so far; None where that cannot be told."""
        if self.state != RUNNING or not self.total or self._steps is None:
            return None
        first, start, last = self._steps
        if self.done - start < STEPS_BEFORE_ESTIMATE:
            return None
        each_s = (last - first) / (self.done - start)
        return max(each_s * (self.total - self.done) - (time.monotonic() - last), 0.0)

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
        if self.state == WAITING:
            return "waiting for its turn"
        if not self.total:
            return self.what or "starting"
        return f"{self.done:,} of {self.total:,}" + (f": {self.what}" if self.what else "")

    def stop(self) -> None:
        """Stop it now: what waits never starts, a solve is ended in its middle."""
        self.background.stopped.set()
        if self._turn is not None and self._turn.cancel():
            self._end(error=Cancelled("the work was cancelled before its turn"))
        process = self._process
        if process is not None:
            process.stop()

    @contextmanager
    def awaited(self) -> Iterator[None]:
        """Count somebody who waits for it inside the block."""
        self.waiters += 1
        try:
            yield
        finally:
            self.waiters -= 1

    def run(self, make: Callable[[Progress], Any]) -> None:
        """Do the work in this thread."""
        self.began_at = time.monotonic()
        process = self._process = SolverProcess(NICED_PROGRAM) if runs_elsewhere() else None
        if process is not None:
            self.background.solve = lambda lp, limit_s: self._solved(process, lp, limit_s)
        try:
            with doing(self.background):
                self.background.check()
                made = make(self.progress)
        except BaseException as error:  # whoever asks for the result gets it
            stopped = self.background.stopped.is_set()
            self._end(error=Cancelled("the work was cancelled") if stopped else error)
        else:
            self._end(made)
        finally:
            if process is not None:
                process.close()

    def _solved(self, process: SolverProcess, lp: Any, limit_s: float) -> Any:
        try:
            return process.solve(lp, limit_s)
        except SolverFailure:
            self.background.check()  # it was ended because the work is to stop
            raise

    def _end(self, made: Any = None, error: BaseException | None = None) -> None:
        self.ended_at = time.monotonic()
        if error is None:
            self.future.set_result(made)
        else:
            self.future.set_exception(error)

    def forget(self) -> None:
        """Let go of the result; the state stays."""
        if self.state == DONE:
            self.future = Future()
            self.future.set_result(None)


def is_address(asker: str) -> bool:
    """Return whether an asker is but an address, or nobody; whoever asks from there may be somebody else."""
    return not asker or asker.startswith(ADDRESS)


@dataclass
class Ticket:
    """What one asker has asked for: the work, and where its result stands. The id is hard to guess: who has it may."""

    asker: str
    address: str
    title: str
    job: Job
    api: str = ""
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    started: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    left: bool = False

    @property
    def state(self) -> str:
        """The state of the work, or cancelled where this asker no longer wants what others still do."""
        return CANCELLED if self.left and self.job.state in (WAITING, RUNNING) else self.job.state


class Jobs:
    """Work in the background: `job_slots` at once, `job_queue` waiting, the last `jobs_kept` results remembered."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._pool = ThreadPoolExecutor(max_workers=max(1, settings.job_slots), thread_name_prefix="job")
        self._quick = ThreadPoolExecutor(max_workers=QUICK_SLOTS, thread_name_prefix="quick-job")
        self._lock = threading.RLock()
        self._jobs: OrderedDict[Hashable, Job] = OrderedDict()
        self._tickets: OrderedDict[str, Ticket] = OrderedDict()
        self._closed = False

    def get(
        self, key: Hashable, make: Callable[[Progress], Any], *, kind: str = "", asker: str = "", anew: bool = True,
        quick: bool = False,
    ) -> Job:  # fmt: skip
        """Return the job of `key`; started with `make(progress)` where there is none, or one of whose failure was told.

        Cancelled work is started again, but for the one who cancelled it: that takes `anew`. `quick` work has places of
        its own. Raises Overload when too much is waiting, TooMany when `asker` has too much unfinished.
        """
        with self._lock:
            job = self._jobs.get(key)
            if job is not None and not self._starts_again(job, asker, anew):
                self._jobs.move_to_end(key)
                return job
            self._check_room(asker, quick)
            job = self._jobs[key] = Job(kind, quick)
            self._jobs.move_to_end(key)
            job.leased_until = time.monotonic() + 60.0  # until whoever asks has a ticket or waits
            job._turn = (self._quick if quick else self._pool).submit(job.run, make)
            done = [k for k, j in self._jobs.items() if j.future.done()]
            for old in done[: max(0, len(self._jobs) - self.settings.jobs_kept)]:
                self._jobs.pop(old).forget()
            return job

    def _starts_again(self, job: Job, asker: str, anew: bool) -> bool:
        if job.state == CANCELLED:
            return anew or asker not in job.left
        if job.state in (WAITING, RUNNING) and job.background.stopped.is_set():
            return True  # it is about to end: whoever comes now gets work of their own
        return job.told and job.state == FAILED

    def _check_room(self, asker: str, quick: bool) -> None:
        if self._closed:
            raise Overload("the server is stopping; try again when it is back")
        going = [j for j in self._jobs.values() if not j.future.done() and j.quick == quick]
        most = QUICK_SLOTS + QUICK_QUEUE if quick else self.settings.job_slots + self.settings.job_queue
        if len(going) >= most:
            raise Overload("the server is busy with long work; try again in a minute")
        own = sum(t.asker == asker and t.state in (WAITING, RUNNING) for t in self._tickets.values()) if asker else 0
        if not quick and own >= self.settings.jobs_per_asker > 0:
            raise TooMany(f"{own} pieces of long work of yours are unfinished; wait for one or cancel one")

    def ticket(self, job: Job, asker: str, address: str, title: str, api: str = "") -> Ticket:
        """Return the asker's ticket for what stands at `address`, with `job` as its work."""
        with self._lock:
            # Programs at one address need not belong together: each has a ticket of its own.
            own = (t for t in self._tickets.values() if t.asker == asker)
            found = None if is_address(asker) else next((t for t in own if t.address == address), None)
            if found is None:
                found = Ticket(asker, address, title, job, api)
                self._tickets[found.id] = found
            elif found.job is not job:
                found.job.wanted.discard(found.id)
                found.job, found.left, found.started = job, False, dt.datetime.now(dt.UTC)
            self._tickets.move_to_end(found.id)
            if not found.left and job.state in (WAITING, RUNNING):
                job.wanted.add(found.id)
                job.leased_until = min(job.leased_until, time.monotonic()) if job.leased_until < math.inf else math.inf
            over = max(0, len(self._tickets) - TICKETS_KEPT)
            # Work whose ticket is dropped unfinished goes on: nobody took it back.
            ended = sorted(self._tickets, key=lambda i: not self._tickets[i].job.future.done())
            for i in ended[:over]:
                del self._tickets[i]
            return found

    def rejoin(self, ticket: Ticket) -> None:
        """Let a ticket that was left want its work again, where that still goes on for others."""
        with self._lock:
            ticket.left = False
            ticket.job.left.discard(ticket.asker)
            if ticket.job.state in (WAITING, RUNNING):
                ticket.job.wanted.add(ticket.id)

    def cancel(self, ticket: Ticket) -> None:
        """Take a ticket back; work that nobody else wants is stopped."""
        with self._lock:
            job = ticket.job
            if job.future.done():
                return
            ticket.left = True
            job.wanted.discard(ticket.id)
            job.left.add(ticket.asker)
            stops = not job.is_wanted
            if stops:
                job.background.stopped.set()  # who asks from now on starts work of their own
        if stops:
            job.stop()

    def find(self, ticket_id: str) -> Ticket | None:
        """Return the ticket of an id, None where there is none."""
        with self._lock:
            return self._tickets.get(ticket_id)

    def of(self, asker: str) -> list[Ticket]:
        """Return a browser's tickets, the newest first."""
        with self._lock:
            return [t for t in reversed(self._tickets.values()) if not is_address(asker) and t.asker == asker]

    def unfinished_jobs(self) -> list[Job]:
        """Return the work that runs or waits, in the order in which it has its turn; quick work left out."""
        with self._lock:
            going = [j for j in self._jobs.values() if not j.future.done() and not j.quick]
        return sorted(going, key=lambda j: (j.state == WAITING, j.asked_at))

    def place(self, job: Job) -> int:
        """Return the place of waiting work in the queue, 1 for the next; 0 where it does not wait."""
        waiting = [j for j in self.unfinished_jobs() if j.state == WAITING]
        return waiting.index(job) + 1 if job in waiting else 0

    @property
    def unfinished(self) -> int:
        """Pieces of work that run or wait."""
        with self._lock:
            return sum(not j.future.done() for j in self._jobs.values())

    def known(self, key: Hashable) -> Job | None:
        """Return the job of `key` where there is one; nothing is started."""
        with self._lock:
            return self._jobs.get(key)

    def close(self) -> None:
        """Stop all work with its processes, and start nothing more."""
        with self._lock:
            self._closed = True
            going = [j for j in self._jobs.values() if not j.future.done()]
        for job in going:
            job.stop()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._quick.shutdown(wait=False, cancel_futures=True)
        end = time.monotonic() + CLOSING_S
        for job in going:
            with contextlib.suppress(WaitTimeout):
                job.future.exception(timeout=max(end - time.monotonic(), 0.0))

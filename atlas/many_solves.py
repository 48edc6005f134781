"""Many solves at once: the same piece of work for many tasks, over processes that each hold the study ready."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any

from joblib.externals.loky import ProcessPoolExecutor

from atlas.background import current, give_way
from atlas.solver import run_with

Work = Callable[[Any, Any], Any]

# How often background work looks whether it is to stop.
LISTEN_S = 0.1

_held: Any = None


def workers_of(setting: int) -> int:
    """Return how many processes to use: the setting, or as many as this process may have cores."""
    if setting > 0:
        return setting
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Crew:
    """Processes that do `work(holds, task)`, each with its own copy of `holds`; use as a context.

    With one worker the work is done in this process, one task after another. `holds` and tasks must be picklable, and
    `work` a function of a module. Told to stop (`background`), it ends its processes in the middle of what they do and
    raises Cancelled; processes of background work give way to others.
    """

    def __init__(self, work: Work, holds: Any, workers: int) -> None:
        self.work, self.holds, self.workers = work, holds, max(1, workers)
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> "Crew":
        if self.workers > 1:
            told = (self.holds, os.getpid(), current() is not None)
            self._pool = ProcessPoolExecutor(self.workers, initializer=_hold, initargs=told)
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, kill_workers=True)

    def each(self, tasks: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """Yield (number of the task, result) as they are done, in any order; raises what the work raises."""
        if self._pool is None:
            for n, task in enumerate(tasks):
                yield n, self.work(self.holds, task)
            return
        number: dict[Future[Any], int] = {}
        ahead = iter(enumerate(tasks))
        while True:
            while len(number) < 2 * self.workers:  # few in advance, so that an end of the search ends the work
                n, task = next(ahead, (-1, None))
                if n < 0:
                    break
                number[self._pool.submit(_do, self.work, task)] = n
            if not number:
                return
            for future in _first(number):
                yield number.pop(future), future.result()

    def drive(self, ask: Callable[[], Any], tell: Callable[[Any, Any], None]) -> None:
        """Do tasks as `ask` gives them and `tell` (task, result) as they are done, until there is nothing to do.

        `ask` may return None for the time being; it is asked again after the next result.
        """
        if self._pool is None:
            while (task := ask()) is not None:
                tell(task, self.work(self.holds, task))
            return
        running: dict[Future[Any], Any] = {}
        while True:
            while len(running) < self.workers and (task := ask()) is not None:
                running[self._pool.submit(_do, self.work, task)] = task
            if not running:
                return
            for future in _first(running):
                tell(running.pop(future), future.result())


def _first(futures: Iterable[Future[Any]]) -> set[Future[Any]]:
    """Return those that are done, at least one; background work that waits here hears that it is to stop."""
    work = current()
    while True:
        done = wait(futures, timeout=None if work is None else LISTEN_S, return_when=FIRST_COMPLETED).done
        if work is not None:
            work.check()
        if done:
            return done


def _hold(holds: Any, owner: int, gives_way: bool) -> None:
    global _held
    _held = holds
    if gives_way:
        give_way()
    run_with(None)  # a worker is a process of its own already
    threading.Thread(target=_end_with, args=(owner,), daemon=True).start()


def _end_with(owner: int) -> None:
    """End this process when the one that started it is gone: a killed search leaves nobody waiting for work."""
    while os.getppid() == owner:
        time.sleep(1.0)
    os._exit(1)


def _do(work: Work, task: Any) -> Any:
    return work(_held, task)

"""Work in the background of a server: it can be told to stop, gives way to others, and solves where it holds nobody up.

The work itself knows nothing of this: what it calls - `solver.solve`, the processes of `many_solves.Crew`, the progress
it tells - looks here for whether the thread it runs in belongs to such work.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from atlas.errors import Cancelled

# How much processes of background work give way to those that answer somebody who waits (nice).
NICENESS = 10


@dataclass
class Background:
    """One piece of work in the background; `solve`, where there is one, solves for it apart from all others."""

    stopped: threading.Event = field(default_factory=threading.Event)
    solve: Callable[[Any, float], Any] | None = None

    def check(self) -> None:
        """Raise Cancelled once the work was told to stop."""
        if self.stopped.is_set():
            raise Cancelled("the work was cancelled")


_current: ContextVar[Background | None] = ContextVar("background", default=None)


def current() -> Background | None:
    """Return the background work that this thread does, None for work that somebody waits for."""
    return _current.get()


@contextmanager
def doing(work: Background) -> Iterator[None]:
    """Count what this thread does inside the block as `work`."""
    before = _current.set(work)
    try:
        yield
    finally:
        _current.reset(before)


def give_way() -> None:
    """Let this process give way to others where the system can."""
    with contextlib.suppress(AttributeError, OSError):  # no nice on Windows; a sandbox may refuse
        os.nice(NICENESS)

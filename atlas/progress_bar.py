"""A bar on standard error for work that takes a while: for commands, scripts and notebooks."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

WIDTH = 118
BAR = 24
# How often a bar is drawn anew, and how often a line is printed where there is no bar.
REDRAW_S, LINE_S = 0.2, 10.0

Progress = Callable[[int, int, str], None]


@contextmanager
def bar(label: str) -> Iterator[Progress]:
    """Yield what is to be told (done, total, what); a total of 0 counts solves.

    Draws a bar where standard error is a terminal or the output of a notebook's cell, and prints a line now and then
    where it is a file or a pipe.
    """
    drawn = sys.stderr.isatty() or "ipykernel" in sys.modules
    shown = {"at": 0.0}

    def tell(done: int, total: int, what: str) -> None:
        now = time.monotonic()
        if now - shown["at"] < (REDRAW_S if drawn else LINE_S) and done != total:
            return
        shown["at"] = now
        part = f"{done:,} of {total:,}" if total else f"{done:,} solves"
        if drawn:
            filled = round(BAR * done / total) if total else 0
            gauge = f" [{'#' * filled}{'-' * (BAR - filled)}]" if total else ":"
            line = f"{label}{gauge} {part} {what}"
            _say("\r" + line[:WIDTH].ljust(WIDTH))
        else:
            _say(f"{label}: {part} {what}".rstrip() + "\n")

    try:
        yield tell
    finally:
        if drawn and shown["at"]:
            _say("\n")


def _say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()

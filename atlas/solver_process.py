"""The solver in a process of its own: it may crash, hang or answer nonsense, and only that one answer is lost.

One worker solves one programme after another. It is started when first needed, by running the interpreter anew (nothing
of a threaded server is forked), and ended by its own id when it is late, dead or wrong; the next question starts a new
one. It ends by itself when its parent does, even in the middle of a solve. Arrays travel over its standard input and
output as they are, with a line of JSON that names them: nothing a broken worker writes is ever executed.
"""

import contextlib
import json
import os
import queue
import signal
import struct
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, NoReturn

import numpy as np

from atlas.errors import SolverFailure, SolverTimeUp
from atlas.solver import LinearProgramme, Optimum, arrays_of, highs, proved, run_with

# HiGHS keeps its time limit by itself, between two steps; the process is ended when it has not done so by then.
GRACE_S = 2.0
START_LIMIT_S = 60.0
NEXT = "the next question starts a new one"

# What a worker runs; argv[1] is the parent's search path, so that both import the same atlas.
PROGRAM = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from atlas.solver_process import work; work()"

# The same for a worker that gives way to others: of background work.
NICED_PROGRAM = PROGRAM.replace("; work()", "; from atlas.background import give_way; give_way(); work()")

_LENGTH = struct.Struct("<Q")
_MOST_HEAD_BYTES, _MOST_BYTES = 100_000, 1 << 33
_TYPES = {"<f8", "<i4"}

Answer = Callable[[Mapping[str, np.ndarray], float], dict[str, np.ndarray]]


class SolverProcess:
    """Solves programmes in a worker process, one at a time; safe to share between threads.

    `program` is the Python source that the worker runs. `solve` has the signature and the errors of `solver.solve`.
    """

    def __init__(self, program: str = PROGRAM, grace_s: float = GRACE_S) -> None:
        self._program, self._grace_s = program, grace_s
        self._lock = threading.Lock()
        self._worker: subprocess.Popen[bytes] | None = None
        self._end: Callable[[], object] = lambda: None
        self._owner = os.getpid()
        self._stopped = False

    @property
    def pid(self) -> int | None:
        """The id of the worker, None while there is none."""
        worker = self._worker
        return worker.pid if worker is not None and worker.poll() is None else None

    def solve(self, lp: LinearProgramme, time_limit_s: float = 60.0) -> Optimum:
        """Solve `lp` in the worker; raises SolverTimeUp or SolverFailure."""
        with self._lock:
            sound = False  # whatever else happens here, an interrupt included: this worker is not used again
            try:
                worker = self._started()
                reply, arrays = self._asked(worker, lp, time_limit_s)
                if "time_up" in reply:
                    sound = True
                    raise SolverTimeUp(str(reply["time_up"]))
                if "failure" in reply:
                    sound = True
                    raise SolverFailure(str(reply["failure"]))
                optimum = proved(lp, arrays)
                sound = True
                return optimum
            finally:
                if not sound:
                    self._drop()

    def stop(self) -> None:
        """End the worker now, in the middle of a solve, which raises SolverFailure; no later `solve` is answered."""
        self._stopped = True  # first this, then the kill: a worker that is just being started looks after its start
        worker = self._worker
        if worker is not None:
            worker.kill()

    def close(self) -> None:
        """End the worker; a later `solve` starts a new one."""
        with self._lock:
            self._drop()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._owner != os.getpid():  # a forked copy of this object: the worker is its parent's
            self._worker, self._owner = None, os.getpid()
        if self._worker is not None and self._worker.poll() is not None:
            self._drop()  # it died between two questions
        if self._worker is None:
            path = json.dumps([p or os.getcwd() for p in sys.path])
            # HiGHS needs no threads of a BLAS, and each would take memory.
            env = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
            command = [sys.executable, "-c", self._program, path]
            worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)
            self._worker = worker
            self._end = weakref.finalize(self, _ended, worker, os.getpid())
            if self._stopped:
                worker.kill()
            late = f"the solver's process was not ready within {START_LIMIT_S:g} s; {NEXT}"
            _in_time(worker, START_LIMIT_S, SolverFailure(late), lambda: _read(_pipe(worker.stdout)))
        return self._worker

    def _asked(
        self, worker: subprocess.Popen[bytes], lp: LinearProgramme, time_limit_s: float
    ) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        arrays = arrays_of(lp)

        def talk() -> tuple[dict[str, Any], dict[str, np.ndarray]]:
            _write(_pipe(worker.stdin), {"time_limit_s": float(time_limit_s)}, arrays)
            return _read(_pipe(worker.stdout))

        late = f"no optimum within {time_limit_s:g} s; the solver's process was ended and {NEXT}"
        return _in_time(worker, time_limit_s + self._grace_s, SolverTimeUp(late), talk)

    def _drop(self) -> None:
        self._worker = None
        self._end()


def use_process(on: bool) -> None:
    """Let `solver.solve` run in a worker process from now on, or again in this one."""
    run_with(SolverProcess().solve if on else None)


def _in_time(
    worker: subprocess.Popen[bytes],
    limit_s: float,
    late: SolverFailure,
    talk: Callable[[], tuple[dict[str, Any], dict[str, np.ndarray]]],
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Talk to a worker, which is killed at the limit; that, its death and nonsense become a SolverFailure."""
    passed = threading.Event()

    def give_up() -> None:
        passed.set()
        worker.kill()

    timer = threading.Timer(min(limit_s, threading.TIMEOUT_MAX), give_up)
    timer.daemon = True
    timer.start()
    try:
        said = talk()
    except (OSError, EOFError):
        if passed.is_set():
            raise late from None
        raise SolverFailure(f"the solver's process ended ({_how(worker)}); {NEXT}") from None
    except Exception:  # whatever a broken worker can write
        raise SolverFailure(f"the solver's process returned what is no answer; {NEXT}") from None
    finally:
        timer.cancel()
        timer.join()
    if passed.is_set():
        raise late
    return said


def _how(worker: subprocess.Popen[bytes]) -> str:
    """Say how a worker ended that has closed its end of the line."""
    try:
        code = worker.wait(timeout=5)
    except subprocess.TimeoutExpired:
        return "it no longer answers"
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _ended(worker: subprocess.Popen[bytes], owner: int) -> None:
    """End a worker for good, unless it is another process's."""
    if os.getpid() != owner:
        return
    worker.kill()
    worker.wait()
    for pipe in (worker.stdin, worker.stdout):
        with contextlib.suppress(OSError):
            _pipe(pipe).close()


def _pipe(stream: Any) -> BinaryIO:
    assert stream is not None
    return stream


def _write(stream: BinaryIO, head: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write one message: the length of its head, the head, the arrays one after another."""
    shapes = [[name, a.dtype.str, a.size] for name, a in arrays.items()]
    text = json.dumps({"head": dict(head), "arrays": shapes}).encode()
    stream.write(_LENGTH.pack(len(text)) + text)
    for a in arrays.values():
        stream.write(a.tobytes())
    stream.flush()


def _read(stream: BinaryIO) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read one message; EOFError where it ends too early, ValueError where it is none."""
    (length,) = _LENGTH.unpack(_exactly(stream, _LENGTH.size))
    if length > _MOST_HEAD_BYTES:
        raise ValueError("a head of this length is none")
    said = json.loads(_exactly(stream, length))
    arrays = {}
    for name, kind, size in said["arrays"]:
        if kind not in _TYPES or not 0 <= size <= _MOST_BYTES // 8:
            raise ValueError(f"an array of {size} {kind}")
        dtype = np.dtype(kind)
        arrays[name] = np.frombuffer(_exactly(stream, size * dtype.itemsize), dtype=dtype)
    return dict(said["head"]), arrays


def _exactly(stream: BinaryIO, n: int) -> bytearray:
    found = bytearray()
    while len(found) < n:
        part = stream.read(min(n - len(found), 1 << 24))
        if not part:
            raise EOFError
        found += part
    return found


def work(answer: Answer = highs) -> NoReturn:
    """Be a worker: answer programmes from standard input until it is closed. `answer` does the solving."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in the server's terminal is for the server
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints goes to the log, not between the answers
    waiting: queue.SimpleQueue[tuple[dict[str, Any], dict[str, np.ndarray]]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, waiting), daemon=True).start()
    _write(out, {"ready": True}, {})
    while True:
        head, arrays = waiting.get()
        found: dict[str, np.ndarray] = {}
        said: dict[str, str] = {}
        try:
            found = answer(arrays, float(head["time_limit_s"]))
        except SolverTimeUp as e:
            said["time_up"] = str(e)
        except SolverFailure as e:
            said["failure"] = str(e)
        except Exception as e:
            said["failure"] = f"the solver stopped: {type(e).__name__}: {e}"[:2000]
        _write(out, said, found)


def _listen(stream: BinaryIO, waiting: queue.SimpleQueue[tuple[dict[str, Any], dict[str, np.ndarray]]]) -> None:
    """Take questions in; when the parent is gone, end this process at once, whatever it is doing."""
    try:
        while True:
            waiting.put(_read(stream))
    finally:
        os._exit(0)

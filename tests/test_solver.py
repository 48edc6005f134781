"""The solver may die, hang or answer nonsense: a clear error, the server lives, the next question works."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import highspy
import numpy as np
import pytest
from fake_outcome import FakeStudy, fake_study
from scipy import sparse

from atlas import solver, web
from atlas.config import settings
from atlas.errors import SolverFailure, SolverTimeUp
from atlas.solver import LinearProgramme, highs, proved, solve
from atlas.solver_process import PROGRAM, SolverProcess, use_process

SMALL = LinearProgramme(
    cost=np.array([1.0, 2.0]),
    lower=np.zeros(2),
    upper=np.array([3.0, np.inf]),
    matrix=sparse.csc_matrix([[1.0, 1.0]]),
    row_lower=np.array([4.0]),
    row_upper=np.array([np.inf]),
    offset=0.5,
)


def long_programme(n: int = 900) -> LinearProgramme:
    """Return a dense programme that keeps the simplex busy for far more than a few seconds."""
    a = np.random.default_rng(0).random((n, n))
    return LinearProgramme(-np.ones(n), np.zeros(n), np.full(n, np.inf), sparse.csc_matrix(a), np.full(n, -np.inf), np.ones(n))


def worker(body: str, grace_s: float = 0.2) -> SolverProcess:
    """Return a solver whose worker runs `body` in place of HiGHS; `first` is true once for each marked file."""
    lines = PROGRAM.replace("; ", "\n").replace("work()", "").splitlines()
    made = ["import os, time, numpy as np", "from atlas.solver import highs", "def answer(a, limit):"]
    return SolverProcess("\n".join([*lines, *made, *(f"    {x}" for x in body.splitlines()), "work(answer)"]), grace_s)


@pytest.fixture
def through() -> Iterator[Any]:
    """Let the solver run through a worker for one test, and end all of them after it."""
    opened: list[SolverProcess] = []

    def start(p: SolverProcess) -> SolverProcess:
        opened.append(p)
        solver.run_with(p.solve)
        return p

    yield start
    use_process(False)
    for p in opened:
        p.close()


def good() -> dict[str, np.ndarray]:
    return highs(solver.arrays_of(SMALL), 5.0)


# ---- answers are checked


def test_optimum_by_hand() -> None:
    found = solve(SMALL)
    assert found.x.tolist() == [3.0, 1.0]
    assert found.y.tolist() == [2.0]
    assert found.d.tolist() == [-1.0, 0.0]
    assert found.objective == 5.5
    assert found.basic.tolist() == [False, True, False], "the second column, and no row"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"x": np.array([3.0, np.nan])}, "not finite"),
        ({"y": np.array([np.inf])}, "not finite"),
        ({"x": np.array([3.0])}, "1 numbers for x; expected 2"),
        ({"y": np.zeros(0)}, "0 numbers for y; expected 1"),
        ({"d": None}, "nothing for d"),
        ({"basis": np.array([3], dtype=np.int32)}, "a basis that is none"),
        ({"x": np.zeros(2)}, "does not satisfy its own programme"),  # the row
        ({"x": np.array([5.0, -1.0])}, "does not satisfy its own programme"),  # the bounds
        ({"objective": np.array([4.0])}, "does not satisfy its own programme"),
        ({"x": np.array([0.0, 4.0]), "objective": np.array([8.0])}, "not the optimum"),  # allowed, but dear
        ({"y": np.zeros(1)}, "not the optimum"),
        ({"d": np.zeros(2)}, "not the optimum"),
        ({"y": np.array([-2.0]), "d": np.array([3.0, 4.0])}, "not the optimum"),  # a price on no bound
    ],
)
def test_garbage_is_refused(changed: dict[str, Any], words: str) -> None:
    answer = {k: v for k, v in (good() | changed).items() if v is not None}
    with pytest.raises(SolverFailure, match=words):
        proved(SMALL, answer)


def test_no_optimum_says_why() -> None:
    nowhere = LinearProgramme(np.ones(1), np.zeros(1), np.ones(1), sparse.csc_matrix([[1.0]]), np.array([2.0]), np.array([3.0]))
    with pytest.raises(SolverFailure, match="no optimum: Infeasible") as caught:
        solve(nowhere)
    assert not isinstance(caught.value, SolverTimeUp)


def test_time_limit_of_highs() -> None:
    with pytest.raises(SolverTimeUp, match=r"^no optimum within 0\.2 s$"):
        solve(long_programme(), 0.2)


def test_exception_in_highs(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise MemoryError("std::bad_alloc")

    monkeypatch.setattr(highspy.Highs, "passModel", broken)
    with pytest.raises(SolverFailure, match="the solver stopped: MemoryError: std::bad_alloc"):
        solve(SMALL)


# ---- the worker


def test_same_bytes_in_a_process_of_its_own(through: Any) -> None:
    rng = np.random.default_rng(3)
    a = sparse.csc_matrix(sparse.random_array((60, 90), density=0.1, rng=rng))
    lp = LinearProgramme(rng.random(90), np.zeros(90), np.full(90, 9.0), a, a @ rng.random(90), np.full(60, np.inf))
    here = solve(lp)
    p = through(SolverProcess())
    assert p.pid is None, "started when first needed"
    there = solve(lp)
    first = p.pid
    assert there.objective == here.objective
    for name in ("x", "y", "d", "basic"):
        assert getattr(there, name).tobytes() == getattr(here, name).tobytes()
    # HiGHS's own refusals and time-outs cost no process.
    with pytest.raises(SolverTimeUp, match=r"^no optimum within 0\.1 s$"):
        solve(long_programme(), 0.1)
    assert solve(SMALL).objective == 5.5
    assert p.pid == first


def test_several_threads_share_it(through: Any) -> None:
    through(SolverProcess())
    found: list[float] = []
    threads = [threading.Thread(target=lambda: found.append(solve(SMALL).objective)) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert found == [5.5] * 8


def test_killed_in_the_middle_of_a_solve(through: Any) -> None:
    p = through(SolverProcess())
    solve(SMALL)
    first = p.pid
    killer = threading.Timer(0.4, lambda: os.kill(first, signal.SIGKILL))
    killer.start()
    with pytest.raises(SolverFailure, match=r"process ended \(signal 9\); the next question starts a new one"):
        solve(long_programme(), 20.0)
    killer.join()
    assert solve(SMALL).objective == 5.5
    assert p.pid not in (None, first)


def test_killed_between_two_questions(through: Any) -> None:
    p = through(SolverProcess())
    solve(SMALL)
    os.kill(p.pid, signal.SIGKILL)
    while p.pid is not None:
        time.sleep(0.01)
    assert solve(SMALL).objective == 5.5, "nobody's question is lost"


def test_one_that_sleeps_past_the_limit(through: Any, tmp_path: Any) -> None:
    p = through(worker(f"if not os.path.exists({str(tmp_path / 'slept')!r}):\n    open({str(tmp_path / 'slept')!r}, 'w').close(); time.sleep(60)\nreturn highs(a, limit)"))
    start = time.monotonic()
    with pytest.raises(SolverTimeUp, match=r"no optimum within 0\.3 s; the solver's process was ended"):
        solve(SMALL, 0.3)
    assert time.monotonic() - start < 5
    assert p.pid is None
    assert solve(SMALL, 5.0).objective == 5.5


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("os._exit(3)", r"process ended \(exit code 3\)"),
        ("import ctypes; ctypes.string_at(0)", r"process ended \(signal 11\)"),
        ("found = highs(a, limit); found['x'][0] = np.nan; return found", "not finite"),
        ("found = highs(a, limit); found['x'] = found['x'][:1]; return found", "1 numbers for x; expected 2"),
        ("found = highs(a, limit); return {k: v * 0 for k, v in found.items()}", "does not satisfy its own programme"),
        ("raise RuntimeError('inside highspy')", "the solver stopped: RuntimeError: inside highspy"),
        ("os.write(3, b'z' * 64); time.sleep(9)", "returned what is no answer"),  # 3: its copy of standard output
        ("print('a library talks'); return {}", "nothing for x"),
    ],
)
def test_each_way_to_fail(through: Any, body: str, words: str) -> None:
    through(worker(body, grace_s=5.0))
    with pytest.raises(SolverFailure, match=words):
        solve(SMALL, 5.0)


def test_one_that_does_not_start(through: Any) -> None:
    through(SolverProcess("raise SystemExit(7)"))
    with pytest.raises(SolverFailure, match=r"ended \(exit code 7\)"):
        solve(SMALL)


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="reads /proc")
def test_it_ends_with_its_parent_even_in_the_middle_of_a_solve() -> None:
    script = """
import sys, threading, time
sys.path.insert(0, "tests")
from test_solver import SMALL, SolverProcess, long_programme
p = SolverProcess()
p.solve(SMALL)
threading.Thread(target=p.solve, args=(long_programme(), 60.0), daemon=True).start()
time.sleep(0.5)
print(p.pid, flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent, parent.stdout:
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.kill()
    until = time.monotonic() + 5
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not alive(pid)


# ---- behind the web atlas


class SolvingStudy(FakeStudy):
    """Solves a programme on the way to its invented answer."""

    lp: LinearProgramme = SMALL

    def solve(self, *args: Any, **more: Any) -> Any:
        solve(self.lp, 5.0)
        return super().solve(*args, **more)


def asked(client: Any, halt: str, status: int) -> dict[str, Any]:
    response = client.get(f"/api/solve?halt={halt}")
    assert response.status_code == status, response.text[:300]
    assert client.get("/healthz").status_code == 200, "the server lives"
    body = response.get_json()
    if status != 200:
        assert set(body) == {"ok", "error", "problems", "status"}
        assert (body["ok"], body["status"]) == (False, status)
        assert int(response.headers["Retry-After"]) > 0
    return body


def test_a_server_outlives_its_solver(through: Any) -> None:
    study = SolvingStudy()
    client = web.create_app(study, settings({})).test_client()
    p = through(SolverProcess())
    asked(client, "facility:a", 200)
    study.lp = long_programme()
    killer = threading.Timer(0.4, lambda: os.kill(p.pid or 0, signal.SIGKILL))
    killer.start()
    assert "signal 9" in asked(client, "facility:b", 503)["error"]
    killer.join()
    study.lp = SMALL
    asked(client, "facility:b", 200)
    through(worker("return {k: v * np.nan for k, v in highs(a, limit).items()}"))
    assert "not finite" in asked(client, "facility:c", 503)["error"]
    through(worker("time.sleep(60)", grace_s=-4.7))
    assert "no optimum within" in asked(client, "facility:c", 504)["error"]
    through(SolverProcess())
    asked(client, "facility:c", 200)
    assert fake_study().solved == []


def test_the_server_turns_it_on(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    monkeypatch.setattr(web, "run", lambda *_, **__: seen.append(solver._runner is not None))
    try:
        web.serve(fake_study(), settings=settings({}))
        web.serve(fake_study(), settings=settings({}, solver_process=False))
    finally:
        use_process(False)
    assert seen == [True, False]

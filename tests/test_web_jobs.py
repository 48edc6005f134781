"""Long work of a server: turns, tickets, cancel in the middle of a solve, pages that answer meanwhile."""

import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from atlas import solver, web_chokepoints, web_frontier
from atlas.background import NICENESS, Background, doing
from atlas.config import settings
from atlas.errors import Cancelled, SolverFailure
from atlas.many_solves import Crew
from atlas.solver import LinearProgramme
from atlas.solver_process import NICED_PROGRAM, SolverProcess
from atlas.web import create_app
from atlas.web_errors import Overload, TooMany
from atlas.web_job_queue import CANCELLED, DONE, FAILED, RUNNING, WAITING, Job, Jobs
from atlas.web_jobs import COOKIE, duration
from tests.dozing import doze
from tests.fake_outcome import fake_study
from tests.invented import invent
from tests.test_web_chokepoints import mapped

# A solver's worker that never answers, and says how much it gives way.
SLOW = NICED_PROGRAM.replace("work()", "import time; work(lambda arrays, limit: time.sleep(60))")
SMALL = LinearProgramme(
    cost=np.array([1.0]), lower=np.array([0.0]), upper=np.array([2.0]), matrix=sparse.csc_matrix([[1.0]]),
    row_lower=np.array([1.0]), row_upper=np.array([5.0]),
)  # fmt: skip


def until(true: Callable[[], Any], seconds: float = 10.0) -> None:
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


class Steps:
    """Work that goes on step by step until it is let go or stopped."""

    def __init__(self, total: int = 100) -> None:
        self.go, self.total, self.steps = threading.Event(), total, 0

    def __call__(self, progress: Any) -> str:
        while not self.go.is_set():
            self.steps += 1
            progress(min(self.steps, self.total), self.total, f"step {self.steps}")
            time.sleep(0.005)
        return "made"


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    made = Jobs(settings({}, job_slots=1, job_queue=2, jobs_per_asker=3))
    yield made
    made.close()


def ask(jobs: Jobs, key: str, work: Any, who: str) -> Any:
    """Return the ticket of `who` for the work of a key."""
    return jobs.ticket(jobs.get(key, work, kind="singles", asker=who), who, f"/chokepoints?bloc={key}", key)


def test_states_places_and_an_estimate(jobs: Jobs) -> None:
    first, second = Steps(), Steps()
    a, b = ask(jobs, "a", first, "ann"), ask(jobs, "b", second, "bob")
    until(lambda: a.job.done >= 5)
    assert (a.state, b.state) == (RUNNING, WAITING)
    assert (jobs.place(a.job), jobs.place(b.job)) == (0, 1)
    assert re.fullmatch(r"\d+ of 100: step \d+", a.job.said)
    assert b.job.said == "waiting for its turn"
    assert b.job.left_s is None
    left = a.job.left_s
    assert left is not None
    expected = a.job.elapsed_s / a.job.done * (100 - a.job.done)
    assert 0.3 * expected < left < 3 * expected + 0.1
    first.go.set()
    until(lambda: a.state == DONE and b.state == RUNNING)
    assert a.job.result == "made"
    assert jobs.place(b.job) == 0


def test_cancel_stops_work_that_nobody_else_wants(jobs: Jobs) -> None:
    work = Steps()
    mine = ask(jobs, "a", work, "ann")
    until(lambda: work.steps > 3)
    start = time.monotonic()
    jobs.cancel(mine)
    until(lambda: mine.job.state == CANCELLED)
    assert time.monotonic() - start < 0.5
    stopped = work.steps
    time.sleep(0.05)
    assert work.steps == stopped
    with pytest.raises(Cancelled):
        _ = mine.job.result
    assert jobs.get("a", work, asker="ann", anew=False) is mine.job, "whoever cancelled is not served against their will"
    again = jobs.get("a", work, asker="bob", anew=False)
    assert again is not mine.job
    until(lambda: again.state == RUNNING)


def test_work_that_others_want_goes_on(jobs: Jobs) -> None:
    work = Steps()
    mine, yours = ask(jobs, "a", work, "ann"), ask(jobs, "a", work, "bob")
    assert mine.job is yours.job
    until(lambda: work.steps > 3)
    jobs.cancel(mine)
    before = work.steps
    until(lambda: work.steps > before + 3)
    assert (mine.state, yours.state) == (CANCELLED, RUNNING)
    jobs.cancel(yours)
    until(lambda: yours.job.state == CANCELLED)


def test_work_that_a_program_waits_for_goes_on(jobs: Jobs) -> None:
    work = Steps()
    mine = ask(jobs, "a", work, "ann")
    with mine.job.awaited():
        jobs.cancel(mine)
        before = work.steps
        until(lambda: work.steps > before + 3)
    until(lambda: mine.job.state == CANCELLED)


def test_waiting_work_that_is_cancelled_never_starts(jobs: Jobs) -> None:
    first, second = Steps(), Steps()
    ask(jobs, "a", first, "ann")
    waiting = ask(jobs, "b", second, "ann")
    jobs.cancel(waiting)
    assert waiting.state == CANCELLED
    first.go.set()
    third = Steps()
    until(lambda: ask(jobs, "c", third, "ann").state == RUNNING)
    assert second.steps == 0


def test_queue_and_asker_have_limits(jobs: Jobs) -> None:
    for key in "abc":
        ask(jobs, key, Steps(), "ann")
    with pytest.raises(Overload):
        ask(jobs, "d", Steps(), "bob")
    assert ask(jobs, "a", Steps(), "bob").job is ask(jobs, "a", Steps(), "ann").job, "what runs takes no place"
    roomy = Jobs(settings({}, job_slots=1, job_queue=9, jobs_per_asker=2))
    for key in "ab":
        ask(roomy, key, Steps(), "ann")
    with pytest.raises(TooMany):
        ask(roomy, "c", Steps(), "ann")
    assert ask(roomy, "c", Steps(), "bob").state == WAITING
    roomy.close()


def test_quick_work_does_not_wait_for_long_work(jobs: Jobs) -> None:
    for key in "abc":
        ask(jobs, key, Steps(), "ann")
    assert jobs.get("q", lambda progress: 7, quick=True).finished(5.0)
    assert len(jobs.unfinished_jobs()) == 3


def test_close_ends_everything() -> None:
    jobs = Jobs(settings({}, job_slots=2))
    works = [Steps() for _ in range(3)]
    tickets = [ask(jobs, str(n), w, "ann") for n, w in enumerate(works)]
    until(lambda: works[0].steps and works[1].steps)
    start = time.monotonic()
    jobs.close()
    assert time.monotonic() - start < 1.0
    assert [t.state for t in tickets] == [CANCELLED] * 3
    with pytest.raises(Overload):
        jobs.get("more", Steps())


def test_failed_work_says_why(jobs: Jobs) -> None:
    def work(progress: Any) -> None:
        raise SolverFailure("no optimum")

    mine = ask(jobs, "a", work, "ann")
    assert mine.job.finished(5.0)
    assert (mine.state, str(mine.job.error)) == (FAILED, "no optimum")


def test_a_solve_in_its_own_process_is_ended_in_its_middle() -> None:
    """The worker is killed, not waited for; a solve that comes after it is refused too."""
    process, ended = SolverProcess(SLOW), threading.Event()
    background = Background(solve=process.solve)

    def work() -> None:
        with doing(background), pytest.raises(SolverFailure):
            solver.solve(SMALL, 60.0)
        ended.set()

    threading.Thread(target=work, daemon=True).start()
    until(lambda: process.pid is not None)
    time.sleep(0.5)
    pid, start = process.pid, time.monotonic()
    assert pid is not None
    assert os.getpriority(os.PRIO_PROCESS, pid) == min(os.getpriority(os.PRIO_PROCESS, 0) + NICENESS, 19)
    process.stop()
    assert ended.wait(1.0)
    assert time.monotonic() - start < 1.0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(SolverFailure):
        process.solve(SMALL)
    background.stopped.set()
    with doing(background), pytest.raises(Cancelled):
        solver.solve(SMALL)
    process.close()


def test_a_crew_of_processes_is_ended_in_its_middle() -> None:
    background, seen, stopped_at = Background(), [], []
    nice = os.getpriority(os.PRIO_PROCESS, 0)

    def stop_soon() -> None:
        until(lambda: seen, 60.0)
        stopped_at.append(time.monotonic())
        background.stopped.set()

    threading.Thread(target=stop_soon, daemon=True).start()
    def work() -> None:
        with doing(background), Crew(doze, None, 2) as crew:
            for _, found in crew.each([0.0, 60.0, 60.0]):
                seen.append(found)

    with pytest.raises(Cancelled):
        work()
    assert time.monotonic() - stopped_at[0] < 3.0
    assert seen == [min(nice + NICENESS, 19)]


@pytest.fixture(scope="module")
def study() -> Any:
    return mapped(invent())


@pytest.fixture
def works(monkeypatch: Any) -> dict[str, Steps]:
    """Long work in place of the real: it goes on until a test lets it go."""
    made = {k: Steps() for k in ("singles", "frontier", "worth")}

    def stand_in(steps: Steps) -> Any:
        def work(*args: Any, **more: Any) -> Any:
            progress = more.get("progress") or next(a for a in args if callable(a))
            steps(progress)
            raise SolverFailure("let go without a result")

        return work

    monkeypatch.setattr(web_chokepoints, "singles", stand_in(made["singles"]))
    monkeypatch.setattr(web_frontier, "frontier", stand_in(made["frontier"]))
    monkeypatch.setattr(web_frontier, "worth", stand_in(made["worth"]))
    monkeypatch.setattr("atlas.web_jobs.PATIENCE_S", 0.02)
    return made


@pytest.fixture
def app(study: Any, works: Any) -> Iterator[Any]:
    made = create_app(study, settings({}, job_slots=1, job_wait_s=0.2))
    yield made
    made.extensions["atlas"].jobs.close()


def test_a_program_starts_follows_and_cancels(app: Any, works: dict[str, Steps]) -> None:
    client = app.test_client()
    made = client.post("/api/jobs", json={"kind": "singles", "bloc": "pair", "element": "Dy"})
    assert made.status_code == 202
    body = made.get_json()
    assert made.headers["Location"] == f"/api/jobs/{body['id']}"
    assert len(body["id"]) >= 20
    assert body["address"] == "/chokepoints?bloc=pair&element=Dy"
    assert body["api"] == "/api/chokepoints?bloc=pair&element=Dy"
    until(lambda: works["singles"].steps > 3)
    now = client.get(made.headers["Location"]).get_json()
    assert now["state"] == RUNNING
    assert now["total"] == 100
    assert now["done"] >= 3
    assert now["what"].startswith("step ")
    gone = client.delete(made.headers["Location"])
    assert gone.status_code == 200
    until(lambda: client.get(made.headers["Location"]).get_json()["state"] == CANCELLED)
    until(lambda: client.get("/api/jobs").get_json()["jobs"] == [])
    assert client.get("/api/jobs/none-such").status_code == 404
    assert client.delete("/api/jobs/none-such").status_code == 404


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "kind: expected one of singles, sets"),
        ({"kind": "single"}, "nearest: singles"),
        ({"kind": "singles", "bloc": "pear"}, "nearest: pair"),
        ({"kind": "singles", "blok": "pair"}, "unknown parameter 'blok'"),
        ({"kind": "singles", "size": 2}, "size: not of the kind singles"),
        ({"kind": "sets", "size": 1}, "size 1"),
        ({"kind": "sets", "cut": 0.5}, "cut: not of the kind sets"),
        ({"kind": "cut", "cut": 2}, "share over 0"),
        ({"kind": "fixes", "bloc": "pair"}, "halt: expected at least one"),
        ({"kind": "frontier", "bloc": {"a": 1}}, "bloc: expected a text"),
        ({"kind": "frontier", "bloc": [None]}, "bloc: expected a text"),
        ({"kind": "worth", "halt": ["country:XXX"] * 101}, "101 values"),
        ([], "expected an object"),
    ],
)
def test_what_cannot_be_read_is_refused_as_on_the_page(app: Any, body: Any, said: str) -> None:
    answer = app.test_client().post("/api/jobs", json=body)
    assert answer.status_code == 400
    assert said in " ".join(answer.get_json()["problems"])


def test_pages_and_new_halts_answer_while_jobs_fill_every_place(works: dict[str, Steps]) -> None:
    """Long work and answers have places of their own: with all of one taken the other does not wait."""
    study = fake_study()
    app = create_app(study, settings({}, job_slots=2, job_queue=0, jobs_per_asker=0))
    jobs, client = app.extensions["atlas"].jobs, app.test_client()
    tickets = [ask(jobs, key, works[key], "ann") for key in ("singles", "frontier")]
    until(lambda: all(t.state == RUNNING for t in tickets))
    for path in ("/", "/about", "/map?halt=passage:malacca", "/api/solve?halt=country:CHN/metal", "/jobs"):
        start = time.monotonic()
        assert client.get(path).status_code == 200, path
        assert time.monotonic() - start < 3.0, path
    assert len(study.solved) >= 2
    full = client.post("/api/jobs", json={"kind": "singles"})
    assert full.status_code == 503
    assert full.headers["Retry-After"]
    assert [t.state for t in tickets] == [RUNNING] * 2
    jobs.close()


def test_the_pages_of_a_browser_without_scripts(app: Any, works: dict[str, Steps]) -> None:
    client = app.test_client()
    assert "You have started nothing yet" in client.get("/jobs").text
    working = client.get("/frontier?bloc=pair")
    assert working.status_code == 202
    cookie = working.headers["Set-Cookie"]
    assert cookie.startswith(COOKIE)
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert '<noscript><meta http-equiv="refresh"' in working.text
    [job_id] = set(re.findall(r'action="/jobs/([\w-]+)/cancel"', working.text))
    mine = client.get("/jobs").text
    assert f'href="/jobs/{job_id}"' in mine
    assert "Frontier of pair" in mine
    other = app.test_client()
    seen = other.get("/jobs").text
    assert job_id not in seen
    assert "How allied a bloc" in seen
    assert job_id not in other.get("/api/jobs").text
    waits = other.post("/jobs", data={"kind": "worth", "bloc": "pair", "halt": "stage:AAA/mine"})
    assert waits.status_code == 303
    text = other.get(waits.headers["Location"]).text
    assert "place 1 in the queue" in text
    until(lambda: works["frontier"].steps > 3)
    gone = client.post(f"/jobs/{job_id}/cancel")
    assert (gone.status_code, gone.headers["Location"]) == (303, f"/jobs/{job_id}")
    until(lambda: works["worth"].steps > 0)
    for path in (f"/jobs/{job_id}", "/frontier?bloc=pair"):  # not begun again by looking
        told = client.get(path)
        assert told.status_code == 200
        assert "Cancelled." in told.text
        assert f'action="/jobs/{job_id}/again"' in told.text
    steps = works["frontier"].steps
    assert client.post(f"/jobs/{job_id}/again").headers["Location"] == f"/jobs/{job_id}"
    other.post(waits.headers["Location"] + "/cancel")
    until(lambda: works["frontier"].steps > steps)
    works["frontier"].go.set()
    until(lambda: "let go without a result" in client.get(f"/jobs/{job_id}").text)


def test_other_sites_start_and_cancel_nothing(app: Any, works: dict[str, Steps]) -> None:
    client = app.test_client()
    made = client.post("/api/jobs", json={"kind": "frontier", "bloc": "pair"}).get_json()
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
        assert client.post("/jobs", data={"kind": "worth"}, headers=headers).status_code == 403
        assert client.post(f"/jobs/{made['id']}/cancel", headers=headers).status_code == 403
        assert client.delete(f"/api/jobs/{made['id']}", headers=headers).status_code == 403
    assert client.get(f"/api/jobs/{made['id']}").get_json()["state"] in (RUNNING, WAITING)
    # What a browser sends for a form of a page without a referrer.
    own = {"Origin": "null", "Sec-Fetch-Site": "same-origin"}
    assert client.post(f"/jobs/{made['id']}/cancel", headers=own).status_code == 303


def test_a_link_on_another_site_neither_names_nor_renames_a_browser(app: Any, works: dict[str, Steps]) -> None:
    """Its cookie stays behind then; the page that looks again at once has it."""
    client = app.test_client()
    first = client.get("/frontier?bloc=pair", headers={"Sec-Fetch-Site": "cross-site"})
    assert first.status_code == 202
    assert "Set-Cookie" not in first.headers
    assert "/cancel" not in first.text
    again = client.get("/frontier?bloc=pair", headers={"Sec-Fetch-Site": "same-origin"})
    assert "Set-Cookie" in again.headers
    [job_id] = set(re.findall(r'action="/jobs/([\w-]+)/cancel"', again.text))
    client.post(f"/jobs/{job_id}/cancel")
    until(lambda: client.get(f"/api/jobs/{job_id}").get_json()["state"] == CANCELLED)
    until(lambda: not client.get("/api/jobs").get_json()["running"])


def test_a_program_that_was_told_to_come_back_is_not_forgotten(app: Any, works: dict[str, Steps]) -> None:
    client = app.test_client()
    busy = client.get("/api/frontier?bloc=pair")
    assert busy.status_code == 503
    made = client.post("/api/jobs", json={"kind": "frontier", "bloc": "pair"}).get_json()
    client.delete(f"/api/jobs/{made['id']}")
    before = works["frontier"].steps
    until(lambda: works["frontier"].steps > before + 3)


def test_a_result_stands_at_its_ordinary_address(study: Any) -> None:
    client = create_app(study, settings({}, job_wait_s=60.0)).test_client()
    made = client.post("/api/jobs", json={"kind": "worth", "bloc": "pair", "halt": "stage:AAA/mine", "top": 1})
    body = made.get_json()
    until(lambda: client.get(f"/api/jobs/{body['id']}").get_json()["state"] == DONE, 60.0)
    assert client.get(body["address"]).status_code == 200
    assert client.get(body["api"]).get_json()["halts"] == ["stage:AAA/mine"]
    page = client.get(f"/jobs/{body['id']}").text
    assert f'href="{body["address"].replace("&", "&amp;")}"' in page


def test_forgotten_results_free_their_memory() -> None:
    jobs = Jobs(settings({}, jobs_kept=1))
    tickets = [ask(jobs, str(n), lambda progress: "large", "ann") for n in range(3)]
    until(lambda: all(t.state == DONE for t in tickets))
    jobs.get("last", lambda progress: 1)
    assert tickets[0].job.future.result() is None
    assert tickets[0].state == DONE
    jobs.close()


def test_durations_in_words() -> None:
    assert [duration(s) for s in (0.4, 59.4, 61, 600, 3700)] == ["0 s", "59 s", "1 min 1 s", "10 min", "62 min"]
    assert Job().left_s is None


def test_programs_at_one_address_have_tickets_of_their_own(app: Any, works: dict[str, Steps]) -> None:
    """Nobody gets to cancel what another program asked for, though both ask the same from one address."""
    first, second = app.test_client(), app.test_client()
    asked = {"kind": "frontier", "bloc": "pair"}
    a, b = first.post("/api/jobs", json=asked).get_json(), second.post("/api/jobs", json=asked).get_json()
    assert a["id"] != b["id"]
    first.delete(f"/api/jobs/{a['id']}")
    before = works["frontier"].steps
    until(lambda: works["frontier"].steps > before + 3)
    assert second.get(f"/api/jobs/{b['id']}").get_json()["state"] == RUNNING
    assert second.get("/api/jobs").get_json()["yours"] == []


def test_tickets_do_not_grow_without_end(jobs: Jobs, monkeypatch: Any) -> None:
    monkeypatch.setattr("atlas.web_job_queue.TICKETS_KEPT", 5)
    work = Steps()
    job = jobs.get("a", work)
    tickets = [jobs.ticket(job, "address 127.0.0.1", "/frontier", "x") for _ in range(9)]
    assert [jobs.find(t.id) is not None for t in tickets] == [False] * 4 + [True] * 5
    for t in tickets[4:]:
        jobs.cancel(t)
    before = work.steps
    until(lambda: work.steps > before + 3)  # those whose ticket was dropped took nothing back


def test_what_was_solved_before_a_cancel_outlives_a_restart(monkeypatch: Any, tmp_path: Any) -> None:
    """Singles keep each solve as it ends: begun again by another server, they go on from there."""
    from dataclasses import replace

    from atlas import singles as module

    real, solved = module.solve_one, []

    def slow(*args: Any) -> Any:
        time.sleep(0.02)
        solved.append(args[1])
        return real(*args)

    monkeypatch.setattr(module, "solve_one", slow)
    study = mapped(invent())
    study.settings = replace(study.settings, cache_dir=str(tmp_path))
    client = create_app(study, settings({}, job_wait_s=60.0)).test_client()
    job = client.post("/api/jobs", json={"kind": "singles", "bloc": "pair"}).get_json()["id"]
    until(lambda: len(solved) >= 3)
    client.delete(f"/api/jobs/{job}")
    until(lambda: client.get(f"/api/jobs/{job}").get_json()["state"] == CANCELLED)
    first = len(solved)
    again = create_app(study, settings({}, job_wait_s=60.0)).test_client()
    made = again.post("/api/jobs", json={"kind": "singles", "bloc": "pair"}).get_json()["id"]
    until(lambda: again.get(f"/api/jobs/{made}").get_json()["state"] == DONE, 60.0)
    total = again.get(f"/api/jobs/{made}").get_json()["total"]
    assert first < total == len(set(map(repr, solved)))
    assert len(solved) <= len(set(map(repr, solved))) + 1, "only what was under way at the cancel is solved twice"

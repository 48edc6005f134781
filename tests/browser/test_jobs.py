"""Long work in a real browser: a job runs while another is cancelled; the result stands at its address."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser

STATE = "return document.getElementById('job').dataset.state"


@pytest.fixture
def slow_address(monkeypatch: Any) -> Iterator[tuple[str, threading.Event]]:
    """The address of a server on an invented world whose long work takes its steps until it is let go."""
    from conftest import served

    from atlas import web_frontier
    from atlas.shadow import worth
    from tests.invented import invent
    from tests.test_web_chokepoints import mapped

    go = threading.Event()

    def slowly(*args: Any) -> Any:
        progress = args[-1]
        for n in range(1, 600):
            if go.is_set():
                break
            progress(n, 600, f"unit {n}")
            time.sleep(0.02)
        return worth(*args)

    monkeypatch.setattr(web_frontier, "worth", slowly)
    monkeypatch.setattr("atlas.web_jobs.PATIENCE_S", 0.1)
    made = served(mapped(invent()))
    yield next(made), go
    go.set()
    next(made, None)


def test_run_a_job_and_cancel_another(browser: Any, slow_address: Any, shots: Path) -> None:
    """The task: start work from its page, cancel it, start other work from the list, and see its result."""
    address, go = slow_address
    browser.size(1280, 800)
    browser.open(address + "/worth?bloc=pair&halt=stage:AAA/mine")
    assert browser.run(STATE) == "running"
    first = browser.run("return document.getElementById('job-bar').value")
    browser.wait(f"return document.getElementById('job-bar').value > {first + 20}", 6)
    browser.wait("return /\\d+ s/.test(document.getElementById('job-left').textContent)", 6)
    browser.shot(shots / "job-running.png")
    browser.run("document.querySelector('.stop').click()")
    browser.wait("return location.pathname.startsWith('/jobs/')")
    browser.wait("return document.readyState === 'complete' && " + STATE.removeprefix("return ") + " === 'cancelled'", 6)
    browser.shot(shots / "job-cancelled.png")
    browser.open(address + "/worth?bloc=pair&halt=stage:AAA/mine")
    assert browser.run(STATE) == "cancelled", "looking does not begin it again"

    browser.open(address + "/worth?bloc=b&halt=stage:AAA/metal")
    browser.open(address + "/jobs")
    rows = browser.run("return [...document.querySelectorAll('#yours + .scroll tbody tr')].map(r => r.textContent)")
    assert len(rows) == 2
    assert "running" in rows[0]
    assert "cancelled" in rows[1]
    browser.shot(shots / "jobs-1280.png")
    steps = "return document.querySelector('#yours + .scroll tbody td:nth-child(3)').textContent"
    before = browser.run(steps)
    browser.wait(f"{steps} !== {before!r}", 8)
    browser.run("document.querySelector('#yours + .scroll tbody a').click()")
    browser.wait("return document.readyState === 'complete' && !!document.getElementById('job-bar')")
    go.set()
    browser.wait("return document.readyState === 'complete' && " + STATE.removeprefix("return ") + " === 'done'", 15)
    browser.run("document.querySelector('#job a.go').click()")
    browser.wait("return location.pathname === '/worth' && document.readyState === 'complete'")
    assert browser.run("return location.search") == "?bloc=b&halt=stage:AAA/metal"
    assert browser.run("return !document.getElementById('job')")
    assert browser.errors() == []
    assert browser.outside() == []


def test_a_working_page_becomes_its_result_by_itself(browser: Any, slow_address: Any) -> None:
    address, go = slow_address
    browser.size(390, 844)
    browser.open(address + "/worth?bloc=pair&halt=stage:AAA/separation")
    assert browser.run("return document.documentElement.scrollWidth") <= 390
    go.set()
    browser.wait("return document.readyState === 'complete' && !document.getElementById('job')", 15)
    assert browser.run("return document.querySelector('h1').textContent")
    assert browser.errors() == []


def test_pages_of_long_work_keep_the_rules(browser: Any, slow_address: Any) -> None:
    """Work that runs, the list with it, and work that was cancelled, by axe-core in light and dark."""
    from test_accessibility import AXE, FOUND, RULES, themed

    address, _ = slow_address
    browser.open(address + "/worth?bloc=pair&halt=stage:AAA/magnet")
    job = browser.run("return document.getElementById('job').dataset.id")
    paths = ["/worth?bloc=pair&halt=stage:AAA/magnet", f"/jobs/{job}", "/jobs"]
    try:
        for n, path in enumerate([*paths, *paths]):
            if n == len(paths):
                browser.open(address + paths[0])
                browser.run("document.querySelector('.stop').click()")
                browser.wait("return location.pathname.startsWith('/jobs/') && document.readyState === 'complete'")
            for width, height, theme in ((1280, 800, "light"), (390, 844, "dark")):
                browser.size(width, height)
                themed(browser, theme)
                browser.open(address + path)
                browser.run(AXE.read_text(encoding="utf-8") + "; window.axe = axe;")
                found = browser.driver.execute_async_script(FOUND, RULES)
                assert not found, (path, theme, found)
                assert browser.run("return document.documentElement.scrollWidth <= window.innerWidth"), path
    finally:
        themed(browser, "")

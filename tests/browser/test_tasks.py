"""Real tasks, end to end, with mouse and keys, on the shipped world. Two more stand where their parts are tested:
the buyer's plant in Stuttgart (`test_buyer.py`) and a job that runs while another is cancelled (`test_jobs.py`).
"""

import json
import math
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

pytestmark = pytest.mark.browser

READY = "return document.body.dataset.ready === 'yes'"
LOADED = "document.readyState === 'complete'"


@pytest.fixture(autouse=True)
def only_this_machine(browser: Any) -> Iterator[None]:
    """No task asks another host for anything, and none leaves an error in the console."""
    browser.size(1280, 800)
    browser.errors()
    browser.outside()
    yield
    assert browser.outside() == []
    assert browser.errors() == []


def keys(browser: Any, *pressed: str) -> None:
    ActionChains(browser.driver).send_keys(*pressed).perform()


def click(browser: Any, selector: str) -> None:
    """Press with the mouse on what a person would see: scrolled to, not hidden, not covered."""
    found = browser.driver.find_element(By.CSS_SELECTOR, selector)
    browser.run("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", found)
    found.click()


def typed(browser: Any, selector: str, text: str) -> None:
    click(browser, selector)
    ActionChains(browser.driver).key_down(Keys.CONTROL).send_keys("a").key_up(Keys.CONTROL).send_keys(text).perform()


def words(browser: Any, selector: str) -> str:
    return str(browser.run("return document.querySelector(arguments[0]).textContent", selector)).replace("\u00a0", " ")


def answered(browser: Any, act: Any) -> None:
    """Do what asks for another answer on the map page and wait for it."""
    before = browser.run("return Number(document.body.dataset.answers || 0)")
    act()
    browser.wait(f"return Number(document.body.dataset.answers || 0) > {before}", 60)


def test_find_a_plant(browser: Any, address: str) -> None:
    browser.open(address + "/about")
    typed(browser, "#search", "lynas mal")
    browser.wait("return document.getElementById('search').getAttribute('aria-expanded') === 'true'")
    keys(browser, Keys.ARROW_DOWN)
    chosen = browser.run("const i = document.getElementById('search'); return document.getElementById(i.getAttribute('aria-activedescendant')).textContent")
    assert "Lynas" in chosen
    keys(browser, Keys.ENTER)
    browser.wait(f"return location.pathname === '/facility/lynas-kuantan' && {LOADED}")
    assert "separation plant" in words(browser, "main .lede")
    assert "t REO a year" in words(browser, "main"), "capacity with its unit"
    assert browser.run("return [...document.querySelectorAll('main a[href^=\"http\"]')].length") > 0, "the source can be followed"


def test_halt_an_export(browser: Any, address: str) -> None:
    browser.open(address + "/", READY)
    typed(browser, "#target", "China")
    click(browser, ".ticks input[value=magnet]")
    typed(browser, "#share", "50")
    answered(browser, lambda: click(browser, "#builder .go"))
    assert browser.run("return new URL(location.href).searchParams.getAll('halt')") == ["country:CHN@0.5/magnet"]
    sentence = words(browser, ".sentence")
    assert " t " in sentence
    assert "%" in sentence
    api = browser.run("return fetch('/api/solve?halt=country:CHN@0.5/magnet').then(r => r.json())")
    short = api["halted"]["shortage_t"] - api["baseline"]["shortage_t"]
    shown = [c for c in browser.run("return [...document.querySelectorAll('.card b')].map(b => b.textContent.replace(/\\u00a0/g, ' '))") if c.endswith(" t")]
    said = float(shown[0].removesuffix(" t").replace(",", "").replace("+", ""))
    assert math.isclose(said, short, rel_tol=0.01, abs_tol=1), "the page says what the interface says"
    assert browser.run("return Atlas.shown.data.halted.country") == ["CHN"]
    for view in ("before", "after", "swipe", "side", "change"):
        click(browser, f"[data-show={view}]")
        assert browser.run("return document.body.dataset.view") == view
        assert browser.run("return new URL(location.href).searchParams.get('view') || 'change'") == view


def test_compare_two_straits(browser: Any, address: str) -> None:
    browser.open(address + "/compare")
    typed(browser, "#case-1", "passage:malacca")
    typed(browser, "#case-2", "passage:suez")
    click(browser, "#cases .go")
    browser.wait(f"return {LOADED} && !!document.getElementById('figures')", 60)
    sentence = words(browser, ".lede")
    assert "Malacca" in sentence
    assert "Suez" in sentence
    days = browser.run("return [...document.querySelectorAll('table.figures tr')].filter(r => /days/.test(r.cells[0].textContent)).map(r => [...r.cells].map(c => c.textContent))")
    assert days
    api = browser.run("return fetch('/api/compare?case=passage:malacca&case=passage:suez').then(r => r.json())")
    assert len(api["cases"]) == 2
    browser.run("document.getElementById('map-list').scrollIntoView()")
    browser.wait("return [...document.querySelectorAll('#map-list iframe')].every(f => f.contentDocument && f.contentDocument.body && f.contentDocument.body.dataset.ready === 'yes')", 40)


def test_trace_a_magnet(browser: Any, address: str) -> None:
    browser.open(address + "/trace")
    typed(browser, "input[name=id]", "vac-hanau")
    keys(browser, Keys.ENTER)
    browser.wait(f"return location.pathname === '/trace/vac-hanau' && {LOADED}", 60)
    assert "%" in words(browser, ".lede")
    shares = browser.run("const t = document.querySelector('h3[id$=mine] ~ .scroll table, table.sortable'); return [...t.tBodies[0].rows].map(r => Number(r.cells[1].dataset.value || 0))")
    assert len(shares) > 1
    api = browser.run("return fetch('/api/trace/vac-hanau').then(r => r.json())")
    assert json.dumps(api).count("CHN") > 0


def test_share_an_address_and_open_it_in_a_fresh_browser(browser: Any, address: str) -> None:
    from chromium import chromium

    browser.open(address + "/map?halt=passage:malacca&halt=country:CHN/magnet&bloc=eu27", READY)
    click(browser, "[data-show=after]")
    click(browser, ".leaflet-control-zoom-in")
    browser.wait("return new URL(location.href).searchParams.has('at')")
    shared = browser.run("return location.href")
    state = "return [document.querySelector('.sentence').textContent, document.body.dataset.view, Atlas.shown.map.getZoom(), Math.round(Atlas.shown.map.getCenter().wrap().lng), document.getElementById('bloc').value]"
    with chromium() as fresh:
        fresh.size(1280, 800)
        fresh.open(shared, READY)
        assert fresh.run(state) == browser.run(state)
        assert fresh.run("return document.cookie") == ""
        assert fresh.errors() == []
        assert fresh.outside() == []


def test_download_and_reopen_a_geojson(browser: Any, address: str, tmp_path: Path) -> None:
    import geopandas

    browser.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    browser.open(address + "/facilities?stage=magnet&country=DEU", READY)
    listed = browser.run("return [...document.querySelectorAll('#results tr[data-id], #results tbody tr')].map(r => r.dataset.id).filter(Boolean)")
    assert listed
    click(browser, "a[href*='facilities.geojson']")
    end = time.monotonic() + 15
    while not (files := list(tmp_path.glob("*.geojson"))):
        assert time.monotonic() < end, list(tmp_path.iterdir())
        time.sleep(0.1)
    table = geopandas.read_file(files[0])
    assert sorted(table["id"]) == sorted(listed)
    assert table.crs.to_epsg() == 4326
    assert table.geometry.notna().all()
    west, south, east, north = table.total_bounds
    assert 5 < west <= east < 16
    assert 47 < south <= north < 56


def focused(browser: Any, wanted: str, most: int = 80) -> None:
    """Press Tab until what has the focus fits a selector; all on the way has a name and a visible ring."""
    for _ in range(most):
        keys(browser, Keys.TAB)
        at = browser.run("""
            const e = document.activeElement, s = getComputedStyle(e);
            const name = e.getAttribute('aria-label') || e.labels && e.labels.length && e.labels[0].textContent || e.textContent || e.placeholder || e.title;
            return [e.matches(arguments[0]), (name || '').trim() !== '', e === document.body || s.outlineStyle !== 'none' || s.boxShadow !== 'none', e.outerHTML.slice(0, 160)];""", wanted)
        assert at[1], f"no name: {at[3]}"
        assert at[2], f"no ring: {at[3]}"
        if at[0]:
            return
    raise AssertionError(f"{most} tabs did not reach {wanted}")


def test_only_the_keyboard(browser: Any, address: str) -> None:
    """From the address to an answer, its views, the swipe and a row's plant without a mouse."""
    browser.open(address + "/", READY)
    keys(browser, Keys.TAB)
    assert browser.run("return document.activeElement.className") == "skip"
    keys(browser, Keys.ENTER)
    focused(browser, "#kind")
    keys(browser, "A str")  # a list takes the beginning of a word
    assert browser.run("return document.getElementById('kind').value") == "passage"
    focused(browser, "#target")
    keys(browser, "Suez Canal", Keys.ESCAPE)
    answered(browser, lambda: keys(browser, Keys.ENTER))
    assert browser.run("return new URL(location.href).searchParams.getAll('halt')") == ["passage:suez"]
    assert browser.run("return document.activeElement.id") == "title"
    focused(browser, "[data-show=swipe]")
    keys(browser, Keys.ENTER)
    browser.wait("return document.body.dataset.view === 'swipe'")
    focused(browser, "[role=slider], [role=separator]")
    read = "return Number(document.activeElement.getAttribute('aria-valuenow'))"
    before = browser.run(read)
    keys(browser, Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    assert browser.run(read) < before
    browser.run("document.getElementById('title').focus()")
    focused(browser, "#find")
    keys(browser, "Mt Weld", Keys.ENTER)
    browser.wait("return !!document.querySelector('.leaflet-popup h3')")
    assert "Mt Weld" in words(browser, ".leaflet-popup h3")
    keys(browser, Keys.ESCAPE)
    browser.wait("return !document.querySelector('.leaflet-popup h3')")


def test_on_a_phone(browser: Any, address: str) -> None:
    browser.size(390, 844)
    try:
        browser.open(address + "/", READY)
        wide = "return document.documentElement.scrollWidth"
        assert browser.run(wide) <= 390
        click(browser, "#menu")
        click(browser, ".top nav a[href='/facilities']")
        browser.wait(f"return location.pathname === '/facilities' && {LOADED}")
        assert browser.run(wide) <= 390
        browser.open(address + "/", READY)
        answered(browser, lambda: click(browser, ".presets a[href*='magnet']"))
        assert browser.run(wide) <= 390
        small = browser.run("""
            return [...document.querySelectorAll('main button, main select, main input:not([type=hidden]):not([type=checkbox]):not([type=radio])')]
                .filter(e => e.offsetParent && !e.closest('.leaflet-container')).map(e => [e.outerHTML.slice(0, 90), e.getBoundingClientRect()])
                .filter(([, r]) => r.width < 24 || r.height < 24).map(([h]) => h);""")
        assert small == []
        click(browser, "[data-show=before]")
        assert browser.run("return document.body.dataset.view") == "before"
        browser.run("document.getElementById('legend').open = true")
        assert browser.run(wide) <= 390
    finally:
        browser.size(1280, 800)


def test_offline(browser: Any, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the network cable out: neither the browser nor the server turns to another machine."""
    connect, asked = socket.socket.connect, []

    def watched(self: socket.socket, to: Any) -> Any:
        if isinstance(to, tuple) and to[0] not in ("127.0.0.1", "::1", "localhost"):
            asked.append(to)
            raise OSError("the network is unreachable")
        return connect(self, to)

    monkeypatch.setattr(socket.socket, "connect", watched)
    browser.open(address + "/map?halt=port:MYKUA", READY)
    browser.run("Atlas.shown.map.setView([3.97, 103.4], 10, {animate: false})")
    browser.wait("return performance.getEntriesByType('resource').some(e => e.name.includes('/api/nearby.geojson') && e.responseEnd > 0)", 30)
    for path in ("/facility/mt-weld", "/country/JPN", "/route?from=mt-weld&to=JPYOK", "/validate", "/api", "/jobs"):
        browser.open(address + path)
    assert asked == []

"""Pages in a real browser with the outside network blocked: no console error, no outside request, and they work."""

from pathlib import Path
from typing import Any

import pytest
from fake_outcome import HOSTILE, fake_outcome

pytestmark = pytest.mark.browser

READY = "return document.body.dataset.ready === 'yes'"
SIZES = [(1280, 800), (390, 844)]
HALT = "/map?halt=country:CHN/magnet"


def clean(browser: Any) -> None:
    assert browser.errors() == []
    assert browser.outside() == []


def painted(browser: Any) -> float:
    """Return what part of the flow canvas has ink."""
    return browser.run("""
        const drawn = document.querySelectorAll('.leaflet-overlay-pane canvas')[0], c = document.createElement('canvas');
        c.width = drawn.width; c.height = drawn.height;
        const x = c.getContext('2d', {willReadFrequently: true});
        x.drawImage(drawn, 0, 0);
        const d = x.getImageData(0, 0, c.width, c.height).data;
        let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 40;
        return n / (d.length / 4);""")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("path", "name"), [("/", "atlas"), (HALT, "halt"), ("/map?halt=passage:malacca", "strait")])
def test_map_pages(browser: Any, address: str, shots: Path, size: tuple[int, int], path: str, name: str) -> None:
    browser.size(*size)
    browser.open(address + path, READY)
    clean(browser)
    assert painted(browser) > 0.01
    assert browser.run("return document.documentElement.scrollWidth <= window.innerWidth"), "no sideways scrolling"
    browser.shot(shots / f"{name}-{size[0]}.png")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("path", ["/data", "/about", "/map?halt=country:CNH"])
def test_plain_pages(browser: Any, address: str, shots: Path, size: tuple[int, int], path: str) -> None:
    browser.size(*size)
    browser.open(address + path)
    assert browser.outside() == []
    errors = [e for e in browser.errors() if "status of 400" not in e]
    assert errors == []
    assert browser.run("return document.documentElement.scrollWidth <= window.innerWidth")
    browser.shot(shots / f"{path.split('?')[0].strip('/')}-{size[0]}.png")


@pytest.mark.parametrize("size", SIZES)
def test_standalone_map(browser: Any, study: Any, shots: Path, tmp_path: Path, size: tuple[int, int]) -> None:
    from atlas.render import page

    html = page(study.solve(["country:CHN/magnet"]))
    assert len(html.encode()) <= 4_000_000
    file = tmp_path / "map.html"
    file.write_text(html, encoding="utf-8")
    browser.size(*size)
    browser.open(file.as_uri(), READY)
    clean(browser)
    assert painted(browser) > 0.01
    browser.shot(shots / f"standalone-{size[0]}.png")


def test_views_switch_and_stay_in_the_address(browser: Any, address: str) -> None:
    browser.size(1280, 800)
    browser.open(address + HALT, READY)
    assert browser.run("return document.querySelector('[data-show=change]').getAttribute('aria-pressed')") == "true"
    browser.run("document.querySelector('[data-show=before]').click()")
    browser.wait("return document.body.dataset.view === 'before' && location.search.includes('view=before')")
    browser.open(browser.run("return location.href"), READY)
    assert browser.run("return document.body.dataset.view") == "before"
    assert painted(browser) > 0.01
    clean(browser)


def test_halt_builder(browser: Any, address: str) -> None:
    browser.size(1280, 800)
    browser.open(address + "/", READY)
    browser.run("""
        const set = (id, v) => { const e = document.getElementById(id); e.value = v; e.dispatchEvent(new Event('change')); };
        set('kind', 'passage'); set('target', 'Strait of Malacca'); document.getElementById('add-halt').click();
        set('kind', 'country'); set('target', 'CHN'); set('destination', 'USA'); set('share', '50');
        document.querySelector('.ticks input[value=magnet]').click();
        document.querySelector('#builder .go').click();""")
    browser.wait("return location.pathname === '/map' && document.body.dataset.ready === 'yes'", 60)
    halts = browser.run("return new URL(location.href).searchParams.getAll('halt')")
    assert halts == ["passage:malacca", "country:CHN:USA@0.5/magnet"]
    clean(browser)


def test_layers_find_and_popup(browser: Any, address: str) -> None:
    browser.size(1280, 800)
    browser.open(address + HALT, READY)
    full = painted(browser)
    browser.run("document.querySelectorAll('#layer-slot input').forEach(i => i.click())")
    browser.wait("return new Promise(r => requestAnimationFrame(() => requestAnimationFrame(() => r(true))))")
    assert painted(browser) < full
    browser.run("document.querySelectorAll('#layer-slot input').forEach(i => i.click())")
    browser.run(
        "const f = document.getElementById('find'); f.value = 'Mountain Pass'; f.dispatchEvent(new Event('change'));"
    )
    browser.wait("return !!document.querySelector('.leaflet-popup .popup h3')")
    text = browser.run("return document.querySelector('.leaflet-popup').textContent")
    for word in ("Mountain Pass", "Stage", "United States", "Capacity", "Source", "Confidence", "Position"):
        assert word in text
    clean(browser)


def test_shanghai_to_los_angeles_is_unbroken(browser: Any, invented_address: str) -> None:
    """Some stretch runs on past 180 degrees in one line."""
    browser.size(1280, 800)
    browser.open(invented_address + "/", READY)
    jumps = browser.run("""
        const data = JSON.parse(document.getElementById('atlas-data').textContent);
        const lines = data.arcs.map(t => Atlas.decode(t, 3));
        const jump = Math.max(...lines.map(l => Math.max(0, ...l.slice(1).map((p, i) => Math.abs(p[0] - l[i][0])))));
        return [jump, Math.max(...lines.flat().map(p => p[0]))];""")
    assert jumps[0] < 180
    assert jumps[1] > 180


@pytest.mark.parametrize("standalone", [True, False])
def test_hostile_names_do_nothing(browser: Any, invented_address: str, tmp_path: Path, standalone: bool) -> None:
    from atlas.render import page

    browser.size(1280, 800)
    address = invented_address + HALT
    if standalone:
        file = tmp_path / "map.html"
        file.write_text(page(fake_outcome(), title=HOSTILE), encoding="utf-8")
        address = file.as_uri()
    browser.open(address, READY)
    browser.run("const f = document.getElementById('find'); f.value = 'evil'; f.dispatchEvent(new Event('change'));")
    browser.wait("return !!document.querySelector('.leaflet-popup .popup h3')")
    assert browser.run("return document.querySelector('.leaflet-popup h3').textContent") == HOSTILE
    assert browser.run("return document.querySelectorAll('img').length") == 0
    clean(browser)


def test_policy_blocks_an_injected_script(browser: Any, invented_address: str) -> None:
    browser.size(1280, 800)
    browser.open(invented_address + "/", READY)
    browser.run("""
        const s = document.createElement('script'); s.textContent = 'window.broken = 1'; document.body.append(s);
        const i = document.createElement('div'); i.innerHTML = '<img src=x onerror="window.broken = 2">'; document.body.append(i);""")
    browser.wait("return new Promise(r => setTimeout(() => r(true), 300))")
    assert browser.run("return window.broken === undefined")
    assert any("Content Security Policy" in e for e in browser.errors())
    browser.outside()


def test_keyboard_reaches_everything(browser: Any, invented_address: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    browser.size(1280, 800)
    seen = set()
    name = "const e = document.activeElement; return e.id || e.dataset.show || e.className || e.tagName.toLowerCase()"
    for path in (HALT, "/"):
        browser.open(invented_address + path, READY)
        for _ in range(75):
            ActionChains(browser.driver).send_keys(Keys.TAB).perform()
            seen.add(browser.run(name))
    assert {"before", "after", "change", "find", "whole-map", "kind", "target", "add-halt", "map_001"} <= seen
    assert any("leaflet-control-layers-selector" in s for s in seen)
    clean(browser)

"""Buyers, ways round a ban and scenarios by name on the map page, in a real browser."""

from pathlib import Path
from typing import Any

import pytest
from fake_outcome import HOSTILE, fake_outcome

pytestmark = pytest.mark.browser

READY = "return document.body.dataset.ready === 'yes'"
SIZES = [(1280, 900), (390, 844)]


@pytest.fixture
def own_page(tmp_path: Path) -> str:
    """A page with a buyer who is part short, a way round a ban and all notices."""
    from atlas.render import page

    file = tmp_path / "own.html"
    file.write_text(page(fake_outcome(more=True)), encoding="utf-8")
    return file.as_uri()


def clean(browser: Any) -> None:
    assert browser.errors() == []
    assert browser.outside() == []


@pytest.mark.parametrize("size", SIZES)
def test_buyers_come_first_and_all_fits(browser: Any, own_page: str, shots: Path, size: tuple[int, int]) -> None:
    browser.size(*size)
    browser.open(own_page, READY)
    clean(browser)
    assert browser.run("return document.documentElement.scrollWidth <= window.innerWidth"), "no sideways scrolling"
    tops = browser.run("return ['.buyers', '.note', '.cards'].map(s => document.querySelector(s).getBoundingClientRect().top)")
    assert tops == sorted(tops)
    wide = browser.run("""
        document.querySelectorAll('.summary details').forEach(d => { d.open = true; });
        const edge = document.querySelector('.summary').getBoundingClientRect().right;
        return [...document.querySelectorAll('.summary *')].filter(e => !e.closest('.scroll') && e.getBoundingClientRect().right > edge + 1).length;""")
    assert wide == 0
    browser.shot(shots / f"buyers-{size[0]}.png")


def test_star_of_a_buyer(browser: Any, own_page: str) -> None:
    """The star is half filled, is named on the map, and tells its figures."""
    browser.size(1280, 900)
    browser.open(own_page, READY)
    browser.run("const f = document.getElementById('find'); f.value = 'stuttgart'; f.dispatchEvent(new Event('change'));")
    browser.wait("return !!document.querySelector('.leaflet-popup .popup h3')")
    text = browser.run("return document.querySelector('.leaflet-popup').textContent")
    for word in ("stuttgart-works", "300 t of SH", "45 t", "Shin-Etsu and Proterial", "Ningbo magnets"):
        assert word in text
    # the left of the star is orange, the right is white
    browser.run("document.querySelector('.leaflet-popup-close-button').click()")
    browser.wait("return new Promise(r => setTimeout(() => r(true), 300))")
    colours = browser.run("""
        const map = window[document.querySelector('.folium-map').id], turn = 360 * Math.round((map.getCenter().lng - 9.18) / 360);
        const at = map.latLngToContainerPoint([48.78, 9.18 + turn]);
        const c = document.querySelectorAll('.leaflet-overlay-pane canvas')[0], box = c.getBoundingClientRect(), own = map.getContainer().getBoundingClientRect();
        const ratio = c.width / box.width, x = c.getContext('2d');
        const d = x.getImageData((own.left + at.x - box.left) * ratio - 3, (own.top + at.y - box.top) * ratio, 7, 1).data;
        return [[...d.slice(0, 3)], [...d.slice(24, 27)]];""")
    assert colours == [[0xE6, 0x9F, 0x00], [255, 255, 255]]
    clean(browser)


def test_legend_names_what_is_there_only(browser: Any, own_page: str, invented_address: str) -> None:
    browser.size(1280, 900)
    legend = "return document.getElementById('legend').textContent"
    browser.open(own_page, READY)
    for words in ("Round a ban, by a third country", "Buyer, part short", "Your buyers"):
        assert words in browser.run(legend)
    browser.open(invented_address + "/map?halt=country:CHN/magnet", READY)
    for words in ("Round a ban", "uyer"):
        assert words not in browser.run(legend)
    clean(browser)


@pytest.mark.parametrize("size", SIZES)
def test_scenario_by_name(browser: Any, address: str, shots: Path, size: tuple[int, int]) -> None:
    browser.size(*size)
    browser.open(address + "/", READY)
    browser.run("document.querySelector('.scenarios').open = true")
    browser.run("document.querySelector('.scenarios a[href=\"/map?scenario=april-2025\"]').click()")
    browser.wait("return location.pathname === '/map' && document.body.dataset.ready === 'yes'", 60)
    assert browser.run("return document.querySelector('h1').textContent") == "China's licences of April 2025"
    assert browser.run("return document.documentElement.scrollWidth <= window.innerWidth")
    browser.shot(shots / f"scenario-{size[0]}.png")
    # one halt more goes along with it
    browser.run("""
        document.querySelector('#builder').closest('details').open = true;
        const set = (id, v) => { const e = document.getElementById(id); e.value = v; e.dispatchEvent(new Event('change')); };
        set('kind', 'passage'); set('target', 'malacca'); document.querySelector('#builder .go').click();""")
    browser.wait("return location.search.includes('malacca') && document.body.dataset.ready === 'yes'", 60)
    assert browser.run("return location.search") == "?scenario=april-2025&halt=passage%3Amalacca"
    clean(browser)


def test_hostile_names_of_buyers_do_nothing(browser: Any, tmp_path: Path) -> None:
    from atlas.render import page

    outcome = fake_outcome(more=True)
    for state in ("baseline", "halted"):
        outcome.summary[state]["buyers"]["stuttgart-works"] |= {"sector": HOSTILE, "by_supplier_t": {HOSTILE: 45.0}}
    outcome.scenario.note = HOSTILE
    file = tmp_path / "hostile.html"
    file.write_text(page(outcome), encoding="utf-8")
    browser.size(1280, 900)
    browser.open(file.as_uri(), READY)
    assert browser.run("return document.querySelectorAll('img').length") == 0
    clean(browser)

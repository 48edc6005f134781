"""Exploring in a real browser: find a plant, filter, map and table as twins, the search box by keyboard and finger."""

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser

READY = "return document.body.dataset.ready === 'yes'"
ROWS = "return document.querySelectorAll('#rows tbody tr').length"
PLACES = "return window.AtlasExplore.shown.places().map(p => p.id).sort()"
IDS = "return [...document.querySelectorAll('#rows tbody tr')].map(r => r.dataset.id).sort()"
OPTIONS = "return [...document.querySelectorAll('#search-hits li')].map(l => l.firstChild.textContent)"


def typed(browser: Any, *keys: str) -> None:
    """Type into what has the focus."""
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(browser.driver).send_keys(*keys).perform()


def test_filters_change_map_and_table_at_once(browser: Any, address: str, shots: Path) -> None:
    browser.size(1280, 800)
    browser.open(address + "/facilities", READY)
    whole = browser.run(ROWS)
    assert whole > 300
    assert browser.run(IDS) == browser.run(PLACES)
    browser.run("window.stayed = true; document.querySelector('input[name=stage][value=mine]').click()")
    browser.wait("return location.search === '?stage=mine'")
    browser.wait(f"{ROWS} < {whole}")
    mines = browser.run(ROWS)
    assert browser.run(IDS) == browser.run(PLACES)
    assert browser.run("return window.stayed") is True
    told = browser.run("return document.querySelector('[data-facet=\"confidence:A\"]').textContent")
    browser.run("document.querySelector('input[name=confidence][value=A]').click()")
    browser.wait(f"{ROWS} < {mines}")
    assert browser.run(ROWS) == int(told), "the count beside a choice is what it leaves"
    browser.driver.back()
    browser.wait(f"{ROWS} === {mines}")
    assert browser.run("return document.querySelector('input[name=confidence][value=A]').checked") is False
    browser.run("document.querySelector('.clear').click()")
    browser.wait(f"{ROWS} === {whole}")
    assert browser.errors() == []
    assert browser.outside() == []
    browser.shot(shots / "explore-1280.png")


def test_a_row_marks_its_place_and_a_place_its_row(browser: Any, address: str) -> None:
    browser.size(1280, 800)
    browser.open(address + "/facilities", READY)
    rings = "return window.AtlasExplore.shown.ring.getLayers().length"
    assert browser.run(rings) == 0
    browser.driver.execute_cdp_cmd("Emulation.setFocusEmulationEnabled", {"enabled": True})  # as if it were in front
    browser.run("document.querySelector('#f-mt-weld a').focus({preventScroll: true})")
    assert browser.run(rings) == 3  # once in each copy of the world
    point = browser.run("""
        const {map, places} = window.AtlasExplore.shown, p = places().find(q => q.id === 'mt-weld');
        map.setView([p.at[1], p.at[0]], 8, {animate: false});
        const at = map.latLngToContainerPoint([p.at[1], p.at[0]]), box = map.getContainer().getBoundingClientRect();
        return [Math.round(box.left + at.x), Math.round(box.top + at.y)];""")
    from selenium.webdriver.common.action_chains import ActionChains

    browser.wait("return !document.querySelector('.leaflet-zoom-anim')")
    chain = ActionChains(browser.driver)
    chain.w3c_actions.pointer_action.move_to_location(*point).click()
    chain.perform()
    browser.wait("return document.querySelector('tr.chosen') !== null")
    chosen = browser.run("return document.querySelector('tr.chosen').dataset.id")
    assert chosen.startswith("mt-weld")
    assert browser.run("return location.hash") == f"#f-{chosen}"
    seen = browser.run("""
        const r = document.querySelector('tr.chosen').getBoundingClientRect(), b = document.getElementById('rows').getBoundingClientRect();
        return r.top >= b.top && r.bottom <= b.bottom + 1 && document.activeElement.closest('tr') === document.querySelector('tr.chosen');""")
    assert seen, "the row is in sight and has the focus"


def test_the_table_sorts_and_the_choice_of_a_shared_address_is_marked(browser: Any, address: str) -> None:
    browser.size(1280, 800)
    browser.open("about:blank")
    browser.open(address + "/facilities?stage=magnet#f-vac-hanau", READY)
    assert browser.run("return window.AtlasExplore.shown.chosen()") == "vac-hanau"
    browser.run("document.querySelector('#rows th.num button').click()")
    sizes = browser.run("""
        return [...document.querySelectorAll('#rows tbody tr')].map(r => r.cells[4].dataset.value).filter(Boolean).map(Number);""")
    assert sizes == sorted(sizes, reverse=True)
    browser.run("document.querySelector('input[name=status][value=operating]').click()")
    browser.wait("return location.search.includes('operating')")
    browser.wait("return !document.getElementById('results').classList.contains('busy')")
    kept = browser.run("return document.querySelector('#rows th[aria-sort]').cellIndex")
    assert kept == 4, "the order outlives a change of the filters"


@pytest.mark.parametrize("width", [1280, 390])
def test_find_a_plant_by_keyboard(browser: Any, address: str, width: int, shots: Path) -> None:
    """The task: type a few letters, choose with the arrows, read the plant's page."""
    browser.size(width, 844 if width < 600 else 800)
    browser.open(address + "/about")
    browser.run("document.getElementById('search').focus()")
    typed(browser, "lyn")
    browser.wait(f"{OPTIONS}.length > 2")
    browser.shot(shots / f"search-{width}.png")
    attributes = "const i = document.getElementById('search'); return ['role', 'aria-expanded', 'aria-controls'].map(a => i.getAttribute(a))"
    assert browser.run(attributes) == ["combobox", "true", "search-hits"]
    browser.wait("return document.querySelector('.search [role=status]').textContent.includes('suggestions')")
    from selenium.webdriver.common.keys import Keys

    typed(browser, Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    active = browser.run("return document.getElementById('search').getAttribute('aria-activedescendant')")
    assert browser.run("return document.getElementById(arguments[0]).getAttribute('aria-selected')", active) == "true"
    typed(browser, Keys.ESCAPE)
    assert browser.run("return document.getElementById('search-hits').hidden") is True
    assert browser.run("return document.getElementById('search').getAttribute('aria-activedescendant')") is None
    browser.run("document.getElementById('search').value = ''")
    typed(browser, "kuantan heavy")
    browser.wait(f"const o = (() => {{ {OPTIONS} }})(); return o.length && o[0].includes('heavy')")
    typed(browser, Keys.ARROW_DOWN, Keys.ENTER)
    browser.wait("return location.pathname.startsWith('/facility/')")
    browser.wait(READY)
    assert "heavy" in browser.run("return document.querySelector('h1').textContent")
    assert browser.errors() == []
    assert browser.outside() == []


def test_enter_without_a_choice_lists_all(browser: Any, address: str) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.size(1280, 800)
    browser.open(address + "/facilities")
    browser.run("document.getElementById('search').focus()")
    typed(browser, "malacca", Keys.ENTER)
    browser.wait("return location.pathname === '/search'")
    assert browser.run("return document.querySelector('.hits a').getAttribute('href')") == "/passage/malacca"


def test_hostile_names_are_text_in_suggestions(browser: Any, invented_address: str) -> None:
    browser.size(1280, 800)
    browser.open(invented_address + "/about")
    browser.run("document.getElementById('search').focus()")
    typed(browser, "evil")
    browser.wait(f"{OPTIONS}.length > 0")
    assert browser.run(OPTIONS)[0].startswith("Evil </script>")
    assert browser.run("return document.querySelectorAll('#search-hits img').length") == 0


@pytest.mark.parametrize("path", ["/facility/lynas-kuantan", "/passage/malacca", "/country/DEU", "/operator/lynas", "/port/MYKUA"])
def test_a_things_map_draws_its_paths(browser: Any, address: str, path: str) -> None:
    browser.size(1280, 800)
    browser.open(address + path, READY)
    assert browser.run("return window.AtlasThing.shown.lines.length") > 0
    assert browser.run("return document.querySelectorAll('.leaflet-container canvas').length") >= 2
    assert browser.errors() == []
    assert browser.outside() == []

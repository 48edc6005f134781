"""The page of chokepoints in a real browser: it waits, sorts, folds, opens figures on the map, and fits a phone."""

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser

READY = "return document.body && document.body.dataset.ready === 'yes'"
DAYS = 10  # the column of extra days


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)])
def test_page_sorts_and_says_no_error(browser: Any, mapped_address: str, shots: Path, size: tuple[int, int]) -> None:
    browser.size(*size)
    browser.open(mapped_address + "/chokepoints?bloc=pair", READY)  # a page that waits looks again by itself
    assert browser.errors() == []
    assert browser.outside() == []
    assert browser.run("return document.documentElement.scrollWidth <= window.innerWidth"), "no sideways scrolling"
    column = (
        f"return [...document.querySelectorAll('.sortable tbody tr')].map(r => Number(r.cells[{DAYS}].dataset.value))"
    )
    before = browser.run(column)
    browser.run(f"document.querySelectorAll('.sortable th')[{DAYS}].querySelector('button').click()")
    assert browser.run(column) == sorted(before, reverse=True)
    assert browser.run(column) != before
    browser.run(f"document.querySelectorAll('.sortable th')[{DAYS}].querySelector('button').click()")
    assert browser.run(column) == sorted(before)
    assert browser.errors() == []
    browser.shot(shots / f"chokepoints-{size[0]}.png")


def test_figures_open_on_the_map_as_text(browser: Any, mapped_address: str) -> None:
    browser.size(1280, 800)
    browser.open(mapped_address + "/chokepoints?bloc=pair", READY)
    told = browser.run("""
        const {map} = window.AtlasChokepoints.shown, found = [];
        map.eachLayer(l => { if (l.listens && l.listens("click") && l.getTooltip && l.getTooltip()) found.push(l); });
        return found.map(l => {
            l.fire("click", {latlng: l.getLatLng ? l.getLatLng() : l.getBounds().getCenter()});
            const box = [...document.querySelectorAll(".leaflet-popup .popup")].pop();  // earlier ones are fading
            return [box.querySelector("h3").textContent, box.textContent, box.querySelectorAll("img, script").length];
        });""")
    names = {name for name, _, _ in told}
    assert {"The strait", "Land AAA"} <= names
    assert any("onerror" in name for name in names), "a hostile name is shown as it is"
    assert all(bad == 0 for _, _, bad in told)
    assert any("Lost to the bloc" in text and " t (" in text for _, text, _ in told)
    assert browser.errors() == []


def test_rows_beyond_fifty_are_folded_whatever_the_order(browser: Any, mapped_address: str) -> None:
    browser.size(1280, 800)
    browser.open(mapped_address + "/chokepoints?bloc=pair", READY)
    shown = "return [...document.querySelectorAll('.sortable tbody tr')].filter(r => r.getClientRects().length).length"
    browser.run("""
        const body = document.querySelector(".sortable tbody"), fold = document.createElement("details");
        while (body.rows.length < 70) body.append(body.rows[0].cloneNode(true));
        fold.className = "fold";
        fold.append(document.createElement("summary"));
        body.closest(".scroll").before(fold);""")
    assert browser.run(shown) == 50
    browser.run(f"document.querySelectorAll('.sortable th')[{DAYS}].querySelector('button').click()")
    assert browser.run(shown) == 50
    browser.run("document.querySelector('details.fold').open = true")
    assert browser.run(shown) == 70


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)])
def test_words_of_the_plots_stay_clear(browser: Any, mapped_address: str, size: tuple[int, int]) -> None:
    browser.size(*size)
    browser.open(mapped_address + "/chokepoints?bloc=pair", READY)
    outside = browser.run("""
        return [...document.querySelectorAll('.plot text')].filter(t => {
            const a = t.getBoundingClientRect(), b = t.closest('svg').getBoundingClientRect();
            return a.width && (a.left < b.left - 2 || a.right > b.right + 2 || a.bottom > b.bottom + 2); }).map(t => t.textContent);""")
    assert outside == []

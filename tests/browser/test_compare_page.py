"""Comparing in a real browser: two straits by hand, differences without a reload, maps that move together."""

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser

STRAITS = "/compare?case=passage:malacca&case=passage:suez"
MAPS = "return document.getElementById('compare').dataset.maps === '2'"
INSIDE = """
    const drawn = [...document.querySelectorAll('#map-list iframe')].map(f => f.contentWindow.Atlas && f.contentWindow.Atlas.shown);"""
SEEN = INSIDE + """
    return drawn.map(d => [d.map.getCenter().lat, d.map.getCenter().lng, d.map.getZoom()].map(v => Math.round(100 * v)));"""


def test_compare_two_straits(browser: Any, address: str, shots: Path) -> None:
    """The task: type two straits, compare, read which costs more."""
    browser.size(1280, 800)
    browser.open(address + "/compare")
    browser.run("""
        const [a, b] = document.querySelectorAll('#case-list input');
        a.value = 'passage:malacca'; b.value = 'passage:suez';
        document.getElementById('cases').requestSubmit();""")
    browser.wait("return document.querySelector('table.figures') !== null")
    assert browser.run("return location.search") == "?case=passage%3Amalacca&case=passage%3Asuez"
    assert "leaves a magnet short" in browser.run("return document.querySelector('.lede').textContent")
    cost = browser.run("""
        const row = [...document.querySelectorAll('.figures tr')].find(r => r.textContent.includes('Cost of a delivered tonne'));
        return [...row.querySelectorAll('td')].map(c => [c.className, Number(c.textContent.replace(/[^0-9]/g, ''))]);""")
    assert "best" in cost[1][0]
    assert "worst" in cost[2][0]
    assert browser.errors() == []
    assert browser.outside() == []
    browser.shot(shots / "compare-1280.png")


def test_differences_come_without_a_reload_and_stay_in_the_address(browser: Any, address: str) -> None:
    browser.size(1280, 800)
    browser.open(address + STRAITS)
    shown = "return [...document.querySelectorAll('.difference')].filter(e => e.getClientRects().length).length"
    assert browser.run(shown) == 0
    browser.run("window.stayed = true; document.querySelector('a[data-show=differences]').click()")
    assert browser.run("return window.stayed") is True
    assert browser.run(shown) > 20
    assert browser.run("return new URL(location.href).searchParams.get('show')") == "differences"
    assert browser.run("return document.getElementById('show-said').textContent") == "The table shows differences to case A."
    browser.open(browser.run("return location.href"))
    assert browser.run(shown) > 20


def test_cases_are_added_moved_and_removed_by_keyboard(browser: Any, address: str) -> None:
    browser.size(1280, 800)
    browser.open(address + STRAITS)
    texts = "return [...document.querySelectorAll('#case-list li:not(.spare) input')].map(i => i.value)"
    browser.run("document.querySelector('#case-list [data-do=down]').click()")
    assert browser.run(texts) == ["passage:suez", "passage:malacca"]
    assert browser.run("return document.getElementById('cases-said').textContent") == "Case A is now B."
    assert browser.run("return document.activeElement.value") == "passage:malacca", "the focus goes with the case"
    browser.run("document.getElementById('add-case').click()")
    assert browser.run("return document.activeElement.id") == "case-3"
    browser.run("document.activeElement.value = 'baseline'")
    assert browser.run(texts) == ["passage:suez", "passage:malacca", "baseline"]
    browser.run("document.querySelectorAll('#case-list [data-do=remove]')[0].click()")
    assert browser.run(texts) == ["passage:malacca", "baseline"]
    assert browser.run("return [...document.querySelectorAll('#case-list li:not(.spare) label')].map(l => l.textContent)") == [
        "Case A", "Case B",
    ]  # fmt: skip


def test_maps_move_together_and_change_their_view(browser: Any, address: str) -> None:
    browser.size(1280, 800)
    browser.open(address + STRAITS)
    browser.run("document.getElementById('map-list').scrollIntoView()")
    browser.wait(MAPS)
    browser.wait(INSIDE + "return drawn.every(d => d && d.map._loaded)")
    browser.run(INSIDE + "drawn[1].touched = true; drawn[1].map.setView([12, 60], 4, {animate: false})")
    one, two = browser.run(SEEN)
    assert one == two
    assert abs(one[0] - 1200) < 30
    assert one[2] == 400
    browser.run("document.querySelector('#views [data-view=before]').click()")
    assert browser.run(INSIDE + "return drawn.map(d => d.state.view)") == ["before", "before"]
    assert "view=before" in browser.run("return location.search")
    browser.wait("return new URL(location.href).searchParams.get('at') === '60.000,12.000,4'")
    browser.open(browser.run("return location.href"))
    browser.run("document.getElementById('map-list').scrollIntoView()")
    browser.wait(MAPS)
    again = browser.run(SEEN)
    assert again[0] == again[1] == [1200, 6000, 400]
    assert browser.errors() == []
    assert browser.outside() == []


@pytest.mark.parametrize("query", ["", STRAITS.partition("?")[2]])
def test_a_phone_needs_no_sideways_scrolling(browser: Any, address: str, shots: Path, query: str) -> None:
    browser.size(390, 844)
    browser.open(address + "/compare?" + query)
    assert browser.run("return document.documentElement.scrollWidth <= window.innerWidth")
    small = browser.run("""
        return [...document.querySelectorAll('.compare button, .compare a.choice, .compare input, .compare select')]
            .filter(e => e.getClientRects().length && Math.min(e.offsetWidth, e.offsetHeight) < 24).map(e => e.outerHTML);""")
    assert small == []
    browser.shot(shots / "compare-390.png")


@pytest.mark.parametrize("width", [1280, 390])
def test_words_of_the_plots_stay_clear(browser: Any, address: str, width: int) -> None:
    """No word leaves its plot or lies upon another."""
    browser.size(width, 800)
    browser.open(address + "/compare?case=country:CHN/magnet&case=country:CHN:us-allies&case=baseline&case=passage:suez")
    bad = browser.run("""
        const found = [];
        for (const svg of document.querySelectorAll('.compare .plot')) {
            const frame = svg.getBoundingClientRect();
            if (!frame.width) continue;
            const words = [...svg.querySelectorAll('text')].map(t => [t.textContent, t.getBoundingClientRect()]);
            for (const [w, b] of words) if (b.left < frame.left - 1 || b.right > frame.right + 1) found.push(w);
            words.forEach(([w, a], k) => { for (const [v, b] of words.slice(k + 1)) {
                if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4) found.push(w + ' | ' + v);
            } });
        }
        return found;""")
    assert bad == []


def test_a_known_case_is_picked_into_an_empty_field(browser: Any, address: str) -> None:
    browser.size(1280, 800)
    browser.open(address + "/compare?case=passage:malacca")
    browser.run("""
        const pick = document.getElementById('pick-case');
        for (const text of ['baseline', 'scenario:kachin-closes']) { pick.value = text; pick.dispatchEvent(new Event('change')); }""")
    texts = browser.run("return [...document.querySelectorAll('#case-list li:not(.spare) input')].map(i => i.value)")
    assert texts == ["passage:malacca", "baseline", "scenario:kachin-closes"]
    browser.run("document.getElementById('cases').requestSubmit()")
    browser.wait("return document.querySelector('table.figures') !== null")
    assert browser.run("return new URL(location.href).searchParams.getAll('case')") == texts

"""The page of accuracy in a real browser: it fits a phone, plots stay inside, nothing is asked of other hosts."""

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)])
@pytest.mark.parametrize("which", ["address", "invented_address"])
def test_page_fits(browser: Any, request: Any, shots: Path, size: tuple[int, int], which: str) -> None:
    browser.size(*size)
    browser.open(request.getfixturevalue(which) + "/validate")
    assert browser.errors() == []
    assert browser.outside() == []
    assert browser.run("return document.documentElement.scrollWidth <= window.innerWidth"), "no sideways scrolling"
    seen = browser.run("return [...document.querySelectorAll('.plot')].filter(p => p.getBoundingClientRect().width > 0).length")
    assert seen == 2, "one plot of errors, one of ends"
    browser.shot(shots / f"validate-{which}-{size[0]}.png")


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)])
def test_words_of_the_plots_stay_clear(browser: Any, address: str, size: tuple[int, int]) -> None:
    browser.size(*size)
    browser.open(address + "/validate")
    outside = browser.run("""
        return [...document.querySelectorAll('.plot text')].filter(t => {
            const a = t.getBoundingClientRect(), b = t.closest('svg').getBoundingClientRect();
            return a.width && (a.left < b.left - 2 || a.right > b.right + 2 || a.bottom > b.bottom + 2); }).map(t => t.textContent);""")
    assert outside == []
    overlapping = browser.run("""
        const found = [];
        for (const svg of document.querySelectorAll('.plot')) {
            const boxes = [...svg.querySelectorAll('text')].map(t => [t.textContent, t.getBoundingClientRect()]).filter(b => b[1].width);
            for (let i = 0; i < boxes.length; i++) for (let j = 0; j < i; j++) {
                const [p, a] = boxes[i], [q, b] = boxes[j];
                if (a.left < b.right - 2 && b.left < a.right - 2 && a.top < b.bottom - 4 && b.top < a.bottom - 4) found.push([p, q]);
            }
        }
        return found;""")
    assert overlapping == []


def test_wide_tables_scroll_in_their_own_box_by_keyboard(browser: Any, address: str) -> None:
    browser.size(390, 844)
    browser.open(address + "/validate")
    boxes = browser.run("return [...document.querySelectorAll('.scroll')].map(b => [b.scrollWidth > b.clientWidth, b.tabIndex, b.getAttribute('aria-label')])")
    assert any(wide for wide, _, _ in boxes)
    assert all(tab == 0 and label for _, tab, label in boxes)

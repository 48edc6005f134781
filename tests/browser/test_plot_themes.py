"""Plots and maps of the findings in both themes, in a real browser: words stay readable, maps are drawn anew."""

from typing import Any

import pytest

pytestmark = pytest.mark.browser

READY = "return document.body && document.body.dataset.ready === 'yes'"
PLOTS = [
    ("address", "/concentration"), ("address", "/validate"), ("address", "/trace/lynas-kuantan"),
    ("address", "/compare?case=passage:malacca&case=passage:suez"), ("mapped_address", "/chokepoints?bloc=pair"),
]  # fmt: skip
# Words of plots whose contrast with the figure behind them is below 4.5; words upon bars are left out.
FAINT = """
    const bright = c => {
        const p = c.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4));
        return 0.2126 * p[0] + 0.7152 * p[1] + 0.0722 * p[2]; };
    const found = [];
    for (const t of document.querySelectorAll('.plot text, .sankey text')) {
        if (!t.getClientRects().length) continue;
        const box = t.getBoundingClientRect();
        const on = [...t.closest('svg').querySelectorAll('rect, path')].some(r => {
            const b = r.getBoundingClientRect();
            return b.left < box.right && b.right > box.left && b.top < box.bottom && b.bottom > box.top && b.width > 3 && b.height > 3; });
        if (on) continue;
        const a = bright(getComputedStyle(t).fill), g = bright(getComputedStyle(t.closest('figure')).backgroundColor);
        const contrast = (Math.max(a, g) + 0.05) / (Math.min(a, g) + 0.05);
        if (contrast < 4.5) found.push(t.textContent + ' ' + contrast.toFixed(2));
    }
    return found;"""


def switched(browser: Any, theme: str) -> None:
    """Press the theme button until the page has that theme."""
    browser.run("if (window.themeIsDark() !== arguments[0]) document.getElementById('theme').click();", theme == "dark")
    assert browser.run("return window.themeIsDark()") is (theme == "dark")


@pytest.fixture
def forgetful(browser: Any) -> Any:
    """The browser, with what it said before forgotten and no theme kept afterwards."""
    browser.errors()
    yield browser
    browser.run("window.localStorage.removeItem('atlas-theme')")


@pytest.mark.parametrize(("where", "path"), PLOTS)
def test_words_of_plots_can_be_read_in_both_themes(
    forgetful: Any, request: pytest.FixtureRequest, where: str, path: str
) -> None:
    browser = forgetful
    browser.size(1280, 800)
    browser.open(request.getfixturevalue(where) + path)
    if "chokepoints" in path:
        browser.wait(READY)
    assert browser.run("return document.querySelectorAll('.plot text, .sankey text').length") > 3
    for theme in ("dark", "light"):
        switched(browser, theme)
        assert browser.run(FAINT) == []


def test_the_map_of_losses_is_drawn_anew(forgetful: Any, mapped_address: str) -> None:
    browser = forgetful
    browser.size(1280, 800)
    browser.open(mapped_address + "/chokepoints?bloc=pair", READY)
    drawn = """
        const found = [];
        window.AtlasChokepoints.shown.map.eachLayer(l => { if (l.options.radius && l.options.shape) found.push(l.options.fillColor); });
        return [found.length, [...new Set(found)].sort()];"""
    switched(browser, "light")
    count, light = browser.run(drawn)
    switched(browser, "dark")
    assert browser.run(drawn)[0] == count, "nothing is drawn twice"
    dark = browser.run(drawn)[1]
    assert not set(light) & set(dark)
    assert browser.run("return window.themeColour('--plot-blue')") in dark
    assert browser.errors() == []


def test_the_map_of_routes_is_drawn_anew(forgetful: Any, address: str) -> None:
    browser = forgetful
    browser.size(1280, 800)
    browser.open(address + "/route?from=CNSHA&to=NLRTM", READY)
    words = "return [...new Set(window.AtlasRoute.shown.words._candidates.map(c => c.colour))]"
    switched(browser, "light")
    light = browser.run(words)
    switched(browser, "dark")
    assert not set(light) & set(browser.run(words))
    assert browser.errors() == []

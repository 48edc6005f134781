"""A magnet buyer in a real browser: "my plant in Stuttgart, 300 t of SH" and its risk, on the shipped world."""

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser


def test_a_buyer_adds_its_plant_and_sees_its_risk(browser: Any, address: str, shots: Path) -> None:
    """The task: fill the form, wait, read what the worst halt would leave missing, and see it on the map."""
    browser.size(1280, 800)
    browser.open(address + "/buyer")
    browser.run("""
        const form = document.querySelector('form.plant');
        form.elements.name.value = 'my plant in Stuttgart';
        form.elements.place.value = 'Stuttgart';
        form.elements.grade.value = 'SH';
        form.elements.tonnes.value = '300';
        form.requestSubmit();""")
    browser.wait("return document.readyState === 'complete' && document.getElementById('lacks') !== null", 60)
    assert browser.run("return location.search") == "?buyer=my-plant-in-stuttgart,9.2,48.78,ev,SH,300"
    said = browser.run("return document.querySelector('.lede').textContent")
    assert "300 t of SH magnets a year" in said
    assert "from China" in said
    assert "The worst" in said
    shares = browser.run("""
        return [...document.querySelectorAll('table.cases tbody tr')].map(r => Number(r.cells[2].dataset.value));""")
    assert len(shares) > 12
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.5
    browser.shot(shots / "buyer-1280.png")
    href = browser.run("return document.querySelector('table.cases tbody a').getAttribute('href')")
    assert "buyer=my-plant-in-stuttgart" in href
    browser.run("document.querySelector('table.cases tbody a').click()")
    browser.wait("return location.pathname === '/map' && document.readyState === 'complete'")
    assert "my-plant-in-stuttgart" in browser.run("return document.body.textContent")
    assert browser.outside() == []
    browser.size(390, 844)
    browser.open(address + "/buyer?buyer=my-plant-in-stuttgart,9.2,48.78,ev,SH,300")
    assert browser.run("return document.documentElement.scrollWidth") <= 390
    browser.shot(shots / "buyer-390.png")
    from test_accessibility import AXE, FOUND, RULES, themed

    try:
        for theme in ("light", "dark"):
            themed(browser, theme)
            browser.open(address + "/buyer?buyer=my-plant-in-stuttgart,9.2,48.78,ev,SH,300")
            browser.run(AXE.read_text(encoding="utf-8") + "; window.axe = axe;")
            assert not browser.driver.execute_async_script(FOUND, RULES), theme
    finally:
        themed(browser, "")
    assert browser.errors() == []


def test_places_are_offered_as_one_types(browser: Any, address: str) -> None:
    browser.size(1280, 800)
    browser.open(address + "/buyer")
    cities = browser.run("return document.getElementById('places').children.length")
    browser.run("""
        const field = document.getElementById('buyer-place');
        field.value = 'Hanau';
        field.dispatchEvent(new Event('input', {bubbles: true}));""")
    browser.wait(f"return document.getElementById('places').children.length > {cities}")
    offered = browser.run("return [...document.getElementById('places').children].map(o => o.value)")
    assert "vac-hanau" in offered
    assert browser.errors() == []

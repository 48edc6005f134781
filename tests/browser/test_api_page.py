"""The page of the interface in a browser: find an operation, send its form, read the answer, by keyboard too."""

from typing import Any

import pytest

pytestmark = pytest.mark.browser


def sent(browser: Any, op: str) -> str:
    """Send a form and return the line that says how it went."""
    browser.run(f"document.querySelector('#{op} .go').click()")
    browser.wait(f"return document.querySelector('#{op} .answer').hidden === false")
    return str(browser.run(f"return document.querySelector('#{op} .state').textContent"))


def test_an_operation_is_found_sent_and_read(browser: Any, address: str) -> None:
    browser.size(1280, 800)
    browser.open(f"{address}/api#route")
    assert browser.run("return document.getElementById('route').open")
    browser.run("const f = document.getElementById('filter'); f.value = 'route alternatives'; f.dispatchEvent(new Event('input'))")
    shown = browser.run("return Array.from(document.querySelectorAll('.op:not([hidden])'), o => o.id)")
    assert shown == ["route", "route_csv", "route_geojson"]
    assert "3 " in browser.run("return document.getElementById('filter-said').textContent")
    browser.run("const f = document.getElementById('f-route-close'); f.value = 'malacca\\nsuez'; f.dispatchEvent(new Event('input', {bubbles: true}))")
    told = browser.run("return document.querySelector('#route code.curl').textContent")
    assert told == f"curl '{address}/api/route?from=lynas-kuantan&to=JPYOK&close=malacca&close=suez'"
    assert sent(browser, "route").startswith("200 OK in ")
    assert "reachable: true" in browser.run("return document.querySelector('#route .tree').textContent")
    assert "etag" in browser.run("return document.querySelector('#route .heads').textContent")
    # A branch is made when it is unfolded.
    browser.run("document.querySelectorAll('#route .tree details')[1].open = true")
    browser.wait("return document.querySelectorAll('#route .tree details')[1].querySelectorAll('li').length > 0")
    browser.run("document.querySelectorAll('#route .ways button')[1].click()")
    assert browser.run("return JSON.parse(document.querySelector('#route .body pre').textContent).reachable") is True


def test_tables_maps_and_refusals_are_told(browser: Any, address: str) -> None:
    browser.open(f"{address}/api?op=find_csv")
    assert browser.run("return document.getElementById('find_csv').open")
    sent(browser, "find_csv")
    assert browser.run("return Array.from(document.querySelectorAll('#find_csv thead th'), t => t.textContent)") == ["id", "kind", "name", "country"]
    browser.run("document.getElementById('rows_geojson').open = true")
    sent(browser, "rows_geojson")
    assert "Features: " in browser.run("return document.querySelector('#rows_geojson .body').textContent")
    browser.run("document.querySelector('#solve_scenario textarea.body').value = '{\"halt\": [{\"spec\": \"country:CHX\"}]}'")
    assert sent(browser, "solve_scenario").startswith("400 ")
    assert "CHN" in browser.run("return document.querySelector('#solve_scenario .tree').textContent")
    browser.run("document.getElementById('route').open = true; document.getElementById('f-route-from').value = ''; document.querySelector('#route .go').click()")
    assert browser.run("return document.activeElement.id") == "f-route-from"
    assert browser.run("return document.activeElement.getAttribute('aria-invalid')") == "true"


def test_a_large_answer_is_read_in_part(browser: Any, address: str) -> None:
    browser.open(f"{address}/api#layer_geojson")
    browser.run("const s = document.getElementById('f-layer_geojson-name'); s.value = 'flows'; s.dispatchEvent(new Event('change', {bubbles: true}))")
    assert "> " in sent(browser, "layer_geojson")
    assert browser.run("return document.querySelector('#layer_geojson .body pre').textContent.length") < 201_000


def test_everything_is_done_by_keyboard(browser: Any, address: str) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.open(f"{address}/api")
    summary = browser.driver.find_element("css selector", "#healthz > summary")
    summary.send_keys(Keys.ENTER)
    browser.wait("return document.getElementById('healthz').open && location.hash === '#healthz'")
    browser.driver.find_element("css selector", "#healthz .go").send_keys(Keys.SPACE)
    browser.wait("return document.querySelector('#healthz .answer').hidden === false")
    assert "atlas" in browser.run("return document.querySelector('#healthz .tree').textContent")
    summary.send_keys(Keys.ENTER)
    browser.wait("return location.hash === ''")


def test_without_scripts_the_examples_are_links(browser: Any, address: str) -> None:
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.driver.get(f"{address}/api?op=find")
        link = browser.driver.find_element("css selector", "#find a.example")
        assert link.is_displayed()
        assert link.get_attribute("href") == f"{address}/api/find?q=lynas&kind=facility,operator"
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})

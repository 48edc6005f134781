"""Halts made by presses on the map and from the lists, answers without a new page, and what stays when one fails."""

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser

READY = "return document.body.dataset.ready === 'yes'"
HALT = "/map?halt=country:CHN/magnet"
SET = "const set = (id, v) => { const e = document.getElementById(id); e.value = v; e.dispatchEvent(new Event('change')); };"
ANSWERS = "Number(document.body.dataset.answers || 0)"


def answered(browser: Any, script: str) -> None:
    """Run a script that asks for another answer and wait until that is shown."""
    before = browser.run(f"return {ANSWERS}")
    browser.run(script)
    browser.wait(f"return {ANSWERS} > {before}", 60)


def found(browser: Any, name: str) -> None:
    browser.run("const f = document.getElementById('find'); f.value = arguments[0]; f.dispatchEvent(new Event('change'));", name)
    browser.wait("return !!document.querySelector('.leaflet-popup .offers button')")


def pressed(browser: Any, lon: float, lat: float) -> None:
    """Press on the map at a place, as a mouse does."""
    browser.run(
        """const map = Atlas.shown.map; map.setView([arguments[1], arguments[0]], 5, {animate: false});""", lon, lat
    )
    browser.wait("return new Promise(r => setTimeout(() => r(true), 150))")
    browser.run(
        """const map = Atlas.shown.map, at = map.latLngToContainerPoint([arguments[1], arguments[0]]);
        map.fire('click', {latlng: L.latLng(arguments[1], arguments[0]), containerPoint: at});""", lon, lat
    )  # fmt: skip
    browser.wait("return !!document.querySelector('.leaflet-popup .offers button')")


def test_press_on_a_plant_halts_it(browser: Any, address: str) -> None:
    browser.size(1280, 800)
    browser.open(address + "/", READY)
    browser.run("window.same = 1")
    found(browser, "Lynas Malaysia")
    browser.run("document.querySelector('.leaflet-popup .offers button').click()")
    assert browser.run("return document.querySelector('#halts input').value") == "facility:lynas-kuantan"
    assert "stops" in browser.run("return document.querySelector('#halts .meaning').textContent")
    assert browser.run("return document.activeElement.className") == "go", "Enter shows it"
    answered(browser, "document.activeElement.click()")
    assert browser.run("return [location.pathname, new URL(location.href).searchParams.getAll('halt')]") == ["/map", ["facility:lynas-kuantan"]]
    assert browser.run("return window.same") == 1, "no new page"
    assert "Lynas Malaysia" in browser.run("return document.querySelector('h1').textContent")
    assert browser.run("return document.title") == browser.run("return document.querySelector('h1').textContent")
    assert browser.run("return document.activeElement.id") == "title", "a reader of the screen hears it"
    assert browser.run("return Atlas.shown.data.halted.facility") == ["lynas-kuantan"]
    assert browser.errors() == []


def test_press_on_land_and_border(browser: Any, address: str) -> None:
    browser.size(1280, 800)
    browser.open(address + "/", READY)
    pressed(browser, 98.3, 25.0)  # where Myanmar meets China
    offers = browser.run("return [...document.querySelectorAll('.leaflet-popup .offers button')].map(b => b.textContent)")
    assert any(o.startswith("Close the border") and "China" in o and "Myanmar" in o for o in offers), offers
    browser.run("[...document.querySelectorAll('.offers button')].find(b => b.dataset.halt === 'border').click()")
    pressed(browser, 100.0, 60.0)
    assert browser.run("return document.querySelector('.leaflet-popup h3').textContent") == "Russia"
    pressed(browser, 137.5, 36.0)
    browser.run("[...document.querySelectorAll('.offers button')].find(b => b.textContent.includes('to Japan')).click()")
    assert browser.run("return [document.getElementById('destination').value, document.activeElement.id]") == ["JPN", "target"]
    browser.run(SET + "set('target', 'China'); document.getElementById('add-halt').click();")
    halts = browser.run("return [...document.querySelectorAll('#halts input')].map(i => i.value)")
    assert halts == ["border:CHN-MMR", "country:CHN:JPN"]
    assert browser.errors() == []


def test_edit_and_remove_a_halt(browser: Any, address: str) -> None:
    browser.size(1280, 800)
    browser.open(address + "/map?halt=country:CHN:USA@0.5/Dy,magnet&halt=passage:malacca", READY)
    browser.run("document.querySelector('#change').open = true; document.querySelector('[aria-label=\"Edit country:CHN:USA@0.5/Dy,magnet\"]').click();")
    shown = "return ['kind', 'target', 'destination', 'share'].map(i => document.getElementById(i).value)"
    assert browser.run(shown) == ["country", "CHN", "USA", "50"]
    assert browser.run("return [...document.querySelectorAll('.ticks input:checked')].map(t => t.value)") == ["magnet", "Dy"]
    browser.run(SET + "set('share', '25'); document.querySelector('[aria-label=\"Remove passage:malacca\"]').click();")
    answered(browser, "document.querySelector('#builder .go').click()")
    halts = browser.run("return new URL(location.href).searchParams.getAll('halt')")
    assert halts == ["country:CHN:USA@0.25/magnet,Dy"]


@pytest.mark.parametrize(
    "spec",
    ["country:CHN", "country:CHN:us-allies@0.5", "country:CHN/Dy,magnet", "stage:CHN/metal@0.5", "stage:CHN/metal@0.5/Dy",
     "facility:lynas-kuantan@0.25", "port:MYKUA", "passage:malacca", "border:CHN-MMR", "country:CHN/magnet@0.3"],
)  # fmt: skip
def test_every_halt_has_a_meaning(browser: Any, invented_address: str, spec: str) -> None:
    if not browser.run("return location.href").startswith(invented_address):
        browser.open(invented_address + "/", READY)
    read = browser.run("return AtlasBuilder.parts(arguments[0])", spec)
    assert read["kind"] == spec.split(":")[0]
    assert read["share"] == (float(spec.split("@")[1].split("/")[0]) if "@" in spec else 1)
    assert set(read["filter"]) <= {"Dy", "magnet"}
    assert read["stage"] == ("metal" if read["kind"] == "stage" else "")


def test_what_changed_is_a_list_of_links_to_the_map(browser: Any, address: str) -> None:
    """By keyboard from the table to the plant: the map goes there and tells of it."""
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    browser.size(1280, 800)
    browser.open(address + HALT, READY)
    browser.run("""const t = document.querySelector('table[data-name="Output that changes most"]'); t.closest('details').open = true; t.querySelector('a').focus();""")
    name = browser.run("return document.activeElement.textContent")
    ActionChains(browser.driver).send_keys(Keys.ENTER).perform()
    browser.wait("return !!document.querySelector('.leaflet-popup h3')")
    assert browser.run("return document.querySelector('.leaflet-popup h3').textContent") == name
    assert browser.run("return location.pathname") == "/map"
    assert browser.errors() == []


def test_back_and_forward_through_answers(browser: Any, address: str) -> None:
    browser.size(1280, 800)
    browser.open(address + "/", READY)
    browser.run("window.same = 1")
    title = "return document.querySelector('h1').textContent"
    first = browser.run(title)
    answered(browser, "document.querySelector('.presets a').click()")
    second = browser.run(title)
    browser.run("document.querySelector('[data-show=after]').click()")
    answered(browser, "history.back()")
    assert browser.run(title) == first
    assert browser.run("return [document.body.dataset.view, document.querySelector('#views').hidden]") == ["before", True]
    answered(browser, "history.forward()")
    assert browser.run(title) == second
    assert browser.run("return document.body.dataset.view") == "after", "the view of that entry"
    assert browser.run("return window.same") == 1
    assert browser.errors() == []


def test_a_refused_halt_keeps_what_was_there(browser: Any, address: str, shots: Path) -> None:
    browser.size(1280, 800)
    browser.open(address + HALT, READY)
    was = browser.run("return [location.href, document.querySelector('h1').textContent]")
    browser.run(SET + "set('kind', 'passage'); set('target', 'malaca'); document.querySelector('#builder .go').click();")
    browser.wait("return !document.getElementById('trouble').hidden")
    assert "malacca" in browser.run("return document.getElementById('trouble').textContent")
    assert browser.run("return [location.href, document.querySelector('h1').textContent]") == was
    browser.shot(shots / "trouble.png")
    assert all("status of 400" in e for e in browser.errors())


def test_a_busy_server_says_when_to_try_again(browser: Any) -> None:
    """503 with Retry-After: the message, a button that waits, and the answer once the server can."""
    import threading

    from fake_outcome import fake_study
    from waitress.server import create_server

    from atlas import web
    from atlas.config import settings
    from atlas.web_errors import Overload

    study = fake_study()
    app = web.create_app(study, settings({}))
    server = create_server(app, host="127.0.0.1", port=0, threads=4)
    threading.Thread(target=server.run, daemon=True).start()
    try:
        browser.size(1280, 800)
        browser.open(f"http://127.0.0.1:{server.effective_port}/", READY)
        study.fails = Overload("the server is busy solving; try again in a few seconds")
        browser.run("document.querySelector('.presets a').click()")
        browser.wait("return !document.getElementById('trouble').hidden")
        text = browser.run("return document.getElementById('trouble').textContent")
        assert "busy solving" in text
        assert browser.run("return document.querySelector('#trouble button').disabled")
        assert browser.run("return location.pathname") == "/"
        assert all("status of 503" in e for e in browser.errors())
        study.fails = None
        browser.wait("return !document.querySelector('#trouble button').disabled", 15)
        answered(browser, "document.querySelector('#trouble button').click()")
        assert browser.run("return location.pathname") == "/map"
        assert browser.run("return document.getElementById('trouble').hidden")
    finally:
        server.close()


def test_other_links_are_left_to_the_browser(browser: Any, invented_address: str) -> None:
    browser.open(invented_address + "/", READY)
    browser.run("[...document.querySelectorAll('.top nav a')].find(a => a.pathname === '/about').click()")
    browser.wait("return location.pathname === '/about'")
    browser.run("history.back()")
    browser.wait("return location.pathname === '/' && document.body.dataset.ready === 'yes'")


def test_tables_sort_and_download(browser: Any, address: str) -> None:
    browser.size(1280, 800)
    browser.open(address + HALT, READY)
    column = """return [...document.querySelectorAll('table[data-name="Short by country"] tbody tr')].map(r => Number(r.cells[1].textContent.replace(/[^\\d.]/g, '')))"""
    before = browser.run(column)
    assert before == sorted(before, reverse=True)
    browser.run("""document.querySelectorAll('table[data-name="Short by country"] th')[1].querySelector('button').click()""")
    browser.run("""document.querySelectorAll('table[data-name="Short by country"] th')[1].querySelector('button').click()""")
    assert browser.run(column) == sorted(before)
    text = browser.driver.execute_async_script("""
        const done = arguments[arguments.length - 1], make = URL.createObjectURL;
        URL.createObjectURL = blob => { blob.text().then(done); return make(blob); };
        document.querySelector('[data-csv]').click();""")
    lines = text.split("\r\n")
    assert lines[0] == "Country,Short,Part"
    assert all(line.split(",")[1].replace(".", "").isdigit() for line in lines[1:] if line and '"' not in line)
    assert browser.errors() == []


def test_on_a_phone_a_button_leads_to_the_builder(browser: Any, address: str, shots: Path) -> None:
    browser.size(390, 844)
    browser.open(address + HALT, READY)
    browser.run("document.getElementById('to-builder').click()")
    browser.wait("const r = document.getElementById('builder').getBoundingClientRect(); return r.top >= -5 && r.top < 400")
    browser.wait("return document.getElementById('to-builder').hidden")
    assert browser.run("return document.documentElement.scrollWidth <= window.innerWidth")
    browser.shot(shots / "builder-390.png")

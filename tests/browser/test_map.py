"""Buyers, ways round a ban and scenarios by name on the map page, in a real browser."""

import threading
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


# ---- before against after, measuring, close-ups, themes, other pages


def shown(browser: Any, view: str) -> None:
    browser.run(f"document.querySelector('[data-show={view}]').click()")
    browser.wait("return new Promise(r => requestAnimationFrame(() => requestAnimationFrame(() => r(true))))")


def ink(browser: Any, canvas: int, left: float, right: float) -> int:
    """Return how many points of a flow canvas have ink between two parts of the map's width."""
    return int(browser.run(
        """const c = document.querySelectorAll('.map-box canvas.leaflet-zoom-animated, .map-box canvas')[0] && [...document.querySelectorAll('.leaflet-overlay-pane canvas, .leaflet-after-pane canvas')][arguments[0]];
        const box = c.getBoundingClientRect(), own = Atlas.shown.map.getContainer().getBoundingClientRect(), ratio = c.width / box.width;
        const from = Math.max(0, Math.round((own.left + arguments[1] * own.width - box.left) * ratio)), to = Math.round((own.left + arguments[2] * own.width - box.left) * ratio);
        const d = c.getContext('2d').getImageData(from, 0, to - from, c.height).data;
        let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 40;
        return n;""", canvas, left, right
    ))  # fmt: skip


def test_divider_between_before_and_after(browser: Any, invented_address: str, shots: Path) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    browser.size(1280, 800)
    browser.open(invented_address + "/map?halt=country:CHN/magnet&view=swipe&swipe=40", READY)
    slider = "const s = document.querySelector('.swipe'); return "
    assert browser.run(slider + "[s.getAttribute('role'), s.getAttribute('aria-valuenow')]") == ["slider", "40"]
    views = browser.run("return Atlas.shown.drawings.map(d => d.view)")
    assert views == ["before", "after"]
    assert min(ink(browser, 0, 0, 1), ink(browser, 1, 0, 1)) > 500
    browser.run("document.querySelector('.swipe').focus()")
    ActionChains(browser.driver).send_keys(Keys.ARROW_RIGHT, Keys.PAGE_UP).perform()
    assert browser.run(slider + "s.getAttribute('aria-valuenow')") == "52"
    assert browser.run("return location.search.includes('swipe=52')")
    clips = browser.run("return Atlas.shown.drawings.map(d => d.panes[0].style.clip)")
    rights = [float(c.replace("px", "").strip("rect()").replace(",", " ").split()[1]) for c in clips]
    lefts = [float(c.replace("px", "").strip("rect()").replace(",", " ").split()[3]) for c in clips]
    assert rights[0] == lefts[1], "one ends where the other begins"
    box = browser.run("const r = document.querySelector('.swipe').getBoundingClientRect(); return [r.left + 14, r.top + 200]")
    drag = ActionChains(browser.driver).move_by_offset(0, 0)
    drag.w3c_actions.pointer_action.move_to_location(int(box[0]), int(box[1]))
    drag.w3c_actions.pointer_action.pointer_down()
    drag.w3c_actions.pointer_action.move_to_location(int(box[0]) - 200, int(box[1]))
    drag.w3c_actions.pointer_action.pointer_up()
    drag.perform()
    assert 25 <= float(browser.run(slider + "s.getAttribute('aria-valuenow')")) <= 32
    browser.shot(shots / "swipe.png")
    shown(browser, "before")
    assert browser.run("return [document.querySelector('.swipe'), Atlas.shown.drawings.length]") == [None, 1]
    assert browser.run("return Atlas.shown.drawings[0].panes[0].style.clip") == ""
    clean(browser)


@pytest.mark.parametrize("size", SIZES)
def test_two_maps_move_together(browser: Any, invented_address: str, shots: Path, size: tuple[int, int]) -> None:
    browser.size(*size)
    browser.open(invented_address + "/map?halt=country:CHN/magnet&view=side", READY)
    boxes = browser.run("return [...document.querySelectorAll('.map-box > .folium-map')].map(m => { const r = m.getBoundingClientRect(); return [r.left, r.top, r.width, r.height]; })")
    assert all(w > 150 and h > 150 for _, _, w, h in boxes)
    across = 0 if size[0] > 600 else 1
    assert boxes[1][across] >= boxes[0][across] + boxes[0][2 + across] - 2, "side by side, or one under the other on a phone"
    centres = "return Atlas.shown.drawings.map(d => { const c = d.map.getCenter(); return [c.lng, c.lat, d.map.getZoom()]; })"
    browser.run("Atlas.shown.drawings[1].map.setView([10, 60], 4, {animate: false})")
    first, second = browser.run(centres)
    assert first == pytest.approx(second, abs=0.05)
    assert second[2] == 4
    browser.run("Atlas.shown.drawings[0].map.panBy([40, 30], {animate: false})")
    first, second = browser.run(centres)
    assert first == pytest.approx(second, abs=0.05)
    browser.shot(shots / f"side-{size[0]}.png")
    shown(browser, "change")
    assert browser.run("return document.querySelectorAll('.folium-map').length") == 1
    clean(browser)


def test_measuring_by_keyboard(browser: Any, invented_address: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    browser.size(1280, 800)
    browser.open(invented_address + "/?at=10,50,5", READY)
    # known lengths on WGS84 (GeographicLib): a degree of the equator, a quarter of a meridian, London to New York
    for a, b, km in (([0, 0], [1, 0], 111.3195), ([0, 0], [0, 90], 10001.966), ([-0.1276, 51.5072], [-74.006, 40.7128], 5585.2)):
        assert browser.run("return Atlas.measure.km(arguments[0], arguments[1])", a, b) == pytest.approx(km, rel=1e-4)
    browser.run("document.getElementById('measure').click()")
    said = "return document.getElementById('map-said').textContent"
    assert "Enter" in browser.run(said)
    ActionChains(browser.driver).send_keys(Keys.ENTER).perform()
    browser.run("Atlas.shown.map.setView([50, 11], 5, {animate: false})")
    ActionChains(browser.driver).send_keys(Keys.ENTER).perform()
    assert float(browser.run(said).split(" km")[0]) == pytest.approx(71.7, abs=5), "the map's middle falls on a whole pixel"
    assert "not along a route" in browser.run(said)
    link = browser.run("return document.querySelector('#map-said a').getAttribute('href')")
    ends = [float(v) for part in link.removeprefix("/route?from=").split("&to=") for v in part.split(",")]
    assert ends == pytest.approx([10, 50, 11, 50], abs=0.05)
    ActionChains(browser.driver).send_keys(Keys.BACKSPACE).perform()
    assert "Enter" in browser.run(said)
    ActionChains(browser.driver).send_keys(Keys.ESCAPE).perform()
    assert browser.run("return [document.getElementById('map-said').textContent, document.activeElement.id]") == ["", "measure"]
    clean(browser)


def test_close_up_shows_what_lies_around_a_plant(browser: Any, address: str, shots: Path) -> None:
    browser.size(1280, 800)
    browser.open(address + "/?at=8.9,50.13,10", READY)
    browser.wait("return /\\d+ stretches/.test(document.getElementById('near-said').textContent)", 30)
    text = browser.run("return document.getElementById('near-said').textContent")
    assert "railway" in text
    assert "trunk road" in text
    assert browser.run("return document.querySelectorAll('.grid-label').length") > 6
    drawn = """const c = document.querySelector('.leaflet-near-pane canvas'), d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 40; return n;"""
    assert browser.run(drawn) > 2000
    browser.shot(shots / "close-up.png")
    browser.run("document.getElementById('whole-map').click()")
    browser.wait("return document.getElementById('near-said').textContent === ''")
    assert browser.run("return document.querySelectorAll('.grid-label').length") == 0
    clean(browser)


def test_canvas_follows_the_theme(browser: Any, invented_address: str, shots: Path) -> None:
    browser.size(1280, 800)
    browser.open(invented_address + "/map?halt=country:CHN/magnet&view=before", READY)
    land = """const c = document.querySelector('.leaflet-land-pane canvas'), own = c.getBoundingClientRect(), map = Atlas.shown.map;
        const box = map.getContainer().getBoundingClientRect(), at = map.latLngToContainerPoint([62, 100]), ratio = c.width / own.width;
        const copy = document.createElement('canvas'), x = copy.getContext('2d', {willReadFrequently: true});
        copy.width = copy.height = 1;
        x.drawImage(c, -(box.left + at.x - own.left) * ratio, -(box.top + at.y - own.top) * ratio);
        return [...x.getImageData(0, 0, 1, 1).data];"""
    light = browser.run(land)
    browser.run("document.getElementById('theme').click()")
    browser.wait("return new Promise(r => requestAnimationFrame(() => requestAnimationFrame(() => r(true))))")
    dark = browser.run(land)
    browser.shot(shots / "dark.png")
    browser.run("document.getElementById('theme').click(); localStorage.clear()")
    assert sum(light[:3]) > 600
    assert sum(dark[:3]) < 250
    clean(browser)


def test_colours_of_goods_and_changes_stand_out_in_both_themes(browser: Any, invented_address: str) -> None:
    """Contrast of 3:1 at least between land and what is told by colour alone, but for what is kept and the palest goods."""
    browser.size(1280, 800)
    browser.open(invented_address + "/", READY)
    contrast = """
        const lum = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(Number).map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
        const names = ['orange', 'sky', 'blue', 'purple', 'green', 'vermilion', 'brown', 'violet', 'slate'];
        const land = lum(themeColour('--land'));
        return Object.fromEntries(names.map(n => { const l = lum(themeColour('--tone-' + n)); return [n, (Math.max(l, land) + 0.05) / (Math.min(l, land) + 0.05)]; }));"""
    for theme in ("light", "dark"):
        browser.run("document.documentElement.dataset.theme = arguments[0]", theme)
        found = browser.run(contrast)
        weak = {n: c for n, c in found.items() if c < 3}
        # orange, sky and green are Okabe and Ito's own: paler on white, with an edge or a dash beside them
        assert set(weak) <= ({"orange", "sky", "green"} if theme == "light" else set()), weak


def test_map_stands_in_a_page_of_another_site(browser: Any, invented_address: str, shots: Path) -> None:
    from flask import Flask
    from werkzeug.serving import make_server

    other = Flask("other site")

    @other.get("/")
    def outside() -> str:
        source = f"{invented_address}/embed/map?halt=country:CHN/magnet&amp;view=change"
        return f'<!doctype html><title>x</title><link rel="icon" href="data:,"><iframe id="f" title="map" width="800" height="520" src="{source}"></iframe>'

    server = make_server("127.0.0.1", 0, other, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    browser.size(1280, 800)
    browser.open(f"http://127.0.0.1:{server.server_port}/")
    browser.driver.switch_to.frame("f")
    try:
        browser.wait(READY)
        assert browser.run("return document.querySelector('h1').textContent").startswith("Halted")
        assert browser.run("return document.getElementById('legend').open") is False
        assert browser.run("return document.cookie") == ""
    finally:
        browser.driver.switch_to.default_content()
        server.shutdown()
    browser.shot(shots / "embedded.png")
    clean(browser)


def test_snippet_and_address_to_copy(browser: Any, invented_address: str) -> None:
    browser.size(1280, 800)
    browser.open(invented_address + "/map?halt=country:CHN/magnet", READY)
    browser.run("document.querySelector('[data-show=after]').click(); document.querySelector('input[value=source]').click();")
    browser.run("[...document.querySelectorAll('#layer-slot label')].find(l => l.textContent.includes('Ports')).querySelector('input').click()")
    address = browser.run("return location.search")
    for part in ("view=after", "colour=source", "off=ports"):
        assert part in address
    assert browser.run("return document.getElementById('address').value") == browser.run("return location.href")
    snippet = browser.run("return document.getElementById('embed').value")
    assert snippet.startswith("<iframe src=")
    assert "/embed/map?" in snippet
    assert "colour=source" in snippet
    browser.run("document.getElementById('copy').click()")
    browser.wait("return document.getElementById('copied').textContent !== ''")
    browser.open(browser.run("return location.href"), READY)
    assert browser.run("return [document.body.dataset.view, document.body.dataset.colour, Atlas.shown.state.shown.has('ports')]") == ["after", "source", False]
    clean(browser)


def test_no_motion_for_who_wants_none(browser: Any, invented_address: str) -> None:
    send = browser.driver.execute_cdp_cmd
    send("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]})
    try:
        browser.size(1280, 800)
        browser.open(invented_address + "/?at=10,50,5", READY)
        moved = browser.run("const m = Atlas.shown.map, a = m.getCenter().lng; m.panBy([200, 0]); const b = m.getCenter().lng; m.zoomIn(1); return [b - a, m.getZoom()];")
        assert moved[0] == pytest.approx(200 * 360 / (256 * 2**5), rel=0.02), "at once, not on the way"
        assert moved[1] == 6
    finally:
        send("Emulation.setEmulatedMedia", {"features": []})
    clean(browser)

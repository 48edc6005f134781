"""Every page in a real browser: WCAG 2.1 A and AA by axe-core, no outside request, no sideways scrolling, no errors."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from every_page import PAGES

pytestmark = pytest.mark.browser

AXE = Path(__file__).resolve().parent.parent / "data" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
LOOKS = [(1280, 800, "light"), (1280, 800, "dark"), (390, 844, "light"), (390, 844, "dark")]
STANDING = """return document.readyState === 'complete' && !document.getElementById('job-bar')
    && (!document.querySelector('.folium-map') || document.body.dataset.ready === 'yes'
        || !!document.querySelector('.leaflet-pane canvas'))"""
FOUND = """
    const done = arguments[arguments.length - 1];
    axe.run(document, {runOnly: {type: 'tag', values: arguments[0]}, resultTypes: ['violations']})
        .then(r => done(r.violations.map(v => [v.id, v.impact, v.nodes.slice(0, 4).map(n => n.target.join(' ') + ' | ' + n.failureSummary.slice(0, 300))])))
        .catch(e => done([['axe', String(e), []]]));"""


def themed(browser: Any, theme: str) -> None:
    """Let the system ask for a theme."""
    browser.driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    )


@pytest.fixture
def worlds(address: str, mapped_address: str) -> dict[str, str]:
    return {"shipped": address, "invented": mapped_address}


def test_every_page_is_listed(study: Any) -> None:
    """A page that the application has and the list does not would go unchecked."""
    from atlas import web

    rules = web.create_app(study).url_map.iter_rules()
    own = {r.rule.split("<")[0] for r in rules if "GET" in (r.methods or ())}
    own = {r for r in own if not r.startswith(("/api/", "/static", "/healthz", "/metrics", "/basemap/", "/map.", "/reports/"))}  # files
    listed = [urlsplit(p).path for _, p in PAGES]
    missing = sorted(r for r in own if not any(p == r or (r.endswith("/") and len(r) > 1 and p.startswith(r)) for p in listed))
    assert not missing


@pytest.mark.parametrize(("width", "height", "theme"), LOOKS)
@pytest.mark.parametrize(("world", "path"), PAGES)
def test_page_keeps_the_rules(
    browser: Any, worlds: dict[str, str], shots: Path, world: str, path: str, width: int, height: int, theme: str
) -> None:
    browser.size(width, height)
    themed(browser, theme)
    try:
        browser.open(worlds[world] + path, STANDING)
        browser.run(AXE.read_text(encoding="utf-8") + "; window.axe = axe;")
        browser.driver.set_script_timeout(60)
        found = browser.driver.execute_async_script(FOUND, RULES)
        name = "".join(c if c.isalnum() else "-" for c in path.strip("/"))[:60] or "atlas"
        browser.shot(shots / "pages" / f"{name}-{width}-{theme}.png")
        assert not found, json.dumps(found, indent=1)
        assert browser.run("return document.documentElement.scrollWidth <= window.innerWidth"), "sideways scrolling"
        assert browser.outside() == []
        assert [e for e in browser.errors() if "status of 4" not in e] == []
    finally:
        themed(browser, "")


@pytest.mark.parametrize("path", ["/", "/route?from=CNSHA&to=NLRTM", "/about"])
def test_the_policy_stops_an_injected_script(browser: Any, address: str, path: str) -> None:
    """Scripts, handlers, styles' addresses and connections that the page did not bring are refused by the browser."""
    browser.open(address + path, STANDING)
    blocked = browser.driver.execute_async_script("""
        const done = arguments[arguments.length - 1], seen = [];
        document.addEventListener('securitypolicyviolation', e => seen.push(e.effectiveDirective));
        const inline = document.createElement('script'); inline.textContent = 'window.injected = 1'; document.body.append(inline);
        const outside = document.createElement('script'); outside.src = 'https://example.org/x.js'; document.body.append(outside);
        const box = document.createElement('div'); box.innerHTML = '<img src="data:," onerror="window.injected = 2"><img src="https://example.org/x.png">'; document.body.append(box);
        const frame = document.createElement('iframe'); frame.srcdoc = '<script>parent.injected = 3<\\/script>'; document.body.append(frame);
        fetch('https://example.org/').catch(() => 0);
        window.setTimeout(() => done([window.injected === undefined ? null : window.injected, [...new Set(seen)].sort()]), 600);""")
    assert blocked[0] is None
    assert {"connect-src", "img-src", "script-src-attr", "script-src-elem"} <= set(blocked[1])
    browser.errors()  # what was refused is told in the console
    browser.outside()

"""What all pages share - navigation, policy, the page of an error - and the pages data and about."""

import platform
from importlib import metadata
from typing import Any

from flask import Blueprint, Response, current_app, request
from markupsafe import Markup

from atlas import __version__
from atlas.chain import chain_of
from atlas.chain_words import reworded_page
from atlas.export import ATTRIBUTION, LAYERS, TITLES
from atlas.page_text import text
from atlas.render import csp_hashes, environment
from atlas.render_data import web_address
from atlas.web_answers import Document
from atlas.web_builder import PRESETS, halt_builder
from atlas.web_errors import Failure
from atlas.web_formats import DOWNLOADS
from atlas.web_query import parameters

__all__ = ["FINDINGS", "PAGES", "PRESETS", "error_page", "html_document", "nav", "pages"]

# address, text of templates/text/en/frame.toml
PAGES = (
    ("/", "atlas"), ("/facilities", "explore"), ("/compare", "compare"), ("/buyer", "buyer"),
    ("/chokepoints", "findings"), ("/route", "routes"), ("/validate", "accuracy"), ("/jobs", "jobs"),
    ("/data", "data"), ("/about", "about"),
)  # fmt: skip
FINDINGS = ("/chokepoints", "/trace", "/frontier", "/fixes", "/worth", "/concentration")

pages = Blueprint("pages", __name__)


@pages.get("/data")
def data() -> Response:
    """List layers, downloads and sources."""
    parameters(request, (), _atlas().settings)
    return _atlas().send(_atlas().answers.documents.get("/data", _data_document))


@pages.get("/about")
def about() -> Response:
    """Say what the atlas is, its versions, licences and limits."""
    parameters(request, (), _atlas().settings)
    return _atlas().send(_atlas().answers.documents.get("/about", _about_document))


def _atlas() -> Any:
    """Return what the application holds: study, settings, answers, assets, send."""
    return current_app.extensions["atlas"]


def html_document(html: str, tiles: bool = False, frames: bool = False, ancestors: str = "'self'") -> Document:
    """Return a page with the policy that lets its own scripts run and nothing else.

    `frames` lets pages stand in it, `ancestors` says in which pages it may stand.
    """
    html = reworded_page(html, chain_of(getattr(current_app.extensions["atlas"].study, "layers", None)))
    scripts, styles = csp_hashes(html)
    images = "img-src 'self' data:" + (" https://tile.openstreetmap.org" if tiles else "")
    inside = "frame-src 'self'; " if frames else ""
    policy = (
        f"default-src 'none'; script-src 'self' {' '.join(scripts)}; style-src 'self' {' '.join(styles)}; {images}; "
        f"connect-src 'self'; {inside}form-action 'self'; base-uri 'none'; frame-ancestors {ancestors}"
    )
    return Document.of(html, "text/html; charset=utf-8", (("Content-Security-Policy", policy.replace("  ", " ")),))


def nav(here: str) -> list[dict[str, Any]]:
    """Return the links of the navigation, with the page that is shown marked."""
    part = "/chokepoints" if here in FINDINGS else here
    return [{"href": href, "text": text(f"frame.nav.{key}"), "here": href == part} for href, key in PAGES]


def _data_document() -> Document:
    layers = _atlas().study.layers
    counts = []
    for name in getattr(getattr(layers, "schema", None), "layers", ("facilities", "ports", "passages")):
        table = layers.table(name) if hasattr(layers, "table") else getattr(layers, name)
        on_c = (
            f"{100 * float((table['confidence'] == 'C').mean()):.0f} %" if "confidence" in table and len(table) else "–"
        )
        counts.append((name, f"{len(table):,}", on_c))
    used: dict[str, int] = {}
    for name, _, _ in counts:
        table = layers.table(name) if hasattr(layers, "table") else getattr(layers, name)
        if "source_id" in table and name != "sources":
            for source, count in table["source_id"].value_counts().items():
                used[str(source)] = used.get(str(source), 0) + int(count)
    cited = sorted(layers.sources.index, key=lambda i: (-used.get(str(i), 0), str(i)))
    sources = [
        {"id": str(i), "title": str(r["title"]) or str(i), "url": web_address(r["url"]),
         "publisher": str(r["publisher"]), "licence": str(r["licence"]), "count": used.get(str(i), 0)}
        for i, r in layers.sources.loc[cited].iterrows()
    ]  # fmt: skip
    downloads = [(n, TITLES[n]) for n in LAYERS]
    raw = hasattr(layers, "table")
    return _plain(
        "data.html", "/data", raw=raw, counts=counts, downloads=downloads, forms=DOWNLOADS, sources=sources,
        attribution=ATTRIBUTION,
    )


def _about_document() -> Document:
    versions = [("atlas", __version__), ("Python", platform.python_version())]
    versions += [(n, metadata.version(n)) for n in ("highspy", "geopandas", "shapely", "scipy", "folium", "flask")]
    layers = _atlas().study.layers
    return _plain(
        "about.html", "/about", versions=[*versions, ("Leaflet", "1.9.4")], digest=layers.digest,
        attribution=ATTRIBUTION, year=_atlas().study.year,
    )  # fmt: skip


def _plain(template: str, here: str, **values: Any) -> Document:
    html = environment().get_template(template).render(nav=nav(here), base=_atlas().assets.base, **values)
    return html_document(html)


def error_page(failed: Failure) -> Document:
    """Return the page that says what was wrong with a request, with the halts to mend where it was one."""
    builder = Markup("")
    if failed.status == 400 and request.path == "/map":
        settings = _atlas().settings
        halts = [h[: settings.max_text_length] for h in request.args.getlist("halt")[: settings.max_halts] if h.strip()]
        bloc = request.args.get("bloc", "")
        named = request.args.get("scenario", "")
        builder = halt_builder(
            halts,
            bloc if bloc in _atlas().study.layers.bloc_names else "us-allies",
            named=named if named in _atlas().study.layers.scenarios else "",
            told=False,
        )
    return _plain("error.html", "", failed=failed, builder=builder)

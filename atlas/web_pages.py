"""The pages: atlas, a halt's map, data, about. They translate; what they show comes from the study."""

import platform
from collections.abc import Sequence
from importlib import metadata
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, current_app, request
from markupsafe import Markup

from atlas import __version__
from atlas.export import ATTRIBUTION, LAYERS, TITLES
from atlas.page_text import text
from atlas.render import csp_hashes, environment, page
from atlas.render_data import json_text, web_address
from atlas.web_answers import Document
from atlas.web_errors import Failure
from atlas.web_query import Query, halt_query, parameters

# address, text of templates/text/en/frame.toml
PAGES = (
    ("/", "atlas"), ("/compare", "compare"), ("/chokepoints", "findings"), ("/route", "routes"),
    ("/validate", "accuracy"), ("/data", "data"), ("/about", "about"),
)  # fmt: skip
FINDINGS = ("/chokepoints", "/trace", "/frontier", "/fixes", "/worth", "/concentration")

# title, halts; shown where the layers know every name
PRESETS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("China stops all magnet exports", ("country:CHN/magnet",)),
    ("China stops Dy, Tb and magnets that hold them", ("country:CHN/Dy,Tb,magnet",)),
    ("China stops all rare-earth exports to the allies", ("country:CHN:us-allies",)),
    ("Half of China's metal making is lost", ("stage:CHN/metal@0.5",)),
    ("The Strait of Malacca closes", ("passage:malacca",)),
    ("Suez and Bab el-Mandeb close", ("passage:bab-el-mandeb", "passage:suez")),
    ("Lynas Malaysia stops", ("facility:lynas-kuantan",)),
    ("The border of Myanmar and China closes", ("border:CHN-MMR",)),
)

pages = Blueprint("pages", __name__)


@pages.get("/")
def index() -> Response:
    """Show the baseline and the halt builder."""
    parameters(request, (), _atlas().settings)
    return _map_page(Query(view="before"), "/")


@pages.get("/map")
def halt_map() -> Response:
    """Show a halt; the address holds the whole state."""
    return _map_page(halt_query(request, _atlas().settings, more=("view",)), "/map")


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


def _map_page(query: Query, path: str) -> Response:
    atlas = _atlas()
    question = atlas.answers.question(query)
    view = query.view if not question.is_baseline else "before"
    key = ("page", path, atlas.answers.key(question, query.bloc), query.view)

    def make() -> Document:
        with atlas.timed("solve"):
            outcome = atlas.answers.outcome(question, query.bloc, request.remote_addr or "")
        with atlas.timed("draw"):
            html = page(
                outcome, view=view, standalone=False, asset_base=atlas.assets.base, tiles=atlas.settings.tiles,
                frame=_frame(outcome, query, path),
            )  # fmt: skip
            return html_document(html, atlas.settings.tiles)

    return atlas.send(atlas.answers.documents.get(key, make))


def html_document(html: str, tiles: bool = False, frames: bool = False) -> Document:
    """Return a page with the policy that lets its own scripts run and nothing else; `frames` lets pages stand in it."""
    scripts, styles = csp_hashes(html)
    images = "img-src 'self' data:" + (" https://tile.openstreetmap.org" if tiles else "")
    inside = "frame-src 'self'; " if frames else ""
    policy = (
        f"default-src 'none'; script-src 'self' {' '.join(scripts)}; style-src 'self' {' '.join(styles)}; {images}; "
        f"connect-src 'self'; {inside}form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
    )
    return Document.of(html, "text/html; charset=utf-8", (("Content-Security-Policy", policy.replace("  ", " ")),))


def _frame(outcome: Any, query: Query, path: str) -> dict[str, Any]:
    """Return what the web adds to a map: navigation, builder, links."""
    halts = list(outcome.summary["scenario"]["halts"])
    if query.named:  # the halts of the scenario itself stand in its file
        halts = list(_atlas().study.question(query.halts).specs) if query.halts else []
    rest = [("open", o) for o in query.opened] + ([("on", query.on.isoformat())] if query.on else [])
    own_bloc = [("bloc", query.bloc)] if query.bloc != "us-allies" else []
    own_name = [("scenario", query.named)] if query.named else []
    address = urlencode(own_name + [("halt", h) for h in halts] + rest + own_bloc)
    tail = f"?{address}" if address else ""
    names = (("facilities", "Facilities"), ("flows", "Flows"), ("changes", "Changes"))
    links = [{"href": f"/api/solve{tail}", "text": "All figures (JSON)", "download": False}]
    links += [{"href": f"/api/layers/{n}.geojson{tail}", "text": f"{t} (GeoJSON)", "download": True} for n, t in names]
    return {
        "nav": nav("/" if path == "/" else "/map"),
        "builder": _builder(halts, query.bloc, rest, folded=bool(halts or query.named), named=query.named),
        "builder_first": path == "/",
        "links": links,
        "scripts": ("builder.js",),
    }


def nav(here: str) -> list[dict[str, Any]]:
    """Return the links of the navigation, with the page that is shown marked."""
    part = "/chokepoints" if here in FINDINGS else here
    return [{"href": href, "text": text(f"frame.nav.{key}"), "here": href == part} for href, key in PAGES]


def _builder(
    halts: list[str], bloc: str, rest: Sequence[tuple[str, str]] = (), folded: bool = False, named: str = ""
) -> Markup:
    """Return the form that makes halts; `rest` goes along, folded where results come first.

    `named` is the scenario of the layers that the halts go with.
    """
    study = _atlas().study
    template = environment().get_template("builder.html")
    return Markup(
        template.render(
            halts=halts,
            bloc=bloc,
            folded=folded,
            rest=rest,
            named=named,
            scenarios=[(t, "/map?" + urlencode([("scenario", n)])) for n, t in _atlas().answers.scenarios.items()],
            blocs=study.layers.bloc_names,
            names=Markup(json_text(_names(study))),
            presets=[(t, "/map?" + urlencode([("halt", h) for h in hs])) for t, hs in PRESETS if _known(hs, study)],
        )  # fmt: skip
    )


def _known(specs: tuple[str, ...], study: Any) -> bool:
    """Return whether a shipped preset fits these layers."""
    try:
        study.question(specs)
    except ValueError:
        return False
    return True


def _names(study: Any) -> dict[str, list[list[str]]]:
    """Return ids and names the builder offers, by kind of halt."""
    layers = study.layers
    countries = layers.countries["name"]
    makers = sorted(set(layers.facilities["country"]))
    buyers = sorted(set(layers.demand["country"]) | set(makers))
    fac = layers.facilities

    def named(table: Any) -> list[list[str]]:
        return [[str(i), str(n)] for i, n in table["name"].items()]

    return {
        "country": [[c, str(countries.get(c, c))] for c in makers],
        "destination": [[b, "bloc"] for b in layers.bloc_names] + [[c, str(countries.get(c, c))] for c in buyers],
        "facility": named(fac),
        "site": [[s, str(n)] for s, n in fac.groupby("site")["name"].first().items()],
        "operator": named(layers.operators),
        "port": named(layers.ports),
        "passage": named(layers.passages),
        "border": [[b, " – ".join(str(countries.get(c, c)) for c in b.split("-"))] for b in sorted(study.names.border)],
    }


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
    return _plain("data.html", "/data", counts=counts, downloads=downloads, sources=sources, attribution=ATTRIBUTION)


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
        builder = _builder(
            halts,
            bloc if bloc in _atlas().study.layers.bloc_names else "us-allies",
            named=named if named in _atlas().study.layers.scenarios else "",
        )
    return _plain("error.html", "", failed=failed, builder=builder)

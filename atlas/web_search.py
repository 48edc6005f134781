"""The search box of every page: suggestions as one types, and a page of hits for whoever has no script."""

import math
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode
from weakref import WeakKeyDictionary

from flask import Blueprint, Response, current_app, request

from atlas.errors import BadInput
from atlas.halt_words import country_name
from atlas.layers import COUNTRY_WORDS
from atlas.name_suggest import Named, Suggestions
from atlas.page_text import text
from atlas.render import environment
from atlas.web_answers import Document
from atlas.web_formats import json_document
from atlas.web_pages import FINDINGS, PAGES, html_document, nav
from atlas.web_query import Query, parameters, single

LIMIT, LIMIT_MOST, ON_PAGE = 8, 20, 60
LONGEST = 120  # characters that are looked for
_PREPARED: WeakKeyDictionary[Any, Suggestions] = WeakKeyDictionary()

searching = Blueprint("searching", __name__)


@searching.get("/api/suggest")
def suggest() -> Response:
    """Return what a text may mean, best first: kind, id, name, country and the address of its page."""
    atlas = _atlas()
    found = parameters(request, ("q", "limit"), atlas.settings)
    problems: list[str] = []
    asked, most = single(found, "q", "", problems), single(found, "limit", str(LIMIT), problems)
    if not asked:
        problems.append("q: expected a text to look for")
    if len(asked) > LONGEST:
        problems.append(f"q: {len(asked)} characters, expected {LONGEST} at most")
    if not (most.isascii() and most.isdigit() and len(most) <= 3 and 1 <= int(most) <= LIMIT_MOST):
        problems.append(f"limit {most[:20]!r}: expected a whole number from 1 to {LIMIT_MOST}")
    if problems:
        raise BadInput(problems)
    with atlas.timed("find"):
        hits = [_told(n) for n in suggestions().find(asked, int(most))]
    response: Response = atlas.send(json_document({"q": asked, "count": len(hits), "hits": hits}))
    return response


@searching.get("/search")
def search_page() -> Response:
    """List what a text may mean."""
    atlas = _atlas()
    problems: list[str] = []
    asked = single(parameters(request, ("q",), atlas.settings), "q", "", problems)
    if len(asked) > LONGEST:
        problems.append(f"q: {len(asked)} characters, expected {LONGEST} at most")
    if problems:
        raise BadInput(problems)
    hits = [_told(n) for n in suggestions().find(asked, ON_PAGE)] if asked else []
    html = environment().get_template("search.html").render(
        nav=nav(""), base=atlas.assets.base, asked=asked, hits=hits
    )  # fmt: skip
    document: Document = html_document(html)
    response: Response = atlas.send(document)
    return response


def _atlas() -> Any:
    """Return what the application holds: study, settings, answers, assets, send."""
    return current_app.extensions["atlas"]


def _told(n: Named) -> dict[str, str]:
    layers = _atlas().study.layers
    return {
        "kind": n.kind, "kind_name": str(text(f"search.kind.{n.kind}")), "id": n.id, "name": n.name,
        "country": n.country, "country_name": country_name(n.country, layers) if n.country else "",
        "address": n.address,
    }  # fmt: skip


def suggestions() -> Suggestions:
    """Return everything that the search knows; prepared once for an application."""
    atlas = _atlas()
    if atlas not in _PREPARED:
        query = Query()
        outcome = atlas.answers.outcome(atlas.answers.question(query), query.bloc, request.remote_addr or "")
        _PREPARED[atlas] = Suggestions([*_things(outcome), *_pages(atlas.answers.scenarios)])
    return _PREPARED[atlas]


def _things(outcome: Any) -> Iterator[Named]:
    """Yield what the layers hold; what moves or makes more in the baseline matters more."""
    layers, made = outcome.layers, outcome.facilities["baseline_t"].to_dict()
    through = outcome.summary["baseline"]["throughput_t"]
    fac = layers.facilities
    operators = layers.operators["name"].to_dict()
    of_operator: dict[str, float] = {}
    of_country: dict[str, float] = {}
    for i, row in zip(fac.index, fac.to_dict("records"), strict=True):
        capacity = row["capacity_t"] if math.isfinite(row["capacity_t"]) else 0.0
        t = max(made.get(i, 0.0), 0.5 * capacity)
        for operator in row["operator_ids"]:
            of_operator[operator] = of_operator.get(operator, 0.0) + t
        of_country[row["country"]] = of_country.get(row["country"], 0.0) + t
        owners = tuple(str(operators.get(o, o)) for o in row["operator_ids"])
        yield Named("facility", str(i), str(row["name"]), row["country"], f"/facility/{quote(str(i))}",
                    0.3 + 0.4 * _weight(t), (str(row["site"]), str(row["operator"]), *owners))  # fmt: skip
    for site, units in fac.groupby("site"):
        if len(units) > 1:
            name = str(text("search.site", name=units["name"].iloc[0], n=len(units)))
            yield Named("site", str(site), name, str(units["country"].iloc[0]),
                        "/facilities?" + urlencode({"text": str(site)}), 0.2)  # fmt: skip
    for i, row in layers.operators.iterrows():
        yield Named("operator", str(i), str(row["name"]), str(row["country"]), f"/operator/{quote(str(i))}",
                    0.45 + 0.4 * _weight(of_operator.get(str(i), 0.0)))  # fmt: skip
    for i, row in layers.ports.iterrows():
        yield Named("port", str(i), str(row["name"]), str(row["country"]), f"/port/{quote(str(i))}",
                    0.25 + 0.35 * _weight(through.get("port", {}).get(i, 0.0)))  # fmt: skip
    for i, row in layers.passages.iterrows():
        yield Named("passage", str(i), str(row["name"]), "", f"/passage/{quote(str(i))}",
                    0.5 + 0.4 * _weight(through.get("passage", {}).get(i, 0.0)))  # fmt: skip
    for i, name in layers.countries["name"].items():
        yield Named("country", str(i), str(name), "", f"/country/{quote(str(i))}",
                    0.5 + 0.5 * _weight(of_country.get(str(i), 0.0)), COUNTRY_WORDS.get(str(i), ()))  # fmt: skip
    for bloc in layers.bloc_names:
        yield Named("bloc", bloc, bloc.replace("-", " "), "", "/facilities?" + urlencode({"bloc": bloc}), 0.6)


def _pages(scenarios: dict[str, str]) -> Iterator[Named]:
    """Yield the scenarios that come with the layers, and the pages of the atlas."""
    for name, title in scenarios.items():
        yield Named("scenario", name, title, "", "/map?" + urlencode({"scenario": name}), 0.4)
    for href, key in PAGES:
        yield Named("page", key, str(text(f"frame.nav.{key}")), "", href, 0.7)
    for href in FINDINGS:
        key = href.strip("/")
        yield Named("page", key, str(text(f"findings.nav.{key}")), "", href, 0.55)


def _weight(tonnes: float) -> float:
    """Return how much so many tonnes a year matter, 0 to 1: each ten times more count the same."""
    return min(math.log10(1 + max(tonnes, 0.0)) / 5.5, 1.0)

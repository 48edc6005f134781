"""Where things stand under /ogc: the state in the path, the resource, the form a client likes, and links to others.

`/ogc/halt=country:CHN/magnet&halt=passage:malacca&bloc=eu27/collections/flows/items` holds a whole state in front of
the resource, written as the query of /map is. Clients join their own paths and parameters to the address of a service
and would lose a query; a path they keep. A state in the query is read as well, and answered with links that have it in
the path.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from flask import Request

from atlas.config import Settings
from atlas.errors import BadInput
from atlas.web_errors import OGC_ROOT as ROOT
from atlas.web_query import STATE_PARAMETERS, Query, halts_asked, parameters, parameters_of

JSON_TYPE = "application/json"
HTML_TYPE = "text/html"
GEOJSON_TYPE = "application/geo+json"
OPENAPI_TYPE = "application/vnd.oai.openapi+json;version=3.0"
SCHEMA_TYPE = "application/schema+json"
FORMS = ("json", "html")

_STATED = re.compile(r"(?P<state>[^/=]+=.*?)(?P<tail>/(?:api|api\.html|conformance|collections(?:/.*)?))?/*", re.DOTALL)
_RESOURCES = (
    ("landing", re.compile(r"")),
    ("api", re.compile(r"api")),
    ("api_page", re.compile(r"api\.html")),
    ("conformance", re.compile(r"conformance")),
    ("collections", re.compile(r"collections")),
    ("collection", re.compile(r"collections/(?P<collection>[^/]+)")),
    ("queryables", re.compile(r"collections/(?P<collection>[^/]+)/queryables")),
    ("schema", re.compile(r"collections/(?P<collection>[^/]+)/schema")),
    ("items", re.compile(r"collections/(?P<collection>[^/]+)/items")),
    ("item", re.compile(r"collections/(?P<collection>[^/]+)/items/(?P<feature>[^/]+)")),
)


@dataclass(frozen=True)
class Place:
    """What a path under /ogc names: the resource, the state as text, the ids of collection and feature."""

    resource: str
    state: str = ""
    collection: str = ""
    feature: str = ""


def read_path(path: str) -> Place | None:
    """Return what the rest of a path behind `/ogc/` names, None if it is no resource."""
    stated = _STATED.fullmatch(path)
    state, tail = (stated["state"], stated["tail"] or "") if stated else ("", path)
    tail = tail.strip("/")
    for name, pattern in _RESOURCES:
        if found := pattern.fullmatch(tail):
            return Place(name, state, **found.groupdict())
    return None


def read_state(
    place: Place, request: Request, known: Iterable[str], settings: Settings
) -> tuple[Query, dict[str, list[str]]]:
    """Return the state that path and query ask about, and the other parameters; raises BadInput.

    A state in both must be the same: GDAL puts the query of the address it was given behind every link.
    """
    found = parameters(request, (*known, *STATE_PARAMETERS), settings)
    asked = {n: v for n, v in found.items() if n in STATE_PARAMETERS}
    query = halts_asked(asked, settings)
    if place.state:
        in_path = halts_asked(parameters_of(place.state.encode(), STATE_PARAMETERS, settings), settings)
        if asked and in_path != query:
            raise BadInput("one state stands in the path and another in the query: expected one of them")
        query = in_path
    return query, {n: v for n, v in found.items() if n not in STATE_PARAMETERS}


def read_form(found: Mapping[str, list[str]], request: Request) -> str:
    """Return `json` or `html`: what `f` says, else what the client likes best; raises BadInput."""
    given = found.get("f", [])
    if len(given) > 1 or (given and given[0] not in FORMS):
        raise BadInput(f"f: {', '.join(given)[:60]!r}, expected one of {', '.join(FORMS)}")
    if given:
        return given[0]
    best = request.accept_mimetypes.best_match((GEOJSON_TYPE, JSON_TYPE, HTML_TYPE), JSON_TYPE)
    # A program that takes anything gets JSON; a browser names HTML.
    return "html" if best == HTML_TYPE else "json"


@dataclass(frozen=True)
class Links:
    """Addresses of one state of the service: `root` is that of its landing page, without a slash at the end."""

    root: str

    @classmethod
    def of(cls, request: Request, query: Query) -> "Links":
        """Return the links of a state, by the host that the client asked (what trusted proxies say included)."""
        base = request.root_url.rstrip("/") + ROOT
        # Written as a query first, then as a path: what the path is decoded to is the query again.
        state = urlencode(query.parts, safe=":/@,")
        return cls(f"{base}/{quote(state, safe='=&:/@,+')}" if state else base)

    def href(self, path: str = "", parameters: Iterable[tuple[str, str]] = ()) -> str:
        """Return the address of a resource."""
        tail = urlencode(list(parameters), safe=":/@,")
        return f"{self.root}/{quote(path, safe='/:@,')}" + (f"?{tail}" if tail else "")

    def to(self, rel: str, kind: str, title: str, path: str = "", **more: Any) -> dict[str, Any]:
        """Return a link to a resource; `parameters` are those of its address."""
        return {"href": self.href(path, more.get("parameters", ())), "rel": rel, "type": kind, "title": title}

    def both(self, form: str, kind: str, title: str, path: str, given: Iterable[tuple[str, str]] = ()) -> Any:
        """Return the links of a resource to itself and to its other form; `kind` is the type of its JSON."""
        others = [(n, v) for n, v in given if n != "f"]
        types = {"json": kind, "html": HTML_TYPE}
        return [
            self.to(
                "self" if f == form else "alternate", types[f], f"{title} ({f.upper()})", path,
                parameters=[*others, ("f", f)],
            )
            for f in sorted(FORMS, key=lambda f: f != form)
        ]  # fmt: skip

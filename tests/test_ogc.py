"""OGC API - Features against the abstract tests of the standard: 17-069r4, Annex A (core, geojson, html, oas30) and
18-058r1, Annex A (crs). Each test names those it carries out.

All run over a small real study, for the baseline and for the results of a halt, in the path.
"""

import datetime as dt
import html.parser
import json
import os
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import gdal_reader
import geopandas as gpd
import numpy as np
import pytest
import shapely
from fake_outcome import HOSTILE, fake_study
from jsonschema import Draft202012Validator
from openapi_schema_validator import OAS30Validator
from openapi_spec_validator import OpenAPIV30SpecValidator
from pyproj import Transformer
from rfc7946 import problems as rfc7946_problems
from small_study import small_study

from atlas import geo, web_server
from atlas.config import settings
from atlas.export_fields import fields_of
from atlas.export_tables import layer_table
from atlas.web import create_app
from atlas.web_ogc_documents import COLLECTIONS, CONFORMANCE
from atlas.web_ogc_query import CRS, CRS84, MOST, WEB_MERCATOR, WGS84, metres

HALT = "halt=country:CHN/magnet"
STATES = ("", f"/{HALT}")
SLOW_STATES = ("", pytest.param(STATES[1], marks=pytest.mark.slow))  # its network is built once more
JSON, GEOJSON, HTML = "application/json", "application/geo+json", "text/html"
LARGE = ("network", "countries")  # tens of thousands of edges, long outlines
EACH = [pytest.param(n, marks=pytest.mark.slow) if n in LARGE else n for n in COLLECTIONS]
BASELINE = tuple(c for c in COLLECTIONS if c != "changes")


@pytest.fixture(scope="module")
def app() -> Iterator[Any]:
    made = create_app(small_study(), settings({}, solves_per_minute=0, requests_per_minute=0))
    yield made
    made.extensions["atlas"].close()


@pytest.fixture(scope="module")
def client(app: Any) -> Any:
    return app.test_client()


def get(client: Any, address: str, status: int = 200, **headers: str) -> Any:
    """Ask for JSON and return it; `address` is absolute or begins behind /ogc."""
    path = address.removeprefix("http://localhost") if address.startswith("http") else f"/ogc{address}"
    response = client.get(path, headers=headers)
    assert response.status_code == status, response.text[:300]
    assert "json" in response.content_type
    return response.get_json(force=True)


def items(client: Any, name: str, state: str = "", status: int = 200, **asked: Any) -> Any:
    return get(client, f"{state}/collections/{name}/items?{urlencode({k.replace('bbox_', 'bbox-'): v for k, v in asked.items()})}", status)


def everything(client: Any, name: str, state: str = "", **asked: Any) -> list[Any]:
    """Return all features that fit, page by page, along the links."""
    page = items(client, name, state, **{"limit": MOST, **asked})
    found = page["features"]
    while following := link(page, "next"):
        page = get(client, following)
        found += page["features"]
    return found


def link(document: Any, rel: str, kind: str = "") -> str:
    return next((k["href"] for k in document["links"] if k["rel"] == rel and kind in k["type"]), "")


def table(name: str, state: str = "") -> gpd.GeoDataFrame:
    return _table(name, bool(state))


@lru_cache(maxsize=16)
def _table(name: str, halted: bool) -> gpd.GeoDataFrame:
    """Return what a collection must hold: the layer as all exports have it, cut at the antimeridian."""
    study = small_study()
    if name == "countries":
        return study.layers.countries
    found = layer_table(study.solve(["country:CHN/magnet"] if halted else []), name)
    found = found.set_geometry([g and geo.split_antimeridian(g) for g in found.geometry])
    return found[found["state"] == "baseline"] if name == "flows" and not halted else found


@pytest.fixture(scope="module")
def document(client: Any) -> Any:
    return get(client, "/api")


def valid(document: Any, schema: str, value: Any) -> None:
    """Hold a value against a schema of the OpenAPI document."""
    errors = list(OAS30Validator({"$ref": f"#/components/schemas/{schema}", "components": document["components"]}).iter_errors(value))
    assert not errors, errors[0].message


def offered(state: str) -> tuple[str, ...]:
    return COLLECTIONS if state else BASELINE


# ---- Part 1, core


def test_core_http(client: Any) -> None:
    """/conf/core/http: HTTP 1.1: HEAD is GET without a body, OPTIONS says what there is, all else is refused."""
    for path in ("/ogc/", "/ogc/conformance", "/ogc/collections/ports/items", "/ogc/collections/ports/items/CNSHA", "/ogc/api"):
        asked, head = client.get(path), client.head(path)
        assert (head.status_code, head.data) == (200, b"")
        assert head.headers["Content-Length"] == asked.headers["Content-Length"]
        assert head.headers["ETag"] == asked.headers["ETag"]
        assert client.get(path, headers={"If-None-Match": asked.headers["ETag"]}).status_code == 304
        assert {"GET", "HEAD", "OPTIONS"} == set(client.options(path).headers["Allow"].split(", "))
        refused = client.delete(path)
        assert refused.status_code == 405
        assert set(refused.get_json()) == {"code", "description"}


@pytest.mark.parametrize("state", STATES)
def test_core_root_op_and_success(client: Any, document: Any, state: str) -> None:
    """/conf/core/root-op, /conf/core/root-success: the landing page links to definition, conformance and data."""
    for path in (f"{state}/", state):
        page = get(client, path)
        valid(document, "Landing", page)
        assert link(page, "self", JSON)
        assert link(page, "alternate", HTML)
        assert link(page, "service-desc", "application/vnd.oai.openapi+json;version=3.0") == f"http://localhost/ogc{state}/api"
        assert link(page, "service-doc", HTML) == f"http://localhost/ogc{state}/api.html"
        assert link(page, "conformance") == f"http://localhost/ogc{state}/conformance"
        assert link(page, "data") == f"http://localhost/ogc{state}/collections"


@pytest.mark.parametrize("state", STATES)
def test_core_api_definition_op_and_success(client: Any, state: str) -> None:
    """/conf/core/api-definition-op, /conf/core/api-definition-success: the definition is where the landing page says."""
    page = get(client, f"{state}/")
    found = client.get(urlsplit(link(page, "service-desc")).path, headers={"Accept": "application/vnd.oai.openapi+json;version=3.0"})
    assert found.status_code == 200
    assert found.content_type == "application/vnd.oai.openapi+json;version=3.0"
    assert client.get(urlsplit(link(page, "service-doc")).path).mimetype == HTML


@pytest.mark.parametrize("state", STATES)
def test_core_conformance_op_and_success(client: Any, document: Any, state: str) -> None:
    """/conf/core/conformance-op, /conf/core/conformance-success."""
    found = get(client, link(get(client, f"{state}/"), "conformance"))
    valid(document, "Conformance", found)
    assert found["conformsTo"] == list(CONFORMANCE)
    classes = {c.rpartition("/")[2] for c in CONFORMANCE}
    tested = set(re.findall(r"/conf/(\w+)/", Path(__file__).read_text(encoding="utf-8")))
    assert classes <= tested, "what is claimed has tests here"


@pytest.mark.parametrize("state", SLOW_STATES)
def test_core_fc_md_op_and_success(client: Any, document: Any, state: str) -> None:
    """/conf/core/fc-md-op, fc-md-success, fc-md-links, fc-md-items, fc-md-items-links, fc-md-extent."""
    found = get(client, link(get(client, f"{state}/"), "data"))
    valid(document, "Collections", found)
    assert link(found, "self", JSON)
    assert link(found, "alternate", HTML)
    assert all(k["rel"] and k["type"] for k in found["links"])
    assert [c["id"] for c in found["collections"]] == list(offered(state))
    for c in found["collections"]:
        assert c["itemType"] == "feature"
        assert c["title"]
        assert c["description"]
        for kind in (GEOJSON, HTML):
            address = link(c, "items", kind)
            assert address.startswith(f"http://localhost/ogc{state}/collections/{c['id']}/items")
            assert client.get(address.removeprefix("http://localhost") + "&limit=1").mimetype == kind
        (west, south, east, north), *more = c["extent"]["spatial"]["bbox"]
        assert not more
        bounds = np.asarray(table(c["id"], state).total_bounds)
        assert np.allclose([west, south, east, north], bounds, atol=1e-5)
    temporal = {c["id"]: c["extent"]["temporal"]["interval"] for c in found["collections"] if "temporal" in c["extent"]}
    first = int(table("facilities")["start_year"].dropna().astype(int).min())
    assert temporal == {"facilities": [[f"{first}-01-01T00:00:00Z", None]]}


@pytest.mark.parametrize("state", SLOW_STATES)
def test_core_sfc_md_op_and_success(client: Any, document: Any, state: str) -> None:
    """/conf/core/sfc-md-op, /conf/core/sfc-md-success: a collection says the same alone as in the list."""
    for listed in get(client, f"{state}/collections")["collections"]:
        alone = get(client, f"{state}/collections/{listed['id']}")
        valid(document, "Collection", alone)
        assert alone == listed
        assert get(client, link(alone, "self")) == alone


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", EACH)
def test_core_fc_op_and_response(client: Any, document: Any, name: str, state: str) -> None:
    """/conf/core/fc-op, fc-response, fc-links, fc-timeStamp, fc-numberMatched, fc-numberReturned."""
    if name not in offered(state):
        get(client, f"{state}/collections/{name}/items", 404)
        return
    before = dt.datetime.now(dt.UTC).replace(microsecond=0)
    page = items(client, name, state, limit=7)
    valid(document, "FeatureCollection", page)
    assert page["numberMatched"] == len(table(name, state))
    assert page["numberReturned"] == len(page["features"]) == 7
    assert before <= dt.datetime.fromisoformat(page["timeStamp"]) <= dt.datetime.now(dt.UTC)
    assert all(k["rel"] and k["type"] for k in page["links"])
    assert get(client, link(page, "self"))["features"] == page["features"]
    assert client.get(link(page, "alternate", HTML).removeprefix("http://localhost")).mimetype == HTML
    assert get(client, link(page, "collection"))["id"] == name
    assert not link(page, "prev")
    following = get(client, link(page, "next", GEOJSON))
    assert {f["id"] for f in page["features"]}.isdisjoint(f["id"] for f in following["features"])
    assert get(client, link(following, "prev"))["features"] == page["features"]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", EACH)
def test_all_pages_together_are_the_layer(client: Any, name: str, state: str) -> None:
    """/conf/core/fc-links: following `next` gives every feature once, with the values and places of all exports."""
    if name not in offered(state):
        return
    own = table(name, state)
    found = everything(client, name, state, limit=MOST if len(own) > 300 else 50)
    assert [f["id"] for f in found] == [str(i) for i in own.index]
    for f, (_, row) in zip(found[::17], own.iloc[::17].iterrows(), strict=True):
        for column, value in f["properties"].items():
            if isinstance(value, float):
                assert value == pytest.approx(float(row[column]))
            elif isinstance(value, str) and not isinstance(row[column], tuple):
                assert value == str(row[column])
        if f["geometry"] is None:
            assert row.geometry is None or row.geometry.is_empty
        else:
            shape = shapely.geometry.shape(f["geometry"])
            assert shape.bounds == pytest.approx(row.geometry.bounds, abs=2e-6)
            assert (shape.length, shape.area) == pytest.approx((row.geometry.length, row.geometry.area), rel=1e-4)
    assert set(found[0]["properties"]) == set(own.columns) - {"geometry"}


BOXES = (
    (100.0, 20.0, 125.0, 45.0),
    (-180.0, -90.0, 180.0, 90.0),
    (170.0, -60.0, -120.0, 60.0),  # across the antimeridian
    (-30.5, -60.5, -30.4, -60.4),
)


SYSTEM_PYTHON = "/usr/bin/python3"


def clean() -> dict[str, str]:
    """Return the environment without what leads QGIS to the libraries of these tests."""
    left_out = ("PYTHONPATH", "PYTHONHOME", "PROJ_DATA", "PROJ_LIB", "GDAL_DATA", "VIRTUAL_ENV")
    return {k: v for k, v in os.environ.items() if k not in left_out}


@lru_cache(maxsize=1)
def qgis_is_there() -> bool:
    """Return whether the system's Python has QGIS; told without starting it."""
    return any(Path(p).exists() for p in ("/usr/lib/python3/dist-packages/qgis/core", "/usr/share/qgis/python/qgis/core"))


def read_by_qgis(address: str, names: tuple[str, ...], folder: Path) -> Any:
    """Return what QGIS, in a process of its own, makes of collections."""
    script = str(Path(__file__).parent / "qgis_ogc.py")
    command = [SYSTEM_PYTHON, script, address, *names]
    folder.chmod(0o700)
    env = clean() | {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def within(name: str, state: str, bbox: tuple[float, ...]) -> set[str]:
    """Return the ids of the features that meet a box, each looked at on its own."""
    west, south, east, north = bbox
    parts = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
    windows = shapely.union_all([shapely.box(w, south, e, north) for w, e in parts])
    own = table(name, state)
    return {str(i) for i, g in zip(own.index, own.geometry, strict=True) if g is not None and g.intersects(windows)}


@pytest.mark.parametrize("name", ["ports", "flows", *(pytest.param(n, marks=pytest.mark.slow) for n in ("facilities", "passages", "changes"))])
def test_core_fc_bbox_response(client: Any, name: str) -> None:
    """/conf/core/fc-bbox-definition, /conf/core/fc-bbox-response; with four numbers and with six."""
    state, sizes = STATES[1], []
    for west, south, east, north in BOXES:
        asked = f"{west},{south},{east},{north}"
        found = {f["id"] for f in everything(client, name, state, bbox=asked)}
        assert found == within(name, state, (west, south, east, north))
        assert items(client, name, state, bbox=f"{west},{south},-100,{east},{north},9000")["numberMatched"] == len(found)
        sizes.append(len(found))
    # What lies beyond 180 degrees is the same box once more round the globe.
    assert items(client, name, state, bbox="170,-60,240,60")["numberMatched"] == sizes[2]
    assert items(client, name, state, bbox="-190,-60,-120,60")["numberMatched"] == sizes[2]
    assert sizes[2] < sizes[1]
    assert name not in ("ports", "flows") or sizes[2]
    assert sizes[3] == 0


@pytest.mark.parametrize("bbox", ["1,2,3", "1,2,3,4,5", "a,b,c,d", "0,0,nan,1", "0,0,inf,1", "0,10,1,-10", "1;2;3;4", "0 0 1 1"])
def test_core_query_param_invalid_bbox(client: Any, bbox: str) -> None:
    """/conf/core/query-param-invalid: a box that is none is refused."""
    assert "bbox" in items(client, "ports", bbox=bbox, status=400)["description"]


def test_core_fc_limit_response(client: Any) -> None:
    """/conf/core/fc-limit-definition, /conf/core/fc-limit-response: a limit beyond the most is the most."""
    assert len(items(client, "network")["features"]) == 100
    for limit, returned in ((1, 1), (10**9, MOST)):
        assert len(items(client, "network", limit=limit)["features"]) == returned
    for limit in ("0", "-1", "1.5", "many", "1e3"):
        assert "limit" in items(client, "ports", limit=limit, status=400)["description"]


def test_pages_end_where_the_features_end(client: Any) -> None:
    """/conf/core/fc-links: no `next` on the last page; a page beyond it is empty."""
    count = len(table("ports"))
    last = items(client, "ports", limit=10, offset=count - 10)
    assert len(last["features"]) == 10
    assert not link(last, "next")
    beyond = items(client, "ports", limit=10, offset=count + 5)
    assert (beyond["numberMatched"], beyond["numberReturned"], beyond["features"]) == (count, 0, [])
    assert not link(beyond, "next")


TIMES = {
    "2024-07-01T00:00:00Z": (2024, 2024),
    "2015-01-01": (2015, 2015),
    "1990-01-01T00:00:00Z/2000-12-31T23:59:59Z": (1990, 2000),
    "2026-01-01/..": (2026, 9999),
    "2026-01-01T00:00:00+08:00/": (2025, 9999),
    "../1990-06-01T12:00:00.5Z": (0, 1990),
    "/1990-06-01T12:00:00z": (0, 1990),
    "../..": (0, 9999),
}


@pytest.mark.parametrize("asked", TIMES)
def test_core_fc_time_response(client: Any, asked: str) -> None:
    """/conf/core/fc-time-definition, /conf/core/fc-time-response: facilities run in a span of years, or no one knows."""
    first, last = TIMES[asked]
    own = table("facilities")
    expected = {
        i for i, start, end in zip(own.index, own["start_year"].fillna(-1), own["end_year"].fillna(-1), strict=True)
        if (start == -1 or start <= last) and (end == -1 or end >= first)
    }  # fmt: skip
    assert {f["id"] for f in everything(client, "facilities", datetime=asked)} == expected
    assert items(client, "ports", datetime=asked)["numberMatched"] == len(table("ports")), "without time all fit"


def test_some_facility_is_left_out_by_time(client: Any) -> None:
    """The test above would say nothing if all always ran."""
    counts = {items(client, "facilities", datetime=t)["numberMatched"] for t in TIMES}
    assert len(counts) > 2


@pytest.mark.parametrize("asked", ["yesterday", "2024", "2024-13-01", "2024-07-01T00:00:00", "2024-01-02/2024-01-01", "a/b/c", "..", "20240701"])
def test_core_query_param_invalid_datetime(client: Any, asked: str) -> None:
    """/conf/core/query-param-invalid: a time that is none of RFC 3339 is refused."""
    assert "datetime" in items(client, "facilities", datetime=asked, status=400)["description"]


def test_core_filters_by_property(client: Any) -> None:
    """7.15.5 of the core: parameters named like properties; text, number, truth, and one of a list."""
    own = table("facilities", STATES[1])

    def ids(name: str = "facilities", **asked: Any) -> set[str]:
        return {f["id"] for f in everything(client, name, STATES[1], **asked)}

    assert ids(stage="mine", country="CHN") == set(own.index[(own["stage"] == "mine") & (own["country"] == "CHN")]) != set()
    year = int(own["start_year"].dropna().iloc[0])
    assert ids(start_year=year) == set(own.index[(own["start_year"] == year).fillna(False)])
    passages = table("passages", STATES[1])
    assert ids("passages", default_open="no") == set(passages.index[~passages["default_open"].astype(bool)]) != set()
    flows = table("flows", STATES[1])
    through = {str(i) for i, p in flows["passages"].items() if "malacca" in p.split(";")}
    assert ids("flows", passages="malacca") == through != set()
    assert ids(stage="no such stage") == set()
    for name, value in (("start_year", "soon"), ("capacity_t", "nan")):
        assert name in items(client, "facilities", status=400, **{name: value})["description"]
    assert items(client, "passages", default_open="perhaps", status=400)["code"] == "400"


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", EACH)
def test_core_f_op_success_and_links(client: Any, document: Any, name: str, state: str) -> None:
    """/conf/core/f-op, /conf/core/f-success, /conf/core/f-links."""
    if name not in offered(state):
        return
    for listed in items(client, name, state, limit=3)["features"]:
        one = get(client, f"{state}/collections/{name}/items/{listed['id']}")
        valid(document, "Feature", one)
        assert {k: v for k, v in one.items() if k != "links"} == listed
        assert get(client, link(one, "self", GEOJSON)) == one
        assert client.get(link(one, "alternate", HTML).removeprefix("http://localhost")).mimetype == HTML
        assert get(client, link(one, "collection"))["id"] == name


@pytest.mark.parametrize(
    "path",
    ["/?x=1", "/conformance?limit=1", "/collections?bbox=1,2,3,4", "/collections/ports?crs=x", "/collections/ports/items?stage=mine",
     "/collections/ports/items?LIMIT=1", "/collections/ports/items/CNSHA?bbox=1,2,3,4", "/api?x=1", "/collections/ports/schema?limit=3"],
)  # fmt: skip
def test_core_query_param_unknown(client: Any, path: str) -> None:
    """/conf/core/query-param-unknown: a parameter that the definition does not know is refused."""
    told = get(client, path, 400)
    assert set(told) == {"code", "description"}
    assert "unknown parameter" in told["description"]


def test_core_query_param_invalid_tells_all(client: Any) -> None:
    """/conf/core/query-param-invalid: every problem at once; twice the same parameter is one."""
    told = get(client, "/collections/ports/items?limit=x&bbox=1&datetime=now&crs=EPSG:1&offset=-1&limit=2", 400)["description"]
    assert all(name in told for name in ("limit", "bbox", "datetime", "crs", "offset"))
    assert "given 2 times" in told
    assert get(client, "/collections?f=xml", 400)["code"] == "400"


@pytest.mark.parametrize(
    "path", ["/collections/nowhere", "/collections/nowhere/items?stage=x", "/collections/ports/items/XXXXX", "/collections/ports/item", "/nothing",
             "/collections/ports/items/CNSHA/more", f"/{HALT}/nothing/here", f"/{HALT}/collections/nowhere", "/collections/changes"],
)  # fmt: skip
def test_what_does_not_exist(client: Any, path: str) -> None:
    status = 400 if path.startswith(f"/{HALT}/nothing") else 404  # there the rest is part of the halt
    assert set(get(client, path, status)) == {"code", "description"}


def test_core_crs84(client: Any) -> None:
    """/conf/core/crs84: without `crs` positions are longitude, latitude."""
    response = client.get("/ogc/collections/ports/items/CNSHA")
    lon, lat = response.get_json(force=True)["geometry"]["coordinates"]
    assert (lon, lat) == pytest.approx((121.62, 31.36), abs=0.5)
    assert response.headers["Content-Crs"] == f"<{CRS84}>"


# ---- Part 1, GeoJSON and HTML


@pytest.mark.parametrize("name", EACH)
def test_geojson_definition_and_content(client: Any, name: str) -> None:
    """/conf/geojson/definition, /conf/geojson/content: strict RFC 7946, one type of geometry in a collection."""
    for path in (f"/ogc/{HALT}/collections/{name}/items?limit=400", f"/ogc/{HALT}/collections/{name}/items"):
        response = client.get(path, headers={"Accept": GEOJSON})
        assert response.content_type == GEOJSON
    # The outline of Antarctica runs along the South Pole from one end of the map to the other, so it is left out.
    found = client.get(f"/ogc/{HALT}/collections/{name}/items?limit=400&bbox=-180,-58,180,90").text
    assert rfc7946_problems(found) == []
    page = items(client, name, f"/{HALT}", limit=MOST)
    kinds = {f["geometry"]["type"] for f in page["features"] if f["geometry"]}
    assert len(kinds) == 1
    one = client.get(f"/ogc/{HALT}/collections/{name}/items/{page['features'][0]['id']}", headers={"Accept": GEOJSON})
    assert one.content_type == GEOJSON


class Page(html.parser.HTMLParser):
    """The links, the words and the parts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.hrefs, self.words, self.parts = [], "", []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.parts.append(tag)
        self.hrefs += [v for k, v in attrs if k == "href" and tag == "a"]

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.mark.parametrize("state", SLOW_STATES)
def test_html_definition_and_content(client: Any, state: str) -> None:
    """/conf/html/definition, /conf/html/content: every resource has a page with what its JSON says and its links."""
    feature = items(client, "facilities", state, limit=1)["features"][0]
    for path in ("/", "/conformance", "/collections", "/collections/facilities", "/collections/facilities/items", f"/collections/facilities/items/{feature['id']}"):
        browser = client.get(f"/ogc{state}{path}", headers={"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"})
        assert browser.mimetype == HTML
        assert "Accept" in browser.headers["Vary"]
        said = client.get(f"/ogc{state}{path}?f=html")
        assert said.mimetype == HTML
        assert get(client, f"{state}{path}?f=json", Accept="text/html")
        found = Page(said.text)
        assert found.parts[0] == "html"
        assert f"http://localhost/ogc{state}{path}?f=json" in found.hrefs
        if path == "/":
            assert {f"http://localhost/ogc{state}/{p}" for p in ("api", "api.html")} <= set(found.hrefs)
        if path.endswith("/collections"):
            assert all(n in found.words for n in offered(state))
        if "/items" in path:
            assert feature["properties"]["name"] in found.words
        assert state.replace("&", "")[1:13] in found.words.replace("=", "=")
        assert "http://localhost/static" not in said.text, "scripts come from here, by path"
    page = Page(client.get(f"/ogc{state}/collections/facilities/items?f=html&limit=1&stage=mine&offset=1").text)
    assert any("offset=2" in h and "stage=mine" in h and "f=html" in h for h in page.hrefs)
    assert any("offset" not in h and "stage=mine" in h and "f=html" in h for h in page.hrefs)


def test_names_with_markup_stay_text() -> None:
    """Layers of one's own may hold anything; nothing of it runs, in a table, on the page of a feature, or as JSON."""
    hostile = create_app(fake_study(), settings({})).test_client()
    for path in ("/ogc/collections/facilities/items", "/ogc/collections/facilities/items/serra-verde"):
        page = hostile.get(f"{path}?f=html").text
        assert "Evil &lt;/script&gt;&lt;img" in page
        assert "<img src=x" not in page
        assert "{{7*7}}" in page
    found = hostile.get("/ogc/collections/facilities/items/serra-verde").get_json(force=True)
    assert found["properties"]["name"] == HOSTILE
    refused = hostile.get("/ogc/collections/%3Cimg%20src=x%3E?f=html", headers={"Accept": "text/html"}).text
    assert "<img" not in refused


def test_html_refusals_are_pages_for_people(client: Any) -> None:
    refused = client.get("/ogc/collections/nowhere", headers={"Accept": "text/html"})
    assert (refused.status_code, refused.mimetype) == (404, HTML)
    assert client.get("/ogc/collections/nowhere?f=json", headers={"Accept": "text/html"}).get_json()["code"] == "404"


# ---- Part 1, OpenAPI 3.0


@pytest.mark.parametrize("state", STATES)
def test_oas30_definition(client: Any, state: str) -> None:
    """/conf/oas30/oas-definition-1, /conf/oas30/oas-definition-2: a valid OpenAPI 3.0 document."""
    found = get(client, f"{state}/api")
    assert found["openapi"].startswith("3.0.")
    assert not list(OpenAPIV30SpecValidator(found).iter_errors())
    assert found["servers"][0]["url"] == f"http://localhost/ogc{state}"
    assert {p.split("/")[2] for p in found["paths"] if p.startswith("/collections/")} == set(offered(state))


def test_oas30_completeness_and_exception_codes(document: Any) -> None:
    """/conf/oas30/completeness, /conf/oas30/exceptions-codes, /conf/oas30/security: all statuses and types are told."""
    for path, operations in document["paths"].items():
        told = operations["get"]["responses"]
        assert {"200", "304", "400", "405", "429", "500", "503", "504"} <= set(told), path
        assert ("404" in told) == path.startswith("/collections/")
    assert "securitySchemes" not in document["components"], "nothing here needs a key"


def test_oas30_impl(client: Any, document: Any) -> None:
    """/conf/oas30/oas-impl: every path answers with a type that is told, and knows the parameters that are told."""
    for path, operations in document["paths"].items():
        name = path.split("/")[2] if path.startswith("/collections/") else ""
        real = path.replace("{featureId}", items(client, name, limit=1)["features"][0]["id"]) if name else path
        response = client.get(f"/ogc{real}")
        told = operations["get"]["responses"]["200"]["content"]
        assert response.content_type.replace("; charset=utf-8", "") in told
        own = [p.get("$ref", "").rpartition("/")[2] or p["name"] for p in operations["get"]["parameters"] if p.get("in") != "path"]
        refused = get(client, f"{real}?qqqq=1", 400)["description"]
        known = set(re.search(r"known: ([^;]*)", refused)[1].split(", ")) if "known:" in refused else set(own)
        assert known - {"halt", "scenario", "bloc", "on", "open", "buyer"} - ({"f"} if not own else set()) == set(own), path


def test_core_parameters_are_defined_as_the_standard_has_them(document: Any) -> None:
    """/conf/core/fc-bbox-definition, fc-limit-definition, fc-time-definition; /conf/crs/ definitions of crs, bbox-crs."""
    own = document["components"]["parameters"]
    for name in ("bbox", "limit", "datetime", "crs", "bbox-crs"):
        assert (own[name]["in"], own[name]["required"], own[name]["style"], own[name]["explode"]) == ("query", False, "form", False)
    assert own["bbox"]["schema"] == {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 6}
    assert own["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}
    assert own["datetime"]["schema"] == {"type": "string"}


# ---- Part 2, coordinate reference systems


@pytest.mark.parametrize("state", SLOW_STATES)
def test_crs_uri_default_and_storage(client: Any, state: str) -> None:
    """/conf/crs/crs-uri, /conf/crs/default-crs, /conf/crs/storageCrs."""
    found = get(client, f"{state}/collections")
    for c in [*found["collections"], *(get(client, f"{state}/collections/{n}") for n in offered(state))]:
        assert all(re.fullmatch(r"http://www\.opengis\.net/def/crs/[A-Z]+/[\d.]+/\w+", uri) for uri in c["crs"])
        assert CRS84 in c["crs"]
        assert c["storageCrs"] in c["crs"]
    assert found["crs"] == list(CRS)


def back(geometry: Any, crs: str) -> Any:
    """Return a geometry of an answer in longitude and latitude, moved by PROJ with the axes of the authority."""
    move = Transformer.from_crs(crs.replace("http://www.opengis.net/def/crs/EPSG/0/", "EPSG:"), "OGC:CRS84")
    return shapely.transform(shapely.geometry.shape(geometry), lambda xy: np.column_stack(move.transform(xy[:, 0], xy[:, 1])))


@pytest.mark.parametrize("name", EACH)
@pytest.mark.parametrize("crs", CRS)
def test_crs_parameter(client: Any, document: Any, name: str, crs: str) -> None:
    """/conf/crs/crs-parameter, /conf/crs/crs-parameter-default, /conf/crs/crs-parameter-transform, /conf/crs/crs-action."""
    plain = items(client, name, f"/{HALT}", limit=20)["features"]
    response = client.get(f"/ogc/{HALT}/collections/{name}/items?limit=20&crs={crs}")
    assert response.status_code == 200
    assert response.headers["Content-Crs"] == f"<{crs}>"
    page = response.get_json(force=True)
    valid(document, "FeatureCollection", page)
    one = client.get(f"/ogc/{HALT}/collections/{name}/items/{plain[3]['id']}?crs={crs}")
    assert one.headers["Content-Crs"] == f"<{crs}>"
    assert one.get_json(force=True)["geometry"] == page["features"][3]["geometry"]
    for f, g in zip(page["features"], plain, strict=True):
        if g["geometry"] is None:
            assert f["geometry"] is None
            continue
        truth = shapely.geometry.shape(g["geometry"])
        if crs == CRS84:
            assert f == g
        elif crs == WEB_MERCATOR and max(-truth.bounds[1], truth.bounds[3]) > 85.05:  # beyond the edge of its square
            bounds = shapely.geometry.shape(f["geometry"]).bounds
            assert max(-bounds[1], bounds[3]) == pytest.approx(20037508.34, abs=0.1)
        else:
            assert f["geometry"]["type"] == g["geometry"]["type"]
            assert shapely.get_coordinates(back(f["geometry"], crs)) == pytest.approx(shapely.get_coordinates(truth), abs=1e-6)


def test_crs_axis_order(client: Any) -> None:
    """EPSG:4326 has latitude first, in answers and in boxes."""
    lon, lat = items(client, "ports", limit=1)["features"][0]["geometry"]["coordinates"]
    assert items(client, "ports", limit=1, crs=WGS84)["features"][0]["geometry"]["coordinates"] == [lat, lon]
    asked = items(client, "ports", bbox="20,100,45,125", bbox_crs=WGS84)
    assert asked["numberMatched"] == len(within("ports", "", (100.0, 20.0, 125.0, 45.0))) > 0
    assert items(client, "ports", bbox="-60,170,60,-120", bbox_crs=WGS84)["numberMatched"] == len(within("ports", "", BOXES[2])) > 0


def test_crs_parameter_invalid(client: Any) -> None:
    """/conf/crs/crs-parameter-invalid, /conf/crs/bbox-crs-parameter-invalid."""
    for crs in ("EPSG:4326", "http://www.opengis.net/def/crs/EPSG/0/3395", "http://www.opengis.net/def/crs/OGC/1.3/CRS84h"):
        assert "crs" in items(client, "ports", crs=crs, status=400)["description"]
        assert "bbox-crs" in items(client, "ports", bbox="1,2,3,4", bbox_crs=crs, status=400)["description"]
        get(client, f"/collections/ports/items/CNSHA?crs={crs}", 400)


@pytest.mark.parametrize("name", ["facilities", pytest.param("flows", marks=pytest.mark.slow)])
def test_bbox_crs_parameter(client: Any, name: str) -> None:
    """/conf/crs/bbox-crs-parameter, /conf/crs/bbox-crs-parameter-default."""
    bbox = BOXES[0]
    plain = {f["id"] for f in everything(client, name, bbox="100,20,125,45")}
    assert plain == within(name, "", bbox)
    assert {f["id"] for f in everything(client, name, bbox="100,20,125,45", bbox_crs=CRS84)} == plain
    (x1, y1), (x2, y2) = metres(np.array([bbox[:2], bbox[2:]])).tolist()
    found = {f["id"] for f in everything(client, name, bbox=f"{x1},{y1},{x2},{y2}", bbox_crs=WEB_MERCATOR)}
    assert found == plain
    (x1, y1), (x2, y2) = metres(np.array([(170.0, -60.0), (-120.0, 60.0)])).tolist()
    across = {f["id"] for f in everything(client, name, bbox=f"{x1},{y1},{x2},{y2}", bbox_crs=WEB_MERCATOR)}
    assert across == within(name, "", BOXES[2])


# ---- schemas, states, errors, other sites


@pytest.mark.parametrize("name", EACH)
def test_schemas_describe_what_there_is(client: Any, name: str) -> None:
    """Every property stands in the schema with its heading, its unit, and a type that its values have."""
    c = get(client, f"/{HALT}/collections/{name}")
    found = get(client, link(c, "describedby"))
    Draft202012Validator.check_schema(found)
    page = items(client, name, f"/{HALT}", limit=200)
    fields = fields_of(name, small_study().layers.schema)
    for f in page["features"]:
        assert set(f["properties"]) == set(found["properties"]) - {"id", "geometry"}
        held = {n: v for n, v in f["properties"].items() if v is not None}
        errors = list(Draft202012Validator({"properties": found["properties"]}).iter_errors(held))
        assert not errors, errors[0].message
    for n, p in found["properties"].items():
        if n in fields and n not in ("id", "geometry"):
            assert (p["title"], p.get("x-ogc-unit", "")) == (fields[n].alias, fields[n].unit)
    asked = get(client, next(k["href"] for k in c["links"] if k["rel"].endswith("/queryables")))
    Draft202012Validator.check_schema(asked)
    assert set(asked["properties"]) >= set(found["properties"]) - {"id", "geometry"}
    assert asked["$id"].startswith(f"http://localhost/ogc/{HALT}/")


def test_a_state_in_the_query_is_led_into_the_path(client: Any) -> None:
    """People type `?halt=`; GDAL puts that query behind every link, which says the same twice."""
    page = get(client, "/?halt=country:CHN/magnet&bloc=eu27")
    assert link(page, "data") == f"http://localhost/ogc/{HALT}&bloc=eu27/collections"
    both = get(client, f"/{HALT}/collections/changes/items?halt=country:CHN/magnet&limit=5")
    assert both["features"] == items(client, "changes", STATES[1], limit=5)["features"]
    assert "state" in get(client, f"/{HALT}/collections?halt=passage:malacca", 400)["description"]


@pytest.mark.parametrize(
    ("typed", "state"),
    [
        ("halt=country:CHN:us-allies@0.5/magnet", "halt=country:CHN:us-allies@0.5/magnet"),
        ("halt=passage:malacca&halt=country:CHN/Dy,Tb", "halt=passage:malacca&halt=country:CHN/Dy,Tb"),
        ("halt=passage%3Amalacca", "halt=passage:malacca"),
        ("halt=country%3ACHN%2Fmagnet", "halt=country:CHN/magnet"),
        ("bloc=us-allies", ""),
        ("halt=passage:suez&on=2025-04-04&open=northwest", "halt=passage:suez&open=northwest&on=2025-04-04"),
        ("buyer=works%252C9.18%252C48.78%252Cev%252CSH%252C300", "buyer=works,9.18,48.78,ev,SH,300"),
        ("buyer=A%2526T,9.18,48.78,ev,SH,300", "buyer=A%2526T,9.18,48.78,ev,SH,300"),
        ("buyer=two+words,9.18,48.78,ev,SH,300", "buyer=two+words,9.18,48.78,ev,SH,300"),
    ],
)  # fmt: skip
def test_states_in_the_path_are_read_as_they_are_written(client: Any, typed: str, state: str) -> None:
    """The links of a state lead to the same state, whatever stands in it."""
    page = get(client, f"/{typed}")
    data = link(page, "data")
    assert data == f"http://localhost/ogc{'/' if state else ''}{state}/collections"
    root = data.removesuffix("/collections").removeprefix("http://localhost/ogc")
    assert link(get(client, f"{root}/"), "data") == data


def test_bad_states_are_refused_in_words(client: Any) -> None:
    assert "CHN" in get(client, "/halt=country:CHX/collections", 400)["description"]
    assert "nearest" in get(client, "/scenario=no-such-one", 400)["description"]
    assert "unknown parameter" in get(client, "/hold=country:CHN/collections", 400)["description"]
    assert "eu27" in get(client, "/bloc=eu72/collections", 400)["description"]


def test_the_host_of_links_is_the_one_asked(app: Any) -> None:
    found = app.test_client().get("/ogc/", base_url="http://atlas.example:8080").get_json()
    assert link(found, "data") == "http://atlas.example:8080/ogc/collections"
    behind = create_app(small_study(), settings({}, trusted_proxies=1)).test_client()
    told = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "maps.example", "X-Forwarded-For": "192.0.2.1"}
    assert link(behind.get("/ogc/", headers=told).get_json(), "data") == "https://maps.example/ogc/collections"
    assert link(app.test_client().get("/ogc/", headers=told).get_json(), "data") == "http://localhost/ogc/collections"


class Slow:
    """A study whose solves take their time."""

    def __init__(self, seconds: float) -> None:
        self._study, self._seconds = small_study(), seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    def solve(self, *args: Any, **kwargs: Any) -> Any:
        time.sleep(self._seconds)
        return self._study.solve(*args, **kwargs)


def test_limits_speak_the_shape_of_the_standard() -> None:
    """504 when an answer takes too long, 503 when the server is full, 429 for too many: all with Retry-After."""
    made = create_app(Slow(0.5), settings({}, solve_time_limit_s=0.05, solve_slots=1, solve_queue=0))
    late = made.test_client().get(f"/ogc/{HALT}/collections/flows/items")
    full = made.test_client().get("/ogc/halt=passage:malacca/collections/flows/items")
    many = create_app(small_study(), settings({}, requests_per_minute=1)).test_client()
    many.get("/ogc/")
    for response, status in ((late, 504), (full, 503), (many.get("/ogc/"), 429)):
        assert response.status_code == status
        assert set(response.get_json()) == {"code", "description"}
        assert response.get_json()["code"] == str(status)
        assert int(response.headers["Retry-After"]) > 0
    made.extensions["atlas"].close()


def test_pages_of_other_sites_read_only_where_allowed(client: Any) -> None:
    origin = {"Origin": "https://maps.example"}
    assert "Access-Control-Allow-Origin" not in client.get("/ogc/", headers=origin).headers
    few = create_app(small_study(), settings({}, ogc_origins="https://maps.example, https://b.example")).test_client()
    told = few.get("/ogc/collections/nowhere", headers=origin).headers
    assert told["Access-Control-Allow-Origin"] == "https://maps.example"
    assert told["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert "Content-Crs" in told["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Origin" not in few.get("/ogc/", headers={"Origin": "https://evil.example"}).headers
    assert "Access-Control-Allow-Origin" not in few.get("/api/layers", headers=origin).headers, "only /ogc is open"
    asked = few.options("/ogc/", headers=origin | {"Access-Control-Request-Method": "GET"}).headers
    assert "GET" in asked["Access-Control-Allow-Methods"]
    everyone = create_app(small_study(), settings({}, ogc_origins="*")).test_client()
    assert everyone.get("/ogc/").headers["Access-Control-Allow-Origin"] == "*"


def test_answers_are_packed(client: Any) -> None:
    plain = client.get("/ogc/collections/ports/items").data
    for coding in ("gzip", "br"):
        packed = client.get("/ogc/collections/ports/items", headers={"Accept-Encoding": coding})
        assert packed.headers["Content-Encoding"] == coding
        assert len(packed.data) < len(plain) / 3


# ---- GDAL


@pytest.fixture(scope="module")
def address(app: Any) -> Iterator[str]:
    server = web_server.Server(app, app.extensions["atlas"].settings, host="127.0.0.1", port=0)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.port}/ogc"
    server.stop()
    thread.join(10)


def test_what_the_server_itself_refuses_has_the_shape_of_the_standard(address: str) -> None:
    """Such a request never reaches the application; outside /ogc it has the shape of all other errors."""
    for path, shape in (("/ogc/", {"code", "description"}), ("/api/solve", {"ok", "error", "problems", "status"})):
        with socket.create_connection(("127.0.0.1", urlsplit(address).port), timeout=5) as line:
            line.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n".encode())
            answer = b""
            while part := line.recv(65536):
                answer += part
        assert answer.startswith(b"HTTP/1.1 400")
        assert set(json.loads(answer.partition(b"\r\n\r\n")[2])) == shape


SOURCES = {"": "/", "path": f"/{HALT}", "query": "?halt=country:CHN/magnet"}


def same_as_the_layer(found: Any, name: str, source: str) -> None:
    """Hold what GDAL read against the layer: count, type, reference system, extent, ids, columns, values."""
    own, info, columns = table(name, source), found["info"], found["columns"]
    assert info["features"] == len(own) == len(columns["id"])
    assert 'AUTHORITY["OGC","CRS84"]' in info["crs"] or info["crs"] == "OGC:CRS84"
    assert info["total_bounds"] == pytest.approx(own.total_bounds, abs=1e-5)
    kind = {"facilities": "Point", "ports": "Point", "countries": "MultiPolygon"}.get(name, "MultiLineString")
    assert info["geometry_type"] == kind
    assert columns["id"] == [str(i) for i in own.index]
    assert set(columns) - {"id"} == set(own.columns) - {"geometry"}
    for column in {"tonnes", "baseline_t", "change_t", "length_km", "capacity_t"} & set(own.columns):
        assert np.array(columns[column], dtype=float) == pytest.approx(own[column].to_numpy(dtype=float, na_value=np.nan), nan_ok=True)


def test_gdal_reads_the_baseline(address: str) -> None:
    """GDAL's driver of OGC API - Features: layers, paging, filters by place and property."""
    source, names = f"OAPIF:{address}/", ("facilities", "passages", "flows")
    asked = [{"source": source}, *({"source": source, "layer": n} for n in names)]
    asked += [
        {"source": source, "layer": "flows", "more": {"where": "commodity = 'magnet' AND from_country = 'CHN'"}},
        {"source": source, "layer": "ports", "more": {"bbox": [170.0, -60.0, 180.0, 60.0]}},
        # GDAL's own filter knows no box across the antimeridian: it is read from the address that a user gives.
        {"source": f"{address}/collections/ports/items?bbox=170,-60,-120,60&limit=1000", "layer": ""},
    ]
    listed, *found = gdal_reader.read(asked)
    assert listed["layers"] == list(BASELINE)
    for name, one in zip(names, found, strict=False):
        same_as_the_layer(one, name, "")
    magnets, near, across = (set(f["columns"]["id"]) for f in found[len(names) :])
    flows = table("flows")
    assert magnets == set(flows.index[(flows["commodity"] == "magnet") & (flows["from_country"] == "CHN")]) != set()
    assert near == within("ports", "", (170.0, -60.0, 180.0, 60.0)) != set()
    assert across == within("ports", "", BOXES[2]) > near


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES)
def test_gdal_reads_every_layer(address: str, source: str) -> None:
    """All layers, tens of thousands of edges of the network among them; of the baseline, a halt in path or query."""
    names = COLLECTIONS if source else BASELINE
    root = f"OAPIF:{address}{SOURCES[source]}"
    listed, *found = gdal_reader.read([{"source": root}, *({"source": root, "layer": n} for n in names)])
    assert listed["layers"] == list(names)
    for name, one in zip(names, found, strict=True):
        same_as_the_layer(one, name, source)


@pytest.mark.slow
@pytest.mark.skipif(not qgis_is_there(), reason="no QGIS for the system's Python (apt install python3-qgis)")
@pytest.mark.parametrize("source", SOURCES)
def test_qgis_reads_the_collections(address: str, source: str, tmp_path: Path) -> None:
    """QGIS's provider of OGC API - Features: every feature, the fields, and a box sent to the server."""
    names = ("facilities", "ports", "flows", *(("changes",) if source else ()))
    seen = read_by_qgis(f"{address}{SOURCES[source]}", names, tmp_path)
    for name in names:
        own, found = table(name, source), seen[name]
        assert found["valid"]
        assert found["crs"] in ("EPSG:4326", "OGC:CRS84")
        assert sorted(found["ids"]) == sorted(str(i) for i in own.index)
        assert set(found["fields"]) == {"id", *own.columns} - {"geometry"}
        assert found["type"] == ("Point" if name in ("facilities", "ports") else "MultiLineString")
        assert set(found["in_box"]) == within(name, source, (100.0, 20.0, 125.0, 45.0))


@pytest.mark.slow
def test_every_answer_keeps_to_the_definition(app: Any) -> None:
    """/conf/oas30/oas-impl: requests drawn from the OpenAPI document, right and wrong ones, are answered as it says."""
    import schemathesis
    from schemathesis.engine import events, from_schema

    config = schemathesis.Config.from_dict({
        "seed": 1, "workers": 1, "headers": {"Accept-Encoding": "identity"},
        "checks": {"positive_data_acceptance": {"enabled": False}, "negative_data_rejection": {"enabled": False}},
        "generation": {"max-examples": 8, "deterministic": True, "database": "none", "no-shrink": True},
        "phases": {"stateful": {"enabled": False}},
    })  # fmt: skip
    schema = schemathesis.openapi.from_wsgi("/ogc/api", app, config=config)
    failures = []
    for event in from_schema(schema.include(path_regex=r"^/([a-z.]*|collections/(facilities|ports)\b.*)$")).execute():
        if isinstance(event, events.ScenarioFinished):
            for checks in event.recorder.checks.values():
                failures += [f"{event.recorder.label}: {c.failure_info.failure}" for c in checks if c.failure_info is not None]
        elif isinstance(event, events.NonFatalError):
            failures.append(f"{event.label}: {event.value}")
        elif isinstance(event, events.FatalError):
            raise event.exception
    assert not failures, failures[:3]

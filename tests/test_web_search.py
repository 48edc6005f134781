"""Suggestions as one types: what is found first, what is misspelt, what is refused, how quick it is."""

import time
from typing import Any
from urllib.parse import quote

import pytest
from fake_outcome import fake_study

from atlas.config import settings
from atlas.layers import open_layers
from atlas.name_suggest import Named, Suggestions
from atlas.web import create_app


@pytest.fixture(scope="module")
def app() -> Any:
    made = create_app(fake_study(), settings({}))
    yield made
    made.extensions["atlas"].close()


@pytest.fixture
def client(app: Any) -> Any:
    return app.test_client()


@pytest.fixture(scope="module")
def shipped() -> Suggestions:
    """The names of the shipped layers, without what a solve would say of their size."""
    layers = open_layers()
    return Suggestions(
        Named(kind, str(i), str(n), "", f"/{kind}/{i}")
        for kind, table in (
            ("facility", layers.facilities), ("port", layers.ports), ("operator", layers.operators),
            ("passage", layers.passages), ("country", layers.countries),
        )
        for i, n in table["name"].items()
    )  # fmt: skip


def first(client: Any, text: str) -> dict[str, str]:
    hits = client.get(f"/api/suggest?q={quote(text)}").get_json()["hits"]
    return hits[0] if hits else {}


@pytest.mark.parametrize(
    ("text", "kind", "address"),
    [
        ("lynas rare", "operator", "/operator/lynas"),
        ("KUANTAN", "facility", "/facility/kuantan"),
        ("deham", "port", "/port/DEHAM"),
        ("malaca", "passage", "/passage/malacca"),
        ("Hambrug", "port", "/port/DEHAM"),
        ("germ", "country", "/country/DEU"),
        ("burma", "country", "/country/MMR"),
        ("côte d'iv", "country", "/country/CIV"),
        ("us-all", "bloc", "/facilities?bloc=us-allies"),
        ("compare", "page", "/compare"),
        ("china sells", "scenario", "/map?scenario=china-cuts-off-allies"),
    ],
)
def test_what_is_meant_comes_first(client: Any, text: str, kind: str, address: str) -> None:
    hit = first(client, text)
    assert (hit["kind"], hit["address"]) == (kind, address)


def test_every_address_is_answered(client: Any) -> None:
    seen = set()
    for text in ("lynas", "hamburg", "malacca", "china", "us-allies", "findings", "evil", "explore"):
        for hit in client.get(f"/api/suggest?q={text}&limit=20").get_json()["hits"]:
            if hit["address"] not in seen and hit["kind"] != "page":
                seen.add(hit["address"])
                assert client.get(hit["address"]).status_code == 200, hit
    assert len(seen) > 8


def test_better_fits_come_first() -> None:
    names = ["Suez", "Suezia", "New Suez", "Presuez", "Sues"]
    found = Suggestions(Named("port", n, n, "", "") for n in reversed(names)).find("suez", 5)
    assert [n.name for n in found] == names[:4]  # a near spelling is not sought where enough fits
    alone = Suggestions([Named("port", "a", "Sueez Canal", "", ""), Named("port", "b", "Panama", "", "")])
    assert [n.name for n in alone.find("suez", 5)] == ["Sueez Canal"]


def test_what_matters_more_comes_first_among_equals() -> None:
    small, large = Named("port", "a", "Port One", "", "", 0.1), Named("port", "b", "Port Two", "", "", 0.9)
    assert Suggestions([small, large]).find("port", 2) == [large, small]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("shenzen", "CNSZX"), ("kuantan", "MYKUA"), ("rottredam", "NLRTM"), ("cote d'ivoire", "CIV"), ("ivorie", "CIV")],
)
def test_shipped_names_are_found_misspelt_and_without_accents(shipped: Suggestions, text: str, expected: str) -> None:
    assert expected in [n.id for n in shipped.find(text, 5)]


def test_it_is_quick(shipped: Suggestions) -> None:
    """Under 20 ms for a text, the worst of many, on names like those of the shipped layers."""
    texts = ["l", "ly", "lyn", "lynas", "shenzen", "rare earth", "x", "zzzzzz", "china norther rare erth", "a b c d e f g"]
    spent = []
    for text in texts * 3:
        start = time.perf_counter()
        shipped.find(text, 8)
        spent.append(time.perf_counter() - start)
    assert sorted(spent)[len(spent) // 2] < 0.02


@pytest.mark.parametrize(
    "query", ["", "q=", "q=a&limit=0", "q=a&limit=21", "q=a&limit=x", "q=a&limit=²", "q=a&q=b", "q=a&kind=x", "q=" + "a" * 121]
)
def test_bad_questions_are_refused(client: Any, query: str) -> None:
    response = client.get(f"/api/suggest?{query}")
    assert response.status_code == 400
    assert response.get_json()["problems"]


def test_the_page_lists_hits_and_says_when_there_are_none(client: Any) -> None:
    assert "/operator/lynas" in client.get("/search?q=lynas").text
    nothing = client.get("/search?q=qqqzzzqqq")
    assert nothing.status_code == 200
    assert "Nothing is called" in nothing.text
    assert "Type a place" in client.get("/search").text
    shown = client.get("/search?q=%3Cscript%3Ealert(1)%3C/script%3E").text
    assert "<script>alert(1)" not in shown


def test_the_header_of_every_page_has_the_box(client: Any) -> None:
    for path in ("/", "/facilities", "/about", "/nowhere"):
        page = client.get(path, headers={"Accept": "text/html"}).text
        assert 'role="search" action="/search"' in page, path
        assert "search.list" in page, path

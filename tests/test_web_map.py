"""The map pages and what they fetch: looks in the address, the basemap, close-ups, the map for other pages, scenarios."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import geopandas as gpd
import networkx as nx
import numpy as np
import pytest
import shapely
from fake_outcome import FakeStudy, fake_outcome, fake_study
from flask.testing import FlaskClient

from atlas import web_nearby
from atlas.config import settings
from atlas.render import page
from atlas.render_words import words
from atlas.web import create_app
from atlas.web_nearby import MOST_LINES, Edges, around, widened

MAGNET = "/map?halt=country:CHN/magnet"


@pytest.fixture
def study() -> FakeStudy:
    return fake_study()


@pytest.fixture
def client(study: FakeStudy) -> FlaskClient:
    return create_app(study, settings({})).test_client()


# ---- the address


@pytest.mark.parametrize(
    "looks", ["view=swipe&swipe=30", "view=side", "colour=source", "off=ports,flow-metal&also=stage-idle", "at=-179.5,4,9.25"]
)
def test_looks_are_kept_and_ask_nothing_new(client: FlaskClient, study: FakeStudy, looks: str) -> None:
    assert client.get(MAGNET).status_code == 200
    assert client.get(f"{MAGNET}&{looks}").status_code == 200
    assert len(study.solved) == 1


@pytest.mark.parametrize(
    ("looks", "word"),
    [
        ("view=swiep", "swipe"), ("swipe=101", "0 to 100"), ("swipe=nan", "0 to 100"), ("colour=red", "commodity or source"),
        ("off=port", "ports"), ("also=x,y", "unknown layer"), ("at=1,2", "lon,lat,zoom"), ("at=1,95,3", "lon,lat,zoom"),
        ("at=a,b,c", "lon,lat,zoom"), ("at=1,2,inf", "lon,lat,zoom"), ("at=1,2,3&at=1,2,4", "expected once"),
    ],
)  # fmt: skip
def test_odd_looks_are_refused(client: FlaskClient, looks: str, word: str) -> None:
    response = client.get(f"{MAGNET}&{looks}")
    assert response.status_code == 400
    assert word in response.text


def test_first_page_takes_looks_but_no_halt(client: FlaskClient) -> None:
    assert client.get("/?at=103.4,4,9&off=ports").status_code == 200
    assert client.get("/?halt=country:CHN").status_code == 400


def test_basemap_is_a_file_of_its_own(client: FlaskClient) -> None:
    html = client.get(MAGNET).text
    data = json.loads(re.search(r'id="atlas-data">(.*?)</script>', html, re.S).group(1))  # type: ignore[union-attr]
    address = data["land"]["href"]
    response = client.get(address)
    assert response.status_code == 200
    assert "immutable" in response.headers["Cache-Control"]
    assert {"CHN", "USA"} <= {c["id"] for c in response.get_json()["countries"]}
    assert client.get("/basemap/0000.json").status_code == 404
    assert "countries" in json.loads(re.search(r'id="atlas-data">(.*?)</script>', page(fake_outcome()), re.S).group(1))["land"]  # type: ignore[union-attr]


# ---- the builder and the scenarios


def test_halts_have_their_meaning_beside_them(client: FlaskClient) -> None:
    text = client.get("/map?halt=passage:malacca&halt=country:CHN:us-allies@0.5/magnet").text
    assert '<span class="meaning">Malacca Strait</span>' in text
    assert "50 % of exports of China to us-allies (magnets)</span>" in text
    for halt in ("passage:malacca", "country:CHN:us-allies@0.5/magnet"):
        assert f'aria-label="Edit {halt}"' in text


def test_what_is_halted_links_to_its_page(client: FlaskClient) -> None:
    text = client.get("/map?halt=facility:kuantan&halt=passage:malacca&halt=stage:CHN/metal@0.5&halt=border:CHN-MMR").text
    for link in ('<a href="/facility/kuantan" data-place="kuantan">Lynas Malaysia</a>', '<a href="/passage/malacca">Malacca Strait</a>',
                 '<a href="/country/CHN">50 % of metal making in China</a>', "<li>border China – Myanmar</li>"):  # fmt: skip
        assert link in text
    assert 'href="/facility/' not in page(fake_outcome(("facility:kuantan",))), "a page of its own leads nowhere"


def test_scenarios_are_cards_with_what_they_close(client: FlaskClient) -> None:
    text = client.get("/scenarios").text
    assert '<a href="/map?scenario=china-cuts-off-allies">' in text
    assert "country:CHN:us-allies" in text
    assert "Question 1 of docs" not in client.get("/").text


def test_a_halt_that_changes_nothing_says_so(study: FakeStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    def idle(halts: Any = (), scenario: Any = None, bloc: str = "us-allies", on: Any = None) -> Any:
        outcome = fake_outcome((), bloc)
        outcome.summary["scenario"]["halts"] = ["passage:suez"]
        return outcome

    monkeypatch.setattr(study, "solve", idle)
    client = create_app(study, settings({})).test_client()
    assert "This halt changes nothing" in client.get("/map?halt=passage:suez").text
    assert "This halt changes nothing" not in create_app(fake_study(), settings({})).test_client().get(MAGNET).text


def test_plants_at_their_limit_are_told() -> None:
    outcome = fake_outcome()
    outcome.facilities.loc["hanau-magnet", ["baseline_t", "halted_t", "limit_t"]] = [900.0, 1500.0, 1500.0]
    outcome.facilities.loc["jpn-magnet", ["baseline_t", "halted_t", "limit_t"]] = [18000.0, 18000.0, 18000.0]
    others = outcome.facilities.index.difference(["hanau-magnet", "jpn-magnet"])
    outcome.facilities.loc[others, "limit_t"] = 1e9
    card = next(c for c in words(outcome).cards if c.label == "At their limit")
    assert card.value == "1 more plant"
    assert card.detail == "no room left: Vacuumschmelze Hanau", "what was full before is no news"


def test_bars_of_sectors_are_as_long_as_their_tonnes() -> None:
    bars = words(fake_outcome()).bars
    assert [(b.label, b.part) for b in bars] == [("automotive", 1.0), ("wind", round(0.3 / 0.7, 4))]
    assert words(fake_outcome(())).bars == []


# ---- the map in other pages


def test_map_for_other_pages(client: FlaskClient) -> None:
    response = client.get(MAGNET.replace("/map", "/embed/map"))
    assert response.status_code == 200
    policy = response.headers["Content-Security-Policy"]
    assert "frame-ancestors *" in policy
    assert "unsafe" not in policy
    assert "X-Frame-Options" not in response.headers
    assert "Set-Cookie" not in response.headers
    text = response.text
    assert 'href="/map?halt=country%3ACHN%2Fmagnet" target="_blank"' in text
    for left_out in ('id="builder"', "<nav", 'id="summary"', 'id="search"'):
        assert left_out not in text
    assert 'id="legend">' in text, "folded"
    assert client.get(MAGNET).headers["X-Frame-Options"] == "SAMEORIGIN"
    assert client.get("/embed/map?halt=country:CNH").status_code == 400


# ---- close-ups


def invented(tmp_path: Path) -> Any:
    """A study with two countries on both sides of the antimeridian, a railway over it and local roads at one plant."""
    square = [shapely.box(170, -20, 180, -10), shapely.box(-180, -20, -170, -10)]
    countries = gpd.GeoDataFrame({"name": ["A", "B"]}, geometry=square, index=["AAA", "BBB"], crs=4326)
    xy = np.array([[178.0, -15.0], [179.5, -15.1], [-179.2, -15.0], [-171.0, -15.0]])
    ends = np.array([[0, 1], [1, 2], [2, 3]])
    steps = np.cumsum(np.r_[ends[0, 0], np.diff(ends[:, 0])])
    np.savez(
        tmp_path / "rail_graph.npz", countries=np.array(["AAA", "BBB"]), first_node=np.array([0, 2, 4]), km_100=np.array([100, 100, 800]),
        a_step=np.r_[ends[0, 0], np.diff(steps)], b_minus_a=ends[:, 1] - ends[:, 0], xy=(xy * 1000).astype(np.int32),
    )  # fmt: skip
    roads = tmp_path / "cache" / "roads"
    roads.mkdir(parents=True)
    graph = nx.MultiDiGraph()
    graph.add_node(1, x=178.5, y=-15.0)
    graph.add_node(2, x=178.51, y=-15.01)
    graph.add_edge(1, 2, mode="road")
    graph.add_edge(2, 1, mode="road")
    nx.write_graphml(graph, roads / "plant.graphml")
    access = SimpleNamespace(facility="plant", lon=178.5, lat=-15.0, radius_km=10.0, to="", source="a test")
    return SimpleNamespace(
        layers=SimpleNamespace(countries=countries, digest=str(tmp_path), directory=lambda name: tmp_path),
        settings=settings({}, cache_dir=str(tmp_path / "cache")), local_roads=SimpleNamespace(accesses=(access,)),
    )  # fmt: skip


def kinds(found: dict[str, Any]) -> dict[str, list[Any]]:
    out: dict[str, list[Any]] = {}
    for f in found["features"]:
        out.setdefault(f["properties"]["kind"], []).append(shapely.geometry.shape(f["geometry"]))
    return out


def test_close_up_over_the_antimeridian_runs_on(tmp_path: Path) -> None:
    found = kinds(around(invented(tmp_path), (177.0, -16.0, 183.0, -14.0), 9))
    assert set(found) == {"land", "rail", "local_road"}
    assert shapely.union_all(found["land"]).bounds == (177.0, -16.0, 183.0, -14.0)
    bounds = shapely.union_all(found["rail"]).bounds
    assert bounds[0] == pytest.approx(178.0, abs=1e-3)
    assert bounds[2] == pytest.approx(183.0, abs=1e-3)
    assert sum(g.length for g in found["local_road"]) == pytest.approx(np.hypot(0.01, 0.01), rel=1e-2), "there and back is one road"


def test_local_roads_only_where_they_are_and_close_up(tmp_path: Path) -> None:
    study = invented(tmp_path)
    assert "local_road" not in kinds(around(study, (177.0, -16.0, 179.0, -14.0), 7))
    assert "local_road" not in kinds(around(study, (170.0, -12.0, 172.0, -11.0), 9))
    (tmp_path / "cache" / "roads" / "plant.graphml").write_text("<broken", encoding="utf-8")
    assert "local_road" not in kinds(around(study, (177.0, -16.0, 179.0, -14.0), 9)), "a broken file is passed over"


def test_lines_of_a_box_are_those_that_meet_it() -> None:
    made = np.random.default_rng(3)
    start = made.uniform([-179, -60], [179, 70], (3000, 2))
    xy = np.vstack([start, start + made.uniform(-0.9, 0.9, (3000, 2))])
    ends = np.c_[np.arange(3000), np.arange(3000, 6000)]
    edges = Edges(xy, ends, np.ones(3000))
    box = (10.0, 20.0, 60.0, 50.0)
    lines, left_out = edges.within(box, 0.0)
    expected = shapely.linestrings(np.stack([xy[:3000], xy[3000:]], axis=1))
    meet = sum(not g.is_empty and g.length > 1e-6 for g in shapely.clip_by_rect(expected, *box))
    whole = sum(g.length for g in shapely.clip_by_rect(expected, *box))
    assert left_out == 0
    assert meet > 50
    assert sum(g.length for g in lines) == pytest.approx(whole, rel=1e-3)


def test_too_many_lines_are_cut_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_nearby, "MOST_LINES", 5)
    xy = np.array([[x, y] for y in range(10) for x in (0.0, 0.1 + y / 50)])
    edges = Edges(xy, np.arange(20).reshape(10, 2), np.ones(10))
    lines, left_out = edges.within((-1.0, -1.0, 1.0, 11.0), 0.0)
    assert (len(lines), left_out) == (5, 5)
    assert min(g.length for g in lines) > 0.18, "the longest are kept"
    assert MOST_LINES > 500


def test_looks_at_one_place_are_one_answer() -> None:
    assert widened((103.2, 3.8, 103.9, 4.1), 10) == widened((103.3, 3.6, 103.8, 4.2), 10.7)
    west, south, east, north = widened((103.2, 3.8, 103.9, 4.3), 10)
    assert west <= 103.2 < 103.9 <= east
    assert south <= 3.8 < 4.3 <= north
    assert east - west < 2


def test_close_up_over_http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = fake_study()
    mine = invented(tmp_path)
    monkeypatch.setattr(study.layers, "directory", mine.layers.directory)  # the invented layers are shared by all tests
    monkeypatch.setattr(study.layers, "digest", str(tmp_path))
    client = create_app(study, settings({})).test_client()
    first = client.get("/api/nearby.geojson?bbox=177,-16,183,-14&zoom=9")
    assert first.mimetype == "application/geo+json"
    same = client.get("/api/nearby.geojson?bbox=-183,-16,-177,-14&zoom=9.4", headers={"If-None-Match": first.headers["ETag"]})
    assert same.status_code == 304, "the same box a turn further, in the same grid"
    assert client.get("/api/nearby.geojson?bbox=177,-16,-177,-14&zoom=9").get_json() == first.get_json()


@pytest.mark.parametrize(
    "query",
    ["", "bbox=1,2,3&zoom=9", "bbox=1,2,3,4", "bbox=1,5,3,4&zoom=9", "bbox=0,0,200,10&zoom=9", "bbox=nan,0,1,1&zoom=9",
     "bbox=0,0,1,1&zoom=99", "bbox=0,0,1,1&zoom=nan", "bbox=0,0,1,1&zoom=9&x=1", "bbox=0,-91,1,1&zoom=9",
     "bbox=0,0,1,1&bbox=0,0,2,2&zoom=9", "bbox=1e300,0,1,1&zoom=9"],
)  # fmt: skip
def test_odd_boxes_are_refused(client: FlaskClient, query: str) -> None:
    response = client.get(f"/api/nearby.geojson?{query}")
    assert response.status_code == 400
    assert response.get_json()["problems"]

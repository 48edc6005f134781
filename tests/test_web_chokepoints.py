"""The page of chokepoints, its JSON, GeoJSON and CSV, on an invented world with places on a map and hostile names."""

import csv
import dataclasses
import html
import io
import json
import re
import threading
import time
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import geopandas as gpd
import numpy as np
import pytest
from shapely.geometry import LineString, MultiLineString, Point, box

from atlas import web_chokepoints
from atlas.chokepoint_words import NOT_OPTIMISED, cut_json, sets_json, sets_sentence, singles_json, singles_sentence
from atlas.chokepoints import question, worst_sets
from atlas.config import settings
from atlas.losses import lens
from atlas.minimum_cut import minimum_cut
from atlas.render_chokepoints import NARROW, RADIUS_PX, WIDE, detour_plot, loss_plot, map_payload
from atlas.singles import singles
from atlas.web import create_app
from tests.invented import invent, invent_wide
from tests.invented_study import study_of
from tests.rfc7946 import problems

HOSTILE = "<img src=x onerror=alert(1)> \"&' </script>"
HOMES = {"AAA": (100.0, 30.0), "BBB": (10.0, 50.0), "CCC": (135.0, 35.0)}


def mapped(world: Any) -> Any:
    """Return an invented study with places on a map, one hostile name, and nothing kept on disk."""
    made = study_of(world)
    made.settings = dataclasses.replace(settings({}), workers=1, cache_dir="off")
    fac, old = made.layers.facilities, made.layers
    homes = [HOMES[c] for c in fac["country"]]
    names = [HOSTILE if n == 0 else str(i) for n, i in enumerate(fac.index)]
    points = [Point(x + 0.3 * n, y + 0.2 * n) for n, (x, y) in enumerate(homes)]
    ids = sorted(old.countries.index)
    countries = gpd.GeoDataFrame(
        {"name": [f"Land {c}" for c in ids]},
        geometry=[box(x - 5, y - 5, x + 5, y + 5) for x, y in (HOMES[c] for c in ids)], index=ids, crs=4326,
    )  # fmt: skip
    ports = gpd.GeoDataFrame(
        {"name": ["harbour"], "country": ["AAA"]}, geometry=[Point(101, 29)], index=["AAPRT"], crs=4326
    )
    gate = MultiLineString([LineString([(50, 10), (52, 12)])])
    passages = gpd.GeoDataFrame({"name": ["the strait"]}, geometry=[gate], index=["strait"], crs=4326)
    made.layers = SimpleNamespace(
        facilities=gpd.GeoDataFrame(fac.assign(name=names), geometry=points, crs=4326), countries=countries,
        ports=ports, passages=passages, bloc_names=tuple(sorted(made.blocs)), digest="invented-map",
    )  # fmt: skip
    posts = {"AAA-BBB": np.array([[60.0, 40.0], [61.0, 41.0]])}
    made.router = SimpleNamespace(network=SimpleNamespace(border_points=lambda: posts))
    return made


@pytest.fixture(scope="module")
def study() -> Any:
    return mapped(invent())


@pytest.fixture(scope="module")
def client(study: Any) -> Any:
    return create_app(study, settings({}, job_wait_s=120.0)).test_client()


@pytest.fixture(scope="module")
def found(study: Any) -> Any:
    return singles(study)


def page(client: Any, path: str) -> Any:
    """Return a page once its work is done."""
    for _ in range(600):
        answer = client.get(path)
        if answer.status_code != 202:
            return answer
        assert answer.headers["Retry-After"]
        time.sleep(0.1)
    raise AssertionError("the work never ends")


def look_of(study: Any, element: str = "all", commodity: str = "magnet", bloc: str = "pair") -> Any:
    return lens(study.ground.stage.world, study.blocs, bloc, commodity, element)


def body_rows(text: str) -> list[str]:
    """Return the rows of the body of a page's table."""
    [body] = re.findall(r'<table class="sortable">.*?<tbody>(.*?)</tbody>', text, re.S)
    return re.findall(r"<tr>(.*?)</tr>", body, re.S)


def test_nothing_is_started_because_somebody_opened_the_bare_page(study: Any, monkeypatch: Any) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("started")

    monkeypatch.setattr(web_chokepoints, "singles", never)
    answer = create_app(study, settings({})).test_client().get("/chokepoints")
    assert answer.status_code == 200
    assert "What costs most to lose?" in answer.text
    for b in study.layers.bloc_names:
        assert f">{b}</option>" in answer.text


def test_the_page_says_figures_first_and_holds_every_thing(client: Any, study: Any, found: Any) -> None:
    answer = page(client, "/chokepoints?bloc=pair")
    assert answer.status_code == 200
    text = html.unescape(answer.text)
    look = look_of(study)
    table = found.table(look)
    said = singles_sentence(found, look)
    assert f"{table['lost_t'].iloc[0]:,.0f} t" in said
    assert said in text
    assert text.index(said) < text.index('<form class="ask"')
    busy = table[~table["proved_nil"]]
    rows = body_rows(answer.text)
    assert len(rows) == len(busy)
    for row, r in zip(rows, busy.itertuples(), strict=True):
        assert f'data-value="{r.lost_t:.3f}"' in row
        assert f">{r.kind}<" in row
        if r.replaced_by:
            assert html.escape(r.replaced_by) in row
    assert f"{int(table['proved_nil'].sum())} more carry nothing in the baseline" in text
    assert "costs nothing, proved" in text
    assert 'class="plot wide"' in text
    assert 'class="plot narrow"' in text
    assert "style=" not in answer.text.partition("atlas-data")[0]
    assert "size=3" in text  # the search for the worst three is a link, and says how long it takes
    assert "half an hour" in text
    bare = page(client, "/chokepoints")  # known by now: shown at once, for the first bloc
    assert "What costs b most to lose" in bare.text


def test_names_lead_to_the_map_of_the_world_without_them(client: Any, found: Any) -> None:
    rows = body_rows(page(client, "/chokepoints?bloc=pair").text)
    links = [html.unescape(re.findall(r'href="([^"]*)"', r)[0]) for r in rows]
    assert all(x.startswith("/map?halt=") and x.endswith("&bloc=pair") for x in links)
    whole = next(c for c in found.candidates if c.kind == "production")
    assert sum(all(f"halt={quote(h, safe='')}" in x for h in whole.halts) for x in links) >= 1


def test_hostile_names_stay_text(client: Any) -> None:
    for path in ("/chokepoints?bloc=pair", "/chokepoints?bloc=pair&size=2&among=facility"):
        text = page(client, path).text
        assert "<img src=x" not in text
        assert "onerror" in text  # it is shown, as text
        assert text.count("</script>") == text.count("<script")
    payload = re.findall(r'id="atlas-data">(.*?)</script>', page(client, "/chokepoints?bloc=pair").text, re.S)
    assert any(HOSTILE in p["name"] for p in json.loads(payload[0])["places"])


@pytest.mark.parametrize(
    ("query", "element", "commodity", "top"),
    [("", "all", "magnet", None), ("&element=NdPr&top=3", "NdPr", "magnet", 3), ("&commodity=metal", "all", "metal", None)],
)  # fmt: skip
def test_the_json_is_that_of_the_command(
    client: Any, study: Any, found: Any, query: str, element: str, commodity: str, top: int | None
) -> None:
    answer = client.get(f"/api/chokepoints?bloc=pair{query}")
    assert answer.status_code == 200
    known = singles_json(found, look_of(study, element, commodity), top)
    assert answer.get_json() == json.loads(json.dumps(known))


def test_kinds_are_chosen_by_a_list_or_by_ticks(client: Any) -> None:
    some = client.get("/api/chokepoints?bloc=pair&among=passage,port,border").get_json()
    assert {r["kind"] for r in some["rows"]} == {"passage", "port", "border"}
    ticked = client.get("/api/chokepoints?bloc=pair&among=passage&among=border&among=port").get_json()
    assert ticked == some


def test_geojson_follows_the_standard_and_its_ids_stay(client: Any, found: Any) -> None:
    answer = client.get("/api/chokepoints.geojson?bloc=pair")
    assert answer.status_code == 200
    assert answer.mimetype == "application/geo+json"
    assert problems(answer.text) == []
    other = client.get("/api/chokepoints.geojson?bloc=b&element=Dy")
    assert problems(other.text) == []
    ids = [{f["id"] for f in json.loads(a.text)["features"]} for a in (answer, other)]
    assert ids[0] == ids[1] == {c.id for c in found.candidates}
    first = json.loads(client.get("/api/chokepoints.geojson?bloc=pair&top=2").text)
    assert len(first["features"]) == 2


def test_csv_holds_the_rows_of_the_json(client: Any) -> None:
    answer = client.get("/api/chokepoints.csv?bloc=pair")
    assert answer.mimetype == "text/csv"
    assert "attachment" in answer.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    known = client.get("/api/chokepoints?bloc=pair").get_json()["rows"]
    assert [r["id"] for r in rows] == [r["id"] for r in known]
    for r, k in zip(rows, known, strict=True):
        assert float(r["lost_t"]) == pytest.approx(k["lost_t"], rel=1e-5, abs=1e-4)


@pytest.mark.parametrize("size", [2, 3])
def test_sets_are_those_of_the_search(client: Any, study: Any, size: int) -> None:
    among = ("facility", "stage") if size == 2 else ("stage",)
    path = f"bloc=pair&size={size}&among={','.join(among)}"
    known = worst_sets(study, question(study, "pair", "all", among), size, 600.0)
    text = html.unescape(page(client, f"/chokepoints?{path}").text)
    assert sets_sentence(known) in text
    assert NOT_OPTIMISED in text
    assert known.proved
    assert "Proved: none of the" in text
    rows = body_rows(text)
    assert len(rows) == len(known.table)
    assert sum(">proved<" in r for r in rows) == int(known.table["proved"].sum())
    assert ("leaves out the worst single" in text) == known.without_best_single
    body = client.get(f"/api/chokepoints?{path}").get_json()
    for key in ("rows", "proved", "bound_usd", "gap_share", "best_single", "sets"):
        assert body[key] == json.loads(json.dumps(sets_json(known)))[key], key
    table = list(csv.DictReader(io.StringIO(client.get(f"/api/chokepoints.csv?{path}").text)))
    assert [r["members"].split(";") for r in table] == [r["members"] for r in body["rows"]]


def test_a_set_with_a_gap_is_not_called_the_worst(study: Any, monkeypatch: Any) -> None:
    def hurried(*args: Any) -> Any:
        made = worst_sets(*args)
        table = made.table.assign(proved=False)
        return dataclasses.replace(made, gap=0.0371, bound_usd=made.bound_usd * 1.0371, table=table)

    monkeypatch.setattr(web_chokepoints, "worst_sets", hurried)
    mine = create_app(study, settings({})).test_client()
    text = html.unescape(page(mine, "/chokepoints?bloc=pair&size=2&among=stage").text)
    assert "Not proved in the time" in text
    assert "the gap is 3.7 %" in text
    assert "Proved: none" not in text
    assert ">proved<" not in text


def test_the_cut_on_page_and_as_json(client: Any, study: Any) -> None:
    known = minimum_cut(study, question(study, "pair", "all", ("facility",), cut=True), 0.6, limit_s=600.0)
    body = client.get("/api/chokepoints?bloc=pair&cut=0.6&among=facility").get_json()
    mine = json.loads(json.dumps(cut_json(known)))
    assert body == mine
    assert body["members"]
    text = html.unescape(page(client, "/chokepoints?bloc=pair&cut=0.6&among=facility").text)
    assert body["sentence"] in text


def test_work_shows_its_progress_and_runs_once(study: Any, found: Any, monkeypatch: Any) -> None:
    go, runs = threading.Event(), []

    def slow(_: Any, progress: Any) -> Any:
        runs.append(1)
        progress(7, 20, "a-mine")
        assert go.wait(60)
        return found

    monkeypatch.setattr(web_chokepoints, "singles", slow)
    mine = create_app(study, settings({}, job_wait_s=0.2)).test_client()
    answer = mine.get("/chokepoints?bloc=pair")
    assert answer.status_code == 202
    assert "7 of 20: a-mine" in answer.text
    assert 'http-equiv="refresh"' in answer.text
    assert mine.get("/chokepoints?bloc=b&element=Dy").status_code == 202  # the same solves for any bloc and element
    busy = mine.get("/api/chokepoints?bloc=pair&commodity=oxide")
    assert busy.status_code == 503
    assert "7 of 20" in busy.get_json()["error"]
    go.set()
    assert "What costs pair most to lose" in page(mine, "/chokepoints?bloc=pair").text
    assert page(mine, "/chokepoints?bloc=b&element=Dy").status_code == 200
    assert runs == [1]


def test_solves_that_end_while_the_page_waits_are_ranked(study: Any, found: Any, monkeypatch: Any) -> None:
    def soon(*_: Any) -> Any:
        time.sleep(0.3)
        return found

    monkeypatch.setattr(web_chokepoints, "singles", soon)
    monkeypatch.setattr(web_chokepoints, "PATIENCE_S", 0.01)
    answer = create_app(study, settings({})).test_client().get("/chokepoints?bloc=pair")
    assert answer.status_code == 200
    assert "What costs pair most to lose" in answer.text


def test_a_search_says_solves_best_set_and_gap(study: Any, monkeypatch: Any) -> None:
    go = threading.Event()

    def slow(*args: Any) -> Any:
        args[-1](41, 0, "stage:AAA/mine + stage:BBB/metal, gap 3.9 %")
        assert go.wait(60)
        return worst_sets(*args)

    monkeypatch.setattr(web_chokepoints, "worst_sets", slow)
    mine = create_app(study, settings({})).test_client()
    answer = mine.get("/chokepoints?bloc=pair&size=3&among=stage")
    assert answer.status_code == 202
    assert "41 solves; best so far: stage:AAA/mine + stage:BBB/metal, gap 3.9 %" in answer.text
    go.set()
    assert page(mine, "/chokepoints?bloc=pair&size=3&among=stage").status_code == 200


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("bloc=pear&element=Di&commodity=magnets&size=9&among=pasage&top=0&cut=2",
         ("nearest: pair", "Dy", "nearest: magnet", "size '9'", "nearest: passage", "top '0'", "cut '2'")),
        ("blok=pair", ("unknown parameter 'blok'", "nearest: bloc")),
        ("bloc=pair&size=2&commodity=metal", ("sets are valued by magnets",)),
        ("bloc=pair&size=2&cut=0.5", ("leave it out",)),
        ("bloc=pair&bloc=b", ("given 2 times",)),
        ("bloc=pair&top=two&cut=half", ("top 'two'", "cut 'half'")),
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/chokepoints", "/api/chokepoints", "/api/chokepoints.csv"])
def test_bad_questions_are_refused_with_all_problems(
    client: Any, path: str, query: str, words: tuple[str, ...]
) -> None:
    answer = client.get(f"{path}?{query}")
    assert answer.status_code == 400
    text = html.unescape(answer.text) if path == "/chokepoints" else " ".join(answer.get_json()["problems"])
    assert all(w in text for w in words), text


def test_what_has_no_places_or_nothing_to_lose_is_refused(client: Any) -> None:
    assert client.get("/api/chokepoints.geojson?bloc=pair&size=2").status_code == 400
    assert client.get("/api/chokepoints.csv?bloc=pair&cut=0.5").status_code == 400
    without = mapped(invent())
    without.layers.ports = without.layers.ports.iloc[:0]
    empty = create_app(without, settings({}, job_wait_s=60.0)).test_client()
    for more in ("", "&size=2"):
        answer = empty.get(f"/api/chokepoints?bloc=pair&among=port{more}")
        assert answer.status_code == 404
        assert "nothing of these kinds" in answer.get_json()["error"]
        assert page(empty, f"/chokepoints?bloc=pair&among=port{more}").status_code == 404


def test_hostile_values_stay_text(client: Any) -> None:
    for key in ("bloc", "element", "commodity", "size", "among", "top", "cut", "x"):
        answer = client.get(f"/chokepoints?{key}={quote(HOSTILE)}")
        assert answer.status_code == 400
        assert "<img" not in answer.text


def test_where_nothing_is_lost_the_page_says_so(client: Any) -> None:
    text = page(client, "/chokepoints?bloc=pair&among=port").text  # nothing calls at the only port
    assert "costs pair supply of this kind" in text
    assert "costs pair money or days to go round" in text
    assert body_rows(text) == []
    assert "1 more carry nothing" in text


def test_rows_beyond_fifty_are_folded_and_top_cuts(study: Any, found: Any, monkeypatch: Any) -> None:
    table = found.table(look_of(study))
    monkeypatch.setattr(web_chokepoints, "singles", lambda *_: found)
    monkeypatch.setattr(web_chokepoints, "ROWS", 5)
    mine = create_app(study, settings({})).test_client()
    text = page(mine, "/chokepoints?bloc=pair").text
    assert '<details class="fold">' in text
    assert len(body_rows(text)) == int((~table["proved_nil"]).sum())
    cut = page(mine, "/chokepoints?bloc=pair&top=4").text
    assert len(body_rows(cut)) == 4
    assert '<details class="fold">' not in cut


@pytest.mark.parametrize("layout", [WIDE, NARROW], ids=lambda x: x.name)
def test_bars_keep_the_ratio_of_the_losses_and_stay_inside(layout: Any) -> None:
    wide = mapped(invent_wide())
    look = look_of(wide)
    table = singles(wide).table(look)
    root = ElementTree.fromstring(str(loss_plot(table, look, layout)))
    bars = [float(r.get("width")) for r in root.iter("rect")]  # type: ignore[arg-type]
    lost = table.loc[table["lost_t"] >= 0.5, "lost_t"].head(15).to_list()
    assert [b / bars[0] for b in bars] == pytest.approx([max(t / lost[0], 1 / bars[0]) for t in lost], abs=0.002)
    height = float(root.get("height"))  # type: ignore[arg-type]
    assert all(0 <= float(t.get("y")) <= height for t in root.iter("text"))  # type: ignore[arg-type]
    assert all(float(r.get("x")) + float(r.get("width")) <= layout.width for r in root.iter("rect"))  # type: ignore[arg-type]
    title = root.find("title")
    assert title is not None
    assert look.unit in str(title.text)
    strait = table[table["id"] == "passage:strait"].iloc[0]
    drawn = str(detour_plot(table, look, layout))
    assert "The strait" in drawn
    assert f"{strait['extra_days']:+.2f}" in drawn


def test_the_area_of_a_symbol_grows_with_the_loss(study: Any, found: Any) -> None:
    look = look_of(study)
    table = found.table(look)
    made = map_payload(found, look, table)
    lost = table.set_index("name")["lost_t"]
    most = float(table["lost_t"].max())
    assert made["places"]
    for p in made["places"]:
        name = next(n for n in lost.index if n.lower() == p["name"].lower())
        want = max(RADIUS_PX[0], RADIUS_PX[1] * np.sqrt(max(lost[name], 0.0) / most))
        assert p["r"] == pytest.approx(want, abs=0.06)
    [gate] = [g for g in made["gates"] if g["kind"] == "passage"]
    assert gate["lines"] == [[[50.0, 10.0], [52.0, 12.0]]]
    shares = table[table["kind"].isin(["exports", "production"])].groupby("country")["lost_share"].max()
    assert {c["id"] for c in made["countries"]} == set(shares[shares >= 0.0005].index)
    json.dumps(made, allow_nan=False)


@pytest.mark.parametrize(("commodity", "element"), [("oxide", "all"), ("concentrate", "NdPr"), ("magnet", "Tb")])
def test_the_page_of_other_commodities_and_elements(
    client: Any, study: Any, found: Any, commodity: str, element: str
) -> None:
    answer = page(client, f"/chokepoints?bloc=pair&commodity={commodity}&element={element}")
    assert answer.status_code == 200
    look = look_of(study, element, commodity)
    assert singles_sentence(found, look) in html.unescape(answer.text)
    assert len(body_rows(answer.text)) == int((~found.table(look)["proved_nil"]).sum())


def test_a_failure_is_told_before_it_is_tried_again() -> None:
    """Work that fails between two looks of a page is not begun anew until somebody was told."""
    from atlas.errors import SolverFailure
    from atlas.web_job_queue import Jobs

    jobs, starts = Jobs(settings({})), []

    def work(progress: Any) -> None:
        starts.append(1)
        raise SolverFailure("no optimum")

    first = jobs.get("k", work)
    assert first.finished(10.0)
    again = jobs.get("k", work)
    assert again is first
    assert len(starts) == 1
    with pytest.raises(SolverFailure):
        _ = again.result
    assert jobs.get("k", work).finished(10.0)
    assert len(starts) == 2

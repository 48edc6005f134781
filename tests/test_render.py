"""Pages of an outcome: whole, safe, repeatable, small; stretches of routes; words and figures."""

import json
import re
from html.parser import HTMLParser
from typing import Any

import folium
import numpy as np
import pytest
from fake_outcome import HOSTILE, fake_layers, fake_outcome
from shapely.geometry import LineString

from atlas import render, render_map, render_words
from atlas.errors import BadInput
from atlas.render_arcs import arcs, decode, encode, encode_all
from atlas.render_data import amount, json_text, payload, web_address
from atlas.render_style import BUYERS, buyer_swatch, radius_px, width_px
from atlas.render_words import describe, percent, tonnes, words


class Page(HTMLParser):
    """Collects what a browser would load, run and show."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.data, self.text, self._inside = "", [], ("", {})
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self._inside = (tag, dict(attrs))
        self.tags.append(self._inside)

    def handle_endtag(self, tag: str) -> None:
        self._inside = ("", {})

    def handle_data(self, data: str) -> None:
        if self._inside[1].get("id") == "atlas-data":
            self.data += data
        elif self._inside[0] not in ("script", "style"):
            self.text.append(data)


@pytest.fixture(scope="module")
def html() -> str:
    return render.page(fake_outcome())


@pytest.fixture(scope="module")
def read(html: str) -> Page:
    return Page(html)


def test_page_is_a_folium_map_without_foreign_files(html: str, read: Page) -> None:
    assert issubclass(render_map.AtlasMap, folium.Map)
    loads = [
        (t, a.get("src") or a.get("href")) for t, a in read.tags if t in ("script", "link", "img", "iframe", "source")
    ]
    assert all(where is None or where.startswith("data:") for _, where in loads), loads
    assert not re.search(r"jquery|bootstrap|awesome|@import", html, flags=re.IGNORECASE)
    assert html.count('class="folium-map"') == 1
    assert 'src="http' not in html
    assert len(html.encode()) < 4_000_000


def test_page_is_the_same_every_time(html: str) -> None:
    assert render.page(fake_outcome()) == html
    assert 'id="map_001"' in html
    assert not re.search(r"map_[0-9a-f]{32}", html)


def test_hostile_names_stay_text(html: str, read: Page) -> None:
    assert HOSTILE in {p["name"] for p in json.loads(read.data)["places"]}
    assert "<img src=x" not in html
    assert not [a for _, a in read.tags if any(k.startswith("on") for k in a)]
    assert not [t for t, _ in read.tags if t == "img"]
    assert read.data.count("<") == 0
    assert "Evil </script><img" in "".join(read.text), "shown as text in the table of changed units"


def test_hostile_title_and_sentence_are_escaped() -> None:
    outcome = fake_outcome()
    outcome.sentence = HOSTILE
    outcome.notes = [HOSTILE]
    page = Page(render.page(outcome, title=HOSTILE))
    assert not [t for t, _ in page.tags if t == "img"]
    assert "".join(page.text).count("Evil </script><img") >= 4


def test_scripts_and_styles_are_covered_by_the_policy(html: str, read: Page) -> None:
    policy = next(
        a["content"] for t, a in read.tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    )
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    scripts, styles = render.csp_hashes(html)
    assert len(scripts) == sum(t == "script" and "type" not in a for t, a in read.tags)
    assert all(h in policy for h in (*scripts, *styles))
    assert not [a for _, a in read.tags if "style" in a], "style attributes need an unsafe policy"


def test_linked_page_names_shipped_files_only() -> None:
    page = Page(render.page(fake_outcome(), standalone=False, asset_base="/static/abc"))
    files = [
        a.get("src") or a.get("href")
        for t, a in page.tags
        if (t == "script" and "src" in a) or (t == "link" and a.get("rel") == "stylesheet")
    ]
    root = render.data_dir("templates") / "static"
    assert len(files) >= 6
    assert all((root / str(f).removeprefix("/static/abc/")).is_file() for f in files)


def test_online_tiles_are_off_unless_asked_for(html: str) -> None:
    assert "openstreetmap.org" not in html
    assert "tile.openstreetmap.org" in render.page(fake_outcome(), tiles=True)


def test_views() -> None:
    assert '"view": "after"' in render.page(fake_outcome(), view="after")
    base = render.page(fake_outcome(()), view="change")
    assert '"view": "before"' in base, "without a halt there is one view"
    assert "data-show" not in re.sub(r"<script.*?</script>", "", base, flags=re.DOTALL)
    with pytest.raises(BadInput, match="chagne.*change"):
        render.page(fake_outcome(), view="chagne")


def test_focus() -> None:
    outcome = fake_outcome()
    assert render.focus_box("170,-10,-160,20", outcome) == [170, -10, -160, 20]
    west, south, east, north = render.focus_box("us-allies", outcome)
    assert -180 <= west < east <= 180
    assert -90 < south < north < 90
    assert render.focus_box("EST", outcome)[0] > 20
    for wrong in ("1,2,3", "a,b,c,d", "0,50,10,40", "nan,0,1,1", "0,0,inf,1"):
        with pytest.raises(BadInput):
            render.focus_box(wrong, outcome)
    with pytest.raises(BadInput, match="us-allies"):
        render.focus_box("us-alies", outcome)


def test_payload_says_what_the_outcome_says() -> None:
    outcome = fake_outcome()
    data = payload(outcome)
    for column, state in ((2, "baseline"), (3, "halted")):
        moved = outcome.flows[(outcome.flows["state"] == state) & (outcome.flows["route_id"] != "")]["tonnes"].sum()
        assert sum(w[column] for w in data["ways"]) == pytest.approx(moved, rel=1e-3)
    assert data["drawn"] == {"min_t": 0.5, "share": 1.0, "flows": 31, "of": 31}
    assert data["halted"]["country"] == ["CHN"]
    assert {p["id"] for p in data["places"]} >= set(outcome.layers.facilities.index)
    planned = next(p for p in data["places"] if p["id"] == "javascript-mine")
    assert "link" not in planned, "javascript: is no address to link to"
    assert not planned["active"]


def test_way_over_the_pacific_is_one_line() -> None:
    data = payload(fake_outcome())
    lines = [decode(a) for a in data["arcs"]]
    assert max(float(np.abs(np.diff(p[:, 0])).max()) for p in lines) < 180
    assert any(p[:, 0].max() > 180 for p in lines), "longitudes run on across the antimeridian"
    assert all(-180 <= p[0, 0] < 180 for p in lines)


def test_many_flows_are_thinned_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atlas.render_data.MAX_FLOWS", 12)
    outcome = fake_outcome()
    drawn = payload(outcome)["drawn"]
    assert 12 <= drawn["flows"] < 16, "rows alike at the threshold stay together"
    assert 0.9 < drawn["share"] < 1
    assert "of the tonnes that move" in render.page(outcome)


def test_unknown_ends_do_not_break_a_page() -> None:
    outcome = fake_outcome()
    outcome.flows.loc[outcome.flows.index[0], "from_id"] = "new-unit"
    outcome.flows["to_country"] = outcome.flows["to_country"].replace("JPN", "XXX")
    assert render.page(outcome)


def test_halted_things() -> None:
    halts = (
        "facility:kuantan@0.5",
        "operator:lynas",
        "port:CNSHA",
        "passage:malacca",
        "border:CHN-MMR",
        "stage:CHN/metal@0.5",
    )
    found = payload(fake_outcome(halts))["halted"]
    assert found["facility"] == ["baotou-metal", "kuantan", "mt-weld"]
    assert found["port"] == ["CNSHA"]
    assert found["passage"] == ["malacca"]
    assert found["border"] == ["CHN-MMR"]


# ---- stretches


def rebuilt(made: Any, k: int) -> np.ndarray:
    points: list[list[float]] = []
    for signed in made.routes[k]:
        part = made.lines[abs(signed) - 1][:: 1 if signed > 0 else -1]
        if points:
            part = part + [360 * round((points[-1][0] - part[0, 0]) / 360), 0]
            assert np.allclose(points[-1], part[0], atol=2e-4)
        points += part.tolist()
    return np.array(points)


def test_stretches_rebuild_every_route() -> None:
    outcome = fake_outcome()
    lines = [outcome.geometry(r) for r in outcome.flows["route_id"].unique() if r]
    made = arcs(lines, 0.0)
    for k, line in enumerate(lines):
        again = LineString(rebuilt(made, k))
        assert again.length == pytest.approx(line.length, abs=1e-2)
        assert abs(again.coords[0][1] - line.coords[0][1]) < 1e-3
    assert sum(map(len, made.lines)) < sum(len(g.coords) for g in lines) / 2, "shared stretches stand once"


def test_stretches_of_odd_lines() -> None:
    made = arcs(
        [LineString(), LineString([(1, 1), (1, 1)]), LineString([(0, 0), (1, 1)]), LineString([(361, 1), (360, 0)])],
        0.0,
    )
    assert made.routes[:2] == [[], []]
    assert made.routes[2] == [1]
    assert made.routes[3] == [-1], "the same edge a turn further east, the other way"
    loop = arcs([LineString([(0, 0), (1, 0), (1, 1), (0, 0)]), LineString([(0, 0), (1, 1), (1, 0), (0, 0)])], 0.0)
    assert [len(r) for r in loop.routes] == [1, 1]
    assert loop.routes[1] == [-loop.routes[0][0]]
    assert arcs([], 0.1).lines == []


def test_a_route_may_end_midway_along_another() -> None:
    long, part = LineString([(0, 0), (1, 0), (2, 0), (3, 0)]), LineString([(0, 0), (1, 0), (2, 0)])
    made = arcs([long, part], 0.0)
    assert [len(r) for r in made.routes] == [2, 1]
    assert made.routes[0][0] == made.routes[1][0]


def test_encoding_is_the_polyline_format() -> None:
    assert encode(np.array([[38.5, -120.2], [40.7, -120.95], [43.252, -126.453]]), 5) == "_p~iF~ps|U_ulLnnqC_mqNvxq`@"
    xy = np.array([[-170.123, 45.1], [190.2, -80.111], [0.0, 0.0]])
    assert np.allclose(decode(encode(xy)), xy)
    assert encode_all([xy, xy[:1]]) == [encode(xy), encode(xy[:1])]


# ---- words


def test_words_carry_figures() -> None:
    said = words(fake_outcome())
    assert said.title == "Halted: exports of China (magnets)"
    cards = {c.label: c.value for c in said.cards}
    assert cards["Magnets short"] == "23,400\u00a0t"
    assert cards["Allied demand met"] == "41.5 %"
    assert cards["Cost of supply"] == "+234 USD/t"
    captions = [t.caption for t in said.tables]
    assert captions[:3] == ["Short by country", "Short by sector", "Short by grade"]
    assert words(fake_outcome(name="Trade war")).title == "Trade war"
    assert words(fake_outcome(name="halts")).title.startswith("Halted")
    assert words(fake_outcome(())).title == "Rare-earth flows, 2024"


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("country:CHN", "exports of China"),
        ("country:CHN:USA@0.5/Dy,magnet", "50 % of exports of China to United States (Dy, magnets)"),
        ("country:CHN:us-allies", "exports of China to us-allies"),
        ("stage:CHN/metal@0.5", "50 % of metal making in China"),
        ("facility:kuantan", "Lynas Malaysia"),
        ("operator:lynas", "all units of Lynas Rare Earths"),
        ("port:CNSHA", "port of Shanghai"),
        ("passage:malacca", "Malacca Strait"),
        ("border:CHN-MMR", "border China – Myanmar"),
        ("odd", "odd"),
    ],
)
def test_halts_in_words(spec: str, text: str) -> None:
    assert describe(spec, fake_layers()) == text


def test_figures_in_words() -> None:
    assert [tonnes(v) for v in (0.2, 3.14159, 12345.6)] == ["0\u00a0t", "3.1\u00a0t", "12,346\u00a0t"]
    assert [percent(v) for v in (0, 0.0001, 0.1234, 0.99999, 1)] == ["0 %", "<0.1 %", "12.3 %", "99.9 %", "100 %"]
    assert amount(123456.7) == 123500
    assert amount(float("nan")) is None


def test_sizes_grow_with_tonnes() -> None:
    assert width_px(0) < width_px(10_000) < width_px(100_000)
    assert radius_px(100_000) == pytest.approx(2 * radius_px(25_000))


def test_json_is_strict_and_safe_inside_a_page() -> None:
    text = json_text({"a": float("nan"), "b": np.float64(1.5), "c": "</script>\u2028\ud800", "d": (np.int64(3), None)})
    assert "<" not in text
    assert "\u2028" not in text
    assert json.loads(text) == {"a": None, "b": 1.5, "c": "</script>\u2028?", "d": [3, None]}


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "//x", "https://a b", 'https://x"onerror=', "", None]
)
def test_only_web_addresses_are_linked(url: str | None) -> None:
    assert web_address(url) == ""


# ---- buyers, transshipment, stocks, prices


def test_a_buyer_stands_first_and_on_the_map() -> None:
    outcome = fake_outcome(more=True)
    data, said = payload(outcome), words(outcome)
    buyer = next(p for p in data["places"] if p["id"] == "stuttgart-works")
    assert buyer["at"] == [9.18, 48.78]
    assert (buyer["buyer"], buyer["wanted"], buyer["baseline"], buyer["halted_t"]) == ("part", 300, 300, 45)
    k = data["places"].index(buyer)
    assert {data["places"][lane[0]]["id"] for lane in data["lanes"] if lane[1] == k} == {"ningbo-magnet", "jpn-magnet"}
    assert said.buyers[0].state == "part short"
    assert "Wants 300\u00a0t of SH (automotive other, Germany); gets 45.0\u00a0t, before 300\u00a0t." in said.buyers[0].said
    assert said.buyers[0].suppliers.rows == [
        ("Ningbo magnets", "300\u00a0t", "0\u00a0t"),
        ("Shin-Etsu and Proterial", "0\u00a0t", "45.0\u00a0t"),
    ]
    html = render.page(outcome)
    assert html.index("Your buyers") < html.index('class="cards"')
    assert "Buyer, part short" in html


def test_what_a_buyer_gets_from_no_plant_is_from_stock() -> None:
    outcome = fake_outcome(more=True)
    outcome.summary["halted"]["buyers"]["stuttgart-works"]["supplied_t"] = 100.0
    assert ("from stock", "0\u00a0t", "55.0\u00a0t") in words(outcome).buyers[0].suppliers.rows


@pytest.mark.parametrize(("part", "state"), [(1.0, "met"), (0.5, "part"), (0.0, "none")])
def test_states_of_buyers_differ_in_shape_too(part: float, state: str) -> None:
    outcome = fake_outcome(more=True)
    outcome.summary["halted"]["buyers"]["stuttgart-works"] |= {"supplied_t": 300.0 * part, "by_supplier_t": {}}
    assert next(p for p in payload(outcome)["places"] if "buyer" in p)["buyer"] == state
    assert len({str(buyer_swatch(s)).count("<polygon") for s in ("met", "none")}) == 2
    assert BUYERS["part"][1] == 0.5


def test_transshipped_flows_are_lanes_of_their_own() -> None:
    data = payload(fake_outcome(more=True))
    detours = [lane for lane in data["lanes"] if len(lane) > 4]
    assert [lane[3:] for lane in detours] == [["standard", "VNM"]]
    assert data["detours"]
    assert "Round a ban" in render.page(fake_outcome(more=True))


def test_notices_and_other_changes() -> None:
    said = words(fake_outcome(more=True))
    assert [n.split(":")[0] for n in said.notices] == ["Transshipment is on", "Draw 7", "Parameters changed"]
    assert "Vietnam; 900\u00a0t do" in said.notices[0]
    assert "transshipment_share 0.5 (else 0.3)" in said.notices[2]
    assert said.changes == [
        "stuttgart-works buys 200 t of SH magnet from ningbo-magnet",
        "50 t let go: Dy metal of JPN",
        "priority stuttgart-works: class 1",
    ]
    tables = {t.caption: t for t in said.tables}
    assert tables["Went round a ban"].rows == [("Vietnam", "900\u00a0t")]
    assert tables["Let go from stock"].rows == [("Dy metal of JPN", "50.0\u00a0t", "30.0\u00a0t")]
    assert ("SH", "lower", "0\u00a0t", "120\u00a0t") in tables["Met by another grade"].rows
    assert said.confidence.startswith("61\u00a0% of the tonnes rest on estimates (C)")


def test_prices_tell_the_kinks() -> None:
    tables = {t.caption: t for t in words(fake_outcome()).tables}
    risen = tables["Price of scarcity, USD/t: rose most"]
    assert risen.rows[0] == ("SH magnet", "Germany and 1 more", "900", "1,404,900\u00a0*")
    assert "not a market price" in risen.note
    assert "* neither exactly" in risen.note
    prices = tables["Prices of magnets after, thousand USD/t"]
    assert prices.heads == ("Country", "SH")
    assert dict(prices.rows) == {"China": "0.4\u00a0−", "Germany": "1,405\u00a0*", "United States": "1,403"}


def test_nothing_is_told_where_nothing_happened() -> None:
    said, page = words(fake_outcome(())), render.page(fake_outcome(()))
    assert [*said.buyers, *said.notices, *said.changes] == []
    assert not any("rice" in t.caption for t in said.tables)
    for text in ("Your buyers", "Round a ban", 'class="note"', "Also changed", "Let go"):
        assert text not in re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL)


def test_a_scenarios_own_plant_is_a_place() -> None:
    outcome = fake_outcome()
    outcome.summary["scenario"]["facilities"] = [
        {"id": "own-plant", "name": HOSTILE, "stage": "magnet", "country": "USA", "lon": -80.0, "lat": 34.0, "capacity_t": 100}
    ]
    outcome.flows.loc[outcome.flows["to_id"] == "jpn-magnet", "to_id"] = "own-plant"
    data = payload(outcome)
    place = next(p for p in data["places"] if p["id"] == "own-plant")
    assert place["at"] == [-80.0, 34.0]
    assert any(lane[1] == data["places"].index(place) for lane in data["lanes"])


def test_hostile_buyers_stay_text() -> None:
    outcome = fake_outcome(more=True)
    for state in ("baseline", "halted"):
        outcome.summary[state]["buyers"]["stuttgart-works"] |= {"sector": HOSTILE, "by_supplier_t": {HOSTILE: 45.0}}
    outcome.summary["scenario"]["contracts"][0] = {**outcome.summary["scenario"]["contracts"][0], "supplier": HOSTILE}
    outcome.scenario.note = HOSTILE
    page = Page(render.page(outcome))
    assert not [t for t, _ in page.tags if t == "img"]


def test_a_cheaper_tonne_under_a_halt_is_explained() -> None:
    outcome = fake_outcome()
    before, after = outcome.summary["baseline"], outcome.summary["halted"]
    after["unit_spend_usd_t"] = 1.1 * before["unit_spend_usd_t"]
    assert not [n for n in render_words.words(outcome).notes if "no gain" in n]
    after["unit_spend_usd_t"] = 0.9 * before["unit_spend_usd_t"]
    assert [n for n in render_words.words(outcome).notes if "no gain" in n]

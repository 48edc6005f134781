"""What scripts and notebooks get: study.run, tables that add up, maps that show themselves, clear errors."""

import datetime as dt
import html
import pickle
import re
import subprocess
import sys
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any

import folium
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from fake_outcome import HOSTILE, fake_outcome
from small_study import small_study

import atlas
from atlas import export, notebook
from atlas.errors import AtlasError, BadInput, NoPath
from atlas.notebook_answer import Answer
from atlas.notebook_html import number
from atlas.notebook_map import lines_map, literal

FETCHED = r'<(?:script|link|img|iframe)\b[^>]*(?:src|href)="https?:'


@lru_cache(maxsize=1)
def study() -> notebook.Study:
    return notebook.Study.of(small_study())


@lru_cache(maxsize=1)
def answer() -> Answer:
    return study().run(halts=["country:CHN/magnet"])


def hostile() -> Answer:
    return Answer(fake_outcome())


# importing ------------------------------------------------------------------------------------------------------------


def test_import_is_light() -> None:
    heavy = ("pandas", "numpy", "geopandas", "shapely", "folium", "matplotlib", "flask", "scipy", "networkx", "osmnx")
    script = f"import sys, atlas; dir(atlas); print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_all_names_are_there() -> None:
    assert set(atlas.__all__) <= set(dir(atlas))
    assert atlas.Study is notebook.Study
    assert atlas.Answer is Answer
    assert issubclass(atlas.BadInput, atlas.AtlasError)
    with pytest.raises(AttributeError, match="no attribute 'opne'"):
        _ = atlas.opne  # type: ignore[attr-defined]
    assert (Path(atlas.__file__).parent / "py.typed").is_file()


# asking ---------------------------------------------------------------------------------------------------------------


def test_a_study_of_the_core_and_one_for_notebooks_share_what_they_know() -> None:
    core, own = small_study(), study()
    assert isinstance(own, type(core))
    assert own.solve(["passage:malacca"]) is core.solve(["passage:malacca"])
    assert own.run(["passage:malacca"]).outcome is core.solve(["passage:malacca"])
    back = pickle.loads(pickle.dumps(own))  # noqa: S301  # our own, as worker processes get it
    assert isinstance(back, notebook.Study)
    assert back.year == own.year


def test_ways_to_ask_for_the_same() -> None:
    run = study().run
    asked = [run("passage:malacca"), run(["passage:malacca"]), run(scenario={"halt": [{"spec": "passage:malacca"}]})]
    assert len({a.summary["halted"]["objective_usd"] for a in asked}) == 1
    assert run(scenario="malacca-closes").name == study().scenarios.loc["malacca-closes", "name"]
    path = study().scenarios.loc["malacca-closes", "path"]
    assert run(scenario=path).outcome is run(scenario=Path(path)).outcome
    assert run().name == "baseline"
    assert run().outcome.is_baseline


def test_passages_that_are_opened() -> None:
    both = study().run(["passage:suez"], open="northern-sea-route")
    assert "northern-sea-route" in both.outcome.scenario.opened
    assert both.outcome.scenario.specs == ("passage:suez",)
    alone = study().run(open=["northern-sea-route"])
    assert alone.summary["scenario"]["opened"] == ["northern-sea-route"]


def test_a_day_may_be_text_or_date() -> None:
    run = study().run
    early, late = run(scenario="april-2025", on="2025-05-15"), run(scenario="april-2025", on=dt.date(2025, 7, 1))
    assert early.summary["scenario"]["on"] == "2025-05-15"
    assert len(early.summary["scenario"]["halts"]) > len(late.summary["scenario"]["halts"])


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(BadInput) as failed:
        study().run(["passage:malaca", 5], scenario={"hlat": 1}, bloc="us-aliies", on="soon", open=["northwst"])  # type: ignore[list-item]
    told = "\n".join(failed.value.problems)
    for part in ("malacca", "'5' is not a text", "hlat", "us-allies", "'soon' is not a date", "northwest"):
        assert part in told
    assert len(failed.value.problems) == len(set(failed.value.problems))


def test_unknown_names_offer_the_nearest() -> None:
    for ask, near in (
        (lambda: study().run(scenario="malaca-closes"), "malacca-closes"),
        (lambda: study().route("lynas-kuantn", "JPYOK"), "lynas-kuantan"),
        (lambda: study().trace("vac-hanu"), "vac-hanau"),
        (lambda: study().chokepoints(among="facilty", progress=False), "facility"),
        (lambda: study().chokepoints(bloc="us-aliies", progress=False), "us-allies"),
        (lambda: study().find("malacca", "pasage"), "passage"),
        (lambda: answer().map(view="chnage"), "change"),
        (lambda: answer().map(focus="eu28"), "eu27"),
        (lambda: answer().write("x.geojson", layer="flow"), "flows"),
    ):
        with pytest.raises(BadInput, match=near):
            ask()
    with pytest.raises(BadInput, match="top 0"):
        study().chokepoints(top=0, progress=False)


def test_threads_may_share_a_study() -> None:
    found: list[Any] = []
    halts = ["port:MYKUA", "port:JPYOK", "port:MYKUA", "port:JPYOK"]
    threads = [threading.Thread(target=lambda h=h: found.append(study().run([h]).flows.shape[0])) for h in halts]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(found) == 4
    assert min(found) > 0


# tables ---------------------------------------------------------------------------------------------------------------


def test_flows_are_those_of_flows_csv_with_geometry() -> None:
    flows, plain = answer().flows, export.flows_csv(answer().outcome)
    assert isinstance(flows, gpd.GeoDataFrame)
    assert flows.columns[0] == "lane_id"
    pd.testing.assert_frame_equal(
        pd.DataFrame(flows[list(plain.columns)]).reset_index(drop=True), plain.reset_index(drop=True)
    )
    assert flows.index.is_unique
    assert flows.crs == "EPSG:4326"
    routed = flows[flows["route_id"] != ""]
    assert (routed.bounds["maxx"] <= 180).all()
    assert (routed.bounds["minx"] >= -180).all()
    assert set(routed["lane_id"]) <= set(answer().changes.index)


def test_ids_stay_from_halt_to_halt() -> None:
    other = study().run(["passage:malacca"])
    before = answer().flows.query("state == 'baseline'")
    assert list(before.index) == list(other.flows.query("state == 'baseline'").index)
    joined = answer().changes[["halted_t"]].join(other.changes[["halted_t"]], suffixes=("_a", "_b"), how="inner")
    assert len(joined) > 0.8 * len(other.changes)


@pytest.mark.parametrize("key", ["country", "sector", "grade"])
def test_shortage_adds_up(key: str) -> None:
    table, summary = answer().shortage, answer().summary
    for state in ("baseline", "halted"):
        told = pd.Series(summary[state][f"shortage_by_{key}"], dtype=float)
        found = table.groupby(key)[f"{state}_t"].sum().loc[lambda t: t > 1e-6]
        assert found.to_dict() == pytest.approx(told.to_dict(), rel=1e-5)
        assert table[f"{state}_demand_t"].sum() == pytest.approx(summary[state]["demand_t"], rel=1e-5)
    assert np.allclose(table["change_t"], table["halted_t"] - table["baseline_t"])


def test_imports_output_and_throughput_add_up() -> None:
    summary = answer().summary
    for state in ("baseline", "halted"):
        s = summary[state]
        imports = {
            (a, c, b): t for a, by in s["imports_t"].items() for c, of in by.items() for b, t in of.items()
        }
        keys = ["importer", "commodity", "exporter"]
        found = answer().imports.groupby(keys)[f"{state}_t"].sum().loc[lambda t: t > 0]
        assert found.to_dict() == pytest.approx(imports, rel=1e-5)
        output = {(g, c): t for g, of in s["stage_output_t"].items() for c, t in of.items()}
        made = answer().output.set_index(["stage", "country"])[f"{state}_t"]
        assert made[made > 0].to_dict() == pytest.approx(output, rel=1e-5)
        through = {(k, i): t for k, of in s["throughput_t"].items() for i, t in of.items()}
        passed = answer().throughput.set_index(["kind", "id"])[f"{state}_t"]
        assert passed[passed > 0].to_dict() == pytest.approx(through, rel=1e-5)
        priced = answer().prices.query("commodity == 'oxide' and element == 'Nd'").set_index("country")
        told = s["prices_usd_t"]["oxide"]["Nd"]
        assert priced[f"{state}_usd_t"].dropna().to_dict() == pytest.approx(told, rel=1e-5)


def test_places_carry_what_passes_them() -> None:
    ports, passed = answer().ports, answer().throughput.query("kind == 'port'").set_index("id")
    assert ports.loc[passed.index, "halted_t"].to_dict() == pytest.approx(passed["halted_t"].to_dict(), rel=1e-5)
    assert {"baseline_t", "halted_t", "change_t"} <= set(answer().passages.columns)
    made = answer().facilities.loc["vac-hanau"]
    assert made["halted_t"] == pytest.approx(answer().outcome.facilities.loc["vac-hanau", "halted_t"])


def test_replaced_and_key_figures() -> None:
    assert answer().replaced.to_dict("records") == answer().summary["replaced"]
    figures, s = answer().key_figures, answer().summary
    assert figures.loc["shortage_t", "halted"] == s["halted"]["shortage_t"]
    assert figures.loc["bloc_origin_share/mine", "baseline"] == s["baseline"]["bloc_origin_share"]["mine"]
    assert set(study().run().replaced.columns) == {"importer", "commodity", "from_country", "to_country", "tonnes"}


def test_tables_are_copies() -> None:
    a = answer()
    summary = a.summary
    summary["halted"]["shortage_t"] = -1.0
    flows = a.flows
    flows["tonnes"] = 0.0
    facilities = study().facilities
    facilities["name"] = ""
    assert a.summary["halted"]["shortage_t"] >= 0
    assert a.flows["tonnes"].sum() > 0
    assert (study().facilities["name"] != "").all()
    with pytest.raises(AttributeError):
        a.outcome = None  # type: ignore[misc, assignment]


def test_answers_side_by_side() -> None:
    other = study().run(["passage:malacca"])
    table = answer().compare(other)
    assert list(table.columns) == ["unit", "baseline", "country:CHN/magnet", "passage:malacca", "difference"]
    row = table.loc[("bloc", "bloc_supplied_share")]
    assert row["difference"] == pytest.approx(row["passage:malacca"] - row["country:CHN/magnet"])
    for wrong, told in (
        ((), "2 to 4"), ((answer(),), "2 times"), ((study().run(bloc="eu27"),), "its bloc is eu27"),
    ):  # fmt: skip
        with pytest.raises(BadInput, match=told):
            answer().compare(*wrong)


@pytest.mark.slow
def test_chokepoints_of_a_few_kinds(capsys: pytest.CaptureFixture[str]) -> None:
    table = study().chokepoints(among=["passage"], top=3)
    assert isinstance(table, gpd.GeoDataFrame)
    assert len(table) == 3
    assert set(table["kind"]) == {"passage"}
    assert table["lost_t"].is_monotonic_decreasing
    assert "losing one thing at a time" in capsys.readouterr().err


# showing --------------------------------------------------------------------------------------------------------------


def test_an_answer_shows_itself_as_plain_html() -> None:
    for shown in (answer(), study(), study().run()):
        page = shown._repr_html_()
        assert "<table>" in page
        assert "<script" not in page
        assert "color" not in page  # the notebook's own, in light and dark
        assert "\n" not in repr(shown)
    assert html.escape(answer().sentence) in answer()._repr_html_()
    assert "<th" in study().run()._repr_html_()
    assert "halted" not in re.findall(r"<th[^>]*>(\w*)</th>", study().run()._repr_html_())


def test_names_of_a_scenario_are_escaped() -> None:
    evil = study().run(scenario={"name": HOSTILE, "halt": [{"spec": "passage:malacca"}]})
    assert "<img" not in evil._repr_html_()
    page = evil.map().get_root().render()
    assert "<img src=x" not in page
    assert "<img" not in evil.map()._repr_html_().split("srcdoc=")[0]


def test_numbers_are_written_with_their_unit() -> None:
    assert number(1234.5, "t/year") == "1,234\u00a0t"
    assert number(0.123, "share") == "12.3\u00a0%"
    assert number(0.05, "share", signed=True) == "+5.0\u00a0points"
    assert number(-0.001, "km", signed=True) == "0\u00a0km"
    assert number(float("nan"), "t/year") == number(None) == "-"


def test_a_map_is_a_folium_map_that_shows_and_saves_itself(tmp_path: Path) -> None:
    shown = hostile().map(view="before", title="Mine & yours")
    assert isinstance(shown, folium.Map)
    frame = shown._repr_html_()
    assert frame.count("<iframe") == 1
    assert 'title="Mine &amp; yours"' in frame
    assert html.unescape(re.search(r'srcdoc="([^"]*)"', frame).group(1)) == shown.get_root().render()  # type: ignore[union-attr]
    shown.save(tmp_path / "map.html")
    assert (tmp_path / "map.html").read_text(encoding="utf-8") == shown.get_root().render()
    assert not re.search(FETCHED, shown.get_root().render())
    with pytest.raises(BadInput):
        shown.save(tmp_path / "map.txt")
    with pytest.raises(BadInput):
        shown.save(tmp_path / "none" / "map.html")
    with (tmp_path / "open.html").open("wb") as file:
        shown.save(file, close_file=False)
    assert (tmp_path / "open.html").read_bytes() == (tmp_path / "map.html").read_bytes()


def test_more_may_be_laid_over_a_map() -> None:
    shown = hostile().map()
    plain = shown.get_root().render()
    folium.CircleMarker([50.1, 8.9], radius=7).add_to(shown)
    first, second = shown.get_root().render(), shown.get_root().render()
    assert "[50.1, 8.9]" in first
    assert "[50.1, 8.9]" not in plain
    assert first == second
    assert next(iter(shown._children.values())).get_root() is shown.get_root()
    scripts = re.findall(r"script-src ([^\"]*)\"", first)[0]
    assert scripts != re.findall(r"script-src ([^\"]*)\"", plain)[0]  # its script is allowed to run, and no other


def test_a_route_with_its_table_and_map() -> None:
    way = study().route("lynas-kuantan", "JPYOK")
    assert isinstance(way.table, gpd.GeoDataFrame)
    assert way.table["distance_km"].sum() == pytest.approx(way.distance_km)
    assert way.geometry.equals(way.line)
    assert way.to_json() == small_study().route("lynas-kuantan", "JPYOK").to_json()
    page = way.map().get_root().render()
    assert "L.polyline" in page
    assert "Sea: MYKUA to JPYOK" in page
    assert not re.search(FETCHED, page)
    assert "luzon" in way._repr_html_()
    assert "km" in repr(way)
    assert study().route("lynas-kuantan", "JPYOK", close="luzon").passages != way.passages


def test_routes_across_the_pacific() -> None:
    ways = study().route("CNSHA", "USLAX", alternatives=2, modes="sea")
    assert [type(w).__name__ for w in ways] == ["Journey", "Journey"]
    assert ways.table["cost_usd_t"].is_monotonic_increasing
    assert (ways.table.bounds["maxx"] <= 180).all()
    assert ways[0].line.bounds[2] > 180
    assert "way 2. Sea" in ways.map().get_root().render()
    assert ways._repr_html_().count("<tr>") == 3
    assert len(repr(ways).splitlines()) == 2


def test_a_way_that_does_not_exist() -> None:
    none = study().route("CNSHA", "SADMM", modes=["sea"], close=["hormuz"])
    assert not none.reachable
    assert none.reason in none._repr_html_()
    assert none.geometry.is_empty
    assert len(none.table) == 0
    assert none.reason in repr(none)
    with pytest.raises(NoPath):
        none.map()


def test_a_trace_with_its_shares_and_paths(tmp_path: Path) -> None:
    found = answer().trace("vac-hanau", element="Nd")
    assert found.shares.query("stage == 'mine' and by == 'country'")["share"].sum() == pytest.approx(1.0)
    assert isinstance(found.paths, gpd.GeoDataFrame)
    assert found.paths.index.is_unique
    assert (found.paths.bounds["maxx"] <= 180).all()
    assert html.escape(found.sentence) in found._repr_html_()
    assert "L.polyline" in found.map().get_root().render()
    assert found.trace.to_json() == study().trace("vac-hanau", halts="country:CHN/magnet", element="Nd").trace.to_json()
    found.write(tmp_path / "trace.csv")
    assert (tmp_path / "trace.csv").read_text(encoding="utf-8").startswith("direction,")
    with pytest.raises(BadInput):
        found.write(tmp_path / "trace.xlsx")


def test_labels_of_lines_can_break_out_of_nothing() -> None:
    line = gpd.GeoSeries.from_wkt(["LINESTRING (0 0, 190 10)"])
    table = gpd.GeoDataFrame({"label": [HOSTILE]}, geometry=line, crs="EPSG:4326")
    page = lines_map(table, study().countries, HOSTILE).get_root().render()
    assert "<img" not in page
    script = page.rsplit("<script>", 1)[1]
    assert "onerror" in script
    assert "`$" not in script
    assert "${7" not in script
    assert literal("`${a}\\`") == "&#96;&#36;&#123;a&#125;&#92;&#96;"
    assert isinstance(lines_map(table.iloc[:0], study().countries, "none")._repr_html_(), str)


# files ----------------------------------------------------------------------------------------------------------------


def test_the_name_says_the_format(tmp_path: Path) -> None:
    a = answer()
    assert a.write(tmp_path / "summary.json") == tmp_path / "summary.json"
    assert a.write(tmp_path / "changes.geojson").stat().st_size > 1000
    assert a.write(tmp_path / "mine.csv", layer="ports").read_text(encoding="utf-8").startswith("id,")
    assert gpd.read_file(a.write(tmp_path / "passages.gpkg"), layer="passages").shape[0] == len(a.passages)
    assert "<html" in a.write(tmp_path / "halt.html").read_text(encoding="utf-8")
    for name, told in (("mine.csv", "say which layer"), ("x.doc", "must end in|say which layer")):
        with pytest.raises(BadInput, match=told):
            a.write(tmp_path / name)
    for name in ("a/flows.csv", "a/b.json", "a/b.html", "a/b.png"):
        with pytest.raises(AtlasError):
            a.write(tmp_path / name)
    # GDAL writes .aux.xml beside what it reads
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.endswith(".aux.xml")) == [
        "changes.geojson", "halt.html", "mine.csv", "passages.gpkg", "summary.json",
    ]  # fmt: skip


@pytest.mark.slow
def test_a_folder_of_results(tmp_path: Path) -> None:
    folder = hostile_free().write(tmp_path / "halt")
    assert sorted(p.name for p in folder.iterdir()) == sorted(export.RESULT_FILES)
    with pytest.raises(BadInput, match="not empty"):
        hostile_free().write(folder)
    hostile_free().write(folder, force=True)


def hostile_free() -> Answer:
    return study().run(["passage:malacca"])


# types ----------------------------------------------------------------------------------------------------------------

OUTSIDE = """
import geopandas
import atlas

study = atlas.open("here", year=2025)
answer = study.run(halts=["passage:malacca"], on="2025-01-01")
short: float = answer.summary["halted"]["shortage_t"]
name: str = answer.sentence
answer.map(view="side").save("x.html")
way = study.route("a", (1.0, 2.0), close="suez")
days: float | None = way.days
study.route("a", "b", alternatives=3).map()
reveal_type(answer)
reveal_type(way)
answer.map(veiw="side")
study.run(halt=["passage:malacca"])
"""


@pytest.mark.slow
def test_types_are_seen_from_outside(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(OUTSIDE, encoding="utf-8")
    words = [sys.executable, "-m", "mypy", "--strict", "--ignore-missing-imports", "--cache-dir", str(tmp_path / "c"),
             "--follow-imports=silent", str(tmp_path / "mine.py")]  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, timeout=600)
    assert 'Revealed type is "atlas.notebook_answer.Answer"' in done.stdout
    assert 'Revealed type is "atlas.notebook_routes.Journey"' in done.stdout
    errors = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert len(errors) == 2, done.stdout
    assert "veiw" in errors[0]
    assert '"halt"' in errors[1]

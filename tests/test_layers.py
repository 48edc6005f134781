"""The layers: shipped data hold, broken data are refused with every problem, overlays, search, blocs, duties."""

import datetime as dt
import shutil

import geopandas as gpd
import pandas as pd
import pytest

from atlas import layers as layers_module
from atlas.config import SETTINGS, Settings, data_dir, settings
from atlas.errors import AtlasError, BadInput, LayerError, NoPath, SolverFailure, UnknownName, WriteFailure, nearest
from atlas.layers import check_table, open_layers, problems

PORTS = [
    "CNSHA", "CNTXG", "CNNGB", "CNSZX", "HKHKG", "JPYOK", "JPUKB", "KRPUS", "SGSIN", "MYKUA", "MYPKG", "VNHPH",
    "THLCH", "INNSA", "AEJEA", "SADMM", "LKCMB", "EGPSD", "TRIST", "ROCND", "GBFXT", "NLRTM", "DEHAM", "BEANR",
    "FRLEH", "PLGDN", "EETLL", "SESTO", "ESALG", "ITGOA", "ZACPT", "ZADUR", "NGLOS", "BRSSZ", "USLAX", "USLGB",
    "USSFO", "USOAK", "USSEA", "USNYC", "USSAV", "USHOU", "CAVAN", "MXZLO", "CLVAP", "AUSYD", "AUFRE", "AUMEL",
    "NZAKL", "RULED", "RUNVS",
]
PASSAGES = [
    "suez", "bab-el-mandeb", "hormuz", "malacca", "singapore", "sunda", "lombok", "makassar", "luzon", "taiwan",
    "korea", "tsugaru", "la-perouse", "bering", "panama", "magellan", "cape-horn", "cape-of-good-hope", "gibraltar",
    "dover", "danish-straits", "kiel", "dardanelles", "bosporus", "mozambique-channel", "torres", "northwest",
    "northern-sea-route",
]
BLOCS = [
    "us-allies", "us-allies-core", "eu27", "quad", "five-eyes", "g7", "nato", "msp", "us-fta", "brics", "prc",
]


@pytest.fixture(scope="module")
def world():
    return open_layers()


def write(directory, name, text):
    directory.mkdir(exist_ok=True)
    (directory / name).write_text(text, encoding="utf-8")
    return directory


def test_shipped_layers_have_no_problem(world):
    found = problems()
    assert found.empty, found.to_string()
    table = check_table().set_index("layer")
    assert set(table.index) == set(world.schema.layers)
    assert (table["problems"] == 0).all()
    assert table.loc["facilities", "count"] >= 300
    assert table.loc["facilities", "free_text_feeds"] > 0
    assert table["share_on_c"].dropna().between(0, 1).all()


def test_the_contract_names_stand_in_the_layers(world):
    assert set(PORTS) <= set(world.ports.index)
    assert len(world.ports) >= 150
    assert set(PASSAGES) == set(world.passages.index)
    shut = set(world.passages.index[~world.passages["default_open"]])
    assert shut == {"northwest", "northern-sea-route"}
    assert set(BLOCS) <= set(world.bloc_names)
    assert {"lynas", "mp-materials"} <= set(world.operators.index)


def test_tables_are_typed_and_indexed(world):
    assert world.facilities.index.name == "id"
    assert world.facilities.index.is_monotonic_increasing
    assert world.facilities.crs == "EPSG:4326"
    assert isinstance(world.facilities["feeds"].iloc[0], tuple)
    assert world.countries.index.name == "iso3"
    assert world.parameters["blank_to_finished"] == pytest.approx(0.72)
    assert world.constants["sea_freight_usd_t_km"] > 0
    assert world.table("parameters") is world.parameter_rows
    assert len(world.digest) == 64
    assert world.digest == open_layers().digest
    with pytest.raises(UnknownName, match="facilities"):
        world.table("facilites")


def test_transport_constants_that_routing_needs(world):
    for name in ("sea", "rail", "road", "air"):
        assert world.constants[f"{name}_freight_usd_t_km"] > 0
        assert world.constants[f"{name}_speed_km_day"] > 100
    order = [world.constants[f"value_usd_t_{c}"] for c in ("concentrate", "magnet", "oxide", "metal")]
    assert order == sorted(order)
    raw = world.transport[world.transport["used"] == "no"]
    assert raw.index.str.startswith("raw-").sum() == 103


def test_us_allies_is_the_union_the_contract_defines(world):
    union = {"USA", "JPN", "KOR", "AUS"}.union(*(world.bloc(b) for b in ("nato", "five-eyes", "quad", "eu27")))
    assert world.bloc("us-allies") == union
    assert world.bloc("us-allies") - world.bloc("us-allies-core") == {"TUR", "IND"}
    assert len(world.bloc("eu27")) == 27
    assert "EUU" not in set(world.blocs["country"])
    assert world.bloc("eu27") <= world.bloc("msp")


def test_blocs_are_dated_and_misspelt_ones_refused(world):
    assert "SWE" not in world.bloc("nato", on=dt.date(2024, 1, 1))
    assert "SWE" in world.bloc("nato", on=dt.date(2024, 4, 1))
    with pytest.raises(UnknownName, match="us-allies") as refused:
        world.bloc("us-alies")
    assert "us-allies" in refused.value.nearest
    with pytest.raises(UnknownName):
        world.bloc("")


@pytest.mark.parametrize(
    ("text", "kind", "wanted"),
    [
        ("lynas", "operator", "lynas"),
        ("Bayan Obo", "facility", "bayan-obo"),
        ("mountain pass", "site", "mountain-pass"),
        ("mountain pass", "facility", "mountain-pass-mine"),
        ("Malaca", "passage", "malacca"),
        ("bab el mandeb", "passage", "bab-el-mandeb"),
        ("rotterdm", "port", "NLRTM"),
        ("CNSHA", "port", "CNSHA"),
        ("türkiye", "country", "TUR"),
        ("Turkey", "country", "TUR"),
        ("south korea", "country", "KOR"),
        ("us allies", "bloc", "us-allies"),
        ("shin etsu", "operator", "shin-etsu"),
        ("kuantn", "facility", "lynas-kuantan"),
    ],
)
def test_find(world, text, kind, wanted):
    hits = world.find(text)
    assert (wanted, kind) in set(zip(hits["id"], hits["kind"], strict=True))
    only = world.find(text, kinds=[kind])
    assert wanted in only["id"].head(3).tolist()
    assert set(only["kind"]) == {kind}
    assert list(hits.columns) == ["id", "kind", "name", "country"]


def test_find_refuses_and_finds_nothing(world):
    assert world.find("<script>alert(1)</script>").empty
    assert world.find("zzzzqqqq").empty
    for bad in ("", "   ", "x" * 1000):
        with pytest.raises(BadInput):
            world.find(bad)
    with pytest.raises(UnknownName, match="facility"):
        world.find("lynas", kinds=["facilty"])
    assert len(world.find("a")) <= 50


def test_duties_of_a_day(world):
    def on(y, m, d):
        return dt.date(y, m, d)

    assert world.tariff_pct("USA", "CHN", "magnet") == pytest.approx(2.1)
    assert world.tariff_pct("USA", "CHN", "magnet", on(2025, 4, 20)) == pytest.approx(2.1 + 20 + 125)
    assert world.tariff_pct("USA", "CHN", "magnet", on(2026, 3, 1)) == pytest.approx(2.1 + 25 + 10)
    assert world.tariff_pct("CHN", "USA", "concentrate", on(2025, 4, 20)) == 125
    assert world.tariff_pct("USA", "JPN", "magnet", on(2025, 9, 1)) == 15
    assert world.tariff_pct("USA", "KOR", "magnet") == 0
    assert world.tariff_pct("DEU", "CHN", "magnet") == pytest.approx(2.2)
    assert world.tariff_pct("DEU", "FRA", "magnet") == 0
    assert world.tariff_pct("DEU", "JPN", "magnet") == 0
    assert world.tariff_pct("CHN", "CHN", "magnet") == 0
    assert world.tariff_pct("IND", "CHN", "oxide", on(2024, 7, 1)) == 7.5
    assert world.tariff_pct("IND", "CHN", "oxide", on(2024, 8, 1)) == 0
    assert world.tariff_pct("ZAF", "CHN", "magnet") == 0


def test_table_of_duties_agrees_with_single_duties(world):
    duties = world.tariff_table()
    for key in (("USA", "CHN", "magnet"), ("DEU", "CHN", "metal"), ("FRA", "DEU", "oxide"), ("KOR", "CHN", "magnet")):
        assert duties[key] == world.tariff_pct(*key)
    assert min(duties.values()) == 0


def test_an_overlay_changes_rows_by_id_and_keeps_the_rest(world, tmp_path):
    over = write(tmp_path / "mine", "facilities.csv", "id,capacity_t\nlynas-kuantan,99999\n")
    opened = open_layers(over)
    assert opened.facilities.loc["lynas-kuantan", "capacity_t"] == 99999
    assert opened.facilities.loc["lynas-kuantan", "name"] == world.facilities.loc["lynas-kuantan", "name"]
    pd.testing.assert_frame_equal(
        pd.DataFrame(opened.facilities.drop("lynas-kuantan")), pd.DataFrame(world.facilities.drop("lynas-kuantan"))
    )
    assert opened.digest != world.digest


def test_replace_mode_takes_the_whole_file(tmp_path):
    over = write(tmp_path / "mine", "settings.toml", 'mode = "replace"\n')
    shutil.copy(data_dir("layers") / "stock.csv", over)
    text = (over / "stock.csv").read_text(encoding="utf-8").splitlines()
    (over / "stock.csv").write_text(text[0] + "\n" + text[1].replace("chn-metal-2024", "other") + "\n", encoding="utf-8")
    assert list(open_layers(over).stock.index) == ["other"]


def test_a_copy_of_the_layers_changes_nothing(world, tmp_path):
    shutil.copytree(data_dir("layers"), tmp_path / "copy", ignore=shutil.ignore_patterns("network"))
    for mode in ("overlay", "replace"):
        opened = open_layers(write(tmp_path / "copy", "settings.toml", f'mode = "{mode}"\n'))
        for name in world.schema.layers:
            pd.testing.assert_frame_equal(pd.DataFrame(opened.table(name)), pd.DataFrame(world.table(name)))
    write(tmp_path / "copy", "schema.csv", "layer\n")
    with pytest.raises(LayerError, match="differs from the shipped schema"):
        open_layers(tmp_path / "copy")


def test_a_broken_overlay_lists_every_problem(tmp_path):
    over = write(
        tmp_path / "bad", "facilities.csv",
        "id,country,stage,lon,capacity_t,output_t,operator_ids,feeds,source_id\n"
        "lynas-kuantan,USA,separaton,500,1,2,lynus,not-there,nowhere\n"
        "bayan-obo,CHN,mine\n",
    )
    write(over, "facilites.csv", "id\n")
    write(over, "ports.csv", "id,nmae\nCNSHA,x\n")
    write(over, "passages.geojson", '{"type": "FeatureCollection", "features": [NaN]}')
    with pytest.raises(LayerError) as refused:
        open_layers(over)
    said = "\n".join(refused.value.problems)
    for part in (
        "'separaton'; expected one of mine, separation", "nearest: lynas", "nearest: facilities.csv", "nearest: name",
        "NaN is not a number", "has 3 cells; expected 9", "above capacity_t", "'nowhere' is not in sources",
        "'not-there' is not in facilities", "row lynas-kuantan, lon: is 500",
    ):
        assert part in said, f"{part}\n---\n{said}"
    assert refused.value.exit_code == 2
    assert isinstance(refused.value, ValueError)
    assert check_table(over)["problems"].sum() == len(problems(over)) == len(refused.value.problems)


def test_rules_between_columns(tmp_path):
    over = write(
        tmp_path / "rules", "facilities.csv",
        "id,country,nd_share,start_year,end_year,status,unit,product,feeds\n"
        "bayan-obo,USA,0.99,2030,2000,operating,t_metal,oxide,bayan-obo\n",
    )
    write(over, "sector_grades.csv", "id,share\nev-sh,0.9\n")
    write(over, "tariffs.csv", "id,from,to\nusa-any-magnet-mfn-850511,2025-01-01,2024\n")
    said = " | ".join(problems(over)["problem"])
    for part in (
        "km from USA", "sum to 1.", "before start_year", "expected at most 2026", "expected t_reo", "concentrate",
        "names the unit itself", "expected 1", "before from",
    ):
        assert part in said, f"{part} --- {said}"


def test_row_order_of_an_overlay_does_not_matter_but_duplicates_do(tmp_path):
    over = write(tmp_path / "order", "ports.csv", "id,dwell_days\nUSLAX,5\nCNSHA,4\n")
    assert open_layers(over).ports.loc[["CNSHA", "USLAX"], "dwell_days"].tolist() == [4, 5]
    write(over, "ports.csv", "id,dwell_days\nUSLAX,5\nUSLAX,4\n")
    assert "stands 2 times" in " ".join(problems(over)["problem"])


@pytest.mark.parametrize("text", ["", "\n\n", "id\x00,x\n", 'id,name\n"open', "\xff\xfe"])
def test_files_that_are_no_table_are_refused(tmp_path, text):
    over = write(tmp_path / "junk", "ports.csv", text)
    with pytest.raises(LayerError):
        open_layers(over)


def test_bytes_that_are_not_utf8_are_refused(tmp_path):
    (tmp_path / "operators.csv").write_bytes(b"id,name\nx,\xff\xfe\n")
    with pytest.raises(LayerError, match="UTF-8"):
        open_layers(tmp_path)


def test_bad_addresses_and_settings(tmp_path):
    with pytest.raises(BadInput, match="neither a directory"):
        open_layers(tmp_path / "nowhere")
    with pytest.raises(BadInput, match="cannot be read"):
        open_layers(write(tmp_path, "x.gpkg", "not a geopackage") / "x.gpkg")
    with pytest.raises(BadInput, match="expected overlay or replace"):
        open_layers(write(tmp_path / "s", "settings.toml", 'mode = "merge"\n'))
    with pytest.raises(BadInput, match="unknown setting"):
        open_layers(write(tmp_path / "s", "settings.toml", 'mood = "replace"\n'))
    with pytest.raises(BadInput, match="settings.toml"):
        open_layers(write(tmp_path / "s", "settings.toml", "mode ="))
    with pytest.raises(BadInput, match="cannot be read|two more packages"):
        open_layers("postgresql://nobody@127.0.0.1:1/none?connect_timeout=1")


def test_a_geopackage_of_facilities_is_an_overlay(world, tmp_path):
    row = world.facilities.loc[["lynas-kuantan"]].reset_index()[["id", "name", "geometry"]]
    row["name"] = "Renamed <plant>"
    gpd.GeoDataFrame(row, crs="EPSG:4326").to_crs("EPSG:3857").to_file(tmp_path / "plants.gpkg", layer="plants")
    opened = open_layers(tmp_path / "plants.gpkg")
    assert opened.facilities.loc["lynas-kuantan", "name"] == "Renamed <plant>"
    assert opened.facilities.loc["lynas-kuantan", "lon"] == pytest.approx(world.facilities.loc["lynas-kuantan", "lon"])


def test_scenarios_of_an_overlay_are_found(tmp_path):
    over = tmp_path / "o"
    over.mkdir()
    write(over / "scenarios", "taiwan-closed.toml", 'name = "Strait of Taiwan closed"\n')
    opened = open_layers(over)
    assert opened.scenarios["taiwan-closed"].name == "taiwan-closed.toml"
    assert "taiwan-closed" in set(opened.find("taiwan closed", kinds=["scenario"])["id"])


def test_unsorted_shipped_rows_are_a_problem(monkeypatch, tmp_path):
    copy = tmp_path / "layers"
    shutil.copytree(data_dir("layers"), copy, ignore=shutil.ignore_patterns("network"))
    lines = (copy / "operators.csv").read_text(encoding="utf-8").splitlines()
    lines[1], lines[2] = lines[2], lines[1]
    (copy / "operators.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (copy / "grades.csv").unlink()
    monkeypatch.setattr("atlas.layer_files.data_dir", lambda name: copy)
    said = " | ".join(problems()["problem"])
    assert "not sorted by id" in said
    assert "file grades.csv is missing" in said


def test_every_source_is_a_real_reference(world):
    urls = world.sources["url"]
    assert urls[urls != ""].is_unique
    assert urls[urls == ""].index.isin(["general-knowledge", "atlas-estimate"]).all()
    for name in ("natural-earth", "searoute", "openstreetmap", "unlocode"):
        assert name in world.sources.index


def test_errors_are_what_a_stranger_would_catch():
    assert issubclass(UnknownName, LookupError)
    assert issubclass(SolverFailure, RuntimeError)
    assert issubclass(WriteFailure, OSError)
    assert NoPath("no way").exit_code == 1
    error = BadInput(["first", "second"])
    assert (error.problems, str(error), error.exit_code) == (["first", "second"], "first; second", 2)
    assert str(UnknownName("facility or port", "x")) == "unknown facility or port 'x'; expected a facility or port id, or lon,lat; try `atlas find`"
    assert str(UnknownName("bloc", "x")) == "unknown bloc 'x'"
    unknown = UnknownName("passage", "malaca" * 100, ["malacca"])
    assert len(str(unknown)) < 150
    assert isinstance(unknown, AtlasError)


def test_nearest_names():
    assert nearest("malaca", ["malacca", "sunda"]) == ["malacca"]
    assert nearest("Türk", ["turkey", "chile"]) == ["turkey"]
    assert nearest("", ["a"]) == []
    assert nearest("nowhere", ["wicheeda", "NOTRD", "INENR"]) == []
    assert [nearest(wrong, ["CHN", "SGSIN"]) for wrong in ("CNH", "CHM", "SGSNI", "SGXX")] == [["CHN"], ["CHN"], ["SGSIN"], []]
    assert nearest("CHN-USA", ["CAN-USA", "CHN-MMR", "AUT-CHE"]) == ["CAN-USA", "CHN-MMR"]
    assert nearest("lynas", ["SLFNA", "lynas-kuantan"]) == ["lynas-kuantan", "SLFNA"]
    assert nearest("kuantan", ["lynas-kuantan", "x"]) == ["lynas-kuantan"]


def test_settings():
    assert settings({}) == Settings()
    assert set(Settings.__dataclass_fields__) == {name for name, *_ in SETTINGS}
    assert {name: getattr(Settings(), name) for name in Settings.__dataclass_fields__} == {s[0]: s[1] for s in SETTINGS}
    assert settings({"ATLAS_PORT": "80", "ATLAS_TILES": "on"}, host=None).port == 80
    assert settings({}, port=9000).port == 9000
    with pytest.raises(BadInput) as refused:
        settings({"ATLAS_PORT": "99999", "ATLAS_TILES": "maybe"}, prot=1)
    assert len(refused.value.problems) == 3
    with pytest.raises(BadInput, match="missing"):
        data_dir("nothing")


def test_module_reads_nothing_at_import():
    assert not any(isinstance(v, pd.DataFrame) for v in vars(layers_module).values())

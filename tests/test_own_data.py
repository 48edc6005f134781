"""Own data: other chains, the worked example of gallium, own passages, what the check says, the template, the words."""

import re
import shlex
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from shapely.geometry import LineString
from small_study import write_layers

from atlas import cli, layers, study
from atlas.chain import read_chain, shipped_chain
from atlas.chain_words import reworded, reworded_page, reworded_table
from atlas.config import data_dir, settings
from atlas.errors import BadInput
from atlas.halt import Names, parse_halt
from atlas.layer_files import read_raw
from atlas.network_edges import _crossed
from atlas.own_layers import own_files, problem_lines
from atlas.own_template import columns_table, examples, write_template
from atlas.schema import read_schema, schema_of

GALLIUM = data_dir("layers") / "examples" / "gallium"
DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "own-data.md"


@lru_cache(maxsize=1)
def gallium() -> Any:
    return study.open(GALLIUM, settings=settings({}, cache_dir="off", workers=1))


@pytest.fixture
def chain(tmp_path: Path) -> Any:
    def read(text: str) -> Any:
        (tmp_path / "chain.toml").write_text(text, encoding="utf-8")
        return read_chain(tmp_path / "chain.toml")

    return read


# Chains ---------------------------------------------------------------------------------------------------------------


def test_the_shipped_chain_is_rare_earths() -> None:
    c = shipped_chain()
    assert c.elements == ("Nd", "Pr", "Dy", "Tb", "Sm")
    assert c.keys == ("NdPr", "Dy", "Tb", "Sm")
    assert c.of("NdPr") == ("Nd", "Pr")
    assert c.key("Pr") == "NdPr"
    assert c.of("Ga") == ()
    assert c.pair_bounds == ("ndpr_pr_min", "ndpr_pr_max")
    assert c.pair_usual == "swarf_pr_in_ndpr"
    assert set(c.metal_yield.values()) | {*c.pair_bounds, c.pair_usual} <= set(read_ids("parameters"))


def read_ids(layer: str) -> list[str]:
    return [str(i) for i in read_raw(None).tables[layer]["id"]]


def test_a_chain_without_a_pair_counts_each_element(chain: Any) -> None:
    c = chain('id = "x"\nname = "x"\nelements = ["Ga", "Ge"]\n')
    assert c.keys == c.elements == c.usual == ("Ga", "Ge")
    assert not c.pair
    assert c.tokens == {"Ga": ("Ga",), "Ge": ("Ge",)}
    assert c.yield_name("Ge") == "metal_yield_ge"


def test_everything_wrong_in_a_chain_is_told_at_once(chain: Any) -> None:
    with pytest.raises(BadInput) as told:
        chain('id = "x"\nelemnts = ["Ga"]\n')
    assert any("nearest: elements" in p for p in told.value.problems)
    assert len(told.value.problems) == 3
    with pytest.raises(BadInput) as told:
        chain('id="x"\nname="x"\nelements=["gallium"]\nusual=["Ge"]\nkeeps_raw=["China"]\n')
    assert len(told.value.problems) == 3


def test_the_schema_of_another_chain_has_its_columns(chain: Any) -> None:
    shipped = read_schema(data_dir("layers") / "schema.csv")
    made = schema_of(shipped, shipped_chain(), read_chain(GALLIUM / "chain.toml"))
    assert "ga_share" in made.of("facilities")
    assert not {"nd_share", "sm_share"} & set(made.of("facilities"))
    assert "ga_t_per_t" in made.of("grades")
    assert made.of("facilities")["elements"].allowed == "dated:Ga"
    assert made.layers == shipped.layers
    assert schema_of(shipped, shipped_chain(), shipped_chain()) is shipped


def test_a_chain_needs_a_folder_that_replaces(tmp_path: Path) -> None:
    (tmp_path / "chain.toml").write_text((GALLIUM / "chain.toml").read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(BadInput, match='mode = "replace"'):
        read_raw(tmp_path)


# Gallium --------------------------------------------------------------------------------------------------------------


def test_gallium_solves_with_its_certificate_and_only_its_element() -> None:
    out = gallium().solve(["country:CHN/concentrate,metal,oxide"])
    for state in ("baseline", "halted"):
        proof = out.summary["certificate"][state]
        assert max(abs(v) for v in proof.values()) < 1e-6
        made = out.summary[state]["stage_output_element_t"]
        assert {e for by in made.values() for e in by} == {"Ga"}
    assert out.summary["baseline"]["shortage_t"] < 1e-6 < 1 < out.summary["halted"]["shortage_t"]
    assert set(out.flows["element"]) == {"", "Ga"}
    share = out.summary["baseline"]["stage_output_t"]["mine"]
    assert share["CHN"] / sum(share.values()) == pytest.approx(0.99, abs=0.01)


def test_halts_know_the_elements_of_the_chain_alone() -> None:
    names: Names = gallium().names
    assert parse_halt("country:CHN/Ga", names).elements == {"Ga"}
    with pytest.raises(BadInput, match="Dy"):
        parse_halt("country:CHN/Dy", names)


def test_every_row_of_gallium_has_a_source_and_estimates_say_so() -> None:
    held = gallium().layers
    own = set(read_ids("sources"))
    for layer in ("facilities", "demand", "targets", "costs"):
        table = held.table(layer)
        assert not set(table["source_id"]) - set(held.sources.index)
        assert set(table["confidence"]) <= {"A", "B", "C"}
        backed = table[table["confidence"] != "C"]["source_id"]
        assert all(held.sources.at[s, "url"] for s in backed if s not in own), layer
    assert 15 <= len(held.facilities) <= 60


# Words ----------------------------------------------------------------------------------------------------------------


def test_words_change_for_people_and_ids_stay() -> None:
    c = read_chain(GALLIUM / "chain.toml")
    assert reworded("Magnets from the mine; country:CHN/magnet, x-mine, magnet_t", c) == (
        "Wafers from the crude gallium; country:CHN/magnet, x-mine, magnet_t")
    page = '<a href="/x?halt=magnet" title="magnets">magnet</a><script>var magnet = "magnet";</script>'
    assert reworded_page(page, c) == (
        '<a href="/x?halt=magnet" title="wafers">wafer</a><script>var magnet = "magnet";</script>')
    assert reworded_table('{"magnet": 1}', c) == '{"magnet": 1}'
    assert reworded("magnets", shipped_chain()) == "magnets"


def test_layers_of_a_map_are_named_in_the_words_of_the_chain() -> None:
    page = '<script>x = {"\\u003c/svg\\u003e Magnet makers" : atlas_layer_015, "magnet": 1}</script>'
    assert reworded_page(page, read_chain(GALLIUM / "chain.toml")) == page.replace("Magnet makers", "Wafer makers")


def test_data_in_a_page_keeps_its_ids() -> None:
    page = '<script type="application/json">{"stage":"magnet","said":"All magnets","Label":"Magnets"}</script>'
    made = reworded_page(page, read_chain(GALLIUM / "chain.toml"))
    assert '"stage":"magnet"' in made
    assert "All wafers" in made
    assert '"Label":"Wafers"' in made


# Passages, check, template --------------------------------------------------------------------------------------------


def test_a_gate_of_ones_own_takes_the_lanes_it_crosses_over_the_date_line() -> None:
    steps = np.array([[100_0, 0], [10_0, 0], [179_0, 5_0], [4_0, 0]]) * 10_000
    sea = {"line_start": np.array([0, 2, 4]), "line_step": steps}
    class Gates(list):  # type: ignore[type-arg]
        pass

    gates = Gates([LineString([(105, -1), (105, 1)]), LineString([(-178, 0), (-178, 9)]), LineString([(0, 0), (0, 9)])])
    assert _crossed(sea, gates, 28) == [(0, 28), (1, 29)]  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_layers(tmp_path)
    return tmp_path


def test_problems_name_file_line_and_way_out(tmp_path: Path) -> None:
    (tmp_path / "facilities.csv").write_text(
        "id,stage,lon,lat,country,source_id\nmt-weld,mine,122.5,-28.8,AUS,nobody\nnew-one,metl,1,2,DEUX,atlas-estimate\n",
        encoding="utf-8")
    told = "\n".join(problem_lines(tmp_path, layers.problems(tmp_path).to_dict("records")))
    assert "facilities.csv, line 2: facilities mt-weld source_id: 'nobody' is not in sources" in told
    assert "add a row with that id to your sources.csv" in told
    assert "line 3: facilities new-one stage: is 'metl'" in told
    assert "nearest: DEU" in told


def test_what_each_file_does_is_told(tmp_path: Path) -> None:
    (tmp_path / "ports.csv").write_text("id,dwell_days\nMYKUA,9\nCNSHA,3.5\n", encoding="utf-8")
    one = own_files(tmp_path)[0]
    assert (one.layer, one.added, one.changed) == ("ports", (), {"MYKUA": ("dwell_days",)} | one.changed)


def test_the_template_passes_its_check_and_never_overwrites(tmp_path: Path) -> None:
    target = tmp_path / "mine"
    names = write_template(target)
    assert {"facilities.csv", "passages.geojson", "README.md"} <= set(names)
    layers.open_layers(target)  # raises with every problem
    with pytest.raises(BadInput, match="not empty"):
        write_template(target)
    with pytest.raises(BadInput, match="gallium"):
        write_template(tmp_path / "x", "galium")
    assert examples() == ("gallium",)


def test_the_example_is_copied_whole(tmp_path: Path) -> None:
    write_template(tmp_path / "ga", "gallium")
    for path in (p for p in GALLIUM.rglob("*") if p.is_file()):
        assert (tmp_path / "ga" / path.relative_to(GALLIUM)).read_bytes() == path.read_bytes()


# The document ---------------------------------------------------------------------------------------------------------


def test_the_document_has_every_column_of_facilities() -> None:
    schema = read_schema(data_dir("layers") / "schema.csv")
    text = DOCUMENT.read_text(encoding="utf-8")
    for layer in ("facilities", "demand", "passages", "ports", "blocs", "tariffs", "sources"):
        for line in columns_table(schema, layer):
            assert line in text, (layer, line)


def test_toml_of_the_document_is_toml() -> None:
    for block in re.findall(r"```toml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL):
        tomllib.loads(block)


@pytest.mark.slow
def test_commands_of_the_document_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = re.findall(r"```(?:csv|geojson) (\S+)\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    for name, text in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    for block in re.findall(r"```sh\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL):
        for line in (x for x in block.splitlines() if x.startswith("atlas ") and " serve" not in x):
            done = CliRunner().invoke(cli.main, shlex.split(line, comments=True)[1:])
            assert done.exit_code == 0, (line, done.output[-500:])


@pytest.mark.slow
def test_a_passage_of_ones_own_can_be_halted(folder: Path) -> None:
    write_template(folder / "own")
    made = study.open(folder / "own", settings=settings({}, cache_dir="off", workers=1))
    line = made.router.network
    bit = np.uint64(1) << np.uint64(line.passage_ids.index("my-strait"))
    assert ((line.edges.passages & bit) != 0).any()
    open_way = made.route("AUMEL", "AUSYD")
    assert "my-strait" in made.names.passage
    assert open_way.reachable
    assert made.solve(["passage:my-strait"]).summary["scenario"]["halts"] == ["passage:my-strait"]

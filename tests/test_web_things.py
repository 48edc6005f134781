"""A page each for facility, company, country, port and passage: figures are those of the answer, links hold its state."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fake_outcome import HOSTILE, fake_outcome, fake_study
from small_study import small_study

from atlas.config import settings
from atlas.facility_facts import facility_facts, ramp
from atlas.known_losses import known_loss
from atlas.losses import lens
from atlas.place_facts import country_facts, operator_facts, through_facts
from atlas.singles import singles
from atlas.web import create_app
from atlas.world import build_world
from tests.invented import invent
from tests.test_web_chokepoints import mapped

PAGES = ("/facility/kuantan", "/operator/lynas", "/country/CHN", "/port/CNSHA", "/passage/malacca")


class Named(SimpleNamespace):
    """An invented study that tells itself from others, as a study does."""

    __hash__ = object.__hash__


@pytest.fixture(scope="module")
def app() -> Any:
    made = create_app(fake_study(), settings({}))
    yield made
    made.extensions["atlas"].close()


@pytest.fixture
def client(app: Any) -> Any:
    return app.test_client()


@pytest.fixture(scope="module")
def real() -> Any:
    """A small study that solves, with its baseline."""
    study = small_study()
    return SimpleNamespace(study=study, outcome=study.solve())


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("state", ["", "?halt=country:CHN/magnet&bloc=prc", "?view=change"])
def test_every_thing_has_a_page(client: Any, path: str, state: str) -> None:
    page = client.get(path + state)
    assert page.status_code == 200
    data = json.loads(re.search(r'id="atlas-data">(.*?)</script>', page.text, re.DOTALL).group(1))
    assert data["places"]
    assert page.text.count("<h1") == 1


@pytest.mark.parametrize("path", PAGES)
def test_json_is_the_twin_and_refuses_what_the_map_alone_knows(client: Any, path: str) -> None:
    told = client.get(f"/api{path}?halt=country:CHN/magnet").get_json()
    assert told["id"] == path.rpartition("/")[2]
    assert told["halts"] == ["country:CHN/magnet"]
    assert told["state"] == "halted"
    assert client.get(f"/api{path}?view=change").status_code == 400


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("/facility/kuatan", "/facility/kuantan"), ("/operator/lynass", "/operator/lynas"),
        ("/country/Germany", "/country/DEU"), ("/passage/malaca", "/passage/malacca"), ("/port/DEHMA", "/port/DEHAM"),
    ],
)  # fmt: skip
def test_an_unknown_id_is_not_found_and_leads_to_what_is_near(client: Any, path: str, near: str) -> None:
    page = client.get(path, headers={"Accept": "text/html"})
    assert page.status_code == 404
    assert f'href="{near}"' in page.text
    told = client.get("/api" + path)
    assert told.status_code == 404
    assert near.rpartition("/")[2] in told.get_json()["error"]


@pytest.mark.parametrize("query", ["x=1", "halt=country:QQQ", "bloc=nobody", "scenario=nothing"])
def test_a_state_that_cannot_be_is_refused(client: Any, query: str) -> None:
    assert client.get(f"/facility/kuantan?{query}").status_code == 400
    assert client.get(f"/api/facility/kuantan?{query}").status_code == 400


def test_links_hold_the_state(client: Any) -> None:
    page = client.get("/facility/kuantan?halt=country:CHN/magnet&bloc=prc").text
    assert 'href="/map?halt=facility:kuantan&amp;halt=country:CHN/magnet&amp;bloc=prc"' in page
    assert 'href="/api/facility/kuantan?halt=country:CHN/magnet&amp;bloc=prc"' in page


def test_a_planned_unit_that_is_not_modelled_says_so(client: Any) -> None:
    page = client.get("/facility/javascript-mine").text
    assert "planned" in page
    assert "The model does not run it: tonnage not published" in page
    assert "/map?halt=facility:javascript-mine" not in page
    assert "javascript:alert" not in page
    assert client.get("/api/facility/javascript-mine").get_json()["made"] == {}


def test_hostile_names_stay_text(client: Any) -> None:
    for path in ("/facility/serra-verde", "/port/BRSSZ", "/country/BRA"):
        page = client.get(path).text
        assert "<img src=x" not in page
        assert "Evil" in page
    assert client.get("/api/facility/serra-verde").get_json()["name"] == HOSTILE
    assert "<b>x" not in client.get("/facility/%3Cb%3Ex", headers={"Accept": "text/html"}).text


def test_lanes_are_the_flows_of_both_states() -> None:
    outcome = fake_outcome()
    facts = facility_facts(fake_study(), outcome, "jpn-magnet")
    flows = outcome.flows
    for state in ("baseline", "halted"):
        own = flows[(flows["state"] == state)]
        inside = own.loc[own["to_id"] == "jpn-magnet", "tonnes"].sum()
        assert sum(r[f"{state}_t"] for r in facts.inputs) == pytest.approx(inside)
        assert sum(r[f"{state}_t"] for r in facts.outputs) == pytest.approx(
            own.loc[own["from_id"] == "jpn-magnet", "tonnes"].sum()
        )
    assert {r["from_id"] for r in facts.inputs} == {"kuantan", "ganzhou-sep", "baotou-metal"}
    assert {r["to_id"] for r in facts.outputs} == {"jpn-market", "usa-market", "deu-market"}


def test_takers_have_the_part_of_what_they_take(real: Any) -> None:
    facts = facility_facts(real.study, real.outcome, "lynas-kuantan")
    flows = real.outcome.flows
    flows = flows[flows["state"] == "baseline"]
    assert facts.customers
    for taker in facts.customers:
        into = flows[(flows["to_id"] == taker["id"]) & (flows["commodity"] == taker["commodity"])]
        from_here = into.loc[into["from_id"] == "lynas-kuantan", "tonnes"].sum()
        assert taker["tonnes"] == pytest.approx(from_here)
        assert taker["share"] == pytest.approx(from_here / into["tonnes"].sum())


def test_what_comes_in_and_goes_out_is_what_the_unit_makes(real: Any) -> None:
    """A separation plant takes the REO of its output; a magnet plant sells what it makes."""
    plant = facility_facts(real.study, real.outcome, "lynas-kuantan")
    assert sum(r["tonnes"] for r in plant.inputs) == pytest.approx(plant.made["baseline_t"], rel=1e-6)
    magnets = facility_facts(real.study, real.outcome, "shinetsu-takefu-magnet")
    sold = sum(r["tonnes"] for r in magnets.outputs if r["commodity"] == "magnet")
    assert sold == pytest.approx(magnets.made["baseline_t"], rel=1e-6)


def test_capacity_by_year_follows_the_rule_of_the_model(real: Any) -> None:
    layers = real.study.layers
    row = layers.facilities.loc["usar-stillwater-magnet"]
    told = {y: output for y, _, output in ramp(row, layers.parameters)}
    for year in (2025, 2026, 2027, 2030):
        units = build_world(layers, year).units
        made = float(units["target_t"].get("usar-stillwater-magnet", 0.0))
        assert told[year] == pytest.approx(0.0 if np.isnan(made) else made), year


def test_a_countrys_trade_is_that_of_the_summary(real: Any) -> None:
    facts = country_facts(real.study, real.outcome, "CHN")
    imports = real.outcome.summary["baseline"]["imports_t"]
    told = {g["commodity"]: {p["country"]: p["tonnes"] for p in g["partners"]} for g in facts.imports}
    assert told == {c: pytest.approx(p) for c, p in imports["CHN"].items()}
    sold = sum(p.get("CHN", 0.0) for goods in imports.values() for p in goods.values())
    assert sum(g["tonnes"] for g in facts.exports) == pytest.approx(sold)
    assert "stage:CHN/metal" in facts.presets
    for stage in facts.stages:
        whole = real.outcome.summary["baseline"]["stage_output_t"][stage["stage"]]
        assert stage["baseline_share"] == pytest.approx(stage["baseline_t"] / max(sum(whole.values()), 1e-9))


def test_presets_are_halts_that_a_study_takes(real: Any) -> None:
    for country in ("CHN", "USA", "JPN"):
        for spec in country_facts(real.study, real.outcome, country).presets:
            assert real.study.question((spec,)).specs == (spec,)


@pytest.mark.parametrize("kind", ["port", "passage"])
def test_what_passes_adds_up_to_the_throughput(real: Any, kind: str) -> None:
    through = real.outcome.summary["baseline"]["throughput_t"][kind]
    for place in list(through)[:4]:
        facts = through_facts(real.study, real.outcome, kind, place)
        assert sum(c["baseline_t"] for c in facts.by_commodity) == pytest.approx(through[place], rel=1e-5)
        assert sum(r["tonnes"] for r in facts.lanes) + facts.lanes_left[1] == pytest.approx(through[place], rel=1e-5)
        assert all(0 <= d["share"] <= 1 for d in facts.dependents)


def test_a_company_has_all_its_units(real: Any) -> None:
    facts = operator_facts(real.outcome, "lynas")
    table = real.study.layers.facilities
    assert [u["id"] for u in facts.units] == [i for i, ids in table["operator_ids"].items() if "lynas" in ids]
    assert not {c["id"] for c in facts.customers} & {u["id"] for u in facts.units}


def test_a_loss_is_told_where_it_was_solved_before(tmp_path: Path) -> None:
    study = Named(**vars(mapped(invent())))
    study.settings = settings({}, cache_dir=str(tmp_path), workers=1)
    spec = f"facility:{study.ground.stage.world.units.index[0]}"
    assert known_loss(study, spec, next(iter(study.blocs))) is None
    found = singles(study)
    spec = next(c.id for c in found.candidates if c.kind == "facility" and not c.idle)
    bloc = next(iter(study.blocs))
    look = lens(study.ground.stage.world, study.blocs, bloc, "magnet", "all")
    row = found.table(look).set_index("id").loc[spec]
    told = known_loss(study, spec, bloc)
    assert told is not None
    assert told["lost_t"] == pytest.approx(row["lost_t"])
    assert known_loss(study, "facility:nobody", bloc) is None

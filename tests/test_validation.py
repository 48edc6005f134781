"""The model against published figures: each kind by hand, the balance by element, bounds, the command and the page."""

import json
import math
import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from fake_outcome import FakeStudy, fake_study
from fake_validation import fake_figures, fake_reading, fake_targets, fake_world

from atlas import cli, validation, web
from atlas.cli_validate import validate_text
from atlas.closure import ENDS, LINES, SOURCES, closure
from atlas.config import settings
from atlas.errors import BadInput, LayerError
from atlas.published import Figures
from atlas.render_validation import NARROW, WIDE, error_plot, page_parts
from atlas.validation import RULES, Validation, validate

NOT_A_FIGURE = re.compile(r"\bNaN\b|\bInfinity\b")


class SmallStudy(FakeStudy):
    """The invented study with the summary that follows from the small chain."""

    def solve(self, *_: Any, **__: Any) -> Any:
        return SimpleNamespace(summary={"baseline": fake_figures()})


@pytest.fixture
def small() -> Validation:
    return validate(SmallStudy())  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def real(study: Any) -> Validation:
    return validate(study)


# ---- figures by hand


@pytest.mark.parametrize(
    ("name", "model", "error"),
    [
        ("t-trade", 250.0, 0.25),
        ("t-all", 350.0, -0.125),
        ("t-element", 40.0, -0.2),
        ("t-oxide", 180.0, 0.2),
        ("t-mine", 1000.0, 0.0),
        ("t-mine-usgs", 880.0, 0.1),
        ("t-mine-ree", 260.0, 0.04),
        ("t-share", 187.2 / 227.2, 187.2 / 227.2 / 0.9 - 1),
        ("t-share-dy", 1.0, 0.0),
        ("t-imports", 250 / 350, 250 / 350 / 0.8 - 1),
        ("t-gross", 800.0, -0.84),
    ],
)
def test_each_kind_by_hand(small: Validation, name: str, model: float, error: float) -> None:
    row = small.table.set_index("id").loc[name]
    assert row["model"] == pytest.approx(model)
    assert row["error_share"] == pytest.approx(error)
    if row["unit"] == "share":
        assert row["error_points"] == pytest.approx(100 * (model - row["published"]))
    else:
        assert math.isnan(row["error_points"])
    assert row["no_model"] == ""


def test_what_the_model_lacks_says_why(small: Validation) -> None:
    rows = small.table.set_index("id")
    assert math.isnan(rows.at["t-blind", "model"])
    assert "by element" in rows.at["t-blind", "no_model"]
    assert "imports none" in rows.at["t-none", "no_model"]


def test_trade_of_a_facility_and_no_domestic_trade() -> None:
    figures = Figures(fake_figures(), fake_reading().flows, lambda _: frozenset(), frozenset())
    sold = {"kind": "trade", "facility": "magnet-a", "commodity": "magnet", "to": "*"}
    assert figures.of(sold) == (250.0, "")
    assert figures.of({"kind": "trade", "commodity": "magnet", "from_country": "CHN", "to": "CHN"}) == (0.0, "")


def test_unknown_kinds_and_years_are_refused() -> None:
    figures = Figures(fake_figures(), fake_reading().flows, lambda _: frozenset(), frozenset())
    with pytest.raises(LayerError, match="feed"):
        figures.of({"kind": "feed"})
    odd = SmallStudy()
    odd.layers = type(odd.layers)(**{**vars(odd.layers), "targets": fake_targets().assign(kind="prices")})
    with pytest.raises(LayerError, match="prices"):
        validate(odd)  # type: ignore[arg-type]
    later = SmallStudy()
    later.year = 2026
    with pytest.raises(BadInput, match="2024"):
        validate(later)  # type: ignore[arg-type]


def test_totals_and_sentence(small: Validation) -> None:
    held = small.totals.iloc[1]
    assert (held["role"], held["count"], held["not_computed"], held["worst_id"]) == ("held", 7, 1, "t-trade")
    assert held["median"] == pytest.approx(0.1)
    assert small.median_held == pytest.approx(0.1)
    assert "7 comparable" in small.sentence
    assert "10.0\u00a0%" in small.sentence
    assert list(small.totals["count"]) == [3, 7, 4, 3]


def test_bounds_know_their_goals_and_what_breaks_them(small: Validation) -> None:
    b = small.bounds.set_index("id")
    assert b.at["chn-mine-share", "figure"] == pytest.approx(0.69), "China mines nothing here"
    assert b.at["chn-separation-share", "figure"] == pytest.approx(0.91 - 187.2 / 227.2)
    assert b.at["chn-metal-share", "figure"] == pytest.approx(0.06)
    assert b.at["held-median", "held"]
    assert not b.at["held-count", "held"]
    assert b.at["closure", "held"]
    assert not small.ok
    assert len(small.broken) == int((~small.bounds["held"]).sum())


@pytest.mark.parametrize(("shift", "held"), [(0.029, True), (0.031, False), (-0.031, False)])
def test_a_share_may_be_three_points_off(shift: float, held: bool) -> None:
    rule = RULES[0]
    assert (rule.off(rule.goal[0] + shift) <= rule.limit + 1e-12) is held
    wide = RULES[1]
    assert wide.off(0.915) == 0.0, "anywhere in the goal's range"


def test_no_figure_is_not_within_a_bound() -> None:
    gone = {**fake_figures(), "stage_output_t": dict.fromkeys(fake_figures()["stage_output_t"], {})}
    lost = SmallStudy()
    lost.solve = lambda: SimpleNamespace(summary={"baseline": gone})  # type: ignore[method-assign, assignment]
    found = validate(lost).bounds.set_index("id")  # type: ignore[arg-type]
    assert not found.at["chn-metal-share", "held"]
    assert math.isnan(found.at["chn-metal-share", "figure"])


# ---- balance by element


def test_balance_by_hand() -> None:
    c = closure(fake_world(), fake_reading())
    nd = {
        "mined": 200, "lost_separation": 20, "separated": 180, "recycled_swarf": 5.4, "recycled_end_of_life": 3.6,
        "surplus": 0, "powder": 0, "oxide_to_metal": 189, "lost_metal": 1.5, "metal": 187.5, "powder_in": 0, "stock": 25,
        "metal_to_magnets": 162.5, "swarf": 15, "in_magnets": 147.5, "swarf_recycled": 12, "end_of_life": 8,
        "lost_recycling": 11, "swarf_lost": 3, "difference": 0,
    }  # fmt: skip
    assert set(nd) == set(LINES)
    for line, tonnes in nd.items():
        assert c.table.at[line, "Nd"] == pytest.approx(tonnes, abs=1e-9), line
    assert c.table.at["surplus", "Pr"] == pytest.approx(5)
    assert c.table.at["in_magnets", "Dy"] == pytest.approx(5 / 0.8)
    assert c.need_share["Dy"] == pytest.approx((5 / 0.8 + 1 / 0.8) / (7.2 - 0.76 / 0.8))
    assert c.worst_share == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("column", ["lanes", "flows", "make"])
def test_a_gap_in_the_balance_is_seen(column: str) -> None:
    r = fake_reading()
    if column == "lanes":
        r.lanes.loc[r.lanes["to_id"] == "magnet-b", "t"] += 1.0
    elif column == "flows":
        r.flows.loc[r.flows["to_id"] == "stock", "tonnes"] *= 1.1
    else:
        r.make.iloc[0] *= 1.01
    assert closure(fake_world(), r).worst_share > 1e-3


def test_balance_changes_nothing_it_is_given() -> None:
    r, w = fake_reading(), fake_world()
    closure(w, r)
    pd.testing.assert_frame_equal(r.lanes, fake_reading().lanes)
    pd.testing.assert_frame_equal(r.flows, fake_reading().flows)
    pd.testing.assert_frame_equal(w.recipes, fake_world().recipes)


def test_the_real_balance_closes_for_every_element(real: Validation) -> None:
    t = real.closure.table
    entering, ending = t.loc[list(SOURCES)].sum(), t.loc[list(ENDS)].sum()
    assert (entering > 100).all()
    np.testing.assert_allclose(entering, ending, rtol=1e-9, atol=1e-6)
    assert real.closure.steps.abs().to_numpy().max() < 1e-5
    assert (t.drop(index="difference") > -1e-6).to_numpy().all()
    for total, parts in (("separated", "mined lost_separation"), ("metal", "oxide_to_metal lost_metal"),
                         ("in_magnets", "metal_to_magnets swarf")):  # fmt: skip
        plus, minus = parts.split()
        np.testing.assert_allclose(t.loc[total], t.loc[plus] - t.loc[minus], rtol=1e-9, atol=1e-6)


def test_the_world_needs_what_the_year_could_supply_of_dy_and_tb(real: Validation) -> None:
    low, high = validation.NEED_RANGE
    assert real.closure.need_share.between(low, high).all(), real.closure.need_share.to_dict()


# ---- the real model


def test_every_published_figure_has_its_row(real: Validation, layers: Any) -> None:
    assert list(real.table["id"]) == list(layers.targets.index)
    fair = real.table[real.table["comparable"] == "yes"]
    assert fair["model"].notna().all(), fair.loc[fair["model"].isna(), ["id", "no_model"]].to_dict("records")
    assert (real.table["what"].str.len() > 10).all()
    assert not real.table["what"].str.contains("nan|None").any()


def test_bounds_hold(real: Validation) -> None:
    assert real.ok, real.broken


def test_aims_stand_in_the_layers_as_published(real: Validation) -> None:
    """The bounds' goals are figures that the layers publish, but for metal, for which no source is kept."""
    rows = {b["id"]: b["rows"] for b in real.bounds.to_dict("records")}
    assert [r.id for r in RULES if not rows[r.id]] in ([], ["chn-metal-share"])
    marked = real.table[real.table["bound"] != ""]
    assert set(marked["id"]) == {i for r in RULES for i in rows[r.id]}
    assert marked["within"].map(bool).all()


def test_json_is_finite_and_whole(real: Validation, small: Validation) -> None:
    for v in (real, small):
        text = json.dumps(v.to_json(), allow_nan=False)
        told = json.loads(text)
        assert not NOT_A_FIGURE.search(text)
        assert set(told) == {"ok", "year", "sentence", "rows", "bounds", "totals", "confidence", "closure", "tuned"}
        assert len(told["rows"]) == len(v.table)
        assert [line["id"] for line in told["closure"]["lines"]] == list(LINES)
    assert small.to_json()["tuned"] == {
        "told": ["held by cost corrections at 2024"],
        "count": 1,
        "corrections": [{"what": "unit:a", "usd_t": -1200.0}],
    }


# ---- the command


def run(study: Any, *arguments: str) -> Any:
    context = {"layers": None, "year": 2024, "study": study}
    return CliRunner().invoke(cli.validate, [*arguments], obj=context, standalone_mode=False)


def test_text_has_every_row_and_fits(real: Validation, small: Validation) -> None:
    for v in (real, small):
        text = validate_text(v)
        assert max(map(len, text.split("\n"))) <= 120
        assert len(re.findall(r" (?:held|fitted) +(?:yes|no)\b", text)) == len(v.table)
        for word in ("balance, t of contained oxide", "difference", "tuned", "bound", "by confidence"):
            assert word in text


def test_command_succeeds_where_bounds_hold(study: Any, real: Validation) -> None:
    done = run(study)
    assert done.exception is None, done.output
    told = json.loads(run(study, "--json").stdout)
    assert told["ok"] is True
    assert told == json.loads(json.dumps(real.to_json()))


def test_a_broken_bound_is_exit_1_and_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "open_study", lambda _: SmallStudy())
    done = CliRunner().invoke(cli.main, ["validate"])
    assert done.exit_code == 1
    assert "error: China's share of the world's mine output: 69 points" in done.stderr
    assert "expected at most 3 points" in done.stderr
    assert "Traceback" not in done.output
    assert "balance, t of contained oxide" in done.stdout


def test_other_years_are_bad_input(monkeypatch: pytest.MonkeyPatch) -> None:
    later = SmallStudy()
    later.year = 2026
    monkeypatch.setattr(cli, "open_study", lambda _: later)
    done = CliRunner().invoke(cli.main, ["--year", "2026", "validate"])
    assert done.exit_code == 2
    assert done.stdout == ""


# ---- the page


@pytest.fixture
def client() -> Any:
    return web.create_app(fake_study(), settings({})).test_client()


def test_page_shows_every_row_and_escapes(client: Any) -> None:
    response = client.get("/validate")
    assert response.status_code == 200
    text = response.text
    rows = re.findall(r"<tr><td>(?!held|fitted)", text)
    names = len(validation.validate(fake_study()).table)  # type: ignore[arg-type]
    assert len(rows) >= names
    scripts = re.findall(r"<script[^>]*>", text)
    own = {s.rpartition("/")[2] for s in scripts if "application/json" not in s}
    assert own == {'frame.js">'}, "that of the frame, and none from the data"
    assert "gross &lt;script&gt;" in text
    assert "a note &lt;i&gt;" in text
    assert "javascript:" not in text
    assert 'aria-current="page">Accuracy' in text
    assert "<style" not in text
    assert " style=" not in text, "the policy refuses inline styles"


def test_page_asks_nobody_else(client: Any) -> None:
    response = client.get("/validate")
    loads = re.findall(r'<(?:link|img|script|iframe)[^>]*(?:href|src)="([^"]*)"', response.text)
    assert all(a.startswith(("/static/", "data:")) for a in loads), loads
    assert not re.search(r"url\(|@import", response.text)
    for name in re.findall(r'href="(/static/[^"]*)"', response.text):
        assert client.get(name).status_code == 200
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]


def test_api_is_the_json_of_the_command(client: Any) -> None:
    told = client.get("/api/validate").get_json()
    assert told == json.loads(json.dumps(validate(fake_study()).to_json()))  # type: ignore[arg-type]
    assert client.get("/api/validate?x=1").status_code == 400
    assert client.get("/validate?halt=passage:malacca").status_code == 400


def test_plots_are_told_in_words(small: Validation) -> None:
    parts = page_parts(small)
    for plot in [*parts["plots"], parts["closure"]["plot"]]:
        ids = re.search(r'aria-labelledby="([^"]+)"', plot)
        assert ids
        for i in ids[1].split():
            assert f'id="{i}"' in plot
    fair = [r for r in small.ordered if r["comparable"] == "yes" and r["error_share"] == r["error_share"]]
    assert all(p.count("<g>") == len(fair) for p in parts["plots"])
    far = [{**fair[0], "error_share": 9.0, "label": "Far & <away>"}]
    for layout in (WIDE, NARROW):
        drawn = error_plot(far, layout)
        assert "+900" in drawn, "beyond the axis: its figure is written"
        assert "Far &amp; &lt;away&gt;" in drawn
        for x in map(float, re.findall(r'[ "MLx=]x?="?(-?\d+\.\d)"', drawn)):
            assert -10 <= x <= layout.width + 10


def test_page_of_the_real_model(study: Any, real: Validation) -> None:
    text = web.create_app(study, settings({})).test_client().get("/validate").text
    for name in real.table["what"]:
        assert str(name).replace("'", "&#39;") in text
    assert text.count('class="plot') == 3
    assert f"All {len(real.bounds)} bounds hold." in text

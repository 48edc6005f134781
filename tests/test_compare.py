"""Cases side by side: figures against sums made by hand, best and worst, differences, flows that differ, the sentence."""

import copy
import math
import re
from typing import Any

import pandas as pd
import pytest
from fake_outcome import fake_layers, fake_outcome

from atlas.compare import LEAST, MOST, MOST_FLOWS, Case, Comparison, Figure, compare
from atlas.compare_words import case_label, sentence
from atlas.errors import BadInput
from atlas.render_compare import NARROW, WIDE, difference_text, lanes_plot, page_parts, value_text

ALLIES = frozenset({"USA", "JPN", "DEU"})


def summary(shortage_t: float, **changed: Any) -> dict[str, Any]:
    """Return a summary with this shortage; `changed` replaces figures of the halted state."""
    made: dict[str, Any] = copy.deepcopy(fake_outcome().summary)
    state = made["halted"]
    state |= {"shortage_t": shortage_t, "supplied_t": state["demand_t"] - shortage_t}
    state |= changed
    return made


def case(text: str, found: dict[str, Any], **more: Any) -> Case:
    return Case(text, text.upper(), found, ALLIES, **more)


def two(a: dict[str, Any], b: dict[str, Any]) -> Comparison:
    return compare([case("a", a), case("b", b)])


def test_figures_are_those_of_the_summaries() -> None:
    a, b = summary(1_000.0), summary(4_000.0, unit_spend_usd_t=25_000.0, mean_days=20.0)
    c = two(a, b)
    assert c.figure("demand", "shortage_t").values == (1_000.0, 4_000.0)
    assert c.figure("demand", "met_share").values == pytest.approx((162 / 163, 159 / 163))
    assert c.figure("demand", "shortage_share").baseline == 0
    assert c.figure("cost", "unit_spend_usd_t").values[1] == 25_000
    assert c.figure("cost", "mean_days").baseline == a["baseline"]["mean_days"]
    assert c.figure("hhi", "magnet").values == (0.8, 0.8)
    for name in ("mine", "separation", "metal", "magnet"):
        assert c.figure("bloc_origin", name).values[0] == a["halted"]["bloc_origin_share"][name]


def test_only_countries_of_the_bloc_are_listed() -> None:
    short = {"DEU": 300.0, "CHN": 500.0, "USA": 200.0}
    c = two(summary(1_000.0, shortage_by_country=short), summary(0.0, shortage_by_country={}))
    assert [f.key for f in c.group("shortage_by_country")] == ["DEU", "USA"]
    assert c.figure("shortage_by_country", "DEU").values == (300.0, 0.0)


def test_allied_share_of_what_changed_supplier() -> None:
    a = summary(10.0)
    a["replaced"] = [
        {"importer": "FRA", "commodity": "magnet", "from_country": "CHN", "to_country": "JPN", "tonnes": 30.0},
        {"importer": "FRA", "commodity": "magnet", "from_country": "CHN", "to_country": "VNM", "tonnes": 70.0},
    ]
    b = summary(10.0)
    b["replaced"] = []
    f = two(a, b).figure("bloc", "allied_share")
    assert f.values[0] == pytest.approx(0.3)
    assert math.isnan(f.values[1])
    assert math.isnan(f.baseline)


def test_a_baseline_case_has_the_figures_of_the_baseline() -> None:
    c = compare([case("baseline", summary(50.0), is_baseline=True), case("b", summary(50.0))])
    f = c.figure("demand", "shortage_t")
    assert f.values == (f.baseline, 50.0) == (0.0, 50.0)
    assert all(f.values[0] == f.baseline for f in c.figures if not math.isnan(f.baseline))


@pytest.mark.parametrize(
    ("better", "values", "best", "worst"),
    [
        ("less", (5.0, 9.0, 5.0), {0, 2}, {1}),
        ("more", (5.0, 9.0, 7.0), {1}, {0}),
        ("", (5.0, 9.0), set(), set()),
        ("less", (5.0, 5.0), set(), set()),
        ("less", (100_000.0, 100_000.6), set(), set()),  # summaries have six digits
        ("less", (0.1, 0.3), set(), set()),  # less than half a tonne is nothing
        ("more", (math.nan, 5.0, 9.0), {2}, {1}),
        ("more", (math.nan, math.nan), set(), set()),
    ],
)
def test_best_and_worst(better: str, values: tuple[float, ...], best: set[int], worst: set[int]) -> None:
    f = Figure("g", "k", "t", better, 0.0, values)
    assert (f.best, f.worst) == (best, worst)


def test_differences_are_to_the_first() -> None:
    assert Figure("g", "k", "t", "less", 0.0, (5.0, 9.0, 4.0, 5.2)).differences() == (0.0, 4.0, -1.0, 0.0)
    assert math.isnan(Figure("g", "k", "share", "more", 0.0, (0.5, math.nan)).differences()[1])


def test_throughput_lists_what_changes_most() -> None:
    through = {"passage": {f"p{k:02d}": 100.0 * k for k in range(30)}, "port": {}, "border": {}}
    still = {"passage": {f"p{k:02d}": 100.0 for k in range(30)}, "port": {}, "border": {}}
    a, b = summary(0.0, throughput_t=through), summary(0.0, throughput_t=still)
    for s in (a, b):
        s["baseline"]["throughput_t"] = still
    found = two(a, b).group("throughput_passage")
    assert [f.key for f in found] == [f"p{k:02d}" for k in range(29, 19, -1)]
    assert not two(a, b).group("throughput_port")


def test_flows_are_matched_gains_and_losses() -> None:
    a = summary(0.0, imports_t={"DEU": {"magnet": {"CHN": 100.0, "JPN": 20.0}}, "USA": {"oxide": {"MYS": 5.0}}})
    b = summary(0.0, imports_t={"DEU": {"magnet": {"JPN": 90.0}}, "USA": {"oxide": {"MYS": 5.3}}})
    found = two(a, b).between(1, 2)
    assert found[["importer", "commodity", "from_country"]].to_numpy().tolist() == [
        ["DEU", "magnet", "CHN"], ["DEU", "magnet", "JPN"],
    ]  # fmt: skip
    assert found["change_t"].tolist() == [-100.0, 70.0]
    assert (found["after_t"] - found["before_t"] == found["change_t"]).all()


def test_flows_keep_the_largest_on_either_side() -> None:
    many = {f"C{k:02d}": {"magnet": {"CHN": 10.0 + k}} for k in range(40)}
    more = {f"D{k:02d}": {"magnet": {"JPN": 10.0 + k}} for k in range(40)}
    found = two(summary(0.0, imports_t=many), summary(0.0, imports_t=more)).between(1, 2)
    lost, gained = found[found["change_t"] < 0], found[found["change_t"] > 0]
    assert len(lost) == len(gained) == MOST_FLOWS
    assert set(lost["importer"]) == {f"C{k:02d}" for k in range(28, 40)}
    assert set(gained["importer"]) == {f"D{k:02d}" for k in range(28, 40)}
    assert found["change_t"].abs().is_monotonic_decreasing


def test_flows_of_nobody() -> None:
    assert two(summary(0.0, imports_t={}), summary(0.0, imports_t={})).flows.empty


@pytest.mark.parametrize("count", [0, 1, 5])
def test_number_of_cases(count: int) -> None:
    with pytest.raises(BadInput, match=f"{count} cases: a comparison needs {LEAST} to {MOST}"):
        compare([case(str(k), summary(float(k))) for k in range(count)])


def test_the_same_case_twice() -> None:
    with pytest.raises(BadInput, match="'a' stands 2 times"):
        two(summary(1.0), summary(2.0)) and compare([case("a", summary(1.0)), case("a", summary(1.0))])


def test_table_reads_back_as_csv(tmp_path: Any) -> None:
    c = two(summary(1_000.0), summary(4_000.0))
    c.table().to_csv(tmp_path / "t.csv", index=False)
    read = pd.read_csv(tmp_path / "t.csv", keep_default_na=True)
    assert list(read.columns) == ["group", "key", "unit", "better", "baseline", "a", "b"]
    row = read[(read["group"] == "demand") & (read["key"] == "shortage_t")].iloc[0]
    assert (row["a"], row["b"]) == (1_000.0, 4_000.0)
    assert len(read) == len(c.figures)


# ---- words


def test_sentence_of_two_that_differ() -> None:
    told = sentence(two(summary(1_000.0), summary(4_000.0))).replace("\u00a0", " ")
    assert told.startswith("B (B) leaves 4,000 t of magnets short a year, 2.5 % of world demand, A (A) leaves 1,000 t")
    assert "3,000 t less" in told
    assert told.endswith(".")


def test_sentence_of_two_without_shortage_tells_cost_and_days() -> None:
    a, b = (summary(0.0, unit_spend_usd_t=u, mean_days=d) for u, d in ((30_704.0, 14.3), (30_690.0, 15.2)))
    told = sentence(two(a, b)).replace("\u00a0", " ")
    assert "Neither A (A) nor B (B) leaves a magnet short" in told
    assert "4 USD more with A and 10 USD less with B" in told
    assert "0.10 days longer with A and 1.00 days longer with B" in told


def test_sentence_of_more_names_the_extremes() -> None:
    c = compare([case(n, summary(t)) for n, t in (("a", 500.0), ("b", 0.0), ("c", 9_000.0))])
    told = sentence(c).replace("\u00a0", " ")
    assert told.startswith("C (C) leaves most, 9,000 t of magnets short a year")
    assert "B (B) least, none" in told


def test_sentence_where_only_ways_differ() -> None:
    a, b = (summary(0.0, throughput_t={"passage": {"suez": t}, "port": {}, "border": {}}) for t in (0.0, 900.0))
    assert "only the ways of goods differ (straits, canals and capes passed otherwise: 1)" in sentence(two(a, b))
    assert "nothing that is measured here differs" in sentence(two(summary(0.0), copy.deepcopy(summary(0.0))))


def test_labels() -> None:
    layers: Any = fake_layers()
    assert case_label((), layers) == "No halt"
    assert case_label(("passage:malacca",), layers, "", ("northwest",)).endswith("northwest open")
    many = case_label([f"port:X{k}" for k in range(5)], layers, "A title")
    assert many.startswith("A title; ")
    assert many.endswith("2 more halts")


# ---- page


def test_parts_of_the_page_hold_every_figure() -> None:
    a, b = summary(1_000.0), summary(4_000.0, shortage_by_grade={"SH": 4_000.0})
    c = two(a, b)
    parts = page_parts(c, fake_layers())
    assert sum(len(g["rows"]) for g in parts["groups"]) == len(c.figures)
    short = next(g for g in parts["groups"] if g["id"] == "demand")["rows"][1]
    assert [x["value"].replace("\u00a0", " ") for x in short["cells"]] == ["1,000 t", "4,000 t"]
    assert [x["mark"] for x in short["cells"]] == ["best", "worst"]
    assert short["cells"][1]["difference"].replace("\u00a0", " ") == "+3,000 t"
    assert [p["id"] for p in parts["plots"]] == ["shares", "sectors", "passages"]
    assert parts["with_baseline"]


def test_a_long_group_is_cut_on_the_page_and_says_so() -> None:
    short = {f"G{k:02d}": 100.0 + k for k in range(20)}
    c = two(summary(1_000.0, shortage_by_grade=short), summary(0.0, shortage_by_grade={}))
    group = next(g for g in page_parts(c, fake_layers())["groups"] if g["id"] == "shortage-by-grade")
    assert [r["name"] for r in group["rows"]] == [f"G{k:02d}" for k in range(19, 7, -1)]
    assert "the first 12 of 20" in group["title"]
    assert len(c.group("shortage_by_grade")) == 20


def test_a_baseline_among_the_cases_is_not_shown_twice() -> None:
    c = compare([case("baseline", summary(50.0), is_baseline=True), case("b", summary(50.0))])
    assert not page_parts(c, fake_layers())["with_baseline"]


@pytest.mark.parametrize("layout", [WIDE, NARROW])
def test_bars_are_as_long_as_their_figures(layout: Any) -> None:
    svg = str(lanes_plot("x", "T", [("wind", (100.0, 25.0), 50.0)], "t", 100.0, layout))
    widths = [float(w) for w, f in re.findall(r'width="([\d.]+)" height="[\d.]+" fill="(var\(--plot[^"]+)"', svg)]
    assert widths == [pytest.approx(layout.right - layout.left), pytest.approx((layout.right - layout.left) / 4)]
    assert "wind: A 100\u00a0t, B 25.0\u00a0t" in svg
    assert "var(--ink" in svg


def test_hostile_names_stay_text() -> None:
    svg = str(lanes_plot("x", "<b>", [("<script>", (1.0,), 0.0)], "t", 1.0, WIDE))
    assert "<script>" not in svg
    assert "<b>" not in svg


@pytest.mark.parametrize(
    ("value", "unit", "said", "difference"),
    [
        (0.123, "share", "12.3 %", "+12.3 points"), (5e9, "usd", "5.000 bn USD", "+5,000.0 m USD"),
        (1234.0, "t", "1,234 t", "+1,234 t"), (-3.0, "days", "−3.00 days", "−3.00 days"),
        (0.5, "index", "0.500", "+0.5000"), (23_678.8, "usd_t", "23,679 USD/t", "+23,679 USD/t"),
    ],
)  # fmt: skip
def test_units_stand_with_figures(value: float, unit: str, said: str, difference: str) -> None:
    assert value_text(value, unit).replace("\u00a0", " ") == said
    assert difference_text(value, unit).replace("\u00a0", " ") == difference


def test_none_is_a_dash_and_alike_is_said() -> None:
    assert value_text(math.nan, "t") == difference_text(math.nan, "t") == "–"
    assert difference_text(0.0, "t") == "same"

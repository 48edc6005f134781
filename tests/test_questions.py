"""docs/questions.md tells what the model answers today: its table and the figures of each section are solved again.

`docs/questions/figures.json` lists what to solve and, by the way each figure is found, the words it has in the page.
"""

import functools
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from atlas.outcome import Outcome
from atlas.study import Study

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "questions.md").read_text(encoding="utf-8")
CASES = json.loads((ROOT / "docs" / "questions" / "figures.json").read_text(encoding="utf-8"))
SECTIONS = {
    int(n): " ".join(text.split()) for n, text in re.findall(r"^## (\d+)\. (.*?)(?=^## |\Z)", PAGE, re.M | re.S)
}
# | 1 | question | `scenario` | short, t | hardest hit | cost, million USD | experts |
ROWS = [[c.strip() for c in line.strip("|").split("|")] for line in PAGE.splitlines() if re.match(r"\| \d+ \|", line)]


def told(words: str) -> float:
    """Return the number that words such as `2,867 t`, `31 %` or `-250 USD` begin with; a percentage as a share."""
    value = float(words.split(" ")[0].replace(",", ""))
    return value / 100 if words.endswith("%") else value


def near(words: str, value: float) -> bool:
    """Whether a figure is the solved one: within 1 % or 50 t (5 t below 500 t), a point of a share, 2 units of the rest."""
    number = told(words)
    if words.endswith("%"):
        return abs(number - value) <= 0.01
    slack = (50 if abs(value) >= 500 else 5) if words.endswith(" t") else 0.15 if "." in words else 2
    return abs(number - value) <= max(0.01 * abs(value), slack)


def solve(study: Study, case: dict[str, Any]) -> Outcome:
    path = study.layers.scenarios[case["scenario"]]
    if "also" not in case:
        return study.solve(case.get("halts", ()), scenario=path)
    raw = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    return study.solve(case.get("halts", ()), scenario=raw | case["also"])


def figure(outcome: Outcome, way: str) -> float:
    """Return the figure at the end of a way: terms joined by + - /, from left to right."""
    terms = re.split(r" ([-+/]) ", way)
    value = _term(outcome, terms[0])
    for sign, term in zip(terms[1::2], terms[2::2], strict=True):
        other = _term(outcome, term)
        value = {"+": value + other, "-": value - other, "/": value / other if other else 0.0}[sign]
    return value


def _term(outcome: Outcome, term: str) -> float:
    kind, _, rest = term.partition(":")
    words = rest.split(" ")
    s = outcome.summary
    if kind == "cost":  # everything counted, shortage too, in million USD
        return float(s["halted"]["objective_usd"] - s["baseline"]["objective_usd"]) / 1e6
    if kind == "moved":  # state, commodity, element or grade, from and to (country, facility); any and abroad
        return float(_moved(outcome, *words)["tonnes"].sum())
    if kind == "left":  # state, stock or surplus, element
        f = outcome.flows.set_index(["state", "to_id", "element"]).sort_index()
        return float(f.loc[[tuple(words)], "tonnes"].sum())
    if kind in ("short", "demand", "down"):  # country, sector, grade; any and abroad
        d = outcome.halted.reading.demand
        for column, word in zip(("country", "sector", "grade"), words, strict=False):
            d = d if word == "any" else d[d["country"] != "CHN"] if word == "abroad" else d[d[column] == word]
        return float(d[{"short": "short_t", "demand": "demand_t", "down": "stepped_t"}[kind]].sum())
    if kind == "plants":  # column, stage, product, country; any and abroad
        t = outcome.facilities.join(outcome.layers.facilities[["stage", "product", "country"]])
        for column, word in zip(("stage", "product", "country"), words[1:], strict=True):
            t = t if word == "any" else t[t["country"] != "CHN"] if word == "abroad" else t[t[column] == word]
        return float(t[words[0]].sum())
    if kind == "longer":  # column, passage: how much more the median voyage that took it takes
        lane, f = ["from_id", "to_id", "commodity", "element", "grade"], outcome.flows
        took = f[(f["state"] == "baseline") & f["passages"].str.contains(words[1])]
        both = took.merge(f[f["state"] == "halted"], on=lane, suffixes=("_before", "_after"))
        return float((both[f"{words[0]}_after"] - both[f"{words[0]}_before"]).median())
    if kind == "unit":
        return float(outcome.facilities.at[words[0], "halted_t"])
    if kind == "replaced":  # importer, commodity, who lost, who gained
        keys = ("importer", "commodity", "from_country", "to_country")
        return float(sum(r["tonnes"] for r in s["replaced"] if tuple(r[k] for k in keys) == tuple(words)))
    at = s["baseline" if kind == "before" else "halted"]
    for name in (rest if kind == "before" else term).split("."):
        at = at.get(name, 0.0) if isinstance(at, dict) else 0.0
    return float(at) if not isinstance(at, dict) else float(sum(at.values()))


def _moved(outcome: Outcome, state: str, commodity: str, element: str, start: str, end: str) -> Any:
    f = outcome.flows
    f = f[(f["state"] == state) & (f["commodity"] == commodity) & (f["route_id"] != "")]
    f = f if element == "any" else f[(f["element"] == element) | (f["grade"] == element)]
    for side, word in (("from", start), ("to", end)):
        if word == "abroad":
            f = f[f[f"{side}_country"] != "CHN"]
        elif word != "any":
            f = f[(f[f"{side}_country"] == word) | (f[f"{side}_id"] == word)]
    return f


@pytest.fixture(scope="module")
def answer(study: Study) -> Any:
    """Solve each case once."""
    return functools.lru_cache(maxsize=None)(lambda n: solve(study, CASES[n]))


def name_of(n: int) -> str:
    case = CASES[n]
    return "+".join([case["scenario"], *case.get("halts", ()), *case.get("also", {})])


def test_ten_questions_are_told_each_with_a_scenario_file() -> None:
    assert sorted(SECTIONS) == list(range(1, 11))
    assert sorted({int(row[0]) for row in ROWS}) == list(range(1, 11))
    assert {case["question"] for case in CASES} == set(SECTIONS)
    for row in ROWS:
        assert (ROOT / "layers" / "scenarios" / f"{row[2].strip('`')}.toml").is_file(), row
    for n, text in SECTIONS.items():
        for part in ("**Answer.**", "**Check by hand.**", "**Experts.**", "**Agreement.**", "**What it cannot know.**"):
            assert part in text, (n, part)
        assert "](http" in text, n


# Each is a solve of the real world or more, so they run with the slow tests.
ASKED = [pytest.param(n, id=name_of(n), marks=[pytest.mark.slow]) for n, case in enumerate(CASES)]


@pytest.mark.parametrize("n", ASKED)
def test_the_page_tells_what_the_model_answers(n: int, answer: Any) -> None:
    case, outcome, text, wrong = CASES[n], answer(n), SECTIONS[CASES[n]["question"]], []
    for way, words in case["figures"].items():
        value = figure(outcome, way)
        if not near(words, value):
            wrong.append(f"{way}: the page says {words}, the model {value:,.6g}")
        if not re.search(rf"(?<![\d,.]){re.escape(words)}(?![\d])", text):
            wrong.append(f"{way}: {words} is not in section {case['question']} of the page")
    assert not wrong, "\n".join(wrong)
    assert all(v <= 1e-6 for c in outcome.summary["certificate"].values() for v in c.values())


@pytest.mark.parametrize("n", [i for i, case in enumerate(CASES) if "between" in case], ids=name_of)
def test_answers_lie_where_the_back_of_an_envelope_puts_them(n: int, answer: Any) -> None:
    case, outcome = CASES[n], answer(n)
    for way, bounds in case["between"].items():
        low, high = (told(b) for b in bounds)
        assert low <= figure(outcome, way) <= high, way
        for words in bounds:
            assert words in SECTIONS[case["question"]], words


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2].strip("`"))
def test_the_table_agrees(row: list[str], answer: Any) -> None:
    n = next(i for i, c in enumerate(CASES) if c["scenario"] == row[2].strip("`") and not {"halts", "also"} & set(c))
    h = answer(n).summary["halted"]
    assert near(f"{row[3]} t", h["shortage_t"]), (row[3], h["shortage_t"])
    if row[4] != "nobody":
        country, tonnes = row[4].rsplit(" ", 1)
        short = h["shortage_by_country"] | {b: v["shortage_t"] for b, v in h["buyers"].items()}
        assert near(f"{tonnes} t", short[country]), (row[4], short[country])
        assert country in h["buyers"] or short[country] == max(h["shortage_by_country"].values())
    else:
        assert h["shortage_t"] < 0.5
    if row[5] != "-":
        assert near(f"{row[5]} million USD", figure(answer(n), "cost")), (row[5], figure(answer(n), "cost"))


def test_the_readme_counts_the_scenarios() -> None:
    """The word before `scenarios are shipped` is the number of files."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    words = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    words += " eighteen nineteen twenty twenty-one twenty-two twenty-three twenty-four twenty-five"
    match = re.search(r"^([A-Z][a-z-]+) scenarios are shipped", readme, re.M)
    assert match
    assert words.split().index(match.group(1).lower()) == len(list((ROOT / "layers" / "scenarios").glob("*.toml")))

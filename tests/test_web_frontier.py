"""`atlas frontier` and `atlas worth`, their pages and plots, on the invented world."""

import html
import json
import re
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from atlas import cli
from atlas.config import settings
from atlas.frontier import frontier
from atlas.frontier_words import key_breaks, knee, sentence, worth_sentence
from atlas.render_frontier import BADGE, NARROW, WIDE, frontier_plot, panels, worth_plot
from atlas.shadow import worth
from atlas.web import create_app
from tests.invented import invent_wide
from tests.invented_study import study_of


@pytest.fixture(scope="module")
def study() -> Any:
    return study_of(invent_wide())


@pytest.fixture(scope="module")
def found(study: Any) -> Any:
    return frontier(study, "pair", trusted="bloc", points=60)


@pytest.fixture(scope="module")
def client(study: Any) -> Any:
    return create_app(study, settings(job_wait_s=60)).test_client()


def page(client: Any, path: str) -> Any:
    """Return a page once its work is done."""
    for _ in range(300):
        answer = client.get(path)
        if answer.status_code != 202:
            return answer
        assert answer.headers["Retry-After"]
        time.sleep(0.2)
    raise AssertionError("the work never ends")


def run(study: Any, *args: str) -> Any:
    """Run a command on the invented study."""
    return CliRunner().invoke(cli.main.commands[args[0]], list(args[1:]), obj={"study": study})


def test_the_command_says_the_sentence_and_every_point(study: Any, found: Any) -> None:
    made = run(study, "frontier", "--bloc", "pair", "--trusted", "bloc", "--points", "60")
    assert made.exit_code == 0, made.output
    text = " ".join(made.stdout.split())
    first = found.points.iloc[0]
    assert f"{100 * first['allied_share']:.1f} % of the rare-earth content" in text
    rows = [line for line in made.stdout.splitlines() if re.match(r" *[\d.]+ %  ", line)]
    assert len(rows) == len(found.kept)
    assert all(len(line) <= 120 for line in made.stdout.splitlines())


def test_the_command_writes_points_and_plot(study: Any, tmp_path: Path) -> None:
    for name in ("f.csv", "f.json", "f.svg"):
        made = run(
            study,
            "frontier",
            "--bloc",
            "pair",
            "--trusted",
            "bloc",
            "--points",
            "12",
            "--json",
            "--out",
            str(tmp_path / name),
        )
        assert made.exit_code == 0, made.output
    printed = json.loads(made.stdout)
    assert json.loads((tmp_path / "f.json").read_text()) == printed
    table = (tmp_path / "f.csv").read_text().splitlines()
    assert table[0].startswith("allied_share,")
    assert len(table) == 1 + len(printed["points"])
    ElementTree.parse(tmp_path / "f.svg")
    assert run(study, "frontier", "--bloc", "pair", "--out", str(tmp_path / "f.doc")).exception


def test_worth_says_what_a_tonne_is_worth(study: Any) -> None:
    made = run(study, "worth", "--halt", "country:AAA/magnet", "--bloc", "pair", "--top", "3")
    assert made.exit_code == 0, made.output
    known = worth(study, ["country:AAA/magnet"], "pair", top=3)
    assert f"{known.units['value_usd_t'].iloc[0]:,.0f}" in made.stdout
    as_json = run(
        study, "worth", "--halt", "country:AAA/magnet", "--bloc", "pair", "--top", "3", "--stage", "magnet", "--json"
    )
    units = json.loads(as_json.stdout)["units"]
    assert {u["stage"] for u in units} == {"magnet"}


def test_the_sentences_say_what_happens(study: Any, found: Any) -> None:
    said = sentence(found, study.layers)
    p = found.points
    assert f"{100 * p['allied_share'].iloc[0]:.1f}" in said
    assert p["bloc_shortage_share"].iloc[knee(found)] <= p["bloc_shortage_share"].iloc[0] + 2e-3
    free = worth_sentence(worth(study, (), "pair"), study.layers)
    assert "no magnet stays short" in free
    assert found.to_json()["start"]["foreign_t"] == pytest.approx(p["foreign_t"].iloc[0], rel=1e-5)
    names = key_breaks(found)["binds"].tolist()
    assert names
    assert len(names) == len(set(names))


@pytest.mark.parametrize("layout", [WIDE, NARROW], ids=lambda x: x.name)
def test_the_plot_numbers_its_break_points_without_overlap(found: Any, layout: Any) -> None:
    svg = str(frontier_plot(found, layout))
    root = ElementTree.fromstring(svg)
    badges = [float(c.get("cx")) for c in root.iter("circle") if c.get("r") == str(BADGE)]  # type: ignore[arg-type]
    assert len(badges) == len(key_breaks(found))
    assert all(b - a >= 2 * BADGE for a, b in zip(badges, badges[1:], strict=False))
    assert all(BADGE <= b <= layout.width - BADGE for b in badges)
    height = float(root.get("height"))  # type: ignore[arg-type]
    assert all(0 <= float(t.get("y")) <= height for t in root.iter("text"))  # type: ignore[arg-type]
    words = "".join(root.itertext())
    for r in key_breaks(found).itertuples():
        assert str(r.binds).split()[0] in words


def test_a_name_with_markup_stays_text(study: Any) -> None:
    w = worth(study, ["country:AAA/magnet"], "pair", top=0)
    svg = str(worth_plot(w, dict.fromkeys(("AAA", "BBB", "CCC"), "<script>")))
    assert "<script>" not in svg
    assert "&lt;script&gt;" in svg
    assert len(panels(frontier(study, "pair", trusted="bloc", points=4))) == 3


def test_the_pages_show_what_the_commands_say(client: Any, study: Any) -> None:
    answer = page(client, "/frontier?bloc=pair&trusted=bloc&points=12")
    assert answer.status_code == 200
    text = html.unescape(answer.text)
    made = frontier(study, "pair", trusted="bloc", points=12)
    assert sentence(made, study.layers) in text
    assert text.count("<tr>") == 1 + len(made.kept)
    assert 'class="plot wide"' in text
    assert 'class="plot narrow"' in text
    assert "style=" not in answer.text
    answer = page(client, "/worth?bloc=pair&halt=country:AAA/magnet&top=3")
    known = worth(study, ["country:AAA/magnet"], "pair", top=3)
    assert worth_sentence(known, study.layers) in html.unescape(answer.text)
    empty = page(client, "/worth?bloc=pair&halt=&stage=recycling")
    assert "Choose a halt" in empty.text


def test_the_json_is_that_of_the_commands(client: Any, study: Any) -> None:
    answer = client.get("/api/frontier?bloc=pair&trusted=bloc&points=12")
    assert answer.status_code == 200
    assert answer.get_json() == frontier(study, "pair", trusted="bloc", points=12).to_json()
    answer = client.get("/api/worth?bloc=pair&halt=country:AAA/magnet&top=3&stage=magnet&stage=metal")
    made = worth(study, ["country:AAA/magnet"], "pair", ["magnet", "metal"], 3).to_json()
    assert answer.get_json() == json.loads(json.dumps(made))


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/api/frontier?bloc=pear", "pair"), ("/api/frontier?bloc=pair&element=Di", "Dy"),
        ("/api/frontier?bloc=pair&trusted=nobody", "trusted"), ("/api/frontier?bloc=pair&since=scrap", "mine"),
        ("/api/frontier?bloc=pair&points=1", "points"), ("/api/frontier?bloc=pair&points=many", "points"),
        ("/api/frontier?bloc=pair&halt=country:ZZZ", "country"), ("/api/worth?bloc=pair&stage=smelter", "metal"),
        ("/api/worth?bloc=pair&top=-2", "top"), ("/api/worth?block=pair", "bloc"),
    ],
)  # fmt: skip
def test_bad_questions_are_refused_with_the_nearest_names(client: Any, path: str, word: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 400
    body = answer.get_json()
    assert body["ok"] is False
    assert word in json.dumps(body) or "nobody" in json.dumps(body)

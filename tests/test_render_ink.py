"""Colours of plots: variables with a light value, contrast on the grounds of both themes, one place for hex colours."""

import re
from pathlib import Path

import pytest

from atlas import render_ink
from atlas.render_chokepoints import LOOKS
from atlas.render_compare import COLOURS
from atlas.render_sankey import GROUPS

STATIC = Path(__file__).resolve().parent.parent / "templates" / "static"
PAIR = re.compile(r"(--[\w-]+):\s*light-dark\(\s*(#[0-9a-fA-F]{6})\s*,\s*(#[0-9a-fA-F]{6})\s*\)")
PLACES = ("frame.css", "plots.css")  # that may hold hex colours
GROUNDS = ("--paper", "--back", "--card")


def pairs() -> dict[str, tuple[str, str]]:
    """Return light and dark of every variable that is a plain colour."""
    found = {}
    for name in PLACES:
        found |= {k: (light, dark) for k, light, dark in PAIR.findall((STATIC / name).read_text(encoding="utf-8"))}
    return found


def brightness(colour: str) -> float:
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    low, high = sorted((brightness(a), brightness(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1])
@pytest.mark.parametrize("name", sorted(k for k in pairs() if k.startswith("--plot-")))
def test_data_colours_stand_out_on_every_ground(name: str, theme: int) -> None:
    colour = pairs()[name][theme]
    assert [
        (g, round(contrast(colour, pairs()[g][theme]), 2)) for g in GROUNDS if contrast(colour, pairs()[g][theme]) < 3
    ] == []


@pytest.mark.parametrize("theme", [0, 1])
@pytest.mark.parametrize(
    ("words", "ground"),
    [
        ("--ink", "--paper"), ("--soft", "--paper"), ("--ink", "--tint-second"), ("--ink", "--tint-third"),
        ("--ink", "--tint-sum"), ("--on-accent", "--plot-blue"), ("--on-accent", "--bad"),
        ("--plot-vermilion", "--paper"),
    ],
)  # fmt: skip
def test_words_can_be_read(words: str, ground: str, theme: int) -> None:
    assert contrast(pairs()[words][theme], pairs()[ground][theme]) >= 4.5


def test_without_a_style_sheet_a_plot_has_the_light_colours() -> None:
    known = pairs()
    inks = [v for k, v in vars(render_ink).items() if k.isupper() and isinstance(v, str) and v.startswith("var(")]
    assert len(inks) > 15
    for text in [*inks, *render_ink.TINTS]:
        name, fallback = re.fullmatch(r"var\((--[\w-]+), (#[0-9A-F]{6})\)", text).groups()  # type: ignore[union-attr]
        assert known[name][0].upper() == fallback, name


def test_things_told_apart_have_colours_of_their_own() -> None:
    for colours in ([c for _, c, _ in LOOKS.values()], list(COLOURS), [c for c, _ in GROUPS.values()]):
        assert len(set(colours)) == len(colours)


@pytest.mark.parametrize("path", sorted(p for p in STATIC.glob("*.css") if p.name not in PLACES), ids=lambda p: p.name)
def test_other_style_sheets_use_variables(path: Path) -> None:
    """A hex colour may only stand where a variable gets its value for each theme."""
    rules = re.sub(r"--[\w-]+:[^;]*;", "", path.read_text(encoding="utf-8"))
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b(?=[^{]*[;}])", rules) == []


@pytest.mark.parametrize("name", ["chokepoints.js", "trace.js", "route.js", "routeform.js", "compare.js"])
def test_scripts_take_their_colours_from_the_page(name: str) -> None:
    body = re.sub(r"/\*.*?\*/", "", (STATIC / name).read_text(encoding="utf-8"), flags=re.DOTALL)
    assert re.findall(r"#[0-9a-fA-F]{6}\b|\brgba?\(", body) == []

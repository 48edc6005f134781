"""Print maps on the invented study: what is drawn, told apart, named and refused; the shipped world is slow."""

import copy
import re
from functools import lru_cache
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from click.testing import CliRunner
from drawn_figure import names, outside, overlaps
from fake_outcome import WAYPOINTS, fake_outcome, fake_study
from matplotlib.figure import Figure

from atlas import figure_flows, figure_fonts, figure_frame, figure_labels, figure_map, figure_save
from atlas import figure_ink as ink
from atlas import study as studies
from atlas.cli import main
from atlas.cli_map import paper_in
from atlas.config import settings
from atlas.errors import BadInput, WriteFailure
from atlas.figure_labels import Name, Room, Ruler
from atlas.figure_lines import BEYOND_PT, _cut, moved, strand_widths
from atlas.figure_words import amount, headline, moves, wrapped
from atlas.render_style import CHANGES, COMMODITIES, SOURCES
from atlas.web import create_app

SCRIPTS = {
    "bayan-obo": "白云鄂博矿", "baotou-sep": "包头分离厂", "baotou-metal": "포항 금속 공장", "ningbo-magnet": "نينغبو مغناطيس",
    "jpn-magnet": "武生工場マグネット", "hanau-magnet": "Завод Ханау", "kuantan": "โรงงานกวนตัน", "mt-weld": "מפעל וולד",
    "mountain-pass": "माउंटेन पास", "myanmar": "ကချင် မြေ", "narva-sep": "Εργοστάσιο Νάρβα", "fort-worth": "Nhà máy đất hiếm",
}  # fmt: skip


@lru_cache(maxsize=1)
def outcome() -> Any:
    """Return the invented outcome with names in twelve scripts."""
    return _named(fake_outcome(more=True), SCRIPTS)


def _named(made: Any, given: dict[str, str]) -> Any:
    """Give facilities other names, in layers of its own: the invented ones are shared."""
    made.layers = copy.copy(made.layers)
    made.layers.facilities = made.layers.facilities.copy()
    for fid, name in given.items():
        if fid in made.layers.facilities.index:
            made.layers.facilities.loc[fid, "name"] = name
    return made


@lru_cache(maxsize=1)
def figure() -> Figure:
    """Return its map of changes; drawing it warns of nothing, missing glyphs included (warnings are errors)."""
    return figure_map.draw(outcome())


# ---- what is drawn


def test_no_name_lies_on_another_or_off_the_page() -> None:
    assert overlaps(figure()) == []
    assert outside(figure()) == []


def test_the_story_is_named() -> None:
    assert {"CHN", "stuttgart-works", "malacca"} <= names(figure())


def test_the_page_says_what_it_rests_on() -> None:
    said = " ".join(t.get_text() for axes in figure().axes for t in axes.texts)
    for words in ("OpenStreetMap contributors, ODbL", "Natural Earth", "Halts: country:CHN/magnet", "Bloc: us-allies",
                  "Equal Earth", "1:", "confidence C", "Rare-earth atlas", "23,400 t"):  # fmt: skip
        assert words in said, words


@pytest.mark.parametrize("form", ["png", pytest.param("pdf", marks=pytest.mark.slow)])
def test_the_same_figure_is_the_same_bytes_and_holds_no_time(form: str) -> None:
    first, second = (figure_save.picture(figure(), form, 60) for _ in range(2))
    assert first == second
    assert not re.search(rb"CreationDate|ModDate|tIME", first)


def test_drawing_anew_gives_the_same_bytes() -> None:
    first, second = (figure_save.picture(f, "svg") for f in (figure(), figure_map.draw(fake_outcome_again())))
    assert first == second
    assert b"<dc:date>" not in first


def fake_outcome_again() -> Any:
    """Return the outcome of `outcome` made from nothing."""
    return outcome.__wrapped__()


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[k : k + 2], 16) for k in (1, 3, 5))


# ---- bands


def test_a_band_is_as_wide_as_the_sum_of_what_it_carries() -> None:
    flows = figure_flows.bundles(outcome())
    table = flows.strands("before").table
    whole = flows.uses.groupby("arc")["baseline"].sum()
    assert np.allclose(table.groupby("arc")["tonnes"].sum(), whole[whole > 0])
    widths = strand_widths(["oxide", "metal", "magnet"], np.array([9000.0, 9000.0, 18000.0]), "before")
    assert widths.sum() == pytest.approx(ink.width_pt(36000.0))
    assert widths[2] == pytest.approx(2 * widths[0])


def test_changes_on_a_stretch_add_up_to_the_larger_state() -> None:
    flows = figure_flows.bundles(outcome())
    by = flows.strands("change").table.groupby("arc")["tonnes"].sum()
    most = flows.uses[["baseline", "halted"]].max(axis=1).groupby(flows.uses["arc"]).sum()
    assert np.allclose(by, most[most > 0])


def test_one_commodity_alone() -> None:
    strands = figure_flows.bundles(outcome(), ("magnet",)).strands("before")
    assert set(strands.keys) <= {"magnet", "via"}


def test_a_line_is_moved_to_its_left() -> None:
    line = moved(np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 10.0]]), 2.0)
    assert np.allclose(line, [[0.0, 2.0], [8.0, 2.0], [8.0, 10.0]])


# ---- projection


def test_the_pacific_is_in_the_middle_where_flows_cross_it() -> None:
    over = np.array([WAYPOINTS["tokyo"], WAYPOINTS["pac-w"], WAYPOINTS["pac-m"], WAYPOINTS["la"]])
    atlantic = np.array([(-74.0, 40.0), (-40.0, 45.0), (-5.0, 49.0)])
    assert figure_frame.best_world([over, atlantic], [500.0, 100.0]).name == "equal-earth-pacific"
    assert figure_frame.best_world([over, atlantic], [100.0, 500.0]).name == "equal-earth"


@pytest.mark.parametrize("name", figure_frame.CHOICES[1:])
def test_nothing_runs_across_the_map(name: str) -> None:
    frame = figure_frame.world(name)
    wide = frame.window[2] - frame.window[0]
    round_the_world = np.column_stack([np.linspace(-170.0, 190.0, 61), np.full(61, 12.0)])
    pieces = frame.lines(round_the_world)
    assert len(pieces) == 2
    assert max(np.abs(np.diff(p[:, 0])).max() for p in pieces) < wide / 60
    russia = shapely.box(27.0, 50.0, 190.0, 72.0)
    [drawn] = frame.shapes([russia])
    assert max(g.bounds[2] - g.bounds[0] for g in shapely.get_parts(drawn)) < 0.5 * wide


def test_a_box_over_the_antimeridian_is_one_window() -> None:
    frame = figure_frame.local((170.0, -20.0, -160.0, 10.0), 0.6)
    assert frame.holds([(175.0, 0.0), (-165.0, 0.0), (185.0, -5.0), (100.0, 0.0)]).tolist() == [True, True, True, False]


def test_a_cut_line_keeps_its_way() -> None:
    line = np.array([[500.0, 50.0], [50.0, 50.0], [50.0, -900.0], [80.0, -900.0], [80.0, 60.0]])
    first, second = _cut(line, np.array([100.0, 100.0]))
    assert first[0, 0] > first[1, 0]
    assert second[0, 1] < second[-1, 1]


def test_lines_end_near_the_paper_however_close_the_look() -> None:
    """At a hundred metres a whole line would be longer than the Earth in points, and take as long to dash."""
    paper = np.array([100.0, 80.0])
    earth = np.array([[-1e9, 40.0], [1e9, 40.0], [1e9, 1e9], [50.0, 1e9], [50.0, -1e9]])
    parts = _cut(earth, paper)
    assert len(parts) == 2
    assert all((xy >= -BEYOND_PT).all() and (xy <= paper + BEYOND_PT).all() for xy in parts)


# ---- looks


def _seen(colour: str, kind: str) -> np.ndarray:
    """Return a colour as somebody with protanopia or deuteranopia sees it (Vienot 1999), in CIE Lab."""
    linear = np.array([c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in np.array(_rgb(colour)) / 255])
    to_lms = np.array([[17.8824, 43.5161, 4.11935], [3.45565, 27.1554, 3.86714], [0.0299566, 0.184309, 1.46709]])
    lms = to_lms @ linear
    if kind == "protanopia":
        lms[0] = 2.02344 * lms[1] - 2.52581 * lms[2]
    elif kind == "deuteranopia":
        lms[1] = 0.494207 * lms[0] + 1.24827 * lms[2]
    rgb = np.clip(np.linalg.inv(to_lms) @ lms, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ rgb
    f = [v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in xyz / [0.95047, 1.0, 1.08883]]
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("kind", ["normal", "protanopia", "deuteranopia"])
@pytest.mark.parametrize("keys", [tuple(CHANGES), COMMODITIES, tuple(SOURCES)], ids=["changes", "goods", "sources"])
def test_kinds_are_told_apart_without_red_or_green(keys: tuple[str, ...], kind: str) -> None:
    """Kinds with the same dash differ in colour for everybody; the same colour only with different dashes."""
    look = ink.Ink()
    for a, b in combinations(keys, 2):
        apart = float(np.linalg.norm(_seen(look.colour(a), kind) - _seen(look.colour(b), kind)))
        assert apart > 12 or look.dash(a) != look.dash(b), (a, b, round(apart, 1))


@pytest.mark.parametrize("keys", [tuple(CHANGES), COMMODITIES, tuple(SOURCES)], ids=["changes", "goods", "sources"])
def test_kinds_are_told_apart_in_grey(keys: tuple[str, ...]) -> None:
    for a, b in combinations(keys, 2):
        (light_a, dash_a), (light_b, dash_b) = ink.GREYS[a], ink.GREYS[b]
        assert abs(light_a - light_b) >= 0.15 or dash_a != dash_b, (a, b)


# ---- names


@pytest.mark.parametrize("seed", range(3))
def test_placed_names_never_collide(seed: int) -> None:
    rng = np.random.default_rng(seed)
    room = Room((300.0, 200.0))
    room.keep_off((100.0, 80.0, 160.0, 130.0))
    at = rng.uniform((0, 0), (300, 200), (60, 2))
    given = [Name(f"Place {k}\n{k * 37} t", (float(x), float(y)), float(rng.uniform(0, 99)), 2.0) for k, (x, y) in enumerate(at)]
    with figure_fonts.use():
        placed = figure_labels.place(given, room, Ruler())
    assert len(placed) > 15
    boxes = [p.box for p in placed] + [(100.0, 80.0, 160.0, 130.0)]
    for p, q in combinations(boxes, 2):
        assert p[0] >= q[2] or q[0] >= p[2] or p[1] >= q[3] or q[1] >= p[3]
    for p in placed:
        assert p.box[0] > 0
        assert p.box[1] > 0
        assert p.box[2] < 300
        assert p.box[3] < 200


def test_heavier_names_choose_first() -> None:
    room = Room((60.0, 24.0))  # room for one of them
    given = [Name("Second", (30.0, 12.0), 1.0, 1.0), Name("First", (30.0, 12.0), 2.0, 1.0)]
    with figure_fonts.use():
        placed = figure_labels.place(given, room, Ruler())
    assert placed[0].name.text == "First"


def test_every_script_of_the_layers_has_glyphs() -> None:
    assert figure_fonts.missing("".join(SCRIPTS.values()) + "Łódź Đất Škoda Ω → ★ ≥ 5 °") == set()
    assert figure_fonts.missing("a\U0001f600\u16a0 \u200f\n") == {"\U0001f600", "\u16a0"}


def test_a_name_without_glyphs_is_refused_by_its_id() -> None:
    made = _named(fake_outcome(), {"mt-weld": "Mount \u16b9\u16d6"})
    with pytest.raises(BadInput) as error:
        figure_map.draw(made, title="rune \u16a0")
    assert error.value.problems == [
        "mt-weld: no shipped font has \u16b9 (U+16B9), \u16d6 (U+16D6)",
        "title: no shipped font has \u16a0 (U+16A0)",
    ]


def test_fonts_are_small_static_and_licensed() -> None:
    from fontTools.ttLib import TTFont

    assert sum(p.stat().st_size for p in figure_fonts.files()) < 8_000_000
    assert figure_fonts.files()[0].name.startswith("AtlasSans-")
    for path in figure_fonts.files():
        with TTFont(path, lazy=True) as font:
            assert "glyf" in font, path.name
            assert "fvar" not in font, path.name
            assert "SIL Open Font License" in font["name"].getDebugName(0), path.name
    licence = figure_fonts.files()[0].parent / "OFL.txt"
    assert "SIL OPEN FONT LICENSE Version 1.1" in licence.read_text(encoding="utf-8")


# ---- words


@pytest.mark.parametrize(
    ("tonnes", "said"), [(0.2, "0"), (7.26, "7.3"), (41.44, "41.4"), (196.0, "196"), (12345.0, "12,300"), (188650.0, "189,000")]
)
def test_tonnes_have_three_digits_at_most(tonnes: float, said: str) -> None:
    assert amount(tonnes) in (said, "7.26")


def test_before_and_after_are_said_where_they_differ() -> None:
    assert moves(33700.0, 0.0, "change") == "33,700 → 0 t"
    assert moves(33710.0, 33720.0, "change") == "33,700 t"
    assert moves(5.0, 9.0, "before") == "5 t"
    assert moves(5.0, 9.0, "after") == "9 t"


def test_a_headline_has_the_main_figure() -> None:
    assert headline(outcome()).endswith("23,400 t of magnets a year stay short")
    assert headline(fake_outcome(())) == "Rare earths from mine to magnet, 2024"


def test_lines_are_no_longer_than_asked() -> None:
    lines = wrapped("one two three 4 % five incomprehensibilities six", 12.0, len)
    assert all(len(line) <= 12 or " " not in line for line in lines)
    assert " ".join(lines).replace("\u00a0", " ") == "one two three 4 % five incomprehensibilities six"
    assert not [a for a, b in pairwise(lines) if b.startswith("%")]


# ---- refusals


def test_all_that_is_wrong_with_a_map_is_said_at_once() -> None:
    with pytest.raises(BadInput) as error:
        figure_map.draw(outcome(), view="aftr", projection="mercator", commodity="gold", size_in=(1.0, 99.0))
    assert [p.split()[1] for p in error.value.problems] == ["view", "projection", "commodity", "1"]


def test_a_picture_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "map.svg"
    target.write_text("earlier")

    def full(path: Path, made: bytes) -> None:
        path.write_bytes(made[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(figure_save, "_write", full)
    with pytest.raises(WriteFailure, match="No space left"):
        figure_save.save(Figure(), target)
    assert target.read_text() == "earlier"
    assert [p.name for p in tmp_path.iterdir()] == ["map.svg"]
    with pytest.raises(BadInput, match="must end in"):
        figure_save.save(Figure(), tmp_path / "map.gif")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--out", "m.html", "--grey", "--size", "a3"], "--size goes with a picture"),
        (["--out", "m.html", "--view", "all"], "--view all goes with a picture"),
        (["--out", "m.pdf", "--dpi", "300"], "--dpi goes with a .png"),
        (["--out", "m.png", "--size", "broad"], "expected a5, a4, a3, letter"),
        (["--out", "m.png", "--dpi", "9"], "expected 50 to 600"),
        (["--out", "m.png", "--view", "beforre"], "nearest: before"),
        (["--out", "m.gif"], ".html"),
    ],
)
def test_the_command_refuses_before_it_solves(args: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["map", *args])
    assert done.exit_code == 2
    assert says in done.stderr
    assert "opened" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_papers() -> None:
    assert paper_in("a4") == pytest.approx((297 / 25.4, 210 / 25.4))
    assert paper_in("A3-upright") == pytest.approx((297 / 25.4, 420 / 25.4))
    assert paper_in("254x127") == pytest.approx((10.0, 5.0))


# ---- the web


def test_the_web_draws_what_its_address_says() -> None:
    client = create_app(fake_study(), settings({})).test_client()
    address = "/map.png?halt=country:CHN/magnet&view=before&off=flow-oxide,labels&width_mm=150&height_mm=110&dpi=60&at=0,0,2&colour=source"
    first = client.get(address)
    assert (first.status_code, first.mimetype) == (200, "image/png")
    assert int.from_bytes(first.data[16:20], "big") == round(150 / 25.4 * 60)
    assert client.get(address, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304


def test_in_grey_nothing_has_a_colour() -> None:
    client = create_app(fake_study(), settings({})).test_client()
    answer = client.get("/map.svg?halt=country:CHN/magnet&grey=yes&focus=90,0,150,50")
    assert (answer.status_code, answer.mimetype) == (200, "image/svg+xml")
    colours = set(re.findall(r"#[0-9a-f]{6}", answer.text))
    assert len(colours) > 8
    assert not {c for c in colours if max(_rgb(c)) - min(_rgb(c)) > 40}


@pytest.mark.parametrize(
    ("address", "status", "says"),
    [
        ("/map.gif", 404, "png, svg, pdf"),
        ("/map.png?dpi=9999", 400, "expected 50 to 300"),
        ("/map.png?width_mm=600&height_mm=600&dpi=300", 400, "pixels: expected 25,000,000"),
        ("/map.svg?dpi=100", 400, "no pixels"),
        ("/map.pdf?projection=mercator&grey=perhaps", 400, "grey:"),
        ("/map.png?title=a&title=b", 400, "expected once"),
        ("/map.png?scale=3", 400, "unknown parameter"),
        ("/map.png?focus=nowhere-land", 400, "nowhere-land"),
        ("/map.png?view=sideways", 400, "nearest: side"),
    ],
)
def test_the_web_refuses_what_it_cannot_draw(address: str, status: int, says: str) -> None:
    answer = create_app(fake_study(), settings({})).test_client().get(address, headers={"Accept": "application/json"})
    assert answer.status_code == status
    assert says in " ".join(answer.get_json()["problems"])


# ---- the shipped world

HALTS = ("country:CHN", "country:CHN:USA/magnet", "passage:malacca", "facility:lynas-kuantan", "border:CHN-MMR")


@pytest.mark.slow
@pytest.mark.parametrize("halt", HALTS)
def test_no_name_lies_on_another_in_the_shipped_world(halt: str) -> None:
    made = figure_map.draw(shipped().solve(halts=[halt]))
    assert overlaps(made) == []
    assert outside(made) == []
    assert len(names(made)) > 12


@pytest.mark.slow
@pytest.mark.parametrize(
    "looks",
    [{"view": "all"}, {"focus": "eu27"}, {"focus": "110,-45,-60,60"}, {"size_in": (7.3, 5.0), "view": "after"},
     {"projection": "robinson", "grey": True}, {"size_in": (16.5, 11.7), "view": "before"}],
    ids=str,
)  # fmt: skip
def test_no_name_lies_on_another_however_it_is_drawn(looks: dict[str, Any]) -> None:
    made = figure_map.draw(shipped().solve(halts=["country:CHN/magnet"]), **looks)
    assert overlaps(made) == []
    assert outside(made) == []


@pytest.mark.slow
def test_a_map_of_the_shipped_world_is_small() -> None:
    """How long it takes is in `make bench`."""
    outcome = shipped().solve(halts=["country:CHN"])
    assert len(figure_save.picture(figure_map.draw(outcome), "png")) < 3_000_000


@lru_cache(maxsize=1)
def shipped() -> Any:
    """Return a study of the shipped layers, solved once."""
    return studies.open()

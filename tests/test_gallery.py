"""The gallery is what its scripts make, and docs/python.md names all there is and nothing else."""

import importlib.util
import inspect
import re
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image
from small_study import small_study

DOCS = Path(__file__).resolve().parent.parent / "docs"
GALLERY = DOCS / "gallery"
PICTURE_BYTES_AT_MOST, PICTURES_AT_MOST = 150_000, 10


@lru_cache
def module(path: Path) -> ModuleType:
    """Return a script of the docs as a module, without running its main."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


GALLERY_SCRIPTS = sorted(p.stem for p in GALLERY.glob("*.py") if p.stem != "make_gallery")


def test_the_page_is_made_from_the_scripts() -> None:
    made = module(GALLERY / "make_gallery.py")
    assert sorted(made.ORDER) == GALLERY_SCRIPTS
    assert (DOCS / "gallery.md").read_text(encoding="utf-8") == made.document()


@pytest.mark.parametrize("name", GALLERY_SCRIPTS)
def test_scripts_are_short_and_pictures_small(name: str) -> None:
    code = (GALLERY / f"{name}.py").read_text(encoding="utf-8").split('"""')[2]
    lines = [line for line in code.splitlines() if line.strip() and not line.startswith(("import ", "from "))]
    assert 3 <= len(lines) <= 20
    picture = GALLERY / f"{name}.png"
    assert picture.stat().st_size <= PICTURE_BYTES_AT_MOST
    with Image.open(picture) as seen:
        assert seen.width >= 600
    assert len(GALLERY_SCRIPTS) <= PICTURES_AT_MOST


@pytest.mark.slow
@pytest.mark.parametrize("name", GALLERY_SCRIPTS)
def test_scripts_make_their_pictures(name: str, tmp_path: Path) -> None:
    """Run each script as a reader would, in a folder of its own, warnings being errors."""
    picture = module(GALLERY / "make_gallery.py").run(name, tmp_path)
    with Image.open(picture) as seen:
        colours = seen.convert("RGB").getcolors(maxcolors=10_000_000)
    assert colours is not None
    assert len(colours) > 20  # something is drawn
    assert max(n for n, _ in colours) < 0.99 * sum(n for n, _ in colours)
    assert [p.name for p in tmp_path.iterdir()] == [f"{name}.png"]


# docs/python.md -------------------------------------------------------------------------------------------------------


def test_the_tables_of_names_are_those_of_the_classes() -> None:
    made = module(DOCS / "make_python_reference.py")
    told = (DOCS / "python.md").read_text(encoding="utf-8")
    assert told == made.document(), "run docs/make_python_reference.py"
    sections = dict(re.findall(r"### (\w+)\n(.*?)(?=\n### |\n<!--)", told, re.DOTALL))
    for kind, name, _ in made.CLASSES:
        assert set(re.findall(r"^\| `(\w+)(?:\(\))?` \|", sections[name], re.MULTILINE)) == set(made.surface(kind))


def test_every_table_of_the_tour_is_there() -> None:
    from atlas.notebook import Study
    from atlas.notebook_answer import Answer

    told = (DOCS / "python.md").read_text(encoding="utf-8").split("## All names")[0]
    for owner, kind in (("study", Study), ("answer", Answer)):
        for name in set(re.findall(rf"\b{owner}\.(\w+)", told)):
            assert inspect.getattr_static(kind, name, None) is not None or name == "outcome", f"{owner}.{name}"


@pytest.mark.slow
def test_the_tour_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the blocks of docs/python.md in order on the small world, which has all they name."""
    from atlas.notebook import Study

    monkeypatch.setattr("atlas.notebook.open", lambda *_: Study.of(small_study()))
    monkeypatch.chdir(tmp_path)
    Path("plant.toml").write_text('[[halt]]\nspec = "port:MYKUA"\n', encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "python.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 7
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "docs/python.md", "exec"), names)
    assert {"halt", "halt.html", "halt.pdf", "flows.geojson"} <= {p.name for p in tmp_path.iterdir()}

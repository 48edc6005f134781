"""The examples in the docstrings of what scripts and notebooks use give what they say.

They hold on the small world, where each run is quick, and on the shipped one, which readers have.
"""

import doctest
import importlib
from typing import Any

import pytest
from small_study import small_study

from atlas.notebook import Study

MODULES = ("atlas", "atlas.notebook", "atlas.notebook_answer", "atlas.notebook_routes", "atlas.notebook_map")


def examples() -> dict[str, doctest.DocTest]:
    """Return every docstring with examples, by its name."""
    finder = doctest.DocTestFinder()
    found = [t for m in MODULES for t in finder.find(importlib.import_module(m)) if t.examples]
    return {t.name: t for t in found}


def run(name: str, study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run one docstring's examples; `study` stands for an opened study, as the docstrings take it."""
    monkeypatch.setattr("atlas.notebook.open", lambda *_: study)  # what `atlas.open()` calls: opened once for all
    test = examples()[name]
    test.globs = {"study": study}
    said: list[str] = []
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=said.append)
    assert result.attempted
    assert not result.failed, "".join(said)


def test_what_is_asked_first_has_an_example() -> None:
    names = {"atlas.open", "atlas.notebook.Study", "atlas.notebook.Study.run", "atlas.notebook.Study.route",
             "atlas.notebook.Study.trace", "atlas.notebook_answer.Answer", "atlas.notebook_answer.Answer.flows",
             "atlas.notebook_answer.Answer.map", "atlas.notebook_answer.Answer.shortage"}  # fmt: skip
    assert names <= set(examples())


@pytest.mark.parametrize("name", sorted(examples()))
def test_example(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run(name, Study.of(small_study()), monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(examples()))
def test_example_on_the_shipped_world(name: str, study: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run(name, Study.of(study), monkeypatch)


@pytest.mark.slow
def test_the_shipped_world_opens() -> None:
    import atlas

    assert repr(atlas.open()).startswith("<atlas study of 2024: ")

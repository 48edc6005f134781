"""The calibration kept on disk is only ever a saving."""

from pathlib import Path

from atlas import memory
from atlas.config import settings
from atlas.study import Study


def test_what_is_kept_is_what_comes_back(study: Study, tmp_path: Path) -> None:
    here = settings(cache_dir=str(tmp_path))
    assert memory.recall(study.layers, here) is None
    memory.keep(study.layers, here, study.calibration)
    assert memory.recall(study.layers, here) == study.calibration


def test_a_broken_file_is_passed_over(study: Study, tmp_path: Path) -> None:
    here = settings(cache_dir=str(tmp_path))
    for text in ("", "{", '{"tuned": []}', "[1]"):
        (tmp_path / f"{memory.key(study.layers)}.json").write_text(text)
        assert memory.recall(study.layers, here) is None


def test_an_unwritable_folder_is_passed_over(study: Study, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    memory.keep(study.layers, settings(cache_dir=str(tmp_path / "file" / "below")), study.calibration)
    memory.keep(study.layers, settings(cache_dir="off"), study.calibration)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]

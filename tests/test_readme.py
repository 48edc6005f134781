"""The README tells the truth: its commands, its names and its files exist."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from atlas import cli, export

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SHELL = "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL))
COMMANDS = [line.split("  #")[0].strip() for line in SHELL.splitlines()]
QUICK = [c for c in COMMANDS if c.startswith(("atlas find", "atlas route"))]
FILES = [c for c in COMMANDS if c.startswith(("atlas map", "atlas export", "atlas report"))]
SOLVES = [c for c in COMMANDS if c.startswith("atlas solve")]


def atlas(line: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    words = [sys.executable, "-m", "atlas", *shlex.split(line)[1:]]
    return subprocess.run(words, capture_output=True, text=True, cwd=folder, timeout=120)


def test_there_are_three_things_to_try() -> None:
    assert len(QUICK) >= 3
    assert len(SOLVES) >= 3


@pytest.mark.parametrize("line", QUICK)
def test_quick_commands_answer(line: str, tmp_path: Path) -> None:
    done = atlas(line, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_solves_answer_in_order(tmp_path: Path) -> None:
    for line in SOLVES:
        done = atlas(line, tmp_path)
        assert done.returncode == 0, (line, done.stderr)
    assert sorted(p.name for p in (tmp_path / "halt").iterdir()) == sorted(export.RESULT_FILES)


@pytest.mark.slow
@pytest.mark.parametrize("line", FILES)
def test_files_for_others_are_made(line: str, tmp_path: Path) -> None:
    done = atlas(line, tmp_path)
    assert done.returncode == 0, done.stderr
    assert any(tmp_path.iterdir())


def test_every_command_is_told() -> None:
    assert "atlas solve april-2025" in README
    assert (ROOT / "layers" / "scenarios" / "april-2025.toml").is_file()
    told = set(re.findall(r"^\| `atlas ([a-z]+)", README, re.MULTILINE))
    assert told == set(cli.main.commands)


def test_example_scenarios_are_scenarios(study: Any) -> None:
    found = [tomllib.loads(t) for t in re.findall(r"```toml\n(.*?)```", README, re.DOTALL)]
    found += [json.loads(t) for t in re.findall(r"-d '(\{.*?\})'", README)]
    assert len(found) >= 2
    for raw in found:
        question = study.question((), raw)
        assert not question.is_baseline
        assert not question.dropped


def test_targets_and_files_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"\bmake ([a-z-]+)", SHELL):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    for name in ("LICENSE", "constraints.txt", "layers/schema.csv", "layers/sources.csv", "layers/network"):
        assert name.split("/")[-1] in README
        assert (ROOT / name).exists()
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (ROOT / picture).is_file()


def test_result_files_are_told() -> None:
    for name in export.RESULT_FILES:
        assert f"`{name}`" in README

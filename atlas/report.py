"""A scripted report from its file to a folder: page, PDF, quoted figures and results, whole or not at all."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atlas.export_files import check_target_folder, write_folder
from atlas.report_build import Built, build
from atlas.report_check import FILES
from atlas.report_file import ReportFile, find, read
from atlas.report_html import page
from atlas.report_sources import LICENCE, cite_atlas, cite_report
from atlas.report_typst import check_installed, pdf

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Made:
    """A report as bytes, by file name; `title` is that of its head."""

    title: str
    files: dict[str, bytes]


def read_report(text: str, settings: Sequence[str] = ()) -> ReportFile:
    """Return a report by its path or shipped name, with `name=value` settings; raises BadInput with all problems."""
    return read(find(text), settings)


def make(study: Any, report: ReportFile, html_only: bool = False, progress: Progress | None = None) -> Made:
    """Return the files of a report; raises BadInput with all that is wrong in it, SolverFailure, NoAnswer."""
    if not html_only:
        check_installed()
    built = build(study, report, progress)
    files = {
        "report.html": page(built).encode(),
        "figures.json": _json(figures_of(built)),
        "results.json": _json(built.results),
    }
    if not html_only:
        files["report.pdf"] = pdf(built)
    return Made(str(built.head["title"]), files)


def check_folder(folder: str | Path, force: bool = False) -> Path:
    """Return the folder if a report may be written there; raises BadInput or WriteFailure."""
    return check_target_folder(folder, frozenset(FILES), force)


def write(made: Made, folder: str | Path, force: bool = False) -> Path:
    """Write a report's files into a folder, all or none; raises BadInput, WriteFailure."""
    target = check_folder(folder, force)
    write_folder(target, {name: _writer(data) for name, data in made.files.items()})
    return target


def figures_of(built: Built) -> dict[str, Any]:
    """Return what figures.json holds: every quote with path, value, form, text and block, and texts of the frame."""
    head = built.head
    shown = [f"{s['id']} {s['title']} {s['publisher']} {s['url']}" for s in built.sources]
    return {
        "title": head["title"], "version": head["version"], "case": head["case"],
        "quotes": [
            {"path": q.path, "raw": q.raw, "form": list(q.form), "text": q.text, "block": q.block} for q in built.quotes
        ],
        "frame": [head["title"], head["subtitle"], head["author"], head["date"], head["case"], head["version"], LICENCE,
                  cite_report(head), cite_atlas(), *shown],
    }  # fmt: skip


def _json(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode()


def _writer(data: bytes) -> Callable[[Path], None]:
    def write_to(path: Path) -> None:
        path.write_bytes(data)

    return write_to

"""A report as a PDF, set by Typst with the shipped fonts: tagged, with page numbers, the same bytes each time.

The text goes to Typst as data, never as markup; `templates/reports/report.typ` says how it is set.
"""

import importlib.util
import json
import tempfile
from pathlib import Path
from typing import Any

from atlas import figure_fonts
from atlas.config import data_dir
from atlas.errors import BadInput, NoAnswer
from atlas.report_build import Built
from atlas.report_sources import LICENCE, cite_atlas, cite_report

MISSING = (
    "the PDF of a report is set by Typst, which is not installed: pip install 'rare-earth-atlas[report]' "
    "(or 'typst>=0.15'), or --html-only for the page alone"
)
EPOCH = 0  # what a PDF says of when it was made: nothing that differs from run to run


def check_installed() -> None:
    """Raise BadInput, saying what to install, where Typst is missing."""
    if importlib.util.find_spec("typst") is None:
        raise BadInput(MISSING)


def pdf(built: Built) -> bytes:
    """Return the report as a tagged PDF (PDF/UA-1); raises BadInput without Typst, NoAnswer if it fails."""
    check_installed()
    import typst

    with tempfile.TemporaryDirectory(prefix="atlas-report-") as folder:
        root = Path(folder)
        for name, picture in built.pictures.items():
            (root / name).write_bytes(picture)
        (root / "report.json").write_text(json.dumps(_told(built), ensure_ascii=False), encoding="utf-8")
        source = (data_dir("templates") / "reports" / "report.typ").read_text(encoding="utf-8")
        (root / "report.typ").write_text(source, encoding="utf-8")
        folders = sorted({str(p.parent) for p in figure_fonts.files()})
        compiler = typst.Compiler(root=str(root), font_paths=folders, ignore_system_fonts=True)
        try:
            made = compiler.compile(
                input=str(root / "report.typ"), format="pdf", pdf_standards=["ua-1"], timestamp=EPOCH
            )
        except typst.TypstError as error:
            raise NoAnswer(f"the PDF could not be set: {error.message}") from error
    assert isinstance(made, bytes)
    return made


def _told(built: Built) -> dict[str, Any]:
    head = built.head
    foot = f"{head['case']} {LICENCE} Rare-earth atlas {head['version']}."
    return {
        "head": head, "parts": built.parts, "fonts": families(), "foot": foot, "cite_report": cite_report(head),
        "cite_atlas": cite_atlas(),
        "sources": [s | {"host": s["url"].partition("//")[2].partition("/")[0]} for s in built.sources],
    }  # fmt: skip


def families() -> list[str]:
    """Return the families of the shipped fonts, the main one first."""
    return list(dict.fromkeys(str(f) for f in figure_fonts.settings()["font.family"]))

"""Scripted reports: files that are wrong, numbers that follow from the results, the same bytes, nothing half-written."""

import copy
import json
import re
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from small_study import small_study

from atlas import report as reports
from atlas import report_check, report_file, report_filters
from atlas.errors import BadInput, UnknownName, WriteFailure
from atlas.report_tree import Recorder

TINY = '''
title = "{{ h.what | capital }}"
author = "A. Söhne & 東京 <b>"

[parameters]
halt = "country:CHN/magnet"

[[outcome]]
id = "h"
halts = "{{ set.halt }}"

[[block]]
type = "text"
text = """
# Short
**{{ h.halted.shortage_t | tonnes }}** of magnets, {{ h.after_shortage_share | percent }}, fitted to {{ lit(2024) }}.
- {{ h.halted.throughput_t.passage["northwest"] | tonnes }} through the north
- {{ h.short_countries | length | count("country", "countries") }}: {{ h.short_countries[:2] | field("name") | joined }}
"""

[[block]]
type = "chart"
chart = "bars"
rows = "h.short_countries"
label = "row.name"
values = "row.after_t | tonnes"
caption = "Shortage."

[[block]]
type = "table"
rows = "h.facilities"
top = 4
columns = [{ title = "Plant", value = "row.name" }, { title = "t", value = "row.after_t | plain_tonnes" }]
caption = "Plants."

[[block]]
type = "sources"
'''


def written(folder: Path, text: str) -> str:
    path = folder / "tiny.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


@lru_cache(maxsize=1)
def made() -> reports.Made:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return reports.make(small_study(), reports.read_report(written(Path(folder), TINY)))


def problems(tmp_path: Path, text: str, *settings: str) -> list[str]:
    with pytest.raises(BadInput) as caught:
        reports.make(small_study(), reports.read_report(written(tmp_path, text), settings), html_only=True)
    return caught.value.problems


def test_the_same_file_gives_the_same_bytes(tmp_path: Path) -> None:
    again = reports.make(small_study(), reports.read_report(written(tmp_path, TINY)))
    assert again.files == made().files
    assert set(again.files) == set(report_check.FILES)


def test_every_number_follows_from_the_results_and_an_altered_one_is_found(tmp_path: Path) -> None:
    reports.write(made(), tmp_path / "r")
    assert report_check.check_folder(tmp_path / "r") == []
    results = json.loads((tmp_path / "r/results.json").read_text())
    summary = small_study().solve(["country:CHN/magnet"]).summary
    assert {k: results["h"][k] for k in summary} == json.loads(json.dumps(summary))

    changed = copy.deepcopy(results)
    changed["h"]["halted"]["shortage_t"] *= 1.01
    (tmp_path / "r/results.json").write_text(json.dumps(changed))
    assert any("h.halted.shortage_t" in p for p in report_check.check_folder(tmp_path / "r"))
    (tmp_path / "r/results.json").write_text(json.dumps(results))

    page = (tmp_path / "r/report.html").read_text()
    shown = re.search(r'<data value="q\d+">([\d,]+)\u00a0t</data>', page)
    assert shown
    for wrong in (page.replace(shown[1], "12,345", 1), page.replace("of magnets", "of 7 magnets", 1)):
        (tmp_path / "r/report.html").write_text(wrong)
        assert report_check.check_folder(tmp_path / "r")


@pytest.mark.skipif(not shutil.which("pdftotext"), reason="poppler-utils is not installed")
def test_the_numbers_of_the_pdf_are_those_of_the_results(tmp_path: Path) -> None:
    (tmp_path / "r.pdf").write_bytes(made().files["report.pdf"])
    text = subprocess.run(["pdftotext", "-layout", tmp_path / "r.pdf", "-"], capture_output=True, text=True, check=True).stdout
    figures = json.loads(made().files["figures.json"])
    assert "Söhne & 東京 <b>" in text
    assert report_check.check_text(text, figures) == []
    tonnes = next(q["text"] for q in figures["quotes"] if q["path"] == "h.halted.shortage_t")
    assert tonnes.replace("\u00a0", " ") in text.replace("\u00a0", " ")
    assert report_check.check_text(text.replace(tonnes.split("\u00a0")[0], "98,765"), figures) == ["98,765"]


def test_the_page_is_whole_by_itself() -> None:
    page = made().files["report.html"].decode()
    assert "<script" not in page
    assert "default-src 'none'" in page
    assert "A. Söhne &amp; 東京 &lt;b&gt;" in page
    assert not re.findall(r'(?:src|srcset)="(?!data:)', page)
    assert all(alt for alt in re.findall(r'<img [^>]*alt="([^"]*)"', page))
    assert b"/StructTreeRoot" in made().files["report.pdf"]


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    wrong = TINY.replace("h.halted.shortage_t", "h.halted.shortge_t").replace("row.after_t | plain_tonnes", "row.aftr_t | plain_tonnes")
    wrong = wrong.replace("lit(2024)", "2024").replace("h.after_shortage_share | percent", "h.after_shortage_share")
    wrong = wrong.replace('["northwest"]', '["norhtwest"]')
    told = problems(tmp_path, wrong)
    assert any("line 16" in p and "'shortge_t'" in p and "shortage_t" in p and "block 1" in p for p in told), told
    assert any("'aftr_t'" in p and "after_t" in p and "block 3" in p for p in told)
    assert any("northwest" in p for p in told)
    fixed = wrong.replace("shortge_t", "shortage_t").replace("aftr_t", "after_t").replace("norhtwest", "northwest")
    told = problems(tmp_path, fixed)
    assert any("2024" in p and "lit(" in p for p in told)
    assert any("has no unit" in p for p in told)


def test_a_part_that_is_not_reached_is_checked_too(tmp_path: Path) -> None:
    unreached = TINY.replace("# Short\n", "# Short\n{% if h.is_baseline %}{{ h.nothing_t | tonnes }}{% endif %}\n")
    assert any("'nothing_t'" in p for p in problems(tmp_path, unreached))
    no_rows = TINY.replace("row.after_t | tonnes", "row.aftr_t | tonnes")
    assert any("'aftr_t'" in p for p in problems(tmp_path, no_rows, "halt=passage:northwest"))


def test_wrong_files_are_refused_with_the_nearest_names(tmp_path: Path) -> None:
    cases = {
        "unknown field 'colums'": TINY.replace("columns =", "colums ="),
        "unknown type 'tabel'": TINY.replace('type = "table"', 'type = "tabel"'),
        "unknown chart 'bar'": TINY.replace('chart = "bars"', 'chart = "bar"'),
        "unknown layer 'facilites'": TINY.replace("[[block]]", '[[result]]\nid = "l"\nkind = "layer"\nlayer = "facilites"\n\n[[block]]', 1),
        "unknown halt kind": TINY.replace('"country:CHN/magnet"', '"contry:CHN"'),
        "title is missing": TINY.replace("title =", "subtitle =", 1),
        "unknown filter 'tons'": TINY.replace("h.halted.shortage_t | tonnes", "h.halted.shortage_t | tons"),
        "no shipped font has": TINY.replace("# Short", "# Short \U00013080"),
        "is taken": TINY.replace('id = "h"', 'id = "set"'),
    }
    for words, text in cases.items():
        assert any(words in p for p in problems(tmp_path, text)), words
    with pytest.raises(BadInput, match="unknown parameter 'hlat'; nearest: halt"):
        reports.read_report(written(tmp_path, TINY), ["hlat=x"])
    with pytest.raises(UnknownName, match="brief"):
        reports.read_report("breif")


def test_templates_cannot_reach_outside(tmp_path: Path) -> None:
    for attack in ("{{ h.__class__.__mro__ }}", "{{ ''.__class__ }}", "{{ lit.__globals__ }}", "{{ 9 ** 9 ** 9 }}"):
        assert problems(tmp_path, TINY.replace("# Short", attack))


def test_nothing_is_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "out"
    sync = __import__("atlas.export_files", fromlist=["_sync"])

    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(sync, "_sync", full)
        with pytest.raises(WriteFailure, match="No space left"):
            reports.write(made(), target)
    assert list(tmp_path.iterdir()) == []
    reports.write(made(), target)
    with pytest.raises(BadInput, match="--force"):
        reports.write(made(), target)
    reports.write(made(), target, force=True)
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(WriteFailure, match="permission denied"):
        reports.check_folder(tmp_path / "other")


def test_a_missing_typst_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"pip install 'rare-earth-atlas\[report\]'"):
        reports.make(small_study(), None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("form", "value", "shown"),
    [
        ("tonnes", 55116.8, "55,100 t"), ("tonnes", 0.0, "0 t"), ("tonnes", 0.4, "under 1 t"), ("tonnes", 41.7, "42 t"),
        ("percent", 0.2353, "24 %"), ("percent", 0.00003, "under 0.1 %"), ("percent", 0.9991, "over 99 %"), ("percent", 1.0, "100 %"),
        ("percent", 0.0123, "1.2 %"), ("usd", 4619.9, "4,620 USD"), ("usd", 5.065e9, "5.07 billion USD"), ("usd", 999_900.0, "1 million USD"),
        ("change", -26000.0, "−26,000"), ("change", 0.0, "0"), ("days", 0.01, "under 0.1 days"), ("days", 1.0, "1 day"),
        ("number", 999.6, "1,000"), ("year", 2024.0, "2024"), ("points", 0.12, "12 percentage points"),
    ],
)  # fmt: skip
def test_filters_round_as_stated(form: str, value: float, shown: str) -> None:
    assert report_filters.show(value, (form,)).replace("\u00a0", " ") == shown


def test_counts_take_their_noun_and_forms_are_shown_again() -> None:
    assert report_filters.count(1, "plant") == "one\u00a0plant"
    assert report_filters.count(22, "country", "countries") == "22\u00a0countries"
    recorder = Recorder()
    shown = report_filters.Shown("a", 3.0, ("capital", "count", "plant"), recorder)
    assert shown.text == "Three\u00a0plants"


def test_shipped_reports_read_without_a_problem() -> None:
    for name, path in report_file.shipped().items():
        assert report_file.read(path).head["about"], name
    assert {"brief", "passages", "country"} <= set(report_file.shipped())


HALTS = (
    "country:CHN/magnet", "country:CHN", "passage:malacca", "passage:northwest", "port:MYKUA", "facility:lynas-kuantan",
    "border:CHN-MMR", "stage:CHN/metal@0.5", "country:CHN:USA/magnet", "country:CHN/Dy,Tb passage:suez passage:bab-el-mandeb",
)  # fmt: skip


@lru_cache(maxsize=1)
def shipped_study() -> Any:
    from atlas import study

    return study.open()


@pytest.mark.slow
@pytest.mark.parametrize("halt", HALTS)
def test_the_brief_has_two_pages_and_holds_for_any_halt(halt: str, tmp_path: Path) -> None:
    found = reports.make(shipped_study(), reports.read_report("brief", [f"halt={halt}"]))
    reports.write(found, tmp_path / "r")
    assert report_check.check_folder(tmp_path / "r") == []
    assert len(re.findall(rb"/Type\s*/Page\b", found.files["report.pdf"])) == 2


@pytest.mark.slow
@pytest.mark.parametrize(("name", "setting"), [("country", "country=DEU"), ("country", "country=MDV"), ("country", "country=CHN"), ("passages", "bloc=eu27")])
def test_shipped_reports_hold_and_are_the_same_twice(name: str, setting: str, tmp_path: Path) -> None:
    found = reports.make(shipped_study(), reports.read_report(name, [setting]))
    reports.write(found, tmp_path / "r")
    assert report_check.check_folder(tmp_path / "r") == []
    if name == "country":
        assert reports.make(shipped_study(), reports.read_report(name, [setting])).files == found.files


DOCS = (Path(__file__).resolve().parent.parent / "docs/reports.md").read_text(encoding="utf-8")


def test_the_docs_name_every_block_filter_and_result() -> None:
    for name in (*report_file.BLOCKS, *report_file.RESULTS, *report_filters.FORMS, *report_file.CHARTS):
        assert f"`{name}`" in DOCS or f"`{name}(" in DOCS, name


@pytest.mark.slow
def test_the_example_of_the_docs_is_a_report(tmp_path: Path) -> None:
    example = re.search(r"```toml\n(.*?)```", DOCS, re.DOTALL)
    assert example
    found = reports.make(small_study(), reports.read_report(written(tmp_path, example[1]), ["date=2026-12"]))
    reports.write(found, tmp_path / "r")
    assert report_check.check_folder(tmp_path / "r") == []
    assert "2026-12" in found.files["report.html"].decode()


@pytest.mark.slow
def test_the_monthly_script_of_the_docs_runs(tmp_path: Path) -> None:
    import os
    import sys

    script = re.search(r"```sh\n(#!/bin/sh\n.*?)```", DOCS, re.DOTALL)
    assert script
    (tmp_path / "monthly.sh").write_text(script[1], encoding="utf-8")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for _ in range(2):  # the second of a month replaces the first
        subprocess.run(["sh", "monthly.sh"], cwd=tmp_path, env={**os.environ, "PATH": path}, check=True)
    (made_in,) = (tmp_path / "reports").iterdir()
    assert {p.name for p in made_in.iterdir()} == set(report_check.FILES)

"""The notebook of the docs runs in a real Jupyter kernel, and what its cells show is HTML and pictures."""

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TOUR = Path(__file__).resolve().parent.parent / "docs" / "notebooks" / "tour.ipynb"
CELL_LIMIT_S = 120

# In a process of its own: the client's event loop and sockets are none of the tests' business.
RUN = """
import sys, nbformat
from nbclient import NotebookClient
from jupyter_client import KernelManager
from jupyter_client.kernelspec import KernelSpec
manager = KernelManager()
manager._kernel_spec = KernelSpec(argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"])
book = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(book, km=manager, timeout=int(sys.argv[3]), resources={"metadata": {"path": sys.argv[4]}}).execute()
nbformat.write(book, sys.argv[2])
"""


def cells(book: Any) -> list[Any]:
    return [c for c in book["cells"] if c["cell_type"] == "code"]


def text(cell: Any) -> str:
    return "".join(cell["source"])


def test_the_notebook_is_kept_without_outputs_and_small() -> None:
    book = json.loads(TOUR.read_text(encoding="utf-8"))
    assert all(c["outputs"] == [] and c["execution_count"] is None for c in cells(book))
    assert TOUR.stat().st_size < 20_000
    assert not re.search(r"(?:/home|/Users|/work|/tmp)/", TOUR.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_the_notebook_runs_and_shows_html_and_pictures(tmp_path: Path) -> None:
    done = tmp_path / "done.ipynb"
    # HOME of its own: no settings of whoever runs the tests decide what Jupyter shows.
    environ = {**os.environ, "HOME": str(tmp_path), "JUPYTER_PLATFORM_DIRS": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    words = [sys.executable, "-c", RUN, str(TOUR), str(done), str(CELL_LIMIT_S), str(tmp_path)]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=600, env=environ)
    assert ran.returncode == 0, ran.stderr[-3000:]
    book = json.loads(done.read_text(encoding="utf-8"))
    shown = {text(c): [o for o in c["outputs"] if o["output_type"] in ("execute_result", "display_data")]
             for c in cells(book)}  # fmt: skip

    def data(source: str, kind: str) -> str:
        found = next(v for k, v in shown.items() if k.rstrip().endswith(source))
        assert found, f"{source} shows nothing"
        assert kind in found[-1]["data"], f"{source} shows {sorted(found[-1]['data'])}"
        return "".join(found[-1]["data"][kind])

    for source in ("study", "answer", "way", 'answer.trace("vac-hanau")'):
        page = data(source, "text/html")
        assert "<table" in page
        assert "<script" not in page
    for source in ('answer.map(focus="eu27")', "way.map()"):
        page = data(source, "text/html")
        assert page.count("<iframe") == 1
        assert "leaflet" in page
    assert "<table" in data("round()", "text/html")
    for source in ("answer.figure()", 'once China sells none");'):
        picture = base64.b64decode(data(source, "image/png"))
        assert picture.startswith(b"\x89PNG")
        assert len(picture) > 20_000
    assert not [o for c in cells(book) for o in c["outputs"] if o["output_type"] == "error"]
    said = [o["text"] for c in cells(book) for o in c["outputs"] if o.get("name") == "stderr"]
    assert not said, said

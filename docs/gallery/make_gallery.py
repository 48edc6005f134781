"""Make all pictures of the gallery again, and docs/gallery.md from the scripts (`make gallery`).

A script is a whole program: what it says in its docstring becomes the text of its entry, what it saves its picture.
"""

import ast
import io
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

HERE = Path(__file__).resolve().parent
DOCUMENT = HERE.parent / "gallery.md"
# In the order of the document, from the shortest to those with more in them.
ORDER = (
    "halt_map", "imports", "bloc_shares", "compare", "routes", "chokepoints", "near_a_port", "to_qgis", "own_layers",
    "monthly",
)  # fmt: skip
COLOURS = 128  # of a kept picture: enough for these, and a quarter of the bytes
LIMIT_S = 900.0

HEAD = """# Gallery

Each picture is made by the script above it, which is a whole program: copy it, change it, run it. What `study` and
`answer` have is in [python.md](python.md). `make gallery` makes all pictures and this page again; a few solves each,
but for the chokepoints, which take some minutes the first time.
"""


def document() -> str:
    """Return the text of docs/gallery.md."""
    return "\n".join([HEAD, *(_entry(name) for name in ORDER)])


def _entry(name: str) -> str:
    code = (HERE / f"{name}.py").read_text(encoding="utf-8")
    tree = ast.parse(code)
    title, _, more = (ast.get_docstring(tree) or "").partition("\n")
    body = "\n".join(code.splitlines()[tree.body[0].end_lineno :]).strip()
    title = title.rstrip(".")
    text = f"{more.strip()}\n\n" if more.strip() else ""
    return f"## {title}\n\n{text}```python\n{body}\n```\n\n![{title}](gallery/{name}.png)\n"


def run(name: str, folder: Path) -> Path:
    """Run a script in a folder, and return the picture it saved there; raises RuntimeError with what it said."""
    environ = {**os.environ, "MPLBACKEND": "Agg"}
    words = [sys.executable, "-W", "error", str(HERE / f"{name}.py")]
    done = subprocess.run(words, cwd=folder, env=environ, capture_output=True, text=True, timeout=LIMIT_S)
    picture = folder / f"{name}.png"
    if done.returncode or not picture.is_file():
        raise RuntimeError(f"{name}: {done.stderr[-2000:] or 'no picture'}")
    return picture


def small(picture: Path) -> bytes:
    """Return a picture in few colours, as it is kept."""
    out = io.BytesIO()
    with Image.open(picture) as full:
        few = full.convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE)
        few.save(out, "PNG", optimize=True)
    return out.getvalue()


def main(names: Iterable[str]) -> None:
    """Make the pictures of these scripts (all without any), and the page."""
    for name in list(names) or ORDER:
        sys.stderr.write(f"{name}\n")
        picture = run(name, HERE)
        picture.write_bytes(small(picture))
    DOCUMENT.write_text(document(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])

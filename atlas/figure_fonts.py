"""The fonts of print maps, charts and reports: shipped faces, which characters they hold, matplotlib set up with them.

`templates/fonts/` holds static TrueType faces for Latin, Greek, Cyrillic, Chinese, Japanese, Korean and the larger
scripts of Asia and Africa (made by `atlas.build_fonts`), so a picture is the same on every computer.
"""

import dataclasses
import threading
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from atlas.config import data_dir

SANS = "Atlas Sans"  # the family of all text; names in other scripts fall back to the families beside it
# matplotlib keeps its settings and its list of fonts for the whole process: one picture is drawn at a time.
_LOCK = threading.RLock()
_SHOWN = 12  # characters listed in a message


@lru_cache(maxsize=1)
def files() -> tuple[Path, ...]:
    """Return the TrueType files, the main family first; matplotlib and Typst take the same ones."""
    found = sorted((data_dir("templates") / "fonts").glob("*.ttf"))
    return tuple(sorted(found, key=lambda p: (not p.name.startswith("AtlasSans-"), p.name)))


@lru_cache(maxsize=1)
def _held() -> frozenset[int]:
    """Return the code points that some face has a glyph for."""
    from matplotlib.ft2font import FT2Font

    return frozenset(c for path in files() for c in FT2Font(str(path)).get_charmap())


def missing(text: str) -> set[str]:
    """Return the characters of `text` that no shipped face can draw; blanks and invisible marks are never missing."""
    held = _held()
    return {c for c in text if ord(c) not in held and unicodedata.category(c) not in ("Cc", "Cf", "Zs", "Zl", "Zp")}


def problems(names: Mapping[str, str]) -> list[str]:
    """Return a line for each name (by its id) that holds characters without a glyph, naming them."""
    found = []
    for key, name in names.items():
        lacking = sorted(missing(name))
        if lacking:
            shown = ", ".join(f"{c} (U+{ord(c):04X})" for c in lacking[:_SHOWN])
            found.append(f"{key}: no shipped font has {shown}")
    return found


@lru_cache(maxsize=1)
def _families() -> tuple[str, ...]:
    """Make the shipped faces known to matplotlib and return their families in the order of fallback."""
    from matplotlib import font_manager

    families: list[str] = []
    for path in files():
        font_manager.fontManager.addfont(path)
        entry = font_manager.fontManager.ttflist[-1]
        families.append(entry.name)
        if entry.name != SANS:  # scripts come in one face: it stands in for bold and italic
            looks = [("normal", 700), ("italic", 400)]
            font_manager.fontManager.ttflist += [dataclasses.replace(entry, style=s, weight=w) for s, w in looks]
    return tuple(dict.fromkeys(families))


def settings() -> dict[str, Any]:
    """Return matplotlib's settings with which text is drawn: our faces, no mathematics in names, fixed ids in SVG."""
    return {
        "font.family": list(_families()),
        "font.size": 8.0,
        "text.parse_math": False,
        "text.usetex": False,
        "text.hinting": "none",
        "axes.unicode_minus": True,
        "lines.scale_dashes": False,
        "hatch.linewidth": 0.5,
        "pdf.fonttype": 42,
        "svg.fonttype": "path",
        "svg.hashsalt": "atlas",
    }


@contextmanager
def use() -> Iterator[None]:
    """Set matplotlib up with the shipped fonts; other threads wait, because its settings are the whole process's."""
    import matplotlib

    chosen: Any = settings()
    with _LOCK, matplotlib.rc_context(chosen):
        yield

"""A place on disk for the one thing that is slow and never changes: the calibrated year.

It is only ever a saving: an unreadable, foreign or stale file is computed anew, an unwritable folder is passed over.
The key covers the layers, the local roads in use, the code that decides the answer and the libraries that decide its
last digits.
"""

import dataclasses
import hashlib
import importlib.metadata
import json
import os
import re
import tempfile
from functools import lru_cache
from pathlib import Path

import platformdirs

from atlas.config import Settings
from atlas.layers import Layers
from atlas.model import Baseline

_LIBRARIES = ("highspy", "numpy", "pandas", "scipy")
_KEPT_FILES = 20


# An import of another module of this package, at the start of a line: what only types need stands further in.
_IMPORT = re.compile(r"^from atlas(?:\.(\w+))? import ([\w, ]+|\([^)]*\))", re.MULTILINE)


def key(layers: Layers, roads: str = "", root: str = "study") -> str:
    """Return the key of what the module `root` finds out: a hash of layers, code and libraries.

    `roads` is the digest of local roads. Of the code what `root` imports counts: pages and commands change no answer.
    """
    digest = hashlib.sha256(f"{layers.digest}{roads}{_code(root)}".encode())
    for library in _LIBRARIES:
        digest.update(f"{library} {importlib.metadata.version(library)}".encode())
    return digest.hexdigest()[:32]


@lru_cache(maxsize=8)
def _code(root: str) -> str:
    """Return a hash of a module and of all that it imports, directly or not."""
    home = Path(__file__).parent
    ahead, texts = [root], {}
    while ahead:
        name = ahead.pop()
        path = home / f"{name}.py"
        if name in texts or not path.exists():
            continue
        texts[name] = path.read_text(encoding="utf-8")
        for module, names in _IMPORT.findall(texts[name]):
            ahead += [module] if module else re.findall(r"\w+", names)
    digest = hashlib.sha256()
    for name in sorted(texts):
        digest.update(f"{name}\0{texts[name]}\0".encode())
    return digest.hexdigest()


def folder(settings: Settings) -> Path | None:
    """Return where calibrations are kept; None where the setting `cache_dir` is `off`."""
    if settings.cache_dir == "off":
        return None
    return Path(settings.cache_dir or platformdirs.user_cache_dir("rare-earth-atlas"))


def recall(layers: Layers, settings: Settings, roads: str = "") -> Baseline | None:
    """Return the kept calibration of these layers and local roads, or None."""
    place = folder(settings)
    if place is None:
        return None
    try:
        raw = json.loads((place / f"{key(layers, roads)}.json").read_text(encoding="utf-8"))
        raw["tuned"] = tuple(raw["tuned"])
        return Baseline(**raw)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def keep(layers: Layers, settings: Settings, baseline: Baseline, roads: str = "") -> None:
    """Keep a calibration, whole or not at all, and drop the oldest beyond a few."""
    place = folder(settings)
    if place is None:
        return
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=place, suffix=".part", delete=False, encoding="utf-8") as f:
            json.dump(dataclasses.asdict(baseline), f)
        os.replace(f.name, place / f"{key(layers, roads)}.json")
        for old in sorted(place.glob("*.json"), key=lambda p: p.stat().st_mtime)[:-_KEPT_FILES]:
            old.unlink(missing_ok=True)
    except OSError:
        return

"""A place on disk for the one thing that is slow and never changes: the calibrated year.

It is only ever a saving: an unreadable, foreign or stale file is computed anew, an unwritable folder is passed over.
The key covers the layers, the local roads in use, this package's own code and the libraries that decide the answer's
last digits.
"""

import dataclasses
import hashlib
import importlib.metadata
import json
import os
import tempfile
from pathlib import Path

import platformdirs

from atlas.config import Settings
from atlas.layers import Layers
from atlas.model import Baseline

_LIBRARIES = ("highspy", "numpy", "pandas", "scipy")
_KEPT_FILES = 20


def key(layers: Layers, roads: str = "") -> str:
    """Return the key of a calibration: a hash of layers, code and libraries; `roads` is the digest of local roads."""
    digest = hashlib.sha256(f"{layers.digest}{roads}".encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    for library in _LIBRARIES:
        digest.update(f"{library} {importlib.metadata.version(library)}".encode())
    return digest.hexdigest()[:32]


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

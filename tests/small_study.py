"""A small real study: a few dozen rows of the shipped layers laid in their place, so that everything answers quickly.

Nothing in it stands in for anything: layers, routes, calibration and solves are those of a study, only the world has
few facilities and the demand of four countries. A solve takes less than a tenth of a second.
"""

import csv
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

from atlas import study as studies
from atlas.config import data_dir, settings

FACILITIES = frozenset({
    "bayan-obo", "ganzhou-ion-clay", "kachin-pangwa", "mountain-pass-mine", "mt-weld",
    "cnre-baotou-other", "lynas-kuantan", "mountain-pass-separation", "other-china-separation",
    "other-baotou-metal", "other-ganzhou-metal",
    "jlmag-ganzhou", "other-ningbo-magnets", "shinetsu-takefu-magnet", "vac-hanau",
    "mp-independence-magnet", "nolans-separation", "usar-stillwater-magnet",
    "rec-jiangxi",
})  # fmt: skip
COUNTRIES = frozenset({"CHN", "DEU", "JPN", "USA"})  # that use magnets


def _kept(layer: str, row: dict[str, str]) -> bool:
    """Return whether a row stays."""
    if layer == "facilities":
        return row["id"] in FACILITIES
    if layer in ("demand", "markets"):
        return row["country"] in COUNTRIES
    if layer in ("targets", "capex"):
        return not row["facility"] or row["facility"] in FACILITIES
    return layer != "stock"


def write_layers(folder: Path) -> None:
    """Write the rows that stay into a folder that replaces the shipped layers."""
    (folder / "settings.toml").write_text('mode = "replace"\n', encoding="utf-8")
    for layer in ("facilities", "demand", "markets", "targets", "capex", "stock"):
        with (data_dir("layers") / f"{layer}.csv").open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows = [r for r in reader if _kept(layer, r)]
        for r in rows if layer == "facilities" else ():
            for name in ("feeds", "accepts"):
                words = (w.strip() for w in r[name].split(";"))
                r[name] = ";".join(w for w in words if w in FACILITIES or (name == "accepts" and "-" not in w and w))
        with (folder / f"{layer}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, reader.fieldnames or ())
            writer.writeheader()
            writer.writerows(rows)


@lru_cache(maxsize=1)
def small_study() -> Any:
    """Return the study; opened once, nothing kept on disk, no further processes."""
    with tempfile.TemporaryDirectory() as folder:
        write_layers(Path(folder))
        made = studies.open(folder, settings=settings({}, cache_dir="off", workers=1))
    made.before  # noqa: B018  # calibrated and solved while the layers are there
    return made


@lru_cache(maxsize=1)
def small_singles() -> Any:
    """Return what the study loses with one thing at a time; a second or two, solved once."""
    from atlas.singles import singles

    return singles(small_study())

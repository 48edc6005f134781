"""Files for GIS: how long each takes and how large it is, on the shipped world: part of `make bench`.

Prints each layer in each format under one halt, then the GeoPackage of all layers under several halts with the bounds
that the project sets itself: written in at most 5 s after the solve, at most 15 MB. Exit 1 where one is over. The layer
`network` alone, which has every edge, is 28 MB as a GeoPackage; the package of all holds the edges in use.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from atlas import export, study
from benchmarks.run import run

MOST_S, MOST_MB = 5.0, 15.0
HALT = "country:CHN/magnet"
HALTS: tuple[tuple[str, ...], ...] = (
    (), (HALT,), ("country:CHN",), ("passage:suez", "passage:malacca", "passage:panama"), ("facility:lynas-kuantan",),
)  # fmt: skip


def written(outcome: Any, layer: str, path: Path) -> tuple[float, float]:
    """Return (seconds, MB) of one file."""
    start = time.perf_counter()
    export.write_layer(outcome, layer, path)
    return time.perf_counter() - start, path.stat().st_size / 1e6


def main() -> int:
    """Print the tables and return the exit code."""
    over = False
    atlas = study.open()
    with tempfile.TemporaryDirectory() as folder:
        outcome = atlas.solve((HALT,))
        print(f"each layer under {HALT}: seconds, MB\n")
        print(f"{'':12}" + "".join(f"{suffix:>18}" for suffix in export.SUFFIXES))
        for layer in export.LAYERS:
            cells = [written(outcome, layer, Path(folder) / f"{layer}{suffix}") for suffix in export.SUFFIXES]
            print(f"{layer:12}" + "".join(f"{s:10.2f} {mb:7.2f}" for s, mb in cells))
        print(f"\nall layers in one GeoPackage, after the solve: at most {MOST_S:g} s and {MOST_MB:g} MB\n")
        for halts in HALTS:
            seconds, mb = written(atlas.solve(halts), "all", Path(folder) / "all.gpkg")
            late = seconds > MOST_S or mb > MOST_MB
            over |= late
            print(f"{' '.join(halts) or 'no halt':50} {seconds:6.2f} s {mb:6.2f} MB{'  OVER' if late else ''}")
        seconds, peak = run(["export", "all", "--halt", HALT, "--out", str(Path(folder) / "command.gpkg")])
        print(f"\natlas export all --halt {HALT}, the whole command: {seconds:.2f} s, {peak:.0f} MB of memory")
    return int(over)


if __name__ == "__main__":
    sys.exit(main())

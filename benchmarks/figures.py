"""Print maps of the shipped world: what each takes to draw and to write, in every format, and how large it is.

`python -m benchmarks.figures`. Starting, opening and solving are told apart: a script pays them once for many maps.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from atlas.study import open as open_study
from benchmarks.model import Report

DRAWN_S = 6.0  # a map drawn and written; the bound of each
# what is halted, how it is drawn, format
MAPS: tuple[tuple[tuple[str, ...], dict[str, Any], str], ...] = (
    ((), {}, "png"),
    (("country:CHN",), {}, "png"),
    (("country:CHN",), {}, "svg"),
    (("country:CHN",), {}, "pdf"),
    (("country:CHN",), {"view": "all"}, "pdf"),
    (("country:CHN",), {"grey": True, "projection": "robinson"}, "pdf"),
    (("country:CHN:USA/magnet",), {}, "png"),
    (("passage:malacca",), {"view": "after"}, "png"),
    (("facility:lynas-kuantan",), {"focus": "90,-12,155,50"}, "png"),
    (("country:CHN/magnet",), {"focus": "eu27"}, "png"),
)


def main() -> int:
    """Draw every map and print a row for each; return 1 if one is over its bound."""
    report = Report()
    start = time.perf_counter()
    study = open_study()
    _ = study.baseline
    report.add("open the layers, solve the baseline (not counted)", time.perf_counter() - start, "s")
    outcomes: dict[tuple[str, ...], Any] = {}
    start = time.perf_counter()
    for halts, _, _ in MAPS:
        outcomes.setdefault(halts, study.solve(halts=list(halts)))
    report.add(f"solve {len(outcomes)} questions (not counted)", time.perf_counter() - start, "s")
    start = time.perf_counter()
    from atlas import figure_map, figure_save

    report.add("load matplotlib (not counted)", time.perf_counter() - start, "s")
    with tempfile.TemporaryDirectory() as folder:
        for halts, looks, form in MAPS:
            path = Path(folder) / f"map.{form}"
            start = time.perf_counter()
            figure_save.save(figure_map.draw(outcomes[halts], **looks), path)
            spent = time.perf_counter() - start
            how = " ".join(f"{k}={v}" for k, v in looks.items())
            what = f"{' '.join(halts) or 'baseline'} {how} .{form}, {path.stat().st_size / 1000:,.0f} kB"
            report.add(" ".join(what.split()), spent, "s", DRAWN_S)
    return int(any(r["over"] for r in report.rows))


if __name__ == "__main__":
    sys.exit(main())

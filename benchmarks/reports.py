"""The shipped reports as a user makes them: from the start of the process to the last file, with the size of each.

`python -m benchmarks.reports`. The brief has a bound; the longer reports are told.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.model import Report

BRIEF_S = 20.0  # start, solve, pictures, page and PDF
# report, settings, bound in seconds or None
MADE: tuple[tuple[str, tuple[str, ...], float | None], ...] = (
    ("brief", ("halt=country:CHN/magnet",), BRIEF_S),
    ("brief", ("halt=country:CHN",), BRIEF_S),
    ("brief", ("halt=passage:malacca",), BRIEF_S),
    ("country", ("country=DEU",), None),
    ("passages", (), None),
)


def main() -> int:
    """Make every report and print a row for each; return 1 if one is over its bound or does not hold."""
    report, failed = Report(), False
    with tempfile.TemporaryDirectory() as folder:
        for n, (name, settings, bound) in enumerate(MADE):
            out = Path(folder) / str(n)
            given = [word for s in settings for word in ("--set", s)]
            start = time.perf_counter()
            command = [sys.executable, "-m", "atlas", "report"]
            subprocess.run([*command, name, *given, "--out", str(out)], check=True, capture_output=True)
            spent = time.perf_counter() - start
            size = (out / "report.pdf").stat().st_size
            report.add(f"{name} {' '.join(settings)}, PDF of {size / 1e6:.1f} MB".replace(" ,", ","), spent, "s", bound)
            failed |= subprocess.run([*command, "--check", str(out)], check=False, capture_output=True).returncode != 0
    return int(failed or any(r["over"] for r in report.rows))


if __name__ == "__main__":
    sys.exit(main())

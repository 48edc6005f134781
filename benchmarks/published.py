"""Routes beside published distances: the tables of `tests/data/`, for `make bench` and for the tests."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from atlas.routing import Router

DATA = Path(__file__).resolve().parent.parent / "tests" / "data"
KM_PER_NM = 1.852
BOUNDS = {"sea": (0.02, 0.06), "rail": (0.05, 0.15), "road": (0.05, 0.15)}  # mode: median, worst error


@dataclass(frozen=True)
class Pair:
    """One published distance: what the source says and what the router finds, in km.

    A pair that is not `judged` cannot tell (rounded, another harbour, a newer line beside it): `why_not` says so.
    `role` is `held`, `fitted` (the winding of roads) or `mended` (a gap that was closed because of this pair).
    """

    name: str
    mode: str
    published_km: float
    routed_km: float
    judged: bool
    why_not: str
    role: str

    @property
    def error_share(self) -> float:
        """The router's error as a share of the published distance."""
        return self.routed_km / self.published_km - 1.0


def rows(name: str) -> list[dict[str, str]]:
    """Return the rows of a table of published distances."""
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def sea_pairs(router: Router) -> list[Pair]:
    """Route every published sea distance, by sea alone and past the passages its row closes."""
    found = []
    for row in rows("sea_distances.csv"):
        close = [name for name in row["close"].split(";") if name]
        route = router.route(row["from_id"], row["to_id"], modes=["sea"], close=close)
        name, km = f"{row['from_id']}-{row['to_id']} {row['via']}", KM_PER_NM * float(row["published_nm"])
        found.append(Pair(name, "sea", km, route.distance_km, row["judged"] == "yes", row["why_not"], "held"))
    return found


def land_pairs(router: Router) -> list[Pair]:
    """Route every published rail and road distance by its mode; the km are those of the legs of that mode."""
    every = rows("land_distances.csv")
    points = {f"{side} {i}": (float(row[f"{side}_lon"]), float(row[f"{side}_lat"]), None)
              for i, row in enumerate(every) for side in ("from", "to")}
    more, found = router.attach(points), []
    for i, row in enumerate(every):
        route = more.route(f"from {i}", f"to {i}", modes=[row["mode"]], commodity="concentrate")
        km = sum(leg.distance_km for leg in route.legs if leg.mode == row["mode"])
        found.append(Pair(f"{row['from_name']} - {row['to_name']}", row["mode"], float(row["published_km"]), km,
                          row["judged"] == "yes", row["why_not"], row["role"]))
    return found

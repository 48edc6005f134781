"""Different ways between two places: each avoids a passage, port or border that the better ones need.

The cheapest way is found first. Each of its passages, ports and borders is then shut in turn, and the cheapest of all
ways found so far comes next; so the list is exact among ways that differ in what they pass and share less than
SAME_SHARE of their km with a better one (up to MAX_SEARCHES). Where that gives too few, on land, stretches in use are
made to look dearer until another way shows.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from atlas.way import Path

USED_AGAIN = 1.4  # how much dearer a stretch looks once a better route has it
SAME_SHARE = 0.9  # routes that share more of their km than this are one route, where they differ in what they pass
SAME_LAND_SHARE = 0.8  # and where they do not
MAX_SEARCHES = 120

Thing = tuple[str, str]
# (how dear each edge looks, which are blocked) -> the way that looks cheapest
Search = Callable[[NDArray[np.float64], NDArray[np.bool_]], Path | None]


def different_ways(
    search: Search, cost: NDArray[np.float64], blocked: NDArray[np.bool_], km: NDArray[np.float64],
    land: NDArray[np.bool_], passing: Callable[[str, str], NDArray[np.bool_]], ends: frozenset[str], wanted: int,
) -> list[Path]:
    """Return up to `wanted` different ways, cheapest first.

    `land` tells which edges are rail or road, `ends` are ports that every way must use.
    """
    best = search(cost, blocked)
    if best is None or best.distance_km == 0:
        return [best] if best is not None else []
    chosen: list[Path] = []
    heap: list[tuple[float, int, frozenset[Thing], Path]] = [(best.cost_usd_t, 0, frozenset(), best)]
    tried: set[frozenset[Thing]] = {frozenset()}
    while heap and len(chosen) < wanted:
        _, _, shut, path = heapq.heappop(heap)
        if all(_shared_share(km, path, other) < SAME_SHARE for other in chosen):
            chosen.append(path)
        if len(chosen) == wanted:
            break
        for thing in _things(path):
            more = shut | {thing}
            if thing[1] in ends or more in tried or len(tried) >= MAX_SEARCHES:
                continue
            tried.add(more)
            closed = blocked.copy()
            for kind, name in more:
                closed |= passing(kind, name)
            found = search(cost, closed)
            if found is not None:
                heapq.heappush(heap, (found.cost_usd_t, len(tried), more, found))
    if len(chosen) < wanted:
        chosen += _by_stretches(search, cost, blocked, km, land, chosen, wanted - len(chosen))
    return sorted(chosen, key=lambda path: path.cost_usd_t)


def _things(path: Path) -> list[Thing]:
    groups = (("passage", path.passages), ("port", path.ports), ("border", path.borders))
    return [(kind, name) for kind, names in groups for name in names]


def _shared_share(km: NDArray[np.float64], path: Path, other: Path) -> float:
    """Return the part of the shorter way's km that both ways have."""
    shared = float(km[sorted(set(path.edges) & set(other.edges))].sum())
    return shared / max(min(path.distance_km, other.distance_km), 1e-9)


def _by_stretches(
    search: Search, cost: NDArray[np.float64], blocked: NDArray[np.bool_], km: NDArray[np.float64],
    land: NDArray[np.bool_], chosen: list[Path], wanted: int,
) -> list[Path]:
    """Return ways over other rails and roads; at sea another stretch of the same way would only be a detour."""
    look = cost.copy()
    found: list[Path] = []
    dearer = np.where(land, USED_AGAIN, 1.0)
    for path in chosen:
        look[list(path.edges)] *= dearer[list(path.edges)]
    for _ in range(3 * wanted):
        way = search(look, blocked)
        if way is None or not way.edges or len(found) == wanted:
            break
        if all(_shared_share(km, way, other) < SAME_LAND_SHARE for other in [*chosen, *found]):
            found.append(way)
        look[list(way.edges)] *= dearer[list(way.edges)]
    return found

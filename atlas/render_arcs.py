"""Shared stretches of many routes, and the compact text they travel as.

Routes repeat each other: hundreds run through one strait. `arcs` cuts them where their companions change, so each
stretch is stored and drawn once and its width can be the sum of what passes, whatever is switched on.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

GRID = 10_000  # vertices that agree to 4 decimals (11 m) are one vertex
TURN = 360 * GRID


@dataclass(frozen=True)
class Arcs:
    """Stretches and, per route, the signed numbers of its stretches.

    `lines` are (n, 2) degrees with continuous longitudes, the first vertex within [-180, 180).
    `routes[i]` lists k + 1 for stretch k run forwards and -(k + 1) for backwards, in order.
    """

    lines: list[FloatArray]
    routes: list[list[int]]


def arcs(geometries: Sequence[BaseGeometry], tolerance_deg: float = 0.01) -> Arcs:
    """Return the stretches that `geometries` (lines in degrees, continuous longitudes) share.

    Stretches are simplified by `tolerance_deg` with their ends kept; a line without length has no stretch.
    """
    xy, line = shapely.get_coordinates(np.asarray(geometries, dtype=object), return_index=True)
    routes: list[list[int]] = [[] for _ in geometries]
    if len(xy) < 2:
        return Arcs([], routes)
    grid = np.rint(xy * GRID).astype(np.int64)
    key = np.mod(grid[:, 0], TURN) * TURN + (grid[:, 1] + 90 * GRID)  # the same place at any turn round the globe
    vertex = np.unique(key, return_inverse=True)[1].astype(np.int64)
    keep = np.ones(len(vertex), dtype=bool)  # a place named twice in a row is one vertex
    keep[1:] = (vertex[1:] != vertex[:-1]) | (line[1:] != line[:-1])
    vertex, line, xy = vertex[keep], line[keep], xy[keep]
    inner = np.flatnonzero(line[1:] == line[:-1])  # edge e runs from point inner[e] to the next
    if not len(inner):
        return Arcs([], routes)
    a, b, owner = vertex[inner], vertex[inner + 1], line[inner]
    count = int(vertex.max()) + 1
    edge_key, edge = np.unique(np.minimum(a, b) * count + np.maximum(a, b), return_inverse=True)
    edge = edge.astype(np.int64)
    joint = _joints(edge_key, count) | _joints_of_companions(edge, owner, a, b, len(edge_key), count)
    first = np.ones(len(edge), dtype=bool)
    first[1:] = (owner[1:] != owner[:-1]) | joint[a[1:]]
    start = np.flatnonzero(first)
    stop = np.append(start[1:], len(edge))
    # A stretch is known by its lowest edge; the first route to run it says which way is forwards.
    name = np.minimum.reduceat(edge, start)
    number: dict[int, int] = {}
    begins: list[tuple[int, int]] = []
    lines: list[FloatArray] = []
    runs = zip(
        start.tolist(),
        stop.tolist(),
        name.tolist(),
        a[start].tolist(),
        b[start].tolist(),
        owner[start].tolist(),
        strict=True,
    )
    for s, e, n, at, to, who in runs:
        where = number.get(n)
        if where is None:
            where = number[n] = len(lines)
            lines.append(xy[inner[s] : inner[e - 1] + 2])
            begins.append((at, to))
        routes[who].append(where + 1 if begins[where] == (at, to) else -(where + 1))
    return Arcs(_simplified(lines, tolerance_deg), routes)


def _joints(edge_key: IntArray, count: int) -> NDArray[np.bool_]:
    """Return whether a vertex is an end or a fork of the union of all lines."""
    degree = np.bincount(np.concatenate([edge_key // count, edge_key % count]), minlength=count)
    return degree != 2


def _joints_of_companions(
    edge: IntArray, owner: IntArray, a: IntArray, b: IntArray, edges: int, count: int
) -> NDArray[np.bool_]:
    """Return whether the set of routes changes at a vertex (a route may end or turn where no fork is)."""
    rng = np.random.default_rng(7)  # fixed: the same input gives the same stretches
    routes = int(owner.max()) + 1
    label = rng.integers(1, 2**62, size=routes, dtype=np.int64)
    once = np.unique(edge * routes + owner)  # a route may pass an edge twice
    signature = np.zeros(edges, dtype=np.int64)
    np.add.at(signature, once // routes, label[once % routes])  # wraps round, which a hash may
    low = np.full(count, np.iinfo(np.int64).max)
    high = np.full(count, np.iinfo(np.int64).min)
    for end in (a, b):
        np.minimum.at(low, end, signature[edge])
        np.maximum.at(high, end, signature[edge])
    change = low != high
    last = np.ones(len(edge), dtype=bool)  # ends of lines always cut: two may meet head on
    last[:-1] = owner[1:] != owner[:-1]
    begin = np.ones(len(edge), dtype=bool)
    begin[1:] = owner[1:] != owner[:-1]
    change[b[last]] = True
    change[a[begin]] = True
    return change


def _simplified(lines: list[FloatArray], tolerance_deg: float) -> list[FloatArray]:
    """Return the lines with fewer vertices, each moved by whole turns so that it starts within [-180, 180)."""
    sizes = [len(p) for p in lines]
    made = shapely.linestrings(np.concatenate(lines), indices=np.repeat(np.arange(len(lines)), sizes))
    if tolerance_deg > 0:
        made = shapely.simplify(made, tolerance_deg, preserve_topology=False)
    xy, index = shapely.get_coordinates(made, return_index=True)
    out = np.split(xy, np.flatnonzero(np.diff(index)) + 1)
    return [p - np.array([360.0 * np.floor((p[0, 0] + 180.0) / 360.0), 0.0]) for p in out]


def encode(xy: FloatArray, decimals: int = 3) -> str:
    """Return (n, 2) degrees as text; see `encode_all`."""
    return encode_all([xy], decimals)[0]


def encode_all(lines: Sequence[FloatArray], decimals: int = 3) -> list[str]:
    """Return each (n, 2) line in degrees as text: the encoded polyline format, longitude first.

    Differences of rounded coordinates, zigzag, five bits a character (algorithm published by Google for polylines).
    """
    if not lines:
        return []
    counts = np.array([len(p) for p in lines])
    values = np.rint(np.concatenate(lines).astype(float) * 10**decimals).astype(np.int64)
    delta = np.diff(values, axis=0, prepend=np.zeros((1, 2), dtype=np.int64))
    firsts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    delta[firsts] = values[firsts]  # each line begins anew
    delta = delta.ravel()
    zigzag = np.where(delta < 0, -2 * delta - 1, 2 * delta)
    chunks = np.ones(len(zigzag), dtype=np.int64)
    rest = zigzag >> 5
    while rest.any():
        chunks += rest > 0
        rest = rest >> 5
    offset = np.concatenate([[0], np.cumsum(chunks)])
    text = np.zeros(int(offset[-1]), dtype=np.uint8)
    for k in range(int(chunks.max(initial=0))):
        has = chunks > k
        bits = (zigzag[has] >> (5 * k)) & 31
        text[offset[:-1][has] + k] = bits + np.where(chunks[has] > k + 1, 32, 0) + 63
    whole = text.tobytes().decode("ascii")
    bounds = offset[2 * np.concatenate([firsts, [len(values)]])].tolist()
    return [whole[i:j] for i, j in itertools.pairwise(bounds)]


def decode(text: str, decimals: int = 3) -> FloatArray:
    """Return the (n, 2) degrees that `encode` wrote; the page does the same in the browser."""
    values: list[int] = []
    value = shift = 0
    for c in text.encode("ascii"):
        c -= 63
        value |= (c & 31) << shift
        shift += 5
        if not c & 32:
            values.append(-(value + 1) // 2 if value & 1 else value // 2)
            value = shift = 0
    return np.cumsum(np.array(values, dtype=float).reshape(-1, 2), axis=0) / 10**decimals

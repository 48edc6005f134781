"""Flows on a print map: bands of strands side by side with a white casing, arrowheads for the way they go.

A band is as wide as the sum of what it carries; strands beside each other are its commodities or kinds of change.
Stretches of like width are joined before they are drawn, so that dashes run on.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import shapely
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.path import Path
from matplotlib.transforms import Affine2D
from shapely.geometry import LineString, MultiLineString

from atlas.figure_flows import Strands
from atlas.figure_frame import Frame
from atlas.figure_ink import KEPT_MOST_PT, WHITE, Dash, Ink, width_pt
from atlas.geo import FloatArray

Projected = Callable[[Frame, int, FloatArray], list[FloatArray]]  # frame, arc, degrees -> pieces in metres
_ToMetres = Callable[[Iterable[FloatArray]], list[FloatArray]]

CHANGED_LEAST_PT = 0.42
CASING_PT = 0.6  # of white on either side of a band
CLASSES_PT = (5.0, 2.5, 1.2, 0.6, 0.0)  # bands are drawn class by class, wide ones below
RATIO = 1.2  # between two steps of width
OFFSET_STEP_PT = 0.3
ARROW_APART_PT, ARROW_STEP_PT, ARROW_LINE_LEAST_PT = 62.0, 18.0, 10.0
ARROW_WIDTH_LEAST_PT = 0.75
BEYOND_PT = 60.0  # how far lines are drawn past the edge of the paper


@dataclass(frozen=True)
class Drawn:
    """What was drawn, for labels to keep off: points on bands (n, 2) in points of the axes, and their widths."""

    points: FloatArray
    widths: FloatArray


@dataclass(frozen=True)
class _Part:
    """A strand on a stretch: line in points of the axes, along the band; `way` 1 with it, -1 against it, 0 neither."""

    key: str
    line: FloatArray
    width: float
    offset: float
    band: float
    way: int


def draw(
    axes: Axes, frame: Frame, strands: Strands, look: Ink, size_pt: tuple[float, float], view: str,
    projected: Projected,
) -> Drawn:  # fmt: skip
    """Draw the strands of a view on axes of so many points; return where the bands lie.

    `projected` gives an arc's pieces in metres, which panels of the same frame share.
    """
    parts = _parts(frame, strands, size_pt, view, look.scale, projected)
    west, south, east, north = frame.window
    scale = np.array([(east - west) / size_pt[0], (north - south) / size_pt[1]])

    def metres(lines: Iterable[FloatArray]) -> list[FloatArray]:
        return [np.array([west, south]) + line * scale for line in lines]

    for step, least in enumerate(CLASSES_PT):
        most = CLASSES_PT[step - 1] if step else np.inf
        inside = [p for p in parts if look.pt(least) <= p.band < look.pt(most)]
        bands = {(id(p.line)): p for p in inside}
        if bands:
            axes.add_collection(LineCollection(
                metres(p.line for p in bands.values()),
                linewidths=[p.band + 2 * min(look.pt(CASING_PT), 0.6 * p.band) for p in bands.values()],
                colors=WHITE, alpha=0.85, capstyle="butt", joinstyle="round", zorder=2 + 0.1 * step,
            ), autolim=False)  # fmt: skip
        for key in reversed(strands.keys):
            joined = _joined([p for p in inside if p.key == key])
            if joined:
                axes.add_collection(
                    _collection(
                        metres(line for line, _ in joined),
                        [w for _, w in joined],
                        look.colour(key),
                        look.dash(key),
                        2.05 + 0.1 * step,
                    ),
                    autolim=False,
                )
    _arrows(axes, parts, look, metres)
    if not parts:
        return Drawn(np.empty((0, 2)), np.empty(0))
    sampled = [(_every(p.line, 3.0), p.band) for p in {id(p.line): p for p in parts}.values()]
    return Drawn(np.concatenate([s for s, _ in sampled]), np.concatenate([np.full(len(s), b) for s, b in sampled]))


def _collection(lines: list[FloatArray], widths: list[float], colour: str, dash: Dash, zorder: float) -> LineCollection:
    style = (0, dash) if dash else "solid"
    cap = "butt" if dash else "round"
    return LineCollection(lines, linewidths=widths, colors=colour, linestyles=[style], capstyle=cap, joinstyle="round",
                          zorder=zorder)  # fmt: skip


def _parts(
    frame: Frame, strands: Strands, size_pt: tuple[float, float], view: str, enlarged: float,
    projected: Projected,
) -> list[_Part]:  # fmt: skip
    """Return every strand with its line in points, its width and where in its band it lies."""
    west, south, east, north = frame.window
    scale = np.array([size_pt[0] / (east - west), size_pt[1] / (north - south)])
    limit = np.array(size_pt)
    parts: list[_Part] = []
    arcs, names = strands.table["arc"].to_numpy(), strands.table["key"].tolist()
    all_tonnes, all_headings = strands.table["tonnes"].to_numpy(), strands.table["heading"].to_numpy()
    bounds = [*np.flatnonzero(np.diff(arcs, prepend=-1)).tolist(), len(arcs)]
    for start, stop in zip(bounds[:-1], bounds[1:], strict=True):
        arc = int(arcs[start])
        pieces = [(p - np.array([west, south])) * scale for p in projected(frame, arc, strands.lines[arc])]
        pieces = [p for p in pieces if (p.max(axis=0) > 0).all() and (p.min(axis=0) < limit).all()]
        pieces = [part for p in pieces for part in _cut(p, limit)]
        if not pieces:
            continue
        keys, tonnes, heading = names[start:stop], all_tonnes[start:stop], all_headings[start:stop]
        widths = enlarged * strand_widths(keys, tonnes, view)
        band = float(widths.sum())
        forwards = float((heading * tonnes).sum()) >= 0
        offsets = band / 2.0 - np.cumsum(widths) + widths / 2.0  # left of the way first
        for piece in pieces:
            line = piece if forwards else piece[::-1].copy()
            for key, w, d, h in zip(keys, widths, offsets, heading, strict=True):
                parts.append(_Part(key, line, float(w), float(d), band, int(h) * (1 if forwards else -1)))
    return parts


def _cut(line: FloatArray, limit: FloatArray) -> list[FloatArray]:
    """Return the parts of a line near the paper, the way it runs; close up, the rest would be longer than the Earth."""
    if (line.min(axis=0) > -BEYOND_PT).all() and (line.max(axis=0) < limit + BEYOND_PT).all():
        return [line]
    whole = LineString(line)
    wide, tall = (float(v) + BEYOND_PT for v in limit)
    found = []
    for part in shapely.get_parts(shapely.clip_by_rect(whole, -BEYOND_PT, -BEYOND_PT, wide, tall)):
        xy = shapely.get_coordinates(part)
        if len(xy) > 1:
            first, last = shapely.line_locate_point(whole, shapely.points(xy[[0, -1]]))
            found.append(xy if first <= last else xy[::-1].copy())
    return found


def strand_widths(keys: list[str], tonnes: FloatArray, view: str) -> FloatArray:
    """Return the widths in points of the strands of one band.

    By commodity the band has the width of the sum, shared out by tonnes. In a map of changes each kind has the width
    of its own tonnes, and what is kept is a thin line.
    """
    if view == "change":
        return np.array([min(width_pt(t), KEPT_MOST_PT) if k == "kept" else max(width_pt(t), CHANGED_LEAST_PT)
                         for k, t in zip(keys, tonnes, strict=True)])  # fmt: skip
    whole = width_pt(float(tonnes.sum()))
    return np.maximum(whole * tonnes / tonnes.sum(), 0.25)


def _joined(parts: list[_Part]) -> list[tuple[FloatArray, float]]:
    """Return lines with their widths: stretches that follow each other in like width and place are one line."""
    groups: dict[tuple[int, int], list[FloatArray]] = defaultdict(list)
    for p in parts:
        level = round(float(np.log(p.width) / np.log(RATIO)))
        groups[level, round(p.offset / OFFSET_STEP_PT)].append(np.round(p.line, 2))
    made: list[tuple[FloatArray, float]] = []
    for (level, place), lines in sorted(groups.items()):
        whole = MultiLineString([LineString(xy) for xy in lines if np.ptp(xy, axis=0).any()])
        for line in shapely.get_parts(shapely.line_merge(whole, directed=True)):
            xy = shapely.get_coordinates(line)
            made.append((moved(xy, place * OFFSET_STEP_PT), RATIO**level))
    return made


def moved(line: FloatArray, left: float) -> FloatArray:
    """Return an (n, 2) line moved to the left of its way by so much; corners are cut where they would run far out."""
    if abs(left) < 1e-9 or len(line) < 2:
        return line
    step = np.diff(line, axis=0)
    length = np.hypot(step[:, 0], step[:, 1])
    keep = np.r_[True, length > 0]
    line, step, length = line[keep], step[length > 0], length[length > 0]
    if not len(step):
        return line
    normal = np.column_stack([-step[:, 1], step[:, 0]]) / length[:, None]
    corner = np.vstack([normal[:1], normal[:-1] + normal[1:], normal[-1:]])
    size = np.hypot(corner[:, 0], corner[:, 1])[:, None]
    corner = corner / np.where(size > 1e-6, size, 1.0)
    near = np.vstack([normal, normal[-1:]])
    cosine = np.clip((corner * near).sum(axis=1), 0.6, 1.0)[:, None]
    return np.asarray(line + left * corner / cosine)


def _every(line: FloatArray, apart: float, start: float = 0.0) -> FloatArray:
    """Return points on a line at equal steps."""
    made = LineString(line)
    at = np.arange(start, made.length + 1e-9, apart)
    return shapely.get_coordinates(shapely.line_interpolate_point(made, at))


def _arrows(axes: Axes, parts: list[_Part], look: Ink, metres: _ToMetres) -> None:
    """Put arrowheads on strands that go one way, the widest first, well apart from each other."""
    taken: dict[str, list[FloatArray]] = defaultdict(list)
    by_key: dict[str, list[tuple[FloatArray, float, float]]] = defaultdict(list)
    for p in sorted(parts, key=lambda p: -p.width):
        if not p.way or p.key == "kept" or p.width < look.pt(ARROW_WIDTH_LEAST_PT):
            continue
        line = moved(p.line, p.offset)
        made = LineString(line)
        if made.length < ARROW_LINE_LEAST_PT:
            continue
        for s in np.arange(made.length / 2.0 % ARROW_STEP_PT + 1e-6, made.length, ARROW_STEP_PT):
            at = shapely.get_coordinates(made.interpolate(s))[0]
            before, after = (shapely.get_coordinates(made.interpolate(max(s + d, 0.0)))[0] for d in (-2.5, 2.5))
            if any(np.hypot(*(at - t)) < look.pt(ARROW_APART_PT) for t in taken[p.key]):
                continue
            turn = np.arctan2(*(after - before)[::-1]) + (np.pi if p.way < 0 else 0.0)
            taken[p.key].append(at)
            by_key[p.key].append((at, float(turn), p.width))
    head = np.array([[1.15, 0.0], [-0.75, 0.85], [-0.35, 0.0], [-0.75, -0.85], [1.15, 0.0]])
    for key, arrows in by_key.items():
        paths = []
        for _, turn, width in arrows:
            c, s = np.cos(turn), np.sin(turn)
            paths.append(Path((head * (look.pt(1.7) + 0.55 * width)) @ np.array([[c, s], [-s, c]])))
        where = metres([at[None, :] for at, _, _ in arrows])
        heads = PathCollection(paths, offsets=np.concatenate(where), offset_transform=axes.transData,
                               facecolors=look.colour(key), edgecolors=WHITE, linewidths=0.5, zorder=2.9)  # fmt: skip
        # Paths of a collection are in pixels, so points are scaled by the figure's own resolution, whatever it is.
        heads.set_transform(Affine2D().scale(1 / 72.0) + axes.figure.dpi_scale_trans)
        axes.add_collection(heads, autolim=False)

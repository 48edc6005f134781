"""Names on a print map that do not collide: each gets the best free place near its point, else a leader, else none.

Places are tried in order of weight, from near to far and all round. Text never lies on text, on a mark of a halt or on
a large symbol, and keeps off wide bands where it can.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.collections import LineCollection
from matplotlib.font_manager import FontProperties
from matplotlib.patheffects import withStroke
from matplotlib.text import Text

from atlas.figure_ink import INK, WHITE
from atlas.geo import FloatArray

FAR_PT = (0.0, 3.0, 7.0, 13.0, 21.0, 31.0, 44.0)
LEADER_FROM_PT = 6.0
ANGLES_DEG = (0, 180, 45, -45, 135, -135, 90, -90, 22, -22, 158, -158, 68, -68, 112, -112)
PAD_PT = 1.1  # of air round a text
GRID_PT = 2.0
HALO_PT = 1.9
LINE_SPACING = 0.92


@dataclass(frozen=True)
class Name:
    """A text for a point: `at` in points of the axes, `radius` of its symbol, larger `weight` first.

    `must` keeps a name even where it has to lie on symbols (never on other names); `centred` names (of countries) may
    lie on their point.
    """

    text: str
    at: tuple[float, float]
    weight: float
    radius: float = 0.0
    size: float = 6.5
    bold: bool = False
    italic: bool = False
    colour: str = INK
    centred: bool = False
    key: str = ""


@dataclass(frozen=True)
class Placed:
    """A name with the middle of its box and the box (left, low, right, high), in points of the axes."""

    name: Name
    middle: tuple[float, float]
    box: tuple[float, float, float, float]
    leader: tuple[tuple[float, float], tuple[float, float]] | None


def font(name: Name) -> FontProperties:
    """Return the font of a name."""
    return FontProperties(size=name.size, weight="bold" if name.bold else "normal",
                          style="italic" if name.italic else "normal")  # fmt: skip


class Ruler:
    """Measures texts in points, as they will be drawn."""

    def __init__(self) -> None:
        self._renderer = RendererAgg(10, 10, 72 * 4)

    def size(self, text: str, properties: FontProperties) -> tuple[float, float]:
        """Return width and height in points of a text, which may have several lines."""
        from matplotlib.figure import Figure

        figure = Figure(dpi=72 * 4)
        made = Text(0, 0, text, fontproperties=properties, linespacing=LINE_SPACING)
        made.set_figure(figure)
        extent = made.get_window_extent(self._renderer)
        return extent.width / 4, extent.height / 4


class Room:
    """What is taken of an area of so many points: boxes that must be kept off, and how busy every spot is."""

    def __init__(self, size_pt: tuple[float, float], scale: float = 1.0) -> None:
        self.size, self.scale = size_pt, scale
        self.boxes: list[tuple[float, float, float, float]] = []
        self._busy = np.zeros((int(size_pt[1] / GRID_PT) + 2, int(size_pt[0] / GRID_PT) + 2))
        self._sums: FloatArray | None = None

    def keep_off(self, box: tuple[float, float, float, float]) -> None:
        """Forbid a box (left, low, right, high)."""
        self.boxes.append(box)

    def busy(self, points: FloatArray, weight: FloatArray) -> None:
        """Say that points (n, 2) are drawn on, each by so much."""
        at = np.floor(points / GRID_PT).astype(int)
        rows, columns = self._busy.shape
        inside = (at[:, 0] >= 0) & (at[:, 0] < columns) & (at[:, 1] >= 0) & (at[:, 1] < rows)
        np.add.at(self._busy, (at[inside, 1], at[inside, 0]), weight[inside])
        self._sums = None

    def weight(self, boxes: FloatArray) -> FloatArray:
        """Return how much is drawn in each of (n, 4) boxes."""
        if self._sums is None:
            self._sums = np.pad(self._busy, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
        rows, columns = self._busy.shape
        left, low, right, high = (np.floor(boxes / GRID_PT).astype(int)).T
        left, right = np.clip(left, 0, columns), np.clip(right + 1, 0, columns)
        low, high = np.clip(low, 0, rows), np.clip(high + 1, 0, rows)
        s = self._sums
        return np.asarray(s[high, right] - s[low, right] - s[high, left] + s[low, left])

    def free(self, boxes: FloatArray) -> FloatArray:
        """Return whether each of (n, 4) boxes lies inside and on nothing forbidden."""
        wide, tall = self.size
        fine = (boxes[:, 0] > 1) & (boxes[:, 1] > 1) & (boxes[:, 2] < wide - 1) & (boxes[:, 3] < tall - 1)
        if self.boxes:
            taken = np.array(self.boxes)
            apart = (
                (boxes[:, None, 0] >= taken[None, :, 2]) | (boxes[:, None, 2] <= taken[None, :, 0])
                | (boxes[:, None, 1] >= taken[None, :, 3]) | (boxes[:, None, 3] <= taken[None, :, 1])
            )  # fmt: skip
            fine &= apart.all(axis=1)
        return np.asarray(fine)


def place(names: Sequence[Name], room: Room, ruler: Ruler) -> list[Placed]:
    """Return a place for every name that has one; earlier (heavier) names choose first."""
    found: list[Placed] = []
    for name in sorted(names, key=lambda n: (-n.weight, n.key, n.text)):
        placed = _best(name, room, ruler)
        if placed is not None:
            room.keep_off(placed.box)
            if placed.leader is not None:
                steps = np.linspace(placed.leader[0], placed.leader[1], 20)
                room.busy(steps, np.full(len(steps), 6.0))
            found.append(placed)
    return found


def _best(name: Name, room: Room, ruler: Ruler) -> Placed | None:
    wide, tall = ruler.size(name.text, font(name))
    scale = room.scale
    half = np.array([wide / 2 + PAD_PT * scale, tall / 2 + PAD_PT * 0.6 * scale])
    middles, costs = [], []
    if name.centred:
        middles.append(np.array(name.at))
        costs.append(0.0)
    for far in FAR_PT:
        for rank, degrees in enumerate(ANGLES_DEG):
            c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
            reach = name.radius + scale * (1.2 + far)
            # The box touches a circle of that reach from outside, on the side it stands.
            push = np.array([c * (reach + half[0]) if abs(c) > 0.35 else c * reach * 2,
                             s * (reach + half[1]) if abs(s) > 0.35 else s * reach])  # fmt: skip
            middles.append(np.array(name.at) + push)
            costs.append(far * 0.9 + rank * 0.25 + (2.5 if far >= LEADER_FROM_PT else 0.0))
    at = np.array(middles)
    boxes = np.column_stack([at - half, at + half])
    free = room.free(boxes)
    if not free.any():
        return None
    cost = np.array(costs) + 0.55 * room.weight(boxes) * (20.0 / max(len(name.text), 8))
    cost[np.logical_not(free)] = np.inf
    for k in np.argsort(cost, kind="stable")[:40]:
        if not np.isfinite(cost[k]):
            return None
        leader = _leader(name, at[k], half, scale)
        if leader is None or not _crosses(leader, room.boxes):
            left, low, right, high = (float(v) for v in boxes[k])
            return Placed(name, (float(at[k][0]), float(at[k][1])), (left, low, right, high), leader)
    return None


def _leader(
    name: Name, middle: FloatArray, half: FloatArray, scale: float
) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Return the line from a symbol's edge to the near edge of the name's box, None where they are close."""
    point = np.array(name.at)
    end = np.clip(point, middle - half + 0.4, middle + half - 0.4)
    gap = float(np.hypot(*(end - point)))
    if gap - name.radius < LEADER_FROM_PT * scale:
        return None
    start = point + (end - point) / gap * max(name.radius + 0.3, 0.8)
    return (float(start[0]), float(start[1])), (float(end[0]), float(end[1]))


def _crosses(leader: tuple[tuple[float, float], tuple[float, float]], boxes: Sequence[tuple[float, ...]]) -> bool:
    """Return whether a leader runs over a taken box, other than the one it starts in."""
    if not boxes:
        return False
    steps = np.linspace(leader[0], leader[1], 24)
    taken = np.array(boxes)
    begins = ((taken[:, :2] <= steps[0]) & (taken[:, 2:] >= steps[0])).all(axis=1)
    taken = taken[~begins]
    inside = (steps[:, None, :] > taken[None, :, :2]) & (steps[:, None, :] < taken[None, :, 2:])
    return bool(inside.all(axis=2).any())


def draw(axes: Axes, placed: Sequence[Placed], size_pt: tuple[float, float], enlarged: float = 1.0) -> list[Text]:
    """Draw names and leaders on axes of so many points; return the texts (without the halos below them)."""
    scale = np.array([1.0 / size_pt[0], 1.0 / size_pt[1]])
    leaders = [np.array(p.leader) * scale for p in placed if p.leader is not None]
    for colour, width, zorder in ((WHITE, 1.5, 4.9), (INK, 0.45, 5.0)):
        if leaders:
            axes.add_collection(LineCollection(leaders, colors=colour, linewidths=width * enlarged, zorder=zorder,
                                               transform=axes.transAxes, capstyle="round"), autolim=False)  # fmt: skip
    texts = []
    for p in placed:
        x, y = np.array(p.middle) * scale
        for halo in (True, False):
            made = axes.text(x, y, p.name.text, fontproperties=font(p.name), color=WHITE if halo else p.name.colour,
                             ha="center", va="center", linespacing=LINE_SPACING, zorder=5.1 if halo else 5.2,
                             transform=axes.transAxes)  # fmt: skip
            made.set_gid("halo" if halo else f"name-{p.name.key}")
            if halo:
                made.set_path_effects([withStroke(linewidth=HALO_PT * enlarged, foreground=WHITE)])
            else:
                texts.append(made)
    return texts

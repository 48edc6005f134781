"""Places on a print map: facilities by stage and size, passages, ports, what is halted, a scenario's buyers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import shapely
from matplotlib.axes import Axes
from matplotlib.path import Path

from atlas.answer_words import buyer_lines
from atlas.figure_flows import SMALL_T, Bundles, kind_of_change
from atlas.figure_frame import Frame
from atlas.figure_ink import INK, WHITE, Ink, plain
from atlas.geo import FloatArray
from atlas.render_data import halted_things, own_units
from atlas.render_style import BUYERS, SHAPES, STAGES, polygon

FACILITY_SCALE = 0.78  # of symbols beside those of the web, whose map is larger
HIDDEN_T = 20.0  # facilities with less output than this are left out of a world map
HALT_RADIUS_PT = 5.2
PASSAGE_RADIUS_PT = 2.6
BUYER_RADIUS_PT = 5.0


@dataclass(frozen=True)
class Spot:
    """A marked place: its point in degrees, its radius in points, its kind and id."""

    kind: str
    id: str
    at: tuple[float, float]
    radius: float


def facilities(outcome: Any, view: str, commodities: Sequence[str] = ()) -> pd.DataFrame:
    """Return the units that run in a view, by id: name, stage, country, lon, lat, baseline_t, halted_t, tonnes, kind.

    `tonnes` is the output of the view (of the larger state in a map of changes), `kind` the kind of change. With
    `commodities` only stages that make one of them.
    """
    made = outcome.facilities
    known = outcome.layers.facilities[["name", "stage", "country", "lon", "lat"]]
    own = pd.DataFrame(
        [{"id": r["id"], "name": r["name"], "stage": STAGES[r["stage"]], "country": r["country"], "lon": r["at"][0],
          "lat": r["at"][1]} for r in own_units(outcome).values()]
    )  # fmt: skip
    if len(own):
        known = pd.concat([known, own.set_index("id")])
    table = known.join(made[["baseline_t", "halted_t"]], how="inner").fillna({"baseline_t": 0.0, "halted_t": 0.0})
    before, after = table["baseline_t"], table["halted_t"]
    tonnes = {"before": before, "after": after}.get(view, np.maximum(before, after))
    side = np.where(table["country"].isin(set(outcome.bloc_countries)), "ally", "other")
    table = table.assign(tonnes=tonnes, kind=kind_of_change(before, after, side))
    if commodities:
        stages = {{"concentrate": "mine", "oxide": "separation", "scrap": "recycling"}.get(c, c) for c in commodities}
        table = table[table["stage"].isin(stages)]
    return table[table["tonnes"] > SMALL_T].sort_values("tonnes", ascending=False, kind="stable")


def marker(stage: str) -> Path:
    """Return the symbol of a stage around (0, 0), y upwards."""
    shape = SHAPES[stage]
    if shape == "circle":
        return Path.unit_circle()
    xy = np.array(polygon(shape), dtype=float) * np.array([1.0, -1.0])
    return Path(np.vstack([xy, xy[:1]]), closed=True)


def scatter(axes: Axes, at: FloatArray, radius_pt: Any, shape: Path, **looks: Any) -> None:
    """Put symbols at points in metres; `radius_pt` is what one unit of the symbol's outline measures."""
    reach = float(np.abs(shape.vertices).max())
    axes.scatter(at[:, 0], at[:, 1], s=(2 * reach * np.asarray(radius_pt)) ** 2, marker=shape, **looks)


def draw_facilities(axes: Axes, frame: Frame, table: pd.DataFrame, view: str, look: Ink) -> list[Spot]:
    """Draw the facilities in the window, large ones below; return where they are."""
    table = table[table["tonnes"] >= (HIDDEN_T if frame.is_world else 0.5)]
    table = table[frame.holds(table[["lon", "lat"]].to_numpy())]
    radius = np.array([max(look.radius(t) * FACILITY_SCALE, look.pt(1.35)) for t in table["tonnes"]])
    at = frame.xy(table[["lon", "lat"]].to_numpy())
    keys = table["kind"] if view == "change" else table["stage"]
    order = {s: i for i, s in enumerate(STAGES)}
    for key, stage in sorted(
        set(zip(keys, table["stage"], strict=True)), key=lambda k: (k[0] != "kept", order[k[1]], k[0])
    ):
        of = ((keys == key) & (table["stage"] == stage)).to_numpy()
        scatter(axes, at[of], radius[of], marker(stage), facecolors=look.colour(key), edgecolors=WHITE if key != "buyer"
                else INK, linewidths=0.45, zorder=3.2 if key == "kept" else 3.4)  # fmt: skip
    return [Spot("facility", str(i), (float(r.lon), float(r.lat)), float(q))
            for (i, r), q in zip(table.iterrows(), radius, strict=True)]  # fmt: skip


def passages(outcome: Any, flows: Bundles) -> pd.DataFrame:
    """Return passages that carry something in a state or are halted: name, lon, lat, baseline_t, halted_t, closed.

    A gate line may be hundreds of kilometres long: its sign stands where most of the flows cross it.
    """
    layers, closed = outcome.layers.passages, set(halted_things(outcome)["passage"])
    both = [outcome.summary[s].get("throughput_t", {}).get("passage", {}) for s in ("baseline", "halted")]
    lines = shapely.linestrings(
        np.concatenate(flows.lines or [np.empty((0, 2))]),
        indices=np.repeat(np.arange(len(flows.lines)), [len(p) for p in flows.lines]),
    )
    tree, tonnes = shapely.STRtree(lines), flows.arc_tonnes
    rows = []
    for pid, row in layers.iterrows():
        before, after = (float(b.get(pid, 0.0)) for b in both)
        if pid not in closed and max(before, after) <= SMALL_T:
            continue
        at = row.geometry.interpolate(0.5, normalized=True) if row.geometry.length else row.geometry.centroid
        crossing = tree.query(row.geometry, predicate="intersects")
        if len(crossing):
            at = lines[crossing[np.argmax(tonnes[crossing])]].intersection(row.geometry).representative_point()
        rows.append((str(pid), str(row["name"]), at.x, at.y, before, after, pid in closed))
    columns = ["id", "name", "lon", "lat", "baseline_t", "halted_t", "closed"]
    return pd.DataFrame(rows, columns=columns).set_index("id")


def draw_passages(axes: Axes, frame: Frame, table: pd.DataFrame, look: Ink) -> list[Spot]:
    """Draw the sign of a strait or canal (two banks) at each passage in the window; return where they are."""
    table = table[frame.holds(table[["lon", "lat"]].to_numpy())] if len(table) else table
    if not len(table):
        return []
    at = frame.xy(table[["lon", "lat"]].to_numpy())
    banks = Path([(-1.0, 1.0), (-0.35, 0.35), (-0.35, -0.35), (-1.0, -1.0), (1.0, 1.0), (0.35, 0.35), (0.35, -0.35),
                  (1.0, -1.0)], [1, 2, 2, 2, 1, 2, 2, 2])  # fmt: skip
    for colour, wide in ((WHITE, 2.4), (INK, 0.95)):
        scatter(axes, at, look.pt(PASSAGE_RADIUS_PT), banks, facecolors="none", edgecolors=colour,
                linewidths=look.pt(wide), zorder=3.6)  # fmt: skip
    radius = look.pt(PASSAGE_RADIUS_PT)
    return [Spot("passage", str(i), (float(r.lon), float(r.lat)), radius) for i, r in table.iterrows()]


def halted_points(outcome: Any, through: pd.DataFrame) -> list[Spot]:
    """Return where the halted facilities, ports, passages (of `passages`) and borders are."""
    things, layers = halted_things(outcome), outcome.layers
    spots = []
    for fid in things["facility"]:
        if fid in layers.facilities.index:
            row = layers.facilities.loc[fid]
            spots.append(Spot("facility", fid, (float(row["lon"]), float(row["lat"])), HALT_RADIUS_PT))
    for pid in things["port"]:
        if pid in layers.ports.index:
            row = layers.ports.loc[pid]
            spots.append(Spot("port", pid, (float(row["lon"]), float(row["lat"])), HALT_RADIUS_PT))
    spots += [Spot("passage", str(i), (float(r.lon), float(r.lat)), HALT_RADIUS_PT)
              for i, r in through[through["closed"]].iterrows()]  # fmt: skip
    for border in things["border"]:
        first, _, second = border.partition("-")
        outlines = layers.countries.geometry
        if first in outlines.index and second in outlines.index:
            shared = shapely.intersection(outlines[first], outlines[second])
            if shared.is_empty:
                continue
            middle = shapely.get_coordinates(shared)[len(shapely.get_coordinates(shared)) // 2]
            spots.append(Spot("border", border, (float(middle[0]), float(middle[1])), HALT_RADIUS_PT))
    return spots


def draw_halted(axes: Axes, frame: Frame, spots: Sequence[Spot], look: Ink) -> list[Spot]:
    """Draw the sign of what is halted: a ring with a cross; return those in the window."""
    radius = look.pt(HALT_RADIUS_PT)
    inside = [replace(s, radius=radius) for s in spots if bool(frame.holds([s.at])[0])]
    if inside:
        at = frame.xy([s.at for s in inside])
        cross = Path([(-0.6, -0.6), (0.6, 0.6), (-0.6, 0.6), (0.6, -0.6)], [1, 2, 1, 2])
        for shape, face, zorder in ((Path.unit_circle(), WHITE, 3.8), (cross, "none", 3.85)):
            scatter(axes, at, radius, shape, facecolors=face, edgecolors=look.stop, linewidths=look.pt(1.5),
                    zorder=zorder)  # fmt: skip
    return inside


def draw_buyers(axes: Axes, frame: Frame, outcome: Any, view: str, look: Ink) -> list[Spot]:
    """Draw a scenario's buyers as stars, filled as far as they are met; return those in the window."""
    at = {b["id"]: (float(b["lon"]), float(b["lat"])) for b in outcome.summary["scenario"].get("buyers", ())}
    spots = []
    for buyer in buyer_lines(outcome.summary):
        where = at.get(buyer.id)
        if where is None or not bool(frame.holds([where])[0]):
            continue
        state = buyer.state if view != "before" else "met"
        colour, part, _ = BUYERS[state]
        face = INK if look.grey and part == 1 else WHITE if part < 1 else plain(colour)
        star = Path(np.array(polygon("star")) * [1.0, -1.0])
        scatter(axes, frame.xy([where]), look.pt(BUYER_RADIUS_PT), star, facecolors=face,
                edgecolors=INK if look.grey else plain(colour), linewidths=look.pt(1.2), zorder=3.7)  # fmt: skip
        spots.append(Spot("buyer", buyer.id, where, 1.4 * look.pt(BUYER_RADIUS_PT)))
    return spots

"""What the pages of places show: Folium maps of facilities and of one thing's paths, rows of tables, small plots."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from atlas.facility_filter import PLANNED, Total
from atlas.page_text import text
from atlas.render_arcs import arcs, encode_all
from atlas.render_data import Json
from atlas.render_map import MAP_OPTIONS, AtlasData, AtlasFigure, AtlasMap, count_ids
from atlas.render_style import (
    ATTRIBUTION,
    COLOURS,
    COMMODITIES,
    COMMODITY_LABELS,
    SHAPES,
    STAGES,
    Sample,
    line_swatch,
    polygon,
    radius_px,
    shape_swatch,
)

UNITS = {"t_reo": "t REO", "t_metal": "t metal", "t_magnet": "t magnets"}
PATH_TOLERANCE_DEG = 0.02
WIDTH_PX = (1.2, 9.0)  # of the thinnest and of the widest path
LEAST_DRAWN_SHARE = 1e-4  # of the widest path


def figure(drawer: str, label: str) -> AtlasFigure:
    """Return the figure that holds a map which the script's object `drawer` draws; the same input, the same bytes."""
    made = AtlasFigure()
    made.header._children.clear()  # the template has its own
    options = MAP_OPTIONS | {"max_zoom": 14}
    chart = AtlasMap(location=[22, 60], zoom_start=2, tiles=None, control_scale=True, prefer_canvas=True,
                     zoom_control=True, **options)  # fmt: skip
    made.add_child(chart)
    about = str(Markup(" · ").join(who for _, who in ATTRIBUTION[:3]))
    chart.add_child(AtlasData({"label": label[:200].replace("<", ""), "attribution": about}, drawer))
    count_ids(made)
    return made


def looks() -> Json:
    """Return shapes and colours for a script that draws places."""
    return {
        "shapes": {s: (polygon(shape) if shape not in ("circle", "cross") else shape) for s, shape in SHAPES.items()},
        "colours": {s: COLOURS[s] for s in (*STAGES, "demand")},
        "commodities": [{"colour": COLOURS[c], "label": COMMODITY_LABELS[c]} for c in COMMODITIES],
    }


def stage_key() -> list[Sample]:
    """Return the legend of a map of facilities: shapes by stage, hollow for what is planned, sizes."""
    found = [Sample(shape_swatch(SHAPES[s], COLOURS[s]), text(f"explore.stage.{s}")) for s in STAGES]
    found.append(Sample(shape_swatch("circle", COLOURS["demand"], hollow=True), text("explore.hollow")))
    return found


def size_key() -> list[Sample]:
    """Return how large a place is drawn by its capacity."""
    return [Sample(shape_swatch("circle", COLOURS["demand"], radius_px(t)), f"{t:,} t") for t in (1_000, 20_000)]


def path_key() -> list[Sample]:
    """Return the legend of a map of paths."""
    return [Sample(line_swatch(COLOURS[c], (), 4), COMMODITY_LABELS[c]) for c in COMMODITIES]


def swatch(stage: str, status: str) -> Markup:
    """Return a facility's symbol, hollow where it is planned."""
    return shape_swatch(SHAPES[stage], COLOURS[stage], 5.5, hollow=status in PLANNED)


def tonnes(value: float | None) -> str:
    """Return tonnes for people: three digits, a dash where nothing is known."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{float(f'{value:.3g}'):,.0f}" if abs(value) >= 100 else f"{float(f'{value:.3g}'):,.4g}"


def percent(share: float) -> str:
    """Return a share for people: 0.1 % is told from none."""
    if 0 < share < 0.001:
        return "< 0.1 %"
    return f"{100 * share:.1f} %" if 0 < share < 0.0995 else f"{100 * share:.0f} %"


def table_rows(rows: pd.DataFrame, countries: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the rows of the table of facilities as a template shows them."""
    found = []
    for r in rows.to_dict("records"):
        found.append({
            "id": r["id"], "name": r["name"], "operator": r["operator"], "country": r["country"],
            "country_name": countries.get(r["country"], r["country"]), "stage": text(f"explore.one.{r['stage']}"),
            "swatch": swatch(r["stage"], r["status"]), "status": text(f"explore.status.{r['status']}"),
            "unit": UNITS.get(r["unit"], r["unit"]), "capacity": tonnes(r["capacity_t"]),
            "capacity_t": _number(r["capacity_t"]), "output": tonnes(r["output_t"]), "output_t": _number(r["output_t"]),
            "model": tonnes(r["modelled_output_t"]), "model_t": _number(r["modelled_output_t"]),
            "confidence": r["confidence"], "elements": ", ".join(r["made"]),
        })  # fmt: skip
    return found


def _number(value: float) -> str:
    """Return what a table sorts by, empty where nothing is known."""
    return f"{value:.6g}" if math.isfinite(value) else ""


def total_lines(totals: Sequence[Total]) -> list[dict[str, Any]]:
    """Return the totals by stage in words and figures."""
    return [
        {
            "stage": text(f"explore.stage.{t.stage}"), "swatch": swatch(t.stage, "operating"), "count": t.count,
            "unit": UNITS.get(t.unit, t.unit), "running": tonnes(t.running_t), "planned": tonnes(t.planned_t),
            "output": tonnes(t.output_t), "model": tonnes(t.modelled_output_t),
        }
        for t in totals
    ]  # fmt: skip


def places(rows: pd.DataFrame) -> list[Json]:
    """Return the facilities as a map shows them, the largest first."""
    size = rows["capacity_t"].fillna(rows["output_t"]).fillna(0.0)
    found = [
        {
            "id": r["id"], "name": r["name"], "kind": r["stage"], "at": [round(r["lon"], 4), round(r["lat"], 4)],
            "r": round(radius_px(t), 1), "t": float(f"{t:.4g}"), "unit": UNITS.get(r["unit"], r["unit"]),
            "hollow": r["status"] in PLANNED, "dim": r["status"] in ("closed", "care_and_maintenance"),
        }
        for r, t in zip(rows.to_dict("records"), size.tolist(), strict=True)
    ]  # fmt: skip
    return sorted(found, key=lambda p: (-p["t"], p["id"]))


def paths(outcome: Any, moved: pd.DataFrame, ends: Sequence[Json]) -> Json:
    """Return what a map of paths draws: stretches with their tonnes by commodity, the places they join, a box.

    `moved` has commodity, route_id and tonnes, a row per route of a lane; `ends` are the places.
    """
    moved = moved[moved["route_id"] != ""]
    routes = list(dict.fromkeys(moved["route_id"]))
    cut = arcs([outcome.geometry(r) for r in routes], PATH_TOLERANCE_DEG)
    corners = [np.array([[*line.min(axis=0), *line.max(axis=0)] for line in cut.lines]).reshape(-1, 4)]
    points = np.array([p["at"] * 2 for p in ends], dtype=float).reshape(-1, 4)
    box = np.concatenate([*corners, points])
    return {
        "stretches": _stretches(moved, routes, cut.routes, encode_all(cut.lines)),
        "places": list(ends),
        "box": [*box[:, :2].min(axis=0).tolist(), *box[:, 2:].max(axis=0).tolist()] if len(box) else None,
    }


def _stretches(moved: pd.DataFrame, routes: Sequence[str], signed: list[list[int]], lines: list[str]) -> list[Json]:
    """Return stretches with strands [commodity, tonnes, width in pixels] and the way most of it runs, widest last."""
    t = np.zeros((len(lines), len(COMMODITIES)))
    ahead = np.zeros(len(lines))
    number = {r: k for k, r in enumerate(routes)}
    for commodity, route, tonnes_ in moved[["commodity", "route_id", "tonnes"]].itertuples(index=False):
        for s in signed[number[str(route)]]:
            t[abs(s) - 1, COMMODITIES.index(str(commodity))] += float(tonnes_)
            ahead[abs(s) - 1] += math.copysign(float(tonnes_), s)
    most = max(float(t.sum(axis=1).max(initial=0.0)), 1e-9)
    thin, wide = WIDTH_PX
    made: list[tuple[float, Json]] = []
    for k, line in enumerate(lines):
        whole = float(t[k].sum())
        if whole <= most * LEAST_DRAWN_SHARE:
            continue
        width = thin + (wide - thin) * math.sqrt(whole / most)
        strands = [[c, float(f"{t[k, c]:.4g}"), round(max(width * t[k, c] / whole, 0.7), 1)]
                   for c in range(len(COMMODITIES)) if t[k, c] > whole * 0.01]  # fmt: skip
        made.append((whole, {"line": line, "strands": strands, "heading": int(np.sign(ahead[k]))}))
    return [stretch for _, stretch in sorted(made, key=lambda s: s[0])]


def share_bar(share: float) -> Markup:
    """Return a share as a short bar; the figure stands beside it."""
    width = round(60 * min(max(share, 0.0), 1.0), 1)
    return Markup(
        '<svg class="sharebar" width="62" height="10" viewBox="0 0 62 10" aria-hidden="true" focusable="false">'
        '<rect class="whole" x="0.5" y="0.5" width="61" height="9"/>'
        '<rect class="part" x="1" y="1" width="{w}" height="8"/></svg>'
    ).format(w=width)


def ramp_plot(years: Sequence[tuple[int, float, float]], unit: str, name: str) -> Markup:
    """Return capacity and what the model lets run by year (year, capacity, output) as bars; empty without capacity."""
    most = max((c for _, c, _ in years), default=0.0)
    if most <= 0:
        return Markup("")
    left, bottom, wide, high, step = 8, 112, 420, 92, 420 / max(len(years), 1)
    parts = []
    for k, (year, capacity, output) in enumerate(years):
        x, w = left + k * step, step * 0.72
        for kind, value in (("whole", capacity), ("part", output)):
            h = high * value / most
            if h > 0:
                parts.append(
                    Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
                        kind, x, bottom - h, w, h
                    )
                )
        if year % 2 == 0:
            parts.append(
                Markup('<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(x + w / 2, bottom + 15, year)
            )
    label = text("things.plot_label", name=name, most=tonnes(most), unit=unit)
    return Markup(
        '<svg class="ramp" viewBox="0 0 {w} 134" role="img" aria-label="{label}"><text x="{x}" y="12">{top}</text>'
        '{bars}<path class="axis" d="M{x} {y}H{end}"/></svg>'
    ).format(
        w=wide + 16, label=label, x=left, top=f"{tonnes(most)} {unit}", bars=Markup("").join(parts), y=bottom,
        end=wide + left,
    )  # fmt: skip

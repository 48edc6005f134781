"""The page of a trace: sentence, flow diagrams, tables with bounds, and a Folium map of the routed paths."""

import math
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlencode

import numpy as np
import pandas as pd
from markupsafe import Markup

from atlas.halt_words import country_name
from atlas.render import csp_hashes, environment, script_tag, style_tag
from atlas.render_arcs import arcs, encode_all
from atlas.render_data import Json, basemap, json_text
from atlas.render_map import MAP_OPTIONS, AtlasData, AtlasFigure, AtlasMap, count_ids
from atlas.render_sankey import Bar, legend, sankey
from atlas.render_style import (
    ATTRIBUTION,
    COLOURS,
    COMMODITIES,
    COMMODITY_LABELS,
    SHAPES,
    STAGE_LABELS,
    STAGES,
    Sample,
    line_swatch,
    polygon,
    shape_swatch,
)
from atlas.trace import Trace
from atlas.trace_arcs import place
from atlas.trace_bounds import BELOW
from atlas.trace_paths import COLUMNS, Node, Ribbons, lanes, ribbons
from atlas.trace_target import sector_name
from atlas.trace_words import (
    OTHER_NAMES,
    Row,
    StageTable,
    name,
    percent,
    sentence,
    tables,
    threshold_lines,
    tonnes,
    what,
)

HEADS = {"mine": "Mines", "separation": "Separation", "metal": "Metal", "magnet": "Magnets", "users": "Users"}
SCRIPTS = ("leaflet/leaflet.js", "atlas.js", "trace.js")
STYLES = ("frame.css", "leaflet/leaflet.css", "atlas.css", "plots.css", "findings.css")
ROUTE_TOLERANCE_DEG = 0.02
COUNTRIES = 20  # rows of a table of countries, FACILITIES of plants; the rest is summed
FACILITIES = 25
WIDTH_PX = (1.2, 9.0)  # of the thinnest and of the widest path


def page(trace: Trace, frame: dict[str, Any] | None = None, asset_base: str | None = None) -> str:
    """Return the page of a trace; without a `frame` of the web atlas it holds all it needs and asks no other host."""
    standalone = frame is None
    html = environment().get_template("trace.html").render(
        told=parts(trace),
        frame=frame or {},
        nav=(frame or {}).get("nav", []),
        frame_script=script_tag("frame.js", standalone, asset_base),
        here="/trace",
        folium=_map(f"Map: paths of {trace.target.name}").parts(),
        data=Markup(json_text(map_payload(trace))),
        styles=[style_tag(s, standalone, asset_base) for s in STYLES],
        scripts=[script_tag(s, standalone, asset_base) for s in (*SCRIPTS, "sortable.js")],
        policy="@policy@" if standalone else "",
        attribution=ATTRIBUTION,
    )  # fmt: skip
    if standalone:
        scripts, styles = csp_hashes(html)
        policy = f"default-src 'none'; img-src data:; style-src {' '.join(styles)}; script-src {' '.join(scripts)}"
        html = html.replace("@policy@", policy, 1)
    return html


def parts(trace: Trace) -> dict[str, Any]:
    """Return what the page shows of a trace: heading, sentence, a section for each direction, verdicts."""
    up, down = tables(trace)
    halts = list(trace.outcome.scenario.specs)
    layers = trace.outcome.layers
    kind = {"facility": trace.stage, "site": "site", "country": "demand", "market": "demand"}.get(trace.target.kind)
    country = country_name(trace.target.country, layers)
    sections = []
    for direction, found in (("up", up), ("down", down)):
        if found:
            flow = ribbons(trace, direction)
            sections.append({
                "id": direction,
                "title": "Where it comes from" if direction == "up" else "Where it goes",
                "diagram": _diagram(trace, direction, flow) if flow.links else "",
                "legend": legend([n.group for n in flow.nodes.values()], trace.outcome.bloc),
                "stages": [_stage(trace, t, direction) for t in found],
            })  # fmt: skip
    return {
        "title": f"{trace.target.name}: whose material?" if up or trace.direction == "up" else
                 f"{trace.target.name}: where it goes",
        "name": trace.target.name,
        "about": [f"{kind or 'demand'}, {country}" if country not in trace.target.name else str(kind or "demand"),
                  what(trace), *([f"halted: {', '.join(halts)}"] if halts else []), f"year {trace.outcome.year}"],
        "sentence": sentence(trace),
        "sections": sections,
        "threshold": percent(trace.threshold) if trace.threshold is not None and up else "",
        "verdicts": threshold_lines(trace) if up else [],
        "origin": name(trace, trace.origin) if trace.origin else "",
        "origins": [(s.title, percent(b.share), percent(b.least), percent(b.most)) for s in up
                    if (b := trace.origin_bounds.get(s.stage))],
        "bloc": trace.outcome.bloc,
        "has_map": bool(trace.upstream or trace.downstream),
        "commodities": [Sample(line_swatch(COLOURS[c], (), 4), COMMODITY_LABELS[c]) for c in COMMODITIES],
        "places": [Sample(shape_swatch(SHAPES[s], COLOURS[s]), STAGE_LABELS[s]) for s in STAGES]
        + [Sample(shape_swatch("cross", COLOURS["demand"]), "Users")],
    }  # fmt: skip


def diagram(trace: Trace, direction: str) -> Markup:
    """Return the flow diagram of a trace as SVG; empty where nothing moves."""
    return _diagram(trace, direction, ribbons(trace, direction))


def _diagram(trace: Trace, direction: str, flow: Ribbons) -> Markup:
    target = trace.up_target if direction == "up" else trace.down_target
    step = target.units[0].step
    stage = {"alloy": "metal", "carbonate": "separation", "recycling": "separation", "demand": "users"}.get(step, step)
    last = len(COLUMNS)
    number = {c: k for k, c in enumerate(COLUMNS)} | {"target": last if direction == "up" else -1}
    heads = [*(HEADS[c] for c in COLUMNS), _head(stage)]
    if direction == "down":
        heads = [_head(stage), *(HEADS[c] for c in COLUMNS)]
        number = {k: v + 1 for k, v in number.items()}
    elif step == "demand":
        number["target"] = last - 1
        heads[last - 1] = f"Users in {trace.target.name}" if trace.target.kind == "country" else "Users"
    bars = [
        Bar(n.key, number[n.column], _bar_label(trace, n), _bar_title(trace, n), n.group) for n in flow.nodes.values()
    ]
    about = f"{'Origins' if direction == 'up' else 'Destinations'} of {what(trace)}, {trace.target.name}, tonnes a year"
    return sankey(heads, bars, flow.links, about)


def _head(stage: str) -> str:
    return {"mine": "Mine", "separation": "Plant", "metal": "Metal maker", "magnet": "Magnet plant"}.get(stage, "Place")


def _bar_label(trace: Trace, node: Node) -> str:
    if node.kind == "facility":
        text = re.sub(r"\s*\(.*?\)", "", name(trace, place(node.key)))
        short = text if len(text) <= 17 else text[:16].rstrip(" ,-") + "…"
        return f"{short} {node.country}"
    return _bar_title(trace, node)


def _bar_title(trace: Trace, node: Node) -> str:
    layers = trace.outcome.layers
    if node.kind == "facility":
        return f"{name(trace, place(node.key))}, {country_name(node.country, layers)}"
    if node.kind == "country":
        return country_name(node.country, layers)
    if node.kind == "sector":
        return _capital(re.sub(r"\s*\(.*?\)", "", sector_name(node.key.removeprefix("sector "), layers)))
    if node.kind == "scrap":
        return f"Scrap collected in {country_name(node.country, layers)}"
    text = OTHER_NAMES.get(node.key, node.key)
    return text[:1].upper() + text[1:]


def _stage(trace: Trace, t: StageTable, direction: str) -> dict[str, Any]:
    """Return one stage as cells: [text, number to sort by]."""
    stopped = direction == "up" and not trace.upstream  # there is the baseline alone
    bounds = direction == "up" and t.stage != "recycling" and not stopped
    before = any(r.before is not None for r in t.countries)
    now = [] if stopped else ["Share", "Tonnes"]
    verdicts = bool(t.stage in trace.verdicts and not trace.origin)
    whole = sum((trace.content_t if direction == "up" else trace.sold_t).values())
    heads = ["Country", *now, *(["Least", "Most"] if bounds else []), *(["Baseline"] if before else []),
             *(["Against the threshold"] if verdicts else [])]  # fmt: skip
    rows = []
    for r in t.countries[:COUNTRIES]:
        figures = [*([r.least, r.most] if bounds else []), *([r.before] if before else [])]
        cells = [] if stopped else _share(r, whole)
        cells += [(percent(v) if v is not None else "–", f"{v:.9f}" if v is not None else "") for v in figures]
        rows.append(
            {"name": _capital(r.name), "href": "", "cells": cells, "verdict": _verdict(r) if verdicts else None}
        )
    inside = "" if t.stage == "recycling" or stopped else f"Inside {trace.outcome.bloc}: {percent(t.bloc_share)}"
    if t.bloc_bounds:
        inside += f" (at least {percent(t.bloc_bounds.least)}, at most {percent(t.bloc_bounds.most)})"
    known, outcome = trace.outcome.layers.facilities.index, trace.outcome
    tail = [("element", trace.element), ("bloc", outcome.bloc), *(("halt", h) for h in outcome.scenario.specs)]
    plants = []
    for r in t.facilities[:FACILITIES]:
        held: list[tuple[str, str | None]] = [(r.country, None), *([] if stopped else _share(r, whole))]
        held += [(percent(r.before or 0.0), f"{r.before or 0.0:.9f}")] if before else []
        href = f"/trace/{quote(r.key)}?{urlencode(tail)}" if r.key in known else ""
        plants.append({"name": _capital(r.name), "href": href, "cells": held, "verdict": None})
    rest = t.facilities[FACILITIES:]
    others = t.countries[COUNTRIES:]
    return {
        "id": t.stage,
        "others": f"{len(others)} more: {percent(sum(r.share for r in others))}" if others else "",
        "title": t.title,
        "inside": inside,
        "heads": heads,
        "rows": rows,
        "plants": plants,
        "plant_heads": ["Place", "Country", *now, *(["Baseline"] if before else [])],
        "rest": f"{len(rest)} more: {percent(sum(r.share for r in rest))}" if rest else "",
        "sectors": [
            {"name": _capital(r.name), "href": "", "verdict": None,
             "cells": _share(r, whole)}
            for r in t.sectors
        ],
    }  # fmt: skip


def _share(r: Row, whole: float) -> list[tuple[str, str]]:
    """Return the cells of a share and its tonnes."""
    return [(percent(r.share), f"{r.share:.9f}"), (tonnes(r.share * whole), f"{r.share * whole:.6f}")]


def _verdict(r: Row) -> str:
    """Return a row's side of the threshold; scrap and stocks are of no country, what has no share lies below."""
    return r.verdict or ("–" if r.share > 0 else BELOW)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _map(label: str) -> AtlasFigure:
    """Return the figure that holds the map of paths; the same input gives the same bytes."""
    figure = AtlasFigure()
    figure.header._children.clear()  # the template has its own
    chart = AtlasMap(location=[20, 150], zoom_start=2, tiles=None, control_scale=True, prefer_canvas=True,
                     zoom_control=True, **MAP_OPTIONS)  # fmt: skip
    figure.add_child(chart)
    about = str(Markup(" · ").join(who for _, who in ATTRIBUTION[:3]))
    chart.add_child(AtlasData({"label": label[:200].replace("<", ""), "attribution": about}, "AtlasTrace"))
    count_ids(figure)
    return figure


def map_payload(trace: Trace) -> Json:
    """Return all that the map draws: countries, stretches with their tonnes by commodity, places."""
    found = [lanes(trace, d) for d, told in (("up", trace.upstream), ("down", trace.downstream)) if told]
    moved = pd.concat(found, ignore_index=True) if found else None
    stretches: list[Json] = []
    places: list[Json] = []
    box: list[float] | None = None
    if moved is not None and len(moved):
        routes = list(dict.fromkeys(moved["route_id"]))
        cut = arcs([trace.outcome.geometry(r) for r in routes], ROUTE_TOLERANCE_DEG)
        stretches = _stretches(moved, routes, cut.routes, encode_all(cut.lines))
        corners = np.array([[*line.min(axis=0), *line.max(axis=0)] for line in cut.lines]).reshape(-1, 4)
        if len(corners):
            box = [*corners[:, :2].min(axis=0).tolist(), *corners[:, 2:].max(axis=0).tolist()]
        places = _places(trace, moved)
    return {
        "land": basemap(trace.outcome.layers),
        "allies": sorted(trace.outcome.bloc_countries),
        "commodities": [{"colour": COLOURS[c], "label": COMMODITY_LABELS[c]} for c in COMMODITIES],
        "shapes": {s: (polygon(shape) if shape not in ("circle", "cross") else shape) for s, shape in SHAPES.items()},
        "colours": {s: COLOURS[s] for s in (*STAGES, "demand")},
        "stretches": stretches,
        "places": places,
        "box": box,
    }


def _stretches(moved: pd.DataFrame, routes: Sequence[str], signed: list[list[int]], lines: list[str]) -> list[Json]:
    """Return stretches with [commodity, tonnes, width in pixels] strands and the way most of it runs."""
    t = np.zeros((len(lines), len(COMMODITIES)))
    ahead = np.zeros(len(lines))
    number = {r: k for k, r in enumerate(routes)}
    for r in moved.itertuples():
        c = COMMODITIES.index(str(r.commodity))
        for s in signed[number[str(r.route_id)]]:
            t[abs(s) - 1, c] += float(r.t)
            ahead[abs(s) - 1] += math.copysign(float(r.t), s)
    most = max(float(t.sum(axis=1).max(initial=0.0)), 1e-9)
    thin, wide = WIDTH_PX
    made: list[tuple[float, Json]] = []
    for k, line in enumerate(lines):
        whole = float(t[k].sum())
        if whole <= most * 1e-4:
            continue
        width = thin + (wide - thin) * math.sqrt(whole / most)
        strands = [[c, float(f"{t[k, c]:.4g}"), round(max(width * t[k, c] / whole, 0.7), 1)]
                   for c in range(len(COMMODITIES)) if t[k, c] > whole * 0.01]  # fmt: skip
        made.append((whole, {"line": line, "strands": strands, "heading": int(np.sign(ahead[k]))}))
    return [stretch for _, stretch in sorted(made, key=lambda s: s[0])]  # the widest lie on top


def _places(trace: Trace, moved: pd.DataFrame) -> list[Json]:
    """Return the facilities and markets that the paths touch, with the traced tonnes through each."""
    through: dict[str, float] = {}
    for side in ("from_id", "to_id"):
        for i, t in moved.groupby(side)["t"].sum().items():
            through[str(i)] = max(through.get(str(i), 0.0), float(t))
    layers, world = trace.outcome.layers, trace.material.world
    whole = max(through.values())
    own = trace.target.ids
    found = []
    for i, t in sorted(through.items(), key=lambda r: (-r[1], r[0])):
        if i in layers.facilities.index:
            row, kind, title = layers.facilities.loc[i], str(layers.facilities.at[i, "stage"]), name(trace, i)
        elif i in world.markets.index:
            row, kind = world.markets.loc[i], "demand"
            title = f"Users in {country_name(str(row['country']), layers)}"
        else:
            continue
        found.append({
            "name": title, "kind": kind, "at": [round(float(row["lon"]), 3), round(float(row["lat"]), 3)],
            "t": float(f"{t:.4g}"), "own": i in own, "part": round(t / whole, 4),
        })  # fmt: skip
    return found

"""What a map page carries: an outcome as compact, JSON-safe tables. Nothing is computed that the outcome has not said.

Every lane (from, to, commodity, element or grade) stands once, with its ways before and after; the page adds up what
shares a stretch. Text stays text: it reaches the page as JSON and is shown with textContent.
"""

import json
import math
import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import shapely
from shapely.geometry.base import BaseGeometry

from atlas.answer_words import buyer_lines
from atlas.halted_places import halted_things
from atlas.render_arcs import arcs, encode, encode_all
from atlas.render_style import COMMODITIES, STAGES, style_sheet

Json = dict[str, Any]

MAX_FLOWS = 6000  # more rows than this make a page heavy; the smallest are left out and the page says so
MIN_TONNES = 0.5
MAX_LINES = 6000
ROUTE_TOLERANCE_DEG = 0.008
COUNTRY_TOLERANCE_DEG = 0.04

_WEB_ADDRESS = re.compile(r"https?://[^\s<>\"']+\Z")
_LOCK = threading.Lock()
_LINES: dict[tuple[str, str], BaseGeometry] = {}
_BASEMAPS: OrderedDict[str, Json] = OrderedDict()  # by digest of the layers: simplifying takes longer than a page


def json_text(value: Any) -> str:
    """Return strict JSON that may stand inside a script element: no NaN, no `<`, `>`, `&` or line separators."""
    try:
        text = _strict(value)  # plain types already, as the data of most pages are
    except (TypeError, ValueError):
        text = _strict(_finite(value))
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text.encode("utf-8", "replace").decode("utf-8")


def _strict(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _finite(value: Any) -> Any:
    """Return the value in plain types, with null for what JSON cannot say."""
    if isinstance(value, dict):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_finite(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (bool, int, str)):
        return value
    return str(value)


def amount(value: Any, digits: int = 4) -> float | None:
    """Return a number rounded to `digits` significant digits, None for nothing."""
    if value is None or value is pd.NA:
        return None
    number = float(value)
    if not math.isfinite(number) or number == 0:
        return None if not math.isfinite(number) else 0.0
    rounded = round(number, digits - 1 - math.floor(math.log10(abs(number))))
    return int(rounded) if rounded == int(rounded) else rounded


def web_address(url: Any) -> str:
    """Return the address if it is one a page may link to (http or https), else an empty text."""
    text = str(url or "").strip()
    return text if _WEB_ADDRESS.match(text) else ""


def payload(outcome: Any, land: str = "") -> Json:
    """Return all a map of `outcome` draws: basemap, stretches, lanes, facilities, markets, ports, passages.

    `land` is the address of the basemap, for pages that do not carry it themselves.
    """
    flows, drawn = drawn_flows(outcome)
    places, place_of = _places(outcome, flows)
    stretches = arcs(route_lines(outcome, flows["route_id"].unique()), ROUTE_TOLERANCE_DEG)
    lanes, ways = _lanes(flows, place_of)
    return {
        "style": style_sheet(),
        "halted": halted_things(outcome),
        "bloc": outcome.bloc,
        "allies": sorted(outcome.bloc_countries),
        "land": {"href": land} if land else basemap(outcome.layers),
        "arcs": encode_all(stretches.lines),
        "routes": stretches.routes,
        "places": places,
        "lanes": lanes,
        "ways": ways,
        "detours": any(len(lane) > 4 for lane in lanes),
        "drawn": drawn,
        "ports": _ports(outcome),
        "passages": _passages(outcome),
    }


def route_lines(outcome: Any, route_ids: Sequence[str]) -> list[BaseGeometry]:
    """Return the lines of routes; a server draws mostly the same ones, so they are kept by layers and route."""
    scenario = outcome.summary["scenario"]
    if scenario.get("facilities") or scenario.get("buyers"):  # points of a scenario may share numbers with another's
        return [outcome.geometry(r) for r in route_ids]
    lines = []
    for route in route_ids:
        key = (outcome.layers.digest, route)
        line = _LINES.get(key)
        if line is None:
            line = outcome.geometry(route)
            with _LOCK:
                _LINES[key] = line
        lines.append(line)
    with _LOCK:
        while len(_LINES) > MAX_LINES:
            _LINES.pop(next(iter(_LINES)))
    return lines


def drawn_flows(outcome: Any) -> tuple[pd.DataFrame, Json]:
    """Return a row per lane and way with `baseline` and `halted` tonnes, and what share of the tonnage that is.

    Demand rows of one country meet at its market, so magnets are summed over sectors. Lanes below a threshold are
    left out; the threshold and the share drawn are reported, in tonnes that move along a route.
    """
    table = outcome.flows
    table = table[(table["route_id"].fillna("") != "") & (table["tonnes"] > 0)]
    market = {c: i for i, c in outcome.layers.markets["country"].items()}
    own = [*(b.id for b in buyer_lines(outcome.summary)), *own_units(outcome)]
    known = outcome.layers.facilities.index.union(own)
    via = table["via"].fillna("") if "via" in table else ""
    item = table["element"].fillna("").where(table["element"].fillna("") != "", table["grade"].fillna(""))
    frame = pd.DataFrame(
        {
            "from": _ends(table["from_id"], table["from_country"], known, market),
            "to": _ends(table["to_id"], table["to_country"], known, market),
            "from_country": table["from_country"],
            "to_country": table["to_country"],
            "commodity": table["commodity"],
            "item": item,
            "via": via,
            "route_id": table["route_id"],
            "state": table["state"],
            "tonnes": table["tonnes"],
        }
    )
    keys = ["from", "to", "from_country", "to_country", "commodity", "item", "via", "route_id"]
    wide = frame.groupby([*keys, "state"], sort=True)["tonnes"].sum().unstack("state").fillna(0.0).reset_index()
    wide.columns.name = None
    for state in ("baseline", "halted"):
        if state not in wide:
            wide[state] = 0.0
    most = wide[["baseline", "halted"]].max(axis=1)
    threshold = MIN_TONNES
    if len(wide) > MAX_FLOWS:
        threshold = max(threshold, float(np.sort(most)[-MAX_FLOWS]))
    keep = most >= threshold
    total = float(wide[["baseline", "halted"]].to_numpy().sum())
    share = float(wide.loc[keep, ["baseline", "halted"]].to_numpy().sum()) / total if total else 1.0
    drawn = {"min_t": amount(threshold, 2), "share": round(share, 5), "flows": int(keep.sum()), "of": len(wide)}
    return wide[keep].reset_index(drop=True), drawn


def _ends(ids: pd.Series, countries: pd.Series, known: pd.Index, market: dict[str, str]) -> pd.Series:
    """Return ids of facilities and a scenario's buyers as they are, everything else as its country's market."""
    return ids.where(ids.isin(known), countries.map(market).fillna(ids))


def _lanes(flows: pd.DataFrame, place_of: dict[str, int]) -> tuple[list[list[Any]], list[list[Any]]]:
    """Return lanes [from, to, commodity, item] and their ways [lane, route, baseline t, halted t].

    A lane round a ban has the third country after the item.
    """
    lane = flows.groupby(["from", "to", "commodity", "item", "via"], sort=False).ngroup()
    firsts = flows.loc[~lane.duplicated()]
    codes = {c: k for k, c in enumerate(COMMODITIES)}
    lanes = [
        [place_of[a], place_of[b], codes.get(c, len(codes)), i, *([via] if via else [])]
        for a, b, c, i, via in firsts[["from", "to", "commodity", "item", "via"]].itertuples(index=False)
    ]
    route = pd.factorize(flows["route_id"])[0]
    columns = zip(lane, route, flows["baseline"], flows["halted"], strict=True)
    return lanes, [[int(ln), int(r), amount(b), amount(h)] for ln, r, b, h in columns]


def _places(outcome: Any, flows: pd.DataFrame) -> tuple[list[Json], dict[str, int]]:
    """Return facilities and the markets in use as records, and the number of each id."""
    layers, made = outcome.layers, outcome.facilities
    titles, links = layers.sources["title"].to_dict(), layers.sources["url"].to_dict()
    results = made[["baseline_t", "halted_t", "normal_t", "limit_t"]].to_dict("index")
    records: list[Json] = []
    for row in layers.facilities.drop(columns="geometry").reset_index().to_dict("records"):
        fid = row["id"]
        units = results.get(fid)
        source = row["source_id"]
        records.append(
            {
                "id": fid,
                "name": row["name"],
                "stage": STAGES.index(row["stage"]) if row["stage"] in STAGES else len(STAGES),
                "country": row["country"],
                "at": [round(float(row["lon"]), 4), round(float(row["lat"]), 4)],
                "operator": row["operator"],
                "product": row["product"],
                "status": str(row["status"]).replace("_", " "),
                "active": row["status"] in ("operating", "commissioning") or bool(units is not None and _in_use(units)),
                "unit": row["unit"],
                "capacity": amount(row["capacity_t"]),
                "output": amount(row["output_t"]),
                "output_year": amount(row["output_year"]),
                "start": amount(row["start_year"]),
                "end": amount(row["end_year"]),
                "elements": _listed(row.get("elements")),
                "grades": _listed(row.get("grades")),
                "modelled": row.get("modelled") != "no",
                "note": row.get("model_note") or "",
                "precision_km": amount(row["coord_precision_km"], 2),
                "confidence": row["confidence"],
                "source": str(titles.get(source) or source),
                "link": web_address(links.get(source)),
                "baseline": amount(units["baseline_t"]) if units is not None else None,
                "halted_t": amount(units["halted_t"]) if units is not None else None,
                "normal": amount(units["normal_t"]) if units is not None else None,
                "limit": amount(units["limit_t"]) if units is not None else None,
            }
        )
    used = set(flows["from"]) | set(flows["to"])
    for mid, row in layers.markets.iterrows():
        if mid in used:
            at = [round(float(row["lon"]), 4), round(float(row["lat"]), 4)]
            records.append({"id": mid, "name": row["name"], "stage": len(STAGES), "country": row["country"], "at": at})
    records += [*own_units(outcome).values(), *buyer_places(outcome)]
    place_of = {r["id"]: k for k, r in enumerate(records)}
    for missing in sorted(used - set(place_of)):
        country = pd.concat(
            [flows.loc[flows["from"] == missing, "from_country"], flows.loc[flows["to"] == missing, "to_country"]]
        ).iloc[0]
        place_of[missing] = len(records)
        records.append({"id": missing, "name": missing, "stage": len(STAGES), "country": country, "at": None})
    return [{k: v for k, v in r.items() if v is not None and v != ""} for r in records], place_of


def buyer_places(outcome: Any) -> list[Json]:
    """Return a scenario's buyers as places, with what each gets and whether that is all it wants."""
    at = {b["id"]: [round(float(b["lon"]), 4), round(float(b["lat"]), 4)]
          for b in outcome.summary["scenario"].get("buyers", ())}  # fmt: skip
    return [
        {
            "id": b.id,
            "name": b.id,
            "stage": len(STAGES),
            "country": b.country,
            "at": at.get(b.id),
            "buyer": b.state,
            "grade": b.grade,
            "sector": b.sector,
            "wanted": amount(b.wanted_t),
            "baseline": amount(b.before_t),
            "halted_t": amount(b.after_t),
            "stepped": amount(b.stepped_t[1]),
        }
        for b in buyer_lines(outcome.summary)
    ]


def own_units(outcome: Any) -> dict[str, Json]:
    """Return the units that a scenario itself brings as places, by id."""
    layers, made, found = outcome.layers, outcome.facilities, {}
    for row in outcome.summary["scenario"].get("facilities", ()):
        fid, at = str(row.get("id", "")), (row.get("lon"), row.get("lat"))
        if (
            fid in layers.facilities.index
            or row.get("stage") not in STAGES
            or not all(isinstance(v, (int, float)) for v in at)
        ):
            continue
        units = made.loc[fid] if fid in made.index else None
        found[fid] = {
            "id": fid,
            "name": str(row.get("name") or fid),
            "stage": STAGES.index(row["stage"]),
            "country": str(row.get("country", "")),
            "at": [round(float(v), 4) for v in at],
            "product": str(row.get("product", "")),
            "status": "in this scenario",
            "active": True,
            "own": True,
            "modelled": True,
            "unit": str(units["unit"]) if units is not None else "",
            "capacity": amount(row["capacity_t"]) if isinstance(row.get("capacity_t"), (int, float)) else None,
            "baseline": amount(units["baseline_t"]) if units is not None else None,
            "halted_t": amount(units["halted_t"]) if units is not None else None,
        }
    return found


def _in_use(units: dict[str, float]) -> bool:
    return bool(max(float(units["baseline_t"]), float(units["halted_t"])) > 0)


def _listed(value: Any) -> str:
    """Return a list column as text; `Dy@2025` means from that year on."""
    items = list(value) if isinstance(value, (tuple, list)) else [v for v in str(value or "").split(";") if v]
    return ", ".join(re.sub(r"@(\d{4})\Z", r" (from \1)", str(v)) for v in items)


def _throughput(outcome: Any, kind: str) -> tuple[dict[str, float], dict[str, float]]:
    """Return tonnes a year through each port or passage, before and after."""
    both = (outcome.summary[state].get("throughput_t", {}).get(kind, {}) for state in ("baseline", "halted"))
    before, after = both
    return before, after


def _ports(outcome: Any) -> list[Json]:
    """Return the ports in use or halted."""
    before, after = _throughput(outcome, "port")
    halted = halted_things(outcome)["port"]
    ports = outcome.layers.ports
    used = [p for p in ports.index if before.get(p) or after.get(p) or p in halted]
    return [
        {
            "id": p,
            "name": ports.at[p, "name"],
            "country": ports.at[p, "country"],
            "at": [round(float(ports.at[p, "lon"]), 4), round(float(ports.at[p, "lat"]), 4)],
            "baseline": amount(before.get(p, 0.0)),
            "halted_t": amount(after.get(p, 0.0)),
            "days": amount(ports.at[p, "dwell_days"]),
        }
        for p in used
    ]


def _passages(outcome: Any) -> list[Json]:
    """Return all passages with their gate lines."""
    before, after = _throughput(outcome, "passage")
    passages = outcome.layers.passages
    out = []
    for pid, row in passages.iterrows():
        lines = [shapely.get_coordinates(g) for g in shapely.get_parts(row.geometry)]
        out.append(
            {
                "id": pid,
                "name": row["name"],
                "gates": [np.round(p, 3).tolist() for p in lines if len(p) > 1],
                "open": bool(row.get("default_open", True)),
                "baseline": amount(before.get(pid, 0.0)),
                "halted_t": amount(after.get(pid, 0.0)),
            }
        )
    return out


def basemap(layers: Any) -> Json:
    """Return countries as compact text: {"countries": [{iso3, name, label point, rings}]}.

    Neighbours are simplified together, so borders stay shared. Kept for the last few sets of layers.
    """
    kept = _BASEMAPS.get(layers.digest)
    if kept is not None:
        return kept
    countries = layers.countries
    shapes = countries.geometry.to_numpy()
    simple = shapely.coverage_simplify(shapes, COUNTRY_TOLERANCE_DEG)
    records = []
    for iso3, name, whole, shape in zip(countries.index, countries["name"], shapes, simple, strict=True):
        parts = shapely.get_parts(shape)
        parts = parts[shapely.area(parts) > 0.004] if len(parts) > 1 else parts
        rings = [
            encode(shapely.get_coordinates(r), 2)
            for p in parts
            for r in (p.exterior, *p.interiors)
            if len(r.coords) > 3
        ]
        largest = max(shapely.get_parts(whole), key=shapely.area)
        label = shapely.point_on_surface(largest)
        west, _, east, _ = largest.bounds
        records.append(
            {
                "id": iso3,
                "name": name,
                "at": [round(label.x, 2), round(label.y, 2)],
                "wide": round(east - west, 1),
                "rings": rings,
            }
        )
    _BASEMAPS[layers.digest] = {"countries": records}
    while len(_BASEMAPS) > 4:
        _BASEMAPS.popitem(last=False)
    return _BASEMAPS[layers.digest]

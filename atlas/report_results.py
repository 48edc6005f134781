"""Further results of a report, each worked out only where its file asks for it: passages, a country, layers."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from atlas.concentration import measures
from atlas.errors import BadInput, UnknownName, nearest
from atlas.halt_words import country_name
from atlas.losses import lens
from atlas.projects import pending
from atlas.report_country import PROFILE_HALTS, country, known_number, rounded_row
from atlas.report_outcome import GOODS, LEAST_T, STAGE_WORDS, bloc_words
from atlas.report_tree import Listed
from atlas.singles import singles
from atlas.summary import rounded
from atlas.trace import trace

Progress = Callable[[int, int, str], None]
LAYERS = (
    "facilities",
    "ports",
    "passages",
    "demand",
    "blocs",
    "tariffs",
    "costs",
    "operators",
    "parameters",
    "sources",
)
LONG_GATE_DEG = 9.0
PLACE_DEG = 9.0  # how far around a passage its map shows, at least
PASSAGE = (
    "id",
    "name",
    "shut",
    "has_traffic",
    "through_t",
    "share",
    "width_note",
    "transits_per_day",
    "toll_usd_t",
    "focus",
    "goods",
    "lanes",
    "closing",
    "instead",
    "source_id",
    "usd_per_t",
)
CARRIED = ("commodity", "name", "tonnes", "share")
LANE = ("goods", "from_name", "to_name", "tonnes", "share")
INSTEAD = ("id", "name", "more_t")
PROJECT = ("id", "name", "stage", "stage_name", "country", "country_name", "status", "start_year", "capacity_t")


def result_figures(study: Any, row: Mapping[str, Any], outcomes: Mapping[str, Any], progress: Progress) -> Any:
    """Return the figures of one [[result]] as plain values; raises BadInput with what is wrong in it."""
    kind = row["kind"]
    if kind == "layer":
        return layer_rows(study.layers, str(row.get("layer", "")), str(row.get("where", "")))
    if kind == "passages":
        return passages(study, str(row.get("bloc", "us-allies")), progress)
    if kind == "country":
        halts = row.get("halts", PROFILE_HALTS)
        specs = halts.split() if isinstance(halts, str) else [str(h) for h in halts]
        return country(study, str(row.get("country", "")), str(row.get("bloc", "us-allies")), specs, progress)
    if kind == "singles":
        return single_rows(study, row, progress)
    outcome = next(iter(outcomes.values())) if "outcome" not in row else outcomes[row["outcome"]]
    if kind == "projects":
        return project_rows(outcome, int(row.get("top", 10)))
    if kind == "concentration":
        solved = outcome.halted
        names = study.layers.countries["name"].to_dict()
        rows = []
        for r in measures(solved.world, solved.reading):
            top = r.countries[0] if r.countries else ("", 0.0)
            rows.append(
                rounded(
                    {
                        **{k: v for k, v in r.to_json().items() if not isinstance(v, (list, dict))},
                        "stage_name": STAGE_WORDS[r.stage],
                        "largest_country": str(names.get(top[0], top[0])),
                        "largest_share": top[1],
                    }
                )
            )
        return Listed(rows, tuple(rows[0]) if rows else ())
    found = trace(outcome, str(row.get("target", "")), str(row.get("element", "all")), "up")
    return rounded(
        {
            stage: {
                "bloc_share": s.bloc_share,
                "countries": Listed(
                    [
                        {"country": c, "name": country_name(c, study.layers), "share": v}
                        for c, v in s.by_country.items()
                    ],
                    ("country", "name", "share"),
                ),
            }
            for stage, s in found.upstream.items()
        }
    )


def layer_rows(layers: Any, name: str, where: str) -> Listed:
    """Return the rows of a layer, `where` words are `column=value`; raises UnknownName, BadInput."""
    if name not in LAYERS or not isinstance(getattr(layers, name, None), pd.DataFrame):
        raise UnknownName("layer", name, nearest(name, LAYERS) or LAYERS)
    table = pd.DataFrame(getattr(layers, name)).drop(columns="geometry", errors="ignore")
    if "id" not in table.columns:
        table = table.reset_index(names="id")
    for word in where.split():
        column, sign, value = word.partition("=")
        if not sign or column not in table:
            near = nearest(column, table.columns) or sorted(table.columns)[:10]
            raise BadInput(f"where {word!r}: expected column=value; nearest columns: {', '.join(near)}")
        table = table[table[column].astype(str) == value]
    return Listed([_plain(r) for r in table.sort_values("id").to_dict("records")], [str(c) for c in table.columns])


def _plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for k, v in row.items():
        if isinstance(v, (tuple, list)):
            v = ", ".join(map(str, v))
        elif not isinstance(v, (str, bool)) and pd.isna(v):
            v = None
        made[str(k)] = v.item() if hasattr(v, "item") else v
    return dict(rounded(made))


def passages(study: Any, bloc: str, progress: Progress) -> dict[str, Any]:
    """Return every passage with its traffic in the baseline and what closing it does; a solve for each used one."""
    base = study.solve(bloc=bloc)
    layers = base.layers
    through = base.summary["baseline"]["throughput_t"]["passage"]
    flows = base.flows[(base.flows["state"] == "baseline") & (base.flows["route_id"] != "")]
    moved = float(flows["tonnes"].sum())
    rows = []
    order = sorted(layers.passages.index, key=lambda i: (-through.get(i, 0.0), str(i)))
    for n, i in enumerate(order):
        p = layers.passages.loc[i]
        progress(n, len(order), str(p["name"]))
        t = float(through.get(i, 0.0))
        own = flows[flows["passages"].str.split(";").map(lambda s, i=i: i in s)]
        row: dict[str, Any] = {
            "id": str(i),
            "name": str(p["name"]),
            "shut": not bool(p["default_open"]),
            "has_traffic": t > LEAST_T,
            "through_t": t,
            "share": t / moved if moved else 0.0,
            "width_note": str(p["width_note"] or ""),
            "transits_per_day": known_number(p["transits_per_day"]),
            "toll_usd_t": float(p["toll_usd_t"] or 0.0),
            "focus": around(p["geometry"]),
            "source_id": str(p["source_id"]),
            "goods": _carried(own, t),
            "lanes": _lanes(own, t, layers),
            "closing": None,
            "usd_per_t": 0.0,
            "instead": Listed([], INSTEAD),
        }
        if t > LEAST_T:
            shut = study.solve([f"passage:{i}"], bloc=bloc)
            a, b = shut.summary["baseline"], shut.summary["halted"]
            other = b["throughput_t"]["passage"]
            gains = {k: other.get(k, 0.0) - through.get(k, 0.0) for k in {*other, *through} if k != i}
            top = sorted(((k, v) for k, v in gains.items() if v > LEAST_T), key=lambda r: (-r[1], r[0]))[:3]
            row["instead"] = Listed(
                [{"id": k, "name": str(layers.passages.at[k, "name"]), "more_t": v} for k, v in top], INSTEAD
            )
            row["closing"] = {
                "short_t": b["shortage_t"] - a["shortage_t"],
                "spend_usd": b["spend_usd"] - a["spend_usd"],
                "unit_spend_usd_t": b["unit_spend_usd_t"] - a["unit_spend_usd_t"],
                "days": b["mean_days"] - a["mean_days"],
                "usd_per_t_moved": (b["spend_usd"] - a["spend_usd"]) / t,
                "bloc_supplied_share": b["bloc_supplied_share"],
                "rerouted_t": sum(max(v, 0.0) for v in gains.values()),
            }
            row["usd_per_t"] = row["closing"]["usd_per_t_moved"]
        rows.append(rounded_row(row))
    progress(len(order), len(order), "")
    used = [r for r in rows if r["has_traffic"]]
    return {
        "all": Listed(rows, PASSAGE),
        "used": Listed(used, PASSAGE),
        "unused": Listed([r for r in rows if not r["has_traffic"]], PASSAGE),
        "with_shortage": Listed([r for r in used if r["closing"]["short_t"] > LEAST_T], PASSAGE),
        "count": len(rows),
        "moved_t": rounded(moved),
        "bloc_name": bloc_words(bloc),
    }


def _carried(own: pd.DataFrame, whole: float) -> Listed:
    t = own.groupby("commodity")["tonnes"].sum().sort_values(ascending=False, kind="stable")
    return Listed(
        [
            {
                "commodity": str(c),
                "name": GOODS.get(str(c), str(c)),
                "tonnes": float(v),
                "share": float(v) / whole if whole else 0.0,
            }
            for c, v in t.items()
            if v > LEAST_T
        ],
        CARRIED,
    )


def _lanes(own: pd.DataFrame, whole: float, layers: Any) -> Listed:
    t = own.groupby(["commodity", "from_country", "to_country"])["tonnes"].sum()
    rows = sorted(t.items(), key=lambda r: (-r[1], r[0]))[:6]
    return Listed(
        [
            {
                "goods": GOODS.get(c, c),
                "from_name": country_name(a, layers),
                "to_name": country_name(b, layers),
                "tonnes": float(v),
                "share": float(v) / whole if whole else 0.0,
            }
            for (c, a, b), v in rows
        ],
        LANE,
    )


def around(geometry: Any) -> str:
    """Return the box of degrees that a map of a passage shows, as west,south,east,north."""
    west, south, east, north = geometry.bounds
    lon, lat = (west + east) / 2, (south + north) / 2
    if north - south > LONG_GATE_DEG:  # a cape, whose gate runs far out to sea: its first end is at the land
        lon, lat = geometry.coords[0][:2]
    lat = min(max(lat, -58.0), 76.0)
    half = min(max(PLACE_DEG, 0.8 * (east - west)), 20.0)
    # The map is twice as wide as tall; a degree of longitude is shorter away from the equator.
    wide = min(half * 1.9 / max(0.35, abs(_cos(lat))), 50.0)
    return (
        f"{_turned(lon - wide):.2f},{max(lat - half, -75.0):.2f},{_turned(lon + wide):.2f},{min(lat + half, 84.0):.2f}"
    )


def _cos(lat: float) -> float:
    return math.cos(math.radians(lat))


def _turned(lon: float) -> float:
    return (lon + 180.0) % 360.0 - 180.0


def project_rows(outcome: Any, top: int) -> Listed:
    """Return projects of the bloc that are to come, magnets first, the largest first: not what they would bring."""
    order = {"magnet": 0, "metal": 1, "separation": 2, "mine": 3, "recycling": 4}
    found, _ = pending(outcome.layers, outcome.bloc_countries)
    rows = [
        {
            "id": p.id,
            "name": p.name,
            "stage": p.stage,
            "stage_name": STAGE_WORDS[p.stage],
            "country": p.country,
            "country_name": country_name(p.country, outcome.layers),
            "status": p.status_words,
            "start_year": float(p.start_year),
            "capacity_t": float(p.capacity_t),
        }
        for p in found
    ]
    rows.sort(key=lambda r: (order.get(str(r["stage"]), 9), -float(str(r["capacity_t"])), str(r["id"])))
    return Listed([dict(rounded(r)) for r in rows[:top]], PROJECT)


def single_rows(study: Any, row: Mapping[str, Any], progress: Progress) -> Listed:
    """Return what costs the bloc most to lose, one thing at a time; some 400 solves where none is kept."""
    bloc = str(row.get("bloc", "us-allies"))
    look = lens(study.ground.stage.world, study.blocs, bloc, "magnet", "all")
    kinds = row.get("kinds", [])
    found = singles(study, progress).only([kinds] if isinstance(kinds, str) else [str(k) for k in kinds])
    table = found.table(look).head(int(row.get("top", 20)))
    return Listed([_plain(r) for r in table.to_dict("records")], [str(c) for c in table.columns])

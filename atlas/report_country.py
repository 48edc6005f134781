"""A country's profile for a report: stages, plants, trade, users, and what halts leave short there."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from atlas.errors import UnknownName, nearest
from atlas.halt_words import country_name, describe
from atlas.place_facts import country_facts
from atlas.report_outcome import GOODS, LEAST_T, ROWS_MOST, STAGE_WORDS, origin_rows
from atlas.report_tree import Listed
from atlas.summary import rounded
from atlas.trace import trace

Progress = Callable[[int, int, str], None]
PROFILE_HALTS = ("country:CHN/magnet", "country:CHN", "passage:malacca", "passage:suez", "stage:MMR/mine")
EXPOSURE = ("spec", "words", "short_t", "share", "own")
PLANT = (
    "id",
    "name",
    "stage",
    "stage_name",
    "status",
    "status_words",
    "operator",
    "capacity_t",
    "before_t",
    "after_t",
    "source_id",
    "confidence",
    "start_year",
)
TRACED = ("stage", "name", "first_name", "first_share", "second_name", "second_share", "own_share", "bloc_share")
STATUS_WORDS = {
    "operating": "running",
    "commissioning": "starting up",
    "construction": "building",
    "planned": "planned",
    "care_and_maintenance": "mothballed",
    "closed": "closed",
}


def rounded_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with its figures at six significant digits; lists still say what their rows hold."""
    made = dict(rounded(row))
    return made | {k: Listed(made[k], v.fields) for k, v in row.items() if isinstance(v, Listed)}


def known_number(value: Any) -> float | None:
    """Return a cell as a number, None where it is empty."""
    return None if pd.isna(value) else float(value)


def country(study: Any, iso3: str, bloc: str, halts: Sequence[str], progress: Progress) -> dict[str, Any]:
    """Return a country's profile: stages, plants, projects, trade, demand, and what halts leave short there."""
    layers = study.layers
    known = [str(c) for c in layers.countries.index]
    if iso3 not in known:
        names = {str(v): str(k) for k, v in layers.countries["name"].items()}
        near = [names.get(n, n) for n in nearest(iso3, [*known, *names])]
        raise UnknownName("country", iso3, near)
    progress(0, len(halts) + 1, "baseline")
    base = study.solve(bloc=bloc)
    facts = country_facts(study, base, iso3)
    demand_t = sum(d["demand_t"] for d in facts.demand)
    exposure = []
    for n, spec in enumerate(halts, 1):
        progress(n, len(halts) + 1, spec)
        after = study.solve([spec], bloc=bloc).summary["halted"]
        short = after["shortage_by_country"].get(iso3, 0.0) - base.summary["baseline"]["shortage_by_country"].get(
            iso3, 0.0
        )
        exposure.append(
            {
                "spec": spec,
                "words": describe(spec, layers),
                "short_t": max(short, 0.0),
                "own": f":{iso3}" in spec,
                "share": max(short, 0.0) / demand_t if demand_t else 0.0,
            }
        )
    progress(len(halts) + 1, len(halts) + 1, "")
    plants, projects = _plants(base, iso3)
    made: dict[str, Any] = {
        "id": iso3,
        "name": facts.name,
        "blocs": ", ".join(facts.blocs) or "none of the blocs",
        "demand_t": demand_t,
        "demand_share": demand_t / base.summary["baseline"]["demand_t"],
        "shortage_t": facts.shortage_t,
        "stages": Listed(
            [s | {"name": STAGE_WORDS[s["stage"]]} for s in facts.stages],
            (
                "stage",
                "name",
                "capacity_t",
                "capacity_share",
                "planned_t",
                "units",
                "baseline_t",
                "baseline_share",
                "halted_t",
                "halted_share",
            ),
        ),
        "demand": Listed(
            [d | {"share": d["demand_t"] / demand_t if demand_t else 0.0} for d in facts.demand],
            ("sector", "name", "demand_t", "share"),
        ),
        "imports": _trades(facts.imports),
        "exports": _trades(facts.exports),
        "magnet_origins": origin_rows(base, "magnet", [iso3]),
        "plants": Listed(plants, PLANT),
        "projects": Listed(projects, PLANT),
        "exposure": Listed(sorted(exposure, key=lambda r: (-r["short_t"], r["spec"])), EXPOSURE),
        "trace": _traced(base, iso3) if demand_t > LEAST_T else Listed([], TRACED),
    }
    return rounded_row(made)


def _traced(base: Any, iso3: str) -> Listed:
    """Return by stage which countries the magnets of a country's users went through."""
    rows = []
    found = trace(base, iso3, "all", "up").upstream
    for stage in ("mine", "separation", "metal", "magnet"):
        if stage not in found:
            continue
        s = found[stage]
        top = [
            *((str(country_name(c, base.layers)), v) for c, v in list(s.by_country.items())[:2]),
            ("", 0.0),
            ("", 0.0),
        ]
        rows.append(
            {
                "stage": stage,
                "name": STAGE_WORDS[stage],
                "first_name": top[0][0],
                "first_share": top[0][1],
                "second_name": top[1][0],
                "second_share": top[1][1],
                "own_share": s.by_country.get(iso3, 0.0),
                "bloc_share": s.bloc_share,
            }
        )
    return Listed(rows, TRACED)


def _trades(goods: Sequence[Mapping[str, Any]]) -> Listed:
    rows = [
        {
            "commodity": g["commodity"],
            "goods": GOODS.get(g["commodity"], g["commodity"]),
            "country": p["country"],
            "name": p["name"],
            "tonnes": p["tonnes"],
            "share": p["share"],
            "total_t": g["tonnes"],
        }
        for g in goods
        for p in g["partners"][:5]
    ]
    return Listed(rows, ("commodity", "goods", "country", "name", "tonnes", "share", "total_t"))


def _plants(outcome: Any, iso3: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the units of a country that stand, and those to come."""
    fac, made = outcome.layers.facilities, outcome.facilities
    stand, come = [], []
    for i, f in fac[fac["country"] == iso3].sort_index().iterrows():
        row: dict[str, Any] = {
            "id": str(i),
            "name": str(f["name"]),
            "stage": str(f["stage"]),
            "stage_name": STAGE_WORDS.get(str(f["stage"]), ""),
            "status": str(f["status"]),
            "status_words": STATUS_WORDS.get(str(f["status"]), str(f["status"])),
            "operator": str(f["operator"]),
            "capacity_t": known_number(f["capacity_t"]),
            "start_year": known_number(f["start_year"]),
            "before_t": float(made["baseline_t"].get(i, 0.0)),
            "after_t": float(made["halted_t"].get(i, 0.0)),
            "source_id": str(f["source_id"]),
            "confidence": str(f["confidence"]),
        }
        if row["status"] in ("planned", "construction", "commissioning") and not row["before_t"]:
            come.append(row)
        elif row["status"] != "closed" or row["before_t"]:
            stand.append(row)
    size = {s: n for n, s in enumerate(STAGE_WORDS)}
    stand.sort(key=lambda r: (size.get(r["stage"], 9), -r["before_t"], -(r["capacity_t"] or 0.0), r["id"]))
    come.sort(key=lambda r: (size.get(r["stage"], 9), -(r["capacity_t"] or 0.0), r["id"]))
    return stand[: 2 * ROWS_MOST], come[: 2 * ROWS_MOST]

"""What answers look like as tables: a row for each thing, columns that never change, the figures those of the JSON."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from atlas.fixes import Fixes
from atlas.trace import Trace
from atlas.trace_words import tables as trace_tables
from atlas.validation import COLUMNS as VALIDATION_COLUMNS

GAIN = ("objective_usd", "bloc_t", "world_t", "by_proof")
SUMMARY_COLUMNS = ("state", "measure", "key", "value", "unit")
FRONTIER_COLUMNS = (
    "allied_share", "allied_demand_share", "foreign_t", "allied_t", "delivered_t", "origin_mine", "origin_separation",
    "origin_metal", "origin_magnet", "bloc_shortage_t", "bloc_shortage_share", "shortage_t", "spend_usd",
    "unit_spend_usd_t", "bloc_days", "mean_days", "objective_usd", "price_usd_t", "baseline", "binds", "binds_share",
    "jump_usd_t",
)  # fmt: skip
WORTH_COLUMNS = (
    "id", "name", "stage", "product", "country", "limit_t", "normal_t", "output_t", "halted_share", "value_usd_t",
    "step_t", "plus_usd_t", "minus_usd_t", "kink", "agrees", "world_t", "bloc_t",
)  # fmt: skip
FIXES_COLUMNS = (
    "id", "name", "stage", "country", "status", "start_year", "capacity_t", "capex_usd", "capex_known",
    "capex_confidence", "capex_source_id", "capex_covers", *(f"alone_{g}" for g in GAIN), *(f"last_{g}" for g in GAIN),
    "bloc_t_per_t", "bloc_t_per_musd", "output_t", "limit_t", "order", "chosen",
)  # fmt: skip
CONCENTRATION_COLUMNS = (
    "stage", "element", "unit", "world_t", "demand_t", "hhi", "top1_country", "top1_share", "top3_share",
    "n_minus_1_share", "largest_facility_id", "largest_facility_share", "largest_operator_id", "largest_operator_share",
)  # fmt: skip
TRACE_COLUMNS = (
    "direction", "stage", "by", "id", "name", "country", "share", "least_share", "most_share", "baseline_share",
)  # fmt: skip
ROUTE_COLUMNS = ("way", "step", "mode", "from", "to", "distance_km", "days", "cost_usd_t")
FIND_COLUMNS = ("id", "kind", "name", "country")

# The end of a measure's name -> the unit it is in; the first that fits holds.
UNITS = (
    ("_usd_t", "USD/t"), ("_usd", "USD"), ("_t", "t/year"), ("_share", "share"), ("_days", "days"), ("_km", "km"),
    ("by_grade", "t/year"), ("by_country", "t/year"), ("by_sector", "t/year"),
)  # fmt: skip
MEASURE_UNITS = {"mean_days": "days", "mean_km": "km", "hhi": "share", "priority_class": ""}


def summary_table(summary: Mapping[str, Any]) -> pd.DataFrame:
    """Return every figure of `solve --json`: state, measure, key (names of what it is of, by slashes), value, unit.

    A figure of the certificate stands under its state; `replaced_t` under the halted one, its key importer, commodity,
    country lost, country found.
    """
    rows: list[tuple[str, str, str, float, str]] = []
    for state in ("baseline", "halted"):
        for measure, value in summary[state].items():
            rows += [(state, measure, key, v, _unit(measure, key)) for key, v in _figures(value)]
        rows += [(state, "certificate", key, v, "") for key, v in _figures(summary["certificate"][state])]
    for r in summary["replaced"]:
        key = "/".join((r["importer"], r["commodity"], r["from_country"], r["to_country"]))
        rows.append(("halted", "replaced_t", key, r["tonnes"], "t/year"))
    return pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS))


def _figures(value: Any, above: tuple[str, ...] = ()) -> Iterable[tuple[str, float]]:
    """Yield (key, number) of everything in a tree that is a number."""
    if isinstance(value, Mapping):
        for name, inside in value.items():
            yield from _figures(inside, (*above, str(name)))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield "/".join(above), value


def _unit(measure: str, key: str) -> str:
    for name in (key.split("/")[1] if measure == "buyers" else "", measure):
        if name in MEASURE_UNITS:
            return MEASURE_UNITS[name]
        found = next((unit for end, unit in UNITS if name.endswith(end)), None)
        if found is not None:
            return found
    return ""


def frontier_table(told: Mapping[str, Any]) -> pd.DataFrame:
    """Return the points of a frontier that no other one beats, from its JSON."""
    return _table(told["points"], FRONTIER_COLUMNS)


def worth_table(told: Mapping[str, Any]) -> pd.DataFrame:
    """Return the units of a worth, from its JSON."""
    return _table(told["units"], WORTH_COLUMNS)


def fixes_table(found: Fixes) -> pd.DataFrame:
    """Return the projects of a fix; `order` is its place in the greedy order, `chosen` whether a budget takes it."""
    told = found.to_json()
    order = {s["id"]: n for n, s in enumerate(told["order"], 1)}
    chosen = set(told["portfolio"]["chosen"]) if told["portfolio"] else None
    rows = [
        {**_flat(r), "order": order.get(r["id"]), "chosen": None if chosen is None else r["id"] in chosen}
        for r in told["projects"]
    ]
    return _table(rows, FIXES_COLUMNS)


def concentration_table(told: Mapping[str, Any]) -> pd.DataFrame:
    """Return the measures of each stage and element, from the JSON of a concentration."""
    rows = [
        {**_flat(r), "top1_country": r["countries"][0]["country"] if r["countries"] else ""} for r in told["stages"]
    ]
    return _table(rows, CONCENTRATION_COLUMNS)


def trace_table(found: Trace) -> pd.DataFrame:
    """Return the shares of a trace: by direction, stage and country, facility or sector, with their bounds."""
    rows = [
        (direction, t.stage, by, r.key, r.name, r.country, *map(_six, (r.share, r.least, r.most, r.before)))
        for direction, tables in zip(("up", "down"), trace_tables(found), strict=True)
        for t in tables
        for by, group in (("country", t.countries), ("facility", t.facilities), ("sector", t.sectors))
        for r in group
    ]
    return pd.DataFrame(rows, columns=list(TRACE_COLUMNS), dtype=object)


def validation_table(told: Mapping[str, Any]) -> pd.DataFrame:
    """Return the published figures beside the model's, from the JSON of a validation."""
    return _table(told["rows"], VALIDATION_COLUMNS)


def route_table(ways: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return the legs of routes in order, from their JSON; nothing for one that does not exist."""
    rows = [
        {"way": way, "step": step, **{k: leg[k] for k in ROUTE_COLUMNS[2:]}}
        for way, told in enumerate((w for w in ways if w["reachable"]), 1)
        for step, leg in enumerate(told["legs"], 1)
    ]
    return _table(rows, ROUTE_COLUMNS)


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with the fields of objects in it beside its own: `alone_bloc_t`."""
    out: dict[str, Any] = {}
    for name, value in row.items():
        out |= {f"{name}_{k}": v for k, v in value.items()} if isinstance(value, Mapping) else {name: value}
    return out


def _table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    """Return rows under these columns; values stay what they are, so that whole numbers beside none stay whole."""
    rows = list(rows)
    return pd.DataFrame({c: pd.Series([r.get(c) for r in rows], dtype=object) for c in columns})


def _six(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")

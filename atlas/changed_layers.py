"""Layers as a scenario changes them: facilities, demand up or down, other priorities, other behaviour."""

import dataclasses
import datetime as dt
from collections.abc import Mapping
from typing import Any

import geopandas as gpd
import pandas as pd

from atlas.chain import chain_of
from atlas.errors import BadInput, nearest
from atlas.geo import CRS
from atlas.layer_check import check_layers
from atlas.layers import Layers
from atlas.scenario import Scenario
from atlas.scenario_rows import shown
from atlas.schema import Column, check_table


def changed_layers(layers: Layers, scenario: Scenario) -> Layers:
    """Return layers with the scenario's facilities, demand, priorities and parameters.

    Raises BadInput with all problems.
    """
    facilities = _facilities(layers, scenario)
    demand = layers.demand.copy()
    for d in scenario.demand:
        hit = pd.Series(True, index=demand.index)
        for key in ("country", "sector"):
            if str(d.get(key, "*")) != "*":
                hit &= demand[key] == d[key]
        demand.loc[hit, "demand_t"] *= 1 + float(d["change_pct"]) / 100
    sectors = layers.sectors.copy()
    for p in (p for p in scenario.priority if "sector" in p):
        sectors.loc[str(p["sector"]), "priority_class"] = int(p["class"])
    parameters = layers.parameters.copy()
    for name, value in scenario.parameters:
        parameters[name] = value
    return dataclasses.replace(
        layers, facilities=facilities, demand=demand, sectors=sectors, parameters=parameters
    )


def _facilities(layers: Layers, scenario: Scenario) -> gpd.GeoDataFrame:
    if not scenario.facilities:
        return layers.facilities
    known = ["id", *[c for c in layers.facilities.columns if c != "geometry"]]
    problems = []
    table = pd.DataFrame(layers.facilities.drop(columns="geometry")).reset_index()
    raw = _as_text(table).set_index("id", drop=False)
    for n, row in enumerate(scenario.facilities, 1):
        wrong = sorted(set(map(str, row)) - set(known))
        problems += [
            f"facility {n}: unknown column `{c}`; did you mean {', '.join(nearest(c, known)) or 'one of the layer'}?"
            for c in wrong
        ]
        unfit = _unfit(row, layers.schema.of("facilities"))
        problems += [f"facility {n}: {p}" for p in unfit]
        i = str(row.get("id") or "")
        if not i:
            problems.append(f"facility {n}: expected an `id`")
        if wrong or unfit or not i:
            continue
        given = {str(k): _cell(v) for k, v in row.items()}
        if i in raw.index:
            for k, v in given.items():
                raw.loc[i, k] = v
        else:
            default = {
                "site": i,
                "name": i,
                "status": "operating",
                "modelled": "yes",
                "source_id": "atlas-estimate",
                "confidence": "C",
            }
            raw.loc[i] = pd.Series(dict.fromkeys(known, "") | default | {"coord_precision_km": "1"} | given)
    if problems:
        raise BadInput(problems)
    typed, findings = check_table("facilities", raw.sort_index().reset_index(drop=True), layers.schema)
    tables = {name: layers.table(name).reset_index() for name in layers.schema.layers} | {"facilities": typed}
    findings += [f for f in check_layers(tables, layers.schema, chain_of(layers)) if f.layer == "facilities"]
    if findings:
        raise BadInput([f"scenario facility: {f.text}" for f in findings])
    frame = typed.set_index("id").sort_index()
    return gpd.GeoDataFrame(frame, geometry=gpd.points_from_xy(frame["lon"], frame["lat"]), crs=CRS)


# Type of a column -> what a scenario may give it, and in words. A number may come as text, as in the layer's own file.
_GIVEN: dict[str, tuple[tuple[type, ...], str]] = {
    "int": ((int, float, str), "a number"),
    "float": ((int, float, str), "a number"),
    "list": ((list, tuple, str), "a list of texts"),
    "bool": ((bool, str), "yes or no"),
    "date": ((str, dt.date), "a date"),
}


def _unfit(row: Mapping[str, Any], columns: Mapping[str, Column]) -> list[str]:
    """Return what is wrong with the kinds of values in a row; an empty value (null) is left out."""
    problems = []
    for name, value in row.items():
        if name not in columns or value is None:
            continue
        kind = columns[name].type
        kinds, words = _GIVEN.get(kind, ((str,), "a text"))
        good = isinstance(value, kinds) and (kind == "bool" or not isinstance(value, bool))
        if good and isinstance(value, (list, tuple)):
            good = all(isinstance(v, str) for v in value)
        if not good:
            problems.append(f"{name}: expected {words}, found {shown(value)}")
    return problems


def _cell(value: Any) -> str:
    """Return a value as it would stand in the layer's file."""
    if value is None:
        return ""
    return ";".join(value) if isinstance(value, (list, tuple)) else str(value)


def _as_text(table: pd.DataFrame) -> pd.DataFrame:
    def text(v: object) -> str:
        if isinstance(v, tuple):
            return ";".join(map(str, v))
        if isinstance(v, float):
            return "" if v != v else f"{v:.12g}"
        return str(v)

    return table.map(text).astype(object)

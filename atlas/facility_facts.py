"""Everything the atlas knows of one facility: its row in the layers, what it does in an answer, who depends on it."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from atlas.chain import chain_of
from atlas.export_geojson import plain
from atlas.facility_filter import PLANNED, elements_made
from atlas.geo import geodesic_km
from atlas.known_losses import known_loss
from atlas.local_access import NO_ROADS
from atlas.thing_lanes import CLOSING, customers, lane_records, lanes, routed, shares_taken, shown_state
from atlas.world import CALIBRATED_YEAR, ramp_share

NEAR_KM, NEAR_MOST = 400.0, 10
RAMP_YEARS = range(CALIBRATED_YEAR, 2036)


@dataclass(frozen=True)
class FacilityFacts:
    """One facility. `row` is its row in plain values; lanes are records of `thing_lanes.lanes`, the largest first.

    `made` are baseline_t, halted_t, normal_t and limit_t where the model runs it in this year, else empty; `closing`
    what of its material ends as surplus, stock or loss; `ramp` (year, capacity_t, output_t). `loss` is what the bloc
    loses without it where that was solved before. `moved` is a row per route in the state shown, for maps.
    """

    id: str
    row: dict[str, Any]
    elements: tuple[str, ...]
    basket: dict[str, float]
    source: dict[str, str]
    capex: list[dict[str, Any]]
    process_usd_t: float | None
    made: dict[str, float]
    state: str
    ramp: list[tuple[int, float, float]]
    inputs: list[dict[str, Any]]
    outputs: list[dict[str, Any]]
    closing: list[dict[str, Any]]
    customers: list[dict[str, Any]]
    loss: dict[str, float] | None
    local_roads: bool
    projects: list[dict[str, Any]]
    same_site: list[dict[str, Any]]
    same_operator: list[dict[str, Any]]
    moved: pd.DataFrame = field(repr=False)

    @property
    def is_modelled(self) -> bool:
        """Whether the model may run it at all."""
        return self.row.get("modelled") != "no"

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return {
            "id": self.id, **self.row, "elements_made": list(self.elements), "basket_share": self.basket,
            "source": self.source, "capex": self.capex, "process_usd_t": self.process_usd_t, "made": self.made,
            "state": self.state,
            "ramp": [{"year": y, "capacity_t": c, "output_t": o} for y, c, o in self.ramp],
            "inputs": self.inputs, "outputs": self.outputs, "closing": self.closing, "customers": self.customers,
            "loss_if_halted": self.loss, "local_roads": self.local_roads, "projects": self.projects,
            "same_site": self.same_site, "same_operator": self.same_operator,
        }  # fmt: skip


def facility_facts(study: Any, outcome: Any, facility: str) -> FacilityFacts:
    """Return what is known of a facility in an answer; the id must be one of the layers."""
    layers = outcome.layers
    fac = layers.facilities
    raw = fac.loc[facility]
    state = shown_state(outcome)
    flows = routed(outcome)
    into, out = flows[flows["to_id"] == facility], flows[flows["from_id"] == facility]
    sold = lanes(outcome, out, state)
    bare = pd.DataFrame(fac.loc[[facility]].drop(columns=fac.geometry.name))
    made = outcome.facilities
    world_units = study.baseline.world.units
    process = world_units.at[facility, "process_usd_t"] if _has(world_units, facility, "process_usd_t") else math.nan
    source = layers.sources.loc[raw["source_id"]] if raw["source_id"] in layers.sources.index else None
    capex = getattr(layers, "capex", None)
    paid = capex[capex["facility"] == facility] if capex is not None else pd.DataFrame()
    roads = getattr(study, "local_roads", NO_ROADS)
    moved = flows[(flows["state"] == state) & ((flows["to_id"] == facility) | (flows["from_id"] == facility))]
    return FacilityFacts(
        id=facility,
        row={str(c): _value(v) for c, v in raw.items() if c != fac.geometry.name},
        elements=elements_made(bare, getattr(layers, "grades", None), chain_of(layers))[0],
        basket={
            e: float(raw[c]) for e in chain_of(layers).elements if (c := f"{e.lower()}_share") in raw and raw[c] > 0
        },
        source={k: str(source[k]) for k in ("title", "url", "publisher")} if source is not None else {},
        capex=[{k: _value(v) for k, v in r.items()} for r in paid.to_dict("records")],
        process_usd_t=float(process) if math.isfinite(process) else None,
        made={k: float(made.at[facility, k]) for k in ("baseline_t", "halted_t", "normal_t", "limit_t")}
        if facility in made.index and raw.get("modelled") != "no" else {},
        state=state,
        ramp=ramp(raw, layers.parameters),
        inputs=lane_records(lanes(outcome, into, state)),
        outputs=lane_records(sold, shares_taken(flows, sold, state)),
        closing=_closing(outcome, facility, state),
        customers=customers(flows, [facility], state, layers),
        loss=known_loss(study, f"facility:{facility}", outcome.bloc),
        local_roads=roads.at(float(raw["lon"]), float(raw["lat"]), str(raw["country"])) is not None,
        projects=_projects(fac, facility),
        same_site=_others(fac, facility, fac["site"] == raw["site"]),
        same_operator=_others(fac, facility, [bool({*i} & {*raw["operator_ids"]}) for i in fac["operator_ids"]]),
        moved=moved,
    )  # fmt: skip


def _has(table: pd.DataFrame, row: str, column: str) -> bool:
    return row in table.index and column in table


def _value(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else plain(value)


def ramp(row: Any, parameters: Any) -> list[tuple[int, float, float]]:
    """Return (year, capacity, output) of a unit: published output where it runs, the ramp of new units later on.

    The same rule as the model's (`world.ramp_share`); what the model never runs has no output.
    """
    if not all(p in parameters for p in ("ramp_share_year_1", "ramp_share_year_2", "ramp_share_full")):
        return []
    capacity, output = float(row["capacity_t"]), float(row["output_t"])
    start, end = float(row["start_year"]), float(row["end_year"])
    idle = row["status"] in ("closed", "care_and_maintenance")
    if not math.isfinite(capacity) or (not math.isfinite(start) and row["status"] in PLANNED):
        return []
    found = []
    for year in RAMP_YEARS:
        stands = not (math.isfinite(start) and year < start) and not (math.isfinite(end) and year >= end) and not idle
        new = math.isfinite(start) and start > CALIBRATED_YEAR
        runs = capacity * float(ramp_share(np.array([year - start]), parameters)[0]) if new else output
        makes = stands and row.get("modelled") != "no" and math.isfinite(runs)
        found.append((year, capacity if stands else 0.0, runs if makes else 0.0))
    return found


def _closing(outcome: Any, facility: str, state: str) -> list[dict[str, Any]]:
    f = outcome.flows
    part = f[(f["state"] == state) & (f["from_id"] == facility) & f["to_id"].isin(CLOSING)]
    what = part["element"].fillna("").where(part["element"].fillna("") != "", part["grade"].fillna(""))
    sums = part.assign(what=what).groupby(["to_id", "commodity", "what"])["tonnes"].sum()
    return [{"end": e, "commodity": c, "what": w, "tonnes": float(t)} for (e, c, w), t in sums.items()]


def unit_record(fac: pd.DataFrame, i: str) -> dict[str, Any]:
    """Return the few columns that tell a facility in a list."""
    r = fac.loc[i]
    keys = ("name", "stage", "country", "status", "unit", "capacity_t", "start_year", "operator")
    return {"id": str(i), **{k: _value(r[k]) for k in keys}}


def _others(fac: pd.DataFrame, facility: str, chosen: Any) -> list[dict[str, Any]]:
    return [unit_record(fac, i) for i in fac.index[np.asarray(chosen)] if i != facility]


def _projects(fac: pd.DataFrame, facility: str) -> list[dict[str, Any]]:
    """Return what is planned or being built near it, or at its stage in its country, the nearest first."""
    here = fac.loc[facility]
    found = fac[fac["status"].isin(PLANNED) & (fac.index != facility)]
    if found.empty:
        return []
    lon, lat = (np.full(len(found), float(here[k])) for k in ("lon", "lat"))
    km = geodesic_km(lon, lat, found["lon"].to_numpy(), found["lat"].to_numpy())
    alike = ((found["stage"] == here["stage"]) & (found["country"] == here["country"])).to_numpy()
    order = [k for k in np.argsort(km, kind="stable") if alike[k] or km[k] <= NEAR_KM][:NEAR_MOST]
    return [{**unit_record(fac, found.index[k]), "distance_km": float(km[k])} for k in order]

"""What the atlas knows of a country, a company, a port and a passage: figures of an answer, nothing worked out anew."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from atlas.export_geojson import plain
from atlas.facility_facts import unit_record
from atlas.facility_filter import PLANNED, RUNNING
from atlas.halt_words import country_name
from atlas.known_losses import known_loss
from atlas.thing_lanes import customers, lane_records, lanes, routed, shown_state
from atlas.world import COMMODITIES, STAGES

LANES_MOST = 40  # the rest is summed in one line


@dataclass(frozen=True)
class CountryFacts:
    """A country: stages (output before and after, capacity, world shares), trade, demand, blocs, units, presets."""

    id: str
    name: str
    state: str
    stages: list[dict[str, Any]]
    imports: list[dict[str, Any]]
    exports: list[dict[str, Any]]
    demand: list[dict[str, Any]]
    shortage_t: float
    blocs: list[str]
    facilities: list[dict[str, Any]]
    presets: list[str]
    loss: dict[str, float] | None
    moved: pd.DataFrame = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        keys = ("id", "name", "state", "stages", "imports", "exports", "demand", "shortage_t", "blocs", "facilities",
                "presets")  # fmt: skip
        return {k: getattr(self, k) for k in keys} | {"loss_if_exports_halted": self.loss}


def country_facts(study: Any, outcome: Any, iso3: str) -> CountryFacts:
    """Return what is known of a country in an answer; the code must be one of the layers."""
    layers, state = outcome.layers, shown_state(outcome)
    fac = layers.facilities
    flows = routed(outcome)
    crossing = flows[(flows["state"] == state) & (flows["from_country"] != flows["to_country"])]
    moved = crossing[(crossing["from_country"] == iso3) | (crossing["to_country"] == iso3)]
    return CountryFacts(
        id=iso3,
        name=country_name(iso3, layers),
        state=state,
        stages=_stages(outcome, iso3),
        imports=_trade(outcome.summary[state]["imports_t"], iso3, layers),
        exports=_trade(_turned(outcome.summary[state]["imports_t"]), iso3, layers),
        demand=_demand(layers, iso3),
        shortage_t=float(outcome.summary[state]["shortage_by_country"].get(iso3, 0.0)),
        blocs=[b for b in layers.bloc_names if iso3 in layers.bloc(b)],
        facilities=[unit_record(fac, i) for i in fac.index[fac["country"] == iso3]],
        presets=_presets(study, outcome, iso3),
        loss=known_loss(study, f"country:{iso3}", outcome.bloc),
        moved=moved,
    )


def _stages(outcome: Any, iso3: str) -> list[dict[str, Any]]:
    """Return output before and after and capacity that runs, with the country's part of the world's."""
    fac = outcome.layers.facilities
    found = []
    for stage in STAGES:
        units = fac[fac["stage"] == stage]
        running = units[units["status"].isin(RUNNING)]
        own, whole = running.loc[running["country"] == iso3, "capacity_t"].sum(), running["capacity_t"].sum()
        planned = units.loc[(units["country"] == iso3) & units["status"].isin(PLANNED), "capacity_t"].sum()
        row: dict[str, Any] = {
            "stage": stage, "capacity_t": float(own), "capacity_share": float(own / whole) if whole else 0.0,
            "planned_t": float(planned), "units": int((units["country"] == iso3).sum()),
        }  # fmt: skip
        for state in ("baseline", "halted"):
            made = outcome.summary[state]["stage_output_t"].get(stage, {})
            total = sum(made.values())
            row[f"{state}_t"] = float(made.get(iso3, 0.0))
            row[f"{state}_share"] = float(made.get(iso3, 0.0) / total) if total else 0.0
        if row["units"] or row["baseline_t"] or row["halted_t"]:
            found.append(row)
    return found


def _turned(imports: Mapping[str, Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, dict[str, float]]]:
    """Return {exporter: {commodity: {importer: t}}} out of {importer: {commodity: {exporter: t}}}."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for importer, goods in imports.items():
        for commodity, partners in goods.items():
            for exporter, t in partners.items():
                found.setdefault(exporter, {}).setdefault(commodity, {})[importer] = t
    return found


def _trade(trade: Mapping[str, Any], iso3: str, layers: Any) -> list[dict[str, Any]]:
    """Return a commodity's total with its partners, the largest first."""
    found = []
    for commodity in COMMODITIES:
        partners = trade.get(iso3, {}).get(commodity, {})
        total = sum(partners.values())
        if total > 0:
            rows = [
                {"country": c, "name": country_name(c, layers), "tonnes": float(t), "share": float(t / total)}
                for c, t in sorted(partners.items(), key=lambda r: (-r[1], r[0]))
            ]
            found.append({"commodity": commodity, "tonnes": float(total), "partners": rows})
    return found


def _demand(layers: Any, iso3: str) -> list[dict[str, Any]]:
    rows = layers.demand[layers.demand["country"] == iso3]
    sectors = getattr(layers, "sectors", None)
    names = sectors["name"].to_dict() if sectors is not None else {}
    sums = rows.groupby("sector")["demand_t"].sum().sort_values(ascending=False)
    return [
        {"sector": str(s), "name": str(names.get(s, s)).replace("_", " "), "demand_t": float(t)}
        for s, t in sums.items()
    ]


def _presets(study: Any, outcome: Any, iso3: str) -> list[str]:
    """Return halts of a country that would stop something: its exports, by what it sells, and its stages."""
    base = outcome.summary["baseline"]
    sold = _turned(base["imports_t"]).get(iso3, {})
    specs = [f"country:{iso3}"] if sold else []
    specs += [f"country:{iso3}/{c}" for c in COMMODITIES if sold.get(c) and c in ("oxide", "metal", "magnet")]
    specs += [f"stage:{iso3}/{s}" for s in STAGES if base["stage_output_t"].get(s, {}).get(iso3)]
    return specs


@dataclass(frozen=True)
class OperatorFacts:
    """A company: its units with what they make, who takes from them, and the halt of all of them."""

    id: str
    name: str
    country: str
    state: str
    units: list[dict[str, Any]]
    by_stage: list[dict[str, Any]]
    customers: list[dict[str, Any]]
    moved: pd.DataFrame = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return {k: getattr(self, k) for k in ("id", "name", "country", "state", "units", "by_stage", "customers")}


def operator_facts(outcome: Any, operator: str) -> OperatorFacts:
    """Return what is known of a company in an answer; the id must be one of the layers. A venture counts for each."""
    layers, state = outcome.layers, shown_state(outcome)
    fac, made = layers.facilities, outcome.facilities
    own = [str(i) for i, ids in fac["operator_ids"].items() if operator in ids]
    units = []
    for i in own:
        ran = {k: float(made.at[i, k]) if i in made.index else None for k in ("baseline_t", "halted_t")}
        units.append({**unit_record(fac, i), **ran})
    flows = routed(outcome)
    moved = flows[(flows["state"] == state) & flows["from_id"].isin(own)]
    by_stage = []
    world = fac.join(made[["baseline_t", "halted_t"]])
    for stage in STAGES:
        part = world[(world["stage"] == stage) & world.index.isin(own)]
        if part.empty:
            continue
        whole = world.loc[world["stage"] == stage, f"{state}_t"].sum()
        t = part[f"{state}_t"].sum()
        by_stage.append({"stage": stage, "units": len(part), "capacity_t": float(part["capacity_t"].sum()),
                         "tonnes": float(t), "share": float(t / whole) if whole else 0.0})  # fmt: skip
    row = layers.operators.loc[operator]
    return OperatorFacts(operator, str(row["name"]), str(row["country"]), state, units, by_stage,
                         customers(flows, own, state, layers), moved)  # fmt: skip


@dataclass(frozen=True)
class ThroughFacts:
    """A port or passage: what passes in both states, by commodity, on which lanes, and for whom it is how much."""

    kind: str
    id: str
    row: dict[str, Any]
    state: str
    baseline_t: float
    halted_t: float
    by_commodity: list[dict[str, Any]]
    lanes: list[dict[str, Any]]
    lanes_left: tuple[int, float]
    dependents: list[dict[str, Any]]
    loss: dict[str, float] | None
    moved: pd.DataFrame = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        keys = ("kind", "id", "row", "state", "baseline_t", "halted_t", "by_commodity", "lanes", "dependents")
        left = {"count": self.lanes_left[0], "tonnes": self.lanes_left[1]}
        return {k: getattr(self, k) for k in keys} | {"lanes_left_out": left, "loss_if_halted": self.loss}


def through_facts(study: Any, outcome: Any, kind: str, place: str) -> ThroughFacts:
    """Return what is known of a `port` or `passage` in an answer; the id must be one of the layers."""
    layers, state = outcome.layers, shown_state(outcome)
    table = layers.ports if kind == "port" else layers.passages
    flows = routed(outcome)
    column = f"{kind}s"
    through = flows[[place in str(p).split(";") for p in flows[column]]]
    now = through[through["state"] == state]
    made = lanes(outcome, through, state)
    rest = made.iloc[LANES_MOST:]
    told = {s: outcome.summary[s]["throughput_t"].get(kind, {}) for s in ("baseline", "halted")}
    both = through.groupby(["commodity", "state"])["tonnes"].sum().unstack("state").fillna(0.0)
    by_commodity = [
        {"commodity": c, "baseline_t": _cell(both, c, "baseline"), "halted_t": _cell(both, c, "halted")}
        for c in COMMODITIES if c in both.index
    ]  # fmt: skip
    row = table.loc[place]
    return ThroughFacts(
        kind=kind,
        id=place,
        row={str(c): plain(v) for c, v in row.items() if c != table.geometry.name},
        state=state,
        baseline_t=float(told["baseline"].get(place, 0.0)),
        halted_t=float(told["halted"].get(place, 0.0)),
        by_commodity=by_commodity,
        lanes=lane_records(made.head(LANES_MOST)),
        lanes_left=(len(rest), float(rest["tonnes"].sum())),
        dependents=_dependents(flows[flows["state"] == state], now, layers),
        loss=known_loss(study, f"{kind}:{place}", outcome.bloc),
        moved=now,
    )


def _cell(table: pd.DataFrame, row: str, column: str) -> float:
    return float(table.at[row, column]) if column in table else 0.0


def _dependents(flows: pd.DataFrame, through: pd.DataFrame, layers: Any) -> list[dict[str, Any]]:
    """Return which countries receive what part of a commodity this way, the largest tonnage first."""
    keys = ["to_country", "commodity"]
    t = through.groupby(keys)["tonnes"].sum()
    whole = flows.groupby(keys)["tonnes"].sum()
    found = [
        {"country": c, "name": country_name(c, layers), "commodity": g, "tonnes": float(v),
         "share": float(np.clip(v / whole[(c, g)], 0.0, 1.0))}
        for (c, g), v in t.items()
    ]  # fmt: skip
    return sorted(found, key=lambda r: (-r["tonnes"], r["country"], r["commodity"]))

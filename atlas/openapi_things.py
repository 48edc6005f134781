"""Shapes of one thing as JSON Schema: facility, company, country, port, passage, with their lanes and takers."""

from collections.abc import Mapping

from atlas.chain import Chain
from atlas.losses import EFFECTS
from atlas.openapi_schemas import (
    COUNT,
    NUMBER,
    SHARE,
    STATES,
    TEXT,
    Schema,
    by,
    listed,
    nullable,
    one_of,
    record,
    ref,
)
from atlas.thing_lanes import CLOSING
from atlas.world import COMMODITIES, STAGES

MADE = ("baseline_t", "halted_t", "normal_t", "limit_t")
ENDS = "tonnes:number share:share"


def thing_schemas(chain: Chain) -> dict[str, Schema]:
    """Return the shapes of things by name."""
    return {
        "Lane": _lane(),
        "Taker": record(f"id:text name:text country:text {ENDS}", commodity=one_of(COMMODITIES)),
        "Unit": record(
            "id:text name:text country:country status:text unit:text capacity_t:number? start_year:number? "
            "operator:text distance_km:number baseline_t:number? halted_t:number?",
            stage=one_of(STAGES), maybe="distance_km baseline_t halted_t",
        ),
        "Loss": nullable(record(" ".join(f"{e}:number" for e in EFFECTS))),
        "Facility": _facility(chain),
        "Company": _company(),
        "Country": _country(),
        "Through": _through(),
    }  # fmt: skip


def _state(fields: str, nested: Mapping[str, Schema]) -> Schema:
    """Return the record of a thing with the state it is shown in."""
    state = {"state": one_of(STATES), "halts": listed(TEXT)}
    return record(f"id:text bloc:text {fields}", {**state, **nested})


def _lane() -> Schema:
    return record(
        "from_id:text to_id:text what:text from_country:text to_country:text from_name:text to_name:text "
        "baseline_t:number halted_t:number tonnes:number distance_km:number days:number cost_usd_t:number "
        "share_of_taken:share",
        commodity=one_of(COMMODITIES), passages=listed(TEXT), maybe="share_of_taken",
    )  # fmt: skip


def _facility(chain: Chain) -> Schema:
    units, lanes = listed(ref("Unit")), listed(ref("Lane"))
    told = {
        "elements_made": listed(one_of(chain.elements)), "basket_share": by("element", SHARE),
        "source": by("field", TEXT),
        "capex": listed({"type": "object"}), "process_usd_t": nullable(NUMBER), "made": by("figure", NUMBER),
        "ramp": listed(record("year:year capacity_t:number output_t:number")), "inputs": lanes, "outputs": lanes,
        "closing": listed(record("what:text tonnes:number", end=one_of(CLOSING), commodity=one_of(COMMODITIES))),
        "customers": listed(ref("Taker")), "loss_if_halted": ref("Loss"), "local_roads": {"type": "boolean"},
        "projects": units, "same_site": units, "same_operator": units,
    }  # fmt: skip
    made = _state("name:text site:text country:country", {**told, "stage": one_of(STAGES)})
    return {**made, "additionalProperties": True, "description": "With every column of its row in facilities.csv."}


def _company() -> Schema:
    stage = record("units:count capacity_t:number tonnes:number share:share", stage=one_of(STAGES))
    return _state("name:text country:text", {
        "units": listed(ref("Unit")), "by_stage": listed(stage), "customers": listed(ref("Taker")),
    })  # fmt: skip


def _country() -> Schema:
    stage = record(
        "capacity_t:number capacity_share:share planned_t:number units:count baseline_t:number baseline_share:share "
        "halted_t:number halted_share:share", stage=one_of(STAGES),
    )  # fmt: skip
    partner = record(f"country:text name:text {ENDS}")
    trade = listed(record("tonnes:number", commodity=one_of(COMMODITIES), partners=listed(partner, 1)))
    return _state("name:text shortage_t:number", {
        "stages": listed(stage), "imports": trade, "exports": trade,
        "demand": listed(record("sector:text name:text demand_t:number")), "blocs": listed(TEXT),
        "facilities": listed(ref("Unit")), "presets": listed(TEXT), "loss_if_exports_halted": ref("Loss"),
    })  # fmt: skip


def _through() -> Schema:
    goods = record("baseline_t:number halted_t:number", commodity=one_of(COMMODITIES))
    dependent = record(f"country:text name:text {ENDS}", commodity=one_of(COMMODITIES))
    left = record("", {"count": COUNT}, tonnes=NUMBER)
    return _state("baseline_t:number halted_t:number", {
        "kind": one_of(("port", "passage")), "row": {"type": "object"}, "by_commodity": listed(goods),
        "lanes": listed(ref("Lane")), "lanes_left_out": left, "dependents": listed(dependent),
        "loss_if_halted": ref("Loss"),
    })  # fmt: skip

"""Shapes of exploring and of long work as JSON Schema: facilities, suggestions, what lies near, buyers, jobs."""

from atlas.buyer_risk import UPSTREAM
from atlas.chain import Chain
from atlas.facility_filter import CONFIDENCES, STATUSES
from atlas.openapi_schemas import (
    COUNT,
    NUMBER,
    SHARE,
    TEXT,
    Schema,
    by,
    collection,
    listed,
    nullable,
    one_of,
    record,
    ref,
)
from atlas.web_job_queue import CANCELLED, DONE, FAILED, RUNNING, WAITING
from atlas.web_jobs_pages import BY_NAME
from atlas.world import STAGES

JOB_STATES = (WAITING, RUNNING, DONE, FAILED, CANCELLED)
FACILITY_FIELDS = (
    "id:text name:text site:text product:text operator:text country:country lon:number lat:number "
    "coord_precision_km:number start_year:number? end_year:number? unit:text capacity_t:number? output_t:number? "
    "output_year:number? modelled_output_t:number? source:text source_url:text"
)


def explore_schemas(chain: Chain) -> dict[str, Schema]:
    """Return the shapes of exploring and of long work by name."""
    return {
        "Facilities": _facilities(chain),
        "FacilityPlaces": collection(
            record(FACILITY_FIELDS, _chosen(), operator_ids=TEXT, elements=TEXT, grades=TEXT)
        ),
        "Suggestions": _suggestions(),
        "Near": _near(),
        "BuyerRisk": _buyer_risk(chain),
        "Jobs": _jobs(),
        "Job": _job(),
        "JobToStart": _start(),
    }


def _chosen() -> dict[str, Schema]:
    return {
        "stage": one_of(STAGES), "status": one_of(STATUSES), "modelled": one_of(("yes", "no")),
        "confidence": one_of(CONFIDENCES),
    }  # fmt: skip


def _facilities(chain: Chain) -> Schema:
    facility = record(FACILITY_FIELDS, _chosen(), operator_ids=listed(TEXT), elements=listed(one_of(chain.elements)),
                      grades=listed(TEXT))  # fmt: skip
    total = record("unit:text count:count running_t:number planned_t:number output_t:number modelled_output_t:number",
                   stage=one_of(STAGES))  # fmt: skip
    several = {k: listed(TEXT) for k in ("stage", "status", "element", "confidence")}
    counts = {k: by(k, COUNT) for k in (*several, "country", "bloc", "operator")}
    return record(
        "count:count", filter=record("country:text bloc:text operator:text text:text", several),
        totals=listed(total), facets=record("", counts), facilities=listed(facility),
    )  # fmt: skip


def _suggestions() -> Schema:
    hit = record("kind:text kind_name:text id:text name:text country:text country_name:text address:text")
    return record("q:text count:count", hits=listed(hit))


def _near() -> Schema:
    properties = {
        "type": "object",
        "properties": {"kind": one_of(("land", "rail", "road", "local_rail", "local_road"))},
        "required": ["kind"],
    }
    made = collection({})
    feature = record(type={"const": "Feature"}, properties=properties, geometry=ref("Geometry"))
    made["properties"] |= {"features": listed(feature), "left_out": COUNT}
    return made | {"description": "Longitudes run on past 180 where the box does."}


def _buyer_risk(chain: Chain) -> Schema:
    buyer = record("id:text lon:number lat:number sector:text grade:text tonnes:number cover_days:number country:text",
                   maybe="cover_days")  # fmt: skip
    route = record(
        "from_id:text from_country:country tonnes:number distance_km:number days:number cost_usd_t:number "
        "tariff_usd_t:number passages:text ports:text borders:text"
    )
    case = record(
        "case:text title:text lost_t:number lost_share:number short_t:number short_share:number lower_grade_t:number "
        "world_short_share:number? country_short_share:number? bloc_short_share:number? worse_points:number? "
        "delivery_usd_t:number? more_usd_t:number? more_usd:number? days:number? stock_days:number?",
        halts=listed(TEXT, 1),
    )  # fmt: skip
    contract = record("supplier:text commodity:text grade:text tonnes:number")
    shares = {s: by("origin", SHARE) for s in UPSTREAM}
    one = dict.fromkeys(UPSTREAM, nullable(SHARE))
    elements = {"propertyNames": {"enum": ["all", *chain.tokens]}}
    return record(
        "bloc:text year:year sentence:text origin:text solves:count", buyer=buyer, contracts=listed(contract),
        today=ref("Buyer"), routes=listed(route), cases=listed(case), notes=listed(TEXT),
        upstream_share=by("element", record("", shares, maybe=" ".join(UPSTREAM))) | elements,
        origin_share=by("element", record("", one, maybe=" ".join(UPSTREAM))) | elements,
    )  # fmt: skip


def _job() -> Schema:
    return record(
        "id:text kind:text title:text place:count done:count total:count what:text said:text started:text "
        "elapsed_s:number left_s:number? error:text address:text api:text",
        state=one_of(JOB_STATES), problems=listed(TEXT),
    )  # fmt: skip


def _jobs() -> Schema:
    line = record("kind:text place:count done:count total:count elapsed_s:number left_s:number? id:text address:text",
                  state=one_of(JOB_STATES), maybe="id address")  # fmt: skip
    return record("slots:count queue:count running:count waiting:count", jobs=listed(line), yours=listed(ref("Job")))


def _start() -> Schema:
    value = {"anyOf": [TEXT, NUMBER, listed({"anyOf": [TEXT, NUMBER]})]}
    return {
        "type": "object",
        "description": "A kind of work, and the parameters of the operation that answers with its result.",
        "properties": {"kind": one_of(tuple(BY_NAME))},
        "required": ["kind"],
        "additionalProperties": value,
    }

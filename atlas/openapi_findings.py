"""Shapes of the findings of /api as JSON Schema: chokepoints, traces, frontier, worth, fixes, concentration, errors."""

from atlas.allied import SINCE, element_choices
from atlas.candidates import KINDS
from atlas.chain import Chain
from atlas.compare import LEAST, MOST
from atlas.concentration import keys_of
from atlas.losses import ALL, GOODS
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
from atlas.trace import groups
from atlas.world import COMMODITIES, STAGES

CONFIDENCE = ("A", "B", "C")
LOSS_FIELDS = (
    "lost_t:number lost_share:number short_t:number stepped_t:number world_short_t:number extra_spend_usd:number "
    "extra_days:number"
)
SINGLE_FIELDS = (
    "id:text name:text country:text stage:text through_t:number? objective_rise_usd:number replaced_by:text "
    f"proved_nil:flag {LOSS_FIELDS}"
)


def finding_schemas(chain: Chain) -> dict[str, Schema]:
    """Return the shapes of findings by name."""
    return {
        "Chokepoints": {"anyOf": [ref("Singles"), ref("WorstSets"), ref("MinimumCut")]},
        "Singles": _singles(chain),
        "WorstSets": _sets(chain),
        "MinimumCut": _cut(chain),
        "ChokepointPlaces": collection(record(f"rank:count halts:text {SINGLE_FIELDS}".replace(" id:text", ""),
                                              kind=one_of(KINDS))),
        "Trace": _trace(chain),
        "TraceStages": by("stage or demand", _trace_stage()),
        "TracePaths": collection(_path_properties()),
        "Frontier": _frontier(chain),
        "Worth": _worth(),
        "Fixes": _fixes(),
        "Report": record("report:text title:text", files=listed(record("name:text bytes:number address:text"))),
        "Gain": record("objective_usd:number bloc_t:number world_t:number by_proof:flag"),
        "Concentration": _concentration(chain),
        "Validation": _validation(chain),
        "Comparison": _comparison(),
    }  # fmt: skip


def _asked(chain: Chain, **size: Schema) -> dict[str, Schema]:
    return {"element": one_of((ALL, *chain.tokens)), "commodity": one_of(GOODS), **size}


def _singles(chain: Chain) -> Schema:
    row = record(f"rank:count {SINGLE_FIELDS}", kind=one_of(KINDS), halts=listed(TEXT, 1))
    return record(
        "bloc:text year:year supply_t:number? unit:text candidates:count proved_nil:count sentence:text",
        _asked(chain, size={"const": 1}), rows=listed(row),
    )  # fmt: skip


def _sets(chain: Chain) -> Schema:
    row = record(f"rank:count v_rise_usd:number proved:flag {LOSS_FIELDS}", halts=listed(TEXT, 1),
                 members=listed(TEXT, 1), names=listed(TEXT, 1))  # fmt: skip
    return record(
        "bloc:text weight:number candidates:count sets:count solves:count known_before:count proved:flag "
        "bound_usd:number? gap_share:number? best_single:text without_best_single:flag sentence:text note:text",
        _asked(chain, size={"enum": [2, 3]}), among=listed(one_of(KINDS)), rows=listed(row),
    )  # fmt: skip


def _cut(chain: Chain) -> Schema:
    return record(
        "bloc:text share:share short_t:number? short_share:number? demand_t:number? refuted_size:count proved:flag "
        "solves:count sentence:text",
        element=one_of((ALL, *chain.tokens)), members=listed(TEXT), names=listed(TEXT),
    )  # fmt: skip


def _bounds() -> Schema:
    return record("least:share share:share most:share")


def _trace_stage() -> Schema:
    return record(
        "bloc_share:share bloc_least:share bloc_most:share", by_facility=by("facility", SHARE),
        by_country=by("country, recycled or primary", SHARE), by_sector=by("sector", SHARE),
        maybe="bloc_least bloc_most by_sector",
    )  # fmt: skip


def _trace(chain: Chain) -> Schema:
    element = by("element", NUMBER)
    return record(
        "id:text name:text country:text stage:text year:year bloc:text kind:text",
        element=one_of(tuple(groups(chain))), halts=listed(TEXT), content_t=element, sold_t=element,
        upstream=ref("TraceStages"), bounds={"type": "object", "additionalProperties": by("origin", _bounds())},
        downstream=ref("TraceStages"), baseline_upstream=ref("TraceStages"), notes=listed(TEXT),
        origin=record("id:text", stages={"type": "object", "additionalProperties": _bounds()}),
        threshold=record("share:share", verdicts={"type": "object", "additionalProperties": by("origin", TEXT)}),
        maybe="origin threshold",
    )  # fmt: skip


def _path_properties() -> Schema:
    return record(
        "from_id:text from_country:text to_id:text to_country:text tonnes:number share:number route_id:text",
        direction=one_of(("up", "down")), commodity=one_of(COMMODITIES),
    )  # fmt: skip


def _frontier(chain: Chain) -> Schema:
    point = record(
        "allied_share:share allied_demand_share:share foreign_t:number allied_t:number delivered_t:number "
        "origin_mine:share origin_separation:share origin_metal:share origin_magnet:share bloc_shortage_t:number "
        "bloc_shortage_share:share shortage_t:number spend_usd:number unit_spend_usd_t:number bloc_days:number? "
        "mean_days:number? objective_usd:number price_usd_t:number? baseline:flag binds:text binds_share:number? "
        "jump_usd_t:number?"
    )
    return record(
        "bloc:text trusted:text year:year dominated:count gap_share:number solves:count",
        element=one_of(element_choices(chain)), since=one_of(SINCE), halts=listed(TEXT), start=point,
        points=listed(point),
    )  # fmt: skip


def _worth() -> Schema:
    unit = record(
        "id:text name:text product:text country:country limit_t:number normal_t:number output_t:number "
        "halted_share:number value_usd_t:number? step_t:number? plus_usd_t:number? minus_usd_t:number? kink:flag? "
        "agrees:flag? world_t:number? bloc_t:number?",
        stage=one_of(STAGES),
    )  # fmt: skip
    place = record("country:country units:count limit_t:number value_usd_t:number best:text rent_usd:number",
                   stage=one_of(STAGES))  # fmt: skip
    return record(
        "bloc:text year:year shortage_t:number bloc_shortage_t:number checked:count kinks:count",
        halts=listed(TEXT), units=listed(unit), places=listed(place),
    )  # fmt: skip


def _fixes() -> Schema:
    gain = ref("Gain")
    project = record(
        "id:text name:text country:country status:text start_year:integer capacity_t:number capex_usd:number? "
        "capex_known:flag capex_confidence:text capex_source_id:text capex_covers:text bloc_t_per_t:number "
        "bloc_t_per_musd:number? output_t:number limit_t:number",
        stage=one_of(STAGES), alone=gain, last=gain,
    )  # fmt: skip
    portfolio = record(
        "budget_usd:number capex_usd:number objective_usd:number bound_usd:number? gap_share:number? proved:flag "
        "solves:count",
        chosen=listed(TEXT), gain=gain,
    )  # fmt: skip
    year = record("year:year there:count objective_usd:number bloc_t:number world_t:number by_proof:flag")
    unready = record("id:text stage:text country:text status:text", missing=listed(TEXT))
    return record(
        "bloc:text by:integer? all_countries:flag sentence:text bloc_demand_t:number solves:count "
        "solves_spared_by_proof:count",
        halts=listed(TEXT, 1), without=record("objective_usd:number bloc_short_t:number world_short_t:number"),
        together=gain, projects=listed(project), by_year=listed(year), portfolio=nullable(portfolio),
        order=listed(record("id:text sure:flag", added=gain, so_far=gain)),
        later=listed(record("id:text start_year:integer")), not_judged=listed(unready),
    )  # fmt: skip


def _concentration(chain: Chain) -> Schema:
    largest = record("id:text share:share?")
    stage = record(
        "unit:text world_t:number demand_t:number? hhi:share? top1_share:share? top3_share:share? "
        "n_minus_1_share:number?",
        stage=one_of(STAGES), element=one_of(keys_of(chain)), countries=listed(record("country:country share:share")),
        largest_facility=largest, largest_operator=largest,
    )  # fmt: skip
    published = record(
        "id:text measure:text stage:text element:text published:number model:number? error_points:number? year:year "
        "basis:text why_not:text fitted:flag source:text",
        confidence=one_of(CONFIDENCE),
    )  # fmt: skip
    return record("sentence:text", halts=listed(TEXT), stages=listed(stage), published=listed(published))


def _validation(chain: Chain) -> Schema:
    row = record(
        "id:text kind:text stage:text facility:text from_country:text to:text commodity:text element:text what:text "
        "basis:text year:integer? unit:text published:number? model:number? error_share:number? error_points:number? "
        "comparable:flag why_not:text no_model:text source_id:text source_title:text source_url:text notes:text "
        "bound:text within:flag?",
        role=one_of(("fitted", "held")), confidence=one_of(CONFIDENCE),
    )  # fmt: skip
    bound = record("id:text what:text model:number? figure:number? limit:number unit:text held:flag ground:text",
                   sense=one_of(("at most", "at least")), rows=listed(TEXT))  # fmt: skip
    total = record("unit:text count:count median:number? worst:number? worst_id:text not_computed:count",
                   role=one_of(("fitted", "held")))  # fmt: skip
    elements = by("element", NUMBER)
    line = record("id:text sign:text what:text", dict.fromkeys(chain.elements, NUMBER))
    closure = record("unit:text", elements=listed(one_of(chain.elements)), lines=listed(line),
                     steps=by("step", elements), need_share=elements)  # fmt: skip
    tuned = record("count:count", told=listed(TEXT), corrections=listed(record("what:text usd_t:number")))
    return record(
        "ok:flag year:year sentence:text", rows=listed(row), bounds=listed(bound), totals=listed(total),
        confidence=by("confidence", record("count:count median:number")), closure=closure, tuned=tuned,
    )  # fmt: skip


def _comparison() -> Schema:
    case = record("case:text label:text", halts=listed(TEXT))
    figure = record(
        "group:text key:text name:text baseline:number?", better=one_of(("more", "less", "")),
        unit=one_of(("t", "share", "usd", "usd_t", "days", "km", "index")),
        values={"type": "array", "items": nullable(NUMBER), "minItems": LEAST, "maxItems": MOST},
        best=listed(COUNT), worst=listed(COUNT),
    )  # fmt: skip
    flow = record(
        "from_case:count to_case:count importer:country from_country:country before_t:number after_t:number "
        "change_t:number",
        commodity=one_of(COMMODITIES),
    )  # fmt: skip
    return record("bloc:text year:year sentence:text", figures=listed(figure, 1), flows=listed(flow),
                  cases={"type": "array", "items": case, "minItems": LEAST, "maxItems": MOST})  # fmt: skip

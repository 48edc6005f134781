"""What a magnet buyer stands to lose: what it gets today and by what ways, and what each of many halts would leave it.

The buyer is carved out of its country's demand (see `buyers`), so the world's totals do not move. The world with it is
built once; each halt is then one solve of it, the same solve that a map of the halt with the buyer in it shows.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from atlas.chain import chain_of
from atlas.errors import BadInput
from atlas.outcome import Outcome, Solved, solved
from atlas.readback import Reading, read
from atlas.scenario import Buyer, Contract, Scenario
from atlas.solving import State, solve_halted, solve_open
from atlas.study import Study
from atlas.summary import state_summary
from atlas.trace import trace

Progress = Callable[[int, int, str], None]
ORIGIN = "CHN"
DAYS_A_YEAR = 365.0
# Stages behind a buyer, and what is asked of each: the share of its material that ran in a country.
UPSTREAM = ("mine", "separation", "metal", "magnet")
# Below this share of its demand a loss is the solver's rounding.
LEAST_SHARE = 0.0005
COLUMNS = (
    "case", "title", "halts", "lost_t", "lost_share", "short_t", "short_share", "lower_grade_t", "world_short_share",
    "country_short_share", "bloc_short_share", "worse_points", "delivery_usd_t", "more_usd_t", "more_usd", "days",
    "stock_days",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A thing that may happen: an id, words for it, the question of its halts, and the parameters of its map."""

    id: str
    title: str
    question: Scenario
    address: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class BuyerRisk:
    """What a buyer gets in the baseline and what each case leaves it.

    `today` is the buyer's part of the baseline's summary; `routes` its magnets, a row a route; `upstream` by element
    (`all` first) and stage: shares by country. `cases` has COLUMNS, the most harmful first; `stock_days` is how long
    its stock lasts when it makes up for what is lost, NaN where it holds none or loses nothing.
    """

    buyer: Buyer
    contracts: tuple[Contract, ...]
    bloc: str
    year: int
    today: Mapping[str, Any]
    routes: pd.DataFrame
    upstream: Mapping[str, Mapping[str, Mapping[str, float]]]
    cases: pd.DataFrame
    addresses: Mapping[str, tuple[tuple[str, str], ...]]
    notes: tuple[str, ...]
    solves: int

    def origin_share(self, stage: str, element: str = "all", country: str = ORIGIN) -> float:
        """Return the part of the buyer's material whose stage ran in a country."""
        return float(self.upstream.get(element, {}).get(stage, {}).get(country, 0.0))


def buyer_risk(
    study: Study, asked: Scenario, cases: Sequence[Case], bloc: str = "us-allies", progress: Progress | None = None
) -> BuyerRisk:
    """Work out what the one buyer of `asked` (with its contracts, if any) would lose in each case.

    Raises BadInput where the buyer cannot be placed or served, Cancelled when told to stop.
    """
    if len(asked.buyers) != 1:
        raise BadInput(f"{len(asked.buyers)} buyers: expected one")
    tell = progress or (lambda done, total, what: None)
    total = len(cases) + 1
    tell(0, total, "the world with the buyer in it")
    ground = study.changed(asked)
    stage, limit_s = ground.stage, study.settings.solve_time_limit_s
    frame = stage.frame(ground.calibration)
    before = solve_open(frame, stage.router, limit_s)
    base = solved(stage.world, before, study.layers, stage.skeleton, stage.router.router)
    today = _seen(study, base.world, base.reading, bloc)
    i = asked.buyers[0].id
    rows = []
    for n, case in enumerate(cases, 1):
        tell(n, total, case.title)
        question = _with_buyer(case.question, asked)
        state: State = solve_halted(frame, stage.router, question, study.blocs, before, limit_s)
        after = _seen(study, stage.world, read(stage.world, state), bloc)
        rows.append(_row(case, asked.buyers[0], today, after, i))
    tell(total, total, "where it comes from")
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    # What leaves the buyer as short as another halt comes first where others are hit less, then where it costs more.
    keys = table[["short_share", "worse_points", "more_usd_t"]].round(4).assign(case=table["case"])
    at = keys.sort_values(list(keys.columns), ascending=[False, False, False, True], na_position="last").index
    outcome = _outcome(study, asked, base, bloc)
    flows = base.reading.flows
    routes = flows[(flows["to_id"] == i) & (flows["commodity"] == "magnet")].sort_values("tonnes", ascending=False)
    return BuyerRisk(
        buyer=asked.buyers[0],
        contracts=asked.contracts,
        bloc=bloc,
        year=study.year,
        today=today["buyers"][i],
        routes=routes.reset_index(drop=True),
        upstream=_upstream(outcome, i),
        cases=table.loc[at].reset_index(drop=True),
        addresses={c.id: c.address for c in cases},
        notes=ground.notes,
        solves=total,
    )


def stock_days(cover_days: float | None, short_share: float) -> float:
    """Return how long a stock of `cover_days` of use makes up for a missing share of it; NaN where nothing runs out.

    Plain arithmetic: use goes on as before, the stock fills what is missing day by day.
    """
    if not cover_days or short_share < LEAST_SHARE:
        return float("nan")
    return cover_days / short_share


def _with_buyer(case: Scenario, asked: Scenario) -> Scenario:
    """Return a case's question with the buyer and its contracts in it."""
    return dataclasses.replace(case, buyers=asked.buyers, contracts=asked.contracts)


def _seen(study: Study, world: Any, reading: Reading, bloc: str) -> dict[str, Any]:
    """Return a state's summary, with demand by country beside it."""
    fac = study.layers.facilities
    share = (fac["usgs_output_t"] / fac["output_t"].where(fac["output_t"] > 0)).astype(float)
    made = state_summary(world, reading, study.blocs[bloc], share)
    made["demand_by_country_t"] = reading.demand.groupby("country")["demand_t"].sum().to_dict()
    return made


def _row(case: Case, buyer: Buyer, today: Mapping[str, Any], after: Mapping[str, Any], i: str) -> tuple[Any, ...]:
    was, now = today["buyers"][i], after["buyers"][i]
    wanted = float(now["demand_t"])
    lost = max(float(was["supplied_t"]) - float(now["supplied_t"]), 0.0)
    short_share = float(now["shortage_t"]) / wanted
    world = after["shortage_t"] / after["demand_t"]
    country = now["country"]
    inside = after["shortage_by_country"].get(country, 0.0) / max(after["demand_by_country_t"].get(country, 0.0), 1e-9)
    got = float(now["supplied_t"])
    delivered = got > LEAST_SHARE * wanted
    cost = float(now["delivery_usd_t"]) if delivered else float("nan")
    more = cost - float(was["delivery_usd_t"])
    return (
        case.id, case.title, ";".join(case.question.specs), lost, lost / wanted, float(now["shortage_t"]), short_share,
        float(now["step_down_t"]), world, inside, 1.0 - float(after["bloc_supplied_share"]),
        100 * (short_share - world), cost, more, more * got, float(now["mean_days"]) if delivered else float("nan"),
        stock_days(buyer.cover_days, short_share),
    )  # fmt: skip


def _outcome(study: Study, asked: Scenario, base: Solved, bloc: str) -> Outcome:
    """Return the baseline with the buyer in it as an outcome, for a trace."""
    return Outcome(
        layers=study.layers, scenario=asked, year=study.year, bloc=bloc, bloc_countries=study.blocs[bloc], tuned=(),
        notes=(), baseline=base, halted=base,
    )  # fmt: skip


def _upstream(outcome: Outcome, i: str) -> dict[str, dict[str, dict[str, float]]]:
    """Return shares by country for each stage behind a buyer, of all elements and of each it holds."""
    whole = trace(outcome, i, "all", "up")
    held = [e for e in chain_of(outcome.layers).elements if whole.content_t.get(e, 0.0) > 0]
    found = {"all": whole} | {e: trace(outcome, i, e, "up") for e in held}
    return {
        e: {s: {c: float(v) for c, v in t.upstream[s].by_country.items()} for s in UPSTREAM if s in t.upstream}
        for e, t in found.items()
    }

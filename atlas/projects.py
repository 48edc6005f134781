"""Planned and building projects: what is known of them, and one programme in which each is built or left out.

All projects stand in one world of the calibrated year, at full output; one that is left out is a unit with its whole
limit lost. So one frame serves every choice. V(built), the optimum, is convex in the shares built and never rises with
them; with nothing built it is the optimum of the plain world.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from atlas.chain import chain_of
from atlas.errors import BadInput
from atlas.frame import Frame, Limits, state, surge_share
from atlas.halt import Halt
from atlas.lane_routes import LaneRouter
from atlas.layers import Layers
from atlas.readback import read
from atlas.scenario import Scenario
from atlas.solver import solve
from atlas.solving import State, open_routes, solve_halted
from atlas.stage import Ground, ground_of, with_stocks
from atlas.world import CALIBRATED_YEAR, World, running

# Words of a facility's status -> what the project is called.
STATUS_WORDS = {
    "planned": "planned", "construction": "building", "commissioning": "starting up", "operating": "running",
}  # fmt: skip
TO_COME = ("planned", "construction", "commissioning", "operating")


@dataclass(frozen=True)
class Project:
    """A unit that does not run in the calibrated year and will: `capacity_t` in the basis of its stage.

    `capex_usd` is what its capacity costs; `capex_known` says whether a source gives it, else it is the median of its
    stage per tonne of capacity. `capex_confidence`, `capex_source_id` and `capex_covers` are those of the figure.
    """

    id: str
    name: str
    stage: str
    product: str
    country: str
    status: str
    start_year: int
    capacity_t: float
    capex_usd: float
    capex_known: bool
    capex_confidence: str
    capex_source_id: str
    capex_covers: str

    @property
    def still_usd(self) -> float:
        """What is still to be paid: nothing for one that runs by now."""
        return 0.0 if self.status == "operating" else self.capex_usd

    @property
    def status_words(self) -> str:
        """The status for people."""
        return STATUS_WORDS[self.status]


@dataclass(frozen=True)
class Unready:
    """A project that cannot be judged: `missing` says what is not known of it."""

    id: str
    name: str
    stage: str
    country: str
    status: str
    missing: tuple[str, ...]


def pending(layers: Layers, countries: Iterable[str] | None = None) -> tuple[tuple[Project, ...], tuple[Unready, ...]]:
    """Return the projects of `layers` in `countries` (all where None), and those of which too little is known.

    Both are sorted by id. A unit that began after the calibrated year counts too: the world of that year lacks it.
    """
    f = layers.facilities
    chosen = ~running(f, CALIBRATED_YEAR) & f["status"].astype(str).isin(TO_COME)
    if countries is not None:
        chosen &= f["country"].isin(set(countries))
    projects, unready = [], []
    costs = _Capex(layers)
    for i, r in f[chosen].sort_index().iterrows():
        start, capacity = _number(r["start_year"]), _number(r["capacity_t"])
        if str(r["status"]) == "operating" and not start > CALIBRATED_YEAR:
            continue  # it runs and was not modelled in that year either
        missing = [w for w, lacks in (("start year", math.isnan(start)), ("capacity", not capacity > 0)) if lacks]
        if str(r["modelled"]) not in ("yes", "True", "true"):
            note = str(r.get("model_note", "") or "")
            missing.append(f"not modelled{': ' + note if note and note != 'tonnage not published' else ''}")
        common = (str(i), str(r["name"]), str(r["stage"]))
        if missing:
            unready.append(Unready(*common, str(r["country"]), str(r["status"]), tuple(missing)))
            continue
        status, stage, product = str(r["status"]), str(r["stage"]), str(r["product"])
        usd, known, confidence, source, covers = costs.of(str(i), stage, capacity)
        made = Project(
            *common, product, str(r["country"]), status, int(start), capacity, usd, known, confidence, source, covers
        )
        projects.append(made)
    return tuple(projects), tuple(unready)


class _Capex:
    """What a project costs: published, else the median of its stage per tonne of capacity."""

    def __init__(self, layers: Layers) -> None:
        rows = getattr(layers, "capex", None)
        self.rows = rows if rows is not None else pd.DataFrame(columns=["facility", "capex_usd", "basis"])
        f = layers.facilities
        # A part of a joint sum, given by judgement, says nothing new of a stage.
        known = self.rows[self.rows["basis"] != "split"].set_index("facility")["capex_usd"].astype(float)
        per_t = (known / pd.to_numeric(f["capacity_t"], errors="coerce").reindex(known.index)).dropna()
        self.per_t = per_t.groupby(f["stage"].astype(str).reindex(per_t.index)).median().to_dict()
        self.all_stages = float(per_t.median()) if len(per_t) else math.nan

    def of(self, i: str, stage: str, capacity_t: float) -> tuple[float, bool, str, str, str]:
        hit = self.rows[self.rows["facility"] == i]
        if len(hit):
            r = hit.iloc[0]
            return float(r["capex_usd"]), True, str(r["confidence"]), str(r["source_id"]), str(r["covers"])
        per_t = self.per_t.get(stage, self.all_stages)
        return per_t * capacity_t, False, "C", "", f"estimate: {per_t:,.0f} USD per t a year, the median of its stage"


def _number(value: Any) -> float:
    found = pd.to_numeric(value, errors="coerce")
    return float(found) if found == found else math.nan


def project_ground(study: Any, question: Scenario, projects: Sequence[Project]) -> Ground:
    """Return the world of the calibrated year as `question` changes it, with all `projects` in it at full output.

    Raises BadInput for a study of another year, or a question that draws what is uncertain.
    """
    if study.year != CALIBRATED_YEAR:
        raise BadInput(f"year {study.year}: projects are added to the world of {CALIBRATED_YEAR}; leave --year out")
    if question.draw is not None:
        raise BadInput("draw: projects are judged in the layers as they stand")
    full = study.layers.parameters["ramp_share_full"]
    rows = [
        {"id": p.id, "start_year": CALIBRATED_YEAR, "status": "operating", "capacity_t": p.capacity_t,
         "output_t": full * p.capacity_t, "output_year": CALIBRATED_YEAR,
         "elements": _undated(study.layers.facilities.at[p.id, "elements"], chain_of(study.layers).elements)}
        for p in projects
    ]  # fmt: skip
    rows += _kept_open(study.layers, {p.id for p in projects})
    changed = dataclasses.replace(question, facilities=(*question.facilities, *rows))
    units = study.ground.stage.world.units
    added = frozenset(map(str, units.index[units["new"]])) | {p.id for p in projects}
    ground = ground_of(
        study.layers, study.year, study.router, study.calibration, study.blocs, added, changed
    )
    return with_stocks(ground, question, ground.stage.router.tariff_usd_t)


def _undated(tokens: Sequence[str], elements: Sequence[str]) -> str:
    """Return the elements a project will make, whenever it begins with each."""
    made = {str(t).partition("@")[0] for t in tokens}
    return ";".join(e for e in elements if e in made)


def _kept_open(layers: Layers, projects: set[str]) -> list[dict[str, Any]]:
    """Return rows that keep mines free to sell as they do now, where all they name as buyers is still to be built."""
    f = layers.facilities
    runs = running(f, CALIBRATED_YEAR)
    now = set(map(str, f.index[runs]))
    return [
        {"id": str(i), "feeds_text": "buyers until its own are built"}
        for i, r in f[runs & (f["stage"] == "mine")].iterrows()
        if set(r["feeds"]) & projects and not set(r["feeds"]) & now and not str(r["feeds_text"] or "")
    ]


@dataclass(frozen=True)
class Built:
    """What comes of a choice: `share` built by project, the objective, who stays short.

    `short_t` all over the world, `bloc_short_t` in the bloc; `output_t` of each project; `price_usd` by project is what
    its whole limit would take off the objective at these duals, 0 or less. `plane_usd` is what is left of the objective
    without what the limits that are there take off: V(other) >= plane_usd + sum of price_usd x other, for every choice
    of wholes.
    """

    share: Mapping[str, float]
    objective_usd: float
    short_t: float
    bloc_short_t: float
    output_t: Mapping[str, float]
    price_usd: Mapping[str, float]
    plane_usd: float


class Yard:
    """A world with all `projects` in it, under a question, in which any of them may be built: one solve a choice.

    `solves` counts the programmes solved; a choice asked for again is remembered. `whole` is the part
    of each project's limit that counts as built whole (all of it if left out), `limit_t` and `normal_t` what it can do
    then. Raises SolverFailure as `solve_halted` does.
    """

    def __init__(
        self, frame: Frame, router: LaneRouter, question: Scenario, blocs: Mapping[str, frozenset[str]],
        bloc: frozenset[str], projects: Sequence[str], time_limit_s: float = 60.0,
        whole: Mapping[str, float] | None = None,
    ) -> None:  # fmt: skip
        self.frame = without_idle_charge(frame, projects)
        self.router, self.question, self.blocs, self.bloc = router, question, blocs, bloc
        self.projects, self.time_limit_s = tuple(projects), time_limit_s
        self.world = frame.skeleton.world
        self.solves = 0
        self._kept: dict[tuple[float, ...], Built] = {}
        u = self.frame.limits
        self.whole = {p: 1.0 if whole is None else whole[p] for p in projects}
        self.limit_t = {p: self.whole[p] * float(u.at[p, "limit_t"]) for p in projects}
        self.normal_t = {p: min(float(u.at[p, "normal_t"]), self.limit_t[p]) for p in projects}
        routes = open_routes(router)
        programme = state(self.frame, routes.options, Limits(dict.fromkeys(projects, 1.0)))
        # What halts of a share are a share of: the flows before, with nothing halted and nothing built.
        self.before = State(programme, solve(programme.lp, time_limit_s), routes, None, self.frame.limits)

    def build(self, share: Mapping[str, float] | Iterable[str]) -> Built:
        """Return what comes of building `share` of each project (or all of those named), the others left out."""
        given = dict(share) if isinstance(share, Mapping) else dict.fromkeys(share, 1.0)
        whole = {p: float(given.get(p, 0.0)) for p in self.projects}
        key = tuple(whole.values())
        if key not in self._kept:
            self._kept[key] = self._solve(whole)
        return self._kept[key]

    def _solve(self, share: Mapping[str, float]) -> Built:
        self.solves += 1
        lost = [Halt("facility", p, share=1 - z * self.whole[p]) for p, z in share.items() if z * self.whole[p] < 1]
        solved = solve_halted(
            self.frame, self.router, self.question.plus(lost), self.blocs, self.before, self.time_limit_s
        )
        return self._read(share, solved)

    def _read(self, share: Mapping[str, float], solved: State) -> Built:
        demand = read(self.world, solved).demand
        inside = demand["country"].isin(self.bloc)
        c = solved.programme.columns
        own = c["unit"].isin(self.projects).to_numpy()
        d = np.minimum(solved.optimum.d, 0.0)
        price, output = dict.fromkeys(self.projects, 0.0), dict.fromkeys(self.projects, 0.0)
        taken, upper = 0.0, solved.programme.lp.upper
        for kind in ("normal", "surge"):
            for n in np.flatnonzero(own & (c["kind"] == kind).to_numpy()):
                p = str(c["unit"].iat[n])
                room = self.normal_t[p] if kind == "normal" else self.limit_t[p] - self.normal_t[p]
                price[p] += float(d[n]) * room
                taken += float(d[n] * upper[n])
                output[p] += float(solved.optimum.x[n])
        return Built(
            share, solved.optimum.objective, float(demand["short_t"].sum()), float(demand.loc[inside, "short_t"].sum()),
            output, price, solved.optimum.objective - taken,
        )  # fmt: skip


def without_idle_charge(frame: Frame, projects: Iterable[str]) -> Frame:
    """Return a frame in which `projects` pay nothing for standing idle, so that those left out cost nothing at all."""
    ids = set(projects)
    u = frame.skeleton.world.units
    charge = {s: frame.skeleton.world.parameter(f"idle_usd_t_{s}") for s in u["stage"].unique()}
    cost, offset = frame.other_cost.copy(), frame.offset
    other = frame.skeleton.other
    for n in np.flatnonzero((other["kind"] == "normal").to_numpy() & other["unit"].isin(ids).to_numpy()):
        cost[n] += charge[u.at[other["unit"].iat[n], "stage"]]
    for p in ids:
        offset -= charge[u.at[p, "stage"]] * float(frame.limits.at[p, "normal_t"])
    return dataclasses.replace(frame, other_cost=cost, offset=offset)


def share_there(p: Project, year: int, world: World, limit_t: float) -> float:
    """Return the part of a project's limit that is there in `year`: nothing before its start, then the ramp."""
    age = year - p.start_year
    if age < 0:
        return 0.0
    ramp = world.parameter({0: "ramp_share_year_1", 1: "ramp_share_year_2"}.get(age, "ramp_share_full"))
    could = min(p.capacity_t, ramp * p.capacity_t * (1 + surge_share(world, p.stage)))
    return min(could / limit_t, 1.0)

"""What would fix it: projects ranked by the shortage they take away under a halt, alone, last, and together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from atlas.errors import BadInput, UnknownName, nearest
from atlas.halt_words import describe
from atlas.portfolio import CORE_SHARE, IDLE_T, Planes, Portfolio, best_portfolio
from atlas.projects import Built, Project, Unready, Yard, pending, project_ground, share_there
from atlas.scenario import Scenario
from atlas.world import CALIBRATED_YEAR

Progress = Callable[[int, int, str], None]
# A step of the order is sought among so many of the most promising, and the order ends where a step adds less.
TRIES = 8
LEAST_STEP_SHARE = 0.005
STEPS = 12
# A price that is the solver's rounding, USD.
NO_PRICE_USD = 1.0
RAMP_YEARS = 2
# Less of a shortage than this is none, t.
LEAST_T = 0.5


@dataclass(frozen=True)
class Gain:
    """What a choice takes away: objective (USD), shortage in the bloc and in the world (t of magnets).

    `proved` marks a gain of nothing that a proof gave without a solve.
    """

    objective_usd: float = 0.0
    bloc_t: float = 0.0
    world_t: float = 0.0
    proved: bool = False

    @classmethod
    def between(cls, without: Built, built: Built) -> "Gain":
        """Return what `built` takes away of what is lost `without` it."""
        return cls(
            without.objective_usd - built.objective_usd,
            without.bloc_short_t - built.bloc_short_t,
            without.short_t - built.short_t,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the gain as plain values."""
        return {
            "objective_usd": self.objective_usd, "bloc_t": self.bloc_t, "world_t": self.world_t, "by_proof": self.proved
        }  # fmt: skip


@dataclass(frozen=True)
class Fix:
    """A project judged: gain `alone`, gain as the `last` of all, what it makes (t) when all are built."""

    project: Project
    alone: Gain
    last: Gain
    output_t: float
    limit_t: float

    @property
    def per_t(self) -> float:
        """Shortage of the bloc taken away alone, per tonne of its capacity."""
        return self.alone.bloc_t / self.project.capacity_t

    @property
    def per_musd(self) -> float:
        """Shortage of the bloc taken away alone, t per million USD of capex."""
        return self.alone.bloc_t / (self.project.capex_usd / 1e6)


@dataclass(frozen=True)
class Step:
    """A step of the greedy order: the project added, what it adds, what is gained by then; `sure`: none adds more."""

    project: Project
    added: Gain
    so_far: Gain
    sure: bool


@dataclass(frozen=True)
class Fixes:
    """Everything that `atlas fixes` tells; `to_json` gives it plain.

    `rows` are sorted by the bloc's shortage taken away alone, then last. `by_year` has (year, gain, number there).
    `later` are projects that start after `by`.
    """

    halts: tuple[str, ...]
    what: str
    bloc: str
    by: int | None
    everywhere: bool
    none: Built
    together: Gain
    bloc_demand_t: float
    rows: tuple[Fix, ...]
    steps: tuple[Step, ...]
    by_year: tuple[tuple[int, Gain, int], ...]
    portfolio: Portfolio | None
    later: tuple[Project, ...]
    unready: tuple[Unready, ...]
    solves: int
    spared: int

    @property
    def sentence(self) -> str:
        """The answer in words."""
        short = self.none.bloc_short_t
        if short < LEAST_T:
            return f"With {self.what}, {self.bloc} is short of no magnets: there is nothing to fix."
        where = "anywhere" if self.everywhere else f"in {self.bloc}"
        when = f" by {self.by}" if self.by else ""
        whole = self.together.bloc_t
        text = (
            f"With {self.what}, {self.bloc} is short of {short:,.0f}\u00a0t of magnets a year. All {len(self.rows)} "
            f"projects {where} that came after {CALIBRATED_YEAR} or are still to come{when} would "
        )
        if whole < -LEAST_T:
            text += f"leave it {-whole:,.0f}\u00a0t shorter: what they make goes to others, or to higher priorities."
        elif whole < LEAST_T:
            text += "not change that."
        else:
            text += f"take {whole:,.0f}\u00a0t ({100 * whole / short:.0f}\u00a0%) off that."
        best = self.rows[0]
        if best.alone.bloc_t >= LEAST_T:
            text += f" Alone, {best.project.name} takes most off: {best.alone.bloc_t:,.0f}\u00a0t."
        elif whole >= LEAST_T:
            text += " None of them helps alone."
        if self.portfolio:
            gain = self.none.bloc_short_t - self.portfolio.best.bloc_short_t
            for_all = "" if gain >= 0 else " for the world as a whole"
            text += (
                f" For {self.portfolio.budget_usd / 1e6:,.0f} million USD the best choice{for_all} is "
                f"{len(self.portfolio.chosen)} of them: {abs(gain):,.0f}\u00a0t "
                f"{'less' if gain >= 0 else 'more'} short."
            )
        return text

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "halts": list(self.halts),
            "bloc": self.bloc,
            "by": self.by,
            "all_countries": self.everywhere,
            "sentence": self.sentence,
            "bloc_demand_t": self.bloc_demand_t,
            "without": _state(self.none),
            "together": self.together.to_json(),
            "projects": [_fix(r) for r in self.rows],
            "order": [
                {"id": s.project.id, "added": s.added.to_json(), "so_far": s.so_far.to_json(), "sure": s.sure}
                for s in self.steps
            ],
            "by_year": [{"year": y, "there": n, **g.to_json()} for y, g, n in self.by_year],
            "portfolio": _portfolio(self),
            "later": [{"id": p.id, "start_year": p.start_year} for p in self.later],
            "not_judged": [
                {"id": u.id, "stage": u.stage, "country": u.country, "status": u.status, "missing": list(u.missing)}
                for u in self.unready
            ],
            "solves": self.solves,
            "solves_spared_by_proof": self.spared,
        }


def _state(b: Built) -> dict[str, float]:
    return {"objective_usd": b.objective_usd, "bloc_short_t": b.bloc_short_t, "world_short_t": b.short_t}


def _fix(r: Fix) -> dict[str, Any]:
    p = r.project
    return {
        "id": p.id, "name": p.name, "stage": p.stage, "country": p.country, "status": p.status,
        "start_year": p.start_year, "capacity_t": p.capacity_t, "capex_usd": p.capex_usd,
        "capex_known": p.capex_known, "capex_confidence": p.capex_confidence, "capex_source_id": p.capex_source_id,
        "capex_covers": p.capex_covers, "alone": r.alone.to_json(), "last": r.last.to_json(),
        "bloc_t_per_t": r.per_t, "bloc_t_per_musd": r.per_musd, "output_t": r.output_t, "limit_t": r.limit_t,
    }  # fmt: skip


def _portfolio(f: Fixes) -> dict[str, Any] | None:
    if f.portfolio is None:
        return None
    p, gain = f.portfolio, Gain.between(f.none, f.portfolio.best)
    return {
        "budget_usd": p.budget_usd, "chosen": list(p.chosen), "capex_usd": p.capex_usd, "gain": gain.to_json(),
        "objective_usd": p.best.objective_usd, "bound_usd": p.bound_usd, "gap_share": p.gap_share, "proved": p.proved,
        "solves": p.solves,
    }  # fmt: skip


def fixes(
    study: Any,
    halts: Sequence[str] = (),
    scenario: Any = None,
    *,
    bloc: str = "us-allies",
    by: int | None = None,
    everywhere: bool = False,
    budget_usd: float | None = None,
    progress: Progress | None = None,
) -> Fixes:
    """Return what the projects of a bloc (or `everywhere`) would do under halts or a scenario.

    `by` counts only what is there by that year, on its ramp. Raises BadInput, UnknownName, SolverFailure.
    """
    question: Scenario = study.question(halts, scenario)
    if bloc not in study.blocs:
        raise UnknownName("bloc", bloc, nearest(bloc, study.blocs) or sorted(study.blocs))
    if budget_usd is not None and not budget_usd > 0:
        raise BadInput(f"budget of {budget_usd:g} USD: expected more than 0")
    countries = study.blocs[bloc]
    projects, unready = pending(study.layers, None if everywhere else countries)
    if by is not None and not CALIBRATED_YEAR < by <= 2050:
        raise BadInput(f"by {by}: expected a year after {CALIBRATED_YEAR}, 2050 at most")
    later = tuple(p for p in projects if by is not None and p.start_year > by)
    projects = tuple(p for p in projects if p not in later)
    if not projects:
        raise BadInput(f"no project in {bloc} that is there{f' by {by}' if by else ''} and of which enough is known")
    if progress:
        progress(0, 0, "adding the projects to the world")
    ground = project_ground(study, question, projects)
    frame = ground.stage.frame(ground.calibration)
    world, limits = ground.stage.world, frame.limits["limit_t"]
    whole = None if by is None else {p.id: share_there(p, by, world, float(limits[p.id])) for p in projects}
    ids = [p.id for p in projects]
    limit_s = study.settings.solve_time_limit_s
    yard = Yard(frame, ground.stage.router, question, study.blocs, countries, ids, limit_s, whole)
    what = " and ".join(describe(h, study.layers) for h in question.specs) or "nothing halted"
    inside = world.demand["country"].isin(countries)
    demand_t = float(world.demand.loc[inside, "demand_t"].sum())
    return judge(
        yard, projects, halts=question.specs, what=what + " halted" * bool(question.specs), bloc=bloc, by=by,
        everywhere=everywhere, budget_usd=budget_usd, demand_t=demand_t, later=later, unready=unready,
        progress=progress,
    )  # fmt: skip


def judge(
    yard: Yard, projects: Sequence[Project], *, halts: tuple[str, ...], what: str, bloc: str, by: int | None,
    everywhere: bool, budget_usd: float | None, demand_t: float, later: tuple[Project, ...] = (),
    unready: tuple[Unready, ...] = (), progress: Progress | None = None,
) -> Fixes:  # fmt: skip
    """Return the projects of a yard judged; see `fixes`."""
    ids = list(yard.projects)
    none, everything = yard.build(()), yard.build(ids)
    first = sum(none.price_usd[p] < -NO_PRICE_USD for p in ids)
    active = [p for p in ids if everything.output_t[p] > IDLE_T]
    years = _years(projects, by)
    total = 3 + first + len(active) + len(years) + STEPS * TRIES // 3
    # Where some of everything is there, the duals tell what chains are worth: a plane that rules much out.
    known = [none, everything, yard.build(dict.fromkeys(ids, CORE_SHARE))]

    def solve(chosen: Sequence[str], words: str) -> Built:
        b = yard.build(chosen)
        known.append(b)
        if progress:
            progress(min(yard.solves, total), total, words)
        return b

    alone, last = {}, {}
    for p in ids:
        # The duals of the state without it prove that a project without a price does nothing alone.
        proved = none.price_usd[p] >= -NO_PRICE_USD
        alone[p] = Gain(proved=True) if proved else Gain.between(none, solve([p], "each alone"))
    for p in ids:
        # What stands idle can be left out: the optimum stays.
        others = [q for q in ids if q != p]
        last[p] = Gain.between(solve(others, "each left out"), everything) if p in active else Gain(proved=True)
    steps = _order(yard, projects, {p: alone[p].objective_usd for p in ids}, known, none, everything, solve)
    by_year = []
    full_t = {p: yard.limit_t[p] / yard.whole[p] for p in ids}
    for year in years:
        share = {
            p.id: min(share_there(p, year, yard.world, full_t[p.id]) / yard.whole[p.id], 1.0) for p in projects
        }
        by_year.append((year, Gain.between(none, yard.build(share)), sum(z > 0 for z in share.values())))
        if progress:
            progress(min(yard.solves, total), total, "year by year")
    portfolio = None
    if budget_usd is not None:
        capex = {p.id: p.still_usd for p in projects}
        portfolio = best_portfolio(yard, capex, budget_usd, known, progress=progress)
    rows = [Fix(p, alone[p.id], last[p.id], everything.output_t[p.id], yard.limit_t[p.id]) for p in projects]
    rows.sort(key=lambda r: (-r.alone.bloc_t, -r.alone.objective_usd, -r.last.bloc_t, r.project.id))
    spared = sum(g.proved for g in (*alone.values(), *last.values()))
    return Fixes(
        halts=halts, what=what, bloc=bloc, by=by, everywhere=everywhere, none=none,
        together=Gain.between(none, everything), bloc_demand_t=demand_t, rows=tuple(rows), steps=steps,
        by_year=tuple(by_year), portfolio=portfolio, later=later, unready=unready, solves=yard.solves, spared=spared,
    )  # fmt: skip


def _years(projects: Sequence[Project], by: int | None) -> list[int]:
    first, end = min(p.start_year for p in projects), max(p.start_year for p in projects) + RAMP_YEARS
    return list(range(first, min(end, by or end) + 1))


def _order(
    yard: Yard, projects: Sequence[Project], promise: Mapping[str, float], known: Sequence[Built], none: Built,
    everything: Built, solve: Callable[[Sequence[str], str], Built],
) -> tuple[Step, ...]:  # fmt: skip
    """Return projects in the order of what each adds to those before it: a chain shows as steps that follow another.

    A step is the best of the most promising: those that gained most at the last look. It is sure where no plane of a
    solved choice leaves room for a better one.
    """
    of = {p.id: p for p in projects}
    planes = Planes(yard.projects, none.objective_usd)
    for b in known:
        planes.add(b)
    seen = dict(promise)
    whole = none.objective_usd - everything.objective_usd
    now = none
    chosen: list[str] = []
    steps: list[Step] = []
    while len(steps) < STEPS and now.objective_usd - everything.objective_usd > LEAST_STEP_SHARE * whole:
        room = {
            p: now.objective_usd - planes.floor_usd({**now.share, p: 1.0}) for p in yard.projects if p not in chosen
        }
        best: tuple[str, Built] | None = None
        left = sorted(room, key=lambda p: (-min(seen[p], room[p]), -room[p], p))
        gain = 0.0
        for p in left[:TRIES]:
            if room[p] <= max(gain, NO_PRICE_USD):
                continue
            b = solve([*chosen, p], f"in order, step {len(steps) + 1}")
            planes.add(b)
            seen[p] = now.objective_usd - b.objective_usd
            if seen[p] > gain:
                best, gain = (p, b), seen[p]
        if best is None or gain < LEAST_STEP_SHARE * whole:
            break
        sure = all(room[p] <= gain for p in left[TRIES:])
        steps.append(Step(of[best[0]], Gain.between(now, best[1]), Gain.between(none, best[1]), sure))
        chosen.append(best[0])
        now = best[1]
    return tuple(steps)

"""How allied a bloc's magnets can be, and what that costs: a Pareto curve of exact optima.

CURVE  V(f) is the optimum of the one programme (penalties included) with the foreign content of the bloc's magnets
(`allied`) at most f: convex, piecewise linear, rising as f falls to the least possible. Its vertices are the optima of
    cost + price x foreign content
for the prices between two slopes, so no row bounds f: from the two ends, the price at which both of two neighbours cost
the same is tried; either nothing is better - the chord is an edge of V - or a new vertex lies between. At most `points`
programmes are solved, the widest gap first; how far the curve may lie from the chords that are left is told.

POINTS  At each vertex: the allied share, what is short, spending, days - read from the optimum, with the price of the
edge that follows. Points that another one beats in everything (share, shortage, spending, days) are dropped.

BREAK POINTS  At a vertex the price jumps from one edge's to the next. With duals of the next edge the jump is a sum of
one term for each bound and row that begins to bind there, none below zero:
    price after - price before = sum of |dual| x (what it moved to its bound since the last vertex) / (foreign content)
so a break point is named by the terms' largest sum by kind, stage and side, with the part of the jump that it explains
(`binding`).

Routes that a partial halt prices in are those of the state without a bound on foreign content.
"""

import dataclasses
import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from atlas.allied import SINCE, Chain, chain, element_keys
from atlas.binding import binds
from atlas.errors import BadInput, SolverFailure, SolverTimeUp, UnknownName, nearest
from atlas.lane_routes import LaneRouter
from atlas.readback import LEAST_FLOW_T, Reading
from atlas.solver import Optimum, solve
from atlas.solving import State, solve_halted
from atlas.summary import origin_shares, rounded
from atlas.world import World

Progress = Callable[[int, int, str], None]
POINTS = 40
POINTS_MOST = 400
OUTSIDE_CHINA = "outside-china"
TRUSTED: tuple[str, ...] = (OUTSIDE_CHINA, "bloc")
CHINA: frozenset[str] = frozenset({"CHN", "HKG", "MAC"})
# Of equally cheap ways the first point takes the one with the least foreign content, USD/t.
LEAST_PRICE_USD_T = 0.01
# The last point's price is raised tenfold until foreign content falls no more, this many times at most.
TOPS = 3
EVEN_PRICE_USD_T = 1e6
# An edge is proved when nothing is better by more than this part of the objective.
EDGE = 1e-8
# A gap below this part of the first foreign content is not looked into.
NEGLIGIBLE = 1e-6
GOALS: tuple[tuple[str, float], ...] = (
    ("allied_share", -1.0), ("bloc_shortage_t", 1.0), ("unit_spend_usd_t", 1.0), ("bloc_days", 1.0),
)  # fmt: skip


@dataclass(frozen=True)
class Vertex:
    """An optimum on the curve: at what price it was found, its foreign content, what the programme costs."""

    price_usd_t: float
    foreign_t: float
    objective_usd: float
    optimum: Optimum = field(repr=False)


@dataclass(frozen=True)
class Edge:
    """A chord between neighbours: its slope, the optimum at that price (None: not tried), whether V runs along it."""

    price_usd_t: float
    optimum: Optimum | None = field(repr=False)
    proved: bool
    gap_t: float


@dataclass(frozen=True)
class Frontier:
    """A traced curve, from no bound on foreign content to the least possible.

    `points` columns: allied_share (of what is delivered, by content), allied_demand_share (of what is asked for),
    foreign_t, allied_t, delivered_t (content), origin_mine, origin_separation, origin_metal, origin_magnet (bloc's
    shares by proportional mixing, by magnets), bloc_shortage_t, bloc_shortage_share, shortage_t, spend_usd,
    unit_spend_usd_t, bloc_days, mean_days, objective_usd, price_usd_t (USD per t of foreign content avoided, on the way
    to the next point), binds, binds_share, baseline, dominated. `gap_share` is how far V may lie from the chords, as a
    share of the content delivered at first; `solves` counts programmes.
    """

    bloc: str
    element: str
    trusted: str
    since: str
    halts: tuple[str, ...]
    year: int
    points: pd.DataFrame
    vertices: tuple[Vertex, ...] = field(repr=False)
    edges: tuple[Edge, ...] = field(repr=False)
    gap_share: float
    solves: int

    @property
    def kept(self) -> pd.DataFrame:
        """The points that no other one beats in everything."""
        return self.points[~self.points["dominated"]].reset_index(drop=True)

    @property
    def dropped(self) -> int:
        """How many points another one beats."""
        return int(self.points["dominated"].sum())

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain values, floats at six significant digits."""
        rows = [{str(k): v for k, v in r.items()} for r in self.points.to_dict("records")]
        start = {k: v for k, v in rows[0].items() if k != "dominated"}
        return rounded(
            {
                "bloc": self.bloc,
                "element": self.element,
                "trusted": self.trusted,
                "since": self.since,
                "halts": list(self.halts),
                "year": self.year,
                "start": start,
                "points": [r for r in rows if not r.pop("dominated")],
                "dominated": self.dropped,
                "gap_share": self.gap_share,
                "solves": self.solves,
            }
        )


def frontier(
    study: Any,
    bloc: str = "us-allies",
    element: str = "all",
    halts: Sequence[str] = (),
    points: int = POINTS,
    progress: Progress | None = None,
    trusted: str = OUTSIDE_CHINA,
    since: str = "mine",
) -> Frontier:
    """Trace the frontier of a bloc for an element under halts, with at most `points` solves.

    `trusted` says where a stage counts as allied (TRUSTED, or the name of a bloc), `since` the first stage that must be
    there. Raises UnknownName for a bloc, element or stage, BadInput for halts or points, SolverFailure where a
    programme has no optimum.
    """
    if bloc not in study.blocs:
        raise UnknownName("bloc", bloc, nearest(bloc, study.blocs) or sorted(study.blocs))
    if since not in SINCE:
        raise UnknownName("stage", since, nearest(since, SINCE) or list(SINCE))
    keys = element_keys(element, study.ground.stage.world.chain)
    if not 3 <= points <= POINTS_MOST:
        raise BadInput(f"{points} points: expected 3 to {POINTS_MOST}")
    stage, limit_s = study.ground.stage, study.settings.solve_time_limit_s
    specs, state = state_under(study, halts)
    allies, allies_words = _trusted(study, stage.world, bloc, trusted)
    whole = chain(stage.world, state.programme, state.routes.lane, study.blocs[bloc], keys, allies, since)
    vertices, edges, solves = traced(whole, points, limit_s, progress)
    table = _points(stage.world, state, study.blocs[bloc], keys, whole, vertices, edges)
    names = study.layers.facilities["name"].to_dict() if "name" in study.layers.facilities else {}
    table = pd.concat([table, _named(stage.world, whole, allies, allies_words, vertices, edges, names)], axis=1)
    table["dominated"] = dominated(table)
    gap = max((e.gap_t for e in edges), default=0.0) / max(float(table["delivered_t"].iloc[0]), 1e-9)
    said = keys[0] if len(keys) == 1 else "all"
    return Frontier(bloc, said, trusted, since, specs, study.year, table, vertices, edges, gap, solves)


def state_under(study: Any, halts: Sequence[str]) -> tuple[tuple[str, ...], State]:
    """Return halts in canonical form and the state of a study under them, its ties as the solver left them.

    Raises BadInput for halts, SolverFailure.
    """
    question = study.question(tuple(halts))
    if question.is_baseline:
        return tuple(question.specs), study.before
    stage = study.ground.stage
    # Tables of a router are forgotten as others are asked for: work in the background has one of its own.
    own = LaneRouter(stage.world, stage.router.router, stage.router.tariff_usd_t)
    stated, limit_s = stage.frame(study.ground.calibration), study.settings.solve_time_limit_s
    return tuple(question.specs), solve_halted(stated, own, question, study.blocs, study.before, limit_s, fair=False)


def _trusted(study: Any, world: World, bloc: str, trusted: str) -> tuple[frozenset[str], str]:
    """Return the countries where a stage counts as allied, and how sentences name them."""
    if trusted == "bloc":
        return study.blocs[bloc], bloc
    if trusted == OUTSIDE_CHINA:
        everywhere = frozenset(world.units["country"]) | frozenset(world.markets["country"])
        return everywhere - CHINA, ""
    if trusted not in study.blocs:
        known = [*TRUSTED, *study.blocs]
        raise UnknownName("bloc", trusted, nearest(trusted, known) or sorted(known))
    return study.blocs[trusted], trusted


def solve_priced(whole: Chain, price_usd_t: float, limit_s: float) -> Optimum:
    """Return the optimum with a price on foreign content, USD per t of element, objective without the offset's price.

    Raises SolverFailure.
    """
    # Far above other costs the price alone would fill the solver's digits: costs are scaled, duals scaled back.
    scale = max(1.0, price_usd_t / EVEN_PRICE_USD_T)
    for attempt in (scale, 30.0 * scale, scale / 30.0):
        cost = (whole.lp.cost + price_usd_t * whole.foreign) / attempt
        try:
            found = solve(dataclasses.replace(whole.lp, cost=cost, offset=0.0), limit_s)
        except SolverTimeUp:
            raise
        except SolverFailure as failure:
            failed = failure
            continue
        return dataclasses.replace(found, y=found.y * attempt, d=found.d * attempt, objective=found.objective * attempt)
    raise failed


def traced(
    whole: Chain, points: int, limit_s: float, progress: Progress | None = None
) -> tuple[tuple[Vertex, ...], tuple[Edge, ...], int]:
    """Trace the curve of a chain: vertices by falling foreign content, the edges between, the number of solves."""
    solves = 0

    def at(price: float) -> Vertex:
        nonlocal solves
        found = solve_priced(whole, price, limit_s)
        solves += 1
        if progress:
            progress(min(solves, points), points, f"price {price:,.0f} USD a tonne")
        foreign = float(whole.foreign @ found.x)
        return Vertex(price, foreign, float(whole.lp.cost @ found.x) + whole.lp.offset, found)

    first, last = at(LEAST_PRICE_USD_T), at(_top(whole))
    for _ in range(TOPS):
        higher = at(10.0 * last.price_usd_t)
        if _same(last, higher):
            break
        last = higher
    if _same(first, last):
        return (first,), (), solves
    vertices = [first, last]
    queue = [(-_width(first, last, first), 0)]
    serial = {0: (first, last)}
    proved: dict[tuple[int, int], Edge] = {}
    while queue and solves < points:
        _, number = heapq.heappop(queue)
        a, b = serial[number]
        edge = _untried(a, b)
        if edge.gap_t <= NEGLIGIBLE * first.foreign_t:
            continue
        c = at(edge.price_usd_t)
        best = a.objective_usd + edge.price_usd_t * a.foreign_t
        better = best - (c.objective_usd + edge.price_usd_t * c.foreign_t)
        inner = a.foreign_t - c.foreign_t > 1e-9 * a.foreign_t and c.foreign_t - b.foreign_t > 1e-9 * a.foreign_t
        if better <= EDGE * abs(best) or not inner:
            proved[id(a), id(b)] = Edge(edge.price_usd_t, c.optimum, proved=True, gap_t=0.0)
            continue
        vertices.insert(next(n for n, v in enumerate(vertices) if v is b), c)
        for pair in ((a, c), (c, b)):
            number = len(serial)
            serial[number] = pair
            heapq.heappush(queue, (-_width(*pair, vertices[0]), number))
    edges = [proved.get((id(a), id(b))) or _untried(a, b) for a, b in pairwise(vertices)]
    if progress:
        progress(points, points, "reading the points")
    return tuple(vertices), tuple(edges), solves


def _top(whole: Chain) -> float:
    """Return a price at which foreign content is dearer than anything else of the programme."""
    content = whole.foreign[whole.foreign > 0]
    return float(np.abs(whole.lp.cost).max(initial=1.0)) / float(content.min(initial=1.0))


def _same(a: Vertex, b: Vertex) -> bool:
    return a.foreign_t - b.foreign_t <= 1e-9 * max(a.foreign_t, 1.0)


def _untried(a: Vertex, b: Vertex) -> Edge:
    """Return the chord between two vertices, with how far V may lie from it, in tonnes of foreign content."""
    width = max(a.foreign_t - b.foreign_t, 1e-12)
    rise = b.objective_usd - a.objective_usd
    slope = rise / width
    low, high = a.price_usd_t, b.price_usd_t
    gap = 0.0
    if low < slope < high:
        # The supporting lines of both ends meet below the chord; the gap is measured across, at their height.
        meet = (high * width - rise) / (high - low)
        gap = min(meet * (1 - low / slope), width)
    return Edge(slope, None, proved=False, gap_t=gap)


def _width(a: Vertex, b: Vertex, first: Vertex) -> float:
    """Return how much a chord hides: its width in foreign content times how far the price climbs along it."""
    climb = math.log10(max(b.price_usd_t, 1.0)) - math.log10(max(a.price_usd_t, 1.0))
    return (a.foreign_t - b.foreign_t) / max(first.foreign_t, 1e-9) * max(climb, 0.0)


def dominated(table: pd.DataFrame) -> np.ndarray:
    """Return which points another one beats: nowhere worse in GOALS and somewhere better (n,) bool."""
    values = np.stack([sign * table[name].to_numpy(dtype=float) for name, sign in GOALS], axis=1)
    slack = 1e-9 * (1 + np.abs(values).max(axis=0, initial=0.0))
    worse = np.zeros(len(values), dtype=bool)
    for i, own in enumerate(values):
        no_worse = (values <= own + slack).all(axis=1)
        better = (values < own - slack).any(axis=1)
        worse[i] = bool((no_worse & better).any())
    return worse


def _points(
    world: World,
    state: State,
    bloc: frozenset[str],
    keys: Sequence[str],
    whole: Chain,
    vertices: Sequence[Vertex],
    edges: Sequence[Edge],
) -> pd.DataFrame:
    asked = _asked(world, bloc, keys)
    rows = []
    for n, v in enumerate(vertices):
        delivered = float(whole.delivered @ v.optimum.x)
        allied = max(delivered - v.foreign_t, 0.0)
        row: dict[str, Any] = {
            "allied_share": allied / delivered if delivered > 1e-9 else 0.0,
            "allied_demand_share": allied / asked if asked > 0 else 0.0,
            "foreign_t": max(v.foreign_t, 0.0),
            "allied_t": allied,
            "delivered_t": delivered,
            **figures(world, state, v.optimum.x[: len(state.programme.columns)], bloc),
            "objective_usd": v.objective_usd,
            "price_usd_t": edges[n].price_usd_t if n < len(edges) else math.nan,
            "baseline": n == 0,
        }
        rows.append(row)
    return pd.DataFrame(rows)


def _asked(world: World, bloc: frozenset[str], keys: Sequence[str]) -> float:
    """Return the content that the bloc's demand would hold as finished magnets of its grades, t."""
    d = world.demand[world.demand["country"].isin(bloc)]
    finished = world.recipes.loc["sintered", list(keys)].sum(axis=1) * world.parameter("blank_to_finished")
    return float((d["demand_t"] * d["grade"].map(finished)).sum())


def figures(world: World, state: State, x: np.ndarray, bloc: frozenset[str]) -> dict[str, float]:
    """Return what a solution `x` of a state's programme means: shortage, spending, days, origins of the bloc's magnets.

    The figures are those of `summary.state_summary`, without tracing a route.
    """
    columns, routes = state.programme.columns, state.routes
    kind = columns["kind"].to_numpy()
    option = columns["option"].to_numpy()
    flow = option >= 0
    option_t = np.bincount(option[flow], x[flow], minlength=len(routes.lane))
    lanes = world.lanes.iloc[routes.lane]
    into = lanes["to_country"].isin(bloc).to_numpy()
    short = kind == "short"
    place = columns["unit"].to_numpy()[short]
    at_home = np.isin(world.markets["country"].reindex(place).to_numpy(dtype=object), list(bloc))
    short_t = x[short]
    runs = np.isin(kind, ["normal", "surge"])
    process = world.units["process_usd_t"].reindex(columns["unit"].to_numpy()[runs]).to_numpy(dtype=float)
    premium = 1 + world.parameter("surge_premium_share") * (kind[runs] == "surge")
    spend = float(option_t @ (routes.freight_usd_t + routes.tariff_usd_t) + x[runs] @ (process * premium))
    demand = world.demand
    asked, asked_here = float(demand["demand_t"].sum()), float(demand["demand_t"][demand["country"].isin(bloc)].sum())
    used = np.flatnonzero(option_t > LEAST_FLOW_T)
    moved = lanes.iloc[used].assign(t=option_t[used])
    empty = pd.DataFrame()
    shares = origin_shares(
        world, Reading(empty, moved, empty, empty, pd.Series(dtype=float), empty, {}, spend, 0.0), bloc
    )
    whole_t, here_t = float(option_t.sum()), float(option_t[into].sum())
    return {
        **{f"origin_{s}": shares[s] for s in ("mine", "separation", "metal", "magnet")},
        "bloc_shortage_t": float(short_t[at_home].sum()),
        "bloc_shortage_share": float(short_t[at_home].sum()) / max(asked_here, 1e-9),
        "shortage_t": float(short_t.sum()),
        "spend_usd": spend,
        "unit_spend_usd_t": spend / max(asked - float(short_t.sum()), 1e-9),
        "bloc_days": float(option_t[into] @ routes.days[into]) / max(here_t, 1e-9),
        "mean_days": float(option_t @ routes.days) / max(whole_t, 1e-9),
    }


def _named(
    world: World,
    whole: Chain,
    bloc: frozenset[str],
    name: str,
    vertices: Sequence[Vertex],
    edges: Sequence[Edge],
    names: dict[str, str],
) -> pd.DataFrame:
    """Return binds (words) and binds_share by vertex; the first and the last have none."""
    rows: list[tuple[str, float, float]] = [("", math.nan, math.nan)]
    for n in range(1, len(vertices) - 1):
        after = edges[n]
        duals = after.optimum if after.optimum is not None else vertices[n].optimum
        price = after.price_usd_t if after.optimum is not None else vertices[n].price_usd_t
        found = binds(world, whole, bloc, name, vertices[n - 1], vertices[n], duals, price, names)
        rows.append((found.words, found.share, found.jump_usd_t))
    if len(vertices) > 1:
        rows.append(("", math.nan, math.nan))
    return pd.DataFrame(rows, columns=["binds", "binds_share", "jump_usd_t"])

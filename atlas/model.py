"""The one programme of the atlas in full, and the parts of it that no halt changes.

One linear programme states every state of the world; a halt only lowers bounds and raises costs, so its optimum can
only rise with halts. `calibration` finds the baseline x0 and the corrections, `frame` states the programme from them.

SETS  u units (mine, separation, metal, magnet, recycling) that run in the year [facilities.csv] · m mines, the origin
that concentrate keeps until it is separated · e elements Nd, Pr, Dy, Tb, Sm · g grades [grades.csv] · c markets: a
country's point, or a buyer of the scenario [markets.csv] · k priority classes 1 to 3 [sectors.csv] · p pools: markets
that share what is short (a country, with its buyers without contracts) · i steps of the shortage penalty
[shortage_steps] · l lanes (commodity, element or grade or mine, from, to) [world.build_lanes: who may sell what to
whom] · r routes of a lane [routing] · t stock building [stock.csv] · s releases of stock [scenario].

VARIABLES  tonnes a year (concentrate, scrap: contained REO; oxide as oxide; metal as metal; magnets finished), all >= 0
  contract[l,r] <= share x x0[l], old[l,r] <= the rest of x0[l], new[l,r]: the pieces of a lane's flow, over a route
  normal[u] <= normal output, surge[u]: output up to the calibrated one, and above it
  make[u,g]     finished magnets of a plant by grade         surplus[u,e]  oxide left over (there and only there)
  loss[u,g]     swarf that nobody recycles                   stock[u,e]    metal put into stock
  divert[u,g]   sales taken from home buyers                 release[s,..] stock let go, at a unit or market
  down[c,g]     demand met by the next lower grade           up[c,g]       demand met by the next dearer grade
  short[p,g,k,i] <= demand / steps: demand not met           over, under   misses of a target, calibration only

CONSTRAINTS  (rows; x[l] = all pieces and routes of a lane)
  act[u]        output = normal + surge; output is what leaves a mine, metal maker or recycler (its surplus too), what
                enters a separation plant, the sum of make at a magnet plant
  carb[u,m]     a cracking plant passes on what it takes of each mine's ore
  ox[u,e]       separation: recovery x sum over m of basket[m,e] x[m -> u] = oxide sold + surplus
                recycling: swarf_recovery x sum over g of mix[g,e] x scrap in = oxide (or powder as oxide) + surplus
                [separation_recovery, swarf_recovery; baskets: nd_share .. sm_share; mix: grades.csv by stoichiometry]
  met[u,e]      metal_per_oxide[e] x yield[e] x oxide in = metal sold + stock; casters and powder makers: metal in = out
                [metal_per_oxide_*, metal_yield_ndpr, _dytb, _sm]
  mag[u,k]      metal in = sum over g of recipe[g,k] x make, k in NdPr, Dy, Tb, Sm; recipe = content of the blank over
                blank_to_finished for sintered and SmCo plants, of the pressed magnet for bonded ones [grades.csv]
  pr_least, pr_most[u]  ndpr_pr_min <= Pr / (Nd + Pr) taken in <= ndpr_pr_max; the same for stock
  grade[u,g]    make (+ release) = sold                      swarf[u,g]  swarf per tonne x make = scrap sold + loss
  eol[c]        end-of-life scrap sold <= eol_reo_t          stock[t]    sum of stock <= that of the calibrated year
  market[c,g]   delivered + release + down + up - what leaves for other grades' users + short = demand
                [demand.csv x sector_grades.csv; one grade lower: steps_down_to]
  step[c,g]     down + sum over a of max(0, short of a - (1 - share[a]) x demand of a) <= sum over a of share[a] x
                demand of a, over the users a of one class and step_down_share: each of them steps down with at most
                its share, by one grade and not with what it lacks. All users of a class lack the same part, so the
                maximum is the sum of their last steps of shortage (cut at 1 - share where that is no whole step).
  home[u,g]     sales inside the country + divert >= those in x0: what a plant makes less of a grade, or would rather
                sell abroad, is taken from home buyers last; what it makes more is free to go abroad
  release[s]    sum of release <= tonnes of the scenario; and of each element or grade <= its part of the usual mix
  piece[l]      old (contract) pieces over all routes <= their part of x0, where a lane has several routes
  cap[h]        a partial halt: flow through what is halted <= (1 - share) x its baseline; routes that would lower the
                optimum are added until there is none. A whole halt closes routes, and lanes without one.
  Bounds on lanes and unit columns a little above what the unit can do never bind; they keep the solver from columns
  without an end.

LIMITS  normal[u] = x0's output (for units absent in x0: output_t, or capacity_t x ramp_share by age); normal + surge <=
min(capacity_t, (1 + surge_share_STAGE) x normal), at least normal; x (1 - share) under a halt of the unit.

OBJECTIVE  USD a year, minimised:
    sum of x[l,r] x (route cost [transport.csv, ports.csv: routing] + duty [tariffs.csv x price_usd_t_*]
                     + correction[l]) x (1 + a tie-breaker <= 1e-7 by id on the real part)
  + friction x new[l,r] [friction_usd_t_COMMODITY; none for units newer than the baseline]
  + breach x (share x x0[l] - contract[l,r]) [contract_charge_usd_t_*, contract_share_*; a named contract holds whole]
  + sum over u of (process [costs.csv] + correction[u]) x output + surge_premium_share x process x surge
  + idle_usd_t_STAGE x (normal output - normal[u]) + correction[u,g] x make
  + home_charge_usd_t x divert + step_down_usd_t x down + step_up_usd_t x up
  + shortage_usd_t_class_k x (1 + shortage_rise x i / (steps - 1)) x short
  The order of the charges is the order of rights: home use, contracts, then priority classes, new partners last.

CALIBRATION  (`calibration`)  the same rows without friction, surge, contracts and grade steps; targets are rows
  sum(..) - over + under = goal with a near-square penalty of weight target_weight_usd_t_*: outputs of units
  [facilities.csv output_t], published trade and sales [targets.csv, role fitted], usual grade mix and export share of
  magnet plants [grade_share_*, export_share_chn_magnet]; lanes that leave named feeds pay target_weight_usd_t_feed.
  The duals of these rows are the corrections above, so that x0 is optimal in the programme with nothing halted; the
  certificate of the baseline proves it. Every correction is listed in `tuned`.

Ranges of what is uncertain and how it is drawn: `draw`. Sources of every coefficient: the source_id of its row.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy import sparse

from atlas.solver import LinearProgramme
from atlas.world import World, recipe_of


@dataclass(frozen=True)
class Options:
    """Routes of lanes: `lane` (n,) row of world.lanes, `cost_usd_t` (n,) delivered cost with tariff.

    `detour` (n,) marks routes that evade a ban through a third country: no contract and no old trade goes that way.
    """

    lane: np.ndarray
    cost_usd_t: np.ndarray
    detour: np.ndarray | None = None


@dataclass(frozen=True)
class Baseline:
    """The calibrated year: `lane_t` by lane key, `unit_t` by unit, corrections (USD/t) by unit, lane key and grade.

    `lane_correction` holds only lanes with one; `make_correction` is by `plant|grade`; `stock_t` is the metal put into
    stock; `tuned` lists what was fitted. `contract_t` holds lanes (by key) under a named contract of a scenario.
    """

    lane_t: Mapping[str, float]
    unit_t: Mapping[str, float]
    unit_correction: Mapping[str, float]
    lane_correction: Mapping[str, float]
    make_correction: Mapping[str, float]
    stock_t: float
    tuned: tuple[str, ...]
    contract_t: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Cap:
    """At most `limit_t` over the chosen options (bool mask over options)."""

    name: str
    mask: np.ndarray
    limit_t: float


@dataclass(frozen=True)
class Programme:
    """A stated programme: `lp`, `columns` (kind, unit, key, option, ...) and `rows` (kind, name) label its parts."""

    lp: LinearProgramme
    columns: pd.DataFrame
    rows: pd.DataFrame


@dataclass(frozen=True)
class Skeleton:
    """What halts never change: rows, the matrix over lanes, the other columns and their matrix."""

    world: World
    rows: pd.DataFrame
    row_lower: np.ndarray
    row_upper: np.ndarray
    lane_matrix: sparse.csc_matrix
    other: pd.DataFrame
    other_matrix: sparse.csc_matrix
    lane_key: np.ndarray
    tie: np.ndarray


# Ties between equal lanes are broken by their ids, by at most this part of the lane's cost.
TIE_SHARE = 1e-7


def tie_breaker(keys: np.ndarray) -> np.ndarray:
    """Return a factor a lane in [1, 1 + TIE_SHARE], from a hash of its key (n,)."""
    crc = np.array([zlib.crc32(str(k).encode()) for k in keys], dtype=float)
    return 1 + TIE_SHARE * crc / 2**32


def lane_keys(lanes: pd.DataFrame) -> np.ndarray:
    """Return one text key a lane, stable across years and row orders (n,)."""
    parts = (lanes[c].tolist() for c in ("commodity", "element", "grade", "mine", "from_id", "to_id"))
    return np.array(["|".join(p) for p in zip(*parts, strict=True)], dtype=object)


class _Rows:
    """Numbered rows by (kind, a, b), with bounds."""

    def __init__(self) -> None:
        self.index: dict[tuple[str, str, str], int] = {}
        self.lower: list[float] = []
        self.upper: list[float] = []

    def add(self, kind: str, a: str, b: str = "", lower: float = 0.0, upper: float = 0.0) -> None:
        self.index[kind, a, b] = len(self.lower)
        self.lower.append(lower)
        self.upper.append(upper)

    def find(self, kind: str, a: Sequence[str], b: Sequence[str] | str = "") -> np.ndarray:
        """Return row numbers, -1 where there is no such row."""
        if isinstance(b, str):
            return np.array([self.index.get((kind, i, b), -1) for i in a], dtype=np.int64)
        return np.array([self.index.get((kind, i, j), -1) for i, j in zip(a, b, strict=True)], dtype=np.int64)


class _Entries:
    """Coordinates of matrix entries; entries on row -1 are dropped."""

    def __init__(self) -> None:
        self.r: list[np.ndarray] = []
        self.c: list[np.ndarray] = []
        self.v: list[np.ndarray] = []

    def add(self, rows: np.ndarray, cols: np.ndarray, values: np.ndarray | float) -> None:
        v = np.broadcast_to(np.asarray(values, dtype=float), rows.shape)
        keep = (rows >= 0) & (v != 0)
        self.r.append(rows[keep])
        self.c.append(cols[keep])
        self.v.append(v[keep])

    def matrix(self, n_rows: int, n_cols: int) -> sparse.csc_matrix:
        r, c, v = (np.concatenate(x) if x else np.zeros(0) for x in (self.r, self.c, self.v))
        m = sparse.csc_matrix((v, (r.astype(np.int64), c.astype(np.int64))), shape=(n_rows, n_cols))
        m.sum_duplicates()
        return m


def skeleton(world: World) -> Skeleton:
    """Number the rows and build the matrices that no halt changes."""
    rows = _number_rows(world)
    lanes = world.lanes
    lane_matrix = _lane_matrix(world, rows)
    other, other_matrix = _other_columns(world, rows)
    frame = pd.DataFrame(list(rows.index), columns=["kind", "a", "b"])
    keys = lane_keys(lanes)
    bounds = np.array(rows.lower), np.array(rows.upper)
    return Skeleton(world, frame, *bounds, lane_matrix, other, other_matrix, keys, tie_breaker(keys))


def _number_rows(world: World) -> _Rows:
    rows, u, pair = _Rows(), world.units, world.chain.pair
    for i, unit in u.iterrows():
        rows.add("act", str(i))
        stage, product = unit["stage"], unit["product"]
        if product == "carbonate":
            for m in sorted(set(world.lanes.loc[(world.lanes["to_id"] == i), "mine"])):
                rows.add("carb", str(i), m)
        elif stage in ("separation", "recycling"):
            for e in world.made_by(str(i)):
                rows.add("ox", str(i), e)
        elif stage == "metal":
            for e in world.made_by(str(i)):
                rows.add("met", str(i), e)
            if product == "metal" and pair and pair[0] in world.made_by(str(i)):
                for kind in ("pr_least", "pr_most"):
                    rows.add(kind, str(i), lower=0.0, upper=np.inf)
        elif stage == "magnet":
            needed = world.needs(str(i))
            for k in needed:
                rows.add("mag", str(i), k)
            for kind in ("pr_least", "pr_most") if pair and world.chain.pair_name in needed else ():
                rows.add(kind, str(i), lower=0.0, upper=np.inf)
            for g in unit["grades"]:
                rows.add("grade", str(i), g)
                rows.add("home", str(i), g, lower=-np.inf, upper=np.inf)
                if product != "bonded":
                    rows.add("swarf", str(i), g)
    for c, t in world.markets["eol_reo_t"].items():
        if t > 0:
            rows.add("eol", str(c), lower=-np.inf, upper=float(t))
    for (c, g), t in world.demand.groupby(["market", "grade"])["demand_t"].sum().items():
        rows.add("market", str(c), str(g), lower=float(t), upper=float(t))
    # Only a grade's own demand steps down, and once: what comes in for it from above cannot go on below.
    for (c, g), t in world.step_down["limit_t"].items():
        rows.add("step", str(c), str(g), lower=-np.inf, upper=float(t))
    for release in world.releases:
        rows.add("release", release.name, lower=-np.inf, upper=release.tonnes)
        for what, most in {what: most for _, what, most, _ in release.columns}.items():
            rows.add("release", release.name, what, lower=-np.inf, upper=most)
    # A market takes another grade than it asked for where it may, whether it also wants that grade or not.
    steps = [(str(c), str(to)) for (c, _), to in world.step_down["to"].items()]
    for c, to in steps + [(c, to) for c, _, to in world.step_up]:
        if ("market", c, to) not in rows.index:
            rows.add("market", c, to)
    for _, s in world.stock.iterrows():
        rows.add("stock", str(s["country"]), lower=-np.inf, upper=float(s["max_t"]))
        for kind in ("pr_least", "pr_most") if pair else ():
            rows.add(kind, str(s["country"]), lower=0.0, upper=np.inf)
    return rows


def _lane_matrix(world: World, rows: _Rows) -> sparse.csc_matrix:
    u, entries = world.units, _Entries()
    lanes = world.lanes
    stage = u["stage"].to_dict()
    recovery, swarf_recovery = world.parameter("separation_recovery"), world.parameter("swarf_recovery")
    metal_yield = dict(zip(world.elements, world.metal_yield, strict=True))
    metal_per_oxide = dict(zip(world.elements, world.metal_per_oxide, strict=True))
    for commodity, part in lanes.groupby("commodity", sort=True):
        cols = part.index.to_numpy()
        src, dst = part["from_id"].tolist(), part["to_id"].tolist()
        if commodity == "concentrate":
            mine = part["mine"].tolist()
            from_mine = np.array([stage[i] == "mine" for i in src])
            entries.add(np.where(from_mine, rows.find("act", src), -1), cols, 1.0)
            entries.add(rows.find("carb", src, mine), cols, -1.0)
            entries.add(rows.find("carb", dst, mine), cols, 1.0)
            entries.add(rows.find("act", dst), cols, 1.0)
            for e in world.elements:
                entries.add(rows.find("ox", dst, [e] * len(dst)), cols, recovery * u.loc[mine, e].to_numpy())
        elif commodity == "oxide":
            element = part["element"].tolist()
            entries.add(rows.find("ox", src, element), cols, -1.0)
            recycled = np.array([stage[i] == "recycling" for i in src])
            entries.add(np.where(recycled, rows.find("act", src), -1), cols, 1.0)
            entries.add(rows.find("met", dst, element), cols, np.array([metal_yield[e] for e in element]))
            _add_pr_bounds(entries, rows, dst, element, cols, world)
        elif commodity == "metal":
            element = part["element"].tolist()
            # Powder from scrap leaves a recycler as metal but is booked there in oxide, as all its output is.
            ratio = np.array(
                [1 / metal_per_oxide[e] if stage[i] == "recycling" else 1.0 for i, e in zip(src, element, strict=True)]
            )
            entries.add(rows.find("met", src, element), cols, -1.0)
            entries.add(rows.find("ox", src, element), cols, -ratio)
            entries.add(rows.find("act", src), cols, ratio)
            entries.add(rows.find("met", dst, element), cols, 1.0)
            key = [world.chain.key(e) for e in element]
            entries.add(rows.find("mag", dst, key), cols, 1.0)
            made_into = np.array([stage.get(i) == "magnet" for i in dst])
            _add_pr_bounds(entries, rows, dst, element, np.where(made_into, cols, -1), world)
        elif commodity == "magnet":
            grade = part["grade"].tolist()
            entries.add(rows.find("grade", src, grade), cols, -1.0)
            entries.add(rows.find("market", dst, grade), cols, 1.0)
            inside = (part["from_country"] == part["to_country"]).to_numpy()
            entries.add(np.where(inside, rows.find("home", src, grade), -1), cols, 1.0)
        else:
            grade = part["grade"].tolist()
            entries.add(rows.find("swarf", src, grade), cols, -1.0)
            entries.add(rows.find("eol", src), cols, 1.0)
            for e in world.elements:
                mix = world.scrap_mix.loc[grade, e].to_numpy()
                entries.add(rows.find("ox", dst, [e] * len(dst)), cols, swarf_recovery * mix)
    return entries.matrix(len(rows.lower), len(lanes))


def _add_pr_bounds(
    entries: _Entries, rows: _Rows, units: list[str], element: list[str], cols: np.ndarray, world: World
) -> None:
    """Hold the Pr part of the NdPr that units take in between its bounds: nobody sells Nd and Pr quite apart."""
    if not world.chain.pair:
        return
    least, most = map(world.parameter, world.chain.pair_bounds)
    pr = np.array([{world.chain.pair[0]: 0.0, world.chain.pair[1]: 1.0}.get(e, np.nan) for e in element])
    keep = cols >= 0
    for kind, value in (("pr_least", pr - least), ("pr_most", most - pr)):
        found = np.where(keep, rows.find(kind, units), -1)
        entries.add(found, cols, np.nan_to_num(value))


def _other_columns(world: World, rows: _Rows) -> tuple[pd.DataFrame, sparse.csc_matrix]:
    u = world.units
    table: dict[str, list[object]] = {k: [] for k in ("kind", "unit", "key", "upper", "step", "priority_class")}
    at_row: list[int] = []
    at_column: list[int] = []
    values: list[float] = []

    def column(
        kind: str, unit: str, key: str, hits: Sequence[tuple[tuple[str, str, str], float]], *,
        upper: float = np.inf, step: int = -1, priority_class: int = 0,
    ) -> None:  # fmt: skip
        for k, value in hits:
            if k in rows.index and value:
                at_row.append(rows.index[k])
                at_column.append(len(table["kind"]))
                values.append(value)
        for name, v in zip(table, (kind, unit, key, upper, step, priority_class), strict=True):
            table[name].append(v)

    for i in map(str, u.index):
        column("normal", i, "", [(("act", i, ""), -1.0)])
        column("surge", i, "", [(("act", i, ""), -1.0)])
    for i, unit in u.iterrows():
        i = str(i)
        for g in unit["grades"]:
            recipe = world.recipes.loc[(recipe_of(unit["product"]), g)]
            hits = [(("act", i, ""), 1.0), (("grade", i, g), 1.0), (("swarf", i, g), float(recipe["swarf_reo_t"]))]
            column("make", i, g, hits + [(("mag", i, k), -float(recipe[k])) for k in world.recipe_keys])
            if unit["product"] != "bonded":
                column("loss", i, g, [(("swarf", i, g), -1.0)])
        if unit["stage"] == "magnet":
            for g in unit["grades"]:
                column("divert", i, g, [(("home", i, g), 1.0)])
        if unit["stage"] in ("separation", "recycling") and unit["product"] != "carbonate":
            for e in world.made_by(i):
                # What a recycler leaves over counts as its output: else it would sift any scrap for Dy and Tb alone.
                made = [(("act", i, ""), 1.0)] if unit["stage"] == "recycling" else []
                column("surplus", i, e, [(("ox", i, e), -1.0), *made])
    for _, s in world.stock.iterrows():
        makers = u.index[(u["country"] == s["country"]) & (u["product"] == "metal")]
        for i in map(str, makers):
            for e in (e for e in s["elements"] if ("met", i, e) in rows.index):
                store, pair = str(s["country"]), world.chain.pair
                hits = [(("met", i, e), -1.0), (("act", i, ""), 1.0), (("stock", store, ""), 1.0)]
                if pair:
                    (least, most), pr = map(world.parameter, world.chain.pair_bounds), float(e == pair[1])
                    hits += [(("pr_least", store, ""), pr - least), (("pr_most", store, ""), most - pr)]
                column("stock", i, e, hits)
    for (c, g), r in world.step_down.iterrows():
        hits = [(("market", str(c), str(g)), 1.0), (("market", str(c), str(r["to"])), -1.0)]
        column("down", str(c), str(g), [*hits, (("step", str(c), str(g)), 1.0)], upper=float(r["limit_t"]))
    for c, g, to in world.step_up:
        column("up", c, g, [(("market", c, g), 1.0), (("market", c, to), -1.0)])
    for release in world.releases:
        for place, what, most, rows_hit in release.columns:
            hits = [*rows_hit, *((("release", release.name, k), 1.0) for k in ("", what))]
            column("release", place, f"{release.name}|{what}", hits, upper=most)
    steps = int(world.parameter("shortage_steps"))
    parts: dict[tuple[str, str, int], list[tuple[str, float, float]]] = {}
    alike = ["pool", "grade", "priority_class", "market", "step_down_share"]
    for (pool, g, k, m, share), own_t in world.demand.groupby(alike)["demand_t"].sum().items():
        parts.setdefault((str(pool), str(g), int(k)), []).append((str(m), float(share), float(own_t)))
    for (pool, g, k), users in parts.items():
        t = sum(own_t for _, _, own_t in users)
        met = [(("market", m, g), own_t / t) for m, own_t in _sums((m, own_t) for m, _, own_t in users)]
        for step, low, width in shortage_parts(steps, [share for _, share, _ in users]):
            # The last to go without are those who would step down.
            last = _sums((m, own_t) for m, share, own_t in users if share >= 1 - low - SAME_SHARE)
            hits = [*met, *((("step", m, g), own_t / t) for m, own_t in last)]
            column("short", pool, g, hits, upper=t * width, step=step, priority_class=k)
    matrix = sparse.csc_matrix((values, (at_row, at_column)), shape=(len(rows.lower), len(table["kind"])))
    matrix.sum_duplicates()
    return pd.DataFrame(table), matrix


def _sums(parts: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    """Return each key once with the sum of its values."""
    total: dict[str, float] = {}
    for k, v in parts:
        total[k] = total.get(k, 0.0) + v
    return list(total.items())


# Shares nearer than this are one.
SAME_SHARE = 1e-9


def shortage_parts(steps: int, shares: Sequence[float]) -> list[tuple[int, float, float]]:
    """Return the parts of a demand that go short one after the other: (step, share short before it, its own share).

    A part is a step of the penalty, cut where what is left begins to be just one of `shares`, those of the users who
    may step down: from there on each tonne more that they lack is one less that steps down.
    """
    cuts = sorted({1 - s for s in shares if s > 0})
    made = []
    for step in range(steps):
        low, high = step / steps, (step + 1) / steps
        inside = [c for c in cuts if low + SAME_SHARE < c < high - SAME_SHARE]
        made += [(step, a, b - a) for a, b in pairwise([low, *inside, high])] if inside else [(step, low, 1 / steps)]
    return made


def penalties(world: World, other: pd.DataFrame) -> np.ndarray:
    """Return the shortage penalty of each `short` column, USD/t, zero elsewhere (n,)."""
    first = other["priority_class"].map({k: world.parameter(f"shortage_usd_t_class_{k}") for k in (1, 2, 3)})
    steps = world.parameter("shortage_steps")
    rise = 1 + world.parameter("shortage_rise") * other["step"] / max(steps - 1, 1)
    return np.array((first * rise).where(other["kind"] == "short", 0.0).fillna(0.0), dtype=float)

"""The one programme of the atlas, stated as a sparse linear programme.

Sets: units u (mine, separation, metal, magnet, recycling), markets c, grades g, elements e in Nd, Pr, Dy, Tb, Sm,
mines m, lanes l = (commodity, element or grade or mine, from, to), routes r of a lane, shortage steps k.

Variables, tonnes a year (concentrate and scrap in contained REO, oxide in oxide, metal in metal, magnet finished):
  x[l,r]        flow of a lane over a route                     n[l]   part of a lane's flow above its 2024 flow
  normal[u], surge[u]   output up to normal, and above it       make[p,g]   finished magnets of plant p in grade g
  surplus[s,e]  oxide left over (there and only there)          stock[t,e]  metal put into stock
  loss[p,g]     swarf not recycled                              short[c,g,k]  demand not met, class and step k
  divert[p]     sales taken from home buyers                    over[t], under[t]  misses of a target (calibration only)

Constraints (rows):
  act[u]        mine: what leaves; separation: what enters; metal, recycling: what leaves; magnet: sum of make
                = normal[u] + surge[u]
  carb[m,c]     a cracking plant passes each mine's tonnes on
  ox[s,e]       recovery x sum of basket[m,e] x concentrate in (or recovery x mix[g,e] x scrap in) = oxide out + surplus
  met[t,e]      metal per oxide x oxide in = metal out + stock; strip casters and powder makers: metal in = metal out
  mag[p,k]      metal in = sum over g of recipe[g,k] x make[p,g], k of NdPr, Dy, Tb, Sm that its grades hold; Pr between
                its bounds of NdPr
  grade[p,g]    make = sold;   swarf[p,g]   swarf[g] x make = scrap sold + loss;   eol[c]   scrap at most collected
  market[c,g]   delivered + shortage = demand
  home[p]       sales abroad - divert - surge <= sales abroad in 2024
  new[l]        sum over r of x[l,r] - n[l] <= x0[l]   (written as two bounded columns where a lane has one route)
  cap[h]        a partial halt: flow through what is halted <= (1 - share) x its baseline

Objective, USD a year: route cost and tariff and processing, + calibration corrections, + friction x n, + premium on
surge, + idling x (normal output not used), + home charge x divert, + rising penalty x short.

Sources: each coefficient is a row of layers/parameters.csv, costs.csv, grades.csv, facilities.csv, or a routed cost.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import sparse

from atlas.solver import LinearProgramme
from atlas.world import ELEMENTS, NDFEB_ELEMENTS, RECIPE_KEYS, World, recipe_key, recipe_of


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
    parts = [lanes[c].astype(str) for c in ("commodity", "element", "grade", "mine", "from_id", "to_id")]
    key = parts[0]
    for p in parts[1:]:
        key = key + "|" + p
    return key.to_numpy(dtype=object)


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
    rows, u = _Rows(), world.units
    for i, unit in u.iterrows():
        rows.add("act", str(i))
        stage, product = unit["stage"], unit["product"]
        if product == "carbonate":
            for m in sorted(set(world.lanes.loc[(world.lanes["to_id"] == i), "mine"])):
                rows.add("carb", str(i), m)
        elif stage in ("separation", "recycling"):
            for e in unit["elements"] or NDFEB_ELEMENTS:
                rows.add("ox", str(i), e)
        elif stage == "metal":
            for e in unit["elements"] or NDFEB_ELEMENTS:
                rows.add("met", str(i), e)
            if product == "metal" and "Nd" in (unit["elements"] or NDFEB_ELEMENTS):
                rows.add("pr_least", str(i), lower=0.0, upper=np.inf)
                rows.add("pr_most", str(i), lower=0.0, upper=np.inf)
        elif stage == "magnet":
            needed = world.needs(str(i))
            for k in needed:
                rows.add("mag", str(i), k)
            if "NdPr" in needed:
                rows.add("pr_least", str(i), lower=0.0, upper=np.inf)
                rows.add("pr_most", str(i), lower=0.0, upper=np.inf)
            for g in unit["grades"]:
                rows.add("grade", str(i), g)
                if product != "bonded":
                    rows.add("swarf", str(i), g)
            rows.add("home", str(i), lower=-np.inf, upper=np.inf)
    for c, t in world.markets["eol_reo_t"].items():
        if t > 0:
            rows.add("eol", str(c), lower=-np.inf, upper=float(t))
    for (c, g), t in world.demand.groupby(["market", "grade"])["demand_t"].sum().items():
        rows.add("market", str(c), str(g), lower=float(t), upper=float(t))
    for release in world.releases:
        rows.add("release", release.name, lower=-np.inf, upper=release.tonnes)
    # A market takes another grade than it asked for where it may, whether it also wants that grade or not.
    steps = [(str(c), str(to)) for (c, _), to in world.step_down["to"].items()]
    for c, to in steps + [(c, to) for c, _, to in world.step_up]:
        if ("market", c, to) not in rows.index:
            rows.add("market", c, to)
    for _, s in world.stock.iterrows():
        rows.add("stock", str(s["country"]), lower=-np.inf, upper=float(s["max_t"]))
        rows.add("pr_least", str(s["country"]), lower=0.0, upper=np.inf)
        rows.add("pr_most", str(s["country"]), lower=0.0, upper=np.inf)
    return rows


def _lane_matrix(world: World, rows: _Rows) -> sparse.csc_matrix:
    u, entries = world.units, _Entries()
    lanes = world.lanes
    stage = u["stage"].to_dict()
    recovery, swarf_recovery = world.parameter("separation_recovery"), world.parameter("swarf_recovery")
    metal_yield = dict(zip(ELEMENTS, world.metal_yield, strict=True))
    metal_per_oxide = dict(zip(ELEMENTS, world.metal_per_oxide, strict=True))
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
            for e in ELEMENTS:
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
            key = [recipe_key(e) for e in element]
            entries.add(rows.find("mag", dst, key), cols, 1.0)
            made_into = np.array([stage.get(i) == "magnet" for i in dst])
            _add_pr_bounds(entries, rows, dst, element, np.where(made_into, cols, -1), world)
        elif commodity == "magnet":
            grade = part["grade"].tolist()
            entries.add(rows.find("grade", src, grade), cols, -1.0)
            entries.add(rows.find("market", dst, grade), cols, 1.0)
            abroad = (part["from_country"] != part["to_country"]).to_numpy()
            entries.add(np.where(abroad, rows.find("home", src), -1), cols, 1.0)
        else:
            grade = part["grade"].tolist()
            entries.add(rows.find("swarf", src, grade), cols, -1.0)
            entries.add(rows.find("eol", src), cols, 1.0)
            for e in ELEMENTS:
                mix = world.scrap_mix.loc[grade, e].to_numpy()
                entries.add(rows.find("ox", dst, [e] * len(dst)), cols, swarf_recovery * mix)
    return entries.matrix(len(rows.lower), len(lanes))


def _add_pr_bounds(
    entries: _Entries, rows: _Rows, units: list[str], element: list[str], cols: np.ndarray, world: World
) -> None:
    """Hold the Pr part of the NdPr that units take in between its bounds: nobody sells Nd and Pr quite apart."""
    least, most = world.parameter("ndpr_pr_min"), world.parameter("ndpr_pr_max")
    pr = np.array([{"Nd": 0.0, "Pr": 1.0}.get(e, np.nan) for e in element])
    keep = cols >= 0
    for kind, value in (("pr_least", pr - least), ("pr_most", most - pr)):
        found = np.where(keep, rows.find(kind, units), -1)
        entries.add(found, cols, np.nan_to_num(value))


def _other_columns(world: World, rows: _Rows) -> tuple[pd.DataFrame, sparse.csc_matrix]:
    u = world.units
    table: list[dict[str, object]] = []
    at_row: list[int] = []
    at_column: list[int] = []
    values: list[float] = []

    def column(
        kind: str, unit: str, key: str, hits: Sequence[tuple[tuple[str, str, str], float]], **more: object
    ) -> None:
        for k, value in hits:
            if k in rows.index and value:
                at_row.append(rows.index[k])
                at_column.append(len(table))
                values.append(value)
        table.append({"kind": kind, "unit": unit, "key": key, "upper": np.inf, "step": -1, "priority_class": 0} | more)

    for i in map(str, u.index):
        column("normal", i, "", [(("act", i, ""), -1.0)])
        column("surge", i, "", [(("act", i, ""), -1.0), (("home", i, ""), -1.0)])
    for i, unit in u.iterrows():
        i = str(i)
        for g in unit["grades"]:
            recipe = world.recipes.loc[(recipe_of(unit["product"]), g)]
            hits = [(("act", i, ""), 1.0), (("grade", i, g), 1.0), (("swarf", i, g), float(recipe["swarf_reo_t"]))]
            column("make", i, g, hits + [(("mag", i, k), -float(recipe[k])) for k in RECIPE_KEYS])
            if unit["product"] != "bonded":
                column("loss", i, g, [(("swarf", i, g), -1.0)])
        if unit["stage"] == "magnet":
            column("divert", i, "", [(("home", i, ""), -1.0)])
        if unit["stage"] in ("separation", "recycling") and unit["product"] != "carbonate":
            for e in unit["elements"] or NDFEB_ELEMENTS:
                # What a recycler leaves over counts as its output: else it would sift any scrap for Dy and Tb alone.
                made = [(("act", i, ""), 1.0)] if unit["stage"] == "recycling" else []
                column("surplus", i, e, [(("ox", i, e), -1.0), *made])
    for _, s in world.stock.iterrows():
        makers = u.index[(u["country"] == s["country"]) & (u["product"] == "metal")]
        for i in map(str, makers):
            for e in (e for e in s["elements"] if ("met", i, e) in rows.index):
                store, pr = str(s["country"]), float(e == "Pr")
                hits = [(("met", i, e), -1.0), (("act", i, ""), 1.0), (("stock", store, ""), 1.0)]
                hits.append((("pr_least", store, ""), pr - world.parameter("ndpr_pr_min")))
                hits.append((("pr_most", store, ""), world.parameter("ndpr_pr_max") - pr))
                column("stock", i, e, hits)
    for (c, g), r in world.step_down.iterrows():
        hits = [(("market", str(c), str(g)), 1.0), (("market", str(c), str(r["to"])), -1.0)]
        column("down", str(c), str(g), hits, upper=float(r["limit_t"]))
    for c, g, to in world.step_up:
        column("up", c, g, [(("market", c, g), 1.0), (("market", c, to), -1.0)])
    for release in world.releases:
        for place, what, most, rows_hit in release.columns:
            hits = [*rows_hit, (("release", release.name, ""), 1.0)]
            column("release", place, f"{release.name}|{what}", hits, upper=most)
    steps = int(world.parameter("shortage_steps"))
    for (pool, g, k), part in world.demand.groupby(["pool", "grade", "priority_class"]):
        t = float(part["demand_t"].sum())
        by_market = part.groupby("market")["demand_t"].sum()
        hits = [(("market", str(m), str(g)), float(own) / t) for m, own in by_market.items()]
        for step in range(steps):
            column("short", str(pool), str(g), hits, upper=t / steps, step=step, priority_class=int(k))
    matrix = sparse.csc_matrix((values, (at_row, at_column)), shape=(len(rows.lower), len(table)))
    matrix.sum_duplicates()
    return pd.DataFrame(table), matrix


def penalties(world: World, other: pd.DataFrame) -> np.ndarray:
    """Return the shortage penalty of each `short` column, USD/t, zero elsewhere (n,)."""
    first = other["priority_class"].map({k: world.parameter(f"shortage_usd_t_class_{k}") for k in (1, 2, 3)})
    steps = world.parameter("shortage_steps")
    rise = 1 + world.parameter("shortage_rise") * other["step"] / max(steps - 1, 1)
    return np.array((first * rise).where(other["kind"] == "short", 0.0).fillna(0.0), dtype=float)

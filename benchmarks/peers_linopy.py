"""The programme stated in linopy: variables over tables, each family of rows a sum of grouped expressions.

Written to be fast: no loop over columns, linopy's sparse models, one grouped sum for each variable in a family of rows
(a sum for each term would take twice as long), and the model passed to HiGHS in memory without names.
"""

from collections.abc import Mapping
from typing import Any

import linopy
import numpy as np
import pandas as pd

from atlas.world import World
from benchmarks.model import quiet
from benchmarks.peers_tables import Tables

# What atlas.solver sets.
OPTIONS: Mapping[str, Any] = {
    "output_flag": False, "solver": "simplex", "presolve": "off", "simplex_strategy": 1, "threads": 1,
    "parallel": "off", "random_seed": 0, "primal_feasibility_tolerance": 1e-9, "dual_feasibility_tolerance": 1e-9,
}  # fmt: skip


class Rows:
    """A family of rows: sums of weighted variables by key, for each of the rows named."""

    def __init__(self, model: linopy.Model, name: str, rows: pd.Index) -> None:
        self.model, self.name, self.rows = model, name, pd.Index(rows, name=name)
        self.terms: dict[str, list[pd.DataFrame]] = {}

    def add(self, v: linopy.Variable, key: pd.Series, weight: Any = 1.0) -> None:
        """Add `weight` x `v` to the row that `key` names; `key` is indexed by positions along `v`."""
        weight = np.broadcast_to(np.asarray(weight, dtype=float), key.shape)
        terms = pd.DataFrame({"at": key.index, "key": key.to_numpy(), "weight": weight})
        self.terms.setdefault(v.name, []).append(terms[self.rows.get_indexer(key) >= 0])

    def close(self, sign: str, rhs: pd.Series | float = 0.0) -> None:
        """Add the rows to the model; a row that nothing enters is left out."""
        parts = [self._sum(self.model.variables[name], pd.concat(terms)) for name, terms in self.terms.items()]
        parts = [p for p in parts if p is not None]
        if not parts:
            return
        whole = linopy.merge(parts, join="outer")
        if isinstance(rhs, pd.Series):
            rhs = pd.Series(rhs.to_numpy(dtype=float), index=self.rows)[whole.indexes[self.name]]
        self.model.add_constraints(whole, sign, rhs, name=self.name)

    def _sum(self, v: linopy.Variable, terms: pd.DataFrame) -> linopy.LinearExpression | None:
        terms = terms[terms["weight"] != 0]
        if not len(terms):
            return None
        dim = str(v.dims[0])
        index = pd.RangeIndex(len(terms), name=dim)
        chosen = v.isel({dim: terms["at"].to_numpy()}).assign_coords({dim: index})
        e = chosen * pd.Series(terms["weight"].to_numpy(), index=index)
        return e.groupby(pd.Series(terms["key"].to_numpy(), index=index, name=self.name)).sum()


def solve(t: Tables, world: World, sparse: bool = True) -> tuple[float, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """State and solve the programme of `t`; return the optimum with its offset, and arrays of solution and duals."""
    with linopy.options as options:
        options.set_value(semantics="v1" if sparse else "legacy")
        m = build(t, world, sparse)
        with quiet():
            status, condition = m.solve(solver_name="highs", io_api="direct", **OPTIONS)
        if status != "ok":
            raise RuntimeError(f"linopy: {status}, {condition}")
        values = {name: v.solution.to_numpy() for name, v in m.variables.items()}
        duals = {name: c.dual.to_numpy() for name, c in m.constraints.items()}
        return float(m.objective.value) + t.offset, values, duals


def build(t: Tables, world: World, sparse: bool = True) -> linopy.Model:
    """State the programme of `t`; the offset of the objective stays outside. `sparse` needs linopy's v1 semantics."""
    m = linopy.Model(sparse=True) if sparse else linopy.Model()
    f, u = t.pieces, world.units
    costs: list[linopy.LinearExpression] = []

    def variable(name: str, upper: pd.Series, cost: pd.Series | float) -> linopy.Variable:
        index = pd.RangeIndex(len(upper), name=f"{name}_at")
        v = m.add_variables(lower=0, upper=upper.to_numpy(dtype=float), coords=[index], name=name)
        if isinstance(cost, pd.Series) or cost:
            costs.append((v * pd.Series(np.broadcast_to(cost, len(upper)), index=index, dtype=float)).sum())
        return v

    ground = t.make[t.make["product"] != "bonded"].reset_index(drop=True)
    flow = variable("flow", f["upper"], f["price"])
    normal = variable("normal", t.units["normal"], t.units["normal_cost"])
    surge = variable("surge", t.units["surge"], t.units["surge_cost"])
    make = variable("make", t.make["most"], t.make["cost"])
    loss = variable("loss", ground["most"], 0.0)
    divert = variable("divert", t.make["most"], world.parameter("home_charge_usd_t"))
    surplus = variable("surplus", t.surplus["most"], 0.0)
    stock = variable("stock", t.stock["most"], 0.0)
    down = variable("down", t.down["limit"], t.down["cost"])
    up = variable("up", t.up["limit"], t.up["cost"])
    short = variable("short", t.short["most"], t.short["cost"])
    m.add_objective(linopy.merge(costs))

    kinds = ("concentrate", "oxide", "metal", "magnet", "scrap")
    ore, oxide, metal, magnet, scrap = (f[f["commodity"] == c] for c in kinds)
    units = pd.Series(t.units.index)
    # Powder from scrap leaves a recycler as metal but is booked there in oxide.
    per_oxide = metal["element"].map(dict(zip(world.elements, world.metal_per_oxide, strict=True))).astype(float)
    booked = np.where(metal["stage"] == "recycling", 1 / per_oxide, 1.0)

    act = Rows(m, "act", t.units.index)
    act.add(flow, ore["from_id"][ore["stage"] == "mine"])
    act.add(flow, ore["to_id"])
    act.add(flow, oxide["from_id"][oxide["stage"] == "recycling"])
    act.add(flow, metal["from_id"], booked)
    act.add(make, t.make["unit"])
    act.add(surplus, t.surplus["unit"][t.surplus["recycles"]])
    act.add(stock, t.stock["unit"])
    act.add(normal, units, -1)
    act.add(surge, units, -1)
    act.close("=")

    carb = Rows(m, "carb", t.carb)
    carb.add(flow, ore["to_id"] + "|" + ore["mine"])
    carb.add(flow, ore["from_id"] + "|" + ore["mine"], -1)
    carb.close("=")

    ox = Rows(m, "ox", t.ox)
    for e in world.elements:
        in_ore = world.parameter("separation_recovery") * ore["mine"].map(u[e]).astype(float)
        ox.add(flow, ore["to_id"] + f"|{e}", in_ore)
        in_scrap = world.parameter("swarf_recovery") * scrap["grade"].map(world.scrap_mix[e]).astype(float)
        ox.add(flow, scrap["to_id"] + f"|{e}", in_scrap)
    ox.add(flow, oxide["from_id"] + "|" + oxide["element"], -1)
    ox.add(flow, metal["from_id"] + "|" + metal["element"], -booked)
    ox.add(surplus, t.surplus["key"], -1)
    ox.close("=")

    met = Rows(m, "met", t.met)
    got = oxide["element"].map(dict(zip(world.elements, world.metal_yield, strict=True)))
    met.add(flow, oxide["to_id"] + "|" + oxide["element"], got)
    met.add(flow, metal["to_id"] + "|" + metal["element"])
    met.add(flow, metal["from_id"] + "|" + metal["element"], -1)
    met.add(stock, t.stock["key"], -1)
    met.close("=")

    mag = Rows(m, "mag", t.mag)
    mag.add(flow, metal["to_id"] + "|" + metal["element"].map(world.chain.key))
    for k in world.recipe_keys:
        mag.add(make, t.make["unit"] + f"|{k}", -t.make[k])
    mag.close("=")

    light = metal[metal["to_id"].map(u["stage"]) == "magnet"]
    for name, sign in (("ndpr_pr_min", 1), ("ndpr_pr_max", -1)):
        bound = world.parameter(name)
        over = {"Nd": -sign * bound, "Pr": sign * (1 - bound)}
        blend = Rows(m, name, t.pr.append(t.store.index))
        for part in (oxide, light):
            blend.add(flow, part["to_id"], part["element"].map(over).astype(float).fillna(0.0))
        blend.add(stock, t.stock["country"], t.stock["element"].map(over).astype(float).fillna(0.0))
        blend.close(">=")

    grade = Rows(m, "grade", pd.Index(t.make["key"]))
    grade.add(make, t.make["key"])
    grade.add(flow, magnet["from_id"] + "|" + magnet["grade"], -1)
    grade.close("=")

    swarf = Rows(m, "swarf", pd.Index(ground["key"]))
    swarf.add(make, t.make["key"], t.make["swarf_reo_t"])
    swarf.add(flow, scrap["from_id"] + "|" + scrap["grade"], -1)
    swarf.add(loss, ground["key"], -1)
    swarf.close("=")

    home = Rows(m, "home", t.home.index)
    home.add(flow, (magnet["from_id"] + "|" + magnet["grade"])[magnet["from_country"] == magnet["to_country"]])
    home.add(divert, t.make["key"])
    home.close(">=", t.home)

    collected = Rows(m, "eol", t.eol.index)
    collected.add(flow, scrap["from_id"])
    collected.close("<=", t.eol)

    market = Rows(m, "market", t.demand.index)
    market.add(flow, magnet["to_id"] + "|" + magnet["grade"])
    for v, steps_to in ((down, t.down), (up, t.up)):
        market.add(v, steps_to["key"])
        market.add(v, steps_to["to_key"], -1)
    weights = {k: w.set_index("part") for k, w in t.weights.groupby("kind")}
    market.add(short, weights["market"]["key"], weights["market"]["weight"])
    market.close("=", t.demand)

    step = Rows(m, "own demand steps down once", t.step.index)
    if "step" in weights:
        step.add(short, weights["step"]["key"], weights["step"]["weight"])
    step.add(down, t.down["key"])
    step.close("<=", t.step)

    store = Rows(m, "store", t.store.index)
    store.add(stock, t.stock["country"])
    store.close("<=", t.store)

    for name, limit in t.caps.items():
        held = np.flatnonzero(f[f"cap {name}"])
        m.add_constraints(flow.isel({"flow_at": held}).sum(), "<=", limit, name=f"cap {name}")
    return m

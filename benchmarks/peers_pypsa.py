"""The programme as a PyPSA network of one snapshot: buses, links with several outputs, loads and generators.

A bus stands for each row of the balance: what a unit may make (its permission), an element's oxide or metal at a unit,
a grade at a plant, swarf, a market's grade, and permissions for the bounds that are no balance - the Pr part of NdPr,
what home buyers are promised, what may step down, what goes into stock, a cap. A link takes one tonne from its first
bus and gives or takes at the others. Prices by piece (contract, old, new trade) are parallel links, shortage steps are
links from a source, outputs are generators, and what may be left over is a generator that only takes. Nothing of the
programme is left out; the offset stays outside.
"""

import logging
import warnings
from typing import Any

import numpy as np
import pandas as pd

from atlas.world import World
from benchmarks.model import quiet
from benchmarks.peers_tables import Tables

ANY = 1e7  # tonnes: more than anything can be
OPTIONS = {"solver": "simplex", "threads": 1, "random_seed": 0, "primal_feasibility_tolerance": 1e-9,
           "dual_feasibility_tolerance": 1e-9, "output_flag": False}  # fmt: skip


class Ports:
    """Links in the making: one row a link, one pair (bus, coefficient) a port."""

    def __init__(self, buses: pd.Index) -> None:
        self.buses, self.n = buses, 0
        self.links: list[pd.DataFrame] = []
        self.ports: list[pd.DataFrame] = []

    def add(self, upper: Any, cost: Any, *ports: tuple[Any, Any]) -> None:
        """Add links; each port is (buses, coefficients). The first is what a link takes from, per unit of its flow."""
        first = np.asarray(ports[0][0], dtype=object)
        at = self.n + np.arange(len(first))
        scale = -np.broadcast_to(np.asarray(ports[0][1], dtype=float), first.shape)
        values = {"upper": np.asarray(upper) * scale, "cost": np.asarray(cost) / scale}
        self.links.append(pd.DataFrame(values, index=at))
        for bus, coefficient in ports:
            part = pd.DataFrame({"link": at, "bus": bus, "coefficient": np.asarray(coefficient, dtype=float) / scale})
            self.ports.append(part[part["bus"].isin(self.buses) & (part["coefficient"] != 0)])
        self.n += len(first)

    def wide(self) -> dict[str, Any]:
        """Return the links as PyPSA's columns bus0, bus1, efficiency, bus2, efficiency2, and so on."""
        links, ports = pd.concat(self.links), pd.concat(self.ports)
        place = ports.groupby("link").cumcount()
        bus = ports.assign(place=place).pivot(index="link", columns="place", values="bus")
        bus[1] = bus[1].fillna("source")  # what only takes gives nothing to this one
        bus = bus.fillna("")
        value = ports.assign(place=place).pivot(index="link", columns="place", values="coefficient").fillna(0.0)
        assert (value[0] == -1).all()
        columns: dict[str, Any] = {f"bus{k}": bus[k].to_numpy() for k in bus}
        columns |= {"efficiency" + (str(k) if k > 1 else ""): value[k].to_numpy() for k in value if k}
        return columns | {"p_nom": links["upper"].to_numpy(), "marginal_cost": links["cost"].to_numpy()}


def solve(t: Tables, world: World) -> tuple[float, dict[str, int]]:
    """Build and solve the network of `t`; return its optimum, offset included, and counts of its parts."""
    logging.getLogger("pypsa").setLevel(logging.ERROR)
    logging.getLogger("linopy").setLevel(logging.ERROR)
    with warnings.catch_warnings(), quiet():
        warnings.simplefilter("ignore")
        n = network(t, world)
        status, condition = n.optimize(solver_name="highs", io_api="direct", solver_options=OPTIONS)
    if status != "ok":
        raise RuntimeError(f"PyPSA: {status}, {condition}")
    counts = {"buses": len(n.buses), "links": len(n.links), "generators": len(n.generators), "loads": len(n.loads)}
    return float(n.model.objective.value) + t.offset, counts


def network(t: Tables, world: World) -> Any:
    """Return the network of `t`."""
    import pypsa

    u, f = world.units, t.pieces
    ground = t.make[t.make["product"] != "bonded"]
    families = {
        "act": t.units.index, "carb": t.carb, "ox": t.ox, "met": t.met, "mag": t.mag, "grade": t.make["key"],
        "least": t.pr.append(t.store.index), "most": t.pr.append(t.store.index), "swarf": ground["key"],
        "home": t.home.index, "eol": t.eol.index, "market": t.demand.index, "step": t.step.index,
        "store": t.store.index, "cap": t.caps.index,
    }  # fmt: skip
    buses = pd.Index([f"{kind} {i}" for kind, ids in families.items() for i in ids] + ["source"])
    ports = Ports(buses)
    caps = list(t.caps.index)

    def flows(part: pd.DataFrame, *more: tuple[Any, Any]) -> None:
        held = [(np.where(part[f"cap {c}"], f"cap {c}", ""), -np.ones(len(part))) for c in caps]
        ports.add(part["upper"], part["price"], *more, *held)

    separation = world.parameter("separation_recovery")
    swarf = world.parameter("swarf_recovery")
    least, most = world.parameter("ndpr_pr_min"), world.parameter("ndpr_pr_max")
    over = {"least": {"Nd": -least, "Pr": 1 - least}, "most": {"Nd": most, "Pr": most - 1}}

    def blend(place: pd.Series, element: pd.Series) -> list[tuple[Any, Any]]:
        return [(k + " " + place, element.map(w).fillna(0.0)) for k, w in over.items()]

    ore, oxide, metal, magnet, scrap = (
        f[f["commodity"] == c] for c in ("concentrate", "oxide", "metal", "magnet", "scrap")
    )
    for part, bus in (
        (ore[ore["stage"] == "mine"], "act " + ore["from_id"]),
        (ore[ore["stage"] != "mine"], "carb " + ore["from_id"] + "|" + ore["mine"]),
    ):
        if not len(part):
            continue
        made = [("ox " + part["to_id"] + f"|{e}", separation * part["mine"].map(u[e])) for e in world.elements]
        cracked = ("carb " + part["to_id"] + "|" + part["mine"], np.ones(len(part)))
        worked = ("act " + part["to_id"], -np.ones(len(part)))
        flows(part, (bus[part.index], -np.ones(len(part))), worked, cracked, *made)

    got = oxide["element"].map(dict(zip(world.elements, world.metal_yield, strict=True)))
    flows(
        oxide,
        ("ox " + oxide["from_id"] + "|" + oxide["element"], -np.ones(len(oxide))),
        ("act " + oxide["from_id"], np.where(oxide["stage"] == "recycling", -1.0, 0.0)),
        ("met " + oxide["to_id"] + "|" + oxide["element"], got),
        *blend(oxide["to_id"], oxide["element"]),
    )
    per_oxide = metal["element"].map(dict(zip(world.elements, world.metal_per_oxide, strict=True)))
    for recycled in (False, True):
        part = metal[(metal["stage"] == "recycling") == recycled]
        if not len(part):
            continue
        size = 1 / per_oxide[part.index] if recycled else pd.Series(1.0, index=part.index)
        into_magnets = (part["to_id"].map(u["stage"]) == "magnet").to_numpy()
        blended = [(bus, np.where(into_magnets, w, 0.0)) for bus, w in blend(part["to_id"], part["element"])]
        flows(
            part,
            (("ox " if recycled else "met ") + part["from_id"] + "|" + part["element"], -size),
            ("act " + part["from_id"], -size),
            ("met " + part["to_id"] + "|" + part["element"], np.ones(len(part))),
            ("mag " + part["to_id"] + "|" + part["element"].map(world.chain.key), np.ones(len(part))),
            *blended,
        )
    inside = (magnet["from_country"] == magnet["to_country"]).to_numpy()
    flows(
        magnet,
        ("grade " + magnet["from_id"] + "|" + magnet["grade"], -np.ones(len(magnet))),
        ("market " + magnet["to_id"] + "|" + magnet["grade"], np.ones(len(magnet))),
        ("home " + magnet["from_id"] + "|" + magnet["grade"], np.where(inside, 1.0, 0.0)),
    )
    if len(scrap):
        made_of = scrap["from_id"].isin(t.eol.index)
        bus = ("eol " + scrap["from_id"]).where(made_of, "swarf " + scrap["from_id"] + "|" + scrap["grade"])
        got = {e: swarf * scrap["grade"].map(world.scrap_mix[e]) for e in world.elements}
        mix = [("ox " + scrap["to_id"] + f"|{e}", t) for e, t in got.items()]
        flows(scrap, (bus, -np.ones(len(scrap))), *mix)

    x = t.make
    ports.add(
        x["most"], x["cost"], ("act " + x["unit"], -np.ones(len(x))), ("grade " + x["key"], np.ones(len(x))),
        ("swarf " + x["key"], x["swarf_reo_t"]), *(("mag " + x["unit"] + f"|{k}", -x[k]) for k in world.recipe_keys),
    )  # fmt: skip
    x = t.surplus
    taken = np.where(x["recycles"], -1.0, 0.0)
    ports.add(x["most"], np.zeros(len(x)), ("ox " + x["key"], -np.ones(len(x))), ("act " + x["unit"], taken))
    x = t.stock
    if len(x):
        ports.add(
            x["most"], np.zeros(len(x)), ("met " + x["key"], -np.ones(len(x))),
            ("act " + x["unit"], -np.ones(len(x))), ("store " + x["country"], -np.ones(len(x))),
            *blend(x["country"], x["element"]),
        )  # fmt: skip
    for x, once in ((t.down, -1.0), (t.up, 0.0)):
        if len(x):
            ports.add(
                x["limit"].clip(upper=ANY), x["cost"], ("market " + x["to_key"], -np.ones(len(x))),
                ("market " + x["key"], np.ones(len(x))), ("step " + x["key"], np.full(len(x), once)),
            )  # fmt: skip
    gives: list[pd.DataFrame] = []

    def generators(bus: Any, upper: Any, cost: Any = 0.0, sign: float = 1.0) -> None:
        values = {"bus": np.asarray(bus, dtype=object), "p_nom": upper, "marginal_cost": cost, "sign": sign}
        gives.append(pd.DataFrame(values))

    generators(["source"], ANY)
    generators("act " + t.units.index, t.units["normal"].to_numpy(), t.units["normal_cost"].to_numpy())
    generators("swarf " + ground["key"], ground["most"].to_numpy(), sign=-1.0)
    for k in over:
        generators((k + " ") + t.pr.append(t.store.index), ANY, sign=-1.0)
    generators("act " + t.units.index, t.units["surge"].to_numpy(), t.units["surge_cost"].to_numpy())
    generators("step " + t.step.index, t.step.to_numpy())
    generators("home " + t.home.index, ANY, world.parameter("home_charge_usd_t"))
    generators("home " + t.home.index, ANY, sign=-1.0)
    generators("eol " + t.eol.index, t.eol.to_numpy())
    generators("store " + t.store.index, t.store.to_numpy())
    generators("cap " + t.caps.index, t.caps.to_numpy())
    # Shortage meets a market's demand and, in the end, takes from what may step down there: a link from a source.
    x = t.short.join(t.weights[t.weights["kind"] == "market"].set_index("part"))
    if x.index.has_duplicates:
        raise ValueError("a tier of shortage over several markets: a link has one bus")
    less = t.weights[t.weights["kind"] == "step"].set_index("part")["weight"].reindex(x.index).fillna(0.0)
    ports.add(
        x["most"], x["cost"], (np.full(len(x), "source", dtype=object), -np.ones(len(x))),
        ("market " + x["key"], x["weight"]), ("step " + x["key"], -less),
    )  # fmt: skip
    given = pd.concat(gives, ignore_index=True)

    n = pypsa.Network()
    n.add("Bus", buses)
    n.add("Link", [f"l{k}" for k in range(ports.n)], **ports.wide())
    n.add("Generator", [f"g{k}" for k in range(len(given))], **{c: given[c].to_numpy() for c in given})
    for kind, due in (("market", t.demand), ("home", t.home)):
        n.add("Load", f"{kind} " + due.index, bus=f"{kind} " + due.index, p_set=due.to_numpy())
    return n

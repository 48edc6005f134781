"""Shares of a place by proportional mixing: by facility, country and bloc, upstream and downstream.

What leaves a plant has the composition of all that entered it, weighted by the tonnes of the element. One linear system
over all nodes gives the shares, so the loop magnet plant - swarf - recycler - oxide - metal - magnet plant is solved,
not cut.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import spsolve

from atlas.outcome import Solved
from atlas.trace_arcs import ENDS, Network, element_arcs, network, place
from atlas.trace_target import Target
from atlas.world import World

RECYCLED, PRIMARY, USERS = "recycled", "primary", "users"
ROUNDING = 1e-9  # a part lost below this is the solver's rounding


@dataclass(frozen=True)
class Shares:
    """Shares of one stage: by facility (or market, stock, end), by country, and the part in the bloc."""

    by_facility: Mapping[str, float]
    by_country: Mapping[str, float]
    bloc_share: float
    by_sector: Mapping[str, float] = field(default_factory=dict)


class Material:
    """One state's networks by element, made when asked for."""

    def __init__(self, solved: Solved) -> None:
        self.world: World = solved.world
        self.reading = solved.reading
        self.arcs = element_arcs(solved.world, solved.reading)
        self._networks: dict[str, Network] = {}
        demand = solved.world.demand
        self.sector = dict(zip(demand["demand_id"], demand["sector"], strict=True))
        self.country: dict[str, str] = {
            **solved.world.units["country"].to_dict(),
            **solved.world.markets["country"].to_dict(),
            **dict(zip(demand["demand_id"], demand["country"], strict=True)),
            **{r.name: r.country for r in solved.world.releases},
        }
        self._stage = solved.world.units["stage"].to_dict()
        self._product = solved.world.units["product"].to_dict()

    def network(self, element: str) -> Network:
        """Return the network of one element."""
        if element not in self._networks:
            self._networks[element] = network(self.arcs, element)
        return self._networks[element]

    def kind(self, node: str) -> str:
        """Return what a node is: its stage, `demand`, `market`, `stock`, `end`; `mixed` for a unit's second node."""
        i, _, more = node.partition("|")
        if more == "out":
            return "mixed"
        if i in ENDS:
            return "end"
        if i in self.sector:
            return "demand"
        return self._stage.get(i, "market" if i in self.world.markets.index else "stock")

    def ends(self, net: Network) -> np.ndarray:
        """Return the nodes where material ends: users, surplus, stock, loss (n,) bool."""
        return np.array([self.kind(n) in ("demand", "end") for n in net.nodes], dtype=bool)

    def stage_nodes(self, net: Network, stage: str) -> np.ndarray:
        """Return the nodes where a stage is decided (n,) bool; see the module."""
        kinds = np.array([self.kind(n) for n in net.nodes], dtype=object)
        product = np.array([self._product.get(place(n), "") for n in net.nodes], dtype=object)
        recycler = kinds == "recycling"
        if stage == "separation":
            return ((kinds == "separation") & (product != "carbonate")) | recycler
        if stage == "metal":
            return ((kinds == "metal") & (product == "metal")) | (recycler & (product != "oxide"))
        return kinds == stage


def shares_up(
    material: Material, target: Target, elements: tuple[str, ...], stage: str, bloc: frozenset[str]
) -> Shares:
    """Return where the material that a place takes in was worked at a stage; shares sum to 1."""
    found: dict[str, float] = {}
    whole = 0.0
    for e in elements:
        net = material.network(e)
        at = net.of(target.ids)
        taken = float(net.t[net.entering(at)].sum())
        if taken <= 0:
            continue
        fixed = material.stage_nodes(net, stage) | net.sources
        share = visits(net, at, fixed)
        whole += taken
        for n in np.flatnonzero((share > 0) & fixed):
            found[net.nodes[n]] = found.get(net.nodes[n], 0.0) + float(share[n]) * taken
    named: dict[str, float] = {}
    country: dict[str, float] = {}
    inside = 0.0
    for node, t in found.items():
        kind, i = material.kind(node), place(node)
        where = material.country.get(i, "")
        key, land = i, where
        if kind == "market":
            land = RECYCLED
        elif kind == "stock":
            land = i
        elif stage == "recycling" and kind != "recycling":
            key = land = PRIMARY
        named[key] = named.get(key, 0.0) + t / whole
        country[land] = country.get(land, 0.0) + t / whole
        inside += t / whole if where in bloc and land != PRIMARY else 0.0
    return Shares(_sorted(named), _sorted(country), min(inside, 1.0))


def visits(net: Network, target: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """Return how much of what enters the target passes each node (n,); at fixed nodes it stops, so these sum to 1."""
    direct = net.entering(target)
    whole = net.t[direct].sum()
    first = np.bincount(net.tail[direct], net.t[direct], minlength=len(net.nodes)) / whole
    back = sparse.diags((~fixed).astype(float)) @ net.mix
    found: np.ndarray = spsolve((sparse.eye(len(net.nodes)) - back.T).tocsc(), first)
    return found


def spreads(net: Network, start: np.ndarray, stops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how much of what leaves the start reaches each node and how much is lost there (n,), by `stops` (n,).

    What reaches a node that stops goes no further; they hold all users and ends.
    """
    own = net.leaving(start)
    whole = net.t[own].sum()
    first = np.bincount(net.head[own], net.t[own], minlength=len(net.nodes)) / whole
    onward = sparse.diags((~stops).astype(float)) @ net.spread
    found: np.ndarray = spsolve((sparse.eye(len(net.nodes)) - onward.T).tocsc(), first)
    # A plant loses what it does not pass on: all of an element that it does not make.
    part = 1 - np.asarray(net.spread.sum(axis=1)).ravel()
    lost = np.where(stops | (part < ROUNDING), 0.0, found * part)
    return found, lost


def shares_down(
    material: Material, target: Target, elements: tuple[str, ...], stage: str, bloc: frozenset[str]
) -> Shares:
    """Return where the material that leaves a place first reaches a stage, or ends; shares sum to 1."""
    found: dict[str, float] = {}
    whole = 0.0
    for e in elements:
        net = material.network(e)
        start = net.of(target.ids)
        left = float(net.t[net.leaving(start)].sum())
        if left <= 0:
            continue
        stops = material.stage_nodes(net, stage) | material.ends(net)
        reached, lost = spreads(net, start, stops)
        whole += left
        found["loss"] = found.get("loss", 0.0) + float(lost.sum()) * left
        for n in np.flatnonzero((reached > 0) & stops):
            found[net.nodes[n]] = found.get(net.nodes[n], 0.0) + float(reached[n]) * left
    named: dict[str, float] = {}
    country: dict[str, float] = {}
    sector: dict[str, float] = {}
    inside = 0.0
    for node, t in found.items():
        kind, key = material.kind(node), place(node)
        land = group = key
        if kind == "demand" and stage != "demand":
            key = land = USERS
        elif kind != "end":
            land, group = material.country[key], material.sector.get(key, "")
            inside += t / whole if land in bloc else 0.0
        for table, k in ((named, key), (country, land), (sector, group)):
            table[k] = table.get(k, 0.0) + t / whole
    return Shares(_sorted(named), _sorted(country), min(inside, 1.0), _sorted(sector) if stage == "demand" else {})


def _sorted(shares: Mapping[str, float]) -> dict[str, float]:
    return dict(sorted(((k, min(v, 1.0)) for k, v in shares.items() if v > 0), key=lambda r: (-r[1], r[0])))

"""One state of the world as a network for each element: tonnes of the element on every arc, node by node.

Tonnes are of the element itself (as metal), whatever holds it: ore, oxide, metal, magnet or scrap, so that an arc is
what the next node takes in. Nodes are facilities and demand rows, markets that collect end-of-life scrap, stocks that
are let go, and three ends: surplus, stock and loss. A cracking plant has one node for each mine, since it passes each
mine's ore on by itself; a unit that sells its own stock beside what it makes has a second node, `ID|out`, where both
mix.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy import sparse

from atlas.readback import LEAST_FLOW_T, Reading
from atlas.releases import is_stock
from atlas.world import World

ENDS = ("surplus", "stock", "loss")
ARC_COLUMNS = ("element", "from_node", "to_node", "commodity", "t", "route_id")


@dataclass(frozen=True)
class Network:
    """The arcs of one element: `tail`, `head` (m,) node numbers, `t` (m,) tonnes; no two arcs join the same nodes."""

    nodes: tuple[str, ...]
    tail: np.ndarray
    head: np.ndarray
    t: np.ndarray

    @cached_property
    def into_t(self) -> np.ndarray:
        """Tonnes that enter each node (n,)."""
        return np.bincount(self.head, self.t, minlength=len(self.nodes))

    @cached_property
    def out_t(self) -> np.ndarray:
        """Tonnes that leave each node along arcs, losses in the process left out (n,)."""
        return np.bincount(self.tail, self.t, minlength=len(self.nodes))

    @cached_property
    def sources(self) -> np.ndarray:
        """Nodes that nothing enters: mines, markets that collect scrap, stocks let go (n,) bool."""
        return self.into_t <= 0

    @cached_property
    def mix(self) -> sparse.csr_matrix:
        """Part of each node (row) that comes from each other node (column); rows sum to 1, those of sources to 0."""
        n = len(self.nodes)
        return sparse.csr_matrix((self.t / self.into_t[self.head], (self.head, self.tail)), shape=(n, n))

    @cached_property
    def spread(self) -> sparse.csr_matrix:
        """Part of what enters each node (row) that goes to each other node (column); what is missing to 1 is lost."""
        n = len(self.nodes)
        whole = np.maximum(self.into_t, self.out_t)
        return sparse.csr_matrix((self.t / whole[self.tail], (self.tail, self.head)), shape=(n, n))

    def entering(self, target: np.ndarray) -> np.ndarray:
        """Return which arcs bring material into a set of nodes from outside it (m,) bool."""
        return target[self.head] & ~target[self.tail]

    def leaving(self, start: np.ndarray) -> np.ndarray:
        """Return which arcs take material out of a set of nodes (m,) bool."""
        return start[self.tail] & ~start[self.head]

    def of(self, ids: frozenset[str]) -> np.ndarray:
        """Return which nodes belong to these ids (n,) bool."""
        return np.array([place(n) in ids for n in self.nodes], dtype=bool)


def place(node: str) -> str:
    """Return the id of the facility, market, demand row or stock that a node is of."""
    return node.partition("|")[0]


def network(arcs: pd.DataFrame, element: str | None = None) -> Network:
    """Return the network of one element from `element_arcs`; without an element, of their sum by mass."""
    part = arcs if element is None else arcs[arcs["element"] == element]
    t = part.groupby(["from_node", "to_node"], sort=True)["t"].sum()
    t = t[t > LEAST_FLOW_T]
    tails, heads = (t.index.get_level_values(k) for k in (0, 1))
    nodes = pd.Index(sorted(set(tails) | set(heads)), dtype=object)
    return Network(tuple(nodes), nodes.get_indexer(tails), nodes.get_indexer(heads), t.to_numpy(dtype=float))


def element_arcs(world: World, r: Reading) -> pd.DataFrame:
    """Return every movement of a state by element (ARC_COLUMNS), tonnes of the element; a row per lane and route.

    Nd and Pr in a magnet are what its plant took in less what its swarf carries off: recipes count them as one.
    """
    u = world.units
    keep = ["commodity", "element", "grade", "mine", "from_id", "to_id", "route_id", "t"]
    moved = r.lanes.loc[r.lanes["commodity"] != "magnet", keep]
    f = r.flows.rename(columns={"tonnes": "t"})
    stocks = f[[is_stock(str(i)) for i in f["from_id"]]].copy()
    stocks["mine"] = stocks["to_id"].where(stocks["commodity"] == "concentrate", "")
    ended = f[f["to_id"].isin(["surplus", "stock"]) | ((f["to_id"] == "loss") & (f["commodity"] == "scrap"))]
    magnets = f[(f["commodity"] == "magnet") & ~f["from_id"].isin(stocks["from_id"])]
    before = pd.concat([moved, stocks[stocks["commodity"] != "magnet"][keep], ended.assign(mine="")[keep]])
    before_t = _contained(world, before.reset_index(drop=True), {})
    made = pd.concat([magnets, stocks[stocks["commodity"] == "magnet"]]).assign(mine="")[keep].reset_index(drop=True)
    rows = pd.concat([before_t, _contained(world, made, _nd_parts(world, before_t))], ignore_index=True)
    rows = _nodes(world, rows)
    long = rows.melt([c for c in ARC_COLUMNS if c not in ("element", "t")], list(world.elements), "element", "t")
    long = long[long["t"] > LEAST_FLOW_T]
    assert set(long["from_node"].map(place)) <= set(u.index) | set(world.markets.index) | set(stocks["from_id"])
    return long[list(ARC_COLUMNS)].reset_index(drop=True)


def _contained(world: World, rows: pd.DataFrame, nd_part: dict[str, float]) -> pd.DataFrame:
    """Return the rows with a column of tonnes for each element."""
    commodity = rows["commodity"].to_numpy(dtype=object)
    elements = list(world.elements)
    parts = np.zeros((len(rows), len(elements)))
    ore = commodity == "concentrate"
    parts[ore] = world.units.loc[rows.loc[ore, "mine"], elements].to_numpy(dtype=float) * world.metal_per_oxide
    scrap = (commodity == "scrap") & (rows["grade"] != "").to_numpy()
    parts[scrap] = world.scrap_mix.loc[rows.loc[scrap, "grade"], elements].to_numpy() * world.metal_per_oxide
    named = rows["element"].to_numpy(dtype=object)
    for k, e in enumerate(world.elements):
        parts[(named == e) & (commodity == "metal"), k] = 1.0
        parts[(named == e) & (commodity != "metal"), k] = world.metal_per_oxide[k]
    magnet = commodity == "magnet"
    if magnet.any():
        held = world.recipes.xs("bonded", level="product")  # of the finished magnet, which is what a bonded one takes
        held = held.loc[rows.loc[magnet, "grade"], list(world.recipe_keys)].to_numpy(dtype=float)
        if not world.chain.pair:
            parts[magnet] = held
        else:
            usual = 1 - world.parameter(world.chain.pair_usual)
            nd = np.array([nd_part.get(i, usual) for i in rows.loc[magnet, "from_id"]])
            parts[magnet] = np.column_stack([held[:, 0] * nd, held[:, 0] * (1 - nd), held[:, 1:]])
    t = pd.DataFrame(parts * rows["t"].to_numpy()[:, None], columns=list(world.elements), index=rows.index)
    return pd.concat([rows.drop(columns=["t", "element"]), t], axis=1)


def _nd_parts(world: World, rows: pd.DataFrame) -> dict[str, float]:
    """Return the part of the first element in the pair (Nd in NdPr) of each magnet plant's magnets."""
    if not world.chain.pair:
        return {}
    plants = world.units.index[world.units["stage"] == "magnet"]
    columns = list(world.chain.pair)
    taken = rows[rows["commodity"] == "metal"].groupby("to_id")[columns].sum()
    swarf = rows[rows["commodity"] == "scrap"].groupby("from_id")[columns].sum()
    left = taken.reindex(plants).fillna(0.0) - swarf.reindex(plants).fillna(0.0)
    whole = left.sum(axis=1)
    first = left[columns[0]]
    return {str(i): float(np.clip(first[i] / whole[i], 0.0, 1.0)) for i in plants if whole[i] > LEAST_FLOW_T}


def _nodes(world: World, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with their nodes; see the module."""
    u = world.units
    stage, product = u["stage"].to_dict(), u["product"].to_dict()
    cracks = set(u.index[u["product"] == "carbonate"])

    def node(i: str, mine: str) -> str:
        return f"{i}|{mine}" if i in cracks else i

    def makes(i: str, commodity: str) -> bool:
        return commodity == ("magnet" if stage.get(i) == "magnet" else product.get(i))

    ends = list(zip(rows["from_id"], rows["to_id"], rows["commodity"], strict=True))
    own = np.array([is_stock(str(a)) and makes(b, c) for a, b, c in ends], dtype=bool)
    mixed = set(rows.loc[own, "to_id"])
    sold = np.array([a in mixed and makes(a, c) for a, _, c in ends], dtype=bool)
    rows["from_node"] = [node(a, m) for a, m in zip(rows["from_id"], rows["mine"], strict=True)]
    rows["to_node"] = [node(b, m) for b, m in zip(rows["to_id"], rows["mine"], strict=True)]
    rows.loc[own, "to_node"] += "|out"
    rows.loc[sold, "from_node"] += "|out"
    columns = list(world.elements)
    inner = rows[sold].groupby("from_id")[columns].sum().sub(rows[own].groupby("to_id")[columns].sum(), fill_value=0.0)
    inner = inner.clip(lower=0.0).reset_index(names="from_node")
    inner["to_node"] = inner["from_node"] + "|out"
    return pd.concat([rows, inner.assign(commodity="", route_id="")], ignore_index=True) if len(inner) else rows

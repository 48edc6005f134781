"""The ways a traced material takes: tonnes on every lane with its route, and stage by stage for a flow diagram.

Tonnes are those of the element that reach the place (upstream), or that left it (downstream), by proportional
mixing. On a lane they never exceed what moves there: material that passes twice, as swarf does, counts once. The
diagram ends at recyclers, so that nothing runs in a circle; shares in `trace` follow it through.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from atlas.trace import Trace
from atlas.trace_arcs import ENDS, Network, place
from atlas.trace_shares import Material, spreads, visits
from atlas.trace_target import Target

LANE_KEYS = ["from_id", "to_id", "commodity", "route_id"]
# Column of a diagram by stage; what stands before the mines or behind the users has none.
COLUMNS = ("mine", "separation", "metal", "magnet", "users")
_STOCK_COLUMN = {"concentrate": "mine", "oxide": "separation", "metal": "metal", "magnet": "magnet"}
LEAST_T = 1e-6


@dataclass(frozen=True)
class Node:
    """A node of a diagram: its column, what it is (facility, country, sector, end, place), its country and group.

    `group` is china, bloc, other, recycled, stock or end.
    """

    key: str
    column: str
    kind: str
    country: str
    group: str


@dataclass(frozen=True)
class Ribbons:
    """A flow diagram: nodes, and tonnes by (key from, key to)."""

    nodes: dict[str, Node]
    links: dict[tuple[str, str], float]


def lanes(trace: Trace, direction: str) -> pd.DataFrame:
    """Return the lanes that traced material moves on (LANE_KEYS, countries, t), a row per route, most tonnes first.

    Magnets end at their market, as their routes do.
    """
    material, target = trace.material, trace.up_target if direction == "up" else trace.down_target
    parts = []
    for e in trace.elements:
        net = material.network(e)
        at = net.of(target.ids)
        if not (net.entering(at) if direction == "up" else net.leaving(at)).any():
            continue
        fixed = net.sources if direction == "up" else material.ends(net)
        t = _attributed(net, at, fixed, direction)
        names = np.array(net.nodes, dtype=object)
        ratio = pd.DataFrame({"from_node": names[net.tail], "to_node": names[net.head], "part": t / net.t})
        rows = material.arcs[(material.arcs["element"] == e) & (material.arcs["route_id"] != "")]
        rows = rows.merge(ratio[ratio["part"] > 0], on=["from_node", "to_node"])
        parts.append(rows.assign(t=rows["t"] * rows["part"]))
    found = pd.concat(parts, ignore_index=True) if parts else material.arcs.iloc[:0]
    found = found.assign(from_id=found["from_node"].map(place), to_id=found["to_node"].map(place))
    market = dict(zip(material.world.demand["demand_id"], material.world.demand["market"], strict=True))
    found["to_id"] = found["to_id"].map(lambda i: market.get(i, i))
    found = found.groupby(LANE_KEYS, as_index=False, sort=True)["t"].sum()
    found = found[found["t"] > LEAST_T]
    for side in ("from", "to"):
        found[f"{side}_country"] = found[f"{side}_id"].map(material.country)
    found = found.sort_values(["t", *LANE_KEYS], ascending=[False, True, True, True, True])
    return found[[*LANE_KEYS, "from_country", "to_country", "t"]].reset_index(drop=True)


def ribbons(trace: Trace, direction: str) -> Ribbons:
    """Return the flow diagram of a trace."""
    material, target = trace.material, trace.up_target if direction == "up" else trace.down_target
    made = Ribbons({}, {})
    for e in trace.elements:
        net = material.network(e)
        at = net.of(target.ids)
        if not (net.entering(at) if direction == "up" else net.leaving(at)).any():
            continue
        kinds = np.array([material.kind(n) for n in net.nodes], dtype=object)
        fixed = (kinds == "recycling") | (net.sources if direction == "up" else material.ends(net))
        flow = _links(net, at, fixed, direction)
        for pair, t in _without_passing(material, flow, target).items():
            ends = [_node(trace, target, direction, n, again=(direction == "up") == (n == pair[0])) for n in pair]
            for node in ends:
                made.nodes.setdefault(node.key, node)
            key = ends[0].key, ends[1].key
            if key[0] != key[1]:
                made.links[key] = made.links.get(key, 0.0) + t
    return made


def _attributed(net: Network, at: np.ndarray, fixed: np.ndarray, direction: str) -> np.ndarray:
    """Return the traced tonnes on each arc (m,), at most what moves there."""
    if direction == "up":
        direct = net.entering(at)
        share = visits(net, at, fixed) * net.t[direct].sum()
        t = np.where(fixed[net.head], 0.0, share[net.head] * net.t / net.into_t[net.head])
    else:
        direct = net.leaving(at)
        reached, _ = spreads(net, at, fixed)
        onward = reached * net.t[direct].sum() / np.maximum(np.maximum(net.into_t, net.out_t), 1e-300)
        t = np.where(fixed[net.tail], 0.0, onward[net.tail] * net.t)
    return np.minimum(t + np.where(direct, net.t, 0.0), net.t)


def _links(net: Network, at: np.ndarray, fixed: np.ndarray, direction: str) -> dict[tuple[str, str], float]:
    """Return the traced tonnes by pair of nodes; downstream with what each process loses."""
    t = _attributed(net, at, fixed, direction)
    rows = zip(net.tail.tolist(), net.head.tolist(), t.tolist(), strict=True)
    found = {(net.nodes[a], net.nodes[b]): v for a, b, v in rows if v > LEAST_T}
    if direction == "down":
        lost = spreads(net, at, fixed)[1] * net.t[net.leaving(at)].sum()
        for n in np.flatnonzero(lost > LEAST_T):
            key = (net.nodes[n], "loss")
            found[key] = found.get(key, 0.0) + float(lost[n])
    return found


def _without_passing(
    material: Material, links: dict[tuple[str, str], float], target: Target
) -> dict[tuple[str, str], float]:
    """Return the links without crackers, alloy makers and second nodes: what came in goes through in proportion."""
    product = material.world.units["product"]
    passing = []
    for n in dict.fromkeys(x for pair in links for x in pair):
        kind, i = material.kind(n), place(n)
        alloy = kind == "metal" and product[i] != "metal"
        if i not in target.ids and (kind == "mixed" or alloy or (kind == "separation" and product[i] == "carbonate")):
            passing.append(n)
    for n in passing:
        into = {a: t for (a, b), t in links.items() if b == n}
        out = {b: t for (a, b), t in links.items() if a == n}
        links = {pair: t for pair, t in links.items() if n not in pair}
        whole = max(sum(into.values()), LEAST_T)
        for a, t in into.items():
            for b, more in out.items():
                links[a, b] = links.get((a, b), 0.0) + t * more / whole
    return links


def _node(trace: Trace, target: Target, direction: str, node: str, *, again: bool) -> Node:
    """Return the node of a diagram that a node of a network belongs to.

    `again` says that it stands on the side where the place itself is not: a recycler comes back as one of others.
    """
    material, i = trace.material, place(node)
    kind, where = material.kind(node), material.country.get(i, "")
    if i in target.ids and not (again and kind == "recycling"):
        if kind == "demand":
            sector = material.sector[i]
            return Node(f"sector {sector}", "target", "sector", where, _group(trace, where))
        return Node(i, "target", "facility", where, _group(trace, where))
    if i in ENDS:
        return Node(i, "users", "end", "", "end")
    if kind == "demand":
        return Node(f"users {where}", "users", "country", where, _group(trace, where))
    if kind == "recycling":
        column = "separation" if direction == "up" else "users"
        return Node(i if i not in target.ids else f"{i}|again", column, "facility", where, "recycled")
    if kind == "market":
        return Node(f"scrap {where}", "mine", "scrap", where, "recycled")
    if kind == "stock":
        rows = material.arcs[material.arcs["from_node"] == node]
        return Node(i, _STOCK_COLUMN[str(rows["commodity"].iloc[0])], "stock", where, "stock")
    return Node(i, kind, "facility", where, _group(trace, where))


def _group(trace: Trace, country: str) -> str:
    """Return the group of a country: the bloc, China, or another."""
    if country in trace.outcome.bloc_countries:
        return "bloc"
    return "china" if country == "CHN" else "other"

"""Transshipment: banned goods that go through a third country all the same. A switch, off unless a scenario says so.

Only bans on a destination can be evaded so: the goods are sold to a hub that the ban does not name, and leave it again
under another paper. The way is routed over both legs, pays the duty of its true origin and a premium for the hub's
trouble, and is capped as a share of what the ban took away. No contract and no old trade goes that way.
"""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from atlas.halt import Halt
from atlas.lane_routes import LaneRouter, RouteSet, Traced, joined
from atlas.restriction import LaneCap, Restriction, covered
from atlas.routing import Closures, Path, Table
from atlas.scenario import Scenario
from atlas.world import World

# Ore and scrap are told apart at any border; papers hide only finished and refined goods.
HIDEABLE = ("oxide", "metal", "magnet")


class ViaHub(Traced):
    """Paths over two tables, by way of the hub that is cheapest for each pair."""

    def __init__(self, first: Table, second: Table, hubs: np.ndarray, countries: Sequence[str]) -> None:
        super().__init__(first)
        self.second, self.hubs, self.countries = second, hubs, countries

    def hub(self, origin: int, destination: int) -> str:
        """Return the country of the hub that a cell goes by."""
        return self.countries[int(self.hubs[origin, destination])]

    def path(self, origin: int, destination: int) -> Path:
        """Return the path of one cell, both legs as one."""
        cell = (origin, destination)
        if cell not in self._paths:
            hub = int(self.hubs[cell])
            self._paths[cell] = joined_path(self.table.trace(origin, hub), self.second.trace(hub, destination))
        return self._paths[cell]


def joined_path(a: Path, b: Path) -> Path:
    """Return two paths, one after the other, as one."""

    def both(x: Sequence[str], y: Sequence[str]) -> tuple[str, ...]:
        return (*x, *(i for i in y if i not in x))

    return dataclasses.replace(
        a,
        nodes=(*a.nodes[:-1], *b.nodes),
        edges=(*a.edges, *b.edges),
        passages=both(a.passages, b.passages),
        ports=both(a.ports, b.ports),
        borders=both(a.borders, b.borders),
        countries=both(a.countries, b.countries),
        legs=(*a.legs, *b.legs),
        distance_km=a.distance_km + b.distance_km,
        days=a.days + b.days,
        cost_usd_t=a.cost_usd_t + b.cost_usd_t,
        route_id="r" + hashlib.sha256(f"{a.route_id} {b.route_id}".encode()).hexdigest()[:14],
    )


def _bans(scenario: Scenario) -> list[Halt]:
    """Return the halts that goods may go round by a third country: those of one destination."""
    return [h for h in scenario.halts if h.kind == "country" and h.destination]


def _named(scenario: Scenario, blocs: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Return the countries that halts name, on either side: none of them passes goods on."""
    ends = [blocs.get(h.destination, frozenset({h.destination})) for h in _bans(scenario)]
    return frozenset(h.target for h in scenario.halts if h.kind == "country").union(*ends)


def useless_hubs(world: World, scenario: Scenario, blocs: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """Return in words which countries of `scenario.via` can pass nothing on, and whether all of them cannot."""
    if not (scenario.transshipment and scenario.via):
        return ()
    if not _bans(scenario):
        return ("transshipment: no halt bans one destination, so there is nothing to go round",)
    named, there = _named(scenario, blocs), set(world.markets["country"])
    why = dict.fromkeys(scenario.via & named, "a halt names it")
    why |= dict.fromkeys(scenario.via - there - named, "no market")
    told = tuple(f"transshipment through {c}: nothing, {why[c]}" for c in sorted(why))
    if len(why) == len(scenario.via):
        told += ("transshipment: no country of `via` is left, so nothing goes round the ban",)
    return told


def detours(
    router: LaneRouter,
    r: Restriction,
    scenario: Scenario,
    blocs: Mapping[str, frozenset[str]],
    lane_t: np.ndarray,
    watch: Sequence[tuple[str, str]],
) -> tuple[RouteSet, list[LaneCap]] | None:
    """Return the ways round a scenario's bans through third countries, and the cap on each; None where none is open.

    `lane_t` (lanes,) is the baseline flow. Hubs are the countries with a market that no halt names; `scenario.via`
    narrows them.
    """
    bans = _bans(scenario)
    if not scenario.transshipment or not bans:
        return None
    world, lanes = router.world, router.world.lanes
    source, target = (lanes[c].to_numpy(dtype=object) for c in ("from_country", "to_country"))
    hideable = lanes["commodity"].isin(HIDEABLE).to_numpy()
    evaded = np.zeros(len(lanes), dtype=bool)
    caps: list[LaneCap] = []
    share = world.parameter("transshipment_share")
    for h in bans:
        inside = blocs.get(h.destination, frozenset({h.destination}))
        mask = covered(world, h) & hideable & (source == h.target) & np.isin(target, list(inside))
        evaded |= mask
        limit = share * h.share * float(lane_t[mask].sum())
        caps.append(LaneCap(f"transshipment past {h.spec}", mask, limit, detours=True))
    for h in (h for h in scenario.halts if h.kind == "country" and not h.destination):
        # A ban on all destinations bans the sale to a hub too, so its cap counts what goes by one.
        mask = covered(world, h) & (source == h.target) & (target != h.target)
        if h.share == 1:
            evaded &= ~mask
        else:
            limit = (1 - h.share) * float(lane_t[mask].sum())
            caps.append(LaneCap(f"{h.spec}, transshipment counted", mask, limit))
    m = world.markets
    named = _named(scenario, blocs)
    hubs = [str(i) for i in m.index if m.at[i, "country"] not in named and not m.at[i, "buyer"]]
    hubs = [i for i in hubs if not scenario.via or m.at[i, "country"] in scenario.via]
    if not hubs or not evaded.any():
        return None
    shut = [w.closures for w in r.ways]
    closed = Closures(
        frozenset().union(*(c.passages for c in shut)),
        frozenset().union(*(c.ports for c in shut)),
        frozenset().union(*(c.borders for c in shut)),
        frozenset().union(*(c.opened for c in shut)),
    )
    surcharges = dict(scenario.charges)
    parts: list[RouteSet] = []
    tables: list[Traced] = []
    for commodity in HIDEABLE:
        at = np.flatnonzero(evaded & (lanes["commodity"] == commodity).to_numpy())
        if not len(at):
            continue
        ends = [sorted(set(lanes[c].iloc[at])) for c in ("from_id", "to_id")]
        first = router.router.table(ends[0], hubs, commodity, closures=closed, watch=watch, surcharges=surcharges)
        second = router.router.table(hubs, ends[1], commodity, closures=closed, watch=watch, surcharges=surcharges)
        whole = first.cost_usd_t[:, :, None] + second.cost_usd_t[None, :, :]
        best = whole.argmin(axis=1)
        o, d = (np.searchsorted(e, lanes[c].iloc[at]) for e, c in zip(ends, ("from_id", "to_id"), strict=True))
        k = best[o, d]
        open_ = np.isfinite(whole[o, k, d])
        at, o, d, k = at[open_], o[open_], d[open_], k[open_]
        premium = world.parameter(f"transshipment_usd_t_{commodity}")
        parts.append(
            RouteSet(
                lane=at,
                freight_usd_t=whole[o, k, d],
                tariff_usd_t=router.tariff_usd_t[at] + premium,
                distance_km=first.distance_km[o, k] + second.distance_km[k, d],
                days=first.days[o, k] + second.days[k, d],
                table=np.full(len(at), len(tables)),
                cell=np.stack([o, d], axis=1),
                detour=np.ones(len(at), dtype=bool),
                uses={t: np.asarray(first.uses[t])[o, k] | np.asarray(second.uses[t])[k, d] for t in watch},
            )
        )
        tables.append(ViaHub(first, second, best, [str(m.at[i, "country"]) for i in hubs]))
    return joined(parts, tables), caps

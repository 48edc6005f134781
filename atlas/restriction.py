"""What halts take away: blocked lanes, ways closed or dearer, units cut, totals capped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from atlas.errors import BadInput
from atlas.halt import Halt
from atlas.lane_routes import Thing, Way
from atlas.routing import Closures
from atlas.scenario import Scenario
from atlas.world import World


@dataclass(frozen=True)
class LaneCap:
    """At most `limit_t` over lanes (bool mask); where `thing` is set, over those of their routes that use it.

    `detours`: whether only ways round a ban count (True), only legal ones (False), or all (None).
    """

    name: str
    lanes: np.ndarray
    limit_t: float
    thing: Thing | None = None
    detours: bool | None = None


@dataclass(frozen=True)
class Restriction:
    """A scenario in the model's terms.

    `way_of_lane` (lanes,) indexes `ways`, -1 where a lane is blocked; `unit_lost` by unit; `caps` on lanes;
    `empty_caps` names partial halts of what carries nothing in the baseline.
    """

    way_of_lane: np.ndarray
    ways: tuple[Way, ...]
    unit_lost: Mapping[str, float]
    caps: tuple[LaneCap, ...]
    empty_caps: tuple[str, ...]


def covered(world: World, halt: Halt) -> np.ndarray:
    """Return which lanes a halt's filter covers (bool over lanes).

    An element covers its oxide, its metal and magnets of grades that hold it; concentrate and scrap only if named.
    """
    lanes, u = world.lanes, world.units
    commodity, n = lanes["commodity"].to_numpy(dtype=object), len(lanes)
    if not halt.commodities and not halt.elements:
        return np.ones(n, dtype=bool)
    if not halt.elements:
        return np.isin(commodity, list(halt.commodities))
    holds = np.isin(lanes["element"].to_numpy(dtype=object), list(halt.elements))
    key = sorted({world.chain.key(e) for e in halt.elements})
    content = world.recipes.loc["sintered"]
    rich = [g for g in content.index if (content.loc[g, key].to_numpy(dtype=float) > 0).any()]
    in_magnet = np.isin(lanes["grade"].to_numpy(dtype=object), rich)
    elements = [e for e in world.elements if e in halt.elements]
    ore = [i for i in u.index if u.at[i, "stage"] == "mine" and (u.loc[i, elements].to_numpy(dtype=float) > 0).any()]
    in_ore = np.isin(lanes["mine"].to_numpy(dtype=object), ore)
    mask = holds & np.isin(commodity, ["oxide", "metal"]) | in_magnet & (commodity == "magnet")
    if halt.commodities:
        mask |= in_ore & (commodity == "concentrate") | in_magnet & (commodity == "scrap")
        mask &= np.isin(commodity, list(halt.commodities))
    return mask


def halted_units(world: World, halt: Halt) -> list[str]:
    """Return the running units that a facility, site, operator or stage halt names."""
    u = world.units
    if halt.kind == "facility":
        return [halt.target] if halt.target in u.index else []
    if halt.kind == "site":
        return list(u.index[u["site"] == halt.target])
    if halt.kind == "operator":
        return [str(i) for i in u.index if halt.target in u.at[i, "operator_ids"]]
    country, _, stage = halt.target.partition("/")
    return list(u.index[(u["country"] == country) & (u["stage"] == stage)])


def restrict(
    world: World,
    scenario: Scenario,
    blocs: Mapping[str, frozenset[str]],
    lane_t: np.ndarray,
    lane_uses: Mapping[Thing, np.ndarray],
    surge: Mapping[str, float],
) -> Restriction:
    """Translate a scenario's halts and surcharges.

    `lane_t` (lanes,) baseline flow; `lane_uses[thing]` (lanes,) whether its baseline route uses a thing partly halted;
    `surge` by unit: limit over normal output.
    """
    n = len(world.lanes)
    from_country = world.lanes["from_country"].to_numpy(dtype=object)
    to_country = world.lanes["to_country"].to_numpy(dtype=object)
    blocked = np.zeros(n, dtype=bool)
    closings: list[tuple[np.ndarray, Thing]] = []
    lost: dict[str, float] = {}
    caps: list[LaneCap] = []
    for h in scenario.halts:
        mask = covered(world, h)
        filtered = bool(h.commodities or h.elements)
        if h.kind == "country":
            mask &= (from_country == h.target) & (to_country != h.target)
            if h.destination:
                mask &= np.isin(to_country, list(blocs.get(h.destination, {h.destination})))
            if h.spec in scenario.transit:
                # Goods that only pass through count as exports where the scenario says so.
                passing = covered(world, h) & (from_country != h.target) & (to_country != h.target)
                if h.destination:
                    passing &= np.isin(to_country, list(blocs.get(h.destination, {h.destination})))
                closings.append((passing, ("transit", h.target)))
            if h.share == 1:
                blocked |= mask
            else:
                caps.append(LaneCap(h.spec, mask, (1 - h.share) * float(lane_t[mask].sum()), detours=False))
        elif h.kind in ("port", "passage", "border"):
            thing = (h.kind, h.target)
            if h.share == 1:
                closings.append((mask, thing))
            else:
                uses = mask & lane_uses[thing]
                caps.append(LaneCap(h.spec, mask, (1 - h.share) * float(lane_t[uses].sum()), thing))
        else:
            for i in halted_units(world, h):
                if not filtered:
                    lost[i] = max(lost.get(i, 0.0), h.share)
                else:
                    own = mask & (world.lanes["from_id"] == i).to_numpy()
                    room = float(lane_t[own].sum()) * surge.get(i, 1.0)
                    caps.append(LaneCap(f"{h.spec} ({i})", own, (1 - h.share) * room))
    way_of_lane, ways = _ways(n, closings, scenario)
    way_of_lane[blocked] = -1
    empty = tuple(c.name for c in caps if c.limit_t == 0)
    return Restriction(way_of_lane, ways, lost, tuple(caps), empty)


def partial_things(halts: Sequence[Halt]) -> list[Thing]:
    """Return the ports, passages and borders that are halted in part."""
    return sorted({(h.kind, h.target) for h in halts if h.kind in ("port", "passage", "border") and h.share < 1})


def _ways(
    n: int, closings: Sequence[tuple[np.ndarray, Thing]], scenario: Scenario
) -> tuple[np.ndarray, tuple[Way, ...]]:
    """Group lanes by the set of closings that cover them."""
    # What is closed to the same lanes counts as one: mostly to all of them.
    masks: dict[bytes, int] = {}
    number = [masks.setdefault(mask.tobytes(), len(masks)) for mask, _ in closings]
    if len(masks) > 60:
        raise BadInput(f"closed ports, passages and borders with {len(masks)} different filters: expected 60 at most")
    bits = np.zeros(n, dtype=np.int64)
    for k, (mask, _) in zip(number, closings, strict=True):
        bits |= mask.astype(np.int64) << k
    patterns, group = np.unique(bits, return_inverse=True)
    ways = []
    for pattern in patterns.tolist():
        shut = [thing for k, (_, thing) in zip(number, closings, strict=True) if pattern >> k & 1]
        closures = Closures(
            passages=frozenset(i for kind, i in shut if kind == "passage"),
            ports=frozenset(i for kind, i in shut if kind == "port"),
            borders=frozenset(i for kind, i in shut if kind == "border"),
            opened=scenario.opened,
        )
        avoid = frozenset(i for kind, i in shut if kind == "transit")
        ways.append(Way(closures, avoid, surcharges=scenario.charges))  # all goods pay them, whoever sells
    return group.astype(np.int64), tuple(ways)

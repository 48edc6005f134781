"""Whose material is in it: a place traced upstream to the mines and downstream to the users, by element.

Shares follow proportional mixing: what leaves a plant has the composition of all that entered it, weighted by the
tonnes of the element. The linear system over all nodes is solved at once, so the loop magnet plant - swarf - recycler -
oxide - metal - magnet plant is solved, not cut. End-of-life scrap is an origin of its own (`recycled`), and so is stock
that a scenario lets go (its name). Several elements are traced apart and added up by tonnes.

Stages of an answer, upstream. `mine`: whose ore. `separation`: who made it oxide, recyclers among them. `metal`: who
reduced it, and recyclers that make metal or powder. `magnet`: who made the magnet. `recycling`: the recycler it came
through last, `primary` where there was none. A stage that lies behind the place, or at it, is left out. Downstream, for
each later stage: the first plant of it that the material reaches; what ends before that is `surplus`, `stock` or
`loss`, and what goes past it `users`; `demand` tells where all of it ends.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from atlas.chain import Chain, chain_of
from atlas.errors import BadInput, NoAnswer, UnknownName, nearest
from atlas.outcome import Outcome
from atlas.summary import rounded
from atlas.trace_arcs import place
from atlas.trace_bounds import Bounds, Finder
from atlas.trace_shares import RECYCLED, Material, Shares, shares_down, shares_up
from atlas.trace_target import CHAIN, Target, find_target

DIRECTIONS = ("up", "down", "both")


def groups(chain: Chain) -> dict[str, tuple[str, ...]]:
    """Return what may be traced -> its elements: all, the pair that is bought as one, each element."""
    pair = {chain.pair_name: chain.pair} if chain.pair else {}
    return {"all": chain.elements} | pair | {e: (e,) for e in chain.elements}


# Stages that lie before a place, and behind it, by what the place is.
BEFORE: dict[str, tuple[str, ...]] = {
    "mine": (),
    "carbonate": ("mine",),
    "separation": ("mine",),
    "metal": ("mine", "separation", "recycling"),
    "alloy": ("mine", "separation", "metal", "recycling"),
    "magnet": ("mine", "separation", "metal", "recycling"),
    "recycling": ("mine", "separation", "metal", "magnet"),
    "demand": ("mine", "separation", "metal", "magnet", "recycling"),
}
BEHIND: dict[str, tuple[str, ...]] = {
    "mine": ("separation", "metal", "magnet", "recycling", "demand"),
    "carbonate": ("separation", "metal", "magnet", "recycling", "demand"),
    "separation": ("metal", "magnet", "recycling", "demand"),
    "metal": ("magnet", "recycling", "demand"),
    "magnet": ("recycling", "demand"),
    "recycling": ("metal", "magnet", "demand"),
    "demand": (),
}


@dataclass(frozen=True)
class Trace:
    """A place traced in one state (the halted one where there are halts).

    `upstream` and `downstream` by stage; `bounds` by stage and country; `bloc_bounds` by stage; `content_t` tonnes of
    each element that the place takes in, `sold_t` that leave it; `before` is the upstream of the baseline where there
    are halts. `origin_bounds` by stage are those of the origin asked for.
    """

    outcome: Outcome = field(repr=False)
    material: Material = field(repr=False)
    target: Target
    element: str
    direction: str
    content_t: Mapping[str, float]
    sold_t: Mapping[str, float]
    upstream: Mapping[str, Shares]
    bounds: Mapping[str, Mapping[str, Bounds]]
    bloc_bounds: Mapping[str, Bounds]
    downstream: Mapping[str, Shares]
    before: Mapping[str, Shares]
    origin: str
    origin_bounds: Mapping[str, Bounds]
    threshold: float | None
    notes: tuple[str, ...]

    @property
    def stage(self) -> str:
        """The stage of the place; the last one of a site."""
        return self.up_target.units[0].step if self.up_target.units else ""

    @property
    def elements(self) -> tuple[str, ...]:
        """The elements traced."""
        return groups(chain_of(self.outcome.layers))[self.element]

    @cached_property
    def up_target(self) -> Target:
        """What is traced upstream: all of it, or the last stage of a site."""
        return _at_end(self.target, -1)

    @cached_property
    def down_target(self) -> Target:
        """What is traced downstream: all of it, or the first stage of a site."""
        return _at_end(self.target, 0)

    @property
    def verdicts(self) -> dict[str, dict[str, str]]:
        """On which side of the threshold each country's share (or that of the origin asked for) lies, by stage."""
        if self.threshold is None:
            return {}
        asked = {s: {self.origin: b} for s, b in self.origin_bounds.items()} if self.origin else self.bounds
        return {s: {k: b.verdict(self.threshold) for k, b in of.items()} for s, of in asked.items()}

    def to_json(self) -> dict[str, Any]:
        """Return what `atlas trace --json` prints, floats at six significant digits; see docs/trace.md."""
        told: dict[str, Any] = {
            "id": self.target.id,
            "name": self.target.name,
            "kind": self.target.kind,
            "country": self.target.country,
            "stage": self.stage,
            "element": self.element,
            "year": self.outcome.year,
            "halts": list(self.outcome.scenario.specs),
            "bloc": self.outcome.bloc,
            "content_t": dict(self.content_t),
            "sold_t": dict(self.sold_t),
            "upstream": {s: _told(v, self.bloc_bounds.get(s)) for s, v in self.upstream.items()},
            "bounds": {s: {c: vars(b) for c, b in of.items()} for s, of in self.bounds.items()},
            "downstream": {s: _told(v) for s, v in self.downstream.items()},
            "baseline_upstream": {s: _told(v) for s, v in self.before.items()},
            "notes": list(self.notes),
        }
        if self.origin:
            told["origin"] = {"id": self.origin, "stages": {s: vars(b) for s, b in self.origin_bounds.items()}}
        if self.threshold is not None:
            told["threshold"] = {"share": self.threshold, "verdicts": self.verdicts}
        made: dict[str, Any] = rounded(told)
        return made


def _told(s: Shares, bloc: Bounds | None = None) -> dict[str, Any]:
    told: dict[str, Any] = {
        "by_facility": s.by_facility, "by_country": s.by_country, "bloc_share": s.bloc_share,
    }  # fmt: skip
    if bloc:
        told |= {"bloc_least": bloc.least, "bloc_most": bloc.most}
    return told | ({"by_sector": s.by_sector} if s.by_sector else {})


def trace(
    outcome: Outcome,
    asked: str,
    element: str = "all",
    direction: str | None = None,
    origin: str = "",
    threshold: float | None = None,
) -> Trace:
    """Trace a place in the halted state of an outcome.

    `asked` is a facility, site, country (its demand), market or demand row; `element` an element, `NdPr` or `all`;
    `direction` up, down or both (left out: up, and down for a mine). `origin` (a country, bloc, facility or `recycled`)
    adds its bounds; `threshold` is a share over 0 to below 1. Raises UnknownName and BadInput for what is unknown,
    NoAnswer where the place runs in neither state or holds nothing of the element.
    """
    problems: list[str] = []
    known = groups(chain_of(outcome.layers))
    if element not in known:
        wanted = {k.lower(): k for k in known}.get(element.lower())
        if wanted is None:
            raise UnknownName("element", element[:40], nearest(element, known) or list(known))
        element = wanted
    if direction is not None and direction not in DIRECTIONS:
        problems.append(f"direction {direction[:40]!r}: expected {', '.join(DIRECTIONS)}")
    if threshold is not None and not 0 < threshold < 1:
        problems.append(f"threshold {threshold:g}: expected a share over 0 and below 1")
    if problems:
        raise BadInput(problems)
    layers, world, bloc = outcome.layers, outcome.halted.world, outcome.bloc_countries
    target = find_target(asked, layers, world, outcome.year)
    origin = _origin(origin, outcome)
    if target.absent:
        raise NoAnswer(target.absent)
    elements = known[element]
    after = Material(outcome.halted)
    before = after if outcome.is_baseline else Material(outcome.baseline)
    ran, runs = (_running(target, m, elements) for m in (before, after))
    if not ran.units and not runs.units:
        raise NoAnswer(_idle(target, element, (before, after), outcome.year))
    notes: list[str] = []
    if not runs.units:
        notes.append(f"{target.name} stands still under these halts; the baseline's origins stand beside it")
    seen = runs if runs.units else ran
    up, down = _at_end(seen, -1), _at_end(seen, 0)
    direction = direction or ("down" if up.units[0].step == "mine" else "up")
    stages = BEFORE[up.units[0].step] if direction != "down" else ()
    later = BEHIND.get(down.units[0].step, BEHIND["metal"]) if direction != "up" else ()
    if seen.kind == "site" and len({u.step for u in seen.units}) > 1:
        notes.append(f"a site is traced upstream from its last stage ({up.units[0].step}), "
                     f"downstream from its first ({down.units[0].step})")  # fmt: skip
    alive = bool(runs.units)
    sold = _tonnes(after, down, elements, entering=False)
    if later and alive and not sold:
        said = (
            f"{target.name} passes on no {_what(element)}: it does not make it, and what comes in with its feed is lost"
        )
        if direction == "down":
            raise NoAnswer(said)
        notes.append(said)
        later = ()
    upstream = {s: shares_up(after, up, elements, s, bloc) for s in stages} if alive else {}
    finder = Finder(after, up, elements)
    bounds = {s: finder.countries(s, v) for s, v in upstream.items() if s != "recycling"}
    return Trace(
        outcome=outcome,
        material=after,
        target=seen,
        element=element,
        direction=direction,
        content_t=_tonnes(after, up, elements, entering=True),
        sold_t=sold,
        upstream=upstream,
        bounds=bounds,
        bloc_bounds={s: finder.origin(s, bloc, upstream[s].bloc_share, collected=True) for s in bounds},
        downstream={s: shares_down(after, down, elements, s, bloc) for s in later} if alive else {},
        before={s: shares_up(before, up, elements, s, bloc) for s in stages}
        if not outcome.is_baseline and ran.units else {},
        origin=origin,
        origin_bounds={
            s: _asked(finder, s, origin, upstream[s], outcome) for s in bounds if _decides(finder, s, origin, outcome)
        } if origin else {},
        threshold=threshold,
        notes=tuple(notes),
    )  # fmt: skip


def _at_end(target: Target, end: int) -> Target:
    """Return the part of a place at its first (0) or last (-1) step of the chain."""
    steps = sorted({u.step for u in target.units}, key=CHAIN.index)
    return target.part(steps[end]) if steps else target


def _running(target: Target, material: Material, elements: tuple[str, ...]) -> Target:
    """Return a place with those of its units through which any of the elements moves."""
    moving: set[str] = set()
    for e in elements:
        net = material.network(e)
        moving |= {place(net.nodes[n]) for n in (*net.tail, *net.head)}
    units = tuple(u for u in target.units if u.id in moving)
    return Target(target.id, target.name, target.kind, target.country, units)


def _what(element: str) -> str:
    return "rare earths" if element == "all" else element


def _idle(target: Target, element: str, states: tuple[Material, Material], year: int) -> str:
    """Say why nothing of the element moves through a place that is in the model."""
    others = [e for e in states[0].world.elements if any(_running(target, m, (e,)).units for m in states)]
    if others:
        return f"{target.name} takes in no {_what(element)} in {year}; it does take in {', '.join(others)}"
    if target.units and target.units[0].step == "demand":
        return f"{target.name} gets no magnets in {year}"
    return f"{target.name} stands idle in {year}: nothing moves through it"


def _tonnes(material: Material, target: Target, elements: tuple[str, ...], *, entering: bool) -> dict[str, float]:
    """Return the tonnes of each element that enter or leave a place, only what there is."""
    found = {}
    for e in elements:
        net = material.network(e)
        at = net.of(target.ids)
        t = float(net.t[net.entering(at) if entering else net.leaving(at)].sum())
        if t > 0:
            found[e] = t
    return found


def _origin(asked: str, outcome: Outcome) -> str:
    """Return the canonical name of an origin; raises UnknownName."""
    text, layers, world = asked.strip(), outcome.layers, outcome.halted.world
    if not text or text.lower() == RECYCLED:
        return text.lower()
    blocs, units = list(layers.bloc_names), set(world.units.index)
    stocks = {r.name for r in world.releases}
    if text.lower() in units | set(blocs) | stocks | set(world.markets.index) | set(layers.facilities.index):
        return text.lower()
    countries = set(layers.countries.index) | set(world.units["country"])
    if text.upper() in countries:
        return text.upper()
    active = sorted(set(world.units["country"]))
    known = [*layers.facilities.index, *blocs, *active, RECYCLED]
    raise UnknownName("origin (country, bloc, facility or recycled)", text[:80], nearest(text, known))


def _decides(finder: Finder, stage: str, origin: str, outcome: Outcome) -> bool:
    """Whether an origin can be one at a stage: a country at each, a plant at its own, a stock where it is."""
    fac = outcome.layers.facilities
    if origin == RECYCLED or origin.isupper() or origin in outcome.layers.bloc_names:
        return True
    return finder.has(stage, origin) or (origin in fac.index and str(fac.at[origin, "stage"]) == stage)


def _asked(finder: Finder, stage: str, origin: str, shares: Shares, outcome: Outcome) -> Bounds:
    """Return the bounds of the origin asked for at a stage."""
    if origin == RECYCLED:
        return finder.recycled(stage, shares.by_country.get(RECYCLED, 0.0))
    if origin.isupper():
        return finder.origin(stage, frozenset({origin}), shares.by_country.get(origin, 0.0), collected=False)
    if origin in outcome.layers.bloc_names:
        bloc = outcome.layers.bloc(origin)
        inside = shares_up(finder.material, finder.target, finder.elements, stage, bloc).bloc_share
        return finder.origin(stage, bloc, inside, collected=True)
    return finder.facility(stage, origin, shares.by_facility.get(origin, 0.0))

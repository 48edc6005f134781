"""Halt specs: `KIND:TARGET[:DESTINATION][@SHARE][/FILTER]`, parsed, checked against known names, said canonically."""

import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from atlas.chain import Chain, shipped_chain
from atlas.errors import BadInput, UnknownName, nearest
from atlas.layers import Layers
from atlas.world import COMMODITIES, STAGES

KINDS: tuple[str, ...] = ("country", "stage", "facility", "site", "operator", "port", "passage", "border")


@dataclass(frozen=True)
class Halt:
    """One closing or cut: `share` is the part lost; `commodities` and `elements` filter (empty: no filter)."""

    kind: str
    target: str
    destination: str = ""
    share: float = 1.0
    commodities: frozenset[str] = frozenset()
    elements: frozenset[str] = frozenset()

    @property
    def spec(self) -> str:
        """The canonical spec."""
        text = f"{self.kind}:{self.target}" + (f":{self.destination}" if self.destination else "")
        if self.share != 1.0:
            text += f"@{self.share:.12g}"
        tokens = sorted(self.commodities | self.elements)
        return text + ("/" + ",".join(tokens) if tokens else "")

    @property
    def identity(self) -> tuple[str, str, str, frozenset[str]]:
        """What makes two halts the same apart from their share."""
        return self.kind, self.target, self.destination, self.commodities | self.elements


@dataclass(frozen=True)
class Names:
    """Every name a scenario may use, by kind.

    `hull_usd_t` is what a hull is worth in USD per gross tonne carried, None where the layers do not say. `parameter`
    has the unit of each; `demand_ids` and `market_ids` are taken, though no scenario names them.
    """

    facility: frozenset[str]
    site: frozenset[str]
    operator: frozenset[str]
    port: frozenset[str]
    passage: frozenset[str]
    border: frozenset[str]
    country: frozenset[str]
    bloc: frozenset[str]
    sector: frozenset[str]
    demand_country: frozenset[str]
    hull_usd_t: float | None = None
    grade: frozenset[str] = frozenset()
    parameter: Mapping[str, str] = field(default_factory=dict, hash=False)
    demand_ids: frozenset[str] = frozenset()
    market_ids: frozenset[str] = frozenset()
    chain: Chain = field(default_factory=shipped_chain)

    @classmethod
    def of(cls, layers: Layers, borders: Iterable[str]) -> "Names":
        """Collect the names of `layers` and the border pairs of a network."""
        hull, carried = (layers.constants.get(f"war_risk_{name}") for name in ("hull_usd", "carried_t"))
        return cls(
            facility=frozenset(map(str, layers.facilities.index)),
            site=frozenset(map(str, layers.facilities["site"])),
            operator=frozenset(map(str, layers.operators.index)),
            port=frozenset(map(str, layers.ports.index)),
            passage=frozenset(map(str, layers.passages.index)),
            border=frozenset(borders),
            country=frozenset(map(str, layers.countries.index)) | frozenset(map(str, layers.facilities["country"])),
            bloc=frozenset(map(str, layers.blocs["bloc"])),
            sector=frozenset(map(str, layers.sectors.index)),
            demand_country=frozenset(map(str, layers.demand["country"])),
            hull_usd_t=float(hull) / float(carried) if hull is not None and carried else None,
            grade=_ids(layers, "grades"),
            parameter=_units(layers),
            demand_ids=_ids(layers, "demand"),
            market_ids=_ids(layers, "markets"),
            chain=getattr(layers, "chain", None) or shipped_chain(),
        )

    def check(self, kind: str, name: str) -> str | None:
        """Return a problem text when `name` is not a known `kind`, else None."""
        known: Collection[str] = getattr(self, kind)
        if name in known:
            return None
        return UnknownName(kind, name, nearest(name, sorted(known))).problems[0]


def _ids(layers: Layers, table: str) -> frozenset[str]:
    """Return the ids of a table; none where the layers lack it."""
    found = getattr(layers, table, None)
    return frozenset() if found is None else frozenset(map(str, found.index))


def _units(layers: Layers) -> dict[str, str]:
    """Return the unit of each parameter; "" where the layers hold values alone."""
    rows = getattr(layers, "parameter_rows", None)
    if rows is None or "unit" not in rows:
        return dict.fromkeys(sorted(_ids(layers, "parameters")), "")
    return {str(i): str(u) for i, u in rows["unit"].items()}


def parse_halt(spec: str, names: Names) -> Halt:
    """Parse one halt spec; raises BadInput with every problem found in it."""
    text = str(spec).strip()
    if len(text) > 300:
        raise BadInput(f"halt of {len(text)} characters: expected KIND:TARGET[:DESTINATION][@SHARE][/FILTER]")
    if ":" not in text and re.fullmatch(r"[A-Z]{3}>[^>]+", text):
        text = "country:" + text
    kind, colon, rest = text.partition(":")
    if not colon or not rest:
        raise BadInput(
            f"halt `{text}`: expected KIND:TARGET[:DESTINATION][@SHARE][/FILTER], for example country:CHN/magnet"
        )
    if kind not in KINDS:
        raise BadInput(
            f"halt `{text}`: " + UnknownName("halt kind", kind, nearest(kind, KINDS) or list(KINDS)).problems[0]
        )
    if kind == "country":
        rest = rest.replace(">", ":", 1)
    shape = r"([^:@/]+/[^:@/]+)()(.*)" if kind == "stage" else r"([^:@/]+)(?::([^:@/]+))?(.*)"
    m = re.fullmatch(shape, rest, flags=re.DOTALL)
    if not m:
        want = "stage:AAA/STAGE[@SHARE]" if kind == "stage" else f"{kind}:TARGET[@SHARE][/FILTER]"
        raise BadInput(f"halt `{text}`: expected {want}")
    target, destination, tail = m.group(1), m.group(2) or "", m.group(3)
    problems: list[str] = []
    share, filters = _tail(tail, problems)
    commodities, elements = _filter(filters, names.chain, problems)
    if destination and kind != "country":
        problems.append(f"`:{destination}`: only country halts have a destination")
    target = _target(kind, target, names, problems)
    if kind == "country" and destination and destination not in names.bloc:
        if destination not in names.country:
            known = sorted(names.country) + sorted(names.bloc)
            problems += UnknownName("country or bloc", destination, nearest(destination, known)).problems
        elif destination == target:
            problems.append(f"destination {destination} is the country itself")
    if problems:
        raise BadInput([f"halt `{text}`: {p}" for p in problems])
    return Halt(kind, target, destination, share, commodities, elements)


def _tail(tail: str, problems: list[str]) -> tuple[float, str]:
    pieces = re.findall(r"([@/])([^@/]*)", tail)
    if "".join(a + b for a, b in pieces) != tail:
        problems.append(f"`{tail}` is not [@SHARE][/FILTER]")
        return 1.0, ""
    shares = [v for k, v in pieces if k == "@"]
    filters = [v for k, v in pieces if k == "/"]
    if len(shares) > 1 or len(filters) > 1:
        problems.append("a halt has at most one @SHARE and one /FILTER")
    share = 1.0
    if shares:
        try:
            share = float(shares[0])
        except ValueError:
            share = math.nan
        if not (0 < share <= 1):
            problems.append(f"share `@{shares[0]}`: expected a number over 0 to 1")
            share = 1.0
    if filters and not filters[0].strip():
        problems.append("the filter after `/` is empty")
    return share, filters[0] if filters else ""


def _filter(text: str, chain: Chain, problems: list[str]) -> tuple[frozenset[str], frozenset[str]]:
    commodities: set[str] = set()
    elements: set[str] = set()
    for token in (t.strip() for t in text.split(",") if text.strip()):
        if token in COMMODITIES:
            commodities.add(token)
        elif token in chain.tokens:
            elements.update(chain.of(token))
        else:
            known = [*COMMODITIES, *chain.tokens]
            problems += UnknownName("commodity or element", token, nearest(token, known) or known).problems
    return frozenset(commodities), frozenset(elements)


def _target(kind: str, target: str, names: Names, problems: list[str]) -> str:
    if kind == "stage":
        country, _, stage = target.partition("/")
        if country not in names.country:
            problems += UnknownName("country", country, nearest(country, sorted(names.country))).problems
        if stage not in STAGES:
            hint = "demand cannot be halted; use a [[demand]] change" if stage == "demand" else ""
            problems.append(hint or UnknownName("stage", stage, nearest(stage, STAGES) or list(STAGES)).problems[0])
        return target
    if kind == "border":
        target = "-".join(sorted(target.split("-")))
    problem = names.check(kind, target)
    if problem:
        problems.append(problem)
    return target


def merge(halts: Iterable[Halt]) -> tuple[Halt, ...]:
    """Return the halts with one per identity (the largest share holds), sorted by spec."""
    best: dict[Any, Halt] = {}
    for h in halts:
        if h.identity not in best or best[h.identity].share < h.share:
            best[h.identity] = h
    return tuple(sorted(best.values(), key=lambda h: h.spec))

"""Two to four answers side by side: a row of figures for each thing measured, a column for each case.

Everything is read off the summaries of the answers (`solve --json`); nothing is solved or drawn here.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import pandas as pd

from atlas.errors import BadInput
from atlas.world import STAGES

LEAST, MOST = 2, 4
MOST_THROUGH = {"passage": 10, "port": 10, "border": 6}  # rows of a kind: those that change most
MOST_FLOWS = 12  # gains, and as many losses, between two cases
SMALL_T = 0.5
ALIKE = 1e-5  # of the larger one: summaries have six significant digits
ORIGIN_STAGES = ("mine", "separation", "metal", "magnet")
FLOW_COLUMNS = ("from_case", "to_case", "importer", "commodity", "from_country", "before_t", "after_t", "change_t")


@dataclass(frozen=True)
class Case:
    """One answer: how it was asked for, its name in words, what `solve --json` says of it, the bloc's countries."""

    text: str
    label: str
    summary: Mapping[str, Any] = field(repr=False)
    bloc_countries: frozenset[str] = field(default=frozenset(), repr=False)
    is_baseline: bool = False

    @property
    def state(self) -> Mapping[str, Any]:
        """The figures of the case itself."""
        found: Mapping[str, Any] = self.summary["baseline" if self.is_baseline else "halted"]
        return found

    @property
    def allied_share(self) -> float:
        """The part of what changed supplier that comes from the bloc now; NaN where nothing changed supplier."""
        rows = [] if self.is_baseline else self.summary.get("replaced", ())
        total = sum(r["tonnes"] for r in rows)
        allied = sum(r["tonnes"] for r in rows if r["to_country"] in self.bloc_countries)
        return allied / total if total > SMALL_T else math.nan


@dataclass(frozen=True)
class Figure:
    """One thing measured: `unit` is t, share, usd, usd_t, days, km or index; `better` is more, less or empty."""

    group: str
    key: str
    unit: str
    better: str
    baseline: float
    values: tuple[float, ...]

    @property
    def spread(self) -> float:
        """How far the cases lie apart; 0 where they are alike."""
        known = [v for v in self.values if not math.isnan(v)]
        apart = max(known) - min(known) if known else 0.0
        return apart if apart > ALIKE * max(map(abs, known), default=0.0) and apart > self.small else 0.0

    @property
    def small(self) -> float:
        """What is next to nothing in this unit."""
        return {"t": SMALL_T, "share": 5e-5, "index": 5e-5, "days": 5e-3, "km": 0.5}.get(self.unit, 0.0)

    @property
    def best(self) -> frozenset[int]:
        """Numbers of the cases that do best; empty where all are alike or neither way is better."""
        return self._extreme(max if self.better == "more" else min)

    @property
    def worst(self) -> frozenset[int]:
        """Numbers of the cases that do worst; empty where all are alike or neither way is better."""
        return self._extreme(min if self.better == "more" else max)

    def _extreme(self, pick: Any) -> frozenset[int]:
        if not self.better or not self.spread:
            return frozenset()
        found = pick(v for v in self.values if not math.isnan(v))
        return frozenset(k for k, v in enumerate(self.values) if abs(v - found) <= ALIKE * abs(found) + self.small)

    def differences(self) -> tuple[float, ...]:
        """Each case less the first; 0 for what is alike, NaN where one has no figure."""
        first = self.values[0]
        return tuple(d if math.isnan(d := v - first) or abs(d) > self.small else 0.0 for v in self.values)


@dataclass(frozen=True)
class Comparison:
    """Cases side by side: `figures` in the order they are read; `flows` as in FLOW_COLUMNS, cases numbered from 1."""

    cases: tuple[Case, ...]
    bloc: str
    year: int
    figures: tuple[Figure, ...]
    flows: pd.DataFrame = field(repr=False)

    def figure(self, group: str, key: str) -> Figure:
        """Return one figure; raises KeyError where it is not measured."""
        for f in self.figures:
            if (f.group, f.key) == (group, key):
                return f
        raise KeyError(f"{group}, {key}")

    def group(self, name: str) -> tuple[Figure, ...]:
        """Return the figures of a group."""
        return tuple(f for f in self.figures if f.group == name)

    def between(self, a: int, b: int) -> pd.DataFrame:
        """Return what the imports of case `b` have more or less than those of case `a` (from 1), largest first."""
        return self.flows[(self.flows["from_case"] == a) & (self.flows["to_case"] == b)]

    def table(self) -> pd.DataFrame:
        """Return the figures as a table: group, key, unit, better, baseline and a column for each case's text."""
        rows = [(f.group, f.key, f.unit, f.better, f.baseline, *f.values) for f in self.figures]
        # The baseline itself may be a case: two columns of one name would be read as one.
        cases = (f"{c.text} (case)" if c.text == "baseline" else c.text for c in self.cases)
        return pd.DataFrame(rows, columns=["group", "key", "unit", "better", "baseline", *cases])


def compare(cases: Sequence[Case]) -> Comparison:
    """Return two to four cases side by side; raises BadInput for fewer, more, or the same twice."""
    if not LEAST <= len(cases) <= MOST:
        raise BadInput(f"{len(cases)} cases: a comparison needs {LEAST} to {MOST}")
    texts = [c.text for c in cases]
    twice = sorted({t for t in texts if texts.count(t) > 1})
    if twice:
        raise BadInput([f"case {t!r} stands {texts.count(t)} times: a comparison needs different cases" for t in twice])
    first = cases[0].summary
    base = Case("baseline", "", first, cases[0].bloc_countries, is_baseline=True)
    return Comparison(
        cases=tuple(cases),
        bloc=first["bloc"],
        year=first["scenario"]["year"],
        figures=tuple(_figures(base, cases)),
        flows=_flows(cases),
    )


def _figures(base: Case, cases: Sequence[Case]) -> Iterable[Figure]:
    def made(group: str, key: str, unit: str, better: str, value: Any) -> Figure:
        return Figure(group, key, unit, better, value(base), tuple(value(c) for c in cases))

    def plain(name: str) -> Any:
        return lambda c: float(c.state[name])

    yield made("demand", "met_share", "share", "more", lambda c: _ratio(c.state["supplied_t"], c.state["demand_t"]))
    yield made("demand", "shortage_t", "t", "less", plain("shortage_t"))
    yield made(
        "demand", "shortage_share", "share", "less", lambda c: _ratio(c.state["shortage_t"], c.state["demand_t"])
    )
    yield made("bloc", "bloc_supplied_share", "share", "more", plain("bloc_supplied_share"))
    yield made("bloc", "allied_share", "share", "more", lambda c: c.allied_share)
    for stage in ORIGIN_STAGES:
        yield made("bloc_origin", stage, "share", "more", _inside("bloc_origin_share", stage))
    yield made("cost", "spend_usd", "usd", "", plain("spend_usd"))
    yield made("cost", "unit_spend_usd_t", "usd_t", "less", plain("unit_spend_usd_t"))
    yield made("cost", "mean_days", "days", "", plain("mean_days"))
    yield made("cost", "mean_km", "km", "", plain("mean_km"))
    for stage in STAGES:
        if any(stage in c.state["hhi"] for c in (base, *cases)):
            yield made("hhi", stage, "index", "less", _inside("hhi", stage))
    members = cases[0].bloc_countries
    for kind, kept in (("sector", None), ("grade", None), ("country", members)):
        for key in _short_of(kind, (base, *cases), kept):
            yield made(f"shortage_by_{kind}", key, "t", "less", _inside(f"shortage_by_{kind}", key))
    for kind, most in MOST_THROUGH.items():
        for key in _changing(kind, (base, *cases), most):
            yield made(f"throughput_{kind}", key, "t", "", lambda c, k=kind, i=key: _through(c, k).get(i, 0.0))


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else math.nan


def _inside(table: str, key: str) -> Any:
    return lambda c: float(c.state.get(table, {}).get(key, 0.0))


def _through(case: Case, kind: str) -> Mapping[str, float]:
    found: Mapping[str, float] = case.state.get("throughput_t", {}).get(kind, {})
    return found


def _short_of(kind: str, cases: Sequence[Case], kept: frozenset[str] | None) -> list[str]:
    """Return sectors, grades or countries that are short in any case, those that miss most first."""
    tables = [c.state.get(f"shortage_by_{kind}", {}) for c in cases]
    most = {k: max(t.get(k, 0.0) for t in tables) for k in {k for t in tables for k in t}}
    return [
        k for k, v in sorted(most.items(), key=lambda r: (-r[1], r[0])) if v > SMALL_T and (kept is None or k in kept)
    ]


def _changing(kind: str, cases: Sequence[Case], most: int) -> list[str]:
    """Return the passages, ports or borders whose throughput differs most between the cases and the baseline."""
    tables = [_through(c, kind) for c in cases]
    ids = {i for t in tables for i in t}
    apart = {i: max(t.get(i, 0.0) for t in tables) - min(t.get(i, 0.0) for t in tables) for i in ids}
    return [i for i, v in sorted(apart.items(), key=lambda r: (-r[1], r[0]))[:most] if v > SMALL_T]


def _flows(cases: Sequence[Case]) -> pd.DataFrame:
    """Return the largest gains and losses in imports between each two cases."""
    taken = [pd.Series(_imports(c.state.get("imports_t", {})), dtype=float) for c in cases]
    parts = []
    for a, b in combinations(range(len(cases)), 2):
        joined = pd.DataFrame({"before_t": taken[a], "after_t": taken[b]}).fillna(0.0)
        joined["change_t"] = joined["after_t"] - joined["before_t"]
        joined = joined[joined["change_t"].abs() > SMALL_T].sort_index().sort_values("change_t", kind="stable")
        part = pd.concat(
            [joined[joined["change_t"] < 0].head(MOST_FLOWS), joined[joined["change_t"] > 0].tail(MOST_FLOWS)]
        )
        rows = [(a + 1, b + 1, *at, *row) for at, row in zip(part.index, part.to_numpy().tolist(), strict=True)]
        rows.sort(key=lambda r: (-abs(r[-1]), r[:-1]))
        parts += rows
    return pd.DataFrame(parts, columns=list(FLOW_COLUMNS))


def _imports(tree: Mapping[str, Any]) -> dict[tuple[str, str, str], float]:
    """Return tonnes by importer, commodity and country they come from."""
    return {
        (to, what, of): float(t)
        for to, goods in tree.items()
        for what, sources in goods.items()
        for of, t in sources.items()
    }

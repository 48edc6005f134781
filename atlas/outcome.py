"""An answer: two states side by side, with everything that maps, files and pages show of it."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from shapely import LineString

from atlas.certificate import check_arrays
from atlas.confidence import confidence_share
from atlas.halt_words import describe
from atlas.layers import Layers
from atlas.model import Skeleton
from atlas.prices import nested, prices
from atlas.readback import FLOW_COLUMNS, Reading, changes, read
from atlas.routing import Router
from atlas.scenario import Scenario
from atlas.solver import LinearProgramme, Optimum
from atlas.solving import State
from atlas.summary import replaced, rounded, sentence, state_summary
from atlas.world import World


@dataclass(frozen=True)
class Solved:
    """One state of one world, solved and read back, with its certificate.

    `arrays` is the programme with its primal and dual, as stored for `--check`; `empty_caps` names partial halts of
    what carries nothing; `confidence_c_share` says what part of the throughput rests on estimates, in all and by stage.
    Route tables are let go once read: they are most of a state's memory.
    """

    world: World
    reading: Reading
    router: Router
    certificate: Mapping[str, float]
    arrays: Mapping[str, Any] = field(repr=False)
    skeleton: Skeleton = field(repr=False)
    lp: LinearProgramme = field(repr=False)
    optimum: Optimum = field(repr=False)
    confidence_c_share: Mapping[str, float] = field(default_factory=dict)
    empty_caps: tuple[str, ...] = ()
    _summaries: dict[frozenset[str], dict[str, Any]] = field(default_factory=dict, repr=False, compare=False)

    def summary(self, bloc: frozenset[str], usgs_share: pd.Series) -> dict[str, Any]:
        """Return S of the contract for a bloc's countries; made once for each bloc."""
        if bloc not in self._summaries:
            made = state_summary(self.world, self.reading, bloc, usgs_share)
            made["confidence_c_share"] = dict(self.confidence_c_share)
            made["prices_usd_t"], made["price_kinks"] = nested(self.prices)
            self._summaries[bloc] = rounded(made)
        return self._summaries[bloc]

    @cached_property
    def prices(self) -> pd.DataFrame:
        """What one more tonne is worth, by commodity, element or grade and place; see `prices.prices`."""
        return prices(self.skeleton, self.lp, self.optimum, self.reading.lanes)


@dataclass(frozen=True)
class Outcome:
    """What a scenario does: baseline and halted world.

    `summary` is what `solve --json` prints; `flows` has the columns of flows.csv; `changes` one row a lane;
    `facilities` baseline_t, halted_t, normal_t, limit_t and unit by id.
    """

    layers: Layers
    scenario: Scenario
    year: int
    bloc: str
    bloc_countries: frozenset[str]
    tuned: tuple[str, ...]
    notes: tuple[str, ...]
    baseline: Solved = field(repr=False)
    halted: Solved = field(repr=False)

    @property
    def is_baseline(self) -> bool:
        """Whether nothing is halted or changed."""
        return self.halted is self.baseline

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The answer as `solve --json` prints it, floats at six significant digits."""
        fac = self.layers.facilities
        share = (fac["usgs_output_t"] / fac["output_t"].where(fac["output_t"] > 0)).astype(float)
        before = self.baseline.summary(self.bloc_countries, share)
        after = self.halted.summary(self.bloc_countries, share)
        whole = {
            "scenario": {
                "name": self.scenario.name,
                "halts": list(self.scenario.specs),
                "surcharges": [s.to_json() for s in self.scenario.surcharges],
                **_beyond_halts(self.scenario),
                "year": self.year,
                "on": self.scenario.on.isoformat() if self.scenario.on else None,
            },
            "bloc": self.bloc,
            "baseline": before,
            "halted": after,
            "certificate": {"baseline": dict(self.baseline.certificate), "halted": dict(self.halted.certificate)},
            "replaced": replaced(self.baseline.reading.lanes, self.halted.reading.lanes),
            "tuned": [*self.tuned, *self.notes],
        }
        return rounded(whole)

    @cached_property
    def sentence(self) -> str:
        """The answer in one sentence with figures."""
        s = self.summary
        after = s["baseline"] if self.is_baseline else s["halted"]
        named = self.scenario.name not in ("halts", "scenario")
        halts = [describe(h, self.layers) for h in self.scenario.specs]
        changed = ["; ".join(halts) + " halted"] if halts else []
        changed += [s.words for s in self.scenario.surcharges]
        what = f'"{self.scenario.name}"' if named else " and ".join(changed) or "these changes"
        return sentence(s["baseline"], after, "" if self.is_baseline else what, self.bloc)

    @cached_property
    def flows(self) -> pd.DataFrame:
        """Flows of both states with the columns of flows.csv."""
        parts = [self.baseline.reading.flows.assign(state="baseline"), self.halted.reading.flows.assign(state="halted")]
        return pd.concat(parts, ignore_index=True)[list(FLOW_COLUMNS)]

    @cached_property
    def changes(self) -> pd.DataFrame:
        """One row per from, to, commodity, element and grade: before, after, kind, and the route to draw."""
        return changes(self.baseline.reading.flows, self.halted.reading.flows)

    @cached_property
    def facilities(self) -> pd.DataFrame:
        """Units that run in either state: baseline_t, halted_t, normal_t, limit_t, unit."""
        a, b = self.baseline.reading.units, self.halted.reading.units
        ids = sorted(set(a.index) | set(b.index))
        a, b = a.reindex(ids), b.reindex(ids)
        return pd.DataFrame(
            {
                "baseline_t": a["output_t"].fillna(0.0),
                "halted_t": b["output_t"].fillna(0.0),
                "normal_t": b["normal_t"].fillna(a["normal_t"]),
                "limit_t": b["limit_t"].fillna(0.0),
                "unit": b["unit"].fillna(a["unit"]),
            },
            index=pd.Index(ids, name="id"),
        )

    def geometry(self, route_id: str) -> LineString:
        """Return a route's line with continuous longitudes (it may pass 180); empty for an unknown route."""
        for part in (self.halted, self.baseline):
            path = part.reading.paths.get(route_id)
            if path is not None:
                return part.router.geometry(path)
        return LineString()

    @cached_property
    def certificate_arrays(self) -> dict[str, Any]:
        """Both programmes with their primal and dual, for certificate.npz."""
        out: dict[str, Any] = {}
        for name, part in (("baseline", self.baseline), ("halted", self.halted)):
            out |= {f"{name}_{k}": v for k, v in part.arrays.items()}
        return out


def _beyond_halts(q: Scenario) -> dict[str, Any]:
    """Return what a scenario changes beyond halts and surcharges; only what it does change."""

    def plain(rows: Sequence[Any]) -> list[dict[str, Any]]:
        return [{k: str(v) if isinstance(v, dt.date) else v for k, v in asdict(r).items() if v not in (None, "")}
                for r in rows]  # fmt: skip

    told: dict[str, Any] = {
        "opened": sorted(q.opened),
        "transit": sorted(q.transit),
        "buyers": plain(q.buyers),
        "contracts": plain(q.contracts),
        "stocks": plain(q.stocks),
        "priority": [dict(p) for p in q.priority],
        "parameters": dict(q.parameters),
        "tariffs": [_texts(t) for t in q.tariffs],
        "facilities": [_texts(f) for f in q.facilities],
        "demand": [_texts(d) for d in q.demand],
        "transshipment": ({"via": sorted(q.via)} if q.via else True) if q.transshipment else None,
        "draw": q.draw,
    }
    return {k: v for k, v in told.items() if v is not None and v != [] and v != {}}


def _texts(row: Mapping[str, Any]) -> dict[str, Any]:
    return {str(k): v if isinstance(v, (int, float, bool)) else str(v) for k, v in row.items()}


def programme_arrays(state: State) -> dict[str, Any]:
    """Return a solved programme as plain arrays that `certificate.check_arrays` reads."""
    lp, m = state.programme.lp, state.programme.lp.matrix
    assert isinstance(m, sparse.csc_matrix)
    return {
        "cost": lp.cost, "lower": lp.lower, "upper": lp.upper, "row_lower": lp.row_lower, "row_upper": lp.row_upper,
        "offset": np.array(lp.offset), "matrix_data": m.data, "matrix_indices": m.indices, "matrix_indptr": m.indptr,
        "matrix_shape": np.array(m.shape), "x": state.optimum.x, "y": state.optimum.y,
    }  # fmt: skip


def certify(state: State) -> dict[str, float]:
    """Return the certificate of a solved state."""
    return check_arrays(programme_arrays(state))


def solved(world: World, state: State, layers: Layers, skeleton: Skeleton, router: Router) -> Solved:
    """Read a state back and certify it."""
    caps = state.restriction.empty_caps if state.restriction else ()
    reading = read(world, state)
    return Solved(
        world=world,
        reading=reading,
        router=router,
        certificate=certify(state),
        arrays=programme_arrays(state),
        skeleton=skeleton,
        lp=state.programme.lp,
        optimum=state.optimum,
        confidence_c_share=confidence_share(world, reading, layers),
        empty_caps=caps,
    )

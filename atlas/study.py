"""A study: layers opened, network and baseline remembered, questions answered and cached.

The one place that wires the rooms together.
"""

import dataclasses
import datetime as dt
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from atlas import local_access, memory, network
from atlas.changed_layers import changed_layers
from atlas.config import Settings
from atlas.config import settings as read_settings
from atlas.errors import BadInput, UnknownName, nearest
from atlas.frame import Frame, frame
from atlas.halt import Names
from atlas.lane_routes import LaneRouter
from atlas.layers import Layers, open_layers
from atlas.model import Baseline, Skeleton, skeleton
from atlas.outcome import Outcome, Solved, solved
from atlas.routing import Router
from atlas.scenario import Scenario, from_dict, from_specs, read_file
from atlas.solving import State, calibrate, open_routes, solve_halted, solve_open
from atlas.trunk_graph import trunk_graph
from atlas.way import known_borders
from atlas.world import CALIBRATED_YEAR, World, build_world

FIRST_YEAR, LAST_YEAR = 2015, 2040


@dataclasses.dataclass(frozen=True)
class _Stage:
    """A world ready to be solved: its skeleton and its lane router."""

    world: World
    skeleton: Skeleton
    router: LaneRouter

    def frame(self, baseline: Baseline) -> Frame:
        """Return the programme of this world with nothing halted; made once for a baseline."""
        if self._frames.get("of") is not baseline:
            self._frames.update(of=baseline, frame=frame(self.skeleton, baseline))
        return self._frames["frame"]

    _frames: dict[str, Any] = dataclasses.field(default_factory=dict, repr=False, compare=False)


class Study:
    """Layers and a year, ready for questions; safe to share between threads.

    `solve` answers halts and scenarios; `route` and `find` answer the smaller questions.
    """

    def __init__(
        self,
        layers: Layers,
        year: int = CALIBRATED_YEAR,
        settings: Settings | None = None,
        added: frozenset[str] = frozenset(),
    ) -> None:
        if not FIRST_YEAR <= year <= LAST_YEAR:
            raise BadInput(f"year {year}: expected {FIRST_YEAR} to {LAST_YEAR}")
        self.layers, self.year, self.settings = layers, year, settings or read_settings()
        # Units that a user laid over the shipped ones: they take no part in the fit of the calibrated year.
        self._added = added & frozenset(map(str, layers.facilities.index))
        self._lock = threading.RLock()
        self._outcomes: OrderedDict[tuple[str, str], Outcome] = OrderedDict()
        self._solved: OrderedDict[str, Solved] = OrderedDict()

    @cached_property
    def router(self) -> Router:
        """The router over the shipped network and these layers."""
        with self._lock:
            return Router(network.load(self.layers, self.local_roads), self.layers)

    @cached_property
    def local_roads(self) -> local_access.LocalRoads:
        """The local roads in use: those that `atlas roads` kept for facilities of these layers, read once."""
        with self._lock:
            return local_access.read_all(self.settings, self.layers)

    @cached_property
    def names(self) -> Names:
        """Every name a scenario may use."""
        return Names.of(self.layers, known_borders(self.layers.directory("network")))

    @cached_property
    def blocs(self) -> dict[str, frozenset[str]]:
        """Countries by bloc."""
        return {b: self.layers.bloc(b) for b in self.layers.bloc_names}

    @cached_property
    def _calibrated(self) -> _Stage:
        fitted = self.layers
        if self._added:
            fitted = dataclasses.replace(fitted, facilities=fitted.facilities.drop(sorted(self._added)))
        return self._stage(fitted, CALIBRATED_YEAR, self.router)

    @cached_property
    def calibration(self) -> Baseline:
        """The calibrated year: flows and the corrections that hold them."""
        with self._lock:
            # Fitted on the network in use, local roads included: the corrections take up what new roads change in cost,
            # so the baseline stays the trade of 2024. Hence the roads' digest is part of the key.
            roads = self.local_roads.digest
            kept = memory.recall(self.layers, self.settings, roads)
            if kept is not None:
                return kept
            stage = self._calibrated
            made = calibrate(stage.skeleton, open_routes(stage.router), self.blocs, self.settings.solve_time_limit_s)
            memory.keep(self.layers, self.settings, made, roads)
            return made

    @cached_property
    def _own(self) -> _Stage:
        if self.year == CALIBRATED_YEAR and not self._added:
            return self._calibrated
        return self._stage(self.layers, self.year, self.router, added=self._added)

    @cached_property
    def _before(self) -> State:
        with self._lock:
            stage = self._own
            return solve_open(stage.frame(self.calibration), stage.router, self.settings.solve_time_limit_s)

    @cached_property
    def baseline(self) -> Solved:
        """The state of this year without halts."""
        with self._lock:
            return solved(self._own.world, self._before, self.router)

    def solve(
        self,
        halts: Sequence[str] = (),
        scenario: Scenario | Mapping[str, Any] | str | Path | None = None,
        bloc: str = "us-allies",
        on: dt.date | None = None,
    ) -> Outcome:
        """Answer halts and a scenario (object, mapping or file): both states side by side.

        Raises BadInput with every problem of the question, SolverFailure when no optimum is proved.
        """
        question = self.question(halts, scenario, on)
        if bloc not in self.blocs:
            raise UnknownName("bloc", bloc, nearest(bloc, self.blocs) or sorted(self.blocs))
        key = question.key, f"{bloc}|{question.name}"
        with self._lock:
            if key in self._outcomes:
                self._outcomes.move_to_end(key)
                return self._outcomes[key]
            outcome = self._answer(question, bloc)
            self._outcomes[key] = outcome
            while len(self._outcomes) > self.settings.cache_outcomes:
                self._outcomes.popitem(last=False)
            return outcome

    def question(
        self,
        halts: Sequence[str] = (),
        scenario: Scenario | Mapping[str, Any] | str | Path | None = None,
        on: dt.date | None = None,
    ) -> Scenario:
        """Return halts and scenario as one validated scenario."""
        if len(halts) > self.settings.max_halts:
            raise BadInput(f"{len(halts)} halts: expected {self.settings.max_halts} at most")
        problems: list[str] = []
        parts: list[Scenario] = []
        for make in (lambda: from_specs(halts, self.names, on=on), lambda: self._scenario(scenario, on)):
            try:
                made = make()
                if made is not None:
                    parts.append(made)
            except BadInput as e:
                problems += e.problems
        if problems:
            raise BadInput(problems)
        return parts[0] if len(parts) == 1 else parts[1].plus(parts[0].halts)

    def _scenario(
        self, scenario: Scenario | Mapping[str, Any] | str | Path | None, on: dt.date | None
    ) -> Scenario | None:
        if scenario is None or isinstance(scenario, Scenario):
            return scenario
        if isinstance(scenario, Mapping):
            return from_dict(scenario, self.names, on=on)
        path = self.layers.scenarios.get(str(scenario), scenario)
        return read_file(path, self.names, on=on)

    def _answer(self, question: Scenario, bloc: str) -> Outcome:
        baseline = self.baseline
        halted = baseline if question.is_baseline else self._halted(question)
        notes = [f"{d}: not in force on {question.on}" for d in question.dropped]
        notes += [f"{s.words}: paid at each crossing" for s in question.surcharges]
        notes += [f"{s}: goods in transit are stopped too" for s in sorted(question.transit)]
        notes += [f"{n}: nothing of it moves in the baseline, so nothing is allowed" for n in halted.empty_caps]
        tuned = self.calibration.tuned
        if self.year != CALIBRATED_YEAR:
            tuned = (f"extrapolated from {CALIBRATED_YEAR} to {self.year}", *tuned)
        if self._added:
            tuned = (*tuned, f"{len(self._added)} units laid over the shipped ones take no part in the fit")
        return Outcome(
            layers=self.layers,
            scenario=question,
            year=self.year,
            bloc=bloc,
            bloc_countries=self.blocs[bloc],
            tuned=tuned,
            notes=tuple(notes),
            baseline=baseline,
            halted=halted,
        )

    def _halted(self, question: Scenario) -> Solved:
        if question.key in self._solved:
            return self._solved[question.key]
        stage, before = self._own, self._before
        if question.facilities or question.demand or question.tariffs or question.priority:
            layers = changed_layers(self.layers, question)
            points = {
                str(i): (float(r.lon), float(r.lat), str(r.country))
                for i, r in layers.facilities.iterrows()
                if i not in self.layers.facilities.index
            }
            router = self.router.attach(points) if points else self.router
            given = {str(f["id"]): f for f in question.facilities}
            added = self._added | (frozenset(given) - frozenset(map(str, self.layers.facilities.index)))
            changed = frozenset(i for i, f in given.items() if {"output_t", "capacity_t"} & set(f)) - added
            stage = self._stage(layers, self.year, router, question.tariffs, added, changed)
            before = solve_open(stage.frame(self.calibration), stage.router, self.settings.solve_time_limit_s)
        state = solve_halted(
            stage.frame(self.calibration),
            stage.router,
            question,
            self.blocs,
            before,
            self.settings.solve_time_limit_s,
        )
        answer = solved(stage.world, state, stage.router.router)
        self._solved[question.key] = answer
        while len(self._solved) > self.settings.cache_outcomes:
            self._solved.popitem(last=False)
        return answer

    def _stage(
        self,
        layers: Layers,
        year: int,
        router: Router,
        tariffs: Sequence[Mapping[str, Any]] = (),
        added: frozenset[str] = frozenset(),
        changed: frozenset[str] = frozenset(),
    ) -> _Stage:
        world = build_world(layers, year, added, changed)
        return _Stage(world, skeleton(world), LaneRouter(world, router, self._tariffs(world, year, tariffs)))

    def _tariffs(self, world: World, year: int, added: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Return duty in USD/t by lane: that of mid-year, plus a scenario's."""
        table = self.layers.tariff_table(dt.date(year, 7, 1))
        lanes = world.lanes
        pairs = lanes.groupby(["to_country", "from_country", "commodity"], sort=False).ngroup().to_numpy()
        first = lanes[["to_country", "from_country", "commodity"]].iloc[np.unique(pairs, return_index=True)[1]]
        duty = [0.0 if k[0] == k[1] else table.get(k, 0.0) for k in first.itertuples(index=False, name=None)]
        rate = np.array(duty)[pairs]
        for t in added:
            hit = (lanes["commodity"] == t["commodity"]) & (lanes["from_country"] != lanes["to_country"])
            for side, column in (("importer", "to_country"), ("exporter", "from_country")):
                name = str(t.get(side, "*"))
                if name != "*":
                    hit &= lanes[column].isin(self.blocs.get(name, frozenset({name})))
            rate = rate + float(t["rate_pct"]) * hit.to_numpy()
        return rate / 100 * lanes["price_usd_t"].to_numpy(dtype=float)

    def route(self, a: str | tuple[float, float], b: str | tuple[float, float], **how: Any) -> Any:
        """Return the best path between two places; see `Router.route`. A site stands for the first of its units."""
        return self.router.route(self._place(a), self._place(b), **how)

    def graph(self, mode: str = "road", countries: Sequence[str] | None = None) -> Any:
        """Return the trunk graph of a mode as an OSMnx MultiDiGraph; see `trunk_graph`."""
        return trunk_graph(self.router.network, mode, countries)

    def _place(self, place: str | tuple[float, float]) -> str | tuple[float, float]:
        facilities = self.layers.facilities
        if not isinstance(place, str) or place in facilities.index:
            return place
        units = facilities.index[facilities["site"] == place]
        return str(units[0]) if len(units) else place

    def find(self, text: str, kinds: Sequence[str] | None = None) -> pd.DataFrame:
        """Return ids by name: id, kind, name, country."""
        return self.layers.find(text, kinds)


def open(layers: str | Path | None = None, year: int = CALIBRATED_YEAR, settings: Settings | None = None) -> Study:
    """Open a study on the shipped layers, or with those at `layers` laid over them."""
    opened = open_layers(layers)
    added: frozenset[str] = frozenset()
    if layers is not None:
        shipped, present = (frozenset(map(str, x.facilities.index)) for x in (open_layers(), opened))
        # Layers that replace the shipped ones are a world of their own, fitted as a whole.
        added = present - shipped if shipped <= present else frozenset()
    return Study(opened, year, settings, added)

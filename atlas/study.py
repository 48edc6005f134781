"""A study: layers opened, network and baseline remembered, questions answered and cached.

The one place that wires the rooms together.
"""

import dataclasses
import datetime as dt
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from atlas import local_access, memory, network
from atlas.config import Settings
from atlas.config import settings as read_settings
from atlas.detour import useless_hubs
from atlas.draw import drawn_layers
from atlas.errors import BadInput, UnknownName, nearest
from atlas.halt import Names
from atlas.layers import Layers, open_layers
from atlas.model import Baseline
from atlas.outcome import Outcome, Solved, solved
from atlas.routing import Router
from atlas.scenario import Scenario, from_dict, from_specs, read_file
from atlas.solving import State, calibrate, open_routes, solve_halted, solve_open
from atlas.stage import Ground, Stage, changes_the_world, duties, ground_of, stage_of, with_stocks
from atlas.trunk_graph import trunk_graph
from atlas.way import known_borders
from atlas.world import CALIBRATED_YEAR, build_world

FIRST_YEAR, LAST_YEAR = 2015, 2040
DRAWS_KEPT = 2  # drawn studies in memory, each with its own calibration


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
        self._solved: OrderedDict[str, tuple[Solved, Solved, tuple[str, ...]]] = OrderedDict()
        self._draws: OrderedDict[int, Study] = OrderedDict()

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how to make this study anew in another process: what is slow to find goes along."""
        return _made_anew, (self.layers, self.year, self.settings, self._added, self.calibration)

    def digest(self, root: str) -> str:
        """Return a hash of all that what the module `root` finds out here rests on.

        Layers, local roads, code, year, and units that a user laid over the shipped ones.
        """
        own = [memory.key(self.layers, self.local_roads.digest, root), self.year, sorted(self._added)]
        return hashlib.sha256(repr(own).encode()).hexdigest()[:32]

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
    def _calibrated(self) -> Stage:
        fitted = self.layers
        if self._added:
            fitted = dataclasses.replace(fitted, facilities=fitted.facilities.drop(sorted(self._added)))
        world = build_world(fitted, CALIBRATED_YEAR)
        return stage_of(world, self.router, duties(fitted, self.blocs, world, CALIBRATED_YEAR))

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
    def _own(self) -> Stage:
        if self.year == CALIBRATED_YEAR and not self._added:
            return self._calibrated
        world = build_world(self.layers, self.year, self._added)
        return stage_of(world, self.router, duties(self.layers, self.blocs, world, self.year))

    @cached_property
    def ground(self) -> Ground:
        """The world of this year and its calibrated baseline: what questions stand on."""
        with self._lock:
            return Ground(self._own, self.calibration)

    @cached_property
    def before(self) -> State:
        """The solved programme of this year without halts."""
        with self._lock:
            return self._solve_open(self.ground)

    def _solve_open(self, ground: Ground) -> State:
        frame = ground.stage.frame(ground.calibration)
        return solve_open(frame, ground.stage.router, self.settings.solve_time_limit_s)

    @cached_property
    def baseline(self) -> Solved:
        """The state of this year without halts."""
        with self._lock:
            return self._read(self._own, self.before)

    def _read(self, stage: Stage, state: State) -> Solved:
        return solved(stage.world, state, self.layers, stage.skeleton, stage.router.router)

    def drawn(self, seed: int) -> "Study":
        """Return this study with what is uncertain in its layers drawn by `seed`; the last few are remembered."""
        with self._lock:
            if seed not in self._draws:
                # A sweep of draws would push everything else out of what is kept on disk.
                settings = dataclasses.replace(self.settings, cache_dir="off")
                made = Study(drawn_layers(self.layers, seed), self.year, settings, self._added)
                # Where things are, and what leads there, is not drawn.
                made.__dict__.update(router=self.router, local_roads=self.local_roads, names=self.names)
                self._draws[seed] = made
                while len(self._draws) > DRAWS_KEPT:
                    self._draws.popitem(last=False)
            return self._draws[seed]

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
        name, shipped = str(scenario), self.layers.scenarios
        path = Path(shipped.get(name, scenario))
        if not path.exists() and not path.suffix and (near := nearest(name, shipped)):  # a shipped name, misspelt
            raise UnknownName("scenario", name, near)
        return read_file(path, self.names, on=on)

    def _answer(self, question: Scenario, bloc: str) -> Outcome:
        home = self if question.draw is None else self.drawn(question.draw)
        baseline, halted, notes = home._states(dataclasses.replace(question, draw=None))
        told = [d if ": " in d and "ended" in d else f"{d}: not in force on {question.on}" for d in question.dropped]
        told += [f"{s.words}: paid at each crossing" for s in question.surcharges]
        told += [f"{s}: goods in transit are stopped too" for s in sorted(question.transit)]
        told += [f"{n}: nothing of it moves in the baseline, so nothing is allowed" for n in halted.empty_caps]
        if question.transshipment:
            told.append("transshipment is on: banned goods may pass third countries, up to a share of their trade")
        told += useless_hubs(halted.world, question, self.blocs)
        tuned = home.calibration.tuned
        if self.year != CALIBRATED_YEAR:
            tuned = (f"extrapolated from {CALIBRATED_YEAR} to {self.year}", *tuned)
        if question.draw is not None:
            tuned = (f"draw {question.draw} of what is uncertain; calibrated anew", *tuned)
        if self._added:
            tuned = (*tuned, f"{len(self._added)} units laid over the shipped ones take no part in the fit")
        return Outcome(
            layers=home.layers,
            scenario=question,
            year=self.year,
            bloc=bloc,
            bloc_countries=self.blocs[bloc],
            tuned=tuned,
            notes=(*told, *notes),
            baseline=baseline,
            halted=halted,
        )

    def _states(self, question: Scenario) -> tuple[Solved, Solved, tuple[str, ...]]:
        """Return both states of a question, and what to tell of how they were made."""
        if question.is_baseline:
            return self.baseline, self.baseline, ()
        with self._lock:
            if question.key not in self._solved:
                self._solved[question.key] = self._solve_question(question)
                while len(self._solved) > self.settings.cache_outcomes:
                    self._solved.popitem(last=False)
            return self._solved[question.key]

    def changed(self, q: Scenario, *, buyers_only: bool = False) -> Ground:
        """Return the world of this year as a question changes it, nothing halted yet; see `stage.ground_of`."""
        stands = (self.layers, self.year, self.router, self.calibration, self.blocs, self._added)
        return ground_of(*stands, q, buyers_only=buyers_only)

    def _solve_question(self, q: Scenario) -> tuple[Solved, Solved, tuple[str, ...]]:
        ground, before, baseline = self.ground, self.before, self.baseline
        if changes_the_world(q):
            ground = self.changed(q)
            before = self._solve_open(ground)
        if q.buyers or q.contracts:
            # A buyer is in both states, so the baseline is that of the world with it and nothing else.
            alone = self.changed(q, buyers_only=True)
            baseline = self._read(alone.stage, self._solve_open(alone))
        ground = with_stocks(ground, q, ground.stage.router.tariff_usd_t)
        frame = ground.stage.frame(ground.calibration)
        limit = self.settings.solve_time_limit_s
        state = solve_halted(frame, ground.stage.router, q, self.blocs, before, limit)
        return baseline, self._read(ground.stage, state), ground.notes

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


def _made_anew(
    layers: Layers, year: int, settings: Settings, added: frozenset[str], calibration: Baseline
) -> Study:
    made = Study(layers, year, settings, added)
    made.__dict__["calibration"] = calibration
    return made


def open(layers: str | Path | None = None, year: int = CALIBRATED_YEAR, settings: Settings | None = None) -> Study:
    """Open a study on the shipped layers, or with those at `layers` laid over them."""
    opened = open_layers(layers)
    added: frozenset[str] = frozenset()
    if layers is not None:
        shipped, present = (frozenset(map(str, x.facilities.index)) for x in (open_layers(), opened))
        # Layers that replace the shipped ones are a world of their own, fitted as a whole.
        added = present - shipped if shipped <= present else frozenset()
    return Study(opened, year, settings, added)

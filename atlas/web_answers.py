"""Answers of a running server: solved in a few places, waited for within limits, remembered."""

import dataclasses
import threading
import time
import tomllib
from collections import OrderedDict, deque
from collections.abc import Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as WaitTimeout
from functools import cached_property
from typing import Any

from atlas.config import Settings
from atlas.errors import BadInput, UnknownName, nearest
from atlas.web_documents import Document, Kept
from atlas.web_errors import Overload, TimeUp, TooMany
from atlas.web_limits import asker as counted
from atlas.web_query import Query

__all__ = ["Answers", "Document"]


class Answers:
    """Solves for many askers: `solve_slots` at once, `solve_queue` waiting, the same question once.

    Raises Overload when the queue is full, TimeUp when an answer takes longer than `solve_time_limit_s`, TooMany when
    one address asks for more than `solves_per_minute` new answers.
    """

    def __init__(self, study: Any, settings: Settings) -> None:
        self.study, self.settings = study, settings
        self.documents = Kept(settings.cache_bytes)
        self._pool = ThreadPoolExecutor(max_workers=max(1, settings.solve_slots), thread_name_prefix="solve")
        self._lock = threading.Lock()
        self._running: dict[Hashable, Future[Any]] = {}
        self._done: OrderedDict[Hashable, Any] = OrderedDict()
        self._asked: dict[str, deque[float]] = {}
        self.solved = 0  # answers found since the start
        self._pace_s, self._last = 0.0, 0.0  # time from one answer to the next while there is always one to find

    @property
    def unfinished(self) -> int:
        """Solves that run or wait."""
        return len(self._running)

    def close(self) -> None:
        """Start no more solves; those that wait are given up."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def question(self, query: Query) -> Any:
        """Return the validated scenario of a query; raises BadInput with all problems."""
        names = self.study.layers.bloc_names
        if query.bloc not in names:
            raise UnknownName("bloc", query.bloc, nearest(query.bloc, names) or sorted(names))
        if query.named:
            query = dataclasses.replace(query, scenario=self.stored(query.named), named="")
        return self.study.question(query.halts, query.mapping, query.on)

    def stored(self, name: str) -> dict[str, Any]:
        """Return a scenario that comes with the layers; raises UnknownName (a path is no name)."""
        found = self.study.layers.scenarios
        if name not in found:
            raise UnknownName("scenario", name, nearest(name, found) or sorted(found))
        try:
            return {"name": name} | tomllib.loads(found[name].read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise BadInput(f"scenario {name}: {error}") from None

    @cached_property
    def scenarios(self) -> dict[str, str]:
        """The scenarios that come with the layers: title by name, by title."""
        titles = {}
        for name in self.study.layers.scenarios:
            try:
                titles[name] = str(self.stored(name)["name"])
            except BadInput:
                titles[name] = name
        return dict(sorted(titles.items(), key=lambda r: (r[1].casefold(), r[0])))

    def key(self, question: Any, bloc: str) -> Hashable:
        """Return what tells one answer from another."""
        return question.key, question.name, bloc

    def outcome(self, question: Any, bloc: str, asker: str = "") -> Any:
        """Return the outcome of a question, solved now or remembered."""
        key = self.key(question, bloc)
        with self._lock:
            if key in self._done:
                self._done.move_to_end(key)
                return self._done[key]
            waiting = self._running.get(key)
            if waiting is None:
                if self._busy():
                    raise Overload("the server is busy solving; try again in a few seconds")
                self._count(asker)
                if not self._running:
                    self._last = time.monotonic()
                waiting = self._running[key] = self._pool.submit(self._solve, key, question, bloc, time.monotonic())
        try:
            return waiting.result(timeout=self.settings.solve_time_limit_s)
        except WaitTimeout:
            if waiting.done():
                raise
            raise TimeUp(f"no answer within {self.settings.solve_time_limit_s:g} s; it is still being solved") from None

    def _busy(self) -> bool:
        """Return whether all places are taken, or those who wait would wait for too long at the present pace."""
        ahead, most_s = len(self._running), self.settings.solve_wait_s
        if ahead >= self.settings.solve_slots + self.settings.solve_queue:
            return True
        return bool(most_s) and ahead >= self.settings.solve_slots and ahead * self._pace_s > most_s

    def _solve(self, key: Hashable, question: Any, bloc: str, since: float) -> Any:
        try:
            # What has waited too long after all makes room: a flood is over within the longest wait, slow as it got.
            if self.settings.solve_wait_s and time.monotonic() - since > self.settings.solve_wait_s:
                raise Overload("the server is busy solving; try again in a few seconds")
            try:
                made = self.study.solve(scenario=question, bloc=bloc)
            finally:
                self._keep_pace()
            with self._lock:
                self.solved += 1
                self._done[key] = made
                while len(self._done) > self.settings.cache_outcomes:
                    self._done.popitem(last=False)
            return made
        finally:
            with self._lock:
                self._running.pop(key, None)

    def _keep_pace(self) -> None:
        """Note that a solve has ended."""
        with self._lock:
            now = time.monotonic()
            spent = now - self._last
            self._pace_s = 0.7 * self._pace_s + 0.3 * spent if self._pace_s else spent
            self._last = now

    def _count(self, asker: str) -> None:
        """Count a new answer for an address; raises TooMany over the limit."""
        limit = self.settings.solves_per_minute
        if not asker or limit <= 0:
            return
        asker = counted(asker)
        now = time.monotonic()
        recent = self._asked.setdefault(asker, deque())
        while recent and recent[0] < now - 60:
            recent.popleft()
        if len(recent) >= limit:
            raise TooMany(f"{limit} new answers a minute are the limit for one address; asked ones stay quick")
        recent.append(now)
        if len(self._asked) > 10_000:  # forget addresses that went quiet
            self._asked = {a: r for a, r in self._asked.items() if r and r[-1] > now - 60}

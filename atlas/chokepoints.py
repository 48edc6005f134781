"""Worst sets of a study: searched exactly over processes, kept as they come, and read back as what markets would do."""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import comb
from typing import Any

import pandas as pd

from atlas.candidates import SET_KINDS, Candidate, candidates, set_candidates
from atlas.errors import BadInput, NoAnswer
from atlas.journal import Journal
from atlas.losses import EFFECTS, Lens, account, from_record, lens
from atlas.many_solves import Crew, workers_of
from atlas.set_values import BLOC_WEIGHT, Question, alike, value
from atlas.singles import solve_one
from atlas.study import Study
from atlas.worst_sets import Ranked, Search, Value

Progress = Callable[[int, int, str], None]
# Sets of which the bloc's shortage, spending and days are worked out.
TOLD = 50
# How long a search may take unless told otherwise, by size.
LIMIT_S = {1: 300.0, 2: 600.0, 3: 1800.0}
LARGEST = 3
# A gap above which a set is not called the worst.
PROOF_GAP = 1e-6


@dataclass(frozen=True)
class WorstSets:
    """The worst sets of a size that were found, and how sure that is.

    `table` has a row a set, worst first: members (ids), names, v_rise_usd (rise of V over nothing lost), proved (no
    other set beats it but those above), and `losses.EFFECTS`: what markets would do without it, not optimised.
    `bound_usd` is what no other set's rise exceeds; `gap` how far the first may be off, as a part of its rise.
    `best_single` is the id of the worst single by V.
    """

    question: Question
    size: int
    table: pd.DataFrame
    bound_usd: float
    gap: float
    solves: int
    known: int
    best_single: str

    @property
    def proved(self) -> bool:
        """Whether the first set is the worst."""
        return self.gap <= PROOF_GAP

    @property
    def sets(self) -> int:
        """How many sets of this size there are, which brute force would solve."""
        return comb(len(self.question.candidates), self.size)

    @property
    def without_best_single(self) -> bool:
        """Whether the best set leaves out the worst single."""
        return bool(len(self.table)) and self.best_single not in self.table.at[0, "members"]


def question(
    study: Study, bloc: str, element: str, among: Sequence[str] = SET_KINDS, weight: float = BLOC_WEIGHT,
    *, cut: bool = False,
) -> Question:  # fmt: skip
    """Return what sets are valued by; raises BadInput with every problem, NoAnswer without candidates."""
    problems: list[str] = []
    looked: Lens | None = None
    chosen: tuple[Candidate, ...] = ()
    world = study.ground.stage.world
    try:
        looked = lens(world, study.blocs, bloc, "magnet", element)
    except BadInput as e:
        problems += e.problems
    try:
        found = candidates(world, study.baseline.reading, study.layers, study.names.border)
        chosen = set_candidates(found, among or SET_KINDS)
    except BadInput as e:
        problems += e.problems
    if not weight > 0 or weight > 1000:
        problems.append(f"weight {weight:g}: expected above 0 and at most 1,000")
    if problems or looked is None:
        raise BadInput(problems)
    if not chosen:
        raise NoAnswer("nothing of these kinds could be lost")
    return Question(looked, chosen, float(weight), cut)


def worst_sets(
    study: Study,
    asked: Question,
    size: int,
    limit_s: float | None = None,
    top: int = TOLD,
    progress: Progress | None = None,
) -> WorstSets:
    """Search the worst sets of `size` for `limit_s`, go on from what was solved before, and tell the first `top`.

    `progress` is told (solves, 0, words) while searching, then (done, total, words). Raises BadInput, and NoAnswer
    where the time was over before any set was valued.
    """
    if not 1 <= size <= LARGEST:
        raise BadInput(f"size {size}: expected 1 to {LARGEST}")
    if limit_s is not None and not limit_s > 0:
        raise BadInput(f"time limit {limit_s:g} s: expected above 0")
    search = searched(study, asked, size, limit_s, top, progress)
    ranked = search.ranked(top)
    if not ranked and search.size <= search.n:
        raise NoAnswer(f"no set of {size} was valued in the time; what was solved is kept, so ask again")
    known = search.solved.find(frozenset())
    nothing = known.v if known else 0.0
    table = _told(study, asked, ranked, nothing, progress)
    scores = {n: search.solved.find(frozenset({n})) for n in range(search.n)}
    single = max(scores, key=lambda n: (scores[n].v if scores[n] else 0.0, -n), default=-1)  # type: ignore[union-attr]
    bound = max(search.bound, search.worst[0].v if search.worst else -float("inf"))
    return WorstSets(
        question=asked,
        size=size,
        table=table,
        bound_usd=max(bound - nothing, 0.0),
        gap=search.gap,
        solves=search.solves,
        known=len(search.solved.values) - search.solves,
        best_single=asked.candidates[single].id if single >= 0 else "",
    )


def searched(
    study: Study,
    asked: Question,
    size: int,
    limit_s: float | None = None,
    wanted: int = 1,
    progress: Progress | None = None,
    enough: float | None = None,
) -> Search:
    """Run a search until it has what is wanted or `limit_s` is over; see `worst_sets.Search`.

    Every value is kept as it comes, by the ids of what is lost, so a search that was stopped goes on where it was.
    """
    journal = Journal(study.settings, f"sets-{asked.lens.bloc}-{asked.lens.element}", _key(study, asked))
    sorts = [(c.kind, c.stage) for c in asked.candidates]
    search = Search(len(sorts), size, alike(asked.candidates), wanted, enough, sorts)
    number = {c.id: n for n, c in enumerate(asked.candidates)}
    for key, record in journal.records.items():
        members = key.split(" ") if key else []
        held = frozenset(number[i] for i in record["used"])
        search.remember(frozenset(number[i] for i in members), Value(float(record["v"]), held))
    limit = LIMIT_S[min(size, LARGEST)] if limit_s is None else limit_s
    ends = time.monotonic() + limit
    tell = progress or (lambda done, total, what: None)
    with Crew(value, (study, asked), workers_of(study.settings.workers)) as crew:

        def ask() -> tuple[int, ...] | None:
            s = search.ask() if time.monotonic() < ends else None
            return None if s is None else tuple(sorted(s))

        def take(s: tuple[int, ...], record: dict[str, Any]) -> None:
            ids = {"v": record["v"], "used": [asked.candidates[n].id for n in record["used"]]}
            journal.add(" ".join(sorted(asked.candidates[n].id for n in s)), ids)
            search.tell(frozenset(s), Value(float(record["v"]), frozenset(record["used"])))
            tell(search.solves, 0, _so_far(search, asked))

        crew.drive(ask, take)
    return search


def _key(study: Study, asked: Question) -> str:
    """Return what values rest on: the study, the price, and the candidates, since `used` tells of these alone."""
    price = "cut" if asked.cut else f"{asked.weight!r}"
    rests_on = (study.digest("set_values"), price, [(c.id, c.halts) for c in asked.candidates])
    return hashlib.sha256(repr(rests_on).encode()).hexdigest()[:32]


def _so_far(search: Search, asked: Question) -> str:
    best = search.best
    if best is None:
        return "losing one thing at a time"
    names = " + ".join(asked.candidates[n].id for n in best.members)
    state = f"gap {100 * search.gap:.1f} %" if search.gap > 0 else f"proved; {len(search.worst)} ranked"
    return f"{names}, {state}"


def _told(
    study: Study, asked: Question, ranked: Sequence[Ranked], nothing: float, progress: Progress | None
) -> pd.DataFrame:
    """Return the table of sets, each solved as markets would do it; what was solved before is read again."""
    world, look = study.ground.stage.world, asked.lens
    before = account(world, study.before)
    journal = Journal(study.settings, "lost-sets", study.digest("singles"))
    halts = [tuple(sorted({h for n in r.members for h in asked.candidates[n].halts})) for r in ranked]
    keys = [" ".join(h) for h in halts]
    missing = [k for k in dict.fromkeys(keys) if k not in journal.records]
    if missing:
        with Crew(solve_one, study, min(workers_of(study.settings.workers), len(missing))) as crew:
            for done, (n, record) in enumerate(crew.each([k.split(" ") for k in missing])):
                journal.add(missing[n], record)
                if progress:
                    progress(done + 1, len(missing), "what markets would do without the worst sets")
    rows = []
    for r, key in zip(ranked, keys, strict=True):
        members = [asked.candidates[n] for n in r.members]
        a = from_record(journal.records[key], before)
        rows.append(
            {
                "members": tuple(c.id for c in members),
                "names": tuple(c.name for c in members),
                "v_rise_usd": r.v - nothing,
                "proved": r.proved,
                **look.effects(before, a),
            }
        )
    return pd.DataFrame(rows, columns=["members", "names", "v_rise_usd", "proved", *EFFECTS])

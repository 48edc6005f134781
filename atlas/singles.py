"""What costs most to lose, one thing at a time: every candidate solved without it, ranked for any bloc and element.

The solves are the same for all blocs, commodities and elements, so they are made once and kept; a ranking only reads
them. What nothing moves through is not solved: the baseline's flows remain allowed without it, so its loss is nought.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from atlas.candidates import Candidate, candidates
from atlas.errors import NoAnswer
from atlas.halt_words import country_name
from atlas.journal import Journal
from atlas.losses import Account, Lens, account, from_record, to_record
from atlas.many_solves import Crew, workers_of
from atlas.scenario import from_specs
from atlas.solving import State, solve_halted
from atlas.study import Study

Progress = Callable[[int, int, str], None]
# Movers named in an explanation, and the least part of the loss that is worth a name.
NAMED, LEAST_NAMED_SHARE = 3, 0.02


@dataclass(frozen=True)
class Singles:
    """Every candidate with the account of the world without it; `before` is the baseline's.

    `accounts` by candidate id; those of idle candidates are the baseline's own.
    """

    study: Study
    candidates: tuple[Candidate, ...]
    before: Account
    accounts: Mapping[str, Account]
    solves: int
    _tables: dict[tuple[str, str, str], pd.DataFrame] = field(default_factory=dict, repr=False, compare=False)

    def table(self, lens: Lens) -> pd.DataFrame:
        """Return a row for each candidate, what costs the bloc most first.

        Columns: id, kind, name, country, stage, through_t (what it carries or makes in the baseline; none for all
        production of a country, whose stages do not add up), those of `losses.EFFECTS`, objective_rise_usd,
        replaced_by (words), proved_nil.
        """
        key = lens.bloc, lens.commodity, lens.element
        if key not in self._tables:
            self._tables[key] = self._ranked(lens)
        return self._tables[key].copy()

    def _ranked(self, lens: Lens) -> pd.DataFrame:
        nothing = lens.effects(self.before, self.before)
        rows = []
        for c in self.candidates:
            a = self.accounts[c.id]
            rows.append(
                {
                    "id": c.id, "kind": c.kind, "name": c.name, "country": c.country, "stage": c.stage,
                    "through_t": c.t if c.kind != "production" else float("nan"),
                    **(nothing if c.idle else lens.effects(self.before, a)),
                    "objective_rise_usd": a.objective_usd - self.before.objective_usd,
                    "replaced_by": "" if c.idle else self.replaced_by(c, lens),
                    "proved_nil": c.idle,
                }
            )  # fmt: skip
        made = pd.DataFrame(rows)
        # Below a tenth of a tonne a loss is the solver's rounding: what costs more then comes first.
        key = made.assign(lost=made["lost_t"].round(1))
        order = {"lost": False, "short_t": False, "objective_rise_usd": False, "id": True}
        at = key.sort_values(list(order), ascending=list(order.values())).index
        return made.loc[at].reset_index(drop=True)

    def only(self, kinds: Sequence[str]) -> "Singles":
        """Return the candidates of these kinds alone, all for none; raises NoAnswer where there is none of them."""
        if not kinds:
            return self
        chosen = tuple(c for c in self.candidates if c.kind in kinds)
        if not chosen:
            raise NoAnswer("nothing of these kinds could be lost")
        return self._of(chosen)

    def top(self, lens: Lens, most: int | None) -> "Singles":
        """Return the first `most` of the ranking through a lens alone; all for None."""
        if most is None:
            return self
        ids = set(self.table(lens)["id"].head(most))
        return self._of(tuple(c for c in self.candidates if c.id in ids))

    def _of(self, chosen: tuple[Candidate, ...]) -> "Singles":
        ids = {c.id for c in chosen}
        kept = {k: t[t["id"].isin(ids)].reset_index(drop=True) for k, t in self._tables.items()}
        return dataclasses.replace(self, candidates=chosen, _tables=kept)

    def replaced_by(self, c: Candidate, lens: Lens) -> str:
        """Say in words who lost sales to the bloc, who took over and what stayed short."""
        change = lens.by_source(self.accounts[c.id]).sub(lens.by_source(self.before), fill_value=0.0)
        by_source = change.groupby(level="from_country").sum()
        lost, gained = -by_source[by_source < 0].sum(), by_source[by_source > 0].sum()
        if lost < 0.5:
            return "its supply does not change"
        least = LEAST_NAMED_SHARE * lost
        layers = self.study.layers

        def named(part: pd.Series, sign: float) -> str:
            top = (sign * part).sort_values(ascending=False)
            top = top[top >= least].head(NAMED)
            return ", ".join(f"{country_name(str(k), layers)} {v:,.0f} t" for k, v in top.items())

        told = f"less from {named(by_source, -1.0)}"
        if gains := named(by_source, 1.0):
            told += f"; more from {gains}"
        if lost - gained >= least:
            told += f"; {lost - gained:,.0f} t not replaced"
        return told


def singles(study: Study, progress: Progress | None = None) -> Singles:
    """Solve the world without each candidate, over several processes; what was solved before is read again.

    `progress` is told (done, total, name). A stop in between loses only the solves that were under way.
    """
    found = candidates(study.ground.stage.world, study.baseline.reading, study.layers, study.names.border)
    before = account(study.ground.stage.world, study.before)
    journal = Journal(study.settings, "singles", study.digest("singles"))
    busy = {c.id: c for c in found if not c.idle}
    missing = journal.missing(busy)
    tell = progress or (lambda done, total, what: None)
    done = len(busy) - len(missing)
    tell(done, len(busy), "")
    if missing:
        # The longest first, as far as that can be told: the last to end then ends soon.
        missing.sort(key=lambda i: -busy[i].t)
        with Crew(solve_one, study, min(workers_of(study.settings.workers), len(missing))) as crew:
            for n, record in crew.each([busy[i].halts for i in missing]):
                journal.add(missing[n], record)
                done += 1
                tell(done, len(busy), busy[missing[n]].name)
    accounts = {c.id: before if c.idle else from_record(journal.records[c.id], before) for c in found}
    return Singles(study, found, before, accounts, len(missing))


def solve_one(study: Study, halts: Sequence[str]) -> dict[str, Any]:
    """Return the account of the world without what `halts` take away, as a record."""
    world = study.ground.stage.world
    return to_record(account(world, halted(study, halts)), account(world, study.before))


def halted(study: Study, halts: Sequence[str], *, fair: bool = True) -> State:
    """Solve a study's year under halts."""
    stage = study.ground.stage
    return solve_halted(
        stage.frame(study.ground.calibration), stage.router, from_specs(halts, study.names), study.blocs, study.before,
        study.settings.solve_time_limit_s, fair=fair,
    )  # fmt: skip

"""The fewest things whose loss takes a bloc below a share of its demand, whatever anybody does about it.

What counts is the least the bloc can be short of: all the world's magnets flow to it if need be, at any cost. It only
rises with what is lost, so the search of worst sets bounds it; where no set of a size takes the bloc below, none
smaller does. As markets behave, less may do: the least shortage is a floor under what they make of it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from atlas.chokepoints import LIMIT_S, searched
from atlas.errors import BadInput
from atlas.set_values import Question
from atlas.study import Study

Progress = Callable[[int, int, str], None]
LARGEST = 4


@dataclass(frozen=True)
class MinimumCut:
    """The smallest set found, and what is proved.

    `members` are ids (none where nothing of up to `size` things does it), `short_share` the least part of its demand
    that the bloc then lacks, `refuted` the size up to which no set takes the bloc below `share`; `demand_t` and
    `short_t` in tonnes through the lens. `proved` that there is no smaller set.
    """

    question: Question
    share: float
    members: tuple[str, ...]
    names: tuple[str, ...]
    size: int
    short_t: float
    short_share: float
    demand_t: float
    refuted: int
    solves: int

    @property
    def proved(self) -> bool:
        """Whether no smaller set does it."""
        return bool(self.members) and self.refuted >= len(self.members) - 1


def minimum_cut(
    study: Study,
    asked: Question,
    share: float = 0.5,
    largest: int = LARGEST,
    limit_s: float | None = None,
    progress: Progress | None = None,
) -> MinimumCut:
    """Search the smallest set that leaves the bloc less than `share` of its demand at best.

    `asked` is a question with `cut`. Raises BadInput for a share that is none.
    """
    if not 0 < share < 1:
        raise BadInput(f"share {share:g}: expected between 0 and 1")
    world, look = study.ground.stage.world, asked.lens
    inside = world.demand[world.demand["country"].isin(look.countries)]
    demand_t = float((inside["demand_t"] * [look.content["magnet", g] for g in inside["grade"]]).sum())
    # Below the share means more short than the rest, by more than a rounding.
    enough = (1 - share) * demand_t * (1 + 1e-9)
    solves = refuted = 0
    for size in range(1, min(largest, len(asked.candidates)) + 1):
        limit = limit_s if limit_s is not None else LIMIT_S[min(size, 3)]
        search = searched(study, asked, size, limit, 1, progress, enough)
        solves += search.solves
        best = search.best
        if best is not None and best.v >= enough:
            chosen = [asked.candidates[n] for n in best.members]
            members, names = tuple(c.id for c in chosen), tuple(c.name for c in chosen)
            return MinimumCut(asked, share, members, names, size, best.v, best.v / demand_t, demand_t, refuted, solves)
        if not search.finished:
            break
        refuted = size
    return MinimumCut(asked, share, (), (), refuted, 0.0, 0.0, demand_t, refuted, solves)

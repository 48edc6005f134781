"""What could be lost: every facility, port, passage, border, country and stage of a country, as halts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from atlas.errors import BadInput, UnknownName, nearest
from atlas.halt_words import country_name, describe
from atlas.layers import Layers
from atlas.readback import LEAST_FLOW_T, Reading
from atlas.world import STAGES, World

KINDS: tuple[str, ...] = ("facility", "port", "passage", "border", "exports", "production", "stage")
# A facility is a candidate for a worst set from this part of its stage's output on.
LEAST_STAGE_SHARE = 0.01
# The sets are sought among these unless told otherwise.
SET_KINDS: tuple[str, ...] = ("passage", "stage", "facility")


@dataclass(frozen=True)
class Candidate:
    """One thing that could be lost: `halts` are the specs that take it away, `t` what it carries or makes a year.

    `id` is the spec where one says it all, `production:AAA` for all stages of a country. `country` is empty for a
    passage, both countries of a border; `stage` names the stage of a facility or a stage halt. `units` are the
    facilities that go with it (none for what is only passed through).
    """

    id: str
    kind: str
    name: str
    halts: tuple[str, ...]
    country: str
    stage: str
    t: float
    units: frozenset[str] = frozenset()

    @property
    def idle(self) -> bool:
        """Whether nothing moves through it in the baseline: its loss alone then costs nothing, provably.

        The flows of the baseline remain allowed without it, and no halt lowers the optimum.
        """
        return self.t <= LEAST_FLOW_T


def candidates(world: World, reading: Reading, layers: Layers, borders: Iterable[str]) -> tuple[Candidate, ...]:
    """Return everything that could be lost of a world, sorted by kind (in the order of KINDS) and id.

    `reading` is the baseline; `borders` the pairs of countries whose border a land route may cross.
    """
    lanes, u = reading.lanes, world.units
    made = reading.units["output_t"]
    found: list[Candidate] = []

    def add(kind: str, i: str, halts: Sequence[str], country: str, stage: str, t: float, units: Iterable[str]) -> None:
        name = f"all production in {country_name(country, layers)}" if kind == "production" else describe(i, layers)
        found.append(Candidate(i, kind, name, tuple(halts), country, stage, float(t), frozenset(units)))

    for i in u.index:
        place = str(u.at[i, "country"]), str(u.at[i, "stage"])
        add("facility", f"facility:{i}", [f"facility:{i}"], *place, made[i], [i])
    for kind, column, ids in (
        ("port", "ports", layers.ports.index),
        ("passage", "passages", layers.passages.index),
        ("border", "borders", borders),
    ):
        passed = _passed(lanes, column)
        for i in sorted(map(str, ids)):
            country = {"port": lambda i=i: str(layers.ports.at[i, "country"]), "border": lambda i=i: i}.get(kind, str)()
            add(kind, f"{kind}:{i}", [f"{kind}:{i}"], country, "", passed.get(i, 0.0), ())
    abroad = lanes[lanes["from_country"] != lanes["to_country"]].groupby("from_country")["t"].sum()
    for c in sorted(set(u["country"])):
        mine = u.index[u["country"] == c]
        add("exports", f"country:{c}", [f"country:{c}"], c, "", abroad.get(c, 0.0), ())
        stages = [s for s in STAGES if (u.loc[mine, "stage"] == s).any()]
        specs = {s: f"stage:{c}/{s}" for s in stages}
        add("production", f"production:{c}", list(specs.values()), c, "", made[mine].sum(), mine)
        for s, spec in specs.items():
            own = mine[u.loc[mine, "stage"] == s]
            add("stage", spec, [spec], c, s, made[own].sum(), own)
    return tuple(sorted(found, key=lambda x: (KINDS.index(x.kind), x.id)))


def set_candidates(
    everything: Sequence[Candidate], kinds: Sequence[str] = SET_KINDS, least_share: float = LEAST_STAGE_SHARE
) -> tuple[Candidate, ...]:
    """Return what worst sets are sought among: of the `kinds`, with facilities from `least_share` of their stage on.

    Idle passages, ports and borders stay: they matter once another is lost. Raises BadInput for an unknown kind.
    """
    problems = [UnknownName("kind", k, nearest(k, KINDS) or KINDS).problems[0] for k in kinds if k not in KINDS]
    if problems:
        raise BadInput(problems)
    total: dict[str, float] = {}
    for c in everything:
        if c.kind == "facility":
            total[c.stage] = total.get(c.stage, 0.0) + c.t
    carriers = ("port", "passage", "border")
    return tuple(
        c
        for c in everything
        if c.kind in kinds
        and (c.kind in carriers or not c.idle)
        and (c.kind != "facility" or c.t >= least_share * total[c.stage])
    )


def _passed(lanes: pd.DataFrame, column: str) -> dict[str, float]:
    """Return tonnes by what is passed, of a column of semicolon lists."""
    pairs = lanes[[column, "t"]].assign(**{column: lanes[column].str.split(";")}).explode(column)
    return {str(k): float(v) for k, v in pairs.groupby(column)["t"].sum().items() if k}

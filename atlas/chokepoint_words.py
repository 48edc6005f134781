"""What costs most to lose, in words and as plain data."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from atlas.candidates import KINDS
from atlas.chokepoints import WorstSets
from atlas.losses import Lens
from atlas.minimum_cut import MinimumCut
from atlas.singles import Singles
from atlas.summary import rounded

KIND_WORDS = {
    "facility": "a facility", "port": "a port", "passage": "a passage", "border": "a border",
    "exports": "exports of a country", "production": "all production of a country", "stage": "a stage of a country",
}  # fmt: skip
NOT_OPTIMISED = (
    "Shortage, spending and days of a set are what markets would do with it lost; the search optimised V, not these."
)
# Below this a loss is told as none.
LEAST_T = 0.5


def percent(share: float) -> str:
    """Return a share as a percentage with a digit that tells something."""
    value = 100 * share
    return f"{value:.0f} %" if abs(value) >= 99.95 or value == 0 else f"{value:.1f} %"


def singles_sentence(found: Singles, look: Lens) -> str:
    """Say what costs a bloc most to lose, and what follows."""
    table = found.table(look)
    hit = table[table["lost_t"] >= LEAST_T]
    goods = _goods(look)
    if not len(hit):
        return f"Losing any one thing costs {look.bloc} none of its {goods}."
    first = hit.iloc[0]
    text = (
        f"Losing {first['name']} costs {look.bloc} most: {first['lost_t']:,.0f} {look.unit} a year, "
        f"{percent(first['lost_share'])} of its {goods}"
    )
    rest = [f"{r['name']} ({percent(r['lost_share'])})" for _, r in hit.iloc[1:4].iterrows()]
    text += f"; then {', '.join(rest)}. " if rest else ". "
    nil = int(table["proved_nil"].sum())
    proved = f"; {nil} carry nothing in the baseline, so losing one alone provably costs nothing." if nil else "."
    return f"{text}Of {len(table)} things that could be lost {len(hit)} cost supply{proved}"


def cheapest_way_round(found: Singles, look: Lens, kinds: Sequence[str] = ("passage", "port", "border")) -> str:
    """Say which passage, port or border costs most to go round, where that is any."""
    table = found.table(look)
    part = table[table["kind"].isin(kinds) & (table["extra_spend_usd"] > 0)].sort_values(
        "extra_spend_usd", ascending=False
    )
    if not len(part):
        return ""
    r = part.iloc[0]
    return (
        f"Of what is only passed through, {r['name']} costs {look.bloc} most to go round: "
        f"{r['extra_spend_usd'] / 1e6:,.1f} million USD a year and {r['extra_days']:+.2f} days on a delivered tonne."
    )


def sets_sentence(found: WorstSets) -> str:
    """Say which set is the worst, or how far the best found may be off."""
    look = found.question.lens
    if not len(found.table):
        return f"There is no set of {found.size} to lose."
    r = found.table.iloc[0]
    names = " and ".join(r["names"])
    word = {1: "thing", 2: "pair", 3: "set of three"}[found.size]
    if found.proved:
        text = f"The worst {word} for {look.bloc} is {names}, proved over {found.sets:,} sets with {_solves(found)}"
    else:
        text = (
            f"Of the sets looked at the {word} that costs {look.bloc} most is {names}; it is not proved the worst: "
            f"another could cost up to {percent(found.gap)} more ({_solves(found)}, {found.sets:,} sets)"
        )
    text += f": {r['short_t']:,.0f} t of magnets short, {percent(r['lost_share'])} of its {_goods(look)} lost."
    if found.size > 1:
        single = next(c.name for c in found.question.candidates if c.id == found.best_single)
        text += (
            f" It leaves out the worst single, {single}." if found.without_best_single
            else f" It holds the worst single, {single}."
        )  # fmt: skip
    return text


def cut_sentence(found: MinimumCut) -> str:
    """Say how few things take a bloc below a share of its demand."""
    look = found.question.lens
    goods = "magnets" if look.element == "all" else f"{look.element} in magnets"
    below = f"below {percent(found.share)} of its demand for {goods}"
    if not found.members:
        many = f"up to {found.refuted} things" if found.refuted else "things that was looked at"
        return f"No set of {many} takes {look.bloc} {below} for certain ({found.solves} solves)."
    few = f"{len(found.members)} thing{'s' if len(found.members) > 1 else ''}"
    sure = "no smaller set does" if found.proved else "a smaller set was not ruled out in the time"
    return (
        f"{few} take{'' if len(found.members) > 1 else 's'} {look.bloc} {below}, whatever anybody does: "
        f"{' and '.join(found.names)}. At least {percent(found.short_share)} would be short; {sure}."
    )


def singles_json(found: Singles, look: Lens, top: int | None = None) -> dict[str, Any]:
    """Return the ranking as plain data, floats at six significant digits; the first `top` rows, all for None."""
    table = found.table(look)
    halts = {c.id: list(c.halts) for c in found.candidates}
    rows = table if top is None else table.head(top)
    return {
        **_asked(look, found.study.year, 1),
        "supply_t": _six(look.supply_t(found.before)),
        "unit": look.unit,
        "candidates": len(table),
        "proved_nil": int(table["proved_nil"].sum()),
        "sentence": singles_sentence(found, look),
        "rows": [
            {"rank": n + 1, "halts": halts[r["id"]], **rounded(r)} for n, r in enumerate(_plain(rows))
        ],
    }  # fmt: skip


def sets_json(found: WorstSets, top: int | None = None) -> dict[str, Any]:
    """Return the worst sets as plain data, floats at six significant digits."""
    look, q = found.question.lens, found.question
    halts = {c.id: c.halts for c in q.candidates}
    rows = found.table if top is None else found.table.head(top)
    return {
        **_asked(look, None, found.size),
        "weight": q.weight,
        "among": sorted({c.kind for c in q.candidates}, key=KINDS.index),
        "candidates": len(q.candidates),
        "sets": found.sets,
        "solves": found.solves,
        "known_before": found.known,
        "proved": found.proved,
        "bound_usd": _six(found.bound_usd),
        "gap_share": _six(found.gap),
        "best_single": found.best_single,
        "without_best_single": found.without_best_single,
        "sentence": sets_sentence(found),
        "note": NOT_OPTIMISED,
        "rows": [
            {
                "rank": n + 1,
                "halts": sorted({h for i in r["members"] for h in halts[i]}),
                **rounded({**r, "members": list(r["members"]), "names": list(r["names"])}),
            }
            for n, r in enumerate(_plain(rows))
        ],
    }


def cut_json(found: MinimumCut) -> dict[str, Any]:
    """Return a minimum cut as plain data."""
    look = found.question.lens
    return {
        "bloc": look.bloc, "element": look.element, "share": found.share, "members": list(found.members),
        "names": list(found.names), "short_t": _six(found.short_t), "short_share": _six(found.short_share),
        "demand_t": _six(found.demand_t), "refuted_size": found.refuted, "proved": found.proved,
        "solves": found.solves, "sentence": cut_sentence(found),
    }  # fmt: skip


def _asked(look: Lens, year: int | None, size: int) -> dict[str, Any]:
    asked: dict[str, Any] = {"bloc": look.bloc, "element": look.element, "commodity": look.commodity, "size": size}
    return asked | ({"year": year} if year is not None else {})


def _goods(look: Lens) -> str:
    if look.commodity == "magnet":
        return "magnets" if look.element == "all" else f"{look.element} in magnets"
    return look.commodity if look.element == "all" else f"{look.element} as {look.commodity}"


def _solves(found: WorstSets) -> str:
    return f"{found.solves + found.known:,} solves"


def _six(value: float) -> float | None:
    made = rounded(value)
    return None if made is None else float(made)


def _plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(k): v for k, v in r.items()} for r in table.to_dict("records")]

"""A trace in words and rows: names of what it names, one sentence with figures, a table for each stage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from atlas.chain import chain_of
from atlas.halt_words import country_name
from atlas.releases import is_stock
from atlas.trace import Trace
from atlas.trace_bounds import Bounds
from atlas.trace_shares import PRIMARY, RECYCLED, USERS, Shares
from atlas.trace_target import sector_name

UP_TITLES = {
    "mine": "Mined",
    "separation": "Separated",
    "metal": "Made into metal",
    "magnet": "Made into magnets",
    "recycling": "Recycled last",
}
DOWN_TITLES = {
    "separation": "Reaches separation plants",
    "metal": "Reaches metal makers",
    "magnet": "Reaches magnet plants",
    "recycling": "Reaches recyclers, as swarf",
    "demand": "Ends with",
}
OTHER_NAMES = {
    RECYCLED: "end-of-life scrap",
    PRIMARY: "not recycled",
    USERS: "reaches users before that",
    "loss": "lost on the way",
    "surplus": "oxide left over",
    "stock": "metal put into stock",
}
_DONE = {"mine": "mined", "separation": "separated", "metal": "made metal", "magnet": "made into magnets"}


@dataclass(frozen=True)
class Row:
    """One origin or end of a stage: `least` and `most` where they are known, `before` in the baseline under halts."""

    key: str
    name: str
    country: str
    share: float
    least: float | None = None
    most: float | None = None
    before: float | None = None
    verdict: str = ""


@dataclass(frozen=True)
class StageTable:
    """What one stage tells: rows by country, by facility and (of demand) by sector, and the bloc's part."""

    stage: str
    title: str
    bloc_share: float
    bloc_bounds: Bounds | None
    countries: tuple[Row, ...]
    facilities: tuple[Row, ...]
    sectors: tuple[Row, ...] = ()


def tables(trace: Trace) -> tuple[list[StageTable], list[StageTable]]:
    """Return the tables upstream and downstream, in the order of the stages."""
    up, stages = [], dict.fromkeys([*trace.upstream, *trace.before])
    for stage in stages:
        shares, before = trace.upstream.get(stage), trace.before.get(stage)
        verdicts = trace.verdicts.get(stage, {})
        known = trace.bounds.get(stage, {})
        up.append(
            StageTable(
                stage,
                UP_TITLES[stage],
                shares.bloc_share if shares else 0.0,
                trace.bloc_bounds.get(stage),
                _rows(trace, shares, before, "by_country", known, verdicts),
                _rows(trace, shares, before, "by_facility", {}, {}),
            )
        )
    down = [
        StageTable(
            stage,
            DOWN_TITLES[stage],
            s.bloc_share,
            None,
            _rows(trace, s, None, "by_country", {}, {}),
            _rows(trace, s, None, "by_facility", {}, {}),
            _rows(trace, s, None, "by_sector", {}, {}),
        )
        for stage, s in trace.downstream.items()
    ]
    return up, down


def _rows(
    trace: Trace, shares: Shares | None, before: Shares | None, by: str, known: Mapping[str, Bounds],
    verdicts: Mapping[str, str],
) -> tuple[Row, ...]:  # fmt: skip
    now: Mapping[str, float] = getattr(shares, by) if shares else {}
    then: Mapping[str, float] = getattr(before, by) if before else {}
    rows = []
    for key in dict.fromkeys([*now, *then]):
        b = known.get(key)
        rows.append(
            Row(
                key,
                name(trace, key),
                trace.material.country.get(key, "") if by == "by_facility" else "",
                now.get(key, 0.0),
                b.least if b else None,
                b.most if b else None,
                then.get(key, 0.0) if before else None,
                verdicts.get(key, ""),
            )
        )
    return tuple(rows)


def name(trace: Trace, key: str) -> str:
    """Return the name of a facility, country, stock, sector or end."""
    layers = trace.outcome.layers
    if key in OTHER_NAMES:
        return OTHER_NAMES[key]
    if is_stock(key):
        return f"{key} (let go)"
    if key in layers.facilities.index:
        return str(layers.facilities.at[key, "name"])
    world = trace.outcome.halted.world
    if key in world.markets.index:
        return f"scrap collected in {country_name(str(world.markets.at[key, 'country']), layers)}"
    sector = trace.material.sector.get(key)
    if sector is not None:
        return f"{country_name(trace.material.country[key], layers)}, {sector_name(sector, layers)}"
    if len(key) == 3 and key.isupper():
        return country_name(key, layers)
    return sector_name(key, layers)


def what(trace: Trace) -> str:
    """Return the words for the elements of a trace."""
    chain = chain_of(trace.outcome.layers)
    if trace.element == "all":
        return f"{chain.name} ({', '.join(chain.elements)})" if len(chain.elements) > 1 else chain.name
    return " and ".join(chain.of(trace.element))


def percent(share: float) -> str:
    """Return a share as a percentage for people: zero as 0, what rounds to nothing as less than a tenth."""
    if share <= 0:
        return "0\u00a0%"
    if share < 0.0005:
        return "<0.1\u00a0%"
    if 0.9995 < share < 1 - 1e-9:
        return ">99.9\u00a0%"
    return f"{100 * share:.{0 if share >= 0.0995 else 1}f}\u00a0%"


def tonnes(t: float) -> str:
    """Return tonnes for people: three digits below 100."""
    if 0 < t < 0.005:
        return "<0.01\u00a0t"
    return f"{t:,.0f}\u00a0t" if t >= 99.5 else f"{t:.3g}\u00a0t"


def sentence(trace: Trace) -> str:
    """Say a trace in a few sentences, figures first."""
    said = []
    if trace.upstream:
        said.append(_up_sentence(trace))
    elif trace.direction != "down" and not trace.before:
        said.append(f"{trace.target.name} is where its ore is mined: nothing lies upstream of it.")
    if trace.downstream:
        said.append(_down_sentence(trace))
    return " ".join([*said, *(n[:1].upper() + n[1:] + "." for n in trace.notes)])


def _up_sentence(trace: Trace) -> str:
    t, where = sum(trace.content_t.values()), trace.target.name
    takes = "gets magnets with" if trace.stage == "demand" else "takes in"
    mined = trace.upstream["mine"].by_country
    origin = ", ".join(f"{percent(s)} {_from(trace, c)}" for c, s in list(mined.items())[:3])
    inside = [f"{_DONE[s]} {percent(v.bloc_share)}" for s, v in trace.upstream.items() if s in _DONE]
    text = f"{where} {takes} {tonnes(t)} of {what(trace)} a year: {origin}. "
    text += f"Of it, inside {trace.outcome.bloc}: {_listed(inside)}."
    china = trace.bounds["mine"].get("CHN")
    if china is None:
        return text + " None of its ore can be Chinese, whatever is mixed."
    least, most = percent(china.least), percent(china.most)
    if least == most:
        return text + f" Chinese ore: {least}, whatever is mixed."
    return text + f" Chinese ore: {percent(china.share)} in proportion, {least} to {most} whatever is mixed."


def _from(trace: Trace, key: str) -> str:
    if key == RECYCLED:
        return "from end-of-life scrap"
    return f"from {name(trace, key)}" if is_stock(key) else f"mined in {name(trace, key)}"


def _down_sentence(trace: Trace) -> str:
    t = sum(trace.sold_t.values())
    ends = trace.downstream["demand"].by_country
    users = [f"{name(trace, c)} {percent(s)}" for c, s in ends.items() if c not in OTHER_NAMES][:4]
    text = f"{tonnes(t)} of {what(trace)} a year leave {trace.target.name}"
    text += f"; they end with users in {_listed(users)}" if users else "; none of it reaches a user"
    others = [f"{percent(ends[k])} {OTHER_NAMES[k]}" for k in ("loss", "surplus", "stock") if k in ends]
    return text + (f" ({_listed(others)})." if others else ".")


def threshold_lines(trace: Trace) -> list[str]:
    """Return a line for each stage and verdict: which origins lie above the threshold, below, or cannot be told."""
    lines = []
    for stage, verdicts in trace.verdicts.items():
        by: dict[str, list[str]] = {}
        for key, verdict in verdicts.items():
            by.setdefault(verdict, []).append(name(trace, key))
        title = UP_TITLES[stage].lower()
        if not trace.origin:
            by.setdefault("below whatever the mixing", []).append("every other country")
        lines += [f"{title}: {verdict}: {', '.join(names)}" for verdict, names in by.items()]
    return lines


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1] if words else ""

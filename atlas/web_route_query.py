"""What a question about a route says, read once for the page, the JSON and the GeoJSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from atlas.errors import BadInput, UnknownName, nearest
from atlas.geo import parse_lonlat
from atlas.way import Closures, read_surcharges
from atlas.web_query import single

PARAMETERS = ("from", "to", "close", "open", "surcharge", "modes", "commodity", "alternatives")
MODES = ("sea", "rail", "road", "air")
COMMODITIES = ("concentrate", "oxide", "metal", "magnet")
DEFAULT_MODES = ("sea", "rail", "road")
DEFAULT_COMMODITY = "magnet"
MOST_WAYS = 10
END_KINDS = ("facility", "port")
MOST_OFFERED = 4


@dataclass(frozen=True)
class RouteQuery:
    """A question about a route as an address asks it.

    The ends are texts (an id or `lon,lat`), "" where not given; each of `surcharge` is a text `PASSAGE=USD_T`.
    """

    start: str = ""
    end: str = ""
    close: tuple[str, ...] = ()
    open: tuple[str, ...] = ()
    modes: tuple[str, ...] = DEFAULT_MODES
    commodity: str = DEFAULT_COMMODITY
    alternatives: int = 1
    surcharge: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether both ends are named."""
        return bool(self.start and self.end)

    def address(self, path: str = "/route", **changed: Any) -> str:
        """Return the shortest address that asks this, with some fields changed."""
        own = replace(self, **changed)
        pairs = [("from", own.start), ("to", own.end)]
        pairs += [("close", name) for name in own.close] + [("open", name) for name in own.open]
        pairs += [("surcharge", text) for text in own.surcharge]
        if own.modes != DEFAULT_MODES:
            pairs.append(("modes", ",".join(own.modes)))
        if own.commodity != DEFAULT_COMMODITY:
            pairs.append(("commodity", own.commodity))
        if own.alternatives != 1:
            pairs.append(("alternatives", str(own.alternatives)))
        text = urlencode([(name, value) for name, value in pairs if value], safe=",=")
        return f"{path}?{text}" if text else path

    def check(self, study: Any, problems: list[str], whole: bool = True) -> list[str | tuple[float, float]]:
        """Return both ends as an id or (lon, lat); unknown names and ends that cannot be read go to `problems`.

        Without `whole` an end that is not given is no problem.
        """
        ends = [_place(text, side, study, problems) if text or whole else ""
                for text, side in ((self.start, "from"), (self.end, "to"))]  # fmt: skip
        for read in (lambda: Closures.of(self.close, self.open, study.layers),
                     lambda: read_surcharges(self.surcharge, study.layers)):  # fmt: skip
            try:
                read()
            except BadInput as error:
                problems += error.problems
        return ends

    def ask(self, study: Any, problems: Sequence[str] = ()) -> list[Any]:
        """Return the routes of a study that answer this, cheapest first.

        Raises BadInput listing every problem, after those found so far.
        """
        found = list(problems)
        ends = self.check(study, found)
        if found:
            raise BadInput(dict.fromkeys(found))
        best = study.route(
            ends[0], ends[1], close=self.close, open=self.open, modes=self.modes, commodity=self.commodity,
            alternatives=self.alternatives, surcharges=self.surcharge,
        )  # fmt: skip
        return list(best) if isinstance(best, list) else [best]


def read_route(found: Mapping[str, list[str]], problems: list[str]) -> RouteQuery:
    """Return the question of an address's parameters; what is wrong is added to `problems`.

    `close`, `open`, `surcharge` and `modes` may stand several times or hold lists with commas or semicolons: a plain
    form sends the one, a short address the other. What cannot be used falls back to its default, so that a form can be
    shown again.
    """
    modes = _listed(found.get("modes", ())) or DEFAULT_MODES
    problems += [f"unknown mode {m[:40]!r}; known: {', '.join(MODES)}" for m in modes if m not in MODES]
    commodity = single(found, "commodity", DEFAULT_COMMODITY, problems)
    if commodity not in COMMODITIES:
        near = nearest(commodity, COMMODITIES) or COMMODITIES
        problems.append(f"unknown commodity {commodity[:40]!r}; nearest: {', '.join(near)}")
        commodity = DEFAULT_COMMODITY
    count = single(found, "alternatives", "1", problems)
    if not (count.isascii() and count.isdigit() and 1 <= int(count[:9]) <= MOST_WAYS):
        problems.append(f"alternatives: {count[:20]!r} is not a whole number from 1 to {MOST_WAYS}")
        count = "1"
    return RouteQuery(
        single(found, "from", "", problems), single(found, "to", "", problems), _listed(found.get("close", ())),
        _listed(found.get("open", ())), tuple(m for m in MODES if m in modes) or DEFAULT_MODES, commodity, int(count),
        _listed(found.get("surcharge", ())),
    )  # fmt: skip


def is_place(text: str, layers: Any) -> bool:
    """Return whether an end is known as a facility, a site, a port, a market or a point."""
    names = {text, text.lower(), text.upper()}
    tables = (layers.facilities, layers.ports, layers.markets)
    return "," in text or any(n in t.index for n in names for t in tables) or text in set(layers.facilities["site"])


def named_like(text: str, study: Any) -> list[tuple[str, str]]:
    """Return (id, name) of the few facilities and ports whose names are most like a text, best first."""
    try:
        hits = study.find(text, END_KINDS).head(MOST_OFFERED)
    except BadInput:  # nothing to look for in it
        return []
    return [(str(i), str(n)) for i, n in zip(hits["id"], hits["name"], strict=True)]


def _listed(values: Sequence[str]) -> tuple[str, ...]:
    """Return the items of repeated values and of lists with commas or semicolons, each once, in order."""
    items = (item.strip() for value in values for item in value.replace(";", ",").split(","))
    return tuple(dict.fromkeys(filter(None, items)))


def _place(text: str, side: str, study: Any, problems: list[str]) -> str | tuple[float, float]:
    """Return an id, or (lon, lat) of a text with a comma."""
    if not text:
        problems.append(f"{side}: expected a facility, a port or lon,lat")
        return ""
    if "," not in text:
        if not is_place(text, study.layers):
            known = (i for t in (study.layers.facilities, study.layers.ports, study.layers.markets) for i in t.index)
            near = [i for i, _ in named_like(text, study)] or nearest(text, known)
            problems.append(str(UnknownName("facility or port", text, near)))
        return text
    point = parse_lonlat(text)
    if point is None:
        problems.append(f"{side}: {text[:60]!r} is not lon,lat in degrees")
        return ""
    return point

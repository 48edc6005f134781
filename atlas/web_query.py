"""What a request says, checked: every parameter known, every text readable, every problem listed."""

import datetime as dt
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from flask import Request

from atlas.config import Settings
from atlas.errors import BadInput, fold, nearest
from atlas.render import MAP_VIEWS
from atlas.scenario_rows import texts
from atlas.web_errors import TooLarge

MAX_DEPTH = 20
MAX_PARAMETERS = 200
BUYER_PARTS = ("id", "lon", "lat", "sector", "grade", "tonnes", "cover_days")
BUYER_NUMBERS = ("lon", "lat", "tonnes", "cover_days")
MOST_BUYERS = 10  # in one address
STATE_PARAMETERS = ("halt", "scenario", "bloc", "on", "open", "buyer")  # which together say what is asked about


@dataclass(frozen=True)
class Query:
    """A question about halts as an address or a body asks it; `named` is a scenario of the layers.

    `buyers` are magnet buyers of one's own, each as `buyer_rows` reads it.
    """

    halts: tuple[str, ...] = ()
    bloc: str = "us-allies"
    on: dt.date | None = None
    opened: tuple[str, ...] = ()
    view: str = "change"
    scenario: Mapping[str, Any] | None = None
    named: str = ""
    buyers: tuple[str, ...] = ()

    @property
    def parts(self) -> list[tuple[str, str]]:
        """What is asked as parameters of an address, without the view; nothing for the usual baseline."""
        said = [("scenario", self.named)] if self.named else []
        said += [("halt", h) for h in self.halts] + [("buyer", b) for b in self.buyers]
        said += [("open", o) for o in self.opened] + ([("on", self.on.isoformat())] if self.on else [])
        return said + ([("bloc", self.bloc)] if self.bloc != Query.bloc else [])

    @property
    def mapping(self) -> Mapping[str, Any] | None:
        """The scenario with the opened passages and the buyers in it."""
        if not self.opened and not self.buyers:
            return self.scenario
        mine = dict(self.scenario or {})
        if self.opened:
            mine["open"] = [*texts(mine.get("open")), *self.opened]
        for table, rows in buyer_rows(self.buyers).items():
            there = mine.get(table, [])
            if rows and isinstance(there, list):  # what is no list is for the scenario to refuse
                mine[table] = [*there, *rows]
        return mine


def buyer_rows(given: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of a scenario that buyers in an address stand for: `buyer`, and `contract` for their suppliers.

    Each text is `id or name,lon,lat,sector,grade,tonnes[,cover_days][,PLANT:TONNES]...`. What the names and numbers
    must be is for the scenario to say; raises BadInput where a text has too few or too many parts.
    """
    buyers: list[dict[str, Any]] = []
    contracts: list[dict[str, Any]] = []
    problems: list[str] = []
    least, most = len(BUYER_PARTS) - 1, len(BUYER_PARTS)
    for n, text in enumerate(given, 1):
        parts = [p.strip() for p in text.split(",")]
        plain = [p for p in parts if ":" not in p]
        if not least <= len(plain) <= most or any(":" in p for p in parts[: len(plain)]) or not plain[0]:
            problems.append(
                f"buyer {n}: {text[:80]!r}: expected {','.join(BUYER_PARTS[:-1])}[,{BUYER_PARTS[-1]}]"
                "[,PLANT:TONNES], such as stuttgart-works,9.18,48.78,automotive_other,SH,300"
            )
            continue
        row: dict[str, Any] = {
            k: _number(p) if k in BUYER_NUMBERS else p for k, p in zip(BUYER_PARTS, plain, strict=False)
        }
        row["id"] = re.sub(r"[^a-z0-9-]+", "-", fold(row["id"])).strip("-")[:60]
        buyers.append(row)
        for plant, _, tonnes in (p.partition(":") for p in parts[len(plain) :]):
            contracts.append(
                {"buyer": row["id"], "supplier": plant.strip(), "commodity": "magnet", "grade": row["grade"],
                 "tonnes": _number(tonnes.strip())}
            )  # fmt: skip
    if problems:
        raise BadInput(problems)
    return {"buyer": buyers, "contract": contracts}


def _number(text: str) -> float | str:
    """Return a number where a text is one; the scenario refuses what is none."""
    try:
        return float(text)
    except ValueError:
        return text


def parameters(request: Request, known: Iterable[str], settings: Settings) -> dict[str, list[str]]:
    """Return the address's parameters but blank ones; raises BadInput listing unknown names and unreadable text."""
    return parameters_of(request.query_string, known, settings)


def parameters_of(raw: bytes, known: Iterable[str], settings: Settings) -> dict[str, list[str]]:
    """Return the parameters that a text such as `halt=passage:malacca&bloc=eu27` holds; see `parameters`."""
    problems: list[str] = []
    known = list(known)
    if raw.count(b"&") >= MAX_PARAMETERS + settings.max_halts:
        raise BadInput(f"{raw.count(b'&') + 1} parameters: expected {settings.max_halts} halts at most")
    found: dict[str, list[str]] = {}
    for part in raw.split(b"&"):
        name, _, value = part.replace(b"+", b" ").partition(b"=")
        key, text = (
            _text(unquote_to_bytes(name), "a parameter's name", problems),
            _text(unquote_to_bytes(value), "", problems),
        )
        if not key and not text:
            continue
        if key not in known:
            near = nearest(key, known)
            problems.append(
                f"unknown parameter {key[:60]!r}; "
                + (f"nearest: {', '.join(near)}" if near else f"known: {', '.join(known)}")
            )
        elif len(text) > settings.max_text_length:
            problems.append(f"{key}: {len(text)} characters, expected {settings.max_text_length} at most")
        elif text.strip():
            found.setdefault(key, []).append(text.strip())
    if problems:
        raise BadInput(list(dict.fromkeys(problems))[:20])
    return found


def _text(raw: bytes, what: str, problems: list[str]) -> str:
    """Return bytes as text; control characters and broken UTF-8 are problems."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        problems.append(f"{what or 'a value'} is not UTF-8")
        return ""
    if any(ord(c) < 32 or ord(c) == 127 for c in text):
        problems.append(f"{what or 'a value'} holds control characters")
        return ""
    return text


def single(found: Mapping[str, list[str]], name: str, default: str, problems: list[str]) -> str:
    """Return a parameter that stands once."""
    values = found.get(name, [])
    if len(values) > 1:
        problems.append(f"{name}: given {len(values)} times, expected once")
    return values[0] if values else default


def halt_query(
    request: Request, settings: Settings, *, more: Iterable[str] = (), known_views: Sequence[str] = MAP_VIEWS
) -> Query:
    """Return what halt, scenario, bloc, on, open (and view, one of `known_views`) say; raises BadInput."""
    return halts_asked(parameters(request, (*STATE_PARAMETERS, *more), settings), settings, known_views)


def halts_asked(
    found: Mapping[str, list[str]], settings: Settings, known_views: Sequence[str] = MAP_VIEWS
) -> Query:
    """Return the question that parameters already read ask (see `halt_query`); raises BadInput."""
    problems: list[str] = []
    buyers = tuple(found.get("buyer", ()))
    try:
        if len(buyers) > MOST_BUYERS:
            raise BadInput(f"{len(buyers)} buyers: expected {MOST_BUYERS} at most")
        buyer_rows(buyers)
    except BadInput as error:
        problems += error.problems
    halts = found.get("halt", [])
    if len(halts) > settings.max_halts:
        raise BadInput(f"{len(halts)} halts: expected {settings.max_halts} at most")
    on = _day(single(found, "on", "", problems), problems)
    # A view names what is shown first; `before,after,change` shows the first of them.
    views = [v.strip() for v in single(found, "view", "change", problems).split(",")]
    for v in views:
        if v not in known_views:
            near = nearest(v, known_views) or known_views
            problems.append(f"unknown view {v[:60]!r}; nearest: {', '.join(near)}")
    named = single(found, "scenario", "", problems)
    bloc = single(found, "bloc", "us-allies", problems)
    query = Query(tuple(halts), bloc, on, tuple(found.get("open", ())), views[0], named=named, buyers=buyers)
    if problems:
        raise BadInput(problems)
    return query


def _day(text: str, problems: list[str]) -> dt.date | None:
    if not text:
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        problems.append(f"on: {text[:40]!r} is not a day like 2025-04-04")
        return None


def json_body(request: Request, settings: Settings) -> Any:
    """Return the body as strict JSON: UTF-8, no NaN or Infinity, no repeated names, not deep.

    Raises BadInput or TooLarge.
    """
    kind = request.mimetype
    if kind and kind != "application/json" and not kind.endswith("+json"):
        raise BadInput(f"the body is {kind[:60]!r}: expected Content-Type: application/json")
    length = request.content_length
    if length is not None and length > settings.max_request_bytes:
        raise TooLarge(f"{length} bytes: expected {settings.max_request_bytes} at most")
    raw = request.get_data(cache=False)
    if len(raw) > settings.max_request_bytes:
        raise TooLarge(f"{len(raw)} bytes: expected {settings.max_request_bytes} at most")
    if not raw.strip():
        raise BadInput("the body is empty: expected a scenario as JSON")
    try:
        value = json.loads(raw.decode("utf-8"), parse_constant=_refused, parse_float=_finite, object_pairs_hook=_once)
    except UnicodeDecodeError:
        raise BadInput("the body is not UTF-8") from None
    except RecursionError:
        raise BadInput("the body is nested too deeply") from None
    except BadInput:
        raise
    except ValueError as error:
        raise BadInput(f"the body is not JSON: {str(error)[:120]}") from None
    if _depth(value) > MAX_DEPTH:
        raise BadInput(f"the body is nested too deeply: expected {MAX_DEPTH} levels at most")
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise BadInput("the body holds half of a surrogate pair, which is no character") from None
    return value


def scenario_body(request: Request, settings: Settings) -> Query:
    """Return the question in a body (a scenario object) with bloc and on from the address; raises BadInput."""
    asked = halt_query(request, settings)
    if asked.named:
        raise BadInput("scenario: a name in the address and a body, expected one of them")
    scenario = json_body(request, settings)
    if not isinstance(scenario, dict):
        raise BadInput(f"the body is a JSON {_kind(scenario)}: expected an object with a scenario")
    count = scenario.get("halt")
    if isinstance(count, list) and len(count) + len(asked.halts) > settings.max_halts:
        raise BadInput(f"{len(count) + len(asked.halts)} halts: expected {settings.max_halts} at most")
    return Query(asked.halts, asked.bloc, asked.on, asked.opened, asked.view, scenario, buyers=asked.buyers)


def _kind(value: Any) -> str:
    return {list: "list", str: "text", bool: "truth value", type(None): "null"}.get(type(value), "number")


def _refused(name: str) -> float:
    raise BadInput(f"the body holds {name}, which is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise BadInput(f"the body holds {text[:40]}, which is too large a number")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) < len(pairs):
        names = [k for k, _ in pairs]
        twice = sorted({k for k in names if names.count(k) > 1})[:3] if len(names) < 1000 else []
        raise BadInput(f"the body names something twice in one object: {', '.join(t[:40] for t in twice)}".rstrip(": "))
    return out


def _depth(value: Any) -> int:
    """Return how deep lists and objects nest, without recursion."""
    deepest, stack = 0, [(value, 1)]
    while stack:
        item, depth = stack.pop()
        deepest = max(deepest, depth)
        inside = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        if depth <= MAX_DEPTH:
            stack.extend((v, depth + 1) for v in inside)
    return deepest

"""The page of two to four halts or scenarios side by side, its JSON and its table."""

import dataclasses
import datetime as dt
import json
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, current_app, request

from atlas.compare import LEAST, MOST, Case, Comparison, compare
from atlas.compare_words import LETTERS, case_label, sentence
from atlas.config import Settings
from atlas.errors import AtlasError, BadInput, UnknownName, nearest
from atlas.render import VIEWS, environment
from atlas.render_compare import figure_name, page_parts
from atlas.web_answers import Document
from atlas.web_api import JSON_TYPE
from atlas.web_errors import failure
from atlas.web_pages import PRESETS, html_document, nav
from atlas.web_query import Query, parameters, single

compares = Blueprint("compares", __name__)

PARAMETERS = ("case", "bloc", "on", "view", "show")
OF_MAPS = ("at",)  # where the maps look, lon,lat,zoom: kept by the script of the page
SHOWN = ("values", "differences")
MAP, EMBEDDED_MAP = "/map", "/embed/map"
MOST_ROWS = 8  # of the form, where an address names too many cases
CASE_LENGTH = 2_000  # characters: a case may hold many halts

# key of the text, cases; shown where the layers know every name
EXAMPLES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("two_straits", ("passage:malacca", "passage:suez")),
    ("three_bans", ("country:CHN/magnet", "country:CHN/Dy,Tb,magnet", "country:CHN:us-allies")),
    ("half_or_all", ("stage:CHN/metal@0.5", "stage:CHN/metal")),
    ("one_plant", ("baseline", "facility:lynas-kuantan", "passage:malacca")),
)


@dataclass(frozen=True)
class Asked:
    """One case as an address names it, read as far as it goes."""

    text: str
    query: Query
    question: Any = None
    label: str = ""
    problems: tuple[str, ...] = ()

    def address(self, path: str, view: str = "") -> str:
        """Return the address of the map of this case alone."""
        own = self.query.parts
        own += [("view", view)] if view else []
        return path + ("?" + urlencode(own) if own else "")


@dataclass(frozen=True)
class Ask:
    """What an address asks: the cases, what holds for all of them, and what is wrong with it as a whole."""

    cases: tuple[Asked, ...]
    bloc: str
    on: str
    view: str
    show: str
    problems: tuple[str, ...] = ()

    @property
    def all_problems(self) -> list[str]:
        """Every problem, those of a case with its letter."""
        own = [f"case {letter_of(k)}: {p}" for k, c in enumerate(self.cases) for p in c.problems]
        return [*self.problems, *own]

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells one comparison from another."""
        return tuple((c.question.key, c.question.name, c.text) for c in self.cases), self.bloc, self.on


@compares.get("/compare")
def compare_page() -> Response:
    """Show two to four cases side by side, or the form that asks for them."""
    atlas, ask = _atlas(), _ask(OF_MAPS)
    if ask.all_problems:
        return _refused(ask, 400)
    if len(ask.cases) < LEAST:
        return _sent(atlas.send(html_document(_page(ask))))
    key = ("compare", "page", ask.key, ask.view, ask.show)

    def make() -> Document:
        made = _compared(ask)
        with atlas.timed("draw"):
            return html_document(_page(ask, made), frames=True)

    try:
        return _sent(atlas.send(atlas.answers.documents.get(key, make)))
    except CaseFailures as failed:
        return _refused(failed.ask, failed.status, failed.headers)


@compares.get("/api/compare")
def compare_json() -> Response:
    """Return the figures of two to four cases, best and worst, and the imports that differ."""
    ask = _checked()

    def make() -> Document:
        told = to_json(_answered(ask), _atlas().study.layers)
        return Document.of(json.dumps(told, allow_nan=False, ensure_ascii=False, separators=(",", ":")), JSON_TYPE)

    return _sent(_atlas().send(_atlas().answers.documents.get(("compare", "json", ask.key), make)))


@compares.get("/api/compare.csv")
def compare_csv() -> Response:
    """Return the figures as a table: a row for each thing measured, a column for each case."""
    ask = _checked()

    def make() -> Document:
        attached = (("Content-Disposition", 'attachment; filename="compare.csv"'),)
        return Document.of(_answered(ask).table().to_csv(index=False), "text/csv; charset=utf-8", attached)

    return _sent(_atlas().send(_atlas().answers.documents.get(("compare", "csv", ask.key), make)))


class CaseFailures(Exception):
    """Cases that were asked well but got no answer: the cases with what went wrong, and the status of the first."""

    def __init__(self, ask: Ask, first: AtlasError) -> None:
        super().__init__(str(first))
        found = failure(first)
        self.ask, self.first, self.status, self.headers = ask, first, found.status, found.headers


def to_json(c: Comparison, layers: Any) -> dict[str, Any]:
    """Return a comparison as JSON; None where a case has no figure, cases numbered from 1."""

    def number(value: float) -> float | None:
        return None if math.isnan(value) else value

    return {
        "bloc": c.bloc, "year": c.year, "sentence": sentence(c),
        "cases": [{"case": k.text, "label": k.label, "halts": list(k.summary["scenario"]["halts"])} for k in c.cases],
        "figures": [
            {"group": f.group, "key": f.key, "name": figure_name(f, c.bloc, layers), "unit": f.unit, "better": f.better,
             "baseline": number(f.baseline), "values": [number(v) for v in f.values],
             "best": sorted(k + 1 for k in f.best), "worst": sorted(k + 1 for k in f.worst)}
            for f in c.figures
        ],
        "flows": c.flows.round(3).to_dict("records"),
    }  # fmt: skip


def _atlas() -> Any:
    """Return what the application holds: study, settings, answers, assets, send."""
    return current_app.extensions["atlas"]


def _sent(response: Any) -> Response:
    made: Response = response
    return made


def letter_of(k: int) -> str:
    """Return the letter of a case, a number where there are too many."""
    return LETTERS[k] if k < len(LETTERS) else str(k + 1)


def _checked() -> Ask:
    """Return what a program asks; raises BadInput with everything that is wrong."""
    ask = _ask()
    problems = ask.all_problems
    if not problems and len(ask.cases) < LEAST:
        problems = [f"{len(ask.cases)} cases: a comparison needs {LEAST} to {MOST} (case=...)"]
    if problems:
        raise BadInput(problems)
    return ask


def _ask(more: tuple[str, ...] = ()) -> Ask:
    """Return what the address asks, `more` of it allowed; raises BadInput only for what no form could show."""
    atlas = _atlas()
    settings: Settings = dataclasses.replace(atlas.settings, max_text_length=CASE_LENGTH)
    found = parameters(request, (*PARAMETERS, *more), settings)
    problems: list[str] = []
    problems += [f"at: {a[:60]!r} is not longitude,latitude,zoom" for a in found.get("at", []) if not _is_place(a)]
    bloc, blocs = single(found, "bloc", "us-allies", problems), atlas.study.layers.bloc_names
    if bloc not in blocs:
        problems += UnknownName("bloc", bloc, nearest(bloc, blocs) or sorted(blocs)).problems
    on, day = single(found, "on", "", problems), None
    try:
        day = dt.date.fromisoformat(on) if on else None
    except ValueError:
        problems.append(f"on: {on[:40]!r} is not a day like 2025-04-04")
    view, show = _chosen(found, "view", VIEWS, "change", problems), _chosen(found, "show", SHOWN, "values", problems)
    texts = found.get("case", [])
    if len(texts) > MOST:
        problems.append(f"{len(texts)} cases: a comparison needs {LEAST} to {MOST}")
    readable = bloc if bloc in blocs else "us-allies"
    cases: list[Asked] = []
    for text in texts[:MOST_ROWS]:
        case = _read(text, readable, day)
        same = [k for k, c in enumerate(cases) if case.question and c.question and c.question.key == case.question.key]
        if same:
            told = f"{text[:80]!r} is the same as case {letter_of(same[0])}"
            case = dataclasses.replace(case, text=text, problems=(told,))
        cases.append(case)
    return Ask(tuple(cases), bloc, on, view, show, tuple(problems))


def _is_place(text: str) -> bool:
    """Return whether a text is longitude, latitude and zoom."""
    try:
        lon, lat, zoom = map(float, text.split(","))
    except ValueError:
        return False
    return abs(lon) <= 360 and abs(lat) <= 90 and 0 <= zoom <= 22


def _chosen(found: dict[str, list[str]], name: str, known: tuple[str, ...], default: str, problems: list[str]) -> str:
    value = single(found, name, default, problems)
    if value not in known:
        problems += UnknownName(name, value, nearest(value, known) or known).problems
        return default
    return value


def _read(text: str, bloc: str, on: dt.date | None) -> Asked:
    """Return a case out of its text; what is wrong with it stands in it."""
    atlas = _atlas()
    parts = [p.strip() for p in text.split(";") if p.strip()]
    named = [p.removeprefix("scenario:") for p in parts if p.startswith("scenario:")]
    opened = tuple(p.removeprefix("open:") for p in parts if p.startswith("open:"))
    halts = tuple(p for p in parts if p != "baseline" and not p.startswith(("scenario:", "open:")))
    query = Query(halts, bloc, on, opened, named=named[0] if named else "")
    problems = []
    if "baseline" in parts and len(parts) > 1:
        problems.append(f"{text[:80]!r}: the baseline has no halts; expected it alone")
    if len(named) > 1:
        problems.append(f"{text[:80]!r}: {len(named)} scenarios, expected one")
    if len(halts) > atlas.settings.max_halts:
        problems.append(f"{len(halts)} halts: expected {atlas.settings.max_halts} at most")
    if problems:
        return Asked(text, query, problems=tuple(problems))
    try:
        question = atlas.answers.question(query)
    except BadInput as e:
        return Asked(text, query, problems=tuple(e.problems))
    title = atlas.answers.scenarios.get(query.named, query.named) if query.named else ""
    own = halts if query.named else question.specs
    canonical = [f"scenario:{query.named}"] * bool(query.named) + list(own) + [f"open:{o}" for o in opened]
    label = case_label(own, atlas.study.layers, title, opened)
    return Asked(";".join(canonical) or "baseline", query, question, label)


def _compared(ask: Ask) -> Comparison:
    """Return the comparison, its cases solved at once; raises CaseFailures where one has no answer."""
    atlas, asker = _atlas(), request.remote_addr or ""

    def solve(case: Asked) -> Any:
        try:
            return atlas.answers.outcome(case.question, ask.bloc, asker)
        except AtlasError as e:
            return e

    with atlas.timed("solve"), ThreadPoolExecutor(max_workers=len(ask.cases)) as pool:
        found = list(pool.map(solve, ask.cases))
    failed = [o for o in found if isinstance(o, AtlasError)]
    if failed:
        cases = tuple(
            dataclasses.replace(c, problems=tuple(o.problems)) if isinstance(o, AtlasError) else c
            for c, o in zip(ask.cases, found, strict=True)
        )
        raise CaseFailures(dataclasses.replace(ask, cases=cases), failed[0])
    cases_solved = [
        Case(c.text, c.label, o.summary, frozenset(o.bloc_countries), bool(c.question.is_baseline))
        for c, o in zip(ask.cases, found, strict=True)
    ]
    return compare(cases_solved)


def _answered(ask: Ask) -> Comparison:
    """Return the comparison for a program, which gets the error of the first case without an answer."""
    try:
        return _compared(ask)
    except CaseFailures as failed:
        raise failed.first from None


def _refused(ask: Ask, status: int, headers: dict[str, str] | None = None) -> Response:
    response = _sent(_atlas().send(html_document(_page(ask, status=status)), status, cache="no-store"))
    response.headers.extend(headers or {})
    return response


def _page(ask: Ask, made: Comparison | None = None, status: int = 200) -> str:
    atlas = _atlas()
    layers = atlas.study.layers
    shared = [("bloc", ask.bloc)] * (ask.bloc != "us-allies") + [("on", ask.on)] * bool(ask.on)
    asked = urlencode([("case", c.text) for c in ask.cases] + shared)
    rows = [{"letter": letter_of(k), "text": c.text, "label": c.label, "problems": c.problems}
            for k, c in enumerate(ask.cases)]  # fmt: skip
    rows += [{"letter": letter_of(k), "text": "", "label": "", "problems": ()} for k in range(len(rows), MOST)]
    maps = [
        {"letter": letter_of(k), "label": c.label, "href": c.address(MAP),
         "embed": c.address(EMBEDDED_MAP, "before" if c.question.is_baseline else ask.view)}
        for k, c in enumerate(ask.cases) if made
    ]  # fmt: skip
    show = {s: f"/compare?{asked}" + (f"&show={s}" if s != SHOWN[0] else "") for s in SHOWN}
    return str(
        environment().get_template("compare.html").render(
            nav=nav("/compare"), base=atlas.assets.base, ask=ask, rows=rows, status=status, maps=maps, views=VIEWS,
            p=page_parts(made, layers) if made else None, year=atlas.study.year, blocs=sorted(layers.bloc_names),
            suggestions=_suggestions(), examples=_examples(), show=show, count=len(ask.cases),
            json=f"/api/compare?{asked}", csv=f"/api/compare.csv?{asked}",
        )
    )  # fmt: skip


def _suggestions() -> list[tuple[str, list[tuple[str, str]]]]:
    """Return cases to pick from by kind, each with its words."""
    atlas = _atlas()
    found = [
        ("plain", [("baseline", case_label((), atlas.study.layers))]),
        ("presets", [(";".join(halts), title) for title, halts in PRESETS if _known(halts)]),
        ("scenarios", [(f"scenario:{name}", title) for name, title in atlas.answers.scenarios.items()]),
    ]
    return [(kind, cases) for kind, cases in found if cases]


def _examples() -> list[tuple[str, str]]:
    return [
        (key, "/compare?" + urlencode([("case", c) for c in cases]))
        for key, cases in EXAMPLES
        if all(_known(() if c == "baseline" else (c,)) for c in cases)
    ]


def _known(halts: tuple[str, ...]) -> bool:
    """Return whether the layers know every name of these halts."""
    try:
        _atlas().study.question(halts)
    except ValueError:
        return False
    return True

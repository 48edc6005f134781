"""The page of what would fix it, and its JSON: long work, done in the background."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, current_app, request

from atlas.answer_tables import FIXES_COLUMNS, fixes_table
from atlas.errors import BadInput, UnknownName, nearest
from atlas.fixes import Fixes, fixes
from atlas.render import environment
from atlas.render_projects import page_parts
from atlas.web_answers import Document
from atlas.web_formats import csv_document, json_document
from atlas.web_job_queue import Job
from atlas.web_jobs import asked_job, page_of, result_of
from atlas.web_pages import html_document, nav
from atlas.web_query import parameters, single
from atlas.world import CALIBRATED_YEAR

fixing = Blueprint("fixing", __name__)

PARAMETERS = ("halt", "bloc", "by", "budget", "all")
HALT_MISSING = "halt: expected at least one, such as halt=country:CHN/magnet"
LAST_YEAR = 2050
MOST_MUSD = 1_000_000.0
# title, halts, what is asked besides; shown where the layers know the names
EXAMPLES: tuple[tuple[str, tuple[str, ...], dict[str, str]], ...] = (
    ("China sells no magnets, 1,000 million USD to spend", ("country:CHN/magnet",), {"budget": "1000"}),
    ("China sells nothing", ("country:CHN",), {"budget": "500"}),
    ("China holds back dysprosium and terbium", ("country:CHN/Dy,Tb",), {"budget": "500"}),
    ("The same for the European Union, by 2028", ("country:CHN/Dy,Tb",), {"bloc": "eu27", "by": "2028"}),
)


@dataclass(frozen=True)
class Ask:
    """What an address asks: halts in canonical form, bloc, year, budget in million USD, whose projects."""

    halts: tuple[str, ...]
    bloc: str = "us-allies"
    by: int | None = None
    budget_musd: float | None = None
    everywhere: bool = False

    def address(self, path: str) -> str:
        """Return the address that asks the same."""
        parts = [("halt", h) for h in self.halts] + [("bloc", self.bloc)]
        parts += [("by", str(self.by))] if self.by else []
        parts += [("budget", f"{self.budget_musd:g}")] if self.budget_musd else []
        parts += [("all", "1")] if self.everywhere else []
        return f"{path}?{urlencode(parts)}"


@fixing.get("/fixes")
def fixes_page() -> Response:
    """Show which projects would take shortage away, or the form to ask for it."""
    atlas, ask = _atlas(), _ask()
    if not ask.halts:
        return atlas.send(_start(ask))

    def make(found: Fixes) -> Document:
        return _page(ask, f=found, p=page_parts(found, atlas.study.layers), json=ask.address("/api/fixes"),
                     csv=ask.address("/api/fixes.csv"))

    return page_of(_job(ask), "What would fix it", "/fixes", make)


def begin_fixes() -> tuple[Job, str]:
    """Return the work on what would fix it that the address asks for, and its title."""
    ask = _ask()
    if not ask.halts:
        raise BadInput(HALT_MISSING)
    return _job(ask), "What would fix it"


@fixing.get("/api/fixes")
def fixes_json() -> Response:
    """Return what `atlas fixes --json` prints."""
    return _atlas().send(json_document(_found().to_json()))


@fixing.get("/api/fixes.csv")
def fixes_csv() -> Response:
    """Return the projects, each with what it would do, as a table."""
    return _atlas().send(csv_document(fixes_table(_found()), "fixes", FIXES_COLUMNS))


def _found() -> Fixes:
    """Return the result for a program, which must name a halt."""
    ask = _ask()
    if not ask.halts:
        raise BadInput(HALT_MISSING)
    made: Fixes = result_of(_job(ask))
    return made


def _atlas() -> Any:
    """Return what the application holds: study, settings, jobs, assets, send."""
    return current_app.extensions["atlas"]


def _ask() -> Ask:
    atlas = _atlas()
    found = parameters(request, PARAMETERS, atlas.settings)
    problems: list[str] = []
    bloc = single(found, "bloc", "us-allies", problems)
    if bloc not in atlas.study.blocs:
        problems += UnknownName("bloc", bloc, nearest(bloc, atlas.study.blocs) or sorted(atlas.study.blocs)).problems
    by = single(found, "by", "", problems)
    if by and not (by.isascii() and by.isdigit() and len(by) < 10 and CALIBRATED_YEAR < int(by) <= LAST_YEAR):
        problems.append(f"by {by[:20]!r}: expected a year from {CALIBRATED_YEAR + 1} to {LAST_YEAR}")
    everywhere = single(found, "all", "0", problems)
    if everywhere not in ("0", "1"):
        problems.append(f"all {everywhere[:20]!r}: expected 0 or 1")
    budget = _budget(single(found, "budget", "", problems), problems)
    halts: tuple[str, ...] = ()
    try:
        halts = tuple(atlas.study.question(found.get("halt", [])).specs)
    except BadInput as e:
        problems += e.problems
    if problems:
        raise BadInput(problems)
    return Ask(halts, bloc, int(by) if by else None, budget, everywhere == "1")


def _budget(text: str, problems: list[str]) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= MOST_MUSD:
        problems.append(f"budget {text[:20]!r}: expected million USD, over 0 to {MOST_MUSD:,.0f}")
        return None
    return value


def _job(ask: Ask) -> Job:
    atlas = _atlas()

    def make(progress: Any) -> Fixes:
        budget = None if ask.budget_musd is None else ask.budget_musd * 1e6
        return fixes(
            atlas.study, ask.halts, bloc=ask.bloc, by=ask.by, everywhere=ask.everywhere, budget_usd=budget,
            progress=progress,
        )  # fmt: skip

    return asked_job("fixes", ("fixes", ask), make)


def _start(ask: Ask) -> Document:
    study = _atlas().study
    examples = []
    for title, halts, more in EXAMPLES:
        try:
            specs = study.question(halts).specs
        except BadInput:  # a name that these layers do not have
            continue
        if more.get("bloc", "us-allies") in study.blocs:
            examples.append((title, "/fixes?" + urlencode([*(("halt", h) for h in specs), *more.items()])))
    return _page(ask, p=None, examples=examples)


def _page(ask: Ask, **values: Any) -> Document:
    atlas = _atlas()
    return html_document(
        environment().get_template("fixes.html").render(
            nav=nav("/fixes"), base=atlas.assets.base, here="/fixes", ask=ask, blocs=sorted(atlas.study.blocs), **values
        )
    )  # fmt: skip

"""The page of reports: a form, the work in the background, the report to read and to take; its JSON.

Only the reports that come with the atlas are made here: a file of one's own is for the command `atlas report`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, current_app, request

from atlas import report as reports
from atlas import report_typst
from atlas.errors import BadInput, UnknownName, nearest
from atlas.halt_words import country_name
from atlas.page_text import text
from atlas.render import environment
from atlas.report_check import FILES
from atlas.report_file import shipped
from atlas.web_answers import Document
from atlas.web_errors import NotFound
from atlas.web_formats import json_document
from atlas.web_job_queue import Job
from atlas.web_jobs import asked_job, page_of, result_of
from atlas.web_pages import html_document, nav
from atlas.web_query import parameters, single

HERE = "/reports"
PARAMETERS = ("report", "halt", "bloc", "country")
USUAL = {"report": "brief", "bloc": "us-allies", "country": "DEU"}
TYPES = {
    "report.pdf": "application/pdf", "figures.json": "application/json", "results.json": "application/json",
}  # fmt: skip

reporting = Blueprint("reporting", __name__)


@dataclass(frozen=True)
class Ask:
    """What an address asks: a shipped report ("" for none), halts in canonical form, bloc, country."""

    report: str
    halts: tuple[str, ...]
    bloc: str
    country: str

    @property
    def settings(self) -> list[str]:
        """The parameters of the report's file."""
        made = [f"bloc={self.bloc}"]
        made += [f"halt={h}" for h in self.halts] if self.report == "brief" else []
        return made + ([f"country={self.country}"] if self.report == "country" else [])

    def address(self, path: str) -> str:
        """Return the address that asks the same of another path."""
        parts = [("report", self.report)]
        parts += [("halt", h) for h in self.halts] if self.report == "brief" else []
        parts += [("country", self.country)] if self.report == "country" else []
        return f"{path}?{urlencode([*parts, ('bloc', self.bloc)], safe=':,/@')}"


@reporting.get("/reports")
def reports_page() -> Response:
    """Show a report's files once it is made; without one, the form to ask for it."""
    ask = _ask(parameters(request, PARAMETERS, _atlas().settings), whole=False)
    if not ask.report:
        response: Response = _atlas().send(_page(ask, None))
        return response
    return page_of(_job(ask), _title(ask), HERE, lambda made: _page(ask, made))


@reporting.get("/reports/<name>")
def report_file(name: str) -> Response:
    """Return a file of a report."""
    if name not in FILES:
        raise NotFound("file", name[:60], list(FILES))
    ask = _asked()
    made: reports.Made = result_of(_job(ask))
    if name not in made.files:
        raise NotFound("file", name, list(made.files))
    if name == "report.html":  # with the policy that lets its own style and pictures in
        document = html_document(made.files[name].decode())
    else:
        document = _download(ask, name, made.files[name])
    response: Response = _atlas().send(document)
    return response


def _download(ask: Ask, name: str, data: bytes) -> Document:
    own = (("Content-Disposition", f'inline; filename="{ask.report}-{name}"'),)
    return Document.of(data, TYPES[name], own)


@reporting.get("/api/reports")
def report_json() -> Response:
    """Return which files a report has, and where they stand."""
    ask = _asked()
    made: reports.Made = result_of(_job(ask))
    names = [n for n in FILES if n in made.files]
    files = [{"name": n, "bytes": len(made.files[n]), "address": ask.address(f"{HERE}/{n}")} for n in names]
    response: Response = _atlas().send(json_document({"report": ask.report, "title": made.title, "files": files}))
    return response


def begin_report() -> tuple[Job, str]:
    """Return the work on the report that the address asks for, and its title."""
    ask = _asked()
    return _job(ask), _title(ask)


def _atlas() -> Any:
    """Return what the application holds: study, settings, jobs, assets, send."""
    return current_app.extensions["atlas"]


def _title(ask: Ask) -> str:
    about = country_name(ask.country, _atlas().study.layers) if ask.report == "country" else ", ".join(ask.halts)
    name = text(f"reports.name.{ask.report}")
    return f"{name}: {about[:90]}" if about else str(name)


def _asked() -> Ask:
    """Return what the address of a report asks; raises BadInput with every problem."""
    return _ask(parameters(request, PARAMETERS, _atlas().settings), whole=True)


def _ask(found: Mapping[str, list[str]], whole: bool) -> Ask:
    study, known = _atlas().study, list(shipped())
    problems: list[str] = []
    name = single(found, "report", "", problems)
    if whole and not name:
        problems.append(f"report: expected one of {', '.join(known)}")
    if name and name not in known:
        problems += UnknownName("report", name[:60], nearest(name, known) or known).problems
    blocs = list(study.layers.bloc_names)
    bloc = single(found, "bloc", "us-allies" if "us-allies" in blocs else blocs[0], problems)
    if bloc not in blocs:
        problems += UnknownName("bloc", bloc[:60], nearest(bloc, blocs) or sorted(blocs)).problems
    countries = [str(c) for c in study.layers.countries.index]
    country = single(found, "country", USUAL["country"], problems).upper()
    if country not in countries and (name == "country" or "country" in found):
        problems += UnknownName("country", country[:60], nearest(country, countries)).problems
    halts: tuple[str, ...] = ()
    try:
        halts = tuple(study.question(found.get("halt", [])).specs)
    except BadInput as error:
        problems += error.problems
    if whole and name == "brief" and not halts or name == "brief" and not halts and not problems:
        problems.append("halt: a brief needs at least one, such as halt=country:CHN/magnet")
    if problems:
        raise BadInput(list(dict.fromkeys(problems)))
    return Ask(name, halts, bloc, country)


def _job(ask: Ask) -> Job:
    study = _atlas().study

    def make(progress: Any) -> reports.Made:
        found = reports.read_report(ask.report, ask.settings)
        try:
            report_typst.check_installed()
        except BadInput:  # a server without Typst still gives the page
            return reports.make(study, found, True, progress)
        return reports.make(study, found, False, progress)

    return asked_job("report", ("report", ask), make)


def _page(ask: Ask, made: reports.Made | None) -> Document:
    layers = _atlas().study.layers
    countries = sorted(((str(c), country_name(str(c), layers)) for c in layers.countries.index), key=lambda r: r[1])
    own = made.files if made else {}
    files = [(n, f"{max(len(own[n]) // 1000, 1):,}", ask.address(f"{HERE}/{n}")) for n in FILES if n in own]
    html = environment().get_template("reports.html").render(
        nav=nav(HERE), base=_atlas().assets.base, ask=ask, made=made, files=files, countries=countries,
        names=list(shipped()), blocs=list(layers.bloc_names), title=made.title if made else text("reports.title"),
        json=ask.address("/api/reports"),
    )  # fmt: skip
    return html_document(html)

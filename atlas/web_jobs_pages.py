"""The pages of long work and its part of the interface for programs: start it, see how far it is, take it back."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, current_app, g, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from atlas.chain import chain_of
from atlas.errors import BadInput, UnknownName, nearest
from atlas.page_text import text
from atlas.render import environment
from atlas.web_answers import Document
from atlas.web_buyer import begin_buyer
from atlas.web_chokepoints import begin_chokepoints
from atlas.web_errors import NotFound, TooLarge, failure
from atlas.web_frontier import HALTS, WORTH_HALT, begin_frontier, begin_worth
from atlas.web_job_queue import CANCELLED, RUNNING, WAITING, Job, Ticket, is_address
from atlas.web_jobs import asker, counted_asker, duration, known_asker, view_page, with_cookie
from atlas.web_pages import html_document, nav
from atlas.web_projects import begin_fixes
from atlas.web_query import json_body, parameters
from atlas.web_reports import begin_report

JSON_TYPE = "application/json"
MOST_VALUES = 100  # of one parameter in the body that starts work

job_pages = Blueprint("jobs", __name__)


@dataclass(frozen=True)
class Kind:
    """A kind of long work: the address of its result, how it begins, and what it takes besides the page's parameters.

    `usual` holds where nothing else is asked; `without` are parameters that would make it another kind.
    """

    name: str
    path: str
    begin: Callable[[], tuple[Job, str]]
    usual: Mapping[str, str] = field(default_factory=dict)
    without: tuple[str, ...] = ()


KINDS: tuple[Kind, ...] = (
    Kind("singles", "/chokepoints", begin_chokepoints, without=("size", "cut")),
    Kind("sets", "/chokepoints", begin_chokepoints, {"size": "2"}, ("cut",)),
    Kind("cut", "/chokepoints", begin_chokepoints, {"cut": "0.5"}, ("size",)),
    Kind("frontier", "/frontier", begin_frontier),
    Kind("worth", "/worth", begin_worth),
    Kind("fixes", "/fixes", begin_fixes),
    Kind("buyer-risk", "/buyer", begin_buyer),
    Kind("report", "/reports", begin_report),
)
BY_NAME = {k.name: k for k in KINDS}
BY_PATH = {k.path: k for k in reversed(KINDS)}


@job_pages.get("/jobs")
def jobs_page() -> Response:
    """Show the browser's own work, what the server does, and forms to start more."""
    parameters(request, (), _atlas().settings)
    jobs, who = _atlas().jobs, asker()
    own = [_row(t) for t in jobs.of(who)]
    mine = {id(t.job) for t in jobs.of(who) if not t.left}
    everything = [_line(j) | {"mine": id(j) in mine} for j in jobs.unfinished_jobs()]
    html = environment().get_template("jobs.html").render(
        nav=nav("/jobs"), base=_atlas().assets.base, own=own, all=everything, kinds=_forms(),
        going=any(r["going"] for r in own) or bool(everything), slots=_atlas().settings.job_slots,
    )  # fmt: skip
    response: Response = _atlas().send(html_document(html), cache="no-store")
    return response


@job_pages.post("/jobs")
def start_from_page() -> AnyResponse:
    """Start what a form says, and go to its page."""
    settings = _atlas().settings
    parameters(request, (), settings)
    if (request.content_length or 0) > settings.max_request_bytes:
        raise TooLarge(f"{request.content_length} bytes: expected {settings.max_request_bytes} at most")
    asked = [(k, v.strip()) for k, v in request.form.items(multi=True) if v.strip()]
    ticket = _started(asked, known_asker())
    return _to(ticket)


@job_pages.get("/jobs/<ticket_id>")
def job_page(ticket_id: str) -> Response:
    """Show a piece of work: how far it is, or how it ended."""
    parameters(request, (), _atlas().settings)
    ticket = _ticket(ticket_id)
    return view_page(ticket, ticket.job, ticket.title, _kind_of(ticket).path, own_page=True)


@job_pages.post("/jobs/<ticket_id>/cancel")
def cancel_from_page(ticket_id: str) -> AnyResponse:
    """Take work back, and show that."""
    parameters(request, (), _atlas().settings)
    ticket = _ticket(ticket_id)
    _atlas().jobs.cancel(ticket)
    return redirect(f"/jobs/{ticket.id}", 303)


@job_pages.post("/jobs/<ticket_id>/again")
def again_from_page(ticket_id: str) -> AnyResponse:
    """Start work again that was cancelled or failed."""
    parameters(request, (), _atlas().settings)
    ticket = _ticket(ticket_id)
    path, _, query = ticket.address.partition("?")
    return _to(_begun(BY_PATH[path], query, ticket.asker))


@job_pages.get("/api/jobs")
def jobs_json() -> Response:
    """Say what the server does; ids only of the browser's own work."""
    atlas = _atlas()
    parameters(request, (), atlas.settings)
    own = atlas.jobs.of(asker())
    held = {id(t.job): t for t in reversed(own) if not t.left}
    going = []
    for j in atlas.jobs.unfinished_jobs():
        line = _line(j)
        del line["state_words"], line["progress"]
        mine = held.get(id(j))
        going.append(line | ({"id": mine.id, "address": mine.address} if mine else {}))
    states = [r["state"] for r in going]
    return _json(
        {
            "slots": atlas.settings.job_slots, "queue": atlas.settings.job_queue,
            "running": states.count(RUNNING), "waiting": states.count(WAITING), "jobs": going,
            "yours": [_told(t) for t in own],
        }
    )  # fmt: skip


@job_pages.post("/api/jobs")
def start_from_program() -> Response:
    """Start what the body says: a kind, and the parameters of its page."""
    parameters(request, (), _atlas().settings)
    ticket = _started(_body(), counted_asker())
    response = _json(_told(ticket), 202)
    response.headers["Location"] = f"/api/jobs/{ticket.id}"
    return response


@job_pages.get("/api/jobs/<ticket_id>")
def job_json(ticket_id: str) -> Response:
    """Say how far a piece of work is."""
    parameters(request, (), _atlas().settings)
    return _json(_told(_ticket(ticket_id)))


@job_pages.delete("/api/jobs/<ticket_id>")
def cancel_from_program(ticket_id: str) -> Response:
    """Take work back; it is stopped when nobody else wants it."""
    parameters(request, (), _atlas().settings)
    ticket = _ticket(ticket_id)
    _atlas().jobs.cancel(ticket)
    return _json(_told(ticket))


def _atlas() -> Any:
    """Return what the application holds: study, settings, jobs, assets, send."""
    return current_app.extensions["atlas"]


def _json(value: Any, status: int = 200) -> Response:
    made = Document.of(json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":")), JSON_TYPE)
    response: Response = _atlas().send(made, status, cache="no-store")
    return response


def _ticket(ticket_id: str) -> Ticket:
    found: Ticket | None = _atlas().jobs.find(ticket_id)
    if found is None:
        raise NotFound("job", ticket_id[:60])
    return found


def _kind_of(ticket: Ticket) -> Kind:
    return BY_PATH[ticket.address.partition("?")[0]]


def _to(ticket: Ticket) -> AnyResponse:
    """Return the way to the page of a ticket; a browser without a name gets one."""
    response = redirect(f"/jobs/{ticket.id}", 303)
    return with_cookie(response) if asker() == ticket.asker else response


def _body() -> list[tuple[str, str]]:
    """Return the parameters of a body that starts work, lists as repeated ones; raises BadInput."""
    value = json_body(request, _atlas().settings)
    if not isinstance(value, dict):
        raise BadInput("the body: expected an object with a kind, such as {\"kind\": \"singles\", \"bloc\": \"eu27\"}")
    problems, asked = [], []
    for key, given in value.items():
        values = given if isinstance(given, list) else [given]
        if len(values) > MOST_VALUES:
            problems.append(f"{key[:40]}: {len(values)} values, expected {MOST_VALUES} at most")
            continue
        for v in values:
            if isinstance(v, bool) or not isinstance(v, str | int | float):
                problems.append(f"{key[:40]}: expected a text, a number, or a list of them")
                break
            asked.append((key, f"{v:.15g}" if isinstance(v, float) else str(v)))
    if problems:
        raise BadInput(problems[:20])
    return asked


def _started(asked: list[tuple[str, str]], who: str) -> Ticket:
    """Return the ticket of the work that (name, value) pairs ask for, a kind among them; raises BadInput."""
    names = [v for k, v in asked if k == "kind"]
    if len(names) != 1:
        raise BadInput(f"kind: expected one of {', '.join(BY_NAME)}")
    if names[0] not in BY_NAME:
        raise UnknownName("kind", names[0][:60], nearest(names[0], BY_NAME) or list(BY_NAME))
    kind = BY_NAME[names[0]]
    rest = [(k, v) for k, v in asked if k != "kind"]
    given = {k for k, _ in rest}
    wrong = [f"{k}: not of the kind {kind.name}; leave it out" for k in kind.without if k in given]
    if "size" in kind.usual and ("size", "1") in rest:
        wrong.append("size 1: one thing at a time is the kind singles")
    if wrong:
        raise BadInput(wrong)
    rest += [(k, v) for k, v in kind.usual.items() if k not in given]
    return _begun(kind, urlencode(rest, safe=",:/@"), who)


def _begun(kind: Kind, query: str, who: str) -> Ticket:
    """Return the ticket of the work at an address, begun as its page would; raises what the page would."""
    address = f"{kind.path}?{query}" if query else kind.path
    counted = counted_asker()
    # The page itself reads what is asked, so that a form, a body and an address mean the same and fail the same.
    with current_app.test_request_context(address):
        g.anew, g.asker, g.counted = True, "" if is_address(who) else who, counted
        job, title = kind.begin()
    jobs = _atlas().jobs
    ticket: Ticket = jobs.ticket(job, who, address, title, _api_address(kind, query))
    jobs.rejoin(ticket)
    return ticket


def _api_address(kind: Kind, query: str) -> str:
    return f"/api{kind.path}?{query}" if query else f"/api{kind.path}"


def _told(ticket: Ticket) -> dict[str, Any]:
    """Return a ticket for programs."""
    job, state = ticket.job, ticket.state
    error = failure(job.error) if isinstance(job.error, Exception) else None
    path, _, query = ticket.address.partition("?")
    return {
        "id": ticket.id, "kind": job.kind, "title": ticket.title, "state": state, "place": _atlas().jobs.place(job),
        "done": job.done, "total": job.total, "what": job.what, "said": job.said,
        "started": ticket.started.isoformat(timespec="seconds"), "elapsed_s": round(job.elapsed_s, 1),
        "left_s": None if job.left_s is None or state == CANCELLED else round(job.left_s, 1),
        "error": error.error if error else "", "problems": error.problems if error else [],
        "address": ticket.address, "api": ticket.api or _api_address(BY_PATH[path], query),
    }  # fmt: skip


def _line(job: Job) -> dict[str, Any]:
    """Return a piece of work as anybody may see it."""
    place = _atlas().jobs.place(job)
    return {
        "kind": job.kind, "state": job.state, "place": place, "done": job.done, "total": job.total,
        "elapsed_s": round(job.elapsed_s, 1), "left_s": None if job.left_s is None else round(job.left_s, 1),
        "state_words": _state_words(job.state, place), "progress": _progress_words(job),
    }  # fmt: skip


def _row(ticket: Ticket) -> dict[str, Any]:
    """Return a ticket as a row of the page."""
    job, state = ticket.job, ticket.state
    going = state in (WAITING, RUNNING)
    return {
        **{f.name: getattr(ticket, f.name) for f in dataclasses.fields(ticket) if f.name in ("id", "title", "address")},
        "state": state, "going": going, "state_words": _state_words(state, _atlas().jobs.place(job) if going else 0),
        "progress": _progress_words(job) if going else duration(job.elapsed_s) if state != CANCELLED else "",
        "started": ticket.started.isoformat(timespec="seconds"), "clock": ticket.started.strftime("%H:%M UTC"),
    }  # fmt: skip


def _state_words(state: str, place: int) -> str:
    return text(f"jobs.name.{state}") + (f" ({place})" if place else "")


def _progress_words(job: Job) -> str:
    steps = f"{job.done:,} / {job.total:,}" if job.total else "–"
    return steps if job.state == WAITING else f"{steps} · {duration(job.elapsed_s)}"


def _forms() -> list[dict[str, Any]]:
    """Return the forms that start work, but for a buyer's, which has a page of its own."""
    study = _atlas().study
    bloc_names = [str(b) for b in study.layers.bloc_names]
    usual = "us-allies" if "us-allies" in bloc_names else bloc_names[0]
    halts = [(spec, words) for words, spec in HALTS if spec and _known(spec)]
    bloc = {"name": "bloc", "label": text("jobs.bloc"), "choices": [(b, b) for b in bloc_names], "usual": usual}
    elements = [(e, e) for e in ("all", *chain_of(study.layers).tokens)]
    element = {"name": "element", "label": text("jobs.element"), "choices": elements, "usual": "all"}
    halt = {"name": "halt", "label": text("jobs.halt"), "choices": halts, "usual": WORTH_HALT}
    size = {"name": "size", "label": text("jobs.size"), "usual": "2",
            "choices": [("2", text("jobs.pairs")), ("3", text("jobs.threes"))]}  # fmt: skip
    share = {"name": "cut", "label": text("jobs.share"), "usual": "0.5",
             "choices": [(f"{n / 100:g}", str(n)) for n in (25, 50, 75)]}  # fmt: skip
    fields: dict[str, list[dict[str, Any]]] = {
        "singles": [bloc, element], "sets": [bloc, element, size], "cut": [bloc, element, share],
        "frontier": [bloc], "worth": [bloc, halt], "fixes": [bloc, halt],
    }  # fmt: skip
    return [{"name": name, "fields": of} for name, of in fields.items() if halt["choices"] or halt not in of]


def _known(spec: str) -> bool:
    """Return whether these layers know what a halt names."""
    try:
        _atlas().study.question([spec])
    except BadInput:
        return False
    return True

"""The page of chokepoints, its JSON, GeoJSON and CSV: solves in the background, shared by all blocs and elements."""

import dataclasses
import json
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlencode

from flask import Blueprint, Response, current_app, request
from markupsafe import Markup

from atlas.candidates import KINDS, SET_KINDS
from atlas.chain import chain_of
from atlas.chokepoint_words import (
    KIND_WORDS,
    NOT_OPTIMISED,
    cheapest_way_round,
    cut_json,
    cut_sentence,
    percent,
    sets_json,
    sets_sentence,
    singles_json,
    singles_sentence,
)
from atlas.chokepoints import LARGEST, LIMIT_S, TOLD, WorstSets, question, worst_sets
from atlas.errors import BadInput, UnknownName, nearest
from atlas.export_chokepoints import chokepoints_geojson, sets_csv, singles_csv
from atlas.losses import ALL, GOODS, Lens, lens
from atlas.minimum_cut import MinimumCut, minimum_cut
from atlas.render import environment
from atlas.render_chokepoints import (
    NARROW,
    WIDE,
    capital,
    detour_plot,
    figure,
    loss_plot,
    map_address,
    map_legend,
    map_payload,
    plot_legend,
    set_rows,
    single_rows,
)
from atlas.render_data import json_text
from atlas.singles import Singles, singles
from atlas.web_answers import Document
from atlas.web_api import GEOJSON_TYPE, JSON_TYPE
from atlas.web_job_queue import CANCELLED, Job
from atlas.web_jobs import PATIENCE_S, asked_job, page_of, result_of
from atlas.web_pages import html_document, nav
from atlas.web_query import parameters, single

HERE = "/chokepoints"
CSV_TYPE = "text/csv; charset=utf-8"
PARAMETERS = ("bloc", "element", "commodity", "size", "among", "top", "cut")
ROWS, ROWS_MOST = 50, 1000  # rows of a table that are not folded (the style sheet too), and the most to ask for
SINGLES = ("chokepoints", "singles")  # one job: the solves are the same whoever asks
# title, what is asked; shown where the layers know the bloc
EXAMPLES: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("What costs us-allies most to lose", {"bloc": "us-allies"}),
    ("Dysprosium for eu27", {"bloc": "eu27", "element": "Dy"}),
    ("Neodymium and praseodymium metal for quad", {"bloc": "quad", "element": "NdPr", "commodity": "metal"}),
    ("Only straits, ports and borders, for us-allies", {"bloc": "us-allies", "among": "passage,port,border"}),
)

chokepoints = Blueprint("chokepoints", __name__)


@dataclass(frozen=True)
class Ask:
    """What an address asks; `among` empty: what is usual for the size, `top` None: all rows, `cut` None: no cut."""

    bloc: str = "us-allies"
    element: str = ALL
    commodity: str = "magnet"
    size: int = 1
    among: tuple[str, ...] = ()
    top: int | None = None
    cut: float | None = None

    @property
    def alone(self) -> bool:
        """Whether one thing is lost at a time."""
        return self.size == 1 and self.cut is None

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of things that may be lost."""
        return self.among or (KINDS if self.alone else SET_KINDS)

    def address(self, path: str = HERE, **changed: Any) -> str:
        """Return the address that asks the same of another path, with parts changed."""
        asked = dataclasses.replace(self, **changed)
        said = {
            "bloc": asked.bloc,
            "element": asked.element if asked.element != ALL else "",
            "commodity": asked.commodity if asked.commodity != "magnet" else "",
            "size": str(asked.size) if asked.size > 1 else "",
            "among": ",".join(asked.among),
            "top": str(asked.top or ""),
            "cut": f"{asked.cut:g}" if asked.cut is not None else "",
        }
        return f"{path}?{urlencode([(k, v) for k, v in said.items() if v], safe=',')}"


@dataclass(frozen=True)
class Ranking:
    """Singles and the lens they are seen through, their table worked out."""

    singles: Singles
    look: Lens


@chokepoints.get("/chokepoints")
def chokepoints_page() -> Response:
    """Show what costs a bloc most to lose, alone or together."""
    atlas, ask = _atlas(), _asked()
    if not request.query_string and not _is_known():
        return _start(ask)

    def make(found: Any) -> Document:
        if ask.alone and not isinstance(found, Ranking):  # the solves ended while the page was waiting
            found = result_of(_ranking(ask, found))
        return atlas.answers.documents.get(("chokepoints", "page", ask), lambda: _drawn(ask, found))

    job = _job(ask)
    if ask.alone and job.finished(PATIENCE_S) and job.state != CANCELLED:
        job = _ranking(ask, job.result)
    return page_of(job, _title(ask), HERE, make)


def begin_chokepoints() -> tuple[Job, str]:
    """Return the work that the address asks for, and its title."""
    ask = _asked()
    return _job(ask), _title(ask)


def _title(ask: Ask) -> str:
    if ask.cut is not None:
        return f"The fewest things that take {ask.bloc} below {100 * ask.cut:g} % of its demand"
    together = {2: ", two at a time", 3: ", three at a time"}.get(ask.size, "")
    return f"What costs {ask.bloc} most to lose{together}"


@chokepoints.get("/api/chokepoints")
def chokepoints_json() -> Response:
    """Return what `atlas chokepoints --json` prints."""
    ask = _asked()

    def make(found: Any) -> str:
        if isinstance(found, MinimumCut):
            body = cut_json(found)
        elif isinstance(found, WorstSets):
            body = sets_json(found, ask.top)
        else:
            body = singles_json(found.singles.only(ask.among), found.look, ask.top)
        return json.dumps(body, allow_nan=False, ensure_ascii=False, separators=(",", ":"))

    return _sent("json", ask, make, JSON_TYPE)


@chokepoints.get("/api/chokepoints.geojson")
def chokepoints_places() -> Response:
    """Return singles as GeoJSON, a feature for each thing that could be lost."""
    ask = _asked("GeoJSON holds singles")
    return _sent("geojson", ask, lambda found: chokepoints_geojson(_first(ask, found), found.look), GEOJSON_TYPE)


@chokepoints.get("/api/chokepoints.csv")
def chokepoints_table() -> Response:
    """Return singles or worst sets as CSV."""
    ask = _asked()
    if ask.cut is not None:
        raise BadInput("cut: a minimum cut has no table; ask /api/chokepoints")

    def make(found: Any) -> str:
        if isinstance(found, WorstSets):
            return sets_csv(dataclasses.replace(found, table=found.table.head(ask.top or len(found.table))))
        return singles_csv(_first(ask, found), found.look)

    return _sent("csv", ask, make, CSV_TYPE)


def _atlas() -> Any:
    """Return what the application holds: study, settings, jobs, answers, assets, send."""
    return current_app.extensions["atlas"]


def _asked(alone: str = "") -> Ask:
    """Return what the address asks; `alone` says why only singles are answered. Raises BadInput with every problem."""
    atlas = _atlas()
    found = parameters(request, PARAMETERS, atlas.settings)
    problems: list[str] = []
    default = Ask()

    def name(what: str, key: str, standard: str, known: Sequence[str]) -> str:
        given = single(found, key, standard, problems)
        if given not in known:
            problems.extend(UnknownName(what, given[:60], nearest(given, known) or sorted(known)).problems)
        return given

    blocs = atlas.study.layers.bloc_names
    usual = default.bloc if default.bloc in blocs else blocs[0]
    bloc = name("bloc", "bloc", usual, blocs)
    element = name("element", "element", default.element, [ALL, *chain_of(atlas.study.layers).tokens])
    commodity = name("commodity", "commodity", default.commodity, GOODS)
    size = _whole(single(found, "size", "1", problems), "size", LARGEST, problems)
    text = single(found, "top", "", problems)
    top = _whole(text, "top", ROWS_MOST, problems) if text else None
    kinds = [k.strip() for part in found.get("among", []) for k in part.split(",") if k.strip()]
    for k in dict.fromkeys(kinds):
        if k not in KINDS:
            problems += UnknownName("kind", k[:60], nearest(k, KINDS) or KINDS).problems
    cut = _cut(single(found, "cut", "", problems), problems)
    if commodity in GOODS and commodity != "magnet" and (size > 1 or cut is not None):
        problems.append(f"commodity {commodity}: sets are valued by magnets; leave it out")
    if cut is not None and size > 1:
        problems.append(f"size {size}: a cut looks for the size itself; leave it out")
    if alone and (size > 1 or cut is not None):
        problems.append(f"{alone}: leave size and cut out")
    if problems:
        raise BadInput(list(dict.fromkeys(problems)))
    return Ask(bloc, element, commodity, size, tuple(k for k in KINDS if k in kinds), top, cut)


def _whole(text: str, name: str, high: int, problems: list[str]) -> int:
    if text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= high:
        return int(text)
    problems.append(f"{name} {text[:20]!r}: expected a whole number from 1 to {high:,}")
    return 1


def _cut(text: str, problems: list[str]) -> float | None:
    if not text:
        return None
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if 0 < share < 1:
        return share
    problems.append(f"cut {text[:20]!r}: expected a share over 0 and below 1")
    return None


def _job(ask: Ask) -> Job:
    """Return the work that answers; singles are one piece for all blocs and elements."""
    study = _atlas().study
    kind, key = "singles", cast(Hashable, SINGLES)
    work: Callable[[Any], Any]
    if ask.cut is not None:
        kind, cut = "cut", ask.cut
        key = ("chokepoints", "cut", ask.bloc, ask.element, ask.kinds, ask.cut)

        def work(progress: Any) -> MinimumCut:
            asked = question(study, ask.bloc, ask.element, ask.kinds, cut=True)
            return minimum_cut(study, asked, cut, progress=_searching(progress))

    elif ask.size > 1:
        kind, key = "sets", ("chokepoints", "sets", ask.bloc, ask.element, ask.kinds, ask.size)

        def work(progress: Any) -> WorstSets:
            asked = question(study, ask.bloc, ask.element, ask.kinds)
            return worst_sets(study, asked, ask.size, None, TOLD, _searching(progress))

    else:

        def work(progress: Any) -> Singles:
            return singles(study, progress)

    return asked_job(kind, key, work)


def _ranking(ask: Ask, found: Singles) -> Job:
    """Return the work that ranks singles for a bloc, element and commodity; started only once the singles are there."""
    study = _atlas().study

    def work(progress: Any) -> Ranking:
        progress(0, 0, "the solves are there; ranking them")
        look = lens(study.ground.stage.world, study.blocs, ask.bloc, ask.commodity, ask.element)
        found.table(look)
        return Ranking(found, look)

    return asked_job("ranking", ("chokepoints", "ranking", ask.bloc, ask.element, ask.commodity), work, quick=True)


def _result(ask: Ask) -> Any:
    """Return what the work found, for a program that waits."""
    found = result_of(_job(ask))
    return result_of(_ranking(ask, found)) if ask.alone else found


def _is_known() -> bool:
    """Return whether the singles stand ready: opening the bare page starts no work of minutes."""
    job = _atlas().jobs.known(SINGLES)
    return job is not None and job.finished(0.0) and job.future.exception() is None


def _searching(progress: Callable[[int, int, str], None]) -> Callable[[int, int, str], None]:
    """Return a progress that says how many solves a search has made, whose end nobody knows."""

    def tell(done: int, total: int, what: str) -> None:
        progress(done, total, what if total else f"{done:,} solves; {'' if ',' not in what else 'best so far: '}{what}")

    return tell


def _first(ask: Ask, found: Ranking) -> Singles:
    """Return the first `top` singles of the kinds that are asked for."""
    return found.singles.only(ask.among).top(found.look, ask.top)


def _sent(kind: str, ask: Ask, make: Callable[[Any], str], mimetype: str) -> Response:
    """Return a document for programs, made once."""
    atlas, found = _atlas(), _result(ask)
    name = f'attachment; filename="chokepoints-{ask.bloc}-{ask.element}.{kind}"'
    headers = (("Content-Disposition", name),) if kind != "json" else ()
    key = ("chokepoints", kind, ask)
    response: Response = atlas.send(
        atlas.answers.documents.get(key, lambda: Document.of(make(found), mimetype, headers))
    )
    return response


def _start(ask: Ask) -> Response:
    """Show the form and examples while nothing is worked out."""
    atlas = _atlas()
    blocs = atlas.study.layers.bloc_names
    examples = [(t, f"{HERE}?{urlencode(list(asked.items()), safe=',')}") for t, asked in EXAMPLES
                if asked["bloc"] in blocs]  # fmt: skip
    response: Response = atlas.send(html_document(_page("start", ask, examples=examples)))
    return response


def _page(view: str, ask: Ask, **parts: Any) -> str:
    atlas = _atlas()
    return environment().get_template("chokepoints.html").render(
        view=view, ask=ask, here=HERE, nav=nav(HERE), base=atlas.assets.base, form=_form(ask), links=_links(ask),
        limits={size: round(s / 60) for size, s in LIMIT_S.items()}, **parts,
    )  # fmt: skip


def _links(ask: Ask) -> dict[str, str]:
    """Return addresses of the same in other forms, and of what else could be asked."""
    plain = dataclasses.replace(ask, top=None)
    return {
        "json": plain.address("/api/chokepoints"),
        "csv": plain.address("/api/chokepoints.csv"),
        "geojson": plain.address("/api/chokepoints.geojson"),
        "singles": plain.address(size=1, cut=None, among=()),
        "pairs": plain.address(size=2, cut=None, commodity="magnet", among=()),
        "triples": plain.address(size=3, cut=None, commodity="magnet", among=()),
        "cut": plain.address(size=1, cut=0.5, commodity="magnet", among=()),
    }


def _form(ask: Ask) -> dict[str, Any]:
    """Return the choices of the form, with those of the page marked."""
    minutes = {size: f"{round(limit / 60)} minutes at most" for size, limit in LIMIT_S.items()}
    sizes = [(1, "one thing"), (2, f"two together ({minutes[2]})"), (3, f"three together ({minutes[3]})")]
    return {
        "blocs": [(b, b == ask.bloc) for b in _atlas().study.layers.bloc_names],
        "elements": [(e, e == ask.element) for e in (ALL, *chain_of(_atlas().study.layers).tokens)],
        "commodities": [(c, c == ask.commodity) for c in GOODS],
        "sizes": [(n, words, n == ask.size) for n, words in sizes],
        "kinds": [(k, KIND_WORDS[k], k in ask.among) for k in KINDS],
    }


def _drawn(ask: Ask, found: Any) -> Document:
    """Return the page of a result."""
    if isinstance(found, MinimumCut):
        return html_document(_page("cut", ask, c=found, sentence=cut_sentence(found), rows=_cut_rows(found)))
    if isinstance(found, WorstSets):
        return html_document(_page("sets", ask, s=found, p=_sets_parts(ask, found)))
    parts = _singles_parts(ask, found.singles.only(ask.among), found.look)
    return html_document(_page("singles", ask, p=parts, look=found.look))


def _singles_parts(ask: Ask, found: Singles, look: Lens) -> dict[str, Any]:
    table = found.table(look)
    payload = map_payload(found, look, table)
    return {
        "sentence": singles_sentence(found, look),
        "round": cheapest_way_round(found, look),
        "plots": [p for p in (loss_plot(table, look, WIDE), loss_plot(table, look, NARROW)) if p],
        "detours": [p for p in (detour_plot(table, look, WIDE), detour_plot(table, look, NARROW)) if p],
        "legend": plot_legend([k for k in KINDS if k in set(table["kind"])]),
        "folium": figure(f"Map: what costs {ask.bloc} most to lose").parts(),
        "data": Markup(json_text(payload)),
        "key": map_legend(look, table),
        "rows": single_rows(found, table, ask.bloc)[: ask.top],
        "fold": ROWS,
        "nil": int(table["proved_nil"].sum()),
        "nil_passages": sorted(table.loc[table["proved_nil"] & (table["kind"] == "passage"), "name"]),
        "supply_t": f"{look.supply_t(found.before):,.0f}",
    }


def _sets_parts(ask: Ask, found: WorstSets) -> dict[str, Any]:
    best = found.best_single
    names = {c.id: c.name for c in found.question.candidates}
    return {
        "sentence": sets_sentence(found),
        "rows": set_rows(found)[: ask.top],
        "proved_rows": int(found.table["proved"].sum()) if len(found.table) else 0,
        "bound": f"{found.bound_usd / 1e9:,.2f}",
        "gap": percent(found.gap) if math.isfinite(found.gap) else "not known",
        "solves": f"{found.solves + found.known:,}",
        "sets": f"{found.sets:,}",
        "candidates": f"{len(found.question.candidates):,}",
        "kinds": [k for k in KINDS if k in {c.kind for c in found.question.candidates}],
        "weight": f"{found.question.weight:g}",
        "single": capital(names.get(best, best)),
        "note": NOT_OPTIMISED,
    }


def _cut_rows(found: MinimumCut) -> list[dict[str, str]]:
    halts = {c.id: c.halts for c in found.question.candidates}
    bloc = found.question.lens.bloc
    return [
        {"name": capital(name), "href": map_address(halts[i], bloc)}
        for i, name in zip(found.members, found.names, strict=True)
    ]

"""The page of a magnet buyer of one's own and its risk, its JSON and CSV; the risk is long work in the background."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, current_app, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from atlas.buyer_risk import COLUMNS, BuyerRisk, Case, buyer_risk
from atlas.buyer_words import risk_json, risk_table
from atlas.errors import BadInput, UnknownName, fold, nearest
from atlas.halt_words import country_name
from atlas.page_text import text
from atlas.render import environment
from atlas.render_buyer import page_parts
from atlas.scenario import Scenario
from atlas.web_answers import Document
from atlas.web_builder import PRESETS
from atlas.web_formats import csv_document, json_document
from atlas.web_job_queue import Job
from atlas.web_jobs import asked_job, page_of, result_of
from atlas.web_pages import html_document, nav
from atlas.web_query import BUYER_PARTS, buyer_rows, parameters, single

HERE = "/buyer"
SUPPLIERS = 2  # rows of the form; an address may name more
# What the form sends, without a script and with one: its answer is the address with all of it in `buyer`.
FORM = ("name", "place", "sector", "grade", "tonnes", "cover_days", "supplier", "supplied_t")
FRESH = {"name": "", "place": "", "sector": "ev", "grade": "SH", "tonnes": "300", "cover_days": ""}
BUYER_MISSING = f"buyer: expected one, such as buyer={','.join(BUYER_PARTS[:-1])}"
# title, buyer; shown where the layers know the names
EXAMPLES: tuple[tuple[str, str], ...] = (
    ("stuttgart", "stuttgart-works,9.18,48.78,automotive_other,SH,300,60"),
    ("ningbo", "stuttgart-motors,9.18,48.78,ev,SH,300,60,yunsheng-ningbo:300"),
    ("detroit", "detroit-drives,-83.05,42.33,ev,UH,200,30"),
)

buyers = Blueprint("buyers", __name__)


@dataclass(frozen=True)
class Ask:
    """What an address asks: a buyer in its canonical form, the bloc it is compared with, and both as a question."""

    buyer: str
    bloc: str

    def address(self, path: str) -> str:
        """Return the address that asks the same of another path."""
        own = [("bloc", self.bloc)] if self.bloc != "us-allies" else []
        return f"{path}?{urlencode([('buyer', self.buyer), *own], safe=':,')}"


@buyers.get("/buyer")
def buyer_page() -> AnyResponse:
    """Show a buyer's risk; without one, the form to add it."""
    atlas = _atlas()
    found = parameters(request, ("buyer", "bloc", *FORM), atlas.settings)
    if "buyer" in found or not found:
        try:
            ask = _ask(found)
        except BadInput as error:
            return _form_page(_values_of(found.get("buyer", [""])[0]), error.problems)
        if ask is None:
            return _form_page({}, [])
        return _risk_page(ask)
    values = {k: v[0] for k, v in found.items() if k in (*FORM, "bloc")}
    values |= {f"supplier-{n}": s for n, s in enumerate(found.get("supplier", []), 1)}
    values |= {f"supplied_t-{n}": s for n, s in enumerate(found.get("supplied_t", []), 1)}
    try:
        made = _ask({"buyer": [_from_form(found)], "bloc": found.get("bloc", [])})
    except BadInput as error:
        return _form_page(values, error.problems)
    assert made is not None
    return redirect(made.address(HERE))


@buyers.get("/api/buyer")
def buyer_json() -> Response:
    """Return a buyer's risk as JSON."""
    response: Response = _atlas().send(json_document(risk_json(_result(), _atlas().study.layers)))
    return response


@buyers.get("/api/buyer.csv")
def buyer_csv() -> Response:
    """Return what each halt leaves missing to a buyer as CSV, the most harmful first."""
    found = _result()
    response: Response = _atlas().send(csv_document(risk_table(found), f"buyer-{found.buyer.id}", COLUMNS))
    return response


def begin_buyer() -> tuple[Job, str]:
    """Return the work on the risk that the address asks for, and its title."""
    ask = _asked()
    return _job(ask), _title(ask)


def _atlas() -> Any:
    """Return what the application holds: study, settings, jobs, answers, assets, send."""
    return current_app.extensions["atlas"]


def _title(ask: Ask) -> str:
    return text("buyer.risk_of", buyer=ask.buyer.partition(",")[0])


def _asked() -> Ask:
    """Return what the address of the risk asks; raises BadInput with every problem."""
    ask = _ask(parameters(request, ("buyer", "bloc"), _atlas().settings))
    if ask is None:
        raise BadInput(BUYER_MISSING)
    return ask


def _ask(found: Mapping[str, list[str]]) -> Ask | None:
    """Return what parameters ask, None where they name no buyer; raises BadInput with every problem."""
    study = _atlas().study
    problems: list[str] = []
    given = found.get("buyer", [])
    blocs = study.layers.bloc_names
    bloc = single(found, "bloc", "us-allies" if "us-allies" in blocs else blocs[0], problems)
    if bloc not in blocs:
        problems += UnknownName("bloc", bloc[:60], nearest(bloc, blocs) or sorted(blocs)).problems
    if len(given) > 1:
        problems.append(f"buyer: given {len(given)} times, expected one; a map takes several")
    question = None
    try:
        question = _question(given[0]) if given else None
    except BadInput as error:
        problems += error.problems
    if problems:
        raise BadInput(list(dict.fromkeys(problems)))
    return None if question is None else Ask(_canonical(question), bloc)


def _question(buyer: str) -> Scenario:
    """Return a buyer in an address as a question that halts nothing; raises BadInput with every problem."""
    asked: Scenario = _atlas().study.question((), {k: v for k, v in buyer_rows([buyer]).items() if v})
    return asked


def _canonical(q: Scenario) -> str:
    b = q.buyers[0]
    parts = [b.id, f"{b.lon:.10g}", f"{b.lat:.10g}", b.sector, b.grade, f"{b.tonnes:.10g}"]
    parts += [f"{b.cover_days:.10g}"] if b.cover_days else []
    return ",".join([*parts, *(f"{c.supplier}:{c.tonnes:.10g}" for c in q.contracts)])


def _job(ask: Ask) -> Job:
    study = _atlas().study
    asked, cases = _question(ask.buyer), _cases()

    def work(progress: Any) -> BuyerRisk:
        return buyer_risk(study, asked, cases, ask.bloc, progress)

    return asked_job("buyer-risk", ("buyer-risk", ask), work)


def _result() -> BuyerRisk:
    found: BuyerRisk = result_of(_job(_asked()))
    return found


def _cases() -> list[Case]:
    """Return what a buyer is tried with: the ready halts of the builder, and the shipped scenarios of halts alone."""
    study, answers = _atlas().study, _atlas().answers
    found: dict[Any, Case] = {}
    for title, specs in PRESETS:
        try:
            q = study.question(specs)
        except BadInput:  # a name that these layers do not have
            continue
        case = Case(" ".join(q.specs), title, q, tuple(("halt", h) for h in q.specs))
        found.setdefault((q.specs, q.transit), case)
    for name, title in answers.scenarios.items():
        try:
            q = study.question((), answers.stored(name))
        except BadInput:
            continue
        if q.only_halts and q.halts:
            found.setdefault((q.specs, q.transit), Case(f"scenario:{name}", title, q, (("scenario", name),)))
    return list(found.values())


def _risk_page(ask: Ask) -> Response:
    atlas = _atlas()

    def make(found: BuyerRisk) -> Document:
        def drawn() -> Document:
            html = environment().get_template("buyer.html").render(
                nav=nav(HERE), base=atlas.assets.base, r=found, problems=[], title=_title(ask), ask=ask,
                p=page_parts(found, atlas.study.layers, ask.buyer), form=_form(_values_of(ask.buyer), ask.bloc),
                json=ask.address("/api/buyer"), csv=ask.address("/api/buyer.csv"),
                map=f"/map?{urlencode([('buyer', ask.buyer)], safe=':,')}",
            )  # fmt: skip
            return html_document(html)

        kept: Document = atlas.answers.documents.get(("buyer", ask), drawn)
        return kept

    return page_of(_job(ask), _title(ask), HERE, make)


def _form_page(values: Mapping[str, str], problems: Sequence[str]) -> Response:
    atlas = _atlas()
    bloc = values.get("bloc", "us-allies")
    html = environment().get_template("buyer.html").render(
        nav=nav(HERE), base=atlas.assets.base, r=None, problems=list(problems)[:20], title=text("buyer.heading"),
        form=_form(values, bloc), examples=_examples(),
    )  # fmt: skip
    cache = "no-store" if problems else "no-cache"
    response: Response = atlas.send(html_document(html), 400 if problems else 200, cache=cache)
    return response


def _examples() -> list[tuple[str, str]]:
    found = []
    for key, buyer in EXAMPLES:
        try:
            found.append((key, Ask(_canonical(_question(buyer)), "us-allies").address(HERE)))
        except BadInput:  # a name that these layers do not have
            continue
    return found


def _form(values: Mapping[str, str], bloc: str) -> dict[str, Any]:
    """Return the choices of the form, with what was said before."""
    layers = _atlas().study.layers
    plants = layers.facilities[layers.facilities["stage"] == "magnet"]
    ranks = layers.grades.sort_values("rank") if "rank" in layers.grades else layers.grades
    return {
        "values": FRESH | dict(values),
        "sectors": [(str(i), _named(layers.sectors, i)) for i in layers.sectors.index],
        "grades": [(str(i), _named(ranks, i), _recipe(ranks.loc[i])) for i in ranks.index],
        "plants": sorted(
            ((str(i), f"{r['name']} ({country_name(str(r['country']), layers)})") for i, r in plants.iterrows()),
            key=lambda p: p[1].casefold(),
        ),
        "cities": sorted(_cities()),
        "blocs": [(b, b == bloc) for b in layers.bloc_names],
        "suppliers": [
            (n, values.get(f"supplier-{n}", ""), values.get(f"supplied_t-{n}", "")) for n in range(1, SUPPLIERS + 1)
        ],
    }  # fmt: skip


def _named(table: Any, i: Any) -> str:
    return str(table["name"].get(i, "")) if "name" in table else str(i).replace("_", " ")


def _recipe(row: Any) -> str:
    """Return what heavy rare earths a tonne of a grade holds, in words."""
    parts = (("dy_t_per_t", "Dy"), ("tb_t_per_t", "Tb"), ("sm_t_per_t", "Sm"))
    held = [f"{100 * float(row[k]):.2g} % {e}" for k, e in parts if float(row.get(k, 0.0)) > 0]
    return ", ".join(held)


def _cities() -> dict[str, tuple[float, float]]:
    """Return the cities that markets stand for, by name."""
    markets = _atlas().study.layers.markets
    return {str(r["name"]): (float(r["lon"]), float(r["lat"])) for _, r in markets.iterrows()}


def _values_of(buyer: str) -> dict[str, str]:
    """Return a buyer in an address as what the form would say."""
    parts = [p.strip() for p in buyer.split(",")]
    plain = [p for p in parts if ":" not in p]
    values = dict(zip(BUYER_PARTS, plain, strict=False))
    if not buyer:
        return {}
    values["name"] = values.pop("id", "")
    if "lon" in values and "lat" in values:
        values["place"] = f"{values.pop('lon')}, {values.pop('lat')}"
    for n, (plant, _, tonnes) in enumerate((p.partition(":") for p in parts if ":" in p), 1):
        values |= {f"supplier-{n}": plant, f"supplied_t-{n}": tonnes}
    return values


def _from_form(found: Mapping[str, list[str]]) -> str:
    """Return what a form says as a buyer in an address; raises BadInput with every problem of the form itself."""
    problems: list[str] = []
    one = {k: single(found, k, "", problems) for k in FORM[:-2]}
    for k in ("name", "place", "tonnes"):
        if not one[k]:
            problems.append(text("buyer.missing", field=text(f"buyer.field.{k}")))
    lon, lat = _place(one["place"], problems) if one["place"] else (0.0, 0.0)
    plants, tonnes = found.get("supplier", []), found.get("supplied_t", [])
    if len(plants) != len(tonnes):
        problems.append(text("buyer.supplier_tonnes"))
    if problems:
        raise BadInput(problems)
    name = re.sub(r"[^a-z0-9-]+", "-", fold(one["name"])).strip("-")[:60]
    parts = [name or "buyer", f"{lon:.10g}", f"{lat:.10g}", one["sector"], one["grade"], one["tonnes"].replace(",", "")]
    parts += [one["cover_days"]] if one["cover_days"] else []
    return ",".join([*parts, *(f"{p}:{t}" for p, t in zip(plants, tonnes, strict=True))])


def _place(asked: str, problems: list[str]) -> tuple[float, float]:
    """Return the point of a place: lon,lat, a city, a port or a facility by name or id."""
    pair = re.fullmatch(r"\s*(-?\d{1,3}(?:\.\d+)?)\s*[,; ]\s*(-?\d{1,2}(?:\.\d+)?)\s*", asked)
    if pair:
        return float(pair[1]), float(pair[2])
    layers = _atlas().study.layers
    wanted = fold(asked)
    names: dict[str, tuple[float, float]] = {}
    for table in (layers.facilities, layers.ports):
        for i, name, point in zip(table.index, table["name"], table.geometry, strict=True):
            names.setdefault(str(name), (point.x, point.y))
            names.setdefault(str(i), (point.x, point.y))
    names |= _cities()
    at = next((p for n, p in names.items() if fold(n) == wanted), None)
    if at is None:
        near = nearest(asked, names)
        problems.append(
            f"unknown place {asked[:60]!r}; " + (f"nearest: {', '.join(near)}; " if near else "")
            + text("buyer.place_expected")
        )  # fmt: skip
        return 0.0, 0.0
    return at

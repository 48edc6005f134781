"""The halt builder of the pages: its form, what can be named in it, ready halts and the scenarios of the layers."""

import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from flask import current_app
from markupsafe import Markup

from atlas.chain import chain_of
from atlas.halt_words import describe
from atlas.render import environment
from atlas.render_data import json_text
from atlas.render_style import STAGE_LABELS
from atlas.web_scenarios import about

# title, halts; shown where the layers know every name
PRESETS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("China stops all magnet exports", ("country:CHN/magnet",)),
    ("China stops Dy, Tb and magnets that hold them", ("country:CHN/Dy,Tb,magnet",)),
    ("China stops all rare-earth exports to the allies", ("country:CHN:us-allies",)),
    ("Half of China's metal making is lost", ("stage:CHN/metal@0.5",)),
    ("The Strait of Malacca closes", ("passage:malacca",)),
    ("Suez and Bab el-Mandeb close", ("passage:bab-el-mandeb", "passage:suez")),
    ("Lynas Malaysia stops", ("facility:lynas-kuantan",)),
    ("The border of Myanmar and China closes", ("border:CHN-MMR",)),
)

_QUESTION = re.compile(r"\AQuestion \d+ of docs/questions\.md\.\s+")
_LOCK = threading.Lock()
_NAMES: OrderedDict[str, Markup] = OrderedDict()  # by digest of the layers: hundreds of names, the same for every page


def halt_builder(
    halts: Sequence[str], bloc: str, rest: Sequence[tuple[str, str]] = (), folded: bool = False, named: str = "",
    told: bool = True,
) -> Markup:  # fmt: skip
    """Return the form that makes halts; `rest` goes along, folded where results come first.

    `named` is the scenario of the layers that the halts go with. With `told` each halt has its meaning in words, which
    takes names that the layers know.
    """
    study = _atlas().study
    fresh = not halts and not named
    return Markup(
        environment().get_template("builder.html").render(
            halts=[(h, describe(h, study.layers) if told else "") for h in halts],
            bloc=bloc,
            folded=folded,
            rest=rest,
            named=named,
            stages=STAGE_LABELS.items(),
            goods=("concentrate", "oxide", "metal", "magnet", *chain_of(study.layers).elements),
            scenarios=stories() if fresh else [],
            blocs=study.layers.bloc_names,
            names=_names(study),
            presets=[(t, "/map?" + urlencode([("halt", h) for h in hs])) for t, hs in PRESETS if _known(hs, study)]
            if fresh else [],
        )
    )  # fmt: skip


def stories() -> list[dict[str, Any]]:
    """Return the scenarios of the layers as they are told of, each with the first sentence of its note as `line`."""
    answers = _atlas().answers
    found = (about(name, answers) for name in answers.scenarios)
    return [told | {"line": _first(told["note"]), "note": _QUESTION.sub("", told["note"])} for told in found]


def _first(note: str) -> str:
    """Return the first sentence of a note, on one line, without the question it belongs to."""
    line = _QUESTION.sub("", " ".join(note.split()))
    end = line.find(". ")
    return line if end < 0 else line[: end + 1]


def _atlas() -> Any:
    """Return what the application holds: study, settings, answers, assets, send."""
    return current_app.extensions["atlas"]


def _names(study: Any) -> Markup:
    """Return the names as JSON, made once for a set of layers."""
    key = str(study.layers.digest)
    with _LOCK:
        found = _NAMES.get(key)
        if found is None:
            found = _NAMES[key] = Markup(json_text(_listed(study)))
            while len(_NAMES) > 4:
                _NAMES.popitem(last=False)
        return found


def _known(specs: tuple[str, ...], study: Any) -> bool:
    """Return whether a shipped preset fits these layers."""
    try:
        study.question(specs)
    except ValueError:
        return False
    return True


def _listed(study: Any) -> dict[str, list[list[str]]]:
    """Return ids and names the builder offers, by kind of halt."""
    layers = study.layers
    countries = layers.countries["name"]
    makers = sorted(set(layers.facilities["country"]))
    buyers = sorted(set(layers.demand["country"]) | set(makers))
    fac = layers.facilities

    def named(table: Any) -> list[list[str]]:
        return [[str(i), str(n)] for i, n in table["name"].items()]

    return {
        "country": [[c, str(countries.get(c, c))] for c in makers],
        "destination": [[b, "bloc"] for b in layers.bloc_names] + [[c, str(countries.get(c, c))] for c in buyers],
        "facility": named(fac),
        "site": [[s, str(n)] for s, n in fac.groupby("site")["name"].first().items()],
        "operator": named(layers.operators),
        "port": named(layers.ports),
        "passage": named(layers.passages),
        "border": [[b, " – ".join(str(countries.get(c, c)) for c in b.split("-"))] for b in sorted(study.names.border)],
    }

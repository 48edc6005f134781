"""Write the tables of names in docs/python.md from the docstrings (`make gallery`); a test holds them to it."""

import dataclasses
import inspect
import sys
from pathlib import Path
from typing import Any

from atlas import study as core
from atlas.notebook import Study
from atlas.notebook_answer import Answer
from atlas.notebook_map import Map
from atlas.notebook_routes import Journey, Journeys, Origins

DOCUMENT = Path(__file__).resolve().parent / "python.md"
BEGIN, END = "<!-- names: made by docs/make_python_reference.py -->", "<!-- end of names -->"

# What has no docstring of its own: attributes.
ATTRIBUTES = {
    ("Study", "layers"): "The layers: every table and parameter, read-only.",
    ("Study", "year"): "The year that is asked about.",
    ("Study", "settings"): "The settings in use.",
    ("Answer", "outcome"): "The answer as the rest of the library takes it (`atlas.outcome.Outcome`).",
    ("Journey", "reachable"): "Whether there is a way.",
    ("Journey", "reason"): "Why there is none; empty where there is one.",
    ("Journey", "distance_km"): "Length of the way; None where there is none.",
    ("Journey", "days"): "Days under way, handling included; None where there is none.",
    ("Journey", "cost_usd_t"): "What routing minimises, USD per tonne; None where there is no way.",
    ("Journey", "passages"): "Ids of the passages on the way, in order.",
    ("Journey", "ports"): "Ids of the ports used, in order.",
    ("Journey", "borders"): "Borders crossed, `AAA-BBB`, in order.",
    ("Journey", "countries"): "Countries passed on land, in order.",
    ("Journey", "snap_km"): "How far both ends lie from the network.",
    ("Journey", "legs"): "The legs as objects; see `table`.",
    ("Journey", "line"): "The line with continuous longitudes, which may pass 180.",
    ("Journey", "certificate"): "What shows that no way is cheaper.",
    ("Journey", "layers"): "The layers that the names are of.",
    ("Origins", "trace"): "The trace itself: bounds, verdicts, notes, `to_json` (`atlas.trace.Trace`).",
}  # fmt: skip
CLASSES: tuple[tuple[type, str, str], ...] = (
    (Study, "Study", "`atlas.open()` returns a **Study**: a world and a year."),
    (Answer, "Answer", "`study.run(...)` returns an **Answer**: both states side by side."),
    (Map, "Map", "`answer.map()` returns a **Map**, a `folium.Map`; beside what Folium gives:"),
    (Journey, "Journey", "`study.route(...)` returns a **Journey**."),
    (Journeys, "Journeys", "`study.route(..., alternatives=3)` returns **Journeys**, a list of them."),
    (Origins, "Origins", "`study.trace(...)` and `answer.trace(...)` return **Origins**."),
)
CORE = "What the rest of the library and its commands use of a study:"


def surface(kind: type) -> dict[str, Any]:
    """Return the public names of a class with what they are; of a subclass of somebody else's, its own names."""
    own = kind in (Map, Journeys)
    found = {n: inspect.getattr_static(kind, n) for n in (vars(kind) if own else dir(kind)) if not n.startswith("_")}
    if dataclasses.is_dataclass(kind):
        found |= {f.name: None for f in dataclasses.fields(kind) if not f.name.startswith("_")}
    if kind is Study:
        found |= dict.fromkeys(("layers", "year", "settings"))
    return dict(sorted(found.items()))


def tables() -> str:
    """Return the tables of all classes in Markdown."""
    parts = []
    for kind, name, head in CLASSES:
        rows = {n: _row(kind, name, n, v) for n, v in surface(kind).items()}
        inherited = {n for n in rows if kind is Study and n not in vars(Study) and n not in ("layers", "year")}
        parts += [f"### {name}\n", head + "\n", _table(r for n, r in rows.items() if n not in inherited)]
        if inherited:
            parts += [CORE + "\n", _table(rows[n] for n in sorted(inherited))]
    return "\n".join(parts)


def _table(rows: Any) -> str:
    return "\n".join(["| name | what |", "| --- | --- |", *rows, ""])


def _row(kind: type, name: str, attribute: str, value: Any) -> str:
    if (name, attribute) in ATTRIBUTES:
        return f"| `{attribute}` | {ATTRIBUTES[name, attribute]} |"
    value = getattr(value, "__func__", value)
    call = "()" if inspect.isfunction(value) else ""
    text = inspect.getdoc(value if call else getattr(value, "func", value))  # `func`: of a cached property
    if not text:
        raise LookupError(f"{name}.{attribute} says nothing of itself")
    first = " ".join(text.split("\n\n")[0].split()).replace("|", "\\|")
    return f"| `{attribute}{call}` | {first} |"


def document() -> str:
    """Return docs/python.md with its tables as they should be."""
    text = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables()}\n{END}{after}"


if __name__ == "__main__":
    assert issubclass(Study, core.Study)
    DOCUMENT.write_text(document(), encoding="utf-8")
    sys.stderr.write(f"wrote {DOCUMENT.name}\n")

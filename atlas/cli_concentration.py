"""`atlas concentration`: how concentrated each stage and element is, beside published measures."""

import textwrap
from typing import Any

import click

from atlas.cli_shell import halts_option, json_option, open_study, print_json, say, timed

WIDTH = 118
WHAT = 34  # characters of a facility's or operator's name
BASIS = 62  # characters of a published figure's basis


@click.command("concentration")
@click.option("--element", default="", metavar="EL", help="all, magnets (Nd, Pr, Dy, Tb), NdPr, Dy, Tb or Sm.")
@halts_option
@json_option
@click.pass_obj
def concentration_command(obj: dict[str, Any], element: str, halts: tuple[str, ...], as_json: bool) -> int:
    """Measure how concentrated each stage and element is: HHI, largest shares, what is left without the largest.

    On the baseline, beside published measures, or under halts.
    """
    study = open_study(obj)
    from atlas.concentration import concentration

    with timed("measured"):
        found = concentration(study, halts, element=element)
    if as_json:
        print_json(found.to_json())
    else:
        say(concentration_text(found))
    return 0


def concentration_text(r: Any) -> str:
    """Return the report for people."""
    parts = [textwrap.fill(r.sentence.replace("\u00a0", " "), WIDTH), _stages(r), _largest(r), _published(r)]
    return "\n\n".join(p for p in parts if p)


def _stages(r: Any) -> str:
    from atlas.cli_text import number, percent, table, tonnes

    rows = [
        (c.stage, c.element, ", ".join(f"{n} {percent(s)}" for n, s in c.countries[:3]), tonnes(c.world_t),
         number(c.hhi, 3), percent(c.top_share(3)), percent(c.n_minus_1_share))
        for c in r.rows
    ]  # fmt: skip
    head = ("stage", "element", "largest countries", "made, t", "HHI", "top 3", "left without the first")
    text = table(head, rows, left=3)
    note = (
        "left without the first: supply without the largest country, over what all demand for magnets asks of the "
        "stage. all: in the stage's own unit (mine: REO); magnets: Nd, Pr, Dy and Tb contained."
    )
    return f"{text}\n{textwrap.fill(note, WIDTH)}"


def _largest(r: Any) -> str:
    from atlas.cli_text import percent, table

    rows = [
        (c.stage, c.element, f"{_name(r, c.facility[0])} {percent(c.facility[1])}",
         f"{_name(r, c.operator[0])} {percent(c.operator[1])}")
        for c in r.rows if c.countries
    ]  # fmt: skip
    return table(("stage", "element", "largest facility", "largest operator"), rows, left=4)


def _name(r: Any, i: str) -> str:
    name = r.names.get(i, i) or "-"
    return name if len(name) <= WHAT else name[: WHAT - 3] + "..."


def _published(r: Any) -> str:
    if not r.published:
        return ""
    from atlas.cli_text import number, percent, signed, table
    from atlas.concentration import MEASURE_WORDS

    def value(p: Any, v: float) -> str:
        return number(v, 3) if p.measure == "hhi" else percent(v)

    def cut(text: str) -> str:
        return text if len(text) <= BASIS else text[: BASIS - 3] + "..."

    fair = [p for p in r.published if p.model == p.model]
    rows = [
        (f"{p.stage} {p.element}: {MEASURE_WORDS[p.measure]}", cut(p.basis), str(p.year), value(p, p.published),
         value(p, p.model), signed(p.error_points, 1), "fitted" if p.fitted else "held")
        for p in fair
    ]  # fmt: skip
    text = table(("published", "basis", "year", "published", "model", "points", "role"), rows, left=2)
    apart = [f"{p.basis} ({p.year}): {value(p, p.published)} - {p.why_not}" for p in r.published if p.model != p.model]
    lines = ["not comparable:", *apart] if apart else []
    return "\n".join([text, *(textwrap.fill(t, WIDTH, subsequent_indent="    ") for t in lines)])

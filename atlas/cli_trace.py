"""`atlas trace`: where a place's material comes from, stage by stage, and where it goes."""

import textwrap
from pathlib import Path
from typing import Any

import click

from atlas.cli_shell import bloc_option, halts_option, json_option, note, print_json, say, solved, timed

WIDTH = 118
TOP = 8  # rows of a stage; the rest is summed
SUFFIXES = (".geojson", ".csv", ".html", ".svg")


@click.command("trace")
@click.argument("place", metavar="ID")
@click.option("--element", default="all", show_default=True, metavar="EL", help="Nd, Pr, Dy, Tb, Sm, NdPr or all.")
@halts_option
@click.option("--scenario", metavar="NAME_OR_FILE", help="A scenario of the layers or a TOML file.")
@bloc_option
@click.option("--direction", metavar="D", help="up, down or both.  [default: up; down for a mine]")
@click.option("--origin", default="", metavar="WHERE", help="Country, bloc, facility or `recycled` to test for.")
@click.option("--threshold", type=float, metavar="SHARE", help="Share to test against, such as 0.001 for 0.1 %.")
@click.option("--out", metavar="FILE", help="File to write: .geojson or .csv (paths, shares), .html (page), .svg.")
@json_option
@click.pass_obj
def trace_command(
    obj: dict[str, Any], place: str, element: str, halts: tuple[str, ...], scenario: str | None, bloc: str,
    direction: str | None, origin: str, threshold: float | None, out: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Trace material upstream to the mines and downstream to the users.

    ID is a facility, a site, a country (its demand), a market or a demand row. Shares follow proportional mixing, by
    stage, with the least and the most that could be of a country whatever is mixed with what.
    """
    if out is not None:
        from atlas.export_files import check_target_file

        check_target_file(out, SUFFIXES)
    outcome = solved(obj, scenario, halts, bloc, None)
    from atlas.trace import trace

    with timed("traced"):
        made = trace(outcome, place, element, direction, origin, threshold)
    if as_json:
        print_json(made.to_json())
    else:
        say(trace_text(made))
    if out is not None:
        from atlas.export_trace import write_trace

        with timed("written"):
            write_trace(made, Path(out))
        note(f"wrote {out}")
    return 0


def trace_text(made: Any) -> str:
    """Return a trace for people: the sentence, a table for each stage, bounds and verdicts."""
    from atlas.trace_words import sentence, tables, threshold_lines

    up, down = tables(made)
    parts = [textwrap.fill(sentence(made).replace("\u00a0", " "), WIDTH)]
    parts += [part for t in up for part in _stage(made, t, upstream=True)]
    if made.origin:
        parts.append(_origin(made))
    if made.threshold is not None and up:
        head = f"threshold {_percent(made.threshold)}:"
        lines = [textwrap.fill(x, WIDTH, initial_indent="  ", subsequent_indent="    ") for x in threshold_lines(made)]
        parts.append("\n".join([head, *lines]))
    parts += [part for t in down for part in _stage(made, t, upstream=False)]
    return "\n\n".join(parts)


def _stage(made: Any, t: Any, *, upstream: bool) -> list[str]:
    from atlas.cli_text import table

    title = t.title.lower()
    inside = (
        f"; inside {made.outcome.bloc}: {_percent(t.bloc_share)}"
        if t.stage != "recycling" and (made.upstream or not upstream)
        else ""
    )
    if t.bloc_bounds:
        inside += f" ({_percent(t.bloc_bounds.least)} to {_percent(t.bloc_bounds.most)})"
    before = any(r.before is not None for r in t.countries)
    bounds = upstream and t.stage != "recycling" and bool(made.upstream)
    head = [f"{title}: country", "share", *(["least", "most"] if bounds else []), *(["baseline"] if before else [])]
    parts = [table(head, _cut(t.countries, bounds, before)) + inside.replace("; ", "\n", 1)]
    head = [f"{title}: facility", "share", *(["baseline"] if before else [])]
    if t.stage != "demand":
        parts.append(table(head, _cut(t.facilities, False, before)))
    if t.sectors:
        parts.append(table(["ends with: sector", "share"], _cut(t.sectors, False, False)))
    return parts


def _cut(rows: Any, bounds: bool, before: bool) -> list[list[str]]:
    """Return the first rows as cells and the rest summed."""
    shown = []
    for r in rows[:TOP]:
        where = f" ({r.country})" if r.country and r.country not in r.name else ""
        cells = [r.name[:60] + where, _percent(r.share)]
        cells += [_percent(r.least), _percent(r.most)] if bounds else []
        shown.append(cells + ([_percent(r.before)] if before else []))
    rest = rows[TOP:]
    if rest:
        cells = [f"{len(rest)} more", _percent(sum(r.share for r in rest)), *(["", ""] if bounds else [])]
        shown.append(cells + ([_percent(sum(r.before or 0.0 for r in rest))] if before else []))
    return shown


def _origin(made: Any) -> str:
    from atlas.cli_text import table
    from atlas.trace_words import UP_TITLES, name

    rows = [
        [UP_TITLES[s].lower(), _percent(b.share), _percent(b.least), _percent(b.most)]
        for s, b in made.origin_bounds.items()
    ]
    who = name(made, made.origin)
    if not rows:
        return f"{who}: no stage upstream of here that it could be an origin at"
    return table([f"of {who}", "share", "least", "most"], rows)


def _percent(share: float | None) -> str:
    if share is None:
        return "-"
    if share in (0.0, 1.0):
        return f"{100 * share:.0f} %"
    return f"{100 * share:.2g} %" if share < 0.001 else f"{100 * share:.1f} %"

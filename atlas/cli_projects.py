"""`atlas fixes`: which planned and building projects would take shortage away, alone, together, and for a budget."""

import textwrap
from typing import Any

import click

from atlas.cli_frontier import progress_bar
from atlas.cli_shell import (
    bloc_option,
    halts_option,
    json_option,
    open_study,
    print_json,
    say,
    scenario_argument,
    timed,
)  # fmt: skip

WIDTH = 118
NAME = 28  # characters of a project's name; longer ones are cut


@click.command("fixes")
@scenario_argument
@halts_option
@bloc_option
@click.option("--by", type=int, metavar="YEAR", help="Only what is there by that year, on its ramp.")
@click.option("--all-countries", is_flag=True, help="Projects anywhere, not only those in the bloc.")
@click.option("--budget-musd", type=float, metavar="X", help="Find the best portfolio for X million USD.")
@click.option(
    "--top", type=click.IntRange(1, 1000), default=20, show_default=True, metavar="N", help="Projects to list."
)
@json_option
@click.pass_obj
def fixes_command(
    obj: dict[str, Any], scenario: str | None, halts: tuple[str, ...], bloc: str, by: int | None, all_countries: bool,
    budget_musd: float | None, top: int, as_json: bool,
) -> int:  # fmt: skip
    """Rank planned and building projects by the shortage they would take away under halts.

    Each alone, each left out of all, all together, year by year, in the order of what each adds, and as the best
    portfolio for a budget. Takes a minute or two.
    """
    study = open_study(obj)
    from atlas.fixes import fixes

    budget = None if budget_musd is None else budget_musd * 1e6
    with timed("judged"), progress_bar("fixes") as progress:
        found = fixes(
            study, halts, scenario, bloc=bloc, by=by, everywhere=all_countries, budget_usd=budget, progress=progress
        )
    if as_json:
        print_json(found.to_json())
    else:
        say(fixes_text(found, top))
    return 0


def fixes_text(f: Any, top: int) -> str:
    """Return the ranking for people."""
    parts = [textwrap.fill(f.sentence.replace("\u00a0", " "), WIDTH), _projects(f, top), _order(f), _years(f)]
    parts += [_portfolio(f), _not_judged(f)]
    parts.append(f"{f.solves} programmes solved, {f.spared} more not needed by proof.")
    return "\n\n".join(p for p in parts if p)


def _projects(f: Any, top: int) -> str:
    from atlas.cli_text import number, table, tonnes

    rows = []
    for r in f.rows[:top]:
        p = r.project
        mark = "" if p.capex_known else " est."
        rows.append(
            (_cut(p.name), p.stage, p.country, f"{p.start_year}", tonnes(p.capacity_t), taken(r.alone), taken(r.last),
             number(r.alone.objective_usd / 1e6), tonnes(r.output_t), number(r.per_t, 2),
             f"{number(p.capex_usd / 1e6)}{mark}", number(r.per_musd, 2))
        )  # fmt: skip
    head = ("project", "stage", "country", "start", "capacity", "alone, t", "last, t", "worth", "made, t", "per t",
            "capex", "per capex")  # fmt: skip
    text = table(head, rows, left=3)
    more = len(f.rows) - top
    notes = [
        "alone: shortage of the bloc that it takes away by itself; last: when all others are there; worth: what it "
        "takes off the objective alone, M USD a year: the world's shortage by priority above all; made: with all "
        "there. capex in M USD, est. where it is the median of its stage (C); per t, per capex: alone, by capacity "
        "and by M USD. 0*: proved without a solve."
    ]
    if more > 0:
        notes.insert(0, f"{more} more in --json, or with --top.")
    return "\n".join([text, *(textwrap.fill(n, WIDTH) for n in notes)])


def taken(gain: Any) -> str:
    """Return the shortage a gain takes away in the bloc; a proved nothing is marked."""
    from atlas.cli_text import tonnes

    return "0*" if gain.proved else tonnes(gain.bloc_t if abs(gain.bloc_t) >= 0.05 else 0.0)


def _order(f: Any) -> str:
    from atlas.cli_text import table, tonnes

    if not f.steps:
        return ""
    rows = [
        (f"{n}. {_cut(s.project.name)}", s.project.stage, tonnes(s.added.bloc_t), tonnes(s.so_far.bloc_t),
         "yes" if s.sure else "")
        for n, s in enumerate(f.steps, 1)
    ]  # fmt: skip
    return table(("in the order of what each adds", "stage", "adds, t", "by then, t", "surely the best"), rows, left=2)


def _years(f: Any) -> str:
    from atlas.cli_text import table, tonnes

    rows = [(f"{y}", str(n), tonnes(g.bloc_t), tonnes(g.world_t)) for y, g, n in f.by_year]
    return table(("there by", "projects", "off the bloc's shortage, t", "off the world's, t"), rows)


def _portfolio(f: Any) -> str:
    if f.portfolio is None:
        return ""
    from atlas.cli_text import number, percent, tonnes

    p = f.portfolio
    of = {r.project.id: r.project for r in f.rows}
    off = f.none.bloc_short_t - p.best.bloc_short_t
    guessed = sum(of[i].still_usd for i in p.chosen if not of[i].capex_known)
    lines = [
        f"best portfolio for {number(p.budget_usd / 1e6)} M USD: {tonnes(off)} t off the bloc's shortage for "
        f"{number(p.capex_usd / 1e6)} M USD, of which {number(guessed / 1e6)} M USD by estimates of capex",
        *(f"  {of[i].name} ({of[i].stage}, {of[i].country}): {number(of[i].still_usd / 1e6)} M USD" for i in p.chosen),
        f"  objective {number(p.best.objective_usd / 1e6)} M USD, bound {number(p.bound_usd / 1e6)}, "
        f"gap {percent(p.gap_share)} of what all would take off: {'proved best' if p.proved else 'not proved best'}, "
        f"{p.solves} solves",
    ]
    return "\n".join(textwrap.fill(line, WIDTH, subsequent_indent="    ") for line in lines)


def _not_judged(f: Any) -> str:
    said = [f"{u.name} ({u.stage}, {u.country}): {', '.join(u.missing)}" for u in f.unready]
    said += [f"{p.name}: starts in {p.start_year}, after {f.by}" for p in f.later]
    if not said:
        return ""
    lines = [f"not judged ({len(said)}):", *said]
    return "\n".join(textwrap.fill(t, WIDTH, initial_indent="  " * (n > 0)) for n, t in enumerate(lines))


def _cut(text: str) -> str:
    return text if len(text) <= NAME else text[: NAME - 3] + "..."

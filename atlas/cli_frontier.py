"""`atlas frontier` and `atlas worth`: how allied a bloc can be and at what cost; what one more tonne is worth."""

import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from atlas.cli_shell import bloc_option, halts_option, json_option, note, open_study, print_json, say, timed, words

WIDTH = 118
BINDS = 38  # characters of a break point's words in the table; longer ones are cut
SUFFIXES = (".csv", ".json", ".svg")
PLACES = 12


@click.command("frontier")
@bloc_option
@click.option("--element", default="all", show_default=True, metavar="EL", help="all, NdPr, Dy, Tb or Sm.")
@halts_option
@click.option("--trusted", default="outside-china", show_default=True, metavar="WHERE",
              help="Where a stage counts as allied: outside-china, bloc, or the name of a bloc.")  # fmt: skip
@click.option("--since", default="mine", show_default=True, metavar="STAGE",
              help="First stage that must be there: mine, separation, metal or magnet.")  # fmt: skip
@click.option("--points", default=40, show_default=True, metavar="N", help="Programmes to solve at most, 3 to 400.")
@click.option("--out", metavar="FILE", help="File to write: .csv or .json (points), .svg (plot).")
@json_option
@click.pass_obj
def frontier_command(
    obj: dict[str, Any], bloc: str, element: str, halts: tuple[str, ...], trusted: str, since: str, points: int,
    out: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Trace how allied a bloc's magnets can be, and at what cost.

    Each point is an optimum: the least cost for so much foreign content. Break points are named by what begins to bind.
    """
    if out is not None:
        from atlas.export_files import check_target_file

        check_target_file(out, SUFFIXES)
    study = open_study(obj)
    from atlas.frontier import frontier

    with timed("traced"), progress_bar("frontier") as progress:
        found = frontier(study, bloc, element, halts, points, progress, trusted, since)
    if as_json:
        print_json(found.to_json())
    else:
        say(frontier_text(found, study.layers))
    if out is not None:
        _write(found, Path(out))
        note(f"wrote {out}")
    return 0


@click.command("worth")
@halts_option
@bloc_option
@click.option("--stage", "stages", multiple=True, metavar="STAGE", help="Only units of this stage. May be repeated.")
@click.option(
    "--top", default=20, show_default=True, metavar="N", help="Units to check by finite differences, 0 to 200."
)
@json_option
@click.pass_obj
def worth_command(
    obj: dict[str, Any], halts: tuple[str, ...], bloc: str, stages: tuple[str, ...], top: int, as_json: bool
) -> int:
    """Value one more tonne a year at each unit, stage and place.

    By the dual of the unit's limit; the most valuable ones are checked by solving with a little more and a little less.
    """
    study = open_study(obj)
    from atlas.shadow import worth

    chosen = tuple(s for text in stages for s in words(text) or (text,))
    with timed("valued"), progress_bar("worth") as progress:
        found = worth(study, halts, bloc, chosen, top, progress)
    if as_json:
        print_json(found.to_json())
    else:
        say(worth_text(found, study.layers, top))
    return 0


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int, str], None]]:
    """Give a callback (done, total, what) that draws a bar on standard error where that is a terminal."""
    made: Any = click.progressbar(length=1, label=label, file=sys.stderr, hidden=not sys.stderr.isatty())
    with made as bar:

        def progress(done: int, total: int, what: str) -> None:
            bar.length = max(total, 1)
            bar.label = f"{label}: {what}"[:40]
            bar.update(max(0, done - bar.pos))

        yield progress


def frontier_text(f: Any, layers: Any) -> str:
    """Return a frontier for people: the sentence, every point that is kept, how it was found."""
    from atlas.cli_text import number, percent, table, tonnes
    from atlas.frontier_words import sentence, share_title, thousands

    rows = []
    for r in f.kept.itertuples():
        rows.append(
            (percent(r.allied_share), percent(r.allied_demand_share), tonnes(r.bloc_shortage_t),
             percent(r.bloc_shortage_share), tonnes(r.shortage_t), number(r.unit_spend_usd_t), number(r.bloc_days, 1),
             thousands(r.price_usd_t).replace("\u00a0", " ").replace("–", "-"), _cut(r.binds))
        )  # fmt: skip
    head = (
        "share",
        "of demand",
        "short, t",
        "of demand",
        "world, t",
        "USD/t",
        "days",
        "USD/t content",
        "begins to bind",
    )
    told = (
        f"{share_title(f)}, of what it receives and of what it asks for; short: the bloc, the world; USD/t: freight, "
        "processing and duty a delivered tonne, world; days: mean, of all that goes to the bloc; USD/t content: price "
        "of the next tonne of foreign content given up. Priority classes: 1 defence and medicine, 2 cars, motors, "
        "wind, robots, 3 electronics and the rest."
    )
    how = (
        f"{f.solves} programmes solved; {len(f.kept)} points, {f.dropped} that another one beats left out; between "
        f"points the share lies at most {100 * f.gap_share:.2g} points off a straight line."
    )
    lines = [sentence(f, layers).replace("\u00a0", " "), told]
    body = _left_last(table(head, rows, left=0), head[-1])
    return "\n\n".join([*(textwrap.fill(t, WIDTH) for t in lines), body, textwrap.fill(how, WIDTH)])


def _left_last(text: str, head: str) -> str:
    """Return a table with its last column, of words, to the left."""
    lines = text.split("\n")
    start = min(len(lines[1]) - len(lines[1].split("  ")[-1]), len(lines[0]) - len(head))
    return "\n".join(line[:start] + line[start:].strip() for line in lines)


def worth_text(w: Any, layers: Any, top: int) -> str:
    """Return the worth of a tonne for people: the sentence, the checked units, stages by place."""
    from atlas.cli_text import number, table, tonnes
    from atlas.frontier_words import worth_sentence
    from atlas.shadow import UNIT_OF

    shown = w.units[w.units["value_usd_t"] > 1.0].head(max(top, 10))
    rows = [
        (_cut(str(r.name)), r.stage, r.country, tonnes(r.limit_t), number(r.value_usd_t), number(r.plus_usd_t),
         number(r.minus_usd_t), number(r.world_t, 2), number(r.bloc_t, 2), "" if r.kink != r.kink else "kink" if r.kink
         else "yes" if r.agrees else "NO")
        for r in shown.rename(columns={"name": "unit"}).assign(name=shown["name"]).itertuples(index=False)
    ]  # fmt: skip
    parts = [textwrap.fill(worth_sentence(w, layers).replace("\u00a0", " "), WIDTH)]
    if rows:
        head = ("unit", "stage", "at", "limit, t", "USD/t", "+ d", "- d", "t world", "t bloc", "agrees")
        parts.append(table(head, rows, left=3))
        places = w.places[w.places["value_usd_t"] > 1.0].head(PLACES)
        parts.append(
            table(
                ("stage", "at", "units", "limit, t", "best, USD/t", "all, million USD"),
                [(p.stage, p.country, p.units, tonnes(p.limit_t), number(p.value_usd_t), number(p.rent_usd / 1e6, 1))
                 for p in places.itertuples()],
                left=2,
            )
        )  # fmt: skip
        units = ", ".join(f"{s}: {u}" for s, u in UNIT_OF.items())
        parts.append(
            textwrap.fill(
                f"USD/t: one more tonne a year of the limit ({units}), by the dual; + d and - d: by solving with a "
                "little more and a little less; t: tonnes of shortage removed. A kink holds one way only. Worth is in "
                "the programme's own terms, penalties on shortage included. Prices of goods: prices_usd_t of "
                "`atlas solve --json`.",
                WIDTH,
            )
        )
    return "\n\n".join(parts)


def _write(found: Any, path: Path) -> None:
    import json

    from atlas.export_files import write_file

    if path.suffix == ".svg":
        from atlas.render_frontier import plot_file

        text = plot_file(found)
    elif path.suffix == ".json":
        text = json.dumps(found.to_json(), allow_nan=False, indent=1) + "\n"
    else:
        text = found.kept.drop(columns=["dominated"]).to_csv(index=False, lineterminator="\n")

    def write(fresh: Path) -> None:
        fresh.write_text(text, encoding="utf-8")

    write_file(path, write)


def _cut(text: str) -> str:
    return text if len(text) <= BINDS else text[: BINDS - 3] + "..."

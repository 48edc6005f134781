"""`atlas chokepoints`: what costs most to lose, alone and together."""

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from atlas.cli_shell import bloc_option, json_option, note, open_study, print_json, say, timed, words
from atlas.progress_bar import bar

WIDTH = 118
SUFFIXES = (".geojson", ".gpkg", ".fgb", ".parquet", ".csv")  # export.SUFFIXES, which takes long to import


@click.command("chokepoints")
@bloc_option
@click.option("--element", default="all", show_default=True, metavar="EL", help="Nd, Pr, Dy, Tb, Sm, NdPr or all.")
@click.option(
    "--commodity", default="magnet", show_default=True, metavar="C",
    help="What the bloc is supplied with: concentrate, oxide, metal or magnet. For singles.",
)  # fmt: skip
@click.option("--size", type=click.IntRange(1, 3), default=1, show_default=True, help="How many are lost together.")
@click.option("--top", type=click.IntRange(1, 1000), default=10, show_default=True, help="Rows to show.")
@click.option(
    "--among", metavar="KIND,...",
    help="Kinds of things: facility, port, passage, border, exports, production, stage.  "
    "[default: all; for sets passage,stage,facility]",
)  # fmt: skip
@click.option("--weight", type=float, default=10.0, show_default=True, help="Weight of the bloc's shortage, for sets.")
@click.option("--cut", type=float, metavar="SHARE", help="Find the fewest things that take the bloc below this share.")
@click.option(
    "--limit-s", type=click.FloatRange(min=0, min_open=True), metavar="S",
    help="Time for a search of sets.  [default: 600 for 2, 1800 for 3]",
)  # fmt: skip
@click.option("--out", metavar="FILE", help="File to write: .csv, for singles also .geojson, .gpkg, .fgb or .parquet.")
@json_option
@click.pass_obj
def chokepoints_command(
    obj: dict[str, Any], bloc: str, element: str, commodity: str, size: int, top: int, among: str | None, weight: float,
    cut: float | None, limit_s: float | None, out: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Find what costs most to lose: singles, pairs, triples.

    Singles rank every facility, port, passage, border, country and stage of a country by what the bloc loses. Pairs and
    triples are searched exactly over passages, stages of countries and the larger facilities. Solves are kept: asking
    again is quick, and a search that was stopped goes on where it was.
    """
    from atlas import export_chokepoints, many_solves
    from atlas.chokepoints import question, worst_sets
    from atlas.errors import BadInput
    from atlas.losses import lens
    from atlas.minimum_cut import minimum_cut
    from atlas.singles import singles

    if out is not None:
        from atlas.export_files import check_target_file

        check_target_file(out, SUFFIXES if size == 1 and cut is None else (".csv",))
        if cut is not None:
            raise BadInput("--out goes with singles, pairs and triples, not with --cut")
    study = open_study(obj)
    kinds = words(among)
    if size == 1 and cut is None:
        look = lens(study.ground.stage.world, study.blocs, bloc, commodity, element)
        export_chokepoints.check_kinds(kinds)
        with timed("found"), bar("losing one thing at a time") as progress:
            found = singles(study, progress).only(kinds)
        return _told(_singles_text(found, look, top), lambda: _json("singles", found, look, top), as_json, out,
                     lambda p: export_chokepoints.write_singles(found, look, p))  # fmt: skip
    if cut is not None and size > 1:
        raise BadInput("--cut finds the size itself: leave out --size")
    if commodity != "magnet":
        raise BadInput(f"--commodity {commodity}: sets are valued by magnets; leave it out")
    asked = question(study, bloc, element, kinds, weight, cut=cut is not None)
    note(f"{len(asked.candidates)} candidates, {many_solves.workers_of(study.settings.workers)} processes")
    if cut is not None:
        with timed("found"), bar("searching") as progress:
            least = minimum_cut(study, asked, cut, limit_s=limit_s, progress=progress)
        return _told(_cut_text(least), lambda: _json("cut", least), as_json)
    with timed("found"), bar("searching") as progress:
        worst = worst_sets(study, asked, size, limit_s, top, progress)
    return _told(_sets_text(worst, top), lambda: _json("sets", worst, top), as_json, out,
                 lambda p: export_chokepoints.write_sets(worst, p))  # fmt: skip


def write_chokepoints(obj: dict[str, Any], bloc: str, out: str, commodity: str = "magnet", element: str = "all") -> int:
    """Write all singles for a bloc to a file and say so; refuses a place it cannot write before any solve."""
    from atlas.export_chokepoints import write_singles
    from atlas.export_files import check_target_file
    from atlas.losses import lens
    from atlas.singles import singles

    target = check_target_file(out, SUFFIXES)
    study = open_study(obj)
    look = lens(study.ground.stage.world, study.blocs, bloc, commodity, element)
    with timed("found"), bar("losing one thing at a time") as progress:
        found = singles(study, progress)
    with timed("written"):
        write_singles(found, look, target)
    note(f"wrote {out}")
    return 0


def _told(
    text: str, data: Callable[[], Any], as_json: bool, out: str | None = None,
    write: Callable[[Path], None] | None = None,
) -> int:  # fmt: skip
    if as_json:
        print_json(data())
    else:
        say(text)
    if out is not None and write is not None:
        with timed("written"):
            write(Path(out))
        note(f"wrote {out}")
    return 0


def _json(kind: str, *args: Any) -> dict[str, Any]:
    from atlas import chokepoint_words

    made: dict[str, Any] = getattr(chokepoint_words, f"{kind}_json")(*args)
    return made


def _singles_text(found: Any, look: Any, top: int) -> str:
    from atlas.chokepoint_words import cheapest_way_round, percent, singles_sentence
    from atlas.cli_text import number, signed, table, tonnes

    rows = [
        (
            _cut(r["name"], 44), r["kind"], tonnes(r["lost_t"]), percent(r["lost_share"]), tonnes(r["short_t"]),
            tonnes(r["world_short_t"]), signed(r["extra_spend_usd"] / 1e6, 1), signed(r["extra_days"], 2),
        )
        for r in found.table(look).head(top).to_dict("records")
    ]  # fmt: skip
    head = ("without", "kind", "lost, t", "of supply", "short, t", "world, t", "M USD", "days")
    told = [
        f"{n + 1:>3}  {r['name']}: {r['replaced_by']}"
        for n, r in enumerate(found.table(look).head(min(top, 10)).to_dict("records"))
        if r["replaced_by"]
    ]
    parts = [
        textwrap.fill(singles_sentence(found, look), WIDTH),
        table(head, rows, left=2),
        textwrap.fill(_legend(look, number(look.supply_t(found.before))), WIDTH),
        "what replaced it\n" + "\n".join(textwrap.fill(t, WIDTH, subsequent_indent="     ") for t in told),
        textwrap.fill(cheapest_way_round(found, look), WIDTH),
    ]
    return "\n\n".join(p for p in parts if p)


def _legend(look: Any, supply_t: str) -> str:
    return (
        f"lost: {look.unit} delivered to {look.bloc}, of {supply_t} a year; short: magnets its buyers lack; M USD and "
        "days: its spending, and days of a delivered tonne, beside the baseline"
    )


def _sets_text(found: Any, top: int) -> str:
    from atlas.chokepoint_words import NOT_OPTIMISED, percent, sets_sentence
    from atlas.cli_text import signed, table, tonnes

    rows = [
        (
            _cut(" + ".join(r["members"]), 70), "yes" if r["proved"] else "", f"{r['v_rise_usd'] / 1e9:,.2f}",
            tonnes(r["short_t"]), percent(r["lost_share"]), signed(r["extra_days"], 2),
        )
        for r in found.table.head(top).to_dict("records")
    ]  # fmt: skip
    head = ("without", "proved", "rise of V, bn USD", "short, t", "of supply", "days")
    look = found.question.lens
    goods = "magnets" if look.element == "all" else f"magnets that hold {look.element}"
    weighed = (
        f"V is the optimum with the set lost, a tonne of {goods} that {look.bloc} is short of weighing "
        f"{found.question.weight:g} times; proved: no set beats it but those above. {NOT_OPTIMISED}"
    )
    return "\n\n".join([textwrap.fill(sets_sentence(found), WIDTH), table(head, rows), textwrap.fill(weighed, WIDTH)])


def _cut_text(found: Any) -> str:
    from atlas.chokepoint_words import cut_sentence

    return textwrap.fill(cut_sentence(found), WIDTH)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."

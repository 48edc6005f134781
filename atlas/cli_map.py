"""The command `atlas map`: one map, as a page or as a picture for print."""

from typing import Any

import click

from atlas.chain import chain_of
from atlas.chain_words import reword_figure
from atlas.cli_shell import bloc_option, halts_option, note, on_option, scenario_argument, solved, timed
from atlas.errors import BadInput

PICTURES = (".png", ".svg", ".pdf")
MM_PER_INCH = 25.4
# Papers by name, width and height in mm as they lie; `-upright` turns them.
PAPERS = {"a5": (210.0, 148.0), "a4": (297.0, 210.0), "a3": (420.0, 297.0), "letter": (279.4, 215.9)}


@click.command("map")
@scenario_argument
@halts_option
@bloc_option
@on_option
@click.option("--out", required=True, metavar="FILE", help="File to write: .html, .png, .svg or .pdf.")
@click.option("--title", metavar="T", help="Title on the map.")
@click.option("--focus", metavar="BBOX_OR_BLOC", help="Part of the world: west,south,east,north, a bloc or a country.")
@click.option("--view", metavar="VIEW", help="before, after, change, or all (three panels; pictures only).")
@click.option(
    "--projection", metavar="NAME",
    help="Pictures: auto (cuts the fewest tonnes), equal-earth, equal-earth-pacific or robinson.",
)  # fmt: skip
@click.option("--commodity", metavar="NAMES", help="Pictures: only these, with commas, such as oxide,magnet.")
@click.option("--colour", metavar="BY", help="Pictures: flows by commodity or by source (allied or not).")
@click.option("--grey", is_flag=True, help="Pictures: without colours, told apart by dash and darkness.")
@click.option("--size", metavar="PAPER", help="Pictures: a3, a4, a5, letter, each also -upright; or mm: 240x160.")
@click.option("--dpi", type=int, metavar="N", help="Dots per inch of a .png.  [default: 200]")
@click.pass_obj
def map_command(
    obj: dict[str, Any], scenario: str | None, halts: tuple[str, ...], bloc: str, on: str | None, out: str,
    title: str | None, focus: str | None, view: str | None, projection: str | None, commodity: str | None,
    colour: str | None, grey: bool, size: str | None, dpi: int | None,
) -> int:  # fmt: skip
    """Draw one map: a page that needs no network, or a picture for print.

    The suffix of --out says which: .html is the interactive map in one file; .png, .svg and .pdf are laid out for
    paper, with title, legend, inset and sources, and are the same bytes each time.
    """
    from atlas.export_files import check_target_file

    target = check_target_file(out, (".html", *PICTURES))
    pictured = target.suffix.lower() in PICTURES
    given = {"--projection": projection, "--commodity": commodity, "--colour": colour, "--size": size, "--dpi": dpi}
    only = [name for name, value in given.items() if value is not None] + (["--grey"] if grey else [])
    if not pictured:
        problems = [f"{name} goes with a picture: {', '.join(PICTURES)}" for name in only]
        problems += ["--view all goes with a picture: " + ", ".join(PICTURES)] if view == "all" else []
        if problems:
            raise BadInput(problems)
        outcome = solved(obj, scenario, halts, bloc, on)
        from atlas import export, render

        with timed("drawn"):
            export.write_page(out, render.page(outcome, view=view or "change", title=title, focus=focus))
        note(f"wrote {out}")
        return 0
    if dpi is not None and target.suffix.lower() != ".png":
        raise BadInput("--dpi goes with a .png; .svg and .pdf have no pixels")
    from atlas import figure_map, figure_save
    from atlas.cli_shell import words

    chosen: dict[str, Any] = {
        "view": view or "change", "projection": projection or "auto", "commodity": words(commodity),
        "size_in": paper_in(size) if size else None, "colour": colour or "commodity",
    }  # fmt: skip
    figure_map.check(**chosen)
    dots = figure_save.checked_dpi(figure_save.DPI if dpi is None else dpi)
    outcome = solved(obj, scenario, halts, bloc, on)
    with timed("drawn"):
        figure = figure_map.draw(outcome, title=title, focus=focus, grey=grey, **chosen)
        reword_figure(figure, chain_of(outcome.layers))
        figure_save.save(figure, out, dots)
    note(f"wrote {out}")
    return 0


def paper_in(text: str) -> tuple[float, float]:
    """Return width and height in inches of a paper's name or of `WxH` in mm; raises BadInput."""
    name, upright = text.strip().lower().removesuffix("-upright"), text.strip().lower().endswith("-upright")
    if name in PAPERS:
        wide, tall = PAPERS[name]
        return (tall / MM_PER_INCH, wide / MM_PER_INCH) if upright else (wide / MM_PER_INCH, tall / MM_PER_INCH)
    try:
        wide, tall = (float(v) for v in name.split("x"))
    except ValueError:
        raise BadInput(
            f"--size {text[:40]!r}: expected {', '.join(PAPERS)}, each also -upright, or millimetres like 240x160"
        ) from None
    return wide / MM_PER_INCH, tall / MM_PER_INCH

"""The commands of `atlas`. They translate: text in, a call of the library, text out. Heavy modules load when used."""

from typing import Any

import click

from atlas import __version__
from atlas.cli_check import check_command
from atlas.cli_chokepoints import chokepoints_command
from atlas.cli_concentration import concentration_command
from atlas.cli_export import export_command
from atlas.cli_frontier import frontier_command, worth_command
from atlas.cli_map import map_command
from atlas.cli_projects import fixes_command
from atlas.cli_report import report_command
from atlas.cli_serve import serve_command
from atlas.cli_shell import (
    AtlasGroup,
    PlaceCommand,
    bloc_option,
    halts_option,
    ids,
    json_option,
    note,
    on_option,
    open_study,
    print_json,
    say,
    scenario_argument,
    solved,
    timed,
    words,
)  # fmt: skip
from atlas.cli_trace import trace_command
from atlas.errors import BadInput, NoAnswer

MODES = ("sea", "rail", "road", "air")
COMMODITIES = ("concentrate", "oxide", "metal", "magnet")
KINDS = ("facility", "port", "passage", "country", "bloc", "scenario")


@click.group(cls=AtlasGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--layers", metavar="DIR_OR_ADDRESS", help="Own layers, laid over the shipped ones by id.")
@click.option("--year", type=int, default=2024, show_default=True, help="Which facilities run.")
@click.version_option(__version__, message="atlas %(version)s")
@click.pass_context
def main(ctx: click.Context, layers: str | None, year: int) -> None:
    """Where rare-earth material flows, and where it goes instead when something is halted."""
    ctx.obj = {"layers": layers, "year": year}


@main.command()
@click.argument("text")
@click.option("--kind", metavar="KIND,...", help=f"Only these kinds: {', '.join(KINDS)}.")
@json_option
@click.pass_obj
def find(obj: dict[str, Any], text: str, kind: str | None, as_json: bool) -> int:
    """Find ids by name."""
    from atlas import layers
    from atlas.cli_text import table

    hits = layers.open_layers(obj["layers"]).find(text, words(kind) or None)
    rows = hits[["id", "kind", "name", "country"]].to_dict("records")
    if as_json:
        print_json(rows)
    elif rows:
        say(table(("id", "kind", "name", "country"), [tuple(r.values()) for r in rows], left=4))
    if not rows:
        raise NoAnswer(f"nothing is called {text[:80]!r}")
    return 0


@main.command(cls=PlaceCommand)
@click.argument("origin", metavar="FROM")
@click.argument("destination", metavar="TO")
@click.option(
    "--close", multiple=True, metavar="IDS",
    help="Passages, ports or borders AAA-BBB that are closed, with commas or semicolons. May be given again.",
)  # fmt: skip
@click.option("--open", "opened", multiple=True, metavar="IDS", help="Passages shut by default that are open here.")
@click.option(
    "--surcharge", multiple=True, metavar="PASSAGE=USD_T",
    help="War risk, USD per gross tonne, paid at each crossing of a passage. May be given again.",
)  # fmt: skip
@click.option("--modes", default="sea,rail,road", show_default=True, help=f"Modes to use, of {', '.join(MODES)}.")
@click.option(
    "--commodity", default="magnet", show_default=True, help=f"Sets the value of time: {', '.join(COMMODITIES)}."
)
@click.option("--alternatives", type=click.IntRange(1, 10), default=1, metavar="K", help="Number of ways to list.")
@json_option
@click.pass_obj
def route(
    obj: dict[str, Any], origin: str, destination: str, close: tuple[str, ...], opened: tuple[str, ...],
    surcharge: tuple[str, ...], modes: str, commodity: str, alternatives: int, as_json: bool,
) -> int:  # fmt: skip
    """Find the best path between facilities, ports or lon,lat points."""
    from atlas.cli_text import route_text

    study = open_study(obj)
    with timed("routed"):
        found = study.route(
            place(origin), place(destination), close=ids(close), open=ids(opened), modes=words(modes),
            commodity=commodity, alternatives=alternatives, surcharges=surcharge,
        )  # fmt: skip
    answers = [r.to_json() for r in (found if isinstance(found, list) else [found])]
    if as_json:
        print_json(answers if alternatives > 1 else answers[0])
    else:
        reached = [route_text(a) for a in answers if a["reachable"]]
        heads = [f"way {i + 1}\n{t}" if alternatives > 1 else t for i, t in enumerate(reached)]
        if heads:
            say("\n\n".join(heads))
    if not any(a["reachable"] for a in answers):
        raise NoAnswer(answers[0]["reason"])
    return 0


@main.command()
@scenario_argument
@halts_option
@bloc_option
@on_option
@click.option("--open", "opened", multiple=True, metavar="ID", help="Passage that is shut by default and open here.")
@click.option("--out", metavar="DIR", help="Write tables, GIS files and the map into this folder.")
@click.option("--force", is_flag=True, help="Replace an earlier result in --out.")
@click.option("--check", "check_dir", metavar="DIR", help="Verify a stored result without a solver, and stop.")
@json_option
@click.pass_obj
def solve(
    obj: dict[str, Any], scenario: str | None, halts: tuple[str, ...], bloc: str, on: str | None,
    opened: tuple[str, ...], out: str | None, force: bool, check_dir: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Solve the baseline and a halt, side by side."""
    if check_dir is not None:
        if scenario or halts or out:
            raise BadInput("--check verifies a stored result; it takes no scenario, --halt or --out")
        return verify(obj, check_dir, as_json)
    from atlas import export
    from atlas.cli_text import solve_text

    if out is not None:
        export.check_result_folder(out, force)
    elif force:
        raise BadInput("--force goes with --out")
    outcome = solved(obj, scenario, halts, bloc, on, opened)
    if out is not None:
        from atlas import render

        with timed("written"):
            export.write_outcome(outcome, out, force, page=lambda: render.page(outcome))
        note(f"wrote {len(export.RESULT_FILES)} files to {out}")
    if as_json:
        print_json(outcome.summary)
    else:
        say(solve_text(outcome))
    return 0


@main.command()
@click.argument("facility", metavar="[ID]", required=False)
@click.option("--to", metavar="PORT", help="Make a corridor to this port, not an area around the facility.")
@click.option(
    "--radius-km", type=float, metavar="R",
    help="Size of the area, half the width of a corridor.  [default: to the trunk network; 15 for a corridor]",
)  # fmt: skip
@click.option("--osm", metavar="FILE", help="Read this OSM XML file (.osm, .osm.gz, .osm.bz2) and ask no server.")
@click.option("--refresh", is_flag=True, help="Ask again for what is kept already.")
@click.pass_obj
def roads(
    obj: dict[str, Any], facility: str | None, to: str | None, radius_km: float | None, osm: str | None, refresh: bool
) -> int:
    """Fetch and keep local roads and rails around a facility.

    They join it to the trunk network, or to a port, in every later answer. Without ID: what is kept, and what needs it.
    """
    from atlas import cli_roads, network

    study = open_study(obj)
    if facility is None:
        if to or osm or radius_km is not None or refresh:
            raise BadInput("--to, --radius-km, --osm and --refresh go with the ID of a facility")
        kept = study.local_roads
        if kept.accesses:
            say(cli_roads.kept_text(kept.accesses) + "\n")
        say(cli_roads.far_text(network.load(study.layers, kept).far_facilities()))
        return 0
    from atlas import local_roads

    with timed("made the local roads"):
        made = local_roads.make(study.layers, study.settings, facility, to, radius_km, osm, refresh, say=note)
    if made.already:
        note(f"the roads of {made.access.facility} were already there; --refresh makes them anew")
    say(cli_roads.access_text(made.access, made.trunk_km))
    return 0


@main.command()
@json_option
@click.pass_obj
def validate(obj: dict[str, Any], as_json: bool) -> int:
    """Compare the model with published figures, row by row.

    Exit 1 when one of the bounds does not hold.
    """
    from atlas import validation
    from atlas.cli_validate import validate_text

    study = open_study(obj)
    with timed("compared"):
        found = validation.validate(study)
    if as_json:
        print_json(found.to_json())
    else:
        say(validate_text(found))
    if not found.ok:
        raise NoAnswer(found.broken)
    return 0


@main.command()
@click.pass_obj
def about(obj: dict[str, Any]) -> int:
    """Print versions, sources and licences."""
    from atlas import layers
    from atlas.cli_about import about_text

    say(about_text(layers.open_layers(obj["layers"])))
    return 0


def verify(obj: dict[str, Any], folder: str, as_json: bool) -> int:
    """Check a stored result and say what was found; exit 1 if it does not hold."""
    from atlas import layers, stored
    from atlas.cli_text import verified_text

    with timed("verified"):
        found = stored.check_folder(folder, layers.open_layers(obj["layers"]))
    if as_json:
        print_json(found)
    else:
        say(verified_text(found))
    if not found["ok"]:
        raise NoAnswer([f"{folder} does not hold", *found["problems"]])
    return 0


def place(text: str) -> str | tuple[float, float]:
    """Return (lon, lat) of a text with a comma, else the id; raises BadInput for coordinates that are none."""
    if "," not in text:
        return text.strip()
    from atlas.geo import parse_lonlat

    point = parse_lonlat(text)
    if point is None:
        raise BadInput(f"{text.strip()[:80]!r} is not lon,lat in degrees")
    return point


main.add_command(check_command)
main.add_command(chokepoints_command)
main.add_command(export_command)
main.add_command(serve_command)
main.add_command(map_command)
main.add_command(report_command)
main.add_command(trace_command)
main.add_command(fixes_command)
main.add_command(concentration_command)
main.add_command(frontier_command)
main.add_command(worth_command)

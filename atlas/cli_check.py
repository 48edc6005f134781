"""The command `atlas check`: what is in the layers, what is wrong there and what to do; a template to start from."""

from typing import Any

import click

from atlas.cli_shell import note, say, timed
from atlas.errors import BadInput

SHOWN = 12  # changed rows that are told one by one


@click.command("check")
@click.option("--template", metavar="DIR", help="Write a folder to start one's own layers from; never overwrites.")
@click.option("--example", metavar="NAME", help="With --template: a copy of a worked example, such as gallium.")
@click.pass_obj
def check_command(obj: dict[str, Any], template: str | None, example: str | None) -> int:
    """Read the layers and list every problem, with what to do about it."""
    if example and not template:
        raise BadInput("--example goes with --template DIR")
    if template:
        from atlas.own_template import write_template

        names = write_template(template, example or "")
        note(f"wrote {len(names)} files to {template}; next: atlas --layers {template} check")
        return 0
    from atlas import layers
    from atlas.cli_text import number, percent, table
    from atlas.own_layers import own_files, own_folder, problem_lines

    folder = own_folder(obj["layers"])
    with timed("checked"):
        counts = layers.check_table(obj["layers"])
        problems = layers.problems(obj["layers"])
    rows = [
        (r["layer"], number(r["count"]), number(r["problems"]), number(r["free_text_feeds"]), percent(r["share_on_c"]))
        for r in counts.to_dict("records")
    ]
    say(table(("layer", "rows", "problems", "free-text feeds", "on confidence C"), rows))
    files = own_files(folder) if folder else []
    if files:
        say("\n" + _files_text(files))
    if len(problems):
        texts = problem_lines(folder, problems.to_dict("records"))
        say("")
        say("\n".join(texts))
        raise BadInput([f"{len(texts)} problems in the layers", *texts])
    return _passed(obj, files)


def _files_text(files: list[Any]) -> str:
    from atlas.cli_text import number, table

    rows = [
        (f.name, "whole" if f.whole else "by id", number(len(f.added)), number(len(f.changed)), number(len(f.same)))
        for f in files
    ]
    text = "your files:\n" + table(("file", "laid", "rows added", "changed", "same as shipped"), rows, left=2)
    told = [f"{f.name} {i}: changes {', '.join(columns)}" for f in files for i, columns in f.changed.items()]
    more = [f"... and {len(told) - SHOWN} more"] if len(told) > SHOWN else []
    return "\n".join([text, *told[:SHOWN], *more])


def _passed(obj: dict[str, Any], files: list[Any]) -> int:
    """Say what lies far off and what is doubtful in layers without a problem."""
    from atlas import layers, network
    from atlas.cli_roads import far_text
    from atlas.own_layers import doubts, world_problem

    opened = layers.open_layers(obj["layers"])
    missing = world_problem(opened, obj["year"])
    if missing:
        say("\n" + missing)
        raise BadInput(missing)
    net = network.load(opened)
    say("\n" + far_text(net.far_facilities()))
    if files:
        snap_km = {i: place.snap_km for i, place in net.places.items()}
        found = list(doubts(opened, files, snap_km, obj["year"]))
        say("\nworth a look:\n" + "\n".join(found) if found else "\nyour rows: nothing to mend")
    return 0

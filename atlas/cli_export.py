"""`atlas export`: a layer or a result for GIS, in the format that the name of the file says."""

from pathlib import Path
from typing import Any

import click

from atlas import cli_shell
from atlas.cli_chokepoints import write_chokepoints
from atlas.cli_shell import bloc_option, day, halts_option, note, on_option, timed
from atlas.errors import BadInput, UnknownName, nearest


@click.command("export")
@click.argument("layer")
@halts_option
@click.option("--scenario", metavar="FILE", help="A scenario file, or the name of a shipped one.")
@bloc_option
@on_option
@click.option("--out", required=True, metavar="FILE", help="File to write: .geojson, .gpkg, .fgb, .parquet or .csv.")
@click.option("--qgis", is_flag=True, help="With `all`: a QGIS project beside the .gpkg, as .qgz.")
@click.pass_obj
def export_command(
    obj: dict[str, Any], layer: str, halts: tuple[str, ...], scenario: str | None, bloc: str, on: str | None, out: str,
    qgis: bool,
) -> int:  # fmt: skip
    """Write a layer or a result for GIS.

    LAYER is facilities, ports, passages, network, flows, changes, or all (one GeoPackage); or chokepoints, the ranking
    of what costs the bloc most to lose.

    The package of all has, of the network, the edges in use; network alone has every edge. It holds styles and a QGIS
    project of its own; --qgis writes the project as a file too.
    """
    if layer == "chokepoints":
        if halts or scenario or on:
            raise BadInput("chokepoints are those of the baseline: leave out --halt, --scenario and --on")
        if qgis:
            raise BadInput("--qgis goes with all layers: atlas export all")
        return write_chokepoints(obj, bloc, out)
    from atlas import export

    problems: list[BadInput] = []
    try:
        export.check_layer_target(layer, out, qgis=qgis)
    except BadInput as error:
        problems.append(error)
    if layer == "network" and not (halts or scenario or on or problems):
        from atlas import layers

        source: Any = layers.open_layers(obj["layers"])
    else:
        source = _solved(obj, halts, scenario, bloc, on, problems)
    with timed("written"):
        export.write_layer(source, layer, out, qgis=qgis)
    note(f"wrote {out}" + (f" and {Path(out).with_suffix('.qgz')}" if qgis else ""))
    return 0


def _solved(
    obj: dict[str, Any], halts: tuple[str, ...], scenario: str | None, bloc: str, on: str | None,
    problems: list[BadInput],
) -> Any:  # fmt: skip
    """Return the outcome of a scenario, of halts, of both, or the baseline; raise BadInput with all that is wrong."""
    study = cli_shell.open_study(obj)
    question = None
    try:
        question = study.question(halts, scenario, day(on))
    except BadInput as error:
        problems.append(error)
    if bloc not in study.blocs:
        problems.append(UnknownName("bloc", bloc, nearest(bloc, study.blocs) or sorted(study.blocs)))
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise BadInput([p for error in problems for p in error.problems])
    with timed("solved"):
        return study.solve(scenario=question, bloc=bloc)

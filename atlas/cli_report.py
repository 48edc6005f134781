"""The command `atlas report`: a scripted report as a page and a PDF, the list of shipped ones, a check of one."""

from pathlib import Path
from typing import Any

import click

from atlas.cli_shell import note, open_study, say, timed
from atlas.errors import BadInput, NoAnswer


@click.command("report")
@click.argument("report", required=False, metavar="[REPORT.toml or NAME]")
@click.option("--out", metavar="DIR", help="Folder for report.html, report.pdf, figures.json and results.json.")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Parameter of the report. May be given again."
)
@click.option("--html-only", is_flag=True, help="Write no PDF; Typst need not be installed.")
@click.option("--force", is_flag=True, help="Replace an earlier report in --out.")
@click.option("--list", "listed", is_flag=True, help="List the reports that come with the atlas, and stop.")
@click.option(
    "--check", "check_dir", metavar="DIR", help="Check every number of a written report against its results, and stop."
)
@click.pass_obj
def report_command(
    obj: dict[str, Any], report: str | None, out: str | None, settings: tuple[str, ...], html_only: bool, force: bool,
    listed: bool, check_dir: str | None,
) -> int:  # fmt: skip
    """Make a report out of its file: text with figures from the results, maps, charts and tables, as a page and a PDF.

    The same file, layers and version give the same bytes. A figure that does not exist stops it.
    """
    if listed:
        if report or out or check_dir:
            raise BadInput("--list stands alone")
        from atlas.report_file import read, shipped

        for name, path in shipped().items():
            told = read(path)
            values = ", ".join(f"{k}={v}" for k, v in told.parameters.items())
            say(f"{name:<10} {told.head.get('about', '')}" + (f"\n{'':<10} --set {values}" if values else ""))
        return 0
    if check_dir is not None:
        if report or out:
            raise BadInput("--check verifies a written report; it takes no report and no --out")
        from atlas import report_check

        problems = report_check.check_folder(check_dir)
        if problems:
            raise NoAnswer([f"{check_dir} does not hold", *problems])
        say(f"{check_dir}: every number of the report follows from its results")
        return 0
    if not report:
        raise BadInput("expected the file of a report or the name of a shipped one; --list lists them")
    if not out:
        raise BadInput("--out DIR: expected the folder to write the report into")
    from atlas import report as reports
    from atlas import report_typst
    from atlas.progress_bar import bar
    from atlas.world import CALIBRATED_YEAR

    found = reports.read_report(report, settings)
    target = reports.check_folder(out, force)
    if not html_only:
        report_typst.check_installed()
    if "year" in found.head and obj["year"] == CALIBRATED_YEAR:
        obj["year"] = int(found.head["year"])
    study = open_study(obj)
    with timed("made the report"), bar("report") as tell:
        made = reports.make(study, found, html_only, tell)
    reports.write(made, target, force)
    note(f"wrote {len(made.files)} files to {Path(out)}")
    return 0

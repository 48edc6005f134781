"""What every command shares: options, one line per failure, exit codes, arguments that begin with a minus."""

import dataclasses
import datetime as dt
import json
import os
import re
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from atlas.chain import chain_of
from atlas.chain_words import reworded_table
from atlas.errors import AtlasError, AtlasWarning, BadInput, WriteFailure, nearest

if TYPE_CHECKING:
    from atlas.study import Study

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130  # what shells return for Ctrl-C
_COORDINATE = re.compile(r"-\s*[\d.]")

halts_option = click.option(
    "--halt", "halts", multiple=True, metavar="SPEC",
    help="A closing or cut, KIND:TARGET[:DESTINATION][@SHARE][/FILTER], such as country:CHN/magnet or passage:malacca. "
    "May be given again.",
)  # fmt: skip
scenario_argument = click.argument("scenario", required=False, metavar="[SCENARIO.toml]")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
bloc_option = click.option(
    "--bloc", default="us-allies", show_default=True, metavar="NAME", help="Bloc whose supply is reported."
)
on_option = click.option("--on", metavar="DATE", help="Day whose dated halts apply (YYYY-MM-DD).")


class AtlasGroup(click.Group):
    """A group of commands that ends every failure with one line `error: ...` and never with a traceback."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command and exit: 0 done, 1 no answer, 2 bad input. Takes what `click.Command.main` takes."""
        extra |= {"standalone_mode": False, "prog_name": "atlas"}
        with warnings.catch_warnings():
            warnings.simplefilter("always", AtlasWarning)
            warnings.showwarning = _told
            code = self._guarded(args, extra)
        sys.exit(code)

    def _guarded(self, args: tuple[Any, ...], extra: dict[str, Any]) -> int:
        try:
            result = super().main(*args, **extra)
            return result if isinstance(result, int) else 0
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.ctx.get_help() if error.ctx else "", err=True)
            return EXIT_BAD_INPUT
        except click.ClickException as error:
            return fail(error.format_message(), EXIT_BAD_INPUT)
        except click.exceptions.Exit as error:
            return int(error.exit_code)
        except (click.Abort, KeyboardInterrupt):
            return fail("interrupted", EXIT_INTERRUPTED)
        except AtlasError as error:
            return fail("; ".join(error.problems), error.exit_code)
        except ReaderGoneError:
            return 0
        except Exception as error:
            # A fault of the program, not of the user: still one line, with a way to see more.
            if os.environ.get("ATLAS_DEBUG"):
                raise
            return fail(f"unexpected {type(error).__name__}: {error} (set ATLAS_DEBUG=1 for details)", 1)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command of the first argument; an unknown one is refused with the nearest names."""
        if args and self.get_command(ctx, args[0]) is None:
            near = nearest(args[0], self.commands) or sorted(self.commands)
            raise click.UsageError(f"unknown command {args[0][:80]!r}; nearest: {', '.join(near)}")
        return super().resolve_command(ctx, args)


class PlaceCommand(click.Command):
    """A command whose arguments may be coordinates with a negative longitude: `atlas route -115.5,35.4 CNSHA`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; `-115.5,35.4` is a place, not an option."""
        # No option begins with a digit, so a leading blank (which coordinates may have) is enough to tell them apart.
        return super().parse_args(ctx, [f" {a}" if _COORDINATE.match(a) else a for a in args])


class ReaderGoneError(Exception):
    """The reader of standard output has left, as in `atlas find x | head -1`: it has what it wanted."""


def say(text: str) -> None:
    """Print an answer to standard output; a full disk there raises WriteFailure, a reader that left ReaderGoneError.

    Characters that the terminal's encoding lacks come out as question marks.
    """
    try:
        text = _in_own_words(text)
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        click.echo(text.encode(encoding, errors="replace").decode(encoding))
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the flush at exit fails once more
        if isinstance(error, BrokenPipeError):
            raise ReaderGoneError from None
        raise WriteFailure(f"cannot write the answer: {error.strerror or error}") from None


def _in_own_words(text: str) -> str:
    """Return an answer in the words of the chain of the layers that the command has opened."""
    context = click.get_current_context(silent=True)
    opened = context.obj.get("study") if context is not None and isinstance(context.obj, dict) else None
    return reworded_table(text, chain_of(getattr(opened, "layers", None)))


def fail(text: str, code: int) -> int:
    """Print one line `error: ...` to standard error and return the exit code."""
    line = " ".join(text.split())
    click.echo(f"error: {line}", err=True)
    return code


def _told(message: Warning | str, *_: Any, **__: Any) -> None:
    """Print a warning as one line, without the place in the program that it comes from."""
    click.echo(f"warning: {' '.join(str(message).split())}", err=True)


def open_study(obj: dict[str, Any]) -> "Study":
    """Open the layers and the network, once per command."""
    if "study" not in obj:
        from atlas import study

        with timed("opened the layers"):
            obj["study"] = study.open(obj["layers"], year=obj["year"])
    return obj["study"]


def solved(
    obj: dict[str, Any], scenario: str | None, halts: tuple[str, ...], bloc: str, on: str | None,
    opened: tuple[str, ...] = (),
) -> Any:  # fmt: skip
    """Return the outcome of a scenario file, of halts, of both together, or the baseline."""
    study = open_study(obj)
    with timed("solved"):
        question = study.question(halts, scenario, day(on))
        if opened:
            more = study.question((), {"name": question.name, "open": list(opened)})
            question = dataclasses.replace(question, opened=question.opened | more.opened)
        return study.solve(scenario=question, bloc=bloc)


def day(text: str | None) -> dt.date | None:
    """Return the date of a text like 2025-04-04."""
    try:
        return dt.date.fromisoformat(text) if text else None
    except ValueError:
        raise BadInput(f"--on {text!r} is not a date YYYY-MM-DD") from None


def words(text: str | None) -> tuple[str, ...]:
    """Return the parts of a list with commas or semicolons, without blanks."""
    return tuple(part.strip() for part in (text or "").replace(";", ",").split(",") if part.strip())


def ids(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the ids of an option that may be given again and hold lists; a blank one stays, to be refused."""
    return tuple(part for text in texts for part in words(text) or (text,))


def print_json(value: Any) -> None:
    """Print a value as JSON to standard output; ASCII only, so that any terminal takes it."""
    say(json.dumps(value, allow_nan=False, indent=1))


def note(text: str) -> None:
    """Print a message to standard error."""
    click.echo(text, err=True)


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print to standard error how long something took."""
    start = time.perf_counter()
    yield
    note(f"{what} in {time.perf_counter() - start:.2f} s")

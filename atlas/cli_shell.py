"""What every command shares: one line per failure, exit codes, arguments that begin with a minus."""

import os
import re
import sys
import warnings
from typing import Any

import click

from atlas.errors import AtlasError, AtlasWarning, WriteFailure, nearest

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130  # what shells return for Ctrl-C
_COORDINATE = re.compile(r"-\s*[\d.]")


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
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        click.echo(text.encode(encoding, errors="replace").decode(encoding))
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the flush at exit fails once more
        if isinstance(error, BrokenPipeError):
            raise ReaderGoneError from None
        raise WriteFailure(f"cannot write the answer: {error.strerror or error}") from None


def fail(text: str, code: int) -> int:
    """Print one line `error: ...` to standard error and return the exit code."""
    line = " ".join(text.split())
    click.echo(f"error: {line}", err=True)
    return code


def _told(message: Warning | str, *_: Any, **__: Any) -> None:
    """Print a warning as one line, without the place in the program that it comes from."""
    click.echo(f"warning: {' '.join(str(message).split())}", err=True)

"""Every error the atlas raises on purpose.

Each leaf also inherits the built-in a stranger would catch. `problems` lists everything that is wrong, not only the
first thing; `exit_code` is what the command line returns.
"""

import difflib
import unicodedata
from collections.abc import Iterable

# How alike two names must be to be offered: three of five letters; less if they share a word.
ALIKE, ALIKE_WITH_A_WORD = 0.6, 0.5
# What is expected where no known name is near, by kind of thing.
EXPECTED = {
    "facility or port": "a facility or port id, or lon,lat; try `atlas find`",
    "passage, port or border": "a passage or port id, or a border such as CHN-MMR; try `atlas find`",
    "passage": "a passage id, such as suez; try `atlas find`",
}


class AtlasError(Exception):
    """Base of all errors raised on purpose; `problems` is the full list, `exit_code` the command's."""

    exit_code = 1

    def __init__(self, problems: str | Iterable[str]) -> None:
        self.problems: list[str] = [problems] if isinstance(problems, str) else [str(p) for p in problems]
        super().__init__("; ".join(self.problems))


class AtlasWarning(UserWarning):
    """Something was passed over that the user may want to know; the answer goes on without it."""


class BadInput(AtlasError, ValueError):
    """Something the user gave is wrong: an id, a file, a share, a row."""

    exit_code = 2


class UnknownName(BadInput, LookupError):
    """A name that is not known, with the nearest known ones.

    `what` is the kind of thing ("passage"), `name` what was given, `nearest` a list of known names.
    """

    def __init__(self, what: str, name: str, nearest: Iterable[str] = ()) -> None:
        self.what, self.name, self.nearest = what, str(name), list(nearest)
        super().__init__(unknown_name_text(what, self.name, self.nearest))

    def __reduce__(self) -> tuple[type, tuple[str, str, list[str]]]:
        return type(self), (self.what, self.name, self.nearest)


class LayerError(BadInput):
    """The layer files do not hold what the schema says."""


class NoAnswer(AtlasError):
    """The question was fine but has no answer."""


class NoPath(NoAnswer):
    """No way leads from here to there."""


class ServerTrouble(NoAnswer, ConnectionError):
    """A server on the network did not give a usable answer."""


class SolverFailure(NoAnswer, RuntimeError):
    """The solver stopped without an optimum."""


class SolverTimeUp(SolverFailure, TimeoutError):
    """The solver found no optimum within its time."""


class Cancelled(AtlasError):
    """The work was told to stop before its end."""


class WriteFailure(AtlasError, OSError):
    """A file could not be written whole."""

    exit_code = 2


def nearest(name: str, known: Iterable[str], n: int = 3) -> list[str]:
    """Return up to `n` known names that look much like `name`, best first; case and accents do not matter.

    First come names that hold it as a whole word, then those alike, then those that hold it anywhere.
    """
    folded: dict[str, str] = {}
    for k in known:
        folded.setdefault(fold(k), k)
    wanted = fold(str(name)[:200])
    alike = difflib.get_close_matches(wanted, folded, n=3 * n, cutoff=ALIKE_WITH_A_WORD)
    words = {w for w in wanted.split("-") if len(w) >= 3}
    near = set(difflib.get_close_matches(wanted, folded, n=3 * n, cutoff=ALIKE))
    holding = [k for k in sorted(folded) if wanted in k] if len(wanted) >= 3 else []
    hits = [k for k in holding if f"-{wanted}-" in f"-{k}-"]
    hits += [k for k in alike if k in near or words & set(k.split("-"))]
    return [folded[k] for k in dict.fromkeys([*hits, *holding])][:n]


def fold(text: str) -> str:
    """Return `text` in lower case without accents, spaces and underscores as hyphens."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return "-".join(plain.casefold().replace("_", " ").replace("-", " ").split())


def unknown_name_text(what: str, name: str, near: Iterable[str]) -> str:
    """Return the one sentence that refuses an unknown name and offers the nearest known ones, or says what is one."""
    shown = name if len(name) <= 80 else name[:77] + "..."
    near = list(near)
    more = f"; nearest: {', '.join(near)}" if near else f"; expected {EXPECTED[what]}" if what in EXPECTED else ""
    return f"unknown {what} {shown!r}{more}"

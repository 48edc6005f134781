"""The figures a report may quote, as a tree that knows where each one stands.

A template walks the tree (`halt.halted.shortage_t`). What is not there is written down as a problem with the nearest
names, and a stand-in is handed on, so that one run finds everything that is wrong. Each figure carries its path, and
sums and differences of figures carry the sum of their paths, so that a reader can work every quoted number out again.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from atlas.errors import nearest

# Marks around the number of a quote in rendered text: private characters that Markdown takes for letters.
OPEN, CLOSE = "\ue000", "\ue001"
_DIGIT0 = 0xE010


@dataclass(frozen=True)
class Quote:
    """One thing that the text quotes: `path` where it stands (a sum too), `raw` its value, `form` how it is shown.

    `form` is the name of a filter and what it was given; `text` is what the reader sees, `block` where.
    """

    path: str
    raw: float | int | str
    form: tuple[Any, ...]
    text: str
    block: str


@dataclass
class Recorder:
    """What is quoted and what is wrong, in order; `block` and `line` say where the work is."""

    quotes: list[Quote] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    block: str = ""

    def quote(self, path: str, raw: float | int | str, form: tuple[Any, ...], text: str) -> str:
        """Write a quote down and return the token that stands for it in the text."""
        self.quotes.append(Quote(path, raw, form, text, self.block))
        number = "".join(chr(_DIGIT0 + int(d)) for d in str(len(self.quotes) - 1))
        return f"{OPEN}{number}{CLOSE}"

    def problem(self, text: str) -> None:
        """Write a problem down, once, with its place."""
        told = f"{self.block}: {text}" if self.block else text
        if told not in self.problems:
            self.problems.append(told)


def token_number(token: str) -> int:
    """Return the number of the quote that the inside of a token names."""
    return int("".join(str(ord(c) - _DIGIT0) for c in token))


def pieces(text: str) -> Iterator[str | int]:
    """Yield the parts of a rendered text: plain text, and the numbers of quotes."""
    for n, part in enumerate(text.split(OPEN)):
        if n == 0:
            if part:
                yield part
            continue
        token, _, rest = part.partition(CLOSE)
        yield token_number(token)
        if rest:
            yield rest


class Missing:
    """Stands for a figure that does not exist: whatever is done with it goes on, the build fails at its end."""

    def __getattr__(self, name: str) -> "Missing":
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __getitem__(self, _: Any) -> "Missing":
        return self

    def __call__(self, *_: Any, **__: Any) -> "Missing":
        return self

    def _same(self, _: Any = None) -> "Missing":
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __neg__ = _same

    def _no(self, _: Any) -> bool:
        return False

    __lt__ = __le__ = __gt__ = __ge__ = _no

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        return False

    def __str__(self) -> str:
        return ""


class Number(float):
    """A figure with its path; sums, differences, products and ratios keep theirs."""

    path: str
    recorder: Recorder

    @classmethod
    def of(cls, value: float, path: str, recorder: Recorder) -> "Number":
        """Return a figure at a path."""
        made = cls(value)
        made.path, made.recorder = path, recorder
        return made

    def _with(self, other: Any, sign: str, value: float, *, turned: bool = False) -> Any:
        if isinstance(other, Missing):
            return other
        beside = other.path if isinstance(other, Number) else repr(other)
        first, second = (beside, self.path) if turned else (self.path, beside)
        return Number.of(value, f"({first} {sign} {second})", self.recorder)

    def __add__(self, other: Any) -> Any:
        return other if isinstance(other, Missing) else self._with(other, "+", float(self) + float(other))

    def __radd__(self, other: Any) -> Any:
        return self._with(other, "+", float(other) + float(self), turned=True)

    def __sub__(self, other: Any) -> Any:
        return other if isinstance(other, Missing) else self._with(other, "-", float(self) - float(other))

    def __rsub__(self, other: Any) -> Any:
        return self._with(other, "-", float(other) - float(self), turned=True)

    def __mul__(self, other: Any) -> Any:
        return other if isinstance(other, Missing) else self._with(other, "*", float(self) * float(other))

    def __rmul__(self, other: Any) -> Any:
        return self._with(other, "*", float(other) * float(self), turned=True)

    def __truediv__(self, other: Any) -> Any:
        if isinstance(other, Missing):
            return other
        if not float(other):
            self.recorder.problem(f"{self.path} is divided by {getattr(other, 'path', other)}, which is 0")
            return Missing()
        return self._with(other, "/", float(self) / float(other))

    def __rtruediv__(self, other: Any) -> Any:
        if not float(self):
            self.recorder.problem(f"{other} is divided by {self.path}, which is 0")
            return Missing()
        return self._with(other, "/", float(other) / float(self), turned=True)

    def __neg__(self) -> "Number":
        return Number.of(-float(self), f"(0 - {self.path})", self.recorder)


class Name(str):
    """A text with its path; in a template it shows as a token, so nothing in it is read as Markdown or markup."""

    path: str
    recorder: Recorder

    @classmethod
    def of(cls, value: str, path: str, recorder: Recorder) -> "Name":
        """Return a text at a path."""
        made = cls(value)
        made.path, made.recorder = path, recorder
        return made

    @property
    def raw(self) -> str:
        """The text itself."""
        return self[:]

    def __getitem__(self, at: Any) -> str:
        return str.__getitem__(self, at)

    def __str__(self) -> str:
        return self.recorder.quote(self.path, self[:], ("text",), self[:])

    __hash__ = str.__hash__


# Which names a table by name may have where it has no row for one: then the figure is nought.
Domain = Callable[[str], tuple[str, Sequence[str]] | None]


class Node:
    """A table of the tree by name, or (`Rows`) a list; see the module."""

    def __init__(self, value: Mapping[str, Any], path: str, recorder: Recorder, domain: Domain) -> None:
        self._value, self._path, self._recorder, self._domain = value, path, recorder, domain

    def find(self, name: Any) -> Any:
        """Return what stands at a name: figure, text, table or list; `Missing` with a problem if nothing does."""
        if isinstance(name, Missing):
            return name
        found, problem = self.look(name[:] if isinstance(name, str) else str(name))
        if problem:
            self._recorder.problem(problem)
            return Missing()
        return found

    def look(self, key: str) -> tuple[Any, str]:
        """Return what stands at a name, or the problem that nothing does; writes nothing down."""
        path = f"{self._path}.{key}" if key.isidentifier() else f"{self._path}[{key!r}]"
        if key in self._value:
            return wrap(self._value[key], path, self._recorder, self._domain), ""
        known = self._domain(self._path)
        if known is not None and key in known[1]:
            return wrap({} if known[0] == "table" else 0.0, path, self._recorder, self._domain), ""
        return None, unknown(key, self._path, list(self._value) if known is None else list(known[1]))

    def names(self) -> list[str]:
        """Return the names that stand in the table."""
        return list(self._value)

    def __len__(self) -> int:
        return len(self._value)

    def __str__(self) -> str:
        self._recorder.problem(f"{self._path} is a table, not a figure; it has: {', '.join(list(self._value)[:8])}")
        return ""


class Rows(Sequence[Any]):
    """A list of the tree; its rows are tables, `fields` their names, known where there is no row as well."""

    def __init__(
        self, value: Sequence[Any], path: str, recorder: Recorder, domain: Domain, fields: Sequence[str] = ()
    ) -> None:
        self._value, self.path, self.recorder, self._domain, self.fields = value, path, recorder, domain, tuple(fields)
        self._at: Sequence[int] = range(len(value))

    def chosen(self, at: Sequence[int]) -> "Rows":
        """Return some of the rows, each with the path it had."""
        made = Rows(self._value, self.path, self.recorder, self._domain, self.fields)
        made._at = [self._at[i] for i in at]
        return made

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return self.chosen(range(*at.indices(len(self))))
        if not -len(self) <= int(at) < len(self):
            self.recorder.problem(f"{self.path} has {len(self)} rows; there is no row {int(at)}")
            return Missing()
        n = self._at[int(at)]
        return wrap(self._value[n], f"{self.path}[{n}]", self.recorder, self._domain)

    def __iter__(self) -> Iterator[Any]:
        return (self[n] for n in range(len(self)))  # `Sequence` would wait for an IndexError that never comes

    def __len__(self) -> int:
        return len(self._at)

    def __str__(self) -> str:
        self.recorder.problem(f"{self.path} is a list, not a figure; take a row of it or walk it with `for`")
        return ""


class Listed(list[Any]):
    """A plain list of rows that says what its rows hold, for lists that may be empty."""

    def __init__(self, rows: Sequence[Mapping[str, Any]], fields: Sequence[str]) -> None:
        super().__init__(rows)
        self.fields = tuple(fields)


def wrap(value: Any, path: str, recorder: Recorder, domain: Domain) -> Any:
    """Return a plain value as what templates walk: tables, lists, figures and texts with their paths."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, Mapping):
        return Node(value, path, recorder, domain)
    if isinstance(value, (list, tuple)):
        fields = getattr(value, "fields", ()) or tuple(
            dict.fromkeys(k for r in value if isinstance(r, Mapping) for k in r)
        )
        return Rows(value, path, recorder, domain, fields)
    if isinstance(value, (int, float)):
        return Number.of(float(value), path, recorder)
    return Name.of(str(value), path, recorder)


def unknown(name: str, where: str, known: Sequence[str]) -> str:
    """Return the sentence that refuses a figure and offers the nearest ones."""
    near = nearest(name, known) or list(known)[:12]
    return f"there is no figure {name!r} in {where}; nearest: {', '.join(near) if near else 'none, it is empty'}"

"""The file of a report: read, checked as a whole, everything that is wrong told at once with its block and line."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from atlas.config import data_dir
from atlas.errors import BadInput, UnknownName, nearest

PAPERS = ("a4", "us-letter")
TEXT, WORDS, NUMBER, FLAG, TABLES = (
    "a text",
    "a text or a list of texts",
    "a number",
    "true or false",
    "a list of tables",
)
_KINDS: dict[str, Any] = {TEXT: str, WORDS: (str, list), NUMBER: (int, float), FLAG: bool, TABLES: list}

HEAD: dict[str, str] = {
    "name": TEXT, "title": TEXT, "subtitle": TEXT, "author": TEXT, "date": TEXT, "language": TEXT, "paper": TEXT,
    "about": TEXT, "year": NUMBER, "text_size_pt": NUMBER,
}  # fmt: skip
OUTCOME = {"id": TEXT, "halts": WORDS, "scenario": TEXT, "bloc": TEXT, "on": TEXT}
# What a [[result]] may be, with what each takes beside `id` and `kind`.
RESULTS: dict[str, dict[str, str]] = {
    "layer": {"layer": TEXT, "where": TEXT},
    "passages": {"bloc": TEXT},
    "country": {"country": TEXT, "bloc": TEXT, "halts": WORDS},
    "concentration": {"outcome": TEXT},
    "trace": {"outcome": TEXT, "target": TEXT, "element": TEXT},
    "singles": {"bloc": TEXT, "top": NUMBER, "kinds": WORDS},
    "projects": {"outcome": TEXT, "top": NUMBER},
}
_PICTURE = {"caption": TEXT, "alt": TEXT, "height_mm": NUMBER, "width_mm": NUMBER}
# block type -> option -> what it must be; `*` marks those that must be given.
BLOCKS: dict[str, dict[str, str]] = {
    "text": {"text*": TEXT},
    "map": {"outcome*": TEXT, "view": TEXT, "focus": TEXT, "grey": FLAG, "commodity": TEXT, "legend": FLAG,
            "inset": FLAG, **_PICTURE},
    "chart": {"chart*": TEXT, "rows*": TEXT, "label*": TEXT, "values*": WORDS, "series": WORDS, "unit": TEXT,
              "top": NUMBER, "empty": TEXT, "grey": FLAG, **_PICTURE},
    "table": {"rows*": TEXT, "columns*": TABLES, "caption": TEXT, "top": NUMBER, "empty": TEXT, "bare": FLAG},
    "keys": {"item*": TABLES},
    "each": {"in*": TEXT, "as*": TEXT, "block*": TABLES},
    "grid": {"columns": NUMBER, "widths": WORDS, "block*": TABLES},
    "keep": {"block*": TABLES},
    "page": {},
    "contents": {"title": TEXT},
    "sources": {"title": TEXT, "top": NUMBER},
}  # fmt: skip
COLUMN = {"title*": TEXT, "value*": TEXT, "align": TEXT}
ITEM = {"label*": TEXT, "value*": TEXT, "note": TEXT}
CHARTS = ("bars", "pairs", "dumbbell", "change", "stacked")
BLOCKS_MOST, DEPTH_MOST = 500, 6


@dataclass(frozen=True)
class Block:
    """One block of a report: its kind, options, the blocks in it, where it stands and its line in the file."""

    kind: str
    options: Mapping[str, Any]
    blocks: tuple["Block", ...] = ()
    where: str = ""
    line: int = 0
    lines: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ReportFile:
    """A report as its file says: head, parameters (overrides in them), outcomes, further results, blocks."""

    path: Path
    name: str
    head: Mapping[str, Any]
    parameters: Mapping[str, str]
    outcomes: tuple[Mapping[str, Any], ...]
    results: tuple[Mapping[str, Any], ...]
    blocks: tuple[Block, ...]


def shipped() -> dict[str, Path]:
    """Return the reports that come with the atlas, by name."""
    return {p.stem: p for p in sorted((data_dir("templates") / "reports").glob("*.toml"))}


def find(text: str) -> Path:
    """Return the file of a report by its path or its shipped name; raises UnknownName or BadInput."""
    known = shipped()
    if text in known:
        return known[text]
    path = Path(text)
    if path.is_file():
        return path
    if path.is_dir():
        raise BadInput(f"{text} is a folder; expected the file of a report")
    if path.suffix or "/" in text:
        raise BadInput(f"there is no file {text[:200]}; shipped reports: {', '.join(known)}")
    raise UnknownName("report", text[:60], nearest(text, known) or list(known))


def read(path: Path, settings: Sequence[str] = ()) -> ReportFile:
    """Return the report of a file, `name=value` settings over its parameters; raises BadInput with all problems."""
    try:
        source = path.read_text(encoding="utf-8")
        told = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{path.name}: {error}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path.name}: not UTF-8 text: {error}") from error
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}") from error
    reading = _Reading(path.name, source)
    made = reading.report(path, told, settings)
    if reading.problems:
        raise BadInput(reading.problems)
    return made


class _Reading:
    """One file being read: its problems, and where its blocks stand."""

    def __init__(self, name: str, source: str) -> None:
        self.name, self.problems = name, list[str]()
        self._heads = _heads(source)
        self._seen: dict[str, int] = {}

    def report(self, path: Path, told: Mapping[str, Any], settings: Sequence[str]) -> ReportFile:
        head = {k: v for k, v in told.items() if k not in ("parameters", "outcome", "result", "block")}
        self.options(head, {**HEAD, "title*": TEXT}, "the head")
        if "paper" in head and head["paper"] not in PAPERS:
            self.problems.append(f"paper {head['paper']!r}: expected {' or '.join(PAPERS)}")
        size = head.get("text_size_pt", 9.5)
        if isinstance(size, (int, float)) and not 6 <= size <= 16:
            self.problems.append(f"text_size_pt {size}: expected 6 to 16")
        parameters = self.parameters(told.get("parameters", {}), settings)
        outcomes = self.tables(told, "outcome", OUTCOME)
        results = self.tables(told, "result", {})
        ids: dict[str, str] = {}
        for n, row in enumerate([*outcomes, *results], 1):
            what = "outcome" if n <= len(outcomes) else "result"
            i = row.get("id")
            if not isinstance(i, str) or not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", i):
                self.problems.append(f"{what} {n}: id {str(i)[:40]!r}: expected lower-case letters, digits and _")
            elif i in ids or i in ("set", "report", "lit", "row"):
                self.problems.append(f"{what} {n}: id {i!r} is taken")
            else:
                ids[i] = what
        for n, row in enumerate(results, 1):
            self.result(n, row, [o.get("id") for o in outcomes])
        blocks = self.blocks(told.get("block", []), "block", 1, [str(o.get("id")) for o in outcomes])
        if not blocks and not self.problems:
            self.problems.append("the report has no [[block]]")
        name = str(head.get("name") or path.stem)
        return ReportFile(path, name, head, parameters, tuple(outcomes), tuple(results), blocks)

    def parameters(self, told: Any, settings: Sequence[str]) -> dict[str, str]:
        """Return the parameters as texts, with what the command line sets; a name set twice holds both values."""
        if not isinstance(told, Mapping):
            self.problems.append("[parameters]: expected a table")
            return {}
        made: dict[str, str] = {}
        for k, v in told.items():
            if isinstance(v, bool) or not isinstance(v, str | int | float):
                self.problems.append(f"parameter {k}: expected a text or a number")
            else:
                made[str(k)] = str(v)
        given: dict[str, list[str]] = {}
        for text in settings:
            name, sign, value = text.partition("=")
            if not sign:
                self.problems.append(f"--set {text[:60]!r}: expected name=value")
            elif name.strip() not in made:
                near = nearest(name, made) or sorted(made)
                self.problems.append(
                    f"unknown parameter {name[:40]!r}; nearest: {', '.join(near) or 'this report has none'}"
                )
            else:
                given.setdefault(name.strip(), []).append(value.strip())
        return made | {k: " ".join(v) for k, v in given.items()}

    def tables(self, told: Mapping[str, Any], name: str, known: Mapping[str, str]) -> list[Mapping[str, Any]]:
        rows = told.get(name, [])
        if not isinstance(rows, list) or not all(isinstance(r, Mapping) for r in rows):
            self.problems.append(f"{name}: expected tables, written [[{name}]]")
            return []
        for n, row in enumerate(rows, 1):
            if known:
                self.options(row, known, f"{name} {n}, line {self.line(name, n)}")
        return rows

    def result(self, n: int, row: Mapping[str, Any], outcomes: Sequence[Any]) -> None:
        where = f"result {n}, line {self.line('result', n)}"
        kind = row.get("kind")
        if kind not in RESULTS:
            near = nearest(str(kind), RESULTS) or list(RESULTS)
            self.problems.append(f"{where}: unknown kind {str(kind)[:40]!r}; nearest: {', '.join(near)}")
            return
        self.options(row, {"id": TEXT, "kind": TEXT, **RESULTS[kind]}, where)
        if "outcome" in row and row["outcome"] not in outcomes:
            self.outcome(row["outcome"], outcomes, where)

    def outcome(self, name: Any, outcomes: Sequence[Any], where: str) -> None:
        known = [str(o) for o in outcomes]
        near = nearest(str(name), known) or known
        self.problems.append(
            f"{where}: unknown outcome {str(name)[:40]!r}; nearest: {', '.join(near) or 'none is given'}"
        )

    def options(self, row: Mapping[str, Any], known: Mapping[str, str], where: str) -> None:
        """Check the names and types of options."""
        names = {k.rstrip("*"): v for k, v in known.items()}
        for k, v in row.items():
            if k not in names:
                near = nearest(k, names) or sorted(names)
                self.problems.append(f"{where}: unknown field {str(k)[:40]!r}; nearest: {', '.join(near[:14])}")
            elif not isinstance(v, _KINDS[names[k]]) or (isinstance(v, bool) and names[k] != FLAG):
                self.problems.append(f"{where}: {k}: expected {names[k]}, found {str(v)[:40]!r}")
            elif names[k] == WORDS and isinstance(v, list) and not all(isinstance(x, str | int | float) for x in v):
                self.problems.append(f"{where}: {k}: expected {WORDS}")
        for k in known:
            if k.endswith("*") and not row.get(k.rstrip("*")):
                self.problems.append(f"{where}: {k.rstrip('*')} is missing")

    def blocks(self, told: Any, path: str, depth: int, outcomes: Sequence[str], number: str = "") -> tuple[Block, ...]:
        if not isinstance(told, list) or not all(isinstance(b, Mapping) for b in told):
            self.problems.append(f"{path}: expected tables, written [[{path}]]")
            return ()
        if depth > DEPTH_MOST or len(told) > BLOCKS_MOST:
            self.problems.append(f"{path}: {BLOCKS_MOST} blocks and {DEPTH_MOST} levels at most")
            return ()
        return tuple(self.block(b, path, n, depth, outcomes, number) for n, b in enumerate(told, 1))

    def block(
        self, told: Mapping[str, Any], path: str, n: int, depth: int, outcomes: Sequence[str], number: str
    ) -> Block:
        at = self._seen[path] = self._seen.get(path, 0) + 1
        line, lines = self._heads.get(path, [(0, {})] * at)[at - 1] if at <= len(self._heads.get(path, [])) else (0, {})
        kind = told.get("type")
        number = f"{number}.{n}" if number else str(n)
        where = f"block {number} ({str(kind)[:20]}), line {line}"
        if kind not in BLOCKS:
            near = nearest(str(kind), BLOCKS) or list(BLOCKS)
            self.problems.append(f"{where}: unknown type {str(kind)[:40]!r}; nearest: {', '.join(near)}")
            return Block("text", {"text": ""}, (), where, line)
        known = BLOCKS[kind]
        self.options(told, {"type": TEXT, "when": TEXT, **known}, where)
        for name, of in (("columns", COLUMN), ("item", ITEM)):
            if f"{name}*" in known and isinstance(told.get(name), list):
                for k, row in enumerate(told[name], 1):
                    if isinstance(row, Mapping):
                        self.options(row, of, f"{where}, {name} {k}")
                    else:
                        self.problems.append(f"{where}, {name} {k}: expected a table")
        if "outcome*" in known and told.get("outcome") and told["outcome"] not in outcomes:
            self.outcome(told["outcome"], outcomes, where)
        if kind == "chart" and told.get("chart") not in CHARTS:
            near = nearest(str(told.get("chart")), CHARTS) or list(CHARTS)
            self.problems.append(f"{where}: unknown chart {str(told.get('chart'))[:40]!r}; nearest: {', '.join(near)}")
        inner: tuple[Block, ...] = ()
        if "block*" in known and "block" in told:
            inner = self.blocks(told["block"], f"{path}.block", depth + 1, outcomes, number)
        return Block(str(kind), {k: v for k, v in told.items() if k != "block"}, inner, where, line, lines)

    def line(self, name: str, n: int) -> int:
        """Return the line of the nth table of a name, 0 where it is written in another way."""
        found = self._heads.get(name, [])
        return found[n - 1][0] if n <= len(found) else 0


def _heads(source: str) -> dict[str, list[tuple[int, dict[str, int]]]]:
    """Return where the tables of a file begin, by name: (line, line of each option's value)."""
    found: dict[str, list[tuple[int, dict[str, int]]]] = {}
    here: dict[str, int] = {}
    quote = ""
    for n, line in enumerate(source.splitlines(), 1):
        if quote:
            quote = "" if quote in line else quote
            continue
        head = re.match(r"\s*\[\[\s*([\w.]+)\s*\]\]", line)
        if head:
            here = {}
            found.setdefault(head[1], []).append((n, here))
            continue
        option = re.match(r"\s*([\w-]+)\s*=\s*(\"\"\"|''')?(.*)", line)
        if option:
            # The line break after the opening quotes is not of the text.
            here[option[1]] = n + 1 if option[2] and not option[3].strip() else n
            if option[2] and option[2] not in option[3]:
                quote = option[2]
    return found

"""A report against its results: every number that a reader sees is one of figures.json, and each of those is right.

Works out every quoted path again from results.json, shows it again as the filter says, and compares; and reads the
page (or any text taken from the PDF) back, where no digit may stand outside a quote.
"""

import ast
import json
import re
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from atlas.errors import BadInput
from atlas.report_filters import show

FILES = ("report.html", "report.pdf", "figures.json", "results.json")
NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
# What a PDF adds of its own: numbers of pages, figures and tables.
NUMBERING = re.compile(r"\b\d+ ?/ ?\d+\b|\b(?:Figure|Table) \d+\.|(?: \.){3,} *\d+$", re.M)
CLOSE_ENOUGH = 1e-9


def check_folder(folder: str | Path) -> list[str]:
    """Return all that is wrong with a report in a folder: figures that do not follow, and strays in its page."""
    at = Path(folder)
    try:
        figures = json.loads((at / "figures.json").read_text(encoding="utf-8"))
        results = json.loads((at / "results.json").read_text(encoding="utf-8"))
        page = (at / "report.html").read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise BadInput(f"{at}: no report to check: {error}") from error
    return [*check_figures(figures["quotes"], results), *check_page(page, figures)]


def check_figures(quotes: Sequence[Mapping[str, Any]], results: Mapping[str, Any]) -> list[str]:
    """Return the quotes that do not follow from the results, with what follows from them."""
    problems = []
    for n, q in enumerate(quotes):
        where = f"quote {n} ({q['block']})"
        try:
            raw = q["raw"] if q["path"] == "literal" else value(q["path"], results)
        except (KeyError, IndexError, TypeError, ValueError, SyntaxError, ZeroDivisionError) as error:
            problems.append(f"{where}: {q['path']} is not in the results: {error}")
            continue
        if isinstance(raw, str) or isinstance(q["raw"], str):
            same = str(raw) == str(q["raw"])
        else:
            same = abs(float(raw) - float(q["raw"])) <= CLOSE_ENOUGH * max(1.0, abs(float(raw)))
        if not same:
            problems.append(f"{where}: {q['path']} is {raw!r} in the results, {q['raw']!r} in the report")
        if show(q["raw"], tuple(q["form"])) != q["text"]:
            problems.append(
                f"{where}: {q['raw']!r} shown as {q['text']!r}, expected {show(q['raw'], tuple(q['form']))!r}"
            )
    return problems


def value(path: str, results: Mapping[str, Any]) -> Any:
    """Return what a path says of the results: names, numbers, sums, differences, products, ratios, len."""
    return _value(ast.parse(path, mode="eval").body, results)


def _value(node: ast.expr, results: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Name):
        return results[node.id]
    if isinstance(node, ast.Attribute):
        return _at(_value(node.value, results), node.attr)
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return _at(_value(node.value, results), node.slice.value)
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return node.value
    if isinstance(node, ast.List):
        return [_value(n, results) for n in node.elts]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand, results)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len" and len(node.args) == 1:
        return len(_value(node.args[0], results))
    if isinstance(node, ast.BinOp):
        a, b = float(_value(node.left, results)), float(_value(node.right, results))
        if isinstance(node.op, ast.Add):
            return a + b
        if isinstance(node.op, ast.Sub):
            return a - b
        if isinstance(node.op, ast.Mult):
            return a * b
        if isinstance(node.op, ast.Div):
            return a / b
    raise ValueError(f"{ast.unparse(node)!r} is no path of results")


def _at(of: Any, key: Any) -> Any:
    if isinstance(of, Mapping):
        # A table by country, sector, grade or place says nothing of what is nought.
        return of[key] if key in of or not _by_name(of) else 0.0
    return of[key]


def _by_name(of: Mapping[str, Any]) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in of.values())


class _Page(HTMLParser):
    """Reads the text of a page: what stands in quotes, and what stands outside."""

    def __init__(self) -> None:
        super().__init__()
        self.quoted: list[tuple[int, str]] = []
        self.outside: list[str] = []
        self.alts: list[str] = []
        self._quote: int | None = None
        self._skip = 0
        self._own = 0
        self._by = False

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        """Note where a quote begins."""
        given = dict(attrs)
        if tag in ("style", "title", "footer", "nav"):
            self._skip += 1
        if tag == "p" and given.get("class") == "by":
            self._skip, self._by = self._skip + 1, True
        if tag == "img":
            self.alts.append(given.get("alt", ""))
        if tag == "div" and (self._own or given.get("class") == "sources"):
            self._own += 1
        if tag == "data":
            self._quote = int(str(given["value"])[1:])
            self.quoted.append((self._quote, ""))

    def handle_endtag(self, tag: str) -> None:
        """Note where a quote ends."""
        if tag in ("style", "title", "footer", "nav") or (tag == "p" and self._by):
            self._skip -= 1
            self._by = False
        if tag == "div" and self._own:
            self._own -= 1
        if tag == "data":
            self._quote = None

    def handle_data(self, data: str) -> None:
        """Keep a text in or outside quotes."""
        if self._skip or self._own:
            return
        if self._quote is not None:
            n, text = self.quoted[-1]
            self.quoted[-1] = (n, text + data)
        else:
            self.outside.append(data)


def check_page(page: str, figures: Mapping[str, Any]) -> list[str]:
    """Return what a page shows that figures.json does not: altered quotes, digits outside of quotes."""
    read = _Page()
    read.feed(page)
    quotes, problems = figures["quotes"], []
    for n, text in read.quoted:
        if not 0 <= n < len(quotes) or quotes[n]["text"] != text:
            problems.append(
                f"the page shows {text!r} for quote {n}, which is {quotes[n]['text'] if n < len(quotes) else None!r}"
            )
    for text in read.outside:
        rest = re.sub(r"^(Figure|Table) \d+\.$", "", text.strip())
        if re.search(r"\d", rest):
            problems.append(f"the page shows a number of its own: {rest[:80]!r}")
    known = known_numbers(figures)
    problems += [
        f"a picture's text shows {n!r}, which is quoted nowhere"
        for alt in read.alts
        for n in NUMBER.findall(alt)
        if n not in known
    ]
    return problems


def check_text(text: str, figures: Mapping[str, Any]) -> list[str]:
    """Return the numbers of a text (such as that of the PDF) that figures.json does not know."""
    known = known_numbers(figures)
    return sorted({n for n in NUMBER.findall(NUMBERING.sub("", text)) if n not in known})


def known_numbers(figures: Mapping[str, Any]) -> set[str]:
    """Return every number that the report may show: of quotes and of its frame (title, foot, sources)."""
    texts = [*(str(q["text"]) for q in figures["quotes"]), *map(str, figures["frame"])]
    return {n for t in texts for n in NUMBER.findall(t)}

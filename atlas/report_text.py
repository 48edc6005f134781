"""The text of a report: templates filled in with figures, and Markdown read into plain parts for both pages and paper.

Templates are Jinja's, in its sandbox, with our filters alone. Figures go into the text as tokens and are set in after
Markdown was read, so that no name can bring markup with it. A digit that is not of a figure is refused: a number is
either read from the results, or marked as one's own with `lit(...)`.
"""

import re
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markdown_it import MarkdownIt
from markdown_it.token import Token

from atlas.errors import nearest
from atlas.report_filters import Shown, filters
from atlas.report_tree import Missing, Name, Node, Number, Recorder, Rows, pieces, unknown

Span = dict[str, Any]
Part = dict[str, Any]
# What one expression may take: a template is somebody's file, and may be wrong.
RANGE_MOST = 10_000
_DIGIT = re.compile(r"\d")


class Templates(ImmutableSandboxedEnvironment):
    """Jinja's sandbox over a tree of figures: an unknown figure is written down and a stand-in goes on."""

    intercepted_binops = frozenset(["**"])

    def __init__(self, recorder: Recorder, roots: Mapping[str, Any]) -> None:
        super().__init__(
            undefined=StrictUndefined, autoescape=False, finalize=self._shown, trim_blocks=True, lstrip_blocks=True,
            auto_reload=False, optimized=False,
        )  # fmt: skip
        self.recorder = recorder
        self.filters = filters(recorder)
        self.tests = {k: v for k, v in self.tests.items() if k in ("defined", "none", "even", "odd")}
        self.globals = {"lit": self._literal, **roots}

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Refuse powers: one expression could take all memory."""
        self.recorder.problem(f"{operator} is not known in reports")
        return Missing()

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return what stands at a name of the tree."""
        if isinstance(obj, Node):
            return obj.find(attribute)
        if isinstance(obj, Missing):
            return obj
        if isinstance(obj, (Rows, Number, Name, Shown)):
            what = getattr(obj, "path", "")
            self.recorder.problem(f"there is no figure {attribute!r} in {what}, which is one figure or a list")
            return Missing()
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Return what stands at a name or number of the tree."""
        if isinstance(obj, Node):
            return obj.find(argument)
        return obj if isinstance(obj, Missing) else super().getitem(obj, argument)

    def _shown(self, value: Any) -> Any:
        if isinstance(value, Number):
            self.recorder.problem(f"{value.path} has no unit: show it with a filter, such as | tonnes or | percent")
            return ""
        if isinstance(value, (Node, Rows)):
            return str(value)
        if value is None:
            self.recorder.problem("a figure that is not known here (null) is to be shown")
            return ""
        if isinstance(value, bool) or not isinstance(value, (str, Shown, Missing)) and hasattr(value, "real"):
            self.recorder.problem(f"{value!r} is no figure of the results: mark it as your own with lit(...)")
            return ""
        return value

    def _literal(self, value: Any) -> Any:
        raw = value[:] if isinstance(value, str) else value
        return Shown("literal", raw, ("literal",), self.recorder)

    def render(self, source: str, line: int, values: Mapping[str, Any]) -> str:
        """Return a template filled in, tokens in it; problems are written down with their line in the file."""
        try:
            # What the look finds wrong is not run: it would be told twice, the second time without its line.
            if self._look(self.parse(source), values, line):
                return ""
            return self.from_string(source).render(**values)
        except TemplateSyntaxError as error:
            self.recorder.problem(f"line {line + (error.lineno or 1) - 1}: {error.message}")
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            told = f"line {line + _line_of(error) - 1}: {error}"
            self.recorder.problem(told)
        return ""

    def value(self, expression: str, line: int, values: Mapping[str, Any]) -> Any:
        """Return the value of an expression; `Missing` where it has none, its problem written down."""
        try:
            if self._look(self.parse("{{ (" + expression + ") }}"), values, line):
                return Missing()
            made = self.compile_expression(expression, undefined_to_none=False)(**values)
        except TemplateSyntaxError as error:
            self.recorder.problem(f"line {line}: {expression!r}: {error.message}")
            return Missing()
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            self.recorder.problem(f"line {line}: {expression!r}: {error}")
            return Missing()
        if isinstance(made, StrictUndefined):
            return Missing()
        return made

    def plainly(self, source: str) -> str:
        """Return a text of the head that quotes parameters only, filled in; its numbers are its author's own."""
        text = self.render(source, 1, {})
        return "".join(p if isinstance(p, str) else self.recorder.quotes[p].text for p in pieces(text))

    def check(self, expression: str, line: int, values: Mapping[str, Any]) -> None:
        """Write down what an expression names and does not exist, without working it out."""
        try:
            self._look(self.parse("{{ (" + expression + ") }}"), values, line)
        except TemplateSyntaxError as error:
            self.recorder.problem(f"line {line}: {expression!r}: {error.message}")

    def finalized(self, value: Any) -> str:
        """Return the value of an expression as it goes into a text, tokens in it."""
        return str(self._shown(value))

    def _look(self, tree: nodes.Template, values: Mapping[str, Any], line: int) -> bool:
        """Write down every figure that the template names and that does not exist, in parts not reached as well."""
        look = _Look(self, {**self.globals, **values}, line)
        look.walk(tree)
        return bool(look.told)


class _Look:
    """A walk over a template's tree that follows names as far as they can be followed without running it."""

    def __init__(self, templates: Templates, known: Mapping[str, Any], line: int) -> None:
        self.templates, self.line = templates, line
        self.scope: dict[str, Any] = dict(known)
        self.told: set[tuple[str, int]] = set()

    def walk(self, node: nodes.Node) -> None:
        if isinstance(node, nodes.For):
            of = self.follow(node.iter)
            self.walk(node.iter)
            outer = dict(self.scope)
            self.scope["loop"] = None
            for name in node.target.find_all(nodes.Name) if not isinstance(node.target, nodes.Name) else [node.target]:
                self.scope[name.name] = (
                    of[0] if isinstance(of, Rows) and len(of) else AnyRow(of) if isinstance(of, Rows) else None
                )
            for part in [*node.body, *node.else_, *([node.test] if node.test else [])]:
                self.walk(part)
            self.scope = outer
            return
        if isinstance(node, (nodes.Assign, nodes.AssignBlock)):
            value = self.follow(node.node) if isinstance(node, nodes.Assign) else None
            for part in node.iter_child_nodes(exclude=("target",)):
                self.walk(part)
            for name in node.find_all(nodes.Name):
                if name.ctx == "store":
                    self.scope[name.name] = value
            return
        if isinstance(node, (nodes.Getattr, nodes.Getitem)):
            self.follow(node)
            for part in node.iter_child_nodes():
                if not isinstance(part, (nodes.Getattr, nodes.Name)):
                    self.walk(part)
            return
        if isinstance(node, nodes.Name) and node.ctx == "load":
            self.follow(node)
        if isinstance(node, nodes.Filter) and node.name not in self.templates.filters:
            self._tell(
                node,
                f"unknown filter {node.name!r}; nearest: "
                f"{', '.join(nearest(node.name, self.templates.filters) or sorted(self.templates.filters))}",
            )
        for part in node.iter_child_nodes():
            self.walk(part)

    def follow(self, node: nodes.Node) -> Any:
        """Return what a chain of names leads to, None where that cannot be told without running."""
        if isinstance(node, nodes.Name):
            if node.name not in self.scope:
                near = nearest(node.name, [k for k in self.scope if k != "loop"]) or sorted(
                    k for k in self.scope if k != "loop"
                )
                self._tell(node, f"unknown name {node.name!r}; nearest: {', '.join(near[:12])}")
                self.scope[node.name] = None
            return self.scope[node.name]
        if isinstance(node, nodes.Filter) and node.name in ("biggest", "ordered", "where") and node.node is not None:
            found = self.follow(node.node)
            return found if isinstance(found, Rows) else None
        if isinstance(node, nodes.Getattr):
            return self._step(node, self.follow(node.node), node.attr)
        if isinstance(node, nodes.Getitem):
            of = self.follow(node.node)
            if isinstance(node.arg, nodes.Slice):
                return of if isinstance(of, Rows) else None
            if isinstance(node.arg, nodes.Const):
                if isinstance(of, Rows):
                    return of[0] if len(of) else AnyRow(of)
                return self._step(node, of, node.arg.value)
        return None

    def _step(self, node: nodes.Node, of: Any, name: Any) -> Any:
        if isinstance(of, AnyRow):
            if name not in of.rows.fields:
                self._tell(node, unknown(str(name), f"a row of {of.rows.path}", of.rows.fields))
            return None
        if not isinstance(of, Node):
            return None
        found, problem = of.look(str(name))
        if problem:
            self._tell(node, problem)
        return found

    def _tell(self, node: nodes.Node, text: str) -> None:
        at = self.line + node.lineno - 1
        if (text, at) not in self.told:
            self.told.add((text, at))
            self.templates.recorder.problem(f"line {at}: {text}")


class AnyRow:
    """A row of a list without rows: its names are known, its figures are not."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows


def _line_of(error: BaseException) -> int:
    found = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == "<template>"]
    return int(found[-1] or 1) if found else 1


_MARKDOWN = MarkdownIt("commonmark", {"html": False}).disable(["image", "html_block", "html_inline", "fence", "code"])


def parts(rendered: str, recorder: Recorder, line: int) -> list[Part]:
    """Return a rendered text as parts: headings, paragraphs and lists of spans. Digits of no figure are problems."""
    tokens = _MARKDOWN.parse(rendered)
    found, _ = _parts(tokens, 0, recorder, line)
    return found


def _parts(tokens: Sequence[Token], at: int, recorder: Recorder, line: int, until: str = "") -> tuple[list[Part], int]:
    made: list[Part] = []
    while at < len(tokens):
        t = tokens[at]
        if t.type == until:
            return made, at
        if t.type in ("heading_open", "paragraph_open"):
            own = spans(tokens[at + 1].children or [], recorder, line)
            made.append({"kind": "heading", "level": int(t.tag[1]), "spans": own} if t.type == "heading_open"
                        else {"kind": "paragraph", "spans": own})  # fmt: skip
            at += 2
        elif t.type in ("bullet_list_open", "ordered_list_open"):
            close = t.type.replace("open", "close")
            items: list[list[Part]] = []
            at += 1
            while tokens[at].type != close:
                inner, at = _parts(tokens, at + 1, recorder, line, "list_item_close")
                items.append(inner)
                at += 1
            made.append({"kind": "list", "ordered": t.type.startswith("ordered"), "items": items})
        elif t.type not in ("hr", "blockquote_open", "blockquote_close"):
            recorder.problem(f"line {line}: {t.type.removesuffix('_open')} is not known in reports")
        at += 1
    return made, at


def spans(children: Sequence[Token], recorder: Recorder, line: int) -> list[Span]:
    """Return inline tokens of Markdown as spans: text, quotes, bold, italic, links."""
    stack: list[list[Span]] = [[]]
    opened: list[Span] = []
    for t in children:
        if t.type in ("text", "code_inline"):
            stack[-1] += text_spans(t.content, recorder, line)
        elif t.type in ("softbreak", "hardbreak"):
            stack[-1].append({"t": " "})
        elif t.type.endswith("_open"):
            kind = {"strong_open": "b", "em_open": "i", "link_open": "a"}[t.type]
            opened.append({"k": kind, "href": str(t.attrGet("href") or "")})
            stack.append([])
        elif t.type.endswith("_close"):
            inner, head = stack.pop(), opened.pop()
            stack[-1].append({head["k"]: inner} | ({"href": head["href"]} if head["k"] == "a" else {}))
    return stack[0]


def text_spans(text: str, recorder: Recorder, line: int = 0) -> list[Span]:
    """Return a text with tokens as spans; a digit outside a quote is a problem."""
    made: list[Span] = []
    for piece in pieces(text):
        if isinstance(piece, int):
            made.append({"q": piece, "t": recorder.quotes[piece].text})
            continue
        if _DIGIT.search(piece):
            near = " ".join(piece.split())[:60]
            recorder.problem(
                f"{f'line {line}: ' if line else ''}a number of its own in {near!r}: "
                "read it from the results, or mark it: lit(...)"
            )
        made.append({"t": piece})
    return made


def plain(found: Sequence[Span]) -> str:
    """Return spans as text."""
    said = []
    for s in found:
        inner = next((s[k] for k in ("b", "i", "a") if k in s), None)
        said.append(plain(inner) if inner is not None else s["t"])
    return "".join(said)

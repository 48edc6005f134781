"""A report put together: outcomes and results worked out, blocks filled in, pictures drawn; not yet a page.

What is wrong anywhere in the file is told at once, before a picture is drawn. What comes out is plain data: parts
(headings, paragraphs, tables, figures) that `report_html` and `report_typst` write down, and the quotes in them.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from atlas import __version__, figure_charts, figure_fonts, figure_map, figure_save, report_map
from atlas.errors import AtlasError, BadInput, Cancelled, SolverFailure
from atlas.figure_charts import Chart
from atlas.render import focus_box
from atlas.report_file import Block, ReportFile
from atlas.report_filters import FORMS, Shown
from atlas.report_outcome import domain_of, outcome_figures
from atlas.report_results import result_figures
from atlas.report_sources import sources_of
from atlas.report_text import AnyRow, Part, Templates, parts, plain, text_spans
from atlas.report_tree import Missing, Quote, Recorder, Rows, wrap

Progress = Callable[[int, int, str], None]
WIDTH_MM = {"a4": 178.0, "us-letter": 184.0}
GUTTER_MM = 6.0
MM_PER_INCH = 25.4
MAP_DPI = 200
EACH_MOST, ROWS_SHOWN_MOST = 300, 200


@dataclass
class Built:
    """A report as data: head in plain text, parts, pictures by name, quotes, the results that they are read from."""

    head: dict[str, Any]
    parts: list[Part]
    pictures: dict[str, bytes]
    quotes: list[Quote]
    results: dict[str, Any]
    sources: list[dict[str, str]]
    notes: list[str] = field(default_factory=list)


def build(study: Any, report: ReportFile, progress: Progress | None = None) -> Built:
    """Return a report filled in from a study; raises BadInput with all that is wrong in its file, SolverFailure."""
    return _Builder(study, report, progress or (lambda done, total, what: None)).built()


class _Builder:
    def __init__(self, study: Any, report: ReportFile, progress: Progress) -> None:
        self.study, self.report, self.progress = study, report, progress
        self.recorder = Recorder()
        self.outcomes: dict[str, Any] = {}
        self.results: dict[str, Any] = {}
        self.pictures: list[tuple[str, Callable[[], bytes]]] = []
        self.numbers = {"figure": 0, "table": 0}
        self.page_mm = WIDTH_MM[str(report.head.get("paper", "a4"))]

    def built(self) -> Built:
        self._solve()
        roots = {k: wrap(v, k, self.recorder, domain_of(self.study.layers)) for k, v in self.results.items()}
        self.templates = Templates(self.recorder, roots)
        self.recorder.block = ""
        head: dict[str, Any] = {}
        for k in ("title", "subtitle"):
            self.recorder.block = f"the head, {k}"
            head[f"{k}_spans"] = self._spans(str(self.report.head.get(k, "")), 1, {})
            head[k] = plain(head[f"{k}_spans"])
        for k in ("author", "date"):
            self.recorder.block = f"the head, {k}"
            head[k] = self.templates.plainly(str(self.report.head.get(k, "")))
        found = self._blocks(self.report.blocks, {}, self.page_mm)
        head |= {
            "name": self.report.name,
            "language": str(self.report.head.get("language", "en")),
            "paper": str(self.report.head.get("paper", "a4")),
            "contents": bool(self.report.head.get("contents", False)),
            "version": __version__,
            "text_size_pt": float(self.report.head.get("text_size_pt", 9.5)),
            "case": self._case(),
        }
        sources = sources_of(self.study.layers, self.outcomes.values())
        self.recorder.block = ""
        self._glyphs(head, found, sources)
        if self.recorder.problems:
            raise BadInput(self.recorder.problems)
        made: dict[str, bytes] = {}
        for n, (name, make) in enumerate(self.pictures):
            self.progress(n, len(self.pictures), name)
            made[name] = make()
        self.progress(len(self.pictures), len(self.pictures), "")
        return Built(head, found, made, self.recorder.quotes, self.results, sources)

    def _solve(self) -> None:
        """Work out the outcomes and results that the file names; everything that is wrong with them is told at once."""
        problems: list[str] = []
        setting = Recorder()
        values = dict(self.report.parameters)
        templates = Templates(setting, {})

        def filled(value: Any, where: str) -> Any:
            if isinstance(value, list):
                return [filled(v, where) for v in value]
            if not isinstance(value, str) or "{" not in value:
                return value
            setting.block = where
            return templates.render(value, 1, {"set": values})

        rows = [("outcome", dict(r)) for r in self.report.outcomes] + [("result", dict(r)) for r in self.report.results]
        for n, (what, row) in enumerate(rows):
            where = f"{what} {row['id']}"
            row = {k: filled(v, where) for k, v in row.items()}
            self.progress(n, len(rows), row["id"])
            try:
                if what == "outcome":
                    self.outcomes[row["id"]] = self._outcome(row)
                    self.results[row["id"]] = outcome_figures(self.outcomes[row["id"]])
                elif row.get("outcome") in (None, *self.outcomes):
                    self.results[row["id"]] = result_figures(self.study, row, self.outcomes, self.progress)
            except (SolverFailure, Cancelled):
                raise
            except AtlasError as error:
                problems += [f"{where}: {p}" for p in error.problems]
        self.results["set"] = values
        if problems or setting.problems:
            raise BadInput([*setting.problems, *problems])

    def _outcome(self, row: Mapping[str, Any]) -> Any:
        halts = row.get("halts", [])
        specs = halts.split() if isinstance(halts, str) else [str(h) for h in halts]
        try:
            on = dt.date.fromisoformat(row["on"]) if row.get("on") else None
        except ValueError:
            raise BadInput(f"on {row['on']!r} is not a date YYYY-MM-DD") from None
        scenario = row.get("scenario") or None
        if scenario and "/" not in scenario and scenario not in getattr(self.study.layers, "scenarios", {}):
            beside = self.report.path.parent / scenario
            scenario = str(beside) if beside.is_file() else scenario
        question = self.study.question(specs, scenario, on)
        return self.study.solve(scenario=question, bloc=str(row.get("bloc") or "us-allies"))

    def _case(self) -> str:
        """Return which questions the report answers, for its foot."""
        said = []
        for o in self.outcomes.values():
            specs = list(o.scenario.specs)
            shown = " ".join(specs[:6]) + (f" and {len(specs) - 6} more" if len(specs) > 6 else "")
            if specs:
                said.append(shown)
        years = sorted({o.year for o in self.outcomes.values()} or {self.study.year})
        blocs = sorted({o.bloc for o in self.outcomes.values()})
        halts = f"Halts: {'; '.join(said)}." if said else "No halt."
        told = f"Bloc: {', '.join(blocs)}. " if blocs else ""
        return f"{halts} {told}Facilities of {', '.join(map(str, years))}; tonnes a year."

    # Blocks ----------------------------------------------------------------------------------------------------------

    def _blocks(self, blocks: Sequence[Block], values: Mapping[str, Any], width_mm: float) -> list[Part]:
        made: list[Part] = []
        for b in blocks:
            self.recorder.block = b.where
            if "when" in b.options:
                told = self.templates.value(str(b.options["when"]), b.lines.get("when", b.line), values)
                if not told or isinstance(told, Missing):
                    continue
            made += getattr(self, f"_{b.kind}")(b, values, width_mm)
        return made

    def _plain(self, source: str, line: int, values: Mapping[str, Any], where: str) -> str:
        self.recorder.block = where
        return plain(self._spans(source, line, values))

    def _spans(self, source: str, line: int, values: Mapping[str, Any]) -> list[Any]:
        found = parts(self.templates.render(source, line, values), self.recorder, line)
        return [s for p in found for s in p.get("spans", [])]

    def _text(self, b: Block, values: Mapping[str, Any], width_mm: float) -> list[Part]:
        line = b.lines.get("text", b.line)
        return parts(self.templates.render(str(b.options["text"]), line, values), self.recorder, line)

    def _page(self, b: Block, values: Mapping[str, Any], width_mm: float) -> list[Part]:
        return [{"kind": "page"}]

    def _contents(self, b: Block, values: Mapping[str, Any], width_mm: float) -> list[Part]:
        return [{"kind": "contents", "title": str(b.options.get("title", "Contents"))}]

    def _sources(self, b: Block, values: Mapping[str, Any], width_mm: float) -> list[Part]:
        return [
            {
                "kind": "sources",
                "title": str(b.options.get("title", "Sources and how to cite")),
                "top": int(b.options.get("top", 60)),
            }
        ]

    def _grid(self, b: Block, values: Mapping[str, Any], width_mm: float) -> list[Part]:
        n = int(b.options.get("columns", 2))
        weights = [float(w) for w in b.options.get("widths", [])] or [1.0] * n
        if len(weights) != n or not 1 <= n <= 4 or min(weights) <= 0:
            self.recorder.problem(
                f"columns {n}, widths {weights}: expected one to four columns, a width over nought for each"
            )
            return []
        room = width_mm - GUTTER_MM * (n - 1)
        cells = [
            self._blocks([inner], values, room * weights[k % n] / sum(weights)) for k, inner in enumerate(b.blocks)
        ]
        return [{"kind": "grid", "columns": weights, "cells": cells}] if any(cells) else []

    def _keep(self, b: Block, values: Mapping[str, Any], width_mm: float) -> list[Part]:
        inner = self._blocks(b.blocks, values, width_mm)
        return [{"kind": "keep", "parts": inner}] if inner else []

    def _each(self, b: Block, values: Mapping[str, Any], width_mm: float) -> list[Part]:
        rows = self.templates.value(str(b.options["in"]), b.lines.get("in", b.line), values)
        if isinstance(rows, Missing):
            return []
        if not isinstance(rows, Rows) or len(rows) > EACH_MOST:
            self.recorder.problem(f"in {b.options['in']!r}: expected a list of {EACH_MOST} rows at most")
            return []
        made: list[Part] = []
        for row in rows:
            made += self._blocks(b.blocks, {**values, str(b.options["as"]): row}, width_mm)
        return made

    def _keys(self, b: Block, values: Mapping[str, Any], width_mm: float) -> list[Part]:
        items = [
            {k: self._spans(str(i[k]), b.line, values) for k in ("label", "value", "note") if i.get(k)}
            for i in b.options["item"]
        ]
        return [{"kind": "keys", "items": items}]

    def _table(self, b: Block, values: Mapping[str, Any], width_mm: float) -> list[Part]:
        rows = self._rows(b, values)
        if rows is None:
            return []
        columns = b.options["columns"]
        if not len(rows):
            for c in columns:  # an empty table is checked all the same: its columns must exist
                self.templates.check(str(c["value"]), b.line, {**values, "row": AnyRow(rows)})
            return self._empty(b, values)
        body, numeric = [], [True] * len(columns)
        for row in rows:
            cells = []
            for k, c in enumerate(columns):
                value = self.templates.value(str(c["value"]), b.line, {**values, "row": row})
                numeric[k] = numeric[k] and isinstance(value, Shown) and value.form[0] in FORMS
                cells.append(text_spans(self.templates.finalized(value), self.recorder, b.line))
            body.append(cells)
        heads = [
            {
                "spans": self._spans(str(c["title"]), b.line, values),
                "align": str(c.get("align") or ("right" if n else "left")),
            }
            for c, n in zip(columns, numeric, strict=True)
        ]
        # The column with the longest text takes what room there is.
        widest = [max(len(plain(c)) for c in (heads[k]["spans"], *(r[k] for r in body))) for k in range(len(columns))]
        texts = [k for k in range(len(columns)) if heads[k]["align"] != "right"] or [0]
        long = max(texts, key=lambda k: widest[k])
        told = [{**h, "long": k == long} for k, h in enumerate(heads)]
        made: Part = {"kind": "table", "head": told, "rows": body}
        if b.options.get("caption"):
            self.numbers["table"] += 1
            made |= {"number": self.numbers["table"], "caption": self._spans(str(b.options["caption"]), b.line, values)}
        return [made]

    def _rows(self, b: Block, values: Mapping[str, Any]) -> Rows | None:
        rows = self.templates.value(str(b.options["rows"]), b.lines.get("rows", b.line), values)
        if isinstance(rows, Missing):
            return None
        if not isinstance(rows, Rows):
            self.recorder.problem(f"rows {b.options['rows']!r}: expected a list of the results")
            return None
        return rows[: int(b.options.get("top", ROWS_SHOWN_MOST))]

    def _empty(self, b: Block, values: Mapping[str, Any]) -> list[Part]:
        said = b.options.get("empty")
        return (
            [{"kind": "paragraph", "spans": self._spans(str(said), b.lines.get("empty", b.line), values)}]
            if said
            else []
        )

    def _picture(self, b: Block, values: Mapping[str, Any], suffix: str, make: Callable[[], bytes]) -> list[Part]:
        made: Part = {"kind": "figure", "width_mm": 0.0}
        if b.options.get("caption"):
            self.numbers["figure"] += 1
            made |= {
                "number": self.numbers["figure"],
                "caption": self._spans(str(b.options["caption"]), b.lines.get("caption", b.line), values),
            }
        alt = str(b.options.get("alt") or b.options.get("caption") or "")
        if not alt:
            self.recorder.problem("a picture needs a caption or an alt text")
        made["alt"] = self._spans(alt, b.lines.get("alt", b.line), values)
        name = f"picture-{len(self.pictures) + 1}.{suffix}"
        self.pictures.append((name, make))
        return [made | {"image": name}]

    def _map(self, b: Block, values: Mapping[str, Any], width_mm: float) -> list[Part]:
        o = b.options
        outcome = self.outcomes[o["outcome"]]
        wide = float(o.get("width_mm", width_mm))
        focus = self._plain(str(o["focus"]), b.lines.get("focus", b.line), values, b.where) if o.get("focus") else None
        goods = tuple(c.strip() for c in str(o.get("commodity", "")).split(",") if c.strip())
        aspect = float(o["height_mm"]) / wide if o.get("height_mm") else report_map.LOCAL_ASPECT
        try:
            figure_map.check(str(o.get("view", "change")), "auto", goods, None)
            if focus:
                focus_box(focus, outcome)
        except BadInput as error:
            for p in error.problems:
                self.recorder.problem(p)

        def make() -> bytes:
            figure = report_map.draw(
                outcome,
                wide / MM_PER_INCH,
                view=str(o.get("view", "change")),
                focus=focus,
                grey=bool(o.get("grey")),
                commodity=goods,
                legend=bool(o.get("legend", True)),
                inset=bool(o.get("inset", True)),
                aspect=aspect,
            )
            return figure_save.picture(figure, "png", MAP_DPI)

        made = self._picture(b, values, "png", make)
        made[0]["width_mm"] = wide
        return made

    def _chart(self, b: Block, values: Mapping[str, Any], width_mm: float) -> list[Part]:
        o = b.options
        rows = self._rows(b, values)
        if rows is None:
            return []
        columns = [o["values"]] if isinstance(o["values"], str) else list(o["values"])
        wanted = {"pairs": 2, "dumbbell": 2, "bars": 1, "change": 1}.get(str(o["chart"]))
        if wanted and len(columns) != wanted:
            self.recorder.problem(f"chart {o['chart']}: expected {wanted} values, found {len(columns)}")
            return []
        if not len(rows):
            for e in (o["label"], *columns):
                self.templates.check(str(e), b.line, {**values, "row": AnyRow(rows)})
            return self._empty(b, values)
        labels, numbers, texts, told = [], [], [], list[Any]()
        for row in rows:
            own = {**values, "row": row}
            label = self.templates.value(str(o["label"]), b.line, own)
            spans = text_spans(self.templates.finalized(label), self.recorder, b.line)
            labels.append(plain(spans))
            found = [self.templates.value(str(c), b.line, own) for c in columns]
            for f in found:
                if not isinstance(f, (Shown, Missing)):
                    self.recorder.problem(
                        f"values of a chart are figures shown by a filter, such as row.after_t | tonnes: {columns}"
                    )
            numbers.append([float(f.raw) if isinstance(f, Shown) else 0.0 for f in found])
            texts.append([f.text if isinstance(f, Shown) else "" for f in found])
            told += [{"t": "; "} if told else {"t": " "}, *spans, {"t": ": "}]
            for n, f in enumerate(found):
                told += ([{"t": ", "}] if n else []) + text_spans(self.templates.finalized(f), self.recorder, b.line)
        wide = float(o.get("width_mm", width_mm))
        unit = self._plain(str(o.get("unit", "")), b.line, values, b.where)
        series = [o["series"]] if isinstance(o.get("series"), str) else [str(s) for s in o.get("series", [])]
        chart = Chart(str(o["chart"]), labels, numbers, texts, series, unit, bool(o.get("grey")))
        tall = float(o["height_mm"]) / MM_PER_INCH if o.get("height_mm") else None
        made = self._picture(
            b, values, "svg", lambda: figure_save.picture(figure_charts.draw(chart, wide / MM_PER_INCH, tall), "svg")
        )
        # What a chart shows is told to those who do not see it.
        made[0]["alt"] = [*made[0]["alt"], *told, {"t": "."}]
        made[0]["width_mm"] = wide
        return made

    def _glyphs(self, head: Mapping[str, Any], found: Sequence[Part], sources: Sequence[Mapping[str, str]]) -> None:
        """Refuse characters that no shipped font has, each with its part."""
        for where, text in [*((f"the head, {k}", str(v)) for k, v in head.items()), *_texts(found)]:
            for c in sorted(figure_fonts.missing(text)):
                near = text[max(text.index(c) - 15, 0) : text.index(c) + 15]
                self.recorder.problem(f"no shipped font has {c} (U+{ord(c):04X}), in {where}: {near!r}")
        for s in sources:
            for c in sorted(figure_fonts.missing(" ".join(s.values()))):
                self.recorder.problem(f"no shipped font has {c} (U+{ord(c):04X}), in source {s['id']}")


def _texts(found: Sequence[Part]) -> list[tuple[str, str]]:
    """Return every text of parts with the kind of its part."""
    made: list[tuple[str, str]] = []
    for p in found:
        for key in ("spans", "caption", "alt"):
            if key in p:
                made.append((p["kind"], plain(p[key])))
        for inner in p.get("items") or p.get("cells") or []:
            if isinstance(inner, Mapping):
                made += [(p["kind"], plain(s)) for s in inner.values()]
            else:
                made += _texts(inner)
        made += _texts(p.get("parts", []))
        made += [("table", plain(h["spans"])) for h in p.get("head", [])]
        made += [("table", plain(c)) for r in p.get("rows", []) for c in r]
    return made


__all__ = ["Built", "build"]

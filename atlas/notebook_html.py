"""What notebooks show of an answer: a few lines of plain HTML without scripts, in the colours of the notebook."""

import html
import math
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

# Words of the measures in a notebook's small table.
MEASURES = {
    "demand_t": "demand", "supplied_t": "delivered", "shortage_t": "short",
    "bloc_supplied_share": "demand of {bloc} met",
    "bloc_origin_share/mine": "of its magnets, mined inside", "bloc_origin_share/separation": "separated inside",
    "bloc_origin_share/metal": "made metal inside", "bloc_origin_share/magnet": "made into magnets inside",
    "unit_spend_usd_t": "freight, processing and duty", "mean_days": "days under way", "mean_km": "distance",
}  # fmt: skip
DECIMALS = {"t/year": 0, "share": 1, "USD/t": 0, "days": 1, "km": 0}


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], words: Sequence[int] = (0,)) -> str:
    """Return an HTML table, everything escaped; the columns of these numbers are words, the others figures."""
    side = ["left" if k in words else "right" for k in range(len(heads))]

    def cells(tag: str, values: Sequence[str]) -> str:
        parts = (f'<{tag} style="text-align:{a}">{html.escape(v)}</{tag}>' for a, v in zip(side, values, strict=True))
        return f"<tr>{''.join(parts)}</tr>"

    body = "".join(cells("td", row) for row in rows)
    return f"<table><thead>{cells('th', heads)}</thead><tbody>{body}</tbody></table>"


def paragraph(text: str, strong: str = "") -> str:
    """Return a paragraph, escaped; `strong` words stand before it."""
    head = f"<b>{html.escape(strong)}</b> " if strong else ""
    return f"<p>{head}{html.escape(text)}</p>"


def answer_html(sentence: str, figures: pd.DataFrame, bloc: str, is_baseline: bool, notes: Sequence[str]) -> str:
    """Return an answer as a sentence, its figures and what to know about it."""
    heads = ["", "baseline"] if is_baseline else ["", "baseline", "halted", "change"]
    rows = []
    for measure, r in figures.iterrows():
        values = [r["baseline"]] if is_baseline else [r["baseline"], r["halted"]]
        cells = [number(v, r["unit"]) for v in values]
        cells += [] if is_baseline else [number(r["change"], r["unit"], signed=True)]
        rows.append([MEASURES[str(measure)].format(bloc=bloc), *cells])
    told = "".join(f"<li>{html.escape(n)}</li>" for n in notes)
    return f"<div>{paragraph(sentence)}{table(heads, rows)}{f'<ul>{told}</ul>' if told else ''}</div>"


def number(value: Any, unit: str = "", *, signed: bool = False) -> str:
    """Return a figure with its unit; shares in percent, their changes in points; a dash where there is none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    share = unit == "share"
    shown = round(float(value) * (100 if share else 1), DECIMALS.get(unit, 2)) + 0.0
    text = f"{shown:{'+' if signed and shown else ''},.{DECIMALS.get(unit, 2)}f}"
    word = ("points" if signed else "%") if share else unit.replace("/year", "")
    return f"{text}\u00a0{word}" if word else text

"""Say a validation in plain text, within 120 columns."""

import textwrap
from collections.abc import Mapping
from typing import Any

from atlas.cli_text import number, percent, signed, table, tonnes
from atlas.validation import limit_words

WIDTH = 118
WHAT = 48  # characters of a figure's words; longer ones are cut
MOST = 12  # corrections listed


def validate_text(v: Any) -> str:
    """Return a validation for people: every figure, the bounds, the balance by element, what was tuned."""
    parts = [
        textwrap.fill(v.sentence, WIDTH),
        _figures(v.ordered),
        _apart(v.ordered),
        _bounds(v.bounds),
        _totals(v),
        _closure(v.closure),
        _tuned(v),
    ]
    return "\n\n".join(part for part in parts if part)


def figure(value: float, unit: str) -> str:
    """Return a figure in its unit: a share as a percentage, tonnes as such."""
    return percent(value) if unit == "share" else tonnes(value)


def error(row: Mapping[str, Any]) -> str:
    """Return a row's error: points for a share, percent for tonnes, a dash for none."""
    if row["error_share"] != row["error_share"]:
        return "-"
    if row["unit"] == "share":
        return f"{signed(row['error_points'], 1)} points"
    return f"{signed(100 * row['error_share'], 1)} %"


def _figures(rows: list[dict[str, Any]]) -> str:
    body = []
    for r in rows:
        within = f"{'yes' if r['within'] else 'NO'}, {r['bound']}" if r["bound"] else ""
        published, model = figure(r["published"], r["unit"]), figure(r["model"], r["unit"])
        body.append((_cut(r["what"]), published, model, error(r), r["role"], r["comparable"], within))
    return table(
        ("figure (t a year, shares in %)", "published", "model", "error", "role", "comparable", "within"), body
    )


def _cut(text: str) -> str:
    return text if len(text) <= WHAT else text[: WHAT - 3] + "..."


def _apart(rows: list[dict[str, Any]]) -> str:
    """Return which figures are not comparable, or not in the model, by reason."""
    by_reason: dict[str, list[str]] = {}
    for r in rows:
        why = str(r["why_not"]) if r["comparable"] != "yes" else str(r["no_model"])
        if why:
            by_reason.setdefault(why, []).append(str(r["what"]))
    said = [_wrapped(f"{why}: {'; '.join(dict.fromkeys(whats))}") for why, whats in by_reason.items()]
    return "\n".join(["not comparable, or not in the model:", *said]) if said else ""


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent="  ", subsequent_indent="    ")


def _bounds(bounds: Any) -> str:
    rows = [
        (b["what"], figure(b["model"], "share" if b["unit"] == "points" else "t") if b["model"] == b["model"] else "",
         limit_words(b["figure"], b["unit"]) if b["figure"] == b["figure"] else "none",
         b["sense"], limit_words(b["limit"], b["unit"]), "yes" if b["held"] else "NO")
        for b in bounds.to_dict("records")
    ]  # fmt: skip
    return table(("bound", "model", "found", "", "limit", "holds"), rows)


def _totals(v: Any) -> str:
    rows = [
        (f"{t['role']}, {t['unit']}" if t["unit"] else t["role"], number(t["count"]), percent(t["median"]),
         percent(t["worst"]), t["worst_id"] or "-", number(t["not_computed"]))
        for t in v.totals.to_dict("records")
    ]  # fmt: skip
    text = table(("comparable rows", "count", "median error", "worst error", "worst row", "not in the model"), rows)
    by = [f"{c}: {d['count']:.0f}, median {percent(d['median'])}" for c, d in sorted(v.confidence.items())]
    return text + (f"\nheld back, by confidence of the source: {'; '.join(by)}" if by else "")


def _closure(c: Any) -> str:
    elements = list(c.table.columns)
    marks = {"of": " ", "0": " ", "=": "=", "+": "+", "-": "-"}
    rows = []
    for line in c.to_json()["lines"]:
        cells = [tonnes(line[e]) if abs(line[e]) >= 0.05 else "0" for e in elements]
        whole = sum(line[e] for e in elements)
        rows.append((f"{marks[line['sign']]} {line['what']}", *cells, tonnes(whole) if abs(whole) >= 0.05 else "0"))
    text = table(("balance, t of contained oxide", *elements, "all"), rows)
    need = ", ".join(f"{e} {percent(s)}" for e, s in c.need_share.items())
    return f"{text}\nneed of all demand, of what the year could supply (aim 90 to 100 %): {need}"


def _tuned(v: Any) -> str:
    told = v.to_json()["tuned"]
    largest = [(c["what"], signed(c["usd_t"])) for c in told["corrections"][:MOST]]
    lines = ["tuned (what was fitted, not known):", *(_wrapped(t) for t in told["told"])]
    if largest:
        more = f"largest of {told['count']} corrections"
        lines.append(table((more, "USD/t"), largest))
    return "\n".join(lines)

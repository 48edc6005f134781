"""Say results in plain text: aligned tables for people. No computing, no reading, no writing."""

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from atlas.answer_words import (
    KINKS,
    KINKS_SAID,
    PRICE,
    SMALL_T,
    buyer_lines,
    changed,
    confidence_words,
    released,
    rises,
)

TOP = 12  # rows of a list that may be long; the rest is counted
SOME = 8  # rows of a list beside others of its kind


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], left: int = 1) -> str:
    """Return an aligned table: the first `left` columns to the left, the others (numbers) to the right."""
    cells = [[_cell(v) for v in row] for row in rows]
    widths = [max(len(line[i]) for line in [list(head), *cells]) for i in range(len(head))]
    lines = [
        "  ".join(c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True)))
        for line in [list(head), ["-" * w for w in widths], *cells]
    ]
    return "\n".join(line.rstrip() for line in lines)


def number(value: float | None, digits: int = 0) -> str:
    """Return a number with thousands separators; a dash for nothing."""
    if value is None or not math.isfinite(value):
        return "-"
    text = f"{value:,.{digits}f}"
    return text.removeprefix("-") if not any(c in "123456789" for c in text) else text


def tonnes(value: float | None) -> str:
    """Return tonnes: whole from 10 up, one decimal below."""
    return number(value, 0 if value is None or abs(value) >= 10 or value == 0 else 1)


def signed(value: float, digits: int = 0) -> str:
    """Return a change with its sign; `0` for none."""
    text = number(value, digits)
    return f"+{text}" if value > 0 and any(c in "123456789" for c in text) else text


def percent(share: float | None) -> str:
    """Return a share of 0 to 1 as a percentage."""
    return "-" if share is None or not math.isfinite(share) else f"{100 * share:.1f} %"


def solve_text(outcome: Any) -> str:
    """Return a solved outcome for people: the sentence, both states side by side, shortage, who replaces whom."""
    summary = outcome.summary
    base, halted = summary["baseline"], summary["halted"]
    if not summary["scenario"]["halts"] and base == halted:
        return _baseline_text(outcome)
    parts = [outcome.sentence, _scenario(summary), _buyers(summary), _totals(summary["bloc"], base, halted)]
    parts += [_stages(base, halted), _shortage("country", base, halted), _shortage("sector", base, halted)]
    parts += [_shortage("grade", base, halted), _stepped(base, halted), _released(summary), _detours(halted)]
    parts += [_prices(summary), _replaced(summary["replaced"]), _plants(outcome), _traffic(base, halted)]
    parts += [
        "\n".join(f"note: {n}" for n in outcome.notes),
        _lines(confidence_words(halted)),
        _certificate(summary["certificate"]),
        _tuned(summary["tuned"]),
    ]
    return "\n\n".join(part for part in parts if part)


def _baseline_text(outcome: Any) -> str:
    """Return the baseline alone: with nothing halted the second state would repeat the first."""
    summary = outcome.summary
    base = summary["baseline"]
    parts = [outcome.sentence, _scenario(summary), _buyers(summary), _totals(summary["bloc"], base, base)]
    parts = [_one_state(part) for part in [*parts, _stages(base, base)]]
    short = [
        (n, tonnes(t)) for n, t in sorted(base["shortage_by_country"].items(), key=lambda r: -r[1]) if t >= SMALL_T
    ]
    if short:
        parts.append(table(("shortage by country, t", "baseline"), short[:TOP]) + _more(len(short)))
    for kind in ("passage", "port", "border"):
        most = sorted(base["throughput_t"][kind].items(), key=lambda r: (-r[1], r[0]))
        rows = [(n, tonnes(t)) for n, t in most if t >= 1.0]
        if rows:
            parts.append(table((f"through each {kind}, t", "baseline"), rows[:SOME]) + _more(len(rows), SOME))
    parts += [
        "\n".join(f"note: {n}" for n in outcome.notes),
        _lines(confidence_words(base)),
        _certificate({"baseline": summary["certificate"]["baseline"]}),
        _tuned(summary["tuned"]),
    ]
    return "\n\n".join(part for part in parts if part)


def _one_state(text: str) -> str:
    """Return a side-by-side table cut after the columns of the baseline."""
    lines = text.split("\n")
    edge = lines[0].find("halted")
    return (
        text
        if edge < 0 or len(lines) < 3 or "baseline" not in lines[0]
        else "\n".join(line[: edge - 2].rstrip() for line in lines)
    )


def _scenario(summary: Mapping[str, Any]) -> str:
    scenario = summary["scenario"]
    rows = [("scenario", scenario["name"])] if scenario["name"] not in ("", "halts", "baseline") else []
    charged = [f"{s['passage']} {number(s['usd_t'], 2)} USD per gross tonne" for s in scenario.get("surcharges", ())]
    more = changed(scenario)
    nothing = [] if charged or more or scenario.get("buyers") else ["none: the baseline"]
    rows += [("halts", h) for h in scenario["halts"] or nothing]
    rows += [("war risk", c) for c in charged] + more
    rows.append(
        ("year", f"{scenario['year']}" + (f", halts that apply on {scenario['on']}" if scenario.get("on") else ""))
    )
    wide = max(8, *(len(label) for label, _ in rows))
    shown = [label if i == 0 or rows[i - 1][0] != label else "" for i, (label, _) in enumerate(rows)]
    return "\n".join(f"{label:{wide}}  {_cell(text)}" for label, (_, text) in zip(shown, rows, strict=True))


def _buyers(summary: Mapping[str, Any]) -> str:
    """Return what each buyer wanted and got, and from whom, before and after."""
    rows: list[tuple[str, ...]] = []
    for b in buyer_lines(summary):
        moved = signed(b.after_t - b.before_t)
        rows.append((b.id, f"gets, of {tonnes(b.wanted_t)} t {b.grade}", tonnes(b.before_t), tonnes(b.after_t), moved))
        down = ("next lower grade", *b.stepped_t)
        for who, x, y in [*([down] if max(b.stepped_t) >= SMALL_T else []), *b.suppliers[:SOME]]:
            rows.append(("", f"  {'of it ' if who == down[0] else ''}{who}", tonnes(x), tonnes(y), signed(y - x)))
        if len(b.suppliers) > SOME:
            rows.append(("", f"  and {len(b.suppliers) - SOME} more", "", "", ""))
    return table(("buyers, t", "", "baseline", "halted", "change"), rows, left=2) if rows else ""


def _stepped(base: Mapping[str, Any], halted: Mapping[str, Any]) -> str:
    """Return what was met by another grade than the one wanted."""
    rows = []
    for key, said in (("step_down_by_grade", "the next lower one"), ("step_up_by_grade", "a dearer one")):
        a, b = base.get(key, {}), halted.get(key, {})
        for g in sorted({*a, *b}, key=lambda g: (-b.get(g, 0.0), g)):
            x, y = a.get(g, 0.0), b.get(g, 0.0)
            if max(x, y) >= SMALL_T:
                rows.append((g, said, tonnes(x), tonnes(y), signed(y - x)))
    return table(("grade wanted, t", "taken instead", "baseline", "halted", "change"), rows, left=2) if rows else ""


def _released(summary: Mapping[str, Any]) -> str:
    rows = [(what, tonnes(there), tonnes(used)) for what, used, there in released(summary)]
    return table(("stock, t", "there", "let go"), rows) if rows else ""


def _detours(halted: Mapping[str, Any]) -> str:
    """Return what went round a ban, by the third country it went by."""
    by_hub = sorted(halted.get("transshipped_t", {}).items(), key=lambda r: (-r[1], r[0]))
    rows = [(hub, tonnes(t)) for hub, t in by_hub if t >= SMALL_T]
    return table(("went round a ban, t, by way of", "halted"), rows[:TOP]) + _more(len(rows)) if rows else ""


def _prices(summary: Mapping[str, Any]) -> str:
    """Return where each commodity's price rose most."""
    found = rises(summary)
    if not found:
        return ""
    rows = [
        (r.goods, r.place, number(r.before), number(r.after), signed(r.after - r.before), str(r.places),
         KINKS.get(r.holds, ""))
        for r in found
    ]  # fmt: skip
    head = ("price, USD/t: rose most", "in", "baseline", "halted", "change", "places", "holds for")
    said = [_lines(PRICE)] + [_lines(KINKS_SAID)] * any(r.holds in KINKS for r in found)
    return "\n".join([table(head, rows, left=2), *said])


def _lines(text: str, wide: int = 96) -> str:
    return "\n".join(textwrap.wrap(text.replace("\u00a0", " "), wide))


def _totals(bloc: str, base: Mapping[str, Any], halted: Mapping[str, Any]) -> str:
    rows: list[tuple[str, str, str, str]] = []

    def add(label: str, key: str, scale: float = 1.0, digits: int = 0) -> None:
        a, b = base[key] / scale, halted[key] / scale
        rows.append((label, number(a, digits), number(b, digits), signed(b - a, digits)))

    def share(label: str, a: float | None, b: float | None) -> None:
        moved = "-" if a is None or b is None else f"{signed(100 * (b - a), 1)} points"
        rows.append((label, percent(a), percent(b), moved))

    add("magnet demand, t", "demand_t")
    add("supplied, t", "supplied_t")
    add("shortage, t", "shortage_t")
    share(f"demand met in {bloc}", base["bloc_supplied_share"], halted["bloc_supplied_share"])
    for stage, value in base["bloc_origin_share"].items():
        share(f"  of which {stage} inside", value, halted["bloc_origin_share"].get(stage))
    add("spending, million USD", "spend_usd", 1e6, 1)
    add("spending per tonne, USD/t", "unit_spend_usd_t")
    add("objective, million USD", "objective_usd", 1e6, 1)
    add("mean days under way", "mean_days", digits=1)
    add("mean distance, km", "mean_km")
    return table(("", "baseline", "halted", "change"), rows)


def _stages(base: Mapping[str, Any], halted: Mapping[str, Any]) -> str:
    rows = []
    same: list[str] = []
    for stage in list(dict.fromkeys([*base["stage_output_t"], *halted["stage_output_t"]])):
        a, b = base["stage_output_t"].get(stage, {}), halted["stage_output_t"].get(stage, {})
        if base is not halted and all(abs(a.get(c, 0.0) - b.get(c, 0.0)) < 0.5 for c in {*a, *b}):
            same.append(stage)
            continue
        total_a, total_b = sum(a.values()), sum(b.values())
        rows.append((stage, "world", tonnes(total_a), "", tonnes(total_b), "", signed(total_b - total_a)))
        moved = sorted({*a, *b}, key=lambda c: (-max(a.get(c, 0.0), b.get(c, 0.0)), c))
        for c in moved[:5]:
            x, y = a.get(c, 0.0), b.get(c, 0.0)
            part = [percent(v / t) if t else "-" for v, t in ((x, total_a), (y, total_b))]
            rows.append(("", c, tonnes(x), part[0], tonnes(y), part[1], signed(y - x)))
    head = ("output, t", "", "baseline", "share", "halted", "share", "change")
    text = [table(head, rows, left=2)] if rows else []
    return "\n".join(text + [f"every country's output stays as it is: {', '.join(same)}"] * bool(same))


def _shortage(by: str, base: Mapping[str, Any], halted: Mapping[str, Any]) -> str:
    a, b = base[f"shortage_by_{by}"], halted[f"shortage_by_{by}"]
    names = sorted(
        (n for n in {*a, *b} if max(a.get(n, 0.0), b.get(n, 0.0)) >= SMALL_T), key=lambda n: (-b.get(n, 0.0), n)
    )
    rows = [(n, tonnes(a.get(n, 0.0)), tonnes(b.get(n, 0.0)), signed(b.get(n, 0.0) - a.get(n, 0.0))) for n in names]
    if not rows:
        return ""
    text = table((f"shortage by {by}, t", "baseline", "halted", "change"), rows[:TOP])
    return text + _more(len(rows))


def _replaced(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return ""
    rows = sorted(rows, key=lambda r: -r["tonnes"])
    body = [(r["importer"], r["commodity"], r["from_country"], r["to_country"], tonnes(r["tonnes"])) for r in rows]
    return table(("who replaces whom", "commodity", "instead of", "now from", "t"), body[:TOP], left=4) + _more(
        len(rows)
    )


def _plants(outcome: Any) -> str:
    """Return the facilities that make more and those that make less, and which run at their limit."""
    t = outcome.facilities
    t = t.assign(change=t["halted_t"] - t["baseline_t"])
    parts = []
    for label, part in (("makes more", t[t["change"] >= 0.5]), ("makes less", t[t["change"] <= -0.5])):
        part = part.sort_values("change", key=lambda c: -c.abs(), kind="stable")
        rows = [
            (i, str(r["unit"]).replace("t_", "t "), tonnes(r["baseline_t"]), tonnes(r["halted_t"]), signed(r["change"]),
             "at its limit" if r["halted_t"] >= r["limit_t"] * (1 - 1e-6) and r["halted_t"] > 0 else "")
            for i, r in part.iloc[:SOME].iterrows()
        ]  # fmt: skip
        if rows:
            head = (label, "unit", "baseline", "halted", "change", "")
            parts.append(table(head, rows, left=2) + _more(len(part), SOME))
    return "\n\n".join(parts)


def _traffic(base: Mapping[str, Any], halted: Mapping[str, Any]) -> str:
    parts = []
    for kind in ("passage", "port", "border"):
        a, b = base["throughput_t"][kind], halted["throughput_t"][kind]
        changed = [n for n in {*a, *b} if abs(b.get(n, 0.0) - a.get(n, 0.0)) >= 1.0]
        changed.sort(key=lambda n: (-abs(b.get(n, 0.0) - a.get(n, 0.0)), n))
        rows = [
            (n, tonnes(a.get(n, 0.0)), tonnes(b.get(n, 0.0)), signed(b.get(n, 0.0) - a.get(n, 0.0))) for n in changed
        ]
        if rows:
            parts.append(
                table((f"through each {kind}, t", "baseline", "halted", "change"), rows[:SOME]) + _more(len(rows), SOME)
            )
    return "\n\n".join(parts)


def _certificate(certificate: Mapping[str, Mapping[str, float]]) -> str:
    rows = [(s, *(f"{c[k]:.1e}" for k in ("primal_residual", "dual_residual", "gap"))) for s, c in certificate.items()]
    return table(("certificate", "primal residual", "dual residual", "gap"), rows)


def verified_text(found: Mapping[str, Any]) -> str:
    """Return what a check of a stored result found."""
    objective = table(("state", "objective, USD"), [(s, number(v)) for s, v in found["objective_usd"].items()])
    verdict = "holds: certificate, balances and totals" if found["ok"] else f"{len(found['problems'])} problems"
    lines = [f"  {p}" for p in found["problems"]]
    return "\n".join([_certificate(found["certificate"]), "", objective, "", verdict, *lines])


def _tuned(lines: Sequence[str]) -> str:
    if not lines:
        return ""
    return "tuned (what was fitted, not known):\n" + "\n".join(f"  {line}" for line in lines[:TOP]) + _more(len(lines))


def _more(count: int, shown: int = TOP) -> str:
    return f"\n... and {count - shown} more (--json or --out has all)" if count > shown else ""


def route_text(route: Mapping[str, Any]) -> str:
    """Return one route (as `route --json`) for people: a line of totals, a table of legs, what it passes."""
    if not route["reachable"]:
        return f"unreachable: {route['reason']}"
    a, b = (route["snap_km"] + [0.0, 0.0])[:2]
    parts = [
        f"{number(route['distance_km'])} km, {number(route['days'], 1)} days, {number(route['cost_usd_t'], 1)} USD/t"
        f" (start and end {number(a, 1)} and {number(b, 1)} km from the network)"
    ]
    legs = [
        (
            leg["mode"],
            leg["from"],
            leg["to"],
            number(leg["distance_km"]),
            number(leg["days"], 1),
            number(leg["cost_usd_t"], 1),
        )
        for leg in route["legs"]
    ]
    if legs:
        parts.append(table(("mode", "from", "to", "km", "days", "USD/t"), legs, left=3))
    named = [f"{k:10}{', '.join(route[k])}" for k in ("passages", "ports", "borders", "countries") if route[k]]
    return "\n".join([*parts, *named])


def _cell(value: Any) -> str:
    """Return a cell's text on one line, without control characters (names come from data)."""
    text = value if isinstance(value, str) else str(value)
    return "".join(c if c.isprintable() else " " for c in text)

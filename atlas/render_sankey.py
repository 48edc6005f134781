"""A flow diagram as SVG without scripts: columns of stages, ribbons as wide as the tonnes that pass.

Labels stand beside their nodes in slots of their own height and in the room before the next column, so they cannot
collide; small nodes are put together by group. Colours are Okabe and Ito's; every label names its country, so nothing
is told by colour alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from atlas.render_ink import BLUE, END, GREEN, GREY, INK, PAPER, RED, SOFT, VIOLET
from atlas.trace_words import percent, tonnes

# group -> colour, label of the legend; ribbons have the colour of the node they leave
GROUPS: dict[str, tuple[str, str]] = {
    "china": (RED, "China"),
    "bloc": (BLUE, "the bloc"),
    "other": (GREY, "other countries"),
    "recycled": (GREEN, "recycled"),
    "stock": (VIOLET, "stocks let go"),
    "end": (END, "lost, left over or kept"),
}
SHORT = {"china": "China", "stock": "stocks", "end": "ends"}
WIDTH, NODE, TOP, LABEL, GAP = 1000, 12, 30, 15, 6
MARGIN = 200  # right of the last column, for its labels
FLOW_HEIGHT = 400
SHOWN = 9  # nodes of a column that stand alone
SMALL = 0.012  # of the whole: smaller ones are put together
LABEL_CHARS = 24


@dataclass(frozen=True)
class Bar:
    """A node to draw: its column, what its label and tooltip say, its group."""

    key: str
    column: int
    label: str
    title: str
    group: str


@dataclass
class _Placed:
    bar: Bar
    t: float
    y: float = 0.0
    height: float = 0.0
    left: float = 0.0
    right: float = 0.0


def sankey(heads: Sequence[str], bars: Sequence[Bar], links: Mapping[tuple[str, str], float], what: str) -> Markup:
    """Return the diagram; `heads` name the columns, `what` describes it for those who cannot see it.

    `links` are tonnes by (key from, key to), always from a column to one further right.
    """
    bars, links = _folded(bars, links)
    column_of = {b.key: b.column for b in bars}
    links = {k: t for k, t in links.items() if t > 0 and column_of[k[0]] < column_of[k[1]]}
    placed = {b.key: _Placed(b, _size(b.key, links)) for b in bars}
    placed = {k: p for k, p in placed.items() if p.t > 0}
    used = sorted({p.bar.column for p in placed.values()})
    if len(used) < 2:
        return Markup("")
    whole = max(sum(p.t for p in placed.values() if p.bar.column == c) for c in used)
    order = _ordered(placed, links, used)
    height = _stack(order, FLOW_HEIGHT / whole)
    x = {c: 2 + k * (WIDTH - 2 - NODE - MARGIN) / (len(used) - 1) for k, c in enumerate(used)}
    parts = [Markup("<title>{}</title>").format(what)]
    parts += [_text(x[c], 14, heads[c], SOFT, 12.5, bold=True) for c in used]
    scale = FLOW_HEIGHT / whole
    # Shares are of what the place takes in or sells: all that ends, each once.
    whole = sum(p.t for k, p in placed.items() if not any(a == k for a, _ in links))
    for (a, b), t in _drawn(links, placed, order):
        parts.append(_ribbon(placed[a], placed[b], t, scale, x, whole))
    for c in used:
        for p in order[c]:
            parts.append(_bar(p, x[c], whole))
    for c in used:
        for p in order[c]:
            parts.append(_label(p, x[c], whole))
    body = Markup("\n").join(parts)
    return Markup(
        '<svg class="sankey" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" role="img" '
        'font-family="system-ui, sans-serif">\n{b}\n</svg>'
    ).format(w=WIDTH, h=round(height), b=body)


def legend(groups: Sequence[str], bloc: str) -> list[tuple[Markup, str]]:
    """Return swatch and label of the groups that a diagram shows."""
    swatch = Markup(
        '<svg class="swatch" width="18" height="12" viewBox="0 0 18 12" aria-hidden="true" focusable="false">'
        '<rect width="18" height="12" fill="{}"/></svg>'
    )
    labels = {k: bloc if k == "bloc" else text for k, (_, text) in GROUPS.items()}
    return [(swatch.format(GROUPS[g][0]), labels[g]) for g in GROUPS if g in groups]


def _size(key: str, links: Mapping[tuple[str, str], float]) -> float:
    return max(sum(t for k, t in links.items() if k[0] == key), sum(t for k, t in links.items() if k[1] == key))


def _folded(
    bars: Sequence[Bar], links: Mapping[tuple[str, str], float]
) -> tuple[list[Bar], dict[tuple[str, str], float]]:
    """Return the diagram with the small nodes of each column and group put together."""
    size = {b.key: _size(b.key, links) for b in bars}
    kept: list[Bar] = []
    name: dict[str, str] = {}
    for column in sorted({b.column for b in bars}):
        here = sorted((b for b in bars if b.column == column), key=lambda b: (-size[b.key], b.key))
        whole = sum(size[b.key] for b in here)
        small = [b for n, b in enumerate(here) if n >= SHOWN or size[b.key] < SMALL * whole]
        for group in dict.fromkeys(b.group for b in small):
            of = [b for b in small if b.group == group]
            if len(of) == 1 and len(here) - len(small) < SHOWN + 3:
                continue
            key = f"others {column} {group}"
            names = ", ".join(b.title for b in of[:12]) + (f" and {len(of) - 12} more" if len(of) > 12 else "")
            kept.append(Bar(key, column, f"{len(of)} more, {SHORT.get(group, group)}", names, group))
            name |= {b.key: key for b in of}
        kept += [b for b in here if b.key not in name]
    joined: dict[tuple[str, str], float] = {}
    for (a, b), t in links.items():
        pair = name.get(a, a), name.get(b, b)
        joined[pair] = joined.get(pair, 0.0) + t
    return kept, joined


def _ordered(
    placed: Mapping[str, _Placed], links: Mapping[tuple[str, str], float], used: Sequence[int]
) -> dict[int, list[_Placed]]:
    """Return the nodes of each column from top to bottom: near to what they are linked with, to cross little."""
    rank = list(GROUPS)
    order = {
        c: sorted(
            (p for p in placed.values() if p.bar.column == c),
            key=lambda p: (rank.index(p.bar.group), p.bar.key.startswith("others "), -p.t, p.bar.key),
        )
        for c in used
    }
    for sweep in range(4):
        back = sweep % 2 == 1
        for c in reversed(used[:-1]) if back else used[1:]:
            at = {p.bar.key: k / len(order[o]) for o in used for k, p in enumerate(order[o])}
            middle: dict[str, float] = {}
            for p in order[c]:
                near = [
                    (at[b if back else a], t)
                    for (a, b), t in links.items()
                    if (a if back else b) == p.bar.key and a in placed and b in placed
                ]
                weight = sum(t for _, t in near)
                middle[p.bar.key] = sum(y * t for y, t in near) / weight if weight else at[p.bar.key]
            order[c].sort(key=lambda p, m=middle: (p.bar.group == "end", m[p.bar.key], p.bar.key))  # type: ignore[misc]
    return order


def _stack(order: Mapping[int, list[_Placed]], scale: float) -> float:
    """Place the nodes of each column, each in a slot as high as its label at least; return the whole height."""
    heights = {}
    for c, column in order.items():
        heights[c] = sum(max(p.t * scale, LABEL) + GAP for p in column) - GAP
    tallest = max(heights.values())
    for c, column in order.items():
        # Room that a column leaves is spread between its nodes.
        more = (tallest - heights[c]) / (len(column) + 1)
        y = TOP + more
        for p in column:
            p.height = max(p.t * scale, 1.0)
            slot = max(p.height, LABEL)
            p.y = y + (slot - p.height) / 2
            p.left = p.right = p.y
            y += slot + GAP + more
    return TOP + tallest + 14


def _drawn(
    links: Mapping[tuple[str, str], float], placed: Mapping[str, _Placed], order: Mapping[int, list[_Placed]]
) -> list[tuple[tuple[str, str], float]]:
    """Return the links in the order they leave and enter their nodes, from top to bottom."""
    at = {p.bar.key: p.y for column in order.values() for p in column}
    return sorted(links.items(), key=lambda r: (at[r[0][0]], at[r[0][1]], r[0]))


def _ribbon(a: _Placed, b: _Placed, t: float, scale: float, x: Mapping[int, float], whole: float) -> Markup:
    """Return a ribbon; nodes remember how far they are filled on each side."""
    width = max(t * scale, 0.6)
    x0, x1 = x[a.bar.column] + NODE, x[b.bar.column]
    y0, y1 = a.right, b.left
    a.right += t * scale
    b.left += t * scale
    m = (x0 + x1) / 2
    path = (
        f"M{x0:.1f} {y0:.1f}C{m:.1f} {y0:.1f} {m:.1f} {y1:.1f} {x1:.1f} {y1:.1f}"
        f"V{y1 + width:.1f}C{m:.1f} {y1 + width:.1f} {m:.1f} {y0 + width:.1f} {x0:.1f} {y0 + width:.1f}Z"
    )
    said = f"{a.bar.label} → {b.bar.label}: {tonnes(t)} ({percent(t / whole)})"
    return Markup('<path d="{}" fill="{}" fill-opacity="0.42"><title>{}</title></path>').format(
        path, GROUPS[a.bar.group][0], said
    )


def _bar(p: _Placed, x: float, whole: float) -> Markup:
    said = f"{p.bar.title}: {tonnes(p.t)} ({percent(p.t / whole)})"
    return Markup('<rect x="{:.1f}" y="{:.1f}" width="{}" height="{:.1f}" fill="{}"><title>{}</title></rect>').format(
        x, p.y, NODE, p.height, GROUPS[p.bar.group][0], said
    )


def _label(p: _Placed, x: float, whole: float) -> Markup:
    label = p.bar.label if len(p.bar.label) <= LABEL_CHARS else p.bar.label[: LABEL_CHARS - 1].rstrip() + "…"
    return _text(x + NODE + 4, p.y + p.height / 2 + 4, f"{label} {percent(p.t / whole)}", INK, 11.2)


def _text(x: float, y: float, text: str, colour: str, size: float, *, bold: bool = False) -> Markup:
    weight = Markup(' font-weight="650"') if bold else Markup("")
    return Markup(
        '<text x="{:.1f}" y="{:.1f}" font-size="{}" fill="{}"{} stroke="{}" stroke-width="3" '
        'stroke-linejoin="round" paint-order="stroke">{}</text>'
    ).format(x, y, size, colour, weight, PAPER, text)

"""The words in which looks of exported layers are described: conditions, symbols, rules, labels. Sizes in millimetres.

QML and SLD are both made from them. What is drawn from tonnes says so by `Grow`, which QML writes as an expression and
SLD as classes.
"""

import re
from dataclasses import KW_ONLY, dataclass

from atlas import render_style as style

MM_PER_PX = 25.4 / 96
HALO = style.PAPER


@dataclass(frozen=True)
class Is:
    """A comparison of a column with a text or a number: `=`, `<>`, `>`, `>=`, `<`, `<=`, or `null`."""

    column: str
    op: str
    value: str | float = ""


@dataclass(frozen=True)
class All:
    """Conditions that must all hold; none at all always hold."""

    parts: tuple["Where", ...] = ()


@dataclass(frozen=True)
class Some:
    """Conditions of which one must hold."""

    parts: tuple["Where", ...]


Where = Is | All | Some
NEVER = Is("id", "=", "")  # of lines that stand in a legend only: every feature has an id


@dataclass(frozen=True)
class Grow:
    """A width or diameter that grows with the square root of tonnes a year, the greatest of some columns.

    The columns' amounts count, so a loss is as wide as a gain. Sizes in millimetres.
    """

    columns: tuple[str, ...]
    least_mm: float
    at_100_kt_mm: float

    def size_mm(self, tonnes: float) -> float:
        """Return the size for so many tonnes a year."""
        return round(max(self.least_mm, self.at_100_kt_mm * (tonnes / 100_000) ** 0.5), 2)


@dataclass(frozen=True)
class Stroke:
    """A line; `arrows` is where it carries arrow heads along its way.

    With `short` no more than the coast's end of a long line is drawn. `strand` names the columns that hold its width,
    its offset to the right of the line and the width of all in millimetres, where several lie side by side.
    """

    colour: str
    width_mm: float
    dash_mm: tuple[float, ...] = ()
    grow: Grow | None = None
    arrows: "Where | None" = None
    strand: tuple[str, str, str] | None = None
    short: bool = False


@dataclass(frozen=True)
class Mark:
    """A point symbol: triangle, square, diamond, circle, pentagon, cross, cross2 (x) or star; `size_mm` is its height.

    `fills` are other colours with the condition and the words of each; they do not overlap.
    """

    shape: str
    fill: str
    edge: str
    size_mm: float
    edge_mm: float = 0.25
    grow: Grow | None = None
    fills: tuple[tuple[str, "Where", str], ...] = ()


@dataclass(frozen=True)
class Fill:
    """An area with its outline."""

    colour: str
    edge: str
    edge_mm: float


Symbol = Stroke | Mark | Fill


@dataclass(frozen=True)
class Rule:
    """One line of a legend: which features look how. `from_scale` is the smallest scale that still shows them."""

    label: str
    where: Where
    symbol: Symbol
    shown: bool = True
    from_scale: int = 0


@dataclass(frozen=True)
class Words:
    """Labels of the features where `where` holds: a name column, then perhaps tonnes (one column, or before and after).

    They show from the scale 1 : `from_scale` on, beside features that are at least `least_mm` large. Where labels
    collide, those of more tonnes stay.
    """

    where: Where
    from_scale: int
    name: str
    tonnes: tuple[str, ...] = ()
    size_pt: float = 8.0
    colour: str = style.INK
    bold: bool = False
    italic: bool = False
    least_mm: float = 0.0


@dataclass(frozen=True)
class Look:
    """The look of a layer: `geometry` is point, line or polygon.

    `order` are columns of tonnes whose largest lie below; `rank` a column of numbers whose largest lie above. With
    `cased` every line has a halo below all lines and its arrows above all.
    """

    layer: str
    name: str
    title: str
    geometry: str
    rules: tuple[Rule, ...]
    words: tuple[Words, ...] = ()
    _: KW_ONLY
    order: tuple[str, ...] = ()
    rank: str = ""
    cased: bool = False
    tip: str = "id"


def hexed(colour: str) -> str:
    """Return the colour as #RRGGBB: of `var(--tone-x, #RRGGBB)` the fallback."""
    found = re.search(r"#[0-9A-Fa-f]{6}", colour)
    if not found:
        raise ValueError(f"{colour!r} holds no colour")
    return found[0].lower()

"""Names as one types them: everything with an address, ranked by how it fits and how much it matters.

`finding` answers `atlas find`; this one is for the box that answers at each key: it knows pages, weighs what is found
by its size, and is quick enough to ask a dozen times a second.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from atlas.errors import fold

# How a text fits, best first.
SAME, BEGINS, WORD, INSIDE, NEAR = 4, 3, 2, 1, 0
# Share of three-letter pieces that a misspelt word has in common with the right one, and the shortest such word; where
# letters have changed places fewer pieces agree, but the letters in order do.
LEAST_ALIKE, SHORTEST_ALIKE = 0.5, 4
LEAST_IN_ORDER, LEAST_PIECES = 0.78, 2


@dataclass(frozen=True)
class Named:
    """One thing with a page: `weight` from 0 to 1 says how much it matters, `words` are other words for it."""

    kind: str
    id: str
    name: str
    country: str
    address: str
    weight: float = 0.0
    words: tuple[str, ...] = ()


class Suggestions:
    """All that can be suggested, prepared once."""

    def __init__(self, things: Iterable[Named]) -> None:
        self.things = tuple(things)
        told = [(n.id, n.name, *n.words) for n in self.things]
        self._texts = [tuple(dict.fromkeys(f for t in texts if (f := _plain(t)))) for texts in told]
        self._holders: dict[str, list[int]] = defaultdict(list)
        for k, texts in enumerate(self._texts):
            for word in {w for t in texts for w in t.split("-") if len(w) >= SHORTEST_ALIKE}:
                self._holders[word].append(k)
        self._by_piece: dict[str, list[str]] = defaultdict(list)
        self._pieces = {w: _pieces(w) for w in self._holders}
        for word, pieces in self._pieces.items():
            for piece in pieces:
                self._by_piece[piece].append(word)

    def find(self, text: str, limit: int) -> list[Named]:
        """Return the best fits: the same, beginnings, beginnings of words, inside, then near spellings.

        Within a kind of fit what matters most comes first. Near spellings are sought where little else fits.
        """
        wanted = _plain(text)
        if not wanted:
            return []
        found: dict[int, float] = {}
        for k, texts in enumerate(self._texts):
            fit = max((_fit(wanted, t) for t in texts), default=None, key=lambda f: -1 if f is None else f)
            if fit is not None:
                found[k] = fit
        if len(found) < min(limit, 3):
            for k, alike in self._near(wanted).items():
                found.setdefault(k, NEAR + round(0.9 * alike, 2))
        order = sorted(found, key=lambda k: (-found[k], -self.things[k].weight, len(self.things[k].name), k))
        return [self.things[k] for k in order[:limit]]

    def _near(self, wanted: str) -> dict[int, float]:
        """Return what holds a word like each word of the text, with how alike the least alike of them is."""
        left: dict[int, float] | None = None
        for word in wanted.split("-"):
            holders: dict[int, float] = {}
            for w, alike in self._alike(word).items():
                for k in self._holders[w]:
                    holders[k] = max(holders.get(k, 0.0), alike)
            if not holders:  # a short word tells nothing by its pieces
                fits = (k for k, texts in enumerate(self._texts) if any(_fit(word, t) is not None for t in texts))
                holders = dict.fromkeys(fits, 1.0)
            left = holders if left is None else {k: min(v, holders[k]) for k, v in left.items() if k in holders}
        return left or {}

    def _alike(self, word: str) -> dict[str, float]:
        if len(word) < SHORTEST_ALIKE:
            return {}
        pieces = _pieces(word)
        shared = Counter(w for p in pieces for w in self._by_piece.get(p, ()))
        found = {}
        matcher = SequenceMatcher(b=word, autojunk=False)
        for w, n in shared.items():
            alike = 2 * n / (len(pieces) + len(self._pieces[w]))
            if alike < LEAST_ALIKE and n >= LEAST_PIECES and abs(len(w) - len(word)) <= 1:
                matcher.set_seq1(w)
                alike = ratio if (ratio := matcher.ratio()) >= LEAST_IN_ORDER else 0.0
            if alike >= LEAST_ALIKE:
                found[w] = alike
        return found


def _plain(text: str) -> str:
    """Return the words of a text, folded, joined by hyphens; brackets and apostrophes separate words too."""
    return "-".join(re.findall(r"\w+", fold(text)))


def _fit(wanted: str, text: str) -> int | None:
    """Return how a folded text fits, None where it does not."""
    if wanted not in text:
        parts: Sequence[str] = wanted.split("-")
        return WORD if len(parts) > 1 and all(f"-{p}" in f"-{text}" for p in parts) else None
    if text == wanted:
        return SAME
    if text.startswith(wanted):
        return BEGINS
    if f"-{wanted}" in text:
        return WORD
    return INSIDE if len(wanted) > 1 else None


def _pieces(word: str) -> frozenset[str]:
    """Return the three-letter pieces of a word, its ends marked."""
    padded = f"-{word}-"
    return frozenset(padded[i : i + 3] for i in range(len(padded) - 2))

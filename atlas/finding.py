"""Ids by name: a search that forgives case, accents and misspelling."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from atlas.errors import BadInput, UnknownName, fold, nearest

KINDS = ("facility", "site", "operator", "port", "passage", "country", "bloc", "scenario")
TEXT_LIMIT = 200
RESULT_LIMIT = 50
_ENOUGH = 0.45  # share of three-letter pieces two names must have in common to look alike


class Entry(NamedTuple):
    """One thing that can be found: its id, kind, name, country ("" for none) and other words for it."""

    id: str
    kind: str
    name: str
    country: str
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Indexed:
    entry: Entry
    texts: tuple[str, ...]
    pieces: tuple[frozenset[str], ...]  # of each text
    word_pieces: tuple[frozenset[str], ...]  # of each word of all texts


class Index:
    """All that can be found, prepared once for many searches."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._items: list[_Indexed] = []
        for entry in entries:
            texts = tuple(dict.fromkeys(fold(t) for t in (entry.id, entry.name, *entry.words) if t))
            words = sorted({w for t in texts for w in t.split("-") if len(w) > 3})
            pieces, word_pieces = (tuple(_pieces(t) for t in all_of) for all_of in (texts, words))
            self._items.append(_Indexed(entry, texts, pieces, word_pieces))

    def find(self, text: str, kinds: Sequence[str] | None = None) -> pd.DataFrame:
        """Return the best matches: id, kind, name, country; best first, at most 50.

        Exact ids and names come first, then beginnings, then names that hold all words, then names that look alike.
        Raises BadInput for an empty or over-long text, UnknownName for an unknown kind.
        """
        for kind in kinds or ():
            if kind not in KINDS:
                raise UnknownName("kind", kind, nearest(kind, KINDS) or KINDS)
        wanted = fold(text)
        if not wanted or len(text) > TEXT_LIMIT:
            raise BadInput(f"the text to find has {len(text)} characters; expected 1 to {TEXT_LIMIT}")
        pieces, words = _pieces(wanted), frozenset(wanted.split("-"))
        hits: list[tuple[float, int, str, Entry]] = []
        for item in self._items:
            if kinds and item.entry.kind not in kinds:
                continue
            score = max(_score(wanted, words, pieces, t, p) for t, p in zip(item.texts, item.pieces, strict=True))
            if score < _ENOUGH and len(words) == 1:  # one misspelt word of a longer name
                score = 0.9 * max((_alike(pieces, p) for p in item.word_pieces), default=0.0)
            if score >= _ENOUGH:
                hits.append((-score, KINDS.index(item.entry.kind), item.entry.id, item.entry))
        hits.sort(key=lambda h: h[:3])
        best = -hits[0][0] if hits else 0.0
        floor = max(0.6 * best, _ENOUGH) if best < 1.0 else min(best, 1.0)
        rows = [h[3] for h in hits if -h[0] >= floor][:RESULT_LIMIT]
        columns = ["id", "kind", "name", "country"]
        return pd.DataFrame([[r.id, r.kind, r.name, r.country] for r in rows], columns=columns, dtype="str")


def _pieces(text: str) -> frozenset[str]:
    """Return the three-letter pieces of a folded text, its ends marked."""
    padded = f"-{text}-"
    return frozenset(padded[i : i + 3] for i in range(len(padded) - 2))


def _score(wanted: str, words: frozenset[str], pieces: frozenset[str], text: str, text_pieces: frozenset[str]) -> float:
    """Return how well a folded text fits: 4 the same, 3 its beginning, 2 all words, 1 inside, below 1 alike, 0 not."""
    if text == wanted:
        return 4.0
    closeness = len(wanted) / max(len(text), 1)
    if text.startswith(wanted + "-") or (text.startswith(wanted) and len(wanted) >= 3):
        return 3.0 + min(closeness, 0.9)
    if words <= frozenset(text.split("-")):
        return 2.0 + min(closeness, 0.9)
    if wanted in text if len(wanted) > 3 else len(wanted) == 3 and f"-{wanted}" in text:
        return 1.0 + min(closeness, 0.9)
    return _alike(pieces, text_pieces)


def _alike(a: frozenset[str], b: frozenset[str]) -> float:
    """Return the share of three-letter pieces that two texts have in common, 0 to 1."""
    return 2 * len(a & b) / max(len(a) + len(b), 1)

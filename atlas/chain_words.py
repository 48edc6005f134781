"""The words of another chain in finished texts: "magnets" becomes "wafers" where a person reads, ids stay as they are.

The shipped texts speak of rare earths. A chain of its own lists words and what to say instead; they are put in where a
text leaves the atlas (tables, pages, pictures), never in data: what programs read keeps the ids of the programme.
"""

import html
import json
import re
from functools import lru_cache
from typing import Any

from atlas.chain import Chain

_SPLIT = re.compile(r"(<script\b.*?</script>|<style\b.*?</style>|<code\b.*?</code>|<!--.*?-->|<[^>]*>)", re.DOTALL)
_SAID = re.compile(r'\b(aria-label|title|alt|placeholder|content|data-label)="([^"]*)"')
_LAYER = re.compile(r'(\\u003e )([^"\\]+)(" : atlas_layer_)')  # a name in the map's own list of layers, behind its sign
_JSON = re.compile(r'(<script\b[^>]*type="application/json"[^>]*>)(.*?)(</script>)', re.DOTALL)


@lru_cache(maxsize=8)
def _pattern(words: tuple[tuple[str, str], ...]) -> tuple[re.Pattern[str], dict[str, str]]:
    longest = sorted((w for w, _ in words), key=len, reverse=True)
    # Not inside ids, specs and addresses: country:CHN/magnet, mountain-pass-mine, magnet_t.
    found = re.compile(rf"(?<![\w/:.,&=-])({'|'.join(map(re.escape, longest))})(?![\w/=-]|\.\w)", re.IGNORECASE)
    return found, {w.lower(): to for w, to in words}


def reworded(text: str, chain: Chain) -> str:
    """Return a text for people in the words of the chain; capitals at the beginning of a word are kept."""
    if not chain.words:
        return text
    pattern, told = _pattern(tuple(chain.words.items()))

    def put(match: re.Match[str]) -> str:
        word, new = match.group(1), told[match.group(1).lower()]
        return new[:1].upper() + new[1:] if word[:1].isupper() else new

    return pattern.sub(put, text)


def reworded_table(text: str, chain: Chain) -> str:
    """Return printed output in the words of the chain; lines keep their columns where a word gets shorter or longer."""
    if not chain.words or text.lstrip()[:1] in ("{", "["):
        return text
    return "\n".join(_aligned(line, chain) for line in text.split("\n"))


def _aligned(line: str, chain: Chain) -> str:
    """Return a line reworded, its gaps of two blanks and more made to fit."""
    parts, late = re.split(r"( {2,})", line), 0
    made = []
    for part in parts:
        if part.startswith("  "):
            width = max(len(part) - late, 2)
            late -= len(part) - width
            made.append(" " * width)
        else:
            new = reworded(part, chain)
            late += len(new) - len(part)
            made.append(new)
    return "".join(made)


def reworded_page(page: str, chain: Chain) -> str:
    """Return a page in the words of the chain: what is read aloud or seen, and sentences among its data."""
    if not chain.words:
        return page

    def one(part: str) -> str:
        if part.startswith("<script"):
            part = _LAYER.sub(lambda m: m.group(1) + reworded(m.group(2), chain) + m.group(3), part)
            return _JSON.sub(lambda m: m.group(1) + _data(m.group(2), chain) + m.group(3), part)
        if part.startswith(("<style", "<code", "<!--")):
            return part
        if part.startswith("<"):
            return _SAID.sub(lambda m: f'{m.group(1)}="{_escaped(m.group(2), chain)}"', part)
        return reworded(part, chain)

    return "".join(one(p) for p in _SPLIT.split(page))


def _escaped(text: str, chain: Chain) -> str:
    return html.escape(reworded(html.unescape(text), chain))


def _data(text: str, chain: Chain) -> str:
    """Return data of a page with its sentences and labels reworded; single lower-case words are ids and stay."""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return json.dumps(_told(found, chain), ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _told(value: Any, chain: Chain) -> Any:
    if isinstance(value, dict):
        return {k: _told(v, chain) for k, v in value.items()}
    if isinstance(value, list):
        return [_told(v, chain) for v in value]
    if isinstance(value, str) and (" " in value or value[:1].isupper()):
        return reworded_page(value, chain) if "<" in value else reworded(value, chain)
    return value


def reword_figure(figure: Any, chain: Chain) -> Any:
    """Put the words of the chain into every text of a matplotlib figure; returns the figure."""
    if chain.words:
        from matplotlib.text import Text

        for text in figure.findobj(Text):
            text.set_text(reworded(text.get_text(), chain))
    return figure

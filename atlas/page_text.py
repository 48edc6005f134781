"""The English of the pages: fixed text by key, out of `templates/text/en/`, for templates and for their scripts.

A file is a section (`compare.toml` holds `compare.title`), tables inside nest the key; the table `js` of a section goes
to the page's script. Another language is another folder. Sentences made from figures stand in the `*_words` modules.
"""

import json
import tomllib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from markupsafe import Markup

from atlas.config import data_dir

LANGUAGE = "en"


@lru_cache(maxsize=4)
def texts(language: str = LANGUAGE) -> Mapping[str, str]:
    """Return every text by its full key; raises ValueError where a value is no text."""
    found: dict[str, str] = {}
    for path in sorted((data_dir("templates") / "text" / language).glob("*.toml")):
        found.update(_flat(path.stem, tomllib.loads(path.read_text(encoding="utf-8"))))
    return found


def _flat(prefix: str, table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        key = f"{prefix}.{name}"
        if isinstance(value, Mapping):
            yield from _flat(key, value)
        elif isinstance(value, str):
            yield key, value
        else:
            raise ValueError(f"{key}: expected a text, found {value!r}")


def text(key: str, /, **values: Any) -> Markup | str:
    """Return the text of a key with its {names} filled in; values are escaped, `{n:,}` formats them.

    Raises KeyError for a key that no file has and for a name without a value.
    """
    found = texts().get(key)
    if found is None:
        raise KeyError(f"no text {key!r} in templates/text/{LANGUAGE}")
    if not values:
        return found
    return Markup(Markup.escape(found)).format(**values)


def script_texts(*sections: str) -> Markup:
    """Return the texts that scripts of these sections say, as a JSON element: `js` of each, by short key.

    Raises KeyError for a section without such texts.
    """
    told: dict[str, str] = {}
    for section in sections:
        start = f"{section}.js."
        mine = {f"{section}.{k[len(start) :]}": v for k, v in texts().items() if k.startswith(start)}
        if not mine:
            raise KeyError(f"no [js] in templates/text/{LANGUAGE}/{section}.toml")
        told |= mine
    safe = json.dumps(told, ensure_ascii=False).replace("<", "\\u003c")
    return Markup('<script type="application/json" class="text">{}</script>').format(Markup(safe))

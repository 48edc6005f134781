"""Finished answers of the web atlas: bytes with their tag, packed as a client likes it, the last ones remembered."""

import gzip
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field

import brotli
from flask import has_request_context, request
from werkzeug.datastructures import Accept

from atlas.web_errors import TooMany

# Best first. Where a client likes two the same, the one that makes fewer bytes is sent.
CODINGS = ("br", "gzip")
TAG_ENDS = {"br": "-br", "gzip": "-gz", "identity": ""}
# Brotli at 5 packs a map in less time than gzip at 6, and smaller; at 11 it would take a second.
BROTLI_QUALITY, GZIP_LEVEL = 5, 6
SMALL_BYTES = 600  # below this, packing saves less than a packet of the network holds


@dataclass(frozen=True)
class Document:
    """A finished answer: its bytes packed once per coding, its tag, and headers that belong to it."""

    etag: str
    mimetype: str
    headers: tuple[tuple[str, str], ...] = ()
    plain_bytes: int = 0
    _forms: dict[str, bytes] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, text: str | bytes, mimetype: str, headers: tuple[tuple[str, str], ...] = ()) -> "Document":
        """Pack a text; the same text gives the same bytes."""
        body = text.encode() if isinstance(text, str) else text
        made = cls(hashlib.sha256(body).hexdigest()[:32], mimetype, headers, len(body))
        packed = brotli.compress(body, quality=BROTLI_QUALITY) if len(body) >= SMALL_BYTES else body
        # What is kept is small: browsers take brotli, and whoever takes none waits the few milliseconds of unpacking.
        made._forms["br" if len(packed) < len(body) else "identity"] = packed if len(packed) < len(body) else body
        return made

    @property
    def body(self) -> bytes:
        """The bytes as they are when nothing is packed."""
        plain = self._forms.get("identity")
        return plain if plain is not None else brotli.decompress(self._forms["br"])

    @property
    def size(self) -> int:
        """Bytes that this document takes up."""
        return sum(map(len, list(self._forms.values())))

    def packed(self, coding: str) -> bytes:
        """Return the bytes in a coding: br, gzip or identity; gzip is made when first asked for."""
        if coding == "identity":
            return self.body
        if coding not in self._forms:
            self._forms[coding] = gzip.compress(self.body, GZIP_LEVEL, mtime=0)
        return self._forms[coding]

    def coding(self, accepted: Accept) -> str:
        """Return the coding to send to a client that takes `accepted`, by its own weights."""
        if "br" not in self._forms:  # packing saves nothing
            return "identity"
        weights = {c: _weight(accepted, c) for c in CODINGS}
        # Identity need not be named to be welcome, but whoever names another prefers that.
        weights["identity"] = next((q for value, q in accepted if value == "identity"), 0.0001)
        best = max(weights.values())
        return next(c for c in (*CODINGS, "identity") if weights[c] == best)

    def tag(self, coding: str) -> str:
        """Return the tag of the bytes in a coding."""
        return self.etag + TAG_ENDS[coding]


def _weight(accepted: Accept, coding: str) -> float:
    """Return how much a client likes a coding: what it says of it, or of all that it does not name."""
    named = {value.lower(): q for value, q in accepted}
    return float(named.get(coding, named.get("*", 0.0)))


class Kept:
    """The last so many bytes of documents, by key; safe between threads. What many ask for at once is made once."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes, self.hits, self.misses = max_bytes, 0, 0
        self._lock = threading.Lock()
        self._items: OrderedDict[Hashable, Document] = OrderedDict()
        self._sizes: dict[Hashable, int] = {}
        self._making: dict[Hashable, Future[Document]] = {}

    def __len__(self) -> int:
        return len(self._items)

    @property
    def size(self) -> int:
        """Bytes of all documents that are kept."""
        with self._lock:
            return sum(self._sizes.values())

    def get(self, key: Hashable, make: Callable[[], Document]) -> Document:
        """Return the document of `key`, made if it is not there."""
        with self._lock:
            found = self._items.get(key)
            if found is not None:
                self._items.move_to_end(key)
                self._sizes[key] = found.size  # a form more may have been made
                self.hits += 1
            else:
                self.misses += 1
            made_elsewhere = self._making.get(key)
            mine: Future[Document] = Future()
            if found is None and made_elsewhere is None:
                self._making[key] = mine
        _note_in_log(cached=found is not None)
        if found is not None:
            return found
        if made_elsewhere is not None:
            try:
                return made_elsewhere.result()
            except TooMany:  # another address has used up what it may ask for; this one may still ask
                return self.get(key, make)
        try:
            made = make()
        except BaseException as error:
            mine.set_exception(error)
            with self._lock:
                del self._making[key]
            raise
        with self._lock:
            self._items[key], self._sizes[key] = made, made.size
            del self._making[key]
            while sum(self._sizes.values()) > self.max_bytes and len(self._items) > 1:
                old, _ = self._items.popitem(last=False)
                del self._sizes[old]
        mine.set_result(made)
        return made


def _note_in_log(cached: bool) -> None:
    """Tell the access log whether this request was answered from what is kept."""
    if has_request_context():
        request.environ["atlas.cached"] = cached

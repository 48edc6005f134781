"""Results of a long search on disk, line by line as they come: whoever stops or is killed half-way goes on from there.

It is only ever a saving: an unwritable folder is passed over, a torn or foreign line is left out. Several processes may
write the same journal; each line is whole.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from atlas.config import Settings
from atlas.memory import folder

_KEPT_FILES = 24


class Journal:
    """Records by key, remembered in memory and, where there is a folder for it, on disk.

    `name` says what the records are, `key` what they rest on: another key is another journal.
    """

    def __init__(self, settings: Settings, name: str, key: str) -> None:
        self.records: dict[str, Any] = {}
        home = folder(settings)
        self.path: Path | None = home / "findings" / f"{re.sub(r'[^a-z0-9-]', '-', name)}-{key}.jsonl" if home else None
        if self.path is not None:
            self._read(self.path)

    def _read(self, path: Path) -> None:
        try:
            lines = path.read_bytes().split(b"\n")
            os.utime(path)
        except OSError:
            return
        for line in lines:
            try:
                found = json.loads(line)
                self.records[str(found["key"])] = dict(found["record"])
            except (ValueError, TypeError, KeyError):
                continue

    def add(self, key: str, record: Mapping[str, Any]) -> None:
        """Remember a record, and write it as one line at once."""
        self.records[key] = record
        if self.path is None:
            return
        line = json.dumps({"key": key, "record": record}, allow_nan=False, separators=(",", ":"))
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fresh = not self.path.exists()
            # One write to a file opened for appending: lines of two processes do not mix. The newline stands first, so
            # that a line torn by a kill spoils no other.
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                os.write(handle, b"\n" + line.encode())
            finally:
                os.close(handle)
            if fresh:
                _prune(self.path.parent)
        except OSError:
            self.path = None

    def missing(self, keys: Iterable[str]) -> list[str]:
        """Return those keys that have no record yet."""
        return [k for k in keys if k not in self.records]


def _prune(home: Path) -> None:
    """Drop the journals unused for longest, beyond a few."""
    for old in sorted(home.glob("*.jsonl"), key=lambda p: p.stat().st_mtime)[:-_KEPT_FILES]:
        old.unlink(missing_ok=True)

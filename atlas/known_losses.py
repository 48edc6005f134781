"""What is known of losses without solving anew: the figures of `singles`, where they were found before and kept."""

from functools import lru_cache
from typing import Any

from atlas.journal import Journal
from atlas.losses import account, from_record, lens


def known_loss(study: Any, spec: str, bloc: str) -> dict[str, float] | None:
    """Return what a bloc loses of magnets without one thing (`losses.EFFECTS`), None where nobody solved it yet.

    `spec` is a halt of one thing: `facility:ID`, `port:ID`, `passage:ID`, `country:AAA`.
    """
    if not hasattr(study, "digest"):  # a study that keeps nothing
        return None
    record = _records(study).get(spec)
    if record is None:
        return None
    before = _before(study)
    look = lens(study.ground.stage.world, study.blocs, bloc, "magnet", "all")
    return look.effects(before, from_record(record, before))


def _records(study: Any) -> dict[str, Any]:
    """Return the kept records, read again when there are more."""
    key = _digest(study)
    path = Journal(study.settings, "nothing", key).path
    if path is None:
        return {}
    kept = path.with_name(f"singles-{key}.jsonl")
    stamp = kept.stat().st_mtime_ns if kept.is_file() else 0
    return _read(study, key, stamp) if stamp else {}


@lru_cache(maxsize=2)
def _read(study: Any, key: str, stamp: int) -> dict[str, Any]:
    return Journal(study.settings, "singles", key).records


@lru_cache(maxsize=2)
def _digest(study: Any) -> str:
    return str(study.digest("singles"))


@lru_cache(maxsize=2)
def _before(study: Any) -> Any:
    return account(study.ground.stage.world, study.before)

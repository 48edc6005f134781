"""Put files on disk whole or not at all: written beside the target, synced, then renamed."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from pyogrio.errors import DataLayerError, DataSourceError

from atlas.errors import BadInput, WriteFailure

Writer = Callable[[Path], None]

# What GDAL and SQLite raise when a disk is full or a folder is not ours to write; pyogrio has no common base for them.
_OTHER_FAILURES = (DataSourceError, DataLayerError, sqlite3.OperationalError)


def check_target_file(path: str | Path, suffixes: tuple[str, ...]) -> Path:
    """Return the path if a file of one of these suffixes may be written there, else raise BadInput with the reason."""
    target = Path(path)
    if not target.name:
        raise BadInput("--out needs the name of a file")
    if target.suffix.lower() not in suffixes:
        raise BadInput(f"{target.name!r} must end in one of: {', '.join(suffixes)}")
    if target.is_dir():
        raise BadInput(f"{target} is a folder; name a file in it")
    if not target.parent.is_dir():
        raise BadInput(f"the folder {target.parent} does not exist")
    if not os.access(target.parent, os.W_OK):
        raise WriteFailure(f"cannot write in {target.parent}: permission denied")
    return target


def check_target_folder(folder: str | Path, names: frozenset[str], force: bool = False) -> Path:
    """Return the folder if results may be written there, else raise BadInput or WriteFailure with the reason.

    A folder that holds something is refused without `force`; with `force` only files called one of `names` may be in
    it, so that nothing of the user's own is replaced by mistake.
    """
    if not str(folder).strip():
        raise BadInput("--out needs the name of a folder")
    target = Path(folder)
    if target.exists() and not target.is_dir():
        raise BadInput(f"{target} is a file; --out needs a folder")
    if target.is_dir():
        held = sorted(p.name for p in target.iterdir())
        foreign = [name for name in held if name.removesuffix(".aux.xml") not in names]  # GDAL adds .aux.xml on reading
        if held and not force:
            raise BadInput(f"{target} is not empty; --force replaces an earlier result there")
        if foreign:
            raise BadInput(f"{target} holds files that are not an earlier result: {', '.join(foreign[:5])}")
    above = next((p for p in [target, *target.absolute().parents] if p.is_dir()), Path("/"))
    if not os.access(above, os.W_OK):
        raise WriteFailure(f"cannot write in {above}: permission denied")
    return target


def write_file(path: Path, write: Writer) -> None:
    """Write one file through `write(temporary path)`; the old file stays until the new one is whole."""
    with _clear_failures(path):
        made = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        try:
            fresh = made / path.name  # the true name: GDAL looks at the suffix and writes the stem into the file
            write(fresh)
            _sync(fresh)
            os.replace(fresh, path)
        finally:
            shutil.rmtree(made, ignore_errors=True)


def write_folder(folder: Path, writers: Mapping[str, Writer]) -> None:
    """Write all files or none: name -> writer of that file.

    The files are made in a folder beside the target and moved when all are whole; if moving fails, the earlier files
    are put back.
    """
    folder = folder.resolve()
    made_parents = [p for p in [folder, *folder.parents] if not p.exists()][1:]
    with _clear_failures(folder):
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            stage = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
            try:
                for name, write in writers.items():
                    write(stage / name)
                    _sync(stage / name)
                _move(stage, folder, list(writers))
            finally:
                shutil.rmtree(stage, ignore_errors=True)
        except BaseException:
            for parent in made_parents:  # only folders that were made here, and only if nothing else is in them
                with suppress(OSError):
                    parent.rmdir()
            raise


def _move(stage: Path, folder: Path, names: list[str]) -> None:
    """Move the staged files into the folder; on failure put back what was there."""
    if not folder.exists():
        stage.chmod(0o777 & ~_umask())
        os.replace(stage, folder)
        return
    aside = stage / ".earlier"
    aside.mkdir()
    moved: list[str] = []
    try:
        for name in names:
            if (folder / name).exists():
                os.replace(folder / name, aside / name)
            moved.append(name)
            os.replace(stage / name, folder / name)
    except OSError:
        for name in moved:
            with suppress(OSError):
                (folder / name).unlink(missing_ok=True)
                if (aside / name).exists():
                    os.replace(aside / name, folder / name)
        raise


def _sync(path: Path) -> None:
    """Bring a file to the disk: only then is it known that the disk had room for it."""
    with path.open("rb+") as handle:
        os.fsync(handle.fileno())


def _umask() -> int:
    """Return the umask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


@contextmanager
def _clear_failures(target: Path) -> Iterator[None]:
    """Turn failures of the system, GDAL or SQLite into one clear WriteFailure that names the target."""
    try:
        yield
    except WriteFailure:
        raise
    except OSError as error:
        raise WriteFailure(f"cannot write {target}: {error.strerror or error}") from error
    except _OTHER_FAILURES as error:
        raise WriteFailure(f"cannot write {target}: {error}") from error

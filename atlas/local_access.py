"""Local roads and rails around facilities, as the network reads them: small files that `atlas roads` derives.

Each `ID.access.json` in the folder `roads` of the cache tells how one place reaches the trunk graphs over a local graph
that lies beside it as GraphML. Junctions are coordinates, not node numbers, so a rebuilt trunk network changes nothing.
Such a file is only ever a gain: one that is broken or was made for another position is passed over, with a warning.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from numpy.typing import NDArray

from atlas import geo
from atlas.config import Settings
from atlas.errors import AtlasWarning, BadInput, WriteFailure
from atlas.layers import Layers

ATTRIBUTION = "© OpenStreetMap contributors, ODbL 1.0"
NEEDED_KM = 10.0  # a facility farther from rail and road than this needs local roads
FORMAT = 1
MODES = ("road", "rail")
KINDS = ("trunk", "port", "railhead")
_SAME_PLACE_DEG = 1e-6


@dataclass(frozen=True)
class Exit:
    """A way out of a local graph: from its node next to the place to (lon, lat), `km` long along `line` (n, 2).

    `kind` is `trunk` (a junction with the trunk graph of the same mode), `port` (then `port` is its id) or `railhead`
    (a railway of the trunk graph reached by road).
    """

    kind: str
    lon: float
    lat: float
    km: float
    line: NDArray[np.float64]
    port: str = ""


@dataclass(frozen=True)
class ModeAccess:
    """One mode's local graph seen from the place: its nearest node (lon, lat), km to it, and the exits."""

    lon: float
    lat: float
    snap_km: float
    exits: tuple[Exit, ...]


@dataclass(frozen=True)
class Access:
    """How one place reaches the trunk network over local roads and rails, and where that knowledge is from."""

    facility: str
    lon: float
    lat: float
    country: str
    source: str
    date: str
    to: str  # the port a corridor was asked for, "" none
    radius_km: float
    modes: Mapping[str, ModeAccess]

    @property
    def snap_km(self) -> float:
        """Return the km from the place to the nearest local road or rail."""
        return min(part.snap_km for part in self.modes.values())


@dataclass(frozen=True)
class LocalRoads:
    """The local graphs in use, at most one for a position."""

    accesses: tuple[Access, ...] = ()

    @cached_property
    def _by_position(self) -> dict[tuple[int, int, str], Access]:
        return {_position(a.lon, a.lat, a.country): a for a in self.accesses}

    def at(self, lon: float, lat: float, country: str | None) -> Access | None:
        """Return what is known for a position: all units of a site share it."""
        return self._by_position.get(_position(lon, lat, country or ""))

    @cached_property
    def digest(self) -> str:
        """Return a hash of all of it, "" where there is nothing."""
        if not self.accesses:
            return ""
        texts = sorted(json.dumps(_document(a), sort_keys=True) for a in self.accesses)
        return hashlib.sha256("\n".join(texts).encode()).hexdigest()


NO_ROADS = LocalRoads()


def _position(lon: float, lat: float, country: str) -> tuple[int, int, str]:
    return round(lon / _SAME_PLACE_DEG), round(lat / _SAME_PLACE_DEG), country


def folder(settings: Settings) -> Path | None:
    """Return where local roads are kept; None where the setting `cache_dir` is `off`."""
    if settings.cache_dir == "off":
        return None
    return Path(settings.cache_dir or platformdirs.user_cache_dir("rare-earth-atlas")) / "roads"


def access_path(place: Path, facility: str) -> Path:
    """Return the derived file of a facility."""
    return place / f"{facility}.access.json"


def graph_path(place: Path, facility: str) -> Path:
    """Return the GraphML file of a facility."""
    return place / f"{facility}.graphml"


def read_all(settings: Settings, layers: Layers) -> LocalRoads:
    """Return the local graphs that fit these layers; the others are passed over, with an AtlasWarning each.

    A file for an id that these layers do not have is not meant for them and says nothing.
    """
    place, found = folder(settings), []
    try:
        paths = sorted(place.glob("*.access.json")) if place is not None else []
    except OSError:
        paths = []
    for path in paths:
        name = path.name.removesuffix(".access.json")
        if name not in layers.facilities.index:
            continue
        try:
            access = read(path)
        except BadInput as error:
            warnings.warn(f"{error}; it is ignored (atlas roads {name} --refresh makes it anew)", AtlasWarning,
                          stacklevel=2)
            continue
        if fits(access, layers):
            found.append(access)
        else:
            warnings.warn(f"{name} has moved since its local roads were made ({path}); they are ignored (atlas roads "
                          f"{name} makes them anew)", AtlasWarning, stacklevel=2)
    return LocalRoads(tuple(found))


def fits(access: Access, layers: Layers) -> bool:
    """Tell whether the facility still stands where it stood when the local roads were made."""
    row = layers.facilities.loc[access.facility]
    here = _position(float(row["lon"]), float(row["lat"]), str(row["country"])) if np.isfinite(row["lon"]) else None
    return here == _position(access.lon, access.lat, access.country)


def read(path: Path) -> Access:
    """Read and check one derived file; raises BadInput that names it and says what is wrong."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw["format"] != FORMAT:
            raise ValueError(f"format {raw['format']!r}, expected {FORMAT}")
        modes = {str(mode): _mode(part) for mode, part in raw["modes"].items()}
        if not modes or set(modes) - set(MODES):
            raise ValueError(f"modes {sorted(modes)}")
        if raw["facility"] != path.name.removesuffix(".access.json"):
            raise ValueError(f"made for {raw['facility']!r}")
        texts = {name: str(raw[name]) for name in ("facility", "country", "source", "date", "to")}
        return Access(lon=_number(raw["lon"], 180), lat=_number(raw["lat"], 90), modes=modes,
                      radius_km=_number(raw["radius_km"]), **texts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadInput(f"the file of local roads {path} cannot be read ({type(error).__name__}: {error})") from None


def _mode(raw: Mapping[str, Any]) -> ModeAccess:
    exits = tuple(_exit(e) for e in raw["exits"])
    return ModeAccess(_number(raw["lon"], 180), _number(raw["lat"], 90), _length(raw["snap_km"]), exits)


def _exit(raw: Mapping[str, Any]) -> Exit:
    line = np.array([[_number(x, 540), _number(y, 90)] for x, y in raw["line"]])
    if raw["kind"] not in KINDS or len(line) < 2:
        raise ValueError(f"an exit of kind {raw['kind']!r} with {len(line)} points")
    found = Exit(raw["kind"], _number(raw["lon"], 180), _number(raw["lat"], 90), _length(raw["km"]), line,
                 str(raw["port"]))
    if abs(geo.line_km(line) - found.km) > 0.01 * found.km + 0.1:
        raise ValueError(f"an exit of {found.km} km whose line has {geo.line_km(line):.3f} km")
    return found


def _number(raw: object, most: float = 1e6) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not math.isfinite(raw) or abs(raw) > most:
        raise ValueError(f"{raw!r} is not a number within {most:g}")
    return float(raw)


def _length(raw: object) -> float:
    value = _number(raw)
    if value < 0:
        raise ValueError(f"{value} is not a length")
    return value


def _document(access: Access) -> dict[str, Any]:
    document = {"format": FORMAT, "attribution": ATTRIBUTION, **asdict(access)}
    for part in document["modes"].values():
        for way_out in part["exits"]:
            way_out["line"] = np.round(way_out["line"], 6).tolist()
    return document


@dataclass(frozen=True)
class Staged:
    """New files of one facility, written beside the old ones; `publish` puts them in their place."""

    place: Path
    facility: str
    directory: Path = field(repr=False)

    @property
    def graph(self) -> Path:
        """Return where to write the GraphML."""
        return self.directory / "graph"

    def publish(self, access: Access) -> None:
        """Write the derived file and put both in place; raises WriteFailure, the old files then unchanged."""
        try:
            derived = self.directory / "access"
            derived.write_text(json.dumps(_document(access), allow_nan=False), encoding="utf-8")
            # The graph first: it is what the derived file tells of, and nothing reads it before that file is there.
            os.replace(self.graph, graph_path(self.place, self.facility))
            os.replace(derived, access_path(self.place, self.facility))
        except OSError as error:
            raise WriteFailure(f"cannot write to {self.place}: {error.strerror or error}") from None


def stage(place: Path, facility: str) -> tuple[tempfile.TemporaryDirectory[str], Staged]:
    """Return a temporary directory in the folder of local roads and the new files in it; raises WriteFailure."""
    try:
        place.mkdir(parents=True, exist_ok=True)
        temporary = tempfile.TemporaryDirectory(dir=place, prefix=".making-")
    except OSError as error:
        raise WriteFailure(f"cannot write to {place}: {error.strerror or error}") from None
    return temporary, Staged(place, facility, Path(temporary.name))

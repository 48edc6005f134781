"""Routes for lanes: which way each lane goes under which closures, what it costs, and what it passes."""

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from atlas.model import Options
from atlas.routing import Closures, Path, Router, Table
from atlas.world import World

Thing = tuple[str, str]


@dataclass(frozen=True)
class Way:
    """How a group of lanes may travel.

    Closures, countries to avoid, `tolls` (USD/t) that steer but are not paid, `surcharges` (USD per gross tonne by
    passage) that are.
    """

    closures: Closures = Closures()
    avoid: frozenset[str] = frozenset()
    tolls: tuple[tuple[Thing, float], ...] = ()
    surcharges: tuple[tuple[str, float], ...] = ()


class Traced:
    """A table that remembers the paths traced in it: unhalted lanes ask for the same ones again and again."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._paths: dict[tuple[int, int], Path] = {}

    def path(self, origin: int, destination: int) -> Path:
        """Return the path of one cell."""
        cell = (origin, destination)
        if cell not in self._paths:
            self._paths[cell] = self.table.trace(origin, destination)
        return self._paths[cell]

    def hub(self, origin: int, destination: int) -> str:
        """Return the third country that a cell goes by to evade a ban; none does here."""
        return ""


@dataclass(frozen=True)
class RouteSet:
    """Route options of lanes; arrays run over options (n,).

    `lane` row of world.lanes, `freight_usd_t` what routing minimises, `tariff_usd_t`, `distance_km`, `days`;
    `table` and `cell` say where the path can be traced; `detour` marks ways round a ban through a third country;
    `uses` has one bool array for each watched thing.
    """

    lane: np.ndarray
    freight_usd_t: np.ndarray
    tariff_usd_t: np.ndarray
    distance_km: np.ndarray
    days: np.ndarray
    table: np.ndarray
    cell: np.ndarray
    detour: np.ndarray
    uses: Mapping[Thing, np.ndarray]
    tables: Sequence[Traced] = field(repr=False, default=())

    @property
    def options(self) -> Options:
        """The options as the programme wants them."""
        return Options(self.lane, self.freight_usd_t + self.tariff_usd_t, self.detour)

    def path(self, option: int) -> Path:
        """Trace one option's path."""
        o, d = self.cell[option]
        return self.tables[self.table[option]].path(int(o), int(d))

    def hub(self, option: int) -> str:
        """Return the third country that an option goes by to evade a ban, "" for a plain route."""
        o, d = self.cell[option]
        return self.tables[self.table[option]].hub(int(o), int(d))

    def plus(self, other: "RouteSet") -> "RouteSet":
        """Return both sets' options, `other` after these."""
        return joined(
            [self, dataclasses.replace(other, table=other.table + len(self.tables))], [*self.tables, *other.tables]
        )

    def only(self, keep: np.ndarray) -> "RouteSet":
        """Return the options where `keep` is true (or in that order, for numbers)."""
        arrays = {name: getattr(self, name)[keep] for name in _ARRAYS}
        return RouteSet(uses={k: v[keep] for k, v in self.uses.items()}, tables=self.tables, **arrays)


_ARRAYS = ("lane", "freight_usd_t", "tariff_usd_t", "distance_km", "days", "table", "cell", "detour")


def joined(parts: Sequence[RouteSet], tables: Sequence[Traced]) -> RouteSet:
    """Return the options of all parts, which share `tables`; every part watches the same things."""
    arrays = {name: np.concatenate([getattr(p, name) for p in parts]) for name in _ARRAYS}
    uses = {k: np.concatenate([p.uses[k] for p in parts]) for k in parts[0].uses}
    return RouteSet(uses=uses, tables=list(tables), **arrays)


class LaneRouter:
    """Routes the lanes of one world; remembers the tables it made."""

    def __init__(self, world: World, router: Router, tariff_usd_t: np.ndarray, remember: int = 14) -> None:
        self.world, self.router, self.tariff_usd_t = world, router, tariff_usd_t
        self._remember = remember
        self._tables: dict[Hashable, Traced] = {}
        self._ends: dict[str, tuple[list[str], list[str]]] = {}
        self._cells = np.zeros((len(world.lanes), 2), dtype=np.int32)
        for commodity, part in world.lanes.groupby("commodity", sort=True):
            origins, destinations = sorted(set(part["from_id"])), sorted(set(part["to_id"]))
            self._ends[str(commodity)] = origins, destinations
            at = part.index.to_numpy()
            self._cells[at, 0] = pd.Index(origins).get_indexer(part["from_id"])
            self._cells[at, 1] = pd.Index(destinations).get_indexer(part["to_id"])
        self._commodity = world.lanes["commodity"].to_numpy(dtype=object)
        shut = world.units["never_by"].to_dict()
        kinds = sorted({v for v in shut.values() if v})
        self._confined = [Closures(), *(_closures(k) for k in kinds)]
        self._base = {Way(k) for k in self._confined}
        self._confined_of = np.array([kinds.index(shut[i]) + 1 if shut.get(i) else 0 for i in world.lanes["from_id"]])

    def routes(self, way_of_lane: np.ndarray, ways: Sequence[Way], watch: Sequence[Thing] = ()) -> RouteSet:
        """Return the cheapest route of each lane under its way; `way_of_lane` (lanes,) indexes `ways`, -1 blocks.

        Lanes without a path have no option.
        """
        watch = tuple(sorted(watch))
        chosen: list[RouteSet] = []
        tables: list[Traced] = []
        for commodity in sorted(self._ends):
            mine = self._commodity == commodity
            # Where all of a commodity's lanes are blocked its table still gives the empty part its shape.
            open_pairs = {
                (int(w), int(k)) for w, k in zip(way_of_lane[mine], self._confined_of[mine], strict=True) if w >= 0
            }
            for w, k in sorted(open_pairs) or [(-1, 0)]:
                way = ways[w] if w >= 0 else Way()
                table = self._table(
                    commodity, dataclasses.replace(way, closures=_both(way.closures, self._confined[k])), watch
                )
                at = mine & (way_of_lane == w) & (self._confined_of == k) & (w >= 0)
                chosen.append(self._pick(table.table, np.flatnonzero(at), len(tables), watch))
                tables.append(table)
        merged = joined(chosen, tables)
        return merged.only(np.argsort(merged.lane, kind="stable"))

    def _pick(self, table: Table, lanes: np.ndarray, number: int, watch: Sequence[Thing]) -> RouteSet:
        o, d = self._cells[lanes, 0], self._cells[lanes, 1]
        reachable = np.isfinite(table.cost_usd_t[o, d])
        lanes, o, d = lanes[reachable], o[reachable], d[reachable]
        return RouteSet(
            lane=lanes,
            freight_usd_t=table.cost_usd_t[o, d],
            tariff_usd_t=self.tariff_usd_t[lanes],
            distance_km=table.distance_km[o, d],
            days=table.days[o, d],
            table=np.full(len(lanes), number),
            cell=np.stack([o, d], axis=1),
            detour=np.zeros(len(lanes), dtype=bool),
            uses={k: np.asarray(table.uses[k])[o, d] for k in watch},
        )

    def _table(self, commodity: str, way: Way, watch: tuple[Thing, ...]) -> Traced:
        key = (commodity, way, watch)
        # Asked for once: another thread may drop it between two looks.
        found = self._tables.get(key)
        if found is None:
            if len(self._tables) >= self._remember and way.tolls == ():
                self._forget()
            table = self.router.table(
                *self._ends[commodity],
                commodity,
                closures=way.closures,
                tolls=dict(way.tolls),
                watch=watch,
                avoid_countries=way.avoid,
                surcharges=dict(way.surcharges),
            )
            found = Traced(table)
            if not way.tolls:
                self._tables[key] = found
        return found

    def _forget(self) -> None:
        # The open network's tables serve every question; only closed ones are dropped, oldest first.
        for key in list(self._tables):
            if key[1] not in self._base or key[2]:  # type: ignore[index]
                self._tables.pop(key, None)
                return


def _closures(ids: Sequence[str]) -> Closures:
    """Return closures of ports (LOCODEs) and borders (`AAA-BBB`)."""
    return Closures(ports=frozenset(i for i in ids if "-" not in i), borders=frozenset(i for i in ids if "-" in i))


def _both(a: Closures, b: Closures) -> Closures:
    return Closures(a.passages | b.passages, a.ports | b.ports, a.borders | b.borders, a.opened | b.opened)

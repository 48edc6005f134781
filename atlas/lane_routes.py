"""Routes for lanes: which way each lane goes under which closures, what it costs, and what it passes."""

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
    """How a group of lanes may travel: closures, countries to avoid, tolls (USD/t) that steer but are not paid."""

    closures: Closures = Closures()
    avoid: frozenset[str] = frozenset()
    tolls: tuple[tuple[Thing, float], ...] = ()


@dataclass(frozen=True)
class RouteSet:
    """Route options of lanes; arrays run over options (n,).

    `lane` row of world.lanes, `freight_usd_t` what routing minimises, `tariff_usd_t`, `distance_km`, `days`;
    `table` and `cell` say where the path can be traced; `uses` has one bool array for each watched thing.
    """

    lane: np.ndarray
    freight_usd_t: np.ndarray
    tariff_usd_t: np.ndarray
    distance_km: np.ndarray
    days: np.ndarray
    table: np.ndarray
    cell: np.ndarray
    uses: Mapping[Thing, np.ndarray]
    tables: Sequence[Table] = field(repr=False, default=())

    @property
    def options(self) -> Options:
        """The options as the programme wants them."""
        return Options(self.lane, self.freight_usd_t + self.tariff_usd_t)

    def path(self, option: int) -> Path:
        """Trace one option's path."""
        o, d = self.cell[option]
        return self.tables[self.table[option]].trace(int(o), int(d))

    def plus(self, other: "RouteSet") -> "RouteSet":
        """Return both sets' options, `other` after these."""
        shift = len(self.tables)
        return RouteSet(
            lane=np.concatenate([self.lane, other.lane]),
            freight_usd_t=np.concatenate([self.freight_usd_t, other.freight_usd_t]),
            tariff_usd_t=np.concatenate([self.tariff_usd_t, other.tariff_usd_t]),
            distance_km=np.concatenate([self.distance_km, other.distance_km]),
            days=np.concatenate([self.days, other.days]),
            table=np.concatenate([self.table, other.table + shift]),
            cell=np.concatenate([self.cell, other.cell]),
            uses={k: np.concatenate([v, other.uses[k]]) for k, v in self.uses.items()},
            tables=[*self.tables, *other.tables],
        )

    def only(self, keep: np.ndarray) -> "RouteSet":
        """Return the options where `keep` is true."""
        return RouteSet(
            lane=self.lane[keep],
            freight_usd_t=self.freight_usd_t[keep],
            tariff_usd_t=self.tariff_usd_t[keep],
            distance_km=self.distance_km[keep],
            days=self.days[keep],
            table=self.table[keep],
            cell=self.cell[keep],
            uses={k: v[keep] for k, v in self.uses.items()},
            tables=self.tables,
        )


class LaneRouter:
    """Routes the lanes of one world; remembers the tables it made."""

    def __init__(self, world: World, router: Router, tariff_usd_t: np.ndarray, remember: int = 24) -> None:
        self.world, self.router, self.tariff_usd_t = world, router, tariff_usd_t
        self._remember = remember
        self._tables: dict[Hashable, Table] = {}
        self._ends: dict[str, tuple[list[str], list[str]]] = {}
        self._cells = np.zeros((len(world.lanes), 2), dtype=np.int32)
        for commodity, part in world.lanes.groupby("commodity", sort=True):
            origins, destinations = sorted(set(part["from_id"])), sorted(set(part["to_id"]))
            self._ends[str(commodity)] = origins, destinations
            at = part.index.to_numpy()
            self._cells[at, 0] = pd.Index(origins).get_indexer(part["from_id"])
            self._cells[at, 1] = pd.Index(destinations).get_indexer(part["to_id"])
        self._commodity = world.lanes["commodity"].to_numpy(dtype=object)

    def routes(self, way_of_lane: np.ndarray, ways: Sequence[Way], watch: Sequence[Thing] = ()) -> RouteSet:
        """Return the cheapest route of each lane under its way; `way_of_lane` (lanes,) indexes `ways`, -1 blocks.

        Lanes without a path have no option.
        """
        watch = tuple(sorted(watch))
        chosen, tables = [], []
        for commodity in sorted(self._ends):
            mine = self._commodity == commodity
            for w in sorted(set(way_of_lane[mine].tolist()) - {-1}):
                table = self._table(commodity, ways[w], watch)
                lanes = np.flatnonzero(mine & (way_of_lane == w))
                chosen.append(self._pick(table, lanes, len(tables), watch))
                tables.append(table)
        empty = RouteSet(
            np.zeros(0, np.int64),
            *(np.zeros(0) for _ in range(4)),
            np.zeros(0, np.int64),
            np.zeros((0, 2), np.int32),
            {k: np.zeros(0, bool) for k in watch},
        )
        merged = empty if not chosen else _join(chosen, tables)
        order = np.argsort(merged.lane, kind="stable")
        return merged.only(order)

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
            uses={k: np.asarray(table.uses[k])[o, d] for k in watch},
        )

    def _table(self, commodity: str, way: Way, watch: tuple[Thing, ...]) -> Table:
        key = (commodity, way, watch)
        if key not in self._tables:
            if len(self._tables) >= self._remember and way.tolls == ():
                self._forget()
            table = self.router.table(
                *self._ends[commodity],
                commodity,
                closures=way.closures,
                tolls=dict(way.tolls),
                watch=watch,
                avoid_countries=way.avoid,
            )
            if way.tolls:
                return table
            self._tables[key] = table
        return self._tables[key]

    def _forget(self) -> None:
        # The open network's tables serve every question; only closed ones are dropped, oldest first.
        for key in list(self._tables):
            if key[1] != Way() or key[2]:  # type: ignore[index]
                del self._tables[key]
                return


def _join(parts: Sequence[RouteSet], tables: Sequence[Table]) -> RouteSet:
    return RouteSet(
        *(
            np.concatenate([getattr(p, name) for p in parts])
            for name in ("lane", "freight_usd_t", "tariff_usd_t", "distance_km", "days", "table", "cell")
        ),
        uses={k: np.concatenate([p.uses[k] for p in parts]) for k in parts[0].uses},
        tables=list(tables),
    )

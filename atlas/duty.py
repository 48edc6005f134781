"""Duties on imports, from the tariffs layer: what a day's law takes of the value of goods."""

import datetime as dt
from collections.abc import Callable, Iterable
from typing import NamedTuple

import pandas as pd

from atlas.schema import date_of

COMMODITIES = ("concentrate", "oxide", "metal", "magnet", "scrap")
BASE_DAY = dt.date(2024, 7, 1)  # the middle of the calibrated year
CUSTOMS_UNIONS = ("eu27",)  # blocs whose members levy no duty on each other


class _Row(NamedTuple):
    importer: str
    exporter: str
    commodity: str
    rate_pct: float
    kind: str
    first: dt.date


class Duties:
    """The duties in force on one day.

    A preferential rate replaces the general one (`mfn`), added duties come on top; no duty stands between a country
    and itself or inside a customs union, nor where the layer has no row.
    """

    def __init__(self, tariffs: pd.DataFrame, members: Callable[[str], frozenset[str]], on: dt.date) -> None:
        self._rows: list[_Row] = []
        self._bloc_members: dict[str, frozenset[str]] = {}
        for row in tariffs[tariffs["used"] == "yes"].to_dict("records"):
            first, last = date_of(row["from"]) or dt.date.min, date_of(row["to"], end=True) or dt.date.max
            if first <= on <= last and row["kind"] in ("mfn", "preferential", "added"):
                texts = (str(row["importer"]), str(row["exporter"]), str(row["commodity"]))
                self._rows.append(_Row(*texts, float(row["rate_pct"]), str(row["kind"]), first))
        names = {n for r in self._rows for n in (r.importer, r.exporter)} | set(CUSTOMS_UNIONS)
        for name in names:
            if name != "*" and not (len(name) == 3 and name.isupper()):
                self._bloc_members[name] = members(name)

    def pct(self, importer: str, exporter: str, commodity: str) -> float:
        """Return the duty in percent of value."""
        return self._of(importer, exporter, self._by_commodity(importer, commodity))

    def table(self, countries: Iterable[str]) -> dict[tuple[str, str, str], float]:
        """Return {(importer, exporter, commodity): percent} for all pairs of countries, zeros included."""
        codes = sorted(set(countries))
        duties = {}
        for importer in codes:
            for commodity in COMMODITIES:
                rows = self._by_commodity(importer, commodity)
                for exporter in codes:
                    duties[importer, exporter, commodity] = self._of(importer, exporter, rows) if rows else 0.0
        return duties

    def _by_commodity(self, importer: str, commodity: str) -> list[_Row]:
        return [r for r in self._rows if r.commodity == commodity and self._covers(r.importer, importer)]

    def _covers(self, name: str, country: str) -> bool:
        return name in ("*", country) or country in self._bloc_members.get(name, frozenset())

    def _of(self, importer: str, exporter: str, rows: list[_Row]) -> float:
        if importer == exporter or any({importer, exporter} <= self._bloc_members[u] for u in CUSTOMS_UNIONS):
            return 0.0
        fitting = [r for r in rows if self._covers(r.exporter, exporter)]
        general = sorted((r.first, r.rate_pct) for r in fitting if r.kind == "mfn")
        preferential = [r.rate_pct for r in fitting if r.kind == "preferential"]
        base = min(preferential) if preferential else (general[-1][1] if general else 0.0)
        return base + sum(r.rate_pct for r in fitting if r.kind == "added")

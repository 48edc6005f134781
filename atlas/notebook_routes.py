"""Routes and traces as notebooks use them: tables with geometry, a map, a few lines of HTML."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import geopandas as gpd
import pandas as pd
from shapely.geometry.base import BaseGeometry

from atlas import geo
from atlas.answer_tables import trace_table
from atlas.errors import NoPath
from atlas.export_files import check_target_file
from atlas.export_trace import paths_table, write_trace
from atlas.layers import Layers
from atlas.notebook_html import number, paragraph, table
from atlas.notebook_map import Map, lines_map
from atlas.render_style import COLOURS, COMMODITY_LABELS, MODE_STYLES, OTHER_WAY, width_px
from atlas.route_finder import Route
from atlas.trace import Trace
from atlas.trace_words import sentence

LEG_COLUMNS = ("mode", "from", "to", "distance_km", "days", "cost_usd_t")
TRACE_SUFFIXES = (".geojson", ".csv", ".html", ".svg")
ROWS_SHOWN = 4  # of each stage


@dataclass(frozen=True, eq=False, repr=False)
class Journey(Route):
    """A route with its geometry, its legs as a table, and a map.

    Beside the fields of `route --json`: `line` has continuous longitudes (they may pass 180), `geometry` is cut there.
    """

    layers: Layers | None = field(default=None)

    @property
    def geometry(self) -> BaseGeometry:
        """The line in EPSG:4326, cut at the antimeridian; empty where there is no way."""
        return geo.split_antimeridian(self.line)

    @property
    def table(self) -> gpd.GeoDataFrame:
        """The legs in order: mode, from, to, distance_km, days, cost_usd_t, geometry (empty for handling in a port)."""
        rows = [(leg.mode, leg.start, leg.end, leg.distance_km, leg.days, leg.cost_usd_t) for leg in self.legs]
        lines = [geo.split_antimeridian(leg.line) for leg in self.legs]
        return gpd.GeoDataFrame(pd.DataFrame(rows, columns=list(LEG_COLUMNS)), geometry=lines, crs=geo.CRS)

    @property
    def name(self) -> str:
        """Where it goes, in words."""
        return f"{self.legs[0].start} to {self.legs[-1].end}" if self.legs else "no way"

    def map(self) -> Map:
        """Return a map of the route, its legs coloured by mode; raises NoPath where there is no way."""
        return _journeys_map([self])

    def __repr__(self) -> str:
        if not self.reachable:
            return f"<atlas route: {self.reason}>"
        told = f"{self.distance_km:,.0f} km, {self.days:.1f} days, {self.cost_usd_t:,.0f} USD/t"
        return f"<atlas route {self.name}: {told}>"

    def _repr_html_(self) -> str:
        return Journeys([self])._repr_html_()


class Journeys(list[Journey]):
    """Routes between the same two places, cheapest first."""

    @property
    def table(self) -> gpd.GeoDataFrame:
        """A row for each way: distance_km, days, cost_usd_t, passages, ports, borders (by semicolons), geometry."""
        rows = [
            (r.distance_km, r.days, r.cost_usd_t, ";".join(r.passages), ";".join(r.ports), ";".join(r.borders))
            for r in self
        ]
        columns = ["distance_km", "days", "cost_usd_t", "passages", "ports", "borders"]
        index = pd.RangeIndex(1, len(rows) + 1, name="way")
        made = pd.DataFrame(rows, columns=columns, index=index)
        return gpd.GeoDataFrame(made, geometry=[r.geometry for r in self], crs=geo.CRS)

    def map(self) -> Map:
        """Return a map of all ways, the cheapest in the colours of its modes; raises NoPath where there is none."""
        return _journeys_map(self)

    def __repr__(self) -> str:
        return "\n".join(map(repr, self))

    def _repr_html_(self) -> str:
        found = [r for r in self if r.reachable]
        if not found:
            return paragraph(self[0].reason if self else "", "No way.")
        rows = [
            (str(k), number(r.distance_km, "km"), number(r.days, "days"), number(r.cost_usd_t, "USD/t"),
             ", ".join((*r.passages, *r.borders)))
            for k, r in enumerate(found, 1)
        ]  # fmt: skip
        heads = ("way", "distance", "time", "cost", "passages and borders")
        return f"<div>{paragraph('', found[0].name)}{table(heads, rows, (0, 4))}</div>"


def journey(found: Route, layers: Layers) -> Journey:
    """Return a route of the router as a journey."""
    return Journey(**{**vars(found), "layers": layers})


def _journeys_map(journeys: Sequence[Journey]) -> Map:
    ways = [r for r in journeys if r.reachable]
    if not ways:
        raise NoPath(journeys[0].reason if journeys else "no way to draw")
    rows = []
    for k, way in reversed(list(enumerate(ways))):  # the cheapest lies on top
        for leg in way.legs:
            if leg.line is None or leg.line.is_empty:
                continue
            colour, dash, word = MODE_STYLES.get(leg.mode, MODE_STYLES["sea"])
            told = f"{word}: {leg.start} to {leg.end}, {leg.distance_km:,.0f} km, {leg.days:.1f} days"
            rows.append({
                "geometry": leg.line, "label": f"way {k + 1}. {told}" if len(ways) > 1 else told,
                "colour": OTHER_WAY if k else colour, "width_px": 2.0 if k else 3.5, "dash": " ".join(map(str, dash)),
                "kind": "Other ways" if k else word,
            })  # fmt: skip
    layers = ways[0].layers
    assert layers is not None
    return lines_map(gpd.GeoDataFrame(rows, crs=geo.CRS), layers.countries, f"Route {ways[0].name}")


@dataclass(frozen=True, eq=False, repr=False)
class Origins:
    """A place traced through an answer: whose material is in it, or where its material goes; `trace` has all of it."""

    trace: Trace

    @property
    def sentence(self) -> str:
        """The trace in one sentence with figures."""
        return sentence(self.trace)

    @property
    def shares(self) -> pd.DataFrame:
        """A row for each origin or end: direction, stage, by, id, name, country, share, least, most, baseline share."""
        shares = trace_table(self.trace).infer_objects()
        for name in ("share", "least_share", "most_share", "baseline_share"):
            shares[name] = pd.to_numeric(shares[name])
        return shares

    @property
    def paths(self) -> gpd.GeoDataFrame:
        """The lanes it came or went by, indexed by a stable id: tonnes of the traced elements, share, geometry."""
        return paths_table(self.trace)

    def map(self) -> Map:
        """Return a map of the lanes, as wide as their tonnes and in the colour of what moves."""
        made, outcome = self.paths, self.trace.outcome
        made["geometry"] = [outcome.geometry(r) for r in made["route_id"]]
        made["colour"] = [COLOURS[c] for c in made["commodity"]]
        made["kind"] = [COMMODITY_LABELS[c] for c in made["commodity"]]
        made["width_px"] = [width_px(t) for t in made["tonnes"]]
        made["label"] = [
            f"{c}, {a} to {b}: {number(t, 't/year')}, {number(s, 'share')}"
            for c, a, b, t, s in zip(
                made["commodity"], made["from_id"], made["to_id"], made["tonnes"], made["share"], strict=True
            )
        ]
        return lines_map(made, outcome.layers.countries, f"Where {self.trace.target.name} is supplied from and goes to")

    def write(self, path: str | Path) -> None:
        """Write the paths (.geojson), the shares (.csv), a page (.html) or the diagram (.svg), whole or not at all."""
        write_trace(self.trace, check_target_file(path, TRACE_SUFFIXES))

    def __repr__(self) -> str:
        return f"<atlas trace {self.trace.target.id}: {self.sentence}>"

    def _repr_html_(self) -> str:
        shown = self.shares
        shown = shown[shown["by"] == "country"].groupby(["direction", "stage"], sort=False).head(ROWS_SHOWN)
        rows = [
            (s, n, number(a, "share"), number(b, "share"), number(c, "share"))
            for s, n, a, b, c in zip(
                shown["stage"], shown["name"], shown["share"], shown["least_share"], shown["most_share"], strict=True
            )
        ]
        heads = ("stage", "country", "share", "least", "most")
        return f"<div>{paragraph(self.sentence)}{table(heads, rows, (0, 1))}</div>"

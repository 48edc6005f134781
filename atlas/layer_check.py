"""Rules of the layers that need two columns, two layers or a map: what `schema.csv` cannot say."""

import math
from collections.abc import Iterator, Sequence

import geopandas as gpd
import numpy as np
import pandas as pd
from shapely import get_coordinates

from atlas.chain import Chain, shipped_chain
from atlas.geo import country_of, distance_km
from atlas.schema import Finding, Schema, check_references, date_of

DATA_YEAR = 2026  # the year the facts were compiled: what operates then has begun
BORDER_TOLERANCE_KM = 25.0  # outlines are generalised for 1:50 million, and harbours lie off the coast
UNIT_OF_STAGE = {"mine": "t_reo", "separation": "t_reo", "metal": "t_metal", "magnet": "t_magnet", "recycling": "t_reo"}
PRODUCTS_OF_STAGE = {
    "mine": {"concentrate", "none"},
    "separation": {"oxide", "carbonate", "none"},
    "metal": {"metal", "alloy", "powder", "none"},
    "magnet": {"sintered", "bonded", "smco", "magnet", "none"},
    "recycling": {"oxide", "powder", "metal", "alloy", "magnet", "none"},
}


def check_layers(tables: dict[str, pd.DataFrame], schema: Schema, chain: Chain | None = None) -> list[Finding]:
    """Return every problem between columns and between layers.

    `tables` maps each layer to its typed table, the key still a column; layers that could not be read are empty.
    """
    known = {
        f"{layer}.{column}": frozenset(str(v) for v in table[column])
        for layer, table in tables.items() for column in (schema.key(layer), "bloc")
        if column in table.columns and len(table)
    }
    findings: list[Finding] = []
    for layer, table in tables.items():
        findings += check_references(layer, table, schema, known)
        findings += _check_points(layer, table, schema, tables["countries"])
    findings += _facilities(tables, chain or shipped_chain())
    for rule in (_demand, _sector_grades, _targets, _dates, _geometry):
        findings += rule(tables)
    return findings


def _check_points(layer: str, table: pd.DataFrame, schema: Schema, countries: pd.DataFrame) -> list[Finding]:
    """Return a finding for each point that lies outside its country by more than its precision and the tolerance."""
    if not {"lon", "lat", "country"} <= set(table.columns) or countries.empty or table.empty:
        return []
    outlines = gpd.GeoDataFrame(countries).set_index("iso3").set_geometry("geometry")
    outlines = outlines[outlines.geometry.notna() & ~outlines.index.duplicated()]
    asked = table[table["lon"].notna() & table["lat"].notna() & table["country"].isin(outlines.index)]
    inside = country_of(asked[["lon", "lat"]].to_numpy(), outlines) if len(asked) else []
    findings = []
    for row, found in zip(asked.to_dict("records"), inside, strict=True):
        if found == row["country"]:
            continue
        precision = row.get("coord_precision_km", 0.0)
        limit = BORDER_TOLERANCE_KM + (precision if precision == precision else 0.0)
        away = distance_km(row["lon"], row["lat"], outlines.geometry.loc[row["country"]])
        if away > limit:
            place = f"in {found}" if found else "in no country"
            findings.append(Finding(layer, str(row[schema.key(layer)]), "country", (
                f"point ({row['lon']:g}, {row['lat']:g}) lies {place}, {away:.0f} km from {row['country']}; "
                f"expected at most {limit:.0f} km")))
    return findings


def _facilities(tables: dict[str, pd.DataFrame], chain: Chain) -> Iterator[Finding]:
    for row in tables["facilities"].to_dict("records"):
        for column, problem in _facility_problems(row, chain):
            yield Finding("facilities", str(row["id"]), column, problem)


def _facility_problems(row: dict, chain: Chain) -> Iterator[tuple[str, str]]:
    """Yield (column, problem) for one facility."""
    stage, status, modelled = row["stage"], row["status"], row["modelled"] == "yes"
    if row["output_t"] > row["capacity_t"] * (1 + 1e-9):
        yield "output_t", f"is {row['output_t']:g}, above capacity_t {row['capacity_t']:g}"
    if stage in UNIT_OF_STAGE and row["unit"] and row["unit"] != UNIT_OF_STAGE[stage]:
        yield "unit", f"is {row['unit']!r}; expected {UNIT_OF_STAGE[stage]} at stage {stage}"
    if stage in PRODUCTS_OF_STAGE and row["product"] and row["product"] not in PRODUCTS_OF_STAGE[stage]:
        expected = ", ".join(sorted(PRODUCTS_OF_STAGE[stage]))
        yield "product", f"is {row['product']!r}; expected one of {expected} at stage {stage}"
    shares = [chain.basket_column(e) for e in chain.elements]
    # An element that is not usual (Sm) may be left out: nothing is known of it then.
    usual = [chain.basket_column(e) for e in chain.usual]
    total = float(np.nansum([row[c] for c in shares]))
    if total > 1 + 1e-9:
        yield shares[0], f"the shares of {listed(chain.elements)} sum to {total:g}; expected at most 1"
    if stage == "mine" and modelled and any(math.isnan(row[c]) for c in usual):
        missing = ", ".join(c for c in usual if math.isnan(row[c]))
        yield missing.split(",")[0], f"a modelled mine needs its basket; {missing} is empty"
    if stage == "magnet" and modelled and not row["grades"]:
        yield "grades", "a modelled magnet plant needs the grades it makes"
    start, end = row["start_year"], row["end_year"]
    if end < start:
        yield "end_year", f"is {end:g}, before start_year {start:g}"
    if status == "operating" and start > DATA_YEAR:
        yield "status", f"is 'operating', but start_year is {start:g}; expected at most {DATA_YEAR}"
    if status in ("operating", "commissioning", "construction", "planned") and end < DATA_YEAR:
        yield "status", f"is {status!r}, but end_year is {end:g}"
    if status == "planned" and row["output_t"] > 0 and not row["output_year"] > DATA_YEAR:
        yield "status", f"is 'planned', but output_t is {row['output_t']:g} in {row['output_year']:g}"
    if row["id"] in row["feeds"]:
        yield "feeds", "names the unit itself"


def listed(words: Sequence[str]) -> str:
    """Return words as people list them: "Nd, Pr and Dy"."""
    return ", ".join(words[:-1]) + " and " + words[-1] if len(words) > 1 else "".join(words)


def _demand(tables: dict[str, pd.DataFrame]) -> Iterator[Finding]:
    markets, demand = set(tables["markets"]["country"]), tables["demand"]
    for row in demand[~demand["country"].isin(markets)].to_dict("records"):
        yield Finding("demand", str(row["id"]), "country", f"{row['country']} has no row in markets")
    sectors = set(tables["sector_grades"]["sector"])
    for row in demand[~demand["sector"].isin(sectors)].to_dict("records"):
        yield Finding("demand", str(row["id"]), "sector", f"{row['sector']!r} has no row in sector_grades")
    for layer, columns in (("markets", ["country"]), ("demand", ["country", "sector", "material"])):
        again = tables[layer][tables[layer].duplicated(columns)]
        for row in again.to_dict("records"):
            named = " ".join(str(row[c]) for c in columns)
            yield Finding(layer, str(row["id"]), columns[-1], f"a second row for {named}; expected one")


def _sector_grades(tables: dict[str, pd.DataFrame]) -> Iterator[Finding]:
    for sector, total in tables["sector_grades"].groupby("sector")["share"].sum().items():
        if abs(total - 1.0) > 1e-6:
            yield Finding("sector_grades", str(sector), "share", f"the shares sum to {total:g}; expected 1")
    ranks = tables["grades"]["rank"]
    for row in tables["grades"][ranks.duplicated()].to_dict("records"):
        yield Finding("grades", str(row["id"]), "rank", f"is {row['rank']} a second time; expected one grade per rank")


def _targets(tables: dict[str, pd.DataFrame]) -> Iterator[Finding]:
    for row in tables["targets"].to_dict("records"):
        if not row["from_country"] and not row["to"]:
            yield Finding("targets", str(row["id"]), "from_country", "from_country and to are both empty")


def _dates(tables: dict[str, pd.DataFrame]) -> Iterator[Finding]:
    for row in tables["tariffs"].to_dict("records"):
        first, last = date_of(row["from"]), date_of(row["to"], end=True)
        if first and last and last < first:
            yield Finding("tariffs", str(row["id"]), "to", f"is {row['to']}, before from {row['from']}")
    twice = tables["blocs"][tables["blocs"].duplicated(["bloc", "country"])]
    for row in twice.to_dict("records"):
        yield Finding("blocs", str(row["id"]), "country", f"{row['country']} stands in {row['bloc']} twice")


def _geometry(tables: dict[str, pd.DataFrame]) -> Iterator[Finding]:
    kinds = {"passages": ("LineString",), "countries": ("Polygon", "MultiPolygon")}
    for layer, wanted in kinds.items():
        table = tables[layer]
        if "geometry" not in table.columns:
            continue
        for key, shape in zip(table.iloc[:, 0], table["geometry"], strict=True):
            if shape is None or isinstance(shape, float):
                yield Finding(layer, str(key), "geometry", f"is missing; expected a {' or '.join(wanted)}")
                continue
            xy = get_coordinates(shape)
            if shape.geom_type not in wanted or shape.is_empty:
                yield Finding(layer, str(key), "geometry", f"is a {shape.geom_type}; expected {' or '.join(wanted)}")
            elif not np.isfinite(xy).all() or (np.abs(xy) > (180.0, 90.0)).any():
                yield Finding(layer, str(key), "geometry", "has a coordinate outside +-180, +-90")
            elif not np.array_equal(np.round(xy, 5), xy):
                yield Finding(layer, str(key), "geometry", "has a coordinate with more than 5 decimals")

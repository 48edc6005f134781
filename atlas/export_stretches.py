"""What a map of flows draws, as a table for GIS: the sums of all lanes on each stretch, side by side, and a backdrop.

Hundreds of lanes share a strait. Drawn one by one they hide each other; here each stretch stands once per view and kind
of goods or change, with the tonnes of all lanes on it, as the map of the web atlas has it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from shapely.geometry import LineString, Polygon

from atlas import geo
from atlas import render_style as style
from atlas.export_fields import Field
from atlas.export_symbols import MM_PER_PX
from atlas.halted_places import halted_things
from atlas.render_arcs import arcs

TOLERANCE_DEG = 0.01
LAND_TOLERANCE_DEG = 0.04
SMALL_T = 0.5  # less is the solver's rounding
SAME_SHARE, SAME_T = 0.01, 1.0  # a lane that changed by less is told as kept
KEPT_PX, CHANGED_PX, VIA_PX = 1.3, 1.6, 1.6
HEADING_SHARE = 0.2  # of the tonnes on a stretch that must go one way on balance for it to have a direction

TITLES = {
    "stretches": "Sums of all lanes on each stretch, as the map draws them: before, after, change",
    "backdrop": "Countries, simplified, and the sea around them",
}
FIELDS: Mapping[str, tuple[Field, ...]] = {
    "stretches": (
        Field("id", "Id", "", "stretch, view and what lies on it", "str"),
        Field("view", "View", "", "before: without any halt; after: under the halts; change: what became of it", "str"),
        Field("commodity", "Commodity", "", "what moves, in the views before and after; empty for change", "str"),
        Field(
            "kind",
            "Kind of change",
            "",
            "lost, reduced, kept, grown or new in the view change; via: round a ban by "
            "a third country; empty otherwise",
            "str",
        ),
        Field("source", "Source", "", "ally or other: whether what is grown or new comes from the bloc", "str"),
        Field(
            "tonnes",
            "Tonnes a year",
            "t/year",
            "tonnes a year that move, or are lost or gained, on the stretch",
            "float",
        ),
        Field("lanes", "Lanes", "number", "how many lanes that is", "int"),
        Field(
            "two_way", "Both ways", "", "whether goods move both ways; the line runs the way most of them go", "bool"
        ),
        Field("draw_order", "Order of drawing", "place in the list", "what comes later lies above", "int"),
        Field("width_mm", "Width (mm)", "mm", "width on paper", "float"),
        Field("offset_mm", "Offset (mm)", "mm", "how far right of the line it lies on paper", "float"),
        Field("whole_mm", "Width of the whole stretch (mm)", "mm", "width of all that lies side by side", "float"),
        Field("arrow", "Carries the arrows", "", "whether the arrows of the stretch are drawn with this row", "bool"),
    ),
    "backdrop": (
        Field("id", "Id", "", "country code, ISO 3166-1 alpha-3, or sea", "str"),
        Field("name", "Name", "", "name", "str"),
        Field("kind", "Kind", "", "country or sea", "str"),
        Field("place", "Part", "", "halted: named in a halt; bloc: of the bloc; other; empty for the sea", "str"),
    ),
}


def stretches_table(outcome: Any) -> gpd.GeoDataFrame:
    """Return a row per stretch, view (before, after, change) and commodity or kind of change, indexed by id."""
    ways, lines, signed = _ways(outcome)
    parts = []
    if len(ways):
        on = _on_stretches(ways, signed)
        for view in ("before", "after", "change"):
            parts.append(_view(on, ways, view, frozenset(outcome.bloc_countries)))
    made = pd.concat(parts, ignore_index=True) if parts else _nothing()
    names = _names(lines)
    shapes = {
        (k, h): geo.split_antimeridian(LineString(lines[k][::-1] if h < 0 else lines[k]))
        for k, h in sorted(set(zip(made["stretch"], made["heading"], strict=True)))
    }
    told = zip(
        [names[k] for k in made["stretch"]], *(made[c] for c in ("view", "commodity", "kind", "source")), strict=True
    )
    made["id"] = ["-".join(part for part in row if part) for row in told]
    made["two_way"] = made["heading"] == 0
    places = [shapes[key] for key in zip(made["stretch"], made["heading"], strict=True)]
    table = made.set_index("id")[[f.name for f in FIELDS["stretches"][1:]]]
    return gpd.GeoDataFrame(table, geometry=gpd.GeoSeries(places, index=table.index, crs=geo.CRS), crs=geo.CRS)


def _names(lines: Sequence[Any]) -> list[str]:
    """Return a hash of each line; of lines that fell together when simplified the later ones get a number."""
    seen: dict[str, int] = {}
    made = []
    for line in lines:
        name = hashlib.sha256(np.round(line, 4).tobytes()).hexdigest()[:12]
        seen[name] = seen.get(name, 0) + 1
        made.append(name if seen[name] == 1 else f"{name}{seen[name]}")
    return made


def _nothing() -> pd.DataFrame:
    """Return the table of strands without a row."""
    kinds = {"str": object, "float": float, "int": int, "bool": bool}
    columns = {f.name: pd.Series(dtype=kinds[f.type]) for f in FIELDS["stretches"]}
    return pd.DataFrame({**columns, "stretch": pd.Series(dtype=int), "heading": pd.Series(dtype=int)})


def backdrop_table(outcome: Any) -> gpd.GeoDataFrame:
    """Return the countries, simplified, and the sea as an area whose outline any projection can bend."""
    countries = outcome.layers.countries
    halted = frozenset(halted_things(outcome)["country"])
    bloc = frozenset(outcome.bloc_countries)
    place = ["halted" if i in halted else "bloc" if i in bloc else "other" for i in countries.index]
    land = shapely.coverage_simplify(countries.geometry.to_numpy(), LAND_TOLERANCE_DEG)  # borders stay shared
    lat, lon = np.linspace(-90, 90, 91), np.linspace(-180, 180, 91)
    rim = [
        *((-180.0, y) for y in lat),
        *((x, 90.0) for x in lon),
        *((180.0, y) for y in lat[::-1]),
        *((x, -90.0) for x in lon[::-1]),
    ]
    table = pd.DataFrame(
        {
            "name": ["Sea", *countries["name"]],
            "kind": ["sea", *["country"] * len(countries)],
            "place": ["", *place],
        },
        index=pd.Index(["sea", *countries.index], name="id"),
    )
    return gpd.GeoDataFrame(table, geometry=[Polygon(rim), *land], crs=geo.CRS)


def _ways(outcome: Any) -> tuple[pd.DataFrame, list[Any], list[list[int]]]:
    """Return lanes by route with tonnes before and after, the stretches, and the stretches of each route.

    Demand of one country is one place, as on the map.
    """
    flows = outcome.flows
    flows = flows[(flows["route_id"].fillna("") != "") & (flows["tonnes"] > 0)]
    known = outcome.layers.facilities.index
    item = flows["element"].fillna("").where(flows["element"].fillna("") != "", flows["grade"].fillna(""))
    table = pd.DataFrame(
        {
            "origin": flows["from_id"],
            "to": flows["to_id"].where(flows["to_id"].isin(known), flows["to_country"]),
            "from_country": flows["from_country"],
            "commodity": flows["commodity"],
            "item": item,
            "via": flows["via"].fillna("") if "via" in flows else "",
            "route_id": flows["route_id"],
            "state": flows["state"],
            "tonnes": flows["tonnes"],
        }
    )
    keys = [c for c in table.columns if c not in ("state", "tonnes")]
    wide = table.groupby([*keys, "state"], sort=True)["tonnes"].sum().unstack("state", fill_value=0.0)
    wide = wide.reindex(columns=["baseline", "halted"], fill_value=0.0).reset_index()
    wide = wide[wide[["baseline", "halted"]].max(axis=1) >= SMALL_T].reset_index(drop=True)
    wide["lane"] = wide.groupby(["origin", "to", "commodity", "item", "via"], sort=False).ngroup()
    number, routes = pd.factorize(wide["route_id"])
    wide["route"] = number
    cut = arcs([outcome.geometry(r) for r in routes], TOLERANCE_DEG)
    return wide, list(cut.lines), cut.routes


def _on_stretches(ways: pd.DataFrame, signed: list[list[int]]) -> pd.DataFrame:
    """Return tonnes by stretch and lane, before and after, with the direction in which the lane runs the stretch."""
    counts = np.array([len(signed[r]) for r in ways["route"]])
    row = np.repeat(np.arange(len(ways)), counts)
    run = np.array([k for r in ways["route"] for k in signed[r]], dtype=int)
    one = pd.DataFrame(
        {
            "stretch": np.abs(run) - 1,
            "lane": ways["lane"].to_numpy()[row],
            "way": np.sign(run),
            "before": ways["baseline"].to_numpy()[row],
            "after": ways["halted"].to_numpy()[row],
        }
    )
    return (
        one.groupby(["stretch", "lane"], sort=True).agg({"way": "first", "before": "sum", "after": "sum"}).reset_index()
    )


def _view(on: pd.DataFrame, ways: pd.DataFrame, view: str, allies: frozenset[str]) -> pd.DataFrame:
    """Return the strands of one view: tonnes, lanes and place on paper of each kind on each stretch."""
    lanes = ways.drop_duplicates("lane").set_index("lane")
    whole = on.assign(all=on[["before", "after"]].max(axis=1) if view == "change" else on[view])
    whole = whole[whole["all"] > 0]
    whole["net"] = whole["all"] * whole["way"]
    sums = whole.groupby("stretch")[["all", "net"]].sum()
    heading = np.where(sums["net"].abs() > HEADING_SHARE * sums["all"], np.sign(sums["net"]), 0).astype(int)
    via = (lanes["via"] != "").reindex(whole["lane"]).to_numpy()
    if view == "change":
        strands = _changes(whole, via, lanes["from_country"].isin(allies).reindex(whole["lane"]).to_numpy())
    else:
        goods = lanes["commodity"].reindex(whole["lane"]).to_numpy()
        strands = pd.DataFrame(
            {
                "stretch": whole["stretch"],
                "commodity": goods,
                "kind": np.where(via, "via", ""),
                "source": "",
                "tonnes": whole["all"],
            }
        )
    keys = ["stretch", "commodity", "kind", "source"]
    made = strands[strands["tonnes"] > 0].groupby(keys, sort=True)["tonnes"].agg(["sum", "size"]).reset_index()
    made = made.rename(columns={"sum": "tonnes", "size": "lanes"})
    made["view"] = view
    made["heading"] = pd.Series(heading, index=sums.index).reindex(made["stretch"]).to_numpy()
    return _placed(made, sums["all"].reindex(made["stretch"]).to_numpy(), view)


def _changes(whole: pd.DataFrame, via: Any, ally: Any) -> pd.DataFrame:
    """Return what the tonnes of each lane on each stretch became: one or two parts a lane."""
    before, after = whole["before"].to_numpy(), whole["after"].to_numpy()
    change, most = after - before, np.maximum(before, after)
    same = ~via & (np.abs(change) <= np.maximum(SAME_T, SAME_SHARE * most))
    less, more = ~via & ~same & (change < 0), ~via & ~same & (change > 0)
    kind = np.select(
        [via, same, less & (after <= SMALL_T), less, more & (before <= SMALL_T)],
        ["via", "kept", "lost", "reduced", "new"],
        "grown",
    )
    first = pd.DataFrame(
        {
            "stretch": whole["stretch"].to_numpy(),
            "commodity": "",
            "kind": kind,
            "source": np.where(more, np.where(ally, "ally", "other"), ""),
            "tonnes": np.where(via | same, most, np.abs(change)),
        }
    )
    stays = (kind == "reduced") | (kind == "grown")
    rest = first[stays].assign(kind="kept", source="", tonnes=np.minimum(before, after)[stays])
    return pd.concat([first, rest], ignore_index=True)


def _placed(made: pd.DataFrame, whole_t: Any, view: str) -> pd.DataFrame:
    """Return the strands with width and offset on paper, side by side in the order of the legend."""
    order = {k: n for n, k in enumerate((*style.COMMODITIES, *(k.replace("kept", "") for k in style.CHANGES)))}
    what = made["commodity"] + made["kind"] + np.where(made["source"] != "", "-" + made["source"], "")
    made["rank"] = [order.get(w.replace("kept", ""), len(order)) for w in what]
    if view == "change":
        px = np.array([style.width_px(t) for t in made["tonnes"]])
        px = np.where(made["kind"] == "kept", np.minimum(px, KEPT_PX), np.maximum(px, CHANGED_PX))
    else:
        wide = np.array([style.width_px(t) for t in whole_t])
        least = np.where(made["kind"] == "via", VIA_PX, style.WIDTH_MIN_PX)
        px = np.maximum(wide * made["tonnes"] / whole_t, least)
    made["width_mm"], made["whole_t"] = np.round(px * MM_PER_PX, 3), whole_t
    made = made.sort_values(["whole_t", "stretch", "rank"], ascending=[False, True, True], kind="stable")
    by = made.groupby("stretch")["width_mm"]
    made["whole_mm"] = by.transform("sum").round(3)
    made["offset_mm"] = (by.cumsum() - made["width_mm"] / 2 - made["whole_mm"] / 2).round(3)
    made["draw_order"] = np.arange(1, len(made) + 1)
    made["arrow"] = (~made["stretch"].duplicated(keep="last")) & (made["heading"] != 0)
    return made

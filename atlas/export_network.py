"""The network as a table for GIS: one row per edge that has a length, with the tonnes of an outcome on it."""

import hashlib
from collections.abc import Set
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from atlas import geo, network
from atlas.network import Network
from atlas.network_edges import MODES, PORT

SOURCES = {"sea": "searoute", "rail": "openstreetmap", "road": "openstreetmap"}  # mode -> id in the layer sources


def network_of(source: Any, used_only: bool = False) -> gpd.GeoDataFrame:
    """Return the network of an outcome, with `baseline_t`, `halted_t` and `change_t` on each edge, or of layers.

    An outcome's network has the places of its scenario too. The tonnes are those of all goods added up, each in its own
    unit, as on ports and passages. `used_only` leaves out the edges of an outcome that carry nothing in either state.
    """
    if not hasattr(source, "flows"):
        return network_table(network.load(source))
    before, after = source.baseline, source.halted
    tonnes = {"baseline": _edge_t(before), "halted": _edge_t(after)}
    kept = set().union(*(t.index for t in tonnes.values())) if used_only else None
    table = network_table(after.router.network, kept)
    if before.router.network is not after.router.network:
        more = network_table(before.router.network, kept)
        table = gpd.GeoDataFrame(pd.concat([table, more[~more.index.isin(table.index)]]).sort_index(), crs=geo.CRS)
    for state, on_edge in tonnes.items():
        table[f"{state}_t"] = on_edge.reindex(table.index, fill_value=0.0)
    table["change_t"] = table["halted_t"] - table["baseline_t"]
    return table


def _edge_t(part: Any) -> pd.Series:
    """Return the tonnes a year on each edge that a solved state uses, by the edge's id."""
    edges = part.router.network.edges
    tonnes = np.zeros(len(edges.km))
    flows = part.reading.flows
    for route, t in flows.groupby("route_id")["tonnes"].sum().items():
        path = part.reading.paths.get(route)
        if path is not None:
            tonnes[list(path.edges)] += t
    used = np.flatnonzero((tonnes > 0) & (edges.km > 0) & (edges.mode != PORT))
    return pd.Series(tonnes[used], index=_ids(part.router.network, used)).groupby(level=0).sum()


def network_table(net: Network, only: Set[str] | None = None) -> gpd.GeoDataFrame:
    """Return the edges: mode, length_km, cost_usd_t (freight, tolls, border; a gross tonne), days, countries, passages.

    The id is a hash of mode, ends and length, so it stays when other edges come or go. Steps inside a port or a place
    have no length and are left out, and so is what is not among `only`, where that is given.
    """
    edges = net.edges
    kept = np.flatnonzero((edges.km > 0) & (edges.mode != PORT))
    ids = _ids(net, kept)
    if only is not None:
        kept = kept[[i in only for i in ids]]
        ids = [i for i in ids if i in only]
    names = np.array(MODES)[edges.mode[kept]]
    lines = [net.line(int(i)) for i in kept]
    parts = np.repeat(np.arange(len(lines)), [len(line) for line in lines])
    table = gpd.GeoDataFrame(
        {
            "mode": names,
            "length_km": edges.km[kept],
            "cost_usd_t": edges.usd_t[kept],
            "days": edges.days[kept],
            "country": _named(net.country_ids, edges.country[kept]),
            "other_country": _named(net.country_ids, edges.other_country[kept]),
            "border": _named(net.border_ids, edges.border[kept]),
            "passages": _passages(net, edges.passages[kept]),
            "one_way": edges.one_way[kept],
            "source_id": [SOURCES.get(m, "") for m in names],
        },
        index=pd.Index(ids, name="id"),
        geometry=shapely.linestrings(np.vstack(lines), indices=parts) if lines else [],
        crs=geo.CRS,
    )
    return table[~table.index.duplicated()].sort_index()  # the same stroke between the same places, joined twice


def _ids(net: Network, kept: Any) -> list[str]:
    """Return the id of each edge at the positions `kept`: mode and a hash of ends and length."""
    edges = net.edges
    names = np.array(MODES)[edges.mode[kept]]
    ends = np.round(np.hstack([net.xy[edges.u[kept]], net.xy[edges.v[kept]]]), 4).tolist()
    keys = [f"{m}{e}{k:.3f}" for m, e, k in zip(names, ends, edges.km[kept], strict=True)]
    return [f"{m}-{hashlib.sha256(k.encode()).hexdigest()[:12]}" for m, k in zip(names, keys, strict=True)]


def _named(ids: tuple[str, ...], positions: Any) -> list[str]:
    """Return the id at each position, "" for -1."""
    return [ids[i] if i >= 0 else "" for i in positions.tolist()]


def _passages(net: Network, bits: Any) -> list[str]:
    """Return the ids of the passages of each edge, joined by semicolons."""
    ids = net.passage_ids
    return [";".join(p for i, p in enumerate(ids) if int(b) >> i & 1) for b in bits.tolist()]

"""The network as a table for GIS: one row per edge that has a length."""

import hashlib
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from atlas import geo
from atlas.network import Network
from atlas.network_edges import MODES, PORT


def network_table(network: Network) -> gpd.GeoDataFrame:
    """Return the edges: mode, length_km, cost_usd_t (freight, tolls, border; a gross tonne), days, countries, passages.

    The id is a hash of mode, ends and length, so it stays when other edges come or go. Steps inside a port or a place
    have no length and are left out.
    """
    edges = network.edges
    kept = np.flatnonzero((edges.km > 0) & (edges.mode != PORT))
    names = np.array(MODES)[edges.mode[kept]]
    ends = np.round(np.hstack([network.xy[edges.u[kept]], network.xy[edges.v[kept]]]), 4).tolist()
    keys = [f"{m}{e}{k:.3f}" for m, e, k in zip(names, ends, edges.km[kept], strict=True)]
    ids = [f"{m}-{hashlib.sha256(k.encode()).hexdigest()[:12]}" for m, k in zip(names, keys, strict=True)]
    lines = [network.line(int(i)) for i in kept]
    parts = np.repeat(np.arange(len(lines)), [len(line) for line in lines])
    table = gpd.GeoDataFrame(
        {
            "mode": names,
            "length_km": edges.km[kept],
            "cost_usd_t": edges.usd_t[kept],
            "days": edges.days[kept],
            "country": _named(network.country_ids, edges.country[kept]),
            "other_country": _named(network.country_ids, edges.other_country[kept]),
            "border": _named(network.border_ids, edges.border[kept]),
            "passages": _passages(network, edges.passages[kept]),
            "one_way": edges.one_way[kept],
        },
        index=pd.Index(ids, name="id"),
        geometry=shapely.linestrings(np.vstack(lines), indices=parts),
        crs=geo.CRS,
    )
    return table[~table.index.duplicated()].sort_index()  # the same stroke between the same places, joined twice


def _named(ids: tuple[str, ...], positions: Any) -> list[str]:
    """Return the id at each position, "" for -1."""
    return [ids[i] if i >= 0 else "" for i in positions.tolist()]


def _passages(network: Network, bits: Any) -> list[str]:
    """Return the ids of the passages of each edge, joined by semicolons."""
    ids = network.passage_ids
    return [";".join(p for i, p in enumerate(ids) if int(b) >> i & 1) for b in bits.tolist()]

"""The trunk rail and road graphs as OSMnx graphs: a networkx MultiDiGraph with x, y, length and crs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from atlas import __version__
from atlas.errors import BadInput, UnknownName, nearest
from atlas.local_access import ATTRIBUTION, MODES
from atlas.network import Network

if TYPE_CHECKING:
    import networkx as nx


def trunk_graph(network: Network, mode: str, countries: Sequence[str] | None = None) -> nx.MultiDiGraph:
    """Return the graph of a mode (`road`, `rail`) as OSMnx knows graphs, of these countries (ISO3) or of the world.

    Nodes have `x`, `y` (degrees), `country` and `street_count`; edges `length` (metres), `mode` and `osmid` (a number
    of the edge, since the source has none), one each way, straight. Border posts join countries that are both there.
    Raises UnknownName for another mode or country.
    """
    import networkx as nx  # only who asks for a graph waits for it

    if mode not in MODES:
        raise UnknownName("mode", mode, nearest(mode, MODES) or MODES)
    codes = [str(c) for c in network.layers.countries.index]
    wanted = [countries] if isinstance(countries, str) else list(countries) if countries is not None else codes
    unknown = [UnknownName("country", code, nearest(code, codes)) for code in wanted if code not in codes]
    if len(unknown) == 1:
        raise unknown[0]
    if unknown:
        raise BadInput([str(error) for error in unknown])
    part = network.land[mode].part(wanted)
    posts = network.posts(mode)
    both = np.isin(posts.ends, part.ids).all(axis=1)
    ends, km = np.vstack([part.ends, posts.ends[both]]), np.r_[part.km, posts.km[both]]
    graph = nx.MultiDiGraph(
        crs="epsg:4326", created_with=f"rare-earth-atlas {__version__}", attribution=ATTRIBUTION, mode=mode,
        simplified=True,
    )
    streets = np.bincount(np.searchsorted(part.ids, ends).ravel(), minlength=len(part.ids))
    nodes = zip(part.ids.tolist(), part.xy.tolist(), part.country.tolist(), streets.tolist(), strict=True)
    graph.add_nodes_from((node, {"x": x, "y": y, "country": country, "street_count": count})
                         for node, (x, y), country, count in nodes)
    rows = list(zip(*ends.T.tolist(), np.round(km * 1000.0, 1).tolist(), range(len(km)), strict=True))
    graph.add_edges_from((u, v, {"osmid": i, "length": length, "mode": mode}) for u, v, length, i in rows)
    graph.add_edges_from((v, u, {"osmid": i, "length": length, "mode": mode}) for u, v, length, i in rows)
    return graph

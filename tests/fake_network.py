"""An invented network for the invented outcome: the stretches between its waypoints, and the routes as paths over them."""

import itertools
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from shapely.geometry import LineString


def fake_states(flows: pd.DataFrame, ways: Mapping[str, tuple[str, ...]], lines: Mapping[tuple[str, str], Any]) -> Any:
    """Return the two solved states as far as exports read them: router.network, reading.flows, reading.paths.

    `ways` are the waypoints of each route id, `lines` the coordinates of each stretch by its ends in order.
    """
    names = sorted({name for pair in lines for name in pair})
    at = {name: n for n, name in enumerate(names)}
    xy = {name: line[0] for (name, _), line in lines.items()} | {name: line[-1] for (_, name), line in lines.items()}
    number = {pair: n for n, pair in enumerate(lines)}
    none = np.full(len(lines), -1)
    edges = SimpleNamespace(
        u=np.array([at[a] for a, _ in lines]), v=np.array([at[b] for _, b in lines]),
        mode=np.zeros(len(lines), dtype=int), km=np.array([100.0 * LineString(line).length for line in lines.values()]),
        usd_t=np.full(len(lines), 5.0), days=np.full(len(lines), 1.0), country=none, other_country=none, border=none,
        passages=np.array([int("malacca-n" in pair) for pair in lines]), one_way=np.zeros(len(lines), dtype=bool),
    )  # fmt: skip
    held = list(lines.values())
    network = SimpleNamespace(
        edges=edges, xy=np.array([xy[name] for name in names]), line=lambda i: np.array(held[i]), country_ids=(),
        border_ids=(), passage_ids=("malacca",),
    )  # fmt: skip
    paths = {
        rid: SimpleNamespace(edges=tuple(number[tuple(sorted(pair))] for pair in itertools.pairwise(nodes)))  # type: ignore[index]
        for rid, nodes in ways.items()
    }
    router = SimpleNamespace(network=network)
    return tuple(
        SimpleNamespace(router=router, reading=SimpleNamespace(flows=flows[flows["state"] == s], paths=paths))
        for s in ("baseline", "halted")
    )

"""Contraction of bends: the distances between the nodes that stay are those of the whole network."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse.csgraph import dijkstra

from atlas.shortest import contracted, matrix_km, symmetric


def bent_network(seed: int) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
    """Return a random network whose edges are runs of up to four strokes, with a ring, a dead end and twins."""
    rng = np.random.default_rng(seed)
    size, edges = 40, []
    for i in range(40):
        for j in rng.choice(40, 2, replace=False):
            run = [i, *range(size, size + rng.integers(0, 4)), int(j)]
            size += len(run) - 2
            edges += list(zip(run[:-1], run[1:], strict=True))
    edges += [(size, size + 1), (size + 1, size + 2), (size + 2, size)]  # a ring that nothing joins
    edges += [(3, size + 3), (size + 3, size + 4), edges[0], edges[0]]
    ends = np.array([e for e in edges if e[0] != e[1]])
    return size + 5, ends[:, 0], ends[:, 1], rng.uniform(1.0, 9.0, len(ends))


@pytest.mark.parametrize("seed", range(20))
def test_distances_are_those_of_the_whole_network(seed: int) -> None:
    size, a, b, km = bent_network(seed)
    rng = np.random.default_rng(seed)
    origins, destinations = rng.integers(0, size, 12), rng.integers(0, size, 15)
    whole = dijkstra(symmetric(size, a, b, km), indices=origins)[:, destinations]
    np.testing.assert_allclose(matrix_km(size, a, b, km, origins, destinations), whole, rtol=1e-12)


def test_bends_go_and_the_kept_stay() -> None:
    size, a, b, km = bent_network(1)
    small = contracted(size, a, b, km, np.array([size - 4]))
    degree = np.bincount(np.r_[a, b], minlength=size)
    assert size - 4 in small.nodes
    assert set(small.nodes) == {n for n in range(size) if degree[n] not in (0, 2)} | {size - 4}
    assert small.graph.shape == (len(small.nodes),) * 2
    assert (small.graph != small.graph.T).nnz == 0


def test_an_empty_network_joins_nothing() -> None:
    none = np.array([], dtype=int)
    assert np.isinf(matrix_km(4, none, none, np.array([]), np.array([0]), np.array([3]))).all()

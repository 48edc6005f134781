"""What several tests share."""

import os
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
from fake_outcome import fake_outcome


@pytest.fixture(scope="session", autouse=True)
def own_cache() -> Iterator[None]:
    """Keep what the atlas remembers on disk away from the user's own cache, for processes started by tests too."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        if "ATLAS_CACHE_DIR" not in os.environ:
            patch.setenv("ATLAS_CACHE_DIR", folder)
        yield


@pytest.fixture
def outcome() -> Any:
    """Return the small invented outcome of a halt, with a route for each change as a real one has."""
    made = fake_outcome()
    if "route_id" not in made.changes:
        flows = made.flows.sort_values("state", ascending=False)  # the halted route first
        lane = ["from_id", "to_id", "commodity", "element", "grade"]
        routes = flows.drop_duplicates(lane)[[*lane, "route_id"]]
        made.changes = made.changes.merge(routes, on=lane, how="left")
    return made


@pytest.fixture(scope="session")
def study() -> Any:
    """Return a study of the shipped layers, opened once for all tests."""
    from atlas.study import Study
    from atlas.study import open as open_study

    made: Study = open_study()
    return made


@pytest.fixture(scope="session")
def layers() -> Any:
    """Return the shipped layers; nobody changes them."""
    from atlas.layers import open_layers

    return open_layers()


@pytest.fixture(scope="session")
def router(layers: Any) -> Any:
    """Return the router over the shipped network; it keeps nothing of any question."""
    from atlas.routing import Router

    return Router.open(layers)

"""One browser and one server for the browser tests; `ATLAS_REQUIRE_BROWSER=1` makes a missing browser a failure."""

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A browser without a way out of this machine."""
    from chromium import chromium, programs

    if programs() is None:
        message = "no Chromium with its driver on this machine (apt install chromium chromium-driver)"
        if os.environ.get("ATLAS_REQUIRE_BROWSER"):
            pytest.fail(message)
        pytest.skip(message)
    with chromium() as found:
        yield found


@pytest.fixture(autouse=True)
def own_log(request: pytest.FixtureRequest) -> None:
    """Begin each test with an empty record: what the page before it said late belongs to that page."""
    if "browser" in request.fixturenames:
        found = request.getfixturevalue("browser")
        found.errors()
        found.outside()


@pytest.fixture(scope="session")
def address(study: Any) -> Iterator[str]:
    """The address of a running server over the shipped study."""
    yield from served(study)


@pytest.fixture(scope="session")
def invented_address() -> Iterator[str]:
    """The address of a running server over the invented study with its hostile names."""
    from fake_outcome import fake_study

    yield from served(fake_study())


@pytest.fixture(scope="session")
def mapped_address() -> Iterator[str]:
    """The address of a running server over an invented study that solves and has places on a map."""
    from tests.invented import invent
    from tests.test_web_chokepoints import mapped

    yield from served(mapped(invent()))


def served(study: Any) -> Iterator[str]:
    """Run a server on a free port until the tests are over."""
    from waitress.server import create_server

    from atlas import web
    from atlas.config import settings

    own = settings({})
    server = create_server(web.create_app(study, own), host="127.0.0.1", port=0, **web.waitress_options(own))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.effective_port}"
    server.close()


@pytest.fixture(scope="session")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures of the pages go: `ATLAS_SHOTS`, else a temporary folder."""
    return Path(os.environ.get("ATLAS_SHOTS") or tmp_path_factory.mktemp("shots"))

"""The command `atlas serve`."""

import os
import socket
import sys
import threading
from typing import Any

import click

from atlas.cli_shell import note, open_study, timed
from atlas.errors import BadInput


@click.command("serve")
@click.option("--host", metavar="H", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(1, 65535), metavar="P", help="Port to listen on.  [default: 8000]")
@click.pass_obj
def serve_command(obj: dict[str, Any], host: str | None, port: int | None) -> int:
    """Serve the web atlas.

    SIGTERM and Ctrl-C stop it: what is under way is finished first, within ATLAS_SHUTDOWN_S seconds. A second one ends
    it at once. Every ATLAS_ setting is in docs/web.md.
    """
    from atlas import config, solver_process, web, web_log

    settings = config.settings(host=host, port=port)
    try:
        with socket.create_server((settings.host, settings.port)):
            pass  # refuse a port that is taken before anything is read
    except OSError as error:
        raise BadInput(f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}") from None
    web_log.set_up(settings)
    study = open_study(obj)
    solver_process.use_process(settings.solver_process)
    app = web.create_app(study, settings)
    with timed("solved the baseline"):
        study.solve()
    address = f"http://{settings.host}:{settings.port}"
    web.run(app, settings, ready=lambda: note(f"open {address} (Ctrl-C stops)"))
    note("stopped")
    if _still_working():
        # The interpreter would wait for threads of long work; their processes end with this one.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    return 0


def _still_working() -> bool:
    """Return whether a thread is left that the interpreter would wait for, one of a pool that is idle aside."""
    return any(t is not threading.main_thread() and not t.daemon and t.is_alive() for t in threading.enumerate())

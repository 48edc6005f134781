"""Settings of the atlas: one table, read once into a frozen object. Nothing is read at import."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from atlas.errors import BadInput, nearest

SettingValue = int | float | bool | str

# name, default, unit, help. The type of the default is the type of the setting.
SETTINGS: tuple[tuple[str, SettingValue, str, str], ...] = (
    ("host", "127.0.0.1", "", "address the server listens on"),
    ("port", 8000, "", "port the server listens on"),
    ("max_request_bytes", 1_000_000, "bytes", "a larger request is refused with 413"),
    ("max_halts", 50, "", "most halts in one question"),
    ("max_text_length", 200, "characters", "longest name or spec accepted in an address"),
    ("cache_outcomes", 32, "", "outcomes a running server remembers"),
    ("solve_time_limit_s", 60.0, "s", "time after which a solve is given up"),
    ("solver_process", True, "", "whether a server solves in a process of its own, which may die without it"),
    ("solve_slots", 2, "", "solves that run at once in a server; more wait"),
    ("solve_queue", 8, "", "solves that may wait in a server; more are refused with 503"),
    ("solve_wait_s", 6.0, "s", "a new answer that would wait longer than this is refused with 503; 0: no limit"),
    ("solves_per_minute", 240, "", "new answers an address may ask for in a minute; more get 429; 0: no limit"),
    ("cache_bytes", 60_000_000, "bytes", "answers a running server keeps packed; the oldest go first"),
    ("request_time_limit_s", 75.0, "s", "time after which a request gets 504; what it makes is kept; 0: no limit"),
    ("requests_per_minute", 30_000, "", "requests an address may make in a minute; more get 429; 0: no limit"),
    ("max_header_bytes", 65_536, "bytes", "longest address with its headers; a longer one is refused with 431"),
    ("max_connections", 1_000, "", "connections open at once; more wait"),
    ("connections_per_address", 400, "", "connections open at once from one address; more are closed; 0: no limit"),
    ("receive_timeout_s", 30.0, "s", "time a client has to send a whole request; then the connection is closed"),
    ("idle_timeout_s", 60.0, "s", "time after which a connection without a request is closed"),
    ("shutdown_s", 20.0, "s", "time that requests under way have to finish when the server is told to stop"),
    ("trusted_proxies", 0, "", "proxies in front of the server whose X-Forwarded-* headers are believed"),
    ("log_file", "", "", "file for the log, one JSON object a line; empty: standard error; off: none"),
    ("metrics", True, "", "whether /metrics answers"),
    ("workers", 0, "", "processes for work of many solves; 0: as many as there are cores"),
    ("job_slots", 2, "", "pieces of long work that a server does at once; more wait"),
    ("job_queue", 8, "", "pieces of long work that may wait in a server; more are refused with 503"),
    ("jobs_per_asker", 4, "", "unfinished pieces of long work of one browser; more get 429; 0: no limit"),
    ("jobs_kept", 24, "", "results of long work that a server remembers"),
    ("job_wait_s", 600.0, "s", "how long a program's request waits for long work before it is told to ask again"),
    ("cache_dir", "", "", "where the calibrated year and local roads are kept; empty: the user's cache; off: nowhere"),
    ("overpass_url", "https://overpass-api.de/api", "", "the Overpass server that `atlas roads` asks"),
    ("overpass_timeout_s", 180, "s", "time that server has for one answer"),
    ("overpass_pause_s", 0.5, "s", "pause between two requests; they are made one at a time"),
    ("overpass_wait_s", 300.0, "s", "longest wait for a free slot of that server"),
    ("overpass_retries", 1, "", "further tries after the server says that it is busy (429, 504)"),
    ("overpass_retry_s", 15.0, "s", "pause before such a try; doubled each time"),
    ("roads_max_km2", 75_000.0, "km2", "largest area that `atlas roads` asks a server for"),
    ("tiles", False, "", "whether maps offer an online background, which makes requests to other hosts"),
    ("ogc_origins", "", "", "sites whose pages may read /ogc/, joined by commas; *: all; empty: none but its own"),
)


@dataclass(frozen=True)
class Settings:
    """Settings in use; the defaults stand in `SETTINGS`."""

    host: str = "127.0.0.1"
    port: int = 8000
    max_request_bytes: int = 1_000_000
    max_halts: int = 50
    max_text_length: int = 200
    cache_outcomes: int = 32
    solve_time_limit_s: float = 60.0
    solver_process: bool = True
    solve_slots: int = 2
    solve_queue: int = 8
    solve_wait_s: float = 6.0
    solves_per_minute: int = 240
    cache_bytes: int = 60_000_000
    request_time_limit_s: float = 75.0
    requests_per_minute: int = 30_000
    max_header_bytes: int = 65_536
    max_connections: int = 1_000
    connections_per_address: int = 400
    receive_timeout_s: float = 30.0
    idle_timeout_s: float = 60.0
    shutdown_s: float = 20.0
    trusted_proxies: int = 0
    log_file: str = ""
    metrics: bool = True
    workers: int = 0
    job_slots: int = 2
    job_queue: int = 8
    jobs_per_asker: int = 4
    jobs_kept: int = 24
    job_wait_s: float = 600.0
    cache_dir: str = ""
    overpass_url: str = "https://overpass-api.de/api"
    overpass_timeout_s: int = 180
    overpass_pause_s: float = 0.5
    overpass_wait_s: float = 300.0
    overpass_retries: int = 1
    overpass_retry_s: float = 15.0
    roads_max_km2: float = 75_000.0
    tiles: bool = False
    ogc_origins: str = ""


def settings(environ: Mapping[str, str] | None = None, **overrides: SettingValue | None) -> Settings:
    """Return the settings: defaults, then ATLAS_NAME variables, then `overrides` that are not None.

    Raises BadInput with every value that does not fit and every name that is not a setting.
    """
    environ = os.environ if environ is None else environ
    defaults = {name: default for name, default, _, _ in SETTINGS}
    problems: list[str] = []
    values: dict[str, SettingValue] = {}
    for name, default in defaults.items():
        raw = environ.get(f"ATLAS_{name.upper()}")
        if raw is not None:
            values |= _converted(name, raw, default, f"ATLAS_{name.upper()}", problems)
    for name, value in overrides.items():
        if name not in defaults:
            near = nearest(name, defaults)
            problems.append(f"unknown setting {name!r}" + (f"; nearest: {', '.join(near)}" if near else ""))
        elif value is not None:
            values |= _converted(name, value, defaults[name], name, problems)
    if problems:
        raise BadInput(problems)
    return Settings(**values)  # type: ignore[arg-type]  # each value was converted to the type of its default


def _converted(
    name: str, raw: SettingValue, default: SettingValue, label: str, problems: list[str]
) -> dict[str, SettingValue]:
    """Return {name: value} in the type of the default, or nothing and one more problem."""
    value: SettingValue
    text = str(raw).strip()
    try:
        if isinstance(default, bool):
            value = {"1": True, "true": True, "yes": True, "on": True}.get(text.lower(), False)
            if not value and text.lower() not in {"0", "false", "no", "off", ""}:
                raise ValueError
        elif isinstance(default, str):
            value = text
        else:
            value = type(default)(text)
            if not 0 <= value < 1e12 or (name == "port" and value > 65535):
                raise ValueError
    except ValueError:
        problems.append(f"{label} is {text[:80]!r}; expected a {type(default).__name__} like {default!r}")
        return {}
    return {name: value}


def data_dir(name: str) -> Path:
    """Return the directory of shipped data, `layers` or `templates`.

    A checkout has it beside the package; an installed atlas has it inside, as `_layers` and `_templates`.
    """
    package = Path(__file__).resolve().parent
    inside, beside = package / f"_{name}", package.parent / name
    for candidate in (inside, beside):
        if candidate.is_dir():
            return candidate
    raise BadInput(f"the shipped {name} are missing: looked in {inside} and {beside}")

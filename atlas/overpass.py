"""Ask an Overpass server for roads and rails through OSMnx, politely: one request at a time, in free slots, pausing.

OSMnx waits without end for a busy server, and trusts whatever comes back. Here the waits are bounded, and an answer
that is an error, cut short or malformed is refused before OSMnx remembers it.
"""

from __future__ import annotations

import datetime as dt
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import networkx as nx
import osmnx as ox
import requests
from shapely.geometry import Polygon

from atlas import __version__
from atlas.config import Settings
from atlas.errors import BadInput, ServerTrouble

USER_AGENT = f"rare-earth-atlas/{__version__} (atlas roads, with OSMnx {ox.__version__})"
WAY_TAGS = ("highway", "railway", "name", "ref", "surface", "service", "usage", "oneway", "bridge", "tunnel", "access")
BUSY = (429, 504)
CHECK_AGAIN_S = 5.0  # a server that has no slot and does not say when it will
_ONE_AT_A_TIME = threading.Lock()  # OSMnx keeps its settings in a module

Say = Callable[[str], None]


class _NothingHereError(Exception):
    """The server has nothing in an area: no fault, and not worth remembering."""


class _BusyError(Exception):
    """The server asks to come back later."""


@contextmanager
def osmnx_set(settings: Settings, cache: Path | None) -> Iterator[None]:
    """Set OSMnx up for this project, with its HTTP cache in `cache`, and put everything back afterwards."""
    with _ONE_AT_A_TIME:
        wanted: dict[str, Any] = {
            "use_cache": cache is not None, "cache_folder": cache or ".", "useful_tags_way": list(WAY_TAGS),
            "overpass_url": endpoint(settings), "requests_timeout": max(int(settings.overpass_timeout_s), 1),
            "overpass_rate_limit": False,  # its own waiting has no end; `_wait_for_slot` does it
            "requests_kwargs": {"hooks": {"response": _check}}, "max_query_area_size": 1e14,  # tiles are ours
            "http_user_agent": USER_AGENT, "http_referer": USER_AGENT, "doh_url_template": None,
            "log_console": False, "log_file": False, "default_crs": "epsg:4326",
        }  # fmt: skip
        before = {name: getattr(ox.settings, name) for name in wanted}
        resolve = socket.getaddrinfo  # OSMnx replaces it for the whole process
        for name, value in wanted.items():
            setattr(ox.settings, name, value)
        try:
            yield
        finally:
            socket.getaddrinfo = resolve
            for name, value in before.items():
                setattr(ox.settings, name, value)


def endpoint(settings: Settings) -> str:
    """Return the address of the server's API without `/interpreter`; raises BadInput if it is none."""
    url = settings.overpass_url.rstrip("/").removesuffix("/interpreter")
    if not re.match(r"https?://[^/\s]+", url):
        raise BadInput(f"overpass_url is {url[:80]!r}; expected an address like https://overpass-api.de/api")
    return url


def fetch(areas: list[tuple[Polygon, str]], settings: Settings, cache: Path, say: Say) -> nx.MultiDiGraph | None:
    """Return all ways of [(polygon in lon, lat; Overpass filter of its ways)], not simplified; None if there are none.

    Answers already in `cache` are not asked for again, so a run that was cut short goes on where it stopped. Raises
    ServerTrouble when the server is out of reach, stays busy, or answers with an error or something else than OSM data.
    """
    parts = []
    with osmnx_set(settings, cache):
        for number, (polygon, ways) in enumerate(areas, start=1):
            say(f"part {number} of {len(areas)} from {endpoint(settings)}")
            part = _fetch_one(polygon, ways, settings, say)
            if part is not None:
                parts.append(part)
    return nx.compose_all(parts) if parts else None


def _fetch_one(polygon: Polygon, ways: str, settings: Settings, say: Say) -> nx.MultiDiGraph | None:
    pause_s = float(settings.overpass_retry_s)
    for attempt in range(settings.overpass_retries + 1):
        try:
            return _ask(polygon, ways, settings, say)
        except _NothingHereError:
            return None
        except _BusyError as busy:
            if attempt == settings.overpass_retries:
                raise ServerTrouble(f"the server {endpoint(settings)} is busy ({busy}); try again later") from None
            say(f"the server is busy ({busy}); trying again in {pause_s:g} s")
            time.sleep(pause_s)
            pause_s *= 2
    return None


def _ask(polygon: Polygon, ways: str, settings: Settings, say: Say) -> nx.MultiDiGraph | None:
    server = endpoint(settings)
    prepare = ox.settings.requests_kwargs
    asked = False

    def before_asking(request: requests.PreparedRequest) -> requests.PreparedRequest:
        # Called by `requests` when OSMnx really sends something, and not when the answer is in its cache.
        nonlocal asked
        _wait_for_slot(settings, say)
        asked = True
        return request

    ox.settings.requests_kwargs = {**prepare, "auth": before_asking}
    try:
        return ox.graph_from_polygon(polygon, network_type="all", simplify=False, retain_all=True,
                                     truncate_by_edge=True, custom_filter=ways)
    except ServerTrouble:
        raise
    except requests.Timeout:
        raise ServerTrouble(f"the server {server} did not answer within {settings.overpass_timeout_s} s") from None
    except requests.RequestException as error:
        raise ServerTrouble(f"the server {server} cannot be reached: {_short(error)}") from None
    except OSError as error:
        raise ServerTrouble(f"the answers of {server} cannot be kept: {error.strerror or error}") from None
    except ValueError as error:
        if "Found no graph nodes" in str(error):
            return None  # ways that only touch the margin
        raise ServerTrouble(f"an answer of {server} cannot be used: {_short(error)} (--refresh asks anew)") from None
    except (ox._errors.InsufficientResponseError, KeyError, TypeError, AttributeError) as error:
        raise ServerTrouble(f"an answer of {server} cannot be used: {_short(error)} (--refresh asks anew)") from None
    finally:
        ox.settings.requests_kwargs = prepare
        if asked:
            time.sleep(settings.overpass_pause_s)


def _short(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def _check(response: requests.Response, *_: Any, **__: Any) -> None:
    """Refuse an answer that is not whole OSM data. `requests` calls this before anyone sees the answer."""
    if response.is_redirect:
        return
    host = response.url.split("?")[0]
    if response.status_code in BUSY:
        raise _BusyError(f"HTTP {response.status_code}")
    if not response.ok:
        raise ServerTrouble(f"the server answered HTTP {response.status_code} {response.reason} ({host})")
    try:
        document = response.json()
        if "remark" in document:  # what Overpass says when it ran out of time or memory: the data are cut short
            raise ServerTrouble(f"the server could not finish: {str(document['remark'])[:200]} ({host})")
        nodes = {int(e["id"]) for e in document["elements"] if e["type"] == "node" and _on_globe(e)}
        ways = [e["nodes"] for e in document["elements"] if e["type"] == "way"]
        whole = all(node in nodes for way in ways for node in way)
    except (ValueError, KeyError, TypeError, AttributeError):
        whole, ways = False, []
    if not whole:
        raise ServerTrouble(f"the server answered something that is not OSM data ({host})")
    if not ways:
        raise _NothingHereError


def _on_globe(element: dict[str, Any]) -> bool:
    return abs(float(element["lon"])) <= 180.0 and abs(float(element["lat"])) <= 90.0


def _wait_for_slot(settings: Settings, say: Say) -> None:
    """Wait until the server has a free slot, as its status page tells; raises ServerTrouble beyond the longest wait."""
    url, waited = f"{endpoint(settings)}/status", 0.0
    while True:
        try:
            answer = requests.get(url, headers={"User-Agent": USER_AGENT}, timeout=settings.overpass_timeout_s)
        except requests.RequestException as error:
            raise ServerTrouble(f"the server {endpoint(settings)} cannot be reached: {_short(error)}") from None
        pause_s = slot_pause_s(answer.text, dt.datetime.now(tz=dt.UTC)) if answer.ok else 0.0
        if pause_s <= 0:
            return
        if waited + pause_s > settings.overpass_wait_s:
            raise ServerTrouble(f"{endpoint(settings)} has no free slot for {pause_s:.0f} s; try again later")
        say(f"waiting {pause_s:.0f} s for a free slot")
        time.sleep(pause_s)
        waited += pause_s


def slot_pause_s(status: str, now: dt.datetime) -> float:
    """Return the seconds until a slot is free, from the text of an Overpass status page; 0 if it does not tell."""
    if re.search(r"^(Rate limit: 0\b|[1-9]\d* slots? available)", status, re.MULTILINE):
        return 0.0
    times = re.findall(r"^Slot available after: (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)", status, re.MULTILINE)
    if times:
        free = min(dt.datetime.strptime(t, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=dt.UTC) for t in times)
        return max((free - now).total_seconds(), 1.0)
    return CHECK_AGAIN_S if re.search(r"^(0 slots|Currently running)", status, re.MULTILINE) else 0.0

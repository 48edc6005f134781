"""Users of the web atlas for the load tool locust; `benchmarks.web` starts it with what to do in the environment.

Every request goes as one line of JSON into the file ATLAS_LOAD_OUT: begin, seconds, kind, status, Retry-After.
"""

import json
import os
import random
import time
from typing import Any

import gevent
from locust import between, constant_pacing, events, task
from locust.contrib.fasthttp import FastHttpUser

PHASE = os.environ["ATLAS_LOAD_PHASE"]  # clicks, cached or overload
RATE = float(os.environ.get("ATLAS_LOAD_RATE", "1"))  # requests a second, of all phases but clicks
REPEATED = float(os.environ.get("ATLAS_LOAD_REPEATED", "0.6"))
SEED = int(os.environ.get("ATLAS_LOAD_SEED", "1"))
CACHED = json.loads(os.environ.get("ATLAS_LOAD_CACHED", "[]"))

HALTS = (
    "country:CHN@{}/magnet", "country:CHN@{}/Dy,Tb", "country:CHN:us-allies@{}", "stage:CHN/metal@{}",
    "stage:CHN/separation@{}", "facility:lynas-kuantan@{}", "facility:mountain-pass-mine@{}", "passage:malacca@{}",
    "country:MMR@{}", "country:JPN@{}/magnet",
)  # fmt: skip

rows: list[dict[str, Any]] = []
sent: list[float] = []
asked: list[str] = list(CACHED)
chance = random.Random(SEED)


def new_halt() -> str:
    """Return the page of a halt that nobody has asked before: a share with six digits, at random."""
    return "/map?halt=" + chance.choice(HALTS).format(f"0.{chance.randrange(100_000, 999_999)}")


class Visitor(FastHttpUser):
    """What all phases share: one request, noted."""

    abstract = True
    concurrency = 1000
    connection_timeout = network_timeout = 120.0
    default_headers = {"Accept": "text/html", "Accept-Encoding": "br, gzip"}

    def ask(self, path: str, kind: str) -> int:
        """Ask for a page; return its status, 0 where the connection broke."""
        begin = time.time()
        sent.append(begin)
        with self.client.get(path, name=kind, catch_response=True) as answer:
            answer.success()  # counted here, by status
        retry = answer.headers.get("Retry-After") if answer.headers else None
        row = {"begin": begin, "s": time.time() - begin, "kind": kind, "status": answer.status_code, "retry": retry}
        rows.append(row)
        return int(answer.status_code or 0)


if PHASE == "clicks":

    class Analyst(Visitor):
        """Clicks every 20 s or so: a halt that somebody has asked before, or a new one."""

        wait_time = between(15, 25)

        @task
        def click(self) -> None:
            """Ask for one page."""
            if asked and chance.random() < REPEATED:
                self.ask(chance.choice(asked), "repeated")
            else:
                path = new_halt()
                if self.ask(path, "new") == 200:
                    asked.append(path)

else:

    class Crowd(Visitor):
        """Asks so many times a second, whether or not earlier requests are answered."""

        wait_time = constant_pacing(1 / RATE)

        @task
        def come(self) -> None:
            """Send one request and do not wait for it."""
            path, kind = (chance.choice(CACHED), "cached") if PHASE == "cached" else (new_halt(), "new")
            gevent.spawn(self.ask, path, kind)


@events.test_stop.add_listener
def mark(**_: Any) -> None:
    """Tell whoever watches that no more requests are sent."""
    with open(os.environ["ATLAS_LOAD_OUT"] + ".ended", "w", encoding="utf-8") as out:
        out.write(str(sent[-1] if sent else time.time()))


@events.quitting.add_listener
def write(**_: Any) -> None:
    """Write down all requests, those included that are still under way when the time is over."""
    until = time.time() + 60
    while time.time() < until and len(rows) < len(sent):
        gevent.sleep(0.1)
    with open(os.environ["ATLAS_LOAD_OUT"], "w", encoding="utf-8") as out:
        out.writelines(json.dumps(r) + "\n" for r in rows)

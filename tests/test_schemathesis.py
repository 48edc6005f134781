"""Property-based tests made from the OpenAPI document: no failure of the server, no answer that breaks its contract.

Every operation is asked with its examples, at the limits of what its parameters may be, and with values drawn at
random, right and wrong ones, over a small real study; long work is among them. The draws are the same every time. Every
check of schemathesis is made but one: what fits its schema may still name a thing that no layer knows, and is refused.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from schemathesis.engine import events, from_schema
from small_study import small_study

from atlas.config import settings
from atlas.openapi_page import example_address
from atlas.openapi_paths import operations
from atlas.web import create_app

# Of these every new question is seconds of work.
LONG = r"^/api/(buyer|chokepoints|frontier|fixes|reports|worth)\b"
FORMS = r"\.(csv|geojson|toml)$"


@schemathesis.hook
def filter_query(context: Any, query: Any) -> bool:
    """Leave out blank parameters, and lists of nothing: the document says that they are left out, a schema cannot."""
    return not query or not any(_blank(v) for v in query.values())


def _blank(value: Any) -> bool:
    if isinstance(value, list):
        return all(_blank(v) for v in value)
    return isinstance(value, str) and not value.strip(" ,;")


@pytest.fixture(scope="module")
def app() -> Iterator[Any]:
    limits = settings({}, job_wait_s=300, solves_per_minute=0, requests_per_minute=0, request_time_limit_s=0)
    made = create_app(small_study(), limits)
    yield made
    made.extensions["atlas"].close()


class Report:
    """What became of a run: failures in words, requests by operation and status."""

    def __init__(self, app: Any, examples: int, *, coverage: bool, **which: Any) -> None:
        config = schemathesis.Config.from_dict({
            "seed": 1,
            "workers": 1,
            "headers": {"Accept-Encoding": "identity"},  # a test client unpacks nothing
            "checks": {"positive_data_acceptance": {"enabled": False},
                       "negative_data_rejection": {"expected-statuses": ["400", "403", "404", "405", "413", "414"]}},
            "generation": {"max-examples": examples, "deterministic": True, "database": "none", "no-shrink": True},
            "phases": {"coverage": {"enabled": coverage}, "stateful": {"enabled": False}},
        })  # fmt: skip
        schema = schemathesis.openapi.from_wsgi("/api/openapi.json", app, config=config)
        self.failures: list[str] = []
        self.statuses: Counter[tuple[str, int]] = Counter()
        for event in from_schema(schema.include(**which) if which else schema).execute():
            if isinstance(event, events.ScenarioFinished):
                self._note(event.recorder)
            elif isinstance(event, events.NonFatalError):
                self.failures.append(f"{event.label}: {event.value}")
            elif isinstance(event, events.FatalError):
                raise event.exception

    def _note(self, recorder: Any) -> None:
        for interaction in recorder.interactions.values():
            self.statuses[recorder.label, interaction.response.status_code if interaction.response else 0] += 1
        for checks in recorder.checks.values():
            for c in checks:
                if c.failure_info is not None:
                    told = c.failure_info
                    self.failures.append(f"{recorder.label}: {told.failure.title}: {told.failure.message}\n{told.code_sample}")

    @property
    def answered(self) -> set[str]:
        """The operations that answered what was asked at least once."""
        return {label for label, status in self.statuses if 200 <= status < 300}


def labels(pattern: str = "") -> set[str]:
    return {f"{o.method.upper()} {o.path}" for o in operations() if re.search(pattern, o.path)}


def check(report: Report, asked: set[str]) -> None:
    assert not report.failures, "\n\n".join(report.failures[:5])
    assert report.answered == asked
    assert not [k for k in report.statuses if k[1] >= 500]


def test_every_operation_keeps_its_contract(app: Any) -> None:
    """Examples and a few draws of all operations, long ones included."""
    # The document itself is read first, and is not asked again without `coverage`.
    check(Report(app, 2, coverage=False), labels() - labels("openapi"))


@pytest.mark.slow
def test_limits_of_parameters_keep_the_contract(app: Any) -> None:
    """Every limit of every parameter, methods that are not taken, for what solves nothing new."""
    left = labels(FORMS) | labels(LONG) | labels(r"solve|trace|compare|\{thing\}")
    check(Report(app, 1, coverage=True, func=lambda c: c.operation.label not in left), labels() - left)


def test_tables_of_long_work_have_their_columns(app: Any) -> None:
    client = app.test_client()
    document = client.get("/api/openapi.json").get_json()
    held = document["components"]["parameters"]
    for op in operations():
        if op.columns and re.search(LONG, op.path):
            own = [held[p["$ref"].rpartition("/")[2]] for p in document["paths"][op.path]["get"]["parameters"]]
            rows = list(csv.reader(io.StringIO(client.get(example_address(op.path, own)).text)))
            assert tuple(rows[0]) == op.columns, op.path
            assert len(rows) > 1


@pytest.mark.slow
@pytest.mark.parametrize(("pattern", "examples"), [(rf"^(?!{LONG[1:]})", 60), (LONG, 8)])
def test_many_draws_keep_the_contract(app: Any, pattern: str, examples: int) -> None:
    check(Report(app, examples, coverage=True, path_regex=pattern), labels(pattern))

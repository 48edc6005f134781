"""One table of what goes wrong and the HTTP status it has; nothing else decides a status."""

import http
from dataclasses import dataclass, field

from werkzeug.exceptions import HTTPException

from atlas.errors import AtlasError, BadInput, Cancelled, NoAnswer, SolverFailure, SolverTimeUp, UnknownName


class NotFound(UnknownName):
    """A path, or an id in a path, that does not exist."""


class TooLarge(BadInput):
    """A body larger than the server reads."""


class TooMany(AtlasError):
    """One address asks for more new answers than it may."""


class CrossSite(AtlasError):
    """A page of another site asks for something to be changed."""


class Overload(AtlasError):
    """All places to solve are taken and the queue is full."""


class TimeUp(AtlasError):
    """An answer took longer than a request may wait; it goes on and will be remembered."""


# The first class that fits decides.
STATUS: tuple[tuple[type[Exception], int], ...] = (
    (NotFound, 404),
    (TooLarge, 413),
    (CrossSite, 403),
    (TooMany, 429),
    (Overload, 503),
    (Cancelled, 503),  # the server is stopping, or others took the work back: it can be asked for again
    (TimeUp, 504),
    (BadInput, 400),
    (SolverTimeUp, 504),
    (SolverFailure, 503),  # the solver died or answered nonsense: as with an overload, a later try may do
    (NoAnswer, 404),
    (RecursionError, 400),  # only deep input nests so far
)
RETRY_AFTER_S = {429: 15, 503: 5, 504: 10}

HTTP_TEXT = {
    400: "the request cannot be read",
    403: "the request is refused",
    404: "there is no such page",
    405: "this address does not take that method",
    413: "the request is too large",
    414: "the address is too long",
    415: "the body must be JSON",
}


OGC_ROOT = "/ogc"


def of_ogc(path: str) -> bool:
    """Return whether a path belongs to OGC API - Features."""
    return path == OGC_ROOT or path.startswith(f"{OGC_ROOT}/")


@dataclass(frozen=True)
class Failure:
    """What to answer: status, one line, all problems, headers."""

    status: int
    error: str
    problems: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, object]:
        """Return the contract's shape of an error."""
        return {"ok": False, "error": self.error, "problems": self.problems, "status": self.status}

    def ogc_body(self) -> dict[str, object]:
        """Return the shape that OGC API - Features has for an error (17-069r4, 7.5), for what stands under /ogc."""
        return {"code": str(self.status), "description": "; ".join(self.problems) or self.error}

    @property
    def phrase(self) -> str:
        """The words of the status."""
        return http.HTTPStatus(self.status).phrase


def failure(error: Exception) -> Failure:
    """Return the answer to an error; whatever the table does not know is a fault of the server (500)."""
    if isinstance(error, HTTPException) and error.code is not None:
        text = HTTP_TEXT.get(error.code, (error.name or "error").lower())
        allowed = getattr(error, "valid_methods", None)
        headers = {"Allow": ", ".join(sorted(allowed))} if allowed else {}
        return Failure(error.code, text, [text], headers)
    for kind, status in STATUS:
        if isinstance(error, kind):
            problems = list(getattr(error, "problems", [])) or ["the input is nested too deeply"]
            retry = RETRY_AFTER_S.get(status)
            shown = problems[0] if len(problems) == 1 else f"{len(problems)} problems: {problems[0]}"
            return Failure(status, shown, problems, {"Retry-After": str(retry)} if retry else {})
    text = "something went wrong in the server; it is logged"
    return Failure(500, text, [text])

"""What the head of an HTTP request may take of a server, and what is said to whose request is none, or takes more."""

from http import HTTPStatus
from typing import NamedTuple

from hubbub.ports.metrics import Count
from hubbub.transports.environment import chosen

HEAD = chosen("TIMEOUT_HEAD", 10.0)
"""Seconds for the head of a request to be there."""
HEAD_SIZE = int(chosen("LIMIT_HEAD", 64 * 1024))
"""Bytes of a head: more than a proxy lets pass (nginx: 32 KiB)."""
HEADERS = int(chosen("LIMIT_HEADERS", 100))
"""Headers of a request: Apache's figure."""
WAITING = 100
"""Requests on one socket that may wait for the answer to the one before them."""


class Refusal(NamedTuple):
    status: HTTPStatus
    what: Count
    text: str
    retry_after: int | None = None
    """Seconds."""


INVALID = Refusal(HTTPStatus.BAD_REQUEST, Count.INVALID_REQUESTS, "Invalid HTTP request received.")
NO_PROXY = Refusal(HTTPStatus.BAD_REQUEST, Count.INVALID_REQUESTS, "This is no proxy.")
TOO_LARGE = Refusal(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    Count.LARGE_HEADS,
    f"The head of a request has at most {HEAD_SIZE} bytes and {HEADERS} headers.",
)
TOO_SLOW = Refusal(
    HTTPStatus.REQUEST_TIMEOUT, Count.LATE_BODIES, "The body of the request did not come in the time allowed."
)
FULL = Refusal(
    HTTPStatus.SERVICE_UNAVAILABLE, Count.CROWDED_SOCKETS, "This worker may open no more sockets.", retry_after=2
)
TOO_MANY = Refusal(
    HTTPStatus.TOO_MANY_REQUESTS,
    Count.INVALID_REQUESTS,
    f"At most {WAITING} requests on one connection wait for an answer.",
)


class Refused(Exception):
    """Raised while httptools parses a request, which wraps it."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.text)
        self.refusal = refusal


def refusal_of(error: BaseException | None) -> Refusal:
    """What a parser's exception means. h11 says itself where it is that there is too much."""
    if isinstance(error, Refused):
        return error.refusal
    return TOO_LARGE if getattr(error, "error_status_hint", 0) == TOO_LARGE.status else INVALID

"""What one HTTP request may take of a server, and what is said to who takes more.

uvicorn makes its protocol classes itself and hands them nothing of ours, so an operator's choices come by the
environment, read once where the server loads the class: what cannot be used ends its start.
"""

import math
import os
from http import HTTPStatus
from typing import NamedTuple

from hubbub.errors import ConfigurationError
from hubbub.ports.metrics import Count


def _chosen(name: str, default: float) -> float:
    text = os.environ.get(f"HUBBUB_{name}") or str(default)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise ConfigurationError(f"HUBBUB_{name} is a number greater than 0, not {text!r}")
    return value


HEAD = _chosen("TIMEOUT_HEAD", 10.0)
"""Seconds for the head of a request to be there."""
HEAD_SIZE = int(_chosen("LIMIT_HEAD", 64 * 1024))
"""Bytes of a head: more than a proxy lets pass (nginx: 32 KiB)."""
HEADERS = int(_chosen("LIMIT_HEADERS", 100))
"""Headers of a request: Apache's figure."""
WAITING = 100
"""Requests on one socket that may wait for the answer to the one before them."""


class Refusal(NamedTuple):
    status: HTTPStatus
    what: Count
    text: str


INVALID = Refusal(HTTPStatus.BAD_REQUEST, Count.INVALID_REQUESTS, "Invalid HTTP request received.")
NO_PROXY = Refusal(HTTPStatus.BAD_REQUEST, Count.INVALID_REQUESTS, "This is no proxy.")
TOO_LARGE = Refusal(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    Count.LARGE_HEADS,
    f"The head of a request has at most {HEAD_SIZE} bytes and {HEADERS} headers.",
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

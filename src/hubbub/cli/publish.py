"""`hubbub publish`: a message to a room of a running server, over HTTP."""

import json
import re
from typing import Any, NoReturn
from urllib.parse import quote, urlsplit

import httpx

from hubbub.auth.redaction import harmless
from hubbub.cli.over_http import ways_to
from hubbub.cli.settings import Settings
from hubbub.errors import ConfigurationError, HubbubError

TIMEOUT = 10.0
#: Characters of a refusal that are shown.
_LONGEST = 1_000

_IDEMPOTENCY_KEY = re.compile("[ -~]{1,128}")


class PublishError(HubbubError):
    """The server was not reached, or did not take the message; the text says which."""


def publish(
    room: str, message: str, settings: Settings, *, url: str, idempotency_key: str | None = None, keep: bool = True
) -> str:
    """The server's answer, as it came.

    `message` is JSON text, sent unchanged. `idempotency_key`: 1 to 128 printable ASCII characters, of a message that is
    to be kept. `keep`: as `hubbub.Room.send` has it.

    Raises ConfigurationError for what is wrong before anything is sent, PublishError for everything after.
    """
    _check_message(message)
    target = _target(url, room)
    headers = {"Content-Type": "application/json"}
    if idempotency_key is not None:
        if not _IDEMPOTENCY_KEY.fullmatch(idempotency_key):
            raise ConfigurationError("--idempotency-key is 1 to 128 printable ASCII characters")
        if not keep:
            raise ConfigurationError("--idempotency-key is known by what is kept: leave it out, or --no-keep")
        headers["Idempotency-Key"] = idempotency_key
    params = {} if keep else {"keep": "false"}
    key = settings.publish_key
    if key is not None:
        headers["Authorization"] = f"Bearer {key.get_secret_value()}"
    try:
        with httpx.Client(timeout=TIMEOUT, **ways_to(urlsplit(target).hostname)) as client:
            answer = client.post(target, params=params, content=message.encode(), headers=headers)
    except httpx.TimeoutException:
        raise PublishError(f"No answer from {url} within {TIMEOUT:.0f} seconds") from None
    except httpx.HTTPError as error:
        raise PublishError(f"Cannot reach {url}: {error}") from None
    if answer.status_code != httpx.codes.OK:
        raise PublishError(_refusal(answer, url, with_key=key is not None))
    return answer.text


def _check_message(message: str) -> None:
    try:
        value = json.loads(message, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"The message is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ConfigurationError('The message is a JSON object, like {"type": "notice", "text": "hello"}')


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not in JSON")


def _target(url: str, room: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        usable = usable and "@" not in parts.netloc
    except ValueError:
        usable = False
    if not usable:
        # The text itself is not repeated: somebody may have put a password into it.
        raise ConfigurationError("--url is the server's address, like http://127.0.0.1:8000, without user and password")
    return f"{url.rstrip('/')}/api/rooms/{quote(room, safe='')}/messages"


def _refusal(answer: httpx.Response, url: str, *, with_key: bool) -> str:
    said = _said(answer)
    match answer.status_code:
        case 401 | 403 if with_key:
            return f"The server did not accept the publishing key{said}"
        case 401 | 403:
            return f"The server asks for a publishing key: set HUBBUB_PUBLISH_KEY{said}"
        case 404:
            return f"There is no publishing at {url}: the server is another application{said}"
        case 422:
            return f"The server refused the message{said}"
        case 503:
            return f"The server cannot publish at the moment; its broker is away{said}"
        case status:
            return f"The server answered {status} {harmless(answer.reason_phrase)}{said}"


def _said(answer: httpx.Response) -> str:
    """What the answer says for itself, with the field at fault: FastAPI's `detail`, or an `error` of the protocol's."""
    try:
        body = answer.json()
    except ValueError:
        return ""
    if not isinstance(body, dict):
        return ""
    detail = body.get("detail", body)
    problems = detail if isinstance(detail, list) else [detail]
    text = "; ".join(filter(None, (_problem(problem) for problem in problems)))
    # Whatever answers may be another server: its words move no cursor here.
    return f": {harmless(text, limit=_LONGEST)}" if text else ""


def _problem(problem: Any) -> str:
    if isinstance(problem, str):
        return problem
    if not isinstance(problem, dict):
        return ""
    place = [str(part) for part in problem.get("loc", []) if part != "body"]
    field = ".".join(place) or problem.get("field")
    text = str(problem.get("msg") or problem.get("message") or "")
    return f"{field}: {text}" if field else text

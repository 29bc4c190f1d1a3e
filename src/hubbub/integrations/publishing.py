"""Publishing by HTTP: for programs in any language, and for `hubbub publish`.

    app.include_router(publishing(keys=["…"]))

The body is the message, as `hub.room(name).send` takes it. 200 with the position (null where there is no history), 401
for a wrong key, 403 where no key is configured at all, 413 for too many bytes, 422 for a body that cannot be sent, 429
where the room's rate is used up or too many wrong keys came from one address, 503 when the broker is away. Who sends
the same `Idempotency-Key` again, because no answer came, gets the first one's position, and the message is delivered
once, where there is history. `?keep=false` keeps it from the history, as `send(keep=False)` does. The body must be
declared as JSON: what a web page could post to another site without asking is not. Several messages go in one request
(`batch.py`).
"""

import math
import re
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Depends, Header, HTTPException, Query, Request
from fastapi.responses import JSONResponse

from hubbub.errors import ConfigurationError, InvalidMessage, RateLimited, Unavailable
from hubbub.hub.current import hub_or_current
from hubbub.hub.handshakes import RETRY_AFTER
from hubbub.hub.hub import Hub, gate_of
from hubbub.integrations import batch
from hubbub.integrations.answers import Published, Results, published
from hubbub.integrations.bodies import read_object, unprocessable
from hubbub.types import Position


def _once(idempotency_key: Annotated[str | None, Header()] = None) -> str | None:
    """Not by `Header(max_length=…)`: FastAPI's answer would repeat it, and nobody else's key is to be seen in a log."""
    if idempotency_key is None or _KEY.fullmatch(idempotency_key):
        return idempotency_key
    raise unprocessable("header", "idempotency-key", "an Idempotency-Key is 1 to 128 printable ASCII characters")


_Keep = Annotated[bool, Query(description="false: for this moment alone, and not for the history")]
_Once = Annotated[str | None, Depends(_once)]
_KEY = re.compile("[ -~]{1,128}")

# Said by hand, because FastAPI does not see a body here.
_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}}

_REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"description": "The key is missing or wrong"},
    403: {"description": "No key is configured"},
    429: {"description": "Too many wrong keys came from this address"},
}
_AWAY: dict[int | str, dict[str, Any]] = {
    429: {"description": "More than the room's rate"},
    503: {"description": "The broker is away"},
}


def publishing(*, keys: Sequence[str], anyone: bool = False, prefix: str = "/api", hub: Hub | None = None) -> APIRouter:
    """Routes to publish to rooms, users and everyone of `hub`, by default the one of the application.

    A request shows one of `keys` as `Authorization: Bearer <key>`; `anyone=True` asks for none, which is for
    development. Raises ConfigurationError for an empty key, and for `keys` and `anyone` that are something else.
    """
    # A string is a sequence of keys of one letter, and "false" from the environment is true.
    if isinstance(keys, str) or not all(isinstance(key, str) for key in keys):
        raise ConfigurationError("keys is a list of strings: keys=[…]")
    if not isinstance(anyone, bool):
        raise ConfigurationError(f"anyone is True or False, not {type(anyone).__name__}")
    if not all(keys):
        raise ConfigurationError("a key for publishing must not be empty: anybody could show it")

    Which: TypeAlias = Annotated[Hub, Depends(hub_or_current(hub))]

    async def check_key(request: Request, hub: Which, authorization: Annotated[str | None, Header()] = None) -> None:
        if anyone:
            return
        if not keys:
            raise HTTPException(403, "publishing by HTTP is off: no key is configured (HUBBUB_PUBLISH_KEY)")
        gate_of(hub).check(request.scope)
        scheme, _, shown = (authorization or "").partition(" ")
        # Every key is compared, each in constant time, so that the answer's time tells nothing of either.
        fits = [secrets.compare_digest(shown.strip().encode(), key.encode()) for key in keys]
        if scheme.lower() != "bearer" or not any(fits):
            gate_of(hub).failed(request.scope)
            raise HTTPException(401, "publishing needs a key", {"WWW-Authenticate": "Bearer"})

    router = APIRouter(prefix=prefix, dependencies=[Depends(check_key)], tags=["publish"], responses=_REFUSALS)

    async def read(request: Request, hub: Which) -> dict[str, Any]:
        limit = hub.limits.payload
        what = f"the message has more than the {limit} bytes a message may have"
        return await read_object(request, limit=limit, what=what, depth=hub.limits.depth)

    Read: TypeAlias = Annotated[dict[str, Any], Depends(read)]

    @router.post("/rooms/{room:path}/messages", openapi_extra=_BODY, response_model=Published, responses=_AWAY)
    async def to_room(room: str, message: Read, once: _Once, hub: Which, keep: _Keep = True) -> dict[str, Any]:
        """Send a message to a room's members."""
        return await _answer(lambda: hub.room(room).send(message, keep=keep, idempotency_key=once))

    @router.post("/users/{user:path}/messages", openapi_extra=_BODY, response_model=Published, responses=_AWAY)
    async def to_user(user: str, message: Read, once: _Once, hub: Which, keep: _Keep = True) -> dict[str, Any]:
        """Send a message to all tabs of a user, and to the inbox where the hub has one."""
        return await _answer(lambda: hub.user(user).send(message, keep=keep, idempotency_key=once))

    @router.post("/broadcast", openapi_extra=_BODY, response_model=Published, responses=_AWAY)
    async def to_everyone(message: Read, once: _Once, hub: Which) -> dict[str, Any]:
        """Send a message to every connection. Nothing is kept of it, so there is nothing a key could be known by."""
        return await _answer(lambda: hub.broadcast(message))

    @router.post("/messages", openapi_extra=batch.BODY, response_model=Results)
    async def several(request: Request, hub: Which) -> JSONResponse:
        """Send several messages to rooms and users. Each has its own outcome: its position, or its error."""
        return JSONResponse(await batch.send_batch(hub, await batch.read_batch(request, hub)))

    return router


async def _answer(send: Callable[[], Awaitable[Position | None]]) -> dict[str, Any]:
    try:
        position = await send()
    except InvalidMessage as error:
        raise unprocessable("path", error.field, error.message) from None
    except ValueError as error:
        raise unprocessable("body", "", str(error)) from None
    except RateLimited as error:
        again = max(1, math.ceil((error.retry_after or 0) / 1000))
        raise HTTPException(429, error.message, {"Retry-After": str(again)}) from None
    except Unavailable as error:
        raise HTTPException(503, error.message, RETRY_AFTER) from None
    return published(position)

"""Publishing by HTTP: for programs in any language, and for `hubbub publish`.

    app.include_router(publishing(keys=["…"]))

The body is the message, as `hub.room(name).send` takes it. 200 with the position (null where there is no history),
401 for a wrong key, 403 where no key is configured at all, 422 for a body that cannot be sent, 503 when the broker is
away. Who sends the same `Idempotency-Key` again, because no answer came, gets the first one's position, and the message
is delivered once, where there is history. The body must be declared as JSON: what a web page could post to another site
without asking is not.
"""

import re
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Depends, Header, HTTPException, Request
from starlette.requests import ClientDisconnect

from hubbub.errors import ConfigurationError, InvalidMessage, Unavailable
from hubbub.hub.current import hub_or_current
from hubbub.hub.handshakes import RETRY_AFTER
from hubbub.hub.hub import Hub
from hubbub.protocol.codec import decode
from hubbub.types import Position


async def _read(request: Request, hub: Hub) -> dict[str, Any]:
    """The body, read as strictly as a client's frame.

    Not by `Body()`: FastAPI's answer to a body repeats it, and fails on one with NaN or half a surrogate pair.
    """
    if not _is_json(request.headers.get("content-type", "")):
        raise _unprocessable("body", "", "the body is JSON and says so: Content-Type: application/json")
    limit = hub.limits.payload
    body = bytearray()
    try:
        async for chunk in request.stream():
            if len(body) <= limit:  # the rest is read and forgotten, so that the client reads the answer
                body += chunk
    except ClientDisconnect:
        raise HTTPException(400, "the body ended too early") from None
    if len(body) > limit:
        raise _unprocessable("body", "", f"the message has more than the {limit} bytes a message may have")
    try:
        return decode(body.decode(), depth=hub.limits.depth)
    except UnicodeDecodeError:
        raise _unprocessable("body", "", "not UTF-8") from None
    except InvalidMessage as error:
        raise _unprocessable("body", error.field, error.message) from None


def _once(idempotency_key: Annotated[str | None, Header()] = None) -> str | None:
    """Not by `Header(max_length=…)`: FastAPI's answer would repeat it, and nobody else's key is to be seen in a log."""
    if idempotency_key is None or _KEY.fullmatch(idempotency_key):
        return idempotency_key
    raise _unprocessable("header", "idempotency-key", "an Idempotency-Key is 1 to 128 printable ASCII characters")


_Once = Annotated[str | None, Depends(_once)]
_KEY = re.compile("[ -~]{1,128}")

# Said by hand, because FastAPI does not see a body here.
_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}}


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

    def check_key(authorization: Annotated[str | None, Header()] = None) -> None:
        if anyone:
            return
        if not keys:
            raise HTTPException(403, "publishing by HTTP is off: no key is configured (HUBBUB_PUBLISH_KEY)")
        scheme, _, shown = (authorization or "").partition(" ")
        # Every key is compared, each in constant time, so that the answer's time tells nothing of either.
        fits = [secrets.compare_digest(shown.strip().encode(), key.encode()) for key in keys]
        if scheme.lower() != "bearer" or not any(fits):
            raise HTTPException(401, "publishing needs a key", {"WWW-Authenticate": "Bearer"})

    router = APIRouter(prefix=prefix, dependencies=[Depends(check_key)], tags=["publish"])
    Which: TypeAlias = Annotated[Hub, Depends(hub_or_current(hub))]

    async def read(request: Request, hub: Which) -> dict[str, Any]:
        return await _read(request, hub)

    Read: TypeAlias = Annotated[dict[str, Any], Depends(read)]

    @router.post("/rooms/{room:path}/messages", openapi_extra=_BODY)
    async def to_room(room: str, message: Read, once: _Once, hub: Which) -> dict[str, Any]:
        """Send a message to a room's members."""
        return await _answer(lambda: hub.room(room).send(message, idempotency_key=once))

    @router.post("/users/{user:path}/messages", openapi_extra=_BODY)
    async def to_user(user: str, message: Read, once: _Once, hub: Which) -> dict[str, Any]:
        """Send a message to all tabs of a user, and to the inbox where the hub has one."""
        return await _answer(lambda: hub.user(user).send(message, idempotency_key=once))

    @router.post("/broadcast", openapi_extra=_BODY)
    async def to_everyone(message: Read, once: _Once, hub: Which) -> dict[str, Any]:
        """Send a message to every connection. Nothing is kept of it, so there is nothing a key could be known by."""
        return await _answer(lambda: hub.broadcast(message))

    return router


async def _answer(send: Callable[[], Awaitable[Position | None]]) -> dict[str, Any]:
    try:
        position = await send()
    except InvalidMessage as error:
        raise _unprocessable("path", error.field, error.message) from None
    except ValueError as error:
        raise _unprocessable("body", "", str(error)) from None
    except Unavailable as error:
        raise HTTPException(503, error.message, RETRY_AFTER) from None
    if position is None:
        return {"position": None}
    return {"position": {"epoch": position.epoch, "offset": position.offset}}


def _unprocessable(where: str, field: str | None, message: str) -> HTTPException:
    """In the form of FastAPI's own."""
    return HTTPException(422, [{"loc": [where, field] if field else [where], "msg": message}])


def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))

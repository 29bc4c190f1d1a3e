"""The routes of operators: the page, its session, and the API that it asks and scripts may ask too.

Longer than others, because one function makes all of them: they share the credential, the hub and who watches it.
"""

import asyncio
import math
import mimetypes
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.params import Depends as DependsParam
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket

from hubbub.errors import ConfigurationError, InvalidMessage, RateLimited, Unavailable
from hubbub.hub import included
from hubbub.hub.current import hub_or_current
from hubbub.hub.handshakes import RETRY_AFTER
from hubbub.hub.hub import Hub, operators_of
from hubbub.hub.operators import EVERY, KEPT, LISTED, own_origin
from hubbub.integrations.admin import cluster
from hubbub.integrations.admin.credential import ELSEWHERE, Credential, chosen_key, cookie
from hubbub.integrations.admin.live import MOST, Live
from hubbub.integrations.answers import published
from hubbub.integrations.bodies import read_object, unprocessable
from hubbub.protocol.codec import decode

_STATIC = Path(__file__).with_name("static")
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self' ws: wss:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_PRIVATE = {"Cache-Control": "no-store"}
_PAGE = {**_HEADERS, "Cache-Control": "no-cache"}

# Of a body that is no message: a key, a reason.
_SMALL = 4096
_Limit = Annotated[int, Query(ge=1, le=500)]
# The files there are, and no path that somebody asks for.
_FILES = {file.name: file for file in _STATIC.iterdir() if file.suffix in (".css", ".js")}


def admin(*, key: str | None = None, dependencies: Sequence[DependsParam] = (), hub: Hub | None = None) -> APIRouter:
    """The page of operators of `hub`, by default the one of the application, and its API.

        app.include_router(admin(), prefix="/admin")

    Whoever shows `key`, by default HUBBUB_ADMIN_KEY, of at least 32 bytes, sees all rooms, users and messages that are
    kept, publishes, and closes connections. `dependencies` in its place are the application's own: they raise
    HTTPException for who is no operator, on every route but the page itself, which holds nothing. Each worker with the
    page keeps a sample of its numbers every five seconds, for fifteen minutes. Raises ConfigurationError with neither
    of them, with both, and for a bad key.
    """
    if dependencies and key is not None:
        raise ConfigurationError("admin: key= or dependencies=, not both: who would let operators in?")
    chosen = None if dependencies else chosen_key(key)
    if chosen is None and not dependencies:
        raise ConfigurationError(
            "admin: nobody may see this without a credential: key=…, HUBBUB_ADMIN_KEY, or dependencies=[Depends(…)]"
        )
    credential = Credential(chosen)
    strangers: set[WebSocket] = set()
    watched: weakref.WeakKeyDictionary[Hub, Live] = weakref.WeakKeyDictionary()

    # In the loop and not in a thread, where it could not be said which of the application's mounts is the cause.
    async def running(hub: Annotated[Hub, Depends(hub_or_current(hub))]) -> Hub:
        try:
            operators_of(hub)
        except ConfigurationError as error:
            raise HTTPException(503, str(error), RETRY_AFTER) from None
        return hub

    Which: TypeAlias = Annotated[Hub, Depends(running)]

    async def check(connection: HTTPConnection, hub: Which) -> None:
        credential.check(connection, hub)

    async def read(request: Request, hub: Which) -> dict[str, Any]:
        limit = hub.limits.payload + _SMALL
        what = f"the body has more than the {limit} bytes it may have"
        return await read_object(request, limit=limit, what=what, depth=hub.limits.depth + 1)

    Read: TypeAlias = Annotated[dict[str, Any], Depends(read)]

    router = APIRouter(tags=["admin"], lifespan=_sampling(hub))
    asked = APIRouter(prefix="/api", dependencies=[Depends(check), *dependencies])

    # The page, which holds nothing.

    @router.get("/", include_in_schema=False)
    async def page() -> Response:
        return Response((_STATIC / "index.html").read_bytes(), media_type="text/html", headers=_PAGE)

    @router.get("/static/{name}", include_in_schema=False)
    async def static(name: str) -> Response:
        file = _FILES.get(name)
        if file is None:
            raise HTTPException(404)
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return Response(file.read_bytes(), media_type=kind, headers=_PAGE)

    # Its session.

    @router.get("/session")
    async def session(request: Request, response: Response) -> dict[str, Any]:
        """Whether there is a form, and whether who asks is in."""
        response.headers.update(_PRIVATE)
        said = {"login": credential.key is not None, "in": credential.has_session(request)}
        return {**said, "version": version("hubbub")} if said["in"] else said

    @router.post("/login", status_code=204)
    async def login(request: Request, hub: Which) -> Response:
        """Show the key once, for a cookie that is good for twelve hours."""
        if not own_origin(request.scope):
            raise HTTPException(403, ELSEWHERE)
        body = await read_object(request, limit=_SMALL, what=f"the body has more than {_SMALL} bytes", depth=2)
        shown = body.get("key")
        if not isinstance(shown, str):
            raise unprocessable("body", "key", "a string")
        if not credential.fits(request, hub, shown):
            raise HTTPException(401, "the key is wrong")
        response = Response(status_code=204, headers=_PRIVATE)
        response.set_cookie(**cookie(credential.session(), request))
        operators_of(hub).record(request.scope, "logged in")
        return response

    @router.post("/logout", status_code=204)
    async def logout(request: Request) -> Response:
        """Forget the cookie."""
        response = Response(status_code=204, headers=_PRIVATE)
        response.set_cookie(**cookie("", request, life=0))
        return response

    # What is asked.

    @asked.get("/overview")
    async def overview(hub: Which) -> Response:
        """All workers, the broker, and what was refused."""
        return await _answer(cluster.overview(hub, time.time()))

    @asked.get("/samples")
    async def samples(hub: Which, since: float = 0.0) -> Response:
        """How it was within the last fifteen minutes, or `since` that Unix time, worker by worker."""
        return await _answer(cluster.samples(hub, since, EVERY, EVERY * KEPT))

    @asked.get("/rooms")
    async def rooms(
        hub: Which,
        prefix: str = "",
        after: str | None = None,
        limit: _Limit = 100,
        order: Literal["name", "size"] = "name",
    ) -> Response:
        """Rooms with a connection: by name, page after page, or the largest."""
        return await _answer(cluster.rooms(hub, prefix, after, limit, by_size=order == "size"))

    @asked.get("/rooms/{room:path}")
    async def room(room: str, hub: Which, limit: _Limit = 20) -> Response:
        """Who is in it, and the newest of its history."""
        return await _answer(cluster.room(hub, room, limit, LISTED))

    @asked.get("/users/{user:path}")
    async def user(user: str, hub: Which, limit: _Limit = 100) -> Response:
        """A user's connections, on all workers."""

        async def found() -> dict[str, Any]:
            online = await hub.user(user).is_online()
            return {"user": user, "online": online, **await cluster.connections(hub, limit, user)}

        return await _answer(found())

    @asked.get("/connections")
    async def connections(hub: Which, limit: _Limit = 50) -> Response:
        """Slow readers: the connections for which most waits."""
        return await _answer(cluster.connections(hub, limit))

    # What is done.

    @asked.post("/publish")
    async def publish(request: Request, body: Read, hub: Which) -> Response:
        """Send a message to a room, a user or everyone, as the application would."""
        message = body.get("message")
        if not isinstance(message, dict):
            raise unprocessable("body", "message", "an object with a type")
        to = [name for name in ("room", "user", "everyone") if name in body]
        if len(to) != 1:
            raise unprocessable("body", "room", "one of room, user and everyone")
        name = body[to[0]]
        if to[0] != "everyone" and not isinstance(name, str):
            raise unprocessable("body", to[0], "a string")
        if to[0] == "everyone" and name is not True:
            raise unprocessable("body", "everyone", "true")

        async def send() -> dict[str, Any]:
            try:
                if to[0] == "everyone":
                    position = await hub.broadcast(message)
                elif to[0] == "room":
                    position = await hub.room(name).send(message)
                else:
                    position = await hub.user(name).send(message)
            except InvalidMessage as error:
                raise unprocessable("body", to[0], error.message) from None
            except (ValueError, TypeError) as error:
                raise unprocessable("body", "message", str(error)) from None
            return published(position)

        answer = await _answer(send())
        operators_of(hub).record(request.scope, f"published to {to[0]}" + ("" if name is True else f" {name}"))
        return answer

    @asked.post("/users/{user:path}/disconnect")
    async def disconnect(request: Request, user: str, hub: Which, body: Read) -> Response:
        """Close all of a user's connections, with 4003."""
        reason = _reason(body)

        async def close() -> dict[str, Any]:
            there = await hub.user(user).connections()
            await hub.user(user).disconnect(reason)
            return {"connections": len(there)}

        answer = await _answer(close())
        operators_of(hub).record(request.scope, f"disconnected {user}")
        return answer

    @asked.post("/connections/{connection}/disconnect")
    async def disconnect_one(request: Request, connection: str, hub: Which, body: Read) -> Response:
        """Close one connection, with 4003."""
        answer = await _answer(cluster.close(hub, connection, _reason(body)))
        operators_of(hub).record(request.scope, f"disconnected the connection {connection}")
        return answer

    # As it is, every two seconds.

    @router.websocket("/api/live", dependencies=list(dependencies))
    async def live(websocket: WebSocket, hub: Which) -> None:
        if not own_origin(websocket.scope):
            await websocket.close(4003, ELSEWHERE)
            return
        until = math.inf if credential.key is None else credential.session_ends(websocket.cookies)
        await websocket.accept()
        if until <= time.time():
            if len(strangers) >= MOST:
                await websocket.close(1013, f"{MOST} have not shown a key yet")
                return
            strangers.add(websocket)
            try:
                until = await _shown(websocket, credential, hub)
            finally:
                strangers.discard(websocket)
            if not until:
                return
        watchers = watched.get(hub)
        if watchers is None:
            watchers = watched[hub] = Live(hub)
        if watchers.count >= MOST:
            await websocket.close(1013, f"{MOST} watch already")
            return
        await watchers.watch(websocket, until)

    router.include_router(asked)
    return router


async def _shown(websocket: WebSocket, credential: Credential, hub: Hub) -> float:
    """The key, in the first message: until when it is good, 0 where it was closed."""
    try:
        async with asyncio.timeout(hub.limits.authenticate):
            first = await websocket.receive()
    except TimeoutError:
        first = {"type": "websocket.receive"}
    if first["type"] == "websocket.disconnect":
        return 0.0
    text = first.get("text")
    try:
        # As strictly as a body: nobody is known yet, and what is deep or long is read before it is refused.
        said = decode(text, depth=2) if isinstance(text, str) and len(text) <= _SMALL else {}
    except InvalidMessage:
        said = {}
    if said.get("type") != "auth":
        await websocket.close(4001, "operators show a key within time, or log in")
        return 0.0
    shown = said.get("key")
    try:
        fits = isinstance(shown, str) and credential.fits(websocket, hub, shown)
    except HTTPException as refused:
        await websocket.close(1013, str(refused.detail))
        return 0.0
    if not fits:
        await websocket.close(4001, "the key is wrong")
        return 0.0
    return math.inf


async def _answer(asked: Awaitable[dict[str, Any]]) -> Response:
    try:
        return JSONResponse(await asked, headers=_PRIVATE)
    except InvalidMessage as error:
        raise unprocessable("path", error.field, error.message) from None
    except RateLimited as error:
        raise HTTPException(429, error.message, RETRY_AFTER) from None
    except (Unavailable, ConfigurationError) as error:  # the broker is away, or the hub has stopped meanwhile
        raise HTTPException(503, str(error), RETRY_AFTER) from None


def _reason(body: dict[str, Any]) -> str:
    reason = body.get("reason", "")
    if not isinstance(reason, str):
        raise unprocessable("body", "reason", "a string")
    return reason


def _sampling(given: Hub | None) -> Any:
    """The lifespan of the router: as long as the application runs, samples are taken of its hubs."""

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        task = asyncio.create_task(_take_samples(app, given))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    return lifespan


async def _take_samples(app: Any, given: Hub | None) -> None:
    while True:
        hubs = [given] if given is not None else [hub for _, hub in included.everywhere(app) if isinstance(hub, Hub)]
        for hub in dict.fromkeys(hubs):
            with suppress(ConfigurationError):  # it does not run yet, or no more
                operators_of(hub).sample()
        await asyncio.sleep(EVERY)

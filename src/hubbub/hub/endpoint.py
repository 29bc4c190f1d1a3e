"""From a handshake to a connection: who may come in, and how the others are told no.

Before accept, by HTTP: 400 for a handshake that makes no sense, 401 for a credential that proves nobody, 403 for an
Origin that is not ours, 503 when there is no room or no broker. But a browser shows a script nothing of a refused
handshake, only 1006, and a client that cannot tell "fetch a new token" from "the network is down" comes back for ever:
so where there is an Origin, a bad credential is accepted and closed with 4001. The Origin is checked first, so that
nobody's cookie is looked at for a hostile page.
"""

import asyncio
import contextvars
import logging
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket

from hubbub import closes
from hubbub.auth.carriers import Absent, Malformed, Unusable, select_subprotocol
from hubbub.auth.origin import OriginRules, shown
from hubbub.auth.refusals import Refusals
from hubbub.auth.select import Claim, examine
from hubbub.connection.connection import Connection
from hubbub.connection.context import Context
from hubbub.errors import (
    ConnectionClosed,
    CredentialError,
    HandshakeRefused,
    InvalidCredential,
    InvalidMessage,
    described,
    text_of,
)
from hubbub.hub.asgi_call import is_watched
from hubbub.ports.auth import Authenticator, Carrier
from hubbub.ports.metrics import Count
from hubbub.ports.transport import Driven, Transport
from hubbub.protocol.handshake import Handshake, Usual
from hubbub.protocol.messages import check_name, check_user
from hubbub.scheduling.limited_log import LimitedLog
from hubbub.scheduling.tasks import is_our_end
from hubbub.transports.asgi import EXTENSION, GONE, ASGITransport
from hubbub.types import ConnectionId, User, UserId

_log = logging.getLogger("hubbub.endpoint")

_NO_AUTH = "refused a connection: the hub has no auth=, so nobody can be let in"
_FAILED = "authenticating a handshake failed"
_BAD_ORIGIN = "refused a handshake by its Origin"
# The others are told where they are found, with what is known there.
_NOT_YET_TOLD = {400, 503}

#: What a client that was sent away should wait, in seconds. The broker or a place is usually back by then.
RETRY_AFTER = {"Retry-After": "2"}


class Socket(Transport, Protocol):
    """A transport, and what it has to do with the ASGI call."""

    @property
    def outlives(self) -> bool:
        """Whether it goes on when the call has ended."""

    async def wait(self) -> None:
        """Until the socket is gone."""

    async def stop(self) -> None:
        """The route has ended: nothing of it may go on."""


class TakeOver(Protocol):
    def __call__(self, driven: Driven, *, limit: int, closing: float) -> Socket | None:
        """None where the server has the socket to itself already."""


@dataclass(slots=True)
class Endpoint:
    """Lets sockets in. `unready` says why this worker takes none now."""

    context: Context
    authenticators: tuple[Authenticator, ...]
    origins: OriginRules
    refusals: Refusals
    """Whom to tell of a credential that proves nobody."""
    unready: Callable[[], str | None]
    connections: set[Connection] = field(default_factory=set)
    """Accepted and not gone yet, let in or not."""
    handshakes: int = 0
    """How many are being examined."""
    unauthenticated: set[Connection] = field(default_factory=set)
    usual: Usual = field(default_factory=dict)
    """What the handshakes of the hub's own route have in common."""
    told: LimitedLog = field(init=False)
    _variables: contextvars.Context = field(default_factory=contextvars.Context)
    """Those of the connection that came last, which the next one may have as well."""
    _gone: Callable[[Connection], None] = field(init=False)

    def __post_init__(self) -> None:
        self.told = LimitedLog(_log, self.context.clock)
        # Once: made anew it would be something of every connection.
        self._gone = self.connections.discard

    async def serve(self, websocket: WebSocket, *, user: User | str | None = None) -> None:
        """Let it in, and leave the rest to its messages. Raises HandshakeRefused, and has answered.

        Returns when the connection is gone.
        """
        _, socket = await self._open(websocket, user, text=False, iterated=False)
        await _to_the_end(socket)

    async def serve_own(self, websocket: WebSocket, *, hold: bool | None) -> None:
        """As `serve`, for the hub's own route. `hold`: whether it returns only when the connection is gone.

        None: where somebody could tell. Without it the call ends as soon as the connection lives without.
        """
        _, socket = await self._open(websocket, None, text=False, iterated=False, usual=self.usual)
        if hold is None:
            hold = is_watched(websocket.scope)
        if hold or not socket.outlives:
            await _to_the_end(socket)

    @asynccontextmanager
    async def connect(
        self, websocket: WebSocket, *, user: User | str | None = None, text: bool = False
    ) -> AsyncIterator[Connection]:
        """A connection whose messages the block reads, until it ends. Raises HandshakeRefused, and has answered."""
        connection, socket = await self._open(websocket, user, text=text, iterated=True)
        try:
            await connection.opening.wait()
            if connection.closed:
                await socket.wait()
                raise _quiet(websocket, HandshakeRefused())
            try:
                yield connection
            except ConnectionClosed as error:
                # The route was still working for a client that has left, or whom it closed itself: nobody's fault.
                connection.close()
                await socket.wait()
                raise _quiet(websocket, error) from None
            except BaseException as error:
                if not is_our_end(error):
                    connection.close(closes.OUR_FAULT)
                    await socket.wait()
                raise
            connection.finish()
            await socket.wait()
        finally:
            await socket.stop()

    async def _open(
        self, websocket: WebSocket, user: User | str | None, *, text: bool, iterated: bool, usual: Usual | None = None
    ) -> tuple[Connection, "Socket"]:
        self.handshakes += 1
        try:
            who = await self._let_in(websocket, user)
            # It is made use of once; the handshake's scope lives on.
            take_over: TakeOver | None = websocket.scope.get("extensions", {}).pop(EXTENSION, None)
            connection = Connection(
                self.context,
                ConnectionId(secrets.token_hex(16)),
                handshake=Handshake(websocket.scope, usual),
                variables=self._variables_of_the_call(),
                credential=who is not None,
                text=text,
                iterated=iterated,
                gone=self._gone,
            )
            self.connections.add(connection)
        finally:
            self.handshakes -= 1
        if who is None:
            self.unauthenticated.add(connection)
            connection.opening.when_over(lambda: self.unauthenticated.discard(connection))
        limits = self.context.limits
        taken = take_over and take_over(connection, limit=limits.message, closing=limits.closing)
        socket: Socket = taken or ASGITransport(websocket, connection, closing=limits.closing)
        connection.begin(socket, who)
        return connection, socket

    def _variables_of_the_call(self) -> contextvars.Context:
        """What middleware has set, for every message of the connection. Most applications set nothing, or the same."""
        context, last = contextvars.copy_context(), self._variables
        if len(context) != len(last) or any(
            last.get(variable, last) is not value for variable, value in context.items()
        ):
            # They are only copied, never changed: several connections can have the same.
            self._variables = context
        return self._variables

    async def _let_in(self, websocket: WebSocket, user: User | str | None) -> User | None:
        """Accept, and the user the handshake proves, None where the first message is to. Raises HandshakeRefused."""
        try:
            who = await self._examine(websocket, user)
            self._check_accepting()  # which may have changed meanwhile
        except HTTPException as refusal:
            self.context.metrics.count(Count.REFUSED_HANDSHAKES)
            if refusal.status_code in _NOT_YET_TOLD:
                kind = f"a handshake was refused with {refusal.status_code}: {refusal.detail}"
                self.told.tell(kind, kind)
            await _deny(websocket, refusal)
            raise _quiet(websocket, HandshakeRefused()) from None
        except CredentialError:
            self.context.metrics.count(Count.REFUSED_HANDSHAKES)
            await self._accept(websocket)
            with suppress(*GONE):
                await websocket.close(closes.CREDENTIAL_INVALID.code, closes.CREDENTIAL_INVALID.reason)
            raise _quiet(websocket, HandshakeRefused()) from None
        await self._accept(websocket)
        return who

    async def _examine(self, websocket: WebSocket, user: User | str | None) -> User | None:
        """The user the handshake proves; None where the first message is to. Raises HTTPException, CredentialError."""
        self._make_room()
        scope = websocket.scope
        if user is not None:
            self._check_origin(websocket, required=True)
            return self._user(user)
        if not self.authenticators:
            self.told.tell(_NO_AUTH, _NO_AUTH, level=logging.WARNING)
            raise HTTPException(403, "this server has no way to authenticate anyone")
        presented = examine(scope, self.authenticators, limit=self.context.limits.credential)
        if isinstance(presented, Malformed):
            raise HTTPException(400, presented.reason)
        cookie = isinstance(presented, Claim) and presented.credential.carrier is Carrier.COOKIE
        cookie = cookie or (isinstance(presented, Unusable) and presented.carrier is Carrier.COOKIE)
        self._check_origin(websocket, required=cookie, cookie=cookie)
        if isinstance(presented, Absent):
            if len(self.unauthenticated) >= self.context.limits.unauthenticated:
                raise HTTPException(503, "too many connections wait to authenticate", RETRY_AFTER)
            return None
        try:
            if isinstance(presented, Unusable):
                raise InvalidCredential(presented.reason, fault=presented.fault)
            async with asyncio.timeout(self.context.limits.authenticate):
                return check_user(await presented.judge(), limit=self.context.limits.name)
        except CredentialError as error:
            self._tell_of_credential(websocket, presented, error)
            if "origin" in websocket.headers:
                raise
            raise HTTPException(401, text_of(error), {"WWW-Authenticate": "Bearer"}) from None
        except TimeoutError:
            raise HTTPException(503, "the credential could not be checked in time", RETRY_AFTER) from None
        except Exception as error:  # noqa: BLE001 - the application's store, or its authenticator
            self.told.tell(_FAILED, "%s: %s", _FAILED, described(error), level=logging.ERROR)
            raise HTTPException(500, "the credential could not be checked") from None

    def _user(self, user: User | str) -> User:
        limit = self.context.limits.name
        if isinstance(user, User):
            return check_user(user, limit=limit)
        if not isinstance(user, str):
            raise TypeError(f"user is a User or a str, not {type(user).__name__}")
        # Often a part of the path, and so the client's to choose.
        try:
            return User(UserId(check_name(user, limit=limit, field="user")))
        except InvalidMessage as error:
            raise HTTPException(400, error.message) from None

    def _check_accepting(self) -> None:
        reason = self.unready()
        if reason is not None:
            raise HTTPException(503, reason, RETRY_AFTER)

    def _make_room(self) -> None:
        self._check_accepting()
        # Handshakes that are being examined count as well, this one too: all of them may be let in.
        if len(self.connections) + self.handshakes > self.context.limits.connections:
            raise HTTPException(503, "this worker is full", RETRY_AFTER)

    def _check_origin(self, websocket: WebSocket, *, required: bool, cookie: bool = False) -> None:
        rule = self.origins.refusal(websocket.scope, required=required, cookie=cookie)
        if rule is not None:
            self.told.tell(_BAD_ORIGIN, "%s, %s: %s", _BAD_ORIGIN, shown(websocket.scope), rule)
            raise HTTPException(403, "this Origin may not connect")

    def _tell_of_credential(self, websocket: WebSocket, presented: Claim | Unusable, error: CredentialError) -> None:
        where = f"at a handshake of {websocket.client.host if websocket.client else 'a client'}"
        if isinstance(presented, Claim):
            credential = presented.credential
            self.refusals.tell(error, where=where, carrier=credential.carrier, secret=credential.value)
        else:
            self.refusals.tell(error, where=where, carrier=presented.carrier)

    async def _accept(self, websocket: WebSocket) -> None:
        try:
            await websocket.accept(subprotocol=select_subprotocol(websocket.scope))
        except GONE:
            # Gone while it was looked at. Nothing was taken for it yet, so there is nothing to give back.
            raise _quiet(websocket, HandshakeRefused()) from None


async def _to_the_end(socket: Socket) -> None:
    try:
        await socket.wait()
    finally:
        await socket.stop()


async def _deny(websocket: WebSocket, refusal: HTTPException) -> None:
    """By HTTP where the server can (ASGI extension `websocket.http.response`); elsewhere every refusal is 403."""
    with suppress(*GONE):
        if "websocket.http.response" in websocket.scope.get("extensions", {}):
            response = JSONResponse({"detail": refusal.detail}, refusal.status_code, refusal.headers)
            await websocket.send_denial_response(response)
        else:
            await websocket.close()


def _quiet(websocket: WebSocket, error: Exception) -> Exception:
    """The exception that ends the route, and the application told to take no offence at it.

    A dependency cannot end its route in silence: what it raises reaches the server, which logs a traceback. Starlette
    passes the application's exception handlers in the scope, where ours is put beside them.
    """
    handlers = websocket.scope.get("starlette.exception_handlers")
    if handlers:
        handlers[0].setdefault(type(error), _let_pass)
    return error


async def _let_pass(_: HTTPConnection, __: Exception) -> None:
    """The client has its answer."""

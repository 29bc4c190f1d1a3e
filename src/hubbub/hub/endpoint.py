"""From a handshake that is let in to a connection: which socket drives it, how long its ASGI call lasts.

Who is let in, and how the others are told no, is `handshakes.py`'s.
"""

import contextvars
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from starlette.websockets import WebSocket

from hubbub import closes
from hubbub.connection.connection import Connection
from hubbub.connection.context import Context
from hubbub.errors import ConnectionClosed, HandshakeRefused
from hubbub.hub.asgi_call import is_watched
from hubbub.hub.gate import Seat
from hubbub.hub.handshakes import Handshakes, quiet
from hubbub.ports.tracing import Outcomes
from hubbub.ports.transport import Driven, Transport
from hubbub.protocol.concern import concern
from hubbub.protocol.features import offered
from hubbub.protocol.handshake import Handshake, Usual
from hubbub.scheduling.tasks import is_our_end
from hubbub.transports.asgi import EXTENSION, ASGITransport
from hubbub.types import ConnectionId, User


class Socket(Transport, Protocol):
    """A transport, and what it has to do with the ASGI call."""

    @property
    def outlives(self) -> bool:
        """Whether it goes on when the call has ended."""

    async def wait(self) -> None:
        """Until the socket is gone."""

    async def stop(self) -> None:
        """The route has ended: nothing of it may go on."""


class LetIn(Protocol):
    """As `Handshakes.let_in`."""

    def __call__(
        self, websocket: WebSocket, user: User | str | None, /, *, beside: int
    ) -> Awaitable[tuple[User | None, Seat]]: ...


class TakeOver(Protocol):
    def __call__(self, driven: Driven, *, limit: int, closing: float) -> Socket | None:
        """None where the server has the socket to itself already."""


@dataclass(slots=True)
class Endpoint:
    """Makes connections of those whom `handshakes` lets in, by `let_in`.

    `outcomes`: is told of routes that fail, None where nobody traces.
    """

    context: Context
    handshakes: Handshakes
    let_in: LetIn
    outcomes: Outcomes | None = None
    connections: set[Connection] = field(default_factory=set)
    """Accepted and not gone yet, let in or not."""
    usual: Usual = field(default_factory=dict)
    """What the handshakes of the hub's own route have in common."""
    _variables: contextvars.Context = field(default_factory=contextvars.Context)
    """Those of the connection that came last, which the next one may have as well."""
    _gone: Callable[[Connection], None] = field(init=False)

    def __post_init__(self) -> None:
        # Once: made anew it would be something of every connection.
        self._gone = self._forget

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
                raise quiet(websocket, HandshakeRefused())
            try:
                yield connection
            except ConnectionClosed as error:
                # The route was still working for a client that has left, or whom it closed itself: nobody's fault.
                connection.close()
                await socket.wait()
                raise quiet(websocket, error) from None
            except BaseException as error:
                concern(error, connection.handshake)
                if not is_our_end(error):
                    if self.outcomes is not None:
                        self.outcomes.failed(error)
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
        with self.handshakes.one_more(), ExitStack() as unasked:
            question = unasked.enter_context(self.context.membership.removals.ask())
            who, seat = await self.let_in(websocket, user, beside=len(self.connections))
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
                asked=offered(websocket.scope.get("subprotocols") or ()),
                gone=self._gone if seat is self.handshakes.gate.nothing else partial(self._gone_from, seat),
            )
            self.connections.add(connection)
            if who is not None:
                connection.opening.presented(question)
                unasked.pop_all()
        if who is None:
            self.handshakes.unauthenticated.add(connection)
            connection.opening.when_over(partial(self._no_longer_nobody, connection, seat))
        limits = self.context.limits
        taken = take_over and take_over(connection, limit=limits.message, closing=limits.closing)
        socket: Socket = taken or ASGITransport(websocket, connection, closing=limits.closing)
        connection.begin(socket, who)
        return connection, socket

    def _no_longer_nobody(self, connection: Connection, seat: Seat) -> None:
        """Or closed: whoever never was anybody counts as that until the socket is gone."""
        if connection.closed:
            seat.failed()
        else:
            self.handshakes.unauthenticated.discard(connection)
            seat.waited()

    def _forget(self, connection: Connection) -> None:
        self.connections.discard(connection)
        self.handshakes.unauthenticated.discard(connection)

    def _gone_from(self, seat: Seat, connection: Connection) -> None:
        self._gone(connection)
        seat.leave()

    def _variables_of_the_call(self) -> contextvars.Context:
        """What middleware has set, for every message of the connection. Most applications set nothing, or the same."""
        context, last = contextvars.copy_context(), self._variables
        if len(context) != len(last) or any(
            last.get(variable, last) is not value for variable, value in context.items()
        ):
            # They are only copied, never changed: several connections can have the same.
            self._variables = context
        return self._variables


async def _to_the_end(socket: Socket) -> None:
    try:
        await socket.wait()
    finally:
        await socket.stop()

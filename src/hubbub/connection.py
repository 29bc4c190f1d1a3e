"""One accepted socket: one tab.

Driven from below by its transport (`frame`, `outgoing`, `sent`, `lost`) and from the side by the clock (`tick`), it
lets the session say what a frame means and does it. It owns no task while nothing is being worked on. Its messages are
worked on one at a time, in order, by a task that ends when none is left; `ping` is answered past that queue.

Three invariants. Nothing is delivered before `welcome`: what comes earlier is held. What was taken on the way in is
given back exactly once (`admission.py`), when the connection closes or is lost, whichever comes first. And sending
never waits and never raises towards the sender: what the outbox does not take closes this connection, with 1013, and
nobody else's.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from pydantic import BaseModel

from hubbub import closes
from hubbub.admission import Admission
from hubbub.closes import Close
from hubbub.errors import ConnectionClosed, NotJoined, RateLimited, Refused, UnknownRoom
from hubbub.iteration import Handed
from hubbub.ports.injection import Scope
from hubbub.ports.metrics import Count
from hubbub.ports.transport import Transport
from hubbub.requests import Requests, Work
from hubbub.room import Room
from hubbub.services import Services
from hubbub.session import Answer, End, Event, Session, State, refusal
from hubbub.state.heartbeat import Beat, Pulse
from hubbub.state.limits import Throttle
from hubbub.state.outbox import Outbox
from hubbub.turns import Turns
from hubbub.types import ConnectionId, NodeId, RoomName, User
from hubbub.vigil import Vigil
from hubbub.wire import messages
from hubbub.wire.codec import Prepared
from hubbub.wire.messages import RequestId

_log = logging.getLogger("hubbub.connection")


class Connection:
    """What handlers and routes get. `state` is the application's own; `user` is there once authenticated."""

    def __init__(
        self,
        services: Services,
        id: ConnectionId,
        *,
        scope: Scope,
        credential: bool,
        text: bool = False,
        iterated: bool = False,
    ) -> None:
        now = services.clock.now()
        self.id = id
        self.node: NodeId = services.node
        self.state = SimpleNamespace()
        self.text = text
        self.admission = Admission(services, self)
        self._services = services
        self._user: User | None = None
        self._session = Session(services.limits, credential=credential, text=text)
        self._outbox = Outbox(services.limits.outbox)
        self._welcomed = False
        self._vigil = Vigil()
        deadline = self._vigil.admit_by if credential else self._vigil.authenticate_by
        deadline(now + services.limits.authenticate)
        self._throttle = Throttle(services.rate, now) if services.rate else None
        self._transport: Transport | None = None
        self._handed = Handed() if iterated else None
        requests = Requests(self, services, scope, self._handed)
        self._turns: Turns[Work] = Turns(services.spawn, requests.do, limit=services.limits.waiting)
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def __repr__(self) -> str:
        return f"<Connection {self.id} {self._session.state.name.lower()}>"

    @property
    def user(self) -> User:
        """Who the credential says is there. Raises ConnectionClosed before anybody was authenticated."""
        if self._user is None:
            raise ConnectionClosed(self.id)
        return self._user

    @property
    def rooms(self) -> frozenset[RoomName]:
        """The rooms it is in."""
        return frozenset(RoomName(room) for room in self._services.registry.rooms(self))

    @property
    def closed(self) -> bool:
        return self._session.state is State.CLOSED

    # What the application may do.

    async def send(self, message: Mapping[str, Any] | BaseModel | str) -> None:
        """Send to this tab alone; never waits for the peer. A str only on a route that speaks text.

        Raises ConnectionClosed, TypeError or ValueError (see `hubbub.wire.messages.compose`).
        """
        if isinstance(message, str):
            if not self.text:
                raise TypeError("a message is a mapping or a Pydantic model; str is for routes with text=True")
            data = messages.within(message.encode(), self._services.limits.payload)
        else:
            data = messages.compose(message, limit=self._services.limits.payload)
        if self.closed:
            raise ConnectionClosed(self.id)
        self.offer(Prepared(data))

    def room(self, name: str) -> Room:
        """A room this connection is in. Raises NotJoined."""
        if not self._services.registry.in_room(self, name):
            raise NotJoined(field="room")
        return self._services.room(RoomName(name))

    async def join(self, name: str) -> None:
        """Put this connection into a room without asking anyone; the client is told by `room_joined`.

        Raises ConnectionClosed, InvalidMessage for a bad name, UnknownRoom for `@me`, TooManyRooms, Unavailable.
        """
        room = messages.check_room(name, limit=self._services.limits.name)
        if messages.is_own_room(room):
            raise UnknownRoom(field="room")
        if self.closed:
            raise ConnectionClosed(self.id)
        await self._services.membership.join(self, room, self._services.dispatch.options_of(room))

    async def leave(self, name: str) -> None:
        """Raises NotJoined."""
        self._services.membership.leave(self, RoomName(name))

    def close(self, close: Close = closes.FINISHED, *, reason: str = "") -> None:
        """Close it, with what was sent before delivered first. At once out of its rooms; never raises."""
        if self._end():
            if close is closes.TOO_SLOW:
                self._outbox.clear()
            if self._transport is not None:
                self._transport.close(close.because(reason))

    def __aiter__(self) -> "Connection":
        return self

    async def __anext__(self) -> Any:
        """The next message of a plain route: a dict, or a str on a route with text=True. Ends with the connection.

        Asking for the next one says the last was handled: it is acknowledged where it had an `id`.
        """
        if self._handed is None:
            raise TypeError("messages of the hub's own route go to the handlers declared by @hub.on")
        return await self._handed.next()

    # What the endpoint and the transport call.

    async def opened(self) -> bool:
        """Wait until somebody is authenticated, or the connection ends before that."""
        await asyncio.wait([self._opened])
        return not self.closed

    def when_opened(self, callback: Callable[[], object]) -> None:
        """Call back at the moment `opened` waits for."""
        self._opened.add_done_callback(lambda _: callback())

    def begin(self, transport: Transport, user: User | None) -> None:
        """The socket is accepted; `user` where the handshake's credential has proved one."""
        self._transport = transport
        self._services.metrics.count(Count.CONNECTIONS)
        if user is not None:
            self._turns.take(user)
        self._schedule()

    def finish(self) -> None:
        """The route that reads the messages has returned: what it was given last is handled."""
        if self._handed is not None:
            self._handed.finish()
        self.close()

    def frame(self, data: str | bytes) -> None:
        self._vigil.heard()
        event = self._session.receive(data)
        match event:
            case None:
                pass
            case End(close):
                self.close(close)
            case _:
                self._services.metrics.count(Count.MESSAGES_IN)
                self._take(event)

    def outgoing(self) -> Prepared | None:
        return self._outbox.next() if self._welcomed else None

    def sent(self, message: Prepared) -> None:
        self._outbox.sent(message)

    def lost(self) -> None:
        self._end()

    # What the hub calls.

    def offer(self, message: Prepared) -> None:
        """Queue for the peer; closes with 1013 where the peer has too much unread."""
        if self.closed:
            return
        if not self._outbox.offer(message):
            self._services.metrics.count(Count.SLOW)
            _log.info("connection %s reads too slowly and is closed", self.id)
            self.close(closes.TOO_SLOW)
        elif self._welcomed and self._transport is not None:
            self._transport.flush()

    def answer(self, message: Prepared) -> None:
        """As `offer`, for what the hub itself says; nothing on a route that speaks its own language."""
        if not self.text:
            self.offer(message)

    def refuse(self, error: Refused, id: RequestId | None) -> None:
        self._services.metrics.count(Count.REFUSED)
        self.answer(refusal(error, id))

    def presented(self) -> None:
        """The first message has come, and is being looked at."""
        self._vigil.authenticate_by(None)
        self._vigil.admit_by(self._services.clock.now() + self._services.limits.authenticate)
        self._schedule()

    def become(self, user: User) -> None:
        """This is who is there, until the credential ends."""
        clock = self._services.clock
        self._user = user
        self._vigil.expires_at(None if user.expires is None else clock.now() + user.expires - clock.wall())
        self._schedule()

    def welcome(self, message: Prepared) -> None:
        """Let in: `message` goes first, then what has come meanwhile."""
        self._session.authenticated()
        self._vigil.admit_by(None)
        self._welcomed = True
        if not self.text:
            self._vigil.watch(Pulse(self._services.heartbeat, self._services.clock.now()))
            self._outbox.first(message)
        if self._transport is not None:
            self._transport.flush()
        if not self._opened.done():
            self._opened.set_result(None)
        self._schedule()

    def tick(self, now: float) -> None:
        """The time this connection asked to be woken at has come."""
        if self.closed:
            return
        match self._vigil.tick(now):
            case Close() as close:
                if close is closes.NO_HEARTBEAT:
                    self._services.metrics.count(Count.DEAD)
                self.close(close)
            case Beat.PING:
                self.offer(messages.ping(round(self._services.clock.wall() * 1000)))
        self._schedule()

    # How it works.

    def _take(self, event: Event) -> None:
        now = self._services.clock.now()
        wait = self._throttle.message(now) if self._throttle else 0.0
        if isinstance(event, Answer) and event.at_once:
            self.answer(event.message)
            if not wait:
                return
        elif not wait and self._turns.take(event):
            return
        else:
            retry_after = math.ceil(wait * 1000) or None
            self.refuse(RateLimited(retry_after=retry_after), getattr(event, "id", None))
        # A route that speaks its own language cannot be told that a message was lost, so it does not lose one.
        if self.text or (self._throttle and not self._throttle.refused(now)):
            self.close(closes.FLOODING)

    def _schedule(self) -> None:
        due = self._vigil.due
        if due is not None and not self.closed:
            self._services.wake_at(self, due)

    def _end(self) -> bool:
        if not self._session.close():
            return False
        self._turns.clear()
        self._services.forget(self)
        self.admission.leave()
        if not self._opened.done():
            self._opened.set_result(None)
        if self._handed is not None:
            self._handed.end()
        return True

"""One accepted socket: one tab.

Driven from below by its transport (`receive`, `heard`, `lost`) and from the side by the clock (`tick`), it does
what the session says a message means. It owns no task while nothing is being waited for. Its messages are
worked on one at a time, in order, in the turn of the event loop in which they came if they wait for nothing; `ping`,
and what is declared `at_once`, passes that queue.

It is made of parts: what leaves it (`outbound.py`), what its client asked for and waits (`turns.py`), what it took on
its way in (`admission.py`), what time does to it (`deadlines.py`), and the conversation (`protocol/session.py`). Two
invariants: nothing is delivered before `welcome`, what comes earlier waits; and what was taken on the way in is given
back exactly once, when the connection closes or is lost, whichever comes first.

There may be very many, nearly all of them idle: hence the slots, and nothing that is made before it is needed. The file
is longer than others, because what an application calls and what drives a connection share every part of it.
"""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from functools import partial
from types import SimpleNamespace
from typing import Any, TypeVar

from pydantic import BaseModel

from hubbub import closes
from hubbub.closes import Close
from hubbub.connection import haste
from hubbub.connection.admission import Admission
from hubbub.connection.context import Context
from hubbub.connection.deadlines import Deadlines, Expiring
from hubbub.connection.endings import ended, refused
from hubbub.connection.heartbeat import Beat, Pulse
from hubbub.connection.iterator import MessageIterator
from hubbub.connection.opening import Opening
from hubbub.connection.outbound import Outbound
from hubbub.connection.spawned import Spawned, closed_unless_begun
from hubbub.connection.throttle import Throttle
from hubbub.connection.turns import Turns
from hubbub.errors import ConnectionClosed, NotJoined, Refused
from hubbub.ports.metrics import Count, Traffic
from hubbub.ports.transport import NO_WORD, Transport
from hubbub.protocol import messages
from hubbub.protocol.codec import Prepared
from hubbub.protocol.features import EXPIRING, NONE, Features
from hubbub.protocol.handshake import Handshake
from hubbub.protocol.join_room import Join, JoinSeveral
from hubbub.protocol.messages import RequestId
from hubbub.protocol.presence import shown
from hubbub.protocol.session import Answer, End, Message, Session, refusal
from hubbub.rooms.rates import PUBLISHER
from hubbub.rooms.room import Room
from hubbub.scheduling.home_loop import running_loop
from hubbub.types import ConnectionId, Disconnect, NodeId, RoomName, User

T = TypeVar("T")

# Asked for with every message, and an enumeration is slow to ask for a member.
_MESSAGES_IN = Count.MESSAGES_IN


class Connection:
    """What handlers and routes get. `state` is the application's own; `user` is there once authenticated."""

    __slots__ = (
        "__weakref__",
        "_admission",
        "_context",
        "_deadlines",
        "_gone",
        "_spawned",
        "_state",
        "_turns",
        "handshake",
        "id",
        "iterator",
        "opening",
        "outbound",
        "session",
        "text",
        "throttle",
    )

    def __init__(
        self,
        context: Context,
        id: ConnectionId,
        *,
        handshake: Handshake,
        variables: contextvars.Context,
        credential: bool,
        text: bool = False,
        iterated: bool = False,
        asked: Features | None = None,
        gone: Callable[["Connection"], None] = lambda _: None,
    ) -> None:
        self.id: ConnectionId = id
        self.text: bool = text
        self.handshake: Handshake = handshake
        self.iterator: MessageIterator | None = MessageIterator() if iterated else None
        limits, now = context.limits, context.clock.now()
        self.outbound: Outbound = Outbound(self, id, context.batcher, context.metrics, text=text, limit=limits.outbox)
        self._context = context
        self._admission = Admission(context.admissions)
        self._state: SimpleNamespace | None = None
        self._spawned: Spawned | None = None
        self._gone = gone
        self.session: Session = Session(limits, credential=credential, text=text, asked=asked)
        self._deadlines = Deadlines()
        deadline = self._deadlines.admit_by if credential else self._deadlines.authenticate_by
        deadline(now + limits.authenticate)
        self.throttle: Throttle | None = Throttle(context.allowances) if context.allowances is not None else None
        self._turns = Turns(context.begin, context.do, self, limits, context=variables)
        self.opening: Opening = Opening()

    def __repr__(self) -> str:
        return f"<Connection {self.id} {self.session.state.name.lower()}>"

    @property
    def asked(self) -> Features | None:
        """The features its client asked for and gets, None where it asked for nothing."""
        return self.session.asked

    @property
    def node(self) -> NodeId:
        """The worker it is connected to."""
        return self._context.node

    @property
    def state(self) -> SimpleNamespace:
        """The application's own, for as long as the connection lives."""
        if self._state is None:
            self._state = SimpleNamespace()
        return self._state

    @property
    def user(self) -> User:
        """Who the credential says is there. Raises ConnectionClosed before anybody was authenticated."""
        try:
            return self.outbound.user
        except AttributeError:
            raise ConnectionClosed(self.id) from None

    @property
    def known(self) -> bool:
        """Whether there is a `user`."""
        return hasattr(self.outbound, "user")

    @property
    def variables(self) -> contextvars.Context:
        """Those of the call that opened it; to be copied, not changed."""
        return self._turns.context

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent to it any more."""
        return self.outbound.closed

    @property
    def rooms(self) -> frozenset[RoomName]:
        """The rooms it is in."""
        return frozenset(RoomName(room) for room in self.outbound.rooms)

    # What the application may do.

    async def send(self, message: Mapping[str, Any] | BaseModel | str) -> None:
        """Send to this tab alone; never waits for the peer. A str only on a route that speaks text.

        Raises ConnectionClosed, TypeError or ValueError (see `hubbub.protocol.messages.compose`), ConfigurationError
        outside of the hub's loop.
        """
        if running_loop() is not self._context.home.loop:
            self._context.home.check()
        if isinstance(message, str):
            if not self.text:
                raise TypeError("a message is a mapping or a Pydantic model; str is for routes with text=True")
            data = messages.within(message.encode(), self._context.limits.payload)
        else:
            data = messages.compose(message, limit=self._context.limits.payload)
        if self.closed:
            raise ConnectionClosed(self.id)
        self.outbound.offer(Prepared(data))

    def send_sync(self, message: Mapping[str, Any] | BaseModel | str, *, timeout: float = 10.0) -> None:
        """`send`, from a thread, as a plain `def` handler runs in one. Raises as `Room.send_sync` does."""
        self._context.home.run(self.send(message), timeout=timeout)

    def room(self, name: str) -> Room:
        """A room this connection is in. Raises NotJoined."""
        try:
            return self.outbound.rooms[name]
        except KeyError:
            raise NotJoined(field="room") from None

    async def join(self, name: str) -> None:
        """Put this connection into a room without asking anyone; the client is told by `room_joined`.

        In a hook of `on_connect` it is done as soon as the client is let in, and the log says where it cannot be.

        Raises ConnectionClosed, InvalidMessage for a bad name, UnknownRoom for `@me`, TooManyRooms, Unavailable, and
        Forbidden where `Room.remove` or `Room.close` came meanwhile: the last word holds.
        """
        self._context.home.check()
        room = messages.check_joinable(name, limit=self._context.limits.name)
        if self.closed:
            raise ConnectionClosed(self.id)
        if not self.outbound.welcomed:
            self.put_in(room)
            return
        membership, options = self._context.membership, self._context.declared.options_of(room)
        # From before it is asked what it may there: who is removed meanwhile is in no room yet.
        with membership.removals.ask() as asked:
            allowed = await self._context.allowed(room, self)
            await membership.join(self.outbound, room, options, asked=asked, allowed=allowed)

    async def set_presence(self, presence: Mapping[str, Any] | BaseModel, room: str | None = None) -> None:
        """Show this beside the user's name, in one room with presence data; default in all of them, and in later ones.

        At most `Limits.presence` bytes as JSON; empty: nothing. Others see what the user's newest tab shows. Raises
        InvalidMessage for what is none or a room without presence data, NotJoined, ConnectionClosed, and Unavailable
        where the broker is away: it is told when it is back.
        """
        self._context.home.check()
        data = shown(presence, limit=self._context.limits.presence)
        if self.closed:
            raise ConnectionClosed(self.id)
        await self._context.presences.set(self.outbound, data, None if room is None else RoomName(room))

    async def leave(self, name: str) -> None:
        """Raises NotJoined."""
        self._context.home.check()
        self._context.membership.leave(self.outbound, RoomName(name))

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin what is for this tab alone: a task that is cancelled when the connection ends, however it ends.

        What it raises is logged; cancelling it, or awaiting it, is the caller's affair. Raises ConnectionClosed,
        TypeError for what is no coroutine, ConfigurationError outside of the hub's loop: nothing has begun then.
        """
        with closed_unless_begun(work):
            self._context.home.check()
            if self.closed:
                raise ConnectionClosed(self.id)
            if self._spawned is None:
                self._spawned = Spawned(self.id, self.handshake, self._context.keep, self._context.spawned)
            return self._spawned.begin(work)

    def close(self, close: Close = closes.FINISHED, *, reason: str = "") -> None:
        """Close it, with what was sent before delivered first. At once out of its rooms; never raises.

        From a thread, soon.
        """
        # First: where it is no Close, nothing has been given back yet, and the socket would stay open for nobody.
        told = close.because(reason)
        if not self._context.home.here:
            self._context.home.hand_over(partial(self.close, told))
            return
        if not self.closed:
            self._context.batcher.flush()
        transport = self.outbound.transport
        if self._end(told.code, told.reason, by_client=False) and transport is not None:
            transport.close(told)
            self._context.endings.tell(self.id, getattr(self.outbound, "user", None), close)

    def __aiter__(self) -> "Connection":
        return self

    async def __anext__(self) -> Any:
        """The next message of a plain route: a dict, or a str on a route with text=True. Ends with the connection.

        Asking for the next one says the last was handled: it is acknowledged where it had an `id`.
        """
        if self.iterator is None:
            raise TypeError("messages of the hub's own route go to the handlers declared by @hub.on")
        self._context.home.check()
        PUBLISHER.set(self.user.id)
        reading = self._context.reading
        if reading is None:
            return await self.iterator.next()
        reading.done(self.iterator)
        message = await self.iterator.next()
        reading.take(self.iterator)
        return message

    # What the endpoint and the transport call.

    @property
    def traffic(self) -> Traffic:
        return self._context.traffic

    def begin(self, transport: Transport, user: User | None) -> None:
        """The socket is accepted; `user` where the handshake's credential has proved one."""
        self.outbound.attach(transport)
        self._context.metrics.count(Count.CONNECTIONS)
        if user is not None:
            self._turns.submit(user)
        if not self.outbound.welcomed:
            self._schedule()

    def finish(self) -> None:
        """The route that reads the messages has returned: what it was given last is handled."""
        if self.iterator is not None:
            self.iterator.finish()
        self.close()

    def receive(self, data: str | bytes) -> None:
        self._deadlines.heard = True
        if self.outbound.closed:
            return
        context = self._context
        now = context.clock.now()
        # Before it is looked at, and whatever it says.
        wait = self.throttle.spend(now) if self.throttle is not None else 0.0
        if wait and not haste.is_borne(self, now):
            return
        event = self.session.receive(data)
        if event is None:
            return
        if type(event) is End:
            self.close(event.close)
            return
        context.metrics.count(_MESSAGES_IN)
        if type(event) is Join or type(event) is JoinSeveral:
            rooms = context.limits.rooms
            haste.take_joins(self, event, self._turns.submit, data, now, rooms=rooms, refused=wait > 0)
        elif type(event) is Answer and event.at_once:
            self.answer(event.message)
        elif wait:
            haste.too_fast(self, event, wait)
        elif not (
            self._turns.overtake(event, data)
            if type(event) is Message and event.type in context.at_once
            else self._turns.submit(event, data)
        ):
            haste.no_room(self, event)

    def weigh(self, size: int) -> None:
        # Its answer to a `ping` may stand behind a message of which we read a part now and then.
        self._deadlines.heard = True
        context = self._context
        if haste.weigh(self, size, context.clock.now(), timeout=context.heartbeat.timeout):
            context.metrics.count(Count.READ_LATER)

    def flooded(self) -> None:
        """It sent too much for too long."""
        self._context.metrics.count(Count.FLOODING)
        self.close(closes.FLOODING)

    def heard(self) -> None:
        self._deadlines.heard = True

    def lost(self, code: int = NO_WORD, reason: str = "") -> None:
        self._end(code, reason, by_client=True)
        self._gone(self)

    # What its requests and the waker call.

    def presented(self) -> None:
        """The first message has come, and is being looked at."""
        self.opening.presented(self._context.membership.removals.ask())
        self._deadlines.authenticate_by(None)
        self._deadlines.admit_by(self._context.clock.now() + self._context.limits.authenticate)
        self._schedule()

    def become(self, user: User) -> None:
        """This is who is there, until the credential ends."""
        clock = self._context.clock
        self.outbound.user = user
        if self.throttle is not None:
            self.throttle.belongs_to(user.id, clock.now())
        self.outbound.features = self.session.asked or NONE
        ends = None if user.expires is None else clock.now() + user.expires - clock.wall()
        self._deadlines.expires_at(ends, told=EXPIRING in self.outbound.features)
        if self.outbound.welcomed:
            self._schedule()

    async def admit(self) -> None:
        """Take what a connection that was let in has. Raises ConnectionClosed, Unavailable."""
        await self._admission.admit(self.outbound)

    def welcome(self, message: Prepared) -> None:
        """Let in: `message` goes first, then what has come meanwhile. Not where its time has come before that."""
        self.tick(self._context.clock.now())
        if self.closed:
            return
        self.session.authenticated()
        self._deadlines.admit_by(None)
        transport = self.outbound.transport
        if not self.text or (transport is not None and transport.pings):
            self._deadlines.watch(Pulse(self._context.heartbeat, self._context.clock.now()))
        self._context.traffic.alone += not self.text
        self.outbound.welcome(message)
        if self._context.audit is not None:
            self._context.audit.connected(self)
        self._context.endings.came(self.id, self.outbound.user)
        self.opening.over()
        self._schedule()

    def left_out(self, count: int) -> None:
        """Messages of a room that its reader was too slow for."""
        self._context.endings.left_out(self.id, self.outbound.user, count)

    def put_out(self, room: RoomName, reason: str) -> None:
        """The application closed the room, or took this connection out of it."""
        self._context.membership.put_out(self.outbound, room, reason)

    def put_in(self, room: RoomName) -> None:
        """The application puts it into the room, as soon as it was let in; what comes of that is for the log."""
        if self.closed:
            return
        if not self.outbound.welcomed:
            self.opening.when_over(partial(self.put_in, room))
        else:
            self._context.begin(self._put_in(room))

    def take_out(self, room: RoomName) -> None:
        """The same, out of the room, where it is in it."""
        if self.closed:
            return
        if not self.outbound.welcomed:
            self.opening.when_over(partial(self.take_out, room))
            return
        with suppress(NotJoined):
            self._context.membership.put_out(self.outbound, room, "")

    def answer(self, message: Prepared) -> None:
        """Say something of the hub's own; nothing on a route that speaks its own language."""
        self.outbound.answer(message)

    def refuse(self, error: Refused, id: RequestId | None, room: RoomName | None = None) -> None:
        self.answer(refusal(error, id, room))
        self._context.metrics.count(Count.REFUSED)
        if (kind := refused(error)) is not None:
            self._context.metrics.count(kind)

    def tick(self, now: float) -> None:
        """The time this connection asked to be woken at has come."""
        if self.closed:
            return
        if self._turns.stopped:
            self.heard()  # it could not be: nothing of it is read
        match self._deadlines.tick(now):
            case Close() as close:
                self.close(close)
                if close is closes.NO_HEARTBEAT:
                    self._context.metrics.count(Count.DEAD)
            case Beat.PING if self.text and self.outbound.transport is not None:
                self.outbound.transport.ping()
            case Expiring(left):
                self.answer(messages.expiring(left))
            case Beat.PING:
                self.outbound.offer(messages.ping(round(self._context.clock.wall() * 1000)))
        self._schedule()

    # How it works.

    async def _put_in(self, room: RoomName) -> None:
        try:
            await self.join(room)
        except ConnectionClosed:
            pass
        except Refused as error:
            self._context.endings.not_put_in(self.id, room, error)

    def _schedule(self) -> None:
        due = self._deadlines.due
        if due is not None and not self.closed:
            self._context.waker.wake_at(self, due)

    def _end(self, code: int, reason: str, *, by_client: bool) -> bool:
        if self.closed:
            return False
        self._context.metrics.count(ended(code, by_client=by_client))
        if self._context.audit is not None:
            self._context.audit.ended(self, code, reason, by_client=by_client)
        if self.outbound.welcomed:
            self._context.endings.went(self.id, self.outbound.user, code, reason, by_client=by_client)
        self.outbound.end()
        self.session.close()
        self._turns.clear()
        if self.throttle is not None:
            self.throttle.gone(self._context.clock.now())
        if self._spawned is not None:
            self._spawned.cancel()
        self._context.waker.forget(self)
        self._admission.withdraw(self.outbound)
        self._context.presences.gone(self.outbound)
        if self._context.hooks is not None:
            self._context.hooks.ended(self.id, Disconnect(code, reason, by_client))
        self.opening.over()
        if self.iterator is not None:
            self.iterator.end()
        return True

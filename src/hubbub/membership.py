"""Joining and leaving a room.

A join is: hold what will come for this connection, subscribe, tell the broker who is here, read who is here, and then,
in one turn of the event loop, register, answer `room_joined`, and hand over what was held. So nobody who is announced
after the members were read is missed, nothing arrives before the answer, and nothing sent after it is lost. If any
step fails, or the connection goes away meanwhile, everything done so far is undone.
"""

import asyncio
from collections import Counter
from contextlib import ExitStack
from typing import TypeAlias

from hubbub.errors import NotJoined, TooManyRooms
from hubbub.fanout import Fanout, Recipient
from hubbub.options import RoomOptions, Slow
from hubbub.ports.broker import Broker
from hubbub.presence import Presence
from hubbub.session import Since
from hubbub.state.registry import Registry
from hubbub.subscriptions import Subscriptions
from hubbub.types import OCCUPIED, RoomName, Topic, room_topic
from hubbub.wire import messages
from hubbub.wire.messages import RequestId

_Key: TypeAlias = tuple[Recipient, RoomName]


class Membership:
    def __init__(
        self,
        registry: Registry[Recipient],
        broker: Broker,
        fanout: Fanout,
        subscriptions: Subscriptions,
        presence: Presence,
        *,
        rooms_per_connection: int,
    ) -> None:
        self._registry = registry
        self._broker = broker
        self._fanout = fanout
        self._subscriptions = subscriptions
        self._presence = presence
        self._limit = rooms_per_connection
        self._counted: set[_Key] = set()
        self._joining: dict[_Key, asyncio.Event] = {}
        self._joins: Counter[Recipient] = Counter()
        """How many rooms each connection is joining now: they count as well as those it is in."""
        self._put_out: dict[_Key, str] = {}
        fanout.on_put_out(self.put_out)

    async def join(
        self,
        member: Recipient,
        room: RoomName,
        options: RoomOptions,
        *,
        since: Since | None = None,
        id: RequestId | None = None,
    ) -> None:
        """Make `member` a member and answer it; joining twice answers again.

        Raises TooManyRooms, NotJoined where one who joined twice was put out meanwhile, or Unavailable where the
        broker is away.
        """
        key = (member, room)
        while (other := self._joining.get(key)) is not None:
            await other.wait()
        done = self._joining[key] = asyncio.Event()
        self._joins[member] += 1
        try:
            await self._join(member, room, options, since, id)
        finally:
            del self._joining[key]
            self._joins[member] -= 1
            if not self._joins[member]:
                del self._joins[member]
            self._put_out.pop(key, None)
            done.set()

    async def _join(
        self, member: Recipient, room: RoomName, options: RoomOptions, since: Since | None, id: RequestId | None
    ) -> None:
        topic = room_topic(room)
        # Without history nothing can be recovered, and whoever asks is told so.
        recovered = None if since is None else False
        if self._registry.in_room(member, room):
            members = await self._broker.members(topic) if options.presence else None
            if not self._registry.in_room(member, room):
                raise NotJoined("put out of the room meanwhile", field="room")
            member.answer(messages.room_joined(room, members=members, recovered=recovered, id=id))
            return
        if len(self._registry.rooms(member)) + self._joins[member] > self._limit:
            raise TooManyRooms(f"a connection may be in {self._limit} rooms")
        with ExitStack() as undo:
            self._fanout.treat(topic, options.slow)
            undo.callback(self._forget_empty, room)
            self._fanout.hold(topic, member)
            undo.callback(self._fanout.drop, topic, member)
            await self._subscriptions.hold(topic)
            undo.callback(self._subscriptions.release, topic)
            await self._presence.enter(OCCUPIED, room)
            undo.callback(self._presence.leave, OCCUPIED, room)
            members = None
            if options.presence:
                await self._presence.enter(topic, member.user.id)
                undo.callback(self._presence.leave, topic, member.user.id)
                members = await self._broker.members(topic)
            if member not in self._registry:
                return
            self._registry.join(member, room)
            if options.presence:
                self._counted.add((member, room))
            member.answer(messages.room_joined(room, members=members, recovered=recovered, id=id))
            self._fanout.release(topic, member)
            undo.pop_all()
            reason = self._put_out.get((member, room))
            if reason is not None:
                self.put_out(member, room, reason)

    def leave(self, member: Recipient, room: RoomName, *, id: RequestId | None = None) -> None:
        """Raises NotJoined."""
        self._end(member, room)
        member.answer(messages.room_left(room, id=id))

    def put_out(self, member: Recipient, room: RoomName, reason: str) -> None:
        """The application closed the room or removed the member, who is told why; one who is joining, once it is in."""
        if (member, room) in self._joining and not self._registry.in_room(member, room):
            self._put_out[member, room] = reason
            return
        self._end(member, room)
        member.answer(messages.room_left(room, reason=reason))

    def gone(self, member: Recipient) -> None:
        """The connection is no more: out of every room and of the registry."""
        for room in self._registry.discard(member):
            self._let_go(member, RoomName(room))

    def _end(self, member: Recipient, room: RoomName) -> None:
        if not self._registry.leave(member, room):
            raise NotJoined(field="room")
        self._let_go(member, room)

    def _let_go(self, member: Recipient, room: RoomName) -> None:
        topic: Topic = room_topic(room)
        if (member, room) in self._counted:
            self._counted.discard((member, room))
            self._presence.leave(topic, member.user.id)
        self._presence.leave(OCCUPIED, room)
        self._subscriptions.release(topic)
        self._forget_empty(room)

    def _forget_empty(self, room: RoomName) -> None:
        if not self._registry.members(room):
            self._fanout.treat(room_topic(room), Slow.DISCONNECT)

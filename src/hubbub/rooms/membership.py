"""Joining and leaving a room.

A join is: pause the room's topic for this connection, subscribe, tell the broker who is here, read who is here and what
was missed, and then, in one turn of the event loop, register, answer `room_joined`, hand over what was missed, and what
was collected. So nobody who is announced after the members were read is missed, nothing arrives before the answer, and
nothing is lost or doubled between what was missed and what is live. If any step fails, or the connection goes away
meanwhile, everything done so far is undone.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import TypeAlias

from hubbub.delivery.fanout import Fanout, Recipient
from hubbub.delivery.registry import Registry
from hubbub.errors import NotJoined, TooManyRooms
from hubbub.history.positions import Positions
from hubbub.history.topic import Standing
from hubbub.options import History, RoomOptions, Slow
from hubbub.ports.broker import Broker
from hubbub.presence.diffs import Diffs
from hubbub.presence.tracker import PresenceTracker
from hubbub.protocol import messages
from hubbub.protocol.messages import RequestId
from hubbub.protocol.session import Since
from hubbub.rooms.subscriptions import Subscriptions
from hubbub.scheduling.single_flight import SingleFlight
from hubbub.scheduling.tasks import Spawn
from hubbub.types import OCCUPIED, OWN_ROOM, RoomName, Topic, UserId, room_topic, user_topic

_Key: TypeAlias = tuple[Recipient, RoomName]


class Membership:
    def __init__(
        self,
        registry: Registry[Recipient],
        broker: Broker,
        fanout: Fanout,
        subscriptions: Subscriptions,
        presence: PresenceTracker,
        positions: Positions,
        diffs: Diffs,
        spawn: Spawn,
        *,
        rooms_per_connection: int,
    ) -> None:
        self._registry = registry
        self._broker = broker
        self._fanout = fanout
        self._subscriptions = subscriptions
        self._presence = presence
        self._positions = positions
        self._diffs = diffs
        self._spawn = spawn
        self._looks: dict[Topic, SingleFlight[list[str]]] = {}
        self._limit = rooms_per_connection
        self._counted: set[_Key] = set()
        self._joining: dict[_Key, asyncio.Event] = {}
        self._joins: Counter[Recipient] = Counter()
        """How many rooms each connection is joining now: they count as well as those it is in."""
        self._put_out: dict[_Key, str] = {}

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
        if self._registry.in_room(member, room):
            await self._join_again(member, room, options, since, id)
            return
        if len(self._registry.rooms(member)) + self._joins[member] > self._limit:
            raise TooManyRooms(f"a connection may be in {self._limit} rooms")
        with ExitStack() as undo:
            self._fanout.treat(topic, options.slow)
            undo.callback(self._forget_empty, room)
            self._fanout.pause(topic, member)
            undo.callback(self._fanout.discard, topic, member)
            await self._subscriptions.acquire(topic)
            undo.callback(self._subscriptions.release, topic)
            await self._presence.enter(OCCUPIED, room)
            undo.callback(self._presence.leave, OCCUPIED, room)
            members = None
            if options.presence:
                await self._presence.enter(topic, member.user.id)
                undo.callback(self._presence.leave, topic, member.user.id)
                members = await self._members(topic)
            standing = await self._standing(topic, options.history, since)
            if member not in self._registry:
                return
            self._registry.join(member, room)
            # Again: the last of those who were in may have left meanwhile.
            self._fanout.treat(topic, options.slow)
            if options.presence:
                self._counted.add((member, room))
            self._answer(member, room, members, standing, since, id)
            self._fanout.resume(topic, member)
            undo.pop_all()
            reason = self._put_out.get((member, room))
            if reason is not None:
                self.put_out(member, room, reason)

    async def join_own(
        self, member: Recipient, keep: History | None, *, since: Since | None = None, id: RequestId | None = None
    ) -> None:
        """Answer for the user's own topic, which the hub has joined; with `since`, hand over what was missed.

        Raises Unavailable.
        """
        topic = user_topic(member.user.id)
        await self._answer_again(member, OWN_ROOM, topic, keep, None, since, id, there=self._registry.__contains__)

    async def _join_again(
        self, member: Recipient, room: RoomName, options: RoomOptions, since: Since | None, id: RequestId | None
    ) -> None:
        topic = room_topic(room)
        members = await self._members(topic) if options.presence else None

        def there(member: Recipient) -> bool:
            return self._registry.in_room(member, room)

        if not await self._answer_again(member, room, topic, options.history, members, since, id, there=there):
            raise NotJoined("put out of the room meanwhile", field="room")

    async def _answer_again(
        self,
        member: Recipient,
        room: RoomName,
        topic: Topic,
        keep: History | None,
        members: list[str] | None,
        since: Since | None,
        id: RequestId | None,
        *,
        there: Callable[[Recipient], bool],
    ) -> bool:
        """Answer one who is in already, and hand over what was missed; False where it is not `there` any more."""
        with ExitStack() as undo:
            if since is not None:
                self._fanout.pause(topic, member, member=True)
                undo.callback(self._fanout.resume, topic, member)
            standing = await self._standing(topic, keep, since)
            if not there(member):
                return False
            self._answer(member, room, members, standing, since, id)
            self._fanout.resume(topic, member, replayed=standing is not None)
            return True

    async def _members(self, topic: Topic) -> list[str]:
        """Who is there, not earlier than now. Many who come back at once share the answer."""
        look = self._looks.get(topic)
        if look is None:
            ask, over = partial(self._broker.members, topic), partial(self._looks.pop, topic)
            look = self._looks[topic] = SingleFlight(self._spawn, ask, idle=over)
        return await look()

    async def _standing(self, topic: Topic, keep: History | None, since: Since | None) -> Standing | None:
        return None if keep is None else await self._positions.join(topic, keep, since)

    def _answer(
        self,
        member: Recipient,
        room: RoomName,
        members: list[str] | None,
        standing: Standing | None,
        since: Since | None,
        id: RequestId | None,
    ) -> None:
        if standing is None:
            # Without history nothing can be recovered, and whoever asks is told so.
            position, recovered = None, None if since is None else False
        else:
            position, recovered = standing.position, standing.recovered
        member.answer(messages.room_joined(room, members=members, position=position, recovered=recovered, id=id))
        self._diffs.joined(room_topic(room), member)
        if standing is not None:
            self._fanout.replay(member, standing.missed)

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

    def tabs_of(self, user: UserId) -> int:
        """How many connections the user has on this worker."""
        return len(self._registry.of_user(user))

    def gone(self, member: Recipient) -> None:
        """The connection is no more: out of every room and of the registry."""
        for room in self._registry.discard(member):
            self._let_go(member, RoomName(room), self._presence.linger)

    def _end(self, member: Recipient, room: RoomName) -> None:
        if not self._registry.in_room(member, room):
            raise NotJoined(field="room")
        # Where it is joining again: what came before the end is handed over before it is told of the end.
        self._fanout.resume(room_topic(room), member)
        self._registry.leave(member, room)
        self._let_go(member, room, self._presence.leave)

    def _let_go(self, member: Recipient, room: RoomName, told: Callable[[Topic, str], None]) -> None:
        topic: Topic = room_topic(room)
        if (member, room) in self._counted:
            self._counted.discard((member, room))
            told(topic, member.user.id)
        self._presence.leave(OCCUPIED, room)
        self._subscriptions.release(topic)
        self._forget_empty(room)

    def _forget_empty(self, room: RoomName) -> None:
        if not self._registry.members(room):
            self._fanout.treat(room_topic(room), Slow.DISCONNECT)

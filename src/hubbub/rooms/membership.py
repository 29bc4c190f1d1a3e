"""Joining and leaving a room.

A join is: pause the room's topic for this connection, subscribe, tell the broker who is here, read who is here and what
was missed, and then, in one turn of the event loop, register, answer `room_joined`, hand over what was missed, and what
was collected. So nobody who is announced after the members were read is missed, nothing arrives before the answer, and
nothing is lost or doubled between what was missed and what is live. If any step fails, or the connection goes away
meanwhile, everything done so far is undone.
"""

import logging
from contextlib import ExitStack
from typing import Protocol

from hubbub.delivery.fanout import Fanout, Recipient
from hubbub.delivery.registry import Registry
from hubbub.errors import NotJoined, TooManyRooms, Unavailable
from hubbub.options import Keep, RoomOptions, Slow
from hubbub.ports.logs import Event, fields
from hubbub.protocol import messages
from hubbub.protocol.join_room import Since
from hubbub.protocol.messages import RequestId
from hubbub.rooms.answers import Answers
from hubbub.rooms.attendance import Attendance
from hubbub.rooms.handing import Cost, Handing
from hubbub.rooms.handles import Handles
from hubbub.rooms.joins import ALL, Allowed, Joining, Joins
from hubbub.rooms.removals import Question, Removals
from hubbub.types import OWN_ROOM, RoomName, UserId, room_topic, user_topic

_log = logging.getLogger("hubbub.rooms")


class Moves(Protocol):
    """Who is told of every way in and out, by the connection's id. Neither waits nor raises."""

    def joined(self, connection: str, room: RoomName) -> None: ...

    def left(self, connection: str, room: RoomName) -> None: ...


class Membership:
    """`limit`: how many rooms a connection may be in; those it is joining count as well. `moves`: None tells nobody."""

    def __init__(
        self,
        registry: Registry[Recipient],
        fanout: Fanout,
        attendance: Attendance,
        answers: Answers,
        handles: Handles,
        removals: Removals,
        handing: Handing,
        *,
        limit: int,
        moves: Moves | None = None,
    ) -> None:
        self.removals = removals
        self._registry = registry
        self._fanout = fanout
        self._attendance = attendance
        self._answers = answers
        self._handles = handles
        self.handing: Handing = handing
        self._limit = limit
        self._moves = moves
        self._joins = Joins()
        self._without_history: set[tuple[Recipient, RoomName]] = set()
        """Members that are in a room and may not read what was kept."""

    def __len__(self) -> int:
        """How many joins are under way."""
        return len(self._joins)

    async def join(
        self,
        member: Recipient,
        room: RoomName,
        options: RoomOptions,
        *,
        since: Since | None = None,
        id: RequestId | None = None,
        asked: Question | None = None,
        allowed: Allowed = ALL,
    ) -> Cost:
        """Make `member` a member and answer it; joining twice answers again. What it was answered.

        `asked`: when it was asked whether it may. `allowed`: what it may as one.

        Raises TooManyRooms, Forbidden where it was removed since it was asked, or since this was called, NotJoined
        where one who joined twice was put out meanwhile, or Unavailable where the broker is away.
        """
        join = Joining(member, room, room_topic(room), options, since, id, allowed)
        question = asked or self.removals.ask()
        try:
            await self._joins.begin(join)
        except BaseException:
            question.end()
            raise
        try:
            self._see(join)
            if not self._registry.in_room(member, room):
                await self._join(join, question)
            elif not await self._answers.answer_again(join):
                raise NotJoined("put out of the room meanwhile", field="room")
        finally:
            question.end()
            if not self._registry.in_room(member, room):
                self._forget_what_it_may(member, room)
            self._joins.end(join)
        return join.cost

    async def tell_again(self, member: Recipient, room: RoomName, options: RoomOptions) -> bool:
        """As if it joined a second time, unasked, because it was not told of all who came and went.

        False where it could not be told now. Raises nothing.
        """
        if member.loaded:
            return False
        join = Joining(member, room, room_topic(room), options)
        await self._joins.begin(join)
        # Not before: the join that it waited for may have ended with other rights.
        join.allowed = Allowed(
            history=(member, room) not in self._without_history, presence=room not in (member.blind or ())
        )
        try:
            return not self._registry.in_room(member, room) or await self._answers.answer_again(join) or True
        except Unavailable:
            return False
        finally:
            self._joins.end(join)

    async def join_own(
        self, member: Recipient, inbox: Keep, *, since: Since | None = None, id: RequestId | None = None
    ) -> Cost:
        """Answer for the user's own topic, which the hub has joined; with `since`, hand over what was missed.

        Raises Unavailable.
        """
        topic = user_topic(member.user.id)
        join = Joining(member, OWN_ROOM, topic, RoomOptions(history=inbox), since, id)
        await self._answers.answer_again(join)
        return join.cost

    def leave(self, member: Recipient, room: RoomName, *, id: RequestId | None = None) -> None:
        """Raises NotJoined."""
        self._end(member, room)
        member.answer(messages.room_left(room, id=id))

    def put_out(self, member: Recipient, room: RoomName, reason: str) -> None:
        """The application closed the room or removed the member, who is told why; one who is joining, once it is in."""
        for waiting in self._joins.waiting(member, room):
            waiting.put_out = reason  # else one that was asked for before would come after this
        join = self._joins.of(member, room)
        if join is not None and not self._registry.in_room(member, room):
            join.put_out = reason
            return
        if join is None:
            self.removals.note((member.user.id,), room, reason)  # it may have asked to come in, or in again
        self._end(member, room)
        member.answer(messages.room_left(room, reason=reason or None))

    def tabs_of(self, user: UserId) -> int:
        """How many connections the user has on this worker."""
        return len(self._registry.of_user(user))

    def gone(self, member: Recipient) -> None:
        """The connection is no more: out of every room and of the registry."""
        self.handing.gone(member)
        for name in self._registry.discard(member):
            self._out(member, RoomName(name), lost=True)

    async def _join(self, join: Joining, asked: Question) -> None:
        member, room, topic = join.member, join.room, join.topic
        asked.check(member.user.id, room)
        if len(self._registry.rooms(member)) + self._joins.count(member) > self._limit:
            raise TooManyRooms(f"a connection may be in {self._limit} rooms")
        with ExitStack() as undo:
            self._fanout.treat(topic, join.options.slow)
            undo.callback(self._forget_empty, room)
            self._fanout.pause(topic, member)
            undo.callback(self._fanout.discard, topic, member)
            await self._attendance.begin(join, undo)
            found = await self._answers.find(join)
            if member not in self._registry:
                return
            asked.check(member.user.id, room)
            may_publish = join.allowed.publish
            handle = self._handles.room(room) if may_publish is None else self._handles.member_room(room, may_publish)
            self._registry.join(member, room, handle)
            # Again: the last of those who were in may have left meanwhile.
            self._fanout.treat(topic, join.options.slow)
            self._answers.answer(join, found)
            self._fanout.resume(topic, member)
            undo.pop_all()
        if _log.isEnabledFor(logging.DEBUG):
            extra = fields(Event.JOINED, connection=member.id, user=member.user.id, room=room)
            _log.debug("connection %s of user %s joined room %s", member.id, member.user.id, room, extra=extra)
        if self._moves is not None:
            self._moves.joined(member.id, room)
        if join.put_out is not None:
            self.put_out(member, room, join.put_out)

    def _see(self, join: Joining) -> None:
        """Before it is told of anybody."""
        member, room = join.member, join.room
        self._forget_what_it_may(member, room)
        if not join.allowed.presence:
            member.blind |= {room}
        if not join.allowed.history:
            self._without_history.add((member, room))

    def _end(self, member: Recipient, room: RoomName) -> None:
        if not self._registry.in_room(member, room):
            raise NotJoined(field="room")
        # Where it is joining again: what came before the end is handed over before it is told of the end.
        self._fanout.resume(room_topic(room), member)
        self._registry.leave(member, room)
        self._out(member, room, lost=False)

    def _forget_what_it_may(self, member: Recipient, room: RoomName) -> None:
        if member.blind:
            member.blind -= {room}
        self._without_history.discard((member, room))

    def _out(self, member: Recipient, room: RoomName, *, lost: bool) -> None:
        self._forget_what_it_may(member, room)
        self._attendance.end(member, room, lost=lost)
        self._forget_empty(room)
        if _log.isEnabledFor(logging.DEBUG):
            extra = fields(Event.LEFT, connection=member.id, user=member.user.id, room=room)
            _log.debug("connection %s of user %s left room %s", member.id, member.user.id, room, extra=extra)
        if self._moves is not None:
            self._moves.left(member.id, room)

    def _forget_empty(self, room: RoomName) -> None:
        if not self._registry.members(room):
            self._fanout.treat(room_topic(room), Slow.DISCONNECT)

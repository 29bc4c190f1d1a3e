"""The joins that are under way, one at a time for each member and room; others of the same wait for it."""

import asyncio
from dataclasses import dataclass, field
from typing import NamedTuple

from hubbub.delivery.fanout import Recipient
from hubbub.options import RoomOptions
from hubbub.protocol.join_room import Since
from hubbub.protocol.messages import RequestId
from hubbub.rooms.handing import NOTHING, Cost
from hubbub.rooms.room import MayPublish
from hubbub.types import RoomName, Topic


class Allowed(NamedTuple):
    """What a member may beside being one, as its application said when it was asked to let it in."""

    history: bool = True
    presence: bool = True
    publish: MayPublish | None = None
    """Asked before each message that is sent for it; None where nobody need be asked."""


ALL = Allowed()


@dataclass(slots=True, eq=False)
class Joining:
    """One member that joins one room: what it asked for, and what became of that meanwhile."""

    member: Recipient
    room: RoomName
    topic: Topic
    options: RoomOptions
    since: Since | None = None
    """Where it was when it left, if it wants what it missed."""
    id: RequestId | None = None
    """Of the request, for the answer."""
    allowed: Allowed = ALL
    put_out: str | None = None
    """Why the application put it out before it was in."""
    cost: Cost = NOTHING
    """What it was answered."""
    over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def behind(self) -> Since | None:
        """Where what it is handed begins; None where it is handed nothing."""
        return self.since if self.allowed.history else None


class Joins:
    def __init__(self) -> None:
        self._joins: dict[Recipient, dict[RoomName, Joining]] = {}
        self._waiting: dict[Recipient, list[Joining]] = {}

    def __len__(self) -> int:
        return sum(map(len, (*self._joins.values(), *self._waiting.values())))

    def of(self, member: Recipient, room: RoomName) -> Joining | None:
        return self._joins.get(member, {}).get(room)

    def waiting(self, member: Recipient, room: RoomName) -> list[Joining]:
        """Those that have not begun, because the member is joining the room already."""
        return [join for join in self._waiting.get(member, ()) if join.room == room]

    def count(self, member: Recipient) -> int:
        """How many rooms the member is joining now."""
        return len(self._joins.get(member, ()))

    async def begin(self, join: Joining) -> None:
        """Returns when the member is not joining the room already."""
        while (other := self.of(join.member, join.room)) is not None:
            waiting = self._waiting.setdefault(join.member, [])
            waiting.append(join)
            try:
                await other.over.wait()
            finally:
                waiting.remove(join)
                if not waiting:
                    del self._waiting[join.member]
        self._joins.setdefault(join.member, {})[join.room] = join

    def end(self, join: Joining) -> None:
        joins = self._joins[join.member]
        del joins[join.room]
        if not joins:
            del self._joins[join.member]
        join.over.set()

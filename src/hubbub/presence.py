"""Who is in a topic, kept true in the broker by this node.

The local counter (`state/occupancy.py`) says what the broker should know; this actor makes the broker know it. Each
(topic, member) that this node speaks for is a seat with one worker at most, which compares what should be with what
the broker was told last and corrects the difference. So the two can never pass each other on the way, a tab that
leaves while the next one comes ends in the right state, and a leave that could not be said is said later. A command
that failed leaves the broker's state unknown, which counts as a difference.

Arrivals are waited for, because the joiner is to find itself among the members; departures are not.
"""

import asyncio
import random
from dataclasses import dataclass
from typing import Literal

from hubbub.errors import Unavailable
from hubbub.ports.broker import Announcement, Broker
from hubbub.state.backoff import Backoff
from hubbub.state.occupancy import Occupancy
from hubbub.turns import Begin
from hubbub.types import EVERYONE, ONLINE, NodeId, Topic, room_of
from hubbub.wire import messages
from hubbub.wire.envelope import Envelope, Kind

# How many seats are announced anew at a time after the broker came back: enough to be quick, few enough to be kind.
_BATCH = 64


@dataclass(slots=True)
class _Seat:
    told: bool | None = False
    """What the broker was told last: present, absent, or None where we cannot know."""
    working: bool = False
    again: bool = False
    """What is said next was said before: the broker may have forgotten it, but nobody has seen the member leave."""
    waiting: list[asyncio.Future[None]] | None = None
    nap: asyncio.Future[None] | None = None

    async def rest(self, seconds: float) -> None:
        """Until the next try, or `hurry`."""
        self.nap = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait((self.nap,), timeout=seconds)
        finally:
            self.nap = None

    def hurry(self) -> None:
        if self.nap is not None and not self.nap.done():
            self.nap.set_result(None)


class Presence:
    def __init__(self, broker: Broker, node: NodeId, begin: Begin, *, announce_users: bool) -> None:
        self._broker = broker
        self._node = node
        self._begin = begin
        self._announce_users = announce_users
        self._occupancy = Occupancy()
        self._seats: dict[tuple[Topic, str], _Seat] = {}

    def __len__(self) -> int:
        return len(self._seats)

    async def enter(self, topic: Topic, member: str) -> None:
        """One more local reason for `member` to be in `topic`. Returns when the broker knows.

        Raises Unavailable, and the reason is void.
        """
        self._occupancy.enter(topic, member)
        seat = self._seats.setdefault((topic, member), _Seat())
        if seat.told is True and not seat.working:
            return
        if not seat.working:
            self._work(topic, member, seat)
            if seat.told is True and not seat.working:
                return
        told = asyncio.get_running_loop().create_future()
        seat.waiting = [*(seat.waiting or ()), told]
        # A joiner is answered within the broker's deadline, not after the pause between two tries.
        seat.hurry()
        try:
            await told
        except BaseException:
            self.leave(topic, member)
            raise

    def leave(self, topic: Topic, member: str) -> None:
        """One reason less. The broker is told in the background, and again until it has understood."""
        if self._occupancy.leave(topic, member):
            self._work(topic, member, self._seats[topic, member])

    async def reassert(self) -> None:
        """Say everything anew: the broker came back, and may have forgotten."""
        for seat in self._seats.values():
            seat.hurry()
        told = [(key, seat) for key, seat in self._seats.items() if seat.told is True]
        for start in range(0, len(told), _BATCH):
            await asyncio.gather(*(self._say_again(*key, seat) for key, seat in told[start : start + _BATCH]))

    async def _say_again(self, topic: Topic, member: str, seat: _Seat) -> None:
        if seat.told is True and not seat.working:
            seat.told = None
            seat.again = True
            seat.working = True
            await self._settle(topic, member, seat)

    def _work(self, topic: Topic, member: str, seat: _Seat) -> None:
        if not seat.working:
            seat.working = True
            self._begin(self._settle(topic, member, seat))

    async def _settle(self, topic: Topic, member: str, seat: _Seat) -> None:
        backoff: Backoff | None = None
        try:
            while (wanted := (topic, member) in self._occupancy) is not seat.told:
                seat.told = None
                try:
                    await self._tell(topic, member, present=wanted, quietly=seat.again and wanted)
                    seat.told = wanted
                    seat.again = False
                except Unavailable as error:
                    self._wake(seat, error)
                    backoff = backoff or Backoff(random.uniform, first=0.1, ceiling=5.0)
                    await seat.rest(backoff.next())
        finally:
            seat.working = False
            self._wake(seat, None if seat.told is True else Unavailable())
            if (topic, member) not in self._occupancy and seat.told is False:
                self._seats.pop((topic, member), None)

    async def _tell(self, topic: Topic, member: str, *, present: bool, quietly: bool) -> None:
        announcement = None if quietly else self._announcement(topic, member, present=present)
        tell = self._broker.enter if present else self._broker.leave
        await tell(topic, member, self._node, announcement)

    def _announcement(self, topic: Topic, member: str, *, present: bool) -> Announcement | None:
        kind: Literal["user_joined_room", "user_left_room", "user_connected", "user_disconnected"]
        room = room_of(topic)
        if room is not None:
            kind, where = "user_joined_room" if present else "user_left_room", topic
        elif topic == ONLINE and self._announce_users:
            kind, where = "user_connected" if present else "user_disconnected", EVERYONE
        else:
            return None
        envelope = Envelope(Kind.NOTICE, messages.notice(kind, member, room), without_users=frozenset({member}))
        return Announcement(where, envelope.encode())

    @staticmethod
    def _wake(seat: _Seat, error: Unavailable | None) -> None:
        waiting, seat.waiting = seat.waiting, None
        for future in waiting or ():
            if not future.done():
                if error is None:
                    future.set_result(None)
                else:
                    future.set_exception(error)

"""Who is in a topic, kept true in the broker by this node.

The local counter (`presence/occupancy.py`) says what the broker should know; this actor makes the broker know it. Each
(topic, member) that this node speaks for is a seat with one worker at most, which compares what should be with what the
broker was told last and corrects the difference. Where all is said, the counter alone stands for the seat. So the two
can never pass each other on the way, a tab that leaves while the next one comes ends in the right state, and a leave
that could not be said is said later. A command that failed leaves the broker's state unknown, which counts as a
difference.

Arrivals are waited for, because the joiner is to find itself among the members; departures are not. Where somebody's
last tab went without a word, the seat may be kept for a while: a page that is reloaded is no news.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from hubbub.errors import Unavailable
from hubbub.options import RoomOptions
from hubbub.ports.broker import Announcement, Broker
from hubbub.ports.clock import Alarm, Clock
from hubbub.presence.occupancy import Occupancy
from hubbub.protocol import messages
from hubbub.protocol.envelope import Envelope, Kind
from hubbub.scheduling.backoff import Backoff
from hubbub.scheduling.tasks import Begin
from hubbub.types import EVERYONE, OCCUPIED, ONLINE, NodeId, RoomName, Topic, room_of

# How many seats are announced anew at a time after the broker came back: enough to be quick, few enough to be kind.
_BATCH = 64
# Seconds between two batches that others hear of: ten thousand come back within four seconds, not in one burst.
_PACE = 0.02


@dataclass(slots=True)
class _Seat:
    told: bool | None = False
    """What the broker was told last: present, absent, or None where we cannot know."""
    working: bool = False
    quiet: bool = False
    """What is said next was said before: the broker may have forgotten it, but nobody has seen the member leave."""
    kept: Alarm | None = None
    """Nobody sits here, but somebody may come back before it rings."""
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

    def free(self) -> bool:
        """Whether it had been kept."""
        alarm, self.kept = self.kept, None
        if alarm is not None:
            alarm.cancel()
        return alarm is not None


class PresenceTracker:
    """`grace`: seconds for which a user whose last tab went counts as there. `batch`: how many are said anew at once.

    `options_of` says how a room's members are told. `edges`: this hub has hooks of them.
    """

    def __init__(
        self,
        broker: Broker,
        node: NodeId,
        begin: Begin,
        clock: Clock,
        options_of: Callable[[RoomName], RoomOptions],
        *,
        announce_users: bool,
        edges: bool = False,
        grace: float = 0.0,
        batch: int = _BATCH,
    ) -> None:
        self._broker = broker
        self._node = node
        self._begin = begin
        self._clock = clock
        self._options_of = options_of
        self._announce_users = announce_users
        self.edge = True if edges else None
        """Whether what is said is logged as an edge, as the broker has it."""
        self._grace = grace
        self._batch = batch
        self._retired = False
        self._round = 0
        self._occupancy = Occupancy()
        self._seats: dict[tuple[Topic, str], _Seat] = {}
        """Where something is to be said, or may be. Of most members nothing is to be known but that they count."""

    def __len__(self) -> int:
        return len(self._occupancy) + sum(key not in self._occupancy for key in self._seats)

    async def enter(self, topic: Topic, member: str) -> None:
        """One more local reason for `member` to be in `topic`. Returns when the broker knows.

        Raises Unavailable, and the reason is void.
        """
        key = (topic, member)
        first = self._occupancy.enter(key)
        seat = self._seats.get(key)
        if seat is None:
            if not first:
                return
            seat = self._seats[key] = _Seat()
        seat.free()
        if seat.told is True and not seat.working:
            del self._seats[key]
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
        if self._occupancy.leave((topic, member)):
            self._work(topic, member, self._seat(topic, member))

    def linger(self, topic: Topic, member: str) -> None:
        """As `leave`, where it was not said: told after the grace, and not at all if the member is back before."""
        if not self._grace:
            self.leave(topic, member)
        elif self._occupancy.leave((topic, member)):
            seat = self._seat(topic, member)
            seat.kept = self._clock.call_at(self._clock.now() + self._grace, lambda: self._give_up(topic, member, seat))

    def retire(self) -> None:
        """The users of this node are about to come back to another: that they leave is for others to find out."""
        self._retired = True
        self.stop()

    def stop(self) -> None:
        """Nobody is waited for any more, and nothing is said anew."""
        self._grace = 0.0
        self._round += 1
        for key, seat in tuple(self._seats.items()):
            self._give_up(*key, seat)

    async def reassert(self, *, loudly: bool = False) -> None:
        """Say everything anew. The broker may have forgotten; `loudly`: others may have said that we are gone.

        Who was still known is announced in neither case. A later call takes over from one that goes on.
        """
        self._round += 1
        mine = self._round
        for topic, member in self._occupancy:
            self._seat(Topic(topic), member)
        for seat in self._seats.values():
            if loudly:
                seat.quiet = False
                seat.free()  # who was waited for has been announced as gone
            if seat.told is True and not seat.working:
                seat.told = None
                seat.quiet = not loudly
            seat.hurry()
        unsure = [(key, seat) for key, seat in self._seats.items() if seat.told is None]
        for start in range(0, len(unsure), self._batch):
            await asyncio.gather(*(self._say_again(*key, seat) for key, seat in unsure[start : start + self._batch]))
            if mine != self._round:
                return
            if loudly:
                await asyncio.sleep(_PACE)

    def announcement(self, topic: Topic, member: str, *, present: bool) -> Announcement | None:
        """What the others are told where the broker finds that `member` came or went; None where nobody is told."""
        kind: Literal["user_joined_room", "user_left_room", "user_connected", "user_disconnected"]
        others = frozenset({member})
        room = room_of(topic)
        if room is not None and self._options_of(room).diff:
            change = Kind.CAME if present else Kind.WENT
            return Announcement(topic, Envelope(change, member.encode(), without_users=others).encode())
        if room is not None:
            kind, where = "user_joined_room" if present else "user_left_room", topic
        elif topic == ONLINE and self._announce_users:
            kind, where = "user_connected" if present else "user_disconnected", EVERYONE
        else:
            return None
        envelope = Envelope(Kind.NOTICE, messages.notice(kind, member, room), without_users=others)
        return Announcement(where, envelope.encode())

    def _seat(self, topic: Topic, member: str) -> _Seat:
        """Of one who is there, or was until now."""
        return self._seats.setdefault((topic, member), _Seat(told=True))

    async def _say_again(self, topic: Topic, member: str, seat: _Seat) -> None:
        # Another may have the place by now: who left and came back has a new seat.
        if seat.told is None and not seat.working:
            seat.working = True
            await self._settle(topic, member, seat)

    def _work(self, topic: Topic, member: str, seat: _Seat) -> None:
        if not seat.working:
            seat.working = True
            self._begin(self._settle(topic, member, seat))

    def _give_up(self, topic: Topic, member: str, seat: _Seat) -> None:
        """Keep the seat no longer, if it was kept."""
        if seat.free():
            self._work(topic, member, seat)

    def _wanted(self, topic: Topic, member: str, seat: _Seat) -> bool:
        return (topic, member) in self._occupancy or seat.kept is not None

    async def _settle(self, topic: Topic, member: str, seat: _Seat) -> None:
        backoff: Backoff | None = None
        try:
            while (wanted := self._wanted(topic, member, seat)) is not seat.told:
                if self._retired and not wanted and _comes_back(topic):
                    break
                seat.told = None
                try:
                    await self._tell(topic, member, present=wanted, quietly=seat.quiet and wanted)
                    seat.told = wanted
                    seat.quiet = False
                except Unavailable as error:
                    self._wake(seat, error)
                    backoff = backoff or Backoff(random.uniform, first=0.1, ceiling=5.0)
                    await seat.rest(backoff.next())
        finally:
            seat.working = False
            self._wake(seat, None if seat.told is True else Unavailable())
            if seat.told is self._wanted(topic, member, seat) and seat.kept is None:
                self._seats.pop((topic, member), None)

    async def _tell(self, topic: Topic, member: str, *, present: bool, quietly: bool) -> None:
        announcement = None if quietly else self.announcement(topic, member, present=present)
        tell = self._broker.enter if present else self._broker.leave
        await tell(topic, member, self._node, announcement, edge=False if quietly else self.edge)

    @staticmethod
    def _wake(seat: _Seat, error: Unavailable | None) -> None:
        waiting, seat.waiting = seat.waiting, None
        for future in waiting or ():
            if not future.done():
                if error is None:
                    future.set_result(None)
                else:
                    future.set_exception(error)


def _comes_back(topic: Topic) -> bool:
    """Whether who is in it may come back elsewhere: users, and rooms with them; a user's tabs are gone for good."""
    return topic in (ONLINE, OCCUPIED) or room_of(topic) is not None

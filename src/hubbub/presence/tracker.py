"""Who is in a topic, kept true in the broker by this node.

The local counter (`presence/occupancy.py`) says what the broker should know; this actor makes the broker know it. Each
(topic, member) that this node speaks for is a seat with one worker at most, which compares what should be with what the
broker was told last and corrects the difference. Where all is said, the counter alone stands for the seat. So the two
can never pass each other on the way, a tab that leaves while the next one comes ends in the right state, and a leave
that could not be said is said later. A command that failed leaves the broker's state unknown, which counts as a
difference.

In rooms with presence data it says as well what is to be seen of the member (`presence/showing.py`): with the arrival,
and again whenever that changes.

Arrivals are waited for, because the joiner is to find itself among the members; departures are not. Where somebody's
last tab went without a word, the seat may be kept for a while: a page that is reloaded is no news.

A line longer than other files, because a seat is one thing: who is there, and what is seen of them.
"""

import asyncio
import math
import random
from dataclasses import dataclass

from hubbub.errors import Unavailable
from hubbub.ports.broker import Announcement, Broker, Change
from hubbub.ports.clock import Alarm, Clock
from hubbub.ports.metrics import Count, Metrics, Tally
from hubbub.presence.notices import Notices
from hubbub.presence.occupancy import Occupancy
from hubbub.presence.showing import Showing
from hubbub.scheduling.backoff import Backoff
from hubbub.scheduling.tasks import Begin
from hubbub.types import OCCUPIED, ONLINE, NodeId, Topic, room_of

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
    anew: bool = False
    """It shows something else than the broker was told."""
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
    """`grace`: seconds for which a user whose last tab went is there. `batch`: how many are said anew at once.

    `edges`: this hub has hooks of them.
    """

    def __init__(
        self,
        broker: Broker,
        node: NodeId,
        begin: Begin,
        clock: Clock,
        notices: Notices,
        showing: Showing,
        *,
        edges: bool = False,
        grace: float = 0.0,
        batch: int = _BATCH,
        metrics: Metrics | None = None,
    ) -> None:
        self._metrics = metrics or Tally()
        self._broker = broker
        self._node = node
        self._begin = begin
        self._clock = clock
        self._notices = notices
        self._showing = showing
        self.edge: bool | None = True if edges else None
        """Whether what is said is logged as an edge, as the broker has it."""
        self._grace = grace
        self._batch = batch
        self.believed_until: float = math.inf
        """Until when nobody says that who is here has gone, as far as this node knows."""
        self._retired = False
        self._round = 0
        self._occupancy = Occupancy()
        self._seats: dict[tuple[Topic, str], _Seat] = {}
        """Where something is to be said, or may be. Of most members nothing is to be known but that they count."""

    def __len__(self) -> int:
        return len(self._occupancy) + sum(key not in self._occupancy for key in self._seats)

    async def enter(self, topic: Topic, member: str, *, anew: bool = False) -> None:
        """One more local reason for `member` to be in `topic`. Returns when the broker knows.

        `anew`: and it shows something else. Raises Unavailable, and the reason is void.
        """
        key = (topic, member)
        first = self._occupancy.enter(key)
        seat = self._seats.get(key)
        if seat is None:
            if not (first or anew):
                return
            seat = self._seats[key] = _Seat(told=not first)
        if seat.free():
            # What it showed went with its last tab, and the broker was not told.
            anew = anew or self._notices.shows(topic)
        seat.anew = seat.anew or anew
        try:
            await self._said(topic, member, seat)
        except BaseException:
            self.leave(topic, member)
            raise

    async def show(self, topic: Topic, member: str) -> None:
        """It shows something else. Returns when the broker knows; nothing happens where nobody sits here.

        Raises Unavailable, and it is told later.
        """
        if (topic, member) in self._occupancy:
            seat = self._seat(topic, member)
            seat.anew = True
            await self._said(topic, member, seat)

    def touch(self, topic: Topic, member: str) -> None:
        """As `show`, told in the background."""
        if (topic, member) in self._occupancy:
            seat = self._seat(topic, member)
            seat.anew = True
            self._work(topic, member, seat)

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

    async def _said(self, topic: Topic, member: str, seat: _Seat) -> None:
        """Returns when the broker knows what is so. Raises Unavailable where a try to tell it failed."""
        if seat.told is True and not (seat.anew or seat.working):
            self._seats.pop((topic, member), None)
            return
        if not seat.working:
            self._work(topic, member, seat)
            if seat.told is True and not (seat.anew or seat.working):
                return
        told = asyncio.get_running_loop().create_future()
        seat.waiting = [*(seat.waiting or ()), told]
        # A joiner is answered within the broker's deadline, not after the pause between two tries.
        seat.hurry()
        await told

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
            while (wanted := self._wanted(topic, member, seat)) is not seat.told or (wanted and seat.anew):
                if self._retired and not wanted and _comes_back(topic):
                    break
                # What was told and may have been swept since is announced, should this bring it back.
                known = seat.told is True and self._clock.now() < self.believed_until
                quietly = wanted and (seat.quiet or known)
                seat.told, anew, seat.anew = None, seat.anew, False
                try:
                    changed = await self._tell(topic, member, present=wanted, quietly=quietly, anew=anew)
                    if changed and not quietly:
                        self._count(topic, present=wanted)
                    seat.told = wanted
                    seat.quiet = False
                except Unavailable as error:
                    seat.anew = seat.anew or anew
                    self._wake(seat, error)
                    backoff = backoff or Backoff(random.uniform, first=0.1, ceiling=5.0)
                    await seat.rest(backoff.next())
        finally:
            seat.working = False
            self._wake(seat, None if seat.told is True else Unavailable())
            wanted = self._wanted(topic, member, seat)
            if seat.told is wanted and seat.kept is None and not (wanted and seat.anew):
                self._seats.pop((topic, member), None)

    def _count(self, topic: Topic, *, present: bool) -> None:
        if topic == ONLINE:
            self._metrics.count(Count.ONLINE_CAME if present else Count.ONLINE_WENT)
        elif room_of(topic) is not None:
            self._metrics.count(Count.PRESENCE_CAME if present else Count.PRESENCE_WENT)

    async def _tell(self, topic: Topic, member: str, *, present: bool, quietly: bool, anew: bool) -> bool:
        """Whether it is the first that was there anywhere, or the last."""
        announcement = None if quietly else self._notices.announcement(topic, member, present=present)
        if self._notices.shows(topic):
            # Who is waited for shows nothing any more, and a broker that forgot nothing still has what it did.
            quietly = quietly and not anew and self._showing.newest((topic, member)) is not None
            change = None if quietly else self._notices.change(topic, member)
            if present and anew:
                self._metrics.count(Count.PRESENCE_SHOWN)
            return await self._tell_shown(topic, member, announcement, change, present=present)
        tell = self._broker.enter if present else self._broker.leave
        return await tell(topic, member, self._node, announcement, edge=False if quietly else self.edge)

    async def _tell_shown(
        self, topic: Topic, member: str, announcement: Announcement | None, change: Change | None, *, present: bool
    ) -> bool:
        if not present:
            return await self._broker.hide(topic, member, self._node, announcement, change)
        entry = self._showing.newest((topic, member))
        data, at = (b"", None) if entry is None else (entry.data, entry.at)
        told = await self._broker.show(topic, member, self._node, data, at=at, announce=announcement, change=change)
        if entry is not None:
            self._showing.place((topic, member), entry, told.at)
        return told.first

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

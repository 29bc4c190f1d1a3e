"""When an event loop counts as blocked, by what, and what need not be said of it: the watchdog's decisions.

A loop that is late is not blocked by anybody's function where the machine was: asleep, stopped, or busy with something
else. So of the time that a loop is late is taken what its thread waited for a processor, and what the watchdog itself
woke too late, unless the loop's own thread computed meanwhile, and so kept the interpreter from everybody. And a
function is named where the thread stood in it for a while. A loop that has a thousand small things to do is in another
one at each look: that is told by its lag alone.
"""

import math
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

from hubbub.scheduling.stack import Place, Stack, common, is_debugged, place_of, shown

#: Seconds after which a block is told while it lasts. One that is shorter is told when it has ended.
LASTING = 1.0
# How often it is told again, and how often anything is told of one place.
_AGAIN = 60.0
_PLACES = 256
# What two clocks may differ by.
_MOMENT = 0.001
_ALONE = "a call that lets no other thread run"
# Of what is remembered of the machine.
_EXCUSES = 64
_DELAYS = 256


class Turn(NamedTuple):
    """The loop's heart has beaten, and late. `ended`: when; `late`: by how much; `cpu`: what its thread computed."""

    beat: int
    ended: float
    late: float
    cpu: float


class Stretch(NamedTuple):
    """A handler held the loop for `seconds`, until `ended`; `place` is its own, not what blocked in it."""

    place: Place
    seconds: float
    ended: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the watchdog sees when it looks. Times are seconds by a clock that never jumps."""

    now: float
    late: float
    """How much later than it wanted to it looks."""
    beat: int
    """Which of the loop's beats was the last."""
    due: float
    """When the next one is."""
    cpu_then: float
    """What its thread had computed at the last beat, in seconds."""
    cpu: float | None
    """And has by now, None where that cannot be had."""
    delayed: float | None
    """Seconds it has waited for a processor since it began, None where that cannot be had."""
    withheld: bool
    """Who looks was late because somebody sat on the interpreter without computing."""
    running: bool
    collected: int
    """How often the garbage collector has looked at everything."""
    stack: Callable[[], Stack]
    """What the loop's thread does now; empty where it waits for something to do."""
    turns: Sequence[Turn] = ()
    """Late ones since the last look."""
    stretches: Sequence[Stretch] = ()
    """Since the last look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One line for the log. `place`: None where it could not be seen."""

    place: Place | None
    seconds: float
    lasts: bool
    """It is blocked now; else it was."""
    stack: Sequence[str] = ()
    collected: bool = False
    """The garbage collector ran meanwhile."""
    more: int = 0
    """How often it happened there beside, since that was told last, and was not told."""
    began: float = 0.0


Span: TypeAlias = tuple[float, float]


@dataclass(slots=True)
class _Spot:
    """What was told of one place."""

    told: float
    lasting: float = -_AGAIN
    """When it was told last that it is blocked there."""
    open: bool = False
    """It was told, and its end was not."""
    more: int = 0


class Blocked:
    """`limit`: how long a loop may be held, in seconds; may be set anew. `own`: see `place_of`."""

    def __init__(self, limit: float, own: Collection[str] = ()) -> None:
        self.limit: float = limit
        self.own: Collection[str] = own
        self.count: int = 0
        """How often it was blocked so far, also where that was not told."""
        self._beat = -1
        self._since = 0.0
        """From when on it counts: the beat that is due, or when the loop ran again."""
        self._away = 0.0
        """For how long the machine was not there since."""
        self._cpu: float | None = None
        self._delayed: float | None = None
        self._collected = 0
        self._stack: Stack = ()
        self._first = 0.0
        """When it was seen in these functions first."""
        self._confirmed = False
        self._held = False
        """It could be looked at only when it was over."""
        self._told_at: float | None = None
        self._longest: float = 0.0
        """Of the handlers' stretches that are a part of it."""
        self._excuses: deque[tuple[float, float]] = deque(maxlen=_EXCUSES)
        """From when to when the machine was away."""
        self._debugged = -math.inf
        """When somebody was seen last who looks at it by a debugger: what is held for that is held by nobody."""
        self._delays: deque[tuple[float, float | None]] = deque([(0.0, None)], maxlen=_DELAYS)
        """`delayed` at each look."""
        self._spots: dict[str, _Spot] = {}
        """By function, the one told last at the end."""

    def look(self, seen: Look) -> tuple[float, list[Told]]:
        """When to look again, and what is to be told now."""
        news: list[Told] = []
        ended = [told for turn in seen.turns if (told := self._end(turn, seen)) is not None]
        if seen.beat != self._beat:
            self._begin(seen)
        again = self._judge(seen, news)
        for stretch in seen.stretches:
            self._take(stretch, ended, seen)
        self._delays.append((seen.now, seen.delayed))
        news = [told for each in (*ended, *news) if (told := self._limited(each, seen.now)) is not None]
        return again, news

    def _begin(self, seen: Look) -> None:
        self._beat, self._since, self._away = seen.beat, seen.due, 0.0
        self._cpu = seen.cpu_then
        # Of what came between this look and the one before it is not known when it was.
        self._delayed = seen.delayed if seen.now <= seen.due else self._delays[-1][1]
        self._collected = seen.collected
        self._confirmed, self._told_at, self._longest = False, None, 0.0
        self._stack = ()

    def _count_from(self, seen: Look) -> float:
        """Until now nothing held it. When to look again."""
        self._since, self._away = max(seen.now, seen.due), 0.0
        self._cpu, self._delayed = seen.cpu, seen.delayed
        self._stack = ()
        return self._since + self.limit / 2

    def _judge(self, seen: Look, news: list[Told]) -> float:
        if self._confirmed:
            return self._go_on(seen, news)
        if not seen.running:
            return self._count_from(seen)
        overdue = seen.now - self._since
        late = seen.late > self.limit / 2
        held = late and (seen.withheld or _since(self._cpu, seen.cpu) >= self.limit)
        if late and not held and not any(turn.cpu >= self.limit for turn in seen.turns):
            self._excuses.append((seen.now - seen.late, seen.now))
            self._away += min(seen.late, max(0.0, overdue))
        if overdue < self.limit / 2:
            return self._since + self.limit / 2
        stack = seen.stack()
        if not stack or self._is_debugged(stack, seen):
            return self._count_from(seen)
        same = common(self._stack, stack)
        self._first = self._first if same else seen.now
        self._stack = same or stack
        missing = self.limit - (overdue - self._away - _since(self._delayed, seen.delayed))
        if not held:
            missing = max(missing, self.limit / 2 - (seen.now - self._first))
        if missing > _MOMENT:
            return seen.now + min(self.limit, missing)
        self._confirmed, self._held = True, held
        self.count += 1
        # What let nobody look has ended since, or we would not.
        return seen.now + self.limit / 2 if held else self._go_on(seen, news)

    def _go_on(self, seen: Look, news: list[Told]) -> float:
        overdue = seen.now - self._since
        # By more looks it is seen better which function it is that goes on and on, and which one it only calls.
        stack = seen.stack() if self._told_at is None else self._stack
        if self._is_debugged(stack, seen):
            self._confirmed = False
            return self._count_from(seen)
        if same := common(self._stack, stack):
            self._stack, self._held = same, False
        if not stack:
            # It is over, and the loop about to turn.
            return seen.now + self.limit / 4
        if overdue < LASTING:
            return seen.now + self.limit / 2
        if self._told_at is None or seen.now - self._told_at >= _AGAIN:
            self._told_at = seen.now
            news.append(self._telling(overdue, seen, lasts=True))
        return seen.now + self.limit

    def _end(self, turn: Turn, seen: Look) -> Told | None:
        """What is to be told of a turn that was late."""
        if turn.beat == self._beat and self._confirmed:
            told = self._telling(max(turn.ended - self._since, self._longest), seen, lasts=False)
            self._confirmed, self._beat = False, -1
            return told
        # Who computes without ever letting anybody else run can be seen by that alone.
        held = turn.cpu >= self.limit or (seen.withheld and turn.late >= self.limit)
        if seen.late <= self.limit / 2 or not held:
            return None
        self.count += 1
        collected = seen.collected > self._collected
        return Told(place=None, seconds=turn.late, lasts=False, collected=collected, began=turn.ended - turn.late)

    def _take(self, stretch: Stretch, ended: list[Told], seen: Look) -> None:
        """One line for what both the watchdog and the dispatcher have seen."""
        began = stretch.ended - stretch.seconds
        for at, told in enumerate(ended):
            if began <= told.began + told.seconds and told.began <= stretch.ended:
                # Its own stretch is known to the millisecond, of the block only what is after the last beat.
                seconds = max(told.seconds, stretch.seconds)
                ended[at] = replace(told, seconds=seconds, place=told.place or stretch.place)
                return
        if self._confirmed and stretch.ended >= self._since:
            self._longest = max(self._longest, stretch.seconds)
            return
        if began <= self._debugged <= stretch.ended:
            return
        if stretch.seconds - self._excused(began, stretch.ended) - self._waited(began, seen) < self.limit:
            return
        self.count += 1
        ended.append(Told(place=stretch.place, seconds=stretch.seconds, lasts=False, began=began))

    def _is_debugged(self, stack: Stack, seen: Look) -> bool:
        debugged = is_debugged(stack)
        if debugged:
            self._debugged = seen.now
        return debugged

    def _excused(self, began: float, ended: float) -> float:
        """For how long the machine was away within this time."""
        return sum(max(0.0, min(ended, end) - max(began, start)) for start, end in self._excuses)

    def _waited(self, began: float, seen: Look) -> float:
        """For how long the thread has waited for a processor since then, or since the look before it."""
        before = next((delayed for at, delayed in reversed(self._delays) if at <= began), self._delays[0][1])
        return _since(before, seen.delayed)

    def _telling(self, seconds: float, seen: Look, *, lasts: bool) -> Told:
        place = place_of(self._stack, self.own)
        if self._held and place.within is None:
            place = place._replace(within=_ALONE)
        return Told(
            place=place,
            seconds=seconds,
            lasts=lasts,
            stack=shown(self._stack),
            collected=seen.collected > self._collected,
            began=self._since,
        )

    def _limited(self, told: Told, now: float) -> Told | None:
        """None where that place was told within a minute; of a block that was told while it lasts also its end."""
        name = "" if told.place is None else told.place.function
        spot = self._spots.pop(name, None) or _Spot(told=-_AGAIN)
        self._spots[name] = spot
        if len(self._spots) > _PLACES:
            del self._spots[next(iter(self._spots))]
        if not (spot.open and not told.lasts) and now - (spot.lasting if told.lasts else spot.told) < _AGAIN:
            spot.more += 1
            return None
        more, spot.more = spot.more, 0
        spot.told, spot.open = now, told.lasts
        if told.lasts:
            spot.lasting = now
        return replace(told, more=more)


def _since(then: float | None, now: float | None) -> float:
    return 0.0 if then is None or now is None else now - then

"""Who comes and goes where it is too many to tell everybody one by one: large rooms, and storms.

Each notice goes to every member. A thousand who come back at once would be told a thousand times each, and one who goes
in and out again as fast as it may could keep a worker busy with telling. So what single notices come to, by the members
they go to, has an allowance for each topic. As long as that lasts nothing is different. Where it is used up, what comes
is collected until it is calm again, and told twice a second:

- to clients with the feature `diff`, all of it: the net change, by `presence_diff`, or `users_diff` for who is online;
- to the others one notice for each net change, as fast as the allowance is regained. Where the list of a room's
  members reaches them sooner, they get that instead, as if they had joined again: when it is calm, or when they have
  waited for long. Who is online has no list, so there the others wait.

So whoever keeps a list by what it is told has the right one in the end, whatever it was spared. As in `diffs.py`, a
user's own tabs are not told of it, and one who has joined since the last time is told where each has come to.

A little longer than other files: what the two kinds of clients are told is one state, and is forgotten together.
"""

from collections.abc import Callable, Collection, Iterator
from itertools import islice
from typing import TypeAlias

from hubbub.delivery.fanout import Fanout, Recipient
from hubbub.delivery.registry import Registry
from hubbub.ports.clock import Alarm, Clock
from hubbub.ports.metrics import Count, Metrics
from hubbub.presence import singles
from hubbub.presence.changes import Changes, Diff
from hubbub.presence.diffs import forms, without_user
from hubbub.protocol.codec import Prepared
from hubbub.protocol.envelope import Envelope
from hubbub.protocol.features import DIFF, PRESENCE
from hubbub.protocol.messages import prepare
from hubbub.scheduling.allowance import Allowance, forget_some
from hubbub.types import RoomName, Topic, room_of

#: Members below which nothing is collected: what clients can make of so few is bounded by their own rates.
SMALL = 32
#: Users of whom those without `diff` wait to be told, where there is no list.
LATER = 4_096
# Bytes that a notice has, as the allowance counts: what users show makes it longer.
_NOTICE = 128
# Seconds between two tellings; between two parts of one, where it has more users than fit a message; and for which one
# without `diff` waits to be told of all.
_MOMENT, _PAUSE, _PATIENCE = 0.5, 0.05, 2.0
_MOST, _MOST_BYTES = 256, 64 * 1024
# Bytes of lists that are handed out at a time, and of a name in one.
_LISTS, _NAME = 8 * 1024 * 1024, 32

#: Has a member of a room told who is there, soon.
Refresh: TypeAlias = Callable[[Recipient, RoomName], object]


class _Channel:
    """What one kind of client is still to be told, and which of them joined since the first of it came."""

    __slots__ = ("changes", "newcomers")

    def __init__(self) -> None:
        self.changes = Changes()
        self.newcomers: set[Recipient] = set()

    def clear(self) -> None:
        self.changes = Changes()
        self.newcomers.clear()


class _Storm:
    def __init__(self, topic: Topic, alarm: Alarm) -> None:
        self.topic = topic
        self.room = room_of(topic)
        self.alarm = alarm
        self.diff = _Channel()
        self.plain = _Channel()
        self.stale: dict[Recipient, float] = {}
        """Who is to be told the members anew, and since when; the longest first."""


class Storms:
    """`rate`: notices that a topic's members on this worker are sent in a second, and at once.

    `shows` says of a topic whether it has presence data.
    """

    def __init__(
        self,
        fanout: Fanout,
        registry: Registry[Recipient],
        clock: Clock,
        metrics: Metrics,
        shows: Callable[[Topic], bool],
        *,
        rate: float,
    ) -> None:
        self._fanout = fanout
        self._registry = registry
        self._clock = clock
        self._metrics = metrics
        self._shows = shows
        self._rate = rate
        self._allowances: dict[Topic, Allowance] = {}
        self._storms: dict[Topic, _Storm] = {}
        self._refresh: Refresh = lambda recipient, room: None
        fanout.on_notice(self.take)

    def __len__(self) -> int:
        return len(self._storms)

    def on_stale(self, refresh: Refresh) -> None:
        """Call `refresh` for those who are to be told the members anew."""
        self._refresh = refresh

    def take(self, topic: Topic, envelope: Envelope) -> bool:
        """A notice has come: whether it is told later, with others."""
        storm = self._storms.get(topic)
        if storm is None and self._calm(topic, envelope):
            return False
        news = singles.read(envelope, shows=self._shows(topic))
        if news is None:
            return False
        if storm is None:
            storm = self._begin(topic)
        self._metrics.count(Count.NOTICES_COLLECTED)
        for changes in (storm.diff.changes, storm.plain.changes):
            if news.here is not None:
                changes.note(news.user, here=news.here)
            if news.shown is not None:
                changes.show(news.user, news.shown)
        if storm.room is None and len(storm.plain.changes) > LATER:
            storm.plain.changes.pop(1, 0)
            self._metrics.count(Count.NOTICES_LEFT_OUT)
        return True

    def joined(self, topic: Topic, recipient: Recipient) -> None:
        """It was told the members just now."""
        storm = self._storms.get(topic)
        if storm is not None:
            storm.diff.newcomers.add(recipient)
            storm.plain.newcomers.add(recipient)

    def not_refreshed(self, topic: Topic, recipient: Recipient) -> None:
        """It could not be told the members now."""
        storm = self._storms.get(topic) or self._begin(topic)
        storm.stale[recipient] = self._clock.now()

    def stop(self) -> None:
        for storm in self._storms.values():
            storm.alarm.cancel()
        self._storms.clear()

    # When it begins and ends.

    def _calm(self, topic: Topic, envelope: Envelope) -> bool:
        members = len(self._there(room_of(topic)))
        if members < SMALL:
            return True
        allowance, now = self._allowance(topic), self._clock.now()
        if allowance.wait(now):
            return False
        allowance.take(members, members * len(envelope.payload))
        return True

    def _begin(self, topic: Topic) -> _Storm:
        storm = self._storms[topic] = _Storm(topic, self._ring(topic, _MOMENT))
        return storm

    def _ring(self, topic: Topic, seconds: float) -> Alarm:
        return self._clock.call_at(self._clock.now() + seconds, lambda: self._tell(self._storms[topic]))

    def _tell(self, storm: _Storm) -> None:
        diffing: list[Recipient] = []
        plain: list[Recipient] = []
        for each in dict.fromkeys((*self._there(storm.room), *self._fanout.paused(storm.topic))):
            if not (each.text or (each.blind and storm.room in each.blind)):
                (diffing if DIFF in each.features else plain).append(each)
        self._tell_diff(storm, diffing)
        self._tell_plain(storm, plain)
        if storm.diff.changes:
            storm.alarm = self._ring(storm.topic, _PAUSE)
        elif storm.plain.changes or storm.stale:
            storm.alarm = self._ring(storm.topic, _MOMENT)
        else:
            del self._storms[storm.topic]

    # What those with the feature are told.

    def _tell_diff(self, storm: _Storm, everybody: list[Recipient]) -> None:
        channel = storm.diff
        if not everybody:
            channel.clear()
            return
        net, whole = channel.changes.pop(_MOST, _MOST_BYTES)
        apart = self._apart(storm, channel, everybody, net, whole)
        plain, more = _forms(storm.room, net)
        others = [each for each in everybody if each not in apart]
        for message, to in _by_presence(others, plain, more):
            self._fanout.tell_some(storm.topic, to, (message,))
        for each, diff in apart.items():
            own = _forms(storm.room, diff)[PRESENCE in each.features]
            if own is not None:
                self._fanout.tell_one(storm.topic, each, own)
        if not channel.changes:
            channel.newcomers.clear()

    # What the others are told.

    def _tell_plain(self, storm: _Storm, everybody: list[Recipient]) -> None:
        channel, now = storm.plain, self._clock.now()
        if not everybody:
            channel.clear()
            storm.stale.clear()
            return
        calm = storm.room is None or not self._too_many(len(channel.changes), len(everybody))
        if calm:
            self._tell_singles(storm, [each for each in everybody if each not in storm.stale])
        else:
            self._metrics.count(Count.NOTICES_LEFT_OUT, len(channel.changes) * len(everybody))
            channel.clear()
            for each in everybody:
                storm.stale.setdefault(each, now)
        if storm.room is not None and storm.stale:
            self._hand_out_lists(storm, storm.room, frozenset(everybody), calm=calm)

    def _too_many(self, changes: int, members: int) -> bool:
        """Whether the list of members reaches them sooner, and soon enough, than a notice for each change does."""
        by_lists = members * members * _NAME * _MOMENT / _LISTS
        return changes * members / self._rate > max(_PATIENCE, by_lists)

    def _tell_singles(self, storm: _Storm, everybody: list[Recipient]) -> None:
        """As many as they may be told now, and the others later."""
        channel, allowance = storm.plain, self._allowance(storm.topic)
        left = allowance.left(self._clock.now())
        several = max(1, int(left) // max(1, len(everybody))) if left else 0
        while several > 0 and channel.changes:
            net, whole = channel.changes.pop(several, _MOST_BYTES)
            apart = self._apart(storm, channel, everybody, net, whole)
            others = [each for each in everybody if each not in apart]
            for presence in (False, True):
                messages = list(singles.written(storm.room, net, presence=presence))
                to = [each for each in others if (PRESENCE in each.features) is presence]
                if to:
                    self._fanout.tell_some(storm.topic, to, messages)
                    allowance.take(len(to) * len(messages), len(to) * sum(map(len, messages)))
            for each, diff in apart.items():
                for message in singles.written(storm.room, diff, presence=PRESENCE in each.features):
                    self._fanout.tell_one(storm.topic, each, message)
            several -= len(net.joined) + len(net.left) + len(net.shown)
        if not channel.changes:
            channel.newcomers.clear()

    def _hand_out_lists(self, storm: _Storm, room: RoomName, everybody: frozenset[Recipient], *, calm: bool) -> None:
        there, joining, now = self._there(room), self._fanout.paused(storm.topic), self._clock.now()
        for gone in [each for each in storm.stale if each not in everybody]:
            del storm.stale[gone]
        due = [each for each, since in storm.stale.items() if calm or now - since >= _PATIENCE]
        ready = [each for each in due if each in there and each not in joining]
        for each in islice(ready, max(1, _LISTS // (_NAME * len(there) + 1))):
            # First: of what it is not told from now on, it is to hear again.
            del storm.stale[each]
            self._refresh(each, room)

    # Who is there.

    def _there(self, room: RoomName | None) -> Collection[Recipient]:
        return self._registry.everyone() if room is None else self._registry.members(room)

    def _allowance(self, topic: Topic) -> Allowance:
        allowance = self._allowances.get(topic)
        if allowance is None:
            now, size = self._clock.now(), self._rate * _NOTICE
            forget_some(self._allowances, now)
            allowance = self._allowances[topic] = Allowance(self._rate, size, self._rate, size, now)
        return allowance

    def _apart(
        self, storm: _Storm, channel: _Channel, everybody: list[Recipient], net: Diff, whole: Diff
    ) -> dict[Recipient, Diff]:
        """Those of `everybody` who are told something else than the others, and what."""
        there, joining = frozenset(everybody), self._fanout.paused(storm.topic)
        # Who is joining is told by itself, because what it is told waits until it is in.
        apart = {each: whole for each in joining if each in there}
        if net != whole and storm.room is not None:
            apart.update((each, whole) for each in channel.newcomers if each in there)
        for user in (*whole.joined, *whole.left):
            for each in self._registry.of_user(user):
                if each in there:
                    apart[each] = without_user(user, apart.get(each, net))
        return apart


def _forms(room: RoomName | None, diff: Diff) -> tuple[Prepared | None, Prepared | None]:
    """As `forms`; of who is online, where nothing is shown."""
    if room is not None:
        return forms(room, diff)
    if not (diff.joined or diff.left):
        return None, None
    told = prepare("users_diff", connected=diff.joined, disconnected=diff.left)
    return told, told


def _by_presence(
    to: list[Recipient], plain: Prepared | None, more: Prepared | None
) -> Iterator[tuple[Prepared, list[Recipient]]]:
    groups = (
        ((plain, to),)
        if plain is more
        else (
            (plain, [each for each in to if PRESENCE not in each.features]),
            (more, [each for each in to if PRESENCE in each.features]),
        )
    )
    for message, several in groups:
        if message is not None and several:
            yield message, several

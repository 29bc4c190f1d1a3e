"""Who came to a room and who went, collected over a moment and told by one `presence_diff`.

For rooms that ask for it: where a thousand come back at once, each would otherwise be told a thousand times. Every
worker collects for its own members. All get the same message but for two kinds. A user who is in it gets it without
itself. A connection that joined within the moment gets the end state of all who changed in it, because its list of
members was read somewhere in between: for it, one who came and went again may be somebody who left. And what users
show is told to those alone who asked for presence: beside the rest, or by itself.
"""

from hubbub.delivery.fanout import Fanout, Recipient
from hubbub.delivery.registry import Registry
from hubbub.errors import InvalidMessage
from hubbub.ports.clock import Alarm, Clock
from hubbub.ports.metrics import Count, Metrics
from hubbub.presence.changes import Changes, Diff, Shown
from hubbub.protocol.codec import Prepared
from hubbub.protocol.envelope import Envelope, Kind
from hubbub.protocol.features import PRESENCE
from hubbub.protocol.messages import prepare
from hubbub.protocol.presence import beside, of_each, owner
from hubbub.types import RoomName, Topic, room_of

# Names in one message, and the seconds until the next where there are more: ten thousand are told within two seconds,
# and fit a reader's outbox however long they are. What they show is longer, and told more slowly.
_MOST = 256
_MOST_BYTES = 64 * 1024
_PAUSE = 0.05


class _Pending:
    def __init__(self, room: RoomName, alarm: Alarm) -> None:
        self.room = room
        self.alarm = alarm
        self.changes = Changes()
        self.newcomers: set[Recipient] = set()


class Diffs:
    """Collects what the fan-out says of users who come and go. `moment`: seconds over which it does."""

    def __init__(
        self, fanout: Fanout, registry: Registry[Recipient], clock: Clock, metrics: Metrics, *, moment: float = 0.5
    ) -> None:
        self._fanout = fanout
        self._registry = registry
        self._clock = clock
        self._metrics = metrics
        self._moment = moment
        self._pending: dict[Topic, _Pending] = {}
        fanout.on_presence(self.note)

    def __len__(self) -> int:
        return len(self._pending)

    def note(self, topic: Topic, envelope: Envelope) -> None:
        """An envelope of kind CAME, WENT or CHANGED has come."""
        room = room_of(topic)
        try:
            user, shown = _news(envelope)
        except (UnicodeDecodeError, InvalidMessage):
            room = None
        if room is None:
            self._metrics.count(Count.UNKNOWN_ENVELOPES)
            return
        pending = self._pending.get(topic)
        if pending is None:
            pending = self._pending[topic] = _Pending(room, self._ring(topic, self._moment))
        if envelope.kind is not Kind.CHANGED:
            pending.changes.note(user, here=envelope.kind is Kind.CAME)
        if shown is not None:
            pending.changes.show(user, shown)

    def joined(self, topic: Topic, recipient: Recipient) -> None:
        """It was told the members just now."""
        pending = self._pending.get(topic)
        if pending is not None:
            pending.newcomers.add(recipient)

    def stop(self) -> None:
        for pending in self._pending.values():
            pending.alarm.cancel()
        self._pending.clear()

    def _ring(self, topic: Topic, seconds: float) -> Alarm:
        return self._clock.call_at(self._clock.now() + seconds, lambda: self._tell(topic))

    def _tell(self, topic: Topic) -> None:
        pending = self._pending[topic]
        room = pending.room
        net, whole = pending.changes.pop(_MOST, _MOST_BYTES)
        apart = self._apart(topic, pending, net, whole)
        without = frozenset(recipient.id for recipient in apart)
        plain, more = forms(room, net)
        if plain is not None:
            shown = presence_of(net) if net.shown else None
            self._fanout.tell(topic, Envelope(Kind.NOTICE, plain.data, without_connections=without, presence=shown))
        elif more is not None:
            self._fanout.tell(topic, Envelope(Kind.SHOWN, more.data, without_connections=without))
        shared = forms(room, whole)
        for recipient, diff in apart.items():
            message = (shared if diff is whole else forms(room, diff))[PRESENCE in recipient.features]
            if message is not None and not recipient.text:
                self._fanout.tell_one(topic, recipient, message)
        if pending.changes:
            # What is left is of the same moment, and so are its newcomers.
            pending.alarm = self._ring(topic, _PAUSE)
        else:
            del self._pending[topic]

    def _apart(self, topic: Topic, pending: _Pending, net: Diff, whole: Diff) -> dict[Recipient, Diff]:
        """Who is told something else than the others, and what."""
        joining = self._fanout.paused(topic)

        def concerned(recipient: Recipient) -> bool:
            return recipient in joining or self._registry.in_room(recipient, pending.room)

        apart: dict[Recipient, Diff] = {}
        if net != whole:
            apart.update((each, whole) for each in (*pending.newcomers, *joining) if concerned(each))
        for user in (*whole.joined, *whole.left):
            for each in self._registry.of_user(user):
                if concerned(each):
                    apart[each] = without_user(user, apart.get(each, net))
        return apart


def _news(envelope: Envelope) -> tuple[str, Shown | None]:
    """Of whom, and what that one shows; None where nothing is said of it. Raises UnicodeDecodeError, InvalidMessage."""
    if envelope.kind is Kind.CHANGED:
        user, data = owner(envelope.payload)
        return user, Shown(data, anew=True)
    shown = None if envelope.presence is None else Shown(owner(envelope.presence)[1])
    return envelope.payload.decode(), shown


def without_user(user: str, diff: Diff) -> Diff:
    """For the user's own tabs: what it came with they have read, what changed since they have not."""
    joined, left = ([each for each in users if each != user] for users in (diff.joined, diff.left))
    return Diff(joined, left, {each: shown for each, shown in diff.shown.items() if each != user or shown.anew})


def forms(room: RoomName, diff: Diff) -> tuple[Prepared | None, Prepared | None]:
    """For those who did not ask for presence, and for those who did; None where it is no news for them."""
    plain = prepare("presence_diff", room=room, joined=diff.joined, left=diff.left)
    news = plain if diff.joined or diff.left else None
    return news, Prepared(beside(plain.data, presence_of(diff))) if diff.shown else news


def presence_of(diff: Diff) -> bytes:
    return of_each({user: shown.data for user, shown in diff.shown.items()})

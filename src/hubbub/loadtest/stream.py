"""What the members of a room have received, parsed once for all of them and counted for each.

All members are sent the same bytes. So a room's stream is kept as an automaton: a `State` is what one connection has
received so far, as far as it matters for what comes next, and an `Arrival` is a block of bytes that takes a state to
another. A connection that reads the very bytes another read before, in the same state, means the same by them, and
one comparison finds that out; anything else is parsed. Equal states are one object, so connections whose blocks were
cut differently meet again. Nothing is assumed: counts and latencies are those of parsing everything.

Parsing every read lost: ten joined messages cost ten times as much as reading them. Hashing every block lost as well
(a dictionary alone): the last arrival is nearly always the one, and comparing is 20 times as fast.
"""

from collections.abc import Callable
from weakref import WeakValueDictionary

from hubbub.errors import HubbubError
from hubbub.loadtest.counts import Counts, Message
from hubbub.loadtest.dialect import Dialect
from hubbub.loadtest.frames import CLOSE, PING, PONG, TEXT, Reading, close_of, frame
from hubbub.loadtest.tags import Tags

_NOTHING = b"\0"


class _Never:
    """The last arrival of a state in which nothing has arrived: like no bytes that can be read."""

    size = -1
    data = _NOTHING
    times: list[int]
    after: "State"


_NEVER = _Never()


class Refusal(HubbubError):
    """A frame of the server's that says no; the text is what it says."""


class State:
    """What one connection has received.

    rest, partial: bytes of an unfinished frame, and of an unfinished message.
    highest, skipped: of each publisher the highest number, and which below it have not come.
    last: what arrived in this state the last time; known: all that did.
    """

    __slots__ = ("__weakref__", "highest", "known", "last", "partial", "rest", "skipped", "stream")

    def __init__(
        self,
        stream: "Stream",
        rest: bytes,
        partial: bytes | None,
        highest: tuple[int, ...],
        skipped: frozenset[tuple[int, int]],
    ) -> None:
        self.stream = stream
        self.rest = rest
        self.partial = partial
        self.highest = highest
        self.skipped = skipped
        self.last: Arrival | _Never = _NEVER
        self.known: dict[bytes, Arrival] = {}

    @property
    def clean(self) -> bool:
        """Between two frames and two messages, with nothing skipped."""
        return not self.rest and self.partial is None and not self.skipped


class Arrival:
    """A block of bytes in a state, and what it means. `times` are when connections read it, not yet counted.

    messages: those it brings for the first time; groups: when they were sent, and how many each time, if they count.
    replies: frames that every reader of it has to send; closed: what the server said when it closed.
    """

    __slots__ = (
        "after",
        "closed",
        "data",
        "duplicate",
        "groups",
        "late",
        "messages",
        "replies",
        "size",
        "stream",
        "times",
        "unexpected",
    )

    def __init__(self, stream: "Stream", data: bytes) -> None:
        self.stream = stream
        self.data = data
        self.size = len(data)
        self.times: list[int] = []
        self.after: State
        self.messages: list[tuple[tuple[int, int], Message]] = []
        self.groups: list[tuple[int, int]] = []
        self.duplicate = self.late = self.unexpected = 0
        self.replies: list[bytes] = []
        self.closed: str | None = None

    @property
    def plain(self) -> bool:
        """One message, and nothing wrong or to be answered."""
        odd = self.duplicate or self.late or self.unexpected or self.replies or self.closed is not None
        return len(self.messages) == 1 and not odd


class Stream:
    """The stream of one room.

    publishers: the numbers of the connections that send to it.
    """

    def __init__(
        self,
        publishers: list[int],
        *,
        members: int,
        tags: Tags,
        dialect: Dialect,
        counts: Counts,
    ) -> None:
        self._index = {publisher: index for index, publisher in enumerate(publishers)}
        self._members = members
        self._tags = tags
        self._dialect = dialect
        self._counts = counts
        self.complete: Callable[[], None] | None = None
        """Told of each message that all members have."""
        self._states: WeakValueDictionary[tuple[object, ...], State] = WeakValueDictionary()
        self.outstanding: dict[tuple[int, int], Message] = {}

    @property
    def states(self) -> int:
        """How many are known, of members who differ."""
        return len(self._states)

    def start(self, rest: bytes = b"", partial: bytes | None = None, *, had: int = 0) -> State:
        """The state of a member that was given `rest`, and has had the messages up to the number `had`."""
        return self._state(rest, partial, (had,) * len(self._index), frozenset())

    def index(self, publisher: int) -> int:
        """Its place in `State.highest`."""
        return self._index[publisher]

    def sent(self, publisher: int, number: int, now: int, *, counted: bool) -> None:
        self.outstanding[publisher, number] = Message(now, self._members, counted=counted)

    @property
    def missing(self) -> int:
        """Deliveries of counted messages that have not come."""
        return sum(message.left for message in self.outstanding.values() if message.counted)

    def arrive(self, state: State, data: bytes, *, lasting: bool) -> Arrival:
        """What these bytes mean. `lasting`: it may be recognised by comparing, without coming here again.

        Raises ProtocolFault, and Refusal for a frame that says no.
        """
        arrival = state.known.get(data)
        if arrival is None:
            arrival = self._parse(state, data)
            # Only what brings a state on is kept: others lead back to it, and cycles would keep all that follows.
            if not arrival.messages or arrival.replies or arrival.closed is not None:
                return arrival
            state.known[data] = arrival
        if lasting:
            state.last = arrival
        return arrival

    def settle(self, arrival: Arrival) -> None:
        """Counts the reads of it since the last time."""
        times = arrival.times
        reads = len(times)
        counts = self._counts
        counts.arrived += reads * len(arrival.messages)
        counts.received += reads * arrival.size
        counts.duplicate += reads * arrival.duplicate
        counts.out_of_order += reads * arrival.late
        counts.unexpected += reads * arrival.unexpected
        for sent, weight in arrival.groups:
            counts.latency.add(times, sent, weight)
        if arrival.groups:
            counts.last = max(counts.last, times[-1])
        times.clear()
        for key, message in arrival.messages:
            message.left -= reads
            if not message.left:
                del self.outstanding[key]
                if self.complete is not None:
                    self.complete()

    def _state(
        self, rest: bytes, partial: bytes | None, highest: tuple[int, ...], skipped: frozenset[tuple[int, int]]
    ) -> State:
        key = (rest, partial, highest, skipped)
        state = self._states.get(key)
        if state is None:
            state = self._states[key] = State(self, *key)
        return state

    def _parse(self, state: State, data: bytes) -> Arrival:
        arrival = Arrival(self, data)
        reading = Reading(state.rest, state.partial)
        heard = _Heard(list(state.highest), state.skipped)
        for opcode, payload in reading.feed(data):
            if arrival.closed is not None:
                break
            if opcode == TEXT:
                self._text(payload, arrival, heard)
            elif opcode == PING:
                arrival.replies.append(frame(payload, PONG))
            elif opcode == CLOSE:
                arrival.closed = close_of(payload)
        weights: dict[int, int] = {}
        for _, message in arrival.messages:
            if message.counted:
                weights[message.sent] = weights.get(message.sent, 0) + 1
        arrival.groups = list(weights.items())
        arrival.after = self._state(reading.rest, reading.partial, tuple(heard.highest), heard.skipped)
        return arrival

    def _text(self, payload: bytes, arrival: Arrival, heard: "_Heard") -> None:
        found = self._tags.find(payload)
        if found is None or self._dialect.delivery not in payload:
            said = self._dialect.refusal(payload)
            if said is not None:
                raise Refusal(said)
            reply = self._dialect.answer(payload)
            if reply is not None:
                arrival.replies.append(frame(reply.encode()))
            return
        publisher, number = found
        index = self._index.get(publisher)
        message = self.outstanding.get(found)
        if index is None:
            arrival.unexpected += 1
        elif heard.had(index, number):
            arrival.duplicate += 1
        elif message is None:
            arrival.unexpected += 1
        else:
            if heard.hear(index, number):
                arrival.late += 1
            arrival.messages.append((found, message))


class _Heard:
    """The numbers of each publisher that one connection has."""

    __slots__ = ("highest", "skipped")

    def __init__(self, highest: list[int], skipped: frozenset[tuple[int, int]]) -> None:
        self.highest = highest
        self.skipped = skipped

    def had(self, index: int, number: int) -> bool:
        return number <= self.highest[index] and (index, number) not in self.skipped

    def hear(self, index: int, number: int) -> bool:
        """Whether it comes after a later one."""
        highest = self.highest[index]
        if number <= highest:
            self.skipped -= {(index, number)}
            return True
        if number > highest + 1:
            self.skipped |= {(index, skipped) for skipped in range(highest + 1, number)}
        self.highest[index] = number
        return False

"""A batch against the naive way: each message offered to each member at once, to be written or to wait."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hubbub.delivery.message import Outgoing, wanted
from hubbub.delivery.registry import Registry
from hubbub.ports.metrics import Count, Tally
from hubbub.protocol.codec import Prepared
from hubbub.protocol.envelope import Envelope, Kind
from hubbub.types import EVERYONE, Topic
from tests.kit.recipients import Reader, Turn

USERS = ["ann", "ann", "bob", "cid", "dan"]
ROOMS = ["a", "b"]
TABS = [f"c-{number}" for number in range(len(USERS))]

tabs = st.integers(0, len(USERS) - 1)
some_users = st.frozensets(st.sampled_from(sorted(set(USERS))), max_size=2)
envelopes = st.builds(
    Envelope,
    st.sampled_from([Kind.MESSAGE, Kind.NOTICE]),
    st.just(b""),
    without_users=some_users,
    without_connections=st.frozensets(st.sampled_from(TABS), max_size=2),
    only=st.just(frozenset[str]()) | some_users,
)
# Two of the larger and one of the smaller are not held back until the end of the turn.
sizes = st.sampled_from([1, 1, 1, 130 * 1024, 300 * 1024])
contents = {size: b"x" * size for size in (1, 130 * 1024, 300 * 1024)}


class BurstAgainstOneByOne(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.metrics = Tally()
        self.turn = Turn(self.metrics)
        self.registry: Registry[Any] = Registry()
        self.readers: list[Reader] = []
        self.due: list[list[Prepared]] = []
        self.deliveries = 0

    @initialize(text=tabs)
    def come(self, text: int) -> None:
        for number, user in enumerate(USERS):
            reader = Reader(user, self.turn, tab=str(number), text=number == text)
            self.readers.append(reader)
            self.due.append([])
            self.registry.add(reader, user)

    @rule(tab=tabs, room=st.sampled_from(ROOMS))
    def join_or_leave(self, tab: int, room: str) -> None:
        reader = self.readers[tab]
        if not self.registry.leave(reader, room):
            self.registry.join(reader, room)

    @rule(tab=tabs)
    def come_again(self, tab: int) -> None:
        reader = self.readers[tab]
        self.registry.discard(reader)
        self.registry.add(reader, reader.user.id)

    @rule(room=st.sampled_from(ROOMS), size=sizes)
    def to_a_room(self, room: str, size: int) -> None:
        self._spread(Topic(f"room:{room}"), self.registry.members(room), None, size)

    @rule(room=st.sampled_from(ROOMS), envelope=envelopes, size=sizes)
    def to_some_of_a_room(self, room: str, envelope: Envelope, size: int) -> None:
        self._spread(Topic(f"room:{room}"), self.registry.members(room), envelope, size)

    @rule(user=st.sampled_from(USERS))
    def to_a_user(self, user: str) -> None:
        self._spread(Topic(f"user:{user}"), self.registry.of_user(user), None, 1)

    @rule(envelope=st.none() | envelopes)
    def to_everyone(self, envelope: Envelope | None) -> None:
        self._spread(EVERYONE, self.registry.everyone(), envelope, 1)

    @rule(tab=tabs, size=sizes)
    def answer(self, tab: int, size: int) -> None:
        message = Prepared(contents[size])
        self.due[tab].append(message)
        self.turn.batcher.hand(self.readers[tab], Outgoing(message))

    @rule(tab=tabs, size=sizes)
    def say(self, tab: int, size: int) -> None:
        message = Prepared(contents[size])
        self.due[tab].append(message)
        self.turn.batcher.say(self.readers[tab], message)

    @rule(tab=tabs, takes=st.none() | st.integers(1, 3))
    def fill(self, tab: int, takes: int | None) -> None:
        """From its next write on the socket takes less, or all again."""
        self.readers[tab].writer.takes = takes

    @rule(tab=tabs)
    def drain(self, tab: int) -> None:
        self.readers[tab].drain()

    @rule()
    def end(self) -> None:
        self.turn.end()
        for reader, due in zip(self.readers, self.due, strict=True):
            assert list(map(id, reader.messages)) == list(map(id, due))
        assert self.metrics.counts[Count.DELIVERIES] == self.deliveries

    @invariant()
    def nothing_comes_that_was_not_sent_or_out_of_order(self) -> None:
        for reader, due in zip(self.readers, self.due, strict=True):
            got = [*reader.writer.read, *(outgoing.message for outgoing in reader.waiting)]
            assert list(map(id, got)) == list(map(id, due[: len(got)]))

    def teardown(self) -> None:
        if self.readers:
            self.end()

    def _spread(self, topic: Topic, members: Any, envelope: Envelope | None, size: int) -> None:
        message = Prepared(contents[size])
        for reader in members:
            tab = self.readers.index(reader)
            notice = envelope is not None and envelope.kind is Kind.NOTICE
            if envelope is None or (wanted(envelope, reader) and not (reader.text and notice)):
                self.due[tab].append(message)
                self.deliveries += 1
        if members:
            self.turn.batcher.spread(topic, Outgoing(message, envelope), members, self.registry.version)


TestBurstAgainstOneByOne = BurstAgainstOneByOne.TestCase
TestBurstAgainstOneByOne.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)

"""The outbox against one that keeps a plain list and looks through it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hubbub.delivery import outbox
from hubbub.delivery.outbox import Lane, Outbox
from hubbub.options import Slow
from hubbub.protocol import messages
from hubbub.protocol.codec import Prepared
from hubbub.types import Position
from tests.kit import outboxes

LIMIT = 60
CLOSING = (None, Slow.DISCONNECT)

POSITIONS = st.builds(Position, st.sampled_from("ef"), st.integers(1, 9))
LANES = (
    st.none()
    | st.builds(Lane, st.sampled_from("ab"), st.sampled_from(Slow), st.sampled_from([None, "x"]))
    | st.builds(Lane, st.sampled_from("ab"), st.just(Slow.DROP_OLDEST), position=POSITIONS)
)
PREPARED = st.integers(0, 25).map(lambda size: Prepared(b"x" * size))


@dataclass(eq=False)
class Entry:
    lane: Lane | None
    message: Prepared | None
    dropped: list[Position | None] = field(default_factory=list)
    open: bool = True
    """Whether a gap counts what is dropped from now on."""

    @property
    def room(self) -> str | None:
        return self.lane.room if self.lane else None

    @property
    def told(self) -> Prepared:
        """What is sent of it."""
        if self.message is not None:
            return self.message
        known = [position for position in self.dropped if position is not None]
        if not known:
            return messages.dropped(str(self.room), len(self.dropped))
        first, last = known[0], known[-1]
        after = first.offset - 1 if first.epoch == last.epoch else 0
        return messages.gap(str(self.room), epoch=last.epoch, after=after, upto=last.offset)

    @property
    def policy(self) -> Slow | None:
        return self.lane.slow if self.lane else None


class Naive:
    def __init__(self, under_way: int = 0) -> None:
        self.entries: list[Entry] = []
        self.under_way = under_way
        self.refused = Counter[str]()

    @property
    def unsent(self) -> int:
        return self.under_way + sum(len(entry.message or b"") for entry in self.entries)

    def of(self, room: str | None) -> list[Entry]:
        waiting = [entry for entry in self.entries if entry.message is not None and entry.policy not in CLOSING]
        return [entry for entry in waiting if entry.room == room]

    def offer(self, message: Prepared, lane: Lane | None) -> bool:
        entry = Entry(lane, message)
        if entry.policy in CLOSING:
            if self.unsent + len(message) > LIMIT:
                return False
            self.entries.append(entry)
            return True
        self.supersede(self, entry)
        self.entries.append(entry)
        while self.unsent > LIMIT and (waiting := self.of(entry.room)):
            self.drop(waiting[0])
        return True

    def supersede(self, among: "Naive", by: Entry) -> bool:
        same = [each for each in among.entries if each.message is not None and each.lane == by.lane]
        if by.policy is not Slow.LATEST or not same:
            return False
        [older] = same
        among.entries.remove(older)
        self.refused["superseded"] += 1
        return True

    def drop(self, entry: Entry) -> None:
        self.refused["dropped"] += 1
        entry.message = None
        gap = next((each for each in self.entries if each.dropped and each.open and each.room == entry.room), entry)
        gap.dropped.append(entry.lane.position if entry.lane else None)
        if gap is not entry:
            self.entries.remove(entry)

    def put_back(self, several: Sequence[tuple[Prepared, Lane | None]]) -> bool:
        before = Naive(self.unsent)
        fits = all(before.offer(message, lane) for message, lane in several)
        self.refused += before.refused
        for newer in self.entries:
            if newer.message is not None:
                self.supersede(before, newer)
        rooms = {entry.room for entry in before.entries if entry.policy not in CLOSING}
        for entry in self.entries:
            if entry.dropped and entry.room in rooms:
                entry.open = False
        self.entries = before.entries + self.entries
        return fits

    def take(self, size: int) -> list[bytes]:
        taken: list[bytes] = []
        while self.entries and (size > 0 or not taken):
            entry = self.entries.pop(0)
            message = entry.told
            taken.append(message.data)
            size -= len(message)
            self.under_way += len(message)
        return taken


class OutboxAgainstAList(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.outbox = Outbox(LIMIT)
        self.naive = Naive()
        # So that short runs come to where the queue is rewritten.
        self.few, outbox.FEW = outbox.FEW, 2

    def teardown(self) -> None:
        outbox.FEW = self.few

    @rule(message=PREPARED, lane=LANES)
    def offer(self, message: Prepared, lane: Lane | None) -> None:
        assert self.outbox.offer(message, lane) is self.naive.offer(message, lane)

    @rule(message=PREPARED)
    def first(self, message: Prepared) -> None:
        self.outbox.first(message)
        self.naive.entries.insert(0, Entry(None, message))

    @rule(several=st.lists(st.tuples(PREPARED, LANES), max_size=5))
    def put_back(self, several: list[tuple[Prepared, Lane | None]]) -> None:
        assert self.outbox.put_back(several) is self.naive.put_back(several)

    @rule(size=st.sampled_from([0, 1, 20, 1000]))
    def take(self, size: int) -> None:
        assert [message.data for message in self.outbox.take(size)] == self.naive.take(size)

    @rule(data=st.data())
    def sent(self, data: st.DataObject) -> None:
        size = data.draw(st.integers(0, self.naive.under_way))
        self.outbox.sent(size)
        self.naive.under_way -= size

    @rule()
    def clear(self) -> None:
        self.outbox.clear()
        self.naive.entries = []

    @rule()
    def refused(self) -> None:
        assert self.outbox.refused() == (self.naive.refused["dropped"], self.naive.refused["superseded"])
        self.naive.refused.clear()

    @invariant()
    def as_much_is_unsent(self) -> None:
        assert self.outbox.unsent == self.naive.unsent

    @invariant()
    def something_waits_or_nothing_is_kept(self) -> None:
        assert self.outbox.waiting is bool(self.naive.entries)
        waiting = {entry.room for entry in self.naive.entries if entry.policy not in CLOSING}
        assert set(outboxes.rooms(self.outbox) or ()) <= waiting

    @invariant()
    def what_waits_is_the_same(self) -> None:
        kept: list[Any] = []
        for each in outboxes.waiting(self.outbox) or ():
            if isinstance(each, Prepared):
                kept.append(each)
            elif each.message is not None or each.dropped:
                kept.append(each.message if each.message is not None else (each.gap(), each.dropped))
        assert [_seen(each) for each in kept] == [
            _seen(entry.message if entry.message is not None else (entry.told, len(entry.dropped)))
            for entry in self.naive.entries
        ]


def _seen(waiting: Any) -> Any:
    return (waiting[0].data, waiting[1]) if isinstance(waiting, tuple) else waiting


TestOutboxAgainstAList = OutboxAgainstAList.TestCase

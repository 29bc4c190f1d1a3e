"""Any history of a topic against what a reader of it must be told."""

from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hubbub.history.reads import Between, Gap, PassOn, Read, Release
from hubbub.history.states import State, Step
from hubbub.ports.broker import Entry, Past
from hubbub.protocol.join_room import Since
from hubbub.types import Position
from tests.history.topics import past, topic


class Reader(RuleBasedStateMachine):
    """A stream that is trimmed, and begins anew; messages that are lost or come twice; reads that are late."""

    def __init__(self) -> None:
        super().__init__()
        self.epoch, self.top, self.oldest = 0, 0, 1
        self.made = topic(per_read=3, buffered=2)
        self.reads: list[tuple[Read, Past]] = []
        self.told: list[tuple[str, int, int]] = []
        """What the reader knows of: epoch, and the offsets after the one up to the other."""
        self.answered(self.made.begin_read())

    def past(self, read: Read) -> Past:
        kept = range(self.oldest, self.top + 1)
        found = [offset for offset in kept if offset > (read.since or 0)]
        found = found[len(found) - min(read.limit, len(found)) :] if read.newest else found[: read.limit]
        return past(self.top, *found, epoch=f"e{self.epoch}")

    def answered(self, read: Read) -> None:
        self.end(read, self.past(read))

    def end(self, read: Read, answer: Past) -> None:
        for effect in self.made.end_read(read, answer):
            match effect:
                case PassOn(_, position):
                    self.tell(position)
                case Gap(epoch, after, upto):
                    self.told.append((epoch, after, upto))
                case Release(data, position):
                    self.come(data, position)

    def tell(self, position: Position) -> None:
        self.told.append((position.epoch, position.offset - 1, position.offset))

    def come(self, data: bytes, position: Position | None) -> None:
        step = self.made.receive(data, position)
        if position is None:
            return
        if step is Step.BEGIN_ANEW:
            gap = self.made.begin_anew(data, position)
            self.told.append((gap.epoch, gap.after, gap.upto))
        if step in (Step.ADVANCE, Step.BEGIN_ANEW):
            self.tell(position)
        elif step is Step.BUFFER:
            self.made.buffer.add(data, position)

    @rule(fate=st.sampled_from(["comes", "is lost", "comes twice"]))
    def publish(self, fate: str) -> None:
        self.top += 1
        for _ in range(["is lost", "comes", "comes twice"].index(fate)):
            self.come(b"%d" % self.top, Position(f"e{self.epoch}", self.top))

    @rule(keep=st.integers(0, 4))
    def trim(self, keep: int) -> None:
        self.oldest = max(self.oldest, self.top - keep + 1)

    @rule()
    def begin_another_life(self) -> None:
        self.epoch, self.top, self.oldest = self.epoch + 1, 0, 1

    @rule()
    def doubt(self) -> None:
        self.made.doubt()

    @rule(since=st.none() | st.integers(0, 9))
    def ask(self, since: int | None) -> None:
        self.made.ask(None if since is None else Since(None, since))

    @rule()
    def begin_read(self) -> None:
        if not self.reads:
            read = self.made.begin_read()
            self.reads.append((read, self.past(read)))

    @rule()
    def end_read(self) -> None:
        if self.reads:
            self.end(*self.reads.pop())

    @invariant()
    def nothing_is_told_twice_or_skipped_unsaid(self) -> None:
        for (epoch, _, upto), (later, after, _) in zip(self.told, self.told[1:], strict=False):
            assert after == (upto if later == epoch else 0)
        if self.told and self.made.position is not None:
            assert Position(*self.told[-1][::2]) == self.made.position

    def teardown(self) -> None:
        """Whatever happened: read until it is current, and it stands at the top."""
        self.made.doubt()
        for _ in range(self.top + 3):
            if self.made.state is not State.CURRENT:
                self.answered(self.made.begin_read())
        assert self.made.state is State.CURRENT
        assert self.made.position == Position(f"e{self.epoch}", self.top)


TestAnyHistory = Reader.TestCase


@given(st.lists(st.booleans(), max_size=24), st.lists(st.integers(0, 24), min_size=5, max_size=5))
def test_a_reader_hears_all_in_the_order_in_which_it_was_sent_whatever_was_cut(kept: list[bool], at: list[int]) -> None:
    """`at`: where the link was cut, and was there again; how far it was heard before the read, read, heard during it.

    A read that sees more than was heard brings what is kept of that before the rest, and nobody can know.
    """
    cut, back, before, seen, during = sorted(min(each, len(kept)) for each in at)
    # Where nothing that is kept was heard since the cut, nobody knows where the others stand.
    assume(any(kept[back:during]) or not during > back)
    offsets = [sum(kept[: number + 1]) for number in range(len(kept))]
    made, told = topic(at=0, buffered=99, per_read=99), list[str]()

    def come(number: int) -> None:
        position = Position("e", offsets[number]) if kept[number] else None
        data = f"{number}".encode()
        step = made.receive(data, position)
        if step is Step.BUFFER:
            made.buffer.add(data, position)
        elif step is not Step.IGNORE:
            told.append(f"{number}")

    for number in range(cut):
        come(number)
    made.doubt()
    for number in range(back, before):
        come(number)
    read = made.begin_read()
    for number in range(before, during):
        come(number)
    found = [
        Entry(offsets[number], f"{number}".encode())
        for number in range(seen)
        if kept[number] and offsets[number] > (read.since or 0)
    ]
    for effect in made.end_read(read, Past(Position("e", sum(kept[:seen])), found)):
        match effect:
            case PassOn(data) | Between(data):
                told.append(data.decode())
            case Release(data):
                come(int(data))
    for number in range(during, len(kept)):
        come(number)
    lost = {number for number in range(cut, back) if not kept[number]}
    assert told == [f"{number}" for number in range(len(kept)) if number not in lost]

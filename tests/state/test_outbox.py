from collections import deque

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hubbub.state.outbox import Outbox
from hubbub.wire.codec import Prepared


def of(size: int) -> Prepared:
    return Prepared(b"x" * size)


def test_messages_leave_in_the_order_they_came() -> None:
    outbox = Outbox(100)
    messages = [of(1), of(2), of(3)]
    assert all(outbox.offer(message) for message in messages)
    assert [outbox.next() for _ in range(4)] == [*messages, None]


def test_the_bound_is_bytes_and_may_be_reached() -> None:
    outbox = Outbox(10)
    assert outbox.offer(of(6))
    assert outbox.offer(of(4))
    assert outbox.unsent == 10
    assert not outbox.offer(of(1))


def test_what_does_not_fit_leaves_no_trace() -> None:
    outbox = Outbox(10)
    outbox.offer(of(6))
    assert not outbox.offer(of(5))
    assert outbox.unsent == 6
    assert outbox.offer(of(4))
    assert [len(outbox.next() or b""), len(outbox.next() or b"")] == [6, 4]


@pytest.mark.parametrize("size", [11, 1000])
def test_what_never_fits_is_refused_by_an_empty_outbox(size: int) -> None:
    assert not Outbox(10).offer(of(size))


def test_a_message_keeps_its_room_until_the_transport_has_handed_it_over() -> None:
    outbox = Outbox(10)
    outbox.offer(of(10))
    message = outbox.next()
    assert message is not None
    assert outbox.unsent == 10
    assert not outbox.offer(of(1))
    outbox.sent(message)
    assert outbox.unsent == 0
    assert outbox.offer(of(10))


def test_clearing_forgets_what_waits_but_not_what_is_on_its_way() -> None:
    outbox = Outbox(10)
    for size in (4, 3, 2):
        outbox.offer(of(size))
    under_way = outbox.next()
    outbox.clear()
    assert under_way is not None
    assert outbox.next() is None
    assert outbox.unsent == 4
    outbox.sent(under_way)
    assert outbox.unsent == 0


class OutboxAgainstLists(RuleBasedStateMachine):
    LIMIT = 20

    def __init__(self) -> None:
        super().__init__()
        self.outbox = Outbox(self.LIMIT)
        self.waiting: deque[Prepared] = deque()
        self.under_way: list[Prepared] = []

    @rule(size=st.integers(0, 25))
    def offer(self, size: int) -> None:
        message = of(size)
        fits = sum(map(len, [*self.waiting, *self.under_way])) + size <= self.LIMIT
        assert self.outbox.offer(message) is fits
        if fits:
            self.waiting.append(message)

    @rule()
    def next(self) -> None:
        message = self.outbox.next()
        assert message is (self.waiting.popleft() if self.waiting else None)
        if message is not None:
            self.under_way.append(message)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def sent(self, data: st.DataObject) -> None:
        self.outbox.sent(self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1))))

    @rule()
    def clear(self) -> None:
        self.outbox.clear()
        self.waiting.clear()

    @invariant()
    def unsent_is_what_waits_and_what_is_under_way(self) -> None:
        assert self.outbox.unsent == sum(map(len, [*self.waiting, *self.under_way])) <= self.LIMIT


TestOutboxAgainstLists = OutboxAgainstLists.TestCase

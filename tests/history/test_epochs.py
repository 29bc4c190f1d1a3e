"""Positions from before the first message: where they go on, and where they do not."""

import pytest

from hubbub.brokers.memory.broker import MemoryBroker
from hubbub.history.page import page
from hubbub.history.states import State, Step
from hubbub.history.topic import Bounds, TopicHistory
from hubbub.options import History, Limits
from hubbub.ports.broker import Entry, Past
from hubbub.ports.epochs import DAY, begins, goes_on, unbegun
from hubbub.protocol.envelope import Envelope, Kind
from hubbub.protocol.join_room import Since
from hubbub.testing.clock import ManualClock
from hubbub.types import Position, room_topic

KEEP = History(size=10, ttl=3600)
FIFTH, SIXTH, SEVENTH = (unbegun("life", day * DAY) for day in (5, 6, 7))


def test_an_epoch_goes_on_on_the_day_after() -> None:
    assert (FIFTH, unbegun("life", 6 * DAY - 0.001)) == ("life-5", "life-5")
    assert goes_on(FIFTH, FIFTH)
    assert goes_on(FIFTH, SIXTH)
    assert not goes_on(FIFTH, SEVENTH)
    assert not goes_on(SIXTH, FIFTH)
    assert not goes_on(FIFTH, "other-6")
    assert begins(Position(FIFTH, 0), Position(SIXTH, 7))
    assert not begins(Position(FIFTH, 1), Position(SIXTH, 7))


@pytest.mark.parametrize(
    "forged", [None, "", "life", "life-", "-6", "life-x", "life--5", "life-\u0665", "life-5-5", "life-" + "5" * 5000]
)
def test_what_a_client_makes_up_goes_on_in_nothing(forged: str | None) -> None:
    assert not goes_on(forged, SIXTH)
    assert not goes_on(forged, "0123456789abcdef")
    assert not goes_on(FIFTH, forged or "")


def topic(at: Position) -> TopicHistory:
    """One that has been read, and stands there."""
    history = TopicHistory(KEEP, Limits(), Bounds())
    list(history.end_read(history.begin_read(), Past(at, ())))
    assert history.state is State.CURRENT
    return history


def test_the_first_message_is_the_next() -> None:
    history = topic(Position(FIFTH, 0))
    assert history.receive(b"1", Position(SIXTH, 1)) is Step.ADVANCE
    assert history.position == Position(SIXTH, 1)


def test_the_first_that_comes_may_not_be_the_first() -> None:
    history = topic(Position(FIFTH, 0))
    assert history.receive(b"2", Position(SIXTH, 2)) is Step.CATCH_UP
    told = list(history.end_read(history.begin_read(), Past(Position(SIXTH, 2), [Entry(1, b"1"), Entry(2, b"2")])))
    assert [effect.position.offset for effect in told] == [1, 2]  # type: ignore[union-attr]
    assert history.position == Position(SIXTH, 2)


def test_the_next_day_is_no_gap() -> None:
    history = topic(Position(FIFTH, 0))
    assert list(history.end_read(history.begin_read(), Past(Position(SIXTH, 0), ()))) == []
    assert history.position == Position(SIXTH, 0)


def test_a_history_that_began_again_is_read_and_known_to_have_been_lost() -> None:
    """As after a failover to a replica that knows nothing of it: who comes with an older position is to be told."""
    history = topic(Position(FIFTH, 0))
    history.receive(b"1", Position(FIFTH, 1))
    assert history.receive(b"x", Position(SIXTH, 1)) is Step.CATCH_UP
    read = history.begin_read()
    assert read.went_back(Past(Position(SIXTH, 1), [Entry(1, b"x")]))
    assert read.went_back(Past(Position(SIXTH, 9), ()))
    assert read.went_back(Past(Position(FIFTH, 0), ()))
    assert not read.went_back(Past(Position("other-6", 0), ()))


@pytest.mark.parametrize("since", [Since(FIFTH, 0), Since(FIFTH, 2), Since(SIXTH, 2), Since(None, 2)])
def test_a_client_keeps_the_epoch_it_was_given(since: Since) -> None:
    history = topic(Position(SIXTH, 0))
    history.replay.open(0)
    for offset in (1, 2):
        history.receive(b"x", Position(SIXTH, offset))
    standing = history.standing(since, reads=1, backfills=0)
    assert standing is not None
    if since.offset == 2:
        assert standing == (Position(since.epoch or SIXTH, 2), True, ())
    other = history.standing(Since(SEVENTH, 0), reads=1, backfills=0)
    assert other == (Position(SIXTH, 2), False, ())


async def test_pages_go_on_from_before_the_first_message() -> None:
    clock, room = ManualClock(start=5 * DAY), room_topic("r")
    broker = MemoryBroker(clock=clock.now)
    await broker.start(lambda *_: None, lambda: None, lambda _: None)
    before = await page(broker, room, KEEP, since=None, limit=5, reverse=False)
    assert before.position is not None
    clock.move(DAY)
    for _ in range(2):
        await broker.publish(room, Envelope(Kind.MESSAGE, b'{"type":"t"}').encode(), keep=KEEP)
    after = await page(broker, room, KEEP, since=before.position, limit=5, reverse=False)
    assert (len(after.messages), after.complete) == (2, True)

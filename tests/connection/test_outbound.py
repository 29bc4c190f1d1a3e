"""What leaves a connection: past its outbox, through it, and not at all."""

import json
from collections.abc import Sequence

import pytest

from hubbub import closes
from hubbub.closes import Close
from hubbub.connection.outbound import Outbound
from hubbub.delivery.message import Outgoing
from hubbub.delivery.outbox import Lane
from hubbub.options import Slow
from hubbub.ports.metrics import Count, Tally
from hubbub.protocol.codec import Prepared
from hubbub.types import ConnectionId, RoomName
from tests.kit.recipients import Turn

ALL = 10**9
OLDEST = Lane("a", Slow.DROP_OLDEST)
VALUE = Lane("a", Slow.LATEST, "key")


class Wire:
    """A transport: takes `takes` messages of a write. What waits is fetched when somebody says so."""

    def __init__(self) -> None:
        self.takes: int | None = None
        self.written: list[bytes] = []
        self.flushed = 0
        self.closes: list[Close] = []

    @property
    def writer(self) -> "Wire":
        return self

    def write(self, messages: Sequence[Prepared]) -> int | None:
        self.written += [message.data for message in messages[: self.takes]]
        return self.takes

    @staticmethod
    def write_each(transports: Sequence["Wire"], messages: Sequence[Prepared]) -> list[int]:
        for wire, message in zip(transports, messages, strict=True):
            wire.written.append(message.data)
        return [index for index, wire in enumerate(transports) if wire.takes is not None]

    def flush(self) -> None:
        self.flushed += 1

    def fetch(self, outbound: Outbound, size: int = ALL) -> list[bytes]:
        messages = outbound.take(size)
        outbound.sent(sum(map(len, messages)))
        return [message.data for message in messages]


class Half(Outbound):
    """An outbound side that is its own connection: it closes."""

    def __init__(self, *, text: bool = False, welcomed: bool = True, limit: int = 100) -> None:
        self.metrics, self.wire = Tally(), Wire()
        self.turn = Turn(self.metrics)
        super().__init__(self, ConnectionId("c"), self.turn.batcher, self.metrics, text=text, limit=limit)
        self.welcomed = welcomed
        self.attach(self.wire)  # type: ignore[arg-type]
        self.drained()

    def close(self, close: Close) -> None:
        assert not self.closed
        self.closed, self.clear = True, False
        self.wire.closes.append(close)

    def left_out(self, count: int) -> None:
        """Told to nobody here: it is counted."""

    def put_out(self, room: RoomName, reason: str) -> None:
        raise AssertionError((room, reason))

    def say(self, *texts: str) -> None:
        for text in texts:
            self.offer(Prepared(text.encode()))
        self.turn.end()


def out(*texts: str, lane: Lane | None = None) -> list[Outgoing]:
    return [Outgoing(Prepared(text.encode()), None, lane) for text in texts]


def test_who_is_clear_is_written_to_at_the_end_of_the_turn() -> None:
    half = Half()
    assert half.clear
    half.offer(Prepared(b"1"))
    half.offer(Prepared(b"2"))
    assert half.wire.written == []
    half.turn.end()
    assert half.wire.written == [b"1", b"2"]
    assert half.wire.flushed == 0
    assert half.unsent == 0
    assert half.clear


def test_what_the_socket_did_not_take_comes_first_when_the_transport_asks() -> None:
    half = Half()
    half.wire.takes = 1
    half.say("1", "2", "3")
    assert (half.wire.written, half.clear, half.wire.flushed) == ([b"1"], False, 1)
    half.say("4")
    assert half.wire.flushed == 2
    assert half.wire.written == [b"1"]
    assert half.wire.fetch(half, 1) == [b"2"]
    assert half.wire.fetch(half) == [b"3", b"4"]
    assert half.unsent == 0
    half.wire.takes = None
    half.drained()
    half.say("5")
    assert half.wire.written == [b"1", b"5"]


def test_what_is_put_back_comes_before_what_waits_already() -> None:
    """The transport was blocked between the write and its answer, and something was queued."""
    half = Half()
    half.queue(out("3"))
    half.put_back(out("1", "2"))
    assert not half.clear
    assert half.wire.fetch(half) == [b"1", b"2", b"3"]


def test_nothing_put_back_is_behind_all_the_same() -> None:
    half = Half()
    half.put_back([])
    assert (half.clear, half.wire.flushed, half.wire.closes) == (False, 1, [])
    half.say("1")
    assert half.wire.written == []
    assert half.wire.fetch(half) == [b"1"]


def test_who_is_blocked_is_not_written_to_until_he_has_drained() -> None:
    half = Half()
    half.blocked()
    half.say("1")
    assert half.wire.written == []
    assert half.wire.fetch(half) == [b"1"]
    assert not half.clear
    half.drained()
    half.say("2")
    assert half.wire.written == [b"2"]


def test_before_welcome_nothing_goes_out() -> None:
    half = Half(welcomed=False)
    assert not half.clear
    half.say("1")
    half.drained()
    assert not half.clear
    assert (half.wire.written, half.wire.flushed, half.take(ALL)) == ([], 0, [])
    half.welcomed = True
    assert half.wire.fetch(half) == [b"1"]
    half.drained()
    assert half.clear


def test_without_a_transport_what_comes_waits() -> None:
    half = Half(welcomed=False)
    half.transport = None
    half.say("1")
    half.put_back(out("0"))
    assert half.unsent == 2
    half.welcomed = True
    half.queue(out("2"))
    assert [message.data for message in half.take(ALL)] == [b"0", b"1", b"2"]


@pytest.mark.parametrize("way", ["queue", "put_back"])
def test_who_reads_too_slowly_is_closed_and_what_waits_forgotten(way: str) -> None:
    half = Half(limit=10)
    getattr(half, way)(out("x" * 5, "y" * 5))
    assert half.wire.closes == []
    flushed = half.wire.flushed
    getattr(half, way)(out("z"))
    assert half.wire.closes == [closes.TOO_SLOW]
    assert half.metrics.counts == {Count.SLOW: 1}
    assert half.wire.flushed == flushed
    assert half.take(ALL) == []
    assert half.unsent == 0


def test_more_than_fits_in_one_turn_is_too_much_only_for_who_is_behind() -> None:
    half = Half(limit=10)
    half.say("x" * 50)
    assert half.wire.closes == []
    half.wire.takes = 0
    half.say("y" * 5, "z" * 6)
    assert half.wire.closes == [closes.TOO_SLOW]
    assert half.wire.written == [b"x" * 50]


def test_what_was_taken_and_not_sent_counts() -> None:
    half = Half(limit=10)
    half.queue(out("x" * 10))
    assert len(half.take(ALL)) == 1
    half.sent(4)
    half.queue(out("y" * 4))
    assert half.wire.closes == []
    half.queue(out("z"))
    assert half.wire.closes == [closes.TOO_SLOW]


@pytest.mark.parametrize("way", ["queue", "put_back", "say", "answer", "drained"])
def test_once_it_is_closed_nothing_comes_or_goes(way: str) -> None:
    half = Half()
    half.close(closes.FINISHED)
    match way:
        case "say":
            half.say("1")
        case "answer":
            half.answer(Prepared(b"1"))
        case "drained":
            half.drained()
        case _:
            getattr(half, way)(out("x" * 1000))
    half.turn.end()
    assert not half.clear
    assert (half.wire.written, half.wire.flushed, half.take(ALL)) == ([], 0, [])
    assert half.wire.closes == [closes.FINISHED]
    assert not half.metrics.counts


def test_what_was_sent_before_it_was_closed_in_the_same_turn_is_not_written_after() -> None:
    """`Connection.close` writes it first; who is lost has nobody to write to."""
    half = Half()
    half.offer(Prepared(b"1"))
    half.close(closes.FINISHED)
    half.turn.end()
    assert half.wire.written == []


@pytest.mark.parametrize("way", ["queue", "put_back"])
def test_under_another_policy_what_does_not_fit_is_dropped_counted_and_told(way: str) -> None:
    half = Half(limit=10)
    getattr(half, way)(out("x" * 5, "y" * 5, "z" * 5, lane=OLDEST))
    assert half.wire.closes == []
    assert half.metrics.counts == {Count.DROPPED: 1}
    told = half.wire.fetch(half)
    assert json.loads(told[0]) == {"type": "gap", "room": "a", "dropped": 1}
    assert told[1:] == [b"y" * 5, b"z" * 5]


@pytest.mark.parametrize("way", ["queue", "put_back"])
def test_of_values_the_latest_is_kept_and_the_others_counted(way: str) -> None:
    half = Half()
    getattr(half, way)(out("1", "2", "3", lane=VALUE))
    assert half.metrics.counts == {Count.SUPERSEDED: 2}
    assert half.wire.fetch(half) == [b"3"]


@pytest.mark.parametrize("way", ["queue", "put_back"])
def test_what_was_dropped_before_it_was_too_much_is_counted_too(way: str) -> None:
    half = Half(limit=10)
    getattr(half, way)([*out("x" * 5, "y" * 6, lane=OLDEST), *out("z" * 11)])
    assert half.wire.closes == [closes.TOO_SLOW]
    assert half.metrics.counts == {Count.DROPPED: 1, Count.SLOW: 1}


@pytest.mark.parametrize("lane", [OLDEST, VALUE])
def test_who_speaks_another_language_cannot_be_told_so_nothing_is_dropped(lane: Lane) -> None:
    half = Half(text=True, limit=10)
    half.queue(out("x" * 5, "y" * 5, lane=lane))
    assert half.wire.fetch(half) == [b"x" * 5, b"y" * 5]
    half.queue(out("x" * 5, "y" * 5, "z" * 5, lane=lane))
    assert half.wire.closes == [closes.TOO_SLOW]
    assert half.metrics.counts == {Count.SLOW: 1}


def test_the_hub_has_nothing_to_say_to_who_speaks_another_language() -> None:
    text, half = Half(text=True), Half()
    for each in (text, half):
        each.answer(Prepared(b"1"))
        each.say("2")
        assert not each.metrics.counts
    assert text.wire.written == [b"2"]
    assert half.wire.written == [b"1", b"2"]

"""Counting once for many comes to the same as counting each: the reference here parses every byte of everybody."""

import gc
import random
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.loadtest.counts import Counts
from hubbub.loadtest.frames import ProtocolFault
from hubbub.loadtest.histogram import Histogram
from hubbub.loadtest.stream import Arrival, Refusal, State, Stream
from hubbub.loadtest.tags import Tags
from tests.loadtest.scripted import Plain, text

TAGS = Tags()
PUBLISHERS = [3, 8]


def make(members: int, dialect: Any = None) -> tuple[Stream, Counts]:
    counts = Counts()
    return Stream(PUBLISHERS, members=members, tags=TAGS, dialect=dialect or Plain(), counts=counts), counts


def message(publisher: int, number: int) -> bytes:
    return text(b'{"said":"%b"}' % TAGS.tag(publisher, number))


class Reader:
    """Reads as the fast loop does: compares with the last arrival, and asks the stream only where that differs."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.state = stream.start()
        self.compared = 0

    def read(self, data: bytes, now: int) -> Arrival:
        last = self.state.last
        if isinstance(last, Arrival) and last.data == data:
            arrival = last
            self.compared += 1
        else:
            arrival = self.stream.arrive(self.state, data, lasting=True)
        self.state = arrival.after
        arrival.times.append(now)
        return arrival


def pieces(data: bytes, chance: random.Random) -> Iterator[bytes]:
    while data:
        size = chance.choice([1, 7, 40, 41, 42, 100, 1000])
        yield data[:size]
        data = data[size:]


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32), members=st.integers(1, 5), number=st.integers(1, 12), faulty=st.booleans())
def test_counts_and_latencies_are_those_of_parsing_everything(
    seed: int, members: int, number: int, faulty: bool
) -> None:
    chance = random.Random(seed)
    stream, counts = make(members)
    order = [(publisher, each) for each in range(1, number + 1) for publisher in PUBLISHERS]
    sent = {}
    for now, (publisher, each) in enumerate(order, 1):
        # Some are sent at the same time, in one write; some do not count.
        sent[publisher, each] = (now // 3, chance.random() < 0.8)
        stream.sent(publisher, each, now // 3, counted=sent[publisher, each][1])
    expected = Histogram()
    duplicate = late = unexpected = arrived = received = 0
    missing = 0
    readers = []
    common = random.Random(seed + 1)
    for member in range(members):
        plan = list(order)
        if faulty and chance.random() < 0.7:
            for _ in range(chance.randrange(4)):
                match chance.choice(["drop", "double", "swap", "stranger", "number"]):
                    case "drop" if plan:
                        plan.pop(chance.randrange(len(plan)))
                    case "double" if plan:
                        plan.insert(chance.randrange(len(plan)), chance.choice(plan))
                    case "swap":
                        chance.shuffle(plan)
                    case "stranger":
                        plan.insert(chance.randrange(len(plan) + 1), (5, 1))
                    case "number":
                        plan.insert(chance.randrange(len(plan) + 1), (3, number + 7))
        data = b""
        ends = []
        for publisher, each in plan:
            if chance.random() < 0.1:
                data += text(b'{"type":"other"}')
            data += message(publisher, each)
            ends.append(len(data))
        # Half of them are cut alike, so that states are shared; the others as it happens.
        cuts = list(pieces(data, random.Random(common.randrange(2)) if chance.random() < 0.5 else chance))
        readers.append((Reader(stream), cuts))
        read, now, place = 0, 1_000 + member, 0
        had: dict[int, set[int]] = {publisher: set() for publisher in PUBLISHERS}
        for cut in cuts:
            read += len(cut)
            now += 10
            while place < len(ends) and ends[place] <= read:
                publisher, each = plan[place]
                place += 1
                if publisher not in had or (publisher, each) not in sent:
                    unexpected += 1
                    continue
                if each in had[publisher]:
                    duplicate += 1
                    continue
                late += bool(had[publisher]) and each < max(had[publisher])
                had[publisher].add(each)
                arrived += 1
                since, counted = sent[publisher, each]
                if counted:
                    expected.add([now], since)
        received += len(data)
        missing += sum(counted and each not in had[publisher] for (publisher, each), (_, counted) in sent.items())
    turns = [(index, place) for index, (_, cuts) in enumerate(readers) for place in range(len(cuts))]
    turns.sort(key=lambda turn: (turn[1], turn[0]))
    unsettled = set()
    for index, place in turns:
        reader, cuts = readers[index]
        unsettled.add(reader.read(cuts[place], 1_000 + index + 10 * (place + 1)))
        if chance.random() < 0.2:
            for arrival in unsettled:
                arrival.stream.settle(arrival)
            unsettled.clear()
    for arrival in unsettled:
        arrival.stream.settle(arrival)

    assert (counts.arrived, counts.received) == (arrived, received)
    assert (counts.duplicate, counts.out_of_order, counts.unexpected) == (duplicate, late, unexpected)
    assert stream.missing == missing
    assert (counts.latency.count, counts.latency.total) == (expected.count, expected.total)
    assert (counts.latency.smallest, counts.latency.largest) == (expected.smallest, expected.largest)
    assert counts.latency.buckets == expected.buckets


def test_those_who_read_the_same_are_only_compared() -> None:
    stream, _ = make(members=100)
    for number in range(1, 11):
        stream.sent(3, number, 0, counted=True)
    readers = [Reader(stream) for _ in range(100)]
    for number in range(1, 11):
        for reader in readers:
            reader.read(message(3, number), 1)
    assert sum(reader.compared for reader in readers) == 10 * 99
    assert len({id(reader.state) for reader in readers}) == 1


def test_those_who_were_cut_differently_meet_again() -> None:
    stream, _ = make(members=2)
    stream.sent(3, 1, 0, counted=True)
    whole, cut = Reader(stream), Reader(stream)
    data = message(3, 1)
    whole.read(data, 1)
    cut.read(data[:9], 1)
    assert cut.state is not whole.state
    cut.read(data[9:], 2)
    assert cut.state is whole.state


def test_a_message_is_over_when_all_have_it() -> None:
    stream, _ = make(members=2)
    over: list[int] = []
    stream.complete = lambda: over.append(1)
    stream.sent(3, 1, 0, counted=True)
    for done, reader in enumerate([Reader(stream), Reader(stream)]):
        stream.settle(reader.read(message(3, 1), 1))
        assert len(over) == done
    assert not stream.outstanding


def test_what_all_have_passed_is_forgotten_even_with_the_collector_at_rest() -> None:
    stream, _ = make(members=1)
    reader = Reader(stream)
    first: weakref.ref[State] = weakref.ref(reader.state)
    gc.collect()
    gc.disable()
    try:
        for number in range(1, 10_001):
            stream.sent(3, number, 0, counted=True)
            # A frame that changes nothing, and one cut in two, would be ways back to a state that was left.
            other = text(b'{"type":"other"}')
            for data in (message(3, number), other, other[:3], other[3:]):
                stream.settle(reader.read(data, 1))
            if number == 10:
                assert first() is None
        reader.state = stream.start(had=10_000)
        assert stream.states == 1
    finally:
        gc.enable()


def test_a_long_chain_is_freed_without_recursion() -> None:
    stream, _ = make(members=2)
    ahead, behind = Reader(stream), Reader(stream)
    for number in range(1, 50_001):
        stream.sent(3, number, 0, counted=True)
        ahead.read(message(3, number), 1)
    behind.state = ahead.state  # lets go of the first state, and with it of all between


def test_heartbeats_are_answered_by_each_reader() -> None:
    class Beating(Plain):
        def answer(self, payload: bytes) -> str | None:
            return "pong" if payload == b"ping" else None

    stream, _ = make(members=2, dialect=Beating())
    for reader in (Reader(stream), Reader(stream)):
        arrival = reader.read(text(b"ping") + b"\x89\x02hi", 1)
        assert arrival.replies == [b"\x81\x84\0\0\0\0pong", b"\x8a\x82\0\0\0\0hi"]
        assert reader.compared == 0


def test_a_frame_that_says_no_and_one_that_may_not_be() -> None:
    class Strict(Plain):
        def refusal(self, payload: bytes) -> str | None:
            return "too fast" if payload == b"no" else None

    stream, _ = make(members=1, dialect=Strict())
    with pytest.raises(Refusal, match="too fast"):
        Reader(stream).read(text(b"no"), 1)
    with pytest.raises(ProtocolFault, match="masked"):
        Reader(stream).read(b"\x81\x81\0\0\0\0x", 1)


def test_a_tag_counts_only_in_a_delivery() -> None:
    class Acks(Plain):
        delivery = b'"ack"'

    stream, counts = make(members=1, dialect=Acks())
    stream.sent(3, 1, 0, counted=True)
    reader = Reader(stream)
    stream.settle(reader.read(message(3, 1), 1))
    assert counts.arrived == 0
    stream.settle(reader.read(text(b'{"type":"ack","id":"%b"}' % TAGS.tag(3, 1)), 1))
    assert counts.arrived == 1

"""What the application reads of a history, over a real broker in memory and over ones that lost something."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.brokers.memory.broker import MemoryBroker
from hubbub.history.page import Page, page
from hubbub.options import History
from hubbub.ports.broker import Entry, Past
from hubbub.protocol.envelope import Envelope, Kind
from hubbub.rooms.publish_queue import PublishQueue
from hubbub.rooms.publishing import Sender
from hubbub.rooms.retention import Retention
from hubbub.scheduling.home_loop import HomeLoop
from hubbub.types import Position, RoomName, Topic

TOPIC = Topic("room:r")
KEEP = History(size=100, ttl=60)


def sender(broker: Any, keep: History | None = KEEP) -> Sender:
    queue = PublishQueue(lambda: broker.ready, limit=1)
    return Sender(TOPIC, broker, queue, HomeLoop(), Retention(), limit=1_000, room=RoomName("r"), own=keep)


async def talked(times: int, keep: History = KEEP) -> tuple[MemoryBroker, Sender, Position]:
    broker = MemoryBroker()
    await broker.start(lambda *_: None, lambda: None, lambda _: None)
    to = sender(broker, keep)
    position: Any = (await broker.read(TOPIC, keep, limit=0)).top
    for number in range(times):
        position = await to.send({"type": "m", "n": number + 1}, exclude=None)
    return broker, to, position


def offsets(found: Page) -> list[int]:
    return [message["offset"] for message in found.messages]


async def read(broker: Any, to: Sender, since: Position | None = None, limit: int = 100, **fields: bool) -> Page:
    return await page(broker, to.topic, to.keep, since=since, limit=limit, reverse=fields.get("reverse", False))


async def test_messages_are_as_their_receivers_got_them() -> None:
    broker, to, top = await talked(2)
    found = await read(broker, to)
    assert found == Page(
        top,
        [{"type": "m", "n": 1, "room": "r", "offset": 1}, {"type": "m", "n": 2, "room": "r", "offset": 2}],
        complete=True,
    )


@given(st.integers(0, 9), st.none() | st.integers(0, 9), st.integers(1, 10), st.booleans())
async def test_a_page_is_what_a_list_would_give(times: int, since: int | None, limit: int, reverse: bool) -> None:
    broker, to, top = await talked(times)
    if since is not None and since > times:
        return
    found = await read(broker, to, None if since is None else Position(top.epoch, since), limit, reverse=reverse)
    everything = list(range(1, times + 1))
    if reverse:
        expected = [each for each in everything[::-1] if since is None or each < since]
    else:
        expected = [each for each in everything if since is None or each > since]
    assert offsets(found) == expected[:limit]
    assert found.position == top
    assert found.complete


async def test_pages_lead_through_all_of_it_either_way() -> None:
    broker, to, top = await talked(10)
    for reverse in (False, True):
        seen: list[int] = []
        since = None
        while (found := await read(broker, to, since, 3, reverse=reverse)).messages:
            assert found.complete
            seen += offsets(found)
            since = Position(top.epoch, seen[-1])
        assert seen == list(range(1, 11))[:: -1 if reverse else 1]


async def test_what_was_trimmed_between_is_not_complete() -> None:
    keep = History(size=4, ttl=60)
    broker, to, top = await talked(10, keep)
    epoch = top.epoch
    assert (offsets(await read(broker, to)), (await read(broker, to)).complete) == ([7, 8, 9, 10], True)
    for since, complete in ((5, False), (6, True), (10, True)):
        found = await read(broker, to, Position(epoch, since))
        assert found.complete is complete, since
        assert offsets(found) == [offset for offset in (7, 8, 9, 10) if offset > since]
    for since, complete in ((7, False), (8, True), (1, True)):
        found = await read(broker, to, Position(epoch, since), reverse=True)
        assert found.complete is complete, since


async def test_a_position_of_elsewhere_says_nothing_of_what_is_here() -> None:
    broker, to, top = await talked(3)
    for since in (Position("other", 1), Position(top.epoch, 4)):
        assert await read(broker, to, since) == Page(top, (), complete=False)


async def test_where_nothing_is_kept_there_is_nothing() -> None:
    broker, _, _ = await talked(0)
    to = sender(broker, None)
    assert await read(broker, to) == Page(None, (), complete=True)
    assert await read(broker, to, Position("e", 0)) == Page(None, (), complete=False)


@pytest.mark.parametrize("limit", [0, -1])
async def test_a_page_has_room_for_something(limit: int) -> None:
    broker, to, _ = await talked(1)
    with pytest.raises(ValueError, match=f"^limit must be at least 1, not {limit}$"):
        await read(broker, to, limit=limit)


class Lossy:
    """A broker with holes."""

    def __init__(self, top: int, entries: Sequence[Entry]) -> None:
        self.past = Past(Position("e", top), entries)

    async def publish(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError

    async def read(self, *_: Any, **__: Any) -> Past:
        return self.past


def entry(offset: int, data: bytes = Envelope(Kind.MESSAGE, b'{"type":"m"}').encode()) -> Entry:
    return Entry(offset, data)


@pytest.mark.parametrize(
    ("kept", "since", "reverse", "complete"),
    [
        ([1, 2, 4], None, False, False),
        ([1, 2, 4], 0, False, False),
        ([2, 3, 4], 0, False, False),
        ([4, 3, 1], None, True, False),
        ([4, 3], 5, True, True),
        ([3, 2], 5, True, False),
        ([], 3, False, False),
        ([], 5, False, True),
        ([], None, False, True),
        ([], 2, True, False),
        ([], 1, True, True),
    ],
)
async def test_a_hole_is_seen(kept: list[int], since: int | None, reverse: bool, complete: bool) -> None:
    broker: Any = Lossy(5, [entry(offset) for offset in kept])
    found = await read(broker, sender(broker), None if since is None else Position("e", since), reverse=reverse)
    assert offsets(found) == kept
    assert found.complete is complete


async def test_what_a_newer_release_has_written_is_left_out_and_missing() -> None:
    broker: Any = Lossy(2, [entry(1), entry(2, b"\x02\x01\x00\x00{}")])
    found = await read(broker, sender(broker), Position("e", 0))
    assert offsets(found) == [1]
    assert not found.complete

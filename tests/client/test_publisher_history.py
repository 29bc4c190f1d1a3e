"""What publishers send to rooms and users whose messages are kept, each case once for the one that awaits and the one
that does not."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from redis import Redis

from hubbub import ConfigurationError, History, Position, Unavailable
from hubbub.brokers.redis import RedisBroker
from hubbub.brokers.redis.keys import Keys
from hubbub.client import publisher, sending
from hubbub.client.publisher import AsyncPublisher
from hubbub.ports.broker import DECLARATION_KNOWN, Declared
from hubbub.testing import ManualClock
from hubbub.types import room_topic
from tests.client.conftest import KEPT
from tests.kit.client import Tab
from tests.kit.publishers import OpenPublisher


@asynccontextmanager
async def asking(url: str, name: str) -> AsyncIterator[RedisBroker]:
    broker = RedisBroker(url, name=name)
    await broker.start(lambda *_: None, lambda: None, lambda _: None)
    try:
        yield broker
    finally:
        await broker.stop()


async def declare(url: str, name: str, word: bytes) -> None:
    async with asking(url, name) as broker:
        await broker.declare(word)


async def position_in(url: str, name: str, room: str) -> Position:
    async with asking(url, name) as broker:
        return (await broker.read(room_topic(room), KEPT, limit=1)).top


async def kept_in(url: str, name: str, room: str) -> int:
    async with asking(url, name) as broker:
        return len((await broker.read(room_topic(room), History(size=100, ttl=60), limit=100)).entries)


async def test_a_message_to_a_room_with_history_gets_the_next_position_and_is_kept(
    url: str, name: str, kept: Callable[[], Any], open_publisher: OpenPublisher
) -> None:
    async with kept() as server, open_publisher(url, name=name) as publish:
        async with Tab(server.ws, token="ann") as ann:
            joined = await ann.join("kept:a")
            first = await publish("room", "kept:a", {"type": "said", "text": "ä"})
            second = await publish("room", "kept:a", {"type": "said", "text": "b"})
            assert (first, second) == (Position(joined["epoch"], 1), Position(joined["epoch"], 2))
            assert await ann.receive() == {"type": "said", "text": "ä", "room": "kept:a", "offset": 1}
            assert await ann.receive() == {"type": "said", "text": "b", "room": "kept:a", "offset": 2}
        async with Tab(server.ws, token="bob") as bob:
            assert (await bob.join("kept:a", since={"offset": 0}))["recovered"]
            assert [(await bob.receive())["text"], (await bob.receive())["text"]] == ["ä", "b"]


async def test_messages_are_kept_while_no_hub_runs_and_found_afterwards(
    url: str, name: str, kept: Callable[[], Any], open_publisher: OpenPublisher
) -> None:
    async with kept():
        pass
    async with open_publisher(url, name=name) as publish:
        for number in range(12):
            position = await publish("room", "kept:a", {"type": "n", "number": number})
            assert position is not None
            assert position.offset == number + 1
        inbox = await publish("user", "ann", {"type": "letter"})
        assert inbox is not None
        assert inbox.offset == 1
    async with kept() as server, Tab(server.ws, token="ann") as ann:
        joined = await ann.join("kept:a", since={"offset": 0})
        assert (joined["epoch"], joined["offset"], joined["recovered"]) == (position.epoch, 12, False)
        numbers = [(await ann.receive("n"))["number"] for _ in range(KEPT.size)]
        assert numbers == list(range(2, 12))
        await ann.join("@me", since={"offset": 0})
        assert await ann.receive() == {"type": "letter", "room": "@me", "offset": 1}


async def test_the_same_idempotency_key_is_delivered_once(
    url: str, name: str, kept: Callable[[], Any], open_publisher: OpenPublisher
) -> None:
    async with kept() as server, Tab(server.ws, token="ann") as ann, open_publisher(url, name=name) as publish:
        for kind, to, room in (("room", "kept:a", "kept:a"), ("user", "ann", "@me")):
            await ann.join(room)
            first = await publish(kind, to, {"type": "order"}, idempotency_key="order-7")
            again = await publish(kind, to, {"type": "order"}, idempotency_key="order-7")
            other = await publish(kind, to, {"type": "order"}, idempotency_key="order-8")
            assert first is not None
            assert (again, other) == (first, Position(first.epoch, first.offset + 1))
            assert [(await ann.receive())["offset"] for _ in range(2)] == [first.offset, first.offset + 1]
        # Nothing is known by a key where nothing is kept.
        await ann.join("open:a")
        for _ in range(2):
            assert await publish("room", "open:a", {"type": "order"}, idempotency_key="order-7") is None
        assert [(await ann.receive())["room"] for _ in range(2)] == ["open:a", "open:a"]
        for wrong in ("", "x" * 129, "a\n", 7):
            with pytest.raises(ValueError, match="idempotency_key"):
                await publish("room", "kept:a", {"type": "order"}, idempotency_key=wrong)


async def test_nothing_is_kept_before_any_hub_ran_and_of_a_broadcast_ever(
    url: str, name: str, kept: Callable[[], Any], open_publisher: OpenPublisher
) -> None:
    async with open_publisher(url, name=name) as publish:
        assert await publish("room", "kept:a", {"type": "x"}) is None
        assert await publish("user", "ann", {"type": "x"}) is None
    async with kept() as server, Tab(server.ws, token="ann") as ann, open_publisher(url, name=name) as publish:
        assert await publish("broadcast", {"type": "news"}) is None
        assert await ann.receive() == {"type": "news"}


async def test_a_message_to_a_user_with_an_inbox_has_no_room_of_its_own(
    url: str, name: str, kept: Callable[[], Any], open_publisher: OpenPublisher
) -> None:
    async with kept(), open_publisher(url, name=name) as publish:
        with pytest.raises(ValueError, match="room"):
            await publish("user", "ann", {"type": "x", "room": "kept:a"})


async def test_what_is_kept_is_asked_for_once_in_ten_seconds_and_begins_at_once(
    url: str, name: str, open_publisher: OpenPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock(start=1000.0)
    for module in (publisher, sending):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=clock.now))
    async with open_publisher(url, name=name) as publish:
        assert await publish("room", "a", {"type": "x"}) is None
        await declare(url, name, b'{"rooms": [["a", 10, 60]], "inbox": null}')
        # The broker refuses what is sent by the old word.
        assert await publish("room", "a", {"type": "x"}) == await position_in(url, name, "a")
        await declare(url, name, b'{"rooms": [["a", 20, 60]], "inbox": null}')
        assert await publish("room", "b", {"type": "x"}) is None
        for _ in range(15):
            await publish("room", "a", {"type": "x"})
        assert await kept_in(url, name, "a") == 16
        clock.move(10.1)
        await declare(url, name, b'{"rooms": [["a", 5, 60]], "inbox": null}')
        for _ in range(10):
            await publish("room", "a", {"type": "x"})
        assert await kept_in(url, name, "a") == 20


async def test_what_is_sent_at_once_is_kept_as_soon_as_a_hub_keeps_it(url: str, name: str) -> None:
    async with AsyncPublisher(url, name=name) as publisher:
        assert await publisher.room("a").send({"type": "x"}) is None
        await declare(url, name, b'{"rooms": [["a", 100, 60]], "inbox": null}')
        sent = await asyncio.gather(*(publisher.room("a").send({"type": "x", "n": n}) for n in range(50)))
        assert sorted(position.offset for position in sent if position is not None) == [*range(1, 51)]


async def test_what_changes_all_the_time_is_given_up(
    url: str, name: str, open_publisher: OpenPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "declared", lambda _: Declared("another than the broker has", False, {}))
    async with open_publisher(url, name=name) as publish:
        with pytest.raises(Unavailable, match="changes all the time"):
            await publish("room", "a", {"type": "x"})


async def test_what_a_service_took_back_is_not_kept_any_more_and_forgotten(
    url: str, name: str, open_publisher: OpenPublisher
) -> None:
    await declare(url, name, b'{"rooms": [["a", 10, 60]], "inbox": null}')
    async with open_publisher(url, name=name) as publish:
        assert await publish("room", "a", {"type": "x"}) is not None
        with Redis.from_url(url) as admin:
            # Nobody has said it for an hour.
            admin.zincrby(Keys(name).words, -3_600_000, b'{"rooms": [["a", 10, 60]], "inbox": null}')
        await declare(url, name, b'{"rooms": [["a", false, null]], "inbox": null}')
    async with open_publisher(url, name=name) as publish:
        assert await publish("room", "a", {"type": "x"}) is None
    assert await kept_in(url, name, "a") == 0


async def test_what_nobody_has_said_for_a_month_is_forgotten_when_something_is_said(
    url: str, name: str, open_publisher: OpenPublisher
) -> None:
    said = b'{"rooms": [["a", 10, 60]], "inbox": null}'
    await declare(url, name, said)
    with Redis.from_url(url) as admin:
        admin.zincrby(Keys(name).words, -1000 * (DECLARATION_KNOWN + 1), said)
    await declare(url, name, b'{"rooms": [], "inbox": null}')
    async with open_publisher(url, name=name) as publish:
        assert await publish("room", "a", {"type": "x"}) is None


async def test_what_the_release_before_declared_is_kept_while_no_hub_of_this_one_has_run(
    url: str, name: str, open_publisher: OpenPublisher
) -> None:
    with Redis.from_url(url) as admin:
        admin.set(Keys(name).rules, b'{"rooms": [["a", 10, 60]], "inbox": null}')
    async with open_publisher(url, name=name) as publish:
        assert await publish("room", "a", {"type": "x"}) is not None
    await declare(url, name, b'{"rooms": [], "inbox": null}')
    async with open_publisher(url, name=name) as publish:
        assert await publish("room", "a", {"type": "x"}) is None


@pytest.mark.parametrize(
    "rules", [b"[]", b"{}", b"no", b'{"rooms": [["a{", 1, 1]], "inbox": null}', b'{"rooms": [], "inbox": [0, 1]}']
)
async def test_rules_that_cannot_be_read_are_no_reason_to_keep_nothing(
    url: str, name: str, open_publisher: OpenPublisher, rules: bytes
) -> None:
    await declare(url, name, rules)
    async with open_publisher(url, name=name) as publish:
        with pytest.raises(ConfigurationError, match="cannot be read"):
            await publish("room", "a", {"type": "x"})


async def test_what_is_sent_at_once_keeps_its_order(url: str, name: str, kept: Callable[[], Any]) -> None:
    async with kept() as server, Tab(server.ws, token="ann") as ann, AsyncPublisher(url, name=name) as publisher:
        await ann.join("kept:a")
        await ann.join("open:a")
        numbers = range(100)
        positions = await asyncio.gather(
            *(publisher.room("kept:a").send({"type": "kept", "number": number}) for number in numbers)
        )
        assert [position and position.offset for position in positions] == [number + 1 for number in numbers]
        await asyncio.gather(*(publisher.room("open:a").send({"type": "open", "number": number}) for number in numbers))
        for type in ("kept", "open"):
            assert [(await ann.receive(type))["number"] for _ in numbers] == list(numbers)


async def test_a_server_that_forgot_the_script_is_told_again(
    url: str, name: str, kept: Callable[[], Any], open_publisher: OpenPublisher
) -> None:
    async with kept(), open_publisher(url, name=name) as publish:
        for offset in (1, 2, 3):
            position = await publish("room", "kept:a", {"type": "x"})
            assert position is not None
            assert position.offset == offset
            await flush_scripts(url)


async def flush_scripts(url: str) -> None:
    from redis.asyncio import Redis

    async with Redis.from_url(url) as server:
        await server.script_flush()

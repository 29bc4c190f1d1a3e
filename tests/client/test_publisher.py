"""Both publishers against a real Valkey and hubs on it, each case once for the one that awaits and the one that does
not."""

import asyncio
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pydantic import BaseModel

from hubbub import ConfigurationError, Hub, InvalidMessage, Unavailable
from hubbub.brokers.embedded import EmbeddedValkey
from hubbub.client.publisher import AsyncPublisher, Publisher
from tests.kit.client import Tab
from tests.kit.publishers import OpenPublisher
from tests.kit.serving import Names, serving, simple
from tests.kit.stopwatch import Stopwatch
from tests.kit.waiting import until


@pytest.fixture(scope="module")
def _valkey() -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey() as server:
        yield server


@pytest.fixture
def url(_valkey: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.delenv("HUBBUB_BROKER", raising=False)
    return _valkey.url


class Ready(BaseModel):
    type: str = "ready"
    id: int


async def test_a_room_a_user_and_everyone_are_reached(
    url: str, open_publisher: OpenPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBBUB_BROKER", url)
    hub = Hub(auth=Names())
    async with (
        serving(simple(hub)) as server,
        Tab(server.ws, token="ann") as ann,
        Tab(server.ws, token="bob") as bob,
        open_publisher() as publish,
    ):
        await ann.join("open:a")
        await publish("room", "open:a", {"type": "said", "text": "ä"})
        assert await ann.receive() == {"type": "said", "text": "ä", "room": "open:a"}
        await publish("user", "bob", Ready(id=7))
        await publish("user", "nobody", Ready(id=8))
        await publish("broadcast", {"type": "news"})
        assert await ann.receive() == {"type": "news"}
        assert [await bob.receive(), await bob.receive()] == [{"type": "ready", "id": 7}, {"type": "news"}]


async def test_the_name_is_the_hubs(url: str, open_publisher: OpenPublisher) -> None:
    hub = Hub(url, auth=Names(), name="shop")
    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as ann:
        async with open_publisher(url) as publish:
            await publish("user", "ann", {"type": "for another hub"})
        async with open_publisher(url, name="shop") as publish:
            await publish("user", "ann", {"type": "for this one"})
        assert await ann.receive() == {"type": "for this one"}


@pytest.mark.parametrize(
    ("error", "arguments"),
    [
        (InvalidMessage, ("room", "", {"type": "x"})),
        (InvalidMessage, ("room", "a\n", {"type": "x"})),
        (InvalidMessage, ("user", "x" * 129, {"type": "x"})),
        (ValueError, ("room", "a", {"text": "no type"})),
        (ValueError, ("room", "a", {"type": "x", "room": "b"})),
        (ValueError, ("user", "a", {"type": "welcome"})),
        (ValueError, ("user", "a", {"type": "x", "number": float("nan")})),
        (ValueError, ("broadcast", {"type": "x", "text": "x" * 512 * 1024})),
        (TypeError, ("broadcast", ["type"])),
    ],
)
async def test_what_cannot_be_sent_is_refused_here(
    url: str, open_publisher: OpenPublisher, error: type[Exception], arguments: tuple[Any, ...]
) -> None:
    async with open_publisher(url) as publish:
        with pytest.raises(error):
            await publish(*arguments)


@pytest.mark.parametrize("broker", ["memory", "memory://", None])
async def test_the_memory_broker_cannot_be_reached_from_outside(
    open_publisher: OpenPublisher, broker: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HUBBUB_BROKER", raising=False)
    with pytest.raises(ConfigurationError, match="memory broker"):
        async with open_publisher(broker):
            pass


async def test_a_url_that_cannot_be_read_is_refused_without_being_repeated(open_publisher: OpenPublisher) -> None:
    for broker in ("amqp://user:s3cret@host", "redis://user:s3cret@host:port"):
        with pytest.raises(ConfigurationError) as refused:
            async with open_publisher(broker):
                pass
        assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("scheme", ["redis", "valkey", "Valkey"])
async def test_nobody_listens_there(open_publisher: OpenPublisher, scheme: str) -> None:
    async with open_publisher(f"{scheme}://127.0.0.1:1") as publish:
        with pytest.raises(Unavailable):
            await publish("broadcast", {"type": "x"})


async def test_a_server_that_does_not_answer_costs_the_deadline_and_no_more(open_publisher: OpenPublisher) -> None:
    with EmbeddedValkey() as frozen:
        # What the URL says of timeouts and retries does not take the deadline away.
        async with open_publisher(f"{frozen.url}?socket_timeout=60&retry_on_timeout=yes", deadline=1.0) as publish:
            await publish("broadcast", {"type": "x"})
            os.kill(frozen.pid, signal.SIGSTOP)
            try:
                watch = Stopwatch()
                with pytest.raises(Unavailable):
                    await publish("broadcast", {"type": "x"})
                assert watch.wall > 0.8
                assert watch.own < 3.7
            finally:
                os.kill(frozen.pid, signal.SIGCONT)


async def test_a_publisher_goes_on_when_the_server_is_back(open_publisher: OpenPublisher) -> None:
    server = EmbeddedValkey()
    server.start()
    try:
        async with open_publisher(server.url) as publish:
            await publish("broadcast", {"type": "x"})
            os.kill(server.pid, signal.SIGKILL)
            await until(lambda: not server.alive, "killed")
            with pytest.raises(Unavailable):
                await publish("broadcast", {"type": "x"})
            server.start()
            await publish("broadcast", {"type": "x"})
    finally:
        server.stop()


def test_one_publisher_serves_several_threads_and_is_used_again_after_closing(url: str) -> None:
    publisher = Publisher(url)

    def work(_: int) -> None:
        for _ in range(50):
            publisher.user("ann").send({"type": "x"})

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4), timeout=30))
    publisher.close()
    publisher.broadcast({"type": "x"})
    publisher.close()


async def test_an_async_publisher_outside_its_block_says_so(url: str) -> None:
    publisher = AsyncPublisher(url)
    with pytest.raises(ConfigurationError, match="async with"):
        await publisher.broadcast({"type": "x"})
    async with publisher:
        await publisher.broadcast({"type": "x"})
    with pytest.raises(ConfigurationError, match="async with"):
        await publisher.broadcast({"type": "x"})
    with pytest.raises(ConfigurationError, match="name"):
        AsyncPublisher(url, name="")


async def test_many_who_wait_for_a_frozen_server_wait_for_one_deadline() -> None:
    with EmbeddedValkey() as frozen:
        async with AsyncPublisher(frozen.url, deadline=0.5) as publisher:
            os.kill(frozen.pid, signal.SIGSTOP)
            try:
                watch = Stopwatch()
                sent = (publisher.room("a").send({"type": "x"}) for _ in range(50))
                results = await asyncio.gather(*sent, return_exceptions=True)
                assert {type(result) for result in results} == {Unavailable}
                assert watch.wall > 0.4
                assert watch.own < 2.0
            finally:
                os.kill(frozen.pid, signal.SIGCONT)

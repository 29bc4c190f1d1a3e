"""A server that lets nobody in says why, and its own words are in the log."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis import Redis
from redis.asyncio import Connection
from redis.exceptions import ConnectionError as NotConnected

from hubbub.brokers.redis import RedisBroker
from hubbub.brokers.redis.refusals import NotLetIn
from hubbub.brokers.redis.server import Server
from hubbub.errors import Unavailable
from hubbub.types import room_topic
from tests.kit.broker_servers import LOGGER, lines
from tests.kit.brokers import Worker
from tests.kit.waiting import until

DENIED = "DENIED Valkey is running in protected mode because protected mode is enabled and no password is set"


@asynccontextmanager
async def saying(words: str, *, asked: bool = False) -> AsyncIterator[str]:
    """The URL of one that says so to whoever comes, before or after it was asked something, and hangs up."""

    async def turn_away(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if asked:
            await reader.read(1)
        writer.write(f"-{words}\r\n".encode())
        writer.close()

    async with await asyncio.start_server(turn_away, "127.0.0.1", 0) as server:
        yield f"redis://:hush@127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("url", ["{}", "{}/1", "{}?client_name=x"])
@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("ERR max number of clients reached", "max number of clients reached"),
        ("LOADING Valkey is loading the dataset in memory", "is loading the dataset in memory"),
        ("NOAUTH Authentication required.", "Authentication required."),
        ("WRONGPASS invalid username-password pair or user is disabled.", "invalid username-password pair"),
        ("MASTERDOWN Link with MASTER is down", "Link with MASTER is down"),
        ("READONLY You can't write against a read only replica.", "read only replica"),
        ("ERR DB index is out of range", "DB index is out of range"),
        (DENIED, DENIED),
    ],
)
async def test_the_words_of_every_refusal(words: str, told: str, url: str, asked: bool) -> None:
    async with saying(words, asked=asked) as address:
        with pytest.raises(NotLetIn) as refused:
            await Server(url.format(address), deadline=5).connect()
    assert told in str(refused.value)
    assert "hush" not in str(refused.value)


async def test_one_that_says_nothing_has_closed() -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(NotConnected) as lost:
            await Server(f"redis://127.0.0.1:{port}", deadline=5).connect()
    assert "UNKNOWN" not in str(lost.value)


async def test_one_that_is_lost_before_it_was_asked_is_not_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    async def lost(_: Connection) -> None:
        raise RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")

    monkeypatch.setattr(Connection, "connect", lost)  # as uvloop has it, for a moment
    with pytest.raises(NotConnected):
        await Server("redis://127.0.0.1:1", deadline=5).connect()


def test_a_full_server_is_told_of_and_found_when_it_has_room(
    url: str, admin: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, LOGGER)

    async def main() -> None:
        admin.ping()
        admin.config_set("maxclients", 1)
        worker = Worker(RedisBroker(f"{url}?db=1"))
        try:
            await worker.start()
            await until(lambda: "max number of clients reached" in caplog.text, "the server's words")
            with pytest.raises(Unavailable):
                await worker.broker.count(room_topic("lobby"))
        finally:
            admin.config_set("maxclients", 1000)
        await until(lambda: worker.broker.ready, "it is let in")
        await worker.broker.stop()

    asyncio.run(main())
    assert "UNKNOWN" not in caplog.text
    assert lines(caplog)[-1].endswith("is there")


def test_a_full_disk_keeps_nobody_out() -> None:
    """It refuses PING like all that writes, and brings messages as before."""

    async def main() -> None:
        async with saying("MISCONF Valkey is configured to save, and cannot", asked=True) as address:
            link = await Server(address.replace(":hush@", ""), deadline=5).connect()
            await link.close()

    asyncio.run(main())

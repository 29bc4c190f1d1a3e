"""The listener outlives every mistake, and a subscription that returned stands."""

import asyncio
import logging
import tempfile

import hiredis
import pytest
from redis import Redis

import hubbub.brokers.redis.channels as channels_module
from hubbub.brokers.redis import RedisBroker
from hubbub.errors import Unavailable
from hubbub.types import room_topic
from tests.kit.broker_servers import LOGGER, lines
from tests.kit.brokers import running
from tests.kit.waiting import until

ROOM = room_topic("lobby")


@pytest.fixture(autouse=True)
def _all_logs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER)


class TestTheListener:
    def test_outlives_whatever_the_application_does(self, url: str, caplog: pytest.LogCaptureFixture) -> None:
        async def main() -> None:
            heard = []

            def deliver(_topic: str, data: bytes, _position: object) -> None:
                if data == b"bad":
                    raise RuntimeError("a bug")
                heard.append(data)

            broker = RedisBroker(url)
            await broker.start(deliver, lambda: None, lambda _topic: None)
            await broker.subscribe(ROOM)
            for data in (b"one", b"bad", b"two"):
                await broker.publish(ROOM, data)
            await until(lambda: heard == [b"one", b"two"], "the others are delivered")
            assert broker.ready
            await broker.stop()

        asyncio.run(main())
        assert lines(caplog) == ["ERROR a message could not be delivered"]

    def test_outlives_its_own_bugs(
        self, url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        confirmed = channels_module.Channels.subscribed

        async def main() -> None:
            async with running(RedisBroker(url)) as (worker,):
                monkeypatch.setattr(channels_module.Channels, "subscribed", lambda *_: 1 / 0)
                waiting = asyncio.create_task(worker.broker.subscribe(ROOM))
                await until(lambda: not worker.broker.ready, "the bug struck")
                monkeypatch.setattr(channels_module.Channels, "subscribed", confirmed)
                await waiting
                await until(lambda: worker.resumed == 1, "it is told, once what is published comes back")

        asyncio.run(main())
        assert "division by zero" in lines(caplog)[0]
        assert "Traceback" in caplog.text

    def test_waits_for_the_last_of_the_confirmations_it_is_owed(self) -> None:
        """A server that stops between the commands of one moment, as a real one can."""
        held: list[bytes] = []
        subscribers: dict[bytes, asyncio.StreamWriter] = {}
        go_on = asyncio.Event()
        # A path of pytest's own can be too long for a socket.
        directory = tempfile.TemporaryDirectory(prefix="hb")
        socket = f"{directory.name}/socket"

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            commands = hiredis.Reader()
            while data := await reader.read(65536):
                commands.feed(data)
                while command := commands.gets():
                    name = command[0].lower()
                    if name == b"unsubscribe":
                        held.append(name)
                        await go_on.wait()
                    for channel in command[1:]:
                        if name in {b"subscribe", b"unsubscribe"}:
                            parts = len(name), name, len(channel), channel
                            writer.write(b"*3\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n:1\r\n" % parts)
                            subscribers[channel] = writer
                    if name == b"publish":
                        _, channel, data = command
                        parts = len(channel), channel, len(data), data
                        message = b"*3\r\n$7\r\nmessage\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % parts
                        subscribers[channel].write(message)
                        writer.write(b":1\r\n")
                    if name in {b"client", b"ping"}:
                        writer.write(b"+OK\r\n")
            writer.close()

        async def main() -> None:
            async with await asyncio.start_unix_server(answer, socket):
                broker = RedisBroker(f"unix://{socket}")
                await broker.start(lambda *_: None, lambda: None, lambda _topic: None)
                await until(lambda: broker.ready, "it stands")
                first = asyncio.create_task(broker.subscribe(ROOM))
                await asyncio.sleep(0)
                await broker.unsubscribe(ROOM)
                again = asyncio.create_task(broker.subscribe(ROOM))
                with pytest.raises(Unavailable):
                    await first
                await until(lambda: held, "the first is confirmed and nothing else")
                await asyncio.sleep(0.05)
                assert not again.done()
                go_on.set()
                await again
                await broker.stop()

        with directory:
            asyncio.run(main())

    def test_subscribes_in_batches(self, url: str, admin: Redis) -> None:
        async def main() -> None:
            async with running(RedisBroker(url, deadline=10)) as (worker,):
                await asyncio.gather(*(worker.broker.subscribe(room_topic(f"r{at}")) for at in range(1200)))
                stats = admin.info("commandstats")
                # With each PING our own channel is asked for again.
                assert stats["cmdstat_subscribe"]["calls"] - stats.get("cmdstat_ping", {"calls": 0})["calls"] <= 4

        asyncio.run(main())

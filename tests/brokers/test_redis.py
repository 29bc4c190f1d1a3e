"""The broker on a server that is killed, frozen, away, cut off or forgetful."""

import asyncio
import logging
import os
import re
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import hiredis
import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from redis import Redis
from redis.exceptions import ConnectionError as NotConnected

import hubbub.brokers.redis.listener as listener_module
from hubbub.brokers.embedded import EmbeddedValkey
from hubbub.brokers.redis import RedisBroker
from hubbub.brokers.redis.commands import Commands
from hubbub.brokers.redis.server import Server
from hubbub.errors import ConfigurationError, Unavailable
from hubbub.ports.broker import Announcement
from hubbub.types import room_topic
from tests.brokers.conftest import Worker, eventually, running, until
from tests.brokers.test_conformance import CALLS

ROOM = room_topic("lobby")
LOGGER = "hubbub.brokers.redis"


@pytest.fixture(autouse=True)
def _all_logs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [f"{record.levelname} {record.getMessage()}" for record in caplog.records if record.name == LOGGER]


def impatient(url: str) -> RedisBroker:
    return RedisBroker(url, deadline=0.5, idle=0.1, silence=0.3)


def kill(valkey: EmbeddedValkey) -> None:
    os.kill(valkey.pid, signal.SIGKILL)
    while valkey.alive:
        time.sleep(0.001)


@asynccontextmanager
async def frozen(valkey: EmbeddedValkey) -> AsyncIterator[None]:
    """The server takes what the kernel buffers and says nothing."""
    os.kill(valkey.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(valkey.pid, signal.SIGCONT)


@contextmanager
def over_tcp(path: str, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port of a proxy to the server's socket; the embedded server has no port and no TLS of its own.

    In a loop of its own, so that the tasks and descriptors of a test are the broker's.
    """
    serving: set[asyncio.Task[None] | None] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        there, back = await asyncio.open_unix_connection(path)
        await asyncio.gather(carry(reader, back), carry(there, writer))
        serving.discard(asyncio.current_task())

    async def main() -> None:
        async with await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls) as server:
            started.set_result((server.sockets[0].getsockname()[1], asyncio.get_running_loop()))
            await ended.wait()
            await until(lambda: not serving, "the clients are gone")

    ended = asyncio.Event()
    started: Future[tuple[int, asyncio.AbstractEventLoop]] = Future()
    with ThreadPoolExecutor(1) as threads:
        proxy = threads.submit(asyncio.run, main())
        port, loop = started.result(10)
        try:
            yield port
        finally:
            loop.call_soon_threadsafe(ended.set)
            proxy.result(20)


class TestALostServer:
    def test_that_comes_back_is_subscribed_to_again(
        self, valkey: EmbeddedValkey, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def main() -> None:
            async with running(RedisBroker(valkey.url), RedisBroker(valkey.url)) as (here, there):
                topics = [room_topic(f"r{number}") for number in range(1200)]
                await asyncio.gather(*map(here.broker.subscribe, topics))
                left = topics.pop()
                for round_ in (1, 2):
                    kill(valkey)
                    await until(lambda: not here.broker.ready and not there.broker.ready, "the loss is noticed")
                    await here.broker.unsubscribe(left)
                    with pytest.raises(Unavailable):
                        await there.broker.publish(topics[0], b"nobody hears this")
                    await asyncio.sleep(0.2)
                    assert here.resumed == round_ - 1
                    valkey.start()
                    await until(lambda round_=round_: here.resumed == there.resumed == round_, "both are back")
                    assert here.broker.ready
                    here.heard.clear()
                    for topic in (left, *topics):
                        await there.broker.publish(topic, b"again")
                    await until(lambda: [topic for topic, _ in here.heard] == topics, "each is heard, once")

        asyncio.run(main())
        # Both workers, twice: one line when it was lost and one when it was back, however often they tried.
        told, path = lines(caplog), valkey.url.removeprefix("unix://")
        assert len(told) == 8
        assert sum(line.startswith(f"WARNING lost the broker at {path}: ") for line in told) == 4
        assert told.count(f"INFO the broker at {path} is back") == 4

    def test_that_was_away_at_start_makes_ready_when_it_comes(
        self, valkey: EmbeddedValkey, caplog: pytest.LogCaptureFixture
    ) -> None:
        kill(valkey)

        async def main() -> None:
            worker = Worker(RedisBroker(valkey.url, deadline=0.5))
            began = time.monotonic()
            await worker.start()
            assert time.monotonic() - began < 0.25
            await until(lambda: caplog.records, "it is told")
            for name in CALLS:
                if name != "unsubscribe":
                    with pytest.raises(Unavailable):
                        await CALLS[name](worker.broker)
            assert not worker.broker.ready
            valkey.start()
            began = time.monotonic()
            await until(lambda: worker.broker.ready, "it came")
            assert time.monotonic() - began < 3
            await worker.broker.subscribe(ROOM)
            await worker.broker.publish(ROOM, b"x")
            await until(lambda: worker.data(ROOM) == [b"x"], "it is heard")
            assert worker.resumed == 0
            await worker.broker.stop()

        asyncio.run(main())
        first, second = lines(caplog)
        assert re.fullmatch(r"WARNING cannot reach the broker at /\S+/socket: .+; trying again", first)
        assert re.fullmatch(r"INFO the broker at /\S+/socket is there", second)

    def test_does_not_hold_up_stop(self, valkey: EmbeddedValkey) -> None:
        async def main() -> None:
            async with running(RedisBroker(valkey.url)) as (worker,):
                kill(valkey)
                await until(lambda: not worker.broker.ready, "the loss is noticed")
                began = time.monotonic()
                waiting = asyncio.create_task(worker.broker.subscribe(ROOM))
                await asyncio.sleep(0)
                await worker.broker.stop()
                with pytest.raises(Unavailable):
                    await waiting
                assert time.monotonic() - began < 1

        asyncio.run(main())

    def test_makes_a_topic_that_stood_stand_no_more_until_it_is_back(self, valkey: EmbeddedValkey) -> None:
        async def main() -> None:
            async with running(RedisBroker(valkey.url, deadline=0.2)) as (worker,):
                await worker.broker.subscribe(ROOM)
                kill(valkey)
                await until(lambda: not worker.broker.ready, "the loss is noticed")
                with pytest.raises(Unavailable):
                    await worker.broker.subscribe(ROOM)
                valkey.start()
                await until(lambda: worker.broker.ready, "it is back")
                await worker.broker.publish(ROOM, b"x")
                await until(lambda: worker.data(ROOM) == [b"x"], "who subscribed before still is")

        asyncio.run(main())

    def test_costs_a_subscriber_that_waits_for_it_only_the_wait(self, valkey: EmbeddedValkey) -> None:
        async def main() -> None:
            async with running(RedisBroker(valkey.url, deadline=5)) as (worker,):
                kill(valkey)
                await until(lambda: not worker.broker.ready, "the loss is noticed")
                waiting = asyncio.create_task(worker.broker.subscribe(ROOM))
                await asyncio.sleep(0.05)
                assert not waiting.done()
                valkey.start()
                await waiting
                await worker.broker.publish(ROOM, b"x")
                await until(lambda: worker.data(ROOM) == [b"x"], "it is heard")

        asyncio.run(main())


class TestACutConnection:
    def test_of_the_listener_is_made_again(self, url: str, admin: Redis) -> None:
        async def main() -> None:
            async with running(RedisBroker(url)) as (worker,):
                await worker.broker.subscribe(ROOM)
                for cut in range(1, 4):
                    assert admin.client_kill_filter(_type="pubsub") == 1
                    await until(lambda cut=cut: worker.resumed == cut, "it is back")
                    await worker.broker.publish(ROOM, b"x")
                    await until(lambda cut=cut: len(worker.heard) == cut, "it is heard")

        asyncio.run(main())

    def test_of_the_commands_costs_nothing_while_idle(self, url: str, admin: Redis) -> None:
        async def normal_clients() -> int:
            return len(await asyncio.to_thread(admin.client_list, _type="normal"))

        async def main() -> None:
            async with running(RedisBroker(url)) as (worker,):
                await worker.broker.subscribe(ROOM)
                for number in range(5):
                    await worker.broker.publish(ROOM, b"%d" % number)
                    admin.client_kill_filter(_type="normal", skipme=True)
                    # Gone from the list is closed; what the kernel knows, the loop has seen one turn later.
                    await eventually(normal_clients, lambda count: count == 1)
                await until(lambda: worker.data(ROOM) == [b"%d" % number for number in range(5)], "each, once")
                assert worker.broker.ready

        asyncio.run(main())


class TestAFrozenServer:
    def test_is_noticed_and_no_call_waits_longer_than_the_deadline(
        self, valkey: EmbeddedValkey, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def main() -> None:
            async with running(impatient(valkey.url)) as (worker,):
                await worker.broker.subscribe(ROOM)
                await worker.broker.publish(ROOM, b"before")
                await until(lambda: worker.heard, "it is heard")
                async with frozen(valkey):
                    began = time.monotonic()
                    answers = await asyncio.gather(
                        *(
                            call(worker.broker)
                            for name, call in CALLS.items()
                            if name not in {"subscribe", "unsubscribe"}
                        ),
                        worker.broker.subscribe(room_topic("new")),
                        *(worker.broker.publish(ROOM, bytes(512 * 1024)) for _ in range(5)),
                        return_exceptions=True,
                    )
                    took = time.monotonic() - began
                    assert {type(answer) for answer in answers} == {Unavailable}
                    assert 0.4 < took < 1.5
                    await until(lambda: not worker.broker.ready, "it is noticed", within=3)
                await until(lambda: worker.broker.ready and worker.resumed, "it is back")
                worker.heard.clear()
                await worker.broker.publish(room_topic("new"), b"the subscription that failed")
                await worker.broker.publish(ROOM, b"after")
                await until(lambda: b"after" in worker.data(ROOM), "it is heard")
                assert worker.data(room_topic("new")) == []

        asyncio.run(main())
        assert "nothing heard for 0.3 s" in lines(caplog)[0]

    def test_leaves_no_descriptors_for_every_attempt(self, valkey: EmbeddedValkey) -> None:
        async def main() -> None:
            broker = RedisBroker(valkey.url, deadline=0.05)
            # `running` counts descriptors after stop; here they are counted while attempts go on.
            async with running(broker):
                await broker.publish(ROOM, b"x")
                had = descriptors()
                async with frozen(valkey):
                    for _ in range(10):
                        with pytest.raises(Unavailable):
                            await broker.publish(ROOM, bytes(4 * 1024 * 1024))
                    await until(lambda: descriptors() <= had + 1, "only the attempt under way", within=2)

        asyncio.run(main())

    def test_is_not_told_later_what_never_left(self, valkey: EmbeddedValkey) -> None:
        async def main() -> None:
            async with running(RedisBroker(valkey.url, deadline=0.4, idle=5, silence=60)) as (worker,):
                await worker.broker.subscribe(ROOM)
                async with frozen(valkey):
                    first = asyncio.create_task(worker.broker.publish(ROOM, b"on its way"))
                    await asyncio.sleep(0.01)
                    second = asyncio.create_task(worker.broker.publish(ROOM, b"cancelled behind it"))
                    await asyncio.sleep(0.01)
                    second.cancel()
                    await asyncio.gather(first, second, return_exceptions=True)
                await worker.broker.publish(ROOM, b"after")
                await until(lambda: b"after" in worker.data(ROOM), "it is heard")
                assert b"cancelled behind it" not in worker.data(ROOM)

        asyncio.run(main())

    def test_a_quiet_server_is_no_frozen_one(self, url: str, caplog: pytest.LogCaptureFixture) -> None:
        async def main() -> None:
            async with running(impatient(url)) as (worker,):
                await worker.broker.subscribe(ROOM)
                await asyncio.sleep(1.0)
                assert worker.broker.ready
                assert worker.resumed == 0

        asyncio.run(main())
        assert lines(caplog) == []


class TestScripts:
    def test_are_sent_again_to_a_server_that_forgot_them(self, url: str, admin: Redis) -> None:
        async def main() -> None:
            async with running(RedisBroker(url)) as (worker,):
                await worker.broker.subscribe(ROOM)
                for number in range(3):
                    admin.script_flush()
                    came = Announcement(ROOM, b"%d" % number)
                    firsts = await asyncio.gather(
                        *(worker.broker.enter(ROOM, f"u{number}", f"n{holder}", came) for holder in range(20))
                    )
                    assert sum(firsts) == 1
                    assert await worker.broker.take_turn("numbers", "n1", 60) == number + 1
                await until(lambda: worker.data(ROOM) == [b"0", b"1", b"2"], "each is announced, once")
                # Known again, they are no longer sent whole: one EVAL a flush and script at least, far from one a call.
                assert admin.info("commandstats")["cmdstat_evalsha"]["calls"] >= 60

        asyncio.run(main())

    def test_leave_no_key_behind_them(self, url: str, admin: Redis) -> None:
        async def main() -> None:
            async with running(RedisBroker(url)) as (worker,):
                broker = worker.broker
                for holder in ("n1", "n2"):
                    for member in ("alice", "bob"):
                        await broker.enter(ROOM, member, holder)
                await broker.report("n1", b"x", 60)
                assert admin.dbsize() == 4
                for holder in ("n1", "n2"):
                    for member in ("alice", "bob"):
                        await broker.leave(ROOM, member, holder)
                await broker.withdraw("n1")
                assert admin.dbsize() == 0
                await broker.take_turn("numbers", "n1", 60)
                await broker.give_up("numbers", "n1")
                (turns,) = admin.keys()
                assert 0 < admin.ttl(turns) <= 24 * 60 * 60 + 60

        asyncio.run(main())

    def test_remove_what_has_expired_when_it_is_read(self, url: str, admin: Redis) -> None:
        async def main() -> None:
            async with running(RedisBroker(url)) as (worker,):
                await worker.broker.report("stays", b"x", 60)
                await worker.broker.report("goes", b"x", 0.05)
                await eventually(worker.broker.reports, lambda found: "goes" not in found)
                assert admin.hkeys("hubbub:{hubbub}:nodes") == [b"stays"]

        asyncio.run(main())

    def test_let_what_a_dead_node_said_expire_whole(self, url: str, admin: Redis) -> None:
        async def main() -> None:
            async with running(RedisBroker(url)) as (worker,):
                await worker.broker.report("n1", b"x", 0.2)
                await worker.broker.report("n2", b"x", 0.1)
                await eventually(lambda: asyncio.to_thread(admin.dbsize), lambda size: size == 0)

        asyncio.run(main())


class TestCancelling:
    def test_a_storm_of_it_never_gives_one_caller_anothers_answer(self, url: str, admin: Redis) -> None:
        admin.mset({f"k{number}": f"v{number}" for number in range(100)})

        async def main() -> None:
            commands = Commands(Server(url, deadline=2).connect, deadline=2)
            answered = cancelled = 0

            async def ask(number: int) -> None:
                nonlocal answered, cancelled
                try:
                    answer = await commands.call(b"GET", b"k%d" % number)
                except asyncio.CancelledError:
                    cancelled += 1
                    raise
                assert answer == b"v%d" % number
                answered += 1

            for wave in range(60):
                asked = [asyncio.create_task(ask(number)) for number in range(100)]
                # From not begun at all to answered: the waves are cut at every stage of a round.
                for _ in range(wave % 12):
                    await asyncio.sleep(0)
                for task in asked[:: 1 + wave % 3]:
                    task.cancel()
                results = await asyncio.gather(*asked, return_exceptions=True)
                assert not [error for error in results if isinstance(error, Exception)]
            await commands.stop()
            assert answered > 1000
            assert cancelled > 500

        asyncio.run(main())

    def test_a_subscription_leaves_the_other_callers_theirs(self, url: str, admin: Redis) -> None:
        async def main() -> None:
            async with running(RedisBroker(url)) as (worker,):
                for number in range(20):
                    topic = room_topic(f"r{number}")
                    one, other = (asyncio.create_task(worker.broker.subscribe(topic)) for _ in range(2))
                    await asyncio.sleep(0)
                    one.cancel()
                    await other
                    await worker.broker.publish(topic, b"x")
                    await until(lambda topic=topic: worker.data(topic) == [b"x"], "the other is subscribed")
                alone = asyncio.create_task(worker.broker.subscribe(ROOM))
                await asyncio.sleep(0)
                alone.cancel()
                await asyncio.gather(alone, return_exceptions=True)
                await eventually(lambda: asyncio.to_thread(admin.pubsub_channels), lambda channels: len(channels) == 20)

        asyncio.run(main())


class TestTheListener:
    def test_outlives_whatever_the_application_does(self, url: str, caplog: pytest.LogCaptureFixture) -> None:
        async def main() -> None:
            heard = []

            def deliver(_topic: str, data: bytes) -> None:
                if data == b"bad":
                    raise RuntimeError("a bug")
                heard.append(data)

            broker = RedisBroker(url)
            await broker.start(deliver, lambda: None)
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
        confirmed = listener_module.Listener._confirmed

        async def main() -> None:
            async with running(RedisBroker(url)) as (worker,):
                monkeypatch.setattr(listener_module.Listener, "_confirmed", lambda *_: 1 / 0)
                waiting = asyncio.create_task(worker.broker.subscribe(ROOM))
                await until(lambda: not worker.broker.ready, "the bug struck")
                monkeypatch.setattr(listener_module.Listener, "_confirmed", confirmed)
                await waiting
                assert worker.resumed == 1

        asyncio.run(main())
        assert "division by zero" in lines(caplog)[0]
        assert "Traceback" in caplog.text

    def test_waits_for_the_last_of_the_confirmations_it_is_owed(self) -> None:
        """A server that stops between the commands of one moment, as a real one can."""
        held: list[bytes] = []
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
                    if name in {b"client", b"ping"}:
                        writer.write(b"+OK\r\n")
            writer.close()

        async def main() -> None:
            async with await asyncio.start_unix_server(answer, socket):
                broker = RedisBroker(f"unix://{socket}")
                await broker.start(lambda _topic, _data: None, lambda: None)
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
            async with running(RedisBroker(url)) as (worker,):
                await asyncio.gather(*(worker.broker.subscribe(room_topic(f"r{at}")) for at in range(1200)))
                assert admin.info("commandstats")["cmdstat_subscribe"]["calls"] <= 4

        asyncio.run(main())


class TestUrls:
    def test_two_hubs_meet_where_url_and_name_are_equal(self, url: str) -> None:
        async def main() -> None:
            others = (RedisBroker(url, name="other"), RedisBroker(f"{url}?db=1"))
            async with running(RedisBroker(url), RedisBroker(url), *others) as (here, there, *strangers):
                for worker in (here, there, *strangers):
                    await worker.broker.subscribe(ROOM)
                await here.broker.publish(ROOM, b"x")
                await here.broker.enter(ROOM, "alice", "n1", Announcement(ROOM, b"came"))
                await here.broker.report("n1", b"x", 60)
                assert await here.broker.take_turn("numbers", "n1", 60) == 1
                await until(lambda: len(here.heard) == len(there.heard) == 2, "those who meet hear it")
                for number, stranger in enumerate(strangers):
                    await stranger.broker.publish(ROOM, b"own")
                    await until(lambda stranger=stranger: stranger.heard == [(ROOM, b"own")], f"{number} only its own")
                    assert await stranger.broker.members(ROOM) == []
                    assert await stranger.broker.reports() == {}
                    assert await stranger.broker.take_turn("numbers", "n2", 60) == 1

        asyncio.run(main())

    @pytest.mark.parametrize("scheme", ["redis", "valkey"])
    def test_over_tcp(self, url: str, scheme: str) -> None:
        async def main() -> None:
            with over_tcp(url.removeprefix("unix://")) as port:
                worker = Worker(RedisBroker(f"{scheme}://127.0.0.1:{port}/2"))
                await worker.start()
                await worker.broker.subscribe(ROOM)
                await worker.broker.publish(ROOM, b"x")
                await until(lambda: worker.data(ROOM) == [b"x"], "it is heard")
                assert repr(worker.broker) == f"RedisBroker('127.0.0.1:{port}')"
                await worker.broker.stop()
                assert connections_to(port) == 0

        asyncio.run(main())

    def test_over_tls(self, url: str, tmp_path: Path) -> None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(own_certificate(tmp_path / "own.pem"))

        async def main() -> None:
            with over_tcp(url.removeprefix("unix://"), tls) as port:
                trusting = f"rediss://127.0.0.1:{port}?ssl_ca_certs={tmp_path / 'own.pem'}"
                worker = Worker(RedisBroker(trusting.replace("rediss", "valkeys")))
                await worker.start()
                await worker.broker.subscribe(ROOM)
                await worker.broker.publish(ROOM, bytes(300_000))
                await until(lambda: worker.data(ROOM) == [bytes(300_000)], "it is heard")
                await worker.broker.stop()
                assert connections_to(port) == 0
                with pytest.raises(NotConnected, match="CERTIFICATE_VERIFY_FAILED"):
                    await Server(trusting.partition("?")[0], deadline=2).connect()

        asyncio.run(main())

    def test_a_password_is_used_and_never_told(
        self, url: str, protected: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)

        async def main() -> None:
            with over_tcp(url.removeprefix("unix://")) as port:
                for password, good in ((protected, True), ("wrong-hush", False)):
                    worker = Worker(RedisBroker(f"redis://:{password}@127.0.0.1:{port}"))
                    await worker.start()
                    if good:
                        await worker.broker.subscribe(ROOM)
                    else:
                        await until(lambda: "cannot reach" in caplog.text, "it is told")
                        with pytest.raises(Unavailable) as refused:
                            await worker.broker.count(ROOM)
                        assert "hush" not in repr(refused.value) + repr(refused.value.__cause__)
                    assert worker.broker.ready is good
                    assert "hush" not in repr(worker.broker)
                    await worker.broker.stop()
                    assert connections_to(port) == 0
                assert f"cannot reach the broker at 127.0.0.1:{port}: " in caplog.text

        asyncio.run(main())
        assert "hush" not in caplog.text

    @pytest.fixture
    def protected(self, url: str, admin: Redis) -> Iterator[str]:
        """The password that the server asks of those who connect from now on."""
        admin.config_set("requirepass", "hush")
        yield "hush"
        admin.config_set("requirepass", "")

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "localhost",
            "http://user:hush@host",
            "redis://user:hu/sh@host",
            "redis://:hush@host:port",
            "redis://:hush@host?db=x",
            "redis://:hush@host?no_such_option=1",
            "unix://",
        ],
    )
    def test_that_cannot_be_read_are_refused_without_repeating_them(self, url: str) -> None:
        with pytest.raises(ConfigurationError) as refused:
            RedisBroker(url)
        assert "hu" not in str(refused.value).replace("hubbub", "")
        assert refused.value.__cause__ is None

    def test_options_in_them_cannot_change_what_the_broker_relies_on(self, url: str) -> None:
        async def main() -> None:
            hostile = (
                f"{url}?protocol=3&decode_responses=1&socket_timeout=0.05&health_check_interval=1&retry_on_timeout=1"
            )
            async with running(RedisBroker(hostile, idle=60, silence=90)) as (worker,):
                await worker.broker.subscribe(ROOM)
                await asyncio.sleep(0.2)
                await worker.broker.publish(ROOM, b"\xff")
                await until(lambda: worker.data(ROOM) == [b"\xff"], "bytes, on the first connection")
                assert worker.resumed == 0

        asyncio.run(main())

    @pytest.mark.parametrize("times", [{"deadline": 0}, {"idle": 0}, {"idle": 5, "silence": 5}])
    def test_times_that_cannot_be_kept_are_refused(self, times: dict[str, float]) -> None:
        with pytest.raises(ConfigurationError):
            RedisBroker("redis://localhost", **times)


def test_what_the_server_refuses_has_its_reason_without_the_message(url: str, admin: Redis) -> None:
    async def main() -> None:
        async with running(RedisBroker(url)) as (worker,):
            await worker.broker.publish(ROOM, b"x")
            admin.set("hubbub:{hubbub:room:lobby}:members", "no hash")
            with pytest.raises(Unavailable) as refused:
                await worker.broker.count(ROOM)
            assert "WRONGTYPE" in str(refused.value.__cause__)
            assert "WRONGTYPE" not in refused.value.message
            commands = worker.broker._commands  # type: ignore[attr-defined]
            with pytest.raises(Unavailable) as refused:
                await commands.call(b"NOSUCH", b"secret body")
            assert "unknown command" in str(refused.value.__cause__)
            assert "secret" not in str(refused.value.__cause__)
            # One refusal is nobody else's.
            await worker.broker.publish(ROOM, b"y")

    asyncio.run(main())


def test_importing_hubbub_does_not_import_redis() -> None:
    code = "import hubbub, hubbub.brokers.memory, sys; sys.exit('redis' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def own_certificate(path: Path) -> Path:
    """A key and its certificate for 127.0.0.1, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path.write_bytes(key.private_bytes(pem, *plain) + certificate.public_bytes(pem))
    return path


def connections_to(port: int) -> int:
    """Those of the broker; the proxy's own ends are in this process too, and close a moment later."""
    return sum(bool(end.raddr) and end.raddr[1] == port for end in psutil.Process().net_connections("tcp"))


def descriptors() -> int:
    return psutil.Process().num_fds()

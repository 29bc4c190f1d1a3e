"""What is published has to come back, or the broker is not ready, says so and connects again."""

import asyncio
import itertools
import logging
import time

import pytest
from redis import Redis

from hubbub.brokers.embedded import EmbeddedValkey
from hubbub.brokers.redis import RedisBroker
from hubbub.ports.metrics import Count, Tally
from hubbub.testing.proxy import Connection, Proxy
from hubbub.types import Topic, room_topic
from tests.kit.broker_servers import LOGGER, frozen, kill, lines, path_of
from tests.kit.brokers import Worker, heard_again, running, started
from tests.kit.inside import probe as probe_of
from tests.kit.stopwatch import Stopwatch
from tests.kit.waiting import until

ROOM = room_topic("lobby")


@pytest.fixture(autouse=True)
def _all_logs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER)


def impatient(url: str, metrics: Tally | None = None) -> RedisBroker:
    """Silence is noticed soon. Its deadline is long: a start that a busy machine holds up is no loss to be told."""
    return RedisBroker(url, deadline=10, probe=0.1, silence=1, metrics=metrics)


def over(proxy: Proxy) -> str:
    return f"redis://127.0.0.1:{proxy.port}"


def listening(proxy: Proxy) -> Connection:
    (connection,) = (connection for connection in proxy.connections if b"SUBSCRIBE" in connection.said)
    return connection


class TestTheProbe:
    async def test_measures_the_way_there_and_back(self, url: str) -> None:
        with Proxy(path_of(url)) as proxy:
            async with started(RedisBroker(over(proxy), probe=0.05)) as worker:
                broker = worker.broker
                assert isinstance(broker, RedisBroker)
                assert broker.round_trip is not None
                await until(lambda: 0 < (broker.round_trip or 0) < 0.2, "it is quick")
                proxy.delay(0.1)
                await until(lambda: 0.2 <= (broker.round_trip or 0) < 2, "it is slower")
                proxy.heal()
                await until(lambda: (broker.round_trip or 0) < 0.1, "it is quick again")

    async def test_counts_though_it_takes_longer_than_the_time_between_two(self, url: str) -> None:
        with Proxy(path_of(url)) as proxy:
            async with started(RedisBroker(over(proxy), deadline=2, probe=0.05, silence=1)) as worker:
                proxy.delay(0.15)
                await asyncio.sleep(1.5)
                assert worker.broker.ready
                assert worker.broker.deaf_for == 0

    async def test_goes_to_nobody_else(self, url: str) -> None:
        async with running(impatient(url), impatient(url)) as (here, there):
            own = {probe_of(worker.broker).channel for worker in (here, there)}
            assert len(own) == 2
            await asyncio.sleep(0.3)
            assert here.heard == there.heard == []

    async def test_that_may_not_be_published_is_told_and_costs_no_connection(
        self, valkey: EmbeddedValkey, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A new connection would change nothing; and where the server has no room for one, the last would be gone."""
        counts = Tally()
        with Redis.from_url(valkey.url) as admin:
            admin.ping()
            async with running(impatient(valkey.url, counts)) as (worker,):
                await worker.broker.subscribe(ROOM)
                admin.acl_setuser("default", enabled=True, commands=["-publish"])
                await until(lambda: not worker.broker.ready, "it is noticed")
                assert worker.broker.deaf_for >= 0.9
                # Twice as long as a connection may be silent: it is complained of once and kept.
                await asyncio.sleep(1)
                assert worker.broker.deaf_for >= 1.9
                admin.acl_setuser("default", enabled=True, commands=["+publish"])
                await until(lambda: worker.broker.ready, "it is back")
                assert worker.broker.deaf_for == 0
                assert worker.resumed == 0
                await heard_again(worker, ROOM)
        told, back = lines(caplog)
        assert "nothing came back for 1 s (" in told
        assert "permission" in told
        assert back.endswith(" is back")
        assert counts.counts == {Count.BROKER_DEAF: 1}

    async def test_that_may_never_be_published_makes_nothing_ready(
        self, valkey: EmbeddedValkey, caplog: pytest.LogCaptureFixture
    ) -> None:
        worker = Worker(impatient(valkey.url))
        with Redis.from_url(valkey.url) as admin:
            admin.ping()
            admin.acl_setuser("default", enabled=True, commands=["-publish"])
            await worker.start()
            await worker.broker.subscribe(ROOM)
            await until(lambda: lines(caplog), "it is told")
            assert not worker.broker.ready
            admin.acl_setuser("default", enabled=True, commands=["+publish"])
            await until(lambda: worker.broker.ready, "it is there")
            await worker.broker.stop()
        assert "cannot reach the broker" in lines(caplog)[0]
        assert lines(caplog)[1].endswith(" is there")
        assert worker.resumed == 0


class TestADeadLine:
    @pytest.mark.parametrize("ways", [{}, {"up": False}, {"down": False}], ids=["both ways", "from it", "to it"])
    async def test_of_the_listener_alone_is_replaced(
        self, url: str, ways: dict[str, bool], caplog: pytest.LogCaptureFixture
    ) -> None:
        """Commands still work, and only what is published does not come back, or what is asked is not answered."""
        counts = Tally()
        with Proxy(path_of(url)) as proxy:
            async with started(impatient(over(proxy), counts)) as worker:
                await worker.broker.subscribe(ROOM)
                dead = listening(proxy)
                dead.freeze(**ways)
                watch = Stopwatch()
                await worker.broker.publish(ROOM, b"into the dark")
                await until(lambda: not worker.broker.ready, "it is noticed")
                assert 0.5 < worker.broker.deaf_for < watch.wall + 1
                await until(lambda: worker.resumed == 1, "it is back on another")
                assert worker.broker.ready
                assert listening_now(proxy, dead)
                await heard_again(worker, ROOM)
                assert worker.missed == []
        told, back = lines(caplog)
        assert "nothing came back for 1 s; trying again" in told
        assert back.endswith(" is back")
        ends = {Count.BROKER_DEAF: 1, Count.BROKER_LOST: 1, Count.BROKER_RECONNECTED: 1}
        assert counts.counts == {**ends, Count.RESUBSCRIBED: 1}

    async def test_of_the_commands_alone_is_theirs_to_replace(self, url: str) -> None:
        with Proxy(path_of(url)) as proxy:
            broker = RedisBroker(over(proxy), deadline=1.0, probe=0.1, silence=5)
            async with started(broker) as worker:
                await worker.broker.subscribe(ROOM)
                heard = listening(proxy)
                (commands,) = (each for each in proxy.connections if each is not heard)
                commands.freeze()
                await until(lambda: len(proxy.connections) > 2, "commands go another way")
                await until(lambda: probe_of(broker).refusal is None, "and work")
                await heard_again(worker, ROOM)
                assert worker.broker.ready
                assert worker.resumed == 0
                assert listening(proxy) is heard

    async def test_of_everything_is_noticed_and_comes_back(self, url: str, caplog: pytest.LogCaptureFixture) -> None:
        with Proxy(path_of(url)) as proxy:
            async with started(impatient(over(proxy))) as worker:
                await worker.broker.subscribe(ROOM)
                proxy.freeze()
                await until(lambda: not worker.broker.ready, "it is noticed")
                before = worker.broker.deaf_for
                await asyncio.sleep(1)
                assert worker.broker.deaf_for >= before + 0.9
                proxy.heal()
                await until(lambda: worker.broker.ready, "it is back")
                assert worker.resumed == 1
                await heard_again(worker, ROOM)
        assert len(lines(caplog)) == 2

    async def test_does_not_hold_up_stop(self, url: str) -> None:
        with Proxy(path_of(url)) as proxy:
            async with started(impatient(over(proxy))) as worker:
                proxy.freeze()
                await until(lambda: not worker.broker.ready, "it is noticed")
                watch = Stopwatch()
                await worker.broker.stop()
                assert watch.own < 1
                assert worker.broker.deaf_for == 0


def listening_now(proxy: Proxy, dead: Connection) -> bool:
    return any(b"SUBSCRIBE" in each.said for each in proxy.connections if each is not dead)


class TestDeafFor:
    async def test_counts_from_the_start_where_nothing_is_there(self, valkey: EmbeddedValkey) -> None:
        kill(valkey)
        worker = Worker(impatient(valkey.url))
        assert worker.broker.deaf_for == 0
        await worker.start()
        await until(lambda: worker.broker.deaf_for > 0.3, "it grows")
        valkey.start()
        await until(lambda: worker.broker.ready, "it is there")
        assert worker.broker.deaf_for == 0
        await worker.broker.stop()

    async def test_counts_over_all_attempts(self, valkey: EmbeddedValkey) -> None:
        async with running(impatient(valkey.url)) as (worker,):
            async with frozen(valkey):
                watch = Stopwatch()
                await until(lambda: worker.broker.deaf_for > 2, "it grows")
                assert watch.own < 3
            await until(lambda: worker.broker.ready, "it is back")


class TestSomebodyWhoIsBusy:
    async def test_with_something_else_is_not_deaf(self, url: str, caplog: pytest.LogCaptureFixture) -> None:
        async with running(impatient(url)) as (worker,):
            for _ in range(3):
                time.sleep(2)  # noqa: ASYNC251 - that is the point
                for _ in range(5):
                    await asyncio.sleep(0)
                    assert worker.broker.ready
                    assert worker.broker.deaf_for == 0
            assert worker.resumed == 0
        assert lines(caplog) == []

    async def test_with_what_he_heard_is_not_deaf(self, url: str, caplog: pytest.LogCaptureFixture) -> None:
        """A flood that takes three times as long as a connection may be silent; the probe comes behind it."""
        broker = impatient(url)
        heard = []
        seen = set()

        def deliver(_topic: Topic, data: bytes, _position: object) -> None:
            time.sleep(0.005)
            heard.append(data)
            seen.add(broker.ready)

        await broker.start(deliver, lambda: None, lambda _topic: None)
        await until(lambda: broker.ready, "it stands")
        await broker.subscribe(ROOM)
        numbers = [b"%d" % number for number in range(600)]
        await asyncio.gather(*(broker.publish(ROOM, number) for number in numbers))
        await until(lambda: len(heard) == len(numbers), "all is heard")
        assert heard == numbers
        assert seen == {True}
        await broker.stop()
        assert lines(caplog) == []


def test_every_number_is_its_own() -> None:
    """A probe of an earlier connection proves nothing about this one."""
    from hubbub.brokers.redis.probe import Probe

    async def main() -> None:
        sent: list[bytes] = []

        async def publish(_channel: bytes, data: bytes) -> None:
            sent.append(data)

        async def write() -> bool:
            return True

        probe = Probe(publish, write, b"own", every=0.01)
        for times in itertools.count(1):
            probe.begin()
            await until(lambda times=times: len(sent) >= times, "it is published")
            await probe.end()
            assert not probe.heard(sent[-1])
            if times == 3:
                break
        assert len(set(sent)) == len(sent)
        assert probe.round_trip is None

    asyncio.run(main())

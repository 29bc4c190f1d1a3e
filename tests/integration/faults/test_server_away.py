"""A broker that is away, killed, frozen or slow: one test for each, with the figure that it keeps."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable

import pytest
from redis import Redis

from hubbub.brokers.embedded import EmbeddedValkey
from hubbub.brokers.redis import RedisBroker
from hubbub.errors import Unavailable
from hubbub.testing.proxy import Proxy
from hubbub.types import room_topic
from tests.integration.faults.deliveries import KEEP, ROOM, Deliveries, publishing
from tests.kit.broker_servers import frozen, kill, path_of
from tests.kit.brokers import Worker, running, started
from tests.kit.stopwatch import Stopwatch
from tests.kit.waiting import until


async def longest_turn(during: Callable[[], Awaitable[None]]) -> float:
    """Seconds by which the loop was late at worst while this went on."""
    worst = 0.0

    async def watch() -> None:
        nonlocal worst
        while True:
            turn = Stopwatch()
            await asyncio.sleep(0.01)
            worst = max(worst, turn.own - 0.01)

    watching = asyncio.create_task(watch())
    await during()
    watching.cancel()
    await asyncio.wait((watching,))
    return worst


class TestAServerThatIsAway:
    async def test_at_the_start_makes_ready_within_two_seconds_of_its_coming(self, valkey: EmbeddedValkey) -> None:
        """Ready at most 2 s after it came (a pause between attempts is never longer), 20 ms late for starting alone."""
        kill(valkey)
        worker = Worker(RedisBroker(valkey.url))
        watch = Stopwatch()
        await worker.start()
        assert watch.own < 0.5
        # Long enough for the pauses to have grown to the longest.
        await asyncio.sleep(3)
        assert not worker.broker.ready
        valkey.start()
        watch = Stopwatch()
        await until(lambda: worker.broker.ready, "it is there")
        assert watch.own < 2.5
        await worker.broker.stop()

    @pytest.mark.slow
    async def test_killed_and_started_again_ten_times_leaves_no_silent_gap(self, valkey: EmbeddedValkey) -> None:
        """0 silent gaps, 0 duplicates; ready within 5 s of its return, with every subscription."""
        here, there = Deliveries(RedisBroker(valkey.url)), RedisBroker(valkey.url)
        await here.start()
        others = [room_topic(f"r{number}") for number in range(600)]
        await asyncio.gather(*map(here.broker.subscribe, others))
        await there.start(lambda *_: None, lambda: None, lambda _topic: None)
        async with publishing(there) as sent:
            for _ in range(10):
                had = len(sent)
                await until(lambda had=had: len(sent) > had + 50, "something was published")
                kill(valkey)
                await until(lambda: not here.broker.ready, "it is noticed")
                valkey.start()
                watch = Stopwatch()
                await until(lambda: here.broker.ready, "it is back")
                assert watch.own < 5
        for number, topic in enumerate(others, sent[-1] + 2):
            await there.publish(topic, b"%d" % number)
        await until(lambda: here.messages[-600:] == [*range(sent[-1] + 2, sent[-1] + 602)], "each subscription stands")
        await here.broker.stop()
        await there.stop()
        assert here.came.count(None) == 10
        assert here.messages == sorted(set(here.messages))
        assert here.untold(sent) == []


class TestASubscriberThatIsKilled:
    async def test_twenty_times_under_load_is_back_within_a_second_and_misses_nothing(
        self, url: str, admin: Redis
    ) -> None:
        """Ready again at most 1 s after each kill; 0 silent gaps, 0 duplicates, history has every hole."""
        here, there = Deliveries(RedisBroker(url)), RedisBroker(url)
        await here.start()
        await there.start(lambda *_: None, lambda: None, lambda _topic: None)
        async with publishing(there, KEEP) as sent:
            for times in range(1, 21):
                await asyncio.to_thread(admin.client_kill_filter, _type="pubsub")
                watch = Stopwatch()
                await until(lambda times=times: here.came.count(None) == times, "it is back")
                assert here.broker.ready
                assert watch.own < 1
                had = len(here.offsets)
                await until(lambda had=had: len(here.offsets) > had + 20, "it hears")
        await until(lambda: here.messages[-1] >= sent[-1], "the last is heard")
        assert here.offsets == sorted(set(here.offsets))
        assert here.untold(sent) == []
        past = await here.broker.read(ROOM, KEEP, since=0, limit=100_000)
        assert [entry.offset for entry in past.entries] == [*range(1, past.top.offset + 1)]
        assert {int(entry.data) for entry in past.entries} >= {*sent}
        await here.broker.stop()
        await there.stop()


class TestAServerThatSaysNothing:
    @pytest.mark.slow
    async def test_is_noticed_within_the_probe_and_its_patience(
        self, valkey: EmbeddedValkey, caplog: pytest.LogCaptureFixture
    ) -> None:
        """With the defaults: not ready within 12 s, no call longer than 2.5 s, back within 5 s. One line each."""
        caplog.set_level(logging.INFO)
        async with running(RedisBroker(valkey.url)) as (worker,):
            await worker.broker.subscribe(ROOM)
            async with frozen(valkey):
                watch = Stopwatch()
                while worker.broker.ready:
                    call = Stopwatch()
                    with pytest.raises(Unavailable):
                        await worker.broker.publish(ROOM, b"x")
                    assert call.own < 2.5
                    assert watch.own < 15
                assert watch.wall > 6
                assert watch.own < 15
                assert worker.broker.deaf_for >= 9
            watch = Stopwatch()
            await until(lambda: worker.broker.ready and worker.resumed == 1, "it is back")
            assert watch.own < 5
        assert [record.levelname for record in caplog.records if record.name.startswith("hubbub")] == [
            "WARNING",
            "WARNING",
        ]


class TestAServerThatIsSlow:
    async def test_by_half_a_second_is_only_slow(self, url: str) -> None:
        """500 ms more there and back: every publish is acknowledged in 0.5 to 2 s, the loop is never 0.25 s late."""
        with Proxy(path_of(url)) as proxy:
            async with started(RedisBroker(f"redis://127.0.0.1:{proxy.port}", probe=0.2, silence=2)) as worker:
                await worker.broker.subscribe(ROOM)
                proxy.delay(0.25)

                async def publish() -> None:
                    for batch in range(5):
                        watch = Stopwatch()
                        await asyncio.gather(
                            *(worker.broker.publish(ROOM, b"%d" % (batch * 20 + number)) for number in range(20))
                        )
                        assert watch.wall >= 0.5
                        assert watch.own < 2

                assert await longest_turn(publish) < 0.25
                await until(lambda: len(worker.heard) == 100, "each is heard")
                assert worker.data(ROOM) == [b"%d" % number for number in range(100)]
                assert worker.broker.ready
                assert worker.resumed == 0

    async def test_for_shorter_than_its_patience_costs_no_connection(self, valkey: EmbeddedValkey) -> None:
        """Stopped for half of `silence`: calls fail at their deadline, the worker stays ready, nothing is rebuilt."""
        async with running(RedisBroker(valkey.url, deadline=0.2, probe=0.2, silence=3)) as (worker,):
            await worker.broker.subscribe(ROOM)
            async with frozen(valkey):
                until_ = time.monotonic() + 1.5
                while time.monotonic() < until_:
                    watch = Stopwatch()
                    with pytest.raises(Unavailable):
                        await worker.broker.publish(ROOM, b"x")
                    assert watch.own < 0.5
                    assert worker.broker.ready
            worker.heard.clear()

            async def taken() -> bool:
                with contextlib.suppress(Unavailable):
                    await worker.broker.publish(ROOM, b"after")
                return b"after" in worker.data(ROOM)

            await until(taken, "it is heard")
            assert worker.resumed == 0

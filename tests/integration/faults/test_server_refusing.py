"""A broker that forgets, is full, cuts off or is asked in vain: one test for each, with the figure that it keeps."""

import asyncio
import random
import time

import pytest
from redis import Redis

from hubbub.brokers.embedded import EmbeddedValkey
from hubbub.brokers.redis import RedisBroker
from hubbub.brokers.redis.keys import Keys
from hubbub.errors import Unavailable
from hubbub.testing.proxy import Proxy
from hubbub.types import room_topic
from tests.integration.faults.deliveries import KEEP, ROOM, Deliveries
from tests.kit.broker_servers import path_of
from tests.kit.brokers import running, started
from tests.kit.refusing import FULL_MEMORY
from tests.kit.stopwatch import Stopwatch
from tests.kit.waiting import until


class TestAServerThatForgetsTheScripts:
    async def test_a_hundred_times_refuses_nobody(self, url: str, admin: Redis) -> None:
        """0 errors over 100 flushes under load, alone and in rounds; every position once and in order."""
        here = Deliveries(RedisBroker(url))
        await here.start()
        flushing = asyncio.create_task(asyncio.to_thread(self._flush, admin))
        number = 0
        while not flushing.done():
            results = await asyncio.gather(
                *(here.broker.publish(ROOM, b"%d" % (number + more), keep=KEEP) for more in range(10)),
                *(here.broker.enter(ROOM, f"m{more}", "holder") for more in range(5)),
                *(here.broker.leave(ROOM, f"m{more}", "holder") for more in range(5)),
                here.broker.read(ROOM, KEEP, limit=1),
            )
            number += 10
            assert len(results) == 21
        await until(lambda: len(here.messages) == number, "each is heard")
        assert here.messages == [*range(number)]
        assert here.offsets == [*range(1, number + 1)]
        assert await here.broker.count(ROOM) == 0
        await here.broker.stop()

    def _flush(self, admin: Redis) -> None:
        for _ in range(100):
            admin.script_flush()
            time.sleep(0.02)


class TestAServerWithoutMemory:
    async def test_says_so_and_still_carries_what_is_not_kept(self, valkey: EmbeddedValkey) -> None:
        """What is to be kept fails as Unavailable, with the reason; what is not arrives; the worker stays ready."""
        with Redis.from_url(valkey.url) as admin:
            admin.ping()
            async with running(RedisBroker(valkey.url, probe=0.1, silence=0.5)) as (worker,):
                await worker.broker.subscribe(ROOM)
                await worker.broker.publish(ROOM, b"kept", keep=KEEP)
                with FULL_MEMORY.by(admin):
                    for call in (
                        worker.broker.publish(ROOM, b"lost", keep=KEEP),
                        worker.broker.enter(ROOM, "alice", "holder"),
                    ):
                        with pytest.raises(Unavailable) as refused:
                            await call
                        assert "OOM" in str(refused.value.__cause__)
                    await worker.broker.publish(ROOM, b"live")
                    await asyncio.sleep(0.8)
                    assert worker.broker.ready
                position = await worker.broker.publish(ROOM, b"kept too", keep=KEEP)
                assert position is not None
                assert position.offset == 2
                await until(lambda: len(worker.heard) == 3, "they are heard")
                assert worker.data(ROOM) == [b"kept", b"live", b"kept too"]
                assert worker.resumed == 0


class TestAServerThatCutsOffWhoIsBehind:
    async def test_is_connected_to_again_and_it_is_told(self, valkey: EmbeddedValkey) -> None:
        """With room for 64 KiB a subscriber, 2 MiB at once: back within 2 s each of 5 times, 0 silent gaps."""
        here = Deliveries(RedisBroker(valkey.url))
        with Redis.from_url(valkey.url) as admin:
            admin.config_set("client-output-buffer-limit", "pubsub 65536 0 0")
            await here.start()
            channel = Keys("hubbub").channel(ROOM)
            sent: list[int] = []
            for times in range(1, 6):
                # In one turn of the loop: nothing is read meanwhile. Small ones, because of large ones Valkey 9 keeps
                # one copy for all and does not count it.
                with admin.pipeline(transaction=False) as pipeline:
                    for _ in range(2048):
                        sent.append(len(sent))
                        pipeline.publish(channel, b"%-1024d" % sent[-1])
                    pipeline.execute()
                watch = Stopwatch()
                await until(lambda times=times: here.came.count(None) == times, "it is back")
                assert watch.own < 2
                assert here.broker.ready
            sent.append(len(sent))
            await here.broker.publish(ROOM, b"%d" % sent[-1])
            await until(lambda: here.messages[-1] == sent[-1], "it is heard")
            await here.broker.stop()
        assert here.messages == sorted(set(here.messages))
        assert len(here.messages) < len(sent)
        assert here.untold(sent) == []


class TestCallsThatAreCancelled:
    async def test_give_nobody_the_answer_of_another(self, url: str) -> None:
        """2,000 calls through 10 ms of delay, half of them cancelled at a random moment: 0 wrong answers."""
        chance = random.Random(5)
        with Proxy(path_of(url)) as proxy:
            async with started(RedisBroker(f"redis://127.0.0.1:{proxy.port}")) as worker:
                topics = [room_topic(f"r{number}") for number in range(50)]
                for number, topic in enumerate(topics):
                    await worker.broker.enter(topic, f"m{number}", "holder")
                proxy.delay(0.005)
                answered = 0

                async def ask(number: int) -> None:
                    nonlocal answered
                    assert await worker.broker.members(topics[number]) == [f"m{number}"]
                    answered += 1

                for _ in range(40):
                    calls = [asyncio.create_task(ask(chance.randrange(50))) for _ in range(50)]
                    for call in chance.sample(calls, 25):
                        asyncio.get_running_loop().call_later(chance.uniform(0, 0.02), call.cancel)
                    for result in await asyncio.gather(*calls, return_exceptions=True):
                        assert result is None or isinstance(result, asyncio.CancelledError)
                assert answered >= 1000
                assert worker.broker.ready
                assert worker.resumed == 0

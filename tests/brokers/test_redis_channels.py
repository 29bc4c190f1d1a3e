"""What the server says of a subscription without being asked is a gap, and is mended."""

import asyncio
import logging

import pytest
from redis import Redis

from hubbub.brokers.redis import RedisBroker
from hubbub.brokers.redis.keys import Keys
from hubbub.brokers.redis.resp import packed
from hubbub.types import Topic, room_topic
from tests.kit.broker_servers import LOGGER, lines
from tests.kit.brokers import Worker, eventually, heard_again, running
from tests.kit.inside import channels, link, probe
from tests.kit.waiting import until

ROOM = room_topic("lobby")


@pytest.fixture(autouse=True)
def _all_logs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER)


async def say(worker: Worker, command: bytes, topic: Topic) -> None:
    """Something that the worker's books know nothing of, on its listening connection."""
    link(worker.broker).write(packed((command, Keys("hubbub").channel(topic))))


class TestWhatNobodyAskedFor:
    async def test_a_subscription_that_the_server_dropped_is_made_again(self, url: str) -> None:
        async with running(RedisBroker(url)) as (worker,):
            for topic in (ROOM, room_topic("other")):
                await worker.broker.subscribe(topic)
            for times in (1, 2):
                await say(worker, b"UNSUBSCRIBE", ROOM)
                await until(lambda times=times: worker.missed == [ROOM] * times, "it is told, of this one")
                await heard_again(worker, ROOM)
            assert worker.resumed == 0

    async def test_a_subscription_that_was_made_again_counts_as_a_gap(self, url: str) -> None:
        async with running(RedisBroker(url)) as (worker,):
            await worker.broker.subscribe(ROOM)
            await say(worker, b"SUBSCRIBE", ROOM)
            await until(lambda: worker.missed == [ROOM], "it is told")
            await heard_again(worker, ROOM)

    async def test_a_subscription_that_nobody_wants_is_ended(self, url: str, admin: Redis) -> None:
        async with running(RedisBroker(url)) as (worker,):
            channel = Keys("hubbub").channel(ROOM)
            await say(worker, b"SUBSCRIBE", ROOM)
            commands = eventually(
                lambda: asyncio.to_thread(admin.info, "commandstats"), lambda info: "cmdstat_unsubscribe" in info
            )
            await commands
            assert dict(admin.pubsub_numsub(channel)) == {channel: 0}
            assert worker.missed == []

    async def test_the_probes_own_is_made_again(self, url: str) -> None:
        async with running(RedisBroker(url, probe=0.1, silence=1)) as (worker,):
            link(worker.broker).write(packed((b"UNSUBSCRIBE", probe(worker.broker).channel)))
            await until(lambda: channels(worker.broker).doubtful, "the server dropped it")
            await asyncio.sleep(2)
            assert worker.broker.ready
            assert worker.resumed == 0
            assert worker.missed == []

    async def test_leaving_and_coming_back_at_once_is_none_of_it(self, url: str) -> None:
        async with running(RedisBroker(url)) as (worker,):
            for _ in range(50):
                await worker.broker.subscribe(ROOM)
                await worker.broker.unsubscribe(ROOM)
            await worker.broker.subscribe(ROOM)
            await heard_again(worker, ROOM)
            assert worker.missed == []
            await until(lambda: channels(worker.broker).owed == 0, "all is answered")

    async def test_a_mistake_in_the_looking_ends_nothing(self, url: str, caplog: pytest.LogCaptureFixture) -> None:
        broker = RedisBroker(url)
        heard = []

        def look(topic: Topic) -> None:
            raise RuntimeError(topic)

        await broker.start(lambda _topic, data, _position: heard.append(data), lambda: None, look)
        worker = Worker(broker)
        await broker.subscribe(ROOM)
        await say(worker, b"UNSUBSCRIBE", ROOM)
        await until(lambda: any("looking for what was missed failed" in line for line in lines(caplog)), "it is told")
        await broker.publish(ROOM, b"x")
        await until(lambda: heard == [b"x"], "it is heard")
        await broker.stop()

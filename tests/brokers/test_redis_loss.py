"""The broker on a server that is killed, frozen, away or cuts it off."""

import asyncio
import contextlib
import logging
import re

import pytest
from redis import Redis

from hubbub.brokers.embedded import EmbeddedValkey
from hubbub.brokers.redis import RedisBroker
from hubbub.errors import Unavailable
from hubbub.types import room_topic
from tests.brokers.test_conformance import CALLS
from tests.kit.broker_servers import LOGGER, descriptors, frozen, kill, lines
from tests.kit.brokers import Worker, eventually, running
from tests.kit.stopwatch import Stopwatch
from tests.kit.waiting import until

ROOM = room_topic("lobby")


@pytest.fixture(autouse=True)
def _all_logs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER)


def impatient(url: str) -> RedisBroker:
    return RedisBroker(url, deadline=2, probe=0.1, silence=1)


class TestALostServer:
    def test_that_comes_back_is_subscribed_to_again(
        self, valkey: EmbeddedValkey, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def main() -> None:
            async with running(RedisBroker(valkey.url, deadline=10), RedisBroker(valkey.url, deadline=10)) as (
                here,
                there,
            ):
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
        assert told.count(f"WARNING the broker at {path} is back") == 4

    def test_that_was_away_at_start_makes_ready_when_it_comes(
        self, valkey: EmbeddedValkey, caplog: pytest.LogCaptureFixture
    ) -> None:
        kill(valkey)

        async def main() -> None:
            worker = Worker(RedisBroker(valkey.url, deadline=0.5))
            watch = Stopwatch()
            await worker.start()
            assert watch.own < 0.25
            await until(lambda: caplog.records, "it is told")
            for name in CALLS:
                if name != "unsubscribe":
                    with pytest.raises(Unavailable):
                        await CALLS[name](worker.broker)
            assert not worker.broker.ready
            valkey.start()
            watch = Stopwatch()
            await until(lambda: worker.broker.ready, "it came")
            assert watch.own < 3
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
                watch = Stopwatch()
                waiting = asyncio.create_task(worker.broker.subscribe(ROOM))
                await asyncio.sleep(0)
                await worker.broker.stop()
                with pytest.raises(Unavailable):
                    await waiting
                assert watch.own < 1

        asyncio.run(main())

    def test_makes_a_topic_that_stood_stand_no_more_until_it_is_back(self, valkey: EmbeddedValkey) -> None:
        async def main() -> None:
            async with running(RedisBroker(valkey.url, deadline=1)) as (worker,):
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
                    watch = Stopwatch()
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
                    wall, own = watch.wall, watch.own
                    assert {type(answer) for answer in answers} == {Unavailable}
                    assert wall > 1.8
                    assert own < 3
                    await until(lambda: not worker.broker.ready, "it is noticed", within=5)
                await until(lambda: worker.broker.ready and worker.resumed, "it is back")
                worker.heard.clear()
                await worker.broker.publish(room_topic("new"), b"the subscription that failed")
                await worker.broker.publish(ROOM, b"after")
                await until(lambda: b"after" in worker.data(ROOM), "it is heard")
                assert worker.data(room_topic("new")) == []

        asyncio.run(main())
        assert "nothing came back for 1 s" in lines(caplog)[0]

    def test_leaves_no_descriptors_for_every_attempt(self, valkey: EmbeddedValkey) -> None:
        async def main() -> None:
            broker = RedisBroker(valkey.url, deadline=0.05)
            # `running` counts descriptors after stop; here they are counted while attempts go on.
            async with running(broker):

                async def taken() -> bool:
                    with contextlib.suppress(Unavailable):
                        await broker.publish(ROOM, b"x")
                        return True
                    return False

                await until(taken, "it has a connection for commands")
                had = descriptors()
                async with frozen(valkey):
                    for _ in range(10):
                        with pytest.raises(Unavailable):
                            await broker.publish(ROOM, bytes(4 * 1024 * 1024))
                    await until(lambda: descriptors() <= had + 1, "only the attempt under way")

        asyncio.run(main())

    def test_is_not_told_later_what_never_left(self, valkey: EmbeddedValkey) -> None:
        async def main() -> None:
            async with running(RedisBroker(valkey.url, deadline=1.5, probe=5, silence=60)) as (worker,):
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
                await asyncio.sleep(2.0)
                assert worker.broker.ready
                assert worker.resumed == 0

        asyncio.run(main())
        assert lines(caplog) == []

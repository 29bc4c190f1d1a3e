"""What leaves together, and that nobody is the worse for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis import Redis

from hubbub.brokers.embedded import EmbeddedValkey
from hubbub.brokers.redis import RedisBroker
from hubbub.brokers.redis.commands import Commands
from hubbub.brokers.redis.server import Server
from hubbub.errors import Unavailable
from hubbub.options import History
from hubbub.types import Position, room_topic
from tests.kit.broker_servers import frozen
from tests.kit.brokers import Worker, running
from tests.kit.stopwatch import Stopwatch
from tests.kit.waiting import until

ROOM = room_topic("lobby")
OTHER = room_topic("other")
KEEP = History(size=1000, ttl=60)


def publishes(admin: Redis, command: str = "publish") -> int:
    return int(admin.info("commandstats").get(f"cmdstat_{command}", {"calls": 0})["calls"])


@asynccontextmanager
async def counted(url: str, admin: Redis) -> AsyncIterator[Worker]:
    """A worker that publishes nothing of its own for a minute."""
    async with running(RedisBroker(url, deadline=10, probe=60, silence=120)) as (worker,):
        admin.config_resetstat()
        yield worker


class TestMessagesOfOneTurn:
    def test_leave_in_one_publish_a_channel(self, url: str, admin: Redis) -> None:
        async def main() -> None:
            async with counted(url, admin) as worker:
                for topic in (ROOM, OTHER):
                    await worker.broker.subscribe(topic)
                await asyncio.gather(
                    *(worker.broker.publish(topic, b"%d" % at) for at in range(100) for topic in (ROOM, OTHER))
                )
                for topic in (ROOM, OTHER):
                    await until(
                        lambda topic=topic: worker.data(topic) == [b"%d" % at for at in range(100)], "all, in order"
                    )
                assert publishes(admin) == 2

        asyncio.run(main())

    def test_leave_in_bounded_bundles(self, url: str, admin: Redis) -> None:
        async def main() -> None:
            async with counted(url, admin) as worker:
                await worker.broker.subscribe(ROOM)
                sent = [b"%d" % at for at in range(1025)]
                await asyncio.gather(*(worker.broker.publish(ROOM, data) for data in sent))
                assert publishes(admin) == 3
                large = [bytes(100 * 1024)] * 5 + [bytes(300 * 1024)] * 2
                sent += large
                await asyncio.gather(*(worker.broker.publish(ROOM, data) for data in large))
                assert publishes(admin) == 3 + 3 + 2
                await until(lambda: worker.data(ROOM) == sent, "all, in order")

        asyncio.run(main())

    def test_that_are_kept_leave_in_one_script_a_channel(self, url: str, admin: Redis) -> None:
        async def main() -> None:
            async with counted(url, admin) as worker:
                for topic in (ROOM, OTHER):
                    await worker.broker.subscribe(topic)
                    await worker.broker.publish(topic, b"first", keep=KEEP)
                scripts = publishes(admin, "evalsha") + publishes(admin, "eval")
                topics = [topic for _ in range(100) for topic in (ROOM, OTHER)]
                positions = await asyncio.gather(
                    *(worker.broker.publish(topic, b"%d" % at, keep=KEEP) for at, topic in enumerate(topics))
                )
                assert [position.offset for position in positions if position] == [at // 2 + 2 for at in range(200)]
                assert publishes(admin, "evalsha") + publishes(admin, "eval") == scripts + 2
                await until(lambda: len(worker.heard) == 202, "all are heard")

        asyncio.run(main())

    def test_that_are_kept_leave_in_bounded_bundles_and_by_their_own_rules(self, url: str, admin: Redis) -> None:
        async def main() -> None:
            async with counted(url, admin) as worker:
                broker = worker.broker
                await broker.subscribe(ROOM)
                sent = [b"%d" % at for at in range(513)] + [bytes(100 * 1024)] * 5
                wide, narrow = History(size=1000, ttl=60), History(size=3, ttl=60)
                await asyncio.gather(*(broker.publish(ROOM, data, keep=wide) for data in sent))
                # Three by number, which is also where a round ends, and three by size.
                assert publishes(admin, "evalsha") + publishes(admin, "eval") <= 5
                past = await broker.read(ROOM, wide, limit=1000)
                assert [entry.data for entry in past.entries] == sent
                await asyncio.gather(*(broker.publish(ROOM, b"x", keep=keep) for keep in (wide, narrow, wide)))
                assert [entry.offset for entry in (await broker.read(ROOM, wide, limit=9)).entries] == [
                    518,
                    519,
                    520,
                    521,
                ]
                await until(lambda: worker.data(ROOM) == [*sent, b"x", b"x", b"x"], "all, in order")

        asyncio.run(main())

    def test_that_are_kept_leave_without_those_of_callers_who_are_gone(self, url: str) -> None:
        async def main() -> None:
            async with running(RedisBroker(url)) as (worker,):
                await worker.broker.subscribe(ROOM)
                await worker.broker.publish(ROOM, b"first", keep=KEEP)
                asked = [asyncio.create_task(worker.broker.publish(ROOM, b"%d" % at, keep=KEEP)) for at in range(30)]
                await asyncio.sleep(0)
                for task in asked[::3]:
                    task.cancel()
                answers = await asyncio.gather(*asked, return_exceptions=True)
                offsets = [answer.offset for answer in answers if isinstance(answer, Position)]
                assert offsets == [*range(2, 22)]
                await until(lambda: worker.data(ROOM)[1:] == [b"%d" % at for at in range(30) if at % 3], "the others'")

        asyncio.run(main())

    def test_leave_without_those_of_callers_who_are_gone(self, url: str) -> None:
        async def main() -> None:
            async with running(RedisBroker(url)) as (worker,):
                await worker.broker.subscribe(ROOM)
                asked = [asyncio.create_task(worker.broker.publish(ROOM, b"%d" % at)) for at in range(30)]
                await asyncio.sleep(0)
                for task in asked[::3]:
                    task.cancel()
                answers = await asyncio.gather(*asked, return_exceptions=True)
                assert [type(answer) for answer in answers] == [asyncio.CancelledError, type(None), type(None)] * 10
                await until(lambda: worker.data(ROOM) == [b"%d" % at for at in range(30) if at % 3], "the others'")

        asyncio.run(main())

    def test_of_callers_who_go_while_it_is_on_its_way_take_nobody_with_them(self, valkey: EmbeddedValkey) -> None:
        async def main() -> None:
            async with running(RedisBroker(valkey.url)) as (worker,):
                await worker.broker.subscribe(ROOM)
                await worker.broker.publish(ROOM, b"connected")
                async with frozen(valkey):
                    asked = [asyncio.create_task(worker.broker.publish(ROOM, b"%d" % at)) for at in range(4)]
                    await asyncio.sleep(0.05)
                    asked[0].cancel()
                    asked[2].cancel()
                    await asyncio.sleep(0.05)
                assert await asked[1] is None
                assert await asked[3] is None
                await until(lambda: len(worker.data(ROOM)) == 5, "all had left")

        asyncio.run(main())

    def test_are_each_refused_with_what_the_server_says(self, url: str, admin: Redis) -> None:
        async def main() -> None:
            commands = Commands(Server(url, deadline=2).connect, deadline=2)
            assert await commands.call(b"PUBLISH", b"c", b"x") == 0
            admin.acl_setuser("default", enabled=True, nopass=True, keys=["*"], channels=[], reset_channels=True)
            try:
                answers = await asyncio.gather(
                    commands.call(b"GET", b"k"),
                    *(commands.call(b"PUBLISH", b"c", b"secret") for _ in range(3)),
                    return_exceptions=True,
                )
            finally:
                admin.execute_command("ACL", "SETUSER", "default", "allchannels", "+@all")
            assert answers[0] is None
            for answer in answers[1:]:
                assert isinstance(answer, Unavailable)
                assert "NOPERM" in str(answer.__cause__)
            await commands.stop()

        asyncio.run(main())


class TestDeadlines:
    def test_are_each_callers_own(self, valkey: EmbeddedValkey) -> None:
        """Request while a round is on its way that never comes back: nobody waits longer than his own time."""

        async def main() -> None:
            commands = Commands(Server(valkey.url, deadline=1.0).connect, deadline=1.0)
            await commands.call(b"GET", b"k")

            async def ask() -> tuple[float, float]:
                watch = Stopwatch()
                with pytest.raises(Unavailable):
                    await commands.call(b"GET", b"k")
                return watch.wall, watch.own

            async with frozen(valkey):
                asked = []
                for _ in range(5):
                    asked.append(asyncio.create_task(ask()))
                    await asyncio.sleep(0.3)
                for wall, own in await asyncio.gather(*asked):
                    assert wall > 0.95
                    assert own < 1.3
            assert await commands.call(b"GET", b"k") is None
            await commands.stop()

        asyncio.run(main())

    def test_of_a_round_that_is_never_answered_frees_the_next(self, url: str) -> None:
        async def main() -> None:
            commands = Commands(Server(url, deadline=1.0).connect, deadline=1.0)
            with pytest.raises(Unavailable):
                await commands.call(b"BLPOP", b"nothing comes", 0)
            assert await commands.call(b"GET", b"k") is None
            await commands.stop()

        asyncio.run(main())

    def test_are_kept_by_one_timer_which_rests(self, url: str) -> None:
        async def main() -> None:
            commands = Commands(Server(url, deadline=1.0).connect, deadline=1.0)
            for _ in range(50):
                await commands.call(b"GET", b"k")
            asked = asyncio.create_task(commands.call(b"GET", b"k"))
            await asyncio.sleep(0)
            assert not commands.rests
            await asked
            await until(lambda: commands.rests, "nothing is asked", within=5)
            assert await commands.call(b"GET", b"k") is None
            await commands.stop()

        asyncio.run(main())

    def test_of_one_connecting_in_vain_is_not_the_nexts(self, valkey: EmbeddedValkey) -> None:
        async def main() -> None:
            commands = Commands(Server(valkey.url, deadline=1.5).connect, deadline=1.5)
            async with frozen(valkey):
                first = asyncio.create_task(commands.call(b"GET", b"k"))
                await asyncio.sleep(1)
                second = asyncio.create_task(commands.call(b"GET", b"k"))
                with pytest.raises(Unavailable):
                    await first
            assert await second is None
            await commands.stop()

        asyncio.run(main())

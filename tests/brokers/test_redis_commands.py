"""What is asked of the server: scripts it forgot, callers that were cancelled, what it refuses."""

import asyncio
import subprocess
import sys

import pytest
from redis import Redis

from hubbub.brokers.redis import RedisBroker
from hubbub.brokers.redis.commands import Commands
from hubbub.brokers.redis.server import Server
from hubbub.errors import Unavailable
from hubbub.ports.broker import Announcement
from hubbub.types import room_topic
from tests.kit.brokers import eventually, running
from tests.kit.inside import commands as commands_of
from tests.kit.waiting import until

ROOM = room_topic("lobby")


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
                # Who is there, what each holds of them, which topics each holds something in, what a node said.
                assert admin.dbsize() == 1 + 2 + 2 + 1
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
                of_rooms = "hubbub:*room:*"
                await eventually(
                    lambda: asyncio.to_thread(admin.pubsub_channels, of_rooms), lambda channels: len(channels) == 20
                )

        asyncio.run(main())


def test_what_the_server_refuses_has_its_reason_without_the_message(url: str, admin: Redis) -> None:
    async def main() -> None:
        async with running(RedisBroker(url)) as (worker,):
            await worker.broker.publish(ROOM, b"x")
            admin.set("hubbub:{hubbub:room:lobby}:members", "no hash")
            with pytest.raises(Unavailable) as refused:
                await worker.broker.count(ROOM)
            assert "WRONGTYPE" in str(refused.value.__cause__)
            assert "WRONGTYPE" not in refused.value.message
            with pytest.raises(Unavailable) as refused:
                await commands_of(worker.broker).call(b"NOSUCH", b"secret body")
            assert "unknown command" in str(refused.value.__cause__)
            assert "secret" not in str(refused.value.__cause__)
            # One refusal is nobody else's.
            await worker.broker.publish(ROOM, b"y")

    asyncio.run(main())


def test_importing_hubbub_does_not_import_redis() -> None:
    code = "import hubbub, hubbub.brokers.memory, sys; sys.exit('redis' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)

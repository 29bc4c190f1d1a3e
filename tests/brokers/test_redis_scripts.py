"""A server that forgot its scripts: everything keeps its place, and nobody waits in vain."""

import asyncio

import pytest
from redis import Redis

from hubbub.brokers.embedded import EmbeddedValkey
from hubbub.brokers.redis import RedisBroker
from hubbub.brokers.redis.commands import Commands
from hubbub.brokers.redis.requests import Script
from hubbub.brokers.redis.server import Server
from hubbub.errors import Unavailable
from hubbub.options import History
from hubbub.ports.broker import Announcement
from hubbub.types import room_topic
from tests.kit.broker_servers import frozen, kill
from tests.kit.brokers import running
from tests.kit.waiting import until

ROOM = room_topic("lobby")
KEEP = History(size=1000, ttl=60)


def test_an_announcement_keeps_its_place_on_a_server_that_lost_its_scripts(valkey: EmbeddedValkey) -> None:
    async def main() -> None:
        async with running(RedisBroker(valkey.url)) as (worker,):
            await worker.broker.subscribe(ROOM)
            await worker.broker.enter(ROOM, "bob", "n1")
            kill(valkey)
            await until(lambda: not worker.broker.ready, "the loss is noticed")
            valkey.start()
            await until(lambda: worker.broker.ready, "it is back")
            await asyncio.gather(
                worker.broker.publish(ROOM, b"before"),
                worker.broker.enter(ROOM, "alice", "n1", Announcement(ROOM, b"came")),
                worker.broker.publish(ROOM, b"after"),
            )
            await until(lambda: worker.data(ROOM) == [b"before", b"came", b"after"], "in the order asked")

    asyncio.run(main())


class TestAServerThatForgotItsScripts:
    def test_keeps_the_order_of_what_was_published_meanwhile(self, url: str, admin: Redis) -> None:
        async def main() -> None:
            async with running(RedisBroker(url)) as (worker,):
                broker = worker.broker
                await broker.subscribe(ROOM)
                await broker.publish(ROOM, b"0", keep=KEEP)
                asked = []
                for at in range(1, 400):
                    # Forgotten while some are on their way, some wait and some are yet to be asked for.
                    if at % 40 == 0:
                        admin.script_flush()
                    asked.append(asyncio.create_task(broker.publish(ROOM, b"%d" % at, keep=KEEP)))
                    if at % 3 == 0:
                        await asyncio.sleep(0)
                    if at % 50 == 0:
                        await asyncio.sleep(0.001)
                positions = await asyncio.gather(*asked)
                assert [position.offset for position in positions if position] == [*range(2, 401)]
                await until(lambda: worker.data(ROOM) == [b"%d" % at for at in range(400)], "each once, in the order")

        asyncio.run(main())

    def test_is_sent_again_only_what_somebody_still_waits_for(self, valkey: EmbeddedValkey) -> None:
        async def main() -> None:
            async with running(RedisBroker(valkey.url)) as (worker,):
                broker = worker.broker
                await broker.subscribe(ROOM)
                await broker.publish(ROOM, b"0", keep=KEEP)
                with Redis.from_url(valkey.url) as admin:
                    admin.script_flush()
                async with frozen(valkey):
                    asked = [asyncio.create_task(broker.publish(ROOM, b"%d" % at, keep=KEEP)) for at in range(1, 5)]
                    await asyncio.sleep(0.05)
                    asked[1].cancel()
                    await asyncio.sleep(0.05)
                await asyncio.gather(*asked, return_exceptions=True)
                await until(lambda: worker.data(ROOM) == [b"0", b"1", b"3", b"4"], "the others'")

        asyncio.run(main())

    @pytest.mark.parametrize("killed", [False, True])
    def test_and_then_answers_no_more_fails_who_was_to_ask_again(self, url: str, admin: Redis, killed: bool) -> None:
        async def main() -> None:
            deadline = 30 if killed else 0.3
            commands = Commands(Server(url, deadline=deadline).connect, deadline=deadline)
            script = Script("report")
            keys = (b"hubbub:{hubbub}:nodes",)
            await commands.run(script, keys, b"n1", b"x", 60_000)
            admin.script_flush()
            asked = asyncio.gather(
                commands.run(script, keys, b"n2", b"x", 60_000),
                commands.call(b"BLPOP", b"nothing comes", 0),
                return_exceptions=True,
            )
            if killed:
                await until(lambda: admin.info("clients")["blocked_clients"] == 1, "the first is refused")
                admin.client_kill_filter(_type="normal", skipme=True)
            answers = await asyncio.wait_for(asked, 5)
            assert [type(answer) for answer in answers] == [Unavailable, Unavailable]
            await commands.run(script, keys, b"n3", b"x", 60_000)
            # What failed was not asked again either.
            assert sorted(admin.hkeys("hubbub:{hubbub}:nodes")) == [b"n1", b"n3"]
            await commands.stop()

        asyncio.run(main())

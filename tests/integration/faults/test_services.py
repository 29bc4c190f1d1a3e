"""Several services and releases on one broker declare the same rooms, and not the same history.

What one of them keeps is kept by all who send, publishers too, whoever started last and whoever runs; and a client that
is told `recovered: true` has missed nothing.
"""

import asyncio
import itertools
import json
import logging
import re
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from redis import Redis

from hubbub import History, Hub, Position
from hubbub.brokers.redis.keys import Keys
from hubbub.client.publisher import AsyncPublisher
from hubbub.hub import retention_word
from hubbub.options import Slow
from tests.integration.faults.hubs import Worker
from tests.integration.faults.services import KEEP, ROOM, misses_nothing, publish_once, service, tab, told
from tests.kit.inside import inside
from tests.kit.running import Served
from tests.kit.waiting import until


@pytest.mark.parametrize("first", ["who keeps", "who does not"])
async def test_what_one_service_keeps_another_keeps_too(first: str, url: str) -> None:
    numbers = itertools.count()

    async def send(hub: Hub, offset: int) -> None:
        told(await hub.room(ROOM).send({"type": "m", "n": next(numbers)}), offset)

    async with AsyncExitStack() as stack:
        keeping, other = AsyncExitStack(), AsyncExitStack()
        for each in (keeping, other):
            await stack.enter_async_context(each)
        a: Worker
        if first == "who keeps":
            a = await keeping.enter_async_context(service(url, KEEP))
            b = await other.enter_async_context(service(url))
        else:
            b = await other.enter_async_context(service(url))
            held = b.hub.room(ROOM)
            async with AsyncPublisher(url) as publisher:
                # Both know that nothing is kept, and learn it before the first can join.
                assert await held.send({"type": "m"}) is None
                assert await publisher.room(ROOM).send({"type": "m"}) is None
                a = await keeping.enter_async_context(service(url, KEEP))
                told(await publisher.room(ROOM).send({"type": "m", "n": next(numbers)}), 1)
                told(await held.send({"type": "m", "n": next(numbers)}), 2)
        here = (await a.hub.room(ROOM).history()).position
        assert here is not None
        offset = here.offset
        since = {"epoch": here.epoch, "offset": offset}
        async with tab(b) as ann:
            joined = await ann.join(ROOM)
            assert (joined["epoch"], joined["offset"]) == (here.epoch, offset)
            await send(a.hub, offset + 1)
            await send(b.hub, offset + 2)
            assert [(await ann.receive("m"))["offset"] for _ in range(2)] == [offset + 1, offset + 2]
        told(await asyncio.to_thread(publish_once, url, {"type": "m", "n": next(numbers)}), offset + 3)
        await keeping.aclose()
        await send(b.hub, offset + 4)
        await other.aclose()
        told(await asyncio.to_thread(publish_once, url, {"type": "m", "n": next(numbers)}), offset + 5)
        # The one that says nothing starts anew while the one that keeps does not run.
        b = await stack.enter_async_context(service(url))
        await send(b.hub, offset + 6)
        told(await asyncio.to_thread(publish_once, url, {"type": "m", "n": next(numbers)}), offset + 7)
        missed = [*range(offset, offset + 7)]
        await misses_nothing(b, since, missed)
        a = await stack.enter_async_context(service(url, KEEP))
        await misses_nothing(a, since, missed)


async def test_an_inbox_of_one_service_is_one_of_all(url: str) -> None:
    async with service(url, inbox=KEEP), service(url) as b:
        told(await b.hub.user("ann").send({"type": "letter"}), 1)
        async with tab(b) as ann:
            assert (await ann.join("@me", since={"offset": 0}))["recovered"] is True
            assert await ann.receive("letter") == {"type": "letter", "room": "@me", "offset": 1}


async def test_of_values_that_replace_each_other_nothing_is_missed_though_another_keeps_them(url: str) -> None:
    async with service(url, KEEP) as a, service(url, slow=Slow.LATEST) as b, tab(b) as ann:
        assert "offset" not in await ann.join(ROOM)
        told(await b.hub.room(ROOM).send({"type": "m"}, key="cpu"), 1)
        await ann.receive("m")
        assert (await ann.join(ROOM, since={"offset": 0}))["recovered"] is False
        await misses_nothing(a, {"offset": 0}, [])


async def test_where_two_that_run_differ_each_says_it_once(url: str, caplog: pytest.LogCaptureFixture) -> None:
    def said() -> list[str]:
        lines = [record.getMessage() for record in caplog.records if record.name == "hubbub.retention"]
        return [line.partition(": the most is kept")[0] for line in lines]

    async with service(url, KEEP, inbox=KEEP) as a, service(url):
        await until(lambda: inside(a.hub).parts.retention.words, "each knows the other")
        looked = inside(a.hub).parts.retention.version
        async with service(url, History(size=20, ttl=60)):
            await until(lambda: inside(a.hub).parts.retention.version > looked, "the first looked again")
            assert sorted(said()) == [
                "messages to users: this worker keeps nothing; another that runs keeps 1000 messages for 600 s",
                "messages to users: this worker keeps nothing; another that runs keeps 1000 messages for 600 s",
                "rooms 'team:{number}': this worker keeps 1000 messages for 600 s; "
                "another that runs keeps 20 messages for 60 s",
                "rooms 'team:{number}': this worker keeps 20 messages for 60 s; "
                "another that runs keeps 1000 messages for 600 s",
                "rooms 'team:{number}': this worker keeps nothing; another that runs keeps 1000 messages for 600 s",
                "rooms 'team:{number}': this worker keeps nothing; another that runs keeps 20 messages for 60 s",
            ]


async def test_who_keeps_no_more_what_one_before_has_kept_is_told_how_to_end_it(
    url: str, admin: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    async with service(url, KEEP):
        pass
    [said] = admin.zrange(Keys("hubbub").words, 0, -1)
    admin.zincrby(Keys("hubbub").words, -60_000, said)
    async with service(url) as one:
        assert "'team:{number}': this worker keeps nothing; one that ran before kept 1000 messages" in caplog.text
        assert "history=False" in caplog.text
        told(await one.hub.room(ROOM).send({"type": "m"}), 1)
    caplog.clear()
    async with service(url, False) as one:
        assert await one.hub.room(ROOM).send({"type": "m"}) is None
        assert caplog.messages == []


async def test_what_the_broker_forgot_is_said_again_also_for_one_that_does_not_run(url: str, admin: Redis) -> None:
    async with service(url, KEEP):
        pass
    async with service(url) as b:
        admin.flushall()

        async def kept() -> Position | None:
            return await asyncio.to_thread(publish_once, url, {"type": "m"})

        assert await until(kept, "the publisher knows again")
        assert await b.hub.room(ROOM).send({"type": "m"}) is not None


async def test_a_worker_that_does_not_learn_it_holds_up_a_start_for_a_bounded_time(
    url: str, admin: Redis, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(retention_word, "_PATIENCE", 0.2)
    async with service(url) as b:
        said = json.dumps({"pid": 1, "connections": 0, "facts": {}, "kept": []})
        await inside(b.hub).broker.report("frozen", said.encode(), 60)
        before = json.dumps({"pid": 1, "connections": 0, "facts": {}})
        await inside(b.hub).broker.report("of another release", before.encode(), 60)
        async with service(url, KEEP):
            assert re.search(r"workers .*frozen.* do not know yet", caplog.text)
            assert "of another release" not in caplog.text


@pytest.mark.complains("what the hubs keep cannot be read")
async def test_a_word_that_cannot_be_read_is_told_and_holds_up_nothing(
    url: str, admin: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    admin.zadd(Keys("hubbub").words, {b'{"of": "a later release"}': 4_000_000_000_000})
    async with service(url, KEEP) as a:
        told(await a.hub.room(ROOM).send({"type": "m"}), 1)
        [said] = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert "cannot be read" in said.getMessage()


APPLICATION = """
from fastapi import FastAPI
from hubbub import History, Hub, HubDep, JWTAuth
from hubbub.integrations.publishing import publishing

hub = Hub(auth=JWTAuth(key="{secret}"))
app = FastAPI()
app.include_router(hub.router)
app.include_router(publishing(keys=["the-key-of-the-test"]))

@hub.rooms("team:{{number}}"{history})
async def may_join(number: int) -> bool:
    return True

@app.get("/")
def here() -> str:
    return "here"
"""


async def test_two_services_that_are_served(url: str, tmp_path: Path) -> None:
    for name, history in (("keeps", ", history=History(size=100, ttl=600)"), ("does_not", "")):
        (tmp_path / f"{name}.py").write_text(APPLICATION.format(secret="s" * 32, history=history))

    def start(name: str, workers: int) -> Served:
        return Served(f"{name}:app", "--workers", str(workers), "--broker", url, "--drain", "0", cwd=tmp_path)

    def post(server: Served, n: int) -> int:
        answer = httpx.post(
            f"{server.url}/api/rooms/{ROOM}/messages",
            json={"type": "m", "n": n},
            headers={"Authorization": "Bearer the-key-of-the-test"},
            trust_env=False,
        )
        return int(answer.json()["position"]["offset"])

    def both() -> list[int]:
        with start("keeps", 1) as first, start("does_not", 2) as second:
            offsets = [post(second, 1), post(first, 2), post(second, 3)]
            first.stop()
            offsets.append(post(second, 4))
        told(publish_once(url, {"type": "m", "n": 5}), 5)
        return offsets

    assert await asyncio.to_thread(both) == [1, 2, 3, 4]

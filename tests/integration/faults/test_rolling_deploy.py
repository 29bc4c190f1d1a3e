"""A deploy that turns history on, off and on again, worker by worker, under traffic: nobody misses anything unsaid."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from redis import Redis
from websockets.exceptions import WebSocketException

from hubbub.brokers.redis.keys import Keys
from hubbub.client.publisher import AsyncPublisher
from hubbub.options import Keep
from tests.integration.faults.hubs import Worker
from tests.integration.faults.services import KEEP, ROOM, service, tab
from tests.kit.waiting import until


@dataclass
class Watcher:
    """A client that joins, hears a little, goes and comes back, for ever; and what it was told wrongly."""

    wrong: list[str] = field(default_factory=list)
    recovered: int = 0
    heard: dict[str, int] = field(default_factory=dict)
    since: dict[str, Any] | None = None

    async def watch(self, where: Callable[[], Worker]) -> None:
        while True:
            with suppress(OSError, WebSocketException, IndexError, AssertionError):  # while it is replaced
                async with tab(where()) as ann:
                    joined = await ann.join(ROOM, **({} if self.since is None else {"since": self.since}))
                    if joined.get("recovered") is True:
                        self.recovered += 1
                    else:
                        self.heard.clear()
                        self.since = None
                        if "epoch" in joined:
                            self.since = {"epoch": joined["epoch"], "offset": joined["offset"]}
                    for _ in range(10):
                        self._take(await ann.receive())
            await asyncio.sleep(0.05)

    def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "gap":
            self.heard.clear()
            self.since = {"epoch": message["epoch"], "offset": message["upto"]}
        if message["type"] != "m":
            return
        by, number = message["by"], message["n"]
        last = self.heard.get(by)
        if last is not None and number != last + 1:
            self.wrong.append(f"{by}: {number} after {last}, at {message.get('offset')} since {self.since}")
        self.heard[by] = number
        if self.since is not None and "offset" in message:
            self.since["offset"] = message["offset"]


@asynccontextmanager
async def traffic(senders: dict[str, Callable[[dict[str, Any]], Awaitable[Any]]]) -> AsyncIterator[None]:
    """Each sends what nobody may miss unsaid, one after the other. They may be changed meanwhile."""

    async def talk(by: str) -> None:
        for number in itertools.count():
            send = senders[by]
            await send({"type": "m", "by": by, "n": number})
            await asyncio.sleep(0.005)

    tasks = [asyncio.create_task(talk(by)) for by in senders]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(result, asyncio.CancelledError), result


class Deploy:
    """Two workers behind a name, replaced one by one; who sends goes on at the other meanwhile."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stacks = [AsyncExitStack(), AsyncExitStack()]
        self._sending = [asyncio.Lock(), asyncio.Lock()]
        self.workers: list[Worker | None] = [None, None]

    async def replace(self, at: int, history: Keep) -> None:
        self.workers[at] = None
        async with self._sending[at]:
            await self._stacks[at].aclose()
        self._stacks[at] = AsyncExitStack()
        self.workers[at] = await self._stacks[at].enter_async_context(service(self._url, history))

    async def send(self, at: int, message: dict[str, Any]) -> None:
        """At this worker, or at the other while it is replaced."""
        while True:
            for which in (at, 1 - at):
                async with self._sending[which]:
                    worker = self.workers[which]
                    if worker is not None:
                        await worker.hub.room(ROOM).send(message)
                        return
            await asyncio.sleep(0.01)

    @property
    def up(self) -> list[Worker]:
        return [worker for worker in self.workers if worker is not None]

    async def end(self) -> None:
        for stack in self._stacks:
            await stack.aclose()


async def test_a_rolling_deploy_turns_history_on_and_off_and_on_again_under_traffic(url: str, admin: Redis) -> None:
    deploy = Deploy(url)
    watchers = [Watcher(), Watcher()]
    async with AsyncPublisher(url) as publisher:
        for at in (0, 1):
            await deploy.replace(at, None)

        senders: dict[str, Callable[[dict[str, Any]], Awaitable[Any]]] = {
            "first": lambda message: deploy.send(0, message),
            "second": lambda message: deploy.send(1, message),
            "publisher": lambda message: publisher.room(ROOM).send(message),
        }
        async with traffic(senders):
            watching = [
                asyncio.create_task(watchers[0].watch(lambda: deploy.up[0])),
                asyncio.create_task(watchers[1].watch(lambda: deploy.up[-1])),
            ]
            # On, while the other worker restarts with the old release once more.
            await asyncio.gather(deploy.replace(0, KEEP), deploy.replace(1, None))
            await come_back(watchers)
            await deploy.replace(1, KEEP)
            before = dict(watchers[0].since or {})
            # Off: nobody says it any more, and it is taken back.
            for at in (0, 1):
                await deploy.replace(at, False)
            old = admin.zrange(Keys("hubbub").words, 0, -1)
            for said in old:
                if b"1000" in said:  # as after half a minute
                    admin.zincrby(Keys("hubbub").words, -60_000, said)
            await until(lambda: is_not_kept(deploy), "nothing is kept any more")
            # And on again, within the time for which positions are known.
            for at in (0, 1):
                await deploy.replace(at, KEEP)
            async with tab(deploy.up[0], "bob") as bob:
                assert (await bob.join(ROOM, since=before))["recovered"] is False
            await come_back(watchers)
            for task in watching:
                task.cancel()
            for result in await asyncio.gather(*watching, return_exceptions=True):
                assert isinstance(result, asyncio.CancelledError), result
    await deploy.end()
    assert [watcher.wrong for watcher in watchers] == [[], []]


async def come_back(watchers: list[Watcher]) -> None:
    counts = [watcher.recovered for watcher in watchers]
    await until(
        lambda: all(each.recovered > count + 2 for each, count in zip(watchers, counts, strict=True)), "they come back"
    )


async def is_not_kept(deploy: Deploy) -> bool:
    return await deploy.up[0].hub.room(ROOM).send({"type": "probe"}) is None

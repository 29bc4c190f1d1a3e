"""Hubs on real servers whose broker can be harmed, and what their members' ledgers must say afterwards."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI

from hubbub import History, Hub, Leaving, Unavailable
from hubbub.brokers.redis import RedisBroker
from hubbub.integrations.operations import operations
from hubbub.testing import Acknowledged, Client, checks
from tests.kit.inside import inside, link
from tests.kit.serving import Address, Names, serving
from tests.kit.waiting import until

KEEP = History(size=10_000, ttl=60)
ROOM = "kept:a"


@dataclass
class Worker:
    hub: Hub
    server: Address

    def client(self, name: str, **options: Any) -> Client:
        return Client(f"{self.server.ws}/ws", token=name, name=name, user=name, within=10, ceiling=0.5, **options)


@asynccontextmanager
async def worker(broker: RedisBroker, **options: Any) -> AsyncIterator[Worker]:
    """One hub, not waited for until it is ready; `options` are the hub's."""
    hub = Hub(broker, auth=Names(), **options)

    @hub.rooms("kept:{name}", history=KEEP)
    async def kept(name: str) -> bool:
        return True

    @hub.rooms("open:{name}", presence=True)
    async def with_presence(name: str) -> bool:
        return True

    app = FastAPI()
    app.include_router(hub.router)
    app.include_router(operations())
    async with serving(app, ws="hubbub.transports.uvicorn:HubbubProtocol") as server:
        yield Worker(hub, server)


@asynccontextmanager
async def workers(*brokers: RedisBroker, **options: Any) -> AsyncIterator[list[Worker]]:
    async with AsyncExitStack() as stack:
        running = [await stack.enter_async_context(worker(broker, **options)) for broker in brokers]
        await until(lambda: all(each.hub.ready for each in running), "all are ready")
        yield running


def lines_of(*workers: Worker) -> list[object]:
    """The connections on which they listen to the broker."""
    return [link(inside(worker.hub).broker) for worker in workers]


def back(*workers: Worker, since: list[object]) -> bool:
    """Whether all are ready, on other connections: that they were not may be over before anybody looks."""
    return all(worker.hub.ready for worker in workers) and set(lines_of(*workers)).isdisjoint(since)


@asynccontextmanager
async def two_members(url: str) -> AsyncIterator[tuple[Worker, Worker, Client, Client]]:
    """Two hubs on one broker, and a member of the room at each: ann at the first, bob at the second."""
    async with (
        workers(RedisBroker(url), RedisBroker(url)) as (left, right),
        left.client("ann") as ann,
        right.client("bob") as bob,
    ):
        for member in (ann, bob):
            await member.join(ROOM)
        yield left, right, ann, bob


def short_lease() -> Leaving:
    return Leaving(lease=2.0)


@asynccontextmanager
async def talking(*hubs: Hub) -> AsyncIterator[list[Acknowledged]]:
    """What was acknowledged to them, one after the other each, while the block lasts."""
    said: list[Acknowledged] = []

    async def talk(hub: Hub, by: int) -> None:
        for number in itertools.count():
            message = {"type": "m", "by": by, "n": number}
            try:
                position = await hub.room(ROOM).send(message)
            except Unavailable:
                await asyncio.sleep(0.02)
            else:
                said.append(Acknowledged(room=ROOM, message=message, position=position))
            await asyncio.sleep(0.002)

    tasks = [asyncio.create_task(talk(hub, by)) for by, hub in enumerate(hubs)]
    try:
        yield said
    finally:
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(result, asyncio.CancelledError), result


async def nothing_was_lost(hub: Hub, members: list[Client], said: list[Acknowledged]) -> None:
    """Nor came twice, nor in another order, nor was skipped unsaid, once all have come to where the room is."""
    assert said
    top = (await hub.room(ROOM).history(limit=1)).position
    assert top is not None
    await until(lambda: all(member.position(ROOM) == top for member in members), f"all are at {top}", within=15)
    ledgers = [member.ledger for member in members]
    wrong = checks.in_order(ledgers) + checks.whole(ledgers) + checks.agreed(ledgers)
    wrong += checks.delivered(ledgers, said) + checks.caught_up(ledgers, {ROOM: top})
    assert wrong == []

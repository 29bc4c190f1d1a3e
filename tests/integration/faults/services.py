"""Services that share a broker and the name of their rooms, as hubs that are served in this process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from hubbub import History, Hub, Position
from hubbub.client.publisher import Publisher
from hubbub.options import Keep
from tests.integration.faults.hubs import Worker
from tests.kit.client import Tab
from tests.kit.serving import Names, serving, simple
from tests.kit.waiting import until

KEEP = History(size=1_000, ttl=600)
ROOM = "team:7"


@asynccontextmanager
async def service(url: str, history: Keep = None, *, inbox: Keep = None, **options: Any) -> AsyncIterator[Worker]:
    hub = Hub(url, auth=Names(), inbox=inbox)

    @hub.rooms("team:{number}", history=history, **options)
    async def may_join(number: int) -> bool:
        return True

    async with serving(simple(hub), ws="hubbub.transports.uvicorn:HubbubProtocol") as server:
        await until(lambda: hub.ready, "it is ready")
        yield Worker(hub, server)


def publish_once(url: str, message: dict[str, Any]) -> Position | None:
    """By a publisher that knows nothing yet."""
    with Publisher(url) as publisher:
        return publisher.room(ROOM).send(message)


def tab(worker: Worker, user: str = "ann") -> Tab:
    return Tab(worker.server.ws, token=user)


def told(position: Position | None, offset: int) -> None:
    assert position is not None
    assert position.offset == offset


async def misses_nothing(worker: Worker, since: dict[str, Any], numbers: list[int]) -> None:
    async with tab(worker) as ann:
        assert (await ann.join(ROOM, since=since))["recovered"] is True
        assert [(await ann.receive("m"))["n"] for _ in numbers] == numbers

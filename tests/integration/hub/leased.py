"""Several hubs on one real Valkey, each with a short lease and a line to it that can be cut."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote

from fastapi import FastAPI

from hubbub import Hub
from hubbub.brokers.redis import RedisBroker
from hubbub.options import Leaving
from hubbub.testing.proxy import Proxy
from hubbub.types import room_topic
from tests.kit.client import Tab
from tests.kit.inside import inside
from tests.kit.serving import Address, Names, serving
from tests.kit.waiting import until

#: Seconds. The parts of it are the default's, a fifth as long.
LEASE = 2.0


class Node:
    """A hub on a server of its own, whose line to the broker can be cut."""

    def __init__(self, url: str, *, grace: float = 0.0, directly: bool = False) -> None:
        self.line = Proxy(unquote(url.removeprefix("unix://")))
        self._url = url if directly else None
        self._grace = grace

    def declare(self) -> tuple[Hub, FastAPI]:
        broker = RedisBroker(self._url or f"redis://127.0.0.1:{self.line.port}")
        leaving = Leaving(lease=LEASE, grace=self._grace)
        hub = Hub(broker, auth=Names(), announce_users=True, leaving=leaving)

        @hub.rooms("open:{name}", presence=True)
        async def anybody(name: str) -> bool:
            return True

        @hub.rooms("many:{name}", presence="diff")
        async def many(name: str) -> bool:
            return True

        @hub.rooms("shown:{name}", presence=True, presence_data=True)
        async def shown(name: str) -> bool:
            return True

        @hub.rooms("shown-many:{name}", presence="diff", presence_data=True)
        async def shown_many(name: str) -> bool:
            return True

        app = FastAPI()
        app.include_router(hub.router)
        return hub, app

    hub: Hub
    server: Address

    @property
    def ws(self) -> str:
        return self.server.ws

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Node"]:
        with self.line:
            self.hub, app = self.declare()
            async with serving(app) as self.server:
                await until(lambda: self.hub.ready, "in touch")
                try:
                    yield self
                finally:
                    self.line.heal()


@contextlib.asynccontextmanager
async def nodes(url: str, count: int, **options: Any) -> AsyncIterator[list[Node]]:
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Node(url, **options).running()) for _ in range(count)]


def left(tab: Tab, room: str = "open:a") -> list[str]:
    return [each["user"] for each in tab.received("user_left_room") if each["room"] == room]


def joined(tab: Tab, room: str = "open:a") -> list[str]:
    return [each["user"] for each in tab.received("user_joined_room") if each["room"] == room]


async def gone(node: Node, room: str, user: str) -> bool:
    return not await inside(node.hub).broker.contains(room_topic(room), user)

"""A real uvicorn server in this event loop, so that a test sees both the wire and the inside of a hub.

    async with serving(app) as server, Tab(server.ws, token="alice") as tab: ...

Several at once, each with a hub of its own on one Valkey, are several workers.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import FastAPI

from hubbub import Connection, ExpiredCredential, Hub, InvalidCredential, User
from hubbub.brokers.memory.broker import MemoryBroker
from hubbub.brokers.redis import RedisBroker
from hubbub.ports.auth import Credential
from hubbub.ports.broker import Announcement
from hubbub.types import Topic, UserId
from tests.kit.client import Tab
from tests.kit.complaints import COMPLAINTS
from tests.kit.inside import inside
from tests.kit.waiting import SOON, until


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The signals are pytest's."""
        yield

    async def main_loop(self) -> None:
        """Looks every 5 ms whether to stop, where uvicorn looks ten times a second; its Date is of this second."""
        ticked = -1.0

        async def over() -> bool:
            nonlocal ticked
            if time.monotonic() - ticked > 1:
                ticked = time.monotonic()
                await self.on_tick(0)
            return self.should_exit

        await until(over, "the test has ended", within=600)


@dataclass
class Address:
    url: str
    ws: str
    server: uvicorn.Server


#: uvicorn's settings, where a test gives none of its own.
DEFAULTS: dict[str, Any] = {
    "ws": "websockets-sansio",
    "lifespan": "on",
    "log_config": None,
    "timeout_graceful_shutdown": 10,
}


@contextlib.asynccontextmanager
async def serving(app: Any, *, host: str = "127.0.0.1", **options: Any) -> AsyncIterator[Address]:
    """`app` on a free port of `host`; ended properly, with its lifespan, when the block ends."""
    with COMPLAINTS.in_this_process():
        async with _served(app, host, options) as address:
            yield address


@contextlib.asynccontextmanager
async def _served(app: Any, host: str, options: dict[str, Any]) -> AsyncIterator[Address]:
    listening = socket.create_server((host, 0))
    server = _Server(uvicorn.Config(app, **{**DEFAULTS, **options}))
    running = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        await until(lambda: server.started or running.done(), "the server started")
        if running.done():
            running.result()
            raise AssertionError("the server ended at its start")
        port = listening.getsockname()[1]
        yield Address(f"http://{host}:{port}", f"ws://{host}:{port}", server)
    finally:
        server.should_exit = True
        with contextlib.suppress(SystemExit):
            async with asyncio.timeout(20):
                await running
        listening.close()


@dataclass
class Names:
    """The token is the user's name. `bob~0.5` ends in half a second, `no…` is refused, `fail…` fails.

    While `gate` is not set nobody is let in.
    """

    cookie: str | None = "session"
    bearer: bool = True
    gate: asyncio.Event | None = None
    asked: list[str] = field(default_factory=list)

    async def authenticate(self, credential: Credential) -> User:
        name, _, seconds = credential.value.partition("~")
        self.asked.append(name)
        if self.gate is not None:
            await self.gate.wait()
        if name.startswith("no"):
            raise InvalidCredential("nobody's")
        if name.startswith("old"):
            raise ExpiredCredential("has ended")
        if name.startswith("fail"):
            raise RuntimeError("the store is away")
        return User(UserId(name), expires=time.time() + float(seconds) if seconds else None)


class _Gates:
    """A broker whose calls in `shut`, by name or by name and topic, wait until `open` lets them all through."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.shut: set[str | tuple[str, str]] = set()
        self.waiting: list[tuple[str, Topic]] = []
        self._news = asyncio.Condition()

    async def open(self) -> None:
        self.shut.clear()
        async with self._news:
            self._news.notify_all()

    async def _pass(self, name: str, topic: Topic) -> None:
        if {name, (name, topic)} & self.shut:
            self.waiting.append((name, topic))
            try:
                async with self._news:
                    await self._news.wait_for(lambda: not self.shut)
            finally:
                self.waiting.remove((name, topic))

    async def subscribe(self, topic: Topic) -> None:
        await self._pass("subscribe", topic)
        await super().subscribe(topic)  # type: ignore[misc]

    async def enter(
        self, topic: Topic, member: str, holder: str, announce: Announcement | None = None, *, edge: bool | None = None
    ) -> bool:
        await self._pass("enter", topic)
        return bool(await super().enter(topic, member, holder, announce, edge=edge))  # type: ignore[misc]

    async def members(self, topic: Topic) -> list[str]:
        await self._pass("members", topic)
        return list(await super().members(topic))  # type: ignore[misc]


class GatedMemory(_Gates, MemoryBroker):
    pass


class GatedRedis(_Gates, RedisBroker):
    pass


def left_behind(hub: Hub) -> dict[str, int]:
    """What a hub without connections still has; all of it should be gone."""
    here = inside(hub)
    counts = here.parts.left_over()
    if here.endpoint.handshakes.unauthenticated:
        counts["unauthenticated"] = len(here.endpoint.handshakes.unauthenticated)
    return counts


async def at_rest(hub: Hub) -> None:
    deadline = time.monotonic() + SOON
    while left := left_behind(hub):
        assert time.monotonic() < deadline, f"left behind: {left}"
        await asyncio.sleep(0.01)


def connection_of(hub: Hub, tab: Tab) -> Connection:
    """The server's end of a tab."""
    found = [each for each in inside(hub).registry.everyone() if each.id == tab.welcome["connection"]]
    connection = found[0].connection  # type: ignore[attr-defined]
    assert isinstance(connection, Connection)
    return connection


def simple(hub: Hub) -> FastAPI:
    """An application that is the hub's router, where anybody may join `open:…`, with presence."""

    @hub.rooms("open:{name}", presence=True)
    async def anybody(name: str) -> bool:
        return True

    app = FastAPI()
    app.include_router(hub.router)
    return app

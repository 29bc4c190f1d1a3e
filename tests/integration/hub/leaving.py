"""Signals to this process, for a hub on a real server that hears of them last."""

import contextlib
import os
import signal
from collections.abc import AsyncIterator
from types import FrameType
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from hubbub import Hub, Limits
from hubbub.integrations.operations import operations
from hubbub.options import Leaving
from tests.kit.client import Tab
from tests.kit.serving import Address, Names, serving, simple


class Handlers:
    """In the place of uvicorn's own, which the test's server does not install."""

    server: uvicorn.Server

    def __init__(self) -> None:
        self.heard: list[int] = []
        self.connections_then = -1

    @property
    def config(self) -> Any:
        return self.server.config

    @property
    def server_state(self) -> Any:
        return self.server.server_state

    def handle_exit(self, number: int, frame: FrameType | None) -> None:
        self.heard.append(number)
        self.connections_then = len(self.server_state.connections)
        self.server.should_exit = True


@contextlib.asynccontextmanager
async def told_by_signals(app: FastAPI, **options: Any) -> AsyncIterator[tuple[Address, Handlers]]:
    handlers = Handlers()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        signal.signal(number, handlers.handle_exit)
    try:
        async with serving(app, **options) as address:
            handlers.server = address.server
            yield address, handlers
        for number in before:
            assert signal.getsignal(number) == handlers.handle_exit, "not put back"
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def hub_that_leaves(window: float, *, closing: float = 5.0, names: Names | None = None, broker: Any = None) -> Hub:
    limits = Limits(closing=closing, outbox=16_000_000)
    return Hub(broker, auth=names or Names(), leaving=Leaving(window=window), limits=limits)


def operated(hub: Hub) -> FastAPI:
    app = simple(hub)
    app.include_router(operations())
    return app


def terminate(number: int = signal.SIGTERM) -> None:
    os.kill(os.getpid(), number)


async def status(server: Address, path: str) -> int:
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.get(server.url + path)).status_code


async def tabs(server: Address, count: int, stack: contextlib.AsyncExitStack) -> list[Tab]:
    return [await stack.enter_async_context(Tab(server.ws, token=f"user{each}")) for each in range(count)]

"""A session with somebody who is no hub: it ends in words, and is not tried for ever."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from hubbub.client import session
from hubbub.client.session import Session, SessionEnded
from tests.kit.waiting import SOON


@asynccontextmanager
async def somebody(says: Callable[[ServerConnection], Awaitable[Any]]) -> AsyncIterator[str]:
    async with serve(says, "127.0.0.1", 0) as server:
        [listening] = server.sockets
        yield f"ws://127.0.0.1:{listening.getsockname()[1]}/ws?token=secret"


async def ended(url: str) -> str:
    async with asyncio.timeout(SOON):
        with pytest.raises(SessionEnded) as told:
            async for _ in Session(url, rooms={"lobby": None}).events():
                pass
    assert "secret" not in str(told.value)
    return str(told.value)


@pytest.mark.parametrize(
    "word", ['{"type": "welcome"}', '{"type": "welcome", "heartbeat": 7}', '{"type": "error", "id": []}']
)
async def test_who_speaks_another_protocol_is_left(word: str) -> None:
    async with somebody(lambda socket: _say(socket, word)) as url:
        assert "speaks another protocol" in await ended(url)


async def test_who_says_no_welcome_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "OPENING", 1.0)
    async with somebody(lambda socket: _say(socket, "[" * 100_000)) as url:
        assert "no hub is there" in await ended(url)


async def _say(socket: ServerConnection, word: str) -> None:
    await socket.send(word)
    await socket.wait_closed()

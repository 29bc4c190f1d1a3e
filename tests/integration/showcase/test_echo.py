import asyncio

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.kit.running import Served
from tests.kit.waiting import SOON


async def test_echo_answers_text_with_echo_and_the_text(showcase: Served) -> None:
    async with connect(f"{showcase.ws}/ws/echo") as socket:
        for text in ("hello", "", "grüße 👋", '{"type": "ping"}', "x" * 60_000):
            await socket.send(text)
            assert await asyncio.wait_for(socket.recv(), SOON) == f"Echo: {text}"


async def test_echo_closes_with_1003_when_it_gets_binary(showcase: Served) -> None:
    async with connect(f"{showcase.ws}/ws/echo") as socket:
        await socket.send(b"hello")
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(socket.recv(), SOON)
        assert socket.close_code == 1003


async def test_two_echoing_clients_do_not_hear_each_other(showcase: Served) -> None:
    url = f"{showcase.ws}/ws/echo"
    async with connect(url) as one, connect(url) as other:
        await one.send("one")
        assert await asyncio.wait_for(one.recv(), SOON) == "Echo: one"
        await other.send("other")
        assert await asyncio.wait_for(other.recv(), SOON) == "Echo: other"


async def test_an_echo_is_no_connection_of_the_hub(showcase: Served) -> None:
    async with connect(f"{showcase.ws}/ws/echo") as socket:
        await socket.send("first")
        # Not `welcome`: the first frame is the echo.
        assert await asyncio.wait_for(socket.recv(), SOON) == "Echo: first"

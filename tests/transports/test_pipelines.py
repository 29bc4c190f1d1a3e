"""Requests that are sent behind each other, by a client that does not wait to see them answered."""

import asyncio
import socket
from collections.abc import Coroutine
from typing import Any, cast

import pytest
from starlette.responses import Response
from uvicorn.config import Config
from uvicorn.server import ServerState

from hubbub.transports.http import HubbubHTTP
from tests.kit.raw_peers import Both, Peer
from tests.kit.waiting import until
from tests.transports.resources import gone

pytestmark = pytest.mark.usefixtures("no_traceback")


async def test_a_client_that_has_gone_is_written_to_by_none_of_them(server: Both) -> None:
    answered: list[int] = []

    @server.app.get("/large")
    async def large() -> Response:
        answered.append(len(answered))
        return Response(bytes(1_000_000))

    peer = await Peer(server.address, buffer=4096).open(head=False)
    await peer.send(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
    await until(lambda: answered, "the first is being answered")
    await peer.drop()
    await gone(server)
    assert len(answered) < 50


async def test_a_task_that_is_begun_eagerly_may_answer_at_once() -> None:
    """As an application has them that chose `asyncio.eager_task_factory`, on any Python."""

    class Ended:
        def add_done_callback(self, _: Any) -> None: ...

    class Eager:
        """The loop, as far as uvicorn's class asks for it."""

        def __init__(self) -> None:
            self.loop = asyncio.get_running_loop()

        def __getattr__(self, name: str) -> Any:
            return getattr(self.loop, name)

        def create_task(self, work: Coroutine[Any, Any, Any], **_: Any) -> Any:
            with pytest.raises(StopIteration):
                work.send(None)
            return Ended()

    async def application(_: Any, __: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    config = Config(application, lifespan="off", log_config=None, proxy_headers=False)
    config.load()
    protocol = HubbubHTTP(config, ServerState(), {}, cast("Any", Eager()))
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    await asyncio.get_running_loop().create_connection(lambda: protocol, sock=ours)
    reader, writer = await asyncio.open_connection(sock=theirs)
    for _ in range(2):
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
        for _ in range(2):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            assert await reader.readexactly(2) == b"ok"
    writer.close()
    await until(lambda: protocol not in protocol.connections, "gone")

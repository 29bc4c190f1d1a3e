"""Peers that go in every way there is: on the hub's route and on a plain one that echoes they leave nothing behind.

What the server logs of them is looked at as in every test: no traceback, no error.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import WebSocket, WebSocketDisconnect

from hubbub import Heartbeat, Hub, Limits
from hubbub.testing.proxy import Proxy
from tests.kit.client import Tab
from tests.kit.elsewhere import client, network, networks_can_be_made
from tests.kit.raw_peers import TEXT, Peer, frame
from tests.kit.serving import Address, Names, at_rest, serving, simple
from tests.kit.waiting import until

SOCKET_OPTIONS = {"ws_ping_interval": 1.0, "ws_ping_timeout": 1.0}
JOIN = json.dumps({"type": "join_room", "room": "open:a"})
#: What is seen of them: an end, at once; or nothing, and the heartbeat finds out.
WAYS = ["reset", "fin", "half", "amid", "pouring", "killed", "silent", *(["cut"] if networks_can_be_made() else [])]


@contextlib.asynccontextmanager
async def going(way: str, path: str, first: str) -> AsyncIterator[tuple[Hub, Address, Any]]:
    """A server, and a peer that has said `first` and is there; what is awaited last lets it go."""
    hub = Hub(auth=Names(), heartbeat=Heartbeat(interval=1.0, timeout=1.0), limits=Limits(closing=1.0))
    app = simple(hub)

    @app.websocket("/echo")
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                await websocket.send_text("Echo: " + await websocket.receive_text())

    async with contextlib.AsyncExitStack() as stack:
        net = stack.enter_context(network()) if way == "cut" else None
        server = await stack.enter_async_context(
            serving(app, host="127.0.0.1" if net is None else net.host, **SOCKET_OPTIONS)
        )
        port = int(server.url.rpartition(":")[2])
        if way in ("killed", "cut"):
            enter = stack.enter_context
            where = server.url.removeprefix("http://").partition(":")[0]
            process = await asyncio.to_thread(
                lambda: enter(client(where, port, path, first, network=None if net is None else net.name))
            )

            async def go() -> None:
                if net is not None:
                    net.cut()
                else:
                    os.kill(process.pid, signal.SIGKILL)
        else:
            line = stack.enter_context(Proxy(f"127.0.0.1:{port}"))
            through = Address(f"http://127.0.0.1:{line.port}", "", server.server) if way == "silent" else server
            peer = await Peer(through, path).open()
            stack.push_async_callback(peer.drop)
            await peer.send(frame(TEXT, first.encode()))
            await peer.frame()

            async def go() -> None:
                await leave(way, peer, line)

        yield hub, server, go


async def leave(way: str, peer: Peer, line: Proxy) -> None:
    own = peer.writer.get_extra_info("socket")
    match way:
        case "reset":
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.writer.close()
        case "fin":
            peer.writer.close()
        case "half":
            own.shutdown(socket.SHUT_WR)
        case "amid":
            await peer.send(frame(TEXT, b"x" * 4000)[:2000])
            peer.writer.transport.abort()
        case "pouring":
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    while True:
                        await peer.send(frame(TEXT, b'{"type": "ping", "ts": "' + b"x" * 60_000 + b'"}'))
            peer.writer.transport.abort()
        case "silent":
            line.freeze()


@pytest.mark.parametrize("way", WAYS)
async def test_a_peer_of_the_hub_is_found_out_and_its_user_goes(way: str) -> None:
    async with going(way, "/ws?token=bob", JOIN) as (hub, server, go), Tab(server.ws, token="ann") as ann:
        assert (await ann.join("open:a"))["members"] == ["ann", "bob"]
        await go()
        await ann.receive("user_left_room", user="bob", room="open:a")
        assert (await ann.join("open:a"))["members"] == ["ann"]
        await ann.nothing("user_left_room", during=0.05)
        await until(lambda: len(server.server.server_state.connections) == 1, "its socket is gone")
        await ann.close()
        await at_rest(hub)
        await until(lambda: not server.server.server_state.tasks, "its task is gone")


@pytest.mark.parametrize("way", WAYS)
async def test_a_peer_of_a_plain_route_leaves_nothing(way: str) -> None:
    async with going(way, "/echo", "hello") as (_, server, go):
        await go()
        state = server.server.server_state
        await until(lambda: not state.connections and not state.tasks, "its socket and its task are gone")

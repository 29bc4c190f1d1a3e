"""Connections that end in the midst of everything: before they are let in, while something is sent, at any await."""

import asyncio
import contextlib
import itertools
import logging
import socket
import struct
from typing import Annotated, Any, Literal

import pytest
from fastapi import Depends
from pydantic import BaseModel

from hubbub import Connection, ConnectionClosed, Hub, Limits
from hubbub.brokers.memory.broker import MemoryBroker
from hubbub.testing import Node
from hubbub.types import Topic
from tests.kit.inside import inside, without_lingering
from tests.kit.raw_peers import CLOSE, OURS, Peer, frame
from tests.kit.serving import DEFAULTS, Names, at_rest, left_behind, serving, simple
from tests.kit.waiting import until

BOTH = pytest.mark.parametrize("ws", [DEFAULTS["ws"], OURS["ws"]], ids=["asgi", "direct"])


def reset(peer: Peer) -> None:
    """RST instead of FIN: what was not read is thrown away, as with a laptop's lid or a proxy that was killed."""
    sock = peer.writer.transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.writer.transport.abort()


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    """But for uvicorn's of a call that a test has cancelled."""
    bad = [each for each in caplog.records if each.levelno >= logging.ERROR or each.exc_info]
    return [each.getMessage() for each in bad if not (each.exc_info and each.exc_info[0] is asyncio.CancelledError)]


# Row 40.


@BOTH
async def test_a_thousand_that_vanish_while_their_credential_is_looked_up(
    ws: str, caplog: pytest.LogCaptureFixture
) -> None:
    names = Names(gate=asyncio.Event())
    hub = Hub(auth=names)
    async with serving(simple(hub), **{**OURS, "ws": ws}) as server:
        before = asyncio.all_tasks()
        state = server.server.server_state
        for _ in range(4):
            peers = [await Peer(server, f"/ws?token=u{number}").open(head=False) for number in range(250)]
            for peer in peers:
                await peer.send(peer.request())
            await until(lambda: len(names.asked) == 250, "all are being looked up")
            for peer in peers:
                reset(peer)
            assert names.gate is not None
            names.gate.set()
            await until(lambda: not state.connections and not state.tasks, "their sockets and calls are gone")
            await at_rest(hub)
            assert not await hub.user("u7").is_online()
            assert not inside(hub).endpoint.connections
            names.gate.clear()
            names.asked.clear()
        await until(lambda: {each for each in asyncio.all_tasks() - before if "parked" not in repr(each)} == set(), "0")
    assert complaints(caplog) == []


# Row 39.


@pytest.mark.complains("CancelledError")
@BOTH
async def test_all_orders_of_what_may_end_a_connection(ws: str, caplog: pytest.LogCaptureFixture) -> None:
    """Sending, closing, the peer's close, a cancelled call, in each of 24 orders: ConnectionClosed and nothing else."""
    hub = Hub(auth=Names(), limits=Limits(closing=0.5))
    app = simple(hub)
    here: list[tuple[Connection, asyncio.Task[Any]]] = []

    @app.websocket("/mine")
    async def mine(connection: Annotated[Connection, Depends(hub.accept)]) -> None:
        call = asyncio.current_task()
        assert call is not None
        here.append((connection, call))
        async for _ in connection:
            pass

    async def sent(connection: Connection, call: asyncio.Task[Any], peer: Peer) -> None:
        with contextlib.suppress(ConnectionClosed):
            await connection.send({"type": "news"})

    async def closed(connection: Connection, call: asyncio.Task[Any], peer: Peer) -> None:
        connection.close()

    async def gone(connection: Connection, call: asyncio.Task[Any], peer: Peer) -> None:
        await peer.send(frame(CLOSE, (1000).to_bytes(2, "big")))
        await asyncio.sleep(0)
        reset(peer)

    async def cancelled(connection: Connection, call: asyncio.Task[Any], peer: Peer) -> None:
        call.cancel()

    async with serving(app, **{**OURS, "ws": ws}) as server:
        without_lingering(hub)
        for order in itertools.permutations((sent, closed, gone, cancelled)):
            for turns in (0, 3):
                peer = await Peer(server, "/mine?token=ann").open()
                await until(lambda: here, "let in")
                connection, call = here.pop()
                for step in order:
                    await step(connection, call, peer)
                    for _ in range(turns):
                        await asyncio.sleep(0)
                await until(lambda call=call: call.done(), "the call has ended")  # type: ignore[misc]
                with pytest.raises(ConnectionClosed):
                    await connection.send({"type": "news"})
                connection.close()
                await at_rest(hub)
    assert complaints(caplog) == []


# Row 43.


class Work(BaseModel):
    type: Literal["work"]


class FarAway(MemoryBroker):
    """Each of its calls is waited for, as one over a network is."""

    async def subscribe(self, topic: Topic) -> None:
        await asyncio.sleep(0)
        await super().subscribe(topic)
        await asyncio.sleep(0)

    async def enter(self, *said: Any, **more: Any) -> bool:
        await asyncio.sleep(0)
        first = await super().enter(*said, **more)
        await asyncio.sleep(0)
        return first

    async def leave(self, *said: Any, **more: Any) -> bool:
        await asyncio.sleep(0)
        last = await super().leave(*said, **more)
        await asyncio.sleep(0)
        return last

    async def members(self, topic: Topic) -> list[str]:
        await asyncio.sleep(0)
        return await super().members(topic)


async def test_a_call_that_is_cancelled_at_any_await(caplog: pytest.LogCaptureFixture) -> None:
    """As a server does at its end: at each turn of the loop that a whole conversation takes, from the first on."""
    hub = Hub(FarAway(), auth=Names())
    app = simple(hub)

    @hub.on(Work)
    async def work(message: Work, connection: Connection) -> str:
        for _ in range(3):
            await asyncio.sleep(0)
        await connection.room("open:a").send({"type": "done"})
        return "done"

    said = [
        '{"type": "join_room", "room": "open:a", "id": 1}',
        '{"type": "work", "id": 2}',
        '{"type": "leave_room", "room": "open:a", "id": 3}',
    ]
    async with Node(app) as node:
        without_lingering(hub)
        baseline: set[asyncio.Task[Any]] | None = None
        for turns in itertools.count():
            ended = await one_call(node, said, turns)
            await at_rest(hub)
            assert left_behind(hub) == {}
            assert not inside(hub).endpoint.connections
            if baseline is None:
                baseline = asyncio.all_tasks()
            assert len({each for each in asyncio.all_tasks() - baseline if "parked" not in repr(each)}) == 0
            if ended:
                break
            assert turns < 500, "a conversation has an end"
        assert turns > 30
    assert complaints(caplog) == []


async def one_call(node: Node, said: list[str], turns: int) -> bool:
    """One conversation, cancelled after so many turns of the loop; whether it was over before."""
    told: list[dict[str, Any]] = []
    events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    for event in ({"type": "websocket.connect"}, *({"type": "websocket.receive", "text": text} for text in said)):
        events.put_nowait(event)

    async def receive() -> dict[str, Any]:
        if events.empty() and any('"id":3' in message.get("text", "") for message in told):
            return {"type": "websocket.disconnect", "code": 1000}
        return await events.get()

    async def send(message: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        told.append(message)
        if '"id":3' in message.get("text", ""):
            events.put_nowait({"type": "websocket.disconnect", "code": 1000})

    scope = {
        "type": "websocket",
        "scheme": "ws",
        "path": "/ws",
        "raw_path": b"/ws",
        "query_string": b"token=ann",
        "root_path": "",
        "headers": [(b"host", b"testserver")],
        "subprotocols": [],
        "client": ("127.0.0.1", 1),
        "server": ("testserver", 80),
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        **node.scope(),
    }
    call = asyncio.create_task(node.call(scope, receive, send))
    for _ in range(turns):
        await asyncio.sleep(0)
    over = call.done()
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    return over

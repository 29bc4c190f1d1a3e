"""Readers that take nothing, or little: bounded on the hub's route and on a plain one beside it."""

import asyncio

import pytest

from hubbub import Limits
from hubbub.transports import timeouts
from tests.kit.client import Tab
from tests.kit.inside import inside
from tests.kit.raw_peers import TEXT, Peer, both, frame, hub_of
from tests.kit.stopwatch import Stopwatch
from tests.kit.waiting import until
from tests.transports.resources import MIB, descriptors, gone, memory

pytestmark = pytest.mark.usefixtures("no_traceback")


# Row 21: readers that take nothing.


async def test_stalled_readers_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten of a hundred take nothing: the others have everything at once, and no descriptor stays."""
    monkeypatch.setattr(timeouts, "STALLED", 0.5)
    async with both(hub_of(limits=Limits(closing=0.5, payload=40_000, outbox=200_000))) as server:
        tabs = [await Tab(server.address.ws, token=f"u{number}").__aenter__() for number in range(30)]
        for tab in tabs:
            await tab.join("open:a")
        fds = descriptors()
        before = memory()
        stalled = [await Peer(server.address, f"/ws?token=s{number}", buffer=4096).open() for number in range(10)]
        for peer in stalled:
            await peer.send(frame(TEXT, b'{"type":"join_room","room":"open:a"}'))
            peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await until(lambda: len(inside(server.hub).registry.members("open:a")) == 40, "all are in")
        big = "x" * 30_000
        for number in range(0, 250, 5):
            for each in range(5):
                await server.hub.room("open:a").send({"type": "n", "number": number + each, "big": big})
            for tab in tabs:
                await tab.receive("n", number=number + 4)
        await until(lambda: server.connections == 30, "the stalled are gone")
        # The other ends are this process's too.
        await until(lambda: descriptors() <= fds + 10, "their descriptors too")
        assert memory() - before < (10 + 31 * 10) * MIB  # the tabs remember all they read
        for tab in tabs:
            await tab.close()
        await gone(server)


async def test_a_plain_route_that_pours_into_a_stalled_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "STALLED", 0.3)
    async with both() as server, server.peer("/pour", buffer=4096) as peer:
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await gone(server)


async def test_a_slow_reader_is_no_stalled_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes a little at a time, far less than a third of what its socket buffers."""
    monkeypatch.setattr(timeouts, "STALLED", 1.0)
    async with both() as server, server.peer("/pour", buffer=4096) as peer:
        for _ in range(25):
            await peer.reader.readexactly(8000)
            await asyncio.sleep(0.06)
        assert server.connections == 1


async def test_a_server_that_stops_does_not_wait_for_stalled_readers() -> None:
    async with both(hub_of(limits=Limits(closing=0.5)), timeout_graceful_shutdown=None) as server:
        await server.peer("/ws", buffer=4096).open()
        await until(lambda: inside(server.hub).registry.everyone(), "in")
        for _ in range(200):
            await server.hub.broadcast({"type": "n", "big": "x" * 4000})
        watch = Stopwatch()
    assert watch.own < 3

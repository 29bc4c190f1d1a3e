"""What one client, or too many, may ask for; and a reader that does not read."""

import asyncio
import base64
import contextlib
import json
import os
from typing import Literal

import pytest
import websockets
from pydantic import BaseModel

from hubbub import Hub, Limits, Rate, TooManyRooms
from hubbub.ports.metrics import Count, Tally
from tests.kit.client import Tab
from tests.kit.inside import inside
from tests.kit.serving import Names, at_rest, connection_of, serving, simple
from tests.kit.stopwatch import Stopwatch
from tests.kit.waiting import until


class Say(BaseModel):
    type: Literal["say"]


def counted(hub: Hub, what: Count) -> int:
    assert isinstance(hub.metrics, Tally)
    return hub.metrics.counts[what]


class Stalled:
    """A client that shakes hands, says what it is told to, and never reads again."""

    def __init__(self, port: int, token: str) -> None:
        self._port, self._token = port, token

    async def __aenter__(self) -> "Stalled":
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**10)
        key = base64.b64encode(os.urandom(16)).decode()
        self.writer.write(
            f"GET /ws?token={self._token} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        assert b"101" in await self.reader.readline()
        return self

    def say(self, text: str) -> None:
        data = text.encode()
        assert len(data) < 126
        self.writer.write(bytes([0x81, 0x80 | len(data), 0, 0, 0, 0]) + data)

    async def read_until(self, end: bytes) -> None:
        """Raises TimeoutError where it does not come to that."""
        data = b""
        async with asyncio.timeout(10):
            while not data.endswith(end):
                more = await self.reader.read(2**20)
                assert more, data[-100:]
                data = data[-200:] + more

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


async def test_a_slow_reader_is_closed_and_nobody_waits_for_it() -> None:
    hub = Hub(auth=Names(), limits=Limits(payload=8_000, outbox=64_000, closing=0.5))
    async with serving(simple(hub)) as server, Tab(server.ws, token="bob") as bob:
        port = int(server.url.rpartition(":")[2])
        async with Stalled(port, "slow") as slow:
            await bob.join("open:a")
            slow.say('{"type": "join_room", "room": "open:a"}')
            await bob.receive("user_joined_room", user="slow")
            room, number = hub.room("open:a"), 0
            longest = 0.0
            while not counted(hub, Count.SLOW):
                watch = Stopwatch()
                await room.send({"type": "n", "number": number, "fill": "x" * 7_000})
                longest = max(longest, watch.own)
                await bob.receive("n", number=number)
                number += 1
                assert number < 5_000
            assert longest < 0.5
            # At once, while its socket is still there.
            assert [each.user.id for each in inside(hub).registry.everyone()] == ["bob"]
            assert (await bob.receive("user_left_room"))["user"] == "slow"
            assert await room.members() == ["bob"]
            assert not await hub.user("slow").is_online()
            for _ in range(20):
                await room.send({"type": "n", "number": number})
                number += 1
            await bob.receive("n", number=number - 1)
            assert [each["number"] for each in bob.received("n")] == list(range(number))
            assert counted(hub, Count.SLOW) == 1
            await until(lambda: len(inside(hub).endpoint.connections) == 1, "given up")
        await bob.close()
        await at_rest(hub)


async def test_a_slow_reader_that_reads_on_is_told_why() -> None:
    hub = Hub(auth=Names(), limits=Limits(payload=8_000, outbox=64_000))
    async with serving(simple(hub)) as server:
        async with Stalled(int(server.url.rpartition(":")[2]), "slow") as slow:
            await until(lambda: len(inside(hub).registry) == 1, "there")
            while not counted(hub, Count.SLOW):
                await hub.broadcast({"type": "n", "fill": "x" * 7_000})
                await asyncio.sleep(0)
            reason = b"this reader is too slow"
            await slow.read_until(bytes([0x88, 2 + len(reason)]) + (1013).to_bytes(2, "big") + reason)
        await at_rest(hub)


async def test_connections_of_one_user() -> None:
    hub = Hub(auth=Names(), limits=Limits(connections_per_user=2))
    async with serving(simple(hub)) as server:
        async with Tab(server.ws, token="ann") as one, Tab(server.ws, token="ann"), Tab(server.ws, token="bob"):
            third = await Tab(server.ws, token="ann").connect()
            assert await third.closed() == 4004
            assert third.log == []
            await third.close()
            assert len(await hub.user("ann").connections()) == 2
            await one.close()
            await until(lambda: len(inside(hub).registry) == 2, "gone")
            async with Tab(server.ws, token="ann"):
                pass
        await at_rest(hub)


async def test_a_full_worker_refuses() -> None:
    hub = Hub(auth=Names(), limits=Limits(connections=2, unauthenticated=1))
    async with serving(simple(hub)) as server:

        async def refused(**options: str) -> None:
            with pytest.raises(websockets.InvalidStatus) as refusal:
                await Tab(server.ws, **options).connect()
            assert refusal.value.response.status_code == 503
            assert int(refusal.value.response.headers["Retry-After"]) > 0

        stranger = await Tab(server.ws).connect()
        await refused()
        async with Tab(server.ws, token="ann"):
            await stranger.send({"type": "auth", "token": "bob"})
            await stranger.receive("welcome")
            await refused(token="cid")
            await refused()
            await stranger.close()
            await until(lambda: len(inside(hub).registry) == 1, "gone")
            another = await Tab(server.ws).connect()
            await refused()
            await another.drop()
            await until(lambda: not inside(hub).endpoint.handshakes.unauthenticated, "gone")
            await (await Tab(server.ws).connect()).close()
        await at_rest(hub)


async def test_a_flood() -> None:
    hub = Hub(auth=Names(), rate=Rate(messages=0.5, burst=3, refusals=4))

    @hub.on(Say)
    async def say(message: Say) -> None: ...

    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as tab:
        for _ in range(3):
            assert (await tab.request("say"))["type"] == "ack"
        for _ in range(3):
            answer = await tab.request("say")
            assert answer["code"] == "rate_limited"
            assert 0 < answer["retry_after"] <= 2000
        # Every frame is counted, whatever it says, and whether or not it can be read.
        assert (await tab.request("ping"))["type"] == "pong"
        await tab.send({"type": "pong"})
        assert await tab.closed() == 1008
        await at_rest(hub)


async def test_the_size_of_a_message() -> None:
    hub = Hub(auth=Names(), limits=Limits(message=1000))

    @hub.on(Say)
    async def say(message: Say) -> None: ...

    async with serving(simple(hub)) as server:
        async with Tab(server.ws, token="ann") as tab:
            text = '{"type": "say", "id": 1, "fill": ""}'
            await tab.say(text.replace('""', f'"{"é" * ((1000 - len(text)) // 2)}"'))
            assert (await tab.receive())["type"] == "ack"
            await tab.say(text.replace('""', f'"{"é" * ((1000 - len(text)) // 2 + 1)}"'))
            assert await tab.closed() == 1009
        async with Tab(server.ws, token="ann") as tab:
            await tab.say(b"{}")
            assert await tab.closed() == 1003
        await at_rest(hub)


async def test_a_ts_that_is_too_deep_to_be_sent_back() -> None:
    """Where the application allows more depth than can be written."""
    hub = Hub(auth=Names(), limits=Limits(depth=1000))
    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as tab:
        for ts in ("[" * 300 + "]" * 300, '{"a":' * 300 + "1" + "}" * 300):
            await tab.say(f'{{"type": "ping", "id": 1, "ts": {ts}}}')
            answer = await tab.receive()
            assert (answer["type"], answer["code"], answer["field"]) == ("error", "invalid_message", "ts")
            assert answer["id"] == 1
        deep = json.loads("[" * 100 + "]" * 100)
        assert (await tab.request("ping", ts=deep))["ts"] == deep


async def test_the_rooms_of_one_connection() -> None:
    hub = Hub(auth=Names(), limits=Limits(rooms=2))
    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as tab:
        await tab.join("open:a")
        await tab.join("open:b")
        assert (await tab.request("join_room", room="open:c"))["code"] == "too_many_rooms"
        await tab.join("open:a")
        assert (await tab.request("leave_room", room="open:a"))["type"] == "room_left"
        await tab.join("open:c")
        assert connection_of(hub, tab).rooms == {"open:b", "open:c"}


async def test_rooms_that_are_joined_at_once_are_counted_before_they_are_joined() -> None:
    hub = Hub(auth=Names(), limits=Limits(rooms=2))
    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as tab:
        connection = connection_of(hub, tab)
        names = [f"open:{letter}" for letter in "abcde"]
        joins = await asyncio.gather(*(connection.join(name) for name in names), return_exceptions=True)
        assert joins.count(None) == 2
        assert [type(each) for each in joins if each is not None] == [TooManyRooms] * 3
        assert connection.rooms == {name for name, failure in zip(names, joins, strict=True) if failure is None}
        await connection.leave(names[joins.index(None)])
        await connection.join("open:f")
        with pytest.raises(TooManyRooms):
            await connection.join("open:g")


async def test_handshakes_that_come_at_once_are_counted_before_they_are_let_in() -> None:
    names = Names(gate=asyncio.Event())
    hub = Hub(auth=names, limits=Limits(connections=2))
    async with serving(simple(hub)) as server:
        tabs = [Tab(server.ws, token=f"u{number}") for number in range(10)]
        opening = [asyncio.create_task(tab.connect()) for tab in tabs]
        await until(lambda: sum(each.done() for each in opening) == 8, "8 are refused")
        assert names.gate is not None
        names.gate.set()
        results = await asyncio.gather(*opening, return_exceptions=True)
        refused = [each.response.status_code for each in results if isinstance(each, websockets.InvalidStatus)]
        assert refused == [503] * 8
        inside_now = [each for each in results if isinstance(each, Tab)]
        assert len(inside_now) == 2
        for tab in inside_now:
            await tab.receive("welcome")
            await tab.close()
        await at_rest(hub)


async def test_a_flood_of_pings_is_answered_and_then_ended() -> None:
    hub = Hub(auth=Names(), rate=Rate(messages=0.001, burst=3, refusals=4))
    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as tab:
        for number in range(7):
            assert await tab.request("ping", ts=number) == {"type": "pong", "ts": number, "id": f"q{number + 1}"}
        await tab.send({"type": "ping", "ts": 7})
        assert await tab.closed() == 1008
        assert [each["type"] for each in tab.log] == ["welcome", *["pong"] * 7]
        await at_rest(hub)


async def test_pings_without_a_rate_are_answered_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBBUB_DEV", "1")
    hub = Hub(auth=Names())
    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as tab:
        for number in range(1000):
            await tab.send({"type": "ping", "ts": number})
        await tab.receive("pong", ts=999)
        assert [each["ts"] for each in tab.received("pong")] == list(range(1000))
        assert len(tab.log) == 1001

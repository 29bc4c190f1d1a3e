"""The broker is not there at the start, comes, goes, and comes back."""

import os
import re
import signal
from collections.abc import Awaitable, Callable, Iterator

import pytest

from hubbub.brokers.embedded import EmbeddedValkey
from tests.integration.showcase.people import fresh, http, refusal
from tests.kit.client import Tab
from tests.kit.running import Served
from tests.kit.waiting import until, wait_for

# From the broker's coming to ready: reconnecting waits 2 s at the most.
_READY = 3.0


@pytest.fixture
def valkey() -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey() as valkey:
        yield valkey


def _away(valkey: EmbeddedValkey) -> None:
    os.kill(valkey.pid, signal.SIGKILL)
    wait_for(lambda: not valkey.alive, what="the Valkey is gone")


def _ready(server: Served, status: int) -> Callable[[], Awaitable[bool]]:
    async def so() -> bool:
        async with http(server) as client:
            return (await client.get("/health/ready")).status_code == status

    return so


async def test_a_server_without_its_broker_starts_says_so_and_is_ready_soon_after_it_comes(
    valkey: EmbeddedValkey,
) -> None:
    _away(valkey)
    with Served("--dev", "--broker", valkey.url) as server:

        async def said() -> bool:
            return "cannot reach the broker" in server.output

        await until(said, "a line that says that the broker is away")
        await _nothing_but_health_works(server)
        lines = re.findall(r".*cannot reach the broker at \S+: .+; trying again", server.output)
        assert len(lines) == 1, server.output
        assert valkey.url.removeprefix("unix://") in lines[0]
        assert "Traceback" not in server.output

        valkey.start()
        await until(_ready(server, 200), "ready after the broker came", within=_READY)
        room = fresh("tea")
        async with Tab(server.ws, user="ann") as ann, Tab(server.ws, user="bob") as bob:
            assert (await ann.join(room))["members"] == ["ann"]
            assert (await bob.join(room))["members"] == ["ann", "bob"]
            await ann.send({"type": "room_message", "room": room, "content": "at last"})
            await bob.receive("room_message", content="at last")
            async with http(server) as client:
                assert (await client.post("/api/broadcast", json={"type": "news"})).status_code == 200
            await ann.receive("news")

            _away(valkey)
            await until(_ready(server, 503), "not ready when the broker is gone")
            await _nothing_but_health_works(server)
            # Who is in stays in, and is told what cannot be done.
            for type, fields in (
                ("room_message", {"room": room, "content": "hello?"}),
                ("direct_message", {"to": "bob", "content": "hello?"}),
                ("chat", {"content": "hello?"}),
                ("join_room", {"room": fresh("coffee")}),
            ):
                answer = await ann.request(type, **fields)
                assert (answer["type"], answer["code"]) == ("error", "unavailable"), type
            assert (await ann.request("ping"))["type"] == "pong"

            valkey.start()
            await until(_ready(server, 200), "ready after the broker came back", within=_READY)

            async def members() -> bool:
                return bool((await ann.join(room))["members"] == ["ann", "bob"])

            await until(members, "the broker knows again who is in the room")
            await bob.send({"type": "room_message", "room": room, "content": "back"})
            await ann.receive("room_message", content="back")
            assert not [said for said in bob.received("room_message") if said["content"] == "hello?"]
        assert "Traceback" not in server.output


async def _nothing_but_health_works(server: Served) -> None:
    async with http(server) as client:
        assert (await client.get("/health/live")).status_code == 200
        ready = await client.get("/health/ready")
        assert ready.status_code == 503
        assert int(ready.headers["retry-after"]) >= 1
        stats = await client.get("/stats")
        assert stats.status_code == 503
        for path in ("/api/rooms/tea/messages", "/api/users/ann/messages", "/api/broadcast"):
            published = await client.post(path, json={"type": "note"})
            assert published.status_code == 503
            assert int(published.headers["retry-after"]) >= 1
        # What is wrong with the message itself is said all the same.
        assert (await client.post("/api/broadcast", json={})).status_code == 422
    handshake = await refusal(f"{server.ws}/ws/chat/ann")
    assert handshake.status_code == 503
    assert int(handshake.headers["Retry-After"]) >= 1

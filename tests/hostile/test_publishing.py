"""One member publishes as much as it is let: who reads slowly stays, and who publishes is told.

The readers take nothing at all while it goes on, so that what they are sent is all that is counted.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Literal

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from hubbub import Connection, Hub, HubDep, Rate, RateLimited, RoomRate
from hubbub.integrations.publishing import publishing
from hubbub.ports.metrics import Count, Tally
from tests.kit.client import Tab
from tests.kit.raw_peers import OURS, TEXT, Peer, frame
from tests.kit.serving import Names, serving
from tests.kit.waiting import until

#: More than an outbox and what the kernel takes.
FLOOD, LARGE = 120, "x" * 60_000
READERS = 3
#: Who publishes is read as fast as they send: only what they publish is bounded.
FAST = Rate(bytes=1 << 30, bytes_burst=1 << 30)


class Say(BaseModel):
    type: Literal["say"] = "say"
    to: Literal["room", "each", "everyone", "user"]
    content: str


def application(**options: Any) -> tuple[Hub, FastAPI]:
    """`say` to a room in each way there is, to a user, and to everyone, and publishing by HTTP."""
    hub = Hub("memory", auth=Names(), metrics=Tally(), **options)

    @hub.rooms("open")
    @hub.rooms("declared", rate=RoomRate(messages=2, burst=2))
    async def anybody() -> bool:
        return True

    @hub.on(Say)
    async def say(message: Say, connection: Connection, hub: HubDep) -> None:
        told = {"type": "said", "content": message.content}
        match message.to:
            case "room":
                await connection.room("open").send(told)
            case "each":
                await asyncio.create_task(hub.each_room(["open"]).send(told))
            case "everyone":
                await hub.broadcast(told)
            case "user":
                for reader in range(READERS):
                    await hub.user(f"reader{reader}").send(told)

    app = FastAPI()
    app.include_router(hub.router)
    app.include_router(publishing(keys=[], anyone=True))
    return hub, app


@asynccontextmanager
async def reading_nothing(address: Any) -> AsyncIterator[list[Peer]]:
    """They have joined, and wait."""
    async with AsyncExitStack() as stack:
        peers = []
        for reader in range(READERS):
            peer = await stack.enter_async_context(Peer(address, f"/ws?token=reader{reader}", buffer=65_536))
            await peer.send(frame(TEXT, b'{"type":"join_room","room":"open"}'))
            while json.loads((await peer.frame())[1])["type"] != "room_joined":
                pass
            peers.append(peer)
        yield peers


async def read(peer: Peer, messages: int) -> None:
    while messages:
        first, payload = await peer.frame()
        assert first == 0x80 | TEXT, payload
        messages -= json.loads(payload)["type"] == "said"


@pytest.mark.parametrize("to", ["room", "each", "everyone", "user"])
async def test_a_member_that_publishes_too_much_is_told_and_the_readers_stay(to: str) -> None:
    hub, app = application(rate=FAST)
    async with (
        serving(app, **OURS) as address,
        reading_nothing(address) as readers,
        Tab(address.ws, token="mallory") as mallory,
    ):
        await mallory.ask({"type": "join_room", "room": "open"})
        answers = [await mallory.request("say", to=to, content=LARGE) for _ in range(FLOOD)]
        refused = [answer for answer in answers if answer["type"] == "error"]
        assert hub.metrics.counts[Count.SLOW] == 0
        assert {answer["code"] for answer in refused} == {"rate_limited"}
        assert all(answer["retry_after"] > 0 for answer in refused)
        # What was acknowledged is not missed.
        await asyncio.gather(*(read(reader, FLOOD - len(refused)) for reader in readers))


async def test_the_others_in_the_room_are_heard_while_one_is_refused() -> None:
    _, app = application()
    async with (
        serving(app, **OURS) as address,
        Tab(address.ws, token="mallory") as mallory,
        Tab(address.ws, token="ann") as ann,
    ):
        for tab in (mallory, ann):
            await tab.ask({"type": "join_room", "room": "open"})
        answers = [await mallory.request("say", to="room", content=LARGE) for _ in range(20)]
        assert answers[-1]["code"] == "rate_limited"

        async def heard() -> bool:
            await mallory.request("say", to="room", content=LARGE)
            return (await ann.request("say", to="room", content="I am here as well"))["type"] == "ack"

        for _ in range(5):
            await until(heard, "a moment later, while the other goes on")


async def test_where_a_rate_is_declared_it_holds_for_the_application_as_well_and_patience_waits_for_it() -> None:
    hub, app = application()
    async with serving(app, **OURS) as address, httpx.AsyncClient(base_url=address.url, trust_env=False) as client:
        for _ in range(20):  # more than clients may: it is the application's own affair
            await hub.room("open").send({"type": "said", "content": LARGE})
        for _ in range(2):
            assert (await client.post("/api/rooms/declared/messages", json={"type": "said"})).is_success
        refused = await client.post("/api/rooms/declared/messages", json={"type": "said"})
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        body = {"messages": [{"room": "declared", "message": {"type": "said"}}]}
        [result] = (await client.post("/api/messages", json=body)).json()["results"]
        assert result["error"]["code"] == "rate_limited"
        await hub.room("declared").send({"type": "said"}, patience=10)
        await hub.each_room(["declared"]).send({"type": "said"}, patience=10)
        with pytest.raises(RateLimited) as raised:
            await hub.each_room(["open", "declared"]).send({"type": "said"}, patience=0.001)
        assert raised.value.retry_after
        assert hub.metrics.counts[Count.PUBLISHING_LIMITED] == 3

"""What strangers can make a server keep: before their first message, and while somebody looks at their token."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from hubbub import Hub, Limits
from tests.kit.raw_peers import CLOSE, OURS, TEXT, Peer, frame
from tests.kit.serving import Address, Names, at_rest, serving, simple
from tests.kit.waiting import until
from tests.transports.resources import MIB, memory

AUTH = frame(TEXT, b'{"type":"auth","token":"ann"}')


class Say(BaseModel):
    type: Literal["say"]
    number: int


class Here:
    def __init__(self, hub: Hub, names: Names, address: Address) -> None:
        self.hub, self.names, self.address = hub, names, address
        self.said: list[int] = []

    @property
    def connections(self) -> int:
        return len(self.address.server.server_state.connections)

    def let_in(self) -> None:
        assert self.names.gate is not None
        self.names.gate.set()


@pytest.fixture(params=["ours", "plain"])
async def here(request: pytest.FixtureRequest) -> AsyncIterator[Here]:
    """Nobody's token is looked up before `let_in`."""
    names = Names(gate=asyncio.Event())
    hub = Hub(auth=names, limits=Limits(authenticate=60.0, closing=1.0))

    found: list[Here] = []

    @hub.on(Say)
    async def say(message: Say) -> None:
        found[0].said.append(message.number)

    async with serving(simple(hub), **(OURS if request.param == "ours" else {}), ws_max_size=65536) as address:
        here = Here(hub, names, address)
        found.append(here)
        yield here
        here.let_in()
        await at_rest(hub)


async def test_next_to_nothing_is_kept_of_what_comes_while_a_token_is_looked_up(here: Here) -> None:
    message = frame(TEXT, b'{"type":"say","x":[' + b"{},{}," * 600 + b'{}],"y":"' + b"x" * 55_000 + b'"}')
    peers: list[Peer] = []

    async def one() -> None:
        peers.append(await Peer(here.address, "/ws").open())
        peers[-1].writer.write(AUTH + message * 32)

    await one()
    await until(lambda: len(here.names.asked) == 1, "it is looked up")
    before = memory()
    for _ in range(40):
        await one()
    await until(lambda: len(here.names.asked) == 41, "they are looked up")
    # They have 1.8 MB each on its way, and as Python has it twice as much.
    kept = memory() - before
    for peer in peers:
        await peer.drop()
    assert kept < 40 * 0.75 * MIB


async def test_a_first_message_has_room_for_a_token_and_little_else(here: Here) -> None:
    for size, code in ((13_000, 1009), (60_000, 1009)):
        async with Peer(here.address, "/ws") as peer:
            await peer.send(frame(TEXT, b'{"type":"auth","token":"' + b"x" * size + b'"}'))
            first, payload = await peer.frame()
            assert (first, int.from_bytes(payload[:2], "big")) == (0x88, code)
            assert payload[2:] == b"first message is larger than allowed"
    here.let_in()
    async with Peer(here.address, "/ws") as peer:
        fill = b"x" * 11_000
        await peer.send(frame(TEXT, b'{"type":"auth","token":"ann","fill":"' + fill + b'"}'))
        assert json.loads((await peer.frame())[1])["type"] == "welcome"


async def test_what_was_sent_right_behind_the_token_is_done_in_order(here: Here) -> None:
    def say(number: int, size: int = 0) -> bytes:
        return frame(TEXT, json.dumps({"type": "say", "number": number, "id": number, "x": "x" * size}).encode())

    join = frame(TEXT, b'{"type":"join_room","room":"open:a","id":"j"}')
    async with Peer(here.address, "/ws") as peer:
        await peer.send(AUTH + join + say(0) + say(1, 30_000) + b"".join(say(2 + n, 3000) for n in range(20)))
        await until(lambda: here.names.asked, "it is looked up")
        here.let_in()
        told: list[Any] = []
        while told[-1:] != [21]:
            answer = json.loads((await peer.frame())[1])
            told.append(answer.get("id", answer["type"]))
    assert told == ["welcome", "j", *range(22)]
    assert here.said == list(range(22))


@pytest.mark.parametrize("how", ["close", "end", "reset"])
async def test_who_leaves_meanwhile_is_noticed(here: Here, how: str) -> None:
    peer = await Peer(here.address, "/ws").open()
    await peer.send(AUTH + frame(TEXT, b'{"type":"join_room","room":"open:a"}') * 3)
    await until(lambda: here.names.asked, "it is looked up")
    if how == "close":
        await peer.send(frame(CLOSE, b"\x03\xe8"))
        assert await peer.closed() == 1000
    elif how == "end":
        peer.writer.write_eof()
    else:
        await peer.drop()
    await until(lambda: not here.connections, "gone")
    assert not here.said
    await peer.drop()

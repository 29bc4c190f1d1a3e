"""One client that sends as much as it can: small frames, costly ones, large ones, pieces of messages that never end.

Each against both transports, where both can see it. What is asserted is how much was looked at, not how long it took.
"""

import asyncio
import contextlib
import json
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from hubbub import Hub, Rate
from hubbub.connection import haste
from hubbub.ports.metrics import Count, Tally
from hubbub.protocol import session
from hubbub.protocol.session import Session
from tests.kit.client import Tab
from tests.kit.raw_peers import CLOSE, CONT, OURS, TEXT, Peer, frame
from tests.kit.serving import Address, Names, serving, simple
from tests.kit.waiting import until

#: Nothing is regained in the time of a test.
NEVER = 0.001
#: So that the second large message is too much: what may come at once is never less than the largest one.
NO_BYTES: dict[str, Any] = {"bytes": NEVER, "bytes_burst": 1}


class Say(BaseModel):
    type: Literal["say"]


@pytest.fixture(params=["ours", "plain"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def _not_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a test need not wait for its own client to be read again when it leaves."""
    monkeypatch.setattr(haste, "LONGEST", 0.5)


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of the messages that were decoded, or begun to be."""
    lengths: list[int] = []
    receive = Session.receive

    def watched(self: Session, data: str | bytes) -> Any:
        lengths.append(len(data))
        return receive(self, data)

    monkeypatch.setattr(Session, "receive", watched)
    return lengths


class Attacked:
    def __init__(self, hub: Hub, address: Address) -> None:
        self.hub, self.address = hub, address
        self.said = 0

    def counted(self, what: Count) -> int:
        assert isinstance(self.hub.metrics, Tally)
        return self.hub.metrics.counts[what]

    async def others_are_served(self) -> None:
        async with Tab(self.address.ws, token="bob") as bob:
            for _ in range(5):
                assert (await bob.request("say"))["type"] == "ack"


@contextlib.asynccontextmanager
async def attacked(transport: str, rate: Rate | None = None, **options: Any) -> AsyncIterator[Attacked]:
    hub = Hub(auth=Names(), rate=rate)

    @hub.on(Say)
    async def say(message: Say) -> None:
        here.said += 1

    app = simple(hub)
    async with serving(app, **{**(OURS if transport == "ours" else {}), "ws_max_size": 65536, **options}) as address:
        here = Attacked(hub, address)
        yield here


@contextlib.asynccontextmanager
async def sending(peer: Peer, data: bytes) -> AsyncIterator[None]:
    """As fast as it is taken, for as long as the block lasts."""
    flood = asyncio.create_task(peer.send(data))
    try:
        yield
    finally:
        flood.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await flood


@pytest.mark.parametrize(
    "text", ['{"type":"pong"}', "{", '{"type":"ping"}', "[]", '{"type":"nobody"}', '{"type":"auth","token":"ann"}']
)
async def test_small_frames_of_whatever_kind(transport: str, text: str, looked_at: list[int]) -> None:
    rate = Rate(messages=NEVER, burst=20, refusals=10)
    async with attacked(transport, rate) as here, Peer(here.address) as peer:
        async with sending(peer, frame(TEXT, text.encode()) * 20_000):
            assert await peer.closed() == 1008
        # What may be said and what is borne, and a refusal that was regained meanwhile.
        assert 30 <= len(looked_at) <= 40
        assert here.counted(Count.FLOODING) == 1
        await here.others_are_served()


LISTS = '{"type":"say","a":[' + ",".join(["{}"] * 21_000) + "]}"
FLAT = '{"type":"say",' + ",".join(f'"{number:x}":1' for number in range(6_000)) + "}"
STRINGS = '{"type":"say","a":[' + ",".join(['""'] * 21_000) + "]}"
ESCAPED = '{"type":"say","a":["\\\\","\\"",' + ",".join(["[]"] * 21_000) + "]}"


def noting(read: list[str], function: Callable[..., Any]) -> Callable[..., Any]:
    def noted(text: str, **options: Any) -> Any:
        read.append(text)
        return function(text, **options)

    return noted


@pytest.mark.parametrize("text", [LISTS, FLAT, STRINGS, ESCAPED], ids=["lists", "flat", "strings", "escaped"])
async def test_messages_of_very_many_values(transport: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are not read at all."""
    read: list[str] = []
    for name in ("typed", "decode"):
        monkeypatch.setattr(session, name, noting(read, getattr(session, name)))
    async with attacked(transport) as here, Peer(here.address) as peer:
        for _ in range(3):
            await peer.send(frame(TEXT, text.encode()))
        answers: list[tuple[str, str]] = []
        while len(answers) < 3:
            answer = json.loads((await peer.frame())[1])
            if answer["type"] == "error":
                answers.append((answer["code"], answer["message"]))
        assert answers == [("invalid_message", "JSON has more than 4096 values")] * 3
        assert not [each for each in read if len(each) > 5000]


@pytest.mark.parametrize("prose", ["one, two, three, [and] {so} on, " * 1900, '\\", {' * 12_000])
async def test_prose_is_no_such_message(transport: str, prose: str) -> None:
    async with attacked(transport) as here, Tab(here.address.ws, token="ann") as ann:
        assert (await ann.request("say", text=prose[:30_000].removesuffix("\\")))["type"] == "ack"


async def test_more_bytes_than_may_be_sent_are_not_read(transport: str, looked_at: list[int]) -> None:
    large = frame(TEXT, b'{"type":"say","x":"' + bytes(60_000).replace(b"\0", b"x") + b'"}')
    async with (
        attacked(transport, Rate(**NO_BYTES)) as here,
        Peer(here.address) as peer,
        sending(peer, large * 200),
    ):
        await until(lambda: here.counted(Count.READ_LATER), "it is read later")
        await here.others_are_served()
        # What had come in one piece, of four messages at most, and a second piece.
        assert 1 <= len([each for each in looked_at if each > 60_000]) <= 10
        assert not here.counted(Count.FLOODING)


async def test_all_tabs_of_a_user_share_what_may_be_sent(transport: str) -> None:
    rate = Rate(messages=NEVER, burst=5, refusals=100, tabs=2)
    async with attacked(transport, rate) as here, contextlib.AsyncExitStack() as tabs:
        outcomes = []
        for _ in range(4):
            ann = await tabs.enter_async_context(Tab(here.address.ws, token="ann"))
            for _ in range(5):
                answer = await ann.request("say")
                outcomes.append(answer.get("code", answer["type"]))
                assert answer["type"] == "ack" or answer["retry_after"] > 0
        assert outcomes == ["ack"] * 10 + ["rate_limited"] * 10
        await here.others_are_served()


async def test_bytes_of_all_tabs_of_a_user(transport: str) -> None:
    text = "x" * 40_000
    async with (
        attacked(transport, Rate(**NO_BYTES, tabs=1)) as here,
        Tab(here.address.ws, token="ann") as one,
        Tab(here.address.ws, token="ann") as other,
    ):
        await one.request("say", text=text)
        assert not here.counted(Count.READ_LATER)
        await other.request("say", text=text)
        assert here.counted(Count.READ_LATER)


def pieces(sizes: Iterator[int]) -> bytes:
    """One message of so many bytes in each of its frames; it does not end."""
    return b"".join(frame(CONT if at else TEXT, b"x" * size, fin=False) for at, size in enumerate(sizes))


async def test_pieces_of_messages_are_counted_before_they_are_one() -> None:
    """Elsewhere than on our transport no application can see them."""
    async with attacked("ours", Rate(**NO_BYTES)) as here, Peer(here.address) as peer:
        await peer.send(pieces(iter([100] * 500)) + frame(CONT, b"x"))
        await peer.send(pieces(iter([100] * 500)))
        await until(lambda: here.counted(Count.READ_LATER), "it is read later")
        await here.others_are_served()
    # Of next to no bytes, and costly all the same.
    async with attacked("ours", Rate(**NO_BYTES)) as here, Peer(here.address) as peer:
        await peer.send(pieces(iter([0] * 900)) + frame(CONT, b"x"))
        await peer.send(pieces(iter([0] * 900)))
        await until(lambda: here.counted(Count.READ_LATER), "it is read later")


async def test_what_was_compressed_counts_as_what_comes_out(transport: str, looked_at: list[int]) -> None:
    async with attacked(transport, Rate(**NO_BYTES), ws_per_message_deflate=True) as here:
        deflater = zlib.compressobj(wbits=-12)
        small = deflater.compress(b'{"type":"say","x":"' + b"x" * 60_000 + b'"}') + deflater.flush(zlib.Z_SYNC_FLUSH)
        assert len(small) < 400
        extensions = "permessage-deflate; client_no_context_takeover; client_max_window_bits=12"
        peer = await Peer(here.address).open(Sec_WebSocket_Extensions=extensions)
        assert b"permessage-deflate" in peer.head
        async with sending(peer, frame(TEXT, small[:-4], rsv=4) * (40 if transport == "ours" else 4)):
            await until(lambda: here.counted(Count.READ_LATER), "it is read later")
            await here.others_are_served()
            assert 2 <= len([each for each in looked_at if each > 60_000]) <= 20
        await peer.drop()


async def test_after_the_end_only_the_peers_own_is_looked_for(looked_at: list[int]) -> None:
    async with attacked("ours", Rate(messages=NEVER, burst=5, refusals=5)) as here:
        peer = await Peer(here.address).open()
        pong = frame(TEXT, b'{"type":"pong"}')
        await peer.send(pong * 20)
        assert await peer.closed() == 1008
        async with sending(peer, pong * 100_000):
            await here.others_are_served()
        seen = len([each for each in looked_at if each == 15])
        assert seen <= 11
        await peer.drop()
        peer = await Peer(here.address).open()
        await peer.send(pong * 3000 + frame(CLOSE, b"\x03\xe8"))
        assert await peer.closed() == 1008
        assert await peer.ended() == b""
        await peer.drop()

"""What Autobahn's test suite (`make autobahn`) found out, as raw frames on both kinds of route."""

import asyncio

import pytest

from hubbub import Limits
from hubbub.transports import lingering
from tests.kit.raw_peers import CLOSE, CONT, PING, TEXT, Both, Peer, both, frame, hub_of
from tests.transports.resources import gone
from tests.transports.ways import ROUTES

pytestmark = pytest.mark.usefixtures("no_traceback")

WRONG = "κόσμε".encode() + b"\xf4\x90\x80\x80" + b"edited"
"""From the second byte on after the fifth letter there is no such character."""
ENOUGH = 12


async def nothing(peer: Peer) -> None:
    """The server has read what was sent, and goes on: it answers a ping, and ends nothing before."""
    await peer.send(frame(PING, b"still there?"))
    while (answer := await peer.frame())[0] == 0x81:
        assert b"welcome" in answer[1]
    assert answer == (0x8A, b"still there?")


@ROUTES
async def test_text_is_refused_where_it_is_wrong_and_not_at_its_end(server: Both, path: str) -> None:
    """Cases 6.4.1 and 6.4.2: within a message."""
    async with server.peer(path) as peer:
        await peer.send(frame(TEXT, WRONG[: ENOUGH - 1], fin=False))
        await nothing(peer)
        await peer.send(frame(CONT, WRONG[ENOUGH - 1 : ENOUGH], fin=False))
        assert await peer.closed() == 1007
    await gone(server)


@ROUTES
async def test_text_is_refused_within_a_frame(server: Both, path: str) -> None:
    """Cases 6.4.3 and 6.4.4."""
    whole = frame(TEXT, WRONG)
    head = len(whole) - len(WRONG)
    async with server.peer(path) as peer:
        await nothing(peer)
        await peer.send(whole[: head + ENOUGH - 1])
        await peer.send(whole[head + ENOUGH - 1 : head + ENOUGH])
        assert await peer.closed() == 1007
    await gone(server)


@ROUTES
async def test_a_close_within_a_message_is_answered_by_its_code(server: Both, path: str) -> None:
    """Case 7.1.5: RFC 6455 section 5.5 lets control frames come between those of a message."""
    async with server.peer(path) as peer:
        await peer.send(frame(TEXT, b"begun", fin=False) + frame(CLOSE, b"\x03\xe8"))
        assert await peer.closed() == 1000
        assert await peer.ended() == b""
    await gone(server)
    if path == "/plain":
        assert server.ends == [1000]


@ROUTES
@pytest.mark.parametrize(
    "broken",
    [frame(TEXT, b"x", rsv=2), frame(TEXT, b"\xff"), frame(TEXT, b"x" * 65537), frame(TEXT, b"\xff" * 9)[:-5]],
    ids=["1002", "1007", "1009", "1007 within a frame"],
)
async def test_a_peer_that_hears_why_it_is_closed_and_says_so_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, path: str, broken: bytes
) -> None:
    """Everywhere: the server ends the socket, not the client, once both have said the end."""
    monkeypatch.setattr(lingering, "QUIET", 120.0)
    async with both(hub_of(limits=Limits(closing=120.0))) as server, server.peer(path) as peer:
        await peer.send(broken)
        assert await peer.closed() in (1002, 1007, 1009)
        await peer.send(b"what was on its way" + frame(CLOSE, b"\x03\xe8" + b"r" * 123)[:-1])
        ending = asyncio.create_task(peer.ended())
        await asyncio.sleep(0.05)
        assert not ending.done()
        await peer.send(frame(CLOSE))
        assert await ending == b""
        await gone(server)


@ROUTES
async def test_a_peer_whose_own_close_is_wrong_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """Cases 7.3.2, 7.3.6, 7.5.1 and 7.9.x: it says no more."""
    monkeypatch.setattr(lingering, "QUIET", 120.0)
    async with both(hub_of(limits=Limits(closing=120.0))) as server:
        for payload, code in ((b"\x03", 1002), (b"\x03\xed", 1002), (b"\x03\xe8\xff", 1007), (b"\x03\xe8" * 63, 1002)):
            async with server.peer(path) as peer:
                await peer.send(frame(CLOSE, payload))
                assert await peer.closed() == code
                assert await peer.ended() == b""
        await gone(server)


@pytest.mark.parametrize("size", [0, 2, 3, 125])
@pytest.mark.parametrize("before", [b"", b"\x88\x80", bytes(200)])
def test_a_close_frame_is_known_by_its_form(before: bytes, size: int) -> None:
    payload = (b"\x03\xe8" + b"r" * 123)[:size]
    whole = before + frame(CLOSE, payload)
    assert lingering.ends_in_close(whole)
    assert not lingering.ends_in_close(whole + b"?")
    assert not lingering.ends_in_close(whole[:-1])
    assert not lingering.ends_in_close(bytes(200) + frame(CLOSE, payload, masked=False))
    assert not lingering.ends_in_close(before + frame(CLOSE, b"\x03\xed"))  # 1005 is in no frame

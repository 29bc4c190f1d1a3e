"""Compression as the protocol class agrees to it, and what it costs to send to many."""

import pytest

from tests.kit.client import Tab
from tests.kit.raw_peers import both


@pytest.mark.parametrize("path", ["/ws", "/plain"])
async def test_compression_both_ways(path: str) -> None:
    """As browsers and `websockets` offer it: no context takeover, one compressed frame for all, small ones plain."""
    async with both(ws_per_message_deflate=True) as server:
        for offer in (
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate",
            "permessage-deflate; server_max_window_bits=9",
        ):
            peer = await server.peer(path).open(Sec_WebSocket_Extensions=offer)
            assert b"server_no_context_takeover" in peer.head
            assert b"client_no_context_takeover" in peer.head
            assert (b"client_max_window_bits" in peer.head) == ("client_max_window_bits" in offer)
            await peer.drop()
        peer = await server.peer(path).open(Sec_WebSocket_Extensions="permessage-deflate; server_max_window_bits=8")
        assert b"Extensions" not in peer.head  # zlib cannot write in so small a window
        await peer.drop()


async def test_compressed_frames_are_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    from hubbub.protocol import codec

    made: list[int] = []
    original = codec.deflate

    def counting(data: bytes, bits: int) -> bytes:
        made.append(len(data))
        return original(data, bits)

    monkeypatch.setattr(codec, "deflate", counting)
    async with both(ws_per_message_deflate=True) as server:
        tabs = [await Tab(server.address.ws, token=f"u{n}", compression="deflate").__aenter__() for n in range(5)]
        plain = await Tab(server.address.ws, token="plain").__aenter__()
        for tab in (*tabs, plain):
            await tab.join("open:a")
        made.clear()
        for number in range(10):
            await server.hub.room("open:a").send({"type": "n", "number": number, "big": "x" * 5000})
            await server.hub.room("open:a").send({"type": "small", "number": number})
        for tab in (*tabs, plain):
            await tab.receive("small", number=9)
            assert [each["number"] for each in tab.received("n")] == list(range(10))
        assert len(made) == 10
        assert all(size > 5000 for size in made)
        await tabs[0].request("ping", padding="y" * 3000)  # the other way
        for tab in (*tabs, plain):
            await tab.close()

"""Tokens that prove nobody, one after the other, from pages that do not end what was refused: each costs a second."""

import asyncio

import pytest

from hubbub import Limits
from hubbub.hub import farewells
from hubbub.ports.metrics import Count, Tally
from tests.kit.inside import inside
from tests.kit.raw_peers import OURS, TEXT, Both, Peer, both, frame, hub_of
from tests.kit.waiting import until
from tests.transports.resources import gone

MOST = 4
PLAIN = {"ws": "websockets-sansio", "http": "httptools"}


async def shown(server: Both, count: int, path: str = "/ws?token=nobody") -> list[Peer]:
    """As many handshakes at once, of a page."""
    peers = [Peer(server.address, path) for _ in range(count)]
    origin = f"http://127.0.0.1:{server.address.url.rpartition(':')[2]}"
    return list(await asyncio.gather(*(peer.open(Origin=origin) for peer in peers)))


def statuses(peers: list[Peer]) -> list[int]:
    return sorted(peer.status for peer in peers)


def under_way(server: Both) -> int:
    return inside(server.hub).endpoint.handshakes.farewells.under_way


@pytest.mark.parametrize("options", [OURS, PLAIN], ids=["ours", "plain"])
async def test_only_so_many_are_told(options: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """More are refused before they are accepted, and nobody else is kept out by them."""
    monkeypatch.setattr(farewells, "SERVERS_OWN", 1.0)
    async with both(hub_of(limits=Limits(unauthenticated=MOST, closing=0.5)), **options) as server:
        peers = await shown(server, 3 * MOST)
        assert statuses(peers) == [101] * MOST + [401] * 2 * MOST
        assert under_way(server) == MOST
        assert b"nobody's" in await next(peer for peer in peers if peer.status == 401).ended()
        async with Peer(server.address, "/ws") as guest, server.peer("/ws") as ann:
            assert (guest.status, ann.status) == (101, 101)
            assert b'"welcome"' in (await ann.frame())[1]
        told = [peer for peer in peers if peer.status == 101]
        for peer in told:
            assert await peer.closed() == 4001
        await until(lambda: not under_way(server), "let go of", within=5)
        again = await shown(server, 1)
        assert statuses(again) == [101]
        assert isinstance(server.hub.metrics, Tally)
        assert server.hub.metrics.counts[Count.REFUSED_HANDSHAKES] == 3 * MOST + 1
        for peer in [*told, *again]:
            await peer.drop()
        await guest.drop()
        await until(lambda: not server.endpoints, "the guest has left")
        assert statuses(await shown(server, 3 * MOST, "/ws")) == [101] * MOST + [503] * 2 * MOST


async def test_nobody_stays_by_what_it_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(farewells, "PATIENCE", 0.3)
    async with both() as server:
        (peer,) = await shown(server, 1)
        sending = asyncio.create_task(_talk(peer))
        await until(lambda: not server.connections, "let go of", within=5)
        sending.cancel()
        await gone(server)


async def _talk(peer: Peer) -> None:
    while True:
        await peer.send(frame(TEXT, b'{"type":"ping"}'))
        await asyncio.sleep(0.01)


async def test_a_first_message_that_is_none_counts_until_the_socket_is_gone() -> None:
    async with both(hub_of(limits=Limits(unauthenticated=MOST, closing=1.0))) as server:
        peers = [await Peer(server.address, "/ws").open() for _ in range(MOST)]
        for peer in peers:
            await peer.send(frame(TEXT, b'{"type":"say"}'))
            assert await peer.closed() == 4001
        assert (await Peer(server.address, "/ws").open()).status == 503
        await until(lambda: not server.endpoints, "dropped")
        assert (await Peer(server.address, "/ws").open()).status == 101

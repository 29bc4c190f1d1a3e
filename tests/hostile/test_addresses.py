"""One address, or a network full of them, against everybody else: what it may have, and that no header moves it.

The attackers come from loopback, as all clients of a test do, so that is named as a proxy, and says in the header who
they are. By `trusting` uvicorn has read the header before the hub sees it.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from hubbub import Addresses, Hub, Limits
from hubbub.integrations.publishing import publishing
from hubbub.ports.metrics import Count
from tests.kit.inside import inside
from tests.kit.raw_peers import OURS, Both, Peer, both
from tests.kit.serving import Names
from tests.kit.waiting import until

HONEST, HOSTILE = "198.51.100.1", "203.0.113.7"
SERVERS = {
    "ours": OURS,
    "plain": {"ws": "websockets-sansio", "http": "auto"},
    "ours trusting": {**OURS, "proxy_headers": True},
}


@pytest.fixture(params=SERVERS)
def server_options(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {"proxy_headers": False, **SERVERS[request.param]}


@contextlib.asynccontextmanager
async def limited(options: dict[str, Any], limits: Limits | None = None, **addresses: Any) -> AsyncIterator[Both]:
    hub = Hub(
        auth=Names(),
        limits=limits or Limits(closing=0.5),
        addresses=Addresses(**{"proxies": ["127.0.0.1"], **addresses}),
    )
    async with both(hub, **options) as server:
        yield server


async def come(server: Both, address: str, path: str = "/ws?token=ann") -> Peer:
    return await Peer(server.address, path).open(X_Forwarded_For=address)


def counted(server: Both, what: Count) -> int:
    return server.hub.metrics.counts[what]  # type: ignore[attr-defined, no-any-return]


async def test_connections_of_one_address(server_options: dict[str, Any]) -> None:
    async with limited(server_options, connections=3) as server:
        peers = [await come(server, HOSTILE) for _ in range(20)]
        assert [peer.status for peer in peers] == [101] * 3 + [429] * 17
        assert b"retry-after: 5\r\n" in peers[3].head.lower()
        assert counted(server, Count.REFUSED_ADDRESS) == counted(server, Count.REFUSED_HANDSHAKES) == 17
        assert (await come(server, HONEST)).status == 101
        for peer in peers:
            await peer.drop()
        await until(lambda: inside(server.hub).gate.table.connections == 1, "what it had is given back")
        assert (await come(server, HOSTILE)).status == 101


async def test_a_header_of_the_attackers_own_changes_nothing(server_options: dict[str, Any]) -> None:
    async with limited(server_options, handshakes=0.01, burst=5) as server:
        found = Counter([(await come(server, f"10.9.8.{number}, {HOSTILE}")).status for number in range(20)])
        assert found == {101: 5, 429: 15}
        assert (await come(server, HONEST)).status == 101


async def test_a_network_of_ipv6_is_one_address(server_options: dict[str, Any]) -> None:
    async with limited(server_options, connections=3, known=10) as server:
        found = Counter([(await come(server, f"2001:db8:0:1::{number:x}")).status for number in range(10)])
        assert found == {101: 3, 429: 7}
        peers = [await come(server, f"2001:db8:{number:x}::1") for number in range(100)]
        assert {peer.status for peer in peers} == {101}
        for peer in peers:
            await peer.drop()
        await until(lambda: len(inside(server.hub).gate.table) == 11, "no more of them are remembered than may be")


async def test_what_is_refused_costs_no_look_at_credential_or_origin() -> None:
    names = Names()
    hub = Hub(auth=names, addresses=Addresses(connections=1, proxies=["127.0.0.1"]))
    async with both(hub, **OURS, proxy_headers=False) as server:
        await come(server, HOSTILE)
        names.asked.clear()
        peer = await Peer(server.address).open(X_Forwarded_For=HOSTILE, Origin="https://evil.example")
        assert peer.status == 429
        assert names.asked == []


async def test_in_a_flood_the_application_hears_of_those_that_were_not_known_to_be_refused() -> None:
    async with limited({**OURS, "proxy_headers": False}, Limits(handshakes=5, closing=0.5), connections=2) as server:
        called: list[str] = []

        inner = server.app.router.middleware_stack

        async def counting(scope: Any, receive: Any, send: Any) -> None:
            called.append(scope["path"])
            await inner(scope, receive, send)

        server.app.router.middleware_stack = counting
        found = [(await come(server, HOSTILE)).status for _ in range(30)]
        assert found == [101] * 2 + [429] * 28
        assert called == ["/ws"] * 2, "the server knew it"
        # By another path of the same server it is not this hub's to refuse.
        assert (await come(server, HOSTILE, "/plain")).status == 101
        assert counted(server, Count.REFUSED_ADDRESS) == counted(server, Count.REFUSED_HANDSHAKES) == 28
        statuses = [(await come(server, f"198.51.100.{number}")).status for number in range(30)]
        assert {101, 503} == set(statuses)
        assert len(called) < 3 + 30
        assert counted(server, Count.REFUSED_WORKER) == statuses.count(503)


async def test_who_guesses_credentials_is_not_looked_at_any_more(server_options: dict[str, Any]) -> None:
    async with limited(server_options, handshakes=0.1, burst=100, failures=5) as server:
        guesses = [(await come(server, HOSTILE, f"/ws?token=no{number}")).status for number in range(20)]
        assert guesses == [401] * 5 + [429] * 15
        assert (await come(server, HOSTILE)).status == 429, "its good ones neither"
        assert (await come(server, HONEST)).status == 101
        # By a browser's socket, and by a first message.
        for path, origin in (("/ws?token=no", {"Origin": server.address.url}), ("/ws", {})):
            address = f"203.0.113.{len(path)}"
            for _ in range(5):
                peer = await Peer(server.address, path).open(X_Forwarded_For=address, **origin)
                await peer.send(b"\x81\x80abcd")
                assert await peer.closed() == 4001
                await peer.drop()
            await until(lambda: inside(server.hub).endpoint.connections.__len__() == 1, "they are gone")
            assert (await come(server, address)).status == 429


async def test_what_is_no_handshake_counts_as_well() -> None:
    async with limited({**OURS, "proxy_headers": False}, failures=5) as server:
        gate = inside(server.hub).gate
        for _ in range(5):
            gate.ended_elsewhere(Count.INVALID_REQUESTS, HOSTILE)  # as of a socket of its own
            gate.ended_elsewhere(Count.DROPPED_SOCKETS, HONEST)
        assert (await come(server, HOSTILE)).status == 429
        assert (await come(server, HONEST)).status == 101
        peer = await Peer(server.address).open(head=False)
        await peer.send(b"POST /ws HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n")
        assert b"400" in await peer.ended()
        assert counted(server, Count.INVALID_REQUESTS) == 6


async def test_silent_ones_of_one_address(server_options: dict[str, Any]) -> None:
    async with limited(server_options, Limits(authenticate=1.0, closing=0.5), unauthenticated=2) as server:
        silent = [await come(server, HOSTILE, "/ws") for _ in range(5)]
        assert [peer.status for peer in silent] == [101, 101, 429, 429, 429]
        assert (await come(server, HOSTILE)).status == 101, "who is known at once waits for nothing"
        assert (await come(server, HONEST, "/ws")).status == 101
        assert [await peer.closed() for peer in silent[:2]] == [4002, 4002]
        await until(lambda: not inside(server.hub).endpoint.handshakes.unauthenticated, "their sockets are gone")
        assert (await come(server, HOSTILE, "/ws")).status == 101


async def test_a_worker_looks_at_so_many_a_second_whoever_they_are(
    server_options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hubbub.addresses")
    async with limited(server_options, Limits(handshakes=0.5, closing=0.5)) as server:
        peers = [await come(server, f"203.0.113.{number}") for number in range(10)]
        assert [peer.status for peer in peers] == [101] + [503] * 9
        assert b"retry-after: 2\r\n" in peers[-1].head.lower()
        assert counted(server, Count.REFUSED_WORKER) == 9
        assert inside(server.hub).gate.table.connections == 1
        told = [vars(record) for record in caplog.records if record.name == "hubbub.addresses"]
        assert {(each["event"], each["code"]) for each in told} == {("refused", 503)}
        assert told[0]["message"] == "refused 203.0.113.1 with 503: too many handshakes at this worker"
        assert (told[0]["address"], len(told)) == ("203.0.113.1", 5)
        assert (await Peer(server.address).open()).status == 503 if not server_options["proxy_headers"] else True


async def test_nothing_is_limited_on_loopback_and_what_is_not_named_is_said_once(
    caplog: pytest.LogCaptureFixture, server_options: dict[str, Any]
) -> None:
    async with limited(server_options, connections=1, failures=1, proxies=None) as server:
        peers = [await Peer(server.address).open() for _ in range(5)]
        assert {peer.status for peer in peers} == {101}
        scope = {"client": ("10.0.0.7", 1), "headers": [(b"x-forwarded-for", HOSTILE.encode())]}
        for _ in range(5):
            inside(server.hub).gate.enter(scope)
    [line] = [record.getMessage() for record in caplog.records if record.name == "hubbub.addresses"]
    assert line.startswith("clients are not limited by address: a proxy in a private network is not named")
    assert "10.0.0.7" in line


async def test_who_guesses_the_key_for_publishing() -> None:
    hub = Hub(auth=Names(), addresses=Addresses(failures=5, handshakes=0.1, proxies=["127.0.0.1"]))
    async with both(hub, **OURS, proxy_headers=False) as server:
        server.app.include_router(publishing(keys=["the key"]))

        async def guess(key: str, address: str) -> int:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(server.address.url.rpartition(":")[2]))
            writer.write(
                f"POST /api/rooms/x/messages HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {address}\r\n"
                f"Authorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: 12\r\n"
                'Connection: close\r\n\r\n{"type":"a"}'.encode()
            )
            answer = await reader.read()
            writer.close()
            return int(answer.split()[1])

        assert [await guess(f"guess {number}", HOSTILE) for number in range(10)] == [401] * 5 + [429] * 5
        assert await guess("the key", HOSTILE) == 429
        assert await guess("the key", HONEST) == 200

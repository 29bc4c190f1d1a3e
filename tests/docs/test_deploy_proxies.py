"""The proxies of `docs/howto/deploy.md`, as they stand there, before a server of ours."""

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from fastapi import Request, WebSocket
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from hubbub import Limits
from hubbub.integrations.operations import operations
from hubbub.transports import lingering
from tests.kit.client import Tab
from tests.kit.proxies import HAProxy, Nginx, Proxy
from tests.kit.raw_peers import Both, both, hub_of
from tests.kit.waiting import SOON, until

SMUGGLED = b"GET /stats HTTP/1.1\r\nHost: app.example.com\r\n\r\n"


class Site:
    """A server, and what it was asked."""

    def __init__(self, server: Both) -> None:
        self.server = server
        self.asked: list[str] = []
        app = server.app
        app.include_router(operations())

        @app.post("/echo")
        async def echo(request: Request) -> dict[str, str | int]:
            body = await request.body()
            return {"size": len(body), "scheme": request.url.scheme, "host": request.url.netloc}

        @app.websocket("/scheme")
        async def scheme(websocket: WebSocket) -> None:
            await websocket.accept()
            await websocket.send_text(websocket.url.scheme)
            await websocket.close()

        inner = app.build_middleware_stack()

        async def noting(scope: object, receive: object, send: object) -> None:
            if scope["type"] == "http":  # type: ignore[index]
                self.asked.append(scope["path"])  # type: ignore[index]
            await inner(scope, receive, send)  # type: ignore[arg-type]

        app.middleware_stack = noting  # type: ignore[assignment]

    @property
    def worker(self) -> str:
        return self.server.address.url.removeprefix("http://")


@pytest.fixture
async def site(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    monkeypatch.setattr(lingering, "QUIET", 3.0)
    async with both(hub_of(Limits(closing=5.0))) as server:
        yield Site(server)


@pytest.fixture(params=[Nginx, HAProxy])
def proxy(request: pytest.FixtureRequest, site: Site, tmp_path: Path) -> Iterator[Proxy]:
    with request.param(tmp_path, [site.worker]) as here:
        yield here


async def exchange(proxy: Proxy, *lines: str, body: bytes = b"") -> bytes:
    """The answer to a request with these lines and this body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port, ssl=proxy.trust)
    head = "\r\n".join([*lines, "Host: app.example.com", f"Content-Length: {len(body)}", "", ""])
    writer.write(head.encode() + body)
    async with asyncio.timeout(20):
        status = await reader.readuntil(b"\r\n\r\n")
        size = re.search(rb"(?i)content-length: (\d+)", status)
        answer = await reader.readexactly(int(size[1])) if size else b""
    writer.close()
    return status + answer


async def test_messages_and_what_the_application_is_told(site: Site, proxy: Proxy) -> None:
    """The origin is the proxy's, as a browser sends it; nothing of it is configured."""
    browser = {"Origin": proxy.url, "Cookie": "session=ann"}
    async with (
        Tab(proxy.ws, ssl=proxy.trust, additional_headers=browser) as ann,
        Tab(proxy.ws, token="bob", ssl=proxy.trust) as bob,
    ):
        for tab in (ann, bob):
            await tab.join("open:a")
        await site.server.hub.room("open:a").send({"type": "n"})
        for tab in (ann, bob):
            await tab.receive("n")
        proxy.reload()
        await site.server.hub.room("open:a").send({"type": "m"})
        for tab in (ann, bob):
            await tab.receive("m")
        async with connect(proxy.ws + "/scheme", ssl=proxy.trust, open_timeout=SOON) as plain:
            assert await plain.recv() == "wss"


async def test_what_is_kept_from_the_outside_and_what_offers_another_protocol(site: Site, proxy: Proxy) -> None:
    """As curl and the JDK's client do, with all that a smuggler could want in the body."""
    for path in ("/stats", "/%73tats", "/stats?x=1"):
        assert b" 404 " in await exchange(proxy, f"GET {path} HTTP/1.1")
    body = SMUGGLED * 2000
    for offer in (
        ("Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQAAP__"),
        ("Upgrade: websocket, h2c", "Connection: upgrade"),
        ("Upgrade: websocket", "Connection: upgrade"),
    ):
        answer = await exchange(proxy, "POST /echo HTTP/1.1", *offer, body=body)
        if offer[0] == "Upgrade: websocket" and b" 405 " in answer:
            continue  # what HAProxy passes on with a body offers nothing, and is answered
        assert b'"size":%d' % len(body) in answer
        assert b'"scheme":"https","host":"app.example.com"' in answer
    assert {path for path in site.asked if path != "/health/ready"} == {"/echo"}


async def test_the_longest_credential_and_many_cookies(site: Site, proxy: Proxy) -> None:
    longest = "x" * Limits().credential
    cookies = "; ".join(f"c{number}={'x' * 3800}" for number in range(3))
    for path, headers, subprotocols in (
        (f"/plain?token={longest}", {}, None),
        ("/plain", {"Cookie": cookies}, None),
        ("/plain", {"Cookie": f"session={longest}"}, None),
        ("/plain", {}, [Subprotocol("hubbub.v1"), Subprotocol(f"hubbub.bearer.{longest}")]),
    ):
        async with connect(
            proxy.ws + path, ssl=proxy.trust, additional_headers=headers, subprotocols=subprotocols
        ) as plain:
            await plain.send("four")
            assert await plain.recv() == "4"


async def test_a_refusal_of_what_nobody_read(site: Site, proxy: Proxy) -> None:
    for _ in range(20):
        assert b" 405 " in await exchange(proxy, "PUT /echo HTTP/1.1", body=bytes(900_000))


async def test_every_code_arrives(site: Site, proxy: Proxy) -> None:
    """Of clients that are sending: each is told, and none sees 1006."""

    async def ended(path: str) -> int | None:
        async with connect(
            proxy.ws + path, ssl=proxy.trust, open_timeout=SOON, compression=None, max_size=None
        ) as socket:
            with contextlib.suppress(ConnectionClosed):
                await socket.send("x" * 400_000)
            await socket.wait_closed()
            return socket.close_code

    codes: Counter[int | None] = Counter()
    codes.update(await asyncio.gather(*(ended(path) for path in ["/ws?token=ann", "/plain"] * 60)))
    assert codes == {1009: 120}


async def test_a_restart_is_told(site: Site, proxy: Proxy) -> None:
    entered: list[str] = []

    async def sends(path: str) -> int | None:
        # Whatever it is answered waits in the client: one that does not read would not see the end either.
        async with connect(
            proxy.ws + path, ssl=proxy.trust, open_timeout=SOON, compression=None, max_queue=None
        ) as socket:
            entered.append(path)
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await socket.send("x" * 60_000)
                    await asyncio.sleep(0.01)
            await socket.wait_closed()
            return socket.close_code

    running = [asyncio.create_task(sends(path)) for path in ["/ws?token=ann", "/plain"] * 5]
    await until(lambda: len(entered) == 10, "all are in")
    await asyncio.sleep(0.1)
    site.server.address.server.should_exit = True
    assert Counter(await asyncio.gather(*running)) == {1012: 10}

"""Who takes part in these tests: names nobody else has, log-ins, and a tab on each worker.

All tests of this folder share one server, so none may meet another's users or rooms.
"""

import ssl
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response

from tests.kit.client import Tab
from tests.kit.running import Served
from tests.kit.waiting import SOON, tries, until

# Made once and without certificates, which no test here needs: httpx loads them for every client, at 18 ms each.
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def fresh(name: str) -> str:
    """A user or a room nobody else has."""
    return f"{name}-{uuid.uuid4().hex[:10]}"


def http(server: Served, **options: Any) -> httpx.AsyncClient:
    """One connection, kept: all its requests reach the same worker."""
    return httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=SOON, verify=_NO_TLS, **options)


async def login(server: Served, name: str) -> str:
    """A token."""
    async with http(server) as client:
        response = await client.post("/login", json={"name": name})
    assert response.status_code == 200, response.text
    return str(response.json()["token"])


async def stats(server: Served) -> dict[str, Any]:
    """From whichever worker answers."""
    async with http(server) as client:
        response = await client.get("/stats")
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


async def nobody_left(server: Served) -> None:
    """Wait until the tabs of earlier tests are gone from the counts."""

    async def empty() -> bool:
        counted = await stats(server)
        return counted["connections"] == counted["users"] == counted["rooms"] == 0

    await until(empty, "the counts of /stats are zero when every tab is gone")


async def refusal(url: str, **options: Any) -> Response:
    """The HTTP answer to a handshake that is refused."""
    try:
        async with connect(url, compression=None, open_timeout=SOON, **options) as socket:
            raise AssertionError(f"accepted, with the subprotocol {socket.subprotocol}")
    except InvalidStatus as refused:
        return refused.response


@asynccontextmanager
async def one_tab_on_each_worker(server: Served) -> AsyncIterator[list[Tab]]:
    """Guests, each of a name of its own; `tab.welcome["user"]` is it."""
    async with AsyncExitStack() as stack:
        tabs: dict[str, Tab] = {}
        for _ in tries("a tab on every worker", within=60):
            tab = await stack.enter_async_context(Tab(server.ws, user=fresh("guest")))
            if tabs.setdefault(tab.node, tab) is not tab:
                await tab.close()
            if len(tabs) == server.count:
                break
        yield list(tabs.values())


@asynccontextmanager
async def one_client_on_each_worker(server: Served) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
    """HTTP connections that stay open, by node."""
    async with AsyncExitStack() as stack:
        clients: dict[str, httpx.AsyncClient] = {}
        for _ in tries("a request to every worker", within=60):
            client = await stack.enter_async_context(http(server))
            node = (await client.get("/health/ready")).json()["node"]
            if clients.setdefault(node, client) is not client:
                await client.aclose()
            if len(clients) == server.count:
                break
        yield clients

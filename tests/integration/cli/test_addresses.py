"""`hubbub serve` behind proxies that are named by its setting: whose address counts, and what the audit says."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import connect, unix_connect
from websockets.exceptions import InvalidStatus

from tests.kit.commanded import APPLICATION, commanded
from tests.kit.running import Served

APP = APPLICATION.replace("import Hub,", "import Addresses, Hub,").replace(
    "Hub(auth=Names())", "Hub(auth=Names(), addresses=Addresses(connections=1))"
)
HOSTILE, HONEST = "203.0.113.7", "198.51.100.1"


async def statuses(connecting: Any) -> list[int]:
    """Of one, a second of the same address that says something else before it, and one of another address."""
    found, opened = [], []
    for told in (HOSTILE, f"10.9.8.7, {HOSTILE}", f"{HOSTILE}, {HONEST}"):
        try:
            opened.append(await connecting(additional_headers={"X-Forwarded-For": told}))
            found.append(101)
        except InvalidStatus as refused:
            found.append(refused.response.status_code)
    for each in opened:
        await each.close()
    return found


def test_a_proxy_by_its_address(tmp_path: Path) -> None:
    (tmp_path / "named.py").write_text(APP)
    flags = ("--proxies", "127.0.0.1", "--audit", "--log-level", "warning")
    with Served("named:app", *flags, cwd=tmp_path) as server:
        found = asyncio.run(statuses(lambda **options: connect(f"{server.ws}/ws?token=ann", **options)))
        assert found == [101, 429, 101]
        assert server.stop() == 0
        assert f"connect user=ann address={HOSTILE} " in server.output
        why = '"too many connections from this address"'
        assert f"refused user=- address={HOSTILE} origin=- cause={why} code=429" in server.output
        assert "kicked" not in server.output


def test_a_proxy_by_a_unix_socket(tmp_path: Path) -> None:
    (tmp_path / "named.py").write_text(APP)
    path = tmp_path / "hub.sock"
    client = httpx.Client(transport=httpx.HTTPTransport(uds=str(path)))
    command = ["hubbub", "serve", "named:app", "--drain", "0", "--uds", str(path), "--proxies", "unix"]
    with commanded(command, cwd=tmp_path, client=client, after="Hubbub serves"):
        found = asyncio.run(statuses(lambda **options: unix_connect(str(path), "ws://x/ws?token=ann", **options)))
        assert found == [101, 429, 101]

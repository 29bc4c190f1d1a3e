"""`docs/howto/origins.md`, on a real server."""

import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import websockets

from hubbub import Hub, JWTAuth
from hubbub.auth.origin import parse_hosts, parse_origins
from tests.docs.conftest import SECRET
from tests.docs.pages import rows, sections
from tests.kit.client import Tab
from tests.kit.serving import Address, serving, simple

PAGE = "docs/howto/origins.md"
Example = Callable[[str, str], ModuleType]
LOGGED_IN = {"Cookie": f"session={JWTAuth(SECRET).sign('ann')}"}


async def status(server: Address, host: str = "api.example.com", **options: Any) -> int:
    """Of a handshake whose Host is `host`: 101 where it is let in."""
    port = int(server.url.rpartition(":")[2])
    try:
        async with Tab(f"ws://{host}", host="127.0.0.1", port=port, **options):
            return 101
    except websockets.InvalidStatus as refused:
        return refused.response.status_code


async def test_who_may_connect(example: Example) -> None:
    module = example(PAGE, "packaged.py")
    async with serving(module.app) as server:
        for origin in ("https://app.example.com", "capacitor://localhost", "https://localhost", "app://-", None):
            assert await status(server, origin=origin, additional_headers=LOGGED_IN) == 101
        for origin in ("app://.", "https://evil.example", "null", "file://", "capacitor://localhost.evil.example"):
            assert await status(server, origin=origin, additional_headers=LOGGED_IN) == 403


@pytest.mark.parametrize("credential", [{"additional_headers": LOGGED_IN}, {"token": JWTAuth(SECRET).sign("ann")}])
async def test_the_servers_own_address(example: Example, credential: dict[str, Any]) -> None:
    module = example(PAGE, "packaged.py")
    async with serving(module.app) as server:
        for origin in ("https://api.example.com", "http://api.example.com"):  # React Native, websocket-client
            assert await status(server, origin=origin, **credential) == 101
            assert await status(server, host="evil.example", origin=origin, **credential) == 403
        assert await status(server, host="evil.example", origin="https://evil.example", **credential) == 403


async def test_null_is_let_in_with_a_token_and_by_no_cookie() -> None:
    hub = Hub(auth=JWTAuth(SECRET, cookie="session"), origins=["null", "file://"])
    async with serving(simple(hub)) as server:
        for origin in ("null", "file://"):
            assert await status(server, origin=origin, token=JWTAuth(SECRET).sign("ann")) == 101
        assert await status(server, origin="null", additional_headers=LOGGED_IN) == 403
        assert await status(server, origin="file://", additional_headers=LOGGED_IN) == 101


def test_what_the_page_says_they_send_can_be_configured() -> None:
    said = [code for row in rows(sections(PAGE)["What they send"]) for code in re.findall(r"`([^`]+)`", row[1])]
    sent = [code for code in said if "://" in code or code == "null"]
    assert len(sent) > 12
    for origin in sent:
        parse_origins([re.sub("<id>", "abc", origin)])
    parse_hosts(["api.example.com"])

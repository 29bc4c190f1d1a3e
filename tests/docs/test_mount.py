"""`docs/howto/mount.md`, on a real server."""

from collections.abc import Callable
from types import ModuleType

import httpx

from tests.kit.client import Tab
from tests.kit.serving import serving

Example = Callable[[str, str], ModuleType]


async def test_a_mounted_application(example: Example, token: Callable[[str], str]) -> None:
    module = example("docs/howto/mount.md", "mounted.py")
    async with (
        serving(module.app) as server,
        httpx.AsyncClient(trust_env=False, base_url=server.url) as http,
        Tab(server.ws, "/rt/ws", token=token("ann")) as ann,
    ):
        assert (await http.get("/health/ready")).json() == {"status": "ready", "node": ann.node}
        assert (await http.post("/announce")).status_code == 200
        await ann.receive("announcement")
    assert not module.hub.ready

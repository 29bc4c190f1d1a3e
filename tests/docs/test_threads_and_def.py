"""`docs/howto/threads-and-def.md`, on a real server. What is refused is in `tests/integration/hub/test_threads.py`."""

import asyncio
from collections.abc import Callable
from types import ModuleType

import httpx

from tests.kit.client import Tab
from tests.kit.serving import serving

PAGE = "docs/howto/threads-and-def.md"
Example = Callable[[str, str], ModuleType]


async def test_threads_send(example: Example, token: Callable[[str], str]) -> None:
    module = example(PAGE, "threads.py")
    async with (
        serving(module.app) as server,
        Tab(server.ws, token=token("alice")) as alice,
        httpx.AsyncClient(base_url=server.url, trust_env=False) as http,
    ):
        assert (await http.post("/orders/7/ship")).json() is True
        assert await alice.receive() == {"type": "order_shipped", "order": 7}
        await alice.send({"type": "count", "upto": 2})
        assert [(await alice.receive("counted"))["number"] for _ in range(2)] == [0, 1]
        assert await asyncio.to_thread(module.hub.run, module.hub.lease("once").turn()) == 1
        module.announce_in_a_thread()
        await alice.receive("news")

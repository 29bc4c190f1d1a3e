"""The example of `docs/howto/servers.md`; its table is tried in `tests/integration/cli/test_servers.py`."""

from collections.abc import Callable
from types import ModuleType

from tests.kit.client import Tab
from tests.kit.serving import serving

Example = Callable[[str, str], ModuleType]


async def test_a_hub_that_is_started_by_its_first_request(example: Example, token: Callable[[str], str]) -> None:
    module = example("docs/howto/servers.md", "daphne_app.py")
    async with serving(module.application, lifespan="off") as server:
        async with Tab(server.ws, token=token("ann")) as ann:
            assert ann.node == module.hub.node
        await module.hub.stop()

"""What `docs/howto/deploy.md` says of health; flags are checked in `test_settings.py`, signals where the command is."""

from collections.abc import Callable
from types import ModuleType

import httpx

from hubbub.cli.settings import Settings
from tests.docs.pages import read
from tests.kit.serving import serving

PAGE = "docs/howto/deploy.md"


async def test_health(example: Callable[[str, str], ModuleType]) -> None:
    module = example(PAGE, "health.py")
    async with serving(module.app) as server, httpx.AsyncClient(base_url=server.url, trust_env=False) as http:
        for path in ("/health/live", "/health/ready", "/stats"):
            assert (await http.get(path)).status_code == 200
        assert set((await http.get("/stats")).json()) == {"connections", "users", "rooms", "workers"}


def test_the_stop_of_the_unit_is_longer_than_the_grace() -> None:
    text = read(PAGE)
    grace = Settings.model_fields["grace"].default
    assert f"`--grace`, {grace} s" in text
    stop = next(int(line.partition("=")[2]) for line in text.splitlines() if line.startswith("TimeoutStopSec="))
    assert stop > grace + 5  # what the command itself gives a worker beyond the grace

"""`docs/howto/slow-readers.md`: its example on a real server, its words against the source."""

import json
import re
from collections.abc import Callable
from types import ModuleType

import httpx

from hubbub.options import Limits, Slow
from hubbub.ports.metrics import Count
from hubbub.protocol import messages
from tests.docs.pages import plain, read, rows
from tests.kit.client import Tab
from tests.kit.serving import at_rest, serving

PAGE = "docs/howto/slow-readers.md"


async def test_who_keeps_up_gets_everything_under_every_policy(
    example: Callable[[str, str], ModuleType], token: Callable[[str], str]
) -> None:
    module = example(PAGE, "policies.py")
    async with (
        serving(module.app) as server,
        Tab(server.ws, token=token("ann")) as ann,
        httpx.AsyncClient(base_url=server.url, trust_env=False) as http,
    ):
        for room in ("orders:7", "log:web", "metrics"):
            await ann.join(room)
        for room in ("orders:7", "log:web"):
            for number in range(3):
                await module.hub.room(room).send({"type": "n", "number": number})
                assert await ann.receive() == {"type": "n", "number": number, "room": room}
        for value in (0.5, 1.5):
            assert (await http.post(f"/metrics/web1/{value}")).status_code == 200
            assert await ann.receive() == {"type": "cpu", "host": "web1", "value": value, "room": "metrics"}
        await ann.close()
        await at_rest(module.hub)


def test_the_policies_are_those_there_are() -> None:
    assert [plain(name) for name, _, _ in rows(read(PAGE))] == [f'"{slow}"' for slow in Slow]
    assert f"up to {Limits().outbox // 1024 // 1024} MiB a connection" in read(PAGE)


def test_a_gap_looks_as_it_says() -> None:
    without, kept = (json.loads(block) for block in re.findall(r"```json\n(.*?)\n```", read(PAGE)))
    assert json.loads(messages.dropped("log:web", 12).data) == without
    assert json.loads(messages.gap("log:web", epoch=kept["epoch"], after=41, upto=53).data) == kept


def test_what_is_counted_is_called_so() -> None:
    counted = read(PAGE).split("**Counted.**")[1]
    assert re.findall(r"`(\w+)`", counted) == [Count.SLOW, Count.DROPPED, Count.SUPERSEDED, Count.PUBLISHING_LIMITED]

"""The README's example as somebody types it in, on two workers."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.docs.conftest import SECRET
from tests.docs.pages import examples
from tests.kit.client import Tab
from tests.kit.running import Served
from tests.kit.waiting import tries


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    here = tmp_path_factory.mktemp("readme")
    (here / "main.py").write_text(examples("README.md")["main.py"])
    with Served("main:app", "--workers", "2", env={"HUBBUB_SECRET": SECRET}, cwd=here, ready="/docs") as server:
        yield server


async def test_the_readmes_example_on_two_workers(server: Served, token: Callable[[str], str]) -> None:
    async with Tab(server.ws, token=token("alice")) as alice:
        await alice.join("team:7")
        for _ in tries("bob is on the other worker", within=60):
            async with Tab(server.ws, token=token("bob")) as bob:
                if bob.node == alice.node:
                    continue
                assert (await bob.join("team:7"))["members"] == ["alice", "bob"]
                await alice.receive("user_joined_room", user="bob")
                await bob.send({"type": "say", "room": "team:7", "text": "hello"})
                for tab in (alice, bob):
                    said = await tab.receive("said")
                    assert said == {"type": "said", "by": "bob", "text": "hello", "room": "team:7"}
                async with httpx.AsyncClient(base_url=server.url, trust_env=False) as http:
                    for _ in range(4):  # some worker takes it
                        assert (await http.post("/orders/1/ship")).status_code == 200
                        assert await alice.receive("order_shipped") == {"type": "order_shipped", "order": 1}
                await bob.nothing("order_shipped")
                assert (await bob.request("join_room", room="team:8"))["code"] == "forbidden"
                assert (await bob.request("join_room", room="club"))["code"] == "unknown_room"
                assert (await bob.request("say", room="team:8", text="x"))["code"] == "not_joined"
                break
        await alice.receive("user_left_room", user="bob")

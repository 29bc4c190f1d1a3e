"""`docs/howto/dependencies.md`: its accounts on a real server, and its own test of them."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import httpx
import jwt

from tests.docs.conftest import SECRET
from tests.docs.running import its_tests_pass
from tests.kit.client import Tab
from tests.kit.serving import serving

PAGE = "docs/howto/dependencies.md"


async def test_its_accounts(example: Callable[[str, str], ModuleType], token: Callable[[str], str]) -> None:
    module = example(PAGE, "accounts.py")
    async with (
        serving(module.app) as server,
        httpx.AsyncClient(base_url=server.url, trust_env=False) as http,
        Tab(server.ws, token=token("alice")) as alice,
        Tab(server.ws, token=token("bob")) as bob,
        Tab(server.ws, token=token("carol")) as carol,
    ):
        await alice.join("team:7")
        await bob.join("team:8")
        refused = [await tab.request("join_room", room="team:7") for tab in (bob, carol)]
        assert [each["code"] for each in refused] == ["forbidden", "not_found"]
        assert (await alice.request("post", room="team:7", text="hello"))["type"] == "ack"
        posted = {"type": "posted", "by": "Alice", "text": "hello", "room": "team:7"}
        assert [each for each in alice.log if each["type"] == "posted"] == [posted]
        assert (await alice.request("post", room="team:8", text="hello"))["code"] == "not_joined"
        refusal = await bob.request("post", room="team:8", text="hello")
        assert (refusal["code"], refusal["message"]) == ("forbidden", "you may not write")
        for name, status in (("alice", 200), ("carol", 404)):
            answer = await http.get("/me", headers={"Authorization": f"Bearer {token(name)}"})
            assert answer.status_code == status
        expired = jwt.encode({"sub": "alice", "exp": 1}, SECRET, algorithm="HS256")
        for refused_token in ("nonsense", expired):
            assert (await http.get("/me", headers={"Authorization": f"Bearer {refused_token}"})).status_code == 401


def test_its_test_passes(tmp_path: Path) -> None:
    its_tests_pass(PAGE, {"accounts.py", "test_accounts.py"}, tmp_path)

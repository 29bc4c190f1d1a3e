"""`docs/howto/permissions.md`: a room that some only read, and not all see who is in."""

from collections.abc import Callable
from types import ModuleType

import pytest
from fastapi import FastAPI

from hubbub import JWTAuth
from tests.kit.client import Tab
from tests.kit.serving import serving

PAGE = "docs/howto/permissions.md"


async def test_editors_write_and_the_staff_sees_who_reads(
    example: Callable[[str, str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "not a secret, but as long as one has to be"
    monkeypatch.setenv("HUBBUB_SECRET", secret)
    module = example(PAGE, "permissions.py")
    app = FastAPI()
    app.include_router(module.hub.router)
    auth = JWTAuth(secret)
    editor = auth.sign("ann", expires_in=60, edits=["home"], staff=True)
    reader = auth.sign("bob", expires_in=60)
    async with serving(app) as server, Tab(server.ws, token=editor) as ann, Tab(server.ws, token=reader) as bob:
        assert "members" not in await bob.join("news:home")
        assert (await ann.join("news:home"))["members"] == ["ann", "bob"]
        await ann.ask({"type": "line", "desk": "home", "text": "hello"})
        await bob.receive("line", text="hello")
        assert (await bob.request("line", desk="home", text="me too"))["code"] == "forbidden"

"""`docs/reference/admin.md` and `docs/howto/admin.md`: the routes they name, and the applications they show."""

import re
from collections.abc import Callable
from types import ModuleType

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, APIWebSocketRoute

from hubbub.integrations.admin import admin
from tests.docs.pages import read
from tests.kit.serving import serving

KEY = "k" * 40


def test_the_table_has_all_routes_and_no_other() -> None:
    app = FastAPI()
    router = admin(key=KEY)
    app.include_router(router)
    there = set()
    for route in _routes(router):
        if isinstance(route, APIWebSocketRoute):
            there.add(f"WebSocket {_plain(route.path)}")
        elif isinstance(route, APIRoute) and (route.include_in_schema or "/api/" in route.path):
            there |= {f"{method} {_plain(route.path)}" for method in route.methods}
    said = set(re.findall(r"^\| `((?:GET|POST|WebSocket) [^`]+)` \|", read("docs/reference/admin.md"), re.MULTILINE))
    assert said == there


def _plain(path: str) -> str:
    return path.replace(":path}", "}")


def _routes(router: object) -> list[object]:
    found: list[object] = []
    for route in getattr(router, "routes", ()):
        inner = getattr(route, "original_router", None)
        if inner is None:
            found.append(route)
        else:
            found += _routes(inner)
    return found


@pytest.mark.parametrize(
    ("file", "headers"),
    [
        ("administered.py", {"Authorization": f"Bearer {KEY}"}),
        ("own_operators.py", {"X-Forwarded-Email": "ann@shop.example"}),
    ],
)
async def test_its_applications_let_in_operators_alone(
    example: Callable[[str, str], ModuleType], monkeypatch: pytest.MonkeyPatch, file: str, headers: dict[str, str]
) -> None:
    monkeypatch.setenv("HUBBUB_ADMIN_KEY", KEY)
    module = example("docs/howto/admin.md", file)
    async with serving(module.app) as server, httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
        assert (await client.get("/admin/api/overview")).status_code in (401, 403)
        assert (await client.get("/admin/api/overview", headers=headers)).status_code == 200
        assert (await client.get("/admin/")).status_code == 200

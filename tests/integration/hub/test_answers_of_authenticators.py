"""What authenticators and stores answer, however they are written: a `User` lets in, and nothing else."""

import asyncio
import functools
import threading
from collections.abc import Callable
from typing import Any

import pytest
import websockets
from fastapi import FastAPI

from hubbub import Credential, Hub, InvalidCredential, SessionAuth, User
from tests.integration.hub.answering import WRONG, logged
from tests.kit.client import Tab
from tests.kit.decorators import passing
from tests.kit.serving import serving


class Auth:
    cookie: str | None = None
    bearer = True

    def __init__(self, function: Callable[[Credential], Any]) -> None:
        self.authenticate = function


async def find(credential: Credential) -> User:
    await asyncio.sleep(0)
    return find_blocking(credential)


def find_blocking(credential: Credential) -> User:
    if credential.value != "ann":
        raise InvalidCredential("nobody's")
    return User(credential.value)  # type: ignore[arg-type]


async def find_among(names: set[str], credential: Credential) -> User:
    assert names
    return await find(credential)


def in_thread(credential: Credential) -> User:
    assert threading.current_thread() is not threading.main_thread()
    return find_blocking(credential)


def store(session_id: str) -> User | None:
    assert threading.current_thread() is not threading.main_thread()
    return User(session_id) if session_id == "ann" else None  # type: ignore[arg-type]


async def store_of(names: set[str], session_id: str) -> User | None:
    return User(session_id) if session_id in names else None  # type: ignore[arg-type]


AUTHENTICATORS: dict[str, Any] = {
    "plain": Auth(find),
    "passing": Auth(passing(find)),
    "forgetting": Auth(lambda credential: find(credential)),
    "thread": Auth(in_thread),
    "partial": Auth(functools.partial(find_among, {"ann"})),
    "store": SessionAuth(store),
    "store-partial": SessionAuth(functools.partial(store_of, {"ann"})),
    "store-passing": SessionAuth(passing(functools.partial(store_of, {"ann"}))),
}


async def refused(*arguments: Any, **options: Any) -> int:
    with pytest.raises(websockets.InvalidStatus) as refusal:
        await Tab(*arguments, **options).connect()
    return refusal.value.response.status_code


async def test_an_authenticator_is_asked_however_it_is_written(caplog: pytest.LogCaptureFixture) -> None:
    app = FastAPI()
    for kind, auth in AUTHENTICATORS.items():
        app.include_router(Hub(auth=auth, path=f"/{kind}").router)

    def shown(kind: str, name: str) -> dict[str, Any]:
        cookie = {"additional_headers": {"Cookie": f"session={name}"}}
        return cookie if kind.startswith("store") else {"token": name}

    async with serving(app) as server:
        for kind in AUTHENTICATORS:
            async with Tab(server.ws, f"/{kind}", **shown(kind, "ann")) as tab:
                assert tab.welcome["user"] == "ann", kind
            assert await refused(server.ws, f"/{kind}", **shown(kind, "bob")) == 401, kind
    assert not logged(caplog)


@pytest.mark.complains("a request of connection .* failed", "authenticating a handshake failed")
async def test_what_an_authenticator_gives_is_told_by_its_type_and_lets_nobody_in(
    caplog: pytest.LogCaptureFixture,
) -> None:
    wrong = {**WRONG, "true": (True, "bool"), "false": (False, "bool"), "name": ("ann", "str")}
    del wrong["user"]
    app = FastAPI()
    for kind, (given, _) in wrong.items():
        app.include_router(Hub(auth=Auth(lambda _, given=given: given), path=f"/{kind}").router)  # type: ignore[misc]
    async with serving(app) as server:
        for kind, (_, name) in wrong.items():
            caplog.clear()
            assert await refused(server.ws, f"/{kind}", token="secret-token") == 500, kind
            tab = await Tab(server.ws, f"/{kind}").connect()
            await tab.send({"type": "auth", "token": "secret-token"})
            assert await tab.closed() == 1011, kind
            await tab.close()
            lines = [line for line in logged(caplog) if "User" in line]
            assert [line.endswith(f"a User, not {name}") for line in lines] == [True, True], lines
            assert "secret" not in caplog.text

"""Authenticators of the application's own: they hang, they fail, they give what is no user."""

import asyncio
import logging
import math
from typing import Any

import pytest
import websockets

from hubbub import Credential, Hub, Limits, SessionAuth, User
from tests.kit.client import Tab
from tests.kit.inside import inside
from tests.kit.serving import at_rest, serving, simple
from tests.kit.stopwatch import Stopwatch
from tests.kit.waiting import until

SECRET = "secret-of-ann"
# What an authenticator may wrongly give, and what the log says of it.
BAD: dict[str, tuple[Any, str]] = {
    "none": (None, "an authenticator gives a User, not NoneType"),
    "a name": ("ann", "an authenticator gives a User, not str"),
    "202 bytes": (User("é" * 101), "User.id has 1 to 128 bytes"),  # type: ignore[arg-type]
    "nothing": (User(""), "User.id has 1 to 128 bytes"),  # type: ignore[arg-type]
    "a newline": (User("ann\nbob"), "User.id has no control characters"),  # type: ignore[arg-type]
    "a lone surrogate": (User("\ud800"), "User.id is not valid Unicode"),  # type: ignore[arg-type]
    "a number": (User(7), "User.id is a string, not int"),  # type: ignore[arg-type]
    "no end": (User("ann", expires=math.inf), "User.expires is a Unix time"),  # type: ignore[arg-type]
    "not a time": (User("ann", expires=math.nan), "User.expires is a Unix time"),  # type: ignore[arg-type]
    "too far": (User("ann", expires=1e300), "User.expires is a Unix time"),  # type: ignore[arg-type]
    "a date": (User("ann", expires="2026-01-01"), "User.expires is a Unix time"),  # type: ignore[arg-type]
}


class Gives:
    cookie: str | None = "session"
    bearer = True

    def __init__(self, user: Any) -> None:
        self._user = user

    async def authenticate(self, credential: Credential) -> User:
        return self._user  # type: ignore[no-any-return]


class Hangs(Gives):
    async def authenticate(self, credential: Credential) -> User:
        await asyncio.Event().wait()
        raise AssertionError


class Quotes(Gives):
    async def authenticate(self, credential: Credential) -> User:
        raise LookupError(f"no row for {credential.value}")


def told(caplog: pytest.LogCaptureFixture) -> str:
    """The one line about it; uvicorn has one of its own for whatever is answered by HTTP."""
    ours = [each for each in caplog.records if each.name.startswith("hubbub.") and each.levelno >= logging.ERROR]
    [line] = [each.getMessage() for each in ours]
    return line


async def refused(server_ws: str, **options: Any) -> int:
    with pytest.raises(websockets.InvalidStatus) as refusal:
        await Tab(server_ws, **options).connect()
    return refusal.value.response.status_code


async def test_one_that_hangs_has_its_time() -> None:
    hub = Hub(auth=Hangs(None), limits=Limits(authenticate=1.0))
    async with serving(simple(hub)) as server:
        watch = Stopwatch()
        assert await refused(server.ws, token="ann") == 503
        assert watch.wall > 0.9
        assert watch.own < 3.7
        tab = await Tab(server.ws).connect()
        watch = Stopwatch()
        await tab.send({"type": "auth", "token": "ann"})
        assert await tab.closed() == 1013
        assert watch.wall > 0.9
        assert watch.own < 3.7
        assert tab.log == []
        await tab.close()
        await until(lambda: not inside(hub).endpoint.connections, "gone")
        assert inside(hub).endpoint.handshakes.under_way == 0
        assert not inside(hub).endpoint.handshakes.unauthenticated
        assert not inside(hub).registry


@pytest.mark.complains("a request of connection .* failed", "authenticating a handshake failed")
@pytest.mark.parametrize("what", BAD)
async def test_what_is_no_user_lets_nobody_in(what: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    user, said = BAD[what]
    hub = Hub(auth=Gives(user))
    async with serving(simple(hub)) as server:
        assert await refused(server.ws, additional_headers={"Cookie": f"session={SECRET}"}, origin=server.url) == 500
        line = told(caplog)
        assert said in line
        assert "in check_user" in line
        caplog.clear()
        tab = await Tab(server.ws).connect()
        await tab.send({"type": "auth", "token": SECRET})
        assert await tab.closed() == 1011
        assert tab.log == []
        await tab.close()
        line = told(caplog)
        assert said in line
        assert "in check_user" in line
        await at_rest(hub)
    assert SECRET not in caplog.text


@pytest.mark.complains("a request of connection .* failed", "authenticating a handshake failed")
@pytest.mark.parametrize("how", ["authenticator", "store"])
async def test_what_quotes_the_secret_is_not_quoted(how: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def load(session_id: str) -> User | None:
        raise LookupError(f"no row for {session_id}")

    hub = Hub(auth=SessionAuth(load) if how == "store" else Quotes(None))
    async with serving(simple(hub)) as server:
        assert await refused(server.ws, additional_headers={"Cookie": f"session={SECRET}"}, origin=server.url) == 500
        place = "in load" if how == "store" else "in authenticate"
        assert "builtins.LookupError at " in told(caplog)
        assert f"{__file__}:" in told(caplog)
        assert told(caplog).endswith(place)
        if how == "authenticator":
            caplog.clear()
            tab = await Tab(server.ws).connect()
            await tab.send({"type": "auth", "token": SECRET})
            assert await tab.closed() == 1011
            await tab.close()
            assert "builtins.LookupError at " in told(caplog)
            assert told(caplog).endswith(place)
        await at_rest(hub)
    assert "no row for" not in caplog.text
    assert SECRET not in caplog.text

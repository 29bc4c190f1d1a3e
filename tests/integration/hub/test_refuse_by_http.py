"""`Hub(refuse="http")`: who is not let in is not accepted, browsers neither, and hears of it by HTTP."""

import json
from dataclasses import replace
from typing import Annotated, Any

import pytest
import websockets
from fastapi import Depends, FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hubbub import Connection, Credential, Hub, Limits, Refused, User
from hubbub.ports.metrics import Count, Tally
from tests.kit.client import Tab
from tests.kit.serving import Names, at_rest, serving, simple

INVALID = {"code": 4001, "reason": "credential invalid, or first message was none"}


class Watch:
    """What is answered to handshakes; `extension` False: by a server that has none for their refusal."""

    def __init__(self, app: ASGIApp, *, extension: bool = True) -> None:
        self._app = app
        self._extension = extension
        self.said: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and not self._extension:
            scope["extensions"] = {
                name: value for name, value in scope["extensions"].items() if name != "websocket.http.response"
            }

        async def heard(message: Message) -> None:
            if scope["type"] == "websocket":
                self.said.append(message["type"])
            await send(message)

        await self._app(scope, receive, heard)


async def refused(tab: Tab) -> tuple[int, Any, dict[str, Any]]:
    with pytest.raises(websockets.InvalidStatus) as refusal:
        await tab.connect()
    answer = refusal.value.response
    return answer.status_code, answer.headers, json.loads(answer.body or b"{}")


@pytest.mark.parametrize(
    "presented",
    [
        {"token": "nobody"},
        {"path": "/ws?token=nobody"},
        {"additional_headers": {"Cookie": "session=nobody"}},
        {"token": "old"},
        {"path": "/ws?token="},
    ],
    ids=["subprotocol", "query", "cookie", "expired", "empty"],
)
async def test_a_browser_with_a_bad_credential_is_not_accepted(presented: dict[str, Any]) -> None:
    metrics = Tally()
    hub = Hub(auth=Names(), refuse="http", metrics=metrics)
    app = Watch(simple(hub))
    async with serving(app) as server:
        status, headers, body = await refused(Tab(server.ws, origin=server.url, **presented))
        assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
        assert body.pop("detail")
        assert body == INVALID
        assert "websocket.accept" not in app.said
        assert metrics.counts[Count.REFUSED_HANDSHAKES] == 1
        async with Tab(server.ws, token="ann", origin=server.url):
            pass
        await at_rest(hub)


async def test_without_an_origin_it_is_the_same_and_was_before() -> None:
    for refuse in ("close", "http"):
        async with serving(simple(Hub(auth=Names(), refuse=refuse))) as server:  # type: ignore[arg-type]
            status, headers, body = await refused(Tab(server.ws, token="nobody"))
            assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
            assert body == {"detail": "nobody's", **INVALID}


async def test_a_revoked_one_neither() -> None:
    class Dated(Names):
        async def authenticate(self, credential: Credential) -> User:
            return replace(await super().authenticate(credential), token_id="7")

    hub = Hub(auth=Dated(), refuse="http")
    async with serving(simple(hub)) as server, Tab(server.ws, token="bob", origin=server.url) as bob:
        await hub.revoke(token="7")
        assert await bob.closed() == 4001
        status, _, body = await refused(Tab(server.ws, token="bob", origin=server.url))
        assert (status, body["code"]) == (401, 4001)


@pytest.mark.complains("authenticating a handshake failed")
async def test_what_a_refusal_says_beside_its_status() -> None:
    hub = Hub(auth=Names(), refuse="http", limits=Limits(connections=1), origins=["https://good.example"])
    async with serving(simple(hub)) as server:
        status, _, body = await refused(Tab(server.ws, token="ann", origin="https://evil.example"))
        assert (status, body) == (403, {"detail": "this Origin may not connect"})
        status, _, body = await refused(Tab(server.ws, token="fail"))
        assert (status, body) == (
            500,
            {"detail": "the credential could not be checked", "code": 1011, "reason": "internal error"},
        )
        async with Tab(server.ws, token="ann"):
            status, headers, body = await refused(Tab(server.ws, token="bob"))
            assert (status, int(headers["Retry-After"])) == (503, 2)
            assert body == {
                "detail": "this worker is full",
                "code": 1013,
                "reason": "overloaded, try again later",
            }


async def test_a_server_that_cannot_say_more_says_403() -> None:
    hub = Hub(auth=Names(), refuse="http")
    app = Watch(simple(hub), extension=False)
    async with serving(app) as server:
        status, _, _ = await refused(Tab(server.ws, token="nobody", origin=server.url))
        assert (status, app.said) == (403, ["websocket.close"])
        await at_rest(hub)


async def test_a_route_of_the_applications_own_refuses_alike() -> None:
    hub = Hub(auth=Names(), refuse="http")
    app = FastAPI()
    app.include_router(hub.router)

    @app.websocket("/plain")
    async def plain(connection: Annotated[Connection, Depends(hub.accept)]) -> None:
        raise AssertionError(connection)

    watched = Watch(app)
    async with serving(watched) as server:
        status, _, body = await refused(Tab(server.ws, "/plain", token="nobody", origin=server.url))
        assert (status, body["code"]) == (401, 4001)
        assert "websocket.accept" not in watched.said


async def test_what_is_known_after_accept_alone_closes_as_ever() -> None:
    hub = Hub(auth=Names(), refuse="http", limits=Limits(connections_per_user=1))

    @hub.on_connect
    async def not_bob(connection: Connection) -> None:
        if connection.user.id == "bob":
            raise Refused("bob stays out")

    async with serving(simple(hub)) as server:
        first = await Tab(server.ws, origin=server.url).connect()
        await first.send({"type": "auth", "token": "nobody"})
        assert await first.closed() == 4001
        second = await Tab(server.ws, token="bob", origin=server.url).connect()
        assert await second.closed() == 4003
        async with Tab(server.ws, token="ann", origin=server.url):
            third = await Tab(server.ws, token="ann", origin=server.url).connect()
            assert await third.closed() == 4004
        for tab in (first, second, third):
            await tab.close()
        await at_rest(hub)

"""Whose WebSocket class a server has after a hub has started in its lifespan, and what is said of it."""

import asyncio
import logging
import threading
from functools import partial
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from hubbub import ConfigurationError, Hub
from hubbub.transports import PROTOCOL
from hubbub.transports import uvicorn as ours
from hubbub.transports.uvicorn import HubbubProtocol
from tests.kit.client import Tab
from tests.kit.serving import Names, serving, simple
from tests.kit.waiting import until

SLOWER = "slower than they could"


@pytest.fixture(autouse=True)
def _nothing_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HUBBUB_TRANSPORT")


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.name == "hubbub.server"]


async def classes(app: Any, **options: Any) -> tuple[type, type]:
    """For WebSockets and for HTTP, while it serves."""
    async with serving(app, **options) as address:
        config = address.server.config
        return config.ws_protocol_class, config.http_protocol_class  # type: ignore[return-value]


async def test_who_chose_nothing_has_the_fast_one_and_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    app = FastAPI()
    for path in ("/one", "/two"):
        app.include_router(Hub(auth=Names(), path=path).router)
    ws, http = await classes(app, ws="auto")
    assert (ws, http.__module__.partition(".")[0]) == (HubbubProtocol, "uvicorn")
    [line] = lines(caplog)
    assert line.startswith(f"sockets have the fast transport, {PROTOCOL}")


async def test_a_subclass_of_ours_stays_and_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    class Mine(HubbubProtocol):
        pass

    assert (await classes(simple(Hub(auth=Names())), ws=Mine))[0] is Mine
    assert lines(caplog) == []


@pytest.mark.parametrize(
    ("chosen", "called"),
    [
        ("websockets-sansio", "websockets-sansio"),
        (WebSocketsSansIOProtocol, "WebSocketsSansIOProtocol"),
        (partial(WebSocketsSansIOProtocol), "partial"),
    ],
)
async def test_what_was_chosen_stays(chosen: Any, called: str, caplog: pytest.LogCaptureFixture) -> None:
    app = FastAPI()
    for path in ("/one", "/two"):
        app.include_router(Hub(auth=Names(), path=path).router)
    assert (await classes(app, ws=chosen))[0] in (WebSocketsSansIOProtocol, chosen)
    [line] = lines(caplog)
    assert SLOWER in line
    assert f"uvicorn was told --ws {called}." in line


async def test_none_at_all_stays_none(caplog: pytest.LogCaptureFixture) -> None:
    assert (await classes(simple(Hub(auth=Names())), ws="none"))[0] is None
    [line] = lines(caplog)
    assert "uvicorn was told --ws none." in line


async def test_asgi_is_a_choice_as_well(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBBUB_TRANSPORT", "asgi")
    assert (await classes(simple(Hub(auth=Names())), ws="auto"))[0] is WebSocketsSansIOProtocol
    assert lines(caplog) == []


async def test_what_is_no_transport_ends_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBBUB_TRANSPORT", "quick")
    with pytest.raises(ConfigurationError, match="HUBBUB_TRANSPORT is fast or asgi, not 'quick'"):
        await Hub(auth=Names()).start()


async def test_a_uvicorn_that_ours_does_not_fit_keeps_its_own(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(ours, "HubbubProtocol")
    assert (await classes(simple(Hub(auth=Names())), ws="auto"))[0] is WebSocketsSansIOProtocol
    [line] = lines(caplog)
    assert "the fast one does not fit this uvicorn: ImportError" in line


async def test_the_server_is_the_one_whose_lifespan_it_is() -> None:
    """Of two in one process, whose signals the other one has."""
    async with serving(simple(Hub(auth=Names())), ws="auto") as one, serving(FastAPI(), ws="auto") as two:
        assert one.server.config.ws_protocol_class is HubbubProtocol
        assert two.server.config.ws_protocol_class is WebSocketsSansIOProtocol


def test_off_the_main_thread_it_is_found_as_well() -> None:
    server = uvicorn.Server(uvicorn.Config(simple(Hub(auth=Names())), port=0, log_config=None))
    told = threading.Event()

    async def serve() -> None:
        running = asyncio.create_task(server.serve())
        await until(lambda: server.started or running.done(), "the server started")
        told.set()
        server.should_exit = True
        await running

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    thread.join(30)
    assert told.is_set()
    assert server.config.ws_protocol_class is HubbubProtocol


@pytest.mark.parametrize("http", ["h11", "httptools", "hubbub.transports.http:HubbubHTTP"])
async def test_who_is_started_by_a_request_is_there_and_what_comes_after_it_is_fast(http: str) -> None:
    hub = Hub(auth=Names())
    inner = simple(hub)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if not hub.ready:
            await hub.start()
        await inner(scope, receive, send)

    async with serving(app, ws="auto", http=http, lifespan="off") as server:
        async with httpx.AsyncClient() as client:
            assert (await client.get(server.url)).status_code == 404
        async with Tab(server.ws, token="ann"):
            pass
        assert server.server.config.ws_protocol_class is HubbubProtocol
        await hub.stop()


async def test_who_is_started_by_a_task_of_the_applications_own_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(FastAPI(), ws="auto") as address:
        with uvicorn.Server.capture_signals(address.server):
            async with Hub(auth=Names()).running():
                pass
        line = lines(caplog)[0]
        assert SLOWER in line
        assert "started by a task of the application's own, and not in the server's lifespan" in line
        assert address.server.config.ws_protocol_class is WebSocketsSansIOProtocol


async def test_what_uvicorn_cannot_be_asked_is_told(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hubbub.hub.fast_transport._configuration_of", lambda runner: None)
    assert (await classes(simple(Hub(auth=Names())), ws="auto"))[0] is WebSocketsSansIOProtocol
    [line] = lines(caplog)
    assert "this uvicorn's configuration was not found" in line


def test_tests_are_told_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with TestClient(simple(Hub(auth=Names()))):
        pass
    assert lines(caplog) == []

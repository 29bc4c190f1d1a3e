"""Whose WebSocket class a server has after a hub has started in its lifespan, and what is said of it."""

import asyncio
import logging
import threading
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from starlette.testclient import TestClient
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from hubbub import ConfigurationError, Hub
from hubbub.transports import PROTOCOL
from hubbub.transports import uvicorn as ours
from hubbub.transports.uvicorn import HubbubProtocol
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
    [("websockets-sansio", "websockets-sansio"), (WebSocketsSansIOProtocol, "WebSocketsSansIOProtocol")],
)
async def test_what_was_chosen_stays(chosen: Any, called: str, caplog: pytest.LogCaptureFixture) -> None:
    app = FastAPI()
    for path in ("/one", "/two"):
        app.include_router(Hub(auth=Names(), path=path).router)
    assert (await classes(app, ws=chosen))[0] is WebSocketsSansIOProtocol
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


def test_tests_are_told_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with TestClient(simple(Hub(auth=Names()))):
        pass
    assert lines(caplog) == []

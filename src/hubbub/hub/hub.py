"""The hub: what an application declares and asks, and how it runs.

An ordinary object, made by the application, never a global of ours: two hubs in one process do not know each other
unless broker and name are equal. What was declared on it is kept by `hub/declarations.py`, and what runs after its
start is `hub/runtime.py`; `hub.router` starts the hub with the application and stops it with it.

The file is longer than others: it is what an application reads, and nearly all of it is said to the reader.
"""

import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Literal, TypeVar

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.websockets import WebSocket

from hubbub.auth import redaction
from hubbub.auth.origin import OriginRules, parse_hosts, parse_origins
from hubbub.auth.select import arrange
from hubbub.brokers.choose import choose_broker
from hubbub.connection.connection import Connection
from hubbub.errors import ConfigurationError, Refused
from hubbub.hub.cluster import Lease, Stats
from hubbub.hub.declarations import Declarations, E, F
from hubbub.hub.endpoint import Endpoint
from hubbub.hub.fast_transport import take_fast_transport
from hubbub.hub.gate import Gate
from hubbub.hub.hook_declarations import HookDeclarations
from hubbub.hub.hook_decorators import HookDecorators
from hubbub.hub.lifecycle import Lifecycle
from hubbub.hub.numbers import Numbers, with_tally
from hubbub.hub.operators import Operators
from hubbub.hub.questions import Workers
from hubbub.hub.runtime import Runtime
from hubbub.hub.server_process import ServerProcess
from hubbub.hub.settings import (
    Configuration,
    HubSettings,
    asked_to_audit,
    check_texts,
    chosen_broker,
    named_proxies,
    usual_addresses,
    usual_rate,
)
from hubbub.hub.signals import leaving_from_environment
from hubbub.hub.upgrade import UpgradeRequired, upgrade_required
from hubbub.options import Addresses, Heartbeat, Keep, Leaving, Limits, Rate, RoomRate, Slow
from hubbub.ports.auth import Authenticator
from hubbub.ports.broker import Broker
from hubbub.ports.clock import Clock
from hubbub.ports.metrics import Metrics, Tally
from hubbub.protocol import messages
from hubbub.protocol.handshake import CONNECTED
from hubbub.rooms.each_room import EachRoom
from hubbub.rooms.publishing import Exclude
from hubbub.rooms.room import Room
from hubbub.rooms.user import UserHandle
from hubbub.tracing.provider import TracerProvider
from hubbub.types import NodeId, Position, User, UserId

T = TypeVar("T")

# Lifespan state of the application: one entry a hub, so that several hubs in one application do not overwrite another.
_STATE = "hubbub:"
_NAME = "hubbub"


class Hub(HookDecorators):
    """Real-time for one FastAPI application.

    `broker`: a URL (`redis://`, `rediss://`, `valkey://`, `unix://`, `memory`) or a broker object; default
    HUBBUB_BROKER, else memory, which joins the connections of one process only. `name` keeps two hubs on one broker
    apart; default "hubbub", and a warning where two applications have that. `auth`: one authenticator or several, for
    the hub's own route and `hub.accept`; without one, nobody gets in
    there. `path`: of the WebSocket route in `hub.router`. `origins`: the web origins that may connect, default those
    whose host is the request's own, checked where a cookie or nothing authenticates. `allowed_hosts`: the hosts for
    which the request's own origin passes, also beside `origins`; default all without `origins`, and none with.
    `announce_users`: tell everyone `user_connected` and `user_disconnected`. `inbox`: what is kept of the messages to a
    user, also of one who is not there; the user's tabs get it by joining the room `@me` with `since`; default and
    False as `history` of `rooms`. `leaving`: how long users are believed to be there, and how a worker goes; default
    `Leaving()`, its window from HUBBUB_DRAIN. `refuse`: how a browser with an invalid credential is refused: "close",
    the default, accepts it and closes with 4001, which its scripts can see; "http" answers 401 before accept, as for
    everyone else, and they see 1006.
    `rate`: how fast a client may send, default `Rate()`, none in development (HUBBUB_DEV=1). `room_rate`: what clients
    may have published into one room, to one user or to everyone, through one worker; default a quarter of
    `Limits.outbox` a second, none in development. `addresses`: what the clients of one address may have, default
    `Addresses()`, nothing is limited in development. `audit`: a record in the logger `hubbub.audit` of each who comes,
    goes, is refused or put out, default off, or HUBBUB_AUDIT=1. `hold_call`: whether the ASGI call of the hub's own
    route lasts as long as the socket even where nothing needs it (`hubbub serve`); default only where the application's
    own middleware, or a dependency with `yield`, could tell. `tracing`: whether spans are made, by OpenTelemetry's
    global tracer provider or by one that is given; default where there is one when the hub starts, and HUBBUB_TRACING
    is not 0.

    Raises ConfigurationError for what cannot work.
    """

    def __init__(
        self,
        broker: str | Broker | None = None,
        *,
        auth: Authenticator | Sequence[Authenticator] = (),
        name: str | None = None,
        path: str = "/ws",
        origins: Sequence[str] | None = None,
        allowed_hosts: Sequence[str] | None = None,
        announce_users: bool = False,
        inbox: Keep = None,
        leaving: Leaving | None = None,
        refuse: Literal["close", "http"] = "close",
        limits: Limits | None = None,
        heartbeat: Heartbeat | None = None,
        rate: Rate | None = None,
        room_rate: RoomRate | None = None,
        addresses: Addresses | None = None,
        audit: bool | None = None,
        hold_call: bool | None = None,
        metrics: Metrics | None = None,
        tracing: bool | TracerProvider | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.limits: Limits = Limits() if limits is None else limits
        self._declarations = Declarations(self, self.limits)
        check_texts(name, path)
        self._broker = chosen_broker(broker)
        self._name = name
        self._made_in: str = sys._getframe(1).f_globals.get("__name__", "")  # noqa: SLF001 - old name, documented
        self._app: Any = None
        self._life = Lifecycle(self._begin, self)
        self.metrics: Metrics = Tally() if metrics is None else metrics
        self._settings = HubSettings(
            authenticators=arrange(auth),
            origins=OriginRules(
                None if origins is None else parse_origins(origins),
                None if allowed_hosts is None else parse_hosts(allowed_hosts),
            ),
            limits=self.limits,
            heartbeat=Heartbeat() if heartbeat is None else heartbeat,
            rate=usual_rate() if rate is None else rate,
            room_rate=room_rate,
            addresses=usual_addresses() if addresses is None else addresses,
            proxies=named_proxies(addresses),
            announce_users=announce_users,
            audit=asked_to_audit() if audit is None else audit,
            inbox=inbox,
            leaving=leaving_from_environment() if leaving is None else leaving,
            refuse=refuse,
            metrics=self.metrics,
            hold_call=hold_call,
            tracing=tracing,
            clock=clock,
        )
        # Whatever is given, the workers ask each other for what was counted.
        self._settings = replace(self._settings, metrics=with_tally(self.metrics))
        self.workers: Workers = Workers(lambda: self._here.questions)
        self.workers.answers("metrics", lambda: numbers_of(self).take())
        for what in ("overview", "samples", "rooms", "sizes", "users", "connections", "close"):
            self.workers.answers(f"operators.{what}", partial(_for_operators, self, what))
        self.router: APIRouter = APIRouter(lifespan=self._lifespan)
        self.router.add_api_websocket_route(path, self._own_route)
        self.router.add_api_route(path, upgrade_required, include_in_schema=False, route_class_override=UpgradeRequired)

    # What is declared on it.

    def on(self, model: Any, *, at_once: bool = False) -> Callable[[F], F]:
        """Handle the messages of a model, or of a union of models, by their `type: Literal[…]`.

        The function's parameters are the message (by its annotation), `Connection`, `User`, `Hub`, and FastAPI
        dependencies, resolved and closed per message, which may take all of these as well. What it returns is the
        `result` of the `ack`. A plain `def` runs in a thread. `at_once`: it waits for no other handler of the
        connection, as a stop must not; such handlers run in order among themselves.

        Raises ConfigurationError for a model without a type, a type with a handler, or an impossible parameter.
        """
        return self._declarations.on(model, at_once=at_once)

    def rooms(
        self,
        pattern: str,
        *,
        presence: bool | Literal["diff"] = False,
        presence_data: bool = False,
        history: Keep = None,
        slow: Slow | Literal["disconnect", "drop_oldest", "latest"] = Slow.DISCONNECT,
        rate: RoomRate | None = None,
        may_publish: Callable[..., Any] | None = None,
        may_read_history: Callable[..., Any] | None = None,
        may_see_presence: Callable[..., Any] | None = None,
    ) -> Callable[[F], F]:
        """Declare which rooms exist and who may join them; without a declaration there is no room.

        The function gets the pattern's placeholders, converted by their annotations, `User`, `Connection`, `Hub` and
        FastAPI dependencies, and returns whether this user may join. `presence`: members see each other, one notice
        each, or with "diff" one `presence_diff` for all who came and went in half a second. `presence_data`: clients
        with the feature `presence` see as well what each of them shows, see `Connection.set_presence`. `history`: what
        is kept, so that who comes back misses nothing; default what others keep who declare such rooms on this broker,
        False nothing any more, also where one that ran before has kept it. `slow`: what becomes of messages a reader is
        too slow for, see `hubbub.options.Slow`. `rate`: how much may be published into such a room, by the application
        too, through one worker; default `Hub(room_rate=)`, for what clients bring about alone.

        Who is in may everything, unless it is asked for by functions like this one: `may_publish` before each message
        that is sent by `connection.room(…)`; `may_read_history` and `may_see_presence` at each join, which does without
        where they say no.

        Raises ConfigurationError for a bad pattern, parameter, `presence`, `slow` or `rate`, for `presence_data` and
        `may_see_presence` without presence, and for `latest` with history.
        """
        return self._declarations.rooms(
            pattern,
            presence=presence,
            presence_data=presence_data,
            history=history,
            slow=slow,
            rate=rate,
            may_publish=may_publish,
            may_read_history=may_read_history,
            may_see_presence=may_see_presence,
        )

    def refuses(self, kind: type[E]) -> Callable[[Callable[[E], Refused]], Callable[[E], Refused]]:
        """Say what a client is told where an exception of the application's own domain is raised.

        The function makes a `Refused` of it, of whatever code; it is for that class and those that inherit from it,
        wherever a `Refused` could be raised. It is a plain one, in the event loop.

        Raises ConfigurationError for what is no class of exceptions, has been declared, or is a Refused already.
        """
        return self._declarations.refuses(kind)

    def facts(self, measure: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
        """Add what `measure` returns to what this worker reports of itself, twice a second; seen in `stats`.

        Raises ConfigurationError for an async function.
        """
        return self._declarations.facts(measure)

    # What it is asked.

    def room(self, name: str) -> Room:
        """A room. Raises InvalidMessage for a bad name, ConfigurationError while the hub is not running."""
        return self._here.handles.room(name)

    def each_room(self, names: Iterable[str]) -> EachRoom:
        """Several rooms, at most `Limits.batch`, to send them the same in one go.

        Raises InvalidMessage for a bad name, whose `field` says which, ValueError for too many, TypeError for a single
        string, ConfigurationError while the hub is not running.
        """
        return self._here.handles.each_room(names)

    def user(self, id: str) -> UserHandle:
        """A user. Raises InvalidMessage for a bad id, ConfigurationError while the hub is not running."""
        checked = messages.check_name(id, limit=self.limits.name, field="user")
        return self._here.handles.user(UserId(checked))

    async def broadcast(
        self, message: Mapping[str, Any] | BaseModel, *, exclude: Exclude = None, patience: float = 0.0
    ) -> Position | None:
        """To every connection of every worker; `patience` as in `Room.send`. Nothing is kept of it, so None.

        Raises TypeError or ValueError (see `hubbub.protocol.messages.compose`), RateLimited and Unavailable as
        `Room.send` does.
        """
        return await self._here.handles.everyone().send(message, exclude=exclude, patience=patience)

    def broadcast_sync(
        self,
        message: Mapping[str, Any] | BaseModel,
        *,
        exclude: Exclude = None,
        patience: float = 0.0,
        timeout: float = 10.0,
    ) -> None:
        """`broadcast`, from a thread, as `Room.send_sync`."""
        self._here.home.run(
            self.broadcast(message, exclude=exclude, patience=patience), timeout=timeout, patience=patience
        )

    async def revoke(
        self,
        *,
        token: str | None = None,
        session: str | None = None,
        user: User | str | None = None,
        until: float | None = None,
        issued_before: float | None = None,
    ) -> None:
        """Credentials prove nobody from now on, on any worker: those who came with them are closed within a second.

        One of `token` (a JWT's `jti`, `User.token_id`) and `session` (its `sid`, or a session's id, `User.session`),
        which close with 4001; or `user`, which closes with 4003 and refuses what was made before `issued_before`,
        default now (`User.issued`, a JWT's `iat`): who logs in again comes in. Times are Unix seconds. `until`: when
        the credential has ended by itself; so long it is remembered, default 30 days.

        Raises TypeError or ValueError for what is none of this, Unavailable where the broker is away or remembers
        100,000 already: then nobody may have been told, and it is to be said again.
        """
        here = self._here
        here.home.check()
        await here.revoking.revoke(token=token, session=session, user=user, until=until, issued_before=issued_before)

    def run(self, work: Coroutine[Any, Any, T], *, timeout: float = 10.0) -> T:
        """`hub.run(hub.room(name).members())`: whatever else is awaited, from a thread; waits for what comes of it.

        A plain `def` path operation or handler runs in a thread too. Raises what `work` raises, Unavailable after
        `timeout` seconds, and ConfigurationError in the event loop of the hub, where it is awaited instead.
        """
        try:
            home = self._here.home
        except ConfigurationError:
            work.close()
            raise
        return home.run(work, timeout=timeout)

    async def stats(self) -> Stats:
        """Counts of the whole cluster, at most a second old. Raises Unavailable."""
        here = self._here
        here.home.check()
        return await here.cluster.stats()

    def lease(self, name: str, *, ttl: float = 10.0) -> Lease:
        """For work that one worker of the cluster is to do; lost `ttl` seconds after the last turn."""
        here = self._here
        return Lease(here.broker, here.home, here.node, name, ttl)

    @property
    def node(self) -> NodeId:
        """This worker's id, as `welcome` says it."""
        return self._here.node

    @property
    def ready(self) -> bool:
        """Whether this worker takes new connections: it runs, does not stop, hears its broker and may write there."""
        return self.unready is None

    @property
    def configuration(self) -> Configuration:
        """What it was made with and what has been declared so far, whether it runs or not. For tools that check it."""
        rooms = {pattern: rule.options for pattern, rule in self._declarations.declared}
        return Configuration(_NAME if self._name is None else self._name, self._broker, self._settings, rooms)

    @property
    def unready(self) -> str | None:
        """Why it is not `ready`, in a sentence that anybody may read; None where it is."""
        runtime = self._life.runtime
        return "this hub is not running" if runtime is None else runtime.unready

    # How sockets come in.

    async def accept(self, websocket: WebSocket) -> AsyncIterator[Connection]:
        """A dependency for a plain WebSocket route: `connection: Annotated[Connection, Depends(hub.accept)]`.

        The client authenticates and speaks `hubbub.v1` as on the hub's own route; its application messages go to the
        route, by `async for message in connection`, as dicts. The connection is closed when the route returns.
        """
        async with self.connect(websocket) as connection:
            yield connection

    async def accept_text(self, websocket: WebSocket) -> AsyncIterator[Connection]:
        """As `accept`, for a route that speaks its own language: every frame comes as a str, and no `welcome` is sent.

        There is no `ping` of ours either; the server's own finds dead peers.
        """
        async with self.connect(websocket, text=True) as connection:
            yield connection

    @asynccontextmanager
    async def connect(
        self, websocket: WebSocket, *, user: User | str | None = None, text: bool = False
    ) -> AsyncIterator[Connection]:
        """`async with hub.connect(websocket, user="alice") as connection`, with an identity from elsewhere.

        Without `user` the client authenticates as on the hub's own route. Raises HandshakeRefused where the client was
        refused; it has been answered, so let it pass.
        """
        async with self._endpoint(websocket).connect(websocket, user=user, text=text) as connection:
            yield connection

    async def serve(self, websocket: WebSocket, *, user: User | str | None = None) -> None:
        """A route of your own that is like the hub's own: messages go to the handlers of `@hub.on`.

        Returns when the connection is gone.
        """
        await self._endpoint(websocket).serve(websocket, user=user)

    async def _own_route(self, websocket: WebSocket) -> None:
        await self._endpoint(websocket).serve_own(websocket, hold=self._settings.hold_call)

    def _endpoint(self, websocket: WebSocket) -> Endpoint:
        endpoint = self._life.serving(websocket.scope).endpoint
        websocket.scope[CONNECTED] = self
        return endpoint

    # How it is started and stopped.

    async def start(self) -> None:
        """Start, or count one more start.

        Raises ConfigurationError for several workers on the memory broker, and where it runs in another event loop.
        """
        await self._life.start()

    async def _begin(self) -> Runtime:
        broker = self._broker
        if isinstance(broker, str):
            broker = choose_broker(
                broker, name=_NAME if self._name is None else self._name, metrics=self._settings.metrics
            )
        take_fast_transport()
        process = ServerProcess()
        process.tell_of_limits(self.limits)
        if not broker.shared and (workers := process.workers) > 1:
            raise ConfigurationError(
                f"{workers} workers cannot meet on the memory broker: each would have rooms of its own. "
                "Give the hub a broker (HUBBUB_BROKER=redis://…), or use one worker"
            )
        process.tell_of_data(shared=broker.shared)
        redaction.install()
        chosen = self._name is not None or not isinstance(self._broker, str)
        title = None if chosen else str(getattr(self._app, "title", ""))
        running = Runtime(
            self._settings,
            self._declarations,
            broker,
            self._scope,
            title=title,
            module=self._made_in,
            known=self.workers.known,
        )
        try:
            await running.start()
        except BaseException:
            await running.stop()
            raise
        return running

    async def stop(self) -> None:
        """Count one start less, and stop with the last. Nothing happens where it is not running.

        Raises ConfigurationError where it runs in another event loop.
        """
        await self._life.stop()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Hub"]:
        """`async with hub.running()`: started, as by `start`, until the block ends.

        For an application's own lifespan, which FastAPI runs around the router's: so the hub is there before the
        `yield` and after it. Also for one that does not include `router` itself. Raises as `start` does.
        """
        await self.start()
        try:
            yield self
        finally:
            await self.stop()

    @asynccontextmanager
    async def _lifespan(self, app: Any) -> AsyncIterator[dict[str, Any]]:
        self._app = app
        async with self.running():
            yield {f"{_STATE}{id(self):x}": self}

    def _scope(self) -> dict[str, Any]:
        """What dependencies find where no handshake is the cause."""
        request = {"type": "websocket", "path": "", "headers": [], "query_string": b"", "state": {}}
        return {**request, "app": self._app, CONNECTED: self}

    @property
    def _hooks(self) -> HookDeclarations:
        return self._declarations.hooks

    @property
    def _started(self) -> bool:
        return self._life.runtime is not None

    @property
    def _here(self) -> Runtime:
        return self._life.here


def _for_operators(hub: Hub, what: str, **asked: Any) -> Any:
    return getattr(operators_of(hub), what)(**asked)


def running_hubs(scope: Mapping[str, Any]) -> list[Hub]:
    """Those that have started with the application of this scope."""
    return [value for key, value in scope.get("state", {}).items() if key.startswith(_STATE)]


def numbers_of(hub: Hub) -> Numbers:
    """What this worker says of itself. Raises ConfigurationError while the hub is not running."""
    return hub._here.numbers  # noqa: SLF001 - an application asks by `hubbub.integrations`


def operators_of(hub: Hub) -> Operators:
    """What its operators may ask. Raises ConfigurationError while the hub is not running."""
    return hub._here.operators  # noqa: SLF001 - they ask by `hubbub.integrations`


def gate_of(hub: Hub) -> Gate:
    """Who may begin at a hub that runs, for what can be guessed beside its sockets."""
    return hub._here.gate  # noqa: SLF001 - an application has no reason to

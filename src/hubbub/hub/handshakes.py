"""Who may come in, and how the others are told no.

Before accept, by HTTP: 400 for a handshake that makes no sense, 401 for a credential that proves nobody, 403 for an
Origin that is not ours, 503 when there is no room or no broker. But a browser shows a script nothing of a refused
handshake, only 1006, and a client that cannot tell "fetch a new token" from "the network is down" comes back for ever:
so where there is an Origin, a bad credential is accepted and closed with 4001 (`farewells.py`), unless the application
wants nobody accepted who is not let in. The Origin is checked first, so that nobody's cookie is looked at for a hostile
page.

A little longer than other files: each way of being refused counts, is told and is answered in the same breath.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import Scope
from starlette.websockets import WebSocket

from hubbub import closes
from hubbub.auth.carriers import Absent, Malformed, Unusable, select_subprotocol
from hubbub.auth.origin import OriginRules, shown
from hubbub.auth.refusals import Refusals
from hubbub.auth.select import Claim, examine
from hubbub.connection.audit import Audit
from hubbub.connection.connection import Connection
from hubbub.errors import (
    CredentialError,
    HandshakeRefused,
    InvalidCredential,
    InvalidMessage,
    Unavailable,
    described,
    text_of,
)
from hubbub.hub.farewells import Farewells
from hubbub.hub.gate import Gate, Seat
from hubbub.options import Limits
from hubbub.ports.auth import Authenticator, Carrier
from hubbub.ports.clock import Clock
from hubbub.ports.logs import Event, fields
from hubbub.ports.metrics import Count, Metrics
from hubbub.ports.tracing import Outcomes
from hubbub.protocol import features
from hubbub.protocol.messages import SUBPROTOCOL, check_name, check_user
from hubbub.scheduling.limited_log import LimitedLog
from hubbub.scheduling.tasks import is_our_end
from hubbub.transports.asgi import GONE
from hubbub.transports.descriptors import reserve_left
from hubbub.transports.doors import Refusal
from hubbub.types import User, UserId

_log = logging.getLogger("hubbub.endpoint")

_NO_AUTH = "refused a connection: the hub has no auth=, so nobody can be let in"
_FAILED = "authenticating a handshake failed"
_BAD_ORIGIN = "refused a handshake by its Origin"
# The others are told where they are found, with what is known there.
_NOT_YET_TOLD = {400, 429, 503}
# A page that may not connect is not its visitors' fault.
_ITS_OWN_FAULT = {400, 401}

# What a close would have said. To the others none would.
_CLOSES = {
    401: closes.CREDENTIAL_INVALID,
    429: closes.OVERLOADED,
    500: closes.OUR_FAULT,
    503: closes.OVERLOADED,
}

#: What a client that was sent away should wait, in seconds. The broker or a place is usually back by then.
RETRY_AFTER = {"Retry-After": "2"}


class _Refusal(HTTPException):
    """`kind`: as what it is counted."""

    def __init__(self, status: int, detail: str, kind: Count, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, detail, headers)
        self.kind = kind


class Handshakes:
    """`gate` says who may begin at all, `refusals` is told of credentials that prove nobody.

    `unready` says why this worker takes nobody now. `check_revoked` raises InvalidCredential. `by_http`: a browser's
    bad credential is not accepted either.
    """

    def __init__(
        self,
        authenticators: Sequence[Authenticator],
        origins: OriginRules,
        gate: Gate,
        refusals: Refusals,
        unready: Callable[[], str | None],
        check_revoked: Callable[[User], None],
        *,
        limits: Limits,
        metrics: Metrics,
        clock: Clock,
        by_http: bool = False,
        audit: Audit | None = None,
        outcomes: Outcomes | None = None,
    ) -> None:
        self._by_http = by_http
        self._outcomes = outcomes
        self._authenticators = tuple(authenticators)
        self._origins = origins
        self.gate: Gate = gate
        self._audit = audit
        self._refusals = refusals
        self._unready = unready
        self._check_revoked = check_revoked
        self._limits = limits
        self._metrics = metrics
        self.told: LimitedLog = LimitedLog(_log, clock)
        self.under_way: int = 0
        """How many are being examined."""
        self.unauthenticated: set[Connection] = set()
        """Those that were let in and are nobody's yet, or were never anybody's and are not gone."""
        self._guests_under_way = 0
        """Those that are about to be."""
        self.farewells: Farewells = Farewells(limits.unauthenticated)

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """Until it is a connection, or none."""
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1

    async def let_in(self, websocket: WebSocket, user: User | str | None, *, beside: int) -> tuple[User | None, Seat]:
        """Accept, and the user the handshake proves, None where the first message is to. Raises HandshakeRefused.

        `user`: who it is, where the application knows it. `beside`: how many connections there are. The seat is what
        the connection takes of its address, to be left when it is gone.
        """
        try:
            seat = self.gate.enter(websocket.scope)
        except HTTPException as refusal:
            self._metrics.count(Count.REFUSED_HANDSHAKES)
            self._record(websocket, refusal.status_code, refusal.detail)
            await _deny(websocket, refusal)
            raise quiet(websocket, HandshakeRefused()) from None
        try:
            return await self._look_at(websocket, user, seat, beside), seat
        except BaseException:
            seat.leave()
            raise

    def refuse_at_the_door(self, scope: Mapping[str, Any]) -> Refusal | None:
        """As `hubbub.transports.doors` asks."""
        refusal = self.gate.refuses(scope)
        if refusal is None:
            return None
        if self._audit is not None:
            self._audit.refused(scope, refusal.status_code, refusal.detail)
        return Refusal(refusal.status_code, refusal.detail, int((refusal.headers or {})["Retry-After"]))

    async def _look_at(self, websocket: WebSocket, user: User | str | None, seat: Seat, beside: int) -> User | None:
        try:
            who = await self._examine(websocket, user, seat, beside)
            self._check_accepting()  # which may have changed meanwhile
        except HTTPException as refusal:
            self._metrics.count(Count.REFUSED_HANDSHAKES)
            if isinstance(refusal, _Refusal):
                self._metrics.count(refusal.kind)
            if refusal.status_code in _ITS_OWN_FAULT:
                seat.failed()
            self._record(websocket, refusal.status_code, _cause(refusal.__context__) or refusal.detail)
            if refusal.status_code in _NOT_YET_TOLD:
                kind = f"a handshake was refused with {refusal.status_code}: {refusal.detail}"
                extra = fields(Event.REFUSED, code=refusal.status_code, cause=refusal.detail)
                self.told.tell(kind, kind, extra=extra)
            await _deny(websocket, refusal)
            raise quiet(websocket, HandshakeRefused()) from None
        except CredentialError as error:
            self._metrics.count(Count.REFUSED_HANDSHAKES)
            self._metrics.count(Count.REFUSED_CREDENTIAL)
            seat.failed()
            self._record(websocket, closes.CREDENTIAL_INVALID.code, _cause(error))
            if self.farewells.full:
                await _deny(websocket, _unauthorized(error))
            else:
                accept = partial(self._accept, websocket)
                await self.farewells.say(websocket, closes.CREDENTIAL_INVALID, accept)
            raise quiet(websocket, HandshakeRefused()) from None
        guest = who is None
        self._guests_under_way += guest
        try:
            await self._accept(websocket)
        finally:
            self._guests_under_way -= guest
        return who

    async def _examine(self, websocket: WebSocket, user: User | str | None, seat: Seat, beside: int) -> User | None:
        """The user the handshake proves; None where the first message is to. Raises HTTPException, CredentialError."""
        self._make_room(beside)
        scope = websocket.scope
        _check_features(scope)
        if user is not None:
            self._check_origin(websocket, required=True)
            return self._user(user)
        if not self._authenticators:
            extra = fields(Event.REFUSED, code=403, cause=_NO_AUTH)
            self.told.tell(_NO_AUTH, _NO_AUTH, level=logging.WARNING, extra=extra)
            raise _Refusal(403, "this server has no way to authenticate anyone", Count.REFUSED_NO_AUTH)
        presented = examine(scope, self._authenticators, limit=self._limits.credential)
        if isinstance(presented, Malformed):
            raise _Refusal(400, presented.reason, Count.REFUSED_INVALID)
        cookie = isinstance(presented, Claim | Unusable) and presented.carrier is Carrier.COOKIE
        self._check_origin(websocket, required=cookie, cookie=cookie)
        if isinstance(presented, Absent):
            if len(self.unauthenticated) + self._guests_under_way >= self._limits.unauthenticated:
                raise _Refusal(503, "too many connections wait to authenticate", Count.REFUSED_FULL, RETRY_AFTER)
            seat.wait()
            return None
        try:
            if isinstance(presented, Unusable):
                raise InvalidCredential(presented.reason, fault=presented.fault)
            async with asyncio.timeout(self._limits.authenticate):
                proved = check_user(await presented.judge(), limit=self._limits.name, shows=self._limits.presence)
            self._check_revoked(proved)
            return proved
        except CredentialError as error:
            self._tell_of_credential(websocket, presented, error)
            if "origin" in websocket.headers and not self._by_http:
                raise
            raise _unauthorized(error) from None
        except (TimeoutError, Unavailable):
            late = "the credential could not be checked in time"
            raise _Refusal(503, late, Count.REFUSED_LATE, RETRY_AFTER) from None
        except BaseException as error:  # the application's store, or its authenticator
            if is_our_end(error):
                raise
            self.told.tell(
                _FAILED,
                "%s: %s",
                _FAILED,
                described(error),
                level=logging.ERROR,
                extra=fields(Event.AUTHENTICATOR_FAILED),
            )
            if self._outcomes is not None:
                self._outcomes.failed(error)
            raise _Refusal(500, "the credential could not be checked", Count.REFUSED_FAILED) from None

    def _user(self, user: User | str) -> User:
        limit = self._limits.name
        if isinstance(user, User):
            return check_user(user, limit=limit, shows=self._limits.presence)
        if not isinstance(user, str):
            raise TypeError(f"user is a User or a str, not {type(user).__name__}")
        # Often a part of the path, and so the client's to choose.
        try:
            return User(UserId(check_name(user, limit=limit, field="user")))
        except InvalidMessage as error:
            raise _Refusal(400, error.message, Count.REFUSED_INVALID) from None

    def _check_accepting(self) -> None:
        reason = self._unready()
        if reason is not None:
            raise _Refusal(503, reason, Count.REFUSED_UNREADY, RETRY_AFTER)

    def _make_room(self, beside: int) -> None:
        self._check_accepting()
        if reserve_left() < 1.0:
            self._metrics.count(Count.CROWDED_SOCKETS)
            raise _Refusal(503, "this worker may open no more sockets", Count.REFUSED_DESCRIPTORS, RETRY_AFTER)
        # Handshakes that are being examined count as well, this one too: all of them may be let in.
        if beside + self.under_way > self._limits.connections:
            raise _Refusal(503, "this worker is full", Count.REFUSED_FULL, RETRY_AFTER)

    def _check_origin(self, websocket: WebSocket, *, required: bool, cookie: bool = False) -> None:
        rule = self._origins.refusal(websocket.scope, required=required, cookie=cookie)
        if rule is not None:
            self.told.tell(
                _BAD_ORIGIN,
                "%s, %s: %s",
                _BAD_ORIGIN,
                shown(websocket.scope),
                rule,
                extra=fields(Event.REFUSED, code=403, cause=_BAD_ORIGIN),
            )
            raise _Refusal(403, "this Origin may not connect", Count.REFUSED_ORIGIN)

    def _tell_of_credential(self, websocket: WebSocket, presented: Claim | Unusable, error: CredentialError) -> None:
        where = f"at a handshake of {websocket.client.host if websocket.client else 'a client'}"
        secret = presented.credential.value if isinstance(presented, Claim) else ""
        self._refusals.tell(error, where=where, carrier=presented.carrier, secret=secret)

    def _record(self, websocket: WebSocket, code: int, cause: str) -> None:
        if self._outcomes is not None:
            self._outcomes.refused(code)
        if self._audit is not None:
            self._audit.refused(websocket.scope, code, cause)

    async def _accept(self, websocket: WebSocket) -> None:
        try:
            await websocket.accept(subprotocol=select_subprotocol(websocket.scope))
        except GONE:
            # Gone while it was looked at. Nothing was taken for it yet, so there is nothing to give back.
            raise quiet(websocket, HandshakeRefused()) from None


def _unauthorized(error: CredentialError) -> HTTPException:
    return _Refusal(401, text_of(error), Count.REFUSED_CREDENTIAL, {"WWW-Authenticate": "Bearer"})


def _cause(error: BaseException | None) -> str:
    """What may be kept of why a credential was refused: an authenticator of the application's may have quoted it."""
    return f"credential {error.fault}" if isinstance(error, CredentialError) else ""


def _check_features(scope: Scope) -> None:
    """Raises HTTPException 400: a browser fails where none of what it offers is selected, and features never are."""
    subprotocols = scope.get("subprotocols") or ()
    try:
        if features.offered(subprotocols) is not None and select_subprotocol(scope) is None:
            raise InvalidMessage(f"{features.SUBPROTOCOL}… stands beside {SUBPROTOCOL}, which was not offered")
    except InvalidMessage as error:
        raise _Refusal(400, error.message, Count.REFUSED_INVALID) from None


async def _deny(websocket: WebSocket, refusal: HTTPException) -> None:
    """By HTTP where the server can (ASGI extension `websocket.http.response`); elsewhere every refusal is 403."""
    with suppress(*GONE):
        if "websocket.http.response" in websocket.scope.get("extensions", {}):
            said: dict[str, Any] = {"detail": refusal.detail}
            if (close := _CLOSES.get(refusal.status_code)) is not None:
                said |= {"code": close.code, "reason": close.reason}
            response = JSONResponse(said, refusal.status_code, refusal.headers)
            await websocket.send_denial_response(response)
        else:
            await websocket.close()


def quiet(websocket: WebSocket, error: Exception) -> Exception:
    """The exception that ends the route, and the application told to take no offence at it.

    A dependency cannot end its route in silence: what it raises reaches the server, which logs a traceback. Starlette
    passes the application's exception handlers in the scope, where ours is put beside them.
    """
    handlers = websocket.scope.get("starlette.exception_handlers")
    if handlers:
        handlers[0].setdefault(type(error), _let_pass)
    return error


async def _let_pass(_: HTTPConnection, __: Exception) -> None:
    """The client has its answer."""

"""What a client's requests do: the session says what is asked, this does it, and nothing it raises gets out.

Called for one request of a connection at a time. Whatever is refused is answered with its `id`; whatever fails is
answered `internal`, logged with the connection's id, and costs the connection nothing but that answer, unless it fails
before anybody is authenticated: then there is nobody to answer.
"""

import logging
from typing import TYPE_CHECKING, Any, TypeAlias, assert_never

from hubbub import closes
from hubbub.errors import (
    ConnectionClosed,
    CredentialError,
    InternalError,
    Refused,
    Unauthorized,
    Unavailable,
    described,
)
from hubbub.iteration import Handed
from hubbub.ports.injection import Scope
from hubbub.services import Services
from hubbub.session import Answer, Check, End, Event, Join, Leave, Message, Renew, Text
from hubbub.types import User
from hubbub.wire import messages
from hubbub.wire.messages import RequestId

if TYPE_CHECKING:
    from hubbub.connection import Connection

_log = logging.getLogger("hubbub.requests")

#: What waits its turn: something the client asked for, or the user its handshake proved.
Work: TypeAlias = Event | User


class Requests:
    def __init__(self, connection: "Connection", services: Services, scope: Scope, handed: Handed | None) -> None:
        self._connection = connection
        self._services = services
        self._scope = scope
        self._handed = handed

    async def do(self, work: Work) -> None:
        """Raises nothing."""
        if self._connection.closed:
            return
        id = getattr(work, "id", None)
        try:
            await self._do(work)
        except Refused as error:
            self._connection.refuse(error, id)
        except Exception as error:  # noqa: BLE001 - nothing may end the task that works on what waits behind this
            # Mostly a credential that could not be looked up, and stores like to quote what they were asked for.
            _log.error("a request of connection %s failed: %s", self._connection.id, described(error))
            if isinstance(work, User | Check):
                self._connection.close(closes.OUR_FAULT)
            else:
                self._connection.refuse(InternalError(), id)

    async def _do(self, work: Work) -> None:
        connection, services = self._connection, self._services
        match work:
            case User():
                await self._admit(work, None)
            case Check(token, id):
                await self._check(token, id)
            case Renew(token, id):
                await self._renew(token, id)
            case Join(room, since, id):
                options = await services.dispatch.may_join(room, self._scope, self._own(), who=connection.id)
                await services.membership.join(connection, room, options, since=since, id=id)
            case Leave(room, id):
                services.membership.leave(connection, room, id=id)
            case Message(_, fields, id) if self._handed is not None:
                await self._handed.hand(fields, lambda: self._ack(id, None))
            case Message(_, _, id):
                result = await services.dispatch.handle(work, self._scope, self._own(), who=connection.id)
                self._ack(id, result)
            case Text(text):
                if self._handed is not None:
                    await self._handed.hand(text)
            case Answer(message):
                connection.answer(message)
            case End(close):
                connection.close(close)
            case _:
                assert_never(work)

    async def _check(self, token: str, id: RequestId | None) -> None:
        self._connection.presented()
        try:
            user = await self._services.authenticate(token)
        except CredentialError:
            self._connection.close(closes.CREDENTIAL_INVALID)
        else:
            await self._admit(user, id)

    async def _renew(self, token: str, id: RequestId | None) -> None:
        try:
            user = await self._services.authenticate(token)
        except CredentialError as error:
            raise Unauthorized(str(error), field="token") from None
        if user.id != self._connection.user.id:
            raise Unauthorized("the credential is another user's", field="token")
        self._connection.become(user)
        self._ack(id, None)

    async def _admit(self, user: User, id: RequestId | None) -> None:
        connection, services = self._connection, self._services
        if len(services.registry.of_user(user.id)) >= services.limits.connections_per_user:
            connection.close(closes.TOO_MANY_CONNECTIONS)
            return
        connection.become(user)
        try:
            await connection.admission.enter(user)
        except ConnectionClosed:
            return
        except Unavailable:
            connection.close(closes.OVERLOADED)
            return
        connection.welcome(
            messages.welcome(
                connection=connection.id, user=user.id, node=connection.node, heartbeat=services.heartbeat, id=id
            )
        )

    def _own(self) -> dict[type, Any]:
        return {type(self._connection): self._connection, User: self._connection.user}

    def _ack(self, id: RequestId | None, result: Any) -> None:
        if id is None:
            return
        try:
            answer = messages.ack(id, result)
            messages.within(answer.data, self._services.limits.payload)
            self._connection.answer(answer)
        except ValueError:
            _log.exception("a handler's result cannot be sent to connection %s", self._connection.id)
            self._connection.refuse(InternalError(), id)

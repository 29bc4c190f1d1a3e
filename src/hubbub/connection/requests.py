"""What a client's requests do: the session says what is asked, this does it, and nothing it raises gets out.

Called for one request of a connection at a time. Whatever is refused is answered with its `id`; whatever fails is
answered `internal`, logged with the connection's id, and costs the connection nothing but that answer, unless it fails
before anybody is authenticated: then there is nobody to answer.
"""

import logging
from typing import TYPE_CHECKING, Any, TypeAlias, assert_never

from hubbub import closes
from hubbub.connection.context import Context
from hubbub.connection.iterator import MessageIterator
from hubbub.errors import (
    ConnectionClosed,
    CredentialError,
    InternalError,
    Refused,
    Unauthorized,
    Unavailable,
    described,
)
from hubbub.protocol import messages
from hubbub.protocol.handshake import Handshake
from hubbub.protocol.messages import RequestId
from hubbub.protocol.session import Answer, Check, End, Event, Join, Leave, Message, Renew, Text
from hubbub.types import User

if TYPE_CHECKING:
    from hubbub.connection.connection import Connection

_log = logging.getLogger("hubbub.requests")

#: What waits its turn: something the client asked for, or the user its handshake proved.
Request: TypeAlias = Event | User


async def do(
    services: Context, connection: "Connection", scope: Handshake, handed: MessageIterator | None, work: Request
) -> None:
    """Raises nothing. `handed` where a route reads the messages itself."""
    if connection.closed:
        return
    try:
        if work.__class__ is Message and handed is None:
            result, rest = services.dispatch.handle(work, scope, _own(connection), connection.id)
            if rest is not None:
                result = await rest
            if work.id is not None:
                _ack(services, connection, work.id, result)
        else:
            await _do(services, connection, work, scope, handed)
    except Refused as error:
        connection.refuse(error, getattr(work, "id", None))
    except Exception as error:  # noqa: BLE001 - nothing may end the task that works on what waits behind this
        # Mostly a credential that could not be looked up, and stores like to quote what they were asked for.
        _log.error("a request of connection %s failed: %s", connection.id, described(error))
        if isinstance(work, User | Check):
            connection.close(closes.OUR_FAULT)
        else:
            connection.refuse(InternalError(), getattr(work, "id", None))


async def _do(
    services: Context, connection: "Connection", work: Request, scope: Handshake, handed: MessageIterator | None
) -> None:
    match work:
        case Message(_, fields, id):
            if handed is not None:
                await handed.hand(fields, lambda: _ack(services, connection, id, None))
        case Join(room, since, id):
            if since is not None:
                await connection.relieved()
            if messages.is_own_room(room):
                await services.membership.join_own(connection, services.inbox, since=since, id=id)
                return
            options = await services.dispatch.may_join(room, scope, _own(connection), connection.id)
            await services.membership.join(connection, room, options, since=since, id=id)
        case Leave(room, id):
            services.membership.leave(connection, room, id=id)
        case User():
            await _admit(services, connection, work, None)
        case Check(token, id):
            await _check(services, connection, token, id)
        case Renew(token, id):
            await _renew(services, connection, token, id)
        case Text(text):
            if handed is not None:
                await handed.hand(text)
        case Answer(message):
            connection.answer(message)
        case End(close):
            connection.close(close)
        case _:
            assert_never(work)


async def _check(services: Context, connection: "Connection", token: str, id: RequestId | None) -> None:
    connection.presented()
    try:
        user = await services.authenticate(token)
    except CredentialError:
        connection.close(closes.CREDENTIAL_INVALID)
    else:
        await _admit(services, connection, user, id)


async def _renew(services: Context, connection: "Connection", token: str, id: RequestId | None) -> None:
    try:
        user = await services.authenticate(token)
    except CredentialError as error:
        raise Unauthorized(str(error), field="token") from None
    if user.id != connection.user.id:
        raise Unauthorized("the credential is another user's", field="token")
    connection.become(user)
    _ack(services, connection, id, None)


async def _admit(services: Context, connection: "Connection", user: User, id: RequestId | None) -> None:
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


def _ack(services: Context, connection: "Connection", id: RequestId | None, result: Any) -> None:
    if id is None:
        return
    if result is None:
        connection.answer(messages.ack(id, None))
        return
    try:
        answer = messages.ack(id, result)
        messages.within(answer.data, services.limits.payload)
        connection.answer(answer)
    except ValueError:
        _log.exception("a handler's result cannot be sent to connection %s", connection.id)
        connection.refuse(InternalError(), id)


def _own(connection: "Connection") -> dict[type, Any]:
    return {type(connection): connection, User: connection.user}

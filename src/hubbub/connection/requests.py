"""What a client's requests do: the session says what is asked, this does it, and nothing it raises gets out.

One for a worker, called for one request of a connection at a time. Whatever is refused is answered with its `id`;
whatever fails is answered `internal`, logged with the connection's id, and costs the connection nothing but that
answer, unless it fails before anybody is authenticated: then there is nobody to answer, and it is closed.

A little longer than other files: every request has its line here, and all of them end in the same way.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeAlias, assert_never

from hubbub import closes
from hubbub.closes import Close
from hubbub.connection.iterator import MessageIterator
from hubbub.connection.opening import Opening
from hubbub.connection.revocations import Revocations
from hubbub.delivery.fanout import Recipient
from hubbub.errors import (
    ConnectionClosed,
    CredentialError,
    InternalError,
    Refused,
    Unauthorized,
    Unavailable,
    described,
    text_of,
)
from hubbub.handlers.dispatch import Dispatch
from hubbub.handlers.hooks import ConnectionHooks, Hooked
from hubbub.options import Heartbeat, Keep, Limits
from hubbub.ports.clock import Clock
from hubbub.ports.logs import Event, fields
from hubbub.ports.tracing import Outcomes
from hubbub.protocol import messages
from hubbub.protocol.codec import Prepared
from hubbub.protocol.concern import concern
from hubbub.protocol.features import Features
from hubbub.protocol.join_room import Join, named
from hubbub.protocol.messages import RequestId
from hubbub.protocol.session import Answer, Asked, Check, End, Leave, Message, Renew, SetPresence, Text
from hubbub.rooms.membership import Membership
from hubbub.rooms.presences import Presences
from hubbub.rooms.rates import PUBLISHER
from hubbub.scheduling.limited_log import LimitedLog
from hubbub.scheduling.tasks import is_our_end
from hubbub.types import OWN_ROOM, ConnectionId, NodeId, RoomName, User

_log = logging.getLogger("hubbub.requests")

#: What waits its turn: something the client asked for, or the user its handshake proved.
Request: TypeAlias = Asked | User

#: What runs functions of the application's that may publish.
_PUBLISHING = (Message, Join, Leave)

#: From the token of a first or renewing message to the user, who must be the one that is there already, where somebody
#: is. Raises CredentialError.
Authenticate: TypeAlias = Callable[[str, ConnectionId, User | None], Awaitable[User]]


class Client(Hooked, Protocol):
    """A connection, as far as its requests are concerned."""

    @property
    def node(self) -> NodeId: ...

    @property
    def asked(self) -> Features | None:
        """The features it asked for, None where it asked for nothing."""

    @property
    def outbound(self) -> "Side": ...

    @property
    def opening(self) -> Opening: ...

    @property
    def iterator(self) -> MessageIterator | None:
        """There where a route reads the messages itself."""

    def refuse(self, error: Refused, id: RequestId | None, room: RoomName | None = None) -> None: ...

    def close(self, close: Close) -> None: ...

    def presented(self) -> None:
        """The first message has come, and is being looked at."""

    def become(self, user: User) -> None:
        """This is who is there, until the credential ends."""

    async def admit(self) -> None:
        """Raises ConnectionClosed where it ends meanwhile, Unavailable where the broker is away."""

    def welcome(self, message: Prepared) -> None:
        """Let in."""


class Side(Recipient, Protocol):
    """What leaves it."""

    @property
    def closed(self) -> bool: ...

    @property
    def rooms(self) -> Mapping[str, object]: ...

    async def relieved(self) -> None: ...


class Requests:
    """`inbox`: what is kept for a user, whether or not one is there."""

    def __init__(
        self,
        dispatch: Dispatch,
        membership: Membership,
        presences: Presences,
        authenticate: Authenticate,
        revocations: Revocations,
        *,
        limits: Limits,
        heartbeat: Heartbeat,
        inbox: Keep,
        clock: Clock,
        hooks: ConnectionHooks | None = None,
        outcomes: Outcomes | None = None,
    ) -> None:
        self._dispatch = dispatch
        self._outcomes = outcomes
        self._membership = membership
        self._presences = presences
        self._authenticate = authenticate
        self._revocations = revocations
        self._limits = limits
        self._heartbeat = heartbeat
        self._inbox = inbox
        self._hooks = hooks
        self.told: LimitedLog = LimitedLog(_log, clock)

    async def do(self, client: Client, request: Request) -> None:
        """Raises nothing, but where it is being ended."""
        if client.outbound.closed:
            return
        try:
            if type(request) in _PUBLISHING:
                PUBLISHER.set(client.outbound.user.id)
            if type(request) is Message and client.iterator is None:
                done, result = self._dispatch.handle(request, client)
                if not done:
                    result = await result
                if request.id is not None:
                    try:
                        answer = messages.ack(request.id, result, limit=self._limits.payload)
                    except ValueError as error:
                        kind = f"the result of a handler of {request.type[:64]} cannot be sent"
                        concern(error, client.handshake)
                        self.told.tell(
                            kind,
                            f"{kind} to connection %s",
                            client.id,
                            level=logging.ERROR,
                            error=error,
                            extra=fields(Event.RESULT_UNSENDABLE, connection=client.id),
                        )
                        if self._outcomes is not None:
                            self._outcomes.failed(error)
                        client.refuse(InternalError(), request.id)
                    else:
                        client.outbound.answer(answer)
            else:
                await self._do(client, request)
        except BaseException as error:  # noqa: BLE001 - nothing may end the task that works on what waits behind this
            self._tell(client, request, error)

    def _tell(self, client: Client, request: Request, error: BaseException) -> None:
        """Answer what a request came to. Raises it only where it is our own end."""
        ending = is_our_end(error)
        if ending and isinstance(error, GeneratorExit):
            raise error  # there is no time for anything else
        id = getattr(request, "id", None)
        room = named(request)
        unknown = isinstance(request, User | Check)
        if isinstance(error, Refused) and not unknown:
            try:
                client.refuse(error, id, room)
            except BaseException as odd:  # a subclass of the application's may say anything, or fail to
                if is_our_end(odd):
                    raise
                error = odd
            else:
                if self._outcomes is not None and not isinstance(error, InternalError):  # of which more was told
                    self._outcomes.refused(error.code)
                return
        if ending:
            _log.warning(
                "a request of connection %s was given up, as the worker ends",
                client.id,
                extra=fields(Event.REQUEST_GIVEN_UP, connection=client.id),
            )
        else:
            # Mostly a credential that could not be looked up, and stores like to quote what they were asked for.
            what = described(error)
            text = "a request of connection %s failed: %s"
            self.told.tell(
                f"requests failed: {what}",
                text,
                client.id,
                what,
                level=logging.ERROR,
                extra=fields(Event.REQUEST_FAILED, connection=client.id, cause=what),
            )
        if self._outcomes is not None:
            self._outcomes.failed(error)
        if unknown:
            client.close(closes.OUR_FAULT)
        else:
            client.refuse(InternalError(), id, room)
        if ending:
            raise error

    async def _do(self, client: Client, request: Request) -> None:
        match request:
            case Message(_, fields, id):
                if client.iterator is not None:
                    await client.iterator.hand(fields, lambda: self._confirm(client, id))
            case Join():
                await self._join(client, request)
                await self._hooked(client)
            case Leave(room, id):
                self._membership.leave(client.outbound, room, id=id)
                await self._hooked(client)
            case SetPresence(presence, room, id):
                self._membership.handing.check(client.outbound, rooms=1 if room else max(1, len(client.outbound.rooms)))
                await self._presences.set(client.outbound, presence, room)
                self._confirm(client, id)
            case User():
                await self._admit(client, request, None)
            case Check(token, id):
                await self._check(client, token, id)
            case Renew(token, id):
                await self._renew(client, token, id)
            case Text(text):
                if client.iterator is not None:
                    await client.iterator.hand(text)
            case Answer(message):
                client.outbound.answer(message)
            case End(close):
                client.close(close)
            case _:
                assert_never(request)

    async def _join(self, client: Client, join: Join) -> None:
        # Before the application's check, and before the broker is asked for anything.
        handing = self._membership.handing
        handing.check(client.outbound)
        with self._membership.removals.ask() as asked:
            options = None if messages.is_own_room(join.room) else await self._dispatch.may_join(join.room, client)
            # What was missed, and who is there, may be much, and there may be many rooms.
            if join.since is not None or (options is not None and options.presence):
                await client.outbound.relieved()
            side, since, id = client.outbound, join.since, join.id
            if options is None:
                cost = await self._membership.join_own(side, self._inbox, since=since, id=id)
            else:
                may = await self._dispatch.allowed(join.room, client)
                cost = await self._membership.join(
                    side, join.room, options, since=since, id=id, asked=asked, allowed=may
                )
        handing.handed(client.outbound, cost)

    async def _check(self, client: Client, token: str, id: RequestId | None) -> None:
        client.presented()
        try:
            user = await self._authenticate(token, client.id, None)
        except CredentialError:
            client.close(closes.CREDENTIAL_INVALID)
        except Unavailable:
            client.close(closes.OVERLOADED.because("the credential could not be checked"))
        else:
            await self._admit(client, user, id)

    async def _renew(self, client: Client, token: str, id: RequestId | None) -> None:
        try:
            user = await self._authenticate(token, client.id, client.user)
        except CredentialError as error:
            raise Unauthorized(text_of(error), field="token") from None
        if not client.outbound.closed:
            client.become(user)
            self._confirm(client, id)

    async def _admit(self, client: Client, user: User, id: RequestId | None) -> None:
        if client.outbound.closed:
            return  # while it was looked up: what it took from here on nobody would give back
        client.become(user)
        if self._too_many(client, user):
            return
        if self._ended(client, user):
            return
        # Again, because others of the user may have come while the hooks ran: from here on it counts.
        if self._hooks is not None and (not await self._passes(client, self._hooks) or self._too_many(client, user)):
            return
        try:
            await client.admit()
        except ConnectionClosed:
            return
        except Unavailable as error:
            client.close(closes.OVERLOADED.because(error.message))
            return
        if self._ended(client, user):
            return
        client.welcome(
            messages.welcome(
                connection=client.id,
                user=user.id,
                node=client.node,
                heartbeat=self._heartbeat,
                id=id,
                features=client.asked,
            )
        )

    def _ended(self, client: Client, user: User) -> bool:
        """Whether what it was let in by ended since it was asked, and it has been closed."""
        reason = client.opening.removed(user.id)
        if reason is None and user.issued is None:
            reason = client.opening.removed(user.id, OWN_ROOM)  # see `hub/revoking.py`
        close = closes.DISCONNECTED.because(reason) if reason is not None else self._revocations.close(user)
        if close is not None:
            client.close(close)
        return close is not None

    def _too_many(self, client: Client, user: User) -> bool:
        """Whether it was one connection too many of its user, and has been closed."""
        too_many = self._membership.tabs_of(user.id) >= self._limits.connections_per_user
        if too_many:
            client.close(closes.TOO_MANY_CONNECTIONS)
        return too_many

    async def _hooked(self, client: Client) -> None:
        """A client moves no faster than the hooks of that run."""
        if self._hooks is not None:
            await self._hooks.settled(client.id)

    async def _passes(self, client: Client, hooks: ConnectionHooks) -> bool:
        """Whether the application's hooks let it in; else it has been closed, if it had not gone by itself."""
        try:
            await hooks.connect(client)
        except InternalError:
            client.close(closes.OUR_FAULT)
        except Unavailable as error:
            client.close(closes.OVERLOADED.because(error.message))
        except Refused as error:
            client.close(closes.DISCONNECTED.because(error.message))
        return not client.outbound.closed

    def _confirm(self, client: Client, id: RequestId | None) -> None:
        if id is not None:
            client.outbound.answer(messages.ack(id, None))

"""What both publishers do alike: what a message asks of the broker, and what is kept of it."""

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, Self, TypeAlias, TypeVar

from pydantic import BaseModel

from hubbub.auth.redaction import hidden
from hubbub.brokers.choose import MEMORY, check_broker_url, is_memory
from hubbub.errors import ConfigurationError
from hubbub.options import Limits
from hubbub.protocol import messages
from hubbub.protocol.envelope import Envelope, Kind
from hubbub.protocol.for_each_room import ForEachRoom
from hubbub.rooms.each_room import check_rooms
from hubbub.rooms.publishing import check_ephemeral, exclusion
from hubbub.rooms.retention import Retention
from hubbub.tracing.provider import TracerProvider, begin_publishing
from hubbub.tracing.provider import check as check_tracing
from hubbub.types import EVERYONE, OWN_ROOM, Position, RoomName, Topic, User, room_of, room_topic, user_topic

try:
    from hubbub.brokers.redis.keys import Keys
    from hubbub.brokers.redis.publishing import FORGET, LIVE, PUBLISH, asking, declared, forgetting, position
    from hubbub.brokers.redis.requests import Script
    from hubbub.brokers.redis.resp import Argument
    from hubbub.brokers.redis.server import Server
except ImportError:
    raise ConfigurationError('publishing to a broker needs redis-py: pip install "hubbub[redis]"') from None

if TYPE_CHECKING:
    from hubbub.tracing.publishing import Publishing as Traced

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
Rs = TypeVar("Rs")

_Message: TypeAlias = Mapping[str, Any] | BaseModel
#: Whom a message is kept from, all tabs: a user, a user id, or several.
_Exclude: TypeAlias = User | str | Iterable[User | str] | None

_NOBODY: frozenset[str] = frozenset()

#: Seconds for which what the hubs keep is not asked for again.
_KNOWN = 10.0


class Sending(NamedTuple):
    """A message on its way. `ephemeral`: not kept, also where messages of its topic are."""

    topic: Topic
    message: _Message | ForEachRoom
    idempotency_key: str | None = None
    ephemeral: bool = False
    excluded: frozenset[str] = _NOBODY
    """User ids."""


class Rules(NamedTuple):
    """What the hubs keep. `version`: of what they declared, by the broker's count."""

    until: float
    retention: Retention
    version: str

    @classmethod
    def read(cls, answer: Sequence[Any]) -> Self:
        """Raises ConfigurationError for what another release declared, and this one cannot read."""
        said = declared(answer)
        return cls(time.monotonic() + _KNOWN, Retention.read(said.words), said.version)


UNKNOWN = Rules(0.0, Retention(), "")


class Asked(NamedTuple):
    """Of the broker: the last of `arguments` is the message."""

    script: Script
    keys: list[bytes]
    arguments: list[Argument]

    def told(self, answer: Any) -> tuple[bool, Position | None]:
        """Whether it was sent by what the hubs keep now, and its position."""
        return (True, position(answer)) if self.script is PUBLISH else (answer != 0, None)


class _Send(Protocol[R_co]):
    def __call__(
        self, message: _Message, idempotency_key: str | None, ephemeral: bool, excluded: frozenset[str], /
    ) -> R_co: ...


class Recipients(Generic[R]):
    """A room or a user, or several rooms: then there is a list of positions, one for each of them."""

    def __init__(self, send: _Send[R]) -> None:
        self._send = send

    def send(
        self, message: _Message, *, exclude: _Exclude = None, keep: bool = True, idempotency_key: str | None = None
    ) -> R:
        """To every tab there, on every worker, but those of whom `exclude` names: a user, a user id or several.

        Returns the position where it is kept, otherwise None.

        `keep`: False for what is good for this moment alone, as `hubbub.Room.send` has it. `idempotency_key`: sent
        again with the same one within five minutes, it is delivered once, and the position is the first one's; where
        nothing is kept it means nothing, and with `keep=False` it is refused.

        Raises TypeError or ValueError (see `hubbub.protocol.messages.compose`), Unavailable where the broker is away:
        then it may or may not have been sent, and with an idempotency key it can be sent again. Of several rooms it
        raises NotSentToAll, which says in which of them that is so.
        """
        once = messages.check_key(idempotency_key, field="idempotency_key")
        if keep is not True:
            check_ephemeral(keep, once)
        return self._send(message, once, not keep, _users(exclude))


class Publishing(ABC, Generic[R, Rs]):
    """`broker` is a URL, default HUBBUB_BROKER; `name` the hub's; `tracing` as `Hub` has it. Raises ConfigurationError.

    A tracer provider may be set up at any time before the first message that is to be traced.
    """

    def __init__(
        self,
        broker: str | None = None,
        *,
        name: str = "hubbub",
        deadline: float = 2.0,
        tracing: bool | TracerProvider | None = None,
    ) -> None:
        check_tracing(tracing, type(self).__name__)
        self._tracing = tracing
        self._traced: Traced | None = None
        self._url = check_broker_url(broker or os.environ.get("HUBBUB_BROKER") or MEMORY)
        if is_memory(self._url):
            raise ConfigurationError(
                "nothing can be published to the memory broker from outside: give the URL of the broker the hubs use, "
                "or publish by HTTP"
            )
        self._deadline = deadline
        self._server = Server(self._url, deadline=deadline)
        self._keys = Keys(name, db=self._server.db)
        self._limits = Limits()

    def room(self, name: str) -> Recipients[R]:
        """Raises InvalidMessage for a bad name."""
        return self._recipients(room_topic(messages.check_shared(name, limit=self._limits.name)))

    def user(self, id: str) -> Recipients[R]:
        """Raises InvalidMessage for a bad id."""
        return self._recipients(user_topic(messages.check_name(id, limit=self._limits.name, field="user")))

    def broadcast(self, message: _Message, *, exclude: _Exclude = None) -> R:
        """To every connection of every worker; nothing is kept of it. As `Recipients.send`, also in what it raises."""
        return self._send(Sending(EVERYONE, message, excluded=_users(exclude)))

    def each_room(self, names: Iterable[str]) -> Recipients[Rs]:
        """Several rooms, at most `Limits.batch`, to send them the same in one go.

        The positions come in the order of the names; a room that was named twice gets it once. Raises InvalidMessage
        for a bad name, whose `field` says which, ValueError for too many, TypeError for a single string.
        """
        rooms = check_rooms(names, self._limits)
        each = dict.fromkeys(rooms)

        def send(message: _Message, key: str | None, ephemeral: bool, excluded: frozenset[str]) -> Rs:
            composed = ForEachRoom(message, each, limit=self._limits.payload)
            sendings = [Sending(room_topic(room), composed, key, ephemeral, excluded) for room in each]
            traced = self._asked_for_traces()
            if traced is None:
                return self._publish_each(rooms, sendings)
            topics = [sending.topic for sending in sendings]
            return self._each_within(lambda: traced.begin_each(topics), lambda: self._publish_each(rooms, sendings))

        return Recipients(send)

    def _recipients(self, topic: Topic) -> Recipients[R]:
        def send(message: _Message, key: str | None, ephemeral: bool, excluded: frozenset[str]) -> R:
            return self._send(Sending(topic, message, key, ephemeral, excluded))

        return Recipients(send)

    def _send(self, sending: Sending) -> R:
        traced = self._asked_for_traces()
        if traced is None:
            return self._publish(sending)
        return self._within(lambda: traced.begin(sending.topic), lambda: self._publish(sending))

    def _asked_for_traces(self) -> "Traced | None":
        # Not once for all: who publishes is often made at import, and what traces after a fork.
        if self._traced is None:
            self._traced = begin_publishing(self._tracing, hidden)
        return self._traced

    def _went(self, position: Position | None) -> Position | None:
        if self._traced is not None:
            self._traced.went(position)
        return position

    @abstractmethod
    def _within(self, span: Callable[[], AbstractContextManager[None]], work: Callable[[], R]) -> R:
        """The work, done in a span that begins when it does."""

    @abstractmethod
    def _each_within(self, span: Callable[[], AbstractContextManager[None]], work: Callable[[], Rs]) -> Rs: ...

    @abstractmethod
    def _publish(self, sending: Sending) -> R: ...

    @abstractmethod
    def _publish_each(self, rooms: Sequence[RoomName], sendings: Sequence[Sending]) -> Rs:
        """`sendings`: of the different ones among `rooms`, in their order."""

    def _asked(self, sending: Sending, rules: Rules) -> Asked:
        """What sends it, by what the hubs keep."""
        topic, keep = sending.topic, rules.retention.kept(sending.topic)
        data = self._envelope(sending, kept=bool(keep))
        if keep and not sending.ephemeral:
            keys, arguments = asking(self._keys, topic, keep, sending.idempotency_key)
            return Asked(PUBLISH, keys, [*arguments, data])
        if keep is False and not sending.ephemeral:
            keys, arguments = forgetting(self._keys, topic)
            return Asked(FORGET, keys, [*arguments, data])
        # In one step with looking whether that is so: a hub may have begun to keep them since we asked.
        return Asked(LIVE, [self._keys.version], [rules.version.encode(), self._keys.channel(topic), data])

    def _envelope(self, sending: Sending, *, kept: bool) -> bytes:
        # A message to a user has a room where it is kept: the one in which it is asked for.
        room = room_of(sending.topic) or (OWN_ROOM if kept else None)
        if isinstance(sending.message, ForEachRoom):
            data = sending.message.to(room)
        else:
            data = messages.compose(sending.message, limit=self._limits.payload, room=room)
        envelope = Envelope(Kind.MESSAGE, data, sending.excluded).encode()
        return envelope if self._traced is None else self._traced.carry(envelope)


def _users(exclude: _Exclude) -> frozenset[str]:
    """Raises TypeError. Of connections a publisher knows nothing."""
    users, connections = exclusion(exclude)
    if connections:
        raise TypeError("exclude takes users and user ids here, and no connections")
    return users

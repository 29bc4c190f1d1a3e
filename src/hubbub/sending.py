"""A message on its way out of the application: made once, kept from whom it is to be kept from, given to the broker."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from pydantic import BaseModel

from hubbub.fanout import Recipient
from hubbub.ports.broker import Broker
from hubbub.types import Position, Topic, User
from hubbub.wire import messages
from hubbub.wire.envelope import Envelope, Kind

#: Whom a message is kept from: a connection (that tab alone), a user (all tabs), a user id, or several of these.
Exclude: TypeAlias = "Recipient | User | str | Iterable[Recipient | User | str] | None"


_NOBODY: frozenset[str] = frozenset()


def exclusion(exclude: Exclude) -> tuple[frozenset[str], frozenset[str]]:
    """The user ids and the connection ids meant by `exclude`. Raises TypeError."""
    users: set[str] = set()
    connections: set[str] = set()
    several = exclude if isinstance(exclude, Iterable) and not isinstance(exclude, str) else (exclude,)
    for one in several:
        match one:
            case None:
                pass
            case str():
                users.add(one)
            case User():
                users.add(one.id)
            case _ if isinstance(getattr(one, "user", None), User):
                connections.add(one.id)
            case _:
                raise TypeError(f"exclude takes connections, users and user ids, not {type(one).__name__}")
    return frozenset(users), frozenset(connections)


async def send(
    broker: Broker,
    topic: Topic,
    message: Mapping[str, Any] | BaseModel,
    *,
    exclude: Exclude,
    limit: int,
    room: str | None = None,
    key: str | None = None,
) -> Position | None:
    """Publish to a topic; `key` as in `hubbub.wire.messages.check_key`.

    Raises TypeError or ValueError (see also `hubbub.wire.messages.compose`), or Unavailable.
    """
    data = messages.compose(message, limit=limit, room=room)
    users, connections = exclusion(exclude) if exclude is not None else (_NOBODY, _NOBODY)
    key = messages.check_key(key)
    envelope = Envelope(Kind.MESSAGE, data, without_users=users, without_connections=connections, key=key)
    return await broker.publish(topic, envelope.encode())

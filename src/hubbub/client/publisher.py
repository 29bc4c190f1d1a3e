"""Publishing from where no hub runs: a Celery task, a cron job, another service.

    with Publisher("redis://localhost") as publisher:
        publisher.user("alice").send({"type": "report_ready", "id": 7})

`AsyncPublisher` is the same with `async with` and `await`. Both hand the message straight to the broker that the
hubs use; they know no rooms' rules and check nobody's right, and `name=` must be the hub's. A hub on the memory
broker has no broker to publish to: there, publish by HTTP (`hubbub.integrations.publishing`).
"""

import os
from collections.abc import Awaitable, Mapping
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from pydantic import BaseModel

from hubbub.brokers.choose import MEMORY, check_broker_url
from hubbub.errors import ConfigurationError, Unavailable
from hubbub.options import Limits
from hubbub.types import EVERYONE, Topic, room_topic, user_topic
from hubbub.wire import messages
from hubbub.wire.envelope import Envelope, Kind

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    from hubbub.brokers.redis.commands import Commands
    from hubbub.brokers.redis.keys import Keys
    from hubbub.brokers.redis.server import Server, readable
except ImportError:
    raise ConfigurationError('publishing to a broker needs redis-py: pip install "hubbub[redis]"') from None

R = TypeVar("R")

_Message = Mapping[str, Any] | BaseModel


class Recipients(Generic[R]):
    """A room or a user. `send` raises TypeError or ValueError for a bad message, Unavailable without a broker."""

    def __init__(self, publisher: "_Publishing[R]", topic: Topic, room: str | None) -> None:
        self._publisher = publisher
        self._topic = topic
        self._room = room

    def send(self, message: _Message) -> R:
        return self._publisher._send(self._topic, message, self._room)  # noqa: SLF001 - two halves of one thing


class _Publishing(Generic[R]):
    def __init__(self, broker: str | None = None, *, name: str = "hubbub", deadline: float = 2.0) -> None:
        """`broker` defaults to HUBBUB_BROKER. A call takes at most `deadline` seconds. Raises ConfigurationError."""
        url = check_broker_url(broker or os.environ.get("HUBBUB_BROKER") or MEMORY)
        if url.partition(":")[0] == MEMORY:
            raise ConfigurationError(
                "nothing can be published to the memory broker from outside: give the URL of the broker the hubs use, "
                "or publish by HTTP"
            )
        self._server = Server(url, deadline=deadline)
        self._keys = Keys(name, db=self._server.db)
        self._limits = Limits()
        self._url = url
        self._deadline = deadline

    def room(self, name: str) -> Recipients[R]:
        """Raises InvalidMessage for a bad name."""
        room = messages.check_room(name, limit=self._limits.name)
        return Recipients(self, room_topic(room), room)

    def user(self, id: str) -> Recipients[R]:
        """Raises InvalidMessage for a bad id."""
        return Recipients(self, user_topic(messages.check_name(id, limit=self._limits.name, field="user")), None)

    def broadcast(self, message: _Message) -> R:
        """To every connection of every worker."""
        return self._send(EVERYONE, message, None)

    def _send(self, topic: Topic, message: _Message, room: str | None) -> R:
        data = messages.compose(message, limit=self._limits.payload, room=room)
        return self._publish(self._keys.channel(topic), Envelope(Kind.MESSAGE, data).encode())

    def _publish(self, channel: bytes, data: bytes) -> R:
        raise NotImplementedError


class Publisher(_Publishing[None]):
    """For code that does not await. Safe to share between threads."""

    def __enter__(self) -> Self:
        self._redis = redis.Redis.from_url(
            readable(self._url),
            protocol=2,
            socket_timeout=self._deadline,
            socket_connect_timeout=self._deadline,
            retry=Retry(NoBackoff(), 0),
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._redis.close()

    def _publish(self, channel: bytes, data: bytes) -> None:
        try:
            self._redis.publish(channel, data)
        except (redis.RedisError, OSError) as error:
            raise Unavailable from error


class AsyncPublisher(_Publishing[Awaitable[None]]):
    """For code that awaits. Belongs to the event loop it was entered in."""

    async def __aenter__(self) -> Self:
        self._commands = Commands(self._server.connect, deadline=self._deadline)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._commands.stop()

    async def _publish(self, channel: bytes, data: bytes) -> None:
        await self._commands.call(b"PUBLISH", channel, data)

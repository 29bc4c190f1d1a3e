"""Publishing from where no hub runs: a Celery task, a cron job, another service.

    with Publisher("redis://localhost") as publisher:
        publisher.user("alice").send({"type": "report_ready", "id": 7})

`AsyncPublisher` is the same with `async with` and `await`. Both hand the message straight to the broker that the
hubs use; they know no rooms' rules and check nobody's right, and `name=` must be the hub's. A hub on the memory
broker has no broker to publish to: there, publish by HTTP (`hubbub.integrations.publishing`).
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Generic, Self, TypeAlias, TypeVar

from pydantic import BaseModel

from hubbub.brokers.choose import MEMORY, check_broker_url
from hubbub.errors import ConfigurationError, Unavailable
from hubbub.options import Limits
from hubbub.types import EVERYONE, RoomName, Topic, room_topic, user_topic
from hubbub.wire import messages
from hubbub.wire.envelope import Envelope, Kind

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.connection import parse_url
    from redis.retry import Retry

    from hubbub.brokers.redis.commands import Commands
    from hubbub.brokers.redis.keys import Keys
    from hubbub.brokers.redis.server import Server, in_redis_terms
except ImportError:
    raise ConfigurationError('publishing to a broker needs redis-py: pip install "hubbub[redis]"') from None

R = TypeVar("R")

_Message: TypeAlias = Mapping[str, Any] | BaseModel


class Recipients(Generic[R]):
    """A room or a user."""

    def __init__(self, send: Callable[[_Message], R]) -> None:
        self._send = send

    def send(self, message: _Message) -> R:
        """To every tab there, on every worker; nothing happens where there is none.

        Raises TypeError or ValueError (see `hubbub.wire.messages.compose`), Unavailable where the broker is away.
        """
        return self._send(message)


class _Publishing(ABC, Generic[R]):
    """`broker` is a URL, default HUBBUB_BROKER; `name` the hub's. Raises ConfigurationError."""

    def __init__(self, broker: str | None = None, *, name: str = "hubbub", deadline: float = 2.0) -> None:
        self._url = check_broker_url(broker or os.environ.get("HUBBUB_BROKER") or MEMORY)
        if self._url.partition(":")[0] == MEMORY:
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
        room = messages.check_room(name, limit=self._limits.name)
        return Recipients(partial(self._send, room_topic(room), room))

    def user(self, id: str) -> Recipients[R]:
        """Raises InvalidMessage for a bad id."""
        user = messages.check_name(id, limit=self._limits.name, field="user")
        return Recipients(partial(self._send, user_topic(user), None))

    def broadcast(self, message: _Message) -> R:
        """To every connection of every worker. Raises as `Recipients.send` does."""
        return self._send(EVERYONE, None, message)

    def _send(self, topic: Topic, room: RoomName | None, message: _Message) -> R:
        data = messages.compose(message, limit=self._limits.payload, room=room)
        return self._publish(self._keys.channel(topic), Envelope(Kind.MESSAGE, data).encode())

    @abstractmethod
    def _publish(self, channel: bytes, data: bytes) -> R: ...


class Publisher(_Publishing[None]):
    """For code that does not await. Threads may share it, and so may the processes a task queue forks.

    deadline: seconds to connect, and again to answer, before Unavailable is raised; default 2.
    """

    def __init__(self, broker: str | None = None, *, name: str = "hubbub", deadline: float = 2.0) -> None:
        super().__init__(broker, name=name, deadline=deadline)
        # After the URL's own, which could otherwise take the deadline away. Nothing is ever sent twice.
        options: dict[str, Any] = {
            **parse_url(in_redis_terms(self._url)),  # type: ignore[no-untyped-call]
            "protocol": 2,
            "socket_timeout": deadline,
            "socket_connect_timeout": deadline,
            "health_check_interval": 0,
            "retry": Retry(NoBackoff(), 0),
            "retry_on_timeout": False,
        }
        self._redis = redis.Redis(connection_pool=redis.ConnectionPool(**options))

    def close(self) -> None:
        """Give its connections back; one that is used again makes new ones."""
        self._redis.connection_pool.disconnect()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _publish(self, channel: bytes, data: bytes) -> None:
        try:
            self._redis.publish(channel, data)
        except redis.ResponseError as error:
            # "unknown command" quotes the arguments, and the message is one.
            raise Unavailable from type(error)(str(error).partition(", with args")[0])
        except (redis.RedisError, OSError) as error:
            raise Unavailable from error


class AsyncPublisher(_Publishing[Awaitable[None]]):
    """For code that awaits. Belongs to the event loop it was entered in; what is sent leaves in that order.

    deadline: seconds a call takes at most, before Unavailable is raised; default 2.
    """

    _commands: Commands | None = None

    async def __aenter__(self) -> Self:
        self._commands = Commands(self._server.connect, deadline=self._deadline)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        commands, self._commands = self._commands, None
        if commands is not None:
            await commands.stop()

    async def _publish(self, channel: bytes, data: bytes) -> None:
        if self._commands is None:
            raise ConfigurationError("an AsyncPublisher is used inside `async with`")
        await self._commands.call(b"PUBLISH", channel, data)

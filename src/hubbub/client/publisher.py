"""Publishing from where no hub runs: a Celery task, a cron job, another service.

    with Publisher("redis://localhost") as publisher:
        publisher.user("alice").send({"type": "report_ready", "id": 7})

`AsyncPublisher` is the same with `async with` and `await`. Both hand the message straight to the broker that the
hubs use, and keep it where the hubs keep it, whether one runs or not; they check nobody's right, and `name=` must be
the hub's. A hub on the memory broker has no broker to publish to: there, publish by HTTP
(`hubbub.integrations.publishing`).
"""

import asyncio
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Generic, NamedTuple, Self, TypeAlias, TypeVar

from pydantic import BaseModel

from hubbub.brokers.choose import MEMORY, check_broker_url
from hubbub.errors import ConfigurationError, Unavailable
from hubbub.options import Keep, Limits
from hubbub.protocol import messages
from hubbub.protocol.envelope import Envelope, Kind
from hubbub.rooms.retention import Retention
from hubbub.scheduling.home_loop import HomeLoop
from hubbub.types import EVERYONE, OWN_ROOM, Position, Topic, room_of, room_topic, user_topic

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.connection import parse_url
    from redis.exceptions import NoScriptError
    from redis.retry import Retry

    from hubbub.brokers.redis.commands import Commands
    from hubbub.brokers.redis.keys import Keys
    from hubbub.brokers.redis.publishing import (
        DECLARE,
        FORGET,
        LIVE,
        PUBLISH,
        asking,
        declared,
        declaring,
        forgetting,
        position,
    )
    from hubbub.brokers.redis.refusals import is_demoted, told, unavailable
    from hubbub.brokers.redis.requests import Script
    from hubbub.brokers.redis.resp import Argument
    from hubbub.brokers.redis.server import Server, in_redis_terms
except ImportError:
    raise ConfigurationError('publishing to a broker needs redis-py: pip install "hubbub[redis]"') from None

R = TypeVar("R")

_Message: TypeAlias = Mapping[str, Any] | BaseModel

#: Seconds for which what the hubs keep is not asked for again.
_KNOWN = 10.0
#: How often that may change under a message before it is given up.
_TRIES = 5


class _Sending(NamedTuple):
    """A message on its way."""

    topic: Topic
    message: _Message
    idempotency_key: str | None


class _Rules(NamedTuple):
    """What the hubs keep. `version`: of what they declared, by the broker's count."""

    until: float
    retention: Retention
    version: str

    @classmethod
    def read(cls, answer: Sequence[Any]) -> Self:
        """Raises ConfigurationError for what another release declared, and this one cannot read."""
        said = declared(answer)
        return cls(time.monotonic() + _KNOWN, Retention.read(said.words), said.version)


_UNKNOWN = _Rules(0.0, Retention(), "")


class Recipients(Generic[R]):
    """A room or a user."""

    def __init__(self, send: Callable[[_Message, str | None], R]) -> None:
        self._send = send

    def send(self, message: _Message, *, idempotency_key: str | None = None) -> R:
        """To every tab there, on every worker. The position where it is kept, otherwise None.

        `idempotency_key`: sent again with the same one within five minutes, it is delivered once, and the position is
        the first one's; where nothing is kept it means nothing.

        Raises TypeError or ValueError (see `hubbub.protocol.messages.compose`), Unavailable where the broker is away:
        then it may or may not have been sent, and with an idempotency key it can be sent again.
        """
        return self._send(message, idempotency_key)


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
        return self._recipients(room_topic(messages.check_room(name, limit=self._limits.name)))

    def user(self, id: str) -> Recipients[R]:
        """Raises InvalidMessage for a bad id."""
        return self._recipients(user_topic(messages.check_name(id, limit=self._limits.name, field="user")))

    def broadcast(self, message: _Message) -> R:
        """To every connection of every worker; nothing is kept of it. Raises as `Recipients.send` does."""
        return self._publish(_Sending(EVERYONE, message, None))

    def _recipients(self, topic: Topic) -> Recipients[R]:
        def send(message: _Message, idempotency_key: str | None) -> R:
            checked = messages.check_key(idempotency_key, field="idempotency_key")
            return self._publish(_Sending(topic, message, checked))

        return Recipients(send)

    @abstractmethod
    def _publish(self, sending: _Sending) -> R: ...

    def _envelope(self, sending: _Sending, keep: Keep) -> bytes:
        # A message to a user has a room where it is kept: the one in which it is asked for.
        room = room_of(sending.topic) or (OWN_ROOM if keep else None)
        data = messages.compose(sending.message, limit=self._limits.payload, room=room)
        return Envelope(Kind.MESSAGE, data).encode()

    def _unkept(self, topic: Topic, keep: Keep, version: str) -> tuple[Script, list[bytes], list[Argument]]:
        """What sends a message that is not kept, and all of its arguments but the message."""
        if keep is False:
            return FORGET, *forgetting(self._keys, topic)
        # In one step with looking whether that is so: a hub may have begun to keep them since we asked.
        return LIVE, [self._keys.version], [version.encode(), self._keys.channel(topic)]


class Publisher(_Publishing[Position | None]):
    """For code that does not await. Threads may share it, and so may the processes a task queue forks.

    deadline: seconds to connect, and again for each answer, before Unavailable is raised; default 2.
    """

    def __init__(self, broker: str | None = None, *, name: str = "hubbub", deadline: float = 2.0) -> None:
        super().__init__(broker, name=name, deadline=deadline)
        # After the URL's own, which could otherwise take the deadline away. Nothing is ever sent twice.
        options: dict[str, Any] = {
            **parse_url(in_redis_terms(self._url)),  # type: ignore[no-untyped-call]
            "protocol": 2,
            "decode_responses": False,
            "socket_timeout": deadline,
            "socket_connect_timeout": deadline,
            "health_check_interval": 0,
            "retry": Retry(NoBackoff(), 0),
            "retry_on_timeout": False,
        }
        self._redis = redis.Redis(connection_pool=redis.ConnectionPool(**options))
        self._rules = _UNKNOWN

    def close(self) -> None:
        """Give its connections back; one that is used again makes new ones."""
        self._redis.connection_pool.disconnect()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _publish(self, sending: _Sending) -> Position | None:
        try:
            for _ in range(_TRIES):
                sent, found = self._try(sending, self._known_rules())
                if sent:
                    return found
                self._rules = _UNKNOWN
        except (redis.RedisError, OSError) as error:
            if is_demoted(error):
                # The next finds whoever is at the address now.
                self._redis.connection_pool.disconnect()
            raise unavailable(error) from told(error)
        raise Unavailable("what the hubs keep changes all the time")

    def _try(self, sending: _Sending, rules: _Rules) -> tuple[bool, Position | None]:
        """Whether it was sent by what the hubs keep now, and its position."""
        keep = rules.retention.kept(sending.topic)
        data = self._envelope(sending, keep)
        if keep:
            keys, arguments = asking(self._keys, sending.topic, keep, sending.idempotency_key)
            return True, position(self._run(PUBLISH, keys, *arguments, data))
        script, keys, arguments = self._unkept(sending.topic, keep, rules.version)
        return self._run(script, keys, *arguments, data) != 0, None

    def _run(self, script: Script, keys: Sequence[bytes], *arguments: Any) -> Any:
        try:
            return self._redis.evalsha(script.sha.decode(), len(keys), *keys, *arguments)
        except NoScriptError:  # and so nothing was done
            return self._redis.eval(script.body.decode(), len(keys), *keys, *arguments)

    def _known_rules(self) -> _Rules:
        if time.monotonic() >= self._rules.until:
            keys, arguments = declaring(self._keys)
            self._rules = _Rules.read(self._run(DECLARE, keys, *arguments))
        return self._rules


class AsyncPublisher(_Publishing[Awaitable[Position | None]]):
    """For code that awaits. Belongs to the event loop it was entered in; what is sent leaves in that order.

    deadline: seconds a call takes at most, before Unavailable is raised; default 2.
    """

    _commands: Commands | None = None

    async def __aenter__(self) -> Self:
        self._home = HomeLoop("this AsyncPublisher", "Give each loop one of its own, and threads a Publisher")
        self._commands = Commands(self._server.connect, deadline=self._deadline)
        self._order = asyncio.Lock()
        self._rules = _UNKNOWN
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        commands, self._commands = self._commands, None
        if commands is not None:
            await commands.stop()

    async def _publish(self, sending: _Sending) -> Position | None:
        commands = self._commands
        if commands is None:
            raise ConfigurationError("an AsyncPublisher is used inside `async with`")
        self._home.check()
        try:
            async with asyncio.timeout(self._deadline):
                for _ in range(_TRIES):
                    # Whoever waits for the rules is passed by nobody: the lock is fair, and what follows it asks
                    # at once.
                    async with self._order:
                        rules = await self._known_rules(commands)
                    sent, found = await self._try(commands, sending, rules)
                    if sent:
                        return found
                    if self._rules is rules:
                        self._rules = _UNKNOWN
        except TimeoutError as error:
            raise Unavailable from error
        except Unavailable as error:
            if is_demoted(error.__cause__):
                # The next finds whoever is at the address now.
                commands.connect_again(error)
            raise
        raise Unavailable("what the hubs keep changes all the time")

    async def _try(self, commands: Commands, sending: _Sending, rules: _Rules) -> tuple[bool, Position | None]:
        """As `Publisher._try`."""
        keep = rules.retention.kept(sending.topic)
        data = self._envelope(sending, keep)
        channel = self._keys.channel(sending.topic)
        if not keep:
            script, keys, arguments = self._unkept(sending.topic, keep, rules.version)
            return await commands.run_joined(channel, script, keys, *arguments, data) != 0, None
        keys, arguments = asking(self._keys, sending.topic, keep, sending.idempotency_key)
        if sending.idempotency_key is not None:
            return True, position(await commands.run(PUBLISH, keys, *arguments, data))
        return True, position(*await commands.run_together(channel, PUBLISH, keys, *arguments, data))

    async def _known_rules(self, commands: Commands) -> _Rules:
        if time.monotonic() >= self._rules.until:
            keys, arguments = declaring(self._keys)
            self._rules = _Rules.read(await commands.run(DECLARE, keys, *arguments))
        return self._rules

"""Publishing from where no hub runs: a Celery task, a cron job, another service.

    with Publisher("redis://localhost") as publisher:
        publisher.user("alice").send({"type": "report_ready", "id": 7})

`AsyncPublisher` is the same with `async with` and `await`. Both hand the message straight to the broker that the
hubs use, and keep it where the hubs keep it, whether one runs or not; they check nobody's right, and `name=` must be
the hub's. A hub on the memory broker has no broker to publish to: there, publish by HTTP
(`hubbub.integrations.publishing`).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self

from hubbub.client.sending import UNKNOWN, Asked, Publishing, Recipients, Rules, Sending
from hubbub.errors import ConfigurationError, Unavailable
from hubbub.rooms.each_room import Outcome, positions
from hubbub.scheduling.home_loop import HomeLoop
from hubbub.tracing.provider import TracerProvider
from hubbub.types import Position, RoomName

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.exceptions import NoScriptError, ResponseError
    from redis.retry import Retry

    from hubbub.brokers.redis.commands import Commands
    from hubbub.brokers.redis.publishing import DECLARE, PUBLISH, declaring, position
    from hubbub.brokers.redis.refusals import is_demoted, told, unavailable
    from hubbub.brokers.redis.server import in_redis_terms
except ImportError:
    raise ConfigurationError('publishing to a broker needs redis-py: pip install "hubbub[redis]"') from None

__all__ = ["AsyncPublisher", "Publisher", "Recipients"]

_KINDS = {"tcp": redis.Connection, "tls": redis.SSLConnection, "unix": redis.UnixDomainSocketConnection}

#: How often what the hubs keep may change under a message before it is given up.
_TRIES = 5
_CHANGES = "what the hubs keep changes all the time"


class Publisher(Publishing[Position | None, list[Position | None]]):
    """For code that does not await. Threads may share it, and so may the processes a task queue forks.

    deadline: seconds to connect, and again for each answer, before Unavailable is raised; default 2.
    """

    def __init__(
        self,
        broker: str | None = None,
        *,
        name: str = "hubbub",
        deadline: float = 2.0,
        tracing: bool | TracerProvider | None = None,
    ) -> None:
        super().__init__(broker, name=name, deadline=deadline, tracing=tracing)
        options: dict[str, Any] = {
            **in_redis_terms(self._server.url),
            "connection_class": _KINDS[self._server.url.kind],
            "socket_timeout": deadline,
            "socket_connect_timeout": deadline,
            "retry": Retry(NoBackoff(), 0),
        }
        self._redis = redis.Redis(connection_pool=redis.ConnectionPool(**options))
        self._rules = UNKNOWN

    def close(self) -> None:
        """Give its connections back; one that is used again makes new ones."""
        self._redis.connection_pool.disconnect()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _within(
        self, span: Callable[[], AbstractContextManager[None]], work: Callable[[], Position | None]
    ) -> Position | None:
        with span():
            return self._went(work())

    def _each_within(
        self, span: Callable[[], AbstractContextManager[None]], work: Callable[[], list[Position | None]]
    ) -> list[Position | None]:
        with span():
            return work()

    def _publish(self, sending: Sending) -> Position | None:
        try:
            for _ in range(_TRIES):
                asked = self._asked(sending, self._known_rules())
                sent, found = asked.told(self._run(asked))
                if sent:
                    return found
                self._rules = UNKNOWN
        except (redis.RedisError, OSError) as error:
            raise self._unavailable(error) from told(error)
        raise Unavailable(_CHANGES)

    def _publish_each(self, rooms: Sequence[RoomName], sendings: Sequence[Sending]) -> list[Position | None]:
        left = dict(zip(dict.fromkeys(rooms), sendings, strict=True))
        found: dict[RoomName, Outcome] = {}
        try:
            for _ in range(_TRIES):
                rules = self._known_rules()
                asked = {room: self._asked(sending, rules) for room, sending in left.items()}
                for room, answer in zip(asked, self._run_together([*asked.values()]), strict=True):
                    if isinstance(answer, ResponseError):
                        found[room] = self._unavailable(answer)
                        continue
                    sent, at = asked[room].told(answer)
                    if sent:
                        found[room] = at
                left = {room: sending for room, sending in left.items() if room not in found}
                if not left:
                    break
                self._rules = UNKNOWN
        except (redis.RedisError, OSError) as error:
            found |= dict.fromkeys(left, self._unavailable(error))
        return positions(rooms, dict.fromkeys(left, Unavailable(_CHANGES)) | found)

    def _unavailable(self, error: redis.RedisError | OSError) -> Unavailable:
        if is_demoted(error):
            # The next finds whoever is at the address now.
            self._redis.connection_pool.disconnect()
        return unavailable(error)

    def _run(self, asked: Asked) -> Any:
        count, rest = len(asked.keys), (*asked.keys, *asked.arguments)
        try:
            return self._redis.evalsha(asked.script.sha.decode(), count, *rest)
        except NoScriptError:  # and so nothing was done
            return self._redis.eval(asked.script.body.decode(), count, *rest)

    def _run_together(self, several: Sequence[Asked]) -> list[Any]:
        """The answers, in order; what the server refused of one, in its place."""
        pipeline = self._redis.pipeline(transaction=False)
        for asked in several:
            pipeline.evalsha(asked.script.sha.decode(), len(asked.keys), *asked.keys, *asked.arguments)
        answers = pipeline.execute(raise_on_error=False)
        return [
            self._run_again(asked) if isinstance(answer, NoScriptError) else answer
            for asked, answer in zip(several, answers, strict=True)
        ]

    def _run_again(self, asked: Asked) -> Any:
        """Of several: what is refused of one is its answer, and the others go on."""
        try:
            return self._run(asked)
        except ResponseError as error:
            return error

    def _known_rules(self) -> Rules:
        if time.monotonic() >= self._rules.until:
            self._rules = Rules.read(self._run(Asked(DECLARE, *declaring(self._keys))))
        return self._rules


class AsyncPublisher(Publishing[Awaitable[Position | None], Awaitable[list[Position | None]]]):
    """For code that awaits. Belongs to the event loop it was entered in; what is sent leaves in that order.

    deadline: seconds a call takes at most, before Unavailable is raised; default 2.
    """

    _commands: Commands | None = None

    async def __aenter__(self) -> Self:
        self._home = HomeLoop("this AsyncPublisher", "Give each loop one of its own, and threads a Publisher")
        self._commands = Commands(self._server.connect, deadline=self._deadline)
        self._order = asyncio.Lock()
        self._rules = UNKNOWN
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        commands, self._commands = self._commands, None
        if commands is not None:
            await commands.stop()

    async def _within(
        self, span: Callable[[], AbstractContextManager[None]], work: Callable[[], Awaitable[Position | None]]
    ) -> Position | None:
        with span():
            return self._went(await work())

    async def _each_within(
        self, span: Callable[[], AbstractContextManager[None]], work: Callable[[], Awaitable[list[Position | None]]]
    ) -> list[Position | None]:
        with span():
            return await work()

    async def _publish(self, sending: Sending) -> Position | None:
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
                        self._rules = UNKNOWN
        except TimeoutError as error:
            raise Unavailable from error
        except Unavailable as error:
            if is_demoted(error.__cause__):
                # The next finds whoever is at the address now.
                commands.connect_again(error)
            raise
        raise Unavailable(_CHANGES)

    async def _publish_each(self, rooms: Sequence[RoomName], sendings: Sequence[Sending]) -> list[Position | None]:
        async def outcome(sending: Sending) -> Outcome:
            try:
                return await self._publish(sending)
            except Unavailable as error:
                return error

        outcomes = await asyncio.gather(*map(outcome, sendings))
        return positions(rooms, dict(zip(dict.fromkeys(rooms), outcomes, strict=True)))

    async def _try(self, commands: Commands, sending: Sending, rules: Rules) -> tuple[bool, Position | None]:
        """As `Asked.told`."""
        asked = self._asked(sending, rules)
        script, keys, arguments = asked
        channel = self._keys.channel(sending.topic)
        if script is not PUBLISH:
            return asked.told(await commands.run_joined(channel, script, keys, *arguments))
        if sending.idempotency_key is not None:
            return asked.told(await commands.run(script, keys, *arguments))
        return True, position(*await commands.run_together(channel, script, keys, *arguments))

    async def _known_rules(self, commands: Commands) -> Rules:
        if time.monotonic() >= self._rules.until:
            keys, arguments = declaring(self._keys)
            self._rules = Rules.read(await commands.run(DECLARE, keys, *arguments))
        return self._rules

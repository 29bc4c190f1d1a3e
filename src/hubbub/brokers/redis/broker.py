"""The broker that several workers and machines meet on: Redis or Valkey, standalone.

Two connections a worker: one listens, one asks. What is counted is counted by scripts on the server, so that deciding
and announcing are one step; messages are PUBLISHed and come back to the sender like to everybody else.
"""

import random
from collections.abc import Callable

from hubbub.brokers.redis.commands import Commands, Script
from hubbub.brokers.redis.keys import Keys, decoded, encoded
from hubbub.brokers.redis.listener import Listener
from hubbub.brokers.redis.server import Server
from hubbub.errors import ConfigurationError, Unavailable
from hubbub.ports.broker import Announcement, Deliver
from hubbub.state.backoff import Backoff
from hubbub.types import Position, Topic

_ENTER, _LEAVE = Script("enter"), Script("leave")
_TURN, _GIVE_UP = Script("turn"), Script("give_up")
_REPORT, _REPORTS = Script("report"), Script("reports")

#: How long a lease's number is remembered after the last turn: a day.
_TURNS = 24 * 60 * 60


class RedisBroker:
    """`url` as redis-py reads it, and `valkey://` likewise; `name` keeps two hubs on one server apart.

    Times are seconds. Every call ends within `deadline`. A listener that hears nothing for `idle` asks, and one that
    hears nothing for `silence` connects again. Raises ConfigurationError where a parameter cannot be used.
    """

    def __init__(
        self, url: str, *, name: str = "hubbub", deadline: float = 2.0, idle: float = 5.0, silence: float = 10.0
    ) -> None:
        if not 0 < idle < silence or deadline <= 0:
            raise ConfigurationError("a broker's deadline and idle must be above 0, and silence longer than idle")
        self._server = Server(url, deadline=deadline)
        self._keys = Keys(name, db=self._server.db)
        self._deadline = deadline
        self._idle = idle
        self._silence = silence
        self._commands: Commands | None = None
        self._listener: Listener | None = None

    def __repr__(self) -> str:
        return f"RedisBroker({str(self._server)!r})"

    @property
    def shared(self) -> bool:
        return True

    @property
    def ready(self) -> bool:
        return self._listener is not None and self._listener.ready

    async def start(self, deliver: Deliver, resumed: Callable[[], None]) -> None:
        self._commands = Commands(self._server.connect, deadline=self._deadline)
        self._listener = Listener(
            self._server.connect,
            deliver,
            resumed,
            address=str(self._server),
            deadline=self._deadline,
            idle=self._idle,
            silence=self._silence,
            backoff=Backoff(random.uniform, first=0.1, ceiling=2.0),
        )

    async def stop(self) -> None:
        listener, self._listener = self._listener, None
        commands, self._commands = self._commands, None
        if listener is not None:
            await listener.stop()
        if commands is not None:
            await commands.stop()

    async def publish(self, topic: Topic, data: bytes) -> Position | None:
        await self._asking().call(b"PUBLISH", self._keys.channel(topic), data)
        return None

    async def subscribe(self, topic: Topic) -> None:
        await self._listening().subscribe(self._keys.channel(topic), topic)

    async def unsubscribe(self, topic: Topic) -> None:
        self._listening().unsubscribe(self._keys.channel(topic))

    async def enter(self, topic: Topic, member: str, holder: str, announce: Announcement | None = None) -> bool:
        return await self._presence(_ENTER, topic, member, holder, announce)

    async def leave(self, topic: Topic, member: str, holder: str, announce: Announcement | None = None) -> bool:
        return await self._presence(_LEAVE, topic, member, holder, announce)

    async def members(self, topic: Topic) -> list[str]:
        return sorted(map(decoded, await self._asking().call(b"HKEYS", self._keys.members(topic))))

    async def count(self, topic: Topic) -> int:
        return int(await self._asking().call(b"HLEN", self._keys.members(topic)))

    async def contains(self, topic: Topic, member: str) -> bool:
        return bool(await self._asking().call(b"HEXISTS", self._keys.members(topic), encoded(member)))

    async def take_turn(self, name: str, holder: str, ttl: float) -> int | None:
        lease, number = _milliseconds(ttl), _milliseconds(ttl + _TURNS)
        keys = (self._keys.turn(name), self._keys.turns(name))
        turn: int | None = await self._asking().run(_TURN, keys, encoded(holder), lease, number)
        return turn

    async def give_up(self, name: str, holder: str) -> None:
        await self._asking().run(_GIVE_UP, (self._keys.turn(name),), encoded(holder))

    async def report(self, node: str, facts: bytes, ttl: float) -> None:
        await self._asking().run(_REPORT, (self._keys.nodes,), encoded(node), facts, _milliseconds(ttl))

    async def reports(self) -> dict[str, bytes]:
        flat = await self._asking().run(_REPORTS, (self._keys.nodes,))
        return dict(zip(map(decoded, flat[::2]), flat[1::2], strict=True))

    async def withdraw(self, node: str) -> None:
        await self._asking().call(b"HDEL", self._keys.nodes, encoded(node))

    async def _presence(
        self, script: Script, topic: Topic, member: str, holder: str, announce: Announcement | None
    ) -> bool:
        channel, data = (b"", b"") if announce is None else (self._keys.channel(announce.topic), announce.data)
        keys = (self._keys.members(topic), self._keys.held(topic, holder))
        return bool(await self._asking().run(script, keys, encoded(member), channel, data))

    def _asking(self) -> Commands:
        if self._commands is None:
            raise Unavailable
        return self._commands

    def _listening(self) -> Listener:
        if self._listener is None:
            raise Unavailable
        return self._listener


def _milliseconds(seconds: float) -> int:
    """At least one, because Redis refuses to expire in zero."""
    return max(1, round(seconds * 1000))

"""The broker that several workers and machines meet on: Redis or Valkey, standalone.

Two connections a worker: one listens, one asks. What is counted is counted by scripts on the server, so that deciding
and announcing are one step; messages are PUBLISHed and come back to the sender like to everybody else.

The file is longer than others: it is the port as Redis has it, method by method, and each is one script or one command.
"""

import random
from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any

from hubbub.brokers.redis.commands import Commands
from hubbub.brokers.redis.edges import EDGES, HANDLED, KNOWN, edge_of, edges
from hubbub.brokers.redis.keys import Keys, decoded, encoded, quoted, quoted_whole, unquoted
from hubbub.brokers.redis.listener import Listener
from hubbub.brokers.redis.probe import Probe
from hubbub.brokers.redis.publishing import (
    DECLARE,
    FORGET,
    PUBLISH,
    asking,
    declared,
    declaring,
    forgetting,
    milliseconds,
    new_epoch,
    position,
)
from hubbub.brokers.redis.requests import Script
from hubbub.brokers.redis.resp import Argument
from hubbub.brokers.redis.server import Server
from hubbub.brokers.redis.shown import HIDE, SHOW, SHOWN, change_of, shown
from hubbub.brokers.redis.writes import Writes
from hubbub.errors import ConfigurationError, Unavailable
from hubbub.options import History, Keep
from hubbub.ports.broker import (
    POSITION_KNOWN,
    REVOCATIONS_KEPT,
    TOO_MANY_REVOCATIONS,
    Announcement,
    Change,
    Declared,
    Deliver,
    Edges,
    Entry,
    Held,
    Past,
    Remembered,
    Renewal,
    Shown,
)
from hubbub.ports.metrics import Metrics, Tally
from hubbub.scheduling.backoff import Backoff
from hubbub.types import Position, Topic

_READ, _TURN_BACK = Script("read"), Script("turn_back")
_RENEW, _LOST, _SWEEP = Script("renew"), Script("lost"), Script("sweep")
_ENTER, _LEAVE = Script("enter"), Script("leave")
_TURN, _GIVE_UP = Script("turn"), Script("give_up")
_REPORT, _REPORTS = Script("report"), Script("reports")
_REVOKE = Script("revoke")
_PROBE = Script("probe")

#: How long a lease's number is remembered after the last turn: a day.
_TURNS = 24 * 60 * 60

#: For how many milliseconds what the probe writes stays where its script is cut off in the middle.
_PROBED = 1000

#: For how many milliseconds a holder whose lease ran out is remembered as one.
_LAPSED = 60 * 60 * 1000


class RedisBroker:
    """`url` as redis-py reads it, and `valkey://` likewise; `name` keeps two hubs on one server apart.

    Times are seconds. Every call ends within `deadline`. It writes and publishes to itself every `probe`. Where what it
    published does not come back for `silence`, it is not ready and connects again; where what it writes is refused for
    as long as `probe`, `refusal` says why. Raises ConfigurationError where a parameter cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str = "hubbub",
        deadline: float = 2.0,
        probe: float = 3.0,
        silence: float = 10.0,
        metrics: Metrics | None = None,
    ) -> None:
        if not 0 < probe < silence or deadline <= 0:
            raise ConfigurationError("a broker's deadline and probe must be above 0, and silence longer than probe")
        self._server = Server(url, deadline=deadline)
        self._keys = Keys(name, db=self._server.db)
        # The topic of the probe, which nobody else knows; no room, user or other topic is called so.
        self._own = Topic(f"probe:{random.getrandbits(64):016x}")
        self._deadline = deadline
        self._every = probe
        self._silence = silence
        self._metrics = Tally() if metrics is None else metrics
        self._probe: Probe | None = None
        self._writes: Writes | None = None
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

    @property
    def deaf_for(self) -> float:
        return 0.0 if self._listener is None else self._listener.deaf_for

    @property
    def refusal(self) -> str | None:
        refusers = (each for each in (self._writes, self._listener) if each is not None)
        return next((each.refusal for each in refusers if each.refusal is not None), None)

    @property
    def round_trip(self) -> float | None:
        """Seconds from publishing to hearing it, when it was measured last."""
        return None if self._probe is None else self._probe.round_trip

    async def start(self, deliver: Deliver, resumed: Callable[[], None], missed: Callable[[Topic], None]) -> None:
        self._commands = Commands(self._server.connect, deadline=self._deadline)
        address = str(self._server)
        self._writes = Writes(self._write, self._write_elsewhere, self._move, address=address, lasting=self._every)
        channel = self._keys.channel(self._own)
        self._probe = Probe(self._publish, self._writes.attempt, channel, every=self._every)
        self._listener = Listener(
            self._server.connect,
            self._probe,
            deliver,
            resumed,
            missed,
            address=address,
            deadline=self._deadline,
            silence=self._silence,
            backoff=Backoff(random.uniform, first=0.1, ceiling=2.0),
            metrics=self._metrics,
        )

    async def stop(self) -> None:
        listener, self._listener = self._listener, None
        commands, self._commands = self._commands, None
        if listener is not None:
            await listener.stop()
        if commands is not None:
            await commands.stop()

    async def publish(
        self, topic: Topic, data: bytes, *, keep: Keep = None, idempotency_key: str | None = None
    ) -> Position | None:
        if not keep:
            channel = self._keys.channel(topic)
            if keep is False:
                keys, rules = forgetting(self._keys, topic)
                await self._asking().run_joined(channel, FORGET, keys, *rules, data)
            else:
                await self._asking().call(b"PUBLISH", channel, data)
            return None
        keys, rules = asking(self._keys, topic, keep, idempotency_key)
        if idempotency_key is None:
            channel = self._keys.channel(topic)
            return position(*await self._asking().run_together(channel, PUBLISH, keys, *rules, data))
        return position(await self._asking().run(PUBLISH, keys, *rules, data))

    async def read(
        self, topic: Topic, keep: History, *, since: int | None = None, limit: int, reverse: bool = False
    ) -> Past:
        keys = (self._keys.meta(topic), self._keys.stream(topic), self._keys.begun)
        known = (milliseconds(keep.ttl), milliseconds(keep.ttl + POSITION_KNOWN))
        after = b"" if since is None else since
        epoch, top, *found = await self._asking().run(
            _READ, keys, keep.size, *known, new_epoch(), limit, int(reverse), after
        )
        return Past(Position(epoch.decode(), top), [*map(Entry, found[::2], found[1::2])])

    async def turn_back(self, topic: Topic, keep: History, epoch: str) -> Position:
        keys = (self._keys.meta(topic), self._keys.begun)
        known = milliseconds(keep.ttl + POSITION_KNOWN)
        now, top = await self._asking().run(_TURN_BACK, keys, encoded(epoch), known, new_epoch())
        return Position(now.decode(), top)

    async def subscribe(self, topic: Topic) -> None:
        await self._listening().subscribe(self._keys.channel(topic), topic)

    async def unsubscribe(self, topic: Topic) -> None:
        self._listening().unsubscribe(self._keys.channel(topic))

    async def enter(
        self, topic: Topic, member: str, holder: str, announce: Announcement | None = None, *, edge: bool | None = None
    ) -> bool:
        its, said = edge_of(self._keys, topic, edge, leaves=False)
        return bool(await self._presence(_ENTER, topic, member, holder, its, *self._announced(announce), *said))

    async def leave(
        self, topic: Topic, member: str, holder: str, announce: Announcement | None = None, *, edge: bool | None = None
    ) -> bool:
        its, said = edge_of(self._keys, topic, edge, leaves=True)
        return bool(await self._presence(_LEAVE, topic, member, holder, its, *self._announced(announce), *said))

    async def show(
        self,
        topic: Topic,
        member: str,
        holder: str,
        data: bytes,
        *,
        at: int | None = None,
        announce: Announcement | None = None,
        change: Change | None = None,
    ) -> Shown:
        place: Argument = b"" if at is None else at
        said = (quoted_whole(holder), data, place, *self._announced(announce), *change_of(self._keys, change))
        first, place = await self._presence(SHOW, topic, member, holder, (self._keys.shown(topic),), *said)
        return Shown(bool(first), int(place))

    async def hide(
        self,
        topic: Topic,
        member: str,
        holder: str,
        announce: Announcement | None = None,
        change: Change | None = None,
    ) -> bool:
        said = (quoted_whole(holder), *self._announced(announce), *change_of(self._keys, change))
        return bool(await self._presence(HIDE, topic, member, holder, (self._keys.shown(topic),), *said))

    async def renew(self, holder: str, ttl: float) -> Renewal:
        keys = (self._keys.leases, self._keys.lapsed)
        lapsed, known = await self._asking().run(_RENEW, keys, quoted_whole(holder), milliseconds(ttl))
        if lapsed:
            return Renewal.LOST
        return Renewal.KEPT if known else Renewal.NEW

    async def lost(self, limit: int, *, ago: float = 0.0) -> list[Held]:
        names = self._keys
        keys = (names.leases, names.lapsed)
        arguments = (limit, _LAPSED, names.all_holds, names.all_topics, milliseconds(ago) if ago else 0)
        found = await self._asking().run(_LOST, keys, *arguments)
        return [
            Held(unquoted(holder), Topic(unquoted(topic)), [*map(decoded, members)])
            for holder, topic, members in zip(found[::3], found[1::3], found[2::3], strict=True)
        ]

    async def sweep(
        self,
        held: Held,
        announce: Sequence[Announcement | None],
        changes: Sequence[Change | None] = (),
        *,
        edge: bool | None = None,
    ) -> list[bool]:
        names, holder, topic = self._keys, held.holder, held.topic
        its, said = edge_of(names, topic, edge, leaves=True)
        keys = (names.lapsed, *self._held(topic, holder), names.shown(topic), *its)
        each = said
        for member, notice, change in zip(held.members, announce, changes or repeat(None), strict=False):
            each += (encoded(member), *self._announced(notice), *change_of(names, change))
        return [
            bool(last) for last in await self._asking().run(_SWEEP, keys, quoted_whole(holder), quoted(topic), *each)
        ]

    async def edges(self, limit: int) -> Edges:
        keys = (self._keys.edges, self._keys.numbers, self._keys.asked)
        return edges(await self._asking().run(EDGES, keys, limit, KNOWN))

    async def handled(self, number: int) -> None:
        await self._asking().run(HANDLED, (self._keys.edges, self._keys.numbers), number)

    async def last_left(self, member: str) -> float | None:
        when = await self._asking().call(b"ZSCORE", self._keys.left, encoded(member))
        return None if when is None else float(when) / 1000

    async def members(self, topic: Topic) -> list[str]:
        return sorted(map(decoded, await self._asking().call(b"HKEYS", self._keys.members(topic))))

    async def shown(self, topic: Topic) -> dict[str, bytes]:
        return shown(await self._asking().run(SHOWN, (self._keys.members(topic), self._keys.shown(topic))))

    async def count(self, topic: Topic) -> int:
        return int(await self._asking().call(b"HLEN", self._keys.members(topic)))

    async def contains(self, topic: Topic, member: str) -> bool:
        return bool(await self._asking().call(b"HEXISTS", self._keys.members(topic), encoded(member)))

    async def declare(self, word: bytes) -> Declared:
        keys, arguments = declaring(self._keys, word)
        return declared(await self._asking().run(DECLARE, keys, *arguments))

    async def declared(self) -> Declared:
        keys, arguments = declaring(self._keys)
        return declared(await self._asking().run(DECLARE, keys, *arguments))

    async def revoke(self, word: bytes, until: float, announce: Announcement) -> None:
        names, ends = self._keys, milliseconds(until)
        said = (word, ends, REVOCATIONS_KEPT, *self._announced(announce))
        if not await self._asking().run(_REVOKE, (names.revoked, names.revocations), *said):
            raise Unavailable(TOO_MANY_REVOCATIONS)

    async def revoked(self, since: int, limit: int) -> list[Remembered]:
        asked = (b"ZRANGEBYSCORE", self._keys.revocations, b"(%d" % since, b"+inf", b"WITHSCORES", b"LIMIT", 0, limit)
        flat = await self._asking().call(*asked)
        return [Remembered(int(float(number)), word) for word, number in zip(flat[::2], flat[1::2], strict=True)]

    async def take_turn(self, name: str, holder: str, ttl: float) -> int | None:
        lease, number = milliseconds(ttl), milliseconds(ttl + _TURNS)
        keys = (self._keys.turn(name), self._keys.turns(name))
        turn: int | None = await self._asking().run(_TURN, keys, encoded(holder), lease, number)
        return turn

    async def give_up(self, name: str, holder: str) -> None:
        await self._asking().run(_GIVE_UP, (self._keys.turn(name),), encoded(holder))

    async def report(self, node: str, facts: bytes, ttl: float) -> None:
        await self._asking().run(_REPORT, (self._keys.nodes,), encoded(node), facts, milliseconds(ttl))

    async def reports(self) -> dict[str, bytes]:
        flat = await self._asking().run(_REPORTS, (self._keys.nodes,))
        return dict(zip(map(decoded, flat[::2]), flat[1::2], strict=True))

    async def withdraw(self, node: str) -> None:
        await self._asking().call(b"HDEL", self._keys.nodes, encoded(node))

    async def _publish(self, channel: bytes, data: bytes) -> None:
        await self._asking().call(b"PUBLISH", channel, data)

    async def _write(self) -> None:
        await self._write_by(self._asking())

    async def _write_elsewhere(self) -> None:
        commands = Commands(self._server.connect, deadline=self._deadline)
        try:
            await self._write_by(commands)
        finally:
            await commands.stop()

    async def _write_by(self, commands: Commands) -> None:
        await commands.run(_PROBE, self._keys.probe(self._own), _PROBED)

    def _move(self, error: Exception) -> None:
        for connection in (self._commands, self._listener):
            if connection is not None:
                connection.connect_again(error)

    async def _presence(
        self, script: Script, topic: Topic, member: str, holder: str, its: Sequence[bytes], *said: Argument
    ) -> Any:
        """`its`: the keys that the script has beside those of the member; `said` follows the member and the topic."""
        keys = (*self._held(topic, holder), *its)
        return await self._asking().run(script, keys, encoded(member), quoted(topic), *said)

    def _held(self, topic: Topic, holder: str) -> tuple[bytes, bytes, bytes]:
        """The keys of who is in a topic, and of what the holder has to do with that."""
        names = self._keys
        return names.members(topic), names.held(topic, holder), names.holds(holder)

    def _announced(self, announce: Announcement | None) -> tuple[bytes, bytes]:
        """Channel and message as a script takes them."""
        return (b"", b"") if announce is None else (self._keys.channel(announce.topic), announce.data)

    def _asking(self) -> Commands:
        if self._commands is None:
            raise Unavailable
        return self._commands

    def _listening(self) -> Listener:
        if self._listener is None:
            raise Unavailable
        return self._listener

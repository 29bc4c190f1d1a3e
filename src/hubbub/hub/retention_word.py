"""What is kept of this hub's messages, agreed with all who send to its rooms: services, releases, publishers.

Each leaves its word at the broker and learns the others', again every second. The broker may come later than the hub,
or forget: then whoever misses its own word leaves all it knows again.

A worker that begins to keep what nobody kept takes nobody in before all workers that run know of it (they say so in
what they report of themselves): what one of them sent meanwhile would not be kept, and a client that missed it would be
told that it missed nothing. What a worker reports leaves behind what it has sent, on the same connection.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from hashlib import blake2b

from hubbub.errors import ConfigurationError, Unavailable
from hubbub.history.positions import Positions
from hubbub.options import History, Keep
from hubbub.ports.broker import LIVING, Broker, Declared, is_in_trouble
from hubbub.ports.logs import Event, fields
from hubbub.rooms.declared import DeclaredRooms, Rule
from hubbub.rooms.patterns import placeholders, shape
from hubbub.rooms.retention import Retention, Word, word
from hubbub.scheduling.tasks import repeat
from hubbub.types import NodeId, Topic, room_of

_log = logging.getLogger("hubbub.retention")

# How often the word is left and the others' learned.
_INTERVAL = 1.0
# How long a worker waits until all know what it keeps. Those that died are not reported any more after two seconds.
_PATIENCE = 5.0
_LOOK = 0.05
# At which failure in a row somebody is told.
_TELLING = 5


class RetentionWord:
    """`rooms` are those declared, `inbox` what is kept for a user. `retention` learns what others say.

    `tell` reports what this worker knows, to those who wait for it.
    """

    def __init__(
        self,
        broker: Broker,
        node: NodeId,
        rooms: DeclaredRooms,
        inbox: Keep,
        retention: Retention,
        positions: Positions,
        *,
        tell: Callable[[], Awaitable[None]],
    ) -> None:
        self._broker = broker
        self._node = node
        self._rooms = rooms
        self._inbox = inbox
        self._retention = retention
        retention.doubt()
        self._positions = positions
        self._tell = tell
        self.settled: bool = False
        """Whether the others know this word, and this worker theirs."""
        self.known: Sequence[str] = ()
        """Marks of the words that this worker knows, for those who left them."""
        self._mine: set[bytes] = set()
        self._read: dict[bytes, Word | None] = {}
        self._state: tuple[list[bytes], list[bytes]] | None = None
        self._told: set[str] = set()
        self._soon = asyncio.Event()
        self._failures = 0

    async def settle(self) -> None:
        """Leave the word and learn the others'. Where the broker is away, `keep_settled` does it later."""
        try:
            await self._settle()
        except Unavailable as error:
            if not is_in_trouble(self._broker):
                self._failures += 1
                if self._failures == _TELLING:
                    _log.warning(
                        "what is kept cannot be agreed on at the broker: %s",
                        error.__cause__ or error,
                        extra=fields(Event.RETENTION_UNKNOWN),
                    )
        else:
            self._failures = 0
            self.settled = True

    async def _settle(self) -> None:
        mine = self._word()
        declared = await self._broker.declare(mine)
        if declared.fresh and mine in self._mine:
            declared = await self._restore(declared)
        self._mine.add(mine)
        if self._learn(declared):
            await self._tell()
        if declared.fresh and self._keeps_anything():
            await self._until_known(_mark(mine))

    async def keep_settled(self) -> None:
        """Every second, and when `resumed`, until cancelled."""
        await repeat(self.settle, _INTERVAL, self._soon, _log, "what is kept could not be agreed on")

    def resumed(self) -> None:
        """The broker is back, and may have forgotten."""
        self._soon.set()

    def _word(self) -> bytes:
        rooms: list[tuple[str, Keep]] = []
        perhaps: list[tuple[str, Keep]] = []
        for pattern, rule in self._rooms:
            keep = rule.options.history
            if keep or not _has_types(pattern, rule):
                rooms.append((pattern, keep))
            elif keep is False:
                # Who reads it knows no types, and would stop at what is perhaps not this room.
                perhaps.append((pattern, keep))
        return word([*rooms, *perhaps], self._inbox)

    def _keeps_anything(self) -> bool:
        return bool(self._inbox) or any(rule.options.history for _, rule in self._rooms)

    def _own(self, topic: Topic) -> Keep:
        room = room_of(topic)
        return self._inbox if room is None else self._rooms.options_of(room).history

    async def _restore(self, declared: Declared) -> Declared:
        """The broker forgot: those whose words it had may not run now to leave them again."""
        for lost in (said for each in self._state or () for said in each if said not in declared.words):
            await self._broker.declare(lost)
        return (await self._broker.declared())._replace(fresh=True)

    def _learn(self, declared: Declared) -> bool:
        """Whether there was anything to learn."""
        self.known = [_mark(said) for said in declared.words]
        others = {said: age for said, age in declared.words.items() if said not in self._mine}
        # Of those that live all count alike, of the others who said it last.
        living = sorted(said for said, age in others.items() if age <= LIVING)
        state = (living, sorted(others.keys() - {*living}, key=lambda said: others[said]))
        if state == self._state:
            return False
        self._state = state
        words: list[tuple[Word, float]] = []
        for said, age in others.items():
            if said not in self._read:
                self._read[said] = _readable(said)
            if (read := self._read[said]) is not None:
                words.append((read, age))
        self._retention.learn(words)
        self._positions.drop(lambda topic: not self._retention.kept(topic, self._own(topic)))
        for read, age in words:
            self._compare(read, age)
        return True

    def _compare(self, other: Word, age: float) -> None:
        """Say where another keeps something else, once."""
        theirs = {shape(pattern): keep for pattern, keep in other.rooms}
        both = [(f"rooms {name!r}", rule.options.history, theirs.get(shape(name))) for name, rule in self._rooms]
        for what, mine, their in (*both, ("messages to users", self._inbox, other.inbox)):
            if not their or mine == their:
                continue
            if age <= LIVING:
                who, then = "another that runs keeps", "the most is kept. Declare the same in both"
            elif mine is None:
                who, then = "one that ran before kept", "that goes on. history=False (or inbox=False) here would end it"
            else:
                continue
            told = f"{what}: this worker keeps {_said(mine)}; {who} {_said(their)}: {then}"
            if told not in self._told:
                self._told.add(told)
                _log.warning("%s", told, extra=fields(Event.RETENTION_DIFFERS))

    async def _until_known(self, mark: str) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + _PATIENCE
        while unaware := list(await self._unaware(mark)):
            if loop.time() >= until:
                _log.warning(
                    "workers %s do not know yet what is kept here: who comes back may miss what they send now unsaid",
                    ", ".join(unaware),
                    extra=fields(Event.RETENTION_UNKNOWN, count=len(unaware)),
                )
                return
            await asyncio.sleep(_LOOK)

    async def _unaware(self, mark: str) -> Iterator[str]:
        reports = await self._broker.reports()
        # A release that reports no marks cannot be waited for.
        return (
            node
            for node, said in reports.items()
            if node != self._node and mark not in json.loads(said).get("kept", mark)
        )


def _has_types(pattern: str, rule: Rule) -> bool:
    return any(rule.check.annotations.get(name, str) is not str for name in placeholders(pattern))


def _readable(said: bytes) -> Word | None:
    try:
        return Word.read(said)
    except ConfigurationError as error:
        _log.error("%s What it keeps is not kept by this worker", error, extra=fields(Event.RETENTION_DIFFERS))
        return None


def _mark(said: bytes) -> str:
    return blake2b(said, digest_size=8).hexdigest()


def _said(keep: Keep) -> str:
    return f"{keep.size} messages for {keep.ttl:g} s" if isinstance(keep, History) else "nothing"

"""For tests of positions: a broker that keeps one true stream and answers when the test says so, and a client that
holds what it is told against what the protocol promises.
"""

import asyncio
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from hubbub.errors import Unavailable
from hubbub.options import History
from hubbub.ports.broker import Entry, Past
from hubbub.protocol.envelope import Envelope, Kind
from hubbub.types import Position, Topic


@dataclass(eq=False)
class Asked:
    """A call, `what` is "read" or the epoch to turn back. What it finds is found by `do`, and told by `answer`."""

    topic: Topic
    what: str
    since: int | None
    limit: int
    reverse: bool
    end: asyncio.Future[Any]
    found: Any = None


@dataclass
class TrueStream:
    """One life after the other of what is kept of a topic. `published`: who did not get which message."""

    epoch: str = "e1"
    top: int = 0
    entries: list[Entry] = field(default_factory=list)
    published: dict[Position, tuple[bytes, frozenset[str]]] = field(default_factory=dict)
    lives: int = 1
    number: int = 0

    def publish(self, size: int, without: Collection[str] = ()) -> tuple[Position, bytes]:
        """Keep one more of at most `size`; what the broker brings of it."""
        self.number += 1
        self.top += 1
        payload = b'{"type":"m","n":%d}' % self.number
        data = Envelope(Kind.MESSAGE, payload, without_users=frozenset(without)).encode()
        position = Position(self.epoch, self.top)
        self.entries.append(Entry(self.top, data))
        del self.entries[:-size]
        self.published[position] = (payload, frozenset(without))
        return position, data

    def begin_anew(self) -> None:
        self.lives += 1
        self.epoch, self.top, self.entries = f"e{self.lives}", 0, []

    def go_back(self, by: int) -> None:
        """What a replica that lagged knows."""
        self.top = max(0, self.top - by)
        self.entries = [entry for entry in self.entries if entry.offset <= self.top]

    def read(self, since: int | None, limit: int, *, reverse: bool) -> Past:
        found = [entry for entry in self.entries if since is None or (entry.offset < since) is reverse]
        if not reverse and since is not None:
            found = [entry for entry in found if entry.offset > since]
        if reverse:
            found.reverse()
        return Past(Position(self.epoch, self.top), found[:limit])

    def turn_back(self, epoch: str) -> Position:
        """What is there goes on under another epoch."""
        if epoch == self.epoch:
            self.lives += 1
            self.epoch = f"e{self.lives}"
            for offset in range(1, self.top + 1):
                self.published[Position(self.epoch, offset)] = self.published[Position(epoch, offset)]
        return Position(self.epoch, self.top)


class StreamBroker:
    """Everything but history is done at once. `at_once`: that too."""

    def __init__(self) -> None:
        self.streams: dict[Topic, TrueStream] = {}
        self.pending: list[Asked] = []
        self.reads = 0
        self.ready = True
        self.at_once = True

    def of(self, topic: Topic) -> TrueStream:
        return self.streams.setdefault(topic, TrueStream())

    async def publish(self, topic: Topic, data: bytes, **options: Any) -> Position | None:
        raise NotImplementedError

    async def read(
        self, topic: Topic, keep: History, *, since: int | None = None, limit: int, reverse: bool = False
    ) -> Past:
        self.reads += 1
        past: Past = await self._ask(Asked(topic, "read", since, limit, reverse, _future()))
        return past

    async def turn_back(self, topic: Topic, keep: History, epoch: str) -> Position:
        position: Position = await self._ask(Asked(topic, epoch, None, 0, False, _future()))
        return position

    async def _ask(self, asked: Asked) -> Any:
        self.pending.append(asked)
        try:
            if self.at_once:
                self.do(asked)
                self.answer(asked)
            return await asked.end
        finally:
            self.pending.remove(asked)

    def do(self, asked: Asked) -> None:
        """What the other side does; once."""
        stream = self.of(asked.topic)
        if asked.found is None and asked.what == "read":
            asked.found = stream.read(asked.since, asked.limit, reverse=asked.reverse)
        elif asked.found is None:
            asked.found = stream.turn_back(asked.what)

    def answer(self, asked: Asked) -> None:
        if not asked.end.done():
            self.do(asked)
            asked.end.set_result(asked.found)

    def fail(self, asked: Asked) -> None:
        if not asked.end.done():
            asked.end.set_exception(Unavailable())

    def answer_all(self) -> None:
        for asked in tuple(self.pending):
            self.answer(asked)

    async def subscribe(self, topic: Topic) -> None: ...

    async def unsubscribe(self, topic: Topic) -> None: ...

    async def enter(self, *_: Any, **__: Any) -> bool:
        return True

    async def leave(self, *_: Any, **__: Any) -> bool:
        return True


def _future() -> asyncio.Future[Any]:
    return asyncio.get_running_loop().create_future()


@dataclass
class Judged:
    """A client of one room: where it stands, and whether what it is told is what it must be told.

    Each message is held against the stream as it comes. A `hubbub.testing.Ledger` is judged when all is over, and by
    then a stream that went back may have said something else at the same position.
    """

    user: str
    stream: TrueStream
    here: Position | None = None
    joined: bool = False
    """On this connection."""
    asked: list[Position | None] = field(default_factory=list)
    """The `since` of each join that was not answered yet; an epoch of "" stands for none."""
    seen: int = 0

    def read(self, told: Sequence[dict[str, Any]]) -> None:
        """All that was told on this connection."""
        for message in told[self.seen :]:
            self.seen += 1
            getattr(self, f"_{message['type']}")(message)

    def reconnect(self) -> None:
        self.joined, self.seen, self.asked = False, 0, []

    @property
    def at_the_top(self) -> bool:
        here = self.here
        assert here is not None
        return here.epoch == self.stream.epoch and all(
            self._not_mine(here.epoch, offset) for offset in range(here.offset + 1, self.stream.top + 1)
        )

    def _room_joined(self, message: dict[str, Any]) -> None:
        since, top = self.asked.pop(0), Position(message["epoch"], message["offset"])
        assert ("recovered" in message) is (since is not None)
        assert top.epoch in {f"e{life + 1}" for life in range(self.stream.lives)}
        self.joined = True
        self.here = top
        self._replays = None
        if since is None:
            return
        if message["recovered"]:
            assert since.epoch in ("", top.epoch)
            assert since.offset <= top.offset
            self.here = Position(top.epoch, since.offset)
        elif since == Position("", 0):
            self._replays = top

    _replays: Position | None = None
    """After a join for all that is kept, of which the oldest is lost: up to where it is handed out."""

    def _m(self, message: dict[str, Any]) -> None:
        assert self.joined
        assert self.here is not None
        epoch, offset = self.here.epoch, message["offset"]
        payload, without = self.stream.published[Position(epoch, offset)]
        assert json.loads(payload)["n"] == message["n"]
        assert self.user not in without
        if self._replays is not None and offset <= self._replays.offset:
            # The first of what is kept: what is lost before it was said.
            self.here = Position(epoch, offset - 1)
        self._replays = None
        assert offset > self.here.offset
        for between in range(self.here.offset + 1, offset):
            assert self._not_mine(epoch, between), f"{between} was lost before {offset}"
        self.here = Position(epoch, offset)

    def _gap(self, message: dict[str, Any]) -> None:
        assert self.joined
        assert self.here is not None
        after, upto = message["after"], message["upto"]
        if message["epoch"] == self.here.epoch:
            assert after < upto
            assert self.here.offset <= after
            for between in range(self.here.offset + 1, after + 1):
                assert self._not_mine(self.here.epoch, between), f"{between} was lost before the gap after {after}"
        else:
            assert after == 0
        self.here = Position(message["epoch"], upto)

    def _not_mine(self, epoch: str, offset: int) -> bool:
        return self.user in self.stream.published.get(Position(epoch, offset), (b"", frozenset()))[1]

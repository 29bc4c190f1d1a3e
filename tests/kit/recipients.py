"""Connections for unit tests of the actors: what they were given, in the order in which their peer reads it."""

import json
from collections.abc import Sequence
from typing import Any, Protocol

from hubbub.closes import Close
from hubbub.delivery.batch import Batcher
from hubbub.delivery.message import Outgoing
from hubbub.ports.metrics import Metrics, Tally
from hubbub.protocol.codec import Prepared
from hubbub.protocol.features import NONE, Features
from hubbub.types import ConnectionId, RoomName, User, UserId


class Turn:
    """A batcher whose turn ends when the test says so; the loop and the stopwatch it was given.

    `takes`: seconds that the next write takes.
    """

    def __init__(self, metrics: Metrics | None = None, *, pause_share: float = 0.0) -> None:
        self.asked = 0
        """How often the end of the turn was asked for since it last came."""
        self.pauses: list[float] = []
        self.takes = 0.0
        self._now = 0.0
        self.batcher = Batcher(self, metrics or Tally(), pause_share=pause_share, stopwatch=self._read)

    def call_soon(self, _: object) -> None:
        self.asked += 1

    def call_later(self, delay: float, _: object) -> None:
        self.pauses.append(delay)

    def _read(self) -> float:
        now = self._now
        self._now += self.takes
        return now

    def end(self) -> None:
        if self.asked or self.pauses:
            self.asked = 0
            self.pauses = []
            self.batcher.flush()


class Wire:
    """The transport of a recipient: takes `takes` messages of a write, all where that is None."""

    def __init__(self) -> None:
        self.takes: int | None = None
        self.writes: list[Sequence[Prepared]] = []
        self.read: list[Prepared] = []
        self.companies: list[tuple[Wire, ...]] = []
        """With whom each write was shared."""

    def write(self, messages: Sequence[Prepared]) -> int | None:
        assert messages
        self.writes.append(messages)
        self.companies.append((self,))
        self.read.extend(messages[: self.takes])
        return self.takes

    @staticmethod
    def write_each(transports: Sequence["Wire"], messages: Sequence[Prepared]) -> list[int]:
        """What is cut is the transport's own affair: no message is left."""
        for wire, message in zip(transports, messages, strict=True):
            wire.writes.append([message])
            wire.companies.append(tuple(transports))
            wire.read.append(message)
        return [index for index, wire in enumerate(transports) if wire.takes is not None]

    @staticmethod
    def write_all(transports: Sequence["Wire"], messages: Sequence[Prepared]) -> list[tuple[int, int]]:
        short = []
        for index, wire in enumerate(transports):
            taken = wire.write(messages)
            wire.companies[-1] = tuple(transports)
            if taken is not None:
                short.append((index, taken))
        return short


class PutsOut(Protocol):
    def put_out(self, member: Any, room: RoomName, reason: str) -> None: ...


class Reader:
    """A recipient. What is sent within this turn has ended by the time somebody looks at what it was told.

    `text`: speaks a language of its own, as on a route with text=True. `clear`: its transport may be written to.
    `membership`: who ends its memberships when the application does.
    """

    loaded = False

    def __init__(
        self,
        name: str,
        turn: Turn,
        *,
        tab: str = "",
        text: bool = False,
        clear: bool = True,
        features: Features = NONE,
        membership: PutsOut | None = None,
    ) -> None:
        self.id, self.user = ConnectionId(f"c-{tab or name}"), User(UserId(name))
        self.text, self.clear, self.features = text, clear, features
        self.blind: frozenset[RoomName] = frozenset()
        self.writer = Wire()
        self.waiting: list[Outgoing] = []
        self.closes: list[Close] = []
        self._turn = turn
        self._membership = membership

    def offer(self, message: Prepared) -> None:
        self._turn.batcher.say(self, message)

    def answer(self, message: Prepared) -> None:
        if not self.text:
            self.offer(message)

    def queue(self, messages: Sequence[Outgoing]) -> None:
        assert not self.clear
        self.waiting.extend(messages)

    def put_back(self, messages: Sequence[Outgoing]) -> None:
        assert not self.waiting
        self.clear = False
        self.waiting[:0] = messages

    def close(self, close: Close) -> None:
        self.closes.append(close)

    def put_out(self, room: RoomName, reason: str) -> None:
        assert self._membership is not None
        self._membership.put_out(self, room, reason)

    def drain(self) -> None:
        """The peer has read all that waited."""
        self.writer.read.extend(outgoing.message for outgoing in self.waiting)
        self.writer.takes = None
        self.waiting = []
        self.clear = True

    @property
    def messages(self) -> list[Prepared]:
        self._turn.end()
        return [*self.writer.read, *(outgoing.message for outgoing in self.waiting)]

    @property
    def told(self) -> list[Any]:
        return [json.loads(message.data) for message in self.messages]

    @property
    def types(self) -> list[str]:
        return [each["type"] for each in self.told]

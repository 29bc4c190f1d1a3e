"""Rooms of readers for unit tests of a batcher, and messages that are numbers."""

from typing import Any

from hubbub.delivery.message import Outgoing
from hubbub.ports.metrics import Count, Tally
from hubbub.protocol.codec import Prepared
from hubbub.protocol.envelope import Envelope, Kind
from hubbub.types import RoomName, room_topic
from tests.kit.recipients import Reader, Turn, Wire


class BatchedRooms:
    """Rooms of readers, as the registry would have them, and messages that are numbers."""

    def __init__(self, *names: str, pause_share: float = 0.0) -> None:
        self.metrics = Tally()
        self.turn = Turn(self.metrics, pause_share=pause_share)
        self.readers = [Reader(name, self.turn, tab=f"{name}{n}") for n, name in enumerate(names)]
        self.rooms: dict[str, list[Reader]] = {"a": list(self.readers)}
        self.version = 0
        self.sent = 0

    def join(self, room: str, *readers: Reader) -> None:
        self.rooms.setdefault(room, []).extend(readers)
        self.version += 1

    def leave(self, room: str, reader: Reader) -> None:
        self.rooms[room].remove(reader)
        self.version += 1

    def spread(self, room: str = "a", kind: Kind | None = None, **fields: Any) -> None:
        """`kind` or fields of an envelope: not for all."""
        message = self._message()
        envelope = Envelope(kind or Kind.MESSAGE, b"", **fields) if kind or fields else None
        self.turn.batcher.spread(
            room_topic(RoomName(room)), Outgoing(message, envelope), self.rooms[room], self.version
        )

    def hand(self, reader: Reader) -> None:
        self.turn.batcher.hand(reader, Outgoing(self._message()))

    def say(self, reader: Reader) -> None:
        self.turn.batcher.say(reader, self._message())

    @property
    def counted(self) -> int:
        self.turn.end()
        return self.metrics.counts[Count.DELIVERIES]

    def _message(self) -> Prepared:
        self.sent += 1
        return Prepared(b"%d" % self.sent)


def company(reader: Reader) -> list[tuple[Wire, ...]]:
    """With whom each of its writes was shared."""
    return reader.writer.companies


def wires(*readers: Reader) -> tuple[Wire, ...]:
    return tuple(reader.writer for reader in readers)

"""What one client saw, in the order in which it saw it: the evidence that `hubbub.testing.checks` judges.

    ledger = Ledger("alice")
    ledger.sent(request)        # every message the client sends
    ledger.received(message)    # every message it gets
    ledger.closed(1012)         # whenever its socket is gone

`Tab` and `Client` keep one by themselves. It is divided into stints: the time from one `room_joined` until the room was
left, joined again, or the socket was gone. Messages carry an offset and no epoch, so a ledger that wrote down frames
alone could not say which life of a stream an offset belongs to; a stint can.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

from hubbub.types import OWN_ROOM, Position


@dataclass(frozen=True, slots=True)
class Since:
    """What a join asked for: `epoch` None with offset 0 is all that is kept."""

    epoch: str | None
    offset: int


@dataclass(frozen=True, slots=True)
class Got:
    """A message of the room, with its offset where the room keeps history."""

    offset: int | None
    message: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.message.get('type')} at {self.offset}"


@dataclass(frozen=True, slots=True)
class Gap:
    """The client was told that it did not get the offsets after `after`, up to `upto`."""

    epoch: str
    after: int
    upto: int

    def __str__(self) -> str:
        return f"gap in {self.epoch} after {self.after} up to {self.upto}"


@dataclass(frozen=True, slots=True)
class Dropped:
    """The same in a room without history: so many."""

    count: int

    def __str__(self) -> str:
        return f"gap of {self.count}"


@dataclass(frozen=True, slots=True)
class Came:
    """A user was announced as there."""

    user: str

    def __str__(self) -> str:
        return f"{self.user} came"


@dataclass(frozen=True, slots=True)
class Went:
    """A user was announced as gone."""

    user: str

    def __str__(self) -> str:
        return f"{self.user} went"


Line: TypeAlias = Got | Gap | Dropped | Came | Went


class Ended(StrEnum):
    """How a stint ended."""

    LEFT = "left"
    REJOINED = "joined again"
    CLOSED = "socket gone"


@dataclass(slots=True)
class Stint:
    """One time in a room. `position` is how far the client has got: with `since` it goes on from there."""

    room: str
    began: float
    since: Since | None = None
    recovered: bool | None = None
    epoch: str | None = None
    top: int | None = None
    """The offset in `room_joined`."""
    members: frozenset[str] | None = None
    implicit: bool = False
    """Nobody joined it: a user's own room, before `join_room`."""
    lines: list[Line] = field(default_factory=list)
    position: Position | None = None
    ended: Ended | None = None

    def __post_init__(self) -> None:
        self.position = self.start

    @property
    def start(self) -> Position | None:
        """What the first message follows; None where that is not known, or without history."""
        if self.epoch is None or self.top is None:
            return None
        if self.since is None or self.recovered is None:
            return Position(self.epoch, self.top)
        if self.recovered:
            return Position(self.epoch, self.since.offset)
        # What is kept is replayed to who asked for all of it, whole or not.
        return None if self.since == Since(None, 0) else Position(self.epoch, self.top)

    def add(self, line: Line) -> None:
        self.lines.append(line)
        match line:
            case Got(offset=int(offset)) if self.epoch is not None:
                here = self.position
                if here is None or offset > here.offset:
                    self.position = Position(self.epoch if here is None else here.epoch, offset)
            case Gap(epoch=epoch, upto=upto):
                here = self.position
                if here is None or epoch != here.epoch or upto > here.offset:
                    self.position = Position(epoch, upto)
            case _:
                pass

    def __str__(self) -> str:
        asked = "" if self.since is None else f" since {self.since.epoch}/{self.since.offset}"
        where = "" if self.epoch is None else f" at {self.epoch}/{self.top}"
        answer = "" if self.recovered is None else f", recovered: {str(self.recovered).lower()}"
        return f"joined {self.room}{where}{asked}{answer}"


class Ledger:
    """`client` names it in what the checks say; `user` is who it is, default the same. `clock` stamps the stints."""

    def __init__(self, client: str, *, user: str | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.client = client
        self.user: str = client if user is None else user
        self.stints: dict[str, list[Stint]] = {}
        self.strays: list[tuple[str, Mapping[str, Any]]] = []
        """Messages of rooms in which the client was not."""
        self.closes: list[int] = []
        self._clock = clock
        self._asked: dict[tuple[str, Any], Since | None] = {}

    def __repr__(self) -> str:
        return f"<Ledger {self.client}: {sum(map(len, self.stints.values()))} stints>"

    def position(self, room: str) -> Position | None:
        """How far the client has got in a room; None where it never knew, or the room keeps nothing."""
        known = [stint.position for stint in self.stints.get(room, ()) if stint.position is not None]
        return known[-1] if known else None

    def is_in(self, room: str) -> bool:
        """Whether the client is in a room now."""
        newest = self.stints.get(room, ())[-1:]
        return any(stint.ended is None for stint in newest)

    def seen(self, room: str) -> list[Mapping[str, Any]]:
        """Every message of a room, in order, replayed ones as often as they came."""
        lines = (line for stint in self.stints.get(room, ()) for line in stint.lines)
        return [line.message for line in lines if isinstance(line, Got)]

    def lines(self, room: str) -> Iterator[str]:
        """What happened in a room, for a human to read."""
        for stint in self.stints.get(room, ()):
            yield str(stint)
            yield from (f"  {line}" for line in stint.lines)
            if stint.ended is not None:
                yield stint.ended.value

    # What the client tells it.

    def sent(self, message: Mapping[str, Any]) -> None:
        """The client sent this."""
        if message.get("type") == "join_room":
            for each in message.get("rooms", (message,)):
                since = each.get("since")
                asked = None if since is None else Since(since.get("epoch"), since["offset"])
                self._asked[each["room"], message.get("id")] = asked

    def received(self, message: Mapping[str, Any]) -> None:
        """The client got this."""
        room = message.get("room")
        if message["type"] == "error":
            # Of several joins that were asked for at once, one: then it says which.
            id = message.get("id")
            self._asked = {key: since for key, since in self._asked.items() if key != (room or key[0], id)}
            return
        if room is None:
            return
        match message["type"]:
            case "room_joined":
                self._joined(room, message)
            case "room_left":
                self._end(room, Ended.LEFT)
            case "gap" if "dropped" in message:
                self._add(room, Dropped(message["dropped"]), message)
            case "gap":
                self._add(room, Gap(message["epoch"], message["after"], message["upto"]), message)
            case "user_joined_room":
                self._add(room, Came(message["user"]), message)
            case "user_left_room":
                self._add(room, Went(message["user"]), message)
            case "presence_diff":
                for user in message["joined"]:
                    self._add(room, Came(user), message)
                for user in message["left"]:
                    self._add(room, Went(user), message)
            case _:
                self._add(room, Got(message.get("offset"), message), message)

    def closed(self, code: int) -> None:
        """The socket is gone, with this code."""
        self.closes.append(code)
        self._asked.clear()
        for room in self.stints:
            self._end(room, Ended.CLOSED)

    # How it works.

    def _joined(self, room: str, message: Mapping[str, Any]) -> None:
        self._end(room, Ended.REJOINED)
        members = message.get("members")
        stint = Stint(
            room,
            self._clock(),
            since=self._asked.pop((room, message.get("id")), None),
            recovered=message.get("recovered"),
            epoch=message.get("epoch"),
            top=message.get("offset"),
            members=None if members is None else frozenset(members),
        )
        self.stints.setdefault(room, []).append(stint)

    def _end(self, room: str, how: Ended) -> None:
        if self.is_in(room):
            self.stints[room][-1].ended = how

    def _add(self, room: str, line: Line, message: Mapping[str, Any]) -> None:
        stints = self.stints.setdefault(room, [])
        if not self.is_in(room):
            if room != OWN_ROOM:
                # A message to the user alone may speak of a room that the client was never in.
                if stints or "offset" in message:
                    self.strays.append((room, message))
                return
            stints.append(Stint(room, self._clock(), implicit=True))
        stints[-1].add(line)


def identity(message: Mapping[str, Any]) -> str:
    """What makes two messages the same one: all but the place where they stand."""
    return json.dumps({key: value for key, value in message.items() if key not in ("room", "offset")}, sort_keys=True)

"""Several rooms, each of which gets the same message: one call, one way to the broker, one outcome for each."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, TypeAlias

from pydantic import BaseModel

from hubbub.errors import NotSentToAll, Unavailable
from hubbub.options import Limits
from hubbub.protocol import messages
from hubbub.protocol.for_each_room import ForEachRoom
from hubbub.rooms.publishing import Exclude, Sender
from hubbub.scheduling.home_loop import HomeLoop
from hubbub.types import Position, RoomName

#: What became of a message in one room: its position, None where nothing is kept, or why it may not be there.
Outcome: TypeAlias = Position | Unavailable | None


def check_rooms(names: Iterable[str], limits: Limits) -> tuple[RoomName, ...]:
    """The names of several rooms; one bad name is refused by its place, as `rooms[3]`, before anything is done.

    Raises TypeError for a single string, InvalidMessage for a bad name, ValueError for more than `Limits.batch`.
    """
    if isinstance(names, str | bytes):
        raise TypeError(f"several rooms are a list of names, not {type(names).__name__}")
    listed = tuple(islice(names, limits.batch + 1))
    if len(listed) > limits.batch:
        raise ValueError(f"these are more rooms than the {limits.batch} of Limits.batch")
    return tuple(messages.check_shared(name, limit=limits.name, field=f"rooms[{at}]") for at, name in enumerate(listed))


def positions(rooms: Sequence[RoomName], found: Mapping[RoomName, Outcome]) -> list[Position | None]:
    """In the order of `rooms`. Raises NotSentToAll where one of them may not have it."""
    results = [found[room] for room in rooms]
    reached = [result for result in results if not isinstance(result, Unavailable)]
    if len(reached) < len(results):
        raise NotSentToAll(rooms, results)
    return reached


class EachRoom:
    """`hub.each_room(names)`. As a `Room` it is unchecked and costs nothing."""

    def __init__(
        self, names: Sequence[RoomName], senders: Mapping[RoomName, Sender], home: HomeLoop, limits: Limits
    ) -> None:
        self.names = names
        self._senders = senders
        self._home = home
        self._limits = limits

    def __repr__(self) -> str:
        return f"<EachRoom {self.names!r}>"

    async def send(
        self,
        message: Mapping[str, Any] | BaseModel,
        *,
        exclude: Exclude = None,
        key: str | None = None,
        keep: bool = True,
        idempotency_key: str | None = None,
        patience: float = 0.0,
    ) -> list[Position | None]:
        """The same message to every member of each room: written once, and sent to the broker together.

        The positions, in the order of the names; a room that was named twice gets it once. The parameters are those of
        `Room.send`, the idempotency key counts in each room by itself. `room` is the hub's to add.

        Raises as `Room.send` does, before anything is sent, and NotSentToAll where the broker did not take it for every
        room: which, is in there. With an idempotency key the whole can be sent again.
        """
        self._home.check()
        composed = ForEachRoom(message, self._senders, limit=self._limits.payload)
        if isinstance(exclude, Iterable) and not isinstance(exclude, str):
            exclude = tuple(exclude)  # because an iterator would be over after the first room
        for sender in self._senders.values():
            patience = await sender.spend(len(composed), patience)

        async def outcome(sender: Sender) -> Outcome:
            try:
                return await sender.send(
                    composed,
                    exclude=exclude,
                    key=key,
                    keep=keep,
                    idempotency_key=idempotency_key,
                    patience=patience,
                    spent=True,
                )
            except Unavailable as error:
                return error

        outcomes = await asyncio.gather(*map(outcome, self._senders.values()))
        return positions(self.names, dict(zip(self._senders, outcomes, strict=True)))

    def send_sync(
        self,
        message: Mapping[str, Any] | BaseModel,
        *,
        exclude: Exclude = None,
        key: str | None = None,
        keep: bool = True,
        idempotency_key: str | None = None,
        patience: float = 0.0,
        timeout: float = 10.0,
    ) -> list[Position | None]:
        """`send`, from a thread, as `Room.send_sync`."""
        work = self.send(
            message, exclude=exclude, key=key, keep=keep, idempotency_key=idempotency_key, patience=patience
        )
        return self._home.run(work, timeout=timeout, patience=patience)

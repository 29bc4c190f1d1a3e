"""A message to several rooms: written as JSON once, and each room's name is put into what was written."""

from collections.abc import Collection, Mapping
from typing import Any, final

from pydantic import BaseModel

from hubbub.protocol.codec import as_mapping, encode
from hubbub.protocol.messages import compose, within


@final
class ForEachRoom:
    """`limit`: bytes it may have, with the name of the room it goes to.

    Raises TypeError and ValueError as `hubbub.protocol.messages.compose` does, ValueError also for a `room` of its own,
    and where it is too large for one of `rooms`.
    """

    __slots__ = ("_data",)

    def __init__(self, message: Mapping[str, Any] | BaseModel, rooms: Collection[str], *, limit: int) -> None:
        fields = as_mapping(message)
        for name in ("room", "offset"):
            if name in fields:
                raise ValueError(f"`{name}` is the hub's to add")
        self._data = compose(fields, limit=limit)
        if rooms:
            within(self.to(max(rooms, key=lambda room: len(encode(room)))), limit)

    def __len__(self) -> int:
        """Bytes, without a room's name."""
        return len(self._data)

    def to(self, room: str | None) -> bytes:
        """As it goes to that room; None: as it goes to no room."""
        return self._data if room is None else b'%b,"room":%b}' % (self._data[:-1], encode(room))

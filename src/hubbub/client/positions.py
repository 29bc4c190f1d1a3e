"""Where a client stands in a room, as section "Missing nothing" of the protocol asks it to keep.

What it knows is its own: after `room_joined` with `recovered: true` it stays where it was until what it missed has
come, because the connection may break again in the middle.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Place:
    """`epoch` and `offset`: the position, None before one is known and in a room without history.

    `top`: up to where what was kept is handed over; what comes with a higher offset is live.
    """

    epoch: str | None = None
    offset: int | None = None
    top: int = 0

    def since(self) -> dict[str, Any] | None:
        """For `join_room`; None where there is nothing to go on from."""
        if self.offset is None:
            return None
        return {"offset": self.offset} if self.epoch is None else {"epoch": self.epoch, "offset": self.offset}

    def joined(self, answer: Mapping[str, Any]) -> None:
        """Take `room_joined`."""
        epoch, offset = answer.get("epoch"), answer.get("offset")
        if not isinstance(epoch, str) or not isinstance(offset, int):
            self.epoch = self.offset = None
            return
        self.epoch, self.top = epoch, offset
        if not answer.get("recovered") or self.offset is None:
            self.offset = offset

    def came(self, message: Mapping[str, Any]) -> bool:
        """Take a message of the room. Whether it was kept and handed over, and is no live one."""
        offset = message.get("offset")
        if not isinstance(offset, int) or self.epoch is None:
            return False
        self.offset = max(offset, self.offset or 0)
        return offset <= self.top

    def gap(self, message: Mapping[str, Any]) -> None:
        """Take `gap`: the position goes on behind it."""
        epoch, upto = message.get("epoch"), message.get("upto")
        if isinstance(epoch, str) and isinstance(upto, int):
            self.epoch, self.offset = epoch, upto

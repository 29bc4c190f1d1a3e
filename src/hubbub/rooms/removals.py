"""Who was sent away while somebody still asked whether to let them in: an older answer counts no more.

A question is whatever takes time before a connection is somewhere: the look-up of a credential, the hooks of
`on_connect`, the check of a room and what the broker is asked after it. `room.remove`, `room.close`, `user.leave` and
`user.disconnect` reach who is there; who is on the way in is found by none of them, and was let in afterwards. So every
worker hears of each removal, and remembers it for as long as a question is open that is older.
"""

from collections.abc import Collection
from types import TracebackType
from typing import TypeAlias

from hubbub.errors import Forbidden
from hubbub.types import RoomName

#: The room, None for everything the user has here; the user, None for all.
_Whom: TypeAlias = tuple[RoomName | None, str | None]

#: Removals that are remembered, at most: beyond that the oldest question counts as one that was answered too late.
MOST = 10_000


class Question:
    """One that is open until `end`, or until its block ends. `number`: of the last removal before it."""

    __slots__ = ("_removals", "number")

    def __init__(self, removals: "Removals", number: int) -> None:
        self._removals = removals
        self.number: int = number

    def removed(self, user: str, room: RoomName | None = None) -> str | None:
        """Why the user was sent away since it was asked, from the room or, without one, altogether; None: was not."""
        return self._removals.since(self.number, user, room)

    def check(self, user: str, room: RoomName) -> None:
        """Raises Forbidden where the user was removed from the room, or that was closed, since it was asked."""
        reason = self.removed(user, room)
        if reason is not None:
            raise Forbidden(reason or "removed from the room", field="room")

    def end(self) -> None:
        """Nothing happens the second time."""
        self._removals.answered(self)

    def __enter__(self) -> "Question":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()


class Removals:
    """Of one worker: the questions that are open, and what was removed since the oldest of them was asked."""

    def __init__(self, *, most: int = MOST) -> None:
        self._most = most
        self._number = 0
        # Both in the order of their numbers.
        self._open: dict[Question, None] = {}
        self._noted: dict[_Whom, tuple[int, str]] = {}
        self._forgotten = 0

    def __len__(self) -> int:
        return len(self._open) + len(self._noted)

    def ask(self) -> Question:
        """One more question is open."""
        question = Question(self, self._number)
        self._open[question] = None
        return question

    def answered(self, question: Question) -> None:
        """See `Question.end`."""
        self._open.pop(question, None)
        oldest = next(iter(self._open), None)
        if oldest is None:
            self._noted.clear()
            return
        while self._noted and next(iter(self._noted.values()))[0] <= oldest.number:
            del self._noted[next(iter(self._noted))]

    def note(self, users: Collection[str], room: RoomName | None, reason: str) -> None:
        """These users were sent away, all where there are none: from the room, or without one from everywhere."""
        if not self._open:
            return  # who asks from now on is answered by an application that knows
        self._number += 1
        for user in users or (None,):
            self._noted.pop((room, user), None)
            self._noted[room, user] = (self._number, reason)
        while len(self._noted) > self._most:
            self._forgotten, _ = self._noted.pop(next(iter(self._noted)))

    def since(self, number: int, user: str, room: RoomName | None) -> str | None:
        """See `Question.removed`."""
        for whom in ((room, user), (room, None)):
            when, reason = self._noted.get(whom, (0, ""))
            if when > number:
                return reason
        return "it was asked too long ago" if number < self._forgotten else None

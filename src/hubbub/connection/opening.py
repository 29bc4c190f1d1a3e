"""The moment in which a connection is let in, or ends before that: who waits for it, and what happened before it."""

import asyncio
from collections.abc import Callable

from hubbub.rooms.removals import Question
from hubbub.types import RoomName


class Opening:
    __slots__ = ("_callbacks", "_question")

    def __init__(self) -> None:
        self._callbacks: list[Callable[[], object]] | None = []
        """None once it is over."""
        self._question: Question | None = None

    def presented(self, question: Question) -> None:
        """A credential has come, and whose it is has been asked since then."""
        self._question = question

    def removed(self, user: str, room: RoomName | None = None) -> str | None:
        """Why the user, who it turned out to be, was sent away since that was asked; None where not."""
        return None if self._question is None else self._question.removed(user, room)

    def when_over(self, callback: Callable[[], object]) -> None:
        """Call back in that moment; now, where it has been."""
        if self._callbacks is None:
            callback()
        else:
            self._callbacks.append(callback)

    async def wait(self) -> None:
        """Until then."""
        waiting = asyncio.Event()
        self.when_over(waiting.set)
        await waiting.wait()

    def over(self) -> None:
        """It is now. Nothing happens the second time."""
        callbacks, self._callbacks = self._callbacks, None
        question, self._question = self._question, None
        if question is not None:
            question.end()
        for callback in callbacks or ():
            callback()

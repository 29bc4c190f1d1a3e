"""Two brokers that meet, what they were told, and how a test waits for it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, TypeVar

from hubbub.ports.broker import Broker
from hubbub.types import Position, Topic, room_topic

T = TypeVar("T")
Self = TypeVar("Self")

#: Makes another broker that meets all that it made before in the same test.
NewBroker: TypeAlias = Callable[[], Broker]

ROOM = room_topic("lobby")
OTHER = room_topic("other")

#: Names that would be taken apart wrongly by anyone who joins them with a separator.
AWKWARD = ["a", "a:b", "b:c", ":", "", "{a}", "}{", "a\0b", "a\nb", "%3A", "ü", "u\u0308", "😀", "\ud800", "x" * 128]

#: Seconds for one test, and for one condition in it.
_PATIENCE, _WAIT = 60.0, 10.0


class Peer:
    """A broker and what it said.

    `heard`: topics and messages in order; `kept`: the same with positions, of those that have one; `resumed`: how often
    it came back after it was away; `missed`: the topics of which it said so.
    """

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.heard: list[tuple[Topic, bytes]] = []
        self.kept: list[tuple[Topic, bytes, Position]] = []
        self.resumed: int = 0
        self.missed: list[Topic] = []

    async def start(self) -> None:
        await self.broker.start(self._deliver, self._resumed, self.missed.append)

    def data(self, topic: Topic) -> list[bytes]:
        return [data for heard, data in self.heard if heard == topic]

    def _deliver(self, topic: Topic, data: bytes, position: Position | None) -> None:
        self.heard.append((topic, data))
        if position is not None:
            self.kept.append((topic, data, position))

    def _resumed(self) -> None:
        self.resumed += 1


@asynccontextmanager
async def met(new_broker: NewBroker) -> AsyncIterator[tuple[Peer, Peer]]:
    """Two that are ready; when they stopped, no task of theirs may be left."""
    # Some of the loop's own are there only after its first turn.
    await asyncio.sleep(0)
    tasks = asyncio.all_tasks()
    here, there = Peer(new_broker()), Peer(new_broker())
    try:
        for peer in (here, there):
            await peer.start()
        await until(lambda: here.broker.ready and there.broker.ready, "both are ready")
        yield here, there
    finally:
        for peer in (here, there):
            await peer.broker.stop()
    # A connection that was just being left is left in the next turn.
    await until(lambda: asyncio.all_tasks() <= tasks, "no task is left")


def meeting(test: Callable[[Self, Peer, Peer], Coroutine[Any, Any, None]]) -> Callable[[Self, NewBroker], None]:
    """A test of two brokers that meet, for pytest without a plugin, from a coroutine function."""

    def run(self: Self, new_broker: NewBroker) -> None:
        async def main() -> None:
            async with asyncio.timeout(_PATIENCE), met(new_broker) as (here, there):
                await test(self, here, there)

        asyncio.run(main())

    # Not by functools.wraps: pytest would look through it, and take the parameters for fixtures.
    run.__name__, run.__qualname__, run.__doc__ = test.__name__, test.__qualname__, test.__doc__
    return run


async def until(condition: Callable[[], Any], what: str) -> None:
    """Wait for the condition. Raises AssertionError after ten seconds."""
    try:
        async with asyncio.timeout(_WAIT):
            while not condition():  # noqa: ASYNC110 - any condition, nobody would set an event
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"not within {_WAIT:g} s: {what}") from None


async def eventually(ask: Callable[[], Awaitable[T]], is_right: Callable[[T], bool]) -> T:
    """The first answer that is right. Raises AssertionError with the last one after ten seconds."""
    due = asyncio.get_running_loop().time() + _WAIT
    while not is_right(answer := await ask()):
        assert asyncio.get_running_loop().time() < due, f"not within {_WAIT:g} s; the last answer: {answer!r}"
        await asyncio.sleep(0.01)
    return answer


async def marked(here: Peer, there: Peer) -> None:
    """Returns when both heard what was published before: one order means that it came before the mark."""
    mark = Topic("room:mark")
    for peer in (here, there):
        await peer.broker.subscribe(mark)
    before = [len(peer.data(mark)) for peer in (here, there)]
    await here.broker.publish(mark, b"")
    for peer, had in zip((here, there), before, strict=True):
        await until(lambda peer=peer, had=had: len(peer.data(mark)) > had, "the mark")  # type: ignore[misc]

"""Sending a worker's clients elsewhere without a stampede: each is told when to come back, and closed in its turn.

Two spreads, one after the other. The closes are spread over half the window, so that this worker's loop, and whatever
counts who left, has them in small batches; the returns, by a `retry_after` of each one's own, over the whole window.
Closing all at once and leaving the spread to the clients lost: those that wait for nothing come back in one second.

The quota of a step is worked out anew from who is still there, so who was let in meanwhile has a turn too, and a loop
that was held up goes on a little faster instead of catching up in a burst.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Collection, Iterator
from typing import Protocol

from hubbub import closes
from hubbub.closes import Close
from hubbub.ports.broker import Broker
from hubbub.ports.clock import Clock
from hubbub.ports.logs import Event, fields
from hubbub.protocol import messages
from hubbub.protocol.codec import Prepared
from hubbub.scheduling.clock import wait_until

_log = logging.getLogger("hubbub.drain")

DEAF = 10.0
"""Seconds without hearing the broker, after which clients are sent elsewhere."""
DEAF_WINDOW = 5.0
"""The least window then: those who come back at once find the same broker, or another worker that is overrun."""
LOOK = 1.0
_STEP = 0.05
_SHORTLY = 1.0
"""What returns are spread over where no time is taken for the closes."""
_MOMENT = 0.25
"""What a transport may take beyond its own deadline."""
_NOT_HEARD = closes.OVERLOADED.because("this worker does not hear the others")


class Client(Protocol):
    """A connection, as far as sending it away is concerned."""

    @property
    def closed(self) -> bool: ...

    def answer(self, message: Prepared) -> None: ...

    def close(self, close: Close) -> None: ...


class Drain:
    """`connections`: accepted and not gone yet. `closing`: seconds their transports give a peer to take its leave."""

    def __init__(self, connections: Collection[Client], clock: Clock, *, closing: float) -> None:
        self._connections = connections
        self._clock = clock
        self._closing = closing
        self._ending = False
        self._hurried = False
        self._waiting: set[asyncio.Event] = set()

    def close_all(self, close: Close, *, window: float) -> int:
        """The end: tell and close everybody now, their returns spread over `window` seconds; how many they were."""
        self._ending = True
        clients = self._there()
        self._send_away(clients, close, _spread(len(clients), window or _SHORTLY))
        return len(clients)

    async def empty(self, close: Close, *, window: float) -> None:
        """The end: send everybody away over half the window, and wait for their sockets as long as a transport does.

        Without a window all are closed at once, and whoever calls does the waiting.
        """
        self._ending = True
        if not window:
            self.close_all(close, window=0.0)
            return
        if there := len(self._there()):
            text, extra = (
                "%d clients are sent away over %g seconds",
                fields(Event.DRAIN_BEGINS, count=there, seconds=window / 2),
            )
            _log.warning(text, there, window / 2, extra=extra)
        sent = await self.send_away(close, window=window)
        if sent:
            _log.warning(
                "sent %d clients away; they come back within %g seconds",
                sent,
                window,
                extra=fields(Event.DRAINED, count=sent, seconds=window),
            )
        deadline = self._clock.now() + self._closing + _MOMENT
        while self._connections and self._clock.now() < deadline and not self._hurried:
            self.close_all(close, window=window)  # who was being let in
            await self._until(min(deadline, self._clock.now() + _STEP))

    async def send_away(self, close: Close, *, window: float, going: Callable[[], bool] = lambda: True) -> int:
        """Tell and close everybody over half the window, as long as `going`; how many they were."""
        began = self._clock.now()
        end = began + window / 2
        returns = _spread(len(self._there()), window)
        sent = 0
        owed = 0.0
        due = began
        while (there := self._there()) and going():
            left = end - self._clock.now()
            if left <= 0 or self._hurried:
                self._send_away(there, close, returns)
                return sent + len(there)
            owed += len(there) * _STEP / max(left, _STEP)
            batch = random.sample(there, min(len(there), int(owed)))
            self._send_away(batch, close, returns)
            sent += len(batch)
            owed -= len(batch)
            due = max(due, self._clock.now() - _STEP) + _STEP
            await self._until(min(due, end))
        return sent

    async def while_deaf(self, broker: Broker, *, window: float) -> None:
        """Send clients elsewhere whenever the broker is not heard for `DEAF` seconds, until the end begins."""

        def deaf() -> bool:
            return broker.deaf_for >= DEAF and not self._ending

        while not self._ending:
            if deaf() and self._there():
                sent = await self.send_away(_NOT_HEARD, window=max(window, DEAF_WINDOW), going=deaf)
                _log.warning(
                    "sent %d clients elsewhere, because the broker is not heard",
                    sent,
                    extra=fields(Event.SENT_ELSEWHERE, count=sent),
                )
            await self._until(self._clock.now() + LOOK)

    def hurry(self) -> None:
        """Take no more time."""
        self._ending = self._hurried = True
        for waiting in self._waiting:
            waiting.set()

    def _there(self) -> list[Client]:
        return [connection for connection in self._connections if not connection.closed]

    def _send_away(self, clients: list[Client], close: Close, returns: Iterator[float]) -> None:
        # All are told before the first is closed, which is when what was said leaves: together.
        for client in clients:
            with _the_others_go_on():
                client.answer(messages.closing(close, retry_after=next(returns)))
        for client in clients:
            with _the_others_go_on():
                client.close(close)

    async def _until(self, when: float) -> None:
        """Or until there is a hurry."""
        over = asyncio.Event()
        self._waiting.add(over)
        try:
            if not self._hurried:
                await wait_until(self._clock, when, over)
        finally:
            self._waiting.discard(over)


@contextlib.contextmanager
def _the_others_go_on() -> Iterator[None]:
    try:
        yield
    except Exception:  # noqa: BLE001 - whatever is wrong with one
        _log.exception("a client could not be sent away", extra=fields(Event.NOT_SENT_AWAY))


def _spread(count: int, window: float) -> Iterator[float]:
    """`count` times with an equal share of the window for each, in random order; then, for latecomers, any."""
    shares = list(range(count))
    random.shuffle(shares)
    for share in shares:
        yield (share + 0.5) / count * window
    while True:
        yield random.uniform(0.0, window)  # noqa: S311 - nobody gains by guessing it

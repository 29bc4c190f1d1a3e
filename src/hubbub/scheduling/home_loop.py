"""The event loop something belongs to: no other may touch it, and threads have a way in.

What is touched from elsewhere is half done before anybody notices: a message goes out, and the answer wakes a future of
a loop that does not run here. So whoever is asked looks first, before anything is queued, on every broker.
"""

import asyncio
import math
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from contextlib import suppress
from threading import TIMEOUT_MAX
from typing import Any, TypeVar

from hubbub.errors import ConfigurationError, Unavailable

T = TypeVar("T")

#: None where none runs: here that is no error, but what is looked for.
running_loop = asyncio._get_running_loop  # noqa: SLF001 - meant for those who write event loops and the like

_THREADS = "From a thread or another loop call send_sync(…) instead of send(…), and hub.run(…) with anything else"

_ASLEEP = (
    "That loop does not run now, as that of a test fixture of a wider scope does not while its test runs in one of its "
    "own: give both the same (loop_scope= of pytest-asyncio), or start it in the test"
)


class HomeLoop:
    """The loop that runs now. `owner` names what belongs to it, `way` says what to do elsewhere."""

    __slots__ = ("_owner", "_way", "loop")

    def __init__(self, owner: str = "the hub", way: str = _THREADS) -> None:
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self._owner = owner
        self._way = way

    @property
    def here(self) -> bool:
        """Whether the caller is in it."""
        return running_loop() is self.loop

    def check(self) -> None:
        """Raises ConfigurationError in a thread or another loop."""
        if running_loop() is not self.loop:
            way = self._way
            if running_loop() is not None and not self.loop.is_running():
                way = _ASLEEP
            raise ConfigurationError(
                f"called outside of the event loop in which {self._owner} was started; nothing was done. {way}"
            )

    def run(self, work: Coroutine[Any, Any, T], *, timeout: float, patience: float = 0.0) -> T:
        """Have it done in the loop and wait for it, in a thread: what it returns or raises.

        Raises ConfigurationError in the loop itself and where the loop does not run, ValueError for a `timeout` that is
        no time to wait: nothing was done then. Raises Unavailable after `timeout` seconds beside its own `patience`:
        then it is cancelled, and may or may not have happened.
        """
        if not all(isinstance(each, int | float) for each in (timeout, patience)) or not 0 < timeout < math.inf:
            work.close()
            raise ValueError(
                "timeout and patience are in seconds, and timeout is finite and more than 0; "
                f"not {timeout!r} and {patience!r}. Nothing was done"
            )
        if self.here or not self.loop.is_running():
            work.close()
            raise ConfigurationError(
                f"this would wait for the event loop it is called in: await {getattr(work, '__qualname__', work)}(…)"
                if self.here
                else f"the event loop in which {self._owner} was started does not run"
            )
        try:
            waiting = asyncio.run_coroutine_threadsafe(work, self.loop)
        except RuntimeError as error:  # closed since we looked
            work.close()
            raise ConfigurationError(f"the event loop in which {self._owner} was started is closed") from error
        try:
            return waiting.result(min(TIMEOUT_MAX, timeout + patience))
        except TimeoutError:
            if waiting.done():
                raise
            waiting.cancel()
            raise Unavailable(f"not done within {timeout + patience:g} s") from None
        except CancelledError:
            raise Unavailable(f"{self._owner} ended meanwhile") from None

    def hand_over(self, what: Callable[[], None]) -> None:
        """Have it called there soon, from a thread; a loop that is closed has nothing left to do it with."""
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(what)

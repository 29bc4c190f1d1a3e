"""How a command that goes on for long is ended by a signal, and by nothing that could be lost on its way."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable


async def until_told(work: Awaitable[int]) -> int:
    """What `work` returns; where SIGINT or SIGTERM came, which cancel it, 128 and the signal's number.

    An exception of a handler, as Ctrl-C's by default, may be raised in a `__hash__` or `__del__` that is called from C,
    where it is dropped, and the command goes on.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # noqa: S101 - for the type checker
    told: list[int] = []

    def end(number: int) -> None:
        told.append(number)
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows, where Ctrl-C raises
            loop.add_signal_handler(number, end, number)
    try:
        return await work
    except asyncio.CancelledError:
        if not told:
            raise
        return 128 + told[0]

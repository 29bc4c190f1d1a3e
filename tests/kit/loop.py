"""Being called as the event loop calls a protocol: in no task."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

R = TypeVar("R")


async def called(function: Callable[[], R]) -> R:
    """What `function` returned, or raised."""
    answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()

    def call() -> None:
        assert asyncio.current_task() is None
        try:
            answer.set_result(function())
        except Exception as error:  # noqa: BLE001 - the test's, raised there
            answer.set_exception(error)

    asyncio.get_running_loop().call_soon(call)
    return await answer

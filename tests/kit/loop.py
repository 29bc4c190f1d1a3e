"""The event loops that tests run on, and being called as a loop calls a protocol: in no task.

With HUBBUB_TEST_EAGER=1 they are what an application makes of its own by `asyncio.eager_task_factory`, from Python 3.12
on: a task runs until it waits before whoever began it goes on. `.ci/eager` runs the tests so.
"""

import asyncio
import os
from collections.abc import Callable
from typing import Any, TypeVar

R = TypeVar("R")

EAGER = os.environ.get("HUBBUB_TEST_EAGER") == "1"


def backend(new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop) -> tuple[str, dict[str, Any]]:
    """What the plugin that runs the tests is told."""
    return "asyncio", {"loop_factory": (lambda: eager(new_loop())) if EAGER else new_loop}


def eager(loop: asyncio.AbstractEventLoop) -> asyncio.AbstractEventLoop:
    loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined]  # from Python 3.12 on
    return loop


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

"""A signal ends what goes on for long, whatever was being done when it came."""

import asyncio
import signal

import pytest

from hubbub.cli.ending import until_told


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_where_whatever_is_raised_is_dropped_it_ends_all_the_same(number: int) -> None:
    """C may drop what is raised in a `__hash__`: of a table that is drawn, one Ctrl-C in fifty was lost."""

    async def work() -> int:
        try:
            signal.raise_signal(number)
        except BaseException:  # noqa: BLE001, S110 - that is the point
            pass
        await asyncio.sleep(60)
        return 0

    assert asyncio.run(until_told(work())) == 128 + number


def test_what_ends_by_itself_says_how() -> None:
    async def work() -> int:
        return 7

    assert asyncio.run(until_told(work())) == 7


def test_what_is_cancelled_by_somebody_else_was_not_told() -> None:
    async def main() -> None:
        task = asyncio.create_task(until_told(asyncio.sleep(60, 0)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())

"""One connection for all callers: what is done with it is done in the name of none of them."""

import asyncio
import contextvars
import os
import signal
from collections.abc import Coroutine
from typing import Any

import pytest

from hubbub.brokers.embedded import EmbeddedValkey
from hubbub.brokers.redis import RedisBroker
from hubbub.brokers.redis.link import Link
from hubbub.errors import Unavailable
from hubbub.types import room_topic
from tests.kit.brokers import running
from tests.kit.waiting import until

CALLER: contextvars.ContextVar[str] = contextvars.ContextVar("caller", default="nobody")
ROOM = room_topic("lobby")


def called(work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
    """A task that has set the variable."""
    context = contextvars.copy_context()
    context.run(CALLER.set, "somebody")
    return context.run(asyncio.create_task, work)


def test_what_is_written_and_what_is_late(valkey: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch) -> None:
    done: set[tuple[str, str]] = set()
    write, fail = Link.write, Link.fail

    def noting_write(self: Link, data: bytes) -> None:
        done.add(("write", CALLER.get()))
        write(self, data)

    def noting_fail(self: Link, error: Exception) -> None:
        if isinstance(error, TimeoutError):
            done.add(("late", CALLER.get()))
        fail(self, error)

    monkeypatch.setattr(Link, "write", noting_write)
    monkeypatch.setattr(Link, "fail", noting_fail)

    async def main() -> None:
        async with running(RedisBroker(valkey.url, deadline=1)) as (worker,):
            await called(worker.broker.subscribe(ROOM))
            await asyncio.gather(*(called(worker.broker.publish(ROOM, b"x")) for _ in range(3)))
            os.kill(valkey.pid, signal.SIGSTOP)
            with pytest.raises(Unavailable):
                await called(worker.broker.enter(ROOM, "alice", "n1"))
            await until(lambda: ("late", "nobody") in done, "the round is late")
            os.kill(valkey.pid, signal.SIGCONT)

    asyncio.run(main())
    assert done == {("write", "nobody"), ("late", "nobody")}

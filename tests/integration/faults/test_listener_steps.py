"""The task that listens fails in every step of its life, and lives."""

import asyncio
import importlib
import inspect
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from redis import Redis

from hubbub.brokers.redis import RedisBroker
from hubbub.errors import Unavailable
from hubbub.types import room_topic
from tests.kit.brokers import started
from tests.kit.inside import listener
from tests.kit.stopwatch import Stopwatch
from tests.kit.waiting import until

ROOM = room_topic("lobby")
#: Seconds.
_SILENCE = 0.3

STEPS = [
    "server.Server._connection",
    "server._Abrupt.disconnect",
    "link.Link.read",
    "link.Link.write",
    "link.Link.lost",
    "link.Link.was_behind",
    "link.Link.data_received",
    "link.Link._go_on",
    "link.Link.connection_lost",
    "listener.Listener._attempt",
    "listener.Listener._live",
    "listener.Listener._watch",
    "listener.Listener._read",
    "listener.Listener._answered",
    "listener.Listener._proved",
    "listener.Listener._doubt",
    "listener.Listener._lost",
    "listener.Listener._complain",
    "listener.split",
    "channels.Channels.begin",
    "channels.Channels.end",
    "channels.Channels.ping",
    "channels.Channels.subscribed",
    "channels.Channels.unsubscribed",
    "channels.Channels._answered",
    "channels.Channels.ponged",
    "channels.Channels._advance",
    "channels.Channels._ask",
    "channels.Channels._send",
    "channels.packed",
    "probe.Probe.begin",
    "probe.Probe.end",
    "probe.Probe.heard",
    "probe.Probe._run",
    "writes.Writes._tried",
]


def _found(step: str) -> tuple[Any, str]:
    module, *owners, name = step.split(".")
    owner: Any = importlib.import_module(f"hubbub.brokers.redis.{module}")
    for each in owners:
        owner = getattr(owner, each)
    return owner, name


CASES = [(step, RuntimeError) for step in STEPS]
# Only what waits can be cancelled, as where a future that it waits for was.
CASES += [(step, asyncio.CancelledError) for step in STEPS if inspect.iscoroutinefunction(getattr(*_found(step)))]


class TestAListenerThatFails:
    @pytest.mark.parametrize(("step", "mistake"), CASES, ids=lambda each: getattr(each, "__name__", each))
    async def test_in_any_step_is_there_again_and_never_silent(
        self, url: str, admin: Redis, step: str, mistake: type[BaseException], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each fails once, after its connection was cut: told, ready again within 5 s, then each message heard once."""
        owner, name = _found(step)
        # What fails outside of any task is the loop's to tell.
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        async with started(RedisBroker(url, deadline=0.5, probe=0.05, silence=_SILENCE)) as worker:
            other = room_topic("other")
            await worker.broker.subscribe(ROOM)
            await worker.broker.subscribe(other)
            struck = _fails_once(monkeypatch, owner, name, mistake)
            admin.client_kill_filter(_type="pubsub")
            with suppress(RuntimeError):
                await worker.broker.unsubscribe(other)
            await until(lambda: worker.resumed, "it is told")
            for times in range(100):
                # What is only done for somebody who comes and goes, or speaks, or was looked up before.
                if struck():
                    break
                if times % 20 == 0:
                    admin.client_kill_filter(_type="pubsub")
                with suppress(RuntimeError):
                    await worker.broker.unsubscribe(other)
                await worker.broker.publish(ROOM, b"meanwhile")
                await asyncio.sleep(0.02)
                with suppress(Unavailable, RuntimeError):
                    await worker.broker.subscribe(other)
            assert struck()
            watch = Stopwatch()
            await until(lambda: listener(worker.broker).alive, "it lives")
            # Until then `ready` may be that of a connection whose loss only its silence will show: nothing to wait for.
            await asyncio.sleep(_SILENCE + 0.1)
            await until(lambda: worker.broker.ready, "it is ready", within=5)
            assert watch.own < 5
            worker.heard.clear()
            await worker.broker.subscribe(other)
            for topic in (ROOM, other):
                await worker.broker.publish(topic, b"after")
            await until(lambda: (other, b"after") in worker.heard, "it hears")
            assert worker.heard == [(ROOM, b"after"), (other, b"after")]


def _fails_once(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, mistake: type[BaseException]
) -> Callable[[], bool]:
    """The next call fails. Whether it did."""
    original, times = getattr(owner, name), []

    def fails() -> bool:
        if times:
            return False
        times.append(1)
        return True

    if inspect.iscoroutinefunction(original):

        async def waits(*args: Any, **options: Any) -> Any:
            if fails():
                if name == "disconnect":
                    # At its end, or the descriptor would be left to the collector of garbage.
                    await original(*args, **options)
                raise mistake("a bug")
            return await original(*args, **options)

        monkeypatch.setattr(owner, name, waits)
    else:

        def acts(*args: Any, **options: Any) -> Any:
            if fails():
                raise mistake("a bug")
            return original(*args, **options)

        monkeypatch.setattr(owner, name, acts)
    return lambda: bool(times)

"""A loop that was watched is nobody's afterwards, and who watches it again begins anew."""

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Callable

import pytest
import uvloop

from hubbub.ports.metrics import Observed, Tally
from hubbub.scheduling.watchdog import Watchdog
from hubbub.types import NodeId
from tests.kit.waiting import until, wait_for

LOOPS = pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])


def watching() -> tuple[Watchdog, Tally]:
    metrics = Tally()
    return Watchdog(0.1, metrics, NodeId("n")), metrics


async def watched(*, stop: bool) -> None:
    dog, metrics = watching()
    dog.start()
    await until(lambda: sum(metrics.histograms[Observed.LOOP_LAG].counts) > 1, "it beats")
    if stop:
        dog.stop()


def gone(loop: "weakref.ref[asyncio.AbstractEventLoop]") -> bool:
    gc.collect()
    return loop() is None


@LOOPS
@pytest.mark.parametrize("stop", [True, False], ids=["stopped", "not stopped"])
def test_a_loop_that_was_closed_is_not_kept(new_loop: Callable[[], asyncio.AbstractEventLoop], *, stop: bool) -> None:
    loop = new_loop()
    loop.run_until_complete(watched(stop=stop))
    loop.close()
    seen = weakref.ref(loop)
    del loop
    wait_for(lambda: gone(seen), what="the loop is gone")


@pytest.mark.filterwarnings("ignore:unclosed event loop:ResourceWarning")
def test_one_that_was_dropped_without_a_word_is_not_kept_either_and_its_thread_ends() -> None:
    before = set(threading.enumerate())
    loop = asyncio.new_event_loop()
    loop.run_until_complete(watched(stop=False))
    seen = weakref.ref(loop)
    del loop
    wait_for(lambda: gone(seen), what="the loop is gone")
    wait_for(lambda: not set(threading.enumerate()) - before, what="the thread ends")


async def test_what_was_between_two_is_no_lag_of_the_loop() -> None:
    await watched(stop=True)
    time.sleep(0.5)  # noqa: ASYNC251 - nobody watches
    dog, metrics = watching()
    dog.start()
    lag = metrics.histograms[Observed.LOOP_LAG]
    await until(lambda: sum(lag.counts) > 1, "it beats")
    dog.stop()
    assert lag.sum < 0.4

"""What a node says of itself, whatever the application adds."""

import asyncio
import logging
import math
import os
from collections.abc import Callable
from typing import Any

import pytest

from hubbub.brokers.memory.broker import MemoryBroker
from hubbub.hub.cluster import Cluster, Stats
from hubbub.testing import settle
from hubbub.types import NodeId
from tests.kit.scripted import cancel

_ITSELF: list[Any] = []
_ITSELF.append(_ITSELF)


async def reported(*facts: Callable[[], Any], times: int = 1) -> Stats:
    broker = MemoryBroker()
    await broker.start(lambda *_: None, lambda: None, lambda _: None)
    cluster = Cluster(broker, NodeId("n"), lambda: 3, list(facts))
    for _ in range(times):
        reporting = asyncio.create_task(cluster.report())
        await settle()
        stats = await cluster.stats()
        assert not reporting.done()
        await cancel(reporting)
    return stats


@pytest.mark.parametrize(
    "fact",
    [
        {"bad": object()},
        {"bad": {1, 2}},
        {"bad": b"bytes"},
        {"bad": math.nan},
        {"bad": [-math.inf]},
        {"bad": "\ud800"},
        {"\udfff": 1},
        {"bad": _ITSELF},
        {("a", "b"): 1},
        7,
        None,
    ],
    ids=lambda fact: str(fact).partition(" at 0x")[0],
)
async def test_a_fact_that_is_not_json_is_left_out_and_said_once(fact: Any, caplog: pytest.LogCaptureFixture) -> None:
    def good() -> dict[str, Any]:
        return {"good": "né"}

    def bad() -> Any:
        return fact

    def fails() -> dict[str, Any]:
        raise ZeroDivisionError

    def last() -> dict[str, Any]:
        return {"last": [1, None]}

    stats = await reported(good, bad, fails, last, times=3)
    [worker] = stats.workers
    assert (worker.node, worker.pid, worker.connections) == ("n", os.getpid(), 3)
    assert worker.facts == {"good": "né", "last": [1, None]}
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 2
    assert "<locals>.bad failed" in errors[0]
    assert "<locals>.fails failed" in errors[1]


@pytest.mark.parametrize("error", [SystemExit(1), asyncio.CancelledError(), GeneratorExit(), StopIteration()])
async def test_whatever_a_fact_raises_the_node_goes_on_reporting(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    def fails() -> dict[str, Any]:
        raise error

    [worker] = (await reported(fails, lambda: {"good": 1}, times=2)).workers
    assert worker.facts == {"good": 1}
    [line] = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert "<locals>.fails failed" in line

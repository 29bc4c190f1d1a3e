"""The dashboard's numbers: measured by every worker, put together and sent by one of them.

Every worker asks for the lease; the one that has it produces. When it dies, another gets the lease once its time is
up, and goes on with the next number, because the numbers belong to the lease and not to the worker.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psutil
from fastapi import APIRouter

from hubbub import Hub, Stats, Unavailable
from hubbub.ports.logs import Event, fields

ROOM = "dashboard"

_log = logging.getLogger("hubbub.showcase.dashboard")

_EVERY = 2.0
# One missed turn is forgiven, so that a slow moment moves nothing; a dead producer is replaced within seconds.
_LEASE = 2 * _EVERY + 0.5
_ASK_EVERY = 0.5


def routes(hub: Hub) -> APIRouter:
    @asynccontextmanager
    async def producing(_: Any) -> AsyncIterator[None]:
        producer = asyncio.create_task(_produce(hub))
        try:
            yield
        finally:
            producer.cancel()
            await asyncio.gather(producer, return_exceptions=True)

    @hub.rooms(ROOM, presence=True, slow="latest")
    async def anyone() -> bool:
        return True

    process = psutil.Process()

    @hub.facts
    def measure() -> dict[str, Any]:
        return {"cpu": process.cpu_percent(), "memory": process.memory_info().rss}

    return APIRouter(lifespan=producing)


async def _produce(hub: Hub) -> None:
    lease = hub.lease(ROOM, ttl=_LEASE)
    try:
        while True:
            try:
                seq = await lease.turn()
                if seq is not None:
                    await hub.room(ROOM).send(_metrics(seq, await hub.stats()), key="metrics")
            except Unavailable:
                _log.debug("no numbers this time, the broker is away", extra=fields(Event.NUMBERS_NOT_SENT))
                seq = None
            except Exception:  # noqa: BLE001 - one bad moment is no reason to stop for good
                _log.exception("the dashboard's numbers could not be sent", extra=fields(Event.NUMBERS_NOT_SENT))
                seq = None
            await asyncio.sleep(_ASK_EVERY if seq is None else _until_next(time.time()))
    finally:
        try:
            await lease.give_up()
        except Unavailable:
            pass  # it will run out


def _until_next(now: float) -> float:
    wait = _EVERY - now % _EVERY
    # Some event loops wake a moment early, and would find themselves just before the time they have slept for.
    return wait if wait > _EVERY / 10 else wait + _EVERY


def _metrics(seq: int, stats: Stats) -> dict[str, Any]:
    workers = [
        {
            "node": worker.node,
            "pid": worker.pid,
            "cpu": worker.facts.get("cpu"),
            "memory": worker.facts.get("memory"),
            "connections": worker.connections,
        }
        for worker in stats.workers
    ]
    return {"type": "metrics", "seq": seq, "at": round(time.time() * 1000), "workers": workers}

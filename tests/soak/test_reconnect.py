"""A worker dies and thousands come to another at once: all resume, and the broker hardly notices how many they are."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.kit.stopwatch import Stopwatch
from tests.soak.crowd import Crowd
from tests.soak.publishers import post
from tests.soak.stage import Stage

ROOMS = [f"crowd:{number}" for number in range(10)]
_MISSED = 30


@dataclass
class Return:
    """`took`: seconds until the last had all it missed, on a machine that plays all of them as well.

    `work`: seconds of a processor that the worker used for it; `lag`: the longest of its event loop, in seconds.
    `commands`: what the Valkey executed meanwhile, by name.
    """

    took: float
    work: float
    lag: float
    commands: dict[str, int]

    @property
    def reads(self) -> int:
        """Without the probe's, which does once whatever any script does, and alone takes an entry out of a stream."""
        return sum(self.commands.get(name, 0) for name in ("xrange", "xrevrange")) - 2 * self.commands.get("xdel", 0)

    def __str__(self) -> str:
        told = ", ".join(f"{name} {count}" for name, count in sorted(self.commands.items()))
        cost = f"{self.work:.1f} s of a processor, loop held up to {self.lag * 1000:.0f} ms"
        return f"back after {self.took:.1f} s; {cost}; {told}"


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(1200)
async def test_five_thousand_dropped_at_once_resume_and_share_the_reads(tmp_path: Path) -> None:
    """How many they are costs no reads of history, and makes none of them dearer."""
    few = await dropped_at_once(tmp_path, 500)
    many = await dropped_at_once(tmp_path, 5_000)
    print(f"500: {few}\n5,000: {many}")  # noqa: T201 - the figures are what one wants to see
    for back in few, many:
        assert len(ROOMS) <= back.reads <= 4 * len(ROOMS), f"500: {few}\n5,000: {many}"
    assert many.work < 3 * 10 * few.work


async def dropped_at_once(directory: Path, count: int) -> Return:
    async with (
        Stage(directory, workers=2, lease=10.0, durable=False) as stage,
        httpx.AsyncClient(trust_env=False) as http,
    ):
        doomed, other = stage.workers
        crowd = Crowd(count, ROOMS)
        await crowd.come("127.0.0.1", doomed.port, within=300)

        async def publish(first: int, last: int) -> None:
            for number in range(first, last):
                for room in ROOMS:
                    position = await post(http, other, room, "publisher", number)
                    assert position is not None
                    crowd.tops[room] = position["offset"]

        try:
            await publish(1, 4)
            await crowd.caught_up(within=120)
            await doomed.kill()
            await crowd.gone(within=120)
            await publish(4, 4 + _MISSED)
            await http.get(f"{other.url}/lag")
            await asyncio.to_thread(stage.valkey.admin.config_resetstat)
            watch, used = Stopwatch(), other.work
            coming = asyncio.create_task(crowd.come("127.0.0.1", other.port, within=300))
            await crowd.caught_up(within=300)
            took, work = watch.wall, other.work - used
            await coming
            said = await asyncio.to_thread(stage.valkey.admin.info, "commandstats")
            lag = (await http.get(f"{other.url}/lag")).json()
            # They are members like before: what is said now reaches everybody once.
            await publish(4 + _MISSED, 6 + _MISSED)
            await crowd.caught_up(within=120)
            assert crowd.wrong == []
        finally:
            for member in crowd.members:
                member.go()
        return Return(took, work, lag, {name.removeprefix("cmdstat_"): stats["calls"] for name, stats in said.items()})

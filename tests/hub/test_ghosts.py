"""A worker that starts sweeps at once the ghosts of one that was killed long before, on a real Valkey."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator

import pytest

from hubbub import Hub, Leaving
from hubbub.brokers.embedded import EmbeddedValkey
from hubbub.brokers.redis import RedisBroker
from hubbub.testing import ManualClock, Node, Tab
from hubbub.types import room_topic
from tests.kit.running import clean_environment
from tests.kit.waiting import tries

ROOM = room_topic("lobby")
#: Seconds: its four tenths are what others are given to come back.
LEASE = 1.0

WORKER = f"""
import asyncio, sys
from hubbub import Hub, Leaving
from hubbub.testing import Tab

async def main():
    hub = Hub(sys.argv[1], leaving=Leaving(lease={LEASE}))

    @hub.rooms("lobby", presence=True)
    async def anybody() -> bool:
        return True

    async with hub.running(), Tab(hub, "ghost") as tab:
        await tab.join("lobby")
        print("there", flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.fixture
def valkey() -> Iterator[str]:
    with EmbeddedValkey() as server:
        yield server.url


def hub(url: str, *, lease: float, clock: ManualClock) -> Hub:
    made = Hub(url, leaving=Leaving(lease=lease), clock=clock)

    @made.rooms("lobby", presence=True)
    async def anybody() -> bool:
        return True

    return made


async def test_ghosts_are_gone_before_any_time_has_passed(valkey: str) -> None:
    living = hub(valkey, lease=60, clock=ManualClock())
    broker = RedisBroker(valkey)
    await broker.start(lambda *_: None, lambda: None, lambda _: None)
    async with Node(living) as node, Tab(node, "alive") as alive:
        await alive.join("lobby")
        worker = await asyncio.create_subprocess_exec(
            sys.executable, "-c", WORKER, valkey, env=clean_environment(), stdout=subprocess.PIPE
        )
        assert worker.stdout is not None
        assert await worker.stdout.readline() == b"there\n"
        worker.kill()
        await worker.wait()
        await alive.receive("user_joined_room", user="ghost")
        for _ in tries("the killed worker's lease has been over for a while"):
            if await broker.lost(10, ago=LEASE * 0.4):
                break
        assert await broker.members(ROOM) == ["alive", "ghost"]
        clock = ManualClock()
        async with Node(hub(valkey, lease=LEASE, clock=clock)):
            await alive.receive("user_left_room", user="ghost")
            assert await broker.members(ROOM) == ["alive"]
            assert clock.now() == 0.0
    await broker.stop()

"""One of three workers is killed again and again under load: nothing is lost, and each ghost leaves once.

A ghost is somebody who was on the killed worker and never comes back. The others come back at once, and nobody is told
that they were gone. LEDGER_KILLS is how often, 5 by default; `make soak` kills 20 times.
"""

import asyncio
import os
import random
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from hubbub.testing import checks
from tests.kit.client import Tab
from tests.kit.waiting import until
from tests.soak.clients import Visitor
from tests.soak.diary import Diary, Notice
from tests.soak.performance import ROOMS, Performance
from tests.soak.stage import Worker

KILLS = int(os.environ.get("LEDGER_KILLS", "5"))
SEED = int(os.environ.get("LEDGER_SEED", random.randrange(2**32) if "LEDGER_KILLS" in os.environ else 2175))

_GHOSTS = 5
# The shortest lease on a machine that has other things to do besides.
_SLACK = 1.0


class Kills:
    """`slowest`: seconds until the last ghost was announced as gone."""

    def __init__(self, times: int, lease: float) -> None:
        self.times = times
        self.lease = lease
        self.wrong: list[str] = []
        self.slowest = 0.0
        self.ghosts: set[str] = set()
        self._chance = random.Random(SEED)

    async def carry_out(self, running: Performance) -> None:
        workers = running.stage.workers
        watchers = [self._somebody(running, f"watcher-{each}", worker) for each, worker in enumerate(workers)]
        living = [asyncio.create_task(watcher.live()) for watcher in watchers]
        try:
            for number in range(self.times):
                await until(lambda: all(watcher.joined for watcher in watchers), "all watch", within=30)
                victim = self._chance.choice(workers)
                others = [watcher for watcher in watchers if watcher.door is not victim]
                await self._one(running, number, victim, others)
            # A second leave would come with the next look for leases that ran out.
            await asyncio.sleep(self.lease)
            diaries = [watcher.diary for watcher in watchers]
            self.wrong += map(str, checks.announced(diaries) + checks.gone_once(diaries, ROOMS[0], self.ghosts))
            self._not_who_stayed(running, watchers)
        finally:
            for task in living:
                task.cancel()
            await asyncio.gather(*living, return_exceptions=True)

    async def _one(self, running: Performance, number: int, victim: Worker, watchers: list[Visitor]) -> None:
        names = {f"ghost-{number}-{each}" for each in range(_GHOSTS)}
        self.ghosts |= names
        async with AsyncExitStack() as stack:
            for name in names:
                ghost = await stack.enter_async_context(Tab(victim.ws, f"/ws/as/{name}"))
                await ghost.join(ROOMS[0])
            # Who is announced as gone must have been announced as there.
            for watcher in watchers:
                await until(lambda w=watcher: names <= _of(w, came=True).keys(), "the ghosts are seen", within=10)
            at = asyncio.get_running_loop().time()
            running.disturber.log.append(f"{at - running.began:9.3f} {number}: SIGKILL to {victim.name}")
            await victim.kill()
            starting = asyncio.create_task(victim.start())
            for watcher in watchers:
                await until(
                    lambda w=watcher: names <= _of(w, came=False).keys(),
                    f"{watcher.name} sees the ghosts of kill {number} leave",
                    within=self.lease + 10,
                )
                for notice in _notices(watcher, came=False):
                    if notice.user in names:
                        self.slowest = max(self.slowest, notice.at - at)
            await starting

    def _not_who_stayed(self, running: Performance, watchers: list[Visitor]) -> None:
        steady = {client.name: client for client in running.clients if not client.comes_and_goes}
        for watcher in watchers:
            for notice in _notices(watcher, came=False):
                at = notice.at - running.began
                if notice.user in steady and _was_in(steady[notice.user].diary, notice.room, at - _SLACK, at):
                    self.wrong.append(f"{at:9.3f} {watcher.name} was told that {notice.user} left, who was there")

    def _somebody(self, running: Performance, name: str, worker: Worker) -> Visitor:
        return Visitor(Diary(name, running.began), [worker], ROOMS[:1], random.Random(name), comes_and_goes=False)


def _was_in(diary: Diary, room: str, since: float, until: float) -> bool:
    """Whether it was in the room all that time."""
    inside = False
    for at, what, message in diary.entries:
        if at > until:
            break
        if what == "received" and message["type"] == "room_joined" and message["room"] == room:
            inside = inside or at < since
        elif what == "closed":
            inside = False
    return inside


def _notices(watcher: Visitor, *, came: bool) -> list[Notice]:
    return [notice for notice in watcher.diary.notices if notice.came is came]


def _of(watcher: Visitor, *, came: bool) -> Counter[str]:
    return Counter(notice.user for notice in _notices(watcher, came=came))


@pytest.mark.slow
@pytest.mark.timeout(120 + 30 * KILLS)
async def test_what_a_killed_worker_leaves_behind(tmp_path: Path) -> None:
    """Each within the lease, which is short here so that it can be done often."""
    await kill_often(tmp_path, KILLS, lease=3.0, slack=_SLACK)


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_the_ghosts_of_a_killed_worker_leave_within_ten_seconds(tmp_path: Path) -> None:
    """With the lease that is the default."""
    await kill_often(tmp_path, 1, lease=10.0, slack=0.0)


async def kill_often(directory: Path, times: int, *, lease: float, slack: float) -> None:
    kills = Kills(times, lease)
    performance = Performance(directory, seed=SEED, clients=40, lease=lease)
    story = await performance.run(kills.carry_out)
    assert not kills.wrong, f"{story}\n" + "\n".join(kills.wrong)
    assert kills.slowest <= lease + slack, f"{story}: the last ghost left after {kills.slowest:.2f} s"
    print(f"{story}; {times} kills, the last ghost left after {kills.slowest:.2f} s")  # noqa: T201

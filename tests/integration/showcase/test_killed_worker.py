"""Row 62, as far as presence goes: a worker is killed, and its users leave within the lease, once each.

The figure: 10 s by default.
"""

import os
import signal
from contextlib import AsyncExitStack

import pytest

from tests.integration.showcase.people import fresh, one_tab_on_each_worker, stats
from tests.kit.client import Tab
from tests.kit.running import Served
from tests.kit.stopwatch import Stopwatch
from tests.kit.waiting import tries


@pytest.mark.slow
async def test_the_users_of_a_killed_worker_leave_within_ten_seconds_and_once_each() -> None:
    room = fresh("tea")
    with Served("--dev", "--workers", "3") as server:
        async with AsyncExitStack() as stack:
            ghost, one, two = await stack.enter_async_context(one_tab_on_each_worker(server))
            others = []
            for _ in tries("the same user on the worker that dies and on one that lives"):
                others.append(await stack.enter_async_context(Tab(server.ws, user="both")))
                if {tab.node for tab in others} > {ghost.node}:
                    break
            for tab in (ghost, one, two, *others):
                await tab.join(room)
            name = str(ghost.welcome["user"])
            pid = next(each["pid"] for each in (await stats(server))["workers"] if each["node"] == ghost.node)
            os.kill(pid, signal.SIGKILL)
            watch = Stopwatch()
            for tab in (one, two):
                await tab.receive("user_left_room", room=room, user=name)
            assert watch.wall > 5.0
            assert watch.own <= 10.0
            for tab in (one, two):
                await tab.nothing("user_left_room", during=1.5)
                assert [each["user"] for each in tab.received("user_left_room") if each["room"] == room] == [name]
                offline = [each["user"] for each in tab.received("user_disconnected")]
                assert (offline.count(name), offline.count("both")) == (1, 0)
            assert name not in (await one.join(room))["members"]

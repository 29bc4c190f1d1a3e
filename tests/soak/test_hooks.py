"""The worker that runs the hooks is killed again and again: each edge is told once, and is what the clients did.

A client comes to any worker, joins a room of its own, leaves it and goes, and waits each time until that was told. One
whose worker was killed comes again when it was told as gone. LEDGER_KILLS is how often, 2 by default.
"""

import asyncio
import json
import os
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import groupby, pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from hubbub.brokers.redis.keys import Keys
from hubbub.testing.conversation import NO_CLOSE, Lost
from hubbub.testing.proxy import Proxy
from hubbub.types import OCCUPIED, ONLINE
from tests.kit.client import Tab
from tests.kit.valkey import Valkey
from tests.kit.waiting import until
from tests.soak.stage import Worker

KILLS = int(os.environ.get("LEDGER_KILLS", "2"))
LEASE = 3.0
#: What comes of a client whose worker is killed, at any point.
KILLED = (Lost, OSError, ConnectionClosed, InvalidHandshake)

keys = Keys("hubbub")


class Told(NamedTuple):
    what: str
    of: str
    number: int
    pid: int


class Hooks:
    """What they wrote down, of all workers."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def all(self) -> list[Told]:
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        return [Told(**json.loads(line)) for line in lines]

    def edges(self) -> list[Told]:
        """Each once: where a worker was killed within a hook, the next has the same number."""
        return [next(same) for _, same in groupby(self.all(), key=lambda told: told.number)]

    def of(self, name: str) -> list[str]:
        return [told.what for told in self.edges() if told.of == name]


class Client:
    """`came`: how often it was let in. `tried`: how often it was not, because its worker was killed meanwhile."""

    def __init__(self, name: str, workers: list[Worker], hooks: Hooks, valkey: Valkey) -> None:
        self.name = name
        self.room = f"team:{name}"
        self.came = self.tried = self.joined = 0
        self._workers = workers
        self._hooks = hooks
        self._valkey = valkey
        self._chance = random.Random(name)

    async def live(self, over: asyncio.Event) -> None:
        while not over.is_set():
            worker = self._chance.choice(self._workers)
            self.tried += 1
            with suppress(*KILLED):
                await self._once(Tab(worker.ws, f"/ws/as/{self.name}"))
            await until(lambda: asyncio.to_thread(self._is_over), f"{self.name} is gone, and all is told")

    async def _once(self, tab: Tab) -> None:
        async with self._let_in(tab):
            self.came += 1
            self.tried -= 1
            await self._told(self.name, "online", tab)
            await tab.join(self.room)
            self.joined += 1
            await self._told(self.room, "occupied", tab)
            await tab.leave(self.room)
            await self._told(self.room, "vacated", tab)

    @asynccontextmanager
    async def _let_in(self, tab: Tab) -> AsyncIterator[None]:
        """Raises Lost where its worker was killed before it could say so: only then it ends without a word."""
        await tab.connect()
        try:
            await tab.until(lambda: tab.received("welcome") or tab.close_code == NO_CLOSE, "it is let in")
            if not tab.received("welcome"):
                raise Lost
            yield
        finally:
            await tab.close()

    async def _told(self, of: str, what: str, tab: Tab) -> None:
        await until(lambda: self._hooks.of(of)[-1:] == [what] or not tab.open, f"{of} is told as {what}")
        if not tab.open:
            raise Lost

    def _is_over(self) -> bool:
        """It is nowhere, by the broker; what that was the edge of is in no log, and no hook runs for it."""
        admin = self._valkey.admin
        if admin.hexists(keys.members(ONLINE), self.name) or admin.hexists(keys.members(OCCUPIED), self.room):
            return False
        mine = {self.name.encode(), self.room.encode()}
        return not any(entry[b"m"] in mine for _, entry in admin.xrange(keys.edges))


@pytest.mark.slow
@pytest.mark.timeout(60 + 20 * KILLS)
async def test_each_edge_is_told_once_whichever_worker_is_killed(tmp_path: Path) -> None:
    hooks = Hooks(tmp_path / "edges")
    valkey = Valkey(tmp_path, durable=False)
    environment = {"HUBBUB_LEDGER_LEASE": str(LEASE), "HUBBUB_EDGES": str(hooks.path), "HUBBUB_DEV": "1"}
    async with AsyncExitStack() as stack:
        valkey.start()
        stack.callback(valkey.stop)
        workers = [
            Worker(f"worker {n}", stack.enter_context(Proxy(str(valkey.socket))), environment, "hooked")
            for n in range(3)
        ]
        for worker in workers:
            stack.push_async_callback(worker.stop)
        await asyncio.gather(*(worker.start() for worker in workers))
        clients = [Client(f"u{n}", workers, hooks, valkey) for n in range(6)]
        over = asyncio.Event()
        living = [asyncio.create_task(client.live(over)) for client in clients]
        killed: list[int] = []
        for _ in range(KILLS):
            seen = len(hooks.edges())
            await until(lambda n=seen: len(hooks.edges()) > n + 5, "it goes on")
            pid = hooks.all()[-1].pid
            [victim] = [worker for worker in workers if worker.pid == pid]
            killed.append(pid)
            await victim.kill()
            await until(lambda n=pid: hooks.all()[-1].pid != n, "another goes on")
            await victim.start()
        over.set()
        await asyncio.gather(*living)

    told, edges = hooks.all(), hooks.edges()
    numbers = [each.number for each in edges]
    assert numbers == sorted(set(numbers)), "each has a number of its own, and they rise"
    # Only what a killed worker was at when it was killed has been told twice, with the same number.
    again = [(one.pid, other.pid) for one, other in pairwise(told) if one.number == other.number]
    assert len(told) == len(edges) + len(again)
    assert {pid for pid, _ in again} <= {*killed}
    assert len(again) <= len(killed)
    assert len({each.pid for each in told}) > 1
    for client in clients:
        of_user, of_room = hooks.of(client.name), hooks.of(client.room)
        assert of_user == ["online", "offline"] * (len(of_user) // 2)
        assert of_room == ["occupied", "vacated"] * (len(of_room) // 2)
        # Who was being let in, or was joining, when its worker was killed may or may not have been there.
        assert client.came <= len(of_user) // 2 <= client.came + client.tried
        assert client.joined <= len(of_room) // 2 <= client.came
        assert client.came > 0

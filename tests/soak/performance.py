"""One run of everything: clients, publishers, what goes wrong, and at the end what all of them say, compared."""

import asyncio
import itertools
import random
import time
import traceback
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import httpx

from hubbub.testing import checks
from hubbub.types import Position
from tests.kit.waiting import until
from tests.soak.clients import Visitor
from tests.soak.diary import Diary, Excuse, epochs, excuses, received
from tests.soak.disturber import Disturber
from tests.soak.inspector import Inspector
from tests.soak.publishers import OverHTTP, OverSocket, Publisher, same
from tests.soak.stage import Stage

ROOMS = [f"kept:{number}" for number in range(5)]

#: An idle room is checked within 30 s; a busy machine gets half as much more.
_FINDS_OUT = 45.0
#: As many as a join hands out: who missed no more than these must get them.
_REPLAY = 300
#: By the client, without a word, and by a worker that ends or is deaf.
_TO_BE_EXPECTED = {1000, 1006, 1012, 1013}
#: As many as the application's rooms keep.
KEPT = 1_000


class Performance:
    """`clients`: a twentieth of them also publish over their sockets, half of the rest are restless.

    `nginx`: half of them, and of what is published over HTTP, come through it.
    """

    def __init__(self, directory: Path, *, seed: int, clients: int, lease: float = 3.0, nginx: bool = False) -> None:
        self.clients: list[Visitor] = []
        self.began = time.monotonic()
        self._directory = directory
        self._seed = seed
        self._count = clients
        self._lease = lease
        self._nginx = nginx
        self._wrong: list[str] = []
        self._publishers: list[Publisher] = []

    stage: Stage
    disturber: Disturber

    async def run(self, act: Callable[["Performance"], Awaitable[None]]) -> str:
        """What happened while `act` did its worst, in a line.

        Raises AssertionError with everything that helps to understand what went wrong.
        """
        async with AsyncExitStack() as stack:
            http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=10.0))
            stage = Stage(self._directory, lease=self._lease, nginx=self._nginx)
            self.stage = await stack.enter_async_context(stage)
            self.began = time.monotonic()
            self._people(stage, http)
            disturber = self.disturber = Disturber(stage, http, self.began)
            clients = self.clients
            living = [asyncio.create_task(client.live()) for client in clients]
            inspector = Inspector(stage.workers, http)
            living += inspector.begin()
            try:
                await until(lambda: all(c.joined == set(c.wanted) for c in clients), "everybody is in", within=60)
                publishing = [asyncio.create_task(publisher.live()) for publisher in self._publishers]
                for client in clients:
                    client.restless = client.comes_and_goes
                await act(self)
                for client in clients:
                    client.restless = False
                for publisher in self._publishers:
                    publisher.enough()
                async with asyncio.timeout(60):
                    await asyncio.gather(*publishing)
                await stage.ready()
                tops = await self._compare_positions(stage, http)
                await self._compare_presence(stage, http, clients)
                self._judge(await self._histories(stage, http), tops)
                await _end(living)
                # Whoever came back hid the ghost he had left behind.
                await self._compare_presence(stage, http, [])
            except Exception:  # noqa: BLE001 - what has gone wrong by then explains it
                self._wrong.append(traceback.format_exc())
            finally:
                self._wrong += disturber.wrong + inspector.wrong
                self._wrong += [f"a worker logged an exception\n{tail}" for tail in _exceptions(stage)]
                await _end(living)
        story = (
            f"seed {self._seed}: {len(disturber.log)} disturbances, "
            f"{sum(len(p.acknowledged) for p in self._publishers)} acknowledged "
            f"({sum(p.retried for p in self._publishers)} retries), "
            f"{received(client.diary for client in clients)} received, {len(self._excuses)} excuses"
        )
        if self._wrong:
            log, wrong = "\n".join(disturber.log), "\n".join(self._wrong[:20])
            raise AssertionError(f"{story}\n\n{len(self._wrong)} violations:\n{wrong}\n\nWhat was done:\n{log}")
        return story

    @property
    def _excuses(self) -> list[Excuse]:
        return list(excuses(client.diary for client in self.clients))

    def _people(self, stage: Stage, http: httpx.AsyncClient) -> None:
        speakers = max(1, self._count // 20)
        for number in range(self._count):
            chance = random.Random(f"{self._seed} client {number}")
            name = f"client-{number}"
            rooms = [ROOMS[number % len(ROOMS)], ROOMS[(number + 1 + number // len(ROOMS) % 4) % len(ROOMS)]]
            comes_and_goes = number >= speakers and number % 2 == 0
            client = Visitor(Diary(name, self.began), stage.doors, rooms, chance, comes_and_goes=comes_and_goes)
            self.clients.append(client)
            if number < speakers:
                self._publishers.append(OverSocket(client, rooms[0], chance, pause=0.2))
        for number in range(speakers):
            chance = random.Random(f"{self._seed} publisher {number}")
            room = ROOMS[number % len(ROOMS)]
            self._publishers.append(OverHTTP(f"http-{number}", room, chance, stage.doors, http, pause=0.2))

    async def _compare_positions(self, stage: Stage, http: httpx.AsyncClient) -> dict[str, Position]:
        """Those who stay connected find out by themselves what they missed, and everybody after coming back."""
        tops: dict[str, Position] = {}
        for room in ROOMS:
            kept = (await http.get(f"{stage.workers[0].url}/rooms/{room}/history")).json()
            tops[room] = Position(kept["epoch"], kept["offset"])
        clients = self.clients

        def behind() -> list[str]:
            return [
                f"{client.name} in {room}: {client.position(room)}, not {tops[room]}"
                for client in clients
                for room in client.wanted
                if room not in client.joined or client.position(room) != tops[room]
            ]

        async def all_caught_up(within: float, having: str) -> None:
            try:
                await until(lambda: not behind(), "", within=within)
            except AssertionError:
                late = f"behind {within:g} s after everything was well, having {having}"
                self._wrong += [f"{late}: {each}" for each in behind()]

        await all_caught_up(_FINDS_OUT, "stayed connected")
        had = {client: len(client.diary.closes) for client in clients if client.open}
        for client in had:
            client.drop()
        await until(lambda: all(len(each.diary.closes) > had[each] for each in had), "everybody went", within=30)
        await all_caught_up(20.0, "come back")
        return tops

    async def _histories(self, stage: Stage, http: httpx.AsyncClient) -> list[Diary]:
        """What is kept, as a client would have got it who has always been there; asked of every worker."""
        written = []
        for worker in stage.workers:
            history = Diary(f"the history at {worker.name}", self.began)
            for room in ROOMS:
                kept = (await http.get(f"{worker.url}/rooms/{room}/history")).json()
                since = {"epoch": kept["epoch"], "offset": max(0, kept["offset"] - KEPT)}
                whole = room not in self.disturber.robbed
                history.sent({"type": "join_room", "room": room, "since": since if whole else {"offset": 0}})
                joined = {"type": "room_joined", "room": room, "recovered": whole}
                history.received({**joined, "epoch": kept["epoch"], "offset": kept["offset"]})
                for message in kept["messages"]:
                    history.received(message)
            written.append(history)
        return written

    async def _compare_presence(self, stage: Stage, http: httpx.AsyncClient, clients: list[Visitor]) -> None:
        """Nobody is a ghost, and nobody who is there is missing: these clients and nobody else."""
        deadline = time.monotonic() + self._lease + 10
        for room in ROOMS:
            there = sorted(client.name for client in clients if room in client.wanted)
            for worker in stage.workers:
                while (said := (await http.get(f"{worker.url}/rooms/{room}/members")).json()) != there:
                    if time.monotonic() > deadline:
                        ghosts, missing = sorted({*said} - {*there}), sorted({*there} - {*said})
                        self._wrong.append(f"{worker.name}, {room}: ghosts {ghosts}, missing {missing}")
                        break
                    await asyncio.sleep(0.1)

    def _judge(self, histories: list[Diary], tops: Mapping[str, Position]) -> None:
        diaries = [client.diary for client in self.clients]
        acknowledged = [each for publisher in self._publishers for each in publisher.acknowledged]
        acknowledged += self.disturber.acknowledged
        everybody = [*diaries, *histories]
        violations = [
            *checks.in_order(everybody),
            *checks.whole(everybody),
            *checks.agreed(everybody, same=same),
            *checks.delivered(everybody, acknowledged, same=same),
            *checks.caught_up(diaries, tops),
        ]
        by_name = {diary.client: diary for diary in everybody}
        self._wrong += [f"{each}\n{by_name[each.client].about(each)}" for each in violations]
        for client in self.clients:
            self._wrong += client.unanswered
            strange = {*client.diary.closes} - _TO_BE_EXPECTED
            self._wrong += [f"{client.name} was closed with {code}" for code in strange]
        for room in {*ROOMS} - self.disturber.robbed:
            if len(told := epochs(diaries, room)) > 1:
                self._wrong.append(f"{room} has had several epochs, and nobody took one away: {told}")
        for excuse in self._excuses:
            if excuse.room not in self.disturber.robbed and (excuse.missed is None or excuse.missed <= _REPLAY):
                self._wrong.append(f"an excuse without a reason: {excuse}")


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _exceptions(stage: Stage) -> list[str]:
    """The end of the first traceback that each worker printed."""
    found = []
    for worker in [*stage.workers, stage.other]:
        _, _, printed = worker.output.partition("Traceback")
        trace = list(itertools.takewhile(lambda line: line.startswith(" "), printed.splitlines()[1:]))
        if printed:
            found.append("\n".join(printed.splitlines()[1:][max(0, len(trace) - 16) : len(trace) + 1]))
    return found

"""What goes wrong, and when: decided beforehand from a seed alone, so that it can be done again.

for each in plan(seed=7, seconds=30, kinds=list(Kind), rooms=rooms): print(each)
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

import httpx

from hubbub.testing import Acknowledged
from tests.kit import refusing
from tests.kit.refusing import Refusal
from tests.soak.publishers import OverHTTP, acknowledged, post
from tests.soak.stage import Stage, Worker


class Kind(StrEnum):
    KILL_WORKER = "SIGKILL to worker"
    END_WORKER = "SIGTERM to worker"
    SERVED_ENOUGH = "requests enough for worker"
    SECOND_SERVICE = "a second service, which keeps nothing"
    RELOAD_NGINX = "nginx reloaded"
    KILL_VALKEY = "SIGKILL to Valkey"
    FREEZE_VALKEY = "SIGSTOP to Valkey"
    KILL_SUBSCRIBERS = "CLIENT KILL TYPE pubsub"
    FLUSH_SCRIPTS = "SCRIPT FLUSH"
    DELETE_STREAM = "stream deleted"
    DELETE_META = "meta deleted"
    SHRINK_BUFFER = "pub/sub buffer of 32 KiB, and a message of 100"
    DELAY = "500 ms to worker"
    BLACKHOLE = "blackhole before worker"
    RESET = "connections reset of worker"
    FAIL_OVER = "another Valkey takes over"
    DEMOTE = "Valkey is a replica"
    MASTERDOWN = "Valkey is a replica that says nothing"
    FILL_DISK = "Valkey has no disk"
    FILL_MEMORY = "Valkey has no memory"
    TAKE_SCRIPTS = "the workers may run no scripts"
    TAKE_CHANNELS = "the workers may hear no channel"


#: What takes messages away, so that `recovered: false` or `gap` is the truth.
DESTRUCTIVE = frozenset({Kind.DELETE_STREAM, Kind.DELETE_META})
_OF_A_WORKER = frozenset(
    {Kind.KILL_WORKER, Kind.END_WORKER, Kind.SERVED_ENOUGH, Kind.DELAY, Kind.BLACKHOLE, Kind.RESET}
)
#: What the Valkey refuses, from one moment to another.
REFUSALS: dict[Kind, Refusal] = {
    Kind.DEMOTE: refusing.DEMOTED,
    Kind.MASTERDOWN: refusing.MASTERDOWN,
    Kind.FILL_DISK: refusing.FULL_DISK,
    Kind.FILL_MEMORY: refusing.FULL_MEMORY,
    Kind.TAKE_SCRIPTS: refusing.NO_SCRIPTS,
    Kind.TAKE_CHANNELS: refusing.NO_CHANNELS,
}
_OF_THE_VALKEY = frozenset({Kind.KILL_VALKEY, Kind.FREEZE_VALKEY, Kind.SHRINK_BUFFER, Kind.FAIL_OVER, *REFUSALS})

#: Requests that a worker answers before it ends: more than until somebody is there.
_ENOUGH = 100
_BUFFERS = "client-output-buffer-limit"
_BY_DEFAULT = "pubsub 33554432 8388608 60"


@dataclass(frozen=True)
class Disturbance:
    """`at` and `lasts` are seconds; `worker` and `room` say whom it meets, where it meets one."""

    at: float
    kind: Kind
    worker: int
    room: str
    lasts: float
    ways: str
    """What a blackhole swallows: what goes `up` to the Valkey, `down` from it, or `both`."""
    killed: bool
    """Whether the second service ends by SIGKILL, and not by SIGTERM."""

    def __str__(self) -> str:
        whom = f" {self.worker}" if self.kind in _OF_A_WORKER else ""
        which = f" of {self.room}" if self.kind in DESTRUCTIVE or self.kind is Kind.SHRINK_BUFFER else ""
        ways = f" ({self.ways})" if self.kind is Kind.BLACKHOLE else ""
        end = f" ({'SIGKILL' if self.killed else 'SIGTERM'})" if self.kind is Kind.SECOND_SERVICE else ""
        return f"{self.at:7.2f} {self.kind}{whom}{which}{ways}{end}, {self.lasts:.1f} s"


def plan(*, seed: int, seconds: float, kinds: Sequence[Kind], rooms: Sequence[str], workers: int) -> list[Disturbance]:
    """Every kind once, then at random. In a long run they last as long as they do in life.

    Only half of the rooms are robbed: in the others nothing may ever be missing.
    """
    chance = random.Random(seed)
    long = seconds >= 120
    told = list(kinds)
    chance.shuffle(told)
    planned = []
    at = 1.0
    while at < seconds - 3.0:
        kind = told.pop() if told else chance.choice(kinds)
        lasts = chance.uniform(0.3, 4.0 if long else 2.0)
        if kind is Kind.FREEZE_VALKEY:
            lasts = 15.0 if long else 4.0
        elif kind in REFUSALS:
            # Often longer than what is no more than a single error.
            lasts = chance.uniform(0.3, 20.0 if long else 5.0)
        elif kind is Kind.BLACKHOLE and long:
            lasts = chance.uniform(5.0, 20.0)
        meets = rooms[: len(rooms) // 2] if kind in DESTRUCTIVE else rooms
        ways = chance.choice(["up", "down", "both"])
        worker, room, killed = chance.randrange(workers), chance.choice(meets), chance.random() < 0.5
        planned.append(Disturbance(at, kind, worker, room, lasts, ways, killed))
        # Between two of these there is time for something to be said.
        at += chance.uniform(0.3, 8.0 if long else 1.6) + (lasts if kind in _OF_THE_VALKEY else 0.0)
    return planned


class Disturber:
    """Carries a plan out: of each kind there is a coroutine function that begins it, and returns when it is over.

    `log` has what was done and when; `robbed` the rooms that lost messages by it.
    """

    def __init__(self, stage: Stage, http: httpx.AsyncClient, began: float) -> None:
        self.log: list[str] = []
        self.robbed: set[str] = set()
        self.acknowledged: list[Acknowledged] = []
        self.wrong: list[str] = []
        self._stage = stage
        self._http = http
        self._began = began
        self._does: dict[Kind, Callable[[Disturbance], Awaitable[None]]] = {
            Kind.KILL_WORKER: self._kill_worker,
            Kind.END_WORKER: self._end_worker,
            Kind.SERVED_ENOUGH: self._serve_enough,
            Kind.SECOND_SERVICE: self._second_service,
            Kind.RELOAD_NGINX: lambda _: asyncio.to_thread(self._stage.nginx.reload),
            Kind.KILL_VALKEY: self._kill_valkey,
            Kind.FREEZE_VALKEY: self._freeze_valkey,
            Kind.FAIL_OVER: lambda _: asyncio.to_thread(self._stage.fail_over),
            Kind.KILL_SUBSCRIBERS: lambda _: self._admin("CLIENT", "KILL", "TYPE", "pubsub"),
            Kind.FLUSH_SCRIPTS: lambda _: self._admin("SCRIPT", "FLUSH"),
            Kind.DELETE_STREAM: lambda each: self._delete(each, "stream"),
            Kind.DELETE_META: lambda each: self._delete(each, "meta"),
            Kind.SHRINK_BUFFER: self._shrink,
            Kind.DELAY: self._delay,
            Kind.BLACKHOLE: self._blackhole,
            Kind.RESET: self._reset,
            **{kind: partial(self._refuse, refusal) for kind, refusal in REFUSALS.items()},
        }

    async def carry_out(self, planned: Sequence[Disturbance]) -> None:
        """Returns when the last is over. They may overlap, except that nobody is hurt while he is being hurt."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as running:
            for each in planned:
                await asyncio.sleep(max(0.0, began + each.at - time.monotonic()))
                running.create_task(self._disturb(each))

    async def _disturb(self, each: Disturbance) -> None:
        async with self._busy(each):
            begins = time.monotonic() - self._began
            place = len(self.log)
            self.log.append(f"{begins:9.3f} …         {each}")
            await self._does[each.kind](each)
            self.log[place] = f"{begins:9.3f} {time.monotonic() - self._began:9.3f} {each}"

    def _busy(self, each: Disturbance) -> asyncio.Lock:
        match each.kind:
            case Kind.SECOND_SERVICE:
                return self._stage.other.busy
            case Kind.RELOAD_NGINX:
                return self._stage.nginx_busy
            case kind if kind in _OF_A_WORKER:
                return self._stage.workers[each.worker].busy
        return self._stage.valkey_busy

    async def _kill_worker(self, each: Disturbance) -> None:
        worker = self._stage.workers[each.worker]
        await worker.kill()
        await worker.start()

    async def _end_worker(self, each: Disturbance) -> None:
        worker = self._stage.workers[each.worker]
        self._ended(worker, await worker.end())
        await worker.start()

    async def _serve_enough(self, each: Disturbance) -> None:
        """No signal ends it, and whoever has come to it meanwhile is sent away."""
        worker = self._stage.workers[each.worker]
        self._ended(worker, await worker.end())
        await worker.start(limit=_ENOUGH)
        await asyncio.sleep(each.lasts)
        for _ in range(_ENOUGH):
            with suppress(httpx.HTTPError):
                await self._http.get(f"{worker.url}/health/live")
        self._ended(worker, await worker.ended())
        await worker.start()

    async def _second_service(self, each: Disturbance) -> None:
        """What its publisher has begun when it ends, that publisher says again at another door."""
        other = self._stage.other
        await other.start()
        chance = random.Random(f"{each}")
        publisher = OverHTTP(f"second-{each.at:.2f}", each.room, chance, [other], self._http, pause=0.05)
        publishing = asyncio.create_task(publisher.live())
        await asyncio.sleep(each.lasts)
        if each.killed:
            await other.kill()
        else:
            self._ended(other, await other.end())
        publisher.doors = self._stage.doors
        publisher.enough()
        await publishing
        self.acknowledged += publisher.acknowledged

    def _ended(self, worker: Worker, code: int) -> None:
        if code != 0:
            self.wrong.append(f"{worker.name} ended with {code}\n{worker.output[-4000:]}")

    async def _kill_valkey(self, each: Disturbance) -> None:
        await asyncio.to_thread(self._stage.valkey.kill)
        await asyncio.sleep(each.lasts)
        await asyncio.to_thread(self._stage.valkey.start)

    async def _freeze_valkey(self, each: Disturbance) -> None:
        self._stage.valkey.freeze()
        await asyncio.sleep(each.lasts)
        self._stage.valkey.thaw()

    async def _delete(self, each: Disturbance, what: str) -> None:
        self.robbed.add(each.room)
        for key in await asyncio.to_thread(self._stage.valkey.keys, each.room, what):
            await self._admin("DEL", key)

    async def _shrink(self, each: Disturbance) -> None:
        """Whoever subscribes to the room is thrown out by the server as soon as the message is there for them."""
        await self._admin("CONFIG", "SET", _BUFFERS, "pubsub 32768 0 0")
        publisher = f"loud-{each.at:.2f}"
        worker = self._stage.workers[each.worker]
        position = await post(self._http, worker, each.room, publisher, 1, padding=100_000)
        if position is not None:
            self.acknowledged.append(acknowledged(each.room, publisher, 1, position))
        await asyncio.sleep(each.lasts)
        await self._admin("CONFIG", "SET", _BUFFERS, _BY_DEFAULT)

    async def _delay(self, each: Disturbance) -> None:
        proxy = self._stage.workers[each.worker].proxy
        proxy.delay(0.5)
        await asyncio.sleep(each.lasts)
        proxy.heal()

    async def _blackhole(self, each: Disturbance) -> None:
        proxy = self._stage.workers[each.worker].proxy
        match each.ways:
            case "both":
                proxy.freeze()
            case "up":
                proxy.freeze(down=False)
            case "down":
                proxy.freeze(up=False)
        await asyncio.sleep(each.lasts)
        proxy.heal()

    async def _reset(self, each: Disturbance) -> None:
        self._stage.workers[each.worker].proxy.reset()

    async def _refuse(self, refusal: Refusal, each: Disturbance) -> None:
        await asyncio.to_thread(refusal.begin, self._stage.valkey.admin)
        await asyncio.sleep(each.lasts)
        await asyncio.to_thread(refusal.end, self._stage.valkey.admin)

    async def _admin(self, *command: str | bytes) -> None:
        await asyncio.to_thread(self._stage.valkey.admin.execute_command, *command)

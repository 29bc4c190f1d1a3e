"""Thousands of clients in one process, that talk, count what they hear, and come back.

`python -m benchmarks.crowd` reads its orders from standard input, one JSON object a line, and answers each by one on
standard output; `benchmarks.crowds` has several of them. A client is a socket, a room and a position, and no task.

It comes back as the protocol says: told `retry_after` it waits for that; refused with `Retry-After` for that and then
a random time; else a random time alone, up to a ceiling that doubles from half a second to twenty. It joins with
`since`, and every offset has to follow the one before: what does not is in `wrong`.
"""

import asyncio
import base64
import gc
import json
import os
import random
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from hubbub.auth.jwt import JWTAuth
from hubbub.loadtest.frames import CLOSE, PING, PONG, TEXT, Reading, frame

FIRST, CEILING = 0.5, 20.0
_HEAD_END = b"\r\n\r\n"
_RETRY_AFTER = re.compile(rb"(?im)^retry-after: *(\d+)")
_HOLD = 30.0
"""Seconds that a client waits for a handshake to be answered, and for its room."""


@dataclass(frozen=True, slots=True)
class Setup:
    """Client `first` to `first + count - 1` of a crowd, each in the room that its number says.

    rooms: in one of which each is; an empty name: in none.
    sources: addresses of this machine to connect from, in turn; empty: the system's choice.
    forwarded: whether each says, as a proxy would, that it has an address of its own.
    """

    port: int
    first: int
    count: int
    secret: str
    rooms: list[str]
    sources: list[str]
    forwarded: bool = False
    seed: int = 1


class Member(asyncio.Protocol):
    """`position` is (epoch, offset), None before the first join."""

    __slots__ = ("_again", "_asked", "_crowd", "_head", "_reading", "attempt", "inside", "name", "number")
    __slots__ += ("position", "retry_after", "room", "transport")

    def __init__(self, crowd: "Crowd", number: int) -> None:
        self._crowd = crowd
        self.number = number
        self.name = f"user-{number}"
        self.room = crowd.setup.rooms[number % len(crowd.setup.rooms)]
        self.position: tuple[str, int] | None = None
        self.inside = False
        self.attempt = 0
        self.retry_after: float | None = None
        self.transport: asyncio.Transport | None = None
        self._head: bytes | None = None
        self._reading = Reading()
        self._again: asyncio.TimerHandle | None = None
        self._asked = 0.0

    async def come(self) -> None:
        crowd = self._crowd
        setup = crowd.setup
        source = (setup.sources[self.number % len(setup.sources)], 0) if setup.sources else None
        self._head, self._reading, self.retry_after = b"", Reading(), None
        crowd.count("attempts")
        try:
            async with asyncio.timeout(_HOLD):
                await crowd.loop.create_connection(lambda: self, "127.0.0.1", setup.port, local_addr=source)
        except (OSError, TimeoutError):
            crowd.count("not_reached")
            self.come_back()

    def say(self, message: dict[str, Any]) -> None:
        if self.transport is not None:
            self._asked = time.perf_counter()
            self.transport.write(frame(json.dumps(message, separators=(",", ":")).encode()))

    def come_back(self) -> None:
        """After what it was told, or by chance."""
        if not self._crowd.returning:
            return
        wait = self.retry_after
        if wait is None or self.attempt:
            wait = (wait or 0.0) + self._crowd.chance.uniform(0.0, min(CEILING, FIRST * 2 ** min(self.attempt, 16)))
            self.attempt += 1
        self._again = self._crowd.loop.call_later(wait, self._crowd.begin, self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is no asyncio.Transport by its class.
        self.transport = cast("asyncio.Transport", transport)
        # Whoever takes a connection and says nothing is given up.
        self._again = self._crowd.loop.call_later(_HOLD, self._give_up)
        key = base64.b64encode(os.urandom(16)).decode()
        number = self.number
        forwarded = f"X-Forwarded-For: 10.{number >> 16}.{number >> 8 & 255}.{number & 255}\r\n"
        transport.write(
            (
                f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
                f"Sec-WebSocket-Protocol: hubbub.v1, hubbub.bearer.{self._crowd.sign(self.name)}\r\n"
                f"{forwarded if self._crowd.setup.forwarded else ''}\r\n"
            ).encode()
        )

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        if self.inside:
            self.inside = False
            self._crowd.left()
        if self._again is not None:
            self._again.cancel()
        self.come_back()

    def data_received(self, data: bytes) -> None:
        self._crowd.received += len(data)
        if self._head is not None:
            self._head += data
            if _HEAD_END not in self._head:
                return
            head, _, data = self._head.partition(_HEAD_END)
            self._head = None
            if not head.startswith(b"HTTP/1.1 101 "):
                self._refused(head)
                return
        for opcode, payload in self._reading.feed(data):
            if opcode == TEXT:
                self._hear(json.loads(payload))
            elif opcode == PING:
                self._write(frame(payload, PONG))
            elif opcode == CLOSE:
                self._crowd.closed(payload)
                self._write(frame(payload[:2], CLOSE))
                if self.transport is not None:
                    self.transport.close()

    def _refused(self, head: bytes) -> None:
        self._crowd.count("refused_" + head[9:12].decode("latin-1"))
        told = _RETRY_AFTER.search(head)
        self.retry_after = float(told[1]) if told else None
        # Not the first one's case, in which a server says when to come.
        self.attempt = max(1, self.attempt)
        if self.transport is not None:
            self.transport.abort()

    def _give_up(self) -> None:
        self._crowd.count("given_up")
        if self.transport is not None:
            self.transport.abort()

    def _hear(self, message: dict[str, Any]) -> None:
        crowd = self._crowd
        match message["type"]:
            case "welcome" if not self.room:
                self._enter()
            case "welcome":
                join: dict[str, Any] = {"type": "join_room", "room": self.room}
                if self.position is not None:
                    join["since"] = {"epoch": self.position[0], "offset": self.position[1]}
                self._write(frame(json.dumps(join).encode()))
            case "room_joined":
                self._joined(message)
            case "said":
                crowd.heard(message["number"])
                if self.position is not None and "offset" in message:
                    epoch, offset = self.position
                    if message["offset"] != offset + 1:
                        crowd.wrong.append(f"{self.name} at {offset}: {message['offset']}")
                    self.position = (epoch, message["offset"])
            case "ack":
                crowd.answered(time.perf_counter() - self._asked)
            case "ping":
                crowd.count("pings")
                self._write(frame(json.dumps({"type": "pong", "ts": message["ts"]}).encode()))
            case "closing":
                self.retry_after = message["retry_after"] / 1000
            case "pong":
                pass
            case _:
                crowd.wrong.append(f"{self.name}: {message}")

    def _joined(self, message: dict[str, Any]) -> None:
        if self.position is not None and message.get("recovered") is not True:
            self._crowd.wrong.append(f"{self.name} at {self.position}: {message}")
        if "epoch" in message and (self.position is None or message.get("recovered") is not True):
            self.position = (message["epoch"], message["offset"])
        self._enter()

    def _enter(self) -> None:
        self.inside, self.attempt, self.retry_after = True, 0, None
        if self._again is not None:
            self._again.cancel()
        self._crowd.entered(self)

    def _write(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.write(data)


class Crowd:
    """Its methods without an underscore that take and return JSON are the orders; the others are told by members."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.loop = asyncio.get_running_loop()
        self.chance = random.Random(setup.seed * 1_000_003 + setup.first)
        self.returning = True
        self.wrong: list[str] = []
        self.received = 0
        """Bytes, as they come out of the sockets."""
        self._auth = JWTAuth(setup.secret)
        self._counts: dict[str, int] = {}
        self._inside = 0
        self._since = time.time()
        self._returns: list[float] = []
        self._news: dict[int, tuple[int, float]] = {}
        self._answers: list[float] = []
        self._coming: set[asyncio.Task[None]] = set()
        self._awaited: dict[Member, asyncio.Event] = {}
        self.members = [Member(self, number) for number in range(setup.first, setup.first + setup.count)]

    def sign(self, name: str) -> str:
        return self._auth.sign(name)

    def count(self, what: str) -> None:
        self._counts[what] = self._counts.get(what, 0) + 1

    def closed(self, payload: bytes) -> None:
        self.count(f"closed_{int.from_bytes(payload[:2], 'big')}")

    def begin(self, member: Member) -> None:
        task = self.loop.create_task(member.come())
        self._coming.add(task)
        task.add_done_callback(self._coming.discard)

    def entered(self, member: Member) -> None:
        if (arrived := self._awaited.pop(member, None)) is not None:
            arrived.set()
        self._inside += 1
        self._returns.append(time.time() - self._since)

    def left(self) -> None:
        self._inside -= 1

    def heard(self, number: int) -> None:
        self._news[number] = (self._news.get(number, (0, 0.0))[0] + 1, time.time())

    def answered(self, took: float) -> None:
        self._answers.append(took)

    async def come(self, connecting: int = 200) -> dict[str, Any]:
        """All of them, so many at a time; answered when all are in."""
        waiting = iter(self.members)
        self.returning = True

        async def some() -> None:
            for member in waiting:
                arrived = self._awaited[member] = asyncio.Event()
                self.begin(member)
                await arrived.wait()

        await asyncio.gather(*(some() for _ in range(connecting)))
        return self.state()

    async def talk(self, seconds: float = 0.0, rounds: int = 1) -> dict[str, Any]:
        """Each says something that is to be answered, evenly over so many seconds; answered when all were."""
        self._answers = []
        for _ in range(rounds):
            began, wanted = self.loop.time(), len(self._answers) + len(self.members)
            for at, member in enumerate(self.members):
                member.say({"type": "request", "id": at, "content": "x" * 200})
                due = began + seconds * at / len(self.members)
                if at % 50 == 49:
                    await asyncio.sleep(max(0.0, due - self.loop.time()))
            while len(self._answers) < wanted:  # noqa: ASYNC110 - a look at a number, a hundred times a second
                await asyncio.sleep(0.01)
        taken = sorted(self._answers)
        return {"answered": len(taken), "latencies": taken[:: max(1, len(taken) // 2_000)], "max": taken[-1]}

    def mark(self) -> dict[str, Any]:
        """From now on who comes, and what is counted, counts anew."""
        self._since, self._returns, self._counts, self._news = time.time(), [], {}, {}
        return {}

    def drop(self, returning: bool = True) -> dict[str, Any]:
        """All sockets, without a word; they come back by chance, as after `mark`, or when they are told to `come`."""
        self.mark()
        self.returning = returning
        for member in self.members:
            if member.transport is not None:
                member.transport.abort()
        return {}

    def storm(self) -> dict[str, Any]:
        """All who are not in come, each by chance, again and again where they are refused."""
        self.mark()
        self.returning = True
        for member in self.members:
            if member.transport is None:
                member.come_back()
        return {}

    def state(self) -> dict[str, Any]:
        return {
            "inside": self._inside,
            "received": self.received,
            "counts": self._counts,
            "wrong": self.wrong[:20],
            "returns": self._returns,
            "heard": {str(number): told for number, told in self._news.items()},
            "behind": sorted({member.position[1] for member in self.members if member.position is not None}),
        }

    def end(self) -> dict[str, Any]:
        self.returning = False
        for member in self.members:
            if member.transport is not None:
                member.transport.abort()
        return {}


async def _obey() -> None:
    reader = asyncio.StreamReader(limit=1 << 20)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    crowd = Crowd(Setup(**json.loads(await reader.readline())))
    # Nothing here is freed by collecting, and a hundred thousand objects are long to look through.
    gc.freeze()
    gc.disable()
    while order := await reader.readline():
        asked = json.loads(order)
        do: Callable[..., Any] = getattr(crowd, asked.pop("do"))
        answer = do(**asked)
        print(json.dumps(await answer if asyncio.iscoroutine(answer) else answer), flush=True)
    crowd.end()


def main() -> None:
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        import uvloop
    except ImportError:
        asyncio.run(_obey())
    else:
        uvloop.run(_obey())


if __name__ == "__main__":
    main()

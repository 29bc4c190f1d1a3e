"""The users beside the attackers: they talk in their rooms and ping, and know how long each answer took.

`python -m tests.hostile.attack.users` reads an order from its standard input, says `ready` when all are in, and then
measures from each line that says `begin` to the next that says `end`.
"""

import asyncio
import json
import math
import random
import sys
import time
from dataclasses import asdict, dataclass

from tests.hostile.attack.attacks import KEPT, ROOMS, TALK
from tests.hostile.attack.wire import CLOSE, PING, PONG, frame, handshake, heard, text

#: Seconds between two pings of a user, and between two of its room messages; each comes by chance around that.
_PING, _SAY = 0.5, 1.0
#: Seconds after the end until an answer counts as lost. What is not answered by then is as slow as it was late.
_LATE = 5.0


@dataclass(frozen=True, slots=True)
class Measured:
    """Milliseconds. `answers` are pings and own room messages; `lost` those that never came; `gone` are users."""

    p50: float
    p99: float
    worst: float
    answers: int
    lost: int
    gone: int


class User(asyncio.Protocol):
    def __init__(self, name: str, token: str, room: str, chance: random.Random) -> None:
        self._name, self._token, self._room, self._chance = name, token, room, chance
        self._buffer = bytearray()
        self._head: bytearray | None = bytearray()
        self._number = 0
        self._loop = asyncio.get_running_loop()
        self.asked: dict[bytes, float] = {}
        """When what is not answered yet was asked."""
        self.answers: list[tuple[float, float]] = []
        """When each of the others was asked, and answered."""
        self.joined = self._loop.create_future()
        self.gone = False

    # A protocol.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._transport.write(handshake(f"/ws?token={self._token}"))

    def data_received(self, data: bytes) -> None:
        if self._head is not None:
            self._head += data
            head, ended, rest = bytes(self._head).partition(b"\r\n\r\n")
            if not ended:
                return
            self._head = None
            if b" 101 " not in head.partition(b"\r\n")[0]:
                self.joined.set_exception(RuntimeError(f"{self._name} was not let in: {head[:40]!r}"))
                return
            data = rest
            self._transport.write(text(type="join_room", room=self._room))
        self._buffer += data
        for opcode, payload in heard(self._buffer):
            self._heard(opcode, payload)

    def connection_lost(self, error: Exception | None) -> None:
        self.gone = True
        if not self.joined.done():
            self.joined.set_exception(RuntimeError(f"{self._name} was dropped before it was in"))

    # What it says and hears.

    def start(self) -> None:
        self._later(_PING, self._ping)
        self._later(_SAY, self._say)

    def fill(self) -> None:
        self._transport.write(text(type="fill", room=KEPT.format(0)))

    def _later(self, seconds: float, what: object) -> None:
        self._loop.call_later(seconds * self._chance.uniform(0.5, 1.5), what)  # type: ignore[arg-type]

    def _ping(self) -> None:
        self._ask("ping", _PING, self._ping)

    def _say(self) -> None:
        self._ask("say", _SAY, self._say)

    def _ask(self, kind: str, pause: float, again: object) -> None:
        if self.gone:
            return
        self._number += 1
        number = self._number
        if kind == "ping":
            key, data = b"%d" % number, text(type="ping", ts=number)
        else:
            said = f"{self._name} {number}."
            key, data = said.encode(), text(type="say", room=self._room, text=said)
        self.asked[key] = time.perf_counter()
        self._transport.write(data)
        self._later(pause, again)

    def _heard(self, opcode: int, payload: bytes) -> None:
        now = time.perf_counter()
        if opcode == CLOSE:
            self.gone = True
        elif opcode == PING:
            self._transport.write(frame(PONG, payload))
        elif payload.startswith(b'{"type":"pong"'):
            self._answered(payload.rpartition(b'"ts":')[2].rstrip(b"}"), now)
        elif payload.startswith(b'{"type":"said"'):
            self._answered(payload.partition(b'"text":"')[2].partition(b'"')[0], now)
        elif payload.startswith(b'{"type":"ping"'):
            self._transport.write(text(type="pong"))
        elif payload.startswith(b'{"type":"room_joined"') and not self.joined.done():
            self.joined.set_result(None)

    def _answered(self, key: bytes, now: float) -> None:
        asked = self.asked.pop(key, None)
        if asked is not None:
            self.answers.append((asked, now))


async def measured(users: list[User], begin: float, end: float) -> Measured:
    """What came of all that was asked from `begin` to `end`."""

    def late() -> list[float]:
        return [asked for user in users for asked in user.asked.values() if begin <= asked <= end]

    deadline = time.perf_counter() + _LATE
    while late() and time.perf_counter() < deadline:  # noqa: ASYNC110 - an answer sets no event
        await asyncio.sleep(0.01)
    lost, now = late(), time.perf_counter()
    answered = [told - asked for user in users for asked, told in user.answers if begin <= asked <= end]
    took = sorted(answered + [now - asked for asked in lost])
    at = [1000 * took[max(0, math.ceil(part * len(took)) - 1)] for part in (0.5, 0.99, 1.0)]
    return Measured(*at, answers=len(answered), lost=len(lost), gone=sum(user.gone for user in users))


async def run() -> None:
    loop = asyncio.get_running_loop()
    order = json.loads(await loop.run_in_executor(None, sys.stdin.readline))
    chance = random.Random(7)
    users = []
    for number, token in enumerate(order["tokens"]):
        user = User(f"u{number}", token, TALK.format(number % ROOMS), chance)
        await loop.create_connection(lambda user=user: user, "127.0.0.1", order["port"])
        await user.joined
        users.append(user)
    users[0].fill()
    for user in users:
        user.start()
    _say("ready")
    began = time.perf_counter()
    while line := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
        if line == "begin":
            began = time.perf_counter()
        else:
            _say(json.dumps(asdict(await measured(users, began, time.perf_counter()))))


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    asyncio.run(run())

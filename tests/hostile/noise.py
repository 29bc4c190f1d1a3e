"""Random frames and envelopes at a running server: `python -m tests.hostile.noise`, which is `make noise`, a million.

Most connections keep to the framing and say anything within it, so that their noise reaches the hub; the others break
the framing, and are closed for it. Meanwhile as much arrives by the broker, for the rooms in which they are. The server
has no rate, for that would be all that were tried.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import random
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, Literal

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from pydantic import BaseModel

from hubbub import Connection, History, Hub, Limits, Rate
from hubbub.brokers.memory.broker import MemoryBroker
from hubbub.ports.broker import Broker
from hubbub.protocol.envelope import Envelope, Kind, join
from hubbub.types import room_topic, user_topic
from tests.kit.client import Tab
from tests.kit.inside import inside
from tests.kit.raw_peers import OURS, Peer, frame
from tests.kit.serving import Address, Names, at_rest, serving
from tests.kit.waiting import until

ROOMS = ("noise:1", "noise:2", "kept:1", "shown:1", "nowhere", "@me", "", "noise:" + "x" * 200, "noise:\x00", "noise:é")
TYPES = ("auth", "join_room", "leave_room", "set_presence", "ping", "pong", "say", "welcome", "gap", "", "x", "ack")
FIELDS = ("type", "room", "rooms", "since", "id", "ts", "token", "features", "presence", "text", "idempotency_key")
#: Frames of a connection, at most; and of those sent in one piece.
LONGEST, PIECE = 200, 40
AT_ONCE = 20


class Say(BaseModel):
    type: Literal["say"] = "say"
    room: str
    text: str | int = ""


def noisy() -> tuple[Hub, FastAPI]:
    """A hub with rooms of every kind, and beside it a plain route."""
    most = {field.name: 10**9 for field in fields(Rate)}
    hub = Hub(
        auth=Names(cookie=None),
        broker=MemoryBroker(),
        limits=Limits(closing=0.5),
        rate=Rate(**most),  # type: ignore[arg-type]
    )

    @hub.rooms("noise:{name}", presence=True)
    @hub.rooms("kept:{name}", history=History(size=20, ttl=60))
    @hub.rooms("quiet:{name}")
    async def anybody(name: str) -> bool:
        return True

    @hub.on(Say)
    async def say(message: Say, connection: Connection) -> dict[str, Any]:
        await connection.room(message.room).send({"type": "said", "text": message.text})
        return {"heard": message.text}

    app = FastAPI()
    app.include_router(hub.router)

    @app.websocket("/plain")
    async def plain(websocket: WebSocket) -> None:
        await websocket.accept()
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                message = await websocket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                await websocket.send_text(str(len(message.get("text") or message.get("bytes") or "")))

    return hub, app


class Noise:
    """The same of the same `seed`."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def value(self, depth: int = 0) -> Any:
        chance = self.chance
        kind = chance.randrange(9 if depth < 4 else 7)
        if kind < 7:
            simple = (None, True, chance.randrange(-3, 200), 2**70, 1.5, chance.choice(ROOMS), chance.choice(TYPES))
            return simple[kind]
        if kind == 7:
            return [self.value(depth + 1) for _ in range(chance.randrange(4))]
        return {chance.choice((*FIELDS, "epoch", "offset")): self.value(depth + 1) for _ in range(chance.randrange(4))}

    def message(self) -> bytes:
        """Nearly what a client may say."""
        chance = self.chance
        said: dict[str, Any] = {"type": chance.choice(TYPES), "room": chance.choice(ROOMS)}
        for name in chance.sample(FIELDS, chance.randrange(4)):
            said[name] = self.value()
        text = json.dumps(said, ensure_ascii=chance.random() < 0.5).encode()
        if chance.random() < 0.2:
            at = chance.randrange(len(text))
            text = (
                text[:at]
                + chance.choice((b"", b'"', b"[" * 99, b"\\ud800", b"NaN", b"1e999", b"{}", b","))
                + text[at + 1 :]
            )
        return text

    def polite(self) -> bytes:
        """A frame that is one, of a message that may be none."""
        chance = self.chance
        text = self.message()
        if chance.random() < 0.1:
            at = chance.randrange(len(text) + 1)
            return frame(1, text[:at], fin=False) + frame(0, text[at:])
        return frame(1, text) if chance.random() < 0.97 else frame(9 + chance.randrange(2), text[:125])

    def rude(self) -> bytes:
        """A frame that may be none."""
        chance = self.chance
        if chance.random() < 0.6:
            return self.polite()
        payload = chance.choice((self.message(), chance.randbytes(chance.randrange(300))))
        if chance.random() < 0.3:
            return payload
        opcode, fin, rsv = chance.randrange(16), chance.random() < 0.8, chance.choice((0, 0, 0, 1, 2, 4))
        return frame(opcode, payload, fin=fin, rsv=rsv, masked=chance.random() < 0.9)

    def envelope(self) -> bytes:
        """What may come by the broker."""
        chance = self.chance
        names = frozenset(str(self.value()) for _ in range(chance.randrange(3)))
        payload = chance.choice((self.message(), b"noise", b"", f"loud-{chance.randrange(AT_ONCE)}".encode()))
        whole = Envelope(
            chance.choice(list(Kind)), payload, without_users=names, key=chance.choice((None, "k"))
        ).encode()
        if chance.random() < 0.5:
            at = chance.randrange(min(len(whole), 40))
            whole = whole[:at] + chance.randbytes(1) + whole[at + 1 :]
        return join([whole] * chance.randrange(1, 4)) if chance.random() < 0.2 else whole


class Hearing:
    """What a peer is told. `end` is set when it has come to the end of what was said."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self.end = asyncio.Event()

    async def closed(self) -> int:
        """As `Peer.closed`."""
        while True:
            try:
                first, payload = await self._peer.frame()
            except (asyncio.IncompleteReadError, OSError):
                return 1006
            if first == 0x88:
                return int.from_bytes(payload[:2], "big") if payload else 1005
            if (first, payload) == (0x8A, b"the end"):
                self.end.set()


async def make_noise(address: Address, broker: Broker, frames: int, seed: int) -> Counter[str]:
    """So many frames and as many envelopes for every ten of them. What was sent, and how the connections ended."""
    came: Counter[str] = Counter()
    chance = random.Random(seed)

    async def one(number: int) -> None:
        noise = Noise(seed * 1_000 + number)
        while came["frames"] < frames:
            user = f"loud-{number}"
            path, rude = (
                chance.choice(("/ws?token=" + user, "/ws?token=" + user, "/ws", "/plain")),
                chance.random() < 0.4,
            )
            peer = await Peer(address, path).open()
            assert peer.status == 101, peer.head
            hearing = Hearing(peer)
            reading = asyncio.create_task(hearing.closed())
            left = min(LONGEST, frames - came["frames"]) if not rude else 8
            if path.startswith("/ws?"):
                await peer.send(
                    b"".join(frame(1, json.dumps({"type": "join_room", "room": room}).encode()) for room in ROOMS[:3])
                )
            while left > 0 and not reading.done():
                piece = [noise.rude() if rude else noise.polite() for _ in range(min(left, chance.randrange(1, PIECE)))]
                left -= len(piece)
                came["frames"] += len(piece)
                await peer.send(b"".join(piece))
                for _ in range(0, len(piece), 10):
                    came["envelopes"] += 1
                    topic = chance.choice((*map(room_topic, ROOMS[:3]), user_topic(user)))
                    await broker.publish(topic, noise.envelope())
            await peer.send(frame(9, b"the end"))
            ending = asyncio.create_task(hearing.end.wait())
            await asyncio.wait([reading, ending], return_when=asyncio.FIRST_COMPLETED)
            ending.cancel()
            if chance.random() < 0.5:
                reading.cancel()
            else:
                await peer.send(frame(8, b"\x03\xe8"))
            await asyncio.wait([reading])
            came["dropped" if reading.cancelled() else str(reading.result())] += 1
            await peer.drop()

    async with asyncio.TaskGroup() as group:
        for number in range(AT_ONCE):
            group.create_task(one(number))
    return came


async def storm(frames: int, seed: int) -> Counter[str]:
    """A server, an honest neighbour, and noise. Raises AssertionError where one is not served or anything is left."""
    hub, app = noisy()
    async with serving(app, **OURS, ws_max_size=65536) as address:
        before = tasks()
        async with Tab(address.ws, token="neighbour") as neighbour:
            await neighbour.join("quiet:1")
            noise = asyncio.create_task(make_noise(address, inside(hub).parts.broker, frames, seed))
            asked = 0
            while not noise.done():
                asked += 1
                answer = await neighbour.ask({"type": "say", "room": "quiet:1", "text": asked})
                assert answer["result"] == {"heard": asked}, answer
                await asyncio.sleep(0.05)
            came = await noise
            came["questions of the neighbour"] = asked
        await at_rest(hub)
        await until(lambda: not address.server.server_state.connections, "no socket is left")
        await until(lambda: not tasks() - before, "no task is left")
    return came


def tasks() -> set["asyncio.Task[Any]"]:
    """All but those that stand by (`scheduling/eager.py`)."""
    return {task for task in asyncio.all_tasks() if getattr(task.get_coro(), "__qualname__", "") != "parked"}


@contextlib.contextmanager
def complaints() -> Iterator[list[str]]:
    """What is logged meanwhile as an error, or with a traceback."""
    told: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.ERROR or record.exc_info:
                told.append(self.format(record))

    handler = Handler()
    logging.getLogger().addHandler(handler)
    try:
        yield told
    finally:
        logging.getLogger().removeHandler(handler)


def main() -> int:
    made = argparse.ArgumentParser(prog="python -m tests.hostile.noise", description=__doc__)
    made.add_argument("--frames", type=int, default=1_000_000)
    made.add_argument("--seed", type=int, default=random.randrange(2**32))
    asked = made.parse_args()
    print(f"seed {asked.seed}", flush=True)  # noqa: T201 - the result of a command
    with complaints() as told:
        came = asyncio.run(storm(asked.frames, asked.seed))
    print(f"{dict(came)}; errors: {told[:5] or 'none'}", flush=True)  # noqa: T201 - as above
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main())

"""Clients that come, go and resume as `hubbub.js` does, and keep a diary of it.

A client remembers its position in each room, joins with it, and comes back after what `closing` said or after a
random moment. Restless ones also leave rooms, rejoin, and drop their socket in the middle of anything.
"""

import asyncio
import contextlib
import itertools
import json
import random
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import websockets
from websockets.asyncio.client import ClientConnection, connect

from hubbub.types import Position
from tests.soak.diary import Diary
from tests.soak.stage import Worker

#: A server that says nothing for so long is gone: twice its heartbeat.
_SILENCE = 12.0
_HANDSHAKE = 5.0
#: Longer than any deadline of the server's: an answer that is not there by now never comes.
_ANSWER = 15.0


class Notice(NamedTuple):
    """A user came into a room or went; `at` is of `time.monotonic`."""

    at: float
    came: bool
    room: str
    user: str


class Client:
    """`rooms`: those it wants to be in. `restless`: it goes and comes back; the others stay while they are let."""

    def __init__(
        self,
        diary: Diary,
        workers: Sequence[Worker],
        rooms: Sequence[str],
        chance: random.Random,
        *,
        restless: bool,
    ) -> None:
        self.diary = diary
        self.rooms = list(rooms)
        self.restless = self.comes_and_goes = restless
        self.positions: dict[str, Position] = {}
        self.joined: set[str] = set()
        """The rooms that this connection is in."""
        self.worker: Worker | None = None
        """The one it is connected to."""
        self.unanswered: list[str] = []
        self.mortal = False
        """Whether its first connection is its last: it does not come back."""
        self.notices: list[Notice] | None = None
        """Who came and went, where somebody has put a list here for it."""
        self._workers = workers
        self._chance = chance
        self._ids = itertools.count(1)
        self._asked: dict[str, tuple[dict[str, Any], asyncio.TimerHandle]] = {}
        self._answers: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._errands: set[asyncio.Task[None]] = set()
        self._socket: ClientConnection | None = None
        self._retry_after = 0.0

    @property
    def name(self) -> str:
        return self.diary.client

    async def live(self) -> None:
        """Until it is cancelled, or its connection is gone and it is mortal."""
        while True:
            # As behind a load balancer: a worker that is not there is passed over at once.
            for worker in self._chance.sample(self._workers, len(self._workers)):
                with contextlib.suppress(ConnectionRefusedError):
                    await self._visit(worker)
                    break
            if self.mortal:
                return
            await asyncio.sleep(self._retry_after or self._chance.uniform(0.05, 0.5))

    async def reconnect(self) -> None:
        """Drop the socket; `live` comes back by itself."""
        if self._socket is not None:
            self._socket.transport.abort()

    async def ask(self, type: str, **fields: Any) -> dict[str, Any]:
        """The answer. Raises ConnectionError where the connection is lost before it, TimeoutError."""
        if self._socket is None:
            raise ConnectionError("not connected")
        id = str(next(self._ids))
        answer = self._answers[id] = asyncio.get_running_loop().create_future()
        try:
            await self._socket.send(json.dumps({"type": type, "id": id, **fields}))
            async with asyncio.timeout(_ANSWER):
                if not (said := await answer):
                    raise ConnectionError("lost")
                return said
        except websockets.ConnectionClosed:
            raise ConnectionError("closed") from None
        finally:
            self._answers.pop(id, None)

    async def _visit(self, worker: Worker) -> None:
        """Raises ConnectionRefusedError."""
        self._retry_after = 0.0
        try:
            await self._connected(worker)
        except ConnectionRefusedError:
            raise
        except (OSError, websockets.WebSocketException, TimeoutError):
            pass

    async def _connected(self, worker: Worker) -> None:
        async with connect(
            f"{worker.ws}/ws/as/{self.name}",
            compression=None,
            ping_interval=None,
            open_timeout=_HANDSHAKE,
            close_timeout=1.0,
            max_size=None,
            max_queue=None,
        ) as socket:
            self._socket = socket
            self.worker = worker
            self.diary.connected(worker.number)
            try:
                while True:
                    async with asyncio.timeout(_SILENCE):
                        message = json.loads(await socket.recv())
                    self._hear(message)
            finally:
                self._lost()
                self.diary.closed(socket.protocol.close_code or 1006)

    def _hear(self, message: dict[str, Any]) -> None:
        kind, room = message["type"], message.get("room", "")
        if kind == "ping":
            self._later(self._send({"type": "pong", "ts": message["ts"]}))
            return
        if kind in {"user_joined_room", "user_left_room"}:
            if self.notices is not None:
                self.notices.append(Notice(time.monotonic(), kind == "user_joined_room", room, message["user"]))
                self.diary.received(message)
            return
        message.pop("padding", None)
        self.diary.received(message)
        id = message.get("id")
        if kind == "welcome":
            for room in self.rooms:
                self._join(room)
            if self.restless:
                self._later(self._fidget())
        elif kind == "room_joined":
            self.joined.add(room)
            self._stand(room, message)
        elif kind == "room_left":
            self.joined.discard(room)
        elif kind == "said":
            if room in self.positions:  # it is forgotten before the answer to `leave_room` is there
                self.positions[room] = Position(self.positions[room].epoch, message["offset"])
        elif kind == "gap":
            self.positions[room] = Position(message["epoch"], message["upto"])
        elif kind == "closing":
            self._retry_after = message["retry_after"] / 1000
        if id in self._asked:
            fields, timer = self._asked.pop(id)
            timer.cancel()
            if kind == "error":
                self._later(self._again(fields["room"], message))
        elif id in self._answers and not self._answers[id].done():
            self._answers[id].set_result(message)

    def _stand(self, room: str, joined: dict[str, Any]) -> None:
        """Where this answer puts us. What was missed comes now: until it is here, the position is the old one."""
        if joined.get("recovered") is not True:
            self.positions[room] = Position(joined["epoch"], joined["offset"])
        elif room not in self.positions:
            self.positions[room] = Position(joined["epoch"], 0)

    def _join(self, room: str, *, everything: bool = False) -> None:
        fields: dict[str, Any] = {"type": "join_room", "room": room}
        position = self.positions.get(room)
        if position is not None:
            fields["since"] = {"epoch": position.epoch, "offset": position.offset}
        elif everything:
            fields["since"] = {"offset": 0}
        self._request(fields)

    def _request(self, fields: dict[str, Any]) -> None:
        """Send it, and note where no answer comes."""
        id = str(next(self._ids))
        fields["id"] = id
        self.diary.sent(fields)
        self._asked[id] = fields, asyncio.get_running_loop().call_later(_ANSWER, self._never, fields)
        self._later(self._send(fields))

    def _never(self, fields: dict[str, Any]) -> None:
        self.unanswered.append(f"{self.name}: no answer within {_ANSWER:g} s to {fields}")
        self._later(self.reconnect())

    async def _again(self, room: str, error: dict[str, Any]) -> None:
        await asyncio.sleep(error.get("retry_after", 300) / 1000)
        self._join(room)

    async def _fidget(self) -> None:
        chance = self._chance
        while self.restless:
            await asyncio.sleep(chance.uniform(0.3, 4.0))
            room = chance.choice(self.rooms)
            match chance.randrange(6):
                case 0:
                    await self.reconnect()
                case 1 if self._socket is not None:
                    await self._socket.close()
                case 2:
                    self._join(room)
                case 3 | 4 if room in self.joined:
                    self._request({"type": "leave_room", "room": room})
                    await asyncio.sleep(chance.uniform(0.05, 1.5))
                    if chance.random() < 0.3:
                        self.positions.pop(room, None)
                    self._join(room, everything=chance.random() < 0.5)

    async def _send(self, message: dict[str, Any]) -> None:
        if self._socket is not None:
            with contextlib.suppress(websockets.ConnectionClosed):
                await self._socket.send(json.dumps(message))

    def _later(self, errand: Any) -> None:
        task = asyncio.ensure_future(errand)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    def _lost(self) -> None:
        self._socket = None
        self.worker = None
        self.joined.clear()
        for _, timer in self._asked.values():
            timer.cancel()
        self._asked.clear()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_result({})  # an exception that nobody is there to take any more would be told as an error
        for errand in tuple(self._errands):
            errand.cancel()

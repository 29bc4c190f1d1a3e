"""Membership between a broker that answers when the test says so and connections without a socket."""

import asyncio
from typing import Any

from hubbub.hub.composition import compose
from hubbub.options import History, Limits, RoomOptions
from hubbub.ports.broker import Entry, Past
from hubbub.protocol.envelope import Envelope, Kind
from hubbub.testing import ManualClock, settle
from hubbub.types import Position, room_topic
from tests.kit.recipients import Reader, Turn
from tests.kit.scripted import Call, ScriptedBroker

KEEP = History(size=10, ttl=60)
#: Of a join of a room with presence and history.
STEPS = ["subscribe room:r", "enter occupied", "enter room:r", "members room:r", "read room:r"]


class JoiningRoom:
    def __init__(self, **limits: int) -> None:
        self.broker, self.clock, self.turn = ScriptedBroker(), ManualClock(), Turn()
        broker: Any = self.broker
        self.parts = compose(broker, self.clock, limits=Limits(rooms=2, **limits), batcher=self.turn.batcher)
        self.registry, self.fanout, self.diffs = self.parts.registry, self.parts.fanout, self.parts.diffs
        self.positions, self.membership = self.parts.positions, self.parts.membership

    def member(self, name: str = "ann") -> Reader:
        member = Reader(name, self.turn, membership=self.membership)
        self.registry.add(member, name)
        return member

    async def join(
        self, member: Reader, room: str = "r", *, presence: bool = True, keep: History | None = None, **fields: Any
    ) -> asyncio.Task[None]:
        options = RoomOptions(presence=presence, history=keep)
        task = asyncio.create_task(self.membership.join(member, room, options, **fields))
        await settle()
        return task

    async def up_to(self, step: str) -> None:
        for each in STEPS[: STEPS.index(step)]:
            await self.answer(self.broker.only(each))

    async def answer(self, call: Call, *offsets: int, top: int = 0) -> None:
        """What a broker would: `ann` is there, and of the room these are kept."""
        entries = [Entry(offset, message(offset)) for offset in offsets]
        if call.name == "read":
            *_, reverse = call.rest
            await call.ok(Past(Position("e", top), entries[::-1] if reverse else entries))
        else:
            await call.ok(["ann"])

    async def answer_all(self) -> None:
        while self.broker.pending:
            await self.answer(self.broker.pending[0])

    async def joined(self, member: Reader, keep: History | None = None) -> None:
        task = await self.join(member, keep=keep)
        await self.answer_all()
        await task

    async def is_empty(self) -> None:
        """All is given back once the broker has answered what it is asked now."""
        self.clock.move(10)
        for _ in range(10):
            await asyncio.sleep(0.001)
            for call in list(self.broker.pending):
                assert call.name in ("leave", "unsubscribe", "read"), call
                await self.answer(call)
        assert self.nothing_left()

    def nothing_left(self) -> bool:
        """But connections that are still there."""
        return self.parts.left_over().keys() <= {"registry"}

    def send(
        self, kind: Kind = Kind.MESSAGE, payload: bytes = b'{"type":"m"}', *, offset: int | None = None, **fields: Any
    ) -> None:
        position = None if offset is None else Position("e", offset)
        self.positions.deliver(room_topic("r"), Envelope(kind, payload, **fields).encode(), position)


def message(offset: int) -> bytes:
    return Envelope(Kind.MESSAGE, b'{"type":"m"}').encode()

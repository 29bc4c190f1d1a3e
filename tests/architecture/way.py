"""The way of a room message, traced: every function of ours that is called from bytes to bytes.

One process, the memory broker, no history; a typed message with an `id` from one of a room's three members. Printed by
`make way`; with `--write` it is put into `docs/explain/architecture.md`, where a test compares it.

A room is entered when one of its functions is called while none of it is on the stack. What is there on some versions
of Python only is counted, but not printed: frames of comprehensions, and the parked task that stands in before 3.12.
What a worker does beside every message, now and then, is left out: its report, its lease, its look at the broker.
"""

import asyncio
import contextvars
import json
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from pydantic import BaseModel

import hubbub
from hubbub import Connection as Member
from hubbub import Hub, Limits
from hubbub.connection.connection import Connection
from hubbub.protocol.handshake import Handshake
from hubbub.transports.direct import DirectTransport
from hubbub.types import ConnectionId, User, UserId
from tests.kit.inside import inside

PAGE = Path(__file__).parents[2] / "docs/explain/architecture.md"
BEGIN, END = "<!-- way: make way writes it -->", "<!-- end of the way -->"
SOURCE = Path(hubbub.__file__).parent

#: What any room may use and return from: they know nothing of what they are used for.
TOOLS = {"scheduling", "protocol", "ports", "types", "errors", "closes", "options"}

#: Whose turns of the loop are no message's. A message that passed there would be seen within a turn of its own.
BESIDE = {"hub", "presence"}

MEMBERS = 3
SCOPE = {"type": "websocket", "path": "/ws", "query_string": b"", "headers": []}


class Say(BaseModel):
    type: Literal["say"] = "say"
    room: str
    content: str


@dataclass
class Call:
    depth: int
    module: str
    function: str

    @property
    def room(self) -> str:
        return self.module.partition("/")[0]

    @property
    def everywhere(self) -> bool:
        """Whether it is there on every version of Python."""
        return "<" not in self.function.rpartition(".")[2] and not self.function.startswith("_Parked")


@dataclass
class Turn:
    """One turn of the event loop: what was called in it, and which rooms were entered."""

    calls: list[Call] = field(default_factory=list)
    entered: list[str] = field(default_factory=list)


@dataclass
class Way:
    turns: list[Turn] = field(default_factory=list)

    @property
    def calls(self) -> list[Call]:
        """All that were called by the Python that runs."""
        return [call for turn in self.turns for call in turn.calls]

    def __str__(self) -> str:
        plain = [call for call in self.calls if call.everywhere]
        lines = [f"{'  ' * call.depth}{call.module}: {call.function}" for call in plain]
        return "\n".join([*lines, "", f"{len(plain)} calls in {len({call.room for call in plain})} rooms"])


class Tracer:
    """Called by `sys.setprofile`."""

    def __init__(self) -> None:
        self.way = Way()
        self._stack: list[Call | None] = []

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            self._stack.append(self._called(frame))
        elif event == "return" and self._stack:
            self._stack.pop()

    def _called(self, frame: FrameType) -> Call | None:
        file = Path(frame.f_code.co_filename)
        if not file.is_relative_to(SOURCE):
            return None
        ours = [call for call in self._stack if call is not None]
        if not ours:
            self.way.turns.append(Turn())
        turn = self.way.turns[-1]
        module = file.relative_to(SOURCE).with_suffix("").as_posix()
        call = Call(sum(each.everywhere for each in ours), module, frame.f_code.co_qualname)
        turn.calls.append(call)
        if call.room not in {each.room for each in ours}:
            turn.entered.append(call.room)
        return call


async def traced() -> Way:
    """What one message comes to, after some others have warmed up what is kept at hand."""
    # Whatever a test before has set up; and no timer among the calls.
    hub = Hub("memory", tracing=False, limits=Limits(blocking=None))

    @hub.rooms("room:{name}")
    async def anybody(name: str) -> bool:
        return True

    @hub.on(Say)
    async def say(message: Say, connection: Member) -> None:
        await connection.room(message.room).send({"type": "say", "content": message.content})

    await hub.start()
    try:
        tabs = [await joined(hub, number) for number in range(MEMBERS)]
        journeys = inside(hub).parts.journeys
        assert journeys is not None
        journeys.stop()  # one message in a while is timed besides: this one is not
        frame = framed({"type": "say", "room": "room:1", "content": "hello", "id": 7})
        for _ in range(5):
            await said(tabs, frame)
        tracer = Tracer()
        sys.setprofile(tracer)
        try:
            await said(tabs, frame)
        finally:
            sys.setprofile(None)
        for tab in tabs:
            tab.close()
        return Way([turn for turn in tracer.way.turns if turn.calls[0].room not in BESIDE])
    finally:
        await hub.stop()


async def joined(hub: Hub, number: int) -> socket.socket:
    """The client's end of a member's socket; the server's is taken over as from an accepted handshake."""
    here, there = socket.socketpair()
    here.setblocking(False)
    there.setblocking(False)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(asyncio.Protocol, sock=here)
    context = inside(hub).endpoint.context
    connection = Connection(
        context,
        ConnectionId(f"{number:032x}"),
        handshake=Handshake(SCOPE),
        variables=contextvars.copy_context(),
        credential=True,
    )
    direct = DirectTransport(
        connection, transport, limit=65_536, closing=1.0, bits=0, inflate=None, gone=lambda _: None
    )
    transport.set_protocol(direct)
    connection.begin(direct, User(UserId(f"user{number}")))
    await _until_read(there, b'"welcome"')
    there.send(framed({"type": "join_room", "room": "room:1"}))
    await _until_read(there, b'"room_joined"')
    return there


async def said(tabs: list[socket.socket], frame: bytes) -> None:
    tabs[0].send(frame)
    await _until_read(tabs[0], b'"ack"')
    for tab in tabs[1:]:
        await _until_read(tab, b'"hello"')


async def _until_read(tab: socket.socket, wanted: bytes) -> None:
    read = b""
    async with asyncio.timeout(30):
        while wanted not in read:
            read += await asyncio.get_running_loop().sock_recv(tab, 65_536)


def framed(message: dict[str, Any]) -> bytes:
    """Masked, RFC 6455 section 5.3."""
    data, mask = json.dumps(message).encode(), os.urandom(4)
    assert len(data) < 126
    return bytes((0x81, 0x80 | len(data))) + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))


def on_page(text: str) -> str:
    """The way as the page has it."""
    return text.partition(BEGIN)[2].partition(END)[0].strip().removeprefix("```").removesuffix("```").strip()


def written(text: str, way: Way) -> str:
    """The page with this way in it."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n```\n{way}\n```\n\n{END}{rest.partition(END)[2]}"


def main(arguments: list[str], say: Callable[[str], object] = print) -> None:
    way = asyncio.run(traced())
    say(f"{way}; {len(way.calls)} with those that Python {sys.version_info[0]}.{sys.version_info[1]} alone has")
    if "--write" in arguments:
        PAGE.write_text(written(PAGE.read_text(), way))


if __name__ == "__main__":
    main(sys.argv[1:])

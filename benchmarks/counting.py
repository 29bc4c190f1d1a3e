"""`python -m benchmarks.counting BEFORE`: what another version of the code adds to a request and to a fan-out.

BEFORE is another checkout, built: this one is measured beside it. What is compared are instructions, counted by
valgrind's callgrind, because seconds differ by more than a few percent on any machine that does anything else.
Counting begins when the hub has started and everybody is in the room. The clients are another process, which is not
counted.

requests: a typed message with an `id`, and its `ack`. fanout: one message to a room of so many, and its `ack`. One is
in flight at a time, so every message is a turn of the loop of its own: nothing is shared out over several. The time of
the loop stands nearly still: what a worker does now and then, beside every message, is in no run.
"""

import argparse
import asyncio
import contextvars
import gc
import itertools
import json
import os
import re
import selectors
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Literal

WORKS = {"requests": 1, "fanout 10": 10, "fanout 100": 100}
_SLOWER = 1000
_HERE = Path(__file__).resolve().parents[1]

# One client talks, and the others take what comes: all of it, before the next is said.
_CLIENTS = """
import os, select, socket, sys
talker, *others = [socket.socket(fileno=int(fd)) for fd in sys.argv[2].split(",")]
frame = bytes.fromhex(sys.argv[3])
poll = select.epoll()
for each in others:
    each.setblocking(False)
    poll.register(each.fileno(), select.EPOLLIN)
by = {each.fileno(): each for each in others}
for _ in range(int(sys.argv[1])):
    talker.send(frame)
    said = b""
    while b'"ack"' not in said:
        said += talker.recv(65536)
    left = set(by)
    while left:
        for fd, _ in poll.poll():
            by[fd].recv(65536)
            left.discard(fd)
print("done", flush=True)
"""


def frame(message: dict[str, Any]) -> bytes:
    """Masked by zeros, RFC 6455 section 5.3."""
    data = json.dumps(message).encode()
    head = struct.pack("!BB", 0x81, 0x80 | len(data)) if len(data) < 126 else struct.pack("!BBH", 0x81, 0xFE, len(data))
    return head + bytes(4) + data


class Patient(selectors.DefaultSelector):
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(timeout * _SLOWER if timeout else timeout)


class SlowLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        super().__init__(Patient())

    def time(self) -> float:
        return super().time() / _SLOWER


async def serve(members: int, messages: int) -> None:
    """A hub, with so many in one room, of whom one says so much."""
    # What is timed takes as long as it does without valgrind, or what is done of long times would be counted.
    time.perf_counter = itertools.count(0.0, 1e-5).__next__

    from pydantic import BaseModel

    from hubbub import Connection as Member
    from hubbub import Hub, Rate, RoomRate
    from hubbub.connection.connection import Connection
    from hubbub.protocol.handshake import Handshake
    from hubbub.transports.direct import DirectTransport
    from hubbub.types import ConnectionId, User, UserId

    class Ask(BaseModel):
        type: Literal["ask"] = "ask"
        content: str

    class Say(BaseModel):
        type: Literal["say"] = "say"
        content: str

    # As an application has it, allowances among it, but so wide that nothing is refused.
    fast = 1e9
    hub = Hub("memory", rate=Rate(messages=fast, burst=10**9), room_rate=RoomRate(messages=fast, burst=10**9))

    @hub.rooms("room")
    async def anybody() -> bool:
        return True

    @hub.on(Ask)
    async def ask(message: Ask) -> dict[str, str]:
        return {"heard": message.content}

    @hub.on(Say)
    async def say(message: Say, connection: Member) -> None:
        await connection.room("room").send({"type": "say", "content": message.content})

    loop = asyncio.get_running_loop()
    async with hub.running():
        context = hub._here.endpoint.context  # noqa: SLF001 - there is no socket of a server here
        theirs = []
        for number in range(members):
            here, there = socket.socketpair()
            here.setblocking(False)
            transport, _ = await loop.create_connection(asyncio.Protocol, sock=here)
            scope = {"type": "websocket", "path": "/ws", "query_string": b"", "headers": []}
            connection = Connection(
                context,
                ConnectionId(f"{number:032x}"),
                handshake=Handshake(scope),
                variables=contextvars.copy_context(),
                credential=True,
            )
            direct = DirectTransport(
                connection, transport, limit=65_536, closing=1.0, bits=0, inflate=None, gone=lambda _: None
            )
            transport.set_protocol(direct)
            connection.begin(direct, User(UserId(f"user{number}")))
            there.send(frame({"type": "join_room", "room": "room"}))
            read = b""
            there.setblocking(False)
            while b'"room_joined"' not in read:
                read += await loop.sock_recv(there, 65_536)
            theirs.append(there)
        await asyncio.sleep(0.001)
        for there in theirs:
            there.setblocking(True)
        # Else the collector walks through all that was imported, now in one run and now in the other.
        gc.collect()
        gc.freeze()
        kind = "ask" if members == 1 else "say"
        counting = shutil.which("callgrind_control") if os.environ.get("COUNTING") else None
        said = frame({"type": kind, "content": "x" * 100, "id": 7}).hex()
        fds = [there.fileno() for there in theirs]
        if counting is not None:
            switch = subprocess.Popen(  # noqa: ASYNC220 - nothing else is to run meanwhile
                [counting, "-i", "on", str(os.getpid())], stdout=subprocess.DEVNULL
            )
            while switch.poll() is None:
                pass  # valgrind hears of it while something runs
        clients = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _CLIENTS,
            str(messages),
            ",".join(map(str, fds)),
            said,
            pass_fds=fds,
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await clients.communicate()
        if out != b"done\n":
            raise SystemExit("the clients did not get everything")
        for there in theirs:
            there.close()


def counted(checkout: Path, work: str, messages: int) -> int:
    """Instructions of one run."""
    environment = {**os.environ, "PYTHONPATH": f"{checkout / 'src'}:{_HERE}", "PYTHONHASHSEED": "0", "COUNTING": "1"}
    with tempfile.TemporaryDirectory() as folder:
        command = [
            "valgrind",
            "--tool=callgrind",
            "--instr-atstart=no",
            f"--callgrind-out-file={folder}/out",
            sys.executable,
            "-m",
            "benchmarks.counting",
            "--serve",
            work,
            str(messages),
        ]
        run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    found = re.search(r"Collected\s*:\s*(\d+)", run.stderr)
    if run.returncode or found is None:
        raise SystemExit(f"{work} did not run:\n{run.stdout}{run.stderr}")
    return int(found[1])


def main(arguments: list[str]) -> None:
    made = argparse.ArgumentParser(prog="python -m benchmarks.counting", description=__doc__)
    made.add_argument("before", type=Path, help="another checkout, built")
    made.add_argument("--messages", type=int, default=2000, help="of each run; default 2000")
    made.add_argument("--work", choices=WORKS, action="append", help="default all")
    asked = made.parse_args(arguments)
    if shutil.which("valgrind") is None:
        raise SystemExit("this needs valgrind")
    print(f"{'':12}{'before':>12}{'after':>12}  instructions a message")
    for work in asked.work or WORKS:
        before, after = (
            counted(each, work, asked.messages) / asked.messages for each in (asked.before.resolve(), _HERE)
        )
        print(f"{work:12}{before:12.0f}{after:12.0f}  {after / before - 1:+.2%}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        with asyncio.Runner(loop_factory=SlowLoop) as runner:
            runner.run(serve(WORKS[sys.argv[2]], int(sys.argv[3])))
    else:
        main(sys.argv[1:])

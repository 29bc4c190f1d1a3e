"""What the server does to end a run, and what it may do without ending it."""

import re
import socket
import struct
from typing import Any

import pytest

from hubbub.loadtest.result import Errors
from hubbub.loadtest.workloads import BenchError
from tests.loadtest.scripted import Plain, Server, measure, text

RESET = struct.pack("ii", 1, 0)


def test_members_that_stall_are_not_waited_for_and_their_end_is_told() -> None:
    def heard(server: Server, i: int, payload: bytes) -> None:
        server.to_all(i, payload)
        match len(server.texts):
            case 10:
                # Seen at once: the kernel resets a connection that is closed with something unread.
                server.writers[5].get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                server.writers.pop(5).transport.abort()
            case 20:
                # Seen only by who reads: the end stands behind data that are not taken.
                server.writers.pop(4).close()
            case 30:
                # Likewise, and the server waits for an answer.
                server.writers.pop(6).write(b"\x88\x02\x03\xf5")

    with Server(heard) as server:
        result = measure(server, stall=5, text=10_000, messages=200, in_flight=2)
    assert (result.connections, result.deliveries, result.errors) == (8, 600, Errors())
    assert result.stalled_closed == 3
    assert result.first_closed is not None
    assert result.first_closed < 20


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x88\x09\x03\xf5tooslow", "the server closed connection 1: 1013 tooslow"),
        (b"\x82\x01x", "the server sent connection 1 a binary message"),
        (b"no", "the server closed connection 1 without a word"),
        (text(b"REFUSED slow down"), "the server refused what connection 1 sent: slow down"),
    ],
)
@pytest.mark.parametrize("kind", ["fanout", "request"])
def test_what_ends_a_run_is_said(kind: Any, data: bytes, said: str) -> None:
    class Refusing(Plain):
        def refusal(self, payload: bytes) -> str | None:
            return payload[8:].decode() if payload.startswith(b"REFUSED") else None

    def heard(server: Server, i: int, payload: bytes) -> None:
        if len(server.texts) < 4:
            server.to_all(i, payload) if kind == "fanout" else server.send(i, text(payload))
        elif data == b"no":
            server.writers[1].write_eof()
        else:
            server.send(1, data)

    with Server(heard) as server, pytest.raises(BenchError, match=re.escape(said)):
        measure(server, kind, Refusing())


@pytest.mark.parametrize("kind", ["fanout", "request"])
def test_a_server_that_stalls_ends_the_run(kind: Any) -> None:
    with (
        Server(lambda server, i, payload: None) as server,
        pytest.raises(BenchError, match=r"the server stalls: nothing was delivered for 2 s"),
    ):
        measure(server, kind, patience=2.0)


def test_a_server_that_does_not_read_does_not_stop_the_tool() -> None:
    """More than any socket takes is sent: it waits in the tool, and arrives when the server reads again."""

    def opened(server: Server, i: int) -> None:
        transport = server.writers[i].transport
        transport.pause_reading()  # type: ignore[attr-defined]
        server.loop.call_later(0.5, transport.resume_reading)  # type: ignore[attr-defined]

    with Server(opened=opened) as server:
        result = measure(server, connections=1, in_flight=20, messages=20, text=1_000_000)
    assert (result.deliveries, result.errors) == (20, Errors())
    assert result.latency.max > 100
